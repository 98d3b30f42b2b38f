//! Verifying: is it intact, and does somebody trusted vouch for it.

mod report;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::{Scope, SourceError, TreeError, TreeLayout, VerifiedArchive, compare_directory};
use consign_metadata::{BundleId, EntryPath, Manifest, Problem};
use consign_policy::{Policy, Stage};
use consign_signing::{ATTESTATIONS_BYTES_MAX, Claim, Decision, EncryptedAttestations, TrustedClaim};

pub use report::{
    ArchiveReport, Bundle, BundleReport, Depth, Level, Part, Revoked, Rule, Signature, Verdict, VerifyReport,
};

use self::report::report;
use crate::act::{Act, Action};
use crate::bundle_set::{BundleSet, read_attestations, read_manifest};
use crate::checked::{bundle_claim, interrupted, modes_not_compared, sole_claim};
use crate::context::{Context, threads, unreadable};
use crate::encrypted_set::EncryptedSet;
use crate::encryption::IdentityArgs;
use crate::examined::{AsOf, Asked, Examined};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::{Handling, PolicyArgs, Standing, counted, decide_bundle, refusals, uncounted};
use crate::operation::{Outcome, Request};
use crate::provenance;
use crate::spool::{self, Stream};
use crate::vouching::{Trusted, Vouched, VouchingArgs};

/// Asks whether bundles are intact, and whether somebody trusted vouches for them.
#[derive(Clone, Debug, Default)]
pub struct Verify {
    /// Archive, attestations, or folder
    pub bundles: Vec<PathBuf>,
    pub vouching: VouchingArgs,
    pub policy: PolicyArgs,
    pub identity: IdentityArgs,
    /// Check every byte of the archive against its signature, but do not decode the content
    pub quick: bool,
    /// Check only these files, reading no more than they need
    pub only: Vec<EntryPath>,
    /// The attestations, where they do not lie beside the archive
    pub attestations: Option<PathBuf>,
    /// Check a directory against this manifest
    pub manifest: Option<PathBuf>,
    /// The directory has the BagIt layout (`unpack --bag`)
    pub bag: bool,
    /// How many threads to use [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

impl Verify {
    /// Verifies a bundle, or all that lie in a folder, in full; signatures count of the keys that are named, or by the
    /// configured trust if none is.
    pub fn new(bundle: impl Into<PathBuf>, keys: Vec<String>) -> Self {
        Self { bundles: vec![bundle.into()], vouching: VouchingArgs::of(keys, None), ..Self::default() }
    }
}

impl Request for Verify {
    const COMMAND: &str = "verify";
    type Report = VerifyReport;

    fn run(&self, context: &Context) -> Result<Outcome<VerifyReport>, Failure> {
        let policy = self.policy.load(context)?;
        let trusted = self.vouching.load(context, &policy)?;
        let mut bundles = Vec::new();
        let mut problems = Vec::new();
        let mut exit = Exit::Done;
        for named in &self.bundles {
            let checked = match &self.manifest {
                Some(manifest) => vec![self.directory(context, named, manifest, (&trusted, &policy))],
                None => match self.sets(named) {
                    Ok((plain, encrypted)) => {
                        let asked = (&trusted, &policy);
                        let plain = plain.iter().map(|set| self.archive(context, named, set, asked));
                        let encrypted = encrypted.iter().map(|set| self.encrypted(context, set, asked));
                        plain.chain(encrypted).collect()
                    }
                    Err(failure) => vec![Checked::failed(named, None, failure)],
                },
            };
            for mut one in checked {
                one.act().into_iter().for_each(|act| context.record(act));
                exit = exit.and(one.exit);
                problems.append(&mut one.problems);
                bundles.push(one.report);
            }
        }
        Ok(Outcome { exit, problems, report: Some(VerifyReport { bundles }) })
    }
}

impl Verify {
    fn sets(&self, named: &Path) -> Result<(Vec<BundleSet>, Vec<EncryptedSet>), Failure> {
        if let Some(attestations) = &self.attestations {
            let bytes = self.read_once(named, attestations)?;
            if let Some(set) = EncryptedSet::with_attestations(named, attestations, &bytes)? {
                return Ok((Vec::new(), vec![set]));
            }
            let set = BundleSet::with_attestations(named, attestations, &bytes)?;
            return Ok((vec![set], Vec::new()));
        }
        if Stream::of(named).is_some() {
            let problem = Problem::new(
                "attestations-needed",
                "an archive that comes as a stream needs `--attestations FILE`",
            );
            return Err(Failure::usage(problem.at(named.display().to_string())));
        }
        let encrypted = EncryptedSet::find(named)?;
        let plain = match encrypted.is_empty() {
            true => BundleSet::find(named)?,
            false if named.is_dir() => BundleSet::in_folder(named)?,
            false => Vec::new(),
        };
        Ok((plain, encrypted))
    }

