//! Trust that somebody publishes: taken over on confirmation, then version by version, never back.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;

use serde_json::Value;
use support::Desk;

const EXPIRES: &str = "2999-01-01T00:00:00Z";

fn print(desk: &Desk, key: &str) -> String {
    let card = desk.json(["id", "--key", &format!("{key}.pub")]);
    card["result"]["fingerprint"].as_str().unwrap().to_owned()
}

/// Writes a trust file `NAME.toml` of that version, with root keys, and other keys as owners.
fn file(desk: &Desk, name: &str, version: u64, expires: &str, root: &[&str], threshold: u32, keys: &[&str]) {
    let names: Vec<_> = root.iter().map(|name| format!("\"{name}\"")).collect();
    let mut text = format!(
        "format = 1\nname = \"acme\"\nversion = {version}\nexpires = {expires}\n\n\
         [root]\nkeys = [{}]\nthreshold = {threshold}\n",
        names.join(", ")
    );
    for (names, role) in [(root, "root"), (keys, "owner")] {
        for name in names {
            let card = desk.json(["id", "--key", &format!("{name}.pub")]);
            let line = card["result"]["openssh"].as_str().unwrap();
            text += &format!("\n[[key]]\nname = \"{name}\"\nroles = [\"{role}\"]\npublic_key = \"{line}\"\n");
        }
    }
    desk.write(&format!("{name}.toml"), text);
}

/// Signs `NAME.toml` with keys, into `NAME.trust.intoto.jsonl`.
fn export(desk: &Desk, name: &str, signers: &[&str]) -> String {
    let (toml, bundle) = (format!("{name}.toml"), format!("{name}.trust.intoto.jsonl"));
    for signer in signers {
        desk.succeed(["trust", "export", "--trust", &toml, "--key", signer, "-o", &bundle]);
    }
    bundle
}

/// A desk where `acme` has published version 1, with `root` as root and `ada` as owner, and a bundle by `ada`.
fn desk() -> (Desk, String) {
    let desk = Desk::new();
    for key in ["root", "root-2", "ada", "eve"] {
        desk.key(key);
    }
    desk.write("source/data.txt", "data\n");
    desk.write(
        "source/consign.yaml",
        "name: acme-small\nversion: 1.0.0\nkind: dataset\nclassification: public\n\
         contact: {name: Ada, email: ada@example.org}\n",
    );
    desk.succeed(["pack", "source", "-o", "out", "--key", "ada"]);
    file(&desk, "v1", 1, EXPIRES, &["root"], 1, &["ada"]);
    let bundle = export(&desk, "v1", &["root"]);
    (desk, bundle)
}

