//! Rows about what people's directories hold: files that run by themselves, content that is not there, names with
//! joiners, and how findings are told.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use bundles::descriptor;
use serde_json::{Value, json};
use support::Desk;

/// A desk with a key and a directory of that classification.
fn desk(classification: &str) -> Desk {
    let desk = Desk::new();
    let mut yaml = descriptor("trees", "1.0.0").replace("internal", classification);
    if classification == "confidential" {
        yaml.push_str("provenance:\n  sources:\n    - uri: https://example.org/x\n");
        yaml.push_str("handling:\n  retention: 90 days\n");
    }
    desk.write("src/consign.yaml", yaml);
    desk.write("src/data.csv", "a,b\n1,2\n");
    desk.key("key");
    desk
}

/// The codes of all problems.
fn codes(document: &Value) -> Vec<&str> {
    document["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect()
}

/// Every rule of a list of findings with how often it was found.
fn counts(findings: &Value) -> Vec<(&str, u64)> {
    let found = findings["found"].as_array().unwrap().iter();
    found.map(|one| (one["rule"].as_str().unwrap(), one["count"].as_u64().unwrap())).collect()
}

#[test]
fn attack_a16_pack_seal_and_amend_refuse_what_runs_by_itself() {
    let desk = desk("internal");
    desk.write("src/.claude/settings.json", "{\"hooks\": {}}");
    desk.write("src/.cargo/config.toml", "[build]\nrustc-wrapper = './x'\n");
    for command in [
        &["preflight", "src"][..],
        &["pack", "src", "-o", "out", "--key", "key"],
        &["seal", "src", "-o", "out", "--key", "key"],
    ] {
        let document = desk.json(command.iter().copied());
        assert_eq!(document["exit"], 5, "{document:#}");
        assert_eq!(codes(&document), ["policy-code"], "{document:#}");
        assert!(document.to_string().contains("code/auto-run"), "{document:#}");
    }
    // Somebody answers for it; it stands in the statement, and a bundle that is amended has it too.
    let aside = ["--override", "code", "--reason", "reviewed"];
    let pack = [&["pack", "src", "-o", "out", "--key", "key"][..], &aside].concat();
    let packed = desk.json(pack);
    assert_eq!(packed["exit"], 0, "{packed:#}");
    assert_eq!(counts(&packed["result"]["findings"]), [("code/auto-run", 2)]);
    let archive = packed["result"]["archive"]["path"].as_str().unwrap();
    let mut yaml = descriptor("trees", "1.0.1");
    yaml.push_str("description: other\n");
    desk.write("new.yaml", yaml);
    let amend = ["amend", archive, "-o", "new", "--key", "key", "--descriptor", "new.yaml"];
    let amended = desk.json(amend);
    assert_eq!((&amended["exit"], codes(&amended)), (&json!(5), vec!["policy-code"]), "{amended:#}");
    assert_eq!(amended["result"]["status"], "refused");
    assert_eq!(counts(&amended["result"]["findings"]), [("code/auto-run", 2)]);
    let amended = desk.json([&amend[..], &aside].concat());
    assert_eq!(amended["exit"], 0, "{amended:#}");
    assert_eq!(counts(&amended["result"]["findings"]), [("code/auto-run", 2)]);
}

/// A file with the pointer that Git LFS leaves where nobody has fetched the content.
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 4265145113\n";

/// Content that is not there, of every kind.
fn incomplete(desk: &Desk) {
    desk.write("src/model-00001-of-00003.safetensors", POINTER);
    let index = r#"{"metadata": {}, "weight_map": {"a": "model-00001-of-00003.safetensors",
        "b": "model-00002-of-00003.safetensors", "c": "model-00003-of-00003.safetensors"}}"#;
    desk.write("src/model.safetensors.index.json", index);
    desk.write("src/gguf/m-00002-of-00002.gguf", POINTER);
    desk.write("src/big.csv.dvc", "outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  path: big.csv\n");
    desk.write("src/there.dvc", "outs:\n- md5: a\n  path: data.csv\n");
    desk.write(
        "src/dvc.lock",
        "schema: '2.0'\nstages:\n  t:\n    cmd: x\n    outs:\n    - path: out\n      nfiles: 2\n",
    );
    desk.write("src/out/one", "1");
    desk.write("src/x.bin.incomplete", "half");
    desk.write("src/empty.gguf", "");
}

