//! Pickles that Python writes, judged beside picklescan and fickling.

mod looking;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use looking::{files, found, has, python, scan, scan_in};

struct Judged {
    name: String,
    bytes: Vec<u8>,
    picklescan: String,
    fickling: String,
}

fn judged(kind: &str) -> (tempfile::TempDir, Vec<Judged>) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("pickles");
    python("make_pickles.py", &[&out]);
    let files = files(&out.join(kind));
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| out.join(kind).join(name)).collect();
    let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
    let verdicts = python("judge_pickles.py", &paths);
    let verdicts: BTreeMap<&str, (&str, &str)> = verdicts
        .lines()
        .map(|line| {
            let mut parts = line.split('\t');
            let mut next = || parts.next().expect("three columns");
            (next(), (next(), next()))
        })
        .collect();
    let judged = files
        .into_iter()
        .map(|(name, bytes)| {
            let (picklescan, fickling) = verdicts[name.as_str()];
            Judged { picklescan: picklescan.into(), fickling: fickling.into(), name, bytes }
        })
        .collect();
    (folder, judged)
}

/// Rows for people, when a test fails.
fn table(rows: &[(&Judged, Vec<String>)]) -> String {
    let mut text = String::from("\nfile | picklescan | fickling | here\n");
    for (file, here) in rows {
        let _ = writeln!(text, "{} | {} | {} | {here:?}", file.name, file.picklescan, file.fickling);
    }
    text
}

#[test]
fn h1_h5_what_either_peer_calls_dangerous_is_flagged() {
    let (_folder, files) = judged("malicious");
    assert!(files.len() >= 100, "{}", files.len());
    let mut missed = Vec::new();
    let mut by_peers = 0;
    for file in &files {
        let report = scan(&file.name, &file.bytes);
        let flagged =
            ["code/pickle-dangerous", "code/pickle-unknown-import"].iter().any(|rule| has(&report, rule));
        by_peers += usize::from(file.picklescan == "dangerous" || file.fickling.contains("OVERTLY"));
        // All of them are: those that the peers miss, too.
        if !flagged {
            missed.push((file, found(&report)));
        }
    }
    assert!(missed.is_empty(), "{}", table(&missed));
    assert!(by_peers >= 100, "the peers say something: {by_peers}");
}

#[test]
fn h5_harmless_pickles_are_not_called_dangerous() {
    let (_folder, files) = judged("benign");
    assert!(files.len() >= 60, "{}", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let report = scan(&file.name, &file.bytes);
        let alarm = report.findings.iter().any(|finding| finding.rule.as_str() != "code/pickle");
        if alarm || !has(&report, "code/pickle") {
            wrong.push((file, found(&report)));
        }
    }
    assert!(wrong.is_empty(), "{}", table(&wrong));

    // Where a peer is stricter, by name, so that a new difference shows. NumPy's constructors of generators call
    // what they are given, which has to be imported, and is listed, like everything else; `xrange` is `range`.
    let stricter = |file: &&Judged| file.picklescan == "dangerous" || file.fickling.contains("OVERTLY");
    let stricter: Vec<&str> = files.iter().filter(stricter).map(|file| file.name.as_str()).collect();
    let known = [
        "builtins-2.pkl",
        "generator-2.pkl",
        "generator-4.pkl",
        "random-2.pkl",
        "random-4.pkl",
        "sklearn-boosting.pkl",
        "sklearn-hist.pkl",
    ];
    assert_eq!(stricter, known);
}

#[test]
fn chunks_make_no_difference_to_real_pickles() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("pickles");
    python("make_pickles.py", &[&out]);
    for kind in ["benign", "malicious"] {
        for (name, bytes) in files(&out.join(kind)) {
            let whole = scan(&name, &bytes);
            for lengths in [&[1][..], &[7, 1, 64], &[4096], &[65_537]] {
                assert_eq!(scan_in(&name, &bytes, lengths), whole, "{name} {lengths:?}");
            }
        }
    }
}
