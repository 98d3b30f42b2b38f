//! `consign preflight`: everything that packing and a recipient's policy would say, before a byte is packed.

use consign::operations::preflight;
use std::num::NonZeroUsize;

use crate::args::{self, Given};

/// Say what would be refused, before anything is packed
///
/// Holds the directory against your own handling policy, and against the policies that laboratories publish.
/// Writes nothing.
#[derive(clap::Args)]
pub(crate) struct Preflight {
    #[command(flatten)]
    source: Given<args::SourceArgs>,
    #[command(flatten)]
    scan: Given<args::ScanArgs>,
    #[command(flatten)]
    terms: Given<args::TermsArgs>,
    /// Whom it will be encrypted to, as `pack` takes it; may be repeated
    #[arg(long, value_name = "RECIPIENT", help_heading = "Encryption options")]
    encrypt_to: Vec<String>,
    /// Do not read the content; what only the content can say is not asked
    #[arg(long, conflicts_with = "findings_allow")]
    no_scan: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Preflight {
    pub(crate) fn request(&self) -> preflight::Preflight {
        preflight::Preflight {
            source: (*self.source).clone(),
            scan: (*self.scan).clone(),
            terms: (*self.terms).clone(),
            encrypt_to: self.encrypt_to.clone(),
            no_scan: self.no_scan,
            threads: self.threads,
        }
    }
}
