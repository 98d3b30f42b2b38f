//! `consign amend`: a new version with a corrected descriptor, out of the bundle alone.

use consign::operations::amend;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Make a new version of a bundle with a corrected descriptor, out of the bundle alone
///
/// The files stay as they are, and so do their compressed frames: only what describes them is made anew. The new
/// version names the old one among its `parents`. The old bundle is verified fully first, and must be signed by
/// somebody trusted, or by the key that signs now.
#[derive(clap::Args)]
pub(crate) struct Amend {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The corrected descriptor
    #[arg(long, value_name = "FILE")]
    descriptor: PathBuf,
    /// The new version, if it is not that of the descriptor
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// A pattern that the bundle was packed with and that does not stand in the descriptor; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Where the new version goes; made if it is not there
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    key: Given<args::KeyArgs>,
    /// A public key that must have signed the old version, instead of the configured trust; may be repeated
    #[arg(long = "signer", value_name = "PUB", help_heading = "Trust options")]
    signers: Vec<String>,
    /// The trust policy to use instead of the configured one
    #[arg(
        long,
        value_name = "FILE",
        env = "CONSIGN_TRUST",
        conflicts_with = "signers",
        help_heading = "Trust options"
    )]
    trust: Option<PathBuf>,
    /// Copy the content without looking at it, as fast as the file system can; the signature says so
    ///
    /// If the old archive was altered, the new one does not verify.
    #[arg(long)]
    unseen: bool,
    #[command(flatten)]
    terms: Given<args::TermsArgs>,
    #[command(flatten)]
    scan: Given<args::ScanArgs>,
    #[command(flatten)]
    keep: Given<args::KeepArgs>,
    /// Check everything that can be checked without reading content, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Amend {
    pub(crate) fn request(&self) -> amend::Amend {
        amend::Amend {
            bundle: self.bundle.clone(),
            descriptor: self.descriptor.clone(),
            version: self.version.clone(),
            exclude: self.exclude.clone(),
            output: self.output.clone(),
            key: (*self.key).clone(),
            signers: self.signers.clone(),
            trust: self.trust.clone(),
            unseen: self.unseen,
            terms: (*self.terms).clone(),
            scan: (*self.scan).clone(),
            keep: (*self.keep).clone(),
            dry_run: self.dry_run,
            threads: self.threads,
        }
    }
}
