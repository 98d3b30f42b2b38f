//! Make a bundle and sign it.

use crate::act::{Act, Action};
use crate::addressing;
use crate::bundle_out::BundleOut;
use crate::bundle_set::{BundleSet, Names};
use crate::checked::{
    archive_claim, archive_failure, bundle_claim, check, modes_not_told, open_archive, sole_claim,
};
use crate::context::{Context, threads, unwritable};
use crate::encryption::EncryptArgs;
#[cfg(feature = "encryption")]
use crate::encryption::EncryptedOut;
use crate::encryption::Sealing;
use crate::failure::Failure;
use crate::handling::TermsArgs;
use crate::handling::{Answers, Handling, LaboratoryOut, Terms, forecast};
use crate::key_source::KeyArgs;
use crate::key_source::{OpenKey, SignerOut};
use crate::ledger;
use crate::operation::{Outcome, Request};
use crate::provenance::args::ProvenanceArgs;
use crate::provenance::args::{Captured, Placed, keep};
use crate::provenance::facts::ProvenanceOut;
use crate::publishing::{existing, taken};
use crate::restated;
use crate::scan_args::ScanArgs;
use crate::scan_args::{self, FindingOut, ScanObserver};
use crate::sign_statement::sign_statement;
use crate::source_args::SourceArgs;
use crate::source_args::{Described, OutputFolder, check_output, pack_failure};
use crate::store_args::KeepArgs;
use crate::store_args::{self, KeptOut};
use crate::words::{count, size};
use consign_bundle::publish::{exclusive, prepare, publish};
use consign_bundle::{
    ArchiveFacts, Base, Compression, EncoderId, PackError, PackOptions, PackedArchive, Partial, Place, Scope,
    SourceSummary, Store, VerifiedArchive, hash_source, pack,
};
use consign_metadata::shell_word;
use consign_metadata::{BundleId, Classification, Findings, Manifest, Problem, Role};
use consign_policy::{Encryption, Permit, Policy, Scan};
use consign_scan::Scanned;
use consign_signing::{Attestations, Basis, Claim, Content, SignedStatement, Signer as _};
use serde::Serialize;
use std::io::{self};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Pack a directory into a signed bundle
///
/// Writes three files into OUT: the archive (NAME-VERSION.tar.zst), a copy of its manifest, and the attestations
/// that hold the signatures. The same input gives the same archive, on any machine. Nothing is overwritten.
#[derive(Clone, Debug)]
pub struct Pack {
    pub source: SourceArgs,
    /// Where the bundle goes; made if it is not there
    pub output: PathBuf,
    pub scan: ScanArgs,
    pub key: KeyArgs,
    pub terms: TermsArgs,
    /// How many threads compress [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
    /// One zstd level for everything, 1 to 19 [default: chosen by the content]
    pub level: Option<u8>,
    /// Compress nothing, for content that is compressed already or when only time counts
    pub store: bool,
    /// Use the compressed frames of an earlier archive again where the content is the same; may be repeated
    ///
    /// The archive need not be trusted: every frame is decoded and compared with what is packed. The result is
    /// the same as without it.
    pub base: Vec<PathBuf>,
    /// If packing is cut short, keep what is finished, and go on from there the next time
    ///
    /// What is kept lies in OUT under hidden names, and is checked against the directory before it is used.
    pub resume: bool,
    pub encrypt: EncryptArgs,
    pub provenance: ProvenanceArgs,
    pub keep: KeepArgs,
    /// Keep no copy of the manifest among the bundles that this machine knows
    pub no_remember: bool,
    /// Check everything that can be checked before reading content, and write nothing
    pub dry_run: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Packed {
    /// `packed`, `unchanged`, `dry-run`, or `refused` by the policy.
    pub status: &'static str,
    pub bundle: BundleOut,
    pub files: u64,
    pub directories: u64,
    pub bytes: u64,
    /// Bytes of content whose compressed frames came from `--base`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reused: Option<u64>,
    /// Bytes of content that an earlier run with `--resume` had finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveOut>,
    /// Where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<KeptOut>,
    /// The encrypted archive, which takes the place of `archive` and `manifest`.
    #[cfg(feature = "encryption")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<EncryptedOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestations: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerOut>,
    /// What was signed about where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ProvenanceOut>,
    pub excluded: Vec<ExcludedOut>,
    /// What the handling policy says.
    pub handling: Option<Handling>,
    /// What the laboratories say to accepting it that were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laboratories: Vec<LaboratoryOut>,
    /// What the scan of the content found; absent if no content was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Every finding with its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<FindingOut>>,
    pub notes: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArchiveOut {
    pub path: PathBuf,
    pub size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
    pub encoder: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExcludedOut {
    pub pattern: String,
    pub files: u64,
}

/// What is to be made, and by whose hand.
#[derive(Clone, Copy)]
struct Order<'a> {
    described: &'a Described,
    terms: &'a Terms,
    names: &'a Names,
    key: Option<&'a OpenKey>,
    provenance: Option<&'a Captured>,
}

/// Why nothing was packed.
enum Stopped {
    Failed(Failure),
    /// The policy refuses it; what is known of it so far is told all the same.
    Refused(Box<Packed>, Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Stopped {
    fn refused(mut report: Packed, failure: Failure) -> Self {
        report.status = "refused";
        Self::Refused(Box::new(report), failure)
    }
}

/// What is known of the content where an archive of that name is there already.
enum Read {
    /// Nothing yet.
    Not(ScanObserver),
    /// It was packed, while somebody else did, too.
    Whole(Box<Manifest>, Findings),
}

impl Pack {
    /// Packs a directory into a folder, signed with a key, by the configured policy.
    pub fn new(directory: impl Into<PathBuf>, output: impl Into<PathBuf>, key: KeyArgs) -> Self {
        Self {
            source: SourceArgs::new(directory),
            output: output.into(),
            scan: ScanArgs::default(),
            key,
            terms: TermsArgs::default(),
            threads: None,
            level: None,
            store: false,
            base: Vec::new(),
            resume: false,
            encrypt: EncryptArgs::default(),
            provenance: ProvenanceArgs::default(),
            keep: KeepArgs::default(),
            no_remember: false,
            dry_run: false,
        }
    }
}

impl Request for Pack {
    const COMMAND: &str = "pack";
    type Report = Packed;

    fn run(&self, context: &Context) -> Result<Outcome<Packed>, Failure> {
        match self.pack(context) {
            Ok(outcome) => Ok(outcome),
            Err(Stopped::Failed(failure)) => Err(failure),
            Err(Stopped::Refused(report, Failure { exit, problems })) => {
                Ok(Outcome { exit, problems, report: Some(*report) })
            }
        }
    }
}

impl Pack {
    fn pack(&self, context: &Context) -> Result<Outcome<Packed>, Stopped> {
        let policy = self.terms.policy(context)?;
        let described = self.source.load(context, policy.scheme(), false)?;
        let mut terms = self.terms.load(context, policy, &described.description.core)?;
        let key = self.key.load(context)?;
        let sealing = self.encrypt.load(&terms.policy, &described.description.core)?;
        terms.encryption = sealing.as_ref().map_or(Encryption::Plain, Sealing::encryption);
        terms.signers = forecast(context, key.iter().map(|key| (*key.public_key(), &self.key.role)))?;
        let (source, summary) = (&described.source, described.source.summary());
        let mut report = Packed::new(&described, &self.output);
        check_output(source, &self.output)?;
        // Everything but what only the content can say is decided before any of it is read.
        report.bundle.addressees = addressing::told(&terms.addressees);
        if let Err(failure) = report.asked(&described.ask(&terms, Scan::NotYet), &self.source.directory) {
            return Err(Stopped::refused(report, failure));
        }
        if self.dry_run {
            report.status = "dry-run";
            return Ok(Outcome::done(report));
        }
        let captured =
            self.provenance.load(context, &self.source.directory, key.is_some(), sealing.is_some())?;
        let store = self.keep.store(context, key.is_none(), sealing.is_some())?;
        let scan = self.scan.begin(terms.policies())?;
        let folder = OutputFolder::open(&self.output)?;
        check_space(summary, &self.output)?;
        let names = Names::of(&described.description.core.name, &described.description.core.version);
        report.echo(context, &described);
        let order = Order {
            described: &described,
            terms: &terms,
            names: &names,
            key: key.as_ref(),
            provenance: captured.as_ref(),
        };
        if sealing.is_none() && self.output.join(&names.archive).exists() {
            let report = self.unchanged(context, &order, Read::Not(scan), report)?;
            return Ok(self.kept(context, store.as_ref(), &terms.policy, report));
        }
        folder.check()?;

        let compression = match self.level {
            _ if self.store => Compression::Store,
            Some(level) => Compression::Level(level),
            None => Compression::Auto,
        };
        let bases = self.bases(context, compression, &mut report)?;
        let place = match &sealing {
            Some(sealing) => sealing.place(&self.output),
            None => self.place(&names)?,
        };
        let meter = context.meter("packing", summary.bytes);
        let options =
            PackOptions { compression, threads: threads(self.threads), bases: &bases, observer: Some(&scan) };
        let packed = pack(source, &described.description, options, place, &meter);
        drop(meter);
        let packed = packed.map_err(|error| self.failure(error))?;
        report.reused = (!self.base.is_empty()).then_some(packed.spared.reused);
        report.kept = self.resume.then_some(packed.spared.kept);
        // What the policy makes of it is decided before anything is signed or has its name.
        let findings = report.found(scan.finish(&described.description, &packed.manifest)?);
        #[cfg(feature = "encryption")]
        if let (Some(sealing), Some(key)) = (&sealing, &key) {
            return self.publish_encrypted(context, &order, (sealing, key), packed, findings, report);
        }
        let report = self.publish(context, &order, packed, findings, report)?;
        self.tidy(&names)?;
        Ok(self.kept(context, store.as_ref(), &terms.policy, report))
    }

    /// Keeps what was made in the store, if there is one. That it could not be kept does not undo it.
    fn kept(
        &self,
        context: &Context,
        store: Option<&Store>,
        policy: &Policy,
        mut report: Packed,
    ) -> Outcome<Packed> {
        let kept = match (store, &report.archive) {
            (Some(store), Some(archive)) => Some(store_args::keep(context, store, &archive.path, policy)),
            _ => None,
        };
        match kept.transpose() {
            Ok(kept) => {
                report.stored = kept;
                Outcome::done(report)
            }
            Err(Failure { exit, problems }) => Outcome { exit, problems, report: Some(report) },
        }
    }

    fn bases(
        &self,
        context: &Context,
        compression: Compression,
        report: &mut Packed,
    ) -> Result<Vec<Base>, Failure> {
        let ours = EncoderId::current(compression);
        let mut bases = Vec::new();
        for path in &self.base {
            let base = Base::open(open_archive(context, path, None)?)
                .map_err(|error| archive_failure(error, path))?;
            if *base.encoder() == ours {
                bases.push(base);
            } else {
                report.notes.push(format!(
                    "`{}` was made by the encoder {}; nothing of it can be used again by {ours}",
                    path.display(),
                    base.encoder()
                ));
            }
        }
        Ok(bases)
    }

    /// Where the archive is written until it has its name.
    fn place(&self, names: &Names) -> Result<Place<'_>, Failure> {
        if !self.resume {
            return Ok(self.output.as_path().into());
        }
        let partial = Partial::open(&self.output, &names.archive).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let problem = Problem::new("in-use", "is being packed by another process");
                Failure::failed(problem.at(self.output.join(&names.archive).display().to_string()))
            }
            _ => unwritable(&self.output, &error),
        })?;
        Ok(Place::Resumable(partial))
    }

