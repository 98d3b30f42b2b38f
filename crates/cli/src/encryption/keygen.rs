//! `consign keygen --encryption`: an identity to be encrypted to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_encryption::Identities;
use consign_signing::{KeyFileError, Passphrase, write_private_key_file, write_public_key_file};
use serde::Serialize;

use crate::outcome::{Failure, Report};
use crate::style;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MadeIdentity {
    identity: PathBuf,
    recipient_file: PathBuf,
    pub(crate) recipient: String,
    pub(crate) encrypted: bool,
}

impl Report for MadeIdentity {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let how = if self.encrypted { "encrypted" } else { "NOT encrypted" };
        writeln!(out, "identity     {} ({how}; keep it to yourself)", self.identity.display())?;
        writeln!(out, "recipient    {}", self.recipient_file.display())?;
        writeln!(out, "             {}", self.recipient)?;
        let word = style::shell_word(&self.identity.display().to_string());
        writeln!(
            out,
            "\nGive the recipient to those who are to send you encrypted bundles; let them compare it with\nyou by another way. What they send you opens with: --identity {word}"
        )
    }
}

/// Writes a new identity and its recipient, neither of which is there yet.
pub(crate) fn make(
    path: &Path,
    public: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<MadeIdentity, Failure> {
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
