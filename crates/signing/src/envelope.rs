//! The envelope around a statement: DSSE 1.0.2, one signature, one line, one spelling.

use std::fmt;

use consign_metadata::{Problem, printable};
use serde::{Deserialize, Serialize};

use crate::mangled::{Mangled, mangled};
use crate::public_key::{BadSignature, PublicKey, Signature};
use crate::signer::{Signer, SignerError};
use crate::statement::{Statement, StatementError};
use crate::wire::{self, WireError};

/// `payloadType` of every envelope. The signature covers it (DSSE's PAE), so it cannot be exchanged.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Longest envelope, in bytes without the line feed.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// A statement together with the proof that the holder of the key it names has signed it.
///
/// **This says nothing about trust.** The key comes out of the statement itself: anybody can make a key and sign
/// with it. What follows from a value of this type is only that *the holder of [`key`](Self::key) signed exactly
/// [`statement`](Self::statement)*. Whether that key counts is asked by [`evaluate`](crate::evaluate), and only
/// its [`TrustedClaim`](crate::TrustedClaim) may be acted upon.
///
/// There are two ways to a value: [`verify`](Self::verify) and [`sign`](Self::sign), and the second ends in the
/// first.
///
/// The spelling is narrower than DSSE asks of readers, which shall take unpadded and URL-safe base64, unknown
/// members and several signatures: one bundle has one spelling, and other tools read ours.
///
/// ```
/// # use consign_signing::{PrivateKey, SignedStatement, Signer, Statement};
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// let key = PrivateKey::generate()?;
/// let mut statement = Statement::parse(example)?;
/// statement.signer.public_key = *key.public_key();
/// let signed = SignedStatement::sign(&key, &statement)?;
/// let read = SignedStatement::verify(signed.line())?;
/// assert_eq!(read.key(), key.public_key());
///
/// let mut altered = signed.line().to_vec();
/// altered[40] ^= 1;
/// assert!(SignedStatement::verify(&altered).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SignedStatement {
    statement: Statement,
    line: Box<[u8]>,
}

/// Why a line is not a signed statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Longer than such a line may be.
    #[error("the line is {length} bytes long (at most {longest})")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// [`ENVELOPE_BYTES_MAX`], or what another kind of line may have, such as
        /// [`TRUST_ENVELOPE_BYTES_MAX`](crate::TRUST_ENVELOPE_BYTES_MAX).
        longest: usize,
    },
    /// Rewritten on its way.
    #[error(transparent)]
    Mangled(#[from] Mangled),
    /// Not JSON, or not of the envelope's shape.
    #[error("the envelope is malformed: {0}")]
    Malformed(String),
    /// The right shape in another spelling: spacing, order, escapes, a repeated key.
    #[error("the envelope is not in canonical form, from byte {at} on")]
    NotCanonical {
        /// The first byte that differs from the one spelling, counted from 0.
        at: usize,
    },
    /// `payloadType` is another one.
    #[error("the payload is of type `{0}`, not `{PAYLOAD_TYPE}`")]
    PayloadType(String),
    /// Not exactly one signature.
    #[error("the envelope holds {0} signatures; here each signature has an envelope of its own")]
    SignatureCount(usize),
    /// A member is not padded standard base64 in its one spelling.
    #[error("`{0}` is not canonical base64")]
    Base64(&'static str),
    /// The signature has another length than 64 bytes.
    #[error("the signature is {0} bytes long, not 64")]
    SignatureLength(usize),
    /// The payload is not a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// `keyid` is not the in-toto id of the key that the statement names.
    #[error("the key id `{0}` is not that of the key in the statement")]
    KeyId(String),
    /// `keyid` is the id of none of the keys that come into question.
    #[error("the key id `{0}` is that of none of the keys that it could be")]
    NoSuchKey(String),
    /// The signature does not fit the payload and the key in the statement.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
}

impl EnvelopeError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Statement(error) => return error.problem(),
            Self::Mangled(mangled) => {
                return Problem::new("envelope-mangled", self.to_string()).hint(mangled.hint());
            }
            Self::TooLong { .. } => "envelope-too-long",
            Self::Malformed(_) => "envelope-malformed",
            Self::NotCanonical { .. } => "envelope-not-canonical",
            Self::PayloadType(_) => "payload-type",
            Self::SignatureCount(_) => "signature-count",
            Self::Base64(_) => "envelope-base64",
            Self::SignatureLength(_) => "signature-length",
            Self::KeyId(_) => "keyid-mismatch",
            Self::NoSuchKey(_) => "no-such-key",
            Self::BadSignature(_) => "bad-signature",
        };
        Problem::new(code, self.to_string())
    }
}

