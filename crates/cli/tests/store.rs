//! What was made can be made again: the store, reconstruction out of whatever holds the content, and new versions
//! with another descriptor. Nothing that comes out is anything but what was signed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bundles::{Bundle, Noise, descriptor, difficult, names, peers};
use serde_json::Value;
use support::{Desk, consign, written_down};

/// A dataset of a few megabytes, and the tree that it is packed from.
fn dataset(desk: &Desk) -> PathBuf {
    let source = desk.path("source");
    fs::create_dir_all(source.join("nested/empty")).unwrap();
    fs::write(source.join("table.bin"), Noise::new(3).bytes(6_000_000)).unwrap();
    fs::write(source.join("a.txt"), "alpha\n").unwrap();
    fs::write(source.join("twice.txt"), "alpha\n").unwrap();
    fs::write(source.join("nothing"), "").unwrap();
    fs::create_dir(source.join("bin")).unwrap();
    fs::write(source.join("bin/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(source.join("bin/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(source.join("consign.yaml"), descriptor("trees", "1.0.0")).unwrap();
    source
}

fn packed(desk: &Desk, more: &[&str]) -> (PathBuf, Bundle) {
    let source = dataset(desk);
    let bundle = desk.pack(&source, "out", "key", more);
    (source, bundle)
}

/// What lies in a folder, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    names(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(&name)).unwrap())).collect()
}

#[track_caller]
fn assert_same(expected: &[(String, Vec<u8>)], folder: &Path) {
    let found = contents(folder);
    let list = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(list(expected), list(&found));
    for ((name, a), (_, b)) in expected.iter().zip(&found) {
        assert!(a == b, "{name} differs");
    }
}

#[track_caller]
fn done(desk: &Desk, arguments: &[&str]) -> Value {
    let document = desk.json(arguments.iter().copied());
    assert_eq!(document["exit"], 0, "{document:#}");
    document["result"].clone()
}

/// All objects of the default store.
fn objects(desk: &Desk) -> Vec<PathBuf> {
    let root = desk.home().join("store/objects");
    let folders = fs::read_dir(root).unwrap().map(|folder| folder.unwrap().path());
    let mut all: Vec<_> =
        folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect();
    all.sort();
    all
}

#[test]
fn ten_versions_cost_little_more_than_one_and_each_comes_back() {
    let desk = Desk::new();
    let source = desk.path("source");
    fs::create_dir(&source).unwrap();
    let mut data = Noise::new(1).bytes(60_000_000);
    let mut originals = Vec::new();
    for n in 0..10 {
        // A few bytes in one place, and a small file.
        data[5_000_017 * n + 11] ^= 0x55;
        fs::write(source.join("data.bin"), &data).unwrap();
        fs::write(source.join("notes.txt"), format!("version {n}\n")).unwrap();
        fs::write(source.join("consign.yaml"), descriptor("trees", &format!("1.{n}.0"))).unwrap();
        let bundle = desk.pack(&source, &format!("out{n}"), "key", &["--keep", "--store"]);
        originals.push((
            contents(&bundle.folder),
            fs::metadata(&bundle.archive).unwrap().len(),
            bundle.sha256,
        ));
        fs::remove_dir_all(bundle.folder).unwrap();
    }
    let listed = done(&desk, &["store", "list"]);
    assert_eq!(listed["bundles"].as_array().unwrap().len(), 10);
    let stored = objects(&desk).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    assert_eq!(listed["object_bytes"], stored);
    assert!(stored * 10 < originals[0].1 * 13, "{stored} bytes for ten of {}", originals[0].1);
    assert_eq!(done(&desk, &["store", "verify"])["intact"], true);
    for (n, (files, _, sha256)) in originals.iter().enumerate() {
        let (version, out) = (format!("trees@1.{n}.0"), format!("back{n}"));
        let made = done(&desk, &["reconstruct", &version, "-o", &out]);
        assert_eq!((&made["archive"], &made["proven"]), (&"same-bytes".into(), &"archive-digest".into()));
        assert_eq!(made["sources"][0]["kind"], "store");
        assert_same(files, &desk.path(&out));
        // By the digest of its archive as well.
        let digest = format!("sha256:{sha256}");
        assert_eq!(done(&desk, &["reconstruct", &digest, "-o", &out])["status"], "unchanged");
    }
    desk.succeed(["verify", "back3", "--key", "key.pub"]);
    // Objects are for reading only.
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o222;
    assert!(objects(&desk).iter().all(|path| mode(path) == 0));

    let would = done(&desk, &["store", "gc", "--keep-last", "2", "--dry-run"]);
    assert_eq!(would["removed"].as_array().unwrap().len(), 8);
    assert_eq!(done(&desk, &["store", "list"])["bundles"].as_array().unwrap().len(), 10);
    let gone = done(&desk, &["store", "gc", "--keep-last", "2"]);
    assert_eq!((&gone["objects"], &gone["bytes"]), (&would["objects"], &would["bytes"]));
    let listed = done(&desk, &["store", "list"]);
    let versions: Vec<_> =
        listed["bundles"].as_array().unwrap().iter().map(|b| b["bundle"]["version"].clone()).collect();
    assert_eq!(versions, ["1.8.0", "1.9.0"]);
    done(&desk, &["reconstruct", "trees@1.9.0", "-o", "again"]);
    assert_same(&originals[9].0, &desk.path("again"));
    assert_eq!(desk.verdict(&["reconstruct", "trees@1.0.0", "-o", "x"]), (1, vec!["unknown-bundle".into()]));
    done(
        &desk,
        &["store", "gc", "--remove", "trees@1.8.0", "--remove", &format!("sha256:{}", originals[9].2)],
    );
    assert!(objects(&desk).is_empty());
}

#[test]
fn only_what_a_valid_signature_speaks_of_is_stored() {
    let desk = Desk::new();
    let (_, bundle) = packed(&desk, &[]);
    assert_eq!(desk.verdict(&["store", "list"]).1, ["not-a-store"]);
    assert_eq!(done(&desk, &["store", "add", "out"])["bundles"][0]["status"], "stored");
    assert_eq!(done(&desk, &["store", "add", "out"])["bundles"][0]["status"], "unchanged");
    // Somebody signs, and it is the longer file that comes back.
    desk.key("release");
    desk.succeed(["sign", "out", "--key", "release", "--yes"]);
    let both = contents(&bundle.folder);
    assert_eq!(done(&desk, &["store", "add", "out"])["bundles"][0]["status"], "stored");
    done(&desk, &["reconstruct", &bundle.id, "-o", "back"]);
    assert_same(&both, &desk.path("back"));

    let before = objects(&desk);
    let archive = fs::read(&bundle.archive).unwrap();
    let mut altered = archive.clone();
    altered[archive.len() / 2] ^= 1;
    fs::write(&bundle.archive, &altered).unwrap();
    // What is known is not read again; in another store it would have to be.
    assert_eq!(desk.verdict(&["store", "add", "out", "--store", "other"]), (3, vec!["frame-altered".into()]));
    fs::write(&bundle.archive, &archive[..archive.len() - 1]).unwrap();
    assert_eq!(desk.verdict(&["store", "add", "out"]), (3, vec!["archive-size".into()]));
    fs::write(&bundle.archive, &archive).unwrap();
    let statement = desk.read("out/trees-1.0.0.intoto.jsonl");
    desk.write("out/trees-1.0.0.intoto.jsonl", statement.replacen("\"sig\":\"", "\"sig\":\"AAAA", 1));
    assert_eq!(desk.verdict(&["store", "add", "out"]).0, 3);
    fs::remove_file(&bundle.attestations).unwrap();
    assert_eq!(desk.verdict(&["store", "add", "out"]), (4, vec!["unsigned".into()]));
    assert_eq!(objects(&desk), before);
    assert_eq!(desk.verdict(&["store", "list", "--store", "other"]), (0, vec![]));
    assert_eq!(done(&desk, &["store", "list", "--store", "other"])["bundles"], Value::Array(vec![]));
    // A folder that is something else is not made a store.
    assert_eq!(desk.verdict(&["store", "add", "back", "--store", "source"]), (1, vec!["not-a-store".into()]));
    assert_eq!(
        desk.verdict(&["pack", "source", "-o", "u", "--unsigned", "--keep"]),
        (2, vec!["cannot-keep".into()])
    );
}

#[test]
fn a_poisoned_store_is_named_and_gives_nothing_back() {
    let desk = Desk::new();
    let (_, bundle) = packed(&desk, &["--keep"]);
    let original = contents(&bundle.folder);
    let rewrite = |path: &Path, bytes: &[u8]| {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let all = objects(&desk);
    assert!(all.len() > 5);
    for path in &all {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 3] ^= 4;
        for poisoned in [&flipped[..], &bytes[..bytes.len() / 2]] {
            rewrite(path, poisoned);
            let report = desk.json(["store", "verify"]);
            assert_eq!(report["exit"], 3, "{name}");
            assert_eq!(report["problems"].as_array().unwrap().len(), 1, "{report:#}");
            assert!(report["problems"][0]["message"].as_str().unwrap().contains(name), "{report:#}");
            assert_eq!(report["result"]["broken"][0]["bundle"]["name"], "trees");
            let made = desk.json(["reconstruct", "trees@1.0.0", "-o", "back"]);
            // Without the signature it is the same bundle still, and no more is said; else nothing is made.
            if made["exit"] == 0 {
                assert_eq!(
                    (&made["result"]["archive"], &made["result"]["proven"]),
                    (&"same-content".into(), &"bundle-id".into())
                );
                assert!(made["result"].get("beside").is_none());
                fs::remove_dir_all(desk.path("back")).unwrap();
            }
            assert!(!desk.path("back").exists(), "{name}");
        }
        fs::remove_file(path).unwrap();
        let report = desk.json(["store", "verify"]);
        assert_eq!((&report["exit"], &report["problems"][0]["code"]), (&3.into(), &"object-missing".into()));
        // What is missing comes from elsewhere; the store is mended by adding the bundle again.
        let made =
            done(&desk, &["reconstruct", "trees@1.0.0", "--from", "out", "--from", "source", "-o", "back"]);
        assert_eq!(made["archive"], "same-bytes", "{name}");
        assert_same(&original, &desk.path("back"));
        fs::remove_dir_all(desk.path("back")).unwrap();
        done(&desk, &["store", "add", "out"]);
        assert_eq!(done(&desk, &["store", "verify"])["intact"], true);
    }
    // Two that changed places, and the recipe of another bundle under this one's name.
    let (a, b) = (fs::read(&all[0]).unwrap(), fs::read(&all[1]).unwrap());
    rewrite(&all[0], &b);
    rewrite(&all[1], &a);
    assert_eq!(desk.verdict(&["store", "verify"]).0, 3);
    rewrite(&all[0], &a);
    rewrite(&all[1], &b);
    desk.write("second/consign.yaml", descriptor("second", "2.0.0"));
    desk.write("second/b.txt", "beta");
    let second = desk.pack(&desk.path("second"), "out2", "key", &["--keep"]);
    let recipe = |sha256: &str| desk.home().join(format!("store/recipes/{sha256}.json"));
    let theirs = fs::read_to_string(recipe(&second.sha256)).unwrap();
    for forged in [theirs.clone(), theirs.replace(&second.sha256, &bundle.sha256)] {
        rewrite(&recipe(&bundle.sha256), forged.as_bytes());
        let report = desk.json(["store", "verify"]);
        assert_eq!(
            (&report["exit"], &report["problems"][0]["code"]),
            (&3.into(), &"recipe-malformed".into())
        );
        let digest = format!("sha256:{}", bundle.sha256);
        assert_eq!(
            desk.json(["reconstruct", &digest, "-o", "back"])["problems"][0]["code"],
            "unknown-bundle"
        );
        assert!(!desk.path("back").exists());
    }
    let lying = fs::read_to_string(recipe(&second.sha256)).unwrap().replace("2.0.0", "9.0.0");
    let honest = fs::read(recipe(&second.sha256)).unwrap();
    rewrite(&recipe(&second.sha256), lying.as_bytes());
    assert_eq!(desk.verdict(&["reconstruct", "second@9.0.0", "-o", "back"]).0, 3);
    rewrite(&recipe(&second.sha256), &honest);
    // Nothing is removed as long as it is not known what is needed.
    assert_eq!(desk.verdict(&["store", "gc"]).0, 0, "the forged recipe reads as one");
    rewrite(&recipe(&bundle.sha256), b"{}");
    assert_eq!(desk.verdict(&["store", "gc"]), (3, vec!["recipe-malformed".into()]));
    done(&desk, &["store", "gc", "--remove", &format!("sha256:{}", bundle.sha256)]);
    done(&desk, &["store", "add", "out"]);
    assert_eq!(done(&desk, &["store", "verify"])["intact"], true);
}

#[test]
fn loose_files_make_the_same_archive() {
    let desk = Desk::new();
    let (source, bundle) = desk.pack_listing(&difficult());
    let original = contents(&bundle.folder);
    // Under other names, without their modes, among others.
    let loose = desk.path("loose");
    fs::create_dir(&loose).unwrap();
    let mut n = 0;
    for (path, content) in difficult() {
        let Some(content) = content.filter(|content| !content.is_empty()) else { continue };
        n += 1;
        fs::create_dir_all(loose.join(format!("{}", n % 5))).unwrap();
        fs::write(loose.join(format!("{}/{n}.dat", n % 5)), &content).unwrap();
        // Decoys of the same size.
        fs::write(loose.join(format!("{}/{n}.decoy", n % 5)), vec![b'?'; content.len()]).unwrap();
        drop(path);
    }
    fs::remove_dir_all(&source).unwrap();
    let made =
        done(&desk, &["reconstruct", "out/trees-1.0.0.manifest.json", "--from", "loose", "-o", "back"]);
    assert_eq!((&made["archive"], &made["proven"]), (&"same-bytes".into(), &"archive-digest".into()));
    assert_eq!(made["sources"][0]["kind"], "directory");
    assert_same(&original, &desk.path("back"));
    // Attestations name the bundle as well; a bag, a sealed or unpacked directory and an older bundle are sources.
    desk.succeed(["unpack", "out", "bag", "--bag", "--key", "key.pub", "--no-remember"]);
    fs::create_dir(desk.path("slim")).unwrap();
    for file in [&bundle.manifest, &bundle.attestations] {
        fs::copy(file, desk.path("slim").join(file.file_name().unwrap())).unwrap();
    }
    for (n, from) in ["bag", "bag/data", "out/trees-1.0.0.tar.zst", "out"].into_iter().enumerate() {
        let out = format!("from{n}");
        let made = done(&desk, &["reconstruct", "slim/trees-1.0.0.intoto.jsonl", "--from", from, "-o", &out]);
        assert_eq!(made["archive"], "same-bytes", "{from}");
        assert_same(&original, &desk.path(&out));
    }
    // Without a statement only the bundle id is proven, and that is said.
    fs::remove_file(desk.path("slim/trees-1.0.0.intoto.jsonl")).unwrap();
    let made =
        done(&desk, &["reconstruct", "slim/trees-1.0.0.manifest.json", "--from", "bag", "-o", "plain"]);
    assert_eq!((&made["archive"], &made["proven"]), (&"same-content".into(), &"bundle-id".into()));
    assert_eq!(made["bundle"]["id"], bundle.id);
    assert_eq!(names(&desk.path("plain")), ["trees-1.0.0.manifest.json", "trees-1.0.0.tar.zst"]);
    // With it given by hand it is the archive again.
    let statement = bundle.attestations.to_str().unwrap();
    let made = done(
        &desk,
        &[
            "reconstruct",
            "slim/trees-1.0.0.manifest.json",
            "--from",
            "bag",
            "-o",
            "given",
            "--attestations",
            statement,
        ],
    );
    assert_eq!(made["archive"], "same-bytes");
    assert_same(&original, &desk.path("given"));
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let desk = Desk::new();
    let (source, bundle) = packed(&desk, &[]);
    fs::remove_file(source.join("bin/run.sh")).unwrap();
    let mut table = fs::read(source.join("table.bin")).unwrap();
    table[77] ^= 1;
    fs::write(source.join("table.bin"), table).unwrap();
    for dry_run in [true, false] {
        let mut arguments =
            vec!["reconstruct", "out/trees-1.0.0.manifest.json", "--from", "source", "-o", "back"];
        arguments.extend(dry_run.then_some("--dry-run"));
        let document = desk.json(arguments);
        assert_eq!(
            (&document["exit"], &document["problems"][0]["code"]),
            (&1.into(), &"files-missing".into())
        );
        let missing = document["result"]["missing"].as_array().unwrap();
        let paths: Vec<_> = missing.iter().map(|file| file["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["bin/run.sh", "table.bin"]);
        assert_eq!(missing[1]["bytes"], 6_000_000);
        assert!(!desk.path("back").exists());
    }
    // A piece from here, a piece from there: an older version holds the table.
    let older = desk.path("older");
    fs::create_dir(&older).unwrap();
    fs::write(older.join("old-table"), Noise::new(3).bytes(6_000_000)).unwrap();
    fs::write(older.join("consign.yaml"), descriptor("older", "0.1.0")).unwrap();
    desk.pack(&older, "out-older", "key", &["--keep"]);
    desk.write("script", "#!/bin/sh\n");
    let arguments = [
        "reconstruct",
        "out/trees-1.0.0.manifest.json",
        "--from",
        "source",
        "--from",
        "script",
        "-o",
        "back",
    ];
    let would = done(&desk, &[&arguments[..], &["--dry-run"]].concat());
    assert_eq!((&would["status"], &would["archive"]), (&"dry-run".into(), &"same-bytes".into()));
    assert!(!desk.path("back").exists());
    let made = done(&desk, &arguments);
    assert_eq!(made["archive"], "same-bytes");
    let from: Vec<_> =
        made["sources"].as_array().unwrap().iter().map(|s| (s["kind"].clone(), s["files"].clone())).collect();
    assert_eq!(from, [("directory".into(), 2.into()), ("file".into(), 1.into()), ("store".into(), 1.into())]);
    assert_same(&contents(&bundle.folder), &desk.path("back"));
    assert_eq!(desk.verdict(&[&arguments[..], &["--no-store"]].concat()).0, 0, "it is there already");
    fs::remove_dir_all(desk.path("back")).unwrap();
    assert_eq!(desk.verdict(&[&arguments[..], &["--no-store"]].concat()), (1, vec!["files-missing".into()]));
}

#[test]
fn each_archive_of_a_bundle_is_made_again_as_it_was_signed() {
    let desk = Desk::new();
    let (_, bundle) = packed(&desk, &[]);
    let other = desk.pack(&desk.path("source"), "other", "key", &["--level", "7"]);
    assert_eq!(bundle.id, other.id);
    assert_ne!(bundle.sha256, other.sha256);
    for bundle in [&bundle, &other] {
        let statement = bundle.attestations.to_str().unwrap();
        let out = format!("back-{}", &bundle.sha256[..8]);
        let made = done(&desk, &["reconstruct", statement, "--from", "source", "-o", &out]);
        assert_eq!(made["archive"], "same-bytes");
        assert_eq!(made["sha256"], bundle.sha256);
    }
}

#[test]
fn another_encoder_gives_the_same_content_and_says_so() {
    let desk = Desk::new();
    dataset(&desk);
    desk.key("key");
    desk.succeed(["pack", "source", "-o", "out", "--unsigned"]);
    // What an earlier zstd made: its name stands in the index, in a place of the same length. Then it is signed.
    let archive = desk.path("out/trees-1.0.0.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    let ours = b"zstd-1.";
    let at = bytes.windows(ours.len()).rposition(|window| window == ours).unwrap();
    bytes[at..at + ours.len()].copy_from_slice(b"zstd-0.");
    fs::write(&archive, &bytes).unwrap();
    desk.succeed(["sign", "out", "--key", "key", "--yes"]);
    let original = contents(&desk.path("out"));

    let manifest = "out/trees-1.0.0.manifest.json";
    let made = done(&desk, &["reconstruct", manifest, "--from", "source", "-o", "loose"]);
    assert_eq!((&made["archive"], &made["proven"]), (&"same-content".into(), &"bundle-id".into()));
    assert!(made["signed"]["encoder"].as_str().unwrap().starts_with("zstd-0."), "{made:#}");
    assert!(made["encoder"].as_str().unwrap().starts_with("zstd-1."), "{made:#}");
    assert_ne!(made["sha256"], made["signed"]["sha256"]);
    // The statement about the other archive does not go with it.
    assert_eq!(names(&desk.path("loose")), ["trees-1.0.0.manifest.json", "trees-1.0.0.tar.zst"]);
    let text = desk.succeed(["reconstruct", manifest, "--from", "source", "-o", "loose2"]);
    assert!(text.contains("same content") && !text.contains("same bytes"), "{text}");
    // The frames themselves need no encoder.
    desk.succeed(["store", "add", "out"]);
    let made = done(&desk, &["reconstruct", "trees@1.0.0", "-o", "back"]);
    assert_eq!(made["archive"], "same-bytes");
    assert_same(&original, &desk.path("back"));
    // An amended version says which encoder made what.
    let words = amended(&desk, "1.0.1", "Trees");
    let made = done(&desk, &["amend", "out", "--descriptor", &words, "-o", "v1", "--key", "key"]);
    let encoder = made["archive"]["encoder"].as_str().unwrap();
    assert!(encoder.starts_with("zstd-0.") && encoder.contains("+tags:zstd-1."), "{encoder}");
    desk.succeed(["verify", "v1", "--key", "key.pub", "--no-remember"]);
}

#[test]
fn a_name_that_stands_for_several_bundles_is_refused() {
    let desk = Desk::new();
    let (source, _) = packed(&desk, &["--keep"]);
    fs::write(source.join("a.txt"), "another").unwrap();
    desk.pack(&source, "out2", "key", &["--keep"]);
    assert_eq!(
        desk.verdict(&["reconstruct", "trees@1.0.0", "-o", "back"]),
        (2, vec!["several-bundles".into()])
    );
    assert_eq!(desk.verdict(&["reconstruct", "nobody", "-o", "back"]), (2, vec!["no-such-bundle".into()]));
    assert_eq!(
        desk.verdict(&["reconstruct", "out/trees-1.0.0.tar.zst", "-o", "back"]),
        (2, vec!["archive-given".into()])
    );
    // Nothing is overwritten.
    desk.write("full/trees-1.0.0.tar.zst", "mine");
    assert_eq!(
        desk.verdict(&["reconstruct", "out/trees-1.0.0.manifest.json", "-o", "full"]),
        (1, vec!["output-exists".into()])
    );
    assert_eq!(desk.read("full/trees-1.0.0.tar.zst"), "mine");
}

/// The descriptor of the dataset with other words.
fn amended(desk: &Desk, version: &str, title: &str) -> String {
    let name = format!("descriptor-{version}.yaml");
    desk.write(&name, format!("{}title: {title}\n", descriptor("trees", version)));
    name
}

#[test]
fn a_chain_of_amendments() {
    let desk = Desk::new();
    let (source, first) = packed(&desk, &["--keep"]);
    let mut before = first;
    for (n, unseen) in [(1, false), (2, true), (3, false)] {
        let version = format!("1.0.{n}");
        let words = amended(&desk, &version, &format!("Trees, edition {n}"));
        let (from, out) = (before.folder.to_str().unwrap().to_owned(), format!("v{n}"));
        let mut arguments =
            vec!["amend", &from, "--descriptor", &words, "-o", &out, "--key", "key", "--keep"];
        arguments.extend(unseen.then_some("--unseen"));
        let would = done(&desk, &[&arguments[..], &["--dry-run"]].concat());
        assert!(!desk.path(&out).exists());
        let made = done(&desk, &arguments);
        assert_eq!((&would["bundle"]["id"], &would["changed"]), (&made["bundle"]["id"], &made["changed"]));
        assert_eq!(
            (&made["from"], &made["from_version"]),
            (&before.id.clone().into(), &before_version(n).into())
        );
        assert_eq!(made["basis"], if unseen { "unseen" } else { "verified" });
        let (old, new) = (fs::read(&before.archive).unwrap(), made["archive"]["path"].as_str().unwrap());
        let new = fs::read(desk.path(new)).unwrap();
        let shared = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        assert!(shared > 6_000_000, "{shared}");
        desk.succeed(["verify", &out, "--key", "key.pub", "--no-remember"]);
        let manifest = desk.read(&format!("{out}/trees-{version}.manifest.json"));
        assert!(manifest.contains(&before.id), "{manifest}");
        // What packing the files with that descriptor gives.
        fs::write(source.join("consign.yaml"), parents(&desk.read(&words), &before.id)).unwrap();
        let packed =
            desk.pack(&source, &format!("p{n}"), "key", &["--parent", before.manifest.to_str().unwrap()]);
        assert!(fs::read(&packed.archive).unwrap() == new, "{version}");
        before = packed;
        before.folder = desk.path(&out);
        before.archive = desk.path(&format!("{out}/trees-{version}.tar.zst"));
    }
    // All of it is the bag that it was.
    desk.succeed(["unpack", "v3", "bag", "--bag", "--key", "key.pub", "--no-remember"]);
    desk.peer(peers().join("bagit.py"), &["--validate", "bag"]);
    let archive = desk.path("v3/trees-1.0.3.tar.zst");
    desk.shell(
        "zstd -dc \"$1\" | tar -xf - && cd trees && sha256sum -c --quiet manifest-sha256.txt",
        &[&archive],
    );
    // The store holds the payload once.
    let listed = done(&desk, &["store", "list"]);
    assert_eq!(listed["bundles"].as_array().unwrap().len(), 4);
    let one = fs::metadata(&archive).unwrap().len();
    assert!(listed["object_bytes"].as_u64().unwrap() * 10 < one * 11);
    for n in 0..4 {
        let (version, out) = (format!("trees@1.0.{n}"), format!("back{n}"));
        assert_eq!(done(&desk, &["reconstruct", &version, "-o", &out])["archive"], "same-bytes");
    }
    // Also from loose files.
    fs::remove_file(source.join("consign.yaml")).unwrap();
    let statement = "v2/trees-1.0.2.intoto.jsonl";
    let made = done(&desk, &["reconstruct", statement, "--no-store", "--from", "source", "-o", "loose"]);
    assert_eq!(made["archive"], "same-bytes");
    assert_same(&contents(&desk.path("v2")), &desk.path("loose"));
}

fn before_version(n: u32) -> String {
    format!("1.0.{}", n - 1)
}

fn parents(descriptor: &str, id: &str) -> String {
    format!("{descriptor}parents:\n  - {id}\n")
}

#[test]
fn what_was_altered_is_not_amended() {
    let desk = Desk::new();
    let (_, bundle) = packed(&desk, &[]);
    let words = amended(&desk, "1.0.1", "Trees");
    let archive = fs::read(&bundle.archive).unwrap();
    let mut altered = archive.clone();
    altered[3_000_000] ^= 1;
    fs::write(&bundle.archive, &altered).unwrap();
    let arguments = ["amend", "out", "--descriptor", &words, "-o", "v1", "--key", "key"];
    assert_eq!(desk.verdict(&arguments), (3, vec!["frame-altered".into()]));
    assert!(!desk.path("v1").exists());
    // Unseen it is copied, alterations and all; and never verifies.
    done(&desk, &[&arguments[..], &["--unseen"]].concat());
    let document = desk.json(["verify", "v1", "--key", "key.pub", "--no-remember"]);
    assert_eq!((&document["exit"], &document["problems"][0]["code"]), (&3.into(), &"frame-altered".into()));
    let text = desk.transcript(["verify", "v1", "--key", "key.pub", "--no-remember"]);
    assert!(!text.contains("VERIFIED") || text.contains("NOT VERIFIED"), "{text}");
    fs::remove_dir_all(desk.path("v1")).unwrap();
    for (at, codes) in [(archive.len() - 5, "tail-altered"), (archive.len() - 400, "tail-altered")] {
        let mut altered = archive.clone();
        altered[at] ^= 1;
        fs::write(&bundle.archive, &altered).unwrap();
        assert_eq!(desk.verdict(&[&arguments[..], &["--unseen"]].concat()), (3, vec![codes.into()]));
    }
    fs::write(&bundle.archive, &archive).unwrap();

    // Whoever did not sign it must trust somebody who did.
    desk.key("stranger");
    let by_stranger = ["amend", "out", "--descriptor", &words, "-o", "v1", "--key", "stranger"];
    assert_eq!(desk.verdict(&by_stranger), (4, vec!["not-trusted".into()]));
    assert_eq!(desk.verdict(&[&by_stranger[..], &["--signer", "stranger.pub"]].concat()).0, 4);
    assert!(!desk.path("v1").exists());
    done(&desk, &[&by_stranger[..], &["--signer", "key.pub"]].concat());
    desk.succeed(["verify", "v1", "--key", "stranger.pub", "--no-remember"]);
    // Nothing is overwritten.
    assert_eq!(desk.verdict(&arguments), (1, vec!["output-exists".into()]));
}

#[test]
fn what_would_change_the_files_or_lower_the_class_is_refused() {
    let desk = Desk::new();
    let source = dataset(&desk);
    let base = descriptor("trees", "1.0.0");
    fs::write(source.join("consign.yaml"), format!("{base}exclude:\n  - \"*.tmp\"\n")).unwrap();
    fs::write(source.join("x.tmp"), "").unwrap();
    fs::write(source.join("x.bak"), "").unwrap();
    desk.pack(&source, "out", "key", &["--exclude", "*.bak"]);
    let new = descriptor("trees", "1.0.1");
    let with = "exclude:\n  - \"*.tmp\"\n";
    let cases = [
        ("none.yaml", new.clone(), 2, "exclude-changed"),
        ("more.yaml", format!("{new}exclude:\n  - \"*.tmp\"\n  - \"*.txt\"\n"), 2, "exclude-changed"),
        ("name.yaml", format!("{}{with}", descriptor("other", "1.0.1")), 2, "name-changed"),
        ("same.yaml", format!("{base}{with}"), 2, "version-same"),
        ("low.yaml", format!("{}{with}", new.replace("internal", "public")), 5, "policy-downgrade"),
    ];
    for (name, text, exit, code) in cases {
        desk.write(name, text);
        let (found, codes) = desk.verdict(&[
            "amend",
            "out",
            "--descriptor",
            name,
            "--exclude",
            "*.bak",
            "-o",
            "v1",
            "--key",
            "key",
        ]);
        assert_eq!(found, exit, "{name}: {codes:?}");
        assert!(codes.iter().any(|found| found == code), "{name}: {codes:?}");
        assert!(!desk.path("v1").exists());
    }
    desk.write("good.yaml", format!("{new}{with}"));
    let good = ["amend", "out", "--descriptor", "good.yaml", "-o", "v1", "--key", "key"];
    assert_eq!(desk.verdict(&good), (2, vec!["exclude-changed".into()]));
    let made = done(&desk, &[&good[..], &["--exclude", "*.bak"]].concat());
    // What was found in the content is carried over, and so are the counts.
    assert!(made["findings"]["formats"].is_array());
    desk.succeed(["verify", "v1", "--key", "key.pub", "--no-remember"]);
}

#[test]
#[cfg(feature = "encryption")]
fn encrypted_bundles_are_told_apart() {
    let desk = Desk::new();
    dataset(&desk);
    desk.key("key");
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", "lab"]);
    desk.succeed(["pack", "source", "-o", "out", "--key", "key", "--encrypt-to", "lab.pub"]);
    let words = amended(&desk, "1.0.1", "Trees");
    assert_eq!(desk.verdict(&["store", "add", "out"]), (2, vec!["encrypted".into()]));
    assert_eq!(
        desk.verdict(&["amend", "out", "--descriptor", &words, "-o", "v", "--key", "key"]),
        (2, vec!["encrypted".into()])
    );
    assert_eq!(
        desk.verdict(&["pack", "source", "-o", "o2", "--key", "key", "--encrypt-to", "lab.pub", "--keep"]),
        (2, vec!["cannot-keep".into()])
    );
}

#[test]
fn collecting_and_adding_at_once_loses_nothing() {
    let desk = Desk::new();
    let source = dataset(&desk);
    for n in 0..6 {
        fs::write(source.join("a.txt"), format!("edition {n}")).unwrap();
        fs::write(source.join("consign.yaml"), descriptor("trees", &format!("1.{n}.0"))).unwrap();
        desk.pack(&source, &format!("out{n}"), "key", &[]);
    }
    desk.succeed(["store", "add", "out0"]);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let desk = &desk;
            scope.spawn(move || {
                (0..6).for_each(|n| {
                    drop(desk.succeed(["store", "add", &format!("out{}", (n + 3 * writer) % 6)]));
                });
            });
        }
        scope.spawn(|| (0..12).for_each(|_| drop(desk.succeed(["store", "gc"]))));
    });
    let report = done(&desk, &["store", "verify"]);
    assert_eq!(
        (&report["archives"], &report["unneeded"], &report["leftovers"]),
        (&6.into(), &0.into(), &0.into())
    );
    for n in 0..6 {
        let (version, out) = (format!("trees@1.{n}.0"), format!("back{n}"));
        desk.succeed(["reconstruct", &version, "-o", &out]);
        assert_same(&contents(&desk.path(&format!("out{n}"))), &desk.path(&out));
    }
}

/// What a store is written with.
const FILE_OPERATIONS: [&str; 10] =
    ["openat", "write", "fsync", "syncfs", "mkdir", "rename", "renameat2", "linkat", "unlink", "chmod"];

fn traced(desk: &Desk, inject: &[&str], arguments: &[&str]) -> Output {
    let mut command = Command::new("strace");
    desk.bare(&mut command).args(["-f", "-qq", "-o"]).arg(desk.path("trace")).args(inject).arg(consign());
    let output = command.args(arguments).output();
    output.unwrap_or_else(|error| panic!("this test needs strace ({error}); .ci/install installs it"))
}

/// How often `store add` calls each of the operations, the first time in a store that is there.
fn operations(desk: &Desk) -> Vec<(&'static str, usize)> {
    let filter = format!("trace={}", FILE_OPERATIONS.join(","));
    let output = traced(desk, &["-e", &filter], &["store", "add", "out"]);
    assert!(output.status.success(), "{}", written_down(&output));
    let trace = desk.read("trace");
    let count = |name: &str| trace.lines().filter(|line| line.contains(&format!(" {name}("))).count();
    FILE_OPERATIONS.into_iter().map(|name| (name, count(name))).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_store_survives_being_killed_at_any_operation_and_a_full_disk() {
    let desk = Desk::new();
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("source/a.txt", "alpha");
    desk.write("source/b.bin", Noise::new(4).bytes(1 << 20));
    let bundle = desk.pack(&desk.path("source"), "out", "key", &[]);
    let original = contents(&bundle.folder);
    let store = desk.home().join("store");
    let operations = operations(&desk);
    let kinds: BTreeSet<_> = operations.iter().map(|(name, _)| *name).collect();
    assert!(kinds.contains("write") && kinds.contains("fsync") && kinds.contains("openat"), "{operations:?}");
    let mut killed = 0;
    for (name, count) in operations {
        for n in 1..=count {
            for fault in ["signal=SIGKILL", "error=ENOSPC"] {
                // Reading fails in other ways; a full disk is met where something is made or written.
                if fault == "error=ENOSPC" && ["openat", "unlink"].contains(&name) {
                    continue;
                }
                let _ = fs::remove_dir_all(&store);
                let inject = format!("inject={name}:{fault}:when={n}");
                let filter = format!("trace={name}");
                let output = traced(&desk, &["-e", &filter, "-e", &inject], &["store", "add", "out"]);
                let what = format!("{inject}: {}", written_down(&output));
                if fault == "error=ENOSPC" {
                    // It is said, unless it was only about saying something.
                    assert!(output.status.code().is_some_and(|code| code <= 1), "{what}");
                } else if !output.status.success() {
                    killed += 1;
                }
                let said_done = output.status.success();
                if store.join("consign-store").exists() {
                    let report = done(&desk, &["store", "verify"]);
                    assert_eq!(report["intact"], true, "{what}");
                    if said_done {
                        assert_eq!(report["archives"], 1, "{what}");
                    }
                } else {
                    assert!(!said_done, "{what}");
                }
                done(&desk, &["store", "add", "out"]);
                done(&desk, &["store", "gc"]);
                let report = done(&desk, &["store", "verify"]);
                assert_eq!(
                    (&report["archives"], &report["unneeded"], &report["leftovers"]),
                    (&1.into(), &0.into(), &0.into()),
                    "{what}"
                );
                let out = desk.path("back");
                done(&desk, &["reconstruct", "small@1.0.0", "-o", "back"]);
                assert_same(&original, &out);
                fs::remove_dir_all(out).unwrap();
            }
        }
    }
    assert!(killed > 30, "{killed}");
}
