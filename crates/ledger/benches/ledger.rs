//! What the ledger costs at 100,000 events: `cargo bench -p consign-ledger`.
//!
//! An append is all of it, with every fsync; the temporary directory should be on the disk that is asked about
//! (`TMPDIR`). Reading is from the page cache.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail like a test")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::cell::Cell;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use consign_ledger::{ConsistencyProof, TlogProof};
use divan::Bencher;
use support::Desk;

const EVENTS: u64 = 100_000;

fn main() {
    divan::main();
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| Desk::with(EVENTS))
}

/// One event onto 100,000. For every 256th a tile becomes full.
#[divan::bench(sample_count = 512, sample_size = 1)]
fn append_one(bencher: Bencher) {
    let desk = Desk::with(EVENTS);
    let next = Cell::new(EVENTS);
    bencher.bench_local(|| {
        desk.append(next.get()..next.get() + 1);
        next.set(next.get() + 1);
    });
}

/// The same onto an empty ledger: the cost does not depend on the length.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn append_one_to_a_short_ledger(bencher: Bencher) {
    let desk = Desk::with(1);
    let next = Cell::new(1);
    bencher.bench_local(|| {
        desk.append(next.get()..next.get() + 1);
        next.set(next.get() + 1);
    });
}

/// 100,000 at once into a new ledger.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn append_all(bencher: Bencher) {
    bencher.bench_local(|| Desk::with(EVENTS));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn verify(bencher: Bencher) {
    let ledger = desk().open();
    bencher.bench_local(|| ledger.verify(&mut |_| ControlFlow::Continue(())).unwrap());
}

/// What `ledger list` does before it filters.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn read_all(bencher: Bencher) {
    let ledger = desk().open();
    bencher.bench_local(|| ledger.entries(0..EVENTS).map(Result::unwrap).count());
}

#[divan::bench]
fn inclusion_proof(bencher: Bencher) {
    let index = Cell::new(0);
    bencher.bench_local(|| {
        index.set((index.get() + 37_337) % EVENTS);
        desk().open().inclusion(black_box(index.get())).unwrap().to_text().unwrap()
    });
}

#[divan::bench]
fn check_inclusion_proof(bencher: Bencher) {
    let text = desk().open().inclusion(54_321).unwrap().to_text().unwrap();
    let verifier = desk().verifier();
    bencher.bench_local(|| black_box(&text).parse::<TlogProof>().unwrap().check(&verifier, None).unwrap());
}

#[divan::bench]
fn consistency_proof(bencher: Bencher) {
    let short = Desk::with(777);
    let old = short.open().checkpoint().clone();
    short.append(777..EVENTS);
    bencher.bench_local(|| {
        let text = short.open().consistency(black_box(&old)).unwrap().to_string();
        text.parse::<ConsistencyProof>().unwrap().check(&short.verifier()).unwrap()
    });
}
