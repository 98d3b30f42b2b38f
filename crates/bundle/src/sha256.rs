//! SHA-256 as a chain of states, so that pieces of one digest can be checked on their own.
//!
//! SHA-256 (FIPS 180-4, section 6.2) takes its input in blocks of 64 bytes and carries eight words from one
//! to the next. Whoever knows the words and the bytes left over at some place can check what follows without
//! what came before. Knowing recorded states adds no assumption: if the first piece starts from the initial
//! words, each piece leads from the state before it to its own, and the last is finalised to the digest that
//! was signed, then the digest is the ordinary one of the whole.

use consign_metadata::Sha256Digest;
use consign_sha256::{Stream, compress_all};
use sha2::block_api::compress256;

const BLOCK: usize = 64;

/// The initial words (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The state of a SHA-256 computation after some number of bytes: the words after the last whole block, and
/// the bytes after it.
///
/// ```
/// use consign_bundle::Sha256State;
/// use consign_metadata::Sha256Digest;
///
/// let mut whole = Sha256State::initial();
/// whole.update(b"hello, ");
/// let halfway = whole.clone(); // as recorded
/// whole.update(b"world");
///
/// let mut second_half = halfway;
/// second_half.update(b"world");
/// assert_eq!(second_half, whole);
/// assert_eq!(whole.finish(), Sha256Digest::of(b"hello, world"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sha256State {
    words: [u32; 8],
    /// Bytes after the last whole block; all zero beyond `length % 64`, so that equality is that of states.
    rest: [u8; BLOCK],
    length: u64,
}

impl Sha256State {
    /// The state before the first byte.
    pub fn initial() -> Self {
        Self { words: INITIAL, rest: [0; BLOCK], length: 0 }
    }

    /// A recorded state: the chaining value as 32 big-endian bytes, the bytes after the last whole block, and
    /// the number of bytes hashed so far. `None` if the number of left-over bytes does not belong to `length`,
    /// or if a state at 0 is not the initial one.
    pub fn from_parts(chaining: &[u8; 32], rest: &[u8], length: u64) -> Option<Self> {
        if rest.len() as u64 != length % BLOCK as u64 {
            return None;
        }
        let mut state = Self::initial();
        for (word, bytes) in state.words.iter_mut().zip(chaining.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        state.rest[..rest.len()].copy_from_slice(rest);
        state.length = length;
        (length >= BLOCK as u64 || state.words == INITIAL).then_some(state)
    }

    /// The chaining value after the last whole block, as 32 big-endian bytes.
    pub fn chaining(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(self.words) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The bytes after the last whole block.
    pub fn rest(&self) -> &[u8] {
        &self.rest[..self.rest_len()]
    }

    /// Number of bytes hashed so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn rest_len(&self) -> usize {
        // Below 64, whatever the length.
        usize::try_from(self.length % BLOCK as u64).unwrap_or_default()
    }

    /// Hashes `data`.
    pub fn update(&mut self, data: &[u8]) {
        let blocks = self.begin(data);
        compress256(&mut self.words, blocks);
    }

    /// Hashes all of `data` but its whole blocks, which are still to be hashed: fills the block that was begun
    /// before, and keeps what is left over at the end.
    fn begin<'a>(&mut self, mut data: &'a [u8]) -> &'a [[u8; BLOCK]] {
        let filled = self.rest_len();
        self.length = self.length.wrapping_add(data.len() as u64);
        if filled > 0 {
            let taken = data.len().min(BLOCK - filled);
            self.rest[filled..filled + taken].copy_from_slice(&data[..taken]);
            data = &data[taken..];
            if filled + taken < BLOCK {
                return &[];
            }
            compress256(&mut self.words, std::slice::from_ref(&self.rest));
            self.rest = [0; BLOCK];
        }
        let (blocks, rest) = data.as_chunks::<BLOCK>();
        self.rest[..rest.len()].copy_from_slice(rest);
        blocks
    }

    /// Pads and finishes (FIPS 180-4, section 5.1.1).
    pub fn finish(mut self) -> Sha256Digest {
        let (blocks, count) = self.padded();
        compress256(&mut self.words, &blocks[..count]);
        Sha256Digest::from_bytes(self.chaining())
    }

    /// The last one or two blocks, with the padding.
    fn padded(&self) -> ([[u8; BLOCK]; 2], usize) {
        let filled = self.rest_len();
        let mut blocks = [self.rest, [0; BLOCK]];
        blocks[0][filled] = 0x80;
        let count = if filled + 1 > BLOCK - 8 { 2 } else { 1 };
        blocks[count - 1][BLOCK - 8..].copy_from_slice(&self.length.wrapping_mul(8).to_be_bytes());
        (blocks, count)
    }
}

