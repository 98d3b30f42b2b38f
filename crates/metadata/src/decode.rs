//! From the tree of a file to typed values, with every problem at once.
//!
//! A type says how it is read by [`Decode`]; records list their fields with [`record!`]. A value that cannot be
//! read is `None`, and why stands among the problems; decoding goes on, so that one run shows all of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use crate::classification::Scheme;
use crate::problem::{Problem, did_you_mean};
use crate::text::Line;
use crate::tree::{Entry, Node, ScalarKind, Value};
use crate::unicode::excerpt;

/// Most problems that one file can have; what comes after them is only counted.
const PROBLEMS_MAX: usize = 200;

/// The way from the top of the document to a value, shown as `contact.email` or `provenance.sources[0].uri`.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The document itself.
    Root,
    /// A field of a map.
    Field(&'a Path<'a>, &'a str),
    /// An element of a list, counted from 0.
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, key) => f.write_str(&excerpt(key)),
            Path::Field(parent, key) => write!(f, "{parent}.{}", excerpt(key)),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A type that can be read from a tree.
pub(crate) trait Decode: Sized {
    /// Reads `node`, which stands at `path`. `None` means that a problem was reported.
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self>;

    /// What an absent field means. A type whose field may be left out gives a value; by default it is a problem.
    fn absent(path: &Path<'_>, line: Option<usize>, decoder: &mut Decoder<'_>) -> Option<Self> {
        decoder.push(missing(path, line, None));
        None
    }
}

/// The problem of an absent field.
pub(crate) fn missing(path: &Path<'_>, line: Option<usize>, hint: Option<String>) -> Problem {
    let mut problem = Problem::new("missing-field", "is missing").at(path.to_string());
    problem.line = line;
    problem.hint = hint;
    problem
}

/// A type that is read from text: anything with a parser, and what the messages need besides.
pub(crate) trait DecodeText: FromStr<Err: fmt::Display> {
    /// A value that fits, for the hint at an absent field, where one example says more than the field's name.
    const EXAMPLE: Option<&'static str>;

    /// A value that fits, made of one that does not, for the hint.
    fn suggest(_text: &str) -> Option<String> {
        None
    }
}

/// What decoding needs to know, and what it found wrong.
pub(crate) struct Decoder<'s> {
    /// The levels that a classification may name.
    pub(crate) scheme: &'s Scheme,
    problems: Vec<Problem>,
    unshown: usize,
}

impl<'s> Decoder<'s> {
    /// A decoder that has found nothing yet.
    pub(crate) fn new(scheme: &'s Scheme) -> Self {
        Self { scheme, problems: Vec::new(), unshown: 0 }
    }

