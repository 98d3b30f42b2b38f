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
use crate::layout::{GatherCutter, Part, TagSection};
use crate::observer::{ContentObserver, FileObserver};
use crate::partial::Partial;
use crate::pipeline::{
    self, ArchiveWriter, Encoding, FilePlaces, FrameSink, Gathering, Layer, RawFrame, RawKind, Spared,
};
use crate::progress::{Cancelled, Progress};
use crate::publish;
use crate::reuse::Base;
use crate::source::{ReadError, Source, SourceEntry};
use crate::tail::{ManifestPlace, TailFault};

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
#[derive(Clone, Copy)]
pub struct PackOptions<'a> {
    /// How hard to compress.
    pub compression: Compression,
    /// How many threads compress; with one, the caller's does everything. The result does not depend on it.
    pub threads: NonZeroUsize,
    /// Earlier archives, whose compressed frames are used again where the content is the same. Those of another
    /// encoder are passed over. The result is the same as without them if they were made as their encoder id
    /// says, and the content is in any case.
    pub bases: &'a [Base],
    /// Who looks at the content of all files, also of those that need not be compressed again. The result does
    /// not depend on it.
    pub observer: Option<&'a dyn ContentObserver>,
}

/// Puts a layer between an archive and the file that it is written to.
pub type OpenLayer<'a> = Box<dyn FnOnce(File) -> io::Result<Box<dyn Layer>> + 'a>;

/// Where an archive is written until it has its name.
pub enum Place<'a> {
    /// Under a temporary name in this directory; if packing is cut short, it is gone.
    Temporary(&'a Path),
    /// The same, through a layer: the file does not hold the archive itself.
    Layered(&'a Path, OpenLayer<'a>),
    /// As a partial archive that is kept if packing is cut short, and continued.
    Resumable(Partial),
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
    /// There is no memory for content.
    #[error("{0}")]
    Memory(io::Error),
    /// It was told to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Another thread failed first; never returned while that one's error is known.
    #[error("stopped")]
    Stopped,
}

impl<'a> From<&'a Path> for Place<'a> {
    fn from(directory: &'a Path) -> Self {
        Self::Temporary(directory)
    }
}

/// An archive that is complete and on disk, but not yet under its name. Dropped, it is gone unless it is
/// resumable.
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
    /// What needed not be done again.
    pub spared: Spared,
    /// The archive, or what a layer made of it.
    pub file: NamedTempFile,
}

/// Packs a source into an archive, which does not have its name yet.
///
/// The archive is a pure function of the source's files, the description and the compression. `progress` is
/// told of bytes of the tar stream.
///
/// # Errors
/// A file that cannot be read or changes meanwhile, a directory that cannot be written, a manifest beyond the
/// limits. Nothing is left behind.
pub fn pack<'a>(
    source: &Source,
    description: &Description,
    options: PackOptions<'_>,
    place: impl Into<Place<'a>>,
    progress: &dyn Progress,
) -> Result<PackedArchive, PackError> {
    let PackOptions { compression, threads, bases, observer } = options;
    let encoder = EncoderId::current(compression);
    let bundle = description.core.name.as_str();
    let temporary = |directory: &Path| publish::temporary(directory).map_err(PackError::Write);
    let handle = |file: &NamedTempFile| file.as_file().try_clone().map_err(PackError::Write);
    let (file, layer, kept, journal) = match place.into() {
        Place::Temporary(directory) => (temporary(directory)?, None, None, None),
        Place::Layered(directory, open) => {
            let file = temporary(directory)?;
            let layer = open(handle(&file)?).map_err(PackError::Write)?;
            (file, Some(layer), None, None)
        }
        Place::Resumable(partial) => {
            let (file, kept, journal) = partial.start(&encoder).map_err(PackError::Write)?;
            (file, None, Some(kept), Some(journal))
        }
    };
    let mut writer = ArchiveWriter::new(handle(&file)?, layer, journal);
    let bases: Vec<_> = bases.iter().filter(|base| *base.encoder() == encoder).collect();
    let gather = |gathering: &mut Gathering| gather(source, bundle, observer, gathering);
    let encoding = Encoding { compression, threads, gather: &gather, kept: kept.as_ref(), bases: &bases };

    let mut digests = vec![None; source.entries.len()];
    let mut sampler = Encoder::new(compression)?;
    let produce = |sink: &mut FrameSink<'_>| {
        Producer { source, bundle, observer, encoder: &mut sampler, sink }.payload()
    };
    pipeline::run(produce, &encoding, progress, &mut writer, &mut digests)?;

    let manifest = description.manifest(source, &digests)?;
    drop(digests);
    finish(file, writer, manifest, encoder, &encoding, progress)
}

