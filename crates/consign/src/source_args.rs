//! What is to be packed or sealed, as the command line has it, and what is wrong with it in words.

use std::io;
use std::path::{Path, PathBuf};

use consign_bundle::publish::{probe, temporary};
use consign_bundle::{
    Description, LinkPolicy, LinkTarget, PackError, ReadError, Source, SourceError, SourceFault,
    SourceOptions, count_by_rule,
};
use consign_metadata::{Edit, ExcludePattern, Line, NameProfile, Problem, Scheme};
use consign_policy::{Policy, Scan, Stage};
use consign_signing::ExcludedCount;

use tempfile::NamedTempFile;

use crate::checked::interrupted;
use crate::context::{Context, next_step, unreadable, unwritable};
use crate::descriptor_file;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::{Answers, Terms};
use crate::words::{count, size};

/// What is to be packed, and how it is described.
#[derive(Clone, Debug)]
pub struct SourceArgs {
    /// The directory
    pub directory: PathBuf,
    /// The descriptor, if it is not `consign.yaml` (or .json, .toml) in the directory
    pub descriptor: Option<PathBuf>,
    /// The version, instead of the one in the descriptor
    pub version: Option<String>,
    /// Set a field of the descriptor, such as `contact.email=ada@example.org`
    pub set: Vec<String>,
    /// Leave out what matches, in addition to the descriptor's `exclude`
    pub exclude: Vec<String>,
    /// Pack version-control folders such as `.git` like anything else
    pub include_vcs: bool,
    /// Follow symbolic links that stay inside the directory
    pub dereference: bool,
    /// Follow symbolic links into this directory too
    pub dereference_into: Vec<PathBuf>,
    /// Which file names are admitted
    pub names: NameProfile,
}

/// A source with its description.
pub struct Described {
    pub source: Source,
    pub description: Description,
}

impl Described {
    /// How many files each pattern left out.
    pub fn excluded(&self) -> Vec<ExcludedCount> {
        let counts = self.source.excluded().iter();
        counts.map(|e| ExcludedCount { pattern: e.pattern.clone(), count: e.files }).collect()
    }

    /// Asks the own policy and every laboratory about packing this, as far as it is known what it holds.
    pub fn ask<'t>(&self, terms: &'t Terms, findings: Scan<'_>) -> Answers<'t> {
        let survey =
            |policy: &Policy| policy.survey(self.source.files().map(|(path, size, _)| (path.as_str(), size)));
        let described = (&self.description.core, self.description.descriptor.details());
        terms.ask(Stage::Pack, described, survey, findings)
    }
}

impl SourceArgs {
    /// A directory with a descriptor in it, all of it.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            descriptor: None,
            version: None,
            set: Vec::new(),
            exclude: Vec::new(),
            include_vcs: false,
            dereference: false,
            dereference_into: Vec::new(),
            names: NameProfile::Portable,
        }
    }

    /// Reads the descriptor and looks at the directory: everything that can be wrong before a content byte is
    /// read. `keep_descriptor` leaves the descriptor file among the files.
    pub fn load(
        &self,
        context: &Context,
        scheme: &Scheme,
        keep_descriptor: bool,
    ) -> Result<Described, Failure> {
        let mut edits = Vec::new();
        let mut problems = Vec::new();
        let mut edit = |result: Result<Edit, Problem>| match result {
            Ok(edit) => edits.push(edit),
            Err(problem) => problems.push(problem),
        };
        self.set.iter().for_each(|text| edit(text.parse()));
        self.version.iter().for_each(|version| edit(Edit::new("version", version)));
        if !problems.is_empty() {
            return Err(Failure { exit: Exit::Usage, problems });
        }
        let found = descriptor_file::read(scheme, &self.directory, self.descriptor.as_deref(), &edits)?;
        let descriptor = found.descriptor;
        let exclude = patterns(&descriptor.exclude, &self.exclude)?;
        let follow = self.dereference || !self.dereference_into.is_empty();
        let options = SourceOptions {
            names: self.names,
            exclude: exclude.clone(),
            include_vcs: self.include_vcs,
            links: if follow {
                LinkPolicy::Follow { into: self.dereference_into.clone() }
            } else {
                LinkPolicy::Refuse
            },
            descriptor: found.inside.filter(|_| !keep_descriptor),
        };
        let source = Source::scan(&self.directory, options)
            .map_err(|error| source_failure(context, error, &self.directory))?;
        if !keep_descriptor {
            check_strays(&source, &self.directory)?;
        }
        let description =
            Description { core: descriptor.core, exclude, descriptor: descriptor.details.into() };
        Ok(Described { source, description })
    }
}

