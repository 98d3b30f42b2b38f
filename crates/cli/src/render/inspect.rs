//! What `inspect` has to say, in words.

use crate::outcome::Report;
use crate::render;
use crate::style::{self, count, size};
use consign::operations::inspect::{self, Inspected, InspectedOutside};
use consign_metadata::{Paragraph, printable};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

impl Report for InspectedOutside {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (hint, faint) = (style::HINT, style::FAINT);
        writeln!(out, "{hint}an encrypted bundle{hint:#}")?;
        writeln!(
            out,
            "{faint}Claims of whoever made it; nothing is verified here. See `consign verify`.{faint:#}\n"
        )?;
        let public = &self.public;
        match &public.bundle {
            Some(bundle) => writeln!(out, "bundle      {} {}", bundle.name, bundle.version)?,
            None => {
                writeln!(out, "bundle      hidden: only its recipients can see it, with `--identity FILE`")?;
            }
        }
        if let Some(classification) = &public.classification {
            writeln!(out, "class       {}", classification.as_str().to_uppercase())?;
        }
        for addressee in &public.addressees {
            writeln!(out, "for         {addressee}")?;
        }
        writeln!(out, "encrypted   {}, {}", size(self.encrypted.size), self.encrypted.sha256)?;
        for signature in &self.signatures {
            writeln!(
                out,
                "signature   {} as {} ({}), stated time {}",
                signature.fingerprint, signature.role, signature.basis, signature.time
            )?;
        }
        Ok(())
    }
}

impl Report for Inspected {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (warn, hint, faint) = (style::WARN, style::HINT, style::FAINT);
        let class = self.bundle.class();
        let line = "=".repeat(class.chars().count() + 4);
        writeln!(out, "{warn}{line}\n= {class} =\n{line}{warn:#}")?;
        writeln!(out, "{hint}{} {}{hint:#}", self.bundle.name, self.bundle.version)?;
        writeln!(
            out,
            "{faint}Claims of whoever made it; nothing is verified here. See `consign verify`.{faint:#}\n"
        )?;
        writeln!(out, "bundle id   {}", self.bundle.id())?;
        if let Some(archive) = &self.archive {
            writeln!(out, "archive     {}, {}", size(archive.size), archive.sha256)?;
            let frames = count(archive.frames as u64, "frame", "frames");
            writeln!(out, "            {frames}, {}", archive.encoder)?;
        }
        let empty = match self.directory_count {
            0 => String::new(),
            n => format!(", {}", count(n, "empty directory", "empty directories")),
        };
        writeln!(
            out,
            "content     {}{empty}, {}",
            count(self.file_count, "file", "files"),
            size(self.bytes)
        )?;
        for format in self.formats.iter().take(8) {
            let suffix = if format.suffix.is_empty() { "(no suffix)" } else { &format.suffix };
            writeln!(
                out,
                "            {:14} {:>10}  {}",
                printable(suffix),
                size(format.bytes),
                count(format.files, "file", "files")
            )?;
        }
        if self.formats.len() > 8 {
            writeln!(out, "            and {} more kinds of names", self.formats.len() - 8)?;
        }
        self.described(out)?;
        match self.signatures.len() {
            0 => writeln!(out, "\nsignatures  none found beside it")?,
            _ => writeln!(
                out,
                "\nsignatures  valid for the key they name; whose key that is, this command does not ask"
            )?,
        }
        for signature in &self.signatures {
            writeln!(
                out,
                "            {} as {} ({}), stated time {}",
                signature.fingerprint, signature.role, signature.basis, signature.time
            )?;
        }
        for provenance in &self.provenance {
            writeln!(out, "\nprovenance  {}", provenance.facts.in_words())?;
        }
        if let Some(findings) = &self.findings {
            writeln!(out, "\nfindings    of {}, as signed", printable(findings.scanner.as_str()))?;
            if findings.found.is_empty() && findings.allowed.is_empty() {
                writeln!(out, "            none")?;
            }
            render::findings(findings, None, out)?;
        }
        if let Some(files) = &self.files {
            writeln!(out)?;
            for file in files {
                writeln!(out, "{}  {:>12}  {}", file.sha256.hex(), file.size, file.path)?;
            }
            for directory in self.manifest.directories() {
                writeln!(out, "{:64}  {:>12}  {directory}/", "", "")?;
            }
        }
        Ok(())
    }
}

