//! `consign receipt`: what a recipient says, and whether it counts.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_metadata::{Problem, Sha256Digest, printable};
use consign_signing::{
    About, BundleClaim, LedgerState, PublicClaim, PublicName, Receipt as Statement, ReceiptLevel,
    ReceiptReason, TrustedReceipt,
};
use serde::Serialize;

use crate::args::{self, Given};
use crate::context::Context;
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome, Report};
use crate::receipts::{CheckedReceipt, CheckedSubject, check, read};
use crate::style::{self, size};

/// Check or show the receipts of recipients
#[derive(clap::Args)]
pub(crate) struct Receipt {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Check(Check),
    Show(Show),
}

/// Check that receipts are authentic, by somebody you trust to give them, and about your bundle
///
/// A receipt of a refusal is as good as any other: look at the verdict.
#[derive(clap::Args)]
struct Check {
    /// Receipts
    #[arg(value_name = "RECEIPT", required = true)]
    receipts: Vec<PathBuf>,
    /// The bundle that they must be about: archive, attestations, or folder with one bundle
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: Given<args::ReceiptTrustArgs>,
}

/// Show what receipts say: claims, not verdicts
#[derive(clap::Args)]
struct Show {
    /// Receipts
    #[arg(value_name = "RECEIPT", required = true)]
    receipts: Vec<PathBuf>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Receipts {
    receipts: Vec<Shown>,
}

/// One receipt.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Shown {
    /// The file.
    path: String,
    /// Whether it counts: authentic, by somebody who is trusted to give receipts, and about the bundle that was named, if
    /// one was. Absent where that was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<bool>,
    /// Whether it is about the bundle that was named; absent if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    about_bundle: Option<bool>,
    /// What it says; absent if it is not authentic.
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<Says>,
}

/// What a receipt says.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Says {
    /// `accepted` or `refused`.
    verdict: &'static str,
    /// How much was found to be as the statement about the bundle says.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<ReceiptLevel>,
    /// Which bundle; of an encrypted one, nothing but `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleClaim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<PublicClaim>,
    /// The bundle is what was claimed, not what was found.
    claimed_only: bool,
    /// The bytes that arrived.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    sha256: String,
    size: u64,
    encrypted: bool,
    /// When, by the recipient's clock.
    time: String,
    /// Who says it.
    fingerprint: String,
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    /// SHA-256 of the recipient's handling policy.
    policy: String,
    /// Whose signatures on the bundle counted with the recipient.
    signers: Vec<Signer>,
    /// SHA-256 of each envelope that the recipient looked at.
    attestations: Vec<String>,
    reasons: Vec<ReceiptReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerState>,
    /// SHA-256 of the receipt's line without its line feed.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    receipt_sha256: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Signer {
    fingerprint: String,
    role: String,
}

impl Says {
    fn of(receipt: &Statement, sha256: Sha256Digest, trusted: Option<&TrustedReceipt>) -> Self {
        let text = |line: Option<&consign_metadata::Line>| line.map(ToString::to_string);
        let (bundle, public) = match &receipt.about {
            About::Bundle(bundle) => (Some(bundle.clone()), None),
            About::Encrypted(public) => (None, Some(public.clone()).filter(|public| !public.is_empty())),
            About::Unknown => (None, None),
        };
        Self {
            verdict: if receipt.verdict.is_accepted() { "accepted" } else { "refused" },
            level: receipt.verdict.level(),
            bundle,
            public,
            claimed_only: receipt.is_claimed_only(),
            sha256: receipt.sha256.to_string(),
            size: receipt.size,
            encrypted: matches!(receipt.about, About::Encrypted(_)),
            time: receipt.time.to_string(),
            fingerprint: receipt.public_key.fingerprint().to_string(),
            role: receipt.role.to_string(),
            name: text(trusted.and_then(TrustedReceipt::name)),
            owner: text(trusted.and_then(TrustedReceipt::owner)),
            organization: text(trusted.and_then(TrustedReceipt::organization)),
            policy: receipt.policy.to_string(),
            signers: receipt
                .signers
                .iter()
                .map(|signer| Signer {
                    fingerprint: signer.fingerprint.to_string(),
                    role: signer.role.to_string(),
                })
                .collect(),
            attestations: receipt.attestations.iter().map(ToString::to_string).collect(),
            reasons: receipt.verdict.reasons().to_vec(),
            ledger: receipt.ledger.clone(),
            receipt_sha256: sha256.to_string(),
        }
    }

