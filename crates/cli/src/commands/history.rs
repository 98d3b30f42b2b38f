//! `consign history`: the versions of a bundle, and what became of each.

use consign::operations::history;
use consign_metadata::BundleName;

/// Show the versions of a bundle: when they were made, signed, handed over, to whom, with which receipts, and what
/// changed between them
#[derive(clap::Args)]
pub(crate) struct History {
    /// Name of the bundle
    #[arg(value_name = "NAME")]
    name: BundleName,
    /// Only what was handed to or received from one recipient
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
}

impl History {
    pub(crate) fn request(&self) -> history::History {
        history::History { name: self.name.clone(), to: self.to.clone() }
    }
}
