//! What belongs together: from an archive, its attestations or their folder to all three files of a bundle.
//!
//! Siblings match by digest, not by file name. Where nothing matches by digest, a sibling that belongs by its
//! name is taken all the same, so that an altered archive is told apart from one that nobody signed.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use consign_bundle::{Anchor, Archive, ArchiveFacts, ReadAt};
use consign_metadata::{Manifest, Problem, Sha256Digest};
use consign_signing::{
    ATTESTATIONS_BYTES_MAX, AttestationError, Attestations, Claim, Content, SignedRevocation,
    TooManyAttestations,
};

use crate::context::unreadable;
use crate::encrypted_set::{EncryptedSet, is_about_encrypted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::reading::regular_files;
use crate::spool::{self, Stream};

const ARCHIVE: &str = ".tar.zst";
const ATTESTATIONS: &str = ".intoto.jsonl";
/// Attestations by others, in formats that consign does not count.
pub const OTHERS: &str = ".others.intoto.jsonl";
pub const MANIFEST: &str = ".manifest.json";
/// Revocations of bundles.
pub const REVOCATIONS: &str = ".revocation.intoto.jsonl";
/// Where bundles come from, by SLSA's predicate.
pub const PROVENANCE: &str = ".provenance.intoto.jsonl";
/// Published trust files.
const TRUST: &str = ".trust.intoto.jsonl";

/// Whether a file of that name holds statements about bundles.
pub fn is_attestations(name: &str) -> bool {
    let others = [OTHERS, REVOCATIONS, TRUST, PROVENANCE];
    name.ends_with(ATTESTATIONS)
        && !others.iter().any(|other| name.ends_with(other))
        && !crate::receipts::is_receipt(name)
}

/// The files of one bundle, as far as they were found.
pub struct BundleSet {
    /// The archive.
    pub archive: Option<PathBuf>,
    /// Attestations and the file they will be written back to; several files are joined.
    pub attestations: Option<(PathBuf, Attestations)>,
    /// Every file that the attestations come from.
    sources: Vec<PathBuf>,
    /// The copy of the manifest.
    pub manifest: Option<PathBuf>,
    /// What was decrypted, where `archive` is encrypted.
    decrypted: Option<Decrypted>,
    /// What lies in the same folder; `None` for what was named in full.
    siblings: Option<Rc<Siblings>>,
}

/// An encrypted archive that was opened.
struct Decrypted {
    content: Arc<dyn ReadAt + Send>,
    /// What the names of the encrypted files begin with.
    stem: String,
}

/// The names that a bundle's files get.
pub struct Names {
    pub archive: String,
    pub attestations: String,
    pub manifest: String,
    pub provenance: String,
}

impl Names {
    pub fn of(name: &impl std::fmt::Display, version: &impl std::fmt::Display) -> Self {
        let stem = format!("{name}-{version}");
        Self {
            archive: format!("{stem}{ARCHIVE}"),
            attestations: format!("{stem}{ATTESTATIONS}"),
            manifest: format!("{stem}{MANIFEST}"),
            provenance: format!("{stem}{PROVENANCE}"),
        }
    }
}

impl BundleSet {
    /// All bundles that an argument names: a file names one, a folder all that lie in it.
    pub fn find(named: &Path) -> Result<Vec<Self>, Failure> {
        spool::refuse(named)?;
        let metadata = std::fs::metadata(named).map_err(|error| unreadable(named, &error))?;
        if !metadata.is_dir() {
            return Self::of_file(named).map(|set| vec![set]);
        }
        let sets = Self::in_folder(named)?;
        if sets.is_empty() {
            EncryptedSet::refuse(named)?;
            let problem = Problem::new("no-bundle", "holds no bundle: no `.tar.zst` and no `.intoto.jsonl`");
            return Err(Failure::failed(
                problem
                    .at(named.display().to_string())
                    .hint("to check a directory that was unpacked or sealed, add `--manifest FILE`"),
            ));
        }
        Ok(sets)
    }

    /// All bundles in a folder that are not encrypted.
    pub fn in_folder(folder: &Path) -> Result<Vec<Self>, Failure> {
        Self::each_in_folder(folder)?.into_iter().map(|set| set.map_err(|broken| broken.failure)).collect()
    }

    /// The same, where one whose statements cannot be read does not stand in the way of the others.
    pub fn each_in_folder(folder: &Path) -> Result<Vec<Result<Self, Broken>>, Failure> {
        let siblings = Siblings::of(folder)?;
        let mut sets: Vec<Result<Self, Broken>> = Vec::new();
        let mut seen: HashSet<PathBuf> = HashSet::new();
        for path in &siblings.archives {
            match Self::of_archive(path, &siblings) {
                Ok(set) => {
                    seen.extend(set.sources.iter().cloned());
                    sets.push(Ok(set));
                }
                Err(failure) => {
                    seen.extend(attestations_by_name(path));
                    sets.push(Err(Broken { path: path.clone(), archive: Some(path.clone()), failure }));
                }
            }
        }
        for path in siblings.attestations.iter().filter(|path| !seen.contains(*path)) {
            let set = Self::of_attestations(path, &siblings);
            sets.push(set.map_err(|failure| Broken { path: path.clone(), archive: None, failure }));
        }
        Ok(sets)
    }

    /// The bundle that an argument names, where there must be just one.
    pub fn find_one(named: &Path) -> Result<Self, Failure> {
        let mut sets = Self::find(named)?;
        match (sets.pop(), sets.is_empty()) {
            (Some(set), true) => Ok(set),
            _ => Err(Failure::usage(
                Problem::new("several-bundles", "holds several bundles")
                    .at(named.display().to_string())
                    .hint("name one of them by its archive"),
            )),
        }
    }

    fn of_file(path: &Path) -> Result<Self, Failure> {
        EncryptedSet::refuse(path)?;
        let siblings = Siblings::of(consign_bundle::publish::parent(path))?;
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if name.ends_with(ATTESTATIONS) => Self::of_attestations(path, &siblings),
            Some(name) if name.ends_with(MANIFEST) => {
                let problem = Problem::new("manifest-given", "is the manifest of a bundle, not the bundle");
                let hint =
                    "name the archive or the attestations; `consign diff` and `inspect` take manifests too";
                Err(Failure::usage(problem.at(path.display().to_string()).hint(hint)))
            }
            _ => Self::of_archive(path, &siblings),
        }
    }

    fn of_archive(path: &Path, siblings: &Rc<Siblings>) -> Result<Self, Failure> {
        let facts = claimed_facts(path)?;
        let by_digest = facts.as_ref().map(|facts| siblings.about(&facts.sha256)).unwrap_or_default();
        let by_name = attestations_by_name(path);
        let chosen: Vec<&Path> = if by_digest.is_empty() {
            let listed = by_name.as_ref().filter(|name| siblings.attestations.binary_search(name).is_ok());
            listed.map(PathBuf::as_path).into_iter().collect()
        } else {
            by_digest
        };
        let sources = chosen.iter().map(|path| path.to_path_buf()).collect();
        let mut attestations: Option<(PathBuf, Attestations)> = None;
        for candidate in chosen {
            let read = read_attestations(candidate)?;
            attestations = Some(match attestations.take() {
                None => (candidate.to_path_buf(), read),
                Some((path, earlier)) => (path, join(earlier, read, candidate)?),
            });
        }
        let manifest = siblings.manifest_of(path, attestations.as_ref().map(|(_, found)| found));
        let siblings = Some(Rc::clone(siblings));
        Ok(Self { archive: Some(path.into()), attestations, sources, manifest, decrypted: None, siblings })
    }

    fn of_attestations(path: &Path, siblings: &Rc<Siblings>) -> Result<Self, Failure> {
        let attestations = read_attestations(path)?;
        let claims: Vec<Claim> = attestations.claims().into_iter().map(|group| group.claim.clone()).collect();
        let archive = claims.iter().find_map(|claim| match &claim.content {
            Content::Archive(archive) => siblings.archive(&archive.sha256).cloned(),
            Content::Sealed => None,
        });
        let by_name = claims
            .iter()
            .map(|claim| path.with_file_name(claim.subject_name()))
            .find(|name| siblings.archives.binary_search(name).is_ok());
        let manifest = siblings.manifest_of(path, Some(&attestations));
        Ok(Self {
            archive: archive.or(by_name),
            attestations: Some((path.into(), attestations)),
            sources: vec![path.into()],
            manifest,
            decrypted: None,
            siblings: Some(Rc::clone(siblings)),
        })
    }

    /// What lies in the same folder.
    pub fn siblings(&self) -> Option<Rc<Siblings>> {
        let lies_in = || Siblings::of(self.folder()?).ok();
        self.siblings.clone().or_else(lies_in)
    }

    /// A set named in full, for standard input and the like.
    pub fn with_attestations(archive: &Path, attestations: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        let read = parse_attestations(attestations, bytes)?;
        let sources = vec![attestations.into()];
        Ok(Self {
            archive: Some(archive.into()),
            attestations: Some((attestations.into(), read)),
            sources,
            manifest: None,
            decrypted: None,
            siblings: None,
        })
    }

    /// What an encrypted bundle holds: its own archive, with the statements that were sealed.
    #[cfg(feature = "encryption")]
    pub fn decrypted(
        archive: PathBuf,
        attestations: (PathBuf, Attestations),
        content: Arc<dyn ReadAt + Send>,
        stem: String,
    ) -> Self {
        Self {
            archive: Some(archive),
            attestations: Some(attestations),
            sources: Vec::new(),
            manifest: None,
            decrypted: Some(Decrypted { content, stem }),
            siblings: None,
        }
    }

    /// The archive, opened; decrypted where it is read, if it is encrypted.
    pub fn open_archive(&self, path: &Path) -> Result<Box<dyn ReadAt + Send>, Failure> {
        match &self.decrypted {
            Some(decrypted) => Ok(Box::new(Arc::clone(&decrypted.content))),
            // What was found in a folder was no link when it was found.
            None if self
                .siblings
                .as_ref()
                .is_some_and(|found| found.archives.iter().any(|one| one == path)) =>
            {
                let opened = crate::reading::open_found(path);
                Ok(Box::new(opened.map_err(|error| unreadable(path, &error))?))
            }
            None => Ok(Box::new(crate::reading::open(path).map_err(|error| unreadable(path, &error))?)),
        }
    }

    /// What the files are called if they are not called by name and version, as those of an encrypted bundle.
    pub fn other_stem(&self) -> Option<&str> {
        self.decrypted.as_ref().map(|decrypted| decrypted.stem.as_str())
    }

    /// The folder that the files lie in; `None` for standard input.
    pub fn folder(&self) -> Option<&Path> {
        let of_archive = self.archive.as_deref().filter(|path| Stream::of(path).is_none());
        let path = of_archive.or(self.manifest.as_deref());
        let path = path.or_else(|| self.attestations.as_ref().map(|(path, _)| path.as_path()));
        let path = path.filter(|path| Stream::of(path).is_none())?;
        Some(consign_bundle::publish::parent(path))
    }

    /// A manifest with what was signed of it.
    pub fn of_manifest(manifest: &Path, attestations: Option<(PathBuf, Attestations)>) -> Self {
        let sources = attestations.iter().map(|(path, _)| path.clone()).collect();
        Self {
            archive: None,
            attestations,
            sources,
            manifest: Some(manifest.into()),
            decrypted: None,
            siblings: None,
        }
    }
}