    fn what(&self) -> String {
        let public = self.public.as_ref().and_then(|public| public.bundle.as_ref());
        match (&self.bundle, public) {
            (Some(BundleClaim { name, version, .. }), _) | (_, Some(PublicName { name, version })) => {
                format!("{name} {version}")
            }
            _ if self.encrypted => "an encrypted bundle".into(),
            _ => "something that does not say what it is".into(),
        }
    }

    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(bundle) = &self.bundle {
            let claimed = if self.claimed_only { "  (claimed, not found so)" } else { "" };
            writeln!(out, "  class       {}{claimed}", bundle.classification.as_str().to_uppercase())?;
            writeln!(out, "  bundle id   {}{claimed}", bundle.id)?;
        }
        let file = if self.encrypted { "encrypted" } else { "archive" };
        writeln!(out, "  {file:<11} {}, {}", size(self.size), self.sha256)?;
        if let Some(level) = self.level {
            writeln!(out, "  looked at   {}", level.as_str())?;
        }
        for Signer { fingerprint, role } in &self.signers {
            writeln!(out, "  signed by   {fingerprint} as {role}")?;
        }
        let who = match (&self.name, &self.owner) {
            (Some(name), Some(owner)) => format!("{name} ({owner}), {}", self.fingerprint),
            (Some(name), None) => format!("{name}, {}", self.fingerprint),
            _ => self.fingerprint.clone(),
        };
        writeln!(out, "  receipt by  {who}")?;
        writeln!(out, "              as {}, stated time {}", self.role, self.time)?;
        writeln!(out, "  policy      {}", self.policy)?;
        for ReceiptReason { code, message } in &self.reasons {
            match message {
                Some(message) => writeln!(out, "  reason      {message} ({code})")?,
                None => writeln!(out, "  reason      {code}")?,
            }
        }
        Ok(())
    }
}

impl Report for Receipts {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, error, warn) = (style::GOOD, style::ERROR, style::WARN);
        for (n, shown) in self.receipts.iter().enumerate() {
            if n > 0 {
                writeln!(out)?;
            }
            let path = printable(&shown.path);
            match (shown.counts, &shown.says) {
                (Some(true), Some(says)) => {
                    let verdict = match says.verdict {
                        "accepted" => format!("{good}RECEIPT COUNTS{good:#}: {} was accepted", says.what()),
                        _ => format!("{warn}RECEIPT COUNTS{warn:#}: {} was REFUSED", says.what()),
                    };
                    writeln!(out, "{verdict}")?;
                }
                (Some(_), _) => writeln!(out, "{error}RECEIPT DOES NOT COUNT{error:#}: {path}")?,
                (None, Some(says)) => {
                    writeln!(
                        out,
                        "{path} says, which was not checked: {} was {}",
                        says.what(),
                        says.verdict
                    )?;
                }
                (None, None) => writeln!(out, "{error}not a receipt{error:#}: {path}")?,
            }
            shown.says.iter().try_for_each(|says| says.human(out))?;
        }
        Ok(())
    }
}

impl Receipt {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        match &self.action {
            Action::Check(command) => command.run(context),
            Action::Show(command) => Ok(all(&command.receipts, show)),
        }
    }
}

/// Each of them, whatever becomes of the others.
fn all(paths: &[PathBuf], mut one: impl FnMut(&Path) -> (Shown, Result<(), Failure>)) -> Outcome {
    let (mut exit, mut problems, mut receipts) = (Exit::Done, Vec::<Problem>::new(), Vec::new());
    for path in paths {
        let (shown, result) = one(path);
        receipts.push(shown);
        if let Err(failure) = result {
            exit = exit.and(failure.exit);
            problems.extend(failure.problems);
        }
    }
    Outcome { exit, problems, report: Some(Box::new(Receipts { receipts })) }
}

fn show(path: &Path) -> (Shown, Result<(), Failure>) {
    let shown = |says| Shown { path: path.display().to_string(), counts: None, about_bundle: None, says };
    match read(path) {
        Ok(signed) => {
            let sha256 = Sha256Digest::of(signed.line());
            (shown(Some(Says::of(signed.receipt(), sha256, None))), Ok(()))
        }
        Err(failure) => (shown(None), Err(failure)),
    }
}

impl Check {
    fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let subject = self.bundle.as_deref().map(|named| CheckedSubject::read(context, named)).transpose()?;
        Ok(all(&self.receipts, |path| match check(context, path, &self.trust, subject.as_ref()) {
            Ok(CheckedReceipt { trusted, sha256 }) => {
                let says = Some(Says::of(trusted.receipt(), sha256, Some(&trusted)));
                let about_bundle = subject.as_ref().map(|_| true);
                (Shown { path: path.display().to_string(), counts: Some(true), about_bundle, says }, Ok(()))
            }
            Err(failure) => {
                let other = failure.problems.iter().any(|problem| problem.code == "receipt-other-bundle");
                let about_bundle = subject.as_ref().filter(|_| other).map(|_| false);
                (Shown { counts: Some(false), about_bundle, ..show(path).0 }, Err(failure))
            }
        }))
    }
}
