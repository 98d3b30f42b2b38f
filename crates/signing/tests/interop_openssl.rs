//! OpenSSL reads what is written here, and what OpenSSL writes is read here.

mod common;

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{read, run, sign, try_run};
use consign_signing::{Passphrase, PrivateKey, PrivateKeyError, PublicKey, Signer as _};

const PASS: &str = "pass:correct horse";

#[test]
fn openssl_verifies_a_statement() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let key = PrivateKey::generate().unwrap();
    let envelope: serde_json::Value = serde_json::from_slice(sign(&key).line()).unwrap();
    let decode = |text: &serde_json::Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
    let payload = decode(&envelope["payload"]);
    // The encoding is made by hand here, as a recipient without consign would do.
    let mut pae = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).into_bytes();
    pae.extend(&payload);
    fs::write(path.join("pae"), &pae).unwrap();
    fs::write(path.join("sig"), decode(&envelope["signatures"][0]["sig"])).unwrap();
    fs::write(path.join("key.pub"), key.public_key().to_spki_pem()).unwrap();
    let verify =
        ["pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin", "-in", "pae", "-sigfile", "sig"];
    assert!(run(path, "openssl", &verify).contains("Verified Successfully"));
    pae[60] ^= 1;
    fs::write(path.join("pae"), &pae).unwrap();
    assert!(try_run(path, "openssl", &verify).is_err());
}

#[test]
fn openssl_reads_our_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let key = PrivateKey::generate().unwrap();
    let passphrase = Passphrase::from_line(b"correct horse").unwrap();
    fs::write(path.join("plain"), key.to_pkcs8_pem().unwrap()).unwrap();
    fs::write(path.join("encrypted"), key.to_encrypted_pkcs8_pem(&passphrase).unwrap()).unwrap();
    fs::write(path.join("public"), key.public_key().to_spki_pem()).unwrap();
    let public = key.public_key().to_spki_pem();
    assert_eq!(run(path, "openssl", &["pkey", "-in", "plain", "-pubout"]), public);
    assert_eq!(run(path, "openssl", &["pkey", "-in", "encrypted", "-passin", PASS, "-pubout"]), public);
    assert_eq!(run(path, "openssl", &["pkey", "-pubin", "-in", "public", "-pubout"]), public);
    // What OpenSSL would have written is, byte for byte, what was written here.
    assert_eq!(run(path, "openssl", &["pkey", "-in", "plain"]), *key.to_pkcs8_pem().unwrap());
    assert!(try_run(path, "openssl", &["pkey", "-in", "encrypted", "-passin", "pass:wrong"]).is_err());
}

#[test]
fn openssls_keys_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    run(path, "openssl", &["genpkey", "-algorithm", "ed25519", "-out", "plain"]);
    let public: PublicKey = run(path, "openssl", &["pkey", "-in", "plain", "-pubout"]).parse().unwrap();
    assert_eq!(read(&path.join("plain"), "").unwrap().public_key(), &public);
    let generate = ["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", PASS, "-out", "generated"];
    run(path, "openssl", &generate);
    assert!(read(&path.join("generated"), "correct horse").is_ok());
    for (name, options) in [
        ("aes128", &["-v2", "aes-128-cbc"][..]),
        ("aes192", &["-v2", "aes-192-cbc"]),
        ("aes256", &["-v2", "aes-256-cbc"]),
        ("rounds", &["-v2", "aes-256-cbc", "-iter", "600000"]),
        ("sha512", &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"]),
        ("scrypt", &["-v2", "aes-256-cbc", "-scrypt"]),
        (
            "costly",
            &["-v2", "aes-256-cbc", "-scrypt", "-scrypt_N", "8192", "-scrypt_r", "16", "-scrypt_p", "2"],
        ),
    ] {
        let base = ["pkcs8", "-topk8", "-in", "plain", "-out", name, "-passout", PASS];
        run(path, "openssl", &[&base[..], options].concat());
        assert_eq!(read(&path.join(name), "correct horse").unwrap().public_key(), &public, "{name}");
        let error = read(&path.join(name), "wrong").unwrap_err();
        assert!(matches!(error, PrivateKeyError::WrongPassphrase), "{name}: {error}");
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    run(path, "openssl", &["genpkey", "-algorithm", "ed25519", "-out", "plain"]);
    let convert = |options: &[&str]| {
        let base = ["pkcs8", "-topk8", "-in", "plain", "-out", "converted", "-passout", PASS];
        run(path, "openssl", &[&base[..], options].concat());
        read(&path.join("converted"), "correct horse").unwrap_err()
    };
    for options in
        [&["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"][..], &["-v2", "des3"], &["-v1", "PBE-SHA1-3DES"]]
    {
        let error = convert(options);
        assert!(matches!(error, PrivateKeyError::OtherEncryption(_)), "{options:?}: {error}");
    }
    let error = convert(&["-v2", "aes-256-cbc", "-iter", "10000001"]);
    assert!(matches!(error, PrivateKeyError::ExcessiveWork { .. }), "{error}");

    for (options, name) in [
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"][..], "RSA"),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ECDSA"),
        (&["-algorithm", "ed448"], "Ed448"),
        (&["-algorithm", "x25519"], "X25519"),
    ] {
        run(path, "openssl", &[&["genpkey", "-out", "other"][..], options].concat());
        let error = read(&path.join("other"), "").unwrap_err();
        assert!(matches!(&error, PrivateKeyError::OtherType(kind) if kind == name), "{error}");
        let public = run(path, "openssl", &["pkey", "-in", "other", "-pubout"]);
        assert!(public.parse::<PublicKey>().unwrap_err().to_string().contains(name));
    }
}
