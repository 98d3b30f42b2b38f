//! File systems without locks.

use std::io;

/// Whether a file system says that it has no locks, or none to give now: NFS without its lock service says `ENOLCK`, some FUSE
/// file systems and filters of system calls `ENOSYS` or `EOPNOTSUPP`. Who holds a lock is told otherwise (`EWOULDBLOCK`).
pub fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let none = [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
        if Errno::from_io_error(error).is_some_and(|errno| none.contains(&errno)) {
            return true;
        }
    }
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_somebody_holds_is_none_of_these() {
        assert!(has_no_locks(&io::ErrorKind::Unsupported.into()));
        assert!(!has_no_locks(&io::ErrorKind::WouldBlock.into()));
        assert!(!has_no_locks(&io::ErrorKind::PermissionDenied.into()));
        #[cfg(unix)]
        assert!(has_no_locks(&rustix::io::Errno::NOLCK.into()));
    }
}
