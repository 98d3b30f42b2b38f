//! The right edge of the tree: the tiles that are not full. They hold all that is needed to add leaves.

use crate::hash::TreeHash;
use crate::log::layout::{LEVELS, Row, TileFile, WIDTH};

/// The hashes of the tiles that are not full, level by level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    size: u64,
    levels: Vec<Vec<TreeHash>>,
}

impl Edge {
    /// The edge at a size, with what `read` gives for each tile that is not full.
    pub(crate) fn load<E>(
        size: u64,
        mut read: impl FnMut(TileFile) -> Result<Vec<TreeHash>, E>,
    ) -> Result<Self, E> {
        let mut levels = Vec::new();
        for row in (0..LEVELS).map(Row::Tiles).take_while(|row| size >> (8 * u32::from(row.level())) > 0) {
            levels.push(match row.file(row.full(size), size) {
                Some(file) => read(file)?,
                None => Vec::new(),
            });
        }
        Ok(Self { size, levels })
    }

    /// How many leaves the tree has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the tile of a level that is not full.
    pub(crate) fn level(&self, level: u8) -> &[TreeHash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> TreeHash {
        // Complete subtrees from left to right: the highest level has the leftmost leaves.
        let mut subtrees = Vec::new();
        for mut hashes in self.levels.iter().rev().map(Vec::as_slice) {
            while !hashes.is_empty() {
                let (left, rest) = hashes.split_at(1 << hashes.len().ilog2());
                subtrees.push(TreeHash::complete(left));
                hashes = rest;
            }
        }
        let whole = subtrees.into_iter().rev().reduce(|right, left| TreeHash::node(&left, &right));
        whole.unwrap_or_else(TreeHash::empty)
    }

    /// Adds a leaf. Each tile that becomes full by it is given to `full`.
    pub(crate) fn push(&mut self, leaf: TreeHash, mut full: impl FnMut(TileFile, &[TreeHash])) {
        let mut hash = leaf;
        let mut position = self.size;
        self.size += 1;
        for level in 0..LEVELS {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let tile = &mut self.levels[usize::from(level)];
            tile.push(hash);
            if (tile.len() as u64) < WIDTH {
                return;
            }
            position /= WIDTH;
            full(TileFile { row: Row::Tiles(level), index: position, width: WIDTH }, tile);
            hash = TreeHash::complete(tile);
            tile.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use consign_metadata::Sha256Digest;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use sha2::Sha256;

    use super::*;

    #[test]
    fn the_edge_has_the_root_of_the_whole_tree_at_every_size() {
        let mut oracle = MemoryBackedTree::<Sha256, [u8; 32]>::new();
        let mut edge = Edge::default();
        let mut tiles = 0;
        for size in 0..66_100_u64 {
            if size < 600 || size % 997 == 0 || size > 65_530 && size < 65_540 {
                assert_eq!(edge.root().as_bytes(), oracle.root().as_bytes().as_slice(), "{size}");
                assert_eq!(edge.size(), size);
            }
            let digest = Sha256Digest::of(&size.to_be_bytes());
            edge.push(TreeHash::leaf(&digest), |file, hashes| {
                assert_eq!(hashes.len(), 256);
                assert_eq!(file.first_event(), file.index << (8 * (u32::from(file.row.level()) + 1)));
                tiles += 1;
            });
            oracle.push(*digest.as_bytes());
        }
        assert_eq!(tiles, 258 + 1);
    }
}
