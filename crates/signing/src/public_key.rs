//! Ed25519 public keys: reading, writing, recognising them, and checking signatures.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consign_metadata::{Line, Problem, Sha256Digest, printable, to_hex};
use ed25519_dalek::VerifyingKey;
use pkcs8::SubjectPublicKeyInfoRef;
use pkcs8::der::Decode as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::armor::{self, KEY_TEXT_MAX};
use crate::fingerprint::Fingerprint;
use crate::key_kind;
use crate::mangled::{Mangled, encoding_mangled};

/// SPKI of an Ed25519 key up to the key itself (RFC 8410 section 4): the DER has no other freedom.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// SSH wire form up to the key itself (RFC 8709 section 4): two strings with their lengths.
const SSH_PREFIX: &[u8; 19] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
const SSH_TYPE: &str = "ssh-ed25519";

/// An Ed25519 signature (RFC 8032): 64 bytes, of which nothing is known until a key has checked them.
///
/// It has no order and no hash: signatures identify nothing (another valid one can exist for the same message
/// and key), so nothing may be counted or deduplicated by them.
#[derive(Clone, Copy)]
pub struct Signature([u8; 64]);

impl Signature {
    /// A signature from its 64 bytes, R and S.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes, R and S.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", to_hex(&self.0))
    }
}

/// A signature does not fit message and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the content and the key")]
pub struct BadSignature;

/// An Ed25519 public key (RFC 8032).
///
/// A value holds a canonically encoded point that is not of small order: under a weak key one signature fits
/// almost any message. Holding a key says nothing about trusting it.
///
/// ```
/// use consign_signing::PublicKey;
/// let key: PublicKey =
///     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea ada@example.org".parse()?;
/// assert_eq!(key.fingerprint().to_string(), "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8");
/// assert_eq!(key.to_spki_pem().parse(), Ok(key));
/// # Ok::<(), consign_signing::PublicKeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a text or bytes are not a public key that can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// A private key, where a public one was asked for.
    #[error("this is a private key, not a public one")]
    PrivateKey,
    /// A key of another algorithm, by its usual name.
    #[error("this is a key of type {0}; signatures here are Ed25519 only")]
    OtherType(String),
    /// Armour with another label.
    #[error("this is a `{0}`, not a public key")]
    OtherLabel(String),
    /// Rewritten on its way.
    #[error(transparent)]
    Mangled(#[from] Mangled),
    /// Not a key.
    #[error("not a public key: {0}")]
    Malformed(&'static str),
    /// The 32 bytes are no point of the curve, or a point in another than its canonical encoding
    /// (RFC 8032 section 5.1.3).
    #[error("the 32 bytes are not a canonically encoded Ed25519 point")]
    NotAPoint,
    /// A point of small order, under which one signature fits almost any message.
    #[error("a weak key (a point of small order), under which anybody can sign")]
    Weak,
}

impl PublicKeyError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::PrivateKey => (
                "private-key-given",
                Some(
                    "give the public key; `ssh-keygen -y -f FILE` or `openssl pkey -in FILE -pubout` prints it",
                ),
            ),
            Self::OtherType(_) | Self::OtherLabel(_) => (
                "key-type",
                Some(
                    "`consign keygen`, `ssh-keygen -t ed25519` and `openssl genpkey -algorithm ed25519` make Ed25519 keys",
                ),
            ),
            Self::Mangled(mangled) => ("key-mangled", Some(mangled.hint())),
            Self::Malformed(_) => (
                "key-malformed",
                Some(
                    "a public key is a PEM text `-----BEGIN PUBLIC KEY-----` or one line `ssh-ed25519 AAAA…`",
                ),
            ),
            Self::NotAPoint | Self::Weak => ("key-weak", None),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl PublicKey {
    /// Reads a public key from text: SPKI in PEM (`-----BEGIN PUBLIC KEY-----`, RFC 8410) or one line of
    /// OpenSSH (`ssh-ed25519 AAAA… comment`).
    ///
    /// CR LF line ends are accepted, as RFC 7468 has it and OpenSSH does; nothing may stand before or behind
    /// the key.
    ///
    /// # Errors
    /// Private keys, other algorithms, weak keys and anything else that is not exactly one public key.
    pub fn parse(text: &[u8]) -> Result<Self, PublicKeyError> {
        if let Some(mangled) = encoding_mangled(text) {
            return Err(mangled.into());
        }
        if text.len() > KEY_TEXT_MAX {
            return Err(PublicKeyError::Malformed("the text is longer than 64 KiB"));
        }
        if armor::is_armored(text) { parse_spki(text) } else { parse_openssh(text) }
    }

    /// A public key from its 32 bytes (RFC 8032 section 5.1.2).
    ///
    /// # Errors
    /// Bytes that are no point, a non-canonical encoding, or a point of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        // The decompression takes y modulo p = 2^255 − 19, so y from p to 2^255 − 1 would be a second
        // encoding of the same point; RFC 8032 refuses it. A wrong sign of x = 0 occurs only at points of
        // small order.
        let y_is_canonical = bytes[31] & 0x7f != 0x7f || bytes[1..31] != [0xff; 30] || bytes[0] < 0xed;
        if !y_is_canonical {
            return Err(PublicKeyError::NotAPoint);
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError::NotAPoint)?;
        if key.is_weak() {
            return Err(PublicKeyError::Weak);
        }
        Ok(Self(key))
    }

    /// The 32 bytes (RFC 8032 section 5.1.2).
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature over `message`: pure Ed25519 by the strict rules, which refuse S ≥ L, R of small
    /// order and non-canonical R (RFC 8032 section 5.1.7, and beyond it where it leaves a choice).
    ///
    /// # Errors
    /// The signature does not fit.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).map_err(|_| BadSignature)
    }

    /// SPKI in PEM, with the final line feed, as OpenSSL reads and writes it (RFC 8410).
    pub fn to_spki_pem(&self) -> String {
        // 44 bytes are 60 characters of base64, so the body is one line.
        let body = STANDARD.encode(self.spki_der());
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// SPKI in DER (RFC 8410).
    pub(crate) fn spki_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], self.as_bytes()].concat()
    }

    /// A line for OpenSSH's files, with the final line feed.
    pub fn to_openssh(&self, comment: Option<&Line>) -> String {
        let body = STANDARD.encode(self.ssh_wire());
        match comment {
            Some(comment) => format!("{SSH_TYPE} {body} {comment}\n"),
            None => format!("{SSH_TYPE} {body}\n"),
        }
    }

    /// What a person compares to recognise the key, as `ssh-keygen -lf` prints it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_wire(&self.ssh_wire())
    }

    /// The in-toto key id: SHA-256, in hexadecimal, of the key in TUF's canonical JSON.
    ///
    /// Envelopes carry it because other tools look for it. It selects nothing here and is never trusted.
    pub fn keyid(&self) -> String {
        let public = to_hex(self.as_bytes());
        let json = format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{public}"}},"scheme":"ed25519"}}"#);
        Sha256Digest::of(json.as_bytes()).hex()
    }

    /// A public key from SSH's wire form (RFC 8709 section 4).
    pub(crate) fn from_ssh_wire(wire: &[u8]) -> Result<Self, PublicKeyError> {
        let bytes = wire.strip_prefix(SSH_PREFIX).and_then(|key| key.try_into().ok());
        Self::from_bytes(bytes.ok_or(PublicKeyError::Malformed("the base64 does not hold an Ed25519 key"))?)
    }

    pub(crate) fn ssh_wire(&self) -> Vec<u8> {
        [&SSH_PREFIX[..], self.as_bytes()].concat()
    }
}

