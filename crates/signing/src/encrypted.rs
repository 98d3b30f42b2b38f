//! What a signer says about an encrypted bundle: an in-toto Statement v1 with a predicate type of its own.
//!
//! It lets whoever cannot read the bundle tell where it comes from and whether it is whole. The ordinary statement
//! travels inside of it, sealed to the same recipients. Outside stands nothing that depends on what is encrypted
//! but what the sender's policy calls public: the archive follows from its files, so that any digest of it would
//! let a stranger test guesses.
//!
//! Nothing here encrypts: what is sealed comes and goes as bytes.

use std::fmt;

use consign_metadata::{BundleName, BundleVersion, Classification, Line, Problem, Sha256Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attestations::{ATTESTATIONS_MAX, AttestationError, TooManyAttestations, read_lines, to_file};
use crate::envelope::{EnvelopeError, Opened, SignError, SignedStatement, sign_stated};
use crate::in_toto::{ALGORITHM, Exactly, STATEMENT_TYPE, check_algorithm, check_type};
use crate::public_key::PublicKey;
use crate::signer::Signer;
use crate::statement::{Basis, Claim, Content, SignerClaim, SignerDocument, StatementError};
use crate::wire;

/// `predicateType` of a statement about an encrypted bundle.
pub const ENCRYPTED_PREDICATE_TYPE: &str = "https://consign.dev/attestations/encrypted/v1";
/// Longest envelope around such a statement, in bytes without the line feed: the sealed part holds an ordinary
/// envelope and the recipients, and is put into base64 twice.
pub const ENCRYPTED_ENVELOPE_BYTES_MAX: usize = 192 * 1024;
/// Largest sealed part, encrypted, in bytes.
pub const SEALED_BYTES_MAX: usize = 96 * 1024;
/// Most recipients that a sealed part names.
pub const SEALED_RECIPIENTS_MAX: usize = 64;

/// A statement about an encrypted bundle, as its signer makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedStatement {
    /// What all signers of the same thing agree on.
    pub claim: EncryptedClaim,
    /// Who signs, as what, and when: the same as in the sealed statement, but for the time.
    pub signer: SignerClaim,
    /// [`Sealed`], encrypted to the recipients of the bundle.
    pub sealed: Vec<u8>,
}

/// What is said about the encrypted file. Signatures count together only if their claims are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedClaim {
    /// SHA-256 of the encrypted file. It is the subject's digest.
    pub sha256: Sha256Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What may be known of the bundle by everybody.
    pub public: PublicClaim,
}

/// What of a bundle may be known by everybody. By default that is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicFacts {
    /// Name and version; the files are then called by them.
    pub name_and_version: bool,
    /// The classification.
    pub classification: bool,
    /// Whom it is meant for.
    pub addressees: bool,
}

/// What everybody may know of an encrypted bundle: a claim, like all the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicClaim {
    /// Name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<PublicName>,
    /// The classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Whom it is meant for; sorted, none twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addressees: Vec<Line>,
}

/// Name and version, where they are public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicName {
    /// Name of the bundle.
    pub name: BundleName,
    /// Version of the bundle.
    pub version: BundleVersion,
}

impl PublicFacts {
    /// What these facts are of a claim.
    pub fn of(self, claim: &Claim) -> PublicClaim {
        let bundle = &claim.bundle;
        let name = || PublicName { name: bundle.name.clone(), version: bundle.version.clone() };
        PublicClaim {
            bundle: self.name_and_version.then(name),
            classification: self.classification.then(|| bundle.classification.clone()),
            addressees: if self.addressees { claim.addressees.clone() } else { Vec::new() },
        }
    }
}

impl PublicClaim {
    /// Whether nothing is public.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all of it is so by the sealed statement.
    fn agrees_with(&self, claim: &Claim) -> bool {
        let facts = PublicFacts {
            name_and_version: self.bundle.is_some(),
            classification: self.classification.is_some(),
            addressees: !self.addressees.is_empty(),
        };
        *self == facts.of(claim)
    }
}

