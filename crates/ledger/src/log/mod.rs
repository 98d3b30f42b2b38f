//! The ledger on disk: plain files in the layout of C2SP tlog-tiles, which any static host can serve.

mod append;
mod drop;
mod read;
mod verify;

pub use append::{Appended, Repair, append};
pub use drop::{Dropped, drop_bodies};
pub use read::{Entries, Entry, Ledger};
pub use verify::{Summary, VerifyError};
