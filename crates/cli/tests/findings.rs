//! What pack and seal find in the content, what they say of it, and what is signed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::path::PathBuf;

use bundles::{Noise, descriptor};
use serde_json::{Value, json};
use support::Desk;

/// Something with the shape of a token.
fn token(seed: u64) -> String {
    let mut noise = Noise::new(seed);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let random: String =
        (0..36).map(|_| char::from(alphabet[(noise.next() >> 20) as usize % alphabet.len()])).collect();
    format!("gh{}_{random}", "p")
}

fn password() -> String {
    format!("{}{}", "tr0ub4dor", "&3")
}

/// A directory with a token in a small file, a password in a large one, and a key in a file to be packed.
fn desk() -> (Desk, PathBuf) {
    let desk = Desk::new();
    desk.write("src/consign.yaml", descriptor("trees", "1.0.0"));
    desk.write("src/ci/deploy.sh", format!("#!/bin/sh\nexport T={}\n", token(1)));
    let mut table = "1,2,3\n".repeat(500_000);
    table.insert_str(500_000 * 6, &format!("password: {}\n", password()));
    desk.write("src/table.csv", table);
    desk.write("src/weights.bin", Noise::new(3).bytes(3 << 20));
    desk.key("key");
    // What becomes of findings is the policy's business; here they are only reported.
    fs::create_dir_all(desk.home()).unwrap();
    let policy =
        "format = 1\nname = \"lenient\"\n[[level]]\nname = \"public\"\n[[level]]\nname = \"internal\"\n";
    fs::write(desk.home().join("policy.toml"), policy).unwrap();
    let src = desk.path("src");
    (desk, src)
}

fn counts(findings: &Value) -> Vec<(String, u64)> {
    let found = findings["found"].as_array().unwrap().iter();
    found.map(|f| (f["rule"].as_str().unwrap().to_owned(), f["count"].as_u64().unwrap())).collect()
}

/// The findings in the statement that was signed.
fn signed(desk: &Desk, attestations: &Value) -> Value {
    use std::io::Write as _;
    let line = fs::read_to_string(desk.path(attestations.as_str().unwrap())).unwrap();
    let envelope: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let mut decode = std::process::Command::new("base64")
        .arg("-d")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    decode.stdin.take().unwrap().write_all(envelope["payload"].as_str().unwrap().as_bytes()).unwrap();
    let payload = decode.wait_with_output().unwrap().stdout;
    serde_json::from_slice::<Value>(&payload).unwrap()["predicate"]["findings"].clone()
}

#[test]
fn pack_finds_says_and_signs() {
    let (desk, _) = desk();
    let document = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    let findings = &document["result"]["findings"];
    assert_eq!(
        counts(findings),
        [("code/script".into(), 1), ("secret/github-token".into(), 1), ("secret/password".into(), 1)]
    );
    let place = &findings["found"][1]["examples"][0];
    assert_eq!((&place["path"], &place["line"]), (&json!("ci/deploy.sh"), &json!(2)));
    let place = &findings["found"][2]["examples"][0];
    assert_eq!((&place["path"], &place["line"]), (&json!("table.csv"), &json!(500_001)));
    assert_eq!(signed(&desk, &document["result"]["attestations"]), *findings);
    assert!(!document.to_string().contains(&token(1)[..12]) && !document.to_string().contains(&password()));

    // Packed again, unchanged, with the same findings.
    let again = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    assert_eq!((&again["result"]["status"], &again["result"]["findings"]), (&json!("unchanged"), findings));
    assert_eq!(again["result"]["notes"], json!([]));

    let inspected = desk.json(["inspect", "out"]);
    assert_eq!(inspected["result"]["findings"], *findings);
    assert_eq!(desk.json(["verify", "out", "--key", "key.pub"])["exit"], 0);
}

