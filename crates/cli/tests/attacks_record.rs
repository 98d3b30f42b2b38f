//! The record says of whom what they said: a receipt answers the hand-over to its signer, and nobody's unsigned word about
//! a receipt is taken.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;

use bundles::descriptor;
use support::Desk;

fn fingerprint(desk: &Desk, key: &str) -> String {
    let text = desk.read(&format!("{key}.pub"));
    consign_signing::PublicKey::parse(text.as_bytes()).unwrap().fingerprint().to_string()
}

fn trust(desk: &Desk, name: &str, role: &str) {
    let print = fingerprint(desk, name);
    desk.succeed([
        "trust",
        "add",
        name,
        "--key",
        &format!("{name}.pub"),
        "--fingerprint",
        &print,
        "--role",
        role,
    ]);
}

#[test]
fn attack_a11_a_receipt_answers_the_submission_to_its_signer() {
    let desk = Desk::recording();
    for key in ["ada", "lab-a", "lab-b", "other"] {
        desk.key(key);
    }
    trust(&desk, "ada", "owner");
    trust(&desk, "lab-b", "recipient");
    trust(&desk, "other", "recipient");
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada"]);
    for lab in ["lab-a", "lab-b"] {
        fs::create_dir(desk.path(lab.trim_end_matches(".pub")).with_extension("in")).unwrap();
        desk.succeed(["submit", "out", "--to", &format!("{lab}.in")]);
    }
    fs::create_dir(desk.path("receipts")).unwrap();
    desk.succeed(["receive", "lab-b.in", "--receipts", "receipts", "--key", "lab-b"]);
    desk.succeed(["receive", "lab-b.in", "--receipts", "receipts", "--key", "other"]);
    let receipts: Vec<String> = fs::read_dir(desk.path("receipts"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .collect();
    assert!(!receipts.is_empty());
    // Folders are no names of recipients: to whom of the two the signer belongs cannot be told.
    for receipt in &receipts {
        let added = desk.json(["ledger", "add-receipt", receipt]);
        assert_eq!(added["exit"], 4, "{added}");
        assert_eq!(added["problems"][0]["code"], "receipt-ambiguous", "{added}");
    }
}

#[test]
fn attack_a11_a_receipt_is_not_taken_from_somebodys_event() {
    let desk = Desk::recording();
    desk.key("ada");
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada"]);
    let events = desk.succeed(["ledger", "export", "--output", "-"]);
    let packed = events.lines().next().unwrap();
    let mut event: serde_json::Value = serde_json::from_str(packed).unwrap();
    let object = event.as_object_mut().unwrap();
    object.remove("ledger_index");
    object.remove("ledger_origin");
    let forged = serde_json::to_string(&event).unwrap().replacen("\"packed\"", "\"receipt_added\"", 1);
    let action = event["action"].as_str().unwrap();
    let forged = forged.replace(&format!("\"action\":\"{action}\""), "\"action\":\"receipt_added\"");
    desk.write("events.jsonl", format!("{forged}\n"));
    let added = desk.json(["ledger", "add", "events.jsonl"]);
    assert_eq!(added["exit"], 3, "{added}");
    let events = desk.succeed(["ledger", "export", "--output", "-"]);
    assert!(!events.contains("receipt_added"), "{events}");
}
