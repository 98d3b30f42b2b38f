//! Whether the signatures that count are those that a level demands.

use std::collections::BTreeSet;

use crate::document::SignatureRule;
use crate::request::CountedSigner;

/// What is missing of the signatures that the rules demand: each rule with how many more it needs.
///
/// Rules that ask for another person draw from one pool: whoever is needed for one role does not count for a
/// second. The assignment that leaves the fewest gaps is found by augmenting paths, so that the order in which
/// people signed does not matter.
pub(crate) fn missing<'r>(
    rules: &'r [SignatureRule],
    signers: &[CountedSigner],
) -> Vec<(&'r SignatureRule, u32)> {
    let (shared, alone): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| rule.another_person);
    let mut gaps = Vec::new();
    let seats: Vec<&SignatureRule> = shared
        .iter()
        .flat_map(|rule| std::iter::repeat_n(*rule, rule.count.min(SEATS_MAX) as usize))
        .collect();
    let people: Vec<Person<'_>> = people(signers);
    let mut seated: Vec<Option<usize>> = vec![None; people.len()];
    for seat in 0..seats.len() {
        let mut tried = vec![false; people.len()];
        seat_one(seat, &seats, &people, &mut seated, &mut tried);
    }
    for rule in shared {
        let taken = seated.iter().flatten().filter(|seat| std::ptr::eq(seats[**seat], rule)).count();
        push_gap(&mut gaps, rule, taken);
    }
    for rule in alone {
        let taken = people.iter().filter(|person| person.roles.contains(rule.role.as_str())).count();
        push_gap(&mut gaps, rule, taken);
    }
    gaps
}

/// Keys that count as one person and would fill a gap if they were several people's: why somebody who sees two signatures
/// is told that one is missing. The first of them, and the others.
pub(crate) fn taken_for_one<'s>(
    rule: &SignatureRule,
    rules: &[SignatureRule],
    signers: &'s [CountedSigner],
) -> Option<Vec<&'s CountedSigner>> {
    let apart: Vec<CountedSigner> = signers
        .iter()
        .map(|signer| CountedSigner {
            owner: signer.public_key.fingerprint().to_string().parse().ok(),
            ..signer.clone()
        })
        .collect();
    let still = missing(rules, &apart).into_iter().find(|(other, _)| std::ptr::eq(*other, rule));
    let now = missing(rules, signers).into_iter().find(|(other, _)| std::ptr::eq(*other, rule));
    if still.map_or(0, |(_, gap)| gap) >= now.map_or(0, |(_, gap)| gap) {
        return None;
    }
    let shares = |signer: &&CountedSigner| {
        let others = signers.iter().filter(|other| other.public_key != signer.public_key);
        others.into_iter().any(|other| other.owner == signer.owner)
    };
    let mut one: Vec<&CountedSigner> = signers.iter().filter(shares).collect();
    // Of several who hold more than one key, those are named who signed in the role that is missing.
    let first = one.iter().find(|signer| signer.role == rule.role)?.owner.clone();
    one.retain(|signer| signer.owner == first);
    one.dedup_by_key(|signer| signer.public_key);
    Some(one)
}

/// More signatures than a file of attestations can hold are never there.
const SEATS_MAX: u32 = 1024;

fn push_gap<'r>(gaps: &mut Vec<(&'r SignatureRule, u32)>, rule: &'r SignatureRule, taken: usize) {
    let taken = u32::try_from(taken).unwrap_or(u32::MAX);
    if let Some(gap) = rule.count.checked_sub(taken).filter(|gap| *gap > 0) {
        gaps.push((rule, gap));
    }
}

/// Somebody who signed, in one role or in several.
struct Person<'a> {
    roles: BTreeSet<&'a str>,
}

/// Who signed: one person for each owner. Keys of unknown owners could all be one person's, so they are taken for
/// that.
fn people(signers: &[CountedSigner]) -> Vec<Person<'_>> {
    let mut people: Vec<(&CountedSigner, Person<'_>)> = Vec::new();
    for signer in signers {
        match people.iter_mut().find(|(known, _)| known.owner == signer.owner) {
            Some((_, person)) => {
                person.roles.insert(signer.role.as_str());
            }
            None => people.push((signer, Person { roles: BTreeSet::from([signer.role.as_str()]) })),
        }
    }
    people.into_iter().map(|(_, person)| person).collect()
}

/// Finds somebody for a seat, asking those who sit elsewhere to move if they can.
fn seat_one(
    seat: usize,
    seats: &[&SignatureRule],
    people: &[Person<'_>],
    seated: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for person in 0..people.len() {
        if tried[person] || !people[person].roles.contains(seats[seat].role.as_str()) {
            continue;
        }
        tried[person] = true;
        let free = match seated[person] {
            None => true,
            Some(other) => seat_one(other, seats, people, seated, tried),
        };
        if free {
            seated[person] = Some(seat);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use consign_signing::{PrivateKey, Signer as _};

    use super::*;

    fn signer(owner: &str, role: &str) -> CountedSigner {
        CountedSigner {
            public_key: *PrivateKey::generate().unwrap().public_key(),
            role: role.parse().unwrap(),
            owner: owner.parse().ok(),
            name: None,
        }
    }

    fn rule(role: &str, count: u32, another_person: bool) -> SignatureRule {
        SignatureRule { role: role.parse().unwrap(), count, another_person }
    }

    fn gaps(rules: &[SignatureRule], signers: &[CountedSigner]) -> Vec<(String, u32)> {
        missing(rules, signers).into_iter().map(|(rule, gap)| (rule.role.to_string(), gap)).collect()
    }

    #[test]
    fn one_person_is_not_two() {
        let rules = [rule("owner", 1, true), rule("release", 1, true)];
        let twice = [signer("Ada", "owner"), signer("Ada", "release")];
        assert_eq!(gaps(&rules, &twice).len(), 1);
        assert_eq!(gaps(&rules, &[signer("Ada", "owner"), signer("Bob", "release")]), []);
        let lenient = [rule("owner", 1, false), rule("release", 1, false)];
        assert_eq!(gaps(&lenient, &twice), []);
    }

    #[test]
    fn keys_of_nobody_known_are_one_person() {
        let rules = [rule("owner", 1, true), rule("release", 1, true)];
        let mut unknown = [signer("Ada", "owner"), signer("Bob", "release")];
        unknown.iter_mut().for_each(|signer| signer.owner = None);
        assert_eq!(gaps(&rules, &unknown).len(), 1);
    }

    #[test]
    fn people_move_where_they_are_needed() {
        let rules = [rule("owner", 1, true), rule("release", 1, true)];
        // Ada can do both, Bob only one: whatever the order, both seats are filled.
        let mut all = vec![signer("Ada", "owner"), signer("Ada", "release"), signer("Bob", "owner")];
        for _ in 0..3 {
            all.rotate_left(1);
            assert_eq!(gaps(&rules, &all), []);
        }
    }

    #[test]
    fn what_is_missing_is_counted() {
        let rules = [rule("release", 3, true)];
        assert_eq!(gaps(&rules, &[signer("Ada", "release")]), [("release".to_owned(), 2)]);
        assert_eq!(
            gaps(&rules, &[signer("Ada", "release"), signer("Ada", "release")]),
            [("release".to_owned(), 2)]
        );
        assert_eq!(gaps(&rules, &[]), [("release".to_owned(), 3)]);
    }
}
