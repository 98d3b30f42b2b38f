//! A revocation that arrived, in words.

use std::io::{self, Write};
use std::path::Path;

use consign::bundle_out::BundleOut;
use consign::withdrawn::{Quarantined, ReceivedRevocation};
use consign_metadata::printable;

use crate::outcome::Report;
use crate::style;

impl Report for ReceivedRevocation {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (warn, faint) = (style::WARN, style::FAINT);
        let BundleOut { name, version, .. } = &self.bundle;
        if !self.counts {
            let why = self.why_not.as_deref().unwrap_or_default();
            writeln!(out, "{faint}a revocation that does not count:{faint:#} {name} {version}, {why}")?;
            return writeln!(out, "  file          {}", printable(&self.path));
        }
        let class = self.bundle.class();
        writeln!(out, "{warn}revoked{warn:#} {name} {version}  [{class}]")?;
        writeln!(out, "  bundle id     {}", self.bundle.id())?;
        writeln!(out, "  reason        {}", printable(&self.reason))?;
        writeln!(out, "  by            {} as {}", self.fingerprint, self.role)?;
        for Quarantined { from, to, why_not } in &self.quarantined {
            let shown = |path: &Path| printable(&path.display().to_string());
            writeln!(out, "  unpacked      {}", shown(from))?;
            match (to, why_not) {
                (Some(to), _) => writeln!(out, "  quarantined   {}", shown(to))?,
                (None, Some(why)) => writeln!(out, "  {warn}NOT MOVED: {}{warn:#}", printable(why))?,
                (None, None) => writeln!(out, "  quarantined   not now: nothing is changed")?,
            }
        }
        if self.quarantined.is_empty() {
            writeln!(out, "  unpacked      nothing of it, as far as this machine remembers")?;
        }
        Ok(())
    }
}
