//! Single zstd frames (RFC 8878): how they are checked before anything decodes them, and decoded.

use std::io;

use crate::limits::FRAME_MAX;
use crate::memory;

/// What breaks the rules for frames of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// Not a zstd data frame.
    #[error("does not begin with the zstd magic number")]
    Magic,
    /// A skippable frame in the place of a data frame.
    #[error("is a skippable frame, which may stand only in the tail")]
    Skippable,
    /// Ends within its header or a block.
    #[error("is cut short")]
    Truncated,
    /// Bytes after its last block.
    #[error("has {0} bytes after its last block")]
    Trailing(usize),
    /// The unused or the reserved bit of the descriptor is set.
    #[error("sets a reserved bit")]
    ReservedBit,
    /// It has a checksum field.
    #[error("has a zstd checksum, which format 1 does not use")]
    Checksum,
    /// It needs a dictionary.
    #[error("asks for a dictionary")]
    Dictionary,
    /// The header does not tell the decoded size.
    #[error("does not tell its decoded size")]
    NoContentSize,
    /// The header tells another decoded size than the seek table.
    #[error("tells a decoded size of {told}, where the seek table has {expected}")]
    ContentSize {
        /// What the frame header tells.
        told: u64,
        /// What the seek table has.
        expected: u32,
    },
    /// The decoder would need a window beyond the limit.
    #[error("needs a window of {0} bytes, more than 8 MiB")]
    Window(u64),
    /// A block of no content.
    #[error("has an empty block")]
    EmptyBlock,
    /// A block of the reserved type or of impossible size.
    #[error("has a block that RFC 8878 does not allow")]
    BadBlock,
    /// The decoder refuses it.
    #[error("cannot be decoded")]
    Undecodable,
}

/// Begins a data frame (RFC 8878, section 3.1.1).
pub(crate) const MAGIC: u32 = 0xFD2F_B528;
/// Largest block (RFC 8878, section 3.1.1.2.4).
pub(crate) const BLOCK_MAX: u64 = 128 << 10;

/// Checks that `frame` is exactly one zstd frame that keeps every rule of format 1 and tells the decoded size
/// `decoded`. Nothing is decoded.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn check_frame(frame: &[u8], decoded: u32) -> Result<(), FrameFault> {
    let mut rest = Bytes(frame);
    match rest.little_endian(4)? {
        magic if magic == u64::from(MAGIC) => {}
        magic if magic >> 4 == 0x0184_D2A5 => return Err(FrameFault::Skippable),
        _ => return Err(FrameFault::Magic),
    }
    // RFC 8878, section 3.1.1.1.1: the frame header descriptor.
    let descriptor = rest.little_endian(1)?;
    let single_segment = descriptor & 0x20 != 0;
    if descriptor & 0x18 != 0 {
        return Err(FrameFault::ReservedBit);
    }
    if descriptor & 0x04 != 0 {
        return Err(FrameFault::Checksum);
    }
    if descriptor & 0x03 != 0 {
        return Err(FrameFault::Dictionary);
    }
    let window = if single_segment {
        None
    } else {
        let byte = rest.little_endian(1)?;
        let base = 1u64 << (10 + (byte >> 3));
        Some(base + (base / 8) * (byte & 7))
    };
    let told = match (descriptor >> 6, single_segment) {
        (0, false) => return Err(FrameFault::NoContentSize),
        (0, true) => rest.little_endian(1)?,
        (1, _) => rest.little_endian(2)? + 256,
        (2, _) => rest.little_endian(4)?,
        _ => rest.little_endian(8)?,
    };
    if told != u64::from(decoded) {
        return Err(FrameFault::ContentSize { told, expected: decoded });
    }
    let window = window.unwrap_or(told);
    if window > u64::from(FRAME_MAX) {
        return Err(FrameFault::Window(window));
    }
    let block_max = BLOCK_MAX.min(window.max(1));
    loop {
        let header = rest.little_endian(3)?;
        let (last, kind, size) = (header & 1 != 0, (header >> 1) & 3, header >> 3);
        if size == 0 {
            return Err(FrameFault::EmptyBlock);
        }
        if size > block_max {
            return Err(FrameFault::BadBlock);
        }
        match kind {
            0 | 2 => rest.skip(size)?,
            1 => rest.skip(1)?,
            _ => return Err(FrameFault::BadBlock),
        }
        if last {
            break;
        }
    }
    if rest.0.is_empty() { Ok(()) } else { Err(FrameFault::Trailing(rest.0.len())) }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn little_endian(&mut self, count: usize) -> Result<u64, FrameFault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(FrameFault::Truncated)?;
        self.0 = rest;
        Ok(taken.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn skip(&mut self, count: u64) -> Result<(), FrameFault> {
        let count = usize::try_from(count).map_err(|_| FrameFault::Truncated)?;
        self.0 = self.0.get(count..).ok_or(FrameFault::Truncated)?;
        Ok(())
    }
}

