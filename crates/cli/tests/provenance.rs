//! Where bundles come from: captured, signed, checked, refused; and lineage, which is walked through what is known.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundles::{descriptor, peers};
use serde_json::{Value, json};
use support::Desk;

const GIVEN: &str = r#"{ "buildDefinition": {"buildType":"https://example.org/train/v1",
    "externalParameters":{"epochs": 3.50}, "resolvedDependencies":[]},
  "runDetails": {"builder": {"id":"https://example.org/cluster"}, "example_queue": "long"} }"#;

/// A desk with a repository `repo`, in which `repo/model` is to be packed, and a key.
fn repository() -> Desk {
    let desk = Desk::recording();
    desk.write("repo/model/weights.bin", "weights");
    desk.write("repo/model/consign.yaml", descriptor("minilm", "1.0.0"));
    desk.write("repo/conf/train.yaml", "lr: 1\n");
    git(&desk, &["init", "-q"]);
    git(&desk, &["add", "."]);
    git(&desk, &["commit", "-q", "-m", "First"]);
    git(&desk, &["remote", "add", "origin", "https://ada:s3cret@example.org/team/code.git"]);
    desk.key("key");
    desk
}

#[track_caller]
fn git(desk: &Desk, arguments: &[&str]) -> String {
    let mut command = desk.program("git");
    command.args(["-C", "repo", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
    command.args(["-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", support::written_down(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

const FILE: &str = "minilm-1.0.0.provenance.intoto.jsonl";

/// The statement in a provenance file of one line.
#[track_caller]
fn statement(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let [line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let envelope: Value = serde_json::from_str(line).unwrap();
    serde_json::from_slice(&STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap()
}

/// Packs the model with these variables, and gives the predicate with the report.
#[track_caller]
fn packed(desk: &Desk, out: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (Value, Value) {
    let base = ["pack", "repo/model", "-o", out, "--key", "key", "--json"];
    let mut command = desk.consign(base.iter().chain(arguments).copied());
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["exit"], 0, "{document:#}");
    let mut statement = statement(&desk.path(out).join(FILE));
    (statement["predicate"].take(), document["result"].clone())
}

fn auto(desk: &Desk, out: &str) -> (Value, Value) {
    packed(desk, out, &["--provenance", "auto"], &[])
}

#[test]
fn code_is_captured_as_git_has_it() {
    let desk = repository();
    let commit = git(&desk, &["rev-parse", "HEAD"]);
    let code = |said: &Value| said["buildDefinition"]["resolvedDependencies"][0].clone();
    let dependency = |uri: Option<&str>| match uri {
        Some(uri) => json!({"name": "code", "uri": uri, "digest": {"gitCommit": commit}}),
        None => json!({"name": "code", "digest": {"gitCommit": commit}}),
    };

    let (clean, report) = auto(&desk, "clean");
    assert_eq!(code(&clean), dependency(Some("git+https://example.org/team/code.git@refs/heads/main")));
    assert_eq!(clean["buildDefinition"]["internalParameters"]["workTree"]["changedFiles"], 0);
    assert_eq!(clean["runDetails"]["builder"]["id"], "https://consign.dev/builders/local");
    assert_eq!(report["provenance"]["changed_files"], 0);
    let everything = fs::read_dir(desk.path("clean")).unwrap().map(|entry| entry.unwrap().path());
    for path in everything.chain(fs::read_dir(desk.home().join("known")).unwrap().map(|e| e.unwrap().path()))
    {
        let bytes = fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"), "{}", path.display());
    }
    assert!(!clean.to_string().contains("s3cret") && !clean.to_string().contains("ada:"));
    // What the statement says is about this very archive, and none of it is in the bundle.
    let whole = statement(&desk.path("clean").join(FILE));
    assert_eq!(whole["subject"][0]["name"], "minilm-1.0.0.tar.zst");
    assert_eq!(whole["subject"][0]["digest"]["sha256"], report["archive"]["sha256"]);
    let without = desk.json(["pack", "repo/model", "-o", "without", "--key", "key"]);
    assert_eq!(without["result"]["archive"]["sha256"], report["archive"]["sha256"]);
    assert!(!desk.path("without").join(FILE).exists());

    desk.write("repo/model/weights.bin", "other weights");
    desk.write("repo/conf/train.yaml", "lr: 2\n");
    let (dirty, _) = auto(&desk, "dirty");
    assert_eq!(dirty["buildDefinition"]["internalParameters"]["workTree"]["changedFiles"], 2);
    git(&desk, &["checkout", "-q", "."]);

    git(&desk, &["checkout", "-q", "--detach"]);
    let at_commit = format!("git+https://example.org/team/code.git@{commit}");
    assert_eq!(code(&auto(&desk, "detached").0), dependency(Some(&at_commit)));
    git(&desk, &["tag", "v1"]);
    let at_tag = "git+https://example.org/team/code.git@refs/tags/v1";
    assert_eq!(code(&auto(&desk, "tagged").0), dependency(Some(at_tag)));

    git(&desk, &["remote", "set-url", "origin", "git@example.org:team/code.git"]);
    let by_ssh = "git+ssh://git@example.org/team/code.git@refs/tags/v1";
    assert_eq!(code(&auto(&desk, "ssh").0), dependency(Some(by_ssh)));
    git(&desk, &["remote", "remove", "origin"]);
    assert_eq!(code(&auto(&desk, "no-remote").0), dependency(None));
}

#[test]
fn without_code_and_run_it_says_so() {
    let desk = repository();
    desk.shell("cp -r repo/model elsewhere", &[]);
    let report = desk.json(["pack", "elsewhere", "-o", "out", "--key", "key", "--provenance", "auto"]);
    let notes = report["result"]["notes"].to_string();
    assert!(notes.contains("names no commit and no run"), "{notes}");
    let said = statement(&desk.path("out").join(FILE));
    assert_eq!(said["predicate"]["buildDefinition"]["resolvedDependencies"], Value::Null);
    // Where the code lies elsewhere, that can be said.
    let named =
        ["pack", "elsewhere", "-o", "named", "--key", "key", "--provenance", "auto", "--code", "repo"];
    let commit = git(&desk, &["rev-parse", "HEAD"]);
    assert_eq!(desk.json(named)["result"]["provenance"]["code"][0]["commit"], commit);
}

#[test]
fn the_run_is_captured_as_the_pipeline_says_it() {
    let desk = repository();
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "team/code"),
        ("GITHUB_SHA", "0123456789012345678901234567890123456789"),
        ("GITHUB_REF", "refs/tags/v1.0.0"),
        ("GITHUB_WORKFLOW", "release"),
        ("GITHUB_RUN_ID", "17"),
        ("CONSIGN_PROVENANCE", "auto"),
    ];
    let (said, report) = packed(&desk, "out", &[], &github);
    let run = &said["runDetails"];
    assert_eq!(run["builder"]["id"], "https://consign.dev/builders/github-actions");
    assert_eq!(run["metadata"]["invocationId"], "https://github.com/team/code/actions/runs/17");
    assert!(run["metadata"]["startedOn"].is_string() && run["metadata"]["finishedOn"].is_string());
    // The pipeline ran on another commit than the work tree stands at: both are named.
    let pipeline = &said["buildDefinition"]["resolvedDependencies"][1];
    assert_eq!(pipeline["uri"], "git+https://github.com/team/code@refs/tags/v1.0.0");
    assert_eq!(pipeline["digest"]["gitCommit"], "0123456789012345678901234567890123456789");
    assert_eq!(report["provenance"]["run"]["run"], "17");

    // The same commit, detached as pipelines check it out: the pipeline knows the branch.
    let commit = git(&desk, &["rev-parse", "HEAD"]);
    git(&desk, &["checkout", "-q", "--detach"]);
    let mut same = github;
    same[3].1 = &commit;
    let (said, _) = packed(&desk, "same", &[], &same);
    let dependencies = said["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), 1);
    assert_eq!(dependencies[0]["uri"], "git+https://example.org/team/code.git@refs/tags/v1.0.0");
    let said = desk.succeed(["verify", "same", "--key", "key.pub"]);
    assert!(
        said.contains(&format!("provenance  commit {} (clean), GitHub Actions run 17\n", &commit[..7])),
        "{said}"
    );

    let (said, _) = packed(&desk, "slurm", &["--provenance", "auto"], &[("SLURM_JOB_ID", "101")]);
    assert_eq!(said["runDetails"]["metadata"]["invocationId"], "slurm/101");
}

#[test]
fn configuration_sources_and_parents_are_named_by_digest() {
    let desk = repository();
    let parent = desk.json(["pack", "repo/model", "-o", "parent", "--unsigned"]);
    let parent = parent["result"]["bundle"]["id"].as_str().unwrap();
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let more = format!(
        "parents: [\"{parent}\", \"{digest}\"]\n\
         training:\n  configuration: [{{path: conf/train.yaml}}, {{path: hyper.json}}, {{path: ../secret}}, \
         {{path: gone.yaml, sha256: \"{digest}\"}}]\n\
         provenance:\n  sources: [{{uri: \"s3://raw\", sha256: \"{digest}\"}}, {{uri: \"doi:10.1000/182\"}}]\n"
    );
    let described = format!("{}{more}", descriptor("minilm", "1.1.0"));
    desk.write("repo/model/consign.yaml", &described);
    desk.write("repo/model/hyper.json", "{}");
    desk.write("secret", "not to be read");
    lenient(&desk);
    let arguments = ["pack", "repo/model", "-o", "out", "--key", "key", "--provenance", "auto"];
    let arguments = [&arguments[..], &["--policy", "policy.toml"]].concat();
    let report = desk.json(arguments.iter().copied().chain(["--config", "repo/conf/train.yaml"]));
    assert_eq!(report["exit"], 0, "{report:#}");
    assert!(report["result"]["notes"].to_string().contains("`../secret`"), "{report:#}");
    let said = statement(&desk.path("out/minilm-1.1.0.provenance.intoto.jsonl"));
    let hex = |text: &str| text.replace("sha256:", "");
    let of = |bytes: &[u8]| consign_metadata::Sha256Digest::of(bytes).hex();
    let mut dependencies = said["predicate"]["buildDefinition"]["resolvedDependencies"].clone();
    let dependencies = dependencies.as_array_mut().unwrap();
    assert_eq!(dependencies.remove(0)["name"], "code");
    assert_eq!(
        *dependencies,
        [
            json!({"name": "minilm@1.0.0", "uri": format!("consign:{parent}"), "digest": {"sha256": hex(parent)}}),
            json!({"uri": format!("consign:{digest}"), "digest": {"sha256": hex(digest)}}),
            json!({"uri": "s3://raw", "digest": {"sha256": hex(digest)}}),
            json!({"uri": "doi:10.1000/182"}),
            json!({"name": "conf/train.yaml", "digest": {"sha256": of(b"lr: 1\n")}}),
            json!({"name": "hyper.json", "digest": {"sha256": of(b"{}")}}),
            json!({"name": "gone.yaml", "digest": {"sha256": hex(digest)}}),
        ]
    );

    // Two accounts of one file: neither is signed.
    desk.write(
        "repo/model/consign.yaml",
        described.replace("{path: hyper.json}", &format!("{{path: hyper.json, sha256: \"{digest}\"}}")),
    );
    let arguments = arguments.iter().map(|word| if *word == "out" { "differs" } else { word });
    let arguments: Vec<_> = arguments.collect();
    assert_eq!(desk.verdict(&arguments), (1, vec!["configuration-differs".into()]));
    assert!(!desk.path("differs").exists());
    let missing = [&arguments[..], &["--config", "no"]].concat();
    assert_eq!(desk.verdict(&missing), (1, vec!["unreadable".into()]));
}

#[test]
fn what_another_tool_made_is_taken_over_as_it_is() {
    let desk = repository();
    desk.write("given.json", format!("\n{GIVEN}\n"));
    let (_, report) = packed(&desk, "out", &["--provenance", "given.json"], &[]);
    let line = desk.read(&format!("out/{FILE}"));
    let envelope: Value = serde_json::from_str(&line).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let payload = String::from_utf8(payload).unwrap();
    assert!(payload.ends_with(&format!(r#""predicate":{GIVEN}}}"#)), "{payload}");
    assert_eq!(report["provenance"]["build_type"], "https://example.org/train/v1");
    let said = desk.succeed(["verify", "out", "--key", "key.pub"]);
    assert!(said.contains("provenance  built by https://example.org/cluster\n"), "{said}");

    // A whole statement, about a file of the bundle, and about none.
    for (file, content, noted) in [("inside.json", "weights", false), ("outside.json", "other", true)] {
        let digest = consign_metadata::Sha256Digest::of(content.as_bytes()).hex();
        let whole = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"w","digest":{{"sha256":"{digest}"}}}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{GIVEN}}}"#
        );
        desk.write(file, whole);
        let (said, report) = packed(&desk, &format!("out-{file}"), &["--provenance", file], &[]);
        assert_eq!(said, serde_json::from_str::<Value>(GIVEN).unwrap());
        assert_eq!(report["notes"].to_string().contains("none of its subjects"), noted, "{report:#}");
    }
}

#[test]
fn a_hostile_file_is_refused_before_anything_is_packed() {
    let desk = repository();
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let compact = GIVEN.replace('\n', " ");
    for (content, code) in [
        (String::new(), "provenance-malformed"),
        ("{".into(), "provenance-malformed"),
        ("null".into(), "provenance-shape"),
        ("{}".into(), "provenance-shape"),
        ("[".repeat(500_000), "provenance-too-deep"),
        (compact.replace("3.50", &nested), "provenance-too-deep"),
        (compact.replace("3.50", &format!("\"{}\"", "x".repeat(2 << 20))), "provenance-too-large"),
        (compact.replace("\"epochs\": 3.50", "\"epochs\":1,\"epochs\":2"), "provenance-repeated-member"),
        (compact.replace("\"builder\"", "\"b\""), "provenance-shape"),
        (compact.replace("https://example.org/train/v1", "train"), "provenance-shape"),
        (compact.replace("\"resolvedDependencies\":[]", "\"resolvedDependencies\":[{}]"), "provenance-shape"),
        (compact.replace("\"resolvedDependencies\":[]", "\"resolvedDependencies\":{}"), "provenance-shape"),
        (r#"{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"x"}"#.into(), "provenance-type"),
        (
            r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}"#.into(),
            "provenance-envelope",
        ),
    ] {
        desk.write("given.json", &content);
        let arguments = ["pack", "repo/model", "-o", "out", "--key", "key", "--provenance", "given.json"];
        let shown: String = content.chars().take(60).collect();
        assert_eq!(desk.verdict(&arguments), (2, vec![code.to_owned()]), "{shown}");
        assert!(!desk.path("out").exists(), "{shown}");
    }
    desk.write("given.json", [0xff, 0xfe, b'{']);
    let arguments = ["pack", "repo/model", "-o", "out", "--key", "key", "--provenance", "given.json"];
    assert_eq!(desk.verdict(&arguments), (2, vec!["provenance-malformed".into()]));
    let missing = ["pack", "repo/model", "-o", "out", "--key", "key", "--provenance", "autp"];
    assert_eq!(desk.verdict(&missing), (1, vec!["unreadable".into()]));
}

#[test]
fn what_cannot_be_signed_or_would_tell_too_much_is_refused() {
    let desk = repository();
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", "identity"]);
    let recipient = desk.read("identity.pub");
    let recipient = recipient.lines().find(|line| line.starts_with("age1")).unwrap().to_owned();
    let pack = |more: &[&str]| desk.verdict(&[&["pack", "repo/model", "-o", "out"], more].concat());
    let refused = |code: &str| (2, vec![code.to_owned()]);
    assert_eq!(pack(&["--unsigned", "--provenance", "auto"]), refused("provenance-unsigned"));
    let encrypted = ["--key", "key", "--provenance", "auto", "--encrypt-to", &recipient];
    assert_eq!(pack(&encrypted), refused("provenance-encrypted"));
    assert_eq!(
        pack(&["--key", "key", "--config", "repo/conf/train.yaml"]),
        refused("provenance-not-asked-for")
    );
    let code = ["--key", "key", "--provenance", "none", "--code", "repo"];
    assert_eq!(pack(&code), refused("provenance-not-asked-for"));
    assert!(!desk.path("out").exists());
}

#[test]
fn provenance_beside_a_bundle_is_checked_and_never_makes_a_verdict_better() {
    let desk = repository();
    auto(&desk, "out");
    let path = desk.path("out").join(FILE);
    let good = fs::read_to_string(&path).unwrap();
    let verify = ["verify", "out", "--key", "key.pub"];
    let looked = |what: &str| {
        let document = desk.json(verify);
        assert_eq!(document["exit"], 0, "{what}: {document:#}");
        let bundle = &document["result"]["bundles"][0];
        let notes = bundle["notes"].as_array().cloned().unwrap_or_default();
        let codes: Vec<_> = notes.iter().map(|note| note["code"].as_str().unwrap().to_owned()).collect();
        (bundle["provenance"].as_array().map_or(0, Vec::len), codes)
    };
    assert_eq!(looked("as it was made"), (1, vec![]));

    // Altered in any way under the key that signed the bundle: not intact.
    let signature = good.rfind("\"sig\":\"").unwrap() + 10;
    let mut other_signature = good.clone().into_bytes();
    other_signature[signature] = if other_signature[signature] == b'A' { b'B' } else { b'A' };
    let payload = statement(&path).to_string().replace("\"changedFiles\":0", "\"changedFiles\":1");
    let envelope: Value = serde_json::from_str(&good).unwrap();
    let mut other_payload = good.clone();
    let old = envelope["payload"].as_str().unwrap();
    other_payload = other_payload.replace(old, &STANDARD.encode(payload));
    for (bytes, code) in [
        (other_signature, "provenance-altered"),
        (other_payload.into_bytes(), "provenance-altered"),
        (good.as_bytes()[..good.len() / 2].to_vec(), "provenance-malformed"),
        (good.trim_end().as_bytes().to_vec(), "provenance-malformed"),
        (good.replace("\"payload\"", " \"payload\"").into_bytes(), "provenance-malformed"),
        (Vec::new(), "provenance-malformed"),
        ([good.as_bytes(), good.as_bytes()].concat(), "provenance-malformed"),
        (good.as_bytes().repeat(4 << 10), "provenance-too-large"),
    ] {
        fs::write(&path, bytes).unwrap();
        let (exit, codes) = desk.verdict(&verify);
        assert_eq!((exit, codes.first().map(String::as_str)), (3, Some(code)));
        let said = desk.transcript(verify);
        assert!(said.contains("NOT VERIFIED") && !said.contains("\nVERIFIED"), "{said}");
    }

    // By somebody who did not sign the bundle: a note.
    desk.key("foreign");
    desk.succeed(["pack", "repo/model", "-o", "foreign-out", "--key", "foreign", "--provenance", "auto"]);
    let foreign = desk.read(&format!("foreign-out/{FILE}"));
    fs::write(&path, &foreign).unwrap();
    assert_eq!(looked("foreign"), (0, vec!["provenance-by-another".into()]));
    // Both are looked at, each for itself.
    fs::write(&path, format!("{foreign}{good}")).unwrap();
    assert_eq!(looked("both"), (1, vec!["provenance-by-another".into()]));
    // By a key that signed the bundle, but that nobody here trusts.
    fs::write(&path, &foreign).unwrap();
    desk.succeed(["sign", "out", "--key", "foreign", "--role", "release", "--yes"]);
    assert_eq!(looked("not counted"), (0, vec!["provenance-not-counted".into()]));
    assert_eq!(desk.verdict(&["verify", "out", "--key", "foreign.pub"]).0, 0);

    // About something else, under the key that counts.
    desk.write("repo/model/weights.bin", "other weights");
    auto(&desk, "other");
    fs::copy(desk.path("other").join(FILE), &path).unwrap();
    assert_eq!(looked("another subject"), (0, vec!["provenance-of-another".into()]));
    // Under another name, and without any.
    fs::write(desk.path("out/x.provenance.intoto.jsonl"), &good).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(looked("another name"), (1, vec![]));
    fs::write(desk.path("out/x.provenance.intoto.jsonl"), "{}\n").unwrap();
    assert_eq!(looked("somebody's"), (0, vec![]));

    // It vouches for nothing.
    fs::write(&path, &good).unwrap();
    fs::remove_file(desk.path("out/minilm-1.0.0.intoto.jsonl")).unwrap();
    assert_eq!(desk.verdict(&verify), (4, vec!["unsigned".into()]));
    desk.key("nobody");
    auto(&desk, "again");
    let untrusted = desk.json(["verify", "again", "--key", "nobody.pub"]);
    assert_eq!(untrusted["exit"], 4);
    assert!(untrusted["result"]["bundles"][0]["provenance"].is_null(), "{untrusted:#}");
}

#[test]
fn packing_again_keeps_what_was_signed() {
    let desk = repository();
    let pack = ["pack", "repo/model", "-o", "out", "--key", "key"];
    desk.succeed(pack);
    let with = |more: &[&str]| desk.json(pack.iter().chain(more).copied());
    let added = with(&["--provenance", "auto"]);
    assert_eq!((&added["exit"], &added["result"]["status"]), (&json!(0), &json!("unchanged")));
    assert!(added["result"]["notes"].to_string().contains("it is now"), "{added:#}");
    let first = desk.read(&format!("out/{FILE}"));
    assert!(!with(&["--provenance", "auto"])["result"]["notes"].to_string().contains("stays"));
    git(&desk, &["commit", "-q", "--allow-empty", "-m", "Second"]);
    let later = with(&["--provenance", "auto"]);
    assert!(later["result"]["notes"].to_string().contains("stays as it is"), "{later:#}");
    assert_eq!(desk.read(&format!("out/{FILE}")), first);
    // Somebody else's file is in the way.
    desk.write(&format!("taken/{FILE}"), "mine\n");
    let taken = ["pack", "repo/model", "-o", "taken", "--key", "key", "--provenance", "auto"];
    assert_eq!(desk.verdict(&taken), (1, vec!["output-exists".into()]));
    assert_eq!(bundles::names(&desk.path("taken")), [FILE]);
    // Who did not sign the bundle says nothing about it.
    desk.key("other");
    let other = ["pack", "repo/model", "-o", "out", "--key", "other", "--provenance", "auto"];
    assert_eq!(desk.verdict(&other).0, 0);
    assert_eq!(desk.read(&format!("out/{FILE}")), first);
}

#[test]
fn a_sealed_directory_has_provenance_too() {
    let desk = repository();
    let seal = ["seal", "repo/model", "-o", "out", "--key", "key", "--provenance", "auto"];
    let sealed = desk.json(seal);
    assert_eq!(sealed["result"]["provenance"]["changed_files"], 0, "{sealed:#}");
    assert_eq!(statement(&desk.path("out").join(FILE))["subject"][0]["name"], "minilm-1.0.0.manifest.json");
    let verify = ["verify", "repo/model", "--manifest", "out/minilm-1.0.0.manifest.json", "--key", "key.pub"];
    assert!(desk.succeed(verify).contains("provenance  commit "));
    assert_eq!(desk.json(seal)["result"]["status"], "unchanged");
    bundles::append(&desk.path("out").join(FILE), b"\n").unwrap();
    assert_eq!(desk.verdict(&verify), (3, vec!["provenance-malformed".into()]));
}

#[test]
fn other_tools_read_the_statement() {
    const READ: &str = r"
import base64, json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import resource_descriptor_pb2, statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

[line] = open(sys.argv[1], 'rb').read().splitlines()
key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[2], 'rb').read()))
envelope = Envelope.from_dict(json.loads(line))
assert envelope.verify([key], 1) == {key.keyid: key}
assert envelope.payload_type == 'application/vnd.in-toto+json'
payload = json.loads(envelope.payload)
# A member that the schema of in-toto or SLSA does not have is an error here.
Statement.copy_from_pb(json_format.ParseDict(payload, statement_pb2.Statement())).validate()
assert payload['predicateType'] == 'https://slsa.dev/provenance/v1'
predicate = payload['predicate']
said = json_format.ParseDict(predicate, provenance_pb2.Provenance())
# What the specification requires of level 1.
assert said.build_definition.build_type and len(said.build_definition.external_parameters) > 0
assert said.run_details.builder.id
for one in predicate['buildDefinition']['resolvedDependencies'] + predicate['runDetails']['byproducts']:
    descriptor = ResourceDescriptor.copy_from_pb(json_format.ParseDict(one, resource_descriptor_pb2.ResourceDescriptor()))
    descriptor.validate()
    assert all(set(hex) <= set('0123456789abcdef') for hex in one.get('digest', {}).values()), one
# The guideline: no field in both.
build = predicate['buildDefinition']
assert not set(build['externalParameters']) & set(build['internalParameters'])
";
    let desk = repository();
    desk.write("read.py", READ);
    let variables =
        [("GITLAB_CI", "true"), ("CI_JOB_ID", "5"), ("CI_JOB_URL", "https://gitlab.example.org/-/jobs/5")];
    packed(&desk, "out", &["--provenance", "auto", "--config", "repo/conf/train.yaml"], &variables);
    let file = desk.path("out").join(FILE);
    desk.peer(peers().join("python"), &["read.py", file.to_str().unwrap(), "key.pub"]);
}

#[test]
fn a_home_that_cannot_be_written_is_noted_and_no_more() {
    let desk = repository();
    fs::create_dir_all(desk.home()).unwrap();
    fs::write(desk.home().join("known"), "in the way").unwrap();
    let report = desk.json(["pack", "repo/model", "-o", "out", "--key", "key", "--provenance", "auto"]);
    assert_eq!(report["exit"], 0, "{report:#}");
    assert!(report["result"]["notes"].to_string().contains("could not be remembered"), "{report:#}");
}

/// A policy that does not ask how parents are classified.
fn lenient(desk: &Desk) {
    let levels = ["internal", "restricted"]
        .map(|name| format!("[[level]]\nname = \"{name}\"\nunknown_parents = \"note\"\n"));
    desk.write("policy.toml", format!("format = 1\nname = \"ours\"\n{}", levels.concat()));
}

/// A dataset, a model trained on it, and one distilled from that; gives their ids.
fn family(desk: &Desk) -> [String; 3] {
    desk.key("key");
    lenient(desk);
    let contact = "classification: internal\ncontact: {name: Ada, email: ada@example.org}\n";
    let mut ids: Vec<String> = Vec::new();
    for (name, version, more) in [
        (
            "corpus",
            "2.1.0",
            "kind: dataset\nprovenance:\n  sources:\n    - uri: https://example.org/raw?a=1&b=\"2\"\n    - uri: s3://bucket/raw\n".to_owned(),
        ),
        (
            "minilm",
            "1.0.0",
            format!(
                "kind: model\ntraining: {{code: {{commit: {}}}}}\nprovenance: {{pipeline: {{system: 'SLURM \"<b>\"', run: '101'}}}}\n",
                "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"
            ),
        ),
        ("minilm-small", "0.1.0", "kind: model\n".to_owned()),
    ] {
        let mut parents: Vec<_> = ids.last().into_iter().cloned().collect();
        if name == "minilm" {
            parents.push(format!("sha256:{}", "e".repeat(64)));
        }
        let parents = serde_json::to_string(&parents).unwrap();
        desk.write(
            &format!("{name}/consign.yaml"),
            format!("name: {name}\nversion: {version}\n{contact}parents: {parents}\n{more}"),
        );
        desk.write(&format!("{name}/content"), name);
        let report = desk.json(["pack", name, "-o", &format!("out/{name}"), "--key", "key", "--policy", "policy.toml"]);
        assert_eq!(report["exit"], 0, "{report:#}");
        ids.push(report["result"]["bundle"]["id"].as_str().unwrap().to_owned());
    }
    ids.try_into().unwrap()
}

#[test]
fn lineage_is_walked_both_ways() {
    let desk = Desk::recording();
    let [corpus, minilm, small] = family(&desk);
    insta::assert_snapshot!("tree", desk.transcript(["lineage", "minilm"]));
    insta::assert_snapshot!("tree_of_the_first", desk.transcript(["lineage", "corpus@2.1.0"]));
    insta::assert_snapshot!("dot", desk.transcript(["lineage", &minilm[..20], "--dot"]));
    insta::assert_snapshot!("mermaid", desk.transcript(["lineage", &minilm, "--mermaid"]));

    let document = desk.json(["lineage", "out/minilm-small"]);
    let result = &document["result"];
    assert_eq!(result["roots"], json!([small]));
    let bundles = result["bundles"].as_array().unwrap();
    assert_eq!(bundles.len(), 4);
    let of = |id: &str| bundles.iter().find(|one| one["id"] == id).unwrap();
    assert_eq!(of(&corpus)["children"], json!([minilm]));
    assert_eq!(of(&minilm)["commits"], json!(["7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"]));
    assert_eq!(of(&minilm)["origin"], "known");
    assert_eq!(of(&format!("sha256:{}", "e".repeat(64)))["origin"], "named");

    // A machine that knows none of them is told.
    fs::rename(desk.home(), desk.path("other-home")).unwrap();
    let only = desk.json(["lineage", "out/minilm-small"]);
    assert_eq!(only["result"]["bundles"].as_array().unwrap().len(), 2);
    let given = desk.json([
        "lineage",
        "out/minilm-small",
        "--with",
        "out/minilm",
        "--with",
        "out/corpus/corpus-2.1.0.manifest.json",
    ]);
    assert_eq!(given["result"]["bundles"].as_array().unwrap().len(), 4);
    let said = desk.transcript(["lineage", "minilm", "--with", "out/minilm"]);
    assert!(said.contains("(as it says of itself)"), "{said}");
    assert!(!desk.home().exists(), "looking makes nothing");
}

#[test]
fn what_lineage_cannot_answer_is_explained() {
    let desk = Desk::recording();
    let [corpus, ..] = family(&desk);
    for (arguments, expected) in [
        (vec!["nothing"], (1, "unknown-bundle")),
        (vec!["corpus@9.9.9"], (1, "unknown-bundle")),
        (vec!["sha256:ffffffffffff"], (1, "unknown-bundle")),
        (vec!["sha256:abc"], (2, "id-too-short")),
        (vec!["out/nothing.tar.zst"], (1, "unreadable")),
        (vec!["out"], (1, "no-bundle")),
        (vec!["corpus@2.1.0", "--with", "nowhere"], (1, "unreadable")),
        (vec!["corpus@2.1.0", "--dot", "--mermaid"], (2, "usage")),
    ] {
        let (exit, codes) = desk.verdict(&[&["lineage"], &arguments[..]].concat());
        assert_eq!((exit, codes[0].as_str()), expected, "{arguments:?}");
    }
    // A copy that was altered is no longer believed, and what is left is shown.
    let copy = desk.home().join("known").join(format!("{}.manifest.json", corpus.replace("sha256:", "")));
    let altered = fs::read_to_string(&copy).unwrap().replace("s3://bucket/raw", "s3://bucket/new");
    fs::write(&copy, altered).unwrap();
    let document = desk.json(["lineage", "minilm@1.0.0"]);
    assert_eq!(document["exit"], 0);
    assert_eq!(document["result"]["notes"][0]["code"], "known-altered", "{document:#}");
    assert!(!document.to_string().contains("s3://bucket"), "{document:#}");
}

#[test]
fn what_lineage_names_of_encrypted_bundles_is_nothing() {
    let desk = Desk::recording();
    family(&desk);
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", "identity"]);
    desk.succeed([
        "encrypt",
        "out/minilm",
        "-o",
        "enc",
        "--to",
        "identity.pub",
        "--key",
        "key",
        "--policy",
        "policy.toml",
    ]);
    let (exit, codes) = desk.verdict(&["lineage", "enc"]);
    assert_eq!((exit, codes[0].as_str()), (1, "no-bundle"));
    // A folder that merely goes by the same name is not in the way of a bundle that is known by it.
    assert_eq!(desk.json(["lineage", "corpus", "--with", "out/corpus"])["exit"], 0);
    let (exit, codes) = desk.verdict(&["lineage", "./corpus"]);
    assert_eq!((exit, codes[0].as_str()), (1, "no-bundle"));
}
