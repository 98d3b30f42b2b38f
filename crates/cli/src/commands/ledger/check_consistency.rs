//! `consign ledger check-consistency`: is an earlier state of a ledger the beginning of a later one.

use std::io::{self, Write};
use std::path::PathBuf;

use consign_ledger::{CheckedConsistency, ConsistencyProof};
use serde::Serialize;

use super::KeyArgs;
use super::check_proof::verifier;
use crate::context::Context;
use crate::exit::Exit;
use crate::ledger::{OpenLedger, not_in_order, read_checkpoint, read_small};
use crate::outcome::{Failure, Outcome, Report};
use crate::style;

/// Check that nothing was rewritten between two states of a ledger
///
/// With one file, a proof that `consign ledger prove --since` made: needs nothing but the public key. With two
/// checkpoints, the ledger itself is asked: both must be states that it went through.
#[derive(clap::Args)]
pub(crate) struct CheckConsistency {
    /// A proof, or the earlier and the later checkpoint
    #[arg(value_name = "FILE", num_args = 1..=2, required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
}

/// Two states of one ledger, of which the earlier is the beginning of the later.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Consistent {
    origin: String,
    old_size: u64,
    new_size: u64,
}

impl Report for Consistent {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        writeln!(
            out,
            "{good}CONSISTENT{good:#}: of the {} events of {}, the first {} are as they were signed before",
            self.new_size, self.origin, self.old_size
        )
    }
}

impl CheckConsistency {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let [first, rest @ ..] = self.files.as_slice() else {
            return Err(Failure::usage(consign_metadata::Problem::new("usage", "name a file")));
        };
        let Some(second) = rest.first() else { return self.check(context, first) };
        let OpenLedger { ledger, verifier } = self.key.open(context)?;
        let (old, new) = (read_checkpoint(first, &verifier)?, read_checkpoint(second, &verifier)?);
        for seen in [&old, &new] {
            ledger.consistency(seen).map_err(|error| not_in_order(&error))?;
        }
        let origin = ledger.checkpoint().origin().to_owned();
        let (old_size, new_size) = (old.size().min(new.size()), old.size().max(new.size()));
        Ok(Outcome::done(Consistent { origin, old_size, new_size }))
    }

    /// A proof, for which no ledger is needed.
    fn check(&self, context: &Context, path: &std::path::Path) -> Result<Outcome, Failure> {
        let verifier = match &self.key.key {
            Some(named) => verifier(named)?,
            None => self.key.open(context)?.verifier,
        };
        let refused = |problem: consign_metadata::Problem| {
            Failure::new(Exit::NotIntact, problem.at(path.display().to_string()))
        };
        let proof = ConsistencyProof::parse(&read_small(path)?).map_err(|error| refused(error.problem()))?;
        let CheckedConsistency { old, new } =
            proof.check(&verifier).map_err(|error| refused(error.problem()))?;
        let origin = new.origin().to_owned();
        Ok(Outcome::done(Consistent { origin, old_size: old.size(), new_size: new.size() }))
    }
}
