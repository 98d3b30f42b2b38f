//! The ledger of this machine or of this run: where it is, with which key, and what is written into it.

mod event_file;
mod key;
mod place;
mod query;
mod record;
mod retention;
mod who;

pub use event_file::read_events;
pub use place::{LedgerArgs, OpenLedger, not_in_order, open, read_checkpoint, read_small, state};
pub use query::{
    Answered, EndOf, EventName, Filter, LoggedEvent, Month, PointInTime, detail, is_about, receipts_told,
    select, submission_of, tells_of,
};
pub use record::{Joining, Recorded, RecordedEvent, forget, join, record};
pub use retention::{Held, Retention, is_custody};
