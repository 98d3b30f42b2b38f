//! `consign ledger show`: one event whole, or the ledger itself.

use std::io::{self, Write};

use consign_metadata::printable;
use serde::Serialize;

use super::KeyArgs;
use crate::context::Context;
use crate::ledger::{EventName, LoggedEvent, OpenLedger, not_in_order};
use crate::outcome::{Failure, Outcome, Report};

/// Show one event with everything it says, or the ledger's own name, size and checkpoint
#[derive(clap::Args)]
pub(crate) struct Show {
    /// The event: its number or its SHA-256 [default: the ledger itself]
    #[arg(value_name = "EVENT")]
    event: Option<EventName>,
    #[command(flatten)]
    key: KeyArgs,
}

/// A ledger, and one of its events.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Shown {
    origin: String,
    size: u64,
    /// Root of the Merkle tree, in base64 as in the checkpoint.
    root: String,
    /// The signed checkpoint.
    checkpoint: String,
    /// The key that signs it, as the C2SP signed note format writes keys.
    verifier_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<LoggedEvent>,
}

impl Report for Shown {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(entry) = &self.entry else {
            writeln!(out, "ledger        {}", self.origin)?;
            writeln!(out, "events        {}", self.size)?;
            writeln!(out, "root          {}", self.root)?;
            writeln!(out, "verifier key  {}", self.verifier_key)?;
            writeln!(out, "\n{}", self.checkpoint.trim_end())?;
            return Ok(());
        };
        writeln!(out, "event {} of {}", entry.index, self.origin)?;
        writeln!(out, "{}", entry.sha256)?;
        match &entry.event {
            Some(event) => {
                let text = serde_json::to_string_pretty(event).map_err(io::Error::other)?;
                text.lines().try_for_each(|line| writeln!(out, "{}", printable(line)))
            }
            None => writeln!(out, "its body was dropped; its hash stays"),
        }
    }
}

impl Show {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let OpenLedger { ledger, verifier } = self.key.open(context)?;
        let index = self.event.as_ref().map(|event| event.find(&ledger)).transpose()?;
        let entry =
            index.map(|index| ledger.entry(index)).transpose().map_err(|error| not_in_order(&error))?;
        let checkpoint = ledger.checkpoint();
        Ok(Outcome::done(Shown {
            origin: checkpoint.origin().to_owned(),
            size: checkpoint.size(),
            root: checkpoint.root().to_string(),
            checkpoint: checkpoint.note().as_str().to_owned(),
            verifier_key: verifier.to_string(),
            entry: entry.map(LoggedEvent::of),
        }))
    }
}
