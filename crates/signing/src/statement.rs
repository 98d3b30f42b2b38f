//! What a signer says about a bundle: an in-toto Statement v1 with a predicate of our own.
//!
//! A statement has two halves. The [`Claim`] is what all who sign the same thing must agree on, to the last
//! field: signatures count together only over equal claims. The rest says who signs, as what, when, and where.
//!
//! A statement has one spelling, and nothing is read from any other. The subject is derived from the claim and
//! must be exactly what is derived.

use std::collections::BTreeSet;
use std::fmt;

use consign_metadata::{
    BundleId, BundleName, BundleVersion, Classification, Findings, Line, Problem, Role, Sha256Digest,
    printable,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::in_toto::{ALGORITHM, Exactly, STATEMENT_TYPE, check_algorithm, check_type};
use crate::ledger_state::LedgerState;
use crate::public_key::PublicKey;
use crate::terms::{Downgrade, Override};
use crate::time::Timestamp;
use crate::wire::{self, WireError};

/// `predicateType` of a statement about a bundle.
pub const PREDICATE_TYPE: &str = "https://consign.dev/attestations/bundle/v1";

/// A statement about a bundle, as its signer makes it.
///
/// A value of this type is what somebody *says*; that it was signed is what
/// [`SignedStatement`](crate::SignedStatement) says, and that it counts is for
/// [`evaluate`](crate::evaluate) to say.
///
/// ```
/// use consign_signing::Statement;
/// let payload = concat!(
///     r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"minilm-1.0.0.manifest.json","#,
///     r#""digest":{"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}],"#,
///     r#""predicateType":"https://consign.dev/attestations/bundle/v1","predicate":{"signer":"#,
///     r#"{"algorithm":"ed25519","public_key":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=","#,
///     r#""role":"owner","basis":"sealed","time":"2026-11-22T03:00:00Z"},"bundle":{"name":"minilm","#,
///     r#""version":"1.0.0","classification":"public","#,
///     r#""id":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},"#,
///     r#""environment":{"tool":"consign 0.1.0"}}}"#,
/// );
/// let statement = Statement::parse(payload.as_bytes())?;
/// assert_eq!(statement.claim.bundle.name.as_str(), "minilm");
/// assert_eq!(statement.to_payload(), payload.as_bytes());
/// // Any other spelling of the same is refused.
/// assert!(Statement::parse(payload.replace(":[", ": [").as_bytes()).is_err());
/// # Ok::<(), consign_signing::StatementError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What all signers of the same thing agree on.
    pub claim: Claim,
    /// Who signs, as what, and when.
    pub signer: SignerClaim,
    /// Where the statement was made.
    pub environment: Environment,
    /// How far the signer's ledger had come, if they keep one.
    pub ledger: Option<LedgerState>,
}

/// What is said about the bundle. Signatures count together only if their claims are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which bundle, and how it is classified.
    pub bundle: BundleClaim,
    /// The archive that holds it, or that there is none.
    pub content: Content,
    /// What the patterns of the descriptor left out, if that was counted; an empty list means that nothing was.
    pub excluded: Option<Vec<ExcludedCount>>,
    /// Whom it is meant for, by the names that sender and recipients use; sorted, none twice. Empty: nobody is
    /// named.
    pub addressees: Vec<Line>,
    /// What a scan of the content found; absent if it was not scanned.
    pub findings: Option<Findings>,
    /// Rules of the sender's handling policy that were set aside; sorted, no rule twice.
    pub overrides: Vec<Override>,
    /// Bundles that it derives from and that are classified higher; sorted, none twice.
    pub downgrades: Vec<Downgrade>,
}

impl Claim {
    /// A claim that says no more than which bundle it is and what holds it.
    pub fn new(bundle: BundleClaim, content: Content) -> Self {
        Self {
            bundle,
            content,
            excluded: None,
            addressees: Vec::new(),
            findings: None,
            overrides: Vec::new(),
            downgrades: Vec::new(),
        }
    }
}

/// Which bundle, and how it is classified. All of this stands in the manifest too, which `id` fixes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleClaim {
    /// Name of the bundle.
    pub name: BundleName,
    /// Version of the bundle.
    pub version: BundleVersion,
    /// Classification level.
    pub classification: Classification,
    /// SHA-256 of the manifest.
    pub id: BundleId,
}

