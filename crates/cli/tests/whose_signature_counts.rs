//! Rules, dates, revocations and what was seen before, as the command line has them.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;

use bundles::descriptor;
use serde_json::Value;
use support::Desk;

const SMALL: [&str; 3] = ["tar.zst", "manifest.json", "intoto.jsonl"];

/// A desk with two keys, and a bundle `small` signed by `ada` as owner.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.key("ada");
    desk.key("grace");
    desk.write("source/data.txt", "data\n");
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    desk.pack(&desk.path("source"), "out", "ada", &[]);
    desk
}

fn print(desk: &Desk, key: &str) -> String {
    let card = desk.json(["id", "--key", &format!("{key}.pub")]);
    card["result"]["fingerprint"].as_str().unwrap().to_owned()
}

fn trust(desk: &Desk, name: &str, more: &[&str]) {
    let (public, print) = (format!("{name}.pub"), print(desk, name));
    let add = ["trust", "add", name, "--key", &public, "--fingerprint", &print, "--owner", name];
    desk.succeed([&add[..], more].concat());
}

fn rule(desk: &Desk, text: &str) {
    let path = desk.home().join("trust.toml");
    let old = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{old}\n{text}\n")).unwrap();
}

fn codes(document: &Value) -> Vec<&str> {
    document["problems"].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_codes(desk: &Desk, arguments: &[&str], exit: i64, expected: &[&str]) -> Value {
    let document = desk.json(arguments.iter().copied());
    assert_eq!((document["exit"].as_i64().unwrap(), &codes(&document)[..]), (exit, expected), "{document:#}");
    document
}

#[test]
fn a_rule_is_met_or_missed_by_so_many() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    trust(&desk, "grace", &["--role", "release"]);
    rule(
        &desk,
        "[[rule]]\nbundles = \"sm*\"\nrequire = [{ role = \"owner\" }, { role = \"release\" }]\nowners = 2",
    );
    let document = assert_codes(&desk, &["verify", "out"], 4, &["not-trusted"]);
    let rule = &document["result"]["bundles"][0]["rules"][0];
    assert_eq!(rule["met"], false);
    let missing: Vec<_> = rule["parts"].as_array().unwrap().iter().map(|part| &part["missing"]).collect();
    assert_eq!(missing, [0, 1, 1]);
    insta::assert_snapshot!("missed", desk.transcript(["verify", "out"]));
    desk.succeed(["sign", "out", "--key", "grace", "--role", "release", "--yes"]);
    assert_codes(&desk, &["verify", "out"], 0, &[]);
    insta::assert_snapshot!("met", desk.transcript(["verify", "out"]));
    // A bundle that the rule does not match is asked for one key.
    desk.write("source/consign.yaml", descriptor("other", "1.0.0"));
    desk.pack(&desk.path("source"), "out-2", "ada", &[]);
    assert_codes(&desk, &["verify", "out-2"], 0, &[]);
}

#[test]
fn e19_a_revoked_key_is_told_with_date_and_reason() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    assert_codes(&desk, &["verify", "out", "--no-remember"], 0, &[]);
    let revoke = ["trust", "revoke", "ada", "--reason", "compromised", "--at", "2026-03-01T00:00:00Z"];
    desk.succeed([&revoke[..], &["--note", "laptop stolen"]].concat());
    let document = assert_codes(&desk, &["verify", "out"], 4, &["key-revoked", "not-trusted"]);
    let message = document["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("compromised at 2026-03-01T00:00:00Z (laptop stolen)"), "{message}");
    assert_eq!(document["result"]["bundles"][0]["signatures"][0]["code"], "key-revoked");
    // At no time, by no other way, and not even for those who ask no questions.
    assert_codes(
        &desk,
        &["verify", "out", "--at", "2026-01-01T00:00:00Z"],
        4,
        &["key-revoked", "not-trusted"],
    );
    assert_codes(&desk, &["verify", "out", "--key", "ada.pub"], 4, &["key-revoked", "not-trusted"]);
    assert_codes(&desk, &["unpack", "out", "x", "--allow-untrusted"], 4, &["key-revoked", "not-trusted"]);
    assert!(!desk.path("x").exists());
    // Once is enough; a graver reason takes its place, and never the other way about.
    assert_codes(&desk, &["trust", "revoke", "ada", "--reason", "superseded"], 1, &["trust-revoked-already"]);
    assert_codes(&desk, &["trust", "revoke", "eve", "--reason", "superseded"], 1, &["trust-unknown"]);
}

