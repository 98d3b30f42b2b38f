//! What a recipient says about a bundle that arrived: a SLSA verification summary with an extension of our own.
//!
//! Other tools read who verified what by which policy, and with what result (SLSA, verification summary v1). What
//! consign reads stands in the member [`RECEIPT_EXTENSION`], and everything outside of it must be exactly what
//! follows from that: a receipt has one spelling.
//!
//! Of an encrypted bundle a receipt says no more than stands outside of it anyway: a digest of what is inside
//! would let a stranger test guesses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use consign_metadata::{BundleName, Line, Role, Sha256Digest, printable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attestations::{ATTESTATIONS_MAX, AttestationError, AttestationErrorKind, read_lines, to_file};
use crate::encrypted::{PublicClaim, PublicName};
use crate::envelope::{EnvelopeError, Opened, SignError, sign_stated};
use crate::fingerprint::Fingerprint;
use crate::in_toto::{ALGORITHM, DigestSet, Exactly, STATEMENT_TYPE, check_algorithm, check_type};
use crate::ledger_state::LedgerState;
use crate::public_key::PublicKey;
use crate::signer::Signer;
use crate::statement::{BundleClaim, StatementError};
use crate::time::Timestamp;
use crate::trust::{Trust, entry, judge_key};
use crate::validity::Moment;
use crate::verdict::Reason;
use crate::wire;

/// `predicateType` of a receipt: SLSA's verification summary.
pub const RECEIPT_PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";
/// The member of the predicate that holds what SLSA has no word for. Extensions are named by URIs there.
pub const RECEIPT_EXTENSION: &str = "https://consign.dev/receipt/v1";
/// The role in which receipts count, unless somebody asks for another one.
pub const RECIPIENT: &str = "recipient";
/// Longest envelope of a receipt, in bytes without the line feed.
pub const RECEIPT_BYTES_MAX: usize = 256 * 1024;
/// Most reasons that a receipt gives.
pub const RECEIPT_REASONS_MAX: usize = 32;
/// Most keys that a receipt names: as many as signatures in one file.
const SIGNERS_MAX: usize = ATTESTATIONS_MAX;

/// What a recipient says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// SHA-256 of the bytes that arrived: of the archive, or of the encrypted file.
    pub sha256: Sha256Digest,
    /// How many bytes arrived.
    pub size: u64,
    /// Which bundle that is.
    pub about: About,
    /// What became of it.
    pub verdict: ReceiptVerdict,
    /// SHA-256 of each envelope that was looked at, as a line without its line feed; sorted, none twice.
    pub attestations: Vec<Sha256Digest>,
    /// Whose signatures counted; sorted, none twice.
    pub signers: Vec<ReceiptSigner>,
    /// SHA-256 of the handling policy that was asked.
    pub policy: Sha256Digest,
    /// How far the sender's ledger had come, as it stood in the bundle's statement.
    pub ledger: Option<LedgerState>,
    /// The version of consign that looked at it.
    pub version: Line,
    /// The key that signs.
    pub public_key: PublicKey,
    /// What the recipient signs as.
    pub role: Role,
    /// When it was looked at, by the recipient's clock.
    pub time: Timestamp,
}

/// Which bundle arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A plain one. Unless the receipt states a [`ReceiptLevel`], that is only claimed.
    Bundle(BundleClaim),
    /// An encrypted one, and what everybody may know of it. Unless the receipt states a level, that is only claimed.
    Encrypted(PublicClaim),
    /// Nothing that could be read says so.
    Unknown,
}

/// What became of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptVerdict {
    /// It was intact, trusted, expected, and admitted by the recipient's policy.
    Accepted {
        /// How much of it was looked at.
        level: ReceiptLevel,
    },
    /// It was not.
    Refused {
        /// How much of it was found to be as its statement says; absent if it was not.
        level: Option<ReceiptLevel>,
        /// Why; sorted, none twice, at least one, at most [`RECEIPT_REASONS_MAX`].
        reasons: Vec<ReceiptReason>,
    },
}

impl ReceiptVerdict {
    /// Whether the bundle was accepted.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }

    /// How much of the bundle was found to be as its statement says.
    pub fn level(&self) -> Option<ReceiptLevel> {
        match self {
            Self::Accepted { level } => Some(*level),
            Self::Refused { level, .. } => *level,
        }
    }

    /// Why it was refused; empty if it was not.
    pub fn reasons(&self) -> &[ReceiptReason] {
        match self {
            Self::Accepted { .. } => &[],
            Self::Refused { reasons, .. } => reasons,
        }
    }
}

/// How much of a bundle was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptLevel {
    /// Every byte of the archive and of all that it holds.
    Content,
    /// Every byte of the archive, but not what it holds.
    Bytes,
}

impl ReceiptLevel {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Bytes => "bytes",
        }
    }

    /// What SLSA's `verifiedLevels` says. Values of one's own may be used there, if they do not begin with `SLSA_`.
    fn slsa_result(self) -> &'static str {
        match self {
            Self::Content => "CONSIGN_CONTENT",
            Self::Bytes => "CONSIGN_BYTES",
        }
    }
}

/// One reason for a refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptReason {
    /// Stable identifier, such as `frame-altered` or `policy-signatures`.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]*$"))]
    pub code: Line,
    /// What is the matter, in one sentence. Never there for an encrypted bundle, of which it could tell something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Line>,
}

