//! Identities: the private keys that open what was encrypted to their recipients.

use std::fmt;
use std::io::{Read as _, Write as _};

use age::secrecy::{ExposeSecret as _, SecretString};
use consign_metadata::Problem;
use consign_signing::{Passphrase, PassphraseAnswer};
use zeroize::Zeroizing;

use crate::decrypt::{self, DecryptError};
use crate::recipient::Recipient;

/// Most identities in one file. Each of them is tried on each stanza of a header.
pub const IDENTITIES_MAX: usize = 64;
/// Highest work factor of a passphrase, as the logarithm to base 2 of scrypt's N: 1 GiB of memory. age writes 18
/// (256 MiB), and `rage` as much as takes a second.
pub const WORK_FACTOR_MAX: u8 = 20;
/// What is written, as age does.
const WORK_FACTOR: u8 = 18;

/// First bytes of a file in the age format, bare and in armour.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// Private keys of age, `AGE-SECRET-KEY-1…`: at least one. They are wiped when dropped, and never shown but by
/// [`to_text`](Self::to_text).
///
/// ```
/// use consign_encryption::Identities;
/// use consign_signing::Passphrase;
/// let identities = Identities::generate();
/// let file = identities.to_text();
/// let read = Identities::parse(file.as_bytes(), &mut || Ok(None))?;
/// assert_eq!(read.recipients(), identities.recipients());
/// # Ok::<(), consign_encryption::IdentityError>(())
/// ```
#[derive(Clone)]
pub struct Identities {
    list: Vec<age::x25519::Identity>,
}

/// Why a text holds no identities. It never quotes the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A public key was given instead.
    #[error(
        "line {0} is a recipient, the public half of the pair; only the identity opens what is encrypted to it"
    )]
    RecipientGiven(usize),
    /// A private key for signing, or another file in armour.
    #[error("this is a key for something else: an age identity begins with `AGE-SECRET-KEY-1`")]
    OtherKey,
    /// An identity of another kind.
    #[error("line {0} is an identity for a plugin; only age's own identities (X25519) are taken")]
    Plugin(usize),
    /// A line that is no identity.
    #[error("line {0} is no identity: a letter was lost or exchanged, or it is something else")]
    Malformed(usize),
    /// Nothing but comments.
    #[error("there is no identity in it")]
    None,
    /// More than [`IDENTITIES_MAX`].
    #[error("there are more than {IDENTITIES_MAX} identities in it")]
    TooMany,
    /// The file is encrypted, to something else than a passphrase.
    #[error("it is encrypted to a key; only a passphrase can be asked for")]
    NotByPassphrase,
    /// The file is encrypted, and there is no passphrase.
    #[error("it is encrypted, and there is no passphrase")]
    PassphraseNeeded,
    /// Asking for the passphrase failed.
    #[error("the passphrase could not be asked for: {0}")]
    Asking(String),
    /// The passphrase does not open it.
    #[error("the passphrase is not the right one")]
    WrongPassphrase,
    /// The passphrase is not UTF-8, which age demands.
    #[error("the passphrase is not in UTF-8, as age's are")]
    PassphraseNotText,
    /// The passphrase would take too much memory and time to try.
    #[error("the passphrase has the work factor {required}, where at most {allowed} is allowed")]
    ExcessiveWork {
        /// What the file demands, as the logarithm to base 2.
        required: u8,
        /// [`WORK_FACTOR_MAX`].
        allowed: u8,
    },
    /// The file is encrypted, and damaged.
    #[error(transparent)]
    Damaged(DecryptError),
}