fn parse_spki(text: &[u8]) -> Result<PublicKey, PublicKeyError> {
    if let Some(label) = armor::label(text).filter(|&label| label != "PUBLIC KEY") {
        return Err(match label {
            _ if label.ends_with("PRIVATE KEY") => PublicKeyError::PrivateKey,
            "RSA PUBLIC KEY" => PublicKeyError::OtherType("RSA".into()),
            _ => PublicKeyError::OtherLabel(printable(label)),
        });
    }
    let der = armor::unarmor(text).ok_or(PublicKeyError::Malformed("the PEM text is damaged"))?;
    let spki = SubjectPublicKeyInfoRef::from_der(&der)
        .map_err(|_| PublicKeyError::Malformed("the PEM text does not hold a public key"))?;
    if spki.algorithm.oid != key_kind::ED25519 {
        return Err(PublicKeyError::OtherType(key_kind::name_of_oid(spki.algorithm.oid)));
    }
    let bytes = der
        .strip_prefix(&SPKI_PREFIX)
        .and_then(|key| key.try_into().ok())
        .ok_or(PublicKeyError::Malformed("the key has parameters or another length than 32 bytes"))?;
    PublicKey::from_bytes(bytes)
}

fn parse_openssh(text: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let text = std::str::from_utf8(text).map_err(|_| PublicKeyError::Malformed("the text is not UTF-8"))?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains(['\n', '\r']) {
        return Err(PublicKeyError::Malformed("more than one line"));
    }
    let mut words = line.splitn(3, ' ');
    let kind = words.next().unwrap_or_default();
    let looks_like_ssh =
        ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| kind.starts_with(prefix)) && kind.len() <= 64;
    if !looks_like_ssh {
        return Err(PublicKeyError::Malformed("neither PEM nor a line that begins with `ssh-ed25519`"));
    }
    if kind != SSH_TYPE {
        return Err(PublicKeyError::OtherType(key_kind::name_of_ssh_type(kind)));
    }
    let wire = crate::wire::from_base64(words.next().unwrap_or_default())
        .ok_or(PublicKeyError::Malformed("the second word is not base64"))?;
    PublicKey::from_ssh_wire(&wire)
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

