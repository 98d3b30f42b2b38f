//! An encrypted bundle, verified and as it was before.

use crate::act::Action;
use crate::bundle_out::BundleOut;
use crate::bundle_set::Names;
use crate::checked::{archive_path, interrupted};
use crate::context::{Context, threads, unwritable};
use crate::encrypted_set::EncryptedSet;
use crate::encryption::IdentityArgs;
use crate::examined::{AsOf, Asked};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::Handling;
use crate::handling::PolicyArgs;
use crate::operation::{Outcome, Request};
use crate::publishing::taken;
use crate::source_args::OutputFolder;
use crate::vouching::{Vouched, VouchingArgs};
use consign_bundle::publish::{prepare, publish, temporary};
use consign_bundle::{Progress as _, Sha256State};
use consign_metadata::Problem;
use consign_policy::Stage;
use serde::Serialize;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Decrypt a bundle into its ordinary files, once everything was verified
///
/// The files appear in OUT under the names that they had before they were encrypted. Nothing is overwritten.
#[derive(Clone, Debug)]
pub struct Decrypt {
    /// Encrypted archive, its attestations, or folder with one bundle
    pub bundle: PathBuf,
    pub identity: IdentityArgs,
    /// Where the bundle goes; made if it is not there
    pub output: PathBuf,
    pub vouching: VouchingArgs,
    pub policy: PolicyArgs,
    /// Decrypt even if nobody trusted vouches for the bundle; what is decrypted may come from anyone
    pub allow_untrusted: bool,
    /// How many threads to use [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Decrypted {
    pub bundle: BundleOut,
    pub archive: PathBuf,
    pub manifest: PathBuf,
    pub attestations: PathBuf,
    pub files: u64,
    pub bytes: u64,
    /// What the handling policy says.
    pub handling: Handling,
    /// Whether a trusted key vouches for it, now.
    pub trusted: bool,
    /// The time on the caller's word at which it would hold, if it does not hold now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

impl Request for Decrypt {
    const COMMAND: &str = "decrypt";
    type Report = Decrypted;

    fn run(&self, context: &Context) -> Result<Outcome<Decrypted>, Failure> {
        let policy = self.policy.load(context)?;
        let trusted = self.vouching.load(context, &policy)?;
        let Some(encrypted) = EncryptedSet::find_one(&self.bundle)? else {
            std::fs::metadata(&self.bundle)
                .map_err(|error| crate::context::unreadable(&self.bundle, &error))?;
            let problem = Problem::new("not-encrypted", "is no encrypted bundle");
            let hint = "`consign unpack` opens bundles that are not encrypted";
            return Err(Failure::usage(problem.at(self.bundle.display().to_string()).hint(hint)));
        };
        let ciphertext = encrypted.check(context)?;
        let opened = self.identity.open(context, &encrypted, &ciphertext)?;
        let set = &opened.set;
        let path = archive_path(set)?;
        // Trust is asked before anything is decoded, and nothing is written before all of it was verified.
        let asked = Asked {
            context,
            vouching: &self.vouching,
            trusted: &trusted,
            policy: &policy,
            stage: Stage::Unpack,
            on_a_word: true,
            threads: threads(self.threads),
        };
        let mut examined = asked.admit(set, path, self.allow_untrusted);
        let (Some(verified), Some(decision)) = (&examined.verified, &examined.handled) else {
            return Err(examined.into_failure());
        };
        let mut notes = std::mem::take(&mut examined.notes);
        let asserted = examined.vouched.as_ref().is_some_and(Vouched::asserted);
        let (manifest, core) = (verified.manifest(), verified.manifest().core());
        let names = Names::of(&core.name, &core.version);

        let out = &self.output;
        let folder = OutputFolder::open(out)?;
        let failed = |error: io::Error| unwritable(out, &error);
        for name in [&names.archive, &names.manifest, &names.attestations] {
            if out.join(name).symlink_metadata().is_ok() {
                return Err(taken(&out.join(name)));
            }
        }
        folder.check()?;
        let mut file = temporary(out).map_err(failed)?;
        let total = opened.content.size();
        let meter = context.meter("decrypting", total);
        let (mut state, mut buffer) = (Sha256State::initial(), vec![0; 1 << 20]);
        while state.length() < total {
            if meter.cancelled() {
                return Err(Failure::failed(interrupted()));
            }
            let left = usize::try_from(total - state.length()).unwrap_or(usize::MAX);
            let piece = &mut buffer[..left.min(1 << 20)];
            let read = opened.content.read_exact_at(piece, state.length());
            read.map_err(|error| crate::checked::archive_failure(error.into(), path))?;
            file.write_all(piece).map_err(failed)?;
            state.update(piece);
            meter.advance(piece.len() as u64);
        }
        drop(meter);
        if state.finish() != verified.facts().sha256 {
            let problem = Problem::new("archive-digest", "changed while it was being read");
            return Err(Failure::new(Exit::NotIntact, problem.at(path.display().to_string())));
        }
        file.as_file().sync_all().map_err(failed)?;
        let attestations = set.attestations.as_ref().map(|(_, found)| found.to_bytes()).unwrap_or_default();
        let files = vec![
            (names.manifest.clone(), prepare(out, &manifest.to_bytes()).map_err(failed)?),
            (names.attestations.clone(), prepare(out, &attestations).map_err(failed)?),
            (names.archive.clone(), file),
        ];
        if context.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Failure::failed(interrupted()));
        }
        publish(out, files).map_err(|(path, error)| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&path),
            _ => unwritable(&path, &error),
        })?;
        // What was decrypted is what was signed; but another one was verified under the name meanwhile.
        let mut conflict = None;
        if let Some(claim) = examined.trusted().filter(|_| examined.holds()) {
            let remembered = self.vouching.remember(&trusted, claim, path);
            notes.extend(remembered.notes);
            conflict = remembered.problem;
        }
        let encrypted = ciphertext.claim().sha256;
        let act = examined.act(Action::Decrypted, verified);
        context.record(act.with("encrypted_sha256", encrypted.to_string()));
        let addressees = examined.claim.as_ref().map(|claim| claim.addressees.iter());
        let report = Decrypted {
            bundle: BundleOut::described(core, Some(verified.id()))
                .for_whom(addressees.into_iter().flatten().map(ToString::to_string).collect()),
            archive: out.join(&names.archive),
            manifest: out.join(&names.manifest),
            attestations: out.join(&names.attestations),
            files: manifest.files().len() as u64,
            bytes: manifest.payload_bytes(),
            handling: Handling::of(&policy, Stage::Unpack, decision),
            trusted: examined.holds_now() && conflict.is_none(),
            as_of: examined.decision.as_ref().filter(|_| asserted).map(|decision| {
                let moment = decision.moment();
                AsOf { time: moment.at().to_string(), evidence: moment.evidence() }
            }),
            notes,
        };
        let exit = if conflict.is_some() { Exit::NotTrusted } else { Exit::Done };
        Ok(Outcome { exit, problems: conflict.into_iter().collect(), report: Some(report) })
    }
}
