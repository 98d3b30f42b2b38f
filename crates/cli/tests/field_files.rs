//! Where people's files live: file systems that cannot sync a directory, link, refuse to rename over something, lock, keep
//! modes or number inodes for good; pipes in the place of files; homes that are new. Rows F1 to F9 of the reports.
#![cfg(all(target_os = "linux", feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
#[path = "support/mounts.rs"]
mod mounts;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bundles::{descriptor, names, partials, tree};
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
            "trust", "add", name, "--key", &public, "--fingerprint", &print, "--role", role, "--owner", name,
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
        "receive", "good", "--key", "lab", "--receipts", "receipts", "--unpack-to", "accepted", "--threads", "1",
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
        let listed = desk.json(["ledger", "list", "--ledger", "ledger"]).to_string();
        assert_eq!(listed.matches("\"packed\"").count(), 1, "{listed}");
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
            let mut pack = desk.consign(["pack", "d", "-o", "other", "--key", "ada", "--event-out", "events"]);
            assert!(pack.env_remove("CONSIGN_LEDGER").output().unwrap().status.success());
            // A ledger that exists, so that not only its beginning is tried.
            let key = ["keygen", "--no-passphrase", "-o", "third", "--ledger", "ledger"];
            assert!(desk.consign(key).output().unwrap().status.success());
            fs::rename(desk.path("ledger"), desk.path("kept-ledger")).unwrap();
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
            let _ = fs::remove_dir_all(desk.path("ledger"));
            desk.shell(r#"cp -a "$1" "$2""#, &[&desk.path("kept-ledger"), &desk.path("ledger")]);
        }
        _ => {}
    }
}

/// What is on the desk, but for the ledger, which repairs itself.
fn looks(desk: &Desk) -> Vec<(PathBuf, String)> {
    let all = tree(&desk.dir()).into_iter().map(|(path, node)| (path, format!("{node:?}")));
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
        let log = fs::read_to_string(&trace).unwrap();
        let injected: Vec<&str> = log.lines().filter(|line| line.contains("INJECTED")).collect();
        let this = |line: &&&str| line.contains(&format!("{call}(")) && line.contains(error);
        if injected.iter().find(this).is_none() {
            assert_eq!(output.status.code(), Some(0), "{fault}: {}", written_down(&output));
            undo(desk, step);
            return failed;
        }
        // What cannot be printed was done all the same.
        let printed = injected.iter().find(this).is_some_and(|line| line.contains("write(1<") || line.contains("write(2<"));
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

/// The number of the first call that opens a file of ours, rather than a library.
fn first_of_ours(desk: &Desk, step: &Step, trace: &Path) -> usize {
    let options = ["-e", "trace=openat", "-o", &trace.display().to_string()].map(str::to_owned);
    let output = under_strace(desk, &options, step.arguments);
    assert!(output.status.success(), "{}", written_down(&output));
    undo(desk, step);
    let log = fs::read_to_string(trace).unwrap();
    let system = |line: &str| ["\"/lib", "\"/usr/lib", "\"/etc/ld"].iter().any(|path| line.contains(path));
    log.lines().rposition(system).map_or(1, |at| at + 2)
}

fn difference(before: &[(PathBuf, String)], after: &[(PathBuf, String)]) -> Vec<String> {
    let told = |mark: &'static str| move |(path, node): &(PathBuf, String)| format!("{mark} {} {node}", path.display());
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

const ALL: [&Step; 9] =
    [&PACK, &SEAL, &UNPACK, &SUBMIT, &RECEIVE, &INIT, &KEYGEN, &TRUST, &LEDGER];

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
            let options = if step.arguments[0] == "unpack" { about(inject(&[&fault]), &directories(&desk)) } else { options };
            let output = under_strace(&desk, &options, step.arguments);
            assert!(output.status.success(), "{errno} {}: {}", step.arguments.join(" "), written_down(&output));
            (step.whole)(&desk);
        }
    }
}

#[test]
fn field_f1_a_file_that_cannot_be_synced_is_a_failure() {
    let desk = desk();
    let output = under_strace(&desk, &inject(&["fsync:error=EINVAL"]), PACK.arguments);
    assert_eq!(output.status.code(), Some(1), "{}", written_down(&output));
    assert!(!desk.path("out").exists());
}

/// What a file system says that has neither hard links nor a rename that refuses.
const PLAIN: [&str; 2] = ["renameat2:error=EINVAL", "linkat:error=EPERM"];

#[test]
fn field_f2_where_only_a_plain_rename_can_be_had_all_the_same_is_promised() {
    let desk = desk();
    for faults in [PLAIN, ["renameat2:error=ENOSYS", "linkat:error=ENOSYS"], ["renameat2:error=EPERM", "linkat:error=EOPNOTSUPP"]] {
        for step in ALL {
            prepare(&desk, step);
            let output = under_strace(&desk, &inject(&faults), step.arguments);
            assert!(output.status.success(), "{faults:?} {}: {}", step.arguments.join(" "), written_down(&output));
            (step.whole)(&desk);
            assert_eq!(partials(&desk.dir()), Vec::<PathBuf>::new());
            undo(&desk, step);
        }
    }
    // What has the name already stays.
    for (path, arguments) in [
        ("out/deep/small-1.0.0.tar.zst", PACK.arguments),
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
    let faults = ["renameat2:error=EINVAL", "linkat:error=EPERM", "rename:error=ENOSYS", "openat"];
    for step in [&PACK, &SEAL, &SUBMIT, &UNPACK] {
        prepare(&desk, step);
        let before = looks(&desk);
        let mut options = inject(&faults[..3]);
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
        // The descriptor lies in the directory, and is not part of it.
        let verified = desk.json(["verify", at, "--manifest", &manifest, "--key", "ada.pub"]);
        let codes: Vec<&Value> = verified["problems"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
        assert_eq!(codes, ["file-extra"], "{verified:#}");
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
    assert_eq!(desk.verdict(&["unpack", &inbox, &dest, "--key", "ada.pub"]), (1, vec!["destination-exists".into()]));
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
    assert!(output.status.success() && !written_down(&output).contains("not in the ledger"), "{}", written_down(&output));
    desk.succeed(["ledger", "verify", "--ledger", &path("ledger")]);
    assert_eq!(partials(at), Vec::<PathBuf>::new());
}
