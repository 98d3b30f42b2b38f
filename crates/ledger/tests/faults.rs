//! One fault each: what is wrong with a ledger is found, named, and nothing is built upon it.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use consign_ledger::*;
use consign_signing::{Note, NoteVerifier, Signer as _};
use proptest::prelude::*;
use support::{Desk, event, files};

/// More than two tiles of the lowest level, and a tile above.
const SIZE: u64 = 600;

/// The fault is found by `verify`, first and with this name, and the next append either refuses or leaves it be.
#[track_caller]
fn first_fault(desk: &Desk, code: &str, event: impl Into<Option<u64>>, file: &str) {
    let faults = desk.faults();
    let first = faults.first().expect("the fault is found");
    assert_eq!((first.0, first.1, &*first.2), (code, event.into(), file), "{faults:?}");
}

/// Nothing is appended, for this reason, and nothing is changed.
#[track_caller]
fn refuses(desk: &Desk, code: &str) {
    let before = contents(&desk.path());
    let error = desk.try_append(0..1).unwrap_err();
    assert_eq!(error.problem().code, code, "{error}");
    assert_eq!(contents(&desk.path()), before);
}

fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    files(directory).into_iter().map(|name| (name.clone(), fs::read(directory.join(name)).unwrap())).collect()
}

/// Lines of a segment, edited.
fn lines(desk: &Desk, name: &str, edit: impl FnOnce(&mut Vec<String>)) {
    desk.edit(name, |bytes| {
        let mut lines: Vec<String> = std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
        edit(&mut lines);
        *bytes = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into_bytes();
    });
}

#[test]
fn an_altered_event_is_named() {
    let desk = Desk::with(SIZE);
    lines(&desk, "events/001", |lines| lines[44] = lines[44].replace("packed", "signed"));
    first_fault(&desk, "ledger-event-altered", 300, "events/001");
    assert_eq!(desk.faults().len(), 1);
    // Whoever reads it is told too, and gets all that comes before.
    let ledger = desk.open();
    let read: Vec<_> = ledger.entries(298..310).collect();
    assert_eq!(read.len(), 3);
    let error = read[2].as_ref().unwrap_err().problem();
    assert_eq!(error.code, "ledger-event-altered");
    assert!(error.at.unwrap().ends_with("ledger/events/001"));
    assert!(ledger.inclusion(300).is_err());
    // The others still have their proofs, and the edge is what it was.
    ledger.inclusion(301).unwrap().check(&desk.verifier(), None).unwrap();
    desk.append(600..601);
}

#[test]
fn an_event_whose_digest_was_altered_along_is_named_too() {
    let desk = Desk::with(SIZE);
    lines(&desk, "events/001", |lines| lines[44] = lines[44].replace("packed", "signed"));
    let line = fs::read_to_string(desk.file("events/001")).unwrap().lines().nth(44).unwrap().to_owned();
    let digest = consign_metadata::Sha256Digest::of(line.as_bytes());
    desk.edit("tile/entries/001", |bytes| bytes[44 * 34 + 2..45 * 34].copy_from_slice(digest.as_bytes()));
    first_fault(&desk, "ledger-event-altered", 300, "events/001");
    assert_eq!(desk.open().entry(300).unwrap_err().problem().code, "ledger-entry-altered");
    // And with the tile, so that everything up to the next level agrees.
    desk.edit("tile/0/001", |bytes| {
        bytes[44 * 32..45 * 32].copy_from_slice(TreeHash::leaf(&digest).as_bytes());
    });
    first_fault(&desk, "ledger-tile-altered", 256, "tile/1/000.p/2");
    assert_eq!(desk.open().entry(300).unwrap_err().problem().code, "ledger-tile-altered");
    // F9: no tile is used that is not what the one above says.
    assert_eq!(desk.open().inclusion(256).unwrap_err().problem().code, "ledger-tile-altered");
}

