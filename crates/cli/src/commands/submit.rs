//! `consign submit`: hand a bundle over.

use consign::operations::submit;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Hand a bundle over: check it, ask the policy, and copy it to where the recipients look
///
/// The bundle is verified fully first, and the signatures that its classification demands must be there. What is
/// copied is what was verified; it appears under its names once all of it has arrived.
#[derive(clap::Args)]
pub(crate) struct Submit {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Where to: a recipient or a destination of the policy by name, or a folder; may be repeated
    #[arg(long, value_name = "NAME|DIR", required = true)]
    to: Vec<String>,
    #[command(flatten)]
    vouching: Given<args::VouchingArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    laboratories: Given<args::LaboratoryArgs>,
    #[command(flatten)]
    parents: Given<args::ParentArgs>,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Say what would be refused, and copy nothing
    #[arg(long)]
    dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Submit {
    pub(crate) fn request(&self) -> submit::Submit {
        submit::Submit {
            bundle: self.bundle.clone(),
            to: self.to.clone(),
            vouching: (*self.vouching).clone(),
            policy: (*self.policy).clone(),
            laboratories: (*self.laboratories).clone(),
            parents: (*self.parents).clone(),
            identity: (*self.identity).clone(),
            dry_run: self.dry_run,
            threads: self.threads,
        }
    }
}
