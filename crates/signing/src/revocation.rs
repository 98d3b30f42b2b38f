//! Signed statements that take a bundle back: its own kind of statement, which travels like an attestation.

use consign_metadata::{Line, Problem, Role, Sha256Digest, printable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attestations::{AttestationError, TooManyAttestations, read_lines, to_file};
use crate::envelope::{ENVELOPE_BYTES_MAX, EnvelopeError, Opened, SignError, sign_stated};
use crate::in_toto::{ALGORITHM, Exactly, STATEMENT_TYPE, check_algorithm, check_type};
use crate::public_key::PublicKey;
use crate::signer::Signer;
use crate::statement::{BundleClaim, Claim, StatementError};
use crate::time::Timestamp;
use crate::wire;

/// `predicateType` of a statement that revokes a bundle.
pub const REVOCATION_PREDICATE_TYPE: &str = "https://consign.dev/attestations/revocation/v1";

/// What is said when a bundle is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Which bundle.
    pub bundle: BundleClaim,
    /// The digest that the bundle's statement is about: of its archive, or of the manifest of a sealed directory.
    pub subject: Sha256Digest,
    /// Whether that is a sealed directory.
    pub sealed: bool,
    /// Why.
    pub reason: Line,
    /// The key that signs.
    pub public_key: PublicKey,
    /// What the signer signs as.
    pub role: Role,
    /// When, by the signer's clock.
    pub time: Timestamp,
}

impl Revocation {
    /// The revocation of what a claim is about.
    pub fn of(claim: &Claim, reason: Line, public_key: PublicKey, role: Role, time: Timestamp) -> Self {
        Self {
            bundle: claim.bundle.clone(),
            subject: claim.subject_digest(),
            sealed: claim.content == crate::Content::Sealed,
            reason,
            public_key,
            role,
            time,
        }
    }

    /// Whether that is the bundle that a claim is about: by its id, or by the digest of its archive.
    pub fn is_about(&self, claim: &Claim) -> bool {
        self.bundle.id == claim.bundle.id || self.subject == claim.subject_digest()
    }

    fn subject_name(&self) -> String {
        let BundleClaim { name, version, .. } = &self.bundle;
        let end = if self.sealed { "manifest.json" } else { "tar.zst" };
        format!("{name}-{version}.{end}")
    }

    fn to_payload(&self) -> Vec<u8> {
        wire::write(&Document {
            kind: STATEMENT_TYPE.to_owned(),
            subject: Exactly::one(self.subject_name(), &self.subject),
            predicate_type: REVOCATION_PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                signer: SignerDocument {
                    algorithm: ALGORITHM.to_owned(),
                    public_key: self.public_key,
                    role: self.role.clone(),
                    time: self.time,
                },
                bundle: self.bundle.clone(),
                reason: self.reason.clone(),
            },
        })
    }

    fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        check_type(payload, REVOCATION_PREDICATE_TYPE)?;
        let Document { subject: Exactly([subject]), predicate, .. } = wire::read(payload)?;
        let Predicate { signer, bundle, reason } = predicate;
        check_algorithm(&signer.algorithm)?;
        let digest = subject.digest.read()?;
        let sealed = subject.name.ends_with(".manifest.json");
        let SignerDocument { public_key, role, time, .. } = signer;
        let revocation = Self { bundle, subject: digest, sealed, reason, public_key, role, time };
        let expected = revocation.subject_name();
        if subject.name != expected {
            return Err(StatementError::SubjectMismatch { expected, found: printable(&subject.name) });
        }
        if sealed && digest != revocation.bundle.id.0 {
            return Err(StatementError::SubjectMismatch {
                expected: revocation.bundle.id.to_string(),
                found: digest.to_string(),
            });
        }
        Ok(revocation)
    }
}

/// A revocation together with the proof that the holder of the key it names signed it. That says nothing about
/// trust: whether it counts is asked by [`evaluate`](crate::evaluate).
///
/// ```
/// use consign_signing::{PrivateKey, Revocation, SignedRevocation, Signer, Statement};
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// let (key, claim) = (PrivateKey::generate()?, Statement::parse(example)?.claim);
/// let (role, time) = ("owner".parse()?, "2026-11-22T03:00:00Z".parse()?);
/// let said = Revocation::of(&claim, "the training data was wrong".parse()?, *key.public_key(), role, time);
/// let signed = SignedRevocation::sign(&key, &said)?;
/// assert_eq!(SignedRevocation::verify(signed.line())?, signed);
/// assert!(signed.revocation().is_about(&claim));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRevocation {
    revocation: Revocation,
    line: Box<[u8]>,
}

