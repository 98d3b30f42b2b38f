//! What is to be packed: a directory, looked at once before anything is read.
//!
//! Everything that can be wrong with names, links and kinds of files is found here, all of it at once.

mod exclude;
mod fault;
mod found;
mod walk;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
#[cfg(not(unix))]
use std::time::SystemTime;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use consign_metadata::{EntryPath, FileMode, Line, NameProfile, NameSet};

pub use self::fault::{LinkTarget, ReadError, SourceError, SourceFault, count_by_rule};
pub use self::found::{FindError, Finder};

use self::exclude::Pattern;
use self::walk::Walk;
use crate::header::HeaderKind;
use crate::layout::Shape;

/// What to do with symbolic links in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LinkPolicy {
    /// A link is an error that names it and its target.
    #[default]
    Refuse,
    /// Links are followed where they lead into the source or into one of these directories; elsewhere they are
    /// errors.
    Follow {
        /// Directories besides the source.
        into: Vec<PathBuf>,
    },
}

/// How to look at a source.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// Which names are admitted.
    pub names: NameProfile,
    /// Patterns of what is left out. A pattern without `/` matches a name at any depth; one with `/` matches
    /// from the top of the source; one that ends in `/` matches directories only. `*` and `?` do not match `/`,
    /// `**` does. What lies below a directory that matches is left out with it.
    pub exclude: Vec<Line>,
    /// Whether version-control folders are packed like anything else.
    pub include_vcs: bool,
    /// What to do with symbolic links.
    pub links: LinkPolicy,
    /// A file that is not payload, relative to the source: the descriptor.
    pub descriptor: Option<PathBuf>,
}

/// A directory as it was found: every file and empty directory, in bytewise order of their paths.
#[derive(Debug)]
pub struct Source {
    roots: Vec<Root>,
    pub(crate) entries: Vec<SourceEntry>,
    excluded: Vec<Excluded>,
    summary: SourceSummary,
    modes: SourceModes,
    options: SourceOptions,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    dir: Dir,
}

/// How many files a pattern left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// The pattern.
    pub pattern: Line,
    /// Number of files.
    pub files: u64,
}

/// Counts over a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceSummary {
    /// Number of files.
    pub files: u64,
    /// Number of empty directories.
    pub directories: u64,
    /// Sum of the sizes of all files, in bytes.
    pub bytes: u64,
    /// Bytes that the files occupy on disk where the platform tells (less than `bytes` for sparse files).
    pub allocated: u64,
    /// Files that have other names too (hard links); each is packed as a file of its own.
    pub hard_links: u64,
    /// Files reached through symbolic links.
    pub followed: u64,
}

/// One file or empty directory of a source.
#[derive(Debug)]
pub(crate) struct SourceEntry {
    pub(crate) path: EntryPath,
    pub(crate) kind: HeaderKind,
    identity: Identity,
    /// Where it is read from, if not at its own path below the source.
    place: Option<Box<Place>>,
}

/// A place to read a file from.
#[derive(Clone, Debug)]
struct Place {
    /// Index of the root.
    root: usize,
    /// Path below it.
    path: PathBuf,
    /// Whether the mode is not taken from there.
    other_mode: bool,
}

impl SourceEntry {
    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape { path: &self.path, kind: self.kind }
    }

    fn take_as_regular(&mut self) {
        if let HeaderKind::File { mode, .. } = &mut self.kind {
            *mode = FileMode::Regular.bits();
        }
    }

    /// The mode that the manifest records; `None` for a directory.
    pub(crate) fn mode(&self) -> Option<FileMode> {
        match self.kind {
            HeaderKind::File { mode: 0o755, .. } => Some(FileMode::Executable),
            HeaderKind::File { .. } => Some(FileMode::Regular),
            HeaderKind::Directory => None,
        }
    }
}

/// What must be the same before and after a file is read, besides its kind.
///
/// The number of its inode is not: some file systems over a network give another one at each look, and what is packed is
/// what was read, whichever file that was. Another file put in its place shows in the times, of which the second cannot
/// be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Identity {
    modified: Time,
    changed: Time,
}

/// Nanoseconds since 1970, modulo 2^64: for telling whether two times are the same. There may be millions.
type Time = i64;

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: modified(metadata), changed: status_changed(metadata) }
    }
}

/// What the modes of the files in a source say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceModes {
    /// Which files are executable.
    Told,
    /// Nothing: every file is shown as executable, or none is, by a file system that may do so whatever is set. All are
    /// taken as not executable.
    Untold {
        /// Whether all are shown as executable.
        executable: bool,
    },
}

