#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]
//! Encrypted bundles: whom a signature is sealed to, and what decrypting says about trust.
#![cfg(all(unix, feature = "encryption"))]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::path::PathBuf;

use bundles::descriptor;
use serde_json::Value;
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

fn attestations(desk: &Desk) -> PathBuf {
    let all = fs::read_dir(desk.path("out")).unwrap().flatten().map(|entry| entry.path());
    all.into_iter().find(|path| path.to_string_lossy().ends_with(".jsonl")).unwrap()
}

fn trust(desk: &Desk, name: &str, role: &str) {
    let (file, print) = (format!("{name}.pub"), fingerprint(desk, name));
    desk.succeed(["trust", "add", name, "--key", &file, "--fingerprint", &print, "--role", role]);
}

/// Bob, who approves.
const SIGN: [&str; 9] =
    ["sign", "out", "--key", "bob", "--role", "release", "--identity", "approver", "--yes"];

fn code(document: &Value) -> (i64, &str) {
    (document["exit"].as_i64().unwrap(), document["problems"][0]["code"].as_str().unwrap_or_default())
}

/// Eve can open it, and adds a statement that names an outsider in the laboratory's place.
fn add_eves(desk: &Desk, approver: &str, outsider: &str) -> (String, String) {
    let file = attestations(desk);
    let honest = fs::read_to_string(&file).unwrap();
    let to = ["--encrypt-to", outsider, "--encrypt-to", approver];
    let sign = ["sign", "out", "--key", "eve", "--identity", "approver", "--yes"];
    // At her own machine: what is signed here is one's own.
    let mut command = desk.consign([&sign[..], &to].concat());
    let output = command.env("CONSIGN_HOME", desk.path("eves")).output().unwrap();
    assert!(output.status.success(), "{}", written_down(&output));
    let eves = fs::read_to_string(&file).unwrap().lines().last().unwrap().to_owned() + "\n";
    (honest, eves)
}

#[test]
fn attack_a7_without_trust_nothing_is_sealed_but_to_those_whom_the_caller_names() {
    let (desk, lab, approver, outsider) = desk();
    let before = fs::read(attestations(&desk)).unwrap();
    let refused = desk.json(SIGN);
    assert_eq!(code(&refused), (4, "recipients-untrusted"), "{refused}");
    let said = refused["problems"][0].to_string();
    assert!(said.contains(&lab) && said.contains(&approver) && said.contains("--encrypt-to"), "{said}");
    assert_eq!(fs::read(attestations(&desk)).unwrap(), before);
    // They are shown before anything is sealed, also to those who then decline.
    let to = ["--encrypt-to", &lab, "--encrypt-to", &approver];
    let output = desk.consign([&SIGN[..8], &to].concat()).output().unwrap();
    let said = written_down(&output);
    assert!(said.contains(&lab) && said.contains("by your own word") && !output.status.success(), "{said}");
    assert_eq!(fs::read(attestations(&desk)).unwrap(), before);
    let signed = desk.json([&SIGN[..], &to].concat());
    let recipients: Vec<_> = signed["result"]["recipients"].as_array().unwrap().iter().collect();
    assert_eq!(recipients, [lab.as_str(), approver.as_str()], "{signed}");
    desk.succeed(["verify", "out", "--key", "ada.pub", "--key", "bob.pub", "--identity", "lab"]);
    assert!(!said.contains(&outsider));
}

