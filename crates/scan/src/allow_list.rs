//! The allow-list: findings that somebody has looked at and answers for, each with a reason.

use std::collections::BTreeMap;
use std::ops::Range;

use consign_metadata::{Finding, Line, Problem, RuleId, did_you_mean, printable};
use globset::{GlobBuilder, GlobMatcher};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Largest allow-list, in bytes.
pub const ALLOW_LIST_BYTES_MAX: usize = 1 << 18;
/// Most entries of an allow-list.
pub const ALLOW_ENTRIES_MAX: usize = 200;
/// Longest reason and longest pattern of paths, in bytes: they travel in the statement.
pub const ALLOW_TEXT_MAX: usize = 300;

/// The format that this version reads.
const FORMAT: u64 = 1;
const TOP_FIELDS: [&str; 2] = ["format", "allow"];
const ENTRY_FIELDS: [&str; 4] = ["rule", "path", "line", "reason"];

/// What the entries of an allow-list let pass.
#[derive(Clone, Debug)]
pub struct AllowEntry {
    rule: RulePattern,
    path: Line,
    matcher: GlobMatcher,
    line: Option<u64>,
    reason: Line,
    /// Where it stands in the file.
    at: usize,
}

/// One rule, or all of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RulePattern {
    One(RuleId),
    Kind(String),
}

/// Findings that are allowed, as a file has them:
///
/// ```
/// use consign_scan::AllowList;
/// let list = AllowList::parse(r#"
/// format = 1
///
/// [[allow]]
/// rule = "secret/password"          # or "secret/*"
/// path = "tests/fixtures/**"        # as `exclude` has them: `*` stays below a `/`, `**` does not
/// line = 12                         # may be left out
/// reason = "passwords of a database that exists only in the tests"
/// "#).expect("it is well formed");
/// assert_eq!(list.entries().len(), 1);
///
/// let problems = AllowList::parse("format = 1\n[[allow]]\nrule = 'secret/*'\npath = '**'\n").unwrap_err();
/// assert_eq!((problems[0].code, problems[0].line), ("missing-field", Some(2)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    entries: Vec<AllowEntry>,
}

impl AllowEntry {
    /// The pattern of paths.
    pub fn path(&self) -> &Line {
        &self.path
    }

    /// Why it is allowed.
    pub fn reason(&self) -> &Line {
        &self.reason
    }

    /// The line of the file where the entry stands, counted from 1.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether it lets a finding of that rule pass. The descriptor has no path, and nothing in it is let pass.
    fn allows(&self, rule: &RuleId, path: &str, line: Option<u64>) -> bool {
        let of_rule = match &self.rule {
            RulePattern::One(one) => one == rule,
            RulePattern::Kind(kind) => kind == rule.kind(),
        };
        of_rule && self.line.is_none_or(|only| line == Some(only)) && self.matcher.is_match(path)
    }

    fn rule_text(&self) -> String {
        match &self.rule {
            RulePattern::One(rule) => rule.to_string(),
            RulePattern::Kind(kind) => format!("{kind}/*"),
        }
    }
}

impl AllowList {
    /// Reads an allow-list.
    ///
    /// # Errors
    /// All that is wrong, each with its line.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > ALLOW_LIST_BYTES_MAX {
            let message = format!("the file is larger than {ALLOW_LIST_BYTES_MAX} bytes");
            return Err(vec![Problem::new("allow-too-large", message)]);
        }
        let mut reader = Reader::new(text);
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                reader.report("allow-syntax", error.span().unwrap_or_default(), &printable(error.message()));
                return Err(reader.problems);
            }
        };
        let list = reader.list(&table);
        reader.problems.sort_by_key(|problem| problem.line);
        if reader.problems.is_empty() { Ok(list) } else { Err(reader.problems) }
    }

    /// The entries, in the order of the file.
    pub fn entries(&self) -> &[AllowEntry] {
        &self.entries
    }

    /// The first entry that lets a finding pass.
    pub(crate) fn find(&self, finding: &Finding) -> Option<usize> {
        self.find_at(&finding.rule, finding.place.path.as_ref()?.as_str(), finding.place.line)
    }

    /// The first entry that lets findings of a rule at that place pass.
    pub(crate) fn find_at(&self, rule: &RuleId, path: &str, line: Option<u64>) -> Option<usize> {
        self.entries.iter().position(|entry| entry.allows(rule, path, line))
    }

    /// Says of each entry that let nothing pass that it did not; `used` says how much each did, by its place.
    pub(crate) fn unused(&self, used: &BTreeMap<usize, u64>) -> Vec<Problem> {
        let unused = self.entries.iter().enumerate().filter(|(n, _)| !used.contains_key(n));
        unused
            .map(|(_, entry)| {
                let line = entry.line.map_or_else(String::new, |line| format!(", line {line}"));
                let message =
                    format!("nothing of `{}` was found in `{}`{line}", entry.rule_text(), entry.path);
                Problem::new("allow-unused", message)
                    .line(entry.at)
                    .hint("remove the entry, or look what has changed since it was written")
            })
            .collect()
    }
}