impl EncryptedClaim {
    /// What the names of the files begin with: `NAME-VERSION` where that is public, else the 64 digits of the
    /// encrypted file's SHA-256.
    pub fn stem(&self) -> String {
        match &self.public.bundle {
            Some(PublicName { name, version }) => format!("{name}-{version}"),
            None => self.sha256.hex(),
        }
    }

    /// The subject's name: `STEM.tar.zst.age`.
    pub fn subject_name(&self) -> String {
        format!("{}.tar.zst.age", self.stem())
    }
}

impl EncryptedStatement {
    /// Reads a statement in its one spelling.
    ///
    /// # Errors
    /// Other types, unknown fields, other spellings, a subject that does not follow from the rest.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        check_type(payload, ENCRYPTED_PREDICATE_TYPE)?;
        let Document { subject: Exactly([subject]), predicate, .. } = wire::read(payload)?;
        let Predicate { signer, size, public, sealed } = predicate;
        check_algorithm(&signer.algorithm)?;
        let malformed = |text: String| StatementError::Malformed(text);
        let sha256 = subject.digest.read()?;
        let sealed = wire::from_base64(&sealed)
            .filter(|sealed| sealed.len() <= SEALED_BYTES_MAX)
            .ok_or_else(|| malformed("`sealed` is not canonical base64, or too long".into()))?;
        let contradiction = match &public {
            _ if signer.basis == Basis::Sealed => Some("`sealed` is said of an archive"),
            Some(public) if public.is_empty() => Some("it says that nothing is public by a list of nothing"),
            Some(public) if !public.addressees.is_sorted_by(|a, b| a < b) => {
                Some("the addressees are not in order, or one is named twice")
            }
            _ => None,
        };
        if let Some(contradiction) = contradiction {
            return Err(StatementError::Contradiction(contradiction));
        }
        let claim = EncryptedClaim { sha256, size, public: public.unwrap_or_default() };
        let expected = claim.subject_name();
        if subject.name != expected {
            return Err(StatementError::SubjectMismatch {
                expected,
                found: consign_metadata::printable(&subject.name),
            });
        }
        let SignerDocument { public_key, role, basis, time, .. } = signer;
        Ok(Self { claim, signer: SignerClaim { public_key, role, basis, time }, sealed })
    }

    /// The statement in its one spelling: the bytes that are signed.
    pub fn to_payload(&self) -> Vec<u8> {
        let Self { claim, signer, sealed } = self;
        wire::write(&Document {
            kind: STATEMENT_TYPE.to_owned(),
            subject: Exactly::one(claim.subject_name(), &claim.sha256),
            predicate_type: ENCRYPTED_PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                signer: SignerDocument {
                    algorithm: ALGORITHM.to_owned(),
                    public_key: signer.public_key,
                    role: signer.role.clone(),
                    basis: signer.basis,
                    time: signer.time,
                },
                size: claim.size,
                public: Some(claim.public.clone()).filter(|public| !public.is_empty()),
                sealed: wire::to_base64(sealed),
            },
        })
    }

    /// The JSON Schema of such statements.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(Document)
    }
}

/// A statement about an encrypted bundle together with the proof that the holder of the key it names has signed it.
///
/// What [`SignedStatement`] says of trust holds here too: there is none in it.
///
/// ```
/// use consign_signing::*;
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// # let key = PrivateKey::generate()?;
/// # let mut statement = Statement::parse(example)?;
/// # statement.signer.public_key = *key.public_key();
/// let inner = SignedStatement::sign(&key, &statement)?;
/// let sealed = Sealed::new(inner.clone(), vec!["age1…".parse()?])?;
/// let encrypted = sealed.to_bytes(); // Here they would be encrypted.
///
/// let outer = SignedEncrypted::sign(&key, &EncryptedStatement {
///     claim: EncryptedClaim {
///         sha256: consign_metadata::Sha256Digest::of(b"the .age file"),
///         size: 13,
///         public: PublicFacts::default().of(&statement.claim),
///     },
///     signer: statement.signer.clone(),
///     sealed: encrypted.clone(),
/// })?;
/// assert!(!String::from_utf8_lossy(&outer.statement().to_payload()).contains("minilm"));
///
/// let read = SignedEncrypted::verify(outer.line())?;
/// assert_eq!(read.unseal(&encrypted)?.statement(), &inner);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SignedEncrypted {
    statement: EncryptedStatement,
    line: Box<[u8]>,
}

