//! `consign inspect`: what a bundle says of itself. It trusts nothing and verifies nothing.

use consign::operations::inspect;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Show what a bundle says of itself: claims, not verdicts
///
/// Reads the end of the archive only. Nothing is verified; `consign verify` does that.
#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// Archive, attestations, folder with one bundle, or a manifest
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// List the files
    #[arg(long)]
    files: bool,
}

impl Inspect {
    pub(crate) fn request(&self) -> inspect::Inspect {
        inspect::Inspect {
            bundle: self.bundle.clone(),
            identity: (*self.identity).clone(),
            files: self.files,
        }
    }
}
