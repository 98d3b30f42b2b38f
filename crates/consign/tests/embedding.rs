//! The examples of programs that embed the engine do what they say, without the program `consign` and without its environment.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../examples/build_step.rs"]
mod build_step;
#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../examples/intake.rs"]
mod intake;

use std::fs;
use std::path::{Path, PathBuf};

use consign_signing::{PrivateKey, Signer as _, TrustPolicy, TrustedKey, write_private_key_file};
use tempfile::TempDir;

/// A desk with a directory to pack, and keys of a sender and a laboratory, who trusts the sender.
fn desk() -> (TempDir, impl Fn(&str) -> PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    let at = move |name: &str| root.join(name);
    fs::create_dir_all(at("model")).unwrap();
    fs::write(at("model/weights.bin"), vec![7; 4096]).unwrap();
    let descriptor = "name: tiny\nversion: 1.0.0\nkind: model\nclassification: internal\n\
                      contact: {name: Ada, email: ada@example.org}\n";
    fs::write(at("model/consign.yaml"), descriptor).unwrap();
    let keys = ["ada", "lab"].map(|name| {
        let key = PrivateKey::generate().unwrap();
        write_private_key_file(&at(name), &key.to_pkcs8_pem().unwrap()).unwrap();
        *key.public_key()
    });
    let roles = vec!["owner".parse().unwrap()];
    let trust =
        TrustPolicy::default().with_key(TrustedKey::new("ada".parse().unwrap(), keys[0], roles)).unwrap();
    private(&at("lab-home"));
    fs::write(at("lab-home/trust.toml"), trust.to_toml()).unwrap();
    private(&at("ada-home"));
    (dir, at)
}

fn private(folder: &Path) {
    fs::create_dir(folder).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_build_step_packs_and_a_desk_takes_it_in() {
    let (_dir, at) = desk();
    let packed = build_step::build_step(&at("ada-home"), &at("model"), &at("out"), &at("ada")).unwrap();
    assert_eq!((packed.bundle.name.as_str(), packed.files), ("tiny", 1));
    let counter = intake::Counter::default();
    let take = || intake::intake(&at("lab-home"), &at("out"), &at("accepted"), &at("lab"), &counter).unwrap();
    let received = take();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].verdict, Some("accepted"), "{:?}", received[0].problems);
    assert_eq!(fs::read(at("accepted/tiny-1.0.0/weights.bin")).unwrap(), vec![7; 4096]);
    assert!(counter.bytes() > 0);
    // The record of each side has it.
    for (home, action) in [("ada-home", "packed"), ("lab-home", "received")] {
        let events = fs::read_to_string(at(home).join("ledger/events/000")).unwrap();
        assert!(events.contains(&format!("\"action\":\"{action}\"")), "{events}");
    }
    // One byte of it changed on its way.
    let archive = at("out/tiny-1.0.0.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    bytes[30] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let again = take();
    assert_eq!((again[0].verdict, again[0].exit), (Some("refused"), 3));
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_nothing_is_written() {
    let (_dir, at) = desk();
    fs::write(at("model/consign.yaml"), "name: tiny\nversion: one\n").unwrap();
    let refused = build_step::build_step(&at("ada-home"), &at("model"), &at("out"), &at("ada"));
    let said = refused.err().unwrap().to_string();
    assert!(
        said.contains("version") && said.contains("classification") && said.contains("contact"),
        "{said}"
    );
    assert!(!at("out").exists());
}
