//! A new version of a bundle with another descriptor, out of the old archive alone: the frames of the payload are
//! taken as they are, tag files and tail are made anew.
//!
//! The payload's frames depend on the files and the bundle's name, not on its version, and the states of SHA-256
//! along them stand in the old tail. What comes out is what packing the same files with the new descriptor gives.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;

use consign_metadata::{Core, DescriptorSection, Manifest, ManifestError, ManifestParts};

use crate::archive::{Anchor, Archive, ArchiveError, ReadAt};
use crate::encoder::EncoderId;
use crate::pack::{PackError, PackedArchive, finish};
use crate::pipeline::{ArchiveWriter, Encoding, Gathering};
use crate::progress::{Cancelled, Progress};
use crate::publish;
use crate::verify::payload_frames;

/// How the frames of the payload get into the new archive.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// Each is read and checked against the states around it: what comes out is what was signed.
    Checked,
    /// The file is copied unread, as fast as the file system can share it. If it is not what was signed, neither is
    /// what comes out, and verification will say so.
    Unseen(&'a File),
}

/// Why a bundle could not be amended.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// The old archive was not held against a signed statement.
    #[error("the archive was not held against a signed statement")]
    NotAnchored,
    /// The name is another one, on which every frame depends.
    #[error(
        "the bundle is called `{found}`, the new descriptor calls it `{wanted}`; an amended bundle keeps its name"
    )]
    Name {
        /// Name of the bundle.
        found: String,
        /// Name in the new descriptor.
        wanted: String,
    },
    /// The version is the old one.
    #[error("the version is still {0}")]
    SameVersion(String),
    /// The old archive is not in order.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The new archive could not be made.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Frames that are read and checked together.
const BATCH: usize = 8;

/// The manifest of a bundle with another descriptor: names, patterns, directories and files stay.
///
/// # Errors
/// The name is another one, the version the same, or the manifest goes beyond a limit.
pub fn amended_manifest(
    manifest: Manifest,
    core: &Core,
    descriptor: &DescriptorSection,
) -> Result<Manifest, AmendError> {
    let old = manifest.core();
    if old.name != core.name {
        return Err(AmendError::Name { found: old.name.to_string(), wanted: core.name.to_string() });
    }
    if old.version == core.version {
        return Err(AmendError::SameVersion(core.version.to_string()));
    }
    let parts = ManifestParts {
        core: core.clone(),
        names: manifest.names(),
        exclude: manifest.exclude().to_vec(),
        descriptor: descriptor.clone(),
        directories: manifest.directories().to_vec(),
        files: manifest.files().to_vec(),
    };
    drop(manifest);
    Manifest::new(parts).map_err(|error: ManifestError| PackError::from(error).into())
}

/// Makes an archive of the same files with another descriptor, in `directory`, which does not have its name yet. The
/// old one must be held against a signed statement. `progress` is told of bytes of the old archive's payload.
///
/// If the old archive was made by the encoder of this program, the new one is what [`pack`](crate::pack()) makes of
/// the files. Else the frames of the payload stay as they are, and the encoder id says that the tag files are another
/// encoder's.
///
/// # Errors
/// The old archive is not what was signed, as far as it is looked at; the name is another one; it cannot be written.
/// Nothing is left behind.
pub fn amend<R: ReadAt>(
    archive: &Archive<'_, R>,
    core: &Core,
    descriptor: &DescriptorSection,
    payload: Payload<'_>,
    directory: &Path,
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<PackedArchive, AmendError> {
    let Anchor::Signed(_) = archive.anchor() else { return Err(AmendError::NotAnchored) };
    let (manifest, bytes) = archive.manifest()?;
    let count = payload_frames(archive, &manifest, &bytes)?;
    drop(bytes);
    let manifest = amended_manifest(manifest, core, descriptor)?;
    let records = archive.tail.frames[..count].to_vec();
    let mut file = publish::temporary(directory).map_err(PackError::Write)?;
    match payload {
        Payload::Checked => copy_checked(archive, count, &mut file, progress)?,
        Payload::Unseen(source) => {
            let end = records.last().map_or(0, crate::tail::FrameRecord::end);
            copy_unseen(source, end, file.as_file_mut()).map_err(PackError::Write)?;
            progress.advance(end);
        }
    }
    let old = &archive.facts().encoder;
    let compression = old.compression().unwrap_or_default();
    let encoder = old.with_tags_by(&EncoderId::current(compression));
    let handle = file.as_file().try_clone().map_err(PackError::Write)?;
    let writer = ArchiveWriter::after(handle, records).map_err(PackError::Write)?;
    // There is nothing to gather: the payload is there.
    let gather = |_: &mut Gathering| Err(PackError::Stopped);
    let encoding = Encoding { compression, threads, gather: &gather, kept: None, bases: &[] };
    Ok(finish(file, writer, manifest, encoder, &encoding, &Quiet(progress))?)
}

fn copy_checked<R: ReadAt>(
    archive: &Archive<'_, R>,
    count: usize,
    out: &mut impl io::Write,
    progress: &dyn Progress,
) -> Result<(), AmendError> {
    let numbers: Vec<usize> = (0..count).collect();
    let mut memory = Vec::new();
    for batch in numbers.chunks(BATCH) {
        if progress.cancelled() {
            return Err(ArchiveError::from(Cancelled).into());
        }
        archive.read_unaltered(batch, &mut memory, "part of the payload")?;
        out.write_all(&memory).map_err(PackError::Write)?;
        progress.advance(memory.len() as u64);
    }
    Ok(())
}

/// The standard library lets the kernel do it, which shares blocks where the file system can.
fn copy_unseen(mut source: &File, len: u64, target: &mut File) -> io::Result<()> {
    io::Seek::rewind(&mut source)?;
    let copied = io::copy(&mut source.take(len), target)?;
    if copied == len { target.flush() } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Does not count the tag files, which come on top.
struct Quiet<'a>(&'a dyn Progress);

impl Progress for Quiet<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}