#[test]
fn an_earlier_time_is_told_to_be_the_callers_word() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    desk.succeed(["trust", "revoke", "ada", "--reason", "superseded", "--at", "2026-06-01T00:00:00Z"]);
    assert_codes(&desk, &["verify", "out"], 4, &["key-revoked", "not-trusted"]);
    let then = ["verify", "out", "--at", "2026-05-01T00:00:00Z"];
    let document = assert_codes(&desk, &then, 0, &[]);
    let bundle = &document["result"]["bundles"][0];
    assert_eq!((&bundle["verified"], &bundle["level"]), (&false.into(), &"asserted-content".into()));
    assert_eq!(bundle["as_of"], serde_json::json!({"time": "2026-05-01T00:00:00Z", "evidence": "none"}));
    let said = desk.succeed(then);
    assert!(
        said.contains("nothing proves that the signature was made by then") && !said.starts_with("VERIFIED"),
        "{said}"
    );
    assert!(!desk.home().join("verified.jsonl").exists(), "it is not remembered as verified");
    let unpacked = assert_codes(&desk, &["unpack", "out", "x", "--at", "2026-05-01T00:00:00Z"], 0, &[]);
    assert_eq!(unpacked["result"]["trusted"], false);
    assert_eq!(unpacked["result"]["as_of"]["evidence"], "none");
    // What holds now as well is verified without anybody's word.
    trust(&desk, "grace", &[]);
    desk.succeed(["sign", "out", "--key", "grace", "--role", "owner", "--yes"]);
    let document = assert_codes(&desk, &then, 0, &[]);
    assert_eq!(document["result"]["bundles"][0]["verified"], true);
    assert_codes(&desk, &["verify", "out", "--at", "2999-01-01T00:00:00Z"], 2, &["time-in-future"]);
}

#[test]
fn dates_limit_a_key_and_old_ones_are_pointed_out() {
    let desk = desk();
    trust(&desk, "ada", &["--created", "2020-01-01T00:00:00Z"]);
    let document = assert_codes(&desk, &["verify", "out"], 0, &[]);
    assert_eq!(document["result"]["bundles"][0]["notes"][0]["code"], "key-old");
    desk.succeed(["trust", "remove", "ada"]);
    trust(&desk, "ada", &["--not-after", "2021-01-01T00:00:00Z"]);
    let document = assert_codes(&desk, &["verify", "out"], 4, &["not-trusted"]);
    assert_eq!(document["result"]["bundles"][0]["signatures"][0]["code"], "key-expired");
    desk.succeed(["trust", "remove", "ada"]);
    trust(&desk, "ada", &["--not-before", "2999-01-01T00:00:00Z"]);
    let document = assert_codes(&desk, &["verify", "out"], 4, &["not-trusted"]);
    assert_eq!(document["result"]["bundles"][0]["signatures"][0]["code"], "key-not-yet-valid");
    let public = print(&desk, "grace");
    let backwards = ["--not-before", "2021-01-02T00:00:00Z", "--not-after", "2021-01-01T00:00:00Z"];
    let add = ["trust", "add", "grace", "--key", "grace.pub", "--fingerprint", &public];
    assert_codes(&desk, &[&add[..], &backwards].concat(), 2, &["trust-dates"]);
}

#[test]
fn an_expired_policy_fails_closed() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    let path = desk.home().join("trust.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("format = 1\n", "format = 1\nexpires = 2021-01-01T00:00:00Z\n", 1))
        .unwrap();
    let document = assert_codes(&desk, &["verify", "out"], 4, &["trust-expired", "not-trusted"]);
    assert_eq!(document["result"]["bundles"][0]["signatures"][0]["code"], "trust-expired");
    assert_codes(&desk, &["trust", "check"], 4, &["trust-expired"]);
    assert_codes(&desk, &["unpack", "out", "x"], 4, &["trust-expired", "not-trusted"]);
}