/// Hashes each piece into its state. States that have nothing to do with each other take less time together
/// than one after the other.
pub(crate) fn update_all(pieces: &mut [(&mut Sha256State, &[u8])]) {
    let mut streams = Vec::with_capacity(pieces.len());
    for (state, data) in pieces {
        let blocks = state.begin(data);
        streams.push(Stream { words: &mut state.words, blocks });
    }
    compress_all(&mut streams);
}

/// The digest of each content.
pub(crate) fn digest_all(contents: &[&[u8]]) -> Vec<Sha256Digest> {
    let mut states = vec![Sha256State::initial(); contents.len()];
    let mut pieces: Vec<_> = states.iter_mut().zip(contents.iter().copied()).collect();
    update_all(&mut pieces);
    let ends: Vec<_> = states.iter().map(Sha256State::padded).collect();
    let ends = ends.iter().map(|(blocks, count)| &blocks[..*count]);
    let mut streams: Vec<_> = states
        .iter_mut()
        .zip(ends)
        .map(|(state, blocks)| Stream { words: &mut state.words, blocks })
        .collect();
    compress_all(&mut streams);
    states.iter().map(|state| Sha256Digest::from_bytes(state.chaining())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cutting_gives_the_digest_of_the_whole(
            data in proptest::collection::vec(any::<u8>(), 0..1000),
            cuts in proptest::collection::vec(0usize..1000, 0..5),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(data.len())).collect();
            cuts.sort_unstable();
            let mut state = Sha256State::initial();
            let mut from = 0;
            for to in cuts.into_iter().chain([data.len()]) {
                // Through the recorded form each time.
                state = Sha256State::from_parts(&state.chaining(), state.rest(), state.length()).expect("its own parts");
                state.update(&data[from..to]);
                from = to;
            }
            prop_assert_eq!(state.finish(), Sha256Digest::of(&data));
        }
    }

    proptest! {
        #[test]
        fn together_they_are_what_they_are_alone(
            contents in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..300), proptest::collection::vec(any::<u8>(), 0..700)),
                0..30,
            ),
        ) {
            let mut states: Vec<_> = contents
                .iter()
                .map(|(before, _)| {
                    let mut state = Sha256State::initial();
                    state.update(before);
                    state
                })
                .collect();
            let mut pieces: Vec<_> =
                states.iter_mut().zip(contents.iter().map(|(_, after)| after.as_slice())).collect();
            update_all(&mut pieces);
            let whole: Vec<_> = contents.iter().map(|(before, after)| [before.as_slice(), after].concat()).collect();
            let expected: Vec<_> = whole.iter().map(|content| Sha256Digest::of(content)).collect();
            let found: Vec<_> = states.into_iter().map(Sha256State::finish).collect();
            prop_assert_eq!(&found, &expected);
            let whole: Vec<_> = whole.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(digest_all(&whole), expected);
        }
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        assert_eq!(Sha256State::from_parts(&[0; 32], &[1], 64), None);
        assert_eq!(Sha256State::from_parts(&[0; 32], &[], 1), None);
        assert_eq!(Sha256State::from_parts(&[0; 32], &[], 0), None, "a state at 0 is the initial one");
        assert!(Sha256State::from_parts(&[0; 32], &[], 64).is_some());
    }
}
