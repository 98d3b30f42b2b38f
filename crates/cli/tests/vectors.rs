//! One fault each, in every region of the three files of a bundle: never exit 0, and unpack leaves nothing.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bundles::{Bundle, Noise, descriptor, names};
use serde_json::{Value, json};
use support::Desk;

const NAME: &str = "vector-1.0.0";

/// A small bundle with several frames, signed by two keys, and as bystander another version of it.
struct Victim {
    desk: Desk,
    bundle: Bundle,
    other: Bundle,
    archive: Vec<u8>,
    attestations: Vec<u8>,
    manifest: Vec<u8>,
}

impl Victim {
    fn new() -> Self {
        let desk = Desk::new();
        let mut noise = Noise::new(5);
        desk.write("source/weights.bin", noise.bytes(1_200_000));
        desk.write("source/table.csv", "1,2,3\n".repeat(500_000));
        desk.write("source/small/notes.txt", "notes\n");
        desk.write("source/consign.yaml", descriptor("vector", "1.0.0"));
        let source = desk.path("source");
        let bundle = desk.pack(&source, "out", "key", &[]);
        desk.key("second");
        desk.succeed(["sign", "out", "--key", "second", "--yes"]);
        desk.key("stranger");
        desk.write("source/small/notes.txt", "other notes\n");
        let other = desk.pack(&source, "other", "key", &["--version", "1.0.1"]);
        desk.succeed(["sign", "other", "--key", "second", "--yes"]);
        let read = |path: &PathBuf| fs::read(path).unwrap();
        let (archive, attestations, manifest) =
            (read(&bundle.archive), read(&bundle.attestations), read(&bundle.manifest));
        Self { desk, bundle, other, archive, attestations, manifest }
    }

    /// Puts the three files down, any of them as they are or altered; `None` leaves one out.
    fn lay(&self, archive: Option<&[u8]>, attestations: Option<&[u8]>, manifest: Option<&[u8]>) {
        let folder = self.desk.path("case");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        for (end, content) in
            [("tar.zst", archive), ("intoto.jsonl", attestations), ("manifest.json", manifest)]
        {
            if let Some(content) = content {
                fs::write(folder.join(format!("{NAME}.{end}")), content).unwrap();
            }
        }
    }

    /// What `verify`, `unpack` and `sign` say of what was laid down: all of them the same, and none leaves
    /// anything behind.
    #[track_caller]
    fn assert_refused(&self, exit: i64, what: &str) -> BTreeSet<String> {
        let codes = self.assert_verify(exit, what);
        let archive = format!("case/{NAME}.tar.zst");
        let before = self.laid();
        let unpack = ["unpack", &archive, "unpacked", "--key", "key.pub", "--key", "second.pub"];
        assert_eq!(self.desk.verdict(&unpack).0, exit, "unpack: {what}");
        if exit == 3 {
            // Not even for somebody who asks no questions.
            let (code, problems) = self.desk.verdict(&["unpack", &archive, "unpacked", "--allow-untrusted"]);
            assert_eq!(code, exit, "unpack --allow-untrusted: {what}: {problems:?}");
            let sign = ["sign", &archive, "--key", "stranger", "--yes"];
            assert_eq!(self.desk.verdict(&sign).0, exit, "sign: {what}");
        }
        assert!(!self.desk.path("unpacked").exists(), "{what} was unpacked");
        assert_eq!(bundles::partials(&self.desk.dir()), Vec::<PathBuf>::new(), "{what}");
        assert!(self.laid() == before, "{what}: the bundle was changed");
        codes
    }

    #[track_caller]
    fn assert_verify(&self, exit: i64, what: &str) -> BTreeSet<String> {
        let archive = format!("case/{NAME}.tar.zst");
        let (found, codes) =
            self.desk.verdict(&["verify", &archive, "--key", "key.pub", "--key", "second.pub"]);
        assert_eq!(found, exit, "{what}: {codes:?}");
        codes.into_iter().collect()
    }

