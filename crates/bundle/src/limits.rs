//! Every numeric limit of the archive, in one place. `docs/format.md` quotes these numbers.

/// A file of this size or more is *large*: its content has frames of its own.
pub const LARGE_FILE: u64 = 1 << 20;
/// Most bytes that one frame decodes to; also the largest window a decoder needs.
pub const FRAME_MAX: u32 = 8 << 20;
/// Most frames in an archive (the bound of the zstd seekable format).
pub const FRAMES_MAX: u32 = 0x0800_0000;
/// Largest tail: index and seek table together.
pub const TAIL_MAX: u64 = 4 << 30;
/// Size of the pieces into which the tag files are cut.
pub const TAG_PIECE: usize = 4 << 20;
/// Most faults that one verification lists; the rest is counted.
pub const FAULTS_LISTED: usize = 200;
