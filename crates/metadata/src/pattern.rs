//! Patterns of names and paths: one place that compiles them, with bounds, and only if they can match something. A rule
//! whose pattern matches nothing asks for nothing, and nobody notices.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::util::start::Config as Start;
use regex_automata::util::syntax;

/// Longest pattern, in bytes.
pub const PATTERN_MAX: usize = 1000;
/// How deep `{…}` may lie in each other: they are compiled one within the other, on the stack.
const DEPTH_MAX: usize = 8;
/// Most of them, and of their parts: together they are as many patterns as their product.
const PARTS_MAX: usize = 256;
/// Memory for the proof that something is matched. One that needs more is refused.
const PROOF_BYTES: usize = 16 << 20;
/// Longest name that is tried: longer ones exist for no kind.
const TRIED_MAX: usize = 2048;

/// What a pattern is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Names of bundles: lower-case letters and digits, with `.`, `_`, `-` inside, 1 to 100.
    BundleName,
    /// Paths of entries, or parts of them, with `*` and `?` staying within a part and `\` before a character that is meant
    /// literally.
    Path,
    /// Paths of entries, whatever their case, with `*` reaching over `/`.
    AnyCasePath,
    /// Any text, whatever its case, with `*` reaching over `/`.
    AnyCaseText,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It is longer than [`PATTERN_MAX`].
    TooLong,
    /// Its braces lie too deep in each other, or there are too many.
    TooInvolved,
    /// It is not well formed: why.
    Malformed(String),
    /// Nothing that it could be held against matches.
    MatchesNothing,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "is longer than a pattern may be ({PATTERN_MAX} bytes)"),
            Self::TooInvolved => {
                write!(
                    f,
                    "has braces too deep in each other, or too many (allowed: {DEPTH_MAX} deep, {PARTS_MAX} parts)"
                )
            }
            Self::Malformed(why) => write!(f, "is not a pattern: {why}"),
            Self::MatchesNothing => f.write_str("can match nothing"),
        }
    }
}

impl std::error::Error for PatternError {}

/// Compiles a pattern: `*` any characters, `**` any parts of a path, `?` one character, `[ab]` one of these, `{a,b}` either.
///
/// # Errors
/// See [`PatternError`].
///
/// ```
/// use consign_metadata::pattern::{PatternError, Subject, compile};
/// assert!(compile("acme-*", Subject::BundleName)?.is_match("acme-minilm"));
/// assert_eq!(compile("acme..*", Subject::BundleName).unwrap_err(), PatternError::MatchesNothing);
/// # Ok::<(), PatternError>(())
/// ```
pub fn compile(text: &str, subject: Subject) -> Result<GlobMatcher, PatternError> {
    if text.len() > PATTERN_MAX {
        return Err(PatternError::TooLong);
    }
    check_braces(text)?;
    let mut builder = GlobBuilder::new(text);
    match subject {
        Subject::BundleName => &mut builder,
        Subject::Path => builder.literal_separator(true).backslash_escape(true),
        Subject::AnyCasePath | Subject::AnyCaseText => builder.case_insensitive(true),
    };
    let glob = builder.build().map_err(|error| PatternError::Malformed(error.kind().to_string()))?;
    if !matches_something(glob.regex(), subject)? {
        return Err(PatternError::MatchesNothing);
    }
    Ok(glob.compile_matcher())
}

/// Before anything is compiled: counted as if nothing were escaped, which no real pattern comes near.
fn check_braces(text: &str) -> Result<(), PatternError> {
    let (mut depth, mut parts) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'{' => {
                depth += 1;
                parts += 1;
            }
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth > 0 => parts += 1,
            _ => {}
        }
        if depth > DEPTH_MAX || parts > PARTS_MAX {
            return Err(PatternError::TooInvolved);
        }
    }
    Ok(())
}

/// How far a name has been read, as far as its own rules need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Read {
    Nothing,
    /// In a part of a path: one dot, or two, since it began.
    Dot,
    Dots,
    /// In a name: behind a dot, or another mark.
    Inner,
    /// It may end here.
    Whole,
}

impl Subject {
    /// What is read with one more byte; `None` if no name goes on so.
    fn next(self, read: Read, byte: u8) -> Option<Read> {
        match self {
            Self::BundleName => match (read, byte) {
                (_, b'a'..=b'z' | b'0'..=b'9') => Some(Read::Whole),
                (Read::Whole | Read::Inner, b'.') => Some(Read::Dot),
                (Read::Whole | Read::Inner | Read::Dot, b'_' | b'-') => Some(Read::Inner),
                _ => None,
            },
            Self::Path | Self::AnyCasePath => match (read, byte) {
                (Read::Whole, b'/') => Some(Read::Nothing),
                (_, b'/' | 0..=0x1f | 0x7f) => None,
                (Read::Nothing, b'.') => Some(Read::Dot),
                (Read::Dot, b'.') => Some(Read::Dots),
                _ => Some(Read::Whole),
            },
            Self::AnyCaseText => (byte >= 0x20 && byte != 0x7f).then_some(Read::Whole),
        }
    }

