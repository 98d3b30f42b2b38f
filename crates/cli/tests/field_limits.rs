//! Limits of the machine and of its patience: few threads, little memory, small files, signals, variables that say nothing,
//! clocks that are wrong, an output that is full, and the same command twice at once.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bundles::{Noise, descriptor, names, partials, sparse, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Desk, consign, under_a_clock, written_down};

/// A directory with large files of both kinds and many small ones.
fn mixed(desk: &Desk) -> PathBuf {
    desk.write("d/consign.yaml", descriptor("mixed", "1.0.0"));
    desk.write("d/noise.bin", Noise::new(3).bytes(9 << 20));
    let rows: String = (0..500_000u64).map(|n| format!("{n},{}\n", n * n)).collect();
    desk.write("d/table.csv", rows);
    for n in 0..200 {
        desk.write(&format!("d/small/{n:03}.txt"), format!("file {n}\n"));
    }
    desk.key("k");
    desk.path("d")
}

/// Something that takes a while to pack.
fn long(desk: &Desk) -> PathBuf {
    let source = desk.path("long");
    sparse(&source.join("long.bin"), 640 << 20, 636 << 20, 1 << 20);
    fs::write(source.join("consign.yaml"), descriptor("long", "1.0.0")).unwrap();
    desk.key("k");
    source
}

/// `consign` behind another program, which runs it in the end.
fn behind(desk: &Desk, before: &[&str], words: &[&str]) -> Command {
    let mut command = Command::new(before[0]);
    command.args(&before[1..]).arg(consign()).args(words).stdin(Stdio::null());
    desk.bare(&mut command);
    command
}

/// `consign` under a limit of the shell.
fn limited(desk: &Desk, limit: &str, words: &[&str]) -> Output {
    let script = format!("ulimit {limit} && exec \"$@\"");
    behind(desk, &["sh", "-c", &script, "sh"], words).output().unwrap()
}

