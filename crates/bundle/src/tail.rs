//! The tail of an archive: the index, which holds the SHA-256 state at the end of every frame, and the seek
//! table of the zstd seekable format, which holds the sizes. Both are skippable frames, which every zstd tool
//! passes over.

use consign_metadata::limits::MANIFEST_BYTES_MAX;

use crate::encoder::EncoderId;
use crate::limits::{FRAME_MAX, FRAMES_MAX, TAIL_MAX};
use crate::sha256::Sha256State;

/// Magic number of the index's skippable frame.
const INDEX_MAGIC: u32 = 0x184D_2A5D;
/// Magic number of the seek table's skippable frame (zstd seekable format).
const SEEK_TABLE_MAGIC: u32 = 0x184D_2A5E;
/// The last four bytes of a seek table (zstd seekable format).
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// The first bytes of an index: a name that no other skippable frame has, and the format.
const INDEX_HEAD: &[u8; 8] = b"consign\x01";
const SKIPPABLE_HEADER: usize = 8;
const SEEK_ENTRY: usize = 8;
pub(crate) const SEEK_FOOTER: usize = 9;
const INDEX_TRAILER: usize = 24;
/// What an index has besides the records of frames and the encoder id, with its skippable header.
const INDEX_FIXED: usize = SKIPPABLE_HEADER + INDEX_HEAD.len() + 1 + INDEX_TRAILER;
/// Shortest record of a frame in the index: kind, chaining value, content id.
const RECORD_MIN: usize = 1 + 32 + 32;
/// Longest: with bytes left over, and the file's length and state, with bytes left over.
const RECORD_MAX: usize = RECORD_MIN + 63 + 8 + 32 + 63;

/// What is recorded of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameRecord {
    /// Where it begins in the archive.
    pub(crate) offset: u64,
    /// Its length in the archive.
    pub(crate) compressed: u32,
    /// The number of bytes it decodes to.
    pub(crate) decoded: u32,
    /// The archive's SHA-256 state at its end.
    pub(crate) archive: Sha256State,
    /// For a content frame, the SHA-256 state of its file at its end.
    pub(crate) file: Option<Sha256State>,
    /// BLAKE3 of what it decodes to; finds equal frames, proves nothing.
    pub(crate) content_id: [u8; 32],
}

impl FrameRecord {
    /// Where it ends in the archive.
    pub(crate) fn end(&self) -> u64 {
        self.offset + u64::from(self.compressed)
    }
}

/// The frames that hold the manifest's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ManifestPlace {
    /// Index of the first of them.
    pub(crate) first: u64,
    /// How many there are.
    pub(crate) count: u64,
    /// Size of the manifest in bytes.
    pub(crate) size: u64,
}

/// A tail whose parts agree with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) encoder: EncoderId,
    pub(crate) frames: Vec<FrameRecord>,
    pub(crate) manifest: ManifestPlace,
}

