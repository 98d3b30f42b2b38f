//! `consign unpack`: verify and extract.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use consign_bundle::{Anchor, Archive, Selection, UnpackError, unpack};
use consign_metadata::{EntryPath, Problem};
use consign_policy::Stage;
use consign_signing::TrustedClaim;
use serde::Serialize;

use super::verify::AsOf;
use crate::act::{Act, Action};
use crate::checked::{archive_failure, archive_path, check_copy, expected, sole_claim};
use crate::context::{Context, threads, unwritable};
use crate::encrypted_set::opened_or_plain;
use crate::encryption::IdentityArgs;
use crate::exit::Exit;
use crate::handling::{Handling, PolicyArgs, Standing, counted, decide_bundle, permit};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, count, size};
use crate::vouching::{Vouched, VouchingArgs};

/// Verify a bundle and extract it into a new directory
///
/// DEST must not exist. It appears, with everything in it, once every byte was verified.
#[derive(clap::Args)]
pub(crate) struct Unpack {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The directory to make
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    #[command(flatten)]
    vouching: VouchingArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Extract even if nobody trusted vouches for the bundle; what is extracted may come from anyone
    #[arg(long, help_heading = "Trust options")]
    allow_untrusted: bool,
    /// Keep the BagIt layout, with the tag files
    #[arg(long, conflicts_with = "only")]
    bag: bool,
    /// Extract only this file, reading no more than it needs; may be repeated
    #[arg(long, value_name = "PATH")]
    only: Vec<EntryPath>,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Unpacked {
    destination: PathBuf,
    name: String,
    version: String,
    classification: String,
    bundle_id: String,
    files: u64,
    bytes: u64,
    /// Whether a trusted key vouches for it.
    trusted: bool,
    /// What the handling policy says.
    handling: Handling,
    /// The earlier time as of which it was vouched for, on the caller's word; it is not `trusted` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<AsOf>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Problem>,
}

impl Report for Unpacked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        let class = self.classification.to_uppercase();
        writeln!(out, "{good}unpacked{good:#} {} {}  [{class}]", self.name, self.version)?;
        writeln!(out, "  into        {}", self.destination.display())?;
        writeln!(
            out,
            "  content     {}, {}, each verified",
            count(self.files, "file", "files"),
            size(self.bytes)
        )?;
        writeln!(out, "  bundle id   {}", self.bundle_id)?;
        self.handling.human(out, 11)?;
        if let Some(AsOf { time, .. }) = &self.as_of {
            writeln!(
                out,
                "  {warn}HELD AS OF {time}, on your word: it would not hold now, and nothing proves that the signature was made by then{warn:#}"
            )?;
        } else if !self.trusted {
            writeln!(
                out,
                "  {warn}NOT VERIFIED: nobody you trust vouches for it; it may come from anyone{warn:#}"
            )?;
        }
        for note in &self.notes {
            writeln!(out, "  {warn}note{warn:#}        {}", consign_metadata::printable(&note.message))?;
        }
        Ok(())
    }
}

