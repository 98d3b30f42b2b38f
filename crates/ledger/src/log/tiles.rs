//! Hashes out of tiles. No tile is used before it is checked up to the root that was signed.

use std::path::{Path, PathBuf};

use consign_metadata::Sha256Digest;

use crate::checkpoint::SignedCheckpoint;
use crate::error::{FaultKind, LedgerError, LedgerFault};
use crate::hash::{HASH_BYTES, TreeHash};
use crate::log::edge::Edge;
use crate::log::files;
use crate::log::layout::{CHECKPOINT, ENTRY_BYTES, ENTRY_PREFIX, LEVELS, Row, TileFile, WIDTH};
use crate::merkle::HashReader;

/// Reads a file of a row: the bytes of exactly as many items as it has at the size that is asked about.
///
/// A tile that has become full since may be there instead: it begins with the same.
pub(crate) fn read_items(directory: &Path, file: TileFile) -> Result<Option<Vec<u8>>, LedgerError> {
    let item = file.row.item() as u64;
    let wanted = file.width * item;
    let read = |path: String, whole: u64| {
        let path = directory.join(path);
        match files::read_start(&path, whole + 1) {
            // Longer or shorter than it must be is as good as not there.
            Ok(bytes) => Ok(bytes.filter(|bytes| bytes.len() as u64 == whole)),
            Err(error) => Err(LedgerError::Read { path, error }),
        }
    };
    if !file.is_full()
        && let Some(bytes) = read(file.path(), wanted)?
    {
        return Ok(Some(bytes));
    }
    let full = read(file.row.full_path(file.index), WIDTH * item)?;
    Ok(full.map(|mut bytes| {
        bytes.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        bytes
    }))
}

/// Reads a tile, of which nothing is checked but its length.
pub(crate) fn read_hashes(directory: &Path, file: TileFile) -> Result<Option<Vec<TreeHash>>, LedgerError> {
    let bytes = read_items(directory, file)?;
    let parse = |bytes: Vec<u8>| {
        bytes.as_chunks::<HASH_BYTES>().0.iter().copied().map(TreeHash::from_bytes).collect()
    };
    Ok(bytes.map(parse))
}

/// Reads a list of digests, of which nothing is checked but its form.
///
/// An entry of another length than a digest's makes the rest of the list unreadable: `None` from there on.
pub(crate) fn read_digests(
    directory: &Path,
    file: TileFile,
) -> Result<Option<Vec<Sha256Digest>>, LedgerError> {
    let bytes = read_items(directory, file)?;
    let parse = |bytes: Vec<u8>| {
        let entries = bytes.as_chunks::<ENTRY_BYTES>().0.iter();
        let digests = entries.map_while(|entry| {
            let (prefix, digest) = entry.split_first_chunk::<2>()?;
            (*prefix == ENTRY_PREFIX).then_some(())?;
            digest.try_into().ok().map(Sha256Digest::from_bytes)
        });
        digests.collect()
    };
    Ok(bytes.map(parse))
}

/// The tiles of a ledger at one checkpoint.
#[derive(Debug)]
pub(crate) struct Tiles {
    directory: PathBuf,
    size: u64,
    edge: Edge,
    /// The tile that was read last, for each level.
    cache: [Option<(u64, Vec<TreeHash>)>; LEVELS as usize],
}

impl Tiles {
    /// Reads the right edge, and checks that its root is the one that was signed.
    pub(crate) fn open(directory: &Path, checkpoint: &SignedCheckpoint) -> Result<Self, LedgerError> {
        let size = checkpoint.size();
        let fault = |kind, event, file: String| LedgerError::Fault {
            ledger: directory.to_owned(),
            fault: LedgerFault { event, kind, file },
        };
        let edge = Edge::load(size, |file| {
            let missing = || fault(FaultKind::TileMissing, Some(file.first_event()), file.path());
            read_hashes(directory, file)?.ok_or_else(missing)
        })?;
        if edge.root() != *checkpoint.root() {
            return Err(fault(FaultKind::RootMismatch, None, CHECKPOINT.to_owned()));
        }
        Ok(Self { directory: directory.to_owned(), size, edge, cache: Default::default() })
    }

    /// The right edge.
    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The directory of the ledger.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The fault with a file.
    pub(crate) fn fault(&self, kind: FaultKind, event: u64, file: String) -> LedgerError {
        LedgerError::Fault {
            ledger: self.directory.clone(),
            fault: LedgerFault { event: Some(event), kind, file },
        }
    }

    /// The hashes of a tile that exists at this size.
    pub(crate) fn tile(&mut self, level: u8, index: u64) -> Result<&[TreeHash], LedgerError> {
        if index >= Row::Tiles(level).full(self.size) {
            return Ok(self.edge.level(level));
        }
        let known =
            |cached: &Option<(u64, Vec<TreeHash>)>| cached.as_ref().is_some_and(|(at, _)| *at == index);
        if !known(&self.cache[usize::from(level)]) {
            let offset = usize::try_from(index % WIDTH).unwrap_or(usize::MAX);
            let expected = self.tile(level + 1, index / WIDTH)?.get(offset).copied();
            let file = TileFile { row: Row::Tiles(level), index, width: WIDTH };
            let hashes = read_hashes(&self.directory, file)?
                .ok_or_else(|| self.fault(FaultKind::TileMissing, file.first_event(), file.path()))?;
            if expected != Some(TreeHash::complete(&hashes)) {
                return Err(self.fault(FaultKind::TileAltered, file.first_event(), file.path()));
            }
            self.cache[usize::from(level)] = Some((index, hashes));
        }
        Ok(self.cache[usize::from(level)].as_ref().map_or(&[], |(_, hashes)| hashes))
    }

    /// The digests of a file of entries, each checked against its leaf.
    pub(crate) fn digests(&mut self, index: u64) -> Result<Vec<Sha256Digest>, LedgerError> {
        let Some(file) = Row::Entries.file(index, self.size) else { return Ok(Vec::new()) };
        let digests = read_digests(&self.directory, file)?.unwrap_or_default();
        let leaves = self.tile(0, index)?;
        let wrong = digests.iter().zip(leaves).position(|(digest, leaf)| TreeHash::leaf(digest) != *leaf);
        if let Some(offset) = wrong {
            return Err(self.fault(FaultKind::EntryAltered, file.event(offset), file.path()));
        }
        if (digests.len() as u64) < file.width {
            return Err(self.fault(FaultKind::EntryMissing, file.event(digests.len()), file.path()));
        }
        Ok(digests)
    }
}

impl HashReader for Tiles {
    type Error = LedgerError;

    fn subtree(&mut self, height: u32, index: u64) -> Result<TreeHash, LedgerError> {
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let count = 1_usize << (height % 8);
        let first = index << (height % 8);
        let offset = usize::try_from(first % WIDTH).unwrap_or(usize::MAX);
        let tile = self.tile(level, first / WIDTH)?;
        match tile.get(offset..).and_then(|rest| rest.get(..count)) {
            Some(hashes) => Ok(TreeHash::complete(hashes)),
            // Only sizes that the tree does not have lead here.
            None => Err(LedgerError::NoSuchEvent { index: first, size: self.size }),
        }
    }
}
