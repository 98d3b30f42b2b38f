//! The strict reader of the program's own TOML files, such as `trust.toml`: every problem at once, each with its
//! line, and nothing that is not known is passed over.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, did_you_mean};
use crate::text::Line;
use crate::text_problems::TextProblems;
use crate::unicode::printable;

/// A kind of file: what its field `format` says, how large it may be, and the codes of what is wrong with a file
/// as a whole. What is wrong with a field has the same codes in all of them: `unknown-field`, `missing-field`,
/// `wrong-type`, `invalid-text`.
///
/// ```
/// use consign_metadata::{TomlFormat, TomlReader};
/// const PETS: TomlFormat = TomlFormat {
///     version: 1,
///     bytes_max: 1024,
///     too_large: "pets-too-large",
///     malformed: "pets-syntax",
///     other_version: "pets-format",
/// };
/// let names = |text: &str| {
///     PETS.read(text, &["pet"], |reader, file| {
///         let pets = reader.tables(file, "pet", "pet", &["name"]);
///         let name = |pet| reader.required(pet, "name", TomlReader::line);
///         pets.iter().map(name).collect::<Vec<_>>()
///     })
/// };
/// let read = names("format = 1\n[[pet]]\nname = 'Rex'\n").expect("it is well formed");
/// assert_eq!(read[0].as_ref().map(|name| name.as_str()), Some("Rex"));
///
/// let problems = names("format = 1\n[[pet]]\nnam = 'Rex'\n[[pet]]\nname = 7\n").unwrap_err();
/// let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
/// assert_eq!(found, [
///     (Some(2), "the pet has no `name`"),
///     (Some(3), "unknown field `nam`"),
///     (Some(5), "`name` is not a text in quotes"),
/// ]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TomlFormat {
    /// The one value of `format` that is read.
    pub version: u64,
    /// Largest file, in bytes.
    pub bytes_max: usize,
    /// The code of a file that is larger.
    pub too_large: &'static str,
    /// The code of a text that is not TOML.
    pub malformed: &'static str,
    /// The code of another `format`.
    pub other_version: &'static str,
}

impl TomlFormat {
    /// Reads a file that has `format` and the given fields; `read` gets its table.
    ///
    /// # Errors
    /// All that is wrong, in the order of the lines; of errors of syntax the first, and if the file was made for
    /// another version, nothing but that.
    pub fn read<T>(
        &self,
        text: &str,
        fields: &[&'static str],
        read: impl FnOnce(&mut TomlReader, &TomlTable<'_>) -> T,
    ) -> Result<T, Vec<Problem>> {
        if text.len() > self.bytes_max {
            let message = format!("the file is larger than {} bytes", self.bytes_max);
            return Err(vec![Problem::new(self.too_large, message)]);
        }
        let mut reader = TomlReader { problems: TextProblems::of(text) };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let at = error.span().unwrap_or_default();
                reader.report(self.malformed, at, printable(error.message()));
                return Err(reader.problems.into_vec());
            }
        };
        // The format first: in another one, the other fields may mean something else.
        match table.get_ref().get("format") {
            Some(value) if decimal(value.get_ref()) == Some(self.version) => {}
            Some(value) => {
                let message =
                    format!("`format` is not {}; the file was made for another version", self.version);
                reader.report(self.other_version, value.span(), message);
                return Err(reader.problems.into_vec());
            }
            None => {
                let message = format!("`format` is missing; write `format = {}`", self.version);
                reader.report("missing-field", 0..0, message);
            }
        }
        let known: Vec<_> = ["format"].iter().chain(fields).copied().collect();
        let file = reader.open(table.get_ref(), 0..0, "file", &known);
        let value = read(&mut reader, &file);
        if reader.problems.is_empty() { Ok(value) } else { Err(reader.problems.into_vec()) }
    }
}

/// A table whose unknown fields have been reported.
#[derive(Debug)]
pub struct TomlTable<'t> {
    fields: BTreeMap<&'t str, &'t Spanned<DeValue<'t>>>,
    at: Range<usize>,
    called: &'static str,
}

