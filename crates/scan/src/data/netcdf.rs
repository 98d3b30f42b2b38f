//! The header of classic NetCDF: CDF-1, CDF-2 (64-bit offsets) and CDF-5 (64-bit data).
//!
//! The grammar is that of "The NetCDF Classic Format Specification" (Unidata). Every length is held against what is
//! there, so that the work is linear in the bytes of the header.

use std::collections::HashSet;

use super::{DataFacts, DataFault, DataVariable, HEADER_MAX, VARIABLES_MAX};

const DIMENSIONS: u64 = 0x0A;
const VARIABLES: u64 = 0x0B;
const ATTRIBUTES: u64 = 0x0C;
const CHAR: u64 = 2;
/// Longest name; the library of Unidata writes none longer than 256.
const NAME_MAX: u64 = 1024;
/// Most dimensions of a variable.
const RANK_MAX: u64 = 1024;

/// Types: name and bytes of a value. The first six are in every version, the others in CDF-5 only.
const TYPES: [(&str, u64); 11] = [
    ("byte", 1),
    ("char", 1),
    ("short", 2),
    ("int", 4),
    ("float", 4),
    ("double", 8),
    ("ubyte", 1),
    ("ushort", 2),
    ("uint", 4),
    ("int64", 8),
    ("uint64", 8),
];

/// What the header at the beginning of a file of `size` bytes says.
pub(super) fn facts(head: &[u8], size: u64) -> Result<DataFacts, DataFault> {
    let version = match head {
        [b'C', b'D', b'F', version @ (1 | 2 | 5), ..] => *version,
        _ => return Err(DataFault::Malformed("it does not begin as NetCDF")),
    };
    let mut header = Header { head, at: 4, version, cut: u64::try_from(head.len()).is_ok_and(|n| n < size) };
    let records = header.number()?;
    // All ones: somebody was still writing, and the number follows from the length of the file.
    let records = (records != if version == 5 { u64::MAX } else { u64::from(u32::MAX) }).then_some(records);
    let dimensions = header.dimensions()?;
    header.attributes(&mut |_, _| {})?;
    let variables = header.variables(&dimensions)?;
    check_extent(&variables, &dimensions, records, header.at, size)?;
    let unlimited = dimensions.iter().any(|(_, length)| *length == 0);
    let lengths = dimensions.iter().map(|(name, length)| {
        let length = if *length == 0 { records.unwrap_or(0) } else { *length };
        (name.clone(), length)
    });
    let mut remarks = Vec::new();
    if unlimited && records.is_none() {
        remarks
            .push("it was not closed after writing, so that its number of records is not known".to_owned());
    }
    if variables.len() > VARIABLES_MAX {
        remarks.push(format!("it has {} variables, of which the first are told", variables.len()));
    }
    Ok(DataFacts {
        records: records.filter(|_| unlimited),
        dimensions: lengths.filter(|_| !(unlimited && records.is_none())).collect(),
        variables: variables.into_iter().take(VARIABLES_MAX).map(|variable| variable.facts).collect(),
        remarks,
    })
}

/// What is read of a header.
struct Header<'h> {
    head: &'h [u8],
    at: usize,
    version: u8,
    /// Whether the file goes on behind what is there.
    cut: bool,
}

/// A variable, and where its values are.
struct Variable {
    facts: DataVariable,
    shape: Vec<usize>,
    width: u64,
    begin: u64,
}

