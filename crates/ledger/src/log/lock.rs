//! One writer at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::error::AppendError;

/// How often a lock is tried: with the pauses, half a minute.
const TRIES: u32 = 3000;
const PAUSE: Duration = Duration::from_millis(10);

/// Keeps other writers out until the handle is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, AppendError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| AppendError::Write { path: path.to_owned(), error })?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            // Without locks nothing is written: two histories would be signed.
            Err(TryLockError::Error(error)) => {
                return Err(AppendError::NoLocks { path: path.to_owned(), error });
            }
        }
    }
    Err(AppendError::Locked(path.to_owned()))
}
