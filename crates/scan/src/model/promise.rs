//! Names under which a loader takes a file for what it may not be: a promise that is held to.

use consign_metadata::StaticRuleId;

use super::keras::Keras;
use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
/// The first place behind a user block at which HDF5 may begin; the others are each twice as far (HDF5 File Format
/// Specification, section II.A).
const FIRST_BLOCK: u64 = 512;
/// What Git LFS leaves in place of a file. It promises nothing to a loader, and is told as incomplete.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Looks for HDF5 behind something else, and holds a name to what it promises.
#[derive(Debug)]
pub(super) struct Promise {
    notes: Notes,
    /// What is said if nothing keeps the promise, unless there is none or it is kept.
    broken: Option<(StaticRuleId, &'static str)>,
    /// What looks into the HDF5 that was found.
    keras: Option<Box<Keras>>,
    seen: u64,
    /// Where HDF5 may begin next, and how much of its magic number has come there.
    next: u64,
    matched: usize,
    head: Vec<u8>,
}

impl Promise {
    pub(super) fn new(subject: &Subject, suffix: &str) -> Self {
        let broken = match suffix {
            "h5" | "hdf5" => Some((rule::BAD_KERAS, "is not HDF5, as its name says")),
            "tflite" => Some((rule::BAD_TFLITE, "is no TensorFlow Lite model, as its name says")),
            _ => None,
        };
        Self {
            notes: Notes::new(subject),
            broken,
            keras: None,
            seen: 0,
            next: FIRST_BLOCK,
            matched: 0,
            head: Vec::new(),
        }
    }

    /// Takes bytes at a place where HDF5 may begin; how many.
    fn compare(&mut self, bytes: &[u8]) -> usize {
        let wanted = &HDF5[self.matched..];
        let length = wanted.len().min(bytes.len());
        if bytes[..length] != wanted[..length] {
            (self.next, self.matched) = (self.next.saturating_mul(2), 0);
            return 0;
        }
        self.matched += length;
        if self.matched == HDF5.len() {
            self.keras = Some(Box::new(Keras::without_signature(self.notes.subject())));
            self.broken = self.broken.filter(|(rule, _)| *rule != rule::BAD_KERAS);
        }
        length
    }
}

impl Inspect for Promise {
    fn update(&mut self, mut bytes: &[u8], report: &mut Report) {
        let room = LFS.len() - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        while !bytes.is_empty() {
            if let Some(keras) = &mut self.keras {
                return keras.update(bytes, report);
            }
            let at = self.next + self.matched as u64;
            let step = if self.seen < at {
                usize::try_from(at - self.seen).unwrap_or(usize::MAX).min(bytes.len())
            } else {
                self.compare(bytes)
            };
            self.seen += step as u64;
            bytes = &bytes[step..];
        }
    }

    fn finish(&mut self, report: &mut Report) {
        if let Some(keras) = &mut self.keras {
            keras.finish(report);
        }
        let tflite = self.head.get(4..8) == Some(b"TFL3");
        if let Some((rule, what)) = self.broken
            && !(rule == rule::BAD_TFLITE && tflite)
            && self.head != LFS
        {
            self.notes.add(report, rule, what);
        }
    }
}
