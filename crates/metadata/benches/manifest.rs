//! How fast names and manifests of many files are checked, written and read:
//! `cargo bench -p consign-metadata --bench manifest`.

use std::hint::black_box;

use consign_metadata::{
    Contact, Core, DescriptorSection, EntryPath, FileEntry, FileMode, Manifest, ManifestParts, NameProfile,
    NameSet, Sha256Digest,
};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

fn main() {
    divan::main();
}

const FILES: usize = 100_000;

/// Names in order, a thousand in a folder.
fn names() -> Vec<String> {
    (0..FILES).map(|n| format!("data/part-{:03}/record-{n:07}.json", n / 1000)).collect()
}

fn paths() -> Vec<EntryPath> {
    names().iter().map(|name| name.parse().expect("a good path")).collect()
}

fn manifest() -> Manifest {
    let file = |path: EntryPath| FileEntry {
        sha256: Sha256Digest::of(path.as_str().as_bytes()),
        path,
        size: 1000,
        mode: FileMode::Regular,
    };
    Manifest::new(ManifestParts {
        core: Core {
            name: "records".parse().expect("a name"),
            version: "1.0.0".parse().expect("a version"),
            classification: "public".parse().expect("a level"),
            contact: Contact {
                name: "Ada".parse().expect("a line"),
                email: "ada@example.org".parse().expect("an address"),
                organization: None,
                role: None,
            },
            license: None,
            parents: vec![],
        },
        names: NameProfile::Portable,
        exclude: vec![],
        descriptor: DescriptorSection::new(serde_json::json!({"schema": 1, "kind": "dataset"}))
            .expect("a section"),
        directories: vec![],
        files: paths().into_iter().map(file).collect(),
    })
    .expect("a good manifest")
}

#[divan::bench(sample_count = 20)]
fn write_manifest(bencher: Bencher) {
    let manifest = manifest();
    let bytes = BytesCount::new(manifest.to_bytes().len());
    bencher.counter(bytes).counter(ItemsCount::new(FILES)).bench_local(|| black_box(&manifest).to_bytes());
}

#[divan::bench(sample_count = 20)]
fn parse_manifest(bencher: Bencher) {
    let bytes = manifest().to_bytes();
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .counter(ItemsCount::new(FILES))
        .bench_local(|| Manifest::parse(black_box(&bytes)));
}

#[divan::bench(sample_count = 20)]
fn parse_paths(bencher: Bencher) {
    let names = names();
    bencher.counter(ItemsCount::new(FILES)).bench_local(|| {
        for name in &names {
            let _ = black_box(EntryPath::parse(black_box(name), NameProfile::Portable));
        }
    });
}

/// Paths that have no twin and lie below no file: what every list of names goes through.
#[divan::bench(sample_count = 20)]
fn insert_into_name_set(bencher: Bencher) {
    let paths = paths();
    bencher.counter(ItemsCount::new(FILES)).bench_local(|| {
        let mut set = NameSet::new(NameProfile::Portable);
        for path in &paths {
            let _ = black_box(set.insert(path));
        }
        set
    });
}
