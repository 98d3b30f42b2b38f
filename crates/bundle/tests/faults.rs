//! Work that is interrupted, storage that fails, destinations that are not free: an error, and nothing left.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use consign_bundle::{
    Anchor, Archive, ArchiveError, Compression, Expected, Fault, PackError, PackOptions, Progress, ReadAt,
    Scope, Selection, Source, SourceOptions, TreeError, TreeLayout, UnpackError, compare_directory,
    hash_source, pack, unpack, verify,
};
use support::{description, noise, pack_tree, threads};

/// Many frames of all kinds.
fn write_some(tree: &Path) {
    fs::create_dir_all(tree.join("many")).unwrap();
    fs::write(tree.join("a.bin"), noise(9 << 20, 3)).unwrap();
    fs::write(tree.join("z.bin"), noise(3 << 20, 4)).unwrap();
    for n in 0..40 {
        fs::write(tree.join(format!("many/{n}.bin")), noise(300_000, 5 + n)).unwrap();
    }
}

/// The archive of those files, and what is signed of it.
static ARCHIVE: LazyLock<(Vec<u8>, Expected)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_some(&tree);
    let packed = pack_tree(&tree, dir.path(), 2);
    let core = packed.manifest.core();
    let expected = Expected {
        archive: packed.facts.clone(),
        id: packed.id,
        name: core.name.clone(),
        version: core.version.clone(),
        classification: core.classification.clone(),
    };
    (fs::read(packed.file.path()).unwrap(), expected)
});

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Stops, or panics, when it is called for the n-th time.
struct After {
    calls: AtomicUsize,
    stop_at: usize,
    panics: bool,
}

impl After {
    fn new(stop_at: usize, panics: bool) -> Self {
        Self { calls: AtomicUsize::new(0), stop_at, panics }
    }

    fn call(&self) -> bool {
        let reached = self.calls.fetch_add(1, Ordering::Relaxed) >= self.stop_at;
        assert!(!(reached && self.panics), "on purpose");
        reached
    }

    /// Whether it came to that.
    fn was_reached(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > self.stop_at
    }
}

impl Progress for After {
    fn advance(&self, _: u64) {
        self.call();
    }

    fn cancelled(&self) -> bool {
        self.call()
    }
}

/// Runs `work` stopped at its first call, at a later one, and so on, until it is done before it is stopped.
/// `check` looks at each result.
fn stopped_everywhere<T>(work: impl Fn(&After) -> T, check: impl Fn(&T, bool)) {
    for step in 0.. {
        // Every call at first, then fewer.
        let after = After::new(step * (step + 1) / 2, false);
        let result = work(&after);
        let reached = after.was_reached();
        check(&result, reached);
        if !reached {
            return;
        }
    }
}

#[test]
fn packing_can_be_stopped_at_any_time_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, out) = (dir.path().join("tree"), dir.path().join("out"));
    write_some(&tree);
    fs::create_dir(&out).unwrap();
    let source = Source::scan(&tree, SourceOptions::default()).unwrap();
    for n in [1, 4] {
        let options =
            PackOptions { compression: Compression::Auto, threads: threads(n), bases: &[], observer: None };
        stopped_everywhere(
            |progress| {
                pack(&source, &description(), options, out.as_path(), progress).map(|packed| packed.id)
            },
            |result, reached| {
                // A frame may be the last one there is to ask about.
                assert!(matches!(result, Err(PackError::Cancelled(_))) || result.is_ok(), "{result:?}");
                assert!(reached || result.is_ok());
                assert_eq!(names(&out), [""; 0]);
            },
        );
    }
}

#[test]
fn hashing_and_comparing_can_be_stopped_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    write_some(dir.path());
    let source = Source::scan(dir.path(), SourceOptions::default()).unwrap();
    let manifest = hash_source(&source, &description(), threads(2), None, &()).unwrap();
    stopped_everywhere(
        |progress| hash_source(&source, &description(), threads(3), None, progress),
        |result, _| match result {
            Ok(found) => assert_eq!(*found, manifest),
            Err(error) => assert!(matches!(error, PackError::Cancelled(_)), "{error:?}"),
        },
    );
    stopped_everywhere(
        |progress| compare_directory(dir.path(), &manifest, TreeLayout::Payload, threads(3), progress),
        |result, _| match result {
            Ok(found) => assert_eq!(found.faults, []),
            Err(error) => assert!(matches!(error, TreeError::Cancelled(_)), "{error:?}"),
        },
    );
}

