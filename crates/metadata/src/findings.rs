//! What a scan of the content found: secrets, code that runs on loading, markings, files that are not what they
//! seem. Types only; how it is found is the scanner's business.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry_path::EntryPath;
use crate::literal::StaticRuleId;
use crate::text::{Line, TextError, text_type};
use crate::unicode::excerpt;

/// Most files that are listed of one rule; the counts count them all.
pub const EXAMPLES_MAX: usize = 20;
/// Most bytes that the places take up together in a [`Findings`], as JSON.
const EXAMPLES_BYTES_MAX: usize = 12 * 1024;
/// Most models whose facts a [`Findings`] lists.
const MODELS_MAX: usize = 16;

fn check_rule_id(text: &str) -> Result<(), TextError> {
    if is_rule_id(text) {
        return Ok(());
    }
    Err(TextError(format!("`{}` is not the name of a rule, such as `secret/private-key`", excerpt(text))))
}

/// Whether the text is two plain words with one `/` between them.
pub(crate) const fn is_rule_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut slashes) = (0, 0);
    while at < bytes.len() {
        let first = at == 0 || bytes[at - 1] == b'/';
        let last = at + 1 == bytes.len() || bytes[at + 1] == b'/';
        match bytes[at] {
            b'a'..=b'z' => {}
            b'0'..=b'9' if !first => {}
            b'-' if !first && !last => {}
            b'/' if !first && !last => slashes += 1,
            _ => return false,
        }
        at += 1;
    }
    slashes == 1 && bytes.len() <= 80
}

text_type! {
    /// The name of a rule of the scanner: two plain words, such as `secret/private-key`. The first says what
    /// kind of finding it is:
    ///
    /// | kind | meaning |
    /// |---|---|
    /// | `secret` | something that opens a door: keys, tokens, passwords |
    /// | `code` | content that runs, or may run, when it is loaded or used |
    /// | `marking` | words that demand a classification |
    /// | `malformed` | a file that is not what it says to be, or cannot be looked into |
    /// | `incomplete` | something that stands for content which is not there |
    ///
    /// ```
    /// use consign_metadata::RuleId;
    /// let rule: RuleId = "secret/private-key".parse()?;
    /// assert_eq!(rule.kind(), "secret");
    /// assert!("private-key".parse::<RuleId>().is_err());
    /// # Ok::<(), consign_metadata::TextError>(())
    /// ```
    RuleId, TextError, check_rule_id,
    schema: {
        "type": "string", "pattern": "^[a-z](?:[a-z0-9-]*[a-z0-9])?/[a-z](?:[a-z0-9-]*[a-z0-9])?$", "maxLength": 80,
        "description": "A rule of the scanner, such as `secret/private-key`."
    }
}

impl From<StaticRuleId> for RuleId {
    fn from(rule: StaticRuleId) -> Self {
        Self(rule.as_str().into())
    }
}

impl RuleId {
    /// The rule of the findings that a marking makes. It follows from the word alone, so that whoever has the word
    /// can tell its findings; upper and lower case make no difference.
    ///
    /// Letters and digits of ASCII stay, in lower case; a row of anything else becomes one `-`. A word that has more
    /// in it than letters, digits and single blanks gets a number made of its bytes, so that `CUI//` and `CUI` have
    /// rules of their own.
    ///
    /// ```
    /// use consign_metadata::RuleId;
    /// assert_eq!(RuleId::of_marking(&"Export Controlled".parse()?).as_str(), "marking/export-controlled");
    /// assert!(RuleId::of_marking(&"CUI//".parse()?).as_str().starts_with("marking/cui-"));
    /// # Ok::<(), consign_metadata::TextError>(())
    /// ```
    pub fn of_marking(word: &Line) -> Self {
        /// Longest slug, in characters.
        const SLUG_MAX: usize = 64;
        let lower = word.as_str().to_lowercase();
        let mut slug = String::new();
        for c in lower.chars() {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        let plain = slug.replace('-', " ") == lower && slug.len() <= SLUG_MAX;
        if !plain {
            slug.truncate(SLUG_MAX - 12);
        }
        let mut rule = String::from("marking/");
        if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
            rule.push('m');
            rule.push_str(if slug.is_empty() { "" } else { "-" });
        }
        rule.push_str(slug.trim_end_matches('-'));
        if !plain {
            // FNV-1a, 32 bits: tells words apart, and need not withstand anybody.
            let fnv = |hash: u32, &byte: &u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            rule.push_str(&format!("-{:08x}", lower.as_bytes().iter().fold(0x811c_9dc5, fnv)));
        }
        Self(rule.into())
    }

