//! JSON as RFC 8259 has it: no comments, no trailing commas, nothing behind the value.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Entry, Lines, Node, ScalarKind, Value, syntax, too_deep};
use crate::limits::JSON_DEPTH_MAX;
use crate::problem::Problem;

/// Parses one value.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    // serde_json says whether it is JSON, to the letter, and bounds the depth of what follows; the other parser
    // says where everything stands, which serde_json does not.
    serde_json::from_str::<serde_json::Value>(text).map_err(|error| {
        let full = error.to_string();
        let what = full.rsplit_once(" at line ").map_or(full.as_str(), |(what, _)| what);
        syntax(error.line(), format!("is not valid JSON: {what}"))
    })?;
    let options = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let lines = Lines::of(text);
    let result = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|error| syntax(error.line_display(), format!("is not valid JSON: {}", error.kind())))?;
    match result.value {
        Some(value) => node(value, &lines, 1),
        None => Err(syntax(1, "is not valid JSON: nothing in it")),
    }
}

fn node(value: ast::Value<'_>, lines: &Lines, depth: usize) -> Result<Node, Problem> {
    let line = lines.line(value.range().start);
    let container = matches!(value, ast::Value::Object(_) | ast::Value::Array(_));
    if container && depth > JSON_DEPTH_MAX {
        return Err(too_deep(line));
    }
    Ok(match value {
        ast::Value::StringLit(text) => Node::scalar(line, ScalarKind::Text, text.value),
        ast::Value::NumberLit(number) => {
            let whole = !number.value.contains(['.', 'e', 'E']);
            let kind = if whole { ScalarKind::Integer } else { ScalarKind::Float };
            Node::scalar(line, kind, number.value)
        }
        ast::Value::BooleanLit(truth) => Node::scalar(line, ScalarKind::Bool, truth.value.to_string()),
        ast::Value::NullKeyword(_) => Node::scalar(line, ScalarKind::Null, "null"),
        ast::Value::Array(array) => {
            let items = array.elements.into_iter().map(|item| node(item, lines, depth + 1));
            Node::new(line, Value::List(items.collect::<Result<_, _>>()?))
        }
        ast::Value::Object(object) => {
            let entries = object.properties.into_iter().map(|property| {
                let line = lines.line(property.name.range().start);
                let key = property.name.into_string();
                Ok(Entry { key, line: Some(line), node: node(property.value, lines, depth + 1)? })
            });
            Node::new(line, Value::Map(entries.collect::<Result<_, Problem>>()?))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strict_json_passes() {
        for (text, line, message) in [
            ("", 1, "is not valid JSON: EOF while parsing a value"),
            ("{} {}", 1, "is not valid JSON: trailing characters"),
            ("{\n// note\n}", 2, "is not valid JSON: key must be a string"),
            ("{\"a\": 1,\n}", 2, "is not valid JSON: trailing comma"),
            ("{'a': 1}", 1, "is not valid JSON: key must be a string"),
            ("[01]", 1, "is not valid JSON: invalid number"),
            ("[NaN]", 1, "is not valid JSON: expected value"),
            ("[\"\\ud800\"]", 1, "is not valid JSON: unexpected end of hex escape"),
        ] {
            let problem = parse(text).expect_err(text);
            assert_eq!((problem.line, problem.message.as_str()), (Some(line), message), "{text:?}");
        }
    }

    #[test]
    fn numbers_keep_their_spelling() {
        let tree = parse("[1.10, -0, 1e5, \"\\u00e9\"]").unwrap();
        let Value::List(items) = &tree.value else { panic!("a list") };
        let texts: Vec<_> = items.iter().filter_map(Node::text).collect();
        assert_eq!(texts, ["1.10", "-0", "1e5", "é"]);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(JSON_DEPTH_MAX)).is_ok());
        assert!(parse(&nested(JSON_DEPTH_MAX + 1)).is_err());
        assert!(parse(&nested(100_000)).is_err());
    }
}
