//! A new version with a corrected descriptor, out of the bundle alone.

use crate::act::{Act, Action};
use crate::addressing;
use crate::bundle_out::BundleOut;
use crate::bundle_set::{BundleSet, Names};
use crate::checked::{
    archive_claim, archive_failure, archive_path, bundle_claim, check_copy, expected, sole_claim,
};
use crate::context::{Context, threads, unreadable};
use crate::descriptor_file;
use crate::encrypted_set::EncryptedSet;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::TermsArgs;
use crate::handling::{Answers, Handling, Inherited, LaboratoryOut, Terms, forecast};
use crate::key_source::KeyArgs;
use crate::key_source::OpenKey;
use crate::key_source::SignerOut;
use crate::operation::{Outcome, Request};
use crate::outputs::Outputs;
use crate::publishing::taken;
use crate::scan_args::ScanArgs;
use crate::sign_statement::sign_statement;
use crate::source_args::{OutputFolder, pack_failure, patterns};
use crate::store_args::KeepArgs;
use crate::store_args::{KeptOut, keep};
use crate::vouching::{Vouched, VouchingArgs};
use consign_bundle::{
    AmendError, Anchor, Archive, Description, PackedArchive, Payload, Scope, amend, amended_manifest, verify,
};
use consign_metadata::limits::LIST_MAX;
use consign_metadata::{BundleId, Core, Edit, ExcludePattern, Findings, Line, Manifest, Problem};
use consign_policy::{Parent, Policy, Stage};
use consign_signing::{Attestations, Basis, Claim, Content, ExcludedCount, Signer as _, TrustedClaim};
use serde::Serialize;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Make a new version of a bundle with a corrected descriptor, out of the bundle alone
///
/// The files stay as they are, and so do their compressed frames: only what describes them is made anew. The new
/// version names the old one among its `parents`. The old bundle is verified fully first, and must be signed by
/// somebody trusted, or by the key that signs now.
#[derive(Clone, Debug)]
pub struct Amend {
    /// Archive, attestations, or folder with one bundle
    pub bundle: PathBuf,
    /// The corrected descriptor
    pub descriptor: PathBuf,
    /// The new version, if it is not that of the descriptor
    pub version: Option<String>,
    /// A pattern that the bundle was packed with and that does not stand in the descriptor; may be repeated
    pub exclude: Vec<String>,
    /// Where the new version goes; made if it is not there
    pub output: PathBuf,
    pub key: KeyArgs,
    /// A public key that must have signed the old version, instead of the configured trust; may be repeated
    pub signers: Vec<String>,
    /// The trust policy to use instead of the configured one
    pub trust: Option<PathBuf>,
    /// Copy the content without looking at it, as fast as the file system can; the signature says so
    ///
    /// If the old archive was altered, the new one does not verify.
    pub unseen: bool,
    pub terms: TermsArgs,
    pub scan: ScanArgs,
    pub keep: KeepArgs,
    /// Check everything that can be checked without reading content, and write nothing
    pub dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

/// What was made.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Amended {
    /// `amended`, `dry-run`, or `refused` by the policy.
    pub status: &'static str,
    pub bundle: BundleOut,
    /// The old version.
    pub from_version: String,
    /// Its bundle id, which stands among the parents of the new one.
    pub from: String,
    pub files: u64,
    pub bytes: u64,
    /// `verified`: the content was checked before. `unseen`: it was copied as it is.
    pub basis: String,
    /// What is different, in one line.
    pub changed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<AmendedArchive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestations: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerOut>,
    /// What the handling policy says.
    pub handling: Handling,
    /// What the laboratories say to accepting it that were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laboratories: Vec<LaboratoryOut>,
    /// What the scan of the old version found in the content, and a new one in the descriptor; absent if the content
    /// was never scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<KeptOut>,
    pub notes: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AmendedArchive {
    pub path: PathBuf,
    pub size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
    pub encoder: String,
}

/// What the new version is to be.
struct Plan {
    description: Description,
    manifest: Manifest,
    terms: Terms,
    findings: Option<Findings>,
    excluded: Option<Vec<ExcludedCount>>,
    notes: Vec<String>,
}

impl Request for Amend {
    const COMMAND: &str = "amend";
    type Report = Amended;

