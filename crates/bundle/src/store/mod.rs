//! A store of archives: every compressed frame once, however many archives hold it, and for each archive a
//! recipe that says how it is put together again. The format is in `docs/store.md`.
//!
//! Nothing in a store is believed. An object is what its name says, or it is an error; an archive that is put
//! together has the digest that its recipe is named by, or it is an error.

mod check;
mod collect;
mod deposit;
mod recipe;
mod stored_archive;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use consign_files::has_no_locks;
use consign_metadata::Sha256Digest;

pub use self::check::{StoreChecked, StoreFault};
pub use self::collect::Collected;
pub use self::deposit::{Deposited, SideFile};
pub use self::recipe::{RECIPE_BYTES_MAX, Recipe, StoredFile, StoredPiece};
pub use self::stored_archive::{RebuildError, StoredArchive};

use crate::archive::ArchiveError;
use crate::progress::{Cancelled, Progress};
use crate::publish;

/// Says that a directory is a store, and of which format.
const MARK: &str = "consign-store";
const MARK_CONTENT: &str = "consign store 1\n";
const LOCK: &str = "lock";
const OBJECTS: &str = "objects";
const RECIPES: &str = "recipes";
const RECIPE_SUFFIX: &str = ".json";
/// Files that have no name yet.
const INCOMING: &str = "incoming";

/// A store in a directory.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use consign_bundle::Store;
/// let folder = tempfile::tempdir()?;
/// let store = Store::create(&folder.path().join("store"))?;
/// assert!(store.archives()?.is_empty());
/// // What nobody made a store is none.
/// assert!(Store::open(folder.path()).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// Why something could not be done with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of it cannot be read or written.
    #[error("`{}` {what}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The directory is not a store.
    #[error("`{}` is not a store", .0.display())]
    NotAStore(PathBuf),
    /// Made by a newer version.
    #[error("`{}` is a store of another format than this version of consign reads (format 1)", .0.display())]
    OtherFormat(PathBuf),
    /// The file system has no locks, without which nothing may be removed.
    #[error("the file system of `{}` has no locks; somebody could be adding what would be removed", .0.display())]
    NoLocks(PathBuf),
    /// The archive was not held against a signed statement.
    #[error("the archive was not held against a signed statement")]
    NotAnchored,
    /// A file that is to be kept beside an archive has a name that does not belong there.
    #[error("`{}` is not the name of a file that belongs to this bundle", consign_metadata::printable(.0))]
    SideName(String),
    /// There is no recipe for that archive.
    #[error("the store has no archive {0}")]
    NoSuchArchive(Sha256Digest),
    /// Something in the store is not as it must be.
    #[error(transparent)]
    Fault(#[from] StoreFault),
    /// What was to be added is not in order.
    #[error(transparent)]
    Archive(ArchiveError),
    /// It was told to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<ArchiveError> for StoreError {
    /// What was wrong with a store that an archive was read from is told as that.
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Io(error) => match error.downcast::<StoreFault>() {
                Ok(fault) => Self::Fault(fault),
                Err(error) => Self::Archive(ArchiveError::Io(error)),
            },
            ArchiveError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Archive(other),
        }
    }
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |error| StoreError::Io { path, what, error }
}

/// Keeps others from removing what is being read or added, or, where it is exclusive, from adding what is being
/// removed. Given back when it is dropped, also when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Option<File>,
}

/// How often it is asked whether somebody else is done.
const PATIENCE: Duration = Duration::from_millis(20);

