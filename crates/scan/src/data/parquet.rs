//! The footer of Parquet: `FileMetaData` in the compact protocol of Thrift, of which schema and number of rows are read
//! (`parquet.thrift` of Apache Parquet; "Thrift Compact protocol encoding" of Apache Thrift).

use super::{DataFacts, DataFault, DataVariable, VARIABLES_MAX};

/// How deep structures may lie in each other, those of the footer and those of the schema.
const DEPTH_MAX: usize = 32;
const MALFORMED: DataFault = DataFault::Malformed("its footer is not as Parquet has it");

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Types of values, by their number.
const TYPES: [&str; 8] =
    ["BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"];

/// What a footer says.
pub(super) fn facts(footer: &[u8]) -> Result<DataFacts, DataFault> {
    let mut thrift = Thrift { rest: footer };
    let (mut elements, mut rows) = (None, None);
    thrift.structure(0, &mut |thrift, field, kind| match (field, kind) {
        (2, LIST) => {
            elements = Some(thrift.schema()?);
            Ok(true)
        }
        (3, I64) => {
            rows = Some(thrift.integer()?);
            Ok(true)
        }
        _ => Ok(false),
    })?;
    let (Some(elements), Some(rows)) = (elements, rows) else { return Err(MALFORMED) };
    let records = u64::try_from(rows).map_err(|_| MALFORMED)?;
    let mut elements = elements.into_iter();
    // The first is the table itself.
    let root = elements.next().and_then(|root| root.children).ok_or(MALFORMED)?;
    let mut columns = Vec::new();
    leaves(&mut elements, root, "", 0, &mut columns)?;
    if elements.next().is_some() {
        return Err(MALFORMED);
    }
    let mut facts = DataFacts { records: Some(records), ..DataFacts::default() };
    if columns.len() > VARIABLES_MAX {
        facts.remarks.push(format!("it has {} columns, of which the first are told", columns.len()));
    }
    columns.truncate(VARIABLES_MAX);
    facts.variables = columns;
    Ok(facts)
}

/// One element of the schema: a group with children, or a column.
struct Element {
    name: String,
    kind: Option<&'static str>,
    children: Option<u64>,
}

/// The columns below a group, with the names of the groups above them.
fn leaves(
    elements: &mut impl Iterator<Item = Element>,
    children: u64,
    prefix: &str,
    depth: usize,
    columns: &mut Vec<DataVariable>,
) -> Result<(), DataFault> {
    if depth > DEPTH_MAX {
        return Err(MALFORMED);
    }
    for _ in 0..children {
        let element = elements.next().ok_or(MALFORMED)?;
        let dot = if prefix.is_empty() { "" } else { "." };
        let name = format!("{prefix}{dot}{}", element.name);
        match element.children {
            Some(children) => leaves(elements, children, &name, depth + 1, columns)?,
            None => columns.push(DataVariable { name, dtype: element.kind, ..DataVariable::default() }),
        }
    }
    Ok(())
}

/// Bytes in the compact protocol.
struct Thrift<'b> {
    rest: &'b [u8],
}

impl<'b> Thrift<'b> {
    fn take(&mut self, length: u64) -> Result<&'b [u8], DataFault> {
        let length = usize::try_from(length).ok().filter(|&length| length <= self.rest.len());
        let (taken, rest) = self.rest.split_at(length.ok_or(MALFORMED)?);
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DataFault> {
        Ok(self.take(1)?[0])
    }

