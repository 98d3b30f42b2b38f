//! YAML 1.2 without its traps: a plain tree of maps, lists and scalars of the core schema.
//!
//! Refused, because what a person sees would not be what a program reads: anchors and aliases (also: text that
//! explodes), explicit tags, merge keys, several documents, keys that are not scalars. What other tools wrote, and what
//! is only a hint, may be read with them ([`parse_foreign`]).

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{Entry, Node, Scalar, ScalarKind, Value, syntax, too_deep};
use crate::limits::JSON_DEPTH_MAX;
use crate::problem::Problem;

/// Most nodes that are kept for the aliases of one text and put in for them, so that no text explodes.
const ALIASED_NODES_MAX: usize = 10_000;

/// Parses one document. A text without any content is null.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    parse_with(text, Builder::default())
}

/// Parses one document of another tool's, as the safe loaders of others do: aliases stand for what they name, within
/// bounds, `<<` merges maps, and the tags of the core schema say what a scalar is.
pub(crate) fn parse_foreign(text: &str) -> Result<Node, Problem> {
    parse_with(text, Builder { foreign: Some(Foreign::default()), ..Builder::default() })
}

fn parse_with(text: &str, mut builder: Builder) -> Result<Node, Problem> {
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| invalid(error.marker().line(), error.info()))?;
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or_else(|| Node::scalar(1, ScalarKind::Null, "")))
}

/// The parser's message, and the way out of the commonest mistakes.
fn invalid(line: usize, info: &str) -> Problem {
    let problem = syntax(line, format!("is not valid YAML: {}", info.trim_end_matches('.')));
    if info.contains(" tab") {
        problem.hint("indent with spaces, never with tabs")
    } else if info.contains("mapping values are not allowed") {
        problem.hint("text that holds `: ` needs quotes")
    } else {
        problem
    }
}

fn unsupported(span: Span, what: &str, hint: &str) -> Problem {
    let message = format!("{what} are not supported");
    Problem::new("unsupported-yaml", message).line(span.start.line()).hint(hint)
}

/// Puts events together; the stack holds the containers that are still open.
#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    /// What only texts of other tools may hold.
    foreign: Option<Foreign>,
}

/// What aliases may stand for.
#[derive(Default)]
struct Foreign {
    anchored: HashMap<usize, Node>,
    aliased_nodes: usize,
}

impl Foreign {
    /// Counts what is kept for aliases, or put in for one; gives how deep it nests.
    fn count(&mut self, node: &Node, span: Span) -> Result<usize, Problem> {
        let (nodes, depth) = extent(node);
        self.aliased_nodes = self.aliased_nodes.saturating_add(nodes);
        if self.aliased_nodes > ALIASED_NODES_MAX {
            return Err(unsupported(span, "aliases of that much", "write the values out where they belong"));
        }
        Ok(depth)
    }
}

/// A container whose end has not come yet.
struct Open {
    line: usize,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map(OpenMap),
}

/// The entries so far, and the key that waits for its value.
#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    key: Option<Key>,
    /// What `<<` names.
    merged: Vec<Node>,
}

