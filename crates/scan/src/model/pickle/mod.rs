//! Pickles: a walk over their opcodes that follows names, executes nothing and keeps nothing but names.
//!
//! A loader runs what it reads until it meets something odd. So whatever was imported before stands in the
//! report, and the odd thing too.

mod argument;
mod imports;
mod machine;
mod opcode;
mod walk;

use self::imports::{Known, known};
use self::walk::{Event, Walk};
use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

pub(crate) use self::walk::Layout;

/// Looks into a pickle.
#[derive(Debug)]
pub(crate) struct Pickle {
    notes: Notes,
    walk: Walk,
    /// The first byte, while two are needed to tell whether what was promised to be a pickle is a compressed one.
    promised: Option<Vec<u8>>,
}

impl Pickle {
    /// The bytes are said to be a pickle: if they are none, that is a fault.
    pub(crate) fn firm(subject: &Subject, layout: Layout) -> Self {
        Self { notes: Notes::new(subject), walk: Walk::firm(layout), promised: None }
    }

    /// The bytes may be a pickle: nothing is said unless they import something and call it, whatever follows.
    pub(crate) fn perhaps(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), walk: Walk::perhaps(), promised: None }
    }

    /// A name says that the bytes are a pickle, perhaps a compressed one: others look into those.
    pub(crate) fn promised(subject: &Subject) -> Self {
        Self { promised: Some(Vec::new()), ..Self::firm(subject, Layout::Pickles) }
    }

    fn report(&mut self, report: &mut Report) {
        for event in self.walk.take_events() {
            match event {
                Event::Import(module, name) => {
                    let rule = match known(&module, &name) {
                        Known::Safe => rule::PICKLE,
                        Known::Dangerous => rule::PICKLE_DANGEROUS,
                        Known::Unknown => rule::PICKLE_UNKNOWN,
                    };
                    self.notes.add(report, rule, &format!("{module}.{name}"));
                }
                Event::Unknown(what) => self.notes.add(report, rule::PICKLE_UNKNOWN, &what),
                Event::Odd(what) => self.notes.add(report, rule::BAD_PICKLE, what),
            }
        }
    }
}

/// How zlib, LZ4 and raw LZMA data begin, in which joblib packs its pickles.
fn is_compressed(head: &[u8]) -> bool {
    match *head {
        [0x78, flags] => (0x7800 + u16::from(flags)).is_multiple_of(31),
        [0x04, 0x22] | [0x5d, 0x00] => true,
        _ => false,
    }
}

impl Pickle {
    /// Walks over the bytes that were kept until it was clear what they are.
    fn keep_promise(&mut self) {
        if let Some(head) = self.promised.take() {
            if is_compressed(&head) {
                self.walk = Walk::perhaps();
            }
            self.walk.update(&head);
        }
    }
}

impl Inspect for Pickle {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        let mut bytes = bytes;
        if let Some(head) = &mut self.promised {
            let missing = bytes.len().min(2 - head.len());
            head.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if head.len() < 2 {
                return;
            }
            self.keep_promise();
        }
        self.walk.update(bytes);
        self.report(report);
    }

    fn finish(&mut self, report: &mut Report) {
        self.keep_promise();
        self.walk.finish();
        self.report(report);
        // Whoever forbids pickles finds each of them by this rule, whatever it imports.
        if self.walk.is_pickle() && !self.notes.has(rule::PICKLE) {
            self.notes.add(report, rule::PICKLE, "");
        }
    }
}
