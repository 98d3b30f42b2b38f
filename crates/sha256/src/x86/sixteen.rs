//! Sixteen streams with AVX-512: lane *n* of every register belongs to stream *n* (Intel SDM, volume 2,
//! `VPRORD`, `VPTERNLOGD`). A rotation, and any logic function of three words, is one instruction each.

use core::arch::x86_64::{
    __m512i, _mm_extract_epi32, _mm512_add_epi32, _mm512_extracti32x4_epi32, _mm512_ror_epi32,
    _mm512_set_epi32, _mm512_set_epi64, _mm512_set1_epi32, _mm512_set4_epi32, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_srli_epi32, _mm512_ternarylogic_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::K;
use crate::{BLOCK, LANES};

// Tables of truth for `VPTERNLOGD`: bit 4a + 2b + c is the value for a, b, c.
const XOR3: i32 = 0x96;
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;

/// Hashes `count` blocks of each stream.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn compress(words: &mut [[u32; LANES]; 8], blocks: &[&[[u8; BLOCK]]; LANES], count: usize) {
    let mut state = [_mm512_setzero_si512(); 8];
    for (register, words) in state.iter_mut().zip(words.iter()) {
        *register = load(words);
    }
    // The same length for all, so that nothing is checked in the loop.
    let blocks = blocks.map(|blocks| &blocks[..count]);
    for n in 0..count {
        let mut rows = [_mm512_setzero_si512(); LANES];
        for (row, blocks) in rows.iter_mut().zip(&blocks) {
            *row = message(&blocks[n]);
        }
        rounds(&mut state, transpose(rows));
    }
    for (register, words) in state.iter().zip(words.iter_mut()) {
        *words = store(*register);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn load(words: &[u32; LANES]) -> __m512i {
    let w = words.map(u32::cast_signed);
    _mm512_set_epi32(
        w[15], w[14], w[13], w[12], w[11], w[10], w[9], w[8], w[7], w[6], w[5], w[4], w[3], w[2], w[1], w[0],
    )
}

#[target_feature(enable = "avx512f,avx512bw")]
fn store(register: __m512i) -> [u32; LANES] {
    let quarters = [
        _mm512_extracti32x4_epi32::<0>(register),
        _mm512_extracti32x4_epi32::<1>(register),
        _mm512_extracti32x4_epi32::<2>(register),
        _mm512_extracti32x4_epi32::<3>(register),
    ];
    let mut words = [0; LANES];
    for (words, quarter) in words.chunks_exact_mut(4).zip(quarters) {
        words[0] = _mm_extract_epi32::<0>(quarter).cast_unsigned();
        words[1] = _mm_extract_epi32::<1>(quarter).cast_unsigned();
        words[2] = _mm_extract_epi32::<2>(quarter).cast_unsigned();
        words[3] = _mm_extract_epi32::<3>(quarter).cast_unsigned();
    }
    words
}

/// The sixteen words of a block, read as big-endian.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn message(block: &[u8; BLOCK]) -> __m512i {
    let (eighths, _) = block.as_chunks::<8>();
    let eighth = |n: usize| i64::from_le_bytes(eighths[n]);
    let bytes = _mm512_set_epi64(
        eighth(7),
        eighth(6),
        eighth(5),
        eighth(4),
        eighth(3),
        eighth(2),
        eighth(1),
        eighth(0),
    );
    _mm512_shuffle_epi8(bytes, _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203))
}

