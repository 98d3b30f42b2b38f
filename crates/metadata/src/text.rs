//! Texts that carry a promise about what they hold: one line, a paragraph, a name, a version.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::joiners::is_in_context;
use crate::literal::StaticLine;
use crate::unicode::{deceptive_in, excerpt, is_deceptive};

/// Reads a string and parses it, so that a value of `T` never holds what its parser refuses.
pub(crate) fn deserialize_parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let text = <Cow<'de, str>>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Declares a string type with one parser: `FromStr`, `Display`, serde and JSON Schema all follow it.
///
/// The schema is JSON, or a closure over the generator where it depends on who reads it.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $error:ty, $parse:path, schema: |$generator:ident| $schema:block) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                $parse(text)?;
                Ok(Self(text.into()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::text::deserialize_parsed(deserializer)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $error:ty, $parse:path, schema: $schema:tt) => {
        $crate::text::text_type! {
            $(#[$doc])* $name, $error, $parse, schema: |_generator| { schemars::json_schema!($schema) }
        }
    };
}

pub(crate) use text_type;

/// Why a text does not fit the type it was meant for: one sentence, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TextError(pub(crate) String);

/// Longest [`Line`], in bytes.
pub const LINE_MAX: usize = 1024;
/// Longest [`Paragraph`], in bytes.
pub const PARAGRAPH_MAX: usize = 64 * 1024;

fn check_common(text: &str, max: usize) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError("is empty".into()));
    }
    if text.len() > max {
        return Err(TextError(format!("is {} bytes long (at most {max})", text.len())));
    }
    Ok(())
}

pub(crate) fn check_line(text: &str) -> Result<(), TextError> {
    check_common(text, LINE_MAX)?;
    if text.trim() != text {
        return Err(TextError(format!("`{}` begins or ends with white space", excerpt(text))));
    }
    match deceptive_in(text) {
        Some(c) => Err(TextError(format!(
            "`{}` holds the character U+{:04X}, which does not show or changes how a line reads",
            excerpt(text),
            u32::from(c)
        ))),
        None => Ok(()),
    }
}

fn check_email(text: &str) -> Result<(), TextError> {
    check_line(text)?;
    let ok = text.len() <= 254
        && !text.contains(char::is_whitespace)
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    if ok { Ok(()) } else { Err(TextError(format!("`{}` is not an e-mail address", excerpt(text)))) }
}

pub(crate) fn check_paragraph(text: &str) -> Result<(), TextError> {
    check_common(text, PARAGRAPH_MAX)?;
    // Lines of a paragraph may break anywhere, also between a sign and its selector.
    let found = text.char_indices().find(|&(at, c)| match c {
        '\n' | '\t' | '\u{200d}' | '\u{fe0f}' => false,
        '\u{200c}' => !is_in_context(text, at),
        c => is_deceptive(c),
    });
    match found.map(|(_, c)| c) {
        Some(c) => Err(TextError(format!(
            "holds the character U+{:04X}, which does not show or changes how a line reads",
            u32::from(c)
        ))),
        None => Ok(()),
    }
}

fn check_name(text: &str) -> Result<(), TextError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ok = (1..=100).contains(&text.len())
        && text.chars().all(inner)
        && text.starts_with(edge)
        && text.ends_with(edge)
        && !text.contains("..");
    if ok {
        return Ok(());
    }
    let suggestion = suggest_name(text);
    Err(TextError(format!(
        "`{}` is not a bundle name: lower-case letters and digits, with `.`, `_`, `-` inside, at most 100{}",
        excerpt(text),
        suggestion.map_or_else(String::new, |s| format!("; for example `{s}`"))
    )))
}

/// A valid bundle name made of the letters of `text`, where there are any: `My Model (v2)` gives `my-model-v2`.
///
/// ```
/// assert_eq!(consign_metadata::suggest_name("All-MiniLM L6 (v2)").as_deref(), Some("all-minilm-l6-v2"));
/// assert_eq!(consign_metadata::suggest_name("…"), None);
/// ```
pub fn suggest_name(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        let keep = c.is_ascii_lowercase() || c.is_ascii_digit();
        let separator = !name.is_empty() && !name.ends_with(['.', '_', '-']);
        match c {
            _ if keep => name.push(c),
            '.' | '_' if separator => name.push(c),
            _ if separator => name.push('-'),
            _ => {}
        }
        if name.len() == 100 {
            break;
        }
    }
    let name = name.trim_end_matches(['.', '_', '-']);
    (!name.is_empty()).then(|| name.to_owned())
}

fn check_version(text: &str) -> Result<(), TextError> {
    let fault = |why: &str| TextError(format!("`{}` is not a version: {why}", excerpt(text)));
    if text.len() > 100 {
        return Err(fault("longer than 100 characters"));
    }
    semver::Version::parse(text).map_err(|e| {
        fault(&format!("{e}; write it as Semantic Versioning has it, such as `1.0.0` or `2.1.0-rc.1`"))
    })?;
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(fault("upper-case letters (the version becomes part of file names)"));
    }
    Ok(())
}

