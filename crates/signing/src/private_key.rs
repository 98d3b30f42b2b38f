//! Ed25519 private keys: making, reading, writing them, and signing.

use std::fmt;

use consign_metadata::{Problem, printable};
use ed25519_dalek::{Signer as _, SigningKey};
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode as _, ErrorKind, Reader as _};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{Kdf, PBES2_OID, Pbkdf2Prf};
use pkcs8::{
    AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef,
};
use zeroize::Zeroizing;

use crate::armor::{self, KEY_TEXT_MAX};
use crate::key_kind;
use crate::mangled::{Mangled, encoding_mangled};
use crate::passphrase::{Passphrase, PassphraseAnswer, PassphraseRequest};
use crate::public_key::{PublicKey, PublicKeyError, Signature};
use crate::signer::{Signer, SignerError};

/// Most rounds of PBKDF2: ten times what is recommended today, and what RFC 8018 section 4.2 calls fit for
/// especially critical keys.
pub const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// Most memory for scrypt, in bytes (128·N·r): eight times what OpenSSL itself allows.
pub const SCRYPT_MEMORY_MAX: u64 = 256 << 20;
/// Most work for scrypt, in bytes mixed (128·N·r·p).
pub const SCRYPT_WORK_MAX: u64 = 1 << 30;
/// Most rounds of bcrypt in an OpenSSH key (`ssh-keygen -a`, default 16 or 24).
pub const BCRYPT_ROUNDS_MAX: u32 = 1000;

/// An Ed25519 private key (RFC 8032), in memory. It is wiped when dropped and never printed.
///
/// The public key is always derived from the secret one; a public key that stands beside it in a file is only
/// compared (a signature made with a mismatched pair discloses the secret, CVE-2022-50237).
///
/// ```
/// use consign_signing::{Passphrase, PrivateKey, Signer};
/// let key = PrivateKey::generate()?;
/// let passphrase = || Passphrase::from_line(b"correct horse battery staple");
/// let pem = key.to_encrypted_pkcs8_pem(&passphrase()?)?;
/// let read = PrivateKey::parse(pem.as_bytes(), &mut |_| Ok(Some(passphrase()?)))?;
/// assert_eq!(read.public_key(), key.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PrivateKey {
    secret: SigningKey,
    public: PublicKey,
}