/// Somebody whose signature on the bundle counted with the recipient.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceiptSigner {
    /// The fingerprint of the key.
    pub fingerprint: Fingerprint,
    /// The role in which it counted.
    pub role: Role,
}

impl Receipt {
    /// What the names of files about it begin with: `NAME-VERSION` where that is known and public, else the 64 digits
    /// of the digest.
    pub fn stem(&self) -> String {
        match self.name_and_version() {
            Some((name, version)) => format!("{name}-{version}"),
            None => self.sha256.hex(),
        }
    }

    /// Name and version, where they are known and public. Unless the receipt states a level, they are only claimed.
    pub fn name_and_version(&self) -> Option<(&BundleName, &consign_metadata::BundleVersion)> {
        match &self.about {
            About::Bundle(BundleClaim { name, version, .. }) => Some((name, version)),
            About::Encrypted(public) => {
                public.bundle.as_ref().map(|PublicName { name, version }| (name, version))
            }
            About::Unknown => None,
        }
    }

    /// Whether two receipts say the same of the same, at whatever time and by whichever version of consign.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let other = Self { time: self.time, version: self.version.clone(), ..other.clone() };
        *self == other
    }

    fn subject_name(&self) -> String {
        let end = match self.about {
            About::Bundle(_) => ".tar.zst",
            About::Encrypted(_) => ".tar.zst.age",
            About::Unknown => "",
        };
        format!("{}{end}", self.stem())
    }

    /// A package URL (purl-spec, type `generic`) with the digest.
    fn resource_uri(&self) -> String {
        let checksum = format!("checksum=sha256:{}", self.sha256.hex());
        match self.name_and_version() {
            // Of the characters of a version only `+` has to be escaped.
            Some((name, version)) => {
                let version = version.as_str().replace('+', "%2B");
                format!("pkg:generic/{name}@{version}?{checksum}")
            }
            None => format!("pkg:generic/{}?{checksum}", self.sha256.hex()),
        }
    }

    /// Reads a receipt in its one spelling.
    ///
    /// # Errors
    /// Other types, unknown fields, other spellings, members that contradict each other or that do not follow from
    /// the extension.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        check_type(payload, RECEIPT_PREDICATE_TYPE)?;
        let document: Document = wire::read(payload)?;
        let Exactly([subject]) = &document.subject;
        let Predicate { verifier, time, policy, attestations, extension, .. } = &document.predicate;
        let Extension { signer, kind, bundle, public, claimed_only, .. } = extension;
        check_algorithm(&signer.algorithm)?;
        let contradiction = |what| Err(StatementError::Contradiction(what));
        let about = match (kind, bundle, public) {
            (Kind::Archive, Some(bundle), None) => About::Bundle(bundle.clone()),
            (Kind::Encrypted, None, Some(public)) if public.is_empty() => {
                return contradiction("it says that nothing is public by a list of nothing");
            }
            (Kind::Encrypted, None, public) => About::Encrypted(public.clone().unwrap_or_default()),
            (Kind::Unknown, None, None) => About::Unknown,
            _ => return contradiction("what it says of the bundle is not what its kind has"),
        };
        let verdict = match (extension.verdict, extension.level, extension.reasons.as_slice()) {
            (Verdict::Accepted, Some(level), []) => ReceiptVerdict::Accepted { level },
            (Verdict::Accepted, None, _) => return contradiction("it was accepted at no level"),
            (Verdict::Accepted, ..) => return contradiction("it was accepted, with reasons against it"),
            (Verdict::Refused, _, []) => return contradiction("it was refused without a reason"),
            (Verdict::Refused, level, reasons) => {
                ReceiptVerdict::Refused { level, reasons: reasons.to_vec() }
            }
        };
        let receipt = Self {
            sha256: subject.digest.read()?,
            size: extension.size,
            about,
            verdict,
            attestations: attestations.iter().map(|one| one.digest.read()).collect::<Result<_, _>>()?,
            signers: extension.signers.iter().map(SignerOf::read).collect::<Result<_, _>>()?,
            policy: policy.digest.read()?,
            ledger: extension.ledger.clone(),
            version: verifier.version.consign.clone(),
            public_key: signer.public_key,
            role: signer.role.clone(),
            time: *time,
        };
        receipt.check_consistency()?;
        if *claimed_only != receipt.is_claimed_only() {
            return contradiction("whether the bundle is only claimed does not follow from the level");
        }
        receipt.check_derived(&document)?;
        Ok(receipt)
    }

    /// Whether the members agree with each other.
    fn check_consistency(&self) -> Result<(), StatementError> {
        let encrypted = matches!(self.about, About::Encrypted(_));
        let reasons = self.verdict.reasons();
        let is_code = |code: &Line| {
            let mut characters = code.as_str().chars();
            characters.next().is_some_and(|c| c.is_ascii_lowercase())
                && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        let addressees = match &self.about {
            About::Encrypted(public) => public.addressees.as_slice(),
            _ => &[],
        };
        let contradiction = if !reasons.is_sorted_by(|a, b| a < b) {
            "the reasons are not in order, or one is given twice"
        } else if reasons.len() > RECEIPT_REASONS_MAX {
            "there are too many reasons"
        } else if !reasons.iter().all(|reason| is_code(&reason.code)) {
            "a code is not made of lower-case letters, digits and `-`"
        } else if encrypted && reasons.iter().any(|reason| reason.message.is_some()) {
            "a reason tells more of an encrypted bundle than its code"
        } else if encrypted && self.ledger.is_some() {
            "a checkpoint stands outside of an encrypted bundle"
        } else if !addressees.is_sorted_by(|a, b| a < b) {
            "the addressees are not in order, or one is named twice"
        } else if !self.signers.is_sorted_by(|a, b| a < b) || self.signers.len() > SIGNERS_MAX {
            "the signers are not in order, or one is named twice, or there are too many"
        } else if !self.attestations.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes())
            || self.attestations.len() > ATTESTATIONS_MAX
        {
            "the attestations are not in order, or one is named twice, or there are too many"
        } else if self.about == About::Unknown && self.verdict.level().is_some() {
            "it was found to be as stated, but not which bundle it is"
        } else if self.verdict.level().is_some() && self.attestations.is_empty() {
            "it was found to be as stated, without a statement"
        } else if self.verdict.is_accepted() && self.signers.is_empty() {
            "it was accepted, though nobody's signature counted"
        } else {
            return Ok(());
        };
        Err(StatementError::Contradiction(contradiction))
    }

    /// Whether what others read is what follows from what consign reads.
    fn check_derived(&self, document: &Document) -> Result<(), StatementError> {
        let derived = self.to_document();
        let (Exactly([found]), Exactly([expected])) = (&document.subject, &derived.subject);
        if found.name != expected.name {
            let (expected, found) = (expected.name.clone(), printable(&found.name));
            return Err(StatementError::SubjectMismatch { expected, found });
        }
        let (found, expected) = (&document.predicate, &derived.predicate);
        let uris = |list: &[Resource]| list.iter().map(|one| one.uri.clone()).collect::<Vec<_>>();
        let contradiction = if found.verifier.id != expected.verifier.id {
            "`verifier.id` is not that of the key that signs"
        } else if found.resource_uri != expected.resource_uri {
            "`resourceUri` is not that of the subject"
        } else if found.policy.uri != expected.policy.uri {
            "`policy.uri` is not that of its digest"
        } else if uris(&found.attestations) != uris(&expected.attestations) {
            "the URI of an attestation is not that of its digest"
        } else if found.result != expected.result {
            "`verificationResult` is not that of the verdict"
        } else if found.levels != expected.levels {
            "`verifiedLevels` is not that of the verdict"
        } else {
            return Ok(());
        };
        Err(StatementError::Contradiction(contradiction))
    }

    /// Whether what is said of the bundle is only claimed.
    pub fn is_claimed_only(&self) -> bool {
        self.about != About::Unknown && self.verdict.level().is_none()
    }

    /// The receipt in its one spelling: the bytes that are signed.
    pub fn to_payload(&self) -> Vec<u8> {
        wire::write(&self.to_document())
    }

    fn to_document(&self) -> Document {
        let resource = |sha256: &Sha256Digest| Resource { uri: ni(sha256), digest: DigestSet::of(sha256) };
        let (verdict, result, level) = match &self.verdict {
            ReceiptVerdict::Accepted { level } => (Verdict::Accepted, "PASSED", level.slsa_result()),
            ReceiptVerdict::Refused { .. } => (Verdict::Refused, "FAILED", "FAILED"),
        };
        let (kind, bundle, public) = match &self.about {
            About::Bundle(bundle) => (Kind::Archive, Some(bundle.clone()), None),
            About::Encrypted(public) => {
                (Kind::Encrypted, None, Some(public.clone()).filter(|public| !public.is_empty()))
            }
            About::Unknown => (Kind::Unknown, None, None),
        };
        Document {
            kind: STATEMENT_TYPE.to_owned(),
            subject: Exactly::one(self.subject_name(), &self.sha256),
            predicate_type: RECEIPT_PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                verifier: Verifier {
                    id: ni(&Sha256Digest::of(&self.public_key.spki_der())),
                    version: Versions { consign: self.version.clone() },
                },
                time: self.time,
                resource_uri: self.resource_uri(),
                policy: resource(&self.policy),
                attestations: self.attestations.iter().map(resource).collect(),
                result: result.to_owned(),
                levels: [level.to_owned()],
                extension: Extension {
                    signer: SignerDocument {
                        algorithm: ALGORITHM.to_owned(),
                        public_key: self.public_key,
                        role: self.role.clone(),
                    },
                    verdict,
                    level: self.verdict.level(),
                    kind,
                    bundle,
                    public,
                    claimed_only: self.is_claimed_only(),
                    size: self.size,
                    signers: self.signers.iter().map(SignerOf::of).collect(),
                    reasons: self.verdict.reasons().to_vec(),
                    ledger: self.ledger.clone(),
                },
            },
        }
    }

    /// The JSON Schema of receipts.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(Document)
    }
}

