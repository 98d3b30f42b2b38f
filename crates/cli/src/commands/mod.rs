//! The command line: one file a command.

pub(crate) mod amend;
#[cfg(feature = "encryption")]
pub(crate) mod decrypt;
pub(crate) mod diff;
#[cfg(feature = "encryption")]
pub(crate) mod encrypt;
pub(crate) mod history;
pub(crate) mod id;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod ledger;
pub(crate) mod lineage;
pub(crate) mod pack;
pub(crate) mod policy;
pub(crate) mod preflight;
pub(crate) mod quickstart;
pub(crate) mod receipt;
pub(crate) mod receive;
pub(crate) mod reconstruct;
pub(crate) mod revoke;
pub(crate) mod seal;
pub(crate) mod sign;
pub(crate) mod store;
pub(crate) mod submit;
pub(crate) mod trust;
pub(crate) mod unpack;
pub(crate) mod verify;

use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};
use consign::ledger::Recorded;
use consign::operation::Request;

use crate::args::{self, Given};
use crate::context::Context;
use crate::meter::ProgressMode;
use crate::outcome::{Failure, Outcome, Report};

/// Packs models and datasets into immutable, signed bundles that anyone can open and the recipient can verify
#[derive(Parser)]
#[command(name = "consign", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Print one JSON document on standard output
    #[arg(long, global = true, env = "CONSIGN_JSON", value_parser = FalseyValueParser::new(), help_heading = "Global options")]
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
    #[command(flatten)]
    pub(crate) ledger: Given<args::LedgerArgs>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Quickstart(quickstart::Quickstart),
    Init(init::Init),
    Preflight(preflight::Preflight),
    Keygen(keygen::Keygen),
    Id(id::Id),
    Pack(pack::Pack),
    Seal(seal::Seal),
    Amend(amend::Amend),
    Sign(sign::Sign),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    Unpack(unpack::Unpack),
    #[cfg(feature = "encryption")]
    Encrypt(encrypt::Encrypt),
    #[cfg(feature = "encryption")]
    Decrypt(decrypt::Decrypt),
    Diff(diff::Diff),
    Lineage(lineage::Lineage),
    Submit(submit::Submit),
    Store(store::Store),
    Reconstruct(reconstruct::Reconstruct),
    Receive(receive::Receive),
    Receipt(receipt::Receipt),
    Revoke(revoke::Revoke),
    Trust(trust::Trust),
    Policy(policy::Policy),
    Ledger(ledger::Ledger),
    History(history::History),
}

/// A command that ended: how it is called, what became of it, and what of that is in the ledger.
pub(crate) struct Ended {
    pub(crate) command: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) recorded: Recorded,
}

/// Asks the engine.
fn ask<Q: Request<Report: Report + 'static>>(context: &Context, request: &Q) -> Ended {
    let (outcome, recorded) = context.perform(request);
    Ended { command: Q::COMMAND, outcome: outcome.into(), recorded }
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Ended {
        let own = |command: &'static str, result: Result<Outcome, Failure>| {
            let outcome = result.unwrap_or_else(Outcome::from).guarded();
            let recorded = crate::ledger::record(context, command, outcome.exit, &outcome.problems);
            Ended { command, outcome, recorded }
        };
        match self {
            Self::Quickstart(command) => own("quickstart", command.run(context)),
            Self::Init(command) => own("init", command.run(context)),
            Self::Keygen(command) => own("keygen", command.run(context)),
            Self::Id(command) => ask(context, &command.request()),
            Self::Pack(command) => ask(context, &command.request()),
            Self::Seal(command) => ask(context, &command.request()),
            Self::Amend(command) => ask(context, &command.request()),
            Self::Sign(command) => own("sign", command.run(context)),
            Self::Verify(command) => ask(context, &command.request()),
            Self::Inspect(command) => ask(context, &command.request()),
            Self::Unpack(command) => ask(context, &command.request()),
            #[cfg(feature = "encryption")]
            Self::Encrypt(command) => ask(context, &command.request()),
            #[cfg(feature = "encryption")]
            Self::Decrypt(command) => ask(context, &command.request()),
            Self::Diff(command) => ask(context, &command.request()),
            Self::Lineage(command) => own("lineage", command.run(context)),
            Self::Revoke(command) => ask(context, &command.request()),
            Self::Trust(command) => own("trust", command.run(context)),
            Self::Policy(command) => own("policy", command.run(context)),
            Self::Preflight(command) => ask(context, &command.request()),
            Self::Submit(command) => ask(context, &command.request()),
            Self::Ledger(command) => own("ledger", command.run(context)),
            Self::History(command) => ask(context, &command.request()),
            Self::Store(command) => own("store", command.run(context)),
            Self::Reconstruct(command) => own("reconstruct", command.run(context)),
            Self::Receive(command) => ask(context, &command.request()),
            Self::Receipt(command) => own("receipt", command.run(context)),
        }
    }
}
