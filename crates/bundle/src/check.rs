//! Frames against everything that is said of them: the tail, the manifest, the tag files.
//!
//! Several are checked at a time, so that their digests are computed side by side.

use std::io;
use std::ops::Range;

use consign_metadata::{FileEntry, ManifestEntry};

use crate::archive::{Archive, ArchiveError, Fault, ReadAt, len};
use crate::frame::{Decoder, check_frame};
use crate::header::{self, HeaderKind, padding};
use crate::layout::{FrameContent, Gathered, Part, Shape, TagSection};
use crate::memory;
use crate::progress::Progress;
use crate::sha256::{Sha256State, digest_all, update_all};
use crate::tail::FrameRecord;

/// Memory for the frames that all threads have in hand.
const MEMORY: usize = 96 << 20;
/// Frames that are checked at a time: as many digests as are computed side by side,
const MANY: usize = consign_sha256::LANES;
/// if a thread need not hold more than this for them; what was decoded long ago has left the caches.
const MANY_MEMORY: usize = 48 << 20;
/// Otherwise two: more gain nothing until there are very many.
const FEW: usize = 2;
/// A thread has at least so many batches, as long as there are frames, so that none waits long for the last.
const BATCHES_EACH: usize = 4;

/// Takes verified pieces of content as they come, in any order, from several threads. What it was given counts
/// only once everything was verified without an error.
pub(crate) trait ContentSink: Sync {
    /// The whole content of a small file, or nothing for an empty directory.
    fn whole(&self, entry: &ManifestEntry<'_>, content: &[u8]) -> std::io::Result<()>;
    /// A stretch of the large file of that index.
    fn stretch(
        &self,
        index: usize,
        entry: &ManifestEntry<'_>,
        offset: u64,
        content: &[u8],
    ) -> std::io::Result<()>;
}

/// How frames are shared out.
pub(crate) struct Shares {
    /// How many threads have memory to work.
    pub(crate) workers: usize,
    /// What each takes at a time: a part of the list of frames.
    pub(crate) batches: Vec<Range<usize>>,
    /// Most bytes that the frames of a batch have, and decode to.
    largest: Cost,
}

/// Memory for frames.
#[derive(Clone, Copy, Default)]
struct Cost {
    bytes: usize,
    content: usize,
}

impl Cost {
    fn of(frame: &FrameRecord, decode: bool) -> Self {
        Self { bytes: len(frame.compressed), content: if decode { len(frame.decoded) } else { 0 } }
    }

    fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, content: self.content + other.content }
    }

    fn or(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), content: self.content.max(other.content) }
    }

    fn sum(self) -> usize {
        self.bytes + self.content
    }
}

impl Shares {
    /// Shares out these frames so that what all threads hold keeps to the limit, whatever their number.
    pub(crate) fn new(frames: &[usize], records: &[FrameRecord], decode: bool, threads: usize) -> Self {
        let cost = |n: usize| Cost::of(&records[n], decode);
        let one = frames.iter().map(|&n| cost(n)).fold(Cost::default(), Cost::or).sum().max(1);
        let workers = threads.min(MEMORY / one).min(frames.len()).max(1);
        let share = MEMORY / workers;
        let enough = frames.len() / (workers * BATCHES_EACH) >= MANY;
        let most = if enough && MANY * one <= share.min(MANY_MEMORY) { MANY } else { FEW };
        let mut batches = Vec::new();
        let mut largest = Cost::default();
        let (mut start, mut held) = (0, Cost::default());
        for (at, &n) in frames.iter().enumerate() {
            let more = held.and(cost(n));
            if at > start && (at - start == most || largest.or(more).sum() > share) {
                batches.push(start..at);
                (start, held) = (at, cost(n));
            } else {
                held = more;
            }
            largest = largest.or(held);
        }
        if start < frames.len() {
            batches.push(start..frames.len());
        }
        Self { workers, batches, largest }
    }
}

/// The memory of one thread.
pub(crate) struct Worker {
    decoder: Decoder,
    /// Frames, one after the other.
    bytes: Vec<u8>,
    /// What they decode to, one after the other.
    content: Vec<u8>,
    scratch: Vec<u8>,
}

impl Worker {
    /// With memory for every batch.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn new(shares: &Shares) -> io::Result<Self> {
        let Cost { bytes, content } = shares.largest;
        Ok(Self {
            decoder: Decoder::new()?,
            bytes: memory::zeros(bytes)?,
            content: memory::zeros(content)?,
            scratch: Vec::new(),
        })
    }
}

/// What every frame is checked against.
pub(crate) struct Check<'a, R> {
    pub(crate) archive: &'a Archive<'a, R>,
    pub(crate) bundle: &'a str,
    pub(crate) entries: &'a [ManifestEntry<'a>],
    /// Where frames with tag files are decoded.
    pub(crate) tags: Option<&'a TagSection<'a>>,
    pub(crate) plan: &'a [FrameContent],
    pub(crate) sink: Option<&'a dyn ContentSink>,
    pub(crate) progress: &'a dyn Progress,
}

