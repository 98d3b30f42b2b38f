//! What is handed over as a stream: standard input, what the shell opened (`<(…)`), devices. It can be read once and from
//! its beginning only, so it is kept in a file without a name, and looked at there.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use consign_metadata::Problem;

use crate::checked::interrupted;
use crate::context::{Context, unreadable, unwritable};
use crate::exit::Exit;
use crate::failure::Failure;

/// Bytes that are read at once, and how many such pieces may wait to be written.
const PIECE: usize = 1 << 20;
const WAITING: usize = 4;
/// How often somebody who waits looks whether they are to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// A way to hand something over as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard input, under any of its names.
    Input,
    /// What is open in this process already, or a device: opening it waits for nobody.
    Open,
    /// A pipe with a name of its own, or a socket: opening it could wait for ever.
    Pipe,
}

impl Stream {
    /// How an argument hands something over; `None` if it names a file or a folder, or nothing.
    pub fn of(path: &Path) -> Option<Self> {
        let inputs = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
        if inputs.iter().any(|input| path == Path::new(input)) {
            return Some(Self::Input);
        }
        if path.parent().is_some_and(is_of_descriptors) {
            return Some(Self::Open);
        }
        let metadata = std::fs::metadata(path).ok().filter(|found| !found.is_file() && !found.is_dir())?;
        Some(if is_device(&metadata) { Self::Open } else { Self::Pipe })
    }

    fn open(self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Input => Box::new(io::stdin().lock()),
            Self::Open | Self::Pipe => Box::new(File::open(path)?),
        })
    }
}

/// Whether the files in a folder are what a process has open.
fn is_of_descriptors(folder: &Path) -> bool {
    folder == Path::new("/dev/fd") || (folder.starts_with("/proc") && folder.ends_with("fd"))
}

#[cfg(unix)]
fn is_device(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_char_device() || metadata.file_type().is_block_device()
}

#[cfg(not(unix))]
fn is_device(_: &std::fs::Metadata) -> bool {
    false
}

/// Says so where a bundle must be a file or a folder: it is looked at in several places, and with what lies beside it.
pub fn refuse(named: &Path) -> Result<(), Failure> {
    if Stream::of(named).is_none() {
        return Ok(());
    }
    let message = "is a stream, which can be read only once, and beside which no signatures lie";
    let problem = Problem::new("stream-given", message).at(named.display().to_string());
    let hint = "write it to a file first; what comes as a stream can be verified: consign verify - --attestations FILE";
    Err(Failure::usage(problem.hint(hint)))
}

/// Keeps all of a stream in a file without a name, and stands at its beginning. More than `most` bytes are not waited for:
/// what was signed is not that long.
pub fn keep(context: &Context, stream: Stream, path: &Path, most: Option<u64>) -> Result<File, Failure> {
    if stream == Stream::Pipe {
        let problem = Problem::new("pipe-given", "is a pipe, which may wait for ever for somebody to write");
        let hint = "hand it over as standard input: consign verify - --attestations FILE < PIPE";
        return Err(Failure::usage(problem.at(path.display().to_string()).hint(hint)));
    }
    let temporary = || std::env::temp_dir();
    let mut file = tempfile::tempfile().map_err(|error| unwritable(&temporary(), &error))?;
    let (send, receive) = mpsc::sync_channel(WAITING);
    let named = path.to_path_buf();
    // Reading may wait for ever, and is not ended by a signal; so it is done where nobody waits for it.
    let reader = std::thread::Builder::new().spawn(move || read(stream, &named, &send));
    reader.map_err(|error| unreadable(path, &error))?;
    let mut kept = 0u64;
    loop {
        if context.cancel.load(Ordering::Relaxed) {
            return Err(Failure::failed(interrupted()));
        }
        let piece: Vec<u8> = match receive.recv_timeout(PATIENCE) {
            Ok(piece) => piece.map_err(|error| unreadable(path, &error))?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        kept += piece.len() as u64;
        if let Some(most) = most.filter(|most| kept > *most) {
            let message = format!("gives more than the {most} bytes that were signed: something was added");
            let problem = Problem::new("archive-size", message).at(path.display().to_string());
            let hint = "do not use it; ask the sender for the archive again and compare its SHA-256";
            return Err(Failure::new(Exit::NotIntact, problem.hint(hint)));
        }
        file.write_all(&piece).map_err(|error| unwritable(&temporary(), &error))?;
    }
    if kept == 0 {
        return Err(empty(path));
    }
    io::Seek::rewind(&mut file).map_err(|error| unwritable(&temporary(), &error))?;
    Ok(file)
}

/// Nothing came, which says nothing about any bundle.
pub fn empty(path: &Path) -> Failure {
    let problem = Problem::new("stream-empty", "gave nothing: what was to write it did not");
    let hint = "look at what the command on the other end of the pipe says";
    Failure::failed(problem.at(path.display().to_string()).hint(hint))
}

/// Hands on what comes, until it ends, or nobody wants it any more.
fn read(stream: Stream, path: &Path, to: &mpsc::SyncSender<io::Result<Vec<u8>>>) {
    let mut source = match stream.open(path) {
        Ok(source) => source,
        Err(error) => return drop(to.send(Err(error))),
    };
    loop {
        let mut piece = vec![0; PIECE];
        let read = match source.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => Ok(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        let sent = to.send(read.map(|read| {
            piece.truncate(read);
            piece
        }));
        if failed || sent.is_err() {
            return;
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn field_f6_streams_are_told_from_files_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let is = |path: &str| Stream::of(Path::new(path));
        for input in ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
            assert_eq!(is(input), Some(Stream::Input), "{input}");
        }
        for open in ["/dev/fd/63", "/proc/self/fd/63", "/proc/1/fd/5", "/dev/null", "/dev/zero"] {
            assert_eq!(is(open), Some(Stream::Open), "{open}");
        }
        for none in [dir.path(), &file, &dir.path().join("none"), Path::new("/dev/shm"), Path::new("/proc")] {
            assert_eq!(Stream::of(none), None, "{}", none.display());
        }
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(Stream::of(&socket), Some(Stream::Pipe));
    }
}
