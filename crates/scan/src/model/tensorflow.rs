//! TensorFlow: graphs as protocol buffers (`saved_model.pb`, frozen graphs), and what Keras keeps beside them.
//!
//! The names of operators are looked for, not parsed: no encoding of protocol buffers can divide or escape a text. Whether
//! the file is such a message at all is read at the outermost level.

use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// Operators that leave the graph: they call Python, or read and write files that they name (`tensorflow/core/ops`). A name
/// stands for all that begin with it, `PyFuncStateless` among them. What every SavedModel has to load and save its own
/// variables (`SaveV2`, `RestoreV2`) is not among them.
const OPERATORS: [&str; 8] = [
    "PyFunc",
    "EagerPyFunc",
    "WriteFile",
    "ReadFile",
    "MatchingFiles",
    "WholeFileReader",
    "DatasetToTFRecord",
    "PrintV2",
];
/// One byte less than the longest of them, and the four before it.
const OVERLAP: usize = 20;

/// Looks into a graph of TensorFlow.
#[derive(Debug)]
pub(super) struct TensorFlow {
    notes: Notes,
    /// The last bytes, and whether there were any before them.
    kept: Vec<u8>,
    begun: bool,
    /// Of a graph; TensorFlow Lite writes another format, and calls these operators `FlexPyFunc` and so on.
    message: Option<Message>,
}

impl TensorFlow {
    pub(super) fn graph(subject: &Subject) -> Self {
        Self { message: Some(Message::NEXT), ..Self::lite(subject) }
    }

    pub(super) fn lite(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), kept: Vec::new(), begun: false, message: None }
    }
}

impl Inspect for TensorFlow {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        if let Some(message) = &mut self.message {
            message.update(bytes);
        }
        for piece in bytes.chunks(64 << 10) {
            let mut window = std::mem::take(&mut self.kept);
            window.extend_from_slice(piece);
            for name in OPERATORS {
                // `EagerPyFunc` is not `PyFunc`. What is first in the
                // window was judged before, unless it is first of all.
                let found = memchr::memmem::find_iter(&window, name).any(|at| match at.checked_sub(1) {
                    Some(before) => {
                        !window[before].is_ascii_alphanumeric() || window[..at].ends_with(b"Flex")
                    }
                    None => !self.begun,
                });
                if found {
                    self.notes.add(report, rule::TENSORFLOW, name);
                }
            }
            let surplus = window.len().saturating_sub(OVERLAP);
            self.begun |= surplus > 0;
            window.drain(..surplus);
            self.kept = window;
        }
    }

    fn finish(&mut self, report: &mut Report) {
        if !matches!(self.message, None | Some(Message::Tag { shift: 0, .. })) {
            self.notes.add(report, rule::BAD_TENSORFLOW, "is no message of protocol buffers");
        }
    }
}

/// Where in a message of protocol buffers the next byte is, at the outermost level.
#[derive(Clone, Copy, Debug)]
enum Message {
    Tag { value: u64, shift: u32 },
    Number { shift: u32 },
    Length { value: u64, shift: u32 },
    Skip(u64),
    Broken,
}

/// Most bits that come before the last byte of a number.
const SHIFT_MAX: u32 = 63;

impl Message {
    const NEXT: Self = Self::Tag { value: 0, shift: 0 };

    fn skip(length: u64) -> Self {
        if length == 0 { Self::NEXT } else { Self::Skip(length) }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while let Some(&byte) = bytes.first() {
            let step = match *self {
                Self::Broken => return,
                Self::Skip(left) => {
                    let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    *self = Self::skip(left - step as u64);
                    step
                }
                Self::Tag { shift, .. } | Self::Number { shift } | Self::Length { shift, .. }
                    if shift > SHIFT_MAX =>
                {
                    *self = Self::Broken;
                    return;
                }
                Self::Tag { value, shift } => {
                    let value = value | u64::from(byte & 0x7f) << shift;
                    *self = match (byte & 0x80, value >> 3, value & 7) {
                        (0x80, ..) => Self::Tag { value, shift: shift + 7 },
                        (_, 0, _) => Self::Broken,
                        (_, _, 0) => Self::Number { shift: 0 },
                        (_, _, 1) => Self::Skip(8),
                        (_, _, 2) => Self::Length { value: 0, shift: 0 },
                        (_, _, 5) => Self::Skip(4),
                        _ => Self::Broken,
                    };
                    1
                }
                Self::Number { shift } => {
                    *self = if byte & 0x80 == 0 { Self::NEXT } else { Self::Number { shift: shift + 7 } };
                    1
                }
                Self::Length { value, shift } => {
                    let value = value | u64::from(byte & 0x7f) << shift;
                    *self = if byte & 0x80 == 0 {
                        Self::skip(value)
                    } else {
                        Self::Length { value, shift: shift + 7 }
                    };
                    1
                }
            };
            bytes = &bytes[step..];
        }
    }
}