    fn run(&self, context: &Context) -> Result<Outcome<Amended>, Failure> {
        self.refuse_encrypted()?;
        let policy = self.terms.policy(context)?;
        let set = BundleSet::find_one(&self.bundle)?;
        let path = archive_path(&set)?;
        let claim = sole_claim(&set)?.ok_or_else(|| {
            let problem = Problem::new("unsigned", "there is no signature").at(path.display().to_string());
            Failure::new(Exit::NotTrusted, problem.hint("sign it first: consign sign BUNDLE --key FILE"))
        })?;
        let key = self.key.load(context)?;
        let trusted = self.trusted(context, &policy, &set, claim, path, key.as_ref())?;
        let old = trusted.claim();
        let signed = expected(old)?;
        let file = crate::reading::open(path).map_err(|error| unreadable(path, &error))?;
        let archive =
            Archive::open(&file, Anchor::Signed(&signed)).map_err(|error| archive_failure(error, path))?;
        if let Some(copy) = &set.manifest {
            check_copy(copy, signed.id)?;
        }
        let (manifest, _) = archive.manifest().map_err(|error| archive_failure(error, path))?;
        let plan = self.plan(policy, &manifest, old, key.as_ref(), context)?;
        let id = Manifest::id_of(&plan.manifest.to_bytes());
        let foreseen = plan.claim(id, old.content.clone());
        let answers = plan.terms.ask_manifest(Stage::Pack, &plan.manifest, &foreseen);
        let mut report = Amended::new(self, &manifest, &plan, (signed.id, id), &answers);
        if let Err(Failure { exit, problems }) = answers.permit(&self.bundle) {
            report.status = "refused";
            return Ok(Outcome { exit, problems, report: Some(report) });
        }
        if self.dry_run {
            report.status = "dry-run";
            return Ok(Outcome::done(report));
        }
        let store = self.keep.store(context, key.is_none(), false)?;
        let names = Names::of(&plan.description.core.name, &plan.description.core.version);
        let folder = OutputFolder::open(&self.output)?;
        if self.output.join(&names.archive).symlink_metadata().is_ok() {
            return Err(taken(&self.output.join(&names.archive)));
        }
        folder.check()?;
        if !self.unseen {
            self.see(context, &archive, &trusted, path)?;
        }
        let payload = if self.unseen { Payload::Unseen(&file) } else { Payload::Checked };
        let meter = context.meter("amending", archive.work(&Scope::Bytes).unwrap_or_default());
        let made = amend(
            &archive,
            &plan.description.core,
            &plan.description.descriptor,
            payload,
            &self.output,
            threads(self.threads),
            &meter,
        );
        drop(meter);
        let made = made.map_err(|error| self.failure(error, path))?;
        self.publish(context, &plan, made, key.as_ref(), &mut report)?;
        report.keep(context, store.as_ref(), &plan.terms.policy)
    }
}

impl Amend {
    fn refuse_encrypted(&self) -> Result<(), Failure> {
        if EncryptedSet::find(&self.bundle)?.is_empty() {
            return Ok(());
        }
        let problem = Problem::new("encrypted", "is encrypted: its frames cannot be taken as they are");
        let hint = "open it first: consign decrypt BUNDLE -o DIR --identity FILE; encrypt the new version with `consign encrypt`";
        Err(Failure::usage(problem.at(self.bundle.display().to_string()).hint(hint)))
    }

    /// The claim about the old version, if somebody trusted vouches for it, or whoever signs now did.
    fn trusted(
        &self,
        context: &Context,
        policy: &consign_policy::Policy,
        set: &BundleSet,
        claim: &Claim,
        path: &Path,
        key: Option<&OpenKey>,
    ) -> Result<TrustedClaim, Failure> {
        let vouching = VouchingArgs::of(self.signers.clone(), self.trust.clone());
        let mut trusted = vouching.load(context, policy)?;
        let mine = |key: &&OpenKey| {
            let statements = set.attestations.iter().flat_map(|(_, found)| found.statements());
            statements.into_iter().any(|signed| signed.key() == key.public_key())
        };
        if let Some(key) = key.filter(mine).filter(|_| self.signers.is_empty()) {
            trusted = trusted.by_key(*key.public_key());
        }
        let judged = vouching.judge(&trusted, set, claim, path)?;
        let trusted = judged.decision.trusted().cloned();
        let problems = judged.into_problems();
        trusted.filter(|_| problems.is_empty()).ok_or(Failure { exit: Exit::NotTrusted, problems })
    }

