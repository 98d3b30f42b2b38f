//! How a frame is compressed: from its content alone, by a rule that has a name.

use std::fmt;

use crate::cutter::Grain;
use crate::limits::LARGE_FILE;

/// How hard to compress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Rule `auto-1`: samples of the content decide. Level 1 where little is to be gained, such as float
    /// weights; else level 3, unless the samples come out smaller at level 1.
    #[default]
    Auto,
    /// One zstd level for everything, 1 to 19.
    Level(u8),
}

/// What determines the compressed bytes, given the files: the version of zstd, the rule for the level, the
/// rules for the borders of frames. Never redefined: whoever changes a rule gives it another name.
///
/// ```
/// use consign_bundle::{Compression, EncoderId};
/// assert!(EncoderId::current(Compression::Auto).as_str().ends_with("/auto-1/gear-1/gather-1"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EncoderId(Box<str>);

impl EncoderId {
    /// Longest id, in bytes.
    pub const MAX: usize = 100;

    /// The id of the encoder in this program, with the version of zstd asked of the library that is linked.
    pub fn current(compression: Compression) -> Self {
        let rule = match compression {
            Compression::Auto => "auto-1".to_owned(),
            Compression::Level(level) => format!("level-{level}"),
        };
        Self(format!("zstd-{}/{rule}/gear-1/gather-1", zstd_safe::version_string()).into())
    }

    /// An id from a document; printable ASCII without spaces, at most 100 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EncoderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EncoderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

const SAMPLE: usize = 64 << 10;

/// Bytes of a large file that [`Encoder::grain`] wants to see.
pub(crate) const GRAIN_HEAD: usize = 1 << 20;
const _: () = assert!(GRAIN_HEAD as u64 == LARGE_FILE, "every large file has that many");

/// A compressor with its memory, to be used for many frames.
pub(crate) struct Encoder {
    context: zstd_safe::CCtx<'static>,
    compression: Compression,
    sample: Vec<u8>,
}

/// zstd refused to compress, which it does only when memory ran out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("zstd could not compress: {0}")]
pub struct EncodeError(String);

fn error(code: usize) -> EncodeError {
    EncodeError(zstd_safe::get_error_name(code).to_owned())
}

impl Encoder {
    pub(crate) fn new(compression: Compression) -> Self {
        Self { context: zstd_safe::CCtx::create(), compression, sample: Vec::new() }
    }

    /// How a large file is cut, from its first [`GRAIN_HEAD`] bytes: fine where two samples keep 70 % or more at
    /// level 1. The very beginning is not looked at: it is a header more often than not.
    pub(crate) fn grain(&mut self, head: &[u8]) -> Result<Grain, EncodeError> {
        let samples = [&head[GRAIN_HEAD / 4..][..SAMPLE], &head[GRAIN_HEAD / 8 * 7..][..SAMPLE]];
        let dense = is_dense(self.sampled(samples, 1)?, 2 * SAMPLE);
        Ok(if dense { Grain::Fine } else { Grain::Coarse })
    }

    /// Compresses `content` into one frame in `out`. `grain` is that of the large file which `content` is of;
    /// `None` for gather and tag frames.
    pub(crate) fn encode(
        &mut self,
        content: &[u8],
        grain: Option<Grain>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let level = match self.compression {
            Compression::Level(level) => i32::from(level),
            Compression::Auto if grain == Some(Grain::Fine) => 1,
            Compression::Auto => self.level_for(content)?,
        };
        self.frame(content, level, out)
    }

    fn level_for(&mut self, content: &[u8]) -> Result<i32, EncodeError> {
        if content.len() < 4 * SAMPLE {
            return Ok(3);
        }
        let third = content.len() / 3;
        let samples = [&content[third..][..SAMPLE], &content[2 * third..][..SAMPLE]];
        let at_1 = self.sampled(samples, 1)?;
        if is_dense(at_1, 2 * SAMPLE) {
            return Ok(1);
        }
        let at_3 = self.sampled(samples, 3)?;
        Ok(if at_3 < at_1 { 3 } else { 1 })
    }

    fn sampled(&mut self, samples: [&[u8]; 2], level: i32) -> Result<usize, EncodeError> {
        let mut out = std::mem::take(&mut self.sample);
        let mut total = 0;
        for sample in samples {
            self.frame(sample, level, &mut out)?;
            total += out.len();
        }
        self.sample = out;
        Ok(total)
    }

    /// One frame by the one-shot interface: content size in the header, no checksum, no dictionary, and a
    /// window no larger than the content.
    fn frame(&mut self, content: &[u8], level: i32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.clear();
        out.reserve(zstd_safe::compress_bound(content.len()));
        self.context.compress(out, content, level).map_err(error)?;
        Ok(())
    }
}

/// Whether 70 % or more remains.
fn is_dense(compressed: usize, of: usize) -> bool {
    compressed * 10 >= of * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_zstd_is_the_one_that_was_measured() {
        assert_eq!(zstd_safe::version_string(), "1.5.7");
    }

    #[test]
    fn frames_keep_the_rules_at_every_level() {
        let content: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let decoded = u32::try_from(content.len()).expect("small");
        let levels = (1..=19).map(Compression::Level).chain([Compression::Auto]);
        for compression in levels {
            let mut out = Vec::new();
            Encoder::new(compression).encode(&content, None, &mut out).expect("compresses");
            assert_eq!(crate::frame::check_frame(&out, decoded), Ok(()), "{compression:?}");
        }
    }
}
