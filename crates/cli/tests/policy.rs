//! `consign policy`, `preflight`, `submit`, and what a policy refuses on the way.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;

use serde_json::Value;
use support::Desk;

/// Two levels; the higher asks for a second person, but for no encryption.
const POLICY: &str = r#"
format = 1
name = "ours"

[[findings]]
rule = "secret/*"
action = "deny"

[[level]]
name = "internal"
unknown_parents = "deny"

[[level]]
name = "restricted"
addressees = "required"
recipients = "listed"
destinations = "listed"
signatures = [{ role = "owner" }, { role = "release" }]
fields = { all = ["license"] }
downgrade_by = "board"
unknown_parents = "deny"
overridable = ["fields"]

[[recipient]]
name = "lab"

[[destination]]
name = "drop"
path = "inbox"
recipient = "lab"
"#;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("data/a.csv", "x,y\n1,2\n");
    describe(&desk, "data", "restricted", "license: MIT\n");
    fs::create_dir_all(desk.home()).unwrap();
    fs::write(desk.home().join("policy.toml"), POLICY).unwrap();
    for name in ["ada", "bob", "eve"] {
        desk.key(name);
    }
    for (name, role) in [("ada", "owner"), ("bob", "release"), ("eve", "board")] {
        trust(&desk, name, role);
    }
    desk
}

fn describe(desk: &Desk, folder: &str, classification: &str, more: &str) {
    desk.write(
        &format!("{folder}/consign.yaml"),
        format!(
            "name: small\nversion: 1.0.0\nkind: dataset\nclassification: {classification}\n\
             contact: {{name: Ada, email: ada@example.org}}\n{more}"
        ),
    );
}

/// Lets the signatures of a key count.
fn trust(desk: &Desk, name: &str, role: &str) {
    let public = format!("{name}.pub");
    let card = desk.json(["id", "--key", &public]);
    let fingerprint = card["result"]["fingerprint"].as_str().unwrap().to_owned();
    desk.succeed([
        "trust",
        "add",
        name,
        "--key",
        &public,
        "--fingerprint",
        &fingerprint,
        "--role",
        role,
        "--owner",
        name,
    ]);
}

/// The exit code, and the codes of all problems.
fn verdict(desk: &Desk, arguments: &[&str]) -> (i64, Vec<String>) {
    let document = desk.json(arguments.iter().copied());
    let codes = document["problems"].as_array().unwrap().iter();
    (
        document["exit"].as_i64().unwrap(),
        codes.map(|problem| problem["code"].as_str().unwrap().into()).collect(),
    )
}

fn refused(code: &str) -> (i64, Vec<String>) {
    (5, vec![code.to_owned()])
}

fn done() -> (i64, Vec<String>) {
    (0, Vec::new())
}

const PACK: [&str; 8] = ["pack", "data", "-o", "out", "--key", "ada", "--for", "lab"];

