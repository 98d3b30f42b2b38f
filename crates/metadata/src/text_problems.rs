//! What is wrong with a text that people write: all of it, each with its line.

use std::ops::Range;

use crate::problem::Problem;
use crate::tree::Lines;

/// Collects what is wrong with one text. Places are ranges of bytes in it, and become lines.
///
/// ```
/// use consign_metadata::TextProblems;
/// let mut problems = TextProblems::of("a = 1\nb = 2\n");
/// problems.report("bad-value", 10..11, "`b` is 2");
/// problems.report("bad-value", 4..5, "`a` is 1");
/// let lines: Vec<_> = problems.into_vec().iter().map(|problem| problem.line).collect();
/// assert_eq!(lines, [Some(1), Some(2)]);
/// ```
pub struct TextProblems {
    lines: Lines,
    problems: Vec<Problem>,
}

impl TextProblems {
    /// Begins with nothing wrong.
    pub fn of(text: &str) -> Self {
        Self { lines: Lines::of(text), problems: Vec::new() }
    }

    /// Adds what is wrong at a place; without one, with the text as a whole.
    pub fn report(
        &mut self,
        code: &'static str,
        at: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
    ) {
        self.push(at, Problem::new(code, message));
    }

    /// Adds a problem, which gets the line of the place.
    pub fn push(&mut self, at: impl Into<Option<Range<usize>>>, problem: Problem) {
        self.problems.push(match at.into() {
            Some(at) => problem.line(self.line_of(&at)),
            None => problem,
        });
    }

    /// The line, counted from 1, on which a place begins.
    pub fn line_of(&self, at: &Range<usize>) -> usize {
        self.lines.line(at.start)
    }

    /// Whether nothing was found wrong.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// All of it in the order of the lines; what has none goes first.
    pub fn into_vec(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }
}
