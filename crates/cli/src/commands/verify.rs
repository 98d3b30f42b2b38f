//! `consign verify`: is it intact, and does someone trusted vouch for it.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::{Scope, SourceError, TreeError, TreeLayout, VerifiedArchive, compare_directory};
use consign_metadata::{BundleId, EntryPath, Findings, Manifest, Problem};
use consign_policy::{Policy, Stage};
use consign_signing::{
    ATTESTATIONS_BYTES_MAX, BundleClaim, Claim, Decision, EncryptedAttestations, PublicClaim, RuleOrigin,
    TrustedClaim, Verdict,
};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::addressing;
use crate::args::{self, Given};
use crate::bundle_set::{BundleSet, read_attestations, read_manifest};
use crate::checked::{bundle_claim, interrupted, modes_not_compared, sole_claim};
use crate::context::{Context, threads, unreadable};
use crate::encrypted_set::EncryptedSet;
use crate::examined::{Asked, Examined};
use crate::exit::Exit;
use crate::handling::{Handling, Standing, counted, decide_bundle, refusals, uncounted};
use crate::outcome::{Failure, Outcome, Report};
use crate::provenance::{self, facts::ProvenanceOut};
use crate::render::HandlingInWords as _;
use crate::spool::{self, Stream};
use crate::style::{self, count, size};
use crate::vouching::{Trusted, Vouched};

/// Check that bundles are intact and that someone you trust vouches for them
///
/// BUNDLE is an archive, its attestations, or a folder that holds bundles; `-` is an archive on standard input,
/// with `--attestations`. With `--manifest`, BUNDLE is a directory that was unpacked or sealed.
#[derive(clap::Args)]
pub(crate) struct Verify {
    /// Archive, attestations, or folder
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
    #[command(flatten)]
    vouching: Given<args::VouchingArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Check every byte of the archive against its signature, but do not decode the content
    #[arg(long, conflicts_with_all = ["only", "manifest"])]
    quick: bool,
    /// Check only these files, reading no more than they need
    #[arg(long, value_name = "PATH", conflicts_with = "manifest")]
    only: Vec<EntryPath>,
    /// The attestations, where they do not lie beside the archive
    #[arg(long, value_name = "FILE")]
    attestations: Option<PathBuf>,
    /// Check a directory against this manifest
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The directory has the BagIt layout (`unpack --bag`)
    #[arg(long, requires = "manifest")]
    bag: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// The level of an encrypted bundle that was not opened.
const ENCRYPTED: &str = "encrypted";

/// What was found of one bundle.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct BundleReport {
    /// What the argument named.
    path: String,
    /// Whether everything held: intact, trusted, expected. Of an encrypted bundle that was not opened it is not known
    /// what it is, so that it is not `verified`, though nothing is wrong with it.
    verified: bool,
    /// How much was checked: `content`, `bytes`, `files` or `directory`, or `encrypted`, where only the encrypted
    /// bytes were looked at, and are those that somebody trusted signed; absent if it did not hold. With `asserted-`
    /// before it, it held as of an earlier time for no other reason than the caller's word, and is not `verified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    /// The time as of which trust was asked, if that was an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<AsOf>,
    /// Whether enough trusted keys signed.
    trusted: bool,
    /// Name, version, classification and id: claims, unless `verified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<Bundle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveReport>,
    /// The encrypted file, if the bundle is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<ArchiveReport>,
    /// What an encrypted bundle says in public.
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<PublicClaim>,
    signatures: Vec<Signature>,
    /// How many distinct keys counted, and had to.
    counted: u64,
    required: u64,
    /// What the handling policy says; absent if it was not asked, since the bundle is not intact or not trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    handling: Option<Handling>,
    /// What the signers say that a scan found in the content; a claim, unless `verified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Findings>,
    /// What had to be met, and how far it was.
    rules: Vec<Rule>,
    /// What keys that counted say about where it comes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provenance: Vec<ProvenanceOut>,
    /// Revocations of this bundle, counted or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revocations: Vec<Revoked>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Problem>,
    #[serde(skip)]
    verdict: String,
}

