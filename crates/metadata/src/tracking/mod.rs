//! What tools that track experiments and data leave in a directory, read for what a descriptor has a place for.
//!
//! Pure functions over names and bytes: a hint for a person, as a card is. What names a person or a place on their machine
//! is never taken over, and that the files hold it is told.

mod dvc;
mod dvc_outputs;
mod lfs;
mod mlflow;

use std::collections::BTreeMap;

pub use self::dvc_outputs::{DVC_BYTES_MAX, DvcOutput, dvc_outputs};

use crate::decode::{Decode as _, Decoder, Path};
use crate::descriptor::{Parameter, ParameterText};
use crate::draft::Draft;
use crate::problem::Problem;
use crate::text::Line;
use crate::tree::Node;
use crate::unicode::excerpt;

/// Most parameters, and most metrics, that are taken over.
const TAKEN_MAX: usize = 200;
/// Longest file of a tracker that is read, in bytes.
const FILE_MAX: usize = 1 << 20;

/// The files of a directory, as far as they are asked for.
pub trait Files {
    /// All paths, in order, with `/` between their parts.
    fn names(&self) -> Vec<&str>;

    /// The beginning of a file, at most `max` bytes; `None` if it is not there or cannot be read.
    fn read(&self, name: &str, max: usize) -> Option<Vec<u8>>;
}

/// What one tool knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Where it was found: a file or folder of the tool's.
    pub from: String,
    /// What a descriptor can take over.
    pub draft: Draft,
    /// What could not be taken over, and what else to know.
    pub warnings: Vec<Problem>,
}

/// What the tools that left something in a directory know of its content.
///
/// ```
/// use consign_metadata::{Files, tracked};
/// struct Run;
/// impl Files for Run {
///     fn names(&self) -> Vec<&str> {
///         vec!["meta.yaml", "params/lr", "tags/mlflow.runName"]
///     }
///     fn read(&self, name: &str, _: usize) -> Option<Vec<u8>> {
///         Some(match name {
///             "params/lr" => b"0.1".to_vec(),
///             "tags/mlflow.runName" => b"bold-fox-12".to_vec(),
///             _ => b"run_id: 0123\nexperiment_id: '7'\n".to_vec(),
///         })
///     }
/// }
/// let run = &tracked(&Run)[0];
/// assert_eq!(run.draft.name.as_ref().unwrap().as_str(), "bold-fox-12");
/// assert_eq!(run.draft.training.parameters.len(), 1);
/// ```
pub fn tracked(files: &dyn Files) -> Vec<Tracked> {
    [mlflow::read(files), dvc::read(files), lfs::read(files)].into_iter().flatten().collect()
}

/// Text of a file, if it is UTF-8 and not too long.
fn text(files: &dyn Files, name: &str) -> Option<String> {
    let bytes = files.read(name, FILE_MAX + 1)?;
    if bytes.len() > FILE_MAX { None } else { String::from_utf8(bytes).ok() }
}

/// Whether a text names somebody's home, and with it a person.
fn names_a_home(text: &str) -> bool {
    let text = text.replace('\\', "/");
    let mut rest = text.as_str();
    while let Some(at) = rest.find("home/").into_iter().chain(rest.find("Users/")).min() {
        let (before, after) = rest.split_at(at);
        let named = after.split_once('/').is_some_and(|(_, user)| !user.is_empty() && !user.starts_with('/'));
        if before.ends_with('/') && named {
            return true;
        }
        rest = &after[1..];
    }
    text.contains("/root/") || text.starts_with("~/")
}

/// A value of a tool's own notation as a parameter: a whole number where it is spelled as one, or else text.
fn parameter(text: &str) -> Option<Parameter> {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Some(Parameter::Integer(number)),
        _ => text.parse::<ParameterText>().ok().map(Parameter::Text),
    }
}

/// A tree of YAML or JSON as a parameter.
fn parameter_of(node: &Node) -> Option<Parameter> {
    let scheme = crate::Scheme::builtin();
    let mut decoder = Decoder::new(&scheme);
    let parameter = Parameter::decode(node, &Path::Root, &mut decoder)?;
    decoder.into_problems().is_empty().then_some(parameter)
}

/// Whether a parameter names somebody's home, anywhere in it.
fn parameter_names_a_home(parameter: &Parameter) -> bool {
    match parameter {
        Parameter::Bool(_) | Parameter::Integer(_) => false,
        Parameter::Text(text) => names_a_home(text.as_str()),
        Parameter::List(items) => items.iter().any(parameter_names_a_home),
        Parameter::Map(members) => {
            members.iter().any(|(key, value)| names_a_home(key.as_str()) || parameter_names_a_home(value))
        }
    }
}

