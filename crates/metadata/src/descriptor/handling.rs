//! How a bundle must be stored, sent and shared, in the owner's words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::record;
use crate::text::{Line, Paragraph};

/// Handling instructions of the owner. What each classification demands by itself is for a policy to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handling {
    /// Where it may be stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<Line>,
    /// How it must be encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Channels by which it may be sent, such as `TLS` or `VPN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Line>,
    /// Who may do what with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// How long it may be kept, and what happens then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Line>,
    /// Markings that must stay with it, word for word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markings: Vec<Line>,
    /// Anything else to observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Paragraph>,
}

record!(Handling { storage, encryption, channels, access, retention, markings, notes });

/// How content must be encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// Where it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_rest: Option<Line>,
    /// Where it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_transit: Option<Line>,
    /// Who holds the keys and how they are rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Line>,
}

record!(Encryption { at_rest, in_transit, keys });

/// Who may do what; each a person, a group or a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Who may read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub view: Vec<Line>,
    /// Who may change it or derive from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modify: Vec<Line>,
    /// Who may pass it on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub export: Vec<Line>,
}

record!(Access { view, modify, export });
