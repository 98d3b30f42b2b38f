//! What each opcode does to the stack, the memo and the list of imports.

use super::{DEPTH_MAX, Event, Faith, State, Walk, raw};
use crate::model::pickle::argument::{Text, decimal, quoted, raw_unicode_escape, unquote};
use crate::model::pickle::machine::{ArrayState, Lost, Machine, TEXT_MAX, Tables, Value, tuple_of};
use crate::model::pickle::opcode as op;

impl Walk {
    /// The machine of the pickle that is being read.
    pub(super) fn machine(&mut self) -> &mut Machine {
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

    pub(super) fn pop(&mut self) -> Value {
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
    pub(super) fn fixed(&mut self, opcode: u8, number: u64) {
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

    pub(super) fn lines(&mut self, opcode: u8, first: Option<Text>, line: &Text) {
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

/// What an import of something that may be no pickle at all looks like.
fn is_dotted_name(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.len() <= TEXT_MAX && text.split('.').all(part)
}
