//! Checking receipts: are they authentic, do they count, are they about this bundle.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use consign_metadata::{Problem, Role, Sha256Digest};
use consign_signing::{
    About, Moment, RECEIPT_BYTES_MAX, Reason, SignedReceipt, Trust, TrustPolicy, TrustedReceipt,
    evaluate_receipt,
};

use crate::bundle_set::BundleSet;
use crate::checked::sole_claim;
use crate::context::{Context, unreadable};
use crate::encrypted_set::EncryptedSet;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hashing::digest_of_file;
use crate::keys::load_public;
use crate::vouching::TOLD_FINGERPRINT;

/// Whose receipts count.
#[derive(Clone, Debug)]
pub struct ReceiptTrustArgs {
    /// The public key of a recipient whose receipts count; may be repeated
    pub keys: Vec<String>,
    /// The trust policy to use instead of the configured one
    pub trust: Option<PathBuf>,
    /// The role in which receipts count
    pub role: Role,
}

/// A receipt that is authentic and counts, and is about the bundle that was named, if one was.
pub struct CheckedReceipt {
    /// What was signed, and by whom.
    pub trusted: TrustedReceipt,
    /// SHA-256 of the receipt's line without its line feed.
    pub sha256: Sha256Digest,
}

/// The bundle that receipts are to be about, as it lies here.
pub struct CheckedSubject {
    path: PathBuf,
    sha256: Sha256Digest,
    about: About,
    attestations: Vec<Sha256Digest>,
}

impl CheckedSubject {
    /// Reads the bundle that an argument names. Without its archive, it is the one that its statements speak of.
    pub fn read(context: &Context, named: &Path) -> Result<Self, Failure> {
        if let Some(set) = EncryptedSet::find_one(named)? {
            let claim = set.claim()?.ok_or_else(|| unsigned(set.shown()))?;
            let lines = set.attestations.iter().flat_map(|(_, found)| found.statements());
            return Ok(Self {
                path: set.shown().into(),
                sha256: digest(context, set.archive.as_deref(), claim.sha256)?,
                about: About::Encrypted(claim.public.clone()),
                attestations: lines.map(|signed| Sha256Digest::of(signed.line())).collect(),
            });
        }
        let set = BundleSet::find_one(named)?;
        let path = set.archive.clone().unwrap_or_else(|| named.into());
        let claim = sole_claim(&set)?.ok_or_else(|| unsigned(&path))?;
        let lines = set.attestations.iter().flat_map(|(_, found)| found.statements());
        Ok(Self {
            sha256: digest(context, set.archive.as_deref(), claim.subject_digest())?,
            about: About::Bundle(claim.bundle.clone()),
            attestations: lines.map(|signed| Sha256Digest::of(signed.line())).collect(),
            path,
        })
    }

    /// What is wrong, if a receipt is about another bundle.
    fn check(&self, signed: &SignedReceipt, path: &Path) -> Result<(), Failure> {
        let receipt = signed.receipt();
        let shown = self.path.display();
        let message = if receipt.sha256 != self.sha256 {
            format!("is about the file {}, but `{shown}` is {}", receipt.sha256, self.sha256)
        } else if receipt.about != self.about && receipt.about != About::Unknown {
            format!("says something else about which bundle that is than the statements of `{shown}`")
        } else if !receipt.attestations.iter().all(|digest| self.attestations.contains(digest)) {
            format!("is about signatures that do not lie beside `{shown}`")
        } else {
            return Ok(());
        };
        let problem = Problem::new("receipt-other-bundle", message).at(path.display().to_string());
        let hint = match receipt.is_claimed_only() && receipt.sha256 != self.sha256 {
            true => {
                "the recipient did not get what was sent, and says so; `consign receipt show` has their reasons"
            }
            false => "find the bundle that it is about; `consign receipt show` says which",
        };
        Err(Failure::new(Exit::NotTrusted, problem.hint(hint)))
    }
}