/// Why a private key could not be made, read or written. No message quotes the key or a passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// A public key, where a private one was asked for.
    #[error("this is a public key, not a private one")]
    PublicKey,
    /// A key of another algorithm, by its usual name.
    #[error("this is a key of type {0}; signatures here are Ed25519 only")]
    OtherType(String),
    /// Armour with another label.
    #[error("this is a `{0}`, not a private key in PKCS#8 or OpenSSH form")]
    OtherLabel(String),
    /// Armour whose first line is more than a label: the line breaks were lost. It is not quoted, for it holds the key.
    #[error(
        "the key begins with `-----BEGIN`, but its first line is not just that: its line breaks were lost"
    )]
    NoLabel,
    /// Rewritten on its way.
    #[error(transparent)]
    Mangled(#[from] Mangled),
    /// Not a key.
    #[error("not a private key: {0}")]
    Malformed(&'static str),
    /// Encrypted by a method that is not supported.
    #[error("the key is encrypted by a method that is not supported ({0})")]
    OtherEncryption(String),
    /// Encrypted, and no passphrase was given.
    #[error("the key is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// Asking for the passphrase failed.
    #[error("the passphrase could not be had: {0}")]
    PassphraseFailed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Decryption gave no key.
    #[error("the passphrase is wrong, or the file is damaged")]
    WrongPassphrase,
    /// The file demands more work of its reader than is allowed; the work is not begun.
    #[error("the key's encryption asks for {what} of {required} (allowed: 1 to {allowed})")]
    ExcessiveWork {
        /// What is limited, with its unit.
        what: &'static str,
        /// What the file asks for.
        required: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// The public key in the file is not the one that belongs to the secret.
    #[error("the public key in the file does not belong to the private one")]
    PairMismatch,
    /// The derived public key cannot be used.
    #[error("the public key that belongs to it cannot be used: {0}")]
    Unusable(#[from] PublicKeyError),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers: {0}")]
    Random(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key could not be encrypted or written as text.
    #[error("the key could not be written as text")]
    Encoding,
}

impl PrivateKeyError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::PublicKey => ("public-key-given", Some("give the private key that belongs to it")),
            Self::OtherType(_) => (
                "key-type",
                Some(
                    "`consign keygen`, `ssh-keygen -t ed25519` and `openssl genpkey -algorithm ed25519` make Ed25519 keys",
                ),
            ),
            Self::OtherLabel(_) => ("key-type", Some("`openssl pkcs8 -topk8 -in FILE` writes PKCS#8")),
            Self::NoLabel => (
                "key-mangled",
                Some(
                    "copy the file again; where a variable holds the key, `printf '%s\\n' \"$VARIABLE\"`, with these quotes, keeps its lines",
                ),
            ),
            Self::Mangled(mangled) => ("key-mangled", Some(mangled.hint())),
            Self::Malformed(_) => ("key-malformed", None),
            Self::OtherEncryption(_) => (
                "key-encryption",
                Some("`openssl pkcs8 -topk8 -in OLD -out NEW -v2 aes-256-cbc -scrypt` writes it anew"),
            ),
            Self::PassphraseNeeded => ("passphrase-needed", None),
            Self::PassphraseFailed(_) => ("passphrase-failed", None),
            Self::WrongPassphrase => ("wrong-passphrase", None),
            Self::ExcessiveWork { .. } => ("key-excessive-work", None),
            Self::PairMismatch => {
                ("key-pair-mismatch", Some("the file was altered or put together; do not use it"))
            }
            Self::Unusable(_) => ("key-weak", None),
            Self::Random(_) => ("no-random-numbers", None),
            Self::Encoding => ("key-encoding", None),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl PrivateKey {
    /// Makes a new key from the operating system's random numbers.
    ///
    /// # Errors
    /// The system gave none.
    pub fn generate() -> Result<Self, PrivateKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|e| PrivateKeyError::Random(e.into()))?;
        Self::from_seed(&seed)
    }

    /// Reads a private key from text: PKCS#8 in PEM, plain (RFC 5958, version 1 or 2) or encrypted (PBES2 of
    /// RFC 8018 with scrypt or PBKDF2 and AES), or an OpenSSH private key, plain or encrypted.
    ///
    /// `passphrase` is asked at most once, and only if the key is encrypted by a method that is supported and
    /// affordable.
    ///
    /// # Errors
    /// Public keys, other algorithms, wrong passphrases, a public key in the file that does not belong to the
    /// secret one, excessive work, and anything else that is not exactly one private key.
    pub fn parse(
        text: &[u8],
        passphrase: &mut dyn FnMut(PassphraseRequest) -> PassphraseAnswer,
    ) -> Result<Self, PrivateKeyError> {
        if let Some(mangled) = encoding_mangled(text) {
            return Err(mangled.into());
        }
        if text.len() > KEY_TEXT_MAX {
            return Err(PrivateKeyError::Malformed("the text is longer than 64 KiB"));
        }
        if !armor::is_armored(text) {
            return Err(match PublicKey::parse(text) {
                Ok(_) => PrivateKeyError::PublicKey,
                Err(PublicKeyError::OtherType(_)) => PrivateKeyError::PublicKey,
                Err(_) => PrivateKeyError::Malformed("the text does not begin with `-----BEGIN`"),
            });
        }
        // The label first, by itself: old formats carry headers that make the armour itself unreadable.
        let label = armor::label(text).ok_or(PrivateKeyError::NoLabel)?;
        let read: fn(&[u8], &mut Asker<'_>) -> Result<PrivateKey, PrivateKeyError> = match label {
            "PRIVATE KEY" => read_pkcs8,
            "ENCRYPTED PRIVATE KEY" => read_encrypted_pkcs8,
            "OPENSSH PRIVATE KEY" => read_openssh,
            "PUBLIC KEY" => return Err(PrivateKeyError::PublicKey),
            other => return Err(PrivateKeyError::OtherLabel(printable(other))),
        };
        let bytes = armor::unarmor(text)
            .ok_or(PrivateKeyError::Malformed("the text between the marks is damaged"))?;
        read(&bytes, &mut Asker(passphrase))
    }

    /// The key as PKCS#8 version 1 in PEM, unencrypted, with the final line feed.
    ///
    /// Version 1, without the public key, because OpenSSL 3.0 does not read version 2.
    ///
    /// # Errors
    /// Not for keys of this type; the encoder's interface allows for it.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, PrivateKeyError> {
        let secret = self.nested_secret();
        let document = pkcs8::SecretDocument::encode_msg(&private_key_info(&secret)?)
            .map_err(|_| PrivateKeyError::Encoding)?;
        document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|_| PrivateKeyError::Encoding)
    }

    /// The key as encrypted PKCS#8 in PEM, with the final line feed: scrypt (N = 16384, r = 8, p = 1: what
    /// OpenSSL reads without further options) and AES-256-CBC.
    ///
    /// # Errors
    /// The system gave no random numbers for salt and initialisation vector.
    pub fn to_encrypted_pkcs8_pem(
        &self,
        passphrase: &Passphrase,
    ) -> Result<Zeroizing<String>, PrivateKeyError> {
        let secret = self.nested_secret();
        let document = private_key_info(&secret)?
            .encrypt(passphrase.as_bytes())
            .map_err(|e| PrivateKeyError::Random(e.to_string().into()))?;
        document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).map_err(|_| PrivateKeyError::Encoding)
    }

    fn from_seed(seed: &[u8; 32]) -> Result<Self, PrivateKeyError> {
        let secret = SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(secret.verifying_key().as_bytes())?;
        Ok(Self { secret, public })
    }

    /// The `CurvePrivateKey` of RFC 8410 section 7: the secret as an OCTET STRING.
    fn nested_secret(&self) -> Zeroizing<[u8; 34]> {
        let mut nested = Zeroizing::new([0; 34]);
        nested[..2].copy_from_slice(&[0x04, 0x20]);
        nested[2..].copy_from_slice(self.secret.as_bytes());
        nested
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        let signature = self.secret.try_sign(message).map_err(SignerError::from_error)?;
        Ok(Signature::from_bytes(signature.to_bytes()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public.fingerprint())
    }
}

