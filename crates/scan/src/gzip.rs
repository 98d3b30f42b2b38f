//! What a gzip file holds.

use std::io::{self, Write};

use consign_metadata::RuleId;
use flate2::write::MultiGzDecoder;

use crate::inspect::{Inspect, Report, Subject};

/// Most bytes of content that are looked at.
const CONTENT_MAX: u64 = 256 << 20;
/// Content that may come out of no matter how little,
const CONTENT_FREE: u64 = 16 << 20;
/// and how much of it for each byte of the file beyond that. Text comes to a tenth, logs to a fiftieth.
const RATIO_MAX: u64 = 200;

/// Unpacks a stream and has the content inspected.
pub(crate) struct Gzip {
    subject: Subject,
    /// Absent once there is nothing more to unpack.
    decoder: Option<MultiGzDecoder<Content>>,
}

/// What comes out.
struct Content {
    inspector: Box<dyn Inspect + Send>,
    report: Report,
    /// Bytes that have gone in and come out.
    read: u64,
    written: u64,
    too_much: bool,
}

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len() as u64;
        if self.written > CONTENT_MAX.min(CONTENT_FREE + RATIO_MAX.saturating_mul(self.read)) {
            self.too_much = true;
            return Err(io::Error::other("too much"));
        }
        self.inspector.update(bytes, &mut self.report);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Gzip {
    pub(crate) fn new(subject: Subject, inspector: Box<dyn Inspect + Send>) -> Self {
        let content = Content { inspector, report: Report::default(), read: 0, written: 0, too_much: false };
        Self { subject, decoder: Some(MultiGzDecoder::new(content)) }
    }

    /// Ends it: what has come out is looked at to its end.
    fn end(&mut self, failed: bool, report: &mut Report) {
        let Some(mut decoder) = self.decoder.take() else { return };
        let content = decoder.get_mut();
        content.inspector.finish(&mut content.report);
        report.join(std::mem::take(&mut content.report));
        let rule: Option<RuleId> = match failed {
            true if content.too_much => "malformed/unpacks-to-too-much".parse().ok(),
            true => "malformed/gzip".parse().ok(),
            false => None,
        };
        let said = content.too_much.then(|| format!("looked at the first {} MiB", content.written >> 20));
        if let Some(rule) = rule {
            report.add(&rule, &self.subject, None, said.and_then(|said| said.parse().ok()));
        }
    }
}

impl Inspect for Gzip {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        for piece in bytes.chunks(64 << 10) {
            let Some(decoder) = &mut self.decoder else { return };
            decoder.get_mut().read += piece.len() as u64;
            let failed = decoder.write_all(piece).is_err();
            report.join(std::mem::take(&mut decoder.get_mut().report));
            if failed {
                self.end(true, report);
            }
        }
    }

    fn finish(&mut self, report: &mut Report) {
        let failed = self.decoder.as_mut().is_some_and(|decoder| decoder.try_finish().is_err());
        self.end(failed, report);
    }
}
