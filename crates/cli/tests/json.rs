//! `--json`: one document on standard output, whatever happens, that says what the exit code says.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;

use bundles::{descriptor, example};
use serde_json::Value;
use support::{Desk, written_down};

/// Runs a command with `--json`; checks what all of them promise, and gives the document.
#[track_caller]
fn document(desk: &Desk, arguments: &[&str]) -> Value {
    let output = desk.consign(arguments.iter().copied()).arg("--json").output().unwrap();
    let said = written_down(&output);
    // One document: `from_slice` refuses anything that follows it.
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let keys: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["command", "exit", "problems", "result"], "{said}");
    assert_eq!(document["exit"].as_i64(), output.status.code().map(i64::from), "{said}");
    for problem in document["problems"].as_array().unwrap() {
        let code = problem["code"].as_str().unwrap();
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!code.is_empty() && code.chars().all(kebab) && !code.starts_with('-'), "`{code}` in {said}");
        let message = problem["message"].as_str().unwrap();
        assert!(!message.is_empty() && (code == "usage" || !message.ends_with('.')), "{said}");
        let known = ["code", "at", "line", "message", "hint"];
        assert!(problem.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{said}");
    }
    assert_eq!(document["exit"] == 0, document["problems"].as_array().unwrap().is_empty(), "{said}");
    document
}

#[test]
fn every_command_prints_one_document_when_it_succeeds() {
    let desk = Desk::new();
    let example = example();
    let example = example.to_str().unwrap();
    desk.write("plain/data.txt", "data\n");
    let id = |key: &str| {
        let card = document(&desk, &["id", "--key", key]);
        card["result"]["fingerprint"].as_str().unwrap().to_owned()
    };
    let done = |arguments: &[&str]| {
        let document = document(&desk, arguments);
        assert_eq!(
            (&document["exit"], document["command"].as_str()),
            (&0.into(), Some(arguments[0])),
            "{document:#}"
        );
        assert!(document["result"].is_object(), "{document:#}");
    };
    done(&["keygen", "-o", "key", "--no-passphrase"]);
    done(&["keygen", "-o", "second", "--no-passphrase"]);
    let fingerprint = id("key.pub");
    done(&["trust", "add", "ada", "--key", "key.pub", "--fingerprint", &fingerprint]);
    done(&["trust", "list"]);
    done(&["trust", "show", "ada"]);
    done(&["trust", "check"]);
    done(&[
        "init",
        "plain",
        "--name",
        "plain",
        "--version",
        "1.0.0",
        "--classification",
        "public",
        "--contact-name",
        "Ada",
        "--contact-email",
        "ada@example.org",
    ]);
    done(&["pack", example, "-o", "out", "--key", "key", "--dry-run"]);
    done(&["pack", example, "-o", "out", "--key", "key"]);
    done(&["pack", example, "-o", "out", "--key", "key"]);
    done(&["sign", "out", "--key", "second", "--yes"]);
    done(&["verify", "out"]);
    done(&["verify", "out", "--key", "key.pub", "--key", "second.pub", "--quick"]);
    done(&["inspect", "out"]);
    done(&["inspect", "out", "--files"]);
    done(&["unpack", "out", "unpacked"]);
    done(&["diff", "out", "unpacked"]);
    done(&["seal", "plain", "-o", "sealed", "--key", "key", "--set", "kind=dataset"]);
    done(&["verify", "plain", "--manifest", "sealed/plain-1.0.0.manifest.json"]);
    let second = id("second.pub");
    done(&["trust", "rotate", "ada", "--to", "second.pub", "--fingerprint", &second, "--name", "new"]);
    done(&["trust", "revoke", "new", "--reason", "compromised"]);
    done(&["trust", "remove", "ada"]);
    let line = document(&desk, &["id", "--key", "key.pub"])["result"]["openssh"].as_str().unwrap().to_owned();
    desk.write(
        "lab.toml",
        format!(
            "format = 1\nname = \"lab\"\nversion = 1\nexpires = 2999-01-01T00:00:00Z\n\
             [root]\nkeys = [\"root\"]\nthreshold = 1\n\
             [[key]]\nname = \"root\"\nroles = [\"root\"]\npublic_key = \"{line}\"\n"
        ),
    );
    done(&["trust", "export", "--trust", "lab.toml", "--key", "key", "-o", "lab.trust.intoto.jsonl"]);
    let import = ["trust", "import", "lab.trust.intoto.jsonl", "--scope", "lab-*", "--roles", "owner"];
    done(&[&import[..], &["--fingerprint", &fingerprint]].concat());
    done(&["revoke", "out", "--reason", "wrong data", "--key", "key"]);
    done(&["quickstart", example, "-o", "scratch"]);
}

