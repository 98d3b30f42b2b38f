//! The files of a bundle that are made together: none is overwritten, and the archive appears last.

use std::io;
use std::path::{Path, PathBuf};

use consign_bundle::publish::{prepare, publish};
use tempfile::NamedTempFile;

use crate::checked::interrupted;
use crate::commands::pack::{existing, taken};
use crate::context::{Context, unwritable};
use crate::outcome::Failure;

/// Files on their way to their names in a folder.
pub(crate) struct Outputs<'a> {
    folder: &'a Path,
    files: Vec<(String, NamedTempFile)>,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self { folder, files: Vec::new() }
    }

    /// Adds a file, unless it is there already just so.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
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
    pub(crate) fn publish(
        mut self,
        context: &Context,
        archive: Option<(String, NamedTempFile)>,
    ) -> Result<(), Failure> {
        self.files.extend(archive);
        if context.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Failure::failed(interrupted()));
        }
        publish(self.folder, self.files).map_err(|(path, error)| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&path),
            _ => unwritable(&path, &error),
        })
    }
}
