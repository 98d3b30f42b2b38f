//! What a person is told when something is wrong: the thing, the place, the next step. Word for word.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use bundles::{descriptor, example};
use insta::assert_snapshot;
use support::Desk;

/// A desk with a small source, a key, and filters for digests.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("source/data.txt", "data\n");
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    desk.key("key");
    desk
}

const PACK: [&str; 6] = ["pack", "source", "-o", "out", "--key", "key"];

/// What several commands say, one after the other.
fn transcripts<const N: usize>(desk: &Desk, commands: [&[&str]; N]) -> String {
    let one = |command: &&[&str]| {
        format!("$ consign {}\n{}", command.join(" "), desk.transcript(command.iter().copied()))
    };
    commands.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn success_is_told_in_full() {
    let desk = Desk::new();
    desk.write("source/data.txt", "data\n");
    desk.write("source/cache/x", "left out");
    desk.write("source/consign.yaml", descriptor("small", "1.0.0") + "exclude: [cache/]\n");
    fs::create_dir(desk.path("source/empty")).unwrap();
    desk.key("key");
    desk.key("second");
    let manifest = "out/small-1.0.0.manifest.json";
    assert_snapshot!(
        "success",
        transcripts(
            &desk,
            [
                &["pack", "source", "-o", "out", "--key", "key", "--dry-run"],
                &PACK,
                &PACK,
                &["sign", "out", "--key", "second", "--yes"],
                &["verify", "out", "--key", "key.pub", "--key", "second.pub"],
                &["verify", "out", "--key", "key.pub", "--quick"],
                &["verify", "out", "--key", "key.pub", "--only", "data.txt"],
                &["unpack", "out", "unpacked", "--key", "key.pub"],
                &["verify", "unpacked", "--manifest", manifest, "--key", "key.pub"],
                &["diff", "out", "unpacked"],
                &["pack", "source", "-o", "unsigned", "--unsigned"],
            ]
        )
    );
}

#[test]
fn inspect_claims_and_does_not_vouch() {
    let desk = Desk::new();
    desk.pack(&example(), "out", "key", &[]);
    assert_snapshot!("inspect", desk.transcript(["inspect", "out", "--files"]));
}

#[test]
fn help_is_there_for_every_command() {
    let desk = Desk::new();
    let commands: [&[&str]; 8] = [
        &["--help"],
        &["pack", "--help"],
        &["seal", "--help"],
        &["sign", "--help"],
        &["verify", "--help"],
        &["inspect", "--help"],
        &["unpack", "--help"],
        &["diff", "--help"],
    ];
    assert_snapshot!("help", transcripts(&desk, commands));
}

#[test]
fn sources_with_what_cannot_be_packed() {
    let desk = desk();
    let source = desk.path("source");
    desk.write("source/.git/HEAD", "ref: refs/heads/main\n");
    desk.write("elsewhere/blob", "blob");
    symlink("data.txt", source.join("link-inside")).unwrap();
    symlink("../elsewhere/blob", source.join("link-outside")).unwrap();
    symlink("nowhere", source.join("link-broken")).unwrap();
    symlink("..", source.join("link-up")).unwrap();
    let _socket = UnixListener::bind(source.join("socket")).unwrap();
    desk.peer("mkfifo", &["source/pipe"]);
    assert_snapshot!("sources", desk.transcript(PACK));
    assert!(!desk.path("out").exists());
    // Each hint does what it says.
    fs::remove_file(source.join("link-broken")).unwrap();
    fs::remove_file(source.join("link-up")).unwrap();
    let follow = [
        "--dereference-into",
        "source/../elsewhere",
        "--exclude",
        ".git/",
        "--exclude",
        "socket",
        "--exclude",
        "pipe",
    ];
    desk.succeed([&PACK[..], &follow].concat());
}

#[test]
fn names_that_are_not_portable() {
    let desk = desk();
    for name in ["12:30.txt", "DATA.txt", "100%.txt", "trailing.", "aux.txt"] {
        desk.write(&format!("source/{name}"), "");
    }
    let first = desk.transcript(PACK);
    for n in 0..30 {
        desk.write(&format!("source/more/{n:02}:00"), "");
    }
    assert_snapshot!("names_portable", first + "\n" + &desk.transcript(PACK));
    desk.succeed([&PACK[..], &["--names", "posix"]].concat());
    desk.write("source/back\\slash", "");
    desk.write("source/line\nfeed", "");
    desk.write("source/right\u{202e}to left", "");
    assert_snapshot!("names_never", desk.transcript([&PACK[..], &["--names", "posix"]].concat()));
}

#[test]
fn descriptors() {
    let desk = desk();
    fs::remove_file(desk.path("source/consign.yaml")).unwrap();
    let missing = desk.transcript(PACK);
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("source/consign.json", "{}");
    let two = desk.transcript(PACK);
    fs::remove_file(desk.path("source/consign.json")).unwrap();
    desk.write(
        "source/consign.yaml",
        "name: Small Things\nversion: 1.0\nkind: data\nclasification: internal\ncontact:\n  name: Ada\n  \
         name: Bob\n  e-mail: ada\nhandling:\n  retention: []\nexclude: ['[']\n",
    );
    let bad = desk.transcript(PACK);
    desk.write("source/consign.yaml", "name: small\n\tversion: 1.0.0\n");
    let syntax = desk.transcript(PACK);
    desk.write("source/consign.yaml", descriptor("small", "1.0.0"));
    let set =
        desk.transcript([&PACK[..], &["--set", "contact.emial=x@example.org", "--version", "1"]].concat());
    let named =
        desk.transcript(["pack", "source", "-o", "out", "--key", "key", "--descriptor", "nowhere.yaml"]);
    assert_snapshot!("descriptors", [missing, two, bad, syntax, set, named].join("\n"));
    assert!(!desk.path("out").exists());
}

#[test]
fn outputs() {
    let desk = desk();
    desk.write("file", "");
    let inside = desk.transcript(["pack", "source", "-o", "source/out", "--key", "key"]);
    let file = desk.transcript(["pack", "source", "-o", "file", "--key", "key"]);
    let below = desk.transcript(["pack", "source", "-o", "file/out", "--key", "key"]);
    desk.succeed(PACK);
    desk.write("source/data.txt", "other data\n");
    let taken = desk.transcript(PACK);
    fs::remove_file(desk.path("out/small-1.0.0.tar.zst")).unwrap();
    let remains = desk.transcript(PACK);
    let exists = desk.transcript(["unpack", "out", "source", "--key", "key.pub"]);
    let nowhere = desk.transcript(["pack", "nowhere", "-o", "out", "--key", "key"]);
    let a_file = desk.transcript(["pack", "file", "-o", "out", "--key", "key"]);
    fs::remove_file(desk.path("source/data.txt")).unwrap();
    let nothing = desk.transcript(PACK);
    assert_snapshot!(
        "outputs",
        [inside, file, below, taken, remains, exists, nowhere, a_file, nothing].join("\n")
    );
}

#[test]
fn keys() {
    let desk = desk();
    desk.write("right", "correct horse\n");
    desk.write("wrong", "battery staple\n");
    desk.write("two-lines", "correct\nhorse\n");
    desk.succeed(["keygen", "-o", "encrypted", "--passphrase-file", "right"]);
    let with = |more: &[&str]| desk.transcript([&["pack", "source", "-o", "out"], more].concat());
    let no_terminal = with(&["--key", "encrypted"]);
    let wrong = with(&["--key", "encrypted", "--passphrase-file", "wrong"]);
    let two_lines = with(&["--key", "encrypted", "--passphrase-file", "two-lines"]);
    let missing = with(&["--key", "nowhere"]);
    let public = with(&["--key", "key.pub"]);
    let no_key = with(&["--key", "right"]);
    let unsigned = with(&[]);
    fs::set_permissions(desk.path("key"), fs::Permissions::from_mode(0o644)).unwrap();
    let readable = with(&["--key", "key"]);
    fs::set_permissions(desk.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!desk.path("out").exists(), "keys are opened before anything is written");
    desk.succeed(PACK);
    let private = desk.transcript(["verify", "out", "--key", "key"]);
    let not_asked = desk.transcript(["sign", "out", "--key", "key"]);
    let all =
        [no_terminal, wrong, two_lines, missing, public, no_key, unsigned, readable, private, not_asked];
    assert_snapshot!("keys", all.join("\n"));
    desk.succeed([
        "pack",
        "source",
        "-o",
        "encrypted-out",
        "--key",
        "encrypted",
        "--passphrase-file",
        "right",
    ]);
}

#[test]
fn trust_and_expectation() {
    let desk = desk();
    desk.succeed(PACK);
    desk.key("second");
    desk.pack(&example(), "two", "key", &[]);
    desk.pack(&desk.path("source"), "two", "key", &[]);
    let all = transcripts(
        &desk,
        [
            &["verify", "out"],
            &["verify", "out", "--key", "second.pub"],
            &["verify", "out", "--key", "key.pub", "--key", "second.pub"],
            &["verify", "out", "--key", "key.pub", "--threshold", "2"],
            &["verify", "out", "--key", "key.pub", "--expect", "small@2.0.0"],
            &["verify", "out", "--key", "key.pub", "--expect", "small"],
            &["verify", "out", "--trust", "nowhere.toml"],
            &["unpack", "out", "unpacked"],
            &["unpack", "out", "unpacked", "--allow-untrusted"],
            &["unpack", "two", "other", "--key", "key.pub"],
        ],
    );
    assert_snapshot!("trust", all);
}

#[test]
fn bundles_that_are_not_intact() {
    let desk = desk();
    let archive = "out/small-1.0.0.tar.zst";
    desk.succeed(PACK);
    let whole = fs::read(desk.path(archive)).unwrap();
    let verify = ["verify", "out", "--key", "key.pub"];
    let mut all = Vec::new();
    let mut altered = whole.clone();
    altered[20] ^= 1;
    fs::write(desk.path(archive), &altered).unwrap();
    all.push(("an altered frame", desk.transcript(verify)));
    fs::write(desk.path(archive), &whole[..whole.len() - 1]).unwrap();
    all.push(("one byte short", desk.transcript(verify)));
    fs::write(desk.path(archive), b"").unwrap();
    all.push(("empty", desk.transcript(verify)));
    fs::write(desk.path(archive), &whole).unwrap();
    let (attestations, manifest) = ("out/small-1.0.0.intoto.jsonl", "out/small-1.0.0.manifest.json");
    let signed = desk.read(attestations);
    desk.write(attestations, signed.replace("\"sig\":\"", "\"sig\":\"A"));
    all.push(("an altered signature", desk.transcript(verify)));
    desk.write(attestations, signed.trim_end());
    all.push(("attestations cut short", desk.transcript(verify)));
    desk.write(attestations, signed.replace('\n', "\r\n"));
    all.push(("line ends of Windows", desk.transcript(verify)));
    desk.write(attestations, &signed);
    let copy = desk.read(manifest);
    desk.write(manifest, copy.replace("internal", "public"));
    all.push(("another classification in the copy of the manifest", desk.transcript(verify)));
    fs::remove_file(desk.path(manifest)).unwrap();
    fs::remove_file(desk.path(archive)).unwrap();
    all.push(("no archive", desk.transcript(verify)));
    fs::remove_file(desk.path(attestations)).unwrap();
    all.push(("nothing", desk.transcript(verify)));
    let all: Vec<_> = all.into_iter().map(|(what, said)| format!("# {what}\n{said}")).collect();
    assert_snapshot!("not_intact", all.join("\n"));
}

#[test]
fn directories_that_differ_from_their_manifest() {
    let desk = desk();
    desk.write("source/second.txt", "second\n");
    desk.write("source/third.txt", "third\n");
    desk.succeed(PACK);
    desk.succeed(["unpack", "out", "unpacked", "--key", "key.pub"]);
    let manifest = "out/small-1.0.0.manifest.json";
    let verify = ["verify", "unpacked", "--manifest", manifest, "--key", "key.pub"];
    desk.write("unpacked/data.txt", "DATA\n");
    desk.write("unpacked/extra.txt", "");
    fs::create_dir(desk.path("unpacked/extra")).unwrap();
    fs::remove_file(desk.path("unpacked/second.txt")).unwrap();
    fs::set_permissions(desk.path("unpacked/third.txt"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("third.txt", desk.path("unpacked/link")).unwrap();
    assert_snapshot!("directories", desk.transcript(verify));
}
