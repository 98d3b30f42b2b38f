//! `consign submit`: hand a bundle over.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::publish::{prepare, publish, temporary};
use consign_bundle::{Scope, Sha256State};
use consign_metadata::{Problem, Sha256Digest};
use consign_policy::{Permit, Policy, Stage, Target};
use consign_signing::TrustedClaim;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::bundle_set::{BundleSet, Names};
use crate::checked::{archive_path, check, sole_claim};
use crate::context::{Context, threads, unreadable, unwritable};
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
        let trusted = self.vouching.load(context)?;
        let policy = self.policy.load(context)?;
        let (target, folder) = self.target(&policy);
        let set = BundleSet::find_one(&self.bundle)?;
        let path = archive_path(&set)?;
        let Some(claim) = sole_claim(&set)? else {
            let problem = Problem::new("unsigned", "there is no signature").at(path.display().to_string());
            return Err(Failure::new(
                Exit::NotTrusted,
                problem.hint("sign it first: consign sign BUNDLE --key FILE"),
            ));
        };
        let Vouching { decision, problems, .. } = self.vouching.judge(&trusted, &set, claim, path)?;
        if !problems.is_empty() {
            return Err(Failure { exit: Exit::NotTrusted, problems });
        }
        let verified = check(context, &set, Scope::Content, threads(self.threads))?;
        // What holds only on somebody's word about the time is not handed over.
        let held = |vouched: Option<Vouched>| vouched.is_some_and(|vouched| !vouched.asserted);
        let vouched = decision.trusted().filter(|trusted| held(Vouched::archive(&verified, trusted)));
        let Some(trusted) = vouched else {
            let problem = Problem::new("statement-disagrees", "what was signed is not what was found");
            return Err(Failure::new(Exit::NotIntact, problem.at(path.display().to_string())));
        };
        let signers = counted(trusted.signers());
        let standing = Standing {
            claim: Some(trusted.claim()),
            signers: &signers,
            encryption: None,
            target: Some(target),
        };
        let decision = decide_bundle(&policy, Stage::Submit, verified.manifest(), standing);
        let handling = Handling::of(&policy, Stage::Submit, &decision);
        let permit = permit(&decision, &policy, path)?;
        let names = Names::of(&trusted.claim().bundle.name, &trusted.claim().bundle.version);
        let mut files = vec![names.attestations.clone(), names.archive.clone()];
        if set.manifest.is_some() {
            files.insert(0, names.manifest.clone());
        }
        let mut report = Submitted {
            status: "dry-run",
            name: trusted.claim().bundle.name.to_string(),
            version: trusted.claim().bundle.version.to_string(),
            classification: trusted.claim().bundle.classification.to_string(),
            bundle_id: verified.id().to_string(),
            archive_sha256: verified.facts().sha256.to_string(),
            bytes: verified.facts().size,
            destination: folder.clone(),
            files,
            handling,
        };
        if !self.dry_run {
            let manifest = set.manifest.as_ref().map(|path| (path.as_path(), verified.id().0));
            report.status = self.hand_over(context, &set, (trusted, &permit), manifest, &names, &folder)?;
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

    /// Copies what was verified, for a trusted claim that the policy permits to be handed over.
    fn hand_over(
        &self,
        context: &Context,
        set: &BundleSet,
        (trusted, _): (&TrustedClaim, &Permit),
        manifest: Option<(&Path, Sha256Digest)>,
        names: &Names,
        folder: &Path,
    ) -> Result<&'static str, Failure> {
        if !folder.is_dir() {
            let problem = Problem::new("no-directory", "is not a directory that can be submitted to");
            return Err(Failure::failed(problem.at(folder.display().to_string())));
        }
        let archive = archive_path(set)?;
        let digest = trusted.claim().subject_digest();
        let attestations = set.attestations.as_ref().map(|(_, found)| found.to_bytes()).unwrap_or_default();
        let failed = |error: &io::Error| unwritable(folder, error);
        if there_already(&folder.join(&names.archive), digest)?
            && std::fs::read(folder.join(&names.attestations)).is_ok_and(|there| there == attestations)
        {
            return Ok("unchanged");
        }
        let mut files = Vec::new();
        if let Some((path, digest)) = manifest {
            files.push((names.manifest.clone(), copy(context, path, digest, folder)?));
        }
        files.push((
            names.attestations.clone(),
            prepare(folder, &attestations).map_err(|error| failed(&error))?,
        ));
        files.push((names.archive.clone(), copy(context, archive, digest, folder)?));
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
fn copy(
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
