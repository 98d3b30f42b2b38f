//! What is to be packed: a directory, looked at once before anything is read.
//!
//! Everything that can be wrong with names, links and kinds of files is found here, all of it at once.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use cap_fs_ext::{
    DirExt as _, FollowSymlinks, MetadataExt as _, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _,
};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use consign_metadata::limits::PATH_DEPTH_MAX;
use consign_metadata::{EntryKind, EntryPath, FileMode, Line, NameFault, NameProfile, NameRule, NameSet};
use globset::{GlobBuilder, GlobMatcher};

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
    /// Where it is read from, if not at its own path below the source: index of the root, path below it.
    place: Option<(usize, PathBuf)>,
}

impl SourceEntry {
    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape { path: &self.path, kind: self.kind }
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

/// What must be the same before and after a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
    changed: Option<(i64, i64)>,
    mode: FileMode,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: metadata.modified().ok().map(cap_std::time::SystemTime::into_std),
            changed: status_changed(metadata),
            mode: mode_of(metadata),
        }
    }
}

#[cfg(unix)]
fn check_readable(dir: &Dir, name: &OsStr) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, accessat};
    Ok(accessat(dir, name, Access::READ_OK, AtFlags::empty())?)
}

#[cfg(not(unix))]
fn check_readable(_: &Dir, _: &OsStr) -> io::Result<()> {
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

/// When content or status was changed last: unlike the time of modification, nobody can set it back.
#[cfg(unix)]
fn status_changed(metadata: &Metadata) -> Option<(i64, i64)> {
    use cap_std::fs::MetadataExt as _;
    Some((metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(not(unix))]
fn status_changed(_: &Metadata) -> Option<(i64, i64)> {
    None
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

/// One thing in a source that cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// A symbolic link.
    #[error("`{}` is a symbolic link to `{}`", shown(path), shown(target))]
    Link {
        /// The link, below the source.
        path: PathBuf,
        /// Its target as it stands in the link.
        target: PathBuf,
        /// Where it leads.
        leads: LinkTarget,
    },
    /// A socket, pipe or device.
    #[error("`{}` is neither a file nor a directory", shown(.0))]
    Special(PathBuf),
    /// A version-control folder.
    #[error("`{}` belongs to version control", shown(path))]
    VersionControl {
        /// The folder, below the source.
        path: PathBuf,
        /// Number of files in it.
        files: u64,
        /// Their size.
        bytes: u64,
    },
    /// Something cannot be looked at.
    #[error("`{}` cannot be read: {error}", shown(path))]
    Unreadable {
        /// Where, below the source.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Where a refused symbolic link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// Into the source.
    Inside,
    /// Elsewhere: the resolved path.
    Outside(PathBuf),
    /// Nowhere.
    Broken,
    /// To a directory that it lies in.
    Loop,
}

impl SourceFault {
    /// The path that it is about, if it can be told as text.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Name(fault) => Some(&fault.path),
            Self::Link { path, .. }
            | Self::Special(path)
            | Self::VersionControl { path, .. }
            | Self::Unreadable { path, .. } => path.to_str(),
        }
    }

    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(fault) => fault.rule.code(),
            Self::Link { .. } => "symlink",
            Self::Special(_) => "special-file",
            Self::VersionControl { .. } => "version-control",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// Where it is, below the source.
    pub fn place(&self) -> &Path {
        match self {
            Self::Name(fault) => Path::new(&fault.path),
            Self::Special(path)
            | Self::Link { path, .. }
            | Self::VersionControl { path, .. }
            | Self::Unreadable { path, .. } => path,
        }
    }
}

/// Why a source cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The directory, or one that links may lead into, cannot be opened.
    #[error("`{}` cannot be opened as a directory: {error}", shown(path))]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// An exclude pattern is malformed.
    #[error("`{pattern}` is not a pattern: {message}")]
    Pattern {
        /// The pattern.
        pattern: Line,
        /// What is wrong with it.
        message: String,
    },
    /// Things that cannot be packed, all of them.
    #[error("{} entries cannot be packed", .0.len())]
    Faults(Vec<SourceFault>),
    /// Nothing to pack.
    #[error("there is no file to pack")]
    Empty,
}

/// Why a file of a source could not be read as it was found.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says no.
    #[error("`{path}` cannot be read: {error}")]
    Io {
        /// The file.
        path: EntryPath,
        /// What the system says.
        error: io::Error,
    },
    /// It is not what it was.
    #[error("`{0}` changed while it was being packed")]
    Changed(EntryPath),
}

