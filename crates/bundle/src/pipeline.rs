//! Frames through hashing and compression to the archive, on all cores, in order.
//!
//! One thread makes raw frames; some fill and compress them, and hash what can be hashed frame by frame; one or
//! two hash the archive and the files that span frames; the caller's writes. If there is to be one thread only, or the
//! system gives too few for that, the caller's does everything, frame by frame. What comes out depends on the frames
//! alone, not on threads.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use consign_metadata::Sha256Digest;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::archive::ArchiveFacts;
use crate::budget::{Budget, Buffer, Share};
use crate::crew::hire;
use crate::cutter::Grain;
use crate::encoder::{Compression, Encoder, EncoderId};
use crate::lanes::{FileHashes, Hashed, Lanes, Stretch};
use crate::layout::Part;
use crate::pack::PackError;
use crate::partial::{Journal, Kept};
use crate::progress::{Cancelled, Progress};
use crate::reuse::{Base, Reader};
use crate::sha256::{Sha256State, digest_all, update_all};
use crate::tail::{FrameRecord, ManifestPlace, Tail};
use crate::write_back::{self, WriteBack};

/// A frame before it is compressed.
pub(crate) struct RawFrame {
    pub(crate) content: Buffer,
    pub(crate) kind: RawKind,
}

/// What a raw frame holds.
pub(crate) enum RawKind {
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

/// A gather frame that is still to be read: whole units, by entry.
pub(crate) struct Gathering {
    /// The units, in order.
    pub(crate) units: Vec<(usize, Part)>,
    /// Empty, with room for all of them.
    pub(crate) content: Buffer,
}

/// Where the content of files stands in a frame, by entry.
pub(crate) type FilePlaces = Vec<(usize, Range<usize>)>;

/// Reads a gather frame.
pub(crate) type Gather<'a> = dyn Fn(&mut Gathering) -> Result<FilePlaces, PackError> + Sync + 'a;

/// What is to be compressed.
enum Job {
    Raw(Arc<RawFrame>),
    Gather(Gathering),
}

/// A frame ready to be hashed and written.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    decoded: usize,
    content_id: [u8; 32],
    files: Vec<(usize, Sha256Digest)>,
    /// Where in the partial archive of an earlier run it stands already.
    kept: Option<u64>,
    /// Whether it comes from an earlier archive.
    reused: bool,
    /// Pays for `bytes`.
    _share: Share,
}

/// Where raw frames go, in order.
pub(crate) struct FrameSink<'a> {
    budget: &'a Arc<Budget>,
    progress: &'a dyn Progress,
    hands: Hands<'a>,
    next: usize,
}

/// Who makes an archive of raw frames.
enum Hands<'a> {
    /// Other threads.
    Many { jobs: Sender<(usize, Job)>, large: Sender<Stretch> },
    /// The thread that makes the raw frames.
    Own(Alone<'a>),
}

impl FrameSink<'_> {
    /// Memory for a frame of at most that many bytes; waits until there is some.
    pub(crate) fn buffer(&self, capacity: usize) -> Result<Buffer, PackError> {
        self.memory(capacity, None)
    }

    /// The same for content that stands in another buffer, which it is moved out of.
    pub(crate) fn larger(&self, content: &Buffer, capacity: usize) -> Result<Buffer, PackError> {
        let mut larger = self.memory(capacity, Some(content))?;
        larger.extend_from_slice(content);
        Ok(larger)
    }

    fn memory(&self, capacity: usize, held: Option<&Buffer>) -> Result<Buffer, PackError> {
        if self.progress.cancelled() {
            return Err(Cancelled.into());
        }
        self.budget.take(capacity, held).map_err(PackError::Memory)?.ok_or(PackError::Stopped)
    }

    /// Hands over the next frame.
    pub(crate) fn push(&mut self, raw: RawFrame) -> Result<(), PackError> {
        let raw = Arc::new(raw);
        if let (RawKind::Content { entry, last, .. }, Hands::Many { large, .. }) = (&raw.kind, &self.hands) {
            let stretch = Stretch { frame: self.next, entry: *entry, last: *last, raw: Arc::clone(&raw) };
            large.send(stretch).map_err(|_| PackError::Stopped)?;
        }
        self.job(Job::Raw(raw))
    }

    /// Hands over the next frame, which somebody else will read.
    pub(crate) fn push_gathering(&mut self, gathering: Gathering) -> Result<(), PackError> {
        self.job(Job::Gather(gathering))
    }

    fn job(&mut self, job: Job) -> Result<(), PackError> {
        match &mut self.hands {
            Hands::Many { jobs, .. } => jobs.send((self.next, job)).map_err(|_| PackError::Stopped)?,
            Hands::Own(alone) => alone.frame(self.next, job, self.progress)?,
        }
        self.next += 1;
        Ok(())
    }
}

