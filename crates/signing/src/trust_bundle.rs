//! Trust files that somebody publishes, signed, version by version.
//!
//! Updating them is where update systems have failed: a version skipped (CVE-2025-2885), an older one taken
//! (CVE-2022-29173), what was refused kept (CVE-2020-15163). Hence one function decides, [`import_trust`], and a
//! type, [`AcceptedTrust`], that only it and [`AcceptedTrust::stored`] make.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use consign_metadata::{Line, Problem, Sha256Digest, printable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attestations::{read_lines, to_file};
use crate::envelope::{EnvelopeError, Opened, SignError, enclose};
use crate::fingerprint::Fingerprint;
use crate::in_toto::{ALGORITHM, Exactly, STATEMENT_TYPE, check_algorithm, check_type};
use crate::public_key::PublicKey;
use crate::signer::Signer;
use crate::statement::StatementError;
use crate::time::Timestamp;
use crate::trust_policy::{TrustImport, TrustPolicy};
use crate::validity::Validity;
use crate::wire;

/// `predicateType` of a signed trust file.
pub const TRUST_PREDICATE_TYPE: &str = "https://consign.dev/attestations/trust/v1";
/// Longest line of a trust bundle, in bytes without the line feed; it holds the whole trust file.
pub const TRUST_ENVELOPE_BYTES_MAX: usize = 1 << 20;
/// Largest trust bundle, in bytes. Readers of files stop there.
pub const TRUST_BUNDLE_BYTES_MAX: usize = 16 << 20;
/// Name of the subject: what is signed is a trust file.
const SUBJECT: &str = "trust.toml";

/// A trust file as one key signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SignedTrust {
    text: String,
    key: PublicKey,
    time: Timestamp,
    line: Box<[u8]>,
}

impl SignedTrust {
    fn verify(line: &[u8]) -> Result<Self, EnvelopeError> {
        let opened = Opened::read(line, TRUST_ENVELOPE_BYTES_MAX)?;
        let Document { subject: Exactly([subject]), predicate, .. } = read(&opened.payload)?;
        opened.check(&predicate.signer.public_key)?;
        let digest = Sha256Digest::of(predicate.trust.as_bytes()).hex();
        if (subject.name.as_str(), &subject.digest.sha256) != (SUBJECT, &digest) {
            let found = format!("{} {}", printable(&subject.name), printable(&subject.digest.sha256));
            let expected = format!("{SUBJECT} {digest}");
            return Err(StatementError::SubjectMismatch { expected, found }.into());
        }
        let SignerDocument { public_key, time, .. } = predicate.signer;
        Ok(Self { text: predicate.trust, key: public_key, time, line: line.into() })
    }

    fn sign(signer: &dyn Signer, text: &str, time: Timestamp) -> Result<Self, SignError> {
        let document = Document {
            kind: STATEMENT_TYPE.to_owned(),
            subject: Exactly::one(SUBJECT.to_owned(), &Sha256Digest::of(text.as_bytes())),
            predicate_type: TRUST_PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                signer: SignerDocument {
                    algorithm: ALGORITHM.to_owned(),
                    public_key: *signer.public_key(),
                    time,
                },
                trust: text.to_owned(),
            },
        };
        Self::verify(&enclose(signer, &wire::write(&document))?).map_err(SignError::NotAcceptable)
    }
}

fn read(payload: &[u8]) -> Result<Document, StatementError> {
    check_type(payload, TRUST_PREDICATE_TYPE)?;
    let document: Document = wire::read(payload)?;
    check_algorithm(&document.predicate.signer.algorithm)?;
    Ok(document)
}

