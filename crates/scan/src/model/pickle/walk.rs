//! The walk over the opcodes, chunk by chunk.

use std::collections::BTreeSet;

use super::machine::{ArrayState, IMPORTS_MAX, Lost, Machine, TEXT_MAX, Tables, Value, tuple_of};
use super::opcode::{self as op, Argument};

/// Most bytes that are kept of an argument.
const KEPT_MAX: usize = 4 * TEXT_MAX;
/// Length of the shortest pickle that calls something: `(ios\na\n.`.
const CALL_MIN: u64 = 8;
/// How deep pickles may lie in each other.
const DEPTH_MAX: u8 = 4;
/// Most walks that go on at the same time beside the main one.
const ASIDE_MAX: usize = 8;
/// How many pickles `torch.save` wrote one after the other before 1.6; storages follow.
const LEGACY_PICKLES: u32 = 5;

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

/// Up to eight bytes, little-endian.
#[derive(Clone, Copy, Debug, Default)]
struct Few {
    bytes: [u8; 8],
    length: usize,
}

impl Few {
    fn extend(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(bytes) {
            *place = *byte;
        }
        self.length += bytes.len();
    }

    fn number(self) -> u64 {
        u64::from_le_bytes(self.bytes)
    }
}

/// The kept beginning of a text.
#[derive(Clone, Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    cut: bool,
}

impl Text {
    fn extend(&mut self, bytes: &[u8]) {
        let room = KEPT_MAX - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn whole(&self) -> Option<&[u8]> {
        (!self.cut).then_some(&*self.bytes)
    }

    fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(self.whole()?).ok()
    }
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
    /// The walk is over, whatever the state says.
    dead: bool,
}

