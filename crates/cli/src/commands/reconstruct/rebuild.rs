//! The archive made again: as it was, where it is there whole; else packed again out of its files.

use std::path::Path;

use consign_bundle::publish::{TemporaryDirectory, temporary, temporary_directory};
use consign_bundle::{
    Anchor, Archive, ArchiveError, ArchiveFacts, Compression, Description, EncoderId, FindError, Finder,
    PackOptions, RebuildError, Scope, StoreError, UnpackError, pack, verify,
};
use consign_metadata::{BundleId, Problem, Sha256Digest};
use consign_signing::Content;
use tempfile::NamedTempFile;

use super::inventory::Inventory;
use super::target::Target;
use super::{MissingOut, Options, Reconstructed, SignedOut, SourceOut};
use crate::act::{Act, Action};
use crate::bundle_out::BundleOut;
use crate::checked::{archive_claim, archive_failure, bundle_claim, interrupted};
use crate::context::{Context, threads, unreadable, unwritable};
use crate::exit::Exit;
use crate::hashing::{copy_verified, digest_of_file};
use crate::outcome::{Failure, Outcome};
use crate::outputs::Outputs;
use crate::publishing::taken;
use crate::source_args::{OutputFolder, pack_failure};
use crate::store_args::store_failure;

/// An archive that was made, not yet under its name.
struct Made {
    file: NamedTempFile,
    facts: ArchiveFacts,
}

pub(super) fn rebuild(
    context: &Context,
    target: &Target,
    inventory: &Inventory,
    options: &Options<'_>,
) -> Result<Outcome, Failure> {
    let mut report = Reconstructed::new(target, inventory);
    let names = target.names();
    let path = options.output.join(&names.archive);
    report.path = Some(path.clone());
    if path.symlink_metadata().is_ok() {
        return there_already(context, target, options, report, &path);
    }
    if options.dry_run {
        return foresee(context, target, inventory, options, report);
    }
    let folder = OutputFolder::open(options.output)?;
    folder.check()?;
    let made = match whole(context, target, inventory, options, &mut report)? {
        Some(made) => made,
        None => match packed_again(context, target, inventory, options, &mut report)? {
            Some(made) => made,
            None => return Ok(incomplete(report)),
        },
    };
    report.judge(target, &made.facts)?;
    publish(context, target, inventory, options, report, Some(made))
}

impl Reconstructed {
    fn new(target: &Target, inventory: &Inventory) -> Self {
        let core = target.manifest.core();
        let signed = target.signed.as_ref().map(|signed| SignedOut {
            sha256: signed.archive.sha256.to_string(),
            encoder: signed.archive.encoder.to_string(),
            by: signed
                .attestations
                .statements()
                .iter()
                .map(|one| format!("{} as {}", one.key().fingerprint(), one.statement().signer.role))
                .collect(),
        });
        Self {
            status: "reconstructed",
            bundle: BundleOut::described(core, Some(target.id)),
            archive: None,
            proven: None,
            path: None,
            sha256: None,
            bytes: None,
            encoder: None,
            signed,
            manifest: None,
            beside: Vec::new(),
            sources: Vec::new(),
            missing: Vec::new(),
            notes: inventory.notes.clone(),
        }
    }

    /// Says what the archive that was made is: the signed one, to the last byte, or another that holds the same.
    fn judge(&mut self, target: &Target, facts: &ArchiveFacts) -> Result<(), Failure> {
        let found = Content::Archive(archive_claim(facts)?);
        let same = target.signed.as_ref().is_some_and(|signed| signed.claim.content == found);
        self.archive = Some(if same { "same-bytes" } else { "same-content" });
        self.proven = Some(if same { "archive-digest" } else { "bundle-id" });
        self.sha256 = Some(facts.sha256.to_string());
        self.bytes = Some(facts.size);
        self.encoder = Some(facts.encoder.to_string());
        let Some(signed) = target.signed.as_ref().filter(|_| !same) else { return Ok(()) };
        self.notes.push(match signed.archive.encoder.as_str() == facts.encoder.as_str() {
            true => "the encoder is the same, and yet the archive is another: the original was not made as its encoder id says".to_owned(),
            false => format!(
                "the original was compressed by {}, this one by {}; the statement about the original says nothing about it, and is not beside it",
                signed.archive.encoder, facts.encoder
            ),
        });
        Ok(())
    }
}

