//! What is there already saves work and changes nothing: earlier archives, and a partial one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use consign_bundle::{
    Anchor, Archive, Base, Compression, PackError, PackOptions, PackedArchive, Partial, Place, Progress,
    Scope, Source, SourceOptions, pack, verify,
};
use support::{description, noise, pack_tree, threads, write_tree};

const OPTIONS: fn(&[Base]) -> PackOptions<'_> =
    |bases| PackOptions { compression: Compression::Auto, threads: threads(3), bases, observer: None };

fn bytes_of(packed: &PackedArchive) -> Vec<u8> {
    fs::read(packed.file.path()).unwrap()
}

fn scan(tree: &Path) -> Source {
    Source::scan(tree, SourceOptions::default()).unwrap()
}

fn with_base(tree: &Path, out: &Path, base: Vec<u8>) -> PackedArchive {
    let path = out.join("base");
    fs::write(&path, base).unwrap();
    let base = Base::open(File::open(path).unwrap()).unwrap();
    pack(&scan(tree), &description(), OPTIONS(&[base]), out, &()).unwrap()
}

#[test]
fn an_earlier_archive_saves_work_and_changes_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let old = bytes_of(&pack_tree(&tree, dir.path(), 2));
    // One file goes, one comes, one changes.
    fs::remove_file(tree.join("just-under.bin")).unwrap();
    fs::write(tree.join("many/0100a.json"), "new").unwrap();
    let mut weights = fs::read(tree.join("weights/model.bin")).unwrap();
    weights.splice(0..0, *b"a few bytes in front");
    fs::write(tree.join("weights/model.bin"), weights).unwrap();
    let fresh = pack_tree(&tree, dir.path(), 2);
    let again = with_base(&tree, dir.path(), old);
    assert_eq!(fresh.facts, again.facts);
    assert_eq!(bytes_of(&fresh), bytes_of(&again));
    let total: u64 = scan(&tree).summary().bytes;
    assert!(again.spared.reused > total / 2, "{:?} of {total}", again.spared);
}

#[test]
fn a_poisoned_base_cannot_change_what_is_packed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("weights.bin"), noise(4 << 20, 3)).unwrap();
    let good = pack_tree(&tree, dir.path(), 1);
    let archive = bytes_of(&good);
    let data = usize::try_from(good.facts.size - good.facts.tail_length).unwrap();
    let whole = with_base(&tree, dir.path(), archive.clone()).spared.reused;
    // Content that does not shrink stands in the frames as it is: every altered byte of it gives another
    // content under the same content id.
    for at in (0..data).step_by(data / 9) {
        let mut poisoned = archive.clone();
        poisoned[at] ^= 1;
        let again = with_base(&tree, dir.path(), poisoned);
        assert_eq!(again.facts, good.facts, "{at}");
        assert_eq!(bytes_of(&again), archive, "{at}");
        assert!((1..whole).contains(&again.spared.reused), "{at}: {:?}", again.spared);
    }
}

#[test]
fn a_base_of_another_encoder_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let options = PackOptions { compression: Compression::Level(7), ..OPTIONS(&[]) };
    let other = bytes_of(&pack(&scan(&tree), &description(), options, dir.path(), &()).unwrap());
    let fresh = pack_tree(&tree, dir.path(), 2);
    let again = with_base(&tree, dir.path(), other);
    assert_eq!(fresh.facts, again.facts);
    assert_eq!(again.spared.reused, 0);
}

/// Stops after so many bytes.
struct StopAfter(AtomicU64);

impl Progress for StopAfter {
    fn advance(&self, bytes: u64) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

fn resume(tree: &Path, out: &Path, progress: &dyn Progress) -> Result<PackedArchive, PackError> {
    let partial = Partial::open(out, "tiny.tar.zst").unwrap();
    pack(&scan(tree), &description(), OPTIONS(&[]), Place::Resumable(partial), progress)
}

/// Packs some of the tree, and leaves the rest for the next run.
fn cut_short(tree: &Path, out: &Path, after: u64) {
    let result = resume(tree, out, &StopAfter(AtomicU64::new(after)));
    assert!(matches!(result, Err(PackError::Cancelled(_))));
}

#[test]
fn what_was_cut_short_goes_on_and_comes_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let fresh = pack_tree(&tree, dir.path(), 2);
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut kept = 0;
    for after in [1, 2 << 20, 5 << 20, 8 << 20] {
        cut_short(&tree, &out, after);
    }
    let partial = out.join(".tiny.tar.zst.partial");
    let first = fs::metadata(&partial).unwrap().len();
    assert!(first > 1 << 20);
    // A second time with everything there, as if only the name had not been given.
    for _ in 0..2 {
        let packed = resume(&tree, &out, &()).unwrap();
        assert_eq!(packed.facts, fresh.facts);
        assert_eq!(bytes_of(&packed), bytes_of(&fresh));
        assert!(packed.spared.kept > kept, "{:?}", packed.spared);
        kept = packed.spared.kept;
        let archive = Archive::open(File::open(packed.file.path()).unwrap(), Anchor::Unsigned).unwrap();
        verify(&archive, Scope::Content, threads(2), &()).unwrap();
    }
}

#[test]
fn a_partial_archive_is_believed_in_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_tree(&tree);
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let (partial, journal) = (out.join(".tiny.tar.zst.partial"), out.join(".tiny.tar.zst.journal"));
    let edit = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    let changes: [&dyn Fn(); 9] = [
        &|| edit(&partial, &|bytes| bytes[40] ^= 1),
        &|| edit(&partial, &|bytes| *bytes.last_mut().unwrap() ^= 1),
        &|| edit(&partial, &|bytes| bytes.truncate(bytes.len() / 2)),
        &|| edit(&partial, &|bytes| bytes.extend_from_slice(b"torn")),
        &|| edit(&partial, &|bytes| bytes.fill(0)),
        &|| edit(&journal, &|bytes| bytes.truncate(bytes.len() - 7)),
        &|| edit(&journal, &|bytes| bytes.truncate(20)),
        &|| edit(&journal, &|bytes| *bytes.last_mut().unwrap() ^= 1),
        // The source is another by now.
        &|| fs::write(tree.join("a.txt"), "another").unwrap(),
    ];
    for (n, change) in changes.iter().enumerate() {
        cut_short(&tree, &out, 6 << 20);
        change();
        let fresh = pack_tree(&tree, dir.path(), 2);
        let packed = resume(&tree, &out, &()).unwrap();
        assert_eq!(packed.facts, fresh.facts, "{n}");
        assert_eq!(bytes_of(&packed), bytes_of(&fresh), "{n}");
        Partial::remove(&out, "tiny.tar.zst").unwrap();
    }
}

#[test]
fn a_partial_archive_has_one_owner_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Partial::open(dir.path(), "x");
    let first = open().unwrap();
    assert_eq!(open().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    open().unwrap();
}

#[cfg(unix)]
#[test]
fn a_partial_archive_that_others_can_write_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join(".x.partial");
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &partial).unwrap();
    assert!(Partial::open(dir.path(), "x").is_err());
    fs::remove_file(&partial).unwrap();
    fs::hard_link(&victim, &partial).unwrap();
    assert!(Partial::open(dir.path(), "x").is_err());
    fs::remove_file(&partial).unwrap();
    fs::write(&partial, "").unwrap();
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(Partial::open(dir.path(), "x").is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}
