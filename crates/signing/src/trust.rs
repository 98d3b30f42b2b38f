//! Which signatures count, and whether they are enough: asked here and nowhere else.
//!
//! Counting signatures is where such tools have failed most often: one key counted twice (CVE-2020-6174,
//! CVE-2020-15093, CVE-2026-6966), one key under two ids, a threshold of none (CVE-2026-23992). Hence one
//! function, [`evaluate`], which counts distinct public keys, and a type, [`TrustedClaim`], that only it makes.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use consign_metadata::{Line, Role};

use crate::attested::Attested;
use crate::fingerprint::Fingerprint;
use crate::public_key::PublicKey;
use crate::statement::{Basis, Claim};
use crate::time::Timestamp;
use crate::trust_file::TrustPolicy;

/// What is asked of the signatures.
#[derive(Clone, Debug)]
pub enum Trust<'a> {
    /// The caller names keys (`verify --key`). Every one of them must have signed, in whatever role; a threshold
    /// lowers that to so many of them. Without a key nothing is ever trusted.
    Keys {
        /// The keys. One that is named twice is one.
        keys: Vec<PublicKey>,
        /// How many of them must have signed; all, if absent. More than there are is never met.
        threshold: Option<NonZeroU32>,
    },
    /// A policy lists keys with their roles. At least one of them must have signed in a role that it has; a
    /// threshold raises that to so many distinct keys.
    Policy {
        /// The policy.
        policy: &'a TrustPolicy,
        /// How many distinct keys must have signed; one, if absent.
        threshold: Option<NonZeroU32>,
    },
}

/// What came of asking: each signature with its verdict, what was required, and the trusted claim if it was met.
#[derive(Clone, Debug)]
pub struct Decision<C = Claim> {
    signatures: Vec<SignatureVerdict>,
    required: u64,
    missing_keys: Vec<PublicKey>,
    claim: Option<TrustedClaim<C>>,
}

/// One signature and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureVerdict {
    /// The signer, with what the policy knows of the key.
    pub signer: SignerInfo,
    /// Whether the signature counted, or why not.
    pub verdict: Verdict,
}

/// Who signed. Key, role, basis and time are signed; name, owner and organization come from the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerInfo {
    /// The key that signed.
    pub public_key: PublicKey,
    /// The key's name in the policy, if it is listed.
    pub name: Option<Line>,
    /// Who holds it, according to the policy.
    pub owner: Option<Line>,
    /// Their organization, according to the policy.
    pub organization: Option<Line>,
    /// The role that the signer states.
    pub role: Role,
    /// What the signer says to have seen.
    pub basis: Basis,
    /// When the signer says to have signed.
    pub time: Timestamp,
}

impl SignerInfo {
    /// The fingerprint of the key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.public_key.fingerprint()
    }
}

/// Whether a signature counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counted.
    Counted,
    /// It did not count.
    NotCounted(Reason),
}

/// Why a signature did not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It says something else, about this or another bundle.
    OtherClaim,
    /// Its key is not among the keys that count.
    UnknownKey,
    /// Its key is listed, but not for the role that the statement states.
    RoleNotHeld {
        /// The roles that the key has.
        held: Vec<Role>,
    },
    /// Its key has been counted already.
    KeyCountedAlready,
}

impl Reason {
    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherClaim => "other-claim",
            Self::UnknownKey => "unknown-key",
            Self::RoleNotHeld { .. } => "role-not-held",
            Self::KeyCountedAlready => "key-counted-already",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherClaim => f.write_str("the statement says something else than the one in question"),
            Self::UnknownKey => f.write_str("the key is not among those that count"),
            Self::RoleNotHeld { held } => {
                let held: Vec<&str> = held.iter().map(Role::as_str).collect();
                write!(f, "the key does not have the stated role (it has: {})", held.join(", "))
            }
            Self::KeyCountedAlready => f.write_str("the same key has been counted already"),
        }
    }
}

/// A claim for which enough trusted signatures count. Only [`evaluate`] makes a value; whoever needs proof of
/// trust asks for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedClaim<C = Claim> {
    claim: C,
    signers: Vec<SignerInfo>,
}

impl<C> TrustedClaim<C> {
    /// What is trusted.
    pub fn claim(&self) -> &C {
        &self.claim
    }

    /// Whose signatures counted: distinct keys, in the order of the statements.
    pub fn signers(&self) -> &[SignerInfo] {
        &self.signers
    }
}

