//! Outputs that appear whole under their names, or not at all.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
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
    replace_if(path, content, || Ok(()))
}

/// The same, if the last question before it is answered well.
fn replace_if(path: &Path, content: &[u8], question: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let directory = parent(path);
    let file = prepare(directory, content)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let old = std::fs::metadata(path).or_else(|_| file.as_file().metadata())?;
        let mode = old.permissions().mode() & 0o644;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    question()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// The only writer of the files in a directory that change, until it is dropped.
///
/// The directory itself is locked where that can be done, which ends with the process; elsewhere a file in it stands
/// for the lock, which may be taken from a process that keeps it for too long.
#[derive(Debug)]
pub struct Exclusive(Held);

#[derive(Debug)]
enum Held {
    /// Closing it lets go.
    Lock { _handle: File },
    /// Removing it lets go.
    Mark(Mark),
}

/// How often a lock is tried, with these pauses: a minute.
const LOCK_TRIES: u32 = 6000;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// For how many tries a mark may stay as it is: twenty seconds. Nobody keeps it longer than it takes to write a small
/// file; it was left by a process that died. Whoever waits counts for themselves, since clocks of hosts differ.
const MARK_TRIES: u32 = 2000;
const MARK: &str = ".consign-lock.partial";

/// Waits until nobody else changes files in `directory`. Between reading a file and replacing it, it must be held, or what
/// others wrote meanwhile is lost.
///
/// # Errors
/// What the system says; `TimedOut` if others hold it for a minute.
pub fn exclusive(directory: &Path) -> io::Result<Exclusive> {
    let mark = directory.join(MARK);
    // Windows opens no directories.
    if cfg!(unix) { locked(File::open(directory)?, &mark) } else { marked(&mark, MARK_TRIES) }
}

/// The same by a file that is there for nothing else: for a folder of consign's own, in which one process may hold both.
///
/// # Errors
/// As [`exclusive`].
pub fn exclusive_by(file: &Path) -> io::Result<Exclusive> {
    let handle = File::options().create(true).truncate(false).write(true).open(file)?;
    let mut mark = file.as_os_str().to_owned();
    mark.push(".mark");
    locked(handle, Path::new(&mark))
}

/// Locks a file or directory; where that cannot be, `mark` stands for the lock.
fn locked(handle: File, mark: &Path) -> io::Result<Exclusive> {
    for _ in 0..LOCK_TRIES {
        match handle.try_lock() {
            Ok(()) => return Ok(Exclusive(Held::Lock { _handle: handle })),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            // No locks on this file system, or none on directories (NFS wants to write what it locks).
            Err(TryLockError::Error(_)) => return marked(mark, MARK_TRIES),
        }
    }
    Err(busy())
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "other processes have been changing files there for a minute")
}

/// A file that stands for a lock, and whose content says who made it.
#[derive(Debug)]
struct Mark {
    path: PathBuf,
    token: Vec<u8>,
}

/// Longest content of a mark that is looked at, in bytes.
const TOKEN_MAX: u64 = 256;

impl Mark {
    fn content(path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(path)?.take(TOKEN_MAX).read_to_end(&mut content)?;
        Ok(content)
    }

    /// Makes it, which only one of many can.
    fn make(path: &Path) -> io::Result<Self> {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        let written = token(parent(path)).and_then(|token| file.write_all(&token).map(|()| token));
        match written {
            Ok(token) => Ok(Self { path: path.into(), token }),
            Err(error) => {
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    fn is_ours(&self) -> bool {
        Self::content(&self.path).is_ok_and(|content| content == self.token)
    }

    /// Takes a mark away that was left with that content. What turns out to be another one is put back; if that cannot
    /// be, whoever made it finds out before they write.
    fn take_away(path: &Path, left: &[u8]) -> io::Result<()> {
        let aside = temporary(parent(path))?;
        if std::fs::rename(path, aside.path()).is_ok() && Self::content(aside.path())? != left {
            let _ = std::fs::hard_link(aside.path(), path);
        }
        Ok(())
    }
}

/// What nobody else calls themselves: the name of a temporary file, which is drawn at random.
fn token(directory: &Path) -> io::Result<Vec<u8>> {
    let aside = temporary(directory)?;
    Ok(aside.path().file_name().unwrap_or_default().as_encoded_bytes().to_vec())
}

/// The same by a file that only one process can make.
fn marked(path: &Path, patience: u32) -> io::Result<Exclusive> {
    let (mut seen, mut unchanged) = (None, 0);
    for _ in 0..LOCK_TRIES {
        match Mark::make(path) {
            Ok(mark) => return Ok(Exclusive(Held::Mark(mark))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let found = Mark::content(path).ok();
        unchanged = if found.is_some() && found == seen { unchanged + 1 } else { 0 };
        seen = found;
        if let Some(left) = seen.as_deref().filter(|_| unchanged >= patience) {
            Mark::take_away(path, left)?;
            unchanged = 0;
            continue;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(busy())
}

impl Exclusive {
    /// An error if somebody took it away.
    fn still_held(&self) -> io::Result<()> {
        match &self.0 {
            Held::Mark(mark) if !mark.is_ours() => {
                let message = "this took so long that another process went on; nothing was written";
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let Held::Mark(mark) = &self.0
            && mark.is_ours()
        {
            let _ = std::fs::remove_file(&mark.path);
        }
    }
}

/// Replaces a file, or makes it, while no other is changing it, and reads it back: a file system that says yes and does
/// otherwise is found out here.
///
/// # Errors
/// What the system says; `TimedOut` if others were let go on meanwhile, `InvalidData` if the file then holds something
/// else.
pub fn replace_exclusively(held: &Exclusive, path: &Path, content: &[u8]) -> io::Result<()> {
    replace_if(path, content, || held.still_held())?;
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
        for lock in [
            exclusive as Lock,
            |dir| marked(&dir.join(MARK), MARK_TRIES),
            |dir| exclusive_by(&dir.join("lock")),
        ] {
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
        for left in ["", "somebody"] {
            let dir = tempfile::tempdir().unwrap();
            let mark = dir.path().join(MARK);
            std::fs::write(&mark, left).unwrap();
            drop(marked(&mark, 3).unwrap());
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn attack_a8_a_mark_that_is_not_the_one_that_was_left_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join(MARK);
        let held = marked(&mark, MARK_TRIES).unwrap();
        // Somebody waited for an older one, and comes too late.
        Mark::take_away(&mark, b"older").unwrap();
        held.still_held().unwrap();
        drop(held);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn attack_a8_who_was_overtaken_writes_nothing_and_leaves_the_mark_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let (mark, list) = (dir.path().join(MARK), dir.path().join("list"));
        std::fs::write(&list, "theirs").unwrap();
        let slow = marked(&mark, MARK_TRIES).unwrap();
        let fast = marked(&mark, 3).unwrap();
        let error = replace_exclusively(&slow, &list, b"ours").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(std::fs::read(&list).unwrap(), b"theirs");
        drop(slow);
        replace_exclusively(&fast, &list, b"later").unwrap();
        drop(fast);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "neither a mark nor a part is left");
    }

    #[test]
    fn errors_do_not_name_what_nobody_asked_for() {
        let error = temporary(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(".consign-"), "{error}");
    }
}
