//! What each way to compress makes of files, as a table in Markdown: `docs/compression.md`.
//!
//! `cargo bench -p consign-bundle --bench compression -- FILE…`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that prints a table")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use consign_bundle::Compression;
use consign_bundle::stages::{Compressor, Decompressor, RawFrame, cut};

const WAYS: [Compression; 4] =
    [Compression::Store, Compression::Level(1), Compression::Level(3), Compression::Auto];
const RUNS: usize = 5;

/// Size and times of one way.
#[derive(Default)]
struct Measured {
    size: usize,
    compress: Vec<Duration>,
    decompress: Vec<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if files.is_empty() {
        eprintln!("usage: cargo bench -p consign-bundle --bench compression -- FILE...");
        return Ok(());
    }
    println!(
        "| file | MB | mean frame, KiB | cut, GB/s | `zstd -3`, one stream | `--store` | `--level 1` | `--level 3` | `auto-2` |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for file in &files {
        println!("{}", row(Path::new(file))?);
    }
    println!(
        "\nIn each cell: size in % of the file, compressing, decompressing, in MB/s on one core; medians of {RUNS} runs."
    );
    Ok(())
}

fn row(path: &Path) -> Result<String, Box<dyn Error>> {
    let content = std::fs::read(path)?;
    let mut cutting = Vec::new();
    let mut frames = Vec::new();
    let mut measured: [Measured; WAYS.len()] = Default::default();
    // In turn, so that a slow moment of the machine meets all of them.
    for _ in 0..RUNS {
        let start = Instant::now();
        frames = cut(&content)?;
        cutting.push(start.elapsed());
        for (way, measured) in WAYS.into_iter().zip(&mut measured) {
            run(way, &frames, measured)?;
        }
    }
    let whole = one_stream(&content)?;
    let percent = |size: usize| 100.0 * size as f64 / content.len() as f64;
    let speed = |times: &mut [Duration]| content.len() as f64 / 1e6 / median(times).as_secs_f64();
    let mut row = format!(
        "| {} | {:.0} | {} | {:.1} | {:.2} |",
        path.file_name().unwrap_or_default().display(),
        content.len() as f64 / 1e6,
        content.len() / frames.len().max(1) / 1024,
        speed(&mut cutting) / 1e3,
        percent(whole),
    );
    for way in &mut measured {
        let (compress, decompress) = (speed(&mut way.compress), speed(&mut way.decompress));
        row += &format!(" {:.2}, {compress:.0}, {decompress:.0} |", percent(way.size));
    }
    Ok(row)
}

fn run(way: Compression, frames: &[RawFrame<'_>], measured: &mut Measured) -> Result<(), Box<dyn Error>> {
    let mut compressor = Compressor::new(way).expect("there is memory");
    let mut decompressor = Decompressor::new().expect("there is memory");
    let (mut compressed, mut decoded) = (Vec::new(), Vec::new());
    let (mut compress, mut decompress) = (Duration::ZERO, Duration::ZERO);
    measured.size = 0;
    for &frame in frames {
        let start = Instant::now();
        compressor.compress(frame, &mut compressed)?;
        compress += start.elapsed();
        measured.size += compressed.len();
        let start = Instant::now();
        decompressor.decompress(&compressed, u32::try_from(frame.content.len())?, &mut decoded)?;
        decompress += start.elapsed();
        if decoded != frame.content {
            return Err("a frame does not decode to what it was made of".into());
        }
    }
    measured.compress.push(compress);
    measured.decompress.push(decompress);
    Ok(())
}

/// The size that `zstd -3` gives, of which the long window helps and nothing can be read alone.
fn one_stream(content: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    zstd_safe::compress(&mut out, content, 3).map_err(|code| zstd_safe::get_error_name(code).into())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
