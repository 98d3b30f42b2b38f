//! Bundles change hands: submitted by the one, received by the other, and the receipt comes back.
#![cfg(all(unix, feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundles::{
    Bundle, append, assert_same_tree, descriptor, names, on_a_small_disk, partials, payload, peers, sparse,
    tree, wait_until,
};
use consign_metadata::Sha256Digest;
use consign_signing::{
    About, Attestations, Fingerprint, PrivateKey, Receipt, ReceiptVerdict, SignedReceipt, SignedRevocation,
    Signer as _,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Desk, consign, written_down};

/// Sender and laboratory at one desk, each with a home of its own.
struct World {
    desk: Desk,
    laboratory: PathBuf,
}

fn codes(document: &Value) -> Vec<&str> {
    document["problems"].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap()).collect()
}

impl World {
    /// The laboratory trusts `ada` as owner; the sender trusts `lab` to give receipts.
    fn new() -> Self {
        let desk = Desk::recording();
        for key in ["ada", "lab", "stranger"] {
            desk.key(key);
        }
        let laboratory = desk.path("laboratory");
        for folder in [&laboratory, &desk.path("inbox"), &desk.path("receipts"), &desk.path("unpacked")] {
            fs::create_dir(folder).unwrap();
        }
        let world = Self { desk, laboratory };
        world.trust(&world.laboratory, "ada", "owner");
        world.trust(&world.desk.home(), "lab", "recipient");
        world
    }

    fn trust(&self, home: &Path, name: &str, role: &str) {
        let (public, print) = (format!("{name}.pub"), self.print(name));
        let add = ["trust", "add", name, "--key", &public, "--fingerprint", &print, "--role", role];
        let output = self.at(home, &[&add[..], &["--owner", name]].concat());
        assert!(output.status.success(), "{}", written_down(&output));
    }

    fn print(&self, key: &str) -> String {
        let card = self.desk.json(["id", "--key", &format!("{key}.pub")]);
        card["result"]["fingerprint"].as_str().unwrap().to_owned()
    }

    fn at(&self, home: &Path, arguments: &[&str]) -> Output {
        let mut command = self.desk.consign(arguments.iter().copied());
        command.env("CONSIGN_HOME", home).output().unwrap()
    }

    /// At the laboratory; standard output must be one document.
    fn lab(&self, arguments: &[&str]) -> Value {
        let output = self.at(&self.laboratory, &[arguments, &["--json"]].concat());
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", written_down(&output)));
        assert_eq!(document["exit"].as_i64(), output.status.code().map(i64::from), "{document:#}");
        document
    }

    /// Packs a directory of one small file.
    fn pack(&self, name: &str, version: &str, key: &str, more: &[&str]) -> Bundle {
        let source = format!("source-{name}-{version}");
        self.desk.write(&format!("{source}/data.txt"), format!("the data of {name} {version}\n"));
        self.desk.write(&format!("{source}/consign.yaml"), descriptor(name, version));
        self.desk.pack(&self.desk.path(&source), &format!("out-{name}-{version}"), key, more)
    }

    fn receipt(&self, name: &str) -> SignedReceipt {
        let bytes = fs::read(self.desk.path(&format!("receipts/{name}"))).unwrap();
        SignedReceipt::read(&bytes).unwrap()
    }

    #[track_caller]
    fn verdict(&self, arguments: &[&str], exit: i64, expected: &[&str]) -> Value {
        let document = self.desk.json(arguments.iter().copied());
        assert_eq!(
            (document["exit"].as_i64().unwrap(), codes(&document)),
            (exit, expected.to_vec()),
            "{document:#}"
        );
        document
    }
}

const RECEIVE: [&str; 6] = ["receive", "inbox", "--key", "lab", "--receipts", "receipts"];

fn and<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

