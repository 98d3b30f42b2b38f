//! The record tells what happened: how bad it was, who tried to read what, and for how long it is kept. Each test goes by the
//! number of the report that it keeps.
#![cfg(all(unix, feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use bundles::descriptor;
use serde_json::Value;
use support::{Desk, under_a_clock, written_down};

fn recipient(desk: &Desk, name: &str) -> String {
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", name]);
    let text = desk.read(name);
    text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
}

fn fingerprint(desk: &Desk, key: &str) -> String {
    let text = desk.read(&format!("{key}.pub"));
    consign_signing::PublicKey::parse(text.as_bytes()).unwrap().fingerprint().to_string()
}

fn trust(desk: &Desk, name: &str, role: &str) {
    let (file, print) = (format!("{name}.pub"), fingerprint(desk, name));
    desk.succeed(["trust", "add", name, "--key", &file, "--fingerprint", &print, "--role", role]);
}

/// Ada has packed `tiny` in the clear, into `out`.
fn packed() -> Desk {
    let desk = Desk::recording();
    desk.key("ada");
    trust(&desk, "ada", "owner");
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a.bin", "x".repeat(5000));
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada"]);
    desk
}

fn alter(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[40] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn codes(document: &Value) -> Vec<&str> {
    document["problems"].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap()).collect()
}

