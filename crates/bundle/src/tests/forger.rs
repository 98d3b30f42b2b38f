//! A dishonest signer: makes archives that break one rule, while everything that follows from the forged
//! bytes (states, index, seek table, digests, what the statement says) is made to agree with them.
//!
//! It writes manifest and tag files by itself, so that it can write what the types of this program cannot hold.

use std::sync::LazyLock;

use consign_metadata::{Manifest, Sha256Digest};

use crate::archive::{ArchiveFacts, Expected};
use crate::encoder::{Compression, Encoder, EncoderId};
use crate::header::{BLOCK, HeaderKind, padding, seal, write_header};
use crate::limits::LARGE_FILE;
use crate::sha256::Sha256State;
use crate::tail::{FrameRecord, ManifestPlace, Tail, write_skippable};

/// Where the frames of the honest archive are.
pub(super) const FIRST: usize = 0;
pub(super) const CONTENT_1: usize = 1;
pub(super) const CONTENT_2: usize = 2;
pub(super) const REST: usize = 3;
pub(super) const BEFORE: usize = 4;
pub(super) const MANIFEST: usize = 5;
pub(super) const AFTER: usize = 6;

/// What the steps of making an archive are given to spoil, in their order. Each sees what those before made.
#[derive(Clone, Copy)]
pub(super) struct Forgery {
    /// Files and directories, before anything is made of them.
    pub entries: fn(&mut Vec<Entry>),
    /// The text of the manifest.
    pub manifest: fn(&mut String),
    /// Paths and contents of the tag files before `tagmanifest-sha256.txt`.
    pub tags: fn(&mut Vec<(&'static str, Vec<u8>)>),
    /// `tagmanifest-sha256.txt`.
    pub tagmanifest: fn(&mut Vec<u8>),
    /// The tar stream, cut where frames end.
    pub pieces: fn(&mut Vec<Piece>),
    /// The frames.
    pub frames: fn(&mut Vec<Frame>),
    /// The tail, which holds true states.
    pub tail: fn(&mut Tail),
    /// The payload of the index.
    pub index: fn(&mut Vec<u8>),
    /// The payload of the seek table.
    pub table: fn(&mut Vec<u8>),
    /// The whole tail.
    pub tail_bytes: fn(&mut Vec<u8>),
    /// What is signed.
    pub expected: fn(&mut Expected),
    /// The file, after it was signed.
    pub sent: fn(&mut Vec<u8>),
}

/// Spoils nothing.
pub(super) const HONEST: Forgery = Forgery {
    entries: |_| {},
    manifest: |_| {},
    tags: |_| {},
    tagmanifest: |_| {},
    pieces: |_| {},
    frames: |_| {},
    tail: |_| {},
    index: |_| {},
    table: |_| {},
    tail_bytes: |_| {},
    expected: |_| {},
    sent: |_| {},
};

/// A file or empty directory: what the manifest and the header say, and what is shipped.
#[derive(Clone)]
pub(super) struct Entry {
    pub path: String,
    pub kind: HeaderKind,
    pub sha256: Sha256Digest,
    pub content: Vec<u8>,
}

pub(super) fn file(path: &str, content: &[u8]) -> Entry {
    Entry {
        path: path.into(),
        kind: HeaderKind::File { size: content.len() as u64, mode: 0o644 },
        sha256: Sha256Digest::of(content),
        content: content.into(),
    }
}

pub(super) fn directory(path: &str) -> Entry {
    Entry { kind: HeaderKind::Directory, ..file(path, b"") }
}

/// What a piece of the tar stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Other,
    /// Content of the large file with that index.
    Large(usize),
    Manifest,
}

/// A piece of the tar stream that gets a frame.
#[derive(Clone)]
pub(super) struct Piece {
    pub content: Vec<u8>,
    pub holds: Holds,
}

impl Piece {
    pub(super) fn other(content: Vec<u8>) -> Self {
        Self { content, holds: Holds::Other }
    }
}

/// A frame with what the tail will say of it.
#[derive(Clone)]
pub(super) struct Frame {
    pub bytes: Vec<u8>,
    pub decoded: usize,
    pub content_id: [u8; 32],
    pub file: Option<Sha256State>,
    is_manifest: bool,
}

impl Frame {
    /// Something that stands between frames, with what the seek table says of its size.
    pub(super) fn inserted(bytes: &[u8], decoded: usize) -> Self {
        Self { bytes: bytes.into(), decoded, content_id: [0; 32], file: None, is_manifest: false }
    }
}

/// Content of the large file; it does not compress.
pub(super) static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::new();
    while out.len() < (1 << 20) + 1000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        out.extend_from_slice(&seed.to_le_bytes());
    }
    out
});

