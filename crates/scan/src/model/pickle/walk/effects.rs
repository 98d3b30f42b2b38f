//! What each opcode does to the stack, the memo and the list of imports.

use super::{DEPTH_MAX, Event, Faith, State, Walk, raw};
use crate::model::pickle::argument::{Key, Text, key, may_be_a_number, raw_unicode_escape, unquote};
use crate::model::pickle::imports::{Known, known};
use crate::model::pickle::machine::{ArrayState, Lost, Machine, TEXT_MAX, Tables, Value, tuple_of};
use crate::model::pickle::opcode as op;

/// What joblib calls the object in whose place an array stands.
const ARRAY_WRAPPER: (&str, &str) = ("joblib.numpy_pickle", "NumpyArrayWrapper");
const NAMELESS: &str = "imports something whose name cannot be told";
const KEY_ODD: &str = "has a key of the memo that is no plain number";

impl Walk {
    /// The machine of the pickle that is being read.
    pub(super) fn machine(&mut self) -> &mut Machine {
        if self.machines.is_empty() {
            self.machines.push(Machine::new(self.limit()));
        }
        let last = self.machines.len() - 1;
        &mut self.machines[last]
    }

    pub(super) fn push(&mut self, value: Value) {
        if let Err(lost) = self.machine().push(value) {
            self.lost(lost);
        }
    }

    pub(super) fn pop(&mut self) -> Value {
        match self.machine().pop() {
            Ok(value) => value,
            Err(lost) => {
                self.lost(lost);
                if self.bottomless { Value::Unknown } else { Value::Other }
            }
        }
    }

    fn lost(&mut self, lost: Lost) {
        let unsure = matches!(self.faith, Faith::Unsure { .. });
        match lost {
            Lost::Underflow | Lost::Unset if self.bottomless => {}
            // No loader goes on; and it may be no pickle at all.
            Lost::Underflow | Lost::Unset if unsure => self.fail("ends oddly"),
            Lost::Underflow => self.odd("takes more from its stack than there is"),
            Lost::Unset => self.odd("asks its memo for what is not in it"),
            // A loader goes on, and so does the walk: what it lost may be anything.
            Lost::TooMuch => self.odd("holds more at a time than can be followed"),
        }
    }

    /// The values above the last mark, which are taken, and what lies below it.
    fn pop_marked<T>(&mut self, look: impl FnOnce(&[Value], Option<Value>, &mut Tables) -> T) -> T {
        let marked = self.machine().marked();
        let last = self.machines.len() - 1;
        match marked {
            Ok(Some(at)) => {
                let stack = self.machines[last].stack();
                self.work += (stack.len() - at) as u64;
                let below = at.checked_sub(2).and_then(|below| stack.get(below).copied());
                let result = look(&stack[at..], below, &mut self.tables);
                self.machines[last].truncate_to_mark();
                result
            }
            // The mark, and something above it, was dropped.
            Ok(None) => {
                let result = look(&[Value::Unknown], Some(Value::Unknown), &mut self.tables);
                self.machines[last].truncate_to_mark();
                result
            }
            Err(lost) => {
                self.lost(lost);
                if self.bottomless {
                    self.machines[last].truncate_to_mark();
                    return look(&[Value::Unknown], Some(Value::Unknown), &mut self.tables);
                }
                look(&[], None, &mut self.tables)
            }
        }
    }

    fn text(&mut self, text: Option<&str>) {
        self.machine();
        let value =
            text.map_or(Value::Str, |text| self.tables.text(text, &mut self.machines, &mut self.work));
        self.push(value);
    }

    /// Something is imported.
    fn import(&mut self, module: &str, name: &str, opcode: u8) -> Value {
        let unsure = matches!(self.faith, Faith::Unsure { .. });
        if unsure
            && (module.is_empty() || module.contains(char::is_control) || name.contains(char::is_control))
        {
            // No loader finds that.
            self.fail("ends oddly");
            return Value::Unknown;
        }
        let likely = is_dotted_name(module) && is_dotted_name(name);
        self.imports |= likely;
        // A line that begins with `c` and the next may be any text; two texts and an opcode that is none are not.
        self.telling |= opcode == op::STACK_GLOBAL || (likely && known(module, name) != Known::Unknown);
        match self.tables.import(module, name) {
            Some((id, new)) => {
                if new {
                    self.events.push(Event::Import(module.into(), name.into()));
                }
                Value::Import(id)
            }
            None => {
                self.odd("imports more than can be listed");
                Value::Unknown
            }
        }
    }

