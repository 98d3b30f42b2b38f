//! Making receipts: about what arrived, with what came of looking at it.

use std::io;
use std::path::{Path, PathBuf};

use consign_bundle::publish::{exclusive, prepare, publish};
use consign_bundle::{Progress, Scope, VerifiedArchive};
use consign_metadata::{LINE_MAX, Line, Problem, Role, Sha256Digest, literal, printable};
use consign_policy::{Permit, Stage};
use consign_signing::{
    About, BundleClaim, Claim, Decision, LedgerState, RECEIPT_REASONS_MAX, Receipt, ReceiptLevel,
    ReceiptReason, ReceiptSigner, ReceiptVerdict, SignError, SignedEncrypted, SignedReceipt, SignedStatement,
    Signer as _, SignerInfo, Timestamp, TrustedClaim, Verdict,
};
use serde::Serialize;

use super::name;
use crate::bundle_set::BundleSet;
use crate::checked::bundle_claim;
use crate::context::{Context, unreadable, unwritable};
use crate::encrypted_set::{Ciphertext, EncryptedSet};
use crate::examined::Examined;
use crate::failure::Failure;
use crate::hashing::digest_of_file;
use crate::key_source::OpenKey;
use crate::vouching::Vouched;

/// Most receipts about bundles of one name and version in one folder.
const NUMBER_MAX: u32 = 9999;

/// What arrived: the bytes, and what they were said to be.
pub struct Arrival {
    pub sha256: Sha256Digest,
    pub size: u64,
    pub about: About,
    /// Digests of the envelopes that came with it.
    attestations: Vec<Sha256Digest>,
    /// Whether an encrypted file was found to be as it was signed.
    as_signed: bool,
    /// How far the sender's ledger had come, as the latest statement says; nothing of it stands outside of an encrypted
    /// bundle.
    ledger: Option<LedgerState>,
}

impl Arrival {
    /// A plain bundle. Its bytes are read again, unless it was found intact.
    pub fn plain(
        context: &Context,
        set: &BundleSet,
        path: &Path,
        claim: Option<&Claim>,
        verified: Option<&VerifiedArchive>,
    ) -> Result<Self, Failure> {
        let (sha256, size) = match verified {
            Some(verified) => (verified.facts().sha256, verified.facts().size),
            None => bytes(context, path)?,
        };
        let unsigned = || verified.map(|verified| bundle_claim(verified.manifest(), verified.id()));
        let bundle: Option<BundleClaim> = claim.map(|claim| claim.bundle.clone()).or_else(unsigned);
        let lines = set.attestations.iter().flat_map(|(_, found)| found.statements());
        let ledger = lines.clone().rev().find_map(|signed| signed.statement().ledger.clone());
        Ok(Self {
            sha256,
            size,
            about: bundle.map_or(About::Unknown, About::Bundle),
            attestations: digests(lines.map(SignedStatement::line)),
            as_signed: false,
            ledger,
        })
    }

    /// An encrypted bundle: nothing of what is in it. Its bytes are read again, unless they were found to be as they
    /// were signed.
    pub fn encrypted(
        context: &Context,
        set: &EncryptedSet,
        path: &Path,
        ciphertext: Option<&Ciphertext>,
    ) -> Result<Self, Failure> {
        let (sha256, size) = match ciphertext {
            Some(ciphertext) => (ciphertext.claim().sha256, ciphertext.claim().size),
            None => bytes(context, path)?,
        };
        let public = set.claim().ok().flatten().map(|claim| claim.public.clone()).unwrap_or_default();
        let lines = set.attestations.iter().flat_map(|(_, found)| found.statements());
        Ok(Self {
            sha256,
            size,
            about: About::Encrypted(public),
            attestations: digests(lines.map(SignedEncrypted::line)),
            as_signed: ciphertext.is_some(),
            // What stands inside stays there.
            ledger: None,
        })
    }

    /// Bytes of which nothing that could be read says what they are.
    pub fn unknown(context: &Context, path: &Path) -> Result<Self, Failure> {
        let (sha256, size) = bytes(context, path)?;
        let (about, attestations) = (About::Unknown, Vec::new());
        Ok(Self { sha256, size, about, attestations, as_signed: false, ledger: None })
    }
}

/// Digest and number of the bytes that arrived.
fn bytes(context: &Context, path: &Path) -> Result<(Sha256Digest, u64), Failure> {
    let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    let counted = Counted { meter: context.meter("reading", size), read: Default::default() };
    let digest = digest_of_file(path, &counted)?;
    Ok((digest, counted.read.into_inner()))
}

