//! Reading within bounds, writing durably.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

pub(crate) use consign_files::sync_directory;
use consign_files::sync_open_directory;

/// Reads at most the first `max` bytes of a file; `None` if it is not there.
pub(crate) fn read_start(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true);
    // A pipe in the place of a file would be waited for, and a device might never end.
    #[cfg(unix)]
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Whether nothing of that name is there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether something of that name is there.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The names in a directory, sorted; none if it is not there.
pub(crate) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let listing = match fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in listing {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a file with this content, in the place of whatever is there. It is not durable yet.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<File> {
    let make = || OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match make() {
        // Never through a link, and never into what somebody else has open.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            make()?
        }
        other => other?,
    };
    file.write_all(content)?;
    Ok(file)
}

/// Makes a file with this content, durably but for its name, in the place of whatever is there.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path, content)?.sync_all()
}

/// Gives a file of a directory another name there, durably, in the place of whatever has that name.
pub(crate) fn rename(directory: &Path, from: &str, to: &str) -> io::Result<()> {
    // Opened first: once the file has its new name, as little as possible may fail.
    let handle = if cfg!(unix) { Some(File::open(directory)?) } else { None };
    fs::rename(directory.join(from), directory.join(to))?;
    handle.as_ref().map_or(Ok(()), sync_open_directory)
}
