//! Whose signatures count: keys, rules, who may sign the next version, and whose trust is taken over.

use std::num::NonZeroU32;

use consign_metadata::{BundleName, Line, Problem, Role};

use crate::fingerprint::Fingerprint;
use crate::public_key::PublicKey;
use crate::time::Timestamp;
use crate::trust_bundle::AcceptedTrust;
use crate::trust_rules::{BundlePattern, Rule};
use crate::validity::KeyRevocation;

/// The role whose holders may revoke any bundle that their key's listing reaches.
pub const REVOKER: &str = "revoker";

/// A key whose signatures count, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The name that this file gives the key; no other key in the file has it.
    pub name: Line,
    /// The key itself. Nothing else identifies it.
    pub public_key: PublicKey,
    /// The person or service that holds it. Without one the key adds to no count of owners.
    pub owner: Option<Line>,
    /// Their organization.
    pub organization: Option<Line>,
    /// The roles in which its signatures count; at least one.
    pub roles: Vec<Role>,
    /// When it was made, for telling its age.
    pub created: Option<Timestamp>,
    /// The first second in which it counts.
    pub not_before: Option<Timestamp>,
    /// The last second in which it counts.
    pub not_after: Option<Timestamp>,
    /// That it no longer counts.
    pub revoked: Option<KeyRevocation>,
}

impl TrustedKey {
    /// A key with nothing but what it must have.
    pub fn new(name: Line, public_key: PublicKey, roles: Vec<Role>) -> Self {
        Self {
            name,
            public_key,
            owner: None,
            organization: None,
            roles,
            created: None,
            not_before: None,
            not_after: None,
            revoked: None,
        }
    }
}

/// Who may sign the next version of a trust file, and this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Names of keys in the same file; none twice.
    pub keys: Vec<Line>,
    /// How many of them must sign; at most as many as there are.
    pub threshold: NonZeroU32,
}

/// Somebody else's trust, as far as it is taken over: their keys count for these bundles, in these roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustImport {
    /// The name that this file gives it; no other import has it.
    pub name: Line,
    /// For which bundles it acts.
    pub bundles: BundlePattern,
    /// In which roles its keys may act, as far as they have them there; at least one.
    pub roles: Vec<Role>,
    /// The fingerprints of the keys that may sign the next version.
    pub root: Vec<Fingerprint>,
    /// How many of them must sign.
    pub threshold: NonZeroU32,
    /// What was imported under that name, if it is here.
    pub(crate) accepted: Option<Box<TrustPolicy>>,
}

impl TrustImport {
    /// An entry for trust that is not here yet.
    pub fn new(
        name: Line,
        bundles: BundlePattern,
        roles: Vec<Role>,
        root: Vec<Fingerprint>,
        threshold: NonZeroU32,
    ) -> Self {
        Self { name, bundles, roles, root, threshold, accepted: None }
    }

    /// What was imported, if it is here ([`TrustPolicy::attach`]).
    pub fn accepted(&self) -> Option<&TrustPolicy> {
        self.accepted.as_deref()
    }
}

/// Whose signatures count, and in which roles: the content of `trust.toml`.
///
/// ```
/// use consign_signing::TrustPolicy;
/// let text = r#"
/// format = 1
///
/// [[key]]
/// name = "ada-2026"
/// owner = "Ada Lovelace"
/// public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
/// roles = ["owner", "release"]
/// not_after = 2027-12-31T23:59:59Z
///
/// [[rule]]
/// bundles = "secret-*"
/// require = [{ role = "owner", keys = 1 }, { role = "release", keys = 1 }]
/// owners = 2
/// "#;
/// let policy = TrustPolicy::parse(text).expect("it is well formed");
/// assert_eq!(policy.keys()[0].roles.len(), 2);
/// assert_eq!(TrustPolicy::parse(&policy.to_toml()), Ok(policy));
///
/// let problems = TrustPolicy::parse(&text.replace("roles", "rolls")).expect_err("a field is misspelled");
/// assert!(problems.iter().any(|p| p.hint.as_deref() == Some("did you mean `roles`?")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustPolicy {
    pub(crate) name: Option<Line>,
    pub(crate) version: Option<u64>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) root: Option<Root>,
    /// No name and no key twice.
    pub(crate) keys: Vec<TrustedKey>,
    pub(crate) rules: Vec<Rule>,
    /// No name twice.
    pub(crate) imports: Vec<TrustImport>,
}

