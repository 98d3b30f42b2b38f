//! Encrypted bundles: who can open them, what stands outside, what is noticed, what never reaches the disk.
#![cfg(all(unix, feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use bundles::{assert_same_tree, names, payload, tree};
use consign_signing::{
    EncryptedAttestations, EncryptedStatement, PrivateKey, PublicClaim, PublicName, SignedEncrypted,
};
use serde_json::Value;
use support::{Desk, written_down};

/// Words of the bundle; none of them may stand anywhere outside.
const NAME: &str = "quokka-survey";
const WORDS: [&str; 6] =
    [NAME, "7.3.1-marker", "Nightingale", "florence@example.org", "a study of marsupials", "internal"];
const MARKER: &str = "the-plaintext-marker-of-this-test";

/// A desk with signing keys `ada` and `eve`, identities `lab` and `desk`, and a directory to pack.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.key("ada");
    desk.key("eve");
    for identity in ["lab", "approver", "stranger"] {
        desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", identity]);
    }
    desk.write(
        "source/consign.yaml",
        format!(
            "name: {NAME}\nversion: 7.3.1-marker\nkind: dataset\nclassification: internal\n\
             title: a study of marsupials\ncontact: {{name: Florence Nightingale, email: florence@example.org}}\n"
        ),
    );
    desk.write("source/small.csv", format!("{MARKER}\n"));
    let mut noise = bundles::Noise::new(3);
    let mut weights = noise.bytes(3_000_000);
    weights.extend(MARKER.bytes());
    desk.write("source/weights.bin", weights);
    desk.write("source/names/of/files-are-secret-too.txt", "x");
    desk
}

/// The files of an encrypted bundle.
struct Encrypted {
    archive: PathBuf,
    attestations: PathBuf,
}

fn result(document: &Value) -> &Value {
    assert_eq!(document["exit"], 0, "{document:#}");
    &document["result"]
}

fn pack(desk: &Desk, out: &str, to: &[&str]) -> Encrypted {
    let mut arguments = vec!["pack", "source", "-o", out, "--key", "ada"];
    for to in to {
        arguments.extend(["--encrypt-to", to]);
    }
    let document = desk.json(arguments);
    let packed = result(&document);
    let path = |value: &Value| desk.path(value.as_str().unwrap());
    Encrypted { archive: path(&packed["encrypted"]["path"]), attestations: path(&packed["attestations"]) }
}

fn recipient(desk: &Desk, identity: &str) -> String {
    desk.read(&format!("{identity}.pub")).trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Whether any file below a folder holds the text, as it is or in base64 at any of the three offsets.
fn holds(folder: &Path, needle: &str) -> bool {
    tree(folder).values().any(|node| match node {
        bundles::Node::Directory => false,
        bundles::Node::File { content, .. } => contains(content, needle),
    })
}

fn contains(content: &[u8], needle: &str) -> bool {
    let find = |content: &[u8]| content.windows(needle.len()).any(|window| window == needle.as_bytes());
    if find(content) {
        return true;
    }
    // Payloads are base64 inside of JSON: decode what looks so.
    content.split(|byte| *byte == b'"').filter(|part| part.len() > 40).any(|part| {
        decode(part).is_some_and(|decoded| {
            find(&decoded)
                || decoded.split(|byte| *byte == b'"').filter_map(decode).any(|deeper| find(&deeper))
        })
    })
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.iter().filter(|byte| **byte != b'=') {
        bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|letter| letter == byte)?).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    Some(bytes)
}

