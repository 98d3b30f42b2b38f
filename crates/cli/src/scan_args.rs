//! What is looked for in the content while it is packed or sealed, and what was found, in words.

use std::io::{self, Write};
use std::path::PathBuf;

use consign_bundle::{ContentObserver, Description, FileObserver};
use consign_metadata::{
    EntryPath, Finding, FindingPlace, Findings, FoundIn, Line, Manifest, Problem, RuleId, printable,
};
use consign_policy::Policy;
use consign_scan::{
    ALLOW_LIST_BYTES_MAX, AllowList, BundleScan, FileScan, Marking, ScanOptions, Scanned, Scanner,
};
use serde::Serialize;
use serde_json::Value;

use crate::context::unreadable;
use crate::exit::Exit;
use crate::handling::{Handling, OnFinding};
use crate::outcome::Failure;
use crate::style;

/// What is looked for.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ScanArgs {
    /// Findings that are allowed, each with a reason, which is signed
    #[arg(long, value_name = "FILE", env = "CONSIGN_FINDINGS_ALLOW", help_heading = "What is looked for")]
    findings_allow: Option<PathBuf>,
}

impl ScanArgs {
    /// Reads the allow-list and begins to collect, also the markings that policies name.
    pub(crate) fn begin<'p>(
        &self,
        policies: impl IntoIterator<Item = &'p Policy>,
    ) -> Result<ScanObserver, Failure> {
        let named = policies.into_iter().flat_map(Policy::markings);
        let markings = named.map(|marking| Marking { word: marking.word.clone() }).collect();
        let options = ScanOptions { allow: self.allow_list()?, markings, ..ScanOptions::default() };
        Ok(ScanObserver(BundleScan::new(Scanner::new(options))))
    }

    fn allow_list(&self) -> Result<AllowList, Failure> {
        let Some(path) = &self.findings_allow else { return Ok(AllowList::default()) };
        let at = path.display().to_string();
        let wrong = |problem: Problem| Failure::usage(problem.at(at.clone()));
        let large = std::fs::metadata(path).is_ok_and(|m| m.len() > ALLOW_LIST_BYTES_MAX as u64);
        if large {
            let message = format!("the file is larger than {ALLOW_LIST_BYTES_MAX} bytes");
            return Err(wrong(Problem::new("allow-too-large", message)));
        }
        let text =
            crate::reading::read(path, crate::reading::TEXT_MAX).map_err(|error| unreadable(path, &error))?;
        let text =
            String::from_utf8(text).map_err(|_| wrong(Problem::new("allow-syntax", "is not UTF-8")))?;
        AllowList::parse(&text).map_err(|problems| Failure {
            exit: Exit::Usage,
            problems: problems.into_iter().map(|problem| problem.at(at.clone())).collect(),
        })
    }
}

/// Shows the content to the scanner.
pub(crate) struct ScanObserver(BundleScan);

impl ContentObserver for ScanObserver {
    fn file(&self, path: &EntryPath, size: u64) -> Box<dyn FileObserver + '_> {
        Box::new(Observed { scan: &self.0, file: self.0.file(path, size) })
    }
}

struct Observed<'a> {
    scan: &'a BundleScan,
    file: FileScan,
}

impl FileObserver for Observed<'_> {
    fn update(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
    }

    fn finish(self: Box<Self>) {
        self.scan.add(self.file.finish());
    }
}

impl ScanObserver {
    /// What is found in a descriptor alone, where no content goes by.
    pub(crate) fn finish_descriptor(self, description: &Description) -> Scanned {
        self.descriptor(description);
        self.0.finish_part()
    }

    /// Everything that was found, once the content has gone by: also what the descriptor says and how empty
    /// directories are called.
    pub(crate) fn finish(self, description: &Description, manifest: &Manifest) -> Scanned {
        self.descriptor(description);
        manifest.directories().iter().for_each(|path| self.0.directory(path));
        self.0.finish(manifest.files().iter().map(|file| &file.path))
    }

