//! Adding events.

use std::path::{Path, PathBuf};

use consign_signing::Signer;

use crate::checkpoint::SignedCheckpoint;
use crate::error::{AppendError, LedgerError};
use crate::event::Event;

/// Events that are recorded, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Place of the first of them, counted from 0; the others follow it.
    pub first: u64,
    /// The ledger's checkpoint that covers them.
    pub checkpoint: SignedCheckpoint,
    /// What was left behind by an append that was cut short, and was put in order first.
    pub repaired: Option<Repair>,
}

/// What an append that was cut short had left behind. Nothing that had been acknowledged is ever part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Its checkpoint was signed and all its data is there: it was brought to its end.
    Completed {
        /// Place of its first event.
        first: u64,
        /// How many events the ledger has with it.
        size: u64,
    },
    /// It had not come that far: what lay beyond the checkpoint was set aside.
    CutBack {
        /// How many events the ledger has: as many as before that append.
        size: u64,
        /// The directory that holds what was cut off.
        aside: PathBuf,
        /// What was cut off, relative to the ledger's directory.
        files: Vec<String>,
    },
}

/// Appends events to the ledger of the signer's key, all or none, and makes them durable before it returns.
///
/// A directory that is absent (its parent must exist) or empty becomes a new ledger. Without events, nothing is
/// recorded, but the ledger is made, or put in order after an append that was cut short.
///
/// `witness` is a checkpoint of the ledger that was seen before, kept somewhere else: the ledger must have grown
/// out of it.
///
/// # Errors
/// [`AppendError`]; the ledger then stands as before.
pub fn append(
    directory: &Path,
    signer: &dyn Signer,
    witness: Option<&SignedCheckpoint>,
    events: &[Event],
) -> Result<Appended, AppendError> {
    let _ = (signer, witness, events);
    Err(LedgerError::Absent(directory.to_owned()).into())
}
