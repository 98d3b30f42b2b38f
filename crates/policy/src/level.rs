//! What one classification level demands.

use consign_metadata::{Classification, Kind, Line, Role};

use crate::decision::RuleName;
use crate::document::{Action, Demand, FindingRule, Listing, PublicFact, SignatureRule};

/// What one classification level demands. Its fields mean what the fields of `[[level]]` in `policy.toml` mean.
#[derive(Clone, Debug)]
pub struct Level {
    /// Name of the level.
    pub name: Classification,
    /// What the level is for.
    pub description: Option<Line>,
    /// Whether bundles leave only encrypted.
    pub encryption: Demand,
    /// Recipients who can open every encrypted bundle.
    pub also_encrypt_to: Vec<Line>,
    /// What of an encrypted bundle may be known to everybody.
    pub public: Vec<PublicFact>,
    /// Whether addressees must be named.
    pub addressees: Demand,
    /// Whether recipients must be listed.
    pub recipients: Listing,
    /// Whether destinations must be listed.
    pub destinations: Listing,
    /// Channels that are admitted; empty: all.
    pub channels: Vec<Line>,
    /// Fields that the descriptor must fill.
    pub fields: Fields,
    /// Longest retention in days.
    pub retention_days: Option<u32>,
    /// Signatures that must count.
    pub signatures: Vec<SignatureRule>,
    /// Age in days from which on a key is warned of.
    pub key_age_days: u32,
    /// Whether the content must have been scanned.
    pub scan: Demand,
    /// What findings do here, before what they do at all levels.
    pub findings: Vec<FindingRule>,
    /// What an unknown parent does.
    pub unknown_parents: Action,
    /// The role that may sign a downgrade from here.
    pub downgrade_by: Option<Role>,
    /// The role that must sign where a secret was let pass.
    pub secrets_allowed_by: Option<Role>,
    /// What keeping a bundle in the clear does.
    pub plain_store: Action,
    /// Rules that may be set aside with a reason.
    pub overridable: Vec<RuleName>,
}

/// Fields that a descriptor must fill, by what it holds.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub(crate) all: Vec<String>,
    pub(crate) model: Vec<String>,
    pub(crate) dataset: Vec<String>,
    pub(crate) workflow: Vec<String>,
}

impl Fields {
    /// The fields for a kind of bundle, in the policy's order. A mixed bundle may hold anything, so it needs the
    /// fields of all kinds.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let wanted = |one: Kind| kind == one || kind == Kind::Mixed;
        let parts = [
            (true, &self.all),
            (wanted(Kind::Model), &self.model),
            (wanted(Kind::Dataset), &self.dataset),
            (wanted(Kind::Workflow), &self.workflow),
        ];
        parts
            .into_iter()
            .filter(|(wanted, _)| *wanted)
            .flat_map(|(_, fields)| fields.iter().map(String::as_str))
    }

    /// The fields with the kinds of bundles that need them, for explanations.
    pub fn by_kind(&self) -> [(&'static str, &[String]); 4] {
        [
            ("every bundle", &self.all),
            ("a model", &self.model),
            ("a dataset", &self.dataset),
            ("a workflow", &self.workflow),
        ]
    }
}
