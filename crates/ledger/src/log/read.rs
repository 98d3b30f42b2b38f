//! Reading: everything is checked against the signed checkpoint before it is given out.

use std::ops::Range;
use std::path::{Path, PathBuf};

use consign_metadata::Sha256Digest;
use consign_signing::{NOTE_BYTES_MAX, NoteVerifier};

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::error::{FaultKind, LedgerError};
use crate::event::Event;
use crate::log::files;
use crate::log::layout::{CHECKPOINT, LOCK, PENDING, WIDTH, segment_path};
use crate::log::segment::Segment;
use crate::log::tiles::Tiles;
use crate::merkle;
use crate::proof::{ConsistencyProof, TlogProof};

/// A ledger at one checkpoint. It writes nothing, needs no lock, and stays at its checkpoint while others append.
#[derive(Clone, Debug)]
pub struct Ledger {
    directory: PathBuf,
    verifier: NoteVerifier,
    checkpoint: SignedCheckpoint,
}

/// One event of a ledger, checked against the signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, counted from 0.
    pub index: u64,
    /// Its digest.
    pub digest: Sha256Digest,
    /// The event; absent if its body was dropped. That this was recorded, only [`Ledger::verify`] checks.
    pub body: Option<Event>,
}

/// Events of a ledger, one after the other, of which few are in memory at a time. It ends with the first error.
#[derive(Debug)]
pub struct Entries<'a> {
    ledger: &'a Ledger,
    range: Range<u64>,
    tiles: Option<Tiles>,
    page: Option<Page>,
}

/// What belongs to up to 256 events.
#[derive(Debug)]
struct Page {
    index: u64,
    digests: Vec<Sha256Digest>,
    bodies: Segment,
}

/// Reads the checkpoint of a ledger: `None` where there is no ledger at all.
pub(crate) fn read_checkpoint(
    directory: &Path,
    verifier: &NoteVerifier,
) -> Result<Option<SignedCheckpoint>, LedgerError> {
    let path = directory.join(CHECKPOINT);
    let read = || match files::read_start(&path, NOTE_BYTES_MAX as u64 + 1) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => match SignedCheckpoint::parse(&bytes, verifier) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(error) => Err(LedgerError::Checkpoint { path: path.clone(), error }),
        },
        Err(error) => Err(LedgerError::Read { path: path.clone(), error }),
    };
    if let Some(checkpoint) = read()? {
        return Ok(Some(checkpoint));
    }
    let names =
        files::names(directory).map_err(|error| LedgerError::Read { path: directory.to_owned(), error })?;
    // Others may have made the ledger between the two looks; it comes with its checkpoint.
    if let Some(checkpoint) = read()? {
        return Ok(Some(checkpoint));
    }
    // A ledger that is just being made has no more than these. Anything else was there before the checkpoint was
    // taken away.
    if names.iter().all(|name| [LOCK, PENDING].contains(&name.as_str())) {
        return Ok(None);
    }
    Err(LedgerError::Checkpoint { path, error: CheckpointError::Missing })
}

impl Ledger {
    /// Opens a ledger: reads its checkpoint and checks who signed it.
    ///
    /// # Errors
    /// There is none ([`LedgerError::Absent`]); its checkpoint is missing, malformed, of another ledger, or not
    /// signed by the key.
    pub fn open(directory: &Path, verifier: &NoteVerifier) -> Result<Self, LedgerError> {
        let checkpoint =
            read_checkpoint(directory, verifier)?.ok_or_else(|| LedgerError::Absent(directory.to_owned()))?;
        Ok(Self::at(directory, verifier, checkpoint))
    }

    /// The ledger at a checkpoint of it.
    pub(crate) fn at(directory: &Path, verifier: &NoteVerifier, checkpoint: SignedCheckpoint) -> Self {
        Self { directory: directory.to_owned(), verifier: verifier.clone(), checkpoint }
    }

    /// The checkpoint that the ledger stands at.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// How many events there are.
    pub fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// The directory of the ledger.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whose ledger it is.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }

    /// One event.
    ///
    /// # Errors
    /// There is none of that index; what is stored is not what was recorded.
    pub fn entry(&self, index: u64) -> Result<Entry, LedgerError> {
        let missing = LedgerError::NoSuchEvent { index, size: self.size() };
        self.entries(index..index.saturating_add(1)).next().unwrap_or(Err(missing))
    }

