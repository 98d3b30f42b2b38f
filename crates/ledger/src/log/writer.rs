//! The one writer of a ledger: it holds the lock, knows the right edge, and commits.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use consign_metadata::Sha256Digest;
use consign_signing::{NOTE_BYTES_MAX, NoteVerifier, Signer};

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::error::{AppendError, LedgerError};
use crate::hash::TreeHash;
use crate::log::changes::Changes;
use crate::log::files;
use crate::log::layout::{CHECKPOINT, LOCK, PENDING, Row, SEGMENT_PENDING, WIDTH, segment_path};
use crate::log::lock::lock;
use crate::log::read::{Ledger, check_witness, read_checkpoint};
use crate::log::recover::{Repair, set_aside};
use crate::log::state::{Extension, State, read_lines};
use crate::log::tiles::Tiles;

/// A ledger that is locked and in order.
pub(crate) struct Writer<'a> {
    directory: &'a Path,
    signer: &'a dyn Signer,
    verifier: NoteVerifier,
    checkpoint: SignedCheckpoint,
    state: State,
    repaired: Option<Repair>,
    /// Other writers are kept out as long as it lives.
    _lock: File,
}

/// The line of an event, and its digest.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) digest: Sha256Digest,
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> AppendError {
    move |error| AppendError::Write { path: path.to_owned(), error }
}

impl<'a> Writer<'a> {
    /// Locks a ledger, or makes it, checks it, and puts in order what an append left that was cut short.
    ///
    /// Nothing is changed before all is checked.
    pub(crate) fn open(
        directory: &'a Path,
        signer: &'a dyn Signer,
        witness: Option<&SignedCheckpoint>,
    ) -> Result<Self, AppendError> {
        let verifier = NoteVerifier::of_ledger(signer.public_key());
        check_place(directory, &verifier, witness)?;
        let lock = lock(&directory.join(LOCK))?;
        let checkpoint = match read_checkpoint(directory, &verifier)? {
            Some(checkpoint) => checkpoint,
            None => begin(directory, signer, witness)?,
        };
        let mut tiles = Tiles::open(directory, &checkpoint)?;
        if let Some(seen) = witness {
            check_witness(&mut tiles, &checkpoint, seen)?;
        }
        let state = State::load(&mut tiles, &checkpoint)?;
        let mut writer = Self { directory, signer, verifier, checkpoint, state, repaired: None, _lock: lock };
        writer.repair()?;
        Ok(writer)
    }

    /// How many events there are.
    pub(crate) fn size(&self) -> u64 {
        self.state.size()
    }

    /// The checkpoint that the ledger stands at.
    pub(crate) fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// What was put in order when the ledger was opened.
    pub(crate) fn into_repaired(self) -> Option<Repair> {
        self.repaired
    }