/// Faults, each with the frame it is in.
pub(crate) type FrameFaults = Vec<(usize, Fault)>;

/// The content of a small file in a gather frame.
struct Small {
    /// Place in the batch.
    at: usize,
    /// Place among the units of the frame.
    unit: usize,
    entry: usize,
    range: Range<usize>,
}

/// Faults of a frame that was decoded, each with the place of what it is about.
type PlacedFaults = Vec<((usize, u8), Fault)>;

impl<R: ReadAt> Check<'_, R> {
    /// Checks frames: their bytes before they are decoded, then what they decode to. Gives what is not in order;
    /// the content of a frame that is in order has gone to the sink.
    pub(crate) fn batch(
        &self,
        batch: &[usize],
        decode: bool,
        worker: &mut Worker,
    ) -> Result<FrameFaults, ArchiveError> {
        let Worker { decoder, bytes, content, scratch } = worker;
        let records = &self.archive.tail.frames;
        let ranges = self.archive.read_frames(batch, bytes)?;
        let frames: Vec<&[u8]> = ranges.into_iter().map(|range| &bytes[range]).collect();
        let mut faults = Vec::new();
        let altered = self.archive.altered(batch, &frames);
        // What each frame decodes to; nothing, if it cannot be had.
        let mut contents: Vec<&[u8]> = Vec::with_capacity(batch.len());
        let mut room = content.as_mut_slice();
        // Places in the batch.
        let mut sound = Vec::with_capacity(batch.len());
        for (at, &n) in batch.iter().enumerate() {
            let record = &records[n];
            contents.push(&[]);
            if altered[at] {
                let (start, end, holds) = (record.offset, record.end(), self.holds(n));
                faults.push((n, Fault::FrameAltered { frame: n, start, end, holds }));
            } else if decode {
                let split = std::mem::take(&mut room).split_at_mut_checked(len(record.decoded));
                let (own, rest) =
                    split.ok_or_else(|| std::io::Error::other("there is no room for a frame"))?;
                room = rest;
                match decoder.decode_into(frames[at], own) {
                    Err(fault) => faults.push((n, Fault::Frame { frame: n, fault })),
                    Ok(()) => {
                        contents[at] = own;
                        sound.push(at);
                    }
                }
            } else {
                match check_frame(frames[at], record.decoded) {
                    Err(fault) => faults.push((n, Fault::Frame { frame: n, fault })),
                    Ok(()) => self.progress.advance(u64::from(record.compressed)),
                }
            }
        }
        let smalls = self.contents(batch, &sound, &contents, scratch, &mut faults);
        for at in sound {
            let n = batch[at];
            if faults.iter().any(|(frame, _)| *frame == n) {
                continue;
            }
            if blake3::hash(contents[at]).as_bytes() != &records[n].content_id {
                let what = "its content id is that of other content";
                faults.push((n, Fault::Record { frame: n, what }));
                continue;
            }
            self.hand_on(n, contents[at], smalls.iter().filter(|small| small.at == at))?;
            self.progress.advance(contents[at].len() as u64);
        }
        Ok(faults)
    }

    /// Checks what frames decode to.
    fn contents(
        &self,
        batch: &[usize],
        sound: &[usize],
        contents: &[&[u8]],
        scratch: &mut Vec<u8>,
        faults: &mut FrameFaults,
    ) -> Vec<Small> {
        let mut placed: Vec<PlacedFaults> = Vec::new();
        placed.resize_with(batch.len(), Vec::new);
        let mut smalls = Vec::new();
        let mut large: Vec<(usize, Sha256State)> = Vec::new();
        for &at in sound {
            let (n, content) = (batch[at], contents[at]);
            match &self.plan[n] {
                FrameContent::Gather(gathered) => {
                    let ranges = self.gather(n, gathered, content, scratch, &mut placed[at]);
                    smalls.extend(ranges.into_iter().map(|(unit, entry, range)| Small {
                        at,
                        unit,
                        entry,
                        range,
                    }));
                }
                FrameContent::Large { offset, .. } => match self.file_state_before(n, *offset) {
                    Ok(state) => large.push((at, state)),
                    Err(fault) => placed[at].push(((0, 0), fault)),
                },
                FrameContent::Tag { segment, offset } => {
                    scratch.clear();
                    if let Some(tags) = self.tags {
                        tags.append(*segment, *offset..*offset + content.len(), scratch);
                    }
                    if scratch != content {
                        placed[at].push(((0, 0), Fault::Stream { frame: n, what: "the tag files".into() }));
                    }
                }
            }
        }
        let mut pieces: Vec<(&mut Sha256State, &[u8])> =
            large.iter_mut().map(|(at, state)| (state, contents[*at])).collect();
        update_all(&mut pieces);
        for (at, state) in large {
            if let Err(fault) = self.file_state_after(batch[at], state) {
                placed[at].push(((0, 0), fault));
            }
        }
        let bytes: Vec<_> = smalls.iter().map(|small| &contents[small.at][small.range.clone()]).collect();
        for (small, digest) in smalls.iter().zip(digest_all(&bytes)) {
            if let Some(file) = self.entries[small.entry].file().filter(|file| file.sha256 != digest) {
                placed[small.at].push(((small.unit, 1), altered(file)));
            }
        }
        for (&n, mut placed) in batch.iter().zip(placed) {
            placed.sort_by_key(|(place, _)| *place);
            faults.extend(placed.into_iter().map(|(_, fault)| (n, fault)));
        }
        smalls
    }

    /// Headers and padding are as predicted. Says where the content of each small file stands: unit, entry, and
    /// the bytes.
    fn gather(
        &self,
        n: usize,
        gathered: &Gathered,
        content: &[u8],
        scratch: &mut Vec<u8>,
        faults: &mut PlacedFaults,
    ) -> Vec<(usize, usize, Range<usize>)> {
        let mut smalls = Vec::new();
        let mut rest = content;
        for (unit, (index, part)) in gathered.units().enumerate() {
            let entry = &self.entries[index];
            let shape = Shape::of(entry);
            let differs = |what: &str| {
                let path = consign_metadata::printable(entry.path().as_str());
                Fault::Stream { frame: n, what: format!("the {what} of `{path}`") }
            };
            if part != Part::Padding {
                scratch.clear();
                shape.write_header(self.bundle, scratch);
                if take(&mut rest, scratch.len()) != Some(scratch.as_slice()) {
                    faults.push(((unit, 0), differs("header")));
                }
            }
            if part == Part::Whole {
                // The planner took units whole, so what is taken is there.
                let start = content.len() - rest.len();
                let bytes = take(&mut rest, header::len(shape.size())).unwrap_or_default();
                smalls.push((unit, index, start..start + bytes.len()));
            }
            if part != Part::Header && shape.kind != HeaderKind::Directory {
                let zeros = take(&mut rest, header::len(padding(shape.size())));
                if zeros.is_none_or(|zeros| zeros.iter().any(|&byte| byte != 0)) {
                    faults.push(((unit, 2), differs("padding")));
                }
            }
        }
        smalls
    }

    /// The state of a large file before a frame of it, as recorded.
    fn file_state_before(&self, n: usize, offset: u64) -> Result<Sha256State, Fault> {
        let frames = &self.archive.tail.frames;
        let before = match offset {
            0 => Some(Sha256State::initial()),
            _ => n.checked_sub(1).and_then(|before| frames.get(before)?.file.clone()),
        };
        before
            .filter(|state| state.length() == offset)
            .ok_or(Fault::Record { frame: n, what: "the file's state before it is another place's" })
    }

    /// A stretch of a large file led to this state: it is the recorded one, and the last leads to the file's
    /// digest.
    fn file_state_after(&self, n: usize, state: Sha256State) -> Result<(), Fault> {
        let FrameContent::Large { entry, .. } = self.plan[n] else { return Ok(()) };
        let Some(file) = self.entries[entry].file() else {
            return Err(Fault::Record { frame: n, what: "it belongs to no file" });
        };
        if self.archive.tail.frames[n].file.as_ref() != Some(&state) {
            return Err(altered(file));
        }
        if state.length() == file.size && state.finish() != file.sha256 {
            return Err(altered(file));
        }
        Ok(())
    }

    /// Hands the content of a frame that is in order to the sink.
    fn hand_on<'s>(
        &self,
        n: usize,
        content: &[u8],
        smalls: impl Iterator<Item = &'s Small>,
    ) -> Result<(), ArchiveError> {
        let Some(sink) = self.sink else { return Ok(()) };
        if let FrameContent::Large { entry, offset } = self.plan[n] {
            sink.stretch(entry, &self.entries[entry], offset, content)?;
        }
        for small in smalls {
            sink.whole(&self.entries[small.entry], &content[small.range.clone()])?;
        }
        Ok(())
    }

    /// What a frame holds, for people.
    fn holds(&self, n: usize) -> String {
        let name = |index: usize| consign_metadata::printable(self.entries[index].path().as_str());
        match &self.plan[n] {
            FrameContent::Gather(Gathered { whole, .. }) => match whole.len() {
                0 => "a header".into(),
                1 => format!("`{}`", name(whole.start)),
                count => {
                    format!("{count} entries from `{}` to `{}`", name(whole.start), name(whole.end - 1))
                }
            },
            FrameContent::Large { entry, .. } => {
                let Range { start, end } = self.bytes_of(n);
                format!("bytes {start} to {end} of `{}`", name(*entry))
            }
            FrameContent::Tag { .. } => "the tag files".into(),
        }
    }

    fn bytes_of(&self, n: usize) -> Range<u64> {
        match self.plan[n] {
            FrameContent::Large { offset, .. } => {
                offset..offset + u64::from(self.archive.tail.frames[n].decoded)
            }
            _ => 0..0,
        }
    }
}

fn altered(file: &FileEntry) -> Fault {
    Fault::FileContent { path: file.path.as_str().to_owned() }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}
