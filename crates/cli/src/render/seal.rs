//! What `seal` has to say, in words.

use crate::outcome::Report;
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{self, count, shell_word, size};
use consign::operations::seal::Sealed;
use std::io::{self, Write};
use std::path::PathBuf;

impl Report for Sealed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let warn = style::WARN;
        let class = self.bundle.class();
        let (style, what) = match self.status {
            "refused" => (style::ERROR, "not sealed"),
            status => (style::GOOD, status),
        };
        writeln!(out, "{style}{what}{style:#} {} {}  [{class}]", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  content       {}, {}", count(self.files, "file", "files"), size(self.bytes))?;
        render::addressees(&self.bundle.addressees, "  ", 13, out)?;
        writeln!(out, "  bundle id     {}", self.bundle.id())?;
        if let Some(manifest) = &self.manifest {
            writeln!(out, "  manifest      {}", manifest.display())?;
        }
        match (&self.signer, &self.attestations) {
            (Some(signer), Some(path)) => {
                writeln!(out, "  attestations  {}", path.display())?;
                signer.human(out)?;
            }
            _ if self.manifest.is_none() => {}
            _ => writeln!(out, "  {warn}NOT SIGNED: nobody can tell where it comes from{warn:#}")?,
        }
        if let Some(provenance) = &self.provenance {
            provenance.human(out)?;
        }
        render::findings(&self.findings, Some(&self.handling), out)?;
        for note in &self.notes {
            writeln!(out, "  note          {note}")?;
        }
        self.handling.human_but_findings(out, 13)?;
        self.laboratories.iter().try_for_each(|laboratory| laboratory.human(out))?;
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let word = |path: &PathBuf| shell_word(&path.display().to_string());
        writeln!(out, "\nA recipient checks the directory with:")?;
        writeln!(out, "  consign verify {} --manifest {} --key PUB", word(&self.directory), word(manifest))
    }
}