/// The thing whose digest is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A directory sealed where it lies: the subject is the manifest.
    Sealed,
    /// An archive: the subject is the archive.
    Archive(ArchiveClaim),
}

/// The archive that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveClaim {
    /// SHA-256 of the whole archive. It is the subject's digest.
    pub sha256: Sha256Digest,
    /// Length of the archive in bytes.
    pub size: u64,
    /// The bytes behind the data frames.
    pub tail: Tail,
    /// The encoder's id: with the files, all that is needed to make the same archive again.
    pub encoder: Line,
}

/// The tail of an archive: it is hashed before it is parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// Length of the tail in bytes, counted from the end of the archive.
    #[serde(deserialize_with = "wire::integer")]
    pub length: u64,
    /// SHA-256 of those bytes.
    pub sha256: Sha256Digest,
}

/// How many files and folders a pattern left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExcludedCount {
    /// The pattern, as it stands in the manifest.
    pub pattern: Line,
    /// How many it left out.
    #[serde(deserialize_with = "wire::integer")]
    pub count: u64,
}

/// Who signs, as what, and when. All of it is the signer's own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerClaim {
    /// The key that signs. The signature is checked under this key; whether the key counts is asked later.
    pub public_key: PublicKey,
    /// What the signer signs as: the signature counts for this one role.
    pub role: Role,
    /// What the signer had seen.
    pub basis: Basis,
    /// The time of signing, by the signer's clock. It never extends the validity of anything.
    pub time: Timestamp,
}

/// What a signer had seen of the thing that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Made the archive out of the files.
    Packed,
    /// Made the manifest of a directory that was sealed where it lies.
    Sealed,
    /// Checked the content fully before signing.
    Verified,
    /// Has not seen the content, only the statement of another.
    Unseen,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Packed => "packed",
            Self::Sealed => "sealed",
            Self::Verified => "verified",
            Self::Unseen => "unseen",
        })
    }
}

/// Where a statement was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The tool and its version, such as `consign 0.1.0`.
    pub tool: Line,
    /// Operating system and processor, such as `linux-x86_64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Line>,
    /// SHA-256 of the handling policy that was asked, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Sha256Digest>,
    /// The pipeline that ran the tool, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<Ci>,
}

/// The pipeline that a statement was made in, as the pipeline describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ci {
    /// Which system, such as `github-actions`, `gitlab-ci`, `jenkins`, `slurm`.
    pub system: Line,
    /// The repository that the pipeline belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Line>,
    /// The commit that it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Line>,
    /// The branch or tag that it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Line>,
    /// Name of the workflow or job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Line>,
    /// Number of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Line>,
    /// Where the run can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Line>,
}

