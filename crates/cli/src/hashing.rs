//! Reading a file to its end: its digest, told of on the way, and a copy if one is wanted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use consign_bundle::{Progress, Sha256State};
use consign_metadata::Sha256Digest;

use crate::checked::interrupted;
use crate::context::{unreadable, unwritable};
use crate::outcome::Failure;

/// Why a file was not read to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It was told to stop.
    Cancelled,
    /// It could not be read.
    Read(io::Error),
    /// The copy could not be written.
    Write(io::Error),
}

impl Stopped {
    /// The same as a failure, with the file that was read and the place that was written to.
    pub(crate) fn failure(&self, from: &Path, to: &Path) -> Failure {
        match self {
            Self::Cancelled => Failure::failed(interrupted()),
            Self::Read(error) => unreadable(from, error),
            Self::Write(error) => unwritable(to, error),
        }
    }
}

/// The digest of all that comes, which is not held in memory; what comes is written to `copy` too.
pub(crate) fn digest(
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

/// The digest of a file.
pub(crate) fn digest_of_file(path: &Path, progress: &dyn Progress) -> Result<Sha256Digest, Failure> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    digest(file, progress, None).map_err(|stopped| stopped.failure(path, path))
}
