//! The README and the guides are run as they are written: every console block, in order, from an empty home, at a
//! terminal; what a page shows is compared with what came.
//!
//! In a page, `…` stands for any text in a line, and alone for any number of lines. Digests, keys, times, sizes and the
//! like differ from run to run and are not compared. A comment before a block says more:
//!
//! - `<!-- as NAME -->`: from here on at the machine of NAME, who has a home of their own;
//! - `<!-- before: COMMAND -->`: what the reader has or does elsewhere, run without being shown;
//! - `<!-- save FILE -->`: the next block, of whatever kind, is put into FILE, as the page asks the reader to do;
//! - `<!-- exit N -->`: the last command of the next block ends with N;
//! - `<!-- not run: REASON -->`: the next block is not run.
//!
//! `UPDATE_GUIDES=1` puts into the pages what came; `SHOW_GUIDE=name` prints it.
#![cfg(all(unix, feature = "encryption"))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]
#![allow(clippy::print_stdout, reason = "`SHOW_GUIDE` asks for it")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::{Value, json};

#[path = "support/bundles.rs"]
mod bundles;

mod support;

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

/// A command of a page.
#[derive(Debug)]
struct Step {
    home: String,
    command: String,
    /// Lines of the page below it.
    shown: Vec<String>,
    /// Where those are in the page, by lines.
    lines: Range<usize>,
    exit: Option<i64>,
    hidden: bool,
}

/// The commands of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    let mut home = "ada".to_owned();
    let (mut skip, mut exit, mut save) = (false, None, None);
    let lines: Vec<_> = page.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        if let Some(comment) = line.strip_prefix("<!-- ") {
            let mut comment = comment.to_owned();
            while !comment.ends_with("-->") {
                comment = format!("{comment}\n{}", lines[at]);
                at += 1;
            }
            let comment = comment.trim_end_matches("-->").trim();
            if let Some(name) = comment.strip_prefix("as ") {
                home = name.to_owned();
            } else if let Some(command) = comment.strip_prefix("before: ") {
                let (command, lines) = (command.to_owned(), at..at);
                all.push(Step {
                    home: home.clone(),
                    command,
                    shown: vec![],
                    lines,
                    exit: None,
                    hidden: true,
                });
            } else if let Some(code) = comment.strip_prefix("exit ") {
                exit = Some(code.parse().unwrap());
            } else if let Some(file) = comment.strip_prefix("save ") {
                save = Some(file.to_owned());
            } else if comment.starts_with("not run: ") {
                skip = true;
            } else {
                panic!("a comment that is no instruction: {comment}");
            }
        } else if let Some(kind) = line.strip_prefix("```") {
            let end = at + lines[at..].iter().position(|line| *line == "```").unwrap();
            if let Some(file) = save.take() {
                let text = lines[at..end].join("\n");
                let command = format!("cat > {file} <<'END OF BLOCK'\n{text}\nEND OF BLOCK");
                let lines = at..at;
                all.push(Step {
                    home: home.clone(),
                    command,
                    shown: vec![],
                    lines,
                    exit: None,
                    hidden: true,
                });
            } else if kind == "console" && !skip {
                let first = all.len();
                block(&lines, at..end, &home, &mut all);
                assert!(all.len() > first, "line {at}: a console block without a command");
                all.last_mut().unwrap().exit = exit;
            } else {
                let typed = lines[at..end].iter().any(|line| line.starts_with("$ "));
                assert!(!typed || kind == "console", "line {at}: commands belong into a console block");
            }
            (skip, exit) = (false, None);
            at = end + 1;
        }
    }
    all
}

fn block(lines: &[&str], range: Range<usize>, home: &str, all: &mut Vec<Step>) {
    let mut at = range.start;
    while at < range.end {
        let mut command = lines[at].strip_prefix("$ ").expect("a block begins with a command").to_owned();
        at += 1;
        while command.ends_with('\\') || here_document_is_open(&command) {
            command = format!("{command}\n{}", lines[at].strip_prefix("> ").unwrap_or(lines[at]));
            at += 1;
        }
        let start = at;
        while at < range.end && !lines[at].starts_with("$ ") {
            at += 1;
        }
        let shown = lines[start..at].iter().map(ToString::to_string).collect();
        all.push(Step { home: home.into(), command, shown, lines: start..at, exit: None, hidden: false });
    }
}

fn here_document_is_open(command: &str) -> bool {
    let Some((_, after)) = command.split_once("<<") else { return false };
    let word: String =
        after.trim_start_matches(['\'', '-']).chars().take_while(|c| c.is_alphanumeric()).collect();
    !command.lines().skip(1).any(|line| line == word)
}

