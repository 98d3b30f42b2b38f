//! Where the content of a large file is cut into frames (rules `gear-2`): by the content itself, so that an
//! insertion moves the borders along and frames before and after it stay what they were.

use crate::gear::GEAR;

/// How a large file is cut: chosen anew after each border, from what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grain {
    /// Content that hardly compresses, such as float weights: small frames cost nothing there, and re-send less
    /// after scattered edits.
    Fine,
    /// Other content, which small frames would make larger.
    Coarse,
}

impl Grain {
    /// Shortest frame, except at the end of the file.
    pub(crate) const fn min(self) -> usize {
        match self {
            Self::Fine => 768 << 10,
            Self::Coarse => 3 << 20,
        }
    }

    /// Longest frame.
    pub(crate) const fn max(self) -> usize {
        match self {
            Self::Fine => 1536 << 10,
            Self::Coarse => 6 << 20,
        }
    }

    /// One place in `2^bits` is a border.
    const fn bits(self) -> u32 {
        match self {
            Self::Fine => 17,
            Self::Coarse => 19,
        }
    }
}

/// The hash at a place depends on this many bytes before it: one bit of the 64 is shifted out for each.
const WINDOW: usize = 64;

/// Looks for the end of one frame, while its content arrives in pieces.
///
/// The frame ends after the first byte, at `grain.min()` or later, where the gear hash of the 64 bytes up to
/// and including it has its top bits all zero; at `grain.max()` if there is none, and at the end of the file.
pub(crate) struct Cutter {
    grain: Grain,
    hash: u64,
    /// Bytes already looked at; those before the window of the first possible border need not be.
    seen: usize,
}

impl Cutter {
    pub(crate) fn new(grain: Grain) -> Self {
        Self { grain, hash: 0, seen: grain.min() - WINDOW }
    }

    /// The length of the frame that `content` begins with, if its end can be told yet. `content` is what it was
    /// at the last call, and more.
    pub(crate) fn find(&mut self, content: &[u8]) -> Option<usize> {
        let end = content.len().min(self.grain.max());
        let first = self.grain.min() - 1;
        if self.seen < first {
            let warm_up = content.get(self.seen..first.min(end)).unwrap_or_default();
            self.hash = warm_up.iter().fold(self.hash, |hash, &byte| roll(hash, [byte]));
            self.seen += warm_up.len();
        }
        if self.seen >= first {
            let rest = content.get(self.seen..end).unwrap_or_default();
            if let Some(length) = self.border(rest) {
                return Some(self.seen + length);
            }
            self.seen += rest.len();
        }
        (content.len() >= self.grain.max()).then_some(self.grain.max())
    }

    /// How many of the bytes there are up to the first border.
    fn border(&mut self, bytes: &[u8]) -> Option<usize> {
        let limit = 1 << (64 - self.grain.bits());
        let (fours, rest) = bytes.as_chunks();
        for (n, &[a, b, c, d]) in fours.iter().enumerate() {
            // Each from the same hash, so that the next four wait for one step and not for four.
            let hashes = [
                roll(self.hash, [a]),
                roll(self.hash, [a, b]),
                roll(self.hash, [a, b, c]),
                roll(self.hash, [a, b, c, d]),
            ];
            if hashes.iter().any(|&hash| hash < limit) {
                return hashes.iter().position(|&hash| hash < limit).map(|at| 4 * n + at + 1);
            }
            self.hash = hashes[3];
        }
        for (n, &byte) in rest.iter().enumerate() {
            self.hash = roll(self.hash, [byte]);
            if self.hash < limit {
                return Some(4 * fours.len() + n + 1);
            }
        }
        None
    }
}

/// The hash after some more bytes.
#[inline]
fn roll<const N: usize>(hash: u64, bytes: [u8; N]) -> u64 {
    let added = bytes.iter().fold(0u64, |sum, &byte| (sum << 1).wrapping_add(GEAR[usize::from(byte)]));
    (hash << N).wrapping_add(added)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A xorshift stream: random enough to cut, the same everywhere.
    fn noise(len: usize, mut seed: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            out.extend_from_slice(&seed.to_le_bytes());
        }
        out.truncate(len);
        out
    }

    fn borders(content: &[u8], grain: Grain) -> Vec<usize> {
        let mut at = 0;
        let mut borders = Vec::new();
        while at < content.len() {
            // In pieces of an odd size, as they would arrive.
            let rest = &content[at..];
            let mut cutter = Cutter::new(grain);
            let found = (1..).map(|n| n * 99_991).map_while(|end| {
                let whole = end >= rest.len();
                let found = cutter.find(&rest[..end.min(rest.len())]);
                (!whole || found.is_some()).then_some(found)
            });
            at += found.flatten().next().unwrap_or(rest.len());
            borders.push(at);
        }
        borders
    }

    #[test]
    fn borders_are_where_the_rule_says() {
        for (seed, grain) in (1..40).zip([Grain::Fine, Grain::Coarse].into_iter().cycle()) {
            let content = noise(grain.max(), seed);
            let mut hash = 0u64;
            let mut expected = grain.max();
            for (n, &byte) in content.iter().enumerate().skip(grain.min() - WINDOW) {
                hash = (hash << 1).wrapping_add(GEAR[usize::from(byte)]);
                if n + 1 >= grain.min() && hash >> (64 - grain.bits()) == 0 {
                    expected = n + 1;
                    break;
                }
            }
            assert_eq!(Cutter::new(grain).find(&content), Some(expected), "{seed}");
            assert_eq!(borders(&content, grain)[0], expected, "{seed}");
        }
    }

    #[test]
    fn an_insertion_moves_the_borders_along() {
        let content = noise(20 << 20, 1);
        let mut longer = b"64 bytes in front".repeat(4)[..64].to_vec();
        longer.extend_from_slice(&content);
        for grain in [Grain::Fine, Grain::Coarse] {
            let before = borders(&content, grain);
            let after: Vec<_> = borders(&longer, grain).into_iter().map(|at| at - 64).collect();
            assert!(before.iter().filter(|at| !after.contains(at)).count() <= 1, "{grain:?}");
            for pair in before.windows(2) {
                assert!(pair[1] - pair[0] <= grain.max());
            }
            for pair in before[..before.len() - 1].windows(2) {
                assert!(pair[1] - pair[0] >= grain.min());
            }
        }
    }

    #[test]
    fn constant_content_is_cut_at_the_maximum() {
        let zeros = vec![0; 4 << 20];
        let max = Grain::Fine.max();
        assert_eq!(Cutter::new(Grain::Fine).find(&zeros[..max]), Some(max));
        assert_eq!(Cutter::new(Grain::Fine).find(&zeros), Some(max));
        assert_eq!(Cutter::new(Grain::Fine).find(&zeros[..max - 1]), None);
        assert_eq!(Cutter::new(Grain::Fine).find(&zeros[..100]), None);
    }
}
