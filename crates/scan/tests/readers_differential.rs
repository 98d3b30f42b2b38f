//! Models that their real writers made, and models that nobody would write, judged beside their real readers: NumPy,
//! safetensors, h5py, zipfile and json for Keras, joblib, gguf. What unpickles or builds a layer with code there has a
//! finding here; what they read without any is not called malformed.
//!
//! `CONSIGN_SAMPLES` says how many are made, `CONSIGN_SEED` from what.

mod looking;

use looking::{found, python, scan};

struct Sample {
    name: String,
    bytes: Vec<u8>,
    /// Whether the reader took it.
    read: bool,
    /// Whether reading it runs what it brings.
    runs: bool,
    /// Whether it is as its writer wrote it.
    pristine: bool,
}

fn samples(seed: u64, count: u64) -> Vec<Sample> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("samples");
    let (seed, count) = (seed.to_string(), count.to_string());
    python("fuzz_models.py", &[&out, seed.as_ref(), count.as_ref()]);
    let all = std::fs::read(out).expect("the samples");
    let mut rest = &all[..];
    let mut samples = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<9>() {
        let length =
            |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes")) as usize;
        let (bytes, after) = after.split_at(length(0));
        let (name, after) = after.split_at(length(4));
        rest = after;
        let name = String::from_utf8(name.to_vec()).expect("text");
        let flag = |bit: u8| head[8] & bit != 0;
        let (read, runs, pristine) = (flag(1), flag(2), flag(4));
        samples.push(Sample { name, bytes: bytes.to_vec(), read, runs, pristine });
    }
    samples
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// What is called malformed though a reader takes it: that nobody looks into it.
const UNREAD: [(&str, &str); 2] = [
    ("malformed/pickle", "is compressed in a way that is not looked into"),
    ("malformed/zip", "is compressed in an unknown way"),
];

/// And where somebody changed what the writer wrote.
const STRICTER: [(&str, &str); 9] = [
    // The header is a Python literal, in which there are many ways to write a type of objects.
    ("malformed/npy", "has a header that NumPy does not write"),
    // `numpy.load` leaves the rest unread, and gives the bytes of a member that is no array.
    ("malformed/npy", "is not as long as its shape says"),
    ("malformed/npy", "is no NumPy array"),
    ("malformed/npy", "ends within the header"),
    // What is damaged is not followed further (`pickle_differential.rs` has the rules).
    ("malformed/pickle", ""),
    // The package takes what llama.cpp refuses, such as tensors that the file is too short for.
    ("malformed/gguf", ""),
    // Two readers of such an archive see two things.
    ("malformed/zip", ""),
    // "MUST begin with a `{` character", and what else is in it is defined.
    ("malformed/safetensors", "the header is no JSON object"),
    ("malformed/safetensors", "a tensor has a field that is not known"),
];

/// How a file of that name begins.
fn begins_as_named(sample: &Sample) -> bool {
    let begins = |with: &[u8]| sample.bytes.starts_with(with) || sample.bytes.is_empty();
    match sample.name.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("npy") => begins(b"\x93NUMPY"),
        Some("npz" | "keras") => begins(b"PK\x03\x04"),
        // Behind a user block it may be anywhere.
        Some("h5") => sample.bytes.windows(8).any(|eight| eight == b"\x89HDF\r\n\x1a\n"),
        Some("gguf") => begins(b"GGUF"),
        // A header of JSON says nothing by which it could be told; what promises pickles is held to it.
        _ => false,
    }
}

/// What is wrong with the findings on a sample.
fn fault(sample: &Sample) -> Option<&'static str> {
    let found = found(&scan(&sample.name, &sample.bytes));
    let plain = |one: &String| one.split("] ").last().unwrap_or_default().to_owned();
    let tells = found.iter().map(plain).any(|one| one.starts_with("malformed/") || one.starts_with("code/"));
    if sample.runs && !tells {
        return Some("it runs what it brings, and nothing is said");
    }
    if !sample.read && !sample.runs && !tells && !begins_as_named(sample) {
        return Some("it is not what its name says, and nothing is said");
    }
    let is = |one: &String| {
        let one = one.clone();
        move |(rule, what): &(&str, &str)| one.starts_with(rule) && one.contains(what)
    };
    let alarm = |one: &String| {
        one.starts_with("malformed/")
            && !UNREAD.iter().any(is(one))
            && (sample.pristine || !STRICTER.iter().any(is(one)))
    };
    let alarmed = sample.read && !sample.runs && found.iter().map(plain).any(|one| alarm(&one));
    alarmed.then_some("its reader takes it, and it is called malformed")
}

#[test]
fn attack_a5_what_real_readers_run_has_a_finding_and_what_they_read_is_not_malformed() {
    let (seed, count) = (number("CONSIGN_SEED", 20_261_201), number("CONSIGN_SAMPLES", 6_000));
    let mut faults = std::collections::BTreeMap::<_, Vec<_>>::new();
    let (mut read, mut runs) = (0, 0);
    for sample in samples(seed, count) {
        read += u64::from(sample.read);
        runs += u64::from(sample.runs);
        if let Some(what) = fault(&sample) {
            let said = found(&scan(&sample.name, &sample.bytes)).join("; ");
            let kind = format!("{}: {what}: {said:.90}", sample.name);
            faults.entry(kind).or_default().push((said, sample.bytes));
        }
    }
    for (kind, all) in &mut faults {
        all.sort_by_key(|(_, bytes)| bytes.len());
        eprintln!("{} times {kind}", all.len());
        for (said, bytes) in all.iter().take(2) {
            eprintln!("    {said:.200}\n    b\"{:.600}\"", bytes.escape_ascii().to_string());
        }
    }
    assert!(faults.is_empty());
    assert!(read > count / 4 && runs > count / 20, "the samples do something: {read}, {runs}");
}
