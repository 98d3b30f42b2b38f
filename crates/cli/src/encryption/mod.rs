//! Opening encrypted bundles, and making them.

mod identity;
pub(crate) mod keygen;
mod sealing;

pub(crate) use identity::{IdentityArgs, Opened, not_intact};
pub(crate) use sealing::{
    EncryptArgs, EncryptedOut, Sealing, foreseen, load_with_policy, named_recipients, seal,
};
