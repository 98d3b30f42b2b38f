//! Signed notes (C2SP signed-note): text with one signature a line below it, as transparency logs sign their
//! checkpoints.
//!
//! The text of a note says nothing until a signature over it was checked under a key that the caller names:
//! [`Note::verify`] is the only way to a [`VerifiedNote`].

use std::fmt;
use std::str::FromStr;

use consign_metadata::{Problem, Sha256Digest, printable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::public_key::{PublicKey, Signature};
use crate::signer::{Signer, SignerError};
use crate::wire;

/// Largest note, in bytes.
///
/// It holds sixteen Ed25519 signatures, which the specification asks for; those of post-quantum algorithms are
/// larger than what a statement has room for.
pub const NOTE_BYTES_MAX: usize = 8 * 1024;
/// Most signatures that a note may carry.
pub const NOTE_SIGNATURES_MAX: usize = 16;
/// Longest name of a key, in bytes.
const NAME_MAX: usize = 255;
/// The signature type of Ed25519 over the text, which goes into the key's id.
const ED25519: u8 = 0x01;
/// What a signature line begins with: em dash, space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// The text of a note: lines, each ended by a line feed, without other control characters. It may hold empty
/// lines.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NoteText(Box<str>);

/// A signed note as it came, or as it was signed. **Nothing of it is checked** but its form.
///
/// In documents a note is one string. It is kept as it came, byte for byte, with the signatures of others.
///
/// ```
/// use consign_signing::{Note, NoteText, NoteVerifier, PrivateKey, Signer};
/// let key = PrivateKey::generate()?;
/// let note = Note::sign(&key, "log.example/1", &"three lines\nof\ntext\n".parse()?)?;
/// let received = Note::parse(&note.to_bytes())?;
/// let verifier = NoteVerifier::new("log.example/1", *key.public_key())?;
/// assert_eq!(received.verify(&verifier)?.text().as_str(), "three lines\nof\ntext\n");
/// // Another name is another signer, also with the same key.
/// let other = NoteVerifier::new("log.example/2", *key.public_key())?;
/// assert!(received.verify(&other).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Note {
    /// Text, empty line, signature lines.
    whole: Box<str>,
    /// Length of the text, with its last line feed.
    text: usize,
}

/// A note whose signature by a key that the caller named was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNote {
    note: Note,
    text: NoteText,
}

/// Who is to have signed a note: a name and an Ed25519 key.
///
/// Its text form is the *vkey* of the specification, `NAME+ID+BASE64`.
///
/// ```
/// use consign_signing::{Note, NoteVerifier};
/// // The example of the specification.
/// let verifier: NoteVerifier = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse()?;
/// let note = "This is an example message.\n\n— example.com/foo \
///     Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// assert_eq!(note.parse::<Note>()?.verify(&verifier)?.text().as_str(), "This is an example message.\n");
/// # Ok::<(), consign_signing::NoteError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NoteVerifier {
    name: Box<str>,
    key: PublicKey,
}

/// Why a note was not read, or is not signed by whom it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not of the form of a signed note.
    #[error("the signed note is malformed: {0}")]
    Malformed(&'static str),
    /// Larger than a note may be.
    #[error("the signed note is larger than {NOTE_BYTES_MAX} bytes")]
    TooLarge,
    /// A name that no key can have.
    #[error("`{0}` is not a name of a note's signer: no white space, no `+`, 1 to {NAME_MAX} bytes")]
    Name(String),
    /// Not the text form of a verifier.
    #[error("not the key of a note's signer (`NAME+ID+BASE64`, Ed25519): {0}")]
    Verifier(&'static str),
    /// The signer's signature is not among those of the note.
    #[error("the note is not signed by `{expected}`, but by {found}")]
    Unsigned {
        /// Whose signature was asked for.
        expected: String,
        /// Whose are there.
        found: String,
    },
    /// The signature of the signer does not fit.
    #[error("the signature of `{0}` does not fit the note's text")]
    BadSignature(String),
}

/// Why a note was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteSignError {
    /// The signer refused, or is not there.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Name or text do not make a note, or what the signer returned is no signature of its key.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// The name under which the ledger of a key signs: `consign.dev/ledger/` and the first 16 hexadecimal digits of
/// the SHA-256 of the key's 32 bytes.
///
/// It follows from the key, so that the key alone says which ledger a checkpoint must be of.
///
/// ```
/// use consign_signing::{ledger_origin, PrivateKey, Signer};
/// let key = PrivateKey::generate()?;
/// assert!(ledger_origin(key.public_key()).starts_with("consign.dev/ledger/"));
/// # Ok::<(), consign_signing::PrivateKeyError>(())
/// ```
pub fn ledger_origin(key: &PublicKey) -> String {
    let digest = Sha256Digest::of(key.as_bytes()).hex();
    format!("consign.dev/ledger/{}", &digest[..16])
}

impl NoteError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Malformed(_) | Self::TooLarge => "note-malformed",
            Self::Name(_) => "note-name",
            Self::Verifier(_) => "note-verifier",
            Self::Unsigned { .. } => "note-not-signed",
            Self::BadSignature(_) => "note-signature",
        };
        Problem::new(code, self.to_string())
    }
}

