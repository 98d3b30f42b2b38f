//! Programs that sign: for keys in Vault, a cloud's KMS, or whatever else has a command of its own.
//!
//! The message goes to the program's standard input; its standard output is the signature, 64 bytes or one line
//! of base64. No shell is involved, and the program sees no environment but what it is given.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use consign_metadata::{Problem, printable};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::public_key::{PublicKey, Signature};
use crate::signer::{Signer, SignerError};
use crate::strict_modes::{StrictModesError, check_strict_modes};
use crate::wire::from_base64;

/// Where the program looks for others; its own environment does not say.
pub const EXTERNAL_SIGNER_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Most that is read of what the program prints, in bytes.
const OUTPUT_MAX: usize = 4096;
/// How long to wait between looks at a program that runs.
const LOOK: Duration = Duration::from_millis(10);

/// The name of a program that may sign: 1 to 64 of the letters a–z, digits, `-`, `_` and `.`, of which the first is
/// a letter or digit. No path can be spelled with them, and nothing that a shell or a terminal would act upon.
///
/// ```
/// use consign_signing::SignerName;
/// assert!("vault-release".parse::<SignerName>().is_ok());
/// for bad in ["", "../evil", "/bin/sh", "a b", "Vault", "-rf", "a\n", "ａ"] {
///     assert!(bad.parse::<SignerName>().is_err());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerName(String);

/// Why a text is not a [`SignerName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name: it is 1 to 64 of a-z, 0-9, `-`, `_` and `.`, and begins with a letter or digit")]
pub struct SignerNameError;

impl FromStr for SignerName {
    type Err = SignerNameError;

    fn from_str(text: &str) -> Result<Self, SignerNameError> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=64).contains(&text.len())
            && letter(text.as_bytes()[0])
            && text.bytes().all(|b| letter(b) || matches!(b, b'-' | b'_' | b'.'));
        if fits { Ok(Self(text.to_owned())) } else { Err(SignerNameError) }
    }
}

impl fmt::Display for SignerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SignerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A program that signs with an Ed25519 key, and the public key that belongs to it. What it gives out is checked
/// against that key.
///
/// ```
/// use consign_signing::{ExternalSigner, PrivateKey, Signer};
/// let signer = ExternalSigner {
///     name: "broken".parse()?,
///     program: "/bin/false".into(),
///     args: vec![],
///     public_key: *PrivateKey::generate()?.public_key(),
///     environment: vec![],
///     timeout: std::time::Duration::from_secs(5),
///     cancel: Default::default(),
/// };
/// assert!(signer.sign(b"message").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExternalSigner {
    /// What it is called in the list of programs that are allowed.
    pub name: SignerName,
    /// Absolute path of the program. Before each run it is [checked](check_strict_modes) that others cannot
    /// exchange it.
    pub program: PathBuf,
    /// Its arguments, as they are. Anybody on the machine can read them while it runs: no place for a secret.
    pub args: Vec<OsString>,
    /// The key that its signatures are checked against.
    pub public_key: PublicKey,
    /// All of its environment but `PATH`, which is [`EXTERNAL_SIGNER_PATH`].
    pub environment: Vec<(OsString, OsString)>,
    /// How long it may run. Then it is killed, with all processes of its group.
    pub timeout: Duration,
    /// It is killed as well once this is set.
    pub cancel: Arc<AtomicBool>,
}

/// Why a program did not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalSignerError {
    /// Others could have put another in its place.
    #[error("the program is not run: {0}")]
    Exposed(#[from] StrictModesError),
    /// It could not be started or waited for.
    #[error("the program cannot be run: {0}")]
    Run(#[source] io::Error),
    /// It said that it failed.
    #[error("the program ended with {status}{}", said(.stderr))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error, fit for printing and cut.
        stderr: String,
    },
    /// It ran for too long.
    #[error("the program did not end within {} s and was killed{}", .timeout.as_secs(), said(.stderr))]
    TimedOut {
        /// How long it was allowed.
        timeout: Duration,
        /// What it wrote to standard error, fit for printing and cut.
        stderr: String,
    },
    /// The caller wants to stop.
    #[error("interrupted; the program was killed")]
    Cancelled,
    /// It printed something else.
    #[error("the program printed {0}, not a signature: 64 bytes, or their base64 on one line")]
    NotASignature(String),
    /// It signed something else, or with another key.
    #[error("the program's signature does not fit what it was given and the public key of its entry")]
    BadSignature,
}

/// What a program said, as the end of a sentence.
fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it said: {stderr}") }
}

