//! `policy.toml` as it stands in the file: shapes and spellings. What the values mean together is checked where
//! a [`Policy`](crate::Policy) is made of them.

use consign_metadata::{Classification, Line, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::policy::LOG_DAYS;

/// A handling policy: what each classification demands, where bundles may go, and what a recipient accepts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Handling policy of consign", rename = "Policy")]
pub(crate) struct Document {
    /// Always 1.
    #[schemars(with = "u32", extend("const" = 1))]
    pub format: Spanned<u32>,
    /// What the policy is called, in messages.
    pub name: Line,
    /// Who applies it.
    #[serde(default, rename = "self")]
    pub own: OwnDocument,
    /// How many days the ledger keeps what every event says, at the least. That it was lowered counts only as many days
    /// later as it had been before.
    #[serde(default = "log_days")]
    pub log_days: u32,
    /// The classification levels, from the most open to the most closed; at least one.
    #[serde(default, rename = "level")]
    #[schemars(with = "Vec<LevelDocument>")]
    pub levels: Vec<Spanned<LevelDocument>>,
    /// What findings do at every level that does not say otherwise: the first rule that matches decides, and
    /// without one a finding is only reported.
    #[serde(default)]
    #[schemars(with = "Vec<FindingRule>")]
    pub findings: Vec<Spanned<FindingRule>>,
    /// Whom bundles may be addressed and encrypted to, by name.
    #[serde(default, rename = "recipient")]
    #[schemars(with = "Vec<RecipientDocument>")]
    pub recipients: Vec<Spanned<RecipientDocument>>,
    /// Where bundles may be submitted to, by name.
    #[serde(default, rename = "destination")]
    #[schemars(with = "Vec<DestinationDocument>")]
    pub destinations: Vec<Spanned<DestinationDocument>>,
    /// Words that demand a level wherever they stand.
    #[serde(default, rename = "marking")]
    #[schemars(with = "Vec<MarkingDocument>")]
    pub markings: Vec<Spanned<MarkingDocument>>,
    /// Kinds of data and the level that each demands.
    #[serde(default, rename = "category")]
    #[schemars(with = "Vec<CategoryDocument>")]
    pub categories: Vec<Spanned<CategoryDocument>>,
    /// Original sources and the level that content from them demands.
    #[serde(default, rename = "source")]
    #[schemars(with = "Vec<SourceDocument>")]
    pub sources: Vec<Spanned<SourceDocument>>,
    /// Keys whose signatures a recipient accepts; without any, that is left to the trust policy.
    #[serde(default, rename = "signer")]
    #[schemars(with = "Vec<SignerDocument>")]
    pub signers: Vec<Spanned<SignerDocument>>,
    /// What a recipient accepts.
    #[serde(default)]
    #[schemars(with = "Option<AcceptDocument>")]
    pub accept: Option<Spanned<AcceptDocument>>,
}

/// The days that events are kept where a policy does not say it.
fn log_days() -> u32 {
    LOG_DAYS
}

/// Who applies the policy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnDocument {
    /// The names under which bundles are addressed to us. Without any, addressees are not checked.
    #[serde(default)]
    pub names: Vec<Line>,
}

/// What a classification level demands.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LevelDocument {
    /// Name of the level.
    pub name: Classification,
    /// What the level is for, in messages.
    #[serde(default)]
    pub description: Option<Line>,
    /// Whether bundles leave only encrypted.
    #[serde(default)]
    pub encryption: Demand,
    /// What keeping a bundle in the clear does, where it would otherwise leave only encrypted: in a store it lies open to
    /// whoever can read the disk. Without a word about it, what leaves only encrypted is not kept in the clear.
    #[serde(default)]
    pub plain_store: Option<Action>,
    /// Recipients who can open every encrypted bundle of this level, by name: approvers, the archive.
    #[serde(default)]
    pub also_encrypt_to: Vec<Line>,
    /// What of an encrypted bundle may be known to everybody.
    #[serde(default)]
    pub public: Vec<PublicFact>,
    /// Whether a bundle must name its addressees.
    #[serde(default)]
    pub addressees: Demand,
    /// Whether addressees and recipients must be listed in this policy, with a `highest` that is no lower.
    #[serde(default)]
    pub recipients: Listing,
    /// Whether destinations must be listed in this policy, with a `highest` that is no lower.
    #[serde(default)]
    pub destinations: Listing,
    /// Channels by which bundles may be sent; without any, all.
    #[serde(default)]
    pub channels: Vec<Line>,
    /// Fields that the descriptor must fill.
    #[serde(default)]
    pub fields: FieldsDocument,
    /// Longest retention in days. The descriptor must state one, as `90 days`.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// Signatures that must count before a bundle is handed over or accepted.
    #[serde(default)]
    pub signatures: Vec<SignatureRule>,
    /// Age in days from which on a signing key is warned of.
    #[serde(default = "default_key_age")]
    pub key_age_days: u32,
    /// Whether the content must have been scanned.
    #[serde(default)]
    pub scan: Demand,
    /// What findings do at this level; asked before the rules for all levels.
    #[serde(default)]
    pub findings: Vec<FindingRule>,
    /// What a parent does of which nobody says how it is classified.
    #[serde(default)]
    pub unknown_parents: Action,
    /// The role that may sign what derives from this level down to a lower one; without it nobody may.
    #[serde(default)]
    pub downgrade_by: Option<Role>,
    /// The role that must sign, too, where somebody let a secret pass that a scan found; without it the signatures that the
    /// level demands are enough.
    #[serde(default)]
    pub secrets_allowed_by: Option<Role>,
    /// Rules that may be set aside, with a reason.
    #[serde(default)]
    pub overridable: Vec<Line>,
}

