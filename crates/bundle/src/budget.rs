//! Memory for frames in flight: one sum for all threads, whatever their number, and buffers that are used
//! again.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that all frames in flight may hold together.
const BUDGET: usize = 96 << 20;
/// Bytes that may lie in buffers that wait to be used again.
const POOL: usize = 24 << 20;

struct State {
    free: usize,
    closed: bool,
    pool: Vec<Vec<u8>>,
}

/// A sum of bytes that is handed out and given back.
pub(crate) struct Budget {
    state: Mutex<State>,
    freed: Condvar,
}

/// A buffer that holds a part of the budget and gives both back when it is dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    part: usize,
    budget: Arc<Budget>,
}

impl Budget {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { free: BUDGET, closed: false, pool: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), freed: Condvar::new() })
    }

    /// Waits until `capacity` bytes, and as many again for what is made of them, are free, and hands out an
    /// empty buffer; `None` once the budget is closed. Whoever takes in the order in which is given back never
    /// waits forever.
    pub(crate) fn take(self: &Arc<Self>, capacity: usize) -> Option<Buffer> {
        let part = (2 * capacity).min(BUDGET);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.free < part && !state.closed {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return None;
        }
        state.free -= part;
        // One much larger would hold more memory than was asked for.
        let fits = |old: &Vec<u8>| (capacity..=capacity + capacity / 2).contains(&old.capacity());
        let pooled = state.pool.iter().position(fits).map(|n| state.pool.swap_remove(n));
        drop(state);
        let mut bytes = pooled.unwrap_or_else(|| Vec::with_capacity(capacity));
        bytes.clear();
        Some(Buffer { bytes, part, budget: Arc::clone(self) })
    }

    /// Lets nobody wait any longer.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.freed.notify_all();
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free += self.part;
        state.pool.push(std::mem::take(&mut self.bytes));
        while state.pool.iter().map(Vec::capacity).sum::<usize>() > POOL {
            state.pool.remove(0);
        }
        drop(state);
        self.budget.freed.notify_all();
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_comes_back() {
        let budget = Budget::new();
        let first = budget.take(BUDGET / 2).expect("all of it");
        let waiting = Arc::clone(&budget);
        std::thread::scope(|scope| {
            let second = scope.spawn(move || waiting.take(1).is_some());
            drop(first);
            assert!(second.join().expect("no panic"));
        });
        budget.close();
        assert!(budget.take(1).is_none());
    }
}
