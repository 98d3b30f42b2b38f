//! Encrypted bundles as they lie in folders, and what of them can be verified without opening them: where they come
//! from, and that every byte is as it was signed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use consign_metadata::{Problem, printable};
use consign_signing::{AttestationError, EncryptedAttestations, EncryptedClaim};

use crate::bundle_set::{Broken, BundleSet};
use crate::checked::open_archive;
use crate::context::{Context, unreadable};
use crate::encryption::IdentityArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hashing;
use crate::reading::regular_files;
use crate::spool::{self, Stream};

const ARCHIVE: &str = ".tar.zst.age";
const ATTESTATIONS: &str = ".age.intoto.jsonl";

/// The files of one encrypted bundle, as far as they were found.
#[derive(Debug)]
pub struct EncryptedSet {
    /// The encrypted archive.
    pub archive: Option<PathBuf>,
    /// The statements about it, and the file that they come from.
    pub attestations: Option<(PathBuf, EncryptedAttestations)>,
}

/// The names that the files of an encrypted bundle get.
pub struct EncryptedNames {
    pub archive: String,
    pub attestations: String,
}

impl EncryptedNames {
    pub fn of(claim: &EncryptedClaim) -> Self {
        Self { archive: claim.subject_name(), attestations: format!("{}{ATTESTATIONS}", claim.stem()) }
    }
}

/// An encrypted file whose every byte is as a statement says. What it holds was not looked at.
#[derive(Debug)]
pub struct Ciphertext {
    claim: EncryptedClaim,
    pub file: File,
    pub path: PathBuf,
}

