//! Who could change a file that decides what is trusted or what is run: the rule of sshd's `StrictModes`.
//!
//! Not a secret is protected here but a decision: such a file may be read by everybody, and written by nobody
//! but root and whoever runs this. Permission bits and owners are examined; access control lists are not. On
//! systems other than Unix nothing is.

use std::io;
use std::path::{Path, PathBuf};

use consign_metadata::{Problem, printable};

/// Why a file is not relied upon.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", printable(&path.display().to_string()))]
pub struct StrictModesError {
    /// The file, or a directory or link on the way to it.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub kind: StrictModesErrorKind,
}

/// What is wrong with a file, or with something on the way to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StrictModesErrorKind {
    /// The system says no.
    #[error("cannot be examined: {0}")]
    Io(#[from] io::Error),
    /// Group or others may write.
    #[error("can be changed by others (mode {mode:04o})")]
    Writable {
        /// Permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("belongs to user {owner}, who is neither you nor root")]
    Owner {
        /// User id of the owner.
        owner: u32,
    },
    /// Not a regular file.
    #[error("is not a regular file")]
    NotRegular,
    /// A path from the working directory, or one with `.` or `..` in it.
    #[error("is not an absolute path without `.` and `..`")]
    NotAbsolute,
    /// Links that lead to links, without end.
    #[error("leads through too many symbolic links")]
    TooManyLinks,
}

impl StrictModesError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let path = printable(&self.path.display().to_string());
        let (code, hint) = match &self.kind {
            StrictModesErrorKind::Io(_) => ("unreadable", None),
            StrictModesErrorKind::Writable { .. } => (
                "writable-by-others",
                Some(format!("`chmod go-w '{path}'`, after a look at whether it still says what you wrote")),
            ),
            StrictModesErrorKind::Owner { .. } => {
                ("owned-by-another", Some(format!("make it yours or root's: `chown` '{path}'")))
            }
            StrictModesErrorKind::NotRegular => ("not-a-file", None),
            StrictModesErrorKind::NotAbsolute => ("not-absolute", Some("begin it with `/`".into())),
            StrictModesErrorKind::TooManyLinks => ("too-many-links", None),
        };
        let problem = Problem::new(code, self.kind.to_string()).at(path);
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Reads a file of the caller's that others must not be able to change: neither the file nor the directory that
/// it lies in, nor those above. `None` if there is no such file.
///
/// Links are followed; the file that was opened is judged, and the directories that it really lies in. What lies
/// on a file system that is mounted read-only nobody can change, so there the bits do not count, only the owner.
///
/// ```
/// # #[cfg(unix)] {
/// use std::os::unix::fs::PermissionsExt as _;
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("trust.toml");
/// assert!(consign_signing::read_unwritable(&path)?.is_none());
/// std::fs::write(&path, "format = 1\n")?;
/// assert_eq!(consign_signing::read_unwritable(&path)?.as_deref(), Some(&b"format = 1\n"[..]));
/// std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
/// assert!(consign_signing::read_unwritable(&path).is_err());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The file cannot be read, is no regular file, or could be changed by others.
pub fn read_unwritable(path: &Path) -> Result<Option<Vec<u8>>, StrictModesError> {
    let fail = |kind| StrictModesError { path: path.to_owned(), kind };
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    crate::key_file::do_not_wait(&mut options);
    let mut file = match options.open(path) {
        Ok(file) => file,
        // Below a home that is no directory there is nothing either.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(fail(error.into())),
    };
    if !file.metadata().map_err(|error| fail(error.into()))?.is_file() {
        return Err(fail(StrictModesErrorKind::NotRegular));
    }
    #[cfg(unix)]
    unix::check_opened(&file, path)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes).map_err(|error| fail(error.into()))?;
    Ok(Some(bytes))
}

/// Checks that nobody but root and the caller can change the file at an absolute path or put another in its
/// place: each directory and link on the way, where links lead, and the file itself.
///
/// A directory in which everybody may write passes if it is sticky, as `/tmp`: there others cannot remove or
/// rename what is not theirs.
///
/// # Errors
/// The first thing on the way that others could change; a path that is not absolute; something that is no file.
pub fn check_strict_modes(path: &Path) -> Result<(), StrictModesError> {
    let plain = path.components().all(|part| {
        matches!(
            part,
            std::path::Component::RootDir | std::path::Component::Prefix(_) | std::path::Component::Normal(_)
        )
    });
    // `components` passes over `.` inside of a path.
    let spelled = path.to_str().is_none_or(|text| !text.split('/').any(|part| part == "."));
    if !path.is_absolute() || !plain || !spelled {
        return Err(StrictModesError { path: path.to_owned(), kind: StrictModesErrorKind::NotAbsolute });
    }
    #[cfg(unix)]
    return unix::walk(path);
    #[cfg(not(unix))]
    if path.is_file() {
        Ok(())
    } else {
        Err(StrictModesError { path: path.to_owned(), kind: StrictModesErrorKind::NotRegular })
    }
}

