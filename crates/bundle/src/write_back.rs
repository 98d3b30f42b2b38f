//! Files begin to reach the disk while more is made of them, so that making them durable at the end waits for
//! little.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Sender, bounded};

/// How much is written to a file before it is worth sending it to the disk.
pub(crate) const WORTH: u64 = 32 << 20;

/// A thread that waits for the disk, so that nobody else has to.
#[derive(Default)]
pub(crate) struct WriteBack {
    thread: Option<Waiting>,
}

struct Waiting {
    files: Sender<Arc<File>>,
    thread: JoinHandle<io::Result<()>>,
}

impl WriteBack {
    /// Begins to bring to the disk what was written to the file. If the disk is behind already, nothing
    /// happens: whoever needs the file durable makes it so at the end anyway.
    pub(crate) fn begin(&mut self, file: &Arc<File>) {
        if self.thread.is_none() {
            let (files, requests) = bounded::<Arc<File>>(1);
            let work = move || requests.iter().try_for_each(|file| file.sync_data());
            // Where no thread can be had everything waits for the disk at the end.
            self.thread = Builder::new().spawn(work).ok().map(|thread| Waiting { files, thread });
        }
        if let Some(waiting) = &self.thread {
            let _ = waiting.files.try_send(Arc::clone(file));
        }
    }

    /// Waits for what was begun.
    ///
    /// # Errors
    /// What the system said of any of the files: it says so only once.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Some(Waiting { files, thread }) = self.thread else { return Ok(()) };
        drop(files);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    }
}
