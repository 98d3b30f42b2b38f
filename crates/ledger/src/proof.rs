//! Proofs that travel: that an event is in a ledger (C2SP tlog-proof), and that nothing was rewritten between two
//! checkpoints. Whoever holds the ledger's public key checks them without anything else.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consign_metadata::{Problem, Sha256Digest};
use consign_signing::{Note, NoteVerifier};

use crate::checkpoint::{CheckpointError, SignedCheckpoint, parse_decimal};
use crate::event::Event;
use crate::hash::{HASH_BYTES, TreeHash};
use crate::merkle::{self, CONSISTENCY_MAX, INCLUSION_MAX};

/// Largest proof file, in bytes.
pub const PROOF_BYTES_MAX: usize = 128 * 1024;
const INCLUSION_HEADER: &str = "c2sp.org/tlog-proof@v1";
const CONSISTENCY_HEADER: &str = "consign.dev/ledger-consistency@v1";

/// What a `.tlog-proof` file holds: an event, the hashes that lead from it to a checkpoint, the checkpoint.
/// **Nothing of it is checked** before [`check`](Self::check).
///
/// The event itself travels in the member `extra`, which the specification leaves to applications and nothing
/// authenticates: it counts only because its digest is the leaf that the proof leads from. Where the body was
/// dropped, the 32 bytes of the digest stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    extra: Option<Extra>,
    index: u64,
    path: Vec<TreeHash>,
    checkpoint: Note,
}

/// What a proof says of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Extra {
    /// Its body.
    Event(Box<Event>),
    /// Its digest.
    Digest(Sha256Digest),
}

/// A proof that was checked: this event is at this place of the ledger whose key was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedProof {
    /// Place of the event, counted from 0.
    pub index: u64,
    /// Digest of the event.
    pub digest: Sha256Digest,
    /// The event, if it travelled with the proof.
    pub event: Option<Event>,
    /// The checkpoint of the ledger that has it.
    pub checkpoint: SignedCheckpoint,
}

/// What a file of `ledger check-consistency` holds: two checkpoints, and the hashes that show that the later one
/// has all events of the earlier one, unaltered, and in their order. **Nothing of it is checked** before
/// [`check`](Self::check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    path: Vec<TreeHash>,
    old: Note,
    new: Note,
}

/// Two checkpoints of one ledger, between which nothing was rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedConsistency {
    /// The earlier one.
    pub old: SignedCheckpoint,
    /// The later one.
    pub new: SignedCheckpoint,
}

/// Why a proof is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not of the form of a proof.
    #[error("the proof is malformed: {0}")]
    Malformed(String),
    /// A checkpoint in it does not count.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It says nothing of the event, and the caller neither.
    #[error("the proof does not say which event it is about")]
    NoEvent,
    /// It is about another event than the caller's.
    #[error("the proof is about the event {found}, not about {expected}")]
    OtherEvent {
        /// What the caller asked about.
        expected: Sha256Digest,
        /// What the proof is about.
        found: Sha256Digest,
    },
    /// The hashes do not lead from the event to the root.
    #[error("the proof does not hold: the event is not at place {index} of the ledger with {size} events")]
    NotIncluded {
        /// The place.
        index: u64,
        /// How many events the checkpoint states.
        size: u64,
    },
    /// The hashes do not lead from the old root to the new one.
    #[error(
        "the proof does not hold: it does not show that the ledger with {new} events begins with that with {old}"
    )]
    NotConsistent {
        /// How many events the earlier checkpoint states.
        old: u64,
        /// How many events the later checkpoint states.
        new: u64,
    },
}

impl ProofError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Malformed(_) => Problem::new("ledger-proof-malformed", self.to_string()),
            Self::Checkpoint(error) => error.problem(),
            Self::NoEvent => {
                Problem::new("ledger-proof-event", self.to_string()).hint("say which event it is to prove")
            }
            Self::OtherEvent { .. } => Problem::new("ledger-proof-other-event", self.to_string()),
            Self::NotIncluded { .. } => Problem::new("ledger-not-included", self.to_string()),
            Self::NotConsistent { .. } => Problem::new("ledger-not-consistent", self.to_string()),
        }
    }
}

