//! `consign ledger find`: which bundles hold a file, or came from a commit, a run or a source, and to whom they went.

use std::io::{self, Write};
use std::path::PathBuf;

use consign_metadata::{BundleId, Problem, Sha256Digest, printable};
use serde::Serialize;
use serde_json::Value;

use super::KeyArgs;
use crate::context::Context;
use crate::ledger::{Filter, OpenLedger, select};
use crate::lineage::find::{self, CommitPrefix, Found};
use crate::lineage::view::{Origin, View};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, count};

/// Find bundles by a file in them, or by what they came from, and say to whom each was handed over
///
/// Searches the manifests and provenance of bundles that were made, received or verified with this home, and of
/// those that `--with` names.
#[derive(clap::Args)]
pub(crate) struct Find {
    #[command(flatten)]
    question: Question,
    /// A bundle, a manifest, or a folder of such, to search too; may be repeated
    #[arg(long, value_name = "PATH")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
}

/// What is looked for.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Question {
    /// A file, by the SHA-256 of its content
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    file: Option<Sha256Digest>,
    /// A commit of the source code, or its beginning
    #[arg(long, value_name = "COMMIT")]
    commit: Option<CommitPrefix>,
    /// A run of a build or training pipeline
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// An original source, or the beginning of its address
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// What derives from this bundle
    #[arg(long, value_name = "BUNDLE-ID")]
    parent: Option<BundleId>,
}

/// Bundles that fit the question.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Answer {
    bundles: Vec<Bundle>,
    /// What could not be looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Problem>,
}

/// A bundle and to whom it went.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Bundle {
    #[serde(flatten)]
    found: Found,
    /// When it was handed over, and to whom, in order.
    submissions: Vec<Submission>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Submission {
    /// Number of the event.
    index: u64,
    time: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "crate::bundle_out::bare_if_any")]
    archive_sha256: Option<String>,
}

/// How many places in a bundle are shown.
const SHOWN: usize = 5;

impl Report for Answer {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, faint) = (style::GOOD, style::FAINT);
        for Bundle { found, submissions } in &self.bundles {
            let class = found.classification.to_uppercase();
            writeln!(out, "{good}{} {}{good:#}  [{class}]", found.name, found.version)?;
            writeln!(out, "  {faint}{}{faint:#}", found.id)?;
            if found.origin == Origin::Given {
                writeln!(out, "  {faint}as it says of itself: it was not verified here{faint:#}")?;
            }
            for place in found.at.iter().take(SHOWN) {
                writeln!(out, "  at         {}", printable(place))?;
            }
            if found.at.len() > SHOWN {
                writeln!(out, "             and {} more", found.at.len() - SHOWN)?;
            }
            for Submission { index, time, to, .. } in submissions {
                writeln!(out, "  submitted  {time} to {}  {faint}event {index}{faint:#}", printable(to))?;
            }
            if submissions.is_empty() {
                writeln!(out, "  submitted  never, as far as this ledger knows")?;
            }
        }
        writeln!(out, "{faint}{}{faint:#}", count(self.bundles.len() as u64, "bundle", "bundles"))?;
        for note in &self.notes {
            writeln!(crate::stream::stderr(), "note: {}", printable(&note.to_string()))?;
        }
        Ok(())
    }
}

impl Find {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let mut view = View::known(context)?;
        for path in &self.with {
            view.add(path)?;
        }
        let Question { file, commit, run, source, parent } = &self.question;
        let mut found = match (file, commit, run, source, parent) {
            (Some(digest), ..) => find::by_file(&mut view, *digest),
            (_, Some(commit), ..) => find::by_commit(&mut view, commit),
            (_, _, Some(run), ..) => find::by_run(&mut view, run),
            (_, _, _, Some(source), _) => find::by_source(&mut view, source),
            (.., Some(parent)) => find::by_parent(&mut view, *parent),
            (None, None, None, None, None) => Vec::new(),
        };
        found.sort_by(|a, b| (&a.name, &a.version, a.id).cmp(&(&b.name, &b.version, b.id)));
        let mut bundles: Vec<_> =
            found.into_iter().map(|found| Bundle { found, submissions: Vec::new() }).collect();
        let OpenLedger { ledger, .. } = self.key.open(context)?;
        let submitted = Filter::of_event("submitted");
        for entry in select(&ledger, &submitted) {
            let entry = entry?;
            let Some(event) = &entry.event else { continue };
            let id = event.bundle.as_ref().map(|bundle| bundle.id);
            for bundle in bundles.iter_mut().filter(|bundle| Some(bundle.found.id) == id) {
                let to = event.metadata.get("to").and_then(Value::as_str).unwrap_or("?");
                bundle.submissions.push(Submission {
                    index: entry.index,
                    time: event.timestamp.to_string(),
                    to: to.to_owned(),
                    archive_sha256: event.archive_sha256.map(|digest| digest.to_string()),
                });
            }
        }
        Ok(Outcome::done(Answer { bundles, notes: view.take_notes() }))
    }
}

/// A digest with or without `sha256:` before it, as programs print it.
fn digest(text: &str) -> Result<Sha256Digest, String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    Sha256Digest::from_hex(hex).map_err(|error| error.to_string())
}
