//! Single stages of packing, for `benches/` to measure. Not part of the interface.

use crate::cutter::{Cutter, Grain};
use crate::encoder::{Compression, EncodeError, Encoder};

/// Cuts `content` as that of a large file that hardly compresses, and tells how many frames it gives.
pub fn cut(content: &[u8]) -> usize {
    let mut frames = 0;
    let mut rest = content;
    while !rest.is_empty() {
        let length = Cutter::new(Grain::Fine).find(rest).unwrap_or(rest.len());
        rest = &rest[length..];
        frames += 1;
    }
    frames
}

/// Compresses one frame's content as packing does by default, samples and all. `out` is for many calls, and so
/// is what this gives: the compressor.
pub fn encoder() -> impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut encoder = Encoder::new(Compression::Auto);
    move |content, out| encoder.encode(content, None, out)
}
