//! From a directory to a bundle and back: nothing is lost, and nothing but the input decides what comes out.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use bundles::{
    Noise, assert_same_tree, descriptor, difficult, example, lay_out, payload, ten_thousand, tree,
};
use serde_json::Value;
use support::{Desk, consign};

#[test]
fn what_is_unpacked_is_what_was_packed() {
    for listing in [difficult(), ten_thousand()] {
        let desk = Desk::new();
        let (source, bundle) = desk.pack_listing(&listing);
        desk.succeed(["verify", "out", "--key", "key.pub"]);
        desk.succeed(["unpack", "out", "unpacked", "--key", "key.pub"]);
        assert_same_tree(&payload(&source), &tree(&desk.path("unpacked")));
        // Every file by itself, too, wherever it lies.
        let archive = bundle.archive.to_str().unwrap();
        for (n, (path, content)) in listing.iter().enumerate().step_by(listing.len() / 25) {
            let Some(content) = content else { continue };
            let to = format!("only-{n}");
            // `--only=` because names may begin with a dash.
            desk.succeed(["unpack", archive, &to, "--key", "key.pub", &format!("--only={path}")]);
            assert!(fs::read(desk.path(&to).join(path)).unwrap() == *content, "{path}");
            assert_eq!(
                tree(&desk.path(&to)).values().filter(|node| **node != bundles::Node::Directory).count(),
                1
            );
        }
    }
}

/// What a run of `pack` made: id, archive and manifest.
fn made(desk: &Desk, out: &str, packed: &Value) -> (String, Vec<u8>, Vec<u8>) {
    assert_eq!(packed["exit"], 0, "{packed:#}");
    let name = |end: &str| desk.path(out).join(format!("trees-1.0.0.{end}"));
    let id = packed["result"]["bundle"]["id"].as_str().unwrap().to_owned();
    (id, fs::read(name("tar.zst")).unwrap(), fs::read(name("manifest.json")).unwrap())
}

#[test]
fn an_archive_depends_on_its_input_and_on_nothing_else() {
    let desk = Desk::new();
    desk.key("key");
    desk.key("other-key");
    let mut listing = difficult();
    lay_out(&desk.path("first"), &listing);
    fs::write(desk.path("first/consign.yaml"), descriptor("trees", "1.0.0")).unwrap();
    let expected =
        made(&desk, "out", &desk.json(["pack", "first", "-o", "out", "--key", "key", "--threads", "1"]));

    // The same files made in another order, at another time, with other owners' rights.
    Noise::new(3).shuffle(&mut listing);
    let second = desk.path("elsewhere/below/second");
    fs::create_dir_all(&second).unwrap();
    fs::write(second.join("consign.yaml"), descriptor("trees", "1.0.0")).unwrap();
    lay_out(&second, &listing);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 365);
    for (n, (path, content)) in listing.iter().enumerate() {
        let file = File::open(second.join(path)).unwrap();
        let time = long_ago + Duration::from_secs(n as u64 * 7919);
        file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
        if content.is_some() && !path.starts_with("bin/") && n % 3 == 0 {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(second.join(path), mode).unwrap();
        }
    }
    let run = |out: &str, script: &str, arguments: &[&str], settings: &[(&str, &str)]| {
        let mut command = Command::new("sh");
        desk.bare(&mut command).args(["-c", script, "sh"]).arg(consign()).args(arguments);
        command.args(["--json", "--output"]).arg(desk.path(out)).envs(settings.iter().copied());
        let output = command.output().unwrap();
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", support::written_down(&output)));
        assert!(
            made(&desk, out, &document) == expected,
            "{out} differs: {script} {arguments:?} {settings:?}"
        );
    };
    let second = second.to_str().unwrap();
    let plain = r#"exec "$@""#;
    run("two-threads", plain, &["pack", second, "--key", "key", "--threads", "2"], &[]);
    run("many-threads", plain, &["pack", second, "--key", "key", "--threads", "13"], &[]);
    run("umask-077", r#"umask 077; exec "$@""#, &["pack", second, "--key", "key"], &[]);
    run("umask-000", r#"umask 000; exec "$@""#, &["pack", second, "--key", "key"], &[]);
    run("signed-by-another", plain, &["pack", second, "--key", "other-key", "--role", "release"], &[]);
    run("unsigned", plain, &["pack", second, "--unsigned"], &[]);
    let here = r#"consign=$1; shift; cd elsewhere/below/second; exec "$consign" "$@""#;
    run("in-place", here, &["pack", ".", "--unsigned"], &[]);
    run(
        "below",
        r#"consign=$1; shift; cd elsewhere; exec "$consign" "$@""#,
        &["pack", "below/second/", "--unsigned"],
        &[],
    );
    let other = [
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "tr_TR.UTF-8"),
        ("TZ", "Asia/Kathmandu"),
        ("HOME", "/"),
        ("USER", "someone"),
    ];
    run("other-locale", plain, &["pack", second, "--unsigned"], &other);
    // The descriptor is not payload, wherever it lies.
    fs::rename(Path::new(second).join("consign.yaml"), desk.path("described.yaml")).unwrap();
    let elsewhere = [("CONSIGN_DESCRIPTOR", "described.yaml")];
    run("other-place", plain, &["pack", second, "--unsigned", "--progress", "json"], &elsewhere);
}

