//! A directory held against a manifest: one that was unpacked, or sealed where it lies.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use consign_metadata::{EntryPath, FileMode, Manifest, ManifestEntry, NameProfile, Sha256Digest};

use crate::bagit::{BAGIT, MANIFEST_PATH, TagFiles};
use crate::crew::side_by_side;
use crate::hash::{hash_entry, read_buffer};
use crate::header::HeaderKind;
use crate::pack::PackError;
use crate::progress::Progress;
use crate::source::{ReadError, Source, SourceEntry, SourceError, SourceModes, SourceOptions};

/// How a directory is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeLayout {
    /// The payload itself.
    Payload,
    /// A bag: payload under `data/`, tag files beside it.
    Bag,
}

/// One way in which a directory differs from its manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeFault {
    /// Something is not there.
    #[error("`{0}` is missing")]
    Missing(String),
    /// Something is there that the manifest does not list.
    #[error("`{0}` is not in the manifest")]
    Extra(String),
    /// A file has another size.
    #[error("`{path}` has {found} bytes, where the manifest has {expected}")]
    Size {
        /// The file.
        path: String,
        /// Size in the manifest.
        expected: u64,
        /// Size of the file.
        found: u64,
    },
    /// A file has another content of the same size.
    #[error("`{0}` has another content than the manifest says")]
    Content(String),
    /// A file may be executed where the manifest says not, or the other way.
    #[error("`{0}` has another executable bit than the manifest says")]
    Mode(String),
    /// A link, a device, a name that no manifest can hold.
    #[error("{0}")]
    Foreign(String),
}

impl TreeFault {
    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "file-missing",
            Self::Extra(_) => "file-extra",
            Self::Size { .. } | Self::Content(_) => "file-altered",
            Self::Mode(_) => "file-mode",
            Self::Foreign(_) => "file-foreign",
        }
    }
}

/// Why a directory was not compared.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// It cannot be opened.
    #[error(transparent)]
    Source(SourceError),
    /// A file cannot be read, or changes while it is read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was told to stop.
    #[error(transparent)]
    Cancelled(#[from] crate::progress::Cancelled),
}

/// How a directory differs from its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeComparison {
    /// Every difference: of tag files, of what is foreign, of names and sizes, of contents, each in order of paths. None
    /// means that the directory is exactly what the manifest lists, but for modes that could not be compared.
    pub faults: Vec<TreeFault>,
    /// Whether the manifest lists modes that the file system does not show: it shows one for all files.
    pub modes_untold: bool,
}

/// Compares a directory with a manifest: nothing is ignored, no link is followed. The result speaks of the
/// moment of reading.
///
/// # Errors
/// The directory cannot be read.
pub fn compare_directory(
    directory: &Path,
    manifest: &Manifest,
    layout: TreeLayout,
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<TreeComparison, TreeError> {
    let mut faults = Vec::new();
    let payload = match layout {
        TreeLayout::Payload => directory.to_path_buf(),
        TreeLayout::Bag => {
            compare_tags(directory, manifest, &mut faults)?;
            directory.join("data")
        }
    };
    let options = SourceOptions { names: NameProfile::Posix, include_vcs: true, ..SourceOptions::default() };
    let (source, foreign) = Source::scan_all(&payload, options).map_err(TreeError::Source)?;
    faults.extend(foreign.iter().map(|fault| TreeFault::Foreign(fault.to_string())));
    // A link or device that stands where an entry should is reported once, as what it is.
    let foreign: HashSet<&str> = foreign.iter().filter_map(|fault| fault.place().to_str()).collect();
    let is_foreign = |path: &EntryPath| foreign.contains(path.as_str());

    let modes_untold = match source.modes() {
        SourceModes::Told => false,
        SourceModes::Untold { executable } => {
            let shown = if executable { FileMode::Executable } else { FileMode::Regular };
            manifest.files().iter().any(|file| file.mode != shown)
        }
    };
    let mut same_size = Vec::new();
    let mut there = source.entries.iter().peekable();
    let mut listed = manifest.entries().peekable();
    loop {
        let order = match (there.peek(), listed.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(entry), Some(expected)) => entry.path.cmp(expected.path()),
        };
        let found = if order.is_le() { there.next() } else { None };
        let expected = if order.is_ge() { listed.next() } else { None };
        match (found, expected) {
            (Some(entry), None) => faults.push(TreeFault::Extra(entry.path.as_str().into())),
            (None, Some(expected)) if !is_foreign(expected.path()) => {
                faults.push(TreeFault::Missing(expected.path().as_str().into()));
            }
            (Some(entry), Some(expected)) => {
                compare_shape((entry, source.modes()), &expected, &mut faults, &mut same_size);
            }
            _ => {}
        }
    }
    faults.extend(compare_contents(&source, &same_size, threads, progress)?);
    Ok(TreeComparison { faults, modes_untold })
}

