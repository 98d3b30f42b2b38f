//! unpack(pack(x)) = x, and pack is a pure function.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use consign_bundle::{
    Anchor, Archive, ArchiveError, Expected, Fault, PackedArchive, Scope, Selection, TreeLayout, UnpackError,
    compare_directory, unpack, unpack_if, verify,
};
use consign_metadata::Manifest;
use proptest::prelude::*;
use support::{noise, pack_tree, threads, write_tree};

/// Every path with its content and executable bit; directories with nothing in them as well.
fn contents(root: &Path) -> BTreeMap<String, Option<(Vec<u8>, bool)>> {
    fn walk(root: &Path, at: &Path, out: &mut BTreeMap<String, Option<(Vec<u8>, bool)>>) {
        let entries: Vec<_> = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
        if entries.is_empty() {
            out.insert(at.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), None);
        }
        for path in entries {
            if path.is_dir() {
                walk(root, &path, out);
                continue;
            }
            #[cfg(unix)]
            let executable = {
                use std::os::unix::fs::PermissionsExt as _;
                path.metadata().unwrap().permissions().mode() & 0o100 != 0
            };
            #[cfg(not(unix))]
            let executable = false;
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            out.insert(name, Some((std::fs::read(&path).unwrap(), executable)));
        }
    }
    let mut out = BTreeMap::new();
    walk(root, root, &mut out);
    out
}

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

fn bytes(packed: &PackedArchive) -> Vec<u8> {
    std::fs::read(packed.file.path()).unwrap()
}

#[test]
fn what_is_unpacked_is_what_was_packed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let packed = pack_tree(&tree, dir.path(), 3);
    let expected = expected(&packed);
    let file = bytes(&packed);
    assert_eq!(packed.facts.sha256, consign_metadata::Sha256Digest::of(&file), "what sha256sum says");
    assert_eq!(packed.facts.size, file.len() as u64);

    let archive = Archive::open(file.as_slice(), Anchor::Signed(&expected)).unwrap();
    let (manifest, manifest_bytes) = archive.manifest().unwrap();
    assert_eq!(manifest, packed.manifest);
    assert_eq!(manifest_bytes, packed.manifest_bytes);
    for scope in [Scope::Content, Scope::Bytes, Scope::Only(vec!["table.csv".parse().unwrap()])] {
        let verified = verify(&archive, scope.clone(), threads(3), &()).unwrap();
        assert_eq!((verified.scope(), verified.id(), verified.is_anchored()), (&scope, packed.id, true));
    }

    let destination = dir.path().join("out");
    unpack(&archive, &destination, Selection::Payload, threads(3), &()).unwrap();
    assert_eq!(contents(&destination), contents(&tree));
    let same = compare_directory(&destination, &manifest, TreeLayout::Payload, threads(2), &()).unwrap();
    assert_eq!(same.faults, []);

    let bag = dir.path().join("bag");
    unpack(&archive, &bag, Selection::Bag, threads(3), &()).unwrap();
    assert_eq!(contents(&bag.join("data")), contents(&tree));
    assert_eq!(compare_directory(&bag, &manifest, TreeLayout::Bag, threads(2), &()).unwrap().faults, []);

    let only = dir.path().join("only");
    let paths = vec!["weights/model.bin".parse().unwrap(), "a/b.txt".parse().unwrap()];
    unpack(&archive, &only, Selection::Only(paths), threads(1), &()).unwrap();
    let mut chosen = contents(&tree);
    chosen.retain(|path, _| path == "weights/model.bin" || path == "a/b.txt");
    assert_eq!(contents(&only), chosen);

    let again = unpack(&archive, &only, Selection::Payload, threads(1), &());
    assert!(matches!(again, Err(UnpackError::Exists(_))));

    // Whoever asks first sees the manifest, and nothing is written for whom it does not please.
    let refused = dir.path().join("refused");
    let admit = |seen: &Manifest| {
        assert_eq!(*seen, manifest);
        None
    };
    let result = unpack_if(&archive, &refused, Selection::Payload, threads(1), &(), admit);
    assert!(matches!(result, Err(UnpackError::NotAdmitted)) && !refused.exists());
}

