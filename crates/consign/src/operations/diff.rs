//! What differs between bundles, manifests, directories.

use crate::claimed::claimed_manifest;
use crate::context::{Context, threads};
use crate::descriptor_file;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operation::{Outcome, Request};
use crate::source_args::{pack_failure, source_failure};
use consign_bundle::{Description, LinkPolicy, Source, SourceOptions, hash_source};
use consign_metadata::{Manifest, ManifestDiff, diff};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Show what differs between two bundles, manifests or directories
///
/// Bundles are taken at their word: `consign verify` tells whether it is good. Of a directory every file is
/// read; if it has no descriptor, only files are compared.
#[derive(Clone, Debug)]
pub struct Diff {
    /// The old one: archive, attestations, manifest or directory
    pub old: PathBuf,
    /// The new one
    pub new: PathBuf,
    /// Exit with 1 if anything differs
    pub exit_code: bool,
    /// How many threads hash [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Differences {
    pub same: bool,
    #[serde(flatten)]
    pub diff: ManifestDiff,
}

/// One side of a comparison.
enum Side {
    /// It has a descriptor, or at least a manifest.
    Described(Box<Manifest>),
    /// A directory without a descriptor.
    Bare(PathBuf),
}

impl Request for Diff {
    const COMMAND: &str = "diff";
    type Report = Differences;

    fn run(&self, context: &Context) -> Result<Outcome<Differences>, Failure> {
        let (old, new) = (self.side(context, &self.old)?, self.side(context, &self.new)?);
        let (old, new) = match (old, new) {
            (Side::Described(old), Side::Described(new)) => (*old, *new),
            (Side::Described(old), Side::Bare(directory)) => {
                let new = self.hash_like(context, &directory, &old)?;
                (*old, new)
            }
            (Side::Bare(directory), Side::Described(new)) => {
                (self.hash_like(context, &directory, &new)?, *new)
            }
            (Side::Bare(old), Side::Bare(new)) => {
                let like = nobody();
                (
                    self.hash(context, &old, &like, bare_options())?,
                    self.hash(context, &new, &like, bare_options())?,
                )
            }
        };
        let diff = diff(&old, &new);
        let same = diff.is_empty();
        let exit = if same || !self.exit_code { Exit::Done } else { Exit::Failed };
        Ok(Outcome { exit, problems: Vec::new(), report: Some(Differences { same, diff }) })
    }
}

impl Diff {
    fn side(&self, context: &Context, path: &Path) -> Result<Side, Failure> {
        if !path.is_dir() || holds_bundle(path) {
            return claimed_manifest(path).map(|manifest| Side::Described(Box::new(manifest)));
        }
        let found = match descriptor_file::read(context.policy(None)?.scheme(), path, None, &[]) {
            Ok(found) => found,
            Err(failure) if failure.problems.iter().any(|problem| problem.code == "no-descriptor") => {
                return Ok(Side::Bare(path.into()));
            }
            Err(failure) => return Err(failure),
        };
        let descriptor = found.descriptor;
        let exclude: Vec<_> =
            descriptor.exclude.iter().filter_map(|pattern| pattern.as_str().parse().ok()).collect();
        let options = SourceOptions { exclude: exclude.clone(), descriptor: found.inside, ..bare_options() };
        let description =
            Description { core: descriptor.core, exclude, descriptor: descriptor.details.into() };
        self.hash(context, path, &description, options).map(|manifest| Side::Described(Box::new(manifest)))
    }

    /// A directory without a descriptor, taken to be described as the other side is.
    fn hash_like(&self, context: &Context, directory: &Path, like: &Manifest) -> Result<Manifest, Failure> {
        let description = Description {
            core: like.core().clone(),
            exclude: like.exclude().to_vec(),
            descriptor: like.descriptor().clone(),
        };
        let options =
            SourceOptions { names: like.names(), exclude: like.exclude().to_vec(), ..bare_options() };
        self.hash(context, directory, &description, options)
    }

    fn hash(
        &self,
        context: &Context,
        directory: &Path,
        description: &Description,
        options: SourceOptions,
    ) -> Result<Manifest, Failure> {
        let source =
            Source::scan(directory, options).map_err(|error| source_failure(context, error, directory))?;
        let meter = context.meter("hashing", source.summary().bytes);
        hash_source(&source, description, threads(self.threads), None, &meter)
            .map_err(|error| pack_failure(error, directory))
    }
}

/// Whether a directory holds a bundle, and is not itself what is compared.
fn holds_bundle(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.ends_with(".intoto.jsonl") || name.ends_with(".tar.zst")
        })
    })
}

fn bare_options() -> SourceOptions {
    SourceOptions { include_vcs: true, links: LinkPolicy::Refuse, ..SourceOptions::default() }
}

/// A description for two directories that have none: the same for both, so that it makes no difference.
fn nobody() -> Description {
    let text = concat!(
        r#"{"name":"directory","version":"0.0.0","classification":"public","#,
        r#""contact":{"name":"nobody","email":"nobody@invalid"}}"#
    );
    Description {
        core: serde_json::from_str(text).expect("the text above is a core"),
        exclude: Vec::new(),
        descriptor: serde_json::from_str::<consign_metadata::Details>(r#"{"schema":1,"kind":"mixed"}"#)
            .expect("the text above is a section")
            .into(),
    }
}
