//! No secret is ever echoed, whatever argument, variable or file it was put into by mistake; and nothing from outside
//! reaches a terminal as it is.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

#[path = "support/bundles.rs"]
mod bundles;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bundles::descriptor;
use support::{Desk, written_down};

/// A command with the options that take a value, as its help lists them.
struct Spoken {
    words: Vec<String>,
    options: Vec<String>,
    flags: Vec<String>,
    /// Variables of the environment that it reads.
    variables: Vec<String>,
}

/// Every command that there is, by way of the help.
fn commands(desk: &Desk) -> Vec<Spoken> {
    let mut open = vec![Vec::<String>::new()];
    let mut found = Vec::new();
    while let Some(words) = open.pop() {
        let help = desk.succeed(words.iter().map(String::as_str).chain(["--help"]));
        let mut in_commands = false;
        let (mut options, mut flags, mut variables) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for line in help.lines() {
            if !line.starts_with(' ') && !line.is_empty() {
                in_commands = line == "Commands:";
            }
            let text = line.trim_start();
            variables.extend(
                text.split_once("[env: ")
                    .and_then(|(_, rest)| rest.split_once(['=', ']']))
                    .map(|(name, _)| name.to_owned()),
            );
            if in_commands && line.starts_with("  ") && !line.starts_with("   ") {
                let name = text.split_whitespace().next().unwrap();
                if name == "help" {
                    continue;
                }
                open.push(words.iter().cloned().chain([name.to_owned()]).collect());
            }
            if let Some(at) = text.find("--").filter(|_| text.starts_with('-')) {
                let rest = &text[at..];
                let name = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap();
                let takes = rest[name.len()..].starts_with([' ', '='])
                    && rest[name.len()..].trim_start().starts_with('<');
                if takes {
                    options.insert(name.to_owned())
                } else {
                    flags.insert(name.to_owned())
                };
            }
        }
        if !words.is_empty() {
            found.push(Spoken {
                words,
                options: options.into_iter().collect(),
                flags: flags.into_iter().collect(),
                variables: variables.into_iter().collect(),
            });
        }
    }
    found
}

