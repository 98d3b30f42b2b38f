//! Values of front matter, read as far as they are understood; what is not is told with its place.

use std::fmt;
use std::str::FromStr;

use super::{fit, warning};
use crate::problem::Problem;
use crate::tree::{Entry, Node, ScalarKind, Value};
use crate::unicode::excerpt;

/// Most places that are told one by one.
const TOLD_MAX: usize = 20;

/// A place in front matter, such as `model-index[0].results[1]`.
#[derive(Clone, Copy)]
pub(super) enum Place<'p> {
    /// The whole.
    Top,
    /// A field.
    Field(&'p Place<'p>, &'p str),
    /// An element, counted from 0.
    Item(&'p Place<'p>, usize),
}

impl<'p> Place<'p> {
    pub(super) fn field(&'p self, key: &'p str) -> Self {
        Self::Field(self, key)
    }

    pub(super) fn item(&'p self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("the front matter"),
            Self::Field(Self::Top, key) => f.write_str(&excerpt(key)),
            Self::Field(above, key) => write!(f, "{above}.{}", excerpt(key)),
            Self::Item(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// Reads values and collects what did not fit.
pub(super) struct Reader<'w> {
    warnings: &'w mut Vec<Problem>,
    lines_before: usize,
    told: usize,
}

impl<'w> Reader<'w> {
    /// A reader of front matter with that many lines before it.
    pub(super) fn new(warnings: &'w mut Vec<Problem>, lines_before: usize) -> Self {
        Self { warnings, lines_before, told: 0 }
    }

    /// Tells that something is not taken over, and why.
    pub(super) fn tell(&mut self, place: &Place<'_>, line: Option<usize>, why: &str) {
        self.told += 1;
        if self.told <= TOLD_MAX {
            let line = line.map(|line| line + self.lines_before);
            self.warnings.push(Problem { line, ..warning(format!("`{place}` is not taken over: {why}")) });
        }
    }

    /// Says how much more there would be to tell.
    pub(super) fn close(self) {
        if let Some(more @ 1..) = self.told.checked_sub(TOLD_MAX) {
            self.warnings.push(warning(format!("{more} more values of the card are not taken over")));
        }
    }

    /// The front matter with every key once: of a key that stands several times the last counts, as for the Hub.
    pub(super) fn unique(&mut self, node: Node, place: &Place<'_>) -> Node {
        let value = match node.value {
            Value::Map(entries) => {
                let mut last: Vec<Entry> = Vec::with_capacity(entries.len());
                let mut index: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
                for entry in entries {
                    let entry = Entry { node: self.unique(entry.node, &place.field(&entry.key)), ..entry };
                    let Some(&at) = index.get(&entry.key) else {
                        index.insert(entry.key.clone(), last.len());
                        last.push(entry);
                        continue;
                    };
                    let again = entry
                        .line
                        .map_or_else(String::new, |line| format!(" on line {}", line + self.lines_before));
                    let why = format!("it stands again{again}; as on the Hub, the last one counts");
                    let key = entry.key.clone();
                    self.tell(&place.field(&key), last[at].line, &why);
                    last[at] = entry;
                }
                Value::Map(last)
            }
            Value::List(items) => Value::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| self.unique(item, &place.item(index)))
                    .collect(),
            ),
            scalar @ Value::Scalar(_) => scalar,
        };
        Node { line: node.line, value }
    }

    /// The one text at a key. Nothing and an empty text are nothing.
    pub(super) fn one<T: FromStr>(&mut self, node: &Node, key: &str, place: &Place<'_>) -> Option<T> {
        let value = node.get(key)?;
        self.text(value, &place.field(key), "one line of text")
    }

    /// The texts at a key: a list, or one alone.
    pub(super) fn several<T: FromStr>(&mut self, node: &Node, key: &str, place: &Place<'_>) -> Vec<T> {
        let place = place.field(key);
        match node.get(key).map(|node| (node, &node.value)) {
            None => Vec::new(),
            Some((_, Value::List(items))) => {
                let text = |(index, item)| self.text(item, &place.item(index), "one line of text");
                items.iter().enumerate().filter_map(text).collect()
            }
            Some((node, _)) => self.text(node, &place, "text, or a list of texts").into_iter().collect(),
        }
    }

    /// A scalar as text.
    pub(super) fn text<T: FromStr>(&mut self, node: &Node, place: &Place<'_>, wanted: &str) -> Option<T> {
        let text = match &node.value {
            Value::Scalar(scalar) if scalar.kind == ScalarKind::Null => return None,
            Value::Scalar(scalar) => &scalar.text,
            Value::List(_) | Value::Map(_) => {
                self.tell(place, node.line, &format!("it is {}, not {wanted}", what(node)));
                return None;
            }
        };
        let value = fit(text);
        if value.is_none() && !text.trim().is_empty() {
            let long = text.len() > crate::text::LINE_MAX;
            let why = if long { "it is longer than a line may be" } else { "it is not one line of text" };
            self.tell(place, node.line, why);
        }
        value
    }

    /// The elements of what must be a list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, place: &Place<'_>) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ if node.is_null() => &[],
            _ => {
                self.tell(place, node.line, &format!("it is {}, not a list", what(node)));
                &[]
            }
        }
    }

    /// Whether something is a map; nothing is none, without a word.
    pub(super) fn is_map(&mut self, node: &Node, place: &Place<'_>) -> bool {
        let is_map = matches!(node.value, Value::Map(_));
        if !is_map && !node.is_null() {
            self.tell(place, node.line, &format!("it is {}, not a map of fields", what(node)));
        }
        is_map
    }
}

/// What a value is, with as much of it as fits.
pub(super) fn what(node: &Node) -> String {
    match &node.value {
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Map(_) => "a map of fields".into(),
        Value::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => "nothing".into(),
            ScalarKind::Text | ScalarKind::Override => format!("the text \"{}\"", excerpt(&scalar.text)),
            ScalarKind::Bool | ScalarKind::Integer | ScalarKind::Float => {
                format!("`{}`", excerpt(&scalar.text))
            }
        },
    }
}
