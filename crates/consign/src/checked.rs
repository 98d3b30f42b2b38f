//! From the files of a bundle to a verified archive: the steps that verify, sign, unpack and receive share.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::{
    Anchor, Archive, ArchiveError, ArchiveFacts, EncoderId, Expected, ReadAt, Scope, Source, SourceModes,
    VerifiedArchive, verify,
};
use consign_files::FileSystem;
use consign_metadata::{BundleId, Manifest, Problem};
use consign_signing::{ArchiveClaim, BundleClaim, Claim, Content};

use crate::bundle_set::BundleSet;
use crate::context::{Context, unreadable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hashing;
use crate::spool::{self, Stream};

/// What a claim lets a reader expect of an archive. A claim about a sealed directory says nothing about any
/// archive, and must never let one pass.
pub fn expected(claim: &Claim) -> Result<Expected, Failure> {
    let Content::Archive(archive) = &claim.content else {
        let problem = Problem::new(
            "sealed-statement",
            "the statement is about a sealed directory, not about an archive",
        );
        let hint = "check the directory: consign verify DIR --manifest FILE";
        return Err(Failure::new(Exit::NotIntact, problem.hint(hint)));
    };
    let encoder = EncoderId::parse(archive.encoder.as_str()).ok_or_else(|| {
        Failure::new(
            Exit::NotIntact,
            Problem::new("encoder-malformed", "the statement's encoder id is malformed"),
        )
    })?;
    Ok(Expected {
        archive: ArchiveFacts {
            sha256: archive.sha256,
            size: archive.size,
            tail_length: archive.tail.length,
            tail_sha256: archive.tail.sha256,
            encoder,
        },
        id: claim.bundle.id,
        name: claim.bundle.name.clone(),
        version: claim.bundle.version.clone(),
        classification: claim.bundle.classification.clone(),
    })
}

/// What is claimed of an archive that was made or verified.
pub fn archive_claim(facts: &ArchiveFacts) -> Result<ArchiveClaim, Failure> {
    let encoder = facts.encoder.as_str().parse().map_err(|error| {
        Failure::failed(Problem::new("encoder-malformed", format!("the encoder id {error}")))
    })?;
    Ok(ArchiveClaim {
        sha256: facts.sha256,
        size: facts.size,
        tail: consign_signing::Tail { length: facts.tail_length, sha256: facts.tail_sha256 },
        encoder,
    })
}

/// What is claimed of a manifest.
pub fn bundle_claim(manifest: &Manifest, id: BundleId) -> BundleClaim {
    let core = manifest.core();
    BundleClaim {
        name: core.name.clone(),
        version: core.version.clone(),
        classification: core.classification.clone(),
        id,
    }
}

/// The one claim that all statements of a set make; `None` if there are no statements.
pub fn sole_claim(set: &BundleSet) -> Result<Option<&Claim>, Failure> {
    let Some((path, attestations)) = &set.attestations else { return Ok(None) };
    match &attestations.claims()[..] {
        [] => Ok(None),
        [group] => Ok(Some(group.claim)),
        [first, others @ ..] => {
            let problem = |other: &consign_signing::ClaimGroup<'_>| {
                let message = format!(
                    "its statements do not speak of one bundle: one says {}, another {}",
                    claim_in_words(first.claim),
                    claim_in_words(other.claim)
                );
                Problem::new("statements-disagree", message)
                    .at(path.display().to_string())
                    .hint("keep the statements of each bundle in a file of their own")
            };
            Err(Failure { exit: Exit::NotIntact, problems: others.iter().map(problem).collect() })
        }
    }
}

fn claim_in_words(claim: &Claim) -> String {
    let bundle = &claim.bundle;
    let digest = claim.subject_digest();
    format!("`{} {}` ({}), {digest}", bundle.name, bundle.version, bundle.classification)
}

/// An archive, opened. What comes as a stream is kept in a file without a name, if it has no more than `most` bytes.
pub fn open_archive(context: &Context, path: &Path, most: Option<u64>) -> Result<File, Failure> {
    match Stream::of(path) {
        Some(stream) => spool::keep(context, stream, path, most),
        None => crate::reading::open(path).map_err(|error| unreadable(path, &error)),
    }
}

/// The file system that a path lies on, as it is spoken of.
fn file_system(path: &Path) -> String {
    FileSystem::of(path).map_or_else(|| "the file system".into(), |system| system.to_string())
}

/// Says so where the modes in a directory could not be held against a manifest.
pub fn modes_not_compared(directory: &Path) -> Problem {
    let message = format!(
        "{} shows all files alike, so it was not compared which of them are executable; everything else was",
        file_system(directory)
    );
    let hint = "verify a copy on a file system that keeps modes if it matters which files may be run";
    Problem::new("modes-not-compared", message).at(directory.display().to_string()).hint(hint)
}

/// Says so where the modes that a manifest lists were lost in unpacking.
pub fn modes_not_kept(destination: &Path) -> Problem {
    let message = format!(
        "{} does not keep which files are executable; everything else is there",
        file_system(destination)
    );
    let hint = "unpack to a file system that keeps modes if programs among the files are to be run";
    Problem::new("modes-not-kept", message).at(destination.display().to_string()).hint(hint)
}

