//! Does someone trusted vouch for a bundle, and is it the one that was announced: asked in the same way by
//! verify, unpack and whatever acts on a bundle.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use consign_bundle::VerifiedArchive;
use consign_metadata::{BundleId, DigestError, Manifest, Problem, printable};
use consign_signing::{
    Claim, Content, Decision, EncryptedClaim, PublicKey, Reason, Trust, TrustPolicy, TrustedClaim, Verdict,
    evaluate,
};

use crate::bundle_set::BundleSet;
use crate::checked::{archive_claim, bundle_claim};
use crate::context::Context;
use crate::encrypted_set::{Ciphertext, EncryptedSet};
use crate::keys::load_public;
use crate::outcome::Failure;

/// Whose signatures count, and what was announced.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct VouchingArgs {
    /// A public key that must have signed; given several times, all of them
    #[arg(long = "key", value_name = "PUB", help_heading = "Trust options")]
    keys: Vec<String>,
    /// How many distinct keys must have signed
    #[arg(long, value_name = "N", help_heading = "Trust options")]
    threshold: Option<NonZeroU32>,
    /// The trust policy to use instead of the configured one
    #[arg(
        long,
        value_name = "FILE",
        env = "CONSIGN_TRUST",
        conflicts_with = "keys",
        help_heading = "Trust options"
    )]
    trust: Option<PathBuf>,
    /// What was announced: NAME@VERSION or the bundle id
    #[arg(long, value_name = "NAME@VERSION|ID", help_heading = "Trust options")]
    expect: Option<Expectation>,
}

/// What was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expectation {
    Version { name: String, version: String },
    Id(BundleId),
}

impl std::str::FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("sha256:") {
            return text.parse().map(Self::Id).map_err(|error: DigestError| error.to_string());
        }
        let parts = text.split_once('@').filter(|(name, version)| !name.is_empty() && !version.is_empty());
        let (name, version) = parts.ok_or("it is neither NAME@VERSION nor a bundle id (`sha256:…`)")?;
        Ok(Self::Version { name: name.to_owned(), version: version.to_owned() })
    }
}

impl Expectation {
    /// What is wrong, if what was found is not what was announced.
    fn check(&self, claim: &Claim, shown: &Path) -> Option<Problem> {
        let bundle = &claim.bundle;
        let (announced, found) = match self {
            Self::Id(id) => (id.to_string(), bundle.id.to_string()),
            Self::Version { name, version } => {
                (format!("{name}@{version}"), format!("{}@{}", bundle.name, bundle.version))
            }
        };
        (announced != found).then(|| {
            let message = format!("is `{found}`, where `{}` was announced", printable(&announced));
            Problem::new("not-expected", message)
                .at(shown.display().to_string())
                .hint("ask the sender which of the two was meant")
        })
    }
}

impl Expectation {
    /// What is wrong, as far as an encrypted bundle says in public what it is.
    fn check_encrypted(&self, claim: &EncryptedClaim, shown: &Path) -> Option<Problem> {
        let announced = match self {
            Self::Id(id) => id.to_string(),
            Self::Version { name, version } => format!("{name}@{version}"),
        };
        let public = claim.public.bundle.as_ref().map(|bundle| format!("{}@{}", bundle.name, bundle.version));
        let message = match (self, &public) {
            (Self::Version { .. }, Some(found)) if *found == announced => return None,
            (Self::Version { .. }, Some(found)) => {
                format!("is `{found}`, where `{}` was announced", printable(&announced))
            }
            _ => format!("does not say in public whether it is `{}`", printable(&announced)),
        };
        Some(
            Problem::new("not-expected", message)
                .at(shown.display().to_string())
                .hint("whoever can open it can tell: `--identity FILE`"),
        )
    }
}

/// Whose signatures count, loaded.
pub(crate) enum Trusted {
    Keys(Vec<PublicKey>),
    Policy(TrustPolicy),
    /// No key was named, and there is no policy.
    Nobody,
}

/// What came of asking.
pub(crate) struct Vouching {
    pub(crate) decision: Decision,
    /// Why it is not vouched for, or not what was expected; none if it is.
    pub(crate) problems: Vec<Problem>,
}

impl VouchingArgs {
    pub(crate) fn load(&self, context: &Context) -> Result<Trusted, Failure> {
        if self.keys.is_empty() {
            let policy = context.trust_policy(self.trust.as_deref())?;
            return Ok(policy.map_or(Trusted::Nobody, Trusted::Policy));
        }
        let keys = self.keys.iter().map(|key| load_public(key)).collect::<Result<Vec<_>, _>>()?;
        let distinct = keys.iter().collect::<BTreeSet<_>>().len() as u64;
        if let Some(threshold) = self.threshold.filter(|threshold| u64::from(threshold.get()) > distinct) {
            let keys = crate::style::count(distinct, "key", "different keys");
            let message = format!("asks for more signatures than there can be by the {keys} named");
            let problem = Problem::new("threshold", message).at(format!("--threshold {threshold}"));
            return Err(Failure::usage(
                problem.hint("name more keys with `--key`, or ask for fewer signatures"),
            ));
        }
        Ok(Trusted::Keys(keys))
    }