/// A decoder with its memory, to be used for many frames.
pub(crate) struct Decoder(zstd_safe::DCtx<'static>);

impl Decoder {
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new() -> io::Result<Self> {
        zstd_safe::DCtx::try_create().map(Self).ok_or_else(memory::exhausted)
    }

    /// Checks a frame, then decodes it into `out`, which then holds exactly `decoded` bytes. Memory for them is
    /// bounded by the rules that were checked before, not by what the frame claims.
    pub(crate) fn decode(&mut self, frame: &[u8], decoded: u32, out: &mut Vec<u8>) -> Result<(), FrameFault> {
        check_frame(frame, decoded)?;
        out.clear();
        out.reserve_exact(header_len(decoded));
        match self.0.decompress(out, frame) {
            Ok(len) if len == header_len(decoded) => Ok(()),
            _ => Err(FrameFault::Undecodable),
        }
    }

    /// The same into memory of exactly as many bytes as the frame must decode to.
    pub(crate) fn decode_into(&mut self, frame: &[u8], out: &mut [u8]) -> Result<(), FrameFault> {
        let len = out.len();
        check_frame(frame, u32::try_from(len).map_err(|_| FrameFault::Undecodable)?)?;
        match self.0.decompress(out, frame) {
            Ok(decoded) if decoded == len => Ok(()),
            _ => Err(FrameFault::Undecodable),
        }
    }
}

/// A frame's decoded length is at most 8 MiB, which fits every `usize` of 32 bits or more.
fn header_len(decoded: u32) -> usize {
    usize::try_from(decoded).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut out = vec![0; zstd_safe::compress_bound(content.len())];
        let len = zstd_safe::compress(&mut out[..], content, 3).expect("compresses");
        out.truncate(len);
        out
    }

    fn check(content: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Result<(), FrameFault> {
        let mut bytes = frame(content);
        change(&mut bytes);
        check_frame(&bytes, u32::try_from(content.len()).expect("small"))
    }

    #[test]
    fn what_the_encoder_makes_keeps_every_rule() {
        for len in [1, 2, 255, 256, 257, 65_791, 65_792, 128 << 10, (128 << 10) + 1, 3 << 20] {
            for fill in [|_| 7u8, |n: usize| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]] {
                let content: Vec<u8> = (0..len).map(fill).collect();
                assert_eq!(check(&content, |_| {}), Ok(()), "{len}");
                let mut out = Vec::new();
                Decoder::new()
                    .unwrap()
                    .decode(&frame(&content), u32::try_from(len).expect("small"), &mut out)
                    .expect("decodes");
                assert_eq!(out, content);
            }
        }
    }

    #[test]
    fn each_rule_can_be_broken() {
        let text = b"some text, some text, some text, some text, some text, some text".as_slice();
        assert_eq!(check(text, |f| f[0] = 0), Err(FrameFault::Magic));
        assert_eq!(
            check(text, |f| f[0..4].copy_from_slice(&[0x5e, 0x2a, 0x4d, 0x18])),
            Err(FrameFault::Skippable)
        );
        assert_eq!(check(text, |f| f[4] |= 0x08), Err(FrameFault::ReservedBit));
        assert_eq!(check(text, |f| f[4] |= 0x10), Err(FrameFault::ReservedBit));
        assert_eq!(check(text, |f| f[4] |= 0x04), Err(FrameFault::Checksum));
        assert_eq!(check(text, |f| f[4] |= 0x01), Err(FrameFault::Dictionary));
        assert_eq!(check(text, |f| f[4] &= !0x20), Err(FrameFault::NoContentSize));
        assert_eq!(check(text, |f| f[5] += 1), Err(FrameFault::ContentSize { told: 65, expected: 64 }));
        assert_eq!(check(text, |f| f.push(0)), Err(FrameFault::Trailing(1)));
        assert_eq!(check(text, |f| f.truncate(f.len() - 1)), Err(FrameFault::Truncated));
        // An empty raw block that is not the last, in front of the others.
        assert_eq!(check(text, |f| _ = f.splice(6..6, [0, 0, 0])), Err(FrameFault::EmptyBlock));
        assert_eq!(check(text, |f| f[6] |= 6), Err(FrameFault::BadBlock));
    }

    #[test]
    fn every_prefix_is_refused() {
        let bytes = frame(b"a few words, a few words, a few words");
        for end in 0..bytes.len() {
            assert!(check_frame(&bytes[..end], 37).is_err(), "{end}");
        }
    }
}
