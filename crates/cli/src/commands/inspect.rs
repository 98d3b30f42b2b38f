//! `consign inspect`: what a bundle says of itself. It trusts nothing and verifies nothing.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use consign_metadata::{FileEntry, Findings, Line, Manifest, Paragraph, Problem, printable};
use consign_signing::PublicClaim;
use serde::Serialize;
use serde_json::Value;

use crate::addressing;
use crate::args::{self, Given};
use crate::bundle_out::BundleOut;
use crate::bundle_set::read_manifest;
use crate::claimed::{ClaimedArchive, ClaimedManifest, manifest_of};
use crate::context::Context;
use crate::encrypted_set::{EncryptedSet, opened_with_its_files};
use crate::outcome::{Failure, Outcome, Report};
use crate::provenance::{self, facts::ProvenanceOut};
use crate::recipients::SaidRecipients;
use crate::render;
use crate::style::{self, count, size};

/// Show what a bundle says of itself: claims, not verdicts
///
/// Reads the end of the archive only. Nothing is verified; `consign verify` does that.
#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// Archive, attestations, folder with one bundle, or a manifest
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// List the files
    #[arg(long)]
    files: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Inspected {
    /// Always false: nothing here is verified.
    verified: bool,
    bundle: BundleOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveOut>,
    contact: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<Line>,
    parents: Vec<String>,
    /// Everything else that the descriptor says, as it stands in the manifest.
    descriptor: Value,
    names: Value,
    exclude: Vec<Line>,
    file_count: u64,
    directory_count: u64,
    bytes: u64,
    formats: Vec<Format>,
    signatures: Vec<SignatureOut>,
    /// Who can open it, if it is encrypted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<RecipientOut>,
    /// What the signers say that a scan of the content found; absent if they do not say, or not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Findings>,
    /// What somebody says about where it comes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provenance: Vec<ProvenanceOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileEntry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directories: Option<Vec<String>>,
    #[serde(skip)]
    manifest: Manifest,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ArchiveOut {
    path: PathBuf,
    size: u64,
    /// The digest that the tail leads to.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    sha256: String,
    frames: usize,
    encoder: String,
}

/// Somebody who can open an encrypted bundle, by the word of those who signed it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RecipientOut {
    /// `age1…`
    recipient: Line,
    /// What the own policy calls whoever has that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Line>,
    /// The keys that signed it.
    said_by: Vec<String>,
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Format {
    suffix: String,
    files: u64,
    bytes: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SignatureOut {
    fingerprint: String,
    role: String,
    basis: String,
    time: String,
    about: String,
}

impl Inspect {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
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
        Ok(Outcome::done(Inspected {
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
        }))
    }
}

/// What an encrypted bundle says in public.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InspectedOutside {
    /// Always false: nothing here is verified.
    verified: bool,
    encrypted: EncryptedFile,
    public: PublicClaim,
    signatures: Vec<SignatureOut>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct EncryptedFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    /// Size and digest by the statements.
    size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    sha256: String,
}

/// What can be said of an encrypted bundle without opening it.
fn outside(set: &EncryptedSet) -> Result<Outcome, Failure> {
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
    Ok(Outcome::done(InspectedOutside {
        verified: false,
        encrypted: EncryptedFile {
            path: set.archive.clone(),
            size: claim.size,
            sha256: claim.sha256.to_string(),
        },
        public: claim.public.clone(),
        signatures: attestations.statements().iter().map(signature).collect(),
    }))
}

impl Report for InspectedOutside {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (hint, faint) = (style::HINT, style::FAINT);
        writeln!(out, "{hint}an encrypted bundle{hint:#}")?;
        writeln!(
            out,
            "{faint}Claims of whoever made it; nothing is verified here. See `consign verify`.{faint:#}\n"
        )?;
        let public = &self.public;
        match &public.bundle {
            Some(bundle) => writeln!(out, "bundle      {} {}", bundle.name, bundle.version)?,
            None => {
                writeln!(out, "bundle      hidden: only its recipients can see it, with `--identity FILE`")?;
            }
        }
        if let Some(classification) = &public.classification {
            writeln!(out, "class       {}", classification.as_str().to_uppercase())?;
        }
        for addressee in &public.addressees {
            writeln!(out, "for         {addressee}")?;
        }
        writeln!(out, "encrypted   {}, {}", size(self.encrypted.size), self.encrypted.sha256)?;
        for signature in &self.signatures {
            writeln!(
                out,
                "signature   {} as {} ({}), stated time {}",
                signature.fingerprint, signature.role, signature.basis, signature.time
            )?;
        }
        Ok(())
    }
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