/// One version of a trust file, with the signatures on it. That they are valid says nothing about trust.
///
/// ```
/// use consign_signing::{PrivateKey, Signer, TrustBundle, import_trust, ImportFrom};
/// let root = PrivateKey::generate()?;
/// let text = format!(
///     "format = 1\nname = \"acme\"\nversion = 1\nexpires = 2027-01-01T00:00:00Z\n\n\
///      [root]\nkeys = [\"root\"]\nthreshold = 1\n\n\
///      [[key]]\nname = \"root\"\nroles = [\"root\"]\npublic_key = \"{}\"\n",
///     root.public_key().to_openssh(None).trim_end(),
/// );
/// let now = "2026-11-22T03:00:00Z".parse()?;
/// let published = TrustBundle::publish(&root, &text, now).map_err(|problems| problems[0].to_string())?;
///
/// let received = TrustBundle::parse(&published.to_bytes()).map_err(|problems| problems[0].to_string())?;
/// let told = [root.public_key().fingerprint()];
/// let accepted = import_trust(vec![received], &ImportFrom::Confirmed(&told), now)?;
/// assert_eq!(accepted.version(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    /// All about the same text; never empty.
    signed: Vec<SignedTrust>,
    policy: TrustPolicy,
    version: u64,
    expires: Timestamp,
}

impl TrustBundle {
    /// Signs a trust file for publication.
    ///
    /// # Errors
    /// The file is faulty, or lacks what a published one needs: a version, an expiry, a root; or it takes over
    /// the trust of others. Or the signer does not sign.
    pub fn publish(signer: &dyn Signer, text: &str, time: Timestamp) -> Result<Self, Vec<Problem>> {
        let (policy, version, expires) = published(text)?;
        let signed = SignedTrust::sign(signer, text, time)
            .map_err(|error| vec![Problem::new("cannot-sign", error.to_string())])?;
        Ok(Self { signed: vec![signed], policy, version, expires })
    }

    /// Reads a published file: one signature a line, all over the same trust file.
    ///
    /// # Errors
    /// Lines that are no such signatures, several trust files in one, and all that is wrong with the trust file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let signed = read_lines(bytes, SignedTrust::verify, |signed| &signed.line)
            .map_err(|errors| errors.iter().map(crate::AttestationError::problem).collect::<Vec<_>>())?;
        let text = signed.first().map(|first| first.text.clone()).unwrap_or_default();
        if let Some(other) = signed.iter().position(|signed| signed.text != text) {
            let message = "the line signs another trust file than the first";
            return Err(vec![Problem::new("trust-bundle-mixed", message).line(other + 1)]);
        }
        let inside = |problem: Problem| {
            let field = problem.at.clone().map_or_else(String::new, |field| format!(": {field}"));
            problem.at(format!("the trust file in it{field}"))
        };
        let (policy, version, expires) =
            published(&text).map_err(|problems| problems.into_iter().map(inside).collect::<Vec<_>>())?;
        Ok(Self { signed, policy, version, expires })
    }

    /// Joins the signatures on the same trust file, in the order of the times that they state.
    ///
    /// # Errors
    /// The other bundle is about another file, or together they are too many.
    pub fn merge(mut self, other: Self) -> Result<Self, Problem> {
        if self.text() != other.text() {
            let message = "signs another trust file; signatures are joined only over the very same text";
            return Err(Problem::new("trust-bundle-mixed", message));
        }
        for signed in other.signed {
            if !self.signed.iter().any(|known| known.line == signed.line) {
                self.signed.push(signed);
            }
        }
        if self.signed.len() > crate::ATTESTATIONS_MAX {
            return Err(Problem::new("too-many-attestations", crate::TooManyAttestations.to_string()));
        }
        self.signed.sort_by(|a, b| (a.time, &a.line).cmp(&(b.time, &b.line)));
        Ok(self)
    }

    /// The file: each signature on a line.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_file(self.signed.iter().map(|signed| &*signed.line))
    }

    /// The trust file itself.
    pub fn text(&self) -> &str {
        self.signed.first().map_or("", |first| &first.text)
    }

    /// What it says. Nothing of it counts before it is imported.
    pub fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// Its version; at least 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The distinct keys that signed it.
    pub fn signers(&self) -> BTreeSet<PublicKey> {
        self.signed.iter().map(|signed| signed.key).collect()
    }

    /// The fingerprints of its root keys.
    pub fn root(&self) -> Vec<Fingerprint> {
        self.policy.root_keys().map(|key| key.public_key.fingerprint()).collect()
    }

    /// How many of the root keys must sign.
    pub fn threshold(&self) -> NonZeroU32 {
        self.policy.root().map_or(NonZeroU32::MAX, |root| root.threshold)
    }

    /// How many distinct root keys of `of`, valid at that time, signed this bundle.
    fn by_root_of(&self, of: &Self, at: Timestamp) -> u64 {
        let signers = self.signers();
        let counts = |key: &&crate::TrustedKey| {
            signers.contains(&key.public_key) && key.validity(at) == Validity::Valid
        };
        of.policy.root_keys().filter(counts).map(|_| 1).sum()
    }

    /// How many distinct signers have one of these fingerprints.
    fn by_fingerprints(&self, prints: &[Fingerprint]) -> u64 {
        self.signers().iter().filter(|key| prints.contains(&key.fingerprint())).map(|_| 1).sum()
    }
}

