//! The digests of all files of a source, without an archive: for sealing in place and for comparing.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use consign_metadata::{Manifest, Sha256Digest};

use crate::crew::side_by_side;
use crate::header::HeaderKind;
use crate::observer::ContentObserver;
use crate::pack::{ContentReader, Description, PackError};
use crate::progress::{Cancelled, Progress};
use crate::sha256::Sha256State;
use crate::source::{Source, SourceEntry};

const READ: usize = 1 << 20;

/// Memory for [`hash_entry`].
pub(crate) fn read_buffer() -> Box<[u8; READ]> {
    // Not on the stack, not even for a moment.
    vec![0; READ].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; READ]))
}

/// The manifest that packing the source would give. Files are hashed side by side; `progress` is told of bytes
/// of files, `observer` shown their content.
///
/// # Errors
/// A file that cannot be read or changes meanwhile, a manifest beyond the limits.
pub fn hash_source(
    source: &Source,
    description: &Description,
    threads: NonZeroUsize,
    observer: Option<&dyn ContentObserver>,
    progress: &dyn Progress,
) -> Result<Manifest, PackError> {
    let next = AtomicUsize::new(0);
    let digests = Mutex::new(vec![None; source.entries.len()]);
    let work = || -> Result<(), PackError> {
        let mut buffer = read_buffer();
        while let Some((n, entry)) = take(&next, &source.entries) {
            if entry.kind == HeaderKind::Directory {
                continue;
            }
            let digest = hash_entry(source, entry, &mut buffer, observer, progress);
            if digest.is_err() {
                // Nobody needs to begin another file.
                next.store(usize::MAX / 2, Ordering::Relaxed);
            }
            let digest = digest?;
            if let Ok(mut digests) = digests.lock() {
                digests[n] = Some(digest);
            }
        }
        Ok(())
    };
    side_by_side(threads.get(), work, || PackError::Stopped)?;
    let digests = digests.into_inner().unwrap_or_default();
    description.manifest(source, &digests)
}

fn take<'a>(next: &AtomicUsize, entries: &'a [SourceEntry]) -> Option<(usize, &'a SourceEntry)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    entries.get(n).map(|entry| (n, entry))
}

pub(crate) fn hash_entry(
    source: &Source,
    entry: &SourceEntry,
    buffer: &mut [u8; READ],
    observer: Option<&dyn ContentObserver>,
    progress: &dyn Progress,
) -> Result<Sha256Digest, PackError> {
    let mut reader = ContentReader::open(source, entry, observer)?;
    let mut state = Sha256State::initial();
    while reader.left > 0 {
        if progress.cancelled() {
            return Err(Cancelled.into());
        }
        let read = reader.fill(buffer)?;
        state.update(&buffer[..read]);
        progress.advance(read as u64);
    }
    reader.finish()?;
    Ok(state.finish())
}
