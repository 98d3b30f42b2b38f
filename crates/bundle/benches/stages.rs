//! How fast the stages of packing and verifying are, each on one core: `cargo bench -p consign-bundle --bench stages`.
//!
//! The content is what weights look like: numbers from a normal distribution, as bfloat16. How well kinds of
//! content compress, and at which level, is measured elsewhere; here it is the speed at one frame's size.

use std::hint::black_box;

use consign_bundle::{Compression, Sha256State, stages};
use divan::Bencher;
use divan::counter::BytesCount;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xorshift::XorShiftRng;

fn main() {
    divan::main();
}

/// About the size of a frame of weights.
const FRAME: usize = 1 << 20;
/// More than fits the cache of a core, less than takes long.
const FILE: usize = 32 << 20;

fn weights(bytes: usize) -> Vec<u8> {
    let mut rng = XorShiftRng::seed_from_u64(1);
    let number = |_| (rng.sample::<f32, _>(StandardNormal) * 0.02).to_bits().to_le_bytes();
    (0..bytes / 2).map(number).flat_map(|[_, _, low, high]| [low, high]).collect()
}

/// Many at once on one core: `cargo bench -p consign-sha256`.
#[divan::bench]
fn sha256_one_stream(bencher: Bencher) {
    let content = weights(FRAME);
    bencher.counter(BytesCount::of_slice(&content)).bench_local(|| {
        let mut state = Sha256State::initial();
        state.update(black_box(&content));
        state
    });
}

#[divan::bench]
fn blake3(bencher: Bencher) {
    let content = weights(FRAME);
    bencher.counter(BytesCount::of_slice(&content)).bench_local(|| blake3::hash(black_box(&content)));
}

#[divan::bench]
fn cut_into_frames(bencher: Bencher) {
    let content = weights(FILE);
    bencher.counter(BytesCount::of_slice(&content)).bench_local(|| stages::cut(black_box(&content)));
}

/// What packing does with a frame unless told a level.
#[divan::bench]
fn compress_auto(bencher: Bencher) {
    let content = weights(4 * FRAME);
    let frame = stages::cut(&content).expect("enough memory")[0];
    let mut compressor = stages::Compressor::new(Compression::Auto).expect("there is memory");
    let mut out = Vec::new();
    bencher
        .counter(BytesCount::of_slice(frame.content))
        .bench_local(|| compressor.compress(black_box(frame), &mut out));
}

#[divan::bench(args = [1, 3, 6, 9, 19], sample_count = 10)]
fn compress_at_level(bencher: Bencher, level: i32) {
    let content = weights(FRAME);
    let mut context = zstd_safe::CCtx::create();
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    bencher
        .counter(BytesCount::of_slice(&content))
        .bench_local(|| context.compress(&mut out, black_box(&content), level));
}

#[divan::bench]
fn decompress(bencher: Bencher) {
    let content = weights(FRAME);
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    assert!(zstd_safe::compress(&mut frame, &content, 1).is_ok());
    let mut context = zstd_safe::DCtx::create();
    let mut out = Vec::with_capacity(content.len());
    bencher
        .counter(BytesCount::of_slice(&content))
        .bench_local(|| context.decompress(&mut out, black_box(&frame)));
}