    fn trust<'a>(&self, trusted: &'a Trusted) -> Trust<'a> {
        match trusted {
            Trusted::Keys(keys) => Trust::Keys { keys: keys.clone(), threshold: self.threshold },
            Trusted::Policy(policy) => Trust::Policy { policy, threshold: self.threshold },
            Trusted::Nobody => Trust::Keys { keys: Vec::new(), threshold: None },
        }
    }

    /// The same for an encrypted bundle that is not opened: who vouches for its bytes.
    pub(crate) fn judge_encrypted(
        &self,
        trusted: &Trusted,
        set: &EncryptedSet,
        claim: &EncryptedClaim,
        shown: &Path,
    ) -> (Decision<EncryptedClaim>, Vec<Problem>) {
        let statements = set.attestations.as_ref().map_or(&[][..], |(_, found)| found.statements());
        let decision = evaluate(statements, claim, &self.trust(trusted));
        let mut problems = Vec::new();
        match &self.expect {
            Some(expectation) => problems.extend(expectation.check_encrypted(claim, shown)),
            None => problems.extend(set.misnamed(claim)),
        }
        if decision.trusted().is_none() {
            problems.push(untrusted(&decision, trusted, shown));
        }
        (decision, problems)
    }

    /// Asks whether enough of the signatures on a claim count, and whether it is the expected one. `shown` is
    /// the file that goes by its name.
    pub(crate) fn judge(&self, trusted: &Trusted, set: &BundleSet, claim: &Claim, shown: &Path) -> Vouching {
        let trust = self.trust(trusted);
        let statements = set.attestations.as_ref().map_or(&[][..], |(_, found)| found.statements());
        let decision = evaluate(statements, claim, &trust);
        let mut problems = Vec::new();
        match &self.expect {
            Some(expectation) => problems.extend(expectation.check(claim, shown)),
            // Without an announcement the file's name is what a person goes by.
            None => problems.extend(misnamed(set, claim)),
        }
        if decision.trusted().is_none() {
            problems.push(untrusted(&decision, trusted, shown));
        }
        Vouching { decision, problems }
    }
}

/// Proof that somebody trusted vouches for exactly what was verified: without one nothing is called verified.
/// [`Vouched::archive`] and [`Vouched::manifest`] are the only ways to a value.
pub(crate) struct Vouched(());

impl Vouched {
    /// The archive was held against a signed statement, and what was found is, to the last field, what the
    /// trusted claim says.
    pub(crate) fn archive(verified: &VerifiedArchive, trusted: &TrustedClaim) -> Option<Self> {
        let claim = trusted.claim();
        let found = archive_claim(verified.facts()).ok().map(Content::Archive);
        let same = verified.is_anchored()
            && found.as_ref() == Some(&claim.content)
            && bundle_claim(verified.manifest(), verified.id()) == claim.bundle;
        same.then_some(Self(()))
    }

    /// The encrypted file was found to be the one that the trusted claim is about. Of what it holds nothing is known.
    pub(crate) fn ciphertext(found: &Ciphertext, trusted: &TrustedClaim<EncryptedClaim>) -> Option<Self> {
        (found.claim() == trusted.claim()).then_some(Self(()))
    }

    /// The manifest that a directory was found to hold to is the one that the trusted claim names.
    pub(crate) fn manifest(manifest: &Manifest, id: BundleId, trusted: &TrustedClaim) -> Option<Self> {
        (bundle_claim(manifest, id) == trusted.claim().bundle).then_some(Self(()))
    }
}

/// An archive goes by the name and version that were signed.
fn misnamed(set: &BundleSet, claim: &Claim) -> Option<Problem> {
    let path = set.archive.as_ref().filter(|path| path.as_path() != Path::new("-"))?;
    let stem = format!("{}-{}.", claim.bundle.name, claim.bundle.version);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let other = set.other_stem().is_some_and(|other| name.starts_with(&format!("{other}.")));
    (!name.starts_with(&stem) && !other).then(|| {
        let signed = format!("{}@{}", claim.bundle.name, claim.bundle.version);
        let message = format!("goes by the name `{}`, but what was signed is `{signed}`", printable(&name));
        let hint = format!("if that is the bundle you were told of, say so: --expect {signed}");
        Problem::new("misnamed", message).at(path.display().to_string()).hint(hint)
    })
}

/// What is missing for trust, and the command that would establish it.
fn untrusted<C>(decision: &Decision<C>, trusted: &Trusted, shown: &Path) -> Problem {
    let message = match trusted {
        Trusted::Nobody => "no key was named, and there is no trust policy".to_owned(),
        _ => format!("{} of {} required signatures by trusted keys", decision.counted(), decision.required()),
    };
    let problem = Problem::new("not-trusted", message).at(shown.display().to_string());
    let missing = decision.missing_keys();
    if !missing.is_empty() {
        let line = |key: &PublicKey| format!("the key {} has not signed it", key.fingerprint());
        return problem.hint(missing.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    for signature in decision.signatures() {
        let (signer, Verdict::NotCounted(reason)) = (&signature.signer, &signature.verdict) else { continue };
        let (fingerprint, role) = (signer.fingerprint(), &signer.role);
        match reason {
            Reason::UnknownKey => {
                return problem.hint(format!(
                    "if you know by another way that {fingerprint} is the sender's key:\n\
                     consign trust add NAME --key SENDER.pub --fingerprint {fingerprint} --role {role}"
                ));
            }
            Reason::RoleNotHeld { .. } => {
                let name = signer.name.as_ref().map_or_else(|| fingerprint.to_string(), ToString::to_string);
                return problem.hint(format!(
                    "`{name}` signed as {role}, and you trust that key in other roles only; ask the sender who was to sign as {role}"
                ));
            }
            _ => {}
        }
    }
    problem
}