    /// Something is imported whose name is not kept, or is none.
    fn import_untold(&mut self, module: &Text, name: &Text) -> Value {
        if matches!(self.faith, Faith::Unsure { .. }) && !(module.may_be_a_name() && name.may_be_a_name()) {
            // No loader imports that.
            self.fail("ends oddly");
        } else {
            self.odd(NAMELESS);
        }
        Value::Unknown
    }

    /// Something is called or changed that is imported, or may be: these bytes are a pickle after all.
    pub(super) fn is_pickle_after_all(&mut self) {
        self.faith = Faith::Sure;
        self.imports = true;
    }

    /// Whether something done to an import, with this, makes a pickle of the bytes. Four lines of a text of which two begin
    /// with `c`, and then a letter, do not.
    fn convinces(&self, with: Value) -> bool {
        let unsure = matches!(self.faith, Faith::Unsure { .. });
        let by_line = self.last.0 == op::GLOBAL;
        !unsure || self.telling || !by_line || !matches!(with, Value::Import(_))
    }

    /// `callee` is called with `arguments`; says what comes of it.
    fn call(&mut self, callee: Value, arguments: Value) -> Value {
        if matches!(arguments, Value::None | Value::Int(_)) && matches!(self.faith, Faith::Unsure { .. }) {
            // Nothing can be called with that: no loader goes on.
            self.fail("ends oddly");
            return Value::Unknown;
        }
        if !self.convinces(arguments) {
            return Value::Unknown;
        }
        let Value::Import(id) = callee else {
            let unsure = matches!(self.faith, Faith::Unsure { .. });
            if !self.bottomless && (callee == Value::Unknown || !unsure) {
                self.is_pickle_after_all();
                self.unknown("a call of something that is not imported by name".into());
            }
            return Value::Unknown;
        };
        self.is_pickle_after_all();
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

    /// `target` is changed: where it is imported, everybody else who imports it gets the change.
    fn change(&mut self, target: Option<Value>, by: Value) {
        let what = match target {
            None | Some(Value::Mark) => return self.lost(Lost::Underflow),
            Some(Value::Import(id)) => {
                if !self.convinces(by) {
                    return;
                }
                let (module, name) = self.tables.imported(id);
                format!("a change of {module}.{name} itself")
            }
            Some(Value::Unknown) if !self.bottomless => "a change of something that is not known".into(),
            _ => return,
        };
        self.is_pickle_after_all();
        if !self.bottomless {
            self.unknown(what);
        }
    }

    /// An opcode whose argument is this number.
    pub(super) fn fixed(&mut self, opcode: u8, number: u64) {
        match opcode {
            op::PROTO => {
                if number > 5 {
                    self.fail("has a protocol that is not known");
                }
            }
            op::FRAME => {
                if self.behind.saturating_sub(9) < self.frame_end && self.overlap.is_none() {
                    self.overlap = Some(self.frame_end);
                }
                match self.behind.checked_add(number) {
                    Some(end) => self.frame_end = end,
                    None => self.fail("has a frame of a length that cannot be"),
                }
            }
            op::MARK => self.push(Value::Mark),
            op::STOP => self.stop(),
            op::POP => {
                if !self.machine().pop_mark() {
                    self.pop();
                }
            }
            op::POP_MARK => self.pop_marked(|_, _, _| ()),
            op::DUP => {
                let value = self.pop();
                let copy = self.once(value);
                self.push(value);
                self.push(copy);
            }
            op::NONE => self.push(Value::None),
            op::NEWTRUE => self.push(Value::Int(1)),
            op::NEWFALSE => self.push(Value::Int(0)),
            op::EMPTY_LIST | op::EMPTY_SET | op::BINFLOAT | op::NEXT_BUFFER => self.push(Value::Other),
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
                let callee = self.pop_marked(|values, _, _| values.first().copied());
                match callee {
                    Some(callee) => {
                        let value = self.call(callee, Value::Other);
                        self.push(value);
                    }
                    None => self.lost(Lost::Underflow),
                }
            }
            op::BUILD => self.build(),
            op::EMPTY_DICT => {
                let dict = self.tables.dict();
                self.push(dict);
            }
            op::DICT => {
                let dict = self.pop_marked(|items, _, tables| {
                    let dict = tables.dict();
                    set_items(dict, items, tables);
                    dict
                });
                self.push(dict);
            }
            op::LIST | op::FROZENSET => {
                self.pop_marked(|_, _, _| ());
                self.push(Value::Other);
            }
            op::APPEND => {
                let value = self.pop();
                self.extended(value, self.tables.holds_objects(value));
            }
            op::APPENDS | op::ADDITEMS => {
                let objects =
                    self.pop_marked(|values, _, tables| values.iter().any(|v| tables.holds_objects(*v)));
                self.extended(Value::Other, objects);
            }
            op::SETITEM => {
                let value = self.pop();
                let key = self.pop();
                let target = self.machine().top();
                set_items(target.unwrap_or(Value::Other), &[key, value], &mut self.tables);
                self.change(target, value);
            }
            op::SETITEMS => {
                let target = self.pop_marked(|items, below, tables| {
                    set_items(below.unwrap_or(Value::Other), items, tables);
                    below
                });
                self.change(target, Value::Other);
            }
            op::TUPLE => {
                let value = self.pop_marked(|values, _, tables| tuple_of(values, tables));
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
                // Nobody's registry has entries but a program's own: in what may be no pickle at all, that says nothing.
                let sure = matches!(self.faith, Faith::Sure);
                self.push(if sure { Value::Unknown } else { Value::Other });
            }
            op::MEMOIZE => {
                if let Err(lost) = self.machine().memoize() {
                    self.lost(lost);
                }
            }
            op::BINPUT | op::LONG_BINPUT => self.put(number),
            op::BINGET | op::LONG_BINGET => self.get(number),
            _ => self.fail("has something that is no opcode"),
        }
    }

