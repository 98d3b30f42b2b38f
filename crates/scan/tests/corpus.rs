//! What is found of a labelled corpus, and what is wrongly found in another, beside what `detect-secrets` says of the
//! same. `docs/findings.md` has the figures; `UPDATE_DOCS=1` writes them there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Sample, found, negatives::negatives, positives::positives, scan};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/findings.md");

#[test]
fn the_corpus_is_what_it_should_be() {
    let (positives, negatives) = (positives(), negatives());
    assert!(positives.len() >= 60 && negatives.len() >= 120, "{} and {}", positives.len(), negatives.len());
    let tried: BTreeSet<_> = positives.iter().map(|sample| sample.rule).collect();
    let listed = std::fs::read_to_string(DOCUMENT).unwrap();
    let listed: BTreeSet<_> = listed.lines().filter_map(|line| line.strip_prefix("| `secret/")).collect();
    let listed: BTreeSet<_> = listed.iter().map(|line| line.split('`').next().unwrap()).collect();
    let tried: BTreeSet<_> = tried.iter().map(|rule| rule.strip_prefix("secret/").unwrap()).collect();
    assert_eq!(tried, listed, "every rule is documented, and every documented rule is tried");
}

/// Every secret of the corpus is found, by its rule, on its line; the excerpt shows nothing of use.
#[test]
fn every_secret_is_found() {
    let mut missed = Vec::new();
    for sample in positives() {
        let report = scan(&sample.name, &sample.content);
        let rules: Vec<_> = found(&report).into_iter().map(|(rule, ..)| rule).collect();
        if rules != [sample.rule] {
            missed.push(format!("{}: {} gave {rules:?}", sample.name, sample.rule));
        }
        for (_, line, excerpt) in found(&report) {
            assert!(sample.secret.is_empty() || !excerpt.contains(&sample.secret), "{excerpt}");
            let shown: String = excerpt.chars().take_while(|c| *c != '…').collect();
            let longest = 4.min(sample.secret.len() / 4);
            assert!(!excerpt.contains('…') || shown.len() <= longest, "{}: {excerpt}", sample.rule);
            let text = String::from_utf8_lossy(&sample.content).into_owned();
            let first = sample.secret.lines().next().unwrap_or_default();
            let expected = text.find(first).map(|at| text[..at].matches('\n').count() as u64 + 1);
            assert!(
                sample.secret.is_empty() || line == expected,
                "{}: {line:?}, not {expected:?}",
                sample.name
            );
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// What is wrongly found stays within bounds: these are known.
#[test]
fn nothing_else_is_found() {
    let wrong = |sample: &Sample| {
        let found = found(&scan(&sample.name, &sample.content));
        (!found.is_empty()).then(|| {
            format!(
                "{}: {found:?}\n{}",
                sample.name,
                String::from_utf8_lossy(&sample.content[..sample.content.len().min(200)])
            )
        })
    };
    let wrong: Vec<_> = negatives().iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

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

/// The files in which `detect-secrets` finds something.
fn detect_secrets(samples: &[Sample]) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    for (n, sample) in samples.iter().enumerate() {
        let path = dir.path().join(n.to_string()).join(&sample.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &sample.content).unwrap();
    }
    let output = Command::new(python())
        .args(["-m", "detect_secrets", "scan", "--all-files", "--no-verify", "."])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let files = document["results"].as_object().unwrap().keys();
    files.map(|file| file.split('/').next().unwrap().to_owned()).collect()
}

/// Both over both corpora, side by side, as the document has it.
#[test]
fn the_document_has_the_figures() {
    let (positives, negatives) = (positives(), negatives());
    let mut table = String::from("| | secrets found | files wrongly reported |\n|---|---|---|\n");
    let ours = |samples: &[Sample]| {
        samples.iter().filter(|sample| !found(&scan(&sample.name, &sample.content)).is_empty()).count()
    };
    let theirs = [detect_secrets(&positives).len(), detect_secrets(&negatives).len()];
    for (name, hits, wrong) in
        [("consign", ours(&positives), ours(&negatives)), ("detect-secrets 1.5.0", theirs[0], theirs[1])]
    {
        let share = 100 * hits / positives.len();
        let _ = writeln!(
            table,
            "| {name} | {hits} of {} ({share} %) | {wrong} of {} |",
            positives.len(),
            negatives.len()
        );
    }
    assert!(theirs[0] * 3 > positives.len(), "a peer that finds so little compares nothing:\n{table}");
    let (begin, end) = ("<!-- corpus -->\n", "<!-- /corpus -->");
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let wanted = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(DOCUMENT, &wanted).unwrap();
    } else {
        assert!(
            document == wanted,
            "docs/findings.md differs; run the tests again with UPDATE_DOCS=1:\n{table}"
        );
    }
}
