//! What can be asked of the engine, and what comes of it.

use consign_metadata::Problem;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::{self, Recorded};

/// Something that can be asked of the engine.
pub trait Request {
    /// What the command is called that asks it, which is how the ledger calls it too.
    const COMMAND: &'static str;
    /// What it has to say.
    type Report: Serialize;

    /// Does it. Nothing is written into the ledger yet: [`Context::perform`] does both.
    ///
    /// # Errors
    /// It came to no result.
    fn run(&self, context: &Context) -> Result<Outcome<Self::Report>, Failure>;
}

/// What became of a request.
#[derive(Debug)]
pub struct Outcome<R> {
    /// Of what kind it is: whether everything held.
    pub exit: Exit,
    /// What is wrong; none if everything held.
    pub problems: Vec<Problem>,
    /// What there is to say, as far as it was found out.
    pub report: Option<R>,
}

impl<R> Outcome<R> {
    /// Everything held.
    pub fn done(report: R) -> Self {
        Self { exit: Exit::Done, problems: Vec::new(), report: Some(report) }
    }

    /// The same outcome with another report.
    pub fn map<S>(self, report: impl FnOnce(R) -> S) -> Outcome<S> {
        Outcome { exit: self.exit, problems: self.problems, report: self.report.map(report) }
    }

    /// The same without what looks like a secret in its problems.
    fn guarded(mut self) -> Self {
        self.problems = self.problems.into_iter().map(crate::secrecy::guarded).collect();
        self
    }
}

impl<R> From<Failure> for Outcome<R> {
    fn from(failure: Failure) -> Self {
        Self { exit: failure.exit, problems: failure.problems, report: None }
    }
}

impl Context {
    /// Does what is asked, and writes into the ledger what was done, durably, before anybody is told that it was.
    pub fn perform<Q: Request>(&self, request: &Q) -> (Outcome<Q::Report>, Recorded) {
        let outcome = request.run(self).unwrap_or_else(Outcome::from).guarded();
        let recorded = ledger::record(self, Q::COMMAND, outcome.exit, &outcome.problems);
        (outcome, recorded)
    }
}