/// The honest tree: two small files of one size, an empty directory, a large file, a name for an `L` record.
fn entries() -> Vec<Entry> {
    vec![
        file("a.txt", b"alpha"),
        file("b.txt", b"gamma"),
        directory("empty"),
        file("large.bin", &LARGE),
        file(&format!("long/{}", "n".repeat(120)), b"far down"),
    ]
}

impl Forgery {
    /// The archive, and what a statement with a good signature says of it.
    pub(super) fn build(&self) -> (Vec<u8>, Expected) {
        let mut entries = entries();
        (self.entries)(&mut entries);
        let mut manifest = manifest_text(&entries);
        (self.manifest)(&mut manifest);
        let manifest = manifest.into_bytes();
        let id = Manifest::id_of(&manifest);

        let mut pieces = payload(&entries);
        pieces.extend(self.tag_pieces(&entries, manifest));
        (self.pieces)(&mut pieces);

        let mut frames = frames(&pieces);
        (self.frames)(&mut frames);
        let mut archive = frames.iter().map(|frame| frame.bytes.as_slice()).collect::<Vec<_>>().concat();

        let mut tail = honest_tail(&frames);
        (self.tail)(&mut tail);
        let tail_bytes = self.tail_bytes(&tail);
        archive.extend_from_slice(&tail_bytes);

        let mut expected = Expected {
            archive: ArchiveFacts {
                sha256: Sha256Digest::of(&archive),
                size: archive.len() as u64,
                tail_length: tail_bytes.len() as u64,
                tail_sha256: Sha256Digest::of(&tail_bytes),
                encoder: tail.encoder.clone(),
            },
            id,
            name: "tiny".parse().expect("a name"),
            version: "1.0.0".parse().expect("a version"),
            classification: "public".parse().expect("a level"),
        };
        (self.expected)(&mut expected);
        (self.sent)(&mut archive);
        (archive, expected)
    }

    /// The tag files and the end of the tar stream, cut around the content of the manifest.
    fn tag_pieces(&self, entries: &[Entry], manifest: Vec<u8>) -> [Piece; 3] {
        let sizes: Vec<u64> = entries.iter().filter_map(|entry| size_in(entry.kind)).collect();
        let bag_info = format!(
            "Contact-Name: Ada\nContact-Email: ada@example.org\nExternal-Identifier: tiny@1.0.0\n\
             Payload-Oxum: {}.{}\nConsign-Bundle-Id: {}\nConsign-Classification: public\n",
            sizes.iter().sum::<u64>(),
            sizes.len(),
            Manifest::id_of(&manifest)
        );
        let sums: String = entries
            .iter()
            .filter(|entry| size_in(entry.kind).is_some())
            .map(|entry| format!("{}  data/{}\n", entry.sha256.hex(), entry.path))
            .collect();
        let mut tags = vec![
            ("bag-info.txt", bag_info.into_bytes()),
            ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n".to_vec()),
            ("consign/manifest.json", manifest),
            ("manifest-sha256.txt", sums.into_bytes()),
        ];
        (self.tags)(&mut tags);
        let mut tagmanifest: Vec<u8> = tags
            .iter()
            .flat_map(|(path, content)| format!("{}  {path}\n", Sha256Digest::of(content).hex()).into_bytes())
            .collect();
        (self.tagmanifest)(&mut tagmanifest);
        tags.push(("tagmanifest-sha256.txt", tagmanifest));

        let [mut before, mut middle, mut after] = [const { Vec::new() }; 3];
        for (path, content) in tags {
            let is_manifest = path == "consign/manifest.json";
            let head = if middle.is_empty() { &mut before } else { &mut after };
            let size = content.len() as u64;
            write_header(&format!("tiny/{path}"), HeaderKind::File { size, mode: 0o644 }, head);
            if is_manifest {
                middle = content;
                pad(&mut after, size);
            } else {
                head.extend_from_slice(&content);
                pad(head, size);
            }
        }
        after.extend_from_slice(&[0; 1024]);
        [Piece::other(before), Piece { content: middle, holds: Holds::Manifest }, Piece::other(after)]
    }

