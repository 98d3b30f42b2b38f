//! Questions to Git that it answers without starting anything and without reading a file of the work tree.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long one question may take; what concerns a large repository on a slow file system takes longer, and is then
/// left open.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// No answer that is waited for is longer.
const ANSWER_MAX: u64 = 64 * 1024;
/// Lists of files may be longer.
pub const LIST_MAX: u64 = 64 * 1024 * 1024;
/// Variables of Git that are the user's choice of where configuration lies and how far to look for a repository. Every
/// other one points Git elsewhere, as a hook's do, or names a program or a file to write to.
const KEPT: [&str; 5] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
];

/// Git, asked about a directory.
#[derive(Clone, Debug)]
pub struct Git<'a> {
    program: PathBuf,
    directory: &'a Path,
}

impl<'a> Git<'a> {
    /// `None` if there is no Git, or none but in the directory itself.
    pub fn at(directory: &'a Path) -> Option<Self> {
        let inside = outermost(&std::fs::canonicalize(directory).ok()?);
        let program = program_in(&std::env::var_os("PATH")?, &inside)?;
        Some(Self { program, directory })
    }

    /// The answer, if it is one line.
    pub fn line(&self, question: &[&str]) -> Option<String> {
        let answer = self.answer(question)?;
        let line = answer.trim_end_matches(['\n', '\r']);
        (!line.contains('\n')).then(|| line.to_owned())
    }

    /// What Git prints, if it succeeds and prints text.
    pub fn answer(&self, question: &[&str]) -> Option<String> {
        String::from_utf8(self.bytes(question, ANSWER_MAX)?).ok()
    }

    /// A list of things, each ended by NUL, if Git succeeds and gives all of it.
    pub fn list(&self, question: &[&str]) -> Option<Vec<u8>> {
        self.bytes(question, LIST_MAX)
    }

    /// What Git says to a list that it is given, if it succeeds and says all of it.
    pub fn list_for(&self, question: &[&str], input: Vec<u8>) -> Option<Vec<u8>> {
        run(self.command(question), input, PATIENCE, LIST_MAX)
    }

    pub fn bytes(&self, question: &[&str], longest: u64) -> Option<Vec<u8>> {
        run(self.command(question), Vec::new(), PATIENCE, longest)
    }

    /// What Git says first where it refuses to answer.
    pub fn complaint(&self, question: &[&str]) -> Option<String> {
        let complaint = ask(self.command(question), Vec::new(), PATIENCE, ANSWER_MAX, Wanted::Complaint)?;
        String::from_utf8_lossy(&complaint).lines().next().map(str::to_owned)
    }

    fn command(&self, question: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-C").arg(self.directory);
        // Programs that a configuration could name, should one of the questions come to ask for them after all.
        for setting in
            ["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "submodule.recurse=false"]
        {
            command.args(["-c", setting]);
        }
        command.args(question);
        for (name, _) in std::env::vars_os() {
            let git = name.to_string_lossy().to_ascii_uppercase().starts_with("GIT_");
            if git && !KEPT.iter().any(|kept| name == **kept) {
                command.env_remove(name);
            }
        }
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        // A partial clone fetches what it lacks: no connection is opened here.
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none");
        command
    }
}

/// The outermost directory above this one that may be the top of a work tree, or itself.
fn outermost(directory: &Path) -> PathBuf {
    let tops = directory.ancestors().filter(|above| above.join(".git").symlink_metadata().is_ok());
    tops.last().unwrap_or(directory).to_owned()
}

/// The program `git` in a search path: of absolute folders only, and not below `inside`, whose content may be a
/// stranger's.
fn program_in(path: &OsString, inside: &Path) -> Option<PathBuf> {
    let name = if cfg!(windows) { "git.exe" } else { "git" };
    std::env::split_paths(path).filter(|folder| folder.is_absolute()).find_map(|folder| {
        let program = folder.join(name);
        // Where the folder lies, and where a link in it leads.
        let outside = [&folder, &program]
            .iter()
            .all(|path| std::fs::canonicalize(path).is_ok_and(|real| !real.starts_with(inside)));
        (outside && is_program(&program)).then_some(program)
    })
}

fn is_program(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    metadata.is_file() && may_run
}

/// Which of a program's words are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// What it prints, if it succeeds.
    Answer,
    /// What it complains of, if it fails.
    Complaint,
}

