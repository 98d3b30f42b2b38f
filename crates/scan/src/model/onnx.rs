//! ONNX: protocol buffers (`onnx.proto`), read message by message without keeping the model.

use std::collections::BTreeSet;

use consign_metadata::{EntryPath, NameProfile};

use super::notes::{Notes, rule, shown};
use super::{Facts, facts};
use crate::inspect::{Inspect, Need, Report, Subject};

/// How deep messages may lie in each other: graphs stand in attributes of nodes in graphs.
const DEPTH_MAX: usize = 64;
/// Longest text that is read.
const TEXT_MAX: u64 = 4096;
/// Most operators outside the known domains that are told apart.
const OPERATORS_MAX: usize = 1024;
/// Most external files that are told apart.
const EXTERNAL_MAX: usize = 4096;

/// Domains of operators that every runtime brings, or whose maker is the runtime's (ONNX Runtime).
const DOMAINS: [&str; 9] = [
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
];

/// Types of tensors: name and bits of a number (`TensorProto.DataType`).
const TYPES: [(&str, u64); 24] = [
    ("UNDEFINED", 0),
    ("FLOAT", 32),
    ("UINT8", 8),
    ("INT8", 8),
    ("UINT16", 16),
    ("INT16", 16),
    ("INT32", 32),
    ("INT64", 64),
    ("STRING", 0),
    ("BOOL", 8),
    ("FLOAT16", 16),
    ("DOUBLE", 64),
    ("UINT32", 32),
    ("UINT64", 64),
    ("COMPLEX64", 64),
    ("COMPLEX128", 128),
    ("BFLOAT16", 16),
    ("FLOAT8E4M3FN", 8),
    ("FLOAT8E4M3FNUZ", 8),
    ("FLOAT8E5M2", 8),
    ("FLOAT8E5M2FNUZ", 8),
    ("UINT4", 4),
    ("INT4", 4),
    ("FLOAT4E2M1", 4),
];

/// The messages that are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    OperatorSet,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor {
        initializer: bool,
    },
    SparseTensor,
    Entry,
    /// Packed numbers: the sides of a tensor.
    Sides,
}

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Message(Kind),
    Text,
    /// A number that matters.
    Number,
    /// The bytes of a tensor.
    Raw,
    Skipped,
}

/// The field of this number in a message (`onnx.proto`).
fn field(kind: Kind, number: u64) -> Field {
    use Field::{Message, Number, Raw, Text};
    match (kind, number) {
        (Kind::Model, 7) => Message(Kind::Graph),
        (Kind::Model, 8) | (Kind::Function, 9) => Message(Kind::OperatorSet),
        (Kind::Model, 20) => Message(Kind::Training),
        (Kind::Model, 25) => Message(Kind::Function),
        (Kind::Training, 1 | 2) => Message(Kind::Graph),
        (Kind::Graph, 1) | (Kind::Function, 7) => Message(Kind::Node),
        (Kind::Graph, 5) => Message(Kind::Tensor { initializer: true }),
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Message(Kind::SparseTensor),
        (Kind::Function, 11) => Message(Kind::Attribute),
        (Kind::Function, 1 | 10) => Text,
        (Kind::Node, 4 | 7) => Text,
        (Kind::Node, 5) => Message(Kind::Attribute),
        (Kind::Attribute, 5 | 10) => Message(Kind::Tensor { initializer: false }),
        (Kind::Attribute, 6 | 11) => Message(Kind::Graph),
        (Kind::SparseTensor, 1) => Message(Kind::Tensor { initializer: true }),
        (Kind::SparseTensor, 2) => Message(Kind::Tensor { initializer: false }),
        (Kind::Tensor { .. }, 1) => Message(Kind::Sides),
        (Kind::Tensor { .. }, 2 | 14) => Number,
        (Kind::Tensor { .. }, 9) => Raw,
        (Kind::Tensor { .. }, 13) => Message(Kind::Entry),
        (Kind::Entry, 1 | 2) => Text,
        _ => Field::Skipped,
    }
}

