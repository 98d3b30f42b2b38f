//! Outputs that appear whole under their names, or not at all.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir, TempPath};

pub use consign_files::sync_directory;

use crate::leftovers;

/// A new file in `directory` under a hidden temporary name; it is gone when it is dropped. Others may read it
/// as far as the process's umask lets them.
///
/// # Errors
/// What the system says.
pub fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    temporary_with_mode(directory, 0o666)
}

/// The same with other permissions, which the umask limits. It can be written through the handle in any case.
///
/// # Errors
/// What the system says.
pub fn temporary_with_mode(directory: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    loop {
        let file = builder.tempfile_in(directory).map_err(without_path)?;
        if leftovers::hold(file.as_file(), file.path()) {
            return Ok(file);
        }
    }
}

const TEMPORARY_PREFIX: &str = ".consign-";
const TEMPORARY_SUFFIX: &str = ".partial";

/// Whether a name is one that [`temporary`] gives.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

/// Whether a name is one of those that only unfinished work has: of temporary files, and of what `--resume` goes on with.
pub(crate) fn is_unfinished(name: &str) -> bool {
    let resumable = [".tar.zst.partial", ".tar.zst.journal"];
    is_temporary(name) || (name.starts_with('.') && resumable.iter().any(|suffix| name.ends_with(suffix)))
}

/// Whether a name is one that was drawn for something temporary, and does not stand for a lock.
pub(crate) fn is_drawn(name: &str) -> bool {
    let drawn = name.strip_prefix(TEMPORARY_PREFIX).and_then(|name| name.strip_suffix(TEMPORARY_SUFFIX));
    drawn.is_some_and(|drawn| drawn.len() == 6 && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && name != NAMING_MARK
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
    let give = || -> Result<(), (PathBuf, io::Error)> {
        for (name, file) in files {
            let path = directory.join(&name);
            // Held until it has its name.
            let (_held, mut file) = file.into_parts();
            give_name(&mut file, &path).map_err(|error| (path.clone(), error))?;
            published.push(path);
        }
        sync_directory(directory).map_err(|error| (directory.into(), error))
    };
    give().inspect_err(|_| {
        for path in &published {
            let _ = std::fs::remove_file(path);
        }
    })
}

/// Gives a complete file its name, which must be free: it appears whole, and in the place of nothing.
///
/// A file system that knows neither a rename that refuses nor hard links gets a mark instead, which one process at a time
/// can make; under it nothing of that name is found, and then the file is renamed. Where not even that can be done, as on
/// mounts of object stores that rename nothing, it is an error, and [`probe`] says so beforehand.
///
/// # Errors
/// What the system says: `AlreadyExists` if the name is taken. The file then has the name that it had.
pub fn give_name(file: &mut TempPath, path: &Path) -> io::Result<()> {
    name_new(file, path)?;
    // What had its name until now is nothing that needs removing.
    file.disable_cleanup(true);
    Ok(())
}

fn name_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_to_free(from, to) {
        Err(error) if is_unable(&error) => {}
        result => return result,
    }
    match std::fs::hard_link(from, to) {
        Err(error) if is_unable(&error) || is_io(&error) => name_under_mark(from, to),
        Err(error) => Err(error),
        Ok(()) => {
            // A second name that stays is hidden, and no reason to take the first one back.
            let _ = std::fs::remove_file(from);
            Ok(())
        }
    }
}

/// Gives a directory its name, which must be free, with what is in it.
///
/// # Errors
/// As [`give_name`]; the directory is then still there.
pub(crate) fn give_directory_name(from: &Path, to: &Path) -> io::Result<()> {
    match rename_to_free(from, to) {
        Err(error) if is_unable(&error) => name_under_mark(from, to),
        result => result,
    }
}

/// Looks whether a name is free and takes it, which no other process of ours does meanwhile.
fn name_under_mark(from: &Path, to: &Path) -> io::Result<()> {
    let held = marked(&parent(to).join(NAMING_MARK), MARK_TRIES)?;
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    held.still_held()?;
    std::fs::rename(from, to)
}

/// A rename that refuses where the name is taken, if the system and the file system have one.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// A rename on Windows replaces files, but no directories.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match from.is_dir() && cfg!(windows) {
        true => std::fs::rename(from, to),
        false => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Whether a file system says that it has no such operation. FAT, some FUSE file systems and filters of system calls say