fn compare_shape<'a>(
    (entry, modes): (&'a SourceEntry, SourceModes),
    expected: &ManifestEntry<'a>,
    faults: &mut Vec<TreeFault>,
    same_size: &mut Vec<(&'a SourceEntry, &'a consign_metadata::FileEntry)>,
) {
    let path = || entry.path.as_str().to_owned();
    match (expected.file(), entry.kind) {
        (None, HeaderKind::Directory) => {}
        (Some(file), HeaderKind::File { size, .. }) if size == file.size => {
            if cfg!(unix) && modes == SourceModes::Told && entry.mode() != Some(file.mode) {
                faults.push(TreeFault::Mode(path()));
            }
            same_size.push((entry, file));
        }
        (Some(file), HeaderKind::File { size, .. }) => {
            faults.push(TreeFault::Size { path: path(), expected: file.size, found: size });
        }
        _ => faults.extend([TreeFault::Missing(path()), TreeFault::Extra(path())]),
    }
}

/// Files of the right size whose content is another, in order.
fn compare_contents(
    source: &Source,
    files: &[(&SourceEntry, &consign_metadata::FileEntry)],
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<Vec<TreeFault>, TreeError> {
    let next = AtomicUsize::new(0);
    let altered = Mutex::new(Vec::new());
    let work = || -> Result<(), TreeError> {
        let mut buffer = read_buffer();
        while let Some((entry, file)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let digest = hash_entry(source, entry, &mut buffer, None, progress).map_err(|error| {
                // Nobody needs to begin another file.
                next.store(usize::MAX / 2, Ordering::Relaxed);
                hash_error(error)
            })?;
            if digest != file.sha256
                && let Ok(mut altered) = altered.lock()
            {
                altered.push(entry.path.as_str().to_owned());
            }
        }
        Ok(())
    };
    side_by_side(threads.get(), work, || TreeError::Cancelled(crate::progress::Cancelled))?;
    let mut altered = altered.into_inner().unwrap_or_default();
    altered.sort_unstable();
    Ok(altered.into_iter().map(TreeFault::Content).collect())
}

fn hash_error(error: PackError) -> TreeError {
    match error {
        PackError::Read(error) => TreeError::Read(error),
        _ => TreeError::Cancelled(crate::progress::Cancelled),
    }
}

/// The tag files of a bag are exactly those that follow from the manifest, and there is nothing beside them.
fn compare_tags(bag: &Path, manifest: &Manifest, faults: &mut Vec<TreeFault>) -> Result<(), TreeError> {
    let bytes = manifest.to_bytes();
    let (manifest_len, id) = (bytes.len(), Manifest::id_of(&bytes));
    drop(bytes);
    let tags = TagFiles::of(manifest, id);
    let text = |path, text: &str| (path, text.len(), Sha256Digest::of(text.as_bytes()));
    let expected = [
        text("bag-info.txt", &tags.bag_info),
        text("bagit.txt", BAGIT),
        (MANIFEST_PATH, manifest_len, id.0),
        ("manifest-sha256.txt", tags.manifest_sha256.len(), tags.manifest_sha256.digest()),
        text("tagmanifest-sha256.txt", &tags.tagmanifest_sha256),
    ];
    let exclude = "/data/".parse().map_err(|_| TreeError::Cancelled(crate::progress::Cancelled));
    let options = SourceOptions {
        names: NameProfile::Posix,
        include_vcs: true,
        exclude: vec![exclude?],
        ..SourceOptions::default()
    };
    let (source, foreign) = Source::scan_all(bag, options).map_err(TreeError::Source)?;
    faults.extend(foreign.iter().map(|fault| TreeFault::Foreign(fault.to_string())));
    let mut buffer = read_buffer();
    for (path, len, digest) in expected {
        match source.entries.iter().find(|entry| entry.path.as_str() == path) {
            None => faults.push(TreeFault::Missing(path.into())),
            Some(entry) => {
                let same = entry.shape().size() == len as u64
                    && hash_entry(&source, entry, &mut buffer, None, &()).map_err(hash_error)? == digest;
                if !same {
                    faults.push(TreeFault::Content(path.into()));
                }
            }
        }
    }
    let extra = |entry: &&SourceEntry| expected.iter().all(|(path, ..)| *path != entry.path.as_str());
    faults.extend(
        source.entries.iter().filter(extra).map(|entry| TreeFault::Extra(entry.path.as_str().into())),
    );
    Ok(())
}
