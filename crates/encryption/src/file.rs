//! An encrypted file, read at any place by several threads.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use crate::decrypt::{DecryptError, Marked, read_header};
use crate::identity::Identities;

type Stream = age::stream::StreamReader<Whole>;
type Whole = BufReader<Marked<At>>;

/// The content of an encrypted file, decrypted where it is read. Nothing of it is kept or written anywhere.
///
/// Each chunk of 64 KiB is authenticated before any of it is given out, and the last one, which fixes the size, when
/// the file is opened. All that is read comes from one and the same encryption, whatever happens to the file
/// meanwhile: the header is read but once.
///
/// ```
/// use std::io::Write;
/// use consign_encryption::{DecryptedFile, Identities, encrypt};
/// let identities = Identities::generate();
/// let mut writer = encrypt(tempfile::tempfile()?, &identities.recipients())?;
/// writer.write_all(b"two words")?;
/// let file = DecryptedFile::open(writer.finish()?, identities)?;
/// let mut word = [0; 5];
/// file.read_exact_at(&mut word, 4)?;
/// assert_eq!((file.size(), &word), (9, b"words"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DecryptedFile {
    file: Arc<File>,
    head: Arc<[u8]>,
    identities: Identities,
    size: u64,
    /// Readers that nobody uses just now. One that has failed does not come back.
    idle: Mutex<Vec<Stream>>,
}

impl DecryptedFile {
    /// Opens an encrypted file with whichever of the identities fits.
    ///
    /// # Errors
    /// As [`decrypt`](crate::decrypt()); the file is cut short or longer than it should be.
    pub fn open(file: File, identities: Identities) -> Result<Self, DecryptError> {
        let file = Arc::new(file);
        let start = At { head: Arc::from([]), file: Arc::clone(&file), position: 0 };
        let head = read_header(&mut BufReader::new(Marked(start)))?;
        let mut opened = Self { file, head: head.into(), identities, size: 0, idle: Mutex::default() };
        let mut stream = opened.reader()?;
        opened.size = stream.seek(SeekFrom::End(0)).map_err(DecryptError::of_stream)?;
        stream.seek(SeekFrom::Start(0)).map_err(DecryptError::of_stream)?;
        opened.give_back(stream);
        Ok(opened)
    }

    /// Number of bytes of the content.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` from `offset` of the content on.
    ///
    /// # Errors
    /// `UnexpectedEof` if there are fewer bytes; [`DecryptError`], inside an [`io::Error`], if the file is not in
    /// order there; what the system says.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size);
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let read = || {
            let mut stream = match idle {
                Some(stream) => stream,
                None => self.reader()?,
            };
            let sought = stream.seek(SeekFrom::Start(offset));
            sought.and_then(|_| stream.read_exact(buffer)).map_err(DecryptError::of_stream)?;
            self.give_back(stream);
            Ok(())
        };
        read().map_err(|error: DecryptError| error.into_io())
    }

    fn give_back(&self, stream: Stream) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    fn reader(&self) -> Result<Stream, DecryptError> {
        let start = At { head: Arc::clone(&self.head), file: Arc::clone(&self.file), position: 0 };
        let failed = |error: age::DecryptError| DecryptError::of_age(&error);
        // The buffer is for the header alone: of the chunks age reads each as a whole.
        let buffered = BufReader::with_capacity(self.head.len(), Marked(start));
        let decryptor = age::Decryptor::new_buffered(buffered).map_err(failed)?;
        decryptor.decrypt(self.identities.as_dyn()).map_err(failed)
    }
}