/// How many bytes were read: no more than that is said of a file that grows.
struct Counted {
    meter: crate::progress::Meter,
    read: std::sync::atomic::AtomicU64,
}

impl Progress for Counted {
    fn advance(&self, bytes: u64) {
        self.read.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        self.meter.advance(bytes);
    }

    fn cancelled(&self) -> bool {
        self.meter.cancelled()
    }
}

fn digests<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<Sha256Digest> {
    let mut digests: Vec<_> = lines.map(Sha256Digest::of).collect();
    digests.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    digests.dedup();
    digests
}

/// Who gives receipts, by which policy, and when.
pub struct Issuer<'a> {
    pub key: &'a OpenKey,
    pub role: &'a Role,
    pub policy: Sha256Digest,
    pub time: Timestamp,
}

/// A receipt in its file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// `written`, or `unchanged` if one that says the same lay there.
    pub status: &'static str,
    /// SHA-256 of the receipt's line without its line feed.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
    /// Who signed it.
    pub fingerprint: String,
    pub role: String,
}

impl Issuer<'_> {
    /// The receipt for a bundle that is all that was asked: somebody trusted vouches for exactly what was found, not
    /// just by a word about the time, and the policy permits to receive it. `None` if that is not what the proofs say.
    pub fn accepted(
        &self,
        arrival: &Arrival,
        vouched: &Vouched,
        trusted: &TrustedClaim,
        permit: &Permit,
    ) -> Option<Receipt> {
        let found = match arrival.about {
            About::Bundle(ref bundle) => {
                vouched.subject() == arrival.sha256 && *bundle == trusted.claim().bundle
            }
            // The file was held against its own statement, and the statement inside against what is inside.
            About::Encrypted(_) => arrival.as_signed,
            About::Unknown => false,
        };
        let permitted = permit.stage() == Stage::Receive && permit.policy() == self.policy;
        let level = vouched.level().filter(|_| found && permitted && !vouched.asserted())?;
        let verdict = ReceiptVerdict::Accepted { level };
        Some(self.receipt(arrival, verdict, signers(trusted.signers().iter())))
    }

    /// The receipt for a bundle that is not.
    pub fn refused(&self, arrival: &Arrival, examined: &Examined) -> Receipt {
        let encrypted = matches!(arrival.about, About::Encrypted(_));
        let found = examined.verified.as_ref().filter(|verified| verified.is_anchored());
        // No more is stated than was looked at.
        let level = found.and_then(|verified| match verified.scope() {
            Scope::Content => Some(ReceiptLevel::Content),
            Scope::Bytes => Some(ReceiptLevel::Bytes),
            Scope::Only(_) => None,
        });
        let counted = examined.decision.iter().flat_map(Decision::signatures);
        let counted = counted.filter(|one| one.verdict == Verdict::Counted).map(|one| &one.signer);
        let reasons = reasons(&examined.problems, encrypted);
        self.receipt(arrival, ReceiptVerdict::Refused { level, reasons }, signers(counted))
    }

    fn receipt(&self, arrival: &Arrival, verdict: ReceiptVerdict, signers: Vec<ReceiptSigner>) -> Receipt {
        Receipt {
            sha256: arrival.sha256,
            size: arrival.size,
            about: arrival.about.clone(),
            verdict,
            attestations: arrival.attestations.clone(),
            signers,
            policy: self.policy,
            ledger: arrival.ledger.clone(),
            version: literal!(StaticLine, env!("CARGO_PKG_VERSION")).into(),
            public_key: *self.key.public_key(),
            role: self.role.clone(),
            time: self.time,
        }
    }

    /// Signs a receipt and puts it into the folder, under a name that nothing has. If one of this key lies there that
    /// says the same of the same, nothing is written.
    pub fn write(&self, folder: &Path, receipt: &Receipt) -> Result<Written, Failure> {
        let stem = receipt.stem();
        let mut signed: Option<SignedReceipt> = None;
        // Of several that receive the same at once, one gives the receipt.
        let _held = exclusive(folder).map_err(|error| unwritable(folder, &error))?;
        for n in 1..=NUMBER_MAX {
            let name = name(&stem, n);
            let path = folder.join(&name);
            let file = crate::reading::open(&path);
            match file.and_then(super::check::read_limited) {
                Ok(there) => {
                    let there = SignedReceipt::read(&there).ok();
                    if let Some(there) = there.filter(|there| receipt.says_the_same(there.receipt())) {
                        return Ok(self.written(path, "unchanged", &there));
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
            let signed = match &mut signed {
                Some(signed) => signed,
                none => none.insert(self.sign(receipt)?),
            };
            let file = prepare(folder, &signed.to_bytes()).map_err(|error| unwritable(folder, &error))?;
            match publish(folder, vec![(name, file)]) {
                Ok(()) => return Ok(self.written(path, "written", signed)),
                // Another program was faster; theirs may say the same, but two are no harm.
                Err((_, error)) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err((path, error)) => return Err(unwritable(&path, &error)),
            }
        }
        let problem = Problem::new("too-many-receipts", "holds too many receipts for bundles of this name");
        Err(Failure::failed(
            problem.at(folder.display().to_string()).hint("put receipts elsewhere: `--receipts DIR`"),
        ))
    }

    fn written(&self, path: PathBuf, status: &'static str, signed: &SignedReceipt) -> Written {
        Written {
            path,
            status,
            sha256: Sha256Digest::of(signed.line()).to_string(),
            fingerprint: self.key.public_key().fingerprint().to_string(),
            role: self.role.to_string(),
        }
    }

    fn sign(&self, receipt: &Receipt) -> Result<SignedReceipt, Failure> {
        SignedReceipt::sign(self.key, receipt).map_err(|error| {
            let mut problem = Problem::new("cannot-sign", error.to_string());
            if let SignError::Signer(error) = &error {
                problem.hint = error.hint().map(str::to_owned);
            }
            Failure::failed(problem)
        })
    }
}

fn signers<'a>(infos: impl Iterator<Item = &'a SignerInfo>) -> Vec<ReceiptSigner> {
    let signer =
        |info: &SignerInfo| ReceiptSigner { fingerprint: info.fingerprint(), role: info.role.clone() };
    let mut signers: Vec<_> = infos.map(signer).collect();
    signers.sort();
    signers.dedup();
    signers
}

/// Reasons as a receipt gives them: without the places on the recipient's disk, and of an encrypted bundle no more than
/// the codes.
fn reasons(problems: &[Problem], encrypted: bool) -> Vec<ReceiptReason> {
    let reason = |problem: &Problem| {
        let code = problem.code.parse().ok()?;
        let message = line(&problem.message).filter(|_| !encrypted);
        Some(ReceiptReason { code, message })
    };
    let mut reasons: Vec<_> = problems.iter().filter_map(reason).collect();
    reasons.sort();
    reasons.dedup();
    if reasons.len() > RECEIPT_REASONS_MAX {
        let more = reasons.split_off(RECEIPT_REASONS_MAX - 1).len();
        let message = line(&format!("{more} more problems")).filter(|_| !encrypted);
        reasons.extend("more-problems".parse().ok().map(|code| ReceiptReason { code, message }));
        reasons.sort();
        reasons.dedup();
    }
    reasons
}

/// A sentence as a line of text.
fn line(text: &str) -> Option<Line> {
    let text = printable(text.trim());
    let end = (0..=LINE_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end))?;
    text[..end].trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_lines_in_order_and_not_too_many() {
        let problem = |code, message: &str| Problem::new(code, message).at("/home/desk/inbox/a.tar.zst");
        let one = [problem("b", "x\u{202e}\ny "), problem("a", "z"), problem("a", "z")];
        let text = |reasons: Vec<ReceiptReason>| -> Vec<(String, Option<String>)> {
            let text = |line: &Line| line.to_string();
            reasons.iter().map(|one| (text(&one.code), one.message.as_ref().map(text))).collect()
        };
        let said = text(reasons(&one, false));
        assert_eq!(said[0], ("a".into(), Some("z".into())));
        assert_eq!(said[1], ("b".into(), Some("x\\u{202e}\\u{a}y".into())));
        assert_eq!(text(reasons(&one, true)), [("a".into(), None), ("b".into(), None)]);
        let long = [problem("a", &"ä".repeat(2000))];
        assert_eq!(reasons(&long, false)[0].message.as_ref().map(|line| line.as_str().len()), Some(1024));
        let many: Vec<_> = (0..100).map(|n| problem("frame-altered", &format!("{n:03}"))).collect();
        let said = text(reasons(&many, false));
        assert_eq!(said.len(), RECEIPT_REASONS_MAX);
        assert_eq!(said[RECEIPT_REASONS_MAX - 1], ("more-problems".into(), Some("69 more problems".into())));
        assert_eq!(reasons(&many, true).len(), 1);
    }
}
