//! Rows about what people's directories hold: files that run by themselves, content that is not there, names with
//! joiners, and how findings are told.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use bundles::descriptor;
use serde_json::{Value, json};
use support::Desk;

/// A desk with a key and a directory of that classification.
fn desk(classification: &str) -> Desk {
    let desk = Desk::new();
    let mut yaml = descriptor("trees", "1.0.0").replace("internal", classification);
    if classification == "confidential" {
        yaml.push_str("provenance:\n  sources:\n    - uri: https://example.org/x\n");
        yaml.push_str("handling:\n  retention: 90 days\n");
    }
    desk.write("src/consign.yaml", yaml);
    desk.write("src/data.csv", "a,b\n1,2\n");
    desk.key("key");
    desk
}

/// The codes of all problems.
fn codes(document: &Value) -> Vec<&str> {
    document["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect()
}

/// Every rule of a list of findings with how often it was found.
fn counts(findings: &Value) -> Vec<(&str, u64)> {
    let found = findings["found"].as_array().unwrap().iter();
    found.map(|one| (one["rule"].as_str().unwrap(), one["count"].as_u64().unwrap())).collect()
}

#[test]
fn attack_a16_pack_seal_and_amend_refuse_what_runs_by_itself() {
    let desk = desk("internal");
    desk.write("src/.claude/settings.json", "{\"hooks\": {}}");
    desk.write("src/.cargo/config.toml", "[build]\nrustc-wrapper = './x'\n");
    for command in [
        &["preflight", "src"][..],
        &["pack", "src", "-o", "out", "--key", "key"],
        &["seal", "src", "-o", "out", "--key", "key"],
    ] {
        let document = desk.json(command.iter().copied());
        assert_eq!(document["exit"], 5, "{document:#}");
        assert_eq!(codes(&document), ["policy-code"], "{document:#}");
        assert!(document.to_string().contains("code/auto-run"), "{document:#}");
    }
    // Somebody answers for it; it stands in the statement, and a bundle that is amended has it too.
    let aside = ["--override", "code", "--reason", "reviewed"];
    let pack = [&["pack", "src", "-o", "out", "--key", "key"][..], &aside].concat();
    let packed = desk.json(pack);
    assert_eq!(packed["exit"], 0, "{packed:#}");
    assert_eq!(counts(&packed["result"]["findings"]), [("code/auto-run", 2)]);
    let archive = packed["result"]["archive"]["path"].as_str().unwrap();
    let amend =
        ["amend", archive, "-o", "new", "--key", "key", "--set", "description=other", "--version", "1.0.1"];
    let amended = desk.json(amend);
    assert_eq!((&amended["exit"], codes(&amended)), (&json!(5), vec!["policy-code"]), "{amended:#}");
    let amended = desk.json([&amend[..], &aside].concat());
    assert_eq!(amended["exit"], 0, "{amended:#}");
    assert_eq!(counts(&amended["result"]["findings"]), [("code/auto-run", 2)]);
}
