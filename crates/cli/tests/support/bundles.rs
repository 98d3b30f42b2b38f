//! Trees to pack, bundles made of them, and other programs to look at both.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Desk, consign, written_down};

/// The example that the README begins with.
pub fn example() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits-classifier");
    path.canonicalize().expect("the example is there")
}

/// A descriptor with nothing but what must be there.
pub fn descriptor(name: &str, version: &str) -> String {
    format!(
        "name: {name}\nversion: {version}\nkind: dataset\nclassification: internal\n\
         contact:\n  name: Ada Lovelace\n  email: ada@example.org\n"
    )
}

/// Numbers that look random and are the same every time.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for n in (1..list.len()).rev() {
            let other = usize::try_from(self.next() % (n as u64 + 1)).expect("it is below the length");
            list.swap(n, other);
        }
    }
}

/// What a test tree holds: paths with their content; `None` is an empty directory.
pub type Listing = Vec<(String, Option<Vec<u8>>)>;

/// Everything that has ever been difficult for a packer, except sheer size.
pub fn difficult() -> Listing {
    let mut noise = Noise::new(7);
    let mut list: Listing = Vec::new();
    let mut file = |path: &str, content: Vec<u8>| list.push((path.to_owned(), Some(content)));
    for name in [
        "plain.txt",
        "with spaces  and more.txt",
        "-rf",
        "--help",
        ".hidden",
        "#hash",
        "$HOME",
        "~tilde",
        "it's",
        "a;b&c",
        "(1)[2]{3}",
        "=1+1",
        "@at",
        "!bang",
        "Ελληνικά/αρχείο.txt",
        "日本語/データ.csv",
        "العربية/ملف.txt",
        "עברית/קובץ",
        "हिन्दी/फ़ाइल.txt",
        "ไทย/ไฟล์",
        "한국어/파일.txt",
        "русский/файл.txt",
        "𝔘𝔫𝔦𝔠𝔬𝔡𝔢/🦀.txt",
        "Größe/été.txt",
        "decomposed/e\u{301}te\u{301}.txt",
    ] {
        file(name, format!("the content of {name}\n").into_bytes());
    }
    // A header takes names of 100 bytes; these lie on either side, with `trees/data/` before them.
    for len in [87, 88, 89, 90, 200, 255] {
        file(&"n".repeat(len), vec![b'x'; len]);
    }
    file(&format!("{}/file", ["a directory whose name is rather long"; 12].join("/")), vec![1]);
    file(&format!("{}/file", ["d"; 60].join("/")), vec![2]);
    for size in [0, 1, 511, 512, 513, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1] {
        file(&format!("sizes/{size}"), noise.bytes(size));
    }
    file("several-frames/weights.bin", noise.bytes(9_000_001));
    let rows = (0..300_000).map(|n| format!("{n},{:.3}\n", f64::from(n).sqrt())).collect::<String>();
    file("several-frames/table.csv", rows.into_bytes());
    file("zeros.bin", vec![0; 3_000_000]);
    file("bin/run.sh", b"#!/bin/sh\necho runs\n".to_vec());
    for n in 0..300 {
        file(&format!("many/{:02}/{n:04}.json", n % 7), format!("{{\"n\": {n}}}\n").into_bytes());
    }
    for path in ["empty", "nested/empty/directories", "empty.d/日本"] {
        list.push((path.to_owned(), None));
    }
    list
}

/// Ten thousand small files in a hundred directories.
pub fn ten_thousand() -> Listing {
    let mut noise = Noise::new(9);
    let content =
        |noise: &mut Noise, n: usize| Some(noise.bytes(n % 97 + usize::from(n.is_multiple_of(50)) * 3000));
    (0..10_000).map(|n| (format!("part-{:03}/item-{n:05}.bin", n % 100), content(&mut noise, n))).collect()
}

