//! Verifying the whole ledger: everything is computed again from what is stored.

use std::ops::{ControlFlow, RangeInclusive};

use consign_metadata::Sha256Digest;
use consign_signing::Timestamp;

use crate::checkpoint::SignedCheckpoint;
use crate::error::{FaultKind, LedgerError, LedgerFault};
use crate::event::Event;
use crate::hash::TreeHash;
use crate::log::edge::Edge;
use crate::log::files;
use crate::log::layout::{CHECKPOINT, LEVELS, Row, TileFile, WIDTH, segment_path};
use crate::log::read::{Ledger, check_witness, misplaced};
use crate::log::segment::Segment;
use crate::log::state::{entry_bytes, hash_bytes};
use crate::log::tiles::{Tiles, read_digests, read_hashes};

/// Most faults that are told; then it stops looking.
const FAULTS_MAX: usize = 1000;
/// How often it begins again because others dropped bodies meanwhile.
const ATTEMPTS: usize = 5;

/// A ledger that is what its signed checkpoint is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The checkpoint; a newer one than the ledger was opened at, if others dropped bodies meanwhile.
    pub checkpoint: SignedCheckpoint,
    /// How many of the events have no body any more. For each, a later event records that it was dropped.
    pub dropped: u64,
    /// Places of events that bear an earlier time than one before them: a clock went back, or they were recorded
    /// elsewhere and joined later. Nothing is wrong with the ledger then.
    pub earlier: Vec<u64>,
}

/// Why a ledger was not found in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is not: what does not fit, in the order of the events. There is at least one, and at most a thousand.
    #[error("the ledger is not what was recorded")]
    Faults(Vec<LedgerFault>),
    /// It could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The caller said to stop.
    #[error("interrupted")]
    Cancelled,
}

impl Ledger {
    /// Computes everything again: digests of all bodies, the list of digests, the tiles of all levels, the root; and
    /// whether each body that is gone was recorded as dropped.
    ///
    /// `progress` is told how many more events are done, and says whether to go on.
    ///
    /// # Errors
    /// [`VerifyError::Faults`] names what does not fit, the first event first; or it cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<Summary, VerifyError> {
        let mut ledger = self.clone();
        for _ in 1..ATTEMPTS {
            let faults = match Check::new(&ledger).run(progress) {
                Err(VerifyError::Faults(faults)) => faults,
                other => return other,
            };
            // A body that was dropped meanwhile is recorded beyond this checkpoint.
            let newer = Self::open(self.directory(), self.verifier())?;
            let dropped = faults.iter().any(|fault| fault.kind == FaultKind::BodyMissing);
            if !dropped || newer.size() <= ledger.size() {
                return Err(VerifyError::Faults(faults));
            }
            check_witness(&mut newer.tiles()?, newer.checkpoint(), ledger.checkpoint())?;
            ledger = newer;
        }
        Check::new(&ledger).run(progress)
    }
}

struct Check<'a> {
    ledger: &'a Ledger,
    /// The tiles, checked from the root down; what they say is true. Absent if the right edge does not fit.
    tiles: Option<Tiles>,
    /// The tree over what is found.
    edge: Edge,
    faults: Vec<LedgerFault>,
    /// Events without a body.
    missing: Vec<RangeInclusive<u64>>,
    /// Events that others record as dropped.
    recorded: Vec<RangeInclusive<u64>>,
    /// The latest time of an event so far.
    latest: Option<Timestamp>,
    /// Events that bear an earlier time than one before them.
    earlier: Vec<u64>,
}

/// What is stored of one event.
#[derive(Clone, Copy)]
struct Stored {
    body: Option<Sha256Digest>,
    entry: Option<Sha256Digest>,
    hash: Option<TreeHash>,
}

impl Stored {
    /// The hash that all of it must have: the one that is signed, else the one that most of it agrees upon.
    fn truth(self, signed: Option<TreeHash>) -> TreeHash {
        let leaf = |digest: &Sha256Digest| TreeHash::leaf(digest);
        match (signed, self.body, self.entry, self.hash) {
            (Some(signed), ..) => signed,
            (None, Some(body), Some(entry), _) if body == entry => leaf(&entry),
            (None, Some(body), _, Some(hash)) if leaf(&body) == hash => hash,
            (None, _, Some(entry), _) => leaf(&entry),
            (None, _, None, Some(hash)) => hash,
            (None, Some(body), None, None) => leaf(&body),
            // Nothing is there, which is a fault in itself.
            (None, None, None, None) => TreeHash::empty(),
        }
    }
}

