//! `consign ledger add-receipt`: what a recipient says of a hand-over, put beside it.

use std::io::{self, Write};
use std::path::PathBuf;

use consign_metadata::{Problem, printable};
use consign_signing::{About, ReceiptVerdict, TrustedReceipt};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::args::{self, Given};
use crate::context::Context;
use crate::exit::Exit;
use crate::ledger::{self, Answered, LoggedEvent, OpenLedger, receipts_told, submission_of};
use crate::outcome::{Failure, Outcome, Report};
use crate::receipts::{CheckedReceipt, CheckedSubject, check};
use crate::state::not_kept;
use crate::style;

/// Put receipts of recipients into the ledger, each with the submission that it answers
///
/// A receipt must be authentic, by somebody who is trusted to give receipts (role `recipient`), and about something that
/// this ledger says was submitted. One of a refusal is as good as any other.
#[derive(clap::Args)]
pub(crate) struct AddReceipt {
    /// Receipts
    #[arg(value_name = "RECEIPT", required = true)]
    receipts: Vec<PathBuf>,
    /// The bundle that they must be about
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: Given<args::ReceiptTrustArgs>,
}

/// Receipts that are in the ledger now.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Added {
    receipts: Vec<One>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct One {
    path: String,
    /// `added`, or `unchanged` if it was there already.
    status: &'static str,
    /// `accepted` or `refused`.
    verdict: &'static str,
    /// Who says it: the name of the key in trust.toml, or its fingerprint.
    recipient: String,
    /// When, by the recipient's clock.
    time: String,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    sha256: String,
    /// The number of the submission that it answers.
    answers: u64,
}

impl Report for Added {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for One { path, status, verdict, recipient, time, answers, .. } in &self.receipts {
            let style = if *verdict == "accepted" { style::GOOD } else { style::WARN };
            writeln!(out, "{style}{status}{style:#} {}", printable(path))?;
            writeln!(out, "  verdict     {style}{verdict}{style:#}")?;
            writeln!(out, "  by          {}, {time}", printable(recipient))?;
            writeln!(out, "  answers     event {answers}")?;
        }
        Ok(())
    }
}

impl AddReceipt {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let subject = self.bundle.as_deref().map(|path| CheckedSubject::read(context, path)).transpose()?;
        let mut outcome = Outcome { exit: Exit::Done, problems: Vec::new(), report: None };
        let mut receipts = Vec::new();
        let OpenLedger { ledger, .. } = ledger::open(context, None)?;
        for path in &self.receipts {
            let added = check(context, path, &self.trust, subject.as_ref())
                .and_then(|checked| add(context, &ledger, path, &checked));
            match added {
                Ok(one) => receipts.push(one),
                Err(failure) => {
                    outcome.exit = outcome.exit.and(failure.exit);
                    outcome.problems.extend(failure.problems);
                }
            }
        }
        outcome.report = Some(Box::new(Added { receipts }));
        Ok(outcome)
    }
}

fn add(
    context: &Context,
    ledger: &consign_ledger::Ledger,
    path: &std::path::Path,
    CheckedReceipt { trusted, sha256 }: &CheckedReceipt,
) -> Result<One, Failure> {
    let receipt = trusted.receipt();
    let at = |problem: Problem| problem.at(path.display().to_string());
    let several = |names: Vec<String>| {
        let message = format!(
            "was submitted to {}; to which of them its signer belongs is not known",
            names.join(" and ")
        );
        let problem = Problem::new("receipt-ambiguous", printable(&message));
        let hint = "give the key the recipient's name, owner or organization in your trust";
        Err(Failure::new(Exit::NotTrusted, at(problem.hint(hint))))
    };
    let submission = match submission_of(ledger, trusted)? {
        Answered::One(submission) => Some(*submission),
        Answered::Several(names) => return several(names),
        Answered::Nothing => None,
    };
    let Some(submission) = submission else {
        let message = format!("is about {}, which this ledger does not say was submitted", receipt.sha256);
        let problem = Problem::new("receipt-without-submission", message);
        let hint = "look into the ledger of the machine that submitted it: `--ledger DIR`";
        return Err(Failure::new(Exit::NotTrusted, at(problem.hint(hint))));
    };
    let verdict = if receipt.verdict.is_accepted() { "accepted" } else { "refused" };
    let recipient = recipient(trusted);
    let known = receipts_told(ledger, "receipt_added")?.contains(&sha256.to_string());
    if !known {
        context.record(act(trusted, &submission, &sha256.to_string(), verdict, &recipient));
        if let Err(error) = context.state().keep_receipt(trusted.signed()) {
            context.note(not_kept("the receipt", &error));
        }
    }
    Ok(One {
        path: path.display().to_string(),
        status: if known { "unchanged" } else { "added" },
        verdict,
        recipient,
        time: receipt.time.to_string(),
        sha256: sha256.to_string(),
        answers: submission.index,
    })
}

/// Who gave a receipt.
fn recipient(trusted: &TrustedReceipt) -> String {
    let fingerprint = || trusted.receipt().public_key.fingerprint().to_string();
    trusted.name().map_or_else(fingerprint, ToString::to_string)
}

fn act(
    trusted: &TrustedReceipt,
    submission: &LoggedEvent,
    sha256: &str,
    verdict: &'static str,
    recipient: &str,
) -> Act {
    let receipt = trusted.receipt();
    let mut act = Act::new(Action::ReceiptAdded);
    // Which bundle it was is known here, also where the receipt may not say it.
    let sent = submission.event.as_ref();
    act.bundle = sent.and_then(|event| event.bundle.clone());
    act.archive = sent.and_then(|event| event.archive_sha256);
    let encrypted = matches!(receipt.about, About::Encrypted(_)).then(|| receipt.sha256.to_string());
    let reasons: Vec<_> = receipt.verdict.reasons().iter().map(|reason| reason.code.to_string()).collect();
    // What the recipient did not find as it was signed is what the sender looks at first.
    let exit = match receipt.verdict {
        ReceiptVerdict::Accepted { .. } => Exit::Done,
        ReceiptVerdict::Refused { level: None, .. } => Exit::NotIntact,
        ReceiptVerdict::Refused { .. } => Exit::Refused,
    };
    act.ended(exit, &[])
        .with("verdict", verdict)
        .with("recipient", recipient)
        .with("fingerprint", receipt.public_key.fingerprint().to_string())
        .with("received_at", receipt.time)
        .with("level", receipt.verdict.level())
        .with("reasons", (!reasons.is_empty()).then_some(reasons))
        .with("receipt_sha256", sha256)
        .with("answers", submission.index)
        .with("encrypted_sha256", encrypted)
        .with("received_sha256", (receipt.is_claimed_only()).then(|| receipt.sha256.to_string()))
}
