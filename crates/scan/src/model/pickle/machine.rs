//! The stack and the memo of an unpickler, with what the walk has to know in place of objects: texts that may be
//! names, imports, and what joblib says about the arrays that it writes between opcodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Longest text that is kept: names of modules and of what is in them.
pub(super) const TEXT_MAX: usize = 256;
/// Most texts that are kept at once.
const TEXTS_MAX: usize = 1 << 17;
/// Most imports that are told apart.
pub(super) const IMPORTS_MAX: usize = 4096;
/// Most values on the stack.
const STACK_MAX: usize = 1 << 18;
/// One more than the highest key of the memo.
const MEMO_MAX: usize = 1 << 21;
/// Most types of arrays.
const DTYPES_MAX: usize = 1 << 16;

/// What is known about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Not an object: where a group of them begins.
    Mark,
    /// A text that may be a name.
    Text(u32),
    /// Something imported.
    Import(u32),
    /// A number.
    Int(u64),
    /// A tuple of numbers, by their product: the shape of an array has so many elements.
    Shape(u64),
    /// A tuple that begins with this text.
    TextTuple(u32),
    /// A tuple that begins with this import.
    ImportTuple(u32),
    /// A NumPy type.
    Dtype(u32),
    /// A tuple or dict that somewhere holds a NumPy type whose elements are objects.
    HoldsObjects,
    /// An object of an imported class.
    Object(u32),
    /// Anything else, among it texts that cannot be names.
    Other,
}

/// Why the walk cannot follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// More is taken from the stack than there is.
    Underflow,
    /// The memo is asked for what was not put in.
    Unset,
    /// There is more than the walk remembers.
    TooMuch,
}

/// What joblib writes about an array (`NumpyArrayWrapper`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ArrayState {
    pub elements: Option<u64>,
    pub dtype: Option<u32>,
    pub aligned: bool,
}

/// Stack and memo of one pickle.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub stack: Vec<Value>,
    memo: Vec<Option<Value>>,
    /// How many keys are set: what MEMOIZE takes for the next.
    set: usize,
    /// The memo can no longer be relied on.
    lost: bool,
    /// The dict that was filled last.
    pub last_dict: ArrayState,
}

impl Machine {
    pub fn push(&mut self, value: Value) -> Result<(), Lost> {
        if self.stack.len() == STACK_MAX {
            return Err(Lost::TooMuch);
        }
        self.stack.push(value);
        Ok(())
    }

    /// The value on top, which is no mark.
    pub fn pop(&mut self) -> Result<Value, Lost> {
        match self.stack.last() {
            None | Some(Value::Mark) => Err(Lost::Underflow),
            Some(&value) => {
                self.stack.pop();
                Ok(value)
            }
        }
    }

    /// Where the values above the last mark begin.
    pub fn marked(&self) -> Result<usize, Lost> {
        let at = self.stack.iter().rposition(|value| *value == Value::Mark).ok_or(Lost::Underflow)?;
        Ok(at + 1)
    }

    pub fn put(&mut self, key: u64) -> Result<(), Lost> {
        let value = match self.stack.last() {
            None | Some(Value::Mark) => return Err(Lost::Underflow),
            Some(&value) => value,
        };
        let Some(key) = usize::try_from(key).ok().filter(|key| *key < MEMO_MAX) else {
            // Whatever is asked for from now on may be what was put here.
            self.lost = true;
            return Err(Lost::TooMuch);
        };
        if key >= self.memo.len() {
            self.memo.resize(key + 1, None);
        }
        if self.memo[key].replace(value).is_none() {
            self.set += 1;
        }
        Ok(())
    }

    pub fn memoize(&mut self) -> Result<(), Lost> {
        self.put(self.set as u64)
    }

    pub fn get(&self, key: u64) -> Result<Value, Lost> {
        if self.lost {
            return Ok(Value::Other);
        }
        let found = usize::try_from(key).ok().and_then(|key| self.memo.get(key).copied().flatten());
        found.ok_or(Lost::Unset)
    }

    /// From now on nobody knows what the memo holds.
    pub fn lose_memo(&mut self) {
        self.lost = true;
    }

    /// The values that are still within reach.
    fn values(&mut self) -> (impl Iterator<Item = &Value>, impl Iterator<Item = &mut Value>) {
        (self.stack.iter(), self.memo.iter_mut().flatten())
    }
}

/// A type of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dtype {
    /// Bytes of an element, where known.
    pub size: Option<u64>,
    /// The elements are objects, or hold some.
    pub objects: bool,
}