/// Collects what is wrong while it reads.
struct Reader {
    line_feeds: Vec<usize>,
    problems: Vec<Problem>,
}

type Fields<'a> = BTreeMap<&'a str, &'a Spanned<DeValue<'a>>>;

impl Reader {
    fn new(text: &str) -> Self {
        Self { line_feeds: text.match_indices('\n').map(|(at, _)| at).collect(), problems: Vec::new() }
    }

    fn list(&mut self, table: &Spanned<DeTable<'_>>) -> AllowList {
        let mut list = AllowList::default();
        // The format first: in another one, the other fields may mean something else.
        match table.get_ref().get("format") {
            Some(value) if integer(value.get_ref()) == Some(FORMAT) => {}
            Some(value) => {
                let message = format!("`format` is not {FORMAT}; the file was made for another version");
                self.report("allow-format", value.span(), &message);
                return list;
            }
            None => {
                let message = format!("`format` is missing; write `format = {FORMAT}`");
                self.report("missing-field", 0..0, &message);
            }
        }
        let fields = self.fields(table.get_ref(), &TOP_FIELDS);
        let Some(entries) = fields.get("allow") else { return list };
        let Some(array) = entries.get_ref().as_array() else {
            self.report("wrong-type", entries.span(), "`allow` is a list of tables: `[[allow]]`");
            return list;
        };
        for entry in array {
            let Some(table) = entry.get_ref().as_table() else {
                self.report("wrong-type", entry.span(), "`allow` is a list of tables: `[[allow]]`");
                continue;
            };
            if list.entries.len() == ALLOW_ENTRIES_MAX {
                let message = format!("there are more than {ALLOW_ENTRIES_MAX} entries");
                self.report("allow-too-many", entry.span(), &message);
                break;
            }
            list.entries.extend(self.entry(table, entry.span()));
        }
        list
    }

    fn entry(&mut self, table: &DeTable<'_>, span: Range<usize>) -> Option<AllowEntry> {
        let fields = self.fields(table, &ENTRY_FIELDS);
        // All are read before any is missed, so that all problems come out at once.
        let rule = self.required(&fields, "rule", &span, Self::rule);
        let path = self.required(&fields, "path", &span, Self::path);
        let reason = self.required(&fields, "reason", &span, Self::line);
        let line = match fields.get("line") {
            None => Some(None),
            Some(value) => match integer(value.get_ref()).filter(|line| *line > 0) {
                Some(line) => Some(Some(line)),
                None => {
                    self.report("wrong-type", value.span(), "`line` is not a number from 1");
                    None
                }
            },
        };
        let (path, matcher) = path?;
        let at = self.line_of(&span);
        Some(AllowEntry { rule: rule?, path, matcher, line: line?, reason: reason?, at })
    }

