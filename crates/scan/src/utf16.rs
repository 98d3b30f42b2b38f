//! Text in UTF-16, as some Windows programs write it, read as the UTF-8 that the rules are made for.

use crate::inspect::{Inspect, Report};

/// Turns UTF-16 into UTF-8 for another.
pub(crate) struct Utf16<T> {
    inner: T,
    big_endian: bool,
    /// The first byte of a unit whose second has not come.
    half: Option<u8>,
}

impl<T: Inspect> Utf16<T> {
    /// For a stream that begins with these bytes, if they are a byte order mark.
    pub(crate) fn of(head: &[u8], inner: T) -> Result<Self, T> {
        match head {
            [0xff, 0xfe, ..] => Ok(Self { inner, big_endian: false, half: None }),
            [0xfe, 0xff, ..] => Ok(Self { inner, big_endian: true, half: None }),
            _ => Err(inner),
        }
    }
}

impl<T: Inspect> Inspect for Utf16<T> {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        for piece in bytes.chunks(16 << 10) {
            let mut text = String::with_capacity(piece.len());
            for &byte in piece {
                let Some(first) = self.half.take() else {
                    self.half = Some(byte);
                    continue;
                };
                let unit = if self.big_endian {
                    u16::from_be_bytes([first, byte])
                } else {
                    u16::from_le_bytes([first, byte])
                };
                // Halves of a pair need not be put together: no rule asks for what they stand for.
                text.push(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.inner.update(text.as_bytes(), report);
        }
    }

    fn finish(&mut self, report: &mut Report) {
        self.inner.finish(report);
    }
}
