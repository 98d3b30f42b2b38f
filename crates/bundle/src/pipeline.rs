//! Frames through hashing and compression to the archive, on all cores, in order.
//!
//! One thread makes raw frames; some compress them and hash what can be hashed frame by frame; one hashes the
//! files that span frames; the caller's writes and hashes the archive. What comes out depends on the frames
//! alone, not on threads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use consign_metadata::Sha256Digest;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::budget::{Budget, Buffer};
use crate::cutter::Grain;
use crate::encoder::{Compression, Encoder};
use crate::pack::PackError;
use crate::progress::{Cancelled, Progress};
use crate::sha256::Sha256State;
use crate::tail::FrameRecord;

/// A frame before it is compressed.
pub(crate) struct RawFrame {
    pub(crate) content: Buffer,
    pub(crate) kind: RawKind,
}

/// What a raw frame holds.
pub(crate) enum RawKind {
    /// Whole units; the contents of these files, by entry.
    Gather(Vec<(usize, Range<usize>)>),
    /// A stretch of a large file.
    Content {
        /// Which entry.
        entry: usize,
        /// How the file is cut.
        grain: Grain,
        /// Whether the file ends with it.
        last: bool,
    },
    /// A stretch of the tag files.
    Tag,
}

/// A frame ready to be written.
struct Encoded {
    bytes: Vec<u8>,
    content_id: [u8; 32],
    files: Vec<(usize, Sha256Digest)>,
    raw: Arc<RawFrame>,
}

/// Where raw frames go, in order.
pub(crate) struct FrameSink<'a> {
    budget: &'a Arc<Budget>,
    progress: &'a dyn Progress,
    jobs: Sender<(usize, Arc<RawFrame>)>,
    large: Sender<(usize, Arc<RawFrame>)>,
    next: usize,
}

impl FrameSink<'_> {
    /// Memory for a frame of at most that many bytes; waits until there is some.
    pub(crate) fn buffer(&self, capacity: usize) -> Result<Buffer, PackError> {
        if self.progress.cancelled() {
            return Err(Cancelled.into());
        }
        self.budget.take(capacity).ok_or(PackError::Stopped)
    }

    /// Hands over the next frame.
    pub(crate) fn push(&mut self, frame: RawFrame) -> Result<(), PackError> {
        let frame = Arc::new(frame);
        if matches!(frame.kind, RawKind::Content { .. }) {
            self.large.send((self.next, Arc::clone(&frame))).map_err(|_| PackError::Stopped)?;
        }
        self.jobs.send((self.next, frame)).map_err(|_| PackError::Stopped)?;
        self.next += 1;
        Ok(())
    }
}

/// The archive as it grows.
pub(crate) struct ArchiveWriter {
    file: File,
    state: Sha256State,
    records: Vec<FrameRecord>,
}

impl ArchiveWriter {
    pub(crate) fn new(file: File) -> Self {
        Self { file, state: Sha256State::initial(), records: Vec::new() }
    }

    /// Number of frames written.
    pub(crate) fn frames(&self) -> usize {
        self.records.len()
    }

    fn push(&mut self, frame: &Encoded) -> Result<(), PackError> {
        let too_long = || PackError::Write(io::Error::other("a frame is longer than its format allows"));
        let compressed = u32::try_from(frame.bytes.len()).map_err(|_| too_long())?;
        let decoded = u32::try_from(frame.raw.content.len()).map_err(|_| too_long())?;
        let offset = self.state.length();
        self.state.update(&frame.bytes);
        self.file.write_all(&frame.bytes).map_err(PackError::Write)?;
        self.records.push(FrameRecord {
            offset,
            compressed,
            decoded,
            archive: self.state.clone(),
            file: None,
            content_id: frame.content_id,
        });
        Ok(())
    }

    /// The frames, the state after them, and the file.
    pub(crate) fn into_parts(self) -> (Vec<FrameRecord>, Sha256State, File) {
        (self.records, self.state, self.file)
    }
}

/// What stops all threads of a pipeline at the first error.
struct Stop<'a> {
    budget: &'a Arc<Budget>,
    flag: AtomicBool,
    first: Mutex<Option<PackError>>,
}

impl Stop<'_> {
    fn fail(&self, error: PackError) {
        // `Stopped` only says that somebody else failed.
        if !matches!(error, PackError::Stopped) {
            self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        self.flag.store(true, Ordering::Relaxed);
        self.budget.close();
    }

    fn stopped(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
}

/// Stops the others when its thread panics: those that wait for what it had would wait forever.
struct Watch<'a>(&'a Stop<'a>);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(PackError::Stopped);
        }
    }
}

