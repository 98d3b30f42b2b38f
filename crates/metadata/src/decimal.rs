//! Decimal numbers as text: a manifest has no floating point, and 0.10 stays 0.10.

use crate::text::{TextError, text_type};
use crate::unicode::excerpt;

/// Longest [`Decimal`], in bytes.
pub const DECIMAL_MAX: usize = 100;

fn check_decimal(text: &str) -> Result<(), TextError> {
    if text.len() <= DECIMAL_MAX && is_json_number(text) {
        return Ok(());
    }
    Err(TextError(format!(
        "`{}` is not a decimal number such as 0.93, -2 or 1.5e-3 (at most {DECIMAL_MAX} characters)",
        excerpt(text)
    )))
}

/// Whether `text` is a number by the grammar of JSON (RFC 8259, section 6).
fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

text_type! {
    /// A measured number, spelled as it was measured: the grammar of JSON numbers, at most 100 characters.
    ///
    /// A descriptor file may hold it as a number or as text; everywhere else it is text, so that no reader
    /// rounds it.
    ///
    /// ```
    /// use consign_metadata::Decimal;
    /// assert_eq!("0.9310".parse::<Decimal>()?.as_str(), "0.9310");
    /// assert!("93 %".parse::<Decimal>().is_err());
    /// # Ok::<(), consign_metadata::TextError>(())
    /// ```
    Decimal, TextError, check_decimal,
    schema: |generator| {
        let text = schemars::json_schema!({
            "type": "string", "maxLength": DECIMAL_MAX,
            "pattern": "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?$",
            "description": "A decimal number as text, spelled as it was measured."
        });
        if generator.contract().is_serialize() {
            return text;
        }
        schemars::json_schema!({
            "anyOf": [{"type": "number"}, text], "description": "A decimal number, spelled as it was measured."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_that_of_json() {
        for text in [
            "0", "-0", "1", "10", "0.5", "1e5", "1E+5", "1.25e-10", "", "-", ".5", "1.", "01", "+1", "1e",
            "1e+", "0x1", "1_0", "NaN", "inf", "1.5.2", "1 ", "٣",
        ] {
            let json = serde_json::from_str::<serde_json::Number>(text).is_ok() && text.trim() == text;
            assert_eq!(text.parse::<Decimal>().is_ok(), json, "{text:?}");
        }
        assert!("1".repeat(DECIMAL_MAX + 1).parse::<Decimal>().is_err());
    }
}