    /// The bytes of the attestations, which may come as a stream as well, but not the one that the archive comes as.
    fn read_once(&self, named: &Path, attestations: &Path) -> Result<Vec<u8>, Failure> {
        let stream = Stream::of(attestations);
        let both = stream.is_some()
            && (attestations == named || (stream == Some(Stream::Input) && stream == Stream::of(named)));
        if both || (stream.is_some() && self.bundles.len() > 1) {
            let problem = Problem::new("stream-twice", "comes as a stream, which can be read only once");
            let hint = "write it to a file first, and name the file";
            return Err(Failure::usage(problem.at(attestations.display().to_string()).hint(hint)));
        }
        let most = ATTESTATIONS_BYTES_MAX.max(EncryptedAttestations::BYTES_MAX) as u64;
        let bytes =
            crate::reading::read(attestations, most).map_err(|error| unreadable(attestations, &error))?;
        match stream {
            Some(_) if bytes.is_empty() => Err(spool::empty(attestations)),
            _ => Ok(bytes),
        }
    }

    fn scope(&self) -> Scope {
        match (self.quick, self.only.is_empty()) {
            (true, _) => Scope::Bytes,
            (false, true) => Scope::Content,
            (false, false) => Scope::Only(self.only.clone()),
        }
    }

    /// One bundle with an archive.
    fn archive(
        &self,
        context: &Context,
        named: &Path,
        set: &BundleSet,
        (trusted, policy): (&Trusted, &Policy),
    ) -> Checked {
        let shown = set.archive.as_deref().unwrap_or(named);
        let asked = Asked {
            context,
            vouching: &self.vouching,
            trusted,
            policy,
            stage: Stage::Verify,
            on_a_word: true,
            threads: threads(self.threads),
        };
        let mut examined = asked.look(set, shown, self.scope());
        asked.decide(&mut examined, shown, None);
        let Examined { claim, verified, decision, vouched, handled, exit, problems, notes, .. } = examined;
        let (Some(verified), Some(decision)) = (&verified, &decision) else {
            return match (verified, claim) {
                (Some(verified), None) => Checked::unsigned(shown, &verified),
                (_, claim) => Checked::failed(shown, claim.as_ref(), Failure { exit, problems }),
            };
        };
        let mut report = report(shown, claim.as_ref(), Some(decision));
        report.notes = notes;
        if let Some(claim) = &claim
            && let Err(failure) = show_provenance(&mut report, set, claim, decision)
        {
            return Checked::failed(shown, Some(claim), failure);
        }
        report.archive =
            Some(ArchiveReport { size: verified.facts().size, sha256: verified.facts().sha256.to_string() });
        report.handling = handled.map(|handled| Handling::of(policy, Stage::Verify, &handled));
        let mut checked = Checked { exit, problems, report };
        checked.count(verified.manifest());
        let level = match verified.scope() {
            Scope::Content => Depth::Content,
            Scope::Bytes => Depth::Bytes,
            Scope::Only(_) => Depth::Files,
        };
        let checked = checked.finish(level, self.only.len(), vouched.as_ref());
        let checked = self.remember(checked, shown, trusted, decision.trusted());
        if checked.report.verified && self.vouching.remembers() {
            context.keep_manifest(set, verified.manifest(), verified.id());
        }
        checked
    }

    /// What held in full is remembered.
    fn remember(
        &self,
        mut checked: Checked,
        shown: &Path,
        trusted: &Trusted,
        claim: Option<&TrustedClaim>,
    ) -> Checked {
        let level = checked.report.level.filter(|level| !level.asserted);
        let in_full = level.is_some_and(|level| matches!(level.depth, Depth::Content | Depth::Directory));
        let Some(claim) = claim.filter(|_| checked.report.verified && in_full) else { return checked };
        let remembered = self.vouching.remember(trusted, claim, shown);
        checked.report.notes.extend(remembered.notes);
        if let Some(problem) = remembered.problem {
            checked.problems.push(problem);
            checked.exit = Exit::NotTrusted;
            checked = checked.finish(Depth::Content, 0, None);
        }
        checked
    }