#[cfg(unix)]
mod unix {
    use std::collections::VecDeque;
    use std::ffi::OsString;
    use std::fs::{self, File, Metadata};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Component, Path, PathBuf};

    use super::{StrictModesError, StrictModesErrorKind};

    /// As many as Linux follows (path_resolution(7)).
    const LINKS_MAX: usize = 40;
    const STICKY: u32 = 0o1000;
    /// Owns, in a container, what belongs to users of the system around it: the root of that system among them.
    const NOBODY: u32 = 65534;

    pub(super) fn check_opened(file: &File, path: &Path) -> Result<(), StrictModesError> {
        let fail = |path: &Path, kind| StrictModesError { path: path.to_owned(), kind };
        let metadata = file.metadata().map_err(|error| fail(path, error.into()))?;
        let read_only = rustix::fs::fstatvfs(file)
            .is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
        judge(&metadata, read_only).map_err(|kind| fail(path, kind))?;
        let real = fs::canonicalize(path).map_err(|error| fail(path, error.into()))?;
        let directory = real.parent().unwrap_or(Path::new("/"));
        let metadata = fs::metadata(directory).map_err(|error| fail(directory, error.into()))?;
        judge(&metadata, read_only).map_err(|kind| fail(directory, kind))?;
        for above in directory.ancestors().skip(1) {
            let metadata = fs::metadata(above).map_err(|error| fail(above, error.into()))?;
            judge_above(&metadata).map_err(|kind| fail(above, kind))?;
        }
        Ok(())
    }

    /// A directory further up: in one that others may write to they can put another in the place of the one below. The
    /// group of a user's own, as many systems make one for each, is nobody else.
    fn judge_above(metadata: &Metadata) -> Result<(), StrictModesErrorKind> {
        if metadata.uid() != NOBODY {
            check_owner(metadata)?;
        }
        let mode = metadata.mode() & 0o7777;
        let others = if own_group(metadata.gid()) { 0o002 } else { 0o022 };
        if mode & others == 0 || mode & STICKY != 0 {
            return Ok(());
        }
        Err(StrictModesErrorKind::Writable { mode })
    }

    /// Whether a group is the caller's own: it has the caller's number, and no members are listed.
    fn own_group(gid: u32) -> bool {
        let listed = |groups: String| {
            groups.lines().any(|line| {
                let mut fields = line.split(':').skip(2);
                fields.next().and_then(|id| id.parse().ok()) == Some(gid)
                    && fields.next().is_some_and(|members| !members.is_empty())
            })
        };
        let euid = rustix::process::geteuid().as_raw();
        gid == euid && euid != 0 && fs::read_to_string("/etc/group").is_ok_and(|groups| !listed(groups))
    }

    /// Resolves the path as the system does, and looks at everything that it meets.
    pub(super) fn walk(path: &Path) -> Result<(), StrictModesError> {
        let fail = |path: &Path, kind| StrictModesError { path: path.to_owned(), kind };
        let mut ahead: VecDeque<OsString> = parts(path).collect();
        let mut here = PathBuf::from("/");
        let mut links = 0;
        loop {
            let metadata = fs::symlink_metadata(&here).map_err(|error| fail(&here, error.into()))?;
            if metadata.is_symlink() {
                // In a sticky directory a link can be anybody's; its bits mean nothing.
                check_owner(&metadata).map_err(|kind| fail(&here, kind))?;
                links += 1;
                if links > LINKS_MAX {
                    return Err(fail(path, StrictModesErrorKind::TooManyLinks));
                }
                let target = fs::read_link(&here).map_err(|error| fail(&here, error.into()))?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                } else {
                    here.pop();
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(part);
                }
            } else {
                judge(&metadata, false).map_err(|kind| fail(&here, kind))?;
            }
            match ahead.pop_front() {
                Some(part) if part == ".." => {
                    here.pop();
                }
                Some(part) => here.push(part),
                None if metadata.is_file() => return Ok(()),
                None => return Err(fail(&here, StrictModesErrorKind::NotRegular)),
            }
        }
    }

    fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
        path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
    }

    fn judge(metadata: &Metadata, read_only: bool) -> Result<(), StrictModesErrorKind> {
        check_owner(metadata)?;
        let mode = metadata.mode() & 0o7777;
        let shared = metadata.is_dir() && mode & STICKY != 0;
        if mode & 0o022 == 0 || shared || read_only {
            return Ok(());
        }
        Err(StrictModesErrorKind::Writable { mode })
    }

    fn check_owner(metadata: &Metadata) -> Result<(), StrictModesErrorKind> {
        let owner = metadata.uid();
        if owner == 0 || owner == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        Err(StrictModesErrorKind::Owner { owner })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// `DIR/one/two/program`, writable by its owner alone.
    fn program() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("one/two")).unwrap();
        let path = root.join("one/two/program");
        fs::write(&path, "").unwrap();
        for (path, mode) in [(root.join("one"), 0o755), (root.join("one/two"), 0o755), (path.clone(), 0o755)]
        {
            chmod(&path, mode);
        }
        (dir, path)
    }

    fn refused(path: &Path) -> (PathBuf, &'static str) {
        let error = check_strict_modes(path).unwrap_err();
        (error.path.clone(), error.problem().code)
    }

    #[test]
    fn a24_a_program_that_others_could_exchange_is_refused() {
        let (dir, path) = program();
        let root = fs::canonicalize(dir.path()).unwrap();
        check_strict_modes(&path).unwrap();
        for place in [path.clone(), root.join("one/two"), root.join("one")] {
            for mode in [0o775, 0o757, 0o777] {
                chmod(&place, mode);
                assert_eq!(refused(&path), (place.clone(), "writable-by-others"));
            }
            chmod(&place, 0o755);
        }
        // In a sticky directory others cannot touch what is not theirs; the bit means nothing on a file.
        chmod(&root.join("one"), 0o1777);
        check_strict_modes(&path).unwrap();
        chmod(&path, 0o1777);
        assert_eq!(refused(&path), (path.clone(), "writable-by-others"));
    }

    #[test]
    fn a24_links_are_followed_and_each_place_they_lead_through_counts() {
        let (dir, path) = program();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("links")).unwrap();
        chmod(&root.join("links"), 0o755);
        symlink("../one", root.join("links/middle")).unwrap();
        symlink(root.join("links/middle/two/program"), root.join("start")).unwrap();
        check_strict_modes(&root.join("start")).unwrap();
        for place in ["links", "one", "one/two"] {
            chmod(&root.join(place), 0o777);
            assert_eq!(refused(&root.join("start")), (root.join(place), "writable-by-others"));
            chmod(&root.join(place), 0o755);
        }
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(refused(&root.join("loop")).1, "too-many-links");
        assert_eq!(refused(&root.join("one")).1, "not-a-file");
        assert_eq!(refused(&root.join("gone")).1, "unreadable");
        let dotted = format!("{}/./program", path.parent().unwrap().display());
        for spelled in ["program", "./program", "/../program", &dotted, ""] {
            assert_eq!(refused(Path::new(spelled)).1, "not-absolute", "{spelled}");
        }
    }

    #[test]
    fn g10_a_file_that_others_could_have_written_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let path = home.join("trust.toml");
        fs::write(&path, "format = 1\n").unwrap();
        for (file, folder, passes) in [
            (0o644, 0o755, true),
            (0o600, 0o700, true),
            (0o444, 0o555, true),
            (0o644, 0o1777, true),
            (0o664, 0o755, false),
            (0o646, 0o755, false),
            (0o644, 0o775, false),
            (0o644, 0o757, false),
        ] {
            chmod(&path, file);
            chmod(&home, folder);
            assert_eq!(read_unwritable(&path).is_ok(), passes, "{file:o} in {folder:o}");
        }
        chmod(&home, 0o755);
        // Nor where others can put another folder in the place of the one that it lies in.
        let above = dir.path();
        for (mode, passes) in [(0o700, true), (0o755, true), (0o1777, true), (0o775, false), (0o757, false)] {
            chmod(above, mode);
            let read = read_unwritable(&path);
            assert_eq!(read.is_ok(), passes, "{mode:o}");
            if let Err(error) = read {
                assert_eq!(error.path, fs::canonicalize(above).unwrap());
            }
        }
        chmod(above, 0o700);
        // A link is judged by where it leads.
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        chmod(&elsewhere, 0o777);
        fs::write(elsewhere.join("trust.toml"), "format = 1\n").unwrap();
        fs::remove_file(&path).unwrap();
        symlink(elsewhere.join("trust.toml"), &path).unwrap();
        assert!(read_unwritable(&path).is_err());
        assert_eq!(read_unwritable(&home).unwrap_err().problem().code, "not-a-file");
        assert!(read_unwritable(&home.join("none")).unwrap().is_none());
    }
}
