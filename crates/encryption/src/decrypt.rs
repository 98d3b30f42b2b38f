//! Decrypting, from beginning to end.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use consign_metadata::Problem;

use crate::identity::Identities;

/// Longest header, in bytes: that of [`RECIPIENTS_MAX`](crate::RECIPIENTS_MAX) recipients is a tenth of it.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Most stanzas in a header, of whatever kind: each identity is tried on each of them.
pub const STANZAS_MAX: usize = 256;
/// Most lines in a header. age parses it anew with each line.
const HEADER_LINES_MAX: usize = 2048;
/// What stands between the header and the first chunk.
const NONCE: usize = 16;

/// Why something was not decrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// Not the age format, or another version of it.
    #[error("it is not encrypted in the age format, version 1")]
    NotAge,
    /// The header is longer than any that is needed.
    #[error("its header has more than {HEADER_BYTES_MAX} bytes or {STANZAS_MAX} stanzas")]
    HeaderTooLarge,
    /// The header breaks a rule of the format.
    #[error("its header is malformed")]
    Header,
    /// The header was altered after it was written.
    #[error("its header was altered: it does not fit the file's key")]
    HeaderAltered,
    /// It is encrypted to others.
    #[error("none of the identities opens it")]
    NoIdentity,
    /// It ends before its last chunk.
    #[error("it was cut short")]
    Truncated,
    /// A chunk does not authenticate. If the cut does not fall between two chunks, a file that was cut short looks
    /// like this too.
    #[error("it was altered or cut short")]
    Altered,
    /// Something stands behind the last chunk.
    #[error("something was added behind its end")]
    TrailingData,
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
}

impl DecryptError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::NotAge => ("not-age", "the file that is meant begins with `age-encryption.org/v1`"),
            Self::HeaderTooLarge | Self::Header | Self::HeaderAltered => {
                ("age-header", "ask the sender for the file again and compare its SHA-256")
            }
            Self::NoIdentity => (
                "no-identity",
                "ask the sender which recipients it was encrypted to; `consign keygen --encryption` shows yours",
            ),
            Self::Truncated => ("age-truncated", "fetch it again"),
            Self::Altered => ("age-altered", "ask the sender for the file again and compare its SHA-256"),
            Self::TrailingData => {
                ("age-trailing", "ask the sender for the file again and compare its SHA-256")
            }
            Self::Io(_) => return Problem::new("unreadable", self.to_string()),
        };
        Problem::new(code, self.to_string()).hint(hint)
    }

    /// What a reader of this crate has said through [`Read`].
    ///
    /// # Errors
    /// The error itself, if it comes from elsewhere.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }

    /// What age says of a header.
    pub(crate) fn of_age(error: &age::DecryptError) -> Self {
        use age::DecryptError as Age;
        match error {
            Age::NoMatchingKeys => Self::NoIdentity,
            Age::InvalidMac | Age::DecryptionFailed | Age::KeyDecryptionFailed => Self::HeaderAltered,
            Age::UnknownFormat => Self::NotAge,
            Age::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            Age::Io(error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
            _ => Self::Header,
        }
    }

    /// What age says of a chunk.
    pub(crate) fn of_stream(error: io::Error) -> Self {
        let error = match error.downcast::<Underlying>() {
            Ok(Underlying(error)) => return Self::Io(error),
            Err(error) => error,
        };
        // age gives no types for these. The words are held by the tests below; were they others, the error would be
        // called `Altered`, which is no less of a refusal.
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ if error.to_string() == "last chunk has been processed" => Self::TrailingData,
            _ => Self::Altered,
        }
    }

    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// Marks what the system said of the encrypted file, so that it is told apart from what age says of its content.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Underlying(io::Error);

/// A reader whose errors are marked.
pub(crate) struct Marked<R>(pub(crate) R);

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(Underlying(error)),
        })
    }
}

impl<R: io::Seek> io::Seek for Marked<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to).map_err(|error| io::Error::other(Underlying(error)))
    }
}

type Whole<R> = Chain<Cursor<Vec<u8>>, BufReader<Marked<R>>>;

/// A reader that decrypts. What it gives is authentic chunk by chunk; that the file is whole shows only at its end,
/// so nothing may be made of what was read before the end was reached.
///
/// Its errors are [`DecryptError`], inside an [`io::Error`].
pub struct Decryptor<R: Read> {
    stream: age::stream::StreamReader<Whole<R>>,
    /// It goes no further after an error, or after the end.
    over: bool,
}

