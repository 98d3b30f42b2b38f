//! `consign ledger check-proof`: is this event in that ledger, as far as this file can show it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_ledger::{Event, TlogProof};
use consign_metadata::{Sha256Digest, printable};
use consign_signing::{NoteVerifier, PublicKey};
use serde::Serialize;

use crate::exit::Exit;
use crate::keys::load_public;
use crate::ledger::{LoggedEvent, read_small};
use crate::outcome::{Failure, Outcome, Report};
use crate::style;

/// Check offline that an event is in the ledger of a key
///
/// Needs nothing but the file and the public key of the ledger.
#[derive(clap::Args)]
pub(crate) struct CheckProof {
    /// The proof
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The public key of the ledger: a file, or the verifier key that `ledger show` prints
    #[arg(long, value_name = "PUB")]
    key: String,
    /// The event, where the proof does not hold it: a file with its one line
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
}

/// What a proof shows.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Checked {
    origin: String,
    /// How many events the ledger had.
    size: u64,
    root: String,
    entry: LoggedEvent,
}

impl Report for Checked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, faint) = (style::GOOD, style::FAINT);
        writeln!(out, "{good}PROVEN{good:#}: event {} is in the ledger {}", self.entry.index, self.origin)?;
        writeln!(out, "  when it had  {} events, root {}", self.size, self.root)?;
        writeln!(out, "  event        {}", self.entry.sha256)?;
        if let Some(event) = &self.entry.event {
            let text = serde_json::to_string_pretty(event).map_err(io::Error::other)?;
            text.lines().try_for_each(|line| writeln!(out, "  {}", printable(line)))?;
        }
        writeln!(
            out,
            "\n{faint}It says what the holder of that key recorded; the time in it is the recorder's own.{faint:#}"
        )
    }
}

impl CheckProof {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let verifier = verifier(&self.key)?;
        let refused = |problem: consign_metadata::Problem| {
            Failure::new(Exit::NotIntact, problem.at(self.proof.display().to_string()))
        };
        let proof = TlogProof::parse(&read_small(&self.proof)?).map_err(|error| refused(error.problem()))?;
        let event = self.event.as_deref().map(read_event).transpose()?;
        let digest = event.as_ref().map(|(digest, _)| digest);
        let checked = proof.check(&verifier, digest).map_err(|error| refused(error.problem()))?;
        let event = checked.event.or(event.map(|(_, event)| event));
        Ok(Outcome::done(Checked {
            origin: checked.checkpoint.origin().to_owned(),
            size: checked.checkpoint.size(),
            root: checked.checkpoint.root().to_string(),
            entry: LoggedEvent { index: checked.index, sha256: checked.digest.to_string(), event },
        }))
    }
}

/// Whose ledger it is to be. The name follows from the key, so that a verifier key of another name is of no ledger.
pub(super) fn verifier(named: &str) -> Result<NoteVerifier, Failure> {
    let key: PublicKey = match named.parse::<NoteVerifier>() {
        Ok(verifier) => *verifier.key(),
        Err(_) => load_public(named)?,
    };
    Ok(NoteVerifier::of_ledger(&key))
}

/// An event in a file of its own, and its digest.
fn read_event(path: &Path) -> Result<(Sha256Digest, Event), Failure> {
    let bytes = read_small(path)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let event = Event::parse(line)
        .map_err(|error| Failure::new(Exit::NotIntact, error.problem().at(path.display().to_string())))?;
    Ok((Sha256Digest::of(line), event))
}
