//! What can be wrong with a ledger.

use std::fmt;
use std::io;
use std::path::PathBuf;

use consign_metadata::Problem;
use consign_signing::NoteSignError;

use crate::checkpoint::CheckpointError;
use crate::event::EventError;

/// Why a ledger cannot be read, or not relied upon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// There is no ledger: no directory, or one without a checkpoint and anything else.
    #[error("there is no ledger")]
    Absent(PathBuf),
    /// A file cannot be read.
    #[error("cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The checkpoint does not count.
    #[error("{error}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: CheckpointError,
    },
    /// What is stored is not what was recorded.
    #[error("{fault}")]
    Fault {
        /// The directory of the ledger.
        ledger: PathBuf,
        /// What is wrong.
        fault: LedgerFault,
    },
    /// There is no such event.
    #[error("there is no event {index}: the ledger has {size}")]
    NoSuchEvent {
        /// What was asked for, counted from 0.
        index: u64,
        /// How many events there are.
        size: u64,
    },
    /// The ledger is shorter than one of its checkpoints that was seen before.
    #[error("the ledger was rolled back: it has {size} events, but had {seen} before")]
    RolledBack {
        /// How many events it had.
        seen: u64,
        /// How many events it has.
        size: u64,
    },
    /// The ledger does not begin with what a checkpoint of it, seen before, covers.
    #[error("the ledger was forked: its first {seen} events are not those that it had before")]
    Forked {
        /// How many events the checkpoint seen before covers.
        seen: u64,
        /// How many events it has.
        size: u64,
    },
}

/// Something stored that is not what was recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerFault {
    /// The first event that does not fit, or is covered by what does not fit, if that can be told; counted from 0.
    pub event: Option<u64>,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// The file, relative to the ledger's directory, with `/`.
    pub file: String,
}

/// What kind of thing is wrong with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The body of an event is another one than was recorded.
    EventAltered,
    /// The body of an event stands in the place of another.
    EventReordered,
    /// The file ends before the event, or is not there.
    EventMissing,
    /// The body is what was recorded, but no event that this version can read.
    EventMalformed,
    /// The body is gone, and no event records that it was dropped.
    BodyMissing,
    /// The list of digests is not there, or too short.
    EntryMissing,
    /// A digest in the list is another one than was recorded.
    EntryAltered,
    /// A tile is not there, or too short.
    TileMissing,
    /// A hash in a tile is another one than follows from the events.
    TileAltered,
    /// All that is stored agrees with itself, but not with the signed checkpoint.
    RootMismatch,
}

impl FaultKind {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::EventAltered => "ledger-event-altered",
            Self::EventReordered => "ledger-event-reordered",
            Self::EventMissing => "ledger-event-missing",
            Self::EventMalformed => "ledger-event-malformed",
            Self::BodyMissing => "ledger-body-missing",
            Self::EntryMissing => "ledger-entry-missing",
            Self::EntryAltered => "ledger-entry-altered",
            Self::TileMissing => "ledger-tile-missing",
            Self::TileAltered => "ledger-tile-altered",
            Self::RootMismatch => "ledger-root-mismatch",
        }
    }
}

impl fmt::Display for LedgerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = self.event {
            write!(f, "event {event}: ")?;
        }
        f.write_str(match self.kind {
            FaultKind::EventAltered => "it is not the event that was recorded",
            FaultKind::EventReordered => "another event stands in its place",
            FaultKind::EventMissing => "it is missing",
            FaultKind::EventMalformed => {
                "it is what was recorded, but not an event that this version can read"
            }
            FaultKind::BodyMissing => "it is gone, and nothing records that it was dropped",
            FaultKind::EntryMissing => "its digest is missing",
            FaultKind::EntryAltered => "its digest is not the one that was recorded",
            FaultKind::TileMissing => "the hashes from here on are missing",
            FaultKind::TileAltered => "a hash is not the one that follows from the events",
            FaultKind::RootMismatch => "what is stored is not what the signed checkpoint is about",
        })
    }
}

impl LedgerFault {
    /// The same with a stable code, the file and the next step.
    pub fn problem(&self) -> Problem {
        let problem = Problem::new(self.kind.code(), self.to_string()).at(self.file.clone());
        match self.kind {
            FaultKind::EventMalformed => problem.hint("a newer version of consign may have written it"),
            _ => problem,
        }
    }
}

impl LedgerError {
    /// The same with a stable code, the file and the next step.
    pub fn problem(&self) -> Problem {
        let message = self.to_string();
        match self {
            Self::Absent(path) => Problem::new("ledger-absent", message).at(path.display().to_string()),
            Self::Read { path, .. } => {
                Problem::new("ledger-unreadable", message).at(path.display().to_string())
            }
            Self::Checkpoint { path, error } => error.problem().at(path.display().to_string()),
            Self::Fault { ledger, fault } => {
                let path = ledger.join(&fault.file);
                fault.problem().at(path.display().to_string())
            }
            Self::NoSuchEvent { .. } => Problem::new("ledger-no-such-event", message),
            Self::RolledBack { .. } => Problem::new("ledger-rolled-back", message)
                .hint("bring back the newer copy of the ledger; do not go on with this one"),
            Self::Forked { .. } => Problem::new("ledger-forked", message)
                .hint("keep both checkpoints: together they prove that the ledger's owner told two stories"),
        }
    }
}

/// Why events were not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// What is there cannot be relied upon, so nothing is added to it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The directory holds other things.
    #[error("the directory is neither empty nor a ledger")]
    NotALedger(PathBuf),
    /// Another process is writing to the ledger, and does not come to an end.
    #[error("another process is writing to the ledger")]
    Locked(PathBuf),
    /// The file system has no locks, so that two writers could not be kept apart.
    #[error("the file system has no locks: {error}")]
    NoLocks {
        /// The file that was to be locked.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// One of the events cannot be recorded.
    #[error("event {at} of those given: {error}")]
    Event {
        /// Which, counted from 0.
        at: usize,
        /// Why.
        error: EventError,
    },
    /// The event that is to record dropped bodies does not fit the ledger.
    #[error("bodies cannot be dropped: {0}")]
    Drop(String),
    /// The checkpoint was not signed.
    #[error("the checkpoint of the ledger was not signed: {0}")]
    Sign(#[from] NoteSignError),
    /// A file cannot be written.
    #[error("cannot be written: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl AppendError {
    /// The same with a stable code, the file and the next step.
    pub fn problem(&self) -> Problem {
        let message = self.to_string();
        match self {
            Self::Ledger(error) => error.problem(),
            Self::NotALedger(path) => Problem::new("ledger-not-a-ledger", message)
                .at(path.display().to_string())
                .hint("name an empty directory, or one that does not exist yet"),
            Self::Locked(path) => Problem::new("ledger-locked", message)
                .at(path.display().to_string())
                .hint("try again when it has finished"),
            Self::NoLocks { path, .. } => {
                Problem::new("ledger-no-locks", message).at(path.display().to_string()).hint(
                    "write the events to a file with `--event-out FILE`, and add them with `consign ledger add` \
                     where the ledger can be locked",
                )
            }
            Self::Event { error, .. } => Problem { message, ..error.problem() },
            Self::Drop(_) => Problem::new("ledger-drop", message),
            Self::Sign(_) => Problem::new("ledger-not-signed", message),
            Self::Write { path, .. } => {
                Problem::new("ledger-unwritable", message).at(path.display().to_string())
            }
        }
    }
}