impl IdentityError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::RecipientGiven(_) => (
                "recipient-given",
                Some("name the file that `consign keygen --encryption` or `age-keygen` wrote"),
            ),
            Self::OtherKey => (
                "identity-kind",
                Some("signing keys do not decrypt: make an identity with `consign keygen --encryption`"),
            ),
            Self::Plugin(_) | Self::NotByPassphrase => (
                "identity-kind",
                Some("decrypt the file with the program that made the key, and verify the result"),
            ),
            Self::Malformed(_) | Self::None | Self::TooMany => (
                "identity-malformed",
                Some("the file holds one identity a line; lines that begin with `#` are comments"),
            ),
            Self::PassphraseNeeded => ("passphrase-needed", None),
            Self::Asking(_) | Self::PassphraseNotText => ("passphrase", None),
            Self::WrongPassphrase => ("wrong-passphrase", None),
            Self::ExcessiveWork { .. } => {
                ("excessive-work", Some("decrypt it with `age -d` and encrypt it again: age -p -o NEW OLD"))
            }
            Self::Damaged(_) => ("identity-damaged", Some("fetch the file again from where you keep it")),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl Identities {
    /// A new identity.
    pub fn generate() -> Self {
        Self { list: vec![age::x25519::Identity::generate()] }
    }

    /// Reads an identity file, as age does: one identity a line, comments with `#`; or all of that encrypted with a
    /// passphrase, bare or in armour. `ask` is called if it is.
    ///
    /// # Errors
    /// The first line that is no identity; a passphrase that is not to be had, is wrong, or has a work factor above
    /// [`WORK_FACTOR_MAX`].
    pub fn parse(text: &[u8], ask: &mut dyn FnMut() -> PassphraseAnswer) -> Result<Self, IdentityError> {
        if !text.starts_with(MAGIC) && !text.starts_with(ARMOR) {
            return Self::parse_lines(text);
        }
        let file = EncryptedIdentities::read(text)?;
        let answer = ask();
        let passphrase = answer.map_err(|error| IdentityError::Asking(error.to_string()))?;
        let secret = secret(&passphrase.ok_or(IdentityError::PassphraseNeeded)?)?;
        Self::parse_lines(&file.open(secret)?)
    }

    fn parse_lines(text: &[u8]) -> Result<Self, IdentityError> {
        if text.starts_with(b"-----BEGIN ") {
            return Err(IdentityError::OtherKey);
        }
        let text = std::str::from_utf8(text).map_err(|_| IdentityError::Malformed(1))?;
        let mut list = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with("age1") {
                return Err(IdentityError::RecipientGiven(number));
            }
            if line.starts_with("AGE-PLUGIN-") {
                return Err(IdentityError::Plugin(number));
            }
            let identity: age::x25519::Identity =
                line.parse().map_err(|_| IdentityError::Malformed(number))?;
            if identity.to_string().expose_secret() != line {
                return Err(IdentityError::Malformed(number));
            }
            if list.len() == IDENTITIES_MAX {
                return Err(IdentityError::TooMany);
            }
            list.push(identity);
        }
        if list.is_empty() { Err(IdentityError::None) } else { Ok(Self { list }) }
    }

    /// The identities of both.
    pub fn join(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self
    }

    /// The recipients that they open, in the order of the file.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.list.iter().map(|identity| Recipient::of(identity.to_public())).collect()
    }

    /// The text of an identity file, with its recipients as comments, as `age-keygen` writes it.
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for everything at once: a string that grows leaves copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(256 * self.list.len()));
        for identity in &self.list {
            text.push_str("# public key: ");
            text.push_str(&identity.to_public().to_string());
            text.push('\n');
            text.push_str(identity.to_string().expose_secret());
            text.push('\n');
        }
        text
    }

    /// The same, encrypted with a passphrase: what `age -p` makes, and `age -d -i` takes.
    ///
    /// # Errors
    /// The passphrase is not UTF-8.
    pub fn to_encrypted_text(&self, passphrase: &Passphrase) -> Result<String, IdentityError> {
        let mut recipient = age::scrypt::Recipient::new(secret(passphrase)?);
        recipient.set_work_factor(WORK_FACTOR);
        // Into memory, with one recipient of this kind: nothing in it can fail.
        let failed = |error: String| IdentityError::Asking(error);
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .map_err(|error| failed(error.to_string()))?;
        let written = || -> std::io::Result<Vec<u8>> {
            let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor)?;
            let mut writer = encryptor.wrap_output(armor)?;
            writer.write_all(self.to_text().as_bytes())?;
            writer.finish()?.finish()
        };
        let bytes = written().map_err(|error| failed(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
    }

    pub(crate) fn as_dyn(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.list.iter().map(|identity| identity as &dyn age::Identity)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.list.len())
    }
}

fn secret(passphrase: &Passphrase) -> Result<SecretString, IdentityError> {
    let text = std::str::from_utf8(passphrase.as_bytes()).map_err(|_| IdentityError::PassphraseNotText)?;
    Ok(SecretString::from(text.to_owned()))
}

/// An identity file that a passphrase opens, without its armour. What it would cost to open is known, and not too
/// much: nobody is asked for a passphrase in vain.
struct EncryptedIdentities(Vec<u8>);

