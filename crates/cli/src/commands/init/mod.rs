//! `consign init`: a descriptor as full as a directory allows.

mod propose;
pub(crate) mod report;
mod tables;
mod update;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use consign_bundle::{LinkPolicy, publish};
use consign_metadata::{
    BundleName, BundleVersion, Classification, Draft, DraftContact, Email, Kind, Line, Problem,
};

use crate::checked::interrupted;
use crate::context::{Context, directory_for, unwritable};
use crate::descriptor_file;
use crate::environment::{Run, variables};
use crate::exit::Exit;
use crate::git::{self, WorkTree};
use crate::outcome::{Failure, Outcome};
use crate::survey::{CachedSnapshot, Survey};

use propose::{Evidence, propose};
use report::Written;

/// Write a descriptor from what a directory shows, for a person to complete
///
/// Reads the model or dataset card (README.md), the beginnings of the files, what Git knows, and the
/// variables of CI systems and schedulers. Nothing is sent anywhere, and no file but the descriptor is
/// written. What stands in an existing one is never changed; `--update` adds what it does not say yet. In a
/// snapshot of the Hugging Face cache nothing is written: the descriptor goes into the current directory.
#[derive(clap::Args)]
pub(crate) struct Init {
    /// The directory to describe
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Where the descriptor goes [default: DIR/consign.yaml]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Add to a descriptor that is there already what it does not say yet, and show what it says otherwise
    #[arg(long)]
    update: bool,
    /// With --update: show what would be added, and write nothing
    #[arg(long, requires = "update")]
    dry_run: bool,
    #[command(flatten)]
    said: Said,
    /// Follow symbolic links that lead into DIR
    #[arg(long, help_heading = "Links")]
    dereference: bool,
    /// Follow symbolic links that lead into this directory, too; may be repeated
    #[arg(long, value_name = "ROOT", help_heading = "Links")]
    dereference_into: Vec<PathBuf>,
}

/// What the caller says already.
#[derive(clap::Args)]
#[command(next_help_heading = "Fields of the descriptor")]
struct Said {
    /// Name of the bundle, such as all-minilm-l6-v2
    #[arg(long)]
    name: Option<BundleName>,
    /// Version of the bundle, such as 1.0.0
    #[arg(long)]
    version: Option<BundleVersion>,
    /// What the bundle holds
    #[arg(long, value_parser = kinds())]
    kind: Option<Kind>,
    /// A name for people
    #[arg(long)]
    title: Option<Line>,
    /// public, internal, confidential or restricted
    #[arg(long, value_name = "LEVEL")]
    classification: Option<Classification>,
    /// Who answers questions about the bundle
    #[arg(long, value_name = "NAME")]
    contact_name: Option<Line>,
    /// Where to reach them
    #[arg(long, value_name = "ADDRESS")]
    contact_email: Option<Email>,
    /// Whom they work for
    #[arg(long, value_name = "NAME")]
    organization: Option<Line>,
    /// Licence, best as an SPDX identifier
    #[arg(long)]
    license: Option<Line>,
}

fn kinds() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)).try_map(|word| {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or("is not a kind of bundle")
    })
}

impl Said {
    fn draft(&self) -> Draft {
        Draft {
            name: self.name.clone(),
            version: self.version.clone(),
            kind: self.kind,
            title: self.title.clone(),
            classification: self.classification.clone(),
            contact: DraftContact {
                name: self.contact_name.clone(),
                email: self.contact_email.clone(),
                organization: self.organization.clone(),
                role: None,
            },
            license: self.license.clone(),
            ..Draft::default()
        }
    }
}

