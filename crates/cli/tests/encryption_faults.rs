//! What is encrypted stays so when the world does not hold still: the plaintext never reaches a disk, whoever is
//! killed when, and nothing appears under its final name before it is whole.
#![cfg(all(unix, feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bundles::{descriptor, names, on_a_small_disk, partials, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use support::{Desk, consign, written_down};

const MARKER: &str = "the-plaintext-marker-of-this-test\n";

/// A source whose archive shows the marker wherever it lies, as `--store` compresses nothing.
fn desk(len: usize) -> Desk {
    let desk = Desk::new();
    desk.key("key");
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", "lab"]);
    desk.write("source/consign.yaml", descriptor("secret", "1.0.0"));
    desk.write("source/marked.txt", MARKER.repeat(len / MARKER.len()));
    fs::create_dir(desk.path("temporary")).unwrap();
    desk
}

const PACK: [&str; 9] = ["pack", "source", "-o", "out", "--key", "key", "--store", "--encrypt-to", "lab.pub"];

fn start(desk: &Desk, arguments: &[&str]) -> Child {
    let mut command = Command::new(consign());
    desk.bare(&mut command).env("TMPDIR", desk.path("temporary")).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn shows_the_marker(path: &Path) -> bool {
    let content = fs::read(path).unwrap();
    content.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
}

fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Bytes of work in progress.
fn begun(folder: &Path) -> u64 {
    partials(folder).iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

/// Stops a command once so many bytes of output are there.
fn cut_short(desk: &Desk, arguments: &[&str], out: &str, after: u64, signal: Signal) {
    let mut child = start(desk, arguments);
    wait_until("output appears", || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before anything could happen to it");
        begun(&desk.path(out)) >= after
    });
    kill_process(Pid::from_child(&child), signal).unwrap();
    // Once everything is in order, it ends by that signal.
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(signal.as_raw()));
}

#[test]
fn the_plaintext_never_reaches_the_disk() {
    let desk = desk(256 << 20);
    // Without encryption the marker is there to be seen.
    let plain = ["pack", "source", "-o", "plain", "--key", "key", "--store"];
    cut_short(&desk, &plain, "plain", 1 << 20, Signal::KILL);
    assert!(partials(&desk.path("plain")).iter().any(|path| shows_the_marker(path)));
    for after in [1, 1 << 20, 40 << 20] {
        cut_short(&desk, &PACK, "out", after, Signal::KILL);
        for path in partials(&desk.path("out")) {
            assert!(!shows_the_marker(&path), "{} after {after}", path.display());
            fs::remove_file(path).unwrap();
        }
        // Not even under another name, or beside.
        assert_eq!(names(&desk.path("out")), [""; 0]);
        assert_eq!(names(&desk.path("temporary")), [""; 0]);
    }
    cut_short(&desk, &PACK, "out", 1 << 20, Signal::INT);
    assert!(names(&desk.path("out")).is_empty());
}

/// What has no name cannot be found by looking: this asks the kernel what was opened for writing.
#[test]
fn nothing_but_the_encrypted_file_is_written() {
    let desk = desk(4 << 20);
    let trace = desk.path("trace");
    let writable = |arguments: &[&str]| -> Vec<String> {
        let mut command = Command::new("strace");
        desk.bare(&mut command).env("TMPDIR", desk.path("temporary"));
        command
            .args(["-f", "-e", "trace=open,openat,openat2,creat,memfd_create,mkdir,mkdirat", "-o"])
            .arg(&trace);
        let output = command.arg(consign()).args(arguments).output();
        let output = output
            .unwrap_or_else(|error| panic!("this test needs strace ({error}); .ci/install installs it"));
        assert!(output.status.success(), "{}", written_down(&output));
        let trace = fs::read_to_string(&trace).unwrap();
        let lines = trace.lines().filter(|line| {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TMPFILE", "creat(", "memfd_create(", "mkdir"]
                .iter()
                .any(|how| line.contains(how))
        });
        lines.map(str::to_owned).collect()
    };
    // What it remembers and records stands in the home.
    let is_known = |line: &String| line.contains("/home/") || line.contains("/home\"");
    let strangers = |lines: Vec<String>| lines.into_iter().filter(|line| !line.contains("/dev/"));
    let in_out = |line: &String| {
        line.contains("/out/.consign-") || line.contains("\"out/.consign-") || line.contains("\"out\"")
    };
    let wrote =
        strangers(writable(&PACK)).filter(|line| !in_out(line) && !is_known(line)).collect::<Vec<_>>();
    assert!(wrote.is_empty(), "{wrote:#?}");
    let kept = files_below(&desk.home());
    assert!(!kept.is_empty() && kept.iter().all(|path| !shows_the_marker(path)), "{kept:#?}");
    for folder in [desk.path("out"), desk.home()] {
        fs::remove_dir_all(folder).unwrap();
    }
    let wrote = writable(&[&PACK[..], &["--no-remember", "--ledger", "none"]].concat());
    let expected = |line: &String| {
        // The folder, and in it the encrypted archive and the statement about it.
        line.contains("mkdir") || line.contains("/out/.consign-") || line.contains("\"out/.consign-")
    };
    assert!(wrote.iter().filter(|line| expected(line)).count() >= 2, "{wrote:#?}");
    let others: Vec<_> = wrote.iter().filter(|line| !expected(line) && !line.contains("/dev/")).collect();
    assert!(others.is_empty(), "{others:#?}");
    // Reading it writes nothing at all.
    for arguments in [
        &["verify", "out", "--key", "key.pub", "--identity", "lab", "--no-remember"][..],
        &["inspect", "out", "--identity", "lab"],
    ] {
        let arguments = [arguments, &["--ledger", "none"]].concat();
        let arguments = arguments.as_slice();
        let wrote: Vec<_> = writable(arguments).into_iter().filter(|line| !line.contains("/dev/")).collect();
        assert!(wrote.is_empty(), "{wrote:#?}");
    }
}

#[test]
fn an_interrupted_decryption_leaves_nothing_under_its_name() {
    let desk = desk(256 << 20);
    desk.succeed(PACK);
    let decrypt = ["decrypt", "out", "--identity", "lab", "-o", "plain", "--key", "key.pub"];
    cut_short(&desk, &decrypt, "plain", 1, Signal::TERM);
    assert!(!desk.path("plain").exists());
    cut_short(&desk, &decrypt, "plain", 1, Signal::KILL);
    assert!(names(&desk.path("plain")).iter().all(|name| name.starts_with(".consign-")));
    assert_eq!(names(&desk.path("temporary")), [""; 0]);
    desk.succeed(decrypt);
    desk.succeed(["verify", "plain", "--key", "key.pub", "--quick"]);
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_left_on_it() {
    let desk = desk(0);
    desk.write("source/noise.bin", bundles::Noise::new(2).bytes(12 << 20));
    desk.succeed(PACK);
    desk.succeed(["pack", "source", "-o", "plain", "--key", "key", "--store"]);
    for command in [
        "pack source -o small --key key --encrypt-to lab.pub",
        "encrypt plain --to lab.pub -o small --key key",
        "decrypt out --identity lab -o small --key key.pub",
    ] {
        let script = format!(r#""$1" {command}; echo "exit $?"; ls -A small"#);
        let Some(output) = on_a_small_disk(&desk, "3m", &script) else {
            eprintln!("NOT RUN: nothing can be mounted here");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "exit 1\n", "{command}: {said}");
        assert!(
            said.contains("error: small: cannot be written: No space left on device"),
            "{command}: {said}"
        );
    }
}
