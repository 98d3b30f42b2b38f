//! Archives damaged at random: never verified against their statement, and never a panic.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::LazyLock;

use consign_metadata::Sha256Digest;
use proptest::prelude::*;
use proptest::sample::Index;

use super::forger::*;
use crate::archive::{Anchor, Archive, ArchiveError, Expected};
use crate::tail::Tail;
use crate::verify::{Scope, VerifiedArchive, verify};

/// An archive of every kind of frame in few bytes.
static SMALL: LazyLock<(Vec<u8>, Expected)> = LazyLock::new(|| {
    Forgery { entries: |e| e[3] = file("large.bin", &vec![7; (1 << 20) + 1000]), ..HONEST }.build()
});

#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Remove(Index, Index),
    /// A copy of a stretch, put elsewhere.
    Duplicate(Index, Index, Index),
    Swap(Index, Index, Index),
    Insert(Index, Vec<u8>),
    /// A number where one may stand.
    Number(Index, u64, usize),
    SwapFrames(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let number =
        prop_oneof![Just(0), Just(u64::MAX), Just(1 << 31), Just(i64::MAX as u64), any::<u64>(), 0u64..300];
    prop_oneof![
        4 => (at(), 1u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        1 => (at(), at()).prop_map(|(a, b)| Mutation::Remove(a, b)),
        1 => (at(), at(), at()).prop_map(|(a, b, c)| Mutation::Duplicate(a, b, c)),
        1 => (at(), at(), at()).prop_map(|(a, b, c)| Mutation::Swap(a, b, c)),
        1 => (at(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (at(), number, prop_oneof![Just(4usize), Just(8)]).prop_map(|(at, n, len)| Mutation::Number(at, n, len)),
        1 => (at(), at()).prop_map(|(a, b)| Mutation::SwapFrames(a, b)),
    ]
}

fn range(bytes: &[u8], a: &Index, b: &Index) -> Range<usize> {
    let (a, b) = (a.index(bytes.len() + 1), b.index(bytes.len() + 1));
    a.min(b)..a.max(b)
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation, frames: &[Range<usize>]) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Flip(at, bits) => {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        Mutation::Remove(a, b) => _ = bytes.drain(range(bytes, a, b)),
        Mutation::Duplicate(a, b, at) => {
            let copy = bytes[range(bytes, a, b)].to_vec();
            let at = at.index(bytes.len());
            bytes.splice(at..at, copy).for_each(drop);
        }
        Mutation::Swap(a, b, len) => {
            let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
            let (a, b) = (a.min(b), a.max(b));
            let len = len.index(b - a + 1).min(bytes.len() - b);
            let (left, right) = bytes.split_at_mut(b);
            left[a..][..len].swap_with_slice(&mut right[..len]);
        }
        Mutation::Insert(at, new) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, new.iter().copied()).for_each(drop);
        }
        Mutation::Number(at, number, len) => {
            let at = at.index(bytes.len());
            let len = (*len).min(bytes.len() - at);
            bytes[at..][..len].copy_from_slice(&number.to_le_bytes()[..len]);
        }
        Mutation::SwapFrames(a, b) if !frames.is_empty() => {
            let (a, b) = (a.index(frames.len()), b.index(frames.len()));
            let (a, b) = (&frames[a.min(b)], &frames[a.max(b)]);
            if a != b && b.end <= bytes.len() {
                let swapped = [&bytes[b.clone()], &bytes[a.end..b.start], &bytes[a.clone()]].concat();
                bytes[a.start..b.end].copy_from_slice(&swapped);
            }
        }
        Mutation::SwapFrames(..) => {}
    }
}

fn check(archive: &[u8], anchor: Anchor<'_>, scope: Scope) -> Result<VerifiedArchive, ArchiveError> {
    let archive = Archive::open(archive, anchor)?;
    let _ = archive.manifest();
    verify(&archive, scope, NonZeroUsize::MIN, &())
}

fn refused(result: &Result<VerifiedArchive, ArchiveError>) -> bool {
    matches!(result, Err(ArchiveError::Faults { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_archive_is_never_verified(mutations in proptest::collection::vec(mutation(), 1..4)) {
        let (good, expected) = SMALL.clone();
        let opened = Archive::open(good.as_slice(), Anchor::Unsigned).expect("opens");
        let place = |at: u64| usize::try_from(at).expect("small");
        let frames: Vec<_> = opened.tail.frames.iter().map(|f| place(f.offset)..place(f.end())).collect();
        let mut bad = good.clone();
        for mutation in &mutations {
            mutate(&mut bad, mutation, &frames);
        }
        prop_assume!(bad != good);
        for scope in [Scope::Content, Scope::Bytes] {
            prop_assert!(refused(&check(&bad, Anchor::Signed(&expected), scope)));
        }
        // Nobody vouches: it may agree with itself, and must not panic or ask for what is not there.
        let unsigned = check(&bad, Anchor::Unsigned, Scope::Content);
        prop_assert!(unsigned.is_ok() || refused(&unsigned));

        // A signer who signs whatever came out.
        let mut signed = expected;
        signed.archive.size = bad.len() as u64;
        signed.archive.sha256 = Sha256Digest::of(&bad);
        let end = bad.len().saturating_sub(place(signed.archive.tail_length));
        signed.archive.tail_sha256 = Sha256Digest::of(&bad[end..]);
        prop_assert!(refused(&check(&bad, Anchor::Signed(&signed), Scope::Content)));
    }

    #[test]
    fn a_signed_tail_of_any_content_does_no_harm(mutations in proptest::collection::vec(mutation(), 1..4)) {
        let (good, mut expected) = SMALL.clone();
        let at = good.len() - usize::try_from(expected.archive.tail_length).expect("small");
        let mut tail = good[at..].to_vec();
        for mutation in &mutations {
            mutate(&mut tail, mutation, &[]);
        }
        prop_assume!(tail != good[at..]);
        let bad = [&good[..at], &tail].concat();
        expected.archive.size = bad.len() as u64;
        expected.archive.sha256 = Sha256Digest::of(&bad);
        expected.archive.tail_length = tail.len() as u64;
        expected.archive.tail_sha256 = Sha256Digest::of(&tail);
        // Every byte of a tail follows from the frames, the manifest and the encoder, which is signed.
        prop_assert!(refused(&check(&bad, Anchor::Signed(&expected), Scope::Content)));
        if let Ok(tail) = Tail::parse(&tail, at as u64) {
            expected.archive.encoder = tail.encoder;
            let _ = check(&bad, Anchor::Signed(&expected), Scope::Content);
        }
    }
}
