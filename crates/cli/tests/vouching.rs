//! Nothing is called verified that nobody trusted signed, to the last byte and field.

mod support;

use support::Desk;

const DESCRIPTOR: &str = "name: tiny\nversion: 1.0.0\nkind: dataset\nclassification: public\n\
                          contact: {name: Ada Lovelace, email: ada@example.org}\n";

/// A desk with two keys, a directory, and bundles of two versions signed by `ada`.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.key("ada");
    desk.key("eve");
    desk.write("tiny/consign.yaml", DESCRIPTOR);
    desk.write("tiny/a.csv", "1,2,3\n");
    desk.succeed(["pack", "tiny", "-o", "one", "--key", "ada"]);
    desk.write("tiny/a.csv", "4,5,6\n");
    desk.succeed(["pack", "tiny", "-o", "two", "--key", "ada", "--version", "2.0.0"]);
    desk
}

/// Exit code and problem codes.
fn verdict<'a>(desk: &Desk, arguments: impl IntoIterator<Item = &'a str>) -> (i64, Vec<String>) {
    let document = desk.json(arguments);
    let codes = document["problems"].as_array().expect("a list").iter();
    let codes = codes.map(|problem| problem["code"].as_str().expect("a text").to_owned()).collect();
    (document["exit"].as_i64().expect("a number"), codes)
}

#[test]
fn a_statement_about_a_sealed_directory_never_lets_an_archive_pass() {
    let desk = desk();
    desk.write("other/consign.yaml", DESCRIPTOR.replace("tiny", "other"));
    desk.write("other/x.csv", "harmless\n");
    desk.succeed(["seal", "other", "-o", "sealed", "--key", "ada"]);
    // An archive by a stranger, beside a statement by somebody trusted.
    desk.write("evil/consign.yaml", DESCRIPTOR.replace("tiny", "other"));
    desk.write("evil/x.csv", "harmful\n");
    desk.succeed(["pack", "evil", "-o", "evil-out", "--unsigned"]);
    let archive = "evil-out/other-1.0.0.tar.zst";
    let attestations = "sealed/other-1.0.0.intoto.jsonl";
    let refused = (3, vec!["sealed-statement".to_owned()]);
    assert_eq!(
        verdict(&desk, ["verify", archive, "--attestations", attestations, "--key", "ada.pub"]),
        refused
    );
    std::fs::copy(desk.path(attestations), desk.path("evil-out/other-1.0.0.intoto.jsonl")).expect("copies");
    assert_eq!(verdict(&desk, ["verify", archive, "--key", "ada.pub"]), refused);
    assert_eq!(verdict(&desk, ["verify", "evil-out", "--key", "ada.pub"]), refused);
    assert_eq!(verdict(&desk, ["unpack", archive, "gone", "--key", "ada.pub"]), refused);
    assert_eq!(verdict(&desk, ["sign", archive, "--key", "eve", "--yes"]), refused);
    assert!(!desk.path("gone").exists());
}

#[test]
fn statements_about_another_bundle_are_never_joined_or_signed() {
    let desk = desk();
    desk.succeed(["pack", "tiny", "-o", "bare", "--unsigned", "--version", "2.0.0"]);
    let foreign = "one/tiny-1.0.0.intoto.jsonl";
    for arguments in [
        ["sign", "two", "--key", "eve", "--yes", "--merge", foreign],
        ["sign", "bare", "--key", "eve", "--yes", "--merge", foreign],
    ] {
        assert_eq!(verdict(&desk, arguments), (3, vec!["statements-disagree".to_owned()]));
    }
    // Merging alone is held against the archive as well.
    assert_eq!(verdict(&desk, ["sign", "bare", "--merge", foreign]).0, 3);
    assert_eq!(verdict(&desk, ["sign", "bare", "--merge", "two/tiny-2.0.0.intoto.jsonl"]).0, 0);
    std::fs::remove_file(desk.path("bare/tiny-2.0.0.intoto.jsonl")).expect("it was written");
    assert!(!desk.path("bare/tiny-2.0.0.intoto.jsonl").exists());
}

