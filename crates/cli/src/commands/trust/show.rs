//! `consign trust show`: one key, one import, or one rule.

use std::io::{self, Write};

use consign_metadata::Problem;
use consign_signing::{TrustImport, TrustPolicy};
use serde::Serialize;

use super::file::TrustFile;
use super::{entry, unknown};
use crate::outcome::{Failure, Outcome, Report};
use crate::style;
use consign::operations::id::Card;

/// Show one key, one import, or the rules for a pattern
#[derive(clap::Args)]
pub(super) struct Show {
    /// The name of a key or import, or the pattern of a rule
    name: String,
}

/// A rule of trust.toml.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rule {
    pub(super) bundles: String,
    require: Vec<Requirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owners: Option<u32>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Requirement {
    role: String,
    keys: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    owners: Option<u32>,
}

/// Somebody else's trust, as far as it is taken over.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Import {
    pub(super) name: String,
    bundles: String,
    roles: Vec<String>,
    root: Vec<String>,
    threshold: u32,
    /// The version that is here; absent if none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    keys: Vec<Card>,
    rules: Vec<Rule>,
}

pub(super) fn rule(rule: &consign_signing::Rule) -> Rule {
    let requirement = |one: &consign_signing::Requirement| Requirement {
        role: one.role.to_string(),
        keys: one.keys.get(),
        owners: one.owners.map(std::num::NonZeroU32::get),
    };
    Rule {
        bundles: rule.bundles.to_string(),
        require: rule.demand.require.iter().map(requirement).collect(),
        keys: rule.demand.keys.map(std::num::NonZeroU32::get),
        owners: rule.demand.owners.map(std::num::NonZeroU32::get),
    }
}

pub(super) fn import(import: &TrustImport) -> Import {
    let accepted = import.accepted();
    let cards = |policy: &TrustPolicy| -> Vec<Card> {
        policy.keys().iter().map(|key| Card::of(&key.public_key, Some(key))).collect()
    };
    Import {
        name: import.name.to_string(),
        bundles: import.bundles.to_string(),
        roles: import.roles.iter().map(ToString::to_string).collect(),
        root: import.root.iter().map(ToString::to_string).collect(),
        threshold: import.threshold.get(),
        version: accepted.and_then(TrustPolicy::version),
        expires: accepted.and_then(TrustPolicy::expires).map(|expires| expires.to_string()),
        keys: accepted.map(cards).unwrap_or_default(),
        rules: accepted.map(|policy| policy.rules().iter().map(rule).collect()).unwrap_or_default(),
    }
}

impl Rule {
    /// The lines about it.
    pub(super) fn lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let bold = style::HINT;
        writeln!(out, "{bold}bundles {}{bold:#}", self.bundles)?;
        for Requirement { role, keys, owners } in &self.require {
            let owners = owners.map_or_else(String::new, |owners| format!(", of {owners} different owners"));
            writeln!(out, "  {:13} {keys} as {role}{owners}", "need")?;
        }
        for (count, what) in [(self.keys, "keys altogether"), (self.owners, "different owners altogether")] {
            if let Some(count) = count {
                writeln!(out, "  {:13} {count} {what}", "need")?;
            }
        }
        Ok(())
    }
}

impl Import {
    /// The lines about it, without its keys.
    pub(super) fn lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let bold = style::HINT;
        writeln!(out, "{bold}{}{bold:#} (imported)", self.name)?;
        writeln!(out, "  {:13} {}", "for bundles", self.bundles)?;
        writeln!(out, "  {:13} {}", "in roles", self.roles.join(", "))?;
        match (self.version, &self.expires) {
            (Some(version), Some(expires)) => {
                writeln!(out, "  {:13} {version}, until {expires}", "version")?;
                let keys = style::count(self.keys.len() as u64, "key", "keys");
                writeln!(out, "  {:13} {keys}", "lists")?;
            }
            _ => writeln!(out, "  {:13} not here: import its trust bundle", "version")?,
        }
        writeln!(out, "  {:13} {} of", "root", self.threshold)?;
        self.root.iter().try_for_each(|print| writeln!(out, "  {:13} {print}", ""))
    }
}

/// What was asked for.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Card>,
    #[serde(skip_serializing_if = "Option::is_none")]
    import: Option<Import>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
}

impl Report for Shown {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let bold = style::HINT;
        if let Some(key) = &self.key {
            writeln!(out, "{bold}{}{bold:#}", key.name.as_deref().unwrap_or_default())?;
            entry(key, out)?;
            writeln!(out, "  {:13} {}", "OpenSSH", key.openssh)?;
        }
        if let Some(import) = &self.import {
            import.lines(out)?;
            for key in &import.keys {
                writeln!(out, "\n{bold}{}{bold:#}", key.name.as_deref().unwrap_or_default())?;
                entry(key, out)?;
            }
        }
        for rule in self.rules.iter().chain(self.import.iter().flat_map(|import| &import.rules)) {
            if self.key.is_some() || self.import.is_some() {
                writeln!(out)?;
            }
            rule.lines(out)?;
        }
        Ok(())
    }
}

impl Show {
    pub(super) fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let mut policy = file.read_listed()?;
        file.context().state().attach_imports(&mut policy)?;
        let key = policy.key(&self.name).map(|key| Card::of(&key.public_key, Some(key)));
        let found = policy.import(&self.name).map(import);
        let rules: Vec<_> =
            policy.rules().iter().filter(|one| one.bundles.as_str() == self.name).map(rule).collect();
        if key.is_none() && found.is_none() && rules.is_empty() {
            let mut failure = unknown(&self.name, file, &policy);
            let message = format!(
                "there is no key, import or rule of the name `{}`",
                consign_metadata::printable(&self.name)
            );
            failure.problems =
                failure.problems.into_iter().map(|p| Problem { message: message.clone(), ..p }).collect();
            return Err(failure);
        }
        Ok(Outcome::done(Shown { key, import: found, rules }))
    }
}