#[test]
fn events_that_changed_places_are_named() {
    let desk = Desk::with(SIZE);
    lines(&desk, "events/000", |lines| lines.swap(7, 9));
    first_fault(&desk, "ledger-event-reordered", 7, "events/000");
    assert_eq!(desk.faults().len(), 2);
}

#[test]
fn a_removed_event_is_named() {
    let desk = Desk::with(SIZE);
    lines(&desk, "events/001", |lines| drop(lines.remove(0)));
    first_fault(&desk, "ledger-event-reordered", 256, "events/001");
    let desk = Desk::with(SIZE);
    lines(&desk, "events/002", |lines| drop(lines.pop()));
    first_fault(&desk, "ledger-event-missing", 599, "events/002");
    refuses(&desk, "ledger-event-missing");
    let desk = Desk::with(SIZE);
    fs::remove_file(desk.file("events/000")).unwrap();
    first_fault(&desk, "ledger-event-missing", 0, "events/000");
}

#[test]
fn a_body_that_is_gone_without_a_record_is_named() {
    let desk = Desk::with(SIZE);
    lines(&desk, "events/000", |lines| lines[100].clear());
    assert_eq!(desk.open().entry(100).unwrap().body, None);
    first_fault(&desk, "ledger-body-missing", 100, "events/000");
}

#[test]
fn a_torn_line_below_the_checkpoint_is_named() {
    let desk = Desk::with(SIZE);
    desk.edit("events/002", |bytes| bytes.truncate(bytes.len() - 20));
    first_fault(&desk, "ledger-event-missing", 599, "events/002");
    refuses(&desk, "ledger-event-missing");
}

#[test]
fn faulty_lists_of_digests_are_named() {
    let desk = Desk::with(SIZE);
    desk.edit("tile/entries/000", |bytes| bytes[34 * 5 + 10] ^= 1);
    first_fault(&desk, "ledger-entry-altered", 5, "tile/entries/000");
    let desk = Desk::with(SIZE);
    desk.edit("tile/entries/000", |bytes| bytes[34 * 5 + 1] = 31);
    first_fault(&desk, "ledger-entry-altered", 5, "tile/entries/000");
    let desk = Desk::with(SIZE);
    desk.edit("tile/entries/002.p/88", |bytes| bytes.truncate(1000));
    first_fault(&desk, "ledger-entry-missing", 512, "tile/entries/002.p/88");
    refuses(&desk, "ledger-entry-missing");
    fs::remove_file(desk.file("tile/entries/002.p/88")).unwrap();
    first_fault(&desk, "ledger-entry-missing", 512, "tile/entries/002.p/88");
}

#[test]
fn missing_and_altered_tiles_are_named() {
    for (name, event) in [("tile/0/000", 0), ("tile/0/002.p/88", 512), ("tile/1/000.p/2", 0)] {
        let desk = Desk::with(SIZE);
        fs::remove_file(desk.file(name)).unwrap();
        first_fault(&desk, "ledger-tile-missing", event, name);
        if name != "tile/0/000" {
            refuses(&desk, "ledger-tile-missing");
        }
        assert_eq!(desk.open().entry(0).unwrap_err().problem().code, "ledger-tile-missing");
    }
    for (name, at, event) in
        [("tile/0/000", 32 * 9, 9), ("tile/0/002.p/88", 0, 512), ("tile/1/000.p/2", 33, 256)]
    {
        let desk = Desk::with(SIZE);
        desk.edit(name, |bytes| bytes[at] ^= 1);
        first_fault(&desk, "ledger-tile-altered", event, name);
        assert_eq!(desk.faults().len(), 1);
        if name != "tile/0/000" {
            refuses(&desk, "ledger-root-mismatch");
        }
        assert!(desk.open().entry(9).is_err());
    }
}

