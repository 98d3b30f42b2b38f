//! `config.toml` in consign's home: which programs may sign, and which library talks to tokens.
//!
//! What stands here decides what is run, so the file is read from the home alone, and not if others could have
//! written it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use consign_metadata::{Problem, did_you_mean, printable};
use consign_signing::PublicKey;
#[cfg(unix)]
use consign_signing::SignerName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the file in the home.
pub(crate) const CONFIG_FILE: &str = "config.toml";
/// Largest file, in bytes.
const CONFIG_BYTES_MAX: usize = 1 << 20;
const FORMAT: u64 = 1;
const TOP_FIELDS: [&str; 4] = ["format", "signer", "pkcs11", "ledger"];
const SIGNER_FIELDS: [&str; 6] = ["name", "program", "args", "public_key", "environment", "timeout_seconds"];
const PKCS11_FIELDS: [&str; 1] = ["module"];
const LEDGER_FIELDS: [&str; 1] = ["key"];
const TIMEOUT_DEFAULT: u64 = 30;
const TIMEOUT_MAX: u64 = 600;

/// The content of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// The programs that may sign. No name twice.
    #[cfg(unix)]
    pub(crate) signers: Vec<SignerEntry>,
    /// The library for tokens whose URI names none.
    pub(crate) pkcs11_module: Option<PathBuf>,
    /// The key that signs the ledger, as `--ledger-key` names it.
    pub(crate) ledger_key: Option<String>,
}

/// A program that may sign.
#[cfg(unix)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignerEntry {
    pub(crate) name: SignerName,
    /// Absolute.
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// What its signatures are checked against.
    pub(crate) public_key: PublicKey,
    /// Names of variables that are passed on to it.
    pub(crate) environment: Vec<String>,
    pub(crate) timeout: Duration,
}

impl Config {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// All that is wrong, each with its line.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > CONFIG_BYTES_MAX {
            let message = format!("is larger than {CONFIG_BYTES_MAX} bytes");
            return Err(vec![Problem::new("config-too-large", message)]);
        }
        let mut reader =
            Reader { line_feeds: text.match_indices('\n').map(|(at, _)| at).collect(), problems: Vec::new() };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let span = error.span().unwrap_or_default();
                reader.report("config-syntax", &span, &printable(error.message()));
                return Err(reader.problems);
            }
        };
        let config = reader.config(table.get_ref());
        reader.problems.sort_by_key(|problem| problem.line);
        if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
    }
}

/// A table's fields by name, each with its place.
type Fields<'a> = BTreeMap<&'a str, &'a Spanned<DeValue<'a>>>;

/// Collects what is wrong while it reads.
struct Reader {
    /// Where the line feeds are.
    line_feeds: Vec<usize>,
    problems: Vec<Problem>,
}

impl Reader {
    fn config(&mut self, table: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        // The format first: in another one, the other fields may mean something else.
        match table.get("format") {
            Some(value) if integer(value.get_ref()) == Some(FORMAT) => {}
            Some(value) => {
                let message = format!("`format` is not {FORMAT}; the file was made for another version");
                self.report("config-format", &value.span(), &message);
                return config;
            }
            None => {
                let message = format!("`format` is missing; write `format = {FORMAT}`");
                self.report("missing-field", &(0..0), &message);
            }
        }
        let fields = self.fields(table, &TOP_FIELDS);
        if let Some(value) = fields.get("pkcs11") {
            match value.get_ref().as_table() {
                Some(table) => {
                    let fields = self.fields(table, &PKCS11_FIELDS);
                    config.pkcs11_module = fields.get("module").and_then(|value| self.path("module", value));
                }
                None => self.report("wrong-type", &value.span(), "`pkcs11` is a table: `[pkcs11]`"),
            }
        }
        if let Some(value) = fields.get("ledger") {
            match value.get_ref().as_table() {
                Some(table) => {
                    let fields = self.fields(table, &LEDGER_FIELDS);
                    config.ledger_key =
                        fields.get("key").and_then(|value| self.string("key", value).map(str::to_owned));
                }
                None => self.report("wrong-type", &value.span(), "`ledger` is a table: `[ledger]`"),
            }
        }
        #[cfg(unix)]
        for (entry, at) in self.tables(&fields, "signer") {
            let Some(entry) = self.signer(entry, &at) else { continue };
            if config.signers.iter().any(|known| known.name == entry.name) {
                let message = format!("the name `{}` is taken by another entry", entry.name);
                self.report("config-name-taken", &at, &message);
            } else {
                config.signers.push(entry);
            }
        }
        config
    }