/// Another descriptor at the top of the directory is seldom content: it is a draft, or says of the bundle what must not
/// leave. Who gave another file as the descriptor is asked.
fn check_strays(source: &Source, directory: &Path) -> Result<(), Failure> {
    let strays =
        source.files().map(|(path, ..)| path.as_str()).filter(|path| descriptor_file::NAMES.contains(path));
    let problems: Vec<_> = strays
        .map(|name| {
            let message =
                "is a descriptor by its name, yet not the one of this bundle, and would be packed as content";
            let hint = format!(
                "leave it out with `--exclude {}`, or give it another name if it is content",
                consign_metadata::shell_word(&format!("/{name}"))
            );
            Problem::new("stray-descriptor", message)
                .at(directory.join(name).display().to_string())
                .hint(hint)
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Failure { exit: Exit::Failed, problems }) }
}

/// The descriptor's patterns and those of the command line, each once.
pub fn patterns(descriptor: &[ExcludePattern], more: &[String]) -> Result<Vec<Line>, Failure> {
    let mut patterns: Vec<Line> = Vec::new();
    let more: Vec<ExcludePattern> = more
        .iter()
        .map(|text| {
            text.parse().map_err(|error| {
                Failure::usage(Problem::new("bad-pattern", format!("the pattern {error}")).at("--exclude"))
            })
        })
        .collect::<Result<_, _>>()?;
    for pattern in descriptor.iter().chain(&more) {
        // Such a pattern is a line to begin with.
        let Ok(line) = pattern.as_str().parse::<Line>() else { continue };
        if !patterns.contains(&line) {
            patterns.push(line);
        }
    }
    Ok(patterns)
}

/// Makes sure that outputs do not fall among the inputs. `out` need not exist.
pub fn check_output(source: &Source, out: &Path) -> Result<(), Failure> {
    let inside = resolved(out).and_then(|out| out.strip_prefix(source.path()).ok().map(Path::to_path_buf));
    match inside {
        Some(inside) if !source.leaves_out(&inside) => {
            let problem = Problem::new("output-inside", "lies inside the directory that is to be packed");
            let hint = "write the bundle elsewhere, or leave the folder out with `--exclude`";
            Err(Failure::usage(problem.at(out.display().to_string()).hint(hint)))
        }
        _ => Ok(()),
    }
}

/// The path without links, of which only the beginning need exist.
fn resolved(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        above.canonicalize().ok().map(|above| above.join(rest))
    })
}

/// The folder for outputs. What of it was made here and holds nothing in the end is taken back.
pub struct OutputFolder<'a> {
    path: &'a Path,
    /// The folder first, then those above it.
    made: Vec<PathBuf>,
    /// Keeps others who made the folder too, and have nothing to put there, from taking it back.
    held: Option<NamedTempFile>,
}

/// How often a folder is made anew that somebody else took back just then.
const TAKEN_BACK_MAX: usize = 100;

impl<'a> OutputFolder<'a> {
    pub fn open(path: &'a Path) -> Result<Self, Failure> {
        if path.exists() && !path.is_dir() {
            let problem = Problem::new("not-a-directory", "is not a directory");
            let hint = "name the folder that the bundle is to be written into";
            return Err(Failure::failed(problem.at(path.display().to_string()).hint(hint)));
        }
        let absent = |above: &&Path| !above.as_os_str().is_empty() && above.symlink_metadata().is_err();
        let made = path.ancestors().take_while(absent).map(Path::to_path_buf).collect();
        // Taken back also if this fails half-way.
        let mut folder = Self { path, made, held: None };
        for attempt in 1.. {
            let held = std::fs::create_dir_all(path).and_then(|()| temporary(path));
            match held {
                Ok(held) => {
                    folder.held = Some(held);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < TAKEN_BACK_MAX => {}
                Err(error) => return Err(unwritable(path, &error)),
            }
        }
        Ok(folder)
    }

    /// Makes sure that complete files can appear in it, before long work is begun whose result could not.
    pub fn check(&self) -> Result<(), Failure> {
        probe(self.path).map_err(|error| unwritable(self.path, &error))
    }
}

impl Drop for OutputFolder<'_> {
    fn drop(&mut self) {
        drop(self.held.take());
        for made in &self.made {
            // Succeeds only if it is empty.
            let _ = std::fs::remove_dir(made);
        }
    }
}

/// What keeps a directory from being packed, as problems.
pub fn source_failure(context: &Context, error: SourceError, directory: &Path) -> Failure {
    let at = directory.display().to_string();
    match error {
        SourceError::Open { path, error } => unreadable(&path, &error),
        SourceError::Pattern { .. } => Failure::usage(Problem::new("bad-pattern", error.to_string())),
        SourceError::Empty => {
            let problem = Problem::new("nothing-to-pack", "there is no file to pack").at(at);
            Failure::failed(problem.hint("look at the exclude patterns"))
        }
        SourceError::Faults(faults) => {
            // A program is told of all of them.
            faults_failure(&faults, directory, if context.json { usize::MAX } else { SHOWN })
        }
    }
}

/// How many faults are shown to a person.
const SHOWN: usize = 20;

