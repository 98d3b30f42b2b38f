//! What looks into one kind of content.

use std::collections::BTreeMap;

use consign_metadata::{EntryPath, Finding, FindingPlace, Line, ModelFacts, RuleId, StaticRuleId};

/// Findings of one file that are listed with their places; of more, the number is kept.
pub const LISTED_MAX: usize = 1000;

/// Looks into one stream of bytes: a file, or a member of one. Whatever the bytes are, it neither panics nor
/// needs more than a bounded amount of memory.
pub trait Inspect {
    /// The next bytes, in order.
    fn update(&mut self, bytes: &[u8], report: &mut Report);

    /// There are no more bytes.
    fn finish(&mut self, report: &mut Report);
}

/// What is being looked into, for the places of findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The file; absent for the descriptor.
    pub path: Option<EntryPath>,
    /// The member of an archive, if it is one; escaped.
    pub member: Option<Line>,
}

/// What was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found, in the order of the content; no more than [`LISTED_MAX`].
    pub findings: Vec<Finding>,
    /// How much more was found, by rule.
    pub more: BTreeMap<RuleId, u64>,
    /// What the header of a model says.
    pub facts: Option<ModelFacts>,
    /// Files of the bundle that this one needs beside it, such as external data of an ONNX model. Whether they
    /// exist is for the caller to check.
    pub needs: Vec<Need>,
}

/// What a file needs beside it in the bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The file, or the folder.
    pub path: EntryPath,
    /// How many files there must be at least: more than one only in a folder.
    pub files: u64,
    /// The rule that is broken without it.
    pub rule: StaticRuleId,
}

impl Need {
    /// A file without which a rule is broken.
    pub fn file(rule: StaticRuleId, path: EntryPath) -> Self {
        Self { path, files: 1, rule }
    }
}

impl Report {
    /// Adds a finding. `rule` is one of the crate's own names.
    pub fn add(&mut self, rule: &RuleId, subject: &Subject, line: Option<u64>, excerpt: Option<Line>) {
        self.add_in(rule, subject, None, line, excerpt);
    }

    /// Adds a finding in a part of the subject, such as the cell of a notebook.
    pub(crate) fn add_in(
        &mut self,
        rule: &RuleId,
        subject: &Subject,
        part: Option<Line>,
        line: Option<u64>,
        excerpt: Option<Line>,
    ) {
        let member = match (&subject.member, part) {
            (Some(member), Some(part)) => format!("{member}, {part}").parse().ok().or(Some(part)),
            (member, part) => part.or_else(|| member.clone()),
        };
        let place = FindingPlace { path: subject.path.clone(), member, line, excerpt };
        self.push(Finding { rule: rule.clone(), place });
    }

    /// Adds a finding.
    pub(crate) fn push(&mut self, finding: Finding) {
        if self.findings.len() < LISTED_MAX {
            self.findings.push(finding);
        } else {
            *self.more.entry(finding.rule).or_default() += 1;
        }
    }

    /// Adds what another report holds.
    pub(crate) fn join(&mut self, other: Self) {
        other.findings.into_iter().for_each(|finding| self.push(finding));
        for (rule, count) in other.more {
            *self.more.entry(rule).or_default() += count;
        }
        self.needs.extend(other.needs);
        self.facts = self.facts.take().or(other.facts);
    }
}

/// Several that look into the same bytes. What each finds stands together, so that it does not depend on the chunks
/// in which order things are reported.
pub(crate) struct Several(Vec<(Box<dyn Inspect + Send>, Report)>);

impl Several {
    pub(crate) fn new(all: Vec<Box<dyn Inspect + Send>>) -> Self {
        Self(all.into_iter().map(|inspect| (inspect, Report::default())).collect())
    }
}

impl Inspect for Several {
    fn update(&mut self, bytes: &[u8], _: &mut Report) {
        for (inspect, own) in &mut self.0 {
            inspect.update(bytes, own);
        }
    }

    fn finish(&mut self, report: &mut Report) {
        for (mut inspect, mut own) in std::mem::take(&mut self.0) {
            inspect.finish(&mut own);
            report.join(own);
        }
    }
}