    /// The ledger as it stands, for reading.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::at(self.directory, &self.verifier, self.checkpoint.clone())
    }

    /// Adds events, all or none. When it returns they are durable.
    pub(crate) fn commit(&mut self, lines: &[Line]) -> Result<(), AppendError> {
        if lines.is_empty() {
            return Ok(());
        }
        let extension = self.state.extend(lines.iter().map(|line| (line.digest, line.text.len())));
        let mut changes = Changes::new(self.directory);
        let checkpoint = match self.prepare(&mut changes, lines, &extension) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                changes.undo();
                return Err(error);
            }
        };
        // From here on nothing is taken back: what is signed stays part of the ledger, whatever happens.
        self.publish(checkpoint, extension.state)
    }

    /// Writes all data, and then the checkpoint that is to come.
    fn prepare(
        &self,
        changes: &mut Changes<'_>,
        lines: &[Line],
        extension: &Extension,
    ) -> Result<SignedCheckpoint, AppendError> {
        let mut at = self.size();
        let mut rest = lines;
        while !rest.is_empty() {
            let room = usize::try_from(WIDTH - at % WIDTH).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            let text: String = now.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
            let path = segment_path(at / WIDTH);
            if at.is_multiple_of(WIDTH) {
                changes.write(&path, text.as_bytes())?;
            } else {
                changes.grow(&path, self.state.segment_end(), text.as_bytes())?;
            }
            at += now.len() as u64;
            rest = later;
        }
        for (file, bytes) in &extension.files {
            changes.write(&file.path(), bytes)?;
        }
        changes.sync()?;
        let checkpoint = SignedCheckpoint::sign(self.signer, extension.state.size(), extension.state.root())?;
        changes.write_to_rename(PENDING, &checkpoint.note().to_bytes())?;
        Ok(checkpoint)
    }

    /// Makes the pending checkpoint the one that counts.
    fn publish(&mut self, checkpoint: SignedCheckpoint, state: State) -> Result<(), AppendError> {
        publish_pending(self.directory)?;
        let old = self.size();
        self.checkpoint = checkpoint;
        self.state = state;
        // Partial files of what is full now may go; nobody misses them, and nobody needs to wait for it.
        for row in Row::all() {
            let index = row.full(old);
            if row.partial(old) > 0 && row.full(self.size()) > index {
                let _ = fs::remove_dir_all(self.directory.join(row.partial_directory(index)));
            }
        }
        Ok(())
    }

    fn repair(&mut self) -> Result<(), AppendError> {
        let unfinished = self.directory.join(SEGMENT_PENDING);
        match fs::remove_file(&unfinished) {
            Err(error) if !files::is_absent(&error) => return Err(unwritable(&unfinished)(error)),
            Ok(()) | Err(_) => {}
        }
        let mut repair = Repair::default();
        if let Some((checkpoint, state)) = self.pending()? {
            let completed = self.size()..state.size();
            self.publish(checkpoint, state)?;
            repair.completed = Some(completed);
        }
        set_aside(self.directory, self.size(), self.state.segment_end(), &mut repair)
            .map_err(|(path, error)| AppendError::Write { path, error })?;
        self.repaired = (repair != Repair::default()).then_some(repair);
        Ok(())
    }

    /// The pending checkpoint, if it is signed by the ledger's key, extends the one that counts, and all that it
    /// is about is there. Nothing else is ever taken for part of the ledger.
    fn pending(&self) -> Result<Option<(SignedCheckpoint, State)>, AppendError> {
        let path = self.directory.join(PENDING);
        let bytes = match files::read_start(&path, NOTE_BYTES_MAX as u64 + 1) {
            Ok(bytes) => bytes,
            Err(error) => return Err(LedgerError::Read { path, error }.into()),
        };
        let pending = bytes.and_then(|bytes| SignedCheckpoint::parse(&bytes, &self.verifier).ok());
        let Some(pending) = pending.filter(|pending| pending.size() > self.size()) else { return Ok(None) };
        let Some(events) = read_lines(self.directory, self.size(), pending.size())? else { return Ok(None) };
        let extension = self.state.extend(events);
        if extension.state.root() != *pending.root() {
            return Ok(None);
        }
        for (file, expected) in &extension.files {
            let path = self.directory.join(file.path());
            match files::read_start(&path, expected.len() as u64 + 1) {
                Ok(found) if found.as_ref() == Some(expected) => {}
                Ok(_) => return Ok(None),
                Err(error) => return Err(LedgerError::Read { path, error }.into()),
            }
        }
        Ok(Some((pending, extension.state)))
    }
}

/// Makes the directory if it is not there; refuses one that holds other things.
fn check_place(
    directory: &Path,
    verifier: &NoteVerifier,
    witness: Option<&SignedCheckpoint>,
) -> Result<(), AppendError> {
    let mut builder = fs::DirBuilder::new();
    // It names bundles that are confidential.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if !files::exists(directory).map_err(unwritable(directory))? {
        check_not_lost(witness)?;
    }
    match builder.create(directory) {
        Ok(()) => {
            let parent = match directory.parent() {
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            };
            return files::sync_directory(parent).map_err(unwritable(parent));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unwritable(directory)(error)),
    }
    let names = files::names(directory).map_err(unwritable(directory))?;
    let is = |name: &str| names.iter().any(|found| found == name);
    // A ledger has a lock from its first moment on; one that was copied may have lost it.
    if names.is_empty() || is(LOCK) || is(CHECKPOINT) {
        return Ok(());
    }
    match read_checkpoint(directory, verifier) {
        Err(LedgerError::Checkpoint { error: CheckpointError::Missing, .. })
            if !looks_like_ledger(&names) =>
        {
            Err(AppendError::NotALedger(directory.to_owned()))
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// A ledger that was seen before is not begun again.
fn check_not_lost(witness: Option<&SignedCheckpoint>) -> Result<(), LedgerError> {
    match witness.map(SignedCheckpoint::size) {
        Some(seen) if seen > 0 => Err(LedgerError::RolledBack { seen, size: 0 }),
        _ => Ok(()),
    }
}

fn looks_like_ledger(names: &[String]) -> bool {
    use crate::log::layout::{EVENTS, TILE};
    names.iter().any(|name| name == TILE) && names.iter().any(|name| name == EVENTS)
}

/// Makes a new ledger: a checkpoint of no events. A ledger without a checkpoint is thereby none that is new.
fn begin(
    directory: &Path,
    signer: &dyn Signer,
    witness: Option<&SignedCheckpoint>,
) -> Result<SignedCheckpoint, AppendError> {
    check_not_lost(witness)?;
    let checkpoint = SignedCheckpoint::sign(signer, 0, TreeHash::empty())?;
    let path: PathBuf = directory.join(PENDING);
    files::write(&path, &checkpoint.note().to_bytes()).map_err(unwritable(&path))?;
    publish_pending(directory)?;
    Ok(checkpoint)
}

fn publish_pending(directory: &Path) -> Result<(), AppendError> {
    let path = directory.join(CHECKPOINT);
    files::rename(directory, PENDING, CHECKPOINT).map_err(unwritable(&path))
}
