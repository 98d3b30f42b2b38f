//! What Git knows about a directory, asked in a way that changes nothing and runs nothing.
//!
//! A repository can name programs in its configuration, and the user's own configuration can name programs that look
//! for their parts in the current directory (`python3 -m nbstripout`) or in the repository's configuration (git-lfs).
//! Git starts them to compare files with the index. So Git is only asked what it answers without reading a file of
//! the work tree, and the files are compared here (`compare.rs`). ADR 0023.

mod ask;
mod compare;

use std::path::{Path, PathBuf};

use consign_metadata::{BundleVersion, Code, CommitId, Line, Repository, printable};

use self::ask::Git;
pub use self::compare::Changes;
use crate::environment::without_credentials;

/// What Git knows about a directory in a work tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkTree {
    /// Repository, commit and state.
    pub code: Code,
    /// Whether the commit knows the directory; if not, it merely lies there, as outputs of a run do.
    pub tracked: bool,
    /// The version that a tag of the commit names.
    pub version: Option<BundleVersion>,
    /// The branch that is checked out, else the one tag of the commit, in full: `refs/heads/main`.
    pub reference: Option<Line>,
    /// How many tracked files differ from the commit; `None` if it took too long to find out.
    pub changes: Option<Changes>,
    /// The directory at its top.
    pub top: Option<PathBuf>,
}

impl WorkTree {
    /// Asks Git; `None` if there is no Git, no work tree, no commit yet, or Git refuses, as it does where the
    /// work tree belongs to somebody else.
    pub fn of(directory: &Path) -> Option<Self> {
        let git = Git::at(directory)?;
        let inside = git.line(&["rev-parse", "--is-inside-work-tree"])?;
        let commit: CommitId = git.line(&["rev-parse", "--verify", "HEAD"])?.parse().ok()?;
        if inside != "true" {
            return None;
        }
        let at_top = git.line(&["rev-parse", "--show-prefix"]).is_none_or(|prefix| prefix.is_empty());
        let tracked = at_top || git.answer(&["rev-parse", "--verify", "--quiet", "HEAD:./"]).is_some();
        let top = git.line(&["rev-parse", "--show-toplevel"]).map(PathBuf::from);
        let changes = top.as_deref().and_then(compare::changes);
        let dirty = changes.and_then(Changes::any);
        Some(Self {
            code: Code { repository: git.repository(), commit: Some(commit), dirty },
            tracked,
            version: git.version(),
            reference: git.reference(),
            changes,
            top,
        })
    }
}

/// Why Git says nothing about a directory that may well lie in a work tree: in its own words, which may hold anything.
/// `None` if it says that there is none, or there is no Git.
pub fn refusal(directory: &Path) -> Option<Refusal> {
    let complaint = Git::at(directory)?.complaint(&["rev-parse", "--is-inside-work-tree"])?;
    let words = complaint.strip_prefix("fatal: ").unwrap_or(&complaint);
    let none = words.is_empty() || words.starts_with("not a git repository (or any");
    (!none).then(|| Refusal { words: printable(words), owner: words.contains("dubious ownership") })
}

/// Git refuses to say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    words: String,
    /// Whether it is since the repository belongs to another user.
    owner: bool,
}

impl Refusal {
    /// In words, with what can be done.
    pub fn in_words(&self) -> String {
        let next = match self.owner {
            true => {
                "; if you trust its owner, let Git read it: git config --global --add safe.directory DIRECTORY"
            }
            false => "",
        };
        format!("Git refuses to answer: {}{next}", self.words)
    }
}

