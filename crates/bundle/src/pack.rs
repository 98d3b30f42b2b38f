//! From a directory to an archive: every input byte is read once.

use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::path::Path;

use consign_metadata::{
    BundleId, Core, DescriptorSection, FileEntry, Line, Manifest, ManifestError, ManifestParts, Sha256Digest,
};
use tempfile::NamedTempFile;

use crate::archive::ArchiveFacts;
use crate::budget::Buffer;
use crate::cutter::{Cutter, Grain};
use crate::encoder::{Compression, EncodeError, Encoder, EncoderId, GRAIN_HEAD};
use crate::header::{self, HeaderKind, padding};
use crate::layout::{GATHER_MAX, GatherCutter, Part, TagSection};
use crate::limits::TAG_PIECE;
use crate::pipeline::{self, ArchiveWriter, FrameSink, RawFrame, RawKind};
use crate::progress::{Cancelled, Progress};
use crate::publish;
use crate::source::{ReadError, Source, SourceEntry};
use crate::tail::{ManifestPlace, Tail, TailFault};

/// What the manifest says besides the list of files.
#[derive(Clone, Debug)]
pub struct Description {
    /// The frozen core of the descriptor.
    pub core: Core,
    /// Patterns of what was left out.
    pub exclude: Vec<Line>,
    /// The rest of the descriptor.
    pub descriptor: DescriptorSection,
}

impl Description {
    /// The manifest of the files of a source, with their digests, given in the order of its entries.
    pub(crate) fn manifest(
        &self,
        source: &Source,
        digests: &[Option<Sha256Digest>],
    ) -> Result<Manifest, PackError> {
        let mut files = Vec::new();
        let mut directories = Vec::new();
        for (entry, digest) in source.entries.iter().zip(digests) {
            match (entry.mode(), digest) {
                (Some(mode), Some(sha256)) => {
                    let size = entry.shape().size();
                    files.push(FileEntry { path: entry.path.clone(), size, mode, sha256: *sha256 });
                }
                (None, _) => directories.push(entry.path.clone()),
                // Nobody came to hash it.
                (Some(_), None) => return Err(PackError::Stopped),
            }
        }
        Ok(Manifest::new(ManifestParts {
            core: self.core.clone(),
            names: source.options().names,
            exclude: self.exclude.clone(),
            descriptor: self.descriptor.clone(),
            directories,
            files,
        })?)
    }
}

/// How to pack.
#[derive(Clone, Copy, Debug)]
pub struct PackOptions {
    /// How hard to compress.
    pub compression: Compression,
    /// How many threads compress. The result does not depend on it.
    pub threads: NonZeroUsize,
}

/// Why a source could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file could not be read, or changed meanwhile.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The archive could not be written.
    #[error("the archive cannot be written: {0}")]
    Write(io::Error),
    /// The manifest breaks a rule.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The archive would be larger than the format allows.
    #[error(transparent)]
    Tail(#[from] TailFault),
    /// Compression failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It was told to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Another thread failed first; never returned while that one's error is known.
    #[error("stopped")]
    Stopped,
}

/// An archive that is complete and on disk, but not yet under its name. Dropped, it is gone.
#[derive(Debug)]
pub struct PackedArchive {
    /// The manifest.
    pub manifest: Manifest,
    /// Its bytes.
    pub manifest_bytes: Vec<u8>,
    /// The bundle id.
    pub id: BundleId,
    /// Digest, size and tail of the archive.
    pub facts: ArchiveFacts,
    /// Number of frames.
    pub frames: u64,
    /// The archive.
    pub file: NamedTempFile,
}

