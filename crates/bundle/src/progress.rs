//! How long work tells what it has done, and is told to stop.

/// Told of progress, asked whether to go on. Called from several threads.
pub trait Progress: Sync {
    /// `bytes` more of the payload are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Whether the work is to stop. It then ends with an error and leaves nothing behind.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Tells nobody, never stops.
impl Progress for () {}

/// The work was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;