    /// What kept the source from being packed; if what was done is not lost, it says so.
    fn failure(&self, error: PackError) -> Failure {
        const KEPT: &str = "what is finished was kept; the same command goes on from there";
        if self.resume && matches!(error, PackError::Cancelled(_)) {
            return Failure::failed(Problem::new("interrupted", "interrupted").hint(KEPT));
        }
        let mut failure = pack_failure(error, &self.output);
        if let (true, Some(problem)) = (self.resume, failure.problems.last_mut()) {
            problem.hint.get_or_insert_with(|| KEPT.into());
        }
        failure
    }

    /// Removes what a run with `--resume` leaves beside an archive that has its name.
    fn tidy(&self, names: &Names) -> Result<(), Failure> {
        if self.resume {
            Partial::remove(&self.output, &names.archive)
                .map_err(|error| unwritable(&self.output, &error))?;
        }
        Ok(())
    }

    /// Asks everybody about the claim that is to be signed.
    fn permit(
        &self,
        claim: &Claim,
        order: &Order<'_>,
        mut report: Packed,
    ) -> Result<(Permit, Packed), Stopped> {
        let answers = order.described.ask(order.terms, claim.findings.as_ref().into());
        match report.asked(&answers, &self.source.directory) {
            Ok(permit) => Ok((permit, report)),
            Err(failure) => Err(Stopped::refused(report, failure)),
        }
    }

