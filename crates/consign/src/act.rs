//! What a command did that the ledger is to remember.

use consign_ledger::Level;
use consign_metadata::{AllowedFinding, Manifest, Problem, Sha256Digest};
use consign_signing::{BundleClaim, Claim, Content, PublicKey};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit::Exit;

/// What was done. The words are what `ledger list` shows and filters by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Action {
    /// A bundle was made.
    Packed,
    /// A directory was sealed where it lies.
    Sealed,
    /// A signature was added.
    Signed,
    /// A bundle was encrypted, or one was made encrypted.
    #[cfg_attr(not(feature = "encryption"), allow(dead_code, reason = "nothing can be opened"))]
    Encrypted,
    /// A bundle was decrypted into a plain one.
    #[cfg_attr(not(feature = "encryption"), allow(dead_code, reason = "nothing can be opened"))]
    Decrypted,
    /// A bundle was found intact, trusted and allowed.
    Verified,
    /// A bundle was not: see `metadata.problems`.
    NotVerified,
    /// What an encrypted bundle says was opened with an identity, to be read.
    Opened,
    /// An encrypted bundle was not opened: by an identity that does not fit, or that could not be used.
    NotOpened,
    /// Content was extracted.
    Unpacked,
    /// A step was refused: see `metadata.problems`.
    Refused,
    /// A rule of the handling policy was set aside.
    Overridden,
    /// A secret that a scan found was let pass, with a reason.
    SecretAllowed,
    /// A bundle was handed over.
    Submitted,
    /// A bundle was taken in, and a receipt was made for it.
    Received,
    /// A receipt of a recipient was taken into the record.
    ReceiptAdded,
    /// A key was made.
    KeyMade,
    /// A key was replaced by another.
    KeyRotated,
    /// A key was revoked.
    KeyRevoked,
    /// A bundle was taken back.
    BundleRevoked,
    /// `trust.toml` was changed.
    TrustChanged,
    /// Published trust was imported.
    TrustImported,
    /// Trust was published.
    TrustPublished,
    /// The handling policy in force is another one than before.
    PolicyChanged,
    /// A bundle was made out of another with a corrected descriptor.
    Amended,
    /// An archive was made again.
    Reconstructed,
    /// A bundle was put into the store.
    Stored,
    /// Bundles were removed from the store.
    StoreCollected,
    /// The ledger was brought back to a complete state after an append was cut short.
    LedgerRepaired,
    /// Bodies of old events were dropped.
    EventsDropped,
    /// Events of other runs were taken in.
    EventsJoined,
}

impl Action {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Sealed => "sealed",
            Self::Signed => "signed",
            Self::Encrypted => "encrypted",
            Self::Decrypted => "decrypted",
            Self::Verified => "verified",
            Self::NotVerified => "not_verified",
            Self::Opened => "opened",
            Self::NotOpened => "not_opened",
            Self::Unpacked => "unpacked",
            Self::Refused => "refused",
            Self::Overridden => "overridden",
            Self::SecretAllowed => "secret_allowed",
            Self::Submitted => "submitted",
            Self::Received => "received",
            Self::ReceiptAdded => "receipt_added",
            Self::KeyMade => "key_made",
            Self::KeyRotated => "key_rotated",
            Self::KeyRevoked => "key_revoked",
            Self::BundleRevoked => "bundle_revoked",
            Self::TrustChanged => "trust_changed",
            Self::TrustImported => "trust_imported",
            Self::TrustPublished => "trust_published",
            Self::PolicyChanged => "policy_changed",
            Self::Amended => "amended",
            Self::Reconstructed => "reconstructed",
            Self::Stored => "stored",
            Self::StoreCollected => "store_collected",
            Self::LedgerRepaired => "ledger_repaired",
            Self::EventsDropped => "events_dropped",
            Self::EventsJoined => "events_joined",
        }
    }

    /// The kind of event, in few words that a SIEM can filter by.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Packed
            | Self::Sealed
            | Self::Signed
            | Self::Encrypted
            | Self::Amended
            | Self::BundleRevoked => "artifact",
            Self::Verified
            | Self::NotVerified
            | Self::Opened
            | Self::NotOpened
            | Self::Unpacked
            | Self::Decrypted
            | Self::Reconstructed => "data_access",
            Self::Refused | Self::Overridden | Self::SecretAllowed => "policy_decision",
            Self::Submitted | Self::Received | Self::ReceiptAdded => "custody",
            Self::KeyMade | Self::KeyRotated | Self::KeyRevoked => "key_management",
            Self::TrustChanged | Self::TrustImported | Self::TrustPublished | Self::PolicyChanged => {
                "configuration"
            }
            Self::Stored | Self::StoreCollected => "storage",
            Self::LedgerRepaired | Self::EventsDropped | Self::EventsJoined => "ledger",
        }
    }

    /// How much attention it calls for.
    pub fn level(self) -> Level {
        match self {
            Self::LedgerRepaired => Level::Error,
            Self::NotVerified
            | Self::NotOpened
            | Self::Refused
            | Self::Overridden
            | Self::SecretAllowed
            | Self::KeyRevoked
            | Self::BundleRevoked
            | Self::EventsDropped => Level::Warn,
            _ => Level::Info,
        }
    }
}