impl SignedRevocation {
    /// Reads one line, without its line feed, and checks its signature under the key that it names.
    ///
    /// # Errors
    /// Anything but one valid signature over one canonical revocation.
    pub fn verify(line: &[u8]) -> Result<Self, EnvelopeError> {
        let opened = Opened::read(line, ENVELOPE_BYTES_MAX)?;
        let revocation = Revocation::parse(&opened.payload)?;
        opened.check(&revocation.public_key)?;
        Ok(Self { revocation, line: line.into() })
    }

    /// Signs a revocation, and checks the result as [`verify`](Self::verify) does.
    ///
    /// # Errors
    /// The revocation names another key, the signer fails, or the result would not be accepted.
    pub fn sign(signer: &dyn Signer, revocation: &Revocation) -> Result<Self, SignError> {
        sign_stated(signer, &revocation.public_key, &revocation.to_payload(), Revocation::parse, Self::verify)
    }

    /// What the holder of the key says.
    pub fn revocation(&self) -> &Revocation {
        &self.revocation
    }

    /// The exact bytes of the line, without a line feed.
    pub fn line(&self) -> &[u8] {
        &self.line
    }
}

/// The `.revocation.intoto.jsonl` file: one signed revocation a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations {
    /// Never empty, no line twice.
    signed: Vec<SignedRevocation>,
}

impl Revocations {
    /// A file of one.
    pub fn new(signed: SignedRevocation) -> Self {
        Self { signed: vec![signed] }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// All that is wrong, at most one error a line; one bad line makes the whole file bad.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<AttestationError>> {
        let signed = read_lines(bytes, SignedRevocation::verify, SignedRevocation::line)?;
        Ok(Self { signed })
    }

    /// All of them, in the order of the file.
    pub fn signed(&self) -> &[SignedRevocation] {
        &self.signed
    }

    /// Appends one. One whose very line is there already changes nothing.
    ///
    /// # Errors
    /// The file is full.
    pub fn push(&mut self, signed: SignedRevocation) -> Result<(), TooManyAttestations> {
        if self.signed.contains(&signed) {
            return Ok(());
        }
        if self.signed.len() == crate::ATTESTATIONS_MAX {
            return Err(TooManyAttestations);
        }
        self.signed.push(signed);
        Ok(())
    }

    /// The file: each line as it was read or made.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_file(self.signed.iter().map(SignedRevocation::line))
    }

    /// The JSON Schema of revocations.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(Document)
    }
}

/// What entitles a key to revoke a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// It signed the bundle, and is trusted.
    Signer,
    /// It signs as `revoker`, and has that role.
    Revoker,
    /// It is a root key of the trust that it belongs to.
    Root,
}

/// Why a revocation does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotEntitled {
    /// Nobody trusted holds its key.
    UnknownKey,
    /// The key is in somebody else's hands.
    Compromised,
    /// The key is trusted, but did not sign the bundle and is no revoker.
    NotSigner,
}

impl NotEntitled {
    /// Stable identifier for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown-key",
            Self::Compromised => "key-revoked",
            Self::NotSigner => "not-entitled",
        }
    }
}

impl std::fmt::Display for NotEntitled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnknownKey => "the key is not among those that count",
            Self::Compromised => "the key is known to be compromised",
            Self::NotSigner => "the key did not sign the bundle, and does not have the role `revoker`",
        })
    }
}

/// A revocation of the bundle in question, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationVerdict {
    /// The revocation.
    pub revocation: Revocation,
    /// The name of its key in the policy, if it is listed.
    pub name: Option<Line>,
    /// Whose key it is, according to the policy.
    pub owner: Option<Line>,
    /// By what it counts, or why it does not.
    pub verdict: Result<Authority, NotEntitled>,
}

impl RevocationVerdict {
    /// Who revoked, in words.
    pub fn who(&self) -> String {
        let print = self.revocation.public_key.fingerprint();
        match (&self.name, &self.owner) {
            (Some(name), Some(owner)) => format!("{name} ({owner}), {print}"),
            (Some(name), None) => format!("{name}, {print}"),
            _ => print.to_string(),
        }
    }

    /// The same as a problem, for a revocation that counts.
    pub fn problem(&self) -> Problem {
        let Revocation { time, reason, role, .. } = &self.revocation;
        let message = format!("was revoked by {} as {role}, stated time {time}: {reason}", self.who());
        Problem::new("bundle-revoked", message).hint("do not use it; ask the sender what to use instead")
    }
}

