//! The tables that say what is held and by which test: every test that they name is there.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The names of all functions of the project's own code.
fn functions() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                // Some are programs of their own, and go by the name of the file.
                found.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
                let text = fs::read_to_string(&path).unwrap();
                let named = text.split("fn ").skip(1).filter_map(|rest| {
                    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
                    Some(rest[..end].to_owned())
                });
                found.extend(named);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&root().join("crates"), &mut found);
    found
}

/// The cells of each row of the tables in a document, without their heads.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("docs").join(document)).unwrap();
    let mut rows = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        if !line.starts_with('|') {
            in_table = false;
        } else if line.starts_with("|---") {
            in_table = true;
        } else if in_table {
            rows.push(line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect());
        }
    }
    rows
}

/// What stands between backticks in a cell.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn field_r9_every_row_of_the_guidance_is_shown_by_tests_that_are_there() {
    let there = functions();
    let rows = rows("guidance-coverage.md");
    assert!(rows.len() > 80, "{}", rows.len());
    for row in &rows {
        let [.., what, shown] = &row[..] else { panic!("{row:?}") };
        if shown == "–" {
            let says_so = ["outside", "of consign itself", "follow", "secure deletion"];
            assert!(says_so.iter().any(|word| row.join(" ").contains(word)), "{row:?} shows nothing");
            continue;
        }
        assert!(!what.is_empty() && !code(shown).is_empty(), "{row:?}");
        for name in code(shown) {
            assert!(there.contains(name), "there is no test `{name}`: {row:?}");
        }
    }
}

#[test]
fn every_attack_names_a_test_that_is_there() {
    let there = functions();
    let rows = rows("attacks.md");
    assert!(rows.len() > 150, "{}", rows.len());
    for row in &rows {
        let shown = row.last().unwrap();
        let named: Vec<_> = code(shown);
        // Why there is nothing to test stands in its place.
        if (shown.starts_with('–') && shown.len() > 10) || shown.starts_with("not tested") {
            continue;
        }
        assert!(!named.is_empty(), "{row:?} names no test");
        for name in named {
            // A group of tests with one beginning is named by it.
            let known =
                there.contains(name) || there.iter().any(|one| one.starts_with(name.trim_end_matches('*')));
            assert!(
                known || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "there is no test `{name}`: {row:?}"
            );
        }
    }
}