#[test]
fn attack_a7_a_signature_is_sealed_to_those_whom_a_trusted_statement_names() {
    let (desk, lab, approver, outsider) = desk();
    let (honest, eves) = add_eves(&desk, &approver, &outsider);
    let file = attestations(&desk);
    trust(&desk, "ada", "owner");
    // Nobody who counts says anything: not even with the confirmation.
    fs::write(&file, &eves).unwrap();
    let refused = desk.json(SIGN);
    assert_eq!(code(&refused), (4, "recipients-untrusted"), "{refused}");
    // Whatever the order of the lines, ada's word counts, and is shown.
    for lines in [eves.clone() + &honest, honest.clone() + &eves] {
        fs::write(&file, &lines).unwrap();
        let output = desk.consign(SIGN).output().unwrap();
        let said = written_down(&output);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains(&lab) && said.contains("whom you trust") && !said.contains(&outsider),
            "{said}"
        );
        let both = ["verify", "out", "--key", "ada.pub", "--key", "bob.pub", "--identity"];
        desk.succeed([&both[..], &["lab"]].concat());
        // The outsider reads the statement that was sealed to them, and neither the archive nor Bob's.
        assert_ne!(
            desk.consign([&both[..], &["outsider"]].concat()).output().unwrap().status.code(),
            Some(0)
        );
    }
    // What the caller says cannot overrule them.
    fs::write(&file, &honest).unwrap();
    let other = desk.json([&SIGN[..], &["--encrypt-to", &outsider]].concat());
    assert_eq!(code(&other), (4, "recipients-disagree"), "{other}");
    assert_eq!(fs::read_to_string(&file).unwrap(), honest);
}

