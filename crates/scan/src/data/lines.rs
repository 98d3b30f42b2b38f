//! Tables and JSON records with one line or more for each record.

use std::collections::HashSet;
use std::io::Read;

use super::{DataFacts, DataFault, DataVariable, HEADER_MAX, VARIABLES_MAX};

/// How much is read at a time.
const PIECE: usize = 256 << 10;
/// What may stand between the cells of a row; the first of those that stand most often in the first row counts.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Rows and columns of a table, as RFC 4180 has it, with whatever separator. `tabs` says that it is a tab.
pub(super) fn table(
    file: &mut impl Read,
    tabs: bool,
    stop: &dyn Fn() -> bool,
) -> Result<DataFacts, DataFault> {
    let mut rows = Rows { separator: tabs.then_some(b'\t'), ..Rows::default() };
    pieces(file, stop, |piece| rows.take(piece))?;
    rows.finish()
}

/// Hands the content on in pieces.
fn pieces(
    file: &mut impl Read,
    stop: &dyn Fn() -> bool,
    mut take: impl FnMut(&[u8]) -> Result<(), DataFault>,
) -> Result<(), DataFault> {
    let mut piece = vec![0; PIECE];
    loop {
        if stop() {
            return Err(DataFault::Stopped);
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => take(&piece[..read])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A table while it streams by.
#[derive(Default)]
struct Rows {
    separator: Option<u8>,
    /// The first row as far as it is read, which tells separator and names.
    first: Vec<u8>,
    first_done: bool,
    /// Cells of the first row.
    width: u64,
    /// Rows that hold anything.
    rows: u64,
    /// The line that is read, from 1.
    line: u64,
    cells: u64,
    state: State,
    /// The line that the quote began on that is still open.
    quoted_from: u64,
    row_is_empty: bool,
    /// Rows of another width, and the line of the first.
    uneven: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the end, or the first of two.
    Quote,
}

impl Rows {
    fn take(&mut self, piece: &[u8]) -> Result<(), DataFault> {
        if self.first_done {
            return self.walk(piece);
        }
        self.first.extend_from_slice(piece);
        if u64::try_from(self.first.len()).is_ok_and(|length| length > HEADER_MAX)
            && first_row(&self.first).is_none()
        {
            return Err(DataFault::HeaderTooLong);
        }
        if first_row(&self.first).is_some() { self.begin() } else { Ok(()) }
    }

    /// The first row is there: what separates its cells is known from here on.
    fn begin(&mut self) -> Result<(), DataFault> {
        let all = std::mem::take(&mut self.first);
        let all = all.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&all);
        let row = &all[..first_row(all).unwrap_or(all.len())];
        let separator = self.separator.unwrap_or_else(|| separator(row));
        self.separator = Some(separator);
        self.first = row.to_vec();
        self.first_done = true;
        self.line = 1;
        self.row_is_empty = true;
        self.walk(all)
    }

    fn walk(&mut self, piece: &[u8]) -> Result<(), DataFault> {
        let separator = self.separator.unwrap_or(b',');
        for &byte in piece {
            let next = match (self.state, byte) {
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) => State::Quoted,
                (State::Quote, b'"') => State::Quoted,
                (State::CellStart, b'"') => {
                    self.quoted_from = self.line;
                    State::Quoted
                }
                (_, b'\n') => {
                    self.end_row();
                    State::CellStart
                }
                (_, byte) if byte == separator => {
                    self.cells += 1;
                    self.row_is_empty = false;
                    State::CellStart
                }
                // What follows the end of a quoted cell belongs to it, as most readers have it.
                (State::Quote | State::Plain | State::CellStart, b'\r') => self.state,
                (State::Quote | State::Plain | State::CellStart, _) => State::Plain,
            };
            if byte == b'\n' {
                self.line += 1;
            } else if byte != b'\r' {
                self.row_is_empty = false;
            }
            self.state = next;
        }
        Ok(())
    }

    fn end_row(&mut self) {
        if !self.row_is_empty {
            let cells = self.cells + 1;
            if self.rows == 0 {
                self.width = cells;
            } else if cells != self.width {
                let (number, line) = self.uneven.unwrap_or((0, self.line));
                self.uneven = Some((number + 1, line));
            }
            self.rows += 1;
        }
        self.cells = 0;
        self.row_is_empty = true;
    }

    fn finish(mut self) -> Result<DataFacts, DataFault> {
        if !self.first_done {
            self.begin()?;
        }
        if self.state == State::Quoted {
            let mut facts = DataFacts::default();
            facts.remarks.push(format!("the quote that begins on line {} does not end", self.quoted_from));
            return Ok(facts);
        }
        self.end_row();
        let mut facts = DataFacts { records: Some(self.rows), ..DataFacts::default() };
        if let Some(names) = names(&self.first, self.separator.unwrap_or(b',')) {
            facts.records = Some(self.rows - 1);
            facts.variables = names
                .into_iter()
                .take(VARIABLES_MAX)
                .map(|name| DataVariable { name, ..DataVariable::default() })
                .collect();
        } else if self.rows > 0 {
            facts.remarks.push(format!("its {} columns have no names in the first row", self.width));
        }
        if self.width > u64::try_from(VARIABLES_MAX).unwrap_or(u64::MAX) {
            facts.remarks.push(format!("it has {} columns, of which the first are told", self.width));
        }
        if let Some((number, line)) = self.uneven {
            let (width, what) = (self.width, if number == 1 { "row has" } else { "rows have" });
            facts
                .remarks
                .push(format!("{number} {what} another number of cells than {width}, first on line {line}"));
        }
        Ok(facts)
    }
}

/// What is quoted, before it is known what separates cells: a quote opens at the beginning of a cell only.
struct Quotes {
    quoted: bool,
    before: u8,
}

impl Quotes {
    fn new() -> Self {
        Self { quoted: false, before: SEPARATORS[0] }
    }

    /// Whether the byte, which comes next, is within quotes.
    fn step(&mut self, byte: u8) -> bool {
        if byte == b'"' {
            // Two of them within quotes are one that closes and one that opens again.
            let opens = SEPARATORS.contains(&self.before) || matches!(self.before, b'"' | b'\n' | 0xBF);
            self.quoted = !self.quoted && opens;
        }
        self.before = byte;
        self.quoted
    }
}

/// Where the first row ends, if it does.
fn first_row(bytes: &[u8]) -> Option<usize> {
    let mut quotes = Quotes::new();
    bytes.iter().position(|&byte| !quotes.step(byte) && byte == b'\n')
}

fn separator(row: &[u8]) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut quotes = Quotes::new();
    for &byte in row {
        let quoted = quotes.step(byte);
        if let Some(at) = SEPARATORS.iter().position(|&separator| separator == byte && !quoted) {
            counts[at] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    counts.iter().position(|&count| count == most).map_or(b',', |at| SEPARATORS[at])
}

/// The names of the columns, if the first row holds names: texts that are no numbers, each once, none empty.
fn names(row: &[u8], separator: u8) -> Option<Vec<String>> {
    let text = std::str::from_utf8(row).ok()?.trim_end_matches('\r');
    let mut names = Vec::new();
    let mut cell = String::new();
    let (mut quoted, mut begun) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if !begun => quoted = true,
            c if !quoted && u8::try_from(c) == Ok(separator) => {
                names.push(std::mem::take(&mut cell));
                begun = false;
                continue;
            }
            c => cell.push(c),
        }
        begun = true;
    }
    names.push(cell);
    let mut seen = HashSet::new();
    let is_name = |name: &String| {
        let name = name.trim();
        !name.is_empty() && name.parse::<f64>().is_err() && seen.insert(name.to_owned())
    };
    names.iter().all(is_name).then(|| names.iter().map(|name| name.trim().to_owned()).collect())
}

