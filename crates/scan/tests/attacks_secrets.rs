//! Where the rules for secrets once spoke of what nobody would call one: real code, and what else looks like it.

mod looking;

use std::path::{Path, PathBuf};

use consign_scan::{ScanOptions, Scanner};

fn secrets(scanner: &Scanner, name: &str, bytes: &[u8]) -> Vec<String> {
    let mut file = scanner.file(&name.parse().expect("a path"), bytes.len() as u64);
    file.update(bytes);
    let found = file.finish().findings;
    let secrets = found.iter().filter(|finding| finding.rule.kind() == "secret");
    secrets.map(|finding| format!("{} {name}:{}", finding.rule, finding.place.line.unwrap_or(0))).collect()
}

#[test]
fn attack_a19_arguments_names_of_types_and_times_are_no_secrets() {
    let scanner = Scanner::new(ScanOptions::default());
    for line in [
        r#"MovedAttribute("HTTPPasswordMgr", "urllib2", "urllib.request"),"#,
        r#"MovedAttribute("HTTPPasswordMgrWithDefaultRealm", "urllib2", "urllib.request"),"#,
        r#"key = ("secret", "Ed25519", "x")"#,
        r#""PasswordLastUsed": "2016-09-08T21:47:36Z","#,
        r#""AWS::IAM::AccessKey": "62d91b17309e76c8","#,
        r#""output_token": "CloudFrontOriginAccessIdentityList.NextMarker","#,
        r#"engine = create_engine("postgresql://scott:tiger@host/dbname")"#,
        r#""ClientToken": "4752b573-40a6-4eac-a8a4-a72058761219","#,
    ] {
        assert_eq!(secrets(&scanner, "a.py", line.as_bytes()), [""; 0], "{line}");
    }
    let word = ["hunter", "2x!"].concat();
    for line in [
        format!("login(\"password\", \"{word}\")"),
        format!("password = \"{word}\""),
        format!("PASSWORDS = {{'password': '{word}'}}"),
    ] {
        assert_eq!(secrets(&scanner, "a.py", line.as_bytes()).len(), 1, "{line}");
    }
}

