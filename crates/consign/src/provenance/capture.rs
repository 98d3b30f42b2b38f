//! What is known here and now of where a bundle comes from: code, run, configuration.

use std::path::{Path, PathBuf};

use consign_metadata::{EntryPath, Manifest, NameProfile, Problem, Sha256Digest};
use consign_signing::{
    BuildDefinition, BuildMetadata, Builder, Ci, Claim, Content, Provenance, ResourceDescriptor, RunDetails,
    Timestamp,
};
use serde_json::{Map, json};

use super::{BUILD_TYPE, BUILDERS, BUNDLE};
use crate::environment::{Run, variables};
use crate::failure::Failure;
use crate::git::{self, Changes, Refusal, WorkTree};
use crate::hashing::digest_of_file;
use crate::state::known::Known;
use crate::words::count;

/// A file that configured what made the content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Configuration {
    name: String,
    digest: Sha256Digest,
}

/// What was found out before anything was packed.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    tree: Option<WorkTree>,
    /// Why Git said nothing.
    refusal: Option<Refusal>,
    run: Option<Run>,
    configuration: Vec<Configuration>,
}

impl Capture {
    /// Asks Git about the work tree that `code` lies in and the environment about the pipeline, and reads the
    /// configuration files.
    pub fn take(code: &Path, configs: &[PathBuf]) -> Result<Self, Failure> {
        let tree = WorkTree::of(code);
        let refusal = if tree.is_none() { git::refusal(code) } else { None };
        let top = tree.as_ref().and_then(|tree| tree.top.clone());
        let mut configuration = Vec::new();
        for path in configs {
            let digest = digest_of_file(path, &())?;
            add(&mut configuration, Configuration { name: name_of(path, top.as_deref()), digest })?;
        }
        Ok(Self { tree, refusal, run: Run::detect(&variables), configuration })
    }

    /// Whether nothing was found: no code, no run.
    pub fn is_empty(&self) -> bool {
        self.tree.is_none() && self.run.is_none()
    }