/// Why a tail is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailFault {
    /// The file does not end as an archive of consign does.
    #[error("the file does not end with a seek table: it is cut short, or not an archive of consign")]
    NoSeekTable,
    /// The seek table breaks a rule.
    #[error("the seek table {0}")]
    SeekTable(&'static str),
    /// The index breaks a rule.
    #[error("the index {0}")]
    Index(&'static str),
    /// Made by a newer version.
    #[error("the index has format {0}, which is newer than this version of consign reads (format 1)")]
    NewerFormat(u8),
    /// A tail too large to be read.
    #[error("the tail is {0} bytes long, more than the limit of {TAIL_MAX}")]
    TooLarge(u64),
}

impl Tail {
    /// The length of a tail, from the last [`SEEK_FOOTER`] bytes of the file and then from the seek table:
    /// first the table alone.
    pub(crate) fn seek_table_len(footer: &[u8]) -> Result<u64, TailFault> {
        let Some((count, rest)) = footer.split_first_chunk::<4>() else { return Err(TailFault::NoSeekTable) };
        if rest.len() != SEEK_FOOTER - 4 || rest[1..] != SEEKABLE_MAGIC.to_le_bytes() {
            return Err(TailFault::NoSeekTable);
        }
        if rest[0] != 0 {
            return Err(TailFault::SeekTable("has a descriptor other than 0"));
        }
        let count = u32::from_le_bytes(*count);
        // The smallest archive has three tag frames, one gather frame and the index.
        if count < 5 {
            return Err(TailFault::SeekTable("lists too few frames"));
        }
        if count > FRAMES_MAX {
            return Err(TailFault::SeekTable("lists too many frames"));
        }
        Ok((SKIPPABLE_HEADER + SEEK_FOOTER) as u64 + SEEK_ENTRY as u64 * u64::from(count))
    }

    /// The length of the index frame, from the seek table, whose last entry it is.
    pub(crate) fn index_len(seek_table: &[u8]) -> Result<u64, TailFault> {
        let at = seek_table.len().checked_sub(SEEK_FOOTER + SEEK_ENTRY).ok_or(TailFault::NoSeekTable)?;
        let entry = &seek_table[at..][..SEEK_ENTRY];
        if entry[4..] != [0; 4] {
            return Err(TailFault::SeekTable("does not end with the index"));
        }
        let index = u64::from(u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]));
        let total = index + seek_table.len() as u64;
        if total > TAIL_MAX {
            return Err(TailFault::TooLarge(total));
        }
        // Checked before the index is read, and before anything is reserved for as many frames.
        let frames = (at.saturating_sub(SKIPPABLE_HEADER) / SEEK_ENTRY) as u64;
        let least = INDEX_FIXED as u64 + 1 + frames * RECORD_MIN as u64;
        let most = (INDEX_FIXED + EncoderId::MAX) as u64 + frames * RECORD_MAX as u64;
        if !(least..=most).contains(&index) {
            return Err(TailFault::SeekTable("lists another number of frames than an index of its size has"));
        }
        Ok(index)
    }

    /// Reads a tail of an archive in which `data` bytes stand before it.
    ///
    /// # Errors
    /// The first rule that is broken: both frames whole, nothing between or after them, sizes that add up,
    /// states that belong to their places.
    pub(crate) fn parse(bytes: &[u8], data: u64) -> Result<Self, TailFault> {
        let footer = bytes.len().checked_sub(SEEK_FOOTER).ok_or(TailFault::NoSeekTable)?;
        let table_len = Self::seek_table_len(&bytes[footer..])?;
        let split = (bytes.len() as u64)
            .checked_sub(table_len)
            .and_then(|at| usize::try_from(at).ok())
            .ok_or(TailFault::SeekTable("is longer than the tail"))?;
        let (index, table) = bytes.split_at(split);
        if Self::index_len(table)? != index.len() as u64 {
            return Err(TailFault::SeekTable("has another size for the index than the tail leaves"));
        }
        let entries =
            skippable(table, SEEK_TABLE_MAGIC).ok_or(TailFault::SeekTable("is not one skippable frame"))?;
        let (entries, _) = entries[..entries.len() - SEEK_FOOTER].as_chunks::<SEEK_ENTRY>();
        let payload = skippable(index, INDEX_MAGIC).ok_or(TailFault::Index("is not one skippable frame"))?;
        Self::parse_index(payload, &entries[..entries.len() - 1], data)
    }

    fn parse_index(payload: &[u8], sizes: &[[u8; SEEK_ENTRY]], data: u64) -> Result<Self, TailFault> {
        let short = TailFault::Index("is cut short");
        let split = payload.len().checked_sub(INDEX_TRAILER).ok_or(short)?;
        let (head, trailer) = payload.split_at(split);
        let mut index = Reader(head);
        match index.array::<8>()? {
            head if head == *INDEX_HEAD => {}
            head if head[..7] == INDEX_HEAD[..7] && head[7] > INDEX_HEAD[7] => {
                return Err(TailFault::NewerFormat(head[7]));
            }
            _ => return Err(TailFault::Index("does not begin as one of consign")),
        }
        let encoder = usize::from(index.array::<1>()?[0]);
        let encoder = std::str::from_utf8(index.bytes(encoder)?)
            .ok()
            .and_then(EncoderId::parse)
            .ok_or(TailFault::Index("has a malformed encoder id"))?;
        let mut frames = Vec::with_capacity(sizes.len());
        let mut offset = 0u64;
        for entry in sizes {
            let compressed = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let decoded = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            if compressed == 0 || decoded == 0 {
                return Err(TailFault::SeekTable("lists an empty frame"));
            }
            if decoded > FRAME_MAX {
                return Err(TailFault::SeekTable("lists a frame of more than 8 MiB"));
            }
            // What a reader must hold in memory follows from it.
            if u64::from(compressed) > longest(decoded) {
                return Err(TailFault::SeekTable("lists a frame longer than its content allows"));
            }
            let end = offset + u64::from(compressed);
            let kind = index.array::<1>()?[0];
            let archive = index.state(end)?;
            let content_id = index.array()?;
            let file = match kind {
                0 => None,
                1 => {
                    let length = u64::from_le_bytes(index.array()?);
                    Some(index.state(length)?)
                }
                _ => return Err(TailFault::Index("has a frame of unknown kind")),
            };
            frames.push(FrameRecord { offset, compressed, decoded, archive, file, content_id });
            offset = end;
        }
        if !index.0.is_empty() {
            return Err(TailFault::Index("holds more than its frames"));
        }
        if offset != data {
            return Err(TailFault::SeekTable("does not add up to the size of the archive"));
        }
        let mut trailer = Reader(trailer);
        let manifest = ManifestPlace {
            first: u64::from_le_bytes(trailer.array()?),
            count: u64::from_le_bytes(trailer.array()?),
            size: u64::from_le_bytes(trailer.array()?),
        };
        let tail = Self { encoder, frames, manifest };
        let decoded: u64 = tail.manifest_frames().iter().map(|frame| u64::from(frame.decoded)).sum();
        if manifest.count == 0 || decoded != manifest.size {
            return Err(TailFault::Index("names a place of the manifest that is not there"));
        }
        // A manifest is held in memory before anything is known of it.
        if manifest.size > MANIFEST_BYTES_MAX {
            return Err(TailFault::Index("names a manifest beyond the limit"));
        }
        Ok(tail)
    }

    /// The frames that hold the manifest's content; none if the place is not there.
    pub(crate) fn manifest_frames(&self) -> &[FrameRecord] {
        let range = || {
            let first = usize::try_from(self.manifest.first).ok()?;
            let end = first.checked_add(usize::try_from(self.manifest.count).ok()?)?;
            self.frames.get(first..end)
        };
        range().unwrap_or_default()
    }

    /// The bytes of the tail.
    ///
    /// # Errors
    /// More frames than the seek table, or a larger index than its frame, can hold.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, TailFault> {
        let mut payload = INDEX_HEAD.to_vec();
        let encoder = self.encoder.as_str();
        payload
            .push(u8::try_from(encoder.len()).map_err(|_| TailFault::Index("has too long an encoder id"))?);
        payload.extend_from_slice(encoder.as_bytes());
        for frame in &self.frames {
            payload.push(u8::from(frame.file.is_some()));
            payload.extend_from_slice(&frame.archive.chaining());
            payload.extend_from_slice(frame.archive.rest());
            payload.extend_from_slice(&frame.content_id);
            if let Some(file) = &frame.file {
                payload.extend_from_slice(&file.length().to_le_bytes());
                payload.extend_from_slice(&file.chaining());
                payload.extend_from_slice(file.rest());
            }
        }
        for number in [self.manifest.first, self.manifest.count, self.manifest.size] {
            payload.extend_from_slice(&number.to_le_bytes());
        }
        let mut tail = Vec::new();
        write_skippable(INDEX_MAGIC, &payload, &mut tail)?;
        let index = u32::try_from(tail.len()).map_err(|_| TailFault::TooLarge(tail.len() as u64))?;
        let mut table = Vec::new();
        for (compressed, decoded) in
            self.frames.iter().map(|frame| (frame.compressed, frame.decoded)).chain([(index, 0)])
        {
            table.extend_from_slice(&compressed.to_le_bytes());
            table.extend_from_slice(&decoded.to_le_bytes());
        }
        let count = u32::try_from(self.frames.len() + 1).ok().filter(|&count| count <= FRAMES_MAX);
        table.extend_from_slice(&count.ok_or(TailFault::SeekTable("lists too many frames"))?.to_le_bytes());
        table.push(0);
        table.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
        write_skippable(SEEK_TABLE_MAGIC, &table, &mut tail)?;
        Ok(tail)
    }
}

