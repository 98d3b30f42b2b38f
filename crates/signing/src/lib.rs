//! Keys, statements, DSSE envelopes and trust. Knows no archive.
//!
//! The way of a statement, each step a type that only the step before it yields:
//!
//! | type | what it says | where it comes from |
//! |---|---|---|
//! | [`Statement`] | somebody says this | anybody |
//! | [`SignedStatement`] | the holder of the key it names signed exactly this | [`SignedStatement::verify`], [`SignedStatement::sign`] |
//! | [`TrustedClaim`] | enough keys that *you* listed signed exactly this | [`evaluate`] |
//!
//! A recipient's [`Receipt`] goes the same way: [`SignedReceipt`], then [`TrustedReceipt`] by [`evaluate_receipt`].
//!
//! Whatever acts on a bundle asks for the last.
//!
//! ```
//! use consign_signing::*;
//! # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
//! // The sender: a key, a statement, a signature.
//! let key = PrivateKey::generate()?;
//! let mut statement = Statement::parse(example)?;
//! statement.signer.public_key = *key.public_key();
//! let file = Attestations::new(SignedStatement::sign(&key, &statement)?).to_bytes();
//!
//! // The recipient: a policy that lists the key, whose fingerprint was compared by telephone.
//! let received = key.public_key().to_spki_pem().parse()?;
//! let entry = TrustedKey::new("ada-2026".parse()?, received, vec!["owner".parse()?]);
//! let policy = TrustPolicy::default().with_key(entry)?;
//! let attestations = Attestations::parse(&file).map_err(|errors| errors[0].clone())?;
//! let claim = attestations.claims()[0].claim;
//! let trust = Trust::Policy { policy: &policy, threshold: None };
//! let moment = Moment::now("2026-11-22T03:00:00Z".parse()?);
//! let decision = evaluate(attestations.statements(), claim, &trust, &moment, &[]);
//! let trusted: TrustedClaim = decision.into_trusted().ok_or("nobody you trust vouches for it")?;
//! assert_eq!(trusted.claim().bundle.name.as_str(), "minilm");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing here reads a clock, the environment or a home directory, or prints: times, passphrases and policies
//! are arguments. Files are touched by [`read_private_key_file`], the two functions that write keys,
//! [`read_unwritable`] and [`check_strict_modes`]; [`SshAgent`], [`ExternalSigner`] and [`Pkcs11Signer`] talk to
//! what the caller names.

mod armor;
mod attestations;
mod attested;
mod encrypted;
mod envelope;
#[cfg(unix)]
mod external_signer;
mod fingerprint;
mod in_toto;
mod key_file;
mod key_kind;
mod key_origin;
mod ledger_state;
mod mangled;
mod note;
mod passphrase;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod pkcs11_uri;
mod private_key;
mod provenance;
mod public_key;
mod receipt;
mod revocation;
mod signer;
#[cfg(unix)]
mod ssh_agent;
mod statement;
mod strict_modes;
mod terms;
#[cfg(test)]
mod testing;
mod time;
mod trust;
mod trust_bundle;
mod trust_file;
mod trust_policy;
mod trust_rules;
mod validity;
mod verdict;
mod wire;

