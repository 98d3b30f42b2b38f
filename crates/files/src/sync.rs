//! Making the names in a directory durable, where the file system can.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in a directory durable, as far as its file system can do that.
///
/// SMB, some FUSE file systems and others know no such question for a directory (EINVAL, ENOTSUP, EBADF). There the whole
/// file system is asked; what it cannot do at all is not waited for. A directory that may be written and not read, as a
/// drop box is, cannot be asked either. A disk that fails is an error everywhere, and so is any failure for a file.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    let handle = match File::open(directory) {
        Ok(handle) => handle,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        Err(error) => return Err(error),
    };
    sync_open_directory(&handle)
}

/// The same for a directory that is open.
///
/// # Errors
/// As [`sync_directory`].
#[cfg(unix)]
pub fn sync_open_directory(handle: &File) -> io::Result<()> {
    match handle.sync_all() {
        Err(error) if is_unknown_here(&error) => sync_all_of_it(handle),
        result => result,
    }
}

/// As [`sync_directory`].
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn sync_open_directory(_: &File) -> io::Result<()> {
    Ok(())
}

/// Windows has no such thing, and needs none.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether a file system says that it does not know what it is asked, and not that it failed.
#[cfg(unix)]
fn is_unknown_here(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // EBADF: the handle is open, but not for writing, which no directory can be. ENOTTY is what macOS says of SMB.
    let unknown = [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::BADF, Errno::NOTTY];
    Errno::from_io_error(error).is_some_and(|errno| unknown.contains(&errno))
}

#[cfg(target_os = "linux")]
fn sync_all_of_it(handle: &File) -> io::Result<()> {
    match rustix::fs::syncfs(handle).map_err(io::Error::from) {
        Err(error) if is_unknown_here(&error) => Ok(()),
        result => result,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn sync_all_of_it(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn field_f1_what_is_unknown_is_told_from_what_failed() {
        use rustix::io::Errno;
        for errno in [Errno::INVAL, Errno::OPNOTSUPP, Errno::BADF, Errno::NOSYS] {
            assert!(is_unknown_here(&errno.into()), "{errno:?}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::PERM, Errno::STALE] {
            assert!(!is_unknown_here(&errno.into()), "{errno:?}");
        }
    }

    #[test]
    fn a_directory_is_synced_and_a_missing_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        sync_directory(dir.path()).unwrap();
        let error = sync_directory(&dir.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
