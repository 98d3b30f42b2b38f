//! How long the ledger keeps what events say: as the policy has it now, and as it had it before.

use consign_ledger::{EVENTS_DROPPED, Event};
use consign_metadata::Manifest;
use consign_policy::{LOG_DAYS, Policy, retention_days};
use consign_signing::Timestamp;
use serde_json::Value;

use super::place::{OpenLedger, not_in_order};
use super::record::record_configuration;
use crate::act::Action;
use crate::context::Context;
use crate::failure::Failure;
use crate::state::State;

const DAY: u64 = 24 * 60 * 60;
/// Events about who handed what to whom.
const CUSTODY: &str = "custody";

/// How long the ledger keeps what events say.
pub struct Retention<'a> {
    policy: &'a Policy,
    state: &'a State,
    now: Timestamp,
    log_days: u64,
}

/// Why an event is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It shows what was dropped, or how long events were to be kept.
    Always,
    /// The policy keeps every event for so many days, or did until lately.
    LogDays(u64),
    /// It says who had a bundle that is still to be kept, for so many days.
    Custody(u64),
}

impl<'a> Retention<'a> {
    /// What holds now, for a ledger that has heard of every change of the policy: so nobody lowers the days and makes use
    /// of that in one breath.
    ///
    /// # Errors
    /// The change cannot be recorded, or the ledger is not in order.
    pub fn now(context: &'a Context, policy: &'a Policy, open: &OpenLedger) -> Result<Self, Failure> {
        let now = context.now()?;
        let configured = context.policy(None)?;
        let mut log_days = u64::from(policy.log_days().max(configured.log_days()));
        // Each stays in force until the next one, and after that for as long as it said.
        let mut before: Option<u64> = None;
        for entry in open.ledger.entries(0..open.ledger.size()) {
            let entry = entry.map_err(|error| not_in_order(&error))?;
            let Some(event) = entry.body else { continue };
            if event.action.as_str() == Action::PolicyChanged.word() {
                let still = |days: &u64| !is_over(event.timestamp, *days, now);
                log_days = log_days.max(before.filter(still).unwrap_or_default());
                before = Some(said(&event));
            } else if before.is_none() {
                // Until then the built-in policy was in force.
                before = Some(u64::from(LOG_DAYS));
            }
        }
        // The last one that this ledger heard of: a change that was recorded elsewhere is none here.
        log_days = log_days.max(before.unwrap_or_default());
        Ok(Self { policy, state: context.state(), now, log_days })
    }

    /// Writes into the ledger what was changed of the policy: before the ledger is asked.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn record_changes(context: &Context) -> Result<(), Failure> {
        record_configuration(context)
    }

    /// Why an event is not dropped yet; `None` if it may be.
    pub fn holds(&self, event: &Event) -> Option<Held> {
        if [EVENTS_DROPPED, Action::PolicyChanged.word()].contains(&event.action.as_str()) {
            return Some(Held::Always);
        }
        if !is_over(event.timestamp, self.log_days, self.now) {
            return Some(Held::LogDays(self.log_days));
        }
        let days = self.bundle_days(event).filter(|_| is_custody(event))?;
        (!is_over(event.timestamp, days, self.now)).then_some(Held::Custody(days))
    }

    /// Whether the days are over for which the bundle of an event is kept; not if nothing says for how long that is.
    pub fn is_expired(&self, event: &Event) -> bool {
        self.bundle_days(event).is_some_and(|days| is_over(event.timestamp, days, self.now))
    }

    /// For how many days the bundle of an event is kept: what its descriptor says, or the policy, whichever is longer.
    fn bundle_days(&self, event: &Event) -> Option<u64> {
        let bundle = event.bundle.as_ref()?;
        let level = self.policy.level(&bundle.classification).and_then(|level| level.retention_days);
        let stated = || {
            let bytes = self.state.known().manifest_bytes(bundle.id).ok().flatten()?;
            let manifest = Manifest::parse(&bytes).ok()?;
            let handling = manifest.descriptor().details()?.handling.as_ref()?;
            retention_days(handling.retention.as_ref()?.as_str())
        };
        level.map(u64::from).max(stated())
    }
}

/// Whether it is about who had what.
pub fn is_custody(event: &Event) -> bool {
    event.event_type.as_str() == CUSTODY
}

/// The days that a policy has by the event that says that it is in force now.
fn said(event: &Event) -> u64 {
    event.metadata.get("log_days").and_then(Value::as_u64).unwrap_or(u64::from(LOG_DAYS))
}

fn is_over(time: Timestamp, days: u64, now: Timestamp) -> bool {
    time.unix_seconds().saturating_add(days.saturating_mul(DAY)) <= now.unix_seconds()
}