/// The name of something by its digest (RFC 6920 section 3).
fn ni(sha256: &Sha256Digest) -> String {
    format!("ni:///sha-256;{}", URL_SAFE_NO_PAD.encode(sha256.as_bytes()))
}

/// A receipt together with the proof that the holder of the key it names signed it. That says nothing about trust:
/// whether it counts is asked by [`evaluate_receipt`].
///
/// ```
/// use consign_metadata::Sha256Digest;
/// use consign_signing::*;
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// let (key, claim) = (PrivateKey::generate()?, Statement::parse(example)?.claim);
/// let receipt = Receipt {
///     sha256: claim.subject_digest(),
///     size: 1_000_000,
///     about: About::Bundle(claim.bundle.clone()),
///     verdict: ReceiptVerdict::Accepted { level: ReceiptLevel::Content },
///     attestations: vec![Sha256Digest::of(b"a line of the attestations")],
///     signers: vec![ReceiptSigner { fingerprint: key.public_key().fingerprint(), role: "owner".parse()? }],
///     policy: Sha256Digest::of(b"policy.toml"),
///     ledger: None,
///     version: "0.1.0".parse()?,
///     public_key: *key.public_key(),
///     role: RECIPIENT.parse()?,
///     time: "2026-11-22T03:00:00Z".parse()?,
/// };
/// let signed = SignedReceipt::sign(&key, &receipt)?;
/// assert_eq!(SignedReceipt::read(&signed.to_bytes())?, signed);
///
/// let trust = Trust::Keys { keys: vec![*key.public_key()], threshold: None, known: None };
/// let moment = Moment::now("2026-11-23T00:00:00Z".parse()?);
/// let trusted: TrustedReceipt = evaluate_receipt(&signed, &RECIPIENT.parse()?, &trust, &moment)
///     .map_err(|reason| reason.to_string())?;
/// assert!(trusted.receipt().verdict.is_accepted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    receipt: Receipt,
    line: Box<[u8]>,
}