#[test]
fn verifying_and_unpacking_can_be_stopped_at_any_time_and_leave_nothing() {
    let (bytes, expected) = &*ARCHIVE;
    let archive = Archive::open(bytes.as_slice(), Anchor::Signed(expected)).unwrap();
    for n in [1, 4] {
        stopped_everywhere(
            |progress| verify(&archive, Scope::Content, threads(n), progress),
            |result, _| {
                assert!(matches!(result, Err(ArchiveError::Cancelled(_)) | Ok(_)), "{result:?}");
            },
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    stopped_everywhere(
        |progress| unpack(&archive, &out, Selection::Bag, threads(2), progress),
        |result, _| match result {
            Ok(_) => {
                assert_eq!(names(dir.path()), ["out"]);
                fs::remove_dir_all(&out).unwrap();
            }
            Err(error) => {
                assert!(matches!(error, UnpackError::Archive(ArchiveError::Cancelled(_))), "{error:?}");
                assert_eq!(names(dir.path()), [""; 0]);
            }
        },
    );
}

/// The panic comes through; nothing waits forever for what the thread would have done, and nothing counts.
#[test]
fn e29_a_panic_while_progress_is_told_ends_the_work() {
    let (bytes, expected) = &*ARCHIVE;
    let archive = Archive::open(bytes.as_slice(), Anchor::Signed(expected)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (tree, out) = (dir.path().join("tree"), dir.path().join("out"));
    write_some(&tree);
    fs::create_dir(&out).unwrap();
    let source = Source::scan(&tree, SourceOptions::default()).unwrap();
    let options =
        PackOptions { compression: Compression::Level(1), threads: threads(2), bases: &[], observer: None };
    for at in [0, 1, 2, 5, 9] {
        let panics = |work: &dyn Fn(&After) -> bool| {
            let after = After::new(at, true);
            catch_unwind(AssertUnwindSafe(|| work(&after))).unwrap_or(true)
        };
        assert!(panics(&|after| pack(&source, &description(), options, out.as_path(), after).is_err()));
        assert!(panics(&|after| verify(&archive, Scope::Content, threads(2), after).is_err()));
        assert!(panics(
            &|after| unpack(&archive, &out.join("new"), Selection::Payload, threads(2), after).is_err()
        ));
        assert_eq!(names(&out), [""; 0]);
    }
}

/// Stops or panics at the first frame that is written, while many are still to come.
struct AtFirstFrame {
    panics: bool,
    told: AtomicUsize,
}

impl Progress for AtFirstFrame {
    fn advance(&self, _: u64) {
        self.told.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "on purpose");
    }

    fn cancelled(&self) -> bool {
        !self.panics && self.told.load(Ordering::Relaxed) > 0
    }
}

/// More frames than memory for frames: whoever makes them waits for those that nobody will write.
#[test]
fn nobody_waits_for_memory_that_a_stopped_writer_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, out) = (dir.path().join("tree"), dir.path().join("out"));
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&out).unwrap();
    fs::File::create(tree.join("zeros.bin")).unwrap().set_len(100 << 20).unwrap();
    let source = Source::scan(&tree, SourceOptions::default()).unwrap();
    for n in [1, 3] {
        let options = PackOptions {
            compression: Compression::Level(1),
            threads: threads(n),
            bases: &[],
            observer: None,
        };
        let pack = |panics| {
            let progress = AtFirstFrame { panics, told: AtomicUsize::new(0) };
            pack(&source, &description(), options, out.as_path(), &progress)
        };
        assert!(matches!(pack(false), Err(PackError::Cancelled(_))));
        assert!(catch_unwind(AssertUnwindSafe(|| pack(true))).is_err());
        assert_eq!(names(&out), [""; 0]);
    }
}

