//! What a scan found, in words.

use std::io::{self, Write};

use consign::handling::{Handling, OnFinding};
use consign_metadata::{Findings, FoundIn, printable};

use crate::style;

/// How many files of a rule are shown to a person.
const FILES: usize = 3;

/// Findings in words: a line a rule, with what the policy makes of it, and its first files.
pub(crate) fn findings(
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
