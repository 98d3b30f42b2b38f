//! Whether a short text, such as an argument or a message, holds a secret.

use std::sync::LazyLock;

use super::engine::{Context, Engine};
use super::tokens::TOKENS;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);

/// What gives a private key away however it was bent: with its line breaks lost, with others in their place, in base64.
const KEYS: [(&str, &str); 13] = [
    ("BEGIN SSH2 ENCRYPTED", "a private key"),
    ("AGE-SECRET-KEY-", "an age identity"),
    ("AGE-PLUGIN-", "an age identity"),
    ("PUTTY-USER-KEY-FILE", "a private key"),
    ("UNTRUSTED COMMENT: MINISIGN ENCRYPTED SECRET", "a private key"),
    // `-----BEGIN ` in base64, and the first bytes of an OpenSSH private key within its armour.
    ("LS0TLS1CRUDJTI", "a private key"),
    ("B3BLBNNZAC1RZXKTDJE", "a private key"),
    // `AGE-SECRET-KEY-` in base64.
    ("QUDFLVNFQ1JFVC1LRVKT", "an age identity"),
    // DER in hexadecimal: PKCS #8 of Ed25519 and its kin in both versions, RSA and P-256; SEC 1.
    ("020100300506032B65", "a private key"),
    ("020101300506032B65", "a private key"),
    ("020100300D06092A864886F70D0101", "a private key"),
    ("020100301306072A8648CE3D0201", "a private key"),
    ("30770201010420", "a private key"),
];
/// Characters in the secret part of an AWS access key, which has no mark of its own.
const AWS_SECRET: usize = 40;
/// How often its characters change between capitals, small letters, digits and others: of 40 random ones 25 times on
/// average, of the words in a path half as often.
const AWS_SECRET_CHANGES: usize = 18;
/// And how many slashes it has at most: a path of that length has more.
const AWS_SECRET_SLASHES: usize = 2;

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
    // `PRIVATE KEY` alone is what a message may say; with the mark before it, it is one, whatever became of the blanks.
    let armored = ["--BEGIN", "-- BEGIN", "%2DBEGIN"].iter().any(|mark| upper.contains(mark));
    if armored && upper.contains("PRIVATE") {
        return Some("a private key");
    }
    if let Some((_, kind)) = KEYS.iter().find(|(sign, _)| upper.contains(sign)) {
        return Some(kind);
    }
    let bytes = text.as_bytes();
    let begins = TOKENS.iter().flat_map(|token| token.literals).any(|literal| text.contains(literal));
    let found =
        begins && !ENGINE.search(bytes, 0, bytes.len(), Context { code: true, glued: false }).is_empty();
    let found = found || text.split(|c| !in_base64(c)).any(is_aws_secret);
    found.then_some("a token or password")
}

fn in_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/')
}

fn is_aws_secret(run: &str) -> bool {
    let class = |byte: u8| (byte.is_ascii_uppercase(), byte.is_ascii_lowercase(), byte.is_ascii_digit());
    let bytes = run.as_bytes();
    bytes.len() == AWS_SECRET
        && bytes.iter().any(u8::is_ascii_uppercase)
        && bytes.iter().any(u8::is_ascii_lowercase)
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().filter(|byte| **byte == b'/').count() <= AWS_SECRET_SLASHES
        && bytes.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count() >= AWS_SECRET_CHANGES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_s2_keys_are_known_however_they_were_bent() {
        let begin = "-----BEGIN";
        for text in [
            format!("{begin}%20PRIVATE%20KEY-----%0AMC4C"),
            format!("{begin}+PRIVATE+KEY-----"),
            format!("{begin}\\ ENCRYPTED\\ PRIVATE\\ KEY"),
            format!("%2D%2D%2D%2D%2DBEGIN%20RSA%20{}%20KEY%2D", "PRIVATE"),
            format!("302e{}70", "020100300506032b65"),
            format!("QUdF{}", "LVNFQ1JFVC1LRVktMVFQ"),
            format!("wJalrXUtnFEMI/{}", "K7MDENG/bPxRfiCYzz9q8w7e6r"),
            format!("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/{}", "K7MDENG/bPxRfiCYzz9q8w7e6r"),
        ] {
            assert!(secret_in(&text).is_some(), "{text}");
        }
    }

    #[test]
    fn names_and_digests_are_no_secrets() {
        for text in [
            "begin with a private key",
            "models/Qwen3/checkpoint1000/ShardNumber1",
            "usr/share/alsa/ucm2/Qualcomm/sdm845/HiFi",
            "usr/share/man/man3/XtKeysymToKeycodeList",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "SHA256:9Tn1Qf8jX0c1pYy6r0c3m6wXhXH3oQn3oP0Dq1m2f5s",
            "out/tiny-1.0.0.tar.zst",
        ] {
            assert_eq!(secret_in(text), None, "{text}");
        }
    }
}
