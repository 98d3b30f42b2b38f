//! What `unpack` has to say, in words.

use crate::examined::AsOf;
use crate::outcome::Report;
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{self, count, size};
use consign::operations::unpack::Unpacked;
use std::io::{self, Write};

impl Report for Unpacked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        let class = self.bundle.class();
        writeln!(out, "{good}unpacked{good:#} {} {}  [{class}]", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  into        {}", self.destination.display())?;
        writeln!(
            out,
            "  content     {}, {}, each verified",
            count(self.files, "file", "files"),
            size(self.bytes)
        )?;
        writeln!(out, "  bundle id   {}", self.bundle.id())?;
        render::addressees(&self.bundle.addressees, "  ", 11, out)?;
        self.handling.human(out, 11)?;
        if let Some(AsOf { time, .. }) = &self.as_of {
            writeln!(
                out,
                "  {warn}HELD AS OF {time}, on your word: it would not hold now, and nothing proves that the signature was made by then{warn:#}"
            )?;
        } else if !self.trusted {
            writeln!(
                out,
                "  {warn}NOT VERIFIED: nobody you trust vouches for it; it may come from anyone{warn:#}"
            )?;
        }
        for note in &self.notes {
            writeln!(out, "  {warn}note{warn:#}        {}", consign_metadata::printable(&note.message))?;
        }
        Ok(())
    }
}