    #[cfg(unix)]
    fn signer(&mut self, table: &DeTable<'_>, at: &Range<usize>) -> Option<SignerEntry> {
        let fields = self.fields(table, &SIGNER_FIELDS);
        for name in ["name", "program", "public_key"] {
            if !fields.contains_key(name) {
                self.report("missing-field", at, &format!("the signer has no `{name}`"));
            }
        }
        // All are read before any is missed, so that all problems come out at once.
        let name = fields.get("name").and_then(|value| self.parsed::<SignerName>("name", value));
        let program = fields.get("program").and_then(|value| self.path("program", value));
        let public_key = fields.get("public_key").and_then(|value| {
            let key = self.string("public_key", value)?.parse::<PublicKey>();
            let line = self.line_of(&value.span());
            key.map_err(|error| self.problems.push(error.problem().at("public_key").line(line))).ok()
        });
        let args = self
            .strings(&fields, "args", |text| if text.contains('\0') { Err("holds a NUL") } else { Ok(()) });
        let environment = self.strings(&fields, "environment", variable);
        let timeout = match fields.get("timeout_seconds") {
            None => Some(TIMEOUT_DEFAULT),
            Some(value) => {
                let seconds = integer(value.get_ref()).filter(|seconds| (1..=TIMEOUT_MAX).contains(seconds));
                if seconds.is_none() {
                    let message = format!("`timeout_seconds` is not a number from 1 to {TIMEOUT_MAX}");
                    self.report("bad-value", &value.span(), &message);
                }
                seconds
            }
        };
        Some(SignerEntry {
            name: name?,
            program: program?,
            args: args?,
            public_key: public_key?,
            environment: environment?,
            timeout: Duration::from_secs(timeout?),
        })
    }

