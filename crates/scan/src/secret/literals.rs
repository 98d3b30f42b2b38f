//! Many literals searched for at once.

use aho_corasick::{AhoCorasick, MatchKind, packed};

/// Literals, the first of the list first where several begin at one place.
pub(crate) struct Literals {
    search: Search,
    longest: usize,
}

enum Search {
    /// With the processor's vectors.
    Packed(packed::Searcher),
    /// Where there are none.
    Automaton(AhoCorasick),
    /// No literals.
    Nothing,
}

impl Literals {
    pub(crate) fn new(literals: &[&str]) -> Self {
        let longest = literals.iter().map(|literal| literal.len()).max().unwrap_or(0);
        let packed = || {
            packed::Config::new()
                .match_kind(packed::MatchKind::LeftmostFirst)
                .heuristic_pattern_limits(false)
                .only_teddy(true)
                .builder()
                .extend(literals)
                .build()
        };
        let automaton = || AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(literals).ok();
        let search = match packed() {
            _ if literals.is_empty() => Search::Nothing,
            Some(packed) => Search::Packed(packed),
            None => automaton().map_or(Search::Nothing, Search::Automaton),
        };
        Self { search, longest }
    }

    /// The first literal that begins in `bytes[from..to]`: where, and which. It may end after `to`.
    pub(crate) fn find(&self, bytes: &[u8], from: usize, to: usize) -> Option<(usize, usize)> {
        let end = bytes.len().min(to + self.longest.saturating_sub(1));
        let (start, which) = match &self.search {
            Search::Packed(packed) => {
                let found = packed.find_in(bytes, (from..end).into())?;
                (found.start(), found.pattern().as_usize())
            }
            Search::Automaton(automaton) => {
                let found = automaton.find(aho_corasick::Input::new(bytes).range(from..end))?;
                (found.start(), found.pattern().as_usize())
            }
            Search::Nothing => return None,
        };
        (start < to).then_some((start, which))
    }
}
