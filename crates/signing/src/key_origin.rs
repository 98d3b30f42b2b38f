//! Where a private key is kept, for reports and logs.

use std::fmt;

use consign_metadata::printable;
use schemars::JsonSchema;
use serde::Serialize;

/// Where the private key of a signature is kept. It holds no secret and, except for what a file or a token calls
/// itself, nothing that others wrote; it proves nothing.
///
/// ```
/// use consign_signing::KeyOrigin;
/// let origin = KeyOrigin::Program { name: "vault-release".into(), program: "/opt/consign/vault-sign".into() };
/// assert_eq!(origin.to_string(), "external signer `vault-release` (/opt/consign/vault-sign)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KeyOrigin {
    /// A file.
    File {
        /// Its path, as it was given.
        path: String,
    },
    /// A key that an SSH agent holds.
    SshAgent {
        /// What the agent calls the key.
        comment: String,
    },
    /// A key in a PKCS #11 token.
    Pkcs11 {
        /// Label of the token.
        token: String,
        /// Serial number of the token.
        serial: String,
        /// `CKA_LABEL` of the key.
        label: String,
        /// `CKA_ID` of the key, in hexadecimal.
        id: String,
    },
    /// A program that signs.
    Program {
        /// Its name in the list of programs that are allowed.
        name: String,
        /// Its path.
        program: String,
    },
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::File { path } => format!("key file {path}"),
            Self::SshAgent { comment } => format!("ssh-agent, key `{comment}`"),
            Self::Pkcs11 { token, serial, label, id } => {
                let id = if id.is_empty() { String::new() } else { format!(" with id {id}") };
                format!("token `{token}` (serial number {serial}), key `{label}`{id}")
            }
            Self::Program { name, program } => format!("external signer `{name}` ({program})"),
        };
        f.write_str(&printable(&text))
    }
}
