//! The files of a manifest, looked for by their content wherever it may be: in directories under any name, and in
//! archives. What was found makes a source that can be packed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use consign_metadata::{EntryPath, FileEntry, Manifest, NameProfile, Sha256Digest};

use super::{
    Identity, Place, Root, Source, SourceEntry, SourceError, SourceModes, SourceOptions, SourceSummary,
    kind_of, open_root,
};
use crate::archive::{Archive, ArchiveError, ReadAt};
use crate::crew::side_by_side;
use crate::hash::{hash_entry, read_buffer};
use crate::header::HeaderKind;
use crate::pack::PackError;
use crate::progress::{Cancelled, Progress};
use crate::unpack::{Selection, UnpackError, unpack};

/// Looks for the files of a manifest.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # use consign_metadata::{Contact, Core, DescriptorSection, FileEntry, FileMode, Manifest, ManifestParts, NameProfile, Sha256Digest};
/// # let contact = Contact { name: "Ada".parse()?, email: "ada@example.org".parse()?, organization: None, role: None };
/// # let core = Core { name: "tiny".parse()?, version: "1.0.0".parse()?, classification: "public".parse()?, contact, license: None, parents: vec![] };
/// # let descriptor = DescriptorSection::new(serde_json::json!({"schema": 1, "kind": "dataset"}))?;
/// # let file = FileEntry { path: "a.txt".parse()?, size: 3, mode: FileMode::Regular, sha256: Sha256Digest::of(b"abc") };
/// # let manifest = Manifest::new(ManifestParts { core, names: NameProfile::Portable, exclude: vec![], descriptor, directories: vec![], files: vec![file] })?;
/// use consign_bundle::Finder;
/// // A manifest that lists `a.txt`, which holds the letters `abc`.
/// let mut finder = Finder::new(&manifest);
/// std::fs::write(dir.path().join("under-another-name"), "abc")?;
/// finder.search_directory(dir.path(), std::num::NonZeroUsize::MIN, &())?;
/// assert!(finder.missing().is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Finder<'m> {
    manifest: &'m Manifest,
    /// What is still looked for, by size.
    wanted: HashMap<u64, HashSet<Sha256Digest>>,
    found: HashMap<Sha256Digest, Found>,
    roots: Vec<Root>,
    /// How many places were searched.
    origins: usize,
    /// Files that could not be looked at.
    unreadable: Vec<String>,
}

/// Where content was found.
struct Found {
    origin: usize,
    /// `None` if it is known to be there, but was not taken out.
    place: Option<(usize, PathBuf, Identity)>,
}

/// Why a place could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It cannot be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What is in an archive cannot be taken out.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It was told to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<ArchiveError> for FindError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Unpack(other.into()),
        }
    }
}

impl<'m> Finder<'m> {
    /// Begins to look for the files of a manifest. Files without content need not be found.
    pub fn new(manifest: &'m Manifest) -> Self {
        let mut wanted: HashMap<u64, HashSet<Sha256Digest>> = HashMap::new();
        for file in manifest.files().iter().filter(|file| !is_empty(file)) {
            wanted.entry(file.size).or_default().insert(file.sha256);
        }
        Self {
            manifest,
            wanted,
            found: HashMap::new(),
            roots: Vec::new(),
            origins: 0,
            unreadable: Vec::new(),
        }
    }

    /// Whether everything was found.
    pub fn is_done(&self) -> bool {
        self.wanted.values().all(HashSet::is_empty)
    }

    /// Looks at all files in a directory and below whose size is that of a file that is looked for. Links are not
    /// followed. Gives the number of the place.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn search_directory(
        &mut self,
        directory: &Path,
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<usize, FindError> {
        let options =
            SourceOptions { names: NameProfile::Posix, include_vcs: true, ..SourceOptions::default() };
        let (source, faults) = Source::scan_all(directory, options)?;
        let unreadable = faults.iter().filter(|fault| fault.code() == "unreadable");
        self.unreadable.extend(unreadable.map(ToString::to_string));
        let candidates: Vec<&SourceEntry> = source.entries.iter().collect();
        let hits = self.hash(&source, &candidates, threads, progress)?;
        let origin = self.origin();
        let root = self.roots.len();
        for (index, digest) in hits {
            let entry = &source.entries[index];
            let place = Some((root, PathBuf::from(entry.path.as_str()), entry.identity));
            self.take(entry.shape().size(), digest, Found { origin, place });
        }
        self.roots.extend(source.roots);
        Ok(origin)
    }

