//! Which bundles this machine knows: a copy of the manifest of each that it made or verified, by its id.
//!
//! They are what lineage is walked through and what is searched by file, commit, run and source. A copy is believed for
//! no other reason than that its digest is its name.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use consign_bundle::publish::{parent, temporary_with_mode};
use consign_metadata::{BundleId, Manifest, Problem, Sha256Digest};
use consign_signing::{
    PROVENANCE_BYTES_MAX, ProvenanceFile, ProvenanceStatement, SignedProvenance, SignedReceipt,
};

use super::{State, lock};
use crate::bundle_set::{MANIFEST, PROVENANCE};
use crate::context::is_absent;

const FOLDER: &str = "known";
/// Receipts that were put into the ledger, by their digest.
const RECEIPTS: &str = "receipts";

impl State {
    /// Keeps the manifest of a bundle that was made or verified here, for its owner's eyes alone.
    ///
    /// # Errors
    /// What the system says; `InvalidData` if that is not its id. It never is a reason to fail: see
    /// [`not_kept`](super::not_kept).
    pub fn keep_manifest(&self, manifest: &[u8], id: BundleId) -> io::Result<()> {
        if self.directory.is_none() {
            return Ok(());
        }
        if Manifest::id_of(manifest) != id {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the manifest is not that of {id}"),
            ));
        }
        let folder = self.make(FOLDER)?;
        let path = folder.join(format!("{}{MANIFEST}", id.0.hex()));
        // What is there is checked when it is read. A copy of another length is not the one.
        if path.metadata().is_ok_and(|there| there.is_file() && there.len() == manifest.len() as u64) {
            return Ok(());
        }
        write(&folder, &path, manifest)
    }

    /// Whether its manifest was kept.
    pub fn knows(&self, id: BundleId) -> bool {
        self.path(&format!("{FOLDER}/{}{MANIFEST}", id.0.hex())).is_some_and(|path| path.is_file())
    }

    /// Keeps what was signed about where a bundle comes from.
    ///
    /// # Errors
    /// As [`keep_manifest`](Self::keep_manifest); `FileTooLarge` if there is more than anybody reads.
    pub fn keep_provenance(&self, signed: &SignedProvenance, id: BundleId) -> io::Result<()> {
        if self.directory.is_none() {
            return Ok(());
        }
        let folder = self.make(FOLDER)?;
        let path = folder.join(format!("{}{PROVENANCE}", id.0.hex()));
        let _lock = lock(&folder)?;
        let mut lines = match fs::read(&path) {
            Ok(lines) => lines,
            Err(error) if is_absent(&error) => Vec::new(),
            Err(error) => return Err(error),
        };
        if lines.split(|&byte| byte == b'\n').any(|line| line == signed.line()) {
            return Ok(());
        }
        lines.extend_from_slice(signed.line());
        lines.push(b'\n');
        if lines.len() > PROVENANCE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} is full", path.display())));
        }
        write(&folder, &path, &lines)
    }

    /// Keeps a receipt that was put into the ledger.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep_receipt(&self, signed: &SignedReceipt) -> io::Result<()> {
        let folder = self.make(RECEIPTS)?;
        let name = format!("{}.receipt.intoto.jsonl", Sha256Digest::of(signed.line()).hex());
        write(&folder, &folder.join(name), &signed.to_bytes())
    }

    /// The bundles that are known.
    pub fn known(&self) -> Known {
        Known { folder: self.path(FOLDER) }
    }
}

/// Writes a file that only its owner can read; whoever looks sees the old one or all of the new one. What a run that is
/// killed leaves of it lies in the folder above, which has few files, and is soon looked through.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary_with_mode(parent(folder), 0o600)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The bundles that this machine knows.
pub struct Known {
    /// `None` if there is nowhere to remember anything.
    folder: Option<PathBuf>,
}

