//! Which bundles hold a file, or came from a commit, a run, a source or another bundle.
//!
//! Manifests and provenance statements are searched; each function gives the bundles with the places in them that fit.

use std::str::FromStr;

use consign_metadata::{BundleId, Sha256Digest};
use consign_signing::ProvenanceStatement;
use memchr::memmem;
use serde::Serialize;
use serde_json::Value;

use super::view::{Origin, Record, View};
use crate::provenance::facts::Facts;

/// A bundle that fits a question, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Found {
    pub id: BundleId,
    pub name: String,
    pub version: String,
    pub classification: String,
    pub origin: Origin,
    /// Paths of files below `data/`, or of fields: `provenance.pipeline.commit`.
    pub at: Vec<String>,
}

impl Found {
    fn of(record: &Record, at: Vec<String>) -> Option<Self> {
        let core = record.manifest.core();
        (!at.is_empty()).then(|| Self {
            id: record.id,
            name: core.name.to_string(),
            version: core.version.to_string(),
            classification: core.classification.to_string(),
            origin: record.origin,
            at,
        })
    }
}

/// The beginning of a commit id: 7 to 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPrefix(String);

impl FromStr for CommitPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if (7..=64).contains(&text.len()) && text.chars().all(hex) {
            return Ok(Self(text.to_owned()));
        }
        Err("is not the beginning of a commit id: 7 to 64 lower-case hexadecimal digits".into())
    }
}

/// The bundles that hold a file of that content.
pub fn by_file(view: &mut View<'_>, digest: Sha256Digest) -> Vec<Found> {
    // The digits stand in a manifest as they are; only one that holds them is parsed.
    search(view, Some(&digest.hex()), |record| {
        let files = record.manifest.files().iter().filter(|file| file.sha256 == digest);
        files.map(|file| file.path.to_string()).collect()
    })
}

/// The bundles that were made with the code of a commit, or by a pipeline that ran on it.
pub fn by_commit(view: &mut View<'_>, commit: &CommitPrefix) -> Vec<Found> {
    let is = |text: &str| text.starts_with(&commit.0);
    search(view, Some(&commit.0), |record| {
        let mut at = fields(record, |path, text| path.ends_with(".commit") && is(text));
        at.extend(stated(record, |facts| {
            let ran = facts.run.as_ref().and_then(|run| run.commit.as_ref());
            let mut at = Vec::new();
            at.extend(facts.code.iter().any(|code| is(&code.commit)).then_some("resolvedDependencies"));
            at.extend(ran.is_some_and(|commit| is(commit)).then_some("internalParameters.ci.commit"));
            at
        }));
        at
    })
}

/// The bundles that a run made, by the number, the name or the address that its system gives it.
pub fn by_run(view: &mut View<'_>, run: &str) -> Vec<Found> {
    const FIELDS: [&str; 3] = ["provenance.pipeline.run", "provenance.pipeline.uri", "training.job"];
    search(view, None, |record| {
        let mut at = fields(record, |path, text| FIELDS.contains(&path) && text == run);
        at.extend(stated(record, |facts| {
            let Some(known) = &facts.run else { return Vec::new() };
            let is = |text: &Option<String>| text.as_deref() == Some(run);
            let mut at = Vec::new();
            at.extend(is(&known.invocation).then_some("metadata.invocationId"));
            at.extend(is(&known.run).then_some("internalParameters.ci.run"));
            at
        }));
        at
    })
}

/// The bundles that were made from a source: a URI, or what one begins with.
pub fn by_source(view: &mut View<'_>, uri: &str) -> Vec<Found> {
    let is_source = |path: &str| path.starts_with("provenance.sources[") && path.ends_with(".uri");
    search(view, None, |record| {
        let mut at = fields(record, |path, text| is_source(path) && text.starts_with(uri));
        at.extend(stated(record, |facts| {
            let hit = facts.sources.iter().any(|source| source.starts_with(uri));
            hit.then_some("resolvedDependencies").into_iter().collect()
        }));
        at
    })
}

/// The bundles that derive from another.
pub fn by_parent(view: &mut View<'_>, parent: BundleId) -> Vec<Found> {
    search(view, Some(&parent.0.hex()), |record| {
        let parents = record.manifest.core().parents.iter().enumerate();
        parents.filter(|(_, id)| **id == parent).map(|(n, _)| format!("parents[{n}]")).collect()
    })
}

/// Every bundle for which there is a place that fits. What is `literal` stands in the bytes wherever anything fits.
fn search(view: &mut View<'_>, literal: Option<&str>, fits: impl Fn(&Record) -> Vec<String>) -> Vec<Found> {
    let finder = literal.map(memmem::Finder::new);
    let mut found = Vec::new();
    view.each(
        |bytes| finder.as_ref().is_none_or(|finder| finder.find(bytes).is_some()),
        |record| found.extend(Found::of(&record, fits(&record))),
    );
    found.sort_by(|a: &Found, b| (&a.name, &a.version, a.id).cmp(&(&b.name, &b.version, b.id)));
    found
}

