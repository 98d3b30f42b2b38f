//! Nothing that lies in an inbox keeps the rest of it from being received, or makes the desk wait or work without end.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bundles::descriptor;
use support::{Desk, consign, written_down};

fn packed(desk: &Desk, name: &str, out: &str) {
    desk.write(&format!("src-{name}/consign.yaml"), descriptor(name, "1.0.0"));
    desk.write(&format!("src-{name}/a"), name);
    desk.succeed(["pack", &format!("src-{name}"), "-o", out, "--key", "k"]);
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.key("k");
    fs::create_dir(desk.path("inbox")).unwrap();
    packed(&desk, "tiny", "inbox");
    desk
}

/// Runs to its end, or ends the test: a hang is what is looked for.
fn ended(desk: &Desk, words: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(consign())
        .env_clear()
        .env("CONSIGN_HOME", desk.home())
        .env("CONSIGN_LEDGER", "none")
        .env("HOME", desk.dir())
        .current_dir(desk.dir())
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{words:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), written_down(&output))
}

#[test]
fn attack_a9_pipes_and_links_beside_a_bundle_are_not_opened() {
    let desk = desk();
    for name in [
        "x.intoto.jsonl",
        "x.revocation.intoto.jsonl",
        "tiny-1.0.0.revocation.intoto.jsonl",
        "x.provenance.intoto.jsonl",
        "tiny-1.0.0.provenance.intoto.jsonl",
        "x.receipt.intoto.jsonl",
        "x.manifest.json",
        "x.tar.zst",
        "x.tar.zst.age",
        "x.age.intoto.jsonl",
        "x.others.intoto.jsonl",
        "x.trust.intoto.jsonl",
    ] {
        let path = desk.path("inbox").join(name);
        for kind in ["pipe", "device", "folder"] {
            match kind {
                "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                "device" => symlink("/dev/zero", &path).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            for words in [
                &["verify", "inbox", "--key", "k.pub"][..],
                &["verify", "inbox/tiny-1.0.0.tar.zst", "--key", "k.pub"],
                &["inspect", "inbox/tiny-1.0.0.tar.zst"],
                &["unpack", "inbox/tiny-1.0.0.tar.zst", "back", "--key", "k.pub"],
                &["receive", "inbox", "--key", "k", "--trusted-key", "k.pub"],
            ] {
                let (code, said) = ended(&desk, words);
                // What receive wants besides is not the question here.
                let fits = code == Some(0) || words[0] == "receive";
                assert!(fits, "{name} as a {kind}, {words:?}: {said}");
                let _ = fs::remove_dir_all(desk.path("back"));
            }
            if kind == "folder" { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
        }
    }
    // A pipe in the place of the bundle itself is an error, and not a bundle that was altered.
    assert!(Command::new("mkfifo").arg(desk.path("p.tar.zst")).status().unwrap().success());
    let (code, said) = ended(&desk, &["verify", "p.tar.zst", "--key", "k.pub"]);
    assert!(code == Some(1) || code == Some(2), "{said}");
    assert!(said.contains("comes as a stream needs `--attestations FILE`"), "{said}");
}

#[test]
fn attack_a9_a_strangers_content_is_not_decoded() {
    let desk = desk();
    desk.key("eve");
    desk.write("big/consign.yaml", descriptor("big", "1.0.0"));
    fs::write(desk.path("big/zeros"), vec![0; 256 << 20]).unwrap();
    desk.succeed(["pack", "big", "-o", "inbox", "--key", "eve"]);
    let archive = fs::metadata(desk.path("inbox/big-1.0.0.tar.zst")).unwrap().len();
    assert!(archive < 1 << 20, "{archive} bytes stand for 256 MiB");
    let said = desk.json(["verify", "inbox/big-1.0.0.tar.zst", "--key", "k.pub"]);
    assert_eq!(said["exit"], 4, "{said}");
    assert_eq!(said["result"]["bundles"][0]["verified"], false, "{said}");
    assert_ne!(said["result"]["bundles"][0]["level"], "content", "{said}");
    let trusted = desk.json(["verify", "inbox/big-1.0.0.tar.zst", "--key", "eve.pub"]);
    assert_eq!(trusted["result"]["bundles"][0]["level"], "content", "{trusted}");
}

#[test]
fn attack_a9_a_signal_ends_what_waits() {
    let desk = desk();
    // Endless input where a copy of the manifest is asked for by its own name.
    fs::remove_file(desk.path("inbox/tiny-1.0.0.manifest.json")).unwrap();
    symlink("/dev/zero", desk.path("inbox/tiny-1.0.0.manifest.json")).unwrap();
    let (code, said) = ended(&desk, &["verify", "inbox", "--key", "k.pub"]);
    assert_eq!(code, Some(0), "{said}");
    // Hashing a file without end of data, which is as large as it says, ends at once when it is told to.
    let file = fs::File::create(desk.path("large.tar.zst")).unwrap();
    file.set_len(200 << 30).unwrap();
    let mut child = Command::new(consign())
        .env_clear()
        .env("CONSIGN_HOME", desk.home())
        .env("CONSIGN_LEDGER", "none")
        .current_dir(desk.dir())
        .args(["submit", "large.tar.zst", "--to", "inbox", "--key", "k.pub"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn attack_a15_a_link_in_the_inbox_is_not_followed() {
    let desk = desk();
    desk.write("private.tar.zst", "not for others");
    symlink(desk.path("private.tar.zst"), desk.path("inbox/secret.tar.zst")).unwrap();
    desk.succeed([
        "trust",
        "add",
        "k",
        "--key",
        "k.pub",
        "--fingerprint",
        &fingerprint(&desk),
        "--role",
        "owner",
    ]);
    fs::create_dir(desk.path("receipts")).unwrap();
    let output = desk.consign(["receive", "inbox", "--receipts", "receipts", "--key", "k"]).output().unwrap();
    let said = written_down(&output);
    assert!(said.contains("tiny") && !said.contains("secret"), "{said}");
    for entry in fs::read_dir(desk.path("receipts")).into_iter().flatten().flatten() {
        assert!(!entry.file_name().to_string_lossy().contains("secret"));
    }
}

fn fingerprint(desk: &Desk) -> String {
    consign_signing::PublicKey::parse(desk.read("k.pub").as_bytes()).unwrap().fingerprint().to_string()
}

/// How many files a command opens for reading, as the system sees it.
#[cfg(target_os = "linux")]
fn opened(desk: &Desk, words: &[&str]) -> usize {
    let trace = desk.path("trace");
    let output = desk
        .program("strace")
        .args(["-f", "-qq", "-e", "trace=open,openat,openat2,read,pread64,getdents64", "-o"])
        .arg(&trace)
        .arg(consign())
        .args(words)
        .output()
        .expect("this test needs `strace`");
    assert!(output.status.success(), "{}", written_down(&output));
    fs::read_to_string(&trace).unwrap().lines().count()
}

#[cfg(target_os = "linux")]
#[test]
fn attack_l8_a_folder_costs_what_it_holds() {
    let desk = Desk::new();
    desk.key("k");
    let mut counts = Vec::new();
    let mut made = 0;
    for bundles in [15, 60] {
        fs::create_dir_all(desk.path("inbox")).unwrap();
        while made < bundles {
            packed(&desk, &format!("b{made}"), "inbox");
            made += 1;
        }
        counts.push(opened(&desk, &["verify", "inbox", "--key", "k.pub"]));
    }
    // Four times as many bundles: hardly more than four times as many calls.
    assert!(counts[1] < 5 * counts[0], "{counts:?}");
}