/// A trust file with all that a published one needs.
fn published(text: &str) -> Result<(TrustPolicy, u64, Timestamp), Vec<Problem>> {
    let policy = TrustPolicy::parse(text)?;
    let mut problems = Vec::new();
    let mut lacks = |what: &str, why: &str| {
        let message = format!("has no `{what}`, which a published trust file needs: {why}");
        problems.push(Problem::new("trust-unpublishable", message));
    };
    if policy.version.is_none() {
        lacks("version", "recipients take the next one only");
    }
    if policy.expires.is_none() {
        lacks("expires", "recipients must not rely on it for ever");
    }
    if policy.root.is_none() {
        lacks("[root]", "it says who may sign the next version");
    }
    if !policy.imports.is_empty() {
        let message = "takes over the trust of others with `[[import]]`, which cannot be passed on";
        problems.push(Problem::new("trust-unpublishable", message));
    }
    match (policy.version, policy.expires) {
        (Some(version), Some(expires)) if problems.is_empty() => Ok((policy, version, expires)),
        _ => Err(problems),
    }
}

/// What an import starts from.
#[derive(Clone, Copy, Debug)]
pub enum ImportFrom<'a> {
    /// Nothing: these fingerprints of root keys were confirmed by another way.
    Confirmed(&'a [Fingerprint]),
    /// An entry, and the version that was accepted for it.
    Version {
        /// The entry.
        entry: &'a TrustImport,
        /// What was accepted last.
        current: &'a TrustBundle,
    },
}

/// Why trust was not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is nothing to import.
    #[error("there is nothing to import")]
    Nothing,
    /// A fingerprint that was confirmed belongs to no root key.
    #[error("the fingerprint {0} is not that of one of its root keys")]
    NotARootKey(Fingerprint),
    /// Too few root keys were confirmed.
    #[error("{confirmed} of {needed} root keys were confirmed")]
    Unconfirmed {
        /// How many were.
        confirmed: u64,
        /// How many must be.
        needed: u64,
    },
    /// Too few of those who may sign did.
    #[error("version {version} is signed by {have} of {needed} keys that {who}")]
    Signatures {
        /// The version that was offered.
        version: u64,
        /// How many signed.
        have: u64,
        /// How many must.
        needed: u64,
        /// Whose signatures are meant.
        who: &'static str,
    },
    /// An older version.
    #[error("version {offered} is older than version {current}, which is here; trust never goes back")]
    Rollback {
        /// What was offered.
        offered: u64,
        /// What is here.
        current: u64,
    },
    /// A version was left out.
    #[error("version {offered} cannot follow version {current}: version {} must be imported before", current + 1)]
    Gap {
        /// What was offered.
        offered: u64,
        /// What is here.
        current: u64,
    },
    /// The same version with another content.
    #[error("version {0} is here already, with another content: somebody signed two")]
    Conflict(u64),
    /// Its time is over.
    #[error("version {version} expired at {expires}")]
    Expired {
        /// The version.
        version: u64,
        /// The last second in which it counted.
        expires: Timestamp,
    },
}