/// Begins to decrypt with whichever of the identities fits.
///
/// # Errors
/// It is not in the age format, its header is too large, malformed or altered, or no identity fits.
pub fn decrypt<R: Read>(input: R, identities: &Identities) -> Result<Decryptor<R>, DecryptError> {
    let mut input = BufReader::new(Marked(input));
    let head = read_header(&mut input)?;
    let whole = Cursor::new(head).chain(input);
    let decryptor = age::Decryptor::new_buffered(whole).map_err(|error| DecryptError::of_age(&error))?;
    let stream = decryptor.decrypt(identities.as_dyn()).map_err(|error| DecryptError::of_age(&error))?;
    Ok(Decryptor { stream, over: false })
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.over || buffer.is_empty() {
            return Ok(0);
        }
        match self.stream.read(buffer) {
            Ok(0) => {
                self.over = true;
                Ok(0)
            }
            Ok(read) => Ok(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(DecryptError::of_stream(error).into_io()),
        }
    }
}

/// The header of a file in memory, parsed and as it stands.
pub(crate) fn header(bytes: &[u8]) -> Result<(age::Decryptor<&[u8]>, Vec<u8>), DecryptError> {
    let head = read_header(&mut &bytes[..])?;
    let decryptor = age::Decryptor::new_buffered(bytes).map_err(|error| DecryptError::of_age(&error))?;
    Ok((decryptor, head))
}

