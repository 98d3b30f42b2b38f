//! Key files on disk: who may be able to read them, and how they come into being.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use consign_metadata::{Problem, printable};
use zeroize::Zeroizing;

use crate::armor::KEY_TEXT_MAX;

/// Why a key file was not read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", printable(&path.display().to_string()))]
pub struct KeyFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub kind: KeyFileErrorKind,
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileErrorKind {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, pipe, socket or device.
    #[error("is not a regular file")]
    NotRegular,
    /// Larger than any key.
    #[error("is larger than {KEY_TEXT_MAX} bytes, which no key is")]
    TooLarge,
    /// Others than its owner can read or change it.
    #[error("can be read or changed by others than its owner (mode {mode:04o})")]
    Exposed {
        /// Permission bits of the file.
        mode: u32,
    },
    /// The name is taken. Nothing was written.
    #[error("already exists and is never overwritten")]
    Exists,
    /// The file system does not keep permissions: the key would be readable by others. It was removed again.
    #[error("cannot be kept from others on this file system (mode {mode:04o} instead of 0600)")]
    Unprotectable {
        /// Permission bits that the file got.
        mode: u32,
    },
}

impl KeyFileError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let path = self.path.display();
        let (code, hint) = match &self.kind {
            KeyFileErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                ("key-file", Some("check how the path is spelled, and from which directory".to_owned()))
            }
            KeyFileErrorKind::Io(_) => ("key-file", None),
            KeyFileErrorKind::NotRegular => (
                "key-file-type",
                Some(
                    "give the path of a file; a key is not read from a pipe, which nobody can check"
                        .to_owned(),
                ),
            ),
            KeyFileErrorKind::TooLarge => ("key-file-too-large", None),
            KeyFileErrorKind::Exposed { .. } => (
                "key-file-exposed",
                Some(format!(
                    "`chmod 600 '{}'`, and consider whether the key is still secret",
                    printable(&path.to_string())
                )),
            ),
            KeyFileErrorKind::Exists => ("key-file-exists", Some("choose another name".to_owned())),
            KeyFileErrorKind::Unprotectable { .. } => (
                "key-file-unprotectable",
                Some("choose a directory on a file system with permissions".to_owned()),
            ),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Reads the text of a private key, if nobody but its owner can read the file.
///
/// On Unix the file must have no permission bits for group and others. One exception lets the secret mounts of
/// containers pass (Kubernetes, Docker, systemd): a file that belongs to root and that only root can write, if
/// its permissions are not the caller's to mend. That is so if
///
/// * the caller is not root, so that root laid the file out for the caller; or
/// * it lies on a file system that is mounted read-only.
///
/// Symbolic links are followed, because secret mounts consist of them; what is judged is the file that was
/// opened, not the path. Pipes, `/dev/fd/N` of a pipe, and devices are refused without waiting for them.
/// Elsewhere than on Unix, access lists are not examined.
///
/// ```
/// use consign_signing::{PrivateKey, Signer, read_private_key_file, write_private_key_file};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("key.pem");
/// let key = PrivateKey::generate()?;
/// write_private_key_file(&path, &key.to_pkcs8_pem()?)?;
/// let text = read_private_key_file(&path)?;
/// let read = PrivateKey::parse(&text, &mut |_| Ok(None))?;
/// assert_eq!(read.public_key(), key.public_key());
/// // A key is never overwritten.
/// assert!(write_private_key_file(&path, &key.to_pkcs8_pem()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The file cannot be read, is no regular file, is larger than 64 KiB, or is exposed to others.
pub fn read_private_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    read_private(path).map_err(|kind| KeyFileError { path: path.to_owned(), kind })
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileErrorKind> {
    let mut options = OpenOptions::new();
    options.read(true);
    do_not_wait(&mut options);
    let mut file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(KeyFileErrorKind::NotRegular);
    }
    check_exposure(&file)?;
    // All the room at once: a vector that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(vec![0; KEY_TEXT_MAX + 1]);
    let mut length = 0;
    while length < text.len() {
        match file.read(&mut text[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if length > KEY_TEXT_MAX {
        return Err(KeyFileErrorKind::TooLarge);
    }
    text.truncate(length);
    Ok(text)
}

/// Writes a private key to a new file that only its owner can read (mode 0600), and waits until it is on disk.
///
/// The file is created exclusively: an existing file or link, dangling or not, is never touched. Whatever
/// fails, the file does not stay.
///
/// # Errors
/// The name is taken, the file cannot be written, or the file system does not keep permissions.
pub fn write_private_key_file(path: &Path, pem: &str) -> Result<(), KeyFileError> {
    create(path, 0o600, |file| {
        check_protected(file)?;
        file.write_all(pem.as_bytes())?;
        Ok(())
    })
}

/// Writes a public key to a new file that everybody can read (mode 0644, less what the umask takes), and waits
/// until it is on disk. As for private keys, nothing is overwritten and nothing half-written stays.
///
/// # Errors
/// The name is taken, or the file cannot be written.
pub fn write_public_key_file(path: &Path, text: &str) -> Result<(), KeyFileError> {
    create(path, 0o644, |file| Ok(file.write_all(text.as_bytes())?))
}

fn create(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> Result<(), KeyFileErrorKind>,
) -> Result<(), KeyFileError> {
    let fail = |kind| KeyFileError { path: path.to_owned(), kind };
    let mut options = OpenOptions::new();
    // O_CREAT with O_EXCL does not follow a link in the last component, not even a dangling one (POSIX open).
    options.write(true).create_new(true);
    with_mode(&mut options, mode);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => fail(KeyFileErrorKind::Exists),
        _ => fail(error.into()),
    })?;
    let written = write(&mut file)
        .and_then(|()| Ok(file.sync_all()?))
        .and_then(|()| Ok(consign_files::sync_directory(parent(path))?));
    written.map_err(|kind| {
        // The name was free a moment ago and is ours. That it cannot be removed either adds nothing to what is
        // reported already.
        drop(file);
        let _ = fs::remove_file(path);
        fail(kind)
    })
}

