//! What verification has to say of a bundle.

use std::path::Path;

use consign_metadata::{Findings, Problem};
use consign_signing::{BundleClaim, Claim, Decision, PublicClaim, RuleOrigin};
use serde::{Serialize, Serializer};

use crate::addressing;
use crate::examined::AsOf;
use crate::handling::Handling;
use crate::provenance::facts::ProvenanceOut;

/// What was found of one bundle.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleReport {
    /// What the argument named.
    pub path: String,
    /// Whether everything held: intact, trusted, expected. Of an encrypted bundle that was not opened it is not known
    /// what it is, so that it is not `verified`, though nothing is wrong with it.
    pub verified: bool,
    /// How much was checked: `content`, `bytes`, `files` or `directory`, or `encrypted`, where only the encrypted
    /// bytes were looked at, and are those that somebody trusted signed; absent if it did not hold. With `asserted-`
    /// before it, it held as of an earlier time for no other reason than the caller's word, and is not `verified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The time as of which trust was asked, if that was an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
    /// Whether enough trusted keys signed.
    pub trusted: bool,
    /// Name, version, classification and id: claims, unless `verified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveReport>,
    /// The encrypted file, if the bundle is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<ArchiveReport>,
    /// What an encrypted bundle says in public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<PublicClaim>,
    pub signatures: Vec<Signature>,
    /// How many distinct keys counted, and had to.
    pub counted: u64,
    pub required: u64,
    /// What the handling policy says; absent if it was not asked, since the bundle is not intact or not trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handling: Option<Handling>,
    /// What the signers say that a scan found in the content; a claim, unless `verified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// What had to be met, and how far it was.
    pub rules: Vec<Rule>,
    /// What keys that counted say about where it comes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<ProvenanceOut>,
    /// Revocations of this bundle, counted or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<Revoked>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
    /// What it comes to.
    #[serde(skip)]
    pub verdict: Verdict,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rule {
    /// Where the rule comes from.
    pub rule: String,
    pub met: bool,
    pub parts: Vec<Part>,
    /// That one key must have signed goes without saying.
    #[serde(skip)]
    pub goes_without_saying: bool,
}

/// One part of a rule.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// `keys`, `owners` or `role`.
    pub what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub needed: u64,
    pub have: u64,
    pub missing: u64,
}

/// A revocation of the bundle.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Revoked {
    pub fingerprint: String,
    pub role: String,
    pub time: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub counted: bool,
    /// By what it counts: `signer`, `revoker` or `root`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<consign_signing::Authority>,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bundle {
    pub name: String,
    pub version: String,
    pub classification: String,
    pub id: String,
    /// Whom it is for, by its statements.
    pub addressees: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The same, for the ledger.
    #[serde(skip)]
    pub claim: BundleClaim,
}

impl Bundle {
    pub(super) fn of(claim: &BundleClaim, addressees: Vec<String>) -> Self {
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArchiveReport {
    pub size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signature {
    pub fingerprint: String,
    pub role: String,
    pub basis: String,
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The import that lists the key, if it is not trust.toml itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    pub counted: bool,
    /// It counted as a key, but a rule asks for different owners, and its owner was counted before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub owner_counted_already: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerifyReport {
    pub bundles: Vec<BundleReport>,
}

impl BundleReport {
    /// How many secrets whoever made the bundle let pass; `None` for none.
    pub(super) fn secrets_allowed(&self) -> Option<usize> {
        let all = self.findings.iter().flat_map(|findings| &findings.allowed);
        Some(all.filter(|allowed| allowed.rule.kind() == "secret").count()).filter(|count| *count > 0)
    }
}

/// What looking at a bundle comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It held, as far as it was looked at.
    Verified {
        /// How many files were looked at, where it were some.
        files: u64,
    },
    /// It is intact and vouched for, and the policy does not admit it.
    Refused,
    /// Somebody who may took it back.
    Revoked,
    /// Nobody who is trusted vouches for it, or not enough of them.
    NotTrusted,
    /// It is another one than was announced, or than was seen before.
    NotExpected,
    /// It is not what was signed.
    NotIntact,
    /// It could not be looked at.
    NotChecked,
}

/// How much of a bundle held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// What was looked at.
    pub depth: Depth,
    /// It held as of an earlier time for no other reason than the caller's word.
    pub asserted: bool,
}

/// How much of a bundle was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of it.
    Content,
    /// Every byte of the archive, none of it decoded.
    Bytes,
    /// Some files of it.
    Files,
    /// A directory that lies there.
    Directory,
    /// The bytes of an encrypted bundle that was not opened.
    Encrypted,
}

impl Level {
    /// The word of reports and of the ledger.
    pub fn as_str(self) -> &'static str {
        match (self.asserted, self.depth) {
            (false, Depth::Content) => "content",
            (false, Depth::Bytes) => "bytes",
            (false, Depth::Files) => "files",
            (false, Depth::Directory) => "directory",
            (false, Depth::Encrypted) => "encrypted",
            (true, Depth::Content) => "asserted-content",
            (true, Depth::Bytes) => "asserted-bytes",
            (true, Depth::Files) => "asserted-files",
            (true, Depth::Directory) => "asserted-directory",
            (true, Depth::Encrypted) => "asserted-encrypted",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Level {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

impl Signature {
    pub(super) fn of(verdict: &consign_signing::SignatureVerdict) -> Self {
        let signer = &verdict.signer;
        let text = |line: &Option<consign_metadata::Line>| line.as_ref().map(ToString::to_string);
        let (counted, code, reason) = match &verdict.verdict {
            consign_signing::Verdict::Counted => (true, None, None),
            consign_signing::Verdict::NotCounted(reason) => {
                (false, Some(reason.code()), Some(reason.to_string()))
            }
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
    pub(super) fn of(verdict: &consign_signing::RuleVerdict) -> Self {
        Self {
            rule: verdict.origin.to_string(),
            met: verdict.is_met(),
            parts: verdict.measures.iter().map(part).collect(),
            goes_without_saying: matches!(verdict.origin, RuleOrigin::Default | RuleOrigin::Named),
        }
    }
}

pub(super) fn report(shown: &Path, claim: Option<&Claim>, decision: Option<&Decision>) -> BundleReport {
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
        verdict: Verdict::NotChecked,
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
