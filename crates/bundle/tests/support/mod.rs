//! Trees to pack, and the short way to pack them.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::num::NonZeroUsize;
use std::path::Path;

use consign_bundle::{Compression, Description, PackOptions, PackedArchive, Source, SourceOptions, pack};
use consign_metadata::{Contact, Core, DescriptorSection};

pub fn core() -> Core {
    Core {
        name: "tiny".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        classification: "public".parse().unwrap(),
        contact: Contact {
            name: "Ada Lovelace".parse().unwrap(),
            email: "ada@example.org".parse().unwrap(),
            organization: None,
            role: None,
        },
        license: None,
        parents: vec![],
    }
}

pub fn description() -> Description {
    let descriptor = serde_json::json!({"schema": 1, "kind": "dataset"});
    Description { core: core(), exclude: vec![], descriptor: DescriptorSection::new(descriptor).unwrap() }
}

pub fn threads(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

pub fn pack_tree(tree: &Path, out: &Path, n: usize) -> PackedArchive {
    let source = Source::scan(tree, SourceOptions::default()).unwrap();
    let options =
        PackOptions { compression: Compression::Auto, threads: threads(n), bases: &[], observer: None };
    pack(&source, &description(), options, out, &()).unwrap()
}

/// Bytes that are the same everywhere and do not compress.
pub fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        out.extend_from_slice(&seed.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// A tree with something of everything: empty files and directories, small and large files, text and noise,
/// long and foreign names.
pub fn write_tree(root: &Path) {
    let write = |path: &str, content: &[u8]| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("empty.txt", b"");
    write("a.txt", b"alpha");
    write("a/b.txt", b"in a directory whose name is the beginning of a file's");
    write("a-b", b"sorts between");
    write(&format!("long/{}/{}", "d".repeat(120), "f".repeat(200)), b"a name for an L record");
    write("числа/數據/δεδομένα.csv", b"1,2,3\n");
    write("weights/model.bin", &noise(5 << 20, 7));
    write("weights/second.bin", &noise((1 << 20) + 13, 8));
    write("exactly-1MiB.bin", &noise(1 << 20, 9));
    write("just-under.bin", &noise((1 << 20) - 1, 10));
    let text: String = (0..400_000).map(|n| format!("{n},{}\n", n * 7 % 1000)).collect();
    write("table.csv", text.as_bytes());
    for n in 0..200 {
        write(&format!("many/{n:04}.json"), format!("{{\"n\": {n}}}").repeat(n).as_bytes());
    }
    std::fs::create_dir_all(root.join("nothing/here")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        write("run.sh", b"#!/bin/sh\n");
        std::fs::set_permissions(root.join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
