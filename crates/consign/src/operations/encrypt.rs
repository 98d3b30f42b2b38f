//! A signed bundle, encrypted to recipients.

use crate::act::{Act, Action};
use crate::addressing;
use crate::bundle_out::BundleOut;
use crate::bundle_set::BundleSet;
use crate::checked::{archive_path, check, interrupted, sole_claim};
use crate::context::{Context, threads, unreadable, unwritable};
use crate::encrypted_set::EncryptedNames;
use crate::encryption::{EncryptedOut, load_with_policy};
use crate::failure::Failure;
use crate::handling::ParentArgs;
use crate::handling::PolicyArgs;
use crate::handling::{Handling, Standing, decide_bundle, forecast, permit};
use crate::key_source::KeySource;
use crate::keys::PassphraseArgs;
use crate::operation::{Outcome, Request};
use crate::publishing::taken;
use crate::sign_statement::sign_statement;
use crate::source_args::OutputFolder;
use consign_bundle::publish::{prepare, publish, temporary};
use consign_bundle::{Progress, ReadAt, Scope};
use consign_metadata::{Line, Problem};
use consign_policy::Stage;
use consign_signing::{Claim, EncryptedAttestations, SignedStatement, Signer as _};
use serde::Serialize;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Encrypt a signed bundle to recipients
///
/// The bundle is verified first. Two files are written into OUT: the encrypted archive, and the attestations that let
/// anybody verify where it comes from without opening it. Your own signature travels inside; those of others do not.
#[derive(Clone, Debug)]
pub struct Encrypt {
    /// Archive, attestations, or folder with one bundle
    pub bundle: PathBuf,
    /// Who is to open it: a name in the policy, `age1…`, or a file of such; may be repeated
    pub to: Vec<String>,
    /// Whom it is for, by the name that they go by; may be repeated
    pub addressees: Vec<Line>,
    /// Where the encrypted bundle goes; made if it is not there
    pub output: PathBuf,
    /// The key that has signed the bundle, wherever it is kept
    pub key: OsString,
    pub passphrase: PassphraseArgs,
    pub policy: PolicyArgs,
    pub parents: ParentArgs,
    /// How many threads verify [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EncryptedBundle {
    pub bundle: BundleOut,
    pub archive: EncryptedOut,
    pub attestations: PathBuf,
    pub fingerprint: String,
    pub role: String,
    pub handling: Handling,
}

impl Request for Encrypt {
    const COMMAND: &str = "encrypt";
    type Report = EncryptedBundle;

    fn run(&self, context: &Context) -> Result<Outcome<EncryptedBundle>, Failure> {
        let policy = self.policy.load(context)?;
        let set = BundleSet::find_one(&self.bundle)?;
        let path = archive_path(&set)?;
        let key = KeySource::parse(&self.key)?.open(context, &self.passphrase)?;
        let of_key = |signed: &&SignedStatement| signed.key() == key.public_key();
        let statements = set.attestations.as_ref().map_or(&[][..], |(_, found)| found.statements());
        let Some(signed) = statements.iter().find(of_key) else {
            let problem = Problem::new("not-signed-by-key", "is not signed by this key");
            let hint = format!(
                "sign it first: consign sign {} --key FILE",
                consign_metadata::shell_word(&self.bundle.display().to_string())
            );
            return Err(Failure::failed(problem.at(path.display().to_string()).hint(hint)));
        };
        sole_claim(&set)?;
        let verified = check(context, &set, Scope::Content, threads(self.threads))?;
        let sealing = load_with_policy("--to", &self.to, &policy, verified.manifest().core())?;

        let addressees = addressing::addressees("--for", &self.addressees, &policy)?;
        let statement = signed.statement();
        let claim = if addressees.is_empty() {
            statement.claim.clone()
        } else {
            Claim { addressees, ..statement.claim.clone() }
        };
        let of_claim = statements.iter().filter(|signed| signed.statement().claim == statement.claim);
        let signers = forecast(context, of_claim.map(|s| (*s.key(), &s.statement().signer.role)))?;
        let parents = self.parents.load(context, verified.manifest().core())?;
        let encryption = Some(sealing.encryption());
        let standing = Standing { encryption, parents: &parents, ..Standing::new(Some(&claim), &signers) };
        let decision = decide_bundle(&policy, Stage::Encrypt, verified.manifest(), &standing);
        let handling = Handling::of(&policy, Stage::Encrypt, &decision);
        let permit = permit(&decision, &policy, path)?;
        let inner = if claim == statement.claim {
            signed.clone()
        } else {
            let (role, basis) = (&statement.signer.role, statement.signer.basis);
            sign_statement(context, &key, claim, role, basis, &permit, true)?
        };

        let folder = OutputFolder::open(&self.output)?;
        folder.check()?;
        let failed = |error: io::Error| unwritable(&self.output, &error);
        let file = temporary(&self.output).map_err(failed)?;
        let source = set.open_archive(path)?;
        let size = source.size().map_err(|error| unreadable(path, &error))?;
        let meter = context.meter("encrypting", size);
        let mut content = Content { source: &*source, position: 0, size, progress: &meter };
        let handle = file.as_file().try_clone().map_err(failed)?;
        let written = sealing.write(handle, &mut content).and_then(|()| file.as_file().sync_all());
        drop(meter);
        written.map_err(|error| match error.kind() {
            io::ErrorKind::Other if context.cancel.load(std::sync::atomic::Ordering::Relaxed) => {
                Failure::failed(interrupted())
            }
            _ => failed(error),
        })?;
        let (role, claim) = (inner.statement().signer.role.to_string(), inner.statement().claim.clone());
        let outer = sealing.claim(&inner)?;
        let names = EncryptedNames::of(&outer);
        let (sha256, size) = (outer.sha256.to_string(), outer.size);
        let signed = sealing.sign(context, &key, outer, inner)?;
        let attestations =
            prepare(&self.output, &EncryptedAttestations::new(signed).to_bytes()).map_err(failed)?;
        publish_encrypted(context, &self.output, &names, attestations, file)?;
        let act = Act::of(Action::Encrypted, &claim).signed_by(key.public_key(), &statement.signer.role);
        context.record(act.with("encrypted_sha256", &sha256).with("recipients", sealing.recipients()));
        Ok(Outcome::done(EncryptedBundle {
            bundle: BundleOut::claimed(&claim),
            archive: EncryptedOut {
                path: self.output.join(&names.archive),
                size,
                sha256,
                recipients: sealing.recipients().to_vec(),
            },
            attestations: self.output.join(&names.attestations),
            fingerprint: key.public_key().fingerprint().to_string(),
            role,
            handling,
        }))
    }
}

/// Gives the files of an encrypted bundle their names: the archive last, so that whoever sees it sees everything that
/// belongs to it.
pub fn publish_encrypted(
    context: &Context,
    out: &Path,
    names: &EncryptedNames,
    attestations: tempfile::NamedTempFile,
    archive: tempfile::NamedTempFile,
) -> Result<(), Failure> {
    if context.cancel.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(Failure::failed(interrupted()));
    }
    let files = vec![(names.attestations.clone(), attestations), (names.archive.clone(), archive)];
    publish(out, files).map_err(|(path, error)| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(&path),
        _ => unwritable(&path, &error),
    })
}

/// An archive from beginning to end.
struct Content<'a> {
    source: &'a dyn ReadAt,
    position: u64,
    size: u64,
    progress: &'a dyn Progress,
}

impl io::Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        self.source.read_exact_at(&mut buffer[..count], self.position)?;
        self.position += count as u64;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