    fn put(&mut self, key: u64) {
        if let Err(lost) = self.machine().put(key) {
            self.lost(lost);
        }
    }

    fn get(&mut self, key: u64) {
        let value = match self.machine().get(key) {
            Ok(value) => value,
            Err(lost) => {
                self.lost(lost);
                Value::Unknown
            }
        };
        let value = self.once(value);
        self.push(value);
    }

    /// A key of the memo that is written as a line.
    fn key(&mut self, line: &Text) -> Option<u64> {
        match key(line) {
            Some(Key::Plain(key)) => Some(key),
            Some(Key::Odd(key)) => {
                self.odd(KEY_ODD);
                Some(key)
            }
            // One key stands for all that are too large: what is taken from it may be what was put there.
            Some(Key::Large) => {
                self.odd(KEY_ODD);
                Some(u64::MAX)
            }
            None => {
                self.fail(KEY_ODD);
                None
            }
        }
    }

    /// Another reference to a value. What joblib puts an array in place of is referred to once; another reference could
    /// be described a second time, and differently.
    fn once(&mut self, value: Value) -> Value {
        match value {
            Value::Object(id) if self.tables.imported(id) == ARRAY_WRAPPER => {
                self.odd("refers to an array of joblib again before it is read");
                Value::Unknown
            }
            value => value,
        }
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
            let value = self.import(&module, &name, op::STACK_GLOBAL);
            return self.push(value);
        }
        let may_be_text = |value| matches!(value, Value::Text(_) | Value::Str | Value::Unknown);
        if !(may_be_text(module) && may_be_text(name)) {
            // No loader goes on.
            return if matches!(self.faith, Faith::Sure) && !self.bottomless {
                self.imports = true;
                self.odd(NAMELESS);
                self.push(Value::Unknown);
            } else {
                self.fail("ends oddly");
            };
        }
        // The name is computed, or too long or odd to be one.
        self.imports = true;
        self.telling = true;
        self.odd(NAMELESS);
        self.push(Value::Unknown);
    }

    fn build(&mut self) {
        let state = self.pop();
        let target = self.machine().top();
        match target {
            Some(Value::Dtype(id)) => {
                if self.tables.holds_objects(state)
                    && let Some(dtype) = self.tables.dtypes.get_mut(id as usize)
                {
                    dtype.objects = true;
                }
            }
            Some(Value::Object(id)) if self.tables.imported(id) == ARRAY_WRAPPER => self.array(state),
            None | Some(Value::Mark) => self.lost(Lost::Underflow),
            Some(_) => self.change(target, state),
        }
    }

    /// An array stands here, as joblib writes it: as a pickle if it is of objects, otherwise padded and raw.
    fn array(&mut self, state: Value) {
        let ArrayState { elements, dtype, aligned } = self.tables.array(state);
        let dtype = dtype.and_then(|id| self.tables.dtypes.get(id as usize).copied());
        // For a loader other than joblib's the opcodes go on.
        self.branch();
        if dtype.is_some_and(|dtype| dtype.objects) {
            if self.machines.len() > usize::from(DEPTH_MAX) {
                return self.fail("has pickles too deep in each other");
            }
            self.machines.push(Machine::new(self.limit()));
            return;
        }
        // The wrapper on the stack becomes the array.
        if let Some(value) = self.machine().top_mut() {
            *value = Value::Other;
        }
        let size = dtype.and_then(|dtype| dtype.size).zip(elements).and_then(|(size, n)| size.checked_mul(n));
        match size.zip(aligned) {
            Some((after, true)) => self.state = State::Padding { after },
            Some((left, false)) => self.state = raw(left),
            None => self.fail("has an array of a length that cannot be told"),
        }
    }

    /// The value on top got further elements, of which some may hold a type of objects.
    fn extended(&mut self, by: Value, objects: bool) {
        if objects && let Some(value @ Value::Other) = self.machine().top_mut() {
            *value = Value::HoldsObjects;
        }
        let target = self.machine().top();
        self.change(target, by);
    }

    pub(super) fn lines(&mut self, opcode: u8, first: Option<Text>, line: &Text) {
        match opcode {
            op::INT | op::LONG | op::FLOAT => {
                if !may_be_a_number(line) {
                    return self.fail("has a number that is none");
                }
                let number = line.utf8().and_then(|text| text.trim_end_matches('L').parse::<u64>().ok());
                let number = if opcode == op::FLOAT { None } else { number };
                self.push(number.map_or(Value::Other, Value::Int));
            }
            op::STRING => {
                if !line.quoted() {
                    return self.fail("has a string without quotes");
                }
                let text = line.whole().and_then(unquote);
                self.text(text.as_deref());
            }
            op::UNICODE => {
                let text = line.whole().and_then(raw_unicode_escape);
                self.text(text.as_deref());
            }
            op::PERSID => self.push(Value::Other),
            op::PUT => {
                if let Some(key) = self.key(line) {
                    self.put(key);
                }
            }
            op::GET => {
                if let Some(key) = self.key(line) {
                    self.get(key);
                }
            }
            op::GLOBAL | op::INST => {
                let module = first.unwrap_or_default();
                let value = match (module.utf8(), line.utf8()) {
                    (Some(module), Some(name)) => self.import(module, name, opcode),
                    _ => self.import_untold(&module, line),
                };
                if self.dead {
                    return;
                }
                if opcode == op::INST {
                    self.pop_marked(|_, _, _| ());
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

    pub(super) fn counted(&mut self, opcode: u8, text: &Text) {
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
}

/// Sets items of a dict: keys and values by turns.
fn set_items(target: Value, items: &[Value], tables: &mut Tables) {
    if let Value::Dict(dict) = target {
        for item in items.chunks_exact(2) {
            tables.set_item(dict, item[0], item[1]);
        }
    }
}

/// What an import of something that may be no pickle at all looks like.
fn is_dotted_name(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.len() <= TEXT_MAX && text.split('.').all(part)
}