/// EPERM; where it means that nothing may be written there, so does what is tried next.
pub fn is_unable(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        // EXDEV and EMLINK are what file systems say that are made of several, or know one name a file.
        let unable = [
            Errno::INVAL,
            Errno::NOSYS,
            Errno::NOTSUP,
            Errno::OPNOTSUPP,
            Errno::PERM,
            Errno::XDEV,
            Errno::MLINK,
        ];
        if Errno::from_io_error(error).is_some_and(|errno| unable.contains(&errno)) {
            return true;
        }
    }
    error.kind() == io::ErrorKind::Unsupported
}

/// What rclone says of hard links. Where the disk has failed, so do the steps that follow.
fn is_io(error: &io::Error) -> bool {
    #[cfg(unix)]
    let io = rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::IO);
    #[cfg(not(unix))]
    let io = error.kind() == io::ErrorKind::Other;
    io
}

/// Finds out whether complete files can appear in a directory, before anything long is begun: one without content is made,
/// synced, named and removed. What runs that were killed left there is removed, too.
///
/// # Errors
/// What the system says to the first step that it cannot do.
pub fn probe(directory: &Path) -> io::Result<()> {
    leftovers::remove_leftovers(directory);
    let (_held, mut file) = prepare(directory, b"")?.into_parts();
    // The name of a file that was, which nobody else draws.
    let name = temporary(directory)?.into_temp_path();
    let free = name.to_path_buf();
    name.close()?;
    give_name(&mut file, &free)?;
    gone(std::fs::remove_file(&free))
}

/// The same for directories with something in them.
pub(crate) fn probe_for_directories(parent: &Path) -> io::Result<()> {
    leftovers::remove_leftovers(parent);
    let probe = temporary_directory(parent)?;
    File::create_new(probe.path().join("file"))?;
    let name = temporary_directory(parent)?;
    let free = name.path().to_path_buf();
    name.close()?;
    give_directory_name(probe.path(), &free)?;
    gone(std::fs::remove_file(free.join("file")))?;
    gone(std::fs::remove_dir(&free))
}

/// Somebody may have taken it for a leftover before.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A directory under a hidden temporary name; it is gone, with what is in it, when it is dropped.
#[derive(Debug)]
pub struct TemporaryDirectory {
    directory: TempDir,
    /// Says that somebody works on it.
    _held: Option<File>,
}

impl TemporaryDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes it, empty as it is, without opening it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn close(self) -> io::Result<()> {
        std::fs::remove_dir(self.directory.keep())
    }

    #[cfg(test)]
    pub(crate) fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}

/// A new directory under a temporary name, which nobody else can look into.
///
/// # Errors
/// What the system says.
pub fn temporary_directory(parent: &Path) -> io::Result<TemporaryDirectory> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    loop {
        let directory = builder.tempdir_in(parent).map_err(without_path)?;
        // Windows opens no directories.
        let held = match File::open(directory.path()) {
            _ if !cfg!(unix) => None,
            // Taken for a leftover in this very moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            held => Some(held?),
        };
        if held.as_ref().is_none_or(|held| leftovers::hold(held, directory.path())) {
            return Ok(TemporaryDirectory { directory, _held: held });
        }
    }
}

/// Replaces a file, or makes it, by one with this content: whoever looks sees the old or the new, never a part.
/// Others may read it as far as they could before, or else as the umask lets them; nobody but the owner may
/// change it.
///
/// # Errors
/// What the system says; the old file then stands.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_if(path, content, || Ok(()), || Ok(()))
}

/// The same, if the question before it is answered well, and the one after it.
fn replace_if(
    path: &Path,
    content: &[u8],
    before: impl FnOnce() -> io::Result<()>,
    after: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let directory = parent(path);
    let old = std::fs::read(path);
    put(path, content, before)?;
    sync_directory(directory).and_then(|()| after()).inspect_err(|_| {
        // Whoever is told that it failed shall find what was there before.
        let _ = match &old {
            Ok(old) => put(path, old, || Ok(())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::remove_file(path),
            Err(_) => Ok(()),
        };
    })
}

/// Puts a file in the place of another one. Its name is not durable yet.
fn put(path: &Path, content: &[u8], question: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let old = mode_of(std::fs::metadata(path).ok());
    let mut file = temporary_with_mode(parent(path), old.unwrap_or(READABLE))?;
    if let Some(old) = old {
        keep_mode(file.as_file(), old)?;
    }
    file.write_all(content)?;
    file.as_file().sync_all()?;
    question()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// What others may do with a file that is replaced, at most.
const READABLE: u32 = 0o644;

#[cfg(unix)]
fn mode_of(metadata: Option<std::fs::Metadata>) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.map(|metadata| metadata.permissions().mode() & READABLE)
}

#[cfg(not(unix))]
fn mode_of(_: Option<std::fs::Metadata>) -> Option<u32> {
    None
}

/// Gives a new file, which was made with this mode, what the umask took from it. Where a file system does not let modes be
/// changed, as FAT does not, the file has less than that, or what every file there has.
#[cfg(unix)]
fn keep_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if file.metadata()?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    match file.set_permissions(std::fs::Permissions::from_mode(mode)) {
        Err(error) if is_unable(&error) => Ok(()),
        result => result,
    }
}