#[test]
fn a_release_needs_two_people_and_each_lack_is_refused() {
    let desk = desk();
    fs::create_dir(desk.path("inbox")).unwrap();
    // Before anything is read: all reasons at once, and nothing is left behind.
    describe(&desk, "data", "restricted", "");
    let codes = ["policy-fields", "policy-addressees"].map(String::from).to_vec();
    assert_eq!(verdict(&desk, &["pack", "data", "-o", "out", "--key", "ada"]), (5, codes));
    assert!(!desk.path("out").exists());
    describe(&desk, "data", "restricted", "license: MIT\n");
    assert_eq!(
        verdict(&desk, &["pack", "data", "-o", "out", "--key", "ada", "--for", "press"]),
        refused("policy-recipients")
    );

    let packed = desk.succeed(PACK);
    assert!(packed.contains("not releasable yet: needs 1 × release by another person"), "{packed}");
    // It is intact and trusted, and yet it may not leave or be taken in.
    assert_eq!(verdict(&desk, &["verify", "out"]), refused("policy-signatures"));
    assert_eq!(verdict(&desk, &["submit", "out", "--to", "drop"]), refused("policy-signatures"));
    assert_eq!(verdict(&desk, &["unpack", "out", "unpacked"]), refused("policy-signatures"));
    assert!(!desk.path("unpacked").exists());
    assert_eq!(fs::read_dir(desk.path("inbox")).unwrap().count(), 0);
    // The same person in another role is no second person, nor is another role the one that is asked for.
    desk.succeed(["sign", "out", "--key", "eve", "--role", "board", "--yes"]);
    assert_eq!(verdict(&desk, &["submit", "out", "--to", "drop"]), refused("policy-signatures"));
    desk.succeed(["sign", "out", "--key", "bob", "--yes"]);
    assert_eq!(
        verdict(&desk, &["submit", "out", "--to", "elsewhere", "--dry-run"]),
        refused("policy-destination")
    );
    assert_eq!(verdict(&desk, &["submit", "out", "--to", "drop", "--dry-run"]), done());
    assert_eq!(fs::read_dir(desk.path("inbox")).unwrap().count(), 0);
    assert_eq!(verdict(&desk, &["submit", "out", "--to", "drop"]), done());
    assert_eq!(verdict(&desk, &["verify", "inbox"]), done());
    assert_eq!(verdict(&desk, &["unpack", "inbox", "unpacked"]), done());
    // The same again changes nothing; something else under the name is never overwritten.
    let again = desk.json(["submit", "out", "--to", "inbox"]);
    assert_eq!(again["result"]["deliveries"][0]["status"], "unchanged");
    desk.write("inbox/small-1.0.0.tar.zst", "something else");
    assert_eq!(verdict(&desk, &["submit", "out", "--to", "drop"]), (1, vec!["taken".into()]));
    assert_eq!(desk.read("inbox/small-1.0.0.tar.zst"), "something else");
    let left: Vec<_> = fs::read_dir(desk.path("inbox")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn what_is_set_aside_is_signed() {
    let desk = desk();
    describe(&desk, "data", "restricted", "");
    let mut pack = PACK.to_vec();
    assert_eq!(verdict(&desk, &pack), refused("policy-fields"));
    pack.extend(["--override", "fields"]);
    assert_eq!(verdict(&desk, &pack).0, 2, "an override without a reason is none");
    pack.extend(["--reason", "the licence is being negotiated"]);
    let packed = desk.json(pack.iter().copied());
    assert_eq!(packed["exit"], 0, "{packed:#}");
    assert_eq!(packed["result"]["handling"]["overridden"][0]["rule"], "fields");
    let payload = statement(&desk, "out/small-1.0.0.intoto.jsonl");
    assert_eq!(payload["predicate"]["overrides"][0]["rule"], "fields");
    assert_eq!(payload["predicate"]["overrides"][0]["reason"], "the licence is being negotiated");
    assert_eq!(payload["predicate"]["addressees"][0], "lab");
    assert!(payload["predicate"]["environment"]["policy"].as_str().unwrap().starts_with("sha256:"));
    // A policy that does not admit it is not bound by it.
    let strict = POLICY.replace("overridable = [\"fields\"]", "").replace("{ role = \"release\" }", "");
    desk.write("strict.toml", strict);
    assert_eq!(verdict(&desk, &["verify", "out", "--policy", "strict.toml"]), refused("policy-fields"));
    desk.write("lenient.toml", POLICY.replace(", { role = \"release\" }", ""));
    assert_eq!(verdict(&desk, &["verify", "out", "--policy", "lenient.toml"]), done());
    // What may not be set aside is not.
    let pack = [
        "pack",
        "data",
        "-o",
        "two",
        "--key",
        "ada",
        "--for",
        "lab",
        "--override",
        "signatures",
        "--reason",
        "x",
    ];
    assert!(verdict(&desk, &pack).1.contains(&"policy-override".to_owned()));
    assert!(!desk.path("two").exists());
}

/// The payload of the first envelope of a file.
fn statement(desk: &Desk, path: &str) -> Value {
    use base64::Engine as _;
    let envelope: Value = serde_json::from_str(desk.read(path).lines().next().unwrap()).unwrap();
    let payload =
        base64::engine::general_purpose::STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn what_derives_from_a_bundle_is_classified_no_lower() {
    let desk = desk();
    desk.succeed(PACK);
    let parent = desk.json(["inspect", "out"])["result"]["bundle"]["id"].as_str().unwrap().to_owned();
    desk.write("derived/b.csv", "1\n");
    describe(&desk, "derived", "internal", &format!("parents: [\"{parent}\"]\n"));
    let pack = ["pack", "derived", "-o", "two", "--key", "ada"];
    assert_eq!(verdict(&desk, &pack), refused("policy-downgrade"), "an unknown parent is no low one");
    let pack = [&pack[..], &["--parent", "out/small-1.0.0.manifest.json"]].concat();
    assert_eq!(verdict(&desk, &pack), refused("policy-downgrade"));
    // The archive says the same as the copy of its manifest.
    let by_archive = ["pack", "derived", "-o", "two", "--key", "ada", "--parent", "out/small-1.0.0.tar.zst"];
    assert_eq!(verdict(&desk, &by_archive), refused("policy-downgrade"));
    let pack = [&pack[..], &["--downgrade", "aggregated over all sites"]].concat();
    let packed = desk.json(pack.iter().copied());
    assert_eq!(packed["exit"], 0, "{packed:#}");
    assert!(packed["result"]["handling"]["pending"].to_string().contains("1 × board"));
    assert_eq!(verdict(&desk, &["verify", "two"]), refused("policy-downgrade"));
    desk.succeed(["sign", "two", "--key", "bob", "--yes"]);
    assert_eq!(verdict(&desk, &["verify", "two"]), refused("policy-downgrade"), "release is not the board");
    desk.succeed(["sign", "two", "--key", "eve", "--role", "board", "--yes"]);
    assert_eq!(verdict(&desk, &["verify", "two"]), done());
    let downgrade = &statement(&desk, "two/small-1.0.0.intoto.jsonl")["predicate"]["downgrades"][0];
    assert_eq!(downgrade["parent"], Value::from(parent));
    assert_eq!(downgrade["from"], "restricted");
}

#[test]
fn a_parent_must_be_one_of_the_descriptors() {
    let desk = desk();
    desk.succeed(PACK);
    describe(&desk, "data", "internal", "");
    let pack = ["pack", "data", "-o", "two", "--key", "ada", "--parent", "out/small-1.0.0.manifest.json"];
    assert_eq!(verdict(&desk, &pack), (2, vec!["not-a-parent".into()]));
}

const LABORATORY: &str = r#"
format = 1
name = "laboratory"
[self]
names = ["lab"]
[[level]]
name = "internal"
[[level]]
name = "restricted"
signatures = [{ role = "owner" }]
[accept]
classifications = ["restricted"]
licenses = ["MIT"]
largest_file = 8
longest_path = 5
fields = { all = ["title"] }
"#;

#[test]
fn sender_and_desk_hear_the_same_of_a_laboratorys_policy() {
    let desk = desk();
    // The desk trusts the owner; the sender's own rules are not its own.
    desk.write("lab.toml", LABORATORY);
    let reasons = |document: &Value| -> Vec<String> {
        let handling = match &document["result"]["laboratories"][0]["handling"] {
            Value::Null => &document["result"]["bundles"][0]["handling"],
            handling => handling,
        };
        let all = handling["refusals"].as_array().unwrap().iter();
        all.map(|reason| format!("{}: {}", reason["rule"], reason["message"])).collect()
    };
    for (more, file, to, expected) in [
        ("license: MIT\ntitle: t\n", "a.csv", "lab", 0),
        ("license: MIT\ntitle: t\n", "a.csv", "press", 1),
        ("license: MIT\n", "a.csv", "lab", 1),
        ("license: GPL-3.0\ntitle: t\n", "long-name.csv", "lab", 2),
        ("license: MIT\ntitle: t\n", "b.bin", "lab", 1),
    ] {
        fs::remove_dir_all(desk.path("data")).unwrap();
        let _ = fs::remove_dir_all(desk.path("out"));
        let content = if file == "b.bin" { "more than eight" } else { "x,y\n1,2\n" };
        desk.write(&format!("data/{file}"), content);
        describe(&desk, "data", "restricted", more);
        // The sender's policy lists no press, so the sender packs without it.
        desk.write("own.toml", POLICY.replace("recipients = \"listed\"\n", ""));
        let own = ["--policy", "own.toml"];
        let foreseen =
            desk.json([&["preflight", "data", "--laboratory", "lab.toml", "--for", to][..], &own].concat());
        desk.succeed([&["pack", "data", "-o", "out", "--key", "ada", "--for", to][..], &own].concat());
        let verified =
            desk.json(["verify", "out", "--policy", "lab.toml", "--key", "ada.pub", "--no-remember"]);
        assert_eq!(reasons(&foreseen).len(), expected, "{foreseen:#}");
        assert_eq!(reasons(&foreseen), reasons(&verified), "{verified:#}");
        let exit = if expected == 0 { 0 } else { 5 };
        assert_eq!((&foreseen["exit"], &verified["exit"]), (&exit.into(), &exit.into()));
    }
}

#[test]
fn a_preflight_writes_nothing_and_tells_all() {
    let desk = desk();
    desk.write("lab.toml", LABORATORY);
    describe(&desk, "data", "restricted", "");
    let before: Vec<_> = fs::read_dir(desk.dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    insta::assert_snapshot!("preflight", desk.transcript(["preflight", "data", "--laboratory", "lab.toml"]));
    let after: Vec<_> = fs::read_dir(desk.dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(before, after);
}

#[test]
fn who_is_not_addressed_does_not_take_it() {
    let desk = desk();
    describe(&desk, "data", "internal", "");
    desk.succeed(PACK);
    let own = |names: &str| format!("{POLICY}\n[self]\nnames = {names}\n");
    desk.write("them.toml", own("[\"lab\", \"lab-b\"]"));
    desk.write("others.toml", own("[\"press\"]"));
    assert_eq!(verdict(&desk, &["verify", "out", "--policy", "them.toml"]), done());
    assert_eq!(
        verdict(&desk, &["verify", "out", "--policy", "others.toml"]),
        refused("policy-not-addressed")
    );
    assert_eq!(
        verdict(&desk, &["unpack", "out", "x", "--policy", "others.toml"]),
        refused("policy-not-addressed")
    );
    let unset = desk.json(["verify", "out"]);
    assert!(unset["result"]["bundles"][0]["handling"]["notes"].to_string().contains("addressee not checked"));
}

#[test]
fn nothing_is_believed_before_its_signature() {
    let desk = desk();
    desk.succeed(PACK);
    // Of a bundle that nobody trusted vouches for, the policy is not asked: 4 comes before 5.
    desk.key("stranger");
    let verified = desk.json(["verify", "out", "--key", "stranger.pub"]);
    assert_eq!(verified["exit"], 4);
    assert_eq!(verified["result"]["bundles"][0]["handling"], Value::Null);
    // A refusal is no success in any field that a script may look at.
    let refused = desk.json(["verify", "out"]);
    assert_eq!(refused["exit"], 5);
    assert_eq!(refused["result"]["bundles"][0]["verified"], false);
    assert_eq!(refused["result"]["bundles"][0]["level"], Value::Null);
}

#[test]
fn a_policy_that_is_wrong_is_no_policy() {
    let desk = desk();
    let wrong = POLICY.replace("\"listed\"", "\"liste\"");
    desk.write("wrong.toml", &wrong);
    insta::assert_snapshot!("wrong_policy", desk.transcript(["policy", "check", "wrong.toml"]));
    for command in [
        &["verify", "data", "--policy", "wrong.toml"][..],
        &["pack", "data", "-o", "out", "--key", "ada", "--policy", "wrong.toml"],
        &["preflight", "data", "--laboratory", "wrong.toml"],
        &["policy", "show", "--policy", "wrong.toml"],
    ] {
        assert_eq!(verdict(&desk, command), (2, vec!["policy-malformed".into()]), "{command:?}");
    }
    assert_eq!(verdict(&desk, &["verify", "data", "--policy", "none.toml"]).0, 1);
    // The configured one is not passed over if it cannot be read.
    fs::write(desk.home().join("policy.toml"), wrong).unwrap();
    assert_eq!(verdict(&desk, &PACK), (2, vec!["policy-malformed".into()]));
    assert!(!desk.path("out").exists());
}

#[test]
fn policies_are_shown_and_explained() {
    let desk = Desk::new();
    let default = desk.succeed(["policy", "show", "--default"]);
    desk.write("policy.toml", &default);
    insta::assert_snapshot!("explained", desk.transcript(["policy", "explain", "restricted"]));
    insta::assert_snapshot!("no_such_level", desk.transcript(["policy", "explain", "secret"]));
    let checked = desk.json(["policy", "check", "policy.toml"]);
    assert_eq!(checked["result"]["levels"].as_array().unwrap().len(), 4);
    let shown = desk.json(["policy", "show"]);
    assert_eq!(shown["result"]["digest"], checked["result"]["digest"]);
    for example in ["three-levels", "laboratory"] {
        let path = format!("{}/../../examples/policies/{example}.toml", env!("CARGO_MANIFEST_DIR"));
        desk.succeed(["policy", "check", &path]);
    }
}

#[test]
fn the_scheme_is_the_policys() {
    let desk = Desk::new();
    desk.key("ada");
    let path = format!("{}/../../examples/policies/three-levels.toml", env!("CARGO_MANIFEST_DIR"));
    desk.write("data/lead.sdf", "a structure\n");
    describe(&desk, "data", "public", "");
    let pack = ["pack", "data", "-o", "out", "--key", "ada", "--policy", &path];
    assert_eq!(verdict(&desk, &pack), refused("policy-category"));
    describe(&desk, "data", "internal", "");
    assert_eq!(verdict(&desk, &pack), (2, vec!["unknown-classification".into()]));
}
