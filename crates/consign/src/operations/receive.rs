//! Take bundles in, and sign what became of each.

use crate::act::{Act, Action, secrets_allowed};
use crate::bundle_out::BundleOut;
use crate::bundle_set::{Broken, BundleSet};
use crate::checked::sole_claim;
use crate::context::{Context, make_folder, threads};
use crate::encrypted_set::EncryptedSet;
use crate::encryption::IdentityArgs;
use crate::examined::{Asked, Examined, Extraction, destination_exists};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::Handling;
use crate::handling::PolicyArgs;
use crate::key_source::{KeySource, OpenKey};
use crate::keys::PassphraseArgs;
use crate::ledger;
use crate::operation::{Outcome, Request};
use crate::receipts::{Arrival, Issuer, Written};
use crate::recipients::SaidRecipients;
use crate::vouching::TrustArgs;
use crate::vouching::{Trusted, VouchingArgs};
use crate::withdrawn::{self, ReceivedRevocation};
use consign_bundle::{Scope, Selection, TreeLayout, compare_directory};
use consign_metadata::{Manifest, Problem, Role};
use consign_policy::{Policy, Stage};
use consign_signing::{About, Receipt, ReceiptLevel};
use serde::Serialize;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Take bundles in: check each, ask the policy, unpack it where told, and sign a receipt
///
/// Every bundle of a folder is handled, whatever becomes of the others. A receipt is signed for a refusal too, with its
/// reasons; for what could not be looked at there is none. A revocation that lies there and counts puts aside what was
/// unpacked of its bundle.
#[derive(Clone, Debug)]
pub struct Receive {
    /// Archive, attestations, or folder with any number of bundles
    pub bundles: Vec<PathBuf>,
    /// The key to sign receipts with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    pub key: Option<OsString>,
    /// What to sign as
    pub role: Role,
    pub passphrase: PassphraseArgs,
    pub trust: TrustArgs,
    pub policy: PolicyArgs,
    pub identity: IdentityArgs,
    /// Unpack what is accepted into DIR/NAME-VERSION
    pub unpack_to: Option<PathBuf>,
    /// Put receipts into this folder [default: beside each bundle]
    pub receipts: Option<PathBuf>,
    /// Say what would become of each bundle: nothing is signed, unpacked, moved or remembered
    pub dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

impl Receive {
    /// Takes in a bundle, or all that lie in a folder, by the configured trust and policy; receipts are signed with a key
    /// in a role, which is `recipient` unless somebody agreed on another.
    pub fn new(inbox: impl Into<PathBuf>, key: impl Into<OsString>, role: Role) -> Self {
        Self {
            bundles: vec![inbox.into()],
            key: Some(key.into()),
            role,
            passphrase: PassphraseArgs::default(),
            trust: TrustArgs::default(),
            policy: PolicyArgs::default(),
            identity: IdentityArgs::default(),
            unpack_to: None,
            receipts: None,
            dry_run: false,
            threads: None,
        }
    }
}

/// What became of the bundles.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Received {
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    pub bundles: Vec<ReceivedBundle>,
    /// Revocations that lay there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<ReceivedRevocation>,
}

