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
    /// The last byte that is not white space, also of what is not kept.
    last: Option<u8>,
}

impl Text {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let room = KEPT_MAX - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.last = bytes.iter().rev().find(|byte| !byte.is_ascii_whitespace()).copied().or(self.last);
    }

    /// Whether what is kept of it may begin a name.
    pub(super) fn may_be_a_name(&self) -> bool {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) => Some(text),
            // Cut within a character.
            Err(error) if self.cut && error.error_len().is_none() => {
                std::str::from_utf8(&self.bytes[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        text.is_some_and(|text| !text.is_empty() && !text.contains(char::is_control))
    }

    /// Takes off the last byte.
    pub(super) fn shorten(&mut self) {
        if !self.cut {
            self.bytes.pop();
            self.last = self.bytes.trim_ascii_end().last().copied();
        }
    }

    /// Whether it stands in quotes, also where the end is not kept.
    pub(super) fn quoted(&self) -> bool {
        let begin = self.bytes.trim_ascii_start();
        let first = begin.first().copied();
        matches!(first, Some(b'\'' | b'"'))
            && self.last == first
            && (self.cut || begin.trim_ascii_end().len() > 1)
    }

    pub(super) fn whole(&self) -> Option<&[u8]> {
        (!self.cut).then_some(&*self.bytes)
    }

    pub(super) fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(self.whole()?).ok()
    }
}

/// A number as a loader reads a line: `int()` in the one, and `PyLong_FromString`, which ends at a NUL, in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// As a pickler writes it.
    Plain(u64),
    /// Spelled otherwise.
    Odd(u64),
    /// A number that is larger than any that is kept.
    Large,
}

/// A key of the memo; `None` if no loader takes it.
pub(super) fn key(line: &Text) -> Option<Key> {
    let whole = line.bytes.as_slice();
    let text = whole.split(|byte| *byte == 0).next().unwrap_or_default();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let begin = text.iter().position(|byte| !blank(byte))?;
    let end = text.iter().rposition(|byte| !blank(byte))? + 1;
    let number = &text[begin..end];
    let digits = match number {
        [b'+', digits @ ..] => digits,
        [b'-', digits @ ..] if digits.iter().all(|byte| matches!(byte, b'0' | b'_')) => digits,
        digits => digits,
    };
    let well_divided =
        !digits.starts_with(b"_") && !digits.ends_with(b"_") && !digits.windows(2).any(|two| two == b"__");
    if digits.is_empty() || !well_divided || !digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'_')
    {
        return None;
    }
    if line.cut {
        return Some(Key::Large);
    }
    let value = digits
        .iter()
        .filter(|byte| **byte != b'_')
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    Some(match value {
        None => Key::Large,
        Some(value) if value.to_string().as_bytes() == whole => Key::Plain(value),
        Some(value) => Key::Odd(value),
    })
}

/// Whether a line may be a number for a loader: they take white space before it, signs, bases, and ignore what follows
/// a NUL.
pub(super) fn may_be_a_number(line: &Text) -> bool {
    let text = line.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'..=b'\r');
    text.iter().all(plain) && text.iter().any(u8::is_ascii_alphanumeric)
}

/// The text of a Python literal in quotes (`codecs.escape_decode`).
pub(super) fn unquote(line: &[u8]) -> Option<String> {
    let line = line.trim_ascii();
    let [first @ (b'\'' | b'"'), inner @ .., last] = line else { return None };
    if first != last {
        return None;
    }
    let mut rest = inner;
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