/// What a program prints, if it succeeds and prints no more than `longest` bytes. It is killed when its time is over.
fn run(command: Command, input: Vec<u8>, patience: Duration, longest: u64) -> Option<Vec<u8>> {
    ask(command, input, patience, longest, Wanted::Answer)
}

fn ask(
    mut command: Command,
    input: Vec<u8>,
    patience: Duration,
    longest: u64,
    wanted: Wanted,
) -> Option<Vec<u8>> {
    let (out, err) = match wanted {
        Wanted::Answer => (Stdio::piped(), Stdio::null()),
        Wanted::Complaint => (Stdio::null(), Stdio::piped()),
    };
    command.stdin(Stdio::piped()).stdout(out).stderr(err);
    let begun = Instant::now();
    let mut child = command.spawn().ok()?;
    let mut to = child.stdin.take()?;
    let from: Box<dyn std::io::Read + Send> = match wanted {
        Wanted::Answer => Box::new(child.stdout.take()?),
        Wanted::Complaint => Box::new(child.stderr.take()?),
    };
    let (send, receive) = mpsc::channel();
    // It may print before it has read everything. That it does not read to the end shows in its exit code. Where there
    // are no threads for this, there is no answer, and it is ended below.
    let _ = std::thread::Builder::new().spawn(move || drop(to.write_all(&input)));
    let _ = std::thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        let read = from.take(longest + 1).read_to_end(&mut bytes);
        // Nobody listens any more if the time was over.
        let _ = send.send(read.ok().map(|_| bytes));
    });
    let bytes = receive.recv_timeout(patience).ok().flatten().filter(|bytes| bytes.len() as u64 <= longest);
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
    bytes.filter(|_| status.is_some_and(|status| status.success() == (wanted == Wanted::Answer)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn patience_ends() {
        let begun = Instant::now();
        let mut slow = Command::new("sleep");
        slow.arg("60");
        assert!(run(slow, Vec::new(), Duration::from_millis(50), ANSWER_MAX).is_none());
        let mut endless = Command::new("yes");
        endless.arg("x");
        assert!(run(endless, Vec::new(), Duration::from_secs(20), ANSWER_MAX).is_none());
        let mut deaf = Command::new("true");
        deaf.arg("x");
        assert_eq!(run(deaf, vec![0; 1 << 20], Duration::from_secs(20), ANSWER_MAX), Some(Vec::new()));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn attack_a1_git_is_not_taken_from_the_directory_or_a_relative_path() {
        let dir = tempfile::tempdir().unwrap();
        let inside = std::fs::canonicalize(dir.path()).unwrap();
        let program = inside.join("git");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = |folders: &[&Path]| std::env::join_paths(folders).unwrap();
        assert_eq!(program_in(&path(&[&inside]), &inside), None);
        assert_eq!(program_in(&path(&[Path::new("."), Path::new("bin"), Path::new("")]), &inside), None);
        // Nor from elsewhere in the same work tree.
        std::fs::create_dir_all(inside.join("a/b")).unwrap();
        std::fs::create_dir(inside.join(".git")).unwrap();
        assert_eq!(outermost(&inside.join("a/b")), inside);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(program_in(&path(&[&inside]), elsewhere.path()), Some(program));
        std::os::unix::fs::symlink(&inside, elsewhere.path().join("link")).unwrap();
        assert_eq!(program_in(&path(&[&elsewhere.path().join("link")]), &inside), None);
        std::os::unix::fs::symlink(inside.join("git"), elsewhere.path().join("git")).unwrap();
        assert_eq!(program_in(&path(&[elsewhere.path()]), &inside), None);
    }
}