#[test]
fn a_bundle_goes_to_a_laboratory_and_back() {
    let desk = desk();
    let bundle = pack(&desk, "out", &["lab.pub", &recipient(&desk, "approver")]);
    let digest = bundle.archive.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.zst.age").unwrap();
    assert_eq!(digest.len(), 64);
    assert_eq!(
        names(&desk.path("out")),
        [format!("{digest}.age.intoto.jsonl"), format!("{digest}.tar.zst.age")]
    );
    let sum = desk.peer("sha256sum", &[text(&bundle.archive)]);
    assert!(sum.starts_with(digest), "{sum}");

    // The intake desk cannot open it, and verifies where it comes from.
    for named in ["out", text(&bundle.archive), text(&bundle.attestations)] {
        let document = desk.json(["verify", named, "--key", "ada.pub"]);
        let found = &result(&document)["bundles"][0];
        // Nobody looked into it: the level says how far it holds, and nothing says `verified`.
        assert_eq!((&found["verified"], &found["level"]), (&false.into(), &"encrypted".into()));
        assert_eq!(found["trusted"], true);
        assert_eq!(found["encrypted"]["sha256"], digest);
        assert!(found.get("bundle").is_none() && found.get("public").is_none(), "{found:#}");
    }
    let said = desk.succeed(["verify", "out", "--key", "ada.pub"]);
    assert!(said.starts_with("ORIGIN VERIFIED (encrypted): "), "{said}");
    let said = desk.succeed(["inspect", "out"]);
    assert!(said.starts_with("an encrypted bundle"), "{said}");

    // Each recipient looks into it.
    for identity in ["lab", "approver"] {
        let document = desk.json(["verify", "out", "--key", "ada.pub", "--identity", identity]);
        let found = &result(&document)["bundles"][0];
        assert_eq!((&found["level"], &found["bundle"]["name"]), (&"content".into(), &NAME.into()));
        let inspected = desk.json(["inspect", "out", "--identity", identity]);
        assert_eq!(result(&inspected)["bundle"]["name"], NAME);
        let quick = desk.json(["verify", "out", "--key", "ada.pub", "--identity", identity, "--quick"]);
        assert_eq!(result(&quick)["bundles"][0]["level"], "bytes");
    }
    desk.succeed(["unpack", "out", "unpacked", "--key", "ada.pub", "--identity", "lab"]);
    assert_same_tree(&payload(&desk.path("source")), &tree(&desk.path("unpacked")));

    // Decrypted, it is the bundle that would have been made without encryption.
    desk.succeed(["decrypt", "out", "--identity", "lab", "-o", "plain", "--key", "ada.pub"]);
    desk.succeed(["pack", "source", "-o", "expected", "--key", "ada"]);
    let stem = format!("{NAME}-7.3.1-marker");
    for end in ["tar.zst", "manifest.json"] {
        let file = format!("{stem}.{end}");
        assert_eq!(
            fs::read(desk.path("plain").join(&file)).unwrap(),
            fs::read(desk.path("expected").join(&file)).unwrap()
        );
    }
    desk.succeed(["verify", "plain", "--key", "ada.pub"]);
    // And again, it is refused: nothing is overwritten.
    let again = desk.verdict(&["decrypt", "out", "--identity", "lab", "-o", "plain", "--key", "ada.pub"]);
    assert_eq!(again, (1, vec!["output-exists".into()]));
}

#[test]
fn nothing_of_the_bundle_stands_outside() {
    let desk = desk();
    pack(&desk, "out", &["lab.pub"]);
    desk.succeed(["pack", "source", "-o", "plain", "--key", "ada"]);
    let packed = desk.json(["pack", "source", "-o", "plain", "--key", "ada"]);
    let packed = result(&packed);
    let digest = |value: &Value| value.as_str().unwrap().replace("sha256:", "");
    let manifest = fs::read_to_string(desk.path(packed["manifest"].as_str().unwrap())).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut needles: Vec<String> = WORDS.iter().map(ToString::to_string).collect();
    needles.extend([MARKER.to_owned(), "files-are-secret-too".to_owned(), recipient(&desk, "lab")]);
    needles.extend([digest(&packed["bundle"]["id"]), digest(&packed["archive"]["sha256"])]);
    needles.extend(manifest["files"].as_array().unwrap().iter().map(|file| digest(&file["sha256"])));
    needles.push(packed["archive"]["size"].to_string());
    for needle in &needles {
        assert!(!holds(&desk.path("out"), needle), "{needle}");
        assert!(names(&desk.path("out")).iter().all(|name| !name.contains(needle.as_str())), "{needle}");
    }
    // The search does find what is there.
    assert!(holds(&desk.path("plain"), NAME) && holds(&desk.path("out"), "attestations/encrypted/v1"));
}