/// Asks for the passphrase, and turns the answers that are none into errors.
struct Asker<'a>(&'a mut dyn FnMut(PassphraseRequest) -> PassphraseAnswer);

impl Asker<'_> {
    fn ask(&mut self, request: PassphraseRequest) -> Result<Passphrase, PrivateKeyError> {
        match (self.0)(request) {
            Ok(Some(passphrase)) => Ok(passphrase),
            Ok(None) => Err(PrivateKeyError::PassphraseNeeded),
            Err(error) => Err(PrivateKeyError::PassphraseFailed(error)),
        }
    }
}

fn private_key_info(secret: &[u8; 34]) -> Result<PrivateKeyInfoRef<'_>, PrivateKeyError> {
    let algorithm = AlgorithmIdentifierRef { oid: key_kind::ED25519, parameters: None };
    let secret = OctetStringRef::new(secret).map_err(|_| PrivateKeyError::Encoding)?;
    Ok(PrivateKeyInfoRef::new(algorithm, secret))
}

fn read_pkcs8(der: &[u8], _: &mut Asker<'_>) -> Result<PrivateKey, PrivateKeyError> {
    let info = PrivateKeyInfoRef::from_der(der)
        .map_err(|_| PrivateKeyError::Malformed("the PEM text does not hold a PKCS#8 key"))?;
    if info.algorithm.oid != key_kind::ED25519 {
        return Err(PrivateKeyError::OtherType(key_kind::name_of_oid(info.algorithm.oid)));
    }
    let malformed = PrivateKeyError::Malformed("the key has parameters or another length than 32 bytes");
    if info.algorithm.parameters.is_some() {
        return Err(malformed);
    }
    let Some(seed) = info.private_key.as_bytes().strip_prefix(&[0x04, 0x20]) else { return Err(malformed) };
    let Ok(seed) = <&[u8; 32]>::try_from(seed) else { return Err(malformed) };
    let key = PrivateKey::from_seed(seed)?;
    if info.public_key.is_some_and(|stated| stated.as_bytes() != Some(key.public.as_bytes().as_slice())) {
        return Err(PrivateKeyError::PairMismatch);
    }
    Ok(key)
}

fn read_encrypted_pkcs8(der: &[u8], asker: &mut Asker<'_>) -> Result<PrivateKey, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed("the PEM text does not hold an encrypted PKCS#8 key");
    let method = encryption_method(der).map_err(|_| malformed)?;
    if method != PBES2_OID {
        return Err(PrivateKeyError::OtherEncryption(method.to_string()));
    }
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(|error| match error.kind() {
        ErrorKind::OidUnknown { oid } => PrivateKeyError::OtherEncryption(oid.to_string()),
        _ => PrivateKeyError::Malformed("the parameters of the encryption are damaged or not supported"),
    })?;
    check_encryption(&info.encryption_algorithm)?;
    let passphrase = asker.ask(PassphraseRequest { claimed: None })?;
    let document = info.decrypt(passphrase.as_bytes()).map_err(|_| PrivateKeyError::WrongPassphrase)?;
    match read_pkcs8(document.as_bytes(), asker) {
        // CBC does not authenticate: one wrong passphrase in 256 leaves bytes that look padded.
        Err(PrivateKeyError::Malformed(_)) => Err(PrivateKeyError::WrongPassphrase),
        other => other,
    }
}