/// Writes what follows the payload: the tag files and the tail.
pub(crate) fn finish(
    file: NamedTempFile,
    mut writer: ArchiveWriter,
    manifest: Manifest,
    encoder: EncoderId,
    encoding: &Encoding<'_>,
    progress: &dyn Progress,
) -> Result<PackedArchive, PackError> {
    let manifest_bytes = manifest.to_bytes();
    let id = Manifest::id_of(&manifest_bytes);
    let tags = TagSection::new(&manifest, &manifest_bytes, id);
    let place = manifest_place(&tags, writer.frames());
    let produce = |sink: &mut FrameSink<'_>| tag_frames(&tags, sink);
    pipeline::run(produce, encoding, progress, &mut writer, &mut [])?;

    let spared = writer.spared();
    let count = writer.frames() as u64;
    let facts = writer.finish(encoder, place)?;
    file.as_file().sync_all().map_err(PackError::Write)?;
    Ok(PackedArchive { manifest, manifest_bytes, id, facts, frames: count, spared, file })
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
    let mut piece = Vec::new();
    for (segment, range) in tags.pieces() {
        piece.clear();
        tags.append(segment, range, &mut piece);
        let mut content = sink.buffer(piece.len())?;
        content.extend_from_slice(&piece);
        sink.push(RawFrame { content, kind: RawKind::Tag })?;
    }
    Ok(())
}

/// Reads the source and cuts it into raw frames.
struct Producer<'a, 's> {
    source: &'a Source,
    bundle: &'a str,
    observer: Option<&'a dyn ContentObserver>,
    /// For looking at samples.
    encoder: &'a mut Encoder,
    sink: &'a mut FrameSink<'s>,
}

/// How much is read at a time.
const STEP: usize = 128 << 10;

impl Producer<'_, '_> {
    fn payload(&mut self) -> Result<(), PackError> {
        let source = self.source;
        let mut cutter = GatherCutter::default();
        let (mut units, mut total) = (Vec::new(), 0);
        for (index, entry) in source.entries.iter().enumerate() {
            for (part, len) in entry.shape().units(self.bundle) {
                if part == Part::Content {
                    self.large_content(index, entry)?;
                    continue;
                }
                if cutter.ends_before(len) {
                    self.flush(&mut units, &mut total)?;
                }
                units.push((index, part));
                total += len;
                if cutter.ends_after(&entry.path, part, len) {
                    self.flush(&mut units, &mut total)?;
                }
            }
        }
        self.flush(&mut units, &mut total)
    }

    /// Hands over the units of a gather frame, which is read by whoever compresses it.
    fn flush(&mut self, units: &mut Vec<(usize, Part)>, total: &mut u64) -> Result<(), PackError> {
        let (units, total) = (std::mem::take(units), std::mem::take(total));
        if units.is_empty() {
            return Ok(());
        }
        let content = self.sink.buffer(header::len(total))?;
        self.sink.push_gathering(Gathering { units, content })
    }

