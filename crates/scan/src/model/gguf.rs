//! GGUF, versions 2 and 3, of either byte order: metadata, tensor infos, then the tensors one behind the other
//! (`ggml/docs/gguf.md`).

use std::collections::HashSet;

use consign_metadata::StaticRuleId;

use super::feed::{Feed, Want, be, le};
use super::notes::{Notes, rule, shown};
use super::{Facts, facts};
use crate::inspect::{Inspect, Report, Subject};

/// Most keys of metadata, and most tensors.
const ENTRIES_MAX: u64 = 1 << 16;
/// Longest key; the format says 65535.
const KEY_MAX: u64 = 65_535;
/// Longest name of a tensor. The format says 64, and programs that are built for more write longer ones.
const NAME_MAX: u64 = 1024;
/// Most dimensions.
const DIMENSIONS_MAX: u64 = 4;
/// How deep arrays may lie in each other.
const NESTING_MAX: usize = 4;

/// Types of tensors: name, elements of a block, bytes of a block (`ggml-common.h`).
#[rustfmt::skip]
const TYPES: [(u64, &str, u64, u64); 40] = [
    (0, "F32", 1, 4), (1, "F16", 1, 2), (2, "Q4_0", 32, 18), (3, "Q4_1", 32, 20), (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24), (8, "Q8_0", 32, 34), (9, "Q8_1", 32, 36), (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110), (12, "Q4_K", 256, 144), (13, "Q5_K", 256, 176), (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292), (16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74), (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50), (20, "IQ4_NL", 32, 18), (21, "IQ3_S", 256, 110), (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136), (24, "I8", 1, 1), (25, "I16", 1, 2), (26, "I32", 1, 4), (27, "I64", 1, 8),
    (28, "F64", 1, 8), (29, "IQ1_M", 256, 56), (30, "BF16", 1, 2),
    // No longer written; files of 2024 have them.
    (31, "Q4_0_4_4", 32, 18), (32, "Q4_0_4_8", 32, 18), (33, "Q4_0_8_8", 32, 18), (36, "IQ4_NL_4_4", 32, 18),
    (37, "IQ4_NL_4_8", 32, 18), (38, "IQ4_NL_8_8", 32, 18), (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66), (39, "MXFP4", 32, 17), (40, "NVFP4", 64, 36), (41, "Q1_0", 128, 18),
];

/// Numbers below this one may be types that came later; more are none.
const LATER_TYPES: u64 = 1 << 10;

const UINT32: u64 = 4;
const STRING: u64 = 8;
const ARRAY: u64 = 9;

/// Bytes of a value of a type that has a fixed length.
fn width(kind: u64) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

/// Looks into a GGUF file.
#[derive(Debug)]
pub(super) struct Gguf {
    notes: Notes,
    feed: Feed,
    parser: Parser,
}

impl Gguf {
    pub(super) fn new(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), feed: Feed::new(Want::Take(24)), parser: Parser::default() }
    }
}

impl Inspect for Gguf {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        let Self { notes, feed, parser } = self;
        feed.update(bytes, |piece, seen| match parser.next(piece, seen, notes, report) {
            Ok(want) => want,
            Err(Stop { rule, what }) => {
                notes.add(report, rule, what);
                parser.end = None;
                Want::Nothing
            }
        });
    }

    fn finish(&mut self, report: &mut Report) {
        if self.feed.is_waiting() {
            self.notes.add(report, rule::BAD_GGUF, "ends within the header");
        }
        if let Some(End { data, padded }) = self.parser.end {
            let seen = self.feed.seen();
            // Nothing is at the end of a file without tensors, not even padding.
            if seen < data {
                self.notes.add(report, rule::BAD_GGUF, "ends within the tensors");
            } else if seen > padded {
                self.notes.add(report, rule::BAD_GGUF, "has bytes behind the tensors");
            }
        }
    }
}

/// Why a file is read no further.
#[derive(Clone, Copy, Debug)]
struct Stop {
    rule: StaticRuleId,
    what: &'static str,
}

impl From<&'static str> for Stop {
    /// What contradicts the format.
    fn from(what: &'static str) -> Self {
        Self { rule: rule::BAD_GGUF, what }
    }
}

/// What may be in order, and nobody can tell.
fn unread(what: &'static str) -> Stop {
    Stop { rule: rule::OPAQUE, what }
}

/// Where the tensors end, without and with the padding of the last.
#[derive(Clone, Copy, Debug)]
struct End {
    data: u64,
    padded: u64,
}

