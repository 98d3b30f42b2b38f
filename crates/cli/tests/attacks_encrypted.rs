//! Encrypted bundles: whom a signature is sealed to, and what decrypting says about trust.
#![cfg(all(unix, feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;

use bundles::descriptor;
use support::{Desk, written_down};

fn recipient(desk: &Desk, name: &str) -> String {
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", name]);
    let text = desk.read(name);
    let line = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    line.to_owned()
}

fn fingerprint(desk: &Desk, key: &str) -> String {
    let text = desk.read(&format!("{key}.pub"));
    consign_signing::PublicKey::parse(text.as_bytes()).unwrap().fingerprint().to_string()
}

/// Ada packs for the laboratory and the approver.
fn desk() -> (Desk, String, String, String) {
    let desk = Desk::recording();
    for key in ["ada", "bob", "eve"] {
        desk.key(key);
    }
    let [lab, approver, outsider] = ["lab", "approver", "outsider"].map(|name| recipient(&desk, name));
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada", "--encrypt-to", &lab, "--encrypt-to", &approver]);
    (desk, lab, approver, outsider)
}

#[test]
fn attack_a7_a_signature_is_sealed_to_those_whom_a_trusted_statement_names() {
    let (desk, lab, _, outsider) = desk();
    let attestations = fs::read_dir(desk.path("out")).unwrap().flatten().map(|entry| entry.path());
    let attestations =
        attestations.into_iter().find(|path| path.to_string_lossy().ends_with(".jsonl")).unwrap();
    let honest = fs::read_to_string(&attestations).unwrap();
    // Eve, who can open it, signs too; her statement names an outsider in the laboratory's place.
    desk.succeed(["sign", "out", "--key", "eve", "--identity", "approver", "--yes"]);
    let eves = fs::read_to_string(&attestations).unwrap().lines().last().unwrap().to_owned();
    // Without any trust, what all agree on is shown before it is signed.
    let output = desk.consign(["sign", "out", "--key", "bob", "--role", "release", "--identity", "approver"]);
    let said = written_down(&{ output }.output().unwrap());
    assert!(said.contains(&lab) && said.contains("not checked against any trust"), "{said}");
    assert!(!said.contains(&outsider), "{said}");
    // With trust in nobody who signed, nothing is sealed to anybody.
    fs::write(&attestations, format!("{eves}\n")).unwrap();
    let print = fingerprint(&desk, "ada");
    desk.succeed(["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &print, "--role", "owner"]);
    let sign = ["sign", "out", "--key", "bob", "--role", "release", "--identity", "approver", "--yes"];
    let refused = desk.json(sign);
    assert_eq!(refused["exit"], 4, "{refused}");
    assert_eq!(refused["problems"][0]["code"], "recipients-untrusted");
    // Eve's line first, Ada's behind it: Ada's word counts.
    fs::write(&attestations, format!("{eves}\n{honest}")).unwrap();
    let signed = desk.json(sign);
    assert_eq!(signed["exit"], 0, "{signed}");
    desk.succeed(["inspect", "out", "--identity", "lab"]);
}

#[test]
fn attack_a6_decrypting_says_no_more_than_unpacking() {
    let (desk, ..) = desk();
    let refused = desk.json(["decrypt", "out", "-o", "plain", "--identity", "lab", "--key", "eve.pub"]);
    assert_eq!(refused["exit"], 4, "{refused}");
    assert!(!desk.path("plain").exists());
    let taken = desk.json([
        "decrypt",
        "out",
        "-o",
        "plain",
        "--identity",
        "lab",
        "--key",
        "eve.pub",
        "--allow-untrusted",
    ]);
    assert_eq!(
        (taken["exit"].as_i64(), taken["result"]["trusted"].as_bool()),
        (Some(0), Some(false)),
        "{taken}"
    );
    let events = desk.succeed(["ledger", "export", "--output", "-"]);
    let decrypted =
        events.lines().find(|event| event.contains("decrypted")).unwrap_or_else(|| panic!("{events}"));
    assert!(decrypted.contains("\"trusted\":false"), "{decrypted}");
    // It is remembered, so that another bundle of that name is noticed.
    let trusted = desk.json(["decrypt", "out", "-o", "plain-2", "--identity", "lab", "--key", "ada.pub"]);
    assert_eq!(trusted["result"]["trusted"], true, "{trusted}");
    desk.write("d/a", "another");
    desk.succeed(["pack", "d", "-o", "other", "--key", "ada"]);
    let noticed = desk.json(["verify", "other", "--key", "ada.pub"]);
    assert_eq!(noticed["exit"], 4, "{noticed}");
}

#[test]
fn attack_a6_an_earlier_time_is_only_the_callers_word() {
    let (desk, ..) = desk();
    let print = fingerprint(&desk, "ada");
    desk.succeed(["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &print, "--role", "owner"]);
    desk.succeed(["trust", "revoke", "ada", "--reason", "superseded"]);
    let at = ["--at", "2020-01-01T00:00:00Z"];
    let held = desk.json(["decrypt", "out", "-o", "plain", "--identity", "lab"].into_iter().chain(at));
    if held["exit"] == 0 {
        assert_eq!(held["result"]["trusted"], false, "{held}");
        assert!(held["result"]["as_of"]["time"].is_string(), "{held}");
    } else {
        assert_eq!(held["exit"], 4, "{held}");
    }
}
