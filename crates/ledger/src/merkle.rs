//! Roots and proofs of a Merkle tree (RFC 6962 section 2.1), computed from hashes of complete subtrees, and their
//! verification (RFC 9162 sections 2.1.3.2 and 2.1.4.2).

use crate::hash::TreeHash;

/// Most hashes of an inclusion proof: the tree has less than 2^64 leaves.
pub(crate) const INCLUSION_MAX: usize = 64;
/// Most hashes of a consistency proof.
pub(crate) const CONSISTENCY_MAX: usize = 65;

/// Gives the hashes of complete subtrees.
pub(crate) trait HashReader {
    type Error;

    /// The hash of the subtree over the leaves `index × 2^height` up to `(index + 1) × 2^height`.
    fn subtree(&mut self, height: u32, index: u64) -> Result<TreeHash, Self::Error>;
}

/// The largest power of two that is less than `length`, which is at least 2.
fn split(length: u64) -> u64 {
    1 << (63 - (length - 1).leading_zeros())
}

/// The hash over the leaves from `start` to before `end`, of which there is at least one. As the recursion of
/// RFC 6962 makes them: `start` is a multiple of the smallest power of two that is not less than the length.
fn range<R: HashReader>(reader: &mut R, start: u64, end: u64) -> Result<TreeHash, R::Error> {
    let length = end - start;
    if length.is_power_of_two() {
        return reader.subtree(length.trailing_zeros(), start / length);
    }
    let middle = start + split(length);
    let left = range(reader, start, middle)?;
    let right = range(reader, middle, end)?;
    Ok(TreeHash::node(&left, &right))
}

/// The root of the tree of the first `size` leaves.
pub(crate) fn root<R: HashReader>(reader: &mut R, size: u64) -> Result<TreeHash, R::Error> {
    if size == 0 { Ok(TreeHash::empty()) } else { range(reader, 0, size) }
}

