//! What people's directories hold, and what `init` and `pack` make of it: cards, trackers, data, caches, patterns.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;

use serde_json::Value;
use support::Desk;

const REQUIRED: [&str; 6] =
    ["--classification", "public", "--contact-name", "Ada Lovelace", "--contact-email", "ada@example.org"];

/// What `init` says of a directory, as a program reads it.
fn init(desk: &Desk, more: &[&str]) -> Value {
    let document = desk.json([&["init"], more, &REQUIRED[..]].concat());
    assert_eq!(document["exit"], 0, "{document:#}");
    document["result"].clone()
}

fn messages(result: &Value) -> Vec<String> {
    let warnings = result["warnings"].as_array().unwrap();
    let text = |warning: &Value| {
        let at = warning["at"].as_str().map_or_else(String::new, |at| format!("{at}: "));
        format!("{at}{}", warning["message"].as_str().unwrap())
    };
    warnings.iter().map(text).collect()
}

#[test]
fn field_c1_what_of_a_card_is_not_taken_over_is_told() {
    let desk = Desk::new();
    let card = "---\nlicense: mit\nlicense: apache-2.0\ntags: [a, [b]]\nwidget: [x]\n---\nQwen3\n=====\n\nA model.\n";
    for (name, bytes, license) in [
        ("plain", card.as_bytes().to_vec(), Some("apache-2.0")),
        ("blank", format!("\n \n{card}").into_bytes(), Some("apache-2.0")),
        ("crlf", card.replace('\n', "\r\n").into_bytes(), Some("apache-2.0")),
        ("mark", format!("\u{feff}{card}").into_bytes(), Some("apache-2.0")),
        ("latin", [card.as_bytes(), b"gr\xf6\xdfer\n"].concat(), None),
        ("wide", card.encode_utf16().flat_map(u16::to_le_bytes).collect(), None),
        ("open", card.replacen("---\nQwen3", "Qwen3", 1).into_bytes(), None),
    ] {
        desk.write(&format!("{name}/README.md"), &bytes);
        desk.write(&format!("{name}/model.bin"), "weights");
        let result = init(&desk, &[name, "--kind", "model"]);
        let text = desk.read(&format!("{name}/consign.yaml"));
        assert_eq!(text.contains("\nlicense: apache-2.0\n"), license.is_some(), "{text}");
        assert_eq!(text.contains("\ntitle: Qwen3\n"), license.is_some(), "{text}");
        assert!(!text.contains("====="), "{text}");
        let told = messages(&result);
        let told: Vec<_> = told.iter().filter(|message| message.starts_with("README.md: ")).collect();
        assert_eq!(told.len(), if license.is_some() { 3 } else { 1 }, "{told:?}");
    }
    insta::assert_snapshot!("card_told", desk.transcript(["init", "plain", "-o", "again.yaml"]));
    insta::assert_snapshot!("card_latin", desk.transcript(["init", "latin", "-o", "latin.yaml"]));
}

#[test]
fn field_c2_measurements_that_are_no_numbers_are_told_with_their_place() {
    let desk = Desk::new();
    let card = "---\nmodel-index:\n- name: m\n  results:\n  - metrics: [{type: f1, value: 0.9}]\n  - dataset: {name: d, type: d}\n    \
                metrics:\n    - {type: acc, value: 45.1 %}\n    - {type: em, value: [1, 2]}\n    - {type: f1, value: 0.5}\n---\n# M\n";
    desk.write("m/README.md", card);
    let result = init(&desk, &["m"]);
    let told = messages(&result).join("\n");
    for place in ["results[0].metrics[0]`", "results[1].metrics[0].value`", "results[1].metrics[1].value`"] {
        assert!(told.contains(place), "{told}");
    }
    let text = desk.read("m/consign.yaml");
    assert!(text.contains("value: \"0.5\"") && !text.contains("45.1") && !text.contains("\"1\""), "{text}");
}