/// An earlier time as of which trust was asked.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AsOf {
    pub(super) time: String,
    /// What proves that the signatures were made by then.
    pub(super) evidence: consign_signing::TimeEvidence,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Rule {
    /// Where the rule comes from.
    rule: String,
    met: bool,
    parts: Vec<Part>,
    /// That one key must have signed goes without saying.
    #[serde(skip)]
    goes_without_saying: bool,
}

/// One part of a rule.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Part {
    /// `keys`, `owners` or `role`.
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    needed: u64,
    have: u64,
    missing: u64,
}

/// A revocation of the bundle.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Revoked {
    fingerprint: String,
    role: String,
    time: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    counted: bool,
    /// By what it counts: `signer`, `revoker` or `root`.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<consign_signing::Authority>,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Bundle {
    name: String,
    version: String,
    classification: String,
    id: String,
    /// Whom it is for, by its statements.
    addressees: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The same, for the ledger.
    #[serde(skip)]
    claim: BundleClaim,
}

impl Bundle {
    fn of(claim: &BundleClaim, addressees: Vec<String>) -> Self {
        Self {
            addressees,
            name: claim.name.to_string(),
            version: claim.version.to_string(),
            classification: claim.classification.to_string(),
            id: claim.id.to_string(),
            files: None,
            bytes: None,
            claim: claim.clone(),
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ArchiveReport {
    size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    sha256: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Signature {
    fingerprint: String,
    role: String,
    basis: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    /// The import that lists the key, if it is not trust.toml itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    import: Option<String>,
    counted: bool,
    /// It counted as a key, but a rule asks for different owners, and its owner was counted before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    owner_counted_already: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifyReport {
    bundles: Vec<BundleReport>,
}

impl Report for VerifyReport {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for (n, bundle) in self.bundles.iter().enumerate() {
            if n > 0 {
                writeln!(out)?;
            }
            bundle.human(out)?;
        }
        Ok(())
    }
}

impl BundleReport {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        // What stands outside of an encrypted bundle that was not opened is signed, and no more than that is said.
        let held = self.verified || self.level == Some(ENCRYPTED);
        let style = if held { style::GOOD } else { style::ERROR };
        writeln!(out, "{style}{}{style:#}", self.verdict)?;
        let claimed = if held { "" } else { "  (claimed, not verified)" };
        if let Some(bundle) = &self.bundle {
            writeln!(out, "  bundle      {} {}{claimed}", bundle.name, bundle.version)?;
            writeln!(out, "  class       {}{claimed}", bundle.classification.to_uppercase())?;
            writeln!(out, "  bundle id   {}", bundle.id)?;
            for addressee in &bundle.addressees {
                writeln!(out, "  for         {}{claimed}", consign_metadata::printable(addressee))?;
            }
            if let (Some(files), Some(bytes)) = (bundle.files, bundle.bytes) {
                writeln!(out, "  content     {}, {}", count(files, "file", "files"), size(bytes))?;
            }
        }
        if let Some(public) = &self.public {
            if let Some(bundle) = &public.bundle {
                writeln!(out, "  bundle      {} {}{claimed}", bundle.name, bundle.version)?;
            }
            if let Some(classification) = &public.classification {
                writeln!(out, "  class       {}{claimed}", classification.as_str().to_uppercase())?;
            }
            for addressee in &public.addressees {
                writeln!(out, "  for         {addressee}{claimed}")?;
            }
        }
        if let Some(archive) = &self.archive {
            writeln!(out, "  archive     {}, {}", size(archive.size), archive.sha256)?;
        }
        if let Some(encrypted) = &self.encrypted {
            writeln!(out, "  encrypted   {}, {}", size(encrypted.size), encrypted.sha256)?;
        }
        for signature in &self.signatures {
            let who = match (&signature.name, &signature.owner) {
                (Some(name), Some(owner)) => format!("{name} ({owner}), {}", signature.fingerprint),
                (Some(name), None) => format!("{name}, {}", signature.fingerprint),
                _ => signature.fingerprint.clone(),
            };
            let verdict = match &signature.reason {
                None if signature.owner_counted_already => {
                    "counted as a key; its owner was counted already".to_owned()
                }
                None => "counted".to_owned(),
                Some(reason) => format!("not counted: {reason}"),
            };
            let unseen = if signature.basis == "unseen" { ", without having seen the content" } else { "" };
            writeln!(out, "  signature   {who}")?;
            writeln!(
                out,
                "              as {}, stated time {}{unseen}; {verdict}",
                signature.role, signature.time
            )?;
        }
        for provenance in &self.provenance {
            writeln!(out, "  provenance  {}{claimed}", provenance.facts.in_words())?;
        }
        for rule in self.rules.iter().filter(|rule| !rule.goes_without_saying) {
            let parts: Vec<_> = rule.parts.iter().map(Part::in_words).collect();
            let met = if rule.met { "met" } else { "NOT MET" };
            let name = rule.rule.strip_prefix("rule ").unwrap_or(&rule.rule);
            writeln!(out, "  rule        {name}: {}; {met}", parts.join(", "))?;
        }
        if let Some(AsOf { time, evidence }) = &self.as_of {
            writeln!(
                out,
                "  as of       {time}; evidence that the signatures were made by then: {evidence}"
            )?;
        }
        for revoked in &self.revocations {
            let who = revoked.name.as_ref().unwrap_or(&revoked.fingerprint);
            let counts = if revoked.counted { "REVOKED" } else { "not counted" };
            writeln!(
                out,
                "  revocation  by {who} as {}, stated time {}; {counts}",
                revoked.role, revoked.time
            )?;
            writeln!(out, "              {}", consign_metadata::printable(&revoked.reason))?;
        }
        let warn = style::WARN;
        for note in &self.notes {
            writeln!(out, "  {warn}note{warn:#}        {}", consign_metadata::printable(&note.message))?;
        }
        if let Some(handling) = &self.handling {
            handling.human(out, 11)?;
        }
        Ok(())
    }
}

impl Part {
    fn in_words(&self) -> String {
        let Self { what, role, needed, have, .. } = self;
        match role {
            Some(role) => format!("{have} of {needed} as {role}"),
            None => format!("{have} of {needed} {what}"),
        }
    }
}

impl Verify {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
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
        Ok(Outcome { exit, problems, report: Some(Box::new(VerifyReport { bundles })) })
    }

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
            Scope::Content => "content",
            Scope::Bytes => "bytes",
            Scope::Only(_) => "files",
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
        let in_full = matches!(checked.report.level, Some("content" | "directory"));
        let Some(claim) = claim.filter(|_| checked.report.verified && in_full) else { return checked };
        let remembered = self.vouching.remember(trusted, claim, shown);
        checked.report.notes.extend(remembered.notes);
        if let Some(problem) = remembered.problem {
            checked.problems.push(problem);
            checked.exit = Exit::NotTrusted;
            checked = checked.finish("content", 0, None);
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
        Checked { exit, problems, report }.finish(ENCRYPTED, 0, vouched.as_ref())
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
            return Ok(checked.finish("directory", 0, None));
        };
        let (mut checked, decision) = self.judge(directory, &set, claim, trusted)?;
        let vouched = decision.trusted().and_then(|trusted| Vouched::manifest(&manifest, id, trusted));
        checked.count(&manifest);
        checked.report.notes.extend(modes);
        checked.handle(policy, &manifest, &decision, vouched.as_ref());
        let checked = checked.finish("directory", 0, vouched.as_ref());
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
            (false, Exit::Done) if report.level == Some(ENCRYPTED) => Act::new(Action::Verified),
            (false, exit) => Act::new(Action::NotVerified).with("exit", exit.code()).problems(&self.problems),
        };
        let act = report.bundle.as_ref().map_or(act.clone(), |bundle| act.bundle(&bundle.claim));
        let digest = report.archive.as_ref().and_then(|archive| archive.sha256.parse().ok());
        let act = digest.map_or(act.clone(), |digest| act.archive(digest));
        let act = act.with("level", report.level).with("path", &report.path);
        let act = act.with("encrypted_sha256", report.encrypted.as_ref().map(|encrypted| &encrypted.sha256));
        let counted = report.signatures.iter().filter(|signature| signature.counted);
        let signers: Vec<_> = counted.map(|signature| &signature.fingerprint).collect();
        Some(act.with("signers", (!signers.is_empty()).then_some(signers)))
    }

    /// It is not intact, or could not be looked at.
    fn failed(shown: &Path, claim: Option<&Claim>, failure: Failure) -> Self {
        let mut report = report(shown, claim, None);
        let shown = consign_metadata::printable(&shown.display().to_string());
        report.verdict = match failure.exit {
            Exit::NotIntact => format!("NOT VERIFIED: {shown} is not intact"),
            _ => format!("NOT VERIFIED: {shown} could not be checked"),
        };
        Self { exit: failure.exit, problems: failure.problems, report }
    }

    /// Nobody signed it.
    fn unsigned(shown: &Path, verified: &VerifiedArchive) -> Self {
        let mut checked = Self::without_statement(shown, verified.manifest(), verified.id());
        checked.report.archive =
            Some(ArchiveReport { size: verified.facts().size, sha256: verified.facts().sha256.to_string() });
        checked.count(verified.manifest());
        checked.finish("content", 0, None)
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
    fn finish(mut self, level: &'static str, only: usize, vouched: Option<&Vouched>) -> Self {
        if self.exit == Exit::Done && vouched.is_none() {
            let problem = Problem::new("statement-disagrees", "what was signed is not what was found");
            self.problems.push(problem.at(self.report.path.clone()));
            self.exit = Exit::NotIntact;
        }
        let report = &mut self.report;
        let asserted = vouched.is_some_and(|vouched| vouched.asserted);
        report.verified = self.exit == Exit::Done && !asserted && level != ENCRYPTED;
        let name = report
            .bundle
            .as_ref()
            .map_or_else(String::new, |bundle| format!("{} {}", bundle.name, bundle.version));
        if self.exit == Exit::Done {
            report.level = Some(if asserted { asserted_level(level) } else { level });
            let signers: Vec<_> = report
                .signatures
                .iter()
                .filter(|signature| signature.counted)
                .map(|signature| signature.name.as_ref().unwrap_or(&signature.fingerprint).clone())
                .collect();
            let signers = signers.join(" and ");
            report.verdict = match level {
                "content" => format!("VERIFIED: {name} is exactly what {signers} signed"),
                "directory" => format!(
                    "VERIFIED: at the moment of reading, the directory was exactly what {signers} signed as {name}"
                ),
                ENCRYPTED => format!(
                    "ORIGIN VERIFIED (encrypted): these bytes are what {signers} signed; what they hold was not looked at"
                ),
                "bytes" => format!(
                    "BYTES VERIFIED: the archive of {name} is the one that {signers} signed; its content was not decoded (--quick)"
                ),
                _ => format!(
                    "{} VERIFIED: of {name}, signed by {signers}; nothing else was looked at (--only)",
                    count(only as u64, "FILE", "FILES")
                ),
            };
            if asserted {
                let time = report.as_of.as_ref().map_or("", |as_of| &as_of.time);
                let what = report.verdict.split_once(": ").map_or("", |(_, what)| what);
                report.verdict = format!(
                    "HELD AS OF {time}, on your word: {what}. It would not hold now, and nothing proves that the signature was made by then"
                );
            }
        } else if self.exit == Exit::Refused {
            report.verdict =
                format!("REFUSED: {name} is intact and vouched for, but the policy does not admit it");
        } else if report.revocations.iter().any(|revoked| revoked.counted) {
            report.level = None;
            report.verdict = format!("NOT VERIFIED: {name} was revoked");
        } else if !report.trusted {
            report.verdict = match (report.counted, report.required) {
                (0, _) => {
                    "NOT VERIFIED: the files agree with each other, but nobody you trust vouches for them"
                        .into()
                }
                (counted, required) if counted < required => format!(
                    "NOT VERIFIED: the files agree with each other, but only {counted} of {required} required signatures count"
                ),
                _ => "NOT VERIFIED: the files agree with each other, but not everything that your trust asks for is met".into(),
            };
        } else {
            report.level = None;
            report.verdict = format!("NOT VERIFIED: {name} is not what was expected");
        }
        self
    }
}

