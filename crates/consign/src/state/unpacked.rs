//! Where content of bundles was unpacked to, and by whose word: whoever takes a bundle back later means that content too.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use consign_bundle::publish;
use consign_metadata::Sha256Digest;
use consign_signing::{ATTESTATIONS_BYTES_MAX, Attestations};
use serde::{Deserialize, Serialize};

use super::{State, lock};
use crate::reading::regular_files;

const FOLDER: &str = "unpacked";
/// Largest entry: the attestations of a bundle as text, and a path.
const ENTRY_BYTES_MAX: u64 = 2 * ATTESTATIONS_BYTES_MAX as u64 + (1 << 16);

/// Content that was unpacked.
pub struct Unpacked {
    /// The directory that was made for it.
    pub directory: PathBuf,
    /// What was signed of the bundle, so that it can be asked again who vouches for it, and who may take it back.
    pub attestations: Attestations,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub directory: String,
    pub attestations: String,
}

/// A path may be longer than a file name: its digest is not.
fn file_name(directory: &str) -> String {
    format!("{}.json", Sha256Digest::of(directory.as_bytes()).hex())
}

/// The directory by a path that means the same tomorrow.
fn absolute(directory: &Path) -> io::Result<String> {
    let path = std::path::absolute(directory)?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the path is not UTF-8"))
}

impl State {
    /// Remembers that a directory was made of that bundle.
    pub fn keep_unpacked(&self, directory: &Path, attestations: &Attestations) -> io::Result<()> {
        if self.directory.is_none() {
            return Ok(());
        }
        let directory = absolute(directory)?;
        let text = String::from_utf8(attestations.to_bytes()).map_err(io::Error::other)?;
        let folder = self.make(FOLDER)?;
        let path = folder.join(file_name(&directory));
        let bytes = serde_json::to_vec(&Entry { directory, attestations: text })?;
        let _lock = lock(&folder)?;
        publish::replace(&path, &bytes)
    }

    /// What was unpacked and lies there still, as far as it is remembered. An entry that cannot be read is none.
    pub fn unpacked(&self) -> Vec<Unpacked> {
        let Some(folder) = self.path(FOLDER).filter(|folder| folder.is_dir()) else { return Vec::new() };
        let files = regular_files(&folder).unwrap_or_default();
        files.iter().filter_map(|path| read(path)).filter(|one| is_directory(&one.directory)).collect()
    }

    /// Forgets a directory that is there no longer.
    pub fn forget_unpacked(&self, directory: &Path) -> io::Result<()> {
        match (self.path(FOLDER), absolute(directory)?) {
            (Some(folder), directory) => fs::remove_file(folder.join(file_name(&directory))),
            (None, _) => Ok(()),
        }
    }
}

/// Whether it is a directory itself: a link put in its place is not what was unpacked.
fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

fn read(path: &Path) -> Option<Unpacked> {
    let mut bytes = Vec::new();
    crate::reading::open(path).ok()?.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let entry: Entry = serde_json::from_slice(&bytes).ok()?;
    let attestations = Attestations::parse(entry.attestations.as_bytes()).ok()?;
    Some(Unpacked { directory: entry.directory.into(), attestations })
}