enum Key {
    Plain(String, usize),
    Merge,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let hint = "keep one document; `---` may stand only at the beginning";
                    return Err(unsupported(span, "several documents in one file", hint));
                }
            }
            Event::Alias(id) => {
                let node = self.aliased(id, span)?;
                if !self.expects_key() {
                    self.finish(node, 0, span)?;
                } else if let Some(text) = node.text().map(str::to_owned) {
                    self.key(text, ScalarStyle::DoubleQuoted, span)?;
                } else {
                    return Err(no_scalar_key(span));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_properties(anchor, tag.is_some(), span)?;
                let text = text.into_owned();
                let kind = match tag {
                    Some(tag) => tagged(&tag, &text, span)?,
                    None if style == ScalarStyle::Plain => resolve(&text),
                    None => ScalarKind::Text,
                };
                let node = Node::new(line, Value::Scalar(Scalar { text: text.clone(), kind }));
                if self.expects_key() {
                    self.remember(anchor, &node, span)?;
                    return self.key(text, style, span);
                }
                self.finish(node, anchor, span)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_properties(anchor, tag.is_some(), span)?;
                check_container(tag.as_deref(), "seq", span)?;
                self.open(OpenKind::List(Vec::new()), anchor, span)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.check_properties(anchor, tag.is_some(), span)?;
                check_container(tag.as_deref(), "map", span)?;
                self.open(OpenKind::Map(OpenMap::default()), anchor, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { line, anchor, kind }) = self.stack.pop() {
                    let value = match kind {
                        OpenKind::List(items) => Value::List(items),
                        OpenKind::Map(map) => Value::Map(map.close(span)?),
                    };
                    self.finish(Node::new(line, value), anchor, span)?;
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open { kind: OpenKind::Map(OpenMap { key: None, .. }), .. }))
    }

    fn key(&mut self, text: String, style: ScalarStyle, span: Span) -> Result<(), Problem> {
        let plain = style == ScalarStyle::Plain;
        let merge = plain && text == "<<";
        if merge && self.foreign.is_none() {
            return Err(unsupported(span, "merge keys (`<<`)", "write the fields out where they belong"));
        }
        if plain && resolve(&text) == ScalarKind::Null {
            return Err(syntax(span.start.line(), "a key is missing or null").hint("write the key in quotes"));
        }
        if let Some(Open { kind: OpenKind::Map(map), .. }) = self.stack.last_mut() {
            map.key = Some(if merge { Key::Merge } else { Key::Plain(text, span.start.line()) });
        }
        Ok(())
    }

    fn open(&mut self, kind: OpenKind, anchor: usize, span: Span) -> Result<(), Problem> {
        let line = span.start.line();
        if self.expects_key() {
            return Err(no_scalar_key(span));
        }
        if self.stack.len() >= JSON_DEPTH_MAX {
            return Err(too_deep(line));
        }
        self.stack.push(Open { line, anchor, kind });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize, span: Span) -> Result<(), Problem> {
        self.remember(anchor, &node, span)?;
        match self.stack.last_mut().map(|open| &mut open.kind) {
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map(map)) => match map.key.take() {
                Some(Key::Plain(key, line)) => map.entries.push(Entry { key, line: Some(line), node }),
                Some(Key::Merge) => map.merged.push(node),
                None => {}
            },
            None => self.root = Some(node),
        }
        Ok(())
    }

    /// Keeps what aliases may name. Zero is no anchor.
    fn remember(&mut self, anchor: usize, node: &Node, span: Span) -> Result<(), Problem> {
        if let Some(foreign) = self.foreign.as_mut().filter(|_| anchor != 0) {
            foreign.count(node, span)?;
            foreign.anchored.insert(anchor, node.clone());
        }
        Ok(())
    }

    /// What an alias stands for.
    fn aliased(&mut self, id: usize, span: Span) -> Result<Node, Problem> {
        let Some(foreign) = &mut self.foreign else {
            return Err(unsupported(span, "aliases (`*name`)", "write the value out where it belongs"));
        };
        // Within its own anchor an alias stands for nothing that is complete.
        let Some(node) = foreign.anchored.get(&id).cloned() else {
            return Err(unsupported(span, "aliases of what they stand in", "write the value out"));
        };
        let depth = foreign.count(&node, span)?;
        if self.stack.len() + depth > JSON_DEPTH_MAX {
            return Err(too_deep(span.start.line()));
        }
        Ok(node)
    }

    fn check_properties(&self, anchor: usize, tagged: bool, span: Span) -> Result<(), Problem> {
        if self.foreign.is_some() {
            return Ok(());
        }
        if anchor != 0 {
            let hint = "remove it; text that begins with `&` needs quotes";
            return Err(unsupported(span, "anchors (`&name`)", hint));
        }
        if tagged {
            let hint = "remove it; text that begins with `!` needs quotes";
            return Err(unsupported(span, "explicit tags (`!name`)", hint));
        }
        Ok(())
    }
}

