//! What happens when the world does not hold still: interrupted, killed, out of room, changed under the hand.
//! Nothing appears under its final name, nothing of the source is touched, and the next run succeeds.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bundles::{append, descriptor, example, names, on_a_small_disk, partials, sparse, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Desk, consign, written_down};

/// Long enough to be worked on for seconds; mostly a hole, so that making it takes no time.
const LONG: u64 = 640 << 20;

fn long_source(desk: &Desk) -> PathBuf {
    let source = desk.path("source");
    sparse(&source.join("long.bin"), LONG, LONG - (4 << 20), 1 << 20);
    fs::write(source.join("consign.yaml"), descriptor("long", "1.0.0")).unwrap();
    desk.key("key");
    source
}

/// Size and time of change of every file: what a touch would alter.
fn looks(source: &Path) -> Vec<(String, u64, std::time::SystemTime)> {
    let look = |name: String| {
        let metadata = fs::metadata(source.join(&name)).unwrap();
        (name, metadata.len(), metadata.modified().unwrap())
    };
    names(source).into_iter().map(look).collect()
}

/// Waits until work in progress is seen in `folder`, then does something to it.
#[track_caller]
fn once_begun(child: &mut Child, folder: &Path, what: impl FnOnce(&Child)) {
    wait_until("a partial output appears", || {
        if let Some(status) = child.try_wait().unwrap() {
            let mut text = String::new();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("it ended before anything could happen to it: {status}, {text}");
        }
        !partials(folder).is_empty()
    });
    what(child);
}

fn send(signal: Signal) -> impl FnOnce(&Child) {
    move |child| kill_process(Pid::from_child(child), signal).unwrap()
}

#[test]
fn an_interrupted_pack_leaves_nothing() {
    let desk = Desk::new();
    let source = long_source(&desk);
    let before = looks(&source);
    let pack = ["pack", "source", "-o", "out", "--key", "key"];
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = desk.start(&pack);
        once_begun(&mut child, &desk.path("out"), send(signal));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{}", written_down(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("error: interrupted; nothing was left behind"), "{said}");
        assert!(!desk.path("out").exists(), "the folder, too, was made by this run");
        assert_eq!(looks(&source), before);
    }
    // Killed at once it cannot clean up; but there is nothing that could be taken for a bundle.
    let mut child = desk.start(&pack);
    once_begun(&mut child, &desk.path("out"), send(Signal::KILL));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(9), "{}", written_down(&output));
    assert!(names(&desk.path("out")).iter().all(|name| name.starts_with(".consign-")));
    assert_eq!(desk.verdict(&["verify", "out", "--key", "key.pub"]), (1, vec!["no-bundle".into()]));
    assert_eq!(looks(&source), before);
    desk.succeed(pack);
    desk.succeed(["verify", "out", "--key", "key.pub", "--quick"]);
    assert_eq!(desk.json(pack)["result"]["status"], "unchanged");
    assert_eq!(looks(&source), before);
}

#[test]
fn a_resumable_pack_goes_on_where_it_was_cut_short() {
    let desk = Desk::new();
    let source = long_source(&desk);
    let fresh = desk.pack(&source, "fresh", "key", &[]);
    let pack = ["pack", "source", "-o", "out", "--key", "key", "--resume"];
    let journal = desk.path("out/.long-1.0.0.tar.zst.journal");
    for signal in [Signal::INT, Signal::KILL] {
        let mut child = desk.start(&pack);
        wait_until("some frames are finished", || {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before anything could happen to it");
            fs::metadata(&journal).is_ok_and(|metadata| metadata.len() > 10 * 40)
        });
        send(signal)(&child);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(signal == Signal::INT, said.contains("the same command goes on from there"), "{said}");
        assert!(names(&desk.path("out")).iter().all(|name| name.starts_with('.')));
        assert_eq!(desk.verdict(&["verify", "out", "--key", "key.pub"]), (1, vec!["no-bundle".into()]));
    }
    let packed = desk.json(pack);
    assert!(packed["result"]["kept"].as_u64().unwrap() > 10 << 20, "{packed}");
    assert_eq!(packed["result"]["archive"]["sha256"], fresh.sha256);
    assert_eq!(names(&desk.path("out")).len(), 3);
    desk.succeed(["verify", "out", "--key", "key.pub"]);
    assert_eq!(desk.json(pack)["result"]["status"], "unchanged");
}