impl SignedReceipt {
    /// Reads one line, without its line feed, and checks its signature under the key that it names.
    ///
    /// # Errors
    /// Anything but one valid signature over one canonical receipt.
    pub fn verify(line: &[u8]) -> Result<Self, EnvelopeError> {
        let opened = Opened::read(line, RECEIPT_BYTES_MAX)?;
        let receipt = Receipt::parse(&opened.payload)?;
        opened.check(&receipt.public_key)?;
        Ok(Self { receipt, line: line.into() })
    }

    /// Signs a receipt, and checks the result as [`verify`](Self::verify) does.
    ///
    /// # Errors
    /// The receipt names another key, the signer fails, or the result would not be accepted.
    pub fn sign(signer: &dyn Signer, receipt: &Receipt) -> Result<Self, SignError> {
        sign_stated(signer, &receipt.public_key, &receipt.to_payload(), Receipt::parse, Self::verify)
    }

    /// Reads the file of a receipt: one line with its line feed, and nothing else. Readers of files may stop behind
    /// [`RECEIPT_BYTES_MAX`] and two more bytes.
    ///
    /// # Errors
    /// Anything else.
    pub fn read(file: &[u8]) -> Result<Self, AttestationError> {
        let fail = |line, kind| AttestationError { line, kind };
        let mut read = read_lines(file, Self::verify, Self::line)
            .map_err(|mut errors| errors.swap_remove(0))?
            .into_iter();
        match (read.next(), read.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(fail(1, AttestationErrorKind::EmptyFile)),
            (Some(_), Some(_)) => Err(fail(2, AttestationErrorKind::MoreThanOne)),
        }
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_file(std::iter::once(self.line()))
    }

    /// What the holder of the key says.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The exact bytes of the line, without a line feed.
    pub fn line(&self) -> &[u8] {
        &self.line
    }
}

/// A receipt that counts: somebody who is trusted to give receipts signed it. Only [`evaluate_receipt`] makes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedReceipt {
    signed: SignedReceipt,
    name: Option<Line>,
    owner: Option<Line>,
    organization: Option<Line>,
    asserted: bool,
}

impl TrustedReceipt {
    /// What is said.
    pub fn receipt(&self) -> &Receipt {
        &self.signed.receipt
    }

    /// The receipt with its signature.
    pub fn signed(&self) -> &SignedReceipt {
        &self.signed
    }

    /// The name of the key, according to the policy.
    pub fn name(&self) -> Option<&Line> {
        self.name.as_ref()
    }

    /// Who holds it, according to the policy.
    pub fn owner(&self) -> Option<&Line> {
        self.owner.as_ref()
    }

    /// Their organization, according to the policy.
    pub fn organization(&self) -> Option<&Line> {
        self.organization.as_ref()
    }

    /// Whether this holds only if the receipt was signed by the time that the caller asserts, which nothing proves.
    pub fn rests_on_asserted_time(&self) -> bool {
        self.asserted
    }
}

/// Asks whether a receipt counts: its key must count at that time in the role that the receipt states, and that must
/// be the role that is asked for. Where the caller names keys, any of them will do, in whatever role.
///
/// Rules about bundles are not asked: they say who may vouch for a bundle, not who may have received it.
///
/// # Errors
/// Why it does not count.
pub fn evaluate_receipt(
    signed: &SignedReceipt,
    role: &Role,
    trust: &Trust<'_>,
    moment: &Moment,
) -> Result<TrustedReceipt, Reason> {
    let receipt = signed.receipt();
    let name = receipt.name_and_version().map(|(name, _)| name);
    let judge = |at| judge_key(&receipt.public_key, &receipt.role, name, trust, at);
    judge(moment.at())?;
    if matches!(trust, Trust::Policy { .. }) && receipt.role != *role {
        return Err(Reason::OtherRole { stated: receipt.role.clone(), needed: role.clone() });
    }
    let key = entry(&receipt.public_key, trust, name).map(|(key, _)| key);
    Ok(TrustedReceipt {
        signed: signed.clone(),
        name: key.map(|key| key.name.clone()),
        owner: key.and_then(|key| key.owner.clone()),
        organization: key.and_then(|key| key.organization.clone()),
        asserted: moment.is_asserted() && judge(moment.time_of_verification()).is_err(),
    })
}

