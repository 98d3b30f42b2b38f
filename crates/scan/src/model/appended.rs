//! A ZIP archive behind something else: readers of ZIP begin at the end of a file, so one file is two.

use super::feed::le;
use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// The record at the end of an archive, and the longest comment in it (APPNOTE.TXT, 4.3.16).
const END: usize = 22;
const TAIL: usize = END + 0xffff;

/// Looks whether a file of another format ends as an archive.
#[derive(Debug)]
pub(super) struct Appended {
    notes: Notes,
    tail: Vec<u8>,
}

impl Appended {
    pub(super) fn new(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), tail: Vec::new() }
    }
}

impl Inspect for Appended {
    fn update(&mut self, bytes: &[u8], _: &mut Report) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        // Now and then is enough, so that small chunks do not move the whole each time.
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    fn finish(&mut self, report: &mut Report) {
        let tail = &self.tail[self.tail.len().saturating_sub(TAIL)..];
        let ends = memchr::memmem::find_iter(tail, b"PK\x05\x06").any(|at| {
            let rest = &tail[at..];
            let comment = usize::try_from(le::<2>(rest, 20)).unwrap_or(usize::MAX);
            // On one disk, with entries; or all in the record of ZIP64 before it.
            let one = le::<4>(rest, 4) == 0 && le::<2>(rest, 8) == le::<2>(rest, 10) && le::<2>(rest, 8) > 0;
            rest.len() >= END && rest.len() == END + comment && one
        });
        if ends {
            self.notes.add(report, rule::ZIP_APPENDED, "");
        }
        self.tail = Vec::new();
    }
}
