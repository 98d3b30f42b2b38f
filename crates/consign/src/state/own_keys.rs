//! The keys with which somebody signed at this machine: what they sign is their own, and a sender need not be told to trust
//! themselves. Nobody who receives anything is asked here.

use std::io;

use consign_bundle::publish;
use consign_metadata::{Line, Role};
use consign_signing::{PublicKey, Timestamp, TrustPolicy, TrustedKey, read_unwritable};

use super::{State, lock};

const FILE: &str = "own-keys.toml";
/// Whom own keys belong to where trust does not say it.
const OWNER: &str = "you";

impl State {
    /// Remembers that this key signed here, in that role.
    pub fn keep_own_key(&self, key: &PublicKey, role: &Role, now: Timestamp) -> io::Result<()> {
        if self.own_keys().find(key).is_some_and(|known| known.roles.contains(role)) {
            return Ok(());
        }
        let directory = self.make("")?;
        let _lock = lock(&directory)?;
        let own = self.own_keys();
        let malformed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        let own = match own.find(key).cloned() {
            // Another process was faster.
            Some(known) if known.roles.contains(role) => return Ok(()),
            Some(known) => own.with_entry(&known.name, |known| known.roles.push(role.clone())),
            None => {
                let name = format!("your key {}", key.fingerprint()).parse::<Line>();
                let name = name.map_err(|error| malformed(&error))?;
                // It is as old as it has been used here, for want of anything better.
                let entry = TrustedKey::new(name, *key, vec![role.clone()]);
                own.with_key(TrustedKey { created: Some(now), ..entry })
            }
        };
        let own = own.map_err(|error| malformed(&error))?;
        publish::replace(&directory.join(FILE), own.to_toml().as_bytes())
    }

    /// The keys with which somebody signed here, each with the roles in which it did. A file that others could have written,
    /// or that cannot be read, says nothing: then trust alone does.
    pub fn own_keys(&self) -> TrustPolicy {
        let Some(path) = self.path(FILE) else { return TrustPolicy::default() };
        let text = match read_unwritable(&path) {
            Ok(text) => text.and_then(|text| String::from_utf8(text).ok()),
            Err(_) => None,
        };
        text.and_then(|text| TrustPolicy::parse(&text).ok()).unwrap_or_default()
    }
}

/// A trust policy, and the own keys that it does not list. They are one person's: whoever is the owner of own keys that it
/// does list. Where those belong to several people, nobody can tell whose another one is, and it must be listed.
pub fn with_own_keys(mut trust: TrustPolicy, own: &TrustPolicy) -> TrustPolicy {
    let mut owners: Vec<Option<Line>> = own
        .keys()
        .iter()
        .filter_map(|key| trust.find(&key.public_key))
        .map(|listed| listed.owner.clone())
        .collect();
    owners.sort();
    owners.dedup();
    let owner = match owners.as_slice() {
        [] => OWNER.parse().ok(),
        [one] => one.clone(),
        _ => return trust,
    };
    for key in own.keys() {
        if trust.find(&key.public_key).is_none() {
            let entry = TrustedKey { owner: owner.clone(), ..key.clone() };
            trust = trust.clone().with_key(entry).unwrap_or(trust);
        }
    }
    trust
}

#[cfg(test)]
mod tests {
    use consign_signing::{PrivateKey, Signer as _};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T03:00:00Z".parse().unwrap()
    }

    fn entry(name: &str, owner: Option<&str>) -> TrustedKey {
        let key = *PrivateKey::generate().unwrap().public_key();
        let owner = owner.map(|owner| owner.parse().unwrap());
        TrustedKey { owner, ..TrustedKey::new(name.parse().unwrap(), key, vec!["owner".parse().unwrap()]) }
    }

    #[test]
    fn field_h4_own_keys_are_one_persons_and_change_nothing_that_trust_says() {
        let (ada, bob, third) = (entry("ada", Some("Ada")), entry("bob", Some("Bob")), entry("x", None));
        let policy = |keys: &[&TrustedKey]| {
            keys.iter().fold(TrustPolicy::default(), |all, key| all.with_key((*key).clone()).unwrap())
        };
        let own = policy(&[&third]);
        let owner = |trust: &TrustPolicy| trust.find(&third.public_key).map(|key| key.owner.clone());
        assert_eq!(owner(&with_own_keys(policy(&[&ada]), &own)), Some(Some("you".parse().unwrap())));
        // Ada's second key makes no second person of her.
        let hers = policy(&[&ada, &third]);
        assert_eq!(owner(&with_own_keys(policy(&[&ada]), &hers)), Some(Some("Ada".parse().unwrap())));
        // Two people use this machine: whose the third key is cannot be told.
        let theirs = policy(&[&ada, &bob, &third]);
        assert_eq!(owner(&with_own_keys(policy(&[&ada, &bob]), &theirs)), None);
        // What trust says of a key stays.
        let listed = policy(&[&third]);
        assert_eq!(with_own_keys(listed.clone(), &own), listed);
    }

    #[test]
    fn field_h4_roles_in_which_a_key_signed_here_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let state = State::at(&home.path().join("state"));
        let key = *PrivateKey::generate().unwrap().public_key();
        for role in ["owner", "release", "owner"] {
            state.keep_own_key(&key, &role.parse().unwrap(), now()).unwrap();
        }
        let roles = state.own_keys().find(&key).map(|known| known.roles.len());
        assert_eq!(roles, Some(2));
        State::nowhere().keep_own_key(&key, &"owner".parse().unwrap(), now()).unwrap_err();
        std::fs::write(home.path().join("state").join(FILE), "nonsense").unwrap();
        assert!(state.own_keys().keys().is_empty());
    }
}