/// The method's object identifier, whether or not the parser knows the method.
fn encryption_method(der: &[u8]) -> pkcs8::der::Result<ObjectIdentifier> {
    AnyRef::from_der(der)?.sequence(|reader| {
        let method: AlgorithmIdentifierRef<'_> = reader.decode()?;
        let _data: &OctetStringRef = reader.decode()?;
        Ok(method.oid)
    })
}

/// Refuses unknown methods, and work that is out of proportion, before anything is derived.
fn check_encryption(scheme: &EncryptionScheme) -> Result<(), PrivateKeyError> {
    let EncryptionScheme::Pbes2(parameters) = scheme else {
        return Err(PrivateKeyError::OtherEncryption(scheme.oid().to_string()));
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => {
            if pbkdf2.prf == Pbkdf2Prf::HmacWithSha1 {
                return Err(PrivateKeyError::OtherEncryption("PBKDF2 with HMAC-SHA-1".into()));
            }
            bound("PBKDF2 rounds", pbkdf2.iteration_count.into(), PBKDF2_ROUNDS_MAX.into())
        }
        Kdf::Scrypt(scrypt) => {
            let (n, r, p) = (scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization);
            if n < 2 || !n.is_power_of_two() {
                return Err(PrivateKeyError::Malformed("scrypt's cost is not a power of two"));
            }
            let memory = n.saturating_mul(128).saturating_mul(r.into());
            bound("scrypt memory (bytes)", memory, SCRYPT_MEMORY_MAX)?;
            bound("scrypt work (bytes)", memory.saturating_mul(p.into()), SCRYPT_WORK_MAX)
        }
        other => Err(PrivateKeyError::OtherEncryption(other.oid().to_string())),
    }
}

fn bound(what: &'static str, required: u64, allowed: u64) -> Result<(), PrivateKeyError> {
    if (1..=allowed).contains(&required) {
        return Ok(());
    }
    Err(PrivateKeyError::ExcessiveWork { what, required, allowed })
}

fn read_openssh(bytes: &[u8], asker: &mut Asker<'_>) -> Result<PrivateKey, PrivateKeyError> {
    let kind =
        openssh_type(bytes).ok_or(PrivateKeyError::Malformed("the text does not hold one OpenSSH key"))?;
    if kind != "ssh-ed25519" {
        return Err(PrivateKeyError::OtherType(key_kind::name_of_ssh_type(kind)));
    }
    let file = ssh_key::PrivateKey::from_bytes(bytes).map_err(|error| openssh_error(&error))?;
    let claimed = openssh_public(&file)?;
    let file = if file.is_encrypted() {
        match file.kdf() {
            ssh_key::Kdf::Bcrypt { rounds, .. } => {
                bound("bcrypt rounds", (*rounds).into(), BCRYPT_ROUNDS_MAX.into())?;
            }
            _ => return Err(PrivateKeyError::OtherEncryption("OpenSSH, other than bcrypt".into())),
        }
        let passphrase = asker.ask(PassphraseRequest { claimed: Some(claimed.fingerprint()) })?;
        file.decrypt(passphrase.as_bytes()).map_err(|error| match error {
            ssh_key::Error::PublicKey => PrivateKeyError::PairMismatch,
            _ => PrivateKeyError::WrongPassphrase,
        })?
    } else {
        file
    };
    let ssh_key::private::KeypairData::Ed25519(pair) = file.key_data() else {
        return Err(PrivateKeyError::Malformed("the key inside is not the one outside"));
    };
    let key = PrivateKey::from_seed(pair.private.as_ref())?;
    // The file states the public key three times; the library compares them too, but this is the rule's place.
    if key.public != claimed || pair.public.0 != *key.public.as_bytes() {
        return Err(PrivateKeyError::PairMismatch);
    }
    Ok(key)
}