#[test]
fn age_opens_what_consign_makes_and_the_other_way_round() {
    let desk = desk();
    let bundle = pack(&desk, "out", &["lab.pub"]);
    desk.shell("age -d -i lab \"$1\" | zstd -dc | tar -xf -", &[&bundle.archive]);
    let data = desk.path(NAME).join("data");
    assert_same_tree(&payload(&desk.path("source")), &tree(&data));

    // An identity by age-keygen, plain and with comments.
    desk.peer("age-keygen", &["-o", "theirs"]);
    let theirs = desk.peer("age-keygen", &["-y", "theirs"]);
    pack(&desk, "theirs-out", &[theirs.trim()]);
    desk.succeed(["verify", "theirs-out", "--key", "ada.pub", "--identity", "theirs"]);
    // A file of recipients, as `age -R` takes.
    desk.write("group", format!("# both\n{theirs}\n{}\n", recipient(&desk, "lab")));
    pack(&desk, "group-out", &["group"]);
    desk.succeed(["verify", "group-out", "--key", "ada.pub", "--identity", "lab"]);
    desk.peer("age", &["-d", "-i", "lab", "-o", "again.zst", text(&bundle.archive)]);
}

#[test]
fn identities_can_be_kept_under_a_passphrase() {
    let desk = desk();
    desk.write("secret", "a passphrase\n");
    desk.succeed(["keygen", "--encryption", "--passphrase-file", "secret", "-o", "safe"]);
    assert!(desk.read("safe").starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
    pack(&desk, "out", &["safe.pub"]);
    let verify = ["verify", "out", "--key", "ada.pub", "--identity", "safe"];
    let with = |file: &'static str| [&verify[..], &["--identity-passphrase-file", file]].concat();
    desk.succeed(with("secret"));
    assert_eq!(desk.verdict(&verify), (1, vec!["passphrase-needed".into()]));
    desk.write("wrong", "another\n");
    assert_eq!(desk.verdict(&with("wrong")), (1, vec!["wrong-passphrase".into()]));
}

#[test]
fn identities_are_kept_like_signing_keys() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = desk();
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("lab"), mode("lab.pub") & 0o600), (0o600, 0o600));
    let again = desk.verdict(&["keygen", "--encryption", "--no-passphrase", "-o", "lab"]);
    assert_eq!(again, (1, vec!["key-file-exists".into()]));
    pack(&desk, "out", &["lab.pub"]);
    fs::set_permissions(desk.path("lab"), fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = desk.verdict(&["verify", "out", "--key", "ada.pub", "--identity", "lab"]);
    assert_eq!(exposed, (1, vec!["key-file-exposed".into()]));
}

#[test]
fn recipients_are_checked_before_anything_is_packed() {
    let desk = desk();
    let refused = |to: &str| {
        let document = desk.json(["pack", "source", "-o", "out", "--key", "ada", "--encrypt-to", to]);
        assert!(!desk.path("out").exists(), "{to}");
        let problem = document["problems"][0].clone();
        (
            document["exit"].as_i64().unwrap(),
            problem["code"].as_str().unwrap().to_owned(),
            document.to_string(),
        )
    };
    let secret = desk.read("lab").lines().last().unwrap().to_owned();
    for given in ["lab", secret.as_str()] {
        let (exit, code, document) = refused(given);
        assert_eq!((exit, code.as_str()), (2, "identity-given"));
        assert!(!document.contains(&secret[20..40]), "the secret is repeated");
    }
    let mut cut = recipient(&desk, "lab");
    cut.pop();
    for (to, exit, code) in [
        (cut.as_str(), 2, "recipient-malformed"),
        ("nobody", 1, "unreadable"),
        ("ada.pub", 2, "recipient-kind"),
        ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", 2, "recipient-kind"),
    ] {
        let (found, found_code, _) = refused(to);
        assert_eq!((found, found_code.as_str()), (exit, code), "{to}");
    }
    for conflict in ["--resume", "--unsigned"] {
        let output = desk
            .consign(["pack", "source", "-o", "out", "--encrypt-to", "lab.pub", conflict])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", written_down(&output));
    }
}