pub use attestations::{
    ATTESTATIONS_BYTES_MAX, ATTESTATIONS_MAX, AttestationError, AttestationErrorKind, Attestations,
    ClaimGroup, TooManyAttestations,
};
pub use attested::Attested;
pub use encrypted::{
    ENCRYPTED_ENVELOPE_BYTES_MAX, ENCRYPTED_PREDICATE_TYPE, EncryptedAttestations, EncryptedClaim,
    EncryptedStatement, PublicClaim, PublicFacts, PublicName, SEALED_BYTES_MAX, SEALED_RECIPIENTS_MAX,
    SealError, Sealed, SignedEncrypted, UnsealError,
};
pub use envelope::{
    ENVELOPE_BYTES_MAX, EnvelopeError, PAYLOAD_TYPE, SignError, SignedStatement, signed_payload,
};
#[cfg(unix)]
pub use external_signer::{
    EXTERNAL_SIGNER_PATH, ExternalSigner, ExternalSignerError, SignerName, SignerNameError,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use in_toto::STATEMENT_TYPE;
pub use key_file::{
    KeyFileError, KeyFileErrorKind, read_private_key_file, write_private_key_file, write_public_key_file,
};
pub use key_origin::KeyOrigin;
pub use ledger_state::LedgerState;
pub use mangled::Mangled;
pub use note::{
    NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, Note, NoteError, NoteSignError, NoteText, NoteVerifier,
    VerifiedNote, ledger_origin,
};
pub use passphrase::{PASSPHRASE_EASY, Passphrase, PassphraseAnswer, PassphraseError, PassphraseRequest};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{PinRequest, Pkcs11Error, Pkcs11Signer, pkcs11_public_key};
pub use pkcs11_uri::{Pkcs11Uri, Pkcs11UriError};
pub use private_key::{
    BCRYPT_ROUNDS_MAX, PBKDF2_ROUNDS_MAX, PrivateKey, PrivateKeyError, SCRYPT_MEMORY_MAX, SCRYPT_WORK_MAX,
};
pub use provenance::{
    BuildDefinition, BuildMetadata, Builder, PROVENANCE_BYTES_MAX, PROVENANCE_ENVELOPE_BYTES_MAX,
    PROVENANCE_PREDICATE_TYPE, Provenance, ProvenanceError, ProvenanceFile, ProvenancePredicate,
    ProvenanceStatement, ResourceDescriptor, RunDetails, SignedProvenance,
};
pub use public_key::{BadSignature, PublicKey, PublicKeyError, Signature};
pub use receipt::{
    About, RECEIPT_BYTES_MAX, RECEIPT_EXTENSION, RECEIPT_PREDICATE_TYPE, RECEIPT_REASONS_MAX, RECIPIENT,
    Receipt, ReceiptLevel, ReceiptReason, ReceiptSigner, ReceiptVerdict, SignedReceipt, TrustedReceipt,
    evaluate_receipt,
};
pub use revocation::{
    Authority, NotEntitled, REVOCATION_PREDICATE_TYPE, Revocation, RevocationVerdict, Revocations,
    SignedRevocation,
};
pub use signer::{Signer, SignerError};
#[cfg(unix)]
pub use ssh_agent::{AGENT_KEYS_MAX, AGENT_MESSAGE_MAX, AgentKey, SshAgent, SshAgentError, SshAgentSigner};
pub use statement::{
    ArchiveClaim, Basis, BundleClaim, Ci, Claim, Content, Environment, ExcludedCount, PREDICATE_TYPE,
    SignerClaim, Statement, StatementError, Tail,
};
pub use strict_modes::{StrictModesError, StrictModesErrorKind, check_strict_modes, read_unwritable};
pub use terms::{Downgrade, Override};
pub use time::{Timestamp, TimestampError};
pub use trust::{Decision, Trust, TrustedClaim, evaluate};
pub use trust_bundle::{
    AcceptedTrust, ImportError, ImportFrom, TRUST_BUNDLE_BYTES_MAX, TRUST_ENVELOPE_BYTES_MAX,
    TRUST_PREDICATE_TYPE, TrustBundle, import_trust, trust_statement_schema,
};
pub use trust_file::{TRUST_BYTES_MAX, TRUST_RULES_MAX};
pub use trust_policy::{REVOKER, Root, TrustError, TrustImport, TrustPolicy, TrustedKey};
pub use trust_rules::{
    BUNDLE_PATTERN_MAX, BundlePattern, BundlePatternError, Demand, Measure, Part, Requirement, Rule,
};
pub use validity::{FutureMoment, KeyRevocation, Moment, RevocationReason, TimeEvidence, Validity};
pub use verdict::{Obstacle, Reason, RuleOrigin, RuleVerdict, SignatureVerdict, SignerInfo, Verdict};
