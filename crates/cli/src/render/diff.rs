//! What `diff` has to say, in words.

use crate::outcome::Report;
use crate::style::{self, count, size};
use consign::operations::diff::Differences;
use consign_metadata::{FileMode, printable};
use serde_json::Value;
use std::io::{self, Write};

impl Report for Differences {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.same {
            return writeln!(out, "no difference");
        }
        let diff = &self.diff;
        let (add, remove, change) = (style::GOOD, style::ERROR, style::WARN);
        for field in &diff.fields {
            let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "(none)".to_owned(), shown);
            writeln!(
                out,
                "{change}~{change:#} {}: {} → {}",
                printable(&field.field),
                value(&field.old),
                value(&field.new)
            )?;
        }
        for file in &diff.removed {
            writeln!(out, "{remove}-{remove:#} {} ({})", printable(&file.path), size(file.size))?;
        }
        for file in &diff.added {
            writeln!(out, "{add}+{add:#} {} ({})", printable(&file.path), size(file.size))?;
        }
        for file in &diff.renamed {
            writeln!(
                out,
                "{change}>{change:#} {} → {} ({})",
                printable(&file.old),
                printable(&file.new),
                size(file.size)
            )?;
        }
        for file in &diff.changed {
            let mode = match file.mode {
                Some(FileMode::Executable) => ", now executable",
                Some(FileMode::Regular) => ", no longer executable",
                None => "",
            };
            let sizes = match (file.content, file.old_size == file.new_size) {
                (false, _) => "same content".to_owned(),
                (true, true) => format!("other content, {}", size(file.new_size)),
                (true, false) => format!("{} → {}", size(file.old_size), size(file.new_size)),
            };
            writeln!(out, "{change}~{change:#} {} ({sizes}{mode})", printable(&file.path))?;
        }
        for path in &diff.directories_removed {
            writeln!(out, "{remove}-{remove:#} {}/", printable(path))?;
        }
        for path in &diff.directories_added {
            writeln!(out, "{add}+{add:#} {}/", printable(path))?;
        }
        let n = |list: usize, what: &str| format!("{list} {what}");
        writeln!(
            out,
            "\n{}, {}, {}, {}, {}",
            count(diff.fields.len() as u64, "field", "fields"),
            n(diff.added.len(), "added"),
            n(diff.removed.len(), "removed"),
            n(diff.renamed.len(), "renamed"),
            n(diff.changed.len(), "changed")
        )
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = printable(&text);
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("`{}…`", &text[..at]),
        None => format!("`{text}`"),
    }
}
