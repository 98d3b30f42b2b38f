//! Hand a bundle over.

use crate::act::{Act, Action};
use crate::addressing::LaboratoryArgs;
use crate::bundle_out::BundleOut;
use crate::bundle_set::{BundleSet, Names};
use crate::checked::{archive_path, sole_claim};
use crate::context::{Context, threads};
use crate::encrypted_set::{EncryptedFiles, opened_with_its_files};
use crate::encryption::IdentityArgs;
use crate::examined::{Asked, Examined};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::ParentArgs;
use crate::handling::PolicyArgs;
use crate::handling::{Answers, Handling, LaboratoryOut, Standing, counted, decide_bundle, uncounted};
use crate::ledger;
use crate::operation::{Outcome, Request};
use crate::parcel::{Parcel, PieceName};
use crate::vouching::VouchingArgs;
use consign_bundle::Scope;
use consign_metadata::{Problem, did_you_mean, printable, shell_word};
use consign_policy::{Called, Destination, Encryption, Permit, Policy, Stage, Target};
use consign_signing::{Claim, Content};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Hand a bundle over: check it, ask the policy, and copy it to where the recipients look
///
/// The bundle is verified fully first, and the signatures that its classification demands must be there. What is
/// copied is what was verified; it appears under its names once all of it has arrived.
#[derive(Clone, Debug)]
pub struct Submit {
    /// Archive, attestations, or folder with one bundle
    pub bundle: PathBuf,
    /// Where to: a recipient or a destination of the policy by name, or a folder; may be repeated
    pub to: Vec<String>,
    pub vouching: VouchingArgs,
    pub policy: PolicyArgs,
    pub laboratories: LaboratoryArgs,
    pub parents: ParentArgs,
    pub identity: IdentityArgs,
    /// Say what would be refused, and copy nothing
    pub dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

/// What was handed over.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Submitted {
    pub bundle: BundleOut,
    /// SHA-256 of the archive, or of the encrypted file.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub archive_sha256: String,
    pub bytes: u64,
    /// The files that belong together.
    pub files: Vec<PieceName>,
    /// What became of it, for each `--to`.
    pub deliveries: Vec<Delivery>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

/// What became of it at one destination.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delivery {
    /// `submitted`; `completed`, if a part of it was there; `unchanged`, if all of it was; `dry-run`; `refused` by the
    /// policy, there or at another destination; or `failed`.
    pub status: &'static str,
    /// What `--to` named.
    pub to: String,
    /// The folder.
    pub destination: PathBuf,
    pub handling: Handling,
    /// What the laboratories say to accepting it that were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laboratories: Vec<LaboratoryOut>,
}

/// A bundle that was taken back, and who was told.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Withdrawn {
    pub bundle: BundleOut,
    /// The revocation; nothing else was handed over.
    pub files: Vec<PieceName>,
    /// What became of it, for each `--to` that has the bundle.
    pub revocation: Vec<RevocationDelivery>,
}

/// What became of a revocation at one destination.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevocationDelivery {
    /// `submitted`, `unchanged` or `dry-run`.
    pub status: &'static str,
    /// What `--to` named.
    pub to: String,
    /// The folder.
    pub destination: PathBuf,
}

/// Where a bundle is to go.
struct Goal<'a> {
    /// What `--to` named.
    to: &'a str,
    listed: Option<&'a Destination>,
    folder: PathBuf,
}

impl<'a> Goal<'a> {
    /// A destination of the policy first, else that where a recipient of the policy reads, else a folder.
    fn find(policy: &'a Policy, to: &'a str) -> Result<Self, Failure> {
        if let Some(listed) = policy.destination(to) {
            return Ok(Self::listed(to, listed));
        }
        let mut read = policy.destinations_of(to);
        match (read.next(), read.next()) {
            (Some(listed), None) => return Ok(Self::listed(to, listed)),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(read).map(|one| one.name.as_str());
                let message = format!("`{}` reads at several destinations", printable(to));
                let problem = Problem::new("several-destinations", message).at("--to");
                let commands = all.map(|name| format!("--to {}", shell_word(name))).collect::<Vec<_>>();
                return Err(Failure::usage(problem.hint(format!("name one: {}", commands.join(" or ")))));
            }
            (None, _) => {}
        }
        let folder = PathBuf::from(to);
        let real = folder.canonicalize().ok();
        let same = |listed: &&Destination| {
            real.is_some() && Path::new(listed.path.as_str()).canonicalize().ok() == real
        };
        Ok(Self { to, listed: policy.destinations().iter().find(same), folder })
    }

    fn listed(to: &'a str, listed: &'a Destination) -> Self {
        Self { to, listed: Some(listed), folder: PathBuf::from(listed.path.as_str()) }
    }

    /// The folder must be there: a name that was mistyped makes none.
    fn check(&self, policy: &Policy) -> Result<(), Failure> {
        let Some(listed) = self.listed.filter(|_| !self.folder.is_dir()) else {
            return if self.folder.is_dir() { Ok(()) } else { Err(nowhere(policy, self.to)) };
        };
        let message = format!(
            "the folder of the destination `{}` is not there: `{}`",
            listed.name,
            printable(listed.path.as_str())
        );
        let hint = "mount it or have it made; if it moved, put its new `path` into the policy";
        Err(Failure::failed(Problem::new("no-destination", message).at("--to").hint(hint)))
    }

    fn target(&self) -> Target<'a> {
        self.listed.map_or(Target::Unlisted(self.to), Target::Listed)
    }

    /// By which name the ledger knows it.
    fn name(&self) -> &str {
        self.listed.map_or(self.to, |listed| listed.name.as_str())
    }
}

