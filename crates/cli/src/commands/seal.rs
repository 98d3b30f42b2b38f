//! `consign seal`: sign a directory where it lies.

use consign::operations::seal;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Sign a directory where it lies, without an archive
///
/// Writes a manifest and attestations into OUT. Everything in the directory is listed, the descriptor as well;
/// nothing may be left out, so that `consign verify DIR --manifest FILE` can account for every file.
#[derive(clap::Args)]
pub(crate) struct Seal {
    #[command(flatten)]
    source: Given<args::SourceArgs>,
    /// Where manifest and attestations go, outside the directory
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    scan: Given<args::ScanArgs>,
    #[command(flatten)]
    key: Given<args::KeyArgs>,
    #[command(flatten)]
    terms: Given<args::TermsArgs>,
    #[command(flatten)]
    provenance: Given<args::ProvenanceArgs>,
    /// Keep no copy of the manifest among the bundles that this machine knows
    #[arg(long)]
    no_remember: bool,
    /// How many threads hash [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Seal {
    pub(crate) fn request(&self) -> seal::Seal {
        seal::Seal {
            source: (*self.source).clone(),
            output: self.output.clone(),
            scan: (*self.scan).clone(),
            key: (*self.key).clone(),
            terms: (*self.terms).clone(),
            provenance: (*self.provenance).clone(),
            no_remember: self.no_remember,
            threads: self.threads,
        }
    }
}
