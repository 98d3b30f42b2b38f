//! What was kept in a store, in words.

use consign::store_args::KeptOut;

use crate::outcome::Report;

impl Report for KeptOut {
    /// The line about it in a report for people.
    fn human(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let new = crate::style::size(self.new_bytes);
        writeln!(out, "  kept in       {} ({new} of it new)", self.store.display())
    }
}