/// A message that is being read, and what has been read of it.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    /// Where it ends; the model itself ends with the file.
    end: Option<u64>,
    /// Texts: name or operator or key; domain or value.
    texts: [Option<String>; 2],
    dtype: u64,
    external: bool,
    location: Option<String>,
    has_entries: bool,
    /// The product of the sides.
    elements: Option<u64>,
    raw: Option<u64>,
}

impl Frame {
    fn new(kind: Kind, end: Option<u64>) -> Self {
        Self {
            kind,
            end,
            texts: [None, None],
            dtype: 0,
            external: false,
            location: None,
            has_entries: false,
            elements: Some(1),
            raw: None,
        }
    }
}

#[derive(Debug)]
enum State {
    /// A varint, of which so much has been read: the number of a field, its value or its length.
    Varint {
        what: Varint,
        value: u64,
        bytes: u32,
    },
    Skip {
        left: u64,
    },
    Text {
        number: u64,
        left: u64,
        bytes: Vec<u8>,
    },
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Varint {
    Tag,
    Value { number: u64 },
    Length { number: u64 },
}

const TAG: State = State::Varint { what: Varint::Tag, value: 0, bytes: 0 };

/// Looks into an ONNX model.
#[derive(Debug)]
pub(super) struct Onnx {
    notes: Notes,
    state: State,
    frames: Vec<Frame>,
    position: u64,
    facts: Facts,
    /// Operators of domains that are not known, and those that the model defines itself.
    used: BTreeSet<(String, String)>,
    defined: BTreeSet<(String, String)>,
    locations: BTreeSet<String>,
    graphs: u64,
}

impl Onnx {
    pub(super) fn new(subject: &Subject) -> Self {
        Self {
            notes: Notes::new(subject),
            state: TAG,
            frames: vec![Frame::new(Kind::Model, None)],
            position: 0,
            facts: Facts::default(),
            used: BTreeSet::new(),
            defined: BTreeSet::new(),
            locations: BTreeSet::new(),
            graphs: 0,
        }
    }

    fn step(&mut self, bytes: &[u8], report: &mut Report) -> Result<usize, &'static str> {
        match &mut self.state {
            State::Done => Ok(bytes.len()),
            State::Varint { what, value, bytes: count } => {
                let (byte, what) = (bytes[0], *what);
                // Ten bytes hold 64 bits; the last of them but one.
                if *count == 9 && byte > 1 {
                    return Err("has a number that is too long");
                }
                *value |= u64::from(byte & 0x7f) << (7 * *count);
                *count += 1;
                let (value, more) = (*value, byte >= 0x80);
                self.position += 1;
                if !more {
                    self.state = TAG;
                    self.varint(what, value)?;
                } else if self.ends(self.position) {
                    return Err("has a field that reaches beyond its message");
                }
                self.close(report)?;
                Ok(1)
            }
            State::Skip { left } => {
                let step = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= step as u64;
                let done = *left == 0;
                self.position += step as u64;
                if done {
                    self.state = TAG;
                    self.close(report)?;
                }
                Ok(step)
            }
            State::Text { number, left, bytes: kept } => {
                let step = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                kept.extend_from_slice(&bytes[..step]);
                *left -= step as u64;
                self.position += step as u64;
                if *left == 0 {
                    let (number, text) = (*number, shown(kept));
                    self.state = TAG;
                    self.text(number, text);
                    self.close(report)?;
                }
                Ok(step)
            }
        }
    }

    fn ends(&self, position: u64) -> bool {
        self.frames.last().and_then(|frame| frame.end).is_some_and(|end| position >= end)
    }

