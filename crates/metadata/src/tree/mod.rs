//! One tree for three syntaxes: what a YAML, JSON or TOML text holds, and on which line.
//!
//! The tree keeps what the syntaxes differ in away from the decoder, and keeps what decoding into plain values
//! would lose: lines, repeated keys, and numbers as they were written.

pub(crate) mod json;
pub(crate) mod toml;
pub(crate) mod yaml;

use crate::limits::JSON_DEPTH_MAX;
use crate::problem::Problem;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Line, counted from 1; `None` for what did not come out of the file.
    pub(crate) line: Option<usize>,
    /// The value.
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// One text, number, truth value, or nothing.
    Scalar(Scalar),
    /// A sequence, in its order.
    List(Vec<Node>),
    /// A mapping, in the order of the file, with keys that stand twice.
    Map(Vec<Entry>),
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Line of the key.
    pub(crate) line: Option<usize>,
    /// The value.
    pub(crate) node: Node,
}

/// A scalar: its text, and what its syntax says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// Content of a text with its escapes resolved; of anything else the spelling in the file.
    pub(crate) text: String,
    /// What the syntax says it is.
    pub(crate) kind: ScalarKind,
}

/// What the syntax says a scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number, in any base.
    Integer,
    /// A number with a fraction or an exponent, or an infinity, or not a number.
    Float,
    /// Text, dates among it.
    Text,
    /// Set from outside the file: the field's own type decides what it is.
    Override,
}

impl Node {
    /// A node with a place in the file.
    pub(crate) fn new(line: usize, value: Value) -> Self {
        Self { line: Some(line), value }
    }

    /// A scalar with a place in the file.
    pub(crate) fn scalar(line: usize, kind: ScalarKind, text: impl Into<String>) -> Self {
        Self::new(line, Value::Scalar(Scalar { text: text.into(), kind }))
    }

    /// An empty map without a place.
    pub(crate) fn empty_map() -> Self {
        Self { line: None, value: Value::Map(Vec::new()) }
    }

    /// Whether the node is `null` or empty.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Null)
    }

    /// The value of `key`, if this is a map that has it; the first, if it stands twice.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The text of a scalar other than null, however it was written.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => Some(&scalar.text),
            _ => None,
        }
    }
}

/// Where the lines of a text begin, to turn byte offsets into lines.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    /// Finds the lines of `text`.
    pub(crate) fn of(text: &str) -> Self {
        Self([0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line, counted from 1, of the byte at `offset`.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|&start| start <= offset)
    }
}

/// A syntax error at a line.
pub(crate) fn syntax(line: usize, message: impl Into<String>) -> Problem {
    Problem::new("syntax", message).line(line)
}

/// Nesting beyond the limit.
pub(crate) fn too_deep(line: usize) -> Problem {
    Problem::new("too-deep", format!("is nested more than {JSON_DEPTH_MAX} levels deep")).line(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines() {
        let lines = Lines::of("ab\nçd\n");
        let found = [0, 2, 3, 5, 7, 99].map(|offset| lines.line(offset));
        assert_eq!(found, [1, 1, 2, 2, 3, 3]);
    }
}