fn events(desk: &Desk) -> Vec<Value> {
    let text = desk.succeed(["ledger", "export", "--output", "-"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last event, and how it is graded.
fn last_alert(desk: &Desk) -> (String, String, String) {
    let last = events(desk).pop().unwrap();
    let alerts = desk.json(["ledger", "alerts", "--severity", "low"]);
    let alert = alerts["result"]["alerts"].as_array().unwrap().last().cloned().unwrap_or_default();
    assert_eq!(alert["entry"]["event"]["action"], last["action"], "{last:#}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&last["action"]), text(&last["level"]), text(&alert["severity"]))
}

#[test]
fn field_r1_what_was_altered_is_critical_whatever_was_done_with_it() {
    let desk = packed();
    alter(&desk.path("out/tiny-1.0.0.tar.zst"));
    fs::create_dir(desk.path("lab")).unwrap();
    for arguments in [
        &["verify", "out"][..],
        &["unpack", "out", "new"],
        &["sign", "out", "--key", "ada", "--role", "release", "--yes"],
        &[
            "amend",
            "out",
            "-o",
            "new",
            "--version",
            "1.0.1",
            "--key",
            "ada",
            "--descriptor",
            "d/consign.yaml",
        ],
        &["submit", "out", "--to", "lab"],
        &["receive", "out", "--key", "ada"],
        &["encrypt", "out", "-o", "new", "--to", &recipient(&desk, "reader"), "--key", "ada"],
        &["store", "add", "out"],
    ] {
        let output = desk.consign(arguments.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}: {}", arguments.join(" "), written_down(&output));
        let (action, level, severity) = last_alert(&desk);
        assert_eq!((level.as_str(), severity.as_str()), ("ERROR", "critical"), "{arguments:?}: {action}");
    }
}

#[test]
fn field_r1_who_is_not_trusted_is_high_and_what_the_policy_refuses_is_medium() {
    let desk = packed();
    desk.key("eve");
    desk.succeed(["pack", "d", "-o", "eves", "--key", "eve", "--version", "1.0.1", "--no-remember"]);
    let home = desk.dir().parent().unwrap().join("other");
    let own = |arguments: &[&str]| {
        let mut command = desk.consign(arguments.iter().copied());
        command.env("CONSIGN_HOME", &home).output().unwrap()
    };
    let print = fingerprint(&desk, "ada");
    own(&["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &print]);
    fs::create_dir(desk.path("lab")).unwrap();
    for arguments in [&["receive", "eves", "--key", "ada"][..], &["submit", "eves", "--to", "lab"]] {
        let output = own(arguments);
        assert_eq!(output.status.code(), Some(4), "{}", written_down(&output));
        let alerts = own(&["ledger", "alerts", "--json"]);
        let alerts: Value = serde_json::from_slice(&alerts.stdout).unwrap();
        let last = alerts["result"]["alerts"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["severity"], &last["entry"]["event"]["level"]), (&"high".into(), &"WARN".into()));
    }
    // What the own policy does not admit.
    desk.write("d/consign.yaml", descriptor("tiny", "2.0.0").replace("internal", "confidential"));
    let refused = desk.json(["pack", "d", "-o", "out", "--key", "ada"]);
    assert_eq!(refused["exit"], 5, "{refused:#}");
    let (action, level, severity) = last_alert(&desk);
    assert_eq!((action.as_str(), level.as_str(), severity.as_str()), ("refused", "WARN", "medium"));
}

#[test]
fn field_r1_a_laboratory_that_found_something_else_is_critical_at_the_senders() {
    let desk = packed();
    desk.key("lab");
    trust(&desk, "lab", "recipient");
    fs::create_dir(desk.path("in")).unwrap();
    desk.succeed(["submit", "out", "--to", "in"]);
    alter(&desk.path("in/tiny-1.0.0.tar.zst"));
    let received = desk.json(["receive", "in", "--key", "lab", "--ledger", "none"]);
    assert_eq!(received["exit"], 3, "{received:#}");
    let receipt = received["result"]["bundles"][0]["receipt"]["path"].as_str().unwrap().to_owned();
    desk.succeed(["ledger", "add-receipt", &receipt]);
    let (action, level, severity) = last_alert(&desk);
    assert_eq!((action.as_str(), level.as_str(), severity.as_str()), ("receipt_added", "ERROR", "critical"));
}

/// Ada has packed `tiny` for the laboratory.
fn encrypted() -> Desk {
    let desk = Desk::recording();
    desk.key("ada");
    trust(&desk, "ada", "owner");
    let lab = recipient(&desk, "lab");
    recipient(&desk, "outsider");
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada", "--encrypt-to", &lab]);
    desk
}

#[test]
fn field_r5_every_opening_is_an_event_and_every_attempt() {
    let desk = encrypted();
    let before = events(&desk).len();
    fs::create_dir(desk.path("in")).unwrap();
    let attempts = [
        &["inspect", "out"][..],
        &["verify", "out"],
        &["unpack", "out", "new"],
        &["decrypt", "out", "-o", "plain"],
        &["submit", "out", "--to", "in"],
    ];
    for arguments in attempts {
        let arguments = [arguments, &["--identity", "outsider"]].concat();
        assert_ne!(desk.json(arguments.iter().copied())["exit"], 0, "{arguments:?}");
        let last = events(&desk).pop().unwrap();
        assert_eq!((&last["action"], &last["event_type"]), (&"not_opened".into(), &"data_access".into()));
        assert_eq!((&last["metadata"]["step"], &last["level"]), (&arguments[0].into(), &"WARN".into()));
    }
    assert_eq!(events(&desk).len(), before + attempts.len());
    for arguments in attempts {
        let arguments = [arguments, &["--identity", "lab"]].concat();
        desk.succeed(arguments.iter().copied());
        let opened: Vec<_> = events(&desk).into_iter().filter(|event| event["action"] == "opened").collect();
        let last = opened.last().unwrap();
        assert_eq!(
            (&last["metadata"]["step"], &last["bundle"]["name"]),
            (&arguments[0].into(), &"tiny".into())
        );
    }
    let listed = desk.json(["ledger", "list", "--event", "data_access"]);
    let actions: Vec<&str> = listed["result"]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event"]["action"].as_str().unwrap())
        .collect();
    for action in ["not_opened", "opened", "verified", "unpacked", "decrypted"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
}

#[test]
fn field_r5_what_was_made_again_is_an_access() {
    let desk = packed();
    desk.succeed(["store", "add", "out"]);
    desk.succeed(["reconstruct", "tiny@1.0.0", "-o", "again"]);
    let last = events(&desk).pop().unwrap();
    assert_eq!((&last["action"], &last["event_type"]), (&"reconstructed".into(), &"data_access".into()));
}

/// Runs a command on a day.
fn on(desk: &Desk, day: &str, arguments: &[&str]) -> Value {
    let mut command = desk.consign(arguments.iter().copied());
    let output = under_a_clock(command.arg("--json"), day).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", written_down(&output)))
}

fn policy(desk: &Desk, log_days: u32) {
    let text = desk.succeed(["policy", "show", "--default"]);
    let text = text.replacen("name = \"default\"", &format!("name = \"own\"\nlog_days = {log_days}"), 1);
    fs::create_dir_all(desk.home()).unwrap();
    fs::write(desk.home().join("policy.toml"), text).unwrap();
}

const DROP: [&str; 6] = ["ledger", "drop", "--until", "2099-01-01", "--reason", "the test ends"];

#[test]
fn field_r4_events_are_kept_for_as_long_as_the_policy_says() {
    let desk = Desk::recording();
    on(&desk, "2030-01-01", &["keygen", "--no-passphrase", "-o", "ada"]);
    let early = on(&desk, "2030-12-31", &DROP);
    assert_eq!((&early["exit"], &early["result"]["status"]), (&0.into(), &"unchanged".into()), "{early:#}");
    assert_eq!(early["result"]["kept"]["log_days"], 365);
    // No other policy shortens it, and no event escapes by being named.
    policy(&desk, 1);
    fs::rename(desk.home().join("policy.toml"), desk.path("mine.toml")).unwrap();
    let named = [&DROP[..], &["--policy", "mine.toml", "--event", "key_made"]].concat();
    assert_eq!(on(&desk, "2030-12-31", &named)["result"]["status"], "unchanged");
    let late = on(&desk, "2031-01-02", &DROP);
    assert_eq!((&late["exit"], &late["result"]["events"]), (&0.into(), &serde_json::json!([0])), "{late:#}");
    desk.succeed(["ledger", "verify"]);
}

#[test]
fn field_r4_the_days_are_not_lowered_and_used_in_one_breath() {
    let desk = Desk::recording();
    policy(&desk, 400);
    on(&desk, "2030-01-01", &["keygen", "--no-passphrase", "-o", "ada"]);
    on(&desk, "2030-05-30", &["keygen", "--no-passphrase", "-o", "bob"]);
    policy(&desk, 1);
    // The change is recorded before anything is decided by it, also where nothing is dropped.
    let dropped = on(&desk, "2030-06-01", &DROP);
    assert_eq!((&dropped["exit"], &dropped["result"]["status"]), (&0.into(), &"unchanged".into()));
    assert_eq!(dropped["result"]["kept"]["log_days"], 400);
    let changes: Vec<_> =
        events(&desk).into_iter().filter(|event| event["action"] == "policy_changed").collect();
    let said: Vec<_> = changes.iter().map(|event| event["metadata"]["log_days"].as_u64().unwrap()).collect();
    assert_eq!(said, [400, 1]);
    // What is 400 days old is dropped; what is not, is kept for as long as it was to be kept before.
    let some = on(&desk, "2031-03-01", &DROP);
    assert_eq!(
        (&some["result"]["status"], &some["result"]["kept"]["log_days"]),
        (&"dropped".into(), &400.into())
    );
    let made = |desk: &Desk| {
        let all = events(desk).into_iter().filter(|event| event["action"] == "key_made");
        all.map(|event| event["metadata"]["fingerprint"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(made(&desk), [fingerprint(&desk, "bob")]);
    // They are over since they were lowered, too. What says how long events were kept stays all the same.
    let late = on(&desk, "2031-07-10", &DROP);
    assert_eq!(late["result"]["status"], "dropped", "{late:#}");
    let left: Vec<_> = events(&desk).into_iter().map(|event| event["action"].clone()).collect();
    assert!(left.iter().filter(|action| *action == "policy_changed").count() >= 2, "{left:?}");
    assert_eq!(made(&desk), Vec::<Value>::new());
}

#[test]
fn field_r4_a_change_that_the_ledger_never_heard_of_changes_nothing() {
    let desk = Desk::recording();
    policy(&desk, 400);
    on(&desk, "2030-01-01", &["keygen", "--no-passphrase", "-o", "ada"]);
    policy(&desk, 1);
    // What is recorded into a file is not in the ledger.
    on(&desk, "2030-01-03", &["keygen", "--no-passphrase", "-o", "bob", "--event-out", "events.jsonl"]);
    assert!(desk.read("events.jsonl").contains("policy_changed"));
    let dropped = on(&desk, "2030-03-01", &DROP);
    assert_eq!(
        (&dropped["result"]["status"], &dropped["result"]["kept"]["log_days"]),
        (&"unchanged".into(), &400.into())
    );
}

#[test]
fn field_r4_who_had_a_bundle_is_told_for_as_long_as_it_is_kept() {
    let desk = Desk::recording();
    policy(&desk, 1);
    on(&desk, "2030-01-01", &["keygen", "--no-passphrase", "-o", "ada"]);
    let text = descriptor("tiny", "1.0.0") + "handling: {retention: 3 years}\n";
    desk.write("d/consign.yaml", text);
    desk.write("d/a", "x");
    fs::create_dir(desk.path("lab")).unwrap();
    for arguments in [&["pack", "d", "-o", "out", "--key", "ada"][..], &["submit", "out", "--to", "lab"]] {
        let done = on(&desk, "2030-01-02", arguments);
        assert_eq!(done["exit"], 0, "{done:#}");
    }
    let named = [&DROP[..], &["--event", "submitted"]].concat();
    let early = on(&desk, "2032-12-01", &named);
    assert_eq!(
        (&early["result"]["status"], &early["result"]["kept"]["of_bundles"]),
        (&"unchanged".into(), &1.into())
    );
    let expired = ["ledger", "drop", "--expired", "--reason", "retention"];
    let still = on(&desk, "2032-12-01", &expired);
    assert_eq!(still["result"]["status"], "unchanged", "{still:#}");
    // Three years are 1,098 days at the most.
    assert_eq!(on(&desk, "2033-02-01", &named)["result"]["status"], "dropped");
    assert_eq!(on(&desk, "2033-02-01", &expired)["result"]["status"], "dropped");
}

#[test]
fn field_r6_keys_grow_old_without_anybody_stating_their_age() {
    let desk = Desk::recording();
    on(&desk, "2030-01-01", &["keygen", "--no-passphrase", "-o", "ada"]);
    let print = fingerprint(&desk, "ada");
    let add = ["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &print, "--role", "owner"];
    let added = on(&desk, "2030-01-01", &add);
    assert!(added["result"]["key"]["created"].as_str().unwrap().starts_with("2030-01-01"), "{added:#}");
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    let notes = |document: &Value| -> Vec<String> {
        let notes = document["result"]["bundles"][0]["notes"].as_array().cloned().unwrap_or_default();
        notes.iter().map(|note| note["code"].as_str().unwrap().to_owned()).collect()
    };
    on(&desk, "2030-01-02", &["pack", "d", "-o", "out", "--key", "ada"]);
    assert_eq!(notes(&on(&desk, "2030-03-20", &["verify", "out"])), [""; 0]);
    assert_eq!(notes(&on(&desk, "2030-05-01", &["verify", "out"])), ["key-old"]);
    let checked = on(&desk, "2030-05-01", &["trust", "check"]);
    assert_eq!(checked["result"]["warnings"][0]["code"], "key-old", "{checked:#}");
    // One of which nothing says how old it is.
    let file = desk.home().join("trust.toml");
    let text = fs::read_to_string(&file).unwrap();
    let without: Vec<_> = text.lines().filter(|line| !line.starts_with("created")).collect();
    fs::write(&file, without.join("\n") + "\n").unwrap();
    let checked = on(&desk, "2030-05-01", &["trust", "check"]);
    assert_eq!(checked["result"]["warnings"][0]["code"], "key-age-unknown", "{checked:#}");
}

#[test]
fn field_r7_a_level_with_channels_is_not_handed_over_to_a_folder_that_nobody_listed() {
    let desk = Desk::recording();
    desk.key("ada");
    trust(&desk, "ada", "owner");
    let text = desk.succeed(["policy", "show", "--default"]);
    let text = text.replacen("name = \"internal\"", "name = \"internal\"\nchannels = [\"vpn\"]", 1);
    desk.write("listed", "");
    fs::create_dir(desk.path("lab")).unwrap();
    fs::create_dir(desk.path("other")).unwrap();
    let listed = format!(
        "{text}\n[[destination]]\nname = \"lab\"\npath = \"{}\"\nchannel = \"vpn\"\n",
        desk.path("lab").display()
    );
    fs::write(desk.home().join("policy.toml"), listed).unwrap();
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada"]);
    let refused = desk.json(["submit", "out", "--to", "other"]);
    assert_eq!((&refused["exit"], codes(&refused)), (&5.into(), vec!["policy-channel"]), "{refused:#}");
    assert_eq!(fs::read_dir(desk.path("other")).unwrap().count(), 0);
    desk.succeed(["submit", "out", "--to", "lab"]);
}

#[test]
fn field_r8_inspect_shows_who_can_open_it() {
    let desk = encrypted();
    let shown = desk.json(["inspect", "out", "--identity", "lab"]);
    let recipients = shown["result"]["recipients"].as_array().unwrap();
    assert_eq!(recipients.len(), 1, "{shown:#}");
    let key = recipients[0]["recipient"].as_str().unwrap().to_owned();
    assert!(desk.read("lab").contains(&key));
    assert_eq!(recipients[0]["said_by"], serde_json::json!([fingerprint(&desk, "ada")]));
    // By the name that the policy has for them.
    let text = desk.succeed(["policy", "show", "--default"]);
    let listed = format!("{text}\n[[recipient]]\nname = \"CERN\"\nencrypt_to = [\"{key}\"]\n");
    fs::write(desk.home().join("policy.toml"), listed).unwrap();
    let said = desk.succeed(["inspect", "out", "--identity", "lab"]);
    assert!(said.contains(&format!("opened by   {key} (CERN)")), "{said}");
    let outside = desk.succeed(["inspect", "out"]);
    assert!(
        outside.contains("hidden: only its recipients can see it") && !outside.contains(&key),
        "{outside}"
    );
}

/// A key that is made for this test, and a bundle of that level that it lies in.
fn with_a_secret(level: &str) -> Desk {
    let desk = Desk::recording();
    for key in ["ada", "boss", "leaked"] {
        desk.key(key);
    }
    trust(&desk, "ada", "owner");
    trust(&desk, "boss", "release");
    let text = descriptor("tiny", "1.0.0").replace("internal", level)
        + "provenance: {sources: [{uri: \"https://example.org/data\"}]}\n\
           handling: {retention: 1 year}\nmodel_card: {intended_use: tests, limitations: none}\n";
    desk.write("d/consign.yaml", text);
    desk.write("d/test.pem", desk.read("leaked"));
    desk
}

fn allow(desk: &Desk, rule: &str, path: &str, more: &str, reason: &str) -> PathBuf {
    let text = format!(
        "format = 1\n\n[[allow]]\nrule = \"{rule}\"\npath = \"{path}\"\n{more}\nreason = \"{reason}\"\n"
    );
    desk.write("allow.toml", text)
}

const REASON: &str = "a key that the tests make, which opens nothing anywhere";
const PACK: [&str; 8] = ["pack", "d", "-o", "out", "--key", "ada", "--findings-allow", "allow.toml"];

#[test]
fn field_r2_no_pattern_and_no_word_lets_a_secret_pass() {
    let desk = with_a_secret("public");
    assert_eq!(codes(&desk.json(["pack", "d", "-o", "out", "--key", "ada"])), ["policy-secrets"]);
    let digest = consign_metadata::Sha256Digest::of(desk.read("d/test.pem").as_bytes()).hex();
    let file = format!("sha256 = \"{digest}\"");
    for (rule, path, more, reason) in [
        ("secret/*", "test.pem", "line = 1", REASON),
        ("secret/private-key", "**", "line = 1", REASON),
        ("secret/private-key", "*.pem", &file, REASON),
        ("secret/private-key", "test.pem", "", REASON),
        ("secret/private-key", "test.pem", "line = 1", "because"),
        ("secret/private-key", "test.pem", &file, "x y z"),
    ] {
        allow(&desk, rule, path, more, reason);
        let refused = desk.json(PACK);
        assert_eq!(
            (&refused["exit"], codes(&refused)),
            (&2.into(), vec!["allow-too-wide"]),
            "{rule} {path} {more}"
        );
    }
    // Another file than the one that was looked at.
    allow(&desk, "secret/private-key", "test.pem", &format!("sha256 = \"{}\"", "0".repeat(64)), REASON);
    let refused = desk.json(PACK);
    assert_eq!((&refused["exit"], codes(&refused)), (&2.into(), vec!["allow-other-file"]), "{refused:#}");
    assert!(!desk.path("out").exists());
    for more in ["line = 1", &file] {
        allow(&desk, "secret/private-key", "test.pem", more, REASON);
        desk.succeed(PACK);
    }
    // Whoever gets it is told, and so is whoever looks after the record.
    let said = desk.succeed(["verify", "out"]);
    assert!(
        said.contains("secret/private-key in `test.pem` was let pass") && said.contains(REASON),
        "{said}"
    );
    let alerts = desk.json(["ledger", "alerts", "--severity", "medium"]);
    let graded: Vec<_> = alerts["result"]["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| {
            (alert["entry"]["event"]["action"].as_str().unwrap(), alert["severity"].as_str().unwrap())
        })
        .collect();
    assert!(graded.contains(&("secret_allowed", "medium")), "{graded:?}");
    assert!(graded.contains(&("verified", "medium")), "{graded:?}");
    desk.key("desk");
    let received = desk.succeed(["receive", "out", "--key", "desk"]);
    assert!(received.contains("was let pass"), "{received}");
}

#[test]
fn field_r2_from_confidential_on_a_second_role_answers_for_it() {
    let desk = with_a_secret("confidential");
    let lab = recipient(&desk, "lab");
    allow(&desk, "secret/private-key", "test.pem", "line = 1", REASON);
    let more = ["--encrypt-to", &lab, "--for", "laboratory"];
    let packed = desk.json(PACK.into_iter().chain(more));
    assert_eq!(packed["exit"], 0, "{packed:#}");
    let pending = packed["result"]["handling"]["pending"].to_string();
    assert!(pending.contains("needs 1 × release, to answer for the secrets"), "{pending}");
    let text = desk.succeed(["policy", "show", "--default"]);
    fs::create_dir(desk.path("in")).unwrap();
    let listed = format!(
        "{text}\n[[destination]]\nname = \"in\"\npath = \"{}\"\nchannel = \"vpn\"\n",
        desk.path("in").display()
    );
    fs::write(desk.home().join("policy.toml"), listed).unwrap();
    let submit = ["submit", "out", "--to", "in", "--identity", "lab"];
    let refused = desk.json(submit);
    assert_eq!((&refused["exit"], codes(&refused)), (&5.into(), vec!["policy-secrets"]), "{refused:#}");
    desk.succeed(["sign", "out", "--key", "boss", "--role", "release", "--identity", "lab", "--yes"]);
    desk.succeed(submit);
}

#[test]
fn field_r3_the_store_asks_the_policy_before_it_keeps_anything_in_the_clear() {
    let desk = Desk::recording();
    desk.key("ada");
    trust(&desk, "ada", "owner");
    let lab = recipient(&desk, "lab");
    let text = descriptor("tiny", "1.0.0").replace("internal", "confidential")
        + "provenance: {sources: [{uri: \"https://example.org/data\"}]}\n\
           handling: {retention: 1 year}\nmodel_card: {intended_use: tests, limitations: none}\n";
    desk.write("d/consign.yaml", text);
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada", "--encrypt-to", &lab, "--for", "laboratory"]);
    desk.succeed(["decrypt", "out", "--identity", "lab", "-o", "plain"]);
    let refused = desk.json(["store", "add", "plain"]);
    assert_eq!((&refused["exit"], codes(&refused)), (&5.into(), vec!["policy-store"]), "{refused:#}");
    let listed = desk.json(["store", "list"]);
    assert_eq!(listed["result"]["bundles"], serde_json::json!([]), "{listed:#}");
    let text = desk.succeed(["policy", "show", "--default"]);
    let text = text.replacen("name = \"confidential\"", "name = \"confidential\"\nplain_store = \"warn\"", 1);
    fs::write(desk.home().join("policy.toml"), text).unwrap();
    let stored = desk.json(["store", "add", "plain"]);
    assert_eq!(
        (&stored["exit"], &stored["notes"][0]["code"]),
        (&0.into(), &"policy-store".into()),
        "{stored:#}"
    );
}

#[test]
fn field_r3_submit_says_what_nobody_can_make_again() {
    let desk = encrypted();
    fs::create_dir(desk.path("in")).unwrap();
    let submitted = desk.json(["submit", "out", "--to", "in", "--identity", "lab"]);
    assert_eq!(
        (&submitted["exit"], &submitted["result"]["notes"][0]["code"]),
        (&0.into(), &"not-kept".into()),
        "{submitted:#}"
    );
    let plain = packed();
    fs::create_dir(plain.path("in")).unwrap();
    assert!(plain.json(["submit", "out", "--to", "in"])["result"].get("notes").is_none());
}

#[test]
fn attack_a14_only_provenance_that_counts_answers_questions() {
    const COMMIT: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";
    let desk = Desk::recording();
    for key in ["ada", "eve"] {
        desk.key(key);
    }
    let slsa = format!(
        r#"{{"buildDefinition":{{"buildType":"my:x","externalParameters":{{}},"resolvedDependencies":[{{"uri":"git+https://h/x","digest":{{"gitCommit":"{COMMIT}"}}}}]}},"runDetails":{{"builder":{{"id":"my:b"}}}}}}"#
    );
    desk.write("slsa.json", slsa);
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed([
        "pack",
        "d",
        "-o",
        "out",
        "--key",
        "eve",
        "--provenance",
        "slsa.json",
        "--no-remember",
        "--ledger",
        "none",
    ]);
    let file = desk.path("out/tiny-1.0.0.provenance.intoto.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    // The signature is garbage.
    let mut line: Value = serde_json::from_str(&whole).unwrap();
    let signature = line["signatures"][0]["sig"].as_str().unwrap().to_owned();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    line["signatures"][0]["sig"] = format!("{first}{}", &signature[1..]).into();
    let garbage = format!("{line}\n");
    let home = desk.dir().parent().unwrap().join("auditor");
    let asked = |arguments: &[&str]| {
        let mut command = desk.consign(arguments.iter().copied());
        let output = command.env("CONSIGN_HOME", &home).output().unwrap();
        (output.status.code(), written_down(&output))
    };
    for text in [garbage, whole.clone()] {
        fs::write(&file, text).unwrap();
        // In the second round the signature is good, and the key a stranger's.
        for arguments in [
            &["lineage", "out"][..],
            &["lineage", "out", "--dot"],
            &["lineage", "out", "--mermaid"],
            &["lineage", "out", "--json"],
        ] {
            let (exit, said) = asked(arguments);
            assert_eq!(exit, Some(0), "{said}");
            assert!(!said.contains(&COMMIT[..7]) || said.contains("provenance-"), "{said}");
            assert!(
                !said.lines().any(|line| line.contains("by commit") || line.contains("\"commits\": [\n")),
                "{said}"
            );
        }
        let (_, said) = asked(&["lineage", "out", "--json"]);
        let document: Value =
            serde_json::from_str(said.split("stdout\n").nth(1).unwrap().split("---").next().unwrap())
                .unwrap();
        assert_eq!(document["result"]["bundles"][0]["commits"], serde_json::json!([]), "{said}");
    }
    // Whose signature counts is believed, and the bundle is marked as what it says of itself.
    let print = fingerprint(&desk, "eve");
    asked(&["trust", "add", "eve", "--key", "eve.pub", "--fingerprint", &print]);
    let (exit, said) = asked(&["lineage", "out"]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains(&COMMIT[..7]) && said.contains("as it says of itself"), "{said}");
    assert!(asked(&["lineage", "out", "--dot"]).1.contains("style="), "it is marked");
}
