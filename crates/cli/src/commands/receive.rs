//! `consign receive`: take bundles in, and sign what became of each.

use consign::operations::receive;
use consign_metadata::Role;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{self, Given};

/// Take bundles in: check each, ask the policy, unpack it where told, and sign a receipt
///
/// Every bundle of a folder is handled, whatever becomes of the others. A receipt is signed for a refusal too, with its
/// reasons; for what could not be looked at there is none. A revocation that lies there and counts puts aside what was
/// unpacked of its bundle.
#[derive(clap::Args)]
pub(crate) struct Receive {
    /// Archive, attestations, or folder with any number of bundles
    #[arg(value_name = "BUNDLE|INBOX", required = true)]
    bundles: Vec<PathBuf>,
    /// The key to sign receipts with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    #[arg(
        long,
        value_name = "KEY",
        env = "CONSIGN_KEY",
        hide_env_values = true,
        required_unless_present = "dry_run",
        help_heading = "Key options"
    )]
    key: Option<OsString>,
    /// What to sign as
    #[arg(
        long = "role",
        value_name = "ROLE",
        default_value = consign_signing::RECIPIENT,
        help_heading = "Key options"
    )]
    role: Role,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
    #[command(flatten)]
    trust: Given<args::TrustArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Unpack what is accepted into DIR/NAME-VERSION
    #[arg(long, value_name = "DIR")]
    unpack_to: Option<PathBuf>,
    /// Put receipts into this folder [default: beside each bundle]
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
    /// Say what would become of each bundle: nothing is signed, unpacked, moved or remembered
    #[arg(long)]
    dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Receive {
    pub(crate) fn request(&self) -> receive::Receive {
        receive::Receive {
            bundles: self.bundles.clone(),
            key: self.key.clone(),
            role: self.role.clone(),
            passphrase: (*self.passphrase).clone(),
            trust: (*self.trust).clone(),
            policy: (*self.policy).clone(),
            identity: (*self.identity).clone(),
            unpack_to: self.unpack_to.clone(),
            receipts: self.receipts.clone(),
            dry_run: self.dry_run,
            threads: self.threads,
        }
    }
}
