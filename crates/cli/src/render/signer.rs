//! Who signed, in words.

use std::io::{self, Write};

use consign::key_source::SignerOut;
use consign_signing::KeyOrigin;

use crate::outcome::Report;

impl Report for SignerOut {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "  signed by     {} as {}", self.fingerprint, self.role)?;
        match &self.key {
            KeyOrigin::File { .. } => Ok(()),
            elsewhere => writeln!(out, "  with          {elsewhere}"),
        }
    }
}