impl SignedEncrypted {
    /// Reads one line, without its line feed, and checks the signature over the payload as received, under the key
    /// that the statement carries.
    ///
    /// # Errors
    /// Anything but one valid signature over one canonical statement.
    pub fn verify(line: &[u8]) -> Result<Self, EnvelopeError> {
        let opened = Opened::read(line, ENCRYPTED_ENVELOPE_BYTES_MAX)?;
        let statement = EncryptedStatement::parse(&opened.payload)?;
        opened.check(&statement.signer.public_key)?;
        Ok(Self { statement, line: line.into() })
    }

    /// Signs a statement and checks the result as [`verify`](Self::verify) does.
    ///
    /// # Errors
    /// The statement names another key, the signer fails, or the result would not be accepted.
    pub fn sign(signer: &dyn Signer, statement: &EncryptedStatement) -> Result<Self, SignError> {
        let (key, payload) = (&statement.signer.public_key, statement.to_payload());
        sign_stated(signer, key, &payload, EncryptedStatement::parse, Self::verify)
    }

    /// What the holder of [`key`](Self::key) says.
    pub fn statement(&self) -> &EncryptedStatement {
        &self.statement
    }

    /// The key under which the signature was checked. It comes out of the statement and is not trusted for it.
    pub fn key(&self) -> &PublicKey {
        &self.statement.signer.public_key
    }

    /// The exact bytes of the line, without a line feed.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Reads the sealed part, decrypted, and holds it against what stands outside: whoever signed the one must have
    /// signed the other, in the same role, having seen the same.
    ///
    /// Were it not so, a recipient could take what was meant for them alone, and send it to others as if from its
    /// maker.
    ///
    /// # Errors
    /// It is not a sealed part; its envelope does not verify; it does not agree with what stands outside.
    pub fn unseal(&self, plaintext: &[u8]) -> Result<Sealed, UnsealError> {
        let sealed = Sealed::parse(plaintext)?;
        let (outer, inner) = (&self.statement, sealed.statement.statement());
        let disagreement = if inner.signer.public_key != outer.signer.public_key {
            "another key"
        } else if inner.signer.role != outer.signer.role {
            "another role"
        } else if inner.signer.basis != outer.signer.basis {
            "something else about what its signer had seen"
        } else if !outer.claim.public.agrees_with(&inner.claim) {
            "something else about what is public"
        } else {
            return Ok(sealed);
        };
        Err(UnsealError::Disagrees(disagreement))
    }
}

impl fmt::Debug for SignedEncrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedEncrypted").field("statement", &self.statement).finish_non_exhaustive()
    }
}

/// What is sealed: the ordinary envelope of a bundle, and the recipients that it is encrypted to, so that any of
/// them can seal a signature of their own to the same. One line each, the envelope first, the recipients in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    statement: SignedStatement,
    recipients: Vec<Line>,
}

/// Why a statement cannot be sealed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is about a directory that lies where it lies.
    #[error("the statement is about a sealed directory; only archives are encrypted")]
    NoArchive,
    /// None, or more than [`SEALED_RECIPIENTS_MAX`].
    #[error("there are {0} recipients, where there must be 1 to {SEALED_RECIPIENTS_MAX}")]
    Recipients(usize),
}

/// Why a sealed part is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// It has another shape.
    #[error("the sealed part is malformed: {0}")]
    Malformed(&'static str),
    /// The sealed statement is not a signed statement.
    #[error("the sealed statement is not in order: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The sealed statement has another signer, or says something else, than what stands outside.
    #[error("the sealed statement says {0} than the one around it")]
    Disagrees(&'static str),
}

impl UnsealError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Malformed(_) => "sealed-malformed",
            Self::Envelope(_) => "sealed-envelope",
            Self::Disagrees(_) => "sealed-disagrees",
        };
        Problem::new(code, self.to_string()).hint("do not use it; ask the sender for the bundle again")
    }
}

