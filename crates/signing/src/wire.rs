//! Reading JSON so that one value has one spelling.
//!
//! A document is typed, closed (`deny_unknown_fields`), and accepted only if writing what was read gives the
//! bytes that were read. That one comparison refuses what JSON leaves open and what parsers have disagreed
//! about: repeated keys (CVE-2017-12635), keys in other case (CVE-2026-27896), spacing, escapes, member
//! order, `1.0` for `1`.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

/// Why a document was not read.
#[derive(Debug)]
pub(crate) enum WireError {
    /// Not JSON, or not of the expected shape; the parser's message, fit for printing.
    Malformed(String),
    /// The right shape in another spelling; the first byte that differs, counted from 0.
    NotCanonical(usize),
}

/// Reads a document in its one spelling.
pub(crate) fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, WireError> {
    let value: T = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
    let canonical = write(&value);
    if canonical == bytes {
        return Ok(value);
    }
    let same = canonical.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(WireError::NotCanonical(same))
}

/// The message of a JSON error; it may quote the document, so it is escaped.
pub(crate) fn malformed(error: &serde_json::Error) -> WireError {
    WireError::Malformed(consign_metadata::printable(&error.to_string()))
}

/// Writes a document in its one spelling: compact JSON in the order of the type's fields.
pub(crate) fn write<T: Serialize>(value: &T) -> Vec<u8> {
    // The types of this crate have string keys and no fallible serialisers, so this does not fail; if it ever
    // did, no bytes come out and every comparison with received bytes fails.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Reads a string and parses it, so that a value of `T` never holds what its parser refuses.
pub(crate) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: Display,
{
    let text = <Cow<'de, str>>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Standard base64, padded (RFC 4648 section 4).
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads standard base64 in its one spelling: padded, no white space, unused bits zero (RFC 4648 section 3.5).
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    (to_base64(&bytes) == text).then_some(bytes)
}

/// The largest integer that every JSON reader holds exactly: 2^53 − 1 (RFC 7493 section 2.2).
pub(crate) const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Reads a count or size: an integer from 0 to [`INTEGER_MAX`].
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = u64::deserialize(deserializer)?;
    if value > INTEGER_MAX {
        return Err(D::Error::custom(format_args!("{value} is larger than {INTEGER_MAX}")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(from_base64("AA=="), Some(vec![0]));
        for bad in ["AA", "AA=", "AB==", "AA==\n", " AA==", "AA===", "A-==", "A_==", "====", "A"] {
            assert_eq!(from_base64(bad), None, "{bad:?}");
        }
    }
}
