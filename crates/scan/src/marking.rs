//! Words that demand a classification, such as `CUI//` or the code name of a project: a policy names them.

use consign_metadata::{Line, RuleId};
use regex::bytes::{Regex, RegexBuilder};

/// Longest marking, in bytes.
pub const MARKING_MAX: usize = 100;
/// Most markings.
pub const MARKINGS_MAX: usize = 200;

/// A word, or several, that a policy looks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marking {
    /// As the policy writes it.
    pub word: Line,
}

/// Markings, ready to be searched for.
pub(crate) struct Markings {
    /// Any of them.
    any: Option<Regex>,
    each: Vec<Compiled>,
}

struct Compiled {
    marking: Marking,
    rule: RuleId,
    regex: Regex,
    /// Whether it begins and ends with a letter or digit, so that it must not be part of a longer word.
    borders: (bool, bool),
}

/// A marking that was found.
pub(crate) struct Marked<'a> {
    pub(crate) rule: &'a RuleId,
    pub(crate) word: &'a Line,
    pub(crate) at: usize,
}

impl Markings {
    pub(crate) fn new(markings: &[Marking]) -> Self {
        let mut each: Vec<Compiled> = Vec::new();
        for marking in markings.iter().take(MARKINGS_MAX) {
            let rule = RuleId::of_marking(&marking.word);
            if marking.word.as_str().len() > MARKING_MAX || each.iter().any(|known| known.rule == rule) {
                continue;
            }
            let regex = build(&format!("^(?:{})", pattern(&marking.word)));
            let alphanumeric = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let word = marking.word.as_str();
            let borders = (alphanumeric(word.chars().next()), alphanumeric(word.chars().next_back()));
            each.extend(regex.map(|regex| Compiled { marking: marking.clone(), rule, regex, borders }));
        }
        let patterns: Vec<_> = each.iter().map(|one| pattern(&one.marking.word)).collect();
        let any = if patterns.is_empty() { None } else { build(&patterns.join("|")) };
        Self { any, each }
    }

    /// All that begin in `bytes[from..to]`, in order.
    pub(crate) fn search<'a>(
        &'a self,
        bytes: &[u8],
        from: usize,
        to: usize,
        found: &mut dyn FnMut(Marked<'a>),
    ) {
        let Some(any) = &self.any else { return };
        let end = bytes.len().min(to + 8 * MARKING_MAX);
        let mut at = from;
        while let Some(next) = any.find_at(&bytes[..end], at).filter(|next| next.start() < to) {
            at = next.start();
            for one in &self.each {
                let Some(whole) = one.regex.find(&bytes[at..end]) else { continue };
                let apart = !(one.borders.0 && letter_before(bytes, at)
                    || one.borders.1 && letter_after(bytes, at + whole.end()));
                if apart {
                    found(Marked { rule: &one.rule, word: &one.marking.word, at });
                }
            }
            at += 1;
        }
    }
}

/// Blanks in it may be any white space, or what stands for it in names.
fn pattern(word: &Line) -> String {
    let words: Vec<_> = word.as_str().split_whitespace().map(regex::escape).collect();
    let flags = if word.as_str().is_ascii() { "i-u" } else { "i" };
    format!("(?{flags}:{})", words.join(r"[ \t\r\n_.-]{1,6}"))
}

fn build(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).build().ok()
}

/// Whether a letter or digit ends there; `n` of `\n` in a text with escapes is none.
fn letter_before(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[at.saturating_sub(4)..at];
    if matches!(before, [.., b'\\', b'n' | b'r' | b't']) {
        return false;
    }
    let last = before.utf8_chunks().last();
    last.filter(|last| last.invalid().is_empty())
        .and_then(|last| last.valid().chars().next_back())
        .is_some_and(char::is_alphanumeric)
}

/// Whether a letter or digit begins there.
fn letter_after(bytes: &[u8], at: usize) -> bool {
    let after = &bytes[at..bytes.len().min(at + 4)];
    let first = after.utf8_chunks().next();
    first.and_then(|first| first.valid().chars().next()).is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(words: &[&str], text: &str) -> Vec<(String, usize)> {
        let markings: Vec<_> = words.iter().map(|word| Marking { word: word.parse().unwrap() }).collect();
        let markings = Markings::new(&markings);
        let mut found = Vec::new();
        markings.search(text.as_bytes(), 0, text.len(), &mut |marked| {
            found.push((marked.word.to_string(), marked.at))
        });
        found
    }

    #[test]
    fn words_are_found_as_words() {
        for (word, text) in [
            ("CUI//", "cui//sp-export"),
            ("EXPORT CONTROLLED", "this is Export\nControlled, and"),
            ("EXPORT CONTROLLED", "docs/export_controlled.pdf"),
            ("Aurora", "PROJECT_AURORA_v2"),
            ("geheim", "Streng GEHEIM!"),
            ("geheim", "\u{feff}\u{201c}geheim\u{201d}"),
            ("совершенно секретно", "СОВЕРШЕННО СЕКРЕТНО"),
            ("NATO SECRET", "\"text\": \"a\\nNATO SECRET\""),
        ] {
            assert_eq!(found(&[word], text).len(), 1, "{word} in {text}");
        }
        for (word, text) in [
            ("CUI", "circuit, CUISINE and biscuit"),
            ("Aurora", "aurorae"),
            ("EXPORT CONTROLLED", "exports controlled"),
            ("geheim", "Geheimnis, Ungeheim, geheimä, ägeheim"),
            ("CUI//", "http://cui/x"),
        ] {
            assert!(found(&[word], text).is_empty(), "{word} in {text}");
        }
    }

    #[test]
    fn one_inside_another_is_found_too() {
        let words: Vec<_> =
            found(&["SECRET", "TOP SECRET", "TOP"], "a top secret b").into_iter().map(|f| f.0).collect();
        assert_eq!(words, ["TOP SECRET", "TOP", "SECRET"]);
    }

    proptest! {
        #[test]
        fn every_word_has_a_rule_of_its_own(a in "[^\\s\\pC]{1,6}( [^\\s\\pC]{1,40}){0,2}", b in "[^\\s\\pC]{1,6}") {
            let (Ok(a), Ok(b)) = (a.parse::<Line>(), b.parse::<Line>()) else { return Ok(()) };
            let same = a.as_str().to_lowercase() == b.as_str().to_lowercase();
            prop_assert_eq!(RuleId::of_marking(&a) == RuleId::of_marking(&b), same);
            prop_assert!(RuleId::of_marking(&a).kind() == "marking");
        }
    }
}
