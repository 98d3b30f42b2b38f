//! What `consign init` did and what is left to do, as shown.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_bundle::SourceFault;
use consign_metadata::{Problem, printable};
use serde::Serialize;

use super::propose::{Found, Proposal};
use super::update::{Kept, Update};
use crate::outcome::Report;
use crate::style;
use crate::survey::Survey;

/// Most refused entries that are listed.
const REFUSED_MAX: usize = 20;
/// Most of anything that is shown on a terminal.
const SHOWN_MAX: usize = 5;

/// A descriptor that was written, or added to.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Written {
    descriptor: PathBuf,
    /// Whether something was written.
    written: bool,
    /// What became of a descriptor that was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<Updated>,
    files: u64,
    bytes: u64,
    /// Number of files whose beginning was read; fewer than `files` in a large directory.
    looked_at: usize,
    /// Number of files by format.
    formats: BTreeMap<&'static str, u64>,
    /// Files that can run code when they are loaded.
    code_on_load: Vec<String>,
    found: Vec<Found>,
    missing: Vec<Missing>,
    excluded: Vec<ExcludedHere>,
    /// What pack would refuse: the first of them, and how many there are.
    refused: Vec<Problem>,
    refused_total: usize,
    /// What of the card could not be read, and descriptors that would be packed as content.
    warnings: Vec<Problem>,
    /// The command that comes next, as words.
    next: Vec<String>,
}

/// What became of a descriptor that was there already.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Updated {
    /// Dotted names of the fields that were added, or would be.
    added: Vec<String>,
    /// Fields that it says otherwise than what was found; they stay as they are.
    kept: Vec<Kept>,
    /// Fields that a person has to add, because of how their section is written.
    not_added: Vec<String>,
}

/// A field that a person still has to fill.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Missing {
    field: String,
    required: bool,
    /// Lines of the descriptor that ask for it, from which the `#` goes: its own, and before it that of its
    /// section where that is a comment, too.
    lines: Vec<usize>,
    what: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ExcludedHere {
    pattern: String,
    files: u64,
    reason: &'static str,
}

impl Written {
    pub(super) fn new(
        path: &Path,
        text: &str,
        proposal: &Proposal,
        survey: &Survey,
        next: Vec<String>,
        written: bool,
    ) -> Self {
        let missing = proposal.draft.missing();
        Self { written, ..Self::of(path, text, missing, proposal, survey, next) }
    }

    pub(super) fn updated(
        path: &Path,
        update: Update,
        proposal: &Proposal,
        survey: &Survey,
        next: Vec<String>,
    ) -> Self {
        let Update { merged, kept, written } = update;
        let report = Self::of(path, &merged.text, merged.missing, proposal, survey, next);
        let update = Updated { added: merged.added, kept, not_added: merged.not_added };
        Self { written, update: Some(update), ..report }
    }

    fn of(
        path: &Path,
        text: &str,
        missing: Vec<Problem>,
        proposal: &Proposal,
        survey: &Survey,
        next: Vec<String>,
    ) -> Self {
        let missing = missing.into_iter().map(|problem| {
            let field = problem.at.unwrap_or_default();
            Missing {
                lines: lines_of(text, &field),
                required: problem.code == "missing-field",
                what: problem.hint.unwrap_or_default(),
                field,
            }
        });
        let excluded = survey.excludes().map(|(pattern, files, reason)| ExcludedHere {
            pattern: pattern.to_string(),
            files,
            reason,
        });
        Self {
            descriptor: path.to_owned(),
            written: false,
            update: None,
            files: survey.files(),
            bytes: survey.bytes(),
            looked_at: survey.sniffed,
            formats: survey.formats.iter().map(|(format, tally)| (format.id(), tally.files)).collect(),
            code_on_load: survey.code_on_load.iter().map(|(path, _)| path.to_string()).collect(),
            found: proposal.found.clone(),
            missing: missing.collect(),
            excluded: excluded.collect(),
            refused: survey.faults.iter().take(REFUSED_MAX).map(refused).collect(),
            refused_total: survey.faults.len(),
            warnings: proposal.warnings.clone(),
            next,
        }
    }
}

fn refused(fault: &SourceFault) -> Problem {
    let problem = Problem::new(fault.code(), fault.to_string());
    match fault {
        SourceFault::Link { .. } => problem.hint(
            "`--dereference` follows links within the directory, `--dereference-into ROOT` such as lead into ROOT",
        ),
        _ => problem,
    }
}

/// The lines of a draft's YAML that ask for a field, counted from 1.
fn lines_of(text: &str, field: &str) -> Vec<usize> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let Some((section, key)) = field.split_once('.') else {
        let question = format!("# {field}: ");
        return lines.find(|(_, line)| line.starts_with(&question)).map(|(at, _)| at).into_iter().collect();
    };
    let (live, asked) = (format!("{section}:"), format!("# {section}:"));
    let Some((head, line)) = lines.find(|(_, line)| *line == live || *line == asked) else {
        return Vec::new();
    };
    // What a card says is indented deeper than either.
    let (margin, head) = if line == live { ("  # ", None) } else { ("#   ", Some(head)) };
    let question = format!("{margin}{key}: ");
    let own = lines.find(|(_, line)| line.starts_with(&question)).map(|(at, _)| at);
    head.into_iter().chain(own).collect()
}