/// A bundle whose files could not be put together.
pub struct Broken {
    /// What to speak of.
    pub path: PathBuf,
    /// The archive, if there is one.
    pub archive: Option<PathBuf>,
    /// Why.
    pub failure: Failure,
}

/// The attestations that belong to an archive by its name.
fn attestations_by_name(archive: &Path) -> Option<PathBuf> {
    let name = archive.file_name()?.to_str()?;
    Some(archive.with_file_name(format!("{}{ATTESTATIONS}", name.strip_suffix(ARCHIVE).unwrap_or(name))))
}

/// What lies in a folder, by the ends of names, in order: regular files only. Each is read at most once for all bundles
/// together, so that a folder costs what it holds, and not the square of that.
pub struct Siblings {
    archives: Vec<PathBuf>,
    attestations: Vec<PathBuf>,
    manifests: Vec<PathBuf>,
    revocations: Vec<PathBuf>,
    provenance: Vec<PathBuf>,
    /// Which attestations speak of an archive, by its digest. Files that cannot be read belong to other bundles as far
    /// as anyone can tell.
    by_archive: OnceCell<HashMap<Sha256Digest, Vec<usize>>>,
    /// Which archive has a digest, as its own tail says.
    by_digest: OnceCell<HashMap<Sha256Digest, usize>>,
    /// What the revocations say; nothing where a file cannot be read.
    revoked: OnceCell<Vec<(PathBuf, Option<Vec<SignedRevocation>>)>>,
}