/// What an archive is written through on its way to its file, such as encryption.
pub trait Layer: io::Write {
    /// Writes what is still held back. Only then is the file whole.
    ///
    /// # Errors
    /// What the system says.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// The archive as it grows.
pub(crate) struct ArchiveWriter {
    file: Arc<File>,
    /// What stands between the archive and the file.
    layer: Option<Box<dyn Layer>>,
    state: Sha256State,
    records: Vec<FrameRecord>,
    write_back: WriteBack,
    /// Bytes written since the disk was last told.
    unsent: u64,
    journal: Option<Journal>,
    /// Whether everything so far stood in the file already.
    keeping: bool,
    spared: Spared,
}

/// Work that was not done again, in bytes of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spared {
    /// What an earlier run had written to the partial archive.
    pub kept: u64,
    /// What earlier archives had compressed.
    pub reused: u64,
}

impl ArchiveWriter {
    /// Writes to a file, which begins as an earlier run left it if there is a journal, or else empty.
    pub(crate) fn new(file: File, layer: Option<Box<dyn Layer>>, journal: Option<Journal>) -> Self {
        let keeping = journal.is_some();
        Self {
            file: Arc::new(file),
            layer,
            state: Sha256State::initial(),
            records: Vec::new(),
            write_back: WriteBack::default(),
            unsent: 0,
            journal,
            keeping,
            spared: Spared::default(),
        }
    }

    /// Goes on after frames that stand in the file already, and nothing behind them.
    pub(crate) fn after(mut file: File, records: Vec<FrameRecord>) -> io::Result<Self> {
        let state = records.last().map_or_else(Sha256State::initial, |record| record.archive.clone());
        file.seek(SeekFrom::Start(state.length()))?;
        Ok(Self { state, records, ..Self::new(file, None, None) })
    }

    /// What needed not be done again.
    pub(crate) fn spared(&self) -> Spared {
        self.spared
    }

    /// Number of frames written.
    pub(crate) fn frames(&self) -> usize {
        self.records.len()
    }

    fn push(&mut self, frame: &Encoded, state: Sha256State) -> Result<(), PackError> {
        let too_long = || PackError::Write(io::Error::other("a frame is longer than its format allows"));
        let compressed = u32::try_from(frame.bytes.len()).map_err(|_| too_long())?;
        let decoded = u32::try_from(frame.decoded).map_err(|_| too_long())?;
        let offset = self.state.length();
        let content_id = frame.content_id;
        if frame.reused {
            self.spared.reused += u64::from(decoded);
        }
        if self.keeping && frame.kept == Some(offset) {
            self.spared.kept += u64::from(decoded);
        } else {
            self.stop_keeping().map_err(PackError::Write)?;
            self.write(&frame.bytes).map_err(PackError::Write)?;
            self.unsent += u64::from(compressed);
            if self.unsent >= write_back::WORTH {
                self.write_back.begin(&self.file);
                self.unsent = 0;
            }
        }
        let record =
            FrameRecord { offset, compressed, decoded, archive: state.clone(), file: None, content_id };
        if let Some(journal) = self.journal.as_mut().filter(|_| !self.keeping) {
            journal.add(&record).map_err(PackError::Write)?;
        }
        self.state = state;
        self.records.push(record);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.layer {
            Some(layer) => layer.write_all(bytes),
            None => (&*self.file).write_all(bytes),
        }
    }

