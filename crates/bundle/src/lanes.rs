//! The SHA-256 of the archive and of the large files in it, as frames come by.
//!
//! Each digest is a chain that one core computes; but different ones have nothing to do with each other, and a
//! core does two in less time than one after the other. So where cores are few, one thread hashes the archive
//! and the files side by side; where there are many, the archive has a thread of its own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use consign_metadata::Sha256Digest;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};

use crate::pack::PackError;
use crate::pipeline::{Encoded, RawFrame};
use crate::sha256::{Sha256State, update_all};

/// So much of the files may wait for the archive to be hashed beside them.
const PATIENCE: usize = 8 << 20;
/// And so long.
const SOON: Duration = Duration::from_millis(20);
/// How much of each is hashed before looking at what else has come.
const STEP: usize = 256 << 10;
/// Most files that are hashed side by side.
const FILES: usize = 15;

/// A stretch of a large file.
pub(crate) struct Stretch {
    /// Which frame holds it.
    pub(crate) frame: usize,
    /// Which entry the file is.
    pub(crate) entry: usize,
    /// Whether the file ends with it.
    pub(crate) last: bool,
    /// The frame.
    pub(crate) raw: Arc<RawFrame>,
}

/// What was found of the large files.
#[derive(Default)]
pub(crate) struct FileHashes {
    /// The state of its file at the end of each frame.
    pub(crate) states: Vec<(usize, Sha256State)>,
    /// The digest of each file, by entry.
    pub(crate) digests: Vec<(usize, Sha256Digest)>,
}

/// A frame with the state of the archive at its end.
pub(crate) type Hashed = (Encoded, Sha256State);

/// What one thread hashes. A lane that another thread has, or that nothing will come in, is closed.
pub(crate) struct Lanes {
    pub(crate) files: Receiver<Stretch>,
    pub(crate) encoded: Receiver<(usize, Encoded)>,
    pub(crate) hashed: Sender<Hashed>,
    /// Of the archive, before the next frame.
    pub(crate) state: Sha256State,
    /// The next frame of the archive.
    pub(crate) next: usize,
}

/// Content of which the first bytes were hashed.
struct Begun<T> {
    item: T,
    done: usize,
}

#[derive(Default)]
struct Queues {
    files: VecDeque<Begun<Stretch>>,
    file_states: HashMap<usize, Sha256State>,
    archive: Option<Begun<Encoded>>,
    /// Frames that came before their turn.
    early: BTreeMap<usize, Encoded>,
    found: FileHashes,
}

impl Queues {
    /// Takes a stretch, if there was one; says so.
    fn stretch(&mut self, stretch: Option<Stretch>) -> bool {
        let came = stretch.is_some();
        self.files.extend(stretch.map(|item| Begun { item, done: 0 }));
        came
    }

    /// Takes a frame, if there was one; says so.
    fn frame(&mut self, frame: Option<(usize, Encoded)>) -> bool {
        let came = frame.is_some();
        self.early.extend(frame);
        came
    }
}

impl Lanes {
    /// Hashes until both lanes are closed and empty, or the others have stopped.
    pub(crate) fn run(mut self, stopped: impl Fn() -> bool) -> Result<FileHashes, PackError> {
        let mut queues = Queues::default();
        let (mut files_open, mut archive_open) = (true, true);
        loop {
            if stopped() {
                return Err(PackError::Stopped);
            }
            while files_open && !self.files.is_empty() {
                files_open = queues.stretch(self.files.recv().ok());
            }
            while archive_open && !self.encoded.is_empty() {
                archive_open = queues.frame(self.encoded.recv().ok());
            }
            if queues.archive.is_none()
                && let Some(frame) = queues.early.remove(&self.next)
            {
                queues.archive = Some(Begun { item: frame, done: 0 });
            }
            let waiting =
                queues.files.iter().map(|begun| begun.item.raw.content.len() - begun.done).sum::<usize>();
            match (waiting, &queues.archive) {
                (0, None) if !files_open && !archive_open => return Ok(queues.found),
                // A closed lane would come at once, again and again.
                (0, None) if files_open && archive_open => select! {
                    recv(self.files) -> stretch => files_open = queues.stretch(stretch.ok()),
                    recv(self.encoded) -> frame => archive_open = queues.frame(frame.ok()),
                },
                (0, None) if files_open => files_open = queues.stretch(self.files.recv().ok()),
                // Every frame of a file comes back as one of the archive soon, unless whoever makes it waits for
                // the memory of those that lie here.
                (..PATIENCE, None) if archive_open => match self.encoded.recv_timeout(SOON) {
                    Err(RecvTimeoutError::Timeout) => self.step(&mut queues)?,
                    frame => archive_open = queues.frame(frame.ok()),
                },
                _ => self.step(&mut queues)?,
            }
        }
    }

    /// Hashes a piece of everything that is there.
    fn step(&mut self, queues: &mut Queues) -> Result<(), PackError> {
        let Queues { files, file_states, archive, found, .. } = queues;
        // The first stretch of each file; those after it depend on it.
        let mut current: Vec<usize> = Vec::new();
        for (n, begun) in files.iter().enumerate() {
            if current.last().is_none_or(|&last: &usize| files[last].item.entry != begun.item.entry) {
                current.push(n);
            }
            if current.len() == FILES {
                break;
            }
        }
        let lens = current.iter().map(|&n| files[n].item.raw.content.len() - files[n].done);
        let lens = lens.chain(archive.iter().map(|begun| begun.item.bytes.len() - begun.done));
        let len = lens.min().unwrap_or(0).min(STEP);
        let mut states: Vec<_> = current
            .iter()
            .map(|&n| file_states.remove(&files[n].item.entry).unwrap_or_else(Sha256State::initial))
            .collect();
        let mut pieces: Vec<(&mut Sha256State, &[u8])> = Vec::with_capacity(current.len() + 1);
        for (state, &n) in states.iter_mut().zip(&current) {
            pieces.push((state, &files[n].item.raw.content[files[n].done..][..len]));
        }
        if let Some(begun) = archive {
            pieces.push((&mut self.state, &begun.item.bytes[begun.done..][..len]));
        }
        update_all(&mut pieces);
        for (state, &n) in states.into_iter().zip(&current) {
            let begun = &mut files[n];
            begun.done += len;
            let Stretch { frame, entry, last, ref raw } = begun.item;
            let ends = begun.done == raw.content.len();
            if ends {
                found.states.push((frame, state.clone()));
            }
            if ends && last {
                found.digests.push((entry, state.finish()));
            } else {
                file_states.insert(entry, state);
            }
        }
        files.retain(|begun| begun.done < begun.item.raw.content.len());
        if let Some(begun) = archive {
            begun.done += len;
            if begun.done == begun.item.bytes.len()
                && let Some(begun) = archive.take()
            {
                self.next += 1;
                self.hashed.send((begun.item, self.state.clone())).map_err(|_| PackError::Stopped)?;
            }
        }
        Ok(())
    }
}