impl<'t> TomlTable<'t> {
    /// Where it stands.
    pub fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// The value of a field.
    pub fn get(&self, name: &'static str) -> Option<TomlValue<'t>> {
        self.fields.get(name).map(|value| TomlValue { name, value })
    }
}

/// A value, and what messages call it.
#[derive(Clone, Copy, Debug)]
pub struct TomlValue<'t> {
    name: &'t str,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> TomlValue<'t> {
    /// What messages call it: the name of the field, or words such as `a role` for one of a list.
    pub fn name(&self) -> &'t str {
        self.name
    }

    /// Where it stands.
    pub fn at(&self) -> Range<usize> {
        self.value.span()
    }

    /// The number, if it is a whole one, not negative and written in decimal digits.
    pub fn as_integer(&self) -> Option<u64> {
        decimal(self.value.get_ref())
    }

    /// The text in quotes, or the date or time as TOML has them, without any.
    pub fn as_text_or_time(&self) -> Option<String> {
        match self.value.get_ref() {
            DeValue::Datetime(time) => Some(time.to_string()),
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        }
    }
}

/// Reads tables and values, and collects what is wrong. What cannot be read is `None`, and reading goes on: so that
/// all problems come out at once, read all fields of a table before you give up for want of one.
pub struct TomlReader {
    problems: TextProblems,
}

impl TomlReader {
    /// Adds what is wrong at a place.
    pub fn report(&mut self, code: &'static str, at: Range<usize>, message: impl Into<String>) {
        self.problems.report(code, at, message);
    }

    /// Adds a problem, which gets the line of the place.
    pub fn push(&mut self, at: Range<usize>, problem: Problem) {
        self.problems.push(at, problem);
    }

    /// Whether anything was found wrong so far.
    pub fn is_faulty(&self) -> bool {
        !self.problems.is_empty()
    }

    /// The line, counted from 1, on which a place begins.
    pub fn line_of(&self, at: &Range<usize>) -> usize {
        self.problems.line_of(at)
    }

    /// The table with its fields; such as are not among the known ones are reported.
    fn open<'t>(
        &mut self,
        table: &'t DeTable<'t>,
        at: Range<usize>,
        called: &'static str,
        known: &[&'static str],
    ) -> TomlTable<'t> {
        let mut fields = BTreeMap::new();
        for (name, value) in table {
            let text: &str = name.get_ref();
            if known.contains(&text) {
                fields.insert(text, value);
                continue;
            }
            let mut problem = Problem::new("unknown-field", format!("unknown field `{}`", printable(text)));
            problem.hint =
                did_you_mean(text, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            self.push(name.span(), problem);
        }
        TomlTable { fields, at, called }
    }