impl Ciphertext {
    /// What it was held against.
    pub fn claim(&self) -> &EncryptedClaim {
        &self.claim
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Whether a file holds statements about an encrypted bundle, by its name: `STEM.age.intoto.jsonl`. Those of a
/// bundle whose very version ends with `.age` are called so too; its archive lies beside them.
pub fn is_about_encrypted(path: &Path) -> bool {
    let stem = name_of(path).strip_suffix(ATTESTATIONS);
    stem.is_some_and(|stem| !path.with_file_name(format!("{stem}.age.tar.zst")).exists())
}

fn is_encrypted(path: &Path) -> bool {
    name_of(path).ends_with(".age")
}

impl EncryptedSet {
    /// All encrypted bundles that an argument names; none, if it names others.
    pub fn find(named: &Path) -> Result<Vec<Self>, Failure> {
        spool::refuse(named)?;
        // A mistake that is reported where it is opened.
        let Ok(metadata) = std::fs::metadata(named) else { return Ok(Vec::new()) };
        if metadata.is_dir() {
            let each = Self::each_in_folder(named)?.into_iter();
            return each.map(|set| set.map_err(|broken| broken.failure)).collect();
        }
        let folder = consign_bundle::publish::parent(named);
        if is_about_encrypted(named) {
            return Self::of_attestations(named, &siblings(folder)?.0).map(|set| vec![set]);
        }
        if is_encrypted(named) {
            return Self::of_archive(named, &siblings(folder)?.1).map(|set| vec![set]);
        }
        Ok(Vec::new())
    }

    /// All encrypted bundles in a folder, where one whose statements cannot be read does not stand in the way of the
    /// others.
    pub fn each_in_folder(folder: &Path) -> Result<Vec<Result<Self, Broken>>, Failure> {
        let (archives, mut attestations) = siblings(folder)?;
        let mut sets = Vec::new();
        for archive in archives.iter().filter(|path| name_of(path).ends_with(ARCHIVE)) {
            let set = Self::of_archive(archive, &attestations);
            let taken = match &set {
                Ok(set) => set.attestations.as_ref().map(|(path, _)| path.clone()),
                Err(_) => Some(attestations_by_name(archive)),
            };
            attestations.retain(|path| Some(path) != taken.as_ref());
            sets.push(set.map_err(|failure| {
                let path = archive.clone();
                Broken { archive: Some(path.clone()), path, failure }
            }));
        }
        for path in attestations {
            let set = Self::of_attestations(&path, &[]);
            sets.push(set.map_err(|failure| Broken { path, archive: None, failure }));
        }
        Ok(sets)
    }

    /// The encrypted bundle that an argument names, where there must be just one bundle; `None` if it is another.
    pub fn find_one(named: &Path) -> Result<Option<Self>, Failure> {
        let mut sets = Self::find(named)?;
        let Some(set) = sets.pop() else { return Ok(None) };
        if !sets.is_empty() || (named.is_dir() && !BundleSet::in_folder(named)?.is_empty()) {
            let problem = Problem::new("several-bundles", "holds several bundles");
            let hint = "name one of them by its archive";
            return Err(Failure::usage(problem.at(named.display().to_string()).hint(hint)));
        }
        Ok(Some(set))
    }

    /// Says so where an encrypted bundle is of no use.
    pub fn refuse(named: &Path) -> Result<(), Failure> {
        if !named.is_dir() && !is_encrypted(named) && !is_about_encrypted(named) {
            return Ok(());
        }
        if Self::find(named)?.is_empty() {
            return Ok(());
        }
        Err(sealed(named))
    }

    /// A set named in full. `None` if the attestations are not about an encrypted bundle: by their name or that of the
    /// archive, else, where neither has one, by what they are.
    pub fn with_attestations(
        archive: &Path,
        attestations: &Path,
        bytes: &[u8],
    ) -> Result<Option<Self>, Failure> {
        let named = is_about_encrypted(attestations) || is_encrypted(archive);
        let nameless = Stream::of(archive).is_some() && Stream::of(attestations).is_some();
        let found = match parse(attestations, bytes) {
            Err(failure) if named => return Err(failure),
            Ok(found) if named || nameless => found,
            _ => return Ok(None),
        };
        Ok(Some(Self { archive: Some(archive.into()), attestations: Some((attestations.into(), found)) }))
    }

    fn of_archive(path: &Path, candidates: &[PathBuf]) -> Result<Self, Failure> {
        let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
        let by_name = attestations_by_name(path);
        if candidates.contains(&by_name) {
            let found = read(&by_name)?;
            return Ok(Self { archive: Some(path.into()), attestations: Some((by_name, found)) });
        }
        // It may go by another name. Whether the statements are about it shows when it is read; for now the size will
        // do, and those that cannot be read belong to other bundles as far as anyone can tell.
        let fitting = |candidate: &&PathBuf| {
            read(candidate).is_ok_and(|found| found.claims().iter().any(|claim| claim.size == size))
        };
        let attestations = match candidates.iter().find(fitting) {
            Some(candidate) => Some((candidate.clone(), read(candidate)?)),
            None => None,
        };
        Ok(Self { archive: Some(path.into()), attestations })
    }

    fn of_attestations(path: &Path, candidates: &[PathBuf]) -> Result<Self, Failure> {
        let found = read(path)?;
        let claims = found.claims();
        let is_named =
            |candidate: &&PathBuf| claims.iter().any(|claim| claim.subject_name() == name_of(candidate));
        let fits = |candidate: &&PathBuf| {
            let size = std::fs::metadata(candidate).map(|metadata| metadata.len());
            size.is_ok_and(|size| claims.iter().any(|claim| claim.size == size))
        };
        let archive = candidates.iter().find(is_named).or_else(|| candidates.iter().find(fits)).cloned();
        Ok(Self { archive, attestations: Some((path.into(), found)) })
    }

    /// The path to speak of.
    pub fn shown(&self) -> &Path {
        let attestations = self.attestations.as_ref().map(|(path, _)| path.as_path());
        self.archive.as_deref().or(attestations).unwrap_or(Path::new("-"))
    }

    /// The one claim that all statements make; `None` if there are no statements.
    pub fn claim(&self) -> Result<Option<&EncryptedClaim>, Failure> {
        let Some((path, attestations)) = &self.attestations else { return Ok(None) };
        match &attestations.claims()[..] {
            [] => Ok(None),
            [claim] => Ok(Some(claim)),
            _ => {
                let problem = Problem::new(
                    "statements-disagree",
                    "its statements do not speak of one encrypted bundle",
                )
                .at(path.display().to_string())
                .hint("keep the statements of each bundle in a file of their own");
                Err(Failure::new(Exit::NotIntact, problem))
            }
        }
    }

    /// Reads the whole encrypted file, and holds it against what was signed.
    pub fn check(&self, context: &Context) -> Result<Ciphertext, Failure> {
        let shown = self.shown();
        let at = |problem: Problem| problem.at(shown.display().to_string());
        let Some(claim) = self.claim()? else {
            let problem = Problem::new("unsigned", "there is no signature");
            let hint = "ask the sender for the `.age.intoto.jsonl` file that belongs to it";
            return Err(Failure::new(Exit::NotTrusted, at(problem.hint(hint))));
        };
        let Some(path) = &self.archive else {
            let problem = Problem::new("archive-missing", "the archive that it speaks of is not beside it");
            let hint = format!("put `{}` ({}) into the same folder", claim.subject_name(), claim.sha256);
            return Err(Failure::failed(at(problem.hint(hint))));
        };
        let file = open_archive(context, path, Some(claim.size))?;
        let size = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let altered = |code, message: String| {
            let hint = "do not use it; ask the sender for the archive again and compare its SHA-256";
            Failure::new(Exit::NotIntact, at(Problem::new(code, message).hint(hint)))
        };
        if size != claim.size {
            let what = if size < claim.size { "it was cut short" } else { "something was added" };
            let message = format!("the archive has {size} bytes, where {} were signed: {what}", claim.size);
            return Err(altered("archive-size", message));
        }
        // Standard input was kept in a file, which is read from its beginning.
        io::Seek::rewind(&mut &file).map_err(|error| unreadable(path, &error))?;
        let found = hashing::digest(&file, &context.meter("verifying", size), None);
        let found = found.map_err(|stopped| stopped.failure(path, path))?;
        if found != claim.sha256 {
            let message = format!("the archive has SHA-256 {found}, where {} was signed", claim.sha256);
            return Err(altered("archive-digest", message));
        }
        Ok(Ciphertext { claim: claim.clone(), file, path: path.clone() })
    }

    /// An archive goes by its name and version where those are public, else by its digest.
    pub fn misnamed(&self, claim: &EncryptedClaim) -> Option<Problem> {
        let path = self.archive.as_ref().filter(|path| Stream::of(path).is_none())?;
        let name = name_of(path);
        (!name.starts_with(&format!("{}.", claim.stem()))).then(|| {
            let message = format!(
                "goes by the name `{}`, but what was signed is `{}`",
                printable(name),
                claim.subject_name()
            );
            Problem::new("misnamed", message)
                .at(path.display().to_string())
                .hint("give the file back the name that was signed")
        })
    }
}

/// The attestations that belong to an encrypted archive by its name.
fn attestations_by_name(archive: &Path) -> PathBuf {
    let name = name_of(archive);
    let stem = name.strip_suffix(ARCHIVE).or_else(|| name.strip_suffix(".age")).unwrap_or(name);
    archive.with_file_name(format!("{stem}{ATTESTATIONS}"))
}

/// The one bundle that an argument names, opened if it is encrypted. Its encrypted file is then as it was signed.
pub fn opened_or_plain(
    context: &Context,
    named: &Path,
    identity: &IdentityArgs,
) -> Result<BundleSet, Failure> {
    opened_with_its_files(context, named, identity).map(|(set, _)| set)
}

/// The same, with what lies in the folder if it is encrypted.
pub fn opened_with_its_files(
    context: &Context,
    named: &Path,
    identity: &IdentityArgs,
) -> Result<(BundleSet, Option<EncryptedFiles>), Failure> {
    match EncryptedSet::find_one(named)? {
        None => BundleSet::find_one(named).map(|set| (set, None)),
        Some(_) if !identity.is_given() => Err(sealed(named)),
        Some(set) => {
            let ciphertext = set.check(context)?;
            let opened = identity.open(context, &set, &ciphertext)?;
            let files = EncryptedFiles { claim: ciphertext.claim, set, recipients: opened.recipients };
            Ok((opened.set, Some(files)))
        }
    }
}

/// An encrypted bundle as it lies in its folder, whose every byte is as it was signed.
pub struct EncryptedFiles {
    /// What is signed of the encrypted file.
    pub claim: EncryptedClaim,
    /// The files.
    pub set: EncryptedSet,
    /// Whom it is encrypted to, by the word of each who signed.
    pub recipients: crate::recipients::SaidRecipients,
}

/// The bundle is encrypted, and nobody is here to open it.
pub fn sealed(named: &Path) -> Failure {
    let problem = Problem::new("encrypted", "is encrypted").at(named.display().to_string());
    Failure::failed(problem.hint(
        "open it with `--identity FILE` where there is such an option, or first: consign decrypt BUNDLE --identity FILE -o OUT",
    ))
}

/// Encrypted archives, and statements about such, in order.
fn siblings(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let (mut archives, mut attestations) = (Vec::new(), Vec::new());
    for path in regular_files(folder).map_err(|error| unreadable(folder, &error))? {
        if is_encrypted(&path) {
            archives.push(path);
        } else if is_about_encrypted(&path) {
            attestations.push(path);
        }
    }
    Ok((archives, attestations))
}

/// Reads the statements about an encrypted bundle; every line must verify.
pub fn read(path: &Path) -> Result<EncryptedAttestations, Failure> {
    let bytes = crate::reading::read(path, EncryptedAttestations::BYTES_MAX as u64);
    parse(path, &bytes.map_err(|error| unreadable(path, &error))?)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<EncryptedAttestations, Failure> {
    EncryptedAttestations::parse(bytes).map_err(|errors| {
        let problem = |error: &AttestationError| {
            let mut problem = error.problem().at(path.display().to_string());
            problem.hint.get_or_insert_with(|| "do not use it; ask the sender for the file again".into());
            problem
        };
        Failure { exit: Exit::NotIntact, problems: errors.iter().map(problem).collect() }
    })
}
