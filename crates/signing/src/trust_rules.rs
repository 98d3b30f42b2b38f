//! How many must sign which bundles: rules by name, and the counting of distinct keys of distinct owners.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use consign_metadata::pattern::{self, PatternError};
use consign_metadata::{BundleName, Line, Role, printable};
use globset::GlobMatcher;
use serde::Serialize;

use crate::public_key::PublicKey;

/// Longest pattern, in bytes.
pub const BUNDLE_PATTERN_MAX: usize = 200;

/// A glob over bundle names, such as `acme-*`: `*` any characters, `?` one, `[ab]` one of these, `{a,b}` either.
///
/// ```
/// use consign_signing::BundlePattern;
/// let pattern: BundlePattern = "acme-*".parse()?;
/// assert!(pattern.matches(&"acme-minilm".parse()?) && !pattern.matches(&"minilm".parse()?));
/// assert!("Acme-*".parse::<BundlePattern>().is_err(), "no bundle has a name in capitals");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BundlePattern {
    text: Box<str>,
    /// Shared: rules are copied into what is told about them.
    matcher: Arc<GlobMatcher>,
}

/// Why a text is not a [`BundlePattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {reason}", printable(.text))]
pub struct BundlePatternError {
    text: String,
    reason: String,
}

impl BundlePattern {
    /// Whether a bundle of that name is meant.
    pub fn matches(&self, name: &BundleName) -> bool {
        self.matcher.is_match(name.as_str())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for BundlePattern {
    type Err = BundlePatternError;

    fn from_str(text: &str) -> Result<Self, BundlePatternError> {
        let fail = |reason: String| Err(BundlePatternError { text: text.chars().take(60).collect(), reason });
        // A pattern that can match no name would be a rule that silently asks for nothing.
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-*?[]{},!".contains(c);
        if text.is_empty() || text.len() > BUNDLE_PATTERN_MAX {
            return fail(format!("is not a pattern of bundle names (1 to {BUNDLE_PATTERN_MAX} bytes)"));
        }
        if let Some(c) = text.chars().find(|&c| !known(c)) {
            return fail(format!("matches no bundle: none has `{}` in its name", printable(&c.to_string())));
        }
        match pattern::compile(text, pattern::Subject::BundleName) {
            Ok(matcher) => Ok(Self { text: text.into(), matcher: Arc::new(matcher) }),
            Err(PatternError::MatchesNothing) => {
                fail("matches no bundle: no valid name fits it, so the rule would ask for nothing".into())
            }
            Err(error) => fail(error.to_string()),
        }
    }
}

impl PartialEq for BundlePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for BundlePattern {}

impl fmt::Display for BundlePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for BundlePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// So many distinct keys must sign in a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The role that the signatures state.
    pub role: Role,
    /// How many distinct keys. A key that serves one requirement serves no other of the same demand.
    pub keys: NonZeroU32,
    /// How many of these keys must have distinct owners; at most `keys`.
    pub owners: Option<NonZeroU32>,
}

/// What is asked of the signatures on a bundle: all of it, and at least one key in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// How many in which roles; no role twice.
    pub require: Vec<Requirement>,
    /// How many distinct keys altogether.
    pub keys: Option<NonZeroU32>,
    /// Keys of how many distinct owners altogether.
    pub owners: Option<NonZeroU32>,
}

/// A demand on all bundles whose names match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which bundles.
    pub bundles: BundlePattern,
    /// What is asked.
    pub demand: Demand,
}

/// A signature that may be counted: its key is listed, valid, and has the role that is stated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice<'a> {
    pub(crate) key: &'a PublicKey,
    pub(crate) owner: Option<&'a Line>,
    pub(crate) role: &'a Role,
}

/// What one part of a demand asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Part {
    /// Distinct keys in any role.
    Keys,
    /// Distinct owners of keys in any role.
    Owners,
    /// Distinct keys in a role.
    Role {
        /// The role.
        role: Role,
        /// Of how many distinct owners they must be.
        owners: Option<NonZeroU32>,
    },
}

/// One part of a demand, and how far it is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What is asked for.
    pub part: Part,
    /// How many are asked for; at least one.
    pub needed: u64,
    /// How many count towards it.
    pub have: u64,
}