/// What became of one bundle.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceivedBundle {
    /// The file.
    pub path: String,
    /// `accepted` or `refused`; absent if it could not be looked at, or not be unpacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
    /// What its exit code would be.
    pub exit: u8,
    /// How much was found to be as its statement says; absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<ReceiptLevel>,
    /// Name, version, classification and id: claims, unless it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleOut>,
    /// The file that arrived: the archive, or the encrypted file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Arrived>,
    /// Whose signatures counted.
    pub signers: Vec<Signer>,
    /// What the handling policy says; absent if it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handling: Option<Handling>,
    /// Why it was not accepted.
    pub problems: Vec<Problem>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
    /// The directory that holds its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpacked: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Written>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Arrived {
    pub size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
    pub encrypted: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signer {
    pub fingerprint: String,
    pub role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What an argument names.
enum Found {
    Plain(BundleSet),
    Encrypted(EncryptedSet),
    Broken(Broken),
}

impl Found {
    /// Every bundle of a folder, or the one that a file belongs to; none, if it is or holds nothing but revocations.
    fn all(named: &Path, revocations: bool) -> Result<Vec<Self>, Failure> {
        if !named.is_dir() {
            return if revocations { Ok(Vec::new()) } else { Self::one(named).map(|one| vec![one]) };
        }
        let encrypted = EncryptedSet::each_in_folder(named)?.into_iter().map(|set| set.map(Self::Encrypted));
        let plain = BundleSet::each_in_folder(named)?.into_iter().map(|set| set.map(Self::Plain));
        let all: Vec<_> = plain.chain(encrypted).map(|set| set.unwrap_or_else(Self::Broken)).collect();
        if all.is_empty() && !revocations {
            let problem = Problem::new("no-bundle", "holds no bundle: no `.tar.zst` and no `.intoto.jsonl`");
            return Err(Failure::failed(problem.at(named.display().to_string())));
        }
        Ok(all)
    }

    fn one(named: &Path) -> Result<Self, Failure> {
        let found = match EncryptedSet::find_one(named) {
            Ok(Some(set)) => Ok(Self::Encrypted(set)),
            Ok(None) => BundleSet::find_one(named).map(Self::Plain),
            Err(failure) => Err(failure),
        };
        // Bytes whose statements cannot be read arrived all the same.
        let is_archive = !named.to_string_lossy().ends_with(".jsonl");
        found.or_else(|failure| match failure.exit {
            Exit::NotIntact if is_archive => {
                Ok(Self::Broken(Broken { path: named.into(), archive: Some(named.into()), failure }))
            }
            _ => Err(failure),
        })
    }
}

/// What all bundles are held against.
struct Desk<'a> {
    context: &'a Context,
    vouching: &'a VouchingArgs,
    policy: &'a Policy,
    trusted: &'a Trusted,
    /// Who signs receipts; nobody, if nothing is to be changed.
    issuer: Option<Issuer<'a>>,
    told: OnceCell<BTreeSet<String>>,
}

impl Desk<'_> {
    /// The receipts that the ledger tells of: one that lies there may have been written by a run that was killed before
    /// it could say so. Where the ledger cannot be read, it tells of none.
    fn told(&self) -> &BTreeSet<String> {
        self.told.get_or_init(|| {
            let open = ledger::open(self.context, None);
            open.and_then(|open| ledger::receipts_told(&open.ledger, "received")).unwrap_or_default()
        })
    }
}

/// A bundle that was looked at, and where it was unpacked to.
struct Looked {
    examined: Examined,
    unpacked: Option<PathBuf>,
    /// The directory that was made for it, whether it counts or not.
    made: Option<PathBuf>,
}

impl Looked {
    fn failed(failure: Failure) -> Self {
        Self { examined: Examined::failed(failure), unpacked: None, made: None }
    }
}

impl Request for Receive {
    const COMMAND: &str = "receive";
    type Report = Received;

    fn run(&self, context: &Context) -> Result<Outcome<Received>, Failure> {
        let policy = self.policy.load(context)?;
        let vouching = if self.dry_run { self.trust.vouching().forgetful() } else { self.trust.vouching() };
        let trusted = vouching.load(context, &policy)?;
        if trusted.is_nobody() && !self.dry_run {
            return Err(nobody_trusted());
        }
        let open = |key: &OsString| KeySource::parse(key)?.open(context, &self.passphrase);
        let key: Option<OpenKey> = self.key.as_ref().filter(|_| !self.dry_run).map(open).transpose()?;
        let time = context.now()?;
        let issuer = key.as_ref().map(|key| Issuer { key, role: &self.role, policy: policy.digest(), time });
        if !self.dry_run {
            [&self.unpack_to, &self.receipts].into_iter().flatten().try_for_each(|at| make_folder(at))?;
        }
        let desk = Desk {
            context,
            vouching: &vouching,
            policy: &policy,
            trusted: &trusted,
            issuer,
            told: OnceCell::new(),
        };
        let mut outcome = Outcome { exit: Exit::Done, problems: Vec::new(), report: None };
        let (mut bundles, mut revocations) = (Vec::new(), Vec::new());
        'all: for named in &self.bundles {
            // What was taken back is put aside before anything else is looked at.
            let files = match withdrawn::files(named) {
                Ok(files) => files,
                Err(failure) => {
                    outcome.exit = outcome.exit.and(failure.exit);
                    outcome.problems.extend(failure.problems);
                    continue;
                }
            };
            for file in &files {
                match withdrawn::take_in(context, &vouching, &trusted, file, !self.dry_run) {
                    Ok(more) => revocations.extend(more),
                    Err(failure) => {
                        outcome.exit = outcome.exit.and(failure.exit);
                        outcome.problems.extend(failure.problems);
                    }
                }
            }
            let found = match Found::all(named, !files.is_empty()) {
                Ok(found) => found,
                Err(failure) => {
                    outcome.exit = outcome.exit.and(failure.exit);
                    outcome.problems.extend(failure.problems);
                    continue;
                }
            };
            for one in &found {
                let (exit, received) = self.take_in(&desk, one);
                outcome.exit = outcome.exit.and(exit);
                outcome.problems.extend_from_slice(&received.problems);
                bundles.push(received);
                if context.cancel.load(std::sync::atomic::Ordering::Relaxed) {
                    break 'all;
                }
            }
        }
        outcome.report = Some(Received { dry_run: self.dry_run, bundles, revocations });
        Ok(outcome)
    }
}