/// The document, member for member in the order of its one spelling.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Statement that revokes a bundle", rename = "RevocationStatement")]
struct Document {
    /// Always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    #[schemars(extend("const" = STATEMENT_TYPE))]
    kind: String,
    /// The archive, or the manifest of a sealed directory, as in the statement about the bundle.
    subject: Exactly,
    /// Always `https://consign.dev/attestations/revocation/v1`.
    #[serde(rename = "predicateType")]
    #[schemars(extend("const" = REVOCATION_PREDICATE_TYPE))]
    predicate_type: String,
    /// What is said about it.
    predicate: Predicate,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Predicate {
    /// Who revokes, as what, and when.
    signer: SignerDocument,
    /// Which bundle.
    bundle: BundleClaim,
    /// Why.
    reason: Line,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignerDocument {
    /// Always `ed25519`.
    #[schemars(extend("const" = ALGORITHM))]
    algorithm: String,
    /// The key that signs.
    public_key: PublicKey,
    /// What the signer signs as.
    role: Role,
    /// The time of signing, by the signer's clock.
    time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{enclose, key, signed, statement};

    #[test]
    fn a_revocation_has_one_spelling() {
        let key = key();
        let claim = statement(&key).claim;
        let (reason, role, time) = (
            "wrong data".parse().unwrap(),
            "owner".parse().unwrap(),
            "2026-11-22T03:00:00Z".parse().unwrap(),
        );
        let said = Revocation::of(&claim, reason, *key.public_key(), role, time);
        let one = SignedRevocation::sign(&key, &said).unwrap();
        let mut file = Revocations::new(one.clone());
        assert_eq!(Revocations::parse(&file.to_bytes()), Ok(file.clone()));
        file.push(one).unwrap();
        assert_eq!(file.signed().len(), 1);
        let payload = String::from_utf8(said.to_payload()).unwrap();
        let code = |from: &str, to: &str| {
            assert_eq!(payload.matches(from).count(), 1, "{from}");
            let line = enclose(&key, payload.replace(from, to).as_bytes());
            SignedRevocation::verify(line.as_bytes()).unwrap_err().problem().code
        };
        assert_eq!(code("minilm-1.0.0.tar.zst", "minilm-1.0.1.tar.zst"), "subject-mismatch");
        assert_eq!(code("minilm-1.0.0.tar.zst", "minilm-1.0.0.manifest.json"), "subject-mismatch");
        assert_eq!(code("revocation/v1", "bundle/v1"), "predicate-type");
        assert_eq!(code("\"reason\":\"wrong data\"", "\"reason\":\"\""), "statement-malformed");
        assert_eq!(code("\"reason\":", "\"reason\": "), "statement-not-canonical");
        // E12: a statement about a bundle is no revocation, and the other way about.
        let attestation = SignedRevocation::verify(signed(&key).line()).unwrap_err();
        assert_eq!(attestation.problem().code, "predicate-type");
        assert_eq!(
            crate::SignedStatement::verify(file.signed()[0].line()).unwrap_err().problem().code,
            "predicate-type"
        );
        let other = crate::testing::key();
        assert!(matches!(SignedRevocation::sign(&other, &said), Err(SignError::OtherKey { .. })));
    }

    /// One fault in a revocation under a valid signature.
    #[track_caller]
    fn code(from: &str, to: &str) -> &'static str {
        let key = key();
        let claim = statement(&key).claim;
        let (reason, role, time) =
            ("x".parse().unwrap(), "owner".parse().unwrap(), "2026-11-22T03:00:00Z".parse().unwrap());
        let said = Revocation::of(&claim, reason, *key.public_key(), role, time);
        let payload = String::from_utf8(said.to_payload()).unwrap();
        let from = from.replace("DIGEST", &said.subject.hex());
        assert_eq!(payload.matches(&from).count(), 1, "{from}");
        let to = to.replace("DIGEST", &said.subject.hex().to_uppercase());
        let line = enclose(&key, payload.replace(&from, &to).as_bytes());
        SignedRevocation::verify(line.as_bytes()).unwrap_err().problem().code
    }

    #[test]
    fn a22_a_digest_is_a_digest() {
        for other in ["../../x", "sha256:DIGEST", "DIGEST", ""] {
            assert_eq!(code("\"DIGEST\"", &format!("\"{other}\"")), "statement-malformed", "{other}");
        }
    }

    #[test]
    fn a26_a_bundle_has_a_name() {
        for other in [".", "..", "a/b", "", "-x"] {
            let to = format!("\"name\":\"{other}\",\"version\"");
            assert_eq!(code("\"name\":\"minilm\",\"version\"", &to), "statement-malformed", "{other}");
        }
    }
}