impl<'h> Header<'h> {
    fn take(&mut self, length: u64) -> Result<&'h [u8], DataFault> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        match end.and_then(|end| self.head.get(self.at..end)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            // More of it was not read, which is not to say that it is not there.
            None if self.cut && length <= HEADER_MAX => Err(DataFault::HeaderTooLong),
            None => Err(DataFault::Truncated),
        }
    }

    fn big_endian(&mut self, bytes: u64) -> Result<u64, DataFault> {
        Ok(self.take(bytes)?.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    /// A count, length or index.
    fn number(&mut self) -> Result<u64, DataFault> {
        self.big_endian(if self.version == 5 { 8 } else { 4 })
    }

    /// Bytes filled up to a multiple of four.
    fn padded(&mut self, length: u64) -> Result<&'h [u8], DataFault> {
        let bytes = self.take(length)?;
        self.take(length.wrapping_neg() % 4)?;
        Ok(bytes)
    }

    fn name(&mut self) -> Result<String, DataFault> {
        let length = self.number()?;
        if length == 0 || length > NAME_MAX {
            return Err(DataFault::Malformed("a name is empty or too long"));
        }
        let name = std::str::from_utf8(self.padded(length)?);
        let name = name.map_err(|_| DataFault::Malformed("a name is not UTF-8"))?;
        if name.contains(['/', '\0']) {
            return Err(DataFault::Malformed("a name holds a character that no name may hold"));
        }
        Ok(name.to_owned())
    }

    /// How many elements a list has; none is written as two zeros.
    fn list(&mut self, tag: u64) -> Result<u64, DataFault> {
        let (found, length) = (self.big_endian(4)?, self.number()?);
        match (found, length) {
            (0, 0) => Ok(0),
            (found, length) if found == tag => Ok(length),
            _ => Err(DataFault::Malformed("a list begins as none does")),
        }
    }

    fn kind(&mut self) -> Result<(&'static str, u64, u64), DataFault> {
        let kind = self.big_endian(4)?;
        let known = if self.version == 5 { TYPES.len() } else { 6 };
        let index = kind.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        match index.filter(|&index| index < known) {
            Some(index) => Ok((TYPES[index].0, TYPES[index].1, kind)),
            None => Err(DataFault::Malformed("a type is unknown")),
        }
    }

    fn dimensions(&mut self) -> Result<Vec<(String, u64)>, DataFault> {
        let mut dimensions: Vec<(String, u64)> = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..self.list(DIMENSIONS)? {
            let dimension = (self.name()?, self.number()?);
            if dimension.1 == 0 && dimensions.iter().any(|(_, length)| *length == 0) {
                return Err(DataFault::Malformed("two dimensions are without end"));
            }
            if !names.insert(dimension.0.clone()) {
                return Err(DataFault::Malformed("two dimensions have one name"));
            }
            dimensions.push(dimension);
        }
        Ok(dimensions)
    }

    /// Attributes, of which texts are handed on.
    fn attributes(&mut self, text: &mut dyn FnMut(&str, &str)) -> Result<(), DataFault> {
        for _ in 0..self.list(ATTRIBUTES)? {
            let name = self.name()?;
            let (_, width, kind) = self.kind()?;
            let length = self.number()?.checked_mul(width).ok_or(DataFault::Truncated)?;
            let value = self.padded(length)?;
            if kind == CHAR
                && let Ok(value) = std::str::from_utf8(value)
            {
                text(&name, value.trim_end_matches('\0').trim());
            }
        }
        Ok(())
    }

    fn variables(&mut self, dimensions: &[(String, u64)]) -> Result<Vec<Variable>, DataFault> {
        let mut variables = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..self.list(VARIABLES)? {
            let name = self.name()?;
            let rank = self.number()?;
            if rank > RANK_MAX {
                return Err(DataFault::Malformed("a variable has too many dimensions"));
            }
            let mut shape = Vec::new();
            for place in 0..rank {
                let index = usize::try_from(self.number()?).ok();
                let index = index.filter(|&index| index < dimensions.len());
                let index =
                    index.ok_or(DataFault::Malformed("a variable names a dimension that is not there"))?;
                if place > 0 && dimensions[index].1 == 0 {
                    return Err(DataFault::Malformed(
                        "the dimension without end is not the first of a variable",
                    ));
                }
                shape.push(index);
            }
            let (mut unit, mut description) = (None, None);
            self.attributes(&mut |name, value| match name {
                "units" => unit = (!value.is_empty()).then(|| value.to_owned()),
                "long_name" => description = (!value.is_empty()).then(|| value.to_owned()),
                _ => {}
            })?;
            let (dtype, width, _) = self.kind()?;
            // The size follows from the rest, and is wrong for large variables by design.
            self.number()?;
            let begin = self.big_endian(if self.version == 1 { 4 } else { 8 })?;
            if !names.insert(name.clone()) {
                return Err(DataFault::Malformed("two variables have one name"));
            }
            let dimensions = shape.iter().map(|&index| dimensions[index].0.clone()).collect();
            let facts = DataVariable { name, unit, dtype: Some(dtype), dimensions, description };
            variables.push(Variable { facts, shape, width, begin });
        }
        Ok(variables)
    }
}

