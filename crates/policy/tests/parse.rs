//! Policies with one fault each, and what is said about it.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

use consign_policy::Policy;

const GOOD: &str = r#"format = 1
name = "ours"

[[level]]
name = "open"

[[level]]
name = "closed"
encryption = "required"
signatures = [{ role = "owner" }]
fields = { all = ["license"] }
also_encrypt_to = ["archive"]
overridable = ["fields"]
findings = [{ rule = "secret/*", action = "deny" }]

[[recipient]]
name = "archive"
encrypt_to = ["age1archive"]
highest = "closed"

[[destination]]
name = "drop"
path = "/mnt/drop"
recipient = "archive"

[[marking]]
word = "CUI//"
level = "closed"

[[category]]
name = "chemistry"
level = "closed"
files = ["*.sdf"]

[[source]]
uri = "https://*"
level = "open"

[accept]
classifications = ["open"]
forbidden_formats = ["pickle"]
"#;

/// The code and line of each problem.
fn faults(text: &str) -> Vec<(&'static str, Option<usize>)> {
    match Policy::parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.0.iter().map(|problem| (problem.code, problem.line)).collect(),
    }
}

#[test]
fn each_fault_is_named_with_its_line() {
    assert_eq!(faults(GOOD), []);
    let with = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        faults(&GOOD.replacen(from, to, 1))
    };
    let one = |code, line| vec![(code, Some(line))];
    assert_eq!(with("format = 1", "format = 2"), one("policy-format", 1));
    assert_eq!(with("format = 1\n", ""), one("policy-malformed", 1));
    assert_eq!(with("name = \"ours\"", "name = \"ours\"\nnam = 1"), one("policy-malformed", 3));
    assert_eq!(with("\"required\"", "\"requird\""), one("policy-malformed", 9));
    assert_eq!(with("name = \"closed\"", "name = \"open\"").first(), Some(&("policy-duplicate", Some(7))));
    assert_eq!(with("role = \"owner\"", "role = \"owner\", count = 0"), one("policy-threshold", 7));
    assert_eq!(with("role = \"owner\"", "role = \"Owner\""), one("policy-malformed", 10));
    assert_eq!(
        with("{ role = \"owner\" }", "{ role = \"owner\" }, { role = \"owner\" }"),
        one("policy-duplicate", 7)
    );
    assert_eq!(with("\"license\"", "\"licence\""), one("policy-unknown-field", 11));
    assert_eq!(
        with("also_encrypt_to = [\"archive\"]", "also_encrypt_to = [\"nobody\"]"),
        one("policy-unknown-recipient", 7)
    );
    assert_eq!(with("encrypt_to = [\"age1archive\"]", "encrypt_to = []"), one("policy-no-key", 7));
    assert_eq!(
        with("encrypt_to = [\"age1archive\"]", "encrypt_to = [\"ssh-ed25519 AAAA\"]"),
        one("policy-bad-recipient", 16)
    );
    assert_eq!(with("[\"age1archive\"]", "[\"AGE-SECRET-KEY-1X\"]"), one("policy-bad-recipient", 16));
    assert_eq!(with("[\"age1archive\"]", "[\"age1archive\", \"age1archive\"]"), one("policy-duplicate", 16));
    assert_eq!(
        with("overridable = [\"fields\"]", "overridable = [\"field\"]"),
        one("policy-unknown-rule", 7)
    );
    assert_eq!(
        with("overridable = [\"fields\"]", "overridable = [\"signatures\"]"),
        one("policy-not-overridable", 7)
    );
    assert_eq!(with("secret/*", "secrets*"), one("policy-finding-rule", 7));
    assert_eq!(with("secret/*", "*/key"), one("policy-finding-rule", 7));
    assert_eq!(with("highest = \"closed\"", "highest = \"close\""), one("policy-unknown-level", 16));
    assert_eq!(
        with("recipient = \"archive\"", "recipient = \"nobody\""),
        one("policy-unknown-recipient", 21)
    );
    assert_eq!(with("*.sdf", "[a"), one("policy-pattern", 33));
    assert_eq!(with("\"pickle\"", "\"pickel\""), one("policy-unknown-format", 39));
    assert_eq!(
        with("classifications = [\"open\"]", "classifications = [\"secret\"]"),
        one("policy-unknown-level", 39)
    );
}

#[test]
fn all_problems_come_at_once() {
    let bad = GOOD
        .replace("\"license\"", "\"licence\"")
        .replace("[\"fields\"]", "[\"field\"]")
        .replace("*.sdf", "[a");
    assert_eq!(faults(&bad).len(), 3);
}

#[test]
fn a_policy_without_levels_stands_on_the_four_that_everybody_knows() {
    let policy = Policy::parse("format = 1\nname = \"lab\"\n[accept]\nmost_files = 3\n").unwrap();
    assert_eq!(policy.scheme().levels().len(), 4);
    assert!(!policy.findings().is_empty(), "secrets are denied here too");
}

#[test]
fn the_examples_are_policies() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policies");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "toml") {
            let policy = Policy::parse(&std::fs::read_to_string(&path).unwrap());
            let policy = policy.unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
            assert!(policy.warnings().is_empty(), "{}: {:?}", path.display(), policy.warnings());
            count += 1;
        }
    }
    assert!(count >= 1);
}

proptest::proptest! {
    #[test]
    fn no_text_is_a_panic(text in "[\\x20-\\x7e\\n]{0,300}", at in 0usize..600, cut in 0usize..40) {
        let _ = Policy::parse(&text);
        // And what is nearly a policy.
        let at = at.min(GOOD.len() - 1);
        let end = (at + cut).min(GOOD.len());
        let _ = Policy::parse(&format!("{}{text}{}", &GOOD[..at], &GOOD[end..]));
    }
}
