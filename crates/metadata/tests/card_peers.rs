//! Front matter, read beside the Hub's own library (`huggingface_hub`), which `.ci/install` installs.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use consign_metadata::{Card, Line};
use serde_json::Value;

/// What the library reads in each of the texts; nothing where it refuses one.
fn hub_reads(texts: &[String]) -> Vec<Value> {
    let folder = std::env::var_os("CONSIGN_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
        cache.join("consign-peers")
    });
    let python = folder.join("bin/python");
    assert!(python.exists(), "this test needs {}; .ci/install makes it", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/read_cards.py");
    let mut child = Command::new(python)
        .arg(script)
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let document = serde_json::to_vec(texts).unwrap();
    let writer = std::thread::spawn(move || input.write_all(&document).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "the peer failed; .ci/install installs what it needs");
    serde_json::from_slice(&output.stdout).unwrap()
}

const YAML: [&str; 19] = [
    "license: mit",
    "license: mit\ntags:\n- a\n- b",
    "license: mit\ntags:\n    - a\n    -   b",
    "name: &x mit\nlicense: *x\ntags: &t [a]\nmore: *t",
    "license: mit\nlicense: apache-2.0\ntags: [a]\ntags: [b]",
    "license: >\n  mit",
    "license: |-\n  mit\n\n# comment",
    "base: &b {license: bsd, tags: [a]}\n<<: *b\nlicense: mit",
    "license: !!str mit",
    "# comment\nlicense: mit",
    "license: \"m\\u0069t\" # comment",
    "{license: mit, tags: [a, b]}",
    "license: 'it''s'\npretty_name: a: b",
    "? license\n: mit",
    "license: mit\nextra_gated_prompt: |\n  ---\n  # No title\n\n  text",
    "license: mit\nx: !thing y",
    "- a",
    "just text",
    "",
];

#[test]
fn field_c1_what_the_hub_reads_is_read_alike() {
    let mut texts = Vec::new();
    for before in ["", "\n", "\n\n  \n", "  ", "\t", "\u{feff}", "\u{a0}\n", "\u{1f}", "x\n"] {
        for opening in ["---", "--- "] {
            for closing in ["---", "---  \t", "----", "...", " ---", "---x"] {
                for yaml in YAML {
                    for after in ["\n# T\n\nWords.\n", "", "\n\n---\n\nMore.\n"] {
                        let text = format!("{before}{opening}\n{yaml}\n{closing}{after}");
                        texts.push(text.replace('\n', "\r\n"));
                        texts.push(text);
                    }
                }
            }
        }
    }
    let read = hub_reads(&texts);
    assert_eq!(read.len(), texts.len());
    let (mut both, mut neither) = (0, 0);
    for (text, hub) in texts.iter().zip(&read) {
        let (card, warnings) = Card::parse(text);
        let ours = card.license.as_ref().map(Line::as_str);
        // A mark in front of the front matter is white space to the Hub itself, and not to its library in Python.
        let ours_alone = text.starts_with('\u{feff}') || !warnings.is_empty();
        match hub.get("data").and_then(|data| Some((data, data.get("license")?.as_str()?))) {
            Some((data, license)) => {
                assert_eq!(ours, Some(license.trim()), "{text:?} {warnings:?}");
                let tags = data.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
                let ours: Vec<_> = card.tags.iter().map(|tag| Value::from(tag.as_str())).collect();
                assert_eq!(ours, tags, "{text:?}");
                both += 1;
            }
            None => {
                assert!(ours.is_none() || ours_alone, "{text:?}: {ours:?} {warnings:?}");
                neither += 1;
            }
        }
    }
    assert!(both > 500 && neither > 500, "{both} {neither}");
}

#[test]
fn field_c2_numbers_of_a_model_index_are_those_that_the_hub_reads() {
    let values = ["0.910", "1e-3", "45.1 %", "\"0.5\"", "[1, 2]", "{mean: 1}", ".nan", "7", "-0.25", "true"];
    let text = |value: &str| {
        format!(
            "---\nmodel-index:\n- name: m\n  results:\n  - task: {{type: t}}\n    dataset: {{name: D, type: d}}\n    \
             metrics:\n    - {{type: acc, value: {value}}}\n---\n# M\n"
        )
    };
    let texts: Vec<String> = values.iter().map(|value| text(value)).collect();
    for (text, hub) in texts.iter().zip(hub_reads(&texts)) {
        let (card, warnings) = Card::parse(text);
        let value = &hub["data"]["model-index"][0]["results"][0]["metrics"][0]["value"];
        match card.evaluation.as_slice() {
            [measured] => {
                let number: f64 = measured.value.as_str().parse().unwrap();
                // PyYAML takes `1e-3` for text, as YAML 1.1 has it.
                let theirs = value.as_f64().or_else(|| value.as_str()?.parse().ok());
                assert_eq!(theirs, Some(number), "{text}");
            }
            _ => assert!(value.as_f64().is_none_or(f64::is_nan) && !warnings.is_empty(), "{text} {value}"),
        }
    }
}
