//! `consign ledger list`: the events, one a line.

use std::collections::VecDeque;
use std::io::{self, Write};

use serde::Serialize;

use super::KeyArgs;
use crate::args::{self, Given};
use crate::context::Context;
use crate::ledger::{LoggedEvent, OpenLedger, select};
use crate::outcome::{Failure, Outcome, Report};
use crate::render;
use crate::style;

/// List events, oldest first
#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Given<args::Filter>,
    /// No more than the latest N
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    #[command(flatten)]
    key: KeyArgs,
}

/// Events of a ledger.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Listed {
    /// The ledger's name, which follows from its key.
    origin: String,
    /// How many events the ledger has.
    size: u64,
    /// Those that are meant.
    entries: Vec<LoggedEvent>,
}

impl Report for Listed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for entry in &self.entries {
            writeln!(out, "{}", render::in_one_line(entry))?;
        }
        let faint = style::FAINT;
        writeln!(out, "{faint}{} of {} events, {}{faint:#}", self.entries.len(), self.size, self.origin)
    }
}

impl List {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let OpenLedger { ledger, .. } = self.key.open(context)?;
        let mut entries = VecDeque::new();
        let filter = (*self.filter).clone().by_any_name(context);
        for entry in select(&ledger, &filter) {
            if self.last.is_some_and(|last| entries.len() == last) {
                entries.pop_front();
            }
            if self.last != Some(0) {
                entries.push_back(entry?);
            }
        }
        let origin = ledger.checkpoint().origin().to_owned();
        Ok(Outcome::done(Listed { origin, size: ledger.size(), entries: entries.into() }))
    }
}
