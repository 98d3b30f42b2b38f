//! Passphrases: secrets that are wiped, and the question that asks for one.

use zeroize::Zeroizing;

use crate::fingerprint::Fingerprint;

/// Longest passphrase, in bytes.
const PASSPHRASE_MAX: usize = 1024;

/// A passphrase with fewer characters than this is easy to guess.
pub const PASSPHRASE_EASY: usize = 12;
/// The same for one with fewer different characters.
const DIFFERENT_EASY: usize = 5;

/// A passphrase. It is wiped when dropped and never printed.
///
/// ```
/// use consign_signing::Passphrase;
/// assert!(Passphrase::from_line(b"correct horse battery staple\n").is_ok());
/// assert!(Passphrase::from_line(b"\n").is_err());
/// ```
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// Why bytes are not a passphrase. It never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Nothing.
    #[error("the passphrase is empty")]
    Empty,
    /// More than 1024 bytes.
    #[error("the passphrase is longer than {PASSPHRASE_MAX} bytes")]
    TooLong,
    /// A line feed, carriage return or NUL inside. Other tools would read only the part before it.
    #[error("the passphrase holds a line end or a NUL")]
    LineEnd,
}

impl Passphrase {
    /// A passphrase from its bytes.
    ///
    /// # Errors
    /// Empty, too long, or a line end or NUL inside.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, PassphraseError> {
        match bytes.as_slice() {
            [] => Err(PassphraseError::Empty),
            all if all.len() > PASSPHRASE_MAX => Err(PassphraseError::TooLong),
            all if all.iter().any(|b| matches!(b, b'\n' | b'\r' | 0)) => Err(PassphraseError::LineEnd),
            _ => Ok(Self(bytes)),
        }
    }

    /// A passphrase from a file or descriptor that holds one line; its LF or CR LF does not belong to it.
    ///
    /// # Errors
    /// As [`new`](Self::new); more than one line is an error too.
    pub fn from_line(bytes: &[u8]) -> Result<Self, PassphraseError> {
        let line = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
        Self::new(Zeroizing::new(line.to_vec()))
    }

    /// Whether it is too easy to guess to protect a new key: it is shorter than twelve characters, or made of fewer than five
    /// different ones. No such rule tells a good passphrase; it keeps out those that a thief of the file tries first.
    ///
    /// ```
    /// use consign_signing::Passphrase;
    /// let easy = |text: &str| Passphrase::from_line(text.as_bytes()).is_ok_and(|one| one.is_easy_to_guess());
    /// assert!(easy("pw") && easy("abababababababab") && !easy("correct horse battery staple"));
    /// ```
    pub fn is_easy_to_guess(&self) -> bool {
        // What is no UTF-8 is counted by bytes.
        let (length, different): (usize, Vec<u32>) = match std::str::from_utf8(&self.0) {
            Ok(text) => (text.chars().count(), text.chars().map(u32::from).collect()),
            Err(_) => (self.0.len(), self.0.iter().copied().map(u32::from).collect()),
        };
        let mut different = Zeroizing::new(different);
        different.sort_unstable();
        different.dedup();
        length < PASSPHRASE_EASY || different.len() < DIFFERENT_EASY
    }

    /// Whether it is the same as another, as when a new one is typed twice.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The secret itself, for whoever derives a key from it. It must not be kept or shown.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// What a passphrase is asked for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PassphraseRequest {
    /// The fingerprint that the file claims, where it says one outside of what is encrypted (OpenSSH does). It
    /// is checked only after decryption: fit for a prompt, for nothing else.
    pub claimed: Option<Fingerprint>,
}

/// The answer to a request: a passphrase, `None` if there is none to be had (no terminal, nothing configured),
/// or why asking failed.
pub type PassphraseAnswer = Result<Option<Passphrase>, Box<dyn std::error::Error + Send + Sync>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_never_shown() {
        let passphrase = Passphrase::from_line(b" two words \r\n").unwrap();
        assert_eq!(passphrase.as_bytes(), b" two words ");
        assert_eq!(format!("{passphrase:?}"), "Passphrase(…)");
        for (bad, error) in [
            (&b""[..], PassphraseError::Empty),
            (b"\r\n", PassphraseError::Empty),
            (b"a\nb", PassphraseError::LineEnd),
            (b"a\n\n", PassphraseError::LineEnd),
            (b"a\0", PassphraseError::LineEnd),
            (&[b'x'; 1025], PassphraseError::TooLong),
        ] {
            assert_eq!(Passphrase::from_line(bad).unwrap_err(), error);
        }
    }
}