const INCOMPLETE: [(&str, u64); 4] = [
    ("incomplete/download", 2),
    ("incomplete/dvc-pointer", 2),
    ("incomplete/lfs-pointer", 2),
    ("incomplete/missing-shard", 3),
];

fn incomplete_of(findings: &Value) -> Vec<(&str, u64)> {
    counts(findings).into_iter().filter(|(rule, _)| rule.starts_with("incomplete/")).collect()
}

#[test]
fn field_c3_content_that_is_not_there_is_told_and_signed() {
    let desk = desk("internal");
    incomplete(&desk);
    let foreseen = desk.json(["preflight", "src"]);
    assert_eq!(incomplete_of(&foreseen["result"]["findings"]), INCOMPLETE, "{foreseen:#}");
    let packed = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    assert_eq!(packed["exit"], 0, "{packed:#}");
    assert_eq!(incomplete_of(&packed["result"]["findings"]), INCOMPLETE);
    let warned = packed["result"]["handling"]["warnings"].as_array().unwrap();
    assert_eq!(warned.iter().filter(|one| one["rule"] == "incomplete").count(), 4, "{warned:?}");
    let inspected = desk.json(["inspect", "out"]);
    assert_eq!(inspected["result"]["findings"], packed["result"]["findings"]);
    let verified = desk.json(["verify", "out", "--key", "key.pub"]);
    assert_eq!(verified["exit"], 0);
    assert_eq!(verified["result"]["bundles"][0]["findings"], packed["result"]["findings"]);
    assert!(verified.to_string().contains("found incomplete/lfs-pointer 2 times in 2 files"), "{verified:#}");
    // The words of a person who packs.
    let text = desk.succeed(["preflight", "src"]);
    for line in [
        "model.safetensors.index.json, 2 times, first: model-00002-of-00003.safetensors is not in the bundle",
        "gguf/m-00002-of-00002.gguf: 1 of 2 are not in the bundle: number 1",
        "big.csv.dvc: big.csv is not in the bundle",
        "dvc.lock: out holds 1 of 2 files",
        "x.bin.incomplete: is called as what is still being fetched",
        "empty.gguf: is empty",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn field_c3_incomplete_content_is_refused_from_confidential_on() {
    let desk = desk("confidential");
    incomplete(&desk);
    for command in [&["preflight", "src"][..], &["seal", "src", "-o", "out", "--key", "key"]] {
        let document = desk.json(command.iter().copied());
        assert_eq!(document["exit"], 5, "{document:#}");
        let refused = codes(&document);
        assert_eq!(refused.iter().filter(|code| **code == "policy-incomplete").count(), 4, "{document:#}");
    }
    // Somebody answers for each, or for all.
    let list = "format = 1\n[[allow]]\nrule = 'incomplete/*'\npath = '**'\nreason = 'a sample of shards'\n";
    desk.write("allow.toml", list);
    let document = desk.json(["preflight", "src", "--findings-allow", "allow.toml"]);
    assert!(!codes(&document).contains(&"policy-incomplete"), "{document:#}");
    assert_eq!(incomplete_of(&document["result"]["findings"]), []);
    assert_eq!(document["result"]["findings"]["allowed"].as_array().unwrap().len(), 4);
}

#[test]
fn field_c9_a_finding_is_told_once_and_a_refusal_has_its_result() {
    let desk = desk("internal");
    for n in 0..6 {
        desk.write(&format!("src/p{n}.pkl"), b"cbuiltins\neval\n(S'1'\ntR.");
    }
    desk.write("src/keys.env", "PASSWORD=hunter2x!\nTOKEN_PASSWORD=tr0ub4dor&3\n");
    let rule = "code/pickle-dangerous";
    for command in [
        &["preflight", "src"][..],
        &["pack", "src", "-o", "out", "--key", "key"],
        &["seal", "src", "-o", "out", "--key", "key"],
    ] {
        let document = desk.json(command.iter().copied());
        assert_eq!(document["exit"], 5, "{document:#}");
        let result = &document["result"];
        let found = result["findings"]["found"].as_array().unwrap();
        let found = found.iter().find(|one| one["rule"] == rule).unwrap();
        assert_eq!((&found["count"], &found["files"]), (&json!(6), &json!(6)), "{found:#}");
        assert_eq!(found["examples"].as_array().unwrap().len(), 6);
        // In full: both passwords of one file with their lines.
        let places = result["places"].as_array().unwrap();
        let lines: Vec<_> = places
            .iter()
            .filter(|place| place["rule"] == "secret/password")
            .map(|place| place["line"].as_u64().unwrap())
            .collect();
        assert_eq!(lines, [1, 2], "{places:#?}");
        let message = "found code/pickle-dangerous 6 times in 6 files, first in `p0.pkl`: builtins.eval";
        assert!(document["problems"].to_string().contains(message), "{document:#}");
    }
    let packed = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    assert_eq!(packed["result"]["status"], "refused");
    assert_eq!(packed["result"]["handling"]["permitted"], false);
    assert!(!desk.path("out").exists() || std::fs::read_dir(desk.path("out")).unwrap().count() == 0);

    // What a warning is about stands once on the page.
    std::fs::remove_file(desk.path("src/keys.env")).unwrap();
    for n in 0..6 {
        desk.write(&format!("src/p{n}.pkl"), b"cmy_module\nThing\n(tR.");
    }
    let text = desk.succeed(["pack", "src", "-o", "out", "--key", "key"]);
    assert_eq!(text.matches("code/pickle-unknown-import").count(), 1, "{text}");
    assert!(text.contains("warning       6 × code/pickle-unknown-import in 6 files"), "{text}");
    assert!(text.contains("and 3 more files"), "{text}");
}

#[test]
fn field_c9_what_submit_refuses_has_its_result() {
    let desk = desk("internal");
    let packed = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    assert_eq!(packed["exit"], 0, "{packed:#}");
    let policy = "format = 1\nname = \"ours\"\n[[level]]\nname = \"internal\"\ndestinations = \"listed\"\n";
    desk.write("ours.toml", policy);
    desk.write("in/box", "");
    let document = desk.json(["submit", "out", "--to", "in", "--key", "key.pub", "--policy", "ours.toml"]);
    assert_eq!(
        (&document["exit"], codes(&document)),
        (&json!(5), vec!["policy-destination"]),
        "{document:#}"
    );
    let delivery = &document["result"]["deliveries"][0];
    assert_eq!(delivery["status"], "refused");
    assert_eq!(delivery["handling"]["permitted"], false);
    assert_eq!(document["result"]["bundle"]["id"], packed["result"]["bundle"]["id"]);
}

#[test]
fn field_c7_a_bundle_of_names_with_joiners_goes_all_the_way() {
    let desk = desk("internal");
    let names =
        ["می\u{200c}خواهم/علی\u{200c}رضا.csv", "क\u{94d}\u{200d}ष.txt", "👩🏽\u{200d}🔬.md", "❤\u{fe0f}.txt"];
    for name in names {
        desk.write(&format!("src/{name}"), "x");
    }
    let mut yaml = descriptor("trees", "1.0.0");
    yaml.push_str("license: مجوز می\u{200c}شود\n");
    desk.write("src/consign.yaml", yaml);
    let packed = desk.json(["pack", "src", "-o", "out", "--key", "key"]);
    assert_eq!(packed["exit"], 0, "{packed:#}");
    // What is shown is escaped; what is in JSON is the name.
    let text = desk.succeed(["inspect", "out", "--files"]);
    assert!(text.contains("علی\\u{200c}رضا.csv") && !text.contains('\u{200c}'), "{text}");
    assert_eq!(desk.json(["verify", "out", "--key", "key.pub"])["exit"], 0);
    desk.succeed(["unpack", "out", "there", "--key", "key.pub"]);
    for name in names {
        assert_eq!(desk.read(&format!("there/{name}")), "x", "{name}");
    }
    // Other tools open it, and BagIt's agrees.
    let archive = packed["result"]["archive"]["path"].as_str().unwrap();
    let script = "zstd -qdc \"$1\" | tar -C \"$2\" -xf - && cd \"$2/trees\" && sha256sum -c --quiet manifest-sha256.txt";
    std::fs::create_dir(desk.path("plain")).unwrap();
    desk.shell(script, &[&desk.path(archive), &desk.path("plain")]);
    desk.peer(bundles::peers().join("bagit.py"), &["--validate", desk.path("plain/trees").to_str().unwrap()]);

    // Elsewhere they are refused, with the reason; so is what an SMB client wrote for a colon.
    desk.write("src/a\u{200d}b", "x");
    desk.write("src/18\u{f03a}51.log", "x");
    desk.write("src/❤.txt", "x");
    let refused = desk.json(["pack", "src", "-o", "other", "--key", "key", "--names", "posix"]);
    let mut found = codes(&refused);
    found.sort_unstable();
    let expected = ["name-invisible-character", "name-invisible-twin", "name-private-use-character"];
    assert_eq!(found, expected, "{refused:#}");
    assert!(refused.to_string().contains("a client for SMB or macOS wrote it for `:`"), "{refused:#}");
}

#[test]
fn field_c7_the_tables_are_those_of_unicode() {
    use consign_metadata::EntryPath;
    // Every character with one of the properties, by another implementation of Unicode 16.0.
    let script = "
import regex, sys
kinds = ['Joining_Type=Dual_Joining', 'Joining_Type=Right_Joining', 'Joining_Type=Left_Joining',
         'Extended_Pictographic', 'Canonical_Combining_Class=9']
assert not regex.match(r'\\p{Cn}', '\\u1c89') and regex.match(r'\\p{Cn}', '\\u088f')
for kind in kinds:
    of = regex.compile(r'\\p{' + kind + '}')
    print(*[c for c in range(0x110000) if not 0xd800 <= c < 0xe000 and of.match(chr(c))])
";
    let told = desk("internal").peer(bundles::peers().join("python"), &["-c", script]);
    let sets: Vec<std::collections::HashSet<u32>> =
        told.lines().map(|line| line.split(' ').map(|code| code.parse().unwrap()).collect()).collect();
    let [dual, right, left, pictures, viramas] = &sets[..] else { panic!("{told}") };
    let admitted = |name: &str| name.parse::<EntryPath>().is_ok();
    let mut seen = 0;
    for c in '\u{21}'..=char::MAX {
        if c == '/' || !admitted(&format!("x{c}x")) {
            continue;
        }
        seen += 1;
        let code = u32::from(c);
        let (picture, virama) = (pictures.contains(&code), viramas.contains(&code));
        let joins_right = dual.contains(&code) || right.contains(&code);
        let joins_left = dual.contains(&code) || left.contains(&code) || virama;
        assert_eq!(admitted(&format!("ب\u{200c}{c}")), joins_right, "U+{code:04X}");
        assert_eq!(admitted(&format!("{c}\u{200c}ب")), joins_left, "U+{code:04X}");
        assert_eq!(admitted(&format!("{c}\u{200d}👩")), picture || virama, "U+{code:04X}");
        assert_eq!(admitted(&format!("👩\u{200d}{c}")), picture, "U+{code:04X}");
        assert_eq!(admitted(&format!("{c}\u{fe0f}")), picture, "U+{code:04X}");
    }
    assert!(seen > 150_000, "{seen}");
}