impl EncryptedIdentities {
    fn read(text: &[u8]) -> Result<Self, IdentityError> {
        let mut bytes = Vec::with_capacity(text.len());
        age::armor::ArmoredReader::new(text)
            .read_to_end(&mut bytes)
            .map_err(|_| IdentityError::Damaged(DecryptError::Header))?;
        let (decryptor, head) = decrypt::header(&bytes).map_err(IdentityError::Damaged)?;
        if !decryptor.is_scrypt() {
            return Err(IdentityError::NotByPassphrase);
        }
        // `-> scrypt SALT FACTOR`. What is no number, age refuses as malformed.
        let stanza = head.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"-> scrypt "));
        let factor = stanza.and_then(|line| std::str::from_utf8(line).ok()?.rsplit(' ').next()?.parse().ok());
        match factor {
            Some(required) if required > WORK_FACTOR_MAX => {
                Err(IdentityError::ExcessiveWork { required, allowed: WORK_FACTOR_MAX })
            }
            _ => Ok(Self(bytes)),
        }
    }

    fn open(&self, passphrase: SecretString) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let mut identity = age::scrypt::Identity::new(passphrase);
        identity.set_max_work_factor(WORK_FACTOR_MAX);
        let (decryptor, _) = decrypt::header(&self.0).map_err(IdentityError::Damaged)?;
        let identity = std::iter::once(&identity as &dyn age::Identity);
        let mut reader = decryptor.decrypt(identity).map_err(|error| match error {
            age::DecryptError::ExcessiveWork { required, .. } => {
                IdentityError::ExcessiveWork { required, allowed: WORK_FACTOR_MAX }
            }
            age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed => {
                IdentityError::WrongPassphrase
            }
            other => IdentityError::Damaged(DecryptError::of_age(&other)),
        })?;
        let mut content = Zeroizing::new(Vec::with_capacity(self.0.len()));
        reader
            .read_to_end(&mut content)
            .map_err(|error| IdentityError::Damaged(DecryptError::of_stream(error)))?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Identities, IdentityError> {
        Identities::parse(text, &mut || Ok(None))
    }

    fn with(text: &[u8], passphrase: &str) -> Result<Identities, IdentityError> {
        Identities::parse(text, &mut || Ok(Some(Passphrase::from_line(passphrase.as_bytes()).unwrap())))
    }

    fn line(identities: &Identities) -> String {
        identities.to_text().lines().last().unwrap().to_owned()
    }

    #[test]
    fn a_file_is_what_it_was() {
        let (a, b) = (Identities::generate(), Identities::generate());
        let both = a.clone().join(b);
        let read = parse(format!("\n# mine\r\n{}", *both.to_text()).as_bytes()).unwrap();
        assert_eq!(read.recipients(), both.recipients());
        assert!(!format!("{read:?}").contains("AGE"));
    }

    #[test]
    fn what_is_no_identity_is_named_and_not_repeated() {
        let identities = Identities::generate();
        let line = line(&identities);
        let recipient = identities.recipients()[0].to_string();
        let cut = line[..line.len() - 1].to_owned();
        let expected = [
            (recipient, "RecipientGiven(1)"),
            (cut, "Malformed(1)"),
            (line.to_lowercase(), "Malformed(1)"),
            (format!("{line}\nhunter2"), "Malformed(2)"),
            (format!(" {line}"), "Malformed(1)"),
            ("AGE-PLUGIN-YUBIKEY-1Q".to_owned(), "Plugin(1)"),
            (["-----BEGIN ", "PRIVATE KEY-----\n"].concat(), "OtherKey"),
            ("# none\n".to_owned(), "None"),
            (format!("{line}\n").repeat(IDENTITIES_MAX + 1), "TooMany"),
        ];
        for (text, error) in expected {
            let found = parse(text.as_bytes()).unwrap_err();
            assert_eq!(format!("{found:?}"), error);
            let shown = found.problem().to_string();
            assert!(!shown.contains("hunter2") && !shown.contains(&line[20..40]), "{shown}");
        }
    }

    #[test]
    fn a_passphrase_protects_it() {
        let identities = Identities::generate();
        let right = Passphrase::from_line(b"correct horse").unwrap();
        let file = identities.to_encrypted_text(&right).unwrap();
        assert!(file.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
        assert_eq!(with(file.as_bytes(), "correct horse").unwrap().recipients(), identities.recipients());
        assert!(matches!(with(file.as_bytes(), "wrong"), Err(IdentityError::WrongPassphrase)));
        assert!(matches!(parse(file.as_bytes()), Err(IdentityError::PassphraseNeeded)));
        let cut = &file.as_bytes()[..file.len() / 2];
        assert!(matches!(with(cut, "correct horse"), Err(IdentityError::Damaged(_))));
    }

    /// D11: the header demands 2^23 times as much work as may be done, and is not obeyed.
    #[test]
    fn excessive_work_is_refused_before_it_is_done() {
        let identities = Identities::generate();
        let mut recipient = age::scrypt::Recipient::new(SecretString::from("x".to_owned()));
        recipient.set_work_factor(10);
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
        let mut file = Vec::new();
        let mut writer = encryptor.wrap_output(&mut file).unwrap();
        writer.write_all(identities.to_text().as_bytes()).unwrap();
        writer.finish().unwrap();
        assert!(with(&file, "x").is_ok());
        let end = file.windows(4).position(|four| four == b" 10\n").unwrap();
        for (factor, error) in [("21", 21), ("23", 23), ("40", 40), ("63", 63)] {
            let mut more = file.clone();
            more[end + 1..end + 3].copy_from_slice(factor.as_bytes());
            // Nobody is asked.
            let found = Identities::parse(&more, &mut || panic!("no passphrase is needed")).unwrap_err();
            assert!(
                matches!(found, IdentityError::ExcessiveWork { required, allowed: 20 } if required == error),
                "{found}"
            );
        }
    }

    #[test]
    fn a_file_that_is_encrypted_to_a_key_cannot_be_asked_for() {
        let identities = Identities::generate();
        let mut file = Vec::new();
        let mut writer = crate::encrypt(&mut file, &identities.recipients()).unwrap();
        writer.write_all(identities.to_text().as_bytes()).unwrap();
        writer.finish().unwrap();
        assert!(matches!(with(&file, "x"), Err(IdentityError::NotByPassphrase)));
    }
}
