//! `consign init --update`: what a descriptor does not say yet is added to it; what a person wrote stays.

use std::path::Path;

use consign_bundle::publish;
use consign_metadata::{Merged, Problem};
use serde::Serialize;

use super::propose::{Proposal, brief};
use crate::context::{unreadable, unwritable};
use crate::outcome::Failure;
use crate::reading::{self, TEXT_MAX};

/// What was added, or would be.
pub(super) struct Update {
    pub(super) merged: Merged,
    pub(super) kept: Vec<Kept>,
    /// Whether the file was changed.
    pub(super) written: bool,
}

/// A field that the descriptor says otherwise than what was found; it stays as it is.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Kept {
    /// Dotted name of the field.
    pub(super) field: String,
    /// What the descriptor says, on one line and perhaps cut.
    pub(super) says: String,
    /// What was found.
    pub(super) found: String,
    /// Where it was found.
    pub(super) from: String,
}

/// Where a value comes from that is no more than a way out: it says nothing against what a person wrote.
const GUESSES: [&str; 2] = ["directory", "proposed"];
/// Fields that are for a person to say, whatever the files suggest.
const A_PERSONS: [&str; 2] = ["name", "kind"];

/// Adds to the descriptor at `path` what the proposal has and it has not. Of the proposal's fields those remain that were
/// added.
pub(super) fn update(path: &Path, proposal: &mut Proposal, dry_run: bool) -> Result<Update, Failure> {
    // The file itself is replaced, not a link to it.
    let path = &path.canonicalize().map_err(|error| unreadable(path, &error))?;
    let held = if dry_run {
        None
    } else {
        Some(publish::exclusive(publish::parent(path)).map_err(|error| unwritable(path, &error))?)
    };
    let bytes = reading::read(path, TEXT_MAX).map_err(|error| unreadable(path, &error))?;
    let at = |problem: Problem| {
        let field = problem.at.clone().map_or_else(String::new, |field| format!(": {field}"));
        let hint = problem.hint.clone().unwrap_or_else(|| "mend it by hand first".into());
        Failure::usage(problem.at(format!("{}{field}", path.display())).hint(hint))
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| at(Problem::new("not-utf8", "is not UTF-8").hint("save the file as UTF-8")))?;
    let merged = proposal.draft.merge_into(&text).map_err(at)?;
    let mut kept = Vec::new();
    let differing = merged.differing.iter();
    for differing in differing.filter(|differing| !A_PERSONS.contains(&differing.field.as_str())) {
        let from = proposal.found.iter().find(|found| found.field == differing.field);
        if let Some(found) = from.filter(|found| !GUESSES.contains(&found.from.as_str())) {
            let (says, found_now) = (brief(&differing.said), brief(&differing.found));
            let in_details = says == found_now;
            kept.push(Kept {
                field: differing.field.clone(),
                says,
                found: if in_details { format!("{found_now}, and otherwise in details") } else { found_now },
                from: found.from.clone(),
            });
        }
    }
    proposal.found.retain(|found| merged.added.contains(&found.field));
    let written = merged.text != text && held.is_some() && !merged.added.is_empty();
    if written {
        replace(path, merged.text.as_bytes()).map_err(|error| unwritable(path, &error))?;
    }
    drop(held);
    Ok(Update { merged, kept, written })
}

/// Replaces the file as a whole. Who may read and change it stays as it was.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let directory = publish::parent(path);
    let file = publish::prepare(directory, content)?;
    file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    file.persist(path).map_err(|error| error.error)?;
    publish::sync_directory(directory)
}