    /// The fields of a table; those that do not exist are reported.
    fn fields<'t>(&mut self, table: &'t DeTable<'t>, known: &[&'static str]) -> Fields<'t> {
        let mut fields = Fields::new();
        for (name, value) in table {
            let text: &str = name.get_ref();
            if known.contains(&text) {
                fields.insert(text, value);
                continue;
            }
            let message = format!("unknown field `{}`", printable(text));
            let mut problem = Problem::new("unknown-field", message).line(self.line_of(&name.span()));
            if let Some(near) = did_you_mean(text, known.iter().copied()) {
                problem = problem.hint(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        fields
    }

    /// The tables of a list, each with its place.
    #[cfg(unix)]
    fn tables<'t>(
        &mut self,
        fields: &Fields<'t>,
        name: &'static str,
    ) -> Vec<(&'t DeTable<'t>, Range<usize>)> {
        let Some(value) = fields.get(name).copied() else { return Vec::new() };
        let message = format!("`{name}` is a list of tables: `[[{name}]]`");
        let Some(list) = value.get_ref().as_array() else {
            self.report("wrong-type", &value.span(), &message);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for entry in list {
            match entry.get_ref().as_table() {
                Some(table) => tables.push((table, entry.span())),
                None => self.report("wrong-type", &entry.span(), &message),
            }
        }
        tables
    }

    fn string<'v>(&mut self, name: &str, value: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.report("wrong-type", &value.span(), &format!("`{name}` is not a text in quotes"));
        }
        text
    }

    #[cfg(unix)]
    fn parsed<T>(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let parsed = self.string(name, value)?.parse();
        parsed.map_err(|e| self.report("bad-value", &value.span(), &format!("`{name}` is {e}"))).ok()
    }

    /// An absolute path. Nothing in a home depends on where a command runs.
    fn path(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<PathBuf> {
        let text = self.string(name, value)?;
        let plain = |part: &str| !matches!(part, "." | "..");
        if PathBuf::from(text).is_absolute() && text.split('/').all(plain) && printable(text) == text {
            return Some(text.into());
        }
        let message = format!("`{name}` is not an absolute path without `.`, `..` and odd characters");
        self.report("bad-value", &value.span(), &message);
        None
    }

    /// A list of texts that may be absent.
    #[cfg(unix)]
    fn strings(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        check: fn(&str) -> Result<(), &'static str>,
    ) -> Option<Vec<String>> {
        let Some(value) = fields.get(name) else { return Some(Vec::new()) };
        let Some(list) = value.get_ref().as_array() else {
            self.report("wrong-type", &value.span(), &format!("`{name}` is not a list of texts"));
            return None;
        };
        let mut texts = Some(Vec::new());
        for item in list {
            let text = self.string(&format!("an item of {name}"), item).and_then(|text| match check(text) {
                Ok(()) => Some(text.to_owned()),
                Err(reason) => {
                    let message = format!("an item of `{name}`, `{}`, {reason}", printable(text));
                    self.report("bad-value", &item.span(), &message);
                    None
                }
            });
            texts = texts.zip(text).map(|(mut texts, text)| {
                texts.push(text);
                texts
            });
        }
        texts
    }

    fn report(&mut self, code: &'static str, at: &Range<usize>, message: &str) {
        let line = self.line_of(at);
        self.problems.push(Problem::new(code, message).line(line));
    }

    fn line_of(&self, at: &Range<usize>) -> usize {
        1 + self.line_feeds.partition_point(|&line_feed| line_feed < at.start)
    }
}

/// The name of a variable that may be passed on. Those that decide what code a program loads, or where it looks
/// for others, are not passed on from wherever consign happens to run.
#[cfg(unix)]
fn variable(name: &str) -> Result<(), &'static str> {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let is_name = name.len() <= 100
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|b| letter(b) || b.is_ascii_digit());
    if !is_name {
        return Err("is not the name of a variable");
    }
    if matches!(name, "PATH" | "IFS" | "ENV" | "BASH_ENV" | "SHELLOPTS" | "BASHOPTS" | "GLIBC_TUNABLES")
        || ["LD_", "DYLD_", "BASH_FUNC_"].iter().any(|prefix| name.starts_with(prefix))
    {
        return Err("is never passed on, since it decides what is run");
    }
    Ok(())
}

