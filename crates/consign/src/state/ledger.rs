//! What this machine remembers of ledgers: how far its own had come, which checkpoints of others it has seen, and
//! which configuration the ledger last heard of.
//!
//! None of it stands in the ledger's own directory: who puts an older copy of that in its place is found out here.

use std::fs;
use std::io;
use std::path::PathBuf;

use consign_bundle::publish;
use consign_ledger::SignedCheckpoint;
use consign_metadata::{Problem, Sha256Digest, printable};
use consign_signing::{LedgerState, Note, NoteVerifier, PublicKey};
use serde::{Deserialize, Serialize};

use super::{State, lock};
use crate::act::{Act, Action};
use crate::context::{Context, is_absent, unreadable};
use crate::exit::Exit;
use crate::failure::Failure;

/// The ledger of this machine.
const LEDGER: &str = "ledger";
/// The last checkpoint of each ledger that was written from here.
const OWN: &str = "checkpoints";
/// Checkpoints of others, as they came with bundles.
const SEEN: &str = "witnessed";
/// Digests of the configuration that the ledger last heard of.
const IN_FORCE: &str = "in-force.json";
/// Largest of these files, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// Digests of the configuration in force, by this machine's files; absent where there is no file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InForce {
    pub policy: Option<Sha256Digest>,
    pub trust: Option<Sha256Digest>,
}

/// What a ledger's owner showed at one time. The signatures were checked before it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witnessed {
    pub size: u64,
    pub root: String,
    /// The bundle that it came with.
    pub bundle: String,
    /// The evidence itself.
    pub checkpoint: Note,
}

impl State {
    /// The directory of this machine's ledger, which need not be there.
    pub fn ledger(&self) -> Option<PathBuf> {
        self.path(LEDGER)
    }

    /// Makes the directory that the ledger's is made in.
    pub fn make_for_ledger(&self) -> io::Result<()> {
        self.make("").map(drop)
    }

    /// The last checkpoint that was written from here with that key.
    pub fn own_checkpoint(&self, key: &PublicKey) -> Result<Option<SignedCheckpoint>, Failure> {
        let Some(path) = self.path(&format!("{OWN}/{}", file_name(key))) else { return Ok(None) };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        SignedCheckpoint::parse(&bytes, &NoteVerifier::of_ledger(key))
            .map(Some)
            .map_err(|error| Failure::new(Exit::NotIntact, error.problem().at(path.display().to_string())))
    }

    /// Remembers how far the ledger of that key has come. Of two that write at once, the later state stays.
    pub fn keep_own_checkpoint(&self, key: &PublicKey, checkpoint: &SignedCheckpoint) -> io::Result<()> {
        let folder = self.make(OWN)?;
        let _lock = lock(&folder)?;
        if let Ok(Some(known)) = self.own_checkpoint(key)
            && known.size() > checkpoint.size()
        {
            return Ok(());
        }
        publish::replace(&folder.join(file_name(key)), &checkpoint.note().to_bytes())
    }

    /// Keeps what a signer showed of their ledger. Gives what contradicts it: a state of as many events, and yet
    /// another one.
    pub fn witness(&self, state: &LedgerState, bundle: &str) -> io::Result<Option<Problem>> {
        let verifier = NoteVerifier::of_ledger(state.public_key());
        // What is no checkpoint of a ledger shows nothing.
        let Ok(seen) = SignedCheckpoint::verify(state.checkpoint(), &verifier) else { return Ok(None) };
        let root = seen.root().to_string();
        let folder = self.make(SEEN)?;
        let _lock = lock(&folder)?;
        let path = folder.join(format!("{}.jsonl", file_name(state.public_key())));
        let mut known = match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > BYTES_MAX => {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!("{} is full", path.display()),
                ));
            }
            Ok(_) => fs::read_to_string(&path)?,
            Err(error) if is_absent(&error) => String::new(),
            Err(error) => return Err(error),
        };
        for line in known.lines() {
            let Ok(before) = serde_json::from_str::<Witnessed>(line) else { continue };
            if before.size != seen.size() {
                continue;
            }
            if before.root == root {
                return Ok(None);
            }
            let message = format!(
                "the sender's ledger {} has been shown in two states that exclude each other: one came with {}, another with {bundle}",
                seen.origin(),
                printable(&before.bundle)
            );
            let problem = Problem::new("ledger-forked", message);
            return Ok(Some(problem.hint("ask the sender which is true, and keep both bundles as evidence")));
        }
        let (bundle, checkpoint) = (bundle.to_owned(), state.checkpoint().clone());
        let line = serde_json::to_string(&Witnessed { size: seen.size(), root, bundle, checkpoint })?;
        known.push_str(&line);
        known.push('\n');
        publish::replace(&path, known.as_bytes())?;
        Ok(None)
    }

    /// Puts before the acts that the configuration was changed since the ledger last heard of it, by whatever
    /// hand. Gives what is in force now.
    pub fn configuration_changes(&self, context: &Context, acts: &mut Vec<Act>) -> InForce {
        let digest =
            |path: Option<PathBuf>| path.and_then(|path| fs::read(path).ok()).map(|b| Sha256Digest::of(&b));
        let now = InForce { policy: digest(context.policy_file()), trust: digest(context.trust_file().ok()) };
        let before: InForce = self
            .path(IN_FORCE)
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let ours = |act: &Act| {
            matches!(act.action, Action::TrustChanged | Action::TrustImported | Action::KeyRevoked)
        };
        let mut changes = Vec::new();
        if now.policy != before.policy {
            let act = Act::new(Action::PolicyChanged)
                .with("previous_digest", before.policy)
                .with("digest", now.policy)
                // What it says of the ledger is held against it later.
                .with("log_days", context.policy(None).ok().map(|policy| policy.log_days()));
            changes.push(act.with("file", "policy.toml"));
        }
        if now.trust != before.trust && !acts.iter().any(ours) {
            let act = Act::new(Action::TrustChanged)
                .with("previous_digest", before.trust)
                .with("digest", now.trust);
            changes.push(act.with("file", "trust.toml").with("edited", true));
        }
        acts.splice(0..0, changes);
        now
    }

    /// The ledger has heard of this configuration. If that cannot be kept, it hears of it again.
    pub fn configuration_recorded(&self, in_force: &InForce) {
        let known = self.path(IN_FORCE).and_then(|path| fs::read(path).ok());
        let Ok(bytes) = serde_json::to_vec(in_force) else { return };
        if known.as_deref() == Some(&bytes) {
            return;
        }
        if let Ok(folder) = self.make("") {
            let _ = publish::replace(&folder.join(IN_FORCE), &bytes);
        }
    }
}

/// A name for files about the ledger of a key.
fn file_name(key: &PublicKey) -> String {
    Sha256Digest::of(key.as_bytes()).hex()[..32].to_owned()
}
