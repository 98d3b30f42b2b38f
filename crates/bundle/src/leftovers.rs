//! What a run that was killed leaves: files and directories under hidden temporary names that no process holds any more.
//!
//! Whoever makes one locks it, and the lock ends with the process. So the next run can tell what somebody works on from
//! what nobody will ever come back to. Where a file system has no locks, nothing can be told, and nothing is removed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::publish;

/// How old a leftover must be where its owner may run on another machine, whose locks may not be seen here.
const ELSEWHERE: Duration = Duration::from_secs(24 * 60 * 60);

/// Holds what was made just now under a temporary name, as long as the handle is open, and says whether it is still there:
/// another process may have taken it for a leftover in the moment before.
pub(crate) fn hold(handle: &File, path: &Path) -> bool {
    // On Windows what is locked cannot be read by others.
    !cfg!(unix) || (!matches!(handle.try_lock(), Err(std::fs::TryLockError::WouldBlock)) && there(path))
}

fn there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Removes the leftovers in a directory, with what is in them. Whatever speaks against it for one of them, it stays.
pub fn remove_leftovers(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(publish::is_drawn) {
            let _ = remove(&entry.path());
        }
    }
}

#[cfg(unix)]
fn remove(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let handle = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = handle.metadata()?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw()
        && (metadata.is_dir() || (metadata.is_file() && metadata.nlink() == 1));
    let old = || metadata.modified()?.elapsed().map_err(io::Error::other).map(|age| age > ELSEWHERE);
    if !ours || handle.try_lock().is_err() || (consign_files::may_be_shared(&handle) && !old()?) {
        return Ok(());
    }
    // Under the lock: nobody can take it up again.
    if metadata.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

#[cfg(not(unix))]
fn remove(_: &Path) -> io::Result<()> {
    let _ = ELSEWHERE;
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn field_l3_what_nobody_holds_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let file = publish::temporary(dir.path()).unwrap();
        let folder = publish::temporary_directory(dir.path()).unwrap();
        std::fs::write(folder.path().join("content"), "x").unwrap();
        std::fs::write(path(".consign-abcdef.partial"), "left").unwrap();
        std::fs::create_dir_all(path(".consign-123456.partial/content/deep")).unwrap();
        let kept = [
            ".consign-lock.partial",
            ".consign-naming.partial",
            ".consign-abc.partial",
            ".name-1.0.0.tar.zst.partial",
            "consign-abcdef.partial",
        ];
        kept.iter().for_each(|name| std::fs::write(path(name), "").unwrap());
        std::fs::hard_link(path(kept[0]), path(".consign-hard00.partial")).unwrap();
        std::os::unix::fs::symlink("/", path(".consign-link00.partial")).unwrap();
        remove_leftovers(dir.path());
        let mut expected: Vec<_> = kept.map(str::to_owned).to_vec();
        expected.extend([".consign-hard00.partial".into(), ".consign-link00.partial".into()]);
        for held in [file.path(), folder.path()] {
            expected.push(held.file_name().unwrap().to_str().unwrap().into());
        }
        expected.sort();
        assert_eq!(names(dir.path()), expected);
        // As if their process had died: they stay, and nobody holds them.
        let _ = (file.keep().unwrap(), folder.keep());
        remove_leftovers(dir.path());
        assert_eq!(names(dir.path()).len(), expected.len() - 2);
        remove_leftovers(&path("none"));
    }

    #[test]
    fn field_l3_of_many_who_make_and_remove_nobody_loses_anything() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let file = publish::prepare(dir.path(), b"content").unwrap();
                        remove_leftovers(dir.path());
                        assert_eq!(std::fs::read(file.path()).unwrap(), b"content");
                        let folder = publish::temporary_directory(dir.path()).unwrap();
                        remove_leftovers(dir.path());
                        assert!(folder.path().is_dir());
                    }
                });
            }
        });
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
