//! What the engine does: one file for each thing that can be asked of it.

pub mod amend;
#[cfg(feature = "encryption")]
pub mod decrypt;
pub mod diff;
#[cfg(feature = "encryption")]
pub mod encrypt;
pub mod history;
pub mod id;
pub mod inspect;
pub mod pack;
pub mod preflight;
pub mod receive;
pub mod revoke;
pub mod seal;
pub mod submit;
pub mod unpack;
pub mod verify;