/// Puts a listing on disk, in its order. `bin/…` is made executable, a hole is left in `zeros.bin`.
pub fn lay_out(root: &Path, listing: &Listing) {
    fs::create_dir_all(root).unwrap();
    for (path, content) in listing {
        let path = root.join(path);
        let Some(content) = content else {
            fs::create_dir_all(path).unwrap();
            continue;
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.ends_with("zeros.bin") {
            File::create(&path).unwrap().set_len(content.len() as u64).unwrap();
        } else {
            fs::write(&path, content).unwrap();
        }
        let mode = if path.parent().unwrap().ends_with("bin") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A file of `len` bytes that is a hole except for a stretch of noise at `at`: large, and of no weight.
pub fn sparse(path: &Path, len: u64, at: u64, noise: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    file.write_all_at(&Noise::new(at).bytes(noise), at).unwrap();
}

/// What lies at a path: a directory, or a file with its executable bit and content.
#[derive(PartialEq, Eq)]
pub enum Node {
    Directory,
    File { executable: bool, content: Vec<u8> },
}

/// Everything below a directory. Anything but files and directories is a failure.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(root.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            let node = if kind.is_dir() {
                pending.push(path.clone());
                Node::Directory
            } else {
                assert!(kind.is_file(), "{} is neither file nor directory", path.display());
                let executable = entry.metadata().unwrap().permissions().mode() & 0o111 != 0;
                Node::File { executable, content: fs::read(entry.path()).unwrap() }
            };
            found.insert(path, node);
        }
    }
    found
}

/// Two trees hold the same, byte for byte; only empty directories and directories with files are told apart by
/// what lies in them.
#[track_caller]
pub fn assert_same_tree(expected: &BTreeMap<PathBuf, Node>, found: &BTreeMap<PathBuf, Node>) {
    let names = |tree: &BTreeMap<PathBuf, Node>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(expected), names(found));
    for (path, node) in expected {
        assert!(found[path] == *node, "{} differs", path.display());
    }
}

/// The tree of a source directory without its descriptor.
pub fn payload(source: &Path) -> BTreeMap<PathBuf, Node> {
    let mut found = tree(source);
    found.remove(Path::new("consign.yaml"));
    found
}

/// A bundle in a folder of its own.
pub struct Bundle {
    pub folder: PathBuf,
    pub name: String,
    pub archive: PathBuf,
    pub manifest: PathBuf,
    pub attestations: PathBuf,
    /// Of the archive, 64 hexadecimal digits.
    pub sha256: String,
    /// The bundle id.
    pub id: String,
}

impl Desk {
    /// Packs a directory into `out`, signed by `key`, which is made if it is not there.
    #[track_caller]
    pub fn pack(&self, directory: &Path, out: &str, key: &str, more: &[&str]) -> Bundle {
        if !self.path(key).exists() {
            self.key(key);
        }
        let directory = directory.to_str().unwrap();
        let arguments = [&["pack", directory, "-o", out, "--key", key][..], more].concat();
        let document = self.json(arguments.iter().copied());
        assert_eq!(document["exit"], 0, "{document:#}");
        self.bundle(&document["result"])
    }