/// The directory that a path stands in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn with_mode(options: &mut OpenOptions, mode: u32) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(mode);
}

#[cfg(not(unix))]
fn with_mode(_: &mut OpenOptions, _: u32) {}

/// Opening a pipe must not wait for somebody to write to it.
#[cfg(unix)]
pub(crate) fn do_not_wait(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    options.custom_flags(flags.bits().cast_signed());
}

#[cfg(not(unix))]
pub(crate) fn do_not_wait(_: &mut OpenOptions) {}

#[cfg(unix)]
fn check_exposure(file: &File) -> Result<(), KeyFileErrorKind> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    let read_only = || {
        rustix::fs::fstatvfs(file).is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
    };
    let caller_is_root = rustix::process::geteuid().is_root();
    if is_acceptable(metadata.mode(), metadata.uid(), || !caller_is_root || read_only()) {
        return Ok(());
    }
    Err(KeyFileErrorKind::Exposed { mode: metadata.mode() & 0o7777 })
}

/// The rule of [`read_private_key_file`]. `not_the_callers`: the permissions are not the caller's to mend.
#[cfg(unix)]
fn is_acceptable(mode: u32, owner: u32, not_the_callers: impl FnOnce() -> bool) -> bool {
    let private = mode & 0o077 == 0;
    let only_root_writes = owner == 0 && mode & 0o022 == 0;
    private || (only_root_writes && not_the_callers())
}

#[cfg(not(unix))]
fn check_exposure(_: &File) -> Result<(), KeyFileErrorKind> {
    Ok(())
}

#[cfg(unix)]
fn check_protected(file: &File) -> Result<(), KeyFileErrorKind> {
    use std::os::unix::fs::MetadataExt as _;
    match file.metadata()?.mode() & 0o7777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(KeyFileErrorKind::Unprotectable { mode }),
    }
}

#[cfg(not(unix))]
fn check_protected(_: &File) -> Result<(), KeyFileErrorKind> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::Instant;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_written_is_private_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, public) = (dir.path().join("key.pem"), dir.path().join("key.pub"));
        write_private_key_file(&secret, "text").unwrap();
        write_public_key_file(&public, "text").unwrap();
        assert_eq!(mode(&secret), 0o600);
        assert_eq!(mode(&public) & 0o600, 0o600);
        assert_eq!(read_private_key_file(&secret).unwrap().as_slice(), b"text");
    }

    #[test]
    fn nothing_is_overwritten_and_no_link_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(&path, "old").unwrap();
        let target = dir.path().join("elsewhere");
        let link = dir.path().join("link");
        symlink(&target, &link).unwrap();
        for taken in [&path, &link] {
            let error = write_private_key_file(taken, "new").unwrap_err();
            assert!(matches!(error.kind, KeyFileErrorKind::Exists), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(!target.exists());
    }

    #[test]
    fn nothing_stays_after_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let result = create(&path, 0o600, |file| {
            file.write_all(b"half")?;
            Err(full().into())
        });
        assert!(matches!(result.unwrap_err().kind, KeyFileErrorKind::Io(_)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn exposed_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        write_private_key_file(&path, "text").unwrap();
        for bits in [0o640, 0o604, 0o620, 0o602, 0o660, 0o666, 0o777] {
            // Group- or world-writable never passes; for the rest it depends on who runs the tests and where.
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            let error = read_private_key_file(&path).unwrap_err();
            assert!(matches!(error.kind, KeyFileErrorKind::Exposed { mode } if mode == bits), "{bits:o}");
            assert!(error.problem().hint.unwrap().contains("chmod 600"));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read_private_key_file(&path).is_ok());
    }

    #[test]
    fn secret_mounts_pass_and_only_they() {
        for (mode, owner, not_the_callers, passes) in [
            (0o100_600, 1000, false, true),
            (0o100_400, 0, false, true),
            (0o100_644, 0, true, true),
            (0o100_444, 0, true, true),
            (0o100_440, 0, true, true),
            (0o100_644, 0, false, false),
            (0o100_644, 1000, true, false),
            (0o100_664, 0, true, false),
            (0o100_646, 0, true, false),
        ] {
            assert_eq!(is_acceptable(mode, owner, || not_the_callers), passes, "{mode:o} {owner}");
        }
    }

    #[test]
    fn links_to_regular_files_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("key.pem"), dir.path().join("link"));
        write_private_key_file(&path, "text").unwrap();
        symlink(&path, &link).unwrap();
        assert!(read_private_key_file(&link).is_ok());
    }

    #[test]
    fn pipes_and_directories_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap();
        assert!(made.success());
        let begin = Instant::now();
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            let error = read_private_key_file(path).unwrap_err();
            assert!(matches!(error.kind, KeyFileErrorKind::NotRegular), "{error}");
        }
        assert!(begin.elapsed().as_secs() < 5);
    }

    #[test]
    fn large_files_are_not_read_to_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        write_private_key_file(&path, &"x".repeat(KEY_TEXT_MAX)).unwrap();
        assert_eq!(read_private_key_file(&path).unwrap().len(), KEY_TEXT_MAX);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        let error = read_private_key_file(&path).unwrap_err();
        assert!(matches!(error.kind, KeyFileErrorKind::TooLarge), "{error}");
    }
}
