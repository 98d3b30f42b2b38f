//! The files of a bundle that are handed over together, and how they come to appear in a folder: whoever looks there
//! finds an archive only once everything that belongs to it is there, whole.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use consign_bundle::publish::{exclusive, give_name, prepare, probe, sync_directory};
use consign_metadata::{BundleId, Problem, Sha256Digest};
use consign_policy::Permit;
use consign_signing::{
    ATTESTATIONS_BYTES_MAX, Attestations, Claim, Content, PublicKey, TrustedClaim, signed_payload,
};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::bundle_set::{BundleSet, Names, PROVENANCE, REVOCATIONS, read_attestations};
use crate::checked::archive_path;
use crate::context::{Context, directory_for, is_absent, unreadable, unwritable};
use crate::encrypted_set::{EncryptedFiles, EncryptedNames, sealed};
use crate::failure::Failure;
use crate::hashing;
use crate::restated;
use crate::state::revocations::read_revocations;

/// Longest line of a file that says where a bundle comes from, in bytes.
const PROVENANCE_LINE_MAX: usize = 1 << 20;

/// A file that is handed over, with the digest that was verified.
struct Piece {
    name: String,
    content: PieceContent,
    digest: Sha256Digest,
}

enum PieceContent {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Piece {
    fn file(name: String, path: &Path, digest: Sha256Digest) -> Self {
        Self { name, content: PieceContent::File(path.into()), digest }
    }

    fn bytes(name: String, bytes: Vec<u8>) -> Self {
        Self { name, digest: Sha256Digest::of(&bytes), content: PieceContent::Bytes(bytes) }
    }
}

/// A file by its name and digest, for reports.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PieceName {
    pub name: String,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
}

/// The files that are handed over together.
pub struct Parcel {
    /// In the order in which they appear: the archive last, since whoever waits for a bundle waits for that.
    pieces: Vec<Piece>,
    /// SHA-256 of the archive, or of the encrypted file.
    pub sha256: Sha256Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What was left out, and why.
    pub notes: Vec<Problem>,
}

impl Parcel {
    /// A plain bundle: archive, attestations, and what lies beside it of manifest, revocations and provenance.
    pub fn plain(set: &BundleSet, trusted: &TrustedClaim, id: BundleId) -> Result<Self, Failure> {
        let claim = trusted.claim();
        let Claim { bundle, content, .. } = claim;
        let names = Names::of(&bundle.name, &bundle.version);
        let path = archive_path(set)?;
        let folder = consign_bundle::publish::parent(path);
        let beside = |end: &str| {
            let name = format!("{}-{}{end}", bundle.name, bundle.version);
            (folder.join(&name), name)
        };
        let (mut pieces, mut notes) = (Vec::new(), Vec::new());
        if let Some(manifest) = &set.manifest {
            pieces.push(Piece::file(names.manifest, manifest, id.0));
        }
        let (revocations, name) = beside(REVOCATIONS);
        if revocations.exists() {
            pieces.push(Piece::bytes(name, read_revocations(&revocations)?.to_bytes()));
        }
        let (provenance, name) = beside(PROVENANCE);
        let keys: Vec<_> = trusted.signers().iter().map(|signer| signer.public_key).collect();
        match read_provenance(&provenance, &keys, &claim.subject_digest()) {
            Ok(Some(bytes)) => pieces.push(Piece::bytes(name, bytes)),
            Ok(None) => {}
            Err(why) => {
                let message = format!("`{name}` was left out: {why}");
                notes.push(Problem::new("provenance-left-out", message).at(provenance.display().to_string()));
            }
        }
        let attestations = set.attestations.as_ref().map(|(_, found)| found.to_bytes()).unwrap_or_default();
        pieces.push(Piece::bytes(names.attestations, attestations));
        let sha256 = claim.subject_digest();
        pieces.push(Piece::file(names.archive, path, sha256));
        let size = match content {
            Content::Archive(archive) => archive.size,
            Content::Sealed => 0,
        };
        Ok(Self { pieces, sha256, size, notes })
    }