impl Measure {
    /// How many more are needed.
    pub fn missing(&self) -> u64 {
        self.needed.saturating_sub(self.have)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (have, needed) = (self.have, self.needed);
        match &self.part {
            Part::Keys => write!(f, "{have} of {needed} keys"),
            Part::Owners => write!(f, "{have} of {needed} different owners"),
            Part::Role { role, owners: None } => write!(f, "{have} of {needed} as {role}"),
            Part::Role { role, owners: Some(owners) } => {
                write!(f, "{have} of {needed} as {role}, of {owners} different owners")
            }
        }
    }
}

/// How far a demand is met, and in which role each key served that served in one.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) measures: Vec<Measure>,
    pub(crate) served: BTreeMap<PublicKey, Role>,
}

impl Demand {
    /// Measures a demand against the voices. The only place where keys and owners are counted.
    pub(crate) fn measure(&self, voices: &[Voice<'_>]) -> Tally {
        let mut tally = self.assign(voices);
        let keys: BTreeSet<&PublicKey> = voices.iter().map(|voice| voice.key).collect();
        // A key whose owner the policy does not name is nobody's in particular: it adds to no count of owners.
        let owners: BTreeSet<&Line> = voices.iter().filter_map(|voice| voice.owner).collect();
        let mut whole = |part, needed: u32, have: usize| {
            tally.measures.push(Measure { part, needed: needed.into(), have: have as u64 });
        };
        // Nothing asked is not trust: without any other demand, it is one key.
        let least = (self.require.is_empty() && self.owners.is_none()).then_some(1);
        if let Some(needed) = self.keys.map(NonZeroU32::get).or(least) {
            whole(Part::Keys, needed, keys.len());
        }
        if let Some(needed) = self.owners {
            whole(Part::Owners, needed.get(), owners.len());
        }
        tally
    }

    /// How far keys could meet the demand at most, if each signed in all of its roles: for telling whether a
    /// rule can be met at all. It says nothing about signatures.
    pub fn measure_at_most<'a>(
        &self,
        keys: impl Iterator<Item = (&'a PublicKey, Option<&'a Line>, &'a [Role])>,
    ) -> Vec<Measure> {
        let voices =
            keys.flat_map(|(key, owner, roles)| roles.iter().map(move |role| Voice { key, owner, role }));
        self.measure(&voices.collect::<Vec<_>>()).measures
    }

    /// Whether any part of the demand speaks of owners.
    pub(crate) fn asks_for_owners(&self) -> bool {
        self.owners.is_some() || self.require.iter().any(|requirement| requirement.owners.is_some())
    }

    /// Finds for as many places as possible a key of its own: a flow of keys into roles, each key worth one,
    /// each owner worth one where distinct owners are asked for.
    fn assign(&self, voices: &[Voice<'_>]) -> Tally {
        let mut network = Network::new();
        let mut key_nodes: BTreeMap<&PublicKey, usize> = BTreeMap::new();
        let mut roles_of: Vec<(usize, usize, &PublicKey)> = Vec::new();
        let mut into: Vec<Vec<usize>> = Vec::new();
        for (place, requirement) in self.require.iter().enumerate() {
            let keys = requirement.keys.get();
            let owners = requirement.owners.map_or(0, NonZeroU32::get).min(keys);
            let (distinct, any) = (network.node(), network.node());
            into.push(vec![network.edge(distinct, SINK, owners), network.edge(any, SINK, keys - owners)]);
            let mut owner_nodes: BTreeMap<&Line, usize> = BTreeMap::new();
            for voice in voices.iter().filter(|voice| *voice.role == requirement.role) {
                let key = *key_nodes.entry(voice.key).or_insert_with(|| {
                    let node = network.node();
                    network.edge(SOURCE, node, 1);
                    node
                });
                let behind = match voice.owner {
                    None => any,
                    Some(owner) => *owner_nodes.entry(owner).or_insert_with(|| {
                        let node = network.node();
                        network.edge(node, distinct, 1);
                        network.edge(node, any, u32::MAX);
                        node
                    }),
                };
                roles_of.push((network.edge(key, behind, 1), place, voice.key));
            }
        }
        network.fill();
        let measures = self.require.iter().zip(&into).map(|(requirement, edges)| Measure {
            part: Part::Role { role: requirement.role.clone(), owners: requirement.owners },
            needed: requirement.keys.get().into(),
            have: edges.iter().map(|&edge| u64::from(network.flow(edge))).sum(),
        });
        let served = roles_of.iter().filter(|(edge, _, _)| network.flow(*edge) > 0);
        Tally {
            measures: measures.collect(),
            served: served.map(|(_, place, key)| (**key, self.require[*place].role.clone())).collect(),
        }
    }
}

const SOURCE: usize = 0;
const SINK: usize = 1;

/// A flow network (Ford and Fulkerson): edges in pairs, each followed by the one that takes it back.
struct Network {
    /// Target and remaining capacity.
    edges: Vec<(usize, u32)>,
    from: Vec<Vec<usize>>,
}

impl Network {
    fn new() -> Self {
        Self { edges: Vec::new(), from: vec![Vec::new(), Vec::new()] }
    }

    fn node(&mut self) -> usize {
        self.from.push(Vec::new());
        self.from.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, capacity: u32) -> usize {
        let edge = self.edges.len();
        self.edges.extend([(to, capacity), (from, 0)]);
        self.from[from].push(edge);
        self.from[to].push(edge + 1);
        edge
    }

    fn flow(&self, edge: usize) -> u32 {
        self.edges[edge + 1].1
    }

    /// Every key is worth one, so each way found carries one; there are no more ways than keys.
    fn fill(&mut self) {
        while let Some(way) = self.way() {
            for edge in way {
                self.edges[edge].1 -= 1;
                // Unbounded edges are never taken back further than they were filled.
                self.edges[edge ^ 1].1 = self.edges[edge ^ 1].1.saturating_add(1);
            }
        }
    }

    /// A way from source to sink over edges that have room, shortest first.
    fn way(&self) -> Option<Vec<usize>> {
        let mut reached: Vec<Option<usize>> = vec![None; self.from.len()];
        let mut queue = std::collections::VecDeque::from([SOURCE]);
        while let Some(node) = queue.pop_front() {
            for &edge in &self.from[node] {
                let (to, room) = self.edges[edge];
                if room > 0 && to != SOURCE && reached[to].is_none() {
                    reached[to] = Some(edge);
                    queue.push_back(to);
                }
            }
        }
        let mut way = Vec::new();
        let mut node = SINK;
        while node != SOURCE {
            let edge = reached[node]?;
            way.push(edge);
            node = self.edges[edge ^ 1].0;
        }
        Some(way)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::signer::Signer as _;
    use crate::testing::key;

    static KEYS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| (0..6).map(|_| *key().public_key()).collect());
    static OWNERS: LazyLock<Vec<Line>> =
        LazyLock::new(|| ["Ada", "Bob", "Eve"].iter().map(|name| name.parse().unwrap()).collect());
    static ROLES: LazyLock<Vec<Role>> =
        LazyLock::new(|| ["owner", "release", "review"].iter().map(|name| name.parse().unwrap()).collect());

    fn n(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    fn needs(parts: &[(usize, u32, u32)]) -> Demand {
        let requirement = |&(role, keys, owners): &(usize, u32, u32)| Requirement {
            role: ROLES[role].clone(),
            keys: n(keys),
            owners: NonZeroU32::new(owners),
        };
        Demand { require: parts.iter().map(requirement).collect(), keys: None, owners: None }
    }

    /// Voices as (key, owner, role); owner 3 is none.
    fn met(demand: &Demand, voices: &[(usize, usize, usize)]) -> bool {
        let voices: Vec<_> = voices
            .iter()
            .map(|&(key, owner, role)| Voice {
                key: &KEYS[key],
                owner: OWNERS.get(owner),
                role: &ROLES[role],
            })
            .collect();
        demand.measure(&voices).measures.iter().all(|measure| measure.missing() == 0)
    }

    #[test]
    fn patterns_are_over_names() {
        let pattern = |text: &str| text.parse::<BundlePattern>();
        let matches = |text: &str, name: &str| pattern(text).unwrap().matches(&name.parse().unwrap());
        assert!(matches("*", "x") && matches("acme-*", "acme-x") && !matches("acme-*", "acme"));
        assert!(matches("{a,b}-?", "b-1") && !matches("[ab]", "c") && matches("*.*", "a.b"));
        for bad in ["", "Acme", "a/b", "a@1", " a", "a b", "[", "{a", "a\\b", "é", &"a".repeat(201)] {
            assert!(pattern(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_asked_is_one_key() {
        assert!(!met(&Demand::default(), &[]));
        assert!(met(&Demand::default(), &[(0, 3, 0)]));
    }

    #[test]
    fn a_key_serves_once() {
        let two_roles = needs(&[(0, 1, 0), (1, 1, 0)]);
        assert!(!met(&two_roles, &[(0, 0, 0), (0, 0, 1)]));
        assert!(met(&two_roles, &[(0, 0, 0), (1, 0, 1)]));
        // Whichever of its roles is needed, in whatever order the signatures stand.
        assert!(met(&two_roles, &[(0, 0, 0), (0, 0, 1), (1, 1, 0)]));
        assert!(met(&two_roles, &[(1, 1, 0), (0, 0, 1), (0, 0, 0)]));
        assert!(!met(&two_roles, &[(0, 0, 0), (1, 1, 0)]));
    }

    #[test]
    fn owners_are_distinct_where_that_is_asked() {
        let two_people = needs(&[(0, 2, 2)]);
        assert!(!met(&two_people, &[(0, 0, 0), (1, 0, 0)]));
        assert!(met(&two_people, &[(0, 0, 0), (1, 0, 0), (2, 1, 0)]));
        // A key without an owner is nobody's in particular.
        assert!(!met(&two_people, &[(0, 0, 0), (1, 3, 0)]));
        assert!(met(&needs(&[(0, 2, 1)]), &[(0, 0, 0), (1, 3, 0)]));
        let overall = Demand { owners: Some(n(2)), ..needs(&[(0, 1, 0), (1, 1, 0)]) };
        assert!(!met(&overall, &[(0, 0, 0), (1, 0, 1)]));
        assert!(!met(&overall, &[(0, 0, 0), (1, 3, 1)]));
        assert!(met(&overall, &[(0, 0, 0), (1, 1, 1)]));
        let overall = Demand { keys: Some(n(3)), ..needs(&[(0, 1, 0)]) };
        assert!(!met(&overall, &[(0, 0, 0), (1, 1, 1), (1, 1, 2)]));
        assert!(met(&overall, &[(0, 0, 0), (1, 1, 1), (2, 1, 2)]));
    }

    /// Tries every way to give each key one of its roles or none.
    fn brute(parts: &[(usize, u32, u32)], voices: &[(usize, usize, usize)]) -> bool {
        fn go(
            key: usize,
            given: &mut Vec<(usize, usize, usize)>,
            all: &[(usize, usize, usize)],
            parts: &[(usize, u32, u32)],
        ) -> bool {
            if key == KEYS.len() {
                return parts.iter().all(|&(role, keys, owners)| {
                    let here: Vec<_> = given.iter().filter(|(_, _, r)| *r == role).collect();
                    let distinct: BTreeSet<_> =
                        here.iter().map(|(_, owner, _)| owner).filter(|o| **o < 3).collect();
                    here.len() >= keys as usize && distinct.len() >= owners.min(keys) as usize
                });
            }
            if go(key + 1, given, all, parts) {
                return true;
            }
            for voice in all.iter().filter(|voice| voice.0 == key) {
                given.push(*voice);
                let found = go(key + 1, given, all, parts);
                given.pop();
                if found {
                    return true;
                }
            }
            false
        }
        go(0, &mut Vec::new(), voices, parts)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The flow finds an assignment if, and only if, there is one.
        #[test]
        fn the_count_is_that_of_every_possible_assignment(
            pairs in prop::collection::vec((0..6usize, 0..3usize), 0..9),
            owners in prop::collection::vec(0..4usize, 6),
            (a, b, c) in ((1..3u32, 0..3u32), (1..3u32, 0..3u32), (1..3u32, 0..2u32)),
            how_many in 1..4usize,
        ) {
            let voices: Vec<_> = pairs.iter().map(|&(key, role)| (key, owners[key], role)).collect();
            let parts: Vec<_> = [(0, a.0, a.1.min(a.0)), (1, b.0, b.1.min(b.0)), (2, c.0, c.1.min(c.0))][..how_many].to_vec();
            prop_assert_eq!(met(&needs(&parts), &voices), brute(&parts, &voices));
        }

        /// Another signature never takes anything away, and another requirement never gives anything.
        #[test]
        fn more_signatures_never_weaken_and_more_demands_never_strengthen(
            voices in prop::collection::vec((0..6usize, 0..3usize, 0..3usize), 0..8),
            parts in prop::collection::vec((1..3u32, 0..2u32), 1..4),
        ) {
            let parts: Vec<_> = parts.iter().enumerate().map(|(role, &(keys, owners))| (role, keys, owners)).collect();
            let voices: Vec<_> = voices.iter().map(|&(key, owner, role)| (key, owner.min(key), role)).collect();
            for cut in 0..voices.len() {
                prop_assert!(!met(&needs(&parts), &voices[..cut]) || met(&needs(&parts), &voices));
            }
            for cut in 1..parts.len() {
                prop_assert!(met(&needs(&parts[..cut]), &voices) || !met(&needs(&parts), &voices));
            }
        }
    }
}