#[test]
fn only_recipients_look_into_it() {
    let desk = desk();
    pack(&desk, "out", &["lab.pub"]);
    let refused = (1, vec!["no-identity".to_owned()]);
    for command in [
        &["verify", "out", "--key", "ada.pub"][..],
        &["unpack", "out", "gone", "--key", "ada.pub"],
        &["decrypt", "out", "-o", "gone", "--key", "ada.pub"],
        &["inspect", "out"],
        &["sign", "out", "--key", "eve", "--yes"],
    ] {
        assert_eq!(desk.verdict(&[command, &["--identity", "stranger"]].concat()), refused, "{command:?}");
    }
    // A signing key is no identity.
    let wrong = desk.verdict(&["verify", "out", "--key", "ada.pub", "--identity", "ada"]);
    assert_eq!(wrong, (1, vec!["identity-kind".into()]));
    // What needs to look into it says so.
    for command in [
        &["unpack", "out", "gone", "--key", "ada.pub"][..],
        &["sign", "out", "--key", "eve", "--yes"],
        &["diff", "out", "out"],
        &["decrypt", "out", "-o", "gone"],
    ] {
        assert_eq!(desk.verdict(command), (1, vec!["encrypted".into()]), "{command:?}");
    }
    assert_eq!(
        desk.verdict(&["verify", "out", "--key", "ada.pub", "--quick"]),
        (2, vec!["identity-needed".into()])
    );
    assert!(!desk.path("gone").exists());
}

#[test]
fn trust_is_asked_outside_and_inside() {
    let desk = desk();
    pack(&desk, "out", &["lab.pub"]);
    for identity in [&[][..], &["--identity", "lab"]] {
        for (key, verdict) in [
            (&["--key", "eve.pub"][..], (4, vec!["not-trusted".to_owned()])),
            (&[], (4, vec!["not-trusted".to_owned()])),
            (&["--key", "ada.pub"], (0, vec![])),
        ] {
            let arguments = [&["verify", "out"][..], key, identity].concat();
            assert_eq!(desk.verdict(&arguments), verdict, "{arguments:?}");
        }
    }
    let untrusted = ["decrypt", "out", "--identity", "lab", "-o", "plain", "--key", "eve.pub"];
    assert_eq!(desk.verdict(&untrusted), (4, vec!["not-trusted".into()]));
    assert!(!desk.path("plain").exists());
    desk.succeed([&untrusted[..], &["--allow-untrusted"]].concat());
    // What was announced is seen inside only.
    let expect = |what: &'static str, identity: &[&'static str]| {
        desk.verdict(&[&["verify", "out", "--key", "ada.pub", "--expect", what][..], identity].concat())
    };
    let name = "quokka-survey@7.3.1-marker";
    assert_eq!(expect(name, &[]), (4, vec!["not-expected".into()]));
    assert_eq!(expect(name, &["--identity", "lab"]), (0, vec![]));
    assert_eq!(expect("quokka-survey@7.3.2", &["--identity", "lab"]), (4, vec!["not-expected".into()]));
    // An unsigned archive comes from anyone.
    let lone = desk.path("lone");
    fs::create_dir(&lone).unwrap();
    fs::copy(pack(&desk, "more", &["lab.pub"]).archive, lone.join("x.tar.zst.age")).unwrap();
    assert_eq!(desk.verdict(&["verify", "lone", "--key", "ada.pub"]), (4, vec!["unsigned".into()]));
}