fn check_token(text: &str) -> Result<(), TextError> {
    let ok = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.ends_with('-');
    if ok {
        return Ok(());
    }
    Err(TextError(format!(
        "`{}` is not a plain word: lower-case letters, digits and inner `-`, at most 64",
        excerpt(text)
    )))
}

text_type! {
    /// One line of text for people: 1 to 1024 bytes, no control, bidi or invisible character, no white space
    /// at either end. It can stand in a header line, a BagIt tag or on a terminal as it is.
    Line, TextError, check_line,
    schema: {
        "type": "string", "minLength": 1, "maxLength": LINE_MAX, "pattern": "^\\S(.*\\S)?$",
        "description": "One line of text."
    }
}

impl From<StaticLine> for Line {
    fn from(line: StaticLine) -> Self {
        Self(line.as_str().into())
    }
}

text_type! {
    /// An e-mail address: one line with one `@` between two parts without white space. Whether it exists is
    /// not for a parser to say.
    Email, TextError, check_email,
    schema: {
        "type": "string", "format": "email", "maxLength": 254, "pattern": "^[^@\\s]+@[^@\\s]+$",
        "description": "An e-mail address."
    }
}

text_type! {
    /// Text of several lines: 1 byte to 64 KiB; line feeds and tabs, but no other control character.
    Paragraph, TextError, check_paragraph,
    schema: {"type": "string", "minLength": 1, "maxLength": PARAGRAPH_MAX, "description": "Text, of several lines if need be."}
}

text_type! {
    /// The name of a bundle: `[a-z0-9]` with inner `.`, `_`, `-`, at most 100 characters, never `..`, so that
    /// it is one safe path component everywhere.
    ///
    /// ```
    /// use consign_metadata::BundleName;
    /// assert!("all-minilm-l6-v2".parse::<BundleName>().is_ok());
    /// assert!("..".parse::<BundleName>().is_err());
    /// ```
    BundleName, TextError, check_name,
    schema: {
        "type": "string", "pattern": "^(?!.*\\.\\.)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$", "maxLength": 100,
        "description": "Lower-case letters and digits, with `.`, `_`, `-` inside."
    }
}

text_type! {
    /// The version of a bundle: Semantic Versioning 2.0.0, lower-case.
    BundleVersion, TextError, check_version,
    schema: {
        "type": "string", "maxLength": 100,
        "pattern": "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9a-z.-]+)?(\\+[0-9a-z.-]+)?$",
        "description": "Semantic Versioning 2.0.0, such as `1.0.0` or `2.1.0-rc.1`, in lower case."
    }
}

impl BundleVersion {
    /// Which version is the later, by Semantic Versioning (section 11); of two that rank the same, the later text.
    ///
    /// ```
    /// use consign_metadata::BundleVersion;
    /// let version = |text: &str| text.parse::<BundleVersion>().unwrap();
    /// assert!(version("1.10.0").rank(&version("1.9.0")).is_gt());
    /// assert!(version("1.0.0-rc.1").rank(&version("1.0.0")).is_lt());
    /// ```
    pub fn rank(&self, other: &Self) -> std::cmp::Ordering {
        let parsed = |version: &Self| semver::Version::parse(version.as_str()).ok();
        parsed(self).cmp(&parsed(other)).then_with(|| self.cmp(other))
    }
}

text_type! {
    /// The level of a classification scheme, by its name. Which names exist and how they are ordered is the
    /// scheme's business ([`Scheme`](crate::Scheme)), not this type's.
    Classification, TextError, check_token,
    schema: {
        "type": "string", "pattern": "^[a-z](?:[a-z0-9-]*[a-z0-9])?$", "maxLength": 64,
        "description": "The classification level; the built-in scheme has public, internal, confidential, restricted.",
        "examples": ["public", "internal", "confidential", "restricted"]
    }
}

text_type! {
    /// What a signer signs as: `owner`, `release`, … A plain lower-case word.
    Role, TextError, check_token,
    schema: {"type": "string", "pattern": "^[a-z](?:[a-z0-9-]*[a-z0-9])?$", "maxLength": 64}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e27_a_line_is_one_line_that_shows_all_it_holds() {
        for good in ["x", "Ada Lovelace", "Grüße an 北京", "a  b"] {
            assert!(good.parse::<Line>().is_ok(), "{good:?}");
        }
        for bad in ["", " x", "x ", "a\nb", "a\tb", "a\u{202e}b", "a\u{200b}b", "a\u{1b}[31mb", "a\u{2028}b"]
        {
            assert!(bad.parse::<Line>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_one_safe_path_component() {
        for good in ["a", "0", "minilm", "a.b_c-d", &"x".repeat(100)] {
            assert!(good.parse::<BundleName>().is_ok(), "{good:?}");
        }
        for bad in ["", ".", "..", "a..b", "-a", "a-", "A", "a/b", "ä", "a b", &"x".repeat(101)] {
            assert!(bad.parse::<BundleName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions_are_lower_case_semver() {
        for good in ["1.0.0", "0.0.1-rc.1", "1.2.3+build.5"] {
            assert!(good.parse::<BundleVersion>().is_ok(), "{good:?}");
        }
        for bad in ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-RC1", "1.0.0 "] {
            assert!(bad.parse::<BundleVersion>().is_err(), "{bad:?}");
        }
    }
}