#[test]
fn e2_e13_an_archive_under_anothers_name_or_statement_is_refused() {
    let desk = desk();
    // The older version, signed and intact, offered as the newer one.
    std::fs::create_dir(desk.path("renamed")).expect("a new folder");
    for (old, new) in
        [("tiny-1.0.0.tar.zst", "tiny-2.0.0.tar.zst"), ("tiny-1.0.0.intoto.jsonl", "tiny-2.0.0.intoto.jsonl")]
    {
        std::fs::copy(desk.path("one").join(old), desk.path("renamed").join(new)).expect("copies");
    }
    let renamed = "renamed/tiny-2.0.0.tar.zst";
    assert_eq!(verdict(&desk, ["verify", renamed, "--key", "ada.pub"]), (4, vec!["misnamed".to_owned()]));
    assert_eq!(
        verdict(&desk, ["unpack", renamed, "gone", "--key", "ada.pub"]),
        (4, vec!["misnamed".to_owned()])
    );
    let announced = ["verify", renamed, "--key", "ada.pub", "--expect", "tiny@2.0.0"];
    assert_eq!(verdict(&desk, announced), (4, vec!["not-expected".to_owned()]));
    let said = ["verify", renamed, "--key", "ada.pub", "--expect", "tiny@1.0.0"];
    assert_eq!(verdict(&desk, said), (0, vec![]));
    // The newer archive beside the statement of the older one.
    std::fs::copy(desk.path("two/tiny-2.0.0.tar.zst"), desk.path("renamed/tiny-1.0.0.tar.zst"))
        .expect("copies");
    std::fs::rename(
        desk.path("renamed/tiny-2.0.0.intoto.jsonl"),
        desk.path("renamed/tiny-1.0.0.intoto.jsonl"),
    )
    .expect("renames");
    assert_eq!(verdict(&desk, ["verify", "renamed/tiny-1.0.0.tar.zst", "--key", "ada.pub"]).0, 3);
}

#[test]
fn one_key_in_two_roles_is_one_key() {
    let desk = desk();
    desk.succeed(["sign", "one", "--key", "ada", "--role", "release", "--yes"]);
    let card = desk.json(["id", "--key", "ada.pub"]);
    let fingerprint = card["result"]["fingerprint"].as_str().expect("a text").to_owned();
    desk.succeed([
        "trust",
        "add",
        "ada",
        "--key",
        "ada.pub",
        "--fingerprint",
        &fingerprint,
        "--role",
        "owner",
        "--role",
        "release",
    ]);
    assert_eq!(verdict(&desk, ["verify", "one"]), (0, vec![]));
    assert_eq!(verdict(&desk, ["verify", "one", "--threshold", "2"]), (4, vec!["not-trusted".to_owned()]));
    // A second person makes it two.
    desk.succeed(["sign", "one", "--key", "eve", "--yes"]);
    let both = ["verify", "one", "--key", "ada.pub", "--key", "eve.pub"];
    assert_eq!(verdict(&desk, both), (0, vec![]));
    assert_eq!(
        verdict(&desk, ["verify", "two", "--key", "ada.pub", "--key", "eve.pub"]),
        (4, vec!["not-trusted".to_owned()])
    );
    assert_eq!(
        verdict(&desk, ["verify", "two", "--key", "ada.pub", "--key", "eve.pub", "--threshold", "1"]),
        (0, vec![])
    );
    // A key counts only in a role that it has.
    let card = desk.json(["id", "--key", "eve.pub"]);
    let fingerprint = card["result"]["fingerprint"].as_str().expect("a text").to_owned();
    desk.succeed([
        "trust",
        "add",
        "eve",
        "--key",
        "eve.pub",
        "--fingerprint",
        &fingerprint,
        "--role",
        "owner",
    ]);
    assert_eq!(verdict(&desk, ["verify", "one", "--threshold", "2"]), (4, vec!["not-trusted".to_owned()]));
}

#[test]
fn what_differs_from_a_sealed_directory_is_all_reported() {
    let desk = desk();
    desk.succeed(["seal", "tiny", "-o", "sealed", "--key", "ada"]);
    let check = ["verify", "tiny", "--manifest", "sealed/tiny-1.0.0.manifest.json", "--key", "ada.pub"];
    assert_eq!(verdict(&desk, check), (0, vec![]));
    desk.write("tiny/a.csv", "4,5,7\n");
    desk.write("tiny/b.csv", "new\n");
    std::fs::remove_file(desk.path("tiny/consign.yaml")).expect("it is there");
    let codes = ["file-extra", "file-missing", "file-altered"].map(str::to_owned).to_vec();
    assert_eq!(verdict(&desk, check), (3, codes));
}