#[test]
fn every_alteration_of_the_files_is_noticed() {
    let desk = desk();
    fs::remove_file(desk.path("source/weights.bin")).unwrap();
    let bundle = pack(&desk, "out", &["lab.pub"]);
    let archive = fs::read(&bundle.archive).unwrap();
    let attestations = fs::read(&bundle.attestations).unwrap();
    let verdicts = |what: &str| {
        for identity in [&[][..], &["--identity", "lab"]] {
            let (exit, codes) =
                desk.verdict(&[&["verify", "out", "--key", "ada.pub"][..], identity].concat());
            assert_eq!(exit, 3, "{what}: {codes:?}");
        }
        for command in [
            &["decrypt", "out", "-o", "gone", "--key", "ada.pub", "--identity", "lab"][..],
            &["unpack", "out", "gone", "--key", "ada.pub", "--identity", "lab"],
        ] {
            let (exit, codes) = desk.verdict(command);
            assert_eq!(exit, 3, "{what}: {codes:?}");
            assert!(!desk.path("gone").exists(), "{what}");
        }
    };
    for (what, bytes) in [
        ("cut", archive[..archive.len() - 1].to_vec()),
        ("cut short", archive[..100].to_vec()),
        ("added", [&archive[..], b"x"].concat()),
        ("header", {
            let mut a = archive.clone();
            a[60] ^= 1;
            a
        }),
        ("body", {
            let mut a = archive.clone();
            let at = a.len() - 40;
            a[at] ^= 1;
            a
        }),
        ("empty", Vec::new()),
    ] {
        fs::write(&bundle.archive, bytes).unwrap();
        verdicts(what);
    }
    fs::write(&bundle.archive, &archive).unwrap();
    for at in [10, attestations.len() / 2, attestations.len() - 10] {
        let mut altered = attestations.clone();
        altered[at] ^= 1;
        fs::write(&bundle.attestations, altered).unwrap();
        verdicts("attestations");
    }
    fs::write(&bundle.attestations, &attestations).unwrap();
    desk.succeed(["verify", "out", "--key", "ada.pub", "--identity", "lab"]);
}

/// E1, E13: a statement about another file, and one whose sealed part belongs to another.
#[test]
fn e1_e13_statements_of_other_bundles_are_refused() {
    let desk = desk();
    let one = pack(&desk, "one", &["lab.pub"]);
    desk.write("source/small.csv", "other\n");
    let two = pack(&desk, "two", &["lab.pub"]);
    fs::copy(&two.attestations, &one.attestations).unwrap();
    assert_eq!(desk.verdict(&["verify", "one", "--key", "ada.pub"]).0, 3);
    assert_eq!(desk.verdict(&["verify", "one", "--key", "ada.pub", "--identity", "lab"]).0, 3);
    // Two statements about two files do not speak of one bundle.
    let both = [fs::read(&one.attestations).unwrap(), fs::read(&two.attestations).unwrap()].concat();
    fs::write(&two.attestations, both).unwrap();
    assert_eq!(desk.verdict(&["verify", "two", "--key", "ada.pub"]).0, 3);
    // Neither kind of statement passes for the other.
    desk.succeed(["pack", "source", "-o", "plain", "--key", "ada", "--version", "1.0.0"]);
    let plain = format!("plain/{NAME}-1.0.0.intoto.jsonl");
    let archive = text(&two.archive);
    let verdict = desk.verdict(&["verify", archive, "--attestations", &plain, "--key", "ada.pub"]);
    assert_eq!(verdict, (3, vec!["predicate-type".into()]));
}

/// A recipient who passes on what was sent to them, under their own key, is not taken for its maker.
#[test]
fn what_is_passed_on_under_another_key_is_refused() {
    let desk = desk();
    pack(&desk, "out", &["lab.pub"]);
    desk.succeed(["decrypt", "out", "--identity", "lab", "-o", "plain", "--key", "ada.pub"]);
    let encrypt = ["encrypt", "plain", "--to", "stranger.pub", "-o", "again", "--key", "eve"];
    assert_eq!(desk.verdict(&encrypt), (1, vec!["not-signed-by-key".into()]));
    assert!(!desk.path("again").exists());
    // Having signed it as herself, she can; her word counts, ada's does not.
    desk.succeed(["sign", "plain", "--key", "eve", "--yes"]);
    desk.succeed(encrypt);
    let verify = |key| desk.verdict(&["verify", "again", "--identity", "stranger", "--key", key]);
    assert_eq!(verify("eve.pub"), (0, vec![]));
    assert_eq!(verify("ada.pub"), (4, vec!["not-trusted".into()]));
}