impl<C> Decision<C> {
    /// Every signature that was looked at, in the order given.
    pub fn signatures(&self) -> &[SignatureVerdict] {
        &self.signatures
    }

    /// How many distinct keys had to count; at least one.
    pub fn required(&self) -> u64 {
        self.required
    }

    /// How many distinct keys counted.
    pub fn counted(&self) -> u64 {
        let counted = self.signatures.iter().filter(|signature| signature.verdict == Verdict::Counted);
        counted.map(|_| 1).sum()
    }

    /// How many more were needed.
    pub fn missing(&self) -> u64 {
        self.required.saturating_sub(self.counted())
    }

    /// Of the keys that the caller named, those that have not signed this claim. Empty under a policy.
    pub fn missing_keys(&self) -> &[PublicKey] {
        &self.missing_keys
    }

    /// The claim, if it is trusted.
    pub fn trusted(&self) -> Option<&TrustedClaim<C>> {
        self.claim.as_ref()
    }

    /// The claim, if it is trusted.
    pub fn into_trusted(self) -> Option<TrustedClaim<C>> {
        self.claim
    }
}

impl<C> fmt::Display for Decision<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counted, required) = (self.counted(), self.required);
        let verb = if self.claim.is_some() { "trusted" } else { "not trusted" };
        write!(f, "{verb}: {counted} of {required} required keys signed")
    }
}

/// Asks whether enough of the signatures on `claim` count.
///
/// Only statements whose claim equals `claim` in every field count. A key counts once, whatever it signed how
/// often and in which roles, and is recognised by its 32 bytes, never by an id. Under a policy, a signature
/// counts for the one role that its statement states, if its key has that role. What the signer had seen and
/// the time it states are reported, and have no influence.
///
/// ```
/// use consign_signing::{PrivateKey, SignedStatement, Signer, Statement, Trust, evaluate};
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// # let key = PrivateKey::generate()?;
/// # let mut statement = Statement::parse(example)?;
/// # statement.signer.public_key = *key.public_key();
/// let signed = [SignedStatement::sign(&key, &statement)?];
/// let trust = |key| Trust::Keys { keys: vec![key], threshold: None };
///
/// let decision = evaluate(&signed, &statement.claim, &trust(*key.public_key()));
/// assert_eq!(decision.trusted().map(|trusted| trusted.claim()), Some(&statement.claim));
///
/// let stranger = *PrivateKey::generate()?.public_key();
/// assert!(evaluate(&signed, &statement.claim, &trust(stranger)).trusted().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn evaluate<S: Attested>(statements: &[S], claim: &S::Claim, trust: &Trust<'_>) -> Decision<S::Claim> {
    let mut counted = BTreeSet::new();
    let mut signatures = Vec::new();
    for signed in statements {
        let verdict = match judge(signed, claim, trust) {
            Err(reason) => Verdict::NotCounted(reason),
            Ok(()) if !counted.insert(signed.signer().public_key) => {
                Verdict::NotCounted(Reason::KeyCountedAlready)
            }
            Ok(()) => Verdict::Counted,
        };
        signatures.push(SignatureVerdict { signer: describe(signed, trust), verdict });
    }
    let (required, missing_keys) = match trust {
        Trust::Keys { keys, threshold } => {
            let distinct: BTreeSet<PublicKey> = keys.iter().copied().collect();
            let required = threshold.map_or(distinct.len() as u64, |n| n.get().into());
            // No key named is nothing asked, and nothing asked is not trust: all of none do not suffice.
            (required.max(1), distinct.difference(&counted).copied().collect())
        }
        Trust::Policy { threshold, .. } => (threshold.map_or(1, |n| n.get().into()), Vec::new()),
    };
    let enough = counted.len() as u64 >= required;
    let claim = enough.then(|| TrustedClaim {
        claim: claim.clone(),
        signers: signatures
            .iter()
            .filter(|signature| signature.verdict == Verdict::Counted)
            .map(|signature| signature.signer.clone())
            .collect(),
    });
    Decision { signatures, required, missing_keys, claim }
}

