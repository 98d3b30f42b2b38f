//! What `bench/compare` calls: makes data to measure with, the same bytes for the same arguments on every machine,
//! and measures what the hardware allows.

mod language;
mod speeds;
mod table;
mod text;
mod tree;
mod weights;

use std::path::PathBuf;

use clap::Parser;

/// What bench/compare needs: data, and the speed of one core
#[derive(Parser)]
struct Arguments {
    /// The folder to make data in, which is made if it is not there; the file to measure speeds with
    path: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Model weights in safetensors files
    Weights {
        /// Type of the numbers
        #[arg(long, value_enum)]
        float: weights::Float,
        /// Bytes in all
        #[arg(long)]
        bytes: u64,
        /// Number of files
        #[arg(long, default_value_t = 1)]
        shards: u32,
    },
    /// Conversations, one JSON object a line
    Text {
        /// Bytes, up to the end of the last line
        #[arg(long)]
        bytes: u64,
    },
    /// Measurements, as CSV
    Table {
        /// Bytes, up to the end of the last line
        #[arg(long)]
        bytes: u64,
    },
    /// Code, settings and notes of about 6 kB in nested folders
    Tree {
        /// Number of files
        #[arg(long)]
        files: u32,
    },
    /// SHA-256 and zstd on one core, in bytes a second, as JSON
    Speeds,
    /// Records of 1 kB, a file each
    Records {
        /// Number of files
        #[arg(long)]
        files: u32,
    },
}

fn main() -> anyhow::Result<()> {
    let Arguments { path, what } = Arguments::parse();
    if !matches!(what, What::Speeds) {
        std::fs::create_dir_all(&path)?;
    }
    match what {
        What::Speeds => speeds::print(&path),
        What::Weights { float, bytes, shards } => weights::write(&path, float, bytes, shards),
        What::Text { bytes } => text::write(&path, bytes),
        What::Table { bytes } => table::write(&path, bytes),
        What::Tree { files } => tree::write_tree(&path, files),
        What::Records { files } => tree::write_records(&path, files),
    }
}