#[test]
fn an_existing_bundle_is_encrypted_with_its_signature() {
    let desk = desk();
    desk.succeed(["pack", "source", "-o", "plain", "--key", "ada"]);
    let document = desk.json([
        "encrypt",
        "plain",
        "--to",
        "lab.pub",
        "--to",
        "approver.pub",
        "-o",
        "out",
        "--key",
        "ada",
        "--for",
        "CERN",
        "--for",
        "ACME",
    ]);
    let made = result(&document);
    assert_eq!(made["bundle"]["addressees"], serde_json::json!(["ACME", "CERN"]));
    assert_eq!(made["archive"]["recipients"].as_array().unwrap().len(), 2);
    for word in WORDS.into_iter().chain(["ACME", "CERN"]) {
        assert!(!holds(&desk.path("out"), word), "{word}");
    }
    let document = desk.json(["decrypt", "out", "--identity", "approver", "-o", "back", "--key", "ada.pub"]);
    assert_eq!(result(&document)["bundle"]["addressees"], serde_json::json!(["ACME", "CERN"]));
    let archive = format!("{NAME}-7.3.1-marker.tar.zst");
    assert_eq!(
        fs::read(desk.path("back").join(&archive)).unwrap(),
        fs::read(desk.path("plain").join(&archive)).unwrap()
    );
    // What is not intact is not encrypted.
    bundles::append(&desk.path("plain").join(&archive), b"x").unwrap();
    assert_eq!(desk.verdict(&["encrypt", "plain", "--to", "lab.pub", "-o", "bad", "--key", "ada"]).0, 3);
    assert!(!desk.path("bad").exists());
}

#[test]
fn a_second_person_signs_what_they_could_open() {
    let desk = desk();
    let bundle = pack(&desk, "out", &["lab.pub", "approver.pub"]);
    let before = fs::read(&bundle.archive).unwrap();
    let sign = ["sign", "out", "--key", "eve", "--role", "release", "--identity", "approver", "--yes"];
    // Without any trust nobody's word about the recipients counts but one's own.
    assert_eq!(desk.verdict(&sign), (4, vec!["recipients-untrusted".into()]));
    let to = ["--encrypt-to", "lab.pub", "--encrypt-to", "approver.pub"];
    let document = desk.json([&sign[..], &to].concat());
    assert_eq!(
        (&result(&document)["status"], &result(&document)["signatures"]),
        (&"signed".into(), &2.into())
    );
    assert_eq!(result(&desk.json(sign))["status"], "unchanged");
    assert_eq!(fs::read(&bundle.archive).unwrap(), before);
    for word in WORDS {
        assert!(!holds(&desk.path("out"), word), "{word}");
    }
    // Both count, whether it is opened (by a recipient who did not sign) or not.
    for identity in [&[][..], &["--identity", "lab"]] {
        let both = [&["verify", "out", "--key", "ada.pub", "--key", "eve.pub"][..], identity].concat();
        let document = desk.json(both);
        assert_eq!(result(&document)["bundles"][0]["counted"], 2);
    }
    // Inside, the second statement says what its signer had seen.
    let document = desk.json(["verify", "out", "--key", "eve.pub", "--identity", "lab"]);
    assert_eq!(result(&document)["bundles"][0]["signatures"][1]["basis"], "verified");
    for extra in [&["--unseen"][..], &["--merge", text(&bundle.attestations)]] {
        assert_eq!(desk.verdict(&[&sign[..], extra].concat()), (2, vec!["encrypted".into()]));
    }
}

