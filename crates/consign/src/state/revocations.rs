//! Revocations of bundles: beside a bundle, where the caller says, and those that were seen before.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use consign_bundle::publish;
use consign_metadata::{Problem, Sha256Digest};
use consign_signing::{ATTESTATIONS_BYTES_MAX, AttestationError, Revocations, SignedRevocation};

use super::State;
use crate::bundle_set::REVOCATIONS;
use crate::context::{own_file, unreadable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::reading::regular_files;

const FOLDER: &str = "revocations";

/// Reads a file of revocations; every line must verify.
pub fn read_revocations(path: &Path) -> Result<Revocations, Failure> {
    let mut bytes = Vec::new();
    let read = |file: File| file.take(ATTESTATIONS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    crate::reading::open(path).and_then(read).map_err(|error| unreadable(path, &error))?;
    Revocations::parse(&bytes).map_err(|errors| {
        let problem = |error: &AttestationError| {
            let mut problem = error.problem().at(path.display().to_string());
            problem.hint.get_or_insert_with(|| "ask for the file again".into());
            problem
        };
        Failure { exit: Exit::NotIntact, problems: errors.iter().map(problem).collect() }
    })
}

/// All revocations of a file, or of the files of a folder whose names say that they hold some.
pub fn read_named(named: &Path) -> Result<Vec<SignedRevocation>, Failure> {
    let files = if named.is_dir() { files_in(named)? } else { vec![named.to_owned()] };
    let mut all = Vec::new();
    for file in files {
        all.extend_from_slice(read_revocations(&file)?.signed());
    }
    Ok(all)
}

/// The files of a folder that hold revocations, by their names, in order.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let files = regular_files(folder).map_err(|error| unreadable(folder, &error))?;
    let named = |path: &PathBuf| path.to_str().is_some_and(|name| name.ends_with(REVOCATIONS));
    Ok(files.into_iter().filter(named).collect())
}

impl State {
    /// Those that were seen before, and those that somebody put there.
    pub fn revocations(&self) -> Result<Vec<SignedRevocation>, Failure> {
        match self.path(FOLDER) {
            Some(folder) if folder.is_dir() => {
                // Nobody else may have put some there or taken some away.
                files_in(&folder)?.iter().try_for_each(|file| own_file(file).map(drop))?;
                read_named(&folder)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Keeps a revocation: it binds once it was seen.
    pub fn keep_revocation(&self, signed: &SignedRevocation) -> io::Result<()> {
        let folder = self.make(FOLDER)?;
        // What was not chosen by the sender: a digest cannot lead anywhere.
        let name = format!("{}{REVOCATIONS}", Sha256Digest::of(signed.line()).hex());
        let path = folder.join(name);
        if path.exists() {
            return Ok(());
        }
        publish::replace(&path, &Revocations::new(signed.clone()).to_bytes())
    }
}

/// A revocation that could not be kept.
pub fn not_kept(error: &io::Error) -> Problem {
    super::not_kept("the revocation", error)
}
