//! What a command has to say: a report, problems, an exit code; printed for people or as one JSON document.

use std::io::{self, BufWriter, Write};

use consign_metadata::{Problem, printable};
use serde::{Serialize, Serializer};

pub(crate) use consign::failure::Failure;

use crate::exit::Exit;
use crate::ledger::Recorded;
use crate::stream;

/// A result that can be shown in both ways: for programs by serialising.
pub(crate) trait Report: erased_serde::Serialize {
    /// For people, on standard output.
    fn human(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// What became of a command.
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) problems: Vec<Problem>,
    pub(crate) report: Option<Box<dyn Report>>,
}

impl<R: Report + 'static> From<consign::operation::Outcome<R>> for Outcome {
    fn from(outcome: consign::operation::Outcome<R>) -> Self {
        let report = outcome.report.map(|report| Box::new(report) as Box<dyn Report>);
        Self { exit: outcome.exit, problems: outcome.problems, report }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self { exit: failure.exit, problems: failure.problems, report: None }
    }
}

impl Outcome {
    /// Everything held.
    pub(crate) fn done(report: impl Report + 'static) -> Self {
        Self { exit: Exit::Done, problems: Vec::new(), report: Some(Box::new(report)) }
    }

    /// The same without what looks like a secret in its problems.
    pub(crate) fn guarded(mut self) -> Self {
        self.problems = self.problems.into_iter().map(crate::secrecy::guarded).collect();
        self
    }

    /// Writes the one document of `--json`. Its schema is `schemas/output.schema.json`.
    fn write_json(&self, command: &str, recorded: &Recorded, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Document<'a> {
            command: &'a str,
            exit: u8,
            problems: &'a [Problem],
            #[serde(flatten)]
            recorded: &'a Recorded,
            #[serde(serialize_with = "erased")]
            result: Option<&'a dyn Report>,
        }
        fn erased<S: Serializer>(report: &Option<&dyn Report>, serializer: S) -> Result<S::Ok, S::Error> {
            match report {
                Some(report) => erased_serde::serialize(*report, serializer),
                None => serializer.serialize_none(),
            }
        }
        let document = Document {
            command,
            exit: self.exit.code(),
            problems: &self.problems,
            recorded,
            result: self.report.as_deref(),
        };
        // Written as it is made: a report may list a million files.
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
        out.flush()
    }

    /// Prints everything, and gives the exit code. A reader that went away is no failure of the command.
    pub(crate) fn print(&self, command: &str, json: bool, recorded: &Recorded) -> Exit {
        let written = if json {
            self.write_json(command, recorded, &mut BufWriter::new(stream::json()))
        } else {
            self.print_for_people(recorded)
        };
        let done = match self.exit {
            Exit::Done => "what was asked for was done, or found in order, all the same".into(),
            exit => format!("without that the exit code would be {}", exit.code()),
        };
        settle(written, self.exit, Some(done))
    }

    /// The same where the process was told to stop before it was done: then it ends by that signal. What was found out
    /// of a bundle by then stays what it is.
    pub(crate) fn stopped_by(mut self, signal: Option<u8>) -> Self {
        // An answer that a command waited for in vain looks like one that was not given.
        if let (Some(signal), Exit::Failed | Exit::Usage) = (signal, self.exit) {
            self.exit = Exit::Signal(signal);
        }
        self
    }

    fn print_for_people(&self, recorded: &Recorded) -> io::Result<()> {
        if let Some(report) = &self.report {
            let mut out = BufWriter::new(stream::stdout());
            report.human(&mut out)?;
            out.flush()?;
        }
        let mut err = stream::stderr();
        let error = crate::style::ERROR;
        for problem in &self.problems {
            write_problem(&format!("{error}error{error:#}"), problem, &mut err)?;
        }
        let warn = crate::style::WARN;
        for note in &recorded.notes {
            write_problem(&format!("{warn}note{warn:#}"), note, &mut err)?;
        }
        err.flush()
    }
}

/// The exit code of a command that ended with `exit` and printed its result, or could not: then it says so where it still
/// can, with what became of the command. A reader that went away had what it wanted.
pub(crate) fn settle(written: io::Result<()>, exit: Exit, done: Option<String>) -> Exit {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let said = format!("what there is to say cannot be written to standard output: {error}");
            let problem = Problem { hint: done, ..Problem::new("output-lost", said) };
            // There is nowhere left to say that standard error is lost, too.
            let _ = write_problem("error", &problem, &mut stream::stderr());
            exit.and(Exit::Failed)
        }
        _ => exit,
    }
}

fn write_problem(kind: &str, problem: &Problem, err: &mut dyn Write) -> io::Result<()> {
    let bold = crate::style::HINT;
    // The place first, as it is looked for: the file, then the line.
    let text = match (&problem.at, problem.line) {
        (Some(at), Some(line)) => format!("{at}, line {line}: {}", problem.message),
        _ => problem.to_string(),
    };
    // Names and texts of strangers may be part of it: nothing in them may drive the terminal.
    writeln!(err, "{kind}: {}", printable(&text))?;
    match &problem.hint {
        Some(hint) => {
            hint.lines().try_for_each(|line| writeln!(err, "  {bold}hint{bold:#}: {}", printable(line)))
        }
        None => Ok(()),
    }
}
