//! `consign`: packs models and datasets into immutable, signed, verifiable bundles.

mod act;
mod addressing;
mod bundle_out;
mod bundle_set;
mod checked;
mod commands;
mod config;
mod context;
mod descriptor_file;
mod encrypted_set;
#[cfg_attr(not(feature = "encryption"), path = "no_encryption.rs")]
mod encryption;
mod environment;
mod examined;
mod exit;
mod git;
mod handling;
mod hashing;
mod key_source;
mod keys;
mod ledger;
mod lineage;
mod memory;
mod meter;
mod outcome;
mod outputs;
mod parcel;
mod provenance;
mod reading;
mod receipts;
#[cfg_attr(not(feature = "encryption"), allow(dead_code, reason = "nothing can be opened"))]
mod recipients;
mod restated;
mod scan_args;
#[cfg(all(test, feature = "encryption"))]
mod schemas;
mod secrecy;
mod sign_statement;
mod signals;
mod source_args;
mod spool;
mod state;
mod store_args;
mod stream;
mod style;
mod survey;
mod terminal;
mod variables;
mod vouching;
mod withdrawn;

use std::io::{self, Write as _};
use std::process::ExitCode;

use consign_metadata::Problem;

use crate::commands::Arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::ledger::Recorded;
use crate::outcome::{Failure, Outcome};

fn main() -> ExitCode {
    if let Err(failure) = secrecy::check(std::env::args_os(), std::env::vars_os()) {
        let json = secrecy::asks_for_json(std::env::args_os());
        return ExitCode::from(Outcome::from(failure).print("consign", json, &Recorded::default()).code());
    }
    let arguments = match variables::parse() {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(refuse(&error).code()),
    };
    let Arguments { json, progress, ledger, command } = arguments;
    let context = Context::new(json, progress, signals::take_over(), ledger);
    let (name, outcome) = command.run(&context);
    let outcome = outcome.guarded().stopped_by(signals::received());
    let recorded = ledger::record(&context, name, &outcome);
    let exit = outcome.print(name, json, &recorded);
    if let Exit::Signal(signal) = exit {
        signals::end_by(signal);
    }
    ExitCode::from(exit.code())
}

/// Says what is wrong with the command line, as one JSON document if that is what it asks for.
fn refuse(error: &clap::Error) -> Exit {
    let json = secrecy::asks_for_json(std::env::args_os());
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