/// Why a payload is not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// `_type` is another one.
    #[error("the payload is of type `{0}`, not an in-toto Statement v1")]
    UnknownType(String),
    /// `predicateType` is another one.
    #[error("the statement is of type `{0}`, which this version does not know")]
    UnknownPredicateType(String),
    /// Not JSON, or not of the statement's shape.
    #[error("the statement is malformed: {0}")]
    Malformed(String),
    /// The right shape in another spelling: spacing, order, escapes, a repeated key, another form of a number.
    #[error("the statement is not in canonical form, from byte {at} on")]
    NotCanonical {
        /// The first byte that differs from the one spelling, counted from 0.
        at: usize,
    },
    /// The subject is not the one that follows from the rest.
    #[error("the subject is `{found}`, but the statement is about `{expected}`")]
    SubjectMismatch {
        /// What follows from name, version and bundle id.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// Two members contradict each other.
    #[error("the statement contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl StatementError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::UnknownType(_) => ("statement-type", None),
            Self::UnknownPredicateType(other) => (
                "predicate-type",
                Some(if other.starts_with("https://consign.dev/") {
                    "it was made by a newer version of consign, or is another kind of statement; try a newer version"
                } else {
                    "attestations of other tools belong into a file of their own, `NAME-VERSION.others.intoto.jsonl`"
                }),
            ),
            Self::Malformed(_) => ("statement-malformed", None),
            Self::NotCanonical { .. } => ("statement-not-canonical", None),
            Self::SubjectMismatch { .. } => ("subject-mismatch", None),
            Self::Contradiction(_) => ("statement-contradiction", None),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl Claim {
    /// What the signed digest is the digest of: the archive, or the manifest of a sealed directory.
    pub fn subject_digest(&self) -> Sha256Digest {
        match &self.content {
            Content::Sealed => self.bundle.id.0,
            Content::Archive(archive) => archive.sha256,
        }
    }

    /// The subject's name: `NAME-VERSION.tar.zst`, or `NAME-VERSION.manifest.json` of a sealed directory.
    pub fn subject_name(&self) -> String {
        let BundleClaim { name, version, .. } = &self.bundle;
        match &self.content {
            Content::Sealed => format!("{name}-{version}.manifest.json"),
            Content::Archive(_) => format!("{name}-{version}.tar.zst"),
        }
    }
}

impl Statement {
    /// Reads a statement in its one spelling.
    ///
    /// # Errors
    /// Other types, unknown fields, other spellings, a subject that does not follow from the rest, sizes that
    /// contradict each other.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        check_type(payload, PREDICATE_TYPE)?;
        Self::from_document(wire::read(payload)?)
    }

    /// The statement in its one spelling: the bytes that are signed.
    pub fn to_payload(&self) -> Vec<u8> {
        wire::write(&self.to_document())
    }

    /// The JSON Schema of statements.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(Document)
    }

    fn from_document(document: Document) -> Result<Self, StatementError> {
        let Document { subject: Exactly([subject]), predicate, .. } = document;
        let Predicate {
            signer,
            bundle,
            archive,
            excluded,
            addressees,
            findings,
            overrides,
            downgrades,
            environment,
            ledger,
        } = predicate;
        check_algorithm(&signer.algorithm)?;
        let digest = subject.digest.read()?;
        let content = match archive {
            None => Content::Sealed,
            Some(ArchiveDocument { size, tail, encoder }) => {
                Content::Archive(ArchiveClaim { sha256: digest, size, tail, encoder })
            }
        };
        let claim = Claim { bundle, content, excluded, addressees, findings, overrides, downgrades };
        let expected = (claim.subject_name(), claim.subject_digest());
        if (subject.name.as_str(), digest) != (expected.0.as_str(), expected.1) {
            return Err(StatementError::SubjectMismatch {
                expected: format!("{} {}", expected.0, expected.1),
                found: format!("{} {digest}", printable(&subject.name)),
            });
        }
        let SignerDocument { public_key, role, basis, time, .. } = signer;
        let statement =
            Self { claim, signer: SignerClaim { public_key, role, basis, time }, environment, ledger };
        statement.check_consistency()?;
        Ok(statement)
    }

    /// Whether the members agree with each other, as far as that shows without the bundle.
    fn check_consistency(&self) -> Result<(), StatementError> {
        let contradiction = match (&self.claim.content, self.signer.basis) {
            (Content::Sealed, Basis::Packed) => Some("`packed` is said of a directory without an archive"),
            (Content::Archive(_), Basis::Sealed) => Some("`sealed` is said of an archive"),
            (Content::Archive(archive), _) if archive.tail.length > archive.size => {
                Some("the tail is longer than the archive")
            }
            _ => None,
        };
        if let Some(contradiction) = contradiction {
            return Err(StatementError::Contradiction(contradiction));
        }
        let Claim { bundle, excluded, addressees, overrides, downgrades, .. } = &self.claim;
        let mut patterns = BTreeSet::new();
        let contradiction = if !excluded.iter().flatten().all(|excluded| patterns.insert(&excluded.pattern)) {
            "one exclude pattern is counted twice"
        } else if !addressees.is_sorted_by(|a, b| a < b) {
            "the addressees are not in order, or one is named twice"
        } else if !overrides.is_sorted_by(|a, b| a.rule < b.rule) {
            "the overrides are not in order, or one rule is set aside twice"
        } else if !downgrades.is_sorted_by(|a, b| a.parent < b.parent) {
            "the downgrades are not in order, or one parent is named twice"
        } else if downgrades.iter().any(|downgrade| downgrade.from == bundle.classification) {
            "a downgrade from the bundle's own classification is none"
        } else {
            return Ok(());
        };
        Err(StatementError::Contradiction(contradiction))
    }

    fn to_document(&self) -> Document {
        let Claim { bundle, content, excluded, addressees, findings, overrides, downgrades } = &self.claim;
        let archive = match content {
            Content::Sealed => None,
            Content::Archive(ArchiveClaim { size, tail, encoder, .. }) => {
                Some(ArchiveDocument { size: *size, tail: tail.clone(), encoder: encoder.clone() })
            }
        };
        Document {
            kind: STATEMENT_TYPE.to_owned(),
            subject: Exactly::one(self.claim.subject_name(), &self.claim.subject_digest()),
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                signer: SignerDocument {
                    algorithm: ALGORITHM.to_owned(),
                    public_key: self.signer.public_key,
                    role: self.signer.role.clone(),
                    basis: self.signer.basis,
                    time: self.signer.time,
                },
                bundle: bundle.clone(),
                archive,
                excluded: excluded.clone(),
                addressees: addressees.clone(),
                findings: findings.clone(),
                overrides: overrides.clone(),
                downgrades: downgrades.clone(),
                environment: self.environment.clone(),
                ledger: self.ledger.clone(),
            },
        }
    }
}

