//! A moment as a statement spells it: RFC 3339, UTC, whole seconds.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, to the second, from 1970 to 9999.
///
/// Its one spelling is RFC 3339 with a capital `T` and `Z` and neither fraction nor offset:
/// `2026-11-22T03:00:00Z`. Leap seconds do not exist in it. This crate reads no clock: whoever signs says
/// what time it is.
///
/// ```
/// use consign_signing::Timestamp;
/// let time: Timestamp = "2026-11-22T03:00:00Z".parse().expect("spelled as it must be");
/// assert_eq!(time.unix_seconds(), 1_795_316_400);
/// assert!("2026-11-22T03:00:00.0Z".parse::<Timestamp>().is_err());
/// assert!("2026-11-22T04:00:00+01:00".parse::<Timestamp>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

/// Why a text is not a [`Timestamp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a time in UTC such as `2026-11-22T03:00:00Z`", consign_metadata::printable(.0))]
pub struct TimestampError(String);

impl Timestamp {
    /// The moment that many seconds after the beginning of 1970 (UTC, without leap seconds); `None` after the
    /// year 9999.
    pub fn from_unix_seconds(seconds: u64) -> Option<Self> {
        /// 9999-12-31T23:59:59Z.
        const LAST: i64 = 253_402_300_799;
        let seconds = i64::try_from(seconds).ok().filter(|&s| s <= LAST)?;
        DateTime::from_timestamp(seconds, 0).map(Self)
    }

    /// Seconds since the beginning of 1970 (UTC, without leap seconds).
    pub fn unix_seconds(self) -> u64 {
        self.0.timestamp().unsigned_abs()
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text).ok_or_else(|| TimestampError(text.chars().take(40).collect()))
    }
}

/// Reads the digits at their places and requires that writing gives the same text, which leaves one spelling.
fn parse(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    let year = number(0..4).and_then(|year| i32::try_from(year).ok()).filter(|&year| year >= 1970)?;
    let date = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?;
    let time = date.and_hms_opt(number(11..13)?, number(14..16)?, number(17..19)?)?;
    let value = Timestamp(time.and_utc());
    (value.to_string() == text).then_some(value)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::wire::parsed(deserializer)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A moment in UTC, to the second.",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e24_there_is_one_spelling() {
        for good in ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "9999-12-31T23:59:59Z"] {
            let time: Timestamp = good.parse().unwrap();
            assert_eq!(time.to_string(), good);
            assert_eq!(Timestamp::from_unix_seconds(time.unix_seconds()), Some(time));
        }
        for bad in [
            "",
            "1969-12-31T23:59:59Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01t00:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00Z ",
            "2024-01-01T+0:00:00Z",
            "10000-01-01T00:00:00Z",
            "2024-01-01T00:00:00\u{e9}",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad:?}");
        }
        assert_eq!(Timestamp::from_unix_seconds(253_402_300_800), None);
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX), None);
    }
}
