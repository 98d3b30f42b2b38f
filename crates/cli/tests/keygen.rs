//! `consign keygen` and `consign id`: what they print and refuse, and that OpenSSL and OpenSSH agree.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod support;

use std::fs;

use support::{Desk, consign, written_down};

/// The answer of another program, which must succeed.
fn run(desk: &Desk, program: &str, arguments: &[&str]) -> String {
    let output = desk.program(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", written_down(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The public key that OpenSSL finds in a private one.
fn public_of(desk: &Desk, key: &str, passphrase: &str) -> String {
    run(desk, "openssl", &["pkey", "-in", key, "-passin", &format!("pass:{passphrase}"), "-pubout"])
}

/// The fingerprint as `ssh-keygen -lf` prints it.
fn fingerprint(desk: &Desk, key: &str) -> String {
    run(desk, "ssh-keygen", &["-lf", key]).split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn help() {
    let desk = Desk::new();
    insta::assert_snapshot!("keygen_help", desk.transcript(["keygen", "--help"]));
    insta::assert_snapshot!("id_help", desk.transcript(["id", "--help"]));
}

#[test]
fn a_key_and_its_card() {
    let desk = Desk::new();
    insta::assert_snapshot!("made", desk.transcript(["keygen", "--no-passphrase", "-o", "ada key"]));
    insta::assert_snapshot!("card", desk.transcript(["id", "--key", "ada key.pub"]));
    insta::assert_json_snapshot!("card.json", desk.json(["id", "--key", "ada key.pub"]));
    insta::assert_json_snapshot!("made.json", desk.json(["keygen", "--no-passphrase", "-o", "other"]));
    assert!(!desk.home().exists(), "nothing but the key was made");
}

#[test]
fn openssl_reads_keys_signs_with_them_and_verifies() {
    let desk = Desk::new();
    desk.key("plain");
    desk.write("passphrase", "correct horse\n");
    desk.succeed(["keygen", "-o", "locked", "--passphrase-file", "passphrase"]);
    desk.write("message", "to whom it may concern\n");
    for (key, passphrase) in [("plain", ""), ("locked", "correct horse")] {
        let public = format!("{key}.pub");
        assert_eq!(public_of(&desk, key, passphrase), desk.read(&public));
        let passphrase = format!("pass:{passphrase}");
        let sign = ["pkeyutl", "-sign", "-rawin", "-inkey", key, "-passin", &passphrase, "-in", "message"];
        run(&desk, "openssl", &[&sign[..], &["-out", "signature"]].concat());
        let verify = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", &public, "-in", "message"];
        run(&desk, "openssl", &[&verify[..], &["-sigfile", "signature"]].concat());
    }
    assert!(desk.read("locked").starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let wrong = desk.program("openssl").args(["pkey", "-in", "locked", "-passin", "pass:wrong"]).output();
    assert!(!wrong.unwrap().status.success());
}

#[test]
fn openssh_prints_the_same_fingerprint() {
    let desk = Desk::new();
    let made = desk.json(["keygen", "--no-passphrase", "-o", "key"]);
    desk.write("line.pub", made["result"]["openssh"].as_str().unwrap());
    assert_eq!(made["result"]["fingerprint"], fingerprint(&desk, "line.pub"));
    // The other way: keys of OpenSSH and OpenSSL, as file and as line.
    run(&desk, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "ada@example.org", "-f", "ssh"]);
    let line = desk.read("ssh.pub");
    for key in ["ssh.pub", line.trim_end()] {
        assert_eq!(desk.json(["id", "--key", key])["result"]["fingerprint"], fingerprint(&desk, "ssh.pub"));
    }
    run(&desk, "openssl", &["genpkey", "-algorithm", "ed25519", "-out", "ssl"]);
    desk.write("ssl.pub", public_of(&desk, "ssl", ""));
    let card = desk.json(["id", "--key", "ssl.pub"]);
    desk.write("ssl-line.pub", card["result"]["openssh"].as_str().unwrap());
    assert_eq!(card["result"]["fingerprint"], fingerprint(&desk, "ssl-line.pub"));
}

#[cfg(unix)]
#[test]
fn a_passphrase_comes_through_an_open_descriptor() {
    let desk = Desk::new();
    let keygen = |key| ["keygen", "-o", key, "--passphrase-fd", "0"];
    desk.consign(keygen("piped")).write_stdin("correct horse\n").assert().success();
    public_of(&desk, "piped", "correct horse");
    // A pipe on another descriptor, as `<(…)` of a shell makes it.
    let script = r#"{ printf 'correct horse' | "$0" keygen -o third --passphrase-fd 3 3<&0 0</dev/null; }"#;
    desk.program("sh").args(["-c", script]).arg(consign()).assert().success();
    public_of(&desk, "third", "correct horse");
}

#[test]
fn the_environment_names_a_passphrase_file_and_gives_way_to_flags() {
    let desk = Desk::new();
    desk.write("passphrase", "correct horse\n");
    desk.write("other", "battery staple\n");
    for (key, arguments) in [
        ("environment", &[][..]),
        ("file", &["--passphrase-file", "other"]),
        ("fd", &["--passphrase-fd", "0"]),
        ("none", &["--no-passphrase"]),
    ] {
        desk.consign(["keygen", "-o", key])
            .args(arguments)
            .env("CONSIGN_PASSPHRASE_FILE", "passphrase")
            .write_stdin("out of a pipe")
            .assert()
            .success();
    }
    for (key, passphrase) in
        [("environment", "correct horse"), ("file", "battery staple"), ("fd", "out of a pipe"), ("none", "")]
    {
        public_of(&desk, key, passphrase);
    }
    assert!(desk.read("none").starts_with("-----BEGIN PRIVATE KEY-----\n"));
}

#[cfg(unix)]
#[test]
fn no_umask_exposes_a_private_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    for (umask, public) in [("000", 0o644), ("022", 0o644), ("077", 0o600)] {
        let script = format!("umask {umask}; \"$0\" keygen --no-passphrase -o {umask}");
        desk.program("sh").args(["-c", &script]).arg(consign()).assert().success();
        assert_eq!((mode(umask), mode(&format!("{umask}.pub"))), (0o600, public), "umask {umask}");
    }
}

#[test]
fn what_keygen_refuses() {
    let desk = Desk::new();
    desk.key("taken");
    desk.write("half.pub", "something\n");
    desk.write("empty", "");
    desk.write("long", "x".repeat(5000));
    desk.write("file", "");
    let before = desk.read("taken");
    let mut transcripts = String::new();
    for arguments in [
        &["keygen"][..],
        &["keygen", "-o", "new"],
        &["keygen", "-o", "new", "--no-passphrase", "--passphrase-file", "long"],
        &["keygen", "-o", "new", "--passphrase-file", "long", "--passphrase-fd", "0"],
        &["keygen", "-o", "taken", "--no-passphrase"],
        &["keygen", "-o", "half", "--no-passphrase"],
        &["keygen", "-o", "no such/key", "--no-passphrase"],
        &["keygen", "-o", "file/key", "--no-passphrase"],
        &["keygen", "-o", "new", "--passphrase-file", "missing"],
        &["keygen", "-o", "new", "--passphrase-file", "empty"],
        &["keygen", "-o", "new", "--passphrase-file", "long"],
        &["keygen", "-o", "new", "--passphrase-fd", "77"],
        &["keygen", "-o", "new", "--passphrase-fd", "stdin"],
    ] {
        let transcript = desk.transcript(arguments.iter().copied());
        transcripts.push_str(&format!("$ consign {}\n{transcript}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(transcripts);
    assert!(!desk.path("new").exists() && !desk.path("new.pub").exists() && !desk.path("half").exists());
    assert_eq!(desk.read("taken"), before);
}

#[test]
fn what_id_refuses() {
    let desk = Desk::new();
    desk.key("key");
    desk.write("noise", "this is no key\n");
    run(&desk, "openssl", &["genpkey", "-algorithm", "rsa", "-out", "rsa"]);
    desk.write("rsa.pub", public_of(&desk, "rsa", ""));
    let mut transcripts = String::new();
    for arguments in [
        &["id"][..],
        &["id", "--key", "missing"],
        &["id", "--key", "key"],
        &["id", "--key", "noise"],
        &["id", "--key", "rsa.pub"],
        &["id", "--key", "ssh-ed25519 AAAA"],
    ] {
        let transcript = desk.transcript(arguments.iter().copied());
        transcripts.push_str(&format!("$ consign {}\n{transcript}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(transcripts);
}