/// It is there: nothing is overwritten, and nothing needs to be done if it is the one.
fn there_already(
    context: &Context,
    target: &Target,
    options: &Options<'_>,
    mut report: Reconstructed,
    path: &Path,
) -> Result<Outcome, Failure> {
    let found = digest_of_file(path, &context.meter("reading", 0))?;
    let Some(signed) = target.signed.as_ref().filter(|signed| signed.archive.sha256 == found) else {
        return Err(taken(path));
    };
    report.status = "unchanged";
    (report.archive, report.proven) = (Some("same-bytes"), Some("archive-digest"));
    (report.sha256, report.bytes) = (Some(found.to_string()), Some(signed.archive.size));
    report.encoder = Some(signed.archive.encoder.to_string());
    match options.dry_run {
        true => Ok(Outcome::done(report)),
        false => publish(context, target, &Inventory::default(), options, report, None),
    }
}

/// Copies the archive as it is, from the first place that holds it.
fn whole(
    context: &Context,
    target: &Target,
    inventory: &Inventory,
    options: &Options<'_>,
    report: &mut Reconstructed,
) -> Result<Option<Made>, Failure> {
    let out = options.output;
    let (files, bytes) = (target.manifest.files().len() as u64, target.manifest.payload_bytes());
    if let Some(store) = &inventory.store {
        for digest in &target.stored {
            let source = SourceOut {
                kind: "store",
                path: store.path().into(),
                archive_sha256: Some(digest.to_string()),
                whole: true,
                files,
                bytes,
                paths: Vec::new(),
            };
            match from_store(context, store, digest, out)? {
                Ok(made) => {
                    proven(context, target, &made, options)?;
                    report.sources.push(source);
                    return Ok(Some(made));
                }
                Err(failure) => report.notes.extend(failure.problems.iter().map(ToString::to_string)),
            }
        }
    }
    for path in &target.archives {
        let opened = crate::reading::open(path).map_err(ArchiveError::from);
        let Ok(archive) = opened.and_then(|file| Archive::open(file, Anchor::Unsigned)) else { continue };
        let facts = archive.facts().clone();
        match copy_verified(context, path, facts.sha256, out) {
            Ok(file) => {
                let made = Made { file, facts };
                proven(context, target, &made, options)?;
                report.sources.push(SourceOut {
                    kind: "archive",
                    path: path.clone(),
                    archive_sha256: Some(made.facts.sha256.to_string()),
                    whole: true,
                    files,
                    bytes,
                    paths: Vec::new(),
                });
                return Ok(Some(made));
            }
            Err(failure) if failure.exit == Exit::NotIntact => {
                report.notes.push(format!("{}: is not what its end says; it was altered", path.display()));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(None)
}

/// The outer result is what keeps anything from being made, the inner one what is wrong with the store.
fn from_store(
    context: &Context,
    store: &consign_bundle::Store,
    digest: &Sha256Digest,
    out: &Path,
) -> Result<Result<Made, Failure>, Failure> {
    let size = store.recipe(digest).map_or(0, |recipe| recipe.archive.size);
    let meter = context.meter("reconstructing", size);
    let mut file = temporary(out).map_err(|error| unwritable(out, &error))?;
    let written = store
        .archive(digest, &meter)
        .map_err(RebuildError::from)
        .and_then(|stored| stored.write_to(file.as_file_mut(), &meter));
    drop(meter);
    match written {
        Ok(facts) => {
            file.as_file().sync_all().map_err(|error| unwritable(out, &error))?;
            Ok(Ok(Made { file, facts }))
        }
        Err(RebuildError::Write(error)) => Err(unwritable(out, &error)),
        Err(RebuildError::Store(StoreError::Cancelled(_))) => Err(Failure::failed(interrupted())),
        Err(RebuildError::Store(error)) => Ok(Err(store_failure(error, store.path()))),
    }
}

/// A copy that has the signed digest is the signed archive. Without a statement the bundle id has to be proven by
/// the content.
fn proven(context: &Context, target: &Target, made: &Made, options: &Options<'_>) -> Result<(), Failure> {
    if target.signed.as_ref().is_some_and(|signed| signed.archive.sha256 == made.facts.sha256) {
        return Ok(());
    }
    let path = made.file.path();
    let failed = |error| archive_failure(error, path);
    let archive = Archive::open(made.file.as_file(), Anchor::Unsigned).map_err(failed)?;
    let meter = context.meter("verifying", archive.work(&Scope::Content).unwrap_or_default());
    let verified = verify(&archive, Scope::Content, threads(options.threads), &meter).map_err(failed)?;
    if verified.id() == target.id {
        return Ok(());
    }
    Err(other_bundle(target.id, verified.id()))
}

fn other_bundle(wanted: BundleId, found: BundleId) -> Failure {
    let problem = Problem::new("bundle-id", format!("what was made has the id {found}, not {wanted}"));
    Failure::new(Exit::NotIntact, problem)
}

/// Looks for all files. With `scratch` what is in archives is taken out.
fn find<'m>(
    context: &Context,
    target: &'m Target,
    inventory: &Inventory,
    scratch: Option<&Path>,
    options: &Options<'_>,
    report: &mut Reconstructed,
) -> Result<Finder<'m>, Failure> {
    let threads = threads(options.threads);
    let mut finder = Finder::new(&target.manifest);
    let meter = context.meter("searching", target.manifest.payload_bytes());
    let mut places: Vec<(usize, SourceOut)> = Vec::new();
    let place = |kind, path: &Path, archive: Option<&Sha256Digest>| SourceOut {
        kind,
        path: path.into(),
        archive_sha256: archive.map(ToString::to_string),
        whole: false,
        files: 0,
        bytes: 0,
        paths: Vec::new(),
    };
    for directory in &inventory.directories {
        let origin = finder.search_directory(directory, threads, &meter);
        places.push((
            origin.map_err(|error| find_failure(error, directory))?,
            place("directory", directory, None),
        ));
    }
    for file in &inventory.files {
        let origin = finder.search_file(file, &meter).map_err(|error| find_failure(error, file))?;
        places.push((origin, place("file", file, None)));
    }
    for path in &inventory.archives {
        if finder.is_done() {
            break;
        }
        let file = crate::reading::open(path).map_err(|error| unreadable(path, &error))?;
        // What only ends like an archive is content like any other.
        let Ok(archive) = Archive::open(file, Anchor::Unsigned) else { continue };
        note(finder.search_archive(&archive, scratch, threads, &meter), path, &mut report.notes)?;
        places.push((finder.places() - 1, place("archive", path, Some(&archive.facts().sha256))));
    }
    if let Some(store) = &inventory.store {
        // Other versions of the same bundle are the likeliest.
        let name = &target.manifest.core().name;
        let (near, far): (Vec<_>, Vec<_>) = inventory.recipes.iter().partition(|recipe| recipe.name == *name);
        for recipe in near.into_iter().chain(far) {
            if finder.is_done() {
                break;
            }
            let digest = recipe.archive.sha256;
            let found = store.archive(&digest, &meter).map_err(|error| store_failure(error, store.path()));
            let stored = match found {
                Ok(stored) => stored,
                Err(failure) => {
                    report.notes.extend(failure.problems.iter().map(ToString::to_string));
                    continue;
                }
            };
            let archive = Archive::open(&stored, Anchor::Unsigned)
                .map_err(|error| archive_failure(error, store.path()))?;
            note(finder.search_archive(&archive, scratch, threads, &meter), store.path(), &mut report.notes)?;
            places.push((finder.places() - 1, place("store", store.path(), Some(&digest))));
        }
    }
    drop(meter);
    report.notes.extend(finder.unreadable().iter().map(|what| format!("could not be looked at: {what}")));
    for (file, origin) in finder.parts() {
        let Some(origin) = origin else { continue };
        if let Some((_, source)) = places.iter_mut().find(|(number, _)| *number == origin) {
            source.files += 1;
            source.bytes += file.size;
            source.paths.push(file.path.to_string());
        }
    }
    report.sources = places.into_iter().map(|(_, source)| source).collect();
    let missing = finder.missing().into_iter().map(|file| MissingOut {
        path: file.path.to_string(),
        bytes: file.size,
        sha256: file.sha256.to_string(),
    });
    report.missing = missing.collect();
    Ok(finder)
}

/// An archive that is not in order is one source less, which is said; anything else is a failure.
fn note(found: Result<usize, FindError>, path: &Path, notes: &mut Vec<String>) -> Result<(), Failure> {
    match found {
        Ok(_) => Ok(()),
        Err(FindError::Unpack(UnpackError::Archive(error @ ArchiveError::Faults { .. }))) => {
            let problems = archive_failure(error, path).problems;
            notes.extend(problems.first().map(|problem| format!("cannot be used whole: {problem}")));
            Ok(())
        }
        Err(error) => Err(find_failure(error, path)),
    }
}

fn find_failure(error: FindError, path: &Path) -> Failure {
    match error {
        FindError::Cancelled(_) => Failure::failed(interrupted()),
        FindError::Unpack(UnpackError::Archive(error)) => archive_failure(error, path),
        FindError::Unpack(UnpackError::Write { path, error }) => unwritable(&path, &error),
        other => {
            Failure::failed(Problem::new("unreadable", other.to_string()).at(path.display().to_string()))
        }
    }
}

/// Packs the files again as the original was packed, as far as this version of consign can.
fn packed_again(
    context: &Context,
    target: &Target,
    inventory: &Inventory,
    options: &Options<'_>,
    report: &mut Reconstructed,
) -> Result<Option<Made>, Failure> {
    let out = options.output;
    let scratch = scratch(out)?;
    let finder = find(context, target, inventory, Some(scratch.path()), options, report)?;
    if !report.missing.is_empty() {
        return Ok(None);
    }
    let source = finder.into_source(scratch.path()).map_err(|error| {
        Failure::failed(Problem::new("unreadable", error.to_string()).at(out.display().to_string()))
    })?;
    let manifest = &target.manifest;
    let description = Description {
        core: manifest.core().clone(),
        exclude: manifest.exclude().to_vec(),
        descriptor: manifest.descriptor().clone(),
    };
    let meter = context.meter("packing", manifest.payload_bytes());
    let pack_options = PackOptions {
        compression: compression(target).unwrap_or_default(),
        threads: threads(options.threads),
        bases: &[],
        observer: None,
    };
    let packed = pack(&source, &description, pack_options, out, &meter);
    drop(meter);
    let packed = packed.map_err(|error| pack_failure(error, out))?;
    if packed.id != target.id {
        // A file that was replaced between finding and reading.
        let what = consign_metadata::diff(manifest, &packed.manifest).in_one_line();
        let problem = Problem::new("file-changed", format!("what was read is not what was found: {what}"));
        return Err(Failure::new(
            Exit::NotIntact,
            problem.hint("run it again when nothing writes to the sources"),
        ));
    }
    Ok(Some(Made { file: packed.file, facts: packed.facts }))
}

/// How to compress so that the signed archive comes out; `None` if this version cannot, or nobody knows.
fn compression(target: &Target) -> Option<Compression> {
    let signed = target.signed.as_ref()?;
    EncoderId::parse(signed.archive.encoder.as_str())?.compression()
}

/// A folder for what is taken out of archives, gone when it is dropped.
fn scratch(out: &Path) -> Result<TemporaryDirectory, Failure> {
    temporary_directory(out).map_err(|error| unwritable(out, &error))
}

/// Says what could be made.
fn foresee(
    context: &Context,
    target: &Target,
    inventory: &Inventory,
    options: &Options<'_>,
    mut report: Reconstructed,
) -> Result<Outcome, Failure> {
    report.status = "dry-run";
    let stored =
        inventory.store.iter().flat_map(|store| target.stored.iter().map(move |digest| (store, digest)));
    for (store, digest) in stored {
        let complete = store.recipe(digest).is_ok_and(|recipe| store.missing(&recipe).is_empty());
        if complete {
            report.sources.push(SourceOut {
                kind: "store",
                path: store.path().into(),
                archive_sha256: Some(digest.to_string()),
                whole: true,
                files: target.manifest.files().len() as u64,
                bytes: target.manifest.payload_bytes(),
                paths: Vec::new(),
            });
            report.archive = Some(if target.signed.is_some() { "same-bytes" } else { "same-content" });
            return Ok(Outcome::done(report));
        }
    }
    if let Some(path) = target.archives.first() {
        report.sources.push(SourceOut {
            kind: "archive",
            path: path.clone(),
            archive_sha256: None,
            whole: true,
            files: target.manifest.files().len() as u64,
            bytes: target.manifest.payload_bytes(),
            paths: Vec::new(),
        });
        report.archive = Some(if target.signed.is_some() { "same-bytes" } else { "same-content" });
        return Ok(Outcome::done(report));
    }
    find(context, target, inventory, None, options, &mut report)?;
    if !report.missing.is_empty() {
        return Ok(incomplete(report));
    }
    report.archive = Some(if compression(target).is_some() { "same-bytes" } else { "same-content" });
    Ok(Outcome::done(report))
}

/// All that is missing, at once.
fn incomplete(mut report: Reconstructed) -> Outcome {
    report.status = "incomplete";
    report.path = None;
    let bytes = report.missing.iter().map(|missing| missing.bytes).sum();
    let files = crate::style::count(report.missing.len() as u64, "file is", "files are");
    let message = format!("{files} nowhere to be found ({})", crate::style::size(bytes));
    let problem = Problem::new("files-missing", message)
        .at(format!("{}@{}", report.bundle.name, report.bundle.version));
    let hint = "name more places with `--from`: directories, older bundles, a store (`--store DIR`)";
    Outcome { exit: Exit::Failed, problems: vec![problem.hint(hint)], report: Some(Box::new(report)) }
}

/// Gives what was made its name, with what belongs to it.
fn publish(
    context: &Context,
    target: &Target,
    inventory: &Inventory,
    options: &Options<'_>,
    mut report: Reconstructed,
    made: Option<Made>,
) -> Result<Outcome, Failure> {
    let names = target.names();
    let mut outputs = Outputs::new(options.output);
    report.manifest = Some(outputs.file(&names.manifest, &target.manifest.to_bytes())?);
    if report.archive == Some("same-bytes")
        && let Some(signed) = &target.signed
    {
        let mut beside: Vec<(String, Vec<u8>)> =
            vec![(names.attestations.clone(), signed.attestations.to_bytes())];
        if let Some(store) = &inventory.store
            && let Some(recipe) =
                inventory.recipes.iter().find(|recipe| recipe.archive.sha256 == signed.archive.sha256)
        {
            for file in recipe.latest_files().into_iter().filter(|file| file.name != names.attestations) {
                match store.file(file) {
                    Ok(bytes) => beside.push((file.name.clone(), bytes)),
                    Err(error) => report.notes.push(format!("{} is lost: {error}", file.name)),
                }
            }
        }
        for (name, bytes) in beside {
            let path = outputs.file(&name, &bytes)?;
            report.beside.push(path);
        }
    }
    let fresh = made.is_some();
    outputs.publish(context, made.map(|made| (names.archive, made.file)))?;
    if fresh {
        let from = report.sources.iter().filter(|source| source.files > 0).map(|source| source.kind);
        let from: std::collections::BTreeSet<&str> = from.collect();
        let digest = report.sha256.as_ref().and_then(|digest| digest.parse::<Sha256Digest>().ok());
        let act = Act::new(Action::Reconstructed).bundle(&bundle_claim(&target.manifest, target.id));
        let act = digest.map_or(act.clone(), |digest| act.archive(digest));
        context.record(act.with("archive", report.archive).with("from", from));
    }
    Ok(Outcome::done(report))
}
