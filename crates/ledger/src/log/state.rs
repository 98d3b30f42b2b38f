//! What a writer must know of a ledger: its right edge, checked, and what follows when events are added.

use std::path::Path;

use consign_metadata::Sha256Digest;

use crate::checkpoint::SignedCheckpoint;
use crate::error::{FaultKind, LedgerError};
use crate::hash::TreeHash;
use crate::log::edge::Edge;
use crate::log::layout::{ENTRY_PREFIX, Row, TileFile, WIDTH, segment_path};
use crate::log::read::misplaced;
use crate::log::segment::Segment;
use crate::log::tiles::Tiles;

/// The right edge of a ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    edge: Edge,
    /// Digests of the file of entries that is not full.
    digests: Vec<Sha256Digest>,
    /// Length of the segment that is not full.
    segment_end: u64,
}

/// What a ledger becomes when events are added, and the files of `tile/` that it then has besides.
#[derive(Debug)]
pub(crate) struct Extension {
    pub(crate) state: State,
    pub(crate) files: Vec<(TileFile, Vec<u8>)>,
}

impl State {
    /// Reads the right edge, and checks all of it: what is copied into new files must be what was signed.
    pub(crate) fn load(tiles: &mut Tiles, checkpoint: &SignedCheckpoint) -> Result<Self, LedgerError> {
        let size = checkpoint.size();
        let digests = tiles.digests(size / WIDTH)?;
        let index = size / WIDTH;
        let segment = Segment::load(tiles.directory(), index, size % WIDTH)?;
        for (offset, digest) in digests.iter().enumerate() {
            let fault = |kind| tiles.fault(kind, index * WIDTH + offset as u64, segment_path(index));
            let line = segment.line(offset).ok_or_else(|| fault(FaultKind::EventMissing))?;
            if !line.is_empty()
                && let Some(kind) = misplaced(line, digest, &digests)
            {
                return Err(fault(kind));
            }
        }
        Ok(Self { edge: tiles.edge().clone(), digests, segment_end: segment.end() })
    }

    /// How many events there are.
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> TreeHash {
        self.edge.root()
    }

    /// Length of the segment that is not full: 0 if all are.
    pub(crate) fn segment_end(&self) -> u64 {
        self.segment_end
    }

    /// Adds events: the digest and the length of each line, without its line feed.
    pub(crate) fn extend(&self, events: impl IntoIterator<Item = (Sha256Digest, usize)>) -> Extension {
        let mut state = self.clone();
        let mut files = Vec::new();
        for (digest, length) in events {
            state.digests.push(digest);
            state.segment_end += length as u64 + 1;
            if state.digests.len() as u64 == WIDTH {
                let index = state.size() / WIDTH;
                let file = TileFile { row: Row::Entries, index, width: WIDTH };
                files.push((file, entry_bytes(&state.digests)));
                state.digests.clear();
                state.segment_end = 0;
            }
            state.edge.push(TreeHash::leaf(&digest), |file, hashes| files.push((file, hash_bytes(hashes))));
        }
        let (old, new) = (self.size(), state.size());
        for row in Row::all() {
            let at = |size| row.file(row.full(size), size);
            if let Some(file) = at(new).filter(|file| at(old) != Some(*file)) {
                let bytes = match row {
                    Row::Entries => entry_bytes(&state.digests),
                    Row::Tiles(level) => hash_bytes(state.edge.level(level)),
                };
                files.push((file, bytes));
            }
        }
        Extension { state, files }
    }
}

/// Reads the lines of the events from `first` to before `end`, which no checkpoint covers yet. `None` if they are
/// not all there.
pub(crate) fn read_lines(
    directory: &Path,
    first: u64,
    end: u64,
) -> Result<Option<Vec<(Sha256Digest, usize)>>, LedgerError> {
    let mut events = Vec::new();
    let mut at = first;
    while at < end {
        let index = at / WIDTH;
        let count = (end - index * WIDTH).min(WIDTH);
        let segment = Segment::load(directory, index, count)?;
        let skip = usize::try_from(at % WIDTH).unwrap_or(usize::MAX);
        let lines = segment.lines().skip(skip);
        events.extend(lines.map(|line| (Sha256Digest::of(line), line.len())));
        at = index * WIDTH + count;
        if events.len() as u64 != at - first {
            return Ok(None);
        }
    }
    Ok(Some(events))
}

pub(crate) fn hash_bytes(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(TreeHash::as_bytes).copied().collect()
}

pub(crate) fn entry_bytes(digests: &[Sha256Digest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| ENTRY_PREFIX.iter().chain(digest.as_bytes())).copied().collect()
}
