//! The ledger through the program: what is recorded, what is proven, what is found out, and that none of it changes
//! a verdict.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Desk, consign, written_down};

const DESCRIPTOR: &str = "name: alloys
version: 1.0.0
kind: dataset
classification: public
license: CC0-1.0
contact: {name: Ada, email: ada@example.org}
";

/// A desk whose commands record what they do.
struct Recording(Desk);

impl Recording {
    /// With a directory to pack, and Ada's key, which is trusted.
    fn new() -> Self {
        let recording = Self(Desk::recording());
        recording.0.write("data/consign.yaml", DESCRIPTOR);
        recording.0.write("data/table.csv", "1,2\n");
        recording
    }

    fn with_key() -> Self {
        let recording = Self::new();
        recording.run(0, &["keygen", "--no-passphrase", "-o", "ada.key"]);
        let fingerprint = recording.run(0, &["id", "--key", "ada.key.pub"])["result"]["fingerprint"].clone();
        let fingerprint = fingerprint.as_str().unwrap();
        let add = ["trust", "add", "ada", "--key", "ada.key.pub", "--fingerprint", fingerprint];
        recording.run(0, &[&add[..], &["--role", "owner"]].concat());
        recording
    }

    fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = self.0.consign(arguments.iter().copied());
        command.env("CONSIGN_USER", "ada");
        command
    }

    fn run(&self, exit: i32, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", written_down(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn pack(&self, version: &str, out: &str) -> Value {
        self.run(0, &["pack", "data", "-o", out, "--key", "ada.key", "--version", version])
    }

    /// The actions of all events, in order.
    fn actions(&self) -> Vec<String> {
        let listed = self.run(0, &["ledger", "list"]);
        let entries = listed["result"]["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["event"]["action"].as_str().unwrap().to_owned()).collect()
    }

    /// The actions of the events that still have a body.
    fn actions_known(&self) -> Vec<String> {
        let listed = self.run(0, &["ledger", "list"]);
        let entries = listed["result"]["entries"].as_array().unwrap().iter();
        entries.filter_map(|entry| Some(entry["event"]["action"].as_str()?.to_owned())).collect()
    }

    fn size(&self) -> u64 {
        self.run(0, &["ledger", "show"])["result"]["size"].as_u64().unwrap()
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.0.home().join("ledger")
    }
}

/// The code of the first problem.
fn code(document: &Value) -> &str {
    document["problems"][0]["code"].as_str().unwrap_or("none")
}

fn note(document: &Value) -> &str {
    document["notes"][0]["code"].as_str().unwrap_or("none")
}

