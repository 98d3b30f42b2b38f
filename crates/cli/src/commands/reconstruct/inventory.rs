//! What the sources hold besides loose files: archives, manifests, attestations, by their names.

use std::path::{Path, PathBuf};

use consign_bundle::{Recipe, Source, SourceOptions, Store, StoreError};
use consign_metadata::{NameProfile, Problem};

use super::Sources;
use crate::bundle_set::is_attestations;
use crate::context::unreadable;
use crate::outcome::Failure;
use crate::store_args::{fault_problem, store_failure};

/// What there is to make something of.
#[derive(Default)]
pub(super) struct Inventory {
    pub(super) store: Option<Store>,
    /// Of the store.
    pub(super) recipes: Vec<Recipe>,
    pub(super) directories: Vec<PathBuf>,
    /// Single files that were named.
    pub(super) files: Vec<PathBuf>,
    pub(super) archives: Vec<PathBuf>,
    pub(super) manifests: Vec<PathBuf>,
    pub(super) attestations: Vec<PathBuf>,
    /// What cannot be used, and why.
    pub(super) notes: Vec<String>,
}

impl Inventory {
    /// Looks at names; nothing is opened but directories and recipes.
    pub(super) fn of(sources: &Sources) -> Result<Self, Failure> {
        let mut inventory = Self { store: sources.store.clone(), ..Self::default() };
        if let Some(store) = &sources.store {
            inventory.add_store(store)?;
        }
        for path in &sources.from {
            let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            if metadata.is_dir() {
                inventory.add_directory(path)?;
            } else if !inventory.add_named(path) {
                inventory.files.push(path.clone());
            }
        }
        Ok(inventory)
    }

    fn add_store(&mut self, store: &Store) -> Result<(), Failure> {
        let failed = |error| store_failure(error, store.path());
        for archive in store.archives().map_err(failed)? {
            match store.recipe(&archive) {
                Ok(recipe) => self.recipes.push(recipe),
                Err(StoreError::Fault(fault)) => {
                    self.notes.push(fault_problem(&fault, store.path()).to_string());
                }
                Err(StoreError::NoSuchArchive(_)) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn add_directory(&mut self, directory: &Path) -> Result<(), Failure> {
        let options =
            SourceOptions { names: NameProfile::Posix, include_vcs: true, ..SourceOptions::default() };
        let (source, _) = Source::scan_all(directory, options).map_err(|error| {
            Failure::failed(Problem::new("unreadable", error.to_string()).at(directory.display().to_string()))
        })?;
        for (path, ..) in source.files() {
            self.add_named(&directory.join(path.as_str()));
        }
        self.directories.push(directory.into());
        Ok(())
    }

    /// Adds a file that is more than content by its name, and says whether it is.
    fn add_named(&mut self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let list = if name.ends_with(".tar.zst") {
            &mut self.archives
        } else if name.ends_with(".manifest.json") || path.ends_with("consign/manifest.json") {
            &mut self.manifests
        } else if is_attestations(name) && !name.ends_with(".age.intoto.jsonl") {
            &mut self.attestations
        } else {
            return false;
        };
        list.push(path.into());
        true
    }
}
