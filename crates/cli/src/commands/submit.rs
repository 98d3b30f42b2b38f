//! `consign submit`: hand a bundle over.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::Scope;
use consign_metadata::{Problem, printable};
use consign_policy::{Destination, Encryption, Permit, Policy, Stage, Target};
use consign_signing::{Claim, Content};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::bundle_set::BundleSet;
use crate::checked::{archive_path, sole_claim};
use crate::context::{Context, threads};
use crate::encrypted_set::{EncryptedFiles, opened_with_its_files};
use crate::encryption::IdentityArgs;
use crate::examined::{Asked, Examined};
use crate::exit::Exit;
use crate::handling::{Handling, ParentArgs, PolicyArgs, Standing, counted, decide_bundle, refusals};
use crate::ledger;
use crate::outcome::{Failure, Outcome, Report};
use crate::parcel::{Parcel, PieceName};
use crate::style::{self, size};
use crate::vouching::VouchingArgs;

/// Hand a bundle over: check it, ask the policy, and copy it to where the recipients look
///
/// The bundle is verified fully first, and the signatures that its classification demands must be there. What is
/// copied is what was verified; it appears under its names once all of it has arrived.
#[derive(clap::Args)]
pub(crate) struct Submit {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// A destination of the policy by name, or a folder; may be repeated
    #[arg(long, value_name = "NAME|DIR", required = true)]
    to: Vec<String>,
    #[command(flatten)]
    vouching: VouchingArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    parents: ParentArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Say what would be refused, and copy nothing
    #[arg(long)]
    dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What was handed over.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Submitted {
    name: String,
    version: String,
    classification: String,
    bundle_id: String,
    /// SHA-256 of the archive, or of the encrypted file.
    archive_sha256: String,
    bytes: u64,
    /// The files that belong together.
    files: Vec<PieceName>,
    /// What became of it, for each `--to`.
    deliveries: Vec<Delivery>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Problem>,
}

/// What became of it at one destination.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Delivery {
    /// `submitted`; `completed`, if a part of it was there; `unchanged`, if all of it was; `dry-run`; `refused` by the
    /// policy, there or at another destination; or `failed`.
    status: &'static str,
    /// What `--to` named.
    to: String,
    /// The folder.
    destination: PathBuf,
    handling: Handling,
}

impl Report for Submitted {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, error, warn) = (style::GOOD, style::ERROR, style::WARN);
        let class = self.classification.to_uppercase();
        for (n, delivery) in self.deliveries.iter().enumerate() {
            if n > 0 {
                writeln!(out)?;
            }
            let (style, what) = match delivery.status {
                "dry-run" => (good, "would submit"),
                "failed" | "refused" => (error, "not submitted"),
                status => (good, status),
            };
            writeln!(out, "{style}{what}{style:#} {} {}  [{class}]", self.name, self.version)?;
            writeln!(out, "  to            {}", printable(&delivery.destination.display().to_string()))?;
            writeln!(out, "  bundle id     {}", self.bundle_id)?;
            writeln!(out, "  archive       {}, {}", size(self.bytes), self.archive_sha256)?;
            for file in &self.files {
                writeln!(out, "  file          {}", file.name)?;
            }
            delivery.handling.human(out, 13)?;
        }
        for note in &self.notes {
            writeln!(out, "  {warn}note{warn:#}          {}", printable(&note.message))?;
        }
        Ok(())
    }
}

/// Where a bundle is to go.
struct Goal<'a> {
    /// What `--to` named.
    to: &'a str,
    listed: Option<&'a Destination>,
    folder: PathBuf,
}

impl<'a> Goal<'a> {
    /// A destination of the policy first, else a folder.
    fn find(policy: &'a Policy, to: &'a str) -> Self {
        if let Some(listed) = policy.destination(to) {
            return Self { to, listed: Some(listed), folder: PathBuf::from(listed.path.as_str()) };
        }
        let folder = PathBuf::from(to);
        let real = folder.canonicalize().ok();
        let same = |listed: &&Destination| {
            real.is_some() && Path::new(listed.path.as_str()).canonicalize().ok() == real
        };
        Self { to, listed: policy.destinations().iter().find(same), folder }
    }