fn openssh_public(file: &ssh_key::PrivateKey) -> Result<PublicKey, PrivateKeyError> {
    match file.public_key().key_data() {
        ssh_key::public::KeyData::Ed25519(public) => Ok(PublicKey::from_bytes(&public.0)?),
        _ => Err(PrivateKeyError::Malformed("the OpenSSH key is damaged")),
    }
}

fn openssh_error(error: &ssh_key::Error) -> PrivateKeyError {
    match error {
        ssh_key::Error::PublicKey | ssh_key::Error::Crypto => PrivateKeyError::PairMismatch,
        ssh_key::Error::AlgorithmUnknown => {
            PrivateKeyError::OtherEncryption("OpenSSH, unknown cipher".into())
        }
        _ => PrivateKeyError::Malformed("the OpenSSH key is damaged"),
    }
}

/// The type of the key in an OpenSSH file, from the public key outside (OpenSSH, PROTOCOL.key): magic, cipher,
/// derivation, its options, number of keys, and a string that begins with the type.
///
/// The library does not say which type it refuses.
fn openssh_type(bytes: &[u8]) -> Option<&str> {
    fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (string, behind) = behind.split_at_checked(length)?;
        *rest = behind;
        Some(string)
    }
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    for _ in ["cipher", "derivation", "options"] {
        string(&mut rest)?;
    }
    rest = rest.strip_prefix(&[0, 0, 0, 1])?;
    std::str::from_utf8(string(&mut string(&mut rest)?)?).ok()
}

#[cfg(test)]
mod tests {
    use pkcs8::der::Encode as _;
    use pkcs8::der::asn1::BitStringRef;
    use pkcs8::pkcs5::pbes2::{self, Pbkdf2Params, Salt, ScryptParams};

    use super::*;
    use crate::testing::key;

    fn parse(text: &str, passphrase: &str) -> Result<PrivateKey, PrivateKeyError> {
        PrivateKey::parse(text.as_bytes(), &mut |_| Ok(Passphrase::from_line(passphrase.as_bytes()).ok()))
    }

    fn pem(label: &'static str, der: &[u8]) -> Zeroizing<String> {
        pkcs8::SecretDocument::try_from(der).unwrap().to_pem(label, LineEnding::LF).unwrap()
    }

    #[test]
    fn keys_are_read_back() {
        let key = key();
        let passphrase = Passphrase::from_line(b"a passphrase").unwrap();
        let plain = parse(&key.to_pkcs8_pem().unwrap(), "").unwrap();
        let encrypted = key.to_encrypted_pkcs8_pem(&passphrase).unwrap();
        assert_eq!(plain.public_key(), key.public_key());
        assert_eq!(parse(&encrypted, "a passphrase").unwrap().public_key(), key.public_key());
        assert_eq!(plain.secret.as_bytes(), key.secret.as_bytes());
        assert!(matches!(parse(&encrypted, "another"), Err(PrivateKeyError::WrongPassphrase)));
        assert!(matches!(parse(&encrypted, ""), Err(PrivateKeyError::PassphraseNeeded)));
        let failing = PrivateKey::parse(encrypted.as_bytes(), &mut |_| Err("no terminal".into()));
        assert!(matches!(failing, Err(PrivateKeyError::PassphraseFailed(_))));
        assert!(parse(&key.to_pkcs8_pem().unwrap().replace('\n', "\r\n"), "").is_ok());
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = key();
        let shown = format!("{key:?}");
        assert!(shown.starts_with("PrivateKey(SHA256:"), "{shown}");
    }

    fn version_2(key: &PrivateKey, public: &[u8]) -> Zeroizing<String> {
        let secret = key.nested_secret();
        let mut info = private_key_info(&secret).unwrap();
        info.public_key = Some(BitStringRef::from_bytes(public).unwrap());
        pem("PRIVATE KEY", &info.to_der().unwrap())
    }

    #[test]
    fn a_public_key_beside_the_secret_must_belong_to_it() {
        let (a, b) = (key(), key());
        assert!(parse(&version_2(&a, a.public.as_bytes()), "").is_ok());
        for other in [b.public.as_bytes().as_slice(), &a.public.as_bytes()[..31], &[]] {
            assert!(matches!(parse(&version_2(&a, other), ""), Err(PrivateKeyError::PairMismatch)));
        }
    }