/// What only a dishonest signer can make: a statement of one's own choice around an encrypted file.
fn sign_outside(desk: &Desk, bundle: &Encrypted, change: impl Fn(&mut EncryptedStatement)) -> String {
    let found = EncryptedAttestations::parse(&fs::read(&bundle.attestations).unwrap()).unwrap();
    let mut statement = found.statements()[0].statement().clone();
    change(&mut statement);
    let key = PrivateKey::parse(&fs::read(desk.path("ada")).unwrap(), &mut |_| Ok(None)).unwrap();
    let signed = SignedEncrypted::sign(&key, &statement).unwrap();
    let stem = statement.claim.stem();
    fs::remove_file(&bundle.attestations).unwrap();
    let folder = bundle.archive.parent().unwrap();
    fs::rename(&bundle.archive, folder.join(format!("{stem}.tar.zst.age"))).unwrap();
    fs::write(folder.join(format!("{stem}.age.intoto.jsonl")), EncryptedAttestations::new(signed).to_bytes())
        .unwrap();
    stem
}

/// E1, E13: the signer's own envelope about another archive, sealed into the statement about this one.
#[test]
fn a_sealed_statement_about_another_archive_is_refused() {
    let desk = desk();
    let one = pack(&desk, "one", &["lab.pub"]);
    desk.write("source/small.csv", "other\n");
    let two = pack(&desk, "two", &["lab.pub"]);
    let other = EncryptedAttestations::parse(&fs::read(&two.attestations).unwrap()).unwrap();
    let sealed = other.statements()[0].statement().sealed.clone();
    sign_outside(&desk, &one, |statement| statement.sealed.clone_from(&sealed));
    // The bytes are what ada signed, and no more than that is said.
    let document = desk.json(["verify", "one", "--key", "ada.pub"]);
    assert_eq!(result(&document)["bundles"][0]["level"], "encrypted");
    for command in [
        &["verify", "one"][..],
        &["unpack", "one", "gone"],
        &["decrypt", "one", "-o", "gone"],
        &["decrypt", "one", "-o", "gone", "--allow-untrusted"],
    ] {
        let (exit, codes) = desk.verdict(&[command, &["--identity", "lab", "--key", "ada.pub"]].concat());
        assert_eq!(exit, 3, "{command:?}: {codes:?}");
    }
    let sign = ["sign", "one", "--key", "eve", "--identity", "lab", "--yes"];
    assert_eq!(desk.verdict(&sign).0, 3);
    assert!(!desk.path("gone").exists());
}

#[test]
fn what_is_called_public_is_seen_and_must_be_so() {
    let desk = desk();
    let bundle = pack(&desk, "out", &["lab.pub"]);
    let public = |version: &str| PublicClaim {
        bundle: Some(PublicName { name: NAME.parse().unwrap(), version: version.parse().unwrap() }),
        classification: Some("internal".parse().unwrap()),
        addressees: Vec::new(),
    };
    let stem = sign_outside(&desk, &bundle, |statement| statement.claim.public = public("7.3.1-marker"));
    assert_eq!(stem, format!("{NAME}-7.3.1-marker"));
    let document = desk.json(["verify", "out", "--key", "ada.pub", "--expect", "quokka-survey@7.3.1-marker"]);
    assert_eq!(result(&document)["bundles"][0]["public"]["bundle"]["name"], NAME);
    desk.succeed(["verify", "out", "--key", "ada.pub", "--identity", "lab"]);
    let said = desk.succeed(["inspect", "out"]);
    assert!(said.contains("bundle      quokka-survey 7.3.1-marker\nclass       INTERNAL\n"), "{said}");
    // Outside anything can be said; inside it shows.
    let lie = Encrypted {
        archive: desk.path(&format!("out/{stem}.tar.zst.age")),
        attestations: desk.path(&format!("out/{stem}.age.intoto.jsonl")),
    };
    sign_outside(&desk, &lie, |statement| statement.claim.public = public("8.0.0"));
    assert_eq!(desk.verdict(&["verify", "out", "--key", "ada.pub"]).0, 0);
    let inside = desk.verdict(&["verify", "out", "--key", "ada.pub", "--identity", "lab"]);
    assert_eq!(inside, (3, vec!["sealed-disagrees".into()]));
}