    /// Looks at one file. Gives the number of the place.
    ///
    /// # Errors
    /// The directory that it lies in cannot be opened.
    pub fn search_file(&mut self, file: &Path, progress: &dyn Progress) -> Result<usize, FindError> {
        let origin = self.origin();
        let root = open_root(crate::publish::parent(file))?;
        let name = file.file_name().unwrap_or_default();
        // Only the error messages need a name that a manifest admits.
        let path = name.to_str().and_then(|name| EntryPath::parse(name, NameProfile::Posix).ok());
        let (Some(path), Ok(metadata)) = (path, root.dir.symlink_metadata(name)) else { return Ok(origin) };
        if !metadata.is_file() {
            return Ok(origin);
        }
        let identity = Identity::of(&metadata);
        let entry = SourceEntry { path, kind: kind_of(&metadata), identity, place: None };
        let source = Source {
            roots: vec![root],
            entries: vec![entry],
            excluded: Vec::new(),
            summary: SourceSummary::default(),
            modes: SourceModes::Told,
            options: SourceOptions::default(),
        };
        let hits = self.hash(&source, &[&source.entries[0]], NonZeroUsize::MIN, progress)?;
        for (_, digest) in hits {
            let place = Some((self.roots.len(), PathBuf::from(name), identity));
            self.take(metadata.len(), digest, Found { origin, place });
        }
        self.roots.extend(source.roots);
        Ok(origin)
    }