impl From<WireError> for StatementError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Malformed(message) => Self::Malformed(message),
            WireError::NotCanonical(at) => Self::NotCanonical { at },
        }
    }
}

/// The document, member for member in the order of its one spelling.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Statement about a bundle", rename = "Statement")]
struct Document {
    /// Always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    #[schemars(extend("const" = STATEMENT_TYPE))]
    kind: String,
    /// The archive, or the manifest of a sealed directory.
    subject: Exactly,
    /// Always `https://consign.dev/attestations/bundle/v1`.
    #[serde(rename = "predicateType")]
    #[schemars(extend("const" = PREDICATE_TYPE))]
    predicate_type: String,
    /// What is said about it.
    predicate: Predicate,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Predicate {
    /// Who signs, as what, and when.
    signer: SignerDocument,
    /// Which bundle.
    bundle: BundleClaim,
    /// The archive; absent for a directory sealed where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveDocument>,
    /// What the patterns left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    excluded: Option<Vec<ExcludedCount>>,
    /// Whom it is meant for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addressees: Vec<Line>,
    /// What a scan of the content found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    findings: Option<Findings>,
    /// Rules of the sender's handling policy that were set aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<Override>,
    /// Bundles that it derives from and that are classified higher.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    downgrades: Vec<Downgrade>,
    /// Where the statement was made.
    environment: Environment,
    /// How far the signer's ledger had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerState>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignerDocument {
    /// Always `ed25519`.
    #[schemars(extend("const" = ALGORITHM))]
    pub(crate) algorithm: String,
    /// The key that signs.
    pub(crate) public_key: PublicKey,
    /// What the signer signs as.
    pub(crate) role: Role,
    /// What the signer had seen.
    pub(crate) basis: Basis,
    /// The time of signing, by the signer's clock.
    pub(crate) time: Timestamp,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ArchiveDocument {
    /// Length of the archive in bytes.
    #[serde(deserialize_with = "wire::integer")]
    size: u64,
    /// The bytes behind the data frames.
    tail: Tail,
    /// The encoder's id.
    encoder: Line,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{EnvelopeError, SignedStatement};
    use crate::testing::{enclose, key, statement};

    /// One fault in a statement under a valid signature: refused as a statement and in its envelope.
    #[track_caller]
    fn fault(from: &str, to: &str) -> StatementError {
        let key = key();
        let payload = String::from_utf8(statement(&key).to_payload()).unwrap();
        assert_eq!(payload.matches(from).count(), 1, "{from}");
        let altered = payload.replace(from, to);
        let error = Statement::parse(altered.as_bytes()).unwrap_err();
        let enclosed = SignedStatement::verify(enclose(&key, altered.as_bytes()).as_bytes()).unwrap_err();
        assert_eq!(enclosed, EnvelopeError::Statement(error.clone()));
        assert!(!error.problem().code.is_empty());
        error
    }

    macro_rules! assert_fault {
        ($from:expr, $to:expr, $error:pat) => {{
            let error = fault($from, $to);
            assert!(matches!(error, $error), "{}: {error}", $to);
        }};
    }

    #[test]
    fn a_statement_is_what_it_was() {
        let statement = statement(&key());
        assert_eq!(Statement::parse(&statement.to_payload()), Ok(statement.clone()));
        let mut small = statement;
        small.claim.content = Content::Sealed;
        small.claim.excluded = Some(Vec::new());
        small.signer.basis = Basis::Sealed;
        small.environment =
            Environment { tool: "x".parse().unwrap(), platform: None, policy: None, ci: None };
        assert_eq!(Statement::parse(&small.to_payload()), Ok(small));
    }

    #[test]
    fn e3_e12_e28_types_are_exact() {
        assert_fault!(
            "in-toto.io/Statement/v1\"",
            "in-toto.io/Statement/v0.1\"",
            StatementError::UnknownType(_)
        );
        assert_fault!("bundle/v1\"", "bundle/v2\"", StatementError::UnknownPredicateType(_));
        assert_fault!("bundle/v1\"", "bundle/V1\"", StatementError::UnknownPredicateType(_));
        assert_fault!(
            "https://consign.dev/attestations/bundle/v1",
            "https://slsa.dev/provenance/v1",
            StatementError::UnknownPredicateType(_)
        );
        let newer = fault("bundle/v1\"", "bundle/v2\"").problem();
        assert!(newer.hint.unwrap().contains("newer version"));
        assert_fault!("\"predicateType\"", "\"predicatetype\"", StatementError::Malformed(_));
        assert_fault!(
            "\"algorithm\":\"ed25519\"",
            "\"algorithm\":\"ed25519ph\"",
            StatementError::Malformed(_)
        );
    }

    #[test]
    fn there_is_one_subject_with_one_digest() {
        let subject =
            |name: &str| format!("{{\"name\":\"{name}\",\"digest\":{{\"sha256\":\"{}\"}}}}", "0".repeat(64));
        assert_fault!(
            "\"subject\":[",
            &format!("\"subject\":[{},", subject("x")),
            StatementError::Malformed(_)
        );
        assert_fault!("\"digest\":{", "\"digest\":{\"sha512\":\"00\",", StatementError::Malformed(_));
        assert_fault!("\"digest\":{", "\"uri\":\"x\",\"digest\":{", StatementError::Malformed(_));
        let key = key();
        let payload = String::from_utf8(statement(&key).to_payload()).unwrap();
        let (head, rest) = payload.split_once("\"subject\":[").unwrap();
        let (_, tail) = rest.split_once("}}],").unwrap();
        let none = format!("{head}\"subject\":[],{tail}");
        assert!(matches!(Statement::parse(none.as_bytes()), Err(StatementError::Malformed(_))));
    }

    #[test]
    fn the_subject_follows_from_the_rest() {
        for other in
            ["minilm-1.0.1.tar.zst", "minilm-1.0.0.manifest.json", "MINILM-1.0.0.tar.zst", "../x", ""]
        {
            assert_fault!("minilm-1.0.0.tar.zst", other, StatementError::SubjectMismatch { .. });
        }
        assert_fault!(
            "\"version\":\"1.0.0\"",
            "\"version\":\"1.0.1\"",
            StatementError::SubjectMismatch { .. }
        );
        // Of a sealed directory, the subject's digest is the bundle id.
        let mut sealed = statement(&key());
        sealed.claim.content = Content::Sealed;
        sealed.signer.basis = Basis::Verified;
        let payload = String::from_utf8(sealed.to_payload()).unwrap();
        let id = sealed.claim.bundle.id.0.hex();
        let other = payload.replacen(&id, &"0".repeat(64), 1);
        assert!(matches!(Statement::parse(other.as_bytes()), Err(StatementError::SubjectMismatch { .. })));
    }

    #[test]
    fn digests_have_one_spelling() {
        let payload = statement(&key());
        let hex = payload.claim.subject_digest().hex();
        for other in [hex.to_uppercase(), hex[1..].to_owned(), format!("sha256:{hex}"), "../../x".into()] {
            assert_fault!(&hex, &other, StatementError::Malformed(_));
        }
    }

    #[test]
    fn e24_there_is_one_spelling() {
        for (from, to) in [
            ("\"subject\":[", "\"subject\": ["),
            ("\"count\":3", "\"count\":3 "),
            ("\"role\":\"owner\"", "\"role\":\"\\u006fwner\""),
            ("\"role\":\"owner\",\"basis\":\"packed\"", "\"basis\":\"packed\",\"role\":\"owner\""),
            ("\"size\":1000000", "\"size\":1000000\n"),
            ("\"platform\":\"linux-x86_64\",", "\"platform\":null,"),
        ] {
            assert_fault!(from, to, StatementError::NotCanonical { .. });
        }
        assert!(Statement::parse(&[&statement(&key()).to_payload()[..], b"\n"].concat()).is_err());
        assert!(Statement::parse(&[b"\xef\xbb\xbf", &statement(&key()).to_payload()[..]].concat()).is_err());
    }

    #[test]
    fn keys_are_known_and_stand_once() {
        for (from, to) in [
            ("\"role\":\"owner\"", "\"role\":\"owner\",\"role\":\"owner\""),
            ("\"role\":\"owner\"", "\"role\":\"owner\",\"Role\":\"owner\""),
            ("\"name\":\"minilm\"", "\"name\":\"minilm\",\"name\":\"minilm\""),
            ("\"count\":3", "\"count\":3,\"note\":1"),
            ("\"environment\":{", "\"extra\":{},\"environment\":{"),
            ("\"tail\":{", "\"tail\":{\"x\":0,"),
            ("\"ci\":{", "\"ci\":{\"token\":\"x\","),
        ] {
            assert_fault!(from, to, StatementError::Malformed(_));
        }
    }

    #[test]
    fn numbers_are_integers_that_everybody_can_hold() {
        for other in [
            "1000000.0",
            "1e6",
            "-1",
            "9007199254740992",
            "18446744073709551616",
            "\"1\"",
            "01",
            "+1",
            "null",
        ] {
            assert_fault!("\"size\":1000000", &format!("\"size\":{other}"), StatementError::Malformed(_));
            assert_fault!("\"count\":3", &format!("\"count\":{other}"), StatementError::Malformed(_));
        }
        assert!(
            Statement::parse(
                String::from_utf8(statement(&key()).to_payload())
                    .unwrap()
                    .replace("\"size\":1000000", "\"size\":9007199254740991")
                    .as_bytes()
            )
            .is_ok()
        );
    }

    #[test]
    fn members_hold_what_their_types_promise() {
        for (from, to) in [
            ("\"role\":\"owner\"", "\"role\":\"Owner\""),
            ("\"basis\":\"packed\"", "\"basis\":\"guessed\""),
            ("\"time\":\"2026-11-22T03:00:00Z\"", "\"time\":\"2026-11-22T03:00:00+00:00\""),
            ("\"encoder\":\"zstd-1.5.7/1\"", "\"encoder\":\"a\\u202eb\""),
            ("\"classification\":\"internal\"", "\"classification\":\"\""),
            ("\"pattern\":\"*.pyc\"", "\"pattern\":\"\""),
        ] {
            assert_fault!(from, to, StatementError::Malformed(_));
        }
    }

    #[test]
    fn members_agree_with_each_other() {
        assert_fault!("\"basis\":\"packed\"", "\"basis\":\"sealed\"", StatementError::Contradiction(_));
        assert_fault!("\"length\":1000", "\"length\":1000001", StatementError::Contradiction(_));
        assert_fault!(
            "{\"pattern\":\"*.pyc\",\"count\":3}",
            "{\"pattern\":\"*.pyc\",\"count\":3},{\"pattern\":\"*.pyc\",\"count\":4}",
            StatementError::Contradiction(_)
        );
    }

    #[test]
    fn messages_cannot_drive_a_terminal() {
        let error = fault("\"count\":3", "\"count\":3,\"\\u001b[31m\\u202e\":1");
        assert!(!error.to_string().contains(['\u{1b}', '\u{202e}']), "{error:?}");
        let error = fault("bundle/v1\"", "bundle/v1\\u001b[31m\"");
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    }

    #[test]
    fn the_schema_names_every_member() {
        let schema = serde_json::to_string(&Statement::json_schema()).unwrap();
        for member in
            ["_type", "predicateType", "signer", "basis", "tail", "encoder", "excluded", "environment"]
        {
            assert!(schema.contains(&format!("\"{member}\"")), "{member}");
        }
    }
}
