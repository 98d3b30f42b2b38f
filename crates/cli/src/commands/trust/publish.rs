//! `consign trust export` and `import`: trust that somebody publishes, and that others take over.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use consign_bundle::publish::{exclusive, replace_exclusively};
use consign_metadata::{Line, Problem, Role, printable};
use consign_signing::{
    AcceptedTrust, BundlePattern, Fingerprint, ImportError, ImportFrom, Signer as _, TRUST_BUNDLE_BYTES_MAX,
    TrustBundle, TrustImport, TrustPolicy, import_trust,
};
use serde::Serialize;

use super::file::TrustFile;
use super::shown;
use crate::act::{Act, Action};
use crate::args::{self, Given};
use crate::context::{directory_for, unreadable, unwritable};
use crate::exit::Exit;
use crate::key_source::KeySource;
use crate::outcome::{Failure, Outcome, Report};
use crate::style;

/// Publish the trust file, signed
///
/// It needs `version`, `expires` and `[root]`. Several people sign the same version: whoever finds the file there
/// adds a signature. From the second version on, enough root keys of the version before must sign as well.
#[derive(clap::Args)]
pub(super) struct Export {
    /// The key to sign with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    #[arg(long, value_name = "KEY", env = "CONSIGN_KEY", hide_env_values = true)]
    key: OsString,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
    /// The trust bundle to write, such as LAB.trust.intoto.jsonl
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Add the signatures of another trust bundle over the same version; may be repeated
    #[arg(long, value_name = "FILE")]
    merge: Vec<PathBuf>,
}

/// Take over the trust that somebody publishes, for some bundles and roles
///
/// The first time, the fingerprints of enough of its root keys are needed, as their holders tell them. Later
/// versions must each be exactly the next, signed by enough of the root before and of their own.
#[derive(clap::Args)]
pub(super) struct Import {
    /// The trust bundle; of several versions, all in order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The name of the entry in trust.toml [default: what the trust bundle calls itself]
    #[arg(long, value_name = "NAME")]
    name: Option<Line>,
    /// For which bundles it may act, such as `acme-*`
    #[arg(long, value_name = "PATTERN")]
    scope: Option<BundlePattern>,
    /// In which roles its keys may act, such as owner,release
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<Role>,
    /// The fingerprint of a root key, as its holder told you; may be repeated
    #[arg(long, value_name = "FP")]
    fingerprint: Vec<Fingerprint>,
}

/// A trust file that was published.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Exported {
    output: PathBuf,
    version: u64,
    expires: Option<String>,
    /// The keys that signed it.
    signers: Vec<String>,
    /// How many of its own root keys signed, and must.
    root_signed: u64,
    threshold: u32,
}

impl Report for Exported {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        writeln!(out, "{good}Published{good:#} version {} in {}", self.version, shown(&self.output))?;
        if let Some(expires) = &self.expires {
            writeln!(out, "  {:13} {expires}", "until")?;
        }
        self.signers.iter().try_for_each(|print| writeln!(out, "  {:13} {print}", "signed by"))?;
        writeln!(out, "  {:13} {} of {} signed", "root keys", self.root_signed, self.threshold)?;
        if self.root_signed < u64::from(self.threshold) {
            writeln!(out, "\n{warn}Nobody will take it yet{warn:#}: have others of the root keys sign it")?;
        }
        Ok(())
    }
}

/// Trust that was taken over.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Imported {
    /// `imported`, `updated` or `unchanged`.
    status: &'static str,
    file: PathBuf,
    import: super::show::Import,
}

impl Report for Imported {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        writeln!(out, "{good}{}{good:#} {} in {}", self.status, self.import.name, shown(&self.file))?;
        self.import.lines(out)
    }
}