    fn encrypted_with(kdf: Kdf) -> Zeroizing<String> {
        let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let info = pkcs8::EncryptedPrivateKeyInfo {
            encryption_algorithm: EncryptionScheme::Pbes2(pbes2::Parameters { kdf, encryption }),
            encrypted_data: OctetStringRef::new(&[0; 64]).unwrap(),
        };
        pem("ENCRYPTED PRIVATE KEY", &info.to_der().unwrap())
    }

    fn scrypt(n: u64, r: u16, p: u16) -> Zeroizing<String> {
        let salt = Salt::new([0; 16]).unwrap();
        encrypted_with(Kdf::Scrypt(ScryptParams {
            salt,
            cost_parameter: n,
            block_size: r,
            parallelization: p,
            key_length: None,
        }))
    }

    fn pbkdf2(rounds: u32, prf: Pbkdf2Prf) -> Zeroizing<String> {
        let salt = Salt::new([0; 16]).unwrap();
        encrypted_with(Kdf::Pbkdf2(Pbkdf2Params { salt, iteration_count: rounds, key_length: None, prf }))
    }

    #[test]
    fn excessive_work_is_refused_before_the_passphrase_is_asked() {
        let sha256 = Pbkdf2Prf::HmacWithSha256;
        for text in [
            scrypt(1 << 40, 8, 1),
            scrypt(1 << 63, u16::MAX, u16::MAX),
            scrypt(1 << 14, u16::MAX, 1),
            scrypt(1 << 14, 8, u16::MAX),
            scrypt(1 << 19, 8, 1),
            scrypt(1 << 14, 0, 1),
            scrypt(1 << 14, 8, 0),
            pbkdf2(0, sha256),
            pbkdf2(PBKDF2_ROUNDS_MAX + 1, sha256),
            pbkdf2(u32::MAX, sha256),
        ] {
            let error = PrivateKey::parse(text.as_bytes(), &mut |_| panic!("asked")).unwrap_err();
            assert!(matches!(error, PrivateKeyError::ExcessiveWork { .. }), "{error}");
            assert!(error.to_string().contains("allowed: 1 to "), "{error}");
        }
        for n in [0, 1, 3, (1 << 14) + 1, u64::MAX] {
            let error = PrivateKey::parse(scrypt(n, 8, 1).as_bytes(), &mut |_| panic!("asked")).unwrap_err();
            assert!(matches!(error, PrivateKeyError::Malformed(_)), "{error}");
        }
        let sha1 = pbkdf2(2048, Pbkdf2Prf::HmacWithSha1);
        let error = PrivateKey::parse(sha1.as_bytes(), &mut |_| panic!("asked")).unwrap_err();
        assert!(matches!(error, PrivateKeyError::OtherEncryption(_)), "{error}");
    }

    #[test]
    fn affordable_work_is_done() {
        for text in [scrypt(1 << 15, 8, 1), pbkdf2(600_000, Pbkdf2Prf::HmacWithSha512)] {
            assert!(matches!(parse(&text, "x"), Err(PrivateKeyError::WrongPassphrase)));
        }
    }

    #[test]
    fn other_texts_are_refused_by_what_they_are() {
        let public = key().public;
        for text in [public.to_spki_pem(), public.to_openssh(None), "ssh-rsa AAAA".into()] {
            assert!(matches!(parse(&text, ""), Err(PrivateKeyError::PublicKey)), "{text}");
        }
        for label in ["EC PRIVATE KEY", "RSA PRIVATE KEY", "CERTIFICATE", "PGP PRIVATE KEY BLOCK"] {
            let text =
                format!("-----BEGIN {label}-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END {label}-----\n");
            let error = parse(&text, "").unwrap_err();
            assert!(matches!(&error, PrivateKeyError::OtherLabel(other) if other == label), "{error}");
        }
        let plain = key().to_pkcs8_pem().unwrap();
        for text in [
            String::new(),
            "nonsense".into(),
            format!("\n{}", *plain),
            format!("{}\n", *plain),
            format!("{}{}", *plain, *plain),
            plain.replace("MC4C", "MC4D"),
            plain.replace("-----END", "----END"),
            format!("-----BEGIN PRIVATE KEY-----\n{}", "A".repeat(KEY_TEXT_MAX)),
        ] {
            assert!(matches!(parse(&text, ""), Err(PrivateKeyError::Malformed(_))), "{text}");
        }
        let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let error = PrivateKey::parse(&utf16, &mut |_| Ok(None)).unwrap_err();
        assert!(matches!(error, PrivateKeyError::Mangled(Mangled::Utf16)));
    }
}
