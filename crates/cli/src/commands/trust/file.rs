//! `trust.toml` on disk: read, changed one at a time, replaced whole.

use std::fs;
use std::path::{Path, PathBuf};

use consign_bundle::publish;
use consign_signing::{TrustPolicy, TrustedKey};
use serde_json::{Value, json};

use crate::act::{Act, Action};
use crate::context::{Context, directory_for, unreadable, unwritable};
use crate::outcome::Failure;

/// What a new file begins with.
const HEADER: &str =
    "# Whose signatures count, and as what. `consign trust` writes this file; you may edit it.\n";

/// A trust file that may not exist yet.
pub(super) struct TrustFile<'a> {
    context: &'a Context,
    path: PathBuf,
    /// Whether the caller named it, rather than the configuration.
    named: bool,
}

impl<'a> TrustFile<'a> {
    pub(super) fn new(context: &'a Context, named: Option<&Path>) -> Result<Self, Failure> {
        let path = named.map_or_else(|| context.trust_file(), |path| Ok(path.to_owned()))?;
        Ok(Self { context, path, named: named.is_some() })
    }

    pub(super) fn context(&self) -> &Context {
        self.context
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The policy; one that trusts nobody if there is no file.
    pub(super) fn read(&self) -> Result<TrustPolicy, Failure> {
        if matches!(fs::metadata(&self.path), Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(TrustPolicy::default());
        }
        self.read_listed()
    }

    /// The same, but a file that the caller named must exist.
    pub(super) fn read_listed(&self) -> Result<TrustPolicy, Failure> {
        Ok(self.context.trust_policy(self.named.then_some(&self.path))?.unwrap_or_default())
    }

    /// Reads the file, and replaces it by what `change` makes of it; nobody else changes it meanwhile. Gives what
    /// it says now.
    pub(super) fn change(
        &self,
        change: impl FnOnce(TrustPolicy) -> Result<TrustPolicy, Failure>,
    ) -> Result<TrustPolicy, Failure> {
        self.change_then(change, || Ok(()))
    }

    /// The same, and then something else while nobody else changes the file.
    pub(super) fn change_then(
        &self,
        change: impl FnOnce(TrustPolicy) -> Result<TrustPolicy, Failure>,
        then: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<TrustPolicy, Failure> {
        let home = publish::parent(&self.path);
        if !self.named && !home.exists() {
            self.context.make_home()?;
        }
        directory_for(&self.path)?;
        // A link stays a link: what it leads to is replaced, and whoever comes by another link waits.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = publish::parent(&path);
        let held = publish::exclusive(directory).map_err(|error| unwritable(directory, &error))?;
        let old = self.read()?;
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!("{HEADER}format = 1\n"),
            Err(error) => return Err(unreadable(&self.path, &error)),
        };
        let new = change(old.clone())?;
        if new == old {
            return then().map(|()| new);
        }
        publish::replace_exclusively(&held, &path, edited(&text, &old, &new).as_bytes())
            .map_err(|error| unwritable(&self.path, &error))?;
        self.record(&old, &new);
        then().map(|()| new)
    }

    /// What was changed, for the ledger.
    fn record(&self, old: &TrustPolicy, new: &TrustPolicy) {
        let shown = |entry: &TrustedKey| {
            let fingerprint = entry.public_key.fingerprint().to_string();
            json!({"name": entry.name, "fingerprint": fingerprint, "owner": entry.owner, "roles": entry.roles})
        };
        let missing = |from: &TrustPolicy, of: &TrustPolicy| -> Vec<Value> {
            of.keys().iter().filter(|key| from.find(&key.public_key).is_none()).map(shown).collect()
        };
        let (added, removed) = (missing(old, new), missing(new, old));
        let differs =
            |key: &&TrustedKey| old.find(&key.public_key).is_some_and(|before| fields(before) != fields(key));
        let changed: Vec<Value> = new.keys().iter().filter(differs).map(shown).collect();
        let file = self.path.display().to_string();
        let mut revocations = 0;
        for entry in new.keys() {
            let before = old.find(&entry.public_key).and_then(|entry| entry.revoked.as_ref());
            if let Some(revoked) = entry.revoked.as_ref().filter(|now| Some(*now) != before) {
                let act = Act::new(Action::KeyRevoked).with("name", &entry.name);
                let act = act.with("fingerprint", entry.public_key.fingerprint().to_string());
                let act = act.with("reason", revoked.reason.to_string()).with("from", revoked.at);
                self.context.record(act.with("file", &file));
                revocations += 1;
            }
        }
        if revocations > 0 && added.is_empty() && removed.is_empty() && changed.is_empty() {
            return;
        }
        let listed = |list: Vec<Value>| (!list.is_empty()).then_some(list);
        let act = Act::new(Action::TrustChanged).with("file", file);
        self.context.record(
            act.with("added", listed(added))
                .with("removed", listed(removed))
                .with("changed", listed(changed)),
        );
    }
}

/// The text of the new policy, with the comments of the old text where that is easy: entries are put at the end
/// or taken out, a revocation is put behind the lines of its key. Whatever the text looks like, the result says
/// what `new` says, and nothing else.
fn edited(text: &str, old: &TrustPolicy, new: &TrustPolicy) -> String {
    step_by_step(text, old, new)
        .filter(|text| TrustPolicy::parse(text).as_ref() == Ok(new))
        .unwrap_or_else(|| format!("{HEADER}{}", new.to_toml()))
}

fn step_by_step(text: &str, old: &TrustPolicy, new: &TrustPolicy) -> Option<String> {
    let mut text = text.to_owned();
    for key in old.keys() {
        let place = Place { heads: "[[key]]", index: index_of(&text, &key.public_key)? };
        match new.find(&key.public_key) {
            None => text = place.taken_out(&text)?,
            Some(after) => {
                if after.revoked != key.revoked {
                    let revocation = TrustPolicy::revocation_toml(after.revoked.as_ref()?);
                    text = place.with_line(&text, "revoked", &revocation)?;
                }
                for (field, value) in fields(after) {
                    if !fields(key).contains(&(field, value.clone())) {
                        text = place.with_line(&text, field, &value)?;
                    }
                }
            }
        }
    }
    for key in new.keys().iter().filter(|key| old.find(&key.public_key).is_none()) {
        let entry = TrustPolicy::default().with_key(key.clone()).ok()?.to_toml();
        text = appended(&text, "[[key]]", &entry)?;
    }
    for (index, import) in new.imports().iter().enumerate() {
        match old.import(import.name.as_str()) {
            None => {
                let entry = TrustPolicy::default().with_import(import.clone()).ok()?.to_toml();
                text = appended(&text, "[[import]]", &entry)?;
            }
            Some(before) if before.root != import.root || before.threshold != import.threshold => {
                let place = Place { heads: "[[import]]", index };
                let prints: Vec<_> = import.root.iter().map(|print| format!("\"{print}\"")).collect();
                text = place.with_line(&text, "root", &format!("[{}]", prints.join(", ")))?;
                text = place.with_line(&text, "threshold", &import.threshold.to_string())?;
            }
            Some(_) => {}
        }
    }
    Some(text)
}

/// What an entry says of a key, field by field, as the file has it.
fn fields(key: &TrustedKey) -> Vec<(&'static str, String)> {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let roles: Vec<_> = key.roles.iter().map(|role| quoted(role.as_str())).collect();
    let mut all = vec![("roles", format!("[{}]", roles.join(", ")))];
    for (field, value) in [("owner", &key.owner), ("organization", &key.organization)] {
        all.extend(value.as_ref().map(|value| (field, quoted(value.as_str()))));
    }
    let dates = [("created", key.created), ("not_before", key.not_before), ("not_after", key.not_after)];
    all.extend(dates.into_iter().filter_map(|(field, date)| Some((field, date?.to_string()))));
    all
}

fn index_of(text: &str, key: &consign_signing::PublicKey) -> Option<usize> {
    TrustPolicy::parse(text).ok()?.keys().iter().position(|known| known.public_key == *key)
}

/// The one entry of a policy's text, at the end of another.
fn appended(text: &str, head: &str, policy: &str) -> Option<String> {
    let entry = policy.split_once(head)?.1;
    Some(format!("{}\n\n{head}{entry}", text.trim_end()))
}

/// One table of a list of tables, by the lines that such tables begin with.
struct Place {
    heads: &'static str,
    index: usize,
}

impl Place {
    /// The line of its head, and the one behind its last; comments right above the next table belong to that.
    fn lines(&self, lines: &[&str]) -> Option<(usize, usize)> {
        let heads = (0..lines.len()).filter(|&at| lines[at].trim() == self.heads);
        let head = heads.clone().nth(self.index)?;
        let is_head = |at: &usize| lines[*at].starts_with('[') && lines[*at].trim_end().ends_with(']');
        let next = (head + 1..lines.len()).find(is_head);
        Some((head, next.map_or(lines.len(), |next| above(lines, next))))
    }

