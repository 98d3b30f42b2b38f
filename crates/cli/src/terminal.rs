//! Asking on the terminal. A person who interrupts a question gets the terminal back as it was.

use std::io::{self, BufReader, IsTerminal as _, Read};

use consign::person::Person;
use consign_metadata::printable;
use zeroize::Zeroizing;

/// Longest line that is taken; a terminal gives no longer one either.
const LINE_MAX: usize = 4096;

/// The person at the terminal.
pub(crate) struct Terminal;

impl Person for Terminal {
    fn secret(&self, question: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        secret(question).map(Some)
    }

    fn tell(&self, line: &str) {
        use std::io::Write as _;
        // Whoever waits should know for what; whoever reads a log, who signed.
        let _ = writeln!(crate::stream::stderr(), "{line}");
    }
}

/// What people type on standard input. Waiting for it ends when the process is told to stop.
pub(crate) fn answers() -> BufReader<impl Read> {
    #[cfg(unix)]
    return BufReader::new(Patient(io::stdin()));
    #[cfg(not(unix))]
    return BufReader::new(io::stdin());
}

/// Asks on the terminal for what nobody else is to see.
///
/// # Errors
/// There is no terminal, or the process was told to stop.
#[cfg(unix)]
fn secret(question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Write as _;
    let tty = std::fs::File::options().read(true).write(true).open("/dev/tty")?;
    let quiet = Quiet::new(&tty)?;
    (&tty).write_all(printable(question).as_bytes())?;
    // Room for all of it at once: what is moved elsewhere leaves a copy.
    let mut line = Zeroizing::new(vec![0; LINE_MAX]);
    let mut end = 0;
    let mut patient = Patient(&tty);
    while end < LINE_MAX && !line[..end].contains(&b'\n') {
        match patient.read(&mut line[end..])? {
            0 => break,
            read => end += read,
        }
    }
    line.truncate(end);
    drop(quiet);
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(line)
}

#[cfg(not(unix))]
fn secret(question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let _ = (LINE_MAX, io::stdin().by_ref());
    rpassword::prompt_password(printable(question)).map(|answer| Zeroizing::new(answer.into_bytes()))
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Quiet<'a> {
    tty: &'a std::fs::File,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl<'a> Quiet<'a> {
    fn new(tty: &'a std::fs::File) -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(tty)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        let this = Self { tty, before };
        tcsetattr(tty, OptionalActions::Now, &quiet)?;
        Ok(this)
    }
}

#[cfg(unix)]
impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // What was typed and not read is thrown away: it may be the rest of a secret.
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}

/// What is read where nothing may come for long; a signal ends the wait.
#[cfg(unix)]
struct Patient<F>(F);

#[cfg(unix)]
impl<F: std::os::fd::AsFd> Read for Patient<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::io::Errno;
        const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        loop {
            if crate::signals::received().is_some() {
                // Not of the kind that readers try again after.
                return Err(io::Error::other("interrupted"));
            }
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match rustix::io::read(&self.0, &mut *buffer) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
    }
}