/// The same level, held for no other reason than the caller's word about the time.
fn asserted_level(level: &str) -> &'static str {
    match level {
        "content" => "asserted-content",
        "directory" => "asserted-directory",
        "bytes" => "asserted-bytes",
        ENCRYPTED => "asserted-encrypted",
        _ => "asserted-files",
    }
}

impl Signature {
    fn of(verdict: &consign_signing::SignatureVerdict) -> Self {
        let signer = &verdict.signer;
        let text = |line: &Option<consign_metadata::Line>| line.as_ref().map(ToString::to_string);
        let (counted, code, reason) = match &verdict.verdict {
            Verdict::Counted => (true, None, None),
            Verdict::NotCounted(reason) => (false, Some(reason.code()), Some(reason.to_string())),
        };
        Signature {
            fingerprint: signer.fingerprint().to_string(),
            role: signer.role.to_string(),
            basis: signer.basis.to_string(),
            time: signer.time.to_string(),
            name: text(&signer.name),
            owner: text(&signer.owner),
            organization: text(&signer.organization),
            import: text(&signer.import),
            counted,
            owner_counted_already: verdict.owner_counted_already,
            code,
            reason,
        }
    }
}

impl Rule {
    fn of(verdict: &consign_signing::RuleVerdict) -> Self {
        Self {
            rule: verdict.origin.to_string(),
            met: verdict.is_met(),
            parts: verdict.measures.iter().map(part).collect(),
            goes_without_saying: matches!(verdict.origin, RuleOrigin::Default | RuleOrigin::Named),
        }
    }
}

