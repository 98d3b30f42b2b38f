//! Reports in words: what the engine found, as a person reads it.

mod addressees;
#[cfg(feature = "encryption")]
mod encrypted;
mod events;
mod findings;
mod handling;
mod kept;
mod lineage;
mod provenance;
mod revocations;
mod signer;
mod verify;

pub(crate) use addressees::addressees;
pub(crate) use events::in_one_line;
pub(crate) use findings::findings;
pub(crate) use handling::HandlingInWords;
pub(crate) use lineage::tree;
