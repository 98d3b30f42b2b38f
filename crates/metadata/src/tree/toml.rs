//! TOML 1.0 with places.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Lines, Node, ScalarKind, Value, syntax, too_deep};
use crate::limits::JSON_DEPTH_MAX;
use crate::problem::Problem;

/// Parses one document. Dates and times become text.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    // TOML leaves it open whether line ends within texts are normalised; YAML normalises them, and so do we.
    let text = text.replace("\r\n", "\n");
    let lines = Lines::of(&text);
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.line(span.start));
        syntax(line, format!("is not valid TOML: {}", error.message().lines().next().unwrap_or_default()))
    })?;
    let root = map(table.into_inner(), &lines, 1)?;
    Ok(Node::new(1, root))
}

fn map(table: DeTable<'_>, lines: &Lines, depth: usize) -> Result<Value, Problem> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let line = lines.line(key.span().start);
        entries.push(Entry {
            key: key.into_inner().into_owned(),
            line: Some(line),
            node: node(value, lines, depth)?,
        });
    }
    // The parser sorts tables by key; people expect problems in the order of the file.
    entries.sort_by_key(|entry| entry.line);
    Ok(Value::Map(entries))
}

fn node(value: Spanned<DeValue<'_>>, lines: &Lines, depth: usize) -> Result<Node, Problem> {
    let line = lines.line(value.span().start);
    let scalar = |kind, text: String| Ok(Node::scalar(line, kind, text));
    match value.into_inner() {
        DeValue::String(text) => scalar(ScalarKind::Text, text.into_owned()),
        // `0x1F` stays as it was written; the underscores of `1_000` are gone.
        DeValue::Integer(number) => scalar(ScalarKind::Integer, number.to_string()),
        DeValue::Float(number) => scalar(ScalarKind::Float, number.as_str().to_owned()),
        DeValue::Boolean(truth) => scalar(ScalarKind::Bool, truth.to_string()),
        DeValue::Datetime(time) => scalar(ScalarKind::Text, time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) if depth >= JSON_DEPTH_MAX => Err(too_deep(line)),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| node(item, lines, depth + 1));
            Ok(Node::new(line, Value::List(items.collect::<Result<_, _>>()?)))
        }
        DeValue::Table(table) => Ok(Node::new(line, map(table, lines, depth + 1)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_where() {
        for (text, line, message) in [
            ("a = 1\nb =\n", 2, "is not valid TOML: string values must be quoted, expected literal string"),
            ("a = 1\na = 2\n", 2, "is not valid TOML: duplicate key"),
        ] {
            let problem = parse(text).expect_err(text);
            assert_eq!((problem.line, problem.message.as_str()), (Some(line), message), "{text:?}");
        }
    }

    #[test]
    fn the_order_and_spelling_of_the_file_are_kept() {
        let text =
            "z = 1.10\r\na = 0x1F\r\nd = 2024-05-01\r\nm = \"\"\"\r\nx\r\ny\"\"\"\r\n[c]\r\nk = true\r\n";
        let tree = parse(text).unwrap();
        let Value::Map(entries) = &tree.value else { panic!("a map") };
        let seen: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.line, e.node.text())).collect();
        assert_eq!(
            seen,
            [
                ("z", Some(1), Some("1.10")),
                ("a", Some(2), Some("0x1F")),
                ("d", Some(3), Some("2024-05-01")),
                ("m", Some(4), Some("x\ny")),
                ("c", Some(7), None),
            ]
        );
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("a = {}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(JSON_DEPTH_MAX - 1)).is_ok());
        assert!(parse(&nested(JSON_DEPTH_MAX)).is_err());
        assert!(parse(&nested(100_000)).is_err());
        assert!(parse(&format!("{}x = 1", "a.".repeat(100_000))).is_err());
    }
}
