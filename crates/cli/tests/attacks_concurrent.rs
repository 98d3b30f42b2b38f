//! What many processes write at once is all there afterwards.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::process::{Child, Command, Stdio};

use bundles::descriptor;
use consign_signing::{Attestations, Revocations, TrustPolicy};
use support::{Desk, consign};

const MANY: usize = 100;

fn bundle() -> Desk {
    let desk = Desk::new();
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    for n in 0..MANY {
        desk.key(&format!("k{n}"));
    }
    desk
}

fn start(desk: &Desk, words: &[&str]) -> Child {
    Command::new(consign())
        .env_clear()
        .env("CONSIGN_HOME", desk.home())
        .env("CONSIGN_LEDGER", "none")
        .env("HOME", desk.dir())
        .current_dir(desk.dir())
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs one process for each word, some of which are killed, and says which ended well.
fn all_at_once(desk: &Desk, words: impl Fn(usize) -> Vec<String>) -> Vec<usize> {
    let children: Vec<(usize, Child)> = (0..MANY)
        .map(|n| {
            let words = words(n);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            (n, start(desk, &words))
        })
        .collect();
    let mut done = Vec::new();
    for (n, mut child) in children {
        if n % 10 == 9 {
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => done.push(n),
            None => {}
            Some(code) => panic!("{n}: {code}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
    assert!(done.len() >= MANY * 9 / 10, "{}", done.len());
    done
}

fn fingerprint(desk: &Desk, n: usize) -> String {
    let text = desk.read(&format!("k{n}.pub"));
    consign_signing::PublicKey::parse(text.as_bytes()).unwrap().fingerprint().to_string()
}

#[test]
fn attack_a8_a_hundred_signatures_at_once_are_all_there() {
    let desk = bundle();
    let done = all_at_once(&desk, |n| {
        ["sign", "out", "--key", &format!("k{n}"), "--role", "release", "--yes"].map(str::to_owned).to_vec()
    });
    let all = Attestations::parse(desk.read("out/tiny-1.0.0.intoto.jsonl").as_bytes()).unwrap();
    let signers: Vec<String> =
        all.statements().iter().map(|one| one.key().fingerprint().to_string()).collect();
    for n in done {
        assert!(signers.contains(&fingerprint(&desk, n)), "the signature of k{n} is lost");
    }
    // And the bundle is what it was.
    desk.succeed(["verify", "out", "--key", "k.pub"]);
}

#[test]
fn attack_a8_revocations_and_trust_at_once_are_all_there() {
    let desk = bundle();
    let done = all_at_once(&desk, |n| {
        ["revoke", "out", "--key", &format!("k{n}"), "--reason", "wrong"].map(str::to_owned).to_vec()
    });
    let text = desk.read("out/tiny-1.0.0.revocation.intoto.jsonl");
    let all = Revocations::parse(text.as_bytes()).unwrap();
    let signers: Vec<String> =
        all.signed().iter().map(|one| one.revocation().public_key.fingerprint().to_string()).collect();
    for n in done {
        assert!(signers.contains(&fingerprint(&desk, n)), "the revocation of k{n} is lost");
    }
    let done = all_at_once(&desk, |n| {
        let print = fingerprint(&desk, n);
        let (name, file) = (format!("k{n}"), format!("k{n}.pub"));
        ["trust", "add", &name, "--key", &file, "--fingerprint", &print].map(str::to_owned).to_vec()
    });
    let text = std::fs::read_to_string(desk.home().join("trust.toml")).unwrap();
    let trusted = TrustPolicy::parse(&text).unwrap();
    for n in done {
        assert!(
            trusted.keys().iter().any(|key| key.name.as_str() == format!("k{n}")),
            "the trust in k{n} is lost"
        );
    }
}
