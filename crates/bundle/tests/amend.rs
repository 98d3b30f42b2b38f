//! A new version with another descriptor, out of the old archive alone.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs::{self, File};

use consign_bundle::{
    AmendError, Anchor, Archive, ArchiveError, Compression, Description, EncoderId, Expected, PackOptions,
    PackedArchive, Payload, Scope, Source, SourceOptions, amend, pack, verify,
};
use support::{description, threads, write_tree};

fn expected(packed: &PackedArchive) -> Expected {
    let core = packed.manifest.core();
    Expected {
        archive: packed.facts.clone(),
        id: packed.id,
        name: core.name.clone(),
        version: core.version.clone(),
        classification: core.classification.clone(),
    }
}

struct Desk {
    dir: tempfile::TempDir,
    old: PackedArchive,
}

impl Desk {
    fn new(compression: Compression) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_tree(&dir.path().join("tree"));
        let old = pack_as(&dir, &description(), compression);
        Self { dir, old }
    }

    fn new_description(&self) -> Description {
        let mut description = description();
        description.core.version = "1.0.1".parse().unwrap();
        description.core.license = Some("MIT".parse().unwrap());
        description.core.parents = vec![self.old.id];
        description
    }

    fn amend(&self, description: &Description, unseen: bool) -> Result<PackedArchive, AmendError> {
        let (expected, file) = (expected(&self.old), self.old.file.reopen().unwrap());
        let archive = Archive::open(&file, Anchor::Signed(&expected))?;
        let payload = if unseen { Payload::Unseen(&file) } else { Payload::Checked };
        amend(&archive, &description.core, &description.descriptor, payload, self.dir.path(), threads(2), &())
    }
}

fn pack_as(dir: &tempfile::TempDir, description: &Description, compression: Compression) -> PackedArchive {
    let source = Source::scan(&dir.path().join("tree"), SourceOptions::default()).unwrap();
    let options = PackOptions { compression, threads: threads(2), bases: &[], observer: None };
    pack(&source, description, options, dir.path(), &()).unwrap()
}

#[test]
fn an_amended_archive_is_what_packing_gives() {
    for compression in [Compression::Auto, Compression::Store, Compression::Level(5)] {
        let desk = Desk::new(compression);
        let new = desk.new_description();
        let packed = pack_as(&desk.dir, &new, compression);
        for unseen in [false, true] {
            let amended = desk.amend(&new, unseen).unwrap();
            assert_eq!((amended.id, &amended.facts), (packed.id, &packed.facts), "{compression:?}");
            assert!(fs::read(amended.file.path()).unwrap() == fs::read(packed.file.path()).unwrap());
        }
    }
}

#[test]
fn a_name_stays_and_a_version_does_not() {
    let desk = Desk::new(Compression::Store);
    let mut other = desk.new_description();
    other.core.name = "other".parse().unwrap();
    assert!(matches!(desk.amend(&other, true), Err(AmendError::Name { .. })));
    let mut same = desk.new_description();
    same.core.version = "1.0.0".parse().unwrap();
    assert!(matches!(desk.amend(&same, true), Err(AmendError::SameVersion(_))));
    let file = desk.old.file.reopen().unwrap();
    let archive = Archive::open(&file, Anchor::Unsigned).unwrap();
    let core = desk.new_description().core;
    let section = description().descriptor;
    let result = amend(&archive, &core, &section, Payload::Checked, desk.dir.path(), threads(2), &());
    assert!(matches!(result, Err(AmendError::NotAnchored)));
}

#[test]
fn altered_payload_is_refused_or_does_not_verify() {
    let desk = Desk::new(Compression::Store);
    let mut bytes = fs::read(desk.old.file.path()).unwrap();
    bytes[100_000] ^= 1;
    fs::write(desk.old.file.path(), &bytes).unwrap();
    let new = desk.new_description();
    match desk.amend(&new, false) {
        Err(AmendError::Archive(ArchiveError::Faults { listed, .. })) => {
            assert_eq!(listed[0].code(), "frame-altered");
        }
        other => panic!("{other:?}"),
    }
    let amended = desk.amend(&new, true).unwrap();
    let claimed = expected(&amended);
    let archive = Archive::open(File::open(amended.file.path()).unwrap(), Anchor::Signed(&claimed)).unwrap();
    match verify(&archive, Scope::Bytes, threads(2), &()) {
        Err(ArchiveError::Faults { listed, .. }) => assert_eq!(listed[0].code(), "frame-altered"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_archive_of_another_encoder_keeps_its_frames_and_says_so() {
    let desk = Desk::new(Compression::Store);
    // The index names its encoder in a place of fixed length, so that another name of that length can stand there.
    let mut bytes = fs::read(desk.old.file.path()).unwrap();
    let ours = EncoderId::current(Compression::Store);
    let theirs = ours.as_str().replace("zstd-1.", "zstd-0.");
    let at = bytes.windows(theirs.len()).rposition(|window| window == ours.as_str().as_bytes()).unwrap();
    bytes[at..at + theirs.len()].copy_from_slice(theirs.as_bytes());
    let facts = Archive::open(&bytes[..], Anchor::Unsigned).unwrap().facts().clone();
    let signed = Expected { archive: facts, ..expected(&desk.old) };
    let archive = Archive::open(&bytes[..], Anchor::Signed(&signed)).unwrap();
    let new = desk.new_description();
    let amended =
        amend(&archive, &new.core, &new.descriptor, Payload::Checked, desk.dir.path(), threads(2), &())
            .unwrap();
    let by = EncoderId::current(Compression::Auto);
    assert_eq!(amended.facts.encoder.as_str(), format!("{theirs}+tags:{by}"));
    assert_eq!(amended.facts.encoder.compression(), None);
    let claimed = expected(&amended);
    let archive = Archive::open(File::open(amended.file.path()).unwrap(), Anchor::Signed(&claimed)).unwrap();
    verify(&archive, Scope::Content, threads(2), &()).unwrap();
}
