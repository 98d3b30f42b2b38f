//! `consign verify`: is it intact, and does someone trusted vouch for it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use consign::operations::verify;
use consign_metadata::EntryPath;

use crate::args::{self, Given};

/// Check that bundles are intact and that someone you trust vouches for them
///
/// BUNDLE is an archive, its attestations, or a folder that holds bundles; `-` is an archive on standard input,
/// with `--attestations`. With `--manifest`, BUNDLE is a directory that was unpacked or sealed.
#[derive(clap::Args)]
pub(crate) struct Verify {
    /// Archive, attestations, or folder
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
    #[command(flatten)]
    vouching: Given<args::VouchingArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Check every byte of the archive against its signature, but do not decode the content
    #[arg(long, conflicts_with_all = ["only", "manifest"])]
    quick: bool,
    /// Check only these files, reading no more than they need
    #[arg(long, value_name = "PATH", conflicts_with = "manifest")]
    only: Vec<EntryPath>,
    /// The attestations, where they do not lie beside the archive
    #[arg(long, value_name = "FILE")]
    attestations: Option<PathBuf>,
    /// Check a directory against this manifest
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The directory has the BagIt layout (`unpack --bag`)
    #[arg(long, requires = "manifest")]
    bag: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Verify {
    pub(crate) fn request(&self) -> verify::Verify {
        verify::Verify {
            bundles: self.bundles.clone(),
            vouching: (*self.vouching).clone(),
            policy: (*self.policy).clone(),
            identity: (*self.identity).clone(),
            quick: self.quick,
            only: self.only.clone(),
            attestations: self.attestations.clone(),
            manifest: self.manifest.clone(),
            bag: self.bag,
            threads: self.threads,
        }
    }
}
