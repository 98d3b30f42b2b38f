//! `consign init`: what it writes, what it says is left, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;
use std::path::Path;

use consign_metadata::{Descriptor, DescriptorSyntax, Scheme};
use support::Desk;

fn example(desk: &Desk) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits-classifier");
    copy(&from, &desk.path("digits"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else if entry.file_name() != "consign.yaml" {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn parse(text: &str) -> Result<Descriptor, Vec<String>> {
    let parsed = Descriptor::parse(text.as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin());
    parsed.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

const REQUIRED: [&str; 6] =
    ["--classification", "public", "--contact-name", "Ada Lovelace", "--contact-email", "ada@example.org"];

#[test]
fn help() {
    insta::assert_snapshot!(Desk::new().transcript(["init", "--help"]));
}

#[test]
fn a_model_with_a_card() {
    let desk = Desk::new();
    example(&desk);
    insta::assert_snapshot!("a_model_with_a_card", desk.transcript(["init", "digits"]));
    insta::assert_snapshot!("a_model_with_a_card.yaml", desk.read("digits/consign.yaml"));
    let problems = parse(&desk.read("digits/consign.yaml")).unwrap_err();
    assert!(problems.iter().all(|problem| problem.ends_with("is missing")), "{problems:?}");
}

#[test]
fn with_the_required_fields_it_is_complete() {
    let desk = Desk::new();
    example(&desk);
    desk.succeed(
        [&["init", "digits", "--version", "2.1.0", "--title", "Digits: a tiny \"model\""], &REQUIRED[..]]
            .concat(),
    );
    // Packed as it is.
    desk.key("key");
    desk.succeed(["pack", "digits", "-o", "out", "--key", "key"]);
    let packed = fs::read_dir(desk.path("out")).unwrap().count();
    assert_eq!(packed, 3);
    let descriptor = parse(&desk.read("digits/consign.yaml")).unwrap();
    assert_eq!(descriptor.core.version.as_str(), "2.1.0");
    assert_eq!(descriptor.details.title.unwrap().as_str(), "Digits: a tiny \"model\"");
}

#[test]
fn elsewhere_the_directory_is_left_as_it_is() {
    let desk = Desk::new();
    desk.write("data/a.csv", "a,b\n1,2\n");
    insta::assert_snapshot!(desk.transcript([&["init", "data", "-o", "data.yaml"], &REQUIRED[..]].concat()));
    assert_eq!(fs::read_dir(desk.path("data")).unwrap().count(), 1);
    parse(&desk.read("data.yaml")).unwrap();
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    desk.write("data/a.csv", "a,b\n1,2\n");
    fs::set_permissions(desk.path("data"), fs::Permissions::from_mode(0o555)).unwrap();
    // Nothing is forbidden to root.
    if fs::write(desk.path("data/probe"), "").is_err() {
        let transcript = desk.transcript(["init", "data"]);
        assert!(transcript.starts_with("exit 1\n") && transcript.contains("`-o FILE`"), "{transcript}");
    }
    desk.succeed(["init", "data", "-o", "data.yaml"]);
    fs::set_permissions(desk.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn litter_code_on_load_and_bad_names_are_pointed_out() {
    let desk = Desk::new();
    desk.write("run/model.bin", b"cos\nsystem\n(S'true'\ntR.");
    desk.write("run/.git/HEAD", "ref: refs/heads/main\n");
    desk.write("run/src/__pycache__/a.pyc", "x");
    desk.write("run/a:b.txt", "x\n");
    desk.write("run/README.md", "---\nlicense: &a mit\n---\n# Run\n");
    insta::assert_snapshot!("litter", desk.transcript(["init", "run"]));
    insta::assert_snapshot!("litter.yaml", desk.read("run/consign.yaml"));
    let document = desk.json(["init", "run", "-o", "other.yaml"]);
    assert_eq!(document["result"]["code_on_load"][0], "model.bin");
    assert_eq!(document["result"]["refused"][0]["code"], "name-reserved-character");
    insta::assert_json_snapshot!("litter.json", document);
}

#[test]
fn what_it_writes_does_not_litter_on_the_next_look() {
    let desk = Desk::new();
    desk.write("data/a.csv", "a,b\n1,2\n");
    desk.succeed(["init", "data"]);
    let document = desk.json(["init", "data", "-o", "data/other.yaml"]);
    // The first descriptor would now be payload.
    assert_eq!(document["result"]["files"], 2);
    assert_eq!(document["result"]["warnings"][0]["code"], "other-descriptor");
    assert!(fs::read_dir(desk.path("data")).unwrap().count() == 3, "no temporary file stays");
}

#[test]
fn an_empty_directory() {
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    insta::assert_snapshot!(desk.transcript(["init", "empty"]));
}

#[cfg(unix)]
#[test]
fn a_snapshot_of_a_hugging_face_cache() {
    use std::os::unix::fs::symlink;
    let desk = Desk::new();
    let commit = "c".repeat(40);
    let top = "hub/models--sentence-transformers--all-MiniLM-L6-v2";
    let snapshot = format!("{top}/snapshots/{commit}");
    for (name, content) in [
        (
            "README.md",
            "---\nlicense: apache-2.0\nlibrary_name: sentence-transformers\n---\n# A long heading\n\nText.\n",
        ),
        ("config.json", "{\"a\": 1}\n"),
    ] {
        desk.write(&format!("{top}/blobs/{name}-blob"), content);
        fs::create_dir_all(desk.path(&snapshot)).unwrap();
        symlink(format!("../../blobs/{name}-blob"), desk.path(&format!("{snapshot}/{name}"))).unwrap();
    }
    insta::assert_snapshot!(
        "cache",
        desk.transcript([&["init", &snapshot, "-o", "minilm.yaml"], &REQUIRED[..]].concat())
    );
    // The command that it names is the one that works.
    desk.key("key");
    let document = desk.json([&["init", &snapshot, "-o", "again.yaml"], &REQUIRED[..]].concat());
    let next = document["result"]["next"].as_array().unwrap();
    let words: Vec<_> = next.iter().skip(1).map(|word| word.as_str().unwrap()).collect();
    desk.succeed(words.iter().map(|word| if *word == "KEY" { "key" } else { word }));
    let descriptor = parse(&desk.read("minilm.yaml")).unwrap();
    assert_eq!(descriptor.core.name.as_str(), "all-minilm-l6-v2");
    let source = &descriptor.details.provenance.unwrap().sources[0];
    let address = format!("https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/tree/{commit}");
    assert_eq!(source.uri.as_str(), address);
}

#[cfg(unix)]
#[test]
fn links_are_followed_where_that_is_asked_for() {
    use std::os::unix::fs::symlink;
    let desk = Desk::new();
    desk.write("data/a.csv", "a,b\n1,2\n");
    desk.write("shared/b.csv", "a,b\n1,2\n");
    desk.write("secret/README.md", "# Secret\n\nWords.\n");
    symlink("a.csv", desk.path("data/inside.csv")).unwrap();
    symlink("../shared/b.csv", desk.path("data/outside.csv")).unwrap();
    symlink("../secret/README.md", desk.path("data/README.md")).unwrap();
    let files = |flags: &[&str], name: &str| {
        let document = desk.json([&["init", "data", "-o", name], flags].concat());
        (document["result"]["files"].clone(), document["result"]["refused_total"].clone())
    };
    assert_eq!(files(&[], "1.yaml"), (1.into(), 3.into()));
    assert_eq!(files(&["--dereference"], "2.yaml"), (2.into(), 2.into()));
    assert_eq!(files(&["--dereference-into", "shared"], "3.yaml"), (3.into(), 1.into()));
    // What lies behind a link that nobody allowed is not read.
    assert!(!desk.read("3.yaml").contains("Secret"));
    insta::assert_snapshot!(desk.transcript([
        "init",
        "data",
        "--dereference-into",
        "shared",
        "-o",
        "4.yaml"
    ]));
}

fn git(desk: &Desk, directory: &str, arguments: &[&str]) {
    let mut command = desk.program("git");
    command.current_dir(desk.path(directory)).args([
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.org",
    ]);
    command.env("GIT_AUTHOR_DATE", "@1700000000 +0000").env("GIT_COMMITTER_DATE", "@1700000000 +0000");
    command.args(["-c", "init.defaultBranch=main"]).args(arguments).assert().success();
}

#[test]
fn git_names_the_code() {
    let desk = Desk::new();
    desk.write("code/train.py", "import sys\n");
    git(&desk, "code", &["init", "-q"]);
    git(&desk, "code", &["add", "."]);
    git(&desk, "code", &["commit", "-q", "-m", "First"]);
    git(&desk, "code", &["remote", "add", "origin", "https://ada:s3cret@example.org/team/code.git"]);
    git(&desk, "code", &["tag", "v0.2.0"]);
    desk.write("code/outputs/a.csv", "a,b\n1,2\n");
    insta::with_settings!({filters => [(r"\d+ files left out", "[N] files left out")]}, {
        insta::assert_snapshot!("git", desk.transcript(["init", "code"]));
    });
    let text = desk.read("code/consign.yaml");
    assert!(
        text.contains("repository: https://example.org/team/code.git") && !text.contains("s3cret"),
        "{text}"
    );
    assert!(text.contains("- .git #"), "{text}");
    desk.succeed(["init", "code/outputs"]);
    let text = desk.read("code/outputs/consign.yaml");
    assert!(text.contains("does not hold it") && !text.contains("0.2.0"), "{text}");
}

#[test]
fn a_pipeline_names_its_run() {
    let desk = Desk::new();
    desk.write("data/a.csv", "a,b\n1,2\n");
    desk.consign([&["init", "data"], &REQUIRED[..]].concat())
        .envs([
            ("GITLAB_CI", "true"),
            ("CI_JOB_ID", "77"),
            ("CI_JOB_NAME", "train"),
            ("CI_JOB_URL", "https://git.example.org/team/code/-/jobs/77"),
            ("CI_COMMIT_SHA", "0123456789012345678901234567890123456789"),
        ])
        .assert()
        .success();
    let pipeline =
        parse(&desk.read("data/consign.yaml")).unwrap().details.provenance.unwrap().pipeline.unwrap();
    assert_eq!(pipeline.system.as_str(), "GitLab CI");
    assert_eq!(pipeline.run.unwrap().as_str(), "77");
    assert!(pipeline.uri.is_some() && pipeline.commit.is_some());
}

#[test]
fn what_it_refuses() {
    let desk = Desk::new();
    desk.write("data/a.csv", "a,b\n1,2\n");
    desk.write("taken.yaml", "name: x\n");
    desk.write("has/consign.toml", "name = 'x'\n");
    let mut transcripts = String::new();
    for arguments in [
        &["init"][..],
        &["init", "missing"],
        &["init", "data/a.csv"],
        &["init", "data", "-o", "taken.yaml"],
        &["init", "has"],
        &["init", "data", "-o", "none/x.yaml"],
        &["init", "data", "-o", "x.json"],
        &["init", "data", "--name", "My Model"],
        &["init", "data", "--version", "1.0"],
        &["init", "data", "--kind", "modle"],
        &["init", "data", "--classification", "secret"],
        &["init", "data", "--classification", "Top Secret"],
        &["init", "data", "--contact-email", "nobody"],
        &["init", "data", "--title", " x"],
        &["init", "data", "--dereference-into", "missing"],
    ] {
        transcripts.push_str(&format!(
            "$ consign {}\n{}\n",
            arguments.join(" "),
            desk.transcript(arguments.iter().copied())
        ));
    }
    insta::assert_snapshot!(transcripts);
    assert_eq!(desk.read("taken.yaml"), "name: x\n");
    assert_eq!(fs::read_dir(desk.path("data")).unwrap().count(), 1);
}
