//! At which time something is asked, and whether a key counts then.

use std::fmt;

use consign_metadata::{Line, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::trust_policy::TrustedKey;

/// What proves that a signature was made by the time that is asked about.
///
/// The time that a signer states proves nothing: whoever has the key states what they like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeEvidence {
    /// Nothing: the time is the caller's word.
    #[default]
    None,
    /// A time-stamp by somebody whom the caller trusts for it.
    Timestamp,
    /// A signed receipt of a recipient.
    Receipt,
    /// A checkpoint of a ledger that the statement is proven to be in.
    Ledger,
}

impl fmt::Display for TimeEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Timestamp => "timestamp",
            Self::Receipt => "receipt",
            Self::Ledger => "ledger",
        })
    }
}

/// The time of verification, and the time as of which trust is asked.
///
/// ```
/// use consign_signing::{Moment, TimeEvidence};
/// let now = "2026-11-22T03:00:00Z".parse()?;
/// assert!(!Moment::now(now).is_asserted());
/// let then = Moment::asserted("2025-01-01T00:00:00Z".parse()?, now)?;
/// assert!(then.is_asserted() && then.evidence() == TimeEvidence::None);
/// assert!(Moment::asserted("2027-01-01T00:00:00Z".parse()?, now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    at: Timestamp,
    now: Timestamp,
    evidence: TimeEvidence,
}

/// The time as of which trust is asked has not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at} has not come yet: it is {now}")]
pub struct FutureMoment {
    at: Timestamp,
    now: Timestamp,
}

impl FutureMoment {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let hint = "name a time in the past; without one, trust is asked as of now";
        Problem::new("time-in-future", self.to_string()).hint(hint)
    }
}

impl Moment {
    /// Trust is asked as of the time of verification.
    pub fn now(now: Timestamp) -> Self {
        Self { at: now, now, evidence: TimeEvidence::None }
    }

    /// Trust is asked as of an earlier time, because the caller says that the signatures were made by then.
    ///
    /// # Errors
    /// `at` is later than `now`.
    pub fn asserted(at: Timestamp, now: Timestamp) -> Result<Self, FutureMoment> {
        Self::proven(at, now, TimeEvidence::None)
    }

    /// The same, where the caller has checked the evidence for it.
    ///
    /// # Errors
    /// `at` is later than `now`.
    pub fn proven(at: Timestamp, now: Timestamp, evidence: TimeEvidence) -> Result<Self, FutureMoment> {
        if at > now { Err(FutureMoment { at, now }) } else { Ok(Self { at, now, evidence }) }
    }

    /// The time as of which trust is asked.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The time of verification.
    pub fn time_of_verification(&self) -> Timestamp {
        self.now
    }

    /// What proves that the signatures were made by [`at`](Self::at).
    pub fn evidence(&self) -> TimeEvidence {
        self.evidence
    }

    /// Whether an earlier time is asked about that nothing proves.
    pub fn is_asserted(&self) -> bool {
        self.at < self.now && self.evidence == TimeEvidence::None
    }
}

/// Why a key was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// Somebody else has or may have the key: nothing that it ever signed counts, since they may state any time.
    Compromised,
    /// Another key took its place: what it signed before counts as before.
    Superseded,
}

impl RevocationReason {
    /// All words, for messages.
    pub const WORDS: [&'static str; 2] = ["compromised", "superseded"];
}

impl std::str::FromStr for RevocationReason {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "compromised" => Ok(Self::Compromised),
            "superseded" => Ok(Self::Superseded),
            _ => Err("is neither `compromised` nor `superseded`"),
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Compromised => "compromised",
            Self::Superseded => "superseded",
        })
    }
}

/// That a key no longer counts, since when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRevocation {
    /// Since when. Of a compromised key it is for reading only: the key counts at no time.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
    /// What else there is to say.
    pub note: Option<Line>,
}

