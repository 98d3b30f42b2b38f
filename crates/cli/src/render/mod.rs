//! Reports in words: what the engine found, as a person reads it.

mod addressees;
mod amend;
#[cfg(feature = "encryption")]
mod decrypt;
mod diff;
#[cfg(feature = "encryption")]
mod encrypt;
#[cfg(feature = "encryption")]
mod encrypted;
mod events;
mod findings;
mod handling;
mod history;
mod id;
mod inspect;
mod kept;
mod lineage;
mod pack;
mod preflight;
mod provenance;
mod receive;
mod revocations;
mod revoke;
mod seal;
mod signer;
mod submit;
mod unpack;
mod verify;

pub(crate) use addressees::addressees;
pub(crate) use events::in_one_line;
pub(crate) use findings::findings;
pub(crate) use handling::HandlingInWords;
pub(crate) use lineage::tree;
