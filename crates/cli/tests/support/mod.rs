//! A desk to run `consign` at: a working directory of its own, a home of its own, and no environment but that.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use insta::internals::SettingsBindDropGuard;

/// A directory in which commands run, so that no test sees another's files and no message holds a path that
/// changes from run to run.
pub struct Desk {
    dir: tempfile::TempDir,
    /// Whether commands keep a record.
    records: bool,
    /// Puts words for what differs from run to run into every snapshot taken while the desk stands.
    _filters: SettingsBindDropGuard,
}

impl Desk {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        fs::create_dir(dir.path().join("desk")).expect("there is room for a directory");
        let mut settings = insta::Settings::clone_current();
        let path = fs::canonicalize(dir.path()).expect("it was made just now");
        for path in [dir.path(), &path] {
            settings.add_filter(&regex_escape(&path.display().to_string()), "[TEMP]");
        }
        for (pattern, word) in [
            (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:[FINGERPRINT]"),
            (r"AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}", "[KEY]"),
            (r"([0-9a-f]{4} ){3}[0-9a-f]{4}", "[GROUPS]"),
            (r"\b[0-9a-f]{64}\b", "[SHA-256]"),
            (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]"),
        ] {
            settings.add_filter(pattern, word);
        }
        Self { dir, records: false, _filters: settings.bind_to_scope() }
    }

    /// One whose commands keep a record, as they do unless they are told not to.
    pub fn recording() -> Self {
        Self { records: true, ..Self::new() }
    }

    /// Where commands run.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("desk")
    }

    /// A path below the desk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Consign's own home; it does not exist before a command makes it.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Puts a file there, with the directories above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let parent = path.parent().expect("it is below the desk");
        fs::create_dir_all(parent).expect("the directory can be made");
        fs::write(&path, content).expect("the file can be written");
        path
    }

    /// The text of a file there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `consign` with no environment but a search path and its home.
    pub fn consign<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(consign());
        self.alone(&mut command);
        command.args(arguments);
        command
    }

    /// Another program, under the same conditions.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        self.alone(&mut command);
        command
    }

    fn alone(&self, command: &mut Command) {
        command.env_clear().current_dir(self.dir());
        for name in ["PATH", "SystemRoot", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("CONSIGN_HOME", self.home()).env("HOME", self.dir.path());
        if !self.records {
            command.env("CONSIGN_LEDGER", "none");
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    }

    /// Runs `consign` and writes down what became of it: exit code, standard output, standard error.
    pub fn transcript<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        written_down(&self.consign(arguments).output().expect("consign runs"))
    }

    /// Runs `consign --json`, which must print one document and end with its exit code.
    pub fn json<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> serde_json::Value {
        let output = self.consign(arguments).arg("--json").output().expect("consign runs");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", written_down(&output)));
        assert_eq!(document["exit"].as_i64(), output.status.code().map(i64::from), "{document}");
        document
    }

    /// Runs `consign`, which must succeed.
    pub fn succeed<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.consign(arguments).output().expect("consign runs");
        assert!(output.status.success(), "{}", written_down(&output));
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    }

    /// Makes a key without a passphrase: `NAME` and `NAME.pub`.
    pub fn key(&self, name: &str) {
        self.succeed(["keygen", "--no-passphrase", "-o", name]);
    }
}

/// The program under test.
pub fn consign() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_consign"))
}

/// Sets the clock of a command to the morning of a day, as `faketime` does.
#[cfg(target_os = "linux")]
pub fn under_a_clock<'a>(command: &'a mut Command, day: &str) -> &'a mut Command {
    let output = std::process::Command::new("dpkg").args(["-L", "libfaketime"]).output();
    let text = String::from_utf8(output.expect("this test needs `dpkg`").stdout).expect("paths are UTF-8");
    let library = text.lines().find(|line| line.ends_with("/libfaketime.so.1"));
    command.env("LD_PRELOAD", library.expect("this test needs `faketime`; .ci/install installs it"));
    command
        .env("FAKETIME", format!("@{day} 09:00:00"))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("TZ", "UTC")
}

/// What became of a command, fit for a snapshot.
pub fn written_down(output: &Output) -> String {
    let code = output.status.code().map_or_else(|| "signal".to_owned(), |code| code.to_string());
    let mut text = format!("exit {code}\n");
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            text.push_str(&format!("--- {name}\n{}", String::from_utf8_lossy(bytes)));
        }
    }
    text
}

fn regex_escape(text: &str) -> String {
    let special = |c: char| !(c.is_ascii_alphanumeric() || "/_-".contains(c));
    text.chars().fold(String::new(), |mut out, c| {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}