    /// The revocations that lie beside a bundle, and nothing else; `None` if there are none about it.
    pub fn revocation(set: &BundleSet, claim: &Claim) -> Result<Option<Self>, Failure> {
        let folder = consign_bundle::publish::parent(archive_path(set)?);
        let name = format!("{}-{}{REVOCATIONS}", claim.bundle.name, claim.bundle.version);
        let path = folder.join(&name);
        if !path.exists() {
            return Ok(None);
        }
        let revocations = read_revocations(&path)?;
        if !revocations.signed().iter().any(|signed| signed.revocation().is_about(claim)) {
            return Ok(None);
        }
        let (sha256, bytes) = (claim.subject_digest(), revocations.to_bytes());
        let size = bytes.len() as u64;
        Ok(Some(Self { pieces: vec![Piece::bytes(name, bytes)], sha256, size, notes: Vec::new() }))
    }

    /// Puts its files into a folder where others by their names may lie: one that differs gets a name of its own, behind which
    /// nothing is lost. Gives `submitted`, or `unchanged` if all of it was there.
    pub fn add_to(&self, context: &Context, folder: &Path) -> Result<&'static str, Failure> {
        directory_for(&folder.join("any"))?;
        let mut status = "unchanged";
        for piece in &self.pieces {
            let own = piece.named_by_digest();
            if is_there(context, folder, piece).is_ok_and(|there| there) || is_there(context, folder, &own)? {
                continue;
            }
            let taken = folder.join(&piece.name).symlink_metadata().is_ok();
            let piece = if taken { &own } else { piece };
            let copy = piece.copy(context, folder)?;
            place_all(context, folder, std::iter::once((piece, copy)), &mut Vec::new())?;
            status = "submitted";
        }
        Ok(status)
    }

    /// An encrypted bundle: nothing of what is inside goes with it in the clear.
    pub fn encrypted(files: &EncryptedFiles) -> Result<Self, Failure> {
        let names = EncryptedNames::of(&files.claim);
        let (Some(path), Some((_, attestations))) = (&files.set.archive, &files.set.attestations) else {
            return Err(sealed(files.set.shown()));
        };
        let pieces = vec![
            Piece::bytes(names.attestations, attestations.to_bytes()),
            Piece::file(names.archive, path, files.claim.sha256),
        ];
        let (sha256, size) = (files.claim.sha256, files.claim.size);
        Ok(Self { pieces, sha256, size, notes: Vec::new() })
    }

    /// Names and digests, in the order in which they appear.
    pub fn names(&self) -> Vec<PieceName> {
        let name = |piece: &Piece| PieceName { name: piece.name.clone(), sha256: piece.digest.to_string() };
        self.pieces.iter().map(name).collect()
    }

    /// Copies what was verified into a folder, as the policy permits. Gives `submitted`, `completed` if a part of it
    /// was there, or `unchanged` if all of it was.
    ///
    /// What is there under one of the names is never overwritten. Nothing has its name before everything was copied and
    /// is on disk, and the archive has its name last; cut short at any point, the same command goes on from there.
    pub fn hand_over(&self, context: &Context, _: &Permit, folder: &Path) -> Result<&'static str, Failure> {
        directory_for(&folder.join("any"))?;
        let mut missing = Vec::new();
        for piece in &self.pieces {
            if !is_there(context, folder, piece)? {
                missing.push(piece);
            }
        }
        if missing.is_empty() {
            return Ok("unchanged");
        }
        probe(folder).map_err(|error| unwritable(folder, &error))?;
        let copies =
            missing.iter().map(|piece| piece.copy(context, folder)).collect::<Result<Vec<_>, _>>()?;
        let mut placed = Vec::new();
        let result = place_all(context, folder, missing.into_iter().zip(copies), &mut placed);
        if result.is_err() {
            for path in &placed {
                let _ = std::fs::remove_file(path);
            }
        }
        result.map(|()| match placed.len() {
            0 => "unchanged",
            n if n == self.pieces.len() => "submitted",
            _ => "completed",
        })
    }
}

/// Whether a file of that content is there; an error if another one is.
fn is_there(context: &Context, folder: &Path, piece: &Piece) -> Result<bool, Failure> {
    let path = folder.join(&piece.name);
    let file = match crate::reading::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let size = file.metadata().map_err(|error| unreadable(&path, &error))?.len();
    let there = hashing::digest(file, &context.meter("comparing", size), None);
    if there.map_err(|stopped| stopped.failure(&path, &path))? == piece.digest {
        return Ok(true);
    }
    let why = piece.said_otherwise(&path).map_or_else(String::new, |why| format!(": {why}"));
    let message =
        format!("is there already, and is not what would be submitted{why}; nothing is overwritten");
    let problem = Problem::new("taken", message).at(path.display().to_string());
    Err(Failure::failed(problem.hint("what was handed over stays as it is; submit a new version")))
}

