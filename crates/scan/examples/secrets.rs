//! Lists what the rules for secrets find in directories, a line each: to look at how precise they are.
//!
//! `cargo run --release -p consign-scan --example secrets -- DIR…`
//!
//! With `--all` before the directories it prints all that is reported of every file: what a change that is to find
//! the same must not change.

#![allow(clippy::print_stdout, reason = "it is a tool for the terminal")]

use std::path::{Path, PathBuf};

use consign_scan::{ScanOptions, Scanner};

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

fn main() {
    let scanner = Scanner::new(ScanOptions::default());
    let mut arguments = std::env::args_os().skip(1).peekable();
    let all = arguments.next_if(|argument| argument == "--all").is_some();
    for folder in arguments.map(PathBuf::from) {
        let mut files = Vec::new();
        files_below(&folder, &mut files);
        files.sort();
        let mut count = 0;
        for path in files {
            let (Ok(bytes), Ok(name)) = (std::fs::read(&path), path.strip_prefix(&folder)) else { continue };
            let Ok(name) = name.to_string_lossy().parse() else { continue };
            count += 1;
            let mut file = scanner.file(&name, bytes.len() as u64);
            file.update(&bytes);
            let report = file.finish();
            if all {
                println!("{name}\t{report:?}");
                continue;
            }
            for finding in report.findings {
                if finding.rule.kind() != "secret" {
                    continue;
                }
                let line = finding.place.line.unwrap_or(0);
                let text = String::from_utf8_lossy(&bytes);
                let index = usize::try_from(line).unwrap_or(0).wrapping_sub(1);
                let shown: String = text.lines().nth(index).unwrap_or("").trim().chars().take(150).collect();
                println!("{}\t{name}:{line}\t{shown}", finding.rule);
            }
        }
        println!("# {} files below {}", count, folder.display());
    }
}
