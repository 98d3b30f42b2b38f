//! `consign ledger drop`: let go of what events say, after their time, without breaking any proof.

use std::io::{self, Write};

use consign_metadata::Problem;
use consign_signing::Timestamp;
use serde::Serialize;

use crate::act::{Act, Action};
use crate::args::{self, Given};
use crate::context::Context;
use crate::ledger::{self, LoggedEvent, OpenLedger, forget, select};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, count};

const DAY: u64 = 24 * 60 * 60;
/// Events about who handed what to whom.
const CUSTODY: &str = "custody";

/// Drop the bodies of events whose time is over; their hashes stay, and with them every proof
///
/// Which events were dropped is itself an event. A body that is gone without one is what `ledger verify` calls
/// missing. Events of the type `custody` (submitted, received, receipts) stay, unless `--event` names them.
#[derive(clap::Args)]
pub(crate) struct Drop {
    #[command(flatten)]
    filter: Given<args::Filter>,
    /// Only events about bundles whose retention is over, by the days that the policy gives their classification
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
}

impl Report for Dropped {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        let what = if self.status == "dry-run" { "would drop" } else { self.status };
        writeln!(out, "{good}{what}{good:#} {}", count(self.events.len() as u64, "event", "events"))
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
        let now = context.now()?;
        let over = |entry: &LoggedEvent| {
            let Some(event) = &entry.event else { return false };
            // What says which bodies were dropped is what shows that they were.
            if event.action.as_str() == consign_ledger::EVENTS_DROPPED {
                return false;
            }
            // Who had what is asked for longest.
            if self.filter.event.is_empty() && event.event_type.as_str() == CUSTODY {
                return false;
            }
            let days = event.bundle.as_ref().and_then(|bundle| policy.level(&bundle.classification));
            let days = days.and_then(|level| level.retention_days);
            !self.expired || days.is_some_and(|days| is_over(event.timestamp, u64::from(days), now))
        };
        let OpenLedger { ledger: open, .. } = ledger::open(context, None)?;
        let mut events = Vec::new();
        for entry in select(&open, &self.filter) {
            let entry = entry?;
            if over(&entry) {
                events.push(entry.index);
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
        Ok(Outcome::done(Dropped { status, events }))
    }
}

fn is_over(time: Timestamp, days: u64, now: Timestamp) -> bool {
    time.unix_seconds().saturating_add(days.saturating_mul(DAY)) <= now.unix_seconds()
}
