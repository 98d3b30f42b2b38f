//! Where people's files live: file systems that cannot sync a directory, link, refuse to rename over something, lock, keep
//! modes or number inodes for good; pipes in the place of files; homes that are new. Rows F1 to F9 of the reports.
#![cfg(all(target_os = "linux", feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
#[path = "support/mounts.rs"]
mod mounts;
mod support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bundles::{Node, descriptor, names, partials, tree};
use consign_metadata::Sha256Digest;
use mounts::Mount;
use serde_json::Value;
use support::{Desk, consign, written_down};

/// A desk with everything that is needed to make bundles, hand them over, and take them in.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("d/a.txt", "the first file\n");
    desk.write("d/sub/run.sh", "#!/bin/sh\n");
    fs::set_permissions(desk.path("d/sub/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    desk.write("d/consign.yaml", descriptor("small", "1.0.0"));
    desk.write("bare/a.csv", "x,y\n1,2\n");
    for key in ["ada", "lab"] {
        desk.key(key);
    }
    for (name, role) in [("ada", "owner"), ("lab", "recipient")] {
        let public = format!("{name}.pub");
        let card = desk.json(["id", "--key", &public]);
        let print = card["result"]["fingerprint"].as_str().unwrap().to_owned();
        desk.succeed([
            "trust",
            "add",
            name,
            "--key",
            &public,
            "--fingerprint",
            &print,
            "--role",
            role,
            "--owner",
            name,
        ]);
    }
    desk.succeed(["pack", "d", "-o", "good", "--key", "ada"]);
    for folder in ["inbox", "receipts", "accepted"] {
        fs::create_dir(desk.path(folder)).unwrap();
    }
    desk
}

/// `consign` under `strace` with these options.
fn under_strace(desk: &Desk, options: &[String], arguments: &[&str]) -> Output {
    let mut command = Command::new("strace");
    desk.bare(&mut command).args(["-f", "-qq"]).args(options).arg(consign()).args(arguments);
    let output = command.stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("this test needs strace ({error}); .ci/install installs it"))
}

fn inject(faults: &[&str]) -> Vec<String> {
    let mut options = vec!["-o".into(), "/dev/null".into()];
    let calls: Vec<&str> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    options.extend(["-e".into(), format!("trace={}", calls.join(","))]);
    options.extend(faults.iter().flat_map(|fault| ["-e".into(), format!("inject={fault}")]));
    options
}

/// Limits what is injected to calls about these paths.
fn about(mut options: Vec<String>, paths: &[PathBuf]) -> Vec<String> {
    options.extend(paths.iter().flat_map(|path| ["-P".into(), path.display().to_string()]));
    options
}

/// A command that changes files, and what it makes.
struct Step {
    arguments: &'static [&'static str],
    /// What is removed before it is done again.
    makes: &'static [&'static str],
    /// What must be there once it succeeded.
    whole: fn(&Desk),
}

const PACK: Step = Step {
    arguments: &["pack", "d", "-o", "out/deep", "--key", "ada", "--threads", "1"],
    makes: &["out"],
    whole: |desk| {
        assert_eq!(names(&desk.path("out/deep")).len(), 3);
        assert_eq!(desk.verdict(&["verify", "out/deep", "--key", "ada.pub"]), (0, vec![]));
    },
};

const SEAL: Step = Step {
    arguments: &["seal", "d", "-o", "seal", "--key", "ada", "--threads", "1"],
    makes: &["seal"],
    whole: |desk| assert_eq!(names(&desk.path("seal")).len(), 2),
};

const UNPACK: Step = Step {
    arguments: &["unpack", "good", "dest", "--key", "ada.pub", "--threads", "1"],
    makes: &["dest"],
    whole: |desk| {
        assert_eq!(desk.read("dest/a.txt"), "the first file\n");
        assert_eq!(mode(&desk.path("dest/sub/run.sh")) & 0o100, 0o100);
    },
};

const SUBMIT: Step = Step {
    arguments: &["submit", "good", "--to", "inbox", "--threads", "1"],
    makes: &["inbox/*"],
    whole: |desk| assert_eq!(names(&desk.path("inbox")), names(&desk.path("good"))),
};

const RECEIVE: Step = Step {
    arguments: &[
        "receive",
        "good",
        "--key",
        "lab",
        "--receipts",
        "receipts",
        "--unpack-to",
        "accepted",
        "--threads",
        "1",
    ],
    makes: &["receipts/*", "accepted/*"],
    whole: |desk| {
        assert_eq!(names(&desk.path("receipts")).len(), 1);
        assert_eq!(desk.read("accepted/small-1.0.0/a.txt"), "the first file\n");
    },
};

const INIT: Step = Step {
    arguments: &["init", "bare"],
    makes: &["bare/consign.yaml"],
    whole: |desk| assert!(desk.read("bare/consign.yaml").contains("name:")),
};

const KEYGEN: Step = Step {
    arguments: &["keygen", "--no-passphrase", "-o", "new"],
    makes: &["new", "new.pub"],
    whole: |desk| {
        desk.succeed(["id", "--key", "new.pub"]);
        assert_eq!(mode(&desk.path("new")) & 0o777, 0o600);
    },
};

const TRUST: Step = Step {
    arguments: &["trust", "remove", "lab", "--trust", "trust.toml"],
    makes: &[],
    whole: |desk| assert!(!desk.read("trust.toml").contains("lab")),
};

const LEDGER: Step = Step {
    arguments: &["ledger", "add", "events", "--ledger", "ledger"],
    makes: &[],
    whole: |desk| {
        desk.succeed(["ledger", "verify", "--ledger", "ledger"]);
        let listed = desk.json(["ledger", "list", "--ledger", "ledger"]);
        let entries = listed["result"]["entries"].as_array().unwrap();
        let packed = entries.iter().filter(|entry| entry["event"]["action"] == "packed");
        assert_eq!(packed.count(), 1, "{listed:#}");
    },
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode()
}

