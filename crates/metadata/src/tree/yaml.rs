//! YAML 1.2 without its traps: a plain tree of maps, lists and scalars of the core schema.
//!
//! Refused, because what a person sees would not be what a program reads: anchors and aliases (also: text that
//! explodes), explicit tags, merge keys, several documents, keys that are not scalars.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Entry, Node, Scalar, ScalarKind, Value, syntax, too_deep};
use crate::limits::JSON_DEPTH_MAX;
use crate::problem::Problem;

/// Parses one document. A text without any content is null.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let mut builder = Builder::default();
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
}

/// A container whose end has not come yet.
struct Open {
    line: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    /// The entries so far, and the key that waits for its value.
    Map(Vec<Entry>, Option<(String, usize)>),
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
            Event::Alias(_) => {
                return Err(unsupported(span, "aliases (`*name`)", "write the value out where it belongs"));
            }
            Event::Scalar(text, style, anchor, tag) => {
                check_properties(anchor, tag.is_some(), span)?;
                let text = text.into_owned();
                if self.expects_key() {
                    return self.key(text, style, span);
                }
                let kind = if style == ScalarStyle::Plain { resolve(&text) } else { ScalarKind::Text };
                self.finish(Node::new(line, Value::Scalar(Scalar { text, kind })));
            }
            Event::SequenceStart(anchor, tag) => {
                check_properties(anchor, tag.is_some(), span)?;
                self.open(OpenKind::List(Vec::new()), span)?;
            }
            Event::MappingStart(anchor, tag) => {
                check_properties(anchor, tag.is_some(), span)?;
                self.open(OpenKind::Map(Vec::new(), None), span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { line, kind }) = self.stack.pop() {
                    let value = match kind {
                        OpenKind::List(items) => Value::List(items),
                        OpenKind::Map(entries, _) => Value::Map(entries),
                    };
                    self.finish(Node::new(line, value));
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open { kind: OpenKind::Map(_, None), .. }))
    }

    fn key(&mut self, text: String, style: ScalarStyle, span: Span) -> Result<(), Problem> {
        let plain = style == ScalarStyle::Plain;
        if plain && text == "<<" {
            return Err(unsupported(span, "merge keys (`<<`)", "write the fields out where they belong"));
        }
        if plain && resolve(&text) == ScalarKind::Null {
            return Err(syntax(span.start.line(), "a key is missing or null").hint("write the key in quotes"));
        }
        if let Some(Open { kind: OpenKind::Map(_, key), .. }) = self.stack.last_mut() {
            *key = Some((text, span.start.line()));
        }
        Ok(())
    }

    fn open(&mut self, kind: OpenKind, span: Span) -> Result<(), Problem> {
        let line = span.start.line();
        if self.expects_key() {
            return Err(unsupported(span, "keys that are lists or maps", "use plain words as keys"));
        }
        if self.stack.len() >= JSON_DEPTH_MAX {
            return Err(too_deep(line));
        }
        self.stack.push(Open { line, kind });
        Ok(())
    }

    fn finish(&mut self, node: Node) {
        match self.stack.last_mut().map(|open| &mut open.kind) {
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map(entries, key)) => {
                if let Some((key, line)) = key.take() {
                    entries.push(Entry { key, line: Some(line), node });
                }
            }
            None => self.root = Some(node),
        }
    }
}

fn check_properties(anchor: usize, tagged: bool, span: Span) -> Result<(), Problem> {
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

    #[test]
    fn places_and_repeated_keys_are_kept() {
        let tree =
            parse("# note\r\na: 1\r\nb:\r\n  - x\r\n  - y: 'q'\r\na: |\r\n  two\r\n  lines\r\n").unwrap();
        let Value::Map(entries) = &tree.value else { panic!("a map") };
        let keys: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect();
        assert_eq!(keys, [("a", Some(2)), ("b", Some(3)), ("a", Some(6))]);
        assert_eq!(entries[2].node.text(), Some("two\nlines\n"));
        assert_eq!(entries[1].node.items()[1].line, Some(5));
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