/// Text in UTF-16 and UTF-32, little and big endian.
fn wide(text: &str) -> [(&'static str, Vec<u8>); 4] {
    [
        ("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("UTF-32LE", text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()),
        ("UTF-32BE", text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect()),
    ]
}

#[test]
fn attack_a18_utf_16_and_utf_32_are_read_with_and_without_a_mark_however_they_are_cut() {
    let scanner = Scanner::new(ScanOptions::default());
    let token = ["ghp_", "k3Jx9QmZ7TtB1vRw5YpL", "c8NdF2sH4gA6uE"].concat();
    let plain = secrets(&scanner, "a.txt", token.as_bytes());
    assert!(
        !plain.is_empty()
            || !secrets(&scanner, "a.txt", format!("password = \"{token}\"").as_bytes()).is_empty()
    );
    for mark in ["", "\u{feff}"] {
        for before in ["", "host = db\r\n", "größe = \"äöü\" and what is written beside it\r\n"] {
            for (encoding, bytes) in wide(&format!("{mark}{before}password = \"{token}\"\r\n")) {
                let whole = secrets(&scanner, "a.txt", &bytes);
                assert_eq!(whole.len(), 1, "{encoding} {mark:?} {before}");
                for size in [1, 3, 7] {
                    let path = "a.txt".parse().expect("a path");
                    let mut file = scanner.file(&path, bytes.len() as u64);
                    bytes.chunks(size).for_each(|piece| file.update(piece));
                    assert_eq!(file.finish().findings.len(), 1, "{encoding} {mark:?} {before} by {size}");
                }
            }
        }
    }
}

/// What begins like UTF-16 hides nothing behind its beginning.
#[test]
fn attack_a18_a_mark_of_utf_16_hides_no_secret_in_ascii() {
    let scanner = Scanner::new(ScanOptions::default());
    let line = ["password = \"", "k3Jx9QmZ7TtB1vRw5YpLc8NdF2sH4gA6uE", "\"\n"].concat();
    for mut bytes in [vec![0xff, 0xfe], vec![0xfe, 0xff], b"h\0e\0l\0l\0o\0".repeat(60)] {
        bytes.resize(8192, 0x01);
        bytes.extend(line.as_bytes());
        assert_eq!(secrets(&scanner, "a.bin", &bytes).len(), 1, "{:?}", &bytes[..4]);
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// What Python brings along, and what it finds there that is a secret: keys that its tests are made with, passwords in
/// their text.
#[test]
fn attack_a19_the_standard_library_of_python_has_no_secrets_but_those_of_its_tests() {
    let library = looking::python("where_is_python.py", &[]);
    let library = Path::new(library.trim());
    let scanner = Scanner::new(ScanOptions::default());
    let mut files = Vec::new();
    files_below(library, &mut files);
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in files {
        let name = path.strip_prefix(library).expect("it is below").to_string_lossy().into_owned();
        // Others' packages, copies in bytecode, and the tests, which hold keys and passwords made for them.
        let skipped = ["site-packages/", "test/", "idlelib/", "lib2to3/tests/", "unittest/test/"];
        let source = [".py", ".txt", ".cfg", ".toml", ".json"].iter().any(|suffix| name.ends_with(suffix));
        if !source || skipped.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        count += 1;
        wrong.extend(secrets(&scanner, &name, &std::fs::read(&path).expect("it can be read")));
    }
    assert!(count > 500, "{count} files below {}", library.display());
    // A password in the text that explains the module.
    wrong.retain(|found| !found.starts_with("secret/password urllib/request.py:"));
    assert_eq!(wrong, [""; 0]);
}

/// What a program writes to its standard output, in a folder.
fn made(folder: &Path, words: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new(words[0]).args(&words[1..]).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", words[0]));
    assert!(output.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn attack_a18_private_keys_in_der_are_found_and_public_ones_are_not() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = |words: &str| made(folder.path(), &words.split(' ').collect::<Vec<_>>());
    run("openssl genrsa -out rsa.pem 2048");
    run("openssl ecparam -name prime256v1 -genkey -noout -out ec.pem");
    run("openssl genpkey -algorithm ed25519 -out ed.pem");
    run("openssl req -new -x509 -key rsa.pem -subj /CN=x -out certificate.pem");
    let scanner = Scanner::new(ScanOptions::default());
    for private in [
        "rsa -in rsa.pem -outform DER -traditional",
        "pkcs8 -topk8 -nocrypt -in rsa.pem -outform DER",
        "pkcs8 -topk8 -in rsa.pem -passout pass:tests -outform DER",
        "ec -in ec.pem -outform DER",
        "pkcs8 -topk8 -nocrypt -in ec.pem -outform DER",
        "pkey -in ed.pem -outform DER",
    ] {
        let der = run(&format!("openssl {private}"));
        assert_eq!(secrets(&scanner, "x.bin", &der), ["secret/private-key x.bin:0"], "{private}");
    }
    for public in [
        "rsa -in rsa.pem -pubout -outform DER",
        "pkey -in ed.pem -pubout -outform DER",
        "x509 -in certificate.pem -outform DER",
        "req -new -key rsa.pem -subj /CN=x -outform DER",
        "crl2pkcs7 -nocrl -certfile certificate.pem -outform DER",
    ] {
        let der = run(&format!("openssl {public}"));
        assert_eq!(secrets(&scanner, "x.bin", &der), [""; 0], "{public}");
    }
}

#[test]
fn attack_a18_keys_in_base64_once_more_are_found() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = |words: &str| made(folder.path(), &words.split(' ').collect::<Vec<_>>());
    run("openssl genrsa -out rsa.pem 2048");
    run("openssl req -new -x509 -key rsa.pem -subj /CN=x -out certificate.pem");
    made(folder.path(), &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ssh"]);
    let scanner = Scanner::new(ScanOptions::default());
    for key in ["rsa.pem", "ssh"] {
        for width in ["0", "76"] {
            let text = String::from_utf8(run(&format!("base64 -w {width} {key}"))).expect("it is ASCII");
            let secret =
                format!("apiVersion: v1\nkind: Secret\ndata:\n  tls.key: {}\n", text.replace('\n', "\n    "));
            for (name, text) in [("a.b64", text), ("secret.yaml", secret)] {
                let found = secrets(&scanner, name, text.as_bytes());
                assert!(
                    found.iter().any(|one| one.starts_with("secret/private-key")),
                    "{key} {width} {name}: {found:?}"
                );
            }
        }
    }
    let certificate = run("base64 -w 0 certificate.pem");
    assert_eq!(secrets(&scanner, "a.b64", &certificate), [""; 0]);
}

#[test]
fn attack_a18_escapes_of_json_hide_nothing() {
    let scanner = Scanner::new(ScanOptions::default());
    let token = ["ghp_", "k3Jx9QmZ7TtB1vRw5YpLc8NdF2sH4gA6uEq0"].concat();
    let escaped: String = token.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let half = format!("\\u0067{}", &token[1..]);
    let account = ["AccountKey=", "q8w7E6r5T4z3Q8w7E6r5T4z3Q8w7E6r5T4z3Q8w7E6r"].concat();
    for text in [
        format!("{{\"x\": \"{token}\"}}"),
        format!("{{\"x\": \"{escaped}\"}}"),
        format!("{{\"x\": \"{half}\"}}"),
        format!("{{\"x\": \"{account}\\u003d\"}}"),
    ] {
        for before in [String::new(), "x".repeat(4090), "\\u003d".repeat(1000)] {
            let text = format!("{before} {text}");
            assert_eq!(secrets(&scanner, "a.json", text.as_bytes()).len(), 1, "{text}");
        }
    }
    // An address of a web page with slashes that are escaped is none.
    assert_eq!(
        secrets(&scanner, "a.json", br#"{"x": "https:\/\/example.org\/a\/b", "y": "\u003cb\u003e"}"#),
        [""; 0]
    );
}

#[test]
fn attack_a18_short_tokens_in_a_database_are_found_beside_other_values() {
    let folder = tempfile::tempdir().expect("there is room");
    let scanner = Scanner::new(ScanOptions::default());
    for (rule, token) in [
        ("secret/github-token", ["ghp_", "k3Jx9QmZ7TtB1vRw5YpLc8NdF2sH4gA6uEq0"].concat()),
        ("secret/hugging-face-token", ["hf_", "QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi"].concat()),
        ("secret/aws-access-key", ["AKI", "AQ7ZX3K5M2P6TRWVB"].concat()),
    ] {
        let name = token[..3].to_owned() + ".sqlite";
        let script = format!(
            "import sqlite3; c = sqlite3.connect('{name}'); c.execute('create table t(a, b, c)'); \
             c.execute('insert into t values(?, ?, ?)', ('user', '{token}', 17)); c.commit()"
        );
        made(folder.path(), &["python3", "-c", &script]);
        let bytes = std::fs::read(folder.path().join(&name)).expect("it was written");
        let found = secrets(&scanner, &name, &bytes);
        assert!(found.iter().any(|one| one.starts_with(rule)), "{rule}: {found:?}");
    }
    // Weights and compressed content have no such thing by chance.
    let mut state = 7u64;
    let mut noise = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state.to_le_bytes()[5]
    };
    let bytes: Vec<u8> = (0..4 << 20).map(|_| noise()).collect();
    assert_eq!(secrets(&scanner, "weights.bin", &bytes), [""; 0]);
}
