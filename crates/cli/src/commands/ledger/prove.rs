//! `consign ledger prove`: a file by which others see that an event is in the ledger.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_bundle::publish::{prepare, publish};
use consign_metadata::Problem;
use serde::Serialize;

use super::KeyArgs;
use crate::context::{Context, directory_for, unwritable};
use crate::ledger::{EventName, OpenLedger, not_in_order, read_checkpoint};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, shell_word};

/// Write a proof that an event is in the ledger, or that nothing was rewritten since an earlier checkpoint
///
/// The proof is checked offline, with nothing but the public key of the ledger: `consign ledger check-proof`.
#[derive(clap::Args)]
pub(crate) struct Prove {
    /// The event: its number or its SHA-256
    #[arg(value_name = "EVENT", required_unless_present = "since", conflicts_with = "since")]
    event: Option<EventName>,
    /// Instead of an event, prove that the ledger still begins as this checkpoint says
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,
    /// The file [default: EVENT.tlog-proof, or SIZE.tlog-consistency]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave the event itself out of the proof: whoever checks it must have the event from elsewhere
    #[arg(long)]
    without_event: bool,
    #[command(flatten)]
    key: KeyArgs,
}

/// A proof that was written.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Proven {
    proof: PathBuf,
    origin: String,
    /// How many events the ledger has that it speaks of.
    size: u64,
    /// The event that is proven to be in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    /// The size of the earlier ledger that is proven to be its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
}

impl Report for Proven {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, faint) = (style::GOOD, style::FAINT);
        let what = match (self.index, self.since) {
            (Some(index), _) => format!("event {index} is in the ledger of {} events", self.size),
            (None, since) => {
                format!("the first {} of {} events are unchanged", since.unwrap_or_default(), self.size)
            }
        };
        writeln!(out, "{good}proof{good:#} that {what}")?;
        writeln!(out, "  ledger  {}", self.origin)?;
        writeln!(out, "  file    {}", self.proof.display())?;
        let word = shell_word(&self.proof.display().to_string());
        let command = if self.index.is_some() { "check-proof" } else { "check-consistency" };
        writeln!(out, "\n{faint}Whoever has the public key of the ledger checks it with:{faint:#}")?;
        writeln!(out, "  consign ledger {command} {word} --key LEDGER.pub")
    }
}

impl Prove {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let OpenLedger { ledger, verifier } = self.key.open(context)?;
        let (bytes, name, index, since) = match (&self.event, &self.since) {
            (Some(event), _) => {
                let index = event.find(&ledger)?;
                let proof = ledger.inclusion(index).map_err(|error| not_in_order(&error))?;
                let proof = if self.without_event { proof.without_event() } else { Ok(proof) };
                let text = proof.and_then(|proof| proof.to_text());
                let text = text.map_err(|error| Failure::failed(error.problem()))?;
                (text.into_bytes(), format!("{index}.tlog-proof"), Some(index), None)
            }
            (None, Some(path)) => {
                let seen = read_checkpoint(path, &verifier)?;
                let proof = ledger.consistency(&seen).map_err(|error| not_in_order(&error))?;
                (
                    proof.to_string().into_bytes(),
                    format!("{}.tlog-consistency", seen.size()),
                    None,
                    Some(seen.size()),
                )
            }
            (None, None) => return Err(Failure::usage(Problem::new("usage", "name an event"))),
        };
        let path = self.output.clone().unwrap_or_else(|| name.into());
        write_new(&path, &bytes)?;
        let origin = ledger.checkpoint().origin().to_owned();
        Ok(Outcome::done(Proven { proof: path, origin, size: ledger.size(), index, since }))
    }
}

/// Writes a file that is not there yet.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = directory_for(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = prepare(folder, bytes).map_err(|error| unwritable(path, &error))?;
    publish(folder, vec![(name, file)]).map_err(|(at, error)| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let problem = Problem::new("output-exists", "already exists").at(at.display().to_string());
            Failure::failed(problem.hint("name another file: `--output FILE`"))
        }
        _ => unwritable(&at, &error),
    })
}
