//! Handing over without stumbling: what people met who sent bundles and took them in (rows H1 to H16 of the field reports).
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bundles::{descriptor, names};
use serde_json::Value;
use support::{Desk, written_down};

const POLICY: &str = r#"format = 1
name = "ours"

[[level]]
name = "internal"
overridable = ["fields"]

[[level]]
name = "restricted"
signatures = [{ role = "owner" }, { role = "release" }]

[[recipient]]
name = "lab"
aliases = ["Example Lab"]
organization = "Example Laboratory"
laboratory = "lab.toml"

[[recipient]]
name = "press"

[[destination]]
name = "lab-inbox"
path = "inbox"
recipient = "lab"
"#;

const LAB: &str = "format = 1\nname = \"laboratory\"\n[self]\nnames = [\"lab\"]\n\
    [[level]]\nname = \"internal\"\n[[level]]\nname = \"restricted\"\n[accept]\nlicenses = [\"MIT\"]\n";

/// A sender with a key and a policy, something to send, and a laboratory with a home of its own.
struct World {
    desk: Desk,
    laboratory: PathBuf,
}

impl World {
    fn new() -> Self {
        Self::at(Desk::new())
    }

    fn at(desk: Desk) -> Self {
        for key in ["ada", "bob", "labkey"] {
            desk.key(key);
        }
        let laboratory = desk.path("laboratory");
        for folder in [desk.home(), laboratory.clone(), desk.path("inbox")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(desk.home().join("policy.toml"), POLICY).unwrap();
        fs::write(desk.home().join("lab.toml"), LAB).unwrap();
        let world = Self { desk, laboratory };
        world.describe("internal", "license: MIT\n");
        world
    }

    fn describe(&self, class: &str, more: &str) {
        self.desk.write("data/a.csv", "x,y\n1,2\n");
        let text = descriptor("small", "1.0.0").replace("internal", class);
        self.desk.write("data/consign.yaml", format!("{text}{more}"));
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.desk.json(arguments.iter().copied())
    }

    /// The same at the laboratory.
    fn lab(&self, arguments: &[&str]) -> Value {
        let mut command = self.desk.consign(arguments.iter().copied());
        let output = command.arg("--json").env("CONSIGN_HOME", &self.laboratory).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", written_down(&output)))
    }

    fn fingerprint(&self, key: &str) -> String {
        self.json(&["id", "--key", &format!("{key}.pub")])["result"]["fingerprint"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn trust(&self, key: &str, role: &str, more: &[&str]) {
        let (file, print) = (format!("{key}.pub"), self.fingerprint(key));
        let add = ["trust", "add", key, "--key", &file, "--fingerprint", &print, "--role", role];
        self.desk.succeed(add.iter().chain(more).copied());
    }

    fn lab_trusts(&self, key: &str, role: &str) {
        let (file, print) = (format!("{key}.pub"), self.fingerprint(key));
        let add =
            ["trust", "add", key, "--key", &file, "--fingerprint", &print, "--role", role, "--owner", key];
        assert_eq!(self.lab(&add)["exit"], 0);
    }

    fn pack(&self, more: &[&str]) -> Value {
        self.json(&[&["pack", "data", "-o", "out", "--key", "ada"][..], more].concat())
    }
}

fn codes(document: &Value) -> Vec<&str> {
    let problems = document["problems"].as_array().unwrap().iter();
    problems.map(|problem| problem["code"].as_str().unwrap()).collect()
}

fn said(document: &Value) -> String {
    let problems = document["problems"].as_array().unwrap().iter();
    let text = |problem: &Value, key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    problems.map(|one| format!("{}\n{}\n", text(one, "message"), text(one, "hint"))).collect()
}

fn exit(document: &Value) -> i64 {
    document["exit"].as_i64().unwrap()
}

#[test]
fn field_h1_a_file_or_a_key_is_never_an_addressee() {
    let world = World::new();
    world.desk.write("notes", "a file without an ending");
    let key = world.desk.read("ada.pub").replace('\n', " ");
    let ssh = format!("ssh-ed25519 {key}");
    for name in ["LAB.toml", "none.json", "./lab", "/srv/lab", "~lab", "notes", "age1qqqqqqqq", ssh.trim()] {
        for command in [
            &["pack", "data", "-o", "out", "--key", "ada"][..],
            &["seal", "data", "-o", "sealed", "--key", "ada"],
            &["preflight", "data"],
        ] {
            let document = world.json(&[command, &["--for", name]].concat());
            assert_eq!(
                (exit(&document), codes(&document)),
                (2, vec!["not-a-recipient"]),
                "{name} {document:#}"
            );
            assert!(
                said(&document).contains("--laboratory") || name.contains("age1") || name.contains("ssh")
            );
        }
    }
    // But for capitals and hyphens it would be somebody whom the policy lists.
    let document = world.pack(&["--for", "LAB"]);
    assert_eq!((exit(&document), codes(&document)), (2, vec!["recipient-misspelt"]));
    assert!(said(&document).contains("--for lab"), "{document:#}");
    assert!(!world.desk.path("out").exists());
    // A near miss is signed as it is, since it may be somebody else; but not without a word.
    let near = world.pack(&["--for", "presss"]);
    assert!(near["result"]["handling"]["warnings"].to_string().contains("did you mean `press`?"), "{near:#}");
}

#[test]
fn field_h1_addressees_are_shown_wherever_a_bundle_is_shown() {
    let world = World::new();
    let packed = world.pack(&["--for", "Example Lab"]);
    // One name, whichever was given.
    assert_eq!(packed["result"]["bundle"]["addressees"], serde_json::json!(["lab"]), "{packed:#}");
    world.lab_trusts("ada", "owner");
    let shows = |arguments: &[&str]| {
        let output = world.desk.consign(arguments.iter().copied()).output().unwrap();
        let text = written_down(&output);
        assert!(text.lines().any(|line| line.trim().starts_with("for ") && line.contains(" lab")), "{text}");
    };
    shows(&["preflight", "data", "--for", "lab"]);
    shows(&["inspect", "out"]);
    shows(&["verify", "out", "--key", "ada.pub"]);
    shows(&["unpack", "out", "unpacked", "--key", "ada.pub"]);
    shows(&["sign", "out", "--key", "bob", "--yes"]);
    shows(&["submit", "out", "--to", "lab"]);
    world.trust("ada", "owner", &[]);
    shows(&["receive", "inbox", "--dry-run"]);
    let verified = world.lab(&["verify", "inbox", "--policy", "home/lab.toml"]);
    assert_eq!(exit(&verified), 1, "the file is elsewhere: {verified:#}");
    let home = world.desk.home().join("lab.toml");
    let verified = world.lab(&["verify", "inbox", "--policy", home.to_str().unwrap()]);
    assert_eq!(
        (exit(&verified), verified["result"]["bundles"][0]["bundle"]["addressees"][0].as_str()),
        (0, Some("lab"))
    );
}

#[test]
fn field_h2_unchanged_means_the_whole_statement() {
    let world = World::new();
    assert_eq!(exit(&world.pack(&["--for", "press"])), 0);
    assert_eq!(world.pack(&["--for", "press"])["result"]["status"], "unchanged");
    let signed = world.desk.read("out/small-1.0.0.intoto.jsonl");
    for (more, said_otherwise) in [
        (&["--for", "lab"][..], "it is for `press`, not for `lab`"),
        (&[][..], "it is for `press`, not for nobody in particular"),
        (&["--for", "press", "--role", "release"][..], "signed it as owner, not as release"),
        (
            &["--for", "press", "--override", "fields", "--reason", "why not"][..],
            "it sets aside no rule, not `fields`",
        ),
    ] {
        let document = world.pack(more);
        assert_eq!(
            (exit(&document), codes(&document)),
            (1, vec!["statement-differs"]),
            "{more:?} {document:#}"
        );
        assert!(said(&document).contains(said_otherwise), "{document:#}");
        assert_eq!(world.desk.read("out/small-1.0.0.intoto.jsonl"), signed);
    }
    // Somebody else's key sees the difference too.
    let document = world.json(&["pack", "data", "-o", "out", "--key", "bob", "--for", "lab"]);
    assert_eq!(codes(&document), ["statement-differs"]);
    // A directory that is sealed has the question as well.
    world.desk.succeed(["seal", "data", "-o", "sealed", "--key", "ada", "--for", "press"]);
    let document = world.json(&["seal", "data", "-o", "sealed", "--key", "ada", "--for", "lab"]);
    assert!(said(&document).contains("it is for `press`, not for `lab`"), "{document:#}");
    // The hint mends it.
    fs::remove_file(world.desk.path("out/small-1.0.0.intoto.jsonl")).unwrap();
    assert_eq!(exit(&world.pack(&["--for", "lab"])), 0);
    // Where it was handed over with another statement, it is said which.
    fs::create_dir(world.desk.path("place")).unwrap();
    assert_eq!(exit(&world.json(&["submit", "out", "--to", "place"])), 0);
    world.desk.succeed(["pack", "data", "-o", "other", "--key", "ada", "--for", "press"]);
    let document = world.json(&["submit", "other", "--to", "place"]);
    assert_eq!((exit(&document), codes(&document)), (1, vec!["taken"]));
    assert!(said(&document).contains("it is for `lab`, not for `press`"), "{document:#}");
}

#[test]
fn field_h3_a_missing_signature_is_explained_and_trust_set_mends_it() {
    let world = World::new();
    world.describe("restricted", "license: MIT\n");
    assert_eq!(exit(&world.pack(&["--for", "lab"])), 0);
    world.desk.succeed(["sign", "out", "--key", "bob", "--yes"]);
    world.trust("ada", "owner", &[]);
    world.trust("bob", "release", &[]);
    let document = world.json(&["submit", "out", "--to", "lab"]);
    assert_eq!((exit(&document), codes(&document)), (5, vec!["policy-signatures"]));
    let text = said(&document);
    assert!(
        text.contains("does not say whose keys `ada`, `bob` are") && text.contains("one person's"),
        "{text}"
    );
    for name in ["ada", "bob"] {
        let command = format!("consign trust set --owner PERSON -- {name}");
        assert!(text.contains(&command), "{text}");
        // The command works as it is pasted, with the person filled in.
        let words = command.replace("PERSON", name);
        world.desk.succeed(words.split(' ').skip(1));
    }
    let before = fs::read_to_string(world.desk.home().join("trust.toml")).unwrap();
    assert!(before.starts_with("# Whose signatures count"), "{before}");
    assert_eq!(exit(&world.json(&["submit", "out", "--to", "lab"])), 0);

    // One owner for both is another cause, and is told as such; on the side that verifies as well.
    world.desk.succeed(["trust", "set", "bob", "--owner", "ada"]);
    let document = world.json(&["verify", "out"]);
    assert_eq!(codes(&document), ["policy-signatures"]);
    let text = said(&document);
    assert!(text.contains("`ada`, `bob` are all held by `ada`") && text.contains("ask the sender"), "{text}");
    // A role that the key does not have is told with the one command.
    world.desk.succeed(["trust", "set", "bob", "--owner", "Bob", "--role", "auditor"]);
    let text = said(&world.json(&["verify", "out"]));
    assert!(text.contains("`bob` signed as release, which does not count"), "{text}");
    assert!(text.contains("consign trust set --add-role release -- bob"), "{text}");
    world.desk.succeed(["trust", "set", "--add-role", "release", "--", "bob"]);
    assert_eq!(exit(&world.json(&["verify", "out"])), 0);
}

#[test]
fn field_h3_trust_set_changes_what_is_named_and_nothing_else() {
    let world = World::at(Desk::recording());
    world.trust("ada", "owner", &["--organization", "Here"]);
    let path = world.desk.home().join("trust.toml");
    let text = fs::read_to_string(&path).unwrap().replace("[[key]]", "# By telephone.\n[[key]]");
    fs::write(&path, text).unwrap();
    let set = |more: &[&str]| world.json(&[&["trust", "set", "ada"][..], more].concat());
    let changed = set(&["--owner", "Ada \"A.\" Lovelace", "--not-after", "2099-01-01T00:00:00Z"]);
    assert_eq!(changed["result"]["status"], "changed", "{changed:#}");
    let card = &changed["result"]["key"];
    assert_eq!((&card["owner"], &card["organization"]), (&"Ada \"A.\" Lovelace".into(), &"Here".into()));
    assert_eq!(set(&["--owner", "Ada \"A.\" Lovelace"])["result"]["status"], "unchanged");
    assert!(fs::read_to_string(&path).unwrap().contains("# By telephone."));
    let told = world.desk.succeed(["ledger", "list", "--event", "trust_changed"]);
    assert!(told.contains("changed ada"), "{told}");
    // What cannot be.
    assert_eq!(exit(&set(&[])), 2);
    assert_eq!(exit(&set(&["--role", "owner", "--role", "owner"])), 2);
    assert_eq!(exit(&set(&["--not-before", "2099-02-01T00:00:00Z"])), 2);
    let unknown = world.json(&["trust", "set", "adaa", "--owner", "x"]);
    assert_eq!((exit(&unknown), codes(&unknown)), (1, vec!["trust-unknown"]));
    // A key that was revoked stays so.
    world.desk.succeed(["trust", "revoke", "ada", "--reason", "compromised"]);
    assert!(set(&["--owner", "Eve"])["result"]["key"].to_string().contains("compromised"));
}

#[test]
fn field_h4_the_first_submit_needs_no_trust_in_oneself() {
    let world = World::new();
    assert_eq!(exit(&world.pack(&["--for", "lab"])), 0);
    assert_eq!(exit(&world.json(&["submit", "out", "--to", "lab"])), 0);
    // For verifying, nobody trusts themselves by having signed: what a recipient would hear stays what it was.
    assert_eq!(exit(&world.json(&["verify", "out"])), 4);
    // A stranger's bundle is not one's own; the hint speaks to the sender, and of no SENDER.pub.
    let elsewhere = Desk::new();
    elsewhere.key("eve");
    let data = world.desk.path("data");
    elsewhere.succeed(["pack", data.to_str().unwrap(), "-o", "out", "--key", "eve"]);
    let foreign = elsewhere.path("out");
    let document = world.json(&["submit", foreign.to_str().unwrap(), "--to", "lab"]);
    assert_eq!(exit(&document), 4);
    let text = said(&document);
    assert!(text.contains("your trust does not list the key") && !text.contains("SENDER"), "{text}");
    // The second signer's machine: their own key is theirs there, and the first one's is named as what it is.
    world.describe("restricted", "license: MIT\n");
    world.desk.succeed(["pack", "data", "-o", "second", "--key", "ada", "--for", "lab"]);
    let home = world.desk.path("bobs");
    let bobs = |arguments: &[&str]| {
        let mut command = world.desk.consign(arguments.iter().copied());
        command.env("CONSIGN_HOME", &home).arg("--json").output().unwrap()
    };
    fs::create_dir(&home).unwrap();
    for file in ["policy.toml", "lab.toml"] {
        fs::copy(world.desk.home().join(file), home.join(file)).unwrap();
    }
    assert!(bobs(&["sign", "second", "--key", "bob", "--yes"]).status.success());
    let document: Value = serde_json::from_slice(&bobs(&["submit", "second", "--to", "lab"]).stdout).unwrap();
    assert_eq!((exit(&document), codes(&document)), (5, vec!["policy-signatures"]));
    let text = said(&document);
    assert!(
        text.contains("signed as owner, which does not count") && text.contains("--role owner"),
        "{text}"
    );
    // A key that trust calls compromised is not made good by having signed here.
    world.trust("ada", "owner", &["--owner", "Ada"]);
    world.desk.succeed(["trust", "revoke", "ada", "--reason", "compromised"]);
    fs::create_dir(world.desk.path("elsewhere")).unwrap();
    assert_eq!(exit(&world.json(&["submit", "out", "--to", "elsewhere"])), 4);
}

#[test]
fn field_h5_preflight_pack_and_submit_say_the_same_at_once() {
    let world = World::new();
    let identity = |name: &str| -> String {
        world.desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", name]);
        world.desk.read(&format!("{name}.pub")).trim().to_owned()
    };
    let (lab, approver) = (identity("lab.id"), identity("approver.id"));
    let policy = POLICY
        .replace("name = \"internal\"\n", "name = \"internal\"\nencryption = \"required\"\nalso_encrypt_to = [\"approver\"]\nfields = { all = [\"title\"] }\n")
        .replace("name = \"press\"\n", &format!("name = \"approver\"\nencrypt_to = [\"{approver}\"]\n"))
        .replace("laboratory = \"lab.toml\"", &format!("laboratory = \"lab.toml\"\nencrypt_to = [\"{lab}\"]"));
    fs::write(world.desk.home().join("policy.toml"), &policy).unwrap();
    world.describe("internal", "license: GPL-3.0\n");
    let terms = ["--for", "lab", "--encrypt-to", "lab"];
    let foreseen = world.json(&[&["preflight", "data"][..], &terms].concat());
    let packed = world.pack(&terms);
    // The own policy and the laboratory's, in one go; and whoever always joins is joined in both.
    assert_eq!(codes(&foreseen), ["policy-fields", "policy-license"], "{foreseen:#}");
    assert_eq!(codes(&packed), codes(&foreseen));
    assert_eq!(said(&packed), said(&foreseen));
    assert!(!said(&packed).contains("tell the sender"), "{packed:#}");
    world.describe("internal", "license: MIT\ntitle: t\n");
    assert_eq!(exit(&world.json(&[&["preflight", "data"][..], &terms].concat())), 0);
    let packed = world.pack(&terms);
    assert_eq!(
        (exit(&packed), packed["result"]["laboratories"].as_array().map(Vec::len)),
        (0, Some(1)),
        "{packed:#}"
    );
    // What the laboratory has changed since, submit hears.
    fs::write(world.desk.home().join("lab.toml"), LAB.replace("MIT", "BSD-3-Clause")).unwrap();
    let submit = ["submit", "out", "--to", "lab", "--identity", "approver.id"];
    let document = world.json(&submit);
    assert_eq!((exit(&document), codes(&document)), (5, vec!["policy-license"]), "{document:#}");
    fs::write(world.desk.home().join("lab.toml"), LAB).unwrap();
    assert_eq!(exit(&world.json(&submit)), 0);
    // A file of the policy that is not there is said to be the recipient's.
    fs::remove_file(world.desk.home().join("lab.toml")).unwrap();
    let document = world.json(&[&["preflight", "data"][..], &terms].concat());
    assert!(exit(&document) == 1 && said(&document).contains("recipient `lab`"), "{document:#}");
}

#[test]
fn field_h5_what_the_descriptor_lacks_and_what_policies_say_come_in_one_round() {
    let world = World::new();
    world.desk.write("data/consign.yaml", "name: small\nkind: dataset\nclassification: internal\n");
    let document = world.json(&["preflight", "data", "--for", "lab"]);
    let all = ["missing-field", "missing-field", "missing-field", "policy-license"];
    assert_eq!((exit(&document), codes(&document)), (5, all.to_vec()), "{document:#}");
    // Without anything to refuse it is the descriptor that is wrong; and what a policy depends on has no stand-in.
    world
        .desk
        .write("data/consign.yaml", "name: small\nkind: dataset\nclassification: internal\nlicense: MIT\n");
    assert_eq!(exit(&world.json(&["preflight", "data", "--for", "lab"])), 2);
    world.desk.write("data/consign.yaml", "name: small\nkind: dataset\n");
    let document = world.json(&["preflight", "data", "--for", "lab"]);
    assert!(exit(&document) == 2 && document["result"].is_null(), "{document:#}");
}

#[test]
fn field_h5_what_the_desk_says_to_senders_and_recipients_is_in_their_words() {
    let world = World::new();
    let desk = &world.desk;
    desk.write("theirs.toml", LAB.replace("[\"lab\"]", "[\"other\"]"));
    let document = world.json(&["preflight", "data", "--for", "press", "--laboratory", "theirs.toml"]);
    assert_eq!(codes(&document), ["policy-not-addressed"]);
    assert!(said(&document).contains("address it to them: `--for other`"), "{document:#}");
    world.pack(&["--for", "press"]);
    let verified = world.json(&["verify", "out", "--key", "ada.pub", "--policy", "theirs.toml"]);
    assert!(said(&verified).contains("tell the sender that it went astray"), "{verified:#}");
    desk.write("strict.toml", LAB.replace("MIT", "X11"));
    let verified = world.json(&["verify", "out", "--key", "ada.pub", "--policy", "strict.toml"]);
    assert!(said(&verified).contains("tell the sender: it takes `X11`"), "{verified:#}");
}

#[test]
fn field_h6_a_desk_without_trust_signs_nothing() {
    let world = World::new();
    world.pack(&["--for", "lab"]);
    world.json(&["submit", "out", "--to", "lab"]);
    let receive = ["receive", "inbox", "--key", "labkey", "--receipts", "receipts", "--unpack-to", "taken"];
    let document = world.lab(&receive);
    assert_eq!((exit(&document), codes(&document)), (4, vec!["no-trust"]));
    assert!(!world.desk.path("receipts").exists() && !world.desk.path("taken").exists());
    // Looking needs no key and leaves nothing, whatever it finds.
    let before = names(&world.desk.dir());
    let dry = world.lab(&["receive", "inbox", "--dry-run", "--unpack-to", "taken", "--receipts", "receipts"]);
    assert_eq!(
        (exit(&dry), dry["result"]["bundles"][0]["verdict"].as_str()),
        (4, Some("refused")),
        "{dry:#}"
    );
    world.lab_trusts("ada", "owner");
    let dry = world.lab(&["receive", "inbox", "--dry-run", "--unpack-to", "taken"]);
    assert_eq!(
        (exit(&dry), dry["result"]["bundles"][0]["verdict"].as_str()),
        (0, Some("accepted")),
        "{dry:#}"
    );
    assert_eq!((names(&world.desk.dir()), names(&world.desk.path("inbox")).len()), (before, 3));
    assert!(!world.laboratory.join("verified.jsonl").exists() && !world.laboratory.join("unpacked").exists());
    // A trust file with nobody in it trusts nobody.
    let document = world.lab(&["trust", "remove", "ada"]);
    assert_eq!(exit(&document), 0);
    assert_eq!(codes(&world.lab(&receive)), ["no-trust"]);
}

#[test]
fn field_h7_a_corrected_version_is_for_those_whom_the_old_one_was_for() {
    let world = World::new();
    world.pack(&["--for", "lab"]);
    let text = world.desk.read("data/consign.yaml").replace("1.0.0", "1.0.1") + "title: corrected\n";
    world.desk.write("new.yaml", text);
    let amend = ["amend", "out", "--descriptor", "new.yaml", "-o", "out2", "--key", "ada"];
    let amended = world.json(&amend);
    assert_eq!(
        (exit(&amended), amended["result"]["bundle"]["addressees"][0].as_str()),
        (0, Some("lab")),
        "{amended:#}"
    );
    assert_eq!(world.json(&["inspect", "out2"])["result"]["bundle"]["addressees"][0], "lab");
    let others = ["amend", "out", "--descriptor", "new.yaml", "-o", "out3", "--key", "ada", "--for", "press"];
    assert_eq!(world.json(&others)["result"]["bundle"]["addressees"], serde_json::json!(["press"]));
}

#[test]
fn field_h8_a_revocation_travels_and_puts_aside_what_was_unpacked() {
    let world = World::at(Desk::recording());
    let desk = &world.desk;
    world.pack(&["--for", "lab"]);
    world.json(&["submit", "out", "--to", "lab"]);
    world.lab_trusts("ada", "owner");
    let receive = ["receive", "inbox", "--key", "labkey", "--receipts", "receipts", "--unpack-to", "taken"];
    assert_eq!(exit(&world.lab(&receive)), 0);
    let elsewhere = world.lab(&["unpack", "inbox", "by-hand"]);
    assert_eq!(exit(&elsewhere), 0, "{elsewhere:#}");
    desk.succeed(["revoke", "out", "--reason", "the data were wrong", "--key", "ada"]);
    // To somebody who never had it nothing goes; to whoever has it, that it was taken back.
    fs::create_dir(desk.path("never")).unwrap();
    let document = world.json(&["submit", "out", "--to", "never"]);
    assert_eq!(
        (exit(&document), codes(&document), names(&desk.path("never")).len()),
        (4, vec!["bundle-revoked"], 0)
    );
    // Also if the inbox has been emptied since.
    for name in names(&desk.path("inbox")) {
        fs::rename(desk.path("inbox").join(&name), desk.path(&format!("archive-{name}"))).unwrap();
    }
    let dry = world.json(&["submit", "out", "--to", "lab", "--dry-run"]);
    assert_eq!((exit(&dry), names(&desk.path("inbox")).len()), (0, 0), "{dry:#}");
    let document = world.json(&["submit", "out", "--to", "lab"]);
    assert_eq!(
        (exit(&document), names(&desk.path("inbox"))),
        (0, vec!["small-1.0.0.revocation.intoto.jsonl".to_owned()])
    );
    assert_eq!(
        world.json(&["submit", "out", "--to", "lab"])["result"]["revocation"][0]["status"],
        "unchanged"
    );

    // The desk tells where the content is, and puts it aside.
    let dry = world.lab(&["receive", "inbox", "--dry-run"]);
    assert_eq!(exit(&dry), 0, "{dry:#}");
    assert!(desk.path("taken/small-1.0.0").is_dir(), "nothing is moved");
    let document = world.lab(&receive);
    assert_eq!(exit(&document), 0, "{document:#}");
    let revocation = &document["result"]["revocations"][0];
    assert_eq!((&revocation["counts"], &revocation["reason"]), (&true.into(), &"the data were wrong".into()));
    assert_eq!(revocation["quarantined"].as_array().unwrap().len(), 2, "{document:#}");
    for place in ["taken/small-1.0.0", "by-hand"] {
        assert!(!desk.path(place).exists());
        let aside = desk.path(&format!("{place}.revoked"));
        assert_eq!(fs::read_to_string(aside.join("a.csv")).unwrap(), "x,y\n1,2\n");
        assert_eq!(mode(&aside), 0o700);
        assert!(revocation["quarantined"].to_string().contains(aside.to_str().unwrap()), "{document:#}");
    }
    // It binds from now on, also where the revocation is not at hand; and again there is nothing left to move.
    fs::remove_file(desk.path("inbox/small-1.0.0.revocation.intoto.jsonl")).unwrap();
    let verified = world.lab(&["verify", "archive-small-1.0.0.tar.zst"]);
    assert_eq!(exit(&verified), 4, "{verified:#}");
    let told = desk.consign(["ledger", "list"]).env("CONSIGN_HOME", &world.laboratory).output().unwrap();
    assert!(written_down(&told).contains("bundle_revoked"), "{}", written_down(&told));
}

#[test]
fn field_h8_a_strangers_revocation_moves_nothing() {
    let world = World::new();
    let desk = &world.desk;
    world.pack(&["--for", "lab"]);
    world.json(&["submit", "out", "--to", "lab"]);
    world.lab_trusts("ada", "owner");
    world.lab_trusts("bob", "release");
    let receive = ["receive", "inbox", "--key", "labkey", "--receipts", "receipts", "--unpack-to", "taken"];
    assert_eq!(exit(&world.lab(&receive)), 0);
    desk.key("eve");
    // Nobody whom the desk knows, and somebody who is known and did not sign it.
    for key in ["eve", "bob"] {
        let _ = fs::remove_file(desk.path("out/small-1.0.0.revocation.intoto.jsonl"));
        desk.succeed(["revoke", "out", "--reason", "mischief", "--key", key, "-o", "said"]);
        fs::rename(
            desk.path("said/small-1.0.0.revocation.intoto.jsonl"),
            desk.path(&format!("inbox/{key}.revocation.intoto.jsonl")),
        )
        .unwrap();
    }
    // And a file that is none.
    desk.write("inbox/broken.revocation.intoto.jsonl", "{}\n");
    let document = world.lab(&receive);
    assert_eq!(exit(&document), 3, "what is broken is told: {document:#}");
    let revocations = document["result"]["revocations"].as_array().unwrap();
    assert!(revocations.len() == 2 && revocations.iter().all(|one| one["counts"] == false), "{document:#}");
    assert!(desk.path("taken/small-1.0.0").is_dir());
    // A link in the place of what was unpacked is not followed.
    desk.succeed(["revoke", "out", "--reason", "really", "--key", "ada", "-o", "inbox"]);
    fs::rename(desk.path("taken/small-1.0.0"), desk.path("moved")).unwrap();
    std::os::unix::fs::symlink(desk.path("data"), desk.path("taken/small-1.0.0")).unwrap();
    fs::remove_file(desk.path("inbox/broken.revocation.intoto.jsonl")).unwrap();
    let document = world.lab(&["receive", "inbox/small-1.0.0.revocation.intoto.jsonl", "--key", "labkey"]);
    assert_eq!(exit(&document), 0, "{document:#}");
    assert!(
        desk.path("taken/small-1.0.0").symlink_metadata().unwrap().is_symlink() && desk.path("data").is_dir()
    );
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn field_h9_revoke_and_publish_take_every_kind_of_key() {
    let world = World::new();
    world.pack(&[]);
    world.trust("ada", "owner", &[]);
    // No agent is there: what is said is about an agent, not about a file of that name.
    for key in ["ssh-agent:ada", "pkcs11:token=none", "exec:nobody"] {
        let document = world.json(&["revoke", "out", "--reason", "x", "--key", key]);
        assert!(!said(&document).contains("No such file") && exit(&document) != 0, "{document:#}");
        assert_ne!(codes(&document), ["unreadable"], "{document:#}");
        let document = world.json(&["trust", "export", "--key", key, "-o", "t.trust.intoto.jsonl"]);
        assert!(!said(&document).contains("No such file"), "{document:#}");
    }
}

#[test]
fn field_h10_a_name_is_found_among_what_this_machine_knows() {
    let world = World::at(Desk::recording());
    let packed = world.pack(&[]);
    let sha256 = packed["result"]["archive"]["sha256"].clone();
    fs::remove_dir_all(world.desk.path("out")).unwrap();
    for named in ["small@1.0.0", packed["result"]["bundle"]["id"].as_str().unwrap()] {
        let document = world.json(&["reconstruct", named, "--from", "data", "-o", "again", "--no-store"]);
        assert_eq!(exit(&document), 0, "{document:#}");
        assert!(document.to_string().contains(sha256.as_str().unwrap()), "{document:#}");
        fs::remove_dir_all(world.desk.path("again")).unwrap();
    }
    // A copy that somebody changed is none.
    let known = world.desk.home().join("known");
    for name in names(&known).iter().filter(|name| name.ends_with(".manifest.json")) {
        bundles::append(&known.join(name), b" ").unwrap();
    }
    let document = world.json(&["reconstruct", "small@1.0.0", "--from", "data", "-o", "again", "--no-store"]);
    assert_eq!(codes(&document), ["unknown-bundle"], "{document:#}");
}

#[test]
#[cfg(target_os = "linux")]
fn field_h11_days_count_whole_and_one_recipient_has_one_name() {
    let world = World::at(Desk::recording());
    let desk = &world.desk;
    world.pack(&["--for", "lab"]);
    // Before the policy had a word for it: by folder, by another name of the folder, by destination, by recipient.
    for (day, to, policy) in [
        ("2026-10-31", "inbox", "format = 1\nname = \"none\"\n[[level]]\nname = \"internal\"\n"),
        ("2026-11-01", "lab-inbox", POLICY),
        ("2026-11-30", "lab", POLICY),
        ("2026-12-01", "Example Lab", POLICY),
    ] {
        fs::write(desk.home().join("policy.toml"), policy).unwrap();
        fs::remove_dir_all(desk.path("inbox")).unwrap();
        fs::create_dir(desk.path("inbox")).unwrap();
        let mut command = desk.consign(["submit", "out", "--to", to]);
        let output = support::under_a_clock(&mut command, day).output().unwrap();
        assert!(output.status.success(), "{}", written_down(&output));
    }
    fs::write(desk.home().join("policy.toml"), POLICY).unwrap();
    let submitted = |more: &[&str]| {
        let document = world.json(&[&["ledger", "list", "--event", "submitted"][..], more].concat());
        assert_eq!(exit(&document), 0, "{document:#}");
        document["result"]["entries"].as_array().unwrap().len()
    };
    assert_eq!(submitted(&["--since", "2026-11-01", "--until", "2026-11-30"]), 2);
    assert_eq!(submitted(&["--month", "2026-11"]), 2);
    assert_eq!(submitted(&["--month", "2026-12"]), 1);
    assert_eq!(submitted(&["--until", "2026-11-01T09:00:01Z"]), 2);
    assert_eq!(submitted(&["--until", "2026-10-30"]), 0);
    for to in ["lab", "Example Lab", "Example Laboratory", "lab-inbox", "inbox"] {
        assert_eq!(submitted(&["--to", to]), 4, "{to}");
    }
    assert_eq!(submitted(&["--to", "press"]), 0);
    for wrong in ["2026-13", "2026-1", "2026", "november", "99999-01", "2026-00"] {
        assert_eq!(exit(&world.json(&["ledger", "list", "--month", wrong])), 2, "{wrong}");
    }
    assert_eq!(exit(&world.json(&["ledger", "list", "--month", "2026-11", "--until", "2026-11-02"])), 2);
}

#[test]
fn field_h12_folders_are_made_where_they_are_ours_and_a_mistyped_place_is_told() {
    let world = World::new();
    world.pack(&["--for", "lab"]);
    for (to, hint) in [
        ("labb", "did you mean `lab`?"),
        ("lab-inbx", "did you mean `lab-inbox`?"),
        ("zzz", "the policy knows"),
    ] {
        let document = world.json(&["submit", "out", "--to", to]);
        assert_eq!((exit(&document), codes(&document)), (2, vec!["no-destination"]));
        let text = said(&document);
        assert!(text.contains(hint) && !text.contains("mkdir"), "{text}");
        assert!(!world.desk.path(to).exists());
    }
    let document = world.json(&["submit", "out", "--to", "press"]);
    assert!(said(&document).contains("no `[[destination]]` where they read"), "{document:#}");
    fs::remove_dir(world.desk.path("inbox")).unwrap();
    let document = world.json(&["submit", "out", "--to", "lab"]);
    assert_eq!((exit(&document), codes(&document)), (1, vec!["no-destination"]), "{document:#}");
    fs::create_dir(world.desk.path("inbox")).unwrap();
    assert_eq!(exit(&world.json(&["submit", "out", "--to", "lab"])), 0);
    world.lab_trusts("ada", "owner");
    let received =
        world.lab(&["receive", "inbox", "--key", "labkey", "--receipts", "r/e", "--unpack-to", "u/n"]);
    assert_eq!(exit(&received), 0, "{received:#}");
    assert!(world.desk.path("u/n/small-1.0.0").is_dir() && names(&world.desk.path("r/e")).len() == 1);
}

#[test]
fn field_h13_what_is_closed_is_unpacked_for_its_owner_alone() {
    let desk = Desk::new();
    desk.key("ada");
    let levels = |encryption: &str| {
        format!("format = 1\nname = \"p\"\n[[level]]\nname = \"internal\"\nencryption = \"{encryption}\"\n")
    };
    desk.write("closed.toml", levels("required"));
    desk.write("open.toml", levels("optional"));
    desk.write("data/sub/run.sh", "true\n");
    fs::set_permissions(desk.path("data/sub/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    desk.write("data/a", "a");
    desk.write("data/consign.yaml", descriptor("small", "1.0.0"));
    desk.succeed(["pack", "data", "-o", "out", "--key", "ada", "--policy", "open.toml"]);
    let unpack = |into: &str, more: &[&str]| {
        let command = [&["unpack", "out", into, "--key", "ada.pub"][..], more].concat();
        desk.shell(&format!("umask 022; exec \"$1\" {}", command.join(" ")), &[support::consign()]);
        ["", "sub", "a", "sub/run.sh"].map(|path| mode(&desk.path(into).join(path)))
    };
    assert_eq!(unpack("opened", &["--policy", "open.toml"]), [0o755, 0o755, 0o644, 0o755]);
    assert_eq!(unpack("closed", &["--policy", "closed.toml"]), [0o700, 0o700, 0o600, 0o700]);
    desk.shell(
        "umask 022; \"$1\" unpack out bag --bag --key ada.pub --policy closed.toml",
        &[support::consign()],
    );
    for (path, expected) in
        [("", 0o700), ("data", 0o700), ("data/a", 0o600), ("bagit.txt", 0o600), ("consign", 0o700)]
    {
        assert_eq!(mode(&desk.path("bag").join(path)), expected, "{path}");
    }
}

#[test]
fn field_h14_one_bundle_object_and_bare_digests_in_every_command() {
    let world = World::new();
    let packed = world.pack(&["--for", "lab"]);
    let bundle = packed["result"]["bundle"].clone();
    assert_eq!((&bundle["name"], &bundle["addressees"][0]), (&"small".into(), &"lab".into()), "{packed:#}");
    assert!(bundle["id"].as_str().unwrap().starts_with("sha256:"));
    world.lab_trusts("ada", "owner");
    world.trust("ada", "owner", &[]);
    let documents = [
        ("/result/bundle", world.json(&["preflight", "data", "--for", "lab"])),
        ("/result/bundle", world.json(&["inspect", "out"])),
        ("/result/bundle", world.json(&["sign", "out", "--key", "bob", "--yes"])),
        ("/result/bundles/0/bundle", world.json(&["verify", "out"])),
        ("/result/bundle", world.json(&["unpack", "out", "unpacked"])),
        ("/result/bundle", world.json(&["submit", "out", "--to", "lab"])),
        ("/result/bundles/0/bundle", world.lab(&["receive", "inbox", "--key", "labkey"])),
        ("/result/bundle", world.json(&["seal", "data", "-o", "sealed", "--key", "ada", "--for", "lab"])),
        ("/result/bundle", world.json(&["revoke", "out", "--reason", "x", "--key", "ada"])),
    ];
    for (place, document) in documents {
        let found = document.pointer(place).unwrap_or_else(|| panic!("{place}: {document:#}"));
        for member in ["name", "version", "classification", "addressees"] {
            assert_eq!(found[member], bundle[member], "{member}: {document:#}");
        }
        let id = &found["id"];
        // Before packing there is none, and a sealed directory holds its descriptor too.
        let other = document["command"] == "preflight" || document["command"] == "seal";
        assert!(*id == bundle["id"] || other, "{document:#}");
        let result = &document["result"];
        assert!(result["bundle_id"].is_null() && result["name"].is_null(), "{document:#}");
        digests_are_bare(&document);
    }
}

/// Every member that is called after SHA-256 is 64 hexadecimal digits.
fn digests_are_bare(value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if name.ends_with("sha256")
                    && let Some(text) = value.as_str()
                {
                    let bare = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                    assert!(bare, "{name}: {text}");
                }
                digests_are_bare(value);
            }
        }
        Value::Array(list) => list.iter().for_each(digests_are_bare),
        _ => {}
    }
}

#[test]
fn field_h15_no_command_holds_a_fingerprint_that_nobody_compared() {
    let world = World::new();
    let print = world.fingerprint("ada");
    // A role that a stranger chose is not pasted either.
    world.desk.succeed(["pack", "data", "-o", "out", "--key", "ada", "--role", "revoker"]);
    let bare = world.desk.path("bare");
    fs::create_dir(&bare).unwrap();
    world.trust("bob", "owner", &[]);
    for (command, trusting) in [
        (&["verify", "out"][..], false),
        (&["verify", "out"], true),
        (&["unpack", "out", "x"], true),
        (&["submit", "out", "--to", "lab"], true),
        (&["receive", "out", "--key", "labkey"], true),
    ] {
        let mut child = world.desk.consign(command.iter().copied());
        let home = if trusting { world.desk.home() } else { bare.clone() };
        // At the sender's, the own key is known; here it is a stranger's.
        let _ = fs::remove_file(home.join("own-keys.toml"));
        let text = written_down(&child.env("CONSIGN_HOME", home).output().unwrap());
        for line in text.lines().filter(|line| line.contains("consign trust")) {
            assert!(!line.contains(&print), "{command:?}: {text}");
            assert!(!line.contains("revoker"), "{command:?}: {text}");
        }
        assert!(text.contains("SHA256:<the one you were told>"), "{command:?}: {text}");
    }
}

#[test]
fn field_h16_weak_passphrases_help_and_a_declined_signature() {
    let world = World::at(Desk::recording());
    let desk = &world.desk;
    for weak in ["pw", "letmein", "aaaaaaaaaaaaaaaa", "abcabcabcabcabc", "12345678901"] {
        desk.write("pass", format!("{weak}\n"));
        for kind in [&[][..], &["--encryption"]] {
            let document =
                world.json(&[&["keygen", "-o", "new", "--passphrase-file", "pass"][..], kind].concat());
            assert_eq!((exit(&document), codes(&document)), (2, vec!["passphrase-weak"]), "{weak}");
            assert!(!document.to_string().contains(weak) && !desk.path("new").exists());
        }
    }
    desk.write("pass", "καλημέρα κόσμε\n");
    assert_eq!(exit(&world.json(&["keygen", "-o", "new", "--passphrase-file", "pass"])), 0);
    assert_eq!(desk.succeed(["help", "verify"]), desk.succeed(["verify", "--help"]));
    assert!(desk.succeed(["help", "trust", "set"]).contains("--owner"));
    assert_eq!(exit(&world.json(&["help", "verifyy"])), 2);

    // Asked on a terminal, the answer is no.
    world.pack(&[]);
    let consign = support::consign().to_str().unwrap();
    let script = format!("{consign} sign out --key bob --role release");
    let output = desk
        .program("script")
        .args(["-qec", &script, "/dev/null"])
        .env("CONSIGN_HOME", desk.home())
        .write_stdin("n\n")
        .output()
        .expect("this test needs `script` (bsdutils)");
    assert!(!output.status.success(), "{}", written_down(&output));
    let refused = world.json(&["ledger", "list", "--event", "refused"]);
    let entries = refused["result"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{refused:#}\n{}", written_down(&output));
    assert_eq!(entries[0]["event"]["metadata"]["step"], "sign");
    assert!(entries[0].to_string().contains("not-confirmed"), "{refused:#}");
}
