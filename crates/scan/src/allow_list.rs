//! The allow-list: findings that somebody has looked at and answers for, each with a reason.

use std::collections::BTreeMap;

use consign_metadata::pattern::{Subject, compile};
use consign_metadata::{
    Finding, Line, Problem, RuleId, Sha256Digest, TextError, TomlFormat, TomlReader, TomlTable, TomlValue,
    did_you_mean, printable,
};
use globset::GlobMatcher;

/// Largest allow-list, in bytes.
pub const ALLOW_LIST_BYTES_MAX: usize = 1 << 18;
/// Most entries of an allow-list.
pub const ALLOW_ENTRIES_MAX: usize = 200;
/// Longest reason and longest pattern of paths, in bytes: they travel in the statement.
pub const ALLOW_TEXT_MAX: usize = 300;

/// The format that this version reads.
const FORMAT: TomlFormat = TomlFormat {
    version: 1,
    bytes_max: ALLOW_LIST_BYTES_MAX,
    too_large: "allow-too-large",
    malformed: "allow-syntax",
    other_version: "allow-format",
};
const TOP_FIELDS: [&str; 1] = ["allow"];
const ENTRY_FIELDS: [&str; 5] = ["rule", "path", "line", "sha256", "reason"];
/// The kind of rules of which nothing passes by a pattern.
const SECRET: &str = "secret";
/// Shortest reason for letting a secret pass, in letters: a word is none.
const REASON_MIN: usize = 15;

/// What the entries of an allow-list let pass.
#[derive(Clone, Debug)]
pub struct AllowEntry {
    rule: RulePattern,
    path: Line,
    matcher: GlobMatcher,
    line: Option<u64>,
    sha256: Option<Sha256Digest>,
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
/// rule = "secret/password"
/// path = "tests/fixtures/db.env"    # of secrets each file by itself; other rules may have patterns, as `exclude` has them
/// line = 12                         # or `sha256` of the file; other rules may do without
/// reason = "passwords of a database that exists only in the tests"
/// "#).expect("it is well formed");
/// assert_eq!(list.entries().len(), 1);
///
/// let problems = AllowList::parse("format = 1\n[[allow]]\nrule = 'secret/*'\npath = '**'\nreason = 'because'\n").unwrap_err();
/// assert_eq!((problems[0].code, problems[0].line), ("allow-too-wide", Some(2)));
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