fn unsigned(path: &Path) -> Failure {
    let problem = Problem::new("unsigned", "there is no signature").at(path.display().to_string());
    Failure::new(Exit::NotTrusted, problem.hint("put its attestations beside it"))
}

fn digest(context: &Context, archive: Option<&Path>, stated: Sha256Digest) -> Result<Sha256Digest, Failure> {
    let Some(path) = archive else { return Ok(stated) };
    let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    digest_of_file(path, &context.meter("reading", size))
}

/// Reads no more of a file than tells whether it is a receipt.
pub fn read_limited(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(RECEIPT_BYTES_MAX as u64 + 2).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a receipt, whose signature must hold under the key that it names. That says nothing about trust.
pub fn read(path: &Path) -> Result<SignedReceipt, Failure> {
    let bytes =
        crate::reading::open(path).and_then(read_limited).map_err(|error| unreadable(path, &error))?;
    SignedReceipt::read(&bytes).map_err(|error| {
        let mut problem = error.problem().at(path.display().to_string());
        problem.hint.get_or_insert_with(|| "ask the recipient for the receipt again".into());
        Failure::new(Exit::NotIntact, problem)
    })
}

/// Checks a receipt: exit code 3 if it is not authentic, 4 if it does not count, or is about another bundle than the one
/// that is named.
pub fn check(
    context: &Context,
    path: &Path,
    trust: &ReceiptTrustArgs,
    subject: Option<&CheckedSubject>,
) -> Result<CheckedReceipt, Failure> {
    let signed = read(path)?;
    let moment = Moment::now(context.now()?);
    let keys = trust.keys.iter().map(|key| load_public(key)).collect::<Result<Vec<_>, _>>()?;
    let policy = trust.policy(context, &moment)?;
    let asked = match (&keys[..], &policy) {
        ([], None) => {
            let problem = Problem::new("not-trusted", "no key was named, and there is no trust policy");
            let hint = "name the recipient's key with `--key PUB`, or add it: consign trust add";
            return Err(Failure::new(Exit::NotTrusted, problem.at(path.display().to_string()).hint(hint)));
        }
        ([], Some(policy)) => Trust::Policy { policy, threshold: None },
        (_, known) => Trust::Keys { keys: keys.clone(), threshold: None, known: known.as_ref() },
    };
    let trusted = evaluate_receipt(&signed, &trust.role, &asked, &moment)
        .map_err(|reason| Failure::new(Exit::NotTrusted, not_counted(&reason, &signed, trust, path)))?;
    if let Some(subject) = subject {
        subject.check(&signed, path)?;
    }
    Ok(CheckedReceipt { sha256: Sha256Digest::of(signed.line()), trusted })
}

impl ReceiptTrustArgs {
    /// The policy, with what was imported; where keys are named, it tells which of them were revoked.
    fn policy(&self, context: &Context, moment: &Moment) -> Result<Option<TrustPolicy>, Failure> {
        let Some(mut policy) = context.trust_policy(self.trust.as_deref())? else { return Ok(None) };
        context.state().attach_imports(&mut policy)?;
        if self.keys.is_empty() {
            context.state().check_clock(moment.time_of_verification())?;
        }
        Ok(Some(policy))
    }
}

fn not_counted(reason: &Reason, signed: &SignedReceipt, trust: &ReceiptTrustArgs, path: &Path) -> Problem {
    let print = signed.receipt().public_key.fingerprint();
    let problem = Problem::new(reason.code(), format!("the receipt does not count: {reason} ({print})"));
    let hint = match reason {
        Reason::UnknownKey => format!(
            "have the recipient read their key's fingerprint to you, by telephone or in person; if it is {print}:\n\
             consign trust add NAME --key RECIPIENT.pub --fingerprint {TOLD_FINGERPRINT} --role {} --owner PERSON",
            trust.role
        ),
        Reason::OtherRole { stated, .. } => {
            format!("if receipts by {stated} are to count, say so: --role {stated}")
        }
        _ => "ask the recipient for a receipt that is signed with another key".into(),
    };
    problem.at(path.display().to_string()).hint(hint)
}
