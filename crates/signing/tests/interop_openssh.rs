//! OpenSSH's keys are read, and its fingerprints are ours.

mod common;

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{parse, read, run, sign, try_run};
use consign_signing::{
    BCRYPT_ROUNDS_MAX, PrivateKey, PrivateKeyError, PublicKey, Signer as _, read_private_key_file,
};

fn generate(dir: &Path, name: &str, options: &[&str]) {
    run(
        dir,
        "ssh-keygen",
        &[&["-q", "-t", "ed25519", "-C", "ada@example.org", "-f", name][..], options].concat(),
    );
}

/// The second word of what `ssh-keygen -lf` prints.
fn fingerprint(dir: &Path, name: &str) -> String {
    run(dir, "ssh-keygen", &["-lf", name]).split(' ').nth(1).expect("ssh-keygen prints it").to_owned()
}

#[test]
fn keys_are_read_plain_and_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for (name, options) in [
        ("plain", &["-N", ""][..]),
        ("default", &["-N", "correct horse"]),
        ("rounds", &["-N", "correct horse", "-a", "64"]),
        ("cbc", &["-N", "correct horse", "-Z", "aes256-cbc"]),
        ("gcm", &["-N", "correct horse", "-Z", "aes256-gcm@openssh.com"]),
        ("chacha", &["-N", "correct horse", "-Z", "chacha20-poly1305@openssh.com"]),
    ] {
        generate(path, name, options);
        let file = path.join(name);
        // As ssh-keygen leaves it, the file is private.
        read_private_key_file(&file).unwrap();
        let key = read(&file, "correct horse").unwrap_or_else(|e| panic!("{name}: {e}"));
        let line = fs::read_to_string(path.join(format!("{name}.pub"))).unwrap();
        let public: PublicKey = line.parse().unwrap();
        assert_eq!(key.public_key(), &public);
        assert_eq!(public.to_openssh(Some(&"ada@example.org".parse().unwrap())), line);
        assert_eq!(public.fingerprint().to_string(), fingerprint(path, name));
        sign(&key);
        if name != "plain" {
            assert!(matches!(read(&file, "wrong"), Err(PrivateKeyError::WrongPassphrase)), "{name}");
            let mut claimed = None;
            let result = PrivateKey::parse(&fs::read(&file).unwrap(), &mut |request| {
                claimed = request.claimed;
                Ok(None)
            });
            assert!(matches!(result, Err(PrivateKeyError::PassphraseNeeded)), "{name}");
            assert_eq!(claimed, Some(public.fingerprint()));
        }
    }
}

#[test]
fn ssh_keygen_reads_our_public_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let public = *PrivateKey::generate().unwrap().public_key();
    fs::write(path.join("line.pub"), public.to_openssh(None)).unwrap();
    assert_eq!(fingerprint(path, "line.pub"), public.fingerprint().to_string());
    // The same key out of the other form.
    fs::write(path.join("spki.pub"), public.to_spki_pem()).unwrap();
    let converted = try_run(path, "ssh-keygen", &["-i", "-m", "PKCS8", "-f", "spki.pub"]);
    // OpenSSH 9.2 does not import Ed25519 in that form; a version that does must agree.
    if let Ok(line) = converted {
        assert_eq!(line.parse(), Ok(public));
    }
}

#[test]
fn lines_may_be_wrapped_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    generate(dir.path(), "key", &["-N", ""]);
    let text = fs::read_to_string(dir.path().join("key")).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    for width in [64, 70, 76, body.len()] {
        let lines: Vec<&str> =
            body.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let text = armor(&lines.join("\n"));
        parse(text.as_bytes(), "").unwrap_or_else(|e| panic!("{width}: {e}"));
    }
}

fn armor(body: &str) -> String {
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
}

/// The bytes inside the armour.
fn unarmored(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).expect("ssh-keygen wrote it");
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).expect("ssh-keygen writes base64")
}

#[test]
fn excessive_rounds_are_refused_before_the_passphrase_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    generate(dir.path(), "key", &["-N", "x y z"]);
    let bytes = unarmored(&dir.path().join("key"));
    // string "bcrypt", then a string of 24 bytes: a salt of 16 with its length, and the rounds.
    let options = bytes.windows(6).position(|window| window == b"bcrypt").unwrap() + 6;
    let rounds = options + 4 + 4 + 16;
    for (value, refused) in [(0, true), (BCRYPT_ROUNDS_MAX + 1, true), (u32::MAX, true), (1, false)] {
        let mut bytes = bytes.clone();
        bytes[rounds..rounds + 4].copy_from_slice(&value.to_be_bytes());
        let mut asked = false;
        let result = PrivateKey::parse(armor(&STANDARD.encode(bytes)).as_bytes(), &mut |_| {
            asked = true;
            Ok(None)
        });
        assert_eq!(matches!(result, Err(PrivateKeyError::ExcessiveWork { .. })), refused, "{value}");
        assert_eq!(asked, !refused, "{value}");
    }
}

/// Every byte of a plain key file is either covered by a check or changes nothing about the key.
#[test]
fn altered_key_files_never_give_another_pair() {
    let dir = tempfile::tempdir().unwrap();
    generate(dir.path(), "key", &["-N", ""]);
    let bytes = unarmored(&dir.path().join("key"));
    let public = *parse(armor(&STANDARD.encode(&bytes)).as_bytes(), "").unwrap().public_key();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        if let Ok(key) = parse(armor(&STANDARD.encode(altered)).as_bytes(), "") {
            assert_eq!(key.public_key(), &public, "byte {at}");
        }
    }
    // The public key outside exchanged: named as what it is.
    let wire = bytes.windows(11).position(|window| window == b"ssh-ed25519").unwrap() + 15;
    let mut exchanged = bytes;
    exchanged[wire..wire + 32].copy_from_slice(PrivateKey::generate().unwrap().public_key().as_bytes());
    let error = parse(armor(&STANDARD.encode(exchanged)).as_bytes(), "").unwrap_err();
    assert!(matches!(error, PrivateKeyError::PairMismatch), "{error}");
}

#[test]
fn other_types_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for (kind, name) in [("rsa", "RSA"), ("ecdsa", "ECDSA")] {
        run(path, "ssh-keygen", &["-q", "-t", kind, "-N", "", "-f", kind]);
        let error = read(&path.join(kind), "").unwrap_err();
        assert!(matches!(&error, PrivateKeyError::OtherType(found) if found == name), "{error}");
        let line = fs::read_to_string(path.join(format!("{kind}.pub"))).unwrap();
        assert!(line.parse::<PublicKey>().unwrap_err().to_string().contains(name));
    }
}
