//! What a provenance statement comes to, in the words of the reports.

use std::path::{Path, PathBuf};

use consign_metadata::{BundleId, Sha256Digest, printable};
use consign_signing::{Provenance, PublicKey, ResourceDescriptor};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{BUILD_TYPE, BUNDLE};
use crate::words::count;

/// What a provenance statement says: claims of its signer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Facts {
    /// The URI that says how the statement is to be read.
    pub build_type: String,
    /// The URI of who made it.
    pub builder: String,
    /// The code that it was made with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<CodeFact>,
    /// How many tracked files differed from the commit; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_files: Option<u64>,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunFact>,
    /// Ids of bundles that it was made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BundleId>,
    /// URIs of whatever else it was made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Files that configured it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configuration: Vec<String>,
}

/// Code that something was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CodeFact {
    /// Where it is, with branch or tag, as SLSA writes it: `git+https://host/path@refs/heads/main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    pub commit: String,
}

/// A run of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunFact {
    /// Such as `github-actions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Name of the workflow or job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Number of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Where it can be looked at, or what the builder calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invocation: Option<String>,
    /// The commit that the pipeline ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Facts {
    pub fn of(said: &Provenance) -> Self {
        let build = &said.build_definition;
        let mut facts = Self {
            build_type: build.build_type.clone(),
            builder: said.run_details.builder.id.clone(),
            ..Self::default()
        };
        for one in &build.resolved_dependencies {
            facts.add(one);
        }
        let invocation = said.run_details.metadata.invocation_id.clone().filter(|id| !id.is_empty());
        let internal = &build.internal_parameters;
        // Of other build types nobody here knows what their parameters mean.
        if facts.is_ours() {
            let tree = internal.get("workTree").and_then(Value::as_object);
            facts.changed_files = tree.and_then(|tree| tree.get("changedFiles")).and_then(Value::as_u64);
        }
        let ci = internal.get("ci").and_then(Value::as_object).filter(|_| facts.is_ours());
        let member = |name: &str| ci.and_then(|ci| text(ci, name));
        let run = RunFact {
            system: member("system"),
            workflow: member("workflow"),
            run: member("run"),
            commit: member("commit"),
            invocation,
        };
        facts.run = Some(run).filter(|run| *run != RunFact::default());
        facts
    }

    fn add(&mut self, one: &ResourceDescriptor) {
        let uri = one.uri.clone().filter(|uri| !uri.is_empty());
        let is_git = uri.as_ref().is_some_and(|uri| uri.starts_with("git+"));
        let commit = one.digest.get("gitCommit").or_else(|| one.digest.get("sha1").filter(|_| is_git));
        if let Some(commit) = commit {
            self.code.push(CodeFact { uri, commit: commit.clone() });
            return;
        }
        let id = uri.as_ref().and_then(|uri| uri.strip_prefix(BUNDLE)?.parse().ok());
        match (id, uri) {
            (Some(id), _) => self.parents.push(id),
            (None, Some(uri)) => self.sources.push(uri),
            (None, None) => {
                let digest = one.digest.get("sha256").and_then(|hex| Sha256Digest::from_hex(hex).ok());
                let digest = digest.map(|digest| digest.to_string());
                self.configuration.extend(one.name.clone().or(digest));
            }
        }
    }

    fn is_ours(&self) -> bool {
        self.build_type == BUILD_TYPE
    }

    /// One line for people, fit for a terminal.
    pub fn in_words(&self) -> String {
        let mut parts = Vec::new();
        if let Some(code) = self.code.first() {
            let state = match self.changed_files {
                Some(0) => " (clean)".to_owned(),
                Some(n) => format!(" ({} changed)", count(n, "file", "files")),
                None => String::new(),
            };
            parts.push(format!("commit {}{state}", short(&code.commit)));
        }
        parts.extend(self.run.as_ref().and_then(RunFact::in_words));
        if !self.is_ours() {
            parts.push(format!("built by {}", printable(&self.builder)));
        }
        let mut add = |n: usize, one: &str, many: &str| {
            if n > 0 {
                parts.push(count(n as u64, one, many));
            }
        };
        add(self.parents.len(), "parent", "parents");
        add(self.sources.len(), "source", "sources");
        add(self.configuration.len(), "configuration file", "configuration files");
        if parts.is_empty() {
            return "nothing is known of code or run".to_owned();
        }
        parts.join(", ")
    }
}

