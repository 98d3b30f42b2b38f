//! What `id` has to say, in words.

use crate::outcome::Report;
use consign::operations::id::Card;
use std::io::{self, Write};

impl Report for Card {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.name {
            Some(name) => writeln!(out, "trusted as    {name} ({})", self.roles.join(", "))?,
            None => writeln!(out, "trusted as    (not in your trust.toml)")?,
        }
        for (label, value) in [("owner", &self.owner), ("organization", &self.organization)] {
            if let Some(value) = value {
                writeln!(out, "{label:13} {value}")?;
            }
        }
        self.limits().iter().try_for_each(|(label, value)| writeln!(out, "{label:13} {value}"))?;
        writeln!(out, "fingerprint   {}", self.fingerprint)?;
        writeln!(out, "OpenSSH       {}", self.openssh)?;
        writeln!(
            out,
            "\nTo compare by telephone, read these groups aloud; they are the same fingerprint:\n"
        )?;
        self.groups.lines().try_for_each(|line| writeln!(out, "    {line}"))
    }
}
