//! Deflate in blocks of one size, so that nothing depends on how the input was cut.

use flate2::{Decompress, FlushDecompress, Status};

/// Bytes of a block.
const BLOCK: usize = 32 * 1024;

/// Expands deflate data.
pub(crate) struct Inflate {
    decompress: Decompress,
    block: Vec<u8>,
    filled: usize,
    consumed: u64,
    produced: u64,
}

/// How far the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All input was taken.
    More,
    /// The data has ended, after so many of these bytes.
    Ended(usize),
    /// The data is broken.
    Broken,
    /// Whoever takes the output wants no more.
    Refused,
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflate").field("consumed", &self.consumed).finish_non_exhaustive()
    }
}

impl Inflate {
    /// For raw data, or data within zlib's header and checksum.
    pub(crate) fn new(zlib: bool) -> Self {
        Self { decompress: Decompress::new(zlib), block: vec![0; BLOCK], filled: 0, consumed: 0, produced: 0 }
    }

    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(crate) fn produced(&self) -> u64 {
        self.produced
    }

    /// Expands what `input` holds; `output` gets it, and says whether to go on.
    pub(crate) fn update(&mut self, input: &[u8], mut output: impl FnMut(&[u8]) -> bool) -> Progress {
        let mut taken = 0;
        loop {
            let (before_in, before_out) = (self.decompress.total_in(), self.decompress.total_out());
            let result = self.decompress.decompress(
                &input[taken..],
                &mut self.block[self.filled..],
                FlushDecompress::None,
            );
            let read = usize::try_from(self.decompress.total_in() - before_in).unwrap_or(usize::MAX);
            let wrote = usize::try_from(self.decompress.total_out() - before_out).unwrap_or(usize::MAX);
            taken = taken.saturating_add(read).min(input.len());
            self.filled = self.filled.saturating_add(wrote).min(BLOCK);
            self.consumed += read as u64;
            self.produced += wrote as u64;
            let ended = matches!(result, Ok(Status::StreamEnd));
            if self.filled == BLOCK || ended || result.is_err() {
                let filled = std::mem::take(&mut self.filled);
                if filled > 0 && !output(&self.block[..filled]) {
                    return Progress::Refused;
                }
            }
            match result {
                Err(_) => return Progress::Broken,
                Ok(Status::StreamEnd) => return Progress::Ended(taken),
                Ok(_) if read == 0 && wrote == 0 => {
                    return if taken == input.len() { Progress::More } else { Progress::Broken };
                }
                Ok(_) => {}
            }
        }
    }
}