    fn laid(&self) -> Vec<(String, Vec<u8>)> {
        let folder = self.desk.path("case");
        names(&folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
    }

    fn intact(&self) -> [Option<&[u8]>; 3] {
        [Some(&self.archive), Some(&self.attestations), Some(&self.manifest)]
    }

    /// Lays down the bundle with one file altered.
    fn lay_with(&self, file: usize, content: &[u8]) {
        let mut files = self.intact();
        files[file] = Some(content);
        self.lay(files[0], files[1], files[2]);
    }

    /// Where something begins in the archive: each frame, by what the seek table says, and each part of the tail.
    fn places(&self) -> Vec<(usize, String)> {
        let number = |at: usize| u32::from_le_bytes(self.archive[at..at + 4].try_into().unwrap()) as usize;
        let end = self.archive.len();
        // The footer of the seekable format: number of frames, descriptor, magic.
        let frames = number(end - 9);
        assert_eq!((self.archive[end - 5], number(end - 4)), (0, 0x8F92_EAB1));
        let table = end - 9 - 8 * frames;
        let mut places = Vec::new();
        let mut at = 0;
        for frame in 0..frames {
            let (compressed, decoded) = (number(table + 8 * frame), number(table + 8 * frame + 4));
            let kind = if decoded == 0 { "index".to_owned() } else { format!("frame {frame}") };
            for (offset, part) in [
                (0, "magic"),
                (4, "header"),
                (5, "size"),
                (9, "block"),
                (compressed / 2, "middle"),
                (compressed - 1, "end"),
            ] {
                places.push((at + offset, format!("{kind}, {part}")));
            }
            at += compressed;
        }
        assert_eq!(at, table - 8, "the seek table accounts for everything before it");
        places.push((at, "seek table, magic".into()));
        places.push((at + 4, "seek table, length".into()));
        (0..frames).for_each(|n| places.push((table + 8 * n, format!("seek table, entry {n}"))));
        places.extend((end - 9..end).map(|at| (at, format!("seek table, footer byte {}", at + 9 - end))));
        places
    }
}

#[test]
fn the_bundle_is_accepted_as_it_is_and_without_the_copy_of_its_manifest() {
    let victim = Victim::new();
    let [archive, attestations, manifest] = victim.intact();
    victim.lay(archive, attestations, manifest);
    victim.assert_verify(0, "the bundle as it is");
    victim.lay(archive, attestations, None);
    victim.assert_verify(0, "without the copy of the manifest");
    let only = "case/vector-1.0.0.intoto.jsonl";
    assert_eq!(victim.desk.verdict(&["verify", only, "--key", "key.pub"]).0, 0, "by its attestations");
    // Without the attestations nobody vouches for it; without the archive there is nothing to check.
    victim.lay(archive, None, manifest);
    assert_eq!(victim.assert_verify(4, "without the attestations"), ["unsigned".to_owned()].into());
    victim.lay(None, attestations, manifest);
    assert_eq!(
        victim.desk.verdict(&["verify", "case", "--key", "key.pub"]),
        (1, vec!["archive-missing".into()])
    );
}

#[test]
fn an_altered_byte_of_the_archive_is_found_wherever_it_is() {
    let victim = Victim::new();
    let mut places = victim.places();
    let len = victim.archive.len();
    places.extend((0..len).step_by(len / 60).map(|at| (at, format!("byte {at}"))));
    let mut codes = BTreeSet::new();
    for (n, (at, what)) in places.iter().enumerate() {
        let mut altered = victim.archive.clone();
        altered[*at] ^= 1 << (n % 8);
        victim.lay_with(0, &altered);
        // Everything is asked of a few, the verdict of all.
        codes.append(&mut if n % 10 == 0 {
            victim.assert_refused(3, what)
        } else {
            victim.assert_verify(3, what)
        });
    }
    for expected in ["frame-altered", "tail-altered"] {
        assert!(codes.contains(expected), "{codes:?}");
    }
}

#[test]
fn an_archive_of_another_length_is_found() {
    let victim = Victim::new();
    let archive = &victim.archive;
    let len = archive.len();
    let mut lengths: Vec<_> = (0..len).step_by(len / 20).collect();
    lengths.extend(victim.places().iter().map(|(at, _)| *at).step_by(3));
    lengths.extend([1, 3, 4, len - 10, len - 9, len - 4, len - 1]);
    for (n, cut) in lengths.into_iter().enumerate() {
        victim.lay_with(0, &archive[..cut]);
        let what = format!("cut to {cut} of {len} bytes");
        if n % 10 == 0 {
            victim.assert_refused(3, &what)
        } else {
            victim.assert_verify(3, &what)
        };
    }
    let skippable = [&[0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0][..], b"more"].concat();
    let empty_frame = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x00, 0x01, 0x00, 0x00];
    for (what, more) in [
        ("a zero byte", &[0][..]),
        ("a block of zeros", &[0; 512]),
        ("a skippable frame", &skippable),
        ("an empty frame", &empty_frame),
        ("itself", archive),
    ] {
        victim.lay_with(0, &[archive, more].concat());
        victim.assert_refused(3, &format!("extended by {what}"));
        victim.lay_with(0, &[more, archive].concat());
        victim.assert_refused(3, &format!("preceded by {what}"));
    }
    // As long as it should be, but not in order.
    let places = victim.places();
    let begin = |what: &str| places.iter().find(|(_, place)| place == what).unwrap().0;
    let (first, second, third) = (begin("frame 0, magic"), begin("frame 1, magic"), begin("frame 2, magic"));
    let swapped = [&archive[second..third], &archive[first..second], &archive[third..]].concat();
    victim.lay_with(0, &swapped);
    victim.assert_refused(3, "with two frames swapped");
}