/// Records and, where the first is an object, its members.
pub(super) fn json_lines(file: &mut impl Read, stop: &dyn Fn() -> bool) -> Result<DataFacts, DataFault> {
    let (mut records, mut blank) = (0_u64, true);
    let mut first: Option<Vec<u8>> = Some(Vec::new());
    let mut names = Vec::new();
    let longest = usize::try_from(HEADER_MAX).unwrap_or(usize::MAX);
    let mut end = |blank: &mut bool, first: &mut Option<Vec<u8>>| {
        if !*blank {
            records += 1;
            let line = first.take().filter(|line| line.len() <= longest);
            names.extend(line.and_then(|line| members(&line)).unwrap_or_default());
        }
        *blank = true;
    };
    pieces(file, stop, |piece| {
        for line in piece.split_inclusive(|&byte| byte == b'\n') {
            blank &= line.iter().all(u8::is_ascii_whitespace);
            if let Some(first) = first.as_mut().filter(|first| first.len() <= longest) {
                first.extend_from_slice(line);
            }
            if line.ends_with(b"\n") {
                end(&mut blank, &mut first);
            }
        }
        Ok(())
    })?;
    end(&mut blank, &mut first);
    let mut facts = DataFacts { records: Some(records), ..DataFacts::default() };
    if names.len() > VARIABLES_MAX {
        facts.remarks.push(format!("its first record has {} members, of which some are told", names.len()));
    }
    facts.variables = names
        .into_iter()
        .take(VARIABLES_MAX)
        .map(|name| DataVariable { name, ..DataVariable::default() })
        .collect();
    Ok(facts)
}