    fn tail_bytes(&self, tail: &Tail) -> Vec<u8> {
        let bytes = tail.to_bytes().expect("small");
        let index_len = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes")) as usize;
        let mut index = bytes[8..][..index_len].to_vec();
        let mut table = bytes[8 + index_len + 8..].to_vec();
        (self.index)(&mut index);
        // The last entry is the index, with its size.
        let entry = table.len() - 9 - 8;
        let size = u32::try_from(index.len() + 8).expect("small");
        table[entry..][..4].copy_from_slice(&size.to_le_bytes());
        (self.table)(&mut table);
        let mut out = Vec::new();
        write_skippable(0x184D_2A5D, &index, &mut out).expect("small");
        write_skippable(0x184D_2A5E, &table, &mut out).expect("small");
        (self.tail_bytes)(&mut out);
        out
    }
}

fn size_in(kind: HeaderKind) -> Option<u64> {
    match kind {
        HeaderKind::File { size, .. } => Some(size),
        HeaderKind::Directory => None,
    }
}

/// A manifest in canonical form, whatever stands in it.
pub(super) fn manifest_text(entries: &[Entry]) -> String {
    let list = |lines: Vec<String>| lines.join(",\n");
    let mut text = "{\n  \"format\": 1,\n  \"name\": \"tiny\",\n  \"version\": \"1.0.0\",\n  \"classification\": \"public\",\n  \
        \"contact\": {\n    \"name\": \"Ada\",\n    \"email\": \"ada@example.org\"\n  },\n  \"names\": \"portable\",\n  \
        \"descriptor\": {\n    \"schema\": 1,\n    \"kind\": \"dataset\"\n  },\n"
        .to_owned();
    let directories: Vec<_> = entries
        .iter()
        .filter(|entry| entry.kind == HeaderKind::Directory)
        .map(|entry| format!("    \"{}\"", entry.path))
        .collect();
    if !directories.is_empty() {
        text += &format!("  \"directories\": [\n{}\n  ],\n", list(directories));
    }
    let files: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry.kind {
            HeaderKind::File { size, mode } => Some(format!(
                "    {{\"path\":\"{}\",\"size\":{size},\"mode\":\"0{mode:o}\",\"sha256\":\"{}\"}}",
                entry.path, entry.sha256
            )),
            HeaderKind::Directory => None,
        })
        .collect();
    match files[..] {
        [] => text + "  \"files\": []\n}\n",
        _ => text + &format!("  \"files\": [\n{}\n  ]\n}}\n", list(files)),
    }
}

fn pad(out: &mut Vec<u8>, size: u64) {
    out.resize(out.len() + usize::try_from(padding(size)).expect("less than a block"), 0);
}

