//! What a decision says: what is refused, what is still missing, what is warned of.

use std::fmt;

use consign_metadata::{Problem, RuleId, Sha256Digest, did_you_mean};
use consign_signing::Override;

use crate::request::Stage;

/// Declares the rules, each with its name in overrides and messages and the stable code of its problems.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal, $code:literal;)+) => {
        /// A rule of the policy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RuleName {
            $($(#[$doc])* $rule,)+
        }

        impl RuleName {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$rule,)+];

            /// The rule's name, as policies and overrides write it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$rule => $name,)+ }
            }

            /// The stable code of problems that the rule makes.
            pub fn code(self) -> &'static str {
                match self { $(Self::$rule => $code,)+ }
            }
        }
    };
}

rules! {
    /// The classification is a level that the policy knows and takes.
    Classification = "classification", "policy-classification";
    /// The descriptor is of a schema that this version understands.
    Descriptor = "descriptor", "policy-descriptor";
    /// The descriptor fills the fields that are demanded.
    Fields = "fields", "policy-fields";
    /// A retention is stated and not too long.
    Retention = "retention", "policy-retention";
    /// The kind of data is classified high enough.
    Category = "category", "policy-category";
    /// What comes from a source is classified high enough.
    Source = "source", "policy-source";
    /// Marked content is classified high enough.
    Marking = "marking", "policy-marking";
    /// The content was scanned.
    Scan = "scan", "policy-scan";
    /// No secret was found.
    Secrets = "secrets", "policy-secrets";
    /// No code was found that is denied.
    Code = "code", "policy-code";
    /// No malformed file was found that is denied.
    Malformed = "malformed", "policy-malformed";
    /// Nothing was found to be missing that is denied.
    Incomplete = "incomplete", "policy-incomplete";
    /// The bundle is encrypted.
    Encryption = "encryption", "policy-encryption";
    /// Addressees are named where they must be.
    Addressees = "addressees", "policy-addressees";
    /// The bundle is addressed to whoever asks.
    Addressed = "addressed-to-us", "policy-not-addressed";
    /// Recipients may have it.
    Recipients = "recipients", "policy-recipients";
    /// It may go there.
    Destination = "destination", "policy-destination";
    /// It may go that way.
    Channel = "channel", "policy-channel";
    /// Enough signatures in the right roles count.
    Signatures = "signatures", "policy-signatures";
    /// A signer is one whom the recipient accepts.
    Signer = "signer", "policy-signer";
    /// It is classified no lower than what it derives from.
    Downgrade = "downgrade", "policy-downgrade";
    /// The licence is taken.
    License = "license", "policy-license";
    /// No file, path or number of files is too large.
    Size = "size", "policy-size";
    /// No file is of a format that is not taken.
    Format = "format", "policy-format";
    /// What is set aside may be set aside.
    Override = "override", "policy-override";
}

impl RuleName {
    /// Whether a policy may let the rule be set aside. That the classification means something, who signed, who is
    /// addressed and what may be overridden are the ground on which everything else stands.
    pub fn may_be_overridable(self) -> bool {
        !matches!(
            self,
            Self::Classification
                | Self::Descriptor
                | Self::Addressed
                | Self::Signatures
                | Self::Signer
                | Self::Downgrade
                | Self::Override
        )
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for RuleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rule) = Self::ALL.iter().find(|rule| rule.as_str() == text) {
            return Ok(*rule);
        }
        let near = did_you_mean(text, Self::ALL.iter().map(|rule| rule.as_str()));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Err(format!("there is no rule `{}`{near}", consign_metadata::printable(text)))
    }
}

/// One thing that the policy says about a bundle: the rule, what is the matter, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub(crate) rule: RuleName,
    pub(crate) message: String,
    pub(crate) fix: String,
    pub(crate) finding: Option<RuleId>,
}

impl Reason {
    /// The rule's name.
    pub fn rule(&self) -> &'static str {
        self.rule.as_str()
    }

    /// What is the matter, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn fix(&self) -> &str {
        &self.fix
    }

    /// The rule of the scanner, if what is the matter is a finding.
    pub fn finding(&self) -> Option<&RuleId> {
        self.finding.as_ref()
    }

    /// The same as a problem with a stable code.
    pub fn problem(&self) -> Problem {
        Problem::new(self.rule.code(), self.message.clone()).hint(self.fix.clone())
    }
}

/// What the policy says to a request.
#[derive(Clone, Debug)]
pub struct Decision {
    pub(crate) stage: Stage,
    pub(crate) policy: Sha256Digest,
    pub(crate) refusals: Vec<Reason>,
    pub(crate) pending: Vec<Reason>,
    pub(crate) warnings: Vec<Reason>,
    pub(crate) notes: Vec<String>,
    pub(crate) overridden: Vec<(Reason, Override)>,
}

impl Decision {
    /// All that stands against it; empty if it is allowed.
    pub fn refusals(&self) -> &[Reason] {
        &self.refusals
    }

    /// What is still missing before it may be handed over, though this step may be done.
    pub fn pending(&self) -> &[Reason] {
        &self.pending
    }

    /// What the policy warns of.
    pub fn warnings(&self) -> &[Reason] {
        &self.warnings
    }

    /// What was not asked, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What would have been refused, had it not been set aside, each with who says why.
    pub fn overridden(&self) -> &[(Reason, Override)] {
        &self.overridden
    }

    /// The permit, if nothing stands against it.
    ///
    /// # Errors
    /// All refusals; never none.
    pub fn permit(&self) -> Result<Permit, &[Reason]> {
        if self.refusals.is_empty() {
            Ok(Permit { stage: self.stage, policy: self.policy })
        } else {
            Err(&self.refusals)
        }
    }
}

/// That a policy allows a step. Only a [`Decision`] without refusals gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    stage: Stage,
    policy: Sha256Digest,
}

impl Permit {
    /// What is permitted.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// SHA-256 of the policy that permits it.
    pub fn policy(&self) -> Sha256Digest {
        self.policy
    }
}