    fn longest(self) -> usize {
        if self == Self::BundleName { 100 } else { TRIED_MAX }
    }
}

/// Whether an automaton and the rules of names have a word in common: both are followed side by side, the shortest words
/// first.
fn matches_something(regex: &str, subject: Subject) -> Result<bool, PatternError> {
    let refuse = |_| PatternError::TooInvolved;
    let dfa = DFA::builder()
        .configure(DFA::config().cache_capacity(PROOF_BYTES).skip_cache_capacity_check(true))
        .syntax(syntax::Config::new().utf8(false).dot_matches_new_line(true))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(PROOF_BYTES)))
        .build(regex)
        .map_err(|_| PatternError::TooInvolved)?;
    let mut cache = dfa.create_cache();
    let start = Start::new().anchored(regex_automata::Anchored::Yes);
    let start = dfa.start_state(&mut cache, &start).map_err(|_| PatternError::TooInvolved)?;
    let mut seen = HashSet::from([(start, Read::Nothing)]);
    let mut open = VecDeque::from([(start, Read::Nothing, 0)]);
    while let Some((state, read, length)) = open.pop_front() {
        if read == Read::Whole && dfa.next_eoi_state(&mut cache, state).map_err(refuse)?.is_match() {
            return Ok(true);
        }
        if length == subject.longest() {
            continue;
        }
        for byte in 0..=u8::MAX {
            let Some(next_read) = subject.next(read, byte) else { continue };
            let next = dfa.next_state(&mut cache, state, byte).map_err(refuse)?;
            // States are named anew when the cache was too small.
            if cache.memory_usage() > PROOF_BYTES - (1 << 20) {
                return Err(PatternError::TooInvolved);
            }
            if !next.is_dead() && seen.insert((next, next_read)) {
                open.push_back((next, next_read, length + 1));
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::BundleName;

    #[test]
    fn attack_a10_what_matches_no_name_is_refused() {
        for text in [
            "tiny-", "-tiny", "!tiny", "{}", "a..b", ".*.", "[._-]", "", "a-{-,_}", "*..*", "A", "{-,.}*-",
            "?_",
        ] {
            assert_eq!(
                compile(text, Subject::BundleName).unwrap_err(),
                PatternError::MatchesNothing,
                "{text}"
            );
        }
        let long = "?".repeat(101);
        assert_eq!(compile(&long, Subject::BundleName).unwrap_err(), PatternError::MatchesNothing);
        for (text, name) in
            [("tiny-*", "tiny-a"), ("*", "a"), ("[!x]?", "ab"), ("{a,b}-*", "b-c"), ("a.*", "a.b")]
        {
            assert!(compile(text, Subject::BundleName).unwrap().is_match(name), "{text}");
        }
        for text in ["", "a//b", "/a", "../a", "a/..", "a/", "{}", "[/]"] {
            assert!(compile(text, Subject::Path).is_err(), "{text}");
        }
        for text in ["*.pem", "a/**/b", "**", "a\\*", "\u{e4}*", ".git", "...", "a/.b/*"] {
            assert!(compile(text, Subject::Path).is_ok(), "{text}");
        }
        assert!(compile("https://*.example.org/**", Subject::AnyCaseText).is_ok());
        assert!(compile("", Subject::AnyCaseText).is_err());
    }

    #[test]
    fn attack_a12_braces_are_bounded() {
        let deep = format!("{}a{}", "{".repeat(200), "}".repeat(200));
        for subject in [Subject::BundleName, Subject::Path, Subject::AnyCasePath, Subject::AnyCaseText] {
            assert_eq!(compile(&deep, subject).unwrap_err(), PatternError::TooInvolved);
            assert!(compile(&"{a,b}".repeat(100), subject).is_ok() || subject == Subject::BundleName);
            assert_eq!(compile(&"{a,b,c}".repeat(140), subject).unwrap_err(), PatternError::TooInvolved);
            assert_eq!(compile(&"a".repeat(2000), subject).unwrap_err(), PatternError::TooLong);
        }
    }

    proptest! {
        #[test]
        fn attack_a12_no_pattern_makes_it_panic(text in "[a-c{},*?\\[\\]!\\\\/.^-]{0,40}|.{0,60}") {
            for subject in [Subject::BundleName, Subject::Path, Subject::AnyCasePath, Subject::AnyCaseText] {
                let _ = compile(&text, subject);
            }
        }

        #[test]
        fn attack_a10_what_a_name_matches_is_not_refused(name in "[a-z0-9]([._-]?[a-z0-9]){0,6}", cut in 0usize..14) {
            let name: BundleName = name.parse().unwrap();
            let text = format!("{}*", &name.as_str()[..cut.min(name.as_str().len())]);
            prop_assert!(compile(&text, Subject::BundleName).unwrap().is_match(name.as_str()), "{}", text);
            prop_assert!(compile(name.as_str(), Subject::BundleName).is_ok());
        }
    }
}