/// Makes what the step needs besides a desk.
fn prepare(desk: &Desk, step: &Step) {
    match step.arguments[0] {
        "trust" => drop(fs::copy(desk.home().join("trust.toml"), desk.path("trust.toml")).unwrap()),
        "ledger" => {
            fs::create_dir_all(desk.path("events")).unwrap();
            if names(&desk.path("events")).is_empty() {
                let pack = ["pack", "d", "-o", "other", "--key", "ada", "--event-out", "events"];
                assert!(desk.consign(pack).env_remove("CONSIGN_LEDGER").output().unwrap().status.success());
            }
            // A ledger that exists, so that not only its beginning is tried.
            if !desk.path("kept-ledger").exists() {
                let key = ["keygen", "--no-passphrase", "-o", "third", "--ledger", "ledger"];
                assert!(desk.consign(key).output().unwrap().status.success());
                fs::rename(desk.path("ledger"), desk.path("kept-ledger")).unwrap();
                desk.shell(r#"cp -a "$1" "$2""#, &[&desk.home(), &desk.dir().with_file_name("kept-home")]);
            }
        }
        _ => {}
    }
    undo(desk, step);
}

fn undo(desk: &Desk, step: &Step) {
    for made in step.makes {
        match made.strip_suffix("/*") {
            Some(folder) => {
                fs::remove_dir_all(desk.path(folder)).unwrap();
                fs::create_dir(desk.path(folder)).unwrap();
            }
            None if desk.path(made).is_dir() => fs::remove_dir_all(desk.path(made)).unwrap(),
            None => drop(fs::remove_file(desk.path(made))),
        }
    }
    match step.arguments[0] {
        "trust" => drop(fs::copy(desk.home().join("trust.toml"), desk.path("trust.toml")).unwrap()),
        "ledger" => {
            // The home remembers how far it was.
            let kept_home = desk.dir().with_file_name("kept-home");
            for (kept, back) in [(desk.path("kept-ledger"), desk.path("ledger")), (kept_home, desk.home())] {
                let _ = fs::remove_dir_all(&back);
                desk.shell(r#"cp -a "$1" "$2""#, &[&kept, &back]);
            }
        }
        _ => {}
    }
}

/// What is on the desk, but for the ledger, which repairs itself.
fn looks(desk: &Desk) -> Vec<(PathBuf, String)> {
    let look = |(path, node)| match node {
        Node::Directory => (path, "directory".to_owned()),
        Node::File { executable, content } => {
            (path, format!("executable: {executable}, {}", Sha256Digest::of(&content)))
        }
    };
    let all = tree(&desk.dir()).into_iter().map(look);
    all.filter(|(path, _)| !path.starts_with("ledger")).collect()
}

/// Lets one call after the other fail, and holds what comes of it to the promise: all or nothing, and the next time all.
/// Gives how often the step failed.
fn each_fault(desk: &Desk, step: &Step, call: &str, errors: &[&str], besides: &[&str]) -> usize {
    let trace = desk.dir().parent().unwrap().join("trace");
    let before = looks(desk);
    let mut failed = 0;
    let first = if call == "openat" { first_of_ours(desk, step, &trace) } else { 1 };
    for n in first..400 {
        let error = errors[n % errors.len()];
        let fault = format!("{call}:error={error}:when={n}");
        let mut options = inject(&[&[fault.as_str()], besides].concat());
        options[1] = trace.display().to_string();
        options.push("-y".into());
        let output = under_strace(desk, &options, step.arguments);
        let log = whole_lines(&fs::read_to_string(&trace).unwrap());
        let injected: Vec<&str> =
            log.iter().map(String::as_str).filter(|line| line.contains("INJECTED")).collect();
        let this = |line: &&&str| line.contains(&format!("{call}(")) && line.contains(error);
        if injected.iter().find(this).is_none() {
            assert_eq!(output.status.code(), Some(0), "{fault}: {}", written_down(&output));
            undo(desk, step);
            return failed;
        }
        // What cannot be printed was done all the same.
        let printed = injected
            .iter()
            .find(this)
            .is_some_and(|line| line.contains("write(1<") || line.contains("write(2<"));
        let what = format!("{fault} {}: {}", step.arguments.join(" "), written_down(&output));
        match output.status.code() {
            Some(0) => (step.whole)(desk),
            Some(1) if printed => {}
            Some(1) => {
                failed += 1;
                assert_eq!(difference(&before, &looks(desk)), [""; 0], "{what}\n{}", injected.join("\n"));
            }
            _ => panic!("{what}\n{}", injected.join("\n")),
        }
        if output.status.code() == Some(1) {
            let again = desk.consign(step.arguments.iter().copied()).output().unwrap();
            if !printed {
                assert_eq!(again.status.code(), Some(0), "after {what}: {}", written_down(&again));
                (step.whole)(desk);
            }
        }
        assert_eq!(partials(&desk.dir()), Vec::<PathBuf>::new(), "{what}");
        undo(desk, step);
    }
    panic!("{call} fails without end");
}

/// The lines of a trace, where a call that another thread's came between is one line again.
fn whole_lines(log: &str) -> Vec<String> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut lines = Vec::new();
    for line in log.lines() {
        let (pid, call) = line.trim_start().split_once(' ').unwrap_or(("", line));
        if let Some(beginning) = line.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, beginning);
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            lines.push(format!("{}{end}", begun.remove(pid).unwrap_or_default()));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The number of the first call that opens a file of ours, rather than a library.
fn first_of_ours(desk: &Desk, step: &Step, trace: &Path) -> usize {
    let options = ["-e", "trace=openat", "-o", &trace.display().to_string()].map(str::to_owned);
    let output = under_strace(desk, &options, step.arguments);
    assert!(output.status.success(), "{}", written_down(&output));
    undo(desk, step);
    let log = fs::read_to_string(trace).unwrap();
    let system = |line: &str| ["\"/lib", "\"/usr/lib", "\"/etc/ld"].iter().any(|path| line.contains(path));
    log.lines().enumerate().filter(|(_, line)| system(line)).last().map_or(1, |(at, _)| at + 2)
}

fn difference(before: &[(PathBuf, String)], after: &[(PathBuf, String)]) -> Vec<String> {
    let told = |mark: &'static str| {
        move |(path, node): &(PathBuf, String)| format!("{mark} {} {node}", path.display())
    };
    let gone = before.iter().filter(|one| !after.contains(one)).map(told("-"));
    gone.chain(after.iter().filter(|one| !before.contains(one)).map(told("+"))).collect()
}

/// All calls that matter, one occurrence after the other.
fn all_faults(step: &Step) {
    let desk = desk();
    prepare(&desk, step);
    let mut failed = 0;
    for (call, errors, besides) in [
        ("fsync", &["EIO", "ENOSPC"][..], &[][..]),
        ("fsync", &["EINVAL"], &[]),
        ("fdatasync", &["EIO"], &[]),
        ("syncfs", &["EIO"], &[]),
        ("renameat2", &["EINVAL", "EPERM", "ENOSYS"], &[]),
        ("renameat2", &["EIO"], &[]),
        ("rename", &["EIO", "EPERM", "ENOSPC"], &[]),
        ("linkat", &["EPERM", "EOPNOTSUPP", "EIO"], &["renameat2:error=EINVAL"]),
        ("flock", &["ENOSYS", "ENOLCK", "EIO"], &[]),
        ("fchmod", &["EPERM", "EOPNOTSUPP", "EIO"], &[]),
        ("mkdir", &["ENOSPC", "EDQUOT", "EIO"], &[]),
        ("write", &["ENOSPC", "EDQUOT", "EIO"], &[]),
        ("pwrite64", &["ENOSPC", "EIO"], &[]),
        ("openat", &["EIO", "ENOSPC", "EMFILE"], &[]),
    ] {
        failed += each_fault(&desk, step, call, errors, besides);
    }
    assert!(failed > 2, "{failed}");
}

#[test]
fn field_f2_each_fault_leaves_a_pack_whole_or_undone() {
    all_faults(&PACK);
}

#[test]
fn field_f2_each_fault_leaves_a_seal_whole_or_undone() {
    all_faults(&SEAL);
}

#[test]
fn field_f2_each_fault_leaves_an_unpacked_directory_whole_or_undone() {
    all_faults(&UNPACK);
}

#[test]
fn field_f2_each_fault_leaves_a_submission_whole_or_undone() {
    all_faults(&SUBMIT);
}

#[test]
fn field_f2_each_fault_leaves_a_receipt_whole_or_undone() {
    all_faults(&RECEIVE);
}

#[test]
fn field_f2_each_fault_leaves_a_descriptor_whole_or_undone() {
    all_faults(&INIT);
}

#[test]
fn field_f2_each_fault_leaves_keys_whole_or_undone() {
    all_faults(&KEYGEN);
}

#[test]
fn field_f2_each_fault_leaves_a_trust_file_whole_or_undone() {
    all_faults(&TRUST);
}

#[test]
fn field_f2_each_fault_leaves_a_ledger_whole_or_undone() {
    all_faults(&LEDGER);
}

const ALL: [&Step; 9] = [&PACK, &SEAL, &UNPACK, &SUBMIT, &RECEIVE, &INIT, &KEYGEN, &TRUST, &LEDGER];

/// All directories that a step may sync.
fn directories(desk: &Desk) -> Vec<PathBuf> {
    let mut found = vec![desk.dir()];
    let listed = desk.shell(r#"find "$1" -type d"#, &[&desk.dir()]);
    found.extend(listed.lines().map(PathBuf::from));
    found.extend(["out", "out/deep", "seal", "dest"].map(|name| desk.path(name)));
    found
}

#[test]
fn field_f1_a_directory_that_cannot_be_synced_is_no_failure() {
    for errno in ["EINVAL", "EOPNOTSUPP", "EBADF"] {
        let desk = desk();
        for step in ALL {
            prepare(&desk, step);
            let fault = format!("fsync:error={errno}");
            // The file system as a whole cannot be asked either, as behind some of FUSE.
            let options = about(inject(&[&fault, "syncfs:error=ENOSYS"]), &directories(&desk));
            let output = under_strace(&desk, &options, step.arguments);
            assert!(
                output.status.success(),
                "{errno} {}: {}",
                step.arguments.join(" "),
                written_down(&output)
            );
            (step.whole)(&desk);
        }
    }
}

#[test]
fn field_f1_a_file_that_cannot_be_synced_is_a_failure() {
    let desk = desk();
    // Where a whole file system cannot be synced, each file is.
    for (faults, code) in
        [(&["syncfs:error=ENOSYS"][..], 0), (&["syncfs:error=ENOSYS", "fsync:error=EIO:when=2"], 1)]
    {
        let output = under_strace(&desk, &inject(faults), UNPACK.arguments);
        assert_eq!(output.status.code(), Some(code), "{}", written_down(&output));
        assert_eq!(desk.path("dest").exists(), code == 0);
        undo(&desk, &UNPACK);
    }
    let output = under_strace(&desk, &inject(&["fsync:error=EINVAL"]), PACK.arguments);
    assert_eq!(output.status.code(), Some(1), "{}", written_down(&output));
    assert!(!desk.path("out").exists());
}

/// What a file system says that has neither hard links nor a rename that refuses.
const PLAIN: [&str; 2] = ["renameat2:error=EINVAL", "linkat:error=EPERM"];

#[test]
fn field_f2_where_only_a_plain_rename_can_be_had_all_the_same_is_promised() {
    let desk = desk();
    for faults in [
        PLAIN,
        ["renameat2:error=ENOSYS", "linkat:error=ENOSYS"],
        ["renameat2:error=EPERM", "linkat:error=EOPNOTSUPP"],
    ] {
        for step in ALL {
            prepare(&desk, step);
            let output = under_strace(&desk, &inject(&faults), step.arguments);
            assert!(
                output.status.success(),
                "{faults:?} {}: {}",
                step.arguments.join(" "),
                written_down(&output)
            );
            (step.whole)(&desk);
            assert_eq!(partials(&desk.dir()), Vec::<PathBuf>::new());
            undo(&desk, step);
        }
    }
    // What has the name already stays.
    for (path, arguments) in [
        ("out/deep/small-1.0.0.manifest.json", PACK.arguments),
        ("inbox/small-1.0.0.intoto.jsonl", SUBMIT.arguments),
        ("dest", UNPACK.arguments),
        ("bare/consign.yaml", INIT.arguments),
        ("new", KEYGEN.arguments),
    ] {
        desk.write(path, "somebody else's");
        let before = looks(&desk);
        let output = under_strace(&desk, &inject(&PLAIN), arguments);
        assert_eq!(output.status.code(), Some(1), "{path}: {}", written_down(&output));
        assert_eq!(difference(&before, &looks(&desk)), [""; 0], "{path}");
        fs::remove_file(desk.path(path)).unwrap();
    }
}

#[test]
fn field_f2_where_nothing_can_be_renamed_it_is_said_before_anything_is_read() {
    let desk = desk();
    let trace = desk.dir().parent().unwrap().join("trace");
    let faults = ["renameat2:error=EINVAL", "linkat:error=EPERM", "rename:error=ENOSYS"];
    for step in [&PACK, &SEAL, &SUBMIT, &UNPACK] {
        prepare(&desk, step);
        let before = looks(&desk);
        let mut options = inject(&faults);
        options[1] = trace.display().to_string();
        options[3].push_str(",openat");
        let output = under_strace(&desk, &options, step.arguments);
        let said = written_down(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("hint: the file system `") && said.contains("write to a local disk"), "{said}");
        assert!(!said.contains("already exists") && !said.contains("somebody who may write"), "{said}");
        assert_eq!(difference(&before, &looks(&desk)), [""; 0], "{said}");
        let log = fs::read_to_string(&trace).unwrap();
        let reads = |name: &str| log.lines().any(|line| line.contains(&format!("{name}\", O_RDONLY")));
        assert!(!reads("a.txt"), "nothing of the content was opened: {log}");
    }
}

#[test]
fn field_f1_a_drop_box_that_cannot_be_read_takes_what_is_handed_over() {
    let desk = desk();
    let inbox = desk.path("inbox");
    // Neither listed nor opened: root may do so all the same, unless it gives that up.
    fs::set_permissions(&inbox, fs::Permissions::from_mode(0o333)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]).arg(consign());
    let mut command = if rustix::process::geteuid().is_root() { command } else { Command::new(consign()) };
    let output = desk.bare(&mut command).args(SUBMIT.arguments).stdin(Stdio::null()).output().unwrap();
    fs::set_permissions(&inbox, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(output.status.success(), "{}", written_down(&output));
    (SUBMIT.whole)(&desk);
}

#[test]
fn field_f3_inode_numbers_may_change_from_one_look_to_the_next() {
    let desk = desk();
    // An object store's mount keeps no inode longer than it must.
    fs::create_dir(desk.path("remote")).unwrap();
    desk.shell(r#"cp -a "$1"/. "$2""#, &[&desk.path("d"), &desk.path("remote")]);
    let Some(mount) = Mount::rclone(&desk, "remote") else { return };
    let at = mount.path().to_owned();
    let at = at.to_str().unwrap();
    for round in 0..3 {
        let (out, seal) = (format!("out-{round}"), format!("seal-{round}"));
        desk.succeed(["pack", at, "-o", &out, "--key", "ada"]);
        desk.succeed(["seal", at, "-o", &seal, "--key", "ada"]);
        let manifest = format!("{seal}/small-1.0.0.manifest.json");
        assert_eq!(desk.verdict(&["verify", at, "--manifest", &manifest, "--key", "ada.pub"]), (0, vec![]));
    }
}

#[test]
fn field_f2_on_a_mount_of_an_object_store_everything_works() {
    let desk = desk();
    let Some(mount) = Mount::rclone(&desk, "remote") else { return };
    everything_works(&desk, mount.path());
}

#[test]
fn field_f2_on_a_bind_mount_of_fuse_everything_works() {
    let desk = desk();
    let Some(mount) = Mount::bindfs(&desk, "remote") else { return };
    everything_works(&desk, mount.path());
}

#[test]
fn field_f2_on_ntfs_everything_works() {
    let desk = desk();
    let Some(mount) = Mount::ntfs(&desk) else { return };
    everything_works(&desk, mount.path());
}

/// Makes, hands over and takes in bundles on a mount, twice, and finds what is there the second time.
fn everything_works(desk: &Desk, at: &Path) {
    let path = |name: &str| at.join(name).to_str().unwrap().to_owned();
    desk.shell(r#"cp -r "$1" "$2""#, &[&desk.path("d"), &at.join("d")]);
    let (source, out, inbox, dest) = (path("d"), path("out"), path("inbox"), path("dest"));
    fs::create_dir(at.join("inbox")).unwrap();
    assert_eq!(desk.json(["pack", &source, "-o", &out, "--key", "ada"])["result"]["status"], "packed");
    assert_eq!(desk.json(["pack", &source, "-o", &out, "--key", "ada"])["result"]["status"], "unchanged");
    desk.succeed(["verify", &out, "--key", "ada.pub"]);
    let status = |document: &Value| document["result"]["deliveries"][0]["status"].clone();
    assert_eq!(status(&desk.json(["submit", &out, "--to", &inbox])), "submitted");
    assert_eq!(status(&desk.json(["submit", &out, "--to", &inbox])), "unchanged");
    desk.succeed(["unpack", &inbox, &dest, "--key", "ada.pub"]);
    assert_eq!(fs::read_to_string(at.join("dest/a.txt")).unwrap(), "the first file\n");
    // It is there now, and that is what is said.
    assert_eq!(
        desk.verdict(&["unpack", &inbox, &dest, "--key", "ada.pub"]),
        (1, vec!["destination-exists".into()])
    );
    let manifest = path("inbox/small-1.0.0.manifest.json");
    assert_eq!(desk.verdict(&["verify", &dest, "--manifest", &manifest, "--key", "ada.pub"]), (0, vec![]));
    desk.succeed(["sign", &out, "--key", "lab", "--role", "reviewer", "--yes"]);
    fs::remove_dir_all(&dest).unwrap();
    let home = path("home");
    let mut recorded = desk.consign(["ledger", "add", "events"]);
    recorded.env("CONSIGN_HOME", &home).env_remove("CONSIGN_LEDGER");
    desk.write("events/none", "");
    let mut key = desk.consign(["keygen", "--no-passphrase", "-o", "recorded", "--ledger", &path("ledger")]);
    let output = key.output().unwrap();
    assert!(
        output.status.success() && !written_down(&output).contains("not in the ledger"),
        "{}",
        written_down(&output)
    );
    desk.succeed(["ledger", "verify", "--ledger", &path("ledger")]);
    assert_eq!(partials(at), Vec::<PathBuf>::new());
}

/// What `consign --json` notes about the first bundle.
fn notes(document: &Value) -> Vec<&str> {
    let notes =
        document["result"]["bundles"][0]["notes"].as_array().or(document["result"]["notes"].as_array());
    notes.into_iter().flatten().filter_map(|note| note["code"].as_str().or(note.as_str())).collect()
}

#[test]
fn field_f4_modes_that_a_file_system_does_not_keep_are_no_alteration() {
    let desk = desk();
    desk.succeed(["seal", "d", "-o", "sealed", "--key", "ada"]);
    let manifest = "sealed/small-1.0.0.manifest.json";
    let mounts: [fn(&Desk) -> Option<Mount>; 2] = [Mount::ntfs, |desk| Mount::rclone(desk, "remote")];
    for mount in mounts {
        let Some(mount) = mount(&desk) else { continue };
        let path = |name: &str| mount.path().join(name).to_str().unwrap().to_owned();
        // Sealed where modes are kept, copied to where they are not.
        desk.shell(r#"cp -r "$1" "$2""#, &[&desk.path("d"), &mount.path().join("copy")]);
        let verify = |directory: &str, manifest: &str| {
            desk.json(["verify", directory, "--manifest", manifest, "--key", "ada.pub", "--no-remember"])
        };
        let verified = verify(&path("copy"), manifest);
        assert_eq!(
            (verified["exit"].as_i64(), notes(&verified)),
            (Some(0), vec!["modes-not-compared"]),
            "{verified:#}"
        );
        let said = verified["result"]["bundles"][0]["notes"][0]["message"].as_str().unwrap();
        assert!(
            said.starts_with("the file system `fuse") && said.contains(mount.path().to_str().unwrap()),
            "{said}"
        );
        // Unpacked there: it is said at once, and verify says no more than that.
        let unpacked = desk.json(["unpack", "good", &path("unpacked"), "--key", "ada.pub", "--no-remember"]);
        assert_eq!(
            (unpacked["exit"].as_i64(), notes(&unpacked)),
            (Some(0), vec!["modes-not-kept"]),
            "{unpacked:#}"
        );
        let beside = "good/small-1.0.0.manifest.json";
        assert_eq!(notes(&verify(&path("unpacked"), beside)), ["modes-not-compared"]);
        // Sealed there, and taken elsewhere by a copy that makes ordinary files.
        desk.succeed(["seal", &path("copy"), "-o", &path("seal"), "--key", "ada"]);
        let there = path("seal/small-1.0.0.manifest.json");
        assert_eq!(verify(&path("copy"), &there)["exit"], 0);
        let _ = fs::remove_dir_all(desk.path("back"));
        desk.shell(
            r#"cp -r "$1" "$2"; find "$2" -type f -exec chmod 644 {} +"#,
            &[&mount.path().join("copy"), &desk.path("back")],
        );
        assert_eq!(notes(&verify("back", &there)), [""; 0]);
        // Everything else is compared there as anywhere.
        fs::write(path("copy/a.txt"), "the other file\n").unwrap();
        fs::write(path("copy/more.txt"), "").unwrap();
        let (exit, mut codes) = desk.verdict(&[
            "verify",
            &path("copy"),
            "--manifest",
            manifest,
            "--key",
            "ada.pub",
            "--no-remember",
        ]);
        codes.sort();
        assert_eq!((exit, codes), (3, vec!["file-altered".to_owned(), "file-extra".to_owned()]));
    }
    // Where modes are kept, one that was changed is an alteration, though all files look alike.
    fs::set_permissions(desk.path("d/sub/run.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    let verdict = desk.verdict(&["verify", "d", "--manifest", manifest, "--key", "ada.pub", "--no-remember"]);
    assert_eq!(verdict, (3, vec!["file-mode".to_owned()]));
}

#[test]
fn field_f4_a_source_in_which_every_file_looks_executable_says_nothing_of_modes() {
    let desk = desk();
    let Some(mount) = Mount::ntfs(&desk) else { return };
    desk.shell(r#"cp -r "$1" "$2""#, &[&desk.path("d"), &mount.path().join("d")]);
    let at = mount.path().join("d");
    let packed = desk.json(["pack", at.to_str().unwrap(), "-o", "from-ntfs", "--key", "ada"]);
    let said = notes(&packed).join(" ");
    assert!(
        said.contains("shows every file as executable, so that no file is recorded as executable"),
        "{packed:#}"
    );
    // A seal of files that all are not executable is the one that a copy elsewhere gives.
    desk.succeed(["unpack", "from-ntfs", "unpacked", "--key", "ada.pub"]);
    assert_eq!(mode(&desk.path("unpacked/sub/run.sh")) & 0o111, 0);
    // To go on with a partial archive, it must be nobody else's, which cannot be told there.
    let resumed = desk.json([
        "pack",
        at.to_str().unwrap(),
        "-o",
        at.with_file_name("out").to_str().unwrap(),
        "--key",
        "ada",
        "--resume",
    ]);
    assert_eq!(resumed["exit"], 1);
    let said = resumed["problems"][0].to_string();
    assert!(said.contains("does not keep") && said.contains("without `--resume`"), "{said}");
}

#[test]
fn field_f4_an_odd_umask_does_not_make_unpacked_files_differ() {
    let desk = desk();
    for umask in ["0177", "0777", "0111"] {
        let script = r#"umask "$2"; "$1" unpack good dest --key ada.pub --json; echo "exit $?""#;
        let mut command = Command::new("sh");
        let output =
            desk.bare(&mut command).args(["-c", script, "sh"]).arg(consign()).arg(umask).output().unwrap();
        let said = written_down(&output);
        if said.contains("exit 0") {
            assert!(!said.contains("modes-not-kept"), "{umask}: {said}");
            assert_eq!(mode(&desk.path("dest/sub/run.sh")) & 0o100, 0o100, "{umask}");
            desk.shell(r#"chmod -R u+rwX "$1"; rm -r "$1""#, &[&desk.path("dest")]);
        }
    }
}

/// Runs a shell script with the program as `$1`, and gives what became of it.
fn bash(desk: &Desk, script: &str) -> (i32, String) {
    let mut command = Command::new("bash");
    let output =
        desk.bare(&mut command).args(["-c", script, "bash"]).arg(consign()).stdin(Stdio::null()).output();
    let output = output.unwrap();
    (output.status.code().unwrap_or(-1), written_down(&output))
}

const ARCHIVE: &str = "good/small-1.0.0.tar.zst";
const STATEMENTS: &str = "good/small-1.0.0.intoto.jsonl";

#[test]
fn field_f6_what_comes_as_a_stream_is_verified() {
    let desk = desk();
    let (a, s) = (ARCHIVE, STATEMENTS);
    for script in [
        format!("\"$1\" verify <(cat {a}) --attestations {s} --key ada.pub"),
        format!("cat {a} | \"$1\" verify - --attestations {s} --key ada.pub"),
        format!("cat {a} | \"$1\" verify /dev/stdin --attestations {s} --key ada.pub"),
        format!("\"$1\" verify /dev/stdin --attestations {s} --key ada.pub < {a}"),
        format!("\"$1\" verify /dev/fd/7 --attestations {s} --key ada.pub 7< <(cat {a})"),
        format!("\"$1\" verify /proc/self/fd/7 --attestations {s} --key ada.pub 7< {a}"),
        format!("\"$1\" verify <(cat {a}) --attestations <(cat {s}) --key <(cat ada.pub)"),
        format!("\"$1\" verify {a} --attestations - --key ada.pub < {s}"),
        format!("cat {s} | \"$1\" verify {a} --attestations /dev/stdin --key ada.pub"),
        format!("mkfifo pipe; cat {a} > pipe & \"$1\" verify - --attestations {s} --key ada.pub < pipe"),
    ] {
        let (code, said) = bash(&desk, &script);
        assert_eq!(code, 0, "{script}: {said}");
        assert!(said.contains("VERIFIED: small 1.0.0 is exactly what"), "{script}: {said}");
    }
    // Of an encrypted bundle, too, though nothing has a name there.
    desk.shell(r#""$1" keygen --no-passphrase -o box"#, &[consign()]);
    let encrypted = "pack d -o closed --key ada --encrypt-to ada.pub";
    let output = desk.consign(encrypted.split(' ')).output().unwrap();
    if output.status.success() {
        let script = r#""$1" verify <(cat closed/*.age) --attestations <(cat closed/*.age.intoto.jsonl) --key ada.pub"#;
        let (code, said) = bash(&desk, script);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn field_f6_a_stream_that_is_not_what_was_signed_is_told_from_one_that_did_not_come() {
    let desk = desk();
    let (a, s) = (ARCHIVE, STATEMENTS);
    for (script, code, expected) in [
        (
            format!("head -c 300 {a} | \"$1\" verify - --attestations {s} --key ada.pub"),
            3,
            "it was cut short",
        ),
        (
            format!("(cat {a}; echo) | \"$1\" verify - --attestations {s} --key ada.pub"),
            3,
            "something was added",
        ),
        (format!("\"$1\" verify /dev/zero --attestations {s} --key ada.pub"), 3, "something was added"),
        (format!("\"$1\" verify - --attestations {s} --key ada.pub < /dev/null"), 1, "gave nothing"),
        (format!("\"$1\" verify <(false) --attestations {s} --key ada.pub"), 1, "gave nothing"),
        (format!("\"$1\" verify {a} --attestations <(false) --key ada.pub"), 1, "gave nothing"),
        ("\"$1\" verify - --attestations - --key ada.pub < /dev/null".into(), 2, "only once"),
        ("\"$1\" verify - --attestations /dev/stdin --key ada.pub < /dev/null".into(), 2, "only once"),
        (format!("\"$1\" verify {a} {a} --attestations <(cat {s}) --key ada.pub"), 2, "only once"),
        (format!("\"$1\" verify <(cat {a}) --key ada.pub"), 2, "needs `--attestations FILE`"),
        ("\"$1\" verify - --key ada.pub".into(), 2, "needs `--attestations FILE`"),
        // A pipe with a name could be waited for in vain.
        (format!("mkfifo pipe; \"$1\" verify pipe --attestations {s} --key ada.pub"), 2, "is a pipe"),
    ] {
        let (found, said) = bash(&desk, &script);
        assert_eq!(found, code, "{script}: {said}");
        assert!(said.contains(expected), "{script}: {said}");
        assert_eq!(code == 3, said.contains("is not intact"), "{script}: {said}");
    }
}

#[test]
fn field_f6_elsewhere_a_stream_is_a_usage_error() {
    let desk = desk();
    let socket = desk.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    bash(&desk, "mkfifo pipe");
    for bundle in ["<(cat good/small-1.0.0.tar.zst)", "pipe", "socket", "-", "/dev/stdin", "/dev/zero"] {
        for command in [
            "inspect BUNDLE",
            "unpack BUNDLE out --key ada.pub",
            "sign BUNDLE --key lab --yes",
            "encrypt BUNDLE -o out --to ada.pub --key ada",
            "decrypt BUNDLE -o out --identity ada",
            "amend BUNDLE -o out --descriptor d/consign.yaml --key ada",
            "submit BUNDLE --to inbox",
            "receive BUNDLE --key lab --receipts receipts",
            "revoke BUNDLE --key ada --reason superseded",
            "lineage BUNDLE",
            "diff BUNDLE good",
            "store add BUNDLE",
        ] {
            if (bundle, command) == ("-", "lineage BUNDLE") {
                // It could be the name of a bundle.
                continue;
            }
            let (code, said) = bash(&desk, &format!("\"$1\" {}", command.replace("BUNDLE", bundle)));
            assert_eq!(code, 2, "{command} {bundle}: {said}");
            assert!(said.contains("stream") || said.contains("Usage"), "{command} {bundle}: {said}");
        }
    }
}

#[test]
fn field_f6_a_stream_that_does_not_end_is_waited_for_until_a_signal() {
    let desk = desk();
    let mut command = Command::new(consign());
    desk.bare(&mut command).args(["verify", "-", "--attestations", STATEMENTS, "--key", "ada.pub"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Open, and silent.
    let _input = child.stdin.take().unwrap();
    let task = format!("/proc/{}/task", child.id());
    bundles::wait_until("it waits for its input", || {
        fs::read_dir(&task).is_ok_and(|tasks| tasks.count() > 1)
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    // By that signal, once everything is in order.
    assert_eq!(output.status.signal(), Some(15), "{}", written_down(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"), "{}", written_down(&output));
}

#[test]
fn field_f7_the_hint_leaves_out_a_git_file_as_well_as_a_folder() {
    let desk = desk();
    desk.write("d/.git", "gitdir: /elsewhere\n");
    desk.write("d/sub/.git/config", "[core]\n");
    let document = desk.json(["pack", "d", "-o", "out", "--key", "ada"]);
    let problems = document["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{document:#}");
    for problem in problems {
        assert!(problem["hint"].as_str().unwrap().contains("`--exclude .git`"), "{problem}");
    }
    assert!(
        problems[0]["hint"].as_str().unwrap().starts_with("it says where the history lies"),
        "{document:#}"
    );
    desk.succeed(["pack", "d", "-o", "out", "--key", "ada", "--exclude", ".git"]);
    desk.succeed(["unpack", "out", "unpacked", "--key", "ada.pub"]);
    assert_eq!(names(&desk.path("unpacked")), ["a.txt", "sub"]);
}

#[test]
fn field_f8_the_reason_why_git_says_nothing_is_told() {
    let desk = desk();
    desk.peer("git", &["init", "-q", "d"]);
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT CHECKED: a repository of another owner, which only root can make");
        return;
    }
    desk.shell(r#"chown -R 12345 "$1""#, &[&desk.path("d")]);
    let pack = ["pack", "d", "-o", "out", "--key", "ada", "--provenance", "auto", "--exclude", ".git"];
    let packed = desk.json(pack);
    assert_eq!(packed["exit"], 0, "{packed:#}");
    let said = notes(&packed).join(" ");
    assert!(said.contains("dubious ownership") && said.contains("safe.directory"), "{packed:#}");
    assert!(!said.contains("neither a Git work tree"), "{said}");
    fs::remove_file(desk.path("d/consign.yaml")).unwrap();
    let begun = desk.json(["init", "d"]).to_string();
    assert!(begun.contains("git-refuses") && begun.contains("dubious ownership"), "{begun}");
    // Where there is none, that is all there is to say.
    let none = desk.json([
        "pack",
        "bare",
        "-o",
        "none",
        "--key",
        "ada",
        "--provenance",
        "auto",
        "--descriptor",
        "../out",
    ]);
    assert!(!none.to_string().contains("dubious"), "{none:#}");
}

/// A command in an environment with a home and nothing of consign's.
fn at_home(desk: &Desk, home: &Path, more: &[(&str, &Path)], arguments: &[&str]) -> Output {
    let mut command = desk.consign(arguments.iter().copied());
    command.env_remove("CONSIGN_HOME").env_remove("CONSIGN_LEDGER").env("HOME", home);
    for (name, value) in more {
        command.env(name, value);
    }
    command.output().unwrap()
}

#[test]
fn field_f9_a_new_home_gets_what_is_missing_for_its_owner_alone() {
    let desk = desk();
    let noted = |output: &Output| {
        let said = written_down(output);
        assert!(output.status.success(), "{said}");
        said.contains("not in the ledger") || said.contains("not be remembered")
    };
    let keygen = |home: &Path, more: &[(&str, &Path)], name: &str| {
        at_home(&desk, home, more, &["keygen", "--no-passphrase", "-o", name])
    };
    let home = desk.path("fresh");
    fs::create_dir(&home).unwrap();
    assert!(!noted(&keygen(&home, &[], "k1")));
    for made in [".config", ".config/consign", ".config/consign/keys", ".local", ".local/state/consign"] {
        assert_eq!(mode(&home.join(made)) & 0o777, 0o700, "{made}");
    }
    // Wherever the variables say, though nothing is there yet.
    let (config, state) = (desk.path("x/y/config"), desk.path("x/z/state"));
    let xdg: [(&str, &Path); 2] = [("XDG_CONFIG_HOME", &config), ("XDG_STATE_HOME", &state)];
    for (home, name) in [(home.as_path(), "k2"), (Path::new("/nonexistent"), "k3")] {
        assert!(!noted(&keygen(home, &xdg, name)), "{name}");
        assert_eq!((mode(&config) & 0o777, mode(&state) & 0o777), (0o700, 0o700));
    }
    // Also by what changes trust.
    let home = desk.path("second");
    fs::create_dir(&home).unwrap();
    let print = desk.json(["id", "--key", "ada.pub"])["result"]["fingerprint"].as_str().unwrap().to_owned();
    let add = [
        "trust",
        "add",
        "ada",
        "--key",
        "ada.pub",
        "--fingerprint",
        &print,
        "--role",
        "owner",
        "--owner",
        "ada",
    ];
    assert!(!noted(&at_home(&desk, &home, &[], &add)));
    assert_eq!(mode(&home.join(".config")) & 0o777, 0o700);
    // A home that does not exist is not made, and nothing needs it.
    for home in ["/nonexistent", "/dev/null"] {
        let verified = at_home(&desk, Path::new(home), &[], &["verify", "good", "--key", "ada.pub"]);
        assert!(verified.status.success(), "{home}: {}", written_down(&verified));
        assert!(!Path::new("/nonexistent").exists() && !desk.path(".config").exists());
        let added = at_home(&desk, Path::new(home), &[], &add);
        assert_eq!(added.status.code(), Some(1), "{home}: {}", written_down(&added));
        assert!(!written_down(&added).contains("entity not found"), "{}", written_down(&added));
    }
}

#[test]
fn field_f9_a_home_that_cannot_be_written_is_none_that_verify_needs() {
    let desk = desk();
    let Some(mount) = Mount::squashfs(&desk, &desk.dir()) else { return };
    // Input and home both where nobody can write.
    let (good, key) = (mount.path().join("good"), mount.path().join("ada.pub"));
    let arguments = ["verify", good.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let verified = at_home(&desk, mount.path(), &[], &arguments);
    assert!(verified.status.success(), "{}", written_down(&verified));
    let source = mount.path().join("d");
    desk.succeed(["pack", source.to_str().unwrap(), "-o", "out", "--key", "ada"]);
    assert_eq!(
        fs::read(desk.path("out/small-1.0.0.tar.zst")).unwrap(),
        fs::read(desk.path(ARCHIVE)).unwrap()
    );
    let manifest = good.join("small-1.0.0.manifest.json");
    let unpacked = mount.path().join("d");
    // It holds the descriptor as well, and modes are kept there.
    let arguments =
        ["verify", unpacked.to_str().unwrap(), "--manifest", manifest.to_str().unwrap(), "--key", "ada.pub"];
    assert_eq!(desk.verdict(&arguments), (3, vec!["file-extra".to_owned()]));
    let into = mount.path().join("new");
    let refused = desk.json(["unpack", "good", into.to_str().unwrap(), "--key", "ada.pub"]);
    assert_eq!(
        (refused["exit"].as_i64(), refused["problems"][0]["hint"].as_str()),
        (Some(1), Some("write to another disk"))
    );
}

#[test]
fn field_f5_a_file_system_without_locks_keeps_archives_all_the_same() {
    for errno in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let desk = desk();
        let fault = format!("flock:error={errno}");
        for arguments in [
            &["pack", "d", "-o", "kept", "--key", "ada", "--keep=store"][..],
            &["pack", "d", "-o", "resumed", "--key", "ada", "--resume"],
            &["store", "add", "kept", "--store", "store"],
            &["store", "verify", "--store", "store"],
        ] {
            let output = under_strace(&desk, &inject(&[&fault]), arguments);
            assert!(output.status.success(), "{errno} {}: {}", arguments.join(" "), written_down(&output));
        }
        // What would remove something from under others is refused, with the reason.
        let output = under_strace(&desk, &inject(&[&fault]), &["store", "gc", "--store", "store"]);
        assert_eq!(output.status.code(), Some(1), "{}", written_down(&output));
        assert!(written_down(&output).contains("locks"), "{}", written_down(&output));
        desk.succeed(["store", "verify", "--store", "store"]);
    }
}
