//! Whom an encrypted bundle is encrypted to, by the word of those who signed it.
//!
//! Nothing else says it: an age file does not tell its recipients. Anybody who can open the bundle can add a statement
//! that names others, so that nothing is sealed to anybody, and no policy asked about anybody, by a statement that does
//! not count.

use std::collections::{BTreeMap, BTreeSet};

use consign_metadata::{Line, Problem, Role, printable};
use consign_signing::{Decision, PublicKey, Reason, SignedStatement, Verdict};

use crate::exit::Exit;
use crate::failure::Failure;

/// What each statement says about the recipients: claims, of which nothing is believed yet.
#[derive(Clone, Debug, Default)]
pub struct SaidRecipients {
    said: Vec<(PublicKey, Role, Vec<Line>)>,
}

/// Whom something may be sealed to: those whom the statements name that count, or whom the caller names where none
/// counts.
#[derive(Clone, Debug)]
pub struct Recipients {
    lines: Vec<Line>,
    by: Word,
}

/// By whose word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Of those whose signatures count.
    Counted,
    /// Of the caller.
    Caller,
}

impl Recipients {
    /// By the sender's own word: what is encrypted is made just now.
    pub fn of_sender(lines: Vec<Line>) -> Self {
        Self { lines, by: Word::Caller }
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub fn by(&self) -> Word {
        self.by
    }

    /// As a policy is told of them.
    pub fn names(&self) -> Vec<String> {
        self.lines.iter().map(ToString::to_string).collect()
    }
}

impl SaidRecipients {
    /// What a statement says that was found sealed to them.
    pub fn add(&mut self, by: &SignedStatement, recipients: Vec<Line>) {
        self.said.push((*by.key(), by.statement().signer.role.clone(), recipients));
    }

    /// Whom the statements name, each with the keys that say so: claims.
    pub fn claimed(&self) -> BTreeMap<&Line, Vec<&PublicKey>> {
        let mut all: BTreeMap<&Line, Vec<&PublicKey>> = BTreeMap::new();
        for (key, _, named) in &self.said {
            for recipient in named {
                let by = all.entry(recipient).or_default();
                if !by.contains(&key) {
                    by.push(key);
                }
            }
        }
        all
    }

    /// Whom the statements name that count, all of which must name the same; `None` if none counts.
    pub fn counted(&self, decision: &Decision, at: &str) -> Result<Option<Recipients>, Failure> {
        // A key that signed in two roles counts once, but both are its word.
        let counts = |key: &PublicKey, role: &Role| {
            decision.signatures().iter().any(|one| {
                let counted =
                    matches!(one.verdict, Verdict::Counted | Verdict::NotCounted(Reason::KeyCountedAlready));
                counted && one.signer.public_key == *key && one.signer.role == *role
            })
        };
        let mut counted =
            self.said.iter().filter(|(key, role, _)| counts(key, role)).map(|(_, _, named)| named);
        let Some(first) = counted.next() else { return Ok(None) };
        if counted.any(|other| set(other) != set(first)) {
            let message = "the statements that count name different recipients";
            let hint = "ask those who signed who can open the bundle, and remove the statement that is wrong";
            return Err(refused("recipients-disagree", message, at, hint));
        }
        Ok(Some(Recipients { lines: first.clone(), by: Word::Counted }))
    }

    /// Whom a signature is sealed to: those whom the statements name that count; where none does, those whom the caller
    /// names.
    pub fn to_seal_to(&self, decision: &Decision, named: Vec<Line>, at: &str) -> Result<Recipients, Failure> {
        match self.counted(decision, at)? {
            Some(counted) if named.is_empty() || set(&named) == set(&counted.lines) => Ok(counted),
            Some(_) => {
                let message = "those who signed name other recipients than `--encrypt-to` does";
                let hint = "leave `--encrypt-to` out to seal your signature to those whom they name";
                Err(refused("recipients-disagree", message, at, hint))
            }
            None if !named.is_empty() => Ok(Recipients { lines: named, by: Word::Caller }),
            None => {
                let all: BTreeSet<String> = self
                    .said
                    .iter()
                    .flat_map(|(_, _, named)| named)
                    .map(|one| printable(one.as_str()))
                    .collect();
                let all: Vec<_> = all.into_iter().collect();
                let message = format!(
                    "nobody whom you trust says who can open the bundle, and your signature would be sealed to those; \
                     the statements name {}",
                    all.join(", ")
                );
                let hint = "trust the sender's key: consign trust add NAME --key SENDER.pub\n\
                            or name each recipient yourself, if the sender told you: --encrypt-to RECIPIENT";
                Err(refused("recipients-untrusted", message, at, hint))
            }
        }
    }
}

fn set(named: &[Line]) -> BTreeSet<&str> {
    named.iter().map(Line::as_str).collect()
}

fn refused(code: &'static str, message: impl Into<String>, at: &str, hint: &str) -> Failure {
    Failure::new(Exit::NotTrusted, Problem::new(code, message).at(at).hint(hint))
}

#[cfg(all(test, feature = "encryption"))]
#[allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]
mod tests {
    use consign_signing::{Moment, PrivateKey, Signer as _, Statement, Trust, TrustPolicy, evaluate};

    use super::*;

