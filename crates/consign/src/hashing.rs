//! Reading a file to its end: its digest, told of on the way, and a copy if one is wanted.

use std::io::{self, Read, Write};
use std::path::Path;

use consign_bundle::publish::temporary;
use consign_bundle::{Progress, Sha256State};
use consign_metadata::{Problem, Sha256Digest};
use tempfile::NamedTempFile;

use crate::checked::interrupted;
use crate::context::{Context, unreadable, unwritable};
use crate::exit::Exit;
use crate::failure::Failure;

/// Why a file was not read to its end.
#[derive(Debug)]
pub enum Stopped {
    /// It was told to stop.
    Cancelled,
    /// It could not be read.
    Read(io::Error),
    /// The copy could not be written.
    Write(io::Error),
}

impl Stopped {
    /// The same as a failure, with the file that was read and the place that was written to.
    pub fn failure(&self, from: &Path, to: &Path) -> Failure {
        match self {
            Self::Cancelled => Failure::failed(interrupted()),
            Self::Read(error) => unreadable(from, error),
            Self::Write(error) => unwritable(to, error),
        }
    }
}

/// The digest of all that comes, which is not held in memory; what comes is written to `copy` too.
pub fn digest(
    mut source: impl Read,
    progress: &dyn Progress,
    mut copy: Option<&mut dyn Write>,
) -> Result<Sha256Digest, Stopped> {
    let mut state = Sha256State::initial();
    let mut buffer = vec![0; 1 << 20];
    loop {
        if progress.cancelled() {
            return Err(Stopped::Cancelled);
        }
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(state.finish()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stopped::Read(error)),
        };
        state.update(&buffer[..read]);
        if let Some(copy) = &mut copy {
            copy.write_all(&buffer[..read]).map_err(Stopped::Write)?;
        }
        progress.advance(read as u64);
    }
}

/// A copy of a file in a folder, without its name yet, on disk. What arrived has the digest that is expected.
pub fn copy_verified(
    context: &Context,
    from: &Path,
    expected: Sha256Digest,
    folder: &Path,
) -> Result<NamedTempFile, Failure> {
    let failed = |error: io::Error| unwritable(folder, &error);
    let source = crate::reading::open(from).map_err(|error| unreadable(from, &error))?;
    let size = source.metadata().map_err(|error| unreadable(from, &error))?.len();
    let mut target = temporary(folder).map_err(failed)?;
    let meter = context.meter("copying", size);
    let found = digest(source, &meter, Some(&mut target));
    if found.map_err(|stopped| stopped.failure(from, folder))? != expected {
        let problem = Problem::new("changed", "is not what it was found to be: it was changed meanwhile");
        return Err(Failure::new(Exit::NotIntact, problem.at(from.display().to_string())));
    }
    target.as_file().sync_all().map_err(failed)?;
    Ok(target)
}

/// The digest of a file.
pub fn digest_of_file(path: &Path, progress: &dyn Progress) -> Result<Sha256Digest, Failure> {
    let file = crate::reading::open(path).map_err(|error| unreadable(path, &error))?;
    digest(file, progress, None).map_err(|stopped| stopped.failure(path, path))
}
