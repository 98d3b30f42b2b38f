//! Who looks at the content of files while it is read anyway.

use consign_metadata::EntryPath;

/// Sees the content of every file that is packed or hashed, in the threads that have it at hand. What it makes of
/// it is its own affair: it cannot change or stop the work.
pub trait ContentObserver: Sync {
    /// A file of so many bytes is about to be read.
    fn file(&self, path: &EntryPath, size: u64) -> Box<dyn FileObserver + '_>;
}

/// Sees one file: every byte once, in order.
///
/// A file that cannot be read to its end, or changes meanwhile, ends without [`finish`](Self::finish); the whole
/// work then fails.
pub trait FileObserver {
    /// The next bytes.
    fn update(&mut self, bytes: &[u8]);

    /// That was all of it.
    fn finish(self: Box<Self>);
}
