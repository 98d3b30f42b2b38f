//! What is found in a directory, and what happens when it does not stay so.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use consign_bundle::{
    Anchor, Archive, Compression, LinkPolicy, LinkTarget, PackError, PackOptions, PackedArchive, Progress,
    ReadError, Scope, Source, SourceError, SourceFault, SourceOptions, pack, verify,
};
use support::{description, noise, threads};

fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn paths(source: &Source) -> Vec<&str> {
    source.files().map(|(path, ..)| path.as_str()).collect()
}

fn faults(root: &Path, options: SourceOptions) -> Vec<String> {
    match Source::scan(root, options) {
        Err(SourceError::Faults(faults)) => {
            let mut lines: Vec<_> = faults
                .iter()
                .map(|fault| match fault {
                    SourceFault::Link { path, leads, .. } => format!("{} {leads:?}", path.display()),
                    other => format!("{} {other}", other.code()),
                })
                .collect();
            lines.sort();
            lines
        }
        other => panic!("{other:?}"),
    }
}

fn following(into: &[&Path]) -> SourceOptions {
    let links = LinkPolicy::Follow { into: into.iter().map(Into::into).collect() };
    SourceOptions { links, ..SourceOptions::default() }
}

fn excluding(patterns: &[&str]) -> SourceOptions {
    let exclude = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    SourceOptions { exclude, ..SourceOptions::default() }
}

#[test]
fn every_link_is_refused_with_where_it_leads() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let tree = root.join("tree");
    write(&root, "outside/secret.txt", b"secret");
    write(&tree, "data/a.txt", b"alpha");
    symlink("data/a.txt", tree.join("inside")).unwrap();
    symlink("data", tree.join("inside-dir")).unwrap();
    symlink("../outside/secret.txt", tree.join("outside")).unwrap();
    symlink("../outside", tree.join("outside-dir")).unwrap();
    symlink("inside", tree.join("chain")).unwrap();
    symlink("nowhere", tree.join("broken")).unwrap();
    symlink("itself", tree.join("itself")).unwrap();
    symlink("..", tree.join("data/up")).unwrap();
    let outside = |path: &str| format!("{:?}", LinkTarget::Outside(root.join(path)));
    assert_eq!(
        faults(&tree, SourceOptions::default()),
        [
            "broken Broken".to_owned(),
            "chain Inside".into(),
            "data/up Inside".into(),
            "inside Inside".into(),
            "inside-dir Inside".into(),
            "itself Broken".into(),
            format!("outside {}", outside("outside/secret.txt")),
            format!("outside-dir {}", outside("outside")),
        ]
    );
    // Those that stay inside are followed; the others remain errors.
    assert_eq!(
        faults(&tree, following(&[])),
        [
            "broken Broken".to_owned(),
            "data/up Loop".into(),
            "inside-dir/up Loop".into(),
            "itself Broken".into(),
            format!("outside {}", outside("outside/secret.txt")),
            format!("outside-dir {}", outside("outside")),
        ]
    );
}

#[test]
fn links_are_followed_into_the_trees_that_were_named() {
    let dir = tempfile::tempdir().unwrap();
    // As the cache of Hugging Face has it: a snapshot of links into a folder beside it.
    let (snapshot, blobs) = (dir.path().join("snapshots/1"), dir.path().join("blobs"));
    write(&blobs, "f00d", b"weights");
    write(&blobs, "deep/er", b"more");
    write(&snapshot, "own.txt", b"own");
    symlink("../../blobs/f00d", snapshot.join("model.bin")).unwrap();
    symlink("../../blobs/deep", snapshot.join("deep")).unwrap();
    symlink("../../blobs", snapshot.join("all")).unwrap();
    let source = Source::scan(&snapshot, following(&[&blobs])).unwrap();
    assert_eq!(paths(&source), ["all/deep/er", "all/f00d", "deep/er", "model.bin", "own.txt"]);
    assert_eq!(source.summary().followed, 4);
    let packed = pack_source(&source, dir.path(), &()).unwrap();
    let sizes: Vec<_> = packed.manifest.files().iter().map(|file| file.size).collect();
    assert_eq!(sizes, [4, 7, 4, 7, 3]);
    // A link from the named tree back into the source, into what it is reached from, is a loop.
    symlink("../../snapshots/1", blobs.join("deep/back")).unwrap();
    assert_eq!(faults(&snapshot, following(&[&blobs])), ["all/deep/back Loop", "deep/back Loop"]);
}

