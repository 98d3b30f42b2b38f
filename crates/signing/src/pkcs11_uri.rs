//! `pkcs11:` URIs (RFC 7512): which key in which token, and where its PIN is found.
//!
//! Strict where the RFC leaves a choice: no attribute is passed over, none is empty, and no PIN stands in a URI,
//! where others could read it.

use std::path::PathBuf;
use std::str::FromStr;

use consign_metadata::{Problem, printable};

/// Longest URI, in bytes.
const URI_MAX: usize = 4096;

/// Names a key in a PKCS #11 token.
///
/// ```
/// use consign_signing::Pkcs11Uri;
/// let uri: Pkcs11Uri = "pkcs11:token=Release%20keys;object=ada-2026;type=private".parse()?;
/// assert_eq!(uri.token.as_deref(), Some("Release keys"));
/// // A PIN would be seen by everybody who lists processes.
/// assert!("pkcs11:object=ada?pin-value=0000".parse::<Pkcs11Uri>().is_err());
/// # Ok::<(), consign_signing::Pkcs11UriError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pkcs11Uri {
    /// Label of the token.
    pub token: Option<String>,
    /// Who made the token.
    pub manufacturer: Option<String>,
    /// Model of the token.
    pub model: Option<String>,
    /// Serial number of the token.
    pub serial: Option<String>,
    /// Number of the slot that the token is in. Other than the rest, it can change with every start.
    pub slot_id: Option<u64>,
    /// `CKA_LABEL` of the key.
    pub object: Option<String>,
    /// `CKA_ID` of the key.
    pub id: Option<Vec<u8>>,
    /// The library that talks to the token; absolute.
    pub module_path: Option<PathBuf>,
    /// The file that holds the PIN (`pin-source=file:…`); absolute.
    pub pin_source: Option<PathBuf>,
}

/// Why a text is not a URI of a key. It quotes no value: one may be a PIN in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs11UriError {
    /// Not the shape of a `pkcs11:` URI.
    #[error("not a PKCS #11 URI: {0}")]
    Syntax(&'static str),
    /// An attribute that is not known, or of no use here.
    #[error("the attribute `{0}` of a PKCS #11 URI is not known here")]
    Unknown(String),
    /// An attribute twice (RFC 7512 section 2.3).
    #[error("the attribute `{0}` stands there twice")]
    Repeated(&'static str),
    /// A value that the attribute cannot have.
    #[error("the attribute `{name}` {reason}")]
    Value {
        /// The attribute.
        name: &'static str,
        /// What is wrong with its value.
        reason: &'static str,
    },
    /// The PIN itself.
    #[error("a PIN does not belong into a URI, where others can read it; take that PIN for known")]
    PinValue,
}

impl Pkcs11UriError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::PinValue => (
                "pkcs11-pin-value",
                "put it into a file of your own for `pin-source=file:/PATH` or `--passphrase-file`, or be asked on the terminal",
            ),
            Self::Unknown(_) => (
                "pkcs11-uri",
                "there are token, manufacturer, model, serial, slot-id, object, id, type, and after `?` module-path and pin-source",
            ),
            _ => ("pkcs11-uri", "such as `pkcs11:token=NAME;object=KEY`, with `%20` for a space (RFC 7512)"),
        };
        Problem::new(code, self.to_string()).hint(hint)
    }
}

/// Attributes that name token and key, before the `?`.
const PATH_ATTRIBUTES: [&str; 8] =
    ["token", "manufacturer", "model", "serial", "slot-id", "object", "id", "type"];
/// Attributes behind the `?`.
const QUERY_ATTRIBUTES: [&str; 3] = ["module-path", "pin-source", "pin-value"];

impl FromStr for Pkcs11Uri {
    type Err = Pkcs11UriError;

    fn from_str(text: &str) -> Result<Self, Pkcs11UriError> {
        if text.len() > URI_MAX {
            return Err(Pkcs11UriError::Syntax("it is longer than 4096 bytes"));
        }
        let rest = text.strip_prefix("pkcs11:").ok_or(Pkcs11UriError::Syntax("it begins with `pkcs11:`"))?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut uri = Self::default();
        let mut seen = Vec::new();
        if !path.is_empty() {
            for part in path.split(';') {
                let (name, value) = attribute(part, &PATH_ATTRIBUTES, "&", &mut seen)?;
                uri.set(name, value)?;
            }
        }
        for part in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = attribute(part, &QUERY_ATTRIBUTES, "/?|", &mut seen)?;
            uri.set(name, value)?;
        }
        Ok(uri)
    }
}

