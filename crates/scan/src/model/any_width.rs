//! Text for others to look into that may be in UTF-16 or UTF-32: Python finds out by itself which it is.

use crate::inspect::{Inspect, Report};
use crate::wide::{Encoding, JUDGED, Wide};

/// Decides from the first bytes in what encoding another sees it.
pub(super) struct AnyWidth<T> {
    state: State<T>,
}

enum State<T> {
    Judging { head: Vec<u8>, inner: T },
    Plain(T),
    Wide(Wide<T>),
    Done,
}

impl<T: Inspect> AnyWidth<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { state: State::Judging { head: Vec::new(), inner } }
    }

    fn decide(&mut self, report: &mut Report) {
        let State::Judging { head, inner } = std::mem::replace(&mut self.state, State::Done) else { return };
        self.state = match Encoding::of(&head) {
            Some(encoding) => State::Wide(Wide::new(encoding, inner)),
            None => State::Plain(inner),
        };
        self.update(&head, report);
    }
}

impl<T: Inspect> Inspect for AnyWidth<T> {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        match &mut self.state {
            State::Judging { head, .. } => {
                head.extend_from_slice(bytes);
                if head.len() >= JUDGED {
                    self.decide(report);
                }
            }
            State::Plain(inner) => inner.update(bytes, report),
            State::Wide(inner) => inner.update(bytes, report),
            State::Done => {}
        }
    }

    fn finish(&mut self, report: &mut Report) {
        if matches!(self.state, State::Judging { .. }) {
            self.decide(report);
        }
        match &mut self.state {
            State::Plain(inner) => inner.finish(report),
            State::Wide(inner) => inner.finish(report),
            State::Judging { .. } | State::Done => {}
        }
    }
}
