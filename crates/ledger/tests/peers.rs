//! Checkpoints and proofs are checked, and notes are signed, by a program that shares nothing with this one but
//! the specifications.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use consign_ledger::*;
use consign_signing::{Note, NoteVerifier, ledger_origin};
use support::Desk;

fn python() -> PathBuf {
    let folder = std::env::var_os("CONSIGN_PEERS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        cache.map(|cache| cache.join("consign-peers"))
    });
    let python = folder.expect("HOME or CONSIGN_PEERS is set").join("bin/python");
    assert!(python.exists(), "this test needs {}; .ci/install makes it", python.display());
    python
}

/// What `tlog.py` says to this input: one line.
fn tlog(arguments: &[&str], input: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tlog.py");
    let mut command = Command::new(python());
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn others_verify_our_checkpoints_and_proofs() {
    let desk = Desk::with(300);
    let verifier = desk.verifier().to_string();
    let ledger = desk.open();
    let checkpoint = ledger.checkpoint();
    let expected = format!("{} 300 {}\n", checkpoint.origin(), checkpoint.root());
    assert_eq!(tlog(&["checkpoint", &verifier], checkpoint.note().as_str()), expected);
    let altered = checkpoint.note().as_str().replacen("\n300\n", "\n301\n", 1);
    assert_eq!(tlog(&["checkpoint", &verifier], &altered), "no\n");
    for index in [0, 255, 256, 299] {
        let proof = ledger.inclusion(index).unwrap().to_text().unwrap();
        let expected = format!("{index} {}\n", ledger.entry(index).unwrap().digest.hex());
        assert_eq!(tlog(&["proof", &verifier], &proof), expected);
        let altered = proof.replacen(&format!("index {index}\n"), &format!("index {}\n", index ^ 1), 1);
        assert_eq!(tlog(&["proof", &verifier], &altered), "no\n");
    }
    // And of what is stored: every tile and list of digests, by nothing but the specification of tlog-tiles.
    assert_eq!(tlog(&["tiles", desk.path().to_str().unwrap()], ""), format!("{}\n", checkpoint.root()));
}

#[test]
fn we_accept_what_others_sign() {
    let said = tlog(&["sign"], "");
    let (key, note) = said.split_once('\n').unwrap();
    let verifier: NoteVerifier = key.parse().unwrap();
    assert_eq!(verifier.to_string(), key);
    assert_eq!(verifier.name(), ledger_origin(verifier.key()));
    let note: Note = note.parse().unwrap();
    let checkpoint = SignedCheckpoint::verify(&note, &verifier).unwrap();
    assert_eq!(checkpoint.size(), 1);
    // The leaf of the event that the script was told of.
    let digest = consign_metadata::Sha256Digest::of(b"abc");
    assert_eq!(*checkpoint.root(), TreeHash::leaf(&digest));
    assert!(SignedCheckpoint::verify(&note, &Desk::new().verifier()).is_err());
}
