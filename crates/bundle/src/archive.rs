//! An archive as a reader finds it: opened from its tail, believed only as far as something vouches for it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use consign_metadata::{
    BundleId, BundleName, BundleVersion, Classification, Manifest, ManifestError, Sha256Digest,
};

use crate::encoder::EncoderId;
use crate::frame::{Decoder, FrameFault};
use crate::memory;
use crate::sha256::{Sha256State, update_all};
use crate::tail::{SEEK_FOOTER, Tail, TailFault};
use crate::verify::{Scope, check_layout};

/// Bytes that can be read at any place, from several threads.
pub trait ReadAt: Sync {
    /// Number of bytes.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` if there are fewer bytes.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(self, buffer, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
            }
        }
        Ok(())
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let range = || {
            let start = usize::try_from(offset).ok()?;
            self.get(start..start.checked_add(buffer.len())?)
        };
        let bytes = range().ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Box<R>
where
    Self: Sync,
{
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

impl<R: ReadAt + Send + ?Sized> ReadAt for Arc<R> {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

/// Digest, size and tail of an archive: what a statement says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFacts {
    /// SHA-256 of the whole file, as `sha256sum` prints it.
    pub sha256: Sha256Digest,
    /// Size of the file in bytes.
    pub size: u64,
    /// Length of the tail in bytes.
    pub tail_length: u64,
    /// SHA-256 of the tail.
    pub tail_sha256: Sha256Digest,
    /// How it was compressed.
    pub encoder: EncoderId,
}

/// What somebody vouches for: the archive and what it is said to hold. Made from a signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The archive.
    pub archive: ArchiveFacts,
    /// The bundle id.
    pub id: BundleId,
    /// The name.
    pub name: BundleName,
    /// The version.
    pub version: BundleVersion,
    /// The classification.
    pub classification: Classification,
}

/// What an archive is held against.
#[derive(Clone, Copy, Debug)]
pub enum Anchor<'a> {
    /// What a signed statement says.
    Signed(&'a Expected),
    /// Nothing: the archive can only be shown to agree with itself.
    Unsigned,
}

/// Something about an archive that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is longer or shorter than what was signed.
    #[error("the archive has {found} bytes, where {expected} were signed: {}", if found < expected { "it was cut short" } else { "something was added" })]
    Size {
        /// Signed size.
        expected: u64,
        /// Size of the file.
        found: u64,
    },
    /// The tail is not the signed one.
    #[error("the archive's tail is not the one that was signed")]
    TailDigest,
    /// The tail breaks a rule.
    #[error("{0}")]
    Tail(#[from] TailFault),
    /// The states of the tail lead to another digest than the signed one.
    #[error("the archive has SHA-256 {found}, where {expected} was signed")]
    Digest {
        /// Signed digest.
        expected: Sha256Digest,
        /// Digest by the tail's states.
        found: Sha256Digest,
    },
    /// The tail names another encoder than the statement.
    #[error("the archive names the encoder `{found}`, where `{expected}` was signed")]
    Encoder {
        /// Signed encoder.
        expected: EncoderId,
        /// Encoder in the tail.
        found: EncoderId,
    },
    /// The bytes of a frame are not those whose state was recorded.
    #[error("frame {frame} (bytes {start} to {end}) was altered; it holds {holds}")]
    FrameAltered {
        /// Which frame, counted from 0.
        frame: usize,
        /// Where it begins.
        start: u64,
        /// Where it ends.
        end: u64,
        /// What it holds, for people.
        holds: String,
    },
    /// A frame breaks a rule for frames.
    #[error("frame {frame} {fault}")]
    Frame {
        /// Which frame, counted from 0.
        frame: usize,
        /// The rule.
        fault: FrameFault,
    },
    /// A frame does not keep to the layout that the manifest determines.
    #[error("frame {frame} {reason}")]
    Layout {
        /// Which frame, counted from 0.
        frame: usize,
        /// How.
        reason: String,
    },
    /// Bytes of the tar stream are not those that the manifest determines.
    #[error("frame {frame} differs from what the manifest determines in {what}")]
    Stream {
        /// Which frame, counted from 0.
        frame: usize,
        /// Where.
        what: String,
    },
    /// The index says something of a frame that is not so.
    #[error("the index is wrong about frame {frame}: {what}")]
    Record {
        /// Which frame, counted from 0.
        frame: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A file's content does not have the digest that the manifest gives it.
    #[error("`{path}` has another content than the manifest says")]
    FileContent {
        /// The file.
        path: String,
    },
    /// The manifest is another one than the signed.
    #[error("the manifest has SHA-256 {found}, where {expected} was signed")]
    BundleId {
        /// Signed bundle id.
        expected: BundleId,
        /// Digest of the manifest that is there.
        found: BundleId,
    },
    /// The manifest breaks a rule.
    #[error("the manifest {0}")]
    Manifest(#[from] ManifestError),
    /// The statement and the manifest disagree.
    #[error("the signed statement has the {what} `{signed}`, the manifest has `{manifest}`")]
    Disagree {
        /// Which member.
        what: &'static str,
        /// What the statement has.
        signed: String,
        /// What the manifest has.
        manifest: String,
    },
    /// A file was asked for that the bundle does not hold.
    #[error("the bundle has no file `{path}`")]
    NoSuchFile {
        /// The path that was asked for.
        path: String,
    },
}

impl Fault {
    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => "archive-size",
            Self::TailDigest => "tail-altered",
            Self::Tail(_) => "tail-malformed",
            Self::Digest { .. } => "archive-digest",
            Self::Encoder { .. } => "encoder-mismatch",
            Self::FrameAltered { .. } => "frame-altered",
            Self::Frame { .. } => "frame-malformed",
            Self::Layout { .. } => "frame-layout",
            Self::Stream { .. } => "stream-differs",
            Self::Record { .. } => "index-wrong",
            Self::FileContent { .. } => "file-altered",
            Self::BundleId { .. } => "bundle-id",
            Self::Manifest(_) => "manifest-malformed",
            Self::Disagree { .. } => "statement-disagrees",
            Self::NoSuchFile { .. } => "no-such-file",
        }
    }
}