#[test]
fn links_to_each_other_end() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a/x", b"x");
    write(dir.path(), "b/y", b"y");
    symlink("../b", dir.path().join("a/to-b")).unwrap();
    symlink("../a", dir.path().join("b/to-a")).unwrap();
    assert_eq!(faults(dir.path(), following(&[])), ["a/to-b/to-a Loop", "b/to-a/to-b Loop"]);
}

#[test]
fn pipes_and_sockets_are_refused_without_being_opened() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.txt", b"alpha");
    mkfifo(&dir.path().join("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    symlink("pipe", dir.path().join("link")).unwrap();
    assert_eq!(
        faults(dir.path(), following(&[])),
        [
            "special-file `link` is neither a file nor a directory",
            "special-file `pipe` is neither a file nor a directory",
            "special-file `socket` is neither a file nor a directory",
        ]
    );
}

/// Other systems do not take such names in the first place.
#[cfg(target_os = "linux")]
#[test]
fn names_that_no_bundle_can_hold_are_all_told_escaped() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    let names: [&[u8]; 5] = [b"fine", b"latin-\xe9", b"es\x1bc", b"back\\slash", b"18:51"];
    for name in names {
        File::create(dir.path().join(OsStr::from_bytes(name))).unwrap();
    }
    fs::create_dir(dir.path().join(OsStr::from_bytes(b"empty-\xff"))).unwrap();
    let found = faults(dir.path(), SourceOptions::default());
    let codes: Vec<_> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        codes,
        [
            "name-backslash",
            "name-invisible-character",
            "name-not-utf8",
            "name-not-utf8",
            "name-reserved-character"
        ]
    );
    assert!(found.iter().all(|line| !line.contains('\x1b')), "{found:?}");
}

#[test]
fn patterns_leave_out_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["a.log", "keep/a.log", "keep/b.txt", "build/x", "src/build/y", "src/z", "build.txt"] {
        write(dir.path(), path, b"x");
    }
    mkfifo(&dir.path().join("keep/pipe.log"));
    let left = |patterns: &[&str]| {
        let patterns = [patterns, &["pipe.log"]].concat();
        let source = Source::scan(dir.path(), excluding(&patterns)).unwrap();
        paths(&source).join(" ")
    };
    assert_eq!(left(&["*.log"]), "build.txt build/x keep/b.txt src/build/y src/z");
    assert_eq!(left(&["/*.log"]), "build.txt build/x keep/a.log keep/b.txt src/build/y src/z");
    assert_eq!(left(&["build"]), "a.log build.txt keep/a.log keep/b.txt src/z");
    assert_eq!(left(&["build/", "z/"]), "a.log build.txt keep/a.log keep/b.txt src/z");
    assert_eq!(left(&["/build/"]), "a.log build.txt keep/a.log keep/b.txt src/build/y src/z");
    assert_eq!(left(&["src/*"]), "a.log build.txt build/x keep/a.log keep/b.txt");
    assert_eq!(left(&["**/build/*"]), "a.log build.txt keep/a.log keep/b.txt src/z");
    let source = Source::scan(dir.path(), excluding(&["src/", "*.log", "nothing"])).unwrap();
    let counts: Vec<_> = source.excluded().iter().map(|excluded| excluded.files).collect();
    assert_eq!(counts, [2, 3, 0]);
}

/// A pattern that cannot match would leave a file in that its owner believes left out.
#[test]
fn patterns_that_no_path_can_match_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "secret/key", b"x");
    for pattern in ["./secret", "../tree/secret", "secret/./key", "secret//key", "/", "//secret", "[", "a/.."]
    {
        let result = Source::scan(dir.path(), excluding(&[pattern]));
        assert!(matches!(result, Err(SourceError::Pattern { .. })), "{pattern}: {result:?}");
    }
}

