//! Memory for frames in flight: one sum for all threads, whatever their number, and buffers that are used
//! again.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::memory;

/// Bytes that all frames in flight may hold together.
pub(crate) const BUDGET: usize = 88 << 20;
/// Bytes that may lie in buffers that wait to be used again.
const POOL: usize = 8 << 20;

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

/// A part of the budget, given back when it is dropped.
pub(crate) struct Share {
    bytes: usize,
    budget: Arc<Budget>,
}

/// Memory for one frame, with the share that pays for it and for what is made of it.
pub(crate) struct Buffer {
    /// Written to once, and never cleared: what counts is before `len`. All its room was reserved.
    bytes: Vec<u8>,
    len: usize,
    room: usize,
    share: AtomicUsize,
    budget: Arc<Budget>,
}

impl Budget {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { free: BUDGET, closed: false, pool: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), freed: Condvar::new() })
    }

    /// Waits until `capacity` bytes, and as many again for what is made of them, are free, and hands out an
    /// empty buffer; `None` once the budget is closed. Whoever takes in the order in which is given back, and says
    /// which buffer they hold meanwhile, never waits forever.
    ///
    /// # Errors
    /// The system gives less memory than the budget, and nobody else holds any that could be waited for.
    pub(crate) fn take(
        self: &Arc<Self>,
        capacity: usize,
        held: Option<&Buffer>,
    ) -> io::Result<Option<Buffer>> {
        let share = (2 * capacity).min(BUDGET);
        let held = held.map_or(0, |held| held.share.load(Ordering::Relaxed));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while state.free < share && !state.closed {
                state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed {
                return Ok(None);
            }
            // One much larger would hold more memory than was asked for.
            let fits = |old: &Vec<u8>| (capacity..=capacity + capacity / 2).contains(&old.capacity());
            let pooled = state.pool.iter().rposition(fits).map(|n| state.pool.swap_remove(n));
            match pooled.map_or_else(|| memory::reserved(capacity), Ok) {
                Ok(bytes) => {
                    state.free -= share;
                    let budget = Arc::clone(self);
                    return Ok(Some(Buffer { bytes, len: 0, room: capacity, share: share.into(), budget }));
                }
                Err(error) if state.pool.is_empty() && state.free + held >= BUDGET => return Err(error),
                // As if the budget were smaller: somebody gives back.
                Err(_) if state.pool.is_empty() => {
                    state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Err(_) => state.pool.clear(),
            }
        }
    }

    /// Lets nobody wait any longer.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.freed.notify_all();
    }
}

impl Budget {
    fn give_back(&self, bytes: usize, memory: Option<Vec<u8>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free += bytes;
        state.pool.extend(memory);
        while state.pool.iter().map(Vec::capacity).sum::<usize>() > POOL {
            state.pool.remove(0);
        }
        drop(state);
        self.freed.notify_all();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes, None);
        }
    }
}

impl Buffer {
    /// The next `count` bytes after the content, whatever they hold; [`filled`](Self::filled) makes them
    /// content. Fewer if there is no more room.
    pub(crate) fn spare(&mut self, count: usize) -> &mut [u8] {
        let end = self.room.min(self.len + count);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.len..end]
    }

    /// Adds `count` bytes that were written to [`spare`](Self::spare).
    pub(crate) fn filled(&mut self, count: usize) {
        self.len = self.room.min(self.bytes.len()).min(self.len + count);
    }

    /// Appends content; there must be room.
    pub(crate) fn extend_from_slice(&mut self, content: &[u8]) {
        self.spare(content.len()).copy_from_slice(content);
        self.filled(content.len());
    }

    /// Appends that many zeros.
    pub(crate) fn pad(&mut self, count: usize) {
        self.spare(count).fill(0);
        self.filled(count);
    }

    /// Keeps the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Cuts off a share for what was made of the content, which takes that many bytes. It can outlive the buffer.
    pub(crate) fn share(&self, bytes: usize) -> Share {
        let mut cut = 0;
        // Always `Ok`: the closure never refuses.
        let _ = self.share.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |whole| {
            cut = bytes.min(whole);
            Some(whole - cut)
        });
        Share { bytes: cut, budget: Arc::clone(&self.budget) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let share = std::mem::take(self.share.get_mut());
        self.budget.give_back(share, Some(std::mem::take(&mut self.bytes)));
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_comes_back() {
        let budget = Budget::new();
        let first = budget.take(BUDGET / 2, None).unwrap().expect("all of it");
        let waiting = Arc::clone(&budget);
        std::thread::scope(|scope| {
            let second = scope.spawn(move || waiting.take(1, None).unwrap().is_some());
            drop(first);
            assert!(second.join().expect("no panic"));
        });
        budget.close();
        assert!(budget.take(1, None).unwrap().is_none());
    }

    #[test]
    fn field_l2_memory_that_nobody_holds_and_the_system_refuses_is_an_error() {
        let budget = Budget::new();
        let refused = budget.take(usize::MAX / 4, None).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
        assert!(budget.take(1000, None).unwrap().is_some());
    }

    #[test]
    fn a_share_outlives_the_buffer_it_was_cut_off() {
        let budget = Budget::new();
        let buffer = budget.take(1000, None).unwrap().expect("there is enough");
        let share = buffer.share(300);
        drop(buffer);
        assert_eq!(budget.state.lock().expect("no panic").free, BUDGET - 300);
        drop(share);
        assert_eq!(budget.state.lock().expect("no panic").free, BUDGET);
    }

    #[test]
    fn a_buffer_used_again_shows_nothing_of_what_it_held() {
        let budget = Budget::new();
        let mut buffer = budget.take(8, None).unwrap().expect("there is enough");
        buffer.extend_from_slice(&[7; 8]);
        drop(buffer);
        let mut again = budget.take(8, None).unwrap().expect("there is enough");
        assert!(again.is_empty());
        again.pad(3);
        assert_eq!(*again, [0; 3]);
    }
}
