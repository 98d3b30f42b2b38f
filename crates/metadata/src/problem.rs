//! What is wrong, where, and what to do about it: one finding, for people and for programs.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong.
///
/// Messages have no full stop, name the thing and the place; the hint says the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// Stable identifier for programs, such as `unknown-field`.
    pub code: &'static str,
    /// What the problem is about: a file, a field such as `contact.email`, a frame, a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Line in that document, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with nothing but a code and a sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, at: None, line: None, message: message.into(), hint: None }
    }

    /// The same, about `at`.
    #[must_use]
    pub fn at(mut self, at: impl Into<String>) -> Self {
        self.at = Some(at.into());
        self
    }

    /// The same, at a line.
    #[must_use]
    pub fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// The same, with the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(at) = &self.at {
            write!(f, "{}: ", crate::printable(at))?;
        }
        f.write_str(&self.message)
    }
}

/// The candidate nearest to `word`, if any is near enough to be what was meant.
///
/// ```
/// assert_eq!(consign_metadata::did_you_mean("clasification", ["name", "classification"]), Some("classification"));
/// assert_eq!(consign_metadata::did_you_mean("zzz", ["name"]), None);
/// ```
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
