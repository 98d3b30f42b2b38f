//! The BagIt tag files of a bundle (RFC 8493), as texts that follow from the manifest alone.

use std::fmt::Write as _;
use std::ops::Range;

use consign_metadata::{BundleId, FileEntry, Manifest, Sha256Digest};

use crate::sha256::Sha256State;

/// Path of the manifest inside the bag.
pub(crate) const MANIFEST_PATH: &str = "consign/manifest.json";

/// `bagit.txt` (RFC 8493, section 2.1.1).
pub(crate) const BAGIT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// The tag files other than the manifest itself, by their paths in the bag.
#[derive(Debug)]
pub(crate) struct TagFiles<'m> {
    pub(crate) bag_info: String,
    pub(crate) manifest_sha256: PayloadManifest<'m>,
    pub(crate) tagmanifest_sha256: String,
}

impl<'m> TagFiles<'m> {
    /// The tag files that belong to a manifest, whose id is given.
    pub(crate) fn of(manifest: &'m Manifest, id: BundleId) -> Self {
        let bag_info = bag_info(manifest, id);
        let manifest_sha256 = PayloadManifest::new(manifest.files());
        let tagmanifest_sha256 = tag_manifest([
            Sha256Digest::of(bag_info.as_bytes()),
            Sha256Digest::of(BAGIT.as_bytes()),
            id.0,
            manifest_sha256.digest(),
        ]);
        Self { bag_info, manifest_sha256, tagmanifest_sha256 }
    }

    /// The lengths of the tag files of a manifest, in the same order: no digest is needed to know them.
    pub(crate) fn lens(manifest: &Manifest) -> [usize; 3] {
        let none = Sha256Digest::from_bytes([0; 32]);
        let lines = PayloadManifest::new(manifest.files());
        [bag_info(manifest, BundleId(none)).len(), lines.len(), tag_manifest([none; 4]).len()]
    }
}

/// `tagmanifest-sha256.txt` (RFC 8493, section 2.2.1) of the other tag files, in bytewise order.
fn tag_manifest(digests: [Sha256Digest; 4]) -> String {
    let paths = ["bag-info.txt", "bagit.txt", MANIFEST_PATH, "manifest-sha256.txt"];
    digests.iter().zip(paths).map(|(digest, path)| format!("{}  {path}\n", digest.hex())).collect()
}

/// `bag-info.txt` (RFC 8493, section 2.2.2). Every value is one line by its type.
fn bag_info(manifest: &Manifest, id: BundleId) -> String {
    let core = manifest.core();
    let mut text = String::new();
    let mut tag = |label: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{label}: {value}");
    };
    if let Some(organization) = &core.contact.organization {
        tag("Source-Organization", organization);
    }
    tag("Contact-Name", &core.contact.name);
    tag("Contact-Email", &core.contact.email);
    tag("External-Identifier", &format_args!("{}@{}", core.name, core.version));
    tag("Payload-Oxum", &format_args!("{}.{}", manifest.payload_bytes(), manifest.files().len()));
    tag("Consign-Bundle-Id", &id);
    tag("Consign-Classification", &core.classification);
    text
}

/// `manifest-sha256.txt` (RFC 8493, section 2.1.3), which `sha256sum -c` reads as well.
///
/// With a line for every file it is nearly as long as the manifest, so it is written a stretch at a time.
#[derive(Debug)]
pub(crate) struct PayloadManifest<'m> {
    files: &'m [FileEntry],
    /// Where each group of [`GROUP`] lines begins, and where the last one ends.
    groups: Vec<usize>,
}

/// How many lines are written at once.
const GROUP: usize = 1024;

impl<'m> PayloadManifest<'m> {
    fn new(files: &'m [FileEntry]) -> Self {
        let mut end = 0;
        let mut groups = vec![0];
        groups.extend(files.chunks(GROUP).map(|group| {
            end += group.iter().map(line_len).sum::<usize>();
            end
        }));
        Self { files, groups }
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.groups.last().copied().unwrap_or_default()
    }

    /// SHA-256 of the whole text.
    pub(crate) fn digest(&self) -> Sha256Digest {
        let mut state = Sha256State::initial();
        self.groups().for_each(|group| state.update(group.as_bytes()));
        state.finish()
    }

    /// The text, in stretches.
    pub(crate) fn groups(&self) -> impl Iterator<Item = String> {
        self.files.chunks(GROUP).map(lines)
    }

    /// Appends the bytes of a range within the length.
    pub(crate) fn append(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let first = self.groups.partition_point(|&start| start <= range.start).saturating_sub(1);
        let groups = self.files.chunks(GROUP).zip(&self.groups).skip(first);
        for (group, &start) in groups.take_while(|(_, start)| **start < range.end) {
            let text = lines(group);
            let from = range.start.saturating_sub(start);
            let to = (range.end - start).min(text.len());
            out.extend_from_slice(text.as_bytes().get(from..to).unwrap_or_default());
        }
    }
}

/// Only `%` needs its percent-encoding: line feeds and carriage returns are in no name.
fn lines(files: &[FileEntry]) -> String {
    let mut text = String::with_capacity(files.iter().map(line_len).sum());
    for file in files {
        text.push_str(&file.sha256.hex());
        text.push_str("  data/");
        for (n, part) in file.path.as_str().split('%').enumerate() {
            if n > 0 {
                text.push_str("%25");
            }
            text.push_str(part);
        }
        text.push('\n');
    }
    text
}

fn line_len(file: &FileEntry) -> usize {
    let path = file.path.as_str();
    let encoded = path.len() + 2 * path.bytes().filter(|&byte| byte == b'%').count();
    64 + "  data/".len() + encoded + 1
}
