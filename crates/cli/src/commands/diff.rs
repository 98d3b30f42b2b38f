//! `consign diff`: what differs between bundles, manifests, directories.

use consign::operations::diff;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Show what differs between two bundles, manifests or directories
///
/// Bundles are taken at their word: `consign verify` tells whether it is good. Of a directory every file is
/// read; if it has no descriptor, only files are compared.
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// The old one: archive, attestations, manifest or directory
    #[arg(value_name = "A")]
    old: PathBuf,
    /// The new one
    #[arg(value_name = "B")]
    new: PathBuf,
    /// Exit with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
    /// How many threads hash [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Diff {
    pub(crate) fn request(&self) -> diff::Diff {
        diff::Diff {
            old: self.old.clone(),
            new: self.new.clone(),
            exit_code: self.exit_code,
            threads: self.threads,
        }
    }
}
