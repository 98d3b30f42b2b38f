//! Exclude patterns: what they match.

use std::path::Path;

use consign_metadata::Line;
use consign_metadata::pattern::{Subject, compile};
use globset::GlobMatcher;

use super::fault::SourceError;

/// One exclude pattern, ready to match.
pub(super) struct Pattern {
    pub(super) text: Line,
    glob: GlobMatcher,
    directories_only: bool,
    /// Matches the last component instead of the whole path.
    any_depth: bool,
}

impl Pattern {
    pub(super) fn new(text: &Line) -> Result<Self, SourceError> {
        let error = |message: String| SourceError::Pattern { pattern: text.clone(), message };
        let whole = text.as_str();
        let glob = whole.strip_suffix('/').unwrap_or(whole);
        let any_depth = !glob.contains('/');
        let glob = glob.strip_prefix('/').unwrap_or(glob);
        if glob.is_empty() {
            return Err(error("it names nothing".into()));
        }
        if let Some(part) = glob.split('/').find(|part| matches!(*part, "" | "." | "..")) {
            return Err(error(format!("it has the part `{part}`, which no path in the source has")));
        }
        let glob = compile(glob, Subject::Path).map_err(|e| error(format!("it {e}")))?;
        Ok(Self { text: text.clone(), glob, directories_only: whole.ends_with('/'), any_depth })
    }

    pub(super) fn matches(&self, path: &Path, is_directory: bool) -> bool {
        let subject = if self.any_depth { path.file_name().unwrap_or_default() } else { path.as_os_str() };
        (is_directory || !self.directories_only) && self.glob.is_match(subject)
    }
}
