//! Changes on disk that are made durable together, and taken back together if one of them fails.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::error::AppendError;
use crate::log::files;

/// What was changed so far.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    directory: &'a Path,
    /// Names in these directories are not durable yet.
    touched: BTreeSet<PathBuf>,
    made: Vec<PathBuf>,
    made_directories: Vec<PathBuf>,
    /// A file that was longer or shorter before, and its length then.
    grown: Option<(PathBuf, u64)>,
}

impl<'a> Changes<'a> {
    /// No change yet.
    pub(crate) fn new(directory: &'a Path) -> Self {
        Self {
            directory,
            touched: BTreeSet::new(),
            made: Vec::new(),
            made_directories: Vec::new(),
            grown: None,
        }
    }

    /// Makes a file.
    pub(crate) fn write(&mut self, name: &str, content: &[u8]) -> Result<(), AppendError> {
        let path = self.directory.join(name);
        self.make_parent(&path)
            .and_then(|()| {
                self.made.push(path.clone());
                files::write(&path, content)
            })
            .map_err(|error| AppendError::Write { path, error })
    }

    /// Adds to the end of a file of that length.
    pub(crate) fn grow(&mut self, name: &str, length: u64, content: &[u8]) -> Result<(), AppendError> {
        let path = self.directory.join(name);
        let mut grow = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            self.grown = Some((path.clone(), length));
            file.seek(SeekFrom::Start(length))?;
            file.write_all(content)?;
            file.sync_all()
        };
        grow().map_err(|error| AppendError::Write { path, error })
    }

    /// Makes all new names durable.
    pub(crate) fn sync(&mut self) -> Result<(), AppendError> {
        for path in std::mem::take(&mut self.touched) {
            files::sync_directory(&path).map_err(|error| AppendError::Write { path, error })?;
        }
        Ok(())
    }

    /// Takes everything back, as far as that is possible: what stays is found by the next writer.
    pub(crate) fn undo(self) {
        for path in self.made {
            let _ = fs::remove_file(path);
        }
        for path in self.made_directories.iter().rev() {
            let _ = fs::remove_dir(path);
        }
        if let Some((path, length)) = self.grown {
            let _ = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(length));
        }
    }

    fn make_parent(&mut self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        self.touched.insert(parent.to_owned());
        if parent == self.directory || files::exists(parent)? {
            return Ok(());
        }
        self.make_parent(parent)?;
        fs::create_dir(parent)?;
        self.made_directories.push(parent.to_owned());
        Ok(())
    }
}