/// Keys are ordered by their bytes, so that lists of them are the same everywhere.
impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// In documents a key is the base64 of its 32 bytes.
impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::wire::to_base64(self.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = crate::wire::from_base64(&text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| D::Error::custom("a public key is the base64 of 32 bytes"))?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for PublicKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PublicKey".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The 32 bytes of an Ed25519 public key, in base64.",
            "type": "string",
            "pattern": "^[A-Za-z0-9+/]{43}=$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::Signer as _;
    use crate::testing::key;

    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

    fn unhex(text: &str) -> [u8; 32] {
        *Sha256Digest::from_hex(text).unwrap().as_bytes()
    }

    /// RFC 8032 section 7.1, test 3.
    #[test]
    fn the_rfcs_vector_verifies() {
        let key =
            PublicKey::from_bytes(&unhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"));
        let signature = [
            unhex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"),
            unhex("18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
        ]
        .concat();
        let signature = Signature::from_bytes(signature.try_into().unwrap());
        assert_eq!(key.clone().unwrap().verify(&[0xaf, 0x82], &signature), Ok(()));
        assert_eq!(key.unwrap().verify(&[0xaf, 0x83], &signature), Err(BadSignature));
    }

    #[test]
    fn the_key_id_is_that_of_in_toto() {
        let json = r#"{"keytype":"ed25519","keyval":{"public":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},"scheme":"ed25519"}"#;
        assert_eq!(LINE.parse::<PublicKey>().unwrap().keyid(), Sha256Digest::of(json.as_bytes()).hex());
    }

    #[test]
    fn both_forms_are_read_back() {
        let key = *key().public_key();
        let comment = "ada@example.org, 2nd key".parse().unwrap();
        for text in [key.to_spki_pem(), key.to_openssh(None), key.to_openssh(Some(&comment))] {
            assert_eq!(text.parse(), Ok(key), "{text}");
            assert_eq!(text.replace('\n', "\r\n").parse(), Ok(key), "{text}");
            assert_eq!(text.trim_end().parse(), Ok(key), "{text}");
        }
    }

    /// Points of small order in all their encodings (C2SP CCTV, ed25519), and further y ≥ p.
    #[test]
    fn e15_weak_and_non_canonical_points_are_refused() {
        for hex in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        ] {
            let result = PublicKey::from_bytes(&unhex(hex));
            assert!(matches!(result, Err(PublicKeyError::Weak | PublicKeyError::NotAPoint)), "{hex}");
        }
        for low in 0xed..=0xff {
            for high in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, high);
                assert_eq!(PublicKey::from_bytes(&bytes), Err(PublicKeyError::NotAPoint), "{low:x}");
            }
        }
    }

    #[test]
    fn private_keys_are_refused_by_name() {
        let key = key();
        let passphrase = crate::Passphrase::from_line(b"secret").unwrap();
        for text in [
            key.to_pkcs8_pem().unwrap(),
            key.to_encrypted_pkcs8_pem(&passphrase).unwrap(),
            zeroize::Zeroizing::new("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n".to_owned()),
        ] {
            let error = text.parse::<PublicKey>().unwrap_err();
            assert_eq!(error, PublicKeyError::PrivateKey);
            assert!(error.problem().hint.is_some());
        }
    }

    #[test]
    fn other_keys_are_refused_by_their_type() {
        for (text, kind) in [
            ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== me", "RSA"),
            ("ecdsa-sha2-nistp256 AAAA", "ECDSA"),
            ("sk-ssh-ed25519@openssh.com AAAA", "FIDO security"),
            ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate (ssh-ed25519-cert-v01@openssh.com)"),
            ("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n", "RSA"),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(PublicKeyError::OtherType(kind.to_owned())));
        }
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(certificate.parse::<PublicKey>(), Err(PublicKeyError::OtherLabel("CERTIFICATE".into())));
    }

    #[test]
    fn anything_around_a_key_is_refused() {
        let pem = key().public_key().to_spki_pem();
        let body = LINE.strip_prefix("ssh-ed25519 ").unwrap();
        for text in [
            String::new(),
            "\n".into(),
            format!(" {LINE}"),
            format!("{LINE}\n\n"),
            format!("{LINE}\n{LINE}\n"),
            format!("no-pty {LINE}"),
            format!("ssh-ed25519  {body}"),
            format!("ssh-ed25519\t{body}"),
            format!("ssh-ed25519 {body}="),
            format!("ssh-ed25519 {}", &body[..body.len() - 4]),
            body.to_owned(),
            format!("text\n{pem}"),
            format!("{pem}text\n"),
            format!("{pem}{pem}"),
            pem.replace("END PUBLIC", "END PRIVATE"),
            pem.replace("MCow", "MCoA"),
            pem.replacen('A', "*", 1),
            "x".repeat(KEY_TEXT_MAX + 1),
        ] {
            assert!(matches!(text.parse::<PublicKey>(), Err(PublicKeyError::Malformed(_))), "{text:?}");
        }
        assert!(matches!(PublicKey::parse(b"\xef\xbb\xbfssh"), Err(PublicKeyError::Mangled(_))));
        assert!(matches!(PublicKey::parse(b"s\0s\0h\0"), Err(PublicKeyError::Mangled(_))));
    }
}
