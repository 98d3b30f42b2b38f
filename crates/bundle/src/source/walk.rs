//! Looking at every entry of a directory and below, once.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use cap_fs_ext::{DirExt as _, MetadataExt as _};
use cap_std::fs::{Dir, Metadata};
use consign_metadata::limits::PATH_DEPTH_MAX;
use consign_metadata::{EntryPath, NameFault, NameProfile};

use super::exclude::Pattern;
use super::fault::{LinkTarget, SourceFault};
use super::{
    Excluded, Identity, LinkPolicy, Place, Root, SourceEntry, SourceOptions, SourceSummary, allocated,
    check_readable, kind_of,
};
use crate::header::HeaderKind;
use crate::publish;

/// Folders, or files that stand for them, in which version-control systems keep their own.
const VERSION_CONTROL: [&str; 9] =
    [".git", ".hg", ".svn", ".bzr", ".jj", ".pijul", "_darcs", "CVS", ".fslckout"];

pub(super) struct Walk<'a> {
    pub(super) roots: &'a [Root],
    pub(super) options: &'a SourceOptions,
    /// Empty if there is none.
    pub(super) descriptor: PathBuf,
    pub(super) patterns: Vec<Pattern>,
    pub(super) entries: Vec<SourceEntry>,
    pub(super) faults: Vec<SourceFault>,
    pub(super) excluded: Vec<Excluded>,
    pub(super) summary: SourceSummary,
}

impl Walk<'_> {
    /// Looks at a directory that stands at `path` in the source. `place` is where it really is; `None` below a
    /// directory that is left out, which is only counted. `above` holds the directories it lies in, as they really are. Says
    /// whether anything was found in it.
    pub(super) fn directory(
        &mut self,
        dir: &Dir,
        path: &Path,
        place: Option<(usize, PathBuf)>,
        above: &mut Vec<PathBuf>,
    ) {
        if above.len() > PATH_DEPTH_MAX {
            // Named by the rule for names, and not entered: the walk's own depth is bounded with it.
            let fault = path_text(path).and_then(|name| EntryPath::parse(&name, NameProfile::Posix));
            return self.faults.extend(fault.err().map(SourceFault::from));
        }
        above.push(place.as_ref().map_or_else(PathBuf::new, |(root, below)| self.real(*root, below)));
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
        above: &mut Vec<PathBuf>,
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
            let folder = metadata.is_dir();
            self.faults.push(SourceFault::VersionControl { path, folder, files, bytes });
            return true;
        }
        if !self.options.include_vcs && name.to_str().is_some_and(publish::is_unfinished) {
            self.faults.push(SourceFault::Unfinished(path));
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
        above: &mut Vec<PathBuf>,
    ) {
        if metadata.is_dir() {
            match dir.open_dir_nofollow(name) {
                Ok(dir) => self.directory(&dir, path, place, above),
                Err(error) => self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
            }
        } else if metadata.is_file() {
            // Told now rather than when everything before it has been read.
            if let Err(error) = check_readable(dir, name, metadata) {
                self.faults.push(SourceFault::Unreadable { path: path.into(), error });
            }
            if let Some(mode) = privileged(metadata) {
                self.faults.push(SourceFault::Privileged { path: path.into(), mode });
            }
            self.add(path, kind_of(metadata), Some(metadata), place);
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
        above: &mut Vec<PathBuf>,
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
            return match self.roots[root].dir.try_clone() {
                Err(error) => self.faults.push(SourceFault::Unreadable { path: path.into(), error }),
                Ok(_) if above.contains(&resolved) => self.faults.push(refused(LinkTarget::Loop)),
                Ok(dir) => {
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
            Ok((_, metadata)) if metadata.is_dir() && above.contains(&resolved) => {
                self.faults.push(refused(LinkTarget::Loop));
            }
            // A file there may be content that such a system only stores; a folder is its own.
            Ok((parent, metadata))
                if metadata.is_dir() && !self.options.include_vcs && below.iter().any(is_vcs) =>
            {
                let (files, bytes) = count_files(&parent, last, &metadata, 0);
                self.faults.push(SourceFault::VersionControl {
                    path: path.into(),
                    folder: true,
                    files,
                    bytes,
                });
            }
            Ok((parent, metadata)) => {
                let before = self.summary.files;
                self.file_or_directory(&parent, last, path, &metadata, Some((root, below.clone())), above);
                self.summary.followed += self.summary.files - before;
            }
        }
    }

    /// A place as an absolute path without links. By it a directory is known again: numbers of inodes are not the same
    /// from one look to the next on every file system.
    fn real(&self, root: usize, below: &Path) -> PathBuf {
        self.roots[root].path.join(below)
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
        let identity = metadata.map_or_else(Identity::default, Identity::of);
        // Nearly every entry is read where it stands; only others keep their place.
        let place = place.filter(|(root, place)| *root != 0 || place != path);
        let place = place.map(|(root, path)| Box::new(Place { root, path, other_mode: false }));
        self.entries.push(SourceEntry { path: entry_path, kind, identity, place });
    }
}

/// The mode of a file that runs with rights that are not those of who runs it.
#[cfg(unix)]
fn privileged(metadata: &Metadata) -> Option<u32> {
    let mode = cap_std::fs::MetadataExt::mode(metadata) & 0o7777;
    (mode & 0o6000 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn privileged(_: &Metadata) -> Option<u32> {
    None
}

fn open_below(root: &Dir, path: &Path) -> io::Result<Dir> {
    if path == Path::new("") { root.try_clone() } else { root.open_dir(path) }
}

/// The path with `/` between its parts, on every platform.
fn path_text(path: &Path) -> Result<Cow<'_, str>, NameFault> {
    let text = path.to_str().ok_or_else(|| NameFault::not_utf8(&path.to_string_lossy()))?;
    if MAIN_SEPARATOR == '/' {
        return Ok(text.into());
    }
    Ok(text.split(MAIN_SEPARATOR).collect::<Vec<_>>().join("/").into())
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
