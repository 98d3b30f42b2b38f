//! The SHA-256 compression function (FIPS 180-4, section 6.2.2) over many independent streams at once.
//!
//! One stream cannot use a processor up: each round needs the one before. Streams that know nothing of each
//! other can be hashed side by side on one core: two with the SHA instructions of x86-64, sixteen with AVX-512.
//! Where there is neither, they are hashed in turn by `sha2`, against which every result is tested.

#[cfg(target_arch = "x86_64")]
mod x86;

/// Bytes in a block.
pub const BLOCK: usize = 64;

/// Most streams that are hashed at the same time. More may be given; they take turns.
pub const LANES: usize = 16;

/// With fewer streams, pairs take less time than sixteen lanes of which many are idle.
const LANES_WORTH: usize = 11;

/// One stream: its eight words, and the whole blocks that come next.
#[derive(Debug)]
pub struct Stream<'a> {
    /// The chaining value before the blocks; after [`compress_all`], that after them.
    pub words: &'a mut [u32; 8],
    /// What is still to be hashed; empty after [`compress_all`].
    pub blocks: &'a [[u8; BLOCK]],
}

impl<'a> Stream<'a> {
    fn take(&mut self, count: usize) -> &'a [[u8; BLOCK]] {
        let (taken, rest) = self.blocks.split_at(count);
        self.blocks = rest;
        taken
    }
}