impl Siblings {
    fn of(folder: &Path) -> Result<Rc<Self>, Failure> {
        let mut found = Self {
            archives: Vec::new(),
            attestations: Vec::new(),
            manifests: Vec::new(),
            revocations: Vec::new(),
            provenance: Vec::new(),
            by_archive: OnceCell::new(),
            by_digest: OnceCell::new(),
            revoked: OnceCell::new(),
        };
        for path in regular_files(folder).map_err(|error| unreadable(folder, &error))? {
            let Some(text) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let list = if text.ends_with(ARCHIVE) {
                &mut found.archives
            } else if is_attestations(text) && !is_about_encrypted(&path) {
                &mut found.attestations
            } else if text.ends_with(MANIFEST) {
                &mut found.manifests
            } else if text.ends_with(REVOCATIONS) {
                &mut found.revocations
            } else if text.ends_with(PROVENANCE) {
                &mut found.provenance
            } else {
                continue;
            };
            list.push(path);
        }
        Ok(Rc::new(found))
    }

    /// The attestations that speak of an archive.
    fn about(&self, archive: &Sha256Digest) -> Vec<&Path> {
        let index = self.by_archive.get_or_init(|| {
            let mut index: HashMap<Sha256Digest, Vec<usize>> = HashMap::new();
            for (n, path) in self.attestations.iter().enumerate() {
                let Ok(found) = read_attestations(path) else { continue };
                for group in found.claims() {
                    if let Content::Archive(archive) = &group.claim.content {
                        let listed = index.entry(archive.sha256).or_default();
                        if listed.last() != Some(&n) {
                            listed.push(n);
                        }
                    }
                }
            }
            index
        });
        let listed = index.get(archive).map(Vec::as_slice).unwrap_or_default();
        listed.iter().map(|n| self.attestations[*n].as_path()).collect()
    }