    /// Why Git said nothing, where it refused to.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// The statement's predicate for what was made.
    pub fn provenance(
        &self,
        claim: &Claim,
        manifest: &Manifest,
        known: &Known,
        (begun, ended): (Timestamp, Timestamp),
        notes: &mut Vec<String>,
    ) -> Result<Provenance, Failure> {
        let configuration = self.configuration(manifest, notes)?;
        let mut external = Map::new();
        external.insert("name".into(), claim.bundle.name.as_str().into());
        external.insert("version".into(), claim.bundle.version.to_string().into());
        let (repository, reference) = self.checked_out();
        external.extend(repository.clone().map(|repository| ("repository".into(), repository.into())));
        external.extend(reference.map(|reference| ("ref".into(), reference.into())));
        if !configuration.is_empty() {
            let names = configuration.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
            external.insert("configuration".into(), names.into());
        }
        let mut internal = Map::new();
        match self.tree.as_ref().and_then(|tree| tree.changes) {
            Some(Changes { changed, open: 0 }) => {
                internal.insert("workTree".into(), json!({"changedFiles": changed}));
            }
            Some(Changes { changed, open }) => {
                let found = json!({"changedFilesFound": changed, "filesNotCompared": open});
                internal.insert("workTree".into(), found);
                let files = count(open, "tracked file", "tracked files");
                notes.push(format!(
                    "the provenance leaves open whether the work tree is unchanged: {files} cannot be compared without running a filter of Git, and consign runs none"
                ));
            }
            None => {}
        }
        if let Content::Archive(archive) = &claim.content {
            internal.insert("encoder".into(), archive.encoder.as_str().into());
        }
        let ci = self.ci();
        internal.extend(ci.and_then(|ci| Some(("ci".into(), serde_json::to_value(ci).ok()?))));
        Ok(Provenance {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.into(),
                external_parameters: external,
                internal_parameters: internal,
                resolved_dependencies: self.dependencies(manifest, known, configuration),
            },
            run_details: RunDetails {
                builder: Builder {
                    id: format!("{BUILDERS}{}", ci.map_or("local", |ci| ci.system.as_str())),
                    version: [("consign".into(), env!("CARGO_PKG_VERSION").into())].into(),
                    builder_dependencies: Vec::new(),
                },
                metadata: BuildMetadata {
                    invocation_id: ci.and_then(invocation),
                    started_on: begun.to_string().parse().ok(),
                    finished_on: ended.to_string().parse().ok(),
                },
                byproducts: match &claim.content {
                    Content::Sealed => Vec::new(),
                    Content::Archive(_) => vec![ResourceDescriptor {
                        name: Some(format!("{}-{}.manifest.json", claim.bundle.name, claim.bundle.version)),
                        digest: sha256(claim.bundle.id.0),
                        ..ResourceDescriptor::default()
                    }],
                },
            },
        })
    }

    fn ci(&self) -> Option<&Ci> {
        self.run.as_ref().map(|run| &run.ci)
    }

    /// Repository and branch or tag of the code: by Git, else by the pipeline. Pipelines check a commit out without
    /// its branch, and say it themselves.
    fn checked_out(&self) -> (Option<String>, Option<String>) {
        let ci = self.ci();
        let of_ci = |tree: &WorkTree| {
            let ci_commit = ci.and_then(|ci| ci.commit.as_ref()).map(consign_metadata::Line::as_str);
            ci.filter(|_| ci_commit == tree.code.commit.as_ref().map(consign_metadata::CommitId::as_str))
        };
        let line = |line: &Option<consign_metadata::Line>| line.as_ref().map(ToString::to_string);
        match &self.tree {
            Some(tree) => {
                let ci = of_ci(tree);
                let repository = tree.code.repository.as_ref().map(ToString::to_string);
                let reference = tree.reference.as_ref().map(ToString::to_string);
                (
                    repository.or_else(|| ci.and_then(|ci| line(&ci.repository))),
                    reference.or_else(|| ci.and_then(|ci| line(&ci.reference))),
                )
            }
            None => ci.map_or((None, None), |ci| (line(&ci.repository), line(&ci.reference))),
        }
    }

    fn dependencies(
        &self,
        manifest: &Manifest,
        known: &Known,
        configuration: Vec<Configuration>,
    ) -> Vec<ResourceDescriptor> {
        let mut all = Vec::new();
        let (repository, reference) = self.checked_out();
        let ci = self.ci();
        let ci_commit = ci.and_then(|ci| ci.commit.as_ref()).map(ToString::to_string);
        let commit = self.tree.as_ref().and_then(|tree| tree.code.commit.as_ref()).map(ToString::to_string);
        match (commit, ci_commit) {
            (Some(commit), ci_commit) => {
                all.push(code("code", repository.as_deref(), reference.as_deref(), &commit));
                // Another commit than the pipeline's: both went in.
                if let (Some(ci), Some(other)) = (ci, ci_commit.filter(|other| *other != commit)) {
                    let (repository, reference) = (ci.repository.as_ref(), ci.reference.as_ref());
                    let repository = repository.map(consign_metadata::Line::as_str);
                    all.push(code(
                        "pipeline",
                        repository,
                        reference.map(consign_metadata::Line::as_str),
                        &other,
                    ));
                }
            }
            (None, Some(commit)) => {
                all.push(code("code", repository.as_deref(), reference.as_deref(), &commit));
            }
            (None, None) => {}
        }
        for id in &manifest.core().parents {
            let name =
                known.manifest_bytes(*id).ok().flatten().and_then(|bytes| Manifest::parse(&bytes).ok());
            all.push(ResourceDescriptor {
                name: name.map(|parent| format!("{}@{}", parent.core().name, parent.core().version)),
                uri: Some(format!("{BUNDLE}{id}")),
                digest: sha256(id.0),
                ..ResourceDescriptor::default()
            });
        }
        let details = manifest.descriptor().details();
        for source in
            details.iter().filter_map(|details| details.provenance.as_ref()).flat_map(|p| &p.sources)
        {
            all.push(ResourceDescriptor {
                uri: Some(source.uri.to_string()),
                digest: source.sha256.map(sha256).unwrap_or_default(),
                ..ResourceDescriptor::default()
            });
        }
        all.extend(configuration.into_iter().map(|one| ResourceDescriptor {
            name: Some(one.name),
            digest: sha256(one.digest),
            ..ResourceDescriptor::default()
        }));
        all
    }

    /// The files of `--config`, and those that the descriptor names under `training.configuration`: in the bundle, or
    /// in the repository of the code.
    fn configuration(
        &self,
        manifest: &Manifest,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Configuration>, Failure> {
        let mut all = self.configuration.clone();
        let training = manifest.descriptor().details().and_then(|details| details.training.as_ref());
        for named in training.iter().flat_map(|training| &training.configuration) {
            let path = named.path.as_str();
            let here = manifest.file(path).map(|file| file.sha256).or_else(|| self.in_repository(path));
            let digest = match (here, named.sha256) {
                (Some(here), Some(stated)) if here != stated => return Err(differs(path, stated, here)),
                (Some(digest), _) | (None, Some(digest)) => digest,
                (None, None) => {
                    notes.push(format!(
                        "`{path}`, which `training.configuration` names, is neither in the bundle nor in the repository: the provenance does not hold it"
                    ));
                    continue;
                }
            };
            add(&mut all, Configuration { name: path.to_owned(), digest })?;
        }
        Ok(all)
    }

    /// The digest of a file in the repository of the code. A path that leads out of it names nothing.
    fn in_repository(&self, path: &str) -> Option<Sha256Digest> {
        let top = self.tree.as_ref()?.top.as_ref()?;
        let path = EntryPath::parse(path, NameProfile::Posix).ok()?;
        let inside = top.join(path.as_str()).canonicalize().ok()?;
        let inside = inside.starts_with(top.canonicalize().ok()?).then_some(inside)?;
        inside.is_file().then_some(())?;
        digest_of_file(&inside, &()).ok()
    }
}

