//! How a frame is compressed: from its content alone, by a rule that has a name.

use std::fmt;

use zstd_safe::CParameter;

use crate::cutter::Grain;
use crate::frame::{BLOCK_MAX, MAGIC};
use crate::limits::FRAME_MAX;
use crate::memory;

/// How hard to compress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Rule `auto-2`: a sample of each frame decides between the levels 1 and 3.
    #[default]
    Auto,
    /// One zstd level for everything, 1 to 19.
    Level(u8),
    /// Rule `store`: nothing is compressed.
    Store,
}

/// What determines the compressed bytes, given the files: the version of zstd, the rule for the level, the
/// rules for the borders of frames. Never redefined: whoever changes a rule gives it another name.
///
/// ```
/// use consign_bundle::{Compression, EncoderId};
/// assert!(EncoderId::current(Compression::Auto).as_str().ends_with("/auto-2/gear-2/gather-1"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EncoderId(Box<str>);

impl EncoderId {
    /// Longest id, in bytes.
    pub const MAX: usize = 100;

    /// The id of the encoder in this program, with the version of zstd asked of the library that is linked.
    pub fn current(compression: Compression) -> Self {
        let rule = match compression {
            Compression::Auto => "auto-2".to_owned(),
            Compression::Level(level) => format!("level-{level}"),
            Compression::Store => "store".to_owned(),
        };
        Self(format!("zstd-{}/{rule}/gear-2/gather-1", zstd_safe::version_string()).into())
    }

    /// An id from a document; printable ASCII without spaces, at most 100 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// How to compress so that this program gives the very bytes that this encoder gave; `None` if it cannot.
    ///
    /// ```
    /// use consign_bundle::{Compression, EncoderId};
    /// let here = EncoderId::current(Compression::Level(7));
    /// assert_eq!(here.compression(), Some(Compression::Level(7)));
    /// assert_eq!(EncoderId::parse("zstd-1.4.0/auto-1/gear-1/gather-1").unwrap().compression(), None);
    /// ```
    pub fn compression(&self) -> Option<Compression> {
        let compression = match self.0.split('/').nth(1)? {
            "auto-2" => Compression::Auto,
            "store" => Compression::Store,
            level => Compression::Level(level.strip_prefix("level-")?.parse().ok()?),
        };
        (Self::current(compression) == *self).then_some(compression)
    }