impl OpenMap {
    /// The entries, and behind them what `<<` adds: what is said here wins, then what was named first.
    fn close(mut self, span: Span) -> Result<Vec<Entry>, Problem> {
        let mut sources = Vec::new();
        for node in self.merged {
            match node.value {
                Value::Map(entries) => sources.push(entries),
                Value::List(items) => {
                    for item in items {
                        let Value::Map(entries) = item.value else { return Err(no_map_to_merge(span)) };
                        sources.push(entries);
                    }
                }
                Value::Scalar(_) => return Err(no_map_to_merge(span)),
            }
        }
        if !sources.is_empty() {
            let mut known: std::collections::HashSet<String> =
                self.entries.iter().map(|entry| entry.key.clone()).collect();
            for entries in sources {
                // Of a key that stands twice in what is merged, the last counts, as everywhere in such texts.
                let mut last: Vec<Entry> = Vec::new();
                for entry in entries.into_iter().rev() {
                    if known.insert(entry.key.clone()) {
                        last.push(entry);
                    }
                }
                self.entries.extend(last.into_iter().rev());
            }
        }
        Ok(self.entries)
    }
}

fn no_map_to_merge(span: Span) -> Problem {
    unsupported(span, "merge keys (`<<`) of what is no map", "write the fields out where they belong")
}

fn no_scalar_key(span: Span) -> Problem {
    unsupported(span, "keys that are lists or maps", "use plain words as keys")
}

/// How many nodes there are, and how deep they lie.
fn extent(node: &Node) -> (usize, usize) {
    let children: Vec<_> = match &node.value {
        Value::Scalar(_) => return (1, 0),
        Value::List(items) => items.iter().map(extent).collect(),
        Value::Map(entries) => entries.iter().map(|entry| extent(&entry.node)).collect(),
    };
    let nodes = children.iter().fold(1_usize, |sum, (nodes, _)| sum.saturating_add(*nodes));
    (nodes, 1 + children.iter().map(|(_, depth)| *depth).max().unwrap_or(0))
}

/// What a tag of the core schema makes of a scalar. Others make objects, or nothing that a card holds.
fn tagged(tag: &Tag, text: &str, span: Span) -> Result<ScalarKind, Problem> {
    let fits = |kind: ScalarKind| if resolve(text) == kind { Some(kind) } else { None };
    let kind = match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") => Some(ScalarKind::Text),
        (true, "null") => fits(ScalarKind::Null),
        (true, "bool") => fits(ScalarKind::Bool),
        (true, "int") => fits(ScalarKind::Integer),
        (true, "float") => {
            matches!(resolve(text), ScalarKind::Float | ScalarKind::Integer).then_some(ScalarKind::Float)
        }
        _ => None,
    };
    kind.ok_or_else(|| other_tag(span))
}

fn check_container(tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), Problem> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => Err(other_tag(span)),
        _ => Ok(()),
    }
}

fn other_tag(span: Span) -> Problem {
    let hint = "remove it; text that begins with `!` needs quotes";
    unsupported(span, "explicit tags (`!name`) but those of plain values", hint)
}