/// Why an archive was not read or not found in order.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It could not be read.
    #[error("the archive cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not what it must be.
    #[error("{} problems were found in the archive", .listed.len() as u64 + .more)]
    Faults {
        /// Problems, in order; as many as [`limits::FAULTS_LISTED`](crate::limits::FAULTS_LISTED).
        listed: Vec<Fault>,
        /// How many more there are.
        more: u64,
    },
    /// It was told to stop.
    #[error(transparent)]
    Cancelled(#[from] crate::progress::Cancelled),
}

impl<F: Into<Fault>> From<F> for ArchiveError {
    fn from(fault: F) -> Self {
        Self::Faults { listed: vec![fault.into()], more: 0 }
    }
}

/// An archive whose tail is known: read, held against its anchor, and consistent in itself. Its frames have
/// not been looked at.
pub struct Archive<'a, R> {
    pub(crate) source: R,
    pub(crate) tail: Tail,
    anchor: Anchor<'a>,
    facts: ArchiveFacts,
}

/// A manifest that was read from where the tail says it stands; whether that is its place is not known yet.
pub(crate) struct UnplacedManifest {
    pub(crate) manifest: Manifest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) id: BundleId,
}

/// The last bytes of the file, read at once: enough for the tail of most bundles.
const LAST_READ: u64 = 64 << 10;

impl<'a, R: ReadAt> Archive<'a, R> {
    /// Opens an archive: size, tail, and the digest that the tail's states lead to.
    ///
    /// With a signed anchor the tail is hashed before it is parsed.
    ///
    /// # Errors
    /// It cannot be read, or is not what is expected, or is not an archive.
    pub fn open(source: R, anchor: Anchor<'a>) -> Result<Self, ArchiveError> {
        let size = source.size()?;
        let tail = match anchor {
            Anchor::Signed(expected) => {
                if size != expected.archive.size {
                    return Err(Fault::Size { expected: expected.archive.size, found: size }.into());
                }
                let tail = read_last(&source, size, expected.archive.tail_length)?;
                if Sha256Digest::of(&tail) != expected.archive.tail_sha256 {
                    return Err(Fault::TailDigest.into());
                }
                tail
            }
            Anchor::Unsigned => find_tail(&source, size)?,
        };
        let length = tail.len() as u64;
        let parsed = Tail::parse(&tail, size - length)?;
        let mut state = parsed.frames.last().map_or_else(Sha256State::initial, |frame| frame.archive.clone());
        state.update(&tail);
        let facts = ArchiveFacts {
            sha256: state.finish(),
            size,
            tail_length: length,
            tail_sha256: Sha256Digest::of(&tail),
            encoder: parsed.encoder.clone(),
        };
        if let Anchor::Signed(expected) = anchor {
            if facts.sha256 != expected.archive.sha256 {
                return Err(Fault::Digest { expected: expected.archive.sha256, found: facts.sha256 }.into());
            }
            if facts.encoder != expected.archive.encoder {
                let expected = expected.archive.encoder.clone();
                return Err(Fault::Encoder { expected, found: facts.encoder }.into());
            }
        }
        Ok(Self { source, tail: parsed, anchor, facts })
    }