impl Receive {
    /// One bundle: looked at, and its receipt.
    fn take_in(&self, desk: &Desk<'_>, found: &Found) -> (Exit, ReceivedBundle) {
        let (path, looked, arrival) = match found {
            Found::Plain(set) => {
                let attestations = set.attestations.as_ref().map(|(path, _)| path.as_path());
                let path = set.archive.as_deref().or(attestations).unwrap_or(Path::new("-"));
                let looked = self.examine(desk, set, path, None);
                let claim = sole_claim(set).ok().flatten();
                let verified = looked.examined.verified.as_ref();
                let arrival = set
                    .archive
                    .as_deref()
                    .map(|archive| Arrival::plain(desk.context, set, archive, claim, verified));
                (path, looked, arrival)
            }
            Found::Encrypted(set) => {
                let path = set.shown();
                let ciphertext = set.check(desk.context);
                let arrival = set
                    .archive
                    .as_deref()
                    .map(|archive| Arrival::encrypted(desk.context, set, archive, ciphertext.as_ref().ok()));
                let looked = match ciphertext
                    .and_then(|ciphertext| self.identity.open(desk.context, set, &ciphertext))
                {
                    Ok(opened) => self.examine(desk, &opened.set, path, Some(&opened.recipients)),
                    Err(failure) => Looked::failed(failure),
                };
                (path, looked, arrival)
            }
            Found::Broken(broken) => {
                let Broken { path, archive, failure } = broken;
                let failure = Failure { exit: failure.exit, problems: failure.problems.clone() };
                let arrival = archive.as_deref().map(|archive| Arrival::unknown(desk.context, archive));
                (path.as_path(), Looked::failed(failure), arrival)
            }
        };
        self.finish(desk, path, looked, arrival)
    }

