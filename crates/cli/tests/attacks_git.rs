//! Nothing that a directory from a stranger brings along is run, whatever the user's own configuration of Git names.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bundles::descriptor;
use support::{Desk, consign, written_down};

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn git(desk: &Desk, arguments: &[&str]) {
    let output = desk
        .program("git")
        .current_dir(desk.path("d"))
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .output()
        .expect("this test needs `git`");
    assert!(output.status.success(), "{}", written_down(&output));
}

/// A repository in `d` in which every setting of Git that names a program names one that leaves a mark, in a tree whose
/// files invite the user's own filters to run code of the tree.
fn trapped(desk: &Desk) -> PathBuf {
    let mark = desk.path("ran");
    let trap = desk.path("trap");
    program(&trap, &format!("#!/bin/sh\ntouch '{}'\ncat\n", mark.display()));
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/weights.bin", "12345");
    desk.write("d/note.ipynb", r#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#);
    desk.write("d/text.txt", "1\n");
    git(desk, &["init", "-q", "-b", "main"]);
    git(desk, &["add", "."]);
    git(desk, &["commit", "-q", "-m", "First"]);
    git(desk, &["tag", "v1.0.0"]);
    // From here on nothing may be run by the directory. The user has Git LFS and nbstripout for all repositories.
    fs::write(
        desk.dir().parent().unwrap().join(".gitconfig"),
        "[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tprocess = git-lfs filter-process\n\trequired = true\n\
         [filter \"nbstripout\"]\n\tclean = python3 -m nbstripout\n\trequired = true\n\
         [diff \"ipynb\"]\n\ttextconv = python3 -m nbstripout -t\n",
    )
    .unwrap();
    desk.write(
        "d/.gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n*.ipynb filter=nbstripout diff=ipynb\n*.txt filter=own diff=own ident\n",
    );
    let python = format!("open({:?}, 'w')\n", mark.display().to_string());
    for module in ["nbstripout", "sitecustomize", "usercustomize", "json"] {
        desk.write(&format!("d/{module}.py"), &python);
    }
    let trap = trap.display().to_string();
    let run = format!("!{trap}");
    for (setting, value) in [
        ("core.fsmonitor", &*trap),
        ("core.pager", &trap),
        ("core.editor", &trap),
        ("core.sshCommand", &trap),
        ("core.askPass", &trap),
        ("core.gitProxy", &trap),
        ("core.alternateRefsCommand", &trap),
        ("core.hooksPath", ".traps"),
        ("pager.status", &trap),
        ("pager.config", &trap),
        ("pager.tag", &trap),
        ("diff.external", &trap),
        ("diff.own.command", &trap),
        ("diff.own.textconv", &trap),
        ("filter.own.clean", &trap),
        ("filter.own.smudge", &trap),
        ("filter.own.process", &trap),
        ("merge.own.driver", &trap),
        ("gpg.program", &trap),
        ("credential.helper", &run),
        ("alias.status", &run),
        ("alias.rev-parse", &run),
        ("alias.ls-files", &run),
        ("lfs.extension.x.clean", &format!("{trap} %f")),
        ("lfs.extension.x.smudge", &format!("{trap} %f")),
        ("lfs.extension.x.priority", "0"),
        ("lfs.customtransfer.x.path", &trap),
        ("remote.origin.url", &format!("ext::{trap}")),
        ("remote.origin.uploadpack", &trap),
        ("remote.origin.promisor", "true"),
        ("extensions.partialClone", "origin"),
        ("status.submoduleSummary", "true"),
        ("submodule.recurse", "true"),
        ("log.showSignature", "true"),
        ("trailer.x.command", &trap),
    ] {
        git(desk, &["config", setting, value]);
    }
    for hook in
        ["post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"]
    {
        for folder in ["d/.git/hooks", "d/.traps"] {
            program(&desk.path(folder).join(hook), &format!("#!/bin/sh\nexec '{trap}'\n"));
        }
    }
    for name in ["git", "git-lfs", "python3", "sh", "ssh"] {
        program(&desk.path("d").join(name), &format!("#!/bin/sh\nexec '{trap}'\n"));
    }
    // Touched, so that Git would have to look inside.
    for name in ["weights.bin", "note.ipynb", "text.txt"] {
        let path = desk.path("d").join(name);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
    }
    mark
}

#[test]
fn attack_a1_nothing_in_a_directory_makes_a_program_run() {
    let desk = Desk::new();
    desk.key("k");
    let mark = trapped(&desk);
    // The traps are set: Git itself runs into them.
    let _ = desk.program("git").current_dir(desk.path("d")).args(["status", "--porcelain"]).output();
    assert!(mark.exists(), "the traps do not work");
    fs::remove_file(&mark).unwrap();

    let path = format!(".:bin:{}:{}", desk.path("d").display(), std::env::var("PATH").unwrap());
    let pack = "pack . -o ../out --key ../k --provenance auto --exclude .git/ --exclude .gitattributes \
                --exclude sitecustomize.py --exclude usercustomize.py";
    let commands = [
        "init . -o ../proposed.yaml",
        "preflight . --exclude .git/ --exclude sitecustomize.py --exclude usercustomize.py",
        pack,
        "verify ../out --key ../k.pub",
        "inspect ../out",
        "unpack ../out ../back --key ../k.pub",
        "diff . ../back",
        "lineage ../out",
        "sign ../out --key ../k --role release --yes",
        "seal . -o ../sealed --key ../k --include-vcs",
        "amend ../out --descriptor ../new.yaml -o ../amended --key ../k --exclude .git/ --exclude .gitattributes \
         --exclude sitecustomize.py --exclude usercustomize.py",
        "encrypt ../out --to ../i.pub -o ../encrypted --key ../k",
        "decrypt ../encrypted -o ../plain --key ../k.pub --identity ../i",
        "submit ../out --to ../inbox --key ../k.pub",
        "receive ../inbox --key ../k --unpack-to ../accepted",
        "store add ../out --store ../store",
        "reconstruct ../out/tiny-1.0.0.manifest.json --from . -o ../again",
        "revoke ../out --reason gone --key ../k",
        "keygen -o ../other --no-passphrase",
        "policy check consign.yaml",
    ];
    desk.write("new.yaml", descriptor("tiny", "1.0.1"));
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", "i"]);
    let print = desk.json(["id", "--key", "k.pub"])["result"]["fingerprint"].as_str().unwrap().to_owned();
    desk.succeed(["trust", "add", "k", "--key", "k.pub", "--fingerprint", &print, "--role", "owner"]);
    fs::create_dir_all(desk.path("inbox")).unwrap();
    fs::create_dir_all(desk.path("accepted")).unwrap();
    for (n, line) in commands.iter().enumerate() {
        let trace = desk.path(&format!("trace-{n}"));
        let output = desk
            .program("strace")
            .current_dir(desk.path("d"))
            .env("PATH", &path)
            .args(["-f", "-qq", "-s", "4096", "-e", "trace=execve,execveat", "-o"])
            .arg(&trace)
            .arg(consign())
            .args(line.split(' '))
            .output()
            .expect("this test needs `strace`");
        assert!(!mark.exists(), "{line}: {}", written_down(&output));
        // A Git folder cannot be sealed, and a descriptor is no policy.
        let refused = line.starts_with("seal") || line.starts_with("policy");
        assert_eq!(output.status.success(), !refused, "{line}: {}", written_down(&output));
        let trace = fs::read_to_string(&trace).unwrap();
        for call in trace.lines().filter(|line| line.contains("exec") && line.ends_with("= 0")) {
            let program = call.split('"').nth(1).unwrap_or_default();
            let real = Path::new(program);
            let is_git = real.is_absolute() && real.file_name().is_some_and(|name| name == "git");
            let trusted = real == consign() || (is_git && !real.starts_with(desk.dir()));
            assert!(trusted, "{line} ran {call}");
        }
    }
    assert!(fs::read_to_string(desk.path("trace-2")).unwrap().contains("ls-files"), "Git was asked");
}

#[test]
fn attack_a1_filters_of_the_user_are_not_run_either() {
    let desk = Desk::new();
    desk.key("k");
    trapped(&desk);
    let shown = desk.json([
        "pack",
        "d",
        "-o",
        "out",
        "--key",
        "k",
        "--provenance",
        "auto",
        "--exclude",
        ".git/",
        "--exclude",
        "sitecustomize.py",
        "--exclude",
        "usercustomize.py",
    ]);
    assert_eq!(shown["exit"], 0, "{shown}");
    let statement = fs::read_to_string(desk.path("out/tiny-1.0.0.provenance.intoto.jsonl")).unwrap();
    let envelope: serde_json::Value = serde_json::from_str(&statement).unwrap();
    let payload = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        envelope["payload"].as_str().unwrap(),
    )
    .unwrap();
    let statement: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let tree = &statement["predicate"]["buildDefinition"]["internalParameters"]["workTree"];
    // Everything is as it was added: small files that are stored as they are, though a filter is named for them now.
    assert_eq!(*tree, serde_json::json!({"changedFiles": 0}), "{statement}");
}