    /// The file that it is about, if it is about one with just this content.
    pub fn sha256(&self) -> Option<&Sha256Digest> {
        self.sha256.as_ref()
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

    /// Why it would let a secret pass that nobody has looked at; `None` if it does not.
    fn wide(&self) -> Option<(&'static str, &'static str)> {
        match &self.rule {
            RulePattern::Kind(kind) if kind == SECRET => {
                return Some((
                    "would let secrets of every kind pass",
                    "name the rule, such as `secret/private-key`",
                ));
            }
            RulePattern::One(rule) if rule.kind() == SECRET => {}
            RulePattern::Kind(_) | RulePattern::One(_) => return None,
        }
        let path = self.path.as_str();
        if path.contains(['*', '?', '[', '{', '\\']) || path.ends_with('/') {
            return Some((
                "would let secrets pass in every file that the pattern fits",
                "name each file by itself, as the finding has it",
            ));
        }
        if self.line.is_none() && self.sha256.is_none() {
            return Some((
                "would let every secret in that file pass, also one that comes later",
                "say which: `line = N`, or `sha256` of the file that was looked at",
            ));
        }
        (self.reason.as_str().chars().filter(|c| c.is_alphanumeric()).count() < REASON_MIN).then_some((
            "does not say why the secret may leave",
            "write for whoever answers for it: what it is, and why it opens nothing",
        ))
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
        FORMAT.read(text, &TOP_FIELDS, list)
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

    /// Says of each entry that let something pass in a file that is not the one that was looked at.
    pub(crate) fn mistaken(
        &self,
        used: &BTreeMap<usize, u64>,
        digest: impl Fn(&str) -> Option<Sha256Digest>,
    ) -> Vec<Problem> {
        let used = self.entries.iter().enumerate().filter(|(n, _)| used.contains_key(n));
        used.filter_map(|(_, entry)| {
            let meant = entry.sha256?;
            let message = match digest(entry.path.as_str()) {
                Some(found) if found == meant => return None,
                Some(found) => format!(
                    "`{}` is another file than the one that was looked at: its SHA-256 is {}",
                    entry.path,
                    found.hex()
                ),
                None => format!("`{}` is a pattern, where `sha256` is of one file", entry.path),
            };
            let hint = "look at the file again, and put its `sha256` into the entry if it may leave";
            Some(Problem::new("allow-other-file", message).line(entry.at).hint(hint))
        })
        .collect()
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

fn list(reader: &mut TomlReader, file: &TomlTable<'_>) -> AllowList {
    let mut list = AllowList::default();
    for table in reader.tables(file, "allow", "entry", &ENTRY_FIELDS) {
        if list.entries.len() == ALLOW_ENTRIES_MAX {
            let message = format!("there are more than {ALLOW_ENTRIES_MAX} entries");
            reader.report("allow-too-many", table.at(), message);
            break;
        }
        list.entries.extend(entry(reader, &table));
    }
    list
}

fn entry(reader: &mut TomlReader, table: &TomlTable<'_>) -> Option<AllowEntry> {
    // All are read before any is missed, so that all problems come out at once.
    let rule = reader.required(table, "rule", rule);
    let path = reader.required(table, "path", path);
    let reason = reader.required(table, "reason", short_line);
    let line = reader.optional(table, "line", line_number);
    let sha256 = reader.optional(table, "sha256", digest);
    let (path, matcher) = path?;
    let at = reader.line_of(&table.at());
    let entry = AllowEntry { rule: rule?, path, matcher, line: line?, sha256: sha256?, reason: reason?, at };
    entry.wide().map_or(Some(()), |(message, hint)| {
        let problem = Problem::new("allow-too-wide", message).hint(hint);
        reader.push(table.at(), problem);
        None
    })?;
    Some(entry)
}

fn line_number(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<u64> {
    let number = value.as_integer().filter(|number| *number > 0);
    if number.is_none() {
        reader.report("wrong-type", value.at(), format!("`{}` is not a number from 1", value.name()));
    }
    number
}

fn digest(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Sha256Digest> {
    let text = reader.text(value)?;
    let parsed = format!("sha256:{}", text.strip_prefix("sha256:").unwrap_or(text)).parse();
    if let Err(error) = &parsed {
        let error: &consign_metadata::DigestError = error;
        reader.report("invalid-text", value.at(), format!("`{}` {error}", value.name()));
    }
    parsed.ok()
}

fn short_line(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Line> {
    let length = reader.text(value)?.len();
    if length > ALLOW_TEXT_MAX {
        let message = format!("`{}` is {length} bytes long (at most {ALLOW_TEXT_MAX})", value.name());
        reader.report("invalid-text", value.at(), message);
        return None;
    }
    reader.line(value)
}

fn rule(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<RulePattern> {
    const KINDS: [&str; 5] = ["secret", "code", "marking", "malformed", "incomplete"];
    let line = short_line(reader, value)?;
    let text = line.as_str();
    let kind = text.split_once('/').map_or(text, |(kind, _)| kind);
    if !KINDS.contains(&kind) {
        let message = format!("there is no kind of rules called `{}`", printable(kind));
        let mut problem = Problem::new("invalid-text", message);
        problem.hint = did_you_mean(kind, KINDS).map(|near| format!("did you mean `{near}`?"));
        reader.push(value.at(), problem);
        return None;
    }
    if text == format!("{kind}/*") {
        return Some(RulePattern::Kind(kind.to_owned()));
    }
    let problem = |error: TextError| Problem::new("invalid-text", format!("`{}` {error}", value.name()));
    reader.parsed(value, problem).map(RulePattern::One)
}

fn path(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<(Line, GlobMatcher)> {
    let line = short_line(reader, value)?;
    // `*` does not match `/`, so that nothing is allowed further down than was meant.
    match compile(line.as_str(), Subject::Path) {
        Ok(glob) => Some((line, glob)),
        Err(error) => {
            reader.report("bad-pattern", value.at(), format!("`{}` {error}", value.name()));
            None
        }
    }
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
            "[[allow]]\nrule = 'malformed/zip'\npath = 'docs/*.md'\nreason = 'r'\n",
            "[[allow]]\nrule = 'secret/password'\npath = 'tests/a'\nline = 3\nreason = 'it opens nothing at all'\n",
            "[[allow]]\nrule = 'code/*'\npath = '**'\nreason = 'r'\n",
        ))
        .unwrap();
        for (rule, path, line, entry) in [
            ("malformed/zip", "docs/a.md", Some(9), Some(0)),
            ("malformed/zip", "docs/deep/a.md", None, None),
            ("secret/password", "docs/a.md", None, None),
            ("secret/password", "tests/a", Some(3), Some(1)),
            ("secret/password", "tests/a", Some(4), None),
            ("secret/password", "tests/a", None, None),
            ("secret/jwt", "tests/a", Some(3), None),
            ("code/pickle", "any/where", None, Some(2)),
            ("marking/cui", "any/where", None, None),
        ] {
            assert_eq!(list.find(&finding(rule, path, line)), entry, "{rule} {path}");
        }
        let mut descriptor = finding("malformed/zip", "docs/a.md", None);
        descriptor.place.path = None;
        assert_eq!(list.find(&descriptor), None);
        let unused = list.unused(&BTreeMap::from([(1, 5)]));
        assert_eq!(unused.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(2), Some(11)]);
    }

    #[test]
    fn field_r2_a_secret_is_let_pass_alone() {
        let digest = Sha256Digest::of(b"x");
        let hex = digest.hex();
        let entry = |rule: &str, path: &str, more: &str, reason: &str| {
            format!("format = 1\n[[allow]]\nrule = '{rule}'\npath = '{path}'\n{more}\nreason = '{reason}'\n")
        };
        let file = format!("sha256 = '{hex}'");
        let why = "it opens nothing at all";
        for (rule, path, more, reason) in [
            ("secret/*", "a", "line = 1", why),
            ("secret/jwt", "*", "line = 1", why),
            ("secret/jwt", "a[b]", &file, why),
            ("secret/jwt", "a", "", why),
            ("secret/jwt", "a", "line = 1", "------ because ------"),
        ] {
            assert_eq!(
                codes(&entry(rule, path, more, reason)),
                [("allow-too-wide", 2)],
                "{rule} {path} {more}"
            );
        }
        assert_eq!(codes(&entry("secret/jwt", "a", "sha256 = 'x'", why)), [("invalid-text", 5)]);
        let list = AllowList::parse(&entry("secret/jwt", "a", &file, why)).unwrap();
        let used = BTreeMap::from([(0, 1)]);
        assert_eq!(list.mistaken(&used, |_| Some(digest)), []);
        for other in [Some(Sha256Digest::of(b"y")), None] {
            assert_eq!(list.mistaken(&used, |_| other)[0].code, "allow-other-file");
        }
        assert_eq!(list.mistaken(&BTreeMap::new(), |_| None), [], "it let nothing pass");
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
        let entry = "[[allow]]\nrule = 'code/*'\npath = '**'\nreason = 'r'\n";
        let many = format!("format = 1\n{}", entry.repeat(ALLOW_ENTRIES_MAX + 1));
        assert_eq!(codes(&many), [("allow-too-many", 2 + 4 * ALLOW_ENTRIES_MAX)]);
        assert_eq!(
            codes(&format!("format = 1\n[[allow]]\nrule='code/*'\npath='**'\nreason='{}'", "r".repeat(400))),
            [("invalid-text", 5)]
        );
    }
}
