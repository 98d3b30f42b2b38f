//! `consign ledger add`: take in events that were written into files.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::act::{Act, Action};
use crate::context::Context;
use crate::ledger::{Joining, join, read_events};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, count};

/// Take events that runs elsewhere wrote (`--event-out`) into the ledger
///
/// Events that are in it already are passed over, so that a folder can be taken in again and again.
#[derive(clap::Args)]
pub(crate) struct Add {
    /// Files with events, or folders of such files
    #[arg(value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    /// Remove each file when its events are in the ledger
    #[arg(long)]
    remove: bool,
}

/// What was taken in.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Joined {
    added: u64,
    /// Events that were in the ledger already.
    known: u64,
    files: Vec<PathBuf>,
    /// How many events the ledger has now.
    size: u64,
}

impl Report for Joined {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        let added = count(self.added, "event", "events");
        writeln!(out, "{good}added{good:#} {added}; {} were there already", self.known)?;
        writeln!(out, "  files   {}", self.files.len())?;
        writeln!(out, "  ledger  {} events", self.size)
    }
}

impl Add {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let mut files = Vec::new();
        for path in &self.files {
            files.extend(read_events(path)?);
        }
        let events = files.iter().flat_map(|(_, events)| events.iter().cloned()).collect();
        let Joining { added, known, size } = join(context, events)?;
        let files: Vec<_> = files.into_iter().map(|(path, _)| path).collect();
        if added > 0 {
            let shown: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
            context.record(Act::new(Action::EventsJoined).with("events", added).with("files", shown));
        }
        if self.remove {
            for path in &files {
                std::fs::remove_file(path).map_err(|error| crate::context::unwritable(path, &error))?;
            }
        }
        Ok(Outcome::done(Joined { added, known, files, size }))
    }
}