#[test]
fn version_control_is_noticed_however_it_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.txt", b"alpha");
    write(dir.path(), ".git/config", b"[remote]");
    write(dir.path(), ".git/annex/objects/f00d", b"weights");
    write(dir.path(), "sub/.git", b"gitdir: ../.git/modules/sub");
    symlink(".git", dir.path().join("link")).unwrap();
    symlink(".git/annex/objects", dir.path().join("link-below")).unwrap();
    // As git-annex keeps content.
    symlink(".git/annex/objects/f00d", dir.path().join("model.bin")).unwrap();
    let found = faults(dir.path(), following(&[]));
    assert_eq!(
        found,
        [
            "version-control `.git` belongs to version control",
            "version-control `link-below` belongs to version control",
            "version-control `link` belongs to version control",
            "version-control `sub/.git` belongs to version control",
        ]
    );
    let Err(SourceError::Faults(found)) = Source::scan(dir.path(), following(&[])) else {
        panic!("not refused")
    };
    let sizes = found.iter().map(|fault| match fault {
        SourceFault::VersionControl { files, bytes, .. } => (*files, *bytes),
        other => panic!("{other:?}"),
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [(2, 15), (2, 15), (1, 7), (1, 27)]);
    let mut options = SourceOptions { exclude: excluding(&[".git", "link*"]).exclude, ..following(&[]) };
    assert_eq!(paths(&Source::scan(dir.path(), options.clone()).unwrap()), ["a.txt", "model.bin"]);
    options.exclude.clear();
    options.include_vcs = true;
    assert!(paths(&Source::scan(dir.path(), options).unwrap()).contains(&"link/config"));
}

#[test]
fn the_descriptor_is_no_payload_however_its_path_is_spelled() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.txt", b"alpha");
    write(dir.path(), "meta/consign.yaml", b"name: tiny");
    for spelled in ["meta/consign.yaml", "./meta/consign.yaml", "meta/./consign.yaml", "meta//consign.yaml"] {
        let options = SourceOptions { descriptor: Some(spelled.into()), ..SourceOptions::default() };
        assert_eq!(paths(&Source::scan(dir.path(), options).unwrap()), ["a.txt"], "{spelled}");
    }
}

#[test]
fn hard_links_are_files_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tree/a", b"alpha");
    fs::hard_link(dir.path().join("tree/a"), dir.path().join("tree/b")).unwrap();
    let source = Source::scan(&dir.path().join("tree"), SourceOptions::default()).unwrap();
    assert_eq!((paths(&source), source.summary().hard_links), (vec!["a", "b"], 2));
    assert_eq!(pack_source(&source, dir.path(), &()).unwrap().manifest.files().len(), 2);
}

#[test]
fn nothing_to_pack_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Source::scan(dir.path(), SourceOptions::default()), Err(SourceError::Empty)));
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert!(matches!(Source::scan(dir.path(), SourceOptions::default()), Err(SourceError::Empty)));
    write(dir.path(), "a.txt", b"");
    let file = dir.path().join("a.txt");
    for path in [&file, &dir.path().join("nowhere")] {
        assert!(matches!(Source::scan(path, SourceOptions::default()), Err(SourceError::Open { .. })));
    }
}

/// Does something when it is asked for the n-th time whether to go on.
struct Meddler<F> {
    calls: AtomicUsize,
    at: usize,
    meddle: F,
}

impl<F: Fn() + Sync> Progress for Meddler<F> {
    fn cancelled(&self) -> bool {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            (self.meddle)();
        }
        false
    }
}

fn pack_source(source: &Source, out: &Path, progress: &dyn Progress) -> Result<PackedArchive, PackError> {
    let options =
        PackOptions { compression: Compression::Level(1), threads: threads(2), bases: &[], observer: None };
    pack(source, &description(), options, out, progress)
}

