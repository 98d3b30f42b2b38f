//! How long a bundle may be kept, as descriptors write it.

/// The days that a retention such as `90 days`, `6 months` or `2 years, then deleted` states at its beginning.
/// Months and years count with the most days they can have, so that nothing passes that is longer.
pub fn days(text: &str) -> Option<u64> {
    let mut words = text.split([' ', ',', ';', '.']).filter(|word| !word.is_empty());
    let number: u64 = words.next()?.parse().ok()?;
    let unit = match words.next()? {
        "day" | "days" => 1,
        "week" | "weeks" => 7,
        "month" | "months" => 31,
        "year" | "years" => 366,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_counted_is_counted() {
        for (text, expected) in [
            ("90 days", Some(90)),
            ("1 day", Some(1)),
            ("6 months, then deleted", Some(186)),
            ("2 years; reviewed yearly", Some(732)),
            ("as long as needed", None),
            ("-5 days", None),
            ("99999999999999999999 days", None),
            ("9999999999999999999 years", None),
            ("", None),
        ] {
            assert_eq!(days(text), expected, "{text}");
        }
    }
}
