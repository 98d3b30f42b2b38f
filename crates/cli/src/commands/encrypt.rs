//! `consign encrypt`: a signed bundle, encrypted to recipients.

use consign::operations::encrypt;
use consign_metadata::Line;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Encrypt a signed bundle to recipients
///
/// The bundle is verified first. Two files are written into OUT: the encrypted archive, and the attestations that let
/// anybody verify where it comes from without opening it. Your own signature travels inside; those of others do not.
#[derive(clap::Args)]
pub(crate) struct Encrypt {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Who is to open it: a name in the policy, `age1…`, or a file of such; may be repeated
    #[arg(long, value_name = "RECIPIENT", required = true, help_heading = "Encryption options")]
    to: Vec<String>,
    /// Whom it is for, by the name that they go by; may be repeated
    #[arg(long = "for", value_name = "NAME")]
    addressees: Vec<Line>,
    /// Where the encrypted bundle goes; made if it is not there
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// The key that has signed the bundle, wherever it is kept
    #[arg(
        long,
        value_name = "KEY",
        env = "CONSIGN_KEY",
        hide_env_values = true,
        help_heading = "Key options"
    )]
    key: OsString,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    parents: Given<args::ParentArgs>,
    /// How many threads verify [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Encrypt {
    pub(crate) fn request(&self) -> encrypt::Encrypt {
        encrypt::Encrypt {
            bundle: self.bundle.clone(),
            to: self.to.clone(),
            addressees: self.addressees.clone(),
            output: self.output.clone(),
            key: self.key.clone(),
            passphrase: (*self.passphrase).clone(),
            policy: (*self.policy).clone(),
            parents: (*self.parents).clone(),
            threads: self.threads,
        }
    }
}
