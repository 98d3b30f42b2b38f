//! `consign policy`: what each classification demands.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_metadata::{Classification, Problem};
use consign_policy::{Action, Demand, Level, Listing, Policy as HandlingPolicy, SignatureRule};
use serde::Serialize;

use crate::context::Context;
use crate::outcome::{Failure, Outcome, Report};
use crate::style;

/// Show, check and explain what each classification demands
///
/// The policy stands in policy.toml in consign's configuration; without one, the built-in four levels apply.
#[derive(clap::Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: PolicyAction,
}

#[derive(clap::Subcommand)]
enum PolicyAction {
    Show(Show),
    Check(Check),
    Explain(Explain),
}

/// Show the policy that applies, or the built-in one to begin your own with
#[derive(clap::Args)]
struct Show {
    /// The policy to show instead of the configured one
    #[arg(long, value_name = "FILE", env = "CONSIGN_POLICY")]
    policy: Option<PathBuf>,
    /// Print the file of the built-in policy: `consign policy show --default > policy.toml`
    #[arg(long, conflicts_with = "policy")]
    default: bool,
}

/// Check a policy file before it is used
#[derive(clap::Args)]
struct Check {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Explain in sentences what a classification demands
#[derive(clap::Args)]
struct Explain {
    /// The level; without it, all
    #[arg(value_name = "LEVEL")]
    level: Option<Classification>,
    /// The policy to explain instead of the configured one
    #[arg(long, value_name = "FILE", env = "CONSIGN_POLICY")]
    policy: Option<PathBuf>,
}

/// A policy, for reports.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Shown {
    name: String,
    /// SHA-256 of the file; statements carry it.
    digest: String,
    /// Where it was read from; absent if it is the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// The levels that were asked for, lowest first.
    levels: Vec<LevelOut>,
    /// What holds at every level.
    always: Vec<String>,
    /// What it says that looks wrong without being an error.
    warnings: Vec<String>,
    /// The file itself, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct LevelOut {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What it demands, each in a sentence.
    demands: Vec<String>,
    /// Rules that may be set aside with a reason.
    overridable: Vec<&'static str>,
}

impl Report for Shown {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(text) = self.text {
            return out.write_all(text.as_bytes());
        }
        let (hint, warn) = (style::HINT, style::WARN);
        let from =
            self.file.as_ref().map_or_else(|| "built in".to_owned(), |path| path.display().to_string());
        writeln!(out, "{hint}policy {}{hint:#}  ({from})", self.name)?;
        writeln!(out, "  digest      {}", self.digest)?;
        for line in &self.always {
            writeln!(out, "  always      {line}")?;
        }
        for level in &self.levels {
            let description = level.description.as_ref().map_or_else(String::new, |text| format!("  {text}"));
            writeln!(out, "\n{hint}{}{hint:#}{description}", level.name.to_uppercase())?;
            if level.demands.is_empty() {
                writeln!(out, "  - nothing of its own")?;
            }
            for demand in &level.demands {
                writeln!(out, "  - {demand}")?;
            }
            if !level.overridable.is_empty() {
                writeln!(out, "  - may be set aside with a reason: {}", level.overridable.join(", "))?;
            }
        }
        for warning in &self.warnings {
            writeln!(out, "{warn}warning{warn:#}: {warning}")?;
        }
        Ok(())
    }
}

impl Policy {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        match &self.action {
            PolicyAction::Show(Show { default: true, .. }) => {
                let policy = Context::builtin_policy()?;
                let shown = Shown {
                    text: Some(HandlingPolicy::builtin_text()),
                    ..Shown::of(&policy, None, policy.levels())
                };
                Ok(Outcome::done(shown))
            }
            PolicyAction::Show(show) => {
                let (policy, file) = load(context, show.policy.as_deref())?;
                Ok(Outcome::done(Shown::of(&policy, file, policy.levels())))
            }
            PolicyAction::Check(check) => {
                let policy = context.policy(Some(&check.file))?;
                Ok(Outcome::done(Shown::of(&policy, Some(check.file.clone()), policy.levels())))
            }
            PolicyAction::Explain(explain) => {
                let (policy, file) = load(context, explain.policy.as_deref())?;
                let levels = match &explain.level {
                    None => policy.levels(),
                    Some(name) => std::slice::from_ref(policy.level(name).ok_or_else(|| {
                        let levels: Vec<_> =
                            policy.scheme().levels().iter().map(Classification::as_str).collect();
                        let message = format!("`{name}` is not a level of the policy `{}`", policy.name());
                        let problem = Problem::new("unknown-classification", message);
                        Failure::usage(
                            problem.hint(format!("the levels are {}, lowest first", levels.join(", "))),
                        )
                    })?),
                };
                Ok(Outcome::done(Shown::of(&policy, file, levels)))
            }
        }
    }
}

/// The policy, and the file that it was read from if it is not the built-in one.
fn load(context: &Context, named: Option<&Path>) -> Result<(HandlingPolicy, Option<PathBuf>), Failure> {
    let policy = context.policy(named)?;
    let file = named.map(Path::to_path_buf).or_else(|| context.policy_file().filter(|path| path.exists()));
    Ok((policy, file))
}

impl Shown {
    fn of(policy: &HandlingPolicy, file: Option<PathBuf>, levels: &[Level]) -> Self {
        let level = |level: &Level| LevelOut {
            name: level.name.to_string(),
            description: level.description.as_ref().map(ToString::to_string),
            demands: demands(level),
            overridable: level.overridable.iter().map(|rule| rule.as_str()).collect(),
        };
        Self {
            name: policy.name().to_string(),
            digest: policy.digest().to_string(),
            file,
            levels: levels.iter().map(level).collect(),
            always: always(policy),
            warnings: policy.warnings().to_vec(),
            text: None,
        }
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Deny => "refused",
        Action::Warn => "warned of",
        Action::Note => "reported only",
    }
}

