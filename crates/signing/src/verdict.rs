//! What is said of each signature and each rule: whether it counted, or why not.

use std::fmt;

use consign_metadata::{Line, Problem, Role};

use crate::fingerprint::Fingerprint;
use crate::public_key::PublicKey;
use crate::statement::Basis;
use crate::time::Timestamp;
use crate::trust_rules::{BundlePattern, Measure};
use crate::validity::KeyRevocation;

/// One signature and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureVerdict {
    /// The signer, with what the policy knows of the key.
    pub signer: SignerInfo,
    /// Whether the signature counted, or why not.
    pub verdict: Verdict,
    /// It counted as a key, but where a rule asks for different owners it adds none: another key of the same
    /// owner counted before.
    pub owner_counted_already: bool,
}

/// Who signed. Key, role, basis and time are signed; what else there is comes from the policy.
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
    /// The import that lists the key, if it is not the policy itself.
    pub import: Option<Line>,
    /// The role that the signer states.
    pub role: Role,
    /// What the signer says to have seen.
    pub basis: Basis,
    /// When the signer says to have signed.
    pub time: Timestamp,
    /// When the key ends, according to the policy.
    pub not_after: Option<Timestamp>,
    /// The age of the key at the time that was asked about, in whole days, as far as the policy says.
    pub age_in_days: Option<u64>,
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
    /// It states another role than the one in which it would count.
    OtherRole {
        /// The role that it states.
        stated: Role,
        /// The role in which it would count.
        needed: Role,
    },
    /// Its key has been counted already.
    KeyCountedAlready,
    /// The time of its key has not come.
    NotYetValid {
        /// When it comes.
        not_before: Timestamp,
    },
    /// The time of its key is over.
    Expired {
        /// The last second in which it counted.
        not_after: Timestamp,
    },
    /// Its key was revoked.
    Revoked(KeyRevocation),
    /// Its key is listed by an import that does not act for bundles of that name.
    OutOfScope {
        /// The import.
        import: Line,
        /// For which bundles it acts.
        bundles: BundlePattern,
    },
    /// The time of the policy or import that lists its key is over.
    TrustExpired {
        /// The last second in which it counted.
        expires: Timestamp,
    },
}

impl Reason {
    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherClaim => "other-claim",
            Self::UnknownKey => "unknown-key",
            Self::RoleNotHeld { .. } => "role-not-held",
            Self::OtherRole { .. } => "other-role",
            Self::KeyCountedAlready => "key-counted-already",
            Self::NotYetValid { .. } => "key-not-yet-valid",
            Self::Expired { .. } => "key-expired",
            Self::Revoked(_) => "key-revoked",
            Self::OutOfScope { .. } => "out-of-scope",
            Self::TrustExpired { .. } => "trust-expired",
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
            Self::OtherRole { stated, needed } => write!(f, "it is signed as {stated}, not as {needed}"),
            Self::KeyCountedAlready => f.write_str("the same key has been counted already"),
            Self::NotYetValid { not_before } => write!(f, "the key is not valid before {not_before}"),
            Self::Expired { not_after } => write!(f, "the key expired at {not_after}"),
            Self::Revoked(revoked) => write!(f, "the key was {revoked}"),
            Self::OutOfScope { import, bundles } => {
                write!(f, "the key is listed by `{import}`, which acts for bundles `{bundles}` only")
            }
            Self::TrustExpired { expires } => write!(f, "the trust that lists the key expired at {expires}"),
        }
    }
}

/// Where a demand comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleOrigin {
    /// No rule matches: one key must have signed.
    Default,
    /// The caller names keys that must have signed.
    Named,
    /// The caller asks for so many.
    Threshold,
    /// A rule of the policy.
    Rule(BundlePattern),
    /// A rule that was imported.
    Imported {
        /// The import.
        import: Line,
        /// The rule's own pattern.
        bundles: BundlePattern,
    },
}

impl fmt::Display for RuleOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("no rule matches: any one key"),
            Self::Named => f.write_str("the keys that were named"),
            Self::Threshold => f.write_str("--threshold"),
            Self::Rule(bundles) => write!(f, "rule for `{bundles}`"),
            Self::Imported { import, bundles } => write!(f, "rule for `{bundles}`, from `{import}`"),
        }
    }
}

/// A rule, and how far it is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVerdict {
    /// Where it comes from.
    pub origin: RuleOrigin,
    /// Each part of it; never empty.
    pub measures: Vec<Measure>,
}

impl RuleVerdict {
    /// Whether every part is met.
    pub fn is_met(&self) -> bool {
        self.measures.iter().all(|measure| measure.missing() == 0)
    }
}

/// What keeps anything from counting, whoever signed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The time of the policy is over.
    TrustExpired {
        /// The last second in which it counted.
        expires: Timestamp,
    },
    /// The policy takes over trust for bundles of that name, and what was taken over is not here: which rules
    /// it has cannot be told.
    ImportMissing {
        /// The import.
        import: Line,
    },
}

impl Obstacle {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        match self {
            Self::TrustExpired { expires } => {
                let message = format!("the trust policy expired at {expires}; nothing counts by it");
                let hint = "renew it: look through its keys, then set `version` and `expires` anew";
                Problem::new("trust-expired", message).hint(hint)
            }
            Self::ImportMissing { import } => {
                let message =
                    format!("the trust policy takes over `{import}` for this bundle, which is not here");
                let word = consign_metadata::printable(import.as_str());
                let hint = format!(
                    "fetch the trust bundle and import it: consign trust import FILE --name '{word}'"
                );
                Problem::new("trust-import-missing", message).hint(hint)
            }
        }
    }
}