fn default_key_age() -> u32 {
    90
}

/// Whether something is demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// It must be so.
    Required,
    /// It may be so.
    #[default]
    Optional,
}

/// Who is admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// Anybody.
    #[default]
    Any,
    /// Those who are listed.
    Listed,
}

/// What comes of something that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The bundle is refused.
    Deny,
    /// It is warned of.
    #[default]
    Warn,
    /// It is reported among the findings and nothing more.
    Note,
}

/// A fact that may stand outside the encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PublicFact {
    /// Name and version of the bundle.
    Name,
    /// Its classification.
    Classification,
    /// Whom it is addressed to.
    Addressees,
}

/// Fields of the descriptor, by their paths such as `model_card.intended_use`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldsDocument {
    /// For every bundle.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub all: Vec<Spanned<String>>,
    /// For bundles that hold a model.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub model: Vec<Spanned<String>>,
    /// For bundles that hold a dataset.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub dataset: Vec<Spanned<String>>,
    /// For bundles that hold a workflow.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub workflow: Vec<Spanned<String>>,
}

/// How many signatures in a role must count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureRule {
    /// The role that they state.
    pub role: Role,
    /// How many distinct keys of distinct owners; one, if absent.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub count: u32,
    /// Whether their owners must be others than those who sign in a different role. True, if absent: one person
    /// in two roles is no second person.
    #[serde(default = "yes")]
    pub another_person: bool,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// What findings do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingRule {
    /// The rule of the scanner, such as `secret/private-key`, or a pattern, such as `secret/*`.
    pub rule: Line,
    /// What comes of it.
    pub action: Action,
    /// Whether an allow-list may let it pass, at the sender's. True, if absent.
    #[serde(default = "yes")]
    pub allowable: bool,
}

/// Somebody whom bundles may be addressed and encrypted to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientDocument {
    /// The name by which they are addressed.
    pub name: Line,
    /// Other names that they go by. A bundle is addressed by `name`, whichever of them is given.
    #[serde(default)]
    pub aliases: Vec<Line>,
    /// Their organization.
    #[serde(default)]
    pub organization: Option<Line>,
    /// The file with the policy that they publish: what they accept. It is asked before anything is packed for them or
    /// handed over to them. A relative path begins at the folder of this policy.
    #[serde(default)]
    pub laboratory: Option<Line>,
    /// Their keys for encryption, as age writes them (`age1…`).
    #[serde(default)]
    pub encrypt_to: Vec<Line>,
    /// The highest level that they may receive; without it they receive what any recipient may.
    #[serde(default)]
    pub highest: Option<Classification>,
}

/// Where bundles may be submitted to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationDocument {
    /// The name that `submit --to` takes.
    pub name: Line,
    /// The folder.
    pub path: Line,
    /// How it gets there, such as `vpn`; compared with the channels of the level.
    #[serde(default)]
    pub channel: Option<Line>,
    /// The recipient who reads there, by name.
    #[serde(default)]
    pub recipient: Option<Line>,
    /// The highest level that may go there.
    #[serde(default)]
    pub highest: Option<Classification>,
}

/// Words that demand a level.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkingDocument {
    /// The words, such as `EXPORT CONTROLLED`; upper and lower case are the same.
    pub word: Line,
    /// The lowest level that a bundle with them may have.
    pub level: Classification,
}

/// A kind of data and the level that it demands.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryDocument {
    /// The name that descriptors use in `categories`, such as `chemistry/experimental-data`.
    pub name: Line,
    /// What belongs to it, in messages.
    #[serde(default)]
    pub description: Option<Line>,
    /// The lowest level that a bundle with such data may have.
    pub level: Classification,
    /// Patterns of file names that are of this kind, whatever the descriptor says.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub files: Vec<Spanned<String>>,
}

/// Original sources and the level that they demand.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceDocument {
    /// A pattern of the URIs in `provenance.sources`.
    #[schemars(with = "String")]
    pub uri: Spanned<String>,
    /// The lowest level that content from there may have.
    pub level: Classification,
}

/// A key whose signatures a recipient accepts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignerDocument {
    /// A name for the key.
    pub name: Line,
    /// The public key, as PEM or as an OpenSSH line.
    #[schemars(with = "String")]
    pub public_key: Spanned<String>,
    /// The person or service that holds it.
    #[serde(default)]
    pub owner: Option<Line>,
    /// Their organization.
    #[serde(default)]
    pub organization: Option<Line>,
    /// The roles in which its signatures are accepted.
    pub roles: Vec<Role>,
}

/// What a recipient accepts. What is absent is not asked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptDocument {
    /// Classifications that are taken.
    #[serde(default)]
    pub classifications: Option<Vec<Classification>>,
    /// Patterns of licences that are taken, such as `CC-BY-*`; a bundle without a licence is not.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub licenses: Option<Vec<Spanned<String>>>,
    /// Largest file in bytes.
    #[serde(default)]
    pub largest_file: Option<u64>,
    /// Most bytes of all files together.
    #[serde(default)]
    pub largest_bundle: Option<u64>,
    /// Most files.
    #[serde(default)]
    pub most_files: Option<u64>,
    /// Longest path in bytes, below the bundle's `data` folder.
    #[serde(default)]
    pub longest_path: Option<u64>,
    /// Formats that are not taken, by the names that `inspect --json` gives them, such as `pickle`.
    #[serde(default)]
    pub forbidden_formats: Vec<Line>,
    /// Fields that the descriptor must fill.
    #[serde(default)]
    pub fields: FieldsDocument,
}