    /// What kind of finding the rule makes: the word before the slash.
    pub fn kind(&self) -> &str {
        self.as_str().split_once('/').map_or("", |(kind, _)| kind)
    }
}

/// One thing that was found in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that it breaks.
    pub rule: RuleId,
    /// Where.
    pub place: FindingPlace,
}

/// Where something was found. Nothing in it gives a secret away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingPlace {
    /// The file; absent if it is the descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<EntryPath>,
    /// The member of an archive, the cell of a notebook, or the field of the descriptor. Names from outside are
    /// escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Line>,
    /// The line in that text, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What stands there: masked if it is secret, escaped, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Line>,
}

/// What a scan found, put together for a statement: each rule once, with the files in which it was found and how often
/// in each. Counts are complete; of the files the first are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// The scanner and the edition of its rules, such as `consign-scan 1`.
    pub scanner: Line,
    /// How many files are of which format, judged by content, in the order of the formats' names.
    pub formats: Vec<FormatCount>,
    /// What was found and not allowed, in the order of the rules.
    pub found: Vec<Found>,
    /// What was found and allowed, each with the reason that was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<AllowedFinding>,
    /// Facts from the headers of the first models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelFacts>,
}

/// How many files are of one format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatCount {
    /// The format's identifier, such as `safetensors`.
    pub format: Line,
    /// How many files.
    pub files: u64,
}

/// All findings of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The rule.
    pub rule: RuleId,
    /// How often it was found.
    pub count: u64,
    /// In how many files; the descriptor counts as one.
    pub files: u64,
    /// The first files, at most [`EXAMPLES_MAX`].
    pub examples: Vec<FoundIn>,
}

/// Where in one file a rule was found, and how often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundIn {
    /// The file; absent if it is the descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<EntryPath>,
    /// How often in that file.
    pub times: NonZeroU64,
    /// The first of it: the member of an archive, the cell of a notebook, or the field of the descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Line>,
    /// The line of the first, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What stands there: masked if it is secret, escaped, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Line>,
}

/// Findings that an allow-list lets pass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedFinding {
    /// The rule.
    pub rule: RuleId,
    /// The pattern of paths for which it is allowed, as the allow-list has it.
    pub path: Line,
    /// Why.
    pub reason: Line,
    /// How many findings it let pass.
    pub count: u64,
}

/// What the header of a model file says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// The file.
    pub path: EntryPath,
    /// Its format, such as `safetensors`.
    pub format: Line,
    /// How many tensors it holds.
    pub tensors: u64,
    /// How many numbers the tensors hold together.
    pub parameters: u64,
    /// The types of the numbers, as the format names them, in order.
    pub dtypes: Vec<Line>,
}

/// Collects findings of many files, in whatever order they come, into the same [`Findings`].
#[derive(Clone, Debug, Default)]
pub struct FindingsBuilder {
    found: BTreeMap<RuleId, BTreeMap<Option<EntryPath>, InFile>>,
    formats: BTreeMap<Line, u64>,
    allowed: BTreeMap<(RuleId, Line, Line), u64>,
    models: Vec<ModelFacts>,
}

/// What was found of one rule in one file.
#[derive(Clone, Debug, Default)]
struct InFile {
    times: u64,
    /// The first place, if it is known.
    first: Option<Place>,
}