/// A position in the file, of which the header is at hand.
struct At {
    head: Arc<[u8]>,
    file: Arc<File>,
    position: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = usize::try_from(self.position).ok().and_then(|position| self.head.get(position..));
        let read = match head {
            Some(head) if !head.is_empty() => {
                let count = head.len().min(buffer.len());
                buffer[..count].copy_from_slice(&head[..count]);
                count
            }
            _ => read_at(&self.file, buffer, self.position)?,
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for At {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const CHUNK: usize = 64 << 10;

    fn content(len: usize) -> Vec<u8> {
        (0..=250).cycle().take(len).collect()
    }

    fn sealed(content: &[u8], identities: &Identities) -> Vec<u8> {
        let mut writer = crate::encrypt(Vec::new(), &identities.recipients()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn on_disk(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn open(bytes: &[u8], identities: &Identities) -> Result<DecryptedFile, DecryptError> {
        DecryptedFile::open(on_disk(bytes), identities.clone())
    }

    #[test]
    fn every_place_can_be_read_in_any_order_by_any_thread() {
        let identities = Identities::generate();
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 77] {
            let content = content(len);
            let file = open(&sealed(&content, &identities), &identities).unwrap();
            assert_eq!(file.size(), len as u64);
            let read = |offset: usize, count: usize| {
                let mut buffer = vec![0; count];
                file.read_exact_at(&mut buffer, offset as u64).map(|()| buffer)
            };
            std::thread::scope(|scope| {
                for step in [1, 7, 13] {
                    let (read, content) = (&read, &content);
                    scope.spawn(move || {
                        for n in 0..40 {
                            let offset = (n * step * 7919) % (len + 1);
                            let count = (len - offset).min(n * 5003);
                            assert_eq!(read(offset, count).unwrap(), content[offset..offset + count]);
                        }
                    });
                }
            });
            assert_eq!(read(len, 0).unwrap(), b"");
            for (offset, count) in [(len, 1), (len + 1, 1), (0, len + 1), (usize::MAX, 2)] {
                assert_eq!(read(offset, count).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }

    #[test]
    fn cuts_and_additions_show_when_it_is_opened() {
        let identities = Identities::generate();
        for len in [5, CHUNK, 2 * CHUNK, 2 * CHUNK + 5] {
            let file = sealed(&content(len), &identities);
            assert!(open(&file, &identities).is_ok());
            let chunks = len.div_ceil(CHUNK);
            let head = file.len() - len - 16 * chunks;
            let borders = (0..chunks).map(|n| head + n * (CHUNK + 16));
            for cut in borders.chain([file.len() - 1, file.len() - 17, head - 1, 3]) {
                assert!(open(&file[..cut], &identities).is_err(), "{len} cut at {cut}");
            }
            assert!(open(&[&file[..], b"x"].concat(), &identities).is_err());
        }
        let small = sealed(b"a small file", &identities);
        for cut in 0..small.len() {
            assert!(open(&small[..cut], &identities).is_err(), "cut at {cut}");
        }
        assert!(matches!(open(&small, &Identities::generate()), Err(DecryptError::NoIdentity)));
    }

    #[test]
    fn an_altered_chunk_is_refused_and_the_others_still_read() {
        let identities = Identities::generate();
        let mut file = sealed(&content(3 * CHUNK), &identities);
        let second = file.len() - 2 * (CHUNK + 16);
        file[second + 100] ^= 1;
        let file = open(&file, &identities).unwrap();
        let mut byte = [0; 1];
        for _ in 0..2 {
            let error = file.read_exact_at(&mut byte, CHUNK as u64 + 5).unwrap_err();
            assert!(matches!(DecryptError::from_io(error), Ok(DecryptError::Altered)));
            file.read_exact_at(&mut byte, 5).unwrap();
            file.read_exact_at(&mut byte, 2 * CHUNK as u64).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_exchanged_meanwhile_gives_nothing_of_another() {
        let identities = Identities::generate();
        let (one, other) =
            (sealed(&content(CHUNK + 9), &identities), sealed(&vec![1; CHUNK + 9], &identities));
        let file = on_disk(&one);
        let opened = DecryptedFile::open(file.try_clone().unwrap(), identities).unwrap();
        file.set_len(0).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &other, 0).unwrap();
        let mut bytes = vec![0; 9];
        for offset in [0, CHUNK as u64] {
            assert!(opened.read_exact_at(&mut bytes, offset).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_place(len in 1..3 * CHUNK, places in proptest::collection::vec((any::<u16>(), any::<u16>()), 1..20)) {
            let identities = Identities::generate();
            let content = content(len);
            let file = open(&sealed(&content, &identities), &identities).unwrap();
            for (a, b) in places {
                let offset = usize::from(a) * 3 % len;
                let count = (len - offset).min(usize::from(b));
                let mut buffer = vec![0; count];
                file.read_exact_at(&mut buffer, offset as u64).unwrap();
                prop_assert_eq!(&buffer[..], &content[offset..offset + count]);
            }
        }
    }
}
