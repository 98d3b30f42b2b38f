//! Whatever can sign: a key in memory, an agent, a token, a program.

use crate::public_key::{PublicKey, Signature};

/// Something that holds an Ed25519 key and signs with it.
///
/// Implementations need not be right: what they return is checked against their public key before anything is
/// made of it ([`SignedStatement::sign`](crate::SignedStatement::sign)).
///
/// ```
/// use consign_signing::{PublicKey, Signature, Signer, SignerError};
/// struct Remote {
///     public: PublicKey,
///     ask: Box<dyn Fn(&[u8]) -> Result<[u8; 64], std::io::Error>>,
/// }
/// impl Signer for Remote {
///     fn public_key(&self) -> &PublicKey {
///         &self.public
///     }
///     fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
///         (self.ask)(message).map(Signature::from_bytes).map_err(SignerError::from_error)
///     }
/// }
/// ```
pub trait Signer {
    /// The public key under which the signatures are valid.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` itself (pure Ed25519, RFC 8032; not a digest of it).
    ///
    /// # Errors
    /// The signer is not available, or refuses.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError>;
}

/// Why a signer did not sign: one sentence, from the signer.
#[derive(Debug, thiserror::Error)]
#[error("the signer did not sign: {message}")]
pub struct SignerError {
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SignerError {
    /// A failure with nothing but its sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, source: None }
    }

    /// The same, with the next step.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// What to do next, if the signer knows.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// A failure that comes from another error.
    pub fn from_error(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self { message: source.to_string(), hint: None, source: Some(source) }
    }
}
