//! The BagIt tag files of a bundle (RFC 8493), as texts that follow from the manifest alone.

use std::fmt::Write as _;

use consign_metadata::{BundleId, Manifest, Sha256Digest};

/// Path of the manifest inside the bag.
pub(crate) const MANIFEST_PATH: &str = "consign/manifest.json";

/// `bagit.txt` (RFC 8493, section 2.1.1).
pub(crate) const BAGIT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// The tag files other than the manifest itself, by their paths in the bag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TagFiles {
    pub(crate) bag_info: String,
    pub(crate) manifest_sha256: String,
    pub(crate) tagmanifest_sha256: String,
}

impl TagFiles {
    /// The tag files that belong to a manifest, whose id is given.
    pub(crate) fn of(manifest: &Manifest, id: BundleId) -> Self {
        let bag_info = bag_info(manifest, id);
        let manifest_sha256 = payload_manifest(manifest);
        let tagmanifest_sha256 = [
            (Sha256Digest::of(bag_info.as_bytes()), "bag-info.txt"),
            (Sha256Digest::of(BAGIT.as_bytes()), "bagit.txt"),
            (id.0, MANIFEST_PATH),
            (Sha256Digest::of(manifest_sha256.as_bytes()), "manifest-sha256.txt"),
        ]
        .map(|(digest, path)| format!("{}  {path}\n", digest.hex()))
        .concat();
        Self { bag_info, manifest_sha256, tagmanifest_sha256 }
    }
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

/// `manifest-sha256.txt` (RFC 8493, section 2.1.3), which `sha256sum -c` reads as well. Only `%` needs its
/// percent-encoding: line feeds and carriage returns are in no name.
fn payload_manifest(manifest: &Manifest) -> String {
    let mut text = String::new();
    for file in manifest.files() {
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