/// A name means nobody whom the policy knows, and no folder that is there.
fn nowhere(policy: &Policy, to: &str) -> Failure {
    let shown = printable(to);
    if Path::new(to).symlink_metadata().is_ok() {
        let problem = Problem::new("no-destination", format!("`{shown}` is not a folder")).at("--to");
        return Failure::failed(problem.hint("name the folder that the recipient looks into"));
    }
    let recipients = policy.recipients().iter().flat_map(consign_policy::Recipient::names);
    let names = policy.destinations().iter().map(|known| &known.name).chain(recipients);
    let mut names: Vec<&str> = names.map(consign_metadata::Line::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let problem = |message: String| Problem::new("no-destination", message).at("--to");
    if let Called::Listed(known) = policy.called(to) {
        let message = format!(
            "the policy has the recipient `{}`, but no `[[destination]]` where they read",
            known.name
        );
        return Failure::usage(
            problem(message).hint("name the folder, or add a destination with that `recipient`"),
        );
    }
    let problem =
        problem(format!("`{shown}` is neither a recipient nor a destination of the policy, nor a folder"));
    let near = did_you_mean(to, names.iter().copied());
    let hint = match (near, names.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "name a folder that is there; the policy lists no recipients".to_owned(),
        (None, names) => {
            let listed: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
            let more = if names.len() > LISTED { " and others" } else { "" };
            format!("the policy knows {}{more}", listed.join(", "))
        }
    };
    Failure::usage(problem.hint(hint))
}

/// How many names are listed in a hint.
const LISTED: usize = 12;

/// What became of a hand-over.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Report {
    /// The bundle was handed over, or would be.
    Submitted(Box<Submitted>),
    /// It was taken back: that it was is what is handed over.
    Withdrawn(Box<Withdrawn>),
}

impl Request for Submit {
    const COMMAND: &str = "submit";
    type Report = Report;

    fn run(&self, context: &Context) -> Result<Outcome<Report>, Failure> {
        let policy = self.policy.load(context)?;
        let goals = self.to.iter().map(|to| Goal::find(&policy, to)).collect::<Result<Vec<_>, _>>()?;
        let mut claimed = None;
        let result = self.submit(context, &policy, &goals, &mut claimed);
        let (exit, problems) = match &result {
            Ok(outcome) => (outcome.exit, &outcome.problems),
            Err(failure) => (failure.exit, &failure.problems),
        };
        if matches!(exit, Exit::NotIntact | Exit::NotTrusted | Exit::Refused) && !self.dry_run {
            for goal in &goals {
                context.record(refused(claimed.as_ref(), goal, exit, problems));
            }
        }
        result
    }
}