impl NoteText {
    /// The text itself, with its last line feed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NoteText {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end with a line feed"));
        }
        check_characters(text)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for NoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Malformed("it holds control characters"));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let ok = (1..=NAME_MAX).contains(&name.len())
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
    if ok { Ok(()) } else { Err(NoteError::Name(printable(name.get(..40).unwrap_or(name)))) }
}

/// One signature line, of whatever algorithm.
struct SignatureLine<'a> {
    name: &'a str,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl<'a> SignatureLine<'a> {
    fn parse(line: &'a str) -> Result<Self, NoteError> {
        let malformed = || NoteError::Malformed("a signature line is not `— NAME BASE64`");
        let (name, base64) = line
            .strip_prefix(SIGNATURE_PREFIX)
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(malformed)?;
        check_name(name)?;
        let bytes = wire::from_base64(base64).ok_or_else(malformed)?;
        let (id, signature) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
        if signature.is_empty() {
            return Err(malformed());
        }
        Ok(Self { name, id: *id, signature: signature.to_vec() })
    }
}

impl Note {
    /// Reads a signed note: text, an empty line, one to sixteen signature lines.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        check_characters(whole)?;
        // The text may hold empty lines: the last one ends it.
        let text = whole.rfind("\n\n").ok_or(NoteError::Malformed("no empty line ends the text"))? + 1;
        let note = Self { whole: whole.into(), text };
        let lines = whole[text + 1..].strip_suffix('\n');
        let lines =
            lines.ok_or(NoteError::Malformed("no signature, or one that is not ended by a line feed"))?;
        let mut count = 0;
        for line in lines.split('\n') {
            SignatureLine::parse(line)?;
            count += 1;
        }
        if count > NOTE_SIGNATURES_MAX {
            return Err(NoteError::Malformed("more than 16 signatures"));
        }
        Ok(note)
    }

    /// Signs a text under a name, and checks what the signer returned.
    ///
    /// # Errors
    /// The signer refuses or returns what is not its signature; the name or the length does not fit.
    pub fn sign(signer: &dyn Signer, name: &str, text: &NoteText) -> Result<Self, NoteSignError> {
        let verifier = NoteVerifier::new(name, *signer.public_key())?;
        let signature = signer.sign(text.0.as_bytes())?;
        let bytes = [&verifier.id()[..], signature.as_bytes()].concat();
        let line = format!("{SIGNATURE_PREFIX}{name} {}\n", wire::to_base64(&bytes));
        let note = Self::parse(format!("{}\n{line}", text.0).as_bytes())?;
        note.verify(&verifier)?;
        Ok(note)
    }

    /// Checks that the holder of the verifier's key signed the text, under the verifier's name.
    ///
    /// Signatures of others, such as witnesses, are passed over, as the specification has it.
    ///
    /// # Errors
    /// There is no such signature, or one that does not fit.
    pub fn verify(&self, verifier: &NoteVerifier) -> Result<VerifiedNote, NoteError> {
        let id = verifier.id();
        let text = &self.whole[..self.text];
        let mut found = false;
        for line in self.signatures() {
            if line.name != &*verifier.name || line.id != id {
                continue;
            }
            let bad = || NoteError::BadSignature(printable(line.name));
            let signature: [u8; 64] = line.signature.as_slice().try_into().map_err(|_| bad())?;
            verifier.key.verify(text.as_bytes(), &Signature::from_bytes(signature)).map_err(|_| bad())?;
            found = true;
        }
        if !found {
            let found: Vec<_> = self.signatures().map(|line| format!("`{}`", printable(line.name))).collect();
            let same_name = self.signatures().any(|line| line.name == &*verifier.name);
            let found = if same_name {
                format!("another key of the name {}", found.join(", "))
            } else {
                found.join(", ")
            };
            return Err(NoteError::Unsigned { expected: verifier.name.to_string(), found });
        }
        Ok(VerifiedNote { note: self.clone(), text: NoteText(text.into()) })
    }

    /// The note as it came.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// The bytes of the note: what a file of it holds.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.whole.as_bytes().to_vec()
    }

    /// The text, **of which nothing is checked**: for looking up which key it would have to be signed by.
    pub fn unverified_text(&self) -> &str {
        &self.whole[..self.text]
    }

    fn signatures(&self) -> impl Iterator<Item = SignatureLine<'_>> {
        // Each was read once before, in `parse`.
        self.whole[self.text + 1..].split_terminator('\n').filter_map(|line| SignatureLine::parse(line).ok())
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.whole, f)
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.whole)
    }
}

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        wire::parsed(deserializer)
    }
}