impl Init {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        self.check_level(context)?;
        let cached = CachedSnapshot::at(&self.directory);
        let output = self.output(cached.as_ref())?;
        let stop = || context.cancel.load(Ordering::Relaxed);
        let survey = Survey::of(&self.directory, self.links(cached.as_ref()), self.inner(&output), &stop)
            .map_err(|error| {
                let hint = "give the directory that is to become a bundle";
                Failure::failed(Problem::new("source", error.to_string()).hint(hint))
            })?;
        let tree = WorkTree::of(&self.directory);
        if stop() {
            return Err(Failure::failed(interrupted()));
        }
        let run = Run::detect(&variables);
        let evidence = Evidence {
            directory: &self.directory,
            survey: &survey,
            cached: cached.as_ref(),
            tree: tree.as_ref(),
            run: run.as_ref(),
            stop: &stop,
        };
        let mut proposal = propose(self.said.draft(), &evidence);
        if stop() {
            return Err(Failure::failed(interrupted()));
        }
        proposal.warnings.extend(self.other_descriptors(&output));
        if tree.is_none() {
            let refused = git::refusal(&self.directory);
            let problem = |refusal: git::Refusal| Problem::new("git-refuses", refusal.in_words());
            proposal.warnings.extend(refused.map(problem));
        }
        let next = self.next(&output, cached.as_ref());
        if self.update && output.symlink_metadata().is_ok() {
            let update = update::update(&output, &mut proposal, self.dry_run)?;
            return Ok(Outcome::done(Written::updated(&output, update, &proposal, &survey, next)));
        }
        let text = proposal.draft.to_yaml();
        if !self.dry_run {
            write_new(&output, text.as_bytes())?;
        }
        Ok(Outcome::done(Written::new(&output, &text, &proposal, &survey, next, !self.dry_run)))
    }

    /// A level that the scheme in force does not have is a slip that is better found now.
    fn check_level(&self, context: &Context) -> Result<(), Failure> {
        let Some(level) = &self.said.classification else { return Ok(()) };
        let policy = context.policy(None)?;
        let scheme = policy.scheme();
        if scheme.rank(level).is_some() {
            return Ok(());
        }
        let levels: Vec<_> = scheme.levels().iter().map(Classification::as_str).collect();
        let problem =
            Problem::new("unknown-classification", format!("`{level}` is not a classification level"));
        let hint = format!("the levels are {}, lowest first", levels.join(", "));
        Err(Failure::usage(problem.at("--classification").hint(hint)))
    }

    /// Where the descriptor goes: nothing is there yet, unless it is to be added to.
    fn output(&self, cached: Option<&CachedSnapshot>) -> Result<PathBuf, Failure> {
        let output = match (&self.output, cached) {
            (Some(output), _) => output.clone(),
            (None, Some(cached)) => cached.descriptor_name(),
            (None, None) => {
                let mut names = descriptor_file::NAMES.iter().map(|name| self.directory.join(name));
                match names.find(|path| path.symlink_metadata().is_ok()) {
                    Some(taken) if self.update => taken,
                    Some(taken) => return Err(exists(&taken)),
                    None => return Ok(self.directory.join(descriptor_file::NAMES[0])),
                }
            }
        };
        let at = output.display().to_string();
        let yaml = output.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !yaml {
            let problem = Problem::new("not-yaml", "does not end in .yaml, and YAML is what init writes");
            let hint = "pack knows the syntax of a descriptor by its ending";
            return Err(Failure::usage(problem.at(at).hint(hint)));
        }
        if cached.is_some_and(|cached| cached.would_hold(&output)) {
            let message = "lies in the cache of Hugging Face, where only what was downloaded belongs";
            let hint = "name a file elsewhere with `-o FILE`";
            return Err(Failure::usage(Problem::new("output-in-cache", message).at(at).hint(hint)));
        }
        let taken = output.symlink_metadata().is_ok() && !self.update;
        if taken { Err(exists(&output)) } else { Ok(output) }
    }

    /// Descriptors in the directory besides the one that is written: pack takes them for content.
    fn other_descriptors(&self, output: &Path) -> Vec<Problem> {
        let paths = descriptor_file::NAMES.iter().map(|name| self.directory.join(name));
        let others = paths.filter(|path| path.is_file() && self.inner(path) != self.inner(output));
        let problem = |path: PathBuf| {
            let problem = Problem::new(
                "other-descriptor",
                "lies beside the new descriptor, and `pack` will ask what it is for",
            );
            problem.at(path.display().to_string()).hint("move it away, or leave it out with `--exclude`")
        };
        others.map(problem).collect()
    }

    /// Which links are followed. Those of a cached snapshot lead into the blobs of its own repository.
    fn links(&self, cached: Option<&CachedSnapshot>) -> LinkPolicy {
        let mut into = self.dereference_into.clone();
        into.extend(cached.map(|cached| cached.blobs.clone()));
        if self.dereference || !into.is_empty() { LinkPolicy::Follow { into } } else { LinkPolicy::Refuse }
    }

    /// The descriptor as a path below the directory, if it stands there.
    fn inner(&self, output: &Path) -> Option<PathBuf> {
        descriptor_file::inside(output, &self.directory)
    }

    /// The command that comes next, as words.
    fn next(&self, output: &Path, cached: Option<&CachedSnapshot>) -> Vec<String> {
        let shown = |path: &Path| path.display().to_string();
        let mut words = vec!["consign".into(), "pack".into(), shown(&self.directory)];
        if self.output.is_some() || cached.is_some() {
            words.extend(["--descriptor".into(), shown(output)]);
        }
        if self.dereference {
            words.push("--dereference".into());
        }
        for root in self.dereference_into.iter().chain(cached.map(|cached| &cached.blobs)) {
            words.extend(["--dereference-into".into(), shown(root)]);
        }
        words.extend(["-o", "OUT", "--key", "KEY"].map(String::from));
        words
    }
}

fn exists(path: &Path) -> Failure {
    let problem = Problem::new("descriptor-exists", "already exists and is never overwritten");
    let hint = "add what it does not say yet with `--update`, or write another one elsewhere with `-o FILE`";
    Failure::failed(problem.at(path.display().to_string()).hint(hint))
}

/// Writes a file that must not exist yet, whole or not at all.
fn write_new(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let directory = directory_for(path)?;
    let refused = |error: &std::io::Error| {
        let mut failure = unwritable(path, error);
        let hint = "name another file with `-o FILE`; the directory is then left as it is";
        failure.problems.iter_mut().for_each(|problem| problem.hint = Some(hint.into()));
        failure
    };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        let problem = Problem::new("output-name", "is not a file name in UTF-8");
        Failure::new(Exit::Usage, problem.at(path.display().to_string()))
    })?;
    let file = publish::prepare(directory, content).map_err(|error| refused(&error))?;
    publish::publish(directory, vec![(name.to_owned(), file)]).map_err(|(_, error)| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => refused(&error),
    })
}