impl From<WireError> for EnvelopeError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Malformed(message) => Self::Malformed(message),
            WireError::NotCanonical(at) => Self::NotCanonical { at },
        }
    }
}

/// Why a statement was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The statement names another key than the signer's.
    #[error("the statement names the key {stated}, but the signer holds {held}")]
    OtherKey {
        /// Fingerprint of the key in the statement.
        stated: crate::Fingerprint,
        /// Fingerprint of the signer's key.
        held: crate::Fingerprint,
    },
    /// The signer failed or refused.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// What came out would not be accepted: the statement breaks a rule, or the signer signed something else.
    #[error("the signed statement would not be accepted: {0}")]
    NotAcceptable(#[source] EnvelopeError),
}

impl SignedStatement {
    /// Reads one line, without its line feed, and checks its signature under the key that its statement carries.
    ///
    /// The checks run in this order: envelope, payload as a statement, key id, signature. The signature is
    /// checked over the payload's bytes as received.
    ///
    /// # Errors
    /// Anything but one valid signature over one canonical statement.
    pub fn verify(line: &[u8]) -> Result<Self, EnvelopeError> {
        let opened = Opened::read(line, ENVELOPE_BYTES_MAX)?;
        let statement = Statement::parse(&opened.payload)?;
        opened.check(&statement.signer.public_key)?;
        Ok(Self { statement, line: line.into() })
    }

    /// Signs a statement and checks the result as [`verify`](Self::verify) does, so that a signer that is
    /// broken, or holds another key, produces nothing.
    ///
    /// # Errors
    /// The statement names another key, the signer fails, or the result would not be accepted.
    pub fn sign(signer: &dyn Signer, statement: &Statement) -> Result<Self, SignError> {
        let (key, payload) = (&statement.signer.public_key, statement.to_payload());
        sign_stated(signer, key, &payload, Statement::parse, Self::verify)
    }

    /// What the holder of [`key`](Self::key) says.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The key under which the signature was checked. It comes out of the statement and is not trusted for it.
    pub fn key(&self) -> &PublicKey {
        &self.statement.signer.public_key
    }

    /// The exact bytes of the line, without a line feed.
    pub fn line(&self) -> &[u8] {
        &self.line
    }
}

/// Which of these keys signed an envelope, whatever it holds, and the payload as received: for statements of types
/// that are carried along without being understood. The envelope has the one spelling of all others.
///
/// # Errors
/// It is no such envelope of at most `longest` bytes, or none of the keys signed it.
pub fn signed_payload(
    line: &[u8],
    longest: usize,
    keys: &[PublicKey],
) -> Result<(PublicKey, Vec<u8>), EnvelopeError> {
    let opened = Opened::read(line, longest)?;
    let key = opened.check_among(keys)?;
    Ok((key, opened.payload))
}

impl fmt::Debug for SignedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedStatement").field("statement", &self.statement).finish_non_exhaustive()
    }
}

/// An envelope of the right shape, whose signature has not been checked: its payload says under which key that
/// is to be done.
pub(crate) struct Opened {
    /// The bytes as received.
    pub(crate) payload: Vec<u8>,
    keyid: String,
    signature: Signature,
}

impl Opened {
    /// Checks the signature under the one of these keys that its key id names.
    pub(crate) fn check_among(&self, keys: &[PublicKey]) -> Result<PublicKey, EnvelopeError> {
        let named = keys.iter().find(|key| key.keyid() == self.keyid);
        let key = named.ok_or_else(|| EnvelopeError::NoSuchKey(printable(&self.keyid)))?;
        self.check(key)?;
        Ok(*key)
    }

    /// Reads one line, without its line feed, of at most `longest` bytes.
    pub(crate) fn read(line: &[u8], longest: usize) -> Result<Self, EnvelopeError> {
        if line.len() > longest {
            return Err(EnvelopeError::TooLong { length: line.len(), longest });
        }
        if let Some(mangled) = mangled(line) {
            return Err(mangled.into());
        }
        let Envelope { payload, payload_type, signatures } = wire::read(line)?;
        if payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType(printable(&payload_type)));
        }
        let [EnvelopeSignature { keyid, sig }] = signatures.as_slice() else {
            return Err(EnvelopeError::SignatureCount(signatures.len()));
        };
        let payload = wire::from_base64(&payload).ok_or(EnvelopeError::Base64("payload"))?;
        let signature = wire::from_base64(sig).ok_or(EnvelopeError::Base64("sig"))?;
        let signature: [u8; 64] =
            signature.as_slice().try_into().map_err(|_| EnvelopeError::SignatureLength(signature.len()))?;
        Ok(Self { payload, keyid: keyid.clone(), signature: Signature::from_bytes(signature) })
    }

    /// Checks id and signature under the key that the payload names.
    pub(crate) fn check(&self, key: &PublicKey) -> Result<(), EnvelopeError> {
        if self.keyid != key.keyid() {
            return Err(EnvelopeError::KeyId(printable(&self.keyid)));
        }
        Ok(key.verify(&pae(&self.payload), &self.signature)?)
    }
}