#[cfg(not(unix))]
fn keep_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
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
/// Held while a name is given. It is another one, since whoever holds the lock of a directory may publish in it.
const NAMING_MARK: &str = ".consign-naming.partial";

/// Waits until nobody else changes files in `directory`. Between reading a file and replacing it, it must be held, or what
/// others wrote meanwhile is lost. What runs that were killed left there is removed.
///
/// # Errors
/// What the system says; `TimedOut` if others hold it for a minute.
pub fn exclusive(directory: &Path) -> io::Result<Exclusive> {
    let held = exclusive_in(directory)?;
    leftovers::remove_leftovers(directory);
    Ok(held)
}

fn exclusive_in(directory: &Path) -> io::Result<Exclusive> {
    let mark = directory.join(MARK);
    // Windows opens no directories.
    if !cfg!(unix) {
        return marked(&mark, MARK_TRIES);
    }
    match File::open(directory) {
        Ok(handle) => locked(handle, &mark),
        // One that may be written and not read, as a drop box is.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => marked(&mark, MARK_TRIES),
        Err(error) => Err(error),
    }
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
    let other = || {
        let message = "holds something else than what was just written to it";
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    };
    replace_if(
        path,
        content,
        || held.still_held(),
        || if std::fs::read(path)? == content { Ok(()) } else { other() },
    )
}

/// The directory that a path stands in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent,
        _ => Path::new("."),
    }
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

    fn listing(dir: &Path) -> Vec<String> {
        let name = |entry: io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn field_f2_a_name_is_given_once_also_where_only_a_plain_rename_can_be_had() {
        for give in [name_new, name_under_mark] {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            std::fs::write(&from, "new").unwrap();
            give(&from, &to).unwrap();
            assert_eq!(listing(dir.path()), ["to"]);
            std::fs::write(&from, "other").unwrap();
            assert_eq!(give(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&to).unwrap(), b"new");
            assert_eq!(listing(dir.path()), ["from", "to"], "no mark is left");
            // What is not a file, and what leads nowhere, is there as well.
            #[cfg(unix)]
            {
                let link = dir.path().join("link");
                std::os::unix::fs::symlink("nowhere", &link).unwrap();
                assert_eq!(give(&from, &link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            }
        }
    }

    #[test]
    fn field_f2_of_many_one_gets_the_name_where_only_a_plain_rename_can_be_had() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("to");
        let given = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (dir, to, given) = (&dir, &to, &given);
                scope.spawn(move || {
                    let from = dir.path().join(format!("from-{n}"));
                    std::fs::write(&from, format!("{n}")).unwrap();
                    match name_under_mark(&from, to) {
                        Ok(()) => given.lock().unwrap().push(n),
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::AlreadyExists),
                    }
                });
            }
        });
        let given = given.into_inner().unwrap();
        assert_eq!(given.len(), 1, "{given:?}");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), given[0].to_string());
        assert_eq!(listing(dir.path()).len(), 8);
    }

    #[test]
    fn field_f2_a_directory_gets_its_name_under_a_mark() {
        let dir = tempfile::tempdir().unwrap();
        for give in [give_directory_name, name_under_mark] {
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            std::fs::create_dir(&from).unwrap();
            std::fs::write(from.join("file"), "").unwrap();
            std::fs::create_dir(&to).unwrap();
            assert_eq!(
                give(&from, &to).unwrap_err().kind(),
                io::ErrorKind::AlreadyExists,
                "an empty one, too"
            );
            std::fs::remove_dir(&to).unwrap();
            give(&from, &to).unwrap();
            assert_eq!(listing(&to), ["file"]);
            std::fs::remove_dir_all(&to).unwrap();
        }
        probe(dir.path()).unwrap();
        probe_for_directories(dir.path()).unwrap();
        assert_eq!(listing(dir.path()), [""; 0]);
        assert_eq!(probe(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (mode, after) in [(0o600, 0o600), (0o640, 0o640), (0o666, 0o644)] {
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            replace(&path, b"new").unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, after, "{mode:o}");
        }
    }

    #[test]
    fn errors_do_not_name_what_nobody_asked_for() {
        let error = temporary(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(".consign-"), "{error}");
    }
}