    /// Cuts the content of a large file into frames.
    fn large_content(&mut self, index: usize, entry: &SourceEntry) -> Result<(), PackError> {
        let mut reader = ContentReader::open(self.source, entry, self.observer)?;
        let mut carried = Vec::new();
        loop {
            let mut content = self.sink.buffer(room(Grain::Fine, carried.len(), &reader))?;
            content.extend_from_slice(&carried);
            let missing = GRAIN_HEAD.saturating_sub(content.len());
            reader.append(&mut content, missing)?;
            let grain = self.encoder.grain(&content)?;
            if grain == Grain::Coarse && reader.left > 0 {
                content = self.sink.larger(&content, room(Grain::Coarse, content.len(), &reader))?;
            }
            let end = self.frame_end(&mut reader, &mut content, grain)?;
            carried.clear();
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
        content: &mut Buffer,
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

/// How much a frame may take, of which so many bytes are read: no more than the file has. A share of memory that is
/// far larger than what it pays for would keep others waiting.
fn room(grain: Grain, read: usize, reader: &ContentReader<'_>) -> usize {
    header::len(reader.left.saturating_add(read as u64)).min(grain.max() + STEP)
}

/// Reads a gather frame: headers, the content of small files, padding. Says where each file's content stands.
fn gather(
    source: &Source,
    bundle: &str,
    observer: Option<&dyn ContentObserver>,
    gathering: &mut Gathering,
) -> Result<FilePlaces, PackError> {
    let Gathering { units, content } = gathering;
    let mut files = Vec::with_capacity(units.len());
    let mut header = Vec::new();
    for &(index, part) in units.iter() {
        let entry = &source.entries[index];
        let size = entry.shape().size();
        if part != Part::Padding {
            header.clear();
            entry.shape().write_header(bundle, &mut header);
            content.extend_from_slice(&header);
        }
        if entry.kind == HeaderKind::Directory {
            continue;
        }
        if part == Part::Whole {
            let start = content.len();
            let mut reader = ContentReader::open(source, entry, observer)?;
            reader.append(content, header::len(size))?;
            reader.finish()?;
            files.push((index, start..content.len()));
        }
        if part != Part::Header {
            content.pad(header::len(padding(size)));
        }
    }
    Ok(files)
}

/// A file that is read from beginning to end and must stay what it was found to be. All content that is packed or
/// hashed comes through here, so that the observer misses nothing.
pub(crate) struct ContentReader<'a> {
    source: &'a Source,
    entry: &'a SourceEntry,
    file: File,
    observer: Option<Box<dyn FileObserver + 'a>>,
    /// Bytes not yet read.
    pub(crate) left: u64,
}

impl<'a> ContentReader<'a> {
    pub(crate) fn open(
        source: &'a Source,
        entry: &'a SourceEntry,
        observer: Option<&'a dyn ContentObserver>,
    ) -> Result<Self, ReadError> {
        let file = source.open_entry(entry)?;
        let left = entry.shape().size();
        let observer = observer.map(|observer| observer.file(&entry.path, left));
        Ok(Self { source, entry, file, observer, left })
    }

    fn io(&self, error: io::Error) -> ReadError {
        ReadError::Io { path: self.entry.path.clone(), error }
    }

    /// Appends the next `count` bytes, or what is left.
    pub(crate) fn append(&mut self, content: &mut Buffer, count: usize) -> Result<(), ReadError> {
        let read = self.fill(content.spare(count))?;
        content.filled(read);
        Ok(())
    }

    /// Reads the next bytes into `target`, as many as it holds or as are left, and says how many.
    pub(crate) fn fill(&mut self, target: &mut [u8]) -> Result<usize, ReadError> {
        let count = usize::try_from(self.left).map_or(target.len(), |left| left.min(target.len()));
        // In pieces that are still in the cache when the observer looks at them.
        for piece in target[..count].chunks_mut(STEP) {
            self.file.read_exact(piece).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ReadError::Changed(self.entry.path.clone()),
                _ => self.io(error),
            })?;
            self.left -= piece.len() as u64;
            if let Some(observer) = &mut self.observer {
                observer.update(piece);
            }
        }
        Ok(count)
    }

    /// Checks that the file ends here and is what it was.
    pub(crate) fn finish(&mut self) -> Result<(), ReadError> {
        match self.file.read(&mut [0]) {
            Ok(0) => self.source.check_unchanged(self.entry, &self.file)?,
            Ok(_) => return Err(ReadError::Changed(self.entry.path.clone())),
            Err(error) => return Err(self.io(error)),
        }
        if let Some(observer) = self.observer.take() {
            observer.finish();
        }
        Ok(())
    }
}
