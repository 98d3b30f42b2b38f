//! Where the YAML in front of a card begins and ends, as the Hub sees it.
//!
//! The Hub takes for front matter what stands between a line `---`, with nothing but white space before it, and the next
//! line `---` that does not follow at once (`REGEX_YAML_BLOCK` in `huggingface_hub/repocard.py`). What a person meant as
//! front matter, and the Hub does not see, is told apart, so that none of it is taken for a description.

/// Lines at the beginning in which front matter is looked for where it does not belong.
const MISPLACED_LINES: usize = 100;

/// Fields that nothing but front matter has at the beginning of a line.
const TELLING_FIELDS: [&str; 12] = [
    "license",
    "license_name",
    "language",
    "tags",
    "library_name",
    "pipeline_tag",
    "base_model",
    "datasets",
    "model-index",
    "pretty_name",
    "task_categories",
    "size_categories",
];

/// A card, cut in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrontMatter<'t> {
    /// There is none.
    None,
    /// YAML, with the number of lines before it, and what follows.
    Found {
        yaml: &'t str,
        lines_before: usize,
        body: &'t str,
        /// Whether blanks behind the first `---` keep the Hub from seeing it.
        hidden_from_hub: bool,
    },
    /// It begins on this line and never ends.
    Unclosed(usize),
    /// Fields stand on this line, where no front matter is.
    Misplaced(usize),
}

impl<'t> FrontMatter<'t> {
    /// Finds it in a text whose lines end in `\n`.
    pub(super) fn of(text: &'t str) -> Self {
        let mut lines = Lines { rest: text, number: 0, at: 0 };
        let opening = loop {
            match lines.next() {
                Some(line) if line.trim_matches(is_blank).is_empty() => {}
                Some(line) => break line,
                None => return Self::None,
            }
        };
        if opening.trim_matches(is_blank) != "---" {
            return misplaced(text);
        }
        let hidden_from_hub = !opening.trim_end_matches('\n').ends_with("---");
        let (start, lines_before) = (lines.at, lines.number);
        let mut empty = None;
        while let Some(line) = lines.next() {
            let is_end = line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty());
            if is_end && lines.number == lines_before + 1 {
                empty = Some(lines.at);
            } else if is_end {
                let end = lines.at - line.len();
                let yaml = &text[start..end];
                return Self::Found { yaml, lines_before, body: &text[lines.at..], hidden_from_hub };
            }
        }
        match empty {
            Some(end) => Self::Found { yaml: "", lines_before, body: &text[end..], hidden_from_hub },
            // Otherwise the line is a rule across the page.
            None if text[start..].lines().take_while(|line| !line.trim().is_empty()).any(is_field) => {
                Self::Unclosed(lines_before)
            }
            None => misplaced(text),
        }
    }
}

/// White space, as the Hub's parsers in Python and JavaScript see it together.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{1c}'..='\u{1f}')
}

/// Whether a line is `key:` or `key: value`.
fn is_field(line: &str) -> bool {
    line.split_once(':').is_some_and(|(key, rest)| {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        !key.is_empty() && key.chars().all(word) && (rest.is_empty() || rest.starts_with([' ', '\t']))
    })
}

/// Fields that stand where only text is looked for, with a `---` somewhere around them.
fn misplaced(text: &str) -> FrontMatter<'_> {
    let mut fenced = false;
    let mut ruled = false;
    let mut found = None;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            fenced = !fenced;
        }
        ruled |= line.trim_matches(is_blank) == "---";
        let telling = is_field(line) && TELLING_FIELDS.iter().any(|key| line.split(':').next() == Some(key));
        if !fenced && telling && index < MISPLACED_LINES {
            found = found.or(Some(index + 1));
        }
        if index >= MISPLACED_LINES && found.is_none() {
            break;
        }
    }
    found.filter(|_| ruled).map_or(FrontMatter::None, FrontMatter::Misplaced)
}

/// Lines with their ends, counted.
struct Lines<'t> {
    rest: &'t str,
    number: usize,
    at: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Option<&'t str> {
        let line = self.rest.split_inclusive('\n').next()?;
        self.rest = &self.rest[line.len()..];
        self.number += 1;
        self.at += line.len();
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(&str, usize, &str)> {
        match FrontMatter::of(text) {
            FrontMatter::Found { yaml, lines_before, body, .. } => Some((yaml, lines_before, body)),
            _ => None,
        }
    }

    #[test]
    fn field_c1_front_matter_is_where_the_hub_sees_it() {
        for (text, expected) in [
            ("---\na: 1\n---\nT\n", Some(("a: 1\n", 1, "T\n"))),
            ("\n\n  \t\n---\na: 1\n---\nT\n", Some(("a: 1\n", 4, "T\n"))),
            ("  ---\na: 1\n--- \t\nT\n", Some(("a: 1\n", 1, "T\n"))),
            ("\u{feff}---\na: 1\n---", Some(("a: 1\n", 1, ""))),
            ("\u{feff}\n---\na: 1\n---", Some(("a: 1\n", 2, ""))),
            ("---\n\n---\nT\n", Some(("\n", 1, "T\n"))),
            ("---\n---\nT\n", Some(("", 1, "T\n"))),
            ("---\n---\na: 1\n---\nT\n", Some(("---\na: 1\n", 1, "T\n"))),
            ("---\na: 1\n----\n---x\n ---\n---\n", Some(("a: 1\n----\n---x\n ---\n", 1, ""))),
            ("--- \na: 1\n---\nT\n", Some(("a: 1\n", 1, "T\n"))),
            ("T\n---\na: 1\n---\n", None),
            ("---\n\n# T\n", None),
            ("", None),
            ("---", None),
        ] {
            assert_eq!(found(text), expected, "{text:?}");
        }
        assert!(matches!(
            FrontMatter::of("--- \na: 1\n---\n"),
            FrontMatter::Found { hidden_from_hub: true, .. }
        ));
    }

    #[test]
    fn field_c1_what_was_meant_as_front_matter_is_told_apart() {
        for (text, expected) in [
            ("---\nlicense: mit\n\n# T\n", FrontMatter::Unclosed(1)),
            ("\n---\nlicense: mit\n...\n# T\n", FrontMatter::Unclosed(2)),
            ("---\na: 1\n ---\n", FrontMatter::Unclosed(1)),
            ("license: mit\n---\n# T\n", FrontMatter::Misplaced(1)),
            ("<!-- x -->\n---\nlicense: mit\n---\n# T\n", FrontMatter::Misplaced(3)),
            ("# T\n\nSome text.\n\n---\n\nMore: text.\n", FrontMatter::None),
            ("# T\n\n```\n---\nlicense: mit\n---\n```\n", FrontMatter::None),
            ("---\nA rule above a text: yes.\n", FrontMatter::None),
        ] {
            assert_eq!(FrontMatter::of(text), expected, "{text:?}");
        }
    }
}
