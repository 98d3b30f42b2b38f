//! How fast content of various kinds goes by: `cargo bench -p consign-scan`. Files of your own are measured with
//! `SCAN=FILE,FILE cargo bench -p consign-scan own`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use consign_scan::{Marking, ScanOptions, Scanner};
use divan::counter::BytesCount;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Normal};
use rand_xorshift::XorShiftRng;

const SIZE: usize = 16 << 20;
/// As pack reads large files.
const PIECE: usize = 128 << 10;

fn main() {
    divan::main();
}

fn scanner(markings: &[&str]) -> Scanner {
    let markings = markings.iter().map(|word| Marking { word: word.parse().unwrap() }).collect();
    Scanner::new(ScanOptions { markings, ..ScanOptions::default() })
}

fn scan(bencher: divan::Bencher<'_, '_>, scanner: &Scanner, name: &str, content: &[u8]) {
    let path = name.parse().unwrap();
    bencher.counter(BytesCount::new(content.len())).bench(|| {
        let mut file = scanner.file(&path, content.len() as u64);
        content.chunks(PIECE).for_each(|piece| file.update(piece));
        file.finish()
    });
}

fn rng() -> XorShiftRng {
    XorShiftRng::seed_from_u64(7)
}

fn bf16() -> Vec<u8> {
    let (mut rng, normal) = (rng(), Normal::new(0.0f32, 0.02).unwrap());
    (0..SIZE / 2).flat_map(|_| normal.sample(&mut rng).to_le_bytes()[2..].to_vec()).collect()
}

fn table() -> Vec<u8> {
    let mut rng = rng();
    let mut text = String::new();
    while text.len() < SIZE {
        let row: Vec<_> = (0..8).map(|_| format!("{:.6}", rng.random_range(-100.0..100.0f64))).collect();
        text.push_str(&row.join(","));
        text.push('\n');
    }
    text.into_bytes()
}

fn prose() -> Vec<u8> {
    const WORDS: &str = "the model reads a token and its key from the store before it is trained on what the \
        authors wrote about passwords and secrets in a public table of values https://example.org/a ";
    let words: Vec<_> = WORDS.split(' ').collect();
    let mut rng = rng();
    let mut text = String::new();
    while text.len() < SIZE {
        text.push_str(words[rng.random_range(0..words.len())]);
        text.push(if rng.random_ratio(1, 10) { '\n' } else { ' ' });
    }
    text.into_bytes()
}

#[divan::bench]
fn weights(bencher: divan::Bencher<'_, '_>) {
    scan(bencher, &scanner(&[]), "model.bin", &bf16());
}

#[divan::bench]
fn noise(bencher: divan::Bencher<'_, '_>) {
    let mut content = vec![0; SIZE];
    rng().fill_bytes(&mut content);
    scan(bencher, &scanner(&[]), "noise.bin", &content);
}

#[divan::bench]
fn numbers(bencher: divan::Bencher<'_, '_>) {
    scan(bencher, &scanner(&[]), "table.csv", &table());
}

#[divan::bench]
fn text(bencher: divan::Bencher<'_, '_>) {
    scan(bencher, &scanner(&[]), "text.txt", &prose());
}

#[divan::bench]
fn text_with_markings(bencher: divan::Bencher<'_, '_>) {
    scan(bencher, &scanner(&["CUI//", "EXPORT CONTROLLED", "Aurora", "Project Blue"]), "text.txt", &prose());
}

#[divan::bench(args = std::env::var("SCAN").unwrap_or_default().split(',').map(str::to_owned).collect::<Vec<_>>())]
fn own(bencher: divan::Bencher<'_, '_>, file: &str) {
    let Ok(content) = std::fs::read(file) else { return bencher.bench(|| ()) };
    scan(bencher, &scanner(&[]), "file.txt", &content);
}
