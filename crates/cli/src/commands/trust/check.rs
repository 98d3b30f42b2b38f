//! `consign trust check`: is a trust file well formed, and does it say what its owner means.

use std::io::{self, Write};
use std::path::PathBuf;

use consign_metadata::Problem;
use consign_signing::{Demand, Requirement, RevocationReason, Timestamp, TrustPolicy, TrustedKey, Validity};
use serde::Serialize;

use super::file::TrustFile;
use super::shown;
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome, Report};
use crate::style;
use crate::vouching::{KEY_AGE_DAYS, aged, ending};

/// How many days before its end a policy is called so.
const POLICY_ENDS_DAYS: u64 = 30;

/// Check a trust file: is it well formed, can its rules be met, which keys end or grow old
#[derive(clap::Args)]
pub(super) struct Check {
    /// The file [default: trust.toml in consign's configuration]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// After how many days a key is old
    #[arg(long, value_name = "DAYS", default_value_t = KEY_AGE_DAYS)]
    key_age: u64,
}

/// What was found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Checked {
    file: PathBuf,
    keys: u64,
    rules: u64,
    imports: u64,
    /// What its owner should look at.
    warnings: Vec<Problem>,
}

impl Report for Checked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        let (keys, rules) =
            (style::count(self.keys, "key", "keys"), style::count(self.rules, "rule", "rules"));
        let imports = style::count(self.imports, "import", "imports");
        writeln!(out, "{good}well formed{good:#}: {}: {keys}, {rules}, {imports}", shown(&self.file))?;
        for warning in &self.warnings {
            writeln!(out, "{warn}warning{warn:#}: {}", consign_metadata::printable(&warning.message))?;
            if let Some(hint) = &warning.hint {
                writeln!(out, "  hint: {}", consign_metadata::printable(hint))?;
            }
        }
        Ok(())
    }
}

impl Check {
    pub(super) fn run(&self, file: &TrustFile) -> Result<Outcome, Failure> {
        let named =
            self.file.as_deref().map(|path| TrustFile::new(file.context(), Some(path))).transpose()?;
        let file = named.as_ref().unwrap_or(file);
        let mut policy = file.read_listed()?;
        let state = file.context().state();
        let now = file.context().now()?;
        state.check_clock(now)?;
        state.attach_imports(&mut policy)?;
        let mut warnings = Vec::new();
        let mut problems = Vec::new();
        self.dates(&policy, now, "", &mut warnings);
        match policy.expires() {
            Some(expires) if policy.is_expired(now) => {
                let message = format!("expired at {expires}; nothing counts by it");
                let hint = "look through its keys, then set `version` and `expires` anew";
                let problem = Problem::new("trust-expired", message).hint(hint);
                problems.push(problem.at(file.path().display().to_string()));
            }
            expires => warnings.extend(expires.and_then(|expires| ends_soon("the policy", expires, now))),
        }
        for rule in policy.rules() {
            warnings.extend(unmeetable(&policy, &rule.bundles.to_string(), &rule.demand, now));
        }
        for import in policy.imports() {
            let name = &import.name;
            let Some(accepted) = import.accepted() else {
                let message =
                    format!("`{name}` is not here: bundles `{}` cannot be verified", import.bundles);
                let hint = "fetch its trust bundle: consign trust import FILE";
                warnings.push(Problem::new("trust-import-missing", message).hint(hint));
                continue;
            };
            match accepted.expires() {
                Some(expires) if accepted.is_expired(now) => {
                    let message = format!("`{name}` expired at {expires}; its keys do not count");
                    let hint = "fetch the next version from its publisher";
                    warnings.push(Problem::new("trust-expired", message).hint(hint));
                }
                expires => {
                    let what = format!("`{name}`");
                    warnings.extend(expires.and_then(|expires| ends_soon(&what, expires, now)));
                }
            }
            self.dates(accepted, now, &format!("{name}: "), &mut warnings);
        }
        let exit = if problems.is_empty() { Exit::Done } else { Exit::NotTrusted };
        let report = Checked {
            file: file.path().to_owned(),
            keys: policy.keys().len() as u64,
            rules: policy.rules().len() as u64,
            imports: policy.imports().len() as u64,
            warnings,
        };
        Ok(Outcome { exit, problems, report: Some(Box::new(report)) })
    }

    /// Keys that are old, end soon or have ended.
    fn dates(&self, policy: &TrustPolicy, now: Timestamp, prefix: &str, warnings: &mut Vec<Problem>) {
        for key in policy.keys() {
            let name = format!("{prefix}{}", key.name);
            match key.validity(now) {
                Validity::Valid => {
                    match key.age_in_days(now) {
                        None => warnings.push(ageless(&name)),
                        age => warnings.extend(aged(&name, age, self.key_age)),
                    }
                    warnings.extend(ending(&name, key.not_after, now));
                }
                Validity::Expired { not_after } => {
                    let message = format!("the key `{name}` ended at {not_after}");
                    warnings.push(Problem::new("key-expired", message));
                }
                Validity::NotYet { .. } | Validity::Revoked(_) => {}
            }
        }
    }
}

/// A key of which nothing says how old it is, so that nobody is told to replace it.
fn ageless(name: &str) -> Problem {
    let message = format!("how old the key `{name}` is cannot be told: it has no `created`");
    let hint = "state when it was made: consign trust set NAME --created TIME";
    Problem::new("key-age-unknown", message).hint(hint)
}

fn ends_soon(what: &str, expires: Timestamp, now: Timestamp) -> Option<Problem> {
    let left = expires.unix_seconds().saturating_sub(now.unix_seconds()) / 86_400;
    let message = format!("{what} ends at {expires}, in {left} days; then nothing counts by it");
    (left < POLICY_ENDS_DAYS).then(|| Problem::new("trust-ends-soon", message))
}

/// A rule that not even all keys together could meet. Keys that imports list may help, so they are counted too.
fn unmeetable(policy: &TrustPolicy, bundles: &str, demand: &Demand, now: Timestamp) -> Option<Problem> {
    // A key that was superseded or has ended may still count for an older bundle, but not for a new one.
    let usable = |key: &&TrustedKey| {
        let revoked = key.revoked.as_ref();
        revoked.is_none_or(|revoked| revoked.reason == RevocationReason::Superseded && revoked.at > now)
            && !matches!(key.validity(now), Validity::Expired { .. })
    };
    let own = policy.keys().iter().filter(usable).map(|key| (key, key.roles.clone()));
    let imported = policy.imports().iter().flat_map(|import| {
        let keys = import.accepted().into_iter().flat_map(TrustPolicy::keys);
        keys.map(|key| (key, key.roles.iter().filter(|role| import.roles.contains(role)).cloned().collect()))
    });
    let all: Vec<(&TrustedKey, Vec<_>)> = own.chain(imported.filter(|(key, _)| usable(key))).collect();
    let missed: Vec<_> = demand
        .measure_at_most(all.iter().map(|(key, roles)| (&key.public_key, key.owner.as_ref(), &roles[..])))
        .into_iter()
        .filter(|measure| measure.missing() > 0)
        .map(|measure| measure.to_string())
        .collect();
    let without_owner =
        demand.owners.is_some() || demand.require.iter().any(|Requirement { owners, .. }| owners.is_some());
    let message =
        format!("the rule for `{bundles}` cannot be met with the keys listed: at most {}", missed.join(", "));
    let problem = Problem::new("rule-unmeetable", message);
    (!missed.is_empty()).then(|| match without_owner {
        true => problem.hint("keys without `owner` add to no count of owners"),
        false => problem.hint("add keys that have the roles, or ask for less"),
    })
}
