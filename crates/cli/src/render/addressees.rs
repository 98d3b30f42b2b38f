//! Whom a bundle is for, in words.

use consign_metadata::printable;

/// The lines of a report that say whom a bundle is for.
pub(crate) fn addressees(
    addressees: &[String],
    indent: &str,
    width: usize,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    addressees
        .iter()
        .try_for_each(|addressee| writeln!(out, "{indent}{:<width$} {}", "for", printable(addressee)))
}
