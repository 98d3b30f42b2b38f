//! Outputs that appear whole under their names, or not at all.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
    fn errors_do_not_name_what_nobody_asked_for() {
        let error = temporary(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(".consign-"), "{error}");
    }
}
