//! What can be wrong with a source, all of it as values.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use consign_metadata::{EntryPath, Line, NameFault, NameRule};

/// One thing in a source that cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// A symbolic link.
    #[error("`{}` is a symbolic link to `{}`", shown(path), shown(target))]
    Link {
        /// The link, below the source.
        path: PathBuf,
        /// Its target as it stands in the link.
        target: PathBuf,
        /// Where it leads.
        leads: LinkTarget,
    },
    /// A socket, pipe or device.
    #[error("`{}` is neither a file nor a directory", shown(.0))]
    Special(PathBuf),
    /// A file that runs with the rights of its owner or group, which a bundle does not keep.
    #[error(
        "`{}` runs with the rights of its owner or group (mode {mode:04o}), which a bundle does not keep",
        shown(path)
    )]
    Privileged {
        /// The file, below the source.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What a run of consign works on, or left when it was killed.
    #[error("`{}` is unfinished work of consign itself", shown(.0))]
    Unfinished(PathBuf),
    /// A version-control folder, or a file that stands for it.
    #[error("`{}` belongs to version control", shown(path))]
    VersionControl {
        /// Where it is, below the source.
        path: PathBuf,
        /// Whether it is a folder.
        folder: bool,
        /// Number of files in it.
        files: u64,
        /// Their size.
        bytes: u64,
    },
    /// Something cannot be looked at.
    #[error("`{}` cannot be read: {error}", shown(path))]
    Unreadable {
        /// Where, below the source.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Where a refused symbolic link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// Into the source.
    Inside,
    /// Elsewhere: the resolved path.
    Outside(PathBuf),
    /// Nowhere.
    Broken,
    /// To a directory that it lies in.
    Loop,
}

impl SourceFault {
    /// The path that it is about, if it can be told as text.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Name(fault) => Some(&fault.path),
            Self::Link { path, .. }
            | Self::Special(path)
            | Self::Unfinished(path)
            | Self::Privileged { path, .. }
            | Self::VersionControl { path, .. }
            | Self::Unreadable { path, .. } => path.to_str(),
        }
    }

    /// Stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(fault) => fault.rule.code(),
            Self::Link { .. } => "symlink",
            Self::Special(_) => "special-file",
            Self::Unfinished(_) => "unfinished",
            Self::Privileged { .. } => "set-user-id",
            Self::VersionControl { .. } => "version-control",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// Where it is, below the source.
    pub fn place(&self) -> &Path {
        match self {
            Self::Name(fault) => Path::new(&fault.path),
            Self::Special(path)
            | Self::Unfinished(path)
            | Self::Privileged { path, .. }
            | Self::Link { path, .. }
            | Self::VersionControl { path, .. }
            | Self::Unreadable { path, .. } => path,
        }
    }
}

/// Why a source cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The directory, or one that links may lead into, cannot be opened.
    #[error("`{}` cannot be opened as a directory: {error}", shown(path))]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// An exclude pattern is malformed.
    #[error("`{pattern}` is not a pattern: {message}")]
    Pattern {
        /// The pattern.
        pattern: Line,
        /// What is wrong with it.
        message: String,
    },
    /// Things that cannot be packed, all of them.
    #[error("{} entries cannot be packed", .0.len())]
    Faults(Vec<SourceFault>),
    /// Nothing to pack.
    #[error("there is no file to pack")]
    Empty,
}

/// Why a file of a source could not be read as it was found.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says no.
    #[error("`{path}` cannot be read: {error}")]
    Io {
        /// The file.
        path: EntryPath,
        /// What the system says.
        error: io::Error,
    },
    /// It is not what it was.
    #[error("`{0}` changed while it was being read")]
    Changed(EntryPath),
}

fn shown(path: &Path) -> String {
    consign_metadata::printable(&path.to_string_lossy())
}

/// Counts name faults by rule, and says whether the posix profile would lift them all.
pub fn count_by_rule<'a>(
    faults: impl IntoIterator<Item = &'a SourceFault>,
) -> (HashMap<NameRule, usize>, bool) {
    let mut counts = HashMap::new();
    let mut all_lifted = true;
    for fault in faults {
        match fault {
            SourceFault::Name(fault) => {
                *counts.entry(fault.rule).or_insert(0) += 1;
                all_lifted &= fault.rule.lifted_by_posix();
            }
            _ => all_lifted = false,
        }
    }
    (counts, all_lifted)
}