/// Packs a source into an archive in the directory `out`, under a temporary name.
///
/// The archive is a pure function of the source's files, the description and the compression. `progress` is
/// told of bytes of the tar stream.
///
/// # Errors
/// A file that cannot be read or changes meanwhile, a directory that cannot be written, a manifest beyond the
/// limits. Nothing is left behind.
pub fn pack(
    source: &Source,
    description: &Description,
    options: PackOptions,
    out: &Path,
    progress: &dyn Progress,
) -> Result<PackedArchive, PackError> {
    let PackOptions { compression, threads } = options;
    let bundle = description.core.name.as_str();
    let file = publish::temporary(out).map_err(PackError::Write)?;
    let handle = file.as_file().try_clone().map_err(PackError::Write)?;
    let mut writer = ArchiveWriter::new(handle);

    let mut digests = vec![None; source.entries.len()];
    let mut stretch = Encoder::new(compression);
    let produce =
        |sink: &mut FrameSink<'_>| Producer { source, bundle, encoder: &mut stretch, sink }.payload();
    pipeline::run(produce, compression, threads, progress, &mut writer, &mut digests)?;

    let manifest = description.manifest(source, &digests)?;
    drop(digests);
    let manifest_bytes = manifest.to_bytes();
    let id = Manifest::id_of(&manifest_bytes);
    let tags = TagSection::new(&manifest, &manifest_bytes, id);
    let place = manifest_place(&tags, writer.frames());
    let produce = |sink: &mut FrameSink<'_>| tag_frames(&tags, sink);
    pipeline::run(produce, compression, threads, progress, &mut writer, &mut [])?;

    let (frames, state, handle) = writer.into_parts();
    let count = frames.len() as u64;
    let tail = Tail { encoder: EncoderId::current(compression), frames, manifest: place };
    let facts = ArchiveFacts::write_tail(&tail, state, handle)?;
    file.as_file().sync_all().map_err(PackError::Write)?;
    Ok(PackedArchive { manifest, manifest_bytes, id, facts, frames: count, file })
}

fn manifest_place(tags: &TagSection<'_>, first: usize) -> ManifestPlace {
    let is_manifest = |segment: &usize| *segment == TagSection::MANIFEST;
    let segments = || tags.pieces().map(|(segment, _)| segment);
    let before = segments().take_while(|segment| !is_manifest(segment)).count();
    let count = segments().filter(is_manifest).count();
    let size = tags.lens()[TagSection::MANIFEST] as u64;
    ManifestPlace { first: (first + before) as u64, count: count as u64, size }
}

fn tag_frames(tags: &TagSection<'_>, sink: &mut FrameSink<'_>) -> Result<(), PackError> {
    for (segment, range) in tags.pieces() {
        let mut content = sink.buffer(TAG_PIECE)?;
        tags.append(segment, range, &mut content);
        sink.push(RawFrame { content, kind: RawKind::Tag })?;
    }
    Ok(())
}

/// Reads the source and cuts it into raw frames.
struct Producer<'a, 's> {
    source: &'a Source,
    bundle: &'a str,
    /// For looking at samples.
    encoder: &'a mut Encoder,
    sink: &'a mut FrameSink<'s>,
}

/// A gather frame that is being filled.
struct Gathering {
    content: Buffer,
    files: Vec<(usize, std::ops::Range<usize>)>,
}

/// How much is read at a time while the end of a frame is looked for.
const STEP: usize = 128 << 10;

impl Producer<'_, '_> {
    fn payload(&mut self) -> Result<(), PackError> {
        let source = self.source;
        let mut cutter = GatherCutter::default();
        let mut gathering: Option<Gathering> = None;
        for (index, entry) in source.entries.iter().enumerate() {
            for (part, len) in entry.shape().units(self.bundle) {
                if part == Part::Content {
                    self.large_content(index, entry)?;
                    continue;
                }
                if cutter.ends_before(len) {
                    self.flush(&mut gathering)?;
                }
                let frame = match &mut gathering {
                    Some(frame) => frame,
                    None => gathering.insert(Gathering {
                        content: self.sink.buffer(header::len(GATHER_MAX))?,
                        files: Vec::new(),
                    }),
                };
                match part {
                    Part::Padding => pad(&mut frame.content, len),
                    _ => entry.shape().write_header(self.bundle, &mut frame.content),
                }
                if part == Part::Whole && entry.kind != HeaderKind::Directory {
                    let range = self.small_content(entry, &mut frame.content)?;
                    pad(&mut frame.content, padding(entry.shape().size()));
                    frame.files.push((index, range));
                }
                if cutter.ends_after(&entry.path, part, len) {
                    self.flush(&mut gathering)?;
                }
            }
        }
        self.flush(&mut gathering)
    }

