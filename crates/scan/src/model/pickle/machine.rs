//! The stack and the memo of an unpickler, with what the walk has to know in place of objects: texts that may be
//! names, imports, and what joblib says about the arrays that it writes between opcodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Longest text that is kept: names of modules and of what is in them.
pub(super) const TEXT_MAX: usize = 256;
/// Most texts that are kept at once.
const TEXTS_MAX: usize = 1 << 17;
/// The texts that decide how joblib reads an array; they are always kept, in this order.
const ARRAY_KEYS: [&str; 3] = ["shape", "dtype", "numpy_array_alignment_bytes"];
/// Most imports that are told apart.
pub(super) const IMPORTS_MAX: usize = 4096;
/// Most values on the stack, and in the memo, of the main reading; others are short, or not what they seem.
pub(super) const VALUES_MAX: usize = 1 << 21;
pub(super) const VALUES_ASIDE_MAX: usize = 1 << 16;
/// Keys of the memo so far beyond the last one are kept one by one.
const MEMO_GAP: usize = 1024;
/// Most types of arrays.
const DTYPES_MAX: usize = 1 << 16;
/// Most dicts of which more is known than that they are dicts.
const DICTS_MAX: usize = 1 << 16;

/// What is known about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Not an object: where a group of them begins.
    Mark,
    /// A text that may be a name.
    Text(u32),
    /// Something imported.
    Import(u32),
    /// `None`.
    None,
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
    /// A dict, by its number, since what is said of it may be said through another reference to it.
    Dict(u32),
    /// A tuple or list that somewhere holds a NumPy type whose elements are objects.
    HoldsObjects,
    /// An object of an imported class.
    Object(u32),
    /// A text that is not kept: whether it is a name cannot be told.
    Str,
    /// Anything, also something imported: the walk could not follow.
    Unknown,
    /// Anything else that is neither text nor imported.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArrayState {
    pub elements: Option<u64>,
    pub dtype: Option<u32>,
    /// Whether the numbers begin at a multiple of something; `None` if that is not said.
    pub aligned: Option<bool>,
}

impl Default for ArrayState {
    /// Before joblib 1.2 nothing was aligned, and nothing was said of it.
    fn default() -> Self {
        Self { elements: None, dtype: None, aligned: Some(false) }
    }
}

/// Stack and memo of one pickle.
#[derive(Debug)]
pub(super) struct Machine {
    stack: Vec<Value>,
    /// Where on the stack the marks are.
    marks: Vec<usize>,
    /// The lower part of the stack was dropped: what is taken from below may be anything.
    buried: bool,
    memo: Memo,
    limit: usize,
}

/// The memo: keys mostly follow each other, but may be any number.
#[derive(Debug, Default)]
struct Memo {
    near: Vec<Option<Value>>,
    far: HashMap<u64, Value>,
    /// How many keys are set: what MEMOIZE takes for the next.
    set: usize,
    /// Something that was put in is not kept: what is not found may be anything.
    lost: bool,
}

impl Machine {
    pub fn new(limit: usize) -> Self {
        Self { stack: Vec::new(), marks: Vec::new(), buried: false, memo: Memo::default(), limit }
    }

    /// The values on the stack, marks among them.
    pub fn stack(&self) -> &[Value] {
        &self.stack
    }

    /// The value on top, or a mark.
    pub fn top(&self) -> Option<Value> {
        self.stack.last().copied().or(self.buried.then_some(Value::Unknown))
    }

    pub fn top_mut(&mut self) -> Option<&mut Value> {
        self.stack.last_mut()
    }

    /// [`Lost::TooMuch`] if the lower half had to be dropped for it.
    pub fn push(&mut self, value: Value) -> Result<(), Lost> {
        let full = self.stack.len() >= self.limit;
        if full {
            let dropped = self.stack.len() / 2;
            self.stack.drain(..dropped);
            self.marks.retain_mut(|at| {
                let stays = *at >= dropped;
                *at = at.saturating_sub(dropped);
                stays
            });
            self.buried = true;
        }
        if value == Value::Mark {
            self.marks.push(self.stack.len());
        }
        self.stack.push(value);
        if full { Err(Lost::TooMuch) } else { Ok(()) }
    }

    /// The value on top, which is no mark.
    pub fn pop(&mut self) -> Result<Value, Lost> {
        match self.stack.last() {
            None if self.buried => Ok(Value::Unknown),
            None | Some(Value::Mark) => Err(Lost::Underflow),
            Some(&value) => {
                self.stack.pop();
                Ok(value)
            }
        }
    }

