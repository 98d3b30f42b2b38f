//! The walk over the opcodes, chunk by chunk.

mod effects;

use std::collections::BTreeSet;

use super::argument::{Few, Text};
use super::machine::{IMPORTS_MAX, Machine, Tables, VALUES_ASIDE_MAX, VALUES_MAX, Value};
use super::opcode::{self as op, Argument};

/// Length of the shortest pickle that calls something: `(ios\na\n.`.
const CALL_MIN: u64 = 8;
/// How deep pickles may lie in each other.
const DEPTH_MAX: u8 = 4;
/// Most walks that go on at the same time beside the main one.
const ASIDE_MAX: usize = 8;
/// How many pickles `torch.save` wrote one after the other before 1.6; storages follow.
const LEGACY_PICKLES: u32 = 5;
/// So many values of the stack are handed on to another reading of what follows.
const HANDED_ON: usize = 16;

/// What follows the end of a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Nothing, or further pickles.
    Pickles,
    /// Four more pickles and then the numbers of tensors: `torch.save` before 1.6.
    LegacyTorch,
}

/// Something that the walk met.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// An import: module and name.
    Import(Box<str>, Box<str>),
    /// A call or import whose target cannot be told.
    Unknown(String),
    /// Something that a pickle does not have, or that cannot be followed.
    Odd(&'static str),
}

/// What is being read.
#[derive(Debug)]
enum State {
    Opcode,
    Fixed {
        opcode: u8,
        length: usize,
        bytes: Few,
    },
    Lines {
        opcode: u8,
        left: u8,
        first: Option<Text>,
        line: Text,
    },
    Count {
        opcode: u8,
        width: usize,
        bytes: Few,
    },
    Payload {
        opcode: u8,
        left: u64,
        text: Text,
        inner: Option<Box<Walk>>,
    },
    /// A byte that says how many more stand before an array.
    Padding {
        after: u64,
    },
    /// Numbers of an array or of tensors.
    Raw {
        left: u64,
    },
}

/// How sure it is that the bytes are a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faith {
    /// It is one.
    Sure,
    /// Not sure: what was found counts from this event on only if it proves to be one, and otherwise nothing is
    /// said, or that there are stray bytes.
    Unsure { from: usize, stray: bool },
}

/// A walk over pickles.
#[derive(Debug)]
pub(super) struct Walk {
    layout: Layout,
    depth: u8,
    /// Values below the bottom of the stack count as unknown ones: the walk began in the middle.
    bottomless: bool,
    /// The bytes were promised to be pickles, so that nothing else may stand behind one. Other files go on behind what can
    /// be read as a pickle: an `.npz` that is not compressed, say.
    alone: bool,
    faith: Faith,
    state: State,
    /// One for the pickle, and one for each pickle that joblib wrote in place of an array.
    machines: Vec<Machine>,
    tables: Tables,
    events: Vec<Event>,
    odd: BTreeSet<&'static str>,
    unknown: BTreeSet<String>,
    /// How many bytes stand before the argument or opcode that is being read, and before what follows it.
    position: u64,
    behind: u64,
    frame_end: u64,
    /// How many pickles have ended.
    ended: u32,
    /// Whether an import stands in the pickle that is being read.
    imports: bool,
    /// Whether one of these imports cannot be there by chance: what ends oddly behind it is no other kind of file.
    telling: bool,
    /// Whether the pickle is at its very beginning.
    at_start: bool,
    /// Other readings of the same bytes, numbered, and what the ones that are over found.
    aside: Vec<(u64, Walk)>,
    branches: u64,
    found_aside: Vec<(u64, Event)>,
    /// What pickles within this one found.
    adopted: BTreeSet<Event>,
    /// A pickle that imports but calls nothing has ended; it counts if nothing follows.
    pending: bool,
    /// The opcode before this one, and this one.
    last: (u8, u8),
    /// How many bytes there are, as far as they have come.
    total: u64,
    /// Where a frame ends within which another began.
    overlap: Option<u64>,
    /// The argument that is being read goes on beyond the frame that it began in.
    crossed: bool,
    /// The walk is over, whatever the state says.
    dead: bool,
    /// Steps that were taken, a measure of the time that it took.
    work: u64,
}

impl Walk {
    fn new(layout: Layout, faith: Faith, depth: u8) -> Self {
        Self {
            layout,
            depth,
            bottomless: false,
            alone: matches!(faith, Faith::Sure),
            faith,
            state: State::Opcode,
            machines: Vec::new(),
            tables: Tables::new(),
            events: Vec::new(),
            odd: BTreeSet::new(),
            unknown: BTreeSet::new(),
            position: 0,
            behind: 0,
            frame_end: 0,
            ended: 0,
            imports: false,
            telling: false,
            at_start: true,
            aside: Vec::new(),
            branches: 0,
            found_aside: Vec::new(),
            adopted: BTreeSet::new(),
            pending: false,
            last: (0, 0),
            total: 0,
            overlap: None,
            crossed: false,
            dead: false,
            work: 0,
        }
    }