/// A time long ago, so that any writing changes it whatever the clock's ticks.
fn long_ago(path: &Path) {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn mkfifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Packs a tree of a small and a large file while `meddle` is called, once before anything is read and once
/// while the large file is open. Nothing may come of it but an error, or an archive of what the files were.
fn meddled_with(meddle: impl Fn(&Path) + Sync) -> Vec<Option<PackError>> {
    let content = noise(8 << 20, 5);
    let run = |at| {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        write(dir.path(), "elsewhere/large.bin", &noise(8 << 20, 6));
        write(&tree, "sub/large.bin", &content);
        let large = tree.join("sub/large.bin");
        long_ago(&large);
        let source = Source::scan(&tree, SourceOptions::default()).unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let meddler = Meddler { calls: AtomicUsize::new(0), at, meddle: || meddle(&large) };
        let result = pack_source(&source, &out, &meddler);
        assert!(meddler.calls.load(Ordering::Relaxed) > at, "it was called");
        let error = match result {
            Err(error) => Some(error),
            Ok(packed) => {
                assert_eq!(packed.manifest.files()[0].sha256, consign_metadata::Sha256Digest::of(&content));
                let file = fs::read(packed.file.path()).unwrap();
                let archive = Archive::open(file.as_slice(), Anchor::Unsigned).unwrap();
                verify(&archive, Scope::Content, threads(2), &()).unwrap();
                None
            }
        };
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "nothing is left");
        error
    };
    // First the gather frame with the header, then frames of the large file, whose beginning is read by then.
    vec![run(0), run(1)]
}

fn assert_changed(results: &[Option<PackError>]) {
    for result in results {
        assert!(
            matches!(result, Some(PackError::Read(ReadError::Changed(path))) if path.as_str() == "sub/large.bin"),
            "{result:?}"
        );
    }
}

fn open(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

#[test]
fn a_file_that_shrinks_is_noticed() {
    assert_changed(&meddled_with(|large| open(large).set_len(3 << 20).unwrap()));
    assert_changed(&meddled_with(|large| open(large).set_len(0).unwrap()));
}

#[test]
fn a_file_that_grows_is_noticed() {
    assert_changed(&meddled_with(|large| open(large).set_len((8 << 20) + 1).unwrap()));
}

#[test]
fn a_file_that_is_written_to_is_noticed() {
    use std::os::unix::fs::FileExt as _;
    assert_changed(&meddled_with(|large| open(large).write_all_at(b"other", 5 << 20).unwrap()));
}

#[test]
fn a_file_whose_time_is_set_back_is_noticed() {
    use std::os::unix::fs::FileExt as _;
    assert_changed(&meddled_with(|large| {
        let before = fs::metadata(large).unwrap();
        // Until the file system's clock has moved on.
        let status = |of: &fs::Metadata| (of.ctime(), of.ctime_nsec());
        while status(&fs::metadata(large).unwrap()) == status(&before) {
            open(large).write_all_at(b"other", 5 << 20).unwrap();
            long_ago(large);
        }
        assert_eq!(fs::metadata(large).unwrap().modified().unwrap(), before.modified().unwrap());
    }));
}

#[test]
fn a_file_that_is_made_executable_is_noticed() {
    use std::os::unix::fs::PermissionsExt as _;
    assert_changed(&meddled_with(|large| {
        fs::set_permissions(large, fs::Permissions::from_mode(0o755)).unwrap();
    }));
}

#[test]
fn a_file_that_is_replaced_is_noticed_or_read_as_it_was() {
    let results = meddled_with(|large| {
        let other = large.with_extension("other");
        fs::write(&other, noise(8 << 20, 9)).unwrap();
        long_ago(&other);
        fs::rename(&other, large).unwrap();
    });
    assert_changed(&results[..1]);
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let results = meddled_with(|large| {
        fs::remove_file(large).unwrap();
        symlink("../../elsewhere/large.bin", large).unwrap();
    });
    assert!(matches!(results[0], Some(PackError::Read(_))), "{results:?}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let results = meddled_with(|large| {
        fs::remove_file(large).unwrap();
        mkfifo(large);
    });
    assert_changed(&results[..1]);
}

#[test]
fn a_link_in_the_place_of_a_directory_is_not_followed() {
    let results = meddled_with(|large| {
        let sub = large.parent().unwrap();
        fs::rename(sub, sub.with_extension("moved")).unwrap();
        symlink("../elsewhere", sub).unwrap();
    });
    assert!(matches!(results[0], Some(PackError::Read(_))), "{results:?}");
}

#[test]
fn a_file_that_is_removed_is_noticed_or_read_as_it_was() {
    let results = meddled_with(|large| fs::remove_file(large).unwrap());
    assert!(matches!(results[0], Some(PackError::Read(ReadError::Io { .. }))), "{results:?}");
}