    /// One encrypted bundle: with an identity all that is in it, else where its bytes come from.
    fn encrypted(
        &self,
        context: &Context,
        set: &EncryptedSet,
        (trusted, policy): (&Trusted, &Policy),
    ) -> Checked {
        let shown = set.shown();
        let failed = |failure| Checked::failed(shown, None, failure);
        let ciphertext = match set.check(context) {
            Ok(ciphertext) => ciphertext,
            Err(failure) => return failed(failure),
        };
        let claim = ciphertext.claim();
        let encrypted = Some(ArchiveReport { size: claim.size, sha256: claim.sha256.to_string() });
        if self.identity.is_given() {
            return match self.identity.open(context, set, &ciphertext) {
                Ok(opened) => {
                    let mut checked = self.archive(context, shown, &opened.set, (trusted, policy));
                    checked.report.encrypted = encrypted;
                    checked
                }
                Err(failure) => failed(failure),
            };
        }
        if self.scope() != Scope::Content {
            let problem =
                Problem::new("identity-needed", "is encrypted; to look into it, an identity is needed");
            let problem = problem.at(shown.display().to_string());
            return failed(Failure::usage(
                problem.hint("add `--identity FILE`, or leave `--quick` and `--only` out"),
            ));
        }
        let (decision, problems, notes) = self.vouching.judge_encrypted(trusted, set, claim, shown);
        let vouched = decision.trusted().and_then(|trusted| Vouched::ciphertext(&ciphertext, trusted));
        let exit = if problems.is_empty() { Exit::Done } else { Exit::NotTrusted };
        let mut report = report(shown, None, None);
        report.trusted = decision.trusted().is_some();
        report.signatures = decision.signatures().iter().map(Signature::of).collect();
        (report.counted, report.required) = (decision.counted(), decision.required());
        report.rules = decision.rules().iter().map(Rule::of).collect();
        report.as_of = AsOf::of(&decision);
        report.notes = notes;
        report.encrypted = encrypted;
        report.public = Some(claim.public.clone()).filter(|public| !public.is_empty());
        Checked { exit, problems, report }.finish(Depth::Encrypted, 0, vouched.as_ref())
    }

    /// A directory against a manifest, which must be vouched for.
    fn directory(
        &self,
        context: &Context,
        directory: &Path,
        manifest: &Path,
        asked: (&Trusted, &Policy),
    ) -> Checked {
        match self.compare(context, directory, manifest, asked) {
            Ok(checked) => checked,
            Err(failure) => Checked::failed(directory, None, failure),
        }
    }

    fn compare(
        &self,
        context: &Context,
        directory: &Path,
        manifest_path: &Path,
        (trusted, policy): (&Trusted, &Policy),
    ) -> Result<Checked, Failure> {
        let (manifest, bytes) = read_manifest(manifest_path)?;
        let id = Manifest::id_of(&bytes);
        drop(bytes);
        let set = self.statements_of(manifest_path, id)?;
        let layout = if self.bag { TreeLayout::Bag } else { TreeLayout::Payload };
        let meter = context.meter("verifying", manifest.payload_bytes());
        let compared = compare_directory(directory, &manifest, layout, threads(self.threads), &meter)
            .map_err(|error| tree_failure(error, directory))?;
        drop(meter);
        let claim = sole_claim(&set)?;
        if !compared.faults.is_empty() {
            let at = directory.display().to_string();
            let problems = compared
                .faults
                .iter()
                .map(|fault| Problem::new(fault.code(), fault.to_string()).at(at.clone()));
            let failure = Failure { exit: Exit::NotIntact, problems: problems.collect() };
            return Ok(Checked::failed(directory, claim, failure));
        }
        let modes = compared.modes_untold.then(|| modes_not_compared(directory));
        let Some(claim) = claim else {
            let mut checked = Checked::without_statement(directory, &manifest, id);
            checked.count(&manifest);
            checked.report.notes.extend(modes);
            return Ok(checked.finish(Depth::Directory, 0, None));
        };
        let (mut checked, decision) = self.judge(directory, &set, claim, trusted)?;
        let vouched = decision.trusted().and_then(|trusted| Vouched::manifest(&manifest, id, trusted));
        checked.count(&manifest);
        checked.report.notes.extend(modes);
        checked.handle(policy, &manifest, &decision, vouched.as_ref());
        let checked = checked.finish(Depth::Directory, 0, vouched.as_ref());
        Ok(self.remember(checked, directory, trusted, decision.trusted()))
    }