fn shown(path: &Path) -> String {
    consign_metadata::printable(&path.to_string_lossy())
}

/// Folders, or files that stand for them, in which version-control systems keep their own.
const VERSION_CONTROL: [&str; 9] =
    [".git", ".hg", ".svn", ".bzr", ".jj", ".pijul", "_darcs", "CVS", ".fslckout"];

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
            let kind =
                if entry.kind == HeaderKind::Directory { EntryKind::Directory } else { EntryKind::File };
            if let Err(fault) = names.insert(&entry.path, kind) {
                faults.push(fault.into());
            }
        }
        // Whatever order the system lists a directory in.
        faults.sort_by(|a, b| a.path().cmp(&b.path()));
        summary.directories = entries.len() as u64 - summary.files;
        // The order in which a file system lists things means nothing.
        faults.sort_by(|a, b| a.place().cmp(b.place()));
        Ok((Self { roots, entries, excluded, summary, options }, faults))
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

    /// The whole content of a small file.
    pub(crate) fn read(&self, entry: &SourceEntry) -> Result<Vec<u8>, ReadError> {
        let mut content = Vec::new();
        let size = entry.shape().size();
        let mut file = self.open_entry(entry)?.take(size);
        file.read_to_end(&mut content).map_err(|error| ReadError::Io { path: entry.path.clone(), error })?;
        Ok(content)
    }

    /// Opens a file and checks that it is the one that was found.
    pub(crate) fn open_entry(&self, entry: &SourceEntry) -> Result<File, ReadError> {
        let place = Path::new(entry.path.as_str());
        let (root, place) = entry.place.as_ref().map_or((0, place), |(root, place)| (*root, place.as_path()));
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
        if metadata.is_file() && Identity::of(&metadata) == entry.identity {
            Ok(())
        } else {
            Err(ReadError::Changed(entry.path.clone()))
        }
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

/// One exclude pattern, ready to match.
struct Pattern {
    text: Line,
    glob: GlobMatcher,
    directories_only: bool,
    /// Matches the last component instead of the whole path.
    any_depth: bool,
}

impl Pattern {
    fn new(text: &Line) -> Result<Self, SourceError> {
        let error = |message: String| SourceError::Pattern { pattern: text.clone(), message };
        let whole = text.as_str();
        let glob = whole.strip_suffix('/').unwrap_or(whole);
        let any_depth = !glob.contains('/');
        let glob = glob.strip_prefix('/').unwrap_or(glob);
        if glob.is_empty() {
            return Err(error("it names nothing".into()));
        }
        if let Some(part) = glob.split('/').find(|part| matches!(*part, "" | "." | "..")) {
            return Err(error(format!("it has the part `{part}`, which no path in the source has")));
        }
        let glob = GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|e| error(e.kind().to_string()))?
            .compile_matcher();
        Ok(Self { text: text.clone(), glob, directories_only: whole.ends_with('/'), any_depth })
    }

    fn matches(&self, path: &Path, is_directory: bool) -> bool {
        let subject = if self.any_depth { path.file_name().unwrap_or_default() } else { path.as_os_str() };
        (is_directory || !self.directories_only) && self.glob.is_match(subject)
    }
}

struct Walk<'a> {
    roots: &'a [Root],
    options: &'a SourceOptions,
    /// Empty if there is none.
    descriptor: PathBuf,
    patterns: Vec<Pattern>,
    entries: Vec<SourceEntry>,
    faults: Vec<SourceFault>,
    excluded: Vec<Excluded>,
    summary: SourceSummary,
}

