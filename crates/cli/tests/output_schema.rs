//! What `--json` prints holds to `schemas/output.schema.json`, whatever becomes of the command.

mod support;

use support::Desk;

#[test]
fn every_command_prints_what_the_schema_says() {
    let schema = include_str!("../../../schemas/output.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("it is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let desk = Desk::new();
    desk.write("data/a.csv", "1,2,3\n");
    desk.write("inbox/note.txt", "");
    let runs: &[(i64, &[&str])] = &[
        (0, &["keygen", "--no-passphrase", "-o", "key"]),
        (1, &["keygen", "--no-passphrase", "-o", "key"]),
        (0, &["id", "--key", "key.pub"]),
        (1, &["pack", "data", "-o", "out", "--key", "key"]),
        (
            0,
            &[
                "init",
                "data",
                "--classification",
                "public",
                "--contact-name",
                "Ada",
                "--contact-email",
                "a@b.c",
            ],
        ),
        (2, &["pack", "data", "-o", "out", "--key", "key", "--set", "version=1"]),
        (0, &["pack", "data", "-o", "out", "--key", "key", "--dry-run"]),
        (0, &["pack", "data", "-o", "out", "--key", "key"]),
        (0, &["pack", "data", "-o", "out", "--key", "key"]),
        (0, &["sign", "out", "--key", "key", "--yes"]),
        (0, &["seal", "data", "-o", "sealed", "--key", "key"]),
        (4, &["verify", "out"]),
        (0, &["verify", "out", "--key", "key.pub"]),
        (0, &["verify", "out", "--key", "key.pub", "--quick"]),
        (0, &["verify", "out", "--key", "key.pub", "--only", "a.csv"]),
        (1, &["verify", "out", "--key", "key.pub", "--only", "b.csv"]),
        (1, &["verify", "nowhere"]),
        (0, &["inspect", "out", "--files"]),
        (4, &["unpack", "out", "there"]),
        (0, &["unpack", "out", "there", "--key", "key.pub"]),
        (1, &["unpack", "out", "there", "--key", "key.pub"]),
        (0, &["diff", "out", "there"]),
        (0, &["submit", "out", "--to", "inbox", "--key", "key.pub"]),
        (2, &["submit", "out", "--to", "inbox", "--to", "nowhere", "--key", "key.pub"]),
        (4, &["receive", "inbox", "--key", "key"]),
        (0, &["receipt", "show", "inbox/data-1.0.0.receipt.intoto.jsonl"]),
        (0, &["receipt", "check", "inbox/data-1.0.0.receipt.intoto.jsonl", "--key", "key.pub"]),
        (3, &["receipt", "check", "inbox/data-1.0.0.intoto.jsonl", "--key", "key.pub"]),
        (0, &["trust", "list"]),
        (2, &["trust", "check", "key.pub"]),
        (0, &["revoke", "out", "--reason", "wrong", "--key", "key"]),
        (4, &["verify", "out", "--key", "key.pub", "--at", "2026-01-01T00:00:00Z"]),
        (0, &["quickstart", "data", "-o", "scratch"]),
        (2, &["verify"]),
        (2, &["frobnicate"]),
    ];
    for (exit, arguments) in runs {
        // A desk that trusts nobody signs no receipt; this one trusts somebody else.
        if arguments.first() == Some(&"receive") {
            desk.key("other");
            let card = desk.json(["id", "--key", "other.pub"]);
            let print = card["result"]["fingerprint"].as_str().expect("a key has a fingerprint").to_owned();
            desk.succeed(["trust", "add", "other", "--key", "other.pub", "--fingerprint", &print]);
        }
        let document = desk.json(arguments.iter().copied());
        assert_eq!(document["exit"], *exit, "{arguments:?}: {document:#}");
        let errors: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{arguments:?}: {errors:?}\n{document:#}");
    }
}
