//! An encrypted file, and an identity that was made, in words.

use std::io::{self, Write};

use consign::encryption::EncryptedOut;
use consign::encryption::keygen::MadeIdentity;

use crate::outcome::Report;
use crate::style;

impl Report for EncryptedOut {
    /// For people, in the columns of `pack`.
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "  encrypted     {} ({})", self.path.display(), style::size(self.size))?;
        writeln!(out, "                {}", self.sha256)?;
        for (n, named) in self.recipients.iter().enumerate() {
            let what = if n == 0 { "opened by" } else { "" };
            let name = named
                .name
                .as_ref()
                .map_or_else(String::new, |name| format!(" ({})", consign_metadata::printable(name)));
            writeln!(out, "  {what:<13} {}{name}", named.recipient)?;
        }
        Ok(())
    }
}

impl Report for MadeIdentity {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let how = if self.encrypted { "encrypted" } else { "NOT encrypted" };
        writeln!(out, "identity     {} ({how}; keep it to yourself)", self.identity.display())?;
        writeln!(out, "recipient    {}", self.recipient_file.display())?;
        writeln!(out, "             {}", self.recipient)?;
        let word = style::shell_word(&self.identity.display().to_string());
        writeln!(
            out,
            "\nGive the recipient to those who are to send you encrypted bundles; let them compare it with\nyou by another way. What they send you opens with: --identity {word}"
        )
    }
}
