//! Canonical JSON: one spelling for one value, laid out for people and for `diff`.
//!
//! Members of an object stand on a line each, indented by two spaces; elements of an array stand on a line
//! each, and everything inside an element stays on its line. Empty arrays and objects are `[]` and `{}`.
//! Strings escape only what JSON demands. Numbers are integers. The text ends with one line feed.
//! A document is canonical if writing what was read gives exactly the bytes that were read: this one rule
//! refuses duplicate keys, other orders, other white space, other escapes and other spellings of numbers.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

/// Why a document is not canonical.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The document is not JSON of the expected shape.
    #[error("line {line}: {message}")]
    Malformed {
        /// Line, counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// The document is well formed but spelled otherwise than canonically.
    #[error("line {line} is not in canonical form (spacing, order, escapes or a repeated key)")]
    NotCanonical {
        /// First line that differs, counted from 1.
        line: usize,
    },
}

/// Writes `value` canonically, with the final line feed.
///
/// # Errors
/// What the writer says. A value that JSON cannot express is an error of kind `InvalidData`.
pub fn write_canonical<T: Serialize + ?Sized>(value: &T, mut writer: impl Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut writer, Layout::default());
    value.serialize(&mut serializer)?;
    writer.write_all(b"\n")
}

/// The canonical bytes of `value`.
///
/// # Panics
/// Never for the types of this crate, which are all expressible as JSON.
pub fn to_canonical_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_canonical(value, &mut bytes)
        .expect("memory takes any amount, and the value is expressible as JSON");
    bytes
}

/// Checks that writing `value` gives exactly `bytes`.
pub(crate) fn check_canonical<T: Serialize + ?Sized>(value: &T, bytes: &[u8]) -> Result<(), CanonicalError> {
    let mut comparer = Comparer { expected: bytes, at: 0 };
    let same = write_canonical(value, &mut comparer).is_ok() && comparer.at == bytes.len();
    if same {
        return Ok(());
    }
    let line = 1 + bytes[..comparer.at].iter().filter(|&&b| b == b'\n').count();
    Err(CanonicalError::NotCanonical { line })
}

/// A writer that takes only the bytes it expects; nothing is held twice in memory.
struct Comparer<'a> {
    expected: &'a [u8],
    at: usize,
}

impl Write for Comparer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rest = &self.expected[self.at..];
        if rest.starts_with(bytes) {
            self.at += bytes.len();
            return Ok(bytes.len());
        }
        let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        self.at += same;
        Err(io::ErrorKind::InvalidData.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The layout of the module's description, as serde_json's formatter.
#[derive(Default)]
struct Layout {
    /// Containers that are open and laid out over several lines.
    indent: usize,
    /// Containers that are open inside an array element, all on its line.
    inline: usize,
    /// Whether the innermost open container holds anything yet.
    has_value: bool,
}

impl Layout {
    fn begin(&mut self, writer: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        if self.inline > 0 {
            self.inline += 1;
        } else {
            self.indent += 1;
        }
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn end(&mut self, writer: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        if self.inline > 0 {
            self.inline -= 1;
        } else {
            self.indent -= 1;
            if self.has_value {
                self.new_line(writer)?;
            }
        }
        self.has_value = true;
        writer.write_all(bracket)
    }

    fn separate(&mut self, writer: &mut (impl Write + ?Sized), first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        if self.inline == 0 {
            self.new_line(writer)?;
        }
        Ok(())
    }

    fn new_line(&self, writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.indent).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first)?;
        self.inline += 1;
        Ok(())
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.inline -= 1;
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(if self.inline > 0 { b":" } else { b": " })
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> Result<(), CanonicalError> {
        let value: serde_json::Value = serde_json::from_str(text).expect("test data is JSON");
        check_canonical(&value, text.as_bytes())
    }

    #[test]
    fn the_layout_is_fit_for_reading() {
        let value = serde_json::json!({
            "format": 1, "empty": [], "none": {}, "inner": {"a": "ü\n"},
            "files": [{"path": "a", "sizes": [1, 2]}, {"path": "b", "sizes": []}], "plain": ["x", "y"],
        });
        let text = String::from_utf8(to_canonical_vec(&value)).expect("JSON is UTF-8");
        let expected = concat!(
            "{\n  \"format\": 1,\n  \"empty\": [],\n  \"none\": {},\n  \"inner\": {\n    \"a\": \"ü\\n\"\n  },\n",
            "  \"files\": [\n    {\"path\":\"a\",\"sizes\":[1,2]},\n    {\"path\":\"b\",\"sizes\":[]}\n  ],\n",
            "  \"plain\": [\n    \"x\",\n    \"y\"\n  ]\n}\n"
        );
        assert_eq!(text, expected);
        assert_eq!(round_trip(&text), Ok(()));
    }

    #[test]
    fn other_spellings_are_refused_with_their_line() {
        for (text, line) in [
            ("{\n  \"a\": 1\n}", 3),
            ("{\n  \"a\": 1\n}\n\n", 4),
            ("{\n  \"a\":1\n}\n", 2),
            ("{\n  \"a\": 1,\n  \"a\": 1\n}\n", 2),
            ("{\n  \"a\": \"\\u0061\"\n}\n", 2),
            ("{\r\n  \"a\": 1\n}\n", 1),
        ] {
            assert_eq!(round_trip(text), Err(CanonicalError::NotCanonical { line }), "{text:?}");
        }
    }
}
