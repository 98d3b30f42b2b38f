//! `consign trust`: whose signatures count, and as what.

pub(crate) mod change;
pub(crate) mod check;
mod confirm;
mod file;
pub(crate) mod publish;
pub(crate) mod show;

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use consign_metadata::{Line, Problem, Role, did_you_mean, printable};
use consign_signing::{Fingerprint, PublicKey, Timestamp, TrustError, TrustPolicy, TrustedKey};
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::keys::load_public;
use crate::outcome::{Failure, Outcome, Report};
use crate::style;
use consign::operations::id::Card;

use file::TrustFile;

/// The role that a key gets if none is named: it vouches for what its owner hands over.
const DEFAULT_ROLE: &str = "owner";

/// Say whose signatures count, and as what
///
/// The keys stand in trust.toml, which may be edited by hand. Its comments stay where they can.
#[derive(clap::Args)]
pub(crate) struct Trust {
    /// Use this file instead of trust.toml in consign's configuration
    #[arg(long, value_name = "FILE", global = true)]
    trust: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Add(Add),
    List(List),
    Show(show::Show),
    Set(change::Set),
    Revoke(change::Revoke),
    Rotate(change::Rotate),
    Remove(Remove),
    Check(check::Check),
    Export(publish::Export),
    Import(publish::Import),
}

/// Let the signatures of a key count
///
/// Whoever can exchange the public key on its way could exchange a fingerprint that came with it. Have it read
/// to you by its owner, by telephone or in person; `consign id --key PUB` prints it there.
#[derive(clap::Args)]
struct Add {
    /// A name for the key, such as ada-2026
    name: Line,
    /// The public key: a file (PEM or OpenSSH), or an OpenSSH line
    #[arg(long, value_name = "PUB")]
    key: String,
    /// The fingerprint that its owner told you; without it, it is asked for on the terminal
    #[arg(long, value_name = "FP")]
    fingerprint: Option<Fingerprint>,
    /// A role in which its signatures count; may be repeated [default: owner]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// The person or service that holds the key
    #[arg(long, value_name = "NAME")]
    owner: Option<Line>,
    /// Their organization
    #[arg(long, value_name = "NAME")]
    organization: Option<Line>,
    #[command(flatten)]
    dates: Dates,
}

/// When a key counts, such as 2026-11-22T03:00:00Z.
#[derive(clap::Args)]
struct Dates {
    /// The first second in which it counts, such as 2026-11-22T03:00:00Z
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
    /// The last second in which it counts
    #[arg(long, value_name = "TIME")]
    not_after: Option<Timestamp>,
    /// When it was made, for telling its age [default: now, or --not-before if that is earlier]
    #[arg(long, value_name = "TIME")]
    created: Option<Timestamp>,
}

/// List the keys whose signatures count
#[derive(clap::Args)]
struct List {}

/// Let the signatures of a key no longer count
#[derive(clap::Args)]
struct Remove {
    /// The name of the key in trust.toml
    name: String,
}

impl Trust {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let file = TrustFile::new(context, self.trust.as_deref())?;
        match &self.action {
            Action::Add(add) => add.run(&file),
            Action::List(_) => list(&file),
            Action::Show(show) => show.run(&file),
            Action::Set(set) => set.run(&file),
            Action::Revoke(revoke) => revoke.run(&file),
            Action::Rotate(rotate) => rotate.run(&file),
            Action::Remove(remove) => remove.run(&file),
            Action::Check(check) => check.run(&file),
            Action::Export(export) => export.run(&file),
            Action::Import(import) => import.run(&file),
        }
    }
}

impl Add {
    fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let key = load_public(&self.key)?;
        let entry = self.entry(key, file.context().now()?)?;
        // Before anybody is asked anything.
        extended(file.read()?, &entry)?;
        confirm_key(&self.key, self.fingerprint, &key)?;
        file.change(|policy| extended(policy, &entry))?;
        Ok(Outcome::done(Added {
            file: file.path().to_owned(),
            key: Card::of(&key, Some(&entry)),
            default_role: self.roles.is_empty(),
        }))
    }

    fn entry(&self, public_key: PublicKey, now: Timestamp) -> Result<TrustedKey, Failure> {
        let roles = if self.roles.is_empty() {
            let role = DEFAULT_ROLE.parse::<Role>();
            vec![role.map_err(|error| Failure::usage(Problem::new("role", error.to_string())))?]
        } else {
            self.roles.clone()
        };
        Ok(TrustedKey {
            owner: self.owner.clone(),
            organization: self.organization.clone(),
            // A key whose age nobody states is as old as it has been known, or has counted.
            created: self.dates.created.or(self.dates.not_before.filter(|from| *from < now)).or(Some(now)),
            not_before: self.dates.not_before,
            not_after: self.dates.not_after,
            ..TrustedKey::new(self.name.clone(), public_key, roles)
        })
    }
}

/// Makes sure that it is the key that its owner means. `named` is how the caller named it.
fn confirm_key(named: &str, told: Option<Fingerprint>, key: &PublicKey) -> Result<(), Failure> {
    let found = key.fingerprint();
    if let Some(told) = told {
        return if told == found { Ok(()) } else { Err(mismatch(named, Some((told, found)))) };
    }
    if !io::stdin().is_terminal() {
        let problem =
            Problem::new("fingerprint-needed", "there is no terminal to ask for the fingerprint on");
        let hint = "give `--fingerprint FP`, as the owner of the key tells it to you by another way than the one by which the key came";
        return Err(Failure::usage(problem.at("--fingerprint").hint(hint)));
    }
    match confirm::ask(&found, &mut crate::terminal::answers(), &mut crate::stream::stderr()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(mismatch(named, None)),
        Err(error) => Err(Failure::failed(Problem::new("terminal", format!("cannot be read: {error}")))),
    }
}