    /// Takes a mark from the top, if one is there.
    pub fn pop_mark(&mut self) -> bool {
        let is_mark = self.stack.last() == Some(&Value::Mark);
        if is_mark {
            self.stack.pop();
            self.marks.pop();
        }
        is_mark
    }

    /// Where the values above the last mark begin. If it was dropped, they may be any.
    pub fn marked(&self) -> Result<Option<usize>, Lost> {
        match self.marks.last() {
            Some(at) => Ok(Some(at + 1)),
            None if self.buried => Ok(None),
            None => Err(Lost::Underflow),
        }
    }

    /// Takes everything above the last mark, and the mark.
    pub fn truncate_to_mark(&mut self) {
        self.stack.truncate(self.marks.pop().unwrap_or(0));
    }

    pub fn put(&mut self, key: u64) -> Result<(), Lost> {
        let value = match self.top() {
            None | Some(Value::Mark) => return Err(Lost::Underflow),
            Some(value) => value,
        };
        self.memo.put(key, value, self.limit)
    }

    pub fn memoize(&mut self) -> Result<(), Lost> {
        self.put(self.memo.set as u64)
    }

    pub fn get(&self, key: u64) -> Result<Value, Lost> {
        let near = usize::try_from(key).ok().and_then(|key| self.memo.near.get(key).copied().flatten());
        let found = near.or_else(|| self.memo.far.get(&key).copied());
        found.or(self.memo.lost.then_some(Value::Unknown)).ok_or(Lost::Unset)
    }

    /// The values that are still within reach: those on the stack, and those that are remembered.
    fn values(&mut self) -> (impl Iterator<Item = &Value>, impl Iterator<Item = &mut Value>) {
        (self.stack.iter(), self.memo.near.iter_mut().flatten().chain(self.memo.far.values_mut()))
    }

    /// How many values there are.
    fn len(&self) -> usize {
        self.stack.len() + self.memo.near.len() + self.memo.far.len()
    }
}

impl Memo {
    fn put(&mut self, key: u64, value: Value, limit: usize) -> Result<(), Lost> {
        let index = usize::try_from(key).unwrap_or(usize::MAX);
        if index >= self.near.len() && index < limit && index - self.near.len() <= MEMO_GAP {
            self.near.resize(index + 1, None);
        }
        if let Some(place) = self.near.get_mut(index) {
            let known = place.replace(value).is_some() || self.far.remove(&key).is_some();
            self.set += usize::from(!known);
            return Ok(());
        }
        if self.far.len() >= limit && !self.far.contains_key(&key) {
            self.lost = true;
            self.set += 1;
            return Err(Lost::TooMuch);
        }
        self.set += usize::from(self.far.insert(key, value).is_none());
        Ok(())
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
#[derive(Debug)]
pub(super) struct Tables {
    texts: HashMap<Arc<str>, u32>,
    by_id: HashMap<u32, Arc<str>>,
    next_text: u32,
    /// Texts that served as names: they are likely to serve again.
    names: HashSet<u32>,
    /// How many texts may go unkept before it is worth looking again which are still needed.
    unkept: usize,
    next_dict: u32,
    dicts: HashMap<u32, DictState>,
    /// Something was said of a dict that is not kept.
    dicts_lost: bool,
    imports: Vec<(Box<str>, Box<str>)>,
    import_ids: HashMap<(Box<str>, Box<str>), u32>,
    pub dtypes: Vec<Dtype>,
}

/// What is known of a dict.
#[derive(Clone, Copy, Debug, Default)]
struct DictState {
    array: ArrayState,
    /// It holds a NumPy type whose elements are objects.
    objects: bool,
}

impl Tables {
    pub fn new() -> Self {
        let mut tables = Self {
            texts: HashMap::new(),
            by_id: HashMap::new(),
            next_text: 0,
            names: HashSet::new(),
            unkept: 0,
            next_dict: 0,
            dicts: HashMap::new(),
            dicts_lost: false,
            imports: Vec::new(),
            import_ids: HashMap::new(),
            dtypes: Vec::new(),
        };
        for key in ARRAY_KEYS {
            if let Value::Text(id) = tables.text(key, &mut [], &mut 0) {
                tables.names.insert(id);
            }
        }
        tables
    }

    /// A value for `text`. `machines` are where it may be referred to; the work that this takes is added to `work`.
    pub fn text(&mut self, text: &str, machines: &mut [Machine], work: &mut u64) -> Value {
        if text.len() > TEXT_MAX || !text.chars().all(may_stand_in_a_name) {
            return Value::Str;
        }
        if let Some(&id) = self.texts.get(text) {
            return Value::Text(id);
        }
        if self.by_id.len() >= TEXTS_MAX {
            // Looking through everything is paid for by as many texts as can be kept.
            if self.unkept == 0 {
                *work += machines.iter().map(|machine| machine.len() as u64).sum::<u64>();
                self.forget(machines);
                self.unkept = TEXTS_MAX;
            }
            self.unkept -= 1;
        }
        if self.by_id.len() >= TEXTS_MAX || self.next_text == u32::MAX {
            return Value::Str;
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
                    *value = Value::Str;
                }
            }
        }
        self.by_id.retain(|id, _| kept.contains(id));
        self.texts.retain(|_, id| kept.contains(id));
    }

