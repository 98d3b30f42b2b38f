//! Models that were changed by accident or intent, judged beside the libraries that read them: what makes one of them unpickle
//! something, or holds a layer of code, has a finding here; what it reads without that is not called malformed, unless
//! something hides in it.
//!
//! `CONSIGN_SAMPLES` says how many are made, `CONSIGN_SEED` from what.

mod looking;

use looking::{found, python, scan};

/// Faults that a reader passes over, because it never looks at the bytes in question: something can hide in them, or another
/// reader sees something else.
const PASSED_OVER: [&str; 6] = [
    // NumPy reads as much as the shape says, and leaves the rest.
    "malformed/npy is not as long as its shape says",
    "malformed/npy has a header that",
    // `zipfile` reads the directory only.
    "malformed/zip",
    // A pickle goes on behind its end.
    "malformed/pickle",
    "malformed/compressed",
    // The name of the attribute is there, and h5py finds nothing behind it.
    "malformed/keras has a `model_config` that was not found",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn attack_a5_models_are_judged_as_their_readers_judge_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("samples");
    let (seed, count) = (number("CONSIGN_SEED", 20_261_201), number("CONSIGN_SAMPLES", 5000));
    python("fuzz_models.py", &[&out, seed.to_string().as_ref(), count.to_string().as_ref()]);
    let verdicts = std::fs::read_to_string(out.join("verdicts")).expect("the verdicts");
    let (mut faults, mut taken, mut called) = (Vec::new(), 0, 0);
    for line in verdicts.lines() {
        let [name, was_taken, was_called] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let bytes = std::fs::read(out.join(name)).expect("a sample");
        let found = found(&scan(name, &bytes));
        taken += u64::from(was_taken == "1");
        called += u64::from(was_called == "1");
        let tells = |one: &String| one.contains("code/") || one.contains("malformed/");
        if was_called == "1" && !found.iter().any(tells) {
            faults.push(format!("{name} calls something: {found:?}: {:.300}", bytes.escape_ascii()));
        }
        let wrong = |one: &&String| {
            one.contains("malformed/") && !PASSED_OVER.iter().any(|passed| one.contains(passed))
        };
        if was_taken == "1"
            && let Some(wrong) = found.iter().find(wrong)
        {
            faults.push(format!("{name} is read: {wrong}: {:.300}", bytes.escape_ascii()));
        }
    }
    for fault in faults.iter().take(20) {
        eprintln!("{fault}\n");
    }
    assert!(faults.is_empty(), "{} of {count}", faults.len());
    assert!(taken > count / 5 && called > count / 20, "the samples do something: {taken}, {called}");
}