    pub(super) fn firm(layout: Layout) -> Self {
        Self::new(layout, Faith::Sure, 0)
    }

    pub(super) fn perhaps() -> Self {
        Self::perhaps_at(0)
    }

    fn perhaps_at(depth: u8) -> Self {
        Self::new(Layout::Pickles, Faith::Unsure { from: 0, stray: false }, depth)
    }

    /// Whether the bytes have proved to be a pickle.
    pub(super) fn is_pickle(&self) -> bool {
        matches!(self.faith, Faith::Sure | Faith::Unsure { stray: true, .. })
    }

    /// The events that are certain, once each.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        match &mut self.faith {
            Faith::Sure => std::mem::take(&mut self.events),
            Faith::Unsure { from, .. } => {
                let rest = self.events.split_off((*from).min(self.events.len()));
                *from = 0;
                std::mem::replace(&mut self.events, rest)
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.dead && self.aside.is_empty()
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            let known = self.branches;
            self.work += 1;
            let taken = if self.dead { rest.len() } else { self.step_in_frame(rest) };
            let (now, after) = rest.split_at(taken.min(rest.len()));
            rest = after;
            self.position = self.behind;
            if !self.aside.is_empty() {
                // In step, so that it does not depend on the chunks how many there are. One that has just
                // branched off begins with the next bytes.
                for (number, walk) in &mut self.aside {
                    if *number < known {
                        walk.update(now);
                    }
                }
                self.collect_aside();
            } else if self.dead {
                return;
            }
        }
    }

    /// Takes over what other readings are sure of, and drops those that lead nowhere.
    fn collect_aside(&mut self) {
        let found = &mut self.found_aside;
        let work = &mut self.work;
        self.aside.retain_mut(|(number, walk)| {
            found.extend(walk.take_events().into_iter().map(|event| (*number, event)));
            *work += std::mem::take(&mut walk.work);
            !walk.is_idle()
        });
    }

    /// Takes over what is sure elsewhere, even if this walk leads nowhere.
    fn adopt(&mut self, events: Vec<Event>) {
        for event in events {
            if self.adopted.len() == IMPORTS_MAX {
                return self.odd("holds more than can be listed");
            }
            if !self.adopted.insert(event.clone()) {
                continue;
            }
            match &mut self.faith {
                Faith::Sure => self.events.push(event),
                Faith::Unsure { from, .. } => {
                    let at = (*from).min(self.events.len());
                    self.events.insert(at, event);
                    *from = at + 1;
                }
            }
        }
    }

    /// A line at the end of the bytes needs no end for a loader, which takes off its last character all the same.
    fn end_line(&mut self) {
        if self.dead {
            return;
        }
        if let State::Lines { opcode, left, first, line } = &mut self.state {
            let (opcode, mut line) = (*opcode, std::mem::take(line));
            line.shorten();
            let (first, line) = if *left == 2 { (Some(line), Text::default()) } else { (first.take(), line) };
            self.lines(opcode, first, &line);
        }
    }

    pub(super) fn finish(&mut self) {
        self.end_line();
        self.note_crossing();
        // CPython's loader in C skips what is left of a frame that is there in full when another begins within it.
        if self.overlap.is_some_and(|end| end <= self.total) {
            self.faith = Faith::Sure;
            self.odd("has frames that overlap");
        }
        for (_, walk) in &mut self.aside {
            walk.finish();
        }
        self.collect_aside();
        if let State::Payload { inner, .. } = &mut self.state
            && let Some(mut inner) = inner.take()
        {
            inner.finish();
            let events = inner.take_events();
            self.work += inner.work;
            self.adopt(events);
        }
        if self.pending && self.depth == 0 && !self.dead {
            // It ended where the bytes end.
            self.faith = Faith::Sure;
        }
        let between = matches!(self.state, State::Opcode) && self.at_start && self.ended > 0;
        let open = match (&self.state, self.layout) {
            _ if self.dead => false,
            (State::Raw { .. }, Layout::LegacyTorch) => self.ended < LEGACY_PICKLES,
            (_, Layout::LegacyTorch) => true,
            _ => !between,
        };
        if open {
            self.fail("ends before its end");
        }
        if let Faith::Unsure { from, .. } = self.faith {
            self.events.truncate(from);
        }
        self.dead = true;
        let mut found = std::mem::take(&mut self.found_aside);
        found.sort_by_key(|(number, _)| *number);
        self.adopt(found.into_iter().map(|(_, event)| event).collect());
    }

    /// Something that no loader reads on from: the walk ends.
    fn fail(&mut self, what: &'static str) {
        match self.faith {
            // Another reading ends where it makes no sense; what it met before counts.
            Faith::Sure if self.bottomless => {}
            Faith::Sure => self.odd(what),
            Faith::Unsure { from, stray } => {
                if self.telling {
                    self.faith = Faith::Sure;
                    self.odd(what);
                } else {
                    self.events.truncate(from);
                }
                if stray && self.alone {
                    self.faith = Faith::Sure;
                    self.odd("has stray bytes behind its end");
                }
            }
        }
        self.pending = false;
        self.dead = true;
    }

    fn odd(&mut self, what: &'static str) {
        if self.odd.insert(what) {
            self.events.push(Event::Odd(what));
        }
    }

    fn unknown(&mut self, what: String) {
        if self.unknown.len() < 64 && self.unknown.insert(what.clone()) {
            self.events.push(Event::Unknown(what));
        }
    }

    /// Reads on. Where a frame ends within an argument, CPython's loader in C drops what it has of the frame, and reads
    /// something else than is written there. That is said once the argument is read, however the bytes come.
    fn step_in_frame(&mut self, bytes: &[u8]) -> usize {
        let (within, begin, frame_end) = (self.is_in_argument(), self.position, self.frame_end);
        let taken = self.step(bytes);
        self.crossed |= within && frame_end > 0 && begin <= frame_end && self.behind > frame_end;
        if !self.is_in_argument() {
            self.note_crossing();
        }
        taken
    }

    /// Also where the argument is none as it is written: it is the rest that CPython's loader takes.
    fn note_crossing(&mut self) {
        if std::mem::take(&mut self.crossed) {
            self.is_pickle_after_all();
            self.odd("has a frame that ends within an argument");
        }
    }

    fn is_in_argument(&self) -> bool {
        use State as S;
        matches!(self.state, S::Fixed { .. } | S::Lines { .. } | S::Count { .. } | S::Payload { .. })
    }

    /// Reads on; says how many bytes it took, at least one.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match std::mem::replace(&mut self.state, State::Opcode) {
            State::Opcode => {
                self.behind = self.position + 1;
                self.opcode(bytes[0]);
                1
            }
            State::Fixed { opcode, length, bytes: mut kept } => {
                let step = self.advance(length - kept.length, bytes);
                kept.extend(&bytes[..step]);
                if kept.length == length {
                    self.fixed(opcode, kept.number());
                } else {
                    self.state = State::Fixed { opcode, length, bytes: kept };
                }
                step
            }
            State::Lines { opcode, left, first, mut line } => {
                let end = memchr::memchr(b'\n', bytes);
                let step = self.advance(end.map_or(bytes.len(), |end| end + 1), bytes);
                line.extend(&bytes[..end.unwrap_or(step)]);
                if end.is_none() {
                    self.state = State::Lines { opcode, left, first, line };
                    return step;
                }
                if left == 2 {
                    self.state = State::Lines { opcode, left: 1, first: Some(line), line: Text::default() };
                } else {
                    self.lines(opcode, first, &line);
                }
                step
            }
            State::Count { opcode, width, bytes: mut kept } => {
                let step = self.advance(width - kept.length, bytes);
                kept.extend(&bytes[..step]);
                if kept.length < width {
                    self.state = State::Count { opcode, width, bytes: kept };
                    return step;
                }
                let count = kept.number();
                let signed = matches!(opcode, op::BINSTRING | op::LONG4) && count > 0x7fff_ffff;
                if signed || count > 0x7fff_ffff_ffff_ffff {
                    self.fail("has a length that cannot be");
                } else {
                    self.payload(opcode, count);
                }
                step
            }
            State::Payload { opcode, left, mut text, mut inner } => {
                let step = self.advance(usize::try_from(left).unwrap_or(usize::MAX), bytes);
                let now = &bytes[..step];
                if text.bytes.is_empty() && !matches!(opcode, op::LONG1 | op::LONG4) && left >= CALL_MIN {
                    // It may be a pickle itself, for something imported to load.
                    let fits = self.depth < DEPTH_MAX && op::argument(bytes[0]).is_some();
                    inner = fits.then(|| Box::new(Walk::perhaps_at(self.depth + 1)));
                }
                text.extend(now);
                if let Some(walk) = &mut inner {
                    walk.update(now);
                }
                let left = left - step as u64;
                if left > 0 {
                    let inner = inner.filter(|walk| !walk.is_idle() || !walk.events.is_empty());
                    self.state = State::Payload { opcode, left, text, inner };
                    return step;
                }
                if let Some(mut walk) = inner {
                    walk.finish();
                    let events = walk.take_events();
                    self.work += walk.work;
                    self.adopt(events);
                }
                self.counted(opcode, &text);
                step
            }
            State::Padding { after } => {
                self.behind = self.position + 1;
                match after.checked_add(u64::from(bytes[0])) {
                    Some(left) => self.state = raw(left),
                    None => self.fail("has an array of a length that cannot be"),
                }
                1
            }
            State::Raw { left } => {
                let step = self.advance(usize::try_from(left).unwrap_or(usize::MAX), bytes);
                self.state = raw(left - step as u64);
                step
            }
        }
    }

    fn opcode(&mut self, opcode: u8) {
        self.last = (self.last.1, opcode);
        self.at_start = false;
        if self.pending {
            // A line end behind a text is nothing.
            if matches!(opcode, b'\n' | b'\r') {
                return;
            }
            // The end was not the end of the bytes: another pickle may follow.
            self.pending = false;
            if std::mem::take(&mut self.telling) {
                self.faith = Faith::Unsure { from: self.events.len(), stray: true };
            }
            self.imports = false;
        }
        match op::argument(opcode) {
            None => self.fail("has something that is no opcode"),
            Some(Argument::Fixed(0)) => self.fixed(opcode, 0),
            Some(Argument::Fixed(length)) => {
                self.state = State::Fixed { opcode, length, bytes: Few::default() };
            }
            Some(Argument::Lines(left)) => {
                self.state = State::Lines { opcode, left, first: None, line: Text::default() };
            }
            Some(Argument::Counted(width)) => {
                self.state = State::Count { opcode, width, bytes: Few::default() };
            }
        }
    }

    fn payload(&mut self, opcode: u8, left: u64) {
        if left == 0 {
            self.counted(opcode, &Text::default());
        } else {
            self.state = State::Payload { opcode, left, text: Text::default(), inner: None };
        }
    }

    /// Takes at most `most` of the bytes: how many.
    fn advance(&mut self, most: usize, bytes: &[u8]) -> usize {
        let step = most.min(bytes.len());
        self.behind = self.position.saturating_add(step as u64);
        step
    }

    /// Begins another reading, in which what follows are opcodes.
    fn branch(&mut self) {
        if self.depth >= DEPTH_MAX {
            return;
        }
        if self.aside.len() == ASIDE_MAX {
            return self.odd("can be read in too many ways");
        }
        let mut walk = Walk::perhaps_at(DEPTH_MAX);
        walk.bottomless = true;
        let machine = self.machines.last();
        let stack = machine.map_or(&[][..], Machine::stack);
        for value in &stack[stack.len().saturating_sub(HANDED_ON)..] {
            let value = self.tables.translated(*value, &mut walk.tables);
            walk.push(value);
        }
        self.aside.push((self.branches, walk));
        self.branches += 1;
    }

    /// How many values a machine may hold.
    fn limit(&self) -> usize {
        if self.depth == 0 { VALUES_MAX } else { VALUES_ASIDE_MAX }
    }

    fn stop(&mut self) {
        // The value of the pickle.
        self.pop();
        if self.dead {
            return;
        }
        if self.machines.len() > 1 {
            // It stood in place of an array; the wrapper on the stack becomes that array.
            self.machines.pop();
            if let Some(value) = self.machine().top_mut() {
                *value = Value::Other;
            }
            return;
        }
        if self.frame_end > self.behind {
            self.odd("ends before the end of a frame");
        }
        if self.bottomless {
            self.fail("ends oddly");
            return;
        }
        self.ended = self.ended.saturating_add(1);
        self.machines.truncate(1);
        self.machines[0] = Machine::new(self.limit());
        self.frame_end = 0;
        self.at_start = true;
        match self.faith {
            // Only the last of several may import without calling.
            Faith::Unsure { stray: false, .. } if self.imports => self.pending = true,
            Faith::Unsure { stray: true, .. } | Faith::Sure => {
                self.imports = false;
                self.telling = false;
                self.faith = match self.layout {
                    Layout::LegacyTorch => Faith::Sure,
                    // What follows is another pickle, or stray.
                    Layout::Pickles => Faith::Unsure { from: self.events.len(), stray: true },
                };
            }
            Faith::Unsure { .. } => {}
        }
        if self.layout == Layout::LegacyTorch && self.ended == LEGACY_PICKLES {
            self.state = State::Raw { left: u64::MAX };
        }
    }
}

/// What comes where so many bytes of an array are left.
fn raw(left: u64) -> State {
    if left == 0 { State::Opcode } else { State::Raw { left } }
}

#[cfg(test)]
mod tests;