impl Sealed {
    /// A statement about an archive, with its recipients in any order; one that is named twice is one.
    ///
    /// # Errors
    /// A statement without an archive; no recipient, or too many.
    pub fn new(statement: SignedStatement, mut recipients: Vec<Line>) -> Result<Self, SealError> {
        recipients.sort();
        recipients.dedup();
        if !matches!(statement.statement().claim.content, Content::Archive(_)) {
            return Err(SealError::NoArchive);
        }
        if recipients.is_empty() || recipients.len() > SEALED_RECIPIENTS_MAX {
            return Err(SealError::Recipients(recipients.len()));
        }
        Ok(Self { statement, recipients })
    }

    /// The bytes to be encrypted.
    pub fn to_bytes(&self) -> Vec<u8> {
        let recipients = self.recipients.iter().map(|recipient| recipient.as_str().as_bytes());
        to_file(std::iter::once(self.statement.line()).chain(recipients))
    }

    /// Reads the decrypted bytes in their one spelling. Use [`SignedEncrypted::unseal`].
    fn parse(bytes: &[u8]) -> Result<Self, UnsealError> {
        let malformed = UnsealError::Malformed;
        let text = bytes.strip_suffix(b"\n").ok_or(malformed("it does not end with a line feed"))?;
        let mut lines = text.split(|byte| *byte == b'\n');
        let statement = SignedStatement::verify(lines.next().unwrap_or_default())?;
        let mut recipients = Vec::new();
        for line in lines {
            let text = std::str::from_utf8(line).ok().and_then(|line| line.parse::<Line>().ok());
            recipients.push(text.ok_or(malformed("a recipient is not a line of text"))?);
            if recipients.len() > SEALED_RECIPIENTS_MAX {
                break;
            }
        }
        let given = recipients.clone();
        let sealed = Self::new(statement, recipients).map_err(|error| match error {
            SealError::NoArchive => malformed("it is about a directory without an archive"),
            SealError::Recipients(_) => malformed("it names no recipient, or too many"),
        })?;
        if sealed.recipients != given {
            return Err(malformed("the recipients are not in order, or one is named twice"));
        }
        Ok(sealed)
    }

    /// The ordinary statement.
    pub fn statement(&self) -> &SignedStatement {
        &self.statement
    }

    /// Whom it is encrypted to, by the word of its signer.
    pub fn recipients(&self) -> &[Line] {
        &self.recipients
    }
}

/// The signed statements of one `.age.intoto.jsonl` file, in its order, all about encrypted bundles. Each has been
/// verified under the key that it carries, which says nothing about trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedAttestations {
    /// Never empty, no line twice, at most [`ATTESTATIONS_MAX`].
    statements: Vec<SignedEncrypted>,
}

impl EncryptedAttestations {
    /// Largest file, in bytes. Readers of files stop there.
    pub const BYTES_MAX: usize = ATTESTATIONS_MAX * (ENCRYPTED_ENVELOPE_BYTES_MAX + 1);

    /// A file of one statement.
    pub fn new(statement: SignedEncrypted) -> Self {
        Self { statements: vec![statement] }
    }

    /// Reads a file, as [`Attestations::parse`](crate::Attestations::parse) does.
    ///
    /// # Errors
    /// All that is wrong, at most one error a line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<AttestationError>> {
        let statements = read_lines(bytes, SignedEncrypted::verify, SignedEncrypted::line)?;
        Ok(Self { statements })
    }

    /// The file: each line as it was read or made, with its line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_file(self.statements.iter().map(SignedEncrypted::line))
    }

    /// All statements, in the order of the file.
    pub fn statements(&self) -> &[SignedEncrypted] {
        &self.statements
    }

    /// The claims of all statements, each once, in the order in which they first appear.
    pub fn claims(&self) -> Vec<&EncryptedClaim> {
        let mut claims: Vec<&EncryptedClaim> = Vec::new();
        for signed in &self.statements {
            let claim = &signed.statement().claim;
            if !claims.contains(&claim) {
                claims.push(claim);
            }
        }
        claims
    }

    /// Appends a statement. One whose very line is there already changes nothing.
    ///
    /// # Errors
    /// The file is full.
    pub fn push(&mut self, statement: SignedEncrypted) -> Result<(), TooManyAttestations> {
        if self.statements.contains(&statement) {
            return Ok(());
        }
        if self.statements.len() == ATTESTATIONS_MAX {
            return Err(TooManyAttestations);
        }
        self.statements.push(statement);
        Ok(())
    }
}