impl Unpack {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let policy = self.policy.load(context)?;
        let trusted = self.vouching.load(context, &policy)?;
        let set = opened_or_plain(context, &self.bundle, &self.identity)?;
        let path = archive_path(&set)?;
        let claim = sole_claim(&set)?;
        claim.into_iter().for_each(|claim| context.about(claim));
        // Trust is asked before anything is written.
        let vouching = claim.map(|claim| self.vouching.judge(&trusted, &set, claim, path)).transpose()?;
        let problems = match &vouching {
            Some(vouching) => vouching.problems.clone(),
            None => vec![
                Problem::new("unsigned", "there is no signature")
                    .at(path.display().to_string())
                    .hint("ask the sender for the `.intoto.jsonl` file that belongs to it"),
            ],
        };
        let only_trust = problems.iter().all(|problem| {
            matches!(problem.code, "not-trusted" | "unsigned" | "trust-expired" | "trust-import-missing")
        });
        let admitted = self.allow_untrusted && only_trust;
        if !problems.is_empty() && !admitted {
            return Err(Failure { exit: Exit::NotTrusted, problems });
        }
        let expected = claim.map(expected).transpose()?;
        let anchor = expected.as_ref().map_or(Anchor::Unsigned, Anchor::Signed);
        let archive =
            Archive::open(set.open_archive(path)?, anchor).map_err(|error| archive_failure(error, path))?;
        if let Some(copy) = &set.manifest {
            let id = match &expected {
                Some(expected) => expected.id,
                None => archive.manifest_id().map_err(|error| archive_failure(error, path))?,
            };
            check_copy(copy, id)?;
        }
        let (manifest, _) = archive.manifest().map_err(|error| archive_failure(error, path))?;
        let trusted_claim = vouching.as_ref().and_then(|vouching| vouching.decision.trusted());
        let signers = trusted_claim.map(|trusted| counted(trusted.signers())).unwrap_or_default();
        let claim = trusted_claim.map(TrustedClaim::claim);
        let decision = decide_bundle(&policy, Stage::Unpack, &manifest, Standing::new(claim, &signers));
        permit(&decision, &policy, path)?;
        drop(manifest);
        let selection = match (self.bag, self.only.is_empty()) {
            (true, _) => Selection::Bag,
            (false, true) => Selection::Payload,
            (false, false) => Selection::Only(self.only.clone()),
        };
        let total = archive.work(&consign_bundle::Scope::Content).unwrap_or_default();
        let meter = context.meter("unpacking", total);
        let verified = unpack(&archive, &self.destination, selection, threads(self.threads), &meter);
        drop(meter);
        let verified = verified.map_err(|error| self.failure(error, path))?;
        let vouched = trusted_claim.and_then(|trusted| Vouched::archive(&verified, trusted));
        let (manifest, core) = (verified.manifest(), verified.manifest().core());
        let mut notes = vouching.as_ref().map(|vouching| vouching.notes.clone()).unwrap_or_default();
        let asserted = vouched.as_ref().is_some_and(|vouched| vouched.asserted);
        // What was extracted is what was signed; but another one was verified under the name meanwhile.
        let mut conflict = None;
        if let Some(claim) = trusted_claim.filter(|_| problems.is_empty() && vouched.is_some()) {
            let remembered = self.vouching.remember(&trusted, claim, path);
            notes.extend(remembered.notes);
            conflict = remembered.problem;
        }
        let chosen: Vec<u64> = match self.only.is_empty() {
            true => manifest.files().iter().map(|file| file.size).collect(),
            false => self
                .only
                .iter()
                .filter_map(|path| manifest.file(path.as_str()))
                .map(|file| file.size)
                .collect(),
        };
        let report = Unpacked {
            destination: self.destination.clone(),
            name: core.name.to_string(),
            version: core.version.to_string(),
            classification: core.classification.to_string(),
            bundle_id: verified.id().to_string(),
            files: chosen.len() as u64,
            bytes: chosen.iter().sum(),
            handling: Handling::of(&policy, Stage::Unpack, &decision),
            trusted: problems.is_empty() && vouched.is_some() && !asserted && conflict.is_none(),
            as_of: vouching.as_ref().filter(|_| asserted).map(|vouching| {
                let moment = vouching.decision.moment();
                AsOf { time: moment.at().to_string(), evidence: moment.evidence() }
            }),
            notes,
        };
        let act = match trusted_claim {
            Some(claim) => Act::of(Action::Unpacked, claim.claim()),
            None => Act::new(Action::Unpacked).archive(verified.facts().sha256).with("trusted", false),
        };
        context.record(act.with("into", self.destination.display().to_string()).with("files", chosen.len()));
        let exit = if conflict.is_some() { Exit::NotTrusted } else { Exit::Done };
        Ok(Outcome { exit, problems: conflict.into_iter().collect(), report: Some(Box::new(report)) })
    }

    fn failure(&self, error: UnpackError, path: &std::path::Path) -> Failure {
        match error {
            UnpackError::Archive(error) => archive_failure(error, path),
            UnpackError::Exists(at) => Failure::failed(
                Problem::new("destination-exists", "already exists; unpack makes a new directory")
                    .at(at.display().to_string())
                    .hint("name a directory that is not there yet"),
            ),
            UnpackError::Name(fault) => Failure::failed(Problem::new(fault.rule.code(), fault.to_string())),
            UnpackError::Write { path, error } => unwritable(&path, &error),
        }
    }
}
