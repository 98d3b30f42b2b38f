//! The store: whatever archive goes in comes out the same, and nothing else ever comes out.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use consign_bundle::{
    Anchor, Archive, Compression, Deposited, Expected, PackOptions, PackedArchive, RebuildError, Scope,
    SideFile, Source, SourceOptions, Store, StoreError, StoreFault, StoredPiece, pack, verify,
};
use consign_metadata::Sha256Digest;
use proptest::prelude::*;
use support::{description, noise, pack_tree, threads, write_tree};

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

fn add(store: &Store, packed: &PackedArchive, files: &[SideFile]) -> Result<Deposited, StoreError> {
    let expected = expected(packed);
    let archive = Archive::open(packed.file.reopen().unwrap(), Anchor::Signed(&expected)).unwrap();
    store.add(&archive, files, &())
}

fn rebuilt(store: &Store, archive: &Sha256Digest) -> Result<Vec<u8>, RebuildError> {
    let mut out = Vec::new();
    store.archive(archive, &())?.write_to(&mut out, &())?;
    Ok(out)
}

fn object(store: &Store, piece: &StoredPiece) -> PathBuf {
    let hex = piece.sha256.hex();
    store.path().join("objects").join(&hex[..2]).join(hex)
}

/// What somebody does who may write there: objects are read-only for everybody else.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

struct Desk {
    dir: tempfile::TempDir,
    store: Store,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn pack(&self, files: &[(&str, Vec<u8>)], version: &str) -> PackedArchive {
        let tree = self.dir.path().join("tree");
        let _ = fs::remove_dir_all(&tree);
        fs::create_dir(&tree).unwrap();
        files.iter().for_each(|(path, content)| fs::write(tree.join(path), content).unwrap());
        let source = Source::scan(&tree, SourceOptions::default()).unwrap();
        let mut description = description();
        description.core.version = version.parse().unwrap();
        let options =
            PackOptions { compression: Compression::Auto, threads: threads(2), bases: &[], observer: None };
        pack(&source, &description, options, self.dir.path(), &()).unwrap()
    }
}

fn faults(store: &Store) -> Vec<StoreFault> {
    store.verify(false, threads(2), &()).unwrap().faults
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_goes_in_comes_out(
        sizes in proptest::collection::vec(prop_oneof![0usize..5000, 900_000usize..3_000_000], 1..6),
        level in prop_oneof![Just(Compression::Auto), Just(Compression::Store), (1u8..9).prop_map(Compression::Level)],
        seed in any::<u64>(),
    ) {
        let desk = Desk::new();
        let tree = desk.dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        for (n, size) in sizes.iter().enumerate() {
            let mut content = noise(*size, seed.wrapping_add(n as u64) | 1);
            // Half of it compresses.
            content.iter_mut().take(size / 2).for_each(|byte| *byte &= 3);
            fs::write(tree.join(format!("file-{n}")), content).unwrap();
        }
        let source = Source::scan(&tree, SourceOptions::default()).unwrap();
        let options = PackOptions { compression: level, threads: threads(2), bases: &[], observer: None };
        let packed = pack(&source, &description(), options, desk.dir.path(), &()).unwrap();
        let file = SideFile { name: "tiny-1.0.0.intoto.jsonl".into(), bytes: noise(sizes[0] % 300, seed | 1) };
        let deposited = add(&desk.store, &packed, std::slice::from_ref(&file)).unwrap();
        prop_assert!(!deposited.unchanged);
        prop_assert!(rebuilt(&desk.store, &packed.facts.sha256).unwrap() == fs::read(packed.file.path()).unwrap());
        let kept = deposited.recipe.latest_files();
        prop_assert_eq!(desk.store.file(kept[0]).unwrap(), file.bytes.clone());
        prop_assert_eq!(faults(&desk.store), vec![]);
        prop_assert!(add(&desk.store, &packed, &[file]).unwrap().unchanged);
    }
}

#[test]
fn a_stored_archive_is_read_like_a_file() {
    let desk = Desk::new();
    let tree = desk.dir.path().join("tree");
    write_tree(&tree);
    let packed = pack_tree(&tree, desk.dir.path(), 2);
    add(&desk.store, &packed, &[]).unwrap();
    let stored = desk.store.archive(&packed.facts.sha256, &()).unwrap();
    let expected = expected(&packed);
    let archive = Archive::open(&stored, Anchor::Signed(&expected)).unwrap();
    let verified = verify(&archive, Scope::Content, threads(2), &()).unwrap();
    assert_eq!(verified.id(), packed.id);
}