#[test]
fn an_unseen_signature_says_so() {
    let desk = desk();
    std::fs::remove_file(desk.path("one/tiny-1.0.0.tar.zst")).expect("it is there");
    let attestations = "one/tiny-1.0.0.intoto.jsonl";
    assert_eq!(
        verdict(&desk, ["sign", attestations, "--key", "eve", "--yes"]),
        (2, vec!["content-missing".to_owned()])
    );
    let document = desk.json(["sign", attestations, "--key", "eve", "--yes", "--unseen"]);
    assert_eq!((&document["exit"], &document["result"]["basis"]), (&0.into(), &"unseen".into()));
    assert!(desk.read(attestations).lines().count() == 2);
    let shown = desk.json(["inspect", attestations]);
    let mut bases: Vec<_> =
        shown["result"]["signatures"].as_array().expect("a list").iter().map(|s| &s["basis"]).collect();
    bases.sort_by_key(std::string::ToString::to_string);
    assert_eq!(bases, ["packed", "unseen"]);
}

#[test]
fn neither_the_working_directory_nor_the_bundle_can_bring_trust_along() {
    let desk = desk();
    let card = desk.json(["id", "--key", "ada.pub"]);
    let fingerprint = card["result"]["fingerprint"].as_str().expect("a text").to_owned();
    // A trust policy where the command runs, in the directory that was packed, and beside the bundle.
    for place in ["trust.toml", "tiny/trust.toml", "one/trust.toml"] {
        desk.succeed([
            "trust",
            "add",
            "ada",
            "--key",
            "ada.pub",
            "--fingerprint",
            &fingerprint,
            "--trust",
            place,
        ]);
    }
    assert_eq!(verdict(&desk, ["verify", "one"]), (4, vec!["not-trusted".to_owned()]));
    assert_eq!(verdict(&desk, ["unpack", "one", "gone"]), (4, vec!["not-trusted".to_owned()]));
    // Only where the caller names it does it count.
    assert_eq!(verdict(&desk, ["verify", "one", "--trust", "trust.toml"]), (0, vec![]));
}

#[test]
fn e33_attestations_by_others_are_not_counted() {
    let desk = desk();
    let mine = desk.path("one/tiny-1.0.0.intoto.jsonl");
    std::fs::rename(&mine, desk.path("one/tiny-1.0.0.others.intoto.jsonl")).expect("renames");
    assert_eq!(verdict(&desk, ["verify", "one", "--key", "ada.pub"]), (4, vec!["unsigned".to_owned()]));
}

#[test]
fn what_inspect_shows_is_called_a_claim() {
    let desk = desk();
    assert_eq!(desk.json(["inspect", "one"])["result"]["verified"], false);
    assert!(desk.succeed(["inspect", "one"]).contains("nothing is verified here"));
}

#[test]
fn outputs_do_not_fall_among_the_inputs() {
    let desk = desk();
    let refused = (2, vec!["output-inside".to_owned()]);
    for output in ["tiny/out", "tiny/../tiny/out", "tiny"] {
        assert_eq!(verdict(&desk, ["pack", "tiny", "-o", output, "--key", "ada"]), refused, "{output}");
        assert_eq!(verdict(&desk, ["seal", "tiny", "-o", output, "--key", "ada"]), refused, "{output}");
    }
    assert!(!desk.path("tiny/out").exists());
    let left_out = ["pack", "tiny", "-o", "tiny/out", "--key", "ada", "--exclude", "/out/"];
    assert_eq!(verdict(&desk, left_out), (0, vec![]));
    assert_eq!(verdict(&desk, left_out), (0, vec![]), "and the same again");
}

#[test]
fn attack_a17_a_stream_without_an_announcement_is_said_to_be_compared_with_nothing() {
    let desk = desk();
    let archive = std::fs::read(desk.path("one/tiny-1.0.0.tar.zst")).unwrap();
    let verify = |more: &[&str]| {
        let words = ["verify", "-", "--attestations", "one/tiny-1.0.0.intoto.jsonl", "--key", "ada.pub"];
        let mut command = desk.consign(words.iter().chain(more).copied());
        let output = command.arg("--json").write_stdin(archive.clone()).output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), document.to_string().contains("nothing-announced"))
    };
    assert_eq!(verify(&[]), (Some(0), true));
    assert_eq!(verify(&["--expect", "tiny@1.0.0"]), (Some(0), false));
    assert_eq!(verify(&["--expect", "tiny@2.0.0"]), (Some(4), false));
}