impl AsOf {
    /// Of what was asked as of an earlier time.
    fn of<C>(decision: &Decision<C>) -> Option<Self> {
        let moment = decision.moment();
        let earlier = moment.at() < moment.time_of_verification();
        earlier.then(|| Self { time: moment.at().to_string(), evidence: moment.evidence() })
    }
}

fn report(shown: &Path, claim: Option<&Claim>, decision: Option<&Decision>) -> BundleReport {
    let revoked = |verdict: &consign_signing::RevocationVerdict| Revoked {
        fingerprint: verdict.revocation.public_key.fingerprint().to_string(),
        role: verdict.revocation.role.to_string(),
        time: verdict.revocation.time.to_string(),
        reason: verdict.revocation.reason.to_string(),
        name: verdict.name.as_ref().map(ToString::to_string),
        owner: verdict.owner.as_ref().map(ToString::to_string),
        counted: verdict.verdict.is_ok(),
        authority: verdict.verdict.ok(),
        code: verdict.verdict.err().map(consign_signing::NotEntitled::code),
    };
    BundleReport {
        path: shown.display().to_string(),
        verified: false,
        level: None,
        as_of: decision.and_then(AsOf::of),
        trusted: decision.is_some_and(|decision| decision.trusted().is_some()),
        bundle: claim.map(|claim| Bundle::of(&claim.bundle, addressing::told(&claim.addressees))),
        archive: None,
        encrypted: None,
        public: None,
        signatures: decision
            .map(|decision| decision.signatures().iter().map(Signature::of).collect())
            .unwrap_or_default(),
        counted: decision.map_or(0, Decision::counted),
        required: decision.map_or(0, Decision::required),
        handling: None,
        findings: claim.and_then(|claim| claim.findings.clone()),
        rules: decision.map(|decision| decision.rules().iter().map(Rule::of).collect()).unwrap_or_default(),
        provenance: Vec::new(),
        revocations: decision
            .map(|decision| decision.revocations().iter().map(revoked).collect())
            .unwrap_or_default(),
        notes: Vec::new(),
        verdict: String::new(),
    }
}

fn part(measure: &consign_signing::Measure) -> Part {
    let (what, role) = match &measure.part {
        consign_signing::Part::Keys => ("keys", None),
        consign_signing::Part::Owners => ("owners", None),
        consign_signing::Part::Role { role, .. } => ("role", Some(role.to_string())),
    };
    Part { what, role, needed: measure.needed, have: measure.have, missing: measure.missing() }
}