    fn varint(&mut self, what: Varint, value: u64) -> Result<(), &'static str> {
        let Some(frame) = self.frames.last_mut() else { return Err("is not nested as it should") };
        if let (Kind::Sides, Varint::Tag) = (frame.kind, what) {
            // No tags stand in packed numbers.
            self.side(value);
            return Ok(());
        }
        let room = frame.end.map_or(u64::MAX, |end| end.saturating_sub(self.position));
        match what {
            Varint::Tag => {
                let number = value >> 3;
                if number == 0 || value > u64::from(u32::MAX) {
                    return Err("has a field of a number that cannot be");
                }
                self.state = match value & 7 {
                    0 => State::Varint { what: Varint::Value { number }, value: 0, bytes: 0 },
                    2 => State::Varint { what: Varint::Length { number }, value: 0, bytes: 0 },
                    1 | 5 => {
                        let left = if value & 7 == 1 { 8 } else { 4 };
                        if left > room {
                            return Err("has a field that reaches beyond its message");
                        }
                        State::Skip { left }
                    }
                    _ => return Err("has a field of a kind that is not known"),
                };
                if room == 0 {
                    return Err("has a field that reaches beyond its message");
                }
            }
            Varint::Value { number } => match (frame.kind, field(frame.kind, number)) {
                (Kind::Tensor { .. }, Field::Number) if number == 2 => frame.dtype = value,
                (Kind::Tensor { .. }, Field::Number) => frame.external |= value == 1,
                (Kind::Tensor { .. }, Field::Message(Kind::Sides)) => self.side(value),
                (_, Field::Message(_) | Field::Text | Field::Raw) => {
                    return Err("has a field of another kind than it should be");
                }
                _ => {}
            },
            Varint::Length { number } => {
                if value > room || value > i64::MAX as u64 {
                    return Err("has a field that reaches beyond its message");
                }
                let end = self.position.checked_add(value).ok_or("has a length that cannot be")?;
                match field(frame.kind, number) {
                    Field::Message(kind) => {
                        if kind == Kind::Graph {
                            self.graphs += 1;
                        }
                        if self.frames.len() == DEPTH_MAX {
                            return Err("has messages too deep in each other");
                        }
                        self.frames.push(Frame::new(kind, Some(end)));
                    }
                    Field::Text if value <= TEXT_MAX => {
                        self.state = State::Text { number, left: value, bytes: Vec::new() };
                        if value == 0 {
                            self.state = TAG;
                            self.text(number, String::new());
                        }
                    }
                    // A value of external data that is no location may be long; a name is not.
                    Field::Text => return Err("has a text that is too long"),
                    Field::Number => return Err("has a field of another kind than it should be"),
                    Field::Raw | Field::Skipped => {
                        if field(frame.kind, number) == Field::Raw {
                            frame.raw = Some(value);
                        }
                        if value > 0 {
                            self.state = State::Skip { left: value };
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// One side of a tensor.
    fn side(&mut self, side: u64) {
        let tensor = self.frames.iter_mut().rev().find(|frame| matches!(frame.kind, Kind::Tensor { .. }));
        if let Some(tensor) = tensor {
            tensor.elements = tensor
                .elements
                .and_then(|elements| elements.checked_mul(side))
                .filter(|elements| *elements <= i64::MAX as u64);
        }
    }

    fn text(&mut self, number: u64, text: String) {
        let Some(frame) = self.frames.last_mut() else { return };
        let at = usize::from(matches!(
            (frame.kind, number),
            (Kind::Node, 7) | (Kind::Function, 10) | (Kind::Entry, 2)
        ));
        frame.texts[at] = Some(text);
    }

    /// Ends the messages that end here.
    fn close(&mut self, report: &mut Report) -> Result<(), &'static str> {
        let at_tag = matches!(self.state, State::Varint { what: Varint::Tag, bytes: 0, .. });
        while self.frames.len() > 1 && self.ends(self.position) {
            if !at_tag || self.frames.last().and_then(|frame| frame.end) != Some(self.position) {
                return Err("has a field that reaches beyond its message");
            }
            if let Some(frame) = self.frames.pop() {
                self.ended(frame, report)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, mut frame: Frame, report: &mut Report) -> Result<(), &'static str> {
        let [first, second] = std::mem::take(&mut frame.texts);
        match frame.kind {
            Kind::Node | Kind::Function => {
                let domain = second.unwrap_or_default();
                if !DOMAINS.contains(&domain.as_str()) || frame.kind == Kind::Function {
                    let list = if frame.kind == Kind::Node { &mut self.used } else { &mut self.defined };
                    list.insert((domain, first.unwrap_or_default()));
                    if list.len() > OPERATORS_MAX {
                        return Err("has more operators than can be listed");
                    }
                }
            }
            Kind::Entry => {
                if let Some(tensor) = self.frames.last_mut() {
                    tensor.has_entries = true;
                    if first.as_deref() == Some("location") {
                        // The last one counts for readers, so does any for us.
                        let again = tensor.location.replace(second.unwrap_or_default());
                        if again.is_some() {
                            return Err("has two locations for one tensor");
                        }
                    }
                }
            }
            Kind::Tensor { initializer } => self.tensor(&frame, initializer, report)?,
            _ => {}
        }
        Ok(())
    }

    fn tensor(&mut self, frame: &Frame, initializer: bool, report: &mut Report) -> Result<(), &'static str> {
        let Some(elements) = frame.elements else { return Err("has a tensor that is too large") };
        let known = usize::try_from(frame.dtype).ok().and_then(|at| TYPES.get(at));
        if let (Some(raw), Some((_, bits @ 1..))) = (frame.raw, known)
            && raw != elements.checked_mul(*bits).ok_or("has a tensor that is too large")?.div_ceil(8)
        {
            return Err("has a tensor whose length differs from its shape");
        }
        if initializer {
            self.facts.tensors += 1;
            self.facts.parameters = self.facts.parameters.saturating_add(elements);
            let name = known.map_or_else(|| format!("type {}", frame.dtype), |(name, _)| (*name).to_owned());
            if self.facts.dtypes.len() < 64 {
                self.facts.dtypes.insert(name);
            }
        }
        match &frame.location {
            Some(location) => {
                if self.locations.len() == EXTERNAL_MAX {
                    return Err("names more external files than can be listed");
                }
                if self.locations.insert(location.clone()) {
                    self.external(location, report);
                }
            }
            None if frame.external || frame.has_entries => {
                return Err("has a tensor in another file without saying in which");
            }
            None => {}
        }
        Ok(())
    }

    /// A tensor lies in another file, which must be of the bundle.
    fn external(&mut self, location: &str, report: &mut Report) {
        let subject = self.notes.subject().clone();
        let beside = |model: &EntryPath| {
            let folder = model.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
            let location = location.strip_prefix("./").unwrap_or(location);
            let path = if folder.is_empty() { location.to_owned() } else { format!("{folder}/{location}") };
            EntryPath::parse(&path, NameProfile::Posix).ok()
        };
        let drive = location.as_bytes().get(1) == Some(&b':');
        let plain = !location.is_empty() && !location.starts_with('/') && !location.contains('\\') && !drive;
        let path = subject.path.as_ref().and_then(beside).filter(|_| plain);
        match (path, &subject.member) {
            (Some(path), None) => report.needs.push(Need::file(rule::EXTERNAL_DATA, path)),
            // Within an archive the neighbours are members; which exist is not known here.
            (Some(_), Some(_)) => {}
            (None, _) => self.notes.add(report, rule::EXTERNAL_DATA, location),
        }
    }
}

impl Inspect for Onnx {
    fn update(&mut self, mut bytes: &[u8], report: &mut Report) {
        while !bytes.is_empty() {
            match self.step(bytes, report) {
                Ok(taken) => bytes = &bytes[taken.min(bytes.len())..],
                Err(fault) => {
                    self.notes.add(report, rule::BAD_ONNX, fault);
                    self.state = State::Done;
                }
            }
        }
    }

    fn finish(&mut self, report: &mut Report) {
        let whole = match self.state {
            State::Done => true,
            State::Varint { what: Varint::Tag, bytes: 0, .. } => self.frames.len() == 1,
            _ => false,
        };
        if !whole {
            self.notes.add(report, rule::BAD_ONNX, "ends within a message");
        } else if self.graphs == 0 && !matches!(self.state, State::Done) {
            self.notes.add(report, rule::BAD_ONNX, "has no graph");
        }
        for operator in self.used.difference(&self.defined) {
            self.notes.add(report, rule::ONNX_CUSTOM, &format!("{}.{}", operator.0, operator.1));
        }
        if !self.notes.has(rule::BAD_ONNX) {
            facts(report, self.notes.subject(), "onnx", &self.facts);
        }
    }
}