    /// The events of a range, as far as they exist.
    pub fn entries(&self, range: Range<u64>) -> Entries<'_> {
        let range = range.start..range.end.min(self.size());
        Entries { ledger: self, range, tiles: None, page: None }
    }

    /// The proof that the event of that index is in the ledger, with the event itself.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn inclusion(&self, index: u64) -> Result<TlogProof, LedgerError> {
        let entry = self.entry(index)?;
        // The tiles that it is read from are checked against the checkpoint, so that what comes out holds.
        let path = merkle::inclusion(&mut self.tiles()?, index, self.size())?;
        Ok(TlogProof::new(entry.body.ok_or(entry.digest), index, path, &self.checkpoint))
    }

    /// The proof that the ledger begins with what an earlier checkpoint of it covers.
    ///
    /// # Errors
    /// It does not ([`LedgerError::RolledBack`], [`LedgerError::Forked`]); the checkpoint is another ledger's; what
    /// is stored is not what was recorded.
    pub fn consistency(&self, old: &SignedCheckpoint) -> Result<ConsistencyProof, LedgerError> {
        let mut tiles = self.tiles()?;
        check_witness(&mut tiles, &self.checkpoint, old)?;
        let path = merkle::consistency(&mut tiles, old.size(), self.size())?;
        Ok(ConsistencyProof::new(path, old, &self.checkpoint))
    }

    pub(crate) fn tiles(&self) -> Result<Tiles, LedgerError> {
        Tiles::open(&self.directory, &self.checkpoint)
    }
}

/// Checks that the ledger has grown out of a checkpoint of it that was seen before.
pub(crate) fn check_witness(
    tiles: &mut Tiles,
    current: &SignedCheckpoint,
    seen: &SignedCheckpoint,
) -> Result<(), LedgerError> {
    if seen.origin() != current.origin() {
        let (expected, found) = (current.origin().to_owned(), seen.origin().to_owned());
        let error = CheckpointError::Foreign { expected, found };
        return Err(LedgerError::Checkpoint { path: tiles.directory().join(CHECKPOINT), error });
    }
    let (seen_size, size) = (seen.size(), current.size());
    if seen_size > size {
        return Err(LedgerError::RolledBack { seen: seen_size, size });
    }
    if merkle::root(tiles, seen_size)? != *seen.root() {
        return Err(LedgerError::Forked { seen: seen_size, size });
    }
    Ok(())
}

impl Entries<'_> {
    fn read(&mut self, index: u64) -> Result<Entry, LedgerError> {
        let tiles = match &mut self.tiles {
            Some(tiles) => tiles,
            None => self.tiles.insert(self.ledger.tiles()?),
        };
        let page = match self.page.take().filter(|page| page.index == index / WIDTH) {
            Some(page) => self.page.insert(page),
            None => {
                let index = index / WIDTH;
                let digests = tiles.digests(index)?;
                let bodies = Segment::load(tiles.directory(), index, digests.len() as u64)?;
                self.page.insert(Page { index, digests, bodies })
            }
        };
        let offset = usize::try_from(index % WIDTH).unwrap_or(usize::MAX);
        let fault = |kind| tiles.fault(kind, index, segment_path(index / WIDTH));
        let Some(&digest) = page.digests.get(offset) else {
            return Err(LedgerError::NoSuchEvent { index, size: self.ledger.size() });
        };
        let line = page.bodies.line(offset).ok_or_else(|| fault(FaultKind::EventMissing))?;
        if line.is_empty() {
            return Ok(Entry { index, digest, body: None });
        }
        if let Some(kind) = misplaced(line, &digest, &page.digests) {
            return Err(fault(kind));
        }
        let body = Event::parse(line).map_err(|_| fault(FaultKind::EventMalformed))?;
        Ok(Entry { index, digest, body: Some(body) })
    }
}

/// What is wrong with a line whose digest should be `digest`, if anything is. `others` are those around it.
pub(crate) fn misplaced(line: &[u8], digest: &Sha256Digest, others: &[Sha256Digest]) -> Option<FaultKind> {
    let found = Sha256Digest::of(line);
    match () {
        () if found == *digest => None,
        () if others.contains(&found) => Some(FaultKind::EventReordered),
        () => Some(FaultKind::EventAltered),
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.range.next()?;
        let entry = self.read(index);
        if entry.is_err() {
            self.range = 0..0;
        }
        Some(entry)
    }
}