/// The secrets that whoever made a bundle let pass.
pub fn secrets_allowed(claim: &Claim) -> impl Iterator<Item = &AllowedFinding> {
    let all = claim.findings.iter().flat_map(|findings| &findings.allowed);
    all.filter(|allowed| allowed.rule.kind() == "secret")
}

/// One act, for one event of the ledger.
#[derive(Clone, Debug)]
pub struct Act {
    pub action: Action,
    /// Which bundle it was done to, as far as it is known.
    pub bundle: Option<BundleClaim>,
    /// The archive, or the encrypted file, that it was done to.
    pub archive: Option<Sha256Digest>,
    /// Whatever else is worth knowing, in the order in which it was said.
    pub metadata: Map<String, Value>,
    /// How it ended.
    exit: Exit,
}

impl Act {
    pub fn new(action: Action) -> Self {
        Self { action, bundle: None, archive: None, metadata: Map::new(), exit: Exit::Done }
    }

    /// Something done to what a claim speaks of. Rules that were set aside and addressees go with it.
    pub fn of(action: Action, claim: &Claim) -> Self {
        let act = Self::new(action).bundle(&claim.bundle);
        let act = match &claim.content {
            Content::Sealed => act,
            Content::Archive(archive) => act.archive(archive.sha256).with("size", archive.size),
        };
        if claim.addressees.is_empty() { act } else { act.with("addressees", &claim.addressees) }
    }

    /// The same under another name.
    pub fn instead(self, action: Action) -> Self {
        Self { action, ..self }
    }

    /// Each thing that a claim has by an exception: a rule of the handling policy that was set aside, a secret that was let
    /// pass.
    pub fn exceptions(claim: &Claim) -> impl Iterator<Item = Self> {
        let overridden =
            claim.overrides.iter().map(|rule| Self::of(Action::Overridden, claim).with("override", rule));
        let allowed = secrets_allowed(claim).map(|allowed| {
            Self::of(Action::SecretAllowed, claim)
                .with("rule", &allowed.rule)
                .with("path", &allowed.path)
                .with("reason", &allowed.reason)
                .with("count", allowed.count)
        });
        overridden.chain(allowed)
    }

    /// What it was made of, and by which build or training run, as the descriptor says.
    pub fn made_of(self, manifest: &Manifest) -> Self {
        let act = match manifest.core().parents.as_slice() {
            [] => self,
            parents => self.with("parents", parents),
        };
        let provenance = manifest.descriptor().details().and_then(|details| details.provenance.as_ref());
        act.with("pipeline", provenance.and_then(|provenance| provenance.pipeline.as_ref()))
    }

    /// Who signed, and as what.
    pub fn signed_by(self, key: &PublicKey, role: &consign_metadata::Role) -> Self {
        self.with("signer", key.fingerprint().to_string()).with("role", role)
    }

    /// How it ended, where it was not done, or something was found that speaks against it: the one way in which an event tells
    /// of problems, so that none tells of them without their kind, by which alerts are graded.
    pub fn ended(mut self, exit: Exit, problems: &[Problem]) -> Self {
        if exit == Exit::Done && problems.is_empty() {
            return self;
        }
        self.exit = exit;
        self.with("exit", exit.code()).with("problems", (!problems.is_empty()).then_some(problems))
    }

    /// How much attention it calls for: what is not what was signed calls for more than any step that did as it should.
    pub fn level(&self) -> Level {
        let of_exit = match self.exit {
            Exit::NotIntact => Level::Error,
            Exit::NotTrusted | Exit::Refused => Level::Warn,
            Exit::Done | Exit::Failed | Exit::Usage | Exit::Signal(_) => Level::Info,
        };
        match (self.action.level(), of_exit) {
            (Level::Error, _) | (_, Level::Error) => Level::Error,
            (Level::Warn, _) | (_, Level::Warn) => Level::Warn,
            (Level::Info, Level::Info) => Level::Info,
        }
    }

    /// The bundle that it was done to.
    pub fn bundle(mut self, bundle: &BundleClaim) -> Self {
        self.bundle = Some(bundle.clone());
        self
    }

    /// The archive that it was done to.
    pub fn archive(mut self, digest: Sha256Digest) -> Self {
        self.archive = Some(digest);
        self
    }

    /// Something else that is worth knowing; nothing, if there is nothing to say.
    pub fn with(mut self, key: &'static str, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(Value::Null) | Err(_) => {}
            Ok(value) => {
                self.metadata.insert(key.to_owned(), value);
            }
        }
        self
    }
}
