//! The findings of a whole bundle, put together from files that are looked at on several threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use consign_metadata::{
    EntryPath, Finding, FindingPlace, Findings, FindingsBuilder, Problem, StaticLine, literal,
};

use crate::model::EXTERNAL_DATA;

use crate::scanner::{FileReport, FileScan, Scanner};

/// The scanner's name and the edition of its rules, as statements have it. The edition is raised whenever the same
/// content may give other findings.
const SCANNER: StaticLine = literal!(StaticLine, "consign-scan 1");

/// Most files that are remembered to be needed by others.
const NEEDS_MAX: usize = 10_000;

/// Collects the findings of a bundle.
///
/// ```
/// use consign_scan::{BundleScan, ScanOptions, Scanner};
/// let scan = BundleScan::new(Scanner::new(ScanOptions::default()));
/// scan.descriptor([("description", "nothing to see")]);
/// let mut file = scan.file(&"a.csv".parse()?, 8);
/// file.update(b"a,b\n1,2\n");
/// scan.add(file.finish());
/// let scanned = scan.finish(|path| path.as_str() == "a.csv");
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
    needs: BTreeSet<(EntryPath, EntryPath)>,
}

/// What was found in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// For the statement.
    pub findings: Findings,
    /// Entries of the allow-list that let nothing pass.
    pub unused: Vec<Problem>,
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
        let FileReport { format, findings, more, allowed, facts, needs } = report;
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let Collected { builder, used, needs: all } = &mut *collected;
        all.extend(needs.into_iter().take(NEEDS_MAX.saturating_sub(all.len())));
        if is_file && let Ok(format) = format.id().parse() {
            builder.format(format);
        }
        findings.into_iter().for_each(|finding| builder.add(finding));
        more.into_iter().for_each(|(rule, count)| builder.add_unplaced(rule, count));
        for ((n, rule), count) in allowed {
            if let Some(entry) = self.scanner.allow().entries().get(n) {
                *used.entry(n).or_default() += count;
                builder.allow_many(rule, entry.path().clone(), entry.reason().clone(), count);
            }
        }
        facts.into_iter().for_each(|facts| builder.model(facts));
    }

    /// All of it. `holds` says whether the bundle has a file of that name: a model whose other half is missing is
    /// reported.
    pub fn finish(self, holds: impl Fn(&EntryPath) -> bool) -> Scanned {
        let Collected { mut builder, used, needs } =
            self.collected.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (model, needed) in needs.into_iter().filter(|(_, needed)| !holds(needed)) {
            let excerpt = format!("{needed} is not in the bundle").parse().ok();
            let place = FindingPlace { path: Some(model), member: None, line: None, excerpt };
            builder.add(Finding { rule: EXTERNAL_DATA.into(), place });
        }
        Scanned { findings: builder.finish(SCANNER.into()), unused: self.scanner.allow().unused(&used) }
    }
}