/// From one stream a row to one word of all streams a row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut out = rows;
    // Four by four within each quarter of the registers: quarter q of `columns[group][c]` is column 4q + c of
    // the four rows of the group.
    let mut columns = [[_mm512_setzero_si512(); 4]; 4];
    for (columns, rows) in columns.iter_mut().zip(rows.as_chunks::<4>().0) {
        let low = [_mm512_unpacklo_epi32(rows[0], rows[1]), _mm512_unpacklo_epi32(rows[2], rows[3])];
        let high = [_mm512_unpackhi_epi32(rows[0], rows[1]), _mm512_unpackhi_epi32(rows[2], rows[3])];
        *columns = [
            _mm512_unpacklo_epi64(low[0], low[1]),
            _mm512_unpackhi_epi64(low[0], low[1]),
            _mm512_unpacklo_epi64(high[0], high[1]),
            _mm512_unpackhi_epi64(high[0], high[1]),
        ];
    }
    // Then the quarters, four by four.
    for c in 0..4 {
        let even = [
            _mm512_shuffle_i32x4::<0x88>(columns[0][c], columns[1][c]),
            _mm512_shuffle_i32x4::<0x88>(columns[2][c], columns[3][c]),
        ];
        let odd = [
            _mm512_shuffle_i32x4::<0xdd>(columns[0][c], columns[1][c]),
            _mm512_shuffle_i32x4::<0xdd>(columns[2][c], columns[3][c]),
        ];
        out[c] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        out[4 + c] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        out[8 + c] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        out[12 + c] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<XOR3>(a, b, c)
}

/// The 64 rounds of one block of each stream (FIPS 180-4, section 6.2.2).
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounds(state: &mut [__m512i; 8], mut w: [__m512i; LANES]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    // The names move along by one each round, the values stay in their registers.
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $from:expr, $n:literal) => {
            let k = _mm512_set1_epi32(K[$from + $n].cast_signed());
            let sum_1 =
                xor3(_mm512_ror_epi32::<6>($e), _mm512_ror_epi32::<11>($e), _mm512_ror_epi32::<25>($e));
            let chosen = _mm512_ternarylogic_epi32::<CHOOSE>($e, $f, $g);
            let wk = _mm512_add_epi32(_mm512_add_epi32(w[$n], k), $h);
            let first = _mm512_add_epi32(_mm512_add_epi32(sum_1, chosen), wk);
            let sum_0 =
                xor3(_mm512_ror_epi32::<2>($a), _mm512_ror_epi32::<13>($a), _mm512_ror_epi32::<22>($a));
            let second = _mm512_add_epi32(sum_0, _mm512_ternarylogic_epi32::<MAJORITY>($a, $b, $c));
            $d = _mm512_add_epi32($d, first);
            $h = _mm512_add_epi32(first, second);
        };
    }
    macro_rules! sixteen_rounds {
        ($from:expr) => {
            round!(a b c d e f g h, $from, 0);
            round!(h a b c d e f g, $from, 1);
            round!(g h a b c d e f, $from, 2);
            round!(f g h a b c d e, $from, 3);
            round!(e f g h a b c d, $from, 4);
            round!(d e f g h a b c, $from, 5);
            round!(c d e f g h a b, $from, 6);
            round!(b c d e f g h a, $from, 7);
            round!(a b c d e f g h, $from, 8);
            round!(h a b c d e f g, $from, 9);
            round!(g h a b c d e f, $from, 10);
            round!(f g h a b c d e, $from, 11);
            round!(e f g h a b c d, $from, 12);
            round!(d e f g h a b c, $from, 13);
            round!(c d e f g h a b, $from, 14);
            round!(b c d e f g h a, $from, 15);
        };
    }
    sixteen_rounds!(0);
    for from in [16, 32, 48] {
        for n in 0..LANES {
            let (w_15, w_2) = (w[(n + 1) % LANES], w[(n + 14) % LANES]);
            let small_0 =
                xor3(_mm512_ror_epi32::<7>(w_15), _mm512_ror_epi32::<18>(w_15), _mm512_srli_epi32::<3>(w_15));
            let small_1 =
                xor3(_mm512_ror_epi32::<17>(w_2), _mm512_ror_epi32::<19>(w_2), _mm512_srli_epi32::<10>(w_2));
            let sum = _mm512_add_epi32(_mm512_add_epi32(w[n], small_0), w[(n + 9) % LANES]);
            w[n] = _mm512_add_epi32(sum, small_1);
        }
        sixteen_rounds!(from);
    }
    for (register, value) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *register = _mm512_add_epi32(*register, value);
    }
}