/// What a level demands, in sentences.
fn demands(level: &Level) -> Vec<String> {
    let mut lines = Vec::new();
    if level.encryption == Demand::Required {
        lines.push("leaves only encrypted".into());
    }
    if !level.also_encrypt_to.is_empty() {
        lines.push(format!("is always encrypted to {} too", list(&level.also_encrypt_to)));
    }
    if level.encryption == Demand::Required && !level.public.is_empty() {
        let public: Vec<_> = level.public.iter().map(|fact| format!("{fact:?}").to_lowercase()).collect();
        lines.push(format!("outside the encryption may be known: {}", public.join(", ")));
    }
    if level.addressees == Demand::Required {
        lines.push("must say whom it is for".into());
    }
    if level.recipients == Listing::Listed {
        lines.push("goes only to recipients whom the policy lists".into());
    }
    if level.destinations == Listing::Listed {
        lines.push("goes only to destinations that the policy lists".into());
    }
    if !level.channels.is_empty() {
        lines.push(format!("may be sent by {}", list(&level.channels)));
    }
    for (kind, fields) in level.fields.by_kind() {
        if !fields.is_empty() {
            lines.push(format!("{kind} needs the descriptor fields {}", list(fields)));
        }
    }
    if let Some(days) = level.retention_days {
        lines.push(format!("must say how long it may be kept, at most {days} days"));
    }
    for rule in &level.signatures {
        let SignatureRule { role, count, another_person } = rule;
        let person =
            if *another_person && level.signatures.len() > 1 { ", by a person of their own" } else { "" };
        lines.push(format!(
            "is handed over only with {count} signature{} as {role}{person}",
            if *count == 1 { "" } else { "s" }
        ));
    }
    if level.scan == Demand::Required {
        lines.push("must have been scanned for secrets and code".into());
    }
    for rule in &level.findings {
        let allowable = if rule.allowable { "" } else { ", and no allow-list lets it pass" };
        lines.push(format!("findings of {} are {}{allowable}", rule.rule, verb(rule.action)));
    }
    lines.push(format!("a parent of unknown classification is {}", verb(level.unknown_parents)));
    lines.push(match &level.downgrade_by {
        Some(role) => format!("what derives from it may be classified lower if {role} signs that"),
        None => "what derives from it may not be classified lower".into(),
    });
    lines.push(format!("signing keys older than {} days are warned of", level.key_age_days));
    lines
}

/// What holds at every level, in sentences.
fn always(policy: &HandlingPolicy) -> Vec<String> {
    let mut lines = Vec::new();
    if !policy.own_names().is_empty() {
        lines.push(format!("we are {}", list(policy.own_names())));
    }
    for rule in policy.findings() {
        lines.push(format!("findings of {} are {}", rule.rule, verb(rule.action)));
    }
    for marking in policy.markings() {
        lines.push(format!("the marking `{}` demands {} or higher", marking.word, marking.level));
    }
    for category in policy.categories() {
        let files: Vec<_> = category.files.iter().map(|pattern| pattern.glob().glob()).collect();
        let files = if files.is_empty() { String::new() } else { format!(" ({})", files.join(", ")) };
        lines.push(format!("data of the kind {}{files} demands {} or higher", category.name, category.level));
    }
    for source in policy.sources() {
        lines.push(format!("content from {} demands {} or higher", source.uri.glob().glob(), source.level));
    }
    for recipient in policy.recipients() {
        let highest = recipient.highest.as_ref().map_or_else(String::new, |level| format!(", up to {level}"));
        let keys = match recipient.encrypt_to.len() {
            0 => ", no key for encryption".to_owned(),
            1 => String::new(),
            n => format!(", {n} keys for encryption"),
        };
        lines.push(format!("recipient {}{highest}{keys}", recipient.name));
    }
    for destination in policy.destinations() {
        let highest =
            destination.highest.as_ref().map_or_else(String::new, |level| format!(", up to {level}"));
        lines.push(format!("destination {}: {}{highest}", destination.name, destination.path));
    }
    for signer in policy.signers() {
        let (fingerprint, roles) = (signer.public_key.fingerprint(), list(&signer.roles));
        lines.push(format!("accepts signatures of {} ({fingerprint}) as {roles}", signer.name));
    }
    if let Some(accept) = policy.accept() {
        if let Some(levels) = &accept.classifications {
            lines.push(format!("takes what is classified {}", list(levels)));
        }
        if let Some(patterns) = &accept.licenses {
            let patterns: Vec<_> = patterns.iter().map(|pattern| pattern.glob().glob()).collect();
            lines.push(format!("takes the licences {}", patterns.join(", ")));
        }
        for (what, limit) in [
            ("bytes in one file", accept.largest_file),
            ("bytes together", accept.largest_bundle),
            ("files", accept.most_files),
            ("bytes in a path", accept.longest_path),
        ] {
            if let Some(limit) = limit {
                lines.push(format!("takes at most {limit} {what}"));
            }
        }
        if !accept.forbidden_formats.is_empty() {
            lines.push(format!("takes no {}", list(&accept.forbidden_formats)));
        }
        for (kind, fields) in accept.fields.by_kind() {
            if !fields.is_empty() {
                lines.push(format!("{kind} needs the descriptor fields {}", list(fields)));
            }
        }
    }
    lines
}