#[test]
fn versions_share_what_they_have_in_common() {
    let desk = Desk::new();
    let mut content = noise(24 << 20, 5);
    let mut packed = Vec::new();
    for n in 0u8..10 {
        content[usize::from(n) * 1_000_003] ^= 0xff;
        let version = desk.pack(&[("data.bin", content.clone()), ("note.txt", vec![n])], &format!("1.{n}.0"));
        add(&desk.store, &version, &[]).unwrap();
        packed.push(version);
    }
    let checked = desk.store.verify(false, threads(2), &()).unwrap();
    assert_eq!((checked.archives, checked.unneeded, checked.faults), (10, 0, vec![]));
    // Each edit costs a frame of a megabyte or so, of twenty-four.
    assert!(checked.object_bytes < packed[0].facts.size * 16 / 10, "{}", checked.object_bytes);
    for version in &packed {
        assert!(
            rebuilt(&desk.store, &version.facts.sha256).unwrap() == fs::read(version.file.path()).unwrap()
        );
    }
    // What only one of them needs goes with it.
    let gone: Vec<_> = packed[1..].iter().map(|version| version.facts.sha256).collect();
    let would = desk.store.collect(&gone, true, &()).unwrap();
    assert_eq!(desk.store.archives().unwrap().len(), 10);
    assert_eq!(desk.store.collect(&gone, false, &()).unwrap(), would);
    let checked = desk.store.verify(false, threads(2), &()).unwrap();
    assert_eq!((checked.archives, checked.object_bytes, checked.unneeded), (1, packed[0].facts.size, 0));
    assert!(matches!(
        desk.store.collect(&gone[..1], false, &()),
        Err(StoreError::NoSuchArchive(archive)) if archive == gone[0]
    ));
}

