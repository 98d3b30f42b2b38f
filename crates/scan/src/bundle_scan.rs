//! The findings of a whole bundle, put together from files that are looked at on several threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use consign_metadata::{
    EntryPath, Finding, FindingPlace, Findings, FindingsBuilder, Problem, Sha256Digest, StaticLine, literal,
};

use crate::incomplete::{self, FileNames};
use crate::inspect::Need;
use crate::model::{line_of, rule};
use crate::scanner::{FileReport, FileScan, Scanner};

/// The scanner's name and the edition of its rules, as statements have it. The edition is raised whenever the same
/// content may give other findings.
const SCANNER: StaticLine = literal!(StaticLine, "consign-scan 1");

/// Most files that are remembered to be needed by others.
const NEEDS_MAX: usize = 100_000;

/// Collects the findings of a bundle.
///
/// ```
/// use consign_metadata::Sha256Digest;
/// use consign_scan::{BundleScan, ScanOptions, Scanner};
/// let scan = BundleScan::new(Scanner::new(ScanOptions::default()));
/// scan.descriptor([("description", "nothing to see")]);
/// let mut file = scan.file(&"a.csv".parse()?, 8);
/// file.update(b"a,b\n1,2\n");
/// scan.add(file.finish());
/// let name = "a.csv".parse()?;
/// let scanned = scan.finish([(&name, Sha256Digest::of(b"a,b\n1,2\n"))]);
/// assert!(scanned.findings.found.is_empty());
/// assert_eq!(scanned.findings.formats[0].format.as_str(), "csv");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BundleScan {
    scanner: Scanner,
    collected: Mutex<Collected>,
}

#[derive(Default)]
struct Collected {
    builder: FindingsBuilder,
    /// How much each entry of the allow-list let pass.
    used: BTreeMap<usize, u64>,
    /// Files that others need beside them, each with the one that needs it.
    needs: BTreeSet<(EntryPath, Need)>,
    /// How many more of them there are.
    more_needs: u64,
    /// Every finding that is not allowed, as far as places are listed.
    places: Vec<Finding>,
}

/// What was found in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// For the statement.
    pub findings: Findings,
    /// Every finding with its place, by rule and place; of a file with more than [`LISTED_MAX`](crate::LISTED_MAX)
    /// findings those.
    pub places: Vec<Finding>,
    /// Entries of the allow-list that let nothing pass.
    pub unused: Vec<Problem>,
    /// Entries that let something pass in another file than the one that they were written for: with any, nothing is
    /// let pass.
    pub mistaken: Vec<Problem>,
}

impl BundleScan {
    /// Begins with nothing.
    pub fn new(scanner: Scanner) -> Self {
        Self { scanner, collected: Mutex::default() }
    }

    /// Begins a file of that size; [`add`](Self::add) takes its report.
    pub fn file(&self, path: &EntryPath, size: u64) -> FileScan {
        self.scanner.file(path, size)
    }

    /// Adds what was found in a file.
    pub fn add(&self, report: FileReport) {
        self.collect(report, true);
    }

    /// Looks at the name of an empty directory.
    pub fn directory(&self, path: &EntryPath) {
        self.collect(self.scanner.name(path), false);
    }

    /// Looks at what the descriptor says: fields by name, each with its text.
    pub fn descriptor<'a>(&self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.collect(self.scanner.descriptor(fields), false);
    }

    fn collect(&self, report: FileReport, is_file: bool) {
        let FileReport { path, format, findings, more, allowed, facts, needs } = report;
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        if is_file && let Ok(format) = format.id().parse() {
            collected.builder.format(format);
        }
        findings.into_iter().for_each(|finding| collected.add(finding));
        more.into_iter().for_each(|(rule, count)| collected.builder.add_unplaced(rule, path.clone(), count));
        for ((n, rule), count) in allowed {
            self.allow(&mut collected, n, rule, count);
        }
        facts.into_iter().for_each(|facts| collected.builder.model(facts));
        if let Some(path) = path {
            needs.into_iter().for_each(|need| collected.need(path.clone(), need));
        }
    }

    /// Notes down that an entry of the allow-list let findings pass.
    fn allow(&self, collected: &mut Collected, n: usize, rule: consign_metadata::RuleId, count: u64) {
        if let Some(entry) = self.scanner.allow().entries().get(n) {
            *collected.used.entry(n).or_default() += count;
            collected.builder.allow_many(rule, entry.path().clone(), entry.reason().clone(), count);
        }
    }

    /// What only a part of a bundle shows: of files that others need, and of gaps in numbered ones, nothing is said.
    pub fn finish_part(self) -> Scanned {
        self.put_together(|_| None, |_, _| {})
    }

    /// All of it. `files` are the names and digests of all files of the bundle: what is missing beside them is reported, such as the
    /// other half of a model or a shard.
    pub fn finish<'a>(
        self,
        files: impl IntoIterator<Item = (&'a EntryPath, Sha256Digest), IntoIter: Clone>,
    ) -> Scanned {
        let files = files.into_iter();
        let names = FileNames::new(files.clone().map(|(path, _)| path));
        let digest =
            |name: &str| files.clone().find(|(path, _)| path.as_str() == name).map(|(_, digest)| digest);
        self.put_together(digest, |collected, add| {
            let mut missing = BTreeSet::new();
            let last = collected.needs.last().map(|(by, _)| by.clone());
            for (by, Need { path, files, rule }) in std::mem::take(&mut collected.needs) {
                let there = names.at(&path);
                if there >= files {
                    continue;
                }
                let words = match there {
                    0 => format!("{path} is not in the bundle"),
                    n => format!("{path} holds {n} of {files} files"),
                };
                let place =
                    FindingPlace { path: Some(by), member: None, line: None, excerpt: line_of(&words) };
                add(collected, Finding { rule: rule.into(), place });
                missing.insert(path);
            }
            incomplete::missing(&names, &missing).into_iter().for_each(|finding| add(collected, finding));
            if let Some(last) = last.filter(|_| collected.more_needs > 0) {
                collected.builder.add_unplaced(rule::TOO_MANY.into(), Some(last), collected.more_needs);
            }
        })
    }

    /// `at_end` adds what is known only now.
    fn put_together(
        self,
        digest: impl Fn(&str) -> Option<Sha256Digest>,
        at_end: impl FnOnce(&mut Collected, &dyn Fn(&mut Collected, Finding)),
    ) -> Scanned {
        let mut collected =
            std::mem::take(&mut *self.collected.lock().unwrap_or_else(PoisonError::into_inner));
        at_end(&mut collected, &|collected, finding| match self.scanner.allow().find(&finding) {
            Some(entry) => self.allow(collected, entry, finding.rule, 1),
            None => collected.add(finding),
        });
        let Collected { builder, used, mut places, .. } = collected;
        places.sort_by(|a, b| (&a.rule, &a.place).cmp(&(&b.rule, &b.place)));
        let unused = self.scanner.allow().unused(&used);
        let mistaken = self.scanner.allow().mistaken(&used, digest);
        Scanned { findings: builder.finish(SCANNER.into()), places, unused, mistaken }
    }
}

impl Collected {
    fn add(&mut self, finding: Finding) {
        self.builder.add(finding.clone());
        self.places.push(finding);
    }

    /// Remembers what a file needs. Which are remembered, where they are too many, does not depend on the order.
    fn need(&mut self, by: EntryPath, need: Need) {
        if self.needs.insert((by, need)) && self.needs.len() > NEEDS_MAX {
            self.needs.pop_last();
            self.more_needs += 1;
        }
    }
}
