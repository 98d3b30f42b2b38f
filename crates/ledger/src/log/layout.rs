//! Which file holds what (C2SP tlog-tiles).

use std::fmt::{self, Write as _};

use crate::hash::HASH_BYTES;

/// The signed checkpoint, relative to the ledger's directory.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// A signed checkpoint that does not count yet.
pub(crate) const PENDING: &str = "checkpoint.pending";
/// What writers lock.
pub(crate) const LOCK: &str = "lock";
/// The directory of bodies.
pub(crate) const EVENTS: &str = "events";
/// The directory of digests and hashes.
pub(crate) const TILE: &str = "tile";
/// A segment that is about to replace another.
pub(crate) const SEGMENT_PENDING: &str = "segment.pending";
/// What was cut off.
pub(crate) const TORN: &str = "torn";

/// How many hashes, digests or bodies one file holds at most.
pub(crate) const WIDTH: u64 = 256;
/// The levels of tiles that a tree of less than 2^64 leaves can have.
pub(crate) const LEVELS: u8 = 8;
/// An entry in a bundle of entries: its length, big-endian, and the digest.
pub(crate) const ENTRY_BYTES: usize = 2 + HASH_BYTES;
/// The length of each entry.
pub(crate) const ENTRY_PREFIX: [u8; 2] = [0, 32];

/// A row of files that together hold one thing for every so many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Hashes of a level of the tree.
    Tiles(u8),
    /// Digests of the events.
    Entries,
}

/// A file of a row: the first `width` items of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TileFile {
    pub(crate) row: Row,
    pub(crate) index: u64,
    pub(crate) width: u64,
}

impl Row {
    /// All rows that a tree can have.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Entries).chain((0..LEVELS).map(Self::Tiles))
    }

    pub(crate) fn level(self) -> u8 {
        match self {
            Self::Tiles(level) => level,
            Self::Entries => 0,
        }
    }

    /// How many full files there are at a size: the index of the one that is not full.
    pub(crate) fn full(self, size: u64) -> u64 {
        size.checked_shr(8 * (u32::from(self.level()) + 1)).unwrap_or(0)
    }

    /// How many items the file that is not full has; 0 if there is none.
    pub(crate) fn partial(self, size: u64) -> u64 {
        (size >> (8 * u32::from(self.level()))) % WIDTH
    }

    /// The file at a size: `None` if it has none of that index.
    pub(crate) fn file(self, index: u64, size: u64) -> Option<TileFile> {
        let full = self.full(size);
        let width = match index {
            _ if index < full => WIDTH,
            _ if index == full => self.partial(size),
            _ => 0,
        };
        (width > 0).then_some(TileFile { row: self, index, width })
    }

    /// Bytes of each item.
    pub(crate) fn item(self) -> usize {
        match self {
            Self::Tiles(_) => HASH_BYTES,
            Self::Entries => ENTRY_BYTES,
        }
    }

    /// The directory of the row.
    pub(crate) fn directory(self) -> String {
        match self {
            Self::Tiles(level) => format!("{TILE}/{level}"),
            Self::Entries => format!("{TILE}/entries"),
        }
    }

    /// The path of the full file.
    pub(crate) fn full_path(self, index: u64) -> String {
        format!("{}/{}", self.directory(), Number(index))
    }

    /// The directory of the files that are not full.
    pub(crate) fn partial_directory(self, index: u64) -> String {
        format!("{}.p", self.full_path(index))
    }
}

impl TileFile {
    pub(crate) fn is_full(self) -> bool {
        self.width == WIDTH
    }

    pub(crate) fn path(self) -> String {
        if self.is_full() {
            self.row.full_path(self.index)
        } else {
            format!("{}/{}", self.row.partial_directory(self.index), self.width)
        }
    }

    /// The first event that it has something of.
    pub(crate) fn first_event(self) -> u64 {
        self.event(0)
    }

    /// The first event that the item of that offset has something of.
    pub(crate) fn event(self, offset: usize) -> u64 {
        let item = self.index.saturating_mul(WIDTH).saturating_add(offset as u64);
        item.checked_shl(8 * u32::from(self.row.level())).unwrap_or(u64::MAX)
    }
}

/// The path of a segment of bodies.
pub(crate) fn segment_path(index: u64) -> String {
    format!("{EVENTS}/{}", Number(index))
}

/// A number in groups of three digits, each a directory but the last: `x001/x234/067`.
struct Number(u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:0>1$}", self.0, self.0.to_string().len().div_ceil(3) * 3);
        let groups = digits.as_bytes().chunks(3);
        let last = groups.len() - 1;
        for (at, group) in groups.enumerate() {
            if at < last {
                f.write_char('x')?;
            }
            for digit in group {
                f.write_char(char::from(*digit))?;
            }
            if at < last {
                f.write_char('/')?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |row: Row, index, size| row.file(index, size).map(TileFile::path);
        // Its two examples.
        assert_eq!(Number(1_234_067).to_string(), "x001/x234/067");
        let at_70_000: Vec<_> =
            (0..3).map(Row::Tiles).map(|row| (row.full(70_000), row.partial(70_000))).collect();
        assert_eq!(at_70_000, [(273, 112), (1, 17), (0, 1)]);
        assert_eq!(path(Row::Tiles(0), 273, 70_000).as_deref(), Some("tile/0/273.p/112"));
        assert_eq!(path(Row::Tiles(0), 272, 70_000).as_deref(), Some("tile/0/272"));
        assert_eq!(path(Row::Tiles(1), 1, 70_000).as_deref(), Some("tile/1/001.p/17"));
        assert_eq!(path(Row::Entries, 273, 70_000).as_deref(), Some("tile/entries/273.p/112"));
        assert_eq!(path(Row::Tiles(1), 0, 256).as_deref(), Some("tile/1/000.p/1"));
        assert_eq!(path(Row::Tiles(0), 1, 256), None);
        assert_eq!(path(Row::Tiles(7), 0, u64::MAX).as_deref(), Some("tile/7/000.p/255"));
        assert_eq!(segment_path(1000), "events/x001/000");
    }
}
