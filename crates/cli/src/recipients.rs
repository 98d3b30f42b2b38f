//! Whom a bundle is encrypted to, by the word of those who signed it.
//!
//! Nothing else says it: an age file does not tell its recipients. Anybody can add a statement of their own that names
//! others, so what is sealed for the recipients goes only to those whom a statement names that counts.

use std::collections::BTreeSet;

use consign_metadata::{Line, Problem};
use consign_signing::{PublicKey, TrustPolicy};

use crate::exit::Exit;
use crate::outcome::Failure;

/// What each statement says about the recipients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipients {
    said: Vec<(PublicKey, Vec<Line>)>,
}

/// Recipients that those who count agree on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    recipients: Vec<Line>,
    /// Whether somebody in the caller's trust says so; if not, the caller has no trust to ask.
    trusted: bool,
}

impl Agreed {
    pub(crate) fn recipients(&self) -> &[Line] {
        &self.recipients
    }

    pub(crate) fn into_recipients(self) -> Vec<Line> {
        self.recipients
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted
    }
}

impl Recipients {
    pub(crate) fn add(&mut self, by: PublicKey, recipients: Vec<Line>) {
        self.said.push((by, recipients));
    }

    /// Everybody whom any statement names: what a policy has to admit.
    pub(crate) fn all(&self) -> Vec<String> {
        let all: BTreeSet<String> =
            self.said.iter().flat_map(|(_, named)| named).map(ToString::to_string).collect();
        all.into_iter().collect()
    }

    /// The recipients that those say who are in the caller's trust, and have not been taken out of it; without any trust,
    /// those on whom all statements agree.
    pub(crate) fn agreed(&self, trust: Option<&TrustPolicy>, at: &str) -> Result<Agreed, Failure> {
        let counts = |key: &PublicKey| {
            trust.is_none_or(|trust| trust.find(key).is_some_and(|entry| entry.revoked.is_none()))
        };
        let mut counted = self.said.iter().filter(|(key, _)| counts(key)).map(|(_, named)| named);
        let refuse = |code, message: &str, hint: &str| {
            Err(Failure::new(Exit::NotTrusted, Problem::new(code, message).at(at).hint(hint)))
        };
        let Some(first) = counted.next() else {
            return refuse(
                "recipients-untrusted",
                "nobody in your trust says whom it is encrypted to, and a signature is sealed to those",
                "compare the sender's fingerprint with them, then `consign trust add NAME --key FILE.pub`",
            );
        };
        let set = |named: &[Line]| named.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        if counted.any(|other| set(other) != set(first)) {
            return refuse(
                "recipients-disagree",
                "the statements name different recipients, and a signature is sealed to those",
                "keep to the statements of people whom you know: with a trust file only theirs count",
            );
        }
        Ok(Agreed { recipients: first.clone(), trusted: trust.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use consign_signing::{PrivateKey, Signer as _};

    use super::*;

    fn lines(names: &[&str]) -> Vec<Line> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn attack_a7_only_the_word_of_those_in_the_trust_counts() {
        let [ada, eve] = [(); 2].map(|()| *PrivateKey::generate().unwrap().public_key());
        let key = ada.to_openssh(None);
        let text = format!(
            "format = 1\n[[key]]\nname = \"ada\"\npublic_key = \"{}\"\nroles = [\"owner\"]\n",
            key.trim_end()
        );
        let trust = TrustPolicy::parse(&text).unwrap();
        let mut said = Recipients::default();
        said.add(eve, lines(&["outsider"]));
        assert_eq!(said.agreed(Some(&trust), "x").unwrap_err().problems[0].code, "recipients-untrusted");
        assert!(!said.agreed(None, "x").unwrap().is_trusted());
        said.add(ada, lines(&["lab", "approver"]));
        let agreed = said.agreed(Some(&trust), "x").unwrap();
        assert_eq!((agreed.recipients(), agreed.is_trusted()), (&lines(&["lab", "approver"])[..], true));
        assert_eq!(said.agreed(None, "x").unwrap_err().problems[0].code, "recipients-disagree");
        said.add(ada, lines(&["approver", "lab"]));
        assert!(said.agreed(Some(&trust), "x").is_ok(), "the order says nothing");
        assert_eq!(said.all(), ["approver", "lab", "outsider"]);
    }
}