#[test]
fn an_older_partial_tile_that_does_not_fit_is_named() {
    let desk = Desk::with(3);
    desk.append(3..5);
    desk.edit("tile/0/000.p/3", |bytes| bytes[32] ^= 1);
    first_fault(&desk, "ledger-tile-altered", 1, "tile/0/000.p/3");
}

#[test]
fn the_checkpoint_must_be_the_ledgers() {
    let desk = Desk::with(5);
    let code = |desk: &Desk| Ledger::open(&desk.path(), &desk.verifier()).unwrap_err().problem().code;
    let whole = fs::read(desk.file("checkpoint")).unwrap();
    desk.edit("checkpoint", |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(code(&desk), "ledger-checkpoint-malformed");
    refuses(&desk, "ledger-checkpoint-malformed");

    // The size is altered; the signature no longer fits.
    let text = String::from_utf8(whole).unwrap();
    fs::write(desk.file("checkpoint"), text.replacen("\n5\n", "\n4\n", 1)).unwrap();
    assert_eq!(code(&desk), "ledger-checkpoint-signature");
    refuses(&desk, "ledger-checkpoint-signature");

    // F11: one of another ledger.
    let other = Desk::with(5);
    fs::copy(other.file("checkpoint"), desk.file("checkpoint")).unwrap();
    assert_eq!(code(&desk), "ledger-foreign-checkpoint");
    refuses(&desk, "ledger-foreign-checkpoint");

    // One that claims to be of this ledger, but is signed by another key.
    let lines = text.split("\n\n").next().unwrap().to_owned() + "\n";
    let origin = consign_signing::ledger_origin(desk.key.public_key());
    let forged = Note::sign(&other.key, &origin, &lines.parse().unwrap()).unwrap();
    fs::write(desk.file("checkpoint"), forged.to_bytes()).unwrap();
    assert_eq!(code(&desk), "ledger-checkpoint-signature");

    fs::remove_file(desk.file("checkpoint")).unwrap();
    assert_eq!(code(&desk), "ledger-checkpoint-missing");
    refuses(&desk, "ledger-checkpoint-missing");
}

#[test]
fn f8_a_ledger_that_was_rolled_back_or_forked_is_noticed() {
    let desk = Desk::with(300);
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in contents(&desk.path()) {
        let path = copy.path().join("ledger").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let append_to_copy = |witness: Option<&SignedCheckpoint>, number| {
        append(&copy.path().join("ledger"), &desk.key, witness, &[event(number)])
    };
    let seen = desk.append(300..301).checkpoint;
    // The copy of before is in order in itself, but it is shorter than what was seen.
    let error = append_to_copy(Some(&seen), 1).unwrap_err();
    assert_eq!(error.problem().code, "ledger-rolled-back");
    // Whoever does not remember forks it: as long, but another.
    let forked = append_to_copy(None, 1).unwrap().checkpoint;
    assert!(forked.contradicts(&seen) && !forked.contradicts(&forked));
    assert_eq!(append_to_copy(Some(&seen), 2).unwrap_err().problem().code, "ledger-forked");
    append_to_copy(None, 2).unwrap();
    assert_eq!(append_to_copy(Some(&seen), 3).unwrap_err().problem().code, "ledger-forked");
    let verifier = desk.verifier();
    let open = Ledger::open(&copy.path().join("ledger"), &verifier).unwrap();
    assert_eq!(open.consistency(&seen).unwrap_err().problem().code, "ledger-forked");
    assert_eq!(open.size(), 302);
    // The same where the ledger is gone altogether.
    fs::remove_dir_all(copy.path().join("ledger")).unwrap();
    assert_eq!(append_to_copy(Some(&seen), 1).unwrap_err().problem().code, "ledger-rolled-back");
    assert!(!copy.path().join("ledger").exists());
    // A checkpoint of another ledger is no witness.
    let other = Desk::with(1);
    let foreign = other.open().checkpoint().clone();
    let error = append(&desk.path(), &desk.key, Some(&foreign), &[event(9)]).unwrap_err();
    assert_eq!(error.problem().code, "ledger-foreign-checkpoint");
}

#[test]
fn what_no_checkpoint_covers_never_becomes_part_of_it() {
    let desk = Desk::with(5);
    let line = event(666).to_line().unwrap();
    desk.edit("events/000", |bytes| bytes.extend(format!("{line}\n").bytes()));
    fs::write(desk.file("tile/0/000.p/6"), "torn").unwrap();
    fs::write(desk.file("checkpoint.pending"), "torn").unwrap();
    // Readers do not care.
    assert_eq!(desk.numbers(), [0, 1, 2, 3, 4]);
    desk.verify().unwrap();
    let repaired = desk.append(5..6).repaired.unwrap();
    assert_eq!(repaired.completed, None);
    assert_eq!(repaired.set_aside, ["checkpoint.pending", "events/000", "tile/0/000.p/6"]);
    assert_eq!(repaired.aside, Some(desk.file("torn/5")));
    assert_eq!(fs::read_to_string(desk.file("torn/5/events-000")).unwrap(), format!("{line}\n"));
    assert_eq!(desk.numbers(), [0, 1, 2, 3, 4, 5]);
    desk.verify().unwrap();
    assert_eq!(desk.append(6..7).repaired, None);
}

#[test]
fn a_pending_checkpoint_counts_only_with_all_its_data() {
    for spoiled in
        ["", "forked", "events/000", "tile/0/000.p/7", "tile/entries/000.p/7", "checkpoint.pending"]
    {
        let desk = Desk::with(5);
        let before = fs::read(desk.file("checkpoint")).unwrap();
        desk.append(5..7);
        // As if it had been killed right before the last step.
        fs::rename(desk.file("checkpoint"), desk.file("checkpoint.pending")).unwrap();
        fs::write(desk.file("checkpoint"), before).unwrap();
        if spoiled == "forked" {
            // Signed by the ledger's key, but about other events than those that are there.
            let origin = consign_signing::ledger_origin(desk.key.public_key());
            let text = format!("{origin}\n7\n{}\n", TreeHash::empty());
            let forked = Note::sign(&desk.key, &origin, &text.parse().unwrap()).unwrap();
            fs::write(desk.file("checkpoint.pending"), forked.to_bytes()).unwrap();
        } else if !spoiled.is_empty() {
            desk.edit(spoiled, |bytes| {
                let at = bytes.len() - 9;
                bytes[at] ^= 1;
            });
        }
        let appended = desk.append(7..8);
        let repaired = appended.repaired.unwrap();
        if spoiled.is_empty() {
            assert_eq!((repaired.completed, repaired.aside), (Some(5..7), None));
            assert_eq!(desk.numbers(), [0, 1, 2, 3, 4, 5, 6, 7]);
        } else {
            assert_eq!(repaired.completed, None, "{spoiled}");
            assert!(repaired.set_aside.contains(&"checkpoint.pending".into()));
            assert_eq!(desk.numbers(), [0, 1, 2, 3, 4, 7], "{spoiled}");
        }
        desk.verify().unwrap();
    }
}

#[test]
fn a_pending_checkpoint_of_another_key_counts_for_nothing() {
    let desk = Desk::with(2);
    let other = Desk::with(3);
    fs::copy(other.file("checkpoint"), desk.file("checkpoint.pending")).unwrap();
    let repaired = desk.append(2..3).repaired.unwrap();
    assert_eq!((repaired.completed, repaired.set_aside), (None, vec!["checkpoint.pending".to_owned()]));
}

#[test]
fn a_bulk_append_that_was_cut_short_is_put_aside_whole() {
    let desk = Desk::with(5);
    let before = contents(&desk.path());
    desk.append(5..1000);
    let after = contents(&desk.path());
    // All of its files, but not its checkpoint; and the partial files that it would have removed last.
    for (name, bytes) in before {
        fs::create_dir_all(desk.file(&name).parent().unwrap()).unwrap();
        if !name.starts_with("events") {
            fs::write(desk.file(&name), bytes).unwrap();
        }
    }
    assert_eq!(desk.numbers(), [0, 1, 2, 3, 4]);
    let repaired = desk.append(5..6).repaired.unwrap();
    assert_eq!(
        repaired.set_aside,
        [
            "events/000",
            "events/001",
            "events/002",
            "events/003",
            "tile/entries/000",
            "tile/entries/001",
            "tile/entries/002",
            "tile/entries/003.p",
            "tile/0/000",
            "tile/0/001",
            "tile/0/002",
            "tile/0/003.p",
            "tile/1/000.p"
        ]
    );
    assert_eq!(desk.numbers(), [0, 1, 2, 3, 4, 5]);
    desk.verify().unwrap();
    assert!(after.len() > 5);
}

#[test]
fn bodies_are_dropped_and_proofs_stay() {
    let desk = Desk::with(SIZE);
    let before: Vec<String> =
        [3, 300].map(|index| desk.open().inclusion(index).unwrap().to_text().unwrap()).into();
    let mut record = event(0);
    record.action = EVENTS_DROPPED.parse().unwrap();
    record.metadata = Event::dropped_metadata((0..10).chain(250..301).chain([599]));
    assert_eq!(
        serde_json::to_string(&record.metadata).unwrap(),
        r#"{"dropped":[[0,9],[250,300],[599,599]]}"#
    );
    // Not by the back door.
    let error = append(&desk.path(), &desk.key, None, &[record.clone()]).unwrap_err();
    assert_eq!(error.problem().code, "ledger-drop");
    let dropped = drop_bodies(&desk.path(), &desk.key, None, &record).unwrap();
    assert_eq!((dropped.bodies, dropped.appended.first), (62, SIZE));
    assert_eq!(desk.verify().unwrap().dropped, 62);
    let ledger = desk.open();
    for index in [0, 9, 250, 300, 599] {
        assert_eq!(ledger.entry(index).unwrap().body, None);
    }
    assert!(ledger.entry(10).unwrap().body.is_some());
    // Old proofs hold, and new ones can be made, with the digest in the place of the event.
    for text in before {
        text.parse::<TlogProof>().unwrap().check(&desk.verifier(), None).unwrap();
    }
    let text = ledger.inclusion(300).unwrap().to_text().unwrap();
    let checked = text.parse::<TlogProof>().unwrap().check(&desk.verifier(), None).unwrap();
    assert_eq!((checked.event, checked.digest), (None, ledger.entry(300).unwrap().digest));
    desk.append(601..602);

    // What records the drop cannot be dropped, and neither what is not there.
    for (indices, what) in [(SIZE..SIZE + 1, "must stay"), (5000..5001, "there is no event 5000")] {
        record.metadata = Event::dropped_metadata(indices);
        let error = drop_bodies(&desk.path(), &desk.key, None, &record).unwrap_err();
        assert_eq!(error.problem().code, "ledger-drop");
        assert!(error.to_string().contains(what), "{error}");
    }
    assert_eq!(desk.open().size(), SIZE + 2);
}

#[test]
fn each_body_that_is_gone_must_be_recorded() {
    let desk = Desk::with(40);
    let mut record = event(0);
    record.action = EVENTS_DROPPED.parse().unwrap();
    for (nonce, indices) in [(1, 5..12), (2, 3..9), (3, 20..22)] {
        record.metadata = Event::dropped_metadata(indices);
        record.nonce = Nonce::from_bytes([nonce; 16]);
        drop_bodies(&desk.path(), &desk.key, None, &record).unwrap();
    }
    assert_eq!(desk.verify().unwrap().dropped, 11);
    lines(&desk, "events/000", |lines| {
        for gone in [12, 19, 22, 30] {
            lines[gone].clear();
        }
    });
    let gone: Vec<_> = desk.faults().into_iter().map(|(code, event, _)| (code, event.unwrap())).collect();
    assert_eq!(gone, [12, 19, 22, 30].map(|event| ("ledger-body-missing", event)));
}

#[test]
fn a_drop_that_was_cut_short_is_finished_by_the_next() {
    let desk = Desk::with(20);
    let segment = fs::read(desk.file("events/000")).unwrap();
    let mut record = event(0);
    record.action = EVENTS_DROPPED.parse().unwrap();
    record.metadata = Event::dropped_metadata(0..5);
    drop_bodies(&desk.path(), &desk.key, None, &record).unwrap();
    // As if it had been killed after the record and before the bodies went.
    desk.edit("events/000", |bytes| {
        let last = bytes.split_inclusive(|byte| *byte == b'\n').next_back().unwrap().to_vec();
        *bytes = [segment, last].concat();
    });
    fs::write(desk.file("segment.pending"), "torn").unwrap();
    assert_eq!(desk.verify().unwrap().dropped, 0);
    record.metadata = Event::dropped_metadata([7]);
    record.nonce = Nonce::from_bytes([1; 16]);
    assert_eq!(drop_bodies(&desk.path(), &desk.key, None, &record).unwrap().bodies, 6);
    assert_eq!(desk.verify().unwrap().dropped, 6);
    assert!(!desk.file("segment.pending").exists());
}

#[test]
fn a_drop_while_somebody_verifies_is_no_fault() {
    let desk = Desk::with(20);
    let opened_before = desk.open();
    let mut record = event(0);
    record.action = EVENTS_DROPPED.parse().unwrap();
    record.metadata = Event::dropped_metadata(0..5);
    drop_bodies(&desk.path(), &desk.key, None, &record).unwrap();
    let summary = opened_before.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!((summary.dropped, summary.checkpoint.size()), (5, 21));
    let stopped = opened_before.verify(&mut |_| std::ops::ControlFlow::Break(()));
    assert!(matches!(stopped, Err(VerifyError::Cancelled)));
}

#[test]
fn a_reader_stays_at_its_checkpoint_while_others_append() {
    let desk = Desk::with(100);
    let ledger = desk.open();
    // Past the border: the partial tiles that the reader knows of are gone.
    desk.append(100..700);
    assert!(!desk.file("tile/0/000.p").exists());
    assert_eq!(ledger.entries(0..u64::MAX).filter_map(Result::ok).count(), 100);
    ledger.inclusion(99).unwrap().check(&desk.verifier(), None).unwrap();
    ledger.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
}

#[test]
fn e33_what_travels_with_a_proof_counts_only_if_it_is_what_is_proven() {
    let desk = Desk::with(40);
    let ledger = desk.open();
    let (one, two) = (ledger.inclusion(3).unwrap(), ledger.inclusion(4).unwrap());
    let (one, two) = (one.to_text().unwrap(), two.to_text().unwrap());
    let part =
        |text: &str, start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    let check = |text: &str| {
        let proof = text.parse::<TlogProof>().map_err(|error| error.problem().code)?;
        proof.check(&desk.verifier(), None).map_err(|error| error.problem().code)
    };
    assert_eq!(check(&one).unwrap().index, 3);
    // F10: the event of another proof, the index of another.
    let exchanged = one.replace(&part(&one, "extra "), &part(&two, "extra "));
    assert_eq!(check(&exchanged), Err("ledger-not-included"));
    assert_eq!(check(&one.replace("index 3\n", "index 4\n")), Err("ledger-not-included"));
    assert_eq!(check(&one.replace("index 3\n", "index 40\n")), Err("ledger-not-included"));
    assert_eq!(check(&one.replace("index 3\n", "index 03\n")), Err("ledger-proof-malformed"));
    let without = one.replace(&(part(&one, "extra ") + "\n"), "");
    assert_eq!(check(&without), Err("ledger-proof-event"));
    let digest = ledger.entry(3).unwrap().digest;
    let proof = without.parse::<TlogProof>().unwrap();
    assert_eq!(proof.check(&desk.verifier(), Some(&digest)).unwrap().event, None);
    let other = ledger.entry(4).unwrap().digest;
    let error = one.parse::<TlogProof>().unwrap().check(&desk.verifier(), Some(&other)).unwrap_err();
    assert_eq!(error.problem().code, "ledger-proof-other-event");
    // F11: another ledger's key.
    let stranger = Desk::new();
    let error = one.parse::<TlogProof>().unwrap().check(&stranger.verifier(), None).unwrap_err();
    assert_eq!(error.problem().code, "ledger-foreign-checkpoint");
    let same_name = NoteVerifier::new(desk.verifier().name(), *stranger.key.public_key()).unwrap();
    let error = one.parse::<TlogProof>().unwrap().check(&same_name, None).unwrap_err();
    assert_eq!(error.problem().code, "ledger-checkpoint-signature");
}

/// Ledgers of several shapes: of one tile, of exactly one, of several, grown in steps.
fn shapes() -> &'static [Desk] {
    static SHAPES: OnceLock<Vec<Desk>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let grown = |counts: &[u64]| {
            let desk = Desk::new();
            let mut next = 0;
            for count in counts {
                desk.append(next..next + count);
                next += count;
            }
            desk
        };
        let dropped = grown(&[20, 3]);
        let mut record = event(0);
        record.action = EVENTS_DROPPED.parse().unwrap();
        record.metadata = Event::dropped_metadata(2..9);
        drop_bodies(&dropped.path(), &dropped.key, None, &record).unwrap();
        dropped.append(24..26);
        vec![
            grown(&[1]),
            grown(&[3, 4, 1]),
            grown(&[256]),
            grown(&[250, 20, 5]),
            grown(&[511, 1, 1]),
            dropped,
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever byte is altered anywhere in the directory, `verify` finds it.
    #[test]
    fn every_altered_byte_is_found(
        shape in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let desk = shape.get(shapes());
        let names: Vec<_> = files(&desk.path()).into_iter().filter(|name| name != "lock").collect();
        let name = file.get(&names);
        let whole = fs::read(desk.file(name)).unwrap();
        let at = byte.index(whole.len());
        desk.edit(name, |bytes| bytes[at] ^= flip);
        let found = match Ledger::open(&desk.path(), &desk.verifier()) {
            Err(_) => true,
            Ok(ledger) => ledger.verify(&mut |_| std::ops::ControlFlow::Continue(())).is_err(),
        };
        fs::write(desk.file(name), whole).unwrap();
        prop_assert!(found, "{name}, byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No bytes make reading a proof panic, and what is read is what is written.
    #[test]
    fn proofs_have_one_spelling(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)) {
        static DESK: OnceLock<Desk> = OnceLock::new();
        let desk = DESK.get_or_init(|| Desk::with(7));
        let ledger = desk.open();
        let mut inclusion = ledger.inclusion(2).unwrap().to_text().unwrap().into_bytes();
        let mut consistency = ledger.consistency(ledger.checkpoint()).unwrap().to_string().into_bytes();
        for (at, byte) in edits {
            let place = at.index(inclusion.len());
            inclusion[place] = byte;
            let place = at.index(consistency.len());
            consistency[place] = byte;
        }
        if let Ok(proof) = TlogProof::parse(&inclusion) {
            prop_assert_eq!(proof.to_text().unwrap().into_bytes(), inclusion);
            let _ = proof.check(&desk.verifier(), None);
        }
        if let Ok(proof) = ConsistencyProof::parse(&consistency) {
            prop_assert_eq!(proof.to_string().into_bytes(), consistency);
            let _ = proof.check(&desk.verifier());
        }
    }
}
