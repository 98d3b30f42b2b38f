//! Size: nine gibibytes in one file, memory that does not grow, `inspect` that reads the tail only, many files.
//!
//! The large files are mostly holes, which take no room; to the packer they are as long as any.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use bundles::{Bundle, Noise, descriptor, sparse};
use support::{Desk, consign, written_down};

const GIB: u64 = 1 << 30;

/// Two files are the same; holes in both are not worth a second look.
fn assert_same_file(a: &Path, b: &Path) {
    let mut files = [a, b].map(|path| File::open(path).unwrap());
    let mut buffers = [vec![0; 8 << 20], vec![0; 8 << 20]];
    let mut at = 0;
    loop {
        let mut read = [0; 2];
        for ((file, buffer), read) in files.iter_mut().zip(&mut buffers).zip(&mut read) {
            while *read < buffer.len() {
                match file.read(&mut buffer[*read..]).unwrap() {
                    0 => break,
                    n => *read += n,
                }
            }
        }
        assert!(buffers[0][..read[0]] == buffers[1][..read[1]], "they differ after {at} bytes");
        at += read[0];
        if read[0] == 0 {
            return;
        }
    }
}

#[test]
fn a_file_of_nine_gibibytes_goes_through() {
    let desk = Desk::new();
    let len = 9 * GIB + 12_345;
    let source = desk.path("source");
    // Something at the beginning, beyond what 32 bits hold, beyond what twelve octal digits hold, and at the end.
    sparse(&source.join("huge.bin"), len, 1000, 100_000);
    let file = fs::OpenOptions::new().write(true).open(source.join("huge.bin")).unwrap();
    for at in [(4 << 30) - 1000, 8 * GIB - 1000, len - 70_000] {
        file.write_all_at(&Noise::new(at).bytes(70_000), at).unwrap();
    }
    desk.write("source/zz-after.txt", "a file behind it\n");
    desk.write("source/consign.yaml", descriptor("huge", "1.0.0"));
    let bundle = desk.pack(&source, "out", "key", &[]);
    desk.succeed(["verify", "out", "--key", "key.pub"]);
    // The size does not fit into octal digits: it stands there in base 256, and tar reads it.
    let listed = desk.shell(r#"zstd -dc "$1" | tar -tvf - "#, &[&bundle.archive]);
    assert!(listed.contains(&format!(" {len} ")), "{listed}");
    assert!(listed.contains("huge/data/zz-after.txt"), "{listed}");
    desk.succeed(["unpack", "out", "unpacked", "--key", "key.pub"]);
    assert_same_file(&source.join("huge.bin"), &desk.path("unpacked/huge.bin"));
    assert_eq!(desk.read("unpacked/zz-after.txt"), "a file behind it\n");
}

/// The most memory that a command had in use at once, in bytes, as the kernel counted it.
#[track_caller]
fn peak_memory(desk: &Desk, arguments: &[&str]) -> u64 {
    // A process whose only child is the command: what its children used at most is what the command used.
    const MEASURE: &str = "import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut command = Command::new("python3");
    desk.bare(&mut command).args(["-c", MEASURE]).arg(consign()).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", written_down(&output));
    let kibibytes: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    // macOS counts bytes.
    if cfg!(target_os = "macos") { kibibytes } else { kibibytes * 1024 }
}

/// Four gibibytes: a stretch of noise, which does not compress, again and again with holes between, so that
/// frames that are quick to make and frames that are slow to write are under way at once.
fn four_gibibytes(path: &Path) {
    sparse(path, 4 * GIB, 0, 0);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let noise = Noise::new(4).bytes(48 << 20);
    for n in 0..8 {
        file.write_all_at(&noise, n * (GIB / 2)).unwrap();
    }
}

const ENOUGH: u64 = 200 << 20;

#[test]
fn packing_four_gibibytes_takes_less_than_200_mebibytes_of_memory() {
    let desk = Desk::new();
    four_gibibytes(&desk.path("source/weights.bin"));
    desk.write("source/consign.yaml", descriptor("weights", "1.0.0"));
    desk.key("key");
    for (what, arguments) in [
        ("pack", &["pack", "source", "-o", "out", "--key", "key", "--threads", "16"][..]),
        ("verify", &["verify", "out", "--key", "key.pub", "--threads", "16"]),
        ("unpack", &["unpack", "out", "unpacked", "--key", "key.pub", "--threads", "16"]),
    ] {
        let used = peak_memory(&desk, arguments);
        eprintln!("{what}: {} MiB", used >> 20);
        assert!(used < ENOUGH, "{what} took {} MiB", used >> 20);
    }
}

/// A thousand files a folder, of about a kilobyte each.
fn many_files(source: &Path, count: usize) {
    let mut noise = Noise::new(6);
    for folder in 0..count / 1000 {
        let folder = source.join(format!("shard-{folder:04}"));
        fs::create_dir_all(&folder).unwrap();
        for n in 0..1000 {
            let text = format!("{{\"n\": {n}, \"text\": \"{:0976x}\"}}\n", noise.next());
            fs::write(folder.join(format!("sample-{n:04}.json")), text).unwrap();
        }
    }
    fs::write(source.join("consign.yaml"), descriptor("many", "1.0.0")).unwrap();
}

/// Every command that goes over all files, in an order in which each finds what it needs.
const OVER_ALL_FILES: [(&str, &[&str]); 10] = [
    ("pack", &["pack", "source", "-o", "out", "--key", "key"]),
    ("pack again", &["pack", "source", "-o", "out", "--key", "key"]),
    ("seal", &["seal", "source", "-o", "sealed", "--key", "key"]),
    ("verify", &["verify", "out", "--key", "key.pub"]),
    ("inspect", &["inspect", "out", "--files", "--json"]),
    ("unpack", &["unpack", "out", "unpacked", "--key", "key.pub"]),
    ("unpack --only", &["unpack", "out", "one", "--key", "key.pub", "--only", "shard-0001/sample-0001.json"]),
    (
        "verify a directory",
        &["verify", "unpacked", "--manifest", "out/many-1.0.0.manifest.json", "--key", "key.pub"],
    ),
    ("diff", &["diff", "out", "out/many-1.0.0.manifest.json"]),
    ("sign", &["sign", "out", "--key", "other", "--yes"]),
];

fn peaks_over_many_files(count: usize) -> Vec<u64> {
    let desk = Desk::new();
    many_files(&desk.path("source"), count);
    desk.key("key");
    desk.key("other");
    OVER_ALL_FILES.iter().map(|(_, arguments)| peak_memory(&desk, arguments)).collect()
}

/// What a million files may take at most is 600 MiB. Told by the difference, and for the commands whose buffers
/// do not depend on how fast their threads happen to be.
#[test]
fn memory_for_each_file_is_bounded() {
    const FEW: usize = 5_000;
    const MANY: usize = 25_000;
    const STEADY: [&str; 5] = ["seal", "inspect", "unpack --only", "verify a directory", "diff"];
    let (few, many) = (peaks_over_many_files(FEW), peaks_over_many_files(MANY));
    for (((what, _), few), many) in OVER_ALL_FILES.iter().zip(few).zip(many) {
        let each = many.saturating_sub(few) / (MANY - FEW) as u64;
        eprintln!("{what}: {} MiB, {each} bytes for each file more", many >> 20);
        assert!(!STEADY.contains(what) || each < (600 << 20) / 1_000_000, "{what} takes {each} bytes a file");
    }
}

/// Five gigabytes on disk, and minutes: for whoever asks for it.
#[test]
#[ignore = "a million files"]
fn a_million_files_take_less_than_600_mebibytes_of_memory() {
    for ((what, _), used) in OVER_ALL_FILES.iter().zip(peaks_over_many_files(1_000_000)) {
        eprintln!("{what}: {} MiB", used >> 20);
        assert!(used < 600 << 20, "{what} took {} MiB", used >> 20);
    }
}

/// The bytes that a command asked the kernel for, as an outsider counts them: read calls on the bundle's files.
fn bytes_read(desk: &Desk, arguments: &[&str], of: &Path) -> u64 {
    let trace = desk.path("trace");
    let mut command = Command::new("strace");
    desk.bare(&mut command)
        .args(["-f", "-y", "-e", "trace=read,pread64,readv,preadv,mmap", "-o"])
        .arg(&trace);
    let output = command.arg(consign()).args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("this test needs strace ({error}); .ci/install installs it"));
    assert!(output.status.success(), "{}", written_down(&output));
    let name = of.file_name().unwrap().to_str().unwrap();
    let trace = fs::read_to_string(trace).unwrap();
    let calls: Vec<_> = trace.lines().filter(|line| line.contains(&format!("/{name}>"))).collect();
    assert!(!calls.is_empty(), "{trace}");
    assert!(!calls.iter().any(|call| call.contains("mmap(")), "it is read, not mapped");
    calls.iter().map(|call| call.rsplit("= ").next().unwrap().trim().parse::<u64>().unwrap_or(0)).sum()
}