trait InspectedInWords {
    /// What the descriptor says, a line a field.
    fn described(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl InspectedInWords for Inspected {
    fn described(&self, out: &mut dyn Write) -> io::Result<()> {
        let core = self.manifest.core();
        render::addressees(&self.bundle.addressees, "", 11, out)?;
        for (n, known) in self.recipients.iter().enumerate() {
            let what = if n == 0 { "opened by" } else { "" };
            let name = known
                .name
                .as_ref()
                .map_or_else(String::new, |name| format!(" ({})", printable(name.as_str())));
            writeln!(out, "{what:<11} {}{name}", printable(known.recipient.as_str()))?;
        }
        let organization = core.contact.organization.as_ref().map_or_else(String::new, |o| format!(", {o}"));
        let role = core.contact.role.as_ref().map_or_else(String::new, |role| format!(" ({role})"));
        writeln!(out, "contact     {}{role} <{}>{organization}", core.contact.name, core.contact.email)?;
        if let Some(license) = &core.license {
            writeln!(out, "license     {license}")?;
        }
        for parent in &core.parents {
            writeln!(out, "derived of  {parent}")?;
        }
        if let Some(exclude) = self.exclude.first() {
            let more = self.exclude.len() - 1;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(out, "left out    what matches `{exclude}`{more}")?;
        }
        match self.manifest.descriptor().details() {
            Some(details) => details_in_words(details, out),
            None => writeln!(
                out,
                "\nThe rest of the descriptor has schema {}, which this version of consign does not know.",
                self.manifest.descriptor().schema()
            ),
        }
    }
}

fn details_in_words(details: &consign_metadata::Details, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "kind        {}", details.kind)?;
    if let Some(title) = &details.title {
        writeln!(out, "title       {title}")?;
    }
    if let Some(description) = &details.description {
        writeln!(out)?;
        wrapped(description, out)?;
    }
    let sections = [
        ("Training", json_of(&details.training)),
        ("Provenance", json_of(&details.provenance)),
        ("Model card", json_of(&details.model_card)),
        ("Data", json_of(&details.data)),
        ("Handling", json_of(&details.handling)),
    ];
    for (title, section) in sections {
        if let Some(Value::Object(members)) = section {
            let hint = style::HINT;
            writeln!(out, "\n{hint}{title}{hint:#}")?;
            for (key, value) in &members {
                field(key, value, 1, out)?;
            }
        }
    }
    Ok(())
}

fn wrapped(text: &Paragraph, out: &mut dyn Write) -> io::Result<()> {
    text.as_str().lines().try_for_each(|line| fill(line, 0, out))
}

/// Writes words in lines of at most 96 columns.
fn fill(text: &str, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && indent + column + 1 + width > 96 {
            writeln!(out)?;
            column = 0;
        }
        if column == 0 {
            write!(out, "{:indent$}", "")?;
        } else {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{}", printable(word))?;
        column += width;
    }
    writeln!(out)
}

/// One field of a descriptor, of whatever shape.
fn field(key: &str, value: &Value, depth: usize, out: &mut dyn Write) -> io::Result<()> {
    let indent = 2 * depth;
    let label = printable(&key.replace('_', " "));
    match value {
        Value::Object(members) => {
            writeln!(out, "{:indent$}{label}:", "")?;
            members.iter().try_for_each(|(key, value)| field(key, value, depth + 1, out))
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            writeln!(out, "{:indent$}{label}:", "")?;
            items.iter().try_for_each(|item| {
                let parts = item
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| format!("{}: {}", key.replace('_', " "), plain(value)));
                fill(&format!("- {}", parts.collect::<Vec<_>>().join("; ")), indent + 2, out)
            })
        }
        other => fill(&format!("{label}: {}", plain(other)), indent, out),
    }
}

impl Report for inspect::Report {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Inside(report) => report.human(out),
            Self::Outside(report) => report.human(out),
        }
    }
}

fn json_of<T: Serialize>(value: &Option<T>) -> Option<Value> {
    value.as_ref().and_then(|value| serde_json::to_value(value).ok())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}
