//! `consign ledger`: what was done, in order, so that nobody can change it afterwards unseen.

pub(crate) mod add;
pub(crate) mod add_receipt;
pub(crate) mod alerts;
pub(crate) mod check_consistency;
pub(crate) mod check_proof;
pub(crate) mod drop;
pub(crate) mod export;
pub(crate) mod find;
pub(crate) mod list;
pub(crate) mod prove;
pub(crate) mod show;
pub(crate) mod verify;

use crate::context::Context;
use crate::outcome::{Failure, Outcome};

/// Show, check and prove what was done: packed, signed, submitted, received, verified, refused, changed
///
/// Every command that does something of consequence adds an event. The events form a Merkle tree whose root is
/// signed, so that whoever holds an earlier root can tell whether anything was changed since.
#[derive(clap::Args)]
pub(crate) struct Ledger {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    List(list::List),
    Show(show::Show),
    Verify(verify::Verify),
    Prove(prove::Prove),
    CheckProof(check_proof::CheckProof),
    CheckConsistency(check_consistency::CheckConsistency),
    Find(find::Find),
    Export(export::Export),
    Alerts(alerts::Alerts),
    Add(add::Add),
    AddReceipt(add_receipt::AddReceipt),
    Drop(drop::Drop),
}

impl Ledger {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        match &self.action {
            Action::List(command) => command.run(context),
            Action::Show(command) => command.run(context),
            Action::Verify(command) => command.run(context),
            Action::Prove(command) => command.run(context),
            Action::CheckProof(command) => command.run(),
            Action::CheckConsistency(command) => command.run(context),
            Action::Find(command) => command.run(context),
            Action::Export(command) => command.run(context),
            Action::Alerts(command) => command.run(context),
            Action::Add(command) => command.run(context),
            Action::AddReceipt(command) => command.run(context),
            Action::Drop(command) => command.run(context),
        }
    }
}

/// The key whose ledger is looked into, where it is not the own one.
#[derive(clap::Args)]
struct KeyArgs {
    /// The public key of the ledger [default: the own one]
    #[arg(long, value_name = "PUB")]
    key: Option<String>,
}

impl KeyArgs {
    fn open(&self, context: &Context) -> Result<crate::ledger::OpenLedger, Failure> {
        let key = self.key.as_deref().map(crate::keys::load_public).transpose()?;
        crate::ledger::open(context, key.as_ref())
    }
}
