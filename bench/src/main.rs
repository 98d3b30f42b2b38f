//! Makes data to measure with: the same bytes for the same arguments, on every machine. `bench/compare` calls it.

mod language;
mod table;
mod text;
mod tree;
mod weights;

use std::path::PathBuf;

use clap::Parser;

/// Makes data to measure consign and its peers with
#[derive(Parser)]
struct Arguments {
    /// The folder to make it in; made if it is not there
    folder: PathBuf,
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
    /// Records of 1 kB, a file each
    Records {
        /// Number of files
        #[arg(long)]
        files: u32,
    },
}

fn main() -> anyhow::Result<()> {
    let Arguments { folder, what } = Arguments::parse();
    std::fs::create_dir_all(&folder)?;
    match what {
        What::Weights { float, bytes, shards } => weights::write(&folder, float, bytes, shards),
        What::Text { bytes } => text::write(&folder, bytes),
        What::Table { bytes } => table::write(&folder, bytes),
        What::Tree { files } => tree::write_tree(&folder, files),
        What::Records { files } => tree::write_records(&folder, files),
    }
}
