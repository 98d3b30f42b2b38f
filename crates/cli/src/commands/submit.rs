//! `consign submit`: hand a bundle over.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::publish::{prepare, publish, temporary};
use consign_bundle::{Scope, Sha256State};
use consign_metadata::{BundleId, Problem, Sha256Digest};
use consign_policy::{Encryption, Permit, Policy, Stage, Target};
use consign_signing::{Claim, Content};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::bundle_set::{BundleSet, Names};
use crate::checked::{archive_path, check, sole_claim};
use crate::context::{Context, threads, unreadable, unwritable};
use crate::encrypted_set::{EncryptedFiles, EncryptedNames, opened_with_its_files, sealed};
use crate::encryption::IdentityArgs;
use crate::exit::Exit;
use crate::handling::{Handling, PolicyArgs, Standing, counted, decide_bundle, permit};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, size};
use crate::vouching::{Vouched, Vouching, VouchingArgs};

/// Hand a bundle over: check it, ask the policy, and copy it to where the recipient looks
///
/// The bundle is verified fully first, and the signatures that its classification demands must be there. What is
/// copied is what was verified; it appears under its names once all of it has arrived.
#[derive(clap::Args)]
pub(crate) struct Submit {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// A destination of the policy by name, or a folder
    #[arg(long, value_name = "NAME|DIR")]
    to: String,
    #[command(flatten)]
    vouching: VouchingArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Say what would be refused, and copy nothing
    #[arg(long)]
    dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What was handed over.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Submitted {
    /// `submitted`, `unchanged` or `dry-run`.
    status: &'static str,
    name: String,
    version: String,
    classification: String,
    bundle_id: String,
    archive_sha256: String,
    bytes: u64,
    /// The folder.
    destination: PathBuf,
    /// The files that were copied.
    files: Vec<String>,
    handling: Handling,
}

impl Report for Submitted {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        let what = if self.status == "dry-run" { "would submit" } else { self.status };
        let class = self.classification.to_uppercase();
        writeln!(out, "{good}{what}{good:#} {} {}  [{class}]", self.name, self.version)?;
        writeln!(out, "  to            {}", self.destination.display())?;
        writeln!(out, "  bundle id     {}", self.bundle_id)?;
        writeln!(out, "  archive       {}, {}", size(self.bytes), self.archive_sha256)?;
        for file in &self.files {
            writeln!(out, "  file          {file}")?;
        }
        self.handling.human(out, 13)
    }
}

impl Submit {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let policy = self.policy.load(context)?;
        let trusted = self.vouching.load(context, &policy)?;
        let (target, folder) = self.target(&policy);
        let (set, encrypted) = opened_with_its_files(context, &self.bundle, &self.identity)?;
        let path = archive_path(&set)?;
        let Some(claim) = sole_claim(&set)? else {
            let problem = Problem::new("unsigned", "there is no signature").at(path.display().to_string());
            let hint = "sign it first: consign sign BUNDLE --key FILE";
            return Err(Failure::new(Exit::NotTrusted, problem.hint(hint)));
        };
        let Vouching { decision, problems, .. } = self.vouching.judge(&trusted, &set, claim, path)?;
        if !problems.is_empty() {
            return Err(Failure { exit: Exit::NotTrusted, problems });
        }
        let verified = check(context, &set, Scope::Content, threads(self.threads))?;
        let Some(trusted) = decision.trusted() else {
            let problem = Problem::new("not-trusted", "nobody trusted vouches for it");
            return Err(Failure::new(Exit::NotTrusted, problem.at(path.display().to_string())));
        };
        match Vouched::archive(&verified, trusted) {
            // What holds only on somebody's word about the time is not handed over.
            Some(vouched) if vouched.asserted => {
                let message = "would be handed over on nothing but a word about the time";
                let problem = Problem::new("asserted-time", message).at(path.display().to_string());
                return Err(Failure::new(Exit::NotTrusted, problem.hint("leave `--at` out")));
            }
            Some(_) => {}
            None => {
                let problem = Problem::new("statement-disagrees", "what was signed is not what was found");
                return Err(Failure::new(Exit::NotIntact, problem.at(path.display().to_string())));
            }
        }
        let signers = counted(trusted.signers());
        let encryption = match &encrypted {
            Some(files) => Encryption::To(files.recipients.iter().map(ToString::to_string).collect()),
            None => Encryption::Plain,
        };
        let standing = Standing {
            claim: Some(trusted.claim()),
            signers: &signers,
            encryption: Some(encryption),
            target: Some(target),
        };
        let decision = decide_bundle(&policy, Stage::Submit, verified.manifest(), standing);
        let handling = Handling::of(&policy, Stage::Submit, &decision);
        let permit = permit(&decision, &policy, path)?;
        let parcel = match &encrypted {
            Some(files) => Parcel::encrypted(files)?,
            None => Parcel::plain(&set, trusted.claim(), verified.id())?,
        };
        let mut report = Submitted {
            status: "dry-run",
            name: trusted.claim().bundle.name.to_string(),
            version: trusted.claim().bundle.version.to_string(),
            classification: trusted.claim().bundle.classification.to_string(),
            bundle_id: verified.id().to_string(),
            archive_sha256: parcel.archive.digest.to_string(),
            bytes: parcel.size,
            destination: folder.clone(),
            files: parcel.names().map(str::to_owned).collect(),
            handling,
        };
        if !self.dry_run {
            report.status = hand_over(context, &parcel, &permit, &folder)?;
        }
        Ok(Outcome::done(report))
    }

    /// What `--to` names: a destination of the policy first, else a folder.
    fn target<'a>(&'a self, policy: &'a Policy) -> (Target<'a>, PathBuf) {
        match policy.destination(&self.to) {
            Some(listed) => (Target::Listed(listed), PathBuf::from(listed.path.as_str())),
            None => {
                let same = |listed: &&consign_policy::Destination| {
                    Path::new(listed.path.as_str()).canonicalize().ok()
                        == Path::new(&self.to).canonicalize().ok()
                        && Path::new(&self.to).exists()
                };
                let target = policy.destinations().iter().find(same);
                (target.map_or(Target::Unlisted(&self.to), Target::Listed), PathBuf::from(&self.to))
            }
        }
    }
}