/// Whether all values lie in the file, behind the header.
fn check_extent(
    variables: &[Variable],
    dimensions: &[(String, u64)],
    records: Option<u64>,
    header: usize,
    size: u64,
) -> Result<(), DataFault> {
    let too_large = DataFault::Malformed("a variable is larger than any file");
    let mut own = Vec::with_capacity(variables.len());
    let mut record = 0_u64;
    for variable in variables {
        let lengths = variable.shape.iter().map(|&index| dimensions[index].1).filter(|&length| length != 0);
        let bytes = lengths.into_iter().try_fold(variable.width, u64::checked_mul);
        let Some(bytes) = bytes.filter(|&bytes| bytes < 1 << 62) else { return Err(too_large) };
        let of_records = variable.shape.first().is_some_and(|&index| dimensions[index].1 == 0);
        if of_records {
            record = record.saturating_add(bytes.next_multiple_of(4));
        }
        own.push((variable.begin, bytes, of_records));
    }
    // A record of one variable alone is not filled up.
    let mut alone = own.iter().filter(|(_, _, of_records)| *of_records);
    if let (Some((_, bytes, _)), None) = (alone.next(), alone.next()) {
        record = *bytes;
    }
    for (begin, bytes, of_records) in own {
        let before = match (of_records, records) {
            (false, _) => Some(0),
            (true, None | Some(0)) => continue,
            (true, Some(records)) => (records - 1).checked_mul(record),
        };
        let end = before.and_then(|before| begin.checked_add(before)?.checked_add(bytes));
        if bytes > 0 && u64::try_from(header).is_ok_and(|header| begin < header) {
            return Err(DataFault::Malformed("values begin within the header"));
        }
        if end.is_none_or(|end| end > size) {
            return Err(DataFault::Truncated);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file with an unlimited and a fixed dimension, attributes, and three variables.
    fn file(version: u8) -> Vec<u8> {
        let mut out = vec![b'C', b'D', b'F', version];
        let number =
            |n: u64| if version == 5 { n.to_be_bytes().to_vec() } else { n.to_be_bytes()[4..].to_vec() };
        let tag = |n: u32| n.to_be_bytes().to_vec();
        let name = |text: &str| {
            let mut out = number(text.len() as u64);
            out.extend(text.bytes());
            out.resize(out.len().next_multiple_of(4), 0);
            out
        };
        let text = |key: &str, value: &str| [name(key), tag(2), name(value)].concat();
        out.extend(number(3));
        out.extend([tag(10), number(2), name("time"), number(0), name("lat"), number(2)].concat());
        out.extend([tag(12), number(1), text("title", "A test")].concat());
        out.extend([tag(11), number(3)].concat());
        let header_end = out.len();
        let build = |begin: u64| {
            let mut out = Vec::new();
            let offset = |n: u64| {
                if version == 1 { n.to_be_bytes()[4..].to_vec() } else { n.to_be_bytes().to_vec() }
            };
            out.extend(
                [name("lat"), number(1), number(1), tag(12), number(1), text("units", "degrees_north")]
                    .concat(),
            );
            out.extend([tag(5), number(8), offset(begin)].concat());
            out.extend(
                [name("time"), number(1), number(0), tag(0), number(0), tag(6), number(8), offset(begin + 8)]
                    .concat(),
            );
            let long = text("long_name", "Temperature");
            out.extend(
                [name("t"), number(2), number(0), number(1), tag(12), number(2), text("units", "K"), long]
                    .concat(),
            );
            out.extend([tag(3), number(4), offset(begin + 16)].concat());
            out
        };
        let length = header_end + build(0).len();
        out.extend(build(length as u64));
        // lat, then three records of time and t.
        out.extend(vec![0; 8 + 3 * (8 + 4)]);
        out
    }

    fn read(bytes: &[u8]) -> Result<DataFacts, String> {
        facts(bytes, bytes.len() as u64).map_err(|fault| fault.to_string())
    }

    #[test]
    fn field_c5_dimensions_and_variables_of_every_version_are_read() {
        for version in [1, 2, 5] {
            let facts = read(&file(version)).unwrap();
            assert_eq!(facts.records, Some(3));
            assert_eq!(facts.dimensions, [("time".to_owned(), 3), ("lat".to_owned(), 2)]);
            let shown: Vec<_> = facts
                .variables
                .iter()
                .map(|v| (v.name.as_str(), v.unit.as_deref(), v.dtype.unwrap()))
                .collect();
            assert_eq!(
                shown,
                [
                    ("lat", Some("degrees_north"), "float"),
                    ("time", None, "double"),
                    ("t", Some("K"), "short")
                ]
            );
            assert_eq!(facts.variables[2].dimensions, ["time", "lat"]);
            assert_eq!(facts.variables[2].description.as_deref(), Some("Temperature"));
        }
    }

    /// Replaces the first occurrence of some bytes.
    fn swap(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = bytes.windows(from.len()).position(|window| window == from).expect("it is there");
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    }

    #[test]
    fn attack_c5_one_fault_in_a_header_is_told() {
        let good = file(1);
        for (bad, expected) in [
            (b"CDF\x03".to_vec(), "it does not begin as NetCDF"),
            (b"CDF".to_vec(), "it does not begin as NetCDF"),
            (good[..good.len() - 1].to_vec(), "it is shorter than its header says"),
            (good[..40].to_vec(), "it is shorter than its header says"),
            (swap(&good, b"time", b"ti/e"), "a name holds a character that no name may hold"),
            (swap(&good, b"time", b"ti\0e"), "a name holds a character that no name may hold"),
            (swap(&good, b"time", b"ti\xffe"), "a name is not UTF-8"),
            (swap(&good, b"\0\0\0\x04time", b"\0\0\0\0time"), "a name is empty or too long"),
            (swap(&good, b"\0\0\0\x04time", b"\0\0\x04\x01time"), "a name is empty or too long"),
            (swap(&good, b"\0\0\0\x0a\0\0\0\x02", b"\0\0\0\x0b\0\0\0\x02"), "a list begins as none does"),
            (swap(&good, b"\0\0\0\x0a\0\0\0\x02", b"\0\0\0\0\0\0\0\x02"), "a list begins as none does"),
            (
                swap(&good, b"\0\0\0\x0a\0\0\0\x02", b"\0\0\0\x0a\xff\xff\xff\xff"),
                "a name holds a character that no name may hold",
            ),
            (swap(&good, b"lat\0\0\0\0\x02", b"lat\0\0\0\0\0"), "two dimensions are without end"),
            (swap(&good, b"\0\0\0\x03lat\0", b"\0\0\0\x04time"), "two dimensions have one name"),
            (swap(&good, b"\0\0\0\x01t\0\0\0", b"\0\0\0\x03lat\0"), "two variables have one name"),
            (
                swap(&good, b"\0\0\0\x01\0\0\0\x01\0\0\0\x0c", b"\0\0\0\x01\0\0\0\x02\0\0\0\x0c"),
                "a variable names a dimension that is not there",
            ),
            (
                swap(
                    &good,
                    b"\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\x0c",
                    b"\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\x0c",
                ),
                "the dimension without end is not the first of a variable",
            ),
            (swap(&good, b"t\0\0\0\0\0\0\x02", b"t\0\0\0\0\0\xff\xff"), "a variable has too many dimensions"),
            (swap(&good, b"title\0\0\0\0\0\0\x02", b"title\0\0\0\0\0\0\x07"), "a type is unknown"),
            (
                swap(&good, b"title\0\0\0\0\0\0\x02\0\0\0\x06", b"title\0\0\0\0\0\0\x02\xff\xff\xff\xff"),
                "it is shorter than its header says",
            ),
            (swap(&good, b"lat\0\0\0\0\x02", b"lat\0\x7f\xff\xff\xff"), "it is shorter than its header says"),
            (swap(&good, b"CDF\x01\0\0\0\x03", b"CDF\x01\0\0\0\x04"), "it is shorter than its header says"),
            (
                swap(&good, b"\0\0\0\x05\0\0\0\x08\0\0", b"\0\0\0\x05\0\0\0\x08\x01\0"),
                "it is shorter than its header says",
            ),
        ] {
            assert_eq!(read(&bad).unwrap_err(), expected, "{bad:?}");
        }
        let begin = good.windows(8).position(|w| w == b"\0\0\0\x05\0\0\0\x08").unwrap() + 8;
        let mut early = good.clone();
        early[begin..begin + 4].copy_from_slice(&[0, 0, 0, 8]);
        assert_eq!(read(&early).unwrap_err(), "values begin within the header");
        let mut large = file(5);
        let at = large.windows(12).position(|w| w == b"lat\0\0\0\0\0\0\0\0\x02").unwrap() + 4;
        large[at..at + 8].copy_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(read(&large).unwrap_err(), "a variable is larger than any file");
        // Where the file goes on, the header is too long, not cut.
        let cut = facts(&good[..40], 1 << 40).unwrap_err();
        assert!(matches!(cut, DataFault::HeaderTooLong));
        let open = read(&swap(&good, b"CDF\x01\0\0\0\x03", b"CDF\x01\xff\xff\xff\xff")).unwrap();
        assert_eq!((open.records, open.dimensions.len(), open.remarks.len()), (None, 0, 1));
    }

    #[test]
    fn attack_c5_every_header_that_is_cut_is_refused() {
        for version in [1, 2, 5] {
            let good = file(version);
            for length in 0..good.len() {
                assert!(read(&good[..length]).is_err(), "{version}: {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn attack_c5_no_header_makes_it_panic(version in prop::sample::select(vec![1_u8, 2, 5]), flips in prop::collection::vec((0_usize..400, any::<u8>()), 0..6), tail in prop::collection::vec(any::<u8>(), 0..64), size in any::<u64>()) {
            let mut bytes = file(version);
            for (at, byte) in flips {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = facts(&bytes, bytes.len() as u64);
            let _ = facts(&bytes, size);
            let mut random = vec![b'C', b'D', b'F', version];
            random.extend(tail);
            let _ = facts(&random, size);
        }
    }
}
