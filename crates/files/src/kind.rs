//! What a file system is called, where it is mounted, and whether it may lose modes.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file system as the system's list of mounts has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// What it is called: `ext4`, `fuse.rclone`, `cifs`.
    pub kind: String,
    /// Where it is mounted.
    pub mount: PathBuf,
}

impl FileSystem {
    /// The one that a path lies on, of which only the beginning need exist; `None` where the system does not tell.
    pub fn of(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let real = path.ancestors().find_map(|above| above.canonicalize().ok())?;
        find(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, &real)
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file system `{}`, mounted at `{}`", self.kind, self.mount.display())
    }
}

/// The mount that lies nearest above a path; of several at one place the last, which hides the others (proc(5)).
fn find(mounts: &str, path: &Path) -> Option<FileSystem> {
    let parse = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mount = unescape(before.split(' ').nth(4)?);
        let kind = after.split(' ').next()?.to_owned();
        path.starts_with(&mount).then_some(FileSystem { kind, mount: mount.into() })
    };
    mounts.lines().filter_map(parse).max_by_key(|found| found.mount.components().count())
}

/// Space, tab, line feed and backslash stand as three octal digits (proc(5)).
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Whether other machines may write to the file system of an open file or directory, whose locks are perhaps not seen here.
#[cfg(target_os = "linux")]
pub fn may_be_shared(handle: impl std::os::fd::AsFd) -> bool {
    // linux/magic.h: what keeps its files on this machine. Everything else may be shared.
    const LOCAL: [u32; 10] = [
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683e, // Btrfs
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
        0x794c_7630, // overlayfs
        0xf2f5_2010, // F2FS
        0x2fc1_2fc1, // ZFS
        0xca45_1a4e, // bcachefs
        0xf15f,      // eCryptfs
    ];
    let magic = |stat: rustix::fs::StatFs| u32::from_ne_bytes((stat.f_type as i32).to_ne_bytes());
    !rustix::fs::fstatfs(handle).is_ok_and(|stat| LOCAL.contains(&magic(stat)))
}

/// Elsewhere it cannot be told.
#[cfg(not(target_os = "linux"))]
pub fn may_be_shared<T>(_: T) -> bool {
    true
}

/// Whether the file system of an open file or directory is one of those that may show one mode for all files, whatever
/// mode they were given: FAT, NTFS, SMB, FUSE and what else comes from systems without modes. It does not say that this one
/// does.
#[cfg(target_os = "linux")]
pub fn may_lose_modes(handle: impl std::os::fd::AsFd) -> bool {
    // linux/magic.h, and the sources of those that do not stand there. One that tells nothing is not accused.
    const WITHOUT_MODES: [u64; 16] = [
        0x4d44,      // FAT
        0x2011_bab0, // exFAT
        0x7366_746e, // ntfs3
        0x5346_544e, // ntfs
        0x6573_5546, // FUSE: ntfs-3g, exfat, rclone, gcsfuse, s3fs, ...
        0x517b,      // smbfs
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB 2 and 3
        0x0102_1997, // 9p: shared folders of virtual machines, WSL
        0x5346_4846, // drvfs of the first WSL
        0x786f_4256, // shared folders of VirtualBox
        0xbacb_acbc, // ... of VMware
        0x7c7c_6673, // ... of Parallels
        0x9660,      // ISO 9660
        0x1501_3346, // UDF
        0x4244,      // HFS
    ];
    // The type has another width and sign on each platform.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a magic number has 32 bits")]
    let magic = |stat: rustix::fs::StatFs| u64::from(stat.f_type as u32);
    rustix::fs::fstatfs(handle).is_ok_and(|stat| WITHOUT_MODES.contains(&magic(stat)))
}

/// Elsewhere it cannot be told.
#[cfg(not(target_os = "linux"))]
pub fn may_lose_modes<T>(_: T) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
30 22 0:40 / /mnt rw - tmpfs tmpfs rw\n\
31 30 0:41 / /mnt/my\\040disk rw,nosuid master:3 propagate_from:2 - fuseblk /dev/sdb1 rw\n\
32 30 0:42 / /mnt/my\\040disk rw - fuse.rclone remote: rw\n\
malformed\n";

    #[test]
    fn the_nearest_mount_is_found_and_of_two_the_last() {
        let kind = |path: &str| find(MOUNTS, Path::new(path)).map(|found| found.kind);
        assert_eq!(kind("/home/ada").as_deref(), Some("ext4"));
        assert_eq!(kind("/mnt/other").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/mnt/my disk/out").as_deref(), Some("fuse.rclone"));
        assert_eq!(kind("/mnt/my disks").as_deref(), Some("tmpfs"), "a name is compared whole");
        assert_eq!(find("", Path::new("/")), None);
        let found = find(MOUNTS, Path::new("/mnt/my disk")).map(|found| found.to_string());
        assert_eq!(found.as_deref(), Some("the file system `fuse.rclone`, mounted at `/mnt/my disk`"));
    }
}