    /// The fields of a table; those that do not exist are reported.
    fn fields<'t>(&mut self, table: &'t DeTable<'t>, known: &[&'static str]) -> Fields<'t> {
        let mut fields = Fields::new();
        for (name, value) in table {
            let text: &str = name.get_ref();
            if known.contains(&text) {
                fields.insert(text, value);
                continue;
            }
            let message = format!("unknown field `{}`", printable(text));
            let mut problem = Problem::new("unknown-field", message).line(self.line_of(&name.span()));
            if let Some(near) = did_you_mean(text, known.iter().copied()) {
                problem = problem.hint(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        fields
    }

    fn required<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        table: &Range<usize>,
        read: fn(&mut Self, &'static str, &Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Option<T> {
        match fields.get(name) {
            Some(value) => read(self, name, value),
            None => {
                self.report("missing-field", table.clone(), &format!("the entry has no `{name}`"));
                None
            }
        }
    }

    fn line(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Line> {
        let Some(text) = value.get_ref().as_str() else {
            self.report("wrong-type", value.span(), &format!("`{name}` is not a text in quotes"));
            return None;
        };
        if text.len() > ALLOW_TEXT_MAX {
            let message = format!("`{name}` is {} bytes long (at most {ALLOW_TEXT_MAX})", text.len());
            self.report("invalid-text", value.span(), &message);
            return None;
        }
        text.parse().map_err(|e| self.report("invalid-text", value.span(), &format!("`{name}` {e}"))).ok()
    }

    fn rule(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<RulePattern> {
        const KINDS: [&str; 4] = ["secret", "code", "marking", "malformed"];
        let line = self.line(name, value)?;
        let text = line.as_str();
        let kind = text.split_once('/').map_or(text, |(kind, _)| kind);
        if !KINDS.contains(&kind) {
            let mut problem = Problem::new(
                "invalid-text",
                format!("there is no kind of rules called `{}`", printable(kind)),
            )
            .line(self.line_of(&value.span()));
            if let Some(near) = did_you_mean(kind, KINDS) {
                problem = problem.hint(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
            return None;
        }
        if text == format!("{kind}/*") {
            return Some(RulePattern::Kind(kind.to_owned()));
        }
        match text.parse() {
            Ok(rule) => Some(RulePattern::One(rule)),
            Err(error) => {
                self.report("invalid-text", value.span(), &format!("`{name}` {error}"));
                None
            }
        }
    }

    fn path(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<(Line, GlobMatcher)> {
        let line = self.line(name, value)?;
        // `*` does not match `/`, so that nothing is allowed further down than was meant.
        let glob = GlobBuilder::new(line.as_str()).literal_separator(true).backslash_escape(true).build();
        match glob {
            Ok(glob) => Some((line, glob.compile_matcher())),
            Err(error) => {
                self.report("bad-pattern", value.span(), &format!("`{name}`: {}", error.kind()));
                None
            }
        }
    }

    fn report(&mut self, code: &'static str, at: Range<usize>, message: &str) {
        let line = self.line_of(&at);
        self.problems.push(Problem::new(code, message).line(line));
    }

    fn line_of(&self, at: &Range<usize>) -> usize {
        1 + self.line_feeds.partition_point(|&line_feed| line_feed < at.start)
    }
}

/// A plain decimal integer.
fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    (integer.radix() == 10).then(|| integer.as_str().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use consign_metadata::FindingPlace;

    use super::*;

    fn codes(text: &str) -> Vec<(&'static str, usize)> {
        let problems = AllowList::parse(text).unwrap_err();
        problems.iter().map(|problem| (problem.code, problem.line.unwrap())).collect()
    }

    fn finding(rule: &str, path: &str, line: Option<u64>) -> Finding {
        let place = FindingPlace { path: Some(path.parse().unwrap()), member: None, line, excerpt: None };
        Finding { rule: rule.parse().unwrap(), place }
    }

    #[test]
    fn an_entry_allows_what_it_says_and_no_more() {
        let list = AllowList::parse(concat!(
            "format = 1\n",
            "[[allow]]\nrule = 'secret/jwt'\npath = 'docs/*.md'\nreason = 'r'\n",
            "[[allow]]\nrule = 'secret/*'\npath = 'tests/**'\nline = 3\nreason = 'r'\n",
            "[[allow]]\nrule = 'code/*'\npath = '**'\nreason = 'r'\n",
        ))
        .unwrap();
        for (rule, path, line, entry) in [
            ("secret/jwt", "docs/a.md", Some(9), Some(0)),
            ("secret/jwt", "docs/deep/a.md", None, None),
            ("secret/password", "docs/a.md", None, None),
            ("secret/password", "tests/deep/a", Some(3), Some(1)),
            ("secret/password", "tests/deep/a", Some(4), None),
            ("secret/password", "tests/deep/a", None, None),
            ("code/pickle", "any/where", None, Some(2)),
            ("marking/cui", "any/where", None, None),
        ] {
            assert_eq!(list.find(&finding(rule, path, line)), entry, "{rule} {path}");
        }
        let mut descriptor = finding("secret/jwt", "docs/a.md", None);
        descriptor.place.path = None;
        assert_eq!(list.find(&descriptor), None);
        let unused = list.unused(&BTreeMap::from([(1, 5)]));
        assert_eq!(unused.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(2), Some(11)]);
    }

    #[test]
    fn all_problems_come_at_once_with_their_lines() {
        assert_eq!(
            codes(concat!(
                "format = 1\n",          // 1
                "allowed = true\n",      // 2
                "[[allow]]\n",           // 3
                "rule = 'secrets/*'\n",  // 4
                "path = 'a{'\n",         // 5
                "reason = ''\n",         // 6
                "[[allow]]\n",           // 7
                "rule = 'secret/Jwt'\n", // 8
                "path = 7\n",            // 9
                "line = 0\n",            // 10
                "raeson = 'x'\n",        // 11
                "[[allow]]\n",           // 12
                "rule = 'secret/jwt'\n", // 13
                "path = 'a'\n",          // 14
                "reason = ' '\n",        // 15
            )),
            [
                ("unknown-field", 2),
                ("invalid-text", 4),
                ("bad-pattern", 5),
                ("invalid-text", 6),
                ("missing-field", 7),
                ("invalid-text", 8),
                ("wrong-type", 9),
                ("wrong-type", 10),
                ("unknown-field", 11),
                ("invalid-text", 15),
            ]
        );
        assert_eq!(codes("format = 2\nunheard = 'of'\n"), [("allow-format", 1)]);
        assert_eq!(codes(""), [("missing-field", 1)]);
        assert_eq!(codes("format = 1\n= 2\n"), [("allow-syntax", 2)]);
        assert_eq!(codes("format = 1\n[allow]\nrule = 'a'\n"), [("wrong-type", 2)]);
        let entry = "[[allow]]\nrule = 'secret/*'\npath = '**'\nreason = 'r'\n";
        let many = format!("format = 1\n{}", entry.repeat(ALLOW_ENTRIES_MAX + 1));
        assert_eq!(codes(&many), [("allow-too-many", 2 + 4 * ALLOW_ENTRIES_MAX)]);
        assert_eq!(
            codes(&format!(
                "format = 1\n[[allow]]\nrule='secret/*'\npath='**'\nreason='{}'",
                "r".repeat(400)
            )),
            [("invalid-text", 5)]
        );
    }
}