impl Git<'_> {
    /// The address that it was cloned from, without credentials, if others can reach it there.
    fn repository(&self) -> Option<Repository> {
        // As configured: `git remote get-url` would apply `insteadOf`, which may put a token in.
        let address = self.line(&["config", "--get", "remote.origin.url"]).or_else(|| {
            let remotes = self.answer(&["remote"])?;
            let mut names = remotes.lines();
            let (only, None) = (names.next()?, names.next()) else { return None };
            self.line(&["config", "--get", &format!("remote.{only}.url")])
        })?;
        let address = without_credentials(&address);
        if address.starts_with("file:") { None } else { address.parse().ok() }
    }

    /// What is checked out: a branch, or else the one tag of the commit.
    fn reference(&self) -> Option<Line> {
        let tag = || self.line(&["for-each-ref", "--points-at", "HEAD", "--format=%(refname)", "refs/tags"]);
        self.line(&["symbolic-ref", "--quiet", "HEAD"]).or_else(tag)?.parse().ok()
    }

    /// The version that a tag of the checked-out commit names, if it is exactly one.
    fn version(&self) -> Option<BundleVersion> {
        let tags = self.answer(&["tag", "--points-at", "HEAD"])?;
        let mut versions =
            tags.lines().filter_map(|tag| tag.strip_prefix('v').unwrap_or(tag).parse::<BundleVersion>().ok());
        let version = versions.next()?;
        versions.all(|other| other == version).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn git(directory: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.current_dir(directory).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        command.args(["-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]).args(arguments);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
            command.env_remove(name);
        }
        let output = command.output().expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]);
        std::fs::create_dir(dir.path().join("model")).unwrap();
        std::fs::write(dir.path().join("model/weights"), "1").unwrap();
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-q", "-m", "First"]);
        git(dir.path(), &["remote", "add", "origin", "https://ada:s3cret@example.org/team/code.git"]);
        dir
    }

    #[test]
    fn a_repository_is_described_without_its_secrets() {
        let dir = repository();
        git(dir.path(), &["tag", "v1.2.0"]);
        let found = WorkTree::of(&dir.path().join("model")).unwrap();
        assert_eq!(
            found.code.repository.as_ref().map(Repository::as_str),
            Some("https://example.org/team/code.git")
        );
        assert_eq!(found.code.dirty, Some(false));
        assert!(found.tracked);
        assert_eq!(found.version.map(|v| v.to_string()).as_deref(), Some("1.2.0"));
        // Files that nobody added do not make it dirty, changed ones do.
        std::fs::write(dir.path().join("new"), "").unwrap();
        assert_eq!(WorkTree::of(dir.path()).unwrap().code.dirty, Some(false));
        std::fs::write(dir.path().join("model/weights"), "22").unwrap();
        let changed = WorkTree::of(dir.path()).unwrap();
        assert_eq!(
            (changed.code.dirty, changed.changes),
            (Some(true), Some(Changes { changed: 1, open: 0 }))
        );
    }

    #[test]
    fn what_is_checked_out_is_a_branch_or_a_tag() {
        let dir = repository();
        let reference = || WorkTree::of(dir.path()).unwrap().reference.map(|line| line.to_string());
        assert_eq!(reference().as_deref(), Some("refs/heads/main"));
        git(dir.path(), &["checkout", "-q", "--detach"]);
        assert_eq!(reference(), None);
        git(dir.path(), &["tag", "v1.2.0"]);
        assert_eq!(reference().as_deref(), Some("refs/tags/v1.2.0"));
        git(dir.path(), &["tag", "stable"]);
        assert_eq!(reference(), None, "two tags");
    }

    #[test]
    fn a_directory_that_no_commit_knows_merely_lies_there() {
        let dir = repository();
        std::fs::create_dir(dir.path().join("outputs")).unwrap();
        assert!(!WorkTree::of(&dir.path().join("outputs")).unwrap().tracked);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(WorkTree::of(elsewhere.path()), None);
        git(elsewhere.path(), &["init", "-q"]);
        assert_eq!(WorkTree::of(elsewhere.path()), None, "no commit yet");
        assert_eq!(WorkTree::of(Path::new("/nonexistent")), None);
    }

    #[test]
    fn attack_a1_what_a_filter_would_make_of_a_file_is_left_open() {
        let dir = repository();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let changes = || WorkTree::of(dir.path()).unwrap().changes.unwrap();
        git(dir.path(), &["config", "filter.up.clean", "tr a-z A-Z"]);
        write(".gitattributes", "*.up filter=up\n*.txt text\n*.id ident\n");
        write("a.up", "abc");
        write("b.txt", "1\n2\n");
        write("c.id", "$Id$\n");
        write("link", "");
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-q", "-m", "Second"]);
        // What is stored is `ABC`.
        assert_eq!(changes(), Changes { changed: 0, open: 1 });
        assert_eq!(WorkTree::of(dir.path()).unwrap().code.dirty, None);
        write("a.up", "ABC");
        assert_eq!(changes(), Changes::default());
        write("b.txt", "1\r\n2\r\n");
        assert_eq!(changes(), Changes::default(), "line ends that Git converts");
        write("c.id", "$Id: 0 $\n");
        assert_eq!(changes(), Changes { changed: 0, open: 1 });
        write("b.txt", "1\r\n3\r\n");
        assert_eq!(changes(), Changes { changed: 1, open: 1 });
        assert_eq!(WorkTree::of(dir.path()).unwrap().code.dirty, Some(true));
        std::fs::remove_file(dir.path().join("link")).unwrap();
        git(dir.path(), &["rm", "-q", "--cached", "model/weights"]);
        assert_eq!(changes(), Changes { changed: 3, open: 1 });
    }

    #[test]
    fn pointers_of_git_lfs_are_held_against_the_files() {
        let dir = repository();
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\nsize 3\n";
        std::fs::write(dir.path().join("w.bin"), pointer).unwrap();
        std::fs::write(dir.path().join(".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n")
            .unwrap();
        // As if Git LFS were not installed when they were added.
        git(
            dir.path(),
            &[
                "-c",
                "filter.lfs.clean=",
                "-c",
                "filter.lfs.process=",
                "-c",
                "filter.lfs.required=false",
                "add",
                ".",
            ],
        );
        git(dir.path(), &["commit", "-q", "-m", "Second"]);
        let changes = || WorkTree::of(dir.path()).unwrap().changes.unwrap();
        assert_eq!(changes(), Changes::default(), "not fetched");
        for (text, changed) in [("foo", 0), ("fox", 1), ("longer", 1)] {
            std::fs::write(dir.path().join("w.bin"), text).unwrap();
            assert_eq!(changes(), Changes { changed, open: 0 }, "{text}");
        }
    }
}
