//! What a recipient had on a day: every bundle that the ledger says was handed to them until then, made again.

use std::io::{self, Write};

use consign_ledger::Event;
use consign_metadata::{Problem, Sha256Digest, printable};
use serde::{Serialize, Serializer};
use serde_json::Value;

#[cfg(test)]
use super::Reconstructed;
use super::{Options, Sources, What, reconstruct};
use crate::context::Context;
use crate::exit::Exit;
use crate::ledger::{self, EndOf, Filter, LoggedEvent, OpenLedger, is_about, select};
use crate::outcome::{Failure, Outcome, Report};
use crate::style;
use crate::vouching::Expectation;

/// What a recipient had.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Held {
    /// The recipient or destination, as the ledger knows it.
    to: String,
    /// The moment that was asked about.
    at: String,
    bundles: Vec<HeldBundle>,
}

/// One of the bundles.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct HeldBundle {
    /// When it was handed over.
    submitted: String,
    /// The number of that event.
    event: u64,
    /// What the recipient's receipt says, if one was put into the ledger by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    /// What was made again; absent if nothing could be.
    #[serde(serialize_with = "erased")]
    #[cfg_attr(test, schemars(with = "Option<Reconstructed>"))]
    rebuilt: Option<Box<dyn Report>>,
}

fn erased<S: Serializer>(report: &Option<Box<dyn Report>>, serializer: S) -> Result<S::Ok, S::Error> {
    match report {
        Some(report) => erased_serde::serialize(&**report, serializer),
        None => serializer.serialize_none(),
    }
}

impl Report for Held {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let faint = style::FAINT;
        let held = style::count(self.bundles.len() as u64, "bundle", "bundles");
        writeln!(out, "{} had {held} at {}", printable(&self.to), self.at)?;
        for bundle in &self.bundles {
            writeln!(out, "\nsubmitted {}  {faint}event {}{faint:#}", bundle.submitted, bundle.event)?;
            if let Some(receipt) = &bundle.receipt {
                writeln!(out, "  receipt       {}", printable(receipt))?;
            }
            bundle.rebuilt.iter().try_for_each(|rebuilt| rebuilt.human(out))?;
        }
        Ok(())
    }
}

/// Makes all of them again, as far as the sources go; what cannot be made keeps none of the others from it.
pub(super) fn held(
    context: &Context,
    (to, at, bundle): (&str, EndOf, Option<&str>),
    sources: &Sources,
    options: &Options<'_>,
) -> Result<Outcome, Failure> {
    let OpenLedger { ledger, .. } = ledger::open(context, None)?;
    let until = Filter::until(at);
    let of_recipient = Filter::to(to).by_any_name(context);
    let (mut submissions, mut receipts): (Vec<LoggedEvent>, Vec<Event>) = Default::default();
    for entry in select(&ledger, &until) {
        let entry = entry?;
        let Some(event) = &entry.event else { continue };
        let concerned =
            of_recipient.admits(Some(event)) && bundle.is_none_or(|bundle| is_about(event, bundle));
        match event.action.as_str() {
            "submitted" if concerned => submissions.push(entry),
            "receipt_added" => receipts.extend(entry.event),
            _ => {}
        }
    }
    if submissions.is_empty() {
        let message =
            format!("the ledger says of nothing that it was submitted to `{}` by then", printable(to));
        let hint = "`consign ledger list --event submitted` shows what was submitted, and to whom";
        return Err(Failure::failed(Problem::new("nothing-submitted", message).hint(hint)));
    }
    let mut outcome = Outcome { exit: Exit::Done, problems: Vec::new(), report: None };
    let mut bundles: Vec<HeldBundle> = Vec::new();
    let mut seen: Vec<Sha256Digest> = Vec::new();
    for submission in submissions {
        let Some(event) = &submission.event else { continue };
        let Some(digest) = event.archive_sha256.filter(|digest| !seen.contains(digest)) else { continue };
        seen.push(digest);
        let what = What::Named(Expectation::Id(consign_metadata::BundleId(digest)));
        let mut rebuilt = None;
        match reconstruct(context, &what, sources, options) {
            Ok(made) => {
                outcome.exit = outcome.exit.and(made.exit);
                outcome.problems.extend(made.problems);
                rebuilt = made.report;
            }
            Err(failure) => {
                outcome.exit = outcome.exit.and(failure.exit);
                outcome.problems.extend(failure.problems);
            }
        }
        bundles.push(HeldBundle {
            submitted: event.timestamp.to_string(),
            event: submission.index,
            receipt: receipts.iter().find_map(|receipt| answers(receipt, submission.index)),
            rebuilt,
        });
    }
    outcome.report = Some(Box::new(Held { to: to.to_owned(), at: at.last.to_string(), bundles }));
    Ok(outcome)
}

/// What a receipt says, if it answers that submission.
fn answers(receipt: &Event, submission: u64) -> Option<String> {
    let text = |key: &str| receipt.metadata.get(key).and_then(Value::as_str).unwrap_or("?");
    let answers = receipt.metadata.get("answers").and_then(Value::as_u64) == Some(submission);
    answers.then(|| format!("{} by {}, {}", text("verdict"), text("recipient"), text("received_at")))
}
