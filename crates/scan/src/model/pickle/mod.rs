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
}

impl Pickle {
    /// The bytes are said to be a pickle: if they are none, that is a fault.
    pub(crate) fn firm(subject: &Subject, layout: Layout) -> Self {
        Self { notes: Notes::new(subject), walk: Walk::firm(layout) }
    }

    /// The bytes may be a pickle: nothing is said unless they import something and call it, whatever follows.
    pub(crate) fn perhaps(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), walk: Walk::perhaps() }
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

impl Inspect for Pickle {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        self.walk.update(bytes);
        self.report(report);
    }

    fn finish(&mut self, report: &mut Report) {
        self.walk.finish();
        self.report(report);
        // Whoever forbids pickles finds each of them by this rule, whatever it imports.
        if self.walk.is_pickle() && !self.notes.has(rule::PICKLE) {
            self.notes.add(report, rule::PICKLE, "");
        }
    }
}