fn with_weights(desk: &Desk, name: &str, lay: impl Fn(&Path)) -> Bundle {
    let source = desk.path(name);
    fs::create_dir_all(&source).unwrap();
    lay(&source.join("weights.bin"));
    fs::write(source.join("consign.yaml"), descriptor(name, "1.0.0")).unwrap();
    desk.pack(&source, &format!("out-{name}"), "key", &[])
}

#[test]
fn inspect_reads_the_tail_and_nothing_else() {
    let desk = Desk::new();
    let small = with_weights(&desk, "small", |path| fs::write(path, Noise::new(1).bytes(4 << 20)).unwrap());
    let large = with_weights(&desk, "large", |path| fs::write(path, Noise::new(1).bytes(256 << 20)).unwrap());
    let archive = large.archive.to_str().unwrap();
    let whole = desk.succeed(["inspect", archive, "--files"]);
    let reads = [&small, &large]
        .map(|bundle| bytes_read(&desk, &["inspect", bundle.archive.to_str().unwrap()], &bundle.archive));
    let size = fs::metadata(&large.archive).unwrap().len();
    assert!(size > 250 << 20, "{size}");
    // Forty bytes a frame or so, however long the frames are.
    assert!(reads[1] < 1 << 20 && reads[1] < reads[0] + (256 << 10), "{reads:?} of {size}");
    // With everything gone but the end, it says the same. And does not say that it is verified.
    let end = 1 << 20;
    let mut bytes = vec![0; end];
    let file = fs::OpenOptions::new().read(true).write(true).open(&large.archive).unwrap();
    file.read_exact_at(&mut bytes, size - end as u64).unwrap();
    file.set_len(0).unwrap();
    file.set_len(size).unwrap();
    file.write_all_at(&bytes, size - end as u64).unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 <= 2 << 20, "the rest is a hole");
    assert_eq!(desk.succeed(["inspect", archive, "--files"]), whole);
    assert_eq!(desk.verdict(&["verify", archive, "--key", "key.pub"]).0, 3);
    // A file that lies in the hole is not there; the tail is not to be believed without it.
    let only = ["verify", archive, "--key", "key.pub", "--only", "weights.bin"];
    assert_eq!(desk.verdict(&only).0, 3);
}

#[test]
fn one_file_is_had_by_reading_its_frames_only() {
    let desk = Desk::new();
    let source = desk.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("a-weights.bin"), Noise::new(1).bytes(64 << 20)).unwrap();
    fs::write(source.join("b-notes.txt"), "notes\n").unwrap();
    fs::write(source.join("c-weights.bin"), Noise::new(2).bytes(64 << 20)).unwrap();
    fs::write(source.join("consign.yaml"), descriptor("parts", "1.0.0")).unwrap();
    let bundle = desk.pack(&source, "out", "key", &[]);
    let archive = bundle.archive.to_str().unwrap();
    let unpack = ["unpack", archive, "only", "--key", "key.pub", "--only", "b-notes.txt"];
    let read = bytes_read(&desk, &unpack, &bundle.archive);
    assert!(read < 4 << 20, "{read} bytes were read");
    assert_eq!(desk.read("only/b-notes.txt"), "notes\n");
}
