//! How far a signer's ledger had come when they signed: the checkpoint, with the key that it is signed with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::note::{Note, NoteError, NoteVerifier};
use crate::public_key::PublicKey;

/// A checkpoint of a ledger that is validly signed by the key beside it.
///
/// In a statement it is the signer's word that this is their ledger. Recipients keep what they see: two states
/// that exclude each other show that the owner has told two stories. Nothing else follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Document")]
#[schemars(with = "Document")]
pub struct LedgerState {
    public_key: PublicKey,
    checkpoint: Note,
}

impl LedgerState {
    /// A checkpoint of the ledger of that key.
    ///
    /// # Errors
    /// It is not validly signed under the name that follows from the key
    /// ([`ledger_origin`](crate::ledger_origin)).
    pub fn new(public_key: PublicKey, checkpoint: Note) -> Result<Self, NoteError> {
        checkpoint.verify(&NoteVerifier::of_ledger(&public_key))?;
        Ok(Self { public_key, checkpoint })
    }

    /// The key of the ledger.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The signed checkpoint.
    pub fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }
}

/// How far the signer's ledger had come.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LedgerState")]
#[allow(dead_code, reason = "read by serde, and by the schema")]
struct Document {
    /// The key of the ledger.
    public_key: PublicKey,
    /// Its latest checkpoint, as a signed note (C2SP signed-note, tlog-checkpoint).
    checkpoint: Note,
}

impl TryFrom<Document> for LedgerState {
    type Error = NoteError;

    fn try_from(Document { public_key, checkpoint }: Document) -> Result<Self, NoteError> {
        Self::new(public_key, checkpoint)
    }
}
