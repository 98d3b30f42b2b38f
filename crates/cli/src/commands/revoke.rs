//! `consign revoke`: take a bundle back, signed.

use consign::operations::revoke;
use consign_metadata::{Line, Role};
use std::ffi::OsString;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Take a bundle back: sign a statement that it must not be used any more
///
/// The statement is written beside the bundle; send it to everybody who has the bundle. It counts for those who
/// trust the key, if that key signed the bundle, has the role `revoker`, or is a root key of their trust.
#[derive(clap::Args)]
pub(crate) struct Revoke {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Why, in one line
    #[arg(long, value_name = "TEXT")]
    reason: Line,
    /// The key to sign with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    #[arg(
        long,
        value_name = "KEY",
        env = "CONSIGN_KEY",
        hide_env_values = true,
        help_heading = "Key options"
    )]
    key: OsString,
    /// What to sign as
    #[arg(long, value_name = "ROLE", default_value = "owner", help_heading = "Key options")]
    role: Role,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
    /// The folder to write to [default: where the bundle is]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Revoke {
    pub(crate) fn request(&self) -> revoke::Revoke {
        revoke::Revoke {
            bundle: self.bundle.clone(),
            reason: self.reason.clone(),
            key: self.key.clone(),
            role: self.role.clone(),
            passphrase: (*self.passphrase).clone(),
            output: self.output.clone(),
        }
    }
}