/// The example's bundle id and its archive's digest.
///
/// If this test fails, format 1 would give other bytes for the same input, and archives that are out there could
/// no longer be rebuilt. That is right only if the example itself was changed, or if the encoder id was given a
/// new value together with the rule it stands for (zstd's version, say). Then, and only then, put the values here
/// that the failure shows.
const EXAMPLE_ID: &str = "sha256:495f695c27ec1e27d8f053b464df0201353cf8dbfef07d254cf01a88108ae04d";
const EXAMPLE_ARCHIVE: &str = "0a352506e7bbadac76d7ff0b972ecf0318f8643675977d98a819089b945572e7";
const EXAMPLE_ENCODER: &str = "zstd-1.5.7/auto-2/gear-2/gather-1";

#[test]
fn the_example_gives_the_bytes_that_it_always_gave() {
    let desk = Desk::new();
    let bundle = desk.pack(&example(), "out", "key", &[]);
    let encoder = desk.json(["pack", example().to_str().unwrap(), "-o", "out", "--key", "key"]);
    let encoder = encoder["result"]["archive"]["encoder"].as_str().unwrap();
    assert_eq!(
        (bundle.id.as_str(), bundle.sha256.as_str(), encoder),
        (EXAMPLE_ID, EXAMPLE_ARCHIVE, EXAMPLE_ENCODER)
    );
}

#[test]
fn what_is_stored_is_a_bundle_like_any_other() {
    let desk = Desk::new();
    let listing = difficult();
    lay_out(&desk.path("data"), &listing);
    fs::write(desk.path("data/consign.yaml"), descriptor("stored", "1.0.0")).unwrap();
    let bundle = desk.pack(&desk.path("data"), "out", "key", &["--store"]);
    let bytes: usize = listing.iter().filter_map(|(_, content)| content.as_ref()).map(Vec::len).sum();
    assert!(fs::metadata(&bundle.archive).unwrap().len() > bytes as u64, "nothing became smaller");
    let inspected = desk.json(["inspect", "out"]);
    assert!(inspected.to_string().contains("/store/"), "{inspected:#}");
    desk.succeed(["verify", "out", "--key", "key.pub"]);
    desk.succeed(["unpack", "out", "unpacked", "--key", "key.pub"]);
    assert_same_tree(&payload(&desk.path("data")), &tree(&desk.path("unpacked")));
    assert_eq!(desk.verdict(&["pack", "data", "-o", "two", "--unsigned", "--store", "--level", "3"]).0, 2);
}