/// What differs from run to run, and is not compared.
struct Masks(Vec<(Regex, &'static str)>);

impl Masks {
    fn new() -> Self {
        let masks = [
            (r"SHA256:([A-Za-z0-9+/]+…?|…)", "FINGERPRINT"),
            (r"AAAA([A-Za-z0-9+/=]{40,}|…)", "KEY"),
            (r"age1([a-z0-9]{20,}|…)", "RECIPIENT"),
            (r"([0-9a-f]{4} ){3,}[0-9a-f]{4}", "GROUPS"),
            (r"\b(sha256:)?[0-9a-f]{7,64}\b…?|sha256:…", "DIGEST"),
            (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|\b)", "TIME"),
            (r"\b\d{4}-\d\d-\d\d\b", "DAY"),
            (r"\b\d+(\.\d+)? (B|kB|MB|GB|bytes)\b", "SIZE"),
            (r#""size": \d+"#, "SIZE"),
            (r"\b[a-z0-9_-]+@[a-zA-Z0-9-]+( |$|,)", "WHO "),
            (r"[A-Za-z0-9+/]{43}=", "HASH"),
            (r" +", " "),
        ];
        Self(masks.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).into())
    }

    fn of(&self, line: &str) -> String {
        let masked =
            |line: String, (pattern, word): &(Regex, &str)| pattern.replace_all(&line, *word).into_owned();
        self.0.iter().fold(line.trim_end().to_owned(), masked).trim_end().to_owned()
    }
}

/// Whether what came is what is shown, in which `…` stands for anything.
fn agrees(masks: &Masks, shown: &[String], came: &[String]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return came.is_empty() };
    if first.trim() == "…" {
        return (0..=came.len()).any(|skipped| agrees(masks, rest, &came[skipped..]));
    }
    let Some((next, others)) = came.split_first() else { return false };
    line_agrees(masks, first, next) && agrees(masks, rest, others)
}

fn line_agrees(masks: &Masks, shown: &str, came: &str) -> bool {
    let (shown, came) = (masks.of(shown), masks.of(came));
    let mut parts = shown.split('…');
    let Some(mut left) = came.strip_prefix(parts.next().unwrap()) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return left.is_empty() };
    for part in middle {
        let Some(found) = left.find(part) else { return false };
        left = &left[found + part.len()..];
    }
    left.ends_with(last)
}

/// Runs a page and says what does not hold.
fn run(name: &str) -> String {
    let path = root().join(name);
    let page = fs::read_to_string(&path).unwrap();
    let steps = steps(&page);
    assert!(!steps.is_empty(), "{name} has no command");
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("desk")).unwrap();
    fs::create_dir_all(dir.path().join("homes")).unwrap();
    copy(&root().join("examples"), &dir.path().join("desk/examples"));
    let came = at_a_terminal(dir.path(), &steps);
    let work = fs::canonicalize(dir.path()).unwrap().display().to_string();
    let masks = Masks::new();
    let (mut faults, mut new) = (String::new(), Vec::new());
    for (step, came) in steps.iter().zip(&came) {
        let said = came["said"].as_str().unwrap().replace(&format!("{work}/desk/"), "");
        let said = said.replace(&format!("{work}/homes/"), "/home/");
        let exit = came["exit"].as_i64().unwrap();
        let lines: Vec<_> = said.lines().map(|line| line.trim_end().to_owned()).collect();
        if std::env::var("SHOW_GUIDE").is_ok_and(|wanted| name.contains(&wanted)) {
            println!("[{}] $ {}\n{said}[{exit}]\n", step.home, step.command);
        }
        let fails = step.shown.iter().any(|line| line.starts_with("error:"));
        let exit_is_right = step.exit.map_or_else(|| (exit != 0) == fails, |wanted| wanted == exit);
        let text: Vec<_> = step.shown.iter().map(|line| line.trim_end().to_owned()).collect();
        let text = &text[..text.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1)];
        let last = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        let said_is_right = text.is_empty() || agrees(&masks, text, &lines[..last]);
        if !exit_is_right || !said_is_right {
            let shown = text.join("\n");
            let _ = writeln!(
                faults,
                "{name}:{}: [{}] $ {}\n--- the page shows\n{shown}\n--- what came (exit {exit})\n{said}\n",
                step.lines.start, step.home, step.command
            );
            if !step.hidden && !said_is_right {
                new.push((step.lines.start..step.lines.start + text.len(), lines[..last].to_vec()));
            }
        }
    }
    if std::env::var_os("UPDATE_GUIDES").is_some() {
        let mut lines: Vec<_> = page.lines().map(ToOwned::to_owned).collect();
        for (range, came) in new.into_iter().rev() {
            lines.splice(range, came);
        }
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    faults
}

fn at_a_terminal(work: &Path, steps: &[Step]) -> Vec<Value> {
    let answers = |step: &Step| {
        let typed = step.shown.iter().filter_map(|line| line.split_once("[y/N] "));
        typed.map(|(_, typed)| typed.to_owned()).collect::<Vec<_>>()
    };
    let steps: Vec<_> = steps
        .iter()
        .map(|step| json!({ "home": step.home, "command": step.command, "answers": answers(step) }))
        .collect();
    let program = support::consign();
    let folder = Path::new(&program).parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap();
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/terminal.py");
    let python = bundles::peers().display().to_string();
    let mut child = Command::new("python3")
        .arg(peers)
        .arg(work)
        .env("FIXTURES", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
        .env("PATH", format!("{folder}:{path}:{python}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(steps).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the terminal failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

macro_rules! pages {
    ($($test:ident $page:literal)*) => {
        $(#[test]
        fn $test() {
            let faults = run($page);
            assert!(faults.is_empty(), "\n{faults}");
        })*

        #[test]
        fn no_page_is_forgotten() {
            let tested = [$($page),*];
            let guides = fs::read_dir(root().join("docs/guides")).unwrap();
            let guides = guides.map(|entry| format!("docs/guides/{}", entry.unwrap().file_name().to_string_lossy()));
            for page in guides.chain(["README.md".to_owned()]) {
                assert!(tested.contains(&page.as_str()), "{page} is not run");
            }
        }
    };
}

pages! {
    readme "README.md"
    audit "docs/guides/audit.md"
    encryption "docs/guides/encryption.md"
    keys "docs/guides/keys.md"
    lineage "docs/guides/lineage.md"
    receive "docs/guides/receive.md"
    reconstruct "docs/guides/reconstruct.md"
    release "docs/guides/release.md"
    submit "docs/guides/submit.md"
    two_signatures "docs/guides/two-signatures.md"
}
