//! What is put into a store: objects first, each whole and on disk before it has its name; the recipe last, so that
//! whoever finds a recipe finds everything it names.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use consign_files::has_no_locks;
use consign_metadata::Sha256Digest;
use tempfile::{NamedTempFile, TempPath};

use super::{INCOMING, Recipe, Store, StoreError, StoredFile, StoredPiece, failed};
use crate::archive::{Anchor, Archive, ArchiveError, Fault, ReadAt};
use crate::frame::check_frame;
use crate::progress::{Cancelled, Progress};
use crate::publish;
use crate::sha256::digest_all;

/// A file that is kept beside an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideFile {
    /// Its name, which begins with `NAME-VERSION.`.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What came of adding an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposited {
    /// The recipe.
    pub recipe: Recipe,
    /// Whether the store knew all of it already.
    pub unchanged: bool,
    /// Objects that were not there yet.
    pub new_objects: u64,
    /// Their bytes.
    pub new_bytes: u64,
}

/// How many objects, and bytes of them, are brought to the disk together.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: u64 = 128 << 20;
/// Up to so many files are brought to the disk one by one: that spares waiting for what others write.
const ONE_BY_ONE: usize = 32;
/// Frames that are read and hashed together.
const BATCH: usize = 8;
const HOLDS: &str = "part of the bundle; `consign verify` says which";

impl Store {
    /// Adds an archive that is held against a signed statement, with the files beside it. What is there already is
    /// not written again. `progress` is told of bytes of the archive.
    ///
    /// Every byte is checked against the statement on its way, and the manifest; what the frames decode to is not
    /// looked at.
    ///
    /// # Errors
    /// The archive is not held against a statement or not what was signed; the store cannot be written. No recipe
    /// is written then.
    pub fn add<R: ReadAt>(
        &self,
        archive: &Archive<'_, R>,
        files: &[SideFile],
        progress: &dyn Progress,
    ) -> Result<Deposited, StoreError> {
        let Anchor::Signed(expected) = archive.anchor() else { return Err(StoreError::NotAnchored) };
        let _lock = self.share(progress)?;
        let facts = archive.facts();
        let known = match self.recipe(&facts.sha256) {
            Ok(recipe) if self.missing(&recipe).is_empty() => Some(recipe),
            // One that is damaged is written again.
            Ok(_) | Err(StoreError::NoSuchArchive(_) | StoreError::Fault(_)) => None,
            Err(error) => return Err(error),
        };
        let mut incoming = Incoming::new(self);
        let mut recipe = match &known {
            Some(known) => {
                progress.advance(facts.size);
                known.clone()
            }
            None => {
                let bundle = (expected.name.clone(), expected.version.clone(), expected.id);
                let archive_piece = StoredPiece { sha256: facts.sha256, size: facts.size };
                let (frames, tail) = incoming.archive(archive, progress)?;
                Recipe::new(bundle, archive_piece, tail, frames)
            }
        };
        let mut stored = Vec::with_capacity(files.len());
        for SideFile { name, bytes } in files {
            if !recipe.admits(name) {
                return Err(StoreError::SideName(name.clone()));
            }
            let StoredPiece { sha256, size } = incoming.put(Sha256Digest::of(bytes), bytes)?;
            stored.push(StoredFile { name: name.clone(), sha256, size });
        }
        incoming.settle()?;
        let (new_objects, new_bytes) = (incoming.objects, incoming.bytes);
        // Others may add files to the same recipe just now.
        let _recipes = self.own_recipes()?;
        let there = self.recipe(&facts.sha256).map(|there| there.files).unwrap_or_default();
        recipe.files = there;
        for file in stored {
            if !recipe.files.contains(&file) {
                recipe.files.push(file);
            }
        }
        let unchanged = known.as_ref() == Some(&recipe) && new_objects == 0;
        if known.as_ref() != Some(&recipe) {
            self.write_recipe(&recipe)?;
        }
        Ok(Deposited { recipe, unchanged, new_objects, new_bytes })
    }

    fn own_recipes(&self) -> Result<fs::File, StoreError> {
        let path = self.root.join("recipes.lock");
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(failed(&path, "cannot be locked"))?;
        match file.lock() {
            Err(error) if !has_no_locks(&error) => Err(failed(&path, "cannot be locked")(error)),
            _ => Ok(file),
        }
    }

    fn write_recipe(&self, recipe: &Recipe) -> Result<(), StoreError> {
        let path = self.recipe_path(&recipe.archive.sha256);
        let unwritable = || failed(&path, "cannot be written");
        let file = self.incoming_file(&recipe.to_bytes()).map_err(unwritable())?;
        file.as_file().sync_all().map_err(unwritable())?;
        file.persist(&path).map_err(|error| error.error).map_err(unwritable())?;
        publish::sync_directory(publish::parent(&path)).map_err(unwritable())
    }

    /// A file without a name that nobody may change.
    fn incoming_file(&self, bytes: &[u8]) -> io::Result<NamedTempFile> {
        let mut file = publish::temporary_with_mode(&self.root.join(INCOMING), 0o444)?;
        file.write_all(bytes)?;
        Ok(file)
    }
}

