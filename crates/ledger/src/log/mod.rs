//! The ledger on disk: plain files in the layout of C2SP tlog-tiles, which any static host can serve.

mod append;
mod changes;
mod drop;
mod edge;
mod files;
mod layout;
mod lock;
mod read;
mod recover;
mod segment;
mod state;
mod tiles;
mod verify;
mod writer;

pub use append::{Appended, append};
pub use drop::{Dropped, drop_bodies};
pub use read::{Entries, Entry, Ledger};
pub use recover::Repair;
pub use verify::{Summary, VerifyError};
