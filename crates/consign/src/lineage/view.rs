//! The bundles in view: those that this machine knows, and those that the caller names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use consign_metadata::{BundleId, Manifest, Problem};
use consign_signing::ProvenanceStatement;
use serde::Serialize;

use crate::bundle_set::{BundleSet, MANIFEST};
use crate::checked::sole_claim;
use crate::claimed::claimed_manifest;
use crate::context::{Context, unreadable};
use crate::encrypted_set::EncryptedSet;
use crate::failure::Failure;
use crate::provenance;
use crate::state::known::Known;
use crate::vouching::{Trusted, VouchingArgs};

/// From where a bundle is in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Origin {
    /// It was made or verified on this machine.
    Known,
    /// The caller named it: what it says are claims.
    Given,
    /// Another bundle names it as its parent, and nothing else is known of it.
    Named,
}

/// A bundle in view.
pub struct Record {
    pub id: BundleId,
    pub origin: Origin,
    pub manifest: Manifest,
    pub provenance: Vec<ProvenanceStatement>,
}

/// All bundles that can be asked about. Manifests are read one at a time, when they are asked for.
pub struct View<'a> {
    context: &'a Context,
    known: Known,
    /// Whose signatures count; loaded once somebody names a bundle that is not known here.
    trusted: Option<Trusted>,
    bundles: BTreeMap<BundleId, Entry>,
    /// What could not be looked at.
    notes: Vec<Problem>,
}

#[derive(Default)]
struct Entry {
    known: bool,
    given: Vec<PathBuf>,
    provenance: Vec<ProvenanceStatement>,
}

impl<'a> View<'a> {
    /// Those that this machine knows.
    pub fn known(context: &'a Context) -> Result<Self, Failure> {
        let known = context.state().known();
        let ids = known.ids().map_err(|error| {
            let message = format!("the bundles that this machine knows cannot be listed: {error}");
            Failure::failed(Problem::new("unreadable", message))
        })?;
        let entry = |id| (id, Entry { known: true, ..Entry::default() });
        let bundles = ids.into_iter().map(entry).collect();
        Ok(Self { context, known, trusted: None, bundles, notes: Vec::new() })
    }

    /// Takes a bundle into view, a manifest, or all that lie in a folder; gives their ids. Of a folder, what cannot be
    /// looked at is passed over with a note.
    pub fn add(&mut self, path: &Path) -> Result<Vec<BundleId>, Failure> {
        if !path.is_dir() {
            EncryptedSet::refuse(path)?;
            return self.add_one(path).map(|id| vec![id]);
        }
        let mut paths = manifests_in(path)?;
        for set in BundleSet::in_folder(path)? {
            paths.extend(set.archive.or(set.attestations.map(|(path, _)| path)));
        }
        let mut ids = Vec::new();
        for one in &paths {
            match self.add_one(one) {
                Ok(id) => ids.push(id),
                Err(failure) => self.notes.extend(failure.problems),
            }
        }
        for encrypted in EncryptedSet::find(path)? {
            let problem = Problem::new("encrypted", "is encrypted, and was not looked into");
            self.notes.push(problem.at(encrypted.shown().display().to_string()));
        }
        ids.sort();
        ids.dedup();
        if ids.is_empty() {
            let problem =
                Problem::new("no-bundle", "holds no bundle and no manifest that could be looked at");
            return Err(Failure::failed(problem.at(path.display().to_string())));
        }
        Ok(ids)
    }

    fn add_one(&mut self, path: &Path) -> Result<BundleId, Failure> {
        let manifest = claimed_manifest(path)?;
        let id = Manifest::id_of(&manifest.to_bytes());
        let provenance = if is_manifest(path) { Vec::new() } else { self.provenance_of(path)? };
        let entry = self.bundles.entry(id).or_default();
        entry.given.push(path.to_owned());
        for statement in provenance {
            if !entry.provenance.contains(&statement) {
                entry.provenance.push(statement);
            }
        }
        Ok(id)
    }

    /// What lies beside a bundle about where it comes from, as far as keys signed it whose signature on the bundle counts: what
    /// anybody else says is a note, and answers no question.
    fn provenance_of(&mut self, path: &Path) -> Result<Vec<ProvenanceStatement>, Failure> {
        let set = BundleSet::find_one(path)?;
        let Some(claim) = sole_claim(&set)? else { return Ok(Vec::new()) };
        let asking = VouchingArgs::default();
        let trusted = match &self.trusted {
            Some(trusted) => trusted,
            None => {
                let policy = self.context.policy(None)?;
                // What was made here is one's own.
                let trusted = asking.load(self.context, &policy)?.at_the_senders();
                self.trusted.insert(trusted)
            }
        };
        let decision = asking.count(trusted, &set, claim);
        match provenance::file::counted(&set, claim, &decision) {
            Ok((counted, notes)) => {
                self.notes.extend(notes);
                Ok(counted.into_iter().map(|(_, signed)| signed.statement().clone()).collect())
            }
            // The bundle itself can be looked at all the same.
            Err(failure) => {
                self.notes.extend(failure.problems);
                Ok(Vec::new())
            }
        }
    }

    /// What could not be looked at so far.
    pub fn take_notes(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.notes)
    }

    /// Shows each bundle whose manifest, or one of whose provenance statements, `may` be of interest by its bytes.
    /// Those are looked at before anything is parsed.
    pub fn each(&mut self, may: impl Fn(&[u8]) -> bool, mut visit: impl FnMut(Record)) {
        let mut notes = Vec::new();
        for (id, entry) in &self.bundles {
            let mut provenance = entry.provenance.clone();
            if entry.known {
                match self.known.provenance(*id) {
                    Ok(kept) => {
                        provenance.extend(kept.into_iter().filter(|one| !entry.provenance.contains(one)));
                    }
                    Err(problem) => notes.push(problem),
                }
            }
            let told = provenance.iter().any(|one| may(one.predicate().text().as_bytes()));
            match self.manifest(*id, entry, |bytes| told || may(bytes)) {
                Ok(Some((origin, manifest))) => visit(Record { id: *id, origin, manifest, provenance }),
                Ok(None) => {}
                Err(problem) => notes.push(problem),
            }
        }
        self.notes.extend(notes);
    }

    /// The manifest, if its bytes may be of interest.
    fn manifest(
        &self,
        id: BundleId,
        entry: &Entry,
        may: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<(Origin, Manifest)>, Problem> {
        if entry.known {
            match self.known.manifest_bytes(id) {
                Ok(Some(bytes)) if !may(&bytes) => return Ok(None),
                Ok(Some(bytes)) => {
                    let manifest = Manifest::parse(&bytes).map_err(|error| {
                        Problem::new("manifest-malformed", error.to_string()).at(id.to_string())
                    })?;
                    return Ok(Some((Origin::Known, manifest)));
                }
                // Removed meanwhile.
                Ok(None) if entry.given.is_empty() => return Ok(None),
                Err(problem) if entry.given.is_empty() => return Err(problem),
                _ => {}
            }
        }
        let Some(path) = entry.given.first() else { return Ok(None) };
        let changed = || {
            Problem::new("changed", "was changed while it was being looked at").at(path.display().to_string())
        };
        let manifest = claimed_manifest(path).map_err(|_| changed())?;
        let bytes = manifest.to_bytes();
        if Manifest::id_of(&bytes) != id {
            return Err(changed());
        }
        Ok(may(&bytes).then_some((Origin::Given, manifest)))
    }
}

fn is_manifest(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".json"))
}

/// The copies of manifests in a folder.
fn manifests_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(MANIFEST) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
