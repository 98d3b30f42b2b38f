//! Changes on disk that are made durable together, and taken back together if one of them fails.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::AppendError;
use crate::log::files;

/// Most files that are held open until they are durable.
const OPEN_MAX: usize = 128;
/// Most threads that wait for the disk.
const SYNC_THREADS: usize = 8;

/// Something open that is to be made durable.
#[derive(Debug)]
enum Written {
    /// The content of a file.
    Content(File),
    /// The names in a directory.
    Names(File),
}

impl Written {
    fn sync(&self) -> io::Result<()> {
        match self {
            Self::Content(file) => file.sync_all(),
            Self::Names(directory) => consign_files::sync_open_directory(directory),
        }
    }
}

/// What was changed so far.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    directory: &'a Path,
    /// Names in these directories are not durable yet.
    touched: BTreeSet<PathBuf>,
    made: Vec<PathBuf>,
    made_directories: Vec<PathBuf>,
    /// What is not durable yet.
    written: Vec<(PathBuf, Written)>,
    /// A file that was shorter before, and its length then.
    grown: Option<(PathBuf, u64)>,
}

impl<'a> Changes<'a> {
    /// No change yet.
    pub(crate) fn new(directory: &'a Path) -> Self {
        Self {
            directory,
            touched: BTreeSet::new(),
            written: Vec::new(),
            made: Vec::new(),
            made_directories: Vec::new(),
            grown: None,
        }
    }

    /// Makes a file.
    pub(crate) fn write(&mut self, name: &str, content: &[u8]) -> Result<(), AppendError> {
        let path = self.directory.join(name);
        let file = self.make_parent(&path).and_then(|()| {
            self.made.push(path.clone());
            files::create(&path, content)
        });
        self.note(path, file.map(Written::Content))
    }

    /// Makes a file whose content is durable, but whose name need not be: it is about to get another.
    pub(crate) fn write_to_rename(&mut self, name: &str, content: &[u8]) -> Result<(), AppendError> {
        let path = self.directory.join(name);
        self.made.push(path.clone());
        files::write(&path, content).map_err(|error| AppendError::Write { path, error })
    }

    /// Adds to the end of a file of that length.
    pub(crate) fn grow(&mut self, name: &str, length: u64, content: &[u8]) -> Result<(), AppendError> {
        let path = self.directory.join(name);
        let mut grow = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            self.grown = Some((path.clone(), length));
            file.seek(SeekFrom::Start(length))?;
            file.write_all(content)?;
            Ok(file)
        };
        let file = grow();
        self.note(path, file.map(Written::Content))
    }

    fn note(&mut self, path: PathBuf, file: io::Result<Written>) -> Result<(), AppendError> {
        match file {
            Ok(file) => self.written.push((path, file)),
            Err(error) => return Err(AppendError::Write { path, error }),
        }
        // A process may have only so many files open.
        if self.written.len() < OPEN_MAX { Ok(()) } else { self.sync_written() }
    }

    /// Makes all content and all new names durable.
    pub(crate) fn sync(&mut self) -> Result<(), AppendError> {
        // Windows cannot make names durable, and needs not.
        if cfg!(unix) {
            for path in std::mem::take(&mut self.touched) {
                let directory = File::open(&path);
                self.note(path, directory.map(Written::Names))?;
            }
        }
        self.sync_written()
    }

    fn sync_written(&mut self) -> Result<(), AppendError> {
        sync(&std::mem::take(&mut self.written))
            .map_err(|(path, error)| AppendError::Write { path: path.to_owned(), error })
    }

    /// Takes everything back, as far as that is possible: what stays is found by the next writer.
    pub(crate) fn undo(self) {
        drop(self.written);
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

/// Makes files durable, several at once: a file system that is asked for all of them before it has answered the
/// first writes its journal once, and not for each.
fn sync(files: &[(PathBuf, Written)]) -> Result<(), (&Path, io::Error)> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), (&Path, io::Error)> {
        while let Some((path, file)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            file.sync().map_err(|error| (path.as_path(), error))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let helpers = if files.len() > 1 { files.len().min(SYNC_THREADS) } else { 0 };
        let helpers: Vec<_> =
            (0..helpers).map_while(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
        // Where no threads can be had, this one does it all.
        let mut result = if helpers.is_empty() { work() } else { Ok(()) };
        for helper in helpers {
            let helped = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(helped);
        }
        result
    })
}
