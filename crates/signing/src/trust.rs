//! Which signatures count, and whether they are enough: asked here and nowhere else.
//!
//! Counting signatures is where such tools have failed most often: one key counted twice (CVE-2020-6174,
//! CVE-2020-15093, CVE-2026-6966), one key under two ids, a threshold of none (CVE-2026-23992). Hence one
//! function, [`evaluate`], which counts distinct public keys, and a type, [`TrustedClaim`], that only it makes.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use consign_metadata::{Line, Role};

use crate::envelope::SignedStatement;
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
pub struct Decision {
    signatures: Vec<SignatureVerdict>,
    required: u64,
    missing_keys: Vec<PublicKey>,
    claim: Option<TrustedClaim>,
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
pub struct TrustedClaim {
    claim: Claim,
    signers: Vec<SignerInfo>,
}

impl TrustedClaim {
    /// What is trusted.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Whose signatures counted: distinct keys, in the order of the statements.
    pub fn signers(&self) -> &[SignerInfo] {
        &self.signers
    }
}

impl Decision {
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
    pub fn trusted(&self) -> Option<&TrustedClaim> {
        self.claim.as_ref()
    }

    /// The claim, if it is trusted.
    pub fn into_trusted(self) -> Option<TrustedClaim> {
        self.claim
    }
}

impl fmt::Display for Decision {
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
pub fn evaluate(statements: &[SignedStatement], claim: &Claim, trust: &Trust<'_>) -> Decision {
    let mut counted = BTreeSet::new();
    let mut signatures = Vec::new();
    for signed in statements {
        let verdict = match judge(signed, claim, trust) {
            Err(reason) => Verdict::NotCounted(reason),
            Ok(()) if !counted.insert(*signed.key()) => Verdict::NotCounted(Reason::KeyCountedAlready),
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
fn judge(signed: &SignedStatement, claim: &Claim, trust: &Trust<'_>) -> Result<(), Reason> {
    if signed.statement().claim != *claim {
        return Err(Reason::OtherClaim);
    }
    match trust {
        Trust::Keys { keys, .. } if keys.contains(signed.key()) => Ok(()),
        Trust::Keys { .. } => Err(Reason::UnknownKey),
        Trust::Policy { policy, .. } => {
            let listed = policy.find(signed.key()).ok_or(Reason::UnknownKey)?;
            if listed.roles.contains(&signed.statement().signer.role) {
                Ok(())
            } else {
                Err(Reason::RoleNotHeld { held: listed.roles.clone() })
            }
        }
    }
}

fn describe(signed: &SignedStatement, trust: &Trust<'_>) -> SignerInfo {
    let listed = match trust {
        Trust::Keys { .. } => None,
        Trust::Policy { policy, .. } => policy.find(signed.key()),
    };
    let signer = &signed.statement().signer;
    SignerInfo {
        public_key: *signed.key(),
        name: listed.map(|key| key.name.clone()),
        owner: listed.and_then(|key| key.owner.clone()),
        organization: listed.and_then(|key| key.organization.clone()),
        role: signer.role.clone(),
        basis: signer.basis,
        time: signer.time,
    }
}
