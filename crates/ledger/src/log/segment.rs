//! Bodies of events: a line each, 256 to a file. The line of a dropped body is empty.

use std::ops::Range;
use std::path::Path;

use crate::error::LedgerError;
use crate::event::EVENT_BYTES_MAX;
use crate::log::files;
use crate::log::layout::segment_path;

/// The lines of one file.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    bytes: Vec<u8>,
    lines: Vec<Range<usize>>,
    /// Where the lines end.
    end: usize,
}

impl Segment {
    /// Reads the first `count` lines of a segment, and what comes behind them if it is not much. What is not
    /// there, or not ended, is no line.
    pub(crate) fn load(directory: &Path, index: u64, count: u64) -> Result<Self, LedgerError> {
        let path = directory.join(segment_path(index));
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let max = count.saturating_mul(EVENT_BYTES_MAX + 1);
        let bytes = match files::read_start(&path, max as u64) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return Err(LedgerError::Read { path, error }),
        };
        let mut lines = Vec::with_capacity(count.min(256));
        let mut end = 0;
        while lines.len() < count {
            let Some(length) = bytes[end..].iter().position(|&byte| byte == b'\n') else { break };
            lines.push(end..end + length);
            end += length + 1;
        }
        Ok(Self { bytes, lines, end })
    }

    /// The line of that offset, without its line feed; empty if the body was dropped.
    pub(crate) fn line(&self, offset: usize) -> Option<&[u8]> {
        self.lines.get(offset).map(|range| &self.bytes[range.clone()])
    }

    /// All lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|range| &self.bytes[range.clone()])
    }

    /// How many bytes the lines have, with their line feeds.
    pub(crate) fn end(&self) -> u64 {
        self.end as u64
    }
}
