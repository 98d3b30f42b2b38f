//! `consign keygen --encryption`: an identity to be encrypted to.

use std::path::{Path, PathBuf};

use consign_encryption::Identities;
use consign_signing::{KeyFileError, Passphrase, write_private_key_file, write_public_key_file};
use serde::Serialize;

use crate::failure::Failure;

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MadeIdentity {
    pub identity: PathBuf,
    pub recipient_file: PathBuf,
    pub recipient: String,
    pub encrypted: bool,
}

/// Writes a new identity and its recipient, neither of which is there yet.
pub fn make(path: &Path, public: &Path, passphrase: Option<&Passphrase>) -> Result<MadeIdentity, Failure> {
    let identities = Identities::generate();
    let text = match passphrase {
        Some(passphrase) => identities
            .to_encrypted_text(passphrase)
            .map(zeroize::Zeroizing::new)
            .map_err(|error| Failure::usage(error.problem()))?,
        None => identities.to_text(),
    };
    let recipient = identities.recipients().first().map(ToString::to_string).unwrap_or_default();
    let written = |error: KeyFileError| Failure::failed(error.problem());
    write_private_key_file(path, &text).map_err(written)?;
    if let Err(error) = write_public_key_file(public, &format!("{recipient}\n")) {
        // Half a pair is of no use; the identity has not left this function.
        let _ = std::fs::remove_file(path);
        return Err(written(error));
    }
    Ok(MadeIdentity {
        identity: path.into(),
        recipient_file: public.into(),
        recipient,
        encrypted: passphrase.is_some(),
    })
}