impl ImportError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Nothing => ("trust-import-nothing", "name a trust bundle"),
            Self::NotARootKey(_) => (
                "fingerprint-mismatch",
                "have its publisher read the fingerprints of the root keys again; if they still differ, somebody exchanged the file on its way",
            ),
            Self::Unconfirmed { .. } => (
                "trust-import-unconfirmed",
                "give `--fingerprint FP` for as many, as their holders tell them to you by another way than the one by which the file came",
            ),
            Self::Signatures { .. } => (
                "trust-import-signatures",
                "ask its publisher for a file that enough of the root keys have signed, of this version and of the one before",
            ),
            Self::Rollback { .. } => ("trust-import-rollback", "ask its publisher for the newest version"),
            Self::Gap { .. } => (
                "trust-import-gap",
                "ask its publisher for the versions between, and name all files in order",
            ),
            Self::Conflict(_) => ("trust-import-conflict", "ask its publisher which of the two is right"),
            Self::Expired { .. } => ("trust-import-expired", "ask its publisher for the newest version"),
        };
        Problem::new(code, self.to_string()).hint(hint)
    }
}

/// A version of a trust file that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedTrust(TrustBundle);

impl AcceptedTrust {
    /// What was accepted earlier, out of the caller's own state: it must be signed by enough of the keys that
    /// the entry names, and name the same keys itself.
    pub fn stored(bundle: TrustBundle, entry: &TrustImport) -> Option<Self> {
        let accepted = Self(bundle);
        accepted.is_for(entry).then_some(accepted)
    }