    /// Signs what was packed, and gives all files their names: the archive last, so that whoever sees it sees
    /// everything that belongs to it.
    fn publish(
        &self,
        context: &Context,
        order: &Order<'_>,
        packed: PackedArchive,
        findings: Findings,
        report: Packed,
    ) -> Result<Packed, Stopped> {
        let Order { names, key, provenance, .. } = *order;
        let out = &self.output;
        let failed = |error: io::Error| unwritable(out, &error);
        // Of several that pack into one folder at once, each sees all that another has put there, or nothing.
        let held = exclusive(out).map_err(failed)?;
        if out.join(&names.archive).exists() {
            drop((held, packed.file));
            return self.unchanged(context, order, Read::Whole(Box::new(packed.manifest), findings), report);
        }
        let claim = claim(&packed.manifest, packed.id, &packed.facts, order, findings)?;
        let (permit, mut report) = self.permit(&claim, order, report)?;
        report.made(packed.id, &packed.facts, out, names);
        let acts = acts(&claim, &packed.manifest, key.map(|key| (key, &self.key.role)));
        let mut files = Vec::new();
        match existing(&out.join(&names.manifest))? {
            None => {
                files.push((names.manifest.clone(), prepare(out, &packed.manifest_bytes).map_err(failed)?));
            }
            Some(bytes) if bytes == packed.manifest_bytes => {}
            Some(_) => return Err(taken(&out.join(&names.manifest)).into()),
        }
        let mut placed = None;
        if let Some(key) = key {
            placed = match provenance {
                Some(captured) => {
                    Some(captured.place(context, key, (&claim, &packed.manifest), out, names)?)
                }
                None => None,
            };
            let attestations = out.join(&names.attestations);
            if existing(&attestations)?.is_some() {
                // Left by a run that was cut short: it must speak of this very archive.
                let found = crate::bundle_set::read_attestations(&attestations)?;
                let mine = found
                    .statements()
                    .iter()
                    .any(|s| s.statement().claim == claim && s.key() == key.public_key());
                if !mine || found.claims().len() != 1 {
                    let of_it = |s: &&SignedStatement| s.statement().claim.bundle == claim.bundle;
                    let there = found.statements().iter().find(of_it).map(|s| &s.statement().claim);
                    let otherwise = there.map_or_else(Vec::new, |there| restated::differences(there, &claim));
                    restated::check(&attestations, &otherwise)?;
                    return Err(taken(&attestations).into());
                }
            } else {
                let signed = sign_statement(
                    context,
                    key,
                    claim,
                    &self.key.role,
                    Basis::Packed,
                    &permit,
                    !self.no_remember,
                )?;
                let bytes = Attestations::new(signed).to_bytes();
                files.push((names.attestations.clone(), prepare(out, &bytes).map_err(failed)?));
            }
            report.signed(key, &self.key.role, attestations);
        }
        files.extend(placed.as_mut().and_then(|placed| report.comes_from(placed)));
        files.push((names.archive.clone(), packed.file));
        if context.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Failure::failed(crate::checked::interrupted()).into());
        }
        publish(out, files).map_err(|(path, error)| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&path),
            _ => unwritable(&path, &error),
        })?;
        acts.into_iter().for_each(|act| context.record(act));
        self.keep(context, &packed.manifest_bytes, packed.id, placed.as_ref(), &mut report);
        Ok(report)
    }

    /// Signs and seals what was packed, and gives the encrypted archive and its statement their names. Of the
    /// manifest there is no copy outside.
    #[cfg(feature = "encryption")]
    fn publish_encrypted(
        &self,
        context: &Context,
        order: &Order<'_>,
        (sealing, key): (&Sealing, &OpenKey),
        packed: PackedArchive,
        findings: Findings,
        report: Packed,
    ) -> Result<Outcome<Packed>, Stopped> {
        let out = &self.output;
        let claim = claim(&packed.manifest, packed.id, &packed.facts, order, findings)?;
        let (permit, mut report) = self.permit(&claim, order, report)?;
        let mut acts = acts(&claim, &packed.manifest, Some((key, &self.key.role)));
        let inner =
            sign_statement(context, key, claim, &self.key.role, Basis::Packed, &permit, !self.no_remember)?;
        let outer = sealing.claim(&inner)?;
        let names = crate::encrypted_set::EncryptedNames::of(&outer);
        report.bundle.id = Some(packed.id.to_string());
        report.encrypted = Some(EncryptedOut {
            path: out.join(&names.archive),
            size: outer.size,
            sha256: outer.sha256.to_string(),
            recipients: sealing.recipients().to_vec(),
        });
        let signed = sealing.sign(context, key, outer, inner)?;
        let bytes = consign_signing::EncryptedAttestations::new(signed).to_bytes();
        let attestations = prepare(out, &bytes).map_err(|error| unwritable(out, &error))?;
        crate::operations::encrypt::publish_encrypted(context, out, &names, attestations, packed.file)?;
        self.keep(context, &packed.manifest_bytes, packed.id, None, &mut report);
        report.signed(key, &self.key.role, out.join(&names.attestations));
        if let (Some(packed), Some(encrypted)) = (acts.first_mut(), &report.encrypted) {
            *packed = packed.clone().with("encrypted_sha256", &encrypted.sha256);
        }
        acts.into_iter().for_each(|act| context.record(act));
        Ok(Outcome::done(report))
    }

    /// There is an archive of that name already: it must be intact and hold exactly what would be packed.
    fn unchanged(
        &self,
        context: &Context,
        order: &Order<'_>,
        read: Read,
        mut report: Packed,
    ) -> Result<Packed, Stopped> {
        let Order { described, names, key, provenance, .. } = *order;
        let out = &self.output;
        let archive = out.join(&names.archive);
        let set = BundleSet::find_one(&archive)?;
        let there = check(context, &set, Scope::Content, threads(self.threads))?;
        let (manifest, findings) = match read {
            Read::Whole(manifest, findings) => (*manifest, Ok(findings)),
            Read::Not(scan) => {
                let meter = context.meter("hashing", described.source.summary().bytes);
                let manifest = hash_source(
                    &described.source,
                    &described.description,
                    threads(self.threads),
                    Some(&scan),
                    &meter,
                );
                drop(meter);
                (manifest.map_err(|error| pack_failure(error, out))?, Err(scan))
            }
        };
        let manifest_bytes = manifest.to_bytes();
        let id = Manifest::id_of(&manifest_bytes);
        if id != there.id() {
            return Err(differs(&archive, &there, &manifest).into());
        }
        report.made(id, there.facts(), out, names);
        report.status = "unchanged";
        let findings = match findings {
            Ok(findings) => findings,
            Err(scan) => report.found(scan.finish(&described.description, &manifest)?),
        };
        self.tidy(names)?;
        if !out.join(&names.manifest).exists() {
            report.manifest = None;
        }
        match (key, &set.attestations) {
            // What was packed unsigned before, or lost its attestations, is signed now.
            (Some(key), None) => {
                let claim = claim(there.manifest(), id, there.facts(), order, findings)?;
                let permit;
                (permit, report) = self.permit(&claim, order, report)?;
                let acts = acts(&claim, there.manifest(), Some((key, &self.key.role)));
                let signed = sign_statement(
                    context,
                    key,
                    claim,
                    &self.key.role,
                    Basis::Packed,
                    &permit,
                    !self.no_remember,
                )?;
                let bytes = Attestations::new(signed).to_bytes();
                let file = prepare(out, &bytes).map_err(|error| unwritable(out, &error))?;
                publish(out, vec![(names.attestations.clone(), file)])
                    .map_err(|(path, error)| unwritable(&path, &error))?;
                report.signed(key, &self.key.role, out.join(&names.attestations));
                report.notes.push("the archive was there already, unsigned; it is signed now".into());
                acts.into_iter().for_each(|act| context.record(act));
            }
            (Some(key), Some((path, attestations))) => {
                let signed = sole_claim(&set)?.and_then(|claim| claim.findings.as_ref());
                if signed.is_some_and(|signed| *signed != findings) {
                    report.notes.push(scan_args::OTHER_FINDINGS.into());
                }
                let wanted = claim(there.manifest(), id, there.facts(), order, findings)?;
                let mut otherwise =
                    sole_claim(&set)?.map_or_else(Vec::new, |signed| restated::differences(signed, &wanted));
                let mine = attestations.statements().iter().filter(|one| one.key() == key.public_key());
                let mut roles = mine.map(|one| &one.statement().signer.role);
                if let Some(role) = roles.next().filter(|role| *role != &self.key.role)
                    && roles.all(|role| role != &self.key.role)
                {
                    otherwise.extend(restated::other_role(role, &self.key.role));
                }
                restated::check(path, &otherwise)?;
                match attestations.statements().iter().find(|signed| signed.key() == key.public_key()) {
                    Some(signed) => {
                        let signer = &signed.statement().signer;
                        let claim = &signed.statement().claim;
                        // It may have been packed by a run that was killed before it could say so.
                        let told = || ledger::tells_of(context, Action::Packed, &claim.bundle, None);
                        if signer.basis == Basis::Packed && !told() {
                            let acts = acts(claim, there.manifest(), Some((key, &signer.role)));
                            acts.into_iter().for_each(|act| context.record(act.with("found", true)));
                        }
                        report.signed(key, &signer.role, path.clone());
                    }
                    None => {
                        let word = shell_word(&archive.display().to_string());
                        report.notes.push(format!(
                            "this key has not signed it; to add a signature: consign sign {word}"
                        ));
                    }
                }
            }
            (None, _) => {}
        }
        let placed = match (key, provenance) {
            (Some(key), Some(captured)) => {
                self.place_beside(context, (key, captured), &there, names, &mut report)?
            }
            _ => None,
        };
        self.keep(context, &manifest_bytes, id, placed.as_ref(), &mut report);
        Ok(report)
    }

    /// Remembers the bundle, unless told not to.
    fn keep(
        &self,
        context: &Context,
        manifest: &[u8],
        id: BundleId,
        placed: Option<&Placed>,
        report: &mut Packed,
    ) {
        if !self.no_remember {
            report.notes.extend(keep(context, manifest, id, placed));
        }
    }

    /// Signs where an archive comes from that is there already. What a key says of a bundle that it has not signed counts
    /// for nobody.
    fn place_beside(
        &self,
        context: &Context,
        (key, captured): (&OpenKey, &Captured),
        there: &VerifiedArchive,
        names: &Names,
        report: &mut Packed,
    ) -> Result<Option<Placed>, Failure> {
        let out = &self.output;
        let set = BundleSet::find_one(&out.join(&names.archive))?;
        let mut statements = set.attestations.iter().flat_map(|(_, all)| all.statements());
        let Some(claim) = sole_claim(&set)?.filter(|_| statements.any(|s| s.key() == key.public_key()))
        else {
            return Ok(None);
        };
        let mut placed = captured.place(context, key, (claim, there.manifest()), out, names)?;
        if let Some(file) = report.comes_from(&mut placed) {
            publish(out, vec![file]).map_err(|(path, error)| unwritable(&path, &error))?;
            report.notes.push("where it comes from was not signed before; it is now".into());
        }
        Ok(Some(placed))
    }
}