fn malformed(why: impl Into<String>) -> ProofError {
    ProofError::Malformed(why.into())
}

impl TlogProof {
    pub(crate) fn new(
        event: Result<Event, Sha256Digest>,
        index: u64,
        path: Vec<TreeHash>,
        checkpoint: &SignedCheckpoint,
    ) -> Self {
        let extra = match event {
            Ok(event) => Extra::Event(Box::new(event)),
            Err(digest) => Extra::Digest(digest),
        };
        Self { extra: Some(extra), index, path, checkpoint: checkpoint.note().clone() }
    }

    /// Reads a `.tlog-proof` file.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        let text = text(bytes)?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| malformed("no empty line stands before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(INCLUSION_HEADER) {
            return Err(malformed(format!("its first line is not `{INCLUSION_HEADER}`")));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(base64) => {
                lines.next();
                let bytes = STANDARD.decode(base64).map_err(|_| malformed("`extra` is not base64"))?;
                Some(Extra::parse(&bytes)?)
            }
            None => None,
        };
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or_else(|| malformed("a line `index N` is missing"))?;
        let path = hashes(lines, INCLUSION_MAX)?;
        Ok(Self { extra, index, path, checkpoint: note(checkpoint)? })
    }

    /// The same with the event's digest in place of the event, for those who have it from elsewhere or are not to
    /// see it.
    ///
    /// # Errors
    /// The event in it cannot be written, which no parsed proof holds.
    pub fn without_event(self) -> Result<Self, ProofError> {
        let extra = self.extra.as_ref().map(Extra::digest).transpose()?.map(Extra::Digest);
        Ok(Self { extra, ..self })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// The event in it cannot be written, which no parsed proof holds.
    pub fn to_text(&self) -> Result<String, ProofError> {
        let mut text = format!("{INCLUSION_HEADER}\n");
        if let Some(extra) = &self.extra {
            text += &format!("extra {}\n", STANDARD.encode(extra.to_bytes()?));
        }
        text += &format!("index {}\n", self.index);
        for hash in &self.path {
            text += &format!("{hash}\n");
        }
        Ok(text + "\n" + self.checkpoint.as_str())
    }

    /// Checks the proof under the ledger's key.
    ///
    /// `expected` is the digest of the event that the caller asks about, if they have one; without it, the proof
    /// says which event it is about.
    ///
    /// # Errors
    /// The checkpoint is not the ledger's; the event is another one, or not in the ledger.
    pub fn check(
        &self,
        verifier: &NoteVerifier,
        expected: Option<&Sha256Digest>,
    ) -> Result<CheckedProof, ProofError> {
        let checkpoint = SignedCheckpoint::verify(&self.checkpoint, verifier)?;
        let stated = self.extra.as_ref().map(Extra::digest).transpose()?;
        let digest = match (stated, expected) {
            (Some(found), Some(expected)) if found != *expected => {
                return Err(ProofError::OtherEvent { expected: *expected, found });
            }
            (Some(digest), _) => digest,
            (None, Some(expected)) => *expected,
            (None, None) => return Err(ProofError::NoEvent),
        };
        let (index, size) = (self.index, checkpoint.size());
        let leaf = TreeHash::leaf(&digest);
        if !merkle::verify_inclusion(&leaf, index, size, &self.path, checkpoint.root()) {
            return Err(ProofError::NotIncluded { index, size });
        }
        let event = match &self.extra {
            Some(Extra::Event(event)) => Some((**event).clone()),
            Some(Extra::Digest(_)) | None => None,
        };
        Ok(CheckedProof { index, digest, event, checkpoint })
    }
}