    fn taken_out(&self, text: &str) -> Option<String> {
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let (head, end) = self.lines(&lines)?;
        // Comments right above an entry go with it.
        let kept = lines[..above(&lines, head)].concat() + &lines[end..].concat();
        Some(format!("{}\n", kept.trim_end()))
    }

    /// The same with a field set: in its line if it has one, else behind the last line of the table.
    fn with_line(&self, text: &str, name: &str, value: &str) -> Option<String> {
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let (head, end) = self.lines(&lines)?;
        let line = format!("{name} = {value}\n");
        let is_field = |at: &usize| lines[*at].split_once('=').is_some_and(|(field, _)| field.trim() == name);
        let (before, after) = match (head..end).find(is_field) {
            Some(at) => (at, at + 1),
            None => {
                let blank = |line: &&&str| line.trim().is_empty() || line.starts_with('#');
                let last = end - lines[head..end].iter().rev().take_while(blank).count();
                (last, last)
            }
        };
        let mut text = lines[..before].concat();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Some(text + &line + &lines[after..].concat())
    }
}

/// The first of the comment lines right above a line.
fn above(lines: &[&str], line: usize) -> usize {
    line - lines[..line].iter().rev().take_while(|line| line.starts_with('#')).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_signing::{KeyRevocation, PrivateKey, RevocationReason, Signer as _, TrustedKey};

    fn key(name: &str) -> TrustedKey {
        let key = *PrivateKey::generate().unwrap().public_key();
        TrustedKey::new(name.parse().unwrap(), key, vec!["owner".parse().unwrap()])
    }

    #[test]
    fn comments_stay_where_they_can() {
        let empty = TrustPolicy::default();
        let one = empty.clone().with_key(key("one")).unwrap();
        let two = one.clone().with_key(key("two")).unwrap();
        let three = two.clone().with_key(key("three")).unwrap();
        let mut text = format!("{HEADER}format = 1\n");
        for (old, new) in [(&empty, &one), (&one, &two), (&two, &three)] {
            text = edited(&text, old, new);
            assert_eq!(TrustPolicy::parse(&text).as_ref(), Ok(new));
        }
        let text = text.replace("\n[[key]]\nname = \"t", "\n# By telephone.\n[[key]]\nname = \"t");
        assert_eq!(text.matches("# By telephone.").count(), 2);
        let without = three.without_key("two").unwrap();
        let text = edited(&text, &three, &without);
        assert_eq!(text.matches("# By telephone.").count(), 1, "{text}");
        assert!(text.starts_with(HEADER));
        assert_eq!(TrustPolicy::parse(&text), Ok(without));
    }

    #[test]
    fn a_revocation_goes_to_its_key() {
        let (one, two) = (key("one"), key("two"));
        let policy = TrustPolicy::default().with_key(one.clone()).unwrap();
        let text = format!(
            "# Head.\nformat = 1\n\n# By telephone.\n{}\n# The rule of the house.\n[[rule]]\nbundles = \"*\"\nkeys = 1\n",
            &policy.to_toml()["format = 1\n\n".len()..]
        );
        let old = TrustPolicy::parse(&text).unwrap();
        let revocation = |reason| KeyRevocation {
            at: "2026-11-22T03:00:00Z".parse().unwrap(),
            reason,
            note: Some("a \"note\"".parse().unwrap()),
        };
        let revoked = old.clone().with_revoked(&one.name, revocation(RevocationReason::Superseded)).unwrap();
        let new = revoked.clone().with_key(two.clone()).unwrap();
        let rotated = edited(&text, &old, &new);
        assert_eq!(TrustPolicy::parse(&rotated).as_ref(), Ok(&new));
        for kept in ["# Head.", "# By telephone.", "# The rule of the house.\n[[rule]]"] {
            assert!(rotated.contains(kept), "{rotated}");
        }
        let worse = new.clone().with_revoked(&one.name, revocation(RevocationReason::Compromised)).unwrap();
        let text = edited(&rotated, &new, &worse);
        assert_eq!((TrustPolicy::parse(&text).as_ref(), text.matches("revoked =").count()), (Ok(&worse), 1));
        let without = worse.without_key("one").unwrap();
        let text = edited(&text, &worse, &without);
        assert!(text.contains("# The rule of the house.") && !text.contains("# By telephone."), "{text}");
        assert_eq!(TrustPolicy::parse(&text), Ok(without));
    }

    #[test]
    fn an_unusual_text_is_written_anew() {
        let old = TrustPolicy::default().with_key(key("one")).unwrap();
        let entry = &old.keys()[0];
        let inline = format!(
            "format = 1\nkey = [{{name = \"one\", public_key = \"{}\", roles = [\"owner\"]}}]\n",
            entry.public_key.to_openssh(None).trim_end()
        );
        assert_eq!(TrustPolicy::parse(&inline).as_ref(), Ok(&old));
        let new = old.clone().with_key(key("two")).unwrap();
        assert_eq!(TrustPolicy::parse(&edited(&inline, &old, &new)), Ok(new));
        let none = old.without_key("one").unwrap();
        assert_eq!(TrustPolicy::parse(&edited(&inline, &old, &none)), Ok(none));
    }
}