    /// What follows in the file is not what follows in the archive.
    fn stop_keeping(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.keeping) {
            self.file.set_len(self.state.length())?;
            (&*self.file).seek(SeekFrom::Start(self.state.length()))?;
            if let Some(journal) = &mut self.journal {
                journal.cut(self.records.len())?;
            }
        }
        Ok(())
    }

    /// Writes the tail after the last frame, and tells what the archive has become. All of it is handed to the
    /// system then.
    pub(crate) fn finish(
        mut self,
        encoder: EncoderId,
        manifest: ManifestPlace,
    ) -> Result<ArchiveFacts, PackError> {
        self.stop_keeping().map_err(PackError::Write)?;
        let tail = Tail { encoder, frames: std::mem::take(&mut self.records), manifest };
        let bytes = tail.to_bytes()?;
        self.write(&bytes).map_err(PackError::Write)?;
        self.layer.map_or(Ok(()), Layer::finish).map_err(PackError::Write)?;
        // What the system said when it was writing to the disk.
        self.write_back.finish().map_err(PackError::Write)?;
        let mut state = self.state;
        state.update(&bytes);
        Ok(ArchiveFacts {
            size: state.length(),
            sha256: state.finish(),
            tail_length: bytes.len() as u64,
            tail_sha256: Sha256Digest::of(&bytes),
            encoder: tail.encoder,
        })
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

/// With fewer threads, one of them hashes both the archive and the files.
const HASHED_APART: usize = 4;
/// Frames that wait for a thread to compress them, for each thread.
const AHEAD: usize = 2;

/// Each has memory of its own; more than these would wait for the hash of the archive.
const ENCODERS_MAX: usize = 32;
/// Buffers of compressed frames that wait to be used again; they are outside the budget.
const SPENT_MAX: usize = 4;

/// How frames are compressed.
pub(crate) struct Encoding<'a> {
    pub(crate) compression: Compression,
    /// How many threads compress.
    pub(crate) threads: NonZeroUsize,
    pub(crate) gather: &'a Gather<'a>,
    pub(crate) kept: Option<&'a Kept>,
    /// All of the same encoder.
    pub(crate) bases: &'a [&'a Base],
}