#[test]
fn there_is_no_way_around_the_scan() {
    let (desk, _) = desk();
    let plain = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    let archive = plain["result"]["archive"]["path"].as_str().unwrap();
    let expected = &plain["result"]["findings"];
    for (out, more) in [
        ("based", &["--base", archive][..]),
        ("resumed", &["--resume"]),
        ("stored", &["--store"]),
        ("one", &["--threads", "1"]),
        ("many", &["--threads", "7"]),
    ] {
        let arguments = [&["pack", "src", "-o", out, "--key", "key"][..], more].concat();
        let document = desk.json(arguments);
        assert_eq!(document["result"]["findings"], *expected, "{out}");
    }
    let sealed = desk.json(["seal", "src", "-o", "sealed", "--key", "key"]);
    assert_eq!(counts(&sealed["result"]["findings"]), counts(expected));
    assert_eq!(signed(&desk, &sealed["result"]["attestations"]), sealed["result"]["findings"]);
    let again = desk.json(["seal", "src", "-o", "sealed", "--key", "key"]);
    assert_eq!(again["result"]["status"], "unchanged");
}

#[test]
fn what_was_found_changes_nothing_of_the_archive() {
    let (desk, src) = desk();
    let first = desk.json(["pack", "src", "-o", "out", "--unsigned"]);
    desk.write("allow.toml", "format = 1\n[[allow]]\nrule = 'code/*'\npath = '**'\nreason = 'known'\n");
    let second = desk.json(["pack", "src", "-o", "other", "--unsigned", "--findings-allow", "allow.toml"]);
    assert_eq!(first["result"]["archive"]["sha256"], second["result"]["archive"]["sha256"]);
    assert!(src.join("ci/deploy.sh").exists());
}

#[test]
fn what_is_allowed_travels_with_its_reason() {
    let (desk, _) = desk();
    desk.write(
        "allow.toml",
        "format = 1\n\n[[allow]]\nrule = \"secret/github-token\"\npath = \"ci/deploy.sh\"\nline = 2\nreason = \"revoked on 2026-01-01\"\n\n\
         [[allow]]\nrule = \"code/*\"\npath = \"gone.txt\"\nreason = \"was there once\"\n",
    );
    let arguments = ["pack", "src", "-o", "out", "--key", "key", "--findings-allow", "allow.toml"];
    let document = desk.json(arguments);
    let findings = &document["result"]["findings"];
    assert_eq!(counts(findings), [("code/script".into(), 1), ("secret/password".into(), 1)]);
    let allowed = json!([{"rule": "secret/github-token", "path": "ci/deploy.sh", "reason": "revoked on 2026-01-01", "count": 1}]);
    assert_eq!(findings["allowed"], allowed);
    assert_eq!(signed(&desk, &document["result"]["attestations"])["allowed"], allowed);
    let note = document["result"]["notes"][0].as_str().unwrap();
    assert!(note.contains("line 9") && note.contains("gone.txt"), "{note}");

    // The archive is what it was; what was signed has another allow-list.
    let again = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    assert_eq!(again["result"]["status"], "unchanged");
    assert!(again["result"]["notes"][0].as_str().unwrap().contains("other findings"), "{again:#}");

    let text = desk.succeed(["inspect", "out"]);
    insta::assert_snapshot!("inspect", text.split("\nfindings").nth(1).unwrap());
    desk.consign(arguments).env("CONSIGN_FINDINGS_ALLOW", "nowhere").assert().success();
    desk.consign(["pack", "src", "-o", "x", "--unsigned"])
        .env("CONSIGN_FINDINGS_ALLOW", "nowhere")
        .assert()
        .code(1);
}

#[test]
fn a_wrong_allow_list_packs_nothing() {
    let (desk, _) = desk();
    desk.write("allow.toml", "format = 1\n[[allow]]\nrule = 'secrets/*'\npath = '**'\nraeson = 'x'\n");
    insta::assert_snapshot!(
        "wrong_allow_list",
        desk.transcript(["pack", "src", "-o", "out", "--unsigned", "--findings-allow", "allow.toml"])
    );
    assert!(!desk.path("out").exists());
}

#[test]
fn people_are_told() {
    let (desk, _) = desk();
    let mut yaml = descriptor("trees", "1.0.0");
    yaml.push_str(&format!("description: >-\n  connect to postgres://ada:{}@db.example.org/x\n", password()));
    desk.write("src/consign.yaml", yaml);
    let text = desk.succeed(["pack", "src", "-o", "out", "--unsigned"]);
    let told: Vec<_> = text.lines().skip_while(|line| !line.contains("found")).take(6).collect();
    insta::assert_snapshot!("pack", told.join("\n"));
    assert!(!text.contains(&password()));
}