    fn target(&self) -> Target<'a> {
        self.listed.map_or(Target::Unlisted(self.to), Target::Listed)
    }

    /// By which name the ledger knows it.
    fn name(&self) -> &str {
        self.listed.map_or(self.to, |listed| listed.name.as_str())
    }
}

impl Submit {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let policy = self.policy.load(context)?;
        let goals: Vec<_> = self.to.iter().map(|to| Goal::find(&policy, to)).collect();
        let mut claimed = None;
        let result = self.submit(context, &policy, &goals, &mut claimed);
        let problems = match &result {
            Ok(outcome) if outcome.exit == Exit::Refused => Some(&outcome.problems),
            Err(failure) if matches!(failure.exit, Exit::NotIntact | Exit::NotTrusted | Exit::Refused) => {
                Some(&failure.problems)
            }
            _ => None,
        };
        if let Some(problems) = problems.filter(|_| !self.dry_run) {
            for goal in &goals {
                context.record(refused(claimed.as_ref(), goal, problems));
            }
        }
        result
    }

    fn submit(
        &self,
        context: &Context,
        policy: &Policy,
        goals: &[Goal<'_>],
        claimed: &mut Option<Claim>,
    ) -> Result<Outcome, Failure> {
        let trusted = self.vouching.load(context, policy)?;
        let (set, encrypted) = opened_with_its_files(context, &self.bundle, &self.identity)?;
        let path = self.archive(&set)?;
        if sole_claim(&set)?.is_none() {
            let problem = Problem::new("unsigned", "there is no signature").at(path.display().to_string());
            let hint = "sign it first: consign sign BUNDLE --key FILE";
            return Err(Failure::new(Exit::NotTrusted, problem.hint(hint)));
        }
        let asked = Asked {
            context,
            vouching: &self.vouching,
            trusted: &trusted,
            policy,
            stage: Stage::Submit,
            on_a_word: false,
            threads: threads(self.threads),
        };
        let mut examined = asked.look(&set, path, Scope::Content);
        *claimed = examined.claim.take();
        let (Exit::Done, Some(verified), Some(trusted), Some(_)) =
            (examined.exit, &examined.verified, examined.trusted(), &examined.vouched)
        else {
            return Err(examined.into_failure());
        };
        // Every destination is asked about before anything is copied to any.
        let signers = counted(trusted.signers());
        let encryption = match &encrypted {
            Some(files) => Encryption::To(files.recipients.all()),
            None => Encryption::Plain,
        };
        let parents = self.parents.load(context, verified.manifest().core())?;
        let (mut permits, mut deliveries, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for goal in goals {
            let standing = Standing {
                claim: Some(trusted.claim()),
                signers: &signers,
                encryption: Some(encryption.clone()),
                target: Some(goal.target()),
                parents: &parents,
            };
            let decision = decide_bundle(policy, Stage::Submit, verified.manifest(), standing);
            deliveries.push(Delivery {
                status: "dry-run",
                to: goal.to.to_owned(),
                destination: goal.folder.clone(),
                handling: Handling::of(policy, Stage::Submit, &decision),
            });
            match decision.permit() {
                Ok(permit) => permits.push(permit),
                Err(_) => {
                    let more = refusals(&decision, policy, path);
                    refused.extend(more.into_iter().filter(|one| !refused.contains(one)).collect::<Vec<_>>());
                }
            }
        }
        let parcel = match &encrypted {
            Some(files) => Parcel::encrypted(files),
            None => Parcel::plain(&set, trusted, verified.id()),
        };
        let bundle = &trusted.claim().bundle;
        let report = |parcel: Option<&Parcel>, deliveries| Submitted {
            name: bundle.name.to_string(),
            version: bundle.version.to_string(),
            classification: bundle.classification.to_string(),
            bundle_id: verified.id().to_string(),
            archive_sha256: match parcel {
                Some(parcel) => parcel.sha256.to_string(),
                None => verified.facts().sha256.to_string(),
            },
            bytes: parcel.map_or(verified.facts().size, |parcel| parcel.size),
            files: parcel.map(Parcel::names).unwrap_or_default(),
            deliveries,
            notes: parcel.map(|parcel| parcel.notes.clone()).unwrap_or_default(),
        };
        if !refused.is_empty() {
            deliveries.iter_mut().for_each(|delivery| delivery.status = "refused");
            let report = report(parcel.as_ref().ok(), deliveries);
            return Ok(Outcome { exit: Exit::Refused, problems: refused, report: Some(Box::new(report)) });
        }
        let parcel = parcel?;
        let mut outcome = Outcome { exit: Exit::Done, problems: Vec::new(), report: None };
        if !self.dry_run {
            for ((goal, permit), delivery) in goals.iter().zip(&permits).zip(&mut deliveries) {
                match parcel.hand_over(context, permit, &goal.folder) {
                    Ok(status) => {
                        delivery.status = status;
                        context.keep_manifest(&set, verified.manifest(), verified.id());
                        // What was there may have been put there by a run that was killed before it could say so.
                        let to = Some(goal.name());
                        if status != "unchanged" || !ledger::tells_of(context, Action::Submitted, bundle, to)
                        {
                            context.record(submitted(&examined, encrypted.as_ref(), &parcel, goal, permit));
                        }
                    }
                    // What arrived elsewhere stays there, and is told.
                    Err(failure) => {
                        delivery.status = "failed";
                        outcome.exit = outcome.exit.and(failure.exit);
                        outcome.problems.extend(failure.problems);
                    }
                }
            }
        }
        if !self.dry_run && encrypted.is_none() {
            crate::store_args::refresh(context, &set, &verified.facts().sha256);
        }
        outcome.report = Some(Box::new(report(Some(&parcel), deliveries)));
        Ok(outcome)
    }

    /// The archive's path; a directory that was sealed where it lies has none.
    fn archive<'s>(&self, set: &'s BundleSet) -> Result<&'s PathBuf, Failure> {
        if let (None, Some(claim)) = (&set.archive, sole_claim(set)?)
            && claim.content == Content::Sealed
        {
            let message =
                "is about a directory that was sealed where it lies; there is no archive to hand over";
            let problem = Problem::new("sealed-directory", message).at(self.bundle.display().to_string());
            return Err(Failure::failed(problem.hint(
                "make a bundle of it: consign pack DIR -o OUT, or send the directory by other means",
            )));
        }
        archive_path(set)
    }
}

/// A hand-over, for the ledger.
fn submitted(
    examined: &Examined,
    encrypted: Option<&EncryptedFiles>,
    parcel: &Parcel,
    goal: &Goal<'_>,
    permit: &Permit,
) -> Act {
    let act = match examined.trusted() {
        Some(trusted) => {
            let print = |signer: &consign_signing::SignerInfo| signer.fingerprint().to_string();
            let signers: Vec<_> = trusted.signers().iter().map(print).collect();
            Act::of(Action::Submitted, trusted.claim()).with("signers", signers)
        }
        None => Act::new(Action::Submitted),
    };
    act.with("to", goal.name())
        .with("path", goal.folder.display().to_string())
        .with("files", parcel.names())
        .with("policy", permit.policy().to_string())
        .with("encrypted_sha256", encrypted.map(|files| files.claim.sha256.to_string()))
}

/// A refusal, for the ledger.
fn refused(claim: Option<&Claim>, goal: &Goal<'_>, problems: &[Problem]) -> Act {
    let act = match claim {
        Some(claim) => Act::of(Action::Refused, claim),
        None => Act::new(Action::Refused),
    };
    act.with("step", "submit").with("to", goal.name()).problems(problems)
}
