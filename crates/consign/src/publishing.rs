//! What stands under a name where something is to be published.

use std::io;
use std::path::Path;

use consign_metadata::Problem;

use crate::failure::Failure;

/// What a file holds; `None` if it is not there.
pub fn existing(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(crate::context::unreadable(path, &error)),
    }
}

/// The name of an output belongs to something else.
pub fn taken(path: &Path) -> Failure {
    let problem = Problem::new("output-exists", "already exists and belongs to something else");
    Failure::failed(
        problem.at(path.display().to_string()).hint("write to another folder, or raise the version"),
    )
}
