//! Text in UTF-16 and UTF-32, as some Windows programs write it, read as the UTF-8 that the rules are made for.

use crate::inspect::{Inspect, Report};

/// How many bytes at the beginning say whether it is such text where no byte order mark does.
pub(crate) const JUDGED: usize = 256;
/// Fewer units say nothing.
const UNITS_MIN: usize = 8;

/// How a character is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Bytes of a unit: 2 or 4.
    width: usize,
    big_endian: bool,
}

impl Encoding {
    const ALL: [Self; 4] = [
        // The wider ones first: the mark of UTF-32 begins with that of UTF-16.
        Self { width: 4, big_endian: false },
        Self { width: 4, big_endian: true },
        Self { width: 2, big_endian: false },
        Self { width: 2, big_endian: true },
    ];

    /// For a stream that begins with these bytes: a byte order mark, or units of which almost all are text in ASCII.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        let marked =
            |one: &Self| head.chunks_exact(one.width).next().is_some_and(|first| one.unit(first) == 0xfeff);
        let judged = &head[..head.len().min(JUDGED)];
        Self::ALL.into_iter().find(marked).or_else(|| Self::ALL.into_iter().find(|one| one.is_likely(judged)))
    }

    fn is_likely(self, judged: &[u8]) -> bool {
        let units = judged.chunks_exact(self.width);
        let count = units.len();
        let of_text = |unit: u32| matches!(unit, 0x20..=0x7e | 0x09 | 0x0a | 0x0d);
        count >= UNITS_MIN && units.filter(|unit| of_text(self.unit(unit))).count() >= count - count / 8
    }

    fn unit(self, bytes: &[u8]) -> u32 {
        let join = |unit: u32, byte: &u8| unit << 8 | u32::from(*byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }
}

/// Turns such text into UTF-8 for another.
pub(crate) struct Wide<T> {
    inner: T,
    encoding: Encoding,
    /// The bytes of a unit whose others have not come.
    begun: Vec<u8>,
}

impl<T: Inspect> Wide<T> {
    pub(crate) fn new(encoding: Encoding, inner: T) -> Self {
        Self { inner, encoding, begun: Vec::with_capacity(encoding.width) }
    }
}

impl<T: Inspect> Inspect for Wide<T> {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        for piece in bytes.chunks(16 << 10) {
            let mut text = String::with_capacity(piece.len());
            for &byte in piece {
                self.begun.push(byte);
                if self.begun.len() == self.encoding.width {
                    let unit = self.encoding.unit(&self.begun);
                    self.begun.clear();
                    // Halves of a pair need not be put together: no rule asks for what they stand for.
                    text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
            self.inner.update(text.as_bytes(), report);
        }
    }

    fn finish(&mut self, report: &mut Report) {
        self.inner.finish(report);
    }
}