/// Why a policy is not what it would have to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Another key has the name.
    #[error("the name `{0}` is taken by another key")]
    NameTaken(Line),
    /// The key is there already, under this name.
    #[error("the key is there already, under the name `{0}`")]
    KeyKnown(Line),
    /// The key would count for nothing.
    #[error("the key `{0}` has no roles, so its signatures would count for nothing")]
    NoRoles(Line),
    /// A role is listed twice.
    #[error("the role `{0}` is listed twice")]
    RoleTwice(Role),
    /// The key would be valid at no time.
    #[error("the key `{0}` would end before it begins: `not_after` is before `not_before`")]
    Dates(Line),
    /// There is no key of that name.
    #[error("there is no key of the name `{0}`")]
    UnknownKey(Line),
    /// The key has been revoked already.
    #[error("the key `{0}` is revoked already")]
    RevokedAlready(Line),
    /// There is an import of that name.
    #[error("the name `{0}` is taken by another import")]
    ImportTaken(Line),
    /// `[root]` names a key that is not there.
    #[error("`[root]` names the key `{0}`, which is not in the file")]
    RootUnknown(Line),
    /// `[root]` names a key twice.
    #[error("`[root]` names the key `{0}` twice")]
    RootTwice(Line),
    /// More must sign than there are.
    #[error("asks for {needed} of {there} keys")]
    Threshold {
        /// How many are asked for.
        needed: u32,
        /// How many there are.
        there: usize,
    },
}

impl TrustError {
    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameTaken(_) => "trust-name-taken",
            Self::KeyKnown(_) => "trust-key-known",
            Self::NoRoles(_) => "trust-no-roles",
            Self::RoleTwice(_) => "trust-role-twice",
            Self::Dates(_) => "trust-dates",
            Self::UnknownKey(_) => "trust-unknown",
            Self::RevokedAlready(_) => "trust-revoked-already",
            Self::ImportTaken(_) => "trust-import-taken",
            Self::RootUnknown(_) => "trust-root-unknown",
            Self::RootTwice(_) => "trust-root-twice",
            Self::Threshold { .. } => "trust-threshold",
        }
    }

    /// The same with a stable code.
    pub fn problem(&self) -> Problem {
        Problem::new(self.code(), self.to_string())
    }
}

impl TrustPolicy {
    /// What the policy calls itself.
    pub fn name(&self) -> Option<&Line> {
        self.name.as_ref()
    }

    /// Its number among the versions that were published; at least 1.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// The last second in which it counts. After that, nothing does.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether its time is over.
    pub fn is_expired(&self, at: Timestamp) -> bool {
        self.expires.is_some_and(|expires| at > expires)
    }

    /// Who may sign the next version.
    pub fn root(&self) -> Option<&Root> {
        self.root.as_ref()
    }

    /// The entries of the keys that may sign the next version.
    pub fn root_keys(&self) -> impl Iterator<Item = &TrustedKey> {
        let names = self.root.iter().flat_map(|root| &root.keys);
        names.filter_map(|name| self.key(name.as_str()))
    }

    /// All keys, in the order of the file.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// All rules, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// All imports, in the order of the file.
    pub fn imports(&self) -> &[TrustImport] {
        &self.imports
    }