/// Gives copies their names, while nobody else of ours does so in that folder: of several that hand over the same, one does.
fn place_all<'a>(
    context: &Context,
    folder: &Path,
    copies: impl Iterator<Item = (&'a Piece, NamedTempFile)>,
    placed: &mut Vec<PathBuf>,
) -> Result<(), Failure> {
    let held = exclusive(folder).map_err(|error| unwritable(folder, &error))?;
    let mut others = Vec::new();
    for (piece, copy) in copies {
        let path = folder.join(&piece.name);
        // Held until it has its name.
        let (_held, mut copy) = copy.into_parts();
        match give_name(&mut copy, &path) {
            Ok(()) => placed.push(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => others.push(piece),
            Err(error) => return Err(unwritable(&path, &error)),
        }
        // Each name is on disk before the next, so that not even a crash shows an archive before what belongs to it.
        sync_directory(folder).map_err(|error| unwritable(folder, &error))?;
    }
    drop(held);
    // Somebody was faster. Whether with the same shows.
    others.into_iter().try_for_each(|piece| is_there(context, folder, piece).map(drop))
}

impl Piece {
    /// The same under a name that holds its digest.
    fn named_by_digest(&self) -> Self {
        let content = match &self.content {
            PieceContent::File(path) => PieceContent::File(path.clone()),
            PieceContent::Bytes(bytes) => PieceContent::Bytes(bytes.clone()),
        };
        let digest = self.digest.hex();
        let stem = self.name.strip_suffix(REVOCATIONS);
        let name = stem.map_or_else(
            || format!("{digest}.{}", self.name),
            |stem| format!("{stem}.{digest}{REVOCATIONS}"),
        );
        Self { name, content, digest: self.digest }
    }

    /// What the attestations that are there under its name say otherwise, if that is what they are.
    fn said_otherwise(&self, there: &Path) -> Option<String> {
        let PieceContent::Bytes(bytes) = &self.content else { return None };
        let ours = Attestations::parse(bytes).ok()?;
        let there = read_attestations(there).ok()?;
        let claim = |all: &Attestations| all.statements().first().map(|one| one.statement().claim.clone());
        let otherwise = restated::differences(&claim(&there)?, &claim(&ours)?);
        Some(match otherwise.as_slice() {
            [] => "it holds other signatures".to_owned(),
            all => all.join("; "),
        })
    }

    /// A copy without its name, on disk. What arrived has the digest that was verified.
    fn copy(&self, context: &Context, folder: &Path) -> Result<NamedTempFile, Failure> {
        match &self.content {
            PieceContent::Bytes(bytes) => prepare(folder, bytes).map_err(|error| unwritable(folder, &error)),
            PieceContent::File(path) => hashing::copy_verified(context, path, self.digest, folder),
        }
    }
}

/// The file that says where a bundle comes from, if there is one and those who signed the bundle signed each line of it,
/// about that very archive. It is not understood here.
fn read_provenance(
    path: &Path,
    keys: &[PublicKey],
    archive: &Sha256Digest,
) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    let limit = ATTESTATIONS_BYTES_MAX as u64 + 1;
    match crate::reading::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(format!("it cannot be read: {error}")),
    }
    let text = bytes.strip_suffix(b"\n").filter(|_| bytes.len() as u64 != limit);
    let text = text.ok_or("it does not end with a line feed, or is too long")?;
    for line in text.split(|byte| *byte == b'\n') {
        let (_, payload) =
            signed_payload(line, PROVENANCE_LINE_MAX, keys).map_err(|error| error.to_string())?;
        if !is_about(&payload, archive) {
            return Err("it is about another archive".into());
        }
    }
    Ok(Some(bytes))
}

/// Whether an in-toto statement names that digest among its subjects.
fn is_about(payload: &[u8], archive: &Sha256Digest) -> bool {
    let statement: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let subjects = statement["subject"].as_array().map(Vec::as_slice).unwrap_or_default();
    let digest = archive.hex();
    subjects.iter().any(|subject| subject["digest"]["sha256"].as_str() == Some(&digest))
}
