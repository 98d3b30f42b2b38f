//! Encrypting, as bytes come.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::recipient::Recipient;

/// Most recipients of one file, so that the header stays small beside the least bundle.
pub const RECIPIENTS_MAX: usize = 64;

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// There is nobody to encrypt to.
    #[error("there is no recipient")]
    NoRecipient,
    /// More than [`RECIPIENTS_MAX`].
    #[error("there are {0} recipients, where at most {RECIPIENTS_MAX} are allowed")]
    TooManyRecipients(usize),
    /// The header could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A writer that encrypts. Only [`finish`](Self::finish) makes the file whole: without it, it ends like one that was
/// cut short, and is refused as such.
pub struct Encryptor<W: Write> {
    stream: age::stream::StreamWriter<W>,
}

/// Begins a file that each of the recipients can open; one that is named twice is one. The header, which says how
/// many there are but not who, is written at once.
///
/// # Errors
/// No recipient, too many, or the header cannot be written.
pub fn encrypt<W: Write>(output: W, recipients: &[Recipient]) -> Result<Encryptor<W>, EncryptError> {
    let distinct: BTreeSet<&Recipient> = recipients.iter().collect();
    if distinct.is_empty() {
        return Err(EncryptError::NoRecipient);
    }
    if distinct.len() > RECIPIENTS_MAX {
        return Err(EncryptError::TooManyRecipients(distinct.len()));
    }
    let keys = distinct.iter().map(|recipient| recipient.key() as &dyn age::Recipient);
    // All of one kind, and at least one: there is nothing that age could object to.
    let encryptor = age::Encryptor::with_recipients(keys).map_err(io::Error::other)?;
    Ok(Encryptor { stream: encryptor.wrap_output(output)? })
}

impl<W: Write> Encryptor<W> {
    /// Writes the last chunk, and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(self) -> io::Result<W> {
        self.stream.finish()
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identities;

    #[test]
    fn somebody_must_be_able_to_open_it() {
        assert!(matches!(encrypt(Vec::new(), &[]), Err(EncryptError::NoRecipient)));
        let many: Vec<_> = (0..=RECIPIENTS_MAX).flat_map(|_| Identities::generate().recipients()).collect();
        assert!(matches!(encrypt(Vec::new(), &many), Err(EncryptError::TooManyRecipients(65))));
        assert!(encrypt(Vec::new(), &many[1..]).is_ok());
        let twice = [many[0].clone(), many[0].clone()];
        let file = encrypt(Vec::new(), &twice).unwrap().finish().unwrap();
        assert_eq!(String::from_utf8_lossy(&file).matches("-> X25519 ").count(), 1);
    }
}