impl Report for Inspected {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (warn, hint, faint) = (style::WARN, style::HINT, style::FAINT);
        let class = self.bundle.class();
        let line = "=".repeat(class.chars().count() + 4);
        writeln!(out, "{warn}{line}\n= {class} =\n{line}{warn:#}")?;
        writeln!(out, "{hint}{} {}{hint:#}", self.bundle.name, self.bundle.version)?;
        writeln!(
            out,
            "{faint}Claims of whoever made it; nothing is verified here. See `consign verify`.{faint:#}\n"
        )?;
        writeln!(out, "bundle id   {}", self.bundle.id())?;
        if let Some(archive) = &self.archive {
            writeln!(out, "archive     {}, {}", size(archive.size), archive.sha256)?;
            let frames = count(archive.frames as u64, "frame", "frames");
            writeln!(out, "            {frames}, {}", archive.encoder)?;
        }
        let empty = match self.directory_count {
            0 => String::new(),
            n => format!(", {}", count(n, "empty directory", "empty directories")),
        };
        writeln!(
            out,
            "content     {}{empty}, {}",
            count(self.file_count, "file", "files"),
            size(self.bytes)
        )?;
        for format in self.formats.iter().take(8) {
            let suffix = if format.suffix.is_empty() { "(no suffix)" } else { &format.suffix };
            writeln!(
                out,
                "            {:14} {:>10}  {}",
                printable(suffix),
                size(format.bytes),
                count(format.files, "file", "files")
            )?;
        }
        if self.formats.len() > 8 {
            writeln!(out, "            and {} more kinds of names", self.formats.len() - 8)?;
        }
        self.described(out)?;
        match self.signatures.len() {
            0 => writeln!(out, "\nsignatures  none found beside it")?,
            _ => writeln!(
                out,
                "\nsignatures  valid for the key they name; whose key that is, this command does not ask"
            )?,
        }
        for signature in &self.signatures {
            writeln!(
                out,
                "            {} as {} ({}), stated time {}",
                signature.fingerprint, signature.role, signature.basis, signature.time
            )?;
        }
        for provenance in &self.provenance {
            writeln!(out, "\nprovenance  {}", provenance.facts.in_words())?;
        }
        if let Some(findings) = &self.findings {
            writeln!(out, "\nfindings    of {}, as signed", printable(findings.scanner.as_str()))?;
            if findings.found.is_empty() && findings.allowed.is_empty() {
                writeln!(out, "            none")?;
            }
            render::findings(findings, None, out)?;
        }
        if let Some(files) = &self.files {
            writeln!(out)?;
            for file in files {
                writeln!(out, "{}  {:>12}  {}", file.sha256.hex(), file.size, file.path)?;
            }
            for directory in self.manifest.directories() {
                writeln!(out, "{:64}  {:>12}  {directory}/", "", "")?;
            }
        }
        Ok(())
    }
}

impl Inspected {
    /// What the descriptor says, a line a field.
    fn described(&self, out: &mut dyn Write) -> io::Result<()> {
        let core = self.manifest.core();
        render::addressees(&self.bundle.addressees, "", 11, out)?;
        for (n, known) in self.recipients.iter().enumerate() {
            let what = if n == 0 { "opened by" } else { "" };
            let name = known
                .name
                .as_ref()
                .map_or_else(String::new, |name| format!(" ({})", printable(name.as_str())));
            writeln!(out, "{what:<11} {}{name}", printable(known.recipient.as_str()))?;
        }
        let organization = core.contact.organization.as_ref().map_or_else(String::new, |o| format!(", {o}"));
        let role = core.contact.role.as_ref().map_or_else(String::new, |role| format!(" ({role})"));
        writeln!(out, "contact     {}{role} <{}>{organization}", core.contact.name, core.contact.email)?;
        if let Some(license) = &core.license {
            writeln!(out, "license     {license}")?;
        }
        for parent in &core.parents {
            writeln!(out, "derived of  {parent}")?;
        }
        if let Some(exclude) = self.exclude.first() {
            let more = self.exclude.len() - 1;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(out, "left out    what matches `{exclude}`{more}")?;
        }
        match self.manifest.descriptor().details() {
            Some(details) => details_in_words(details, out),
            None => writeln!(
                out,
                "\nThe rest of the descriptor has schema {}, which this version of consign does not know.",
                self.manifest.descriptor().schema()
            ),
        }
    }
}

fn details_in_words(details: &consign_metadata::Details, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "kind        {}", details.kind)?;
    if let Some(title) = &details.title {
        writeln!(out, "title       {title}")?;
    }
    if let Some(description) = &details.description {
        writeln!(out)?;
        wrapped(description, out)?;
    }
    let sections = [
        ("Training", json_of(&details.training)),
        ("Provenance", json_of(&details.provenance)),
        ("Model card", json_of(&details.model_card)),
        ("Data", json_of(&details.data)),
        ("Handling", json_of(&details.handling)),
    ];
    for (title, section) in sections {
        if let Some(Value::Object(members)) = section {
            let hint = style::HINT;
            writeln!(out, "\n{hint}{title}{hint:#}")?;
            for (key, value) in &members {
                field(key, value, 1, out)?;
            }
        }
    }
    Ok(())
}

fn json_of<T: Serialize>(value: &Option<T>) -> Option<Value> {
    value.as_ref().and_then(|value| serde_json::to_value(value).ok())
}

fn wrapped(text: &Paragraph, out: &mut dyn Write) -> io::Result<()> {
    text.as_str().lines().try_for_each(|line| fill(line, 0, out))
}

/// Writes words in lines of at most 96 columns.
fn fill(text: &str, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && indent + column + 1 + width > 96 {
            writeln!(out)?;
            column = 0;
        }
        if column == 0 {
            write!(out, "{:indent$}", "")?;
        } else {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{}", printable(word))?;
        column += width;
    }
    writeln!(out)
}

/// One field of a descriptor, of whatever shape.
fn field(key: &str, value: &Value, depth: usize, out: &mut dyn Write) -> io::Result<()> {
    let indent = 2 * depth;
    let label = printable(&key.replace('_', " "));
    match value {
        Value::Object(members) => {
            writeln!(out, "{:indent$}{label}:", "")?;
            members.iter().try_for_each(|(key, value)| field(key, value, depth + 1, out))
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            writeln!(out, "{:indent$}{label}:", "")?;
            items.iter().try_for_each(|item| {
                let parts = item
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| format!("{}: {}", key.replace('_', " "), plain(value)));
                fill(&format!("- {}", parts.collect::<Vec<_>>().join("; ")), indent + 2, out)
            })
        }
        other => fill(&format!("{label}: {}", plain(other)), indent, out),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}