/// The document, member for member in the order of its one spelling.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Receipt for a bundle", rename = "ReceiptStatement")]
struct Document {
    /// Always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    #[schemars(extend("const" = STATEMENT_TYPE))]
    kind: String,
    /// The bytes that arrived, by the name that they have by the statement about the bundle.
    subject: Exactly,
    /// Always `https://slsa.dev/verification_summary/v1`.
    #[serde(rename = "predicateType")]
    #[schemars(extend("const" = RECEIPT_PREDICATE_TYPE))]
    predicate_type: String,
    /// What is said about it.
    predicate: Predicate,
}

/// The members of SLSA's verification summary, and one of our own.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Predicate {
    /// Who looked at it.
    verifier: Verifier,
    /// When, by the recipient's clock.
    #[serde(rename = "timeVerified")]
    time: Timestamp,
    /// A package URL: `pkg:generic/NAME@VERSION?checksum=sha256:…`, or with the digest in place of both.
    #[serde(rename = "resourceUri")]
    resource_uri: String,
    /// The handling policy that was asked.
    policy: Resource,
    /// The envelopes that were looked at, each as a line without its line feed.
    #[serde(rename = "inputAttestations")]
    attestations: Vec<Resource>,
    /// `PASSED` if it was accepted, else `FAILED`.
    #[serde(rename = "verificationResult")]
    #[schemars(extend("enum" = ["PASSED", "FAILED"]))]
    result: String,
    /// `CONSIGN_CONTENT` or `CONSIGN_BYTES` if it was accepted, else `FAILED`.
    #[serde(rename = "verifiedLevels")]
    levels: [String; 1],
    /// What SLSA has no word for.
    #[serde(rename = "https://consign.dev/receipt/v1")]
    extension: Extension,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verifier {
    /// The key that signs: `ni:///sha-256;…` (RFC 6920) over its SPKI in DER.
    id: String,
    /// What looked at it.
    version: Versions,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Versions {
    /// The version of consign.
    consign: Line,
}

/// Something by its digest.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Resource {
    /// `ni:///sha-256;…` (RFC 6920).
    uri: String,
    /// The same in hexadecimal.
    digest: DigestSet,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Extension {
    /// Who says it, and as what.
    signer: SignerDocument,
    /// What became of it.
    verdict: Verdict,
    /// How much was found to be as the statement about the bundle says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<ReceiptLevel>,
    /// What arrived.
    kind: Kind,
    /// Which bundle, if it is a plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleClaim>,
    /// What everybody may know, if it is an encrypted one; absent if that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public: Option<PublicClaim>,
    /// `bundle` and `public` are what was claimed, not what was found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    claimed_only: bool,
    /// How many bytes arrived.
    #[serde(deserialize_with = "wire::integer")]
    size: u64,
    /// Whose signatures on the bundle counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signers: Vec<SignerOf>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReceiptReason>,
    /// How far the sender's ledger had come when the bundle was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerState>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignerDocument {
    /// Always `ed25519`.
    #[schemars(extend("const" = ALGORITHM))]
    algorithm: String,
    /// The key that signs.
    public_key: PublicKey,
    /// What the recipient signs as.
    role: Role,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accepted,
    Refused,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// A plain bundle.
    Archive,
    /// An encrypted one.
    Encrypted,
    /// Nothing that could be read says which bundle it is.
    Unknown,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignerOf {
    /// `SHA256:…`, as `ssh-keygen -lf` prints it.
    fingerprint: String,
    /// The role in which it counted.
    role: Role,
}

impl SignerOf {
    fn of(signer: &ReceiptSigner) -> Self {
        Self { fingerprint: signer.fingerprint.to_string(), role: signer.role.clone() }
    }

    /// A fingerprint has two spellings for people; here it has one.
    fn read(&self) -> Result<ReceiptSigner, StatementError> {
        let fingerprint: Fingerprint = self
            .fingerprint
            .parse()
            .ok()
            .filter(|fingerprint: &Fingerprint| fingerprint.to_string() == self.fingerprint)
            .ok_or_else(|| StatementError::Malformed("a fingerprint is not written as `SHA256:…`".into()))?;
        Ok(ReceiptSigner { fingerprint, role: self.role.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::PrivateKey;
    use crate::testing::{enclose, key, signed, statement};
    use crate::trust_policy::{TrustPolicy, TrustedKey};
    use crate::validity::{KeyRevocation, RevocationReason};

    /// How far a sender's ledger had come.
    fn ledger() -> LedgerState {
        static LEDGER: std::sync::LazyLock<LedgerState> = std::sync::LazyLock::new(|| {
            let key = crate::testing::key();
            let origin = crate::ledger_origin(key.public_key());
            let note = crate::Note::sign(&key, &origin, &format!("{origin}\n1\nAAAA\n").parse().unwrap());
            LedgerState::new(*key.public_key(), note.unwrap()).unwrap()
        });
        LEDGER.clone()
    }

    fn accepted(key: &PrivateKey) -> Receipt {
        let claim = statement(key).claim;
        Receipt {
            sha256: claim.subject_digest(),
            size: 1_000_000,
            about: About::Bundle(claim.bundle),
            verdict: ReceiptVerdict::Accepted { level: ReceiptLevel::Content },
            attestations: vec![Sha256Digest::of(b"a line")],
            signers: vec![ReceiptSigner {
                fingerprint: key.public_key().fingerprint(),
                role: "owner".parse().unwrap(),
            }],
            policy: Sha256Digest::of(b"policy"),
            ledger: Some(ledger()),
            version: "0.1.0".parse().unwrap(),
            public_key: *key.public_key(),
            role: RECIPIENT.parse().unwrap(),
            time: "2026-11-22T03:00:00Z".parse().unwrap(),
        }
    }

    fn reason(code: &str, message: Option<&str>) -> ReceiptReason {
        ReceiptReason { code: code.parse().unwrap(), message: message.map(|text| text.parse().unwrap()) }
    }

    fn refused(key: &PrivateKey) -> Receipt {
        let reasons = vec![reason("frame-altered", Some("one")), reason("frame-altered", Some("two"))];
        let verdict = ReceiptVerdict::Refused { level: None, reasons };
        Receipt { verdict, signers: Vec::new(), ledger: None, ..accepted(key) }
    }

    fn encrypted(key: &PrivateKey) -> Receipt {
        let reasons = vec![reason("policy-secrets", None)];
        let verdict = ReceiptVerdict::Refused { level: Some(ReceiptLevel::Content), reasons };
        let public =
            PublicClaim { classification: Some("internal".parse().unwrap()), ..PublicClaim::default() };
        Receipt { verdict, about: About::Encrypted(public), ledger: None, ..accepted(key) }
    }

    fn unknown(key: &PrivateKey) -> Receipt {
        Receipt { about: About::Unknown, attestations: Vec::new(), ..refused(key) }
    }

    #[test]
    fn a_receipt_is_what_it_was() {
        let key = key();
        for receipt in [accepted(&key), refused(&key), encrypted(&key), unknown(&key)] {
            let signed = SignedReceipt::sign(&key, &receipt).unwrap();
            assert_eq!(signed.receipt(), &receipt);
            assert_eq!(SignedReceipt::read(&signed.to_bytes()), Ok(signed.clone()));
            assert_eq!(Receipt::parse(&receipt.to_payload()), Ok(receipt.clone()));
            let later = Receipt { time: "2027-11-22T03:00:00Z".parse().unwrap(), ..receipt.clone() };
            assert!(receipt.says_the_same(&later));
            assert!(!receipt.says_the_same(&Receipt { size: 1, ..later }));
        }
        let other = crate::testing::key();
        assert!(matches!(SignedReceipt::sign(&other, &accepted(&key)), Err(SignError::OtherKey { .. })));
    }

    #[test]
    fn names_follow_from_what_is_public() {
        let key = key();
        let digest = accepted(&key).sha256.hex();
        assert_eq!(accepted(&key).subject_name(), "minilm-1.0.0.tar.zst");
        assert_eq!(encrypted(&key).subject_name(), format!("{digest}.tar.zst.age"));
        assert_eq!(unknown(&key).subject_name(), digest);
        let mut plus = accepted(&key);
        if let About::Bundle(bundle) = &mut plus.about {
            bundle.version = "1.0.0+b1".parse().unwrap();
        }
        assert!(plus.resource_uri().starts_with("pkg:generic/minilm@1.0.0%2Bb1?checksum=sha256:"));
        SignedReceipt::sign(&key, &plus).unwrap();
        // RFC 6920 section 8.1: the name of "Hello World!".
        assert_eq!(
            ni(&Sha256Digest::of(b"Hello World!")),
            "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk"
        );
    }

    /// One fault in a receipt under a valid signature: refused as a receipt and in its envelope.
    #[track_caller]
    fn fault(receipt: fn(&PrivateKey) -> Receipt, from: &str, to: &str) -> StatementError {
        let key = key();
        let payload = String::from_utf8(receipt(&key).to_payload()).unwrap();
        assert_eq!(payload.matches(from).count(), 1, "{from} in {payload}");
        let altered = payload.replace(from, to);
        let error = Receipt::parse(altered.as_bytes()).unwrap_err();
        let enclosed = SignedReceipt::verify(enclose(&key, altered.as_bytes()).as_bytes()).unwrap_err();
        assert_eq!(enclosed, EnvelopeError::Statement(error.clone()));
        error
    }

    #[track_caller]
    fn code(receipt: fn(&PrivateKey) -> Receipt, from: &str, to: &str) -> &'static str {
        fault(receipt, from, to).problem().code
    }

    #[test]
    fn types_are_exact() {
        assert_eq!(code(accepted, "Statement/v1\"", "Statement/v0.1\""), "statement-type");
        assert_eq!(code(accepted, "verification_summary/v1", "verification_summary/v0.2"), "predicate-type");
        assert_eq!(code(accepted, "consign.dev/receipt/v1", "consign.dev/receipt/v2"), "statement-malformed");
        assert_eq!(code(accepted, "\"ed25519\"", "\"ed448\""), "statement-malformed");
        // E12: a statement about a bundle is no receipt, and the other way about.
        let key = key();
        let one = SignedReceipt::sign(&key, &accepted(&key)).unwrap();
        let not = |error: EnvelopeError| assert_eq!(error.problem().code, "predicate-type");
        not(SignedReceipt::verify(signed(&key).line()).unwrap_err());
        not(crate::SignedStatement::verify(one.line()).unwrap_err());
        not(crate::SignedRevocation::verify(one.line()).unwrap_err());
        not(crate::SignedEncrypted::verify(one.line()).unwrap_err());
    }

    #[test]
    fn there_is_one_spelling_and_nothing_unknown() {
        assert_eq!(code(accepted, "\"PASSED\"", "\"PASSED\" "), "statement-not-canonical");
        assert_eq!(
            code(refused, "\"claimed_only\":true", "\"claimed_only\":true,\"signers\":[]"),
            "statement-not-canonical"
        );
        // SLSA lets producers add members; here there are none that nobody reads.
        for member in ["\"slsaVersion\":\"1.0\",", "\"dependencyLevels\":{},", "\"https://example.org/x\":1,"]
        {
            let to = format!("{member}\"verificationResult\"");
            assert_eq!(code(accepted, "\"verificationResult\"", &to), "statement-malformed", "{member}");
        }
        assert_eq!(
            code(accepted, "\"size\":1000000", "\"size\":1000000,\"size\":1000000"),
            "statement-malformed"
        );
    }

    #[test]
    fn what_others_read_follows_from_what_consign_reads() {
        for (from, to) in [
            ("\"PASSED\"", "\"FAILED\""),
            ("\"CONSIGN_CONTENT\"", "\"CONSIGN_BYTES\""),
            ("\"CONSIGN_CONTENT\"", "\"SLSA_BUILD_LEVEL_3\""),
            ("pkg:generic/minilm@1.0.0?", "pkg:generic/minilm@1.0.1?"),
            ("\"id\":\"ni:///sha-256;", "\"id\":\"ni:///sha-256;A"),
            ("\"policy\":{\"uri\":\"ni:///sha-256;", "\"policy\":{\"uri\":\"ni:///sha-256;A"),
            ("\"inputAttestations\":[{\"uri\":\"ni:///", "\"inputAttestations\":[{\"uri\":\"ni://x/"),
        ] {
            assert_eq!(code(accepted, from, to), "statement-contradiction", "{to}");
        }
        assert_eq!(
            code(refused, "\"verificationResult\":\"FAILED\"", "\"verificationResult\":\"PASSED\""),
            "statement-contradiction"
        );
        assert_eq!(code(refused, "[\"FAILED\"]", "[\"CONSIGN_CONTENT\"]"), "statement-contradiction");
        for other in ["minilm-1.0.1.tar.zst", "minilm-1.0.0.tar.zst.age", "../x", ""] {
            assert_eq!(code(accepted, "minilm-1.0.0.tar.zst", other), "subject-mismatch", "{other}");
        }
    }

    #[test]
    fn a_verdict_has_what_belongs_to_it() {
        for (receipt, from, to) in [
            (accepted as fn(&PrivateKey) -> Receipt, "\"level\":\"content\",", ""),
            (accepted, "\"ledger\":", "\"reasons\":[{\"code\":\"x\"}],\"ledger\":"),
            (accepted, "\"kind\":\"archive\"", "\"kind\":\"unknown\""),
            (accepted, "\"kind\":\"archive\"", "\"kind\":\"encrypted\""),
            (accepted, "\"size\":1000000", "\"claimed_only\":true,\"size\":1000000"),
            (refused, "\"claimed_only\":true,", ""),
            (refused, "\"kind\":\"archive\"", "\"level\":\"bytes\",\"kind\":\"archive\""),
            (refused, "\"refused\"", "\"accepted\""),
            (encrypted, "\"public\":{\"classification\":\"internal\"}", "\"public\":{}"),
            (
                encrypted,
                "\"code\":\"policy-secrets\"",
                "\"code\":\"policy-secrets\",\"message\":\"in a.txt\"",
            ),
            (encrypted, "\"code\":\"policy-secrets\"", "\"code\":\"Policy\""),
            (
                encrypted,
                "}]}}}",
                &format!("}}],\"ledger\":{}}}}}}}", serde_json::to_string(&ledger()).unwrap()),
            ),
            (unknown, "\"kind\":\"unknown\"", "\"level\":\"content\",\"kind\":\"unknown\""),
            (refused, "\"message\":\"one\"", "\"message\":\"zwei\""),
            (refused, "\"message\":\"one\"", "\"message\":\"two\""),
        ] {
            assert_eq!(code(receipt, from, to), "statement-contradiction", "{to}");
        }
        for (from, to) in [
            ("\"level\":\"content\"", "\"level\":\"some\""),
            ("\"accepted\"", "\"perhaps\""),
            ("\"size\":1000000", "\"size\":-1"),
            ("\"fingerprint\":\"SHA256:", "\"fingerprint\":\"MD5:"),
            ("\"CONSIGN_CONTENT\"", "\"CONSIGN_CONTENT\",\"CONSIGN_BYTES\""),
            ("\"timeVerified\":\"2026-11-22T03:00:00Z\"", "\"timeVerified\":\"2026-11-22\""),
        ] {
            assert_eq!(code(accepted, from, to), "statement-malformed", "{to}");
        }
        let mut nobody = accepted(&key());
        nobody.signers.clear();
        let contradiction =
            |receipt: &Receipt| Receipt::parse(&receipt.to_payload()).unwrap_err().problem().code;
        assert_eq!(contradiction(&nobody), "statement-contradiction");
        let mut unsigned = accepted(&key());
        unsigned.attestations.clear();
        assert_eq!(contradiction(&unsigned), "statement-contradiction");
        let outside = Receipt { ledger: Some(ledger()), ..encrypted(&key()) };
        assert_eq!(contradiction(&outside), "statement-contradiction");
        let mut twice = accepted(&key());
        twice.attestations.push(twice.attestations[0]);
        assert_eq!(contradiction(&twice), "statement-contradiction");
        let mut many = refused(&key());
        let reasons = (0..=RECEIPT_REASONS_MAX).map(|n| reason("x", Some(&format!("{n:03}")))).collect();
        many.verdict = ReceiptVerdict::Refused { level: None, reasons };
        assert_eq!(contradiction(&many), "statement-contradiction");
    }

    #[test]
    fn nothing_of_what_is_encrypted_stands_in_a_receipt() {
        let key = key();
        let claim = statement(&key).claim;
        let payload = String::from_utf8(encrypted(&key).to_payload()).unwrap();
        assert!(!payload.contains("minilm") && !payload.contains(&claim.bundle.id.0.hex()), "{payload}");
    }

    #[test]
    fn the_largest_receipt_fits() {
        let key = key();
        let mut receipt = refused(&key);
        let long = "x".repeat(consign_metadata::LINE_MAX - 3);
        let reasons = (0..RECEIPT_REASONS_MAX).map(|n| reason("x", Some(&format!("{n:03}{long}")))).collect();
        receipt.verdict = ReceiptVerdict::Refused { level: None, reasons };
        receipt.attestations = (0..ATTESTATIONS_MAX).map(|n| Sha256Digest::of(&n.to_be_bytes())).collect();
        receipt.attestations.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        receipt.signers = (0..ATTESTATIONS_MAX)
            .map(|n| ReceiptSigner {
                fingerprint: Fingerprint::of_wire(&n.to_be_bytes()),
                role: "x".repeat(64).parse().unwrap(),
            })
            .collect();
        receipt.signers.sort();
        SignedReceipt::sign(&key, &receipt).unwrap();
    }

    #[test]
    fn every_single_altered_byte_is_refused() {
        let key = key();
        let line = SignedReceipt::sign(&key, &accepted(&key)).unwrap().line().to_vec();
        for at in (0..line.len()).step_by(7) {
            let mut altered = line.clone();
            altered[at] ^= 1;
            assert!(SignedReceipt::verify(&altered).is_err(), "byte {at}");
        }
        // Signed by another than it names.
        let payload = accepted(&key).to_payload();
        let other = enclose(&crate::testing::key(), &payload);
        assert_eq!(SignedReceipt::verify(other.as_bytes()).unwrap_err().problem().code, "keyid-mismatch");
    }

    #[test]
    fn a_file_is_one_line() {
        let key = key();
        let one = SignedReceipt::sign(&key, &accepted(&key)).unwrap().to_bytes();
        let two = SignedReceipt::sign(&key, &refused(&key)).unwrap().to_bytes();
        let code = |file: &[u8]| SignedReceipt::read(file).unwrap_err().problem().code;
        assert_eq!(code(b""), "attestations-empty");
        assert_eq!(code(&one[..one.len() - 1]), "attestations-cut");
        assert_eq!(code(&[&one[..], b"\n"].concat()), "attestations-empty-line");
        assert_eq!(code(&[one.clone(), two].concat()), "attestations-several");
        let crlf = [&one[..one.len() - 1], b"\r\n"].concat();
        assert_eq!(code(&crlf), "envelope-mangled");
    }

    #[test]
    fn a_receipt_counts_in_the_role_that_is_asked_for() {
        let (lab, stranger) = (key(), key());
        let moment = Moment::now("2026-11-23T00:00:00Z".parse().unwrap());
        let role: Role = RECIPIENT.parse().unwrap();
        let entry = |roles: &[&str]| {
            let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
            TrustedKey::new("lab".parse().unwrap(), *lab.public_key(), roles)
        };
        let ask = |key: &PrivateKey, receipt: &Receipt, entry: TrustedKey| {
            let signed = SignedReceipt::sign(key, receipt).unwrap();
            let policy = TrustPolicy::default().with_key(entry).unwrap();
            let trust = Trust::Policy { policy: &policy, threshold: None };
            evaluate_receipt(&signed, &role, &trust, &moment).map_err(|reason| reason.code())
        };
        let receipt = accepted(&lab);
        let trusted = ask(&lab, &receipt, entry(&["recipient", "owner"])).unwrap();
        assert_eq!((trusted.receipt(), trusted.name().unwrap().as_str()), (&receipt, "lab"));
        assert_eq!(ask(&stranger, &accepted(&stranger), entry(&["recipient"])), Err("unknown-key"));
        assert_eq!(ask(&lab, &receipt, entry(&["owner"])), Err("role-not-held"));
        // Whoever owns bundles does not give receipts for them by that.
        let as_owner = Receipt { role: "owner".parse().unwrap(), ..receipt.clone() };
        assert_eq!(ask(&lab, &as_owner, entry(&["recipient", "owner"])), Err("other-role"));
        for reason in [RevocationReason::Compromised, RevocationReason::Superseded] {
            let mut revoked = entry(&["recipient"]);
            revoked.revoked = Some(KeyRevocation { at: moment.at(), reason, note: None });
            assert_eq!(ask(&lab, &receipt, revoked), Err("key-revoked"));
        }
        let mut old = entry(&["recipient"]);
        old.not_after = Some("2026-11-22T23:59:59Z".parse().unwrap());
        assert_eq!(ask(&lab, &receipt, old), Err("key-expired"));
        let signed = SignedReceipt::sign(&lab, &receipt).unwrap();
        let keys = |keys| Trust::Keys { keys, threshold: None, known: None };
        let named = keys(vec![*stranger.public_key(), *lab.public_key()]);
        assert!(evaluate_receipt(&signed, &role, &named, &moment).is_ok());
        assert_eq!(evaluate_receipt(&signed, &role, &keys(Vec::new()), &moment), Err(Reason::UnknownKey));
    }
}
