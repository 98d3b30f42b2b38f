//! What `revoke` has to say, in words.

use crate::outcome::Report;
use crate::style;
use consign::operations::revoke::Revoked;
use std::io::{self, Write};

impl Report for Revoked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let warn = style::WARN;
        writeln!(out, "{warn}revoked{warn:#} {} {}", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  bundle id     {}", self.bundle.id())?;
        writeln!(out, "  reason        {}", self.reason)?;
        writeln!(out, "  by            {} as {} ({})", self.fingerprint, self.role, self.time)?;
        writeln!(
            out,
            "  revocation    {}",
            consign_metadata::printable(&self.revocations.display().to_string())
        )?;
        writeln!(out, "\nSend that file to everybody who has the bundle; for them: verify --revocations FILE")
    }
}