#[derive(Debug, Default)]
enum Step {
    #[default]
    Head,
    KeyLength,
    Key,
    Kind,
    Value(u64),
    TextLength,
    Text,
    ArrayHead,
    Elements,
    NameLength,
    Name,
    Dimensions,
    Info,
    Done,
}

#[derive(Debug, Default)]
struct Parser {
    step: Step,
    keys_left: u64,
    tensors_left: u64,
    keys: HashSet<Vec<u8>>,
    names: HashSet<Vec<u8>>,
    key: Vec<u8>,
    /// Type and number of the elements that are left, of arrays in arrays.
    arrays: Vec<(u64, u64)>,
    big_endian: bool,
    alignment: Option<u64>,
    dimensions: usize,
    facts: Facts,
    /// Offset and length of each tensor.
    tensors: Vec<(u64, u64)>,
    end: Option<End>,
}

impl Parser {
    fn next(
        &mut self,
        piece: &[u8],
        seen: u64,
        notes: &mut Notes,
        report: &mut Report,
    ) -> Result<Want, Stop> {
        Ok(match self.step {
            Step::Head => {
                if !piece.starts_with(b"GGUF") {
                    return Err("does not begin as GGUF".into());
                }
                // The version says the byte order as well: it is small.
                self.big_endian = match le::<4>(piece, 4) {
                    2 | 3 => false,
                    0x0200_0000 | 0x0300_0000 => true,
                    1 | 0x0100_0000 => return Err(unread("is of version 1, which is not looked into")),
                    _ => return Err("has a version that is not known".into()),
                };
                (self.tensors_left, self.keys_left) =
                    (self.number::<8>(piece, 8), self.number::<8>(piece, 16));
                if self.tensors_left > ENTRIES_MAX || self.keys_left > ENTRIES_MAX {
                    return Err("lists more than can be looked into".into());
                }
                self.next_key(seen, notes, report)?
            }
            Step::KeyLength => {
                self.step = Step::Key;
                Want::Take(bounded(self.number::<8>(piece, 0), KEY_MAX).ok_or("has a key that is too long")?)
            }
            Step::Key => {
                if self.keys.len() < 4096 && !self.keys.insert(piece.to_vec()) {
                    return Err("has a key twice".into());
                }
                self.key = piece.to_vec();
                if self.key.starts_with(b"tokenizer.chat_template") {
                    notes.add(report, rule::CHAT_TEMPLATE, &shown(piece));
                }
                self.step = Step::Kind;
                Want::Take(4)
            }
            Step::Kind => self.value(self.number::<4>(piece, 0))?,
            Step::Value(kind) => {
                if self.key == b"general.alignment" {
                    let alignment = self.number::<4>(piece, 0);
                    if kind != UINT32 || !alignment.is_power_of_two() || alignment > 1 << 20 {
                        return Err("has an alignment that cannot be".into());
                    }
                    self.alignment = Some(alignment);
                }
                self.next_key(seen, notes, report)?
            }
            Step::TextLength => {
                self.step = Step::Text;
                Want::Skip(length(self.number::<8>(piece, 0))?)
            }
            Step::Text | Step::Elements => self.after_element(seen, notes, report)?,
            Step::ArrayHead => {
                let (kind, count) = (self.number::<4>(piece, 0), length(self.number::<8>(piece, 4))?);
                if let Some(width) = width(kind) {
                    self.step = Step::Elements;
                    let bytes = count.checked_mul(width).ok_or("has an array that is too long")?;
                    return Ok(Want::Skip(length(bytes)?));
                }
                if kind > 12 || self.arrays.len() == NESTING_MAX {
                    return Err("has an array of a type that is not known".into());
                }
                self.arrays.push((kind, count));
                self.after_element(seen, notes, report)?
            }
            Step::NameLength => {
                self.step = Step::Name;
                Want::Take(
                    bounded(self.number::<8>(piece, 0), NAME_MAX).ok_or("has a name that is too long")?,
                )
            }
            Step::Name => {
                if !self.names.insert(piece.to_vec()) {
                    return Err("has a tensor twice".into());
                }
                self.step = Step::Dimensions;
                Want::Take(4)
            }
            Step::Dimensions => {
                self.dimensions = bounded(self.number::<4>(piece, 0), DIMENSIONS_MAX)
                    .ok_or("has a tensor of too many dimensions")?;
                self.step = Step::Info;
                Want::Take(8 * self.dimensions + 12)
            }
            Step::Info => {
                self.tensor(piece)?;
                self.next_tensor(seen, notes, report)?
            }
            Step::Done => Want::Nothing,
        })
    }

    /// The number at a place, in the byte order of the file.
    fn number<const N: usize>(&self, bytes: &[u8], at: usize) -> u64 {
        if self.big_endian { be::<N>(bytes, at) } else { le::<N>(bytes, at) }
    }