/// Objects on their way into a store.
struct Incoming<'a> {
    store: &'a Store,
    /// Written, but not yet under their names.
    pending: Vec<(StoredPiece, TempPath)>,
    pending_bytes: u64,
    /// What is pending, or was found to be there.
    seen: HashSet<Sha256Digest>,
    objects: u64,
    bytes: u64,
}

impl<'a> Incoming<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, pending: Vec::new(), pending_bytes: 0, seen: HashSet::new(), objects: 0, bytes: 0 }
    }

    /// Takes in all frames, each checked against the state that was recorded for its end, and the tail.
    fn archive<R: ReadAt>(
        &mut self,
        archive: &Archive<'_, R>,
        progress: &dyn Progress,
    ) -> Result<(Vec<StoredPiece>, StoredPiece), StoreError> {
        // It holds the manifest that was signed, in the place that the manifest itself determines.
        archive.manifest()?;
        let records = &archive.tail.frames;
        let numbers: Vec<usize> = (0..records.len()).collect();
        let mut frames = Vec::with_capacity(records.len());
        let mut memory = Vec::new();
        for batch in numbers.chunks(BATCH) {
            if progress.cancelled() {
                return Err(Cancelled.into());
            }
            let ranges = archive.read_unaltered(batch, &mut memory, HOLDS)?;
            let bytes: Vec<&[u8]> = ranges.into_iter().map(|range| &memory[range]).collect();
            for ((&n, bytes), digest) in batch.iter().zip(&bytes).zip(digest_all(&bytes)) {
                check_frame(bytes, records[n].decoded)
                    .map_err(|fault| ArchiveError::from(Fault::Frame { frame: n, fault }))?;
                frames.push(self.put(digest, bytes)?);
                progress.advance(bytes.len() as u64);
            }
        }
        // To the byte what was read: a tail has one spelling.
        let tail = archive.tail.to_bytes().map_err(ArchiveError::from)?;
        let tail = self.put(Sha256Digest::of(&tail), &tail)?;
        if tail.sha256 != archive.facts().tail_sha256 {
            return Err(ArchiveError::from(Fault::TailDigest).into());
        }
        progress.advance(tail.size);
        Ok((frames, tail))
    }

    /// Takes in an object, unless it is there.
    fn put(&mut self, sha256: Sha256Digest, bytes: &[u8]) -> Result<StoredPiece, StoreError> {
        let piece = StoredPiece { sha256, size: bytes.len() as u64 };
        if !self.seen.insert(sha256) || self.store.has(&piece) {
            return Ok(piece);
        }
        let path = self.store.object_path(&sha256);
        let file = self.store.incoming_file(bytes).map_err(failed(&path, "cannot be written"))?;
        self.pending.push((piece, file.into_temp_path()));
        self.pending_bytes += piece.size;
        if self.pending.len() >= TOGETHER || self.pending_bytes >= TOGETHER_BYTES {
            self.settle()?;
        }
        Ok(piece)
    }

    /// Gives what is pending its names, once all of it is on disk.
    fn settle(&mut self) -> Result<(), StoreError> {
        let incoming = self.store.root.join(INCOMING);
        let written: Vec<&Path> = self.pending.iter().map(|(_, file)| &**file).collect();
        bring_to_disk(&incoming, &written).map_err(failed(&incoming, "cannot be written"))?;
        let mut folders = BTreeSet::new();
        for (piece, mut file) in self.pending.drain(..) {
            let path = self.store.object_path(&piece.sha256);
            let unwritable = || failed(&path, "cannot be written");
            let folder = publish::parent(&path).to_path_buf();
            match fs::create_dir(&folder) {
                Ok(()) => drop(folders.insert(publish::parent(&folder).to_path_buf())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&folder, "cannot be made")(error)),
            }
            match publish::give_name(&mut file, &path) {
                Ok(()) => {
                    self.objects += 1;
                    self.bytes += piece.size;
                }
                // Somebody else was faster; or what is there is not whole, and is replaced.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !self.store.has(&piece) {
                        file.persist(&path).map_err(|error| error.error).map_err(unwritable())?;
                        self.objects += 1;
                        self.bytes += piece.size;
                    }
                }
                Err(error) => return Err(unwritable()(error)),
            }
            folders.insert(folder);
        }
        self.pending_bytes = 0;
        let folders: Vec<PathBuf> = folders.into_iter().collect();
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        bring_to_disk(&incoming, &folders).map_err(failed(&incoming, "cannot be written"))
    }
}

/// Makes files, or the names in directories, durable. All lie on the file system of `root`.
fn bring_to_disk(root: &Path, paths: &[&Path]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if paths.len() > ONE_BY_ONE {
        match rustix::fs::syncfs(fs::File::open(root)?).map_err(io::Error::from) {
            Err(error) if publish::is_unable(&error) => {}
            result => return result,
        }
    }
    let _ = (root, ONE_BY_ONE);
    for path in paths {
        if path.is_dir() {
            publish::sync_directory(path)?;
        } else {
            fs::File::open(path)?.sync_all()?;
        }
    }
    Ok(())
}
