//! `consign preflight`: everything that packing and a recipient's policy would say, before a byte is packed.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use consign_bundle::hash_source;
use consign_metadata::{Findings, Line};
use consign_policy::{Encryption, Policy, Scan, Stage};
use consign_scan::Scanned;
use serde::Serialize;

use crate::context::{Context, threads};
use crate::exit::Exit;
use crate::handling::{Handling, PolicyArgs, TermsArgs, refusals};
use crate::outcome::{Failure, Outcome, Report};
use crate::scan_args::{self, FindingOut, ScanArgs};
use crate::source_args::{Described, SourceArgs, pack_failure};
use crate::style::{count, size};

/// Say what would be refused, before anything is packed
///
/// Holds the directory against your own handling policy, and against the policies that laboratories publish.
/// Writes nothing.
#[derive(clap::Args)]
pub(crate) struct Preflight {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    scan: ScanArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// The policy of a laboratory that is to accept the bundle; may be repeated
    #[arg(long = "for", value_name = "LAB.toml", help_heading = "Policy options")]
    laboratories: Vec<PathBuf>,
    /// Whom the bundle will be for; may be repeated
    #[arg(long = "to", value_name = "NAME", help_heading = "Policy options")]
    addressees: Vec<Line>,
    /// Whom it will be encrypted to; may be repeated
    #[arg(long, value_name = "RECIPIENT", help_heading = "Policy options")]
    encrypt_to: Vec<String>,
    /// A bundle that this one derives from: its manifest or archive
    #[arg(long = "parent", value_name = "FILE", help_heading = "Policy options")]
    parents: Vec<PathBuf>,
    /// Do not read the content; what only the content can say is not asked
    #[arg(long, conflicts_with = "findings_allow")]
    no_scan: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What the policies would say.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Foreseen {
    name: String,
    version: String,
    classification: String,
    files: u64,
    bytes: u64,
    /// What the scan of the content found; absent with `--no-scan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Findings>,
    /// Every finding with its place; absent with `--no-scan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    places: Option<Vec<FindingOut>>,
    /// What one's own policy says to packing it.
    own: Handling,
    /// What each laboratory says to accepting it, in the order of the command line.
    laboratories: Vec<Laboratory>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Laboratory {
    file: PathBuf,
    handling: Handling,
}

impl Report for Foreseen {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let class = self.classification.to_uppercase();
        writeln!(out, "{} {}  [{class}]", self.name, self.version)?;
        writeln!(out, "  content       {}, {}", count(self.files, "file", "files"), size(self.bytes))?;
        if let Some(findings) = &self.findings {
            scan_args::in_words(findings, Some(&self.own), out)?;
        }
        self.own.verdict(out, "pack")?;
        for laboratory in &self.laboratories {
            laboratory.handling.verdict(out, "accept")?;
            laboratory.handling.warned_findings(out)?;
        }
        Ok(())
    }
}

impl Preflight {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let own = self.policy.load(context)?;
        let laboratories =
            self.laboratories.iter().map(|path| context.policy(Some(path))).collect::<Result<Vec<_>, _>>()?;
        let described = self.source.load(context, own.scheme(), false)?;
        let core = &described.description.core;
        let terms =
            TermsArgs::preflight(self.addressees.clone(), self.parents.clone()).load(context, own, core)?;
        let encryption = self.encryption(&terms.policy);
        let found = if self.no_scan {
            None
        } else {
            Some(self.look(context, &described, &terms.policy, &laboratories)?)
        };
        let scan = found.as_ref().map_or(Scan::NotYet, |found| Scan::Done(&found.findings));
        let judge = |policy: &Policy, stage: Stage| {
            let files = described.source.files().map(|(path, size, _)| (path.as_str(), size));
            let content = policy.survey(files);
            let details = described.description.descriptor.details();
            terms.decide(policy, stage, (core, details), &content, scan, encryption.clone())
        };
        let at = &self.source.directory;
        let decision = judge(&terms.policy, Stage::Pack);
        let mut problems = refusals(&decision, &terms.policy, at);
        let own = Handling::of(&terms.policy, Stage::Pack, &decision);
        let mut foreseen = Vec::new();
        for (policy, file) in laboratories.iter().zip(&self.laboratories) {
            let decision = judge(policy, Stage::Preflight);
            problems.extend(refusals(&decision, policy, at));
            let handling = Handling::of(policy, Stage::Preflight, &decision);
            foreseen.push(Laboratory { file: file.clone(), handling });
        }
        let summary = described.source.summary();
        let (findings, places) =
            found.map(|found| (found.findings, FindingOut::all(found.places))).unzip();
        let report = Foreseen {
            name: core.name.to_string(),
            version: core.version.to_string(),
            classification: core.classification.to_string(),
            files: summary.files,
            bytes: summary.bytes,
            findings,
            places,
            own,
            laboratories: foreseen,
        };
        let exit = if problems.is_empty() { Exit::Done } else { Exit::Refused };
        Ok(Outcome { exit, problems, report: Some(Box::new(report)) })
    }

    /// Reads the content as packing would, for all that any of the policies looks for.
    fn look(
        &self,
        context: &Context,
        described: &Described,
        own: &Policy,
        laboratories: &[Policy],
    ) -> Result<Scanned, Failure> {
        let scan = self.scan.begin(std::iter::once(own).chain(laboratories))?;
        let meter = context.meter("looking", described.source.summary().bytes);
        let Described { source, description } = described;
        let manifest = hash_source(source, description, threads(self.threads), Some(&scan), &meter);
        drop(meter);
        let manifest = manifest.map_err(|error| pack_failure(error, &self.source.directory))?;
        Ok(scan.finish(description, &manifest))
    }

    fn encryption(&self, policy: &Policy) -> Encryption {
        if self.encrypt_to.is_empty() {
            return Encryption::Plain;
        }
        let keys = self.encrypt_to.iter().flat_map(|named| match policy.recipient(named) {
            Some(known) => known.encrypt_to.iter().map(ToString::to_string).collect(),
            None => vec![named.clone()],
        });
        Encryption::To(keys.collect())
    }
}