/// What the policy demands of the level is met by encryption, and who else can open it is its word.
#[test]
fn the_policy_says_who_joins_in_and_what_is_public() {
    let desk = desk();
    let policy = |public: &str| {
        let keys = |name: &str| recipient(&desk, name);
        format!(
            "format = 1\nname = \"strict\"\n\
             [[recipient]]\nname = \"CERN\"\nencrypt_to = [\"{}\"]\n\
             [[recipient]]\nname = \"archive\"\nencrypt_to = [\"{}\"]\n\
             [[level]]\nname = \"internal\"\nencryption = \"required\"\n\
             also_encrypt_to = [\"archive\"]\npublic = [{public}]\n",
            keys("lab"),
            keys("approver")
        )
    };
    desk.write("policy.toml", policy("\"classification\""));
    let pack = ["pack", "source", "-o", "out", "--key", "ada", "--policy", "policy.toml", "--for", "CERN"];
    let (exit, codes) = desk.verdict(&pack);
    assert_eq!((exit, codes[0].as_str()), (5, "policy-encryption"), "{codes:?}");
    let encrypted = [&pack[..], &["--encrypt-to", "CERN"]].concat();
    let document = desk.json(encrypted.iter().copied());
    let recipients = result(&document)["encrypted"]["recipients"].as_array().unwrap();
    let named: Vec<_> = recipients.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["CERN", "archive"]);
    let verify = desk.json(["verify", "out", "--key", "ada.pub"]);
    assert_eq!(result(&verify)["bundles"][0]["public"], serde_json::json!({"classification": "internal"}));
    for identity in ["lab", "approver"] {
        desk.succeed(["inspect", "out", "--identity", identity]);
    }
    assert!(!holds(&desk.path("out"), NAME) && !holds(&desk.path("out"), "CERN"));
    // With its name in public the bundle goes by it, and is not overwritten.
    desk.write("policy.toml", policy("\"name\", \"addressees\""));
    let named = encrypted.iter().map(|word| if *word == "out" { "named" } else { word });
    desk.succeed(named.clone());
    let stem = format!("{NAME}-7.3.1-marker");
    assert_eq!(
        names(&desk.path("named")),
        [format!("{stem}.age.intoto.jsonl"), format!("{stem}.tar.zst.age")]
    );
    let verify = desk.json(["verify", "named", "--key", "ada.pub"]);
    assert_eq!(result(&verify)["bundles"][0]["public"]["addressees"], serde_json::json!(["CERN"]));
    let again = desk.verdict(&named.collect::<Vec<_>>());
    assert_eq!(again, (1, vec!["output-exists".into()]));
}

#[test]
fn a_renamed_file_is_found_and_named_as_such() {
    let desk = desk();
    let bundle = pack(&desk, "out", &["lab.pub"]);
    fs::rename(&bundle.archive, desk.path("out/minilm-2.0.0.tar.zst.age")).unwrap();
    for identity in [&[][..], &["--identity", "lab"]] {
        let arguments = [&["verify", "out", "--key", "ada.pub"][..], identity].concat();
        assert_eq!(desk.verdict(&arguments), (4, vec!["misnamed".into()]));
    }
}

#[test]
fn plain_and_encrypted_bundles_lie_in_one_folder() {
    let desk = desk();
    pack(&desk, "out", &["lab.pub"]);
    desk.succeed(["pack", "source", "-o", "out", "--key", "ada"]);
    // A version that ends like the names of the other kind.
    desk.succeed(["pack", "source", "-o", "out", "--key", "ada", "--version", "1.0.0-x.age"]);
    let document = desk.json(["verify", "out", "--key", "ada.pub"]);
    let found = result(&document)["bundles"].as_array().unwrap();
    let levels: Vec<_> = found.iter().map(|bundle| bundle["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["content", "content", "encrypted"]);
    assert_eq!(
        desk.verdict(&["unpack", "out", "x", "--key", "ada.pub"]),
        (2, vec!["several-bundles".into()])
    );
}
