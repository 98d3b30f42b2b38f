//! Opening encrypted bundles, and making them.

mod identity;
pub(crate) mod keygen;
pub(crate) mod sealing;

pub(crate) use identity::{IdentityArgs, not_intact};
pub(crate) use sealing::{EncryptArgs, EncryptedOut, Sealing, load_recipients, seal};