impl Known {
    /// Their ids, in order.
    pub fn ids(&self) -> io::Result<Vec<BundleId>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let hex = name.to_str().and_then(|name| name.strip_suffix(MANIFEST));
            ids.extend(hex.and_then(|hex| Sha256Digest::from_hex(hex).ok()).map(BundleId));
        }
        ids.sort();
        Ok(ids)
    }

    /// The bytes of a manifest; `None` if it is not known.
    ///
    /// # Errors
    /// It cannot be read, or is not what it was when it was kept.
    pub fn manifest_bytes(&self, id: BundleId) -> Result<Option<Vec<u8>>, Problem> {
        let limit = consign_metadata::limits::MANIFEST_BYTES_MAX;
        let Some((path, bytes)) = self.read(id, MANIFEST, limit)? else { return Ok(None) };
        if Manifest::id_of(&bytes) != id {
            let problem = Problem::new("known-altered", "is not the manifest that it was when it was kept");
            let hint = "remove it; the next `consign verify` of that bundle keeps it again";
            return Err(problem.at(path.display().to_string()).hint(hint));
        }
        Ok(Some(bytes))
    }

    /// What was kept about where a bundle comes from: it was verified when it was kept, and whoever can write here
    /// could have changed it since.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn provenance(&self, id: BundleId) -> Result<Vec<ProvenanceStatement>, Problem> {
        let Some((path, bytes)) = self.read(id, PROVENANCE, PROVENANCE_BYTES_MAX as u64)? else {
            return Ok(Vec::new());
        };
        ProvenanceFile::unverified(&bytes).map_err(|errors| {
            let why = errors.first().map_or_else(String::new, ToString::to_string);
            let problem = Problem::new("known-altered", format!("cannot be read: {why}"));
            problem.at(path.display().to_string()).hint("remove it")
        })
    }

    fn read(&self, id: BundleId, end: &str, limit: u64) -> Result<Option<(PathBuf, Vec<u8>)>, Problem> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.join(format!("{}{end}", id.0.hex()));
        let mut bytes = Vec::new();
        let read = |file: File| file.take(limit + 1).read_to_end(&mut bytes);
        match crate::reading::open(&path).and_then(read) {
            Ok(_) => Ok(Some((path, bytes))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => {
                let problem = Problem::new("unreadable", format!("cannot be read: {error}"));
                Err(problem.at(path.display().to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_kept_for_its_owner_and_checked_when_it_is_read() {
        let home = tempfile::tempdir().unwrap();
        let state = State::at(&home.path().join("state"));
        assert!(state.known().ids().unwrap().is_empty());
        assert!(!home.path().join("state").exists(), "looking makes nothing");
        let bytes = b"{}\n";
        let id = Manifest::id_of(bytes);
        let other = Manifest::id_of(b"other");
        assert_eq!(state.keep_manifest(bytes, other).unwrap_err().kind(), io::ErrorKind::InvalidData);
        state.keep_manifest(bytes, id).unwrap();
        state.keep_manifest(bytes, id).unwrap();
        let known = state.known();
        assert_eq!(known.ids().unwrap(), [id]);
        assert_eq!(known.manifest_bytes(id).unwrap().as_deref(), Some(&bytes[..]));
        assert_eq!(known.manifest_bytes(other).unwrap(), None);
        assert!(known.provenance(id).unwrap().is_empty());
        let path = home.path().join("state/known").join(format!("{}.manifest.json", id.0.hex()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
        // Altered, cut short, and other names beside it.
        fs::write(&path, "{} ").unwrap();
        assert_eq!(known.manifest_bytes(id).unwrap_err().code, "known-altered");
        fs::write(&path, "{}").unwrap();
        state.keep_manifest(bytes, id).unwrap();
        assert!(known.manifest_bytes(id).unwrap().is_some(), "a copy that was cut short is written again");
        for name in [".consign-x.partial", "x.manifest.json", &format!("{}.manifest.json", "F".repeat(64))] {
            fs::write(path.with_file_name(name), "").unwrap();
        }
        assert_eq!(known.ids().unwrap(), [id]);
        fs::write(path.with_file_name(format!("{}.provenance.intoto.jsonl", id.0.hex())), "{}\n").unwrap();
        assert_eq!(known.provenance(id).unwrap_err().code, "known-altered");
    }

    #[test]
    fn without_a_home_nothing_is_kept_and_nothing_known() {
        let state = State::nowhere();
        state.keep_manifest(b"{}\n", Manifest::id_of(b"{}\n")).unwrap();
        assert!(state.known().ids().unwrap().is_empty());
        let gone = tempfile::tempdir().unwrap().path().join("gone");
        let state = State::beneath(&gone, gone.join("state"));
        assert!(state.keep_manifest(b"{}\n", Manifest::id_of(b"{}\n")).is_err());
    }
}
