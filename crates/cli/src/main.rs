//! `consign`: packs models and datasets into immutable, signed, verifiable bundles.

mod commands;
mod context;
mod environment;
mod exit;
mod git;
mod keys;
mod meter;
mod outcome;
mod style;
mod survey;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;

use crate::commands::Arguments;
use crate::context::Context;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
