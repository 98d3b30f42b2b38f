//! Retention: bodies go, their hashes stay.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use consign_signing::Signer;

use crate::checkpoint::SignedCheckpoint;
use crate::error::AppendError;
use crate::event::Event;
use crate::log::append::{Appended, line};
use crate::log::files;
use crate::log::layout::{SEGMENT_PENDING, WIDTH, segment_path};
use crate::log::segment::Segment;
use crate::log::writer::Writer;

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
/// As [`append`](crate::append()); the event does not say which, or names events that do not exist or that record
/// dropped bodies themselves; the ledger is not in order. If the event is recorded but not all bodies are gone yet,
/// the next call drops the rest.
pub fn drop_bodies(
    directory: &Path,
    signer: &dyn Signer,
    witness: Option<&SignedCheckpoint>,
    event: &Event,
) -> Result<Dropped, AppendError> {
    let line = line(event).map_err(|error| AppendError::Event { at: 0, error })?;
    let ranges = event.dropped().map_err(|error| AppendError::Event { at: 0, error })?;
    let Some(last) = ranges.last().map(|range| *range.end()) else {
        return Err(AppendError::Drop("the event does not say which".into()));
    };
    let mut writer = Writer::open(directory, signer, witness)?;
    let first = writer.size();
    if last >= first {
        return Err(AppendError::Drop(format!("there is no event {last}: the ledger has {first}")));
    }
    let mut dropped = ranges.clone();
    for entry in writer.ledger().entries(0..first) {
        let entry = entry?;
        let Some(recorded) = entry.body.and_then(|event| event.dropped().ok()).filter(|it| !it.is_empty())
        else {
            continue;
        };
        // What `verify` calls a fault is not acted upon.
        if recorded.iter().any(|range| *range.end() >= entry.index) {
            return Err(AppendError::Drop(format!("event {} says what cannot be", entry.index)));
        }
        if ranges.iter().any(|range| range.contains(&entry.index)) {
            return Err(AppendError::Drop(format!(
                "event {} records dropped bodies, and must stay",
                entry.index
            )));
        }
        dropped.extend(recorded);
    }
    writer.commit(&[line])?;
    let bodies = empty_lines(directory, writer.size(), &dropped)?;
    let checkpoint = writer.checkpoint().clone();
    Ok(Dropped { appended: Appended { first, checkpoint, repaired: writer.into_repaired() }, bodies })
}

/// Empties the lines of these events, a segment at a time: whoever reads sees the old segment or the new one.
fn empty_lines(directory: &Path, size: u64, ranges: &[RangeInclusive<u64>]) -> Result<u64, AppendError> {
    let indices: BTreeSet<u64> =
        ranges.iter().flat_map(|range| range.start() / WIDTH..=range.end() / WIDTH).collect();
    let mut bodies = 0;
    for index in indices.into_iter().filter(|index| index * WIDTH < size) {
        let first = index * WIDTH;
        let segment = Segment::load(directory, index, (size - first).min(WIDTH))?;
        let mut text = Vec::new();
        let mut gone = 0;
        for (event, line) in (first..).zip(segment.lines()) {
            if !line.is_empty() && ranges.iter().any(|range| range.contains(&event)) {
                gone += 1;
            } else {
                text.extend_from_slice(line);
            }
            text.push(b'\n');
        }
        if gone > 0 {
            let path = directory.join(segment_path(index));
            replace(directory, &path, &text).map_err(|error| AppendError::Write { path, error })?;
            bodies += gone;
        }
    }
    Ok(bodies)
}

fn replace(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let pending = directory.join(SEGMENT_PENDING);
    files::write(&pending, content)?;
    fs::rename(&pending, path)?;
    path.parent().map_or(Ok(()), files::sync_directory)
}
