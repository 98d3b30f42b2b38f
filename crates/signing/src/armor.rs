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

/// The label of the first armour in `text`, even if the rest is damaged; for messages.
pub(crate) fn label(text: &[u8]) -> Option<&str> {
    let rest = text.strip_prefix(b"-----BEGIN ")?;
    let line = rest.split(|&b| b == b'\n').next()?;
    std::str::from_utf8(line).ok()?.trim_end().strip_suffix("-----")
}