    /// The statements about the manifest: named, or those beside it that speak of its digest.
    fn statements_of(&self, manifest: &Path, id: BundleId) -> Result<BundleSet, Failure> {
        let found = match &self.attestations {
            Some(path) => Some((path.clone(), read_attestations(path)?)),
            None => beside(manifest, id)?,
        };
        if let Some((path, attestations)) = &found
            && attestations.for_bundle(&id).is_empty()
        {
            let problem = Problem::new(
                "bundle-id",
                format!("does not speak of the manifest `{}` ({id})", manifest.display()),
            );
            return Err(Failure::new(Exit::NotIntact, problem.at(path.display().to_string())));
        }
        Ok(BundleSet::of_manifest(manifest, found))
    }

    /// Trust and expectation.
    fn judge(
        &self,
        shown: &Path,
        set: &BundleSet,
        claim: &Claim,
        trusted: &Trusted,
    ) -> Result<(Checked, Decision), Failure> {
        let mut vouching = self.vouching.judge(trusted, set, claim, shown)?;
        let notes = std::mem::take(&mut vouching.notes);
        let decision = vouching.decision.clone();
        let problems = vouching.into_problems();
        let exit = if problems.is_empty() { Exit::Done } else { Exit::NotTrusted };
        let mut report = report(shown, Some(claim), Some(&decision));
        report.notes = notes;
        show_provenance(&mut report, set, claim, &decision)?;
        Ok((Checked { exit, problems, report }, decision))
    }
}

/// Checks where the bundle is said to come from, and shows what counts of it. It never makes a verdict better.
fn show_provenance(
    report: &mut BundleReport,
    set: &BundleSet,
    claim: &Claim,
    decision: &Decision,
) -> Result<(), Failure> {
    let found = provenance::file::check(set, claim, decision)?;
    report.provenance = found.provenance;
    report.notes.extend(found.notes);
    Ok(())
}

/// The attestations beside a manifest that speak of it.
fn beside(
    manifest: &Path,
    id: BundleId,
) -> Result<Option<(PathBuf, consign_signing::Attestations)>, Failure> {
    let folder = consign_bundle::publish::parent(manifest);
    let names =
        crate::reading::regular_files(folder).map_err(|error| crate::context::unreadable(folder, &error))?;
    let attestations = names.iter().filter(|path| {
        crate::bundle_set::is_attestations(&path.file_name().unwrap_or_default().to_string_lossy())
    });
    for path in attestations {
        if let Ok(found) = read_attestations(path)
            && !found.for_bundle(&id).is_empty()
        {
            return Ok(Some((path.clone(), found)));
        }
    }
    Ok(None)
}

fn tree_failure(error: TreeError, directory: &Path) -> Failure {
    let at = directory.display().to_string();
    match error {
        TreeError::Source(SourceError::Open { path, error }) => crate::context::unreadable(&path, &error),
        TreeError::Source(other) => Failure::failed(Problem::new("unreadable", other.to_string()).at(at)),
        TreeError::Read(error) => Failure::failed(Problem::new("unreadable", error.to_string()).at(at)),
        TreeError::Cancelled(_) => Failure::failed(interrupted()),
    }
}

/// One bundle, its problems, and what they come to.
struct Checked {
    exit: Exit,
    problems: Vec<Problem>,
    report: BundleReport,
}

impl Checked {
    /// What was found, for the ledger; nothing if nothing could be looked at.
    fn act(&self) -> Option<Act> {
        let report = &self.report;
        let act = match (report.verified, self.exit) {
            (_, Exit::Failed | Exit::Usage) => return None,
            (true, _) => Act::new(Action::Verified),
            // The level says that nobody looked into it.
            (false, Exit::Done) if report.level.is_some_and(|level| level.depth == Depth::Encrypted) => {
                Act::new(Action::Verified)
            }
            (false, exit) => Act::new(Action::NotVerified).ended(exit, &self.problems),
        };
        let act = report.bundle.as_ref().map_or(act.clone(), |bundle| act.bundle(&bundle.claim));
        let digest = report.archive.as_ref().and_then(|archive| archive.sha256.parse().ok());
        let act = digest.map_or(act.clone(), |digest| act.archive(digest));
        let act = act.with("secrets_allowed", report.secrets_allowed());
        let act = act.with("level", report.level.map(Level::as_str)).with("path", &report.path);
        let act = act.with("encrypted_sha256", report.encrypted.as_ref().map(|encrypted| &encrypted.sha256));
        let counted = report.signatures.iter().filter(|signature| signature.counted);
        let signers: Vec<_> = counted.map(|signature| &signature.fingerprint).collect();
        Some(act.with("signers", (!signers.is_empty()).then_some(signers)))
    }