impl Submit {
    fn submit(
        &self,
        context: &Context,
        policy: &Policy,
        goals: &[Goal<'_>],
        claimed: &mut Option<Claim>,
    ) -> Result<Outcome<Report>, Failure> {
        let trusted = self.vouching.load(context, policy)?.at_the_senders();
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
            return self.take_back(
                context,
                (policy, goals),
                &set,
                encrypted.is_some(),
                claimed.as_ref(),
                examined,
            );
        };
        // Every destination is asked about before anything is copied to any.
        let signers = counted(trusted.signers());
        let others = examined.decision.as_ref().map(uncounted).unwrap_or_default();
        let said = encrypted.as_ref().map(|files| &files.recipients);
        let encryption = examined.encryption(said, path)?.unwrap_or(Encryption::Plain);
        let parents = self.parents.load(context, verified.manifest().core())?;
        let place = self.policy.place(context);
        let own = (policy, place.as_deref());
        let laboratories = self.laboratories.load(context, own, &trusted.claim().addressees)?;
        let (mut permits, mut deliveries, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for goal in goals {
            let standing = Standing {
                uncounted: &others,
                encryption: Some(encryption.clone()),
                target: Some(goal.target()),
                parents: &parents,
                ..Standing::new(Some(trusted.claim()), &signers)
            };
            let answers = Answers::of(policy, Stage::Submit, &laboratories, |policy, stage| {
                decide_bundle(policy, stage, verified.manifest(), &standing)
            });
            deliveries.push(Delivery {
                status: "dry-run",
                to: goal.to.to_owned(),
                destination: goal.folder.clone(),
                handling: answers.handling(),
                laboratories: answers.laboratories(),
            });
            match answers.permit(path) {
                Ok(permit) => permits.push(permit),
                Err(failure) => {
                    let new = |one: &Problem| !refused.contains(one);
                    let more: Vec<_> = failure.problems.into_iter().filter(new).collect();
                    refused.extend(more);
                }
            }
        }
        let parcel = match &encrypted {
            Some(files) => Parcel::encrypted(files),
            None => Parcel::plain(&set, trusted, verified.id()),
        };
        let report = |parcel: Option<&Parcel>, deliveries| Submitted {
            bundle: BundleOut::claimed(trusted.claim()),
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
            return Ok(Outcome {
                exit: Exit::Refused,
                problems: refused,
                report: Some(Report::Submitted(Box::new(report))),
            });
        }
        goals.iter().try_for_each(|goal| goal.check(policy))?;
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
                        if status != "unchanged"
                            || !ledger::tells_of(context, Action::Submitted, &trusted.claim().bundle, to)
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
        let mut report = report(Some(&parcel), deliveries);
        if encrypted.is_some() && outcome.exit == Exit::Done {
            let message = "what was handed over cannot be made again: encrypting it anew gives other bytes";
            let hint = "keep these files as they are for as long as somebody may ask what was sent";
            report.notes.push(Problem::new("not-kept", message).hint(hint));
        }
        outcome.report = Some(Report::Submitted(Box::new(report)));
        Ok(outcome)
    }

    /// Of a bundle that was taken back nothing is handed over any more but that it was; and that to those who have it.
    fn take_back(
        &self,
        context: &Context,
        (policy, goals): (&Policy, &[Goal<'_>]),
        set: &BundleSet,
        encrypted: bool,
        claim: Option<&Claim>,
        examined: Examined,
    ) -> Result<Outcome<Report>, Failure> {
        let revoked = examined.decision.as_ref().and_then(consign_signing::Decision::revoked);
        let (Some(_), Some(claim), false) = (revoked, claim, encrypted) else {
            return Err(examined.into_failure());
        };
        let Some(parcel) = Parcel::revocation(set, claim)? else { return Err(examined.into_failure()) };
        let bundle = &claim.bundle;
        let has_it = |goal: &Goal<'_>| {
            goal.folder.join(Names::of(&bundle.name, &bundle.version).archive).is_file()
                || ledger::tells_of(context, Action::Submitted, bundle, Some(goal.name()))
        };
        let (mut deliveries, mut problems) = (Vec::new(), Vec::new());
        let mut exit = Exit::Done;
        for goal in goals {
            if let Err(failure) = goal.check(policy) {
                exit = exit.and(failure.exit);
                problems.extend(failure.problems);
                continue;
            }
            if !has_it(goal) {
                let message =
                    format!("was revoked, and was never handed over to `{}`", printable(goal.name()));
                let problem = Problem::new("bundle-revoked", message).at(self.bundle.display().to_string());
                let hint = "nothing of it goes there any more; hand over the bundle that takes its place";
                problems.push(problem.hint(hint));
                exit = exit.and(Exit::NotTrusted);
                continue;
            }
            let status = match self.dry_run {
                true => Ok("dry-run"),
                false => parcel.add_to(context, &goal.folder),
            };
            match status {
                Ok(status) => {
                    if !self.dry_run && status != "unchanged" {
                        let act = Act::of(Action::Submitted, claim).with("to", goal.name());
                        let act = act.with("path", goal.folder.display().to_string());
                        context.record(act.with("revoked", true).with("files", parcel.names()));
                    }
                    deliveries.push(RevocationDelivery {
                        status,
                        to: goal.to.to_owned(),
                        destination: goal.folder.clone(),
                    });
                }
                Err(failure) => {
                    exit = exit.and(failure.exit);
                    problems.extend(failure.problems);
                }
            }
        }
        let report =
            Withdrawn { bundle: BundleOut::claimed(claim), files: parcel.names(), revocation: deliveries };
        Ok(Outcome { exit, problems, report: Some(Report::Withdrawn(Box::new(report))) })
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
fn refused(claim: Option<&Claim>, goal: &Goal<'_>, exit: Exit, problems: &[Problem]) -> Act {
    let act = match claim {
        Some(claim) => Act::of(Action::Refused, claim),
        None => Act::new(Action::Refused),
    };
    act.with("step", "submit").with("to", goal.name()).ended(exit, problems)
}