    /// The id of an archive whose payload this encoder compressed, and whose tag files another one did.
    pub(crate) fn with_tags_by(&self, other: &Self) -> Self {
        let suffix = format!("+tags:{other}");
        if self == other || self.0.ends_with(&suffix) {
            return self.clone();
        }
        let whole = format!("{self}{suffix}");
        // One that was amended again and again by others: what it was does not fit any more.
        let fits = whole.len() <= Self::MAX;
        Self(if fits { whole } else { format!("mixed{suffix}") }.into())
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

/// Bytes after a border that [`Encoder::grain`] looks at. There is no border within them.
pub(crate) const GRAIN_HEAD: usize = 768 << 10;
const _: () = assert!(GRAIN_HEAD == Grain::Fine.min());

/// Samples are this many pieces, evenly spread and compressed as one.
const PIECES: usize = 8;
/// Length of a piece where only the grain is asked for: it has to cost next to nothing beside a fine frame.
const GRAIN_PIECE: usize = 2 << 10;
/// Length of a piece where levels are compared.
const LEVEL_PIECE: usize = 8 << 10;
/// What is shorter is compressed at level 3 without a look.
const SHORT: usize = 256 << 10;

/// Every frame may refer back to its own beginning: the longest frame has 2^23 bytes.
const WINDOW_LOG: u32 = FRAME_MAX.ilog2();

/// A compressor with its memory, to be used for many frames.
pub(crate) struct Encoder {
    context: zstd_safe::CCtx<'static>,
    compression: Compression,
    sample: Vec<u8>,
    trial: Vec<u8>,
}

/// zstd refused to compress, which it does only when memory ran out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("zstd could not compress: {0}")]
pub struct EncodeError(String);

fn error(code: usize) -> EncodeError {
    EncodeError(zstd_safe::get_error_name(code).to_owned())
}

fn no_memory() -> EncodeError {
    EncodeError(memory::exhausted().to_string())
}

impl Encoder {
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new(compression: Compression) -> Result<Self, EncodeError> {
        let context = zstd_safe::CCtx::try_create().ok_or_else(no_memory)?;
        Ok(Self { context, compression, sample: Vec::new(), trial: Vec::new() })
    }

    /// How the frame is cut that begins with `content`, of which there are [`GRAIN_HEAD`] bytes unless the file
    /// ends before: fine if a sample of these keeps 70 % or more at level 1. No frame ends within them, so the
    /// answer follows from the frame's own content.
    pub(crate) fn grain(&mut self, content: &[u8]) -> Result<Grain, EncodeError> {
        let Some(head) = content.get(..GRAIN_HEAD) else { return Ok(Grain::Coarse) };
        self.take_sample(head, GRAIN_PIECE);
        let dense = is_dense(self.sampled(1)?, PIECES * GRAIN_PIECE);
        Ok(if dense { Grain::Fine } else { Grain::Coarse })
    }

    /// Compresses `content` into one frame in `out`, which depends on nothing else. `grain` is what
    /// [`Encoder::grain`] said of it, where it was asked: that saves asking again.
    pub(crate) fn encode(
        &mut self,
        content: &[u8],
        grain: Option<Grain>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        out.clear();
        memory::reserve(out, zstd_safe::compress_bound(content.len())).map_err(|_| no_memory())?;
        let level = match self.compression {
            Compression::Store => {
                store(content, out);
                return Ok(());
            }
            Compression::Level(level) => i32::from(level),
            Compression::Auto => self.level_for(content, grain)?,
        };
        compress(&mut self.context, content, level, out)
    }

    fn level_for(&mut self, content: &[u8], grain: Option<Grain>) -> Result<i32, EncodeError> {
        if content.len() < SHORT {
            return Ok(3);
        }
        if (GRAIN_HEAD..=Grain::Fine.max()).contains(&content.len()) {
            let grain = grain.map_or_else(|| self.grain(content), Ok)?;
            if grain == Grain::Fine {
                return Ok(1);
            }
        }
        self.take_sample(content, LEVEL_PIECE);
        let at_1 = self.sampled(1)?;
        if is_dense(at_1, PIECES * LEVEL_PIECE) {
            return Ok(1);
        }
        let at_3 = self.sampled(3)?;
        Ok(if 64 * at_3 < 63 * at_1 { 3 } else { 1 })
    }

    /// Takes the piece in the middle of each of [`PIECES`] stretches of equal length.
    fn take_sample(&mut self, content: &[u8], piece: usize) {
        let stretch = content.len() / PIECES;
        self.sample.clear();
        for stretch in content.chunks_exact(stretch).take(PIECES) {
            self.sample.extend_from_slice(&stretch[(stretch.len() - piece) / 2..][..piece]);
        }
    }

    /// The size of the sample at a level.
    fn sampled(&mut self, level: i32) -> Result<usize, EncodeError> {
        self.trial.clear();
        self.trial.reserve(zstd_safe::compress_bound(self.sample.len()));
        compress(&mut self.context, &self.sample, level, &mut self.trial)?;
        Ok(self.trial.len())
    }
}

/// One frame by the one-shot interface: content size in the header, no checksum, no dictionary, and a window
/// as long as the content.
fn compress(
    context: &mut zstd_safe::CCtx<'static>,
    content: &[u8],
    level: i32,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(error)?;
    context.set_parameter(CParameter::WindowLog(WINDOW_LOG)).map_err(error)?;
    context.compress2(out, content).map_err(error)?;
    Ok(())
}

/// One frame of raw blocks (RFC 8878, section 3.1.1), each as long as may be; its header is the one that zstd
/// writes. `content` is not empty.
fn store(content: &[u8], out: &mut Vec<u8>) {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    const BLOCK: usize = 128 << 10;
    const _: () = assert!(BLOCK as u64 == BLOCK_MAX);
    out.extend_from_slice(&MAGIC.to_le_bytes());
    let len = content.len();
    if let Ok(len) = u8::try_from(len) {
        out.extend_from_slice(&[SINGLE_SEGMENT, len]);
    } else if let Ok(beyond) = u16::try_from(len - 256) {
        out.push(SINGLE_SEGMENT | 1 << 6);
        out.extend_from_slice(&beyond.to_le_bytes());
    } else {
        out.push(SINGLE_SEGMENT | 2 << 6);
        out.extend_from_slice(&len.to_le_bytes()[..4]);
    }
    let mut blocks = content.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let header = block.len() << 3 | usize::from(blocks.peek().is_none());
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(block);
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

    /// Bytes that keep about 78 %, like weights.
    fn dense(len: usize) -> Vec<u8> {
        let mut seed = 1u64;
        let mut byte = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed.to_le_bytes()[7]
        };
        (0..len).map(|n| if n % 2 == 0 { byte() } else { byte() & byte() & 0x3f }).collect()
    }

    /// Bytes that keep far less.
    fn text(len: usize) -> Vec<u8> {
        (0..)
            .flat_map(|n: u32| format!("line {n} of a text that goes on and on\n").into_bytes())
            .take(len)
            .collect()
    }

    fn encoded(compression: Compression, content: &[u8], grain: Option<Grain>) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(compression).unwrap().encode(content, grain, &mut out).expect("compresses");
        out
    }