/// A place within a file: member, line, excerpt.
type Place = (Option<Line>, Option<u64>, Option<Line>);

impl InFile {
    fn add(&mut self, times: u64, first: Option<Place>) {
        self.times = self.times.saturating_add(times);
        self.first = match (self.first.take(), first) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }

    /// `None`, if it was found not once.
    fn listed(self, path: Option<EntryPath>) -> Option<FoundIn> {
        let (member, line, excerpt) = self.first.unwrap_or_default();
        Some(FoundIn { path, times: NonZeroU64::new(self.times)?, member, line, excerpt })
    }
}

impl FindingsBuilder {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        let FindingPlace { path, member, line, excerpt } = finding.place;
        self.in_file(finding.rule, path).add(1, Some((member, line, excerpt)));
    }

    fn in_file(&mut self, rule: RuleId, path: Option<EntryPath>) -> &mut InFile {
        self.found.entry(rule).or_default().entry(path).or_default()
    }

    /// Adds a finding that an entry of an allow-list lets pass.
    pub fn allow(&mut self, rule: RuleId, path: Line, reason: Line) {
        self.allow_many(rule, path, reason, 1);
    }

    /// Adds findings in a file of which no more than the number is known.
    pub fn add_unplaced(&mut self, rule: RuleId, path: Option<EntryPath>, count: u64) {
        if count > 0 {
            self.in_file(rule, path).add(count, None);
        }
    }

    /// Adds as many findings that an entry of an allow-list lets pass.
    pub fn allow_many(&mut self, rule: RuleId, path: Line, reason: Line, count: u64) {
        *self.allowed.entry((rule, path, reason)).or_default() += count;
    }

    /// Counts a file of a format.
    pub fn format(&mut self, format: Line) {
        *self.formats.entry(format).or_default() += 1;
    }

    /// Adds the facts of a model file.
    pub fn model(&mut self, facts: ModelFacts) {
        let at = self.models.partition_point(|known| known.path <= facts.path);
        if at < MODELS_MAX {
            self.models.insert(at, facts);
            self.models.truncate(MODELS_MAX);
        }
    }

    /// Adds what another builder has collected.
    pub fn join(&mut self, other: Self) {
        for (rule, files) in other.found {
            for (path, InFile { times, first }) in files {
                self.in_file(rule.clone(), path).add(times, first);
            }
        }
        for (key, count) in other.allowed {
            *self.allowed.entry(key).or_default() += count;
        }
        for (format, files) in other.formats {
            *self.formats.entry(format).or_default() += files;
        }
        for facts in other.models {
            self.model(facts);
        }
    }

    /// All of it. Where the places would take up too much of a statement, the last of each rule are left out,
    /// rule by rule; every rule keeps its counts.
    pub fn finish(self, scanner: Line) -> Findings {
        let of_rule = |(rule, files): (RuleId, BTreeMap<Option<EntryPath>, InFile>)| {
            let (number, count) = (files.len() as u64, files.values().map(|file| file.times).sum());
            let files = files.into_iter().filter_map(|(path, file)| file.listed(path));
            Found { rule, count, files: number, examples: files.take(EXAMPLES_MAX).collect() }
        };
        let found = self.found.into_iter().map(of_rule).collect();
        let mut findings = Findings {
            scanner,
            formats: self.formats.into_iter().map(|(format, files)| FormatCount { format, files }).collect(),
            found,
            allowed: self
                .allowed
                .into_iter()
                .map(|((rule, path, reason), count)| AllowedFinding { rule, path, reason, count })
                .collect(),
            models: self.models,
        };
        findings.bound();
        findings
    }
}

