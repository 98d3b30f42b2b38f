//! Arguments of opcodes: what is kept of them, and the texts that Python writes into them.

use super::machine::TEXT_MAX;

/// Most bytes that are kept of an argument.
const KEPT_MAX: usize = 4 * TEXT_MAX;

/// Up to eight bytes, little-endian.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Few {
    bytes: [u8; 8],
    pub(super) length: usize,
}

impl Few {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(bytes) {
            *place = *byte;
        }
        self.length += bytes.len();
    }

    pub(super) fn number(self) -> u64 {
        u64::from_le_bytes(self.bytes)
    }
}

/// The kept beginning of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) cut: bool,
}

impl Text {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let room = KEPT_MAX - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(super) fn whole(&self) -> Option<&[u8]> {
        (!self.cut).then_some(&*self.bytes)
    }

    pub(super) fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(self.whole()?).ok()
    }
}

/// A key of the memo. Python takes more than plain digits for a number; no pickler writes it.
pub(super) fn decimal(line: &Text) -> Option<u64> {
    let text = line.utf8()?;
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

pub(super) fn quoted(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    matches!(line, [first @ (b'\'' | b'"'), .., last] if first == last)
}

/// The text of a Python literal in quotes (`codecs.escape_decode`).
pub(super) fn unquote(line: &[u8]) -> Option<String> {
    let line = line.trim_ascii();
    if !quoted(line) {
        return None;
    }
    let mut rest = &line[1..line.len() - 1];
    let mut text = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'\\' | b'\'' | b'"' => text.push(escape),
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'a' => text.push(7),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'v' => text.push(11),
            b'x' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                text.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                let mut digits = 1;
                while digits < 3
                    && let Some((&digit @ b'0'..=b'7', after)) = rest.split_first()
                {
                    value = value * 8 + u32::from(digit - b'0');
                    rest = after;
                    digits += 1;
                }
                text.push(u8::try_from(value & 0xff).unwrap_or_default());
            }
            other => text.extend([b'\\', other]),
        }
    }
    String::from_utf8(text).ok()
}

/// The text of Python's codec `raw-unicode-escape`: Latin 1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn raw_unicode_escape(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let width = match (byte, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            // A backslash escapes the next one, which stays as well.
            (b'\\', Some(b'\\')) => {
                text.push_str("\\\\");
                rest = &rest[1..];
                continue;
            }
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        let digits = std::str::from_utf8(rest.get(1..=width)?).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        text.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = &rest[1 + width..];
    }
    Some(text)
}