    #[test]
    fn frames_keep_the_rules_however_they_are_compressed() {
        let content: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let all = (1..=19).map(Compression::Level).chain([Compression::Auto, Compression::Store]);
        for compression in all {
            for len in
                [1, 255, 256, 257, 65_791, 65_792, 128 << 10, (128 << 10) + 1, 256 << 10, content.len()]
            {
                let content = &content[..len];
                let out = encoded(compression, content, None);
                let (mut decoded, len) = (Vec::new(), u32::try_from(len).expect("small"));
                let mut decoder = crate::frame::Decoder::new().unwrap();
                assert_eq!(decoder.decode(&out, len, &mut decoded), Ok(()), "{compression:?} {len}");
                assert!(decoded == content, "{compression:?} {len}");
            }
        }
    }

    #[test]
    fn what_is_stored_grows_by_headers_only() {
        let content = text(8 << 20);
        assert_eq!(encoded(Compression::Store, &content, None).len(), content.len() + 9 + 64 * 3);
    }

    #[test]
    fn a_frame_depends_on_its_content_alone() {
        let (dense, text) = (dense(3 << 20), text(3 << 20));
        let mixed = [&dense[..1 << 20], &text[..1 << 20]].concat();
        let mut encoder = Encoder::new(Compression::Auto).unwrap();
        for content in [&dense, &text, &mixed] {
            for len in [SHORT - 1, SHORT, GRAIN_HEAD - 1, GRAIN_HEAD, Grain::Fine.max()] {
                let content = &content[..len];
                let grain = encoder.grain(content).expect("compresses");
                let mut used_before = Vec::new();
                encoder.encode(content, Some(grain), &mut used_before).expect("compresses");
                assert_eq!(used_before, encoded(Compression::Auto, content, None), "{len}");
            }
        }
    }

    #[test]
    fn samples_tell_dense_content_from_other() {
        let mut encoder = Encoder::new(Compression::Auto).unwrap();
        let (dense, text) = (dense(1 << 20), text(1 << 20));
        assert_eq!(encoder.grain(&dense), Ok(Grain::Fine));
        assert_eq!(encoder.grain(&text), Ok(Grain::Coarse));
        let level = |content: &[u8], level| encoded(Compression::Level(level), content, None);
        assert_eq!(encoded(Compression::Auto, &dense, None), level(&dense, 1));
        assert_eq!(encoded(Compression::Auto, &text[..SHORT - 1], None), level(&text[..SHORT - 1], 3));
    }
}