    /// Whether it was accepted for this entry.
    pub(crate) fn is_for(&self, entry: &TrustImport) -> bool {
        let root: BTreeSet<_> = self.0.root().into_iter().collect();
        root == entry.root.iter().copied().collect()
            && self.0.threshold() == entry.threshold
            && self.0.by_fingerprints(&entry.root) >= entry.threshold.get().into()
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// What was accepted.
    pub fn bundle(&self) -> &TrustBundle {
        &self.0
    }

    /// The entry for what was accepted.
    pub fn entry(
        &self,
        name: Line,
        bundles: crate::BundlePattern,
        roles: Vec<consign_metadata::Role>,
    ) -> TrustImport {
        TrustImport::new(name, bundles, roles, self.0.root(), self.0.threshold())
    }

    pub(crate) fn into_policy(self) -> TrustPolicy {
        self.0.policy
    }
}

/// Decides whether versions of a trust file, in order, may take the place of what is here.
///
/// Each version must be exactly the next one, and be signed by enough root keys of the version before as well as
/// by enough of its own; the first by enough that were confirmed. The last must not have expired. The version
/// that is here already, with the same content, changes nothing.
///
/// # Errors
/// One step does not hold. Nothing of what was offered may then be kept.
pub fn import_trust(
    offered: Vec<TrustBundle>,
    from: &ImportFrom<'_>,
    now: Timestamp,
) -> Result<AcceptedTrust, ImportError> {
    let mut current: Option<TrustBundle> = match from {
        ImportFrom::Confirmed(_) => None,
        ImportFrom::Version { current, .. } => Some((*current).clone()),
    };
    if offered.is_empty() {
        return Err(ImportError::Nothing);
    }
    for next in offered {
        match (&current, from) {
            (None, ImportFrom::Confirmed(prints)) => check_first(&next, prints, now)?,
            (Some(current), _) => match next.version.checked_sub(current.version) {
                None => {
                    return Err(ImportError::Rollback { offered: next.version, current: current.version });
                }
                Some(0) if next.text() != current.text() => return Err(ImportError::Conflict(next.version)),
                Some(0) => continue,
                Some(1) => check_next(&next, current, now)?,
                Some(_) => return Err(ImportError::Gap { offered: next.version, current: current.version }),
            },
            (None, ImportFrom::Version { .. }) => return Err(ImportError::Nothing),
        }
        current = Some(next);
    }
    let last = current.ok_or(ImportError::Nothing)?;
    if now > last.expires {
        return Err(ImportError::Expired { version: last.version, expires: last.expires });
    }
    if let ImportFrom::Version { entry, .. } = from {
        // What lies in the state is believed only as far as the entry carries it. After an interrupted change
        // of the root, the entry is one step ahead.
        let have = last.by_fingerprints(&entry.root);
        check_enough(&last, have, entry.threshold, "the entry in trust.toml names as root")?;
    }
    Ok(AcceptedTrust(last))
}

fn check_first(first: &TrustBundle, confirmed: &[Fingerprint], now: Timestamp) -> Result<(), ImportError> {
    let root = first.root();
    if let Some(stranger) = confirmed.iter().find(|print| !root.contains(print)) {
        return Err(ImportError::NotARootKey(*stranger));
    }
    let distinct: BTreeSet<_> = confirmed.iter().collect();
    let needed = u64::from(first.threshold().get());
    if (distinct.len() as u64) < needed {
        return Err(ImportError::Unconfirmed { confirmed: distinct.len() as u64, needed });
    }
    check_enough(first, first.by_root_of(first, now), first.threshold(), "may sign it by its own root")?;
    check_enough(first, first.by_fingerprints(confirmed), first.threshold(), "were confirmed")
}

fn check_next(next: &TrustBundle, current: &TrustBundle, now: Timestamp) -> Result<(), ImportError> {
    let before = "may sign it by the root of the version before";
    check_enough(next, next.by_root_of(current, now), current.threshold(), before)?;
    check_enough(next, next.by_root_of(next, now), next.threshold(), "may sign it by its own root")
}

fn check_enough(
    bundle: &TrustBundle,
    have: u64,
    threshold: NonZeroU32,
    who: &'static str,
) -> Result<(), ImportError> {
    let needed = u64::from(threshold.get());
    if have >= needed {
        return Ok(());
    }
    Err(ImportError::Signatures { version: bundle.version, have, needed, who })
}

/// The JSON Schema of signed trust files.
pub fn trust_statement_schema() -> schemars::Schema {
    schemars::schema_for!(Document)
}

/// The document, member for member in the order of its one spelling.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Statement that publishes a trust file", rename = "TrustStatement")]
struct Document {
    /// Always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    #[schemars(extend("const" = STATEMENT_TYPE))]
    kind: String,
    /// The trust file, by the name `trust.toml`.
    subject: Exactly,
    /// Always `https://consign.dev/attestations/trust/v1`.
    #[serde(rename = "predicateType")]
    #[schemars(extend("const" = TRUST_PREDICATE_TYPE))]
    predicate_type: String,
    /// What is said about it.
    predicate: Predicate,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Predicate {
    /// Who signs, and when.
    signer: SignerDocument,
    /// The text of the trust file, whose SHA-256 is the subject's digest.
    trust: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignerDocument {
    /// Always `ed25519`.
    #[schemars(extend("const" = ALGORITHM))]
    algorithm: String,
    /// The key that signs.
    public_key: PublicKey,
    /// The time of signing, by the signer's clock.
    time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::PrivateKey;
    use crate::testing::{enclose as enclose_payload, key};

    const NOW: &str = "2026-11-22T03:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn text(version: u64, root: &[&PrivateKey], threshold: u32, more: &str) -> String {
        let names: Vec<_> = (0..root.len()).map(|n| format!("\"root-{n}\"")).collect();
        let mut text = format!(
            "format = 1\nname = \"acme\"\nversion = {version}\nexpires = 2027-01-01T00:00:00Z\n{more}\n\
             [root]\nkeys = [{}]\nthreshold = {threshold}\n",
            names.join(", ")
        );
        for (n, key) in root.iter().enumerate() {
            let key = key.public_key().to_openssh(None);
            text += &format!(
                "\n[[key]]\nname = \"root-{n}\"\nroles = [\"root\"]\npublic_key = \"{}\"\n",
                key.trim_end()
            );
        }
        text
    }

    fn sign(text: &str, signers: &[&PrivateKey]) -> TrustBundle {
        let signed = signers.iter().map(|key| TrustBundle::publish(*key, text, now()).unwrap());
        signed.reduce(|all, one| all.merge(one).unwrap()).unwrap()
    }

    fn entry(accepted: &AcceptedTrust) -> TrustImport {
        accepted.entry("acme".parse().unwrap(), "*".parse().unwrap(), vec!["owner".parse().unwrap()])
    }

    fn first(keys: &[&PrivateKey], threshold: u32) -> AcceptedTrust {
        let prints: Vec<_> = keys.iter().map(|key| key.public_key().fingerprint()).collect();
        let bundle = sign(&text(1, keys, threshold, ""), keys);
        import_trust(vec![bundle], &ImportFrom::Confirmed(&prints), now()).unwrap()
    }

    fn next(current: &AcceptedTrust, offered: Vec<TrustBundle>) -> Result<u64, ImportError> {
        let from = ImportFrom::Version { entry: &entry(current), current: current.bundle() };
        import_trust(offered, &from, now()).map(|accepted| accepted.version())
    }

    #[test]
    fn a_bundle_is_what_it_was() {
        let (a, b) = (key(), key());
        let bundle = sign(&text(1, &[&a, &b], 2, ""), &[&a, &b]);
        assert_eq!(TrustBundle::parse(&bundle.to_bytes()), Ok(bundle.clone()));
        assert_eq!(bundle.signers().len(), 2);
        let other = sign(&text(2, &[&a, &b], 2, ""), &[&a]);
        assert_eq!(bundle.clone().merge(other.clone()).unwrap_err().code, "trust-bundle-mixed");
        let mixed = [bundle.to_bytes(), other.to_bytes()].concat();
        assert_eq!(TrustBundle::parse(&mixed).unwrap_err()[0].code, "trust-bundle-mixed");
    }

    #[test]
    fn what_cannot_be_published_is_not() {
        let a = key();
        let whole = text(1, &[&a], 1, "");
        let import = format!(
            "\n[[import]]\nname = \"x\"\nbundles = \"*\"\nroles = [\"owner\"]\nroot = [\"{}\"]\nthreshold = 1\n",
            a.public_key().fingerprint()
        );
        for (from, to) in [
            ("version = 1\n", String::new()),
            ("expires = 2027-01-01T00:00:00Z\n", String::new()),
            ("[root]\nkeys = [\"root-0\"]\nthreshold = 1\n", String::new()),
            (
                "[root]\nkeys = [\"root-0\"]\nthreshold = 1\n",
                format!("[root]\nkeys = [\"root-0\"]\nthreshold = 1\n{import}"),
            ),
        ] {
            assert!(whole.contains(from));
            let problems = TrustBundle::publish(&a, &whole.replace(from, &to), now()).unwrap_err();
            assert_eq!(problems[0].code, "trust-unpublishable", "{to}");
        }
    }

    #[test]
    fn the_first_needs_enough_confirmed_root_keys() {
        let (a, b, c) = (key(), key(), key());
        let prints = |keys: &[&PrivateKey]| -> Vec<_> {
            keys.iter().map(|key| key.public_key().fingerprint()).collect()
        };
        let text = text(7, &[&a, &b], 2, "");
        let ask = |signers: &[&PrivateKey], confirmed: &[&PrivateKey]| {
            import_trust(vec![sign(&text, signers)], &ImportFrom::Confirmed(&prints(confirmed)), now())
        };
        assert_eq!(ask(&[&a, &b], &[&a, &b]).unwrap().version(), 7);
        assert!(matches!(ask(&[&a, &b], &[&a]), Err(ImportError::Unconfirmed { .. })));
        // E6: one key that is confirmed twice is one.
        assert!(matches!(ask(&[&a, &b], &[&a, &a]), Err(ImportError::Unconfirmed { .. })));
        assert!(matches!(ask(&[&a, &b], &[&a, &c]), Err(ImportError::NotARootKey(_))));
        assert!(matches!(ask(&[&a], &[&a, &b]), Err(ImportError::Signatures { have: 1, .. })));
        assert!(matches!(ask(&[&a, &c], &[&a, &b]), Err(ImportError::Signatures { have: 1, .. })));
        assert!(matches!(ask(&[&a, &b], &[]), Err(ImportError::Unconfirmed { .. })));
    }

    #[test]
    fn f1_an_older_version_is_refused() {
        let a = key();
        let two = import_trust(
            vec![sign(&text(2, &[&a], 1, ""), &[&a])],
            &ImportFrom::Confirmed(&[a.public_key().fingerprint()]),
            now(),
        )
        .unwrap();
        let one = sign(&text(1, &[&a], 1, ""), &[&a]);
        assert_eq!(next(&two, vec![one]), Err(ImportError::Rollback { offered: 1, current: 2 }));
    }

    #[test]
    fn f2_exactly_the_next_version_is_taken() {
        let a = key();
        let one = first(&[&a], 1);
        let [two, three] = [2, 3].map(|version| sign(&text(version, &[&a], 1, ""), &[&a]));
        assert_eq!(next(&one, vec![three.clone()]), Err(ImportError::Gap { offered: 3, current: 1 }));
        assert_eq!(next(&one, vec![two.clone(), three]), Ok(3));
        assert_eq!(next(&one, vec![two]), Ok(2));
        // The same version: with the same content nothing changes, with another it is refused.
        assert_eq!(next(&one, vec![one.bundle().clone()]), Ok(1));
        let other = sign(&text(1, &[&a], 1, "# other\n"), &[&a]);
        assert_eq!(next(&one, vec![other]), Err(ImportError::Conflict(1)));
    }

    #[test]
    fn the_next_version_is_signed_by_both_roots() {
        let (a, b, c, d) = (key(), key(), key(), key());
        let one = first(&[&a, &b], 2);
        let text = text(2, &[&c, &d], 2, "");
        for signers in [&[&a, &b][..], &[&c, &d], &[&a, &c, &d], &[&a, &b, &c]] {
            let refused = next(&one, vec![sign(&text, signers)]);
            assert!(matches!(refused, Err(ImportError::Signatures { .. })), "{refused:?}");
        }
        assert_eq!(next(&one, vec![sign(&text, &[&a, &b, &c, &d])]), Ok(2));
    }

    #[test]
    fn f5_what_has_expired_is_refused() {
        let a = key();
        let one = first(&[&a], 1);
        let text = text(2, &[&a], 1, "").replace("2027-01-01", "2026-01-01");
        let two = sign(&text, &[&a]);
        assert!(matches!(next(&one, vec![two.clone()]), Err(ImportError::Expired { version: 2, .. })));
        // As a step to one that has not, it will do.
        let three = sign(&self::text(3, &[&a], 1, ""), &[&a]);
        assert_eq!(next(&one, vec![two, three]), Ok(3));
    }

    #[test]
    fn e19_a_root_key_past_its_time_signs_nothing() {
        let a = key();
        let one = first(&[&a], 1);
        for end in [
            "not_after = 2026-01-01T00:00:00Z",
            "revoked = { at = 2030-01-01T00:00:00Z, reason = \"compromised\" }",
        ] {
            let text = format!("{}{end}\n", text(2, &[&a], 1, ""));
            let refused = next(&one, vec![sign(&text, &[&a])]);
            assert!(matches!(refused, Err(ImportError::Signatures { have: 0, .. })), "{refused:?}");
        }
    }

    #[test]
    fn what_is_stored_must_carry_the_entry() {
        let (a, eve) = (key(), key());
        let one = first(&[&a], 1);
        let entry = entry(&one);
        assert!(AcceptedTrust::stored(one.bundle().clone(), &entry).is_some());
        // Somebody put another file into the state.
        let planted = first(&[&eve], 1);
        assert!(AcceptedTrust::stored(planted.bundle().clone(), &entry).is_none());
        let from = ImportFrom::Version { entry: &entry, current: planted.bundle() };
        let next = sign(&text(2, &[&eve], 1, ""), &[&eve]);
        assert!(matches!(import_trust(vec![next], &from, now()), Err(ImportError::Signatures { .. })));
    }

    #[test]
    fn the_statement_has_one_spelling_and_the_text_its_digest() {
        let a = key();
        let text = text(1, &[&a], 1, "");
        let line = sign(&text, &[&a]).signed[0].line.to_vec();
        let payload =
            String::from_utf8(Opened::read(&line, TRUST_ENVELOPE_BYTES_MAX).unwrap().payload).unwrap();
        let code = |from: &str, to: &str| {
            assert_eq!(payload.matches(from).count(), 1, "{from}");
            let altered = enclose_payload(&a, payload.replace(from, to).as_bytes()) + "\n";
            TrustBundle::parse(altered.as_bytes()).unwrap_err()[0].code
        };
        assert_eq!(code("attestations/trust/v1", "attestations/bundle/v1"), "predicate-type");
        assert_eq!(code("version = 1", "version = 2"), "subject-mismatch");
        assert_eq!(code("\"name\":\"trust.toml\"", "\"name\":\"other.toml\""), "subject-mismatch");
        assert_eq!(code("\"predicate\":{", "\"predicate\": {"), "statement-not-canonical");
        assert_eq!(code("\"predicate\":{", "\"predicate\":{\"x\":1,"), "statement-malformed");
        assert_eq!(code("\"algorithm\":\"ed25519\"", "\"algorithm\":\"rsa\""), "statement-malformed");
    }

    #[test]
    fn e11_e25_e26_the_envelope_is_that_of_statements() {
        let (a, b) = (key(), key());
        let line = String::from_utf8(sign(&text(1, &[&a], 1, ""), &[&a]).to_bytes()).unwrap();
        let code = |altered: String| TrustBundle::parse(altered.as_bytes()).unwrap_err()[0].code;
        let keyid = |key: &PrivateKey| key.public_key().keyid();
        assert_eq!(code(line.replace(&keyid(&a), &keyid(&b))), "keyid-mismatch");
        assert_eq!(code(line.replace("\"signatures\":[", "\"signatures\": [")), "envelope-not-canonical");
        assert_eq!(code(line.replace("==\"}]}", "\"}]}")), "envelope-base64");
        assert_eq!(code(line.replace('\n', "\r\n")), "envelope-mangled");
        assert_eq!(code(line.trim_end().to_owned()), "attestations-cut");
        assert_eq!(code(line.repeat(2)), "attestations-repeated");
        let (head, sig) = line.split_once("\"sig\":\"").unwrap();
        let first = if sig.starts_with('A') { "B" } else { "A" };
        assert_eq!(code(format!("{head}\"sig\":\"{first}{}", &sig[1..])), "bad-signature");
        let long = format!("{{\"payload\":\"{}\"}}\n", "A".repeat(TRUST_ENVELOPE_BYTES_MAX));
        assert_eq!(code(long), "envelope-too-long");
    }
}