/// A directory as a sentence transformer is published: 90 MB of weights, tokenizer, vocabulary, card.
fn sentence_transformer(root: &Path) {
    let rows = 23_000_000_usize;
    let header = format!(
        r#"{{"embeddings.weight":{{"dtype":"F32","shape":[{},384],"data_offsets":[0,{}]}},"__metadata__":{{"format":"pt"}}}}"#,
        rows / 384,
        rows / 384 * 384 * 4
    );
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend_from_slice(header.as_bytes());
    let mut noise = Noise::new(1);
    // Numbers around zero: the exponent hardly varies, as in real weights.
    let number = |n: u64| ((n % 2001) as f32 - 1000.0) / 8192.0;
    weights.extend((0..rows / 384 * 384).flat_map(|_| number(noise.next()).to_le_bytes()));
    let words: Vec<String> = (0..30_522).map(|n| format!("word{n}")).collect();
    let vocabulary: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(n, w)| (w.clone(), n.into())).collect();
    let tokenizer =
        serde_json::json!({"version": "1.0", "model": {"type": "WordPiece", "vocab": vocabulary}});
    let card = "---\nlicense: apache-2.0\nlibrary_name: sentence-transformers\nlanguage: en\ntags:\n- sentence-similarity\n\
        datasets:\n- s2orc\nbase_model: nreimers/MiniLM-L6-H384-uncased\npipeline_tag: sentence-similarity\n---\n\n\
        # tiny-MiniLM\n\nMaps sentences to vectors of 384 numbers.\n";
    fs::create_dir_all(root.join("1_Pooling")).unwrap();
    fs::write(root.join("model.safetensors"), weights).unwrap();
    fs::write(root.join("tokenizer.json"), serde_json::to_string_pretty(&tokenizer).unwrap()).unwrap();
    fs::write(root.join("vocab.txt"), words.join("\n")).unwrap();
    fs::write(root.join("config.json"), "{\n  \"hidden_size\": 384\n}\n").unwrap();
    fs::write(root.join("1_Pooling/config.json"), "{\"word_embedding_dimension\": 384}").unwrap();
    fs::write(root.join("README.md"), card).unwrap();
}

#[test]
fn a_sentence_transformer_goes_all_the_way_without_an_edit_by_hand() {
    let desk = Desk::new();
    sentence_transformer(&desk.path("MiniLM"));
    desk.key("owner");
    desk.key("release");
    desk.succeed([
        "init",
        "MiniLM",
        "--name",
        "minilm",
        "--version",
        "1.0.0",
        "--classification",
        "internal",
        "--contact-name",
        "Ada Lovelace",
        "--contact-email",
        "ada@example.org",
        "--organization",
        "Example",
    ]);
    let bundle = desk.pack(&desk.path("MiniLM"), "out", "owner", &[]);
    // One signature is not two.
    let both = ["verify", "out", "--key", "owner.pub", "--key", "release.pub"];
    assert_eq!(desk.verdict(&both), (4, vec!["not-trusted".into()]));
    let before = fs::read(&bundle.archive).unwrap();
    desk.succeed(["sign", "out", "--key", "release", "--yes"]);
    assert!(fs::read(&bundle.archive).unwrap() == before, "signing does not touch the archive");
    let verified = desk.json(both);
    assert_eq!(verified["exit"], 0, "{verified:#}");
    assert_eq!(verified["result"]["bundles"][0]["counted"], 2);
    assert_eq!(verified["result"]["bundles"][0]["level"], "content");
    let inspected = desk.succeed(["inspect", "out", "--files"]);
    for expected in ["INTERNAL", "minilm", "1.0.0", "safetensors", "Apache-2.0", "tokenizer.json"] {
        assert!(inspected.to_lowercase().contains(&expected.to_lowercase()), "{expected}: {inspected}");
    }
    desk.succeed(["unpack", "out", "unpacked", "--key", "owner.pub", "--key", "release.pub"]);
    assert_same_tree(&payload(&desk.path("MiniLM")), &tree(&desk.path("unpacked")));
    desk.succeed(["diff", "out", "unpacked", "--exit-code"]);
    desk.succeed(["diff", "MiniLM", "out", "--exit-code"]);
    // What was unpacked can be checked against the manifest, now and later.
    let manifest = bundle.manifest.to_str().unwrap();
    let check = ["verify", "unpacked", "--manifest", manifest, "--key", "owner.pub"];
    desk.succeed(check);
    fs::write(desk.path("unpacked/config.json"), "{}").unwrap();
    fs::remove_file(desk.path("unpacked/vocab.txt")).unwrap();
    fs::write(desk.path("unpacked/more.txt"), "").unwrap();
    let (exit, codes) = desk.verdict(&check);
    assert_eq!((exit, codes.len()), (3, 3), "{codes:?}");
    // And the other version is told apart.
    bundles::append(&desk.path("MiniLM/vocab.txt"), b"\nmore").unwrap();
    let again = ["pack", "MiniLM", "-o", "out", "--key", "owner"];
    assert_eq!(desk.verdict(&again), (1, vec!["version-taken".into()]));
    let newer = desk.pack(&desk.path("MiniLM"), "out", "owner", &["--version", "1.0.1"]);
    let difference = desk.json(["diff", bundle.archive.to_str().unwrap(), newer.archive.to_str().unwrap()]);
    assert_eq!(difference["result"]["changed"].as_array().map(Vec::len), Some(1), "{difference:#}");
    assert_eq!(difference["result"]["changed"][0]["path"], "vocab.txt");
    let [of_old, of_new] = [&bundle, &newer].map(|bundle| bundle.archive.to_str().unwrap());
    let only_owner = ["--key", "owner.pub"];
    assert_eq!(desk.verdict(&[&["verify", of_old], &only_owner[..]].concat()).0, 0);
    assert_eq!(desk.verdict(&[&["verify", of_new], &only_owner[..]].concat()).0, 0);
}

