//! Whom a bundle is for. A recipient is one thing with one name: `--for NAME` addresses them wherever a bundle is made or
//! handed over, and the policy says which other names they go by, how to encrypt to them, where they read, and what
//! their laboratory accepts.

use std::path::{Path, PathBuf};

use consign_metadata::{Line, Problem, shell_word};
use consign_policy::{Called, Policy};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Endings of files that somebody may take for the name of a recipient.
const FILES: &[&str] =
    &["toml", "json", "jsonl", "yaml", "yml", "pub", "key", "pem", "txt", "identity", "age"];

/// The recipients that names mean, by the one name of each, in order, each once. A file, a key or a slip of the pen is an
/// error: what is signed as an addressee can never be taken back.
pub fn addressees(option: &str, names: &[Line], policy: &Policy) -> Result<Vec<Line>, Failure> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for name in names {
        match policy.called(name.as_str()) {
            Called::Listed(known) => found.push(known.name.clone()),
            Called::Misspelt(known) => {
                let message = format!("the policy has this recipient as `{}`", known.name);
                let problem = Problem::new("recipient-misspelt", message).at(format!("{option} {name}"));
                problems.push(problem.hint(format!("write {option} {}", shell_word(known.name.as_str()))));
            }
            Called::Unlisted => match what_it_is_instead(name.as_str()) {
                None => found.push(name.clone()),
                Some((what, hint)) => {
                    let message = format!("`{name}` is {what}, where the name of a recipient belongs");
                    problems.push(Problem::new("not-a-recipient", message).at(option).hint(hint));
                }
            },
        }
    }
    if !problems.is_empty() {
        return Err(Failure { exit: Exit::Usage, problems });
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// What a text is that no recipient is called, and what to do with it.
fn what_it_is_instead(name: &str) -> Option<(&'static str, &'static str)> {
    const NAME: &str =
        "name the recipient with `--for NAME`; to ask what a laboratory accepts: `--laboratory FILE`";
    let begins = |start: &str| name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    if ["age1", "ssh-ed25519 ", "sha256:"].into_iter().any(begins) {
        return Some((
            "a key",
            "name who holds it with `--for NAME`; to encrypt to a key: `--encrypt-to KEY`",
        ));
    }
    let path = Path::new(name);
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    if ending.is_some_and(|ending| FILES.contains(&ending.as_str())) || path.is_file() {
        return Some(("a file", NAME));
    }
    let names_a_place = name.starts_with(['.', '/', '~']) || name.contains('\\');
    (names_a_place || (name.contains('/') && path.exists())).then_some(("a path", NAME))
}

/// What laboratories accept, as they publish it.
#[derive(Clone, Debug, Default)]
pub struct LaboratoryArgs {
    /// What a laboratory accepts: the policy that it publishes, asked beside that of each recipient; may be repeated
    pub files: Vec<PathBuf>,
}

/// A laboratory that is to accept a bundle.
pub struct Laboratory {
    pub file: PathBuf,
    pub policy: Policy,
}

impl LaboratoryArgs {
    /// The laboratories that are named, and those of the recipients whom the policy lists; each once.
    pub fn load(
        &self,
        context: &Context,
        own: (&Policy, Option<&Path>),
        addressees: &[Line],
    ) -> Result<Vec<Laboratory>, Failure> {
        let mut all: Vec<Laboratory> = Vec::new();
        let mut add = |file: PathBuf, of: Option<&Line>| -> Result<(), Failure> {
            let policy = context.policy(Some(&file)).map_err(|failure| said_of(failure, of))?;
            if all.iter().all(|known| known.policy.digest() != policy.digest()) {
                all.push(Laboratory { file, policy });
            }
            Ok(())
        };
        for file in &self.files {
            add(file.clone(), None)?;
        }
        let (policy, place) = own;
        for name in addressees {
            let Some(known) = policy.recipient(name.as_str()) else { continue };
            let Some(file) = &known.laboratory else { continue };
            let folder = place.map(consign_bundle::publish::parent);
            let file = folder.map_or_else(|| file.as_str().into(), |folder| folder.join(file.as_str()));
            add(file, Some(name))?;
        }
        Ok(all)
    }
}

/// Says whose file could not be read.
fn said_of(mut failure: Failure, recipient: Option<&Line>) -> Failure {
    if let Some(name) = recipient {
        for problem in &mut failure.problems {
            problem.message = format!("{} (`laboratory` of the recipient `{name}`)", problem.message);
        }
    }
    failure
}

/// Addressees as reports have them.
pub fn told(addressees: &[Line]) -> Vec<String> {
    addressees.iter().map(ToString::to_string).collect()
}