fn read(path: &Path) -> Result<TrustBundle, Failure> {
    let mut bytes = Vec::new();
    let read = |file: File| file.take(TRUST_BUNDLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    crate::reading::open(path).and_then(read).map_err(|error| unreadable(path, &error))?;
    let too_large = || {
        let message = format!("is larger than {TRUST_BUNDLE_BYTES_MAX} bytes");
        vec![Problem::new("trust-too-large", message)]
    };
    let parsed =
        if bytes.len() > TRUST_BUNDLE_BYTES_MAX { Err(too_large()) } else { TrustBundle::parse(&bytes) };
    parsed.map_err(|problems| {
        let at = |problem: Problem| {
            let inside = problem.at.clone().map_or_else(String::new, |inside| format!(": {inside}"));
            problem.at(format!("{}{inside}", path.display()))
        };
        Failure { exit: Exit::NotIntact, problems: problems.into_iter().map(at).collect() }
    })
}

impl Export {
    pub(super) fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        // A faulty file is told as everywhere, before anything is signed.
        file.read_listed()?;
        let text = std::fs::read_to_string(file.path()).map_err(|error| unreadable(file.path(), &error))?;
        let folder = directory_for(&self.output)?;
        let key = KeySource::parse(&self.key)?.open(file.context(), &self.passphrase)?;
        let own = TrustBundle::publish(&key, &text, file.context().now()?).map_err(|problems| {
            let at = |problem: Problem| {
                let problem = problem.at(file.path().display().to_string());
                match problem.code {
                    "trust-unpublishable" => problem.hint("edit the file, then export it again"),
                    _ => problem,
                }
            };
            Failure { exit: Exit::Usage, problems: problems.into_iter().map(at).collect() }
        })?;
        let held = exclusive(folder).map_err(|error| unwritable(folder, &error))?;
        let there = if self.output.exists() { Some(read(&self.output)?) } else { None };
        let joined = |a: TrustBundle, b: TrustBundle, at: &Path| {
            let hint = "name another output for another version, and sign the very same text";
            a.merge(b).map_err(|p| Failure::failed(p.at(at.display().to_string()).hint(hint)))
        };
        let known = there.as_ref().is_some_and(|there| there.signers().contains(key.public_key()));
        let mut all = match &there {
            None => own,
            // Whoever signed it already does not sign it twice.
            Some(there) if known && there.text() == own.text() => there.clone(),
            Some(there) => joined(there.clone(), own, &self.output)?,
        };
        for path in &self.merge {
            all = joined(all, read(path)?, path)?;
        }
        let bytes = all.to_bytes();
        replace_exclusively(&held, &self.output, &bytes).map_err(|error| unwritable(&self.output, &error))?;
        drop(held);
        let act = Act::new(Action::TrustPublished).with("version", all.version());
        file.context().record(act.with("file", self.output.display().to_string()));
        let root = all.root();
        let signers = all.signers();
        Ok(Outcome::done(Exported {
            output: self.output.clone(),
            version: all.version(),
            expires: all.policy().expires().map(|expires| expires.to_string()),
            root_signed: signers.iter().filter(|key| root.contains(&key.fingerprint())).map(|_| 1).sum(),
            signers: signers.iter().map(|key| key.fingerprint().to_string()).collect(),
            threshold: all.threshold().get(),
        }))
    }
}

