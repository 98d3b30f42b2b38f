//! `consign decrypt`: an encrypted bundle, verified and as it was before.

use consign::operations::decrypt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Decrypt a bundle into its ordinary files, once everything was verified
///
/// The files appear in OUT under the names that they had before they were encrypted. Nothing is overwritten.
#[derive(clap::Args)]
pub(crate) struct Decrypt {
    /// Encrypted archive, its attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Where the bundle goes; made if it is not there
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    vouching: Given<args::VouchingArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    /// Decrypt even if nobody trusted vouches for the bundle; what is decrypted may come from anyone
    #[arg(long, help_heading = "Trust options")]
    allow_untrusted: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Decrypt {
    pub(crate) fn request(&self) -> decrypt::Decrypt {
        decrypt::Decrypt {
            bundle: self.bundle.clone(),
            identity: (*self.identity).clone(),
            output: self.output.clone(),
            vouching: (*self.vouching).clone(),
            policy: (*self.policy).clone(),
            allow_untrusted: self.allow_untrusted,
            threads: self.threads,
        }
    }
}