/// What is claimed of a bundle that was packed here.
fn claim(
    manifest: &Manifest,
    id: BundleId,
    facts: &ArchiveFacts,
    order: &Order<'_>,
    findings: Findings,
) -> Result<Claim, Failure> {
    let mut claim = Claim::new(bundle_claim(manifest, id), Content::Archive(archive_claim(facts)?));
    claim.excluded = Some(order.described.excluded());
    claim.findings = Some(findings);
    order.terms.apply(&mut claim);
    Ok(claim)
}

/// What was done, for the ledger: a bundle was made, and rules were set aside for it.
fn acts(claim: &Claim, manifest: &Manifest, signer: Option<(&OpenKey, &Role)>) -> Vec<Act> {
    let act = Act::of(Action::Packed, claim).with("files", manifest.files().len()).made_of(manifest);
    let act = match signer {
        Some((key, role)) => act.signed_by(key.public_key(), role),
        None => act.with("signed", false),
    };
    std::iter::once(act).chain(Act::exceptions(claim)).collect()
}

/// What differs between an archive that is there and what would be packed under its name.
fn differs(archive: &Path, there: &VerifiedArchive, manifest: &Manifest) -> Failure {
    let diff = consign_metadata::diff(there.manifest(), manifest);
    let problem = Problem::new(
        "version-taken",
        format!("holds something else under the same name and version: {}", diff.in_one_line()),
    )
    .at(archive.display().to_string())
    .hint("a version never changes: raise it with `--version`, or pack elsewhere");
    Failure::failed(problem)
}