/// A run as MLflow keeps it.
fn mlflow_run(desk: &Desk, run: &str) {
    let files = [
        (
            "meta.yaml",
            "artifact_uri: file:///home/ada/mlruns/0/x/artifacts\nexperiment_id: '0'\nrun_id: 0f\nrun_name: bold-fox-12\nstart_time: 1700000000000\nuser_id: ada\n",
        ),
        ("params/lr", "0.01"),
        ("params/data", "/home/ada/data.csv"),
        ("metrics/acc", "1700000000001 0.5 0\n1700000000002 0.75 1\n"),
        ("tags/mlflow.user", "ada"),
        ("tags/mlflow.source.name", "/home/ada/train.py"),
        ("tags/mlflow.source.git.commit", "cccccccccccccccccccccccccccccccccccccccc"),
        ("artifacts/model/MLmodel", "artifact_path: model\nflavors:\n  sklearn: {sklearn_version: 1.5.0}\n"),
        ("artifacts/model/model.skops", "weights"),
    ];
    files.iter().for_each(|(name, text)| drop(desk.write(&format!("{run}/{name}"), text)));
}

#[test]
fn field_c4_an_mlflow_run_is_described_without_naming_anybody() {
    let desk = Desk::new();
    let run = "mlruns/0/0123456789abcdef0123456789abcdef";
    mlflow_run(&desk, run);
    let result = init(&desk, &[run, "-o", "run.yaml"]);
    let text = desk.read("run.yaml");
    for said in [
        "name: bold-fox-12\n",
        "job: MLflow run 0f\n",
        "framework: scikit-learn 1.5.0\n",
        "commit: cccccccccccccccccccccccccccccccccccccccc\n",
        "lr: \"0.01\"\n",
        "value: \"0.75\"\n",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("/home/") && !text.contains("0123456789abcdef"), "{text}");
    let told = messages(&result).join("\n");
    assert!(told.contains("`tags/mlflow.user`") && told.contains("home directory"), "{told}");
    insta::assert_snapshot!("mlflow", desk.transcript(["init", run, "-o", "again.yaml"]));
    // The folder of the experiment is not a run.
    fs::rename(desk.path("mlruns/0"), desk.path("mlruns/experiment")).unwrap();
    let result = init(&desk, &["mlruns/experiment", "-o", "experiment.yaml"]);
    assert!(messages(&result)[0].contains("MLflow runs here (1)"), "{result:#}");
    assert!(desk.read("experiment.yaml").contains("name: experiment\n"));
}

#[test]
fn field_c4_a_folder_named_after_an_id_is_asked_for_its_name() {
    let desk = Desk::new();
    for id in ["0123456789abcdef0123456789abcdef", "123e4567-e89b-12d3-a456-426614174000"] {
        desk.write(&format!("{id}/a.csv"), "a,b\n1,2\n");
        init(&desk, &[id, "-o", &format!("{id}.yaml")]);
        assert!(desk.read(&format!("{id}.yaml")).contains("# name: "));
    }
}

