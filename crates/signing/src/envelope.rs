//! The envelope around a statement: DSSE 1.0.2, one signature, one line, one spelling.

use std::fmt;

use consign_metadata::{Problem, printable};
use serde::{Deserialize, Serialize};

use crate::mangled::{Mangled, mangled};
use crate::public_key::{BadSignature, PublicKey, Signature};
use crate::signer::{Signer, SignerError};
use crate::statement::{Statement, StatementError};
use crate::wire::{self, WireError};

/// `payloadType` of every envelope. The signature covers it (DSSE's PAE), so it cannot be exchanged.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Longest envelope, in bytes without the line feed.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// A statement together with the proof that the holder of the key it names has signed it.
///
/// **This says nothing about trust.** The key comes out of the statement itself: anybody can make a key and sign
/// with it. What follows from a value of this type is only that *the holder of [`key`](Self::key) signed exactly
/// [`statement`](Self::statement)*. Whether that key counts is asked by [`evaluate`](crate::evaluate), and only
/// its [`TrustedClaim`](crate::TrustedClaim) may be acted upon.
///
/// There are two ways to a value: [`verify`](Self::verify) and [`sign`](Self::sign), and the second ends in the
/// first.
///
/// The spelling is narrower than DSSE asks of readers, which shall take unpadded and URL-safe base64, unknown
/// members and several signatures: one bundle has one spelling, and other tools read ours.
///
/// ```
/// # use consign_signing::{PrivateKey, SignedStatement, Signer, Statement};
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// let key = PrivateKey::generate()?;
/// let mut statement = Statement::parse(example)?;
/// statement.signer.public_key = *key.public_key();
/// let signed = SignedStatement::sign(&key, &statement)?;
/// let read = SignedStatement::verify(signed.line())?;
/// assert_eq!(read.key(), key.public_key());
///
/// let mut altered = signed.line().to_vec();
/// altered[40] ^= 1;
/// assert!(SignedStatement::verify(&altered).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SignedStatement {
    statement: Statement,
    line: Box<[u8]>,
}

/// Why a line is not a signed statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Longer than [`ENVELOPE_BYTES_MAX`].
    #[error("the line is {0} bytes long (at most {ENVELOPE_BYTES_MAX})")]
    TooLong(usize),
    /// Rewritten on its way.
    #[error(transparent)]
    Mangled(#[from] Mangled),
    /// Not JSON, or not of the envelope's shape.
    #[error("the envelope is malformed: {0}")]
    Malformed(String),
    /// The right shape in another spelling: spacing, order, escapes, a repeated key.
    #[error("the envelope is not in canonical form, from byte {at} on")]
    NotCanonical {
        /// The first byte that differs from the one spelling, counted from 0.
        at: usize,
    },
    /// `payloadType` is another one.
    #[error("the payload is of type `{0}`, not `{PAYLOAD_TYPE}`")]
    PayloadType(String),
    /// Not exactly one signature.
    #[error("the envelope holds {0} signatures; here each signature has an envelope of its own")]
    SignatureCount(usize),
    /// A member is not padded standard base64 in its one spelling.
    #[error("`{0}` is not canonical base64")]
    Base64(&'static str),
    /// The signature has another length than 64 bytes.
    #[error("the signature is {0} bytes long, not 64")]
    SignatureLength(usize),
    /// The payload is not a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// `keyid` is not the in-toto id of the key that the statement names.
    #[error("the key id `{0}` is not that of the key in the statement")]
    KeyId(String),
    /// The signature does not fit the payload and the key in the statement.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
}

impl EnvelopeError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Statement(error) => return error.problem(),
            Self::Mangled(mangled) => {
                return Problem::new("envelope-mangled", self.to_string()).hint(mangled.hint());
            }
            Self::TooLong(_) => "envelope-too-long",
            Self::Malformed(_) => "envelope-malformed",
            Self::NotCanonical { .. } => "envelope-not-canonical",
            Self::PayloadType(_) => "payload-type",
            Self::SignatureCount(_) => "signature-count",
            Self::Base64(_) => "envelope-base64",
            Self::SignatureLength(_) => "signature-length",
            Self::KeyId(_) => "keyid-mismatch",
            Self::BadSignature(_) => "bad-signature",
        };
        Problem::new(code, self.to_string())
    }
}

