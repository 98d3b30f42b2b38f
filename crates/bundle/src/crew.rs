//! Work on several threads, or on as many as the system gives: where it gives none, the caller's own does everything.

use std::io;
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Runs `work` on that many threads, of which the caller's own is one, until it has ended on each. Where fewer threads
/// can be made (a limit of processes or of memory), these do all of it: `work` takes the next piece from wherever the
/// others take theirs.
///
/// # Errors
/// The first error of any thread; what `panicked` gives, if one panicked.
pub(crate) fn side_by_side<E: Send>(
    threads: usize,
    work: impl Fn() -> Result<(), E> + Sync,
    panicked: impl Fn() -> E,
) -> Result<(), E> {
    std::thread::scope(|scope| {
        let hands: Vec<_> = (1..threads).map_while(|_| hire(scope, &work).ok()).collect();
        let own = work();
        hands
            .into_iter()
            .fold(own, |result, hand| result.and(hand.join().unwrap_or_else(|_| Err(panicked()))))
    })
}

/// Another thread in the scope.
///
/// # Errors
/// What the system says, where it gives no more.
pub(crate) fn hire<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().spawn_scoped(scope, work)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn everything_is_done_once_and_the_first_error_is_told() {
        for threads in [0, 1, 2, 7] {
            let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let work = || {
                while next.fetch_add(1, Ordering::Relaxed) < 100 {
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), &str>(())
            };
            assert_eq!(side_by_side(threads, work, || "panicked"), Ok(()));
            assert_eq!(done.into_inner(), 100);
            assert_eq!(side_by_side(threads, || Err("failed"), || "panicked"), Err("failed"));
        }
    }
}