impl Walk {
    fn new(layout: Layout, faith: Faith, depth: u8) -> Self {
        Self {
            layout,
            depth,
            bottomless: false,
            faith,
            state: State::Opcode,
            machines: vec![Machine::default()],
            tables: Tables::default(),
            events: Vec::new(),
            odd: BTreeSet::new(),
            unknown: BTreeSet::new(),
            position: 0,
            behind: 0,
            frame_end: 0,
            ended: 0,
            imports: false,
            at_start: true,
            aside: Vec::new(),
            branches: 0,
            found_aside: Vec::new(),
            adopted: BTreeSet::new(),
            pending: false,
            dead: false,
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
        let mut rest = bytes;
        while !rest.is_empty() {
            let known = self.branches;
            let taken = if self.dead { rest.len() } else { self.step(rest) };
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
        self.aside.retain_mut(|(number, walk)| {
            found.extend(walk.take_events().into_iter().map(|event| (*number, event)));
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

    pub(super) fn finish(&mut self) {
        for (_, walk) in &mut self.aside {
            walk.finish();
        }
        self.collect_aside();
        if let State::Payload { inner, .. } = &mut self.state
            && let Some(mut inner) = inner.take()
        {
            inner.finish();
            let events = inner.take_events();
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

    /// Something that cannot be: the walk ends.
    fn fail(&mut self, what: &'static str) {
        match self.faith {
            // Another reading ends where it makes no sense; what it met before counts.
            Faith::Sure if self.bottomless => {}
            Faith::Sure => self.odd(what),
            Faith::Unsure { from, stray } => {
                self.events.truncate(from);
                if stray {
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
                // What is not sure to be a pickle does not have lines of such length.
                if line.cut && (matches!(self.faith, Faith::Unsure { .. }) || self.bottomless) {
                    self.fail("has a line that is too long");
                    return step;
                }
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
        self.at_start = false;
        if self.pending {
            // The end was not the end of the bytes. A line end behind a text is nothing.
            if !matches!(opcode, b'\n' | b'\r') {
                self.fail("");
            }
            return;
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

    /// The machine of the pickle that is being read.
    fn machine(&mut self) -> &mut Machine {
        if self.machines.is_empty() {
            self.machines.push(Machine::default());
        }
        let last = self.machines.len() - 1;
        &mut self.machines[last]
    }

    fn push(&mut self, value: Value) {
        if self.machine().push(value).is_err() {
            // Whatever is named from here on might be named wrongly.
            self.fail("puts more on its stack than can be followed");
        }
    }

    fn pop(&mut self) -> Value {
        match self.machine().pop() {
            Ok(value) => value,
            Err(lost) => {
                self.lost(lost);
                Value::Other
            }
        }
    }

    fn lost(&mut self, lost: Lost) {
        let unsure = matches!(self.faith, Faith::Unsure { .. });
        match lost {
            Lost::Underflow | Lost::Unset if self.bottomless => {}
            // A loader gives up here; but loaders differ, and what follows may tell.
            _ if unsure => self.fail(""),
            Lost::Underflow => self.odd("takes more from its stack than there is"),
            Lost::Unset => self.odd("asks its memo for what is not in it"),
            Lost::TooMuch => self.odd("remembers more than can be followed"),
        }
    }

    /// The values above the last mark, which are taken.
    fn pop_marked<T>(&mut self, look: impl FnOnce(&[Value], &Tables) -> T) -> T {
        match self.machine().marked() {
            Ok(at) => {
                let last = self.machines.len() - 1;
                let result = look(&self.machines[last].stack[at..], &self.tables);
                self.machines[last].stack.truncate(at - 1);
                result
            }
            Err(lost) => {
                self.lost(lost);
                let last = self.machines.len() - 1;
                let result = look(&[], &self.tables);
                if self.bottomless {
                    self.machines[last].stack.clear();
                }
                result
            }
        }
    }

    fn text(&mut self, text: Option<&str>) {
        let value = text.map_or(Value::Other, |text| self.tables.text(text, &mut self.machines));
        self.push(value);
    }

    /// Something is imported.
    fn import(&mut self, module: &str, name: &str) -> Value {
        let unsure = matches!(self.faith, Faith::Unsure { .. });
        if (unsure || self.bottomless) && !(is_dotted_name(module) && is_dotted_name(name)) {
            self.fail("imports what cannot be a name");
            return Value::Other;
        }
        self.imports = true;
        match self.tables.import(module, name) {
            Some((id, new)) => {
                if new {
                    self.events.push(Event::Import(module.into(), name.into()));
                }
                Value::Import(id)
            }
            None => {
                self.odd("imports more than can be listed");
                Value::Other
            }
        }
    }

    /// `callee` is called with `arguments`; says what comes of it.
    fn call(&mut self, callee: Value, arguments: Value) -> Value {
        let Value::Import(id) = callee else {
            let unsure = matches!(self.faith, Faith::Unsure { .. });
            if !unsure && !self.bottomless {
                self.unknown("a call of something that is not imported by name".into());
            }
            return Value::Other;
        };
        // It is a pickle after all.
        self.faith = Faith::Sure;
        match (self.tables.imported(id), arguments) {
            (("numpy", "dtype"), Value::TextTuple(text)) => {
                let text = self.tables.name(text).unwrap_or_default().to_owned();
                self.tables.dtype(&text)
            }
            (("numpy", "dtype"), _) => self.tables.dtype("?"),
            (("copyreg" | "copy_reg", "_reconstructor"), Value::ImportTuple(class)) => Value::Object(class),
            _ => Value::Object(id),
        }
    }

    /// An opcode whose argument is this number.
    fn fixed(&mut self, opcode: u8, number: u64) {
        match opcode {
            op::PROTO => {
                if number > 5 {
                    self.fail("has a protocol that is not known");
                }
            }
            op::FRAME => {
                if self.behind.saturating_sub(9) < self.frame_end {
                    self.soft("has frames that overlap");
                }
                match self.behind.checked_add(number) {
                    Some(end) => self.frame_end = end,
                    None => self.fail("has a frame of a length that cannot be"),
                }
            }
            op::MARK => self.push(Value::Mark),
            op::STOP => self.stop(),
            op::POP => {
                if self.machine().stack.last() == Some(&Value::Mark) {
                    self.machine().stack.pop();
                } else {
                    self.pop();
                }
            }
            op::POP_MARK => self.pop_marked(|_, _| ()),
            op::DUP => {
                let value = self.pop();
                self.push(value);
                self.push(value);
            }
            op::NONE
            | op::NEWTRUE
            | op::NEWFALSE
            | op::EMPTY_LIST
            | op::EMPTY_SET
            | op::BINFLOAT
            | op::NEXT_BUFFER => self.push(Value::Other),
            op::READONLY_BUFFER => {}
            op::BININT if number > 0x7fff_ffff => self.push(Value::Other),
            op::BININT | op::BININT1 | op::BININT2 => self.push(Value::Int(number)),
            op::BINPERSID => {
                self.pop();
                self.push(Value::Other);
            }
            op::REDUCE => {
                let arguments = self.pop();
                let callee = self.pop();
                let value = self.call(callee, arguments);
                self.push(value);
            }
            op::NEWOBJ | op::NEWOBJ_EX => {
                if opcode == op::NEWOBJ_EX {
                    self.pop();
                }
                let arguments = self.pop();
                let class = self.pop();
                let value = self.call(class, arguments);
                self.push(value);
            }
            op::OBJ => {
                let callee = self.pop_marked(|values, _| values.first().copied());
                match callee {
                    Some(callee) => {
                        let value = self.call(callee, Value::Other);
                        self.push(value);
                    }
                    None => self.lost(Lost::Underflow),
                }
            }
            op::BUILD => self.build(),
            op::EMPTY_DICT | op::DICT => {
                self.machine().last_dict = ArrayState::default();
                if opcode == op::DICT {
                    self.pop_marked(|_, _| ());
                }
                self.push(Value::Other);
            }
            op::LIST | op::FROZENSET => {
                self.pop_marked(|_, _| ());
                self.push(Value::Other);
            }
            op::APPEND => {
                let value = self.pop();
                self.taint(matches!(value, Value::HoldsObjects));
            }
            op::APPENDS | op::ADDITEMS => {
                let objects = self.pop_marked(|values, _| values.contains(&Value::HoldsObjects));
                self.taint(objects);
            }
            op::SETITEM => {
                let value = self.pop();
                let key = self.pop();
                self.set_items(&[key, value]);
            }
            op::SETITEMS => {
                // A wrapper of joblib has six items; of other dicts nothing is needed but what they hold.
                let (few, objects) = self.pop_marked(|values, _| {
                    (values[..values.len().min(32)].to_vec(), values.contains(&Value::HoldsObjects))
                });
                self.set_items(&few);
                self.taint(objects);
            }
            op::TUPLE => {
                let value = self.pop_marked(tuple_of);
                self.push(value);
            }
            op::EMPTY_TUPLE => self.push(Value::Shape(1)),
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let mut values: Vec<Value> = (op::TUPLE1..=opcode).map(|_| self.pop()).collect();
                values.reverse();
                let value = tuple_of(&values, &self.tables);
                self.push(value);
            }
            op::STACK_GLOBAL => self.stack_global(),
            op::EXT1 | op::EXT2 | op::EXT4 => {
                if !self.bottomless {
                    self.unknown(format!("entry {number} of the extension registry"));
                }
                self.imports = true;
                self.push(Value::Other);
            }
            op::MEMOIZE => {
                if let Err(lost) = self.machine().memoize() {
                    self.lost(lost);
                }
            }
            op::BINPUT | op::LONG_BINPUT => self.put(Some(number)),
            op::BINGET | op::LONG_BINGET => self.get(Some(number)),
            _ => self.fail("has something that is no opcode"),
        }
    }

    /// Something that a strict loader refuses and another does not.
    fn soft(&mut self, what: &'static str) {
        match self.faith {
            Faith::Sure if !self.bottomless => self.odd(what),
            Faith::Sure => {}
            Faith::Unsure { .. } => self.fail(what),
        }
    }

    fn put(&mut self, key: Option<u64>) {
        let Some(key) = key else {
            self.machine().lose_memo();
            return self.soft("has a key of the memo that is no plain number");
        };
        if let Err(lost) = self.machine().put(key) {
            self.lost(lost);
        }
    }

    fn get(&mut self, key: Option<u64>) {
        let value = match key {
            Some(key) => self.machine().get(key).unwrap_or_else(|lost| {
                self.lost(lost);
                Value::Other
            }),
            None => {
                self.soft("has a key of the memo that is no plain number");
                Value::Other
            }
        };
        self.push(value);
    }

    fn stack_global(&mut self) {
        let name = self.pop();
        let module = self.pop();
        if let (Value::Text(module_id), Value::Text(name_id)) = (module, name)
            && let (Some(module), Some(name)) = (self.tables.name(module_id), self.tables.name(name_id))
        {
            let (module, name) = (module.to_owned(), name.to_owned());
            self.tables.served(module_id);
            self.tables.served(name_id);
            let value = self.import(&module, &name);
            return self.push(value);
        }
        if matches!(self.faith, Faith::Unsure { .. }) || self.bottomless {
            return self.fail("");
        }
        self.imports = true;
        // The name is computed, or too long or odd to be one.
        self.odd("imports something whose name cannot be told");
        self.push(Value::Other);
    }

    fn build(&mut self) {
        let state = self.pop();
        let last = self.machine().stack.last().copied();
        match last {
            Some(Value::Import(id)) => {
                let (module, name) = self.tables.imported(id);
                let what = format!("a change of {module}.{name} itself");
                if !self.bottomless {
                    self.unknown(what);
                }
            }
            Some(Value::Dtype(id)) => {
                if state == Value::HoldsObjects
                    && let Some(dtype) = self.tables.dtypes.get_mut(id as usize)
                {
                    dtype.objects = true;
                }
            }
            Some(Value::Object(id))
                if self.tables.imported(id) == ("joblib.numpy_pickle", "NumpyArrayWrapper") =>
            {
                self.array();
            }
            None | Some(Value::Mark) => self.lost(Lost::Underflow),
            Some(_) => {}
        }
    }

    /// An array stands here, as joblib writes it: as a pickle if it is of objects, otherwise padded and raw.
    fn array(&mut self) {
        let ArrayState { elements, dtype, aligned } = self.machine().last_dict;
        let dtype = dtype.and_then(|id| self.tables.dtypes.get(id as usize).copied());
        // For a loader other than joblib's the opcodes go on.
        self.branch();
        if dtype.is_some_and(|dtype| dtype.objects) {
            if self.machines.len() > usize::from(DEPTH_MAX) {
                return self.fail("has pickles too deep in each other");
            }
            self.machines.push(Machine::default());
            return;
        }
        let size = dtype.and_then(|dtype| dtype.size).zip(elements).and_then(|(size, n)| size.checked_mul(n));
        match size {
            Some(after) if aligned => self.state = State::Padding { after },
            Some(left) => self.state = raw(left),
            None => self.fail("has an array of a length that cannot be told"),
        }
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
        self.aside.push((self.branches, walk));
        self.branches += 1;
    }

    /// Marks the value on top as holding something with a type of objects.
    fn taint(&mut self, objects: bool) {
        if objects && let Some(value @ Value::Other) = self.machine().stack.last_mut() {
            *value = Value::HoldsObjects;
        }
    }

    fn set_items(&mut self, items: &[Value]) {
        let mut objects = false;
        for item in items.chunks_exact(2) {
            objects |= item[1] == Value::HoldsObjects;
            let Value::Text(key) = item[0] else { continue };
            let mut state = self.machine().last_dict;
            match (self.tables.name(key), item[1]) {
                (Some("shape"), Value::Shape(elements)) => state.elements = Some(elements),
                (Some("shape"), _) => state.elements = None,
                (Some("dtype"), Value::Dtype(id)) => state.dtype = Some(id),
                (Some("dtype"), _) => state.dtype = None,
                (Some("numpy_array_alignment_bytes"), Value::Int(_)) => state.aligned = true,
                (Some("numpy_array_alignment_bytes"), _) => state.aligned = false,
                _ => {}
            }
            self.machine().last_dict = state;
        }
        self.taint(objects);
    }

    fn lines(&mut self, opcode: u8, first: Option<Text>, line: &Text) {
        match opcode {
            op::INT | op::LONG | op::FLOAT => {
                let number = line.utf8().and_then(|text| text.trim_end_matches('L').parse::<u64>().ok());
                let plain = line.bytes.iter().all(|b| b.is_ascii_graphic() || *b == b' ' || *b == b'\r');
                let digits = line.bytes.iter().any(u8::is_ascii_alphanumeric);
                if !(plain && digits) {
                    return self.fail("has a number that is none");
                }
                let number = if opcode == op::FLOAT { None } else { number };
                self.push(number.map_or(Value::Other, Value::Int));
            }
            op::STRING => {
                let text = line.whole().and_then(unquote);
                if text.is_none() && !line.cut && !quoted(&line.bytes) {
                    return self.fail("has a string without quotes");
                }
                self.text(text.as_deref());
            }
            op::UNICODE => {
                let text = line.whole().and_then(raw_unicode_escape);
                self.text(text.as_deref());
            }
            op::PERSID => self.push(Value::Other),
            op::PUT => self.put(decimal(line)),
            op::GET => self.get(decimal(line)),
            op::GLOBAL | op::INST => {
                let module = first.unwrap_or_default();
                let value = match (module.utf8(), line.utf8()) {
                    (Some(module), Some(name)) => self.import(module, name),
                    _ => {
                        self.soft("imports something whose name cannot be told");
                        self.imports = true;
                        Value::Other
                    }
                };
                if self.dead {
                    return;
                }
                if opcode == op::INST {
                    self.pop_marked(|_, _| ());
                    if self.dead {
                        return;
                    }
                    let object = self.call(value, Value::Other);
                    self.push(object);
                } else {
                    self.push(value);
                }
            }
            _ => self.fail("has something that is no opcode"),
        }
    }

    fn counted(&mut self, opcode: u8, text: &Text) {
        match opcode {
            op::LONG1 | op::LONG4 => {
                let number = text.whole().filter(|bytes| bytes.len() <= 8 && bytes.last() < Some(&0x80));
                let number = number
                    .map(|bytes| bytes.iter().rev().fold(0_u64, |number, &b| number << 8 | u64::from(b)));
                self.push(number.map_or(Value::Other, Value::Int));
            }
            op::BINUNICODE | op::SHORT_BINUNICODE | op::BINUNICODE8 | op::BINSTRING | op::SHORT_BINSTRING => {
                self.text(text.utf8());
            }
            _ => self.push(Value::Other),
        }
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
            if let Some(value) = self.machine().stack.last_mut() {
                *value = Value::Other;
            }
            return;
        }
        if self.frame_end > self.behind {
            self.soft("ends before the end of a frame");
            if self.dead {
                return;
            }
        }
        if self.bottomless {
            self.fail("");
            return;
        }
        self.ended = self.ended.saturating_add(1);
        self.machines.truncate(1);
        self.machines[0] = Machine::default();
        self.frame_end = 0;
        self.at_start = true;
        match self.faith {
            // Only the last of several may import without calling.
            Faith::Unsure { stray: false, .. } if self.imports => self.pending = true,
            Faith::Unsure { stray: true, .. } | Faith::Sure => {
                self.imports = false;
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

/// What an import of something that may be no pickle at all looks like.
fn is_dotted_name(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.len() <= TEXT_MAX && text.split('.').all(part)
}

/// A key of the memo. Python takes more than plain digits for a number; no pickler writes it.
fn decimal(line: &Text) -> Option<u64> {
    let text = line.utf8()?;
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn quoted(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    matches!(line, [first @ (b'\'' | b'"'), .., last] if first == last)
}

/// The text of a Python literal in quotes (`codecs.escape_decode`).
fn unquote(line: &[u8]) -> Option<String> {
    let line = line.trim_ascii();
    if !quoted(line) {
        return None;
    }
    let mut rest = &line[1..line.len() - 1];
    let mut text = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'\\' | b'\'' | b'"' => text.push(escape),
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'a' => text.push(7),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'v' => text.push(11),
            b'x' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                text.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                let mut digits = 1;
                while digits < 3
                    && let Some((&digit @ b'0'..=b'7', after)) = rest.split_first()
                {
                    value = value * 8 + u32::from(digit - b'0');
                    rest = after;
                    digits += 1;
                }
                text.push(u8::try_from(value & 0xff).unwrap_or_default());
            }
            other => text.extend([b'\\', other]),
        }
    }
    String::from_utf8(text).ok()
}

/// The text of Python's codec `raw-unicode-escape`: Latin 1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode_escape(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let width = match (byte, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            // A backslash escapes the next one, which stays as well.
            (b'\\', Some(b'\\')) => {
                text.push_str("\\\\");
                rest = &rest[1..];
                continue;
            }
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        let digits = std::str::from_utf8(rest.get(1..=width)?).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        text.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = &rest[1 + width..];
    }
    Some(text)
}
