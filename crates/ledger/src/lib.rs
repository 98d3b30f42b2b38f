//! The record: events in a Merkle log on disk, signed checkpoints, proofs.
//!
//! ```
//! use consign_ledger::*;
//! use consign_signing::{NoteVerifier, PrivateKey, Signer};
//! # let directory = tempfile::tempdir()?;
//! # let ledger_directory = directory.path().join("ledger");
//! # let event = Event {
//! #     timestamp: "2026-11-22T03:00:00Z".parse()?, level: Level::Info, service: Service::Consign,
//! #     event_type: "bundle".parse()?, user_id: "ada".parse()?, host: "build-7".parse()?,
//! #     action: "packed".parse()?, bundle: None, archive_sha256: None,
//! #     metadata: serde_json::Map::new(), nonce: Nonce::generate()?,
//! # };
//! // The owner records an event.
//! let key = PrivateKey::generate()?;
//! let appended = append(&ledger_directory, &key, None, &[event.clone()])?;
//! assert_eq!((appended.first, appended.checkpoint.size()), (0, 1));
//!
//! // Whoever has the files and the key reads it; every event is checked against the signed checkpoint.
//! let verifier = NoteVerifier::of_ledger(key.public_key());
//! let ledger = Ledger::open(&ledger_directory, &verifier)?;
//! assert_eq!(ledger.entry(0)?.body, Some(event.clone()));
//!
//! // Whoever has only a proof and the key checks it anywhere.
//! let file = ledger.inclusion(0)?.to_text()?;
//! let checked = file.parse::<TlogProof>()?.check(&verifier, None)?;
//! assert_eq!(checked.event, Some(event));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is written where is specified in `docs/ledger.md`. Nothing here reads a clock or the environment, or
//! prints. [`append`] and [`drop_bodies`] write, under a lock; all the rest only reads, and needs no lock.

mod checkpoint;
mod error;
mod event;
mod hash;
mod log;
mod merkle;
mod proof;

pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use error::{AppendError, FaultKind, LedgerError, LedgerFault};
pub use event::{EVENT_BYTES_MAX, EVENTS_DROPPED, Event, EventError, Level, Nonce, Service, Word};
pub use hash::TreeHash;
pub use log::{Appended, Dropped, Entries, Entry, Ledger, Repair, Summary, VerifyError, append, drop_bodies};
pub use proof::{CheckedConsistency, CheckedProof, ConsistencyProof, PROOF_BYTES_MAX, ProofError, TlogProof};