    fn lines(names: &[&str]) -> Vec<Line> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// Statements by keys in roles, each with the recipients that it names, and who counts of ada and bob.
    fn asked(said: &[(&PrivateKey, &str, &[&str])], trust: &str) -> (SaidRecipients, Decision) {
        let example = include_bytes!("../../signing/tests/data/statement.json");
        let (mut all, mut statements) = (SaidRecipients::default(), Vec::new());
        for (key, role, recipients) in said {
            let mut statement = Statement::parse(example).unwrap();
            statement.signer.public_key = *key.public_key();
            statement.signer.role = role.parse().unwrap();
            let signed = SignedStatement::sign(*key, &statement).unwrap();
            all.add(&signed, lines(recipients));
            statements.push(signed);
        }
        let policy = TrustPolicy::parse(trust).unwrap();
        let moment = Moment::now("2026-11-22T03:00:00Z".parse().unwrap());
        let trust = Trust::Policy { policy: &policy, threshold: None };
        let decision = evaluate(&statements, &statements[0].statement().claim, &trust, &moment, &[]);
        (all, decision)
    }

    fn entry(name: &str, key: &PrivateKey, more: &str) -> String {
        let text = key.public_key().to_openssh(None);
        format!(
            "[[key]]\nname = \"{name}\"\npublic_key = \"{}\"\nroles = [\"owner\", \"release\"]\n{more}\n",
            text.trim_end()
        )
    }

    fn code(found: Result<Recipients, Failure>) -> &'static str {
        found.map_or_else(|failure| failure.problems[0].code, |_| "sealed")
    }

    #[test]
    fn attack_a7_only_what_counted_statements_say_is_believed() {
        let [ada, bob, eve] = [(); 3].map(|()| PrivateKey::generate().unwrap());
        let trust = format!("format = 1\n{}{}", entry("ada", &ada, ""), entry("bob", &bob, ""));
        let outsider: (&PrivateKey, &str, &[&str]) = (&eve, "owner", &["lab", "outsider"]);
        // Eve first, and Eve last; the order of the names says nothing.
        for said in [
            vec![outsider, (&ada, "owner", &["lab", "archive"])],
            vec![(&ada, "owner", &["lab", "archive"]), outsider],
            vec![(&ada, "owner", &["lab", "archive"]), outsider, (&bob, "release", &["archive", "lab"])],
        ] {
            let (said, decision) = asked(&said, &trust);
            let found = said.counted(&decision, "x").unwrap().unwrap();
            assert_eq!((found.lines(), found.by()), (&lines(&["lab", "archive"])[..], Word::Counted));
            assert!(said.to_seal_to(&decision, lines(&["archive", "lab"]), "x").is_ok());
            assert_eq!(code(said.to_seal_to(&decision, lines(&["outsider"]), "x")), "recipients-disagree");
        }
    }

    #[test]
    fn attack_a7_nobody_who_counts_says_it() {
        let [ada, eve] = [(); 2].map(|()| PrivateKey::generate().unwrap());
        let only_eve: &[(&PrivateKey, &str, &[&str])] = &[(&eve, "owner", &["outsider"])];
        let by_ada: &[(&PrivateKey, &str, &[&str])] = &[(&ada, "owner", &["lab"])];
        let in_another_role: &[(&PrivateKey, &str, &[&str])] = &[(&ada, "board", &["lab"])];
        let revoked = "[key.revoked]\nat = 2026-01-01T00:00:00Z\nreason = \"compromised\"";
        for (said, trust) in [
            (only_eve, "format = 1\n".to_owned()),
            (only_eve, format!("format = 1\n{}", entry("ada", &ada, ""))),
            (in_another_role, format!("format = 1\n{}", entry("ada", &ada, ""))),
            (by_ada, format!("format = 1\n{}", entry("ada", &ada, "not_after = 2026-01-01T00:00:00Z"))),
            (by_ada, format!("format = 1\n{}", entry("ada", &ada, revoked))),
            (by_ada, format!("format = 1\nexpires = 2026-01-01T00:00:00Z\n{}", entry("ada", &ada, ""))),
        ] {
            let (said, decision) = asked(said, &trust);
            assert!(said.counted(&decision, "x").unwrap().is_none(), "{trust}");
            assert_eq!(code(said.to_seal_to(&decision, Vec::new(), "x")), "recipients-untrusted", "{trust}");
            let named = said.to_seal_to(&decision, lines(&["mine"]), "x").unwrap();
            assert_eq!((named.lines(), named.by()), (&lines(&["mine"])[..], Word::Caller));
        }
    }

    #[test]
    fn attack_a7_trusted_people_who_disagree_are_not_chosen_between() {
        let [ada, bob] = [(); 2].map(|()| PrivateKey::generate().unwrap());
        let trust = format!("format = 1\n{}{}", entry("ada", &ada, ""), entry("bob", &bob, ""));
        // Two people, and one person in two roles, of which only one counts as a key.
        for said in [
            [(&ada, "owner", &["lab"][..]), (&bob, "release", &["lab", "outsider"])],
            [(&ada, "owner", &["lab"][..]), (&ada, "release", &["outsider"])],
        ] {
            let (said, decision) = asked(&said, &trust);
            let failure = said.counted(&decision, "x").unwrap_err();
            assert_eq!((failure.exit.code(), failure.problems[0].code), (4, "recipients-disagree"));
            assert_eq!(code(said.to_seal_to(&decision, lines(&["lab"]), "x")), "recipients-disagree");
        }
    }
}