impl Import {
    pub(super) fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let context = file.context();
        let (state, now) = (context.state(), context.now()?);
        state.check_clock(now)?;
        let offered = self.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let name = self.name(&offered)?;
        let kept = std::cell::OnceCell::new();
        let decide = |policy: TrustPolicy| {
            // Under the lock of the trust file, so that no two imports pass each other.
            let stored = state.imported(&name)?;
            let (status, accepted) =
                self.decide(policy.import(name.as_str()), stored.as_ref(), offered, now)?;
            let entry = self.entry(&name, policy.import(name.as_str()), &accepted)?;
            let at = |error: consign_signing::TrustError| Failure::usage(error.problem().at("--roles"));
            let policy = policy.with_import(entry).map_err(at)?;
            state.prepare_imports().map_err(|error| no_state(&error))?;
            let _ = kept.set((status, accepted));
            Ok(policy)
        };
        // After trust.toml: what lies in the state counts only as far as the entry there carries it.
        let keep = || {
            let Some((_, accepted)) = kept.get() else { return Ok(()) };
            if let Some(current) =
                state.keep_import(&name, accepted, now).map_err(|error| no_state(&error))?
            {
                let offered = accepted.version();
                return Err(self.refused(&ImportError::Rollback { offered, current }));
            }
            state.note_time(now).map_err(|error| no_state(&error))
        };
        let mut policy = file.change_then(decide, keep)?;
        let Some((status, accepted)) = kept.into_inner() else {
            return Err(self.refused(&ImportError::Nothing));
        };
        policy.attach(name.as_str(), accepted);
        let Some(entry) = policy.import(name.as_str()) else {
            return Err(self.refused(&ImportError::Nothing));
        };
        let import = super::show::import(entry);
        let act = Act::new(Action::TrustImported).with("name", &name).with("status", status);
        context.record(act.with("import", &import));
        Ok(Outcome::done(Imported { status, file: file.path().to_owned(), import }))
    }

    /// What the entry is called. A name from outside is one only if nothing else was said.
    fn name(&self, offered: &[TrustBundle]) -> Result<Line, Failure> {
        let called = || offered.last().and_then(|last| last.policy().name().cloned());
        self.name.clone().or_else(called).ok_or_else(|| {
            let problem =
                Problem::new("trust-import-name", "the trust bundle does not say what it is called");
            Failure::usage(problem.hint("give it a name: --name NAME"))
        })
    }

    fn refused(&self, error: &ImportError) -> Failure {
        let at = self.files.last().map(|path| path.display().to_string()).unwrap_or_default();
        Failure::new(Exit::NotTrusted, error.problem().at(at))
    }

    fn decide(
        &self,
        entry: Option<&TrustImport>,
        stored: Option<&TrustBundle>,
        offered: Vec<TrustBundle>,
        now: consign_signing::Timestamp,
    ) -> Result<(&'static str, AcceptedTrust), Failure> {
        let first = entry.is_none();
        let from = match (entry, stored) {
            (Some(entry), Some(current)) => ImportFrom::Version { entry, current },
            // The entry is there, as on a machine that trust.toml was brought to: its root was confirmed before.
            (Some(entry), None) => ImportFrom::Confirmed(&entry.root),
            (None, _) => ImportFrom::Confirmed(&self.fingerprint),
        };
        if first {
            self.check_first(&offered)?;
        }
        let accepted = import_trust(offered, &from, now).map_err(|error| self.refused(&error))?;
        // Also where the entry was taken out meanwhile, trust does not go back.
        if let (true, Some(stored)) = (first, stored) {
            let (offered, current) = (accepted.version(), stored.version());
            if offered < current {
                return Err(self.refused(&ImportError::Rollback { offered, current }));
            }
            if offered == current && accepted.bundle().text() != stored.text() {
                return Err(self.refused(&ImportError::Conflict(offered)));
            }
        }
        let status = match stored {
            Some(stored) if !first && stored.version() == accepted.version() => "unchanged",
            Some(_) if !first => "updated",
            _ => "imported",
        };
        Ok((status, accepted))
    }

    /// What must be said the first time.
    fn check_first(&self, offered: &[TrustBundle]) -> Result<(), Failure> {
        if self.scope.is_none() || self.roles.is_empty() {
            let problem = Problem::new(
                "trust-import-scope",
                "the first time, it must be said for which bundles and in which roles its keys may act",
            );
            let hint = "for example: --scope 'acme-*' --roles owner,release";
            return Err(Failure::usage(problem.hint(hint)));
        }
        if !self.fingerprint.is_empty() {
            return Ok(());
        }
        let problem = Problem::new(
            "fingerprint-needed",
            "the first time, the fingerprints of its root keys must be confirmed",
        );
        let names: Vec<_> = offered
            .first()
            .map(|first| first.policy().root_keys().map(|key| printable(key.name.as_str())).collect())
            .unwrap_or_default();
        let needed = offered.first().map_or(1, |first| first.threshold().get());
        let hint = format!(
            "give `--fingerprint FP` for {needed} of these keys, as their holders tell them to you by another way than the one by which the file came: {}",
            names.join(", ")
        );
        Err(Failure::usage(problem.at("--fingerprint").hint(hint)))
    }

    /// The entry for what was accepted: where it acts is said the first time, and changed in trust.toml only.
    fn entry(
        &self,
        name: &Line,
        before: Option<&TrustImport>,
        accepted: &AcceptedTrust,
    ) -> Result<TrustImport, Failure> {
        let (scope, roles) = match (before, &self.scope) {
            (Some(before), _) => {
                let other_scope = self.scope.as_ref().is_some_and(|scope| *scope != before.bundles);
                let other_roles = !self.roles.is_empty() && self.roles != before.roles;
                if other_scope || other_roles {
                    let problem = Problem::new(
                        "trust-import-taken",
                        format!("`{name}` is there already, for other bundles or roles"),
                    );
                    let hint = "change `bundles` and `roles` of its `[[import]]` in trust.toml, or choose another `--name`";
                    return Err(Failure::failed(problem.hint(hint)));
                }
                (before.bundles.clone(), before.roles.clone())
            }
            (None, Some(scope)) => (scope.clone(), self.roles.clone()),
            (None, None) => return Err(self.refused(&ImportError::Nothing)),
        };
        Ok(accepted.entry(name.clone(), scope, roles))
    }
}

fn no_state(error: &io::Error) -> Failure {
    let problem = Problem::new("no-state", format!("what was imported cannot be kept: {error}"));
    Failure::failed(problem.hint("set `CONSIGN_HOME` to a directory that can be written to"))
}