    fn descriptor(&self, description: &Description) {
        let mut texts = Vec::new();
        for value in [serde_json::to_value(&description.core).ok(), Some(description.descriptor.to_value())] {
            flatten(String::new(), &value.unwrap_or_default(), &mut texts);
        }
        self.0.descriptor(texts.iter().map(|(field, text)| (field.as_str(), text.as_str())));
    }
}

/// All texts of a document, with where they stand.
fn flatten(at: String, value: &Value, texts: &mut Vec<(String, String)>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match value {
        Value::String(text) => texts.push((at, text.clone())),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| flatten(below(&(n + 1).to_string()), item, texts));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| flatten(below(name), member, texts));
        }
        _ => {}
    }
}

/// What is said where a statement that is there has other findings than this scan.
pub(crate) const OTHER_FINDINGS: &str =
    "what was signed has other findings than this scan: the allow-list or the scanner is another";

/// An entry of the allow-list that let nothing pass.
pub(crate) fn unused_in_words(problem: &Problem) -> String {
    let line = problem.line.map_or_else(String::new, |line| format!(", line {line}"));
    format!("allow-list{line}: {}", problem.message)
}

/// A finding in full, for programs.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FindingOut {
    rule: RuleId,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<EntryPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excerpt: Option<Line>,
}

impl FindingOut {
    /// All findings of a scan.
    pub(crate) fn all(places: Vec<Finding>) -> Vec<Self> {
        let out = |Finding { rule, place }| {
            let FindingPlace { path, member, line, excerpt } = place;
            Self { rule, path, member, line, excerpt }
        };
        places.into_iter().map(out).collect()
    }
}

/// How many files of a rule are shown to a person.
const FILES: usize = 3;

/// Findings in words: a line a rule, with what the policy makes of it, and its first files.
pub(crate) fn in_words(
    findings: &Findings,
    handling: Option<&Handling>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let faint = style::FAINT;
    for found in &findings.found {
        let (style, label) = match handling.map(|handling| handling.verdict_on(&found.rule)) {
            Some(OnFinding::Refused) => (style::ERROR, "refused"),
            Some(OnFinding::Warned) => (style::WARN, "warning"),
            Some(OnFinding::Noted) | None => (style::HINT, "found"),
        };
        let files = match found.files {
            1 => String::new(),
            files => format!(" in {files} files"),
        };
        let rule = printable(found.rule.as_str());
        writeln!(
            out,
            "  {style}{label}{style:#}{:<1$} {2} × {rule}{files}",
            "",
            13 - label.len(),
            found.count
        )?;
        for file in found.examples.iter().take(FILES) {
            writeln!(out, "                {}", file_in_words(file))?;
        }
        let more = found.files.saturating_sub(found.examples.len().min(FILES) as u64);
        if more > 0 {
            let more = style::count(more, "more file", "more files");
            writeln!(out, "                {faint}and {more}{faint:#}")?;
        }
    }
    for allowed in &findings.allowed {
        writeln!(
            out,
            "  allowed       {} × {} in `{}`: {}",
            allowed.count,
            printable(allowed.rule.as_str()),
            printable(allowed.path.as_str()),
            printable(allowed.reason.as_str())
        )?;
    }
    Ok(())
}

fn file_in_words(file: &FoundIn) -> String {
    let name = file.path.as_ref().map_or_else(|| "descriptor".to_owned(), ToString::to_string);
    let mut words = match (file.times.get(), &file.path, &file.member) {
        (1, Some(_), Some(member)) => format!("{name} ({member})"),
        (1, None, Some(field)) => format!("{name}, `{field}`"),
        (1, _, None) => name,
        (times, _, Some(member)) => format!("{name}, {times} times, first in {member}"),
        (times, _, None) if file.line.is_some() || file.excerpt.is_some() => {
            format!("{name}, {times} times, first")
        }
        (times, _, None) => format!("{name}, {times} times"),
    };
    if let Some(line) = file.line {
        words.push_str(if words.ends_with("first") { " in" } else { "," });
        words.push_str(&format!(" line {line}"));
    }
    if let Some(excerpt) = &file.excerpt {
        words.push_str(&format!(": {excerpt}"));
    }
    printable(&words)
}
