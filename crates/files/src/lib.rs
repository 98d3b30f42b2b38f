//! What file systems differ in: whether names can be made durable, whether modes are kept, what they are called.
//!
//! Nothing here knows what the files are for.

mod kind;
mod lock;
mod sync;

pub use kind::{FileSystem, may_be_shared, may_lose_modes};
pub use lock::has_no_locks;
pub use sync::{sync_directory, sync_open_directory};
