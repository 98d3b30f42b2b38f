//! Whether everything in a store is what it must be.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use consign_metadata::{Sha256Digest, printable};

use super::stored_archive::RebuildError;
use super::{INCOMING, OBJECTS, RECIPE_SUFFIX, RECIPES, Store, StoreError, StoredPiece, failed, names_in};
use crate::archive::{Anchor, Archive, ArchiveError};
use crate::crew::side_by_side;
use crate::hash::read_buffer;
use crate::progress::{Cancelled, Progress};
use crate::sha256::Sha256State;

/// Something in a store that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// An object is not what its name says.
    #[error("the object {0} was altered or cut short")]
    ObjectAltered(Sha256Digest),
    /// An object that a recipe needs is not there.
    #[error("the object {} ({} bytes) is missing", .0.sha256, .0.size)]
    ObjectMissing(StoredPiece),
    /// A recipe is not one, or belongs to another archive.
    #[error("the recipe of {archive} {reason}")]
    Recipe {
        /// The archive that it is named by.
        archive: Sha256Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that does not belong into a store.
    #[error("`{}` does not belong into a store", printable(&.0.display().to_string()))]
    Foreign(PathBuf),
}

impl StoreFault {
    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ObjectAltered(_) => "object-altered",
            Self::ObjectMissing(_) => "object-missing",
            Self::Recipe { .. } => "recipe-malformed",
            Self::Foreign(_) => "store-foreign",
        }
    }
}

/// What a store was found to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreChecked {
    /// Number of archives.
    pub archives: u64,
    /// Bytes that they have together.
    pub archive_bytes: u64,
    /// Number of objects.
    pub objects: u64,
    /// Bytes of the objects.
    pub object_bytes: u64,
    /// Objects that no recipe needs.
    pub unneeded: u64,
    /// Files that never got their names, of writers that were cut short or are at it.
    pub leftovers: u64,
    /// What is not as it must be, in order; for each archive that cannot be put together, the first reason.
    pub faults: Vec<StoreFault>,
    /// Archives that cannot be put together because of it.
    pub broken: Vec<Sha256Digest>,
}

/// The objects in a store, by their names.
pub(super) struct Listing {
    pub(super) objects: Vec<StoredPiece>,
    pub(super) foreign: Vec<PathBuf>,
}

impl Store {
    /// Reads every object, and puts every archive together without writing it. With `quick` archives are not put
    /// together: their recipes and tails are read, and whether everything that they name is there.
    ///
    /// `progress` is told of bytes that were read; [`work`](Self::work) says how many there are.
    ///
    /// # Errors
    /// The store cannot be read. What is wrong in it is no error but the result.
    pub fn verify(
        &self,
        quick: bool,
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<StoreChecked, StoreError> {
        let _lock = self.share(progress)?;
        let Listing { objects, foreign } = self.listing()?;
        let mut altered = self.altered(&objects, threads, progress)?;
        altered.sort_unstable();
        let mut checked = StoreChecked {
            objects: objects.len() as u64,
            object_bytes: objects.iter().map(|object| object.size).sum(),
            leftovers: self.leftovers()?.len() as u64,
            faults: foreign.into_iter().map(StoreFault::Foreign).collect(),
            ..StoreChecked::default()
        };
        checked.faults.extend(altered.iter().copied().map(StoreFault::ObjectAltered));
        let altered: HashSet<Sha256Digest> = altered.into_iter().collect();
        let mut needed = HashSet::new();
        for archive in self.archives()? {
            checked.archives += 1;
            let fault = match self.recipe(&archive) {
                Err(StoreError::Fault(fault)) => Some(fault),
                Err(error) => return Err(error),
                Ok(recipe) => {
                    checked.archive_bytes = checked.archive_bytes.saturating_add(recipe.archive.size);
                    needed.extend(recipe.pieces().map(|piece| piece.sha256));
                    // Known already, and named once.
                    let bad = recipe.pieces().any(|piece| altered.contains(&piece.sha256));
                    let missing = self.missing(&recipe);
                    let missing: Vec<_> =
                        missing.into_iter().filter(|piece| !altered.contains(&piece.sha256)).collect();
                    if bad || !missing.is_empty() {
                        checked.broken.push(archive);
                        checked.faults.extend(missing.into_iter().map(StoreFault::ObjectMissing));
                        continue;
                    }
                    self.check_archive(&archive, quick, progress)?
                }
            };
            if let Some(fault) = fault {
                checked.broken.push(archive);
                checked.faults.push(fault);
            }
        }
        checked.unneeded = objects.iter().filter(|object| !needed.contains(&object.sha256)).count() as u64;
        let mut seen = HashSet::new();
        checked.faults.retain(|fault| seen.insert(fault.to_string()));
        Ok(checked)
    }

    /// How many bytes a verification reads.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn work(&self, quick: bool) -> Result<u64, StoreError> {
        let objects: u64 = self.listing()?.objects.iter().map(|object| object.size).sum();
        let sizes = |archive| self.recipe(archive).map_or(0, |recipe| recipe.archive.size);
        Ok(objects + if quick { 0 } else { self.archives()?.iter().map(sizes).sum() })
    }