#[test]
fn altered_attestations_are_found_wherever_they_are_altered() {
    let victim = Victim::new();
    let text = &victim.attestations;
    for (n, at) in (0..text.len()).step_by(17).enumerate() {
        let mut altered = text.clone();
        altered[at] ^= 1 << (n % 8);
        victim.lay_with(1, &altered);
        let what = format!("byte {at} of the attestations");
        if n % 20 == 0 {
            victim.assert_refused(3, &what)
        } else {
            victim.assert_verify(3, &what)
        };
    }
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 2);
    for cut in (0..text.len()).step_by(97).filter(|cut| *cut != lines[0].len()).chain([text.len() - 1]) {
        victim.lay_with(1, &text[..cut]);
        victim.assert_verify(3, &format!("attestations cut to {cut} bytes"));
    }
    for (what, altered) in [
        ("an empty line at the end", [text, &b"\n"[..]].concat()),
        ("an empty line between", [lines[0], b"\n", lines[1]].concat()),
        ("a byte at the end", [text, &b" "[..]].concat()),
        ("a byte-order mark", [&b"\xef\xbb\xbf"[..], text].concat()),
        ("a line twice", [text, lines[0]].concat()),
        ("line ends of Windows", String::from_utf8(text.clone()).unwrap().replace('\n', "\r\n").into_bytes()),
        ("UTF-16", text.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("nothing at all", Vec::new()),
    ] {
        victim.lay_with(1, &altered);
        victim.assert_refused(3, what);
    }
}

