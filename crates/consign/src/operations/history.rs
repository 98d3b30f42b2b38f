//! The versions of a bundle, and what became of each.

use crate::context::Context;
use crate::failure::Failure;
use crate::ledger::{self, Filter, LoggedEvent, OpenLedger, select};
use crate::operation::{Outcome, Request};
use consign_metadata::{BundleId, BundleName, Manifest};
use serde::Serialize;
use serde_json::Value;

/// Show the versions of a bundle: when they were made, signed, handed over, to whom, with which receipts, and what
/// changed between them
#[derive(Clone, Debug)]
pub struct History {
    /// Name of the bundle
    pub name: BundleName,
    /// Only what was handed to or received from one recipient
    pub to: Option<String>,
}

/// The versions of a bundle, in the order in which the ledger heard of them.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Told {
    pub name: String,
    pub versions: Vec<Version>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Version {
    pub version: String,
    pub classification: String,
    pub id: String,
    /// The archives that held it, in the order in which they were heard of.
    pub archives: Vec<String>,
    /// The build or training run that made it, as the descriptor says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Value>,
    /// What changed since the version before, as far as both manifests are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    pub entries: Vec<LoggedEvent>,
    #[serde(skip)]
    pub bundle_id: BundleId,
}

impl Request for History {
    const COMMAND: &str = "history";
    type Report = Told;

    fn run(&self, context: &Context) -> Result<Outcome<Told>, Failure> {
        let OpenLedger { ledger, .. } = ledger::open(context, None)?;
        let filter = Filter::of_bundle(self.name.as_str());
        let mut versions: Vec<Version> = Vec::new();
        for entry in select(&ledger, &filter) {
            let entry = entry?;
            let Some(event) = &entry.event else { continue };
            let Some(bundle) = event.bundle.as_ref().filter(|bundle| bundle.name == self.name) else {
                continue;
            };
            let known = versions.iter().position(|version| version.bundle_id == bundle.id);
            let place = known.unwrap_or_else(|| {
                versions.push(Version {
                    version: bundle.version.to_string(),
                    classification: bundle.classification.to_string(),
                    id: bundle.id.to_string(),
                    archives: Vec::new(),
                    pipeline: None,
                    changes: None,
                    entries: Vec::new(),
                    bundle_id: bundle.id,
                });
                versions.len() - 1
            });
            let version = &mut versions[place];
            if let Some(archive) = event.archive_sha256.map(|archive| archive.to_string())
                && !version.archives.contains(&archive)
            {
                version.archives.push(archive);
            }
            if version.pipeline.is_none() {
                version.pipeline = event.metadata.get("pipeline").cloned();
            }
            version.entries.push(entry);
        }
        if let Some(to) = &self.to {
            let of_recipient = Filter::to(to).by_any_name(context);
            let concerned = |entry: &LoggedEvent| of_recipient.admits(entry.event.as_ref());
            for version in &mut versions {
                version.entries.retain(concerned);
            }
            versions.retain(|version| !version.entries.is_empty());
        }
        if versions.is_empty() {
            let message = format!("the ledger says nothing about a bundle `{}`", self.name);
            let problem = consign_metadata::Problem::new("no-such-bundle", message);
            return Err(Failure::failed(problem.hint("`consign ledger list` shows what it knows")));
        }
        compare(context, &mut versions);
        Ok(Outcome::done(Told { name: self.name.to_string(), versions }))
    }
}

/// Says of each version what changed since the one before, where this machine has kept both manifests.
fn compare(context: &Context, versions: &mut [Version]) {
    let known = context.state().known();
    let mut before: Option<Manifest> = None;
    for version in versions {
        let bytes = known.manifest_bytes(version.bundle_id).ok().flatten();
        let manifest = bytes.and_then(|bytes| Manifest::parse(&bytes).ok());
        if let (Some(before), Some(manifest)) = (&before, &manifest) {
            version.changes = Some(consign_metadata::diff(before, manifest).in_one_line());
        }
        before = manifest;
    }
}
