//! `config.toml` in consign's home: which programs may sign, and which library talks to tokens.
//!
//! What stands here decides what is run, so the file is read from the home alone, and not if others could have
//! written it.

use std::path::PathBuf;
#[cfg(unix)]
use std::time::Duration;

use consign_metadata::{Problem, TomlFormat, TomlReader, TomlTable, TomlValue, printable};
#[cfg(unix)]
use consign_signing::{PublicKey, PublicKeyError, SignerName, SignerNameError};

/// The name of the file in the home.
pub const CONFIG_FILE: &str = "config.toml";
/// Largest file, in bytes.
const CONFIG_BYTES_MAX: usize = 1 << 20;
const FORMAT: TomlFormat = TomlFormat {
    version: 1,
    bytes_max: CONFIG_BYTES_MAX,
    too_large: "config-too-large",
    malformed: "config-syntax",
    other_version: "config-format",
};
const TOP_FIELDS: [&str; 3] = ["signer", "pkcs11", "ledger"];
const SIGNER_FIELDS: [&str; 6] = ["name", "program", "args", "public_key", "environment", "timeout_seconds"];
const PKCS11_FIELDS: [&str; 1] = ["module"];
const LEDGER_FIELDS: [&str; 1] = ["key"];
const TIMEOUT_DEFAULT: u64 = 30;
const TIMEOUT_MAX: u64 = 600;

/// The content of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The programs that may sign. No name twice.
    #[cfg(unix)]
    pub signers: Vec<SignerEntry>,
    /// The library for tokens whose URI names none.
    pub pkcs11_module: Option<PathBuf>,
    /// The key that signs the ledger, as `--ledger-key` names it.
    pub ledger_key: Option<String>,
}

/// A program that may sign.
#[cfg(unix)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerEntry {
    pub name: SignerName,
    /// Absolute.
    pub program: PathBuf,
    pub args: Vec<String>,
    /// What its signatures are checked against.
    pub public_key: PublicKey,
    /// Names of variables that are passed on to it.
    pub environment: Vec<String>,
    pub timeout: Duration,
}

impl Config {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// All that is wrong, each with its line.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        FORMAT.read(text, &TOP_FIELDS, config)
    }
}

fn config(reader: &mut TomlReader, file: &TomlTable<'_>) -> Config {
    let mut config = Config::default();
    if let Some(value) = file.get("pkcs11")
        && let Some(table) = reader.table(value, "table", &PKCS11_FIELDS, "is a table: `[pkcs11]`")
    {
        config.pkcs11_module = reader.optional(&table, "module", path).flatten();
    }
    if let Some(value) = file.get("ledger")
        && let Some(table) = reader.table(value, "table", &LEDGER_FIELDS, "is a table: `[ledger]`")
    {
        config.ledger_key = reader.optional(&table, "key", TomlReader::text).flatten().map(str::to_owned);
    }
    #[cfg(unix)]
    for table in reader.tables(file, "signer", "signer", &SIGNER_FIELDS) {
        let Some(entry) = signer(reader, &table) else { continue };
        if config.signers.iter().any(|known| known.name == entry.name) {
            let message = format!("the name `{}` is taken by another entry", entry.name);
            reader.report("config-name-taken", table.at(), message);
        } else {
            config.signers.push(entry);
        }
    }
    config
}

#[cfg(unix)]
fn signer(reader: &mut TomlReader, table: &TomlTable<'_>) -> Option<SignerEntry> {
    // All are read before any is missed, so that all problems come out at once.
    let name = reader.required(table, "name", |reader, value| {
        reader.parsed(value, |error: SignerNameError| bad_value(format!("`{}` is {error}", value.name())))
    });
    let program = reader.required(table, "program", path);
    let public_key = reader.required(table, "public_key", |reader, value| {
        reader.parsed(value, |error: PublicKeyError| error.problem().at(value.name()))
    });
    let nul = |text: &str| if text.contains('\0') { Err("holds a NUL") } else { Ok(()) };
    let args = reader.optional(table, "args", |reader, value| texts(reader, value, nul));
    let environment = reader.optional(table, "environment", |reader, value| texts(reader, value, variable));
    let timeout = reader.optional(table, "timeout_seconds", timeout);
    Some(SignerEntry {
        name: name?,
        program: program?,
        args: args?.unwrap_or_default(),
        public_key: public_key?,
        environment: environment?.unwrap_or_default(),
        timeout: Duration::from_secs(timeout?.unwrap_or(TIMEOUT_DEFAULT)),
    })
}

fn bad_value(message: String) -> Problem {
    Problem::new("bad-value", message)
}

/// An absolute path. Nothing in a home depends on where a command runs.
fn path(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<PathBuf> {
    let text = reader.text(value)?;
    let plain = |part: &str| !matches!(part, "." | "..");
    if PathBuf::from(text).is_absolute() && text.split('/').all(plain) && printable(text) == text {
        return Some(text.into());
    }
    let message = format!("`{}` is not an absolute path without `.`, `..` and odd characters", value.name());
    reader.push(value.at(), bad_value(message));
    None
}

#[cfg(unix)]
fn texts(
    reader: &mut TomlReader,
    value: TomlValue<'_>,
    check: fn(&str) -> Result<(), &'static str>,
) -> Option<Vec<String>> {
    let item = format!("an item of {}", value.name());
    let items = reader.items(value, &item, "is not a list of texts")?;
    reader.each(&items, |reader, item| {
        let text = reader.text(item)?;
        if let Err(reason) = check(text) {
            let message = format!("an item of `{}`, `{}`, {reason}", value.name(), printable(text));
            reader.push(item.at(), bad_value(message));
            return None;
        }
        Some(text.to_owned())
    })
}

#[cfg(unix)]
fn timeout(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<u64> {
    let seconds = value.as_integer().filter(|seconds| (1..=TIMEOUT_MAX).contains(seconds));
    if seconds.is_none() {
        let message = format!("`{}` is not a number from 1 to {TIMEOUT_MAX}", value.name());
        reader.push(value.at(), bad_value(message));
    }
    seconds
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