    fn bundle(&self, packed: &Value) -> Bundle {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{packed:#}")).to_owned();
        let path = |value: &Value| self.dir().join(text(value));
        let archive = path(&packed["archive"]["path"]);
        Bundle {
            folder: archive.parent().unwrap().to_path_buf(),
            name: text(&packed["bundle"]["name"]),
            manifest: path(&packed["manifest"]),
            attestations: path(&packed["attestations"]),
            sha256: text(&packed["archive"]["sha256"]).replace("sha256:", ""),
            id: text(&packed["bundle"]["id"]),
            archive,
        }
    }

    /// A tree on disk with a descriptor beside everything else, and its bundle.
    #[track_caller]
    pub fn pack_listing(&self, listing: &Listing) -> (PathBuf, Bundle) {
        let source = self.path("source");
        lay_out(&source, listing);
        fs::write(source.join("consign.yaml"), descriptor("trees", "1.0.0")).unwrap();
        let bundle = self.pack(&source, "out", "key", &[]);
        (source, bundle)
    }

    /// Runs `consign`, and gives the exit code with the codes of its problems.
    #[track_caller]
    pub fn verdict(&self, arguments: &[&str]) -> (i64, Vec<String>) {
        let document = self.json(arguments.iter().copied());
        let codes = document["problems"].as_array().unwrap().iter();
        let codes = codes.map(|problem| problem["code"].as_str().unwrap().to_owned()).collect();
        (document["exit"].as_i64().unwrap(), codes)
    }

    /// A program as a person would start it: not waited for, and with pipes.
    pub fn start(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = Command::new(consign());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.bare(&mut command);
        command.spawn().expect("consign runs")
    }

    /// The desk's directory and environment for a command of the standard library.
    pub fn bare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env_clear().current_dir(self.dir());
        for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("CONSIGN_HOME", self.home()).env("HOME", self.home()).env("LC_ALL", "C.UTF-8")
    }

    /// Runs another program on the desk, which must succeed; gives its standard output.
    #[track_caller]
    pub fn peer(&self, program: impl AsRef<Path>, arguments: &[&str]) -> String {
        let output = self.peer_output(program, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", written_down(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs another program on the desk.
    #[track_caller]
    pub fn peer_output(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
        let program = program.as_ref();
        let mut command = Command::new(program);
        self.bare(&mut command).args(arguments).stdin(Stdio::null());
        command.output().unwrap_or_else(|error| {
            panic!("this test needs `{}` ({error}); .ci/install installs it", program.display())
        })
    }

    /// A shell pipeline on the desk, which must succeed in every part; `$1`, `$2` … are the arguments.
    #[track_caller]
    pub fn shell(&self, script: &str, arguments: &[&Path]) -> String {
        let mut all = vec!["-euo", "pipefail", "-c", script, "shell"];
        all.extend(arguments.iter().map(|path| path.to_str().unwrap()));
        self.peer("bash", &all)
    }
}

/// Where `.ci/install` puts the Python with the peers' packages.
pub fn peers() -> PathBuf {
    let folder = std::env::var_os("CONSIGN_PEERS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        cache.map(|cache| cache.join("consign-peers"))
    });
    let folder = folder.expect("HOME or CONSIGN_PEERS is set");
    let python = folder.join("bin/python");
    assert!(python.exists(), "this test needs {}; .ci/install makes it", python.display());
    folder.join("bin")
}

/// Waits until something is so, which it must be within a minute.
#[track_caller]
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The hidden files that work in progress is written to.
pub fn partials(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let partial = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().ends_with(".partial");
    entries.flatten().map(|entry| entry.path()).filter(partial).collect()
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// Appends bytes to a file.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().append(true).open(path)?.write_all(bytes)
}

/// Runs a script in a shell, with `consign` as `$1` and a small file system mounted at `small`. Needs the right
/// to mount, as root in most containers and as anybody where user namespaces are allowed.
pub fn on_a_small_disk(desk: &Desk, size: &str, script: &str) -> Option<Output> {
    fs::create_dir_all(desk.path("small")).unwrap();
    let script = format!("mount -t tmpfs -o size={size} none small && {{ {script}\n}}");
    let user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    let mut command = Command::new("unshare");
    desk.bare(&mut command).arg("--mount").args(user);
    let possible = command.arg("true").output().is_ok_and(|output| output.status.success());
    if !possible {
        assert!(std::env::var_os("CI").is_none(), "mounting must be possible where CI runs");
        return None;
    }
    let mut command = Command::new("unshare");
    desk.bare(&mut command).arg("--mount").args(user);
    Some(command.args(["sh", "-c", &script, "sh"]).arg(consign()).output().unwrap())
}