/// Says so where it cannot be told which files of a source are executable, though all look so.
pub fn modes_not_told(source: &Source) -> Option<String> {
    (source.modes() == SourceModes::Untold { executable: true }).then(|| {
        format!(
            "{} shows every file as executable, so that no file is recorded as executable",
            file_system(source.path())
        )
    })
}

/// The archive's path, or an error that says what was found instead.
pub fn archive_path(set: &BundleSet) -> Result<&PathBuf, Failure> {
    set.archive.as_ref().ok_or_else(|| {
        let at = set.attestations.as_ref().map_or_else(String::new, |(path, _)| path.display().to_string());
        let mut problem =
            Problem::new("archive-missing", "the archive that it speaks of is not beside it").at(at);
        if let Some((_, attestations)) = &set.attestations
            && let Some(group) = attestations.claims().first()
        {
            let (name, digest) = (group.claim.subject_name(), group.claim.subject_digest());
            problem = problem.hint(format!("put `{name}` ({digest}) into the same folder"));
        }
        Failure::failed(problem)
    })
}

/// Runs the steps of verification over the archive of a set, as far as `scope` goes, and holds the copy of the
/// manifest against what it found.
pub fn check(
    context: &Context,
    set: &BundleSet,
    scope: Scope,
    threads: NonZeroUsize,
) -> Result<VerifiedArchive, Failure> {
    let path = archive_path(set)?;
    let claim = sole_claim(set)?;
    let file: Box<dyn ReadAt + Send> = match Stream::of(path) {
        Some(stream) => Box::new(spool::keep(context, stream, path, claim.and_then(signed_size))?),
        None => set.open_archive(path)?,
    };
    claim.into_iter().for_each(|claim| context.about(claim));
    let expected = claim.map(expected).transpose()?;
    let anchor = expected.as_ref().map_or(Anchor::Unsigned, Anchor::Signed);
    let archive = Archive::open(file, anchor).map_err(|error| archive_failure(error, path))?;
    let total = archive.facts().size;
    let meter = context.meter("verifying", archive.work(&scope).unwrap_or(total));
    let verified = verify(&archive, scope, threads, &meter).map_err(|error| archive_failure(error, path))?;
    if let Some(copy) = &set.manifest {
        check_copy(copy, verified.id())?;
    }
    Ok(verified)
}

/// How long the archive is that was signed.
fn signed_size(claim: &Claim) -> Option<u64> {
    match &claim.content {
        Content::Archive(archive) => Some(archive.size),
        Content::Sealed => None,
    }
}

/// A copy of the manifest may be missing; if it is there it must be the archive's own.
pub fn check_copy(copy: &Path, id: BundleId) -> Result<(), Failure> {
    let found = hashing::digest_of_file(copy, &())?;
    if found == id.0 {
        return Ok(());
    }
    let problem = Problem::new("manifest-copy-differs", "is not the manifest of the archive beside it");
    Err(Failure::new(
        Exit::NotIntact,
        problem
            .at(copy.display().to_string())
            .hint("do not use the copy; `consign inspect` shows the archive's own manifest"),
    ))
}

/// What verification found, as problems.
pub fn archive_failure(error: ArchiveError, path: &Path) -> Failure {
    let at = path.display().to_string();
    match error {
        ArchiveError::Faults { listed, more } => {
            let mut problems: Vec<_> = listed
                .iter()
                .map(|fault| {
                    let mut problem = Problem::new(fault.code(), fault.to_string()).at(at.clone());
                    problem.hint = hint(fault.code());
                    problem
                })
                .collect();
            if more > 0 {
                problems.push(Problem::new("more-problems", format!("{more} more problems")).at(at));
            }
            // The same advice once is enough.
            for n in (1..problems.len()).rev() {
                if problems[..n].iter().any(|earlier| earlier.hint == problems[n].hint) {
                    problems[n].hint = None;
                }
            }
            let exit = if problems.iter().all(|problem| problem.code == "no-such-file") {
                Exit::Failed
            } else {
                Exit::NotIntact
            };
            Failure { exit, problems }
        }
        ArchiveError::Io(error) => {
            if let Some(problem) = crate::encryption::not_intact(&error) {
                return Failure::new(Exit::NotIntact, problem.at(at));
            }
            Failure::failed(Problem::new("unreadable", format!("cannot be read: {error}")).at(at))
        }
        ArchiveError::Cancelled(_) => Failure::failed(interrupted()),
    }
}

/// It was told to stop.
pub fn interrupted() -> Problem {
    Problem::new("interrupted", "interrupted; nothing was left behind")
}

fn hint(code: &str) -> Option<String> {
    let hint = match code {
        "archive-size" | "tail-altered" | "archive-digest" | "frame-altered" | "file-altered" => {
            "do not use it; ask the sender for the archive again and compare its SHA-256"
        }
        "tail-malformed" => "if it was cut short on its way, fetch it again",
        "no-such-file" => "`consign inspect --files` lists what there is",
        _ => "do not use it; whoever made it did not follow the format",
    };
    Some(hint.into())
}