    /// Checks every byte of the old version, as whoever signs it would.
    fn see(
        &self,
        context: &Context,
        archive: &Archive<'_, &File>,
        trusted: &TrustedClaim,
        path: &Path,
    ) -> Result<(), Failure> {
        let meter = context.meter("verifying", archive.work(&Scope::Content).unwrap_or_default());
        let verified = verify(archive, Scope::Content, threads(self.threads), &meter);
        drop(meter);
        let verified = verified.map_err(|error| archive_failure(error, path))?;
        Vouched::archive(&verified, trusted).map(drop).ok_or_else(|| {
            let problem = Problem::new("statement-disagrees", "what was signed is not what was found");
            Failure::new(Exit::NotIntact, problem.at(path.display().to_string()))
        })
    }

    /// Everything that is decided before content is read.
    fn plan(
        &self,
        policy: consign_policy::Policy,
        old: &Manifest,
        claim: &Claim,
        key: Option<&OpenKey>,
        context: &Context,
    ) -> Result<Plan, Failure> {
        let edits: Result<Vec<Edit>, Problem> =
            self.version.iter().map(|version| Edit::new("version", version)).collect();
        let edits = edits.map_err(Failure::usage)?;
        let folder = consign_bundle::publish::parent(&self.descriptor);
        let found =
            descriptor_file::read(policy.scheme(), folder, Some(&self.descriptor), &edits)?.descriptor;
        self.check_patterns(&found.exclude, old)?;
        let core = self.with_parent(found.core, claim.bundle.id)?;
        let descriptor = found.details.into();
        let manifest = amended_manifest(old.clone(), &core, &descriptor)
            .map_err(|error| self.failure(error, &self.descriptor))?;
        let description = Description { core, exclude: old.exclude().to_vec(), descriptor };
        let parent =
            Parent { id: claim.bundle.id, classification: Some(claim.bundle.classification.clone()) };
        let scan = self.scan.begin([&policy])?;
        let old = Inherited { parents: vec![parent], addressees: claim.addressees.clone() };
        let mut terms = self.terms.load_inheriting(context, policy, &description.core, old)?;
        terms.signers = forecast(context, key.iter().map(|key| (*key.public_key(), &self.key.role)))?;
        let mut notes = Vec::new();
        if !self.terms.names_addressees() && !claim.addressees.is_empty() {
            notes.push(
                "it is for the same recipients as the old version; `--for NAME` names others".to_owned(),
            );
        }
        let findings = match &claim.findings {
            Some(findings) => {
                let scanned = scan.finish_descriptor(&description);
                Some(findings.with_descriptor(&scanned.findings))
            }
            None => {
                notes.push("the content was never scanned, and is not now".to_owned());
                None
            }
        };
        Ok(Plan { description, manifest, terms, findings, excluded: claim.excluded.clone(), notes })
    }

    /// The new version is linked to the old one.
    fn with_parent(&self, mut core: Core, old: BundleId) -> Result<Core, Failure> {
        if !core.parents.contains(&old) {
            core.parents.push(old);
        }
        if core.parents.len() > LIST_MAX {
            let problem = Problem::new("too-many-parents", format!("names more than {LIST_MAX} parents"));
            return Err(Failure::usage(problem.at(self.descriptor.display().to_string())));
        }
        Ok(core)
    }

    /// What is packed follows from the patterns: with others the files would be others.
    fn check_patterns(&self, descriptor: &[ExcludePattern], old: &Manifest) -> Result<(), Failure> {
        let wanted = patterns(descriptor, &self.exclude)?;
        let lacks = |list: &[Line], of: &[Line]| -> Vec<String> {
            of.iter()
                .filter(|pattern| !list.contains(pattern))
                .map(|pattern| format!("`{pattern}`"))
                .collect()
        };
        let (new, gone) = (lacks(old.exclude(), &wanted), lacks(&wanted, old.exclude()));
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let mut what = Vec::new();
        if !new.is_empty() {
            what.push(format!("leaves out {}, which the bundle does not", new.join(", ")));
        }
        if !gone.is_empty() {
            what.push(format!("does not leave out {}, which the bundle does", gone.join(", ")));
        }
        let problem = Problem::new(
            "exclude-changed",
            format!("{}; amending keeps the files as they are", what.join(", and ")),
        );
        let hint = "use the patterns of the bundle (those of the command line go to `--exclude`), or pack the directory again";
        Err(Failure::usage(problem.at(self.descriptor.display().to_string()).hint(hint)))
    }

