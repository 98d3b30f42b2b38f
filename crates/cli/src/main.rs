//! `consign`: packs models and datasets into immutable, signed, verifiable bundles.

mod args;
mod commands;
mod meter;
mod outcome;
mod render;
#[cfg(all(test, feature = "encryption"))]
mod schemas;
mod signals;
mod stream;
mod style;
mod terminal;
mod variables;

use consign::exit::Exit;
use consign::ledger::Recorded;
use consign::{
    act, addressing, bundle_out, bundle_set, checked, context, descriptor_file, encrypted_set, environment,
    examined, exit, git, handling, hashing, key_source, keys, ledger, lineage, outputs, publishing, reading,
    receipts, secrecy, sign_statement, source_args, state, store_args, survey, vouching,
};
#[cfg(feature = "encryption")]
use consign::{encryption, recipients};

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use consign_metadata::Problem;

use crate::commands::{Arguments, Ended};
use crate::context::Context;
use crate::meter::Shower;
use crate::outcome::{Failure, Outcome};
use crate::terminal::Terminal;

fn main() -> ExitCode {
    if let Err(failure) = secrecy::check(std::env::args_os(), std::env::vars_os()) {
        let json = asks_for_json(std::env::args_os());
        return ExitCode::from(Outcome::from(failure).print("consign", json, &Recorded::default()).code());
    }
    let arguments = match variables::parse() {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(refuse(&error).code()),
    };
    let Arguments { json, progress, ledger, command } = arguments;
    let (watcher, person) = (Arc::new(Shower::new(progress)), Arc::new(Terminal));
    let context = Context::new(json, watcher, person, signals::take_over(), (*ledger).clone());
    let Ended { command, outcome, recorded } = command.run(&context);
    let exit = outcome.stopped_by(signals::received()).print(command, json, &recorded);
    if let Exit::Signal(signal) = exit {
        signals::end_by(signal);
    }
    ExitCode::from(exit.code())
}

/// Says what is wrong with the command line, as one JSON document if that is what it asks for.
fn refuse(error: &clap::Error) -> Exit {
    let json = asks_for_json(std::env::args_os());
    if json && error.use_stderr() {
        let text = error.render().to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text);
        // The first paragraph names what is wrong, what follows is usage.
        let message = message.split("\n\n").next().unwrap_or_default().split_whitespace();
        let problem = Problem::new("usage", secrecy::hidden(&message.collect::<Vec<_>>().join(" ")))
            .hint("`consign COMMAND --help` shows what there is");
        return Outcome::from(Failure::usage(problem)).print("consign", true, &Recorded::default());
    }
    // What is wrong quotes the command line, which may be anything.
    if error.use_stderr() {
        let text = secrecy::hidden(&error.render().to_string());
        let mut err = stream::stderr();
        // There is nowhere to say that standard error is gone.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        return Exit::Usage;
    }
    // Help and version are what was asked for.
    outcome::settle(error.print().and_then(|()| io::stdout().flush()), Exit::Done, None)
}

/// Whether `--json` was asked for, told without parsing anything else.
fn asks_for_json(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> bool {
    let set = |value: std::ffi::OsString| value != "0" && value != "false";
    arguments.into_iter().any(|argument| argument == std::ffi::OsStr::new("--json"))
        || consign::variables::get("CONSIGN_JSON").is_some_and(set)
}
