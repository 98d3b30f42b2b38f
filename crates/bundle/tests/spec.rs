//! `docs/format.md` says what the code does: its numbers, its table entries, its example byte by byte.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use consign_bundle::{
    Anchor, Archive, Description, EncoderId, PackOptions, Scope, Source, SourceOptions, limits, pack, verify,
};
use consign_metadata::{Sha256Digest, limits as metadata_limits, to_hex};
use support::{description, threads};

const FORMAT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md"));

/// The lines of the only code block in that language.
fn block(language: &str) -> impl Iterator<Item = &'static str> {
    let open = format!("```{language}\n");
    let (_, rest) = FORMAT.rsplit_once(&open).expect("there is such a block");
    rest.split_once("\n```").expect("the block ends").0.lines()
}

/// The archive of the worked example, as its dump has it: offset, bytes, and lines that begin with `;`.
fn dumped() -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in block("hexdump").filter(|line| !line.starts_with(';')) {
        let (offset, digits) = line.split_once("  ").expect("offset and bytes");
        assert_eq!(usize::from_str_radix(offset, 16), Ok(bytes.len()), "{line}");
        bytes.extend(digits.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("two digits")));
    }
    bytes
}

#[test]
fn the_example_is_what_packing_gives() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tiny");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("a.txt"), "hello").unwrap();
    let mut description: Description = description();
    description.core.contact.name = "Ada".parse().unwrap();
    let source = Source::scan(&tree, SourceOptions::default()).unwrap();
    let options = PackOptions {
        compression: consign_bundle::Compression::Auto,
        threads: threads(2),
        bases: &[],
        observer: None,
    };
    let packed = pack(&source, &description, options, dir.path(), &()).unwrap();

    let manifest = String::from_utf8(packed.manifest_bytes).unwrap();
    assert!(FORMAT.contains(&format!("```json\n{manifest}```\n")), "the manifest:\n{manifest}");
    assert_eq!(to_hex(&std::fs::read(packed.file.path()).unwrap()), to_hex(&dumped()), "the dump");
    let facts = packed.facts;
    for quoted in [
        format!("{}  tiny-1.0.0.tar.zst\n", facts.sha256.hex()),
        format!("{}  tiny-1.0.0.manifest.json\n", packed.id.0.hex()),
        format!("size      {}\n", facts.size),
        format!("tail      length {}, {}\n", facts.tail_length, facts.tail_sha256),
        format!("encoder   {}\n", facts.encoder),
    ] {
        assert!(FORMAT.contains(&quoted), "{quoted}");
    }
}

#[test]
fn the_example_verifies() {
    let dump = dumped();
    assert!(FORMAT.contains(&Sha256Digest::of(&dump).hex()));
    let archive = Archive::open(dump.as_slice(), Anchor::Unsigned).unwrap();
    assert_eq!(archive.frames(), 4);
    let verified = verify(&archive, Scope::Content, threads(1), &()).unwrap();
    assert_eq!(verified.manifest().file("a.txt").map(|file| file.size), Some(5));
}

#[test]
fn the_limits_are_those_of_the_code() {
    for (what, limit) in [
        ("bytes of a path", metadata_limits::PATH_BYTES_MAX as u64),
        ("bytes of one part of a path", metadata_limits::COMPONENT_BYTES_MAX as u64),
        ("parts of a path", metadata_limits::PATH_DEPTH_MAX as u64),
        ("files and empty directories", metadata_limits::ENTRIES_MAX as u64),
        ("bytes of a manifest", metadata_limits::MANIFEST_BYTES_MAX),
        ("depth of the descriptor in a manifest", metadata_limits::JSON_DEPTH_MAX as u64),
        ("bytes that a frame decodes to", limits::FRAME_MAX.into()),
        ("entries of the seek table", limits::FRAMES_MAX.into()),
        ("bytes of the tail", limits::TAIL_MAX),
        ("bytes of the encoder id", EncoderId::MAX as u64),
    ] {
        let row = format!("| {what} | {} |\n", grouped(limit));
        assert!(FORMAT.contains(&row), "{row}");
    }
    assert_eq!(limits::LARGE_FILE, 1 << 20, "a large file is one of 1 MiB or more");
    assert_eq!(limits::TAG_PIECE, 4 << 20, "tag files are cut into pieces of 4 MiB");
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_gear_table_is_made_as_it_says() {
    for byte in [0u8, 1, 2, 97, 255] {
        let digest = Sha256Digest::of(&[b"consign gear 1".as_slice(), &[byte]].concat());
        let first = digest.as_bytes()[..8].try_into().expect("eight bytes");
        let line = format!("{:9} = {:#018x}\n", format!("GEAR[{byte}]"), u64::from_le_bytes(first));
        assert!(FORMAT.contains(&line), "{line}");
    }
}

/// A content of which the rules of section 14 alone determine the frames: `noise(5 MiB)`, whose grain is fine.
#[test]
fn content_frames_end_where_the_rule_says() {
    const MIN: usize = 768 << 10;
    const MAX: usize = 1536 << 10;
    let gear: Vec<u64> = (0..=u8::MAX)
        .map(|byte| {
            let digest = Sha256Digest::of(&[b"consign gear 1".as_slice(), &[byte]].concat());
            u64::from_le_bytes(digest.as_bytes()[..8].try_into().expect("eight bytes"))
        })
        .collect();
    let content = support::noise(5 << 20, 7);
    let mut expected = Vec::new();
    let mut rest = content.as_slice();
    while !rest.is_empty() {
        let mut end = rest.len().min(MAX);
        let mut hash = 0u64;
        for i in MIN - 64..end {
            hash = (hash << 1).wrapping_add(gear[usize::from(rest[i])]);
            if i + 1 >= MIN && hash < 1 << (64 - 17) {
                end = i + 1;
                break;
            }
        }
        expected.push(u32::try_from(end).expect("small"));
        rest = &rest[end..];
    }

    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("noise.bin"), &content).unwrap();
    let packed = support::pack_tree(&tree, dir.path(), 2);
    let archive = std::fs::read(packed.file.path()).unwrap();
    // The seek table: its entries end 9 bytes before the end of the file; the last is the index's.
    let footer = archive.len() - 9;
    let count = u32::from_le_bytes(archive[footer..footer + 4].try_into().expect("four bytes")) as usize;
    let decoded: Vec<u32> = archive[footer - 8 * count..footer]
        .as_chunks::<8>()
        .0
        .iter()
        .map(|entry| u32::from_le_bytes(entry[4..].try_into().expect("four bytes")))
        .collect();
    assert_eq!(decoded[0], 512, "the header");
    assert_eq!(decoded[1..=expected.len()], expected[..]);
    assert_eq!(decoded.len(), 1 + expected.len() + 3 + 1, "no padding, three tag frames, the index");
}