/// The document, member for member in the order of its one spelling.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Statement about an encrypted bundle", rename = "EncryptedStatement")]
struct Document {
    /// Always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    #[schemars(extend("const" = STATEMENT_TYPE))]
    kind: String,
    /// The encrypted file, `STEM.tar.zst.age`.
    subject: Exactly,
    /// Always `https://consign.dev/attestations/encrypted/v1`.
    #[serde(rename = "predicateType")]
    #[schemars(extend("const" = ENCRYPTED_PREDICATE_TYPE))]
    predicate_type: String,
    /// What is said about it.
    predicate: Predicate,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Predicate {
    /// Who signs, as what, and when.
    signer: SignerDocument,
    /// Length of the encrypted file in bytes.
    #[serde(deserialize_with = "wire::integer")]
    size: u64,
    /// What everybody may know; absent if that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public: Option<PublicClaim>,
    /// Base64 of an age file to the same recipients: the envelope of the ordinary statement, and the recipients.
    sealed: String,
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::private_key::PrivateKey;
    use crate::statement::Statement;
    use crate::testing;
    use crate::trust::{Trust, evaluate};
    use crate::validity::Moment;

    const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn inner(key: &PrivateKey) -> SignedStatement {
        testing::signed(key)
    }

    fn sealed(key: &PrivateKey) -> Vec<u8> {
        Sealed::new(inner(key), vec![RECIPIENT.parse().unwrap()]).unwrap().to_bytes()
    }

    /// With what is sealed in the clear: these tests do not encrypt.
    fn outer(key: &PrivateKey, public: PublicFacts) -> EncryptedStatement {
        let statement = testing::statement(key);
        EncryptedStatement {
            claim: EncryptedClaim {
                sha256: Sha256Digest::of(b"ciphertext"),
                size: 10,
                public: public.of(&statement.claim),
            },
            signer: statement.signer,
            sealed: sealed(key),
        }
    }

    const ALL: PublicFacts = PublicFacts { name_and_version: true, classification: true, addressees: true };

    #[test]
    fn one_spelling_and_nothing_of_the_bundle() {
        let key = testing::key();
        let statement = outer(&key, PublicFacts::default());
        let payload = statement.to_payload();
        assert_eq!(EncryptedStatement::parse(&payload), Ok(statement.clone()));
        let text = String::from_utf8(payload).unwrap();
        let claim = testing::statement(&key).claim;
        for word in
            [claim.bundle.name.as_str(), claim.bundle.version.as_str(), claim.bundle.classification.as_str()]
        {
            assert!(!text.contains(&format!("\"{word}")), "{word}");
        }
        assert!(text.contains(&format!("\"name\":\"{}.tar.zst.age\"", statement.claim.sha256.hex())));
        let public = outer(&key, ALL);
        let payload = public.to_payload();
        assert_eq!(EncryptedStatement::parse(&payload), Ok(public.clone()));
        assert_eq!(public.claim.subject_name(), "minilm-1.0.0.tar.zst.age");
    }

    #[test]
    fn other_spellings_and_contradictions_are_refused() {
        let key = testing::key();
        let text = String::from_utf8(outer(&key, ALL).to_payload()).unwrap();
        let error = |from: &str, to: &str| {
            assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
            EncryptedStatement::parse(text.replace(from, to).as_bytes()).unwrap_err()
        };
        assert!(matches!(error("\"size\":10", "\"size\": 10"), StatementError::NotCanonical { .. }));
        assert!(matches!(error("\"size\":10", "\"size\":10,\"x\":1"), StatementError::Malformed(_)));
        assert!(matches!(error("\"size\":10", "\"size\":9007199254740992"), StatementError::Malformed(_)));
        assert!(matches!(error("\"sealed\":\"", "\"sealed\":\"=\","), StatementError::Malformed(_)));
        assert!(matches!(error("encrypted/v1", "bundle/v1"), StatementError::UnknownPredicateType(_)));
        assert!(matches!(
            error("minilm-1.0.0.tar", "minilm-1.0.1.tar"),
            StatementError::SubjectMismatch { .. }
        ));
        assert!(matches!(
            error("\"basis\":\"packed\"", "\"basis\":\"sealed\""),
            StatementError::Contradiction(_)
        ));
        assert!(matches!(
            error("\"algorithm\":\"ed25519\"", "\"algorithm\":\"rsa\""),
            StatementError::Malformed(_)
        ));
        let none = String::from_utf8(outer(&key, PublicFacts::default()).to_payload()).unwrap();
        let empty = none.replace("\"sealed\":", "\"public\":{},\"sealed\":");
        assert!(matches!(EncryptedStatement::parse(empty.as_bytes()), Err(StatementError::Contradiction(_))));
        // Neither kind passes for the other.
        assert!(matches!(Statement::parse(text.as_bytes()), Err(StatementError::UnknownPredicateType(_))));
        let plain = testing::payload(&inner(&key));
        assert!(matches!(
            EncryptedStatement::parse(plain.as_bytes()),
            Err(StatementError::UnknownPredicateType(_))
        ));
    }

    #[test]
    fn every_single_altered_byte_is_refused() {
        let key = testing::key();
        let line = SignedEncrypted::sign(&key, &outer(&key, ALL)).unwrap().line().to_vec();
        for at in (0..line.len()).step_by(7) {
            let mut altered = line.clone();
            altered[at] ^= 1;
            assert!(SignedEncrypted::verify(&altered).is_err(), "byte {at}");
        }
        assert!(SignedEncrypted::verify(inner(&key).line()).is_err());
        let file = EncryptedAttestations::new(SignedEncrypted::verify(&line).unwrap());
        assert_eq!(EncryptedAttestations::parse(&file.to_bytes()), Ok(file));
    }

    #[test]
    fn what_is_sealed_must_be_what_stands_outside() {
        let (a, b) = (testing::key(), testing::key());
        let signed = SignedEncrypted::sign(&a, &outer(&a, ALL)).unwrap();
        assert_eq!(signed.unseal(&sealed(&a)).unwrap().statement(), &inner(&a));
        // E13: what another sealed.
        assert_eq!(signed.unseal(&sealed(&b)), Err(UnsealError::Disagrees("another key")));
        let seal = |change: &dyn Fn(&mut Statement)| {
            let mut statement = testing::statement(&a);
            change(&mut statement);
            let signed = SignedStatement::sign(&a, &statement).unwrap();
            Sealed::new(signed, vec![RECIPIENT.parse().unwrap()]).unwrap().to_bytes()
        };
        let disagrees = |bytes: Vec<u8>| matches!(signed.unseal(&bytes), Err(UnsealError::Disagrees(_)));
        assert!(!disagrees(seal(&|_| ())));
        assert!(disagrees(seal(&|s| s.signer.role = "release".parse().unwrap())));
        assert!(disagrees(seal(&|s| s.signer.basis = Basis::Verified)));
        assert!(disagrees(seal(&|s| s.claim.bundle.classification = "public".parse().unwrap())));
        assert!(disagrees(seal(&|s| s.claim.bundle.version = "2.0.0".parse().unwrap())));
        // Nobody is named outside, which hides nobody that is named inside.
        assert!(!disagrees(seal(&|s| s.claim.addressees = vec!["CERN".parse().unwrap()])));
    }

    #[test]
    fn sealed_parts_have_one_spelling() {
        let key = testing::key();
        let signed = SignedEncrypted::sign(&key, &outer(&key, PublicFacts::default())).unwrap();
        let envelope = String::from_utf8(inner(&key).line().to_vec()).unwrap();
        let malformed =
            |text: String| matches!(signed.unseal(text.as_bytes()), Err(UnsealError::Malformed(_)));
        assert!(!malformed(format!("{envelope}\nage1a\nage1b\n")));
        for bad in
            ["", "\n", "\nage1a", "\nage1b\nage1a\n", "\nage1a\nage1a\n", "\nage1a\n\n", "\nage1\u{7}\n"]
        {
            assert!(malformed(format!("{envelope}{bad}")), "{bad:?}");
        }
        let many: String = (0..65).map(|n| format!("age1{n:02}\n")).collect();
        assert!(malformed(format!("{envelope}\n{many}")));
        assert!(matches!(signed.unseal(b"{}\nage1a\n"), Err(UnsealError::Envelope(_))));
        assert_eq!(Sealed::new(inner(&key), vec![]), Err(SealError::Recipients(0)));
        let mut statement = testing::statement(&key);
        statement.claim.content = Content::Sealed;
        statement.signer.basis = Basis::Sealed;
        let directory = SignedStatement::sign(&key, &statement).unwrap();
        assert_eq!(Sealed::new(directory, vec![RECIPIENT.parse().unwrap()]), Err(SealError::NoArchive));
    }

    #[test]
    fn the_largest_statement_fits() {
        let key = testing::key();
        let mut statement = outer(&key, ALL);
        statement.sealed = vec![7; SEALED_BYTES_MAX];
        let line = SignedEncrypted::sign(&key, &statement).unwrap();
        assert!(line.line().len() < ENCRYPTED_ENVELOPE_BYTES_MAX);
        statement.sealed.push(7);
        assert!(SignedEncrypted::sign(&key, &statement).is_err());
        // An ordinary envelope of the greatest length, with the most recipients, and age's header on top.
        const {
            assert!(
                SEALED_BYTES_MAX > crate::ENVELOPE_BYTES_MAX + 1 + SEALED_RECIPIENTS_MAX * 63 + 16 * 1024
            );
        };
    }

    #[test]
    fn they_are_counted_like_all_others() {
        let (a, b) = (testing::key(), testing::key());
        let sign = |key: &PrivateKey, public| SignedEncrypted::sign(key, &outer(key, public)).unwrap();
        let nothing = PublicFacts::default();
        let signed = [sign(&a, nothing), sign(&b, nothing), sign(&b, nothing), sign(&b, ALL)];
        let claim = &signed[0].statement().claim;
        let keys = vec![*a.public_key(), *b.public_key()];
        let moment = Moment::now("2026-11-22T03:00:00Z".parse().unwrap());
        let ask = |signed: &[SignedEncrypted], threshold: u32| {
            let threshold = NonZeroU32::new(threshold);
            let trust = Trust::Keys { keys: keys.clone(), threshold, known: None };
            evaluate(signed, claim, &trust, &moment, &[])
                .into_trusted()
                .map(|trusted| trusted.claim().clone())
        };
        assert_eq!(ask(&signed, 0).as_ref(), Some(claim));
        assert_eq!(ask(&signed[1..], 0), None);
        assert_eq!(ask(&signed, 3), None);
    }

    /// Where the name is not public it might be any: what asks for more applies.
    #[test]
    fn rules_for_some_names_apply_to_bundles_of_an_unknown_name() {
        let key = testing::key();
        let trust_file = |bundles: &str| {
            format!(
                "format = 1\n[[key]]\nname = \"ada\"\npublic_key = \"{}\"\nroles = [\"owner\"]\n\
                 [[rule]]\nbundles = \"{bundles}\"\nrequire = [{{ role = \"release\" }}]\n",
                key.public_key().to_openssh(None).trim(),
            )
        };
        let moment = Moment::now("2026-11-22T03:00:00Z".parse().unwrap());
        let trusts = |bundles: &str, public| {
            let policy = crate::TrustPolicy::parse(&trust_file(bundles)).unwrap();
            let signed = [SignedEncrypted::sign(&key, &outer(&key, public)).unwrap()];
            let trust = Trust::Policy { policy: &policy, threshold: None };
            evaluate(&signed, &signed[0].statement().claim, &trust, &moment, &[]).trusted().is_some()
        };
        let nothing = PublicFacts::default();
        for (bundles, when_hidden, when_public) in
            [("*", false, false), ("minilm", false, false), ("other-*", false, true)]
        {
            assert_eq!(
                (trusts(bundles, nothing), trusts(bundles, ALL)),
                (when_hidden, when_public),
                "{bundles}"
            );
        }
    }
}
