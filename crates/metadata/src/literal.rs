//! Texts that stand in the program itself, checked when it is compiled.

use crate::findings::is_rule_id;
use crate::text::LINE_MAX;

/// A [`Line`](crate::Line) of the program's own: printable ASCII. [`literal!`](crate::literal) makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaticLine(&'static str);

impl StaticLine {
    /// The text, if it is a line of printable ASCII.
    pub const fn of(text: &'static str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let edge = at == 0 || at + 1 == bytes.len();
            match bytes[at] {
                b' ' if !edge => {}
                b'!'..=b'~' => {}
                _ => return None,
            }
            at += 1;
        }
        if bytes.is_empty() || bytes.len() > LINE_MAX { None } else { Some(Self(text)) }
    }

    /// The text itself.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A [`RuleId`](crate::RuleId) of the program's own. [`literal!`](crate::literal) makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaticRuleId(&'static str);

impl StaticRuleId {
    /// The text, if it is the name of a rule.
    pub const fn of(text: &'static str) -> Option<Self> {
        if is_rule_id(text) { Some(Self(text)) } else { None }
    }

    /// The text itself.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A text of the program's own as the type that it must fit; if it does not, the program does not compile.
///
/// ```
/// use consign_metadata::{Line, RuleId, StaticLine, StaticRuleId, literal};
/// const RULE: StaticRuleId = literal!(StaticRuleId, "code/pickle");
/// assert_eq!(RuleId::from(RULE).kind(), "code");
/// assert_eq!(Line::from(literal!(StaticLine, "unknown")).as_str(), "unknown");
/// ```
///
/// ```compile_fail,E0080
/// use consign_metadata::{StaticLine, literal};
/// let _ = literal!(StaticLine, "two\nlines");
/// ```
#[macro_export]
macro_rules! literal {
    ($type:ident, $text:expr) => {
        const {
            match $crate::$type::of($text) {
                Some(text) => text,
                None => panic!("the text does not fit its type"),
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Line, RuleId};

    const CHARACTERS: [&str; 12] = ["a", "Z", " ", "~", "-", "/", "7", "\t", "\n", "\u{7f}", "\0", "é"];

    /// All texts of up to three characters out of those.
    fn texts() -> Vec<&'static str> {
        let mut texts = vec![String::new()];
        for length in 0..3 {
            let longer = texts.iter().filter(|text| text.chars().count() == length);
            let longer: Vec<_> = longer.flat_map(|text| CHARACTERS.map(|c| format!("{text}{c}"))).collect();
            texts.extend(longer);
        }
        texts.into_iter().map(|text| &*text.leak()).collect()
    }

    #[test]
    fn what_is_checked_early_is_what_is_checked_late() {
        let mut lines = 0;
        for text in
            texts().into_iter().chain([&*"x".repeat(LINE_MAX).leak(), "x".repeat(LINE_MAX + 1).leak()])
        {
            let early = StaticLine::of(text).map(Line::from);
            let late = text.parse::<Line>().ok().filter(|line| line.as_str().is_ascii());
            assert_eq!(early, late, "{text:?}");
            lines += usize::from(early.is_some());
            assert_eq!(StaticRuleId::of(text).map(RuleId::from), text.parse().ok(), "{text:?}");
        }
        assert!(lines > 100);
    }
}