    /// What is wrong with an archive whose objects are all there and what they are called.
    fn check_archive(
        &self,
        archive: &Sha256Digest,
        quick: bool,
        progress: &dyn Progress,
    ) -> Result<Option<StoreFault>, StoreError> {
        let check = || -> Result<(), StoreError> {
            let stored = self.archive(archive, progress)?;
            let recipe = stored.recipe();
            let malformed = |reason: &str| StoreFault::Recipe { archive: *archive, reason: reason.into() };
            let (manifest, bytes) = match Archive::open(&stored, Anchor::Unsigned)?.manifest() {
                Err(ArchiveError::Faults { .. }) => {
                    return Err(malformed("names frames in which no manifest stands").into());
                }
                other => other?,
            };
            let core = manifest.core();
            let id = consign_metadata::Manifest::id_of(&bytes);
            if (&core.name, &core.version, id) != (&recipe.name, &recipe.version, recipe.id) {
                return Err(malformed("says of the bundle what its manifest does not").into());
            }
            if !quick {
                stored.write_to(&mut io::sink(), progress).map_err(|error| match error {
                    RebuildError::Store(error) => error,
                    RebuildError::Write(error) => failed(&self.root, "cannot be read")(error),
                })?;
            }
            Ok(())
        };
        match check() {
            Ok(()) => Ok(None),
            Err(StoreError::Fault(fault)) => Ok(Some(fault)),
            Err(error) => Err(error),
        }
    }

    /// Every object, by name and size.
    pub(super) fn listing(&self) -> Result<Listing, StoreError> {
        let root = self.root.join(OBJECTS);
        let mut listing = Listing { objects: Vec::new(), foreign: Vec::new() };
        for name in names_in(&root)? {
            let folder = root.join(&name);
            if name.len() != 2 || !folder.is_dir() {
                listing.foreign.push(folder);
                continue;
            }
            for object in names_in(&folder)? {
                let path = folder.join(&object);
                let metadata = fs::symlink_metadata(&path).map_err(failed(&path, "cannot be read"))?;
                match Sha256Digest::from_hex(&object) {
                    Ok(sha256) if object.starts_with(&name) && metadata.is_file() => {
                        listing.objects.push(StoredPiece { sha256, size: metadata.len() });
                    }
                    _ => listing.foreign.push(path),
                }
            }
        }
        let recipes = self.root.join(RECIPES);
        for name in names_in(&recipes)? {
            let digest = name.strip_suffix(RECIPE_SUFFIX).map(Sha256Digest::from_hex);
            if !matches!(digest, Some(Ok(_))) {
                listing.foreign.push(recipes.join(name));
            }
        }
        Ok(listing)
    }

    /// Files that never got their names.
    pub(super) fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let incoming = self.root.join(INCOMING);
        Ok(names_in(&incoming)?.into_iter().map(|name| incoming.join(name)).collect())
    }

    /// Objects that are not what their names say.
    fn altered(
        &self,
        objects: &[StoredPiece],
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<Vec<Sha256Digest>, StoreError> {
        let next = AtomicUsize::new(0);
        let altered = Mutex::new(Vec::new());
        let work = || -> Result<(), StoreError> {
            let mut buffer = read_buffer();
            while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                let path = self.object_path(&object.sha256);
                let found = digest_of(&path, &mut buffer[..], progress).inspect_err(|_| {
                    // Nobody needs to begin another object.
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                })?;
                if found != object.sha256 {
                    altered.lock().unwrap_or_else(PoisonError::into_inner).push(object.sha256);
                }
            }
            Ok(())
        };
        side_by_side(threads.get(), work, || StoreError::Cancelled(Cancelled))?;
        Ok(altered.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

fn digest_of(path: &Path, buffer: &mut [u8], progress: &dyn Progress) -> Result<Sha256Digest, StoreError> {
    let unreadable = || failed(path, "cannot be read");
    let mut file = File::open(path).map_err(unreadable())?;
    let mut state = Sha256State::initial();
    loop {
        if progress.cancelled() {
            return Err(Cancelled.into());
        }
        match io::Read::read(&mut file, buffer) {
            Ok(0) => return Ok(state.finish()),
            Ok(read) => {
                state.update(&buffer[..read]);
                progress.advance(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable()(error)),
        }
    }
}
