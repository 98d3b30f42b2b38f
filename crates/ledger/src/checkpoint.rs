//! Checkpoints (C2SP tlog-checkpoint): how long the ledger is, and the hash of all of it.

use std::fmt;
use std::str::FromStr;

use consign_metadata::{Problem, printable};
use consign_signing::{Note, NoteError, NoteSignError, NoteText, NoteVerifier, Signer, ledger_origin};

use crate::hash::TreeHash;

/// What a checkpoint says: of which ledger, how many events, the root of the tree over them.
///
/// Its text form is three lines; extension lines, which nobody could audit, are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The name of the ledger ([`ledger_origin`]).
    pub origin: String,
    /// How many events it has.
    pub size: u64,
    /// The root of the tree over them.
    pub root: TreeHash,
}

/// A checkpoint whose signature by the ledger's key was checked.
///
/// There are two ways to a value: [`verify`](Self::verify) and, inside of this crate, signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// Why a checkpoint does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a checkpoint.
    #[error("the checkpoint is malformed: {0}")]
    Malformed(String),
    /// Not there, though other files of the ledger are.
    #[error("the checkpoint is missing, though other files are there")]
    Missing,
    /// Of another ledger.
    #[error("the checkpoint is of the ledger `{found}`, not of `{expected}`")]
    Foreign {
        /// The ledger that was asked for.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// Not signed by the ledger's key.
    #[error("the checkpoint is not validly signed by the ledger's key: {0}")]
    Signature(NoteError),
}

impl CheckpointError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Malformed(_) => ("ledger-checkpoint-malformed", None),
            Self::Missing => (
                "ledger-checkpoint-missing",
                Some("bring it back from a copy of the ledger; without it nothing can be told of the rest"),
            ),
            Self::Foreign { .. } => {
                ("ledger-foreign-checkpoint", Some("give the public key of the ledger that it is of"))
            }
            Self::Signature(_) => ("ledger-checkpoint-signature", None),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |why: &str| CheckpointError::Malformed(why.into());
        let body = text.strip_suffix('\n').ok_or_else(|| malformed("its last line is not ended"))?;
        let lines: Vec<&str> = body.split('\n').take(4).collect();
        let [origin, size, root] = lines[..] else {
            return Err(malformed("it does not have three lines"));
        };
        if origin.is_empty() {
            return Err(malformed("its first line, the ledger's name, is empty"));
        }
        let size = parse_decimal(size)
            .ok_or_else(|| malformed("its second line is not a number of events in decimal digits"))?;
        let root = TreeHash::from_base64(root)
            .ok_or_else(|| malformed("its third line is not the base64 of 32 bytes"))?;
        if size == 0 && root != TreeHash::empty() {
            return Err(malformed("no events, but not the root of an empty tree"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

/// Reads a number in its one spelling: decimal digits without leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl SignedCheckpoint {
    /// Checks that a note is a checkpoint of the verifier's ledger, signed by its key.
    ///
    /// ```
    /// use consign_ledger::SignedCheckpoint;
    /// use consign_signing::{Note, NoteVerifier, PrivateKey, Signer, ledger_origin};
    /// let key = PrivateKey::generate()?;
    /// let text = format!("{}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", ledger_origin(key.public_key()));
    /// let note = Note::sign(&key, &ledger_origin(key.public_key()), &text.parse()?)?;
    /// let checkpoint = SignedCheckpoint::verify(&note, &NoteVerifier::of_ledger(key.public_key()))?;
    /// assert_eq!(checkpoint.size(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It is none, of another ledger, or not signed by the key.
    pub fn verify(note: &Note, verifier: &NoteVerifier) -> Result<Self, CheckpointError> {
        // Which ledger it claims to be of decides which words are used, nothing else.
        let claimed = note.unverified_text().lines().next().unwrap_or_default();
        if claimed != verifier.name() {
            return Err(CheckpointError::Foreign {
                expected: verifier.name().to_owned(),
                found: printable(&claimed.chars().take(100).collect::<String>()),
            });
        }
        let verified = note.verify(verifier).map_err(CheckpointError::Signature)?;
        let checkpoint: Checkpoint = verified.text().as_str().parse()?;
        Ok(Self { checkpoint, note: verified.into_note() })
    }

    /// Reads and checks a checkpoint: the bytes of a file.
    ///
    /// # Errors
    /// As [`verify`](Self::verify); it is no signed note.
    pub fn parse(bytes: &[u8], verifier: &NoteVerifier) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes).map_err(|error| CheckpointError::Malformed(error.to_string()))?;
        Self::verify(&note, verifier)
    }

    /// Signs a checkpoint of the ledger of the signer's key.
    pub(crate) fn sign(signer: &dyn Signer, size: u64, root: TreeHash) -> Result<Self, NoteSignError> {
        let origin = ledger_origin(signer.public_key());
        let checkpoint = Checkpoint { origin, size, root };
        let text: NoteText = checkpoint.to_string().parse()?;
        let note = Note::sign(signer, &checkpoint.origin, &text)?;
        Ok(Self { checkpoint, note })
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// How many events the ledger had.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The root of the tree over them.
    pub fn root(&self) -> &TreeHash {
        &self.checkpoint.root
    }

    /// The name of the ledger.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// The signed note, for files and statements.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Whether the two show that the ledger's owner has told two stories: as many events, but not the same.
    /// Where the sizes differ, only a [`ConsistencyProof`](crate::ConsistencyProof) tells.
    pub fn contradicts(&self, other: &Self) -> bool {
        let (one, two) = (&self.checkpoint, &other.checkpoint);
        one.origin == two.origin && one.size == two.size && one.root != two.root
    }
}