    /// It is not intact, or could not be looked at.
    fn failed(shown: &Path, claim: Option<&Claim>, failure: Failure) -> Self {
        let mut report = report(shown, claim, None);
        report.verdict = match failure.exit {
            Exit::NotIntact => Verdict::NotIntact,
            _ => Verdict::NotChecked,
        };
        Self { exit: failure.exit, problems: failure.problems, report }
    }

    /// Nobody signed it.
    fn unsigned(shown: &Path, verified: &VerifiedArchive) -> Self {
        let mut checked = Self::without_statement(shown, verified.manifest(), verified.id());
        checked.report.archive =
            Some(ArchiveReport { size: verified.facts().size, sha256: verified.facts().sha256.to_string() });
        checked.count(verified.manifest());
        checked.finish(Depth::Content, 0, None)
    }

    fn without_statement(shown: &Path, manifest: &Manifest, id: BundleId) -> Self {
        let mut report = report(shown, None, None);
        let addressees = report.bundle.take().map(|bundle| bundle.addressees).unwrap_or_default();
        report.bundle = Some(Bundle::of(&bundle_claim(manifest, id), addressees));
        let problem = Problem::new("unsigned", "there is no signature")
            .at(shown.display().to_string())
            .hint("ask the sender for the `.intoto.jsonl` file that belongs to it");
        Self { exit: Exit::NotTrusted, problems: vec![problem], report }
    }

    fn count(&mut self, manifest: &Manifest) {
        if let Some(bundle) = &mut self.report.bundle {
            bundle.files = Some(manifest.files().len() as u64);
            bundle.bytes = Some(manifest.payload_bytes());
        }
    }

    /// Asks the policy about a bundle that is intact, trusted and expected; of any other nothing is believed.
    fn handle(
        &mut self,
        policy: &Policy,
        manifest: &Manifest,
        decision: &Decision,
        vouched: Option<&Vouched>,
    ) {
        let (Exit::Done, Some(trusted), Some(_)) = (self.exit, decision.trusted(), vouched) else { return };
        let (signers, others) = (counted(trusted.signers()), uncounted(decision));
        let standing = Standing { uncounted: &others, ..Standing::new(Some(trusted.claim()), &signers) };
        let handled = decide_bundle(policy, Stage::Verify, manifest, &standing);
        self.report.handling = Some(Handling::of(policy, Stage::Verify, &handled));
        if handled.permit().is_err() {
            self.problems.extend(refusals(&handled, policy, Path::new(&self.report.path)));
            self.exit = Exit::Refused;
        }
    }

    /// Says what it comes to. This is the only place where anything is called verified, and only with proof.
    fn finish(mut self, depth: Depth, only: usize, vouched: Option<&Vouched>) -> Self {
        if self.exit == Exit::Done && vouched.is_none() {
            let problem = Problem::new("statement-disagrees", "what was signed is not what was found");
            self.problems.push(problem.at(self.report.path.clone()));
            self.exit = Exit::NotIntact;
        }
        let report = &mut self.report;
        let asserted = vouched.is_some_and(Vouched::asserted);
        report.verified = self.exit == Exit::Done && !asserted && depth != Depth::Encrypted;
        report.level = (self.exit == Exit::Done).then_some(Level { depth, asserted });
        report.verdict = match self.exit {
            Exit::Done => Verdict::Verified { files: only as u64 },
            Exit::Refused => Verdict::Refused,
            _ if report.revocations.iter().any(|revoked| revoked.counted) => Verdict::Revoked,
            _ if !report.trusted => Verdict::NotTrusted,
            _ => Verdict::NotExpected,
        };
        self
    }
}