    /// Reads it all, asks trust and policy, and unpacks it if told.
    fn examine(
        &self,
        desk: &Desk<'_>,
        set: &BundleSet,
        shown: &Path,
        said: Option<&SaidRecipients>,
    ) -> Looked {
        let asked = Asked {
            context: desk.context,
            vouching: desk.vouching,
            trusted: desk.trusted,
            policy: desk.policy,
            stage: Stage::Receive,
            on_a_word: false,
            threads: threads(self.threads),
        };
        let claim = sole_claim(set).ok().flatten();
        let directory =
            self.unpack_to.as_ref().zip(claim).map(|(folder, claim)| {
                folder.join(format!("{}-{}", claim.bundle.name, claim.bundle.version))
            });
        let fresh =
            directory.as_deref().filter(|at| at.symlink_metadata().is_err()).filter(|_| !self.dry_run);
        let mut looked = None;
        if let Some(destination) = fresh {
            let extraction =
                Extraction { destination, selection: Selection::Payload, allow_untrusted: false };
            let examined = asked.unpack(set, shown, said, &extraction);
            // Of what was not admitted it is still to be told whether it is intact.
            let told = examined.verified.is_some() || matches!(examined.exit, Exit::NotIntact | Exit::Failed);
            looked = told.then_some(examined);
        }
        let extracted = looked.is_some();
        let made = looked.as_ref().is_some_and(|examined| examined.verified.is_some());
        let made = directory.clone().filter(|_| made);
        let mut examined = looked.unwrap_or_else(|| {
            let mut examined = asked.look(set, shown, Scope::Content);
            asked.decide(&mut examined, shown, said);
            examined
        });
        if examined.exit == Exit::Done
            && let Some(trusted) = examined.decision.as_ref().and_then(consign_signing::Decision::trusted)
        {
            let remembered = desk.vouching.remember(desk.trusted, trusted, shown);
            examined.notes.extend(remembered.notes);
            if let Some(problem) = remembered.problem {
                examined.problems.push(problem);
                examined.exit = Exit::NotTrusted;
            }
        }
        if let (Exit::Done, Some(verified), false) = (examined.exit, &examined.verified, self.dry_run) {
            desk.context.keep_manifest(set, verified.manifest(), verified.id());
        }
        let mut unpacked = None;
        if let (Exit::Done, Some(directory), Some(verified)) = (examined.exit, &directory, &examined.verified)
        {
            let there = directory.symlink_metadata().is_ok();
            let held = if extracted || (self.dry_run && !there) {
                Ok(())
            } else {
                self.holds(desk, directory, verified.manifest())
            };
            match held {
                Ok(()) if self.dry_run => {}
                Ok(()) => {
                    if desk.vouching.remembers() {
                        examined.notes.extend(desk.context.keep_unpacked(set, directory));
                    }
                    unpacked = Some(directory.clone());
                }
                Err(failure) => {
                    examined.exit = failure.exit;
                    examined.problems.extend(failure.problems);
                }
            }
        }
        Looked { examined, unpacked, made }
    }

    /// A directory that was there before must hold just what would have been unpacked.
    fn holds(&self, desk: &Desk<'_>, directory: &Path, manifest: &Manifest) -> Result<(), Failure> {
        // A link planted there would make something else pass for what was unpacked.
        if !directory.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(destination_exists(directory));
        }
        let meter = desk.context.meter("comparing", manifest.payload_bytes());
        let same = compare_directory(directory, manifest, TreeLayout::Payload, threads(self.threads), &meter)
            .is_ok_and(|compared| compared.faults.is_empty());
        if same { Ok(()) } else { Err(destination_exists(directory)) }
    }

    /// The receipt, the report, and what the ledger is to remember.
    fn finish(
        &self,
        desk: &Desk<'_>,
        path: &Path,
        Looked { mut examined, mut unpacked, made }: Looked,
        arrival: Option<Result<Arrival, Failure>>,
    ) -> (Exit, ReceivedBundle) {
        let receipt = self.receipt(desk, path, &examined, arrival);
        let (arrival, receipt) = match receipt {
            Ok(Some((arrival, receipt, written))) => (Some(arrival), Some((receipt, written))),
            Ok(None) => (None, None),
            Err(failure) => {
                // Without a receipt nothing was received.
                examined.exit = examined.exit.and(failure.exit);
                examined.problems.extend(failure.problems);
                unpacked = None;
                (None, None)
            }
        };
        if let (None, Some(made)) = (&unpacked, made) {
            // What was not received is not left lying among what was. Nobody else knew of the directory.
            let _ = std::fs::remove_dir_all(made);
        }
        let verdict = match (&receipt, examined.exit) {
            (Some((receipt, _)), _) => Some(verdict(receipt)),
            (None, Exit::Done) if self.dry_run => Some("accepted"),
            (None, Exit::NotIntact | Exit::NotTrusted | Exit::Refused) if self.dry_run => Some("refused"),
            (None, _) => None,
        };
        let trusted = examined.trusted();
        let signers = trusted.iter().flat_map(|trusted| trusted.signers()).map(|signer| Signer {
            fingerprint: signer.fingerprint().to_string(),
            role: signer.role.to_string(),
            name: signer.name.as_ref().map(ToString::to_string),
        });
        let bundle = examined.claim.as_ref().map(BundleOut::claimed);
        let report = ReceivedBundle {
            path: path.display().to_string(),
            verdict,
            exit: examined.exit.code(),
            level: receipt.as_ref().and_then(|(receipt, _)| receipt.verdict.level()),
            signers: signers.collect(),
            file: arrival.as_ref().map(|arrival| Arrived {
                size: arrival.size,
                sha256: arrival.sha256.to_string(),
                encrypted: matches!(arrival.about, About::Encrypted(_)),
            }),
            handling: examined
                .handled
                .as_ref()
                .map(|handled| Handling::of(desk.policy, Stage::Receive, handled)),
            bundle,
            notes: std::mem::take(&mut examined.notes),
            unpacked,
            receipt: receipt.as_ref().map(|(_, written)| written.clone()),
            problems: std::mem::take(&mut examined.problems),
        };
        if let Some((receipt, written)) = &receipt
            && (written.status == "written" || !desk.told().contains(&written.sha256))
        {
            record(desk.context, &examined, receipt, &report);
        }
        (examined.exit, report)
    }

    /// A receipt, for a verdict: what could not be looked at has none.
    fn receipt(
        &self,
        desk: &Desk<'_>,
        path: &Path,
        examined: &Examined,
        arrival: Option<Result<Arrival, Failure>>,
    ) -> Result<Option<(Arrival, Receipt, Written)>, Failure> {
        let (Some(arrival), Some(issuer)) = (arrival, &desk.issuer) else { return Ok(None) };
        let receipt = |arrival: &Arrival| match examined.exit {
            Exit::Done => {
                let proofs = examined.vouched.as_ref().zip(examined.trusted()).zip(examined.permit());
                let accepted = proofs.and_then(|((vouched, trusted), permit)| {
                    issuer.accepted(arrival, vouched, trusted, &permit)
                });
                accepted.map(Some).ok_or_else(|| {
                    let problem = Problem::new("statement-disagrees", "what was signed is not what arrived");
                    Failure::new(Exit::NotIntact, problem.at(path.display().to_string()))
                })
            }
            Exit::NotIntact | Exit::NotTrusted | Exit::Refused => Ok(Some(issuer.refused(arrival, examined))),
            Exit::Failed | Exit::Usage | Exit::Signal(_) => Ok(None),
        };
        let arrival = match (arrival, examined.exit) {
            (Ok(arrival), _) => arrival,
            // It could not be looked at, and that has been said.
            (Err(_), Exit::Failed | Exit::Usage) => return Ok(None),
            (Err(failure), _) => return Err(failure),
        };
        let Some(receipt) = receipt(&arrival)? else { return Ok(None) };
        let beside = consign_bundle::publish::parent(path);
        let written = issuer.write(self.receipts.as_deref().unwrap_or(beside), &receipt)?;
        Ok(Some((arrival, receipt, written)))
    }
}