/// What values refer to. Bounded: what is not kept cannot be resolved later, which is then said.
#[derive(Debug, Default)]
pub(super) struct Tables {
    texts: HashMap<Arc<str>, u32>,
    by_id: HashMap<u32, Arc<str>>,
    next_text: u32,
    /// Texts that served as names: they are likely to serve again.
    names: HashSet<u32>,
    imports: Vec<(Box<str>, Box<str>)>,
    import_ids: HashMap<(Box<str>, Box<str>), u32>,
    pub dtypes: Vec<Dtype>,
}

impl Tables {
    /// A value for `text`. `machines` are where it may be referred to.
    pub fn text(&mut self, text: &str, machines: &mut [Machine]) -> Value {
        if text.len() > TEXT_MAX || !text.chars().all(may_stand_in_a_name) {
            return Value::Other;
        }
        if let Some(&id) = self.texts.get(text) {
            return Value::Text(id);
        }
        if self.by_id.len() >= TEXTS_MAX {
            self.forget(machines);
        }
        if self.by_id.len() >= TEXTS_MAX || self.next_text == u32::MAX {
            return Value::Other;
        }
        let id = self.next_text;
        self.next_text += 1;
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text), id);
        self.by_id.insert(id, text);
        Value::Text(id)
    }

    /// Forgets the texts that are only remembered, and have not served as names.
    fn forget(&mut self, machines: &mut [Machine]) {
        let mut kept = self.names.clone();
        for machine in &mut *machines {
            kept.extend(machine.values().0.filter_map(|value| match value {
                Value::Text(id) | Value::TextTuple(id) => Some(*id),
                _ => None,
            }));
        }
        for machine in machines {
            for value in machine.values().1 {
                if let Value::Text(id) | Value::TextTuple(id) = value
                    && !kept.contains(id)
                {
                    *value = Value::Other;
                }
            }
        }
        self.by_id.retain(|id, _| kept.contains(id));
        self.texts.retain(|_, id| kept.contains(id));
    }

    pub fn name(&self, id: u32) -> Option<&str> {
        self.by_id.get(&id).map(|text| &**text)
    }

    /// Notes that a text served as a name.
    pub fn served(&mut self, id: u32) {
        if self.names.len() < 2 * IMPORTS_MAX {
            self.names.insert(id);
        }
    }

    /// A number for an import, and whether it is new; `None` if there are too many.
    pub fn import(&mut self, module: &str, name: &str) -> Option<(u32, bool)> {
        let key = (Box::from(module), Box::from(name));
        if let Some(&id) = self.import_ids.get(&key) {
            return Some((id, false));
        }
        if self.imports.len() == IMPORTS_MAX {
            return None;
        }
        let id = u32::try_from(self.imports.len()).ok()?;
        self.imports.push(key.clone());
        self.import_ids.insert(key, id);
        Some((id, true))
    }

    pub fn imported(&self, id: u32) -> (&str, &str) {
        self.imports.get(id as usize).map_or(("", ""), |(module, name)| (module, name))
    }

    pub fn dtype(&mut self, text: &str) -> Value {
        if self.dtypes.len() == DTYPES_MAX {
            return Value::Other;
        }
        self.dtypes.push(parse_dtype(text));
        u32::try_from(self.dtypes.len() - 1).map_or(Value::Other, Value::Dtype)
    }
}

/// What a value made by a tuple of `values` is.
pub(super) fn tuple_of(values: &[Value], tables: &Tables) -> Value {
    let objects = |value: &Value| match value {
        Value::HoldsObjects => true,
        Value::Dtype(id) => tables.dtypes.get(*id as usize).is_none_or(|dtype| dtype.objects),
        _ => false,
    };
    if values.iter().any(objects) {
        return Value::HoldsObjects;
    }
    match values.first() {
        Some(Value::Text(id)) => return Value::TextTuple(*id),
        Some(Value::Import(id)) => return Value::ImportTuple(*id),
        _ => {}
    }
    let product = values.iter().try_fold(1_u64, |product, value| match value {
        Value::Int(number) => product.checked_mul(*number),
        _ => None,
    });
    product.map_or(Value::Other, Value::Shape)
}

/// `f8`, `<U5`, `O8` and the like, as NumPy pickles a type.
fn parse_dtype(text: &str) -> Dtype {
    let plain = text.trim_start_matches(['<', '>', '|', '=']);
    let mut chars = plain.chars();
    let kind = chars.next();
    let size: Option<u64> = chars.as_str().parse().ok();
    let size = match kind {
        Some('U') => size.and_then(|size| size.checked_mul(4)),
        Some('b' | 'i' | 'u' | 'f' | 'c' | 'm' | 'M' | 'S' | 'V') => size,
        _ => None,
    };
    Dtype { size, objects: kind == Some('O') }
}

/// A module may be called whatever a file can be called; but nothing with white space or control characters is
/// kept, for most texts are not names.
fn may_stand_in_a_name(c: char) -> bool {
    !c.is_whitespace() && !c.is_control()
}
