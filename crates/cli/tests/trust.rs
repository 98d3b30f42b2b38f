//! `consign trust`: whose signatures count, and what keeps a wrong key out.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;

use support::Desk;

/// Makes a key and gives its fingerprint.
fn key(desk: &Desk, name: &str) -> String {
    let made = desk.json(["keygen", "--no-passphrase", "-o", name]);
    made["result"]["fingerprint"].as_str().unwrap().to_owned()
}

fn trust_file(desk: &Desk) -> String {
    fs::read_to_string(desk.home().join("trust.toml")).unwrap()
}

#[test]
fn help() {
    let desk = Desk::new();
    let mut transcripts = String::new();
    for command in [&["trust", "--help"][..], &["trust", "add", "--help"], &["trust", "remove", "-h"]] {
        transcripts.push_str(&desk.transcript(command.iter().copied()));
        transcripts.push('\n');
    }
    insta::assert_snapshot!(transcripts);
}

#[test]
fn a_key_is_added_listed_and_removed() {
    let desk = Desk::new();
    let (ada, grace) = (key(&desk, "ada"), key(&desk, "grace"));
    insta::assert_snapshot!("nobody", desk.transcript(["trust", "list"]));
    assert!(!desk.home().exists(), "looking makes nothing");
    let add = ["trust", "add", "ada-2026", "--key", "ada.pub", "--fingerprint", &ada];
    insta::assert_snapshot!("added", desk.transcript(add));
    // The other spelling, as it is read aloud.
    let card = desk.json(["id", "--key", "grace.pub"]);
    let groups = card["result"]["groups"].as_str().unwrap().replace('\n', " ");
    let add =
        ["trust", "add", "grace", "--key", "grace.pub", "--fingerprint", &groups, "--owner", "Grace Hopper"];
    let roles = ["--organization", "Navy", "--role", "owner", "--role", "release"];
    insta::assert_snapshot!("added_with_roles", desk.transcript([&add[..], &roles].concat()));
    insta::assert_snapshot!("listed", desk.transcript(["trust", "list"]));
    insta::assert_snapshot!("trust.toml", trust_file(&desk));
    insta::assert_snapshot!("known_card", desk.transcript(["id", "--key", "grace.pub"]));
    let listed = desk.json(["trust", "list"]);
    assert_eq!(listed["result"]["keys"][1]["fingerprint"], grace);
    assert_eq!(listed["result"]["keys"][1]["roles"], serde_json::json!(["owner", "release"]));
    insta::assert_snapshot!("removed", desk.transcript(["trust", "remove", "ada-2026"]));
    let listed = desk.json(["trust", "list"]);
    assert_eq!(listed["result"]["keys"].as_array().unwrap().len(), 1);
    assert_eq!(listed["result"]["keys"][0]["name"], "grace");
}

