//! Weights of a model as training leaves them: a normal distribution around zero, which is what decides how
//! they compress.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xorshift::XorShiftRng;
use serde_json::json;

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Float {
    Bf16,
    Fp32,
}

/// Standard deviation: that of the initialisation of most transformers, which training hardly changes.
const DEVIATION: f32 = 0.02;
/// Numbers in a row of a tensor.
const COLUMNS: u64 = 4096;

/// Writes `bytes` in all, in `shards` files of about the same size with the usual names.
pub(crate) fn write(folder: &Path, float: Float, bytes: u64, shards: u32) -> anyhow::Result<()> {
    let (name, width) = match float {
        Float::Bf16 => ("BF16", 2),
        Float::Fp32 => ("F32", 4),
    };
    let rows = (bytes / u64::from(shards) / (COLUMNS * width)).max(1);
    for shard in 1..=shards {
        let file = match shards {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{shard:05}-of-{shards:05}.safetensors"),
        };
        let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join(file))?);
        // The safetensors format: the header's length, the header, the numbers.
        let end = rows * COLUMNS * width;
        let header =
            json!({ "weight": { "dtype": name, "shape": [rows, COLUMNS], "data_offsets": [0, end] } });
        let header = header.to_string();
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        let mut rng = XorShiftRng::seed_from_u64(u64::from(shard));
        for _ in 0..rows * COLUMNS {
            let number = rng.sample::<f32, _>(StandardNormal) * DEVIATION;
            match float {
                Float::Bf16 => out.write_all(&bf16(number))?,
                Float::Fp32 => out.write_all(&number.to_le_bytes())?,
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// The upper half of a number, rounded to even.
fn bf16(number: f32) -> [u8; 2] {
    let bits = number.to_bits();
    let [_, _, low, high] = (bits + 0x7fff + (bits >> 16 & 1)).to_le_bytes();
    [low, high]
}
