//! What `amend` has to say, in words.

use crate::outcome::Report;
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{self, count, size};
use consign::operations::amend::Amended;
use std::io::{self, Write};

impl Report for Amended {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        let (good, what) = match self.status {
            "refused" => (style::ERROR, "not amended"),
            "dry-run" => (good, "would amend"),
            status => (good, status),
        };
        let class = self.bundle.class();
        writeln!(out, "{good}{what}{good:#} {} {}  [{class}]", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  from          {}, {}", self.from_version, self.from)?;
        writeln!(out, "  changed       {}", consign_metadata::printable(&self.changed))?;
        let files = count(self.files, "file", "files");
        let how = match (self.status, self.basis.as_str()) {
            ("dry-run" | "refused", _) => "as they are",
            (_, "unseen") => "as they are, not looked at",
            _ => "as they are, each verified",
        };
        writeln!(out, "  content       {files}, {}, {how}", size(self.bytes))?;
        render::addressees(&self.bundle.addressees, "  ", 13, out)?;
        if let Some(archive) = &self.archive {
            writeln!(out, "  archive       {} ({})", archive.path.display(), size(archive.size))?;
            writeln!(out, "                {}", archive.sha256)?;
        }
        writeln!(out, "  bundle id     {}", self.bundle.id())?;
        if let Some(path) = &self.manifest {
            writeln!(out, "  manifest      {}", path.display())?;
        }
        match (&self.signer, &self.attestations) {
            (Some(signer), Some(path)) => {
                writeln!(out, "  attestations  {}", path.display())?;
                signer.human(out)?;
            }
            _ if self.status == "amended" => writeln!(
                out,
                "  {warn}NOT SIGNED: nobody can tell where it comes from or whether it was replaced{warn:#}"
            )?,
            _ => {}
        }
        if let Some(findings) = &self.findings {
            render::findings(findings, Some(&self.handling), out)?;
        }
        if let Some(stored) = &self.stored {
            stored.human(out)?;
        }
        for note in &self.notes {
            writeln!(out, "  note          {note}")?;
        }
        self.handling.human_but_findings(out, 13)?;
        self.laboratories.iter().try_for_each(|laboratory| laboratory.human(out))
    }
}
