//! An operation that came to no result, and why.

use consign_metadata::Problem;

use crate::exit::Exit;

/// An operation that came to no result: why.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure this is.
    pub exit: Exit,
    /// What is wrong, where, and what can be done about it: at least one.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure with one problem.
    pub fn new(exit: Exit, problem: Problem) -> Self {
        Self { exit, problems: vec![problem] }
    }

    /// It could not be done.
    pub fn failed(problem: Problem) -> Self {
        Self::new(Exit::Failed, problem)
    }

    /// The request or a file of the user's own is wrong.
    pub fn usage(problem: Problem) -> Self {
        Self::new(Exit::Usage, problem)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
