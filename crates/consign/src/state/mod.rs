//! What this machine remembers: bundles that were verified, the manifests of those it knows, revocations that were
//! seen, trust that was imported, and how late it has been. Nothing of it is needed to verify; what was remembered is held against what comes.

pub mod bundles;
pub mod imports;
pub mod known;
pub mod ledger;
pub mod own_keys;
pub mod revocations;
pub mod unpacked;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use consign_bundle::publish;
use consign_metadata::Problem;
use consign_signing::Timestamp;

use crate::context::{is_absent, unreadable};
use crate::failure::Failure;

/// How far a clock may go back without a word: time servers correct by seconds, not by hours.
pub const CLOCK_TOLERANCE: u64 = 10 * 60;
const CLOCK: &str = "last-seen";
const STORE: &str = "store";

/// The directory of the state, which may not exist yet; `None` if there is no home.
#[derive(Clone, Debug)]
pub struct State {
    directory: Option<PathBuf>,
    /// The directory below which it may be made: a home that does not exist is not made either.
    beneath: PathBuf,
}

impl State {
    /// A state below another directory, such as the user's home.
    pub fn beneath(home: &Path, directory: PathBuf) -> Self {
        Self { directory: Some(directory), beneath: home.to_owned() }
    }

    /// A state in a directory that the caller names.
    pub fn at(directory: &Path) -> Self {
        Self::beneath(publish::parent(directory), directory.to_owned())
    }

    /// There is nowhere to remember anything.
    pub fn nowhere() -> Self {
        Self { directory: None, beneath: PathBuf::new() }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(name))
    }

    /// Where archives are kept unless somebody says otherwise.
    pub fn store(&self) -> Option<PathBuf> {
        self.path(STORE)
    }

    /// The same, with the directories above it made.
    pub fn make_store(&self) -> io::Result<PathBuf> {
        self.make(STORE)
    }

    /// The directory below the state of that name, made if it is not there. The empty name is the state itself.
    fn make(&self, name: &str) -> io::Result<PathBuf> {
        let missing = |what: String| io::Error::new(io::ErrorKind::NotFound, what);
        let directory =
            self.directory.as_ref().ok_or_else(|| missing("there is no home directory".into()))?;
        if !self.beneath.is_dir() {
            return Err(missing(format!("there is no directory `{}`", self.beneath.display())));
        }
        let directory = directory.join(name);
        make_private(&directory)?;
        // Of writes that were cut short.
        consign_bundle::remove_leftovers(self.directory.as_deref().unwrap_or(&directory));
        Ok(directory)
    }

    /// Compares this machine's clock with the latest time that it is known to have shown. Where it went back,
    /// nothing that depends on the time can be told.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), Failure> {
        let Some(path) = self.path(CLOCK) else { return Ok(()) };
        let at = || path.display().to_string();
        let last = match fs::read_to_string(&path) {
            Ok(text) => text.trim_end().parse::<Timestamp>().map_err(|error| {
                let problem = Problem::new("state-malformed", error.to_string()).at(at());
                Failure::usage(problem.hint("remove the file if you know that the clock is right"))
            })?,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        if now.unix_seconds().saturating_add(CLOCK_TOLERANCE) >= last.unix_seconds() {
            return Ok(());
        }
        let message = format!(
            "the clock of this machine shows {now}, but it has been {last} before; what has expired cannot be told"
        );
        let hint = format!("set the clock; if it is right and was wrong then, remove {}", path.display());
        Err(Failure::new(crate::exit::Exit::NotTrusted, Problem::new("clock-went-back", message).hint(hint)))
    }

    /// Remembers how late it is.
    pub fn note_time(&self, now: Timestamp) -> io::Result<()> {
        let directory = self.make("")?;
        let path = directory.join(CLOCK);
        let _lock = lock(&directory)?;
        let last = fs::read_to_string(&path).ok().and_then(|text| text.trim_end().parse::<Timestamp>().ok());
        // To the minute is enough, and spares a write for each of many bundles.
        if last.is_some_and(|last| now.unix_seconds() < last.unix_seconds().saturating_add(60)) {
            return Ok(());
        }
        publish::replace(&path, format!("{now}\n").as_bytes())
    }
}

/// Makes a directory, for its owner alone.
pub fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Keeps others out until it is dropped.
pub fn lock(directory: &Path) -> io::Result<publish::Exclusive> {
    publish::exclusive_by(&directory.join(".lock"))
}

/// A note that something could not be kept; never a reason to fail.
pub fn not_kept(what: &str, error: &io::Error) -> Problem {
    Problem::new("not-remembered", format!("{what} could not be remembered: {error}"))
        .hint("give consign a home that it can write to (`CONSIGN_HOME`), or say `--no-remember`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f5_a_clock_that_goes_back_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let state = State::at(&home.path().join("state"));
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        state.check_clock(time("2026-11-22T12:00:00Z")).unwrap();
        assert!(!home.path().join("state").exists(), "looking makes nothing");
        state.note_time(time("2026-11-22T12:00:00Z")).unwrap();
        state.check_clock(time("2026-11-22T11:50:00Z")).unwrap();
        let failure = state.check_clock(time("2026-11-22T11:49:59Z")).unwrap_err();
        assert_eq!((failure.exit.code(), failure.problems[0].code), (4, "clock-went-back"));
        // An earlier time is never remembered over a later one.
        state.note_time(time("2026-11-22T11:55:00Z")).unwrap();
        state.check_clock(time("2026-11-22T11:49:59Z")).unwrap_err();
        fs::write(home.path().join("state/last-seen"), "yesterday").unwrap();
        assert_eq!(state.check_clock(time("2026-11-22T12:00:00Z")).unwrap_err().exit.code(), 2);
        State::nowhere().check_clock(time("1970-01-01T00:00:00Z")).unwrap();
    }
}