impl schemars::JsonSchema for Note {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Note".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A signed note (C2SP signed-note): text, an empty line, signature lines.",
            "type": "string",
            "maxLength": NOTE_BYTES_MAX,
            "pattern": "\\n\\n(— [^ +\\n]+ [A-Za-z0-9+/]+={0,2}\\n)+$",
        })
    }
}

impl VerifiedNote {
    /// The text that was signed.
    pub fn text(&self) -> &NoteText {
        &self.text
    }

    /// The note, with all its signatures.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The note, with all its signatures.
    pub fn into_note(self) -> Note {
        self.note
    }
}

impl NoteVerifier {
    /// A key under a name.
    ///
    /// # Errors
    /// A name that is empty, longer than 255 bytes, or holds white space or `+`.
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.into(), key })
    }

    /// The ledger of a key, by the name that follows from it ([`ledger_origin`]).
    pub fn of_ledger(key: &PublicKey) -> Self {
        Self { name: ledger_origin(key).into(), key: *key }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The id of the key: the first four bytes of SHA-256 over name, line feed, signature type and key.
    fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] =
            *Sha256Digest::of(&[self.name.as_bytes(), &[b'\n', ED25519], self.key.as_bytes()].concat())
                .as_bytes();
        [a, b, c, d]
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = wire::to_base64(&[&[ED25519], &self.key.as_bytes()[..]].concat());
        write!(f, "{}+{}+{key}", self.name, consign_metadata::to_hex(&self.id()))
    }
}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NoteVerifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // The base64 may hold `+` too.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(base64)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Verifier("it does not have three parts"));
        };
        let bytes = wire::from_base64(base64).ok_or(NoteError::Verifier("its last part is not base64"))?;
        let Some((&kind, key)) = bytes.split_first() else {
            return Err(NoteError::Verifier("it holds no key"));
        };
        if kind != ED25519 {
            return Err(NoteError::Verifier("its signatures are of another type than Ed25519"));
        }
        let key: [u8; 32] =
            key.try_into().map_err(|_| NoteError::Verifier("its key is not 32 bytes long"))?;
        let key =
            PublicKey::from_bytes(&key).map_err(|_| NoteError::Verifier("its key is weak or no key"))?;
        let verifier = Self::new(name, key)?;
        if consign_metadata::to_hex(&verifier.id()) != id {
            return Err(NoteError::Verifier("its id does not follow from its name and key"));
        }
        Ok(verifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    /// The examples of the specifications signed-note and tlog-checkpoint. Of most of them the key is not told.
    const VERIFIER: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const EXAMPLE: &str = "This is an example message.\n\n\
        \u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    const POEM: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned \u{e8} subito sera.\n\n\
        \u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

    const WITNESS: &str = "\u{2014} witness.example/w1 AQIDBAUGBwg=\n";

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let verifier: NoteVerifier = VERIFIER.parse().unwrap();
        assert_eq!(verifier.to_string(), VERIFIER);
        let note: Note = EXAMPLE.parse().unwrap();
        assert_eq!(note.verify(&verifier).unwrap().text().as_str(), "This is an example message.\n");
        assert_eq!(note.to_bytes(), EXAMPLE.as_bytes());
        // Its text has an empty line: the last one ends it.
        let poem: Note = POEM.parse().unwrap();
        assert!(poem.unverified_text().ends_with("\n\ned \u{e8} subito sera.\n"));
        assert!(matches!(poem.verify(&verifier), Err(NoteError::Unsigned { .. })));
    }

    #[test]
    fn signatures_of_others_are_passed_over_and_a_bad_one_is_not() {
        let verifier: NoteVerifier = VERIFIER.parse().unwrap();
        let bad = EXAMPLE.replace("IneyaQM=", "IneyaQI=");
        for good in [format!("{EXAMPLE}{WITNESS}"), EXAMPLE.replace("\n\n", &format!("\n\n{WITNESS}"))] {
            good.parse::<Note>().unwrap().verify(&verifier).unwrap();
        }
        // One that does not fit is not made good by one that does.
        let line = EXAMPLE.split_once("\n\n").unwrap().1;
        for spoiled in [bad.clone(), format!("{bad}{line}"), EXAMPLE.replace("example m", "Example m")] {
            let error = spoiled.parse::<Note>().unwrap().verify(&verifier).unwrap_err();
            assert_eq!(error, NoteError::BadSignature("example.com/foo".into()));
        }
        // Too short for Ed25519, under the id of the key.
        let short =
            "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8\n".parse::<Note>().unwrap();
        assert_eq!(short.verify(&verifier), Err(NoteError::BadSignature("example.com/foo".into())));
        // The same name with another key is another signer.
        let other = NoteVerifier::new("example.com/foo", *key().public_key()).unwrap();
        let error = EXAMPLE.parse::<Note>().unwrap().verify(&other).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the note is not signed by `example.com/foo`, but by another key of the name `example.com/foo`"
        );
        assert_eq!(error.problem().code, "note-not-signed");
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for bad in [
            "",
            "\n",
            "text\n",
            "text\n\n",
            "text\n\nno signature\n",
            &EXAMPLE[..EXAMPLE.len() - 1],
            &EXAMPLE.replace(".\n\n", ".\n"),
            &EXAMPLE.replace("\n\n", "\r\n\r\n"),
            &EXAMPLE.replace("message", "mess\tage"),
            &EXAMPLE.replace('\u{2014}', "-"),
            &EXAMPLE.replace("example.com/foo", "example.com/f o"),
            &EXAMPLE.replace("example.com/foo", "example.com/f+o"),
            &EXAMPLE.replace("example.com/foo", ""),
            &EXAMPLE.replace("aQM=\n", "aQM\n"),
            &EXAMPLE.replace("aQM=\n", "aQN=\n"),
            &EXAMPLE.replace("aQM=\n", "aQM= \n"),
            &format!("{EXAMPLE}\n"),
            &format!("{EXAMPLE}{}", WITNESS.repeat(16)),
            &format!("{}{EXAMPLE}", "x".repeat(NOTE_BYTES_MAX)),
            "text\n\n\u{2014} name AQID\n",
            "text\n\n\u{2014} name AQIDBA==\n",
        ] {
            assert!(bad.parse::<Note>().is_err(), "{bad:?}");
        }
        assert!(Note::parse(b"\xff\n\n").is_err());
        format!("{EXAMPLE}{}", WITNESS.repeat(15)).parse::<Note>().unwrap();
    }

    #[test]
    fn keys_of_signers_have_one_spelling() {
        for bad in [
            "",
            "example.com/foo",
            "example.com/foo+530d903a",
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3Q==",
            "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+",
        ] {
            assert!(bad.parse::<NoteVerifier>().is_err(), "{bad}");
        }
        let key = key();
        let verifier = NoteVerifier::of_ledger(key.public_key());
        assert_eq!(verifier.to_string().parse(), Ok(verifier));
    }

    #[test]
    fn what_is_signed_is_verified_and_travels_as_a_string() {
        let key = key();
        let text: NoteText = "a\n\nb\n".parse().unwrap();
        let note = Note::sign(&key, "log.example", &text).unwrap();
        let verifier = NoteVerifier::new("log.example", *key.public_key()).unwrap();
        assert_eq!(note.verify(&verifier).unwrap().text(), &text);
        let json = serde_json::to_string(&note).unwrap();
        assert_eq!(serde_json::from_str::<Note>(&json).unwrap(), note);
        assert!(serde_json::from_str::<Note>("\"text\"").is_err());
        assert!(matches!(Note::sign(&key, "two words", &text), Err(NoteSignError::Note(NoteError::Name(_)))));
        for bad in ["", "no line feed", "a\tb\n"] {
            assert!(bad.parse::<NoteText>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_signer_that_signs_something_else_is_found_out() {
        struct Liar(crate::PrivateKey, crate::PrivateKey);
        impl Signer for Liar {
            fn public_key(&self) -> &PublicKey {
                self.0.public_key()
            }
            fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
                self.1.sign(message)
            }
        }
        let text: NoteText = "a\n".parse().unwrap();
        let signed = Note::sign(&Liar(key(), key()), "log.example", &text);
        assert!(matches!(signed, Err(NoteSignError::Note(NoteError::BadSignature(_)))));
    }
}
