//! `consign ledger verify`: recompute everything.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use consign_bundle::Progress as _;
use consign_ledger::VerifyError;
use serde::Serialize;

use super::KeyArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::ledger::{OpenLedger, not_in_order, read_checkpoint};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, count};

/// Recompute the whole ledger from its events, and compare it with its signed checkpoint
///
/// Names the first event that does not fit. With `--checkpoint`, checks also that what was signed then is still
/// the beginning of what is there now.
#[derive(clap::Args)]
pub(crate) struct Verify {
    /// A checkpoint that was kept elsewhere, as by a recipient, and must still hold
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
}

/// What a ledger was found to be.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Verified {
    origin: String,
    size: u64,
    root: String,
    /// Events whose body was dropped, as other events say.
    dropped: u64,
    /// Earlier checkpoints that still hold.
    checkpoints: u64,
    /// Numbers of events that bear an earlier time than the one before them: the clock went back.
    clock_went_back: Vec<u64>,
}

impl Report for Verified {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        writeln!(out, "{good}IN ORDER{good:#}: every event is where it was signed to be")?;
        writeln!(out, "  ledger      {}", self.origin)?;
        writeln!(out, "  events      {}, {} without body", self.size, self.dropped)?;
        writeln!(out, "  root        {}", self.root)?;
        if self.checkpoints > 0 {
            let held = count(self.checkpoints, "earlier checkpoint", "earlier checkpoints");
            writeln!(out, "  extends     {held}")?;
        }
        for index in &self.clock_went_back {
            writeln!(
                out,
                "  {warn}note{warn:#}        event {index} bears an earlier time than the one before it: the clock went back"
            )?;
        }
        Ok(())
    }
}

impl Verify {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let OpenLedger { ledger, verifier } = self.key.open(context)?;
        let meter = context.meter("verifying", ledger.size());
        let summary = ledger.verify(&mut |events| {
            meter.advance(events);
            if meter.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        drop(meter);
        let summary = summary.map_err(|error| failed(&error))?;
        for path in &self.checkpoint {
            let seen = read_checkpoint(path, &verifier)?;
            ledger.consistency(&seen).map_err(|error| {
                let mut failure = not_in_order(&error);
                for problem in &mut failure.problems {
                    problem.at = Some(path.display().to_string());
                }
                failure
            })?;
        }
        let checkpoint = &summary.checkpoint;
        Ok(Outcome::done(Verified {
            origin: checkpoint.origin().to_owned(),
            size: checkpoint.size(),
            root: checkpoint.root().to_string(),
            dropped: summary.dropped,
            checkpoints: self.checkpoint.len() as u64,
            clock_went_back: summary.earlier,
        }))
    }
}

fn failed(error: &VerifyError) -> Failure {
    match error {
        VerifyError::Faults(faults) => Failure {
            exit: Exit::NotIntact,
            problems: faults.iter().map(consign_ledger::LedgerFault::problem).collect(),
        },
        VerifyError::Ledger(error) => not_in_order(error),
        _ => Failure::failed(crate::checked::interrupted()),
    }
}
