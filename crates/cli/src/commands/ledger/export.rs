//! `consign ledger export`: events for other systems.

use std::io::{self, BufWriter};
use std::path::PathBuf;

use serde::Serialize;

use super::KeyArgs;
use crate::args::{self, Given};
use crate::context::{Context, directory_for, unwritable};
use crate::ledger::{LoggedEvent, OpenLedger, select};
use crate::outcome::{Failure, Outcome, Report};
use crate::style::count;

/// Write events as JSON Lines, for a SIEM or another log
///
/// One event a line as it stands in the ledger, with its number (`ledger_index`) and the ledger's name
/// (`ledger_origin`) in front.
#[derive(clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    filter: Given<args::Filter>,
    /// The file; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

/// What was written.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Exported {
    output: PathBuf,
    events: u64,
}

impl Report for Exported {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        if self.output.as_os_str() == "-" {
            return Ok(());
        }
        writeln!(out, "{} written to {}", count(self.events, "event", "events"), self.output.display())
    }
}

/// A line of the export.
#[derive(Serialize)]
struct Line<'a> {
    ledger_index: u64,
    ledger_origin: &'a str,
    #[serde(flatten)]
    event: &'a consign_ledger::Event,
}

impl Export {
    pub(super) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let OpenLedger { ledger, .. } = self.key.open(context)?;
        let origin = ledger.checkpoint().origin().to_owned();
        let mut events = 0;
        let mut write = |out: &mut dyn io::Write| -> Result<io::Result<()>, Failure> {
            let filter = (*self.filter).clone().by_any_name(context);
            for entry in select(&ledger, &filter) {
                let LoggedEvent { index, event: Some(event), .. } = entry? else { continue };
                let line = Line { ledger_index: index, ledger_origin: &origin, event: &event };
                let written = serde_json::to_writer(&mut *out, &line).map_err(io::Error::from);
                if let Err(error) = written.and_then(|()| out.write_all(b"\n")) {
                    return Ok(Err(error));
                }
                events += 1;
            }
            Ok(out.flush())
        };
        if self.output.as_os_str() == "-" {
            if context.json {
                let problem = consign_metadata::Problem::new(
                    "output-needed",
                    "standard output is for the one document of `--json`",
                );
                return Err(Failure::usage(problem.hint("name a file: `--output FILE`")));
            }
            match write(&mut BufWriter::new(crate::stream::json()))? {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Err(unwritable(&self.output, &error));
                }
                _ => {}
            }
        } else {
            let folder = directory_for(&self.output)?;
            let failed = |error: io::Error| unwritable(&self.output, &error);
            let file = consign_bundle::publish::temporary(folder).map_err(failed)?;
            write(&mut BufWriter::new(file.as_file()))?.map_err(failed)?;
            file.as_file().sync_all().map_err(failed)?;
            file.persist(&self.output).map_err(|error| failed(error.error))?;
        }
        Ok(Outcome::done(Exported { output: self.output.clone(), events }))
    }
}