/// Runs the frames that `produce` makes into `writer`, and notes the digest of every file in `digests`, by
/// entry.
pub(crate) fn run(
    produce: impl FnOnce(&mut FrameSink<'_>) -> Result<(), PackError> + Send,
    compression: Compression,
    threads: NonZeroUsize,
    progress: &dyn Progress,
    writer: &mut ArchiveWriter,
    digests: &mut [Option<Sha256Digest>],
) -> Result<(), PackError> {
    let budget = Budget::new();
    let stop = Stop { budget: &budget, flag: AtomicBool::new(false), first: Mutex::new(None) };
    let first = writer.frames();
    // The budget bounds what the queues hold.
    let (jobs, jobs_out) = unbounded();
    let (large, large_out) = unbounded();
    let (done, done_out) = unbounded();
    // Those that wait to be used again are outside the budget.
    let (spent, spent_out) = bounded(threads.get());
    let large_hashes = std::thread::scope(|scope| {
        let stop = &stop;
        let _watch = Watch(stop);
        let mut sink = FrameSink { budget: &budget, progress, jobs, large, next: first };
        scope.spawn(move || {
            let _watch = Watch(stop);
            produce(&mut sink).unwrap_or_else(|error| stop.fail(error));
        });
        let hasher = scope.spawn(move || {
            let _watch = Watch(stop);
            hash_large(&large_out, stop)
        });
        for _ in 0..threads.get() {
            let (jobs, done, spent) = (jobs_out.clone(), done.clone(), spent_out.clone());
            scope.spawn(move || {
                let _watch = Watch(stop);
                encode(&jobs, &done, &spent, compression, stop).unwrap_or_else(|error| stop.fail(error));
            });
        }
        drop((jobs_out, done, spent_out));
        write(&done_out, &spent, writer, digests, progress, stop).unwrap_or_else(|error| stop.fail(error));
        hasher.join()
    });
    if stop.stopped() {
        let first = stop.first.into_inner().unwrap_or_else(PoisonError::into_inner);
        return Err(first.unwrap_or(PackError::Stopped));
    }
    let (states, large_digests) = large_hashes.map_err(|_| PackError::Stopped)?;
    for (frame, state) in states {
        if let Some(record) = writer.records.get_mut(frame) {
            record.file = Some(state);
        }
    }
    for (entry, digest) in large_digests {
        if let Some(slot) = digests.get_mut(entry) {
            *slot = Some(digest);
        }
    }
    Ok(())
}

type LargeHashes = (Vec<(usize, Sha256State)>, Vec<(usize, Sha256Digest)>);

/// Hashes the files that span frames: the state at each frame's end, and the digest at each file's.
fn hash_large(frames: &Receiver<(usize, Arc<RawFrame>)>, stop: &Stop<'_>) -> LargeHashes {
    let mut states = Vec::new();
    let mut digests = Vec::new();
    let mut state = Sha256State::initial();
    for (n, frame) in frames {
        if stop.stopped() {
            break;
        }
        if let RawKind::Content { entry, last, .. } = frame.kind {
            state.update(&frame.content);
            states.push((n, state.clone()));
            if last {
                digests.push((entry, std::mem::replace(&mut state, Sha256State::initial()).finish()));
            }
        }
    }
    (states, digests)
}

fn encode(
    jobs: &Receiver<(usize, Arc<RawFrame>)>,
    done: &Sender<(usize, Encoded)>,
    spent: &Receiver<Vec<u8>>,
    compression: Compression,
    stop: &Stop<'_>,
) -> Result<(), PackError> {
    let mut encoder = Encoder::new(compression);
    for (n, raw) in jobs {
        if stop.stopped() {
            return Ok(());
        }
        let (grain, files) = match &raw.kind {
            RawKind::Gather(files) => {
                let digest = |(entry, range): &(usize, Range<usize>)| {
                    (*entry, Sha256Digest::of(&raw.content[range.clone()]))
                };
                (None, files.iter().map(digest).collect())
            }
            RawKind::Content { grain, .. } => (Some(*grain), Vec::new()),
            RawKind::Tag => (None, Vec::new()),
        };
        let mut bytes = spent.try_recv().unwrap_or_default();
        encoder.encode(&raw.content, grain, &mut bytes)?;
        let content_id = *blake3::hash(&raw.content).as_bytes();
        if done.send((n, Encoded { bytes, content_id, files, raw })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Writes frames in order, whatever the order they come in.
fn write(
    done: &Receiver<(usize, Encoded)>,
    spent: &Sender<Vec<u8>>,
    writer: &mut ArchiveWriter,
    digests: &mut [Option<Sha256Digest>],
    progress: &dyn Progress,
    stop: &Stop<'_>,
) -> Result<(), PackError> {
    let mut waiting = BTreeMap::new();
    for (n, frame) in done {
        if stop.stopped() {
            return Ok(());
        }
        if progress.cancelled() {
            return Err(Cancelled.into());
        }
        waiting.insert(n, frame);
        while let Some(frame) = waiting.remove(&writer.frames()) {
            writer.push(&frame)?;
            for &(entry, digest) in &frame.files {
                if let Some(slot) = digests.get_mut(entry) {
                    *slot = Some(digest);
                }
            }
            progress.advance(frame.raw.content.len() as u64);
            let _ = spent.try_send(frame.bytes);
        }
    }
    Ok(())
}
