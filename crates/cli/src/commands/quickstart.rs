//! `consign quickstart`: from nothing to a verified, signed bundle, each command shown as it runs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use clap::Parser as _;
use consign_metadata::Problem;
use serde::Serialize;
use serde_json::Value;

use crate::commands::{Arguments, Ended};
use crate::context::{Context, unwritable};
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, shell_word};

/// Try everything on a directory: describe, pack, sign, verify, inspect, unpack, compare
///
/// Each command is shown as it runs. Key, trust, bundle and the unpacked copy go into a scratch folder; the
/// directory is only read.
#[derive(clap::Args)]
pub(crate) struct Quickstart {
    /// The directory to try it on
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The scratch folder, which must not exist [default: a new one among the temporary files]
    #[arg(short, long, value_name = "SCRATCH")]
    output: Option<PathBuf>,
    /// Follow symbolic links that stay inside the directory
    #[arg(long)]
    dereference: bool,
    /// Follow symbolic links into this directory too
    #[arg(long, value_name = "ROOT")]
    dereference_into: Vec<PathBuf>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Ran {
    /// The folder that holds everything.
    scratch: PathBuf,
    steps: Vec<Step>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Step {
    /// The command with its arguments.
    command: Vec<String>,
    exit: u8,
    result: Option<Value>,
}

impl Report for Ran {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let scratch = shell_word(&self.scratch.display().to_string());
        let good = style::GOOD;
        writeln!(
            out,
            "\n{good}That was all of it.{good:#} Everything lies in {scratch}: look around, then remove it."
        )?;
        writeln!(
            out,
            "For real use: a key with a passphrase (`consign keygen -o FILE`), and a descriptor of your own"
        )?;
        writeln!(out, "(`consign init DIR`) that says what only you know.")
    }
}

impl Quickstart {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let scratch = self.scratch()?;
        let at = |name: &str| scratch.join(name).display().to_string();
        let directory = self.directory.display().to_string();
        let links = self.links();
        let home = scratch.join("home");
        let mut session = Session { context: context.with_home(&home), home: &home, steps: Vec::new() };
        session.introduce();

        let mut pack =
            vec!["pack".into(), directory.clone(), "-o".into(), at("bundle"), "--key".into(), at("key")];
        pack.extend(["--provenance".into(), "auto".into()]);
        session.run(&["keygen".into(), "--no-passphrase".into(), "-o".into(), at("key")])?;
        if !has_descriptor(&self.directory) {
            let (name, email) = who();
            let mut init = vec!["init".into(), directory.clone(), "-o".into(), at("consign.yaml")];
            init.extend(["--classification", "internal", "--contact-name"].map(String::from));
            init.extend([name, "--contact-email".into(), email]);
            init.extend(links.clone());
            session.run(&init)?;
            pack.extend(["--descriptor".into(), at("consign.yaml")]);
        }
        pack.extend(links);
        session.run(&pack)?;
        let fingerprint = session.steps[0].result.as_ref().and_then(|made| made["fingerprint"].as_str());
        let fingerprint = fingerprint.unwrap_or_default().to_owned();
        let trust = ["trust", "add", "me", "--key"].map(String::from);
        session.run(&[trust.to_vec(), vec![at("key.pub"), "--fingerprint".into(), fingerprint]].concat())?;
        session.run(&["verify".into(), at("bundle")])?;
        session.run(&["inspect".into(), at("bundle")])?;
        session.run(&["unpack".into(), at("bundle"), at("unpacked")])?;
        session.run(&["diff".into(), at("bundle"), at("unpacked"), "--exit-code".into()])?;
        let steps = session.steps;
        Ok(Outcome::done(Ran { scratch, steps }))
    }

    fn scratch(&self) -> Result<PathBuf, Failure> {
        match &self.output {
            Some(path) => {
                std::fs::create_dir(path).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => Failure::failed(
                        Problem::new("destination-exists", "already exists")
                            .at(path.display().to_string())
                            .hint("name a folder that is not there yet"),
                    ),
                    _ => unwritable(path, &error),
                })?;
                Ok(path.clone())
            }
            None => {
                let made = tempfile::Builder::new().prefix("consign-quickstart-").tempdir();
                made.map(tempfile::TempDir::keep).map_err(|error| unwritable(&std::env::temp_dir(), &error))
            }
        }
    }

    fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        if self.dereference {
            links.push("--dereference".into());
        }
        for root in &self.dereference_into {
            links.extend(["--dereference-into".into(), root.display().to_string()]);
        }
        links
    }
}

/// Runs commands as a person would type them.
struct Session<'a> {
    context: Context,
    home: &'a Path,
    steps: Vec<Step>,
}

impl Session<'_> {
    fn introduce(&self) {
        if !self.context.json {
            let home = shell_word(&self.home.display().to_string());
            let _ = writeln!(
                crate::stream::stdout(),
                "A scratch home, so that nothing of yours is touched:\n  export CONSIGN_HOME={home}"
            );
        }
    }

    /// Runs one command, by the same parser that reads the command line, and ends everything if it fails.
    fn run(&mut self, words: &[String]) -> Result<(), Failure> {
        let json = self.context.json;
        if !json {
            let line: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
            let hint = style::HINT;
            let _ = writeln!(crate::stream::stdout(), "\n{hint}$ consign {}{hint:#}", line.join(" "));
        }
        let arguments = Arguments::try_parse_from(["consign".to_owned()].iter().chain(words))
            .map_err(|error| Failure::usage(Problem::new("quickstart", error.to_string())))?;
        let Ended { command, outcome, recorded } = arguments.command.run(&self.context);
        let exit = if json { outcome.exit } else { outcome.print(command, false, &recorded) };
        let value =
            |report| erased_serde::serialize(report, serde_json::value::Serializer).unwrap_or_default();
        let result = outcome.report.as_deref().map(value);
        self.steps.push(Step { command: words.to_vec(), exit: exit.code(), result });
        if exit == Exit::Done {
            return Ok(());
        }
        // In words they have been shown already.
        let problems = if json { outcome.problems } else { Vec::new() };
        Err(Failure { exit, problems })
    }
}

fn has_descriptor(directory: &Path) -> bool {
    crate::descriptor_file::NAMES.iter().any(|name| directory.join(name).is_file())
}

/// Name and address for a rehearsal: those that git knows, else the user's name on this machine.
fn who() -> (String, String) {
    let git = |key: &str| {
        let mut process = Process::new("git");
        let output = process
            .args(["config", "--get", key])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let user = std::env::var("USER")
        .ok()
        .filter(|user| user.chars().all(|c| c.is_ascii_alphanumeric()) && !user.is_empty());
    let user = user.unwrap_or_else(|| "someone".into());
    (
        git("user.name").unwrap_or_else(|| user.clone()),
        git("user.email").unwrap_or_else(|| format!("{user}@localhost")),
    )
}