impl Extra {
    fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        // No event is that short.
        if let Ok(digest) = <[u8; HASH_BYTES]>::try_from(bytes) {
            return Ok(Self::Digest(Sha256Digest::from_bytes(digest)));
        }
        let event = Event::parse(bytes).map_err(|error| malformed(format!("`extra`: {error}")))?;
        Ok(Self::Event(Box::new(event)))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, ProofError> {
        match self {
            Self::Event(event) => {
                event.to_line().map(String::into_bytes).map_err(|error| malformed(error.to_string()))
            }
            Self::Digest(digest) => Ok(digest.as_bytes().to_vec()),
        }
    }

    fn digest(&self) -> Result<Sha256Digest, ProofError> {
        match self {
            Self::Event(event) => event.digest().map_err(|error| malformed(error.to_string())),
            Self::Digest(digest) => Ok(*digest),
        }
    }
}

impl ConsistencyProof {
    pub(crate) fn new(path: Vec<TreeHash>, old: &SignedCheckpoint, new: &SignedCheckpoint) -> Self {
        Self { path, old: old.note().clone(), new: new.note().clone() }
    }

    /// Reads a consistency proof.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        let text = text(bytes)?;
        // A checkpoint has one empty line, between its text and its signatures.
        let parts: Vec<&str> = text.splitn(6, "\n\n").collect();
        let [head, old_text, old_signatures, new_text, new_signatures] = parts[..] else {
            return Err(malformed("it does not hold hashes and two checkpoints"));
        };
        let mut lines = head.split('\n');
        if lines.next() != Some(CONSISTENCY_HEADER) {
            return Err(malformed(format!("its first line is not `{CONSISTENCY_HEADER}`")));
        }
        Ok(Self {
            path: hashes(lines, CONSISTENCY_MAX)?,
            old: note(&format!("{old_text}\n\n{old_signatures}\n"))?,
            new: note(&format!("{new_text}\n\n{new_signatures}"))?,
        })
    }

    /// Checks under the ledger's key that both checkpoints are its, and that the later one only adds to the
    /// earlier one. Whoever kept a checkpoint compares it with what comes out.
    ///
    /// # Errors
    /// A checkpoint is not the ledger's; the hashes do not show it.
    pub fn check(&self, verifier: &NoteVerifier) -> Result<CheckedConsistency, ProofError> {
        let old = SignedCheckpoint::verify(&self.old, verifier)?;
        let new = SignedCheckpoint::verify(&self.new, verifier)?;
        if !merkle::verify_consistency((old.size(), old.root()), (new.size(), new.root()), &self.path) {
            return Err(ProofError::NotConsistent { old: old.size(), new: new.size() });
        }
        Ok(CheckedConsistency { old, new })
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{CONSISTENCY_HEADER}")?;
        for hash in &self.path {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}\n{}", self.old, self.new)
    }
}

impl FromStr for TlogProof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        Self::parse(text.as_bytes())
    }
}

impl FromStr for ConsistencyProof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        Self::parse(text.as_bytes())
    }
}

fn text(bytes: &[u8]) -> Result<&str, ProofError> {
    if bytes.len() > PROOF_BYTES_MAX {
        return Err(malformed(format!("it is larger than {PROOF_BYTES_MAX} bytes")));
    }
    std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>, max: usize) -> Result<Vec<TreeHash>, ProofError> {
    let mut hashes = Vec::new();
    for line in lines {
        let hash =
            TreeHash::from_base64(line).ok_or_else(|| malformed("a hash is not the base64 of 32 bytes"))?;
        if hashes.len() == max {
            return Err(malformed("it has more hashes than any tree needs"));
        }
        hashes.push(hash);
    }
    Ok(hashes)
}

fn note(text: &str) -> Result<Note, ProofError> {
    text.parse().map_err(|error: consign_signing::NoteError| malformed(error.to_string()))
}
