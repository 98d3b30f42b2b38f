//! The shell that all statements share: an in-toto Statement v1 with one subject and one digest.

use consign_metadata::{Sha256Digest, printable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::statement::StatementError;
use crate::wire;

/// `_type` of every statement (in-toto Attestation Framework, Statement v1).
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The only algorithm of these predicate types; another one is another type, so there is nothing to negotiate.
pub(crate) const ALGORITHM: &str = "ed25519";

/// Type before shape: a statement of another type deserves to be called that, not "unknown field".
pub(crate) fn check_type(payload: &[u8], predicate_type: &str) -> Result<(), StatementError> {
    let head: Head = serde_json::from_slice(payload).map_err(|e| wire::malformed(&e))?;
    if head.kind != STATEMENT_TYPE {
        return Err(StatementError::UnknownType(printable(&head.kind)));
    }
    if head.predicate_type != predicate_type {
        return Err(StatementError::UnknownPredicateType(printable(&head.predicate_type)));
    }
    Ok(())
}

/// The one algorithm.
pub(crate) fn check_algorithm(algorithm: &str) -> Result<(), StatementError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    let found = printable(algorithm);
    Err(StatementError::Malformed(format!("the signer's algorithm is `{found}`, not `{ALGORITHM}`")))
}

/// As much of a statement as tells what type it is.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

/// A list of exactly one subject.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Exactly(pub(crate) [Subject; 1]);

impl Exactly {
    /// One subject by its name and digest.
    pub(crate) fn one(name: String, sha256: &Sha256Digest) -> Self {
        Self([Subject { name, digest: DigestSet::of(sha256) }])
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// `NAME-VERSION.tar.zst` or `NAME-VERSION.manifest.json`.
    pub(crate) name: String,
    /// Its digest.
    pub(crate) digest: DigestSet,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DigestSet {
    /// 64 lower-case hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub(crate) sha256: String,
}

impl DigestSet {
    pub(crate) fn of(sha256: &Sha256Digest) -> Self {
        Self { sha256: sha256.hex() }
    }

    /// The digest, if it is one.
    pub(crate) fn read(&self) -> Result<Sha256Digest, StatementError> {
        Sha256Digest::from_hex(&self.sha256).map_err(|error| StatementError::Malformed(error.to_string()))
    }
}
