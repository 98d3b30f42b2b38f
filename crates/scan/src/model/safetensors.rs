//! safetensors: a JSON header, then nothing but the tensors it lists (format of the safetensors crate).

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::feed::{Feed, Want, le};
use super::notes::{Notes, rule};
use super::{Facts, facts};
use crate::inspect::{Inspect, Report, Subject};

/// Longest header that is read. The format allows 100 MB; headers of the largest models have a tenth of this.
const HEADER_MAX: u64 = 32 << 20;

/// Looks into a safetensors file.
#[derive(Debug)]
pub(super) struct Safetensors {
    notes: Notes,
    feed: Feed,
    state: State,
    /// How long the file must be.
    expected: Option<u64>,
}

#[derive(Debug)]
enum State {
    Length,
    Header,
    Tensors,
}

impl Safetensors {
    pub(super) fn new(subject: &Subject) -> Self {
        Self {
            notes: Notes::new(subject),
            feed: Feed::new(Want::Take(8)),
            state: State::Length,
            expected: None,
        }
    }
}

impl Inspect for Safetensors {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        let Self { notes, feed, state, expected } = self;
        feed.update(bytes, |piece, seen| match state {
            State::Length => {
                *state = State::Header;
                match (le::<8>(piece, 0), usize::try_from(le::<8>(piece, 0))) {
                    (..=HEADER_MAX, Ok(length)) => Want::Take(length),
                    _ => {
                        notes.add(report, rule::BAD_SAFETENSORS, "the header is too long");
                        Want::Nothing
                    }
                }
            }
            State::Header => {
                *state = State::Tensors;
                match Header::read(piece) {
                    Ok(header) => {
                        *expected = seen.checked_add(header.end);
                        if expected.is_none() {
                            notes.add(report, rule::BAD_SAFETENSORS, "the tensors are too long");
                        }
                        facts(report, notes.subject(), "safetensors", &header.facts);
                    }
                    Err(fault) => notes.add(report, rule::BAD_SAFETENSORS, &fault),
                }
                Want::Nothing
            }
            State::Tensors => Want::Nothing,
        });
    }

    fn finish(&mut self, report: &mut Report) {
        if self.feed.is_waiting() {
            self.notes.add(report, rule::BAD_SAFETENSORS, "ends within the header");
        } else if let Some(expected) = self.expected {
            let seen = self.feed.seen();
            if seen < expected {
                self.notes.add(report, rule::BAD_SAFETENSORS, "ends within the tensors");
            } else if seen > expected {
                self.notes.add(report, rule::BAD_SAFETENSORS, "has bytes behind the tensors");
            }
        }
    }
}

/// What a header says.
struct Header {
    facts: Facts,
    /// Where the tensors end, from where they begin.
    end: u64,
}

/// One tensor of a header.
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    offsets: (u64, u64),
}

impl Header {
    fn read(json: &[u8]) -> Result<Self, String> {
        // Padding stands behind the object only, and is of spaces.
        let Some(end) = json.iter().rposition(|&b| b != b' ') else {
            return Err("the header is empty".into());
        };
        if json.first() != Some(&b'{') || json[end] != b'}' {
            return Err("the header is no JSON object".into());
        }
        let Tensors(tensors) = serde_json::from_slice(&json[..=end]).map_err(|error| reason(&error))?;
        let mut parameters = 0_u64;
        let mut dtypes = BTreeSet::new();
        let mut ranges = Vec::with_capacity(tensors.len());
        for tensor in &tensors {
            let Some(bits) = bits_of(&tensor.dtype) else {
                return Err(format!("dtype `{}` is not known", tensor.dtype));
            };
            let elements = tensor.shape.iter().try_fold(1_u64, |product, &side| product.checked_mul(side));
            let Some((elements, bits)) = elements.and_then(|n| Some((n, n.checked_mul(bits)?))) else {
                return Err("a shape is too large".into());
            };
            let (begin, end) = tensor.offsets;
            if begin > end {
                return Err("a tensor ends before it begins".into());
            }
            if !bits.is_multiple_of(8) || end - begin != bits / 8 {
                return Err("a tensor's length differs from its shape".into());
            }
            parameters = parameters.saturating_add(elements);
            dtypes.insert(tensor.dtype.clone());
            ranges.push((begin, end));
        }
        ranges.sort_unstable();
        let mut last = 0;
        for (begin, end) in ranges {
            if begin < last {
                return Err("tensors overlap".into());
            }
            if begin > last {
                return Err("there is a hole between tensors".into());
            }
            last = end;
        }
        let facts = Facts { tensors: tensors.len() as u64, parameters, dtypes };
        Ok(Self { facts, end: last })
    }
}

fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Without the place, which helps nobody in a file that is not text.
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn bits_of(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// The tensors of a header: no name twice, no field but the known ones.
struct Tensors(Vec<Tensor>);

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tensors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensors, A::Error> {
                let mut names = HashSet::new();
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<Metadata>()?;
                    } else {
                        tensors.push(map.next_value()?);
                    }
                    if !names.insert(name) {
                        return Err(A::Error::custom("a name stands twice in the header"));
                    }
                }
                Ok(Tensors(tensors))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Texts by name, no name twice.
struct Metadata;

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut names = HashSet::new();
                while let Some((name, _)) = map.next_entry::<String, String>()? {
                    if !names.insert(name) {
                        return Err(A::Error::custom("a name stands twice in `__metadata__`"));
                    }
                }
                Ok(Metadata)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tensor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensor, A::Error> {
                let (mut dtype, mut shape, mut offsets) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let twice = match key.as_str() {
                        "dtype" => dtype.replace(map.next_value()?).is_some(),
                        "shape" => shape.replace(map.next_value()?).is_some(),
                        "data_offsets" => offsets.replace(map.next_value()?).is_some(),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            return Err(A::Error::custom("a tensor has a field that is not known"));
                        }
                    };
                    if twice {
                        return Err(A::Error::custom("a tensor has a field twice"));
                    }
                }
                match (dtype, shape, offsets) {
                    (Some(dtype), Some(shape), Some(offsets)) => Ok(Tensor { dtype, shape, offsets }),
                    _ => Err(A::Error::custom("a tensor lacks its dtype, shape or offsets")),
                }
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
