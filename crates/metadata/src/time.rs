//! Times and dates that a descriptor states: text that names a moment or a day that exists.

use crate::text::{TextError, text_type};
use crate::unicode::excerpt;

fn check_timestamp(text: &str) -> Result<(), TextError> {
    // chrono also takes a space or small letters where RFC 3339 has `T` and `Z`; one spelling is enough.
    let spelled =
        text.len() <= 35 && text.as_bytes().get(10) == Some(&b'T') && !text.contains(['t', 'z', '\u{2212}']);
    if spelled && chrono::DateTime::parse_from_rfc3339(text).is_ok() {
        return Ok(());
    }
    Err(TextError(format!(
        "`{}` is not a time with its zone, such as `2024-05-01T12:00:00Z` or `2024-05-01T14:00:00+02:00`",
        excerpt(text)
    )))
}

fn check_date(text: &str) -> Result<(), TextError> {
    let spelled = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if spelled && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
        return Ok(());
    }
    Err(TextError(format!("`{}` is not a date such as `2024-05-01` (year-month-day)", excerpt(text))))
}

text_type! {
    /// A moment with its offset from UTC (RFC 3339), to the second or finer, in the spelling of its author.
    ///
    /// ```
    /// use consign_metadata::Timestamp;
    /// assert!("2024-05-01T12:00:00Z".parse::<Timestamp>().is_ok());
    /// assert!("2024-05-01T12:00:00".parse::<Timestamp>().is_err(), "no zone");
    /// ```
    Timestamp, TextError, check_timestamp,
    schema: {
        "type": "string", "format": "date-time", "maxLength": 35,
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
        "description": "A time with its zone (RFC 3339), such as `2024-05-01T12:00:00Z`."
    }
}

text_type! {
    /// A day of the Gregorian calendar, `YYYY-MM-DD` (the full-date of RFC 3339).
    ///
    /// ```
    /// use consign_metadata::Date;
    /// assert!("2024-02-29".parse::<Date>().is_ok());
    /// assert!("2023-02-29".parse::<Date>().is_err());
    /// ```
    Date, TextError, check_date,
    schema: {
        "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        "description": "A date, such as `2024-05-01`."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_zone_and_one_spelling() {
        for good in ["2024-05-01T12:00:00Z", "2024-05-01T12:00:00.123456+00:00", "2024-12-31T23:59:60Z"] {
            assert!(good.parse::<Timestamp>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "2024-05-01",
            "2024-05-01T12:00Z",
            "2024-05-01 12:00:00Z",
            "2024-05-01T12:00:00z",
            "2024-05-01t12:00:00Z",
            "2024-13-01T12:00:00Z",
            "2024-05-01T25:00:00Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_exist() {
        for bad in ["", "2024-5-1", "2024-02-30", "01.05.2024", "20240501", "2024-00-10", "+024-01-01"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }
}