impl Store {
    /// Opens a store.
    ///
    /// # Errors
    /// The directory cannot be read, or is no store of this format.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let mark = root.join(MARK);
        let found = fs::read(&mark).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StoreError::NotAStore(root.into()),
            _ => failed(&mark, "cannot be read")(error),
        })?;
        if found != MARK_CONTENT.as_bytes() {
            return Err(StoreError::OtherFormat(root.into()));
        }
        Ok(Self { root: root.into() })
    }

    /// Opens a store, or makes an empty directory one. The directory above must be there.
    ///
    /// # Errors
    /// The directory cannot be made, or holds something else, or a store of another format.
    pub fn create(root: &Path) -> Result<Self, StoreError> {
        match Self::open(root) {
            Err(StoreError::NotAStore(_)) => {}
            other => return other,
        }
        let made = |path: &Path| match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => {
                Err(failed(path, "cannot be made")(error))
            }
            _ => Ok(()),
        };
        made(root)?;
        for name in names_in(root)? {
            // What somebody left who was cut short making it, or is making it just now.
            let ours = [MARK, LOCK, OBJECTS, RECIPES, INCOMING].contains(&name.as_str());
            if !ours && !publish::is_temporary(&name) {
                return Err(StoreError::NotAStore(root.into()));
            }
        }
        for name in [OBJECTS, RECIPES, INCOMING] {
            made(&root.join(name))?;
        }
        let lock = root.join(LOCK);
        let opened = fs::OpenOptions::new().create(true).append(true).open(&lock);
        opened.map_err(failed(&lock, "cannot be made"))?;
        let mark = root.join(MARK);
        publish::replace(&mark, MARK_CONTENT.as_bytes()).map_err(failed(&mark, "cannot be written"))?;
        Ok(Self { root: root.into() })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The digests of all archives that there are recipes for, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn archives(&self) -> Result<Vec<Sha256Digest>, StoreError> {
        let names = names_in(&self.root.join(RECIPES))?;
        let digest = |name: &String| Sha256Digest::from_hex(name.strip_suffix(RECIPE_SUFFIX)?).ok();
        let mut found: Vec<_> = names.iter().filter_map(digest).collect();
        found.sort_unstable();
        Ok(found)
    }

    fn object_path(&self, digest: &Sha256Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(OBJECTS).join(&hex[..2]).join(hex)
    }

    fn recipe_path(&self, archive: &Sha256Digest) -> PathBuf {
        self.root.join(RECIPES).join(format!("{}{RECIPE_SUFFIX}", archive.hex()))
    }

    /// Whether there is an object of that name and size. Its content is looked at when it is read.
    fn has(&self, piece: &StoredPiece) -> bool {
        let found = fs::symlink_metadata(self.object_path(&piece.sha256));
        found.is_ok_and(|found| found.is_file() && found.len() == piece.size)
    }

    /// Reads an object, which must be what its name says.
    fn object(&self, piece: &StoredPiece) -> Result<Vec<u8>, StoreError> {
        let bytes = self.unchecked_object(piece)?;
        if Sha256Digest::of(&bytes) != piece.sha256 {
            return Err(StoreFault::ObjectAltered(piece.sha256).into());
        }
        Ok(bytes)
    }

    /// Reads an object of the right size; what it holds is for the caller to check.
    fn unchecked_object(&self, piece: &StoredPiece) -> Result<Vec<u8>, StoreError> {
        let path = self.object_path(&piece.sha256);
        let altered = || StoreError::from(StoreFault::ObjectAltered(piece.sha256));
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreFault::ObjectMissing(*piece).into(),
            _ => failed(&path, "cannot be read")(error),
        })?;
        let metadata = file.metadata().map_err(failed(&path, "cannot be read"))?;
        if !metadata.is_file() || metadata.len() != piece.size {
            return Err(altered());
        }
        let mut bytes = vec![0; usize::try_from(piece.size).map_err(|_| altered())?];
        io::Read::read_exact(&mut file, &mut bytes).map_err(failed(&path, "cannot be read"))?;
        Ok(bytes)
    }

    /// Shares the store with others who read or add. Without locks, or where not even one may be taken, nobody
    /// can remove anything either.
    pub(crate) fn share(&self, progress: &dyn Progress) -> Result<Lock, StoreError> {
        let path = self.root.join(LOCK);
        let Ok(file) = File::open(&path) else { return Ok(Lock { _file: None }) };
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(Lock { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if progress.cancelled() => return Err(Cancelled.into()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PATIENCE),
                Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                    return Ok(Lock { _file: None });
                }
                Err(TryLockError::Error(error)) => return Err(failed(&path, "cannot be locked")(error)),
            }
        }
    }

    /// Waits until nobody else reads or adds, and keeps them out.
    pub(crate) fn own(&self, progress: &dyn Progress) -> Result<Lock, StoreError> {
        let path = self.root.join(LOCK);
        let file = fs::OpenOptions::new().append(true).open(&path);
        let file = file.map_err(failed(&path, "cannot be locked"))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if progress.cancelled() => return Err(Cancelled.into()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PATIENCE),
                Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                    return Err(StoreError::NoLocks(self.root.clone()));
                }
                Err(TryLockError::Error(error)) => return Err(failed(&path, "cannot be locked")(error)),
            }
        }
    }
}

/// The names in a directory that are text, in order.
fn names_in(directory: &Path) -> Result<Vec<String>, StoreError> {
    let unreadable = || failed(directory, "cannot be read");
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable())? {
        names.push(entry.map_err(unreadable())?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