/// Reads as far as age does before the first chunk, and not more than a header may have: age itself would read a
/// header of any length into memory.
pub(crate) fn read_header(input: &mut impl BufRead) -> Result<Vec<u8>, DecryptError> {
    let failed = |error: io::Error| match DecryptError::of_stream(error) {
        DecryptError::Io(error) => DecryptError::Io(error),
        _ => DecryptError::Truncated,
    };
    let mut head = Vec::new();
    let (mut lines, mut stanzas) = (0, 0);
    loop {
        let start = head.len();
        let left = (HEADER_BYTES_MAX + 1).saturating_sub(start) as u64;
        input.by_ref().take(left).read_until(b'\n', &mut head).map_err(failed)?;
        let line = &head[start..];
        if lines == 0 && line != b"age-encryption.org/v1\n" {
            let cut = b"age-encryption.org/v1\n".starts_with(line) && !line.is_empty();
            return Err(if cut { DecryptError::Truncated } else { DecryptError::NotAge });
        }
        lines += 1;
        stanzas += usize::from(line.starts_with(b"-> "));
        if head.len() > HEADER_BYTES_MAX || lines > HEADER_LINES_MAX || stanzas > STANZAS_MAX {
            return Err(DecryptError::HeaderTooLarge);
        }
        if !line.ends_with(b"\n") {
            return Err(DecryptError::Truncated);
        }
        if line.starts_with(b"---") {
            break;
        }
    }
    crate::header::check(&head)?;
    let start = head.len();
    head.resize(start + NONCE, 0);
    input.read_exact(&mut head[start..]).map_err(failed)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const CHUNK: usize = 64 << 10;

    fn sealed(content: &[u8], identities: &Identities) -> Vec<u8> {
        let mut writer = crate::encrypt(Vec::new(), &identities.recipients()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn open(file: &[u8], identities: &Identities) -> Result<Vec<u8>, DecryptError> {
        let mut content = Vec::new();
        let mut reader = decrypt(file, identities)?;
        match reader.read_to_end(&mut content) {
            Ok(_) => Ok(content),
            Err(error) => Err(DecryptError::from_io(error).unwrap_or_else(DecryptError::Io)),
        }
    }

    #[test]
    fn every_single_altered_byte_and_every_cut_is_refused() {
        let identities = Identities::generate();
        let file = sealed(b"a small file", &identities);
        assert_eq!(open(&file, &identities).unwrap(), b"a small file");
        for cut in 0..file.len() {
            assert!(open(&file[..cut], &identities).is_err(), "cut at {cut}");
        }
        for at in 0..file.len() {
            for flip in [1, 0x20, 0x80] {
                let mut altered = file.clone();
                altered[at] ^= flip;
                assert!(open(&altered, &identities).is_err(), "byte {at} with {flip:#x}");
            }
        }
        for more in [&b"\0"[..], b"\n", &file] {
            assert!(open(&[&file, more].concat(), &identities).is_err());
        }
    }

    #[test]
    fn cuts_and_additions_at_the_borders_of_chunks_are_told_apart() {
        let identities = Identities::generate();
        let head = sealed(b"", &identities).len() - 16;
        for chunks in [1, 2, 3] {
            let content = vec![7; chunks * CHUNK];
            let file = sealed(&content, &identities);
            // The header's grease has no fixed length.
            let head = file.len() - chunks * (CHUNK + 16);
            assert_eq!(open(&file, &identities).unwrap(), content);
            assert!(matches!(
                open(&[&file[..], b"x"].concat(), &identities),
                Err(DecryptError::TrailingData)
            ));
            for kept in 0..chunks {
                let cut = &file[..head + kept * (CHUNK + 16)];
                assert!(matches!(open(cut, &identities), Err(DecryptError::Truncated)), "{kept} of {chunks}");
            }
            assert!(matches!(open(&file[..file.len() - 1], &identities), Err(DecryptError::Altered)));
        }
        assert!(head > 100);
    }

    #[test]
    fn chunks_cannot_change_places() {
        let identities = Identities::generate();
        let file = sealed(&vec![7; 3 * CHUNK], &identities);
        let head = file.len() - 3 * (CHUNK + 16);
        let chunk = |n: usize| &file[head + n * (CHUNK + 16)..head + (n + 1) * (CHUNK + 16)];
        let other = [&file[..head], chunk(1), chunk(0), chunk(2)].concat();
        assert!(matches!(open(&other, &identities), Err(DecryptError::Altered)));
        let missing = [&file[..head], chunk(0), chunk(2)].concat();
        assert!(matches!(open(&missing, &identities), Err(DecryptError::Altered)));
    }

    #[test]
    fn others_cannot_open_it() {
        let (a, b, c) = (Identities::generate(), Identities::generate(), Identities::generate());
        let both = a.clone().join(b.clone());
        let file = sealed(b"for two", &both);
        assert_eq!(open(&file, &a).unwrap(), b"for two");
        assert_eq!(open(&file, &c.clone().join(b)).unwrap(), b"for two");
        assert!(matches!(open(&file, &c), Err(DecryptError::NoIdentity)));
    }

    #[test]
    fn headers_are_bounded() {
        let identities = Identities::generate();
        let long = [&b"age-encryption.org/v1\n-> "[..], &vec![b'x'; HEADER_BYTES_MAX]].concat();
        assert!(matches!(open(&long, &identities), Err(DecryptError::HeaderTooLarge)));
        let many = [&b"age-encryption.org/v1\n"[..], &b"-> x\n\n".repeat(STANZAS_MAX + 1)].concat();
        assert!(matches!(open(&many, &identities), Err(DecryptError::HeaderTooLarge)));
        let lines = [&b"age-encryption.org/v1\n-> x\n"[..], &b"A\n".repeat(HEADER_LINES_MAX)].concat();
        assert!(matches!(open(&lines, &identities), Err(DecryptError::HeaderTooLarge)));
        assert!(matches!(open(b"age-encryption.org/v2\n", &identities), Err(DecryptError::NotAge)));
        assert!(matches!(open(b"\x28\xb5\x2f\xfd", &identities), Err(DecryptError::NotAge)));
        assert!(matches!(open(b"", &identities), Err(DecryptError::NotAge)));
        assert!(matches!(open(b"age-encryption.org/v1\n---\n", &identities), Err(DecryptError::Header)));
        assert!(matches!(open(b"age-encryption.org/v1\n-> x", &identities), Err(DecryptError::Truncated)));
    }

    #[test]
    fn what_the_system_says_is_passed_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let identities = Identities::generate();
        let denied = |error| matches!(error, DecryptError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied);
        assert!(denied(decrypt(Broken, &identities).err().unwrap()));
        let file = sealed(&vec![1; 2 * CHUNK], &identities);
        let mut reader = decrypt((&file[..CHUNK]).chain(Broken), &identities).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), head in any::<bool>()) {
            let identities = Identities::generate();
            let begin = if head { &b"age-encryption.org/v1\n-> X25519 "[..] } else { b"" };
            prop_assert!(open(&[begin, &bytes].concat(), &identities).is_err());
        }

        #[test]
        fn what_goes_in_comes_out(len in 0..3 * CHUNK, piece in 1..CHUNK) {
            let identities = Identities::generate();
            let content: Vec<u8> = (0..=250).cycle().take(len).collect();
            let mut writer = crate::encrypt(Vec::new(), &identities.recipients()).unwrap();
            for piece in content.chunks(piece) {
                writer.write_all(piece).unwrap();
            }
            prop_assert_eq!(open(&writer.finish().unwrap(), &identities).unwrap(), content);
        }
    }
}
