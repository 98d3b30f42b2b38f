//! A restricted model, from its owner past a second person to the laboratory, as `docs/guides/release.md` tells it;
//! and what becomes of it if any single thing is missing.
#![cfg(all(unix, feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Output};

use serde_json::Value;
use support::{Desk, written_down};

const DESCRIPTOR: &str = "name: alloy-model
version: 1.0.0
kind: model
classification: restricted
license: Apache-2.0
description: Predicts the yield strength of an alloy.
contact: {name: Ada, email: ada@example.org}
training: {summary: Fitted once., framework: numpy}
provenance:
  sources: [{uri: \"https://example.org/measurements\"}]
  pipeline: {system: SLURM, run: \"4711\"}
model_card: {intended_use: Screening., limitations: Only steels., risks: Extrapolates badly.}
handling: {retention: 90 days, access: {view: [lab]}, channels: [vpn]}
";

/// An ssh-agent that holds Bob's key.
struct Agent {
    process: Child,
    socket: PathBuf,
    fingerprint: String,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Agent {
    fn start(desk: &Desk) -> Self {
        let socket = desk.path("agent");
        let mut command = std::process::Command::new("ssh-agent");
        let process = command.args(["-D", "-a"]).arg(&socket).stdout(std::process::Stdio::null()).spawn();
        let process = process.expect("this test needs `ssh-agent`");
        for _ in 0..600 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let run = |program: &str, arguments: &[&str]| {
            let output =
                desk.program(program).args(arguments).env("SSH_AUTH_SOCK", &socket).output().unwrap();
            assert!(output.status.success(), "{}", written_down(&output));
        };
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "bob", "-f", "bob"]);
        run("ssh-add", &["-q", "bob"]);
        // From now on only the agent has it.
        fs::remove_file(desk.path("bob")).unwrap();
        let fingerprint = fingerprint(desk, "bob.pub");
        Self { process, socket, fingerprint }
    }
}

fn fingerprint(desk: &Desk, key: &str) -> String {
    desk.json(["id", "--key", key])["result"]["fingerprint"].as_str().unwrap().to_owned()
}

/// Sender and laboratory, each with a home of its own.
struct World {
    desk: Desk,
    agent: Agent,
    laboratory: PathBuf,
}

impl World {
    fn new() -> Self {
        let desk = Desk::new();
        desk.key("ada");
        for name in ["lab.identity", "bob.identity", "stranger.identity"] {
            desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", name]);
        }
        desk.write("model/weights.csv", "1.0,2.0\n");
        desk.write("model/consign.yaml", DESCRIPTOR);
        let agent = Agent::start(&desk);
        let laboratory = desk.path("laboratory");
        for home in [desk.home(), laboratory.clone(), desk.path("inbox")] {
            fs::create_dir_all(home).unwrap();
        }
        let world = Self { desk, agent, laboratory };
        let default = world.desk.succeed(["policy", "show", "--default"]);
        let restricted = "name = \"restricted\"\n";
        assert!(default.contains(restricted));
        let policy = default.replace(restricted, "name = \"restricted\"\nalso_encrypt_to = [\"bob\"]\n");
        let recipient = |name: &str| world.desk.read(&format!("{name}.identity.pub")).trim().to_owned();
        let parties = format!(
            "\n[[recipient]]\nname = \"lab\"\nencrypt_to = [\"{}\"]\nhighest = \"restricted\"\n\
             \n[[recipient]]\nname = \"bob\"\nencrypt_to = [\"{}\"]\n\
             \n[[recipient]]\nname = \"press\"\nencrypt_to = [\"{}\"]\nhighest = \"public\"\n\
             \n[[destination]]\nname = \"lab-inbox\"\npath = \"inbox\"\nchannel = \"vpn\"\nrecipient = \"lab\"\n",
            recipient("lab"),
            recipient("bob"),
            recipient("stranger"),
        );
        fs::write(world.desk.home().join("policy.toml"), policy + &parties).unwrap();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policies/laboratory.toml");
        let accepts = fs::read_to_string(example).unwrap().replace("[\"laboratory\"]", "[\"lab\"]");
        world.desk.write("laboratory.toml", accepts);
        for home in [world.desk.home(), world.laboratory.clone()] {
            for (name, role) in [("ada", "owner"), ("bob", "release")] {
                let key = format!("{name}.pub");
                let fingerprint = fingerprint(&world.desk, &key);
                let add = [
                    "trust",
                    "add",
                    name,
                    "--key",
                    &key,
                    "--fingerprint",
                    &fingerprint,
                    "--role",
                    role,
                    "--owner",
                    name,
                ];
                let output = world.desk.consign(add).env("CONSIGN_HOME", &home).output().unwrap();
                assert!(output.status.success(), "{}", written_down(&output));
            }
        }
        world
    }

    fn run(&self, arguments: &[&str], home: Option<&PathBuf>) -> Output {
        let mut command = self.desk.consign(arguments.iter().copied());
        command.env("SSH_AUTH_SOCK", &self.agent.socket);
        if let Some(home) = home {
            command.env("CONSIGN_HOME", home);
        }
        command.output().unwrap()
    }

    /// Exit code and codes of the problems, at the sender's.
    fn verdict(&self, arguments: &[&str]) -> (i64, Vec<String>) {
        codes(&self.run(&[arguments, &["--json"]].concat(), None))
    }

    /// The same at the laboratory, with its policy.
    fn desk_says(&self, arguments: &[&str]) -> (i64, Vec<String>) {
        let asked = [arguments, &["--policy", "laboratory.toml", "--json"]].concat();
        codes(&self.run(&asked, Some(&self.laboratory)))
    }

    fn sign(&self, role: &str) -> (i64, Vec<String>) {
        let key = format!("ssh-agent:{}", self.agent.fingerprint);
        self.verdict(&["sign", "out", "--role", role, "--identity", "bob.identity", "--key", &key, "--yes"])
    }
}

fn codes(output: &Output) -> (i64, Vec<String>) {
    let document: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", written_down(output)));
    let problems = document["problems"].as_array().unwrap().iter();
    let mut codes: Vec<String> = problems.map(|problem| problem["code"].as_str().unwrap().into()).collect();
    codes.dedup();
    (document["exit"].as_i64().unwrap(), codes)
}

fn refused(code: &str) -> (i64, Vec<String>) {
    (5, vec![code.to_owned()])
}

fn done() -> (i64, Vec<String>) {
    (0, Vec::new())
}

const PACK: [&str; 10] =
    ["pack", "model", "-o", "out", "--key", "ada", "--for", "lab", "--encrypt-to", "lab"];
const SUBMIT: [&str; 6] = ["submit", "out", "--to", "lab-inbox", "--identity", "bob.identity"];

#[test]
fn a_restricted_model_is_released_by_two_people() {
    let world = World::new();
    let foreseen = ["preflight", "model", "--for", "lab", "--encrypt-to", "lab"];
    assert_eq!(world.verdict(&[&foreseen[..], &["--laboratory", "laboratory.toml"]].concat()), done());
    let packed = world.run(&PACK, None);
    assert!(packed.status.success(), "{}", written_down(&packed));
    let text = String::from_utf8_lossy(&packed.stdout).into_owned();
    assert!(text.contains("not releasable yet: needs 1 × release by another person"), "{text}");
    // Nothing of what it is can be seen.
    for entry in fs::read_dir(world.desk.path("out")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("alloy"), "{name}");
    }

    // For want of the second signature it neither leaves nor is accepted.
    assert_eq!(world.verdict(&SUBMIT), refused("policy-signatures"));
    assert_eq!(fs::read_dir(world.desk.path("inbox")).unwrap().count(), 0);
    assert_eq!(
        world.desk_says(&["verify", "out", "--identity", "lab.identity"]),
        refused("policy-signatures")
    );
    assert_eq!(
        world.desk_says(&["unpack", "out", "early", "--identity", "lab.identity"]),
        refused("policy-signatures")
    );
    assert!(!world.desk.path("early").exists());
    // Bob's key in a role that he does not have is no release.
    assert_eq!(world.sign("owner").0, 0);
    assert_eq!(world.verdict(&SUBMIT), refused("policy-signatures"));

    assert_eq!(world.sign("release"), done());
    assert_eq!(world.verdict(&[&SUBMIT[..], &["--dry-run"]].concat()), done());
    assert_eq!(fs::read_dir(world.desk.path("inbox")).unwrap().count(), 0);
    assert_eq!(world.verdict(&SUBMIT), done());
    assert_eq!(fs::read_dir(world.desk.path("inbox")).unwrap().count(), 2);
    assert_eq!(world.verdict(&SUBMIT), done(), "again, it changes nothing");

    // The desk: first without opening it, then with the laboratory's identity.
    assert_eq!(world.desk_says(&["verify", "inbox"]), done());
    assert_eq!(world.desk_says(&["verify", "inbox", "--identity", "lab.identity"]), done());
    assert_eq!(world.desk_says(&["unpack", "inbox", "accepted", "--identity", "lab.identity"]), done());
    assert_eq!(world.desk.read("accepted/weights.csv"), "1.0,2.0\n");

    // Whoever it is not for, or not encrypted to.
    let elsewhere = world.desk.read("laboratory.toml").replace("[\"lab\"]", "[\"another-lab\"]");
    world.desk.write("another.toml", elsewhere);
    let asked = ["verify", "inbox", "--identity", "lab.identity", "--policy", "another.toml", "--json"];
    assert_eq!(codes(&world.run(&asked, Some(&world.laboratory))), refused("policy-not-addressed"));
    assert_eq!(world.desk_says(&["verify", "inbox", "--identity", "stranger.identity"]).0, 1);
    // A laboratory that does not know Bob has one signature, and one is not two.
    let output = world
        .desk
        .consign(["trust", "remove", "bob"])
        .env("CONSIGN_HOME", &world.laboratory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", written_down(&output));
    assert_eq!(
        world.desk_says(&["verify", "inbox", "--identity", "lab.identity"]),
        refused("policy-signatures")
    );
}

#[test]
fn each_thing_that_is_missing_is_refused_before_anything_is_written() {
    let world = World::new();
    let without = |flag: &str| -> Vec<&str> {
        let at = PACK.iter().position(|word| *word == flag).unwrap();
        PACK.iter().enumerate().filter(|(n, _)| *n != at && *n != at + 1).map(|(_, word)| *word).collect()
    };
    assert_eq!(world.verdict(&without("--encrypt-to")), refused("policy-encryption"));
    assert_eq!(world.verdict(&without("--for")), refused("policy-addressees"));
    for (field, code) in [
        ("description: Predicts the yield strength of an alloy.\n", "policy-fields"),
        ("training: {summary: Fitted once., framework: numpy}\n", "policy-fields"),
        (", risks: Extrapolates badly.", "policy-fields"),
        ("retention: 90 days, ", "policy-fields"),
        ("  pipeline: {system: SLURM, run: \"4711\"}\n", "policy-fields"),
    ] {
        assert!(DESCRIPTOR.contains(field), "{field}");
        world.desk.write("model/consign.yaml", DESCRIPTOR.replace(field, ""));
        let (exit, codes) = world.verdict(&PACK);
        assert_eq!((exit, codes.first().map(String::as_str)), (5, Some(code)), "{field}");
    }
    world.desk.write("model/consign.yaml", DESCRIPTOR.replace("90 days", "900 days"));
    assert_eq!(world.verdict(&PACK), refused("policy-retention"));
    world.desk.write("model/consign.yaml", DESCRIPTOR.replace("[vpn]", "[e-mail]"));
    assert_eq!(world.verdict(&PACK), refused("policy-channel"));
    world.desk.write("model/consign.yaml", DESCRIPTOR);
    for (to, code) in [("press", "policy-recipients"), ("nobody", "policy-recipients")] {
        let mut pack = PACK.to_vec();
        pack.extend(["--for", to]);
        assert_eq!(world.verdict(&pack), refused(code), "{to}");
    }
    let mut pack = PACK.to_vec();
    pack.extend(["--encrypt-to", "press"]);
    assert_eq!(world.verdict(&pack), refused("policy-recipients"));
    // What only the content can say: nothing stays of what was packed meanwhile.
    let password = format!("password = \"{}{}\"\n", "hunter2-", "Zx9!kq");
    world.desk.write("model/settings.ini", password);
    assert_eq!(world.verdict(&PACK), refused("policy-secrets"));
    let out = world.desk.path("out");
    assert!(!out.exists() || fs::read_dir(&out).unwrap().count() == 0, "something was left behind");
    // No allow-list reaches a restricted bundle.
    world.desk.write(
        "allow.toml",
        "format = 1\n[[allow]]\nrule = \"secret/password\"\npath = \"settings.ini\"\nline = 1\nreason = \"an example that opens nothing\"\n",
    );
    assert_eq!(
        world.verdict(&[&PACK[..], &["--findings-allow", "allow.toml"]].concat()),
        refused("policy-secrets")
    );
    fs::remove_file(world.desk.path("model/settings.ini")).unwrap();
    assert_eq!(world.verdict(&PACK), done());
    assert_eq!(world.verdict(&["submit", "out", "--to", "elsewhere", "--identity", "bob.identity"]).0, 5);
}