fn import<'a>(bundle: &'a str, print: &'a str) -> Vec<&'a str> {
    vec!["trust", "import", bundle, "--scope", "acme-*", "--roles", "owner", "--fingerprint", print]
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

/// Everything in the home, to see that nothing changed.
fn home(desk: &Desk) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut pending = vec![desk.home()];
    while let Some(folder) = pending.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                pending.push(path);
            } else if !path.ends_with(".lock") {
                files.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn trust_is_taken_over_and_renewed() {
    let (desk, one) = desk();
    assert_codes(&desk, &["verify", "out"], 4, &["not-trusted"]);
    let root = print(&desk, "root");
    insta::assert_snapshot!("imported", desk.transcript(import(&one, &root)));
    insta::assert_snapshot!("trust.toml", fs::read_to_string(desk.home().join("trust.toml")).unwrap());
    let document = assert_codes(&desk, &["verify", "out"], 0, &[]);
    assert_eq!(document["result"]["bundles"][0]["signatures"][0]["import"], "acme");
    assert_eq!(assert_codes(&desk, &["trust", "import", &one], 0, &[])["result"]["status"], "unchanged");
    // A new root needs the signatures of the old one and its own.
    file(&desk, "v2", 2, EXPIRES, &["root-2"], 1, &[]);
    let two = export(&desk, "v2", &["root-2"]);
    assert_codes(&desk, &["trust", "import", &two], 4, &["trust-import-signatures"]);
    export(&desk, "v2", &["root"]);
    let document = assert_codes(&desk, &["trust", "import", &two], 0, &[]);
    assert_eq!(
        (&document["result"]["status"], &document["result"]["import"]["version"]),
        (&"updated".into(), &2.into())
    );
    assert_eq!(document["result"]["import"]["root"][0], print(&desk, "root-2").as_str());
    // Version 2 no longer lists her.
    assert_codes(&desk, &["verify", "out"], 4, &["not-trusted"]);
    insta::assert_snapshot!("listed", desk.transcript(["trust", "list"]));
    let toml = fs::read_to_string(desk.home().join("trust.toml")).unwrap();
    assert!(toml.contains(&print(&desk, "root-2")) && !toml.contains(&root), "{toml}");
    // From here on the old root is nobody.
    file(&desk, "v3", 3, EXPIRES, &["root"], 1, &["ada"]);
    let three = export(&desk, "v3", &["root"]);
    assert_codes(&desk, &["trust", "import", &three], 4, &["trust-import-signatures"]);
}

#[test]
fn the_first_time_somebody_must_confirm() {
    let (desk, one) = desk();
    let (root, eve) = (print(&desk, "root"), print(&desk, "eve"));
    let before = home(&desk);
    assert_codes(&desk, &["trust", "import", &one, "--fingerprint", &root], 2, &["trust-import-scope"]);
    assert_codes(
        &desk,
        &["trust", "import", &one, "--scope", "acme-*", "--roles", "owner"],
        2,
        &["fingerprint-needed"],
    );
    assert_codes(&desk, &import(&one, &eve), 4, &["fingerprint-mismatch"]);
    assert_eq!(home(&desk), before);
    assert!(!desk.home().join("trust.toml").exists());
}

#[test]
fn f1_an_older_version_is_never_taken() {
    let (desk, one) = desk();
    let root = print(&desk, "root");
    file(&desk, "v2", 2, EXPIRES, &["root"], 1, &["ada"]);
    let two = export(&desk, "v2", &["root"]);
    assert_codes(&desk, &import(&two, &root), 0, &[]);
    let before = home(&desk);
    assert_codes(&desk, &["trust", "import", &one], 4, &["trust-import-rollback"]);
    assert_eq!(home(&desk), before);
    // Nor where the entry was taken out by hand.
    fs::write(desk.home().join("trust.toml"), "format = 1\n").unwrap();
    assert_codes(&desk, &import(&one, &root), 4, &["trust-import-rollback"]);
    assert_codes(&desk, &import(&two, &root), 0, &[]);
}

#[test]
fn f2_a_version_is_not_left_out() {
    let (desk, one) = desk();
    assert_codes(&desk, &import(&one, &print(&desk, "root")), 0, &[]);
    for version in [2, 3] {
        file(&desk, &format!("v{version}"), version, EXPIRES, &["root"], 1, &["ada"]);
        export(&desk, &format!("v{version}"), &["root"]);
    }
    let (two, three) = ("v2.trust.intoto.jsonl", "v3.trust.intoto.jsonl");
    assert_codes(&desk, &["trust", "import", three], 4, &["trust-import-gap"]);
    assert_codes(&desk, &["trust", "import", three, two], 4, &["trust-import-gap"]);
    // The same version with another content.
    file(&desk, "other", 1, EXPIRES, &["root"], 1, &["ada", "eve"]);
    let other = export(&desk, "other", &["root"]);
    assert_codes(&desk, &["trust", "import", &other], 4, &["trust-import-conflict"]);
    assert_codes(&desk, &["trust", "import", two, three], 0, &[]);
}

#[test]
fn f3_each_import_has_its_own_version_and_root() {
    let (desk, one) = desk();
    assert_codes(&desk, &import(&one, &print(&desk, "root")), 0, &[]);
    file(&desk, "beta", 1, EXPIRES, &["root-2"], 1, &["eve"]);
    let beta = export(&desk, "beta", &["root-2"]);
    let second = print(&desk, "root-2");
    let more = ["--name", "beta", "--scope", "beta-*", "--roles", "owner", "--fingerprint", &second];
    assert_codes(&desk, &[&["trust", "import", &beta][..], &more].concat(), 0, &[]);
    // Neither takes the place of the other, whatever the file calls itself.
    assert_codes(&desk, &["trust", "import", &beta], 4, &["trust-import-conflict"]);
    file(&desk, "beta-2", 2, EXPIRES, &["root-2"], 1, &["eve"]);
    let next = export(&desk, "beta-2", &["root-2"]);
    assert_codes(&desk, &["trust", "import", &next], 4, &["trust-import-signatures"]);
    assert_codes(&desk, &["trust", "import", &next, "--name", "beta"], 0, &[]);
    assert_codes(&desk, &["trust", "import", &beta, "--name", "beta"], 4, &["trust-import-rollback"]);
}

#[test]
fn f4_what_is_refused_leaves_nothing_behind() {
    let (desk, one) = desk();
    assert_codes(&desk, &import(&one, &print(&desk, "root")), 0, &[]);
    file(&desk, "v2", 2, EXPIRES, &["eve"], 1, &[]);
    let forged = export(&desk, "v2", &["eve"]);
    file(&desk, "late", 2, "2021-01-01T00:00:00Z", &["root"], 1, &["ada"]);
    let late = export(&desk, "late", &["root"]);
    let broken = fs::read_to_string(desk.path(&one)).unwrap().replacen("\"sig\":\"", "\"sig\":\"A", 1);
    desk.write("broken.trust.intoto.jsonl", broken);
    let before = home(&desk);
    assert_codes(&desk, &["trust", "import", &forged], 4, &["trust-import-signatures"]);
    assert_codes(&desk, &["trust", "import", &late], 4, &["trust-import-expired"]);
    assert_codes(&desk, &["trust", "import", "broken.trust.intoto.jsonl"], 3, &["envelope-base64"]);
    assert_eq!(home(&desk), before);
    assert_codes(&desk, &["verify", "out", "--no-remember"], 0, &[]);
}

#[test]
fn f5_expired_trust_and_a_clock_set_back_are_refused() {
    let (desk, one) = desk();
    file(&desk, "late", 1, "2021-01-01T00:00:00Z", &["root"], 1, &["ada"]);
    let late = export(&desk, "late", &["root"]);
    let root = print(&desk, "root");
    assert_codes(&desk, &import(&late, &root), 4, &["trust-import-expired"]);
    assert_codes(&desk, &import(&one, &root), 0, &[]);
    // The import noted how late it is.
    fs::write(desk.home().join("last-seen"), "2998-01-01T00:00:00Z\n").unwrap();
    assert_codes(&desk, &["verify", "out"], 4, &["clock-went-back"]);
    assert_codes(&desk, &["trust", "import", &one], 4, &["clock-went-back"]);
}

#[test]
fn a23_a_name_from_outside_leads_nowhere() {
    let desk = Desk::new();
    desk.key("root");
    file(&desk, "v1", 1, EXPIRES, &["root"], 1, &[]);
    let text = desk.read("v1.toml");
    let root = print(&desk, "root");
    for (n, name) in ["../../../../escaped", "/escaped", "..", "CON", "a/b\u{e9}"].iter().enumerate() {
        let file = format!("n{n}");
        desk.write(&format!("{file}.toml"), text.replace("name = \"acme\"", &format!("name = \"{name}\"")));
        let bundle = export(&desk, &file, &["root"]);
        assert_codes(&desk, &import(&bundle, &root), 0, &[]);
    }
    let mut names: Vec<_> = fs::read_dir(desk.home().join("imports"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name != ".lock");
    assert_eq!(names.len(), 5);
    let plain = |name: &str| {
        name.strip_suffix(".json")
            .is_some_and(|stem| stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    assert!(names.iter().all(|name| plain(name)), "{names:?}");
    assert!(!desk.dir().parent().unwrap().join("escaped").exists());
    assert_eq!(desk.json(["trust", "list"])["result"]["imports"].as_array().unwrap().len(), 5);
}

#[test]
fn what_is_missing_from_the_state_or_planted_there_lets_nothing_pass() {
    let (desk, one) = desk();
    assert_codes(&desk, &import(&one, &print(&desk, "root")), 0, &[]);
    let imports = desk.home().join("imports");
    let mut paths = fs::read_dir(&imports).unwrap().map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some()).unwrap();
    let kept = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_codes(&desk, &["verify", "out"], 4, &["trust-import-missing", "not-trusted"]);
    // As on a machine that trust.toml was brought to: its root was confirmed before.
    assert_codes(&desk, &["trust", "import", &one], 0, &[]);
    assert_codes(&desk, &["verify", "out", "--no-remember"], 0, &[]);
    // Somebody else's trust in its place.
    file(&desk, "planted", 1, EXPIRES, &["eve"], 1, &[]);
    let planted = fs::read_to_string(desk.path(&export(&desk, "planted", &["eve"]))).unwrap();
    let mut stored: Value = serde_json::from_str(&kept).unwrap();
    stored["bundle"] = planted.into();
    fs::write(&path, stored.to_string()).unwrap();
    assert_codes(&desk, &["verify", "out"], 4, &["trust-import-root"]);
    fs::write(&path, "{}").unwrap();
    assert_codes(&desk, &["verify", "out"], 2, &["state-malformed"]);
}

#[test]
fn what_cannot_be_published_is_told() {
    let (desk, one) = desk();
    desk.write("bare.toml", "format = 1\n");
    let export = ["trust", "export", "--key", "root", "-o", "x", "--trust"];
    assert_codes(&desk, &[&export[..], &["bare.toml"]].concat(), 2, &["trust-unpublishable"; 3]);
    desk.write("bad.toml", "format = 1\nversion = 0\n");
    assert_codes(&desk, &[&export[..], &["bad.toml"]].concat(), 2, &["trust-version"]);
    assert!(!desk.path("x").exists());
    // Another text under the same output is not joined, and nothing is overwritten.
    file(&desk, "v2", 2, EXPIRES, &["root"], 1, &[]);
    let before = desk.read(&one);
    let over = ["trust", "export", "--key", "root", "-o", &one, "--trust", "v2.toml"];
    assert_codes(&desk, &over, 1, &["trust-bundle-mixed"]);
    assert_eq!(desk.read(&one), before);
    // Whoever signed already does not sign again.
    desk.succeed(["trust", "export", "--key", "root", "-o", &one, "--trust", "v1.toml"]);
    assert_eq!(desk.read(&one), before);
}

#[test]
fn a_faulty_trust_file_inside_is_told_with_its_line() {
    let (desk, _) = desk();
    // A signed file of a publisher that does not check what it signs.
    let text = desk.read("v1.toml").replace("threshold = 1", "threshold = 0");
    desk.write("v1.toml", text);
    let document = desk.json(["trust", "export", "--key", "root", "-o", "y", "--trust", "v1.toml"]);
    assert_eq!((&document["exit"], codes(&document)), (&2.into(), vec!["trust-threshold"]));
    // Attestations of bundles are no trust.
    let fingerprint = print(&desk, "root");
    assert_codes(&desk, &import("out/acme-small-1.0.0.intoto.jsonl", &fingerprint), 3, &["predicate-type"]);
    // And the other way about.
    let bundle = desk.read("v1.trust.intoto.jsonl");
    desk.write("out/acme-small-1.0.0.intoto.jsonl", bundle);
    let archive = "out/acme-small-1.0.0.tar.zst";
    assert_codes(&desk, &["verify", archive, "--key", "ada.pub"], 3, &["predicate-type"]);
}