#[test]
fn packing_into_what_is_no_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write_some(&tree);
    let source = Source::scan(&tree, SourceOptions::default()).unwrap();
    let options =
        PackOptions { compression: Compression::Level(1), threads: threads(2), bases: &[], observer: None };
    for out in ["nowhere", "tree/a.bin"] {
        let result = pack(&source, &description(), options, dir.path().join(out).as_path(), &());
        assert!(matches!(result, Err(PackError::Write(_))), "{result:?}");
    }
}

/// Storage that fails at the n-th reading.
struct Failing<'a> {
    bytes: &'a [u8],
    left: AtomicUsize,
}

impl ReadAt for Failing<'_> {
    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::other("the disk is gone"))?;
        self.bytes.read_exact_at(buffer, offset)
    }
}

#[test]
fn storage_that_fails_is_an_error_of_reading_wherever_it_does() {
    let (bytes, expected) = &*ARCHIVE;
    let dir = tempfile::tempdir().unwrap();
    for reads in 0.. {
        let storage = Failing { bytes, left: AtomicUsize::new(reads) };
        let result = Archive::open(&storage, Anchor::Signed(expected))
            .and_then(|archive| verify(&archive, Scope::Content, threads(3), &()));
        let done = result.is_ok();
        assert!(matches!(result, Ok(_) | Err(ArchiveError::Io(_))), "{result:?}");
        storage.left.store(reads, Ordering::Relaxed);
        if let Ok(archive) = Archive::open(&storage, Anchor::Signed(expected))
            && !done
        {
            let result = unpack(&archive, &dir.path().join("out"), Selection::Payload, threads(3), &());
            assert!(matches!(result, Err(UnpackError::Archive(ArchiveError::Io(_)))), "{result:?}");
        }
        assert_eq!(names(dir.path()), [""; 0]);
        if done {
            return;
        }
    }
}

/// Storage that gives something else when it is asked for the same again.
struct Changing<'a> {
    bytes: &'a [u8],
    others: &'a [u8],
    reads: AtomicUsize,
    /// The readings before which it gives `bytes`.
    honest: usize,
}

impl ReadAt for Changing<'_> {
    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let honest = self.reads.fetch_add(1, Ordering::Relaxed) < self.honest;
        if honest { self.bytes } else { self.others }.read_exact_at(buffer, offset)
    }
}

#[test]
fn an_archive_that_changes_while_it_is_verified_is_not() {
    let (bytes, expected) = &*ARCHIVE;
    let mut others = bytes.clone();
    others.iter_mut().for_each(|byte| *byte ^= 1);
    for honest in 0.. {
        let storage = Changing { bytes, others: &others, reads: AtomicUsize::new(0), honest };
        let result = Archive::open(&storage, Anchor::Signed(expected))
            .and_then(|archive| verify(&archive, Scope::Content, threads(2), &()));
        match result {
            Ok(_) => {
                assert!(storage.reads.into_inner() <= honest, "it never saw the others");
                return;
            }
            Err(error) => assert!(matches!(error, ArchiveError::Faults { .. }), "{error:?}"),
        }
    }
}

/// A file of any claimed size, which notes how much is asked for at once.
struct Claiming {
    size: u64,
    end: Vec<u8>,
    largest: AtomicUsize,
}

impl ReadAt for Claiming {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.largest.fetch_max(buffer.len(), Ordering::Relaxed);
        // Nothing but its end is there.
        let start =
            offset.checked_sub(self.size - self.end.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.end.as_slice().read_exact_at(buffer, start)?;
        Ok(())
    }
}

#[test]
fn what_a_file_claims_reserves_no_memory() {
    let (bytes, expected) = &*ARCHIVE;
    let tail = usize::try_from(expected.archive.tail_length).unwrap();
    let end = bytes[bytes.len() - tail..].to_vec();
    // As much as is read at first, so that whatever is asked for beyond it is a claim's doing.
    let end = [vec![0; (64 << 10) - tail], end].concat();
    for size in [64 << 10, 1 << 40, u64::MAX] {
        // Other counts of frames, other sizes of the index.
        for (at, value) in [(9, u32::MAX), (9, 6), (17, u32::MAX), (17, 1 << 31), (17, 1 << 20), (17, 0)] {
            let mut end = end.clone();
            let at = end.len() - at;
            end[at..][..4].copy_from_slice(&u32::to_le_bytes(value));
            let storage = Claiming { size, end, largest: AtomicUsize::new(0) };
            let result = Archive::open(&storage, Anchor::Unsigned);
            assert!(matches!(result, Err(ArchiveError::Faults { .. })), "{at} {value}");
            assert_eq!(storage.largest.into_inner(), 64 << 10, "{at} {value}");
        }
    }
}

