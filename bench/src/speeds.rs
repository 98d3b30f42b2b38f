//! How fast one core is at what cannot be avoided: SHA-256 and zstd, with the libraries and levels that consign uses.
//! The *floor* of `bench/compare` is made of these.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};

/// About the size of a frame.
const PIECE: usize = 1 << 20;
/// How long each speed is measured.
const TIME: Duration = Duration::from_millis(300);

/// Prints bytes a second as JSON, for content such as in `sample`.
pub(crate) fn print(sample: &Path) -> anyhow::Result<()> {
    let content = fs::read(sample)?;
    ensure!(!content.is_empty(), "the sample is empty");
    let pieces: Vec<_> = content.chunks(PIECE).collect();
    // As consign's rule `auto-1`: level 1 for what keeps 70 % or more; else level 3, unless 1 is smaller.
    let (at_1, at_3) = (compressed(&pieces, 1)?, compressed(&pieces, 3)?);
    let dense = total(&at_1) * 10 >= content.len() * 7;
    let (level, frames) = if dense || total(&at_1) <= total(&at_3) { (1, at_1) } else { (3, at_3) };

    let sha256 = speed(&pieces, |piece| {
        std::hint::black_box(Sha256::digest(piece));
        Ok(piece.len())
    })?;
    let mut encoder = zstd_safe::CCtx::create();
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(PIECE));
    let compress = speed(&pieces, |piece| {
        encoder.compress(&mut out, piece, level).ok().context("zstd could not compress")?;
        Ok(piece.len())
    })?;
    let mut decoder = zstd_safe::DCtx::create();
    let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
    let mut out = Vec::with_capacity(PIECE);
    let decompress = speed(&frames, |frame| {
        decoder.decompress(&mut out, frame).ok().context("zstd could not decompress")
    })?;
    let speeds = json!({ "level": level, "sha256": sha256, "compress": compress, "decompress": decompress });
    #[allow(clippy::print_stdout, reason = "the result")]
    {
        println!("{speeds}");
    }
    Ok(())
}

fn compressed(pieces: &[&[u8]], level: i32) -> anyhow::Result<Vec<Vec<u8>>> {
    let frame = |piece: &&[u8]| {
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(piece.len()));
        zstd_safe::compress(&mut out, piece, level).ok().context("zstd could not compress")?;
        Ok(out)
    };
    pieces.iter().map(frame).collect()
}

fn total(frames: &[Vec<u8>]) -> usize {
    frames.iter().map(Vec::len).sum()
}

/// Goes through the pieces, again and again if they are few. `work` tells how many bytes of content it was.
fn speed(pieces: &[&[u8]], mut work: impl FnMut(&[u8]) -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut done = 0;
    for piece in pieces.iter().cycle() {
        done += work(piece)?;
        if start.elapsed() >= TIME {
            break;
        }
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
