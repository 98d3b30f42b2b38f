//! A bundle in a report: one object, wherever a command speaks of one.

use consign_metadata::{BundleId, Core};
use consign_signing::{BundleClaim, Claim};
use serde::{Serialize, Serializer};

use crate::addressing;

/// A bundle. Name, version and classification are claims, unless the report says that it is verified.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleOut {
    pub name: String,
    pub version: String,
    /// Absent where it is not at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    /// The bundle id, `sha256:` and 64 hexadecimal digits; absent before it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whom it is for, by its statements.
    pub addressees: Vec<String>,
}

impl BundleOut {
    /// One of which no statement is at hand.
    pub fn described(core: &Core, id: Option<BundleId>) -> Self {
        Self {
            name: core.name.to_string(),
            version: core.version.to_string(),
            classification: Some(core.classification.to_string()),
            id: id.map(|id| id.to_string()),
            addressees: Vec::new(),
        }
    }

    /// One that a statement names, without the rest of what it says.
    pub fn named(bundle: &BundleClaim) -> Self {
        Self {
            name: bundle.name.to_string(),
            version: bundle.version.to_string(),
            classification: Some(bundle.classification.to_string()),
            id: Some(bundle.id.to_string()),
            addressees: Vec::new(),
        }
    }

    /// One that a statement is about.
    pub fn claimed(claim: &Claim) -> Self {
        Self { addressees: addressing::told(&claim.addressees), ..Self::named(&claim.bundle) }
    }

    /// The same with those whom it is for.
    pub fn for_whom(self, addressees: Vec<String>) -> Self {
        Self { addressees, ..self }
    }

    /// The classification, in capitals, for people.
    pub fn class(&self) -> String {
        self.classification.as_deref().unwrap_or_default().to_uppercase()
    }

    /// The id for people.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

/// A SHA-256 as programs take it: 64 hexadecimal digits, under a name that says what they are.
pub fn bare<S: Serializer>(digest: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(digest.strip_prefix("sha256:").unwrap_or(digest))
}

/// The same where there may be none.
#[allow(clippy::ref_option, reason = "serde hands the field over so")]
pub fn bare_if_any<S: Serializer>(digest: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => bare(digest, serializer),
        None => serializer.serialize_none(),
    }
}