    /// What the archive is, by its tail: a claim until it is verified.
    pub fn facts(&self) -> &ArchiveFacts {
        &self.facts
    }

    /// What it is held against.
    pub fn anchor(&self) -> Anchor<'a> {
        self.anchor
    }

    /// Number of data frames.
    pub fn frames(&self) -> usize {
        self.tail.frames.len()
    }

    /// How many bytes a verification of that scope tells its progress of; `None` where that depends on which
    /// files were chosen.
    pub fn work(&self, scope: &Scope) -> Option<u64> {
        match scope {
            Scope::Content => Some(self.tail.frames.iter().map(|frame| u64::from(frame.decoded)).sum()),
            Scope::Bytes => Some(self.facts.size - self.facts.tail_length),
            Scope::Only(_) => None,
        }
    }

    /// Reads the manifest, from its frames alone: they are checked against the tail, the manifest against the
    /// anchor, and the place where it stands against the layout that it determines itself. Gives the bytes too.
    ///
    /// # Errors
    /// It cannot be read, or breaks a rule, or is not the one that was signed.
    pub fn manifest(&self) -> Result<(Manifest, Vec<u8>), ArchiveError> {
        let UnplacedManifest { manifest, bytes, .. } = self.unplaced_manifest()?;
        check_layout(self, &manifest, &bytes)?;
        Ok((manifest, bytes))
    }

    /// The manifest from where the tail says it stands, which may be anywhere: the caller checks the layout.
    pub(crate) fn unplaced_manifest(&self) -> Result<UnplacedManifest, ArchiveError> {
        let (bytes, id) = self.manifest_bytes()?;
        let manifest = Manifest::parse(&bytes).map_err(Fault::from)?;
        if let Anchor::Signed(expected) = self.anchor {
            let faults = disagreements(expected, &manifest);
            if !faults.is_empty() {
                return Err(ArchiveError::Faults { listed: faults, more: 0 });
            }
        }
        Ok(UnplacedManifest { manifest, bytes, id })
    }

    /// The digest of the manifest that stands where the tail says, not looked into: for comparing with a copy.
    ///
    /// # Errors
    /// It cannot be read, or is not the one that was signed.
    pub fn manifest_id(&self) -> Result<BundleId, ArchiveError> {
        self.manifest_bytes().map(|(_, id)| id)
    }

    /// The bytes of that manifest, checked against the tail and the anchor.
    fn manifest_bytes(&self) -> Result<(Vec<u8>, BundleId), ArchiveError> {
        let place = self.tail.manifest;
        let mut bytes = Vec::new();
        let mut decoder = Decoder::new()?;
        let (mut frame, mut content) = (Vec::new(), Vec::new());
        let first = usize::try_from(place.first).unwrap_or(usize::MAX);
        for (n, record) in (first..).zip(self.tail.manifest_frames()) {
            // The file is no longer than the sum of all frames, so that memory is bounded by what is there.
            memory::resize(&mut frame, len(record.compressed))?;
            self.source.read_exact_at(&mut frame, record.offset)?;
            if self.altered(&[n], &[&frame]) != [false] {
                let (start, end, holds) = (record.offset, record.end(), "the manifest".into());
                return Err(Fault::FrameAltered { frame: n, start, end, holds }.into());
            }
            decoder
                .decode(&frame, record.decoded, &mut content)
                .map_err(|fault| Fault::Frame { frame: n, fault })?;
            memory::reserve(&mut bytes, content.len())?;
            bytes.extend_from_slice(&content);
        }
        let found = Manifest::id_of(&bytes);
        if let Anchor::Signed(expected) = self.anchor
            && found != expected.id
        {
            return Err(Fault::BundleId { expected: expected.id, found }.into());
        }
        Ok((bytes, found))
    }

    /// Reads the bytes of these frames into the beginning of `memory`, one after the other, and says where each
    /// stands.
    pub(crate) fn read_frames(
        &self,
        numbers: &[usize],
        memory: &mut [u8],
    ) -> Result<Vec<Range<usize>>, ArchiveError> {
        let too_small = || io::Error::other("there is no room for the frames");
        let mut ranges = Vec::with_capacity(numbers.len());
        let mut end = 0;
        for &n in numbers {
            let start = end;
            end = start + len(self.tail.frames[n].compressed);
            ranges.push(start..end);
        }
        // Frames that are neighbours in the archive are read at once.
        let mut from = 0;
        while from < numbers.len() {
            let run = 1 + numbers[from..].windows(2).take_while(|pair| pair[1] == pair[0] + 1).count();
            let target = memory.get_mut(ranges[from].start..ranges[from + run - 1].end);
            self.source
                .read_exact_at(target.ok_or_else(too_small)?, self.tail.frames[numbers[from]].offset)?;
            from += run;
        }
        Ok(ranges)
    }

    /// The same, where every frame must lead from the state before it to its own. `holds` says what is in them.
    pub(crate) fn read_unaltered(
        &self,
        numbers: &[usize],
        memory: &mut Vec<u8>,
        holds: &str,
    ) -> Result<Vec<Range<usize>>, ArchiveError> {
        let records = &self.tail.frames;
        memory::resize(memory, numbers.iter().map(|&n| len(records[n].compressed)).sum())?;
        let ranges = self.read_frames(numbers, memory)?;
        let frames: Vec<&[u8]> = ranges.iter().map(|range| &memory[range.clone()]).collect();
        match numbers.iter().zip(self.altered(numbers, &frames)).find(|(_, altered)| *altered) {
            None => Ok(ranges),
            Some((&n, _)) => {
                let (start, end) = (records[n].offset, records[n].end());
                Err(Fault::FrameAltered { frame: n, start, end, holds: holds.into() }.into())
            }
        }
    }

    /// Which of these frames, given with their bytes, do not lead from the state before them to their own.
    pub(crate) fn altered(&self, numbers: &[usize], frames: &[&[u8]]) -> Vec<bool> {
        let before = |n: usize| n.checked_sub(1).and_then(|before| self.tail.frames.get(before));
        let mut states: Vec<_> = numbers
            .iter()
            .map(|&n| before(n).map_or_else(Sha256State::initial, |record| record.archive.clone()))
            .collect();
        let mut pieces: Vec<_> = states.iter_mut().zip(frames.iter().copied()).collect();
        update_all(&mut pieces);
        let expected = numbers.iter().map(|&n| self.tail.frames.get(n).map(|record| &record.archive));
        states.iter().zip(expected).map(|(state, expected)| Some(state) != expected).collect()
    }
}