/// With signals as they are at a terminal, whatever this test was started by.
fn at_a_terminal(desk: &Desk, words: &[&str]) -> Child {
    let defaults = ["env", "--default-signal=HUP,INT,QUIT,TERM"];
    behind(desk, &defaults, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn digest(desk: &Desk, folder: &str, name: &str) -> Vec<u8> {
    fs::read(desk.path(folder).join(name)).unwrap()
}

#[test]
fn field_l1_threads_that_cannot_be_had_are_done_without() {
    let desk = Desk::new();
    mixed(&desk);
    desk.succeed(["pack", "d", "-o", "whole", "--key", "k"]);
    let whole = digest(&desk, "whole", "mixed-1.0.0.tar.zst");
    // The thread for signals is the first; then come those for hashing, compressing, reading.
    for when in ["1+", "2+", "3+", "4+", "5+", "9+"] {
        let inject = format!("inject=clone,clone3:error=EAGAIN:when={when}");
        let strace = ["strace", "-f", "-qq", "-o", "trace", "-e", "trace=none", "-e", &inject];
        let out = format!("out-{when}");
        let pack = ["pack", "d", "-o", &out, "--key", "k", "--threads", "64", "--json"];
        let output = behind(&desk, &strace, &pack).output().expect("this test needs `strace`");
        assert_eq!(output.status.code(), Some(0), "{when}: {}", written_down(&output));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["result"]["status"], "packed");
        assert!(digest(&desk, &out, "mixed-1.0.0.tar.zst") == whole, "{when}: it is another archive");
        for words in [
            &["verify", &out, "--key", "k.pub", "--threads", "64"][..],
            &["unpack", &out, &format!("unpacked-{when}"), "--key", "k.pub"],
            &["pack", "d", "-o", &out, "--key", "k", "--threads", "64"],
            &["seal", "d", "-o", &format!("sealed-{when}"), "--key", "k"],
            &["preflight", "d"],
        ] {
            let output = behind(&desk, &strace, words).output().unwrap();
            let said = written_down(&output);
            assert_eq!(output.status.code(), Some(0), "{when} {words:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    }
}

#[test]
fn field_l1_one_thread_makes_the_same() {
    let desk = Desk::new();
    mixed(&desk);
    for level in [&[][..], &["--store"], &["--level", "7"]] {
        let mut made = Vec::new();
        for threads in ["1", "2", "5"] {
            let out = format!("out-{threads}-{}", level.len() + usize::from(level == ["--store"]));
            let mut pack = vec!["pack", "d", "-o", &out, "--key", "k", "--threads", threads];
            pack.extend_from_slice(level);
            desk.succeed(pack);
            made.push(digest(&desk, &out, "mixed-1.0.0.tar.zst"));
        }
        assert!(made.iter().all(|one| *one == made[0]), "{level:?}");
    }
}

#[test]
fn field_l2_little_memory_is_enough_or_an_error() {
    let desk = Desk::new();
    mixed(&desk);
    desk.succeed(["pack", "d", "-o", "whole", "--key", "k"]);
    let whole = digest(&desk, "whole", "mixed-1.0.0.tar.zst");
    for (n, (limit, threads)) in
        [("-v 600000", "64"), ("-v 600000", "2"), ("-v 200000", "64"), ("-d 200000", "4")].iter().enumerate()
    {
        let out = format!("out-{n}");
        let words = ["pack", "d", "-o", &out, "--key", "k", "--threads", threads];
        let output = limited(&desk, limit, &words);
        assert_eq!(output.status.code(), Some(0), "{limit}: {}", written_down(&output));
        assert!(digest(&desk, &out, "mixed-1.0.0.tar.zst") == whole, "{limit}: it is another archive");
        for words in [
            &["verify", "whole", "--key", "k.pub", "--threads", threads][..],
            &["unpack", "whole", &format!("unpacked-{n}"), "--key", "k.pub", "--threads", threads],
        ] {
            let output = limited(&desk, limit, words);
            assert_eq!(output.status.code(), Some(0), "{limit}: {}", written_down(&output));
        }
    }
    // Too little for the content is an error of this machine, and no word against the bundle.
    let mut refused = 0;
    for limit in (30..=60).map(|n| format!("-v {}", n * 2000)) {
        let output = limited(&desk, &limit, &["verify", "whole", "--key", "k.pub"]);
        let code = output.status.code();
        assert_ne!(code, Some(3), "{limit}: {}", written_down(&output));
        refused += usize::from(code == Some(1));
    }
    println!("{refused} of the limits were too narrow, and said so");
}

#[test]
fn field_l2_a_limit_on_the_size_of_files_is_an_error() {
    let desk = Desk::new();
    mixed(&desk);
    let output = limited(&desk, "-f 1000", &["pack", "d", "-o", "out", "--key", "k"]);
    let said = written_down(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("File too large") && said.contains("ulimit -f"), "{said}");
    assert!(!desk.path("out").exists(), "nothing is left");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    let output = limited(&desk, "-f 1000", &["unpack", "out", "unpacked", "--key", "k.pub"]);
    assert_eq!(output.status.code(), Some(1), "{}", written_down(&output));
    assert_eq!((partials(&desk.dir()), desk.path("unpacked").exists()), (vec![], false));
}

#[test]
fn field_l2_few_open_files_are_enough() {
    let desk = Desk::new();
    mixed(&desk);
    for words in [
        &["pack", "d", "-o", "out", "--key", "k", "--threads", "16"][..],
        &["verify", "out", "--key", "k.pub", "--threads", "16"],
        &["unpack", "out", "unpacked", "--key", "k.pub", "--threads", "16"],
    ] {
        let output = limited(&desk, "-n 32", words);
        assert_eq!(output.status.code(), Some(0), "{}", written_down(&output));
    }
    for files in 3..16 {
        let out = format!("out-{files}");
        let output = limited(&desk, &format!("-n {files}"), &["pack", "d", "-o", &out, "--key", "k"]);
        let code = output.status.code();
        // Below that number the system loads no program at all.
        assert!(matches!(code, Some(0 | 1 | 2 | 127)), "{files}: {}", written_down(&output));
        assert_eq!(partials(&desk.path(&out)), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn field_l3_every_signal_that_ends_a_process_lets_it_clean_up() {
    let desk = Desk::new();
    long(&desk);
    let pack = ["pack", "long", "-o", "out", "--key", "k", "--json"];
    for (signal, number) in [(Signal::HUP, 1), (Signal::INT, 2), (Signal::QUIT, 3), (Signal::TERM, 15)] {
        let mut child = at_a_terminal(&desk, &pack);
        wait_until("work has begun", || !partials(&desk.path("out")).is_empty());
        kill_process(Pid::from_child(&child), signal).unwrap();
        // The same again within a moment is one wish: `timeout` and shells send it so.
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert!(child.try_wait().is_ok());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{}", written_down(&output));
        assert!(!output.status.core_dumped());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["exit"], 128 + number);
        assert_eq!(document["problems"][0]["code"], "interrupted");
        assert!(!desk.path("out").exists(), "nothing is left");
    }
}

#[test]
fn field_l3_what_is_ignored_stays_ignored() {
    let desk = Desk::new();
    long(&desk);
    let pack = ["pack", "long", "-o", "out", "--key", "k"];
    let mut command = behind(&desk, &["env", "--ignore-signal=HUP"], &pack);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("work has begun", || !partials(&desk.path("out")).is_empty());
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "as under `nohup`");
}

#[test]
fn field_l3_what_a_killed_run_left_is_removed_by_the_next() {
    let desk = Desk::new();
    long(&desk);
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    let kill = |words: &[&str], folder: &Path| {
        let child = at_a_terminal(&desk, words);
        wait_until("work has begun", || {
            partials(folder).iter().any(|path| {
                let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
                path.join("content/long.bin").exists() || (path.is_file() && size(path) > 0)
            })
        });
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait_with_output().unwrap();
        partials(folder)
    };
    let left = kill(&["pack", "long", "-o", "out", "--key", "k"], &desk.path("out"));
    assert!(!left.is_empty(), "the killed run left its work");
    // One that runs meanwhile keeps its own.
    let running = at_a_terminal(&desk, &["pack", "long", "-o", "out", "--key", "k"]);
    wait_until("the leftovers are removed", || left.iter().all(|path| !path.exists()));
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", written_down(&output));
    assert_eq!(names(&desk.path("out")).len(), 6, "two bundles, and nothing else");

    let left = kill(&["unpack", "out/long-1.0.0.tar.zst", "here", "--key", "k.pub"], &desk.dir());
    assert_eq!(left.len(), 1);
    let mode = fs::metadata(&left[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else sees what was not verified yet");
    desk.succeed(["unpack", "out/small-1.0.0.tar.zst", "there", "--key", "k.pub"]);
    assert_eq!(partials(&desk.dir()), [""; 0].map(PathBuf::from));
    let umask = Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
    let umask = u32::from_str_radix(String::from_utf8(umask).unwrap().trim(), 8).unwrap();
    let mode = fs::metadata(desk.path("there")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o777 & !umask, "it is a directory as anybody makes one");
}

#[test]
fn field_l3_leftovers_are_never_packed() {
    let desk = Desk::new();
    desk.key("k");
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    for left in [
        ".consign-aB3xYz.partial",
        "deep/.consign-aB3xYz.partial/content/half.bin",
        ".consign-lock.partial",
        ".small-1.0.0.tar.zst.partial",
        ".small-1.0.0.tar.zst.journal",
    ] {
        desk.write(&format!("d/{left}"), "half");
        for words in [
            &["pack", "d", "-o", "out", "--key", "k"][..],
            &["seal", "d", "-o", "sealed", "--key", "k"],
            &["preflight", "d"],
        ] {
            let (exit, codes) = desk.verdict(words);
            assert_eq!((exit, codes), (1, vec!["unfinished".to_owned()]), "{left} {words:?}");
        }
        assert!(desk.path(&format!("d/{left}")).exists(), "what is packed is not touched");
        desk.succeed([
            "pack",
            "d",
            "-o",
            "out",
            "--key",
            "k",
            "--dry-run",
            "--exclude",
            ".*.partial",
            "--exclude",
            ".*.journal",
        ]);
        let top = desk.path("d").join(left.split('/').next().unwrap());
        if top.is_dir() { fs::remove_dir_all(top).unwrap() } else { fs::remove_file(top).unwrap() }
    }
    // Names that only look alike are content like any other.
    desk.write("d/consign-a.partial", "x");
    desk.write("d/.consign-notes.txt", "x");
    desk.write("d/download.partial", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k", "--dry-run"]);
}

/// What a person sees at a terminal, and how it is left: run by Python, which can make one.
const AT_A_PROMPT: &str = r#"
import os, pty, select, signal, sys, termios, time
child, terminal = pty.fork()
if child == 0:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    os.execv(sys.argv[2], sys.argv[2:])
said = b""
def echoes():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    if select.select([terminal], [], [], 0.05)[0]:
        said += os.read(terminal, 4096)
    if said.rstrip().endswith((b":", b"[y/N]")):
        break
print("asked", said.rstrip().endswith((b":", b"[y/N]")), "echo", echoes())
time.sleep(0.2)
if sys.argv[1] == "key":
    os.write(terminal, b"\x03")
else:
    os.kill(child, getattr(signal, "SIG" + sys.argv[1]))
while True:
    try:
        if not os.read(terminal, 4096):
            break
    except OSError:
        break
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        break
else:
    status = None
try:
    print("echo", echoes())
except termios.error:
    print("echo True")
try:
    pid, status = os.waitpid(child, 0)
except ChildProcessError:
    pass
print("signal", os.WTERMSIG(status) if os.WIFSIGNALED(status) else None)
"#;

#[test]
fn field_l3_a_prompt_ends_with_a_signal_and_gives_the_terminal_back() {
    let desk = Desk::new();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    desk.key("other");
    desk.write("prompt.py", AT_A_PROMPT);
    let keygen = &["keygen", "-o", "new"][..];
    let sign = &["sign", "out", "--key", "other"][..];
    for (how, number, words, quiet) in [
        ("key", 2, keygen, "False"),
        ("TERM", 15, keygen, "False"),
        ("HUP", 1, keygen, "False"),
        ("QUIT", 3, keygen, "False"),
        ("key", 2, sign, "True"),
        ("HUP", 1, sign, "True"),
    ] {
        let mut command = Command::new("python3");
        command.args(["prompt.py", how]).arg(consign()).args(words).stdin(Stdio::null());
        let output = desk.bare(&mut command).output().expect("this test needs `python3`");
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let expected = format!("asked True echo {quiet}\necho True\nsignal {number}\n");
        assert_eq!(said, expected, "{how} {words:?}: {}", written_down(&output));
    }
    assert!(!desk.path("new").exists());
}

#[test]
fn field_l3_nothing_is_asked_without_a_terminal() {
    let desk = Desk::new();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    desk.write("passphrase", "correct horse battery staple\n");
    desk.succeed(["keygen", "-o", "locked", "--passphrase-file", "passphrase"]);
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    for words in [
        &["keygen", "-o", "new"][..],
        &["pack", "d", "-o", "locked-out", "--key", "locked"],
        &["sign", "out", "--key", "locked"],
        &["sign", "out", "--key", "k"],
        &["trust", "add", "ada", "--key", "k.pub"],
    ] {
        // A pipe that stays open: who waits for an answer would wait for ever.
        let mut command = Command::new("timeout");
        command.arg("30").arg(consign()).args(words).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = desk.bare(&mut command).spawn().unwrap();
        let held = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(held);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{words:?}: {}", written_down(&output));
    }
}

#[test]
fn field_l4_a_variable_that_is_set_to_nothing_is_not_set() {
    let desk = Desk::new();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    // Those that the help of any command names, and those of the system.
    let mut variables: Vec<String> = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands")).unwrap().flatten() {
        let word = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        let help = desk.consign([word.as_str(), "--help"]).output().unwrap().stdout;
        let help = String::from_utf8(help).unwrap();
        let named =
            help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap().to_owned());
        variables.extend(named);
    }
    variables.sort();
    variables.dedup();
    assert!(variables.len() >= 10, "{variables:?}");
    let system =
        ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "TMPDIR", "SSH_AUTH_SOCK", "USER", "CI"];
    variables.extend(system.map(str::to_owned));
    let pack = ["pack", "d", "-o", "out", "--key", "k"];
    for words in [
        &pack[..],
        &["verify", "out", "--key", "k.pub"],
        &["inspect", "out"],
        &["preflight", "d"],
        &["init", "--help"],
        &["trust", "show"],
        &["policy", "show"],
    ] {
        let mut command = Command::new(consign());
        desk.bare(command.args(words).stdin(Stdio::null()));
        let plain = command.output().unwrap();
        command.envs(variables.iter().filter(|name| *name != "CONSIGN_LEDGER").map(|name| (name, "")));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), plain.status.code(), "{words:?}: {}", written_down(&output));
        if words != ["init", "--help"] {
            assert_eq!(output.stdout, plain.stdout, "{words:?}");
        }
    }
    let output = desk.consign(["pack", "d", "-o", "other"]).env("CONSIGN_KEY", "").output().unwrap();
    let said = written_down(&output);
    assert!(output.status.code() == Some(2) && said.contains("--key"), "as without it: {said}");
}

#[test]
fn field_l4_a_home_of_no_name_is_not_the_directory_at_hand() {
    let desk = Desk::new();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    desk.write(".config/consign/trust.toml", "this is read by nobody");
    desk.write("consign/trust.toml", "this is read by nobody");
    let mut command = Command::new(consign());
    desk.bare(command.args(["verify", "out", "--key", "k.pub"]).stdin(Stdio::null()));
    command.env_remove("CONSIGN_HOME").env("HOME", "").env("XDG_CONFIG_HOME", "");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", written_down(&output));
    assert!(!desk.path(".local").exists(), "nothing is kept there either");
}

#[test]
fn field_l5_a_clock_before_1970_ends_in_words() {
    let desk = Desk::recording();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    for words in [
        &["pack", "d", "-o", "other", "--key", "k"][..],
        &["verify", "out", "--key", "k.pub"],
        &["inspect", "out"],
        &["unpack", "out", "unpacked", "--key", "k.pub"],
        &["submit", "out", "--to", "there"],
        &["ledger", "list"],
        &["ledger", "verify"],
        &["init", "d", "-o", "new.yaml"],
        &["trust", "show"],
        &["policy", "show"],
        &["keygen", "--no-passphrase", "-o", "new"],
        &["preflight", "d"],
        &["seal", "d", "-o", "sealed", "--key", "k"],
    ] {
        let mut command = desk.consign(words.iter().copied());
        let output = under_a_clock(&mut command, "1960-01-01").output().unwrap();
        let said = written_down(&output);
        assert!(!said.contains("panicked"), "{words:?}: {said}");
        assert!(matches!(output.status.code(), Some(0..=5)), "{words:?}: {said}");
    }
    assert!(!desk.path("other").exists() && !desk.path("unpacked").exists());
}

#[test]
fn field_l5_a_signature_from_the_future_is_noted() {
    let desk = Desk::new();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    let mut command = desk.consign(["pack", "d", "-o", "out", "--key", "k", "--no-remember"]);
    let output = under_a_clock(&mut command, "2400-01-01").output().unwrap();
    assert!(output.status.success(), "{}", written_down(&output));
    let verified = desk.json(["verify", "out", "--key", "k.pub"]);
    assert_eq!(verified["exit"], 0);
    let text = verified.to_string();
    assert!(text.contains("signed-in-future"), "{text}");
    desk.succeed(["pack", "d", "-o", "now", "--key", "k"]);
    assert!(!desk.json(["verify", "now", "--key", "k.pub"]).to_string().contains("signed-in-future"));
}

#[test]
fn field_l6_a_full_output_is_an_error_with_words() {
    let desk = Desk::new();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("d/a", "x");
    desk.key("k");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for (words, exit) in [
        (&["verify", "out", "--key", "k.pub"][..], 1),
        (&["verify", "out", "--key", "k.pub", "--json"], 1),
        (&["verify", "nowhere", "--key", "k.pub", "--json"], 1),
        (&["pack", "d", "-o", "out", "--key", "k"], 1),
        (&["--help"], 1),
        (&["pack", "--help"], 1),
        (&["--version"], 1),
        (&["id", "--key", "k.pub"], 1),
    ] {
        let mut command = Command::new(consign());
        let output = desk.bare(command.args(words).stdin(Stdio::null())).stdout(full()).output().unwrap();
        let said = written_down(&output);
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {said}");
        assert!(said.contains("standard output: No space left on device"), "{words:?}: {said}");
    }
    // A verdict stays one.
    let archive = desk.path("out/small-1.0.0.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    bytes[100] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let mut command = Command::new(consign());
    desk.bare(command.args(["verify", "out", "--key", "k.pub", "--json"]).stdin(Stdio::null()));
    assert_eq!(command.stdout(full()).output().unwrap().status.code(), Some(3));
    // A reader that went away had what it wanted; standard error that is full keeps nobody from anything.
    let mut command = Command::new(consign());
    desk.bare(command.args(["id", "--key", "k.pub"]).stdin(Stdio::null()));
    assert_eq!(command.stdout(Stdio::null()).stderr(full()).status().unwrap().code(), Some(0));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(consign());
    desk.bare(command.args(["id", "--key", "k.pub"]).stdin(Stdio::null()));
    assert_eq!(command.stdout(writer).status().unwrap().code(), Some(0));
}

/// Starts the same command several times at once, and waits for all.
fn at_once(desk: &Desk, words: &[&str]) -> Vec<Output> {
    let children: Vec<Child> = (0..6).map(|_| desk.start(words)).collect();
    children.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

#[test]
fn field_l7_equal_packs_at_once_are_one_packed_and_the_others_unchanged() {
    let desk = Desk::new();
    mixed(&desk);
    for out in ["one", "two", "three"] {
        let statuses: Vec<String> = at_once(&desk, &["pack", "d", "-o", out, "--key", "k", "--json"])
            .into_iter()
            .map(|output| {
                let document: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(output.status.code(), Some(0), "{}", written_down(&output));
                document["result"]["status"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(statuses.iter().filter(|status| *status == "packed").count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| status == "packed" || status == "unchanged"), "{statuses:?}");
        assert_eq!(names(&desk.path(out)).len(), 3);
        desk.succeed(["verify", out, "--key", "k.pub"]);
    }
}

#[test]
fn field_l7_of_equal_commands_at_once_one_wins_and_the_others_say_so() {
    let desk = Desk::new();
    mixed(&desk);
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    let _ = desk.consign(["trust", "add", "me", "--key", "k.pub", "--yes"]).output().unwrap();
    desk.write("raw/a", "x");
    for (words, taken) in [
        (&["unpack", "out", "unpacked", "--key", "k.pub"][..], "already exists"),
        (&["keygen", "--no-passphrase", "-o", "new"], "already exists"),
        (&["init", "raw"], "already exists"),
    ] {
        let outputs = at_once(&desk, words);
        let done = outputs.iter().filter(|output| output.status.success()).count();
        assert_eq!(done, 1, "{words:?}");
        for output in outputs.iter().filter(|output| !output.status.success()) {
            let said = written_down(output);
            assert!(output.status.code() == Some(1) && said.contains(taken), "{words:?}: {said}");
        }
        assert_eq!(partials(&desk.dir()), [""; 0].map(PathBuf::from), "{words:?}");
    }
    desk.succeed(["pack", "d", "-o", "signed-by-new", "--key", "new"]);
    desk.succeed(["verify", "signed-by-new", "--key", "new.pub"]);
    assert_eq!(fs::read_dir(desk.path("unpacked/small")).unwrap().count(), 200);
}

#[test]
fn field_l7_equal_submissions_at_once_deliver_one_bundle() {
    let desk = Desk::new();
    mixed(&desk);
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    fs::create_dir(desk.path("inbox")).unwrap();
    let statuses = |outputs: Vec<Output>, of: &str| -> Vec<String> {
        let status = |output: Output| {
            assert_eq!(output.status.code(), Some(0), "{}", written_down(&output));
            let document: Value = serde_json::from_slice(&output.stdout).unwrap();
            let status = document["result"].pointer(of).and_then(Value::as_str);
            status.unwrap_or_else(|| panic!("{document}")).to_owned()
        };
        let mut statuses: Vec<_> = outputs.into_iter().map(status).collect();
        statuses.sort();
        statuses
    };
    let one_and_five = |one: &str, others: &str| {
        let mut expected = vec![others.to_owned(); 5];
        expected.push(one.to_owned());
        expected.sort();
        expected
    };
    let submit = ["submit", "out", "--to", "inbox", "--key", "k.pub", "--json"];
    let outputs = at_once(&desk, &submit);
    assert_eq!(statuses(outputs, "/deliveries/0/status"), one_and_five("submitted", "unchanged"));
    assert_eq!(names(&desk.path("inbox")).len(), 3);
    desk.succeed(["verify", "inbox", "--key", "k.pub"]);
    desk.key("lab");
    fs::create_dir(desk.path("receipts")).unwrap();
    let receive =
        ["receive", "inbox", "--key", "lab", "--receipts", "receipts", "--trust", "trust.toml", "--json"];
    let print = desk.json(["id", "--key", "k.pub"])["result"]["fingerprint"].as_str().unwrap().to_owned();
    desk.succeed([
        "trust",
        "add",
        "sender",
        "--key",
        "k.pub",
        "--fingerprint",
        &print,
        "--trust",
        "trust.toml",
    ]);
    let outputs = at_once(&desk, &receive);
    assert_eq!(statuses(outputs, "/bundles/0/receipt/status"), one_and_five("written", "unchanged"));
    assert_eq!(names(&desk.path("receipts")).len(), 1);
    // What is unpacked is one's, and the others say that it is there.
    let unpack = [&receive[..], &["--unpack-to", "open"]].concat();
    fs::create_dir(desk.path("open")).unwrap();
    let (done, others): (Vec<_>, Vec<_>) =
        at_once(&desk, &unpack).into_iter().partition(|output| output.status.success());
    assert_eq!((done.len(), others.len()), (1, 5));
    for output in others {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&document["exit"], &document["problems"][0]["code"]),
            (&1.into(), &"destination-exists".into())
        );
    }
    assert_eq!(names(&desk.path("open")), ["mixed-1.0.0"]);
    assert_eq!(partials(&desk.path("inbox")), [""; 0].map(PathBuf::from));
}
