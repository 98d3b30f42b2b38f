//! What `history` has to say, in words.

use crate::ledger::detail;
use crate::outcome::Report;
use crate::style::{self, count};
use consign::operations::history::Told;
use consign_metadata::printable;
use serde_json::Value;
use std::io::{self, Write};

impl Report for Told {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (faint, good) = (style::FAINT, style::GOOD);
        writeln!(
            out,
            "{good}{}{good:#}: {}",
            self.name,
            count(self.versions.len() as u64, "version", "versions")
        )?;
        for version in &self.versions {
            writeln!(out, "\n{}  [{}]", version.version, version.classification.to_uppercase())?;
            writeln!(out, "  {faint}{}{faint:#}", version.id)?;
            if let Some(changes) = &version.changes {
                writeln!(out, "  changes     {}", printable(changes))?;
            }
            if let Some(pipeline) = version.pipeline.as_ref().and_then(in_words) {
                writeln!(out, "  from        {}", printable(&pipeline))?;
            }
            for entry in &version.entries {
                let Some(event) = &entry.event else { continue };
                let detail = detail(event).map_or_else(String::new, |detail| format!("{detail}, "));
                let (action, time) = (event.action.as_str(), event.timestamp);
                let by = format!("{}@{}", event.user_id, event.host);
                writeln!(
                    out,
                    "  {time}  {action:<14}  {}by {by}  {faint}event {}{faint:#}",
                    printable(&detail),
                    entry.index
                )?;
            }
        }
        Ok(())
    }
}

/// A pipeline as people say it.
fn in_words(pipeline: &Value) -> Option<String> {
    let text = |key: &str| pipeline[key].as_str();
    let parts = [("", "system"), ("", "id"), ("run ", "run"), ("commit ", "commit")];
    let parts: Vec<_> =
        parts.iter().filter_map(|(before, key)| text(key).map(|text| format!("{before}{text}"))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
