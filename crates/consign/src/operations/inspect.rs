//! What a bundle says of itself. It trusts nothing and verifies nothing.

use crate::addressing;
use crate::bundle_out::BundleOut;
use crate::bundle_set::read_manifest;
use crate::claimed::{ClaimedArchive, ClaimedManifest, manifest_of};
use crate::context::Context;
use crate::encrypted_set::{EncryptedSet, opened_with_its_files};
use crate::encryption::IdentityArgs;
use crate::failure::Failure;
use crate::operation::{Outcome, Request};
use crate::provenance::{self, facts::ProvenanceOut};
use crate::recipients::SaidRecipients;
use consign_metadata::{FileEntry, Findings, Line, Manifest, Problem, printable};
use consign_signing::PublicClaim;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Show what a bundle says of itself: claims, not verdicts
///
/// Reads the end of the archive only. Nothing is verified; `consign verify` does that.
#[derive(Clone, Debug)]
pub struct Inspect {
    /// Archive, attestations, folder with one bundle, or a manifest
    pub bundle: PathBuf,
    pub identity: IdentityArgs,
    /// List the files
    pub files: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inspected {
    /// Always false: nothing here is verified.
    pub verified: bool,
    pub bundle: BundleOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveOut>,
    pub contact: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<Line>,
    pub parents: Vec<String>,
    /// Everything else that the descriptor says, as it stands in the manifest.
    pub descriptor: Value,
    pub names: Value,
    pub exclude: Vec<Line>,
    pub file_count: u64,
    pub directory_count: u64,
    pub bytes: u64,
    pub formats: Vec<Format>,
    pub signatures: Vec<SignatureOut>,
    /// Who can open it, if it is encrypted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<RecipientOut>,
    /// What the signers say that a scan of the content found; absent if they do not say, or not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// What somebody says about where it comes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<ProvenanceOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileEntry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directories: Option<Vec<String>>,
    #[serde(skip)]
    pub manifest: Manifest,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArchiveOut {
    pub path: PathBuf,
    pub size: u64,
    /// The digest that the tail leads to.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
    pub frames: usize,
    pub encoder: String,
}

/// Somebody who can open an encrypted bundle, by the word of those who signed it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecipientOut {
    /// `age1…`
    pub recipient: Line,
    /// What the own policy calls whoever has that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Line>,
    /// The keys that signed it.
    pub said_by: Vec<String>,
}

impl RecipientOut {
    fn all(context: &Context, said: &SaidRecipients) -> Vec<Self> {
        // What cannot be read of it does without names.
        let policy = context.policy(None).ok();
        let listed = policy.iter().flat_map(consign_policy::Policy::recipients).collect::<Vec<_>>();
        let out = |(recipient, keys): (&Line, Vec<&consign_signing::PublicKey>)| Self {
            recipient: recipient.clone(),
            name: listed
                .iter()
                .find(|known| known.encrypt_to.contains(recipient))
                .map(|known| known.name.clone()),
            said_by: keys.iter().map(|key| key.fingerprint().to_string()).collect(),
        };
        said.claimed().into_iter().map(out).collect()
    }
}

/// Files by the ends of their names; their content is not looked at.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Format {
    pub suffix: String,
    pub files: u64,
    pub bytes: u64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignatureOut {
    pub fingerprint: String,
    pub role: String,
    pub basis: String,
    pub time: String,
    pub about: String,
}

/// What a bundle says of itself.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Report {
    /// All of it: it is not encrypted, or was opened.
    Inside(Box<Inspected>),
    /// What stands outside of an encrypted one.
    Outside(Box<InspectedOutside>),
}

impl Request for Inspect {
    const COMMAND: &str = "inspect";
    type Report = Report;

