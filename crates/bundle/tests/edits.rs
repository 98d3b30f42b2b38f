//! What changes in an archive when its source is edited: few frames, and which.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use consign_bundle::{Compression, PackOptions, PackedArchive, Source, SourceOptions, pack};
use support::{description, noise, pack_tree, threads};

/// A data frame as it is in the archive, and how many bytes it decodes to.
type Frame = (Vec<u8>, u64);

/// All data frames, by the seek table: its entries end 9 bytes before the end of the file; the last is the
/// index's.
fn frames(packed: &PackedArchive) -> Vec<Frame> {
    let archive = fs::read(packed.file.path()).unwrap();
    let footer = archive.len() - 9;
    let count = u32::from_le_bytes(archive[footer..footer + 4].try_into().unwrap()) as usize;
    let (entries, _) = archive[footer - 8 * count..footer].as_chunks::<8>();
    let mut at = 0;
    let frame = |entry: &[u8; 8]| {
        let [len, decoded] =
            [&entry[..4], &entry[4..]].map(|field| u32::from_le_bytes(field.try_into().unwrap()));
        let start = at;
        at += len as usize;
        (archive[start..at].to_vec(), decoded.into())
    };
    entries[..count - 1].iter().map(frame).collect()
}

/// The frames of the tag section: in these tests its three segments have one each.
const TAG_FRAMES: usize = 3;

/// How many of `now` are not among `before`.
fn changed(before: &[Frame], now: &[Frame]) -> usize {
    let before: HashSet<_> = before.iter().collect();
    now.iter().filter(|frame| !before.contains(frame)).count()
}

/// The content frames of a tree of one large file: they follow the frame of its header.
fn content_frames(dir: &Path, content: &[u8]) -> Vec<Frame> {
    let tree = dir.join("tree");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("large.bin"), content).unwrap();
    let mut left = content.len() as u64;
    let mut frames = frames(&pack_tree(&tree, dir, 2)).into_iter().skip(1);
    std::iter::from_fn(|| {
        let frame = (left > 0).then(|| frames.next().unwrap())?;
        left -= frame.1;
        Some(frame)
    })
    .collect()
}

/// Numbers of two bytes of which the upper one varies little, as 16-bit weights are.
fn weights(len: usize) -> Vec<u8> {
    let mut bytes = noise(len, 3);
    bytes.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 0x3c + byte.count_ones().to_le_bytes()[0]);
    bytes
}

fn text(len: usize) -> Vec<u8> {
    let number = noise(len / 4, 5);
    let words = number.iter().enumerate().flat_map(|(n, byte)| format!("{n} word{byte}\n").into_bytes());
    words.take(len).collect()
}

#[test]
fn bytes_in_front_of_a_large_file_change_two_content_frames_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let mixed = [text(9 << 20), weights(7 << 20), text(5 << 20)].concat();
    for content in [weights(24 << 20), text(24 << 20), mixed] {
        let before = content_frames(dir.path(), &content);
        assert!(before.len() >= 6, "{}", before.len());
        let longer = [[7; 64].as_slice(), &content].concat();
        let now = content_frames(dir.path(), &longer);
        let changed = changed(&before, &now);
        assert!((1..=2).contains(&changed), "{changed} of {}", now.len());
    }
}

#[test]
fn weights_and_text_have_frames_of_their_own_size() {
    let dir = tempfile::tempdir().unwrap();
    let frames = content_frames(dir.path(), &[text(12 << 20), weights(12 << 20)].concat());
    let sizes: Vec<_> = frames.iter().map(|frame| frame.1).collect();
    assert!(sizes[..2].iter().all(|size| *size >= 3 << 20), "{sizes:?}");
    assert!(sizes[sizes.len() - 6..].iter().all(|size| *size <= 1536 << 10), "{sizes:?}");
}

#[test]
fn another_version_of_the_same_content_changes_tag_frames_only() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    support::write_tree(&tree);
    let source = Source::scan(&tree, SourceOptions::default()).unwrap();
    let options =
        PackOptions { compression: Compression::Auto, threads: threads(2), bases: &[], observer: None };
    let [before, now] = ["1.0.0", "1.0.1"].map(|version| {
        let mut description = description();
        description.core.version = version.parse().unwrap();
        frames(&pack(&source, &description, options, dir.path(), &()).unwrap())
    });
    let data = before.len() - TAG_FRAMES;
    assert!(before.len() == now.len() && data > 5);
    assert!(before[..data] == now[..data], "no data frame changes");
    assert!(before[data..] != now[data..], "the version is in the tag section");
}

#[test]
fn one_more_file_among_many_changes_two_frames_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    let content = text(1 << 20);
    for n in 0..20_000 {
        let folder = tree.join(format!("{:03}", n / 100));
        if n % 100 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        let from = n * 37 % (content.len() - 2000);
        fs::write(folder.join(format!("{n:05}.txt")), &content[from..][..500 + n % 1500]).unwrap();
    }
    let before = frames(&pack_tree(&tree, dir.path(), 2));
    assert!(before.len() > 8 + TAG_FRAMES, "{}", before.len());
    for name in ["000/00000.a", "101/10150.a", "199/z"] {
        let path = tree.join(name);
        fs::write(&path, "one more").unwrap();
        let now = frames(&pack_tree(&tree, dir.path(), 2));
        fs::remove_file(path).unwrap();
        let changed = changed(&before, &now[..now.len() - TAG_FRAMES]);
        assert!((1..=2).contains(&changed), "{name}: {changed}");
    }
}
