//! `consign ledger drop`: let go of what events say, after their time, without breaking any proof.

use std::io::{self, Write};

use consign_metadata::Problem;
use serde::Serialize;

use crate::act::{Act, Action};
use crate::args::{self, Given};
use crate::context::Context;
use crate::ledger::{self, Held, LoggedEvent, Retention, forget, is_custody, select};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, count};

/// Drop the bodies of events whose time is over; their hashes stay, and with them every proof
///
/// Which events were dropped is itself an event. A body that is gone without one is what `ledger verify` calls
/// missing. What the policy keeps stays: every event for its `log_days`, also where they were lowered just now; and events of
/// the type `custody` (submitted, received, receipts) for as long as their bundle is to be kept, and after that unless
/// `--event` names them.
#[derive(clap::Args)]
pub(crate) struct Drop {
    #[command(flatten)]
    filter: Given<args::Filter>,
    /// Only events about bundles whose retention is over, by their descriptor or the policy, whichever is longer
    #[arg(long)]
    expired: bool,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Say what would be dropped, and drop nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was dropped.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Dropped {
    /// `dropped`, `unchanged` or `dry-run`.
    status: &'static str,
    /// Numbers of the events.
    events: Vec<u64>,
    /// Events that were meant, and are kept.
    kept: Kept,
}

/// How many events are kept though they were meant, and why.
#[derive(Clone, Copy, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Kept {
    /// Since the policy keeps every event for some days.
    by_log_days: u64,
    /// For how many.
    log_days: u64,
    /// Since they say who had a bundle that is still to be kept.
    of_bundles: u64,
}

impl Report for Dropped {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        let what = if self.status == "dry-run" { "would drop" } else { self.status };
        writeln!(out, "{good}{what}{good:#} {}", count(self.events.len() as u64, "event", "events"))?;
        let Kept { by_log_days, log_days, of_bundles } = self.kept;
        if by_log_days > 0 {
            let (events, days) =
                (count(by_log_days, "event stays", "events stay"), count(log_days, "day", "days"));
            writeln!(
                out,
                "  {warn}{events}: the policy keeps every event for {days}, or did until lately{warn:#}"
            )?;
        }
        if of_bundles > 0 {
            let events = count(of_bundles, "event stays", "events stay");
            writeln!(
                out,
                "  {warn}{events}: who had a bundle is told for as long as the bundle is to be kept{warn:#}"
            )?;
        }
        Ok(())
    }
}

impl Drop {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        if !self.expired && self.filter.until.is_none() && self.filter.month.is_none() {
            let problem =
                Problem::new("usage", "say which events: `--until TIME`, `--month MONTH`, or `--expired`");
            return Err(Failure::usage(problem));
        }
        let policy = self.policy.load(context)?;
        Retention::record_changes(context)?;
        let open = ledger::open(context, None)?;
        let retention = Retention::now(context, &policy, &open)?;
        let (mut events, mut kept) = (Vec::new(), Kept::default());
        for entry in select(&open.ledger, &self.filter) {
            let LoggedEvent { index, event: Some(event), .. } = entry? else { continue };
            // Who had what is asked for longest.
            let unasked = self.filter.event.is_empty() && is_custody(&event);
            if unasked || (self.expired && !retention.is_expired(&event)) {
                continue;
            }
            match retention.holds(&event) {
                None => events.push(index),
                Some(Held::Always) => {}
                Some(Held::LogDays(days)) => {
                    kept.by_log_days += 1;
                    kept.log_days = days;
                }
                Some(Held::Custody(_)) => kept.of_bundles += 1,
            }
        }
        let status = match (events.is_empty(), self.dry_run) {
            (true, _) => "unchanged",
            (false, true) => "dry-run",
            (false, false) => {
                let act = Act::new(Action::EventsDropped).with("reason", &self.reason);
                forget(context, &act, &events)?;
                "dropped"
            }
        };
        Ok(Outcome::done(Dropped { status, events, kept }))
    }
}