impl Pkcs11Uri {
    fn set(&mut self, name: &'static str, value: Vec<u8>) -> Result<(), Pkcs11UriError> {
        let wrong = |reason| Pkcs11UriError::Value { name, reason };
        if name == "id" {
            self.id = Some(value);
            return Ok(());
        }
        let text = String::from_utf8(value).map_err(|_| wrong("is not UTF-8"))?;
        if text.chars().any(char::is_control) {
            return Err(wrong("holds a control character"));
        }
        match name {
            "token" => self.token = Some(text),
            "manufacturer" => self.manufacturer = Some(text),
            "model" => self.model = Some(text),
            "serial" => self.serial = Some(text),
            "object" => self.object = Some(text),
            "slot-id" => {
                let digits =
                    text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
                let number = text.parse().ok().filter(|_| digits);
                self.slot_id = Some(number.ok_or(wrong("is not a number"))?);
            }
            "type" if text == "private" => {}
            "type" => return Err(wrong("is not `private`, and only a private key signs")),
            "module-path" => {
                self.module_path = Some(absolute(&text).ok_or(wrong("is not an absolute path"))?);
            }
            "pin-source" => {
                // RFC 8089: `file:/PATH`, or `file://` with an empty host. A program (`|…`) is not run.
                let path = text.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path));
                let path = path.and_then(absolute).ok_or(wrong("is not `file:` and an absolute path"))?;
                self.pin_source = Some(path);
            }
            // The only one left is `pin-value`; whatever it says, it is not kept.
            _ => return Err(Pkcs11UriError::PinValue),
        }
        Ok(())
    }
}

fn absolute(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    path.is_absolute().then_some(path)
}

