//! The stages of packing one by one, for benchmarks. No part of the interface: it may change at any time.

use std::io;

use crate::cutter::{Cutter, Grain};
use crate::encoder::{Compression, EncodeError, Encoder};
use crate::frame::{Decoder, FrameFault};

/// A frame before it is compressed.
#[derive(Clone, Copy)]
pub struct RawFrame<'a> {
    /// What it holds.
    pub content: &'a [u8],
    grain: Grain,
}

/// Cuts `content` as the content of a large file is cut.
///
/// # Errors
/// Memory that ran out.
pub fn cut(mut content: &[u8]) -> Result<Vec<RawFrame<'_>>, EncodeError> {
    let mut encoder = Encoder::new(Compression::Auto)?;
    let mut frames = Vec::new();
    while !content.is_empty() {
        let grain = encoder.grain(content)?;
        let end = Cutter::new(grain).find(content).unwrap_or(content.len());
        frames.push(RawFrame { content: &content[..end], grain });
        content = &content[end..];
    }
    Ok(frames)
}

/// A compressor that is used for many frames.
pub struct Compressor(Encoder);

impl Compressor {
    /// One that compresses so hard.
    ///
    /// # Errors
    /// Memory that ran out.
    pub fn new(compression: Compression) -> Result<Self, EncodeError> {
        Encoder::new(compression).map(Self)
    }

    /// Compresses a frame into `out`.
    ///
    /// # Errors
    /// Memory that ran out.
    pub fn compress(&mut self, frame: RawFrame<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.0.encode(frame.content, Some(frame.grain), out)
    }
}

/// A decompressor that is used for many frames.
pub struct Decompressor(Decoder);

impl Decompressor {
    /// One with its memory.
    ///
    /// # Errors
    /// Memory that ran out.
    pub fn new() -> io::Result<Self> {
        Decoder::new().map(Self)
    }

    /// Checks a frame and decodes it into `out`.
    ///
    /// # Errors
    /// The first rule for frames that is broken.
    pub fn decompress(&mut self, frame: &[u8], decoded: u32, out: &mut Vec<u8>) -> Result<(), FrameFault> {
        self.0.decode(frame, decoded, out)
    }
}
