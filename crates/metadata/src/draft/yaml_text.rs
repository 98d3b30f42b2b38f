//! Writing YAML that every reader takes for the same: block style, and quotes wherever a doubt could arise.

use serde_json::Value;

use crate::tree::{ScalarKind, yaml};
use crate::unicode::{is_deceptive, is_unassigned};

/// Longest key that YAML lets stand before a colon on one line (YAML 1.2.2, section 8.2.2), with room to spare.
const SIMPLE_KEY_MAX: usize = 1000;

/// Writes one member of a block map, at `indent` spaces. Empty lists and maps are `[]` and `{}`.
pub(super) fn write_member(out: &mut String, indent: usize, key: &str, value: &Value) {
    let key = inline(key);
    pad(out, indent);
    if key.chars().count() > SIMPLE_KEY_MAX {
        out.push_str("? ");
        out.push_str(&key);
        out.push('\n');
        pad(out, indent);
        out.push(':');
    } else {
        out.push_str(&key);
        out.push(':');
    }
    write_value(out, indent, value);
}

/// Writes what follows a colon, with the line's end.
fn write_value(out: &mut String, indent: usize, value: &Value) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            items.iter().for_each(|item| write_item(out, indent + 2, item));
        }
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            members.iter().for_each(|(key, value)| write_member(out, indent + 2, key, value));
        }
        Value::String(text) if fits_block(text) => {
            out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in text.lines() {
                if !line.is_empty() {
                    pad(out, indent + 2);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        _ => {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// Writes one element of a block list.
fn write_item(out: &mut String, indent: usize, item: &Value) {
    pad(out, indent);
    out.push('-');
    match item {
        Value::Object(members) if !members.is_empty() => {
            // The first member stands behind the dash, the others below it.
            let mut block = String::new();
            members.iter().for_each(|(key, value)| write_member(&mut block, indent + 2, key, value));
            out.push(' ');
            out.push_str(block.trim_start_matches(' '));
        }
        _ => write_value(out, indent, item),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => inline(text),
        Value::Array(_) => "[]".into(),
        Value::Object(_) => "{}".into(),
        other => other.to_string(),
    }
}

/// Text on one line: as it is where nobody can take it for anything else, in double quotes otherwise.
pub(super) fn inline(text: &str) -> String {
    if fits_plain(text) { text.to_owned() } else { quoted(text) }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn fits_plain(text: &str) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '(' | '.'));
    begins_well
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(shows)
        && yaml::resolve(text) == ScalarKind::Text
        && !older_readers_differ(text)
}

/// Whether YAML 1.1, which many tools still speak, reads a truth value or a number where 1.2 reads text.
fn older_readers_differ(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    if matches!(word.as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null") {
        return true;
    }
    // Octal, hexadecimal, underscored and sexagesimal numbers; a bundle version is none of them.
    let numeric = |c: char| c.is_ascii_hexdigit() || matches!(c, '_' | ':' | '.' | '+' | '-' | 'x' | 'o');
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.chars().all(numeric)
        && text.parse::<crate::BundleVersion>().is_err()
        && text.parse::<crate::Date>().is_err()
}

/// Whether the character shows on a line, so that it may stand unescaped.
fn shows(c: char) -> bool {
    !is_deceptive(c) && !is_unassigned(c)
}

/// Whether text of several lines comes back unchanged from a literal block.
fn fits_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with(['\n', ' '])
        && !text.ends_with("\n\n")
        && text != "\n"
        && text.chars().all(|c| c == '\n' || shows(c))
        && text.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if shows(c) => out.push(c),
            c => match u32::from(c) {
                code @ 0..=0xFFFF => out.push_str(&format!("\\u{code:04X}")),
                code => out.push_str(&format!("\\U{code:08X}")),
            },
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::tree::{Node, Value as Tree};

    /// What our parser reads, as JSON; every scalar as text.
    fn read(node: &Node) -> Value {
        match &node.value {
            Tree::Scalar(scalar) if scalar.kind == ScalarKind::Text => json!(scalar.text),
            Tree::Scalar(scalar) => serde_json::from_str(&scalar.text).expect("numbers and the like"),
            Tree::List(items) => items.iter().map(read).collect(),
            Tree::Map(entries) => entries.iter().map(|e| (e.key.clone(), read(&e.node))).collect(),
        }
    }

    fn comes_back(value: &Value) {
        let mut text = String::new();
        write_member(&mut text, 0, "a", value);
        write_member(&mut text, 0, "z", &json!("end"));
        let tree = yaml::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        assert_eq!(read(tree.get("a").expect("it was written")), *value, "{text}");
        assert_eq!(tree.get("z").and_then(Node::text), Some("end"), "{text}");
    }

    #[test]
    fn nasty_texts_come_back() {
        for text in [
            "",
            " ",
            "a",
            "a: b",
            "a #b",
            "#",
            "- a",
            "-",
            "?",
            "yes",
            "No",
            "on",
            "null",
            "~",
            "1",
            "1.0",
            "1e5",
            "0x1F",
            "0o7",
            "1_000",
            "12:30:45",
            "1.0.0",
            "2024-05-01",
            "true",
            "\"q\"",
            "'q'",
            "\\",
            "a\\nb",
            "a:",
            ":a",
            "{",
            "[a]",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "%",
            "@",
            "`",
            "a\nb",
            "a\nb\n",
            "a\n\nb",
            "\na",
            " a\nb",
            "a\n  b\nc",
            "a\n",
            "a\n\n",
            "\n",
            "\n\n",
            "a\n \nb",
            "# a\n# b",
            "--- a",
            "---",
            "...",
            "---\n...",
            "a\tb",
            "\ta\nb",
            "a\n\tb",
            "é",
            "北京",
            "a\u{200d}b",
            "😀",
            "a\u{2028}b",
            "a\u{feff}b",
            "a\u{e000}",
            "<<",
            "=",
            "a, b",
            "http://x/#y",
            "key: |",
            "a\n---\nb",
            "a \nb ",
            "x\r\ny",
            "\u{0}",
        ] {
            comes_back(&json!(text));
            comes_back(&json!([text]));
            comes_back(&json!({text: text}));
            comes_back(&json!([{"k": text, text: [text, {}], "l": []}, [text]]));
        }
        comes_back(&json!({"k".repeat(1024): {"a": 1}, "é".repeat(400): [1]}));
    }

    #[test]
    fn nothing_is_quoted_without_need() {
        for text in [
            "Ada Lovelace",
            "1.0.0",
            "2024-05-01T12:00:00Z",
            "https://x.org/a",
            "8 × A100",
            "AES-256",
            "*.log",
        ] {
            assert_eq!(inline(text) == text, text != "*.log", "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*|[ \\n\\t#:'\"a\\-|>]{0,12}", depth in 0..3) {
            let mut value = json!(text);
            for _ in 0..depth {
                value = json!([{text.clone(): value}]);
            }
            comes_back(&value);
        }
    }
}