    /// The entry of that key, found by the key itself.
    pub fn find(&self, key: &PublicKey) -> Option<&TrustedKey> {
        self.keys.iter().find(|known| known.public_key == *key)
    }

    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.name.as_str() == name)
    }

    /// The import of that name.
    pub fn import(&self, name: &str) -> Option<&TrustImport> {
        self.imports.iter().find(|import| import.name.as_str() == name)
    }

    /// The imports that act for bundles of that name.
    pub fn imports_for(&self, bundle: &BundleName) -> impl Iterator<Item = &TrustImport> {
        self.imports.iter().filter(|import| import.bundles.matches(bundle))
    }

    /// Whether the key is known to be in somebody else's hands: from this file, or from what was imported for
    /// bundles of that name.
    pub fn compromised(&self, key: &PublicKey, bundle: &BundleName) -> Option<&KeyRevocation> {
        let imported = self.imports_for(bundle).filter_map(TrustImport::accepted);
        let mut listed = std::iter::once(self).chain(imported).filter_map(|policy| policy.find(key));
        listed.find(|key| key.is_compromised())?.revoked.as_ref()
    }

    /// The same with a key more.
    ///
    /// # Errors
    /// Its name or itself is there already, it has no roles, or one twice, or ends before it begins.
    pub fn with_key(mut self, key: TrustedKey) -> Result<Self, TrustError> {
        self.add(key)?;
        Ok(self)
    }

    /// The same without the key of that name; `None` if there is none.
    #[must_use]
    pub fn without_key(&self, name: &str) -> Option<Self> {
        let mut rest = self.clone();
        rest.keys.retain(|key| key.name.as_str() != name);
        (rest.keys.len() < self.keys.len()).then_some(rest)
    }

    /// The same with another entry for a key that is there, in the same place. What makes a key the one that it is stays: its
    /// name, the key itself, and that it was revoked.
    ///
    /// # Errors
    /// There is no key of that name, it has no roles, or one twice, or ends before it begins.
    pub fn with_entry(
        mut self,
        name: &Line,
        change: impl FnOnce(&mut TrustedKey),
    ) -> Result<Self, TrustError> {
        let place = self.keys.iter().position(|key| key.name == *name);
        let place = place.ok_or_else(|| TrustError::UnknownKey(name.clone()))?;
        let old = self.keys.remove(place);
        let mut new = old.clone();
        change(&mut new);
        self.add(TrustedKey { name: old.name, public_key: old.public_key, revoked: old.revoked, ..new })?;
        self.keys[place..].rotate_right(1);
        Ok(self)
    }

    /// The same with a key revoked.
    ///
    /// # Errors
    /// There is no key of that name, or it is revoked already and the new reason is not graver.
    pub fn with_revoked(mut self, name: &Line, revoked: KeyRevocation) -> Result<Self, TrustError> {
        use crate::validity::RevocationReason::{Compromised, Superseded};
        let key = self.keys.iter_mut().find(|key| key.name == *name);
        let key = key.ok_or_else(|| TrustError::UnknownKey(name.clone()))?;
        match &key.revoked {
            None => {}
            Some(before) if (before.reason, revoked.reason) == (Superseded, Compromised) => {}
            Some(_) => return Err(TrustError::RevokedAlready(name.clone())),
        }
        key.revoked = Some(revoked);
        Ok(self)
    }

    /// The same with an import more, or with another in the place of the one of that name.
    ///
    /// # Errors
    /// It has no roles, or one twice, or asks for more keys than it has.
    pub fn with_import(mut self, import: TrustImport) -> Result<Self, TrustError> {
        let place = self.imports.iter().position(|known| known.name == import.name);
        if let Some(place) = place {
            self.imports.remove(place);
        }
        self.add_import(import)?;
        if let Some(place) = place {
            // Where the one before stood.
            self.imports[place..].rotate_right(1);
        }
        Ok(self)
    }

    /// Puts what was imported into the entry of that name. Gives whether there is one for which it was accepted.
    pub fn attach(&mut self, name: &str, accepted: AcceptedTrust) -> bool {
        let entry = self.imports.iter_mut().find(|import| import.name.as_str() == name);
        let entry = entry.filter(|entry| accepted.is_for(entry));
        entry.map(|entry| entry.accepted = Some(Box::new(accepted.into_policy()))).is_some()
    }

    /// The one place where a key comes in, from a file or from a command.
    pub(crate) fn add(&mut self, key: TrustedKey) -> Result<(), TrustError> {
        if let Some(known) = self.find(&key.public_key) {
            return Err(TrustError::KeyKnown(known.name.clone()));
        }
        if self.keys.iter().any(|known| known.name == key.name) {
            return Err(TrustError::NameTaken(key.name));
        }
        check_roles(&key.name, &key.roles)?;
        if key.not_before.zip(key.not_after).is_some_and(|(from, until)| from > until) {
            return Err(TrustError::Dates(key.name));
        }
        self.keys.push(key);
        Ok(())
    }

    pub(crate) fn add_import(&mut self, import: TrustImport) -> Result<(), TrustError> {
        if self.import(import.name.as_str()).is_some() {
            return Err(TrustError::ImportTaken(import.name));
        }
        check_roles(&import.name, &import.roles)?;
        check_threshold(import.threshold, import.root.len())?;
        self.imports.push(import);
        Ok(())
    }

    /// Whether `[root]` names keys of the file, each once, and no more must sign than there are.
    pub(crate) fn check_root(&self, root: &Root) -> Result<(), TrustError> {
        for (index, name) in root.keys.iter().enumerate() {
            if self.key(name.as_str()).is_none() {
                return Err(TrustError::RootUnknown(name.clone()));
            }
            if root.keys[..index].contains(name) {
                return Err(TrustError::RootTwice(name.clone()));
            }
        }
        check_threshold(root.threshold, root.keys.len())
    }
}

fn check_roles(name: &Line, roles: &[Role]) -> Result<(), TrustError> {
    if roles.is_empty() {
        return Err(TrustError::NoRoles(name.clone()));
    }
    let twice = |(index, role): (usize, &Role)| roles[..index].contains(role).then(|| role.clone());
    roles.iter().enumerate().find_map(twice).map_or(Ok(()), |role| Err(TrustError::RoleTwice(role)))
}

fn check_threshold(needed: NonZeroU32, there: usize) -> Result<(), TrustError> {
    let needed = needed.get();
    if u64::from(needed) > there as u64 { Err(TrustError::Threshold { needed, there }) } else { Ok(()) }
}
