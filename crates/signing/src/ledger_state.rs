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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::ledger_origin;
    use crate::signer::Signer as _;
    use crate::testing::{enclose, key, statement};
    use crate::{SignedStatement, Statement};

    #[test]
    fn a_state_is_signed_by_the_key_beside_it() {
        let (ledger, other) = (key(), key());
        let name = ledger_origin(ledger.public_key());
        let note = |name: &str| Note::sign(&ledger, name, &"a\n1\nAAAA\n".parse().unwrap()).unwrap();
        let state = LedgerState::new(*ledger.public_key(), note(&name)).unwrap();
        assert!(LedgerState::new(*other.public_key(), note(&name)).is_err());
        // F11: the right key under the name of another ledger.
        assert!(LedgerState::new(*ledger.public_key(), note(&ledger_origin(other.public_key()))).is_err());

        let key = key();
        let stated = Statement { ledger: Some(state), ..statement(&key) };
        let signed = SignedStatement::sign(&key, &stated).unwrap();
        assert_eq!(SignedStatement::verify(signed.line()).unwrap().statement(), &stated);
        // Under a valid signature of the statement, too, the checkpoint must be the ledger's.
        let payload = String::from_utf8(stated.to_payload()).unwrap();
        assert_eq!(payload.matches("a\\n1\\nAAAA").count(), 1, "{payload}");
        let forged = enclose(&key, payload.replace("a\\n1\\nAAAA", "a\\n2\\nAAAA").as_bytes());
        let code = SignedStatement::verify(forged.as_bytes()).unwrap_err().problem().code;
        assert_eq!(code, "statement-malformed");
    }
}