/// Hashes the blocks of all streams into their words. They may be of any lengths.
///
/// ```
/// use consign_sha256::{Stream, compress_all};
/// // SHA-256 of nothing: the initial words, and one block of padding.
/// let initial = [
///     0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
/// ];
/// let mut padding = [0; 64];
/// padding[0] = 0x80;
/// let (mut first, mut second) = (initial, initial);
/// compress_all(&mut [
///     Stream { words: &mut first, blocks: &[padding] },
///     Stream { words: &mut second, blocks: &[padding, padding] },
/// ]);
/// assert_eq!(first[..2], [0xe3b0_c442, 0x98fc_1c14]);
/// assert_ne!(first, second);
/// ```
pub fn compress_all(streams: &mut [Stream<'_>]) {
    if streams.len() >= LANES_WORTH && has_sixteen() {
        by_sixteen(streams);
    }
    by_two(streams);
}

/// Two at a time; when one ends, the next takes its place.
fn by_two(streams: &mut [Stream<'_>]) {
    let mut waiting = streams.iter_mut().filter(|stream| !stream.blocks.is_empty());
    let (mut a, mut b) = (waiting.next(), waiting.next());
    while let (Some(one), Some(two)) = (&mut a, &mut b) {
        let both = one.blocks.len().min(two.blocks.len());
        let (one_blocks, two_blocks) = (one.take(both), two.take(both));
        if !pair([one.words, two.words], [one_blocks, two_blocks]) {
            sha2::block_api::compress256(one.words, one_blocks);
            sha2::block_api::compress256(two.words, two_blocks);
        }
        for place in [&mut a, &mut b] {
            if place.as_ref().is_some_and(|stream| stream.blocks.is_empty()) {
                *place = waiting.next();
            }
        }
    }
    for last in [a, b].into_iter().flatten() {
        let blocks = last.take(last.blocks.len());
        sha2::block_api::compress256(last.words, blocks);
    }
}

/// Sixteen at a time, as long as that is worth it. What is left over keeps its blocks.
fn by_sixteen(streams: &mut [Stream<'_>]) {
    let mut words = [[0; LANES]; 8];
    let mut lanes: [Option<usize>; LANES] = [None; LANES];
    let mut next = 0;
    loop {
        for (lane, place) in lanes.iter_mut().enumerate() {
            if place.is_none() {
                next += streams[next..].iter().take_while(|stream| stream.blocks.is_empty()).count();
                if let Some(stream) = streams.get(next) {
                    put(&mut words, lane, stream.words);
                    *place = Some(next);
                    next += 1;
                }
            }
        }
        let busy = || lanes.iter().flatten().copied();
        let count = busy().map(|n| streams[n].blocks.len()).min().unwrap_or(0);
        let any = busy().next();
        let (Some(any), true) = (any, busy().count() >= LANES_WORTH) else { break };
        // An idle lane hashes what another does, and nobody looks at it.
        let blocks = lanes.map(|place| &streams[place.unwrap_or(any)].blocks[..count]);
        if !sixteen(&mut words, &blocks, count) {
            break;
        }
        for (lane, place) in lanes.iter_mut().enumerate() {
            if let Some(n) = *place {
                streams[n].take(count);
                if streams[n].blocks.is_empty() {
                    *streams[n].words = get(&words, lane);
                    *place = None;
                }
            }
        }
    }
    for (lane, n) in lanes.iter().enumerate().filter_map(|(lane, place)| Some((lane, (*place)?))) {
        *streams[n].words = get(&words, lane);
    }
}

fn put(words: &mut [[u32; LANES]; 8], lane: usize, from: &[u32; 8]) {
    for (row, word) in words.iter_mut().zip(from) {
        row[lane] = *word;
    }
}

fn get(words: &[[u32; LANES]; 8], lane: usize) -> [u32; 8] {
    words.map(|row| row[lane])
}

#[cfg(target_arch = "x86_64")]
use x86::{has_sixteen, pair, sixteen};

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    //! Nothing is hashed side by side.
    use super::{BLOCK, LANES};

    pub(super) fn has_sixteen() -> bool {
        false
    }

    pub(super) fn pair(_: [&mut [u32; 8]; 2], _: [&[[u8; BLOCK]]; 2]) -> bool {
        false
    }

    pub(super) fn sixteen(_: &mut [[u32; LANES]; 8], _: &[&[[u8; BLOCK]]; LANES], _: usize) -> bool {
        false
    }
}

#[cfg(not(target_arch = "x86_64"))]
use elsewhere::{has_sixteen, pair, sixteen};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn many() -> impl Strategy<Value = Vec<([u32; 8], Vec<[u8; BLOCK]>)>> {
        let blocks = proptest::collection::vec(any::<[u8; BLOCK]>(), 0..12);
        proptest::collection::vec((any::<[u32; 8]>(), blocks), 0..40)
    }

    proptest! {
        #[test]
        fn it_is_sha2_on_each_stream(given in many()) {
            let expected: Vec<_> = given
                .iter()
                .map(|(words, blocks)| {
                    let mut words = *words;
                    sha2::block_api::compress256(&mut words, blocks);
                    words
                })
                .collect();
            let run = |compress: &dyn Fn(&mut [Stream<'_>])| {
                let mut words: Vec<_> = given.iter().map(|(words, _)| *words).collect();
                let mut streams: Vec<_> = words
                    .iter_mut()
                    .zip(&given)
                    .map(|(words, (_, blocks))| Stream { words, blocks })
                    .collect();
                compress(&mut streams);
                assert!(streams.iter().all(|stream| stream.blocks.is_empty()));
                words
            };
            prop_assert_eq!(&run(&compress_all), &expected);
            prop_assert_eq!(&run(&by_two), &expected);
        }
    }

    /// Without this the test above could compare `sha2` with itself, and nobody would know.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_instructions_are_used_where_they_are() {
        let mut words = [[0; 8]; 2];
        let [one, two] = &mut words;
        let used = pair([one, two], [&[[1; BLOCK]], &[[2; BLOCK]]]);
        assert_eq!(used, is_x86_feature_detected!("sha"));
        assert_eq!(words != [[0; 8]; 2], used);
        let mut words = [[0; LANES]; 8];
        let used = sixteen(&mut words, &[&[[1; BLOCK]]; LANES], 1);
        assert_eq!(used, is_x86_feature_detected!("avx512bw"));
        assert_eq!(words != [[0; LANES]; 8], used);
    }
}
