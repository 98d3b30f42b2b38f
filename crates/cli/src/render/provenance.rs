//! Where a bundle comes from, in words.

use std::io::{self, Write};

use consign::provenance::facts::ProvenanceOut;

use crate::outcome::Report;

impl Report for ProvenanceOut {
    /// For people, in the columns of `pack` and `seal`.
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "  provenance    {}", self.path.display())?;
        writeln!(out, "                {}", self.facts.in_words())
    }
}
