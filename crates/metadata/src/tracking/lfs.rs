//! Git LFS: which files `.gitattributes` gives to it, and which of them are still pointers.

use super::{Files, Tracked, listed};
use crate::problem::Problem;
use crate::unicode::excerpt;

/// How every pointer begins (Git LFS specification, version 1).
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// Most files that are looked at for being pointers.
const LOOKED_AT_MAX: usize = 10_000;

/// What is known of Git LFS in a directory.
pub(super) fn read(files: &dyn Files) -> Option<Tracked> {
    let attributes = super::text(files, ".gitattributes")?;
    let patterns: Vec<String> = attributes
        .lines()
        .map(str::trim)
        .filter(|line| {
            !line.starts_with('#') && line.split_whitespace().skip(1).any(|word| word == "filter=lfs")
        })
        .filter_map(|line| line.split_whitespace().next().map(excerpt))
        .collect();
    if patterns.is_empty() {
        return None;
    }
    let mut tracked = Tracked { from: "Git LFS".into(), ..Tracked::default() };
    let pointers: Vec<String> = files
        .names()
        .into_iter()
        .take(LOOKED_AT_MAX)
        .filter(|name| files.read(name, POINTER.len()).is_some_and(|head| head == POINTER))
        .map(excerpt)
        .collect();
    if pointers.is_empty() {
        let message =
            format!("files by these patterns are kept by Git LFS, and are here: {}", listed(&patterns));
        tracked.draft.notes.extend(message.parse().ok());
    } else {
        let message = format!("{} only point to content that Git LFS keeps elsewhere", listed(&pointers));
        let problem =
            Problem::new("lfs-pointer", message).hint("fetch the content with `git lfs pull` first");
        tracked.warnings.push(problem);
    }
    Some(tracked)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn field_c4_git_lfs_is_known_and_pointers_are_told() {
        let attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n# *.x filter=lfs\n*.txt text\n";
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let tracked = read(&Folder::of(&[(".gitattributes", attributes), ("a.bin", "weights")])).unwrap();
        assert_eq!((tracked.warnings.len(), tracked.draft.notes.len()), (0, 1));
        assert!(tracked.draft.notes[0].as_str().ends_with("`*.bin`"));
        let tracked = read(&Folder::of(&[(".gitattributes", attributes), ("a.bin", pointer)])).unwrap();
        assert_eq!(tracked.warnings[0].code, "lfs-pointer");
        assert!(read(&Folder::of(&[(".gitattributes", "*.txt text\n")])).is_none());
    }
}