#[test]
fn unpacking_takes_no_place_that_is_taken() {
    let (bytes, expected) = &*ARCHIVE;
    let archive = Archive::open(bytes.as_slice(), Anchor::Signed(expected)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("file"), "").unwrap();
    let mut taken = vec!["empty", "empty/", "file", ".", "empty/.."];
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("empty", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        taken.extend(["link", "link/", "dangling", "dangling/", "dangling/.", "loop", "loop/"]);
    }
    let before = names(dir.path());
    for name in taken {
        let result = unpack(&archive, &at(name), Selection::Payload, threads(2), &());
        assert!(matches!(result, Err(UnpackError::Exists(_))), "{name}: {result:?}");
        assert_eq!(names(dir.path()), before, "{name}");
        assert_eq!(names(&at("empty")), [""; 0], "{name}");
    }
    for name in ["nowhere/out", "file/out"] {
        let result = unpack(&archive, &at(name), Selection::Payload, threads(2), &());
        assert!(matches!(result, Err(UnpackError::Write { .. })), "{name}: {result:?}");
        assert_eq!(names(dir.path()), before, "{name}");
    }
}

/// Takes the destination while it is being filled.
struct Taking<'a>(&'a Path);

impl Progress for Taking<'_> {
    fn advance(&self, _: u64) {
        let _ = fs::create_dir(self.0);
    }
}

#[test]
fn a_place_that_is_taken_meanwhile_is_left_alone() {
    let (bytes, expected) = &*ARCHIVE;
    let archive = Archive::open(bytes.as_slice(), Anchor::Signed(expected)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let result = unpack(&archive, &out, Selection::Payload, threads(2), &Taking(&out));
    assert!(matches!(result, Err(UnpackError::Exists(_))), "{result:?}");
    assert_eq!((names(dir.path()), names(&out)), (vec!["out".to_owned()], vec![]));
}

#[test]
fn a_file_that_is_asked_for_and_not_there_is_an_error() {
    let (bytes, expected) = &*ARCHIVE;
    let archive = Archive::open(bytes.as_slice(), Anchor::Signed(expected)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let only = Selection::Only(vec!["a.bin".parse().unwrap(), "b.bin".parse().unwrap()]);
    let result = unpack(&archive, &dir.path().join("out"), only, threads(2), &());
    let Err(UnpackError::Archive(ArchiveError::Faults { listed, more: 0 })) = result else {
        panic!("{result:?}")
    };
    assert_eq!(listed, [Fault::NoSuchFile { path: "b.bin".into() }]);
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn what_is_found_depends_on_no_thread() {
    let (bytes, expected) = &*ARCHIVE;
    let archive = Archive::open(bytes.as_slice(), Anchor::Signed(expected)).unwrap();
    let frames = archive.frames();
    let mut altered = bytes.clone();
    // Every data frame but those of the manifest, which is read first.
    let at: Vec<usize> = (0..10).map(|n| n * (1 << 20) + 77).collect();
    at.iter().for_each(|&at| altered[at] ^= 1);
    let archive = Archive::open(altered.as_slice(), Anchor::Signed(expected)).unwrap();
    let mut reports = Vec::new();
    for n in [1, 2, 5] {
        let result = verify(&archive, Scope::Content, threads(n), &());
        let Err(ArchiveError::Faults { listed, more: 0 }) = result else { panic!("{result:?}") };
        assert!(listed.len() <= frames && listed.len() > 3);
        reports.push(listed);
    }
    assert!(reports.iter().all(|report| *report == reports[0]), "whatever the number of threads");
}
