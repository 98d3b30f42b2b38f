//! Adding events.

use std::path::Path;

use consign_metadata::Sha256Digest;
use consign_signing::Signer;

use crate::checkpoint::SignedCheckpoint;
use crate::error::AppendError;
use crate::event::{EVENTS_DROPPED, Event};
use crate::log::recover::Repair;
use crate::log::writer::{Line, Writer};

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

/// Appends events to the ledger of the signer's key, all or none, and makes them durable before it returns.
///
/// A directory that is absent (its parent must exist) or empty becomes a new ledger. Without events, nothing is
/// recorded, but the ledger is made, or put in order after an append that was cut short.
///
/// `witness` is a checkpoint of the ledger that was seen before, kept somewhere else: the ledger must have grown
/// out of it.
///
/// # Errors
/// [`AppendError`]; the ledger then stands as before. Where the very last step fails, after the new checkpoint was
/// signed, the events may become part of it after all: the next append says so ([`Repair::completed`]).
pub fn append(
    directory: &Path,
    signer: &dyn Signer,
    witness: Option<&SignedCheckpoint>,
    events: &[Event],
) -> Result<Appended, AppendError> {
    let mut lines = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        if event.action.as_str() == EVENTS_DROPPED {
            return Err(AppendError::Drop(
                "such an event is recorded by dropping them, not by itself".into(),
            ));
        }
        lines.push(line(event).map_err(|error| AppendError::Event { at, error })?);
    }
    let mut writer = Writer::open(directory, signer, witness)?;
    let first = writer.size();
    writer.commit(&lines)?;
    let checkpoint = writer.checkpoint().clone();
    Ok(Appended { first, checkpoint, repaired: writer.into_repaired() })
}

/// The line of an event.
pub(crate) fn line(event: &Event) -> Result<Line, crate::EventError> {
    let text = event.to_line()?;
    Ok(Line { digest: Sha256Digest::of(text.as_bytes()), text })
}