/// Puts a bundle into the inbox as somebody would who does not use `submit`.
fn deliver(world: &World, bundle: &Bundle) {
    for path in [&bundle.archive, &bundle.manifest, &bundle.attestations] {
        fs::copy(path, world.desk.path("inbox").join(path.file_name().unwrap())).unwrap();
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn envelopes(attestations: &Path) -> Vec<Sha256Digest> {
    let found = Attestations::parse(&fs::read(attestations).unwrap()).unwrap();
    found.statements().iter().map(|signed| Sha256Digest::of(signed.line())).collect()
}

#[test]
fn a_bundle_goes_there_and_its_receipt_comes_back() {
    let world = World::new();
    let bundle = world.pack("small", "1.0.0", "ada", &[]);
    world.verdict(&["submit", "out-small-1.0.0", "--to", "inbox", "--key", "ada.pub"], 0, &[]);
    let receive = and(&RECEIVE, &["--unpack-to", "unpacked", "--expect", "small@1.0.0"]);
    let document = world.lab(&receive);
    assert_eq!(document["exit"], 0, "{document:#}");
    let received = &document["result"]["bundles"][0];
    assert_eq!((&received["verdict"], &received["level"]), (&"accepted".into(), &"content".into()));
    assert_eq!(received["unpacked"], "unpacked/small-1.0.0");
    assert_eq!(received["signers"][0]["name"], "ada");
    assert_same_tree(
        &payload(&world.desk.path("source-small-1.0.0")),
        &tree(&world.desk.path("unpacked/small-1.0.0")),
    );
    // What the receipt says, to the last member.
    assert_eq!(names(&world.desk.path("receipts")), ["small-1.0.0.receipt.intoto.jsonl"]);
    let signed = world.receipt("small-1.0.0.receipt.intoto.jsonl");
    let said = signed.receipt();
    assert_eq!(said.sha256.hex(), bundle.sha256);
    assert_eq!(said.size, fs::metadata(&bundle.archive).unwrap().len());
    let About::Bundle(claim) = &said.about else { panic!("{said:?}") };
    assert_eq!(
        (claim.name.as_str(), claim.version.as_str(), claim.id.to_string()),
        ("small", "1.0.0", bundle.id.clone())
    );
    assert!(matches!(said.verdict, ReceiptVerdict::Accepted { .. }));
    assert_eq!(said.attestations, envelopes(&bundle.attestations));
    assert_eq!(said.signers.len(), 1);
    assert_eq!(said.signers[0].fingerprint, world.print("ada").parse::<Fingerprint>().unwrap());
    assert_eq!(
        (said.role.as_str(), said.public_key.fingerprint().to_string()),
        ("recipient", world.print("lab"))
    );
    assert_eq!(received["receipt"]["sha256"], Sha256Digest::of(signed.line()).hex());

    // Once more, nothing changes; what is unpacked is compared.
    let again = world.lab(&receive);
    assert_eq!(again["result"]["bundles"][0]["receipt"]["status"], "unchanged", "{again:#}");
    assert_eq!(again["result"]["bundles"][0]["unpacked"], "unpacked/small-1.0.0");
    assert_eq!(names(&world.desk.path("receipts")).len(), 1);
    // By another policy it is another receipt, and the first stays.
    world.desk.write("lab.toml", "format = 1\nname = \"lab\"\n");
    let other = world.lab(&and(&RECEIVE, &["--policy", "lab.toml"]));
    assert_eq!(
        other["result"]["bundles"][0]["receipt"]["path"],
        "receipts/small-1.0.0.receipt-2.intoto.jsonl"
    );
    let third = world.lab(&and(&RECEIVE, &["--policy", "lab.toml"]));
    assert_eq!(third["result"]["bundles"][0]["receipt"]["status"], "unchanged");

    // The sender.
    let path = "receipts/small-1.0.0.receipt.intoto.jsonl";
    let checked = world.verdict(&["receipt", "check", path, "--bundle", "out-small-1.0.0"], 0, &[]);
    let shown = &checked["result"]["receipts"][0];
    assert_eq!((&shown["counts"], &shown["about_bundle"]), (&true.into(), &true.into()));
    assert_eq!((&shown["says"]["verdict"], &shown["says"]["name"]), (&"accepted".into(), &"lab".into()));
    world.verdict(&["receipt", "check", path, "--bundle", "inbox", "--key", "lab.pub"], 0, &[]);
    // The archive need not be at hand: then the bundle is what its statements say.
    world.desk.write("statements/small-1.0.0.intoto.jsonl", fs::read(&bundle.attestations).unwrap());
    world.verdict(&["receipt", "check", path, "--bundle", "statements"], 0, &[]);
    insta::assert_snapshot!("receipt_check", world.desk.transcript(["receipt", "check", path]));
    insta::assert_snapshot!("receipt_show", world.desk.transcript(["receipt", "show", path]));
    // A receipt beside a bundle is not taken for its attestations.
    let beside = world.lab(&["receive", "inbox/small-1.0.0.tar.zst", "--key", "lab"]);
    assert_eq!(beside["exit"], 0, "{beside:#}");
    assert!(world.desk.path("inbox/small-1.0.0.receipt.intoto.jsonl").exists());
    assert_eq!(world.lab(&["verify", "inbox"])["exit"], 0);
}

#[test]
fn each_way_to_be_refused_has_a_receipt_with_its_reason() {
    let world = World::new();
    let desk = &world.desk;
    let own = world.pack("small", "1.0.0", "ada", &[]);
    let foreign = desk.pack(&desk.path("source-small-1.0.0"), "foreign", "stranger", &[]);
    let fresh = || {
        for folder in ["inbox", "receipts"] {
            fs::remove_dir_all(desk.path(folder)).unwrap();
            fs::create_dir(desk.path(folder)).unwrap();
        }
    };
    let refused = |more: &[&str], exit: i64, code: &str| {
        let document = world.lab(&and(&RECEIVE, &and(&["--unpack-to", "unpacked"], more)));
        assert_eq!((document["exit"].as_i64(), codes(&document)[0]), (Some(exit), code), "{document:#}");
        assert_eq!(names(&desk.path("unpacked")), [""; 0], "{code}");
        let receipts = names(&desk.path("receipts"));
        let signed = world.receipt(&receipts[0]);
        let reasons = signed.receipt().verdict.reasons();
        assert!(reasons.iter().any(|reason| reason.code.as_str() == code), "{reasons:?}");
        // The sender learns of it, by a receipt that counts.
        let path = format!("receipts/{}", receipts[0]);
        let checked = world.verdict(&["receipt", "check", &path], 0, &[]);
        assert_eq!(checked["result"]["receipts"][0]["says"]["verdict"], "refused");
        signed.receipt().clone()
    };

    // Altered on its way: the digest is that of what arrived, and which bundle that is was only claimed.
    deliver(&world, &own);
    flip(&desk.path("inbox/small-1.0.0.tar.zst"), 20);
    let said = refused(&[], 3, "frame-altered");
    let arrived = Sha256Digest::of(&fs::read(desk.path("inbox/small-1.0.0.tar.zst")).unwrap());
    assert_eq!((said.sha256, said.is_claimed_only(), said.verdict.level()), (arrived, true, None));
    assert_eq!(said.attestations, envelopes(&own.attestations));
    // It is not about what was sent, and says why.
    let other =
        ["receipt", "check", "receipts/small-1.0.0.receipt.intoto.jsonl", "--bundle", "out-small-1.0.0"];
    let told = world.verdict(&other, 4, &["receipt-other-bundle"]);
    assert!(told["problems"][0]["hint"].as_str().unwrap().contains("did not get what was sent"), "{told:#}");
    // The right one comes after all: both receipts stand.
    deliver(&world, &own);
    let after = world.lab(&RECEIVE);
    assert_eq!(
        after["result"]["bundles"][0]["receipt"]["path"],
        "receipts/small-1.0.0.receipt-2.intoto.jsonl"
    );

    fresh();
    deliver(&world, &own);
    append(&desk.path("inbox/small-1.0.0.tar.zst"), b"more").unwrap();
    assert!(refused(&[], 3, "archive-size").is_claimed_only());

    fresh();
    deliver(&world, &own);
    append(&desk.path("inbox/small-1.0.0.manifest.json"), b" ").unwrap();
    refused(&[], 3, "manifest-copy-differs");

    fresh();
    deliver(&world, &own);
    flip(&desk.path("inbox/small-1.0.0.intoto.jsonl"), 400);
    let said = refused(&[], 3, codes(&world.lab(&["verify", "inbox"]))[0]);
    assert_eq!((&said.about, said.sha256.hex()), (&About::Unknown, own.sha256.clone()));

    fresh();
    deliver(&world, &own);
    fs::remove_file(desk.path("inbox/small-1.0.0.intoto.jsonl")).unwrap();
    let said = refused(&[], 4, "unsigned");
    assert!(said.is_claimed_only() && said.attestations.is_empty());

    fresh();
    deliver(&world, &foreign);
    let said = refused(&[], 4, "not-trusted");
    assert!(!said.is_claimed_only() && said.signers.is_empty());

    fresh();
    deliver(&world, &own);
    let said = refused(&["--expect", "small@2.0.0"], 4, "not-expected");
    assert_eq!(said.signers.len(), 1);

    // What holds on nothing but a word about the time may be looked at, but is not taken in.
    fresh();
    deliver(&world, &own);
    let trust = fs::read_to_string(world.laboratory.join("trust.toml")).unwrap();
    assert!(trust.contains("roles = [\"owner\"]"), "{trust}");
    let ended = trust.replace("roles = [\"owner\"]", "roles = [\"owner\"]\nnot_after = 2020-01-01T00:00:00Z");
    desk.write("ended.toml", ended);
    let then = ["--trust", "ended.toml", "--at", "2019-12-01T00:00:00Z"];
    assert_eq!(world.lab(&and(&["verify", "inbox"], &then))["exit"], 0);
    refused(&then, 4, "asserted-time");
}

#[test]
fn what_the_policy_refuses_is_refused_with_its_reasons() {
    let world = World::new();
    deliver(&world, &world.pack("small", "1.0.0", "ada", &[]));
    let policy = "format = 1\nname = \"lab\"\n[accept]\nclassifications = [\"public\"]\n";
    world.desk.write("lab.toml", policy);
    let receive = and(&RECEIVE, &["--policy", "lab.toml", "--unpack-to", "unpacked"]);
    let document = world.lab(&receive);
    assert_eq!((document["exit"].as_i64(), codes(&document)), (Some(5), vec!["policy-classification"]));
    assert_eq!(document["result"]["bundles"][0]["handling"]["permitted"], false);
    assert!(names(&world.desk.path("unpacked")).is_empty());
    let signed = world.receipt("small-1.0.0.receipt.intoto.jsonl");
    let said = signed.receipt();
    assert_eq!(said.policy, Sha256Digest::of(policy.as_bytes()));
    // It was intact, and nobody says otherwise.
    assert!(!said.is_claimed_only() && said.verdict.level().is_some());
    assert_eq!(said.signers.len(), 1);
}

#[test]
fn an_inbox_is_emptied_whatever_becomes_of_the_first() {
    let world = World::new();
    let desk = &world.desk;
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", "lab.identity"]);
    for (name, key) in
        [("a-altered", "ada"), ("b-foreign", "stranger"), ("c-good", "ada"), ("d-mangled", "ada")]
    {
        deliver(&world, &world.pack(name, "1.0.0", key, &[]));
    }
    flip(&desk.path("inbox/a-altered-1.0.0.tar.zst"), 20);
    let mangled = desk.path("inbox/d-mangled-1.0.0.intoto.jsonl");
    fs::write(&mangled, fs::read_to_string(&mangled).unwrap().replace('\n', "\r\n")).unwrap();
    desk.write("source-e/data.txt", "secret\n");
    desk.write("source-e/consign.yaml", descriptor("e-encrypted", "1.0.0"));
    desk.succeed(["pack", "source-e", "-o", "inbox", "--key", "ada", "--encrypt-to", "lab.identity.pub"]);
    let document = world.lab(&and(&RECEIVE, &["--unpack-to", "unpacked", "--identity", "lab.identity"]));
    assert_eq!(document["exit"], 3, "{document:#}");
    let bundles = document["result"]["bundles"].as_array().unwrap();
    let fates: Vec<_> =
        bundles.iter().map(|one| (one["verdict"].as_str().unwrap(), one["exit"].as_i64().unwrap())).collect();
    assert_eq!(fates, [("refused", 3), ("refused", 4), ("accepted", 0), ("refused", 3), ("accepted", 0)]);
    assert_eq!(names(&desk.path("unpacked")), ["c-good-1.0.0", "e-encrypted-1.0.0"]);
    assert_eq!(names(&desk.path("receipts")).len(), 5);
    // Each is handled once, however often it is looked through.
    world.lab(&and(&RECEIVE, &["--unpack-to", "unpacked", "--identity", "lab.identity"]));
    assert_eq!(names(&desk.path("receipts")).len(), 5);
    // An inbox with nothing in it is no inbox, and one that is not there is none either.
    fs::create_dir(desk.path("empty")).unwrap();
    for (folder, code) in [("empty", "no-bundle"), ("nowhere", "unreadable")] {
        let document = world.lab(&["receive", folder, "--key", "lab"]);
        assert_eq!((document["exit"].as_i64(), codes(&document)), (Some(1), vec![code]));
    }
    // A folder for what comes out is made; a file in its place is told.
    desk.write("a-file", "");
    let document = world.lab(&and(&RECEIVE, &["--unpack-to", "a-file"]));
    assert_eq!((document["exit"].as_i64(), codes(&document)), (Some(1), vec!["no-directory"]));
}

#[test]
fn a_receipt_for_an_encrypted_bundle_tells_nothing_of_it() {
    let world = World::new();
    let desk = &world.desk;
    for name in ["lab.identity", "other.identity"] {
        desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", name]);
    }
    desk.write("source/quokkas.txt", "secret\n");
    desk.write("source/consign.yaml", descriptor("marsupials", "7.3.1"));
    let packed =
        desk.json(["pack", "source", "-o", "out", "--key", "ada", "--encrypt-to", "lab.identity.pub"]);
    let digest = packed["result"]["encrypted"]["sha256"].as_str().unwrap().replace("sha256:", "");
    desk.succeed(["submit", "out", "--to", "inbox", "--key", "ada.pub", "--identity", "lab.identity"]);
    // Without an identity, or with another, nothing can be told of it, and there is no receipt.
    for (more, code) in [(&[][..], "encrypted"), (&["--identity", "other.identity"], "no-identity")] {
        let document = world.lab(&and(&RECEIVE, more));
        assert_eq!(document["exit"], 1, "{document:#}");
        assert_eq!(codes(&document), [code]);
        assert_eq!(document["result"]["bundles"][0]["verdict"], Value::Null);
    }
    assert!(names(&desk.path("receipts")).is_empty());
    let opened = and(&RECEIVE, &["--identity", "lab.identity", "--unpack-to", "unpacked"]);
    let document = world.lab(&opened);
    assert_eq!(document["exit"], 0, "{document:#}");
    assert_eq!(desk.read("unpacked/marsupials-7.3.1/quokkas.txt"), "secret\n");
    let name = format!("{digest}.receipt.intoto.jsonl");
    assert_eq!(names(&desk.path("receipts")), [name.as_str()]);
    let signed = world.receipt(&name);
    assert_eq!(signed.receipt().sha256.hex(), digest);
    let payload = String::from_utf8(signed.receipt().to_payload()).unwrap();
    let inside =
        packed["result"]["archive"]["sha256"].as_str().unwrap_or("sha256:none").replace("sha256:", "");
    let id = packed["result"]["bundle"]["id"].as_str().unwrap().replace("sha256:", "");
    for word in ["marsupials", "7.3.1", "internal", "quokkas", &id, &inside] {
        assert!(!payload.contains(word), "{word}: {payload}");
    }
    let path = format!("receipts/{name}");
    world.verdict(&["receipt", "check", &path, "--bundle", "out"], 0, &[]);
    // Refused for what is in it: the reason has a code and no words.
    desk.write("lab.toml", "format = 1\nname = \"lab\"\n[accept]\nclassifications = [\"public\"]\n");
    let document = world.lab(&and(&RECEIVE, &["--identity", "lab.identity", "--policy", "lab.toml"]));
    assert_eq!((document["exit"].as_i64(), codes(&document)), (Some(5), vec!["policy-classification"]));
    let signed = world.receipt(&format!("{digest}.receipt-2.intoto.jsonl"));
    let [reason] = signed.receipt().verdict.reasons() else { panic!("{signed:?}") };
    assert_eq!((reason.code.as_str(), &reason.message), ("policy-classification", &None));
    // Altered, it is refused by whoever holds no identity as well.
    let archive = desk.path(&format!("inbox/{digest}.tar.zst.age"));
    flip(&archive, 300);
    let document = world.lab(&RECEIVE);
    assert_eq!((document["exit"].as_i64(), codes(&document)), (Some(3), vec!["archive-digest"]));
    let arrived = Sha256Digest::of(&fs::read(&archive).unwrap()).hex();
    assert!(world.receipt(&format!("{arrived}.receipt.intoto.jsonl")).receipt().is_claimed_only());
}

#[test]
fn a_receipt_counts_only_if_it_is_authentic_trusted_and_about_the_bundle() {
    let world = World::new();
    let desk = &world.desk;
    let bundle = world.pack("small", "1.0.0", "ada", &[]);
    let other = world.pack("other", "1.0.0", "ada", &[]);
    deliver(&world, &bundle);
    assert_eq!(world.lab(&RECEIVE)["exit"], 0);
    let path = "receipts/small-1.0.0.receipt.intoto.jsonl";
    let check = ["receipt", "check", path];
    let about = |bundle: &Bundle, exit, codes: &[&str]| {
        world.verdict(&and(&check, &["--bundle", bundle.archive.to_str().unwrap()]), exit, codes)
    };
    about(&bundle, 0, &[]);
    let told = about(&other, 4, &["receipt-other-bundle"]);
    assert_eq!(told["result"]["receipts"][0]["about_bundle"], false);
    // Signatures that came later do no harm.
    desk.succeed(["sign", bundle.archive.to_str().unwrap(), "--key", "stranger", "--yes"]);
    about(&bundle, 0, &[]);
    // But if the one that the recipient looked at is missing, it is not what they looked at.
    let both = fs::read_to_string(&bundle.attestations).unwrap();
    fs::write(&bundle.attestations, both.split_inclusive('\n').nth(1).unwrap()).unwrap();
    about(&bundle, 4, &["receipt-other-bundle"]);
    fs::write(&bundle.attestations, both).unwrap();

    // Altered: every part of it.
    let good = fs::read(desk.path(path)).unwrap();
    for at in (0..good.len()).step_by(97) {
        flip(&desk.path(path), at);
        let document = desk.json(check);
        assert_eq!(document["exit"], 3, "byte {at}: {document:#}");
        assert_eq!(document["result"]["receipts"][0]["says"], Value::Null);
        fs::write(desk.path(path), &good).unwrap();
    }
    desk.write("two.jsonl", [good.clone(), good.clone()].concat());
    world.verdict(&["receipt", "check", "two.jsonl"], 3, &["attestations-repeated"]);
    desk.write("cut.jsonl", &good[..good.len() - 1]);
    world.verdict(&["receipt", "show", "cut.jsonl"], 3, &["attestations-cut"]);
    world.verdict(&["receipt", "show", bundle.attestations.to_str().unwrap()], 3, &["predicate-type"]);
    world.verdict(&["receipt", "check", "nowhere"], 1, &["unreadable"]);

    // Whose receipts count.
    world.verdict(&and(&check, &["--key", "stranger.pub"]), 4, &["unknown-key"]);
    world.verdict(&and(&check, &["--key", "lab.pub"]), 0, &[]);
    world.verdict(&and(&check, &["--role", "auditor"]), 4, &["other-role"]);
    let by = |key: &str, role: &str| {
        let more = ["receive", "inbox", "--key", key, "--role", role, "--receipts", "receipts"];
        let document = world.lab(&more);
        document["result"]["bundles"][0]["receipt"]["path"].as_str().unwrap().to_owned()
    };
    let stranger = by("stranger", "recipient");
    world.verdict(&["receipt", "check", &stranger], 4, &["unknown-key"]);
    let auditor = by("lab", "auditor");
    world.verdict(&["receipt", "check", &auditor], 4, &["role-not-held"]);
    // One that does not count does not hide those that do.
    let both = world.verdict(&["receipt", "check", path, &stranger], 4, &["unknown-key"]);
    let counts: Vec<_> =
        both["result"]["receipts"].as_array().unwrap().iter().map(|one| &one["counts"]).collect();
    assert_eq!(counts, [true, false]);
    // A key in somebody else's hands gives no receipts, not even to those who name it.
    desk.succeed(["trust", "revoke", "lab", "--reason", "compromised"]);
    world.verdict(&check, 4, &["key-revoked"]);
    world.verdict(&and(&check, &["--key", "lab.pub"]), 4, &["key-revoked"]);
    fs::remove_file(desk.home().join("trust.toml")).unwrap();
    world.verdict(&check, 4, &["not-trusted"]);
}

/// A run that was killed between the receipt and the record is made up for by the next.
#[test]
fn each_receipt_is_told_of_in_the_ledger_once() {
    let world = World::new();
    let sender = ["--ledger", "ledger-of-the-sender"];
    world.desk.succeed(and(&["keygen", "--no-passphrase", "-o", "another"], &sender));
    deliver(&world, &world.pack("small", "1.0.0", "ada", &sender));
    assert_eq!(world.lab(&and(&RECEIVE, &["--ledger", "none"]))["exit"], 0);
    let kept = ["--ledger", "ledger-of-the-laboratory"];
    for _ in 0..2 {
        let again = world.lab(&and(&RECEIVE, &kept));
        assert_eq!(again["result"]["bundles"][0]["receipt"]["status"], "unchanged", "{again:#}");
        let listed = world.lab(&and(&["ledger", "list", "--event", "received"], &kept));
        let entries = listed["result"]["entries"].as_array();
        let Some([entry]) = entries.map(Vec::as_slice) else { panic!("{listed:#}\n{again:#}") };
        let event = &entry["event"]["metadata"];
        assert_eq!(
            (&event["verdict"], &event["level"]),
            (&"accepted".into(), &"content".into()),
            "{entry:#}"
        );
        let said = again["result"]["bundles"][0]["receipt"]["sha256"].as_str().unwrap();
        assert_eq!(event["receipt_sha256"], format!("sha256:{said}"));
    }
    // The state of the sender's ledger came with the bundle, and goes back with the receipt.
    let signed = world.receipt("small-1.0.0.receipt.intoto.jsonl");
    assert!(signed.receipt().ledger.is_some(), "{signed:?}");
}

/// What is signed by hand: an accepted receipt for a bundle that nobody verified is only as good as its key.
#[test]
fn a_forged_receipt_does_not_count() {
    let world = World::new();
    deliver(&world, &world.pack("small", "1.0.0", "ada", &[]));
    assert_eq!(world.lab(&RECEIVE)["exit"], 0);
    let signed = world.receipt("small-1.0.0.receipt.intoto.jsonl");
    let forger = PrivateKey::generate().unwrap();
    let forged = Receipt { public_key: *forger.public_key(), ..signed.receipt().clone() };
    let forged = SignedReceipt::sign(&forger, &forged).unwrap();
    world.desk.write("forged.jsonl", forged.to_bytes());
    world.verdict(&["receipt", "check", "forged.jsonl"], 4, &["unknown-key"]);
    // With the laboratory's name on it, it is not even authentic.
    let mut renamed: Value = serde_json::from_slice(forged.line()).unwrap();
    let theirs: Value = serde_json::from_slice(signed.line()).unwrap();
    renamed["payload"] = theirs["payload"].clone();
    world.desk.write("renamed.jsonl", format!("{renamed}\n"));
    assert_eq!(world.desk.json(["receipt", "check", "renamed.jsonl"])["exit"], 3);
}

const SUBMIT: [&str; 4] = ["submit", "out-small-1.0.0", "--to", "inbox"];

/// An envelope around a payload, by the key in that file.
fn enclose(desk: &Desk, key: &str, payload: &str) -> String {
    let key = PrivateKey::parse(desk.read(key).as_bytes(), &mut |_| Ok(None)).unwrap();
    let kind = "application/vnd.in-toto+json";
    let pae = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let signature = key.sign(pae.as_bytes()).unwrap();
    let encode = |bytes: &[u8]| STANDARD.encode(bytes);
    format!(
        "{{\"payload\":\"{}\",\"payloadType\":\"{kind}\",\"signatures\":[{{\"keyid\":\"{}\",\"sig\":\"{}\"}}]}}\n",
        encode(payload.as_bytes()),
        key.public_key().keyid(),
        encode(signature.as_bytes())
    )
}

#[test]
fn what_belongs_to_a_bundle_goes_with_it() {
    let world = World::new();
    let desk = &world.desk;
    let bundle = world.pack("small", "1.0.0", "ada", &[]);
    let submit = and(&SUBMIT, &["--key", "ada.pub"]);
    let again = || {
        fs::remove_dir_all(desk.path("inbox")).unwrap();
        fs::create_dir(desk.path("inbox")).unwrap();
        desk.json(submit.iter().copied())
    };
    let provenance = bundle.folder.join("small-1.0.0.provenance.intoto.jsonl");
    let statement = |digest: &str| {
        format!(
            "{{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{{\"name\":\"x\",\"digest\":{{\"sha256\":\"{digest}\"}}}}],\
             \"predicateType\":\"https://slsa.dev/provenance/v1\",\"predicate\":{{}}}}"
        )
    };
    let good = enclose(desk, "ada", &statement(&bundle.sha256));
    for (content, carried) in [
        (good.clone(), true),
        (
            [good.clone(), enclose(desk, "ada", &statement(&bundle.sha256).replace("\"x\"", "\"y\""))]
                .concat(),
            true,
        ),
        (enclose(desk, "stranger", &statement(&bundle.sha256)), false),
        (enclose(desk, "ada", &statement(&"0".repeat(64))), false),
        ([good.clone(), enclose(desk, "stranger", &statement(&bundle.sha256))].concat(), false),
        (good.trim_end().to_owned(), false),
        (good.replacen("payload\":\"", "payload\":\"AAAA", 1), false),
        (format!("{good}\n"), false),
    ] {
        fs::write(&provenance, &content).unwrap();
        let document = again();
        assert_eq!(document["exit"], 0, "{document:#}");
        let there = desk.path("inbox/small-1.0.0.provenance.intoto.jsonl");
        assert_eq!(there.exists(), carried, "{content}\n{document:#}");
        let notes = document["result"]["notes"].as_array().map_or(0, Vec::len);
        assert_eq!(notes, usize::from(!carried), "{document:#}");
        if carried {
            assert_eq!(fs::read_to_string(there).unwrap(), content);
        }
        // Whatever lies beside it, the bundle is received.
        assert_eq!(world.lab(&RECEIVE)["exit"], 0);
    }
    fs::remove_file(provenance).unwrap();
    // A revocation that does not count with the sender goes along: it may count with the recipient.
    desk.succeed(["revoke", "out-small-1.0.0", "--reason", "wrong", "--key", "stranger"]);
    assert_eq!(again()["exit"], 0);
    let carried = fs::read(desk.path("inbox/small-1.0.0.revocation.intoto.jsonl")).unwrap();
    SignedRevocation::verify(carried.strip_suffix(b"\n").unwrap()).unwrap();
    assert_eq!(names(&desk.path("inbox")).len(), 4);
    assert_eq!(world.lab(&RECEIVE)["exit"], 0);
    // One that cannot be read stops it.
    flip(&bundle.folder.join("small-1.0.0.revocation.intoto.jsonl"), 50);
    assert_eq!(again()["exit"], 3);
    assert!(names(&desk.path("inbox")).is_empty());
    fs::remove_file(bundle.folder.join("small-1.0.0.revocation.intoto.jsonl")).unwrap();
    // One that counts goes where the bundle went before, and nothing else does; elsewhere nothing goes.
    desk.succeed(["revoke", "out-small-1.0.0", "--reason", "wrong", "--key", "ada"]);
    let only = vec!["small-1.0.0.revocation.intoto.jsonl".to_owned()];
    assert_eq!((again()["exit"].as_i64(), names(&desk.path("inbox"))), (Some(0), only));
    fs::create_dir(desk.path("never")).unwrap();
    let submit = ["submit", "out-small-1.0.0", "--to", "never", "--key", "ada.pub"];
    assert_eq!(desk.json(submit)["problems"][0]["code"], "bundle-revoked");
    assert!(names(&desk.path("never")).is_empty());
}

#[test]
fn several_destinations_are_asked_about_before_anything_is_copied() {
    let world = World::new();
    let desk = &world.desk;
    let bundle = world.pack("small", "1.0.0", "ada", &[]);
    fs::create_dir(desk.path("second")).unwrap();
    desk.write(
        "policy.toml",
        "format = 1\nname = \"ours\"\n\
         [[level]]\nname = \"public\"\n[[level]]\nname = \"internal\"\n\
         [[destination]]\nname = \"first\"\npath = \"inbox\"\n\
         [[destination]]\nname = \"press\"\npath = \"second\"\nhighest = \"public\"\n",
    );
    let submit = ["submit", "out-small-1.0.0", "--key", "ada.pub", "--policy", "policy.toml"];
    let to = |places: &[&'static str]| -> Vec<&'static str> {
        places.iter().flat_map(|place| ["--to", place]).collect()
    };
    world.verdict(&and(&submit, &to(&["first", "press"])), 5, &["policy-destination"]);
    // Named by its folder, it is the same destination.
    world.verdict(&and(&submit, &to(&["first", "second"])), 5, &["policy-destination"]);
    assert!(names(&desk.path("inbox")).is_empty() && names(&desk.path("second")).is_empty());
    fs::create_dir(desk.path("third")).unwrap();
    let dry = world.verdict(&and(&and(&submit, &to(&["first", "third"])), &["--dry-run"]), 0, &[]);
    assert_eq!(dry["result"]["deliveries"][1]["status"], "dry-run");
    assert!(names(&desk.path("third")).is_empty());
    // Something else under the name at one place: the other gets it, and it is told which did not.
    desk.write("third/small-1.0.0.tar.zst", "something else");
    // A place that is not there is told before anything goes to the others, and is not made.
    world.verdict(&and(&submit, &to(&["third", "first", "nowhere"])), 2, &["no-destination"]);
    assert!(names(&desk.path("inbox")).is_empty() && !desk.path("nowhere").exists());
    let document = world.verdict(&and(&submit, &to(&["third", "first"])), 1, &["taken"]);
    let statuses: Vec<_> =
        document["result"]["deliveries"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["failed", "submitted"]);
    assert_eq!(names(&desk.path("third")), ["small-1.0.0.tar.zst"]);
    assert_eq!(names(&desk.path("inbox")).len(), 3);
    // A part that is there is completed, if it is the same.
    fs::remove_file(desk.path("inbox/small-1.0.0.tar.zst")).unwrap();
    let document = world.verdict(&and(&submit, &to(&["first"])), 0, &[]);
    assert_eq!(document["result"]["deliveries"][0]["status"], "completed");
    fs::remove_file(desk.path("inbox/small-1.0.0.tar.zst")).unwrap();
    append(&desk.path("inbox/small-1.0.0.intoto.jsonl"), b"\n").unwrap();
    world.verdict(&and(&submit, &to(&["first"])), 1, &["taken"]);
    assert!(!desk.path("inbox/small-1.0.0.tar.zst").exists());
    // A sealed directory is no archive.
    desk.succeed(["seal", "source-small-1.0.0", "-o", "sealed", "--key", "ada"]);
    world.verdict(&["submit", "sealed", "--to", "inbox", "--key", "ada.pub"], 1, &["sealed-directory"]);
    drop(bundle);
}

/// Whatever stands in the inbox under its own name is whole, and an archive does not come before what belongs to it.
fn assert_consistent(desk: &Desk, bundle: &Bundle, what: &str) {
    let inbox = desk.path("inbox");
    let sources = [&bundle.manifest, &bundle.attestations, &bundle.archive];
    for name in names(&inbox).iter().filter(|name| !name.starts_with(".consign-")) {
        let source = sources.iter().find(|path| path.file_name().unwrap() == name.as_str());
        let source = source.unwrap_or_else(|| panic!("{what}: {name}"));
        assert!(
            fs::read(inbox.join(name)).unwrap() == fs::read(source).unwrap(),
            "{what}: {name} is not whole"
        );
    }
    let there = |path: &Path| inbox.join(path.file_name().unwrap()).exists();
    if there(&bundle.archive) {
        assert!(there(&bundle.manifest) && there(&bundle.attestations), "{what}: the archive came first");
    }
}

/// The process is killed at every single system call that has to do with files, one run after the other.
#[test]
fn a_killed_submission_is_whole_or_not_there_and_can_be_completed() {
    let world = World::new();
    let desk = &world.desk;
    let bundle = world.pack("small", "1.0.0", "ada", &[]);
    let submit = and(&SUBMIT, &["--key", "ada.pub", "--threads", "1"]);
    let inbox = desk.path("inbox");
    let mut killed = 0;
    let mut completed = 0;
    for call in [
        "openat",
        "write",
        "fsync",
        "fdatasync",
        "rename",
        "renameat",
        "renameat2",
        "link",
        "linkat",
        "unlink",
        "unlinkat",
        "fchmod",
        "close",
    ] {
        for n in 1.. {
            let mut command = Command::new("strace");
            desk.bare(&mut command).args(["-f", "-qq", "-o", "/dev/null"]);
            command.args(["-e", &format!("trace={call}")]);
            command.args(["-e", &format!("inject={call}:signal=SIGKILL:when={n}")]);
            command.arg(consign()).args(&submit).stdin(Stdio::null());
            let output = command.output();
            let output = output
                .unwrap_or_else(|error| panic!("this test needs strace ({error}); .ci/install installs it"));
            let what = format!("{call} {n}");
            assert_consistent(desk, &bundle, &what);
            let ended = output.status.code();
            if ended == Some(0) {
                // So often it is not called.
                assert_eq!(names(&inbox).iter().filter(|name| !name.starts_with('.')).count(), 3, "{what}");
            } else {
                assert_eq!(ended, None, "{what}: {}", written_down(&output));
                killed += 1;
                let begun = names(&inbox).iter().any(|name| !name.starts_with('.'));
                let again = desk.json(submit.iter().copied());
                assert_eq!(again["exit"], 0, "{what}: {again:#}");
                let status = again["result"]["deliveries"][0]["status"].as_str().unwrap();
                assert!(begun == (status != "submitted"), "{what}: {status}");
                completed += usize::from(status == "completed");
                assert_consistent(desk, &bundle, &what);
                assert!(inbox.join(bundle.archive.file_name().unwrap()).exists(), "{what}");
                let verified =
                    world.verdict(&["verify", "inbox", "--key", "ada.pub", "--no-remember"], 0, &[]);
                assert_eq!(verified["result"]["bundles"].as_array().unwrap().len(), 1);
            }
            fs::remove_dir_all(&inbox).unwrap();
            fs::create_dir(&inbox).unwrap();
            if ended == Some(0) {
                break;
            }
        }
    }
    // It was killed where it mattered: before the first name, between names, and after the last.
    assert!(killed > 40 && completed > 2, "{killed}, {completed}");
}

/// Every call that could fail fails once: then nothing is there, and what was there before stays.
#[test]
fn a_submission_that_fails_leaves_nothing() {
    let world = World::new();
    let desk = &world.desk;
    let bundle = world.pack("small", "1.0.0", "ada", &[]);
    let submit = and(&SUBMIT, &["--key", "ada.pub", "--threads", "1"]);
    let (inbox, trace) = (desk.path("inbox"), desk.path("trace"));
    let mut failed = 0;
    for part in [&[][..], &[&bundle.manifest]] {
        for call in ["write", "fsync", "renameat2", "linkat"] {
            for n in 1.. {
                fs::remove_dir_all(&inbox).unwrap();
                fs::create_dir(&inbox).unwrap();
                for path in part {
                    fs::copy(path, inbox.join(path.file_name().unwrap())).unwrap();
                }
                let before = names(&inbox);
                let mut command = Command::new("strace");
                desk.bare(&mut command).args(["-f", "-qq", "-o"]).arg(&trace);
                command.args(["-e", &format!("trace={call}")]);
                command.args(["-e", &format!("inject={call}:error=EIO:when={n}")]);
                let output = command.arg(consign()).args(&submit).stdin(Stdio::null()).output().unwrap();
                let what = format!("{call} {n}: {}", written_down(&output));
                if !fs::read_to_string(&trace).unwrap().contains("INJECTED") {
                    assert_eq!(output.status.code(), Some(0), "{what}");
                    break;
                }
                assert_consistent(desk, &bundle, &what);
                let complete = names(&inbox).len() == 3;
                // What cannot be printed was done all the same.
                assert!(complete || names(&inbox) == before, "{what}");
                if !complete {
                    assert_eq!(output.status.code(), Some(1), "{what}");
                    failed += 1;
                }
                assert_eq!(desk.json(submit.iter().copied())["exit"], 0, "{what}");
                assert_eq!(names(&inbox).len(), 3, "{what}");
            }
        }
    }
    assert!(failed >= 12, "{failed}");
}

/// Long enough to be worked on for seconds; mostly a hole, so that making it takes no time.
const LONG: u64 = 320 << 20;

fn long(world: &World) -> Bundle {
    let source = world.desk.path("source-long");
    sparse(&source.join("long.bin"), LONG, LONG - (4 << 20), 1 << 20);
    fs::write(source.join("consign.yaml"), descriptor("long", "1.0.0")).unwrap();
    world.desk.pack(&source, "out-long", "ada", &["--store"])
}

#[test]
fn an_interruption_leaves_nothing() {
    let world = World::new();
    let desk = &world.desk;
    let bundle = long(&world);
    let interrupted = |command: &mut Command, folder: &Path| {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait_until("work in progress is seen", || {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before anything could happen to it");
            !partials(folder).is_empty()
        });
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(2), "{}", written_down(&output));
        assert_eq!(names(folder), [""; 0]);
    };
    let mut command = Command::new(consign());
    desk.bare(&mut command).args(["submit", "out-long", "--to", "inbox", "--key", "ada.pub"]);
    interrupted(&mut command, &desk.path("inbox"));
    for path in [&bundle.archive, &bundle.manifest, &bundle.attestations] {
        fs::rename(path, desk.path("inbox").join(path.file_name().unwrap())).unwrap();
    }
    let mut command = Command::new(consign());
    desk.bare(&mut command).env("CONSIGN_HOME", &world.laboratory);
    command.args(and(&RECEIVE, &["--unpack-to", "unpacked"]));
    interrupted(&mut command, &desk.path("unpacked"));
    // What was cut short is no verdict.
    assert!(names(&desk.path("receipts")).is_empty());
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_left_on_it() {
    let world = World::new();
    let desk = &world.desk;
    desk.write("source/noise.bin", bundles::Noise::new(2).bytes(12 << 20));
    desk.write("source/consign.yaml", descriptor("noise", "1.0.0"));
    desk.pack(&desk.path("source"), "out", "ada", &[]);
    let trust = fs::read_to_string(world.laboratory.join("trust.toml")).unwrap();
    desk.write("trust.toml", trust);
    for command in [
        "submit out --to small --key ada.pub",
        "receive out --key lab --trust trust.toml --unpack-to small --receipts receipts",
    ] {
        let script = format!(r#""$1" {command}; echo "exit $?"; ls -A small"#);
        let Some(output) = on_a_small_disk(desk, "3m", &script) else {
            eprintln!("NOT RUN: nothing can be mounted here");
            return;
        };
        let (said, left) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(left.ends_with("exit 1\n"), "{command}: {left} {said}");
        assert!(said.contains("cannot be written: ") && said.contains("No space left on device"), "{said}");
    }
    assert!(names(&desk.path("receipts")).is_empty());
    // Room for the content, but not for the receipt.
    let script = r#"touch small/x; dd if=/dev/zero of=small/fill bs=1k 2>/dev/null
        "$1" receive out --key lab --trust trust.toml --receipts small >/dev/null; echo "exit $?"; ls -A small"#;
    let output = on_a_small_disk(desk, "100k", script).unwrap();
    let (said, left) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(left, "exit 1\nfill\nx\n", "{said}");
    assert!(said.contains("No space left on device"), "{said}");
}

/// The members that the specification of SLSA's verification summary, version 1, demands, held against its text by a
/// program that knows nothing of consign; and the signature, by in-toto's library and by OpenSSL.
#[test]
fn peers_read_a_receipt() {
    const VERIFY: &str = r"
import hashlib, json, re, subprocess, sys
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
import base64

receipt, archive, attestations, key_file, result = sys.argv[1:]
[line] = open(receipt, 'rb').read().splitlines()
public = load_pem_public_key(open(key_file, 'rb').read())
key = SSlibKey.from_crypto(public)
envelope = Envelope.from_dict(json.loads(line))
assert envelope.verify([key], 1) == {key.keyid: key}
statement = json.loads(envelope.payload)
raw = json.loads(line)
pae = b'DSSEv1 %d %s %d %s' % (len(raw['payloadType']), raw['payloadType'].encode(), len(envelope.payload), envelope.payload)
open('pae', 'wb').write(pae)
open('sig', 'wb').write(base64.b64decode(raw['signatures'][0]['sig'], validate=True))
envelope.payload += b' '
try:
    envelope.verify([key], 1)
    raise SystemExit('an altered payload verifies')
except VerificationError:
    pass

assert statement['_type'] == 'https://in-toto.io/Statement/v1'
assert statement['predicateType'] == 'https://slsa.dev/verification_summary/v1'
[subject] = statement['subject']
digest = hashlib.sha256(open(archive, 'rb').read()).hexdigest()
assert subject['digest'] == {'sha256': digest}, subject
predicate = statement['predicate']
uri = re.compile(r'[a-z][a-z0-9+.-]*:\S+')
# Required: verifier.id, timeVerified, resourceUri, policy.uri, verificationResult, verifiedLevels.
assert uri.fullmatch(predicate['verifier']['id'])
assert all(isinstance(v, str) for v in predicate['verifier']['version'].values())
assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', predicate['timeVerified'])
assert uri.fullmatch(predicate['resourceUri']) and digest in predicate['resourceUri']
assert uri.fullmatch(predicate['policy']['uri']) and set(predicate['policy']['digest']) == {'sha256'}
assert predicate['verificationResult'] == result
levels = predicate['verifiedLevels']
assert levels == (['FAILED'] if result == 'FAILED' else ['CONSIGN_CONTENT'])
# Custom values do not begin with SLSA_.
assert not any(level.startswith('SLSA_') for level in levels)
# If there are any, all attestations are listed, each with its digest.
lines = open(attestations, 'rb').read().splitlines()
listed = sorted(one['digest']['sha256'] for one in predicate['inputAttestations'])
assert listed == sorted(hashlib.sha256(one).hexdigest() for one in lines), listed
for one in [predicate['policy'], *predicate['inputAttestations']]:
    name = base64.urlsafe_b64encode(bytes.fromhex(one['digest']['sha256'])).decode().rstrip('=')
    assert one['uri'] == 'ni:///sha-256;' + name, one
der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
name = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip('=')
assert predicate['verifier']['id'] == 'ni:///sha-256;' + name
# Members of one's own have URIs for names.
known = {'verifier', 'timeVerified', 'resourceUri', 'policy', 'inputAttestations', 'verificationResult',
         'verifiedLevels', 'dependencyLevels', 'slsaVersion'}
assert all(uri.fullmatch(member) for member in set(predicate) - known), predicate
";
    let world = World::new();
    let desk = &world.desk;
    let bundle = world.pack("small", "1.0.0+build.7", "ada", &[]);
    deliver(&world, &bundle);
    assert_eq!(world.lab(&RECEIVE)["exit"], 0);
    world.lab(&and(&RECEIVE, &["--expect", "other@1.0.0"]));
    desk.write("verify.py", VERIFY);
    for (n, result) in [("", "PASSED"), ("-2", "FAILED")] {
        let receipt = format!("receipts/small-1.0.0+build.7.receipt{n}.intoto.jsonl");
        let (archive, attestations) =
            (bundle.archive.to_str().unwrap(), bundle.attestations.to_str().unwrap());
        desk.peer(peers().join("python"), &["verify.py", &receipt, archive, attestations, "lab.pub", result]);
        let verify =
            ["pkeyutl", "-verify", "-pubin", "-inkey", "lab.pub", "-rawin", "-in", "pae", "-sigfile", "sig"];
        assert!(desk.peer("openssl", &verify).contains("Signature Verified Successfully"));
        append(&desk.path("pae"), b" ").unwrap();
        assert!(!desk.peer_output("openssl", &verify).status.success());
        // And the schema that other readers are given.
        let schema = include_str!("../../../schemas/receipt.schema.json");
        let schema: Value = serde_json::from_str(schema).unwrap();
        let signed = SignedReceipt::read(&fs::read(desk.path(&receipt)).unwrap()).unwrap();
        let payload: Value = serde_json::from_slice(&signed.receipt().to_payload()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&payload), "{payload:#}");
    }
}
