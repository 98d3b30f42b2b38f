//! Opening files that may be a stranger's: regular files only, without waiting for anybody, and no more of them than is
//! looked at.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::spool::Stream;

/// Longest text that is read whole: descriptors, policies, keys and lists. Each kind has a limit of its own below it.
pub const TEXT_MAX: u64 = 64 << 20;

/// Opens a file to be read. A pipe, a device or a folder of that name is an error at once: a pipe without a writer
/// would be waited for, for ever. What the shell hands over (`<(…)`, `/dev/stdin`, and `-` for that) is what the caller named,
/// and is read, once.
pub fn open(path: &Path) -> io::Result<File> {
    match Stream::of(path) {
        Some(Stream::Input) if cfg!(unix) => return File::open("/dev/stdin"),
        Some(Stream::Input | Stream::Open) => return File::open(path),
        Some(Stream::Pipe) | None => {}
    }
    open_regular(path, true)
}

/// The same for a file that was found, not named: it is no link either, which could lead anywhere.
pub fn open_found(path: &Path) -> io::Result<File> {
    open_regular(path, false)
}

/// At most `limit` bytes of a file, and one more if it is longer.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_regular(path: &Path, follow: bool) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let links = if follow { rustix::fs::OFlags::empty() } else { rustix::fs::OFlags::NOFOLLOW };
        let flags = links | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    #[cfg(not(unix))]
    if !follow && std::fs::symlink_metadata(path)?.is_symlink() {
        return Err(not_regular());
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

/// The regular files of a folder, in the order of their names, as paths. Links, pipes and whatever else lies there are
/// nothing that was handed over.
pub fn regular_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name();
            found.push(if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) });
        }
    }
    found.sort();
    Ok(found)
}