/// Most bytes of a frame that decodes to so many: the bound of zstd's own encoder for content that does not shrink.
pub(crate) fn longest(decoded: u32) -> u64 {
    let decoded = u64::from(decoded);
    decoded + decoded / 256 + 128
}

/// The payload of `frame` if it is exactly one skippable frame of that magic number.
fn skippable(frame: &[u8], magic: u32) -> Option<&[u8]> {
    let (header, payload) = frame.split_first_chunk::<SKIPPABLE_HEADER>()?;
    let [m0, m1, m2, m3, s0, s1, s2, s3] = *header;
    let same = u32::from_le_bytes([m0, m1, m2, m3]) == magic
        && u64::from(u32::from_le_bytes([s0, s1, s2, s3])) == payload.len() as u64;
    same.then_some(payload)
}

pub(crate) fn write_skippable(magic: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), TailFault> {
    let size = u32::try_from(payload.len()).map_err(|_| TailFault::TooLarge(payload.len() as u64))?;
    out.extend_from_slice(&magic.to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], TailFault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TailFault::Index("is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TailFault> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    /// A state after `length` bytes: the chaining value, and as many bytes as are left over there.
    fn state(&mut self, length: u64) -> Result<Sha256State, TailFault> {
        let chaining = self.array()?;
        // Below 64.
        let rest = self.bytes(usize::from((length % 64) as u8))?;
        Sha256State::from_parts(&chaining, rest, length).ok_or(TailFault::Index("has an impossible state"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Compression;
    use proptest::prelude::*;

    fn tail() -> (Tail, u64) {
        let mut state = Sha256State::initial();
        let mut offset = 0;
        let mut frames = Vec::new();
        for (n, len) in [40u32, 100, 7, 64, 3].into_iter().enumerate() {
            state.update(&vec![n.to_le_bytes()[0]; len as usize]);
            let file = (n == 1).then(|| state.clone());
            let end = offset + u64::from(len);
            frames.push(FrameRecord {
                offset,
                compressed: len,
                decoded: 9,
                archive: state.clone(),
                file,
                content_id: [7; 32],
            });
            offset = end;
        }
        let manifest = ManifestPlace { first: 3, count: 1, size: 9 };
        (Tail { encoder: EncoderId::current(Compression::Auto), frames, manifest }, offset)
    }

    #[test]
    fn it_reads_what_it_writes() {
        let (tail, data) = tail();
        let bytes = tail.to_bytes().expect("small");
        assert_eq!(Tail::parse(&bytes, data), Ok(tail));
        let table = Tail::seek_table_len(&bytes[bytes.len() - SEEK_FOOTER..]).expect("a footer");
        let at = bytes.len() - usize::try_from(table).expect("small");
        assert_eq!(Tail::index_len(&bytes[at..]), Ok(at as u64));
    }

    #[test]
    fn no_altered_or_shortened_tail_panics_and_no_cut_one_passes() {
        let (tail, data) = tail();
        let bytes = tail.to_bytes().expect("small");
        for at in 0..bytes.len() {
            assert!(Tail::parse(&bytes[..at], data).is_err(), "{at}");
            assert!(Tail::parse(&bytes[at + 1..], data).is_err(), "{at}");
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            if let Ok(other) = Tail::parse(&altered, data) {
                assert_ne!(other, tail, "{at}: every byte means something");
            }
        }
        assert!(Tail::parse(&bytes, data + 1).is_err());
        assert!(Tail::parse(&bytes, data - 1).is_err());
    }

    #[test]
    fn a_manifest_beyond_the_limit_is_refused_before_it_is_read() {
        let (mut tail, data) = tail();
        let frame = tail.frames.pop().expect("five frames");
        let count = MANIFEST_BYTES_MAX / u64::from(FRAME_MAX);
        let mut with_manifest_of = |count: u64| {
            tail.frames.truncate(4);
            let mut offset = data - 3;
            for _ in 0..count {
                let end = offset + 3;
                let archive = Sha256State::from_parts(&[1; 32], &vec![0; (end % 64) as usize], end);
                let archive = archive.expect("past the first block");
                let frame = FrameRecord { offset, decoded: FRAME_MAX, archive, ..frame.clone() };
                offset = end;
                tail.frames.push(frame);
            }
            tail.manifest = ManifestPlace { first: 4, count, size: count * u64::from(FRAME_MAX) };
            Tail::parse(&tail.to_bytes().expect("small"), offset)
        };
        assert!(with_manifest_of(count).is_ok());
        assert_eq!(with_manifest_of(count + 1), Err(TailFault::Index("names a manifest beyond the limit")));
    }

    #[test]
    fn a_seek_table_without_an_index_for_its_frames_is_refused() {
        let (tail, data) = tail();
        let bytes = tail.to_bytes().expect("small");
        let index = 8 + u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes")) as usize;
        let entries = &bytes[index + 8..bytes.len() - SEEK_FOOTER];
        let (frame, own) = entries.split_at(entries.len() - SEEK_ENTRY);
        let count = 1_000_000u32;
        let mut table = frame[..SEEK_ENTRY].repeat(usize::try_from(count).expect("small") - 1);
        table.extend_from_slice(own);
        table.extend_from_slice(&count.to_le_bytes());
        table.extend_from_slice(&bytes[bytes.len() - SEEK_FOOTER + 4..]);
        let mut forged = bytes[..index].to_vec();
        write_skippable(SEEK_TABLE_MAGIC, &table, &mut forged).expect("small");
        assert!(matches!(Tail::parse(&forged, data), Err(TailFault::SeekTable(_))));
    }

    proptest! {
        #[test]
        fn anything_is_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), data: u64) {
            prop_assert!(Tail::parse(&bytes, data).is_err());
        }
    }
}