impl fmt::Display for KeyRevocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revoked as {} at {}", self.reason, self.at)?;
        self.note.iter().try_for_each(|note| write!(f, " ({note})"))
    }
}

/// Whether a key counts at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It does.
    Valid,
    /// Its time has not come.
    NotYet {
        /// When it comes.
        not_before: Timestamp,
    },
    /// Its time is over.
    Expired {
        /// The last second in which it counted.
        not_after: Timestamp,
    },
    /// It was revoked.
    Revoked(KeyRevocation),
}

impl TrustedKey {
    /// Whether the key counts at that time. A revocation is told before dates.
    pub fn validity(&self, at: Timestamp) -> Validity {
        if let Some(revoked) = &self.revoked
            && (revoked.reason == RevocationReason::Compromised || at >= revoked.at)
        {
            return Validity::Revoked(revoked.clone());
        }
        match (self.not_before, self.not_after) {
            (Some(not_before), _) if at < not_before => Validity::NotYet { not_before },
            (_, Some(not_after)) if at > not_after => Validity::Expired { not_after },
            _ => Validity::Valid,
        }
    }

    /// Whether somebody else has or may have the key.
    pub fn is_compromised(&self) -> bool {
        self.revoked.as_ref().is_some_and(|revoked| revoked.reason == RevocationReason::Compromised)
    }

    /// How many whole days ago the key was made, as far as the policy says: since `created`, else since
    /// `not_before`. `None` if neither is known or the time has not come.
    pub fn age_in_days(&self, at: Timestamp) -> Option<u64> {
        let since = self.created.or(self.not_before)?;
        at.unix_seconds().checked_sub(since.unix_seconds()).map(|seconds| seconds / 86_400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::Signer as _;
    use crate::testing::key;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn trusted() -> TrustedKey {
        TrustedKey::new("a".parse().unwrap(), *key().public_key(), vec!["owner".parse().unwrap()])
    }

    #[test]
    fn dates_include_both_ends() {
        let mut key = trusted();
        assert_eq!(key.validity(time("1970-01-01T00:00:00Z")), Validity::Valid);
        key.not_before = Some(time("2026-01-01T00:00:00Z"));
        key.not_after = Some(time("2026-12-31T23:59:59Z"));
        for (at, valid) in [
            ("2025-12-31T23:59:59Z", false),
            ("2026-01-01T00:00:00Z", true),
            ("2026-12-31T23:59:59Z", true),
            ("2027-01-01T00:00:00Z", false),
        ] {
            assert_eq!(key.validity(time(at)) == Validity::Valid, valid, "{at}");
        }
    }

    #[test]
    fn compromised_is_void_at_every_time_and_superseded_from_its_time_on() {
        let mut key = trusted();
        let at = time("2026-06-01T00:00:00Z");
        let before = time("2026-05-31T23:59:59Z");
        key.revoked = Some(KeyRevocation { at, reason: RevocationReason::Superseded, note: None });
        assert_eq!(key.validity(before), Validity::Valid);
        assert!(matches!(key.validity(at), Validity::Revoked(_)));
        key.revoked = Some(KeyRevocation { at, reason: RevocationReason::Compromised, note: None });
        for when in [before, at, time("1970-01-01T00:00:00Z")] {
            assert!(matches!(key.validity(when), Validity::Revoked(_)), "{when}");
        }
    }

    #[test]
    fn age_is_counted_from_the_making() {
        let mut key = trusted();
        let now = time("2026-04-11T00:00:00Z");
        assert_eq!(key.age_in_days(now), None);
        key.not_before = Some(time("2026-04-01T00:00:01Z"));
        assert_eq!(key.age_in_days(now), Some(9));
        key.created = Some(time("2026-01-01T00:00:00Z"));
        assert_eq!(key.age_in_days(now), Some(100));
        key.created = Some(time("2027-01-01T00:00:00Z"));
        assert_eq!(key.age_in_days(now), None);
    }
}