/// The fields of the descriptor whose path and text fit. It is walked as JSON: later schemas have fields that this
/// version does not know.
fn fields(record: &Record, fits: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut at = Vec::new();
    walk(&record.manifest.descriptor().to_value(), "", &mut |path, text| {
        if fits(path, text) {
            at.push(path.to_owned());
        }
    });
    at
}

/// Shows every text in a value with its path. The depth of descriptors is bounded.
fn walk(value: &Value, path: &str, visit: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => visit(path, text),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| walk(item, &format!("{path}[{n}]"), visit));
        }
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(member, &path, visit);
            }
        }
        _ => {}
    }
}

/// The places in provenance statements that fit.
fn stated(record: &Record, fits: impl Fn(&Facts) -> Vec<&'static str>) -> Vec<String> {
    let of = |statement: &ProvenanceStatement| fits(&Facts::of(statement.said()));
    let mut at: Vec<String> =
        record.provenance.iter().flat_map(of).map(|place| format!("provenance statement: {place}")).collect();
    at.sort();
    at.dedup();
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use consign_metadata::{DescriptorSection, FileEntry, FileMode, Manifest, ManifestParts, NameProfile};
    use consign_signing::{BundleClaim, Claim, Content, PrivateKey, ProvenancePredicate, SignedProvenance};
    use serde_json::json;

    const COMMIT: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";

    struct Desk {
        _home: tempfile::TempDir,
        context: Context,
    }

    impl Desk {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let context = Context::at(&home.path().join("home"));
            Self { _home: home, context }
        }

        fn keep(
            &self,
            name: &str,
            parents: &[BundleId],
            descriptor: Value,
            files: &[(&str, &str)],
        ) -> BundleId {
            let mut files: Vec<_> = files
                .iter()
                .map(|(path, content)| FileEntry {
                    path: path.parse().unwrap(),
                    size: content.len() as u64,
                    mode: FileMode::Regular,
                    sha256: Sha256Digest::of(content.as_bytes()),
                })
                .collect();
            files.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
            let core = json!({"name": name, "version": "1.0.0", "classification": "internal",
                "contact": {"name": "Ada", "email": "ada@example.org"}, "parents": parents});
            let manifest = Manifest::new(ManifestParts {
                core: serde_json::from_value(core).unwrap(),
                names: NameProfile::Portable,
                exclude: vec![],
                descriptor: DescriptorSection::new(descriptor).unwrap(),
                directories: vec![],
                files,
            })
            .unwrap();
            let bytes = manifest.to_bytes();
            let id = Manifest::id_of(&bytes);
            self.context.state().keep_manifest(&bytes, id).unwrap();
            id
        }

        fn view(&self) -> View<'_> {
            View::known(&self.context).unwrap()
        }
    }

    fn plain() -> Value {
        json!({"schema": 1, "kind": "dataset"})
    }

    #[track_caller]
    fn found(found: &[Found]) -> Vec<(&str, Vec<&str>)> {
        found.iter().map(|one| (one.name.as_str(), one.at.iter().map(String::as_str).collect())).collect()
    }

    #[test]
    fn files_are_found_by_their_content() {
        let desk = Desk::new();
        desk.keep("a", &[], plain(), &[("x/one", "1"), ("two", "2"), ("copy", "1")]);
        desk.keep("b", &[], plain(), &[("three", "3"), ("one", "1")]);
        let mut view = desk.view();
        let digest = |text: &str| Sha256Digest::of(text.as_bytes());
        assert_eq!(
            found(&by_file(&mut view, digest("1"))),
            [("a", vec!["copy", "x/one"]), ("b", vec!["one"])]
        );
        assert!(by_file(&mut view, digest("4")).is_empty());
        // The digest of a file that only the description mentions is not held.
        let mention = json!({"schema": 1, "kind": "dataset", "description": digest("5").hex()});
        desk.keep("c", &[], mention, &[("x", "x")]);
        assert!(by_file(&mut desk.view(), digest("5")).is_empty());
    }

    #[test]
    fn commits_runs_and_sources_are_found_in_descriptors() {
        let desk = Desk::new();
        let descriptor = json!({"schema": 1, "kind": "model",
            "training": {"job": "4711", "code": {"commit": COMMIT}},
            "provenance": {
                "sources": [{"uri": "https://example.org/other"}, {"uri": "s3://bucket/raw/2024"}],
                "pipeline": {"system": "SLURM", "run": "99_3", "uri": "https://ci.example.org/7", "commit": "b".repeat(40)}}});
        desk.keep("a", &[], descriptor, &[("x", "1")]);
        desk.keep("b", &[], plain(), &[("x", "1")]);
        let view = &mut desk.view();
        let commit = |text: &str| text.parse::<CommitPrefix>().unwrap();
        assert_eq!(found(&by_commit(view, &commit("7fd1a60"))), [("a", vec!["training.code.commit"])]);
        assert_eq!(found(&by_commit(view, &commit("bbbbbbbb"))), [("a", vec!["provenance.pipeline.commit"])]);
        assert!(by_commit(view, &commit("7fd1a61")).is_empty());
        assert!(by_commit(view, &commit("fd1a60b")).is_empty(), "in the middle of one");
        for (run, at) in [
            ("99_3", "provenance.pipeline.run"),
            ("https://ci.example.org/7", "provenance.pipeline.uri"),
            ("4711", "training.job"),
        ] {
            assert_eq!(found(&by_run(view, run)), [("a", vec![at])]);
        }
        assert!(by_run(view, "99").is_empty());
        assert_eq!(found(&by_source(view, "s3://bucket/")), [("a", vec!["provenance.sources[1].uri"])]);
        assert_eq!(found(&by_source(view, "https://example.org/other"))[0].0, "a");
        assert!(by_source(view, "bucket").is_empty());
    }

    #[test]
    fn fields_of_later_schemas_are_found_by_their_names() {
        let desk = Desk::new();
        let later = json!({"schema": 2, "runs": [{"repository": {"commit": COMMIT}}]});
        desk.keep("a", &[], later, &[("x", "1")]);
        let hits = by_commit(&mut desk.view(), &"7fd1a60".parse().unwrap());
        assert_eq!(found(&hits), [("a", vec!["runs[0].repository.commit"])]);
    }

    #[test]
    fn children_are_found_by_their_parent() {
        let desk = Desk::new();
        let data = desk.keep("data", &[], plain(), &[("x", "1")]);
        let model = desk.keep("model", &[data], plain(), &[("x", "2")]);
        desk.keep("small", &[model], plain(), &[("x", "3")]);
        let view = &mut desk.view();
        assert_eq!(found(&by_parent(view, data)), [("model", vec!["parents[0]"])]);
        assert_eq!(found(&by_parent(view, model)), [("small", vec!["parents[0]"])]);
    }

    #[test]
    fn what_only_a_provenance_statement_says_is_found() {
        let desk = Desk::new();
        let id = desk.keep("a", &[], plain(), &[("x", "1")]);
        let claim = Claim::new(
            BundleClaim {
                name: "a".parse().unwrap(),
                version: "1.0.0".parse().unwrap(),
                classification: "internal".parse().unwrap(),
                id,
            },
            Content::Sealed,
        );
        let said = json!({"buildDefinition": {"buildType": crate::provenance::BUILD_TYPE,
            "externalParameters": {}, "internalParameters": {"ci": {"run": "17", "commit": "c".repeat(40)}},
            "resolvedDependencies": [{"uri": "git+https://h/x", "digest": {"gitCommit": COMMIT}},
                {"uri": "doi:10.1000/182"}]},
            "runDetails": {"builder": {"id": "https://h/b"}, "metadata": {"invocationId": "https://h/run/17"}}});
        let predicate = ProvenancePredicate::parse(said.to_string().as_bytes()).unwrap();
        let key = PrivateKey::generate().unwrap();
        let statement = ProvenanceStatement::new(&claim, predicate);
        let signed = SignedProvenance::sign(&key, &statement).unwrap();
        desk.context.state().keep_provenance(&signed, id).unwrap();
        desk.context.state().keep_provenance(&signed, id).unwrap();
        assert_eq!(desk.context.state().known().provenance(id).unwrap(), [statement]);
        let view = &mut desk.view();
        let place = |text: &'static str| vec![("a", vec![text])];
        let commit = |text: &str| text.parse::<CommitPrefix>().unwrap();
        let dependencies = "provenance statement: resolvedDependencies";
        assert_eq!(found(&by_commit(view, &commit("7fd1a60"))), place(dependencies));
        let ci = "provenance statement: internalParameters.ci.commit";
        assert_eq!(found(&by_commit(view, &commit("ccccccc"))), place(ci));
        assert_eq!(found(&by_source(view, "doi:10.1000")), place(dependencies));
        assert_eq!(
            found(&by_run(view, "https://h/run/17")),
            place("provenance statement: metadata.invocationId")
        );
        assert_eq!(found(&by_run(view, "17")), place("provenance statement: internalParameters.ci.run"));
    }

    #[test]
    fn what_was_altered_is_passed_over_with_a_note() {
        let desk = Desk::new();
        desk.keep("a", &[], plain(), &[("x", "1")]);
        let id = desk.keep("b", &[], plain(), &[("x", "1")]);
        let path = desk._home.path().join("home/known").join(format!("{}.manifest.json", id.0.hex()));
        let altered = std::fs::read_to_string(&path).unwrap().replace("\"b\"", "\"z\"");
        std::fs::write(path, altered).unwrap();
        let mut view = desk.view();
        assert_eq!(found(&by_file(&mut view, Sha256Digest::of(b"1"))), [("a", vec!["x"])]);
        assert_eq!(view.take_notes()[0].code, "known-altered");
    }

    #[test]
    fn a_commit_is_asked_for_by_no_fewer_than_seven_digits() {
        assert!("7fd1a60".parse::<CommitPrefix>().is_ok());
        for bad in ["", "7fd1a6", "7FD1A60", "7fd1a6g", &"a".repeat(65)] {
            assert!(bad.parse::<CommitPrefix>().is_err(), "{bad}");
        }
    }
}