#[test]
fn attack_a7_trust_that_ended_or_is_only_imported_is_asked_like_verify_asks() {
    let (desk, ..) = desk();
    // A key that was trusted once does not say whom to seal to.
    trust(&desk, "ada", "owner");
    desk.succeed(["trust", "revoke", "ada", "--reason", "compromised"]);
    assert_eq!(code(&desk.json(SIGN)), (4, "recipients-untrusted"));
    // Nor does one that is trusted in another role only.
    let other = ["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &fingerprint(&desk, "ada")];
    desk.succeed([&other[..], &["--role", "board", "--trust", "other.toml"]].concat());
    assert_eq!(
        code(&desk.json([&SIGN[..], &["--trust", "other.toml"]].concat())),
        (4, "recipients-untrusted")
    );
    desk.succeed([&other[..], &["--role", "owner", "--trust", "good.toml"]].concat());
    assert_eq!(code(&desk.json([&SIGN[..], &["--trust", "good.toml"]].concat())).0, 0);
}

#[test]
fn attack_a7_trusted_statements_that_disagree_stop_sign_submit_and_receive() {
    let (desk, _, approver, outsider) = desk();
    let (honest, eves) = add_eves(&desk, &approver, &outsider);
    let file = attestations(&desk);
    trust(&desk, "ada", "owner");
    fs::create_dir(desk.path("inbox")).unwrap();
    let submit = ["submit", "out", "--to", "inbox", "--identity", "approver", "--dry-run"];
    let receive = ["receive", "out", "--key", "bob", "--identity", "approver"];
    // As long as Eve does not count, her word about the recipients reaches no policy.
    let policy = format!(
        "\n[[recipient]]\nname = \"lab\"\nencrypt_to = [\"{}\"]\n\n[[recipient]]\nname = \"approver\"\nencrypt_to = [\"{approver}\"]\n\
         \n[[destination]]\nname = \"lab-inbox\"\npath = \"inbox\"\nchannel = \"vpn\"\nrecipient = \"lab\"\n",
        desk.read("lab.pub").trim()
    );
    desk.write("recipients.txt", policy);
    for command in [&submit[..], &receive] {
        let asked = desk.json(command.iter().copied());
        assert_eq!(asked["exit"], 0, "{command:?}: {asked:#}");
    }
    // Two who count and name others: nobody chooses between them.
    trust(&desk, "eve", "release");
    for command in [&submit[..], &receive, &SIGN] {
        let asked = desk.json(command.iter().copied());
        assert_eq!(code(&asked), (4, "recipients-disagree"), "{command:?}: {asked:#}");
    }
    fs::write(&file, honest).unwrap();
    assert_eq!(desk.json(SIGN)["exit"], 0);
    assert!(!eves.is_empty());
}

#[test]
fn attack_a7_a_statement_that_is_sealed_to_others_keeps_nobody_from_opening_it() {
    let (desk, _, approver, outsider) = desk();
    let (honest, eves) = add_eves(&desk, &approver, &outsider);
    for lines in [eves.clone() + &honest, honest.clone() + &eves] {
        fs::write(attestations(&desk), lines).unwrap();
        // The laboratory cannot read Eve's statement; Ada's is enough, and that one was left out is said.
        let verified = desk.json(["verify", "out", "--key", "ada.pub", "--identity", "lab"]);
        assert_eq!(verified["exit"], 0, "{verified:#}");
        assert_eq!(verified["result"]["bundles"][0]["verified"], true);
        assert!(verified.to_string().contains("sealed-to-others"), "{verified:#}");
        // It does not count for anything.
        let both = desk.json(["verify", "out", "--key", "ada.pub", "--key", "eve.pub", "--identity", "lab"]);
        assert_eq!(both["exit"], 4, "{both:#}");
    }
    // Where nothing is sealed to them, they cannot open it at all.
    fs::write(attestations(&desk), eves).unwrap();
    let closed = desk.json(["verify", "out", "--key", "eve.pub", "--identity", "lab"]);
    assert_eq!(code(&closed), (1, "no-identity"), "{closed:#}");
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
    trust(&desk, "ada", "owner");
    // It counts as of a time before the key was superseded, and not now.
    desk.succeed(["trust", "revoke", "ada", "--reason", "superseded", "--at", "2025-01-01T00:00:00Z"]);
    let decrypt = ["decrypt", "out", "-o", "plain", "--identity", "lab"];
    assert_eq!(desk.json(decrypt)["exit"], 4);
    let held = desk.json([&decrypt[..], &["--at", "2024-01-01T00:00:00Z"]].concat());
    assert_eq!((held["exit"].as_i64(), &held["result"]["trusted"]), (Some(0), &false.into()), "{held}");
    assert_eq!(held["result"]["as_of"]["time"], "2024-01-01T00:00:00Z");
    // The event says so too, as that of unpack does, and nothing was remembered.
    let unpack = ["unpack", "out", "tree", "--identity", "lab", "--at", "2024-01-01T00:00:00Z"];
    assert_eq!(desk.json(unpack)["exit"], 0);
    let events = desk.succeed(["ledger", "export", "--output", "-"]);
    for action in ["\"decrypted\"", "\"unpacked\""] {
        let event = events.lines().find(|event| event.contains(action)).unwrap_or_else(|| panic!("{events}"));
        assert!(event.contains("\"trusted\":false") && event.contains("2024-01-01"), "{event}");
    }
    assert!(!desk.home().join("state/verified.jsonl").exists());
}

#[test]
fn attack_a6_what_speaks_against_it_is_never_waived() {
    let (desk, ..) = desk();
    let decrypt =
        ["decrypt", "out", "-o", "plain", "--identity", "lab", "--key", "ada.pub", "--allow-untrusted"];
    // Another bundle was announced, or was seen under the name, or the key was stolen.
    let other = desk.json([&decrypt[..], &["--expect", "tiny@2.0.0"]].concat());
    assert_eq!(code(&other), (4, "not-expected"), "{other}");
    trust(&desk, "ada", "owner");
    desk.succeed(["trust", "revoke", "ada", "--reason", "compromised"]);
    let stolen = desk.json(decrypt);
    assert_eq!(code(&stolen), (4, "key-revoked"), "{stolen}");
    assert!(!desk.path("plain").exists());
}

#[test]
fn attack_a6_what_was_not_opened_is_not_called_verified() {
    let (desk, ..) = desk();
    let outside = desk.json(["verify", "out", "--key", "ada.pub"]);
    let found = &outside["result"]["bundles"][0];
    assert_eq!(
        (outside["exit"].as_i64(), &found["verified"], &found["level"]),
        (Some(0), &false.into(), &"encrypted".into())
    );
    assert_eq!(found["trusted"], true, "{outside:#}");
    let inside = desk.json(["verify", "out", "--key", "ada.pub", "--identity", "lab"]);
    assert_eq!(inside["result"]["bundles"][0]["verified"], true, "{inside:#}");
    let strangers = desk.json(["verify", "out", "--key", "eve.pub"]);
    assert_eq!(
        (strangers["exit"].as_i64(), &strangers["result"]["bundles"][0]["verified"]),
        (Some(4), &false.into())
    );
}