/// The payload's part of the stream: large content in two pieces, everything between in one.
fn payload(entries: &[Entry]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut gather = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let slash = if entry.kind == HeaderKind::Directory { "/" } else { "" };
        write_header(&format!("tiny/data/{}{slash}", entry.path), entry.kind, &mut gather);
        let size = size_in(entry.kind).unwrap_or(0);
        if size >= LARGE_FILE {
            pieces.push(Piece::other(std::mem::take(&mut gather)));
            let (one, two) = entry.content.split_at(entry.content.len() / 2);
            for half in [one, two] {
                pieces.push(Piece { content: half.to_vec(), holds: Holds::Large(n) });
            }
        } else {
            gather.extend_from_slice(&entry.content);
        }
        pad(&mut gather, entry.content.len() as u64);
    }
    if !gather.is_empty() {
        pieces.push(Piece::other(gather));
    }
    pieces
}

pub(super) fn compress(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(Compression::Level(1)).unwrap().encode(content, None, &mut out).expect("compresses");
    out
}

fn frames(pieces: &[Piece]) -> Vec<Frame> {
    let mut state = Sha256State::initial();
    let mut before = Holds::Other;
    let frame = |piece: &Piece| {
        if piece.holds != before {
            state = Sha256State::initial();
        }
        before = piece.holds;
        state.update(&piece.content);
        Frame {
            bytes: compress(&piece.content),
            decoded: piece.content.len(),
            content_id: *blake3::hash(&piece.content).as_bytes(),
            file: matches!(piece.holds, Holds::Large(_)).then(|| state.clone()),
            is_manifest: piece.holds == Holds::Manifest,
        }
    };
    pieces.iter().map(frame).collect()
}

fn honest_tail(frames: &[Frame]) -> Tail {
    let mut state = Sha256State::initial();
    let record = |frame: &Frame| {
        let offset = state.length();
        state.update(&frame.bytes);
        FrameRecord {
            offset,
            compressed: u32::try_from(frame.bytes.len()).expect("small"),
            decoded: u32::try_from(frame.decoded).expect("small"),
            archive: state.clone(),
            file: frame.file.clone(),
            content_id: frame.content_id,
        }
    };
    let records = frames.iter().map(record).collect();
    let first = frames.iter().position(|frame| frame.is_manifest).unwrap_or_default() as u64;
    let of_manifest = frames.iter().filter(|frame| frame.is_manifest);
    let (count, size) = of_manifest.fold((0, 0), |(n, size), frame| (n + 1, size + frame.decoded as u64));
    let encoder = EncoderId::current(Compression::Level(1));
    Tail { encoder, frames: records, manifest: ManifestPlace { first, count, size } }
}

/// Where the payload entry with that header begins in a piece, which must hold it.
pub(super) fn header_at(piece: &[u8], name: &str) -> usize {
    let name = format!("tiny/{name}");
    let found = piece
        .chunks(usize::try_from(BLOCK).expect("small"))
        .position(|block| block.starts_with(name.as_bytes()));
    found.expect("the entry") * 512
}

/// Alters a header and makes its checksum true.
pub(super) fn alter_header(piece: &mut [u8], name: &str, alter: impl FnOnce(&mut tar::Header)) {
    let at = header_at(piece, name);
    let mut header = tar::Header::from_byte_slice(&piece[at..][..512]).clone();
    alter(&mut header);
    seal(&mut header);
    piece[at..][..512].copy_from_slice(header.as_bytes());
}

/// A zstd frame written by hand: header after the magic number, then blocks (last, type, size field, bytes).
pub(super) fn zstd(header: &[u8], blocks: &[(bool, u32, usize, &[u8])]) -> Vec<u8> {
    let mut out = [&0xFD2F_B528_u32.to_le_bytes(), header].concat();
    for &(last, kind, size, bytes) in blocks {
        let field = u32::from(last) | kind << 1 | u32::try_from(size).expect("small") << 3;
        out.extend_from_slice(&field.to_le_bytes()[..3]);
        out.extend_from_slice(bytes);
    }
    out
}

/// A skippable frame of another purpose, with some bytes in it.
pub(super) fn skippable() -> Vec<u8> {
    let mut out = Vec::new();
    write_skippable(0x184D_2A50, b"hidden", &mut out).expect("small");
    out
}