#[test]
fn a_key_is_rotated() {
    let desk = desk();
    desk.key("new");
    trust(&desk, "ada", &["--role", "owner", "--role", "release", "--organization", "Analytical"]);
    let path = desk.home().join("trust.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[[key]]", "# By telephone.\n[[key]]")).unwrap();
    let new = print(&desk, "new");
    let rotate = ["trust", "rotate", "ada", "--to", "new.pub", "--fingerprint"];
    assert_codes(&desk, &[&rotate[..], &[&print(&desk, "grace")]].concat(), 4, &["fingerprint-mismatch"]);
    let document = assert_codes(&desk, &[&rotate[..], &[&new, "--name", "ada-2"]].concat(), 0, &[]);
    assert_eq!(document["result"]["key"]["roles"], serde_json::json!(["owner", "release"]));
    assert_eq!(document["result"]["key"]["organization"], "Analytical");
    assert_eq!(document["result"]["superseded"]["revoked"]["reason"], "superseded");
    insta::assert_snapshot!("rotated", fs::read_to_string(&path).unwrap());
    assert_codes(&desk, &["verify", "out"], 4, &["key-revoked", "not-trusted"]);
    desk.succeed(["sign", "out", "--key", "new", "--role", "owner", "--yes"]);
    assert_codes(&desk, &["verify", "out"], 0, &[]);
    insta::assert_snapshot!("shown", desk.transcript(["trust", "show", "ada"]));
    assert_codes(&desk, &["trust", "show", "adda"], 1, &["trust-unknown"]);
}

#[test]
fn check_says_what_cannot_be_met_and_what_ends() {
    let desk = desk();
    trust(&desk, "ada", &["--created", "2020-01-01T00:00:00Z"]);
    trust(&desk, "grace", &["--not-after", "2021-01-01T00:00:00Z", "--role", "release"]);
    rule(&desk, "[[rule]]\nbundles = \"*\"\nrequire = [{ role = \"owner\" }, { role = \"release\" }]");
    rule(&desk, "[[rule]]\nbundles = \"x\"\nrequire = [{ role = \"owner\", keys = 1 }]");
    let document = assert_codes(&desk, &["trust", "check"], 0, &[]);
    let warnings = document["result"]["warnings"].as_array().unwrap();
    let found: Vec<_> = warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect();
    assert_eq!(found, ["key-old", "key-expired", "rule-unmeetable"]);
    insta::assert_snapshot!("checked", desk.transcript(["trust", "check", "--key-age", "1000000"]));
    assert_codes(&desk, &["trust", "check", "missing.toml"], 1, &["unreadable"]);
}

/// The vectors of the library, through the command line: exit 2 with the same codes.
#[test]
fn faulty_trust_files_are_refused_wherever_they_are_read() {
    let desk = desk();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../signing/tests/vectors/trust");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let expected: Vec<_> = text.lines().map_while(|line| line.strip_prefix("# expect ")).collect();
        for command in [&["trust", "check"][..], &["verify", "out", "--trust"]] {
            let document = desk.json([command, &[path.to_str().unwrap()]].concat());
            let problems = document["problems"].as_array().unwrap().iter();
            let found: Vec<_> =
                problems.map(|p| format!("{} {}", p["code"].as_str().unwrap(), p["line"])).collect();
            assert_eq!(
                (&document["exit"], &found),
                (&2.into(), &expected.iter().map(ToString::to_string).collect()),
                "{document:#}"
            );
        }
    }
}

#[test]
fn another_bundle_under_the_same_name_is_noticed() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    desk.write("source/data.txt", "other data\n");
    desk.pack(&desk.path("source"), "other", "ada", &[]);
    assert_codes(&desk, &["verify", "out"], 0, &[]);
    assert_codes(&desk, &["verify", "out"], 0, &[]);
    let document = assert_codes(&desk, &["verify", "other"], 4, &["equivocation"]);
    assert_eq!(document["result"]["bundles"][0]["verified"], false);
    assert_codes(&desk, &["unpack", "other", "x"], 4, &["equivocation"]);
    assert_codes(&desk, &["unpack", "other", "x", "--allow-untrusted"], 4, &["equivocation"]);
    assert!(!desk.path("x").exists());
    // Whoever names keys is told too, and the first stays what it was.
    assert_codes(&desk, &["verify", "other", "--key", "ada.pub"], 4, &["equivocation"]);
    assert_codes(&desk, &["verify", "other", "--no-remember"], 4, &["equivocation"]);
    assert_codes(&desk, &["verify", "out"], 0, &[]);
    let memory = desk.home().join("verified.jsonl");
    assert_eq!(fs::read_to_string(&memory).unwrap().lines().count(), 1);
    // A line that a crash cut short is nothing that was remembered.
    let whole = fs::read_to_string(&memory).unwrap();
    fs::write(&memory, format!("{whole}{{\"name\":\"sm")).unwrap();
    assert_codes(&desk, &["verify", "other"], 4, &["equivocation"]);
    desk.write("source/consign.yaml", descriptor("small", "1.0.1"));
    desk.pack(&desk.path("source"), "next", "ada", &[]);
    assert_codes(&desk, &["verify", "next"], 0, &[]);
    assert_eq!(fs::read_to_string(&memory).unwrap().lines().count(), 2);
    assert!(fs::read_to_string(&memory).unwrap().starts_with(&whole));
}