impl Report for Written {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, bold, warn, faint) = (style::GOOD, style::HINT, style::WARN, style::FAINT);
        let path = printable(&self.descriptor.display().to_string());
        let files = style::count(self.files, "file", "files");
        let what = match (&self.update, self.written) {
            (None, true) => format!("Wrote {path}"),
            (None, false) => format!("Would write {path}"),
            (Some(Updated { added, .. }), _) if added.is_empty() => format!("Nothing to add to {path}"),
            (Some(Updated { added, .. }), written) => {
                let fields = style::count(u64::try_from(added.len()).unwrap_or(u64::MAX), "field", "fields");
                format!("{} {fields} to {path}", if written { "Added" } else { "Would add" })
            }
        };
        writeln!(out, "{good}{what}{good:#}, for {files} of {} altogether", style::size(self.bytes))?;
        writeln!(out)?;
        for found in &self.found {
            let (field, value, from) = (&found.field, printable(&found.value), &found.from);
            writeln!(out, "  {field:26} {value} {faint}({from}){faint:#}")?;
        }
        for Kept { field, says, found, from } in self.update.iter().flat_map(|update| &update.kept) {
            let (says, found) = (printable(says), printable(found));
            writeln!(out, "  {field:26} {says} {faint}(kept; {from} says {found}){faint:#}")?;
        }
        for ExcludedHere { pattern, files, .. } in &self.excluded {
            let files = style::count(*files, "file", "files");
            writeln!(out, "  {:26} {pattern} {faint}({files} left out){faint:#}", "exclude")?;
        }
        for (required, title) in [(true, "Still to be said"), (false, "Recommended")] {
            let mut missing = self.missing.iter().filter(|missing| missing.required == required).peekable();
            if missing.peek().is_some() {
                writeln!(out, "\n{bold}{title}{bold:#}")?;
            }
            for Missing { field, lines, what, .. } in missing {
                let lines = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                writeln!(out, "  line {lines:7} {field:26} {what}")?;
            }
        }
        self.cautions(out, warn)?;
        let required = self.missing.iter().any(|missing| missing.required);
        writeln!(out, "\n{}", if required { "Fill in what is missing, then:" } else { "Next:" })?;
        let words: Vec<_> = self.next.iter().map(|word| style::shell_word(word)).collect();
        writeln!(out, "  {}", words.join(" "))
    }
}

impl Written {
    /// What a person should know before going on.
    fn cautions(&self, out: &mut dyn Write, warn: anstyle::Style) -> io::Result<()> {
        let mut cautions: Vec<String> = Vec::new();
        if self.files == 0 {
            cautions.push("there is no file to pack".into());
        }
        for path in self.code_on_load.iter().take(SHOWN_MAX) {
            cautions.push(format!("{} can run code when it is loaded", printable(path)));
        }
        for field in self.update.iter().flat_map(|update| &update.not_added) {
            cautions.push(format!("{field} was found and has to be added by hand, where its section is"));
        }
        let refused = self.refused.iter().take(SHOWN_MAX);
        cautions.extend(refused.map(|problem| match &problem.hint {
            Some(hint) => format!("pack will refuse this: {}; {hint}", problem.message),
            None => format!("pack will refuse this: {}", problem.message),
        }));
        cautions.extend(self.warnings.iter().take(SHOWN_MAX).map(|problem| match &problem.hint {
            Some(hint) => format!("{problem}; {hint}"),
            None => problem.to_string(),
        }));
        let shown = |n: usize| n.saturating_sub(SHOWN_MAX);
        let more = shown(self.code_on_load.len()) + shown(self.refused_total) + shown(self.warnings.len());
        if more > 0 {
            cautions.push(format!("and {more} more; `--json` lists them"));
        }
        if !cautions.is_empty() {
            writeln!(out)?;
        }
        cautions.iter().try_for_each(|caution| writeln!(out, "{warn}note{warn:#}: {caution}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_metadata::Draft;

    #[test]
    fn the_line_that_asks_for_a_field_is_found() {
        let mut draft = Draft { name: "x".parse().ok(), ..Draft::default() };
        draft.description = "contact:\n  # name: no\n# version: no".parse().ok();
        draft.contact.name = "Ada".parse().ok();
        let text = draft.to_yaml();
        for problem in draft.missing() {
            let (field, what) = (problem.at.unwrap(), problem.hint.unwrap());
            let lines: Vec<_> =
                lines_of(&text, &field).iter().map(|at| text.lines().nth(at - 1).unwrap()).collect();
            let (section, key) = field.split_once('.').unwrap_or(("", &field));
            let own = lines.last().unwrap();
            assert!(own.contains(&format!(" {key}: ")) && own.contains(&what), "{field}: {own}");
            match section {
                "" | "contact" => assert_eq!(lines.len(), 1, "{field}"),
                section => assert_eq!(lines[0], format!("# {section}:")),
            }
        }
    }
}