/// Signs a payload: the line of its envelope, without a line feed. Nothing is checked yet.
pub(crate) fn enclose(signer: &dyn Signer, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
    let signature = signer.sign(&pae(payload))?;
    Ok(wire::write(&Envelope {
        payload: wire::to_base64(payload),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: vec![EnvelopeSignature {
            keyid: signer.public_key().keyid(),
            sig: wire::to_base64(signature.as_bytes()),
        }],
    }))
}

/// Signs the payload of a statement that names its signer. What nobody would accept is not put before the signer at
/// all, and what comes back is checked as a reader checks it, so that a signer that is broken, or holds another key,
/// produces nothing.
pub(crate) fn sign_stated<S, T>(
    signer: &dyn Signer,
    stated: &PublicKey,
    payload: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<S, StatementError>,
    verify: impl FnOnce(&[u8]) -> Result<T, EnvelopeError>,
) -> Result<T, SignError> {
    let held = signer.public_key();
    if stated != held {
        return Err(SignError::OtherKey { stated: stated.fingerprint(), held: held.fingerprint() });
    }
    parse(payload).map_err(|error| SignError::NotAcceptable(error.into()))?;
    verify(&enclose(signer, payload)?).map_err(SignError::NotAcceptable)
}

/// The bytes that are signed: DSSE's pre-authentication encoding of the payload and its type.
pub(crate) fn pae(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: String,
    sig: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::PrivateKey;
    use crate::testing::{enclose, key, payload, signed, statement};

    fn line(key: &PrivateKey) -> String {
        String::from_utf8(signed(key).line().to_vec()).unwrap()
    }

    fn error(line: impl AsRef<[u8]>) -> EnvelopeError {
        SignedStatement::verify(line.as_ref()).unwrap_err()
    }

    /// Replaces exactly one place.
    fn replaced(text: &str, from: &str, to: &str) -> String {
        assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
        text.replace(from, to)
    }

    fn sig(line: &str) -> &str {
        line.rsplit_once("\"sig\":\"").unwrap().1.strip_suffix("\"}]}").unwrap()
    }

    #[test]
    fn the_helper_makes_what_sign_makes() {
        let key = key();
        assert_eq!(enclose(&key, payload(&signed(&key)).as_bytes()), line(&key));
    }

    #[test]
    fn every_single_altered_byte_is_refused() {
        let line = signed(&key()).line().to_vec();
        for at in 0..line.len() {
            for flip in [1, 0x20, 0x80] {
                let mut altered = line.clone();
                altered[at] ^= flip;
                assert!(SignedStatement::verify(&altered).is_err(), "byte {at} with {flip:#x}");
            }
        }
        for cut in 0..line.len() {
            assert!(SignedStatement::verify(&line[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_payload_of_another_is_refused() {
        let (a, b) = (key(), key());
        let (line_a, line_b) = (line(&a), line(&b));
        assert_eq!(
            error(replaced(&line_a, sig(&line_a), sig(&line_b))),
            EnvelopeError::BadSignature(BadSignature)
        );
        // A statement that names A, signed by B.
        let payload = payload(&signed(&a));
        assert!(matches!(error(enclose(&b, payload.as_bytes())), EnvelopeError::KeyId(_)));
        let relabelled =
            enclose(&b, payload.as_bytes()).replace(&b.public_key().keyid(), &a.public_key().keyid());
        assert_eq!(error(relabelled), EnvelopeError::BadSignature(BadSignature));
    }

    #[test]
    fn the_key_id_must_be_that_of_the_key() {
        let (a, b) = (key(), key());
        let (line, keyid) = (line(&a), a.public_key().keyid());
        for other in [
            b.public_key().keyid(),
            keyid.to_uppercase(),
            String::new(),
            a.public_key().fingerprint().to_string(),
            keyid[1..].to_owned(),
        ] {
            assert!(matches!(error(replaced(&line, &keyid, &other)), EnvelopeError::KeyId(_)), "{other}");
        }
        let without = replaced(&line, &format!(r#""keyid":"{keyid}","#), "");
        assert!(matches!(error(without), EnvelopeError::Malformed(_)));
    }

    #[test]
    fn e5_there_is_exactly_one_signature() {
        let key = key();
        let line = line(&key);
        let (head, list) = line.split_once("\"signatures\":[").unwrap();
        let one = list.strip_suffix("]}").unwrap();
        assert_eq!(error(format!("{head}\"signatures\":[{one},{one}]}}")), EnvelopeError::SignatureCount(2));
        assert_eq!(error(format!("{head}\"signatures\":[]}}")), EnvelopeError::SignatureCount(0));
    }

    #[test]
    fn base64_has_one_spelling() {
        let key = key();
        // A payload whose base64 is padded, so that there are unused bits.
        let mut statement = statement(&key);
        let padded = (1..=3)
            .find_map(|n| {
                statement.environment.tool = "x".repeat(n).parse().unwrap();
                let line = SignedStatement::sign(&key, &statement).unwrap().line().to_vec();
                let line = String::from_utf8(line).unwrap();
                line.contains("=\",\"payloadType").then_some(line)
            })
            .unwrap();
        let unpadded = padded
            .replace("==\",\"payloadType", "\",\"payloadType")
            .replace("=\",\"payloadType", "\",\"payloadType");
        assert_eq!(error(unpadded), EnvelopeError::Base64("payload"));
        let line = line(&key);
        let sig = sig(&line);
        let last = sig.as_bytes()[sig.len() - 3];
        assert!(sig.ends_with("=="));
        let trailing_bits = format!("{}{}==", &sig[..sig.len() - 3], char::from(last + 1));
        let url_safe = sig.replace('+', "-").replace('/', "_");
        let mut variants = vec![sig.trim_end_matches('=').to_owned(), format!("{sig}="), trailing_bits];
        variants.extend([format!(" {sig}"), sig.replacen('A', "A ", 1)].into_iter().filter(|v| v != sig));
        variants.extend((url_safe != sig).then_some(url_safe));
        for variant in variants {
            assert_eq!(error(replaced(&line, sig, &variant)), EnvelopeError::Base64("sig"), "{variant}");
        }
        // A line feed inside, as MIME wraps.
        let wrapped = format!("{}\\n{}", &sig[..64], &sig[64..]);
        assert_eq!(error(replaced(&line, sig, &wrapped)), EnvelopeError::Base64("sig"));
        // The same text by JSON escapes.
        let escaped = format!("\\u{:04x}{}", sig.as_bytes()[0], &sig[1..]);
        assert!(matches!(error(replaced(&line, sig, &escaped)), EnvelopeError::NotCanonical { .. }));
    }

    #[test]
    fn signatures_have_64_bytes() {
        let key = key();
        let line = line(&key);
        for length in [0, 63, 65, 128] {
            let other = wire::to_base64(&vec![7; length]);
            assert_eq!(error(replaced(&line, sig(&line), &other)), EnvelopeError::SignatureLength(length));
        }
    }

    /// S + L is the same scalar as S: RFC 8032 refuses the second spelling (GHSA-q67f-28xg-22rw).
    #[test]
    fn e14_a_malleated_signature_is_refused() {
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let key = key();
        let line = line(&key);
        let mut signature = wire::from_base64(sig(&line)).unwrap();
        let mut carry = 0;
        for (byte, l) in signature[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(l) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        let malleated = replaced(&line, sig(&line), &wire::to_base64(&signature));
        assert_eq!(error(malleated), EnvelopeError::BadSignature(BadSignature));
    }

    #[test]
    fn a_weak_key_signs_nothing() {
        // Under the neutral element as key, R = key and S = 0 fit any message by the lax rule.
        let key = key();
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let strong = wire::to_base64(key.public_key().as_bytes());
        let payload = payload(&signed(&key)).replace(&strong, &wire::to_base64(&neutral));
        let line = enclose(&key, payload.as_bytes());
        let forged = [neutral, [0; 32]].concat();
        let line = replaced(&line, sig(&line), &wire::to_base64(&forged));
        let error = error(line);
        assert!(
            matches!(&error, EnvelopeError::Statement(StatementError::Malformed(m)) if m.contains("weak")),
            "{error}"
        );
    }

    #[test]
    fn e10_the_payload_type_is_fixed() {
        let line = line(&key());
        let other = replaced(&line, PAYLOAD_TYPE, "application/vnd.in-toto.other+json");
        assert!(matches!(error(other), EnvelopeError::PayloadType(_)));
    }

    #[test]
    fn other_spellings_of_the_envelope_are_refused() {
        let line = line(&key());
        for (from, to) in [
            ("{\"payload\":", "{ \"payload\":"),
            ("\"payload\":", "\"payl\\u006fad\":"),
            ("application/vnd", "application\\/vnd"),
            ("\"signatures\":[", "\"signatures\": ["),
        ] {
            let error = error(replaced(&line, from, to));
            assert!(matches!(error, EnvelopeError::NotCanonical { .. }), "{to}: {error}");
        }
        for (from, to) in [
            ("\"signatures\":[", "\"extra\":1,\"signatures\":["),
            ("\"sig\":", "\"cert\":\"\",\"sig\":"),
            ("{\"payload\":", "{\"Payload\":"),
            ("{\"payload\":", "{\"payload\":\"\",\"payload\":"),
        ] {
            let error = error(replaced(&line, from, to));
            assert!(matches!(error, EnvelopeError::Malformed(_)), "{to}: {error}");
        }
        for trailing in [" ", "\n", "{}", "\0"] {
            assert!(SignedStatement::verify(format!("{line}{trailing}").as_bytes()).is_err(), "{trailing:?}");
        }
    }

    #[test]
    fn rewritten_lines_are_recognised() {
        let line = line(&key());
        let utf16 = |units: Vec<[u8; 2]>| units.concat();
        let le = utf16(line.encode_utf16().map(u16::to_le_bytes).collect());
        let be = utf16(line.encode_utf16().map(u16::to_be_bytes).collect());
        for (bytes, mangled) in [
            (format!("{line}\r").into_bytes(), Mangled::CrLf),
            (format!("\u{feff}{line}").into_bytes(), Mangled::ByteOrderMark),
            ([&b"\xff\xfe"[..], &le].concat(), Mangled::Utf16),
            (le, Mangled::Utf16),
            (be, Mangled::Utf16),
        ] {
            let error = error(bytes);
            assert_eq!(error, EnvelopeError::Mangled(mangled));
            assert!(error.problem().hint.is_some());
        }
    }

    #[test]
    fn long_lines_are_refused_before_they_are_read() {
        let too_long = EnvelopeError::TooLong { length: ENVELOPE_BYTES_MAX + 1, longest: ENVELOPE_BYTES_MAX };
        assert_eq!(error(vec![b'{'; ENVELOPE_BYTES_MAX + 1]), too_long);
        let deep = [b"{\"payload\":".as_slice(), &[b'['; 60_000]].concat();
        assert!(matches!(error(deep), EnvelopeError::Malformed(_)));
    }

    /// Signs with another key than it says, or garbage.
    struct Liar(PublicKey, Option<PrivateKey>);

    impl Signer for Liar {
        fn public_key(&self) -> &PublicKey {
            &self.0
        }

        fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
            match &self.1 {
                Some(key) => key.sign(message),
                None => Ok(Signature::from_bytes([0; 64])),
            }
        }
    }

    #[test]
    fn what_a_signer_returns_is_checked() {
        let own = key();
        let statement = statement(&own);
        for liar in [Liar(*own.public_key(), Some(key())), Liar(*own.public_key(), None)] {
            let error = SignedStatement::sign(&liar, &statement).unwrap_err();
            assert!(matches!(error, SignError::NotAcceptable(EnvelopeError::BadSignature(_))), "{error}");
        }
        let error = SignedStatement::sign(&key(), &statement).unwrap_err();
        assert!(matches!(error, SignError::OtherKey { .. }), "{error}");
    }

    #[test]
    fn what_breaks_a_rule_is_not_signed() {
        let key = key();
        let mut statement = statement(&key);
        statement.signer.basis = crate::Basis::Sealed;
        assert!(matches!(SignedStatement::sign(&key, &statement), Err(SignError::NotAcceptable(_))));
        let mut long = self::statement(&key);
        let excluded =
            |n: usize| crate::ExcludedCount { pattern: format!("{n:0>100}").parse().unwrap(), count: 1 };
        long.claim.excluded = Some((0..1000).map(excluded).collect());
        let error = SignedStatement::sign(&key, &long).unwrap_err();
        assert!(matches!(error, SignError::NotAcceptable(EnvelopeError::TooLong { .. })), "{error}");
    }

    /// The example of the DSSE specification, protocol.md.
    #[test]
    fn the_encoding_is_that_of_dsse() {
        assert_eq!(pae(b"hello world"), b"DSSEv1 28 application/vnd.in-toto+json 11 hello world");
    }
}