/// An envelope as its parts, and back.
fn envelope(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

fn line(envelope: &Value) -> Vec<u8> {
    let mut line = serde_json::to_vec(envelope).unwrap();
    line.push(b'\n');
    line
}

#[test]
fn envelopes_with_a_part_of_another_are_found() {
    let victim = Victim::new();
    let lines: Vec<_> = victim.attestations.split_inclusive(|byte| *byte == b'\n').collect();
    let (ours, theirs) = (envelope(lines[0]), envelope(lines[1]));
    assert_eq!(line(&ours), lines[0], "an envelope is put together as it was");
    let of_other = fs::read(&victim.other.attestations).unwrap();
    let other = envelope(of_other.split_inclusive(|byte| *byte == b'\n').next().unwrap());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut altered = ours.clone();
        change(&mut altered);
        line(&altered)
    };
    for (what, altered) in [
        (
            "the keyid of the other key",
            with(&|e| e["signatures"][0]["keyid"] = theirs["signatures"][0]["keyid"].clone()),
        ),
        (
            "the signature of the other key",
            with(&|e| e["signatures"][0]["sig"] = theirs["signatures"][0]["sig"].clone()),
        ),
        ("all of the other key's signature", with(&|e| e["signatures"] = theirs["signatures"].clone())),
        ("the other key's statement", with(&|e| e["payload"] = theirs["payload"].clone())),
        ("the other version's statement", with(&|e| e["payload"] = other["payload"].clone())),
        ("no keyid", with(&|e| drop(e["signatures"][0].as_object_mut().unwrap().remove("keyid")))),
        ("an empty keyid", with(&|e| e["signatures"][0]["keyid"] = json!(""))),
        ("no signature", with(&|e| e["signatures"] = json!([]))),
        (
            "two signatures",
            with(&|e| e["signatures"].as_array_mut().unwrap().push(theirs["signatures"][0].clone())),
        ),
        ("another payload type", with(&|e| e["payloadType"] = json!("application/json"))),
        ("one field more", with(&|e| e["more"] = json!(1))),
        ("spaces", format!("{} \n", ours.to_string().replace(':', ": ")).into_bytes()),
    ] {
        for rest in [&[][..], lines[1]] {
            victim.lay_with(1, &[&altered, rest].concat());
            victim.assert_refused(3, what);
        }
    }
}

#[test]
fn e4_e17_statements_that_are_missing_or_of_others_are_not_counted() {
    let victim = Victim::new();
    let lines: Vec<_> = victim.attestations.split_inclusive(|byte| *byte == b'\n').collect();
    // Each of the two alone is not both, but is itself.
    for line in &lines {
        victim.lay_with(1, line);
        assert_eq!(victim.assert_refused(4, "one of two signatures"), ["not-trusted".to_owned()].into());
        let enough = ["verify", "case", "--key", "key.pub", "--key", "second.pub", "--threshold", "1"];
        assert_eq!(victim.desk.verdict(&enough).0, 0);
    }
    // Their order is of no importance.
    victim.lay_with(1, &[lines[1], lines[0]].concat());
    victim.assert_verify(0, "lines swapped");
    // Those of another version say nothing about this one.
    let of_other = fs::read(&victim.other.attestations).unwrap();
    victim.lay_with(1, &of_other);
    victim.assert_verify(3, "the attestations of another version");
    // `unpack` goes no further than the signed name.
    let unpack = ["unpack", "case", "unpacked", "--key", "key.pub"];
    assert_eq!(victim.desk.verdict(&unpack), (4, vec!["misnamed".into()]));
    assert!(!victim.desk.path("unpacked").exists());
    let first = of_other.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    victim.lay_with(1, &[lines[0], first].concat());
    victim.assert_refused(3, "a line of another version among ours");
    // A stranger may sign; it is not counted, and takes nothing away.
    victim.lay_with(1, &victim.attestations);
    victim.desk.succeed(["sign", "case", "--key", "stranger", "--yes"]);
    victim.assert_verify(0, "signed by a stranger too");
    let stranger = ["verify", "case", "--key", "stranger.pub", "--key", "key.pub", "--key", "second.pub"];
    assert_eq!(victim.desk.verdict(&stranger).0, 0);
    victim.lay(Some(&victim.archive), None, None);
    victim.desk.succeed(["sign", "case/vector-1.0.0.tar.zst", "--key", "stranger", "--yes"]);
    assert_eq!(victim.assert_refused(4, "signed by a stranger only"), ["not-trusted".to_owned()].into());
    assert_eq!(victim.desk.verdict(&["verify", "case"]).0, 4, "trust that was never established");
}

