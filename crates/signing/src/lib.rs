//! Keys, DSSE envelopes, statements and trust. Knows no archive.

mod armor;
mod envelope;
mod fingerprint;
mod key_kind;
mod mangled;
mod passphrase;
mod private_key;
mod public_key;
mod signer;
mod statement;
mod time;
mod wire;

pub use envelope::{ENVELOPE_BYTES_MAX, EnvelopeError, PAYLOAD_TYPE, SignError, SignedStatement};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use mangled::Mangled;
pub use passphrase::{Passphrase, PassphraseAnswer, PassphraseError, PassphraseRequest};
pub use private_key::{
    BCRYPT_ROUNDS_MAX, PBKDF2_ROUNDS_MAX, PrivateKey, PrivateKeyError, SCRYPT_MEMORY_MAX, SCRYPT_WORK_MAX,
};
pub use public_key::{BadSignature, PublicKey, PublicKeyError, Signature};
pub use signer::{Signer, SignerError};
pub use statement::{
    ArchiveClaim, Basis, BundleClaim, Ci, Claim, Content, Environment, ExcludedCount, PREDICATE_TYPE,
    STATEMENT_TYPE, SignerClaim, Statement, StatementError, Tail,
};
pub use time::{Timestamp, TimestampError};
