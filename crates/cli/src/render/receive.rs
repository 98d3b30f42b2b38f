//! What `receive` has to say, in words.

use crate::bundle_out::BundleOut;
use crate::outcome::Report;
use crate::receipts::Written;
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{self, size};
use consign::operations::receive::{Arrived, Received, ReceivedBundle};
use consign_metadata::printable;
use std::io::{self, Write};

impl Report for Received {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for (n, bundle) in self.bundles.iter().enumerate() {
            if n > 0 {
                writeln!(out)?;
            }
            bundle.human(self.dry_run, out)?;
        }
        for (n, revocation) in self.revocations.iter().enumerate() {
            if n + self.bundles.len() > 0 {
                writeln!(out)?;
            }
            revocation.human(out)?;
        }
        Ok(())
    }
}

trait ReceivedBundleInWords {
    fn human(&self, dry_run: bool, out: &mut dyn Write) -> io::Result<()>;
}

impl ReceivedBundleInWords for ReceivedBundle {
    fn human(&self, dry_run: bool, out: &mut dyn Write) -> io::Result<()> {
        let (good, error) = (style::GOOD, style::ERROR);
        let path = printable(&self.path);
        match (self.verdict, &self.bundle) {
            (Some("accepted"), Some(bundle)) => {
                let (BundleOut { name, version, .. }, class) = (bundle, bundle.class());
                let what = if dry_run { "would accept" } else { "accepted" };
                writeln!(out, "{good}{what}{good:#} {name} {version}  [{class}]")?;
            }
            (Some(_), _) if dry_run => writeln!(out, "{error}would refuse{error:#} {path}")?,
            (Some(verdict), _) => writeln!(out, "{error}{verdict}{error:#} {path}")?,
            (None, _) => writeln!(out, "{error}not handled{error:#} {path}")?,
        }
        match &self.bundle {
            Some(bundle) if self.verdict == Some("accepted") => {
                writeln!(out, "  bundle id     {}", bundle.id())?;
            }
            Some(BundleOut { name, version, .. }) => {
                writeln!(out, "  claims to be  {name} {version}")?;
            }
            None => {}
        }
        let addressees = self.bundle.as_ref().map(|bundle| bundle.addressees.as_slice());
        render::addressees(addressees.unwrap_or_default(), "  ", 13, out)?;
        if let Some(Arrived { size: bytes, sha256, encrypted }) = &self.file {
            let what = if *encrypted { "encrypted" } else { "archive" };
            writeln!(out, "  {what:<13} {}, {sha256}", size(*bytes))?;
        }
        for signer in &self.signers {
            let who = signer.name.as_ref().unwrap_or(&signer.fingerprint);
            writeln!(out, "  signed by     {who} as {}", signer.role)?;
        }
        if let Some(directory) = &self.unpacked {
            writeln!(out, "  unpacked      {}", printable(&directory.display().to_string()))?;
        }
        if let Some(Written { path, status, .. }) = &self.receipt {
            let same = if *status == "unchanged" { " (unchanged)" } else { "" };
            writeln!(out, "  receipt       {}{same}", printable(&path.display().to_string()))?;
        }
        let warn = style::WARN;
        for note in &self.notes {
            writeln!(out, "  {warn}note{warn:#}          {}", printable(&note.message))?;
        }
        self.handling.iter().try_for_each(|handling| handling.human(out, 13))
    }
}
