//! SHA-256 of many streams on one core: `cargo bench -p consign-sha256`.

use consign_sha256::{BLOCK, Stream, compress_all};
use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

/// Blocks of each stream, which fit the cache of a core all together.
const BLOCKS: usize = 1000;

#[divan::bench(args = [1, 2, 3, 8, 11, 16, 100])]
fn streams(bencher: Bencher, count: usize) {
    let content: Vec<_> = (0..count).map(|n| vec![[n.to_le_bytes()[0]; BLOCK]; BLOCKS]).collect();
    let mut words = vec![[0; 8]; count];
    bencher.counter(BytesCount::new(count * BLOCKS * BLOCK)).bench_local(|| {
        let streams = words.iter_mut().zip(&content).map(|(words, blocks)| Stream { words, blocks });
        compress_all(&mut streams.collect::<Vec<_>>());
    });
}