#[test]
fn another_file_can_be_named_and_its_comments_stay() {
    let desk = Desk::new();
    let ada = key(&desk, "ada");
    desk.write("lab/trust.toml", "# Kept by the intake desk.\nformat = 1\n");
    let line = desk.json(["id", "--key", "ada.pub"])["result"]["openssh"].as_str().unwrap().to_owned();
    desk.succeed(["trust", "add", "ada", "--key", &line, "--fingerprint", &ada, "--trust", "lab/trust.toml"]);
    assert!(desk.read("lab/trust.toml").starts_with("# Kept by the intake desk.\nformat = 1\n\n[[key]]\n"));
    assert!(desk.succeed(["trust", "--trust", "lab/trust.toml", "list"]).contains(&ada));
    desk.succeed(["trust", "remove", "ada", "--trust", "lab/trust.toml"]);
    assert_eq!(desk.read("lab/trust.toml"), "# Kept by the intake desk.\nformat = 1\n");
    assert!(!desk.home().exists());
    // A new file needs its directory only.
    desk.succeed(["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &ada, "--trust", "new.toml"]);
    assert!(desk.read("new.toml").contains("name = \"ada\""));
}

#[test]
fn a_wrong_fingerprint_changes_nothing() {
    let desk = Desk::new();
    let (ada, grace) = (key(&desk, "ada"), key(&desk, "grace"));
    let add = ["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &grace];
    insta::assert_snapshot!(desk.transcript(add));
    assert!(!desk.home().exists());
    desk.succeed(["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &ada]);
    let before = trust_file(&desk);
    let document = desk.json(["trust", "add", "grace", "--key", "grace.pub", "--fingerprint", &ada]);
    assert_eq!(
        (&document["exit"], &document["problems"][0]["code"]),
        (&4.into(), &"fingerprint-mismatch".into())
    );
    assert_eq!(trust_file(&desk), before);
}

#[test]
fn what_it_refuses() {
    let desk = Desk::new();
    let (ada, grace) = (key(&desk, "ada"), key(&desk, "grace"));
    desk.succeed(["trust", "add", "ada-2026", "--key", "ada.pub", "--fingerprint", &ada]);
    desk.write("bad.toml", "format = 1\n\n[[key]]\nname = \"x\"\nrolls = [\"owner\"]\n");
    let before = trust_file(&desk);
    let add = ["trust", "add", "grace", "--key", "grace.pub", "--fingerprint", &grace];
    let and = |more: &[&'static str]| [&add[..], more].concat();
    let mut transcripts = String::new();
    for arguments in [
        vec!["trust"],
        vec!["trust", "add"],
        vec!["trust", "add", "grace", "--key", "grace.pub"],
        vec!["trust", "add", "grace", "--key", "grace.pub", "--fingerprint", "ba78 16bf"],
        vec!["trust", "add", "grace", "--key", "grace.pub", "--fingerprint", "MD5:00:11"],
        vec!["trust", "add", "grace", "--key", "missing.pub", "--fingerprint", &grace],
        vec!["trust", "add", "grace", "--key", "grace", "--fingerprint", &grace],
        vec!["trust", "add", " grace", "--key", "grace.pub", "--fingerprint", &grace],
        vec!["trust", "add", "ada-2026", "--key", "grace.pub", "--fingerprint", &grace],
        vec!["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &ada],
        and(&["--role", "Owner"]),
        and(&["--role", "owner", "--role", "owner"]),
        and(&["--owner", ""]),
        and(&["--trust", "bad.toml"]),
        and(&["--trust", "none/trust.toml"]),
        vec!["trust", "list", "--trust", "bad.toml"],
        vec!["trust", "list", "--trust", "missing.toml"],
        vec!["trust", "remove"],
        vec!["trust", "remove", "ada-2025"],
        vec!["trust", "remove", "somebody"],
        vec!["trust", "remove", "x", "--trust", "bad.toml"],
    ] {
        let shown = arguments.iter().copied().map(str::to_owned).collect::<Vec<_>>().join(" ");
        transcripts.push_str(&format!("$ consign {shown}\n{}\n", desk.transcript(arguments)));
    }
    insta::assert_snapshot!(transcripts);
    assert_eq!(trust_file(&desk), before);
}

#[test]
fn a25_a_name_may_begin_with_a_dash() {
    let desk = Desk::new();
    let ada = key(&desk, "ada");
    let add = ["trust", "add", "--key", "ada.pub", "--fingerprint", &ada, "--", "--help"];
    desk.succeed(add);
    let document = desk.json(["trust", "add", "--key", "ada.pub", "--fingerprint", &ada, "x"]);
    let hint = document["problems"][0]["hint"].as_str().unwrap();
    assert!(hint.ends_with("consign trust set --owner PERSON -- --help"), "{hint}");
    desk.succeed(["trust", "show", "--", "--help"]);
    desk.succeed(["trust", "remove", "--", "--help"]);
}

#[test]
fn a_malformed_file_is_not_overwritten() {
    let desk = Desk::new();
    let ada = key(&desk, "ada");
    fs::create_dir(desk.home()).unwrap();
    for (text, code) in
        [("format = 2\n", "trust-format"), ("format = ", "trust-syntax"), ("", "missing-field")]
    {
        fs::write(desk.home().join("trust.toml"), text).unwrap();
        let document = desk.json(["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &ada]);
        assert_eq!(
            (&document["exit"], &document["problems"][0]["code"]),
            (&2.into(), &code.into()),
            "{text:?}"
        );
        assert_eq!(trust_file(&desk), text);
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_may_change_the_file() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let desk = Desk::new();
    let (ada, grace) = (key(&desk, "ada"), key(&desk, "grace"));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = desk.home().join("trust.toml");
    let script = format!("umask 000; \"$0\" trust add ada --key ada.pub --fingerprint {ada}");
    desk.program("sh").args(["-c", &script]).arg(support::consign()).assert().success();
    assert_eq!((mode(&desk.home()), mode(&file)), (0o700, 0o644));
    // What is private stays private.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    desk.succeed(["trust", "add", "grace", "--key", "grace.pub", "--fingerprint", &grace]);
    assert_eq!(mode(&file), 0o600);
    // A link, as managers of such files make them, stays one.
    let elsewhere = desk.path("elsewhere.toml");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    desk.succeed(["trust", "remove", "ada"]);
    assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
    assert!(!desk.read("elsewhere.toml").contains("ada"));
    let names: Vec<_> = fs::read_dir(desk.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["trust.toml"], "no temporary file stays");
}

#[test]
fn several_at_once_lose_nothing() {
    let desk = Desk::new();
    let names = ["a", "b", "c", "d", "e", "f"];
    let prints = names.map(|name| key(&desk, name));
    std::thread::scope(|scope| {
        for (name, print) in names.iter().zip(&prints) {
            let public = format!("{name}.pub");
            let desk = &desk;
            scope.spawn(move || {
                desk.consign(["trust", "add", name, "--key", &public, "--fingerprint", print])
                    .assert()
                    .success();
            });
        }
    });
    assert_eq!(desk.json(["trust", "list"])["result"]["keys"].as_array().unwrap().len(), names.len());
}

#[test]
fn without_a_home_a_file_must_be_named() {
    let desk = Desk::new();
    let ada = key(&desk, "ada");
    let add = ["trust", "add", "ada", "--key", "ada.pub", "--fingerprint", &ada, "--trust", "trust.toml"];
    desk.consign(add).env_remove("CONSIGN_HOME").env_remove("HOME").assert().success();
    assert!(desk.read("trust.toml").contains("ada"));
}
