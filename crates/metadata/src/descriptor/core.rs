//! The frozen core: what every version of the format says in the same place and shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::record;
use crate::digest::BundleId;
use crate::text::{BundleName, BundleVersion, Classification, Email, Line};

/// The part of a descriptor that every reader of format 1 understands, whatever the descriptor's schema: it is
/// enough to verify a bundle, to find its owner and to know how it must be handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// Name of the bundle.
    pub name: BundleName,
    /// Version of the bundle.
    pub version: BundleVersion,
    /// Classification level.
    pub classification: Classification,
    /// Whom to ask about the bundle.
    pub contact: Contact,
    /// Licence, best as an SPDX identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<Line>,
    /// Ids of the bundles that this one derives from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BundleId>,
}

/// Whom to ask about a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Name of a person or group.
    pub name: Line,
    /// E-mail address.
    pub email: Email,
    /// Organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Line>,
    /// Role of the contact, such as `data owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Line>,
}

record!(Contact { name, email, organization, role });