/// One attribute, its value decoded. `more` are the characters that may stand in a value besides those that may
/// everywhere.
fn attribute(
    part: &str,
    known: &[&'static str],
    more: &str,
    seen: &mut Vec<&'static str>,
) -> Result<(&'static str, Vec<u8>), Pkcs11UriError> {
    let (name, value) =
        part.split_once('=').ok_or(Pkcs11UriError::Syntax("an attribute is written `NAME=VALUE`"))?;
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if !is_name(name) {
        return Err(Pkcs11UriError::Syntax("the name of an attribute is letters, digits, `-` and `_`"));
    }
    // Wherever a PIN stands: nothing may be said about the rest before that.
    if name.eq_ignore_ascii_case("pin-value") {
        return Err(Pkcs11UriError::PinValue);
    }
    let Some(&name) = known.iter().find(|known| **known == name) else {
        return Err(Pkcs11UriError::Unknown(printable(name)));
    };
    if seen.contains(&name) {
        return Err(Pkcs11UriError::Repeated(name));
    }
    seen.push(name);
    let value = decode(value, more)
        .ok_or(Pkcs11UriError::Value { name, reason: "has a character in it that is written with `%`" })?;
    if value.is_empty() {
        return Err(Pkcs11UriError::Value { name, reason: "is empty" });
    }
    Ok((name, value))
}

/// Decodes `%` and two hexadecimal digits; every other character must be one that stands for itself (RFC 7512
/// section 2.3, `pk11-res-avail`).
fn decode(text: &str, more: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(digits[0])? * 16 + digit(digits[1])?);
        } else if byte.is_ascii_alphanumeric()
            || b"-._~:[]@!$'()*+,=".contains(&byte)
            || more.as_bytes().contains(&byte)
        {
            bytes.push(byte);
        } else {
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Pkcs11Uri>().unwrap_err().to_string()
    }

    #[test]
    fn attributes_are_read() {
        let uri: Pkcs11Uri = "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=76ae1bc2;\
            token=My%20token%2c%3b;slot-id=17;id=%01%aB%00;object=a&b;type=private\
            ?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/secrets/pin"
            .parse()
            .unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            uri,
            Pkcs11Uri {
                token: text("My token,;"),
                manufacturer: text("SoftHSM project"),
                model: text("SoftHSM v2"),
                serial: text("76ae1bc2"),
                slot_id: Some(17),
                object: text("a&b"),
                id: Some(vec![1, 0xab, 0]),
                module_path: Some("/usr/lib/softhsm/libsofthsm2.so".into()),
                pin_source: Some("/run/secrets/pin".into()),
            }
        );
        assert_eq!("pkcs11:".parse(), Ok(Pkcs11Uri::default()));
        let local: Pkcs11Uri = "pkcs11:?pin-source=file:///run/pin".parse().unwrap();
        assert_eq!(local.pin_source, Some("/run/pin".into()));
    }

    proptest::proptest! {
        #[test]
        fn any_value_can_be_written_and_no_text_causes_a_panic(
            label in "[^\\p{C}]{1,20}",
            id in proptest::collection::vec(proptest::num::u8::ANY, 1..20),
            text in "(pkcs11:)?([a-z-]{0,9}=?%?[0-9a-f]{0,3}[;?&]?){0,6}",
        ) {
            let encode = |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let uri = format!("pkcs11:object={};id={}", encode(label.as_bytes()), encode(&id));
            let expected = Pkcs11Uri { object: Some(label), id: Some(id), ..Pkcs11Uri::default() };
            assert_eq!(uri.parse(), Ok(expected));
            let _ = text.parse::<Pkcs11Uri>();
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, expected) in [
            ("", "it begins with `pkcs11:`"),
            ("PKCS11:token=a", "it begins with `pkcs11:`"),
            ("pkcs11:token", "written `NAME=VALUE`"),
            ("pkcs11:token=a;", "written `NAME=VALUE`"),
            ("pkcs11:;token=a", "written `NAME=VALUE`"),
            ("pkcs11:?", "written `NAME=VALUE`"),
            ("pkcs11:token=a?module-path=/a&", "written `NAME=VALUE`"),
            ("pkcs11:=a", "the name of an attribute"),
            ("pkcs11:to ken=a", "the name of an attribute"),
            ("pkcs11:token=", "`token` is empty"),
            ("pkcs11:token=a;token=b", "`token` stands there twice"),
            ("pkcs11:?module-path=/a&module-path=/a", "`module-path` stands there twice"),
            ("pkcs11:Token=a", "`Token` of a PKCS #11 URI is not known"),
            ("pkcs11:x-vendor=a", "`x-vendor` of a PKCS #11 URI is not known"),
            ("pkcs11:library-version=3", "`library-version` of a PKCS #11 URI is not known"),
            ("pkcs11:module-path=/a", "`module-path` of a PKCS #11 URI is not known"),
            ("pkcs11:?token=a", "`token` of a PKCS #11 URI is not known"),
            ("pkcs11:?module-name=softhsm2", "`module-name` of a PKCS #11 URI is not known"),
            ("pkcs11:token=a b", "written with `%`"),
            ("pkcs11:token=a/b", "written with `%`"),
            ("pkcs11:token=%4", "written with `%`"),
            ("pkcs11:token=%+1", "written with `%`"),
            ("pkcs11:token=ä", "written with `%`"),
            ("pkcs11:token=%ff", "is not UTF-8"),
            ("pkcs11:token=%1b", "control character"),
            ("pkcs11:slot-id=01", "is not a number"),
            ("pkcs11:slot-id=+1", "is not a number"),
            ("pkcs11:slot-id=99999999999999999999", "is not a number"),
            ("pkcs11:type=public", "is not `private`"),
            ("pkcs11:?module-path=lib.so", "is not an absolute path"),
            ("pkcs11:?pin-source=/run/pin", "is not `file:`"),
            ("pkcs11:?pin-source=file:pin", "is not `file:`"),
            ("pkcs11:?pin-source=file://host/pin", "is not `file:`"),
            ("pkcs11:?pin-source=|/bin/pin", "is not `file:`"),
            ("pkcs11:?pin-source=https://example.org/pin", "is not `file:`"),
        ] {
            let error = error(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(error(&format!("pkcs11:token={}", "a".repeat(5000))).contains("longer than"));
    }

    #[test]
    fn a_pin_is_refused_and_not_repeated() {
        let pin = "98".repeat(4);
        for text in [
            "pkcs11:object=a?pin-value=<>",
            "pkcs11:?pin-value=",
            "pkcs11:pin-value=<>",
            "pkcs11:?PIN-VALUE=<>",
            "pkcs11:?pin-value=<>&pin-value=<>",
        ] {
            assert_eq!(
                text.replace("<>", &pin).parse::<Pkcs11Uri>(),
                Err(Pkcs11UriError::PinValue),
                "{text}"
            );
        }
        for text in [
            "pkcs11:<>",
            "pkcs11:pin=<>",
            "pkcs11:object=a?pin-source=<>",
            "pkcs11:object=a?<>",
            "pkcs11:slot-id=x<>",
        ] {
            let error = error(&text.replace("<>", &pin));
            assert!(!error.contains(&pin), "{error}");
        }
    }
}