    fn unsigned(&mut self) -> Result<u64, DataFault> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(MALFORMED)
    }

    fn integer(&mut self) -> Result<i64, DataFault> {
        let number = self.unsigned()?;
        let half = i64::try_from(number >> 1).map_err(|_| MALFORMED)?;
        Ok(if number & 1 == 0 { half } else { -1 - half })
    }

    fn binary(&mut self) -> Result<&'b [u8], DataFault> {
        let length = self.unsigned()?;
        self.take(length)
    }

    /// Type and number of the elements of a list, each of which is at least one byte long.
    fn list(&mut self) -> Result<(u8, u64), DataFault> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.unsigned()?,
            length => u64::from(length),
        };
        let fits = usize::try_from(length).is_ok_and(|length| length <= self.rest.len());
        if fits { Ok((head & 15, length)) } else { Err(MALFORMED) }
    }

    /// Reads a structure: `field` takes a value and says so, or leaves it to be passed over.
    fn structure(
        &mut self,
        depth: usize,
        field: &mut dyn FnMut(&mut Self, i64, u8) -> Result<bool, DataFault>,
    ) -> Result<(), DataFault> {
        let mut number = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            number = match head >> 4 {
                0 => self.integer()?,
                delta => number.checked_add(i64::from(delta)).ok_or(MALFORMED)?,
            };
            if !field(self, number, head & 15)? {
                self.skip(head & 15, depth, false)?;
            }
        }
    }

    fn skip(&mut self, kind: u8, depth: usize, in_list: bool) -> Result<(), DataFault> {
        if depth > DEPTH_MAX {
            return Err(MALFORMED);
        }
        match kind {
            // A truth value is in the head of its field, and a byte of its own in a list.
            1 | 2 if !in_list => {}
            1..=3 => drop(self.take(1)?),
            4..=I64 => drop(self.unsigned()?),
            7 => drop(self.take(8)?),
            BINARY => drop(self.binary()?),
            LIST | 10 => {
                let (kind, length) = self.list()?;
                for _ in 0..length {
                    self.skip(kind, depth + 1, true)?;
                }
            }
            11 => {
                let length = self.unsigned()?;
                if length > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..length {
                        self.skip(kinds >> 4, depth + 1, true)?;
                        self.skip(kinds & 15, depth + 1, true)?;
                    }
                }
            }
            STRUCT => self.structure(depth + 1, &mut |_, _, _| Ok(false))?,
            _ => return Err(MALFORMED),
        }
        Ok(())
    }

    fn schema(&mut self) -> Result<Vec<Element>, DataFault> {
        let (kind, length) = self.list()?;
        if kind != STRUCT {
            return Err(MALFORMED);
        }
        let mut elements = Vec::new();
        for _ in 0..length {
            elements.push(self.element()?);
        }
        Ok(elements)
    }

    fn element(&mut self) -> Result<Element, DataFault> {
        let (mut name, mut value, mut children, mut converted) = (None, None, None, None);
        self.structure(1, &mut |thrift, field, kind| {
            match (field, kind) {
                (1, I32) => value = Some(thrift.integer()?),
                (4, BINARY) => name = Some(thrift.binary()?),
                (5, I32) => children = Some(thrift.integer()?),
                (6, I32) => converted = Some(thrift.integer()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).ok_or(MALFORMED)?.to_owned();
        let kind = match value {
            None => None,
            // Bytes that are declared as UTF-8.
            Some(6) if converted == Some(0) => Some("STRING"),
            Some(value) => {
                Some(*usize::try_from(value).ok().and_then(|value| TYPES.get(value)).ok_or(MALFORMED)?)
            }
        };
        let children = match (kind, children) {
            (Some(_), None | Some(0)) => None,
            (None, Some(children)) => Some(u64::try_from(children).map_err(|_| MALFORMED)?),
            _ => return Err(MALFORMED),
        };
        Ok(Element { name, kind, children })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varint(mut number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while number > 0x7f {
            out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        out.push(u8::try_from(number).unwrap());
        out
    }

    fn text(text: &str) -> Vec<u8> {
        [varint(text.len() as u64), text.as_bytes().to_vec()].concat()
    }

    fn column(kind: u64, name: &str) -> Vec<u8> {
        // Field 1 (type), 3 (repetition), 4 (name).
        [vec![0x15], varint(kind * 2), vec![0x25, 2, 0x18], text(name), vec![0]].concat()
    }

    fn group(name: &str, children: u64) -> Vec<u8> {
        [vec![0x48], text(name), vec![0x15], varint(children * 2), vec![0]].concat()
    }

    /// Version 1, a schema, 1000 rows, no row groups, and who wrote it.
    fn footer() -> Vec<u8> {
        let schema =
            [group("schema", 2), column(2, "id"), group("place", 2), column(5, "lat"), column(5, "lon")];
        let head = vec![0x15, 2, 0x19, 0x5c];
        let tail = [vec![0x16], varint(2000), vec![0x19, 0x0c, 0x28], text("a test"), vec![0]].concat();
        [head, schema.concat(), tail].concat()
    }

    #[test]
    fn field_c5_rows_and_columns_of_parquet_are_read() {
        let facts = facts(&footer()).unwrap();
        assert_eq!(facts.records, Some(1000));
        let shown: Vec<_> = facts.variables.iter().map(|v| (v.name.as_str(), v.dtype.unwrap())).collect();
        assert_eq!(shown, [("id", "INT64"), ("place.lat", "DOUBLE"), ("place.lon", "DOUBLE")]);
    }

    #[test]
    fn attack_c5_a_footer_that_is_cut_or_nests_without_end_is_refused() {
        let good = footer();
        for length in 0..good.len() {
            assert!(facts(&good[..length]).is_err(), "{length}");
        }
        for bad in [
            vec![0x1c; 10_000],
            [vec![0x19], vec![0x1c; 10_000]].concat(),
            [vec![0x19], vec![0x19; 10_000]].concat(),
            // Lists and maps of more than there is.
            [&[0x19, 0xf3][..], &varint(u64::MAX >> 1), &[0]].concat(),
            [&[0x1b][..], &varint(u64::MAX >> 1), &[0x33, 0]].concat(),
            vec![0x1d, 0],
            vec![0],
            vec![0xff; 64],
        ] {
            assert!(facts(&bad).is_err());
        }
        // More children than elements, and fewer.
        for children in [1, 3] {
            let schema = [group("schema", children), column(2, "id"), column(2, "x")].concat();
            let bad = [vec![0x15, 2, 0x19, 0x3c], schema, vec![0x16, 2, 0]].concat();
            assert!(facts(&bad).is_err(), "{children}");
        }
    }

    proptest! {
        #[test]
        fn attack_c5_no_footer_makes_it_panic(flips in prop::collection::vec((0_usize..200, any::<u8>()), 0..6), random in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut bytes = footer();
            for (at, byte) in flips {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let _ = facts(&bytes);
            let _ = facts(&random);
        }
    }
}