/// Adds a file once; two contents under one name would leave open which was used.
fn add(all: &mut Vec<Configuration>, one: Configuration) -> Result<(), Failure> {
    match all.iter().find(|there| there.name == one.name) {
        None => all.push(one),
        Some(there) if there.digest == one.digest => {}
        Some(there) => return Err(differs(&one.name, one.digest, there.digest)),
    }
    Ok(())
}

fn differs(name: &str, stated: Sha256Digest, found: Sha256Digest) -> Failure {
    let message = format!("configured it by one account as {stated}, by another as {found}");
    let hint =
        "correct `training.configuration` in the descriptor, or name the file that was used with `--config`";
    Failure::failed(Problem::new("configuration-differs", message).at(name.to_owned()).hint(hint))
}

/// What a file is called: by its path in the repository, else as it was named, and never with the folders of this
/// machine.
fn name_of(path: &Path, top: Option<&Path>) -> String {
    let in_top = || {
        let (path, top) = (path.canonicalize().ok()?, top?.canonicalize().ok()?);
        path.strip_prefix(top).ok().map(Path::to_path_buf)
    };
    let relative = || (path.is_relative() && !path.starts_with("..")).then(|| path.to_path_buf());
    let name = in_top().or_else(relative).or_else(|| path.file_name().map(PathBuf::from));
    let name = name.unwrap_or_else(|| path.to_path_buf());
    let parts = name.components().filter(|part| matches!(part, std::path::Component::Normal(_)));
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn sha256(digest: Sha256Digest) -> std::collections::BTreeMap<String, String> {
    [("sha256".to_owned(), digest.hex())].into()
}

/// A commit, as SLSA writes it.
fn code(name: &str, repository: Option<&str>, reference: Option<&str>, commit: &str) -> ResourceDescriptor {
    let at = reference.unwrap_or(commit);
    ResourceDescriptor {
        name: Some(name.to_owned()),
        uri: repository.map(|repository| format!("git+{}@{at}", as_uri(repository))),
        digest: [("gitCommit".to_owned(), commit.to_owned())].into(),
        ..ResourceDescriptor::default()
    }
}

/// `git@host:path`, as Git writes an address that is reached by SSH, as a URI.
fn as_uri(repository: &str) -> String {
    match repository.split_once(':') {
        Some((host, path)) if !repository.contains("://") => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        _ => repository.to_owned(),
    }
}

/// What the system calls its run: an address if it has one.
fn invocation(ci: &Ci) -> Option<String> {
    let run = || ci.run.as_ref().map(|run| format!("{}/{run}", ci.system));
    ci.url.as_ref().map(ToString::to_string).or_else(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_uris() {
        assert_eq!(as_uri("git@example.org:team/x.git"), "ssh://git@example.org/team/x.git");
        assert_eq!(as_uri("https://example.org/x"), "https://example.org/x");
        let commit = "a".repeat(40);
        assert_eq!(
            code("code", Some("https://h/x"), None, &commit).uri,
            Some(format!("git+https://h/x@{commit}"))
        );
        assert_eq!(code("code", None, Some("refs/heads/main"), &commit).uri, None);
    }

    #[test]
    fn names_of_files_do_not_tell_of_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("conf")).unwrap();
        let file = dir.path().join("conf/train.yaml");
        std::fs::write(&file, "").unwrap();
        assert_eq!(name_of(&file, Some(dir.path())), "conf/train.yaml");
        assert_eq!(name_of(&file, None), "train.yaml");
        assert_eq!(name_of(Path::new("./conf/x.yaml"), None), "conf/x.yaml");
        assert_eq!(name_of(Path::new("../elsewhere/x.yaml"), None), "x.yaml");
    }

    #[test]
    fn one_name_has_one_content() {
        let one = |text: &str| Configuration { name: "a".into(), digest: Sha256Digest::of(text.as_bytes()) };
        let mut all = Vec::new();
        add(&mut all, one("x")).unwrap();
        add(&mut all, one("x")).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(add(&mut all, one("y")).unwrap_err().problems[0].code, "configuration-differs");
    }
}
