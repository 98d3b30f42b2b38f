//! Sign a directory where it lies.

use crate::act::{Act, Action};
use crate::addressing;
use crate::bundle_out::BundleOut;
use crate::bundle_set::{Names, read_attestations, read_manifest};
use crate::checked::{bundle_claim, modes_not_told};
use crate::context::{Context, threads, unwritable};
use crate::failure::Failure;
use crate::handling::TermsArgs;
use crate::handling::{Handling, LaboratoryOut, forecast};
use crate::key_source::KeyArgs;
use crate::key_source::SignerOut;
use crate::operation::{Outcome, Request};
use crate::provenance::args::ProvenanceArgs;
use crate::provenance::args::keep;
use crate::provenance::facts::ProvenanceOut;
use crate::publishing::taken;
use crate::restated;
use crate::scan_args::ScanArgs;
use crate::scan_args::{self, FindingOut};
use crate::sign_statement::sign_statement;
use crate::source_args::SourceArgs;
use crate::source_args::{OutputFolder, check_output, pack_failure};
use crate::words::count;
use consign_bundle::hash_source;
use consign_bundle::publish::{prepare, publish};
use consign_metadata::{Findings, Manifest, Problem};
use consign_policy::Stage;
use consign_signing::{Attestations, Basis, Claim, Content, Signer as _};
use serde::Serialize;
use std::io::{self};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Sign a directory where it lies, without an archive
///
/// Writes a manifest and attestations into OUT. Everything in the directory is listed, the descriptor as well;
/// nothing may be left out, so that `consign verify DIR --manifest FILE` can account for every file.
#[derive(Clone, Debug)]
pub struct Seal {
    pub source: SourceArgs,
    /// Where manifest and attestations go, outside the directory
    pub output: PathBuf,
    pub scan: ScanArgs,
    pub key: KeyArgs,
    pub terms: TermsArgs,
    pub provenance: ProvenanceArgs,
    /// Keep no copy of the manifest among the bundles that this machine knows
    pub no_remember: bool,
    /// How many threads hash [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sealed {
    /// `sealed`, `unchanged`, or `refused` by the policy.
    pub status: &'static str,
    pub bundle: BundleOut,
    pub files: u64,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestations: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerOut>,
    /// What was signed about where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ProvenanceOut>,
    /// What the handling policy says.
    pub handling: Handling,
    /// What the laboratories say to accepting it that were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laboratories: Vec<LaboratoryOut>,
    /// What the scan of the content found.
    pub findings: Findings,
    /// Every finding with its place.
    pub places: Vec<FindingOut>,
    pub notes: Vec<String>,
    #[serde(skip)]
    pub directory: PathBuf,
}

impl Request for Seal {
    const COMMAND: &str = "seal";
    type Report = Sealed;

