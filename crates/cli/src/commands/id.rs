//! `consign id`: the card of a key, for reading aloud.

use consign::operations::id;
use std::ffi::OsString;

use crate::args::{self, Given};

/// Print the card of a public key, fit for reading aloud
#[derive(clap::Args)]
pub(crate) struct Id {
    /// The public key: a file (PEM or OpenSSH), an OpenSSH line, or where the private one is kept:
    /// `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, `exec:NAME`
    #[arg(long, value_name = "PUB")]
    key: OsString,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
}

impl Id {
    pub(crate) fn request(&self) -> id::Id {
        id::Id { key: self.key.clone(), passphrase: (*self.passphrase).clone() }
    }
}