/// The names of an object's members, in order.
fn members(line: &[u8]) -> Option<Vec<String>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    let mut names: Vec<_> = object.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads in pieces of a few bytes, as a file may come.
    struct Dribble<'b>(&'b [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(self.1).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn csv(text: &str) -> DataFacts {
        let whole = table(&mut text.as_bytes(), false, &|| false).unwrap();
        for length in 1..4 {
            let pieces = table(&mut Dribble(text.as_bytes(), length), false, &|| false).unwrap();
            assert_eq!(pieces, whole, "{text:?}");
        }
        whole
    }

    fn names_of(facts: &DataFacts) -> Vec<&str> {
        facts.variables.iter().map(|variable| variable.name.as_str()).collect()
    }

    #[test]
    fn field_c5_rows_and_columns_are_counted_as_readers_of_tables_do() {
        for (text, records, names) in [
            ("a,b\n1,2\n3,4\n", 2, &["a", "b"][..]),
            ("a,b\r\n1,2\r\n\r\n3,4", 2, &["a", "b"]),
            ("\u{feff}a;b\n1,5;2\n", 1, &["a", "b"]),
            ("a\tb\n1\t2\n", 1, &["a", "b"]),
            ("\"a, x\",\"b \"\"q\"\"\"\n\"1\n2\",\"\"\"\"\n3,4\n", 2, &["a, x", "b \"q\""]),
            ("name\nx\ny\n", 2, &["name"]),
            ("a,b\n", 0, &["a", "b"]),
            ("5\" pipe,b\n1,2\n", 1, &["5\" pipe", "b"]),
            ("1,2\n3,4\n", 2, &[]),
            ("a,a\n3,4\n", 2, &[]),
            ("a,\n3,4\n", 2, &[]),
            ("", 0, &[]),
            ("\n\n", 0, &[]),
        ] {
            let facts = csv(text);
            assert_eq!((facts.records, names_of(&facts)), (Some(records), names.to_vec()), "{text:?}");
        }
        let facts = csv("a,b\n1\n1,2\n1,2,3\n");
        assert_eq!(facts.remarks, ["2 rows have another number of cells than 2, first on line 2"]);
        let facts = csv("a,b\n1,\"x\n2,3\n");
        assert_eq!((facts.records, facts.remarks.len()), (None, 1));
        assert_eq!(facts.remarks, ["the quote that begins on line 2 does not end"]);
        assert!(matches!(table(&mut &b"a\n"[..], false, &|| true), Err(DataFault::Stopped)));
    }

    #[test]
    fn attack_c5_a_first_row_without_end_is_not_kept() {
        let long = vec![b'x'; usize::try_from(HEADER_MAX).unwrap() + 1];
        assert!(matches!(table(&mut &long[..], false, &|| false), Err(DataFault::HeaderTooLong)));
    }

    #[test]
    fn field_c5_records_of_json_lines_are_counted() {
        for (text, records, names) in [
            ("{\"b\": 1, \"a\": 2}\n\n{\"c\": 1}\n", 2, &["a", "b"][..]),
            ("{\"a\": 1}", 1, &["a"]),
            ("[1]\n[2]\n", 2, &[]),
            ("\n", 0, &[]),
        ] {
            for length in [1, 3, 1000] {
                let facts = json_lines(&mut Dribble(text.as_bytes(), length), &|| false).unwrap();
                assert_eq!((facts.records, names_of(&facts)), (Some(records), names.to_vec()), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn attack_c5_no_table_makes_it_panic(text in "[a1,;\"\\t\\r\\n|é]{0,80}", length in 1_usize..9) {
            let whole = table(&mut text.as_bytes(), false, &|| false);
            let pieces = table(&mut Dribble(text.as_bytes(), length), false, &|| false);
            prop_assert_eq!(whole.unwrap(), pieces.unwrap());
            let _ = json_lines(&mut Dribble(text.as_bytes(), length), &|| false);
        }
    }
}
