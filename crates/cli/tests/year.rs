//! A year of submissions, day by day under a clock that the test sets: a dataset and a model trained on it, twelve
//! versions each, three recipients, a key that is lost, a submission that is refused. Then every question of
//! `docs/guides/audit.md` is asked, with one command each, and every submission is made again byte for byte.
#![cfg(all(target_os = "linux", feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Desk, written_down};

const LABORATORIES: [&str; 3] = ["north", "south", "institute"];

/// A version of a bundle and to whom it goes.
struct Submission {
    name: &'static str,
    version: String,
    to: &'static str,
    day: String,
}

/// The sender and the laboratories, each with a home of its own, and a clock.
struct Year {
    desk: Desk,
    clock: std::cell::RefCell<String>,
    submitted: Vec<Submission>,
}

impl Year {
    /// Sets the clock.
    fn on(&self, day: &str) {
        day.clone_into(&mut self.clock.borrow_mut());
    }

    fn output(&self, home: &Path, arguments: &[&str]) -> std::process::Output {
        let mut command = self.desk.consign(arguments.iter().copied());
        command.env("CONSIGN_HOME", home);
        command.env("CONSIGN_USER", "ada");
        support::under_a_clock(&mut command, &self.clock.borrow()).output().unwrap()
    }

    /// Runs a command of the sender, or of a laboratory, with an expected exit code; gives its JSON.
    fn run_in(&self, home: &Path, exit: i32, arguments: &[&str]) -> Value {
        let output = self.output(home, &[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", written_down(&output));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document.get("notes").is_none(), "{arguments:?}: {document:#}");
        document
    }

    fn run(&self, arguments: &[&str]) -> Value {
        self.run_in(&self.desk.home(), 0, arguments)["result"].clone()
    }

    fn laboratory(&self, name: &str) -> PathBuf {
        self.desk.path(&format!("{name}/home"))
    }

    fn fingerprint(&self, key: &str) -> String {
        self.desk.json(["id", "--key", key])["result"]["fingerprint"].as_str().unwrap().to_owned()
    }

    /// Lists a key in somebody's trust.
    fn trust(&self, home: &Path, name: &str, key: &str, role: &str) {
        let fingerprint = self.fingerprint(key);
        let add = ["trust", "add", name, "--key", key, "--fingerprint", &fingerprint, "--role", role];
        self.run_in(home, 0, &[&add[..], &["--owner", name]].concat());
    }

    fn begin() -> Self {
        let year =
            Self { desk: Desk::recording(), clock: "2026-01-02".to_owned().into(), submitted: Vec::new() };
        fs::create_dir_all(year.desk.home()).unwrap();
        // From the first event on: fewer days than before would count only later.
        let days = "format = 1\nname = \"days\"\nlog_days = 180\n";
        fs::write(year.desk.home().join("policy.toml"), days).unwrap();
        let homes: Vec<_> = LABORATORIES.iter().map(|name| year.laboratory(name)).collect();
        for key in ["ada", "bob", "north", "south", "institute"] {
            year.run(&["keygen", "--no-passphrase", "-o", &format!("{key}.key")]);
        }
        for home in homes.iter().chain([&year.desk.home()]) {
            fs::create_dir_all(home).unwrap();
            year.trust(home, "ada", "ada.key.pub", "owner");
            year.trust(home, "bob", "bob.key.pub", "release");
        }
        let mut policy = year.desk.succeed(["policy", "show", "--default"]);
        // What is internal goes out with two signatures, and events about it are kept for half a year.
        let internal = "name = \"internal\"\n";
        assert!(policy.contains(internal));
        let demand = "signatures = [{ role = \"owner\" }, { role = \"release\" }]\nretention_days = 180\n";
        policy = policy.replace(internal, &format!("{internal}{demand}"));
        policy = policy.replacen("name = \"default\"\n", "name = \"default\"\nlog_days = 180\n", 1);
        for name in LABORATORIES {
            year.trust(&year.desk.home(), name, &format!("{name}.key.pub"), "recipient");
            fs::create_dir_all(year.desk.path(&format!("{name}/inbox"))).unwrap();
            policy += &format!(
                "\n[[recipient]]\nname = \"{name}\"\n\n[[destination]]\nname = \"{name}\"\npath = \"{name}/inbox\"\n\
                 channel = \"vpn\"\nrecipient = \"{name}\"\n"
            );
        }
        fs::write(year.desk.home().join("policy.toml"), policy).unwrap();
        year
    }

    /// Packs a version, with its second signature unless the release is to be refused.
    fn release(&self, name: &str, version: &str, parents: &[String], bundles: &[String], run: u32) {
        let list: Vec<_> = parents.iter().map(|id| format!("\"{id}\"")).collect();
        let kind = if name == "alloys" { "dataset" } else { "model" };
        let descriptor = format!(
            "name: {name}\nversion: {version}\nkind: {kind}\nclassification: internal\nlicense: Apache-2.0\n\
             description: Measurements of alloys, and what was learnt from them.\n\
             contact: {{name: Ada, email: ada@example.org}}\nparents: [{}]\n\
             handling: {{retention: 90 days}}\n\
             provenance:\n  sources: [{{uri: \"https://example.org/measurements\"}}]\n  \
             pipeline: {{system: SLURM, id: fit, run: \"{run}\", commit: \"{run:040x}\"}}\n",
            list.join(", ")
        );
        self.desk.write(&format!("{name}/consign.yaml"), descriptor);
        let mut pack = vec!["pack", name, "-o", "out", "--key", "ada.key", "--keep", "--provenance", "auto"];
        for bundle in bundles {
            pack.extend(["--parent", bundle]);
        }
        self.run(&pack);
    }

    fn submit(&mut self, name: &'static str, version: &str, to: &'static str, day: &str) {
        let archive = format!("out/{name}-{version}.tar.zst");
        self.run(&["sign", &archive, "--key", "bob.key", "--role", "release", "--yes"]);
        self.run(&["submit", &archive, "--to", to]);
        self.submitted.push(Submission { name, version: version.into(), to, day: day.into() });
        // The laboratory takes it in and answers.
        let inbox = format!("{to}/inbox/{name}-{version}.tar.zst");
        let key = format!("{to}.key");
        let receipts = format!("{to}/receipts");
        fs::create_dir_all(self.desk.path(&receipts)).unwrap();
        let home = self.laboratory(to);
        self.run_in(&home, 0, &["receive", &inbox, "--key", &key, "--receipts", &receipts]);
        let receipt = format!("{receipts}/{name}-{version}.receipt.intoto.jsonl");
        self.run(&["ledger", "add-receipt", &receipt]);
    }

    /// The year, month by month.
    fn pass(&mut self) {
        let mut table: Vec<String> =
            (0..30_000).map(|n: u64| format!("{n},{}\n", n.wrapping_mul(2_654_435_761) % 100_003)).collect();
        let mut weights: Vec<u8> = (0..1_500_000u64).map(|n| (n.wrapping_mul(n) % 251) as u8).collect();
        for month in 1..=12usize {
            let version = format!("1.{}.0", month - 1);
            let (packed, sent) = (format!("2026-{month:02}-05"), format!("2026-{month:02}-10"));
            // A few rows are measured anew, some are added.
            table[month * 1000] = format!("{},{}\n", month * 1000, month);
            table.push(format!("{},{month}\n", 30_000 + month));
            self.desk.write("alloys/measurements.csv", table.concat());
            self.desk.write("alloys/notes.md", format!("Measured in month {month}.\n"));
            self.on(&packed);
            let run = 4700 + u32::try_from(month).unwrap() * 2;
            self.release("alloys", &version, &[], &[], run);
            let dataset = format!("out/alloys-{version}.manifest.json");
            let id = self.run(&["inspect", &dataset])["bundle"]["id"].as_str().unwrap().to_owned();
            // The model is trained on it.
            weights[month * 100_000] ^= 0x55;
            self.desk.write("strength/weights.bin", &weights);
            self.release("strength", &version, &[id], &[dataset], run + 1);
            if month == 3 {
                // Somebody submits without waiting for the second signature.
                let refused =
                    ["submit", "out/strength-1.2.0.tar.zst", "--to", "south"].map(ToOwned::to_owned);
                let refused: Vec<_> = refused.iter().map(String::as_str).collect();
                self.run_in(&self.desk.home(), 5, &refused);
            }
            self.on(&sent);
            self.submit("alloys", &version, LABORATORIES[month % 3], &sent);
            self.submit("strength", &version, LABORATORIES[(month + 1) % 3], &sent);
            if month == 7 {
                // Bob's key is lost: everybody hears of it, and he makes another.
                self.on("2026-07-20");
                self.run(&["keygen", "--no-passphrase", "-o", "bob-2.key"]);
                for home in LABORATORIES.map(|name| self.laboratory(name)).iter().chain([&self.desk.home()]) {
                    self.run_in(home, 0, &["trust", "revoke", "bob", "--reason", "compromised"]);
                    self.trust(home, "bob-2", "bob-2.key.pub", "release");
                }
                fs::rename(self.desk.path("bob-2.key"), self.desk.path("bob.key")).unwrap();
            }
        }
    }
}

#[test]
fn a_year_and_every_question_about_it() {
    let mut year = Year::begin();
    year.pass();
    assert_eq!(year.submitted.len(), 24);
    year.on("2026-12-31");
    the_record_holds(&year);
    submissions_are_rebuilt(&year);
    questions_are_answered(&year);
    others_check_a_proof(&year);
    bodies_go_and_proofs_stay(&year);
}

/// Nothing was altered, and the laboratories have seen parts of it.
fn the_record_holds(year: &Year) {
    let verified = year.run(&["ledger", "verify"]);
    assert!(verified["size"].as_u64().unwrap() > 24 * 5, "{verified}");
    assert_eq!(verified["clock_went_back"], serde_json::json!([]));
    for name in LABORATORIES {
        year.run_in(&year.laboratory(name), 0, &["ledger", "verify"]);
    }
}

/// Each of the 24, from the store alone, is the archive that lies in the laboratory's inbox.
fn submissions_are_rebuilt(year: &Year) {
    for submission in &year.submitted {
        let Submission { name, version, to, .. } = submission;
        let (bundle, out) = (format!("{name}@{version}"), format!("again/{name}-{version}"));
        let rebuilt = year.run(&["reconstruct", &bundle, "-o", &out]);
        assert_eq!(rebuilt["archive"], "same-bytes", "{rebuilt}");
        // With both signatures, the manifest, and where it comes from.
        for ending in ["tar.zst", "manifest.json", "intoto.jsonl", "provenance.intoto.jsonl"] {
            let file = format!("{name}-{version}.{ending}");
            let read = |folder: &str| fs::read(year.desk.path(&format!("{folder}/{file}"))).unwrap();
            assert!(read(&out) == read(&format!("{to}/inbox")), "{file}");
        }
    }
}

/// The questions of the guidance, section by section, as `docs/guides/audit.md` lists them.
fn questions_are_answered(year: &Year) {
    let texts = |value: &Value, key: &str| -> Vec<String> {
        value.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    // What was submitted, when, to whom?
    let listed = year.run(&["ledger", "list", "--event", "submitted"]);
    let events = listed["entries"].as_array().unwrap();
    assert_eq!(events.len(), 24);
    for (entry, submission) in events.iter().zip(&year.submitted) {
        let event = &entry["event"];
        assert_eq!(event["bundle"]["name"], submission.name);
        assert_eq!(event["bundle"]["version"], submission.version);
        assert!(event["timestamp"].as_str().unwrap().starts_with(&submission.day), "{event}");
        assert_eq!(event["metadata"]["to"], submission.to);
    }
    // How did it change over time?
    let history = year.run(&["history", "alloys"]);
    assert_eq!(texts(&history["versions"], "version").len(), 12);
    let changes = history["versions"][1]["changes"].as_str().unwrap();
    assert!(changes.contains("changed `measurements.csv`, `notes.md`"), "{changes}");
    let entries = history["versions"][0]["entries"].as_array().unwrap().iter();
    let actions: Vec<_> = entries.map(|entry| entry["event"]["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        ["packed", "stored", "signed", "submitted", "stored", "receipt_added", "reconstructed"]
    );
    // From which data and which training run?
    let lineage = serde_json::to_string(&year.run(&["lineage", "strength@1.4.0"])).unwrap();
    assert!(lineage.contains("alloys") && lineage.contains("4711"), "{lineage}");
    // Which submissions came from this run, this commit, this source, and which hold this file?
    let run = year.run(&["ledger", "find", "--run", "4711"]);
    assert_eq!(texts(&run["bundles"], "name"), ["strength"]);
    let commit = year.run(&["ledger", "find", "--commit", &format!("{:040x}", 4710)]);
    assert_eq!(texts(&commit["bundles"], "name"), ["alloys"]);
    let source = year.run(&["ledger", "find", "--source", "https://example.org/measurements"]);
    assert_eq!(source["bundles"].as_array().unwrap().len(), 24);
    let digest = consign_metadata::Sha256Digest::of(b"Measured in month 5.\n").to_string();
    let file = year.run(&["ledger", "find", "--file", &digest]);
    assert_eq!(texts(&file["bundles"], "version"), ["1.4.0"]);
    assert_eq!(file["bundles"][0]["submissions"].as_array().unwrap().len(), 1, "{file}");
    // What did a recipient have on that day? It is made again, too.
    let had = year.run(&["reconstruct", "--at", "2026-06-30", "--to", "south", "-o", "then"]);
    let had = had["bundles"].as_array().unwrap();
    let sent = year.submitted.iter().filter(|one| one.to == "south" && one.day.as_str() < "2026-06-30");
    assert_eq!(had.len(), sent.count());
    // What calls for attention? The refusal, the lost key, what was changed.
    let alerts = year.run(&["ledger", "alerts", "--severity", "medium"]);
    let alerts: Vec<_> =
        alerts["alerts"].as_array().unwrap().iter().map(|one| &one["entry"]["event"]).collect();
    assert!(alerts.iter().any(|event| event["action"] == "refused" && event["metadata"]["step"] == "submit"));
    assert!(alerts.iter().any(|event| event["action"] == "key_revoked"));
    // Who read what, at a laboratory?
    let north = year.laboratory("north");
    let access = year.run_in(&north, 0, &["ledger", "list", "--event", "custody"])["result"].clone();
    assert_eq!(access["entries"].as_array().unwrap().len(), 8);
    // What changed in keys, trust and policy?
    let changes = year.run(&["ledger", "list", "--event", "configuration"]);
    assert!(changes["entries"].as_array().unwrap().len() >= 6);
}

/// Somebody who has nothing but the ledger's public key.
fn others_check_a_proof(year: &Year) {
    let listed = year.run(&["ledger", "list", "--event", "receipt_added", "--bundle", "strength@1.11.0"]);
    let index = listed["entries"][0]["index"].to_string();
    year.run(&["ledger", "prove", &index, "-o", "receipt.tlog-proof"]);
    let key = year.desk.home().join("keys/ledger.key.pub");
    let elsewhere = year.desk.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(key, elsewhere.join("sender.pub")).unwrap();
    fs::rename(year.desk.path("receipt.tlog-proof"), elsewhere.join("receipt.tlog-proof")).unwrap();
    let check = ["ledger", "check-proof", "elsewhere/receipt.tlog-proof", "--key", "elsewhere/sender.pub"];
    let nobody = year.desk.path("nobody");
    let proven = year.run_in(&nobody, 0, &check)["result"].clone();
    assert_eq!(proven["entry"]["event"]["bundle"]["version"], "1.11.0");
    assert_eq!(proven["entry"]["event"]["metadata"]["verdict"], "accepted");
    assert!(!nobody.exists(), "checking makes nothing");
    let other = ["ledger", "check-proof", "elsewhere/receipt.tlog-proof", "--key", "ada.key.pub"];
    year.run_in(&nobody, 3, &other);
}

/// Half a year later, what events of the spring said is let go.
fn bodies_go_and_proofs_stay(year: &Year) {
    let before = year.run(&["ledger", "show"])["size"].as_u64().unwrap();
    let dropped =
        year.run(&["ledger", "drop", "--expired", "--reason", "retention of 180 days"])["events"].clone();
    assert!(dropped.as_array().unwrap().len() > 40, "{dropped}");
    // Who had what is still known.
    let submitted = year.run(&["ledger", "list", "--event", "submitted"]);
    assert_eq!(submitted["entries"].as_array().unwrap().len(), 24);
    let verified = year.run(&["ledger", "verify"]);
    assert_eq!(verified["dropped"], dropped.as_array().unwrap().len());
    assert_eq!(verified["size"], before + 1);
    year.run(&["ledger", "prove", &dropped[0].to_string(), "-o", "dropped.tlog-proof"]);
}
