//! `consign ledger alerts`: what somebody who watches over security should look at.

use std::io::{self, Write};

use consign_ledger::Event;
use serde::Serialize;
use serde_json::Value;

use super::KeyArgs;
use crate::args::{self, Given};
use crate::context::Context;
use crate::ledger::{LoggedEvent, OpenLedger, select};
use crate::outcome::{Failure, Outcome, Report};
use crate::render;
use crate::style;

/// Show what calls for attention: failed verifications, refusals, unknown keys, equivocation, changed configuration
///
/// Graded as the guidance on incidents does. `--since` takes a time; a script that asks every day keeps the last
/// `size` of the JSON result and asks with `--from`.
#[derive(clap::Args)]
#[command(visible_alias = "watch")]
pub(crate) struct Alerts {
    #[command(flatten)]
    filter: Given<args::Filter>,
    /// Events from this number on
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// No less grave than this
    #[arg(long, value_enum, default_value_t = Severity::Low, value_name = "SEVERITY")]
    severity: Severity,
    #[command(flatten)]
    key: KeyArgs,
}

/// How grave an event is, in the words of the guidance on incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Severity {
    /// A change of configuration or keys.
    Low,
    /// A rule was set aside, or a step was refused by policy.
    Medium,
    /// Somebody who is not trusted.
    High,
    /// Something was altered, or two things go by one name.
    Critical,
}

/// An event and how grave it is.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Alert {
    severity: Severity,
    entry: LoggedEvent,
}

/// What calls for attention.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Alerted {
    /// How many events the ledger has: from here on the next time.
    size: u64,
    alerts: Vec<Alert>,
}

impl Report for Alerted {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (bad, warn, faint) = (style::ERROR, style::WARN, style::FAINT);
        for Alert { severity, entry } in &self.alerts {
            let word = match severity {
                Severity::Critical => format!("{bad}critical{bad:#}"),
                Severity::High => format!("{bad}high    {bad:#}"),
                Severity::Medium => format!("{warn}medium  {warn:#}"),
                Severity::Low => format!("{faint}low     {faint:#}"),
            };
            writeln!(out, "{word}  {}", render::in_one_line(entry))?;
        }
        writeln!(out, "{faint}{} of {} events call for attention{faint:#}", self.alerts.len(), self.size)
    }
}

impl Alerts {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let OpenLedger { ledger, .. } = self.key.open(context)?;
        let mut alerts = Vec::new();
        let filter = (*self.filter).clone().by_any_name(context);
        for entry in select(&ledger, &filter) {
            let entry = entry?;
            let severity = entry.event.as_ref().and_then(severity).filter(|found| *found >= self.severity);
            if let Some(severity) = severity.filter(|_| entry.index >= self.from) {
                alerts.push(Alert { severity, entry });
            }
        }
        Ok(Outcome::done(Alerted { size: ledger.size(), alerts }))
    }
}

fn severity(event: &Event) -> Option<Severity> {
    let exit = event.metadata.get("exit").and_then(Value::as_u64);
    let verdict = event.metadata.get("verdict").and_then(Value::as_str);
    let problems = event.metadata.get("problems").and_then(Value::as_array);
    let codes: Vec<_> =
        problems.into_iter().flatten().filter_map(|problem| problem["code"].as_str()).collect();
    let by_exit = |exit| match exit {
        Some(3) => Severity::Critical,
        Some(4) => Severity::High,
        _ => Severity::Medium,
    };
    Some(match event.action.as_str() {
        "ledger_repaired" => Severity::Critical,
        _ if codes.iter().any(|code| matches!(*code, "equivocation" | "ledger-forked")) => Severity::Critical,
        "not_verified" | "not_opened" | "refused" => by_exit(exit),
        // The word of a laboratory, or one's own: somebody did not get what they were to have.
        "received" | "receipt_added" if verdict == Some("refused") => by_exit(exit).max(Severity::High),
        // Whatever was done when it was found.
        _ if matches!(exit, Some(3 | 4)) => by_exit(exit),
        "key_revoked" | "bundle_revoked" => Severity::High,
        // Somebody answered for it, and nobody should hear of it from elsewhere.
        _ if event.metadata.contains_key("secrets_allowed") => Severity::Medium,
        "overridden" | "secret_allowed" | "events_dropped" | "store_collected" => Severity::Medium,
        "trust_changed" | "trust_imported" | "policy_changed" | "key_made" | "key_rotated" => Severity::Low,
        _ => return None,
    })
}
