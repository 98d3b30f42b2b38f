//! How an archive is put together out of objects.

use std::fs::File;
use std::io::{self, Read as _};

use consign_metadata::{BundleId, BundleName, BundleVersion, Sha256Digest, to_canonical_vec};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, StoreFault, failed};
use crate::limits::{FRAMES_MAX, TAIL_MAX};

/// Largest recipe, in bytes: some twenty million frames, which is 20 TB.
pub const RECIPE_BYTES_MAX: u64 = 2 << 30;
/// The format of recipes.
const FORMAT: u32 = 1;
/// Most files that are kept beside an archive.
const SIDE_FILES_MAX: usize = 1000;

/// An object: bytes that are named by their digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPiece {
    /// SHA-256 of the bytes.
    pub sha256: Sha256Digest,
    /// Number of bytes.
    pub size: u64,
}

/// A file that was kept beside an archive, such as its attestations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Number of bytes.
    pub size: u64,
}

/// How an archive is put together: frames in order, then the tail. What it says of the bundle is for finding it;
/// the archive itself tells whether that is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    format: u32,
    /// Name of the bundle.
    pub name: BundleName,
    /// Version of the bundle.
    pub version: BundleVersion,
    /// The bundle id.
    pub id: BundleId,
    /// The archive.
    pub archive: StoredPiece,
    /// Files beside the archive, in the order in which they came. Of one name there may be several: attestations
    /// grow with every signature.
    pub files: Vec<StoredFile>,
    /// The tail.
    pub tail: StoredPiece,
    /// The frames, in order.
    pub frames: Vec<StoredPiece>,
}

impl StoredFile {
    /// Its bytes as an object.
    pub fn piece(&self) -> StoredPiece {
        StoredPiece { sha256: self.sha256, size: self.size }
    }
}

impl Recipe {
    pub(super) fn new(
        bundle: (BundleName, BundleVersion, BundleId),
        archive: StoredPiece,
        tail: StoredPiece,
        frames: Vec<StoredPiece>,
    ) -> Self {
        let (name, version, id) = bundle;
        Self { format: FORMAT, name, version, id, archive, files: Vec::new(), tail, frames }
    }

    /// What the names of the bundle's files begin with.
    fn stem(&self) -> String {
        format!("{}-{}.", self.name, self.version)
    }

    /// Whether a file of that name may be kept beside the archive. A name that passes cannot lead anywhere.
    pub(super) fn admits(&self, name: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let rest = name.strip_prefix(&self.stem());
        rest.is_some_and(|rest| (1..=100).contains(&rest.len()) && rest.bytes().all(plain))
    }

    /// The files beside the archive as they were last, one of each name.
    pub fn latest_files(&self) -> Vec<&StoredFile> {
        let later = |n: usize, name: &str| self.files[n + 1..].iter().any(|file| file.name == name);
        let files = self.files.iter().enumerate();
        files.filter(|(n, file)| !later(*n, &file.name)).map(|(_, file)| file).collect()
    }

    /// All objects that it needs.
    pub fn pieces(&self) -> impl Iterator<Item = StoredPiece> {
        let files = self.files.iter().map(StoredFile::piece);
        self.frames.iter().copied().chain([self.tail]).chain(files)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        to_canonical_vec(self)
    }

    /// Reads the recipe of that archive.
    fn parse(archive: &Sha256Digest, bytes: &[u8]) -> Result<Self, String> {
        let recipe: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if recipe.format != FORMAT {
            return Err(format!("has the format {}, where this version reads {FORMAT}", recipe.format));
        }
        if recipe.archive.sha256 != *archive {
            return Err(format!("is the recipe of another archive, {}", recipe.archive.sha256));
        }
        if recipe.frames.len() > FRAMES_MAX as usize || recipe.files.len() > SIDE_FILES_MAX {
            return Err("lists too much".into());
        }
        if recipe.tail.size > TAIL_MAX {
            return Err("has a tail beyond the limit".into());
        }
        let sizes = recipe.frames.iter().chain([&recipe.tail]).map(|piece| piece.size);
        if sizes.fold(0u64, u64::saturating_add) != recipe.archive.size {
            return Err("has frames that do not add up to the archive".into());
        }
        if let Some(file) = recipe.files.iter().find(|file| !recipe.admits(&file.name)) {
            return Err(format!("names a file that does not belong there: `{}`", file.name));
        }
        if recipe.to_bytes() != bytes {
            return Err("is not in canonical form".into());
        }
        Ok(recipe)
    }
}

impl Store {
    /// The recipe of an archive.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it is malformed.
    pub fn recipe(&self, archive: &Sha256Digest) -> Result<Recipe, StoreError> {
        let path = self.recipe_path(archive);
        let mut bytes = Vec::new();
        let read = |file: File| file.take(RECIPE_BYTES_MAX + 1).read_to_end(&mut bytes);
        File::open(&path).and_then(read).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoSuchArchive(*archive),
            _ => failed(&path, "cannot be read")(error),
        })?;
        let malformed = |reason| StoreFault::Recipe { archive: *archive, reason };
        if bytes.len() as u64 > RECIPE_BYTES_MAX {
            return Err(malformed("is beyond the limit".into()).into());
        }
        Ok(Recipe::parse(archive, &bytes).map_err(malformed)?)
    }

    /// Reads a file that was kept beside an archive.
    ///
    /// # Errors
    /// It is missing, cannot be read, or is not what it was.
    pub fn file(&self, file: &StoredFile) -> Result<Vec<u8>, StoreError> {
        self.object(&file.piece())
    }

    /// What a recipe needs and the store lacks, by name and size; each once.
    pub fn missing(&self, recipe: &Recipe) -> Vec<StoredPiece> {
        let mut seen = std::collections::HashSet::new();
        recipe.pieces().filter(|piece| !self.has(piece) && seen.insert(piece.sha256)).collect()
    }
}
