//! `consign pack`: make a bundle and sign it.

use consign::operations::pack;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Pack a directory into a signed bundle
///
/// Writes three files into OUT: the archive (NAME-VERSION.tar.zst), a copy of its manifest, and the attestations
/// that hold the signatures. The same input gives the same archive, on any machine. Nothing is overwritten.
#[derive(clap::Args)]
pub(crate) struct Pack {
    #[command(flatten)]
    source: Given<args::SourceArgs>,
    /// Where the bundle goes; made if it is not there
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    scan: Given<args::ScanArgs>,
    #[command(flatten)]
    key: Given<args::KeyArgs>,
    #[command(flatten)]
    terms: Given<args::TermsArgs>,
    /// How many threads compress [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// One zstd level for everything, 1 to 19 [default: chosen by the content]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=19))]
    level: Option<u8>,
    /// Compress nothing, for content that is compressed already or when only time counts
    #[arg(long, conflicts_with = "level")]
    store: bool,
    /// Use the compressed frames of an earlier archive again where the content is the same; may be repeated
    ///
    /// The archive need not be trusted: every frame is decoded and compared with what is packed. The result is
    /// the same as without it.
    #[arg(long, value_name = "ARCHIVE")]
    base: Vec<PathBuf>,
    /// If packing is cut short, keep what is finished, and go on from there the next time
    ///
    /// What is kept lies in OUT under hidden names, and is checked against the directory before it is used.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    encrypt: Given<args::EncryptArgs>,
    #[command(flatten)]
    provenance: Given<args::ProvenanceArgs>,
    #[command(flatten)]
    keep: Given<args::KeepArgs>,
    /// Keep no copy of the manifest among the bundles that this machine knows
    #[arg(long)]
    no_remember: bool,
    /// Check everything that can be checked before reading content, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Pack {
    pub(crate) fn request(&self) -> pack::Pack {
        pack::Pack {
            source: (*self.source).clone(),
            output: self.output.clone(),
            scan: (*self.scan).clone(),
            key: (*self.key).clone(),
            terms: (*self.terms).clone(),
            threads: self.threads,
            level: self.level,
            store: self.store,
            base: self.base.clone(),
            resume: self.resume,
            encrypt: (*self.encrypt).clone(),
            provenance: (*self.provenance).clone(),
            keep: (*self.keep).clone(),
            no_remember: self.no_remember,
            dry_run: self.dry_run,
        }
    }
}
