//! An archive in a store, read as if it were a file.

use std::io::{self, Write};

use consign_metadata::Sha256Digest;

use super::{Lock, Recipe, Store, StoreError, StoreFault};
use crate::archive::{ArchiveFacts, ReadAt};
use crate::progress::{Cancelled, Progress};
use crate::sha256::Sha256State;
use crate::tail::Tail;

/// An archive in a store. It can be read at any place, and so be opened, verified and unpacked like a file.
/// As long as it is held nothing is removed from the store.
#[derive(Debug)]
pub struct StoredArchive {
    store: Store,
    recipe: Recipe,
    /// Where each frame ends.
    ends: Vec<u64>,
    tail: Vec<u8>,
    _lock: Lock,
}

impl Store {
    /// Opens an archive by its digest. Its tail is read, and leads to that digest; its frames are not looked at.
    ///
    /// # Errors
    /// There is none, its recipe is malformed, or its tail is missing or another one.
    pub fn archive(
        &self,
        archive: &Sha256Digest,
        progress: &dyn Progress,
    ) -> Result<StoredArchive, StoreError> {
        let lock = self.share(progress)?;
        let recipe = self.recipe(archive)?;
        let tail = self.object(&recipe.tail)?;
        let mut end = 0u64;
        let ends = recipe.frames.iter().map(|frame| {
            end = u64::saturating_add(end, frame.size);
            end
        });
        let stored = StoredArchive { store: self.clone(), ends: ends.collect(), recipe, tail, _lock: lock };
        stored.tail()?;
        Ok(stored)
    }
}

impl StoredArchive {
    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    fn foreign(&self, reason: &str) -> StoreFault {
        StoreFault::Recipe { archive: self.recipe.archive.sha256, reason: reason.into() }
    }

    /// The tail, whose states lead to the digest of the archive, and which lists frames of the recipe's lengths.
    fn tail(&self) -> Result<Tail, StoreError> {
        let Recipe { archive, frames, .. } = &self.recipe;
        let data = archive.size.saturating_sub(self.tail.len() as u64);
        let tail = Tail::parse(&self.tail, data).map_err(|_| self.foreign("names a tail that is none"))?;
        let mut state = tail.frames.last().map_or_else(Sha256State::initial, |frame| frame.archive.clone());
        state.update(&self.tail);
        if state.finish() != archive.sha256 {
            return Err(self.foreign("names the tail of another archive").into());
        }
        let sizes = tail.frames.iter().map(|frame| u64::from(frame.compressed));
        if !sizes.eq(frames.iter().map(|frame| frame.size)) {
            return Err(self.foreign("names frames of other lengths than the tail").into());
        }
        Ok(tail)
    }

    /// Writes the archive, each frame after it was found to lead from the state before it to its own. `progress` is
    /// told of bytes of the archive. The result has the digest that was asked for; after an error nothing that was
    /// written may be used.
    ///
    /// # Errors
    /// An object is missing or altered, which is named; it cannot be written.
    pub fn write_to(
        &self,
        out: &mut dyn Write,
        progress: &dyn Progress,
    ) -> Result<ArchiveFacts, RebuildError> {
        let tail = self.tail()?;
        let mut state = Sha256State::initial();
        for (piece, record) in self.recipe.frames.iter().zip(&tail.frames) {
            if progress.cancelled() {
                return Err(StoreError::from(Cancelled).into());
            }
            let bytes = self.store.unchecked_object(piece)?;
            state.update(&bytes);
            if state != record.archive {
                // Either the object is not what it is called, or the recipe calls for another one.
                let fault = match Sha256Digest::of(&bytes) == piece.sha256 {
                    true => self.foreign("names a frame of another archive"),
                    false => StoreFault::ObjectAltered(piece.sha256),
                };
                return Err(StoreError::from(fault).into());
            }
            out.write_all(&bytes).map_err(RebuildError::Write)?;
            progress.advance(piece.size);
        }
        state.update(&self.tail);
        if state.finish() != self.recipe.archive.sha256 {
            return Err(StoreError::from(self.foreign("leads to another archive")).into());
        }
        out.write_all(&self.tail).map_err(RebuildError::Write)?;
        progress.advance(self.recipe.tail.size);
        Ok(ArchiveFacts {
            sha256: self.recipe.archive.sha256,
            size: self.recipe.archive.size,
            tail_length: self.recipe.tail.size,
            tail_sha256: self.recipe.tail.sha256,
            encoder: tail.encoder,
        })
    }
}

/// Why an archive could not be put together again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The store does not hold it as it must be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be written.
    #[error("the archive cannot be written: {0}")]
    Write(io::Error),
}

impl ReadAt for StoredArchive {
    fn size(&self) -> io::Result<u64> {
        Ok(self.recipe.archive.size)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut rest = buffer;
        let mut at = offset;
        let mut frame = self.ends.partition_point(|&end| end <= at);
        while !rest.is_empty() {
            let held;
            let (bytes, start) = match self.recipe.frames.get(frame) {
                None => (self.tail.as_slice(), self.ends.last().copied().unwrap_or_default()),
                Some(piece) => {
                    held = self.store.object(piece).map_err(io_error)?;
                    (held.as_slice(), self.ends[frame].saturating_sub(piece.size))
                }
            };
            let from = at.checked_sub(start).and_then(|from| usize::try_from(from).ok()).ok_or_else(short)?;
            let there = bytes.get(from..).filter(|there| !there.is_empty()).ok_or_else(short)?;
            let (now, later) = rest.split_at_mut(there.len().min(rest.len()));
            now.copy_from_slice(&there[..now.len()]);
            at += now.len() as u64;
            rest = later;
            frame += 1;
        }
        Ok(())
    }
}

/// Through the reader of an archive, which knows no stores.
fn io_error(error: StoreError) -> io::Error {
    match error {
        StoreError::Io { error, .. } => error,
        StoreError::Fault(fault) => io::Error::new(io::ErrorKind::InvalidData, fault),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