    fn run(&self, context: &Context) -> Result<Outcome<Sealed>, Failure> {
        let policy = self.terms.policy(context)?;
        let described = self.source.load(context, policy.scheme(), true)?;
        let mut terms = self.terms.load(context, policy, &described.description.core)?;
        let source = &described.source;
        let left_out: Vec<_> = described.excluded().into_iter().filter(|count| count.count > 0).collect();
        if !left_out.is_empty() {
            let problem = |e: &consign_signing::ExcludedCount| {
                let message = format!(
                    "would leave out {}, and a seal accounts for every file of the directory",
                    count(e.count, "file", "files")
                );
                Problem::new("seal-leaves-out", message)
                    .at(format!("`{}`", e.pattern))
                    .hint("move them out of the directory, or pack it instead")
            };
            return Err(Failure {
                exit: crate::exit::Exit::Failed,
                problems: left_out.iter().map(problem).collect(),
            });
        }
        let key = self.key.load(context)?;
        terms.signers = forecast(context, key.iter().map(|key| (*key.public_key(), &self.key.role)))?;
        check_output(source, &self.output)?;
        let captured = self.provenance.load(context, &self.source.directory, key.is_some(), false)?;
        let scan = self.scan.begin(terms.policies())?;
        let folder = OutputFolder::open(&self.output)?;
        let core = &described.description.core;
        let names = Names::of(&core.name, &core.version);
        let (manifest_path, attestations_path) =
            (self.output.join(&names.manifest), self.output.join(&names.attestations));
        if !manifest_path.exists() {
            folder.check()?;
        }
        let meter = context.meter("hashing", source.summary().bytes);
        let manifest =
            hash_source(source, &described.description, threads(self.threads), Some(&scan), &meter);
        drop(meter);
        let manifest = manifest.map_err(|error| pack_failure(error, &self.output))?;
        // What the policy makes of it is decided here: before anything is signed or has its name.
        let scanned = scan.finish(&described.description, &manifest)?;
        let bytes = manifest.to_bytes();
        let id = Manifest::id_of(&bytes);
        let core = manifest.core();
        let failed = |error: io::Error| unwritable(&self.output, &error);
        let mut files = Vec::new();
        let mut status = "unchanged";
        if manifest_path.exists() {
            if read_manifest(&manifest_path)?.1 != bytes {
                return Err(taken(&manifest_path));
            }
        } else {
            status = "sealed";
            files.push((names.manifest.clone(), prepare(&self.output, &bytes).map_err(failed)?));
        }
        let mut claim = Claim::new(bundle_claim(&manifest, id), Content::Sealed);
        claim.findings = Some(scanned.findings.clone());
        terms.apply(&mut claim);
        let answers = terms.ask_manifest(Stage::Pack, &manifest, &claim);
        let told = modes_not_told(source).into_iter();
        let mut report = Sealed {
            status: "refused",
            bundle: BundleOut::described(core, Some(id)).for_whom(addressing::told(&terms.addressees)),
            files: manifest.files().len() as u64,
            bytes: manifest.payload_bytes(),
            manifest: None,
            attestations: None,
            signer: None,
            provenance: None,
            handling: answers.handling(),
            laboratories: answers.laboratories(),
            findings: scanned.findings,
            places: FindingOut::all(scanned.places),
            notes: scanned.unused.iter().map(scan_args::unused_in_words).chain(told).collect(),
            directory: self.source.directory.clone(),
        };
        let permit = match answers.permit(&self.source.directory) {
            Ok(permit) => permit,
            Err(Failure { exit, problems }) => {
                return Ok(Outcome { exit, problems, report: Some(report) });
            }
        };
        let notes = &mut report.notes;
        let mut acts =
            vec![Act::of(Action::Sealed, &claim).with("files", manifest.files().len()).made_of(&manifest)];
        let mut signer = None;
        let mut role = self.key.role.clone();
        let mut placed = None;
        if let Some(key) = &key {
            if let Some(captured) = &captured {
                let mut one = captured.place(context, key, (&claim, &manifest), &self.output, &names)?;
                notes.append(&mut one.notes);
                if let Some(file) = one.file.take() {
                    status = "sealed";
                    files.push(file);
                }
                placed = Some(one);
            }
            if attestations_path.exists() {
                let there = read_attestations(&attestations_path)?;
                let mine = |s: &consign_signing::SignedStatement| {
                    let there = Claim { findings: claim.findings.clone(), ..s.statement().claim.clone() };
                    there == claim && s.key() == key.public_key()
                };
                let mine = there.statements().iter().find(|s| mine(s));
                let Some(mine) = mine.map(consign_signing::SignedStatement::statement) else {
                    let of_it =
                        |s: &&consign_signing::SignedStatement| s.statement().claim.bundle == claim.bundle;
                    let signed = there.statements().iter().find(of_it).map(|s| &s.statement().claim);
                    let otherwise =
                        signed.map_or_else(Vec::new, |signed| restated::differences(signed, &claim));
                    restated::check(&attestations_path, &otherwise)?;
                    return Err(taken(&attestations_path));
                };
                let otherwise: Vec<_> = restated::other_role(&mine.signer.role, &role).into_iter().collect();
                restated::check(&attestations_path, &otherwise)?;
                if mine.claim.findings.as_ref().is_some_and(|signed| *signed != report.findings) {
                    notes.push(scan_args::OTHER_FINDINGS.into());
                }
                role = mine.signer.role.clone();
            } else {
                status = "sealed";
                acts.extend(Act::exceptions(&claim));
                let signed =
                    sign_statement(context, key, claim, &role, Basis::Sealed, &permit, !self.no_remember)?;
                let bytes = Attestations::new(signed).to_bytes();
                files.push((names.attestations.clone(), prepare(&self.output, &bytes).map_err(failed)?));
            }
            signer = Some(SignerOut::of(key, &role));
        }
        publish(&self.output, files).map_err(|(path, error)| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&path),
            _ => unwritable(&path, &error),
        })?;
        if status == "sealed" {
            let first = acts.remove(0);
            context.record(match &key {
                Some(key) => first.signed_by(key.public_key(), &role),
                None => first.with("signed", false),
            });
            acts.into_iter().for_each(|act| context.record(act));
        }
        if !self.no_remember {
            notes.extend(keep(context, &bytes, id, placed.as_ref()));
        }
        report.status = status;
        report.manifest = Some(manifest_path);
        report.attestations = signer.is_some().then_some(attestations_path);
        report.signer = signer;
        report.provenance = placed.map(|placed| placed.out);
        Ok(Outcome::done(report))
    }
}
