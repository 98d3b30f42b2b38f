//! What a scan of the content found: secrets, code that runs on loading, markings, files that are not what they
//! seem. Types only; how it is found is the scanner's business.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry_path::EntryPath;
use crate::literal::StaticRuleId;
use crate::text::{Line, TextError, text_type};
use crate::unicode::excerpt;

/// Most places that are listed of one rule; the count counts them all.
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

/// What a scan found, put together for a statement: counts are complete, places are the first of each rule.
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
    /// The first places, at most [`EXAMPLES_MAX`].
    pub examples: Vec<FindingPlace>,
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
    found: BTreeMap<RuleId, (u64, Vec<FindingPlace>)>,
    formats: BTreeMap<Line, u64>,
    allowed: BTreeMap<(RuleId, Line, Line), u64>,
    models: Vec<ModelFacts>,
}

impl FindingsBuilder {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        let (count, examples) = self.found.entry(finding.rule).or_default();
        *count += 1;
        // Sorted and bounded at every step, so that neither order nor number of the findings matters.
        let at = examples.partition_point(|place| *place <= finding.place);
        if at < EXAMPLES_MAX {
            examples.insert(at, finding.place);
            examples.truncate(EXAMPLES_MAX);
        }
    }

    /// Adds a finding that an entry of an allow-list lets pass.
    pub fn allow(&mut self, rule: RuleId, path: Line, reason: Line) {
        *self.allowed.entry((rule, path, reason)).or_default() += 1;
    }

    /// Adds findings of which no more than the number is known.
    pub fn add_unplaced(&mut self, rule: RuleId, count: u64) {
        self.found.entry(rule).or_default().0 += count;
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
        for (rule, (count, examples)) in other.found {
            let listed = examples.len() as u64;
            for place in examples {
                self.add(Finding { rule: rule.clone(), place });
            }
            self.found.entry(rule).or_default().0 += count - listed;
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
    /// rule by rule; every rule keeps its count.
    pub fn finish(self, scanner: Line) -> Findings {
        let mut found: Vec<Found> =
            self.found.into_iter().map(|(rule, (count, examples))| Found { rule, count, examples }).collect();
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
        Findings {
            scanner,
            formats: self.formats.into_iter().map(|(format, files)| FormatCount { format, files }).collect(),
            found,
            allowed: self
                .allowed
                .into_iter()
                .map(|((rule, path, reason), count)| AllowedFinding { rule, path, reason, count })
                .collect(),
            models: self.models,
        }
    }
}

impl Findings {
    /// The same content with another descriptor: what was found in the old one is left out, and what `descriptor`,
    /// a scan of the new one alone, found in it is put in. Places of content that had given way to those of the
    /// descriptor are not known any more; they are counted.
    #[must_use]
    pub fn with_descriptor(&self, descriptor: &Self) -> Self {
        let in_descriptor = |place: &&FindingPlace| place.path.is_none();
        let mut builder = FindingsBuilder::default();
        for Found { rule, count, examples } in &self.found {
            // They stand before all places in files, so that none is missing from the list unless it is full of them.
            let left_out = examples.iter().filter(in_descriptor).count() as u64;
            let listed = examples.len() as u64;
            for place in examples.iter().filter(|place| place.path.is_some()) {
                builder.add(Finding { rule: rule.clone(), place: place.clone() });
            }
            let unplaced = count.saturating_sub(listed);
            if unplaced > 0 || left_out < listed {
                builder.add_unplaced(rule.clone(), unplaced);
            }
        }
        for Found { rule, examples, .. } in &descriptor.found {
            for place in examples.iter().filter(in_descriptor) {
                builder.add(Finding { rule: rule.clone(), place: place.clone() });
            }
        }
        let put_together = builder.finish(self.scanner.clone());
        let mut allowed = self.allowed.clone();
        let new = descriptor.allowed.iter().filter(|new| {
            !self
                .allowed
                .iter()
                .any(|old| (&old.rule, &old.path, &old.reason) == (&new.rule, &new.path, &new.reason))
        });
        allowed.extend(new.cloned());
        allowed.sort();
        Self { found: put_together.found, allowed, ..self.clone() }
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
        assert_eq!(findings.found[0].examples.len(), EXAMPLES_MAX);
        assert_eq!(findings.count_of_kind("secret"), 50);
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
