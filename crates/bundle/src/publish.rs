//! Outputs that appear whole under their names, or not at all.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

/// A new file in `directory` under a hidden temporary name; it is gone when it is dropped. Others may read it
/// as far as the process's umask lets them.
///
/// # Errors
/// What the system says.
pub fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    temporary_with_mode(directory, 0o666)
}

/// The same with other permissions, which the umask limits. It can be written through the handle in any case.
pub(crate) fn temporary_with_mode(directory: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder.tempfile_in(directory).map_err(without_path)
}

const TEMPORARY_PREFIX: &str = ".consign-";
const TEMPORARY_SUFFIX: &str = ".partial";

/// Whether a name is one that [`temporary`] gives.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

/// What the system said, without the temporary name that `tempfile` adds, which is of no use to anybody and
/// differs each time.
pub(crate) fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.rsplit_once(" at path ") {
        Some((said, _)) => io::Error::new(error.kind(), said.to_owned()),
        None => error,
    }
}

/// A file with this content, on disk but not yet under its name.
///
/// # Errors
/// What the system says.
pub fn prepare(directory: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = temporary(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Gives complete files their names in `directory`, in order, none of which may exist yet. If one cannot be
/// had, those given before are taken back.
///
/// # Errors
/// The name that could not be given, and what the system says: `AlreadyExists` if it is taken.
pub fn publish(directory: &Path, files: Vec<(String, NamedTempFile)>) -> Result<(), (PathBuf, io::Error)> {
    let mut published: Vec<PathBuf> = Vec::new();
    for (name, file) in files {
        let path = directory.join(&name);
        if let Err(error) = file.persist_noclobber(&path) {
            for earlier in published {
                let _ = std::fs::remove_file(earlier);
            }
            return Err((path, error.error));
        }
        published.push(path);
    }
    sync_directory(directory).map_err(|error| (directory.into(), error))
}

/// Replaces a file, or makes it, by one with this content: whoever looks sees the old or the new, never a part.
/// Others may read it as far as they could before, or else as the umask lets them; nobody but the owner may
/// change it.
///
/// # Errors
/// What the system says; the old file then stands.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = parent(path);
    let file = prepare(directory, content)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let old = std::fs::metadata(path).or_else(|_| file.as_file().metadata())?;
        let mode = old.permissions().mode() & 0o644;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// The only writer of the files in a directory that change, until it is dropped.
///
/// The directory itself is locked where that can be done; elsewhere a file in it stands for the lock.
#[derive(Debug)]
pub struct Exclusive {
    /// Closing it lets go.
    _handle: Option<File>,
    mark: Option<PathBuf>,
}

/// How often a lock is tried, with these pauses: half a minute.
const LOCK_TRIES: u32 = 3000;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// A mark that is older was left by a process that died: nobody keeps it longer than it takes to write a small file.
const MARK_STALE: Duration = Duration::from_secs(60);
const MARK: &str = ".consign-lock.partial";

/// Waits until nobody else changes files in `directory`. Between reading a file and replacing it, it must be held, or what
/// others wrote meanwhile is lost.
///
/// # Errors
/// What the system says; `TimedOut` if somebody else holds it for half a minute.
pub fn exclusive(directory: &Path) -> io::Result<Exclusive> {
    let mark = directory.join(MARK);
    // Windows opens no directories.
    if cfg!(unix) { locked(File::open(directory)?, mark) } else { marked(mark) }
}

/// The same by a file that is there for nothing else: for a folder of consign's own, in which one process may hold both.
///
/// # Errors
/// As [`exclusive`].
pub fn exclusive_by(file: &Path) -> io::Result<Exclusive> {
    let handle = File::options().create(true).truncate(false).write(true).open(file)?;
    let mut mark = file.as_os_str().to_owned();
    mark.push(".mark");
    locked(handle, mark.into())
}

/// Locks a file or directory; where that cannot be, `mark` stands for the lock.
fn locked(handle: File, mark: PathBuf) -> io::Result<Exclusive> {
    for _ in 0..LOCK_TRIES {
        match handle.try_lock() {
            Ok(()) => return Ok(Exclusive { _handle: Some(handle), mark: None }),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            // No locks on this file system, or none on directories (NFS wants to write what it locks).
            Err(TryLockError::Error(_)) => return marked(mark),
        }
    }
    Err(busy())
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "another process has been changing files there for half a minute")
}

/// The same by a file that only one process can make.
fn marked(mark: PathBuf) -> io::Result<Exclusive> {
    for _ in 0..LOCK_TRIES {
        match File::options().write(true).create_new(true).open(&mark) {
            Ok(_) => return Ok(Exclusive { _handle: None, mark: Some(mark) }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let age = std::fs::metadata(&mark).and_then(|mark| mark.modified()).ok();
                if age.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > MARK_STALE) {
                    // Moved away first: of several that find it stale, one has it, and none removes a new one.
                    let aside = temporary(parent(&mark))?;
                    let _ = std::fs::rename(&mark, aside.path());
                    continue;
                }
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Err(busy())
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let Some(mark) = &self.mark {
            let _ = std::fs::remove_file(mark);
        }
    }
}

/// Replaces a file, or makes it, while no other is changing it, and reads it back: a file system that says yes and does
/// otherwise is found out here.
///
/// # Errors
/// What the system says; `InvalidData` if it then holds something else.
pub fn replace_exclusively(_: &Exclusive, path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content)?;
    if std::fs::read(path)? == content {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "holds something else than what was just written to it"))
}

/// The directory that a path stands in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// What the system says.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    // Windows has no such thing, and needs none.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_a8_only_one_at_a_time() {
        type Lock = fn(&Path) -> io::Result<Exclusive>;
        for lock in [exclusive as Lock, |dir| marked(dir.join(MARK)), |dir| exclusive_by(&dir.join("lock"))] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("list");
            std::thread::scope(|scope| {
                for n in 0..16 {
                    let (path, dir) = (&path, &dir);
                    scope.spawn(move || {
                        for _ in 0..8 {
                            let held = lock(dir.path()).unwrap();
                            let mut all = std::fs::read(path).unwrap_or_default();
                            all.extend(format!("{n}\n").into_bytes());
                            replace_exclusively(&held, path, &all).unwrap();
                        }
                    });
                }
            });
            let all = std::fs::read_to_string(&path).unwrap();
            assert_eq!(all.lines().count(), 16 * 8);
            let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(left.into_iter().all(|name| name == "list" || name == "lock"), "nothing is left");
        }
    }

    #[test]
    fn attack_a8_a_mark_of_a_dead_process_does_not_stay_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mark = File::create(dir.path().join(MARK)).unwrap();
        mark.set_modified(std::time::SystemTime::now() - 2 * MARK_STALE).unwrap();
        drop(marked(dir.path().join(MARK)).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn errors_do_not_name_what_nobody_asked_for() {
        let error = temporary(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(".consign-"), "{error}");
    }
}
