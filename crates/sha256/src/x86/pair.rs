//! Two streams with the SHA instructions of x86-64 (Intel SDM, volume 1, section 5.1.17).

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_set_epi32, _mm_set_epi64x, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
};

use super::K;
use crate::BLOCK;

/// Hashes as many blocks of each stream as both have.
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(super) fn compress([a, b]: [&mut [u32; 8]; 2], [a_blocks, b_blocks]: [&[[u8; BLOCK]]; 2]) {
    let mut states = [load(a), load(b)];
    for (a_block, b_block) in a_blocks.iter().zip(b_blocks) {
        rounds(&mut states, [a_block, b_block]);
    }
    *a = store(states[0]);
    *b = store(states[1]);
}

/// The words as the instructions want them: A, B, E, F in one register and C, D, G, H in another, from the
/// highest lane down.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn load(words: &[u32; 8]) -> [__m128i; 2] {
    let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
    [_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h)]
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn store([abef, cdgh]: [__m128i; 2]) -> [u32; 8] {
    let [f, e, b, a] = lanes(abef);
    let [h, g, d, c] = lanes(cdgh);
    [a, b, c, d, e, f, g, h]
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn lanes(register: __m128i) -> [u32; 4] {
    use core::arch::x86_64::_mm_extract_epi32;
    [
        _mm_extract_epi32::<0>(register),
        _mm_extract_epi32::<1>(register),
        _mm_extract_epi32::<2>(register),
        _mm_extract_epi32::<3>(register),
    ]
    .map(i32::cast_unsigned)
}

/// Four words of the message, read as big-endian.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn message(block: &[u8; BLOCK], quarter: usize) -> __m128i {
    let (halves, _) = block.as_chunks::<8>();
    let half = |n: usize| i64::from_le_bytes(halves[2 * quarter + n]);
    let bytes = _mm_set_epi64x(half(1), half(0));
    _mm_shuffle_epi8(bytes, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
}

/// The 64 rounds of one block of each stream. Each step is done for both before the next.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn rounds(states: &mut [[__m128i; 2]; 2], blocks: [&[u8; BLOCK]; 2]) {
    let before = *states;
    let mut w = [[message(blocks[0], 0); 4], [message(blocks[1], 0); 4]];
    macro_rules! four_rounds {
        ($step:literal) => {
            let k = _mm_set_epi32(
                K[4 * $step + 3].cast_signed(),
                K[4 * $step + 2].cast_signed(),
                K[4 * $step + 1].cast_signed(),
                K[4 * $step].cast_signed(),
            );
            for lane in 0..2 {
                let w = &mut w[lane];
                // The schedule (FIPS 180-4, section 6.2.2, step 1): four words from the sixteen before them.
                if $step < 4 {
                    w[$step % 4] = message(blocks[lane], $step % 4);
                } else {
                    let sum = _mm_add_epi32(
                        _mm_sha256msg1_epu32(w[$step % 4], w[($step + 1) % 4]),
                        _mm_alignr_epi8::<4>(w[($step + 3) % 4], w[($step + 2) % 4]),
                    );
                    w[$step % 4] = _mm_sha256msg2_epu32(sum, w[($step + 3) % 4]);
                }
                let [abef, cdgh] = states[lane];
                let wk = _mm_add_epi32(w[$step % 4], k);
                let next = _mm_sha256rnds2_epu32(cdgh, abef, wk);
                let last = _mm_sha256rnds2_epu32(abef, next, _mm_shuffle_epi32::<0x0e>(wk));
                states[lane] = [last, next];
            }
        };
    }
    four_rounds!(0);
    four_rounds!(1);
    four_rounds!(2);
    four_rounds!(3);
    four_rounds!(4);
    four_rounds!(5);
    four_rounds!(6);
    four_rounds!(7);
    four_rounds!(8);
    four_rounds!(9);
    four_rounds!(10);
    four_rounds!(11);
    four_rounds!(12);
    four_rounds!(13);
    four_rounds!(14);
    four_rounds!(15);
    for lane in 0..2 {
        for half in 0..2 {
            states[lane][half] = _mm_add_epi32(states[lane][half], before[lane][half]);
        }
    }
}