/// A file that is handed over, with the digest that was verified.
struct Piece {
    name: String,
    path: PathBuf,
    digest: Sha256Digest,
}

/// The files that are handed over together.
struct Parcel {
    /// The copy of the manifest, where there is one and it may be seen.
    manifest: Option<Piece>,
    /// The attestations, by name and as they were read.
    attestations: (String, Vec<u8>),
    archive: Piece,
    /// Length of the archive in bytes.
    size: u64,
}

impl Parcel {
    /// A plain bundle.
    fn plain(set: &BundleSet, claim: &Claim, id: BundleId) -> Result<Self, Failure> {
        let names = Names::of(&claim.bundle.name, &claim.bundle.version);
        let piece = |name: &str, path: &Path, digest| Piece { name: name.into(), path: path.into(), digest };
        let archive = piece(&names.archive, archive_path(set)?, claim.subject_digest());
        let attestations = set.attestations.as_ref().map(|(_, found)| found.to_bytes()).unwrap_or_default();
        let size = match &claim.content {
            Content::Archive(archive) => archive.size,
            Content::Sealed => 0,
        };
        Ok(Self {
            manifest: set.manifest.as_deref().map(|path| piece(&names.manifest, path, id.0)),
            attestations: (names.attestations, attestations),
            archive,
            size,
        })
    }

    /// An encrypted bundle: nothing of what is inside goes with it in the clear.
    fn encrypted(files: &EncryptedFiles) -> Result<Self, Failure> {
        let names = EncryptedNames::of(&files.claim);
        let (Some(path), Some((_, attestations))) = (&files.set.archive, &files.set.attestations) else {
            return Err(sealed(files.set.shown()));
        };
        let archive = Piece { name: names.archive, path: path.clone(), digest: files.claim.sha256 };
        let attestations = (names.attestations, attestations.to_bytes());
        Ok(Self { manifest: None, attestations, archive, size: files.claim.size })
    }

    /// The names, in the order in which they appear: the archive last.
    fn names(&self) -> impl Iterator<Item = &str> {
        let first = self.manifest.iter().map(|piece| piece.name.as_str());
        first.chain([self.attestations.0.as_str(), self.archive.name.as_str()])
    }
}

/// Copies what was verified, which the policy permits to be handed over.
fn hand_over(context: &Context, parcel: &Parcel, _: &Permit, folder: &Path) -> Result<&'static str, Failure> {
    if !folder.is_dir() {
        let problem = Problem::new("no-directory", "is not a directory that can be submitted to");
        return Err(Failure::failed(problem.at(folder.display().to_string())));
    }
    let (name, attestations) = &parcel.attestations;
    if there_already(&folder.join(&parcel.archive.name), parcel.archive.digest)?
        && std::fs::read(folder.join(name)).is_ok_and(|there| there == *attestations)
    {
        return Ok("unchanged");
    }
    let mut files = Vec::new();
    if let Some(piece) = &parcel.manifest {
        files.push((piece.name.clone(), copy(context, &piece.path, piece.digest, folder)?));
    }
    let prepared = prepare(folder, attestations).map_err(|error| unwritable(folder, &error))?;
    files.push((name.clone(), prepared));
    let archive = &parcel.archive;
    files.push((archive.name.clone(), copy(context, &archive.path, archive.digest, folder)?));
    publish(folder, files).map_err(|(path, error)| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let message = "is there already, and is not what would be submitted; nothing is overwritten";
            let problem = Problem::new("taken", message).at(path.display().to_string());
            Failure::failed(problem.hint("what was handed over stays as it is; submit a new version"))
        }
        _ => unwritable(&path, &error),
    })?;
    Ok("submitted")
}

/// Whether a file of that digest is there.
fn there_already(path: &Path, digest: Sha256Digest) -> Result<bool, Failure> {
    match File::open(path) {
        Ok(file) => Ok(crate::checked::digest_of(file).map_err(|error| unreadable(path, &error))? == digest),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Copies a file, and makes sure that what arrived has the digest that was verified.
pub(crate) fn copy(
    context: &Context,
    from: &Path,
    digest: Sha256Digest,
    folder: &Path,
) -> Result<NamedTempFile, Failure> {
    let mut source = File::open(from).map_err(|error| unreadable(from, &error))?;
    let mut target = temporary(folder).map_err(|error| unwritable(folder, &error))?;
    let mut state = Sha256State::initial();
    let mut buffer = vec![0; 1 << 20];
    loop {
        if context.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Failure::failed(crate::checked::interrupted()));
        }
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(from, &error)),
        };
        state.update(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(|error| unwritable(folder, &error))?;
    }
    if state.finish() != digest {
        let problem = Problem::new("changed", "was changed while it was being submitted");
        return Err(Failure::new(Exit::NotIntact, problem.at(from.display().to_string())));
    }
    target.as_file().sync_all().map_err(|error| unwritable(folder, &error))?;
    Ok(target)
}
