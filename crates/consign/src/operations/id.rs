//! The card of a key, for reading aloud.

use crate::context::Context;
use crate::failure::Failure;
use crate::key_source::KeySource;
use crate::keys::PassphraseArgs;
use crate::keys::load_public;
use crate::operation::{Outcome, Request};
use consign_metadata::Line;
use consign_signing::{PublicKey, Timestamp, TrustedKey};
use serde::Serialize;
use std::ffi::OsString;

/// Print the card of a public key, fit for reading aloud
#[derive(Clone, Debug)]
pub struct Id {
    /// The public key: a file (PEM or OpenSSH), an OpenSSH line, or where the private one is kept:
    /// `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, `exec:NAME`
    pub key: OsString,
    pub passphrase: PassphraseArgs,
}

/// What there is to say about a public key: itself, and how `trust.toml` lists it.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Card {
    pub fingerprint: String,
    pub groups: String,
    pub openssh: String,
    pub keyid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// That a key no longer counts.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Revoked {
    pub at: String,
    pub reason: consign_signing::RevocationReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Card {
    pub fn of(key: &PublicKey, listed: Option<&TrustedKey>) -> Self {
        let text = |line: &Option<Line>| line.as_ref().map(ToString::to_string);
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let revoked = listed.and_then(|key| key.revoked.as_ref()).map(|revoked| Revoked {
            at: revoked.at.to_string(),
            reason: revoked.reason,
            note: text(&revoked.note),
        });
        Self {
            fingerprint: key.fingerprint().to_string(),
            groups: key.fingerprint().groups(),
            openssh: key.to_openssh(None).trim_end().to_owned(),
            keyid: key.keyid(),
            name: listed.map(|key| key.name.to_string()),
            owner: listed.and_then(|key| text(&key.owner)),
            organization: listed.and_then(|key| text(&key.organization)),
            roles: listed.map(|key| key.roles.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            created: listed.and_then(|key| time(key.created)),
            not_before: listed.and_then(|key| time(key.not_before)),
            not_after: listed.and_then(|key| time(key.not_after)),
            revoked,
        }
    }

    /// The lines about dates and revocation.
    pub fn limits(&self) -> Vec<(&'static str, String)> {
        let revoked = self.revoked.as_ref().map(|Revoked { at, reason, note }| {
            let note = note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
            format!("{reason}, {at}{note}")
        });
        [
            ("created", self.created.clone()),
            ("not before", self.not_before.clone()),
            ("not after", self.not_after.clone()),
            ("REVOKED", revoked),
        ]
        .into_iter()
        .filter_map(|(label, value)| value.map(|value| (label, value)))
        .collect()
    }
}

impl Request for Id {
    const COMMAND: &str = "id";
    type Report = Card;

    fn run(&self, context: &Context) -> Result<Outcome<Card>, Failure> {
        let key = match self.key.to_str() {
            Some(line) if line.starts_with("ssh-ed25519 ") => load_public(line)?,
            _ => KeySource::parse(&self.key)?.public_key(context, &self.passphrase)?,
        };
        let policy = context.trust_policy(None)?;
        let listed = policy.as_ref().and_then(|policy| policy.find(&key));
        Ok(Outcome::done(Card::of(&key, listed)))
    }
}