    /// All problems, in the order of the file; those without a line first.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        if self.unshown > 0 {
            let message = format!("{} more problems are not shown", self.unshown);
            self.problems.push(Problem::new("more-problems", message));
        }
        self.problems
    }

    /// Whether problems are only counted by now, so that words about them are wasted.
    fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    /// Notes a problem.
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.unshown += 1;
        } else {
            self.problems.push(problem);
        }
    }

    /// Notes a problem with the value at `node`.
    pub(crate) fn report(
        &mut self,
        code: &'static str,
        node: &Node,
        path: &Path<'_>,
        message: String,
        hint: Option<String>,
    ) {
        let at = match path {
            Path::Root => None,
            _ => Some(path.to_string()),
        };
        self.push(Problem { code, at, line: node.line, message, hint });
    }

    /// Notes that the value is of another kind than `expected` (`text`, `a list`).
    pub(crate) fn wrong_type(&mut self, expected: &str, node: &Node, path: &Path<'_>, hint: Option<String>) {
        let message = if node.is_null() {
            format!("has no value; it must be {expected}")
        } else {
            format!("must be {expected}, not {}", describe(node))
        };
        self.report("wrong-type", node, path, message, hint);
    }

    /// Parses `text`; a text that does not fit is a problem.
    pub(crate) fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        text: &str,
        node: &Node,
        path: &Path<'_>,
    ) -> Option<T> {
        text.parse()
            .map_err(|error: T::Err| self.report("bad-value", node, path, error.to_string(), None))
            .ok()
    }

    /// Reads a text type.
    pub(crate) fn text<T: DecodeText>(&mut self, node: &Node, path: &Path<'_>) -> Option<T> {
        let scalar = match &node.value {
            Value::Scalar(scalar) => scalar,
            Value::List(_) | Value::Map(_) => {
                self.wrong_type("text", node, path, None);
                return None;
            }
        };
        let suggestion = || T::suggest(&scalar.text).map(|better| format!("write \"{better}\""));
        match scalar.kind {
            ScalarKind::Text | ScalarKind::Override => match scalar.text.parse() {
                Ok(value) => Some(value),
                Err(error) => {
                    self.report("bad-value", node, path, error.to_string(), suggestion());
                    None
                }
            },
            ScalarKind::Null => {
                let hint = T::EXAMPLE.map(|example| format!("for example {example}"));
                self.wrong_type("text", node, path, hint);
                None
            }
            ScalarKind::Bool | ScalarKind::Integer | ScalarKind::Float => {
                // Quotes are the mend only where the quoted text would pass.
                let quoted = scalar.text.parse::<T>().is_ok();
                let hint = quoted.then(|| format!("write it in quotes: \"{}\"", excerpt(&scalar.text)));
                self.wrong_type("text", node, path, hint.or_else(suggestion));
                None
            }
        }
    }

    /// Reads a list, all elements even where some fail.
    pub(crate) fn list<T>(
        &mut self,
        items: &[Node],
        path: &Path<'_>,
        mut read: impl FnMut(&Node, &Path<'_>, &mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            list.push(read(item, &Path::Item(path, index), self));
        }
        list.into_iter().collect()
    }

    /// Reads a map with free keys, all entries even where some fail.
    pub(crate) fn map<T>(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        mut read: impl FnMut(&Node, &Path<'_>, &mut Self) -> Option<T>,
    ) -> Option<BTreeMap<Line, T>> {
        let Value::Map(entries) = &node.value else {
            self.wrong_type("a map of names and values", node, path, None);
            return None;
        };
        let unique = self.unique(entries, path);
        let mut complete = unique.len() == entries.len();
        let mut map = BTreeMap::new();
        for entry in unique {
            let path = Path::Field(path, &entry.key);
            let key = self.parse::<Line>(&entry.key, &entry.node, &path);
            let value = read(&entry.node, &path, self);
            match (key, value) {
                (Some(key), Some(value)) => drop(map.insert(key, value)),
                _ => complete = false,
            }
        }
        complete.then_some(map)
    }

    /// The entries whose key stands there for the first time; the others are problems.
    fn unique<'n>(&mut self, entries: &'n [Entry], path: &Path<'_>) -> Vec<&'n Entry> {
        let mut seen: HashMap<&str, &Entry> = HashMap::with_capacity(entries.len());
        let mut unique = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(first) = seen.get(entry.key.as_str()) else {
                seen.insert(&entry.key, entry);
                unique.push(entry);
                continue;
            };
            if self.is_full() {
                self.unshown += 1;
                continue;
            }
            let message = match first.line {
                Some(line) => format!("stands twice, first on line {line}"),
                None => "stands twice".to_owned(),
            };
            let at = Path::Field(path, &entry.key).to_string();
            let problem = Problem::new("duplicate-field", message).at(at).hint("keep one of the two");
            self.push(Problem { line: entry.line, ..problem });
        }
        unique
    }
}

/// What a node is, for messages.
fn describe(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a map".into(),
        Value::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => "nothing".into(),
            ScalarKind::Bool => format!("the truth value {}", excerpt(&scalar.text)),
            ScalarKind::Integer | ScalarKind::Float => format!("the number {}", excerpt(&scalar.text)),
            ScalarKind::Text | ScalarKind::Override => format!("the text \"{}\"", excerpt(&scalar.text)),
        },
    }
}

/// The fields of one map while a record takes them.
pub(crate) struct Fields<'n, 'p> {
    entries: HashMap<&'n str, &'n Entry>,
    order: Vec<&'n Entry>,
    known: Vec<&'static str>,
    line: Option<usize>,
    path: &'p Path<'p>,
    /// Whether every key stood once.
    clean: bool,
}