/// Runs the frames that `produce` makes into `writer`, and notes the digest of every file in `digests`, by
/// entry.
pub(crate) fn run(
    produce: impl FnOnce(&mut FrameSink<'_>) -> Result<(), PackError> + Send,
    encoding: &Encoding<'_>,
    progress: &dyn Progress,
    writer: &mut ArchiveWriter,
    digests: &mut [Option<Sha256Digest>],
) -> Result<(), PackError> {
    let budget = Budget::new();
    let stop = Stop { budget: &budget, flag: AtomicBool::new(false), first: Mutex::new(None) };
    let threads = encoding.threads.get().min(ENCODERS_MAX);
    // The budget bounds what the other queues hold.
    let (jobs, jobs_out) = bounded(AHEAD * threads);
    let (large, large_out) = unbounded();
    let (done, done_out) = unbounded();
    let (hashed, hashed_out) = unbounded();
    let (spent, spent_out) = bounded(SPENT_MAX);
    let lanes = lanes(large_out, done_out, hashed, writer, threads);
    // Taken by the thread that runs it: where there is none it is still here.
    let produce = Mutex::new(Some(produce));
    // The first that compresses has its memory before there are others.
    let first = Mutex::new(Some(Bench::new(encoding)?));
    let found = std::thread::scope(|scope| {
        if threads == 1 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let stop = &stop;
        let _watch = Watch(stop);
        let (budget, next) = (&budget, writer.frames());
        let mut hashers = Vec::new();
        for lanes in lanes {
            hashers.push(hire(scope, move || {
                let _watch = Watch(stop);
                lanes.run(|| stop.stopped()).unwrap_or_else(|error| {
                    stop.fail(error);
                    FileHashes::default()
                })
            })?);
        }
        let first = &first;
        let encoder = || {
            let (jobs, done, spent) = (jobs_out.clone(), done.clone(), spent_out.clone());
            hire(scope, move || {
                let _watch = Watch(stop);
                // Those that there is no memory for leave the work to the others.
                let Some(bench) = own(first).or_else(|| Bench::new(encoding).ok()) else { return };
                encode(&jobs, &done, &spent, bench, stop).unwrap_or_else(|error| stop.fail(error));
            })
        };
        encoder()?;
        let produce = &produce;
        hire(scope, move || {
            let _watch = Watch(stop);
            if let Some(produce) = own(produce) {
                let mut sink = FrameSink { budget, progress, hands: Hands::Many { jobs, large }, next };
                produce(&mut sink).unwrap_or_else(|error| stop.fail(error));
            }
        })?;
        // From here on there are enough; more are faster.
        let _ = (1..threads).try_for_each(|_| encoder().map(drop));
        drop((jobs_out, done, spent_out));
        write(&hashed_out, &spent, writer, digests, progress, stop).unwrap_or_else(|error| stop.fail(error));
        drop(hashed_out);
        let hashers = hashers.into_iter().map(std::thread::ScopedJoinHandle::join);
        io::Result::Ok(hashers.collect::<Result<Vec<_>, _>>())
    });
    let found = match (found, own(&produce)) {
        (Ok(found), _) => found,
        (Err(_), Some(produce)) => {
            let bench = own(&first).map_or_else(|| Bench::new(encoding), Ok)?;
            Ok(vec![alone(produce, bench, &budget, progress, writer, digests)?])
        }
        (Err(error), None) => return Err(PackError::Memory(error)),
    };
    if stop.stopped() {
        let first = stop.first.into_inner().unwrap_or_else(PoisonError::into_inner);
        return Err(first.unwrap_or(PackError::Stopped));
    }
    for FileHashes { states, digests: large } in found.map_err(|_| PackError::Stopped)? {
        for (frame, state) in states {
            if let Some(record) = writer.records.get_mut(frame) {
                record.file = Some(state);
            }
        }
        for (entry, digest) in large {
            if let Some(slot) = digests.get_mut(entry) {
                *slot = Some(digest);
            }
        }
    }
    Ok(())
}

/// Takes what only one can have.
fn own<T>(of: &Mutex<Option<T>>) -> Option<T> {
    of.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Who hashes what.
fn lanes(
    files: Receiver<Stretch>,
    encoded: Receiver<(usize, Encoded)>,
    hashed: Sender<Hashed>,
    writer: &ArchiveWriter,
    threads: usize,
) -> Vec<Lanes> {
    let (state, next) = (writer.state.clone(), writer.frames());
    if threads < HASHED_APART {
        return vec![Lanes { files, encoded, hashed, state, next }];
    }
    let (no_files, no_encoded, no_hashed) = (bounded(0).1, bounded(0).1, bounded(0).0);
    vec![
        Lanes { files, encoded: no_encoded, hashed: no_hashed, state: state.clone(), next },
        Lanes { files: no_files, encoded, hashed, state, next },
    ]
}

fn encode(
    jobs: &Receiver<(usize, Job)>,
    done: &Sender<(usize, Encoded)>,
    spent: &Receiver<Vec<u8>>,
    mut bench: Bench<'_>,
    stop: &Stop<'_>,
) -> Result<(), PackError> {
    for (n, job) in jobs {
        if stop.stopped() {
            return Ok(());
        }
        let frame = bench.encoded(n, job, spent.try_recv().unwrap_or_default())?;
        if done.send((n, frame)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What one thread compresses with.
struct Bench<'a> {
    encoding: &'a Encoding<'a>,
    encoder: Encoder,
    reader: Reader,
}

impl<'a> Bench<'a> {
    fn new(encoding: &'a Encoding<'a>) -> Result<Self, PackError> {
        let encoder = Encoder::new(encoding.compression)?;
        Ok(Self { encoding, encoder, reader: Reader::new().map_err(PackError::Memory)? })
    }

    /// The frame of that number, in a buffer that may be used again.
    fn encoded(&mut self, n: usize, job: Job, bytes: Vec<u8>) -> Result<Encoded, PackError> {
        match job {
            Job::Raw(raw) => {
                let grain = match raw.kind {
                    RawKind::Content { grain, .. } => Some(grain),
                    RawKind::Tag => None,
                };
                self.one(n, &raw.content, grain, Vec::new(), bytes)
            }
            Job::Gather(mut gathering) => {
                let places = (self.encoding.gather)(&mut gathering)?;
                let content = &gathering.content;
                let files: Vec<_> = places.iter().map(|(_, range)| &content[range.clone()]).collect();
                let digests = digest_all(&files);
                let files = places.iter().map(|(entry, _)| *entry).zip(digests).collect();
                self.one(n, content, None, files, bytes)
            }
        }
    }

    fn one(
        &mut self,
        n: usize,
        content: &Buffer,
        grain: Option<Grain>,
        files: Vec<(usize, Sha256Digest)>,
        mut bytes: Vec<u8>,
    ) -> Result<Encoded, PackError> {
        let Self { encoding, encoder, reader } = self;
        let content_id = *blake3::hash(content).as_bytes();
        let kept = encoding.kept.and_then(|kept| kept.find(n, &content_id, content, reader, &mut bytes));
        let in_base = |base: &&Base| base.find(&content_id, content, reader, &mut bytes);
        let reused = kept.is_none() && encoding.bases.iter().any(in_base);
        if kept.is_none() && !reused {
            encoder.encode(content, grain, &mut bytes)?;
        }
        let share = content.share(bytes.capacity());
        Ok(Encoded { decoded: content.len(), bytes, content_id, files, kept, reused, _share: share })
    }
}

/// The whole way of a frame on one thread.
struct Alone<'a> {
    bench: Bench<'a>,
    writer: &'a mut ArchiveWriter,
    digests: &'a mut [Option<Sha256Digest>],
    /// Of the large file at hand.
    file: Sha256State,
    found: FileHashes,
    /// To be used again.
    spent: Vec<u8>,
}

impl Alone<'_> {
    fn frame(&mut self, n: usize, job: Job, progress: &dyn Progress) -> Result<(), PackError> {
        let raw = match &job {
            Job::Raw(raw) => Some(Arc::clone(raw)),
            Job::Gather(_) => None,
        };
        let frame = self.bench.encoded(n, job, std::mem::take(&mut self.spent))?;
        let mut state = self.writer.state.clone();
        if let Some(raw) = raw
            && let RawKind::Content { entry, last, .. } = raw.kind
        {
            update_both((&mut self.file, &raw.content), (&mut state, &frame.bytes));
            self.found.states.push((n, self.file.clone()));
            if last {
                let whole = std::mem::replace(&mut self.file, Sha256State::initial());
                self.found.digests.push((entry, whole.finish()));
            }
        } else {
            state.update(&frame.bytes);
        }
        self.spent = write_frame(frame, state, self.writer, self.digests, progress)?;
        Ok(())
    }
}

/// Two digests, side by side as far as there is content for both: that takes less time than one after the other.
fn update_both(a: (&mut Sha256State, &[u8]), b: (&mut Sha256State, &[u8])) {
    let common = a.1.len().min(b.1.len());
    let ((a_now, a_later), (b_now, b_later)) = (a.1.split_at(common), b.1.split_at(common));
    update_all(&mut [(&mut *a.0, a_now), (&mut *b.0, b_now)]);
    a.0.update(a_later);
    b.0.update(b_later);
}

/// Runs the frames that `produce` makes into `writer` without another thread.
fn alone(
    produce: impl FnOnce(&mut FrameSink<'_>) -> Result<(), PackError>,
    bench: Bench<'_>,
    budget: &Arc<Budget>,
    progress: &dyn Progress,
    writer: &mut ArchiveWriter,
    digests: &mut [Option<Sha256Digest>],
) -> Result<FileHashes, PackError> {
    let next = writer.frames();
    let (file, found) = (Sha256State::initial(), FileHashes::default());
    let hands = Hands::Own(Alone { bench, writer, digests, file, found, spent: Vec::new() });
    let mut sink = FrameSink { budget, progress, hands, next };
    produce(&mut sink)?;
    match sink.hands {
        Hands::Own(alone) => Ok(alone.found),
        Hands::Many { .. } => Ok(FileHashes::default()),
    }
}

/// Writes frames, which come in order.
fn write(
    hashed: &Receiver<Hashed>,
    spent: &Sender<Vec<u8>>,
    writer: &mut ArchiveWriter,
    digests: &mut [Option<Sha256Digest>],
    progress: &dyn Progress,
    stop: &Stop<'_>,
) -> Result<(), PackError> {
    for (frame, state) in hashed {
        if stop.stopped() {
            return Ok(());
        }
        if progress.cancelled() {
            return Err(Cancelled.into());
        }
        let _ = spent.try_send(write_frame(frame, state, writer, digests, progress)?);
    }
    Ok(())
}

/// Writes a frame, of which `state` is the archive's at its end, and gives its buffer back.
fn write_frame(
    frame: Encoded,
    state: Sha256State,
    writer: &mut ArchiveWriter,
    digests: &mut [Option<Sha256Digest>],
    progress: &dyn Progress,
) -> Result<Vec<u8>, PackError> {
    writer.push(&frame, state)?;
    for &(entry, digest) in &frame.files {
        if let Some(slot) = digests.get_mut(entry) {
            *slot = Some(digest);
        }
    }
    progress.advance(frame.decoded as u64);
    Ok(frame.bytes)
}
