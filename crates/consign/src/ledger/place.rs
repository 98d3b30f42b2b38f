//! Where the ledger is.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use consign_ledger::{Ledger, LedgerError, PROOF_BYTES_MAX, SignedCheckpoint};
use consign_metadata::Problem;
use consign_signing::{LedgerState, NoteVerifier, PublicKey};

use super::key;
use crate::context::{Context, unreadable, unwritable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::OpenKey;

/// Where events go: options of every command.
#[derive(Clone, Debug, Default)]
pub struct LedgerArgs {
    /// The directory of the ledger, or `none` [default: `ledger` in consign's home]
    pub ledger: Option<PathBuf>,
    /// Write events to this file, or each into a file of its own in this folder, instead of the ledger; `consign
    /// ledger add` takes them in later
    pub event_out: Option<PathBuf>,
    /// The key that signs the ledger, as `--key` names keys [default: one that is made in consign's home]
    pub ledger_key: Option<OsString>,
}

/// Where events of this run go.
pub enum Place<'a> {
    /// Nowhere: that was said.
    None,
    /// Into files, to be joined later.
    Events(&'a Path),
    /// Into the ledger.
    Ledger,
}

impl LedgerArgs {
    /// The key that was named.
    pub fn key(&self) -> Option<&OsString> {
        self.ledger_key.as_ref()
    }

    /// Whether nothing is to be recorded.
    pub fn says_none(&self) -> bool {
        self.ledger.as_deref() == Some(Path::new("none"))
    }
}

/// Where events go.
pub fn place(context: &Context) -> Place<'_> {
    let args = context.ledger();
    match (&args.event_out, args.says_none()) {
        (Some(path), _) => Place::Events(path),
        (None, true) => Place::None,
        (None, false) => Place::Ledger,
    }
}

/// The directory of the ledger, which need not be there yet.
fn directory(context: &Context) -> Result<PathBuf, Failure> {
    let args = context.ledger();
    if args.says_none() {
        let problem = Problem::new("no-ledger", "there is no ledger to look into: `--ledger none` was said");
        return Err(Failure::usage(problem.hint("leave it out, or name the directory")));
    }
    if let Some(directory) = &args.ledger {
        return Ok(directory.clone());
    }
    context.state().ledger().ok_or_else(|| {
        let problem = Problem::new("no-home", "there is no home directory to keep the ledger in");
        Failure::failed(problem.hint("set `CONSIGN_HOME`, or name a directory with `--ledger DIR`"))
    })
}

/// The ledger, for reading. Its checkpoint is signed by `key`, or by the own key if none is named; and what was
/// seen of it before is still in it.
///
/// # Errors
/// There is none, or it is not in order.
pub fn open(context: &Context, key: Option<&PublicKey>) -> Result<OpenLedger, Failure> {
    let directory = directory(context)?;
    let key = match key {
        Some(key) => *key,
        None => key::public(context, &directory)?,
    };
    let verifier = NoteVerifier::of_ledger(&key);
    let ledger = Ledger::open(&directory, &verifier).map_err(|error| not_in_order(&error))?;
    let open = OpenLedger { ledger, verifier };
    if let Some(seen) = context.state().own_checkpoint(&key)? {
        open.extends(&seen)?;
    }
    Ok(open)
}

/// The directory and the key of the ledger, for writing.
///
/// # Errors
/// The key cannot be had.
pub fn writable(context: &Context) -> Result<(PathBuf, OpenKey), Failure> {
    let directory = directory(context)?;
    if context.ledger().ledger.is_none() {
        context.state().make_for_ledger().map_err(|error| unwritable(&directory, &error))?;
    }
    let key = key::signer(context, &directory)?;
    Ok((directory, key))
}

/// A ledger that is read, and whose it is.
pub struct OpenLedger {
    pub ledger: Ledger,
    pub verifier: NoteVerifier,
}

impl OpenLedger {
    /// Whether it has grown out of a state that was seen before.
    ///
    /// # Errors
    /// It was rolled back, or is another history.
    pub fn extends(&self, seen: &SignedCheckpoint) -> Result<(), Failure> {
        self.ledger.consistency(seen).map(drop).map_err(|error| not_in_order(&error))
    }
}

/// A checkpoint in a file, of the ledger of a key.
pub fn read_checkpoint(path: &Path, verifier: &NoteVerifier) -> Result<SignedCheckpoint, Failure> {
    SignedCheckpoint::parse(&read_small(path)?, verifier)
        .map_err(|error| Failure::new(Exit::NotIntact, error.problem().at(path.display().to_string())))
}

/// A proof, a checkpoint or an event: none is larger.
pub fn read_small(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(PROOF_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

/// A ledger that cannot be read.
pub fn not_in_order(error: &LedgerError) -> Failure {
    let exit = match error {
        LedgerError::Absent(_) | LedgerError::Read { .. } | LedgerError::NoSuchEvent { .. } => Exit::Failed,
        _ => Exit::NotIntact,
    };
    Failure::new(exit, error.problem())
}

/// How far the ledger has come, for statements; nothing where there is no ledger, or one that is not in order.
pub fn state(context: &Context) -> Option<LedgerState> {
    let OpenLedger { ledger, verifier } = open(context, None).ok()?;
    LedgerState::new(*verifier.key(), ledger.checkpoint().note().clone()).ok()
}