impl<'a> Check<'a> {
    fn new(ledger: &'a Ledger) -> Self {
        Self {
            ledger,
            tiles: None,
            edge: Edge::default(),
            faults: Vec::new(),
            missing: Vec::new(),
            recorded: Vec::new(),
            latest: None,
            earlier: Vec::new(),
        }
    }

    fn run(mut self, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<Summary, VerifyError> {
        let size = self.ledger.size();
        self.tiles = unless_faulty(self.ledger.tiles())?;
        for index in 0..size.div_ceil(WIDTH) {
            let done = self.page(index)?;
            if progress(done).is_break() {
                return Err(VerifyError::Cancelled);
            }
            // Of a checkpoint that lies about the size, only so much is looked for.
            if self.faults.len() >= FAULTS_MAX {
                break;
            }
        }
        if self.edge.size() == size {
            for row in (1..LEVELS).map(Row::Tiles) {
                if let Some(file) = row.file(row.full(size), size) {
                    let hashes = self.edge.level(row.level()).to_vec();
                    self.tile(file, &hashes)?;
                }
            }
            if self.edge.root() != *self.ledger.checkpoint().root() {
                self.faults.push(LedgerFault {
                    event: None,
                    kind: FaultKind::RootMismatch,
                    file: CHECKPOINT.to_owned(),
                });
            }
            self.unrecorded();
        }
        if self.faults.is_empty() {
            let dropped = self.missing.iter().map(|range| range.end() - range.start() + 1).sum();
            let checkpoint = self.ledger.checkpoint().clone();
            return Ok(Summary { checkpoint, dropped, earlier: self.earlier });
        }
        self.faults.sort_by_key(|fault| (fault.event.unwrap_or(u64::MAX), fault.kind));
        self.faults.truncate(FAULTS_MAX);
        Err(VerifyError::Faults(self.faults))
    }

    fn fault(&mut self, kind: FaultKind, event: u64, file: String) {
        self.faults.push(LedgerFault { event: Some(event), kind, file });
    }

    /// Checks up to 256 events: how many.
    fn page(&mut self, index: u64) -> Result<u64, VerifyError> {
        let (size, directory) = (self.ledger.size(), self.ledger.directory());
        let (Some(entries), Some(tile)) = (Row::Entries.file(index, size), Row::Tiles(0).file(index, size))
        else {
            return Ok(0);
        };
        let first = tile.first_event();
        let bodies = Segment::load(directory, index, tile.width)?;
        let digests = read_digests(directory, entries)?;
        let hashes = read_hashes(directory, tile)?;
        let signed = match &mut self.tiles {
            Some(tiles) => unless_faulty(tiles.tile(0, index).map(<[TreeHash]>::to_vec))?,
            None => None,
        };
        match &digests {
            None => self.fault(FaultKind::EntryMissing, first, entries.path()),
            // An entry of another length than a digest ends the list.
            Some(digests) if (digests.len() as u64) < entries.width => {
                let event = first + digests.len() as u64;
                self.fault(FaultKind::EntryAltered, event, entries.path());
            }
            Some(_) => {}
        }
        if hashes.is_none() {
            self.fault(FaultKind::TileMissing, first, tile.path());
        }
        let (digests, hashes) = (digests.unwrap_or_default(), hashes.unwrap_or_default());
        let (mut all_digests, mut all_hashes) = (Vec::new(), Vec::new());
        let mut full = Vec::new();
        for (event, offset) in (first..first + tile.width).zip(0..) {
            let line = bodies.line(offset);
            let stored = Stored {
                body: line.filter(|line| !line.is_empty()).map(Sha256Digest::of),
                entry: digests.get(offset).copied(),
                hash: hashes.get(offset).copied(),
            };
            let truth = stored.truth(signed.as_ref().and_then(|signed| signed.get(offset)).copied());
            self.body(event, offset, line, stored, truth, &digests);
            if stored.entry.is_some_and(|digest| TreeHash::leaf(&digest) != truth) {
                self.fault(FaultKind::EntryAltered, event, entries.path());
            }
            if stored.hash.is_some_and(|hash| hash != truth) {
                self.fault(FaultKind::TileAltered, event, tile.path());
            }
            all_digests.extend(stored.entry);
            all_hashes.push(truth);
            self.edge.push(truth, |file, hashes| {
                if file.row.level() > 0 {
                    full.push((file, hashes.to_vec()));
                }
            });
        }
        for (file, hashes) in full {
            self.tile(file, &hashes)?;
        }
        self.older(entries, &entry_bytes(&all_digests))?;
        self.older(tile, &hash_bytes(&all_hashes))?;
        Ok(tile.width)
    }

    /// Checks the body of an event, and notes what it says of others.
    fn body(
        &mut self,
        event: u64,
        offset: usize,
        line: Option<&[u8]>,
        stored: Stored,
        truth: TreeHash,
        digests: &[Sha256Digest],
    ) {
        let file = || segment_path(event / WIDTH);
        let Some(line) = line else {
            // All that follow in the file are missing too.
            let told = self.faults.iter().rev().any(|fault| {
                fault.kind == FaultKind::EventMissing
                    && fault.event.is_some_and(|at| at / WIDTH == event / WIDTH)
            });
            if !told {
                self.fault(FaultKind::EventMissing, event, file());
            }
            return;
        };
        let Some(body) = stored.body else {
            match self.missing.last_mut() {
                Some(range) if *range.end() + 1 == event => *range = *range.start()..=event,
                _ => self.missing.push(event..=event),
            }
            return;
        };
        if TreeHash::leaf(&body) != truth {
            let expected = digests.get(offset).copied().filter(|digest| *digest != body);
            let kind = expected.and_then(|expected| misplaced(line, &expected, digests));
            return self.fault(kind.unwrap_or(FaultKind::EventAltered), event, file());
        }
        let said = Event::parse(line).and_then(|said| Ok((said.dropped()?, said.timestamp)));
        match said {
            Ok((ranges, time)) if ranges.last().is_none_or(|last| *last.end() < event) => {
                self.recorded.extend(ranges);
                if self.latest.is_some_and(|latest| time < latest) {
                    self.earlier.push(event);
                }
                self.latest = self.latest.max(Some(time));
            }
            Ok(_) | Err(_) => self.fault(FaultKind::EventMalformed, event, file()),
        }
    }

    /// Compares a tile above the leaves with what follows from those below it.
    fn tile(&mut self, file: TileFile, hashes: &[TreeHash]) -> Result<(), VerifyError> {
        match read_hashes(self.ledger.directory(), file)? {
            None => self.fault(FaultKind::TileMissing, file.first_event(), file.path()),
            Some(stored) => {
                if let Some(offset) = stored.iter().zip(hashes).position(|(stored, hash)| stored != hash) {
                    self.fault(FaultKind::TileAltered, file.event(offset), file.path());
                }
            }
        }
        self.older(file, &hash_bytes(hashes))
    }

    /// Compares the files that came before one, as it grew, with its beginning: others may still read them.
    fn older(&mut self, file: TileFile, content: &[u8]) -> Result<(), VerifyError> {
        let name = file.row.partial_directory(file.index);
        let directory = self.ledger.directory().join(&name);
        let names =
            files::names(&directory).map_err(|error| LedgerError::Read { path: directory.clone(), error })?;
        for width in names.iter().filter_map(|name| crate::checkpoint::parse_decimal(name)) {
            let length = usize::try_from(width).unwrap_or(usize::MAX).saturating_mul(file.row.item());
            let Some(expected) = content.get(..length).filter(|_| (1..file.width).contains(&width)) else {
                continue;
            };
            let path = directory.join(width.to_string());
            let found = match files::read_start(&path, length as u64 + 1) {
                Ok(Some(found)) => found,
                // It went meanwhile.
                Ok(None) => continue,
                Err(error) => return Err(LedgerError::Read { path, error }.into()),
            };
            if found != expected {
                let same =
                    found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
                let kind = match file.row {
                    Row::Entries => FaultKind::EntryAltered,
                    Row::Tiles(_) => FaultKind::TileAltered,
                };
                self.fault(kind, file.event(same / file.row.item()), format!("{name}/{width}"));
            }
        }
        Ok(())
    }

    /// Finds the bodies that are gone without a record: the first of each run.
    fn unrecorded(&mut self) {
        let mut recorded = std::mem::take(&mut self.recorded);
        recorded.sort_unstable_by_key(|range| *range.start());
        let mut recorded = recorded.into_iter().peekable();
        // All before this is recorded, or was looked at.
        let mut next = 0;
        for range in self.missing.clone() {
            next = next.max(*range.start());
            while let Some(known) = recorded.next_if(|known| *known.start() <= next) {
                next = next.max(known.end().saturating_add(1));
            }
            while next <= *range.end() {
                self.fault(FaultKind::BodyMissing, next, segment_path(next / WIDTH));
                let Some(known) = recorded.next_if(|known| known.start() <= range.end()) else { break };
                next = known.end().saturating_add(1);
                while let Some(known) = recorded.next_if(|known| *known.start() <= next) {
                    next = next.max(known.end().saturating_add(1));
                }
            }
        }
    }
}

/// What could be read, or `None` if it is faulty, which is found again where it is looked for.
fn unless_faulty<T>(read: Result<T, LedgerError>) -> Result<Option<T>, LedgerError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(LedgerError::Fault { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
