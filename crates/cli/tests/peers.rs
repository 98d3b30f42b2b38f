//! What other programs say about a bundle: each opens or checks it without consign.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bundles::{Bundle, Node, assert_same_tree, difficult, example, payload, peers, ten_thousand, tree};
use support::Desk;

/// Asks the same of the real example, of a tree of everything that is difficult, and of many small files.
fn each(ask: impl Fn(&Desk, &Path, &Bundle)) {
    let desk = Desk::new();
    let bundle = desk.pack(&example(), "out", "key", &[]);
    ask(&desk, &example(), &bundle);
    for listing in [difficult(), ten_thousand()] {
        let desk = Desk::new();
        let (source, bundle) = desk.pack_listing(&listing);
        ask(&desk, &source, &bundle);
    }
}

/// What unpacks to `at` is a bag of the bundle's name with the source as its payload.
#[track_caller]
fn assert_bag(at: &Path, source: &Path, bundle: &Bundle) {
    assert_eq!(bundles::names(at), [bundle.name.as_str()]);
    let bag = at.join(&bundle.name);
    let expected = ["bag-info.txt", "bagit.txt", "consign", "data", "manifest-sha256.txt"];
    assert_eq!(bundles::names(&bag), [&expected[..], &["tagmanifest-sha256.txt"]].concat());
    assert_eq!(fs::read(bag.join("consign/manifest.json")).unwrap(), fs::read(&bundle.manifest).unwrap());
    assert_same_tree(&expected_payload(source), &tree(&bag.join("data")));
}

fn expected_payload(source: &Path) -> BTreeMap<PathBuf, Node> {
    let mut expected = payload(source);
    // The example's own excludes.
    expected.retain(|path, _| !path.iter().any(|part| part == "__pycache__"));
    expected
}

#[test]
fn gnu_tar_extracts_the_source() {
    each(|desk, source, bundle| {
        desk.shell(
            r#"mkdir tar; tar --version | grep -q 'GNU tar'; zstd -dc "$1" | tar -xf - -C tar"#,
            &[&bundle.archive],
        );
        assert_bag(&desk.path("tar"), source, bundle);
        desk.shell(r#"mkdir direct; tar --zstd -xf "$1" -C direct"#, &[&bundle.archive]);
        assert_bag(&desk.path("direct"), source, bundle);
        // It finds nothing to say about what it just made.
        let said = desk.shell(r#"tar --zstd --compare -f "$1" -C direct 2>&1 || true"#, &[&bundle.archive]);
        let said: Vec<_> = said.lines().filter(|line| !differs_by_design(line)).collect();
        assert!(said.is_empty(), "{said:?}");
    });
}

/// Nobody but root can give a file to root.
fn differs_by_design(line: &str) -> bool {
    line.ends_with(": Uid differs") || line.ends_with(": Gid differs")
}

#[test]
fn bsdtar_extracts_the_source() {
    each(|desk, source, bundle| {
        desk.shell(r#"mkdir tar; zstd -dc "$1" | bsdtar -xf - -C tar"#, &[&bundle.archive]);
        assert_bag(&desk.path("tar"), source, bundle);
        desk.peer("mkdir", &["direct"]);
        desk.peer("bsdtar", &["-xf", bundle.archive.to_str().unwrap(), "-C", "direct"]);
        assert_bag(&desk.path("direct"), source, bundle);
    });
}

#[test]
fn pythons_tarfile_extracts_the_source() {
    const EXTRACT: &str = r"
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode='r|') as tar:
    for member in tar:
        assert member.isreg() or member.isdir(), member
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, '', '', 0), member
        assert member.mode in ((0o644, 0o755) if member.isreg() else (0o755,)), member
        assert not member.pax_headers, member
        tar.extract(member, sys.argv[1], **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}))