impl SourceModes {
    fn of(root: &Root, entries: &[SourceEntry]) -> Self {
        let mut modes = entries.iter().filter_map(SourceEntry::mode);
        match modes.next() {
            Some(first) if modes.all(|mode| mode == first) && consign_files::may_lose_modes(&root.dir) => {
                Self::Untold { executable: first == FileMode::Executable }
            }
            _ => Self::Told,
        }
    }
}

fn kind_of(metadata: &Metadata) -> HeaderKind {
    HeaderKind::File { size: metadata.len(), mode: mode_of(metadata).bits() }
}

/// Whether a file can be opened for reading, as far as that can be told without opening it. What everybody may read needs
/// not be asked for: that is one question less for nearly every file, before the first byte is read.
#[cfg(unix)]
fn check_readable(dir: &Dir, name: &OsStr, metadata: &Metadata) -> io::Result<()> {
    use cap_std::fs::MetadataExt as _;
    use rustix::fs::{Access, AtFlags, accessat};
    const BY_EVERYBODY: u32 = 0o444;
    if metadata.mode() & BY_EVERYBODY == BY_EVERYBODY {
        return Ok(());
    }
    Ok(accessat(dir, name, Access::READ_OK, AtFlags::empty())?)
}

#[cfg(not(unix))]
fn check_readable(_: &Dir, _: &OsStr, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> FileMode {
    use cap_std::fs::MetadataExt as _;
    if metadata.mode() & 0o100 == 0 { FileMode::Regular } else { FileMode::Executable }
}

#[cfg(not(unix))]
fn mode_of(_: &Metadata) -> FileMode {
    FileMode::Regular
}

#[cfg(unix)]
fn modified(metadata: &Metadata) -> Time {
    use cap_std::fs::MetadataExt as _;
    time(metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(not(unix))]
fn modified(metadata: &Metadata) -> Time {
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
    let modified = metadata.modified().ok().and_then(|time| since(time.into_std()));
    modified.map_or(0, |since| time(since.as_secs().cast_signed(), since.subsec_nanos().into()))
}

/// When content or status was changed last: unlike the time of modification, nobody can set it back.
#[cfg(unix)]
fn status_changed(metadata: &Metadata) -> Time {
    use cap_std::fs::MetadataExt as _;
    time(metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn status_changed(_: &Metadata) -> Time {
    0
}

fn time(seconds: i64, nanoseconds: i64) -> Time {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds)
}

#[cfg(unix)]
fn allocated(metadata: &Metadata) -> u64 {
    use cap_std::fs::MetadataExt as _;
    (metadata.blocks() * 512).min(metadata.len())
}

#[cfg(not(unix))]
fn allocated(metadata: &Metadata) -> u64 {
    metadata.len()
}

impl Source {
    /// Looks at a directory and everything below it. No content is read.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn scan(path: &Path, options: SourceOptions) -> Result<Self, SourceError> {
        let (source, faults) = Self::scan_all(path, options)?;
        if !faults.is_empty() {
            return Err(SourceError::Faults(faults));
        }
        if source.summary.files == 0 {
            return Err(SourceError::Empty);
        }
        Ok(source)
    }

    /// The same, with what is wrong beside what is in order; a directory without files passes. For whoever
    /// reports on a directory and does not pack it.
    ///
    /// # Errors
    /// A directory cannot be opened, or a pattern is malformed.
    pub fn scan_all(path: &Path, options: SourceOptions) -> Result<(Self, Vec<SourceFault>), SourceError> {
        let mut roots = vec![open_root(path)?];
        // As paths are spelled here.
        let descriptor = options.descriptor.iter().flat_map(|path| path.components());
        let descriptor: PathBuf = descriptor.filter(|part| *part != Component::CurDir).collect();
        if let LinkPolicy::Follow { into } = &options.links {
            for path in into {
                roots.push(open_root(path)?);
            }
        }
        let patterns = options.exclude.iter().map(Pattern::new).collect::<Result<Vec<_>, _>>()?;
        let mut walk = Walk {
            excluded: patterns.iter().map(|p| Excluded { pattern: p.text.clone(), files: 0 }).collect(),
            patterns,
            roots: &roots,
            options: &options,
            descriptor,
            entries: Vec::new(),
            faults: Vec::new(),
            summary: SourceSummary::default(),
        };
        match roots[0].dir.try_clone() {
            Ok(dir) => walk.directory(&dir, Path::new(""), Some((0, PathBuf::new())), &mut Vec::new()),
            Err(error) => return Err(SourceError::Open { path: path.into(), error }),
        };
        let Walk { mut entries, mut faults, excluded, mut summary, .. } = walk;
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut names = NameSet::new(options.names);
        for entry in &entries {
            if let Err(fault) = names.insert(&entry.path) {
                faults.push(fault.into());
            }
        }
        // Whatever order the system lists a directory in.
        faults.sort_by(|a, b| a.path().cmp(&b.path()));
        summary.directories = entries.len() as u64 - summary.files;
        // The order in which a file system lists things means nothing.
        faults.sort_by(|a, b| a.place().cmp(b.place()));
        let modes = SourceModes::of(&roots[0], &entries);
        if modes != SourceModes::Told {
            for entry in &mut entries {
                entry.take_as_regular();
            }
        }
        Ok((Self { roots, entries, excluded, summary, modes, options }, faults))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.roots[0].path
    }

    /// How it was looked at.
    pub fn options(&self) -> &SourceOptions {
        &self.options
    }

    /// Whether something at `path`, below the source, would be left out, by itself or by a directory it lies in.
    pub fn leaves_out(&self, path: &Path) -> bool {
        let patterns: Vec<_> = self.options.exclude.iter().flat_map(Pattern::new).collect();
        let above = path.ancestors().filter(|above| *above != Path::new(""));
        above.into_iter().any(|above| patterns.iter().any(|pattern| pattern.matches(above, true)))
    }

    /// How many files each pattern left out.
    pub fn excluded(&self) -> &[Excluded] {
        &self.excluded
    }

    /// Counts.
    pub fn summary(&self) -> SourceSummary {
        self.summary
    }

    /// What the modes of its files say.
    pub fn modes(&self) -> SourceModes {
        self.modes
    }

    /// Paths, sizes and modes of all files, in order.
    pub fn files(&self) -> impl Iterator<Item = (&EntryPath, u64, FileMode)> {
        self.entries
            .iter()
            .filter_map(|entry| entry.mode().map(|mode| (&entry.path, entry.shape().size(), mode)))
    }

    /// Opens a file as it was found, for instance to look at its beginning.
    ///
    /// # Errors
    /// It cannot be opened, or is another file than the one that was found.
    pub fn open(&self, path: &EntryPath) -> Result<File, ReadError> {
        let missing = || ReadError::Io { path: path.clone(), error: io::ErrorKind::NotFound.into() };
        let found = self.entries.binary_search_by(|entry| entry.path.cmp(path)).map_err(|_| missing())?;
        self.open_entry(&self.entries[found])
    }

    /// Opens a file and checks that it is the one that was found.
    pub(crate) fn open_entry(&self, entry: &SourceEntry) -> Result<File, ReadError> {
        let place = Path::new(entry.path.as_str());
        let (root, place) =
            entry.place.as_deref().map_or((0, place), |place| (place.root, place.path.as_path()));
        // Not following the last link and not blocking on a pipe that took the file's place meanwhile.
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        let io = |error| ReadError::Io { path: entry.path.clone(), error };
        let file = self.roots[root].dir.open_with(place, &options).map_err(io)?;
        let file = file.into_std();
        self.check_unchanged(entry, &file)?;
        Ok(file)
    }

    /// Checks that an open file still is what was found.
    pub(crate) fn check_unchanged(&self, entry: &SourceEntry, file: &File) -> Result<(), ReadError> {
        let metadata = Metadata::from_file(file);
        let metadata = metadata.map_err(|error| ReadError::Io { path: entry.path.clone(), error })?;
        let other_mode =
            self.modes != SourceModes::Told || entry.place.as_ref().is_some_and(|place| place.other_mode);
        let same_kind = match other_mode {
            true => metadata.len() == entry.shape().size(),
            false => kind_of(&metadata) == entry.kind,
        };
        let same = || same_kind && Identity::of(&metadata) == entry.identity;
        if metadata.is_file() && same() { Ok(()) } else { Err(ReadError::Changed(entry.path.clone())) }
    }
}

fn open_root(path: &Path) -> Result<Root, SourceError> {
    let open = || {
        let path = std::fs::canonicalize(path)?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority())?;
        Ok(Root { path, dir })
    };
    open().map_err(|error| SourceError::Open { path: path.into(), error })
}