impl Findings {
    /// Leaves out what would take up too much of a statement.
    fn bound(&mut self) {
        let found = &mut self.found;
        for one in found.iter_mut() {
            one.examples.truncate(EXAMPLES_MAX);
        }
        let mut left = EXAMPLES_BYTES_MAX;
        // The first place of every rule before the second of any.
        let mut keep = vec![0usize; found.len()];
        'rounds: for round in 0..EXAMPLES_MAX {
            for (rule, keep) in found.iter().zip(&mut keep) {
                let Some(place) = rule.examples.get(round) else { continue };
                let size = serde_json::to_vec(place).map_or(usize::MAX, |bytes| bytes.len());
                match left.checked_sub(size) {
                    Some(rest) => left = rest,
                    None => break 'rounds,
                }
                *keep = round + 1;
            }
        }
        for (found, keep) in found.iter_mut().zip(keep) {
            found.examples.truncate(keep);
        }
    }

    /// The same content with another descriptor: what was found in the old one is left out, and what `descriptor`,
    /// a scan of the new one alone, found in it is put in. Files that had given way to the descriptor are not known any
    /// more; they are counted.
    #[must_use]
    pub fn with_descriptor(&self, descriptor: &Self) -> Self {
        // It stands before all files.
        let in_descriptor = |found: &Found| found.examples.first().filter(|one| one.path.is_none()).cloned();
        let mut found: BTreeMap<RuleId, Found> = BTreeMap::new();
        for one in &self.found {
            let mut kept = one.clone();
            if let Some(own) = in_descriptor(one) {
                kept.examples.remove(0);
                kept.count = kept.count.saturating_sub(own.times.get());
                kept.files = kept.files.saturating_sub(1);
            }
            if kept.count > 0 {
                found.insert(kept.rule.clone(), kept);
            }
        }
        for one in &descriptor.found {
            let Some(own) = in_descriptor(one) else { continue };
            let none = || Found { rule: one.rule.clone(), count: 0, files: 0, examples: Vec::new() };
            let kept = found.entry(one.rule.clone()).or_insert_with(none);
            kept.count = kept.count.saturating_add(own.times.get());
            kept.files = kept.files.saturating_add(1);
            kept.examples.insert(0, own);
        }
        let mut allowed = self.allowed.clone();
        let new = descriptor.allowed.iter().filter(|new| {
            !self
                .allowed
                .iter()
                .any(|old| (&old.rule, &old.path, &old.reason) == (&new.rule, &new.path, &new.reason))
        });
        allowed.extend(new.cloned());
        allowed.sort();
        let mut together = Self { found: found.into_values().collect(), allowed, ..self.clone() };
        together.bound();
        together
    }

    /// How often a rule of this kind was found and not allowed.
    pub fn count_of_kind(&self, kind: &str) -> u64 {
        self.found.iter().filter(|found| found.rule.kind() == kind).map(|found| found.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, path: &str, line: u64) -> Finding {
        let place = FindingPlace { path: path.parse().ok(), member: None, line: Some(line), excerpt: None };
        Finding { rule: rule.parse().unwrap(), place }
    }

    #[test]
    fn a_new_descriptor_takes_the_findings_of_the_old_with_it() {
        let scanner: Line = "consign-scan 1".parse().unwrap();
        let in_descriptor = |rule: &str, field: &str| Finding {
            rule: rule.parse().unwrap(),
            place: FindingPlace { path: None, member: field.parse().ok(), line: None, excerpt: None },
        };
        let content = || {
            let mut builder = FindingsBuilder::default();
            (0..30).for_each(|line| builder.add(finding("secret/token", "a.txt", line)));
            builder.add(finding("secret/key", "b.txt", 1));
            builder
        };
        let mut old = content();
        old.add(in_descriptor("secret/token", "description"));
        old.add(in_descriptor("secret/password", "contact.name"));
        let mut scan = FindingsBuilder::default();
        scan.add(in_descriptor("secret/key", "license"));
        // Found in an empty directory's name, which stands in the old findings already.
        scan.add(finding("secret/key", "empty", 1));
        let found = old.finish(scanner.clone()).with_descriptor(&scan.finish(scanner.clone()));
        let mut expected = content();
        expected.add(in_descriptor("secret/key", "license"));
        let expected = expected.finish(scanner);
        let counts = |findings: &Findings| -> Vec<_> {
            findings.found.iter().map(|found| (found.rule.clone(), found.count)).collect()
        };
        assert_eq!(counts(&found), counts(&expected));
        assert_eq!(found.found[0], expected.found[0]);
        assert!(found.found[1].examples.iter().all(|place| place.path.is_some()));
    }

    #[test]
    fn every_word_has_a_rule_of_its_own() {
        let words =
            ["CUI", "CUI//", "CUI/", "//", "1", "projekt blau", "Projekt-Blau", "秘", &"x".repeat(300)];
        let rules: Vec<RuleId> = words.map(|word| RuleId::of_marking(&word.parse().unwrap())).to_vec();
        for (n, rule) in rules.iter().enumerate() {
            assert_eq!(rule.as_str().parse::<RuleId>().as_ref(), Ok(rule));
            assert!(!rules[..n].contains(rule), "{rule}");
        }
    }

    #[test]
    fn order_does_not_matter_and_counts_are_complete() {
        let all: Vec<Finding> = (0..100)
            .map(|n| finding(["secret/a", "code/b"][n % 2], &format!("f{:03}", n / 2), n as u64))
            .collect();
        let mut forward = FindingsBuilder::default();
        all.iter().cloned().for_each(|finding| forward.add(finding));
        let (mut left, mut right) = (FindingsBuilder::default(), FindingsBuilder::default());
        for (n, finding) in all.iter().rev().enumerate() {
            if n % 3 == 0 { &mut left } else { &mut right }.add(finding.clone());
        }
        left.join(right);
        let scanner: Line = "test 1".parse().unwrap();
        let findings = forward.finish(scanner.clone());
        assert_eq!(findings, left.finish(scanner));
        assert_eq!(findings.found.iter().map(|found| found.count).collect::<Vec<_>>(), [50, 50]);
        assert_eq!(findings.found.iter().map(|found| found.files).collect::<Vec<_>>(), [50, 50]);
        assert_eq!(findings.found[0].examples.len(), EXAMPLES_MAX);
        assert_eq!(findings.count_of_kind("secret"), 50);
    }

    #[test]
    fn field_c9_a_file_stands_once_for_each_rule_however_often_it_breaks_it() {
        let mut builder = FindingsBuilder::default();
        for (path, line) in [("b", 7), ("a", 3), ("a", 2), ("a", 9), ("c", 1)] {
            builder.add(finding("code/pickle", path, line));
        }
        builder.add_unplaced("code/pickle".parse().unwrap(), "a".parse().ok(), 5);
        builder.add_unplaced("code/pickle".parse().unwrap(), "d".parse().ok(), 2);
        let found = builder.finish("test 1".parse().unwrap()).found.remove(0);
        assert_eq!((found.count, found.files), (12, 4));
        let told = |one: &FoundIn| (one.path.clone().unwrap().to_string(), one.times.get(), one.line);
        let expected = [("a", 8, Some(2)), ("b", 1, Some(7)), ("c", 1, Some(1)), ("d", 2, None)];
        let expected = expected.map(|(path, times, line)| (path.to_owned(), times, line));
        assert_eq!(found.examples.iter().map(told).collect::<Vec<_>>(), expected);
        // There is one spelling of it, and what was found not once is not found.
        let zero = r#"{"path":"a","times":0}"#;
        assert!(serde_json::from_str::<FoundIn>(zero).is_err());
    }

    #[test]
    fn the_places_do_not_outgrow_a_statement() {
        let mut builder = FindingsBuilder::default();
        for rule in 0..40 {
            for n in 0..30 {
                let path = format!("{}/{}", "d".repeat(200), n);
                builder.add(finding(&format!("secret/r{rule}"), &path, 1));
            }
        }
        let findings = builder.finish("test 1".parse().unwrap());
        assert_eq!(findings.found.len(), 40);
        assert!(findings.found.iter().all(|found| found.count == 30 && !found.examples.is_empty()));
        assert!(serde_json::to_vec(&findings).unwrap().len() < EXAMPLES_BYTES_MAX + 4096);
    }
}
