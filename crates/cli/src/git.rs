//! What Git knows about a directory, asked in a way that changes nothing and runs nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use consign_metadata::{BundleVersion, Code, CommitId, Line, Repository};

use crate::environment::without_credentials;

/// How long one question may take; the state of a large work tree on a slow file system takes longer, and is
/// then left open.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer that is waited for is longer.
const ANSWER_MAX: u64 = 64 * 1024;
/// The list of changed files may be longer.
const STATUS_MAX: u64 = 4 * 1024 * 1024;
/// Variables by which a caller, such as a hook, points Git elsewhere.
const POINTERS: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// What Git knows about a directory in a work tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkTree {
    /// Repository, commit and state.
    pub(crate) code: Code,
    /// Whether the commit knows the directory; if not, it merely lies there, as outputs of a run do.
    pub(crate) tracked: bool,
    /// The version that a tag of the commit names.
    pub(crate) version: Option<BundleVersion>,
    /// The branch that is checked out, else the one tag of the commit, in full: `refs/heads/main`.
    pub(crate) reference: Option<Line>,
    /// How many tracked files differ from the commit; `None` if that cannot be told without running programs. No more
    /// are counted than Git lists in [`STATUS_MAX`].
    pub(crate) changed: Option<u64>,
    /// The directory at its top.
    pub(crate) top: Option<PathBuf>,
}

impl WorkTree {
    /// Asks Git; `None` if there is no Git, no work tree, no commit yet, or Git refuses, as it does where the
    /// work tree belongs to somebody else.
    pub(crate) fn of(directory: &Path) -> Option<Self> {
        let git = Git { directory };
        let inside = git.line(&["rev-parse", "--is-inside-work-tree"])?;
        let commit: CommitId = git.line(&["rev-parse", "--verify", "HEAD"])?.parse().ok()?;
        if inside != "true" {
            return None;
        }
        let at_top = git.line(&["rev-parse", "--show-prefix"]).is_none_or(|prefix| prefix.is_empty());
        let tracked = at_top || git.answer(&["rev-parse", "--verify", "--quiet", "HEAD:./"]).is_some();
        let changed = git.changed();
        let dirty = changed.map(|files| files > 0);
        Some(Self {
            code: Code { repository: git.repository(), commit: Some(commit), dirty },
            tracked,
            version: git.version(),
            reference: git.reference(),
            changed,
            top: git.line(&["rev-parse", "--show-toplevel"]).map(PathBuf::from),
        })
    }
}

struct Git<'a> {
    directory: &'a Path,
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

    /// How many tracked files differ from the commit; `None` if that cannot be told without running programs.
    fn changed(&self) -> Option<u64> {
        // To compare files Git runs the filters that the configuration names. Those of the user are the user's;
        // those of the repository came with it.
        let filters =
            self.ask(&["config", "--show-scope", "--get-regexp", r"^filter\..*\.(clean|process)$"])?;
        if filters.lines().any(|line| !line.starts_with("global") && !line.starts_with("system")) {
            return None;
        }
        let question = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"];
        let state = run(self.command(&question), PATIENCE, STATUS_MAX).filter(|answer| answer.success)?;
        Some(state.text.lines().count() as u64)
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

    /// The answer, if it is one line.
    fn line(&self, question: &[&str]) -> Option<String> {
        let answer = self.answer(question)?;
        let line = answer.trim_end_matches(['\n', '\r']);
        (!line.contains('\n')).then(|| line.to_owned())
    }

    /// What Git prints, if it succeeds.
    fn answer(&self, question: &[&str]) -> Option<String> {
        run(self.command(question), PATIENCE, ANSWER_MAX)
            .filter(|answer| answer.success)
            .map(|answer| answer.text)
    }

    /// What Git prints where failure with nothing to say means that there is nothing.
    fn ask(&self, question: &[&str]) -> Option<String> {
        let answer = run(self.command(question), PATIENCE, ANSWER_MAX)?;
        (answer.success || (answer.nothing && answer.text.is_empty())).then_some(answer.text)
    }

    fn command(&self, question: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.directory);
        // Programs that a repository's configuration could name.
        for setting in ["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat"] {
            command.args(["-c", setting]);
        }
        command.args(question);
        for name in POINTERS {
            command.env_remove(name);
        }
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        // A partial clone fetches what it lacks: no connection is opened here.
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none");
        command
    }
}

struct Answer {
    success: bool,
    /// Exit code 1: with most of Git's questions, that there is nothing.
    nothing: bool,
    text: String,
}

/// Runs a program to its end, or kills it when its time is over. At most `longest` bytes of what it prints are
/// read.
fn run(mut command: Command, patience: Duration, longest: u64) -> Option<Answer> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().ok()?;
    let out = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = out.take(longest).read_to_end(&mut bytes);
        // Nobody listens any more if the time was over.
        let _ = send.send(bytes);
    });
    let bytes = receive.recv_timeout(patience).ok();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if bytes.is_some() && begun.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(1));
            }
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let bytes = bytes?;
    // Cut short by the limit it dies of the closed pipe, and what it said still counts.
    let cut = u64::try_from(bytes.len()).is_ok_and(|length| length == longest);
    let success = cut || status?.success();
    let nothing = status.and_then(|status| status.code()) == Some(1);
    Some(Answer { success, nothing, text: String::from_utf8(bytes).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(directory: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.current_dir(directory).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        command.args(["-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]).args(arguments);
        for name in POINTERS {
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
        assert_eq!((changed.code.dirty, changed.changed), (Some(true), Some(1)));
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
    fn nothing_that_a_repository_brings_along_is_run() {
        let dir = repository();
        let ran = dir.path().join("ran");
        let program = format!("touch '{}'; cat", ran.display());
        for setting in ["core.fsmonitor", "filter.evil.clean", "filter.evil.process", "core.pager"] {
            git(dir.path(), &["config", setting, &program]);
        }
        std::fs::write(dir.path().join(".git/info/attributes"), "* filter=evil\n").unwrap();
        let hook = dir.path().join(".git/hooks/post-index-change");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, format!("#!/bin/sh\n{program}\n")).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        // Touched, so that Git has to look inside.
        std::fs::write(dir.path().join("model/weights"), "1").unwrap();
        let found = WorkTree::of(dir.path()).unwrap();
        assert_eq!(found.code.dirty, None);
        assert!(found.code.commit.is_some());
        assert!(!ran.exists());
    }

    #[cfg(unix)]
    #[test]
    fn patience_ends() {
        let begun = Instant::now();
        let mut slow = Command::new("sleep");
        slow.arg("60");
        assert!(run(slow, Duration::from_millis(50), ANSWER_MAX).is_none());
        let mut endless = Command::new("yes");
        endless.arg("x");
        assert!(run(endless, Duration::from_secs(20), ANSWER_MAX).is_some_and(|answer| answer.success));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