#[test]
fn every_command_prints_one_document_when_it_fails() {
    let desk = Desk::new();
    desk.write("source/data.txt", "data\n");
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("bad/consign.yaml", "name: x\nnothing: else\n");
    desk.write("key-that-is-none", "nothing\n");
    desk.pack(&desk.path("source"), "out", "key", &[]);
    desk.pack(&desk.path("source"), "altered", "key", &[]);
    let archive = desk.path("altered/small-1.0.0.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    bytes[30] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let failed = |exit: i64, code: &str, arguments: &[&str]| {
        let document = document(&desk, arguments);
        let codes: Vec<_> =
            document["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect();
        assert_eq!(
            (document["exit"].as_i64(), codes.contains(&code)),
            (Some(exit), true),
            "{code}: {document:#}"
        );
        assert_eq!(document["command"], arguments[0], "{document:#}");
    };
    failed(1, "key-file-exists", &["keygen", "-o", "key", "--no-passphrase"]);
    failed(2, "passphrase-needed", &["keygen", "-o", "new"]);
    failed(1, "unreadable", &["id", "--key", "nowhere"]);
    failed(1, "no-descriptor", &["pack", "out", "-o", "x", "--key", "key"]);
    failed(2, "unknown-field", &["pack", "bad", "-o", "x", "--key", "key"]);
    failed(1, "not-a-directory", &["pack", "source", "-o", "key", "--key", "key"]);
    failed(2, "output-inside", &["pack", "source", "-o", "source/out", "--key", "key"]);
    failed(2, "output-inside", &["seal", "source", "-o", "source/out", "--key", "key"]);
    failed(2, "not-confirmed", &["sign", "out", "--key", "key", "--role", "release"]);
    failed(3, "frame-altered", &["sign", "altered", "--key", "key", "--role", "release", "--yes"]);
    failed(3, "frame-altered", &["verify", "altered", "--key", "key.pub"]);
    failed(3, "frame-altered", &["unpack", "altered", "x", "--key", "key.pub"]);
    failed(4, "not-trusted", &["verify", "out"]);
    failed(4, "not-trusted", &["unpack", "out", "x"]);
    failed(4, "not-expected", &["verify", "out", "--key", "key.pub", "--expect", "small@9.9.9"]);
    failed(1, "destination-exists", &["unpack", "out", "source", "--key", "key.pub"]);
    failed(1, "unreadable", &["verify", "nowhere"]);
    failed(1, "unreadable", &["inspect", "nowhere"]);
    failed(1, "no-such-file", &["verify", "out", "--key", "key.pub", "--only", "nothing"]);
    failed(1, "unreadable", &["diff", "out", "nowhere"]);
    assert!(!desk.path("x").exists());
    // Of several bundles the gravest verdict counts, and each is reported.
    let several = document(&desk, &["verify", "out", "altered", "nowhere", "--key", "key.pub"]);
    assert_eq!(several["exit"], 3);
    let verified: Vec<_> = several["result"]["bundles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["verified"].as_bool().unwrap())
        .collect();
    assert_eq!(verified, [true, false, false]);
}

#[test]
fn wrong_usage_is_one_document_too() {
    let desk = Desk::new();
    for arguments in [
        &["frobnicate"][..],
        &["verify"],
        &["pack", "source"],
        &["verify", "x", "--threshold", "0"],
        &["verify", "x", "--expect", "x"],
        &["pack", "source", "-o", "out", "--key", "k", "--level", "20"],
        &["verify", "x", "--quick", "--only", "y"],
    ] {
        let document = document(&desk, arguments);
        assert_eq!(
            (&document["exit"], &document["problems"][0]["code"]),
            (&2.into(), &"usage".into()),
            "{document:#}"
        );
    }
}

#[test]
fn a_difference_is_a_result_and_no_problem() {
    let desk = Desk::new();
    desk.write("a/x", "1");
    desk.write("b/x", "2");
    let output = desk.consign(["diff", "a", "b", "--exit-code", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["exit"]), (Some(1), &1.into()));
    assert_eq!(document["result"]["same"], false);
}

#[test]
fn progress_in_json_is_lines_on_standard_error() {
    let desk = Desk::new();
    desk.pack(&example(), "out", "key", &[]);
    let verify = ["verify", "out", "--key", "key.pub", "--progress", "json", "--json"];
    let output = desk.consign(verify).output().unwrap();
    serde_json::from_slice::<Value>(&output.stdout).unwrap();
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}
