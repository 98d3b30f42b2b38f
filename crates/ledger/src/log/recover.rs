//! What an append that was cut short left behind: found, and brought to its end or set aside.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::checkpoint::parse_decimal;
use crate::log::files;
use crate::log::layout::{PENDING, Row, TORN, WIDTH, segment_path};

/// Most directories of what was set aside at one size of the ledger. Each is one crash.
const ASIDE_MAX: u32 = 10_000;

/// What an append that was cut short had left behind. Nothing that had been acknowledged is ever part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// Events whose checkpoint was signed and whose data was all there: they are part of the ledger now.
    pub completed: Option<Range<u64>>,
    /// The directory that holds what was not so, and was cut off.
    pub aside: Option<PathBuf>,
    /// What was cut off, relative to the ledger's directory.
    pub set_aside: Vec<String>,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an append to the ledger had been cut short")?;
        if let Some(range) = &self.completed {
            let (first, last) = (range.start, range.end.saturating_sub(1));
            write!(f, "; events {first} to {last} were signed already and are part of it now")?;
        }
        if let Some(aside) = &self.aside {
            write!(f, "; what it left unfinished lies in {}", aside.display())?;
        }
        Ok(())
    }
}

/// Something beyond the checkpoint.
#[derive(Debug)]
enum Leftover {
    /// A file or a directory.
    Whole(String),
    /// The end of a segment, from that byte on.
    Tail(String, u64),
}

/// What a ledger of that size has no use for. `segment_end` is the length of the segment that is not full.
fn leftovers(directory: &Path, size: u64, segment_end: u64) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    let exists = |name: &str| files::exists(&directory.join(name));
    if exists(PENDING)? {
        found.push(Leftover::Whole(PENDING.to_owned()));
    }
    let mut segment = size / WIDTH;
    if !size.is_multiple_of(WIDTH) {
        let path = segment_path(segment);
        if fs::metadata(directory.join(&path))?.len() > segment_end {
            found.push(Leftover::Tail(path, segment_end));
        }
        segment += 1;
    }
    while exists(&segment_path(segment))? {
        found.push(Leftover::Whole(segment_path(segment)));
        segment += 1;
    }
    for row in Row::all() {
        if !exists(&row.directory())? {
            continue;
        }
        let mut index = row.full(size);
        let width = row.partial(size);
        let partial = row.partial_directory(index);
        if width > 0 {
            for name in files::names(&directory.join(&partial))? {
                if !parse_decimal(&name).is_some_and(|found| (1..=width).contains(&found)) {
                    found.push(Leftover::Whole(format!("{partial}/{name}")));
                }
            }
            if exists(&row.full_path(index))? {
                found.push(Leftover::Whole(row.full_path(index)));
            }
            index += 1;
        }
        loop {
            let (full, partial) = (row.full_path(index), row.partial_directory(index));
            let there: Vec<_> = [full, partial]
                .into_iter()
                .filter_map(|name| exists(&name).map(|is| is.then_some(name)).transpose())
                .collect::<io::Result<_>>()?;
            if there.is_empty() {
                break;
            }
            found.extend(there.into_iter().map(Leftover::Whole));
            index += 1;
        }
    }
    Ok(found)
}

/// Moves what lies beyond the checkpoint out of the way, into a directory of its own.
pub(crate) fn set_aside(
    directory: &Path,
    size: u64,
    segment_end: u64,
    repair: &mut Repair,
) -> Result<(), (PathBuf, io::Error)> {
    let found = leftovers(directory, size, segment_end).map_err(|error| (directory.to_owned(), error))?;
    if found.is_empty() {
        return Ok(());
    }
    let aside = make_aside(directory, size).map_err(|error| (directory.join(TORN), error))?;
    for leftover in found {
        let (Leftover::Whole(name) | Leftover::Tail(name, _)) = &leftover;
        let (from, to) = (directory.join(name), aside.join(name.replace('/', "-")));
        let moved = match &leftover {
            Leftover::Whole(_) => fs::rename(&from, &to).and_then(|()| sync_parent(&from)),
            Leftover::Tail(_, at) => cut(&from, *at, &to),
        };
        moved.map_err(|error| (from, error))?;
        repair.set_aside.push(name.clone());
    }
    files::sync_directory(&aside).map_err(|error| (aside.clone(), error))?;
    repair.aside = Some(aside);
    Ok(())
}

/// Moves the end of a file into another.
fn cut(from: &Path, at: u64, to: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(from)?;
    file.seek(SeekFrom::Start(at))?;
    let mut aside = File::create_new(to)?;
    io::copy(&mut file, &mut aside)?;
    aside.sync_all()?;
    // The name of the copy is durable before the original is cut.
    sync_parent(to)?;
    file.set_len(at)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), files::sync_directory)
}

/// Makes a directory that was not there: `torn/SIZE`, or `torn/SIZE-2` and so on.
fn make_aside(directory: &Path, size: u64) -> io::Result<PathBuf> {
    let torn = directory.join(TORN);
    match fs::create_dir(&torn) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) => files::sync_directory(directory)?,
        Err(_) => {}
    }
    for number in 1..ASIDE_MAX {
        let name = if number == 1 { size.to_string() } else { format!("{size}-{number}") };
        match fs::create_dir(torn.join(&name)) {
            Ok(()) => {
                files::sync_directory(&torn)?;
                return Ok(torn.join(name));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many leftovers of crashes here"))
}