impl From<WireError> for EnvelopeError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Malformed(message) => Self::Malformed(message),
            WireError::NotCanonical(at) => Self::NotCanonical { at },
        }
    }
}

/// Why a statement was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The statement names another key than the signer's.
    #[error("the statement names the key {stated}, but the signer holds {held}")]
    OtherKey {
        /// Fingerprint of the key in the statement.
        stated: crate::Fingerprint,
        /// Fingerprint of the signer's key.
        held: crate::Fingerprint,
    },
    /// The signer failed or refused.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// What came out would not be accepted: the statement breaks a rule, or the signer signed something else.
    #[error("the signed statement would not be accepted: {0}")]
    NotAcceptable(#[source] EnvelopeError),
}

impl SignedStatement {
    /// Reads one line, without its line feed, and checks its signature under the key that its statement carries.
    ///
    /// The checks run in this order: envelope, payload as a statement, key id, signature. The signature is
    /// checked over the payload's bytes as received.
    ///
    /// # Errors
    /// Anything but one valid signature over one canonical statement.
    pub fn verify(line: &[u8]) -> Result<Self, EnvelopeError> {
        if line.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLong(line.len()));
        }
        if let Some(mangled) = mangled(line) {
            return Err(mangled.into());
        }
        let Envelope { payload, payload_type, signatures } = wire::read(line)?;
        if payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType(printable(&payload_type)));
        }
        let [EnvelopeSignature { keyid, sig }] = signatures.as_slice() else {
            return Err(EnvelopeError::SignatureCount(signatures.len()));
        };
        let payload = wire::from_base64(&payload).ok_or(EnvelopeError::Base64("payload"))?;
        let signature = wire::from_base64(sig).ok_or(EnvelopeError::Base64("sig"))?;
        let signature: [u8; 64] =
            signature.as_slice().try_into().map_err(|_| EnvelopeError::SignatureLength(signature.len()))?;
        let statement = Statement::parse(&payload)?;
        let key = &statement.signer.public_key;
        if *keyid != key.keyid() {
            return Err(EnvelopeError::KeyId(printable(keyid)));
        }
        key.verify(&pae(&payload), &Signature::from_bytes(signature))?;
        Ok(Self { statement, line: line.into() })
    }

    /// Signs a statement and checks the result as [`verify`](Self::verify) does, so that a signer that is
    /// broken, or holds another key, produces nothing.
    ///
    /// # Errors
    /// The statement names another key, the signer fails, or the result would not be accepted.
    pub fn sign(signer: &dyn Signer, statement: &Statement) -> Result<Self, SignError> {
        let (stated, held) = (&statement.signer.public_key, signer.public_key());
        if stated != held {
            return Err(SignError::OtherKey { stated: stated.fingerprint(), held: held.fingerprint() });
        }
        let payload = statement.to_payload();
        // A statement that nobody would accept is not put before the signer at all.
        Statement::parse(&payload).map_err(|e| SignError::NotAcceptable(e.into()))?;
        let signature = signer.sign(&pae(&payload))?;
        let line = wire::write(&Envelope {
            payload: wire::to_base64(&payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature {
                keyid: held.keyid(),
                sig: wire::to_base64(signature.as_bytes()),
            }],
        });
        Self::verify(&line).map_err(SignError::NotAcceptable)
    }

    /// What the holder of [`key`](Self::key) says.
    pub fn statement(&self) -> &Statement {
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
}

impl fmt::Debug for SignedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedStatement").field("statement", &self.statement).finish_non_exhaustive()
    }
}

/// The bytes that are signed: DSSE's pre-authentication encoding of the payload and its type.
fn pae(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: String,
    sig: String,
}
