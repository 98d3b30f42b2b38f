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
    /// The first bytes, until they tell whether it must be a pickle.
    told_by: Option<Head>,
}

#[derive(Debug)]
struct Head {
    bytes: Vec<u8>,
    /// Its name says that it is one.
    named: bool,
}

/// Of a pickle, by its name, that is compressed in a way that nobody looks into here.
pub(super) const UNREAD: &str = "is compressed in a way that is not looked into";

/// So many bytes tell.
const HEAD: usize = 3;

impl Pickle {
    /// The bytes are said to be a pickle: if they are none, that is a fault.
    pub(crate) fn firm(subject: &Subject, layout: Layout) -> Self {
        Self { notes: Notes::new(subject), walk: Walk::firm(layout), told_by: None }
    }

    /// The bytes may be a pickle: nothing is said unless they import something and call it, whatever follows.
    pub(crate) fn perhaps(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), walk: Walk::perhaps(), told_by: None }
    }

    /// A name says that the bytes are a pickle, perhaps a compressed one: others look into those.
    pub(crate) fn promised(subject: &Subject) -> Self {
        Self { told_by: Some(Head { bytes: Vec::new(), named: true }), ..Self::perhaps(subject) }
    }

    /// The bytes look like a pickle. If they begin as one does they are one; something further in may have come by chance.
    pub(crate) fn likely(subject: &Subject) -> Self {
        Self { told_by: Some(Head { bytes: Vec::new(), named: false }), ..Self::perhaps(subject) }
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

impl Head {
    /// Whether the bytes must be a pickle: they announce a protocol, or open a container as protocols 0 and 1 do; or
    /// they are named so, and are not compressed by zlib, LZ4 or LZMA, as joblib does it.
    fn is_pickle(&self) -> bool {
        match *self.bytes {
            [0x80, 2..=5, _] | [b'(', b'd' | b'l', b'p'] | [b'}' | b']', b'q', 0] => true,
            [0x78, flags, ..] if (0x7800 + u16::from(flags)).is_multiple_of(31) => false,
            [0x04, 0x22, ..] | [0x5d, 0x00, ..] => false,
            _ => self.named,
        }
    }
}

impl Pickle {
    /// Walks over the bytes that were kept until it was clear what they are.
    fn decide(&mut self, report: &mut Report) {
        if let Some(head) = self.told_by.take() {
            // LZ4 and LZMA, which joblib reads by itself.
            if head.named && matches!(*head.bytes, [0x04, 0x22, ..] | [0x5d, 0x00, ..]) {
                self.notes.add(report, rule::BAD_PICKLE, UNREAD);
            }
            if head.is_pickle() {
                self.walk = Walk::firm(Layout::Pickles);
            }
            self.walk.update(&head.bytes);
        }
    }
}

impl Inspect for Pickle {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        let mut bytes = bytes;
        if let Some(head) = &mut self.told_by {
            let missing = bytes.len().min(HEAD - head.bytes.len());
            head.bytes.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if head.bytes.len() < HEAD {
                return;
            }
            self.decide(report);
        }
        self.walk.update(bytes);
        self.report(report);
    }

    fn finish(&mut self, report: &mut Report) {
        self.decide(report);
        self.walk.finish();
        self.report(report);
        // Whoever forbids pickles finds each of them by this rule, whatever it imports.
        if self.walk.is_pickle() && !self.notes.has(rule::PICKLE) {
            self.notes.add(report, rule::PICKLE, "");
        }
    }
}