#[test]
fn a_bundle_that_is_not_what_was_expected_is_not_accepted() {
    let victim = Victim::new();
    let key = ["--key", "key.pub"];
    let verdict = |more: &[&str]| victim.desk.verdict(&[&["verify", "out"], &key[..], more].concat());
    assert_eq!(verdict(&["--expect", "vector@1.0.0"]).0, 0);
    assert_eq!(verdict(&["--expect", &victim.bundle.id]).0, 0);
    for wrong in ["vector@1.0.1", "vectors@1.0.0", "vector@1.0.0+1", &victim.other.id] {
        assert_eq!(verdict(&["--expect", wrong]), (4, vec!["not-expected".into()]), "{wrong}");
        let unpack = [&["unpack", "out", "unpacked", "--expect", wrong], &key[..]].concat();
        assert_eq!(victim.desk.verdict(&unpack).0, 4, "{wrong}");
        assert!(!victim.desk.path("unpacked").exists(), "{wrong}");
    }
    // An older version under the newer one's name, with everything that belongs to it.
    victim.desk.shell(
        "mkdir replay; for f in out/*; do cp \"$f\" \"replay/${f/out\\/vector-1.0.0/vector-1.0.1}\"; done",
        &[],
    );
    let replay = ["verify", "replay/vector-1.0.1.tar.zst", "--key", "key.pub"];
    assert_eq!(victim.desk.verdict(&replay), (4, vec!["misnamed".into()]));
    let unpack = ["unpack", "replay", "unpacked", "--key", "key.pub", "--allow-untrusted"];
    assert_eq!(victim.desk.verdict(&unpack).0, 4);
    assert!(!victim.desk.path("unpacked").exists());
    // The archive of another version under this one's name, beside this one's attestations.
    let other = fs::read(&victim.other.archive).unwrap();
    victim.lay_with(0, &other);
    victim.assert_refused(3, "the archive of another version");
}

#[test]
fn a_copy_of_the_manifest_is_the_manifest_or_is_refused() {
    let victim = Victim::new();
    let manifest = &victim.manifest;
    let text = String::from_utf8(manifest.clone()).unwrap();
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("cut".into(), manifest[..manifest.len() - 1].to_vec()),
        ("extended".into(), [manifest, &b"\n"[..]].concat()),
        ("of another version".into(), fs::read(&victim.other.manifest).unwrap()),
        ("laid out otherwise".into(), serde_json::from_str::<Value>(&text).unwrap().to_string().into_bytes()),
        ("of another classification".into(), text.replace("internal", "public").into_bytes()),
        ("with the line ends of Windows".into(), text.replace('\n', "\r\n").into_bytes()),
    ];
    for at in (0..manifest.len()).step_by(41) {
        let mut altered = manifest.clone();
        altered[at] ^= 1;
        cases.push((format!("altered at byte {at}"), altered));
    }
    for (n, (what, altered)) in cases.iter().enumerate() {
        victim.lay_with(2, altered);
        let what = format!("a copy of the manifest, {what}");
        if n % 5 == 0 {
            victim.assert_refused(3, &what)
        } else {
            victim.assert_verify(3, &what)
        };
    }
}

#[test]
fn files_are_read_as_what_they_are_and_not_as_what_they_are_called() {
    let victim = Victim::new();
    // Attestations where the archive belongs, and so on round.
    victim.lay(Some(&victim.attestations), Some(&victim.attestations), Some(&victim.manifest));
    victim.assert_refused(3, "attestations as archive");
    victim.lay(Some(&victim.archive), Some(&victim.manifest), Some(&victim.manifest));
    victim.assert_refused(3, "manifest as attestations");
    victim.lay(Some(&victim.archive), Some(&victim.archive), Some(&victim.manifest));
    victim.assert_refused(3, "archive as attestations");
    // An archive by another tool is none of ours.
    victim.desk.shell(r#"tar -cf - source | zstd -q > foreign.tar.zst"#, &[]);
    let foreign = fs::read(victim.desk.path("foreign.tar.zst")).unwrap();
    victim.lay(Some(&foreign), Some(&victim.attestations), Some(&victim.manifest));
    victim.assert_refused(3, "an archive that tar and zstd made");
    assert_eq!(victim.desk.verdict(&["verify", "foreign.tar.zst", "--key", "key.pub"]).0, 3);
    let folder: &Path = &victim.bundle.folder;
    assert_eq!(names(folder).len(), 3, "the bundle itself was never touched");
}