    fn run(&self, context: &Context) -> Result<Outcome<Report>, Failure> {
        let is_manifest =
            self.bundle.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".json"));
        let mut recipients = Vec::new();
        let (manifest, bytes, archive, set) = if is_manifest && self.bundle.is_file() {
            let (manifest, bytes) = read_manifest(&self.bundle)?;
            (manifest, bytes, None, None)
        } else {
            if !self.identity.is_given()
                && let Some(encrypted) = EncryptedSet::find_one(&self.bundle)?
            {
                return outside(&encrypted);
            }
            let (set, files) = opened_with_its_files(context, &self.bundle, &self.identity)?;
            recipients = files.map_or_else(Vec::new, |files| RecipientOut::all(context, &files.recipients));
            let ClaimedManifest { manifest, bytes, archive } = manifest_of(&set)?;
            (manifest, bytes, archive.as_ref().map(ArchiveOut::of), Some(set))
        };
        let claims = set.iter().filter_map(|set| Some((set, set.attestations.as_ref()?.1.claims())));
        let mut provenance = Vec::new();
        for (set, claims) in claims {
            if let [group] = &claims[..] {
                provenance = provenance::file::claimed(set, group.claim)?;
            }
        }
        let attestations = set.and_then(|set| set.attestations);
        let signatures = attestations.as_ref().map_or_else(Vec::new, |(_, attestations)| {
            attestations.statements().iter().map(SignatureOut::of).collect()
        });
        let (findings, addressees) = match attestations.as_ref().map(|(_, found)| found.claims()).as_deref() {
            Some([group]) => (group.claim.findings.clone(), addressing::told(&group.claim.addressees)),
            _ => (None, Vec::new()),
        };
        let core = manifest.core();
        let bundle_id = Manifest::id_of(&bytes);
        drop(bytes);
        Ok(Outcome::done(Report::Inside(Box::new(Inspected {
            verified: false,
            bundle: BundleOut::described(core, Some(bundle_id)).for_whom(addressees),
            archive,
            contact: serde_json::to_value(&core.contact).unwrap_or_default(),
            license: core.license.clone(),
            parents: core.parents.iter().map(ToString::to_string).collect(),
            descriptor: manifest.descriptor().to_value(),
            names: serde_json::to_value(manifest.names()).unwrap_or_default(),
            exclude: manifest.exclude().to_vec(),
            file_count: manifest.files().len() as u64,
            directory_count: manifest.directories().len() as u64,
            bytes: manifest.payload_bytes(),
            formats: formats(&manifest),
            signatures,
            recipients,
            findings,
            provenance,
            files: self.files.then(|| manifest.files().to_vec()),
            directories: self.files.then(|| manifest.directories().iter().map(ToString::to_string).collect()),
            manifest,
        }))))
    }
}

/// What an encrypted bundle says in public.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InspectedOutside {
    /// Always false: nothing here is verified.
    pub verified: bool,
    pub encrypted: EncryptedFile,
    pub public: PublicClaim,
    pub signatures: Vec<SignatureOut>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EncryptedFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Size and digest by the statements.
    pub size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
}

/// What can be said of an encrypted bundle without opening it.
fn outside(set: &EncryptedSet) -> Result<Outcome<Report>, Failure> {
    let (Some((_, attestations)), Some(claim)) = (&set.attestations, set.claim()?) else {
        let problem = Problem::new("encrypted", "is encrypted, and no statement about it is beside it");
        return Err(Failure::failed(
            problem.at(set.shown().display().to_string()).hint("to look into it: `--identity FILE`"),
        ));
    };
    let signature = |signed: &consign_signing::SignedEncrypted| {
        let signer = &signed.statement().signer;
        SignatureOut {
            fingerprint: signed.key().fingerprint().to_string(),
            role: signer.role.to_string(),
            basis: signer.basis.to_string(),
            time: signer.time.to_string(),
            about: claim.sha256.to_string(),
        }
    };
    Ok(Outcome::done(Report::Outside(Box::new(InspectedOutside {
        verified: false,
        encrypted: EncryptedFile {
            path: set.archive.clone(),
            size: claim.size,
            sha256: claim.sha256.to_string(),
        },
        public: claim.public.clone(),
        signatures: attestations.statements().iter().map(signature).collect(),
    }))))
}

impl ArchiveOut {
    fn of(claimed: &ClaimedArchive) -> Self {
        Self {
            path: claimed.path.clone(),
            size: claimed.facts.size,
            sha256: claimed.facts.sha256.to_string(),
            frames: claimed.frames,
            encoder: printable(claimed.facts.encoder.as_str()),
        }
    }
}

impl SignatureOut {
    fn of(signed: &consign_signing::SignedStatement) -> Self {
        let statement = signed.statement();
        Self {
            fingerprint: signed.key().fingerprint().to_string(),
            role: statement.signer.role.to_string(),
            basis: statement.signer.basis.to_string(),
            time: statement.signer.time.to_string(),
            about: statement.claim.subject_digest().to_string(),
        }
    }
}

fn formats(manifest: &Manifest) -> Vec<Format> {
    let mut by_suffix: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in manifest.files() {
        let name = file.path.file_name();
        let suffix =
            name.rfind('.').filter(|&at| at > 0).map_or_else(String::new, |at| name[at..].to_lowercase());
        let entry = by_suffix.entry(suffix).or_default();
        entry.0 += 1;
        entry.1 = entry.1.saturating_add(file.size);
    }
    let mut formats: Vec<_> =
        by_suffix.into_iter().map(|(suffix, (files, bytes))| Format { suffix, files, bytes }).collect();
    formats.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.suffix.cmp(&b.suffix)));
    formats
}
