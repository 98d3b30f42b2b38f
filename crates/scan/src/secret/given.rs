//! Whether a short text, such as an argument or a message, holds a secret.

use std::sync::LazyLock;

use super::engine::{Context, Engine};
use super::tokens::TOKENS;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);

/// What gives a private key away however it was bent: with its line breaks lost, with others in their place, in base64.
const KEYS: [(&str, &str); 8] = [
    ("PRIVATE KEY", "a private key"),
    ("BEGIN SSH2 ENCRYPTED", "a private key"),
    ("AGE-SECRET-KEY-", "an age identity"),
    ("AGE-PLUGIN-", "an age identity"),
    ("PUTTY-USER-KEY-FILE", "a private key"),
    ("UNTRUSTED COMMENT: MINISIGN ENCRYPTED SECRET", "a private key"),
    // `-----BEGIN ` in base64, and the first bytes of an OpenSSH private key within its armour.
    ("LS0TLS1CRUDJTI", "a private key"),
    ("B3BLBNNZAC1RZXKTDJE", "a private key"),
];

/// What kind of secret a text holds: a private key, an age identity, or a token that gives itself away by its form.
/// Passwords do not.
///
/// ```
/// use consign_scan::secret_in;
/// assert_eq!(secret_in(&format!("AGE-SECRET-{}", "KEY-1QQ")), Some("an age identity"));
/// assert_eq!(secret_in("keys/ada.key"), None);
/// ```
pub fn secret_in(text: &str) -> Option<&'static str> {
    let upper = text.to_ascii_uppercase();
    // `PRIVATE KEY` alone is what a message may say; with the mark before it, it is one.
    let armored = upper.contains("--BEGIN") || upper.contains("-- BEGIN");
    if let Some((_, kind)) =
        KEYS.iter().find(|(sign, _)| upper.contains(sign) && (*sign != "PRIVATE KEY" || armored))
    {
        return Some(kind);
    }
    let bytes = text.as_bytes();
    let begins = TOKENS.iter().flat_map(|token| token.literals).any(|literal| text.contains(literal));
    let found = begins && !ENGINE.search(bytes, 0, bytes.len(), Context { code: true }).is_empty();
    found.then_some("a token or password")
}
