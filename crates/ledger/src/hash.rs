//! Hashes of the Merkle tree (RFC 6962 section 2.1): leaves and nodes can never be taken for each other.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consign_metadata::{Sha256Digest, to_hex};
use sha2::{Digest as _, Sha256};

/// The hash of a leaf, or of a tree: not the digest of anything that has a meaning of its own.
///
/// Its text form is base64, as checkpoints and proofs have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 32]);

/// Length of a hash, in bytes.
pub(crate) const HASH_BYTES: usize = 32;

impl TreeHash {
    /// The hash of a tree without leaves.
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of a leaf whose entry is the digest of an event.
    pub fn leaf(digest: &Sha256Digest) -> Self {
        let mut bytes = [0; 1 + HASH_BYTES];
        bytes[1..].copy_from_slice(digest.as_bytes());
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of a tree of two halves.
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut bytes = [1; 1 + 2 * HASH_BYTES];
        bytes[1..=HASH_BYTES].copy_from_slice(&left.0);
        bytes[1 + HASH_BYTES..].copy_from_slice(&right.0);
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of a complete tree over these, whose number is a power of two.
    pub(crate) fn complete(hashes: &[Self]) -> Self {
        debug_assert!(hashes.len().is_power_of_two());
        let mut level = hashes.to_vec();
        while level.len() > 1 {
            level = level.as_chunks::<2>().0.iter().map(|[left, right]| Self::node(left, right)).collect();
        }
        level.first().copied().unwrap_or_else(Self::empty)
    }

    /// A hash from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the base64 of 32 bytes, in its one spelling.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({})", to_hex(&self.0))
    }
}