    /// A new dict.
    pub fn dict(&mut self) -> Value {
        self.next_dict = self.next_dict.wrapping_add(1);
        Value::Dict(self.next_dict)
    }

    /// Notes that `key` of a dict is `value` from now on.
    pub fn set_item(&mut self, dict: u32, key: Value, value: Value) {
        let objects = self.holds_objects(value);
        let key = match key {
            Value::Text(id) => self.name(id).and_then(|name| ARRAY_KEYS.iter().position(|key| *key == name)),
            Value::Unknown => {
                self.dicts_lost = true;
                None
            }
            _ => None,
        };
        if key.is_none() && !objects {
            return;
        }
        if self.dicts.len() >= DICTS_MAX && !self.dicts.contains_key(&dict) {
            self.dicts_lost = true;
            return;
        }
        let state = self.dicts.entry(dict).or_default();
        state.objects |= objects;
        match (key, value) {
            (Some(0), Value::Shape(elements)) => state.array.elements = Some(elements),
            (Some(0), _) => state.array.elements = None,
            (Some(1), Value::Dtype(id)) => state.array.dtype = Some(id),
            (Some(1), _) => state.array.dtype = None,
            (Some(_), Value::Int(_)) => state.array.aligned = Some(true),
            (Some(_), Value::None) => state.array.aligned = Some(false),
            (Some(_), _) => state.array.aligned = None,
            (None, _) => {}
        }
    }

    /// What a dict says about an array; nothing if that is not certain.
    pub fn array(&self, dict: Value) -> ArrayState {
        match dict {
            Value::Dict(id) if !self.dicts_lost => self.dicts.get(&id).map(|state| state.array),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// Whether something holds a NumPy type whose elements are objects, or may.
    pub fn holds_objects(&self, value: Value) -> bool {
        match value {
            Value::HoldsObjects => true,
            Value::Dtype(id) => self.dtypes.get(id as usize).is_none_or(|dtype| dtype.objects),
            Value::Dict(id) => self.dicts_lost || self.dicts.get(&id).is_some_and(|state| state.objects),
            _ => false,
        }
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

    /// The same value as `other` knows it: names and imports are numbered anew, and of the rest nothing is known.
    pub fn translated(&self, value: Value, other: &mut Self) -> Value {
        let mut import = |id| {
            let (module, name) = self.imported(id);
            other.import(module, name).map(|(id, _)| id)
        };
        match value {
            Value::Text(id) => match self.name(id) {
                Some(name) => other.text(name, &mut [], &mut 0),
                None => Value::Str,
            },
            Value::Import(id) => import(id).map_or(Value::Unknown, Value::Import),
            Value::Object(id) => import(id).map_or(Value::Unknown, Value::Object),
            Value::TextTuple(_) | Value::ImportTuple(_) | Value::Dtype(_) | Value::Dict(_) => Value::Other,
            value => value,
        }
    }

    pub fn imported(&self, id: u32) -> (&str, &str) {
        self.imports.get(id as usize).map_or(("", ""), |(module, name)| (module, name))
    }

    pub fn dtype(&mut self, text: &str) -> Value {
        if self.dtypes.len() == DTYPES_MAX {
            return Value::Unknown;
        }
        self.dtypes.push(parse_dtype(text));
        u32::try_from(self.dtypes.len() - 1).map_or(Value::Other, Value::Dtype)
    }
}

/// What a value made by a tuple of `values` is.
pub(super) fn tuple_of(values: &[Value], tables: &Tables) -> Value {
    if values.iter().any(|value| tables.holds_objects(*value)) {
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
