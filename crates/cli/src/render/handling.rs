//! What a policy says, in words.

use std::io::{self, Write};

use consign::handling::{Handling, LaboratoryOut, ReasonOut};

use crate::outcome::Report;
use crate::style;

/// What a policy says, as lines of a report.
pub(crate) trait HandlingInWords {
    /// A verdict of its own, for a preflight: what the policy says to a step, and all it says about it.
    fn verdict(&self, out: &mut dyn Write, verb: &str) -> io::Result<()>;

    /// Which findings another policy warns of, which stand above with their places.
    fn warned_findings(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Lines of a report: `label` is as wide as its other labels.
    fn human(&self, out: &mut dyn Write, width: usize) -> io::Result<()>;

    /// The same in a report that lists the findings with what the policy makes of them.
    fn human_but_findings(&self, out: &mut dyn Write, width: usize) -> io::Result<()>;
}

impl HandlingInWords for Handling {
    fn verdict(&self, out: &mut dyn Write, verb: &str) -> io::Result<()> {
        let (good, error) = (style::GOOD, style::ERROR);
        let policy = &self.policy;
        if self.permitted {
            writeln!(out, "  {good}ok{good:#}            `{policy}` would {verb} it")?;
        } else {
            let reasons = style::count(self.refusals.len() as u64, "reason", "reasons");
            writeln!(out, "  {error}refused{error:#}       `{policy}` would not {verb} it, for {reasons}")?;
        }
        self.human_but_findings(out, 13)
    }

    fn warned_findings(&self, out: &mut dyn Write) -> io::Result<()> {
        let rules: Vec<_> = self.warnings.iter().filter_map(|reason| reason.finding.as_deref()).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let (warn, text) = (style::WARN, consign_metadata::printable(&rules.join(", ")));
        writeln!(out, "  {:<13} {warn}of what was found, it warns of {text}{warn:#}", "warning")
    }

    fn human(&self, out: &mut dyn Write, width: usize) -> io::Result<()> {
        lines(self, out, width, |_| true)
    }

    fn human_but_findings(&self, out: &mut dyn Write, width: usize) -> io::Result<()> {
        lines(self, out, width, |reason| reason.finding.is_none())
    }
}

fn lines(
    handling: &Handling,
    out: &mut dyn Write,
    width: usize,
    shown: impl Fn(&&ReasonOut) -> bool,
) -> io::Result<()> {
    let warn = style::WARN;
    for reason in handling.warnings.iter().filter(shown) {
        let message = consign_metadata::printable(&reason.message);
        writeln!(out, "  {:<width$} {warn}{message}{warn:#}", "warning")?;
    }
    for overridden in &handling.overridden {
        let (message, reason) = (&overridden.message, &overridden.reason);
        let text = consign_metadata::printable(&format!("{}: {message} (reason: {reason})", overridden.rule));
        writeln!(out, "  {:<width$} {warn}{text}{warn:#}", "set aside")?;
    }
    for note in &handling.notes {
        writeln!(out, "  {:<width$} {note}", "note")?;
    }
    if handling.permitted && !handling.pending.is_empty() {
        let needs: Vec<_> = handling.pending.iter().map(|reason| reason.message.as_str()).collect();
        let text = consign_metadata::printable(&needs.join("; "));
        writeln!(out, "  {warn}not releasable yet: {text}{warn:#}")?;
    }
    Ok(())
}

impl Report for LaboratoryOut {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        self.handling.verdict(out, "accept")?;
        self.handling.warned_findings(out)
    }
}