fn faults_failure(faults: &[SourceFault], directory: &Path, shown: usize) -> Failure {
    let (counts, all_lifted) = count_by_rule(faults);
    let mut problems = Vec::new();
    if all_lifted && !counts.is_empty() {
        let n: usize = counts.values().sum();
        let message = format!(
            "{} not portable; `--names posix` would admit all of them",
            if n == 1 { "1 name is".into() } else { format!("{n} names are") }
        );
        let hint = "rename the files if the bundle must be unpacked on Windows or checked with bagit-python";
        problems
            .push(Problem::new("names-not-portable", message).at(directory.display().to_string()).hint(hint));
    }
    let mut hinted: Vec<String> = Vec::new();
    for fault in faults.iter().take(shown) {
        let mut problem = Problem::new(fault.code(), fault.to_string());
        // The same advice once is enough.
        if let Some(hint) = hint(fault, directory).filter(|hint| !hinted.contains(hint)) {
            hinted.push(hint.clone());
            problem = problem.hint(hint);
        }
        problems.push(problem);
    }
    if faults.len() > shown {
        let mut by_code: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        faults.iter().for_each(|fault| *by_code.entry(fault.code()).or_default() += 1);
        let all = by_code.iter().map(|(code, n)| format!("{n} × {code}")).collect::<Vec<_>>().join(", ");
        problems.push(Problem::new(
            "more-problems",
            format!("and {} more (`--json` lists all); in all {all}", faults.len() - shown),
        ));
    }
    Failure { exit: Exit::Failed, problems }
}

fn hint(fault: &SourceFault, directory: &Path) -> Option<String> {
    Some(match fault {
        SourceFault::Name(fault) if fault.rule.lifted_by_posix() => {
            "rename it, or pack with `--names posix`".into()
        }
        SourceFault::Name(_) => "rename it, or leave it out with `--exclude`".into(),
        SourceFault::Link { leads, target, .. } => match leads {
            LinkTarget::Inside => "to pack what it points to: --dereference".into(),
            LinkTarget::Outside(resolved) => {
                let root = common_root(directory, target, resolved);
                format!(
                    "to pack what it points to: --dereference-into {}",
                    consign_metadata::shell_word(&root.display().to_string())
                )
            }
            LinkTarget::Broken => "it leads nowhere: remove it, or leave it out with `--exclude`".into(),
            LinkTarget::Loop => {
                "it leads to a directory that it lies in: remove it, or leave it out with `--exclude`".into()
            }
        },
        SourceFault::Special(_) => {
            "only files and directories can be packed: leave it out with `--exclude`".into()
        }
        SourceFault::Privileged { path, .. } => {
            let shown = consign_metadata::shell_word(&directory.join(path).display().to_string());
            format!("take the rights away (chmod ug-s {shown}), or leave it out with `--exclude`")
        }
        SourceFault::Unfinished(path) => {
            let shown = consign_metadata::shell_word(&directory.join(path).display().to_string());
            format!("if no consign is at work there, it was left by one that was killed: rm -r {shown}")
        }
        SourceFault::VersionControl { path, folder, files, bytes } => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // Without a slash at the end: in a work tree beside its repository, and in a submodule, it is a file.
            let name = consign_metadata::shell_word(&name);
            let is = match folder {
                true => format!(
                    "it holds {} ({}) of history, perhaps of things that must not leave",
                    count(*files, "file", "files"),
                    size(*bytes)
                ),
                false => "it says where the history lies, which means nothing elsewhere".into(),
            };
            format!("{is}; leave it out with `--exclude {name}`, or pack it with `--include-vcs`")
        }
        SourceFault::Unreadable { error, .. } => return next_step(error, "read"),
    })
}

/// The directory to allow so that a link may be followed: for a relative target the folder that it names, as
/// seen from the source, so that the command can be used as it stands.
fn common_root(directory: &Path, target: &Path, resolved: &Path) -> PathBuf {
    let folder = resolved.parent().unwrap_or(resolved);
    let near = target.parent().map(|parent| directory.join(parent));
    match near {
        Some(near) if target.is_relative() && near.canonicalize().is_ok_and(|near| near == folder) => near,
        _ => folder.to_path_buf(),
    }
}

/// Why packing or hashing ended early, as a failure.
pub fn pack_failure(error: PackError, out: &Path) -> Failure {
    match error {
        PackError::Read(ReadError::Changed(path)) => Failure::failed(
            Problem::new("file-changed", format!("`{path}` changed while it was being read"))
                .hint("pack when nothing writes to the directory, or pack a snapshot of it"),
        ),
        PackError::Read(error) => {
            let mut problem = Problem::new("unreadable", error.to_string());
            if let ReadError::Io { error, .. } = &error {
                problem.hint = next_step(error, "read");
            }
            Failure::failed(problem)
        }
        PackError::Write(error) => unwritable(out, &error),
        PackError::Cancelled(_) => Failure::failed(interrupted()),
        other => Failure::failed(Problem::new("cannot-pack", other.to_string())),
    }
}
