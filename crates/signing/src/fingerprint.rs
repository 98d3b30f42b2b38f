//! What a person compares to recognise a key.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use consign_metadata::{Sha256Digest, to_hex};

/// The SHA-256 of a public key in SSH's wire form (RFC 4253 section 6.6, RFC 8709 section 4).
///
/// It has two spellings for the same 32 bytes. [`Display`](fmt::Display) gives `SHA256:` and unpadded base64,
/// character for character what `ssh-keygen -lf` prints. [`groups`](Self::groups) gives hexadecimal digits in
/// groups, which can be read aloud over a telephone: base64 cannot, because its upper and lower case differ.
///
/// Comparison is exact and over all 32 bytes; there is no short form.
///
/// ```
/// use consign_signing::{Fingerprint, PrivateKey, Signer};
/// let key = PrivateKey::generate()?;
/// let fingerprint = key.public_key().fingerprint();
/// assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
/// assert_eq!(fingerprint.groups().parse(), Ok(fingerprint));
/// # Ok::<(), consign_signing::PrivateKeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// Why a text is not a [`Fingerprint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// An MD5 fingerprint, as old tools print them.
    #[error("an MD5 fingerprint is not accepted; `ssh-keygen -lf FILE` prints the SHA-256 one")]
    Md5,
    /// Anything else.
    #[error(
        "not a fingerprint: it is `SHA256:` and 43 characters, as `ssh-keygen -lf` prints it, or 64 hexadecimal digits, in groups or not"
    )]
    Malformed,
}

impl Fingerprint {
    /// The fingerprint of a key in SSH's wire form.
    pub(crate) fn of_wire(wire: &[u8]) -> Self {
        Self(*Sha256Digest::of(wire).as_bytes())
    }

    /// The same bytes as 64 hexadecimal digits: four lines, in each four groups of four.
    ///
    /// There is no line feed at the end.
    pub fn groups(&self) -> String {
        let digits = to_hex(&self.0);
        let mut text = String::with_capacity(80);
        for (index, digit) in digits.chars().enumerate() {
            match index {
                0 => {}
                _ if index % 16 == 0 => text.push('\n'),
                _ if index % 4 == 0 => text.push(' '),
                _ => {}
            }
            text.push(digit);
        }
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads either spelling. In the hexadecimal one, spaces, line ends and the case of letters carry no meaning:
/// it is typed by people.
impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        if text.len() > 1024 {
            return Err(FingerprintError::Malformed);
        }
        if text.starts_with("MD5:") {
            return Err(FingerprintError::Md5);
        }
        let bytes: Option<[u8; 32]> = match text.strip_prefix("SHA256:") {
            // The engine refuses unused bits that are not zero, so one value has one spelling.
            Some(base64) => STANDARD_NO_PAD.decode(base64).ok().and_then(|bytes| bytes.try_into().ok()),
            None => {
                let digits: String = text.split_ascii_whitespace().collect();
                Sha256Digest::from_hex(&digits.to_ascii_lowercase()).ok().map(|digest| *digest.as_bytes())
            }
        };
        bytes.map(Self).ok_or(FingerprintError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_and_no_other() {
        let print = Fingerprint::of_wire(b"abc");
        assert_eq!(
            print.groups(),
            "ba78 16bf 8f01 cfea\n4141 40de 5dae 2223\nb003 61a3 9617 7a9c\nb410 ff61 f200 15ad"
        );
        assert_eq!(print.to_string(), "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
        assert_eq!(print.groups().to_uppercase().parse(), Ok(print));
        for bad in [
            "",
            "SHA256:",
            "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1",
            "SHA256:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
            "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa",
            "sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
            "ba78 16bf",
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError::Malformed), "{bad:?}");
        }
        assert_eq!("MD5:00:11".parse::<Fingerprint>(), Err(FingerprintError::Md5));
    }
}