#[test]
fn packing_is_a_pure_function() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let first = pack_tree(&tree, dir.path(), 1);
    // The same files made anew, in the other order, at another place and time, by more threads.
    let copy = dir.path().join("elsewhere/copy");
    for (path, content) in contents(&tree).into_iter().rev() {
        let path = copy.join(path);
        match content {
            None => std::fs::create_dir_all(path).unwrap(),
            Some((content, _)) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(copy.join("run.sh"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::set_permissions(copy.join("a.txt"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let second = pack_tree(&copy, dir.path(), 7);
    assert_eq!(first.id, second.id);
    assert_eq!(first.facts, second.facts);
    assert!(bytes(&first) == bytes(&second));
}

#[test]
fn every_altered_byte_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("a.txt"), "alpha beta gamma").unwrap();
    std::fs::write(tree.join("b.bin"), noise(300, 3)).unwrap();
    let packed = pack_tree(&tree, dir.path(), 1);
    let expected = expected(&packed);
    let good = bytes(&packed);
    let refused = |file: &[u8]| match Archive::open(file, Anchor::Signed(&expected)) {
        Err(ArchiveError::Faults { .. }) => true,
        Err(_) => false,
        Ok(archive) => {
            matches!(verify(&archive, Scope::Bytes, threads(1), &()), Err(ArchiveError::Faults { .. }))
        }
    };
    assert!(!refused(&good));
    for at in 0..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 1;
        assert!(refused(&altered), "byte {at}");
        assert!(refused(&good[..at]), "cut at {at}");
    }
    assert!(refused(&[good.as_slice(), b"x"].concat()));
    assert!(refused(&[b"x", good.as_slice()].concat()));
    assert!(refused(&[good.as_slice(), good.as_slice()].concat()));
}

#[test]
fn an_altered_frame_is_named_with_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("model.bin"), noise(4 << 20, 3)).unwrap();
    let packed = pack_tree(&tree, dir.path(), 2);
    let expected = expected(&packed);
    let mut file = bytes(&packed);
    let middle = file.len() / 2;
    file[middle] ^= 1;
    let archive = Archive::open(file.as_slice(), Anchor::Signed(&expected)).unwrap();
    let error = verify(&archive, Scope::Content, threads(2), &()).unwrap_err();
    let ArchiveError::Faults { listed, more: 0 } = error else { panic!("{error}") };
    assert!(
        matches!(&listed[..], [Fault::FrameAltered { holds, .. }] if holds.contains("`model.bin`")),
        "{listed:?}"
    );

    let out = dir.path().join("out");
    assert!(unpack(&archive, &out, Selection::Payload, threads(2), &()).is_err());
    assert!(!out.exists());
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let packed_name = packed.file.path().file_name().unwrap().to_owned();
    assert!(left.iter().all(|name| name == "tree" || *name == packed_name), "{left:?}");
}

#[test]
fn e31_e32_a_directory_that_differs_is_told_apart_in_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let manifest: Manifest = pack_tree(&tree, dir.path(), 2).manifest;
    std::fs::write(tree.join("a.txt"), "ALPHA").unwrap();
    std::fs::write(tree.join("a-b"), "longer than it was").unwrap();
    std::fs::write(tree.join("new.txt"), "new").unwrap();
    std::fs::remove_file(tree.join("empty.txt")).unwrap();
    std::fs::remove_dir(tree.join("nothing/here")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", tree.join("link")).unwrap();
    let faults = compare_directory(&tree, &manifest, TreeLayout::Payload, threads(2), &()).unwrap();
    let mut lines: Vec<_> = faults.faults.iter().map(ToString::to_string).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "`a-b` has 18 bytes, where the manifest has 13",
            "`a.txt` has another content than the manifest says",
            "`empty.txt` is missing",
            "`link` is a symbolic link to `/etc/passwd`",
            "`new.txt` is not in the manifest",
            "`nothing/here` is missing",
            "`nothing` is not in the manifest",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_tree_comes_back(
        files in proptest::collection::btree_map("[a-c]{1,3}(/[a-zß0-9 .-]{0,4}[a-z]){0,3}", (0usize..3_000_000, any::<u64>()), 1..8),
        n in 1usize..5,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        for (path, (size, seed)) in files {
            let path = tree.join(path);
            // Some need a directory where a file stands already; those are left out.
            if std::fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.exists() {
                std::fs::write(path, noise(size, seed | 1)).unwrap();
            }
        }
        prop_assume!(contents(&tree).values().any(Option::is_some));
        let packed = pack_tree(&tree, dir.path(), n);
        let expected = expected(&packed);
        let file = bytes(&packed);
        let archive = Archive::open(file.as_slice(), Anchor::Signed(&expected)).unwrap();
        let out = dir.path().join("out");
        unpack(&archive, &out, Selection::Payload, threads(n), &()).unwrap();
        prop_assert_eq!(contents(&out), contents(&tree));
    }
}

/// Large files that shrink to nothing wait for the archive to be hashed beside them, and must not wait for each
/// other's memory.
#[test]
fn many_large_files_that_compress_well_do_not_hold_each_other_up() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for n in 0..60u64 {
        let file = fs::File::create(tree.join(format!("{n}.bin"))).unwrap();
        file.set_len((1 << 20) + n * 4999).unwrap();
    }
    let facts: Vec<_> = [1, 2, 3, 5].map(|n| pack_tree(&tree, dir.path(), n).facts).into();
    assert!(facts.windows(2).all(|pair| pair[0] == pair[1]));
}
