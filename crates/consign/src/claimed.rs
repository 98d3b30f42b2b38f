//! What files say of a bundle before anything of it is verified.

use std::path::{Path, PathBuf};

use consign_bundle::{Anchor, Archive, ArchiveFacts};
use consign_metadata::{Manifest, Problem};

use crate::bundle_set::{BundleSet, read_manifest};
use crate::checked::archive_failure;
use crate::failure::Failure;

/// A manifest as it lies there.
pub struct ClaimedManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The archive that it was read from; `None` where there was only a copy.
    pub archive: Option<ClaimedArchive>,
}

/// What an archive says of itself.
pub struct ClaimedArchive {
    /// Where it is.
    pub path: PathBuf,
    /// What its end says of it.
    pub facts: ArchiveFacts,
    /// The number of its frames.
    pub frames: usize,
}

/// The manifest of a set: the archive's own, else the copy.
///
/// # Errors
/// There is neither, or it is malformed.
pub fn manifest_of(set: &BundleSet) -> Result<ClaimedManifest, Failure> {
    let Some(path) = &set.archive else {
        let Some(copy) = &set.manifest else {
            let at =
                set.attestations.as_ref().map_or_else(String::new, |(path, _)| path.display().to_string());
            let problem =
                Problem::new("archive-missing", "neither the archive nor the manifest is beside it");
            return Err(Failure::failed(problem.at(at)));
        };
        let (manifest, bytes) = read_manifest(copy)?;
        return Ok(ClaimedManifest { manifest, bytes, archive: None });
    };
    let failed = |error| archive_failure(error, path);
    let archive = Archive::open(set.open_archive(path)?, Anchor::Unsigned).map_err(failed)?;
    let (manifest, bytes) = archive.manifest().map_err(failed)?;
    let claimed =
        ClaimedArchive { path: path.clone(), facts: archive.facts().clone(), frames: archive.frames() };
    Ok(ClaimedManifest { manifest, bytes, archive: Some(claimed) })
}

/// The manifest that a path stands for, as a claim: of an archive, attestations, folder or manifest file.
pub fn claimed_manifest(path: &Path) -> Result<Manifest, Failure> {
    let is_manifest = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".json"));
    if is_manifest && path.is_file() {
        return read_manifest(path).map(|(manifest, _)| manifest);
    }
    let set = BundleSet::find_one(path)?;
    manifest_of(&set).map(|claimed| claimed.manifest)
}
