//! The command line: one file a command.

mod id;
mod init;
mod keygen;
mod trust;

use clap::{Parser, Subcommand};

use crate::context::Context;
use crate::meter::ProgressMode;
use crate::outcome::{Failure, Outcome};

/// Packs models and datasets into immutable, signed bundles that anyone can open and the recipient can verify
#[derive(Parser)]
#[command(name = "consign", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// Print one JSON document on standard output
    #[arg(long, global = true, env = "CONSIGN_JSON", help_heading = "Global options")]
    pub(crate) json: bool,
    /// How to show progress, on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        env = "CONSIGN_PROGRESS",
        value_name = "HOW",
        help_heading = "Global options"
    )]
    pub(crate) progress: ProgressMode,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Keygen(keygen::Keygen),
    Id(id::Id),
    Trust(trust::Trust),
}

impl Command {
    /// Runs the command, and gives its name with what became of it.
    pub(crate) fn run(&self, context: &Context) -> (&'static str, Outcome) {
        let (name, result): (_, Result<Outcome, Failure>) = match self {
            Self::Init(command) => ("init", command.run(context)),
            Self::Keygen(command) => ("keygen", command.run(context)),
            Self::Id(command) => ("id", command.run(context)),
            Self::Trust(command) => ("trust", command.run(context)),
        };
        (name, result.unwrap_or_else(Outcome::from))
    }
}
