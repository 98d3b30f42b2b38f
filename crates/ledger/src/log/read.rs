//! Reading: everything is checked against the signed checkpoint before it is given out.

use std::ops::Range;
use std::path::{Path, PathBuf};

use consign_metadata::Sha256Digest;
use consign_signing::NoteVerifier;

use crate::checkpoint::SignedCheckpoint;
use crate::error::LedgerError;
use crate::event::Event;
use crate::proof::{ConsistencyProof, TlogProof};

/// A ledger at one checkpoint. It writes nothing, needs no lock, and stays at its checkpoint while others append.
#[derive(Debug)]
pub struct Ledger {
    directory: PathBuf,
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
}

impl Ledger {
    /// Opens a ledger: reads its checkpoint and checks who signed it.
    ///
    /// # Errors
    /// There is none ([`LedgerError::Absent`]); its checkpoint is missing, malformed, of another ledger, or not
    /// signed by the key.
    pub fn open(directory: &Path, verifier: &NoteVerifier) -> Result<Self, LedgerError> {
        let _ = verifier;
        Err(LedgerError::Absent(directory.to_owned()))
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
        Entries { ledger: self, range: range.start..range.end.min(self.size()) }
    }

    /// The proof that the event of that index is in the ledger, with the event itself.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn inclusion(&self, index: u64) -> Result<TlogProof, LedgerError> {
        Err(LedgerError::NoSuchEvent { index, size: self.size() })
    }

    /// The proof that the ledger begins with what an earlier checkpoint of it covers.
    ///
    /// # Errors
    /// It does not ([`LedgerError::RolledBack`], [`LedgerError::Forked`]); what is stored is not what was recorded.
    pub fn consistency(&self, old: &SignedCheckpoint) -> Result<ConsistencyProof, LedgerError> {
        Err(LedgerError::RolledBack { seen: old.size(), size: self.size() })
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.range.next()?;
        Some(Err(LedgerError::NoSuchEvent { index, size: self.ledger.size() }))
    }
}
