//! On which terms a bundle is handed over: to whom, against which rules, with what lowered.

use consign_metadata::{BundleId, Classification, Line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule of the handling policy that was set aside, and why. Whoever signs the claim says so too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The rule, by the name that the policy's refusals give it.
    pub rule: Line,
    /// Why it was set aside.
    pub reason: Line,
}

/// A bundle that is classified lower than one that it derives from. Only a signature by the role that the
/// policy names makes it count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Downgrade {
    /// The bundle that it derives from.
    pub parent: BundleId,
    /// How that one is classified.
    pub from: Classification,
    /// Why a lower level does.
    pub reason: Line,
}