impl ExternalSignerError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Exposed(error) => ("signer-exposed", error.problem().hint),
            Self::Run(_) => ("signer-run", Some("check that it is there and may be executed".to_owned())),
            Self::Failed { .. } => ("signer-failed", None),
            Self::TimedOut { .. } => (
                "signer-timeout",
                Some("it must not ask anything; `timeout_seconds` of its entry sets the limit".to_owned()),
            ),
            Self::Cancelled => ("interrupted", None),
            Self::NotASignature(_) => ("signer-output", None),
            Self::BadSignature => (
                "signer-signature",
                Some("check that `public_key` of its entry is the key that the program signs with, and that it signs the bytes themselves (pure Ed25519)".to_owned()),
            ),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl Signer for ExternalSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        self.run(message).map_err(|error| {
            let hint = error.problem().hint;
            SignerError::from_error(error).with_hint(hint)
        })
    }
}

impl ExternalSigner {
    /// Checks, before any work is done, that the program can be relied upon.
    ///
    /// # Errors
    /// Its path is not absolute, it is not there, or others could exchange it.
    pub fn check(&self) -> Result<(), ExternalSignerError> {
        Ok(check_strict_modes(&self.program)?)
    }

    fn run(&self, message: &[u8]) -> Result<Signature, ExternalSignerError> {
        self.check()?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().env("PATH", EXTERNAL_SIGNER_PATH);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended with it.
        command.process_group(0);
        let mut running = Running(command.spawn().map_err(ExternalSignerError::Run)?);
        let deadline = Instant::now() + self.timeout;
        if let Some(mut input) = running.0.stdin.take() {
            let message = message.to_vec();
            // A program that does not read to the end is judged by what it prints.
            let write = move || drop(input.write_all(&message));
            thread::Builder::new().spawn(write).map_err(ExternalSignerError::Run)?;
        }
        let stdout = running.0.stdout.take().map(read_some).transpose().map_err(ExternalSignerError::Run)?;
        let stderr = running.0.stderr.take().map(read_some).transpose().map_err(ExternalSignerError::Run)?;
        let status = self.wait(&mut running, deadline);
        let said = || excerpt(&collect(stderr.as_ref(), deadline));
        let status = match status {
            Ok(status) => status,
            Err(ExternalSignerError::TimedOut { timeout, .. }) => {
                return Err(ExternalSignerError::TimedOut { timeout, stderr: said() });
            }
            Err(error) => return Err(error),
        };
        if !status.success() {
            return Err(ExternalSignerError::Failed { status, stderr: said() });
        }
        let signature = signature_in(&collect(stdout.as_ref(), deadline))?;
        self.public_key.verify(message, &signature).map_err(|_| ExternalSignerError::BadSignature)?;
        Ok(signature)
    }

    /// Waits for the end of the program, and ends its group in any case.
    fn wait(&self, running: &mut Running, deadline: Instant) -> Result<ExitStatus, ExternalSignerError> {
        loop {
            if running.has_ended().map_err(ExternalSignerError::Run)? {
                running.kill_group();
                return running.0.wait().map_err(ExternalSignerError::Run);
            }
            if self.cancel.load(Ordering::Relaxed) {
                return Err(ExternalSignerError::Cancelled);
            }
            if Instant::now() >= deadline {
                running.kill_group();
                let _ = running.0.wait();
                return Err(ExternalSignerError::TimedOut { timeout: self.timeout, stderr: String::new() });
            }
            thread::sleep(LOOK);
        }
    }
}

/// A child that does not outlive its owner.
struct Running(Child);

impl Running {
    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.0.id()).ok().and_then(Pid::from_raw)
    }

    /// Whether it has ended. It is not reaped by this, so its group's number stays taken.
    fn has_ended(&self) -> io::Result<bool> {
        let Some(pid) = self.pid() else { return Ok(true) };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(pid), options) {
            Ok(status) => Ok(status.is_some()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn kill_group(&self) {
        if let Some(pid) = self.pid() {
            // Nobody may be left in it, which is what was wanted.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not reaped before: `wait` of a child that was waited for gives what is known already.
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill_group();
            let _ = self.0.wait();
        }
    }
}

/// Reads the beginning of what comes, and the rest away, so that the program is not held up.
fn read_some(mut from: impl Read + Send + 'static) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = channel();
    thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.by_ref().take(OUTPUT_MAX as u64 + 1).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
        let _ = io::copy(&mut from, &mut io::sink());
    })?;
    Ok(receiver)
}

