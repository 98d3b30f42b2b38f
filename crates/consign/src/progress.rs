//! How far some work has come: told to whoever watches, who says nothing of the result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consign_bundle::Progress;

/// Somebody who is told how far work has come, such as a bar on a terminal.
pub trait Watcher: Send + Sync {
    /// Some work begins: what is done, such as `verifying`, and how many bytes there are, as far as that is known.
    fn begin(&self, doing: &'static str, total: u64) -> Box<dyn Watch>;
}

/// One piece of work that is watched; it ends when this is dropped.
pub trait Watch: Send + Sync {
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Watcher for Nobody {
    fn begin(&self, _: &'static str, _: u64) -> Box<dyn Watch> {
        Box::new(Self)
    }
}

impl Watch for Nobody {
    fn advance(&self, _: u64) {}
}

/// Passes on how far some work has come, and says whether it is to stop.
pub struct Meter {
    watch: Box<dyn Watch>,
    cancel: Arc<AtomicBool>,
}

impl Meter {
    /// A meter for work that is to stop once `cancel` is set.
    pub fn new(watcher: &dyn Watcher, cancel: &Arc<AtomicBool>, doing: &'static str, total: u64) -> Self {
        Self { watch: watcher.begin(doing, total), cancel: Arc::clone(cancel) }
    }
}

impl Progress for Meter {
    fn advance(&self, bytes: u64) {
        self.watch.advance(bytes);
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