/// The hashes that lead from the leaf at `index`, which is less than `size`, to the root: the leaf's sibling
/// first.
pub(crate) fn inclusion<R: HashReader>(
    reader: &mut R,
    index: u64,
    size: u64,
) -> Result<Vec<TreeHash>, R::Error> {
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(reader, middle, end)?);
            end = middle;
        } else {
            path.push(range(reader, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the first `old` leaves of `new` are those that a tree of size `old` had.
/// Nothing needs to be shown where `old` is 0 or `new`.
pub(crate) fn consistency<R: HashReader>(
    reader: &mut R,
    old: u64,
    new: u64,
) -> Result<Vec<TreeHash>, R::Error> {
    if old == 0 || old >= new {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut path = Vec::new();
    // The old tree ends at `old`; `end == old` is where it is one subtree of the new one.
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range(reader, middle, end)?);
            end = middle;
        } else {
            path.push(range(reader, start, middle)?);
            start = middle;
        }
    }
    // Where that subtree is the whole old tree, whoever checks has its hash.
    if start != 0 {
        path.push(range(reader, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether the hashes lead from this leaf at `index` to the root of a tree of `size` leaves.
pub(crate) fn verify_inclusion(
    leaf: &TreeHash,
    index: u64,
    size: u64,
    path: &[TreeHash],
    root: &TreeHash,
) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = TreeHash::node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = TreeHash::node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the hashes show that the tree of size `new` begins with the tree of size `old`.
pub(crate) fn verify_consistency(
    (old, old_root): (u64, &TreeHash),
    (new, new_root): (u64, &TreeHash),
    path: &[TreeHash],
) -> bool {
    if old == 0 {
        return path.is_empty() && *old_root == TreeHash::empty();
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old > new {
        return false;
    }
    let (first, rest) = if old.is_power_of_two() {
        (*old_root, path)
    } else {
        let Some((first, rest)) = path.split_first() else { return false };
        (*first, rest)
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = TreeHash::node(hash, &old_hash);
            new_hash = TreeHash::node(hash, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = TreeHash::node(&new_hash, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use consign_metadata::Sha256Digest;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    type Oracle = MemoryBackedTree<Sha256, [u8; 32]>;

    struct Leaves(Vec<TreeHash>);

    impl HashReader for Leaves {
        type Error = Infallible;

        fn subtree(&mut self, height: u32, index: u64) -> Result<TreeHash, Infallible> {
            let start = usize::try_from(index << height).unwrap();
            Ok(TreeHash::complete(&self.0[start..start + (1 << height)]))
        }
    }

    fn trees(size: u64) -> (Leaves, Oracle) {
        let mut oracle = Oracle::new();
        let mut leaves = Leaves(Vec::new());
        for number in 0..size {
            let digest = Sha256Digest::of(&number.to_be_bytes());
            oracle.push(*digest.as_bytes());
            leaves.0.push(TreeHash::leaf(&digest));
        }
        (leaves, oracle)
    }

    fn bytes(hashes: &[TreeHash]) -> Vec<u8> {
        hashes.iter().flat_map(TreeHash::as_bytes).copied().collect()
    }

    fn altered(hashes: &[TreeHash], at: usize) -> Vec<TreeHash> {
        let mut hashes = hashes.to_vec();
        let mut bytes = *hashes[at].as_bytes();
        bytes[7] ^= 1;
        hashes[at] = TreeHash::from_bytes(bytes);
        hashes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Roots and proofs are those of an independent implementation, and only they are accepted.
        #[test]
        fn another_implementation_agrees(size in 1..1200_u64, at in any::<prop::sample::Index>(), old in any::<prop::sample::Index>()) {
            let (mut leaves, oracle) = trees(size);
            let Ok(new_root) = root(&mut leaves, size);
            prop_assert!(oracle.root().as_bytes().as_slice() == new_root.as_bytes());

            let index = at.index(usize::try_from(size).unwrap());
            let Ok(path) = inclusion(&mut leaves, index as u64, size);
            let expected = oracle.prove_inclusion(index);
            prop_assert_eq!(expected.as_bytes(), bytes(&path));
            let leaf = leaves.0[index];
            let holds = |leaf: &TreeHash, index, size, path: &[TreeHash]| verify_inclusion(leaf, index, size, path, &new_root);
            prop_assert!(holds(&leaf, index as u64, size, &path));
            // F10: another leaf, another index, other hashes.
            prop_assert!(!holds(&TreeHash::empty(), index as u64, size, &path));
            prop_assert!(!holds(&leaf, (index as u64 + 1) % size, size, &path) || size == 1);
            prop_assert!(!holds(&leaf, size, size, &path));
            prop_assert!(!holds(&leaf, index as u64, size, &[&path[..], &[leaf]].concat()));
            for at in 0..path.len() {
                prop_assert!(!holds(&leaf, index as u64, size, &altered(&path, at)));
                prop_assert!(!holds(&leaf, index as u64, size, &path[..at]));
            }

            let old = old.index(usize::try_from(size).unwrap()) as u64 + 1;
            let Ok(old_root) = root(&mut leaves, old);
            let Ok(path) = consistency(&mut leaves, old, size);
            if old < size {
                let expected = oracle.prove_consistency(usize::try_from(size - old).unwrap());
                prop_assert_eq!(expected.as_bytes(), bytes(&path));
            }
            prop_assert!(verify_consistency((old, &old_root), (size, &new_root), &path));
            prop_assert!(!verify_consistency((old, &leaf), (size, &new_root), &path) || leaf == old_root);
            prop_assert!(!verify_consistency((old, &old_root), (size, &TreeHash::empty()), &path));
            prop_assert!(!verify_consistency((old + 1, &old_root), (size, &new_root), &path));
            prop_assert!(!verify_consistency((old, &old_root), (size, &new_root), &[&path[..], &[leaf]].concat()));
            for at in 0..path.len() {
                prop_assert!(!verify_consistency((old, &old_root), (size, &new_root), &altered(&path, at)));
                prop_assert!(!verify_consistency((old, &old_root), (size, &new_root), &path[..at]));
            }
        }
    }

    #[test]
    fn a_tree_without_leaves_proves_nothing() {
        let hash = TreeHash::leaf(&Sha256Digest::of(b""));
        assert!(!verify_inclusion(&hash, 0, 0, &[], &hash));
        assert!(!verify_inclusion(&TreeHash::empty(), 0, 0, &[], &TreeHash::empty()));
        assert!(verify_consistency((0, &TreeHash::empty()), (7, &hash), &[]));
        assert!(!verify_consistency((0, &hash), (7, &hash), &[]));
        assert!(!verify_consistency((7, &hash), (0, &TreeHash::empty()), &[]));
        // Hashes that lead to the root, but of a smaller tree than the size says.
        assert!(verify_inclusion(&hash, 0, 1, &[], &hash));
        assert!(!verify_inclusion(&hash, 0, 2, &[], &hash));
        assert!(!verify_consistency((1, &hash), (2, &hash), &[]));
        // The largest numbers do not overflow.
        assert!(!verify_inclusion(&hash, u64::MAX - 1, u64::MAX, &[hash; 64], &hash));
        assert!(!verify_consistency((u64::MAX - 1, &hash), (u64::MAX, &hash), &[hash; 65]));
    }
}