/// Without anybody who is trusted every bundle would be refused, and the refusal would be signed.
fn nobody_trusted() -> Failure {
    let message = "nobody's signature counts here yet, so that every bundle would be refused in your name";
    let hint = format!(
        "let the sender's key count first: consign trust add NAME --key SENDER.pub --fingerprint {} --role owner --owner PERSON; to look without signing anything: `--dry-run`",
        crate::vouching::TOLD_FINGERPRINT
    );
    Failure::new(Exit::NotTrusted, Problem::new("no-trust", message).hint(hint))
}

fn verdict(receipt: &Receipt) -> &'static str {
    if receipt.verdict.is_accepted() { "accepted" } else { "refused" }
}

fn record(context: &Context, examined: &Examined, receipt: &Receipt, report: &ReceivedBundle) {
    let act = |action| {
        let act = Act::new(action).archive(receipt.sha256);
        match &examined.claim {
            Some(claim) => act.bundle(&claim.bundle),
            None => act,
        }
    };
    let received = act(Action::Received)
        .with("verdict", verdict(receipt))
        .with("level", receipt.verdict.level())
        .with("policy", receipt.policy.to_string())
        .with("receipt_sha256", report.receipt.as_ref().map(|written| written.sha256.as_str()));
    let allowed = examined.claim.as_ref().map_or(0, |claim| secrets_allowed(claim).count());
    let received = received.with("secrets_allowed", (allowed > 0).then_some(allowed));
    context.record(received.ended(examined.exit, &report.problems));
    if let (Some(directory), Some(verified)) = (&report.unpacked, &examined.verified) {
        let files = verified.manifest().files().len();
        let destination = directory.display().to_string();
        context.record(act(Action::Unpacked).with("destination", destination).with("files", files));
    }
}
