//! `consign trust revoke` and `rotate`: keys that no longer count, and those that take their place.

use std::io::{self, Write};
use std::path::PathBuf;

use consign_metadata::{Line, Problem, Role};
use consign_signing::{
    Fingerprint, KeyRevocation, RevocationReason, Timestamp, TrustError, TrustPolicy, TrustedKey,
};
use serde::Serialize;

use super::file::TrustFile;
use super::{Dates, confirm_key, entry, extended, shown, unknown};
use crate::keys::load_public;
use crate::outcome::{Failure, Outcome, Report};
use crate::style;
use consign::operations::id::Card;

/// Mark a key as revoked, so that its signatures no longer count
///
/// What a compromised key signed counts at no time: whoever has it can state any time. What a superseded key
/// signed before counts as before, for somebody who asks as of then (`verify --at`).
#[derive(clap::Args)]
pub(super) struct Revoke {
    /// The name of the key in trust.toml
    name: Line,
    /// `compromised` or `superseded`
    #[arg(long, value_name = "REASON")]
    reason: RevocationReason,
    /// Since when [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// What else there is to say
    #[arg(long, value_name = "TEXT")]
    note: Option<Line>,
}

/// Put a new key in the place of another, with its owner and roles
///
/// The old one is marked as superseded. Both stay in the file, so that bundles in the archive can still be
/// explained.
#[derive(clap::Args)]
pub(super) struct Rotate {
    /// The name of the key in trust.toml
    name: Line,
    /// The new public key: a file (PEM or OpenSSH), or an OpenSSH line
    #[arg(long, value_name = "PUB")]
    to: String,
    /// The fingerprint that its owner told you; without it, it is asked for on the terminal
    #[arg(long, value_name = "FP")]
    fingerprint: Option<Fingerprint>,
    /// A name for the new key [default: the old one and the day]
    #[arg(long = "name", value_name = "NAME")]
    new_name: Option<Line>,
    /// From when on the old key is superseded [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    #[command(flatten)]
    dates: Dates,
}

/// Change what trust says of a key: whose it is, in which roles it counts, and when
///
/// What is not named stays. The key itself never changes: another key is another entry (`add`, `rotate`).
#[derive(clap::Args)]
#[group(required = true, multiple = true, id = "what", args = ["owner", "organization", "roles", "add_roles", "not_before", "not_after", "created"])]
pub(super) struct Set {
    /// The name of the key in trust.toml
    name: Line,
    /// The person or service that holds the key; keys of one owner count as one person
    #[arg(long, value_name = "PERSON")]
    owner: Option<Line>,
    /// Their organization
    #[arg(long, value_name = "NAME")]
    organization: Option<Line>,
    /// A role in which its signatures count, instead of those that it has; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// A further role in which its signatures count; may be repeated
    #[arg(long = "add-role", value_name = "ROLE", conflicts_with = "roles")]
    add_roles: Vec<Role>,
    #[command(flatten)]
    dates: Dates,
}

/// A key of which trust says something else than before.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Changed {
    /// `changed` or `unchanged`.
    status: &'static str,
    file: PathBuf,
    key: Option<Card>,
}

impl Report for Changed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        let (good, name) = (style::GOOD, key.name.as_deref().unwrap_or_default());
        let what = if self.status == "changed" { "Changed" } else { "Unchanged:" };
        writeln!(out, "{good}{what} {name}{good:#} in {}", shown(&self.file))?;
        entry(key, out)
    }
}

impl Set {
    pub(super) fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let Dates { not_before, not_after, created } = &self.dates;
        let mut status = "unchanged";
        let policy = file.change(|policy| {
            let before = policy.clone();
            let changed = policy.with_entry(&self.name, |key| {
                key.owner = self.owner.clone().or_else(|| key.owner.take());
                key.organization = self.organization.clone().or_else(|| key.organization.take());
                key.not_before = not_before.or(key.not_before);
                key.not_after = not_after.or(key.not_after);
                key.created = created.or(key.created);
                if !self.roles.is_empty() {
                    key.roles.clone_from(&self.roles);
                }
                for role in &self.add_roles {
                    if !key.roles.contains(role) {
                        key.roles.push(role.clone());
                    }
                }
            });
            let changed = changed.map_err(|error| {
                let problem = error.problem();
                match error {
                    TrustError::UnknownKey(_) => unknown(self.name.as_str(), file, &before),
                    TrustError::Dates(_) => Failure::usage(problem.at("--not-after")),
                    _ => Failure::usage(problem.at("--role")),
                }
            })?;
            if changed != before {
                status = "changed";
            }
            Ok(changed)
        })?;
        Ok(Outcome::done(Changed { status, file: file.path().to_owned(), key: card(&policy, &self.name) }))
    }
}

