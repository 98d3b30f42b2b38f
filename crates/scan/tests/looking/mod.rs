//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use consign_metadata::sniff;
use consign_scan::{ModelMembers, Nesting, Report, Subject, model_inspector};

/// Looks for code in bytes that come in chunks of these lengths, again and again.
pub fn scan_in(name: &str, bytes: &[u8], lengths: &[usize]) -> Report {
    let subject = Subject { path: Some(name.parse().expect("a path")), member: None };
    let size = bytes.len() as u64;
    let mut report = Report::default();
    let format = sniff(bytes, size, name);
    let nesting = Nesting::of_file(size);
    let inspector = model_inspector(format, &subject, name, size, &nesting, &ModelMembers::shared());
    let Some(mut inspector) = inspector else { return report };
    let mut lengths = lengths.iter().copied().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        inspector.update(&rest[..length], &mut report);
        rest = &rest[length..];
    }
    inspector.finish(&mut report);
    report
}

/// Looks for code in bytes that come in one piece.
pub fn scan(name: &str, bytes: &[u8]) -> Report {
    scan_in(name, bytes, &[usize::MAX])
}

/// What was found: each rule with its excerpt, and the member before it, if there is one.
pub fn found(report: &Report) -> Vec<String> {
    let text = |finding: &consign_metadata::Finding| {
        let member = finding.place.member.as_ref().map_or(String::new(), |member| format!("[{member}] "));
        let excerpt = finding.place.excerpt.as_ref().map_or(String::new(), |line| format!(" {line}"));
        format!("{member}{}{excerpt}", finding.rule)
    };
    report.findings.iter().map(text).collect()
}

/// What was found in bytes of this name.
pub fn findings(name: &str, bytes: &[u8]) -> Vec<String> {
    found(&scan(name, bytes))
}

/// Whether a rule was found.
pub fn has(report: &Report, rule: &str) -> bool {
    report.findings.iter().any(|finding| finding.rule.as_str() == rule)
}

/// Runs a script of `tests/peers` with the Python that `.ci/install` sets up; what it prints.
#[track_caller]
pub fn python(script: &str, arguments: &[&Path]) -> String {
    let folder = std::env::var_os("CONSIGN_PEERS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        cache.map(|cache| cache.join("consign-peers"))
    });
    let python = folder.expect("HOME or CONSIGN_PEERS is set").join("bin/python");
    assert!(python.exists(), "this test needs {}; .ci/install makes it", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let output = Command::new(python).arg(&script).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The files in a folder, in the order of their names: name and content.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            (entry.file_name().into_string().expect("text"), std::fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    files
}