";
    let python = peers().join("python");
    each(|desk, source, bundle| {
        fs::write(desk.path("extract.py"), EXTRACT).unwrap();
        desk.shell(
            r#"mkdir tar; zstd -dc "$1" | "$2" extract.py tar; test -d tar"#,
            &[&bundle.archive, &python],
        );
        assert_bag(&desk.path("tar"), source, bundle);
    });
}

#[test]
fn zstd_finds_every_frame_in_order() {
    each(|desk, _, bundle| {
        let archive = bundle.archive.to_str().unwrap();
        desk.peer("zstd", &["-tq", archive]);
        // Skippable frames at the end, and nothing else that is out of the ordinary.
        let listed = desk.peer("zstd", &["-lv", archive]);
        assert!(listed.contains("# Skippable Frames: 2\n"), "{listed}");
        assert!(listed.contains("Check: None"), "{listed}");
    });
}

#[test]
fn sha256sum_agrees_with_the_manifests() {
    each(|desk, _, bundle| {
        let (folder, digest) = (&bundle.folder, &bundle.sha256);
        let name = bundle.archive.file_name().unwrap();
        desk.shell(
            r#"cd "$1"; echo "$2  $3" | sha256sum -c --strict -"#,
            &[folder, Path::new(digest), Path::new(name)],
        );
        desk.shell(r#"zstd -dc "$1" | tar -xf -"#, &[&bundle.archive]);
        let check = r#"cd "$1"; sha256sum -c --strict --quiet manifest-sha256.txt; sha256sum -c --strict --quiet tagmanifest-sha256.txt"#;
        desk.shell(check, &[Path::new(&bundle.name)]);
    });
}

#[test]
fn the_commands_that_pack_prints_are_enough() {
    let desk = Desk::new();
    desk.key("key");
    let said = desk.succeed(["pack", example().to_str().unwrap(), "-o", "out", "--key", "key"]);
    let (_, commands) = said.split_once("Without consign").unwrap();
    let commands: Vec<_> = commands.lines().skip(1).map(str::trim).collect();
    assert_eq!(commands.len(), 3, "{said}");
    desk.shell(&format!("cd out\n{}", commands.join("\n")), &[]);
    assert_same_tree(&expected_payload(&example()), &tree(&desk.path("out/digits-classifier/data")));
}

#[test]
fn bagit_python_validates_the_bag() {
    let bagit = peers().join("bagit.py");
    each(|desk, _, bundle| {
        desk.shell(r#"zstd -dc "$1" | tar -xf -"#, &[&bundle.archive]);
        let output = desk.peer_output(&bagit, &["--validate", &bundle.name]);
        assert!(output.status.success(), "{}", support::written_down(&output));
        let archive = bundle.archive.to_str().unwrap();
        desk.succeed(["unpack", archive, "bag", "--bag", "--key", "key.pub"]);
        desk.peer(&bagit, &["--validate", "bag"]);
        assert_same_tree(&tree(&desk.path(&bundle.name)), &tree(&desk.path("bag")));
    });
}

#[test]
fn openssl_verifies_the_signature_over_the_envelope() {
    // Rebuilds what is signed as the DSSE protocol has it, with nothing but Python's standard library.
    const PAE: &str = r"
import base64, json, sys
[line] = open(sys.argv[1], 'rb').read().splitlines()
envelope = json.loads(line)
payload = base64.b64decode(envelope['payload'], validate=True)
kind = envelope['payloadType'].encode()
open('pae', 'wb').write(b'DSSEv1 %d %b %d %b' % (len(kind), kind, len(payload), payload))
open('sig', 'wb').write(base64.b64decode(envelope['signatures'][0]['sig'], validate=True))
";
    let desk = Desk::new();
    // A key that OpenSSL made, too.
    desk.peer("openssl", &["genpkey", "-algorithm", "ed25519", "-out", "theirs"]);
    desk.peer("openssl", &["pkey", "-in", "theirs", "-pubout", "-out", "theirs.pub"]);
    desk.shell("chmod 600 theirs", &[]);
    fs::write(desk.path("pae.py"), PAE).unwrap();
    for key in ["ours", "theirs"] {
        let bundle = desk.pack(&example(), &format!("out-{key}"), key, &[]);
        desk.shell(r#""$1" pae.py "$2""#, &[&peers().join("python"), &bundle.attestations]);
        let public = format!("{key}.pub");
        let verify =
            ["pkeyutl", "-verify", "-pubin", "-inkey", &public, "-rawin", "-in", "pae", "-sigfile", "sig"];
        assert!(desk.peer("openssl", &verify).contains("Signature Verified Successfully"));
        // And would have noticed: one more byte in what is signed.
        bundles::append(&desk.path("pae"), b" ").unwrap();
        assert!(!desk.peer_output("openssl", &verify).status.success());
    }
}

#[test]
fn securesystemslib_verifies_the_envelope_and_its_statement_speaks_of_the_archive() {
    const VERIFY: &str = r"
import hashlib, json, os, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

attestations, archive, *keys = sys.argv[1:]
lines = open(attestations, 'rb').read().decode('ascii').splitlines()
assert len(lines) == len(keys), lines
keys = [SSlibKey.from_crypto(load_pem_public_key(open(key, 'rb').read())) for key in keys]
keys = {key.keyid: key for key in keys}
for line in lines:
    raw = json.loads(line)
    assert set(raw) == {'payload', 'payloadType', 'signatures'} and len(raw['signatures']) == 1, raw
    # The keyid is the one that in-toto's own library gives the key; each signed once.
    key = keys.pop(raw['signatures'][0]['keyid'])
    envelope = Envelope.from_dict(json.loads(line))
    assert envelope.verify([key], 1) == {key.keyid: key}
    assert envelope.payload_type == 'application/vnd.in-toto+json'
    statement = json.loads(envelope.payload)
    assert statement['_type'] == 'https://in-toto.io/Statement/v1', statement
    [subject] = statement['subject']
    assert subject['name'] == os.path.basename(archive), subject
    with open(archive, 'rb') as file:
        content = file.read()
    assert subject['digest'] == {'sha256': hashlib.sha256(content).hexdigest()}, subject
    claim = statement['predicate']['archive']
    tail = content[-claim['tail']['length']:]
    assert claim['size'] == len(content)
    assert claim['tail']['sha256'] == 'sha256:' + hashlib.sha256(tail).hexdigest()
    envelope.payload += b' '
    try:
        envelope.verify([key], 1)
        raise SystemExit('an altered payload verifies')
    except VerificationError:
        pass
";
    each(|desk, _, bundle| {
        desk.key("second");
        let archive = bundle.archive.to_str().unwrap();
        desk.succeed(["sign", archive, "--key", "second", "--role", "release", "--yes"]);
        fs::write(desk.path("verify.py"), VERIFY).unwrap();
        let attestations = bundle.attestations.to_str().unwrap();
        desk.peer(peers().join("python"), &["verify.py", attestations, archive, "key.pub", "second.pub"]);
    });
}

#[test]
fn the_manifest_is_json_that_lists_the_files() {
    const LIST: &str = r"
import hashlib, json, os, stat, sys
manifest = json.load(open(sys.argv[1], encoding='utf-8'))
for file in manifest['files']:
    path = os.path.join(sys.argv[2], file['path'])
    content = open(path, 'rb').read()
    assert file['size'] == len(content), file
    assert file['sha256'] == 'sha256:' + hashlib.sha256(content).hexdigest(), file
print(len(manifest['files']))
";
    each(|desk, source, bundle| {
        fs::write(desk.path("list.py"), LIST).unwrap();
        let (manifest, source_path) = (bundle.manifest.to_str().unwrap(), source.to_str().unwrap());
        let listed = desk.peer(peers().join("python"), &["list.py", manifest, source_path]);
        let files = expected_payload(source).values().filter(|node| **node != Node::Directory).count();
        assert_eq!(listed.trim(), files.to_string());
    });
}
