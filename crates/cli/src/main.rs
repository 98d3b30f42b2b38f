//! `consign`: packs models and datasets into immutable, signed, verifiable bundles.

mod bundle_set;
mod checked;
mod commands;
mod context;
mod descriptor_file;
mod environment;
mod exit;
mod git;
mod keys;
mod meter;
mod outcome;
mod sign_statement;
mod source_args;
mod style;
mod survey;
mod vouching;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use consign_metadata::Problem;

use crate::commands::Arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return wrong_usage(&error),
    };
    let context = Context::new(arguments.json, arguments.progress, cancel_on_signals());
    let (name, outcome) = arguments.command.run(&context);
    ExitCode::from(outcome.print(name, arguments.json).code())
}

/// A flag that SIGINT and SIGTERM set, so that work in progress can clean up; the second signal kills.
fn cancel_on_signals() -> Arc<AtomicBool> {
    let cancel = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // If a handler cannot be installed the signal kills at once, which leaves no output either.
        let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&cancel))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&cancel)));
    }
    cancel
}

/// Help and version are answers; anything else is wrong usage, in words or as the one document of `--json`.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let set = |value: std::ffi::OsString| !value.is_empty() && value != "0" && value != "false";
    let asked_for_json =
        std::env::args_os().any(|word| word == "--json") || std::env::var_os("CONSIGN_JSON").is_some_and(set);
    if !error.use_stderr() || !asked_for_json {
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Done }.code());
    }
    let text = error.to_string();
    // The first paragraph says what is wrong, on several lines if it lists arguments; usage follows.
    let wrong =
        text.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let problem = Problem::new("usage", wrong.trim_start_matches("error: "))
        .hint("`consign COMMAND --help` shows what there is");
    ExitCode::from(Outcome::from(Failure::usage(problem)).print("consign", true).code())
}