/// Secrets that are made here, each with pieces that nobody may see.
fn secrets(desk: &Desk) -> Vec<(&'static str, String)> {
    desk.key("k");
    desk.succeed(["keygen", "--encryption", "--no-passphrase", "-o", "a.txt"]);
    let pem = desk.read("k");
    let openssh =
        desk.program("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "s"]).output().unwrap();
    assert!(openssh.status.success(), "{}", written_down(&openssh));
    let openssh = desk.read("s");
    let identity = desk.read("a.txt").lines().last().unwrap().to_owned();
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let encrypted = desk
        .program("openssl")
        .args(["pkcs8", "-topk8", "-in", "k", "-passout", "pass:correct horse"])
        .output()
        .unwrap();
    assert!(encrypted.status.success(), "{}", written_down(&encrypted));
    let encrypted = String::from_utf8(encrypted.stdout).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    let random = "q7Kx2Lm9Rt4Vw8Zb3Nc6Hd1Jf5Gs0PaYe2UoTiXvBn";
    vec![
        ("pem", pem.clone()),
        ("pem in one line", pem.replace('\n', " ")),
        ("pem without line breaks", pem.replace('\n', "")),
        ("pem with escapes", pem.replace('\n', "\\n")),
        ("openssh", openssh.clone()),
        ("openssh in one line", openssh.replace('\n', " ")),
        ("openssh in base64", base64(openssh.as_bytes())),
        ("identity", identity.clone()),
        ("identity in capitals and a comment", format!("# mine\n{}\n", identity.to_uppercase())),
        ("token", ["ghp", "_x7Kq2Lm9Rt4Vw8Zb3Nc6Hd1Jf5Gs0PaYe2Uo"].concat()),
        ("hugging face", ["hf", "_QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi"].concat()),
        ("encrypted pem", encrypted),
        ("pem as a form sends it", pem.replace(' ', "%20").replace('\n', "%0A")),
        ("der in hexadecimal", der.iter().map(|byte| format!("{byte:02x}")).collect()),
        (
            "identity of a plugin",
            format!("AGE-PLUGIN-{}{}", "X-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".repeat(2)),
        ),
        ("identity in base64", base64(identity.as_bytes())),
        ("minisign", format!("untrusted comment: minisign {} secret key\n{random}", "encrypted")),
        ("pgp", format!("-----BEGIN PGP {} BLOCK-----\n\n{random}\n", "PRIVATE KEY")),
        ("aws pair", format!("{}:{}", ["AKI", "AQ7ZX3K5M2P6TRWVB"].concat(), &random[..40])),
        ("aws secret", format!("AWS_SECRET_ACCESS_KEY={}", &random[..40])),
        ("web token", ["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJzdWIiOiJhZGEifQ", random].join(".")),
    ]
}

/// What of a secret nobody may see: pieces of what is random in it.
fn pieces(secret: &str) -> Vec<String> {
    secret
        .split(|c: char| !(c.is_ascii_alphanumeric() || "+/=_".contains(c)))
        .filter(|run| run.len() >= 32)
        .flat_map(|run| {
            let body = if run.len() > 60 { &run[44..] } else { &run[12..] };
            body.as_bytes()
                .chunks_exact(12)
                .map(|piece| String::from_utf8(piece.to_vec()).unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn shows(text: &[u8], pieces: &[String]) -> bool {
    let text = String::from_utf8_lossy(text);
    pieces.iter().any(|piece| text.contains(piece.as_str()))
}

/// Files below a folder that show something of a secret.
fn files_that_show(folder: &Path, pieces: &[String], planted: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_that_show(&path, pieces, planted, found);
        } else if !planted.contains(&entry.file_name().to_str().unwrap_or_default())
            && fs::read(&path).is_ok_and(|bytes| shows(&bytes, pieces))
        {
            found.push(path.display().to_string());
        }
    }
}

/// What makes a command get as far as it can with one odd value.
fn plausible(command: &Spoken, option: &str, value: &str) -> Vec<String> {
    let mut words = command.words.clone();
    words.extend([option.to_owned(), value.to_owned()]);
    for (name, likely) in [("-o", "out-x"), ("--key", "k")] {
        let long = if name == "-o" { "--output" } else { name };
        if option != long && command.options.iter().any(|one| one == long) {
            words.extend([name.to_owned(), likely.to_owned()]);
        }
    }
    if command.flags.iter().any(|flag| flag == "--yes") {
        words.push("--yes".into());
    }
    words
}

#[test]
fn attack_s2_no_argument_or_variable_is_echoed_that_is_a_secret() {
    let desk = Desk::recording();
    let secrets = secrets(&desk);
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    let commands = commands(&desk);
    assert!(commands.len() > 35, "the help lists them: {}", commands.len());
    // Those that a command's help names, and those that are read elsewhere.
    let mut variables: BTreeSet<_> = commands.iter().flat_map(|command| command.variables.clone()).collect();
    assert!(variables.len() >= 12, "the help lists them: {variables:?}");
    variables.extend(
        ["HOME", "LEDGER", "LEDGER_KEY", "EVENT_OUT", "THREADS", "USER", "UNHEARD_OF"]
            .map(|name| format!("CONSIGN_{name}")),
    );
    let mut runs = 0;
    let mut check = |command: &mut assert_cmd::Command, secret: &str, what: &str| {
        let output = command.output().unwrap();
        runs += 1;
        let pieces = pieces(secret);
        assert!(!pieces.is_empty(), "{what}");
        assert!(
            !shows(&output.stdout, &pieces) && !shows(&output.stderr, &pieces),
            "{what}: {}",
            written_down(&output)
        );
        assert_eq!(output.status.code(), Some(2), "{what}: {}", written_down(&output));
    };
    for command in &commands {
        for (n, option) in command.options.iter().enumerate() {
            let (kind, secret) = &secrets[n % secrets.len()];
            let what = format!("{} {option} with {kind}", command.words.join(" "));
            let words = plausible(command, option, secret);
            check(desk.consign([]).args(&words), secret, &what);
            let words = command.words.iter().cloned().chain([format!("{option}={secret}"), "--json".into()]);
            check(desk.consign([]).args(words), secret, &what);
        }
        for (kind, secret) in &secrets {
            let what = format!("{} with {kind}", command.words.join(" "));
            check(desk.consign([]).args(&command.words).arg(secret), secret, &what);
        }
    }
    for (kind, secret) in &secrets {
        for variable in &variables {
            for words in [&["verify", "out"][..], &["pack", "d", "-o", "out-y"], &["verify", "out", "--json"]]
            {
                check(
                    desk.consign(words.iter().copied()).env(variable, secret),
                    secret,
                    &format!("{variable}: {kind}"),
                );
            }
        }
    }
    for command in &commands {
        for (n, variable) in command.variables.iter().enumerate() {
            let (kind, secret) = &secrets[(n + command.words.len()) % secrets.len()];
            let what = format!("{} with {kind} in {variable}", command.words.join(" "));
            let words = command.words.iter().map(String::as_str).chain(["--json"]);
            check(desk.consign(words).env(variable, secret), secret, &what);
        }
    }
    assert!(runs > 1000, "{runs}");
    let all: Vec<String> = secrets.iter().flat_map(|(_, secret)| pieces(secret)).collect();
    let mut found = Vec::new();
    files_that_show(&desk.dir(), &all, &["k", "s", "s.pub", "a.txt"], &mut found);
    files_that_show(&desk.home(), &all, &["ledger.key"], &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn attack_s1_no_file_is_quoted_that_holds_a_secret() {
    let desk = Desk::recording();
    let secrets = secrets(&desk);
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    for (n, (_, secret)) in secrets.iter().enumerate() {
        desk.write(&format!("secret-{n}"), secret);
        fs::set_permissions(
            desk.path(&format!("secret-{n}")),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
    }
    let planted: Vec<String> = (0..secrets.len()).map(|n| format!("secret-{n}")).collect();
    let commands = commands(&desk);
    for command in &commands {
        for option in &command.options {
            if ["--ledger", "--output", "--event-out"].contains(&option.as_str()) {
                continue;
            }
            for (n, (kind, secret)) in secrets.iter().enumerate() {
                // Every kind where keys belong, else one broken key and one whole.
                if !(option.contains("key") || option.contains("identity") || [1, 4].contains(&n)) {
                    continue;
                }
                let file = format!("secret-{n}");
                let mut words = plausible(command, option, &file);
                if command.words.first().is_some_and(|word| {
                    ["verify", "unpack", "inspect", "sign", "submit", "decrypt", "revoke", "lineage"]
                        .contains(&word.as_str())
                }) {
                    words.insert(1, "out".into());
                } else if ["pack", "seal", "preflight", "init"].contains(&command.words[0].as_str()) {
                    words.insert(1, "d".into());
                }
                let output = desk.consign([]).args(&words).output().unwrap();
                let pieces = pieces(secret);
                let shown = shows(&output.stdout, &pieces) || shows(&output.stderr, &pieces);
                assert!(!shown, "{} with {kind}: {}", words.join(" "), written_down(&output));
            }
        }
        // And in place of whatever it works on.
        for (n, (kind, secret)) in secrets.iter().enumerate() {
            let words = command.words.iter().cloned().chain([format!("secret-{n}")]);
            let output = desk.consign([]).args(words).output().unwrap();
            let pieces = pieces(secret);
            let shown = shows(&output.stdout, &pieces) || shows(&output.stderr, &pieces);
            assert!(!shown, "{} secret-{n} with {kind}: {}", command.words.join(" "), written_down(&output));
        }
    }
    let all: Vec<String> = secrets.iter().flat_map(|(_, secret)| pieces(secret)).collect();
    let mut planted: Vec<&str> = planted.iter().map(String::as_str).collect();
    // Own keys are public keys, which stand in private ones of OpenSSH too.
    planted.extend(["k", "s", "s.pub", "a.txt", "ledger.key", "own-keys.toml"]);
    let mut found = Vec::new();
    files_that_show(&desk.home(), &all, &planted, &mut found);
    files_that_show(&desk.dir(), &all, &planted, &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn attack_s2_a_passphrase_in_place_of_its_file_is_not_repeated() {
    let desk = Desk::new();
    desk.key("k");
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    let word = "correct horse battery staple";
    for command in [
        desk.consign(["pack", "d", "-o", "out", "--key", "k", "--passphrase-file", word]),
        desk.consign(["keygen", "-o", "new", "--passphrase-file", word]),
    ] {
        let mut command = command;
        let output = command.output().unwrap();
        assert!(!written_down(&output).contains(word), "{}", written_down(&output));
    }
    let output = desk.consign(["keygen", "-o", "new"]).env("CONSIGN_PASSPHRASE_FILE", word).output().unwrap();
    assert!(!written_down(&output).contains(word), "{}", written_down(&output));
}

#[test]
fn attack_a13_nothing_from_outside_reaches_the_terminal_as_it_is() {
    let desk = Desk::new();
    desk.key("k");
    let odd = "\u{1b}[31m\u{7}\u{9b}2J\u{202e}\u{200b}\u{85}";
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    desk.write("d/a", "x");
    desk.succeed(["pack", "d", "-o", "out", "--key", "k"]);
    fs::rename(desk.path("out"), desk.path(&format!("out{odd}"))).unwrap();
    let out = format!("out{odd}");
    let raw = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).chars().any(|c| "\u{1b}\u{7}\u{9b}\u{202e}\u{200b}\u{85}".contains(c))
    };
    let mut seen = 0;
    for command in &commands(&desk) {
        for option in command.options.iter().map(Some).chain([None]) {
            for json in [false, true] {
                let mut words = command.words.clone();
                words.extend(option.map(|option| format!("{option}={odd}")));
                words.push(out.clone());
                if json {
                    words.push("--json".into());
                }
                if command.flags.iter().any(|flag| flag == "--yes") {
                    words.push("--yes".into());
                }
                let output = desk.consign([]).args(&words).output().unwrap();
                assert!(
                    !raw(&output.stdout) && !raw(&output.stderr),
                    "{words:?}: {}",
                    written_down(&output).escape_debug()
                );
                let text = written_down(&output);
                seen += usize::from(text.contains("\\u{202e}") || text.contains("\\u202e"));
            }
        }
    }
    for words in [vec!["verify", &out, "--key", "k.pub"], vec!["sign", &out, "--key", "k", "--yes"]] {
        let output = desk.consign(words).output().unwrap();
        assert!(!raw(&output.stdout) && !raw(&output.stderr), "{}", written_down(&output).escape_debug());
    }
    assert!(seen > 100, "it is shown, escaped: {seen}");
}

/// Characters that must not reach a terminal, as they are named in YAML.
const ODD: &str = "\\e[31m\\a\\x9b2J\\u202e\\u200b\\u2066\\N\\x7f";

fn is_raw(bytes: &[u8]) -> bool {
    let odd = "\u{1b}\u{7}\u{9b}\u{202e}\u{200b}\u{2066}\u{85}\u{7f}";
    String::from_utf8_lossy(bytes).chars().any(|c| odd.contains(c))
}

#[test]
fn attack_a13_no_field_of_a_descriptor_reaches_the_terminal_as_it_is() {
    let desk = Desk::recording();
    desk.key("k");
    let fields = [
        "name",
        "version",
        "kind",
        "title",
        "description",
        "license",
        "classification",
        "contact.name",
        "contact.email",
        "contact.organization",
        "contact.role",
        "training.summary",
        "training.framework",
        "training.hardware",
        "model_card.intended_use",
        "model_card.risks",
        "handling.retention",
        "provenance.pipeline.system",
        "provenance.pipeline.run",
        "provenance.pipeline.commit",
    ];
    let mut taken = 0;
    for (n, field) in fields.iter().enumerate() {
        for odd in [ODD, "\\u202e", "\\u200b", "\\x9b2J", "\\e[2J"] {
            let (dir, out) = (format!("d{n}"), format!("out{n}"));
            desk.write(&format!("{dir}/a"), "x");
            desk.write(&format!("{dir}/consign.yaml"), descriptor("tiny", "1.0.0"));
            let set = format!("{field}=\"a {odd} b\"");
            let raw = serde_json::from_str::<String>(&format!(
                "\"{}\"",
                odd.replace("\\e", "\\u001b")
                    .replace("\\a", "\\u0007")
                    .replace("\\x9b", "\\u009b")
                    .replace("\\x7f", "\\u007f")
                    .replace("\\N", "\\u0085")
            ))
            .unwrap();
            let given = format!("{field}=a {raw} b");
            let mut lines: Vec<Vec<&str>> = vec![
                vec!["pack", &dir, "-o", &out, "--key", "k", "--set", &set],
                vec!["pack", &dir, "-o", &out, "--key", "k", "--set", &given],
            ];
            let readers = [
                vec!["inspect", &*out],
                vec!["verify", &out, "--key", "k.pub"],
                vec!["sign", &out, "--key", "k", "--yes"],
                vec!["lineage", &out],
                vec!["history", "tiny"],
                vec!["ledger", "list"],
                vec!["ledger", "alerts"],
                vec!["diff", &out, &dir],
                vec!["policy", "check", "d0/consign.yaml"],
            ];
            lines.extend(readers);
            for words in &lines {
                for json in [false, true] {
                    let output =
                        desk.consign(words.iter().copied().chain(json.then_some("--json"))).output().unwrap();
                    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
                    assert!(!is_raw(&bytes), "{words:?}: {}", written_down(&output).escape_debug());
                }
            }
            taken += usize::from(desk.path(&out).exists());
            let _ = fs::remove_dir_all(desk.path(&out));
        }
    }
    assert!(taken > 0, "some of it can be packed, and is then shown");
}

#[test]
fn attack_a13_neither_key_comments_nor_names_in_trust_and_git_reach_the_terminal_as_they_are() {
    let desk = Desk::recording();
    desk.key("k");
    let odd = "a\u{1b}[31m\u{7}\u{202e}\u{200b}\u{9b}2J";
    desk.write("d/a", "x");
    desk.write("d/consign.yaml", descriptor("tiny", "1.0.0"));
    let made = desk
        .program("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", odd, "-f", "s"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", written_down(&made));
    let git = |words: &[&str]| {
        let mut all = vec!["-c", "user.email=ada@example.org", "-c"];
        let name = format!("user.name={odd}");
        all.push(&name);
        let output = desk.program("git").current_dir(desk.path("d")).args(all).args(words).output().unwrap();
        assert!(output.status.success(), "{}", written_down(&output));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["remote", "add", "origin", &format!("https://example.org/{odd}")]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", odd]);
    git(&["tag", "-a", "v1\u{202e}", "-m", odd]);
    let print = desk.json(["id", "--key", "s.pub"])["result"]["fingerprint"].as_str().unwrap().to_owned();
    let owner = format!("--owner={odd}");
    let trust = ["trust", "add", odd, "--key", "s.pub", "--fingerprint", &print, "--role", "owner", &owner];
    let good = ["trust", "add", "s", "--key", "s.pub", "--fingerprint", &print, "--role", "owner"];
    for words in [
        &["id", "--key", "s.pub"][..],
        &["id", "--key", "s"],
        &["init", "d", "-o", "new.yaml"],
        &["pack", "d", "-o", "out", "--key", "s", "--exclude", ".git/", "--provenance", "auto"],
        &trust,
        &good,
        &["trust", "list"],
        &["trust", "show", "s"],
        &["verify", "out", "--key", "s.pub"],
        &["verify", "out"],
        &["inspect", "out"],
        &["lineage", "out"],
        &["sign", "out", "--key", "s", "--role", "release", "--yes"],
        &["receive", "out", "--key", "s"],
        &["ledger", "list"],
        &["ledger", "show", "0"],
        &["history", "tiny"],
    ] {
        for json in [false, true] {
            let output =
                desk.consign(words.iter().copied().chain(json.then_some("--json"))).output().unwrap();
            let bytes = [&output.stdout[..], &output.stderr[..]].concat();
            assert!(!is_raw(&bytes), "{words:?}: {}", written_down(&output).escape_debug());
        }
    }
    assert!(desk.path("out").exists());
}
