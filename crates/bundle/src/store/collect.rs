//! What is removed from a store: recipes that are named, and whatever no recipe needs.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use consign_metadata::Sha256Digest;

use super::check::Listing;
use super::{RECIPES, Store, StoreError, failed};
use crate::progress::Progress;
use crate::publish;

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Archives whose recipes were removed.
    pub archives: Vec<Sha256Digest>,
    /// Objects that nothing needed any more.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that never got their names.
    pub leftovers: u64,
    /// Objects that are still needed.
    pub kept_objects: u64,
    /// Their bytes.
    pub kept_bytes: u64,
}

impl Store {
    /// Removes the recipes of these archives, then every object that no recipe needs and what writers left that
    /// were cut short. Waits until nobody else reads or adds. With `dry_run` nothing is removed.
    ///
    /// # Errors
    /// An archive is not there, a recipe cannot be read (what it needs is not known then, and nothing is removed),
    /// the file system has no locks.
    pub fn collect(
        &self,
        archives: &[Sha256Digest],
        dry_run: bool,
        progress: &dyn Progress,
    ) -> Result<Collected, StoreError> {
        let _lock = self.own(progress)?;
        let there = self.archives()?;
        let gone: HashSet<&Sha256Digest> = archives.iter().collect();
        if let Some(missing) = gone.iter().find(|archive| !there.contains(archive)) {
            return Err(StoreError::NoSuchArchive(**missing));
        }
        let mut needed = HashSet::new();
        for archive in there.iter().filter(|archive| !gone.contains(archive)) {
            needed.extend(self.recipe(archive)?.pieces().map(|piece| piece.sha256));
        }
        let mut collected = Collected {
            archives: there.iter().filter(|archive| gone.contains(archive)).copied().collect(),
            ..Collected::default()
        };
        let remove = |path: &Path| match dry_run {
            true => Ok(()),
            false => fs::remove_file(path).map_err(failed(path, "cannot be removed")),
        };
        // First what says that they are needed: cut short after it, there is more to remove and nothing missing.
        for archive in &collected.archives {
            remove(&self.recipe_path(archive))?;
        }
        if !dry_run && !collected.archives.is_empty() {
            let recipes = self.root.join(RECIPES);
            publish::sync_directory(&recipes).map_err(failed(&recipes, "cannot be written"))?;
        }
        let Listing { objects, .. } = self.listing()?;
        for object in objects {
            if needed.contains(&object.sha256) {
                collected.kept_objects += 1;
                collected.kept_bytes += object.size;
            } else {
                remove(&self.object_path(&object.sha256))?;
                collected.objects += 1;
                collected.bytes += object.size;
            }
        }
        for path in self.leftovers()? {
            remove(&path)?;
            collected.leftovers += 1;
        }
        Ok(collected)
    }
}