/// Refuses early where the disk is certainly too small. What compresses to less than a fiftieth is rare, and
/// holes in sparse files are not counted.
fn check_space(summary: SourceSummary, out: &Path) -> Result<(), Failure> {
    let Some(free) = free_space(out) else { return Ok(()) };
    if free >= summary.allocated / 50 {
        return Ok(());
    }
    let problem =
        Problem::new("no-space", format!("has {} free, for {} of content", size(free), size(summary.bytes)));
    Err(Failure::failed(problem.at(out.display().to_string()).hint("make room, or write to another disk")))
}

#[cfg(unix)]
pub fn free_space(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
pub fn free_space(_: &Path) -> Option<u64> {
    None
}

impl Packed {
    fn new(described: &Described, output: &Path) -> Self {
        let (core, summary) = (&described.description.core, described.source.summary());
        let mut notes = Vec::new();
        if summary.hard_links > 0 {
            notes.push(format!(
                "{} with other names (hard links); each is packed as a file of its own",
                count(summary.hard_links, "file", "files")
            ));
        }
        if summary.followed > 0 {
            notes.push(format!(
                "{} reached through symbolic links",
                count(summary.followed, "file was", "files were")
            ));
        }
        notes.extend(modes_not_told(&described.source));
        if let Some(free) = free_space(output)
            && free < summary.allocated
        {
            notes.push(format!("{} has only {} free", output.display(), size(free)));
        }
        Self {
            status: "packed",
            bundle: BundleOut::described(core, None),
            files: summary.files,
            directories: summary.directories,
            bytes: summary.bytes,
            reused: None,
            kept: None,
            archive: None,
            stored: None,
            #[cfg(feature = "encryption")]
            encrypted: None,
            manifest: None,
            attestations: None,
            signer: None,
            provenance: None,
            handling: None,
            laboratories: Vec::new(),
            excluded: described
                .excluded()
                .into_iter()
                .map(|e| ExcludedOut { pattern: e.pattern.to_string(), files: e.count })
                .collect(),
            findings: None,
            places: None,
            notes,
        }
    }

    /// Takes over what those say who were asked; all that stands against it is a failure.
    fn asked(&mut self, answers: &Answers<'_>, at: &Path) -> Result<Permit, Failure> {
        self.handling = Some(answers.handling());
        self.laboratories = answers.laboratories();
        answers.permit(at)
    }

    /// Takes over what the scan found.
    fn found(&mut self, scanned: Scanned) -> Findings {
        self.notes.extend(scanned.unused.iter().map(scan_args::unused_in_words));
        self.findings = Some(scanned.findings.clone());
        self.places = Some(FindingOut::all(scanned.places));
        scanned.findings
    }

    /// Says what is about to be signed, before it is.
    fn echo(&self, context: &Context, described: &Described) {
        let classification: &Classification = &described.description.core.classification;
        let contact = &described.description.core.contact;
        context.person().tell(&format!(
            "packing {} {} [{}] for {} <{}>: {}, {}",
            self.bundle.name,
            self.bundle.version,
            classification.as_str().to_uppercase(),
            contact.name,
            contact.email,
            count(self.files, "file", "files"),
            size(self.bytes)
        ));
    }

    fn made(&mut self, id: BundleId, facts: &ArchiveFacts, out: &Path, names: &Names) {
        self.bundle.id = Some(id.to_string());
        self.archive = Some(ArchiveOut {
            path: out.join(&names.archive),
            size: facts.size,
            sha256: facts.sha256.to_string(),
            encoder: facts.encoder.to_string(),
        });
        self.manifest = Some(out.join(&names.manifest));
    }

    /// Takes over what was signed about where it comes from, and gives the file that is to be published.
    fn comes_from(&mut self, placed: &mut Placed) -> Option<(String, tempfile::NamedTempFile)> {
        self.provenance = Some(placed.out.clone());
        self.notes.append(&mut placed.notes);
        placed.file.take()
    }

    fn signed(&mut self, key: &OpenKey, role: &Role, attestations: PathBuf) {
        self.signer = Some(SignerOut::of(key, role));
        self.attestations = Some(attestations);
    }
}