impl Walk<'_> {
    /// Looks at a directory that stands at `path` in the source. `place` is where it really is; `None` below a
    /// directory that is left out, which is only counted. `above` holds the directories it lies in. Says
    /// whether anything was found in it.
    fn directory(
        &mut self,
        dir: &Dir,
        path: &Path,
        place: Option<(usize, PathBuf)>,
        above: &mut Vec<(u64, u64)>,
    ) {
        if above.len() > PATH_DEPTH_MAX {
            // Named by the rule for names, and not entered: the walk's own depth is bounded with it.
            let fault = path_text(path).and_then(|name| EntryPath::parse(&name, NameProfile::Posix));
            return self.faults.extend(fault.err().map(SourceFault::from));
        }
        let identity = match dir.dir_metadata() {
            Ok(metadata) => (metadata.dev(), metadata.ino()),
            Err(error) => return self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
        };
        above.push(identity);
        let mut empty = true;
        match dir.entries() {
            Err(error) => self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Err(error) => self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
                        Ok(entry) => {
                            empty &= !self.entry(dir, &entry.file_name(), path, place.as_ref(), above);
                        }
                    }
                }
            }
        }
        above.pop();
        if empty && path != Path::new("") {
            self.add(path, HeaderKind::Directory, None, place);
        }
    }

    /// Looks at one entry, and says whether it counts for its directory: what is left out does not.
    fn entry(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        parent: &Path,
        place: Option<&(usize, PathBuf)>,
        above: &mut Vec<(u64, u64)>,
    ) -> bool {
        let path = parent.join(name);
        let metadata = match dir.symlink_metadata(name) {
            Ok(metadata) => metadata,
            Err(error) => {
                self.faults.push(SourceFault::Unreadable { path, error });
                return true;
            }
        };
        if let Some(n) = self.patterns.iter().position(|pattern| pattern.matches(&path, metadata.is_dir())) {
            let (files, _) = count_files(dir, name, &metadata, 0);
            self.excluded[n].files += files;
            return false;
        }
        if self.descriptor == path {
            return false;
        }
        if !self.options.include_vcs && name.to_str().is_some_and(|name| VERSION_CONTROL.contains(&name)) {
            let (files, bytes) = count_files(dir, name, &metadata, 0);
            self.faults.push(SourceFault::VersionControl { path, files, bytes });
            return true;
        }
        let place = place.map(|(root, place)| (*root, place.join(name)));
        if metadata.is_symlink() {
            self.link(dir, name, &path, place, above);
        } else {
            self.file_or_directory(dir, name, &path, &metadata, place, above);
        }
        true
    }

    fn file_or_directory(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: &Path,
        metadata: &Metadata,
        place: Option<(usize, PathBuf)>,
        above: &mut Vec<(u64, u64)>,
    ) {
        if metadata.is_dir() {
            match dir.open_dir_nofollow(name) {
                Ok(dir) => self.directory(&dir, path, place, above),
                Err(error) => self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
            }
        } else if metadata.is_file() {
            // Told now rather than when everything before it has been read.
            if let Err(error) = check_readable(dir, name) {
                self.faults.push(SourceFault::Unreadable { path: path.into(), error });
            }
            let kind = HeaderKind::File { size: metadata.len(), mode: mode_of(metadata).bits() };
            self.add(path, kind, Some(metadata), place);
        } else {
            self.faults.push(SourceFault::Special(path.into()));
        }
    }

    /// Follows a link if the policy admits where it leads.
    fn link(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        path: &Path,
        place: Option<(usize, PathBuf)>,
        above: &mut Vec<(u64, u64)>,
    ) {
        let target = dir.read_link_contents(name).unwrap_or_default();
        let refused = |leads| SourceFault::Link { path: path.into(), target: target.clone(), leads };
        let Some((root, place)) = place else { return };
        let Ok(resolved) = std::fs::canonicalize(self.roots[root].path.join(&place)) else {
            return self.faults.push(refused(LinkTarget::Broken));
        };
        let inside = self.roots.iter().enumerate().find_map(|(n, root)| {
            resolved.strip_prefix(&root.path).ok().map(|below| (n, below.to_path_buf()))
        });
        let follow = self.options.links != LinkPolicy::Refuse;
        let (root, below) = match inside {
            Some(inside) if follow => inside,
            Some((0, _)) => return self.faults.push(refused(LinkTarget::Inside)),
            _ if self.roots[0].path.starts_with(&resolved) => {
                return self.faults.push(refused(LinkTarget::Loop));
            }
            _ => return self.faults.push(refused(LinkTarget::Outside(resolved))),
        };
        // `below` is canonical, so no link is met on the way; the handle keeps it beneath its root even if one
        // is put there meanwhile.
        let (Some(parent), Some(last)) = (below.parent(), below.file_name()) else {
            let dir = self.roots[root].dir.try_clone().and_then(|dir| Ok((dir.dir_metadata()?, dir)));
            return match dir {
                Err(error) => self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
                Ok((metadata, _)) if above.contains(&(metadata.dev(), metadata.ino())) => {
                    self.faults.push(refused(LinkTarget::Loop));
                }
                Ok((_, dir)) => {
                    let before = self.summary.files;
                    self.directory(&dir, path, Some((root, below)), above);
                    self.summary.followed += self.summary.files - before;
                }
            };
        };
        let is_vcs = |part: &OsStr| part.to_str().is_some_and(|part| VERSION_CONTROL.contains(&part));
        let found = open_below(&self.roots[root].dir, parent)
            .and_then(|parent| parent.symlink_metadata(last).map(|metadata| (parent, metadata)));
        match found {
            Err(error) => self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
            Ok((_, metadata)) if metadata.is_dir() && above.contains(&(metadata.dev(), metadata.ino())) => {
                self.faults.push(refused(LinkTarget::Loop));
            }
            // A file there may be content that such a system only stores; a folder is its own.
            Ok((parent, metadata))
                if metadata.is_dir() && !self.options.include_vcs && below.iter().any(is_vcs) =>
            {
                let (files, bytes) = count_files(&parent, last, &metadata, 0);
                self.faults.push(SourceFault::VersionControl { path: path.into(), files, bytes });
            }
            Ok((parent, metadata)) => {
                let before = self.summary.files;
                self.file_or_directory(&parent, last, path, &metadata, Some((root, below.clone())), above);
                self.summary.followed += self.summary.files - before;
            }
        }
    }

    fn add(
        &mut self,
        path: &Path,
        kind: HeaderKind,
        metadata: Option<&Metadata>,
        place: Option<(usize, PathBuf)>,
    ) {
        let name = match path_text(path) {
            Ok(name) => name,
            Err(fault) => return self.faults.push(fault.into()),
        };
        let entry_path = match EntryPath::parse(&name, NameProfile::Posix) {
            Ok(entry_path) => entry_path,
            Err(fault) => return self.faults.push(fault.into()),
        };
        if let Some(metadata) = metadata {
            self.summary.files += 1;
            self.summary.bytes = self.summary.bytes.saturating_add(metadata.len());
            self.summary.allocated = self.summary.allocated.saturating_add(allocated(metadata));
            self.summary.hard_links += u64::from(metadata.nlink() > 1);
        }
        let identity = metadata.map_or(
            Identity { device: 0, inode: 0, size: 0, modified: None, changed: None, mode: FileMode::Regular },
            Identity::of,
        );
        // Nearly every entry is read where it stands; only others keep their place.
        let place = place.filter(|(root, place)| *root != 0 || place != path);
        self.entries.push(SourceEntry { path: entry_path, kind, identity, place });
    }
}