#[test]
fn an_interrupted_unpack_leaves_nothing() {
    let desk = Desk::new();
    let source = long_source(&desk);
    let bundle = desk.pack(&source, "out", "key", &[]);
    let before = looks(&bundle.folder);
    let unpack = ["unpack", "out", "unpacked", "--key", "key.pub"];
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = desk.start(&unpack);
        once_begun(&mut child, &desk.dir(), send(signal));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{}", written_down(&output));
        assert!(!desk.path("unpacked").exists());
        assert_eq!(partials(&desk.dir()), Vec::<PathBuf>::new());
    }
    let mut child = desk.start(&unpack);
    once_begun(&mut child, &desk.dir(), send(Signal::KILL));
    child.wait_with_output().unwrap();
    assert!(!desk.path("unpacked").exists());
    for partial in partials(&desk.dir()) {
        fs::remove_dir_all(partial).unwrap();
    }
    // To the end, at last.
    desk.succeed(unpack);
    assert_eq!(fs::metadata(desk.path("unpacked/long.bin")).unwrap().len(), LONG);
    assert_eq!(looks(&bundle.folder), before);
}

#[test]
fn an_interrupted_run_says_so_in_json() {
    let desk = Desk::new();
    long_source(&desk);
    let mut child = desk.start(&["pack", "source", "-o", "out", "--key", "key", "--json"]);
    once_begun(&mut child, &desk.path("out"), send(Signal::INT));
    let output = child.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    // What a shell shows of a process that SIGINT ended.
    assert_eq!((&document["exit"], output.status.signal()), (&130.into(), Some(2)));
    assert_eq!(document["problems"][0]["code"], "interrupted");
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_an_error() {
    let desk = Desk::new();
    let source = long_source(&desk);
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("longer", |path| append(path, b"more").unwrap()),
        ("shorter", |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(LONG / 2).unwrap()),
        ("rewritten at its beginning", |path| {
            use std::os::unix::fs::FileExt as _;
            fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"other", 0).unwrap();
        }),
        ("executable", |path| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, mode).unwrap();
        }),
    ];
    for (what, change) in changes {
        let file = source.join("long.bin");
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(LONG).unwrap();
        let mut child = desk.start(&["pack", "source", "-o", "out", "--key", "key"]);
        once_begun(&mut child, &desk.path("out"), |_| change(&file));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{what}: {}", written_down(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("`long.bin` changed while it was being read"), "{what}: {said}");
        assert!(!desk.path("out").exists(), "{what}");
    }
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_left_on_it() {
    let desk = Desk::new();
    desk.write("source/noise.bin", bundles::Noise::new(2).bytes(12 << 20));
    desk.write("source/consign.yaml", descriptor("noise", "1.0.0"));
    desk.pack(&desk.path("source"), "out", "key", &[]);
    let script = r#""$1" pack source -o small --key key; echo "exit $?"; ls -A small"#;
    let Some(output) = on_a_small_disk(&desk, "3m", script) else {
        eprintln!("NOT RUN: nothing can be mounted here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "exit 1\n", "{said}");
    assert!(said.contains("error: small: cannot be written: No space left on device"), "{said}");
    assert!(said.contains("hint: make room, or write to another disk"), "{said}");
    let script = r#""$1" unpack out small/unpacked --key key.pub; echo "exit $?"; ls -A small"#;
    let output = on_a_small_disk(&desk, "3m", script).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "exit 1\n", "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("hint: make room, or write to another disk"), "{said}");
    // Where it is certain beforehand, it is said before anything is read.
    let script = r#""$1" pack source -o small --key key; echo "exit $?"; ls -A small"#;
    let output = on_a_small_disk(&desk, "100k", script).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "exit 1\n", "{said}");
    assert!(said.contains("error: small: has 102.4 kB free, for 12.6 MB of content"), "{said}");
}

#[test]
fn a_limit_on_the_size_of_files_is_reported() {
    let desk = Desk::new();
    desk.write("source/noise.bin", bundles::Noise::new(2).bytes(12 << 20));
    desk.write("source/consign.yaml", descriptor("noise", "1.0.0"));
    desk.key("key");
    // In blocks of 512 or 1024 bytes, depending on the shell: too little in any case.
    let script = r#"trap '' XFSZ; ulimit -f 4000; "$1" pack source -o out --key key; echo "exit $?"; ls -A"#;
    let mut command = Command::new("sh");
    let output = desk.bare(&mut command).args(["-c", script, "sh"]).arg(consign()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout, "exit 1\nkey\nkey.pub\nsource\n", "{stderr}");
    assert!(stderr.contains("error: out: cannot be written: File too large"), "{stderr}");
}

/// Runs `consign` as somebody to whom permissions apply; to root they do not, unless it gives that up.
fn with_permissions(desk: &Desk, arguments: &[&str]) -> Output {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search").arg(consign());
        command
    } else {
        Command::new(consign())
    };
    desk.bare(&mut command).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_read_or_written_is_named() {
    let desk = Desk::new();
    desk.write("source/public.txt", "public");
    desk.write("source/secret/a.txt", "secret");
    desk.write("source/secret.txt", "secret");
    desk.write("source/consign.yaml", descriptor("noise", "1.0.0"));
    desk.key("key");
    let refused = |arguments: &[&str], expected: &[&str]| {
        let output = with_permissions(&desk, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for expected in expected {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    };
    let pack = ["pack", "source", "-o", "out", "--key", "key"];
    allow(&desk.path("source/secret.txt"), 0);
    let hint = "hint: run it as somebody who may read there, or ask for the permission";
    refused(&pack, &["`secret.txt` cannot be read: Permission denied", hint]);
    allow(&desk.path("source/secret.txt"), 0o644);
    allow(&desk.path("source/secret"), 0);
    refused(&pack, &["`secret` cannot be read: Permission denied", hint]);
    allow(&desk.path("source/secret"), 0o755);
    fs::create_dir(desk.path("locked")).unwrap();
    allow(&desk.path("locked"), 0o555);
    let hint = "hint: run it as somebody who may write there, or ask for the permission";
    let into_locked = ["pack", "source", "-o", "locked", "--key", "key"];
    refused(&into_locked, &["error: locked: cannot be written: Permission denied", hint]);
    let below = ["pack", "source", "-o", "locked/out", "--key", "key"];
    refused(&below, &["error: locked/out: cannot be written: Permission denied", hint]);
    let bundle = desk.pack(&desk.path("source"), "out", "key", &[]);
    let unpack = ["unpack", "out", "locked/unpacked", "--key", "key.pub"];
    refused(&unpack, &["locked", "cannot be written: Permission denied", hint]);
    assert_eq!(names(&desk.path("locked")), Vec::<String>::new());
    allow(&bundle.archive, 0);
    refused(&["verify", "out", "--key", "key.pub"], &["cannot be read: Permission denied"]);
    // Verifying needs no right to write anywhere.
    allow(&bundle.archive, 0o444);
    allow(&bundle.folder, 0o555);
    let output = with_permissions(&desk, &["verify", "out", "--key", "key.pub"]);
    assert!(output.status.success(), "{}", written_down(&output));
    allow(&bundle.folder, 0o755);
    allow(&desk.path("locked"), 0o755);
}

#[test]
fn verify_and_inspect_need_no_home() {
    let desk = Desk::new();
    desk.pack(&example(), "out", "key", &[]);
    for arguments in [&["verify", "out", "--key", "key.pub"][..], &["inspect", "out"]] {
        for home in ["/nonexistent", "/dev/null"] {
            let mut command = Command::new(consign());
            let output =
                desk.bare(&mut command).env_remove("CONSIGN_HOME").env("HOME", home).args(arguments).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{home}: {}", written_down(&output));
            // Whoever runs this may be root: a home that does not exist is not made.
            assert!(!Path::new("/nonexistent").exists());
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let desk = Desk::new();
    let source = desk.path("source");
    bundles::lay_out(&source, &bundles::ten_thousand());
    fs::write(source.join("consign.yaml"), descriptor("many", "1.0.0")).unwrap();
    desk.pack(&source, "out", "key", &[]);
    for more in [&[][..], &["--json"]] {
        let mut child = desk.start(&[&["inspect", "out", "--files"], more].concat());
        // A hundred lines of ten thousand, then nobody listens.
        let mut some = [0; 4096];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.contains("panic")), (Some(0), false), "{said}");
    }
}

#[test]
fn two_runs_at_once_do_not_get_into_each_others_way() {
    let desk = Desk::new();
    let source = long_source(&desk);
    let pack = ["pack", "source", "-o", "out", "--key", "key", "--json"];
    let children = [desk.start(&pack), desk.start(&pack)];
    let results: Vec<Value> = children
        .into_iter()
        .map(|child| serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap())
        .collect();
    // One makes it; the other finds the name taken, unless it began late enough to find it unchanged.
    let done = results.iter().filter(|result| result["exit"] == 0).count();
    assert!(done >= 1, "{results:?}");
    for result in results.iter().filter(|result| result["exit"] != 0) {
        assert_eq!((&result["exit"], &result["problems"][0]["code"]), (&1.into(), &"output-exists".into()));
    }
    assert_eq!(names(&desk.path("out")).len(), 3);
    desk.succeed(["verify", "out", "--key", "key.pub", "--quick"]);
    assert_eq!(looks(&source).len(), 2);
}