    /// The value as a table with the given fields. `called` is what messages call such a table, and `otherwise`
    /// what is said of a value that is none, such as ``is not a table, such as `[root]` ``.
    pub fn table<'t>(
        &mut self,
        value: TomlValue<'t>,
        called: &'static str,
        fields: &[&'static str],
        otherwise: &str,
    ) -> Option<TomlTable<'t>> {
        match value.value.get_ref().as_table() {
            Some(table) => Some(self.open(table, value.at(), called, fields)),
            None => self.wrong_type(value, otherwise),
        }
    }

    /// The tables of a list such as `[[key]]`, each with the given fields; none if it is absent.
    pub fn tables<'t>(
        &mut self,
        of: &TomlTable<'t>,
        name: &'static str,
        called: &'static str,
        fields: &[&'static str],
    ) -> Vec<TomlTable<'t>> {
        let otherwise = format!("is a list of tables: `[[{name}]]`");
        let entries = of.get(name).and_then(|value| self.items(value, name, &otherwise));
        let mut tables = Vec::new();
        for entry in entries.unwrap_or_default() {
            tables.extend(self.table(entry, called, fields, &otherwise));
        }
        tables
    }

    /// A field that must be there, read by `read`.
    pub fn required<'t, T>(
        &mut self,
        table: &TomlTable<'t>,
        name: &'static str,
        read: impl FnOnce(&mut Self, TomlValue<'t>) -> Option<T>,
    ) -> Option<T> {
        match table.get(name) {
            Some(value) => read(self, value),
            None => {
                self.report("missing-field", table.at(), format!("the {} has no `{name}`", table.called));
                None
            }
        }
    }

    /// A field that may be absent, which gives `Some(None)`; `None` if it is there and wrong.
    pub fn optional<'t, T>(
        &mut self,
        table: &TomlTable<'t>,
        name: &'static str,
        read: impl FnOnce(&mut Self, TomlValue<'t>) -> Option<T>,
    ) -> Option<Option<T>> {
        match table.get(name) {
            Some(value) => read(self, value).map(Some),
            None => Some(None),
        }
    }

    /// The text of a value in quotes.
    pub fn text<'t>(&mut self, value: TomlValue<'t>) -> Option<&'t str> {
        match value.value.get_ref().as_str() {
            Some(text) => Some(text),
            None => self.wrong_type(value, "is not a text in quotes"),
        }
    }

    /// A text in quotes as the type that it stands for; `problem` says what it means if it is none.
    pub fn parsed<T: FromStr>(
        &mut self,
        value: TomlValue<'_>,
        problem: impl FnOnce(T::Err) -> Problem,
    ) -> Option<T> {
        let parsed = self.text(value)?.parse();
        parsed.map_err(|error| self.push(value.at(), problem(error))).ok()
    }

    /// One line of text.
    pub fn line(&mut self, value: TomlValue<'_>) -> Option<Line> {
        self.parsed(value, |error: crate::TextError| {
            Problem::new("invalid-text", format!("`{}` {error}", value.name))
        })
    }

    /// The values of a list, each called `item`. `otherwise` is what is said of a value that is no list, such as
    /// `is not a list of texts`.
    pub fn items<'t>(
        &mut self,
        value: TomlValue<'t>,
        item: &'t str,
        otherwise: &str,
    ) -> Option<Vec<TomlValue<'t>>> {
        match value.value.get_ref().as_array() {
            Some(list) => Some(list.iter().map(|value| TomlValue { name: item, value }).collect()),
            None => self.wrong_type(value, otherwise),
        }
    }

    /// All of the values, read by `read`; `None` if any of them is wrong. Each is read, whatever the others are.
    pub fn each<'t, T>(
        &mut self,
        items: &[TomlValue<'t>],
        mut read: impl FnMut(&mut Self, TomlValue<'t>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read: Vec<_> = items.iter().map(|item| read(self, *item)).collect();
        read.into_iter().collect()
    }

    fn wrong_type<T>(&mut self, value: TomlValue<'_>, otherwise: &str) -> Option<T> {
        self.report("wrong-type", value.at(), format!("`{}` {otherwise}", value.name));
        None
    }
}

impl fmt::Debug for TomlReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TomlReader").finish_non_exhaustive()
    }
}

