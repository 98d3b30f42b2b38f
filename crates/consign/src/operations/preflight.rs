//! Everything that packing and a recipient's policy would say, before a byte is packed.

use crate::addressing;
use crate::bundle_out::BundleOut;
use crate::context::{Context, threads};
use crate::encryption::foreseen;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::TermsArgs;
use crate::handling::{Handling, LaboratoryOut, Terms};
use crate::operation::{Outcome, Request};
use crate::scan_args::FindingOut;
use crate::scan_args::ScanArgs;
use crate::source_args::SourceArgs;
use crate::source_args::{Described, pack_failure};
use consign_bundle::hash_source;
use consign_metadata::{Findings, Problem};
use consign_policy::{Policy, Scan};
use consign_scan::Scanned;
use serde::Serialize;
use std::num::NonZeroUsize;

/// Say what would be refused, before anything is packed
///
/// Holds the directory against your own handling policy, and against the policies that laboratories publish.
/// Writes nothing.
#[derive(Clone, Debug)]
pub struct Preflight {
    pub source: SourceArgs,
    pub scan: ScanArgs,
    pub terms: TermsArgs,
    /// Whom it will be encrypted to, as `pack` takes it; may be repeated
    pub encrypt_to: Vec<String>,
    /// Do not read the content; what only the content can say is not asked
    pub no_scan: bool,
    /// How many threads to use [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

/// What the policies would say.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Foreseen {
    pub bundle: BundleOut,
    pub files: u64,
    pub bytes: u64,
    /// What the scan of the content found; absent with `--no-scan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Every finding with its place; absent with `--no-scan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<FindingOut>>,
    /// What one's own policy says to packing it.
    pub own: Handling,
    /// What each laboratory says to accepting it: those that are named, then those of the addressees.
    pub laboratories: Vec<LaboratoryOut>,
}

impl Request for Preflight {
    const COMMAND: &str = "preflight";
    type Report = Foreseen;

    fn run(&self, context: &Context) -> Result<Outcome<Foreseen>, Failure> {
        let own = self.terms.policy(context)?;
        let (described, unfilled) = self.described(context, &own)?;
        let core = &described.description.core;
        let mut terms = self.terms.load(context, own, core)?;
        terms.encryption = foreseen(&self.encrypt_to, &terms.policy, core)?;
        let found = if self.no_scan { None } else { Some(self.look(context, &described, &terms)?) };
        let scan = found.as_ref().map_or(Scan::NotYet, |found| Scan::Done(&found.findings));
        let answers = described.ask(&terms, scan);
        let mut problems = unfilled;
        let mut exit = if problems.is_empty() { Exit::Done } else { Exit::Usage };
        let refusals = answers.refusals(&self.source.directory);
        if !refusals.is_empty() {
            exit = exit.and(Exit::Refused);
            problems.extend(refusals);
        }
        let summary = described.source.summary();
        let (findings, places) = found.map(|found| (found.findings, FindingOut::all(found.places))).unzip();
        let report = Foreseen {
            bundle: BundleOut::described(core, None).for_whom(addressing::told(&terms.addressees)),
            files: summary.files,
            bytes: summary.bytes,
            own: answers.handling(),
            laboratories: answers.laboratories(),
            findings,
            places,
        };
        Ok(Outcome { exit, problems, report: Some(report) })
    }
}

impl Preflight {
    /// The directory with its description. Where the descriptor lacks nothing but fields that say nothing to a policy, others
    /// stand in for them, so that what the policies say is told in the same round as what is missing.
    fn described(&self, context: &Context, own: &Policy) -> Result<(Described, Vec<Problem>), Failure> {
        let failure = match self.source.load(context, own.scheme(), false) {
            Ok(described) => return Ok((described, Vec::new())),
            Err(failure) => failure,
        };
        let Some(stand_ins) = stand_ins(&failure.problems) else { return Err(failure) };
        let mut source = self.source.clone();
        source.set.extend(stand_ins);
        match source.load(context, own.scheme(), false) {
            Ok(described) => Ok((described, failure.problems)),
            Err(_) => Err(failure),
        }
    }

    /// Reads the content as packing would, for all that any of the policies looks for.
    fn look(&self, context: &Context, described: &Described, terms: &Terms) -> Result<Scanned, Failure> {
        let scan = self.scan.begin(terms.policies())?;
        let meter = context.meter("looking", described.source.summary().bytes);
        let Described { source, description } = described;
        let manifest = hash_source(source, description, threads(self.threads), Some(&scan), &meter);
        drop(meter);
        let manifest = manifest.map_err(|error| pack_failure(error, &self.source.directory))?;
        scan.finish(description, &manifest)
    }
}

/// Values for required fields that a policy does not ask about.
const STAND_INS: &[(&str, &str)] = &[
    ("name", "unnamed"),
    ("version", "0.0.0"),
    ("contact.name", "nobody"),
    ("contact.email", "nobody@example.org"),
];

/// What stands in for the fields that are missing; nothing, if anything else is wrong.
fn stand_ins(problems: &[Problem]) -> Option<Vec<String>> {
    let stand_in = |problem: &Problem| {
        let field = problem.at.as_deref()?.rsplit(": ").next()?;
        let (name, value) = STAND_INS.iter().find(|(name, _)| *name == field)?;
        (problem.code == "missing-field").then(|| format!("{name}={value}"))
    };
    problems.iter().map(stand_in).collect()
}