/// A key that was marked as revoked.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Revoked {
    file: PathBuf,
    key: Option<Card>,
}

impl Report for Revoked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        writeln!(out, "Revoked {} in {}", key.name.as_deref().unwrap_or_default(), shown(&self.file))?;
        entry(key, out)
    }
}

/// A key in the place of another.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rotated {
    file: PathBuf,
    key: Option<Card>,
    superseded: Option<Card>,
    /// `[root]` still names the old key.
    old_is_root: bool,
}

impl Report for Rotated {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(key), Some(superseded)) = (&self.key, &self.superseded) else { return Ok(()) };
        let good = style::GOOD;
        let (new, old) =
            (key.name.as_deref().unwrap_or_default(), superseded.name.as_deref().unwrap_or_default());
        writeln!(out, "{good}Added {new}{good:#} in the place of {old}, in {}", shown(&self.file))?;
        entry(key, out)?;
        writeln!(out, "\n{old}")?;
        entry(superseded, out)?;
        if self.old_is_root {
            writeln!(
                out,
                "\n`[root]` still names the old key; change it there before you publish the next version"
            )?;
        }
        Ok(())
    }
}

/// The entry of that name.
fn card(policy: &TrustPolicy, name: &Line) -> Option<Card> {
    policy.key(name.as_str()).map(|entry| Card::of(&entry.public_key, Some(entry)))
}

fn revoked(
    policy: TrustPolicy,
    name: &Line,
    revocation: KeyRevocation,
    file: &TrustFile,
) -> Result<TrustPolicy, Failure> {
    let before = policy.clone();
    policy.with_revoked(name, revocation).map_err(|error| match error {
        TrustError::UnknownKey(_) => unknown(name.as_str(), file, &before),
        other => Failure::failed(other.problem().at(file.path().display().to_string())),
    })
}

impl Revoke {
    pub(super) fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let at = self.at.map_or_else(|| file.context().now(), Ok)?;
        let revocation = KeyRevocation { at, reason: self.reason, note: self.note.clone() };
        let policy = file.change(|policy| revoked(policy, &self.name, revocation, file))?;
        Ok(Outcome::done(Revoked { file: file.path().to_owned(), key: card(&policy, &self.name) }))
    }
}

impl Rotate {
    pub(super) fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let key = load_public(&self.to)?;
        let now = file.context().now()?;
        let name = match &self.new_name {
            Some(name) => name.clone(),
            None => {
                let day = now.to_string();
                let name = format!("{}-{}", self.name, day.split_once('T').map_or("", |(day, _)| day));
                let fault = |error: consign_metadata::TextError| {
                    Failure::usage(Problem::new("invalid-text", format!("the new name {error}")).at("--name"))
                };
                name.parse().map_err(fault)?
            }
        };
        let at = self.from.unwrap_or(now);
        let reason = RevocationReason::Superseded;
        let change = |policy: TrustPolicy| {
            let old = policy.key(self.name.as_str()).cloned();
            let old = old.ok_or_else(|| unknown(self.name.as_str(), file, &policy))?;
            let policy = revoked(policy, &self.name, KeyRevocation { at, reason, note: None }, file)?;
            let entry = TrustedKey {
                owner: old.owner,
                organization: old.organization,
                created: self.dates.created.or(Some(now)),
                not_before: self.dates.not_before,
                not_after: self.dates.not_after,
                ..TrustedKey::new(name.clone(), key, old.roles)
            };
            extended(policy, &entry)
        };
        // Before anybody is asked anything.
        change(file.read()?)?;
        confirm_key(&self.to, self.fingerprint, &key)?;
        let policy = file.change(change)?;
        Ok(Outcome::done(Rotated {
            file: file.path().to_owned(),
            key: card(&policy, &name),
            superseded: card(&policy, &self.name),
            old_is_root: policy.root().is_some_and(|root| root.keys.contains(&self.name)),
        }))
    }
}
