//! What kind of key a text holds, for refusing others by their name.

use pkcs8::ObjectIdentifier;

/// Ed25519 (RFC 8410).
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The usual name of a key algorithm by its object identifier.
pub(crate) fn name_of_oid(oid: ObjectIdentifier) -> String {
    let known = [
        ("1.2.840.113549.1.1.1", "RSA"),
        ("1.2.840.113549.1.1.10", "RSA-PSS"),
        ("1.2.840.10040.4.1", "DSA"),
        ("1.2.840.10045.2.1", "ECDSA"),
        ("1.3.101.110", "X25519"),
        ("1.3.101.111", "X448"),
        ("1.3.101.113", "Ed448"),
        ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
        ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
        ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    ];
    let oid = oid.to_string();
    known.iter().find(|(known, _)| *known == oid).map_or(oid.clone(), |(_, name)| (*name).to_owned())
}

/// The usual name of an OpenSSH key type.
pub(crate) fn name_of_ssh_type(kind: &str) -> String {
    let name = match kind {
        "ssh-rsa" => "RSA",
        "ssh-dss" => "DSA",
        _ if kind.contains("-cert-v0") => {
            return format!("certificate ({})", consign_metadata::printable(kind));
        }
        _ if kind.starts_with("ecdsa-sha2-") => "ECDSA",
        _ if kind.starts_with("sk-") => "FIDO security",
        _ => return consign_metadata::printable(kind),
    };
    name.to_owned()
}
