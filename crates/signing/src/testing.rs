//! What the unit tests share: keys, statements, and envelopes around payloads that no signer would sign.

use crate::envelope::{PAYLOAD_TYPE, SignedStatement, pae};
use crate::private_key::PrivateKey;
use crate::signer::Signer;
use crate::statement::Statement;
use crate::wire::to_base64;

pub(crate) fn key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

/// The example statement, by that key.
pub(crate) fn statement(key: &PrivateKey) -> Statement {
    let mut statement = Statement::parse(include_bytes!("../tests/data/statement.json")).unwrap();
    statement.signer.public_key = *key.public_key();
    statement
}

pub(crate) fn signed(key: &PrivateKey) -> SignedStatement {
    SignedStatement::sign(key, &statement(key)).unwrap()
}

pub(crate) fn signed_as(key: &PrivateKey, role: &str) -> SignedStatement {
    let mut statement = statement(key);
    statement.signer.role = role.parse().unwrap();
    SignedStatement::sign(key, &statement).unwrap()
}

/// A well-formed envelope with a valid signature over any payload at all.
pub(crate) fn enclose(key: &PrivateKey, payload: &[u8]) -> String {
    let signature = key.sign(&pae(payload)).unwrap();
    format!(
        r#"{{"payload":"{}","payloadType":"{PAYLOAD_TYPE}","signatures":[{{"keyid":"{}","sig":"{}"}}]}}"#,
        to_base64(payload),
        key.public_key().keyid(),
        to_base64(signature.as_bytes())
    )
}

/// The payload of an envelope, as text.
pub(crate) fn payload(signed: &SignedStatement) -> String {
    String::from_utf8(signed.statement().to_payload()).unwrap()
}
