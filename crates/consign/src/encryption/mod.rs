//! Opening encrypted bundles, and making them.

mod identity;
pub mod keygen;
mod sealing;

pub use identity::{IdentityArgs, Opened, not_intact};
pub use sealing::{EncryptArgs, EncryptedOut, Sealing, foreseen, load_with_policy, named_recipients, seal};
