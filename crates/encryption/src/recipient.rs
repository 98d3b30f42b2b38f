//! Recipients: the public keys that something is encrypted to.

use std::fmt;
use std::str::FromStr;

use consign_metadata::{Problem, printable};

/// A public key of age: `age1…`, X25519. It has one spelling, and encrypting to it hides what is encrypted.
///
/// ```
/// use consign_encryption::{Identities, Recipient};
/// let text = Identities::generate().recipients()[0].to_string();
/// let recipient: Recipient = text.parse()?;
/// assert_eq!(recipient.to_string(), text);
/// assert!(text.to_uppercase().parse::<Recipient>().is_err());
/// # Ok::<(), consign_encryption::RecipientErrorKind>(())
/// ```
#[derive(Clone)]
pub struct Recipient {
    key: age::x25519::Recipient,
    text: String,
}

/// Why a line is no recipient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct RecipientError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub kind: RecipientErrorKind,
}

/// Why a text is no recipient. Where it may be a secret, it is not quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientErrorKind {
    /// A private key was given instead.
    #[error("this is an identity, the secret half of the pair; a recipient begins with `age1`")]
    IdentityGiven,
    /// A key of another kind.
    #[error("this is {0}; only age's own recipients (`age1…`, X25519) are taken")]
    OtherKind(&'static str),
    /// It does not begin with `age1`.
    #[error("`{0}` is no recipient: it does not begin with `age1`")]
    NotARecipient(String),
    /// A letter was lost, added or exchanged.
    #[error("`{0}` is no recipient: its checksum or length is wrong, so that a letter was lost or exchanged")]
    Checksum(String),
    /// Right, in another spelling.
    #[error("`{0}` is a recipient in another spelling than age's: lower case, with nothing before or behind")]
    NotCanonical(String),
    /// A point of small order: whatever is encrypted to it, anybody can read.
    #[error("`{0}` is a key that hides nothing: everybody could open what is encrypted to it")]
    Weak(String),
    /// There is nothing in the file but comments.
    #[error("there is no recipient")]
    None,
    /// The file is not text.
    #[error("this is not text in UTF-8")]
    NotText,
    /// The same recipient stands in the file twice.
    #[error("`{0}` stands there twice")]
    Repeated(String),
}

impl RecipientErrorKind {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::IdentityGiven => (
                "identity-given",
                "keep it secret; the recipient stands in its comment `# public key:`, and `age-keygen -y FILE` prints it",
            ),
            Self::OtherKind(_) => (
                "recipient-kind",
                "ask for a recipient made by `consign keygen --encryption` or `age-keygen`",
            ),
            Self::Weak(_) => ("recipient-weak", "ask whoever sent it for another one"),
            Self::None | Self::NotText => (
                "recipient-file",
                "the file holds one recipient a line; lines that begin with `#` are comments",
            ),
            Self::Repeated(_) => ("recipient-repeated", "remove one of the two lines"),
            Self::NotARecipient(_) | Self::Checksum(_) | Self::NotCanonical(_) => {
                ("recipient-malformed", "copy it again from where it was published")
            }
        };
        Problem::new(code, self.to_string()).hint(hint)
    }
}

impl RecipientError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        self.kind.problem().line(self.line)
    }
}

impl FromStr for Recipient {
    type Err = RecipientErrorKind;

    fn from_str(text: &str) -> Result<Self, RecipientErrorKind> {
        use RecipientErrorKind::{Checksum, IdentityGiven, NotARecipient, NotCanonical, OtherKind, Weak};
        let start: String = text.trim_start().chars().take(24).flat_map(char::to_lowercase).collect();
        if start.starts_with("age-secret-key-") || start.starts_with("age-plugin-") {
            return Err(IdentityGiven);
        }
        if start.starts_with("-----begin") {
            return Err(OtherKind("an armoured key or file"));
        }
        if ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| start.starts_with(kind)) {
            return Err(OtherKind("an SSH key"));
        }
        // Nobody writes so long a recipient; what it is need not be repeated in full.
        let quoted = || printable(&text.chars().take(100).collect::<String>());
        let Some((kind, _)) = start.rsplit_once('1').filter(|(kind, _)| kind.starts_with("age")) else {
            return Err(NotARecipient(quoted()));
        };
        // The letters of bech32 have no `1`: what stands between two of them names another kind.
        match kind.split_once('1') {
            None => {}
            Some((_, "pq" | "tag" | "tagpq")) => return Err(OtherKind("a recipient of another algorithm")),
            Some(_) => return Err(OtherKind("a recipient for a plugin")),
        }
        let Ok(key) = text.trim().parse::<age::x25519::Recipient>() else { return Err(Checksum(quoted())) };
        let canonical = key.to_string();
        if canonical != text {
            return Err(NotCanonical(quoted()));
        }
        if is_weak(&canonical) {
            return Err(Weak(quoted()));
        }
        Ok(Self { key, text: canonical })
    }
}

/// The points of small order on Curve25519 and its twist, by their u-coordinate, little-endian, as far as 255
/// bits spell them (RFC 7748 section 6.1; the list is that of libsodium). A shared secret with any of them is zero.
const SMALL_ORDER: [[u8; 32]; 7] = {
    const fn around_p(first: u8) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        bytes[0] = first;
        bytes[31] = 0x7f;
        bytes
    }
    const fn small(first: u8) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = first;
        bytes
    }
    [
        small(0),
        small(1),
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
            0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
            0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
        ],
        around_p(0xec),
        around_p(0xed),
        around_p(0xee),
    ]
};