/// Whether a signature counts, as far as that does not depend on the others.
fn judge<S: Attested>(signed: &S, claim: &S::Claim, trust: &Trust<'_>) -> Result<(), Reason> {
    if signed.claim() != claim {
        return Err(Reason::OtherClaim);
    }
    match trust {
        Trust::Keys { keys, .. } if keys.contains(&signed.signer().public_key) => Ok(()),
        Trust::Keys { .. } => Err(Reason::UnknownKey),
        Trust::Policy { policy, .. } => {
            let listed = policy.find(&signed.signer().public_key).ok_or(Reason::UnknownKey)?;
            if listed.roles.contains(&signed.signer().role) {
                Ok(())
            } else {
                Err(Reason::RoleNotHeld { held: listed.roles.clone() })
            }
        }
    }
}

fn describe<S: Attested>(signed: &S, trust: &Trust<'_>) -> SignerInfo {
    let listed = match trust {
        Trust::Keys { .. } => None,
        Trust::Policy { policy, .. } => policy.find(&signed.signer().public_key),
    };
    let signer = signed.signer();
    SignerInfo {
        public_key: signer.public_key,
        name: listed.map(|key| key.name.clone()),
        owner: listed.and_then(|key| key.owner.clone()),
        organization: listed.and_then(|key| key.organization.clone()),
        role: signer.role.clone(),
        basis: signer.basis,
        time: signer.time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::SignedStatement;
    use crate::private_key::PrivateKey;
    use crate::signer::Signer as _;
    use crate::testing::{key, signed, signed_as, statement};
    use crate::trust_file::TrustedKey;

    fn policy(keys: &[(&PrivateKey, &[&str])]) -> TrustPolicy {
        keys.iter().enumerate().fold(TrustPolicy::default(), |policy, (index, (key, roles))| {
            let entry = TrustedKey {
                name: format!("key-{index}").parse().unwrap(),
                public_key: *key.public_key(),
                owner: Some("Ada".parse().unwrap()),
                organization: None,
                roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            };
            policy.with_key(entry).unwrap()
        })
    }

    fn keys(keys: &[&PrivateKey], threshold: u32) -> Trust<'static> {
        let keys = keys.iter().map(|key| *key.public_key()).collect();
        Trust::Keys { keys, threshold: NonZeroU32::new(threshold) }
    }

    fn ask(statements: &[SignedStatement], trust: &Trust<'_>) -> Decision {
        let claim = statement(&key()).claim;
        let decision = evaluate(statements, &claim, trust);
        // What holds of every decision.
        assert_eq!(decision.signatures().len(), statements.len());
        assert_eq!(decision.trusted().is_some(), decision.missing() == 0);
        assert!(decision.required() >= 1);
        if let Some(trusted) = decision.trusted() {
            assert_eq!(trusted.claim(), &claim);
            assert_eq!(trusted.signers().len() as u64, decision.counted());
        }
        decision
    }

    fn reasons(decision: &Decision) -> Vec<&'static str> {
        let code = |signature: &SignatureVerdict| match &signature.verdict {
            Verdict::Counted => "counted",
            Verdict::NotCounted(reason) => reason.code(),
        };
        decision.signatures().iter().map(code).collect()
    }

    #[test]
    fn every_named_key_must_have_signed() {
        let (a, b, c) = (key(), key(), key());
        let both = [signed(&a), signed(&b)];
        assert!(ask(&both, &keys(&[&a, &b], 0)).trusted().is_some());
        assert!(ask(&both, &keys(&[&a], 0)).trusted().is_some());
        let decision = ask(&both, &keys(&[&a, &b, &c], 0));
        assert!(decision.trusted().is_none());
        assert_eq!((decision.required(), decision.counted(), decision.missing()), (3, 2, 1));
        assert_eq!(decision.missing_keys(), [*c.public_key()]);
        assert!(ask(&both, &keys(&[&a, &b, &c], 2)).trusted().is_some());
        assert!(ask(&both, &keys(&[&a, &b], 3)).trusted().is_none());
    }

    #[test]
    fn no_key_is_no_trust() {
        let decision = ask(&[signed(&key())], &keys(&[], 0));
        assert!(decision.trusted().is_none());
        assert_eq!(reasons(&decision), ["unknown-key"]);
        assert!(ask(&[], &keys(&[], 0)).trusted().is_none());
        let nobody = TrustPolicy::default();
        assert!(
            ask(&[signed(&key())], &Trust::Policy { policy: &nobody, threshold: None }).trusted().is_none()
        );
        assert!(ask(&[], &Trust::Policy { policy: &nobody, threshold: None }).trusted().is_none());
    }

    #[test]
    fn one_key_counts_once() {
        let (a, b) = (key(), key());
        let mut later = statement(&a);
        later.signer.time = "2026-12-01T00:00:00Z".parse().unwrap();
        let twice =
            [signed(&a), SignedStatement::sign(&a, &later).unwrap(), signed_as(&a, "release"), signed(&a)];
        for trust in [keys(&[&a, &b], 2), keys(&[&a, &a], 2)] {
            let decision = ask(&twice, &trust);
            assert!(decision.trusted().is_none());
            assert_eq!(
                reasons(&decision),
                ["counted", "key-counted-already", "key-counted-already", "key-counted-already"]
            );
        }
        // A key that is named twice is one key.
        assert!(ask(&twice, &keys(&[&a, &a], 0)).trusted().is_some());
        let policy = policy(&[(&a, &["owner", "release"]), (&b, &["owner"])]);
        let trust = Trust::Policy { policy: &policy, threshold: NonZeroU32::new(2) };
        assert!(ask(&twice, &trust).trusted().is_none());
        assert!(ask(&[signed(&a), signed(&b)], &trust).trusted().is_some());
    }

    #[test]
    fn a_signature_counts_in_the_role_it_states() {
        let (a, b) = (key(), key());
        let policy = policy(&[(&a, &["release"]), (&b, &["owner", "release"])]);
        let trust = Trust::Policy { policy: &policy, threshold: None };
        let decision = ask(&[signed_as(&a, "owner")], &trust);
        assert!(decision.trusted().is_none());
        assert_eq!(reasons(&decision), ["role-not-held"]);
        assert!(decision.signatures()[0].signer.name.is_some());
        // The role that does not count does not use the key up.
        let decision = ask(&[signed_as(&a, "owner"), signed_as(&a, "release")], &trust);
        assert_eq!(reasons(&decision), ["role-not-held", "counted"]);
        let trusted = decision.into_trusted().unwrap();
        assert_eq!(trusted.signers()[0].name.as_ref().unwrap().as_str(), "key-0");
        assert_eq!(trusted.signers()[0].role.as_str(), "release");
        assert_eq!(reasons(&ask(&[signed(&key())], &trust)), ["unknown-key"]);
    }

    #[test]
    fn only_equal_claims_count_together() {
        use crate::statement::Content;
        type Change = fn(&mut Claim);
        let changes: [Change; 9] = [
            |claim| claim.bundle.name = "other".parse().unwrap(),
            |claim| claim.bundle.version = "1.0.1".parse().unwrap(),
            |claim| claim.bundle.classification = "public".parse().unwrap(),
            |claim| claim.bundle.id.0 = consign_metadata::Sha256Digest::of(b"other"),
            |claim| claim.excluded = None,
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.sha256 = consign_metadata::Sha256Digest::of(b"other");
            },
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.size += 1;
            },
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.tail.length += 1;
            },
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.encoder = "other".parse().unwrap();
            },
        ];
        for change in changes {
            let (a, b) = (key(), key());
            let mut other = statement(&b);
            change(&mut other.claim);
            let other = SignedStatement::sign(&b, &other).unwrap();
            let decision = ask(&[signed(&a), other], &keys(&[&a, &b], 0));
            assert!(decision.trusted().is_none());
            assert_eq!(reasons(&decision), ["counted", "other-claim"]);
            assert_eq!(decision.missing_keys(), [*b.public_key()]);
        }
    }

    #[test]
    fn who_where_and_when_do_not_separate_claims() {
        let (a, b) = (key(), key());
        let mut other = statement(&b);
        other.signer.role = "release".parse().unwrap();
        other.signer.basis = Basis::Verified;
        other.signer.time = "2027-01-01T00:00:00Z".parse().unwrap();
        other.environment.ci = None;
        let other = SignedStatement::sign(&b, &other).unwrap();
        assert!(ask(&[signed(&a), other], &keys(&[&a, &b], 0)).trusted().is_some());
    }

    #[test]
    fn a_decision_reads_as_one_line() {
        let a = key();
        assert_eq!(ask(&[], &keys(&[&a], 0)).to_string(), "not trusted: 0 of 1 required keys signed");
        assert_eq!(ask(&[signed(&a)], &keys(&[&a], 0)).to_string(), "trusted: 1 of 1 required keys signed");
    }
}
