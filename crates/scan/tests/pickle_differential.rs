//! Pickles that nobody would write, judged beside Python's own unpicklers: whatever one of them imports or calls has a
//! finding here.
//!
//! `CONSIGN_SAMPLES` says how many are made, `CONSIGN_SEED` from what.

mod looking;

use consign_metadata::printable;
use looking::{found, python, scan};

struct Sample {
    bytes: Vec<u8>,
    /// Module and name of what was imported.
    imports: Vec<(String, String)>,
    called: bool,
    /// Whether something was imported whose name has a control character that records do not write.
    unwritten: bool,
}

fn samples(seed: u64, count: u64) -> Vec<Sample> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("samples");
    let (seed, count) = (seed.to_string(), count.to_string());
    python("fuzz_pickles.py", &[&out, seed.as_ref(), count.as_ref()]);
    let all = std::fs::read(out).expect("the samples");
    let mut rest = &all[..];
    let mut samples = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<9>() {
        let length =
            |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes")) as usize;
        let (bytes, after) = after.split_at(length(0));
        let (info, after) = after.split_at(length(4));
        rest = after;
        let info = std::str::from_utf8(info).expect("text");
        let pair = |line: &str| line.split_once('\u{1f}').map(|(m, n)| (m.to_owned(), n.to_owned()));
        let imports = info.split('\n').filter_map(pair).collect();
        let (called, unwritten) = (head[8] & 1 != 0, head[8] & 2 != 0);
        samples.push(Sample { bytes: bytes.to_vec(), imports, called, unwritten });
    }
    samples
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// What is wrong with the findings on a sample.
fn fault(sample: &Sample) -> Option<String> {
    let (firm, plain) = (found(&scan("model.pkl", &sample.bytes)), found(&scan("notes.txt", &sample.bytes)));
    let tells = |found: &[String]| {
        found.iter().any(|one| {
            one.starts_with("malformed/")
                || one.starts_with("code/pickle-")
                || one.strip_prefix("code/pickle ").is_some()
        })
    };
    if sample.called && !tells(&firm) {
        return Some(format!("a call under a telling name: {firm:?}"));
    }
    // The stand-ins import whatever they are told. Entries of the extension registry are a program's own, and nothing has
    // a control character in its name: both count where a pickle was promised, and not where bytes may be anything.
    let nowhere = |(module, name): &(String, String)| {
        module == "ext_module"
            || module.is_empty()
            || [module, name].iter().any(|n| n.contains(char::is_control))
    };
    if sample.called && !sample.unwritten && !sample.imports.iter().any(nowhere) && !tells(&plain) {
        return Some(format!("a call under another name: {plain:?}"));
    }
    let malformed = firm.iter().any(|one| one.starts_with("malformed/"));
    sample.imports.iter().find_map(|(module, name)| {
        // As excerpts show it: escaped, and cut.
        let named: String = format!("{module}.{name}").chars().take(100).collect();
        let named = printable(&named).trim().to_owned();
        let listed = firm.iter().any(|one| {
            one.contains(&named) || (module == "ext_module" && one.contains("extension registry"))
        });
        (!listed && !malformed).then(|| format!("an import, {named:?}: {firm:?}"))
    })
}

#[test]
fn attack_a2_whatever_python_imports_or_calls_has_a_finding() {
    let (seed, count) = (number("CONSIGN_SEED", 20_261_201), number("CONSIGN_SAMPLES", 100_000));
    let (mut called, mut imported, mut all) = (0, 0, 0);
    let mut faults = Vec::new();
    // In parts, so that a million needs no more memory than a few.
    let part = 20_000.min(count.max(1));
    for n in 0..count.div_ceil(part) {
        for sample in samples(seed + n, part) {
            all += 1;
            called += u64::from(sample.called);
            imported += u64::from(!sample.imports.is_empty());
            if let Some(what) = fault(&sample) {
                faults.push((sample.bytes.len(), sample.bytes.escape_ascii().to_string(), what));
            }
        }
    }
    faults.sort();
    for (_, bytes, what) in faults.iter().take(20) {
        eprintln!("{what:.400}\n    b\"{bytes:.900}\"\n");
    }
    assert!(faults.is_empty(), "{} of {all}", faults.len());
    assert!(
        called > all / 4 && imported > all / 3,
        "the samples do something: {called}, {imported} of {all}"
    );
}