fn is_weak(canonical: &str) -> bool {
    // What age has decoded decodes here too; were it not so, the key would not be taken.
    let Ok((_, mut bytes)) = bech32::decode(canonical) else { return true };
    // The highest bit has no meaning (RFC 7748 section 5).
    if let Some(last) = bytes.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.iter().any(|weak| bytes == weak)
}

impl Recipient {
    pub(crate) fn of(key: age::x25519::Recipient) -> Self {
        let text = key.to_string();
        Self { key, text }
    }

    pub(crate) fn key(&self) -> &age::x25519::Recipient {
        &self.key
    }

    /// The one spelling.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl PartialOrd for Recipient {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Recipient {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// Reads a file of recipients, as `age -R` does: one a line; empty lines and lines that begin with `#` do not
/// count.
///
/// # Errors
/// The first line that is no recipient, or that there is none.
pub fn parse_recipients(text: &[u8]) -> Result<Vec<Recipient>, RecipientError> {
    let fail = |line, kind| RecipientError { line, kind };
    let text = std::str::from_utf8(text).map_err(|_| fail(1, RecipientErrorKind::NotText))?;
    let mut found: Vec<Recipient> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let recipient: Recipient = line.parse().map_err(|kind| fail(number, kind))?;
        if found.contains(&recipient) {
            return Err(fail(number, RecipientErrorKind::Repeated(recipient.text)));
        }
        found.push(recipient);
    }
    if found.is_empty() { Err(fail(1, RecipientErrorKind::None)) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::RecipientErrorKind as Kind;
    use super::*;
    use crate::Identities;

    fn recipient() -> String {
        Identities::generate().recipients()[0].to_string()
    }

    fn error(text: &str) -> Kind {
        text.parse::<Recipient>().expect_err(text)
    }

    #[test]
    fn one_spelling() {
        let text = recipient();
        assert_eq!(text.parse::<Recipient>().unwrap().to_string(), text);
        assert!(matches!(error(&text.to_uppercase()), Kind::NotCanonical(_)));
        assert!(matches!(error(&format!("{text} ")), Kind::NotCanonical(_)));
        assert!(matches!(error(&format!(" {text}")), Kind::NotCanonical(_)));
        assert!(matches!(error(&text[..text.len() - 1]), Kind::Checksum(_)));
        let other = if text.ends_with('q') { "p" } else { "q" };
        assert!(matches!(error(&format!("{}{other}", &text[..text.len() - 1])), Kind::Checksum(_)));
        for none in ["", "ada@example.org", "bob", "1", "aged1xx"] {
            assert!(matches!(error(none), Kind::NotARecipient(_) | Kind::Checksum(_)), "{none}");
        }
    }

    #[test]
    fn a_secret_is_recognised_and_not_repeated() {
        let secret = Identities::generate().to_text();
        let line = secret.lines().find(|line| !line.starts_with('#')).unwrap();
        for given in [line.to_owned(), line.to_lowercase(), format!("  {line}")] {
            assert_eq!(error(&given), Kind::IdentityGiven);
            assert!(!error(&given).problem().to_string().contains(&given[20..40]));
        }
        let in_a_file = parse_recipients(secret.as_bytes()).unwrap_err();
        assert_eq!(in_a_file.kind, Kind::IdentityGiven);
        assert!(!in_a_file.to_string().contains(&line[20..40]));
    }

    #[test]
    fn other_kinds_are_named() {
        for (text, what) in [
            ("ssh-ed25519 AAAAC3Nza", "SSH"),
            ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugin"),
            ("age1pq1qqqqqq", "another algorithm"),
            ("age1tag1qqqqqq", "another algorithm"),
            ("-----BEGIN PUBLIC KEY-----", "armoured"),
        ] {
            let error = error(text);
            assert!(
                matches!(error, Kind::OtherKind(_)) && error.to_string().contains(what),
                "{text}: {error}"
            );
        }
    }

    /// age itself panics when it encrypts to one of these.
    #[test]
    fn keys_that_hide_nothing_are_refused() {
        let hrp = bech32::Hrp::parse("age").unwrap();
        for weak in SMALL_ORDER {
            for top in [0, 0x80] {
                let mut bytes = weak;
                bytes[31] |= top;
                let text = bech32::encode::<bech32::Bech32>(hrp, &bytes).unwrap();
                assert!(matches!(error(&text), Kind::Weak(_)), "{text}");
            }
        }
    }

    #[test]
    fn files_hold_one_a_line() {
        let (a, b) = (recipient(), recipient());
        let file = format!("# two laboratories\n{a}\n\n{b}\n");
        assert_eq!(
            parse_recipients(file.as_bytes()).unwrap().iter().map(Recipient::as_str).collect::<Vec<_>>(),
            [&a, &b]
        );
        let crlf = format!("{a}\r\n");
        assert_eq!(parse_recipients(crlf.as_bytes()).unwrap().len(), 1);
        let twice = format!("{a}\n{a}\n");
        assert!(matches!(
            parse_recipients(twice.as_bytes()).unwrap_err(),
            RecipientError { line: 2, kind: Kind::Repeated(_) }
        ));
        assert_eq!(parse_recipients(b"# nobody\n").unwrap_err().kind, Kind::None);
        assert_eq!(parse_recipients(b"\xff").unwrap_err().kind, Kind::NotText);
    }
}