#[test]
fn only_what_held_in_full_is_remembered() {
    let desk = desk();
    let memory = desk.home().join("verified.jsonl");
    assert_codes(&desk, &["verify", "out"], 4, &["not-trusted"]);
    trust(&desk, "ada", &[]);
    assert_codes(&desk, &["verify", "out", "--quick"], 0, &[]);
    assert_codes(&desk, &["verify", "out", "--only", "data.txt"], 0, &[]);
    assert_codes(&desk, &["verify", "out", "--no-remember"], 0, &[]);
    assert!(!memory.exists());
    assert_codes(&desk, &["unpack", "out", "x"], 0, &[]);
    assert!(memory.exists());
}

#[test]
fn several_at_once_remember_one() {
    let desk = desk();
    desk.write("source/data.txt", "other data\n");
    desk.pack(&desk.path("source"), "other", "ada", &[]);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (desk, folder) = (&desk, ["out", "other"][n % 2]);
            scope.spawn(move || desk.consign(["verify", folder, "--key", "ada.pub"]).output().unwrap());
        }
    });
    let text = fs::read_to_string(desk.home().join("verified.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn without_a_place_to_remember_it_is_a_note() {
    let desk = desk();
    desk.write("file", "no directory\n");
    for home in ["nowhere/home", "file/home"] {
        let mut command = desk.consign(["verify", "out", "--key", "ada.pub", "--json"]);
        let output = command.env("CONSIGN_HOME", desk.path(home)).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["exit"], 0, "{document:#}");
        assert_eq!(document["result"]["bundles"][0]["verified"], true);
        assert_eq!(document["result"]["bundles"][0]["notes"][0]["code"], "not-remembered");
    }
    assert!(!desk.path("nowhere").exists());
}

#[test]
fn f5_a_clock_that_went_back_is_noticed() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    assert_codes(&desk, &["verify", "out"], 0, &[]);
    let seen = desk.home().join("last-seen");
    assert!(seen.exists());
    fs::write(&seen, "2999-01-01T00:00:00Z\n").unwrap();
    assert_codes(&desk, &["verify", "out"], 4, &["clock-went-back"]);
    assert_codes(&desk, &["unpack", "out", "x"], 4, &["clock-went-back"]);
    assert_codes(&desk, &["trust", "check"], 4, &["clock-went-back"]);
}

fn revocation(desk: &Desk) -> std::path::PathBuf {
    desk.path("out/small-1.0.0.revocation.intoto.jsonl")
}

#[test]
fn a_bundle_is_taken_back() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    assert_codes(&desk, &["verify", "out"], 0, &[]);
    insta::assert_snapshot!(
        "taken_back",
        desk.transcript(["revoke", "out", "--reason", "the labels were wrong", "--key", "ada"])
    );
    let document = assert_codes(&desk, &["verify", "out"], 4, &["bundle-revoked"]);
    let message = document["problems"][0]["message"].as_str().unwrap();
    assert!(message.contains("ada") && message.contains("the labels were wrong"), "{message}");
    assert_eq!(document["result"]["bundles"][0]["revocations"][0]["authority"], "signer");
    insta::assert_snapshot!("revoked", desk.transcript(["verify", "out"]));
    assert_codes(&desk, &["verify", "out", "--at", "2026-01-01T00:00:00Z"], 4, &["bundle-revoked"]);
    assert_codes(&desk, &["verify", "out", "--key", "ada.pub"], 4, &["bundle-revoked"]);
    assert_codes(&desk, &["unpack", "out", "x"], 4, &["bundle-revoked"]);
    assert_codes(&desk, &["unpack", "out", "x", "--allow-untrusted"], 4, &["bundle-revoked"]);
    assert!(!desk.path("x").exists());
    // It binds once it was seen, also where the file is withheld.
    fs::remove_file(revocation(&desk)).unwrap();
    assert_codes(&desk, &["verify", "out"], 4, &["bundle-revoked"]);
    // Of another bundle it says nothing.
    desk.write("source/consign.yaml", descriptor("small", "1.0.1"));
    desk.pack(&desk.path("source"), "next", "ada", &[]);
    assert_codes(&desk, &["verify", "next"], 0, &[]);
}