/// What was read. A process that left the group may hold the pipe open: it is not waited for beyond the deadline,
/// but for a moment in which a pipe that is closed is read to its end.
fn collect(from: Option<&Receiver<Vec<u8>>>, deadline: Instant) -> Vec<u8> {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
    match from.map(|receiver| receiver.recv_timeout(left)) {
        Some(Ok(bytes)) => bytes,
        None | Some(Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) => Vec::new(),
    }
}

/// The beginning of what a program wrote to standard error, on one line.
fn excerpt(bytes: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 500;
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ");
    match line.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", printable(&line[..end])),
        None => printable(&line),
    }
}

/// The signature in what a program printed: 64 bytes, or 88 characters of base64 and perhaps a line end. The
/// lengths tell them apart.
fn signature_in(output: &[u8]) -> Result<Signature, ExternalSignerError> {
    if let Ok(bytes) = <[u8; 64]>::try_from(output) {
        return Ok(Signature::from_bytes(bytes));
    }
    let line = output.strip_suffix(b"\n").map_or(output, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let decoded = std::str::from_utf8(line).ok().and_then(from_base64);
    match decoded.and_then(|bytes| <[u8; 64]>::try_from(bytes).ok()) {
        Some(bytes) => Ok(Signature::from_bytes(bytes)),
        None if output.len() > OUTPUT_MAX => {
            Err(ExternalSignerError::NotASignature(format!("more than {OUTPUT_MAX} bytes")))
        }
        None => Err(ExternalSignerError::NotASignature(format!("{} bytes", output.len()))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::private_key::PrivateKey;
    use crate::testing::{key, signed, statement};
    use crate::wire::to_base64;
    use crate::{SignError, SignedStatement};

    /// A program of these lines of shell, in a directory of its own.
    fn signer(key: &PrivateKey, script: &str) -> (tempfile::TempDir, ExternalSigner) {
        let dir = tempfile::tempdir().unwrap();
        let program = fs::canonicalize(dir.path()).unwrap().join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let signer = ExternalSigner {
            name: "test".parse().unwrap(),
            program,
            args: vec![dir.path().into()],
            public_key: *key.public_key(),
            environment: vec![],
            timeout: Duration::from_secs(20),
            cancel: Arc::default(),
        };
        (dir, signer)
    }

    fn error(signer: &ExternalSigner) -> String {
        signer.sign(b"message").unwrap_err().to_string()
    }

    fn octal(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("\\{byte:03o}")).collect()
    }

    #[test]
    fn a_statement_is_signed_by_a_program() {
        let key = key();
        let expected = signed(&key);
        let payload = crate::envelope::pae(&expected.statement().to_payload());
        let signature = *key.sign(&payload).unwrap().as_bytes();
        for print in [
            format!("printf '{}'", octal(&signature)),
            format!("echo '{}'", to_base64(&signature)),
            format!("printf '{}\\r\\n'", to_base64(&signature)),
            format!("printf '{}'", to_base64(&signature)),
        ] {
            // It is given the encoding that is signed, and nothing else.
            let (dir, signer) = signer(&key, &format!("cat > \"$1/input\"; {print}"));
            assert_eq!(SignedStatement::sign(&signer, &statement(&key)).unwrap(), expected);
            assert_eq!(fs::read(dir.path().join("input")).unwrap(), payload);
        }
        // One that reads nothing may still know what to say.
        let (_dir, deaf) = signer(&key, &format!("exec echo '{}'", to_base64(&signature)));
        assert!(SignedStatement::sign(&deaf, &statement(&key)).is_ok());
    }

    #[test]
    fn e18_a_signature_of_another_key_or_message_is_refused() {
        let (key, other) = (key(), key());
        for signature in
            [*other.sign(b"message").unwrap().as_bytes(), *key.sign(b"another").unwrap().as_bytes(), [0; 64]]
        {
            let (_dir, signer) = signer(&key, &format!("echo '{}'", to_base64(&signature)));
            assert!(error(&signer).contains("does not fit"));
        }
        let (_dir, signer) = signer(&other, "exit 1");
        let refused = SignedStatement::sign(&signer, &statement(&key)).unwrap_err();
        assert!(matches!(refused, SignError::OtherKey { .. }), "{refused}");
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let key = key();
        for (script, expected) in [
            ("exit 0", "printed 0 bytes"),
            ("head -c 63 /dev/zero", "printed 63 bytes"),
            ("head -c 65 /dev/zero", "printed 65 bytes"),
            ("head -c 1000000 /dev/zero", "printed more than 4096 bytes"),
            ("printf 'A%.0s' $(seq 88)", "printed 88 bytes"),
            ("head -c 64 /dev/zero | base64 -w 0; echo; echo", "printed 90 bytes"),
            ("head -c 64 /dev/zero | base64", "printed 90 bytes"),
            ("exit 3", "ended with exit status: 3"),
            ("echo 'permission denied' >&2; exit 2", "exit status: 2; it said: permission denied"),
            (
                "printf 'one\\n\\n\\033[31m two\\n' >&2; exit 2",
                "exit status: 2; it said: one / \\u{1b}[31m two",
            ),
            ("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 2", "xxx…"),
            ("kill -9 $$", "ended with signal: 9"),
        ] {
            let (_dir, signer) = signer(&key, script);
            let error = error(&signer);
            assert!(error.contains(expected), "{script}: {error}");
            assert!(error.len() < 2000);
        }
        let (_dir, mut gone) = signer(&key, "");
        gone.program.push("none");
        assert!(error(&gone).contains("the program is not run"), "{}", error(&gone));
        let (_dir, signer) = signer(&key, "");
        fs::set_permissions(&signer.program, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(error(&signer).contains("cannot be run"), "{}", error(&signer));
    }

    #[test]
    fn a_program_has_its_time_and_no_more() {
        let key = key();
        // What it started goes with it, also what it left behind when it ended.
        let (dir, mut slow) = signer(&key, "echo waiting >&2; sleep 300 & echo $! > \"$1/pid\"; wait");
        slow.timeout = Duration::from_secs(3);
        assert!(error(&slow).contains("did not end within 3 s and was killed; it said: waiting"));
        let (left, leaving) = signer(&key, "sleep 300 & echo $! > \"$1/pid\"; echo short");
        assert!(error(&leaving).contains("printed 6 bytes"));
        for dir in [dir, left] {
            let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
            let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            let begin = Instant::now();
            while !(state().is_empty() || state().contains(") Z ")) {
                assert!(begin.elapsed() < Duration::from_secs(20), "{}", state());
                thread::sleep(LOOK);
            }
        }
        let (_dir, stopped) = signer(&key, "sleep 300");
        stopped.cancel.store(true, Ordering::Relaxed);
        assert!(error(&stopped).contains("interrupted"));
    }

    #[test]
    fn it_sees_no_environment_but_its_own() {
        let key = key();
        let (dir, mut signer) = signer(&key, "env > \"$1/env\"; pwd > \"$1/pwd\"; exit 1");
        signer.environment = vec![("VAULT_ADDR".into(), "https://vault.example".into())];
        error(&signer);
        let mut found: Vec<_> =
            fs::read_to_string(dir.path().join("env")).unwrap().lines().map(str::to_owned).collect();
        found.retain(|line| !["PWD=", "_=", "SHLVL=", "OLDPWD="].iter().any(|own| line.starts_with(own)));
        found.sort();
        assert_eq!(
            found,
            [format!("PATH={EXTERNAL_SIGNER_PATH}"), "VAULT_ADDR=https://vault.example".into()]
        );
        assert_eq!(fs::read_to_string(dir.path().join("pwd")).unwrap(), "/\n");
    }

    #[test]
    fn a24_only_a_program_that_others_cannot_exchange_is_run() {
        let key = key();
        let (dir, signer) = signer(&key, "touch \"$1/ran\"");
        fs::set_permissions(&signer.program, fs::Permissions::from_mode(0o775)).unwrap();
        assert!(error(&signer).contains("can be changed by others"), "{}", error(&signer));
        fs::set_permissions(&signer.program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(error(&signer).contains("can be changed by others"), "{}", error(&signer));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut relative = signer.clone();
        for program in ["program", "./program", "../program", "sh"] {
            relative.program = program.into();
            assert!(error(&relative).contains("not an absolute path"), "{}", error(&relative));
        }
        assert!(!Path::new(&dir.path().join("ran")).exists());
    }

    #[test]
    fn a24_names_spell_no_path() {
        for good in ["a", "0", "vault-release", "a.b_c-d", &"x".repeat(64)] {
            assert_eq!(good.parse::<SignerName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "-x",
            "_x",
            "a/b",
            "/bin/sh",
            "../a",
            "a\\b",
            "a b",
            "a\n",
            "a\0",
            "A",
            "ä",
            "a;b",
            "$a",
            "a:b",
            "a=b",
            "~",
            &"x".repeat(65),
        ] {
            assert_eq!(bad.parse::<SignerName>(), Err(SignerNameError), "{bad:?}");
        }
    }
}
