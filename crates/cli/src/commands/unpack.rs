//! `consign unpack`: verify and extract.

use consign::operations::unpack;
use consign_metadata::EntryPath;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Verify a bundle and extract it into a new directory
///
/// DEST must not exist. It appears, with everything in it, once every byte was verified.
#[derive(clap::Args)]
pub(crate) struct Unpack {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The directory to make
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    #[command(flatten)]
    vouching: Given<args::VouchingArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Extract even if nobody trusted vouches for the bundle; what is extracted may come from anyone
    #[arg(long, help_heading = "Trust options")]
    allow_untrusted: bool,
    /// Keep the BagIt layout, with the tag files
    #[arg(long, conflicts_with = "only")]
    bag: bool,
    /// Extract only this file, reading no more than it needs; may be repeated
    #[arg(long, value_name = "PATH")]
    only: Vec<EntryPath>,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Unpack {
    pub(crate) fn request(&self) -> unpack::Unpack {
        unpack::Unpack {
            bundle: self.bundle.clone(),
            destination: self.destination.clone(),
            vouching: (*self.vouching).clone(),
            policy: (*self.policy).clone(),
            identity: (*self.identity).clone(),
            allow_untrusted: self.allow_untrusted,
            bag: self.bag,
            only: self.only.clone(),
            threads: self.threads,
        }
    }
}
