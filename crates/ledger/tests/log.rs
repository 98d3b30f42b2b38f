//! Recording and reading, at the borders of tiles; everything that is given out is checked.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use consign_ledger::*;
use support::{Desk, event, files, number};

#[test]
fn what_was_recorded_is_read() {
    let desk = Desk::new();
    let mut next = 0;
    // One at a time over a border, several over two borders, exactly onto a border.
    for count in [1, 1, 253, 1, 1, 3, 300, 208, 256, 1, 100] {
        let appended = desk.append(next..next + count);
        assert_eq!((appended.first, appended.repaired), (next, None));
        next += count;
        assert_eq!(appended.checkpoint.size(), next);
        assert_eq!(desk.open().checkpoint(), &appended.checkpoint);
    }
    assert_eq!(desk.numbers(), (0..next).collect::<Vec<_>>());
    let summary = desk.verify().unwrap();
    assert_eq!((summary.checkpoint.size(), summary.dropped), (next, 0));
    let ledger = desk.open();
    assert_eq!(number(&ledger.entry(700).unwrap().body.unwrap()), 700);
    assert_eq!(ledger.entry(next).unwrap_err().problem().code, "ledger-no-such-event");
    assert_eq!(ledger.entries(1000..u64::MAX).count() as u64, next - 1000);
    // Partial files of what is full are gone; those of the edge stay, one for each checkpoint.
    let names = files(&desk.path());
    assert!(!names.iter().any(|name| name.contains("000.p/") && !name.starts_with("tile/1")), "{names:?}");
    assert!(names.contains(&"tile/0/003".into()) && names.contains(&"tile/1/000.p/4".into()), "{names:?}");
}

#[test]
fn proofs_hold_at_the_borders() {
    let desk = Desk::new();
    let mut old = Vec::new();
    for size in [1, 2, 255, 256, 257, 511, 512, 513, 1000] {
        let checkpoint = desk.append(old.last().map_or(0, SignedCheckpoint::size)..size).checkpoint;
        let ledger = desk.open();
        for index in [0, size / 2, size - 1] {
            let text = ledger.inclusion(index).unwrap().to_text().unwrap();
            let checked = text.parse::<TlogProof>().unwrap().check(&desk.verifier(), None).unwrap();
            assert_eq!((checked.index, number(&checked.event.unwrap())), (index, index));
            assert_eq!(checked.checkpoint, checkpoint);
            assert_eq!(text.parse::<TlogProof>().unwrap().to_text().unwrap(), text);
        }
        old.push(checkpoint.clone());
        for earlier in &old {
            let text = ledger.consistency(earlier).unwrap().to_string();
            let proof = text.parse::<ConsistencyProof>().unwrap();
            let checked = proof.check(&desk.verifier()).unwrap();
            assert_eq!((&checked.old, &checked.new), (earlier, &checkpoint));
            assert_eq!(proof.to_string(), text);
        }
    }
}

#[test]
fn a_ledger_without_events_is_one() {
    let desk = Desk::new();
    assert_eq!(desk.append(0..0).checkpoint.size(), 0);
    assert_eq!(files(&desk.path()), ["checkpoint", "lock"]);
    desk.verify().unwrap();
    let empty = desk.open().checkpoint().clone();
    assert_eq!(desk.append(0..1).first, 0);
    desk.open().consistency(&empty).unwrap().check(&desk.verifier()).unwrap();
}

#[test]
fn nothing_is_made_where_it_does_not_belong() {
    let desk = Desk::new();
    let absent = Ledger::open(&desk.path(), &desk.verifier()).unwrap_err();
    assert_eq!(absent.problem().code, "ledger-absent");
    let nowhere = desk.path().join("deeper");
    let error = append(&nowhere, &desk.key, None, &[event(0)]).unwrap_err();
    assert_eq!(error.problem().code, "ledger-unwritable");
    std::fs::create_dir(desk.path()).unwrap();
    std::fs::write(desk.file("thesis.tex"), "").unwrap();
    let error = desk.try_append(0..1).unwrap_err();
    assert_eq!(error.problem().code, "ledger-not-a-ledger");
    assert_eq!(files(&desk.path()), ["thesis.tex"]);
}