#[test]
fn everything_of_consequence_is_an_event() {
    let desk = Recording::with_key();
    desk.pack("1.0.0", "out");
    desk.run(0, &["pack", "data", "-o", "out", "--key", "ada.key"]); // unchanged: nothing was done
    desk.run(0, &["inspect", "out/alloys-1.0.0.tar.zst"]);
    desk.run(0, &["verify", "out/alloys-1.0.0.tar.zst"]);
    desk.run(0, &["unpack", "out/alloys-1.0.0.tar.zst", "there"]);
    desk.run(0, &["keygen", "--no-passphrase", "-o", "bob.key"]);
    desk.run(4, &["verify", "out/alloys-1.0.0.tar.zst", "--key", "bob.key.pub"]);
    desk.run(0, &["sign", "out/alloys-1.0.0.tar.zst", "--key", "bob.key", "--yes"]);
    fs::create_dir(desk.0.path("inbox")).unwrap();
    desk.run(0, &["submit", "out/alloys-1.0.0.tar.zst", "--to", "inbox"]);
    desk.run(0, &["revoke", "out/alloys-1.0.0.tar.zst", "--key", "ada.key", "--reason", "wrong rows"]);
    desk.run(4, &["unpack", "out/alloys-1.0.0.tar.zst", "again"]);
    desk.run(0, &["trust", "revoke", "ada", "--reason", "superseded"]);
    fs::copy(desk.0.path("ada.key"), desk.0.path("data/key.pem")).unwrap();
    desk.run(5, &["pack", "data", "-o", "out", "--key", "ada.key", "--version", "2.0.0"]);
    assert_eq!(
        desk.actions(),
        [
            "key_made",
            "trust_changed",
            "packed",
            "verified",
            "unpacked",
            "key_made",
            "not_verified",
            "signed",
            "submitted",
            "bundle_revoked",
            "refused",
            "key_revoked",
            "refused",
        ]
    );
    let packed = desk.run(0, &["ledger", "show", "2"])["result"]["entry"]["event"].clone();
    assert_eq!(packed["user_id"], "ada");
    assert_eq!(packed["service"], "consign");
    assert_eq!(packed["bundle"]["name"], "alloys");
    assert!(packed["archive_sha256"].as_str().unwrap().starts_with("sha256:"));
    let schema = include_str!("../../../schemas/output.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    for arguments in
        [&["ledger", "list"][..], &["ledger", "show"], &["ledger", "verify"], &["ledger", "alerts"]]
    {
        let document = desk.run(0, arguments);
        let faults: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{arguments:?}: {faults:?}");
    }
}

/// A run that was killed after the bundle had its name, and before the ledger heard of it.
#[test]
fn what_a_killed_run_could_not_say_is_said_by_the_next() {
    let desk = Recording::with_key();
    let pack = ["pack", "data", "-o", "out", "--key", "ada.key"];
    desk.run(0, &[&pack[..], &["--ledger", "none"]].concat());
    fs::create_dir(desk.0.path("inbox")).unwrap();
    let submit = ["submit", "out/alloys-1.0.0.tar.zst", "--to", "inbox"];
    desk.run(0, &[&submit[..], &["--ledger", "none"]].concat());
    for _ in 0..2 {
        assert_eq!(desk.run(0, &pack)["result"]["status"], "unchanged");
        assert_eq!(desk.run(0, &submit)["result"]["deliveries"][0]["status"], "unchanged");
    }
    assert_eq!(desk.actions()[2..], ["packed", "submitted"]);
}

#[test]
fn overrides_and_hand_edited_configuration_are_events() {
    let desk = Recording::with_key();
    let policy = desk.0.succeed(["policy", "show", "--default"]);
    fs::write(desk.0.home().join("policy.toml"), &policy).unwrap();
    desk.pack("1.0.0", "out");
    fs::write(desk.0.home().join("policy.toml"), policy + "\n# changed\n").unwrap();
    let trust = fs::read_to_string(desk.0.home().join("trust.toml")).unwrap();
    fs::write(desk.0.home().join("trust.toml"), trust + "\n# changed\n").unwrap();
    desk.pack("1.1.0", "out");
    desk.pack("1.2.0", "out");
    let actions = desk.actions();
    assert_eq!(
        actions[2..],
        ["policy_changed", "packed", "policy_changed", "trust_changed", "packed", "packed"]
    );
}

#[test]
fn a_proof_is_checked_by_others_with_nothing_but_the_key() {
    let desk = Recording::with_key();
    desk.pack("1.0.0", "out");
    desk.run(0, &["ledger", "prove", "2", "-o", "packed.tlog-proof"]);
    fs::copy(desk.ledger().join("checkpoint"), desk.0.path("seen.checkpoint")).unwrap();
    desk.pack("1.1.0", "out");
    desk.run(0, &["ledger", "prove", "--since", "seen.checkpoint", "-o", "grown.tlog-consistency"]);
    desk.run(0, &["ledger", "prove", "2", "--without-event", "-o", "bare.tlog-proof"]);
    fs::copy(desk.0.home().join("keys/ledger.key.pub"), desk.0.path("ledger.pub")).unwrap();
    let other = Recording::new();
    for file in ["packed.tlog-proof", "bare.tlog-proof", "grown.tlog-consistency", "ledger.pub"] {
        fs::copy(desk.0.path(file), other.0.path(file)).unwrap();
    }
    let proven = other.run(0, &["ledger", "check-proof", "packed.tlog-proof", "--key", "ledger.pub"]);
    assert_eq!(proven["result"]["entry"]["event"]["action"], "packed");
    assert_eq!(
        (proven["result"]["size"].as_u64(), proven["result"]["entry"]["index"].as_u64()),
        (Some(3), Some(2))
    );
    let key = desk.run(0, &["ledger", "show"])["result"]["verifier_key"].clone();
    other.run(0, &["ledger", "check-proof", "packed.tlog-proof", "--key", key.as_str().unwrap()]);
    let bare = other.run(0, &["ledger", "check-proof", "bare.tlog-proof", "--key", "ledger.pub"]);
    assert_eq!(bare["result"]["entry"].get("event"), None);
    assert_eq!(bare["result"]["entry"]["sha256"], proven["result"]["entry"]["sha256"]);
    let consistent =
        other.run(0, &["ledger", "check-consistency", "grown.tlog-consistency", "--key", "ledger.pub"]);
    assert_eq!(
        consistent["result"],
        json!({"origin": proven["result"]["origin"], "old_size": 3, "new_size": 4})
    );
    // F10, F11: another key, another event, one bit.
    let foreign = other.run(
        3,
        &["ledger", "check-proof", "packed.tlog-proof", "--key", &{
            other.run(0, &["keygen", "--no-passphrase", "-o", "eve.key"]);
            "eve.key.pub".to_owned()
        }],
    );
    assert_eq!(code(&foreign), "ledger-foreign-checkpoint");
    let text = other.0.read("packed.tlog-proof");
    for (from, to) in [("index 2", "index 1"), ("\n3\n", "\n4\n")] {
        assert!(text.contains(from), "{text}");
        other.0.write("altered.tlog-proof", text.replacen(from, to, 1));
        other.run(3, &["ledger", "check-proof", "altered.tlog-proof", "--key", "ledger.pub"]);
    }
}

#[test]
fn a_ledger_that_was_rolled_back_or_altered_is_found_out() {
    let desk = Recording::with_key();
    desk.pack("1.0.0", "out");
    let copy = desk.0.path("old");
    copy_dir(&desk.ledger(), &copy);
    desk.pack("1.1.0", "out");
    fs::rename(desk.ledger(), desk.0.path("new")).unwrap();
    copy_dir(&copy, &desk.ledger());
    // F8: an older copy was put in its place. It is not written to, and the command does what it does.
    assert_eq!(code(&desk.run(3, &["ledger", "verify"])), "ledger-rolled-back");
    let packed = desk.pack("1.2.0", "out");
    assert_eq!((note(&packed), packed["exit"].as_u64()), ("event-not-recorded", Some(0)));
    assert_eq!(
        fs::read(desk.ledger().join("checkpoint")).unwrap(),
        fs::read(copy.join("checkpoint")).unwrap()
    );
    // Brought back, all is well again.
    fs::remove_dir_all(desk.ledger()).unwrap();
    fs::rename(desk.0.path("new"), desk.ledger()).unwrap();
    desk.run(0, &["ledger", "verify"]);
    let segment = walk(&desk.ledger().join("events")).remove(0);
    let altered = fs::read_to_string(&segment).unwrap().replacen("\"ada\"", "\"eve\"", 1);
    fs::write(&segment, altered).unwrap();
    let found = desk.run(3, &["ledger", "verify"]);
    assert_eq!(code(&found), "ledger-event-altered");
    assert!(found["problems"][0]["message"].as_str().unwrap().starts_with("event 0:"), "{found}");
}

#[test]
fn two_histories_of_a_sender_are_found_out_by_a_recipient() {
    let sender = Recording::with_key();
    sender.pack("1.0.0", "out");
    // The sender keeps two books: one for each recipient.
    let (home, other) = (sender.0.home(), sender.0.path("other-books"));
    copy_dir(&home, &other);
    sender.run(0, &["keygen", "--no-passphrase", "-o", "x.key"]);
    sender.pack("1.1.0", "out");
    for arguments in [
        &["keygen", "--no-passphrase", "-o", "y.key"][..],
        &["pack", "data", "-o", "out", "--key", "ada.key", "--version", "1.2.0"],
    ] {
        let output = sender.command(arguments).env("CONSIGN_HOME", &other).output().unwrap();
        assert!(output.status.success(), "{}", written_down(&output));
    }
    let recipient = sender.0.path("recipient");
    fs::create_dir(&recipient).unwrap();
    fs::copy(home.join("trust.toml"), recipient.join("trust.toml")).unwrap();
    let verify = |archive: &str| {
        let arguments = ["verify", archive, "--json"];
        let output = sender.command(&arguments).env("CONSIGN_HOME", &recipient).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    for version in ["1.0.0", "1.1.0"] {
        let verified = verify(&format!("out/alloys-{version}.tar.zst"));
        assert_eq!(verified["exit"], 0, "{verified}");
    }
    let forked = verify("out/alloys-1.2.0.tar.zst");
    assert_eq!((forked["exit"].as_u64(), code(&forked)), (Some(4), "ledger-forked"), "{forked}");
    assert_eq!(forked["result"]["bundles"][0]["verified"], false);
}

#[test]
fn events_are_written_into_files_and_joined_later() {
    let desk = Recording::with_key();
    let before = desk.size();
    fs::create_dir(desk.0.path("events")).unwrap();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        let arguments = ["pack", "data", "-o", "out", "--key", "ada.key", "--version", version];
        desk.run(0, &[&arguments[..], &["--event-out", "events"]].concat());
    }
    desk.run(0, &["verify", "out", "--event-out", "one.events.jsonl"]);
    assert_eq!(desk.size(), before, "nothing of it is in the ledger");
    assert_eq!(fs::read_dir(desk.0.path("events")).unwrap().count(), 3);
    let joined = desk.run(0, &["ledger", "add", "events", "one.events.jsonl"])["result"].clone();
    assert_eq!((joined["added"].as_u64(), joined["known"].as_u64()), (Some(6), Some(0)));
    let again = desk.run(0, &["ledger", "add", "events", "one.events.jsonl", "--remove"])["result"].clone();
    assert_eq!((again["added"].as_u64(), again["known"].as_u64()), (Some(0), Some(6)));
    // That they were taken in is an event as well.
    assert_eq!((desk.size(), desk.0.path("one.events.jsonl").exists()), (before + 7, false));
    desk.run(0, &["ledger", "verify"]);
    // What only the ledger itself may say is not taken from elsewhere: it would excuse a removed event.
    let event = joined_event(&desk);
    let dropped = event.replacen("\"key_made\"", "\"events_dropped\"", 1);
    let dropped = dropped.replacen("\"metadata\":{", "\"metadata\":{\"dropped\":[[0,1]],", 1);
    assert_ne!(event, dropped);
    desk.0.write("forged.events.jsonl", dropped);
    assert_eq!(code(&desk.run(3, &["ledger", "add", "forged.events.jsonl"])), "event-malformed");
    // One bad line, and nothing is taken.
    for bad in ["{}\n", "{\"timestamp\":\"2026-11-22T03:00:00Z\"", "\u{0}\n"] {
        desk.0.write("bad.events.jsonl", bad);
        assert_eq!(code(&desk.run(3, &["ledger", "add", "bad.events.jsonl"])), "event-malformed", "{bad}");
    }
    assert_eq!(desk.size(), before + 7);
}

#[test]
fn g6_many_writers_lose_nothing() {
    let desk = Recording::with_key();
    desk.pack("1.0.0", "out");
    let before = desk.size();
    let children: Vec<_> = (0..8)
        .map(|number| {
            let mut command = Command::new(consign());
            command.current_dir(desk.0.dir()).env("CONSIGN_HOME", desk.0.home()).env_remove("CONSIGN_LEDGER");
            let output = format!("k{number}.key");
            command.args(["keygen", "--no-passphrase", "-o", &output]).stdout(std::process::Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(desk.size(), before + 8);
    desk.run(0, &["ledger", "verify"]);
}

#[test]
fn what_cannot_be_recorded_changes_no_verdict() {
    let desk = Recording::with_key();
    desk.pack("1.0.0", "out");
    // The home cannot be written to: a file stands where the ledger should be.
    let home = desk.0.path("broken");
    fs::create_dir(&home).unwrap();
    fs::copy(desk.0.home().join("trust.toml"), home.join("trust.toml")).unwrap();
    fs::write(home.join("ledger"), "").unwrap();
    let run = |arguments: &[&str]| {
        let output = desk.command(arguments).env("CONSIGN_HOME", &home).arg("--json").output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let verified = run(&["verify", "out"]);
    assert_eq!((verified["exit"].as_u64(), note(&verified)), (Some(0), "event-not-recorded"));
    assert_eq!(verified["result"]["bundles"][0]["verified"], true);
    let refused = run(&["verify", "out", "--expect", "other@1.0.0"]);
    assert_eq!((refused["exit"].as_u64(), note(&refused)), (Some(4), "event-not-recorded"));
    // Nobody wanted a record.
    let quiet = run(&["verify", "out", "--ledger", "none"]);
    assert_eq!(quiet.get("notes"), None);
    // There is no home at all, and none is made.
    let mut command = desk.command(&["inspect", "out/alloys-1.0.0.tar.zst"]);
    command.env_remove("CONSIGN_HOME").env("HOME", desk.0.path("nowhere"));
    assert!(command.output().unwrap().status.success());
    assert!(!desk.0.path("nowhere").exists());
}

#[test]
fn alerts_are_graded() {
    let desk = Recording::with_key();
    desk.pack("1.0.0", "out");
    desk.run(0, &["keygen", "--no-passphrase", "-o", "eve.key"]);
    desk.run(4, &["verify", "out", "--key", "eve.key.pub"]);
    let archive = desk.0.path("out/alloys-1.0.0.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    bytes[100] ^= 1;
    fs::write(&archive, bytes).unwrap();
    desk.run(3, &["verify", "out"]);
    let alerts = desk.run(0, &["ledger", "alerts", "--severity", "high"])["result"]["alerts"].clone();
    let graded: Vec<_> =
        alerts.as_array().unwrap().iter().map(|alert| alert["severity"].as_str().unwrap()).collect();
    assert_eq!(graded, ["high", "critical"]);
    let from = desk.run(0, &["ledger", "alerts"])["result"]["size"].to_string();
    let later = desk.run(0, &["ledger", "watch", "--from", &from]);
    assert_eq!(later["result"]["alerts"], json!([]));
}

#[test]
fn events_go_to_a_siem_as_json_lines() {
    let desk = Recording::with_key();
    desk.pack("1.0.0", "out");
    let lines = desk.command(&["ledger", "export", "--event", "artifact"]).output().unwrap();
    let text = String::from_utf8(lines.stdout).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1);
    for member in [
        "ledger_index",
        "ledger_origin",
        "timestamp",
        "level",
        "service",
        "event_type",
        "user_id",
        "host",
        "action",
        "metadata",
    ] {
        assert!(events[0].get(member).is_some(), "{member}: {text}");
    }
    desk.run(0, &["ledger", "export", "-o", "all.jsonl"]);
    assert_eq!(desk.0.read("all.jsonl").lines().count() as u64, desk.size());
    assert_eq!(code(&desk.run(2, &["ledger", "export"])), "output-needed");
}

#[test]
fn what_an_append_left_unfinished_is_put_aside_and_said() {
    let desk = Recording::new();
    let key = |desk: &Recording| desk.run(0, &["keygen", "--no-passphrase", "-o", "ada.key"]);
    // Events may be dropped at once here, from the first one on.
    fs::create_dir_all(desk.0.home()).unwrap();
    fs::write(desk.0.home().join("policy.toml"), "format = 1\nname = \"short\"\nlog_days = 0\n").unwrap();
    key(&desk);
    desk.pack("1.0.0", "out");
    let size = desk.size();
    let segment = walk(&desk.ledger().join("events")).remove(0);
    let mut torn = fs::read(&segment).unwrap();
    torn.extend_from_slice(b"{\"timestamp\":\"2026-11-22T03:00:00Z\",\"level\":\"INFO\",\"serv");
    fs::write(&segment, torn).unwrap();
    // Reading goes on as far as was signed, and changes nothing.
    assert_eq!(desk.size(), size);
    let packed = desk.pack("1.1.0", "out");
    assert_eq!((note(&packed), packed["exit"].as_u64()), ("ledger-repaired", Some(0)));
    assert_eq!(packed["events"][0]["index"].as_u64(), Some(size));
    assert_eq!(desk.actions()[usize::try_from(size).unwrap()..], ["packed", "ledger_repaired"]);
    desk.run(0, &["ledger", "verify"]);
    let alerts = desk.run(0, &["ledger", "alerts", "--severity", "critical"]);
    assert_eq!(alerts["result"]["alerts"][0]["entry"]["event"]["action"], "ledger_repaired");
    // Dropping bodies writes too, and says so too.
    let mut torn = fs::read(&segment).unwrap();
    torn.extend_from_slice(b"{");
    fs::write(&segment, torn).unwrap();
    let dropped =
        desk.run(0, &["ledger", "drop", "--until", "2099-01-01", "--reason", "the end of the test"]);
    assert_eq!(note(&dropped), "ledger-repaired");
    assert_eq!(desk.actions_known().last().map(String::as_str), Some("ledger_repaired"));
    desk.run(0, &["ledger", "verify"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_clock_that_goes_back_shows() {
    let desk = Recording::with_key();
    let at = |day: &str, key: &str| {
        let mut command = desk.command(&["keygen", "--no-passphrase", "-o", key]);
        let output = support::under_a_clock(&mut command, day).output().unwrap();
        assert!(output.status.success(), "{}", written_down(&output));
    };
    at("2030-03-01", "a.key");
    at("2030-02-01", "b.key");
    at("2030-04-01", "c.key");
    let verified = desk.run(0, &["ledger", "verify"])["result"].clone();
    assert_eq!(verified["clock_went_back"], json!([3]));
}

#[test]
fn there_is_no_ledger_yet_and_no_such_event() {
    let desk = Recording::new();
    assert_eq!(code(&desk.run(1, &["ledger", "list"])), "no-ledger-key");
    assert!(!desk.0.home().exists(), "looking makes nothing");
    let desk = Recording::with_key();
    assert_eq!(code(&desk.run(1, &["ledger", "show", "99"])), "no-such-event");
    assert_eq!(code(&desk.run(1, &["ledger", "prove", &"ab".repeat(32)])), "no-such-event");
    assert_eq!(desk.run(2, &["ledger", "show", "first"])["command"], "consign");
    assert_eq!(code(&desk.run(1, &["history", "other"])), "no-such-bundle");
    // The ledger's key is gone: nothing is signed with another.
    fs::remove_file(desk.0.home().join("keys/ledger.key")).unwrap();
    let made = desk.run(0, &["keygen", "--no-passphrase", "-o", "b.key"]);
    assert_eq!(note(&made), "event-not-recorded");
}

/// The line of an event that is not in the ledger.
fn joined_event(desk: &Recording) -> String {
    desk.run(0, &["keygen", "--no-passphrase", "-o", "other.key", "--event-out", "other.events.jsonl"]);
    desk.0.read("other.events.jsonl")
}

fn copy_dir(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// All files below a directory, in order.
fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