fn open_below(root: &Dir, path: &Path) -> io::Result<Dir> {
    if path == Path::new("") { root.try_clone() } else { root.open_dir(path) }
}

/// The path with `/` between its parts, on every platform.
fn path_text(path: &Path) -> Result<String, NameFault> {
    let parts = path.components().map(|part| part.as_os_str().to_str()).collect::<Option<Vec<_>>>();
    parts.map(|parts| parts.join("/")).ok_or_else(|| NameFault::not_utf8(&path.to_string_lossy()))
}

/// Number and size of the files at and below a name. What cannot be read counts as nothing: it is left out.
fn count_files(dir: &Dir, name: &OsStr, metadata: &Metadata, depth: usize) -> (u64, u64) {
    if !metadata.is_dir() {
        return (1, metadata.len());
    }
    let (mut files, mut bytes) = (0, 0);
    if depth < PATH_DEPTH_MAX
        && let Ok(dir) = dir.open_dir_nofollow(name)
        && let Ok(entries) = dir.entries()
    {
        for entry in entries.flatten() {
            if let Ok(metadata) = dir.symlink_metadata(entry.file_name()) {
                let (more_files, more_bytes) = count_files(&dir, &entry.file_name(), &metadata, depth + 1);
                files += more_files;
                bytes += more_bytes;
            }
        }
    }
    (files, bytes)
}

/// Counts name faults by rule, and says whether the posix profile would lift them all.
pub fn count_by_rule<'a>(
    faults: impl IntoIterator<Item = &'a SourceFault>,
) -> (HashMap<NameRule, usize>, bool) {
    let mut counts = HashMap::new();
    let mut all_lifted = true;
    for fault in faults {
        match fault {
            SourceFault::Name(fault) => {
                *counts.entry(fault.rule).or_insert(0) += 1;
                all_lifted &= fault.rule.lifted_by_posix();
            }
            _ => all_lifted = false,
        }
    }
    (counts, all_lifted)
}
