//! Where in a stream there may be text: told by the bytes alone, a block at a time, whatever the file says to be.
//!
//! Weights and other binary content must cost next to nothing, so a block is sampled: eight bytes of every
//! [`STRIDE`]. Text has no control characters; in weights a tenth of the bytes look like some. In a block of binary
//! content, text is found by its runs of printable characters: one of [`SURE_RUN`] bytes covers a sample.

use std::ops::Range;

/// What is judged at a time, counted from the beginning of the stream.
pub(crate) const BLOCK: usize = 4096;
/// Samples of binary content are so far apart: a run not much longer than the shortest token covers one.
const STRIDE: usize = 16;
/// Those by which text is judged.
const SPREAD: usize = 64;
/// Whether it is text is told by samples so far apart,
const JUDGED: usize = SPREAD;
/// so many at a time.
const GROUP: usize = 16;
/// Bytes of a sample.
const SAMPLE: usize = 8;
/// Shortest run of printable characters that no block of binary content hides.
#[cfg(test)]
pub(crate) const SURE_RUN: usize = STRIDE + SAMPLE - 1;
/// Shorter runs mean nothing.
const RUN_MIN: usize = 20;
/// How far beyond its block a run is followed.
pub(crate) const RUN_REACH: usize = 256;
/// A block with no more than this share of control characters is text: one in so many sampled bytes.
const CONTROL_SHARE: usize = 50;

const ONES: u64 = 0x0101_0101_0101_0101;
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of every byte that is `n` or more, for `n` up to 128.
pub(crate) const fn at_least(word: u64, n: u8) -> u64 {
    (((word & !HIGH) + (0x80 - n as u64) * ONES) | word) & HIGH
}

/// The high bit of every byte that is a control character and not white space or the escape of terminals.
const fn controls(word: u64) -> u64 {
    let low = word & !HIGH;
    let (blank, behind_white, white) = (low + 0x60 * ONES, low + 0x72 * ONES, low + 0x77 * ONES);
    let no_escape = (low ^ (0x1b * ONES)) + 0x7f * ONES;
    !(word | blank) & (behind_white | !white) & no_escape & HIGH
}

pub(crate) fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether a byte stands in text of ASCII.
fn of_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)
}

/// Whether a block is text, or most of it. The last one of a stream may be short.
pub(crate) fn is_text(block: &[u8]) -> bool {
    if block.len() < SAMPLE {
        return block.iter().all(|&byte| of_text(byte) || byte >= 0x80);
    }
    let samples = (block.len() - SAMPLE) / JUDGED + 1;
    let most = samples * SAMPLE / CONTROL_SHARE;
    let mut found = 0;
    // Binary content is known for what it is soon.
    let mut groups = block.chunks(GROUP * JUDGED);
    groups.all(|group| {
        let words = group.chunks(JUDGED).filter(|stretch| stretch.len() >= SAMPLE).map(word);
        // Each byte counts for itself: a group has fewer words than a byte can count.
        let counts = words.fold(0, |counts: u64, word| counts + (controls(word) >> 7));
        found += counts.to_le_bytes().iter().map(|&count| usize::from(count)).sum::<usize>();
        found <= most
    })
}

/// The runs of printable ASCII in a block of binary content, as ranges of `view`, of which `block` is a part. A run
/// is followed beyond the block.
pub(crate) fn runs(view: &[u8], block: Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    let mut at = block.start;
    while at + SAMPLE <= block.end {
        let sample = word(&view[at..]);
        if sample & HIGH != 0 || controls(sample) != 0 {
            at += STRIDE;
            continue;
        }
        let low = at.min(block.start).saturating_sub(RUN_REACH);
        let before = view[low..at].iter().rev().take_while(|&&byte| of_text(byte)).count();
        let reach = view.len().min(block.end + RUN_REACH);
        let after = view[at..reach].iter().take_while(|&&byte| of_text(byte)).count();
        if before + after >= RUN_MIN {
            found(at - before..at + after);
        }
        // On to the next sample behind the run.
        at += (after / STRIDE + 1) * STRIDE;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_are_counted_byte_by_byte() {
        for byte in 0..=255u8 {
            let control = byte < 0x20 && !matches!(byte, 0x09..=0x0d | 0x1b);
            assert_eq!(controls(u64::from(byte) * ONES) == HIGH, control, "{byte}");
            // No byte depends on its neighbour.
            assert_eq!(
                controls(u64::from(byte) | 0x41_41_41_41_41_41_41_00).count_ones(),
                u32::from(control)
            );
        }
    }

    #[test]
    fn text_and_weights_are_told_apart() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as u32
        };
        let normal = |random: &mut dyn FnMut() -> u32| {
            (0..12).map(|_| random() as f32 / 16_777_216.0).sum::<f32>() * 0.02 - 0.12
        };
        let f32s: Vec<u8> = (0..1024).flat_map(|_| normal(&mut random).to_le_bytes()).collect();
        let bf16: Vec<u8> =
            (0..2048).flat_map(|_| ((normal(&mut random).to_bits() >> 16) as u16).to_le_bytes()).collect();
        let noise: Vec<u8> = (0..4096).map(|_| random().to_le_bytes()[0]).collect();
        for block in [&f32s[..], &bf16, &noise, &[0; 4096]] {
            assert!(!is_text(block));
            let mut count = 0;
            runs(block, 0..block.len(), &mut |_| count += 1);
            assert!(count <= 1, "{count}");
        }
        for text in ["a,b,c\n1,2,3\n", "中文字符串，第二行\n", "\x1b[31mred\x1b[0m\n", "x"] {
            assert!(is_text(text.repeat(400).as_bytes()), "{text}");
            assert!(is_text(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_run_that_is_long_enough_is_never_missed(at in 0usize..BLOCK - SURE_RUN, fill in prop::sample::select(vec![0u8, 1, 0x90, 0xff])) {
            let mut block = vec![fill; BLOCK];
            block[at..at + SURE_RUN].fill(b'x');
            let mut found = Vec::new();
            runs(&block, 0..BLOCK, &mut |run| found.push(run));
            prop_assert_eq!(found, vec![at..at + SURE_RUN]);
        }
    }
}