fn mismatch(key: &str, prints: Option<(Fingerprint, Fingerprint)>) -> Failure {
    let message = match prints {
        Some((told, found)) => {
            format!("the key has the fingerprint {found}, not {told}; nothing was changed")
        }
        None => "the key has another fingerprint than you were told; nothing was changed".into(),
    };
    let hint = "have its owner read the fingerprint again; if it still differs, somebody exchanged the key on its way";
    // A key given as a line is not a place.
    let at = if key.starts_with("ssh-") { "--key" } else { key };
    Failure::new(Exit::NotTrusted, Problem::new("fingerprint-mismatch", message).at(at).hint(hint))
}

/// The policy with one key more.
fn extended(policy: TrustPolicy, entry: &TrustedKey) -> Result<TrustPolicy, Failure> {
    policy.with_key(entry.clone()).map_err(|error| {
        let problem = error.problem();
        match error {
            TrustError::NameTaken(_) => {
                Failure::failed(problem.hint("choose another name, or `consign trust remove` that key first"))
            }
            TrustError::KeyKnown(name) => {
                let name = style::shell_word(name.as_str());
                Failure::failed(problem.hint(format!(
                    "to change what trust says of it: consign trust set --owner PERSON -- {name}"
                )))
            }
            TrustError::Dates(_) => Failure::usage(problem.at("--not-after")),
            _ => Failure::usage(problem.at("--role")),
        }
    })
}

impl Remove {
    fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let mut removed = None;
        file.change(|policy| {
            removed = policy.keys().iter().find(|key| key.name.as_str() == self.name).cloned();
            policy.without_key(&self.name).ok_or_else(|| unknown(&self.name, file, &policy))
        })?;
        let key = removed.map(|entry| Card::of(&entry.public_key, Some(&entry)));
        Ok(Outcome::done(Removed { file: file.path().to_owned(), key }))
    }
}

/// There is no key of that name.
fn unknown(name: &str, file: &TrustFile, policy: &TrustPolicy) -> Failure {
    let shown = printable(name);
    let problem = Problem::new("trust-unknown", format!("there is no key of the name `{shown}`"));
    let near = did_you_mean(name, policy.keys().iter().map(|key| key.name.as_str()));
    let hint = near.map_or_else(
        || "`consign trust list` shows the names".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Failure::failed(problem.at(file.path().display().to_string()).hint(hint))
}

fn list(file: &TrustFile) -> Result<Outcome, Failure> {
    let mut policy = file.read_listed()?;
    file.context().state().attach_imports(&mut policy)?;
    let keys = policy.keys().iter().map(|key| Card::of(&key.public_key, Some(key))).collect();
    let rules = policy.rules().iter().map(show::rule).collect();
    let imports = policy.imports().iter().map(show::import).collect();
    let expires = policy.expires().map(|expires| expires.to_string());
    Ok(Outcome::done(Listed {
        file: file.path().to_owned(),
        version: policy.version(),
        expires,
        keys,
        rules,
        imports,
    }))
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Added {
    file: PathBuf,
    key: Card,
    /// Whether the role is the one that a key gets if none is named.
    default_role: bool,
}

impl Report for Added {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, name) = (style::GOOD, self.key.name.as_deref().unwrap_or_default());
        writeln!(out, "{good}Added {name}{good:#} to {}", shown(&self.file))?;
        entry(&self.key, out)?;
        if self.default_role {
            writeln!(out, "\nIts signatures count as {DEFAULT_ROLE}, since no `--role` was given")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Removed {
    file: PathBuf,
    key: Option<Card>,
}

impl Report for Removed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        writeln!(out, "Removed {} from {}", key.name.as_deref().unwrap_or_default(), shown(&self.file))?;
        writeln!(out, "  fingerprint   {}", key.fingerprint)
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Listed {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    keys: Vec<Card>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<show::Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<show::Import>,
}

impl Report for Listed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let count = style::count(self.keys.len() as u64, "key", "keys");
        if self.keys.is_empty() && self.imports.is_empty() {
            writeln!(out, "{}: nobody's signature counts yet", shown(&self.file))?;
            return writeln!(out, "\nTo trust a key: consign trust add NAME --key PUB --fingerprint FP");
        }
        writeln!(out, "{}: {count}", shown(&self.file))?;
        for key in &self.keys {
            let (bold, name) = (style::HINT, key.name.as_deref().unwrap_or_default());
            writeln!(out, "\n{bold}{name}{bold:#}")?;
            entry(key, out)?;
        }
        for rule in &self.rules {
            writeln!(out)?;
            rule.lines(out)?;
        }
        for import in &self.imports {
            writeln!(out)?;
            import.lines(out)?;
        }
        if let Some(expires) = &self.expires {
            writeln!(out, "\nNothing of it counts after {expires}")?;
        }
        Ok(())
    }
}

/// The lines about one key, without its name.
fn entry(key: &Card, out: &mut dyn Write) -> io::Result<()> {
    for (label, value) in [("owner", &key.owner), ("organization", &key.organization)] {
        if let Some(value) = value {
            writeln!(out, "  {label:13} {value}")?;
        }
    }
    writeln!(out, "  {:13} {}", "roles", key.roles.join(", "))?;
    key.limits().iter().try_for_each(|(label, value)| writeln!(out, "  {label:13} {value}"))?;
    writeln!(out, "  {:13} {}", "fingerprint", key.fingerprint)
}

fn shown(path: &std::path::Path) -> String {
    printable(&path.display().to_string())
}