/// What a plain scalar is by the core schema (YAML 1.2.2, section 10.3.2).
pub(crate) fn resolve(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return ScalarKind::Bool,
        ".nan" | ".NaN" | ".NAN" => return ScalarKind::Float,
        _ => {}
    }
    let based = |prefix: &str, base: u32| {
        text.strip_prefix(prefix).is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_digit(base)))
    };
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits(unsigned) || based("0o", 8) || based("0x", 16) {
        return ScalarKind::Integer;
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return ScalarKind::Float;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            (digits(whole) && (fraction.is_empty() || digits(fraction)))
                || (whole.is_empty() && digits(fraction))
        }
        None => digits(mantissa),
    };
    if mantissa_fits && exponent.is_none_or(digits) { ScalarKind::Float } else { ScalarKind::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        use ScalarKind::{Bool, Float, Integer, Null, Text};
        for (text, kind) in [
            ("", Null),
            ("~", Null),
            ("null", Null),
            ("nULL", Text),
            ("true", Bool),
            ("FALSE", Bool),
            ("yes", Text),
            ("no", Text),
            ("on", Text),
            ("0", Integer),
            ("-12", Integer),
            ("+12", Integer),
            ("007", Integer),
            ("0o17", Integer),
            ("0x1F", Integer),
            ("0x", Text),
            ("-0x1F", Text),
            ("1_000", Text),
            ("1.0", Float),
            ("1.", Float),
            (".5", Float),
            (".", Text),
            ("-.5e-3", Float),
            ("1e5", Float),
            ("1e", Text),
            ("1.0.0", Text),
            (".inf", Float),
            ("-.INF", Float),
            (".nan", Float),
            ("2024-01-01", Text),
        ] {
            assert_eq!(resolve(text), kind, "{text:?}");
        }
    }

    #[test]
    fn the_traps_of_yaml_are_refused_with_their_line() {
        for (text, line, message) in [
            ("a: &x 1\nb: 2\n", 1, "anchors (`&name`) are not supported"),
            ("a: 1\nb: *a\n", 2, "is not valid YAML: while parsing node, found unknown anchor"),
            ("a: 1\nb: !!str 2\n", 2, "explicit tags (`!name`) are not supported"),
            ("a: 1\n<<: {b: 1}\n", 2, "merge keys (`<<`) are not supported"),
            ("a: 1\n---\nb: 2\n", 2, "several documents in one file are not supported"),
            ("a: 1\n? [b]\n: 2\n", 2, "keys that are lists or maps are not supported"),
            ("a: 1\n: 2\n", 2, "a key is missing or null"),
        ] {
            let problem = parse(text).expect_err(text);
            assert_eq!((problem.line, problem.message.as_str()), (Some(line), message), "{text:?}");
        }
    }

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) => format!("{}:{:?}", scalar.text, scalar.kind),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let shown = |entry: &Entry| format!("{}={}", entry.key, shown(&entry.node));
                format!("{{{}}}", entries.iter().map(shown).collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn field_c1_texts_of_others_may_have_aliases_merges_and_plain_tags() {
        for (text, expected) in [
            ("a: &x mit\nb: *x\n", "{a=mit:Text b=mit:Text}"),
            ("a: &x [1]\nb: [*x, *x]\n", "{a=[1:Integer] b=[[1:Integer] [1:Integer]]}"),
            ("a: !!str 1\nb: !!float 2\nc: !!seq [!!null ~]\n", "{a=1:Text b=2:Float c=[~:Null]}"),
            (
                "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n",
                "{a={k=1:Integer l=2:Integer} b={k=3:Integer l=2:Integer}}",
            ),
            ("b: {<<: [{k: 1}, {k: 2, m: 3}]}\n", "{b={k=1:Integer m=3:Integer}}"),
            ("\"<<\": 1\n", "{<<=1:Integer}"),
            ("&k a: 1\nb: *k\n", "{a=1:Integer b=a:Text}"),
        ] {
            let tree = parse_foreign(text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
            assert_eq!(shown(&tree), expected, "{text}");
        }
        for bad in [
            "a: !!python/object:os.system x\n",
            "a: !x y\n",
            "a: &x [*x]\n",
            "a: {<<: 1}\n",
            "a: {<<: [1]}\n",
            "a: !!int x\n",
            "a: !!map [1]\n",
            "a: 1\n--- \nb: 2\n",
        ] {
            assert!(parse_foreign(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn field_c1_aliases_explode_nothing() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let names = vec![format!("*a{}", n - 1); 9].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{names}]\n"));
        }
        let problem = parse_foreign(&text).unwrap_err();
        assert!(problem.message.contains("aliases of that much"), "{problem}");
        let mut deep = String::from("a0: &a0 [x]\n");
        (1..200).for_each(|n| deep.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1)));
        assert!(parse_foreign(&deep).is_err());
    }

    #[test]
    fn places_and_repeated_keys_are_kept() {
        let tree =
            parse("# note\r\na: 1\r\nb:\r\n  - x\r\n  - y: 'q'\r\na: |\r\n  two\r\n  lines\r\n").unwrap();
        let Value::Map(entries) = &tree.value else { panic!("a map") };
        let keys: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect();
        assert_eq!(keys, [("a", Some(2)), ("b", Some(3)), ("a", Some(6))]);
        assert_eq!(entries[2].node.text(), Some("two\nlines\n"));
        let Value::List(items) = &entries[1].node.value else { panic!("a list") };
        assert_eq!(items[1].line, Some(5));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(JSON_DEPTH_MAX)).is_ok());
        for text in [nested(JSON_DEPTH_MAX + 1), nested(100_000), "- ".repeat(100_000)] {
            assert!(parse(&text).is_err());
        }
    }
}