impl<'n, 'p> Fields<'n, 'p> {
    /// Opens the map at `node`. Nothing at all counts as a map without fields.
    pub(crate) fn open(node: &'n Node, path: &'p Path<'p>, decoder: &mut Decoder<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                decoder.wrong_type("a map of fields", node, path, None);
                return None;
            }
        };
        let order = decoder.unique(entries, path);
        let clean = order.len() == entries.len();
        let entries = order.iter().map(|entry| (entry.key.as_str(), *entry)).collect();
        Some(Self { entries, order, known: Vec::new(), line: node.line, path, clean })
    }

    /// Takes one field.
    pub(crate) fn take<T: Decode>(&mut self, key: &'static str, decoder: &mut Decoder<'_>) -> Option<T> {
        self.known.push(key);
        let path = Path::Field(self.path, key);
        match self.entries.get(key) {
            Some(entry) => T::decode(&entry.node, &path, decoder),
            None => {
                // Fields that the whole document lacks have no better place than the document.
                let line = self.line.filter(|_| !matches!(self.path, Path::Root));
                T::absent(&path, line, decoder)
            }
        }
    }

    /// Reports what no one took. `None` if the map was not in order.
    pub(crate) fn close(self, decoder: &mut Decoder<'_>) -> Option<()> {
        let mut clean = self.clean;
        for entry in self.order.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            clean = false;
            if decoder.is_full() {
                decoder.unshown += 1;
                continue;
            }
            let hint = did_you_mean_field(&entry.key, &self.known);
            let at = Path::Field(self.path, &entry.key).to_string();
            let problem = Problem::new("unknown-field", "is not a field of a descriptor").at(at);
            decoder.push(Problem { line: entry.line, hint: Some(hint), ..problem });
        }
        clean.then_some(())
    }
}

fn did_you_mean_field(key: &str, known: &[&'static str]) -> String {
    // The distance costs the product of the lengths; no field is that long.
    let near = if key.len() <= 64 { did_you_mean(key, known.iter().copied()) } else { None };
    match near {
        Some(field) => format!("did you mean `{field}`?"),
        None => format!("the fields here are {}", known.join(", ")),
    }
}

/// Implements [`Decode`] for a struct whose fields are all read under their own names.
macro_rules! record {
    ($type:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::decode::Decode for $type {
            fn decode(
                node: &$crate::tree::Node,
                path: &$crate::decode::Path<'_>,
                decoder: &mut $crate::decode::Decoder<'_>,
            ) -> Option<Self> {
                let mut fields = $crate::decode::Fields::open(node, path, decoder)?;
                $(let $field = fields.take(stringify!($field), decoder);)+
                let clean = fields.close(decoder);
                let value = Self { $($field: $field?),+ };
                clean?;
                if node.is_null() {
                    // Nothing required is missing, yet an empty record says nothing.
                    decoder.wrong_type("a map of fields", node, path, Some("leave it out".into()));
                    return None;
                }
                Some(value)
            }

            fn absent(
                path: &$crate::decode::Path<'_>,
                line: Option<usize>,
                decoder: &mut $crate::decode::Decoder<'_>,
            ) -> Option<Self> {
                // The fields that it requires are named one by one.
                let mut empty = $crate::tree::Node::empty_map();
                empty.line = line;
                Self::decode(&empty, path, decoder)
            }
        }
    };
}
pub(crate) use record;

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        T::decode(node, path, decoder).map(Some)
    }

    fn absent(_: &Path<'_>, _: Option<usize>, _: &mut Decoder<'_>) -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Value::List(items) = &node.value else {
            let hint = match node.text() {
                Some(text) => format!("write it as a list with one element: [\"{}\"]", excerpt(text)),
                None => "leave it out, or write []".into(),
            };
            decoder.wrong_type("a list", node, path, Some(hint));
            return None;
        };
        decoder.list(items, path, T::decode)
    }

    fn absent(_: &Path<'_>, _: Option<usize>, _: &mut Decoder<'_>) -> Option<Self> {
        Some(Vec::new())
    }
}

impl<T: Decode> Decode for BTreeMap<Line, T> {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        decoder.map(node, path, T::decode)
    }

    fn absent(_: &Path<'_>, _: Option<usize>, _: &mut Decoder<'_>) -> Option<Self> {
        Some(Self::new())
    }
}

impl Decode for bool {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value {
            match (scalar.kind, scalar.text.as_str()) {
                (ScalarKind::Bool, text) => return Some(text.eq_ignore_ascii_case("true")),
                (ScalarKind::Override, "true") => return Some(true),
                (ScalarKind::Override, "false") => return Some(false),
                _ => {}
            }
        }
        decoder.wrong_type("true or false", node, path, None);
        None
    }
}
