//! Which characters may stand in names and lines, by Unicode 16.0, and how others are shown.
//!
//! Assignment is what fixes the version: normalisation and case folding of a code point that is assigned never
//! change in later versions of Unicode (its stability policies), so only the table of assigned code points is
//! pinned.

use std::borrow::Cow;

use caseless::Caseless as _;
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization as _;

use crate::joiners::{is_in_context, is_joiner};

/// Whether `c` is a control, a line or paragraph separator, a bidirectional control, or shows nothing
/// (`Default_Ignorable_Code_Point`): what must not stand in a name or a line, because the text that a person
/// sees would differ from the bytes (CVE-2014-9390, CVE-2021-42574).
pub(crate) fn is_deceptive(c: char) -> bool {
    // Every bidi control, zero-width character and tag is of category Cf, or listed below.
    matches!(
        get_general_category(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::Surrogate
    ) || matches!(u32::from(c),
        // Default_Ignorable_Code_Point beyond category Cf (DerivedCoreProperties.txt, Unicode 16.0).
        0x034F | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x2065 | 0x3164
        | 0xFE00..=0xFE0F | 0xFFA0 | 0xFFF0..=0xFFF8 | 0xE0000..=0xE0FFF)
}

/// The first character of a text that must not stand in a name or a line: one that is deceptive, unless it is a joiner
/// where a script or an emoji needs it.
pub(crate) fn deceptive_in(text: &str) -> Option<char> {
    let found = text.char_indices().find(|&(at, c)| {
        // ASCII letters make up nearly every text; the tables need not be asked about them.
        !matches!(c, ' '..='~') && is_deceptive(c) && !(is_joiner(c) && is_in_context(text, at))
    });
    found.map(|(_, c)| c)
}

/// Whether `c` is unassigned, for private use or a noncharacter in Unicode 16.0.
pub(crate) fn is_unassigned(c: char) -> bool {
    matches!(get_general_category(c), GeneralCategory::Unassigned | GeneralCategory::PrivateUse)
}

/// Whether `c` is for private use.
pub(crate) fn is_private(c: char) -> bool {
    get_general_category(c) == GeneralCategory::PrivateUse
}

/// A text without its joiners: what it looks like, or nearly so.
pub(crate) fn without_joiners(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(is_joiner) {
        return text.into();
    }
    text.chars().filter(|&c| !is_joiner(c)).collect::<String>().into()
}

/// What two names share when a case-insensitive or normalising file system, or a person, takes them for one: without
/// joiners, NFD, full default case folding, NFD (Unicode 16.0, section 3.13, D145).
///
/// It never brings a `/` in, and never reaches across one: paths fold part by part.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        let shown = without_joiners(text);
        return shown.nfd().default_case_fold().nfd().collect::<String>().into();
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return text.to_ascii_lowercase().into();
    }
    text.into()
}

/// `text` with everything that could deceive a reader or drive a terminal escaped as `\u{…}`.
///
/// Names from outside are printed through this.
///
/// ```
/// assert_eq!(consign_metadata::printable("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
/// ```
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_printable(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

/// Whether a character can neither deceive a reader nor drive a terminal.
pub fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~') || !(is_deceptive(c) || is_unassigned(c))
}

/// The beginning of `text`, fit for a message: [`printable`], and cut where it would fill the screen.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_stands_on_unicode_16() {
        assert_eq!(unicode_general_category::UNICODE_VERSION, (16, 0, 0));
        assert_eq!(caseless::UNICODE_VERSION, (16, 0, 0));
    }

    #[test]
    fn paths_fold_part_by_part() {
        for c in ('\0'..=char::MAX).filter(|&c| c != '/') {
            let c = c.to_string();
            assert!(!fold(&c).contains('/'), "{c:?}");
            assert_eq!(fold(&format!("a\u{301}/{c}")), format!("{}/{}", fold("a\u{301}"), fold(&c)), "{c:?}");
            assert_eq!(fold(&format!("{c}/\u{301}")), format!("{}/{}", fold(&c), fold("\u{301}")), "{c:?}");
        }
    }

    #[test]
    fn twins_fold_alike() {
        for (a, b) in [
            ("README", "readme"),
            ("ß", "ss"),
            ("é", "e\u{301}"),
            ("K", "\u{212a}"),
            ("ΐ", "ι\u{308}\u{301}"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("a"), fold("b"));
    }
}
