//! What `preflight` has to say, in words.

use crate::outcome::Report;
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{count, size};
use consign::operations::preflight::Foreseen;
use std::io::{self, Write};

impl Report for Foreseen {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let class = self.bundle.class();
        writeln!(out, "{} {}  [{class}]", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  content       {}, {}", count(self.files, "file", "files"), size(self.bytes))?;
        render::addressees(&self.bundle.addressees, "  ", 13, out)?;
        if let Some(findings) = &self.findings {
            render::findings(findings, Some(&self.own), out)?;
        }
        self.own.verdict(out, "pack")?;
        self.laboratories.iter().try_for_each(|laboratory| laboratory.human(out))
    }
}
