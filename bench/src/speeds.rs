//! How fast one core is at what cannot be avoided: SHA-256, and the compression that consign chooses.
//! The *floor* of `bench/compare` is made of these.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use consign_bundle::Compression;
use consign_bundle::stages::{self, Compressor, Decompressor};
use serde_json::json;
use sha2::{Digest, Sha256};

/// How long each speed is measured.
const TIME: Duration = Duration::from_millis(300);

/// Prints bytes a second as JSON, for content such as in `sample`.
pub(crate) fn print(sample: &Path) -> anyhow::Result<()> {
    let content = fs::read(sample)?;
    ensure!(!content.is_empty(), "the sample is empty");
    let pieces = stages::cut(&content).context("zstd could not compress")?;

    let sha256 = speed(&pieces, |piece| {
        std::hint::black_box(Sha256::digest(piece.content));
        Ok(piece.content.len())
    })?;
    let mut encoder = Compressor::new(Compression::Auto)?;
    let mut out = Vec::new();
    let compress = speed(&pieces, |piece| {
        encoder.compress(*piece, &mut out)?;
        Ok(piece.content.len())
    })?;
    let frames = pieces.iter().map(|piece| {
        let mut frame = Vec::new();
        encoder.compress(*piece, &mut frame)?;
        Ok((frame, u32::try_from(piece.content.len())?))
    });
    let frames = frames.collect::<anyhow::Result<Vec<_>>>()?;
    let mut decoder = Decompressor::new()?;
    let decompress = speed(&frames, |(frame, len)| {
        decoder.decompress(frame, *len, &mut out)?;
        Ok(out.len())
    })?;
    let speeds = json!({ "sha256": sha256, "compress": compress, "decompress": decompress });
    #[allow(clippy::print_stdout, reason = "the result")]
    {
        println!("{speeds}");
    }
    Ok(())
}

/// Goes through the pieces, again and again if they are few. `work` tells how many bytes of content it was.
fn speed<T>(pieces: &[T], mut work: impl FnMut(&T) -> anyhow::Result<usize>) -> anyhow::Result<f64> {
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