#[test]
fn attack_a17_what_was_verified_in_part_is_not_remembered_as_whole() {
    let desk = desk();
    let remembered = || std::fs::read_to_string(desk.home().join("verified.jsonl")).unwrap_or_default();
    desk.succeed(["unpack", "one", "part", "--only", "a.csv", "--key", "ada.pub"]);
    assert_eq!(remembered(), "");
    desk.succeed(["unpack", "one", "whole", "--key", "ada.pub"]);
    assert!(remembered().contains("tiny"));
}

#[test]
fn attack_a17_a_statement_about_an_archive_vouches_for_its_files_and_none_about_a_directory_for_an_archive() {
    let desk = desk();
    desk.succeed(["unpack", "one", "unpacked", "--key", "ada.pub"]);
    let directory = ["verify", "unpacked", "--manifest", "one/tiny-1.0.0.manifest.json", "--key", "ada.pub"];
    assert_eq!(desk.json(directory)["result"]["bundles"][0]["level"], "directory");
    desk.write("unpacked/a.csv", "7,8,9\n");
    assert_eq!(verdict(&desk, directory).0, 3);
    // The same files, sealed: that statement says nothing of an archive.
    desk.write("tiny/a.csv", "1,2,3\n");
    desk.succeed(["seal", "tiny", "-o", "sealed", "--key", "ada"]);
    let sealed = std::fs::read_dir(desk.path("sealed")).unwrap().flatten().map(|entry| entry.path());
    let statement =
        sealed.into_iter().find(|path| path.to_string_lossy().ends_with(".intoto.jsonl")).unwrap();
    let statement = statement.to_str().unwrap();
    let (exit, _) =
        verdict(&desk, ["verify", "one/tiny-1.0.0.tar.zst", "--attestations", statement, "--key", "ada.pub"]);
    assert!(matches!(exit, 1..=4), "{exit}");
}

#[cfg(unix)]
#[test]
fn attack_a17_state_that_others_could_have_written_is_not_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = desk();
    let chmod = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let verify = ["verify", "one", "--key", "ada.pub"];
    desk.succeed(verify);
    let known = desk.home().join("verified.jsonl");
    chmod(&known, 0o666);
    assert_eq!(verdict(&desk, verify), (1, vec!["writable-by-others".into()]));
    chmod(&known, 0o600);
    desk.succeed(verify);
    // Revocations that were seen.
    desk.succeed(["revoke", "two", "--key", "ada", "--reason", "wrong data"]);
    let _ = verdict(&desk, ["verify", "two", "--key", "ada.pub"]);
    let folder = desk.home().join("revocations");
    let file = std::fs::read_dir(&folder).unwrap().flatten().next().unwrap().path();
    for (place, mode, plain) in [(&file, 0o646, 0o600), (&folder, 0o777, 0o700)] {
        chmod(place, mode);
        assert_eq!(verdict(&desk, verify), (1, vec!["writable-by-others".into()]), "{}", place.display());
        chmod(place, plain);
    }
    // And what lies above the home: others could put another one in its place.
    let above = desk.home().parent().unwrap().to_owned();
    chmod(&above, 0o777);
    assert_eq!(verdict(&desk, verify), (1, vec!["writable-by-others".into()]));
    chmod(&above, 0o1777);
    desk.succeed(verify);
}

#[cfg(unix)]
#[test]
fn attack_a17_a_file_with_rights_of_its_own_is_no_content() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = desk();
    desk.write("tiny/run.sh", "#!/bin/sh\n");
    let chmod = |mode: u32| {
        let path = desk.path("tiny/run.sh");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(0o755);
    desk.succeed(["seal", "tiny", "-o", "sealed", "--key", "ada", "--version", "3.0.0"]);
    let manifest = std::fs::read_dir(desk.path("sealed")).unwrap().flatten().map(|entry| entry.path());
    let manifest =
        manifest.into_iter().find(|path| path.to_string_lossy().ends_with(".manifest.json")).unwrap();
    let directory = ["verify", "tiny", "--manifest", manifest.to_str().unwrap(), "--key", "ada.pub"];
    let before = verdict(&desk, directory);
    for mode in [0o4755, 0o2755, 0o6755, 0o4644] {
        chmod(mode);
        let pack = ["pack", "tiny", "-o", "out", "--key", "ada", "--version", "3.0.0"];
        assert_eq!(verdict(&desk, pack), (1, vec!["set-user-id".into()]), "{mode:o}");
        assert_eq!(verdict(&desk, directory).0, 3, "{mode:o}: it was {before:?}");
    }
}