#[test]
fn revocations_come_from_a_file_or_a_folder_too() {
    let desk = desk();
    desk.succeed(["revoke", "out", "--reason", "wrong", "--key", "ada"]);
    fs::create_dir(desk.path("lists")).unwrap();
    let moved = desk.path("lists/any.revocation.intoto.jsonl");
    fs::rename(revocation(&desk), &moved).unwrap();
    let verify = ["verify", "out", "--key", "ada.pub", "--no-remember"];
    assert_codes(&desk, &verify, 0, &[]);
    for named in ["lists", "lists/any.revocation.intoto.jsonl"] {
        assert_codes(&desk, &[&verify[..], &["--revocations", named]].concat(), 4, &["bundle-revoked"]);
    }
    assert_codes(&desk, &verify, 0, &[]);
    // The desk may also put it where those are that were seen.
    fs::create_dir_all(desk.home().join("revocations")).unwrap();
    fs::rename(&moved, desk.home().join("revocations/by-hand.revocation.intoto.jsonl")).unwrap();
    assert_codes(&desk, &verify, 4, &["bundle-revoked"]);
}

#[test]
fn a_revocation_by_anybody_is_shown_and_does_not_count() {
    let desk = desk();
    trust(&desk, "ada", &[]);
    desk.succeed(["revoke", "out", "--reason", "a joke", "--key", "grace"]);
    let document = assert_codes(&desk, &["verify", "out"], 0, &[]);
    let bundle = &document["result"]["bundles"][0];
    assert_eq!(bundle["revocations"][0]["code"], "unknown-key");
    assert_eq!(bundle["notes"][0]["code"], "revocation-not-counted");
    assert!(!desk.home().join("revocations").exists());
    // As somebody trusted who did not sign it, it still does not.
    trust(&desk, "grace", &["--role", "owner"]);
    let document = assert_codes(&desk, &["verify", "out"], 0, &[]);
    assert_eq!(document["result"]["bundles"][0]["revocations"][0]["code"], "not-entitled");
    // A revoker may.
    desk.succeed(["trust", "remove", "grace"]);
    trust(&desk, "grace", &["--role", "revoker"]);
    desk.succeed(["revoke", "out", "--reason", "no joke", "--key", "grace", "--role", "revoker"]);
    assert_codes(&desk, &["verify", "out"], 4, &["bundle-revoked"]);
}

#[test]
fn a_revocation_is_no_attestation_and_a_broken_one_is_told() {
    let desk = desk();
    desk.succeed(["revoke", "out", "--reason", "wrong", "--key", "ada"]);
    let line = fs::read_to_string(revocation(&desk)).unwrap();
    assert_codes(&desk, &["inspect", "out"], 0, &[]);
    let verify = ["verify", "out", "--key", "ada.pub", "--no-remember"];
    // E12: in the place of attestations it is another predicate type.
    let attestations = desk.path("out/small-1.0.0.intoto.jsonl");
    let good = fs::read_to_string(&attestations).unwrap();
    fs::write(&attestations, format!("{good}{line}")).unwrap();
    assert_codes(&desk, &["verify", "out/small-1.0.0.tar.zst", "--key", "ada.pub"], 3, &["predicate-type"]);
    fs::write(&attestations, &good).unwrap();
    // A statement about the bundle in the place of a revocation, a cut line, a changed signature.
    let mut altered = line.clone();
    let at = altered.rfind("\"sig\":\"").unwrap() + 8;
    let other = if &altered[at..=at] == "A" { "B" } else { "A" };
    altered.replace_range(at..=at, other);
    for (text, code) in [
        (good.as_str(), "predicate-type"),
        (line.trim_end(), "attestations-cut"),
        ("", "attestations-empty"),
        (&altered, "bad-signature"),
    ] {
        fs::write(revocation(&desk), text).unwrap();
        assert_codes(&desk, &verify, 3, &[code]);
        // By its name it belongs to another bundle; then it is not for this one to say.
        fs::rename(revocation(&desk), desk.path("out/other-1.0.0.revocation.intoto.jsonl")).unwrap();
        assert_codes(&desk, &verify, 0, &[]);
        assert_codes(&desk, &[&verify[..], &["--revocations", "out"]].concat(), 3, &[code]);
        fs::remove_file(desk.path("out/other-1.0.0.revocation.intoto.jsonl")).unwrap();
    }
    assert_eq!(SMALL.map(|end| desk.path(&format!("out/small-1.0.0.{end}")).exists()), [true; 3]);
}