#[test]
fn signatures_that_were_made_apart_are_joined() {
    let desk = Desk::new();
    let bundle = desk.pack(&example(), "out", "owner", &[]);
    desk.shell("mkdir ada bob; cp out/* ada; cp out/* bob", &[]);
    for name in ["ada", "bob"] {
        desk.key(&format!("{name}-key"));
        desk.succeed(["sign", name, "--key", &format!("{name}-key"), "--yes"]);
    }
    let file = bundle.attestations.file_name().unwrap().to_str().unwrap();
    desk.succeed(["sign", "out", "--merge", &format!("ada/{file}"), "--merge", &format!("bob/{file}")]);
    desk.succeed(["verify", "out", "--key", "owner.pub", "--key", "ada-key.pub", "--key", "bob-key.pub"]);
    assert_eq!(fs::read_to_string(&bundle.attestations).unwrap().lines().count(), 3);
    let again = desk.json(["sign", "out", "--merge", &format!("ada/{file}")]);
    assert_eq!(again["result"]["status"], "unchanged", "{again:#}");
}

#[test]
fn e34_a_sealed_directory_is_checked_where_it_lies() {
    let desk = Desk::new();
    lay_out(&desk.path("data"), &difficult());
    fs::write(desk.path("data/consign.yaml"), descriptor("sealed", "2.0.0")).unwrap();
    desk.key("key");
    let before = tree(&desk.path("data"));
    desk.succeed(["seal", "data", "-o", "out", "--key", "key"]);
    assert_same_tree(&before, &tree(&desk.path("data")));
    let manifest = "out/sealed-2.0.0.manifest.json";
    let check = ["verify", "data", "--manifest", manifest, "--key", "key.pub"];
    desk.succeed(check);
    desk.succeed(["sign", "out", "--key", "key", "--role", "release", "--yes", "--directory", "data"]);
    desk.succeed(check);
    let mut altered = fs::read(desk.path("data/zeros.bin")).unwrap();
    altered[2_000_000] = 1;
    fs::write(desk.path("data/zeros.bin"), altered).unwrap();
    assert_eq!(desk.verdict(&check).0, 3);
}

#[test]
fn siblings_belong_together_by_digest_whatever_they_are_called() {
    let desk = Desk::new();
    let bundle = desk.pack(&example(), "out", "key", &[]);
    desk.peer("mkdir", &["renamed"]);
    fs::copy(&bundle.archive, desk.path("renamed/digits-classifier-1.0.0.copy.tar.zst")).unwrap();
    fs::copy(&bundle.attestations, desk.path("renamed/mail-7.intoto.jsonl")).unwrap();
    desk.succeed(["verify", "renamed", "--key", "key.pub"]);
    fs::rename(desk.path("renamed/digits-classifier-1.0.0.copy.tar.zst"), desk.path("renamed/x.tar.zst"))
        .unwrap();
    assert_eq!(desk.verdict(&["verify", "renamed", "--key", "key.pub"]), (4, vec!["misnamed".into()]));
    for announced in ["digits-classifier@1.0.0", &bundle.id] {
        desk.succeed(["verify", "renamed", "--key", "key.pub", "--expect", announced]);
    }
    // From standard input, with the attestations named.
    let verify = |announced: &[&str]| {
        let words = ["verify", "-", "--attestations", "renamed/mail-7.intoto.jsonl", "--key", "key.pub"];
        let mut command = desk.consign(words.iter().chain(announced).copied());
        command.write_stdin(fs::read(&bundle.archive).unwrap()).output().unwrap()
    };
    let verified = verify(&["--expect", "digits-classifier@1.0.0"]);
    assert!(verified.status.success(), "{}", support::written_down(&verified));
    // It has no name that could be held against what was signed, and that is said.
    let verified = verify(&[]);
    let said = support::written_down(&verified);
    assert!(verified.status.success() && said.contains("a stream goes by no name"), "{said}");
}