    /// The archive that says of itself that it has this digest.
    fn archive(&self, digest: &Sha256Digest) -> Option<&PathBuf> {
        let index = self.by_digest.get_or_init(|| {
            let mut index = HashMap::new();
            for (n, path) in self.archives.iter().enumerate() {
                if let Ok(Some(facts)) = claimed_facts(path) {
                    index.entry(facts.sha256).or_insert(n);
                }
            }
            index
        });
        index.get(digest).map(|n| &self.archives[*n])
    }

    /// What the revocations in the folder say, by file; nothing where a file cannot be read.
    pub fn revocations(&self) -> &[(PathBuf, Option<Vec<SignedRevocation>>)] {
        self.revoked.get_or_init(|| {
            let read = |path: &PathBuf| {
                let read = crate::state::revocations::read_revocations(path).ok();
                (path.clone(), read.map(|read| read.signed().to_vec()))
            };
            self.revocations.iter().map(read).collect()
        })
    }

    /// Files that say where bundles come from.
    pub fn provenance(&self) -> &[PathBuf] {
        &self.provenance
    }

    /// The copy of the manifest: by digest if there is one, else by its name.
    fn manifest_of(&self, near: &Path, attestations: Option<&Attestations>) -> Option<PathBuf> {
        let claims = attestations.map(Attestations::claims).unwrap_or_default();
        let name = near.file_name()?.to_str()?;
        let stem = name.strip_suffix(ARCHIVE).or_else(|| name.strip_suffix(ATTESTATIONS)).unwrap_or(name);
        let named = near.with_file_name(format!("{stem}{MANIFEST}"));
        let listed = self.manifests.iter().find(|path| **path == named);
        let by_claim = claims.iter().find_map(|group| {
            let bundle = &group.claim.bundle;
            let name = near.with_file_name(Names::of(&bundle.name, &bundle.version).manifest);
            self.manifests.iter().find(|path| **path == name)
        });
        listed.or(by_claim).cloned()
    }
}

/// What an archive says of itself by its tail; `None` if it has none that can be read.
fn claimed_facts(path: &Path) -> Result<Option<ArchiveFacts>, Failure> {
    let file = crate::reading::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Archive::open(file, Anchor::Unsigned).ok().map(|archive| archive.facts().clone()))
}

/// Reads an attestations file; every line must verify.
pub fn read_attestations(path: &Path) -> Result<Attestations, Failure> {
    let bytes = crate::reading::read(path, ATTESTATIONS_BYTES_MAX as u64);
    parse_attestations(path, &bytes.map_err(|error| unreadable(path, &error))?)
}

fn parse_attestations(path: &Path, bytes: &[u8]) -> Result<Attestations, Failure> {
    Attestations::parse(bytes).map_err(|errors| {
        let problem = |error: &AttestationError| {
            let problem = error.problem();
            let at = problem.at.clone().map_or_else(String::new, |at| format!(": {at}"));
            let mut problem = problem.at(format!("{}{at}", path.display()));
            problem.hint.get_or_insert_with(|| "do not use it; ask the sender for the file again".into());
            problem
        };
        Failure { exit: Exit::NotIntact, problems: errors.iter().map(problem).collect() }
    })
}

/// Joins two lists of signatures.
pub fn join(a: Attestations, b: Attestations, at: &Path) -> Result<Attestations, Failure> {
    a.merge(b).map_err(|error| too_many(&error, at))
}

/// One file would hold more signatures than it may.
pub fn too_many(error: &TooManyAttestations, at: &Path) -> Failure {
    let problem = Problem::new("too-many-attestations", error.to_string()).at(at.display().to_string());
    Failure::new(Exit::NotIntact, problem.hint("keep further signatures in a file of their own"))
}

/// Reads a manifest file.
pub fn read_manifest(path: &Path) -> Result<(Manifest, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    let limit = consign_metadata::limits::MANIFEST_BYTES_MAX;
    let read = |file: File| file.take(limit + 1).read_to_end(&mut bytes);
    crate::reading::open(path).and_then(read).map_err(|error| unreadable(path, &error))?;
    let manifest = Manifest::parse(&bytes).map_err(|error| {
        let problem = Problem::new("manifest-malformed", error.to_string());
        Failure::new(Exit::NotIntact, problem.at(path.display().to_string()))
    })?;
    Ok((manifest, bytes))
}