/// A plain decimal integer.
fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    (integer.radix() == 10).then(|| integer.as_str().parse().ok()).flatten()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

    fn example() -> String {
        format!(
            "format = 1\n\n[pkcs11]\nmodule = \"/usr/lib/softhsm/libsofthsm2.so\"\n\n[[signer]]\n\
             name = \"vault-release\"\nprogram = \"/usr/local/bin/vault-sign\"\nargs = [\"transit\", \"$HOME\"]\n\
             public_key = \"{KEY}\"\nenvironment = [\"VAULT_ADDR\", \"VAULT_TOKEN\"]\ntimeout_seconds = 45\n"
        )
    }

    fn problems(text: &str) -> Vec<(&'static str, usize)> {
        let problems = Config::parse(text).unwrap_err();
        problems.iter().map(|problem| (problem.code, problem.line.unwrap_or_default())).collect()
    }

    #[test]
    fn a_file_is_read() {
        let config = Config::parse(&example()).unwrap();
        assert_eq!(config.pkcs11_module, Some("/usr/lib/softhsm/libsofthsm2.so".into()));
        let [entry] = config.signers.as_slice() else { panic!("{config:?}") };
        assert_eq!(entry.name.as_str(), "vault-release");
        assert_eq!(entry.args, ["transit", "$HOME"]);
        assert_eq!(entry.environment, ["VAULT_ADDR", "VAULT_TOKEN"]);
        assert_eq!(entry.timeout, Duration::from_secs(45));
        let short =
            example().replace("args = [\"transit\", \"$HOME\"]\n", "").replace("timeout_seconds = 45\n", "");
        assert_eq!(Config::parse(&short).unwrap().signers[0].timeout, Duration::from_secs(TIMEOUT_DEFAULT));
        assert_eq!(Config::parse("format = 1\n"), Ok(Config::default()));
    }

    #[test]
    fn a24_each_fault_is_named_with_its_line() {
        let example = example();
        for (from, to, code, line) in [
            ("format = 1", "format = 2", "config-format", 1),
            ("format = 1\n", "\n", "missing-field", 1),
            ("[pkcs11]", "[pkcs12]", "unknown-field", 3),
            ("module =", "modul =", "unknown-field", 4),
            ("\"/usr/lib/softhsm", "\"lib/softhsm", "bad-value", 4),
            ("/usr/lib/softhsm", "/usr/lib/../lib", "bad-value", 4),
            ("[[signer]]", "[signer]", "wrong-type", 6),
            ("\"vault-release\"", "\"../vault\"", "bad-value", 7),
            ("\"vault-release\"", "\"Vault\"", "bad-value", 7),
            ("\"vault-release\"", "7", "wrong-type", 7),
            ("name = \"vault-release\"\n", "\n", "missing-field", 6),
            ("\"/usr/local/bin/", "\"", "bad-value", 8),
            ("\"/usr/local/bin/", "\"~/", "bad-value", 8),
            ("/usr/local/bin/vault-sign", "/usr/./vault-sign", "bad-value", 8),
            ("/usr/local/bin/vault-sign", "/usr/vault\\u202esign", "bad-value", 8),
            ("args = [", "args = [1, ", "wrong-type", 9),
            ("args = [", "args = [\"\\u0000\", ", "bad-value", 9),
            ("[\"transit\", \"$HOME\"]", "\"transit\"", "wrong-type", 9),
            ("AAAAC3", "AAAAC4", "key-malformed", 10),
            ("\"VAULT_ADDR\"", "\"VAULT_ADDR=1\"", "bad-value", 11),
            ("\"VAULT_ADDR\"", "\"PATH\"", "bad-value", 11),
            ("\"VAULT_ADDR\"", "\"LD_PRELOAD\"", "bad-value", 11),
            ("\"VAULT_ADDR\"", "\"BASH_ENV\"", "bad-value", 11),
            ("\"VAULT_ADDR\"", "\"\"", "bad-value", 11),
            ("timeout_seconds = 45", "timeout_seconds = 0", "bad-value", 12),
            ("timeout_seconds = 45", "timeout_seconds = 601", "bad-value", 12),
            ("timeout_seconds = 45", "timeout_seconds = 4.5", "bad-value", 12),
            ("timeout_seconds", "timeout", "unknown-field", 12),
            ("timeout_seconds = 45", "name = \"twice\"", "config-syntax", 12),
        ] {
            assert_eq!(example.matches(from).count(), 1, "{from}");
            assert_eq!(problems(&example.replace(from, to)), [(code, line)], "{from} -> {to}");
        }
        let twice = format!("{example}{}", &example[example.find("[[signer]]").unwrap()..]);
        assert_eq!(problems(&twice), [("config-name-taken", 13)]);
        let several = example.replace("45", "0").replace("/usr/local", "usr").replace("module", "modul");
        assert_eq!(problems(&several), [("unknown-field", 4), ("bad-value", 8), ("bad-value", 12)]);
        assert_eq!(problems(&" ".repeat(CONFIG_BYTES_MAX + 1)), [("config-too-large", 0)]);
    }
}
