//! Exit codes: what a script may rely on.

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, everything held.
    Done,
    /// Could not be done: input or output, a missing file.
    Failed,
    /// Wrong usage.
    Usage,
    /// Not intact or not authentic.
    NotIntact,
    /// Not trusted, or not what was expected.
    NotTrusted,
    /// Refused by handling policy.
    Refused,
    /// Ended by a signal of this number, everything being cleaned up.
    Signal(u8),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotIntact => 3,
            Self::NotTrusted => 4,
            Self::Refused => 5,
            // What a shell shows of a process that a signal ended.
            Self::Signal(signal) => 128u8.saturating_add(signal),
        }
    }

    /// Of several outcomes the one to report: the smallest of the verdicts 3, 4 and 5; without one, what kept a
    /// verdict from being reached; success only if there is nothing else.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, other) | (other, Self::Done) => other,
            (a, b) => {
                let rank = |exit: Self| match exit {
                    Self::NotIntact | Self::NotTrusted | Self::Refused => exit.code(),
                    _ => exit.code().saturating_add(10),
                };
                if rank(a) <= rank(b) { a } else { b }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit::{Done, Failed, NotIntact, NotTrusted};

    #[test]
    fn the_gravest_verdict_is_reported() {
        assert_eq!(Done.and(Done), Done);
        assert_eq!(NotTrusted.and(NotIntact), NotIntact);
        assert_eq!(NotIntact.and(NotTrusted), NotIntact);
        assert_eq!(Done.and(NotTrusted), NotTrusted);
        assert_eq!(Failed.and(NotIntact), NotIntact);
        assert_eq!(Failed.and(Done), Failed);
    }
}
