//! `consign diff`: what differs between bundles, manifests, directories.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::{Description, LinkPolicy, Source, SourceOptions, hash_source};
use consign_metadata::{FileMode, Manifest, ManifestDiff, diff, printable};
use serde::Serialize;
use serde_json::Value;

use crate::claimed::claimed_manifest;
use crate::context::{Context, threads};
use crate::descriptor_file;
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome, Report};
use crate::source_args::{pack_failure, source_failure};
use crate::style::{self, count, size};

/// Show what differs between two bundles, manifests or directories
///
/// Bundles are taken at their word: `consign verify` tells whether it is good. Of a directory every file is
/// read; if it has no descriptor, only files are compared.
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// The old one: archive, attestations, manifest or directory
    #[arg(value_name = "A")]
    old: PathBuf,
    /// The new one
    #[arg(value_name = "B")]
    new: PathBuf,
    /// Exit with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
    /// How many threads hash [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Differences {
    same: bool,
    #[serde(flatten)]
    diff: ManifestDiff,
}

/// One side of a comparison.
enum Side {
    /// It has a descriptor, or at least a manifest.
    Described(Box<Manifest>),
    /// A directory without a descriptor.
    Bare(PathBuf),
}

impl Diff {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
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
        Ok(Outcome { exit, problems: Vec::new(), report: Some(Box::new(Differences { same, diff })) })
    }

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

impl Report for Differences {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.same {
            return writeln!(out, "no difference");
        }
        let diff = &self.diff;
        let (add, remove, change) = (style::GOOD, style::ERROR, style::WARN);
        for field in &diff.fields {
            let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "(none)".to_owned(), shown);
            writeln!(
                out,
                "{change}~{change:#} {}: {} → {}",
                printable(&field.field),
                value(&field.old),
                value(&field.new)
            )?;
        }
        for file in &diff.removed {
            writeln!(out, "{remove}-{remove:#} {} ({})", printable(&file.path), size(file.size))?;
        }
        for file in &diff.added {
            writeln!(out, "{add}+{add:#} {} ({})", printable(&file.path), size(file.size))?;
        }
        for file in &diff.renamed {
            writeln!(
                out,
                "{change}>{change:#} {} → {} ({})",
                printable(&file.old),
                printable(&file.new),
                size(file.size)
            )?;
        }
        for file in &diff.changed {
            let mode = match file.mode {
                Some(FileMode::Executable) => ", now executable",
                Some(FileMode::Regular) => ", no longer executable",
                None => "",
            };
            let sizes = match (file.content, file.old_size == file.new_size) {
                (false, _) => "same content".to_owned(),
                (true, true) => format!("other content, {}", size(file.new_size)),
                (true, false) => format!("{} → {}", size(file.old_size), size(file.new_size)),
            };
            writeln!(out, "{change}~{change:#} {} ({sizes}{mode})", printable(&file.path))?;
        }
        for path in &diff.directories_removed {
            writeln!(out, "{remove}-{remove:#} {}/", printable(path))?;
        }
        for path in &diff.directories_added {
            writeln!(out, "{add}+{add:#} {}/", printable(path))?;
        }
        let n = |list: usize, what: &str| format!("{list} {what}");
        writeln!(
            out,
            "\n{}, {}, {}, {}, {}",
            count(diff.fields.len() as u64, "field", "fields"),
            n(diff.added.len(), "added"),
            n(diff.removed.len(), "removed"),
            n(diff.renamed.len(), "renamed"),
            n(diff.changed.len(), "changed")
        )
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = printable(&text);
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("`{}…`", &text[..at]),
        None => format!("`{text}`"),
    }
}