    /// A value of this type comes.
    fn value(&mut self, kind: u64) -> Result<Want, Stop> {
        if let Some(width) = width(kind) {
            self.step = Step::Value(kind);
            return Ok(Want::Take(usize::try_from(width).unwrap_or(8)));
        }
        // The alignment decides where tensors lie: it has to be read.
        if self.key == b"general.alignment" {
            return Err("has an alignment that cannot be".into());
        }
        self.element(kind)
    }

    /// A text or an array comes, as a value or as an element of an array.
    fn element(&mut self, kind: u64) -> Result<Want, Stop> {
        match kind {
            STRING => {
                self.step = Step::TextLength;
                Ok(Want::Take(8))
            }
            ARRAY => {
                self.step = Step::ArrayHead;
                Ok(Want::Take(12))
            }
            _ => Err("has a value of a type that is not known".into()),
        }
    }

    fn after_element(&mut self, seen: u64, notes: &mut Notes, report: &mut Report) -> Result<Want, Stop> {
        while let Some((kind, left)) = self.arrays.last_mut() {
            if *left > 0 {
                *left -= 1;
                let kind = *kind;
                return self.element(kind);
            }
            self.arrays.pop();
        }
        self.next_key(seen, notes, report)
    }

    fn next_key(&mut self, seen: u64, notes: &mut Notes, report: &mut Report) -> Result<Want, Stop> {
        if self.keys_left == 0 {
            return self.next_tensor(seen, notes, report);
        }
        self.keys_left -= 1;
        self.step = Step::KeyLength;
        Ok(Want::Take(8))
    }

    fn next_tensor(&mut self, seen: u64, notes: &mut Notes, report: &mut Report) -> Result<Want, Stop> {
        if self.tensors_left > 0 {
            self.tensors_left -= 1;
            self.step = Step::NameLength;
            return Ok(Want::Take(8));
        }
        self.step = Step::Done;
        let alignment = self.alignment.unwrap_or(32);
        let long = "has tensors that are too long";
        if self.tensors.is_empty() {
            self.end =
                Some(End { data: seen, padded: seen.checked_next_multiple_of(alignment).ok_or(long)? });
        } else {
            let begin = seen.checked_next_multiple_of(alignment).ok_or(long)?;
            let (mut next, mut data) = (0_u64, 0_u64);
            for &(offset, length) in &self.tensors {
                if offset != next {
                    return Err("has tensors that do not lie one behind the other".into());
                }
                data = offset.checked_add(length).ok_or(long)?;
                next = data.checked_next_multiple_of(alignment).ok_or(long)?;
            }
            let data = begin.checked_add(data).ok_or(long)?;
            self.end = Some(End { data, padded: begin.checked_add(next).ok_or(long)? });
        }
        facts(report, notes.subject(), "gguf", &self.facts);
        Ok(Want::Nothing)
    }

    fn tensor(&mut self, piece: &[u8]) -> Result<(), Stop> {
        let sides = (0..self.dimensions).map(|n| self.number::<8>(piece, 8 * n));
        let elements =
            sides.clone().try_fold(1_u64, u64::checked_mul).ok_or("has a shape that is too large")?;
        let (kind, offset) =
            (self.number::<4>(piece, 8 * self.dimensions), self.number::<8>(piece, 8 * self.dimensions + 4));
        let Some(&(_, name, block, bytes)) = TYPES.iter().find(|(id, ..)| *id == kind) else {
            return Err(match kind {
                // Metadata and the names so far have been looked at; where tensors lie depends on their types.
                0..LATER_TYPES => {
                    unread("has tensors of a type that is not known, so that nobody can say where they end")
                }
                _ => "has a tensor of a type that cannot be".into(),
            });
        };
        // Rows consist of whole blocks.
        let row = sides.clone().next().unwrap_or(1);
        if !row.is_multiple_of(block) {
            return Err("has a tensor whose rows are no whole blocks".into());
        }
        let length = (elements / block).checked_mul(bytes).ok_or("has a shape that is too large")?;
        self.tensors.push((offset, length));
        self.facts.tensors += 1;
        self.facts.parameters = self.facts.parameters.saturating_add(elements);
        self.facts.dtypes.insert(name.to_owned());
        Ok(())
    }
}

fn bounded(length: u64, max: u64) -> Option<usize> {
    usize::try_from(length).ok().filter(|_| length <= max)
}

/// A length in a file.
fn length(length: u64) -> Result<u64, Stop> {
    if length > i64::MAX as u64 { Err("has a length that cannot be".into()) } else { Ok(length) }
}
