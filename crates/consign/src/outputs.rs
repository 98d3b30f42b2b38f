//! The files of a bundle that are made together: none is overwritten, and the archive appears last.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use consign_bundle::publish::{exclusive, prepare, publish};
use tempfile::NamedTempFile;

use crate::checked::interrupted;
use crate::context::{Context, unwritable};
use crate::failure::Failure;
use crate::publishing::{existing, taken};

/// Files on their way to their names in a folder.
pub struct Outputs<'a> {
    folder: &'a Path,
    files: Vec<(String, NamedTempFile)>,
}

impl<'a> Outputs<'a> {
    pub fn new(folder: &'a Path) -> Self {
        Self { folder, files: Vec::new() }
    }

    /// Adds a file, unless it is there already just so.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        match existing(&path)? {
            Some(there) if there == bytes => {}
            Some(_) => return Err(taken(&path)),
            None => {
                let file = prepare(self.folder, bytes).map_err(|error| unwritable(self.folder, &error))?;
                self.files.push((name.to_owned(), file));
            }
        }
        Ok(path)
    }

    /// Gives all files their names, and last of all the archive, if it is not there yet.
    pub fn publish(
        mut self,
        context: &Context,
        archive: Option<(String, NamedTempFile)>,
    ) -> Result<(), Failure> {
        self.files.extend(archive);
        let _held = exclusive(self.folder).map_err(|error| unwritable(self.folder, &error))?;
        // Somebody else may have made just the same meanwhile.
        let folder = self.folder;
        self.files.retain(|(name, file)| !is_there(&folder.join(name), file.path()));
        if context.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Failure::failed(interrupted()));
        }
        publish(self.folder, self.files).map_err(|(path, error)| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&path),
            _ => unwritable(&path, &error),
        })
    }
}

/// Whether a regular file is there, and holds the same as another one.
fn is_there(path: &Path, other: &Path) -> bool {
    let size = |path: &Path| {
        let found = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file);
        found.map(|metadata| metadata.len())
    };
    size(path).is_some_and(|len| size(other) == Some(len)) && holds_the_same(path, other).unwrap_or(false)
}

fn holds_the_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(File::open(one)?), BufReader::new(File::open(other)?));
    loop {
        let (a, b) = (one.fill_buf()?, other.fill_buf()?);
        let both = a.len().min(b.len());
        if both == 0 {
            return Ok(a.len() == b.len());
        }
        if a[..both] != b[..both] {
            return Ok(false);
        }
        one.consume(both);
        other.consume(both);
    }
}
