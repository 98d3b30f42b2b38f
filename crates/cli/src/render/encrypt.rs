//! What `encrypt` has to say, in words.

use crate::outcome::Report;
use crate::render::HandlingInWords as _;
use crate::style;
use consign::operations::encrypt::EncryptedBundle;
use std::io::{self, Write};

impl Report for EncryptedBundle {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        writeln!(out, "{good}encrypted{good:#} {} {}", self.bundle.name, self.bundle.version)?;
        self.archive.human(out)?;
        for addressee in &self.bundle.addressees {
            writeln!(out, "  for           {addressee}")?;
        }
        writeln!(out, "  attestations  {}", self.attestations.display())?;
        writeln!(out, "  signed by     {} as {}", self.fingerprint, self.role)?;
        self.handling.human(out, 13)
    }
}