#[test]
fn field_c4_dvc_and_lfs_are_known() {
    let desk = Desk::new();
    desk.write(
        "p/dvc.yaml",
        "stages:\n  train:\n    cmd: python train.py\n    deps: [data.csv]\n    outs: [model.bin]\n",
    );
    desk.write("p/dvc.lock", "schema: '2.0'\n");
    desk.write("p/params.yaml", "seed: 7\n");
    desk.write("p/metrics.json", "{\"acc\": 0.5}");
    desk.write("p/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    desk.write("p/model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    let result = init(&desk, &["p"]);
    let text = desk.read("p/consign.yaml");
    for said in ["- tool: python train.py\n", "seed: 7\n", "metric: acc\n"] {
        assert!(text.contains(said) || text.contains(&said.replace("- ", "")), "{said}\n{text}");
    }
    assert!(messages(&result).iter().any(|message| message.contains("`model.bin` only point")), "{result:#}");
}

#[test]
fn field_c5_data_are_described_by_what_their_files_hold() {
    let desk = Desk::new();
    desk.write("d/train/a.csv", "id,temp\n1,2.5\n2,3.5\n");
    desk.write("d/train/b.csv", "id,temp\n3,4.5\n");
    desk.write("d/odd.csv", "id,temp\n1\n");
    desk.write("d/log.jsonl", "{\"x\": 1}\n{\"x\": 2}\n");
    desk.write("d/grid.nc", netcdf());
    desk.write("d/new.nc", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0");
    let result = init(&desk, &["d"]);
    assert_eq!(result["formats"]["netcdf"], 1);
    let told = messages(&result).join("\n");
    assert!(told.contains("odd.csv: 1 row has another number of cells than 2, first on line 2"), "{told}");
    assert!(told.contains("nothing is told of new.nc"), "{told}");
    insta::assert_snapshot!("data.yaml", desk.read("d/consign.yaml"));
    desk.key("key");
    desk.succeed(["pack", "d", "-o", "out", "--key", "key"]);
    insta::assert_snapshot!("data_inspect", desk.succeed(["inspect", "out"]));
    // A model is not asked for them.
    desk.write("m/model.gguf", b"GGUF\x03\0\0\0and some weights behind it, more than the sample has");
    desk.write("m/sample.csv", "a,b\n1,2\n");
    init(&desk, &["m"]);
    let text = desk.read("m/consign.yaml");
    assert!(text.contains("model_card:") && text.contains("summary:") && !text.contains("data:\n"), "{text}");
}

/// One dimension, and one variable over it with a unit.
fn netcdf() -> Vec<u8> {
    let mut out = b"CDF\x01".to_vec();
    let mut word = |number: u32| out.extend(number.to_be_bytes());
    [0, 10, 1, 3].into_iter().for_each(&mut word);
    word(u32::from_be_bytes(*b"lat\0"));
    [2, 0, 0, 11, 1, 3].into_iter().for_each(&mut word);
    word(u32::from_be_bytes(*b"lat\0"));
    [1, 0, 12, 1, 5].into_iter().for_each(&mut word);
    word(u32::from_be_bytes(*b"unit"));
    word(u32::from_be_bytes(*b"s\0\0\0"));
    [2, 1].into_iter().for_each(&mut word);
    word(u32::from_be_bytes(*b"K\0\0\0"));
    [5, 8, 104, 0, 0].into_iter().for_each(&mut word);
    out
}

#[cfg(unix)]
fn cache(desk: &Desk) -> String {
    use std::os::unix::fs::symlink;
    let top = "hub/models--acme--Tiny-Model";
    let snapshot = format!("{top}/snapshots/{}", "c".repeat(40));
    desk.write(&format!("{top}/blobs/one"), "{\"a\": 1}\n");
    fs::create_dir_all(desk.path(&format!("{snapshot}/onnx"))).unwrap();
    symlink("../../blobs/one", desk.path(&format!("{snapshot}/config.json"))).unwrap();
    symlink("../../../blobs/one", desk.path(&format!("{snapshot}/onnx/config.json"))).unwrap();
    snapshot
}

#[cfg(unix)]
fn files(desk: &Desk, directory: &str) -> usize {
    fs::read_dir(desk.path(directory)).unwrap().count()
}

#[cfg(unix)]
#[test]
fn field_c6_nothing_is_written_into_the_cache_of_hugging_face() {
    let desk = Desk::new();
    let snapshot = cache(&desk);
    let result = init(&desk, &[&snapshot]);
    assert_eq!((result["descriptor"].as_str(), files(&desk, &snapshot)), (Some("tiny-model.yaml"), 2));
    // What comes next works as it stands.
    desk.key("key");
    let next: Vec<_> =
        result["next"].as_array().unwrap().iter().skip(1).map(|word| word.as_str().unwrap()).collect();
    desk.succeed(next.iter().map(|word| if *word == "KEY" { "key" } else { word }));
    assert!(desk.transcript(["init", &snapshot]).contains("already exists"));
    // Nor if it is asked for, nor from within, nor for a folder of the snapshot.
    let inside = format!("{snapshot}/consign.yaml");
    let hub = "hub/x.yaml".to_owned();
    for output in [&inside, &hub] {
        let transcript = desk.transcript(["init", &snapshot, "-o", output]);
        assert!(
            transcript.starts_with("exit 2\n") && transcript.contains("cache of Hugging Face"),
            "{transcript}"
        );
    }
    let mut command = desk.consign(["init", "."]);
    let output = command.current_dir(desk.path(&snapshot)).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let result = init(&desk, &[&format!("{snapshot}/onnx"), "-o", "onnx.yaml"]);
    assert_eq!((result["files"].as_u64(), result["refused_total"].as_u64()), (Some(1), Some(0)));
    assert_eq!((files(&desk, &snapshot), files(&desk, "hub")), (2, 1));
}

#[test]
fn field_c6_a_stray_descriptor_is_not_packed_in_silence() {
    let desk = Desk::new();
    desk.write("d/a.csv", "a,b\n1,2\n");
    desk.key("key");
    init(&desk, &["d"]);
    init(&desk, &["d", "-o", "d/other.yaml"]);
    let pack = ["pack", "d", "--descriptor", "d/other.yaml", "-o", "out", "--key", "key"];
    insta::assert_snapshot!("stray", desk.transcript(pack));
    assert!(!desk.path("out").exists());
    desk.succeed([&pack[..], &["--exclude", "/consign.yaml"]].concat());
    // Deeper down it is content like anything else.
    fs::create_dir(desk.path("d/sub")).unwrap();
    fs::rename(desk.path("d/consign.yaml"), desk.path("d/sub/consign.yaml")).unwrap();
    desk.succeed(["pack", "d", "--descriptor", "d/other.yaml", "-o", "out2", "--key", "key"]);
}

#[cfg(unix)]
#[test]
fn field_c6_a_descriptor_that_is_a_link_into_a_cache_is_no_content() {
    let desk = Desk::new();
    let snapshot = cache(&desk);
    init(&desk, &[&snapshot]);
    fs::rename(desk.path("tiny-model.yaml"), desk.path("hub/models--acme--Tiny-Model/blobs/two")).unwrap();
    std::os::unix::fs::symlink("../../blobs/two", desk.path(&format!("{snapshot}/consign.yaml"))).unwrap();
    desk.key("key");
    let into = "hub/models--acme--Tiny-Model/blobs";
    desk.succeed(["pack", &snapshot, "--dereference-into", into, "-o", "out", "--key", "key"]);
    let manifest = desk.json(["inspect", "out", "--files"]).to_string();
    assert!(manifest.contains("config.json") && !manifest.contains("consign.yaml"), "{manifest}");
}

#[test]
fn field_c8_what_only_gitignore_knows_is_refused_and_the_way_is_named() {
    let desk = Desk::new();
    desk.write("d/a.csv", "a,b\n1,2\n");
    desk.write("d/#x", "1");
    desk.write("d/!x", "1");
    init(&desk, &["d"]);
    desk.key("key");
    let mut transcripts = String::new();
    for pattern in ["!x", "#x", "# a comment", "!"] {
        transcripts.push_str(&desk.transcript([
            "pack",
            "d",
            "-o",
            "out",
            "--key",
            "key",
            "--exclude",
            pattern,
        ]));
    }
    insta::assert_snapshot!("gitignore", transcripts);
    assert!(!desk.path("out").exists());
    desk.succeed(["pack", "d", "-o", "out", "--key", "key", "--exclude", "\\!x", "--exclude", "\\#x"]);
    let manifest = desk.json(["inspect", "out", "--files"]).to_string();
    assert!(
        manifest.contains("a.csv") && !manifest.contains("\"!x\"") && !manifest.contains("\"#x\""),
        "{manifest}"
    );
    // The descriptor says so, too.
    let text = desk.read("d/consign.yaml").replace("# exclude:\n#   - \"*.log\"", "exclude: [\"#x\"]");
    desk.write("d/consign.yaml", text);
    let transcript = desk.transcript(["pack", "d", "-o", "out2", "--key", "key"]);
    assert!(transcript.starts_with("exit 2\n") && transcript.contains("\\#x"), "{transcript}");
}

#[test]
fn field_h16_init_runs_again_and_keeps_what_a_person_wrote() {
    let desk = Desk::new();
    desk.write("m/README.md", "# Tiny\n\nA tiny model.\n");
    desk.write("m/model.gguf", b"GGUF\x03\0\0\0and some weights behind it");
    init(&desk, &["m", "--name", "mine"]);
    let written = desk.read("m/consign.yaml").replace("A tiny model.", "My own words. # and my comment");
    desk.write(
        "m/consign.yaml",
        written.replace("description: My", "description: My # note\n# a line of mine\n#"),
    );
    let written = desk
        .read("m/consign.yaml")
        .replace("description: My # note\n# a line of mine\n# own", "# a line of mine\ndescription: My own");
    desk.write("m/consign.yaml", &written);
    // Without being asked it changes nothing.
    assert!(desk.transcript(["init", "m"]).contains("`--update`"));
    desk.write("m/README.md", "---\nlicense: mit\nlibrary_name: llama.cpp\n---\n# Tiny\n\nA tiny model.\n\n## Limitations\n\nFew.\n");
    insta::assert_snapshot!("update_dry_run", desk.transcript(["init", "m", "--update", "--dry-run"]));
    assert_eq!(desk.read("m/consign.yaml"), written);
    insta::assert_snapshot!("update", desk.transcript(["init", "m", "--update"]));
    let updated = desk.read("m/consign.yaml");
    assert!(
        updated.contains("\n# a line of mine\ndescription: My own words. # and my comment\n"),
        "{updated}"
    );
    assert!(updated.contains("\nlicense: mit\n") && updated.contains("  limitations: Few.\n"), "{updated}");
    assert!(!updated.contains("# license:") && updated.contains("\nname: mine\n"), "{updated}");
    let result = init(&desk, &["m", "--update"]);
    assert_eq!(result["update"]["added"].as_array().unwrap().len(), 0);
    assert_eq!(result["update"]["kept"][0]["field"], "description");
    assert_eq!((result["written"].as_bool(), desk.read("m/consign.yaml")), (Some(false), updated));
    desk.key("key");
    desk.succeed(["pack", "m", "-o", "out", "--key", "key"]);
}

#[test]
fn field_h16_what_cannot_be_added_to_is_told_and_stays() {
    let desk = Desk::new();
    desk.write("m/README.md", "---\nlibrary_name: numpy\n---\n# Tiny\n");
    let flow = "name: x\ntraining: {hardware: a laptop}\n";
    desk.write("m/consign.yaml", flow);
    let result = init(&desk, &["m", "--update"]);
    assert_eq!(result["update"]["not_added"][0], "training.framework");
    for (name, text) in
        [("bad.yaml", "name: [\n"), ("alias.yaml", "name: &x a\ntitle: *x\n"), ("list.yaml", "- a\n")]
    {
        desk.write(name, text);
        let transcript = desk.transcript(["init", "m", "--update", "-o", name]);
        assert!(transcript.starts_with("exit 2\n"), "{transcript}");
        assert_eq!(desk.read(name), text);
    }
    desk.write("json/consign.json", "{}");
    let transcript = desk.transcript(["init", "json", "--update"]);
    assert!(transcript.starts_with("exit 2\n") && transcript.contains("YAML"), "{transcript}");
    // Where there is none yet, one is made.
    desk.write("new/a.csv", "a,b\n1,2\n");
    assert_eq!(init(&desk, &["new", "--update"])["written"], true);
    assert!(desk.transcript(["init", "new", "--dry-run"]).starts_with("exit 2\n"));
}

#[cfg(unix)]
#[test]
fn field_h16_who_may_read_a_descriptor_stays_as_it_was() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    desk.write("m/README.md", "# Tiny\n");
    desk.write("elsewhere.yaml", "name: x\n");
    fs::set_permissions(desk.path("elsewhere.yaml"), fs::Permissions::from_mode(0o660)).unwrap();
    std::os::unix::fs::symlink("../elsewhere.yaml", desk.path("m/consign.yaml")).unwrap();
    init(&desk, &["m", "--update"]);
    assert!(desk.path("m/consign.yaml").symlink_metadata().unwrap().is_symlink());
    assert!(desk.read("elsewhere.yaml").contains("title: Tiny"));
    assert_eq!(fs::metadata(desk.path("elsewhere.yaml")).unwrap().permissions().mode() & 0o777, 0o660);
}
