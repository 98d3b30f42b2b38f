//! PEM (RFC 7468): taking the armour off a key, in one place for all keys.

use pkcs8::der::pem::Decoder;
use zeroize::Zeroizing;

/// Largest key file that is looked at, in bytes. Real ones are below 1 KiB.
pub(crate) const KEY_TEXT_MAX: usize = 64 * 1024;

/// Whether `text` is armoured at all; nothing may stand before the armour.
pub(crate) fn is_armored(text: &[u8]) -> bool {
    text.starts_with(b"-----BEGIN ")
}

/// Takes the armour off: one block, nothing before or behind it, LF or CR LF, lines of any one width (OpenSSL
/// writes 64 columns, OpenSSH 70). What stands inside is wiped after use, because it may be a secret.
pub(crate) fn unarmor(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !is_armored(text) {
        return None;
    }
    let mut decoder = Decoder::new_detect_wrap(text).ok()?;
    // Room for everything at once: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    decoder.decode_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Longest label; none in use is longer than `PGP PRIVATE KEY BLOCK`.
const LABEL_MAX: usize = 40;

/// The label of the first armour in `text`, even if the rest is damaged; for messages.
pub(crate) fn label(text: &[u8]) -> Option<&str> {
    let rest = text.strip_prefix(b"-----BEGIN ")?;
    let line = rest.split(|&b| b == b'\n').next()?;
    let label = std::str::from_utf8(line).ok()?.trim_end().strip_suffix("-----")?;
    // RFC 7468 admits more, but every label in use is like this; where line breaks were lost, the key itself would
    // stand in the label and be quoted with it.
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    (label.len() <= LABEL_MAX && label.bytes().all(plain)).then_some(label)
}