    fn flush(&mut self, gathering: &mut Option<Gathering>) -> Result<(), PackError> {
        match gathering.take() {
            Some(Gathering { content, files }) => {
                self.sink.push(RawFrame { content, kind: RawKind::Gather(files) })
            }
            None => Ok(()),
        }
    }

    /// Appends the content of a small file, and says where it stands.
    fn small_content(
        &self,
        entry: &SourceEntry,
        content: &mut Vec<u8>,
    ) -> Result<std::ops::Range<usize>, PackError> {
        let start = content.len();
        let mut reader = ContentReader::open(self.source, entry)?;
        reader.append(content, header::len(entry.shape().size()))?;
        reader.finish()?;
        Ok(start..content.len())
    }

    /// Cuts the content of a large file into frames.
    fn large_content(&mut self, index: usize, entry: &SourceEntry) -> Result<(), PackError> {
        let mut reader = ContentReader::open(self.source, entry)?;
        let mut carried = Vec::with_capacity(GRAIN_HEAD);
        reader.append(&mut carried, GRAIN_HEAD)?;
        let grain = self.encoder.grain(&carried)?;
        loop {
            let mut content = self.sink.buffer(grain.max() + STEP)?;
            content.append(&mut carried);
            let end = self.frame_end(&mut reader, &mut content, grain)?;
            carried.extend_from_slice(&content[end..]);
            content.truncate(end);
            let last = reader.left == 0 && carried.is_empty();
            if last {
                reader.finish()?;
            }
            self.sink.push(RawFrame { content, kind: RawKind::Content { entry: index, grain, last } })?;
            if last {
                return Ok(());
            }
        }
    }

    fn frame_end(
        &self,
        reader: &mut ContentReader<'_>,
        content: &mut Vec<u8>,
        grain: Grain,
    ) -> Result<usize, PackError> {
        let mut cutter = Cutter::new(grain);
        loop {
            if let Some(end) = cutter.find(content) {
                return Ok(end);
            }
            if reader.left == 0 {
                return Ok(content.len());
            }
            let missing = grain.min().saturating_sub(content.len());
            reader.append(content, missing.max(STEP))?;
        }
    }
}

fn pad(content: &mut Vec<u8>, len: u64) {
    content.resize(content.len() + header::len(len), 0);
}

/// A file that is read from beginning to end and must stay what it was found to be.
pub(crate) struct ContentReader<'a> {
    source: &'a Source,
    entry: &'a SourceEntry,
    file: File,
    /// Bytes not yet read.
    pub(crate) left: u64,
}

impl<'a> ContentReader<'a> {
    pub(crate) fn open(source: &'a Source, entry: &'a SourceEntry) -> Result<Self, ReadError> {
        let file = source.open_entry(entry)?;
        Ok(Self { source, entry, file, left: entry.shape().size() })
    }

    fn io(&self, error: io::Error) -> ReadError {
        ReadError::Io { path: self.entry.path.clone(), error }
    }

    /// Appends the next `count` bytes, or what is left.
    pub(crate) fn append(&mut self, content: &mut Vec<u8>, count: usize) -> Result<(), ReadError> {
        let start = content.len();
        let count = usize::try_from(self.left).map_or(count, |left| left.min(count));
        content.resize(start + count, 0);
        match self.file.read_exact(&mut content[start..]) {
            Ok(()) => {
                self.left -= count as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(ReadError::Changed(self.entry.path.clone()))
            }
            Err(error) => Err(self.io(error)),
        }
    }

    /// Checks that the file ends here and is what it was.
    pub(crate) fn finish(&mut self) -> Result<(), ReadError> {
        match self.file.read(&mut [0]) {
            Ok(0) => self.source.check_unchanged(self.entry, &self.file),
            Ok(_) => Err(ReadError::Changed(self.entry.path.clone())),
            Err(error) => Err(self.io(error)),
        }
    }
}