/// A frame is at most a little over 8 MiB, which fits every `usize` of 32 bits or more.
pub(crate) fn len(of_frame: u32) -> usize {
    usize::try_from(of_frame).unwrap_or(usize::MAX)
}

/// Where a signed statement and the manifest name the same thing, they must agree.
fn disagreements(expected: &Expected, manifest: &Manifest) -> Vec<Fault> {
    let core = manifest.core();
    [
        ("name", expected.name.as_str(), core.name.as_str()),
        ("version", expected.version.as_str(), core.version.as_str()),
        ("classification", expected.classification.as_str(), core.classification.as_str()),
    ]
    .into_iter()
    .filter(|(_, signed, manifest)| signed != manifest)
    .map(|(what, signed, manifest)| Fault::Disagree {
        what,
        signed: signed.into(),
        manifest: manifest.into(),
    })
    .collect()
}

/// The tail, found from the end of the file: its last bytes, then what they say is missing.
fn find_tail(source: &impl ReadAt, size: u64) -> Result<Vec<u8>, ArchiveError> {
    let read = read_last(source, size, size.min(LAST_READ))?;
    let footer = read.len().checked_sub(SEEK_FOOTER).ok_or(TailFault::NoSeekTable)?;
    let table = Tail::seek_table_len(&read[footer..])?;
    let read = read_more(source, size, table, read)?;
    let at = read.len() - usize::try_from(table).map_err(|_| TailFault::TooLarge(table))?;
    let length = table + Tail::index_len(&read[at..])?;
    let mut read = read_more(source, size, length, read)?;
    let surplus = read.len() as u64 - length;
    read.drain(..usize::try_from(surplus).unwrap_or(0));
    Ok(read)
}

fn read_more(source: &impl ReadAt, size: u64, length: u64, read: Vec<u8>) -> Result<Vec<u8>, ArchiveError> {
    if length <= read.len() as u64 { Ok(read) } else { read_last(source, size, length) }
}

fn read_last(source: &impl ReadAt, size: u64, length: u64) -> Result<Vec<u8>, ArchiveError> {
    if length > crate::limits::TAIL_MAX {
        return Err(TailFault::TooLarge(length).into());
    }
    let offset = size.checked_sub(length).ok_or(TailFault::NoSeekTable)?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| TailFault::TooLarge(length))?];
    source.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
