//! Where everything that is printed goes through: nothing from outside drives a terminal or deceives a reader, whatever
//! field it came in and whether somebody remembered to escape it there.

use std::io::{self, Write};

use consign_metadata::is_printable;

/// What may stand in the stream besides printable characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Lines for people: colours (`ESC [ … m`) that consign sets. A text from outside can at worst set some, too, where
    /// it was not escaped before.
    Lines,
    /// One JSON document: what is not printable stands in its strings, and is escaped as they escape it.
    Json,
}

/// A writer through which nothing but printable text passes.
pub(crate) struct Stream<W: Write> {
    out: W,
    manner: Manner,
    /// The beginning of a character, or of a colour, whose end has not come yet.
    kept: Vec<u8>,
}

/// Standard output, for people.
pub(crate) fn stdout() -> Stream<impl Write> {
    Stream::new(anstream::stdout().lock(), Manner::Lines)
}

/// Standard error, for people.
pub(crate) fn stderr() -> Stream<impl Write> {
    Stream::new(anstream::stderr().lock(), Manner::Lines)
}

/// Standard output, for programs.
pub(crate) fn json() -> Stream<impl Write> {
    Stream::new(io::stdout().lock(), Manner::Json)
}

/// Longest sequence that sets colours.
const COLOUR_MAX: usize = 32;

impl<W: Write> Stream<W> {
    fn new(out: W, manner: Manner) -> Self {
        Self { out, manner, kept: Vec::new() }
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let mut plain = 0;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let end = at + c.len_utf8();
            let passes = match (self.manner, c) {
                (_, ' '..='~' | '\n') => Some(end),
                (Manner::Lines, '\t') => Some(end),
                (Manner::Lines, '\u{1b}') => colour(&text[at..]).map(|length| at + length),
                (Manner::Json, '\u{7f}') => None,
                (_, c) => is_printable(c).then_some(end),
            };
            if passes.is_none() {
                self.out.write_all(&text.as_bytes()[plain..at])?;
                match self.manner {
                    Manner::Lines => write!(self.out, "{}", c.escape_unicode())?,
                    Manner::Json => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            write!(self.out, "\\u{unit:04x}")?;
                        }
                    }
                }
                plain = end;
            }
            at = passes.unwrap_or(end);
        }
        self.out.write_all(&text.as_bytes()[plain..])
    }

    /// How much of `bytes` can be judged: not the beginning of a character or of a colour at their end.
    fn whole(&self, bytes: &[u8]) -> usize {
        if self.manner == Manner::Lines
            && let Some(at) = memchr::memrchr(0x1b, bytes)
            && bytes.len() - at < COLOUR_MAX
            && bytes[at + 1..].iter().enumerate().all(|(n, &byte)| is_of_colour(n, byte))
        {
            return at;
        }
        // The last character, if it needs more bytes than are there.
        let begin = bytes.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(bytes.len());
        let needed = match bytes.get(begin) {
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf4) => 4,
            _ => 0,
        };
        if begin + needed > bytes.len() { begin } else { bytes.len() }
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        // What is no text is shown as such, and never written as it is.
        self.text(&String::from_utf8_lossy(bytes))
    }
}

fn is_of_colour(place: usize, byte: u8) -> bool {
    if place == 0 { byte == b'[' } else { byte.is_ascii_digit() || byte == b';' }
}

/// Length of the colour that begins a text, if one does.
fn colour(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    // Bold, dim, underlined and the plain colours; nothing that hides a text or swaps its colours.
    let known = |code: &str| {
        matches!(code, "" | "0" | "1" | "2" | "4" | "22" | "39")
            || (code.len() == 2 && code.starts_with(['3', '9']))
    };
    let harmless = rest[..end].split(';').all(known);
    (harmless && rest[end..].starts_with('m') && end + 3 <= COLOUR_MAX).then_some(end + 3)
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.extend_from_slice(bytes);
        let mut kept = std::mem::take(&mut self.kept);
        let whole = self.whole(&kept);
        let passed = self.pass(&kept[..whole]);
        kept.drain(..whole);
        self.kept = kept;
        passed.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let kept = std::mem::take(&mut self.kept);
        self.pass(&kept)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(manner: Manner, text: &[u8], piece: usize) -> String {
        let mut out = Vec::new();
        let mut stream = Stream::new(&mut out, manner);
        for piece in text.chunks(piece.max(1)) {
            stream.write_all(piece).unwrap();
        }
        stream.flush().unwrap();
        drop(stream);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn attack_a13_nothing_drives_a_terminal() {
        for (text, shown) in [
            ("a\u{1b}]0;x\u{7}b", "a\\u{1b}]0;x\\u{7}b"),
            ("\u{1b}[1mbold\u{1b}[0m", "\u{1b}[1mbold\u{1b}[0m"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{1b}[8mhidden", "\\u{1b}[8mhidden"),
            ("\u{1b}[1;7m", "\\u{1b}[1;7m"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("x\u{202e}y\u{200b}z\u{feff}", "x\\u{202e}y\\u{200b}z\\u{feff}"),
            ("a\rb\tc\n", "a\\u{d}b\tc\n"),
            ("naïve 中文 ±", "naïve 中文 ±"),
            ("\u{1b}", "\\u{1b}"),
        ] {
            for piece in [1, 2, 3, 100] {
                assert_eq!(through(Manner::Lines, text.as_bytes(), piece), shown);
            }
        }
        assert_eq!(through(Manner::Lines, b"a\xffb", 1), "a\u{fffd}b");
    }

    proptest! {
        #[test]
        fn attack_a13_json_says_the_same_in_printable_characters(text in "\\PC*|.*", piece in 1usize..9) {
            let json = serde_json::to_string(&text).unwrap();
            let escaped = through(Manner::Json, json.as_bytes(), piece);
            prop_assert!(escaped.chars().all(is_printable));
            prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        }

        #[test]
        fn attack_a13_pieces_make_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..60), piece in 1usize..9) {
            prop_assert_eq!(through(Manner::Lines, &bytes, piece), through(Manner::Lines, &bytes, 1000));
        }
    }
}
