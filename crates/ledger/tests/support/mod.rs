//! Ledgers for tests.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses some of it, and a helper may fail like a test"
)]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use consign_ledger::*;
use consign_signing::{NoteVerifier, PrivateKey, Signer as _};

/// A directory for a ledger, and its key.
pub struct Desk {
    pub directory: tempfile::TempDir,
    pub key: PrivateKey,
}

impl Desk {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), key: PrivateKey::generate().unwrap() }
    }

    /// A ledger with so many events.
    pub fn with(events: u64) -> Self {
        let desk = Self::new();
        desk.append(0..events);
        desk
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("ledger")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn verifier(&self) -> NoteVerifier {
        NoteVerifier::of_ledger(self.key.public_key())
    }

    pub fn append(&self, numbers: std::ops::Range<u64>) -> Appended {
        self.try_append(numbers).unwrap()
    }

    pub fn try_append(&self, numbers: std::ops::Range<u64>) -> Result<Appended, AppendError> {
        append(&self.path(), &self.key, None, &numbers.map(event).collect::<Vec<_>>())
    }

    pub fn open(&self) -> Ledger {
        Ledger::open(&self.path(), &self.verifier()).unwrap()
    }

    /// Events of which the ledger still has the bodies, by their numbers.
    pub fn numbers(&self) -> Vec<u64> {
        let ledger = self.open();
        ledger.entries(0..u64::MAX).map(|entry| number(&entry.unwrap().body.unwrap())).collect()
    }

    pub fn verify(&self) -> Result<Summary, VerifyError> {
        self.open().verify(&mut |_| ControlFlow::Continue(()))
    }

    /// The faults of the ledger: code, first event, file.
    pub fn faults(&self) -> Vec<(&'static str, Option<u64>, String)> {
        match self.verify() {
            Ok(_) => Vec::new(),
            Err(VerifyError::Faults(faults)) => {
                faults.into_iter().map(|fault| (fault.kind.code(), fault.event, fault.file)).collect()
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Changes a file of the ledger.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.file(name)).unwrap();
        edit(&mut bytes);
        fs::write(self.file(name), bytes).unwrap();
    }
}

/// An event that is told from others by its number.
pub fn event(number: u64) -> Event {
    let mut metadata = serde_json::Map::new();
    metadata.insert("number".into(), number.into());
    Event {
        timestamp: "2026-11-22T03:00:00Z".parse().unwrap(),
        level: Level::Info,
        service: Service::Consign,
        event_type: "test".parse().unwrap(),
        user_id: "ada".parse().unwrap(),
        host: "build-7".parse().unwrap(),
        action: "packed".parse().unwrap(),
        bundle: None,
        archive_sha256: None,
        metadata,
        nonce: Nonce::from_bytes(u128::from(number).to_be_bytes()),
    }
}

pub fn number(event: &Event) -> u64 {
    event.metadata["number"].as_u64().unwrap()
}

/// All files below a directory, relative to it, sorted.
pub fn files(directory: &Path) -> Vec<String> {
    fn walk(directory: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, "", &mut found);
    found.sort();
    found
}
