//! What `pack` has to say, in words.

use crate::outcome::Report;
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{self, count, shell_word, size};
use consign::operations::pack::Packed;
use std::io::{self, Write};

impl Report for Packed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn, faint) = (style::GOOD, style::WARN, style::FAINT);
        let (good, what) = match self.status {
            "refused" => (style::ERROR, "not packed"),
            "unchanged" => (good, "unchanged"),
            "dry-run" => (good, "would pack"),
            _ => (good, "packed"),
        };
        writeln!(
            out,
            "{good}{what}{good:#} {} {}  [{}]",
            self.bundle.name,
            self.bundle.version,
            self.bundle.class()
        )?;
        let empty = match self.directories {
            0 => String::new(),
            n => format!(", {}", count(n, "empty directory", "empty directories")),
        };
        writeln!(out, "  content       {}{empty}, {}", count(self.files, "file", "files"), size(self.bytes))?;
        render::addressees(&self.bundle.addressees, "  ", 13, out)?;
        for excluded in self.excluded.iter().filter(|excluded| excluded.files > 0) {
            writeln!(
                out,
                "  left out      {} by `{}`",
                count(excluded.files, "file", "files"),
                excluded.pattern
            )?;
        }
        for (what, bytes) in [("used again", self.reused), ("kept", self.kept)] {
            if let Some(bytes) = bytes.filter(|bytes| *bytes > 0) {
                writeln!(out, "  {what:<13} {} of the archive's content", size(bytes))?;
            }
        }
        if let Some(archive) = &self.archive {
            writeln!(out, "  archive       {} ({})", archive.path.display(), size(archive.size))?;
            writeln!(out, "                {}", archive.sha256)?;
        }
        #[cfg(feature = "encryption")]
        if let Some(encrypted) = &self.encrypted {
            encrypted.human(out)?;
        }
        if let Some(id) = &self.bundle.id {
            writeln!(out, "  bundle id     {id}")?;
        }
        if let Some(path) = &self.manifest {
            writeln!(out, "  manifest      {}", path.display())?;
        }
        match (&self.signer, &self.attestations) {
            (Some(signer), Some(path)) => {
                writeln!(out, "  attestations  {}", path.display())?;
                signer.human(out)?;
            }
            _ if self.status == "packed" => {
                writeln!(
                    out,
                    "  {warn}NOT SIGNED: nobody can tell where it comes from or whether it was replaced{warn:#}"
                )?;
            }
            _ => {}
        }
        if let Some(provenance) = &self.provenance {
            provenance.human(out)?;
        }
        if let Some(findings) = &self.findings {
            render::findings(findings, self.handling.as_ref(), out)?;
        }
        if let Some(stored) = &self.stored {
            stored.human(out)?;
        }
        for note in &self.notes {
            writeln!(out, "  note          {note}")?;
        }
        if let Some(handling) = &self.handling {
            handling.human_but_findings(out, 13)?;
        }
        self.laboratories.iter().try_for_each(|laboratory| laboratory.human(out))?;
        if let Some(archive) = &self.archive {
            let path = shell_word(&archive.path.file_name().unwrap_or_default().to_string_lossy());
            let digest = archive.sha256.trim_start_matches("sha256:");
            writeln!(out, "\n{faint}Without consign, a recipient checks and opens it with:{faint:#}")?;
            writeln!(out, "  echo '{digest}  {path}' | sha256sum -c")?;
            writeln!(out, "  zstd -dc {path} | tar -xf -")?;
            writeln!(
                out,
                "  (cd {} && sha256sum -c --quiet manifest-sha256.txt)",
                shell_word(&self.bundle.name)
            )?;
        }
        #[cfg(feature = "encryption")]
        if let Some(encrypted) = &self.encrypted {
            let path = shell_word(&encrypted.path.file_name().unwrap_or_default().to_string_lossy());
            writeln!(out, "\n{faint}Without consign, a recipient opens it with:{faint:#}")?;
            writeln!(out, "  age -d -i IDENTITY {path} | zstd -dc | tar -xf -")?;
        }
        Ok(())
    }
}