    /// Looks at what an archive holds by its own manifest, and unpacks what is looked for below `scratch`, verified;
    /// without a folder to unpack into it is only noted. Gives the number of the place.
    ///
    /// # Errors
    /// The archive is not in order, or it cannot be unpacked. What could be taken out of it is there all the same.
    pub fn search_archive<R: ReadAt>(
        &mut self,
        archive: &Archive<'_, R>,
        scratch: Option<&Path>,
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<usize, FindError> {
        let origin = self.origin();
        let (manifest, _) = archive.manifest()?;
        let mut chosen: BTreeMap<EntryPath, (u64, Sha256Digest)> = BTreeMap::new();
        let mut seen = HashSet::new();
        for file in manifest.files() {
            let wanted = self.wanted.get(&file.size).is_some_and(|wanted| wanted.contains(&file.sha256));
            if wanted && seen.insert(file.sha256) {
                chosen.insert(file.path.clone(), (file.size, file.sha256));
            }
        }
        let Some(scratch) = scratch else {
            for (size, digest) in chosen.into_values() {
                self.take(size, digest, Found { origin, place: None });
            }
            return Ok(origin);
        };
        let mut result = Ok(());
        let mut pending = vec![chosen.into_iter().collect::<Vec<_>>()];
        while let Some(mut part) = pending.pop() {
            if part.is_empty() {
                continue;
            }
            let destination = scratch.join(self.roots.len().to_string());
            let paths = part.iter().map(|(path, _)| path.clone()).collect();
            match unpack(archive, &destination, Selection::Only(paths), threads, progress) {
                Ok(_) => self.unpacked(&destination, origin, part)?,
                Err(UnpackError::Archive(ArchiveError::Cancelled(cancelled))) => return Err(cancelled.into()),
                // What is good of it can still be used.
                Err(error @ UnpackError::Archive(_)) if part.len() > 1 => {
                    let half = part.split_off(part.len() / 2);
                    pending.extend([part, half]);
                    result = Err(error.into());
                }
                Err(error @ UnpackError::Archive(_)) => result = Err(error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        result.map(|()| origin)
    }

    /// What was unpacked and verified is where it is found.
    fn unpacked(
        &mut self,
        destination: &Path,
        origin: usize,
        part: Vec<(EntryPath, (u64, Sha256Digest))>,
    ) -> Result<(), FindError> {
        let root = open_root(destination)?;
        for (path, (size, digest)) in part {
            let metadata = root.dir.symlink_metadata(path.as_str());
            let metadata = metadata
                .map_err(|error| UnpackError::Write { path: destination.join(path.as_str()), error })?;
            let place = Some((self.roots.len(), PathBuf::from(path.as_str()), Identity::of(&metadata)));
            self.take(size, digest, Found { origin, place });
        }
        self.roots.push(root);
        Ok(())
    }

    fn origin(&mut self) -> usize {
        self.origins += 1;
        self.origins - 1
    }

    fn take(&mut self, size: u64, digest: Sha256Digest, found: Found) {
        if self.wanted.get_mut(&size).is_some_and(|wanted| wanted.remove(&digest)) {
            self.found.insert(digest, found);
        }
    }

    /// Hashes those that may be what is looked for; gives those that are, by index.
    fn hash(
        &mut self,
        source: &Source,
        entries: &[&SourceEntry],
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Sha256Digest)>, FindError> {
        let wanted = Mutex::new((self.wanted.clone(), Vec::new(), Vec::new()));
        let state = || wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), Cancelled> {
            let mut buffer = read_buffer();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(entry) = entries.get(n) else { return Ok(()) };
                let size = entry.shape().size();
                let of_size = |wanted: &HashSet<Sha256Digest>| !wanted.is_empty();
                if entry.kind == HeaderKind::Directory || !state().0.get(&size).is_some_and(of_size) {
                    continue;
                }
                match hash_entry(source, entry, &mut buffer, None, progress) {
                    Ok(digest) => {
                        let mut state = state();
                        if state.0.get_mut(&size).is_some_and(|wanted| wanted.remove(&digest)) {
                            state.1.push((n, digest));
                        }
                    }
                    Err(PackError::Read(error)) => state().2.push(error.to_string()),
                    Err(_) => {
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                        return Err(Cancelled);
                    }
                }
            }
        };
        side_by_side(threads.get(), work, || Cancelled)?;
        let (_, hits, unreadable) = wanted.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.unreadable.extend(unreadable);
        Ok(hits)
    }

    /// How many places were searched; they are numbered from 0.
    pub fn places(&self) -> usize {
        self.origins
    }

    /// What was not found, in the order of the manifest.
    pub fn missing(&self) -> Vec<&'m FileEntry> {
        let missing = |file: &&FileEntry| !is_empty(file) && !self.found.contains_key(&file.sha256);
        self.manifest.files().iter().filter(missing).collect()
    }

    /// What was found, with the number of the place; `None` for what needs no place.
    pub fn parts(&self) -> impl Iterator<Item = (&'m FileEntry, Option<usize>)> {
        let files = self.manifest.files().iter();
        files.filter_map(|file| match self.found.get(&file.sha256) {
            Some(found) => Some((file, Some(found.origin))),
            None => is_empty(file).then_some((file, None)),
        })
    }

    /// What could not be looked at, in words.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// A source of everything that the manifest lists, read from where it was found. Whether it still is what it
    /// was shows when it is read. `scratch` is a folder in which there is room for an empty file.
    ///
    /// # Errors
    /// Something was not found or not taken out of its archive (`NotFound`), the folder cannot be written.
    pub fn into_source(mut self, scratch: &Path) -> Result<Source, SourceError> {
        let failed = |error| SourceError::Open { path: scratch.into(), error };
        let empty = Path::new("empty");
        fs::write(scratch.join(empty), []).map_err(failed)?;
        let root = open_root(scratch)?;
        let nothing = root.dir.symlink_metadata(empty).map_err(failed)?;
        let nothing = (self.roots.len(), empty.to_owned(), Identity::of(&nothing));
        self.roots.push(root);
        let mut summary = SourceSummary::default();
        let mut entries = Vec::new();
        for entry in self.manifest.entries() {
            let path = entry.path().clone();
            let Some(file) = entry.file() else {
                summary.directories += 1;
                let kind = HeaderKind::Directory;
                entries.push(SourceEntry { path, kind, identity: Identity::default(), place: None });
                continue;
            };
            let found = match is_empty(file) {
                true => Some(&nothing),
                false => self.found.get(&file.sha256).and_then(|found| found.place.as_ref()),
            };
            let (root, place, identity) =
                found.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?.clone();
            summary.files += 1;
            summary.bytes = summary.bytes.saturating_add(file.size);
            summary.allocated = summary.bytes;
            let kind = HeaderKind::File { size: file.size, mode: file.mode.bits() };
            let place = Some(Box::new(Place { root, path: place, other_mode: true }));
            entries.push(SourceEntry { path, kind, identity, place });
        }
        let options = SourceOptions {
            names: self.manifest.names(),
            exclude: self.manifest.exclude().to_vec(),
            ..SourceOptions::default()
        };
        Ok(Source {
            roots: self.roots,
            entries,
            excluded: Vec::new(),
            summary,
            modes: SourceModes::Told,
            options,
        })
    }
}

/// Content that needs no looking for.
fn is_empty(file: &FileEntry) -> bool {
    file.size == 0 && file.sha256 == Sha256Digest::of(b"")
}