/// A plain decimal integer.
fn decimal(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    (integer.radix() == 10).then(|| integer.as_str().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: TomlFormat = TomlFormat {
        version: 2,
        bytes_max: 200,
        too_large: "t-too-large",
        malformed: "t-syntax",
        other_version: "t-format",
    };

    #[derive(Debug, PartialEq)]
    struct Entry {
        name: Option<Line>,
        size: Option<Option<u64>>,
        tags: Option<Option<Vec<Line>>>,
    }

    fn entries(reader: &mut TomlReader, file: &TomlTable<'_>) -> Vec<Entry> {
        let tables = reader.tables(file, "entry", "entry", &["name", "size", "tags"]);
        let entry = |table: &TomlTable<'_>| Entry {
            name: reader.required(table, "name", TomlReader::line),
            size: reader.optional(table, "size", |_, value| value.as_integer()),
            tags: reader.optional(table, "tags", |reader, value| {
                let items = reader.items(value, "a tag", "is not a list")?;
                reader.each(&items, TomlReader::line)
            }),
        };
        tables.iter().map(entry).collect()
    }

    fn read(text: &str) -> Result<Vec<Entry>, Vec<Problem>> {
        FORMAT.read(text, &["entry"], entries)
    }

    fn problems(text: &str) -> Vec<(&'static str, Option<usize>, String)> {
        let problems = read(text).expect_err(text);
        problems.into_iter().map(|problem| (problem.code, problem.line, problem.message)).collect()
    }

    #[test]
    fn what_is_well_formed_is_read() {
        let text = "format = 2\nentry = [{ name = 'a', size = 1_0 }, { name = 'b', tags = ['x', 'y'] }]\n";
        let line = |text: &str| text.parse::<Line>().unwrap();
        assert_eq!(
            read(text).unwrap(),
            [
                Entry { name: Some(line("a")), size: Some(Some(10)), tags: Some(None) },
                Entry {
                    name: Some(line("b")),
                    size: Some(None),
                    tags: Some(Some(vec![line("x"), line("y")]))
                },
            ]
        );
        assert_eq!(read("format = 2\r\n").unwrap(), []);
    }

    #[test]
    fn every_problem_comes_at_once_with_its_line() {
        let text = concat!(
            "entyr = 1\n",                   // 1
            "zzz = 1\n",                     // 2
            "[[entry]]\n",                   // 3
            "nam = 'a'\n",                   // 4
            "[[entry]]\n",                   // 5
            "name = 7\n",                    // 6
            "tags = ['x', 1,\n' y']\n",      // 7, 8
            "[[entry]]\n",                   // 9
            "name = \"a\\u202eb\"\ntags={}", // 10, 11
        );
        let expected = [
            ("missing-field", 1, "`format` is missing; write `format = 2`"),
            ("unknown-field", 1, "unknown field `entyr`"),
            ("unknown-field", 2, "unknown field `zzz`"),
            ("missing-field", 3, "the entry has no `name`"),
            ("unknown-field", 4, "unknown field `nam`"),
            ("wrong-type", 6, "`name` is not a text in quotes"),
            ("wrong-type", 7, "`a tag` is not a text in quotes"),
            ("invalid-text", 8, "`a tag` ` y` begins or ends with white space"),
            (
                "invalid-text",
                10,
                "`name` `a\\u{202e}b` holds the character U+202E, which does not show or changes how a line reads",
            ),
            ("wrong-type", 11, "`tags` is not a list"),
        ];
        assert_eq!(problems(text), expected.map(|(code, line, text)| (code, Some(line), text.to_owned())));
        let problems = read(text).unwrap_err();
        assert_eq!(problems[1].hint.as_deref(), Some("did you mean `entry`?"));
        assert_eq!(problems[2].hint, None);
        assert_eq!(problems[4].hint.as_deref(), Some("did you mean `name`?"));
    }

    #[test]
    fn a_field_of_another_type_is_named() {
        for (text, line) in [
            ("format = 2\nentry = 1\n", 2),
            ("format = 2\n[entry]\nname = 'a'\n", 2),
            ("format = 2\nentry = [\n1]\n", 3),
        ] {
            let message = "`entry` is a list of tables: `[[entry]]`".to_owned();
            assert_eq!(problems(text), [("wrong-type", Some(line), message)], "{text}");
        }
    }

    #[test]
    fn another_format_is_the_only_problem_of_its_file() {
        let message = "`format` is not 2; the file was made for another version";
        for format in ["1", "3", "'2'", "0x2", "2.0", "-2", "18446744073709551618"] {
            let text = format!("unheard = 'of'\nformat = {format}\n");
            assert_eq!(problems(&text), [("t-format", Some(2), message.to_owned())], "{format}");
        }
    }

    #[test]
    fn what_is_no_toml_or_too_large_is_not_read() {
        assert_eq!(problems("format = 2\n= 2\n")[0].0, "t-syntax");
        assert_eq!(problems("format = 2\n= 2\n")[0].1, Some(2));
        assert_eq!(problems("format = 2\nformat = 2\n")[0].0, "t-syntax");
        let message = "the file is larger than 200 bytes".to_owned();
        assert_eq!(problems(&" ".repeat(201)), [("t-too-large", None, message)]);
    }
}
