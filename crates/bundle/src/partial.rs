//! A partial archive that is kept when packing is cut short, so that the next run goes on where it ended.
//!
//! Beside the archive lies a journal that says where each whole frame stands and what it holds. Neither is
//! believed: the next run reads its source from the beginning, and what is there already saves it compressing
//! and writing only where it decodes to that very content.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use consign_files::has_no_locks;

use crate::encoder::EncoderId;
use crate::reuse::{Place, Reader, Stock};
use crate::tail::FrameRecord;

/// A partial archive and its journal, held by this process alone.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    archive: File,
    journal: File,
}

/// One frame in the journal: its length in the archive, the length of its content, the id of its content.
const RECORD: usize = 40;

impl Partial {
    /// Opens the partial archive that is to become `name` in `directory`, or begins one.
    ///
    /// # Errors
    /// It cannot be opened, or (`WouldBlock`) another process has it.
    pub fn open(directory: &Path, name: &str) -> io::Result<Self> {
        let path = directory.join(format!(".{name}.partial"));
        let archive = open(&path)?;
        match archive.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            // Without locks there is no telling; what comes out is checked all the same.
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let journal = open(&directory.join(format!(".{name}.journal")))?;
        Ok(Self { path, archive, journal })
    }

    /// Bytes of the archive that an earlier run left.
    ///
    /// # Errors
    /// What the system says.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.archive.metadata()?.len())
    }

    /// Removes both; for when the archive has its name.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(directory: &Path, name: &str) -> io::Result<()> {
        for kind in ["partial", "journal"] {
            match std::fs::remove_file(directory.join(format!(".{name}.{kind}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The archive as a file that is kept whatever happens, what it holds, and the journal.
    pub(crate) fn start(self, encoder: &EncoderId) -> io::Result<(tempfile::NamedTempFile, Kept, Journal)> {
        let Self { path, archive, mut journal } = self;
        let head = format!("consign journal 1 {encoder}\n");
        let mut found = Vec::new();
        journal.read_to_end(&mut found)?;
        if !found.starts_with(head.as_bytes()) {
            // Of another encoder, or none: nothing can be kept.
            found.clear();
            journal.set_len(0)?;
            journal.rewind()?;
            journal.write_all(head.as_bytes())?;
        }
        let mut places = HashMap::new();
        let mut frames = Vec::new();
        let mut offset = 0u64;
        for record in found.get(head.len()..).unwrap_or_default().as_chunks::<RECORD>().0 {
            let [c0, c1, c2, c3, d0, d1, d2, d3, content_id @ ..] = *record;
            let compressed = u32::from_le_bytes([c0, c1, c2, c3]);
            let decoded = u32::from_le_bytes([d0, d1, d2, d3]);
            let place = Place { offset, compressed, decoded };
            places.insert(content_id, place);
            frames.push((content_id, place));
            offset += u64::from(compressed);
        }
        let kept = Kept { stock: Stock::new(archive.try_clone()?, places), frames };
        let mut file = tempfile::NamedTempFile::from_parts(archive, tempfile::TempPath::try_from_path(path)?);
        file.disable_cleanup(true);
        Ok((file, kept, Journal { file: journal, head: head.len() as u64 }))
    }
}

/// What an earlier run left of the archive.
pub(crate) struct Kept {
    stock: Stock<File>,
    /// In order; of equal frames the stock has but one.
    frames: Vec<([u8; 32], Place)>,
}

impl Kept {
    /// Reads the frame of that content, if it is there, and says where it begins: where the frame of that number
    /// stood, if that is the same.
    pub(crate) fn find(
        &self,
        number: usize,
        content_id: &[u8; 32],
        content: &[u8],
        reader: &mut Reader,
        frame: &mut Vec<u8>,
    ) -> Option<u64> {
        let there = self.frames.get(number).filter(|(id, _)| id == content_id);
        let found = there.and_then(|(_, place)| self.stock.read(place, content, reader, frame));
        found.or_else(|| self.stock.find(content_id, content, reader, frame)).map(|place| place.offset)
    }
}

/// Says what each frame of the partial archive holds.
pub(crate) struct Journal {
    file: File,
    head: u64,
}

impl Journal {
    /// Forgets all but the first `frames` records, so that others can be added after them.
    pub(crate) fn cut(&mut self, frames: usize) -> io::Result<()> {
        let end = self.head + frames as u64 * RECORD as u64;
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end)).map(drop)
    }

    /// Adds a frame, once it stands in the archive.
    pub(crate) fn add(&mut self, record: &FrameRecord) -> io::Result<()> {
        let mut bytes = [0; RECORD];
        bytes[..4].copy_from_slice(&record.compressed.to_le_bytes());
        bytes[4..8].copy_from_slice(&record.decoded.to_le_bytes());
        bytes[8..].copy_from_slice(&record.content_id);
        self.file.write_all(&bytes)
    }
}

/// Opens or makes a file that is ours alone: whoever else could write to it could do so when it has its name.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Whatever may have been put in its place.
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()).mode(0o644);
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    #[cfg(unix)]
    let ours = {
        use std::os::unix::fs::MetadataExt as _;
        metadata.nlink() == 1
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o022 == 0
    };
    #[cfg(not(unix))]
    let ours = true;
    if metadata.is_file() && ours {
        Ok(file)
    } else if metadata.is_file() && consign_files::may_lose_modes(&file) {
        // What was made just now for this is of no use there.
        let _ = std::fs::remove_file(path);
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "`{}` lies on a file system that does not keep who may write to it, so nobody can tell whether it is yours alone; pack without `--resume`",
                path.display()
            ),
        ))
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("`{}` is not a file of yours alone; remove it", path.display()),
        ))
    }
}