#[test]
fn an_altered_object_is_named_and_never_comes_out() {
    let desk = Desk::new();
    let packed = desk.pack(&[("data.bin", noise(3 << 20, 5)), ("a.txt", b"a".to_vec())], "1.0.0");
    let recipe = add(&desk.store, &packed, &[]).unwrap().recipe;
    for piece in recipe.pieces() {
        let path = object(&desk.store, &piece);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        let longer = [&bytes[..], b"x"].concat();
        for poisoned in [&flipped[..], &bytes[..bytes.len() - 1], &longer, b""] {
            overwrite(&path, poisoned);
            let fault = StoreFault::ObjectAltered(piece.sha256);
            assert_eq!(faults(&desk.store), std::slice::from_ref(&fault));
            match rebuilt(&desk.store, &packed.facts.sha256) {
                Err(RebuildError::Store(StoreError::Fault(found))) => assert_eq!(found, fault),
                other => panic!("{other:?}"),
            }
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(faults(&desk.store), [StoreFault::ObjectMissing(piece)]);
        // Whoever adds it again mends it.
        assert_eq!(add(&desk.store, &packed, &[]).unwrap().new_objects, 1);
        assert_eq!(faults(&desk.store), []);
    }
}

#[test]
fn objects_and_recipes_that_change_places_are_told() {
    let desk = Desk::new();
    let one = desk.pack(&[("data.bin", noise(3 << 20, 5))], "1.0.0");
    let other = desk.pack(&[("data.bin", noise(3 << 20, 6))], "1.1.0");
    let recipe = add(&desk.store, &one, &[]).unwrap().recipe;
    add(&desk.store, &other, &[]).unwrap();
    let [a, b] = [recipe.frames[0], recipe.frames[1]].map(|piece| object(&desk.store, &piece));
    let (bytes_a, bytes_b) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
    overwrite(&a, &bytes_b);
    overwrite(&b, &bytes_a);
    assert_eq!(faults(&desk.store).len(), 2);
    assert!(rebuilt(&desk.store, &one.facts.sha256).is_err());
    overwrite(&a, &bytes_a);
    overwrite(&b, &bytes_b);
    assert_eq!(faults(&desk.store), []);

    let recipe_path =
        |archive: &Sha256Digest| desk.store.path().join("recipes").join(format!("{}.json", archive.hex()));
    let mine = fs::read_to_string(recipe_path(&one.facts.sha256)).unwrap();
    let theirs = fs::read_to_string(recipe_path(&other.facts.sha256)).unwrap();
    let digest = |packed: &PackedArchive| packed.facts.sha256.to_string();
    let lines: Vec<&str> = mine.lines().collect();
    let frame = lines.iter().position(|line| line.contains(&recipe.frames[0].sha256.to_string())).unwrap();
    let mut swapped = lines.clone();
    swapped.swap(frame, frame + 1);
    // Written as consign would, by somebody who knows how: only the tail and the states in it tell.
    let swapped = swapped.join("\n") + "\n";
    let forged = [
        theirs.clone(),
        theirs.replace(&digest(&other), &digest(&one)),
        swapped,
        mine.replace("\"version\": \"1.0.0\"", "\"version\": \"9.0.0\""),
        mine.replace("\"format\": 1", "\"format\": 2"),
        mine.replace("\"files\": []", "\"files\": [{}]"),
        mine.replace("\n  \"", "\n   \""),
        mine[..mine.len() / 2].to_owned(),
        String::new(),
    ];
    for (n, forged) in forged.iter().enumerate() {
        overwrite(&recipe_path(&one.facts.sha256), forged.as_bytes());
        let found = faults(&desk.store);
        assert!(
            matches!(&found[..], [StoreFault::Recipe { archive, .. }] if *archive == one.facts.sha256),
            "{n}: {found:?}"
        );
        // The one that only lies about the version is the archive that was asked for.
        if n != 3 {
            assert!(rebuilt(&desk.store, &one.facts.sha256).is_err(), "{n}");
        }
        assert!(rebuilt(&desk.store, &other.facts.sha256).is_ok());
    }
    // As long as it is not known what a recipe needs, nothing is removed.
    assert!(desk.store.collect(&[], false, &()).is_err());
    desk.store.collect(&[one.facts.sha256], false, &()).unwrap();
    assert_eq!(faults(&desk.store), []);
}

#[test]
fn what_is_not_as_signed_is_not_added() {
    let desk = Desk::new();
    let packed = desk.pack(&[("data.bin", noise(2 << 20, 5))], "1.0.0");
    let archive = Archive::open(packed.file.reopen().unwrap(), Anchor::Unsigned).unwrap();
    assert!(matches!(desk.store.add(&archive, &[], &()), Err(StoreError::NotAnchored)));
    let expected = expected(&packed);
    let mut bytes = fs::read(packed.file.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let archive = Archive::open(&bytes[..], Anchor::Signed(&expected)).unwrap();
    let error = desk.store.add(&archive, &[], &()).unwrap_err();
    assert!(matches!(error, StoreError::Archive(_)), "{error}");
    assert_eq!(desk.store.archives().unwrap(), []);
    for name in ["../tiny-1.0.0.x", "tiny-1.0.0.", "other-1.0.0.txt", "tiny-1.0.0./x", "tiny-1.0.0.a b"] {
        let file = SideFile { name: name.into(), bytes: vec![] };
        assert!(matches!(add(&desk.store, &packed, &[file]), Err(StoreError::SideName(_))), "{name}");
    }
    assert_eq!(desk.store.archives().unwrap(), []);
    let collected = desk.store.collect(&[], false, &()).unwrap();
    assert_eq!(collected.kept_objects, 0);
    assert_eq!(fs::read_dir(desk.store.path().join("incoming")).unwrap().count(), 0);
}

#[test]
fn files_beside_an_archive_are_kept_as_they_came() {
    let desk = Desk::new();
    let packed = desk.pack(&[("a.txt", b"a".to_vec())], "1.0.0");
    let file = |bytes: &[u8]| SideFile { name: "tiny-1.0.0.intoto.jsonl".into(), bytes: bytes.into() };
    add(&desk.store, &packed, &[file(b"one")]).unwrap();
    assert!(!add(&desk.store, &packed, &[file(b"one two")]).unwrap().unchanged);
    let deposited = add(&desk.store, &packed, &[file(b"one")]).unwrap();
    assert!(deposited.unchanged);
    assert_eq!(deposited.recipe.files.len(), 2);
    let latest = deposited.recipe.latest_files();
    assert_eq!(desk.store.file(latest[0]).unwrap(), b"one two");
    assert_eq!(desk.store.collect(&[], false, &()).unwrap().objects, 0);
}

#[test]
fn a_directory_that_holds_something_else_is_not_made_a_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "").unwrap();
    assert!(matches!(Store::create(dir.path()), Err(StoreError::NotAStore(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let root = dir.path().join("store");
    Store::create(&root).unwrap();
    Store::create(&root).unwrap();
    fs::write(root.join("consign-store"), "consign store 2\n").unwrap();
    assert!(matches!(Store::create(&root), Err(StoreError::OtherFormat(_))));
}

#[test]
fn writers_and_collectors_do_not_get_into_each_others_way() {
    let desk = Desk::new();
    let packed: Vec<_> =
        (0..4).map(|n| desk.pack(&[("a.bin", noise(2 << 20, 7 + n))], &format!("1.{n}.0"))).collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| packed.iter().for_each(|packed| drop(add(&desk.store, packed, &[]).unwrap())));
        }
        scope.spawn(|| (0..30).for_each(|_| drop(desk.store.collect(&[], false, &()).unwrap())));
    });
    assert_eq!(faults(&desk.store), []);
    for packed in &packed {
        assert!(rebuilt(&desk.store, &packed.facts.sha256).unwrap() == fs::read(packed.file.path()).unwrap());
    }
}