impl RunFact {
    /// The same in words; what it is made of is escaped.
    pub fn in_words(&self) -> Option<String> {
        let Some(system) = &self.system else { return self.invocation.as_deref().map(run_of) };
        let system = crate::environment::label(system).map_or_else(|| printable(system), str::to_owned);
        Some(match &self.run {
            Some(run) => format!("{system} run {}", printable(run)),
            None => system,
        })
    }
}

fn run_of(invocation: &str) -> String {
    format!("run {}", printable(invocation))
}

fn text(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The beginning of a commit id, as Git shows it.
pub fn short(commit: &str) -> String {
    printable(&commit.chars().take(7).collect::<String>())
}

/// A provenance statement, in a report.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProvenanceOut {
    /// The file that holds it.
    pub path: PathBuf,
    /// The fingerprint of the key that signed it; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    #[serde(flatten)]
    pub facts: Facts,
}

impl ProvenanceOut {
    pub fn of(path: &Path, said: &Provenance, key: Option<&PublicKey>) -> Self {
        Self {
            path: path.to_owned(),
            fingerprint: key.map(|key| key.fingerprint().to_string()),
            facts: Facts::of(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_signing::ProvenancePredicate;

    fn facts(text: &str) -> Facts {
        Facts::of(ProvenancePredicate::parse(text.as_bytes()).unwrap().said())
    }

    #[test]
    fn statements_of_other_tools_are_put_in_words_as_far_as_they_are_known() {
        let github = facts(
            r#"{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters":{"workflow":{"ref":"refs/heads/main"}},
            "internalParameters":{"ci":{"system":"made up","run":"1"},"workTree":{"changedFiles":0}},
            "resolvedDependencies":[{"uri":"git+https://github.com/o/r@refs/heads/main",
            "digest":{"gitCommit":"7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}},{"uri":"pkg:pypi/torch@2.4"}]},
            "runDetails":{"builder":{"id":"https://github.com/actions/runner/github-hosted"},
            "metadata":{"invocationId":"https://github.com/o/r/actions/runs/1/attempts/1"}}}"#,
        );
        assert_eq!(
            github.in_words(),
            "commit 7fd1a60, run https://github.com/o/r/actions/runs/1/attempts/1, \
             built by https://github.com/actions/runner/github-hosted, 1 source"
        );
        assert_eq!(github.changed_files, None, "its parameters are not ours");
        let old = facts(
            r#"{"buildDefinition":{"buildType":"my:x","externalParameters":{},"resolvedDependencies":[
            {"uri":"git+https://h/x","digest":{"sha1":"7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}},
            {"uri":"consign:nothing"},{"digest":{"sha512":"00"}}]},"runDetails":{"builder":{"id":"my:b\u001b[31m"}}}"#
                .replace("my:b\\u001b[31m", "my:b")
                .as_str(),
        );
        assert_eq!((old.code.len(), old.parents.len(), old.sources.len()), (1, 0, 1));
    }

    #[test]
    fn what_strangers_wrote_cannot_drive_the_terminal() {
        let evil = facts(
            r#"{"buildDefinition":{"buildType":"https://consign.dev/build-types/pack/v1","externalParameters":{},
            "internalParameters":{"ci":{"system":"\u001b[2J","run":"\u202e1"}},
            "resolvedDependencies":[{"digest":{"gitCommit":"\u001b]0;x"}}]},
            "runDetails":{"builder":{"id":"my:b"}}}"#,
        );
        let words = evil.in_words();
        assert!(!words.contains(['\u{1b}', '\u{202e}']), "{words}");
    }
}