    fn failure(&self, error: AmendError, path: &Path) -> Failure {
        let usage = |code, hint: &str, error: &AmendError| {
            let problem = Problem::new(code, error.to_string()).at(self.descriptor.display().to_string());
            Failure::usage(problem.hint(hint))
        };
        match &error {
            AmendError::Name { .. } => {
                usage("name-changed", "keep the name, or pack the directory under the new one", &error)
            }
            AmendError::SameVersion(_) => usage(
                "version-same",
                "a version never changes: raise it, in the descriptor or with `--version`",
                &error,
            ),
            _ => match error {
                AmendError::Archive(error) => archive_failure(error, path),
                AmendError::Pack(error) => pack_failure(error, &self.output),
                other => Failure::failed(Problem::new("cannot-amend", other.to_string())),
            },
        }
    }

    /// Signs what was made, and gives all files their names.
    fn publish(
        &self,
        context: &Context,
        plan: &Plan,
        made: PackedArchive,
        key: Option<&OpenKey>,
        report: &mut Amended,
    ) -> Result<(), Failure> {
        let out = &self.output;
        let names = Names::of(&plan.description.core.name, &plan.description.core.version);
        let claim = plan.claim(made.id, Content::Archive(archive_claim(&made.facts)?));
        let answers = plan.terms.ask_manifest(Stage::Pack, &plan.manifest, &claim);
        (report.handling, report.laboratories) = (answers.handling(), answers.laboratories());
        let permit = answers.permit(&self.bundle)?;
        report.bundle.id = Some(made.id.to_string());
        let mut outputs = Outputs::new(out);
        report.manifest = Some(outputs.file(&names.manifest, &made.manifest_bytes)?);
        let bundle = claim.bundle.clone();
        if let Some(key) = key {
            if out.join(&names.attestations).symlink_metadata().is_ok() {
                return Err(taken(&out.join(&names.attestations)));
            }
            let basis = if self.unseen { Basis::Unseen } else { Basis::Verified };
            let signed = sign_statement(context, key, claim, &self.key.role, basis, &permit, true)?;
            report.attestations =
                Some(outputs.file(&names.attestations, &Attestations::new(signed).to_bytes())?);
            report.signer = Some(SignerOut::of(key, &self.key.role));
        }
        report.archive = Some(AmendedArchive {
            path: out.join(&names.archive),
            size: made.facts.size,
            sha256: made.facts.sha256.to_string(),
            encoder: made.facts.encoder.to_string(),
        });
        outputs.publish(context, Some((names.archive, made.file)))?;
        context.record(
            Act::new(Action::Amended)
                .bundle(&bundle)
                .archive(made.facts.sha256)
                .with("from", &report.from)
                .with(
                    "addressees",
                    (!report.bundle.addressees.is_empty()).then_some(&report.bundle.addressees),
                ),
        );
        Ok(())
    }
}

impl Plan {
    /// What is claimed of the new version: of the content what was claimed before.
    fn claim(&self, id: BundleId, content: Content) -> Claim {
        let mut claim = Claim::new(bundle_claim(&self.manifest, id), content);
        claim.excluded.clone_from(&self.excluded);
        claim.findings.clone_from(&self.findings);
        self.terms.apply(&mut claim);
        claim
    }
}

impl Amended {
    fn new(
        amend: &Amend,
        old: &Manifest,
        plan: &Plan,
        (from, id): (BundleId, BundleId),
        answers: &Answers<'_>,
    ) -> Self {
        let core = &plan.description.core;
        Self {
            status: "amended",
            bundle: BundleOut::described(core, Some(id)).for_whom(addressing::told(&plan.terms.addressees)),
            from_version: old.core().version.to_string(),
            from: from.to_string(),
            files: old.files().len() as u64,
            bytes: old.payload_bytes(),
            basis: if amend.unseen { Basis::Unseen } else { Basis::Verified }.to_string(),
            changed: consign_metadata::diff(old, &plan.manifest).in_one_line(),
            archive: None,
            manifest: None,
            attestations: None,
            signer: None,
            handling: answers.handling(),
            laboratories: answers.laboratories(),
            findings: plan.findings.clone(),
            stored: None,
            notes: plan.notes.clone(),
        }
    }

    /// Keeps what was made in the store, if there is one. That it could not be kept does not undo it.
    fn keep(
        mut self,
        context: &Context,
        store: Option<&consign_bundle::Store>,
        policy: &Policy,
    ) -> Result<Outcome<Amended>, Failure> {
        let kept = match (store, &self.archive) {
            (Some(store), Some(archive)) => Some(keep(context, store, &archive.path, policy)),
            _ => None,
        };
        match kept.transpose() {
            Ok(kept) => {
                self.stored = kept;
                Ok(Outcome::done(self))
            }
            Err(Failure { exit, problems }) => Ok(Outcome { exit, problems, report: Some(self) }),
        }
    }
}
