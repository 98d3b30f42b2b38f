//! What `submit` has to say, in words.

use crate::outcome::Report;
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{self, size};
use consign::operations::submit::{self, Submitted, Withdrawn};
use consign_metadata::printable;
use std::io::{self, Write};

impl Report for Submitted {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, error, warn) = (style::GOOD, style::ERROR, style::WARN);
        let class = self.bundle.class();
        for (n, delivery) in self.deliveries.iter().enumerate() {
            if n > 0 {
                writeln!(out)?;
            }
            let (style, what) = match delivery.status {
                "dry-run" => (good, "would submit"),
                "failed" | "refused" => (error, "not submitted"),
                status => (good, status),
            };
            writeln!(out, "{style}{what}{style:#} {} {}  [{class}]", self.bundle.name, self.bundle.version)?;
            writeln!(out, "  to            {}", printable(&delivery.destination.display().to_string()))?;
            writeln!(out, "  bundle id     {}", self.bundle.id())?;
            render::addressees(&self.bundle.addressees, "  ", 13, out)?;
            writeln!(out, "  archive       {}, {}", size(self.bytes), self.archive_sha256)?;
            for file in &self.files {
                writeln!(out, "  file          {}", file.name)?;
            }
            delivery.handling.human(out, 13)?;
            delivery.laboratories.iter().try_for_each(|laboratory| laboratory.human(out))?;
        }
        for note in &self.notes {
            writeln!(out, "  {warn}note{warn:#}          {}", printable(&note.message))?;
        }
        Ok(())
    }
}

impl Report for Withdrawn {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let warn = style::WARN;
        let class = self.bundle.class();
        for delivery in &self.revocation {
            let what = match delivery.status {
                "dry-run" => "would submit the revocation of",
                "unchanged" => "unchanged: the revocation of",
                _ => "submitted the revocation of",
            };
            writeln!(out, "{warn}{what}{warn:#} {} {}  [{class}]", self.bundle.name, self.bundle.version)?;
            writeln!(out, "  to            {}", printable(&delivery.destination.display().to_string()))?;
            writeln!(out, "  bundle id     {}", self.bundle.id())?;
            self.files.iter().try_for_each(|file| writeln!(out, "  file          {}", file.name))?;
        }
        Ok(())
    }
}

impl Report for submit::Report {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Submitted(report) => report.human(out),
            Self::Withdrawn(report) => report.human(out),
        }
    }
}