/// Parameters as they are collected, and what became of those that are not taken over.
#[derive(Default)]
struct Parameters {
    taken: BTreeMap<Line, Parameter>,
    of_a_home: Vec<String>,
    not_understood: Vec<String>,
    too_many: usize,
}

impl Parameters {
    fn add(&mut self, name: &str, value: Option<Parameter>) {
        match (name.parse::<Line>(), value) {
            (Ok(_), Some(value)) if parameter_names_a_home(&value) => self.of_a_home.push(excerpt(name)),
            (Ok(_), Some(_)) if self.taken.len() >= TAKEN_MAX => self.too_many += 1,
            (Ok(name), Some(value)) => drop(self.taken.insert(name, value)),
            _ => self.not_understood.push(excerpt(name)),
        }
    }

    /// The parameters, with a warning for each kind of what is missing from them.
    fn close(self, place: &str, warnings: &mut Vec<Problem>) -> BTreeMap<Line, Parameter> {
        let mut tell = |names: &[String], why: &str| {
            if !names.is_empty() {
                let message = format!("{} not taken over: {why}", listed(names));
                warnings.push(Problem::new("not-taken-over", message).at(place));
            }
        };
        tell(&self.of_a_home, "it names somebody's home directory");
        tell(&self.not_understood, "a descriptor has no such value");
        if self.too_many > 0 {
            let message = format!("{} more parameters are not taken over", self.too_many);
            warnings.push(Problem::new("not-taken-over", message).at(place));
        }
        self.taken
    }
}

/// Some names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Warns that files hold what names a person, and says how to leave them out.
fn personal(files: &[String], what: &str) -> Option<Problem> {
    let first = files.first()?;
    let message = format!("{} {what}, which will be packed with them", listed(files));
    let hint = format!("leave such a file out with `--exclude /{first}` if that must not leave");
    Some(Problem::new("personal-data", message).hint(hint))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Files in memory.
    pub(super) struct Folder(pub(super) BTreeMap<String, Vec<u8>>);

    impl Folder {
        pub(super) fn of(files: &[(&str, &str)]) -> Self {
            Self(files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect())
        }
    }

    impl Files for Folder {
        fn names(&self) -> Vec<&str> {
            self.0.keys().map(String::as_str).collect()
        }

        fn read(&self, name: &str, max: usize) -> Option<Vec<u8>> {
            Some(self.0.get(name)?.iter().copied().take(max).collect())
        }
    }

    #[test]
    fn field_c4_homes_are_known_on_every_system() {
        for home in [
            "/home/ada/x",
            "file:///home/ada",
            "/Users/ada/x",
            "C:\\Users\\ada\\x",
            "/gpfs/home/ada",
            "/root/x",
            "~/x",
            "ls /opt/home/ /home/ada",
        ] {
            assert!(names_a_home(home), "{home}");
        }
        for other in ["", "home/x", "athome/x", "/data/x", "/home/", "Users", "chrome/x", "/opt/home"] {
            assert!(!names_a_home(other), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn attack_c4_no_file_of_a_tracker_makes_it_panic(
            which in 0_usize..8,
            text in r#"((stages|cmd|deps|run_id|experiment_id|flavors|sklearn|end_time|- |  |    )[:a ]?[1-9a-f\[\]{}&*!"'#/\n.-]{0,12}\n?){0,8}"#,
        ) {
            let names = ["dvc.yaml", "params.yaml", "metrics.json", "meta.yaml", "MLmodel", "params/a", "metrics/a", ".gitattributes"];
            let mut folder = Folder::of(&[
                ("dvc.yaml", "stages:\n"),
                ("meta.yaml", "run_id: a\nexperiment_id: b\n"),
                ("metrics/a", "1 2 3"),
            ]);
            folder.0.insert(names[which].into(), text.into_bytes());
            for tracked in tracked(&folder) {
                proptest::prop_assert!(!tracked.draft.to_yaml().contains("/home/"));
            }
        }
    }

    #[test]
    fn an_ordinary_directory_is_nobodys() {
        let folder = Folder::of(&[("README.md", "# T\n"), ("params/x", "1"), ("meta.yaml", "a: 1\n")]);
        assert_eq!(tracked(&folder), []);
    }
}
