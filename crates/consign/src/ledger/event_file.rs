//! Events in files: of runs that have no ledger at hand, to be joined with one later.
//!
//! Many may write into one folder at once, also on a network file system: each writes a file of its own, which
//! gets its name when it is whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use consign_bundle::publish::{exclusive_by, prepare, publish};
use consign_ledger::{EVENT_BYTES_MAX, EVENTS_DROPPED, Event};
use consign_metadata::{Problem, Sha256Digest};

use crate::context::{unreadable, unwritable};
use crate::exit::Exit;
use crate::failure::Failure;

/// Ending of the files.
const SUFFIX: &str = ".events.jsonl";
/// Largest file, in bytes.
const BYTES_MAX: u64 = 1 << 30;

/// Writes events to `path`: a folder, or a file that they are appended to.
pub fn write_events(path: &Path, events: &[Event]) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for event in events {
        let line = event.to_line().map_err(|error| Failure::failed(error.problem()))?;
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
    if path.is_dir() {
        let Some(first) = events.first() else { return Ok(()) };
        // Times sort, digests differ.
        let time = first.timestamp.to_string().replace([':', '-'], "");
        let name = format!("{time}-{}{SUFFIX}", &Sha256Digest::of(&lines).hex()[..16]);
        let file = prepare(path, &lines).map_err(|error| unwritable(path, &error))?;
        return publish(path, vec![(name, file)]).map_err(|(path, error)| unwritable(&path, &error));
    }
    append(path, &lines).map_err(|error| unwritable(path, &error))
}

/// Appends whole lines: others that append wait, and what cannot be written in full is taken off again.
fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    if !file.metadata()?.is_file() {
        // A pipe or a terminal has neither a lock nor a disk.
        return file.write_all(lines);
    }
    let _held = exclusive_by(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(lines).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = file.set_len(before);
    }
    written
}

/// The events of a file, or of all files of a folder in the order of their names.
///
/// # Errors
/// Something cannot be read, or is no event: nothing is taken from a file that is not in order throughout.
pub fn read_events(path: &Path) -> Result<Vec<(PathBuf, Vec<Event>)>, Failure> {
    let files = if path.is_dir() { files_in(path)? } else { vec![path.to_owned()] };
    files.into_iter().map(|file| read(&file).map(|events| (file, events))).collect()
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let name = entry.map_err(|error| unreadable(folder, &error))?.file_name();
        if name.to_str().is_some_and(|name| name.ends_with(SUFFIX)) {
            found.push(folder.join(name));
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<Event>, Failure> {
    let mut bytes = Vec::new();
    let file = crate::reading::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    let malformed = |line: usize, message: String| {
        let problem = Problem::new("event-malformed", message).at(path.display().to_string());
        let problem = Problem { line: Some(line), ..problem };
        Failure::new(Exit::NotIntact, problem.hint("nothing was taken from this file; ask for it again"))
    };
    if bytes.len() as u64 > BYTES_MAX {
        return Err(malformed(1, format!("is larger than {BYTES_MAX} bytes")));
    }
    if bytes.last().is_some_and(|last| *last != b'\n') {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        return Err(malformed(lines + 1, "is cut short: the last line has no end".into()));
    }
    let mut events = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
        if line.len() > EVENT_BYTES_MAX {
            return Err(malformed(number, format!("the line is longer than {EVENT_BYTES_MAX} bytes")));
        }
        let event = Event::parse(line).map_err(|error| malformed(number, error.to_string()))?;
        // A ledger's word about its own bodies is its own: taken from elsewhere, it would excuse what was removed.
        if event.action.as_str() == EVENTS_DROPPED {
            let message = "says that bodies of events were dropped, which only the ledger itself can say";
            return Err(malformed(number, message.into()));
        }
        // An event is unsigned; a receipt is not, and says itself who gave it.
        if event.action.as_str() == crate::act::Action::ReceiptAdded.word() {
            let message = "says that a receipt was taken, which only the receipt shows: add that with `consign ledger add-receipt`";
            return Err(malformed(number, message.into()));
        }
        events.push(event);
    }
    Ok(events)
}
