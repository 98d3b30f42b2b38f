//! The scanner: rules put together once, for any number of files on any number of threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use consign_metadata::{EntryPath, FileFormat, Finding, Line, ModelFacts, RuleId};

use crate::allow_list::AllowList;
use crate::content::ContentScan;
use crate::incomplete::Incomplete;
use crate::inspect::{Inspect, Need, Report, Subject};
use crate::marking::{Marking, Markings};
use crate::members::Nesting;
use crate::secret::{Context, Engine};
use crate::text::{Manner, Rules, TextScan};

/// What to look for, and what to let pass.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Whether to look for secrets.
    pub secrets: bool,
    /// Words to look for.
    pub markings: Vec<Marking>,
    /// Findings that are allowed.
    pub allow: AllowList,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { secrets: true, markings: Vec::new(), allow: AllowList::default() }
    }
}

/// Looks for secrets and markings in files, in their names, and in what a descriptor says.
///
/// Made once; cloning it costs nothing.
///
/// ```
/// use consign_scan::{ScanOptions, Scanner};
/// let scanner = Scanner::new(ScanOptions::default());
/// let text = format!("machine: web\npassword: '{}'\n", "hunter".to_owned() + "2");
/// let mut file = scanner.file(&"deploy/site.yaml".parse()?, text.len() as u64);
/// file.update(text.as_bytes());
/// let report = file.finish();
/// assert_eq!(report.findings.len(), 1);
/// let found = &report.findings[0];
/// assert_eq!((found.rule.as_str(), found.place.line), ("secret/password", Some(2)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Scanner {
    inner: Arc<Inner>,
}

struct Inner {
    rules: Arc<Rules>,
    allow: AllowList,
}

/// What was found in a file, with the allow-list applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// The file; absent for the descriptor.
    pub path: Option<EntryPath>,
    /// What kind of file it is, judged by its content.
    pub format: FileFormat,
    /// What was found and is not allowed, in the order of the places; no more than [`LISTED_MAX`](crate::LISTED_MAX).
    pub findings: Vec<Finding>,
    /// How much more was found, by rule.
    pub more: BTreeMap<RuleId, u64>,
    /// What was found and is allowed: the entry of the allow-list, counted from 0, the rule, and how often.
    pub allowed: BTreeMap<(usize, RuleId), u64>,
    /// What the header of a model says.
    pub facts: Option<ModelFacts>,
    /// Files of the bundle that this one needs beside it; whether they are there is asked at the end.
    pub needs: Vec<Need>,
}

impl Scanner {
    /// Puts the rules together.
    pub fn new(options: ScanOptions) -> Self {
        let ScanOptions { secrets, markings, allow } = options;
        let secrets = secrets.then(Engine::new);
        let rules = Arc::new(Rules { secrets, markings: Markings::new(&markings) });
        Self { inner: Arc::new(Inner { rules, allow }) }
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.inner.rules
    }

    /// The allow-list.
    pub fn allow(&self) -> &AllowList {
        &self.inner.allow
    }

    /// Begins a file of that size.
    pub fn file(&self, path: &EntryPath, size: u64) -> FileScan {
        let subject = Subject { path: Some(path.clone()), member: None };
        let content = ContentScan::new(self.clone(), subject, path.as_str(), size, Nesting::of_file(size));
        let incomplete = Incomplete::new(path);
        FileScan { scanner: self.clone(), path: path.clone(), content, incomplete, report: Report::default() }
    }

    /// Looks at a name alone, such as that of an empty directory.
    pub fn name(&self, path: &EntryPath) -> FileReport {
        let mut report = Report::default();
        self.search_name(path, &mut report);
        self.report(Some(path.clone()), FileFormat::Empty, report)
    }

    fn search_name(&self, path: &EntryPath, report: &mut Report) {
        let subject = Subject { path: Some(path.clone()), member: None };
        self.search_text(path.as_str(), subject, report);
    }

    /// Looks at what a descriptor says: fields by name, each with its text.
    pub fn descriptor<'a>(&self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> FileReport {
        let mut report = Report::default();
        for (field, text) in fields {
            let member: Option<Line> = consign_metadata::printable(field).parse().ok();
            let subject = Subject { path: None, member };
            let before = report.findings.len();
            self.search_text(text, subject.clone(), &mut report);
            // The name may be what gives the value away.
            if report.findings.len() == before && !text.contains(['"', '\n', '\\']) {
                let leaf = field.rsplit('.').next().unwrap_or(field);
                self.search_text(&format!("{leaf} = \"{text}\""), subject, &mut report);
            }
        }
        self.report(None, FileFormat::Empty, report)
    }

    fn search_text(&self, text: &str, subject: Subject, report: &mut Report) {
        let manner = Manner { lines: false, notebook: false, context: Context::default() };
        let mut scan = TextScan::new(Arc::clone(&self.inner.rules), subject, manner);
        scan.update(text.as_bytes(), report);
        scan.finish(report);
    }

    /// Applies the allow-list.
    fn report(&self, path: Option<EntryPath>, format: FileFormat, report: Report) -> FileReport {
        let Report { mut findings, mut more, facts, needs } = report;
        let allow = &self.inner.allow;
        let mut allowed: BTreeMap<(usize, RuleId), u64> = BTreeMap::new();
        if !allow.entries().is_empty() {
            findings.retain(|finding| match allow.find(finding) {
                Some(entry) => {
                    *allowed.entry((entry, finding.rule.clone())).or_default() += 1;
                    false
                }
                None => true,
            });
            // Of these no lines are known.
            more.retain(|rule, count| {
                match path.as_ref().and_then(|p| allow.find_at(rule, p.as_str(), None)) {
                    Some(entry) => {
                        *allowed.entry((entry, rule.clone())).or_default() += *count;
                        false
                    }
                    None => true,
                }
            });
        }
        findings.sort_by(|a, b| (&a.place, &a.rule).cmp(&(&b.place, &b.rule)));
        FileReport { path, format, findings, more, allowed, facts, needs }
    }
}

/// A file that is being looked at.
pub struct FileScan {
    scanner: Scanner,
    path: EntryPath,
    content: ContentScan,
    incomplete: Incomplete,
    report: Report,
}

impl FileScan {
    /// The next bytes, in order.
    pub fn update(&mut self, bytes: &[u8]) {
        self.content.update(bytes, &mut self.report);
        self.incomplete.update(bytes);
    }

    /// That was all of it.
    pub fn finish(mut self) -> FileReport {
        self.content.finish(&mut self.report);
        self.incomplete.finish(&mut self.report);
        self.scanner.search_name(&self.path, &mut self.report);
        self.scanner.report(Some(self.path), self.content.format(), self.report)
    }
}
