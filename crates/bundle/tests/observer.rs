//! Whoever observes sees every byte of every file once and in order, and changes nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;

use consign_bundle::{
    Base, Compression, ContentObserver, FileObserver, PackOptions, PackedArchive, Partial, Place, Source,
    SourceOptions, hash_source, pack,
};
use consign_metadata::EntryPath;
use support::{description, pack_tree, threads, write_tree};

/// Keeps what it is shown.
#[derive(Default)]
struct Copies(Mutex<BTreeMap<String, Vec<u8>>>);

struct Copy<'a> {
    copies: &'a Copies,
    path: String,
    size: u64,
    bytes: Vec<u8>,
}

impl ContentObserver for Copies {
    fn file(&self, path: &EntryPath, size: u64) -> Box<dyn FileObserver + '_> {
        Box::new(Copy { copies: self, path: path.as_str().into(), size, bytes: Vec::new() })
    }
}

impl FileObserver for Copy<'_> {
    fn update(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn finish(self: Box<Self>) {
        assert_eq!(self.bytes.len() as u64, self.size);
        let again = self.copies.0.lock().unwrap().insert(self.path, self.bytes);
        assert!(again.is_none(), "a file is shown once");
    }
}

impl Copies {
    #[track_caller]
    fn assert_complete(self, tree: &Path) {
        let copies = self.0.into_inner().unwrap();
        let source = Source::scan(tree, SourceOptions::default()).unwrap();
        let files: Vec<_> = source.files().map(|(path, ..)| path.as_str().to_owned()).collect();
        assert_eq!(copies.keys().cloned().collect::<Vec<_>>(), files);
        for (path, bytes) in copies {
            assert!(fs::read(tree.join(&path)).unwrap() == bytes, "{path} was shown otherwise");
        }
    }
}

fn observed<'a>(
    tree: &Path,
    n: usize,
    bases: &[Base],
    place: impl Into<Place<'a>>,
) -> (PackedArchive, Copies) {
    let copies = Copies::default();
    let options =
        PackOptions { compression: Compression::Auto, threads: threads(n), bases, observer: Some(&copies) };
    let source = Source::scan(tree, SourceOptions::default()).unwrap();
    let packed = pack(&source, &description(), options, place, &()).unwrap();
    (packed, copies)
}

#[test]
fn packing_shows_everything_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let plain = pack_tree(&tree, dir.path(), 2);
    for n in [1, 2, 5] {
        let (packed, copies) = observed(&tree, n, &[], dir.path());
        assert_eq!(packed.facts, plain.facts);
        copies.assert_complete(&tree);
    }
}

#[test]
fn content_that_need_not_be_compressed_again_is_shown_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let plain = pack_tree(&tree, dir.path(), 2);
    let base = Base::open(File::open(plain.file.path()).unwrap()).unwrap();
    let (packed, copies) = observed(&tree, 2, &[base], dir.path());
    assert!(packed.spared.reused > 0);
    copies.assert_complete(&tree);

    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let partial = || Place::Resumable(Partial::open(&out, "tiny.tar.zst").unwrap());
    drop(observed(&tree, 2, &[], partial()));
    let (packed, copies) = observed(&tree, 2, &[], partial());
    assert!(packed.spared.kept > 0);
    copies.assert_complete(&tree);
}

#[test]
fn hashing_shows_everything() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let copies = Copies::default();
    let source = Source::scan(&tree, SourceOptions::default()).unwrap();
    let manifest = hash_source(&source, &description(), threads(3), Some(&copies), &()).unwrap();
    assert_eq!(manifest, pack_tree(&tree, dir.path(), 2).manifest);
    copies.assert_complete(&tree);
}
