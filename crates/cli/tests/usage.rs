//! What a wrong command line gets, for people and for programs.

mod support;

use support::Desk;

#[test]
fn a_program_gets_its_document_even_then() {
    let desk = Desk::new();
    insta::assert_json_snapshot!("wrong_value", desk.json(["init", ".", "--kind", "modle"]));
    insta::assert_json_snapshot!("missing_argument", desk.json(["keygen"]));
    for (value, json) in [("1", true), ("true", true), ("0", false), ("false", false), ("", false)] {
        let output = desk.consign(["trust", "list"]).env("CONSIGN_JSON", value).output();
        assert_eq!(output.expect("consign runs").stdout.starts_with(b"{"), json, "{value:?}");
    }
    let output = desk.consign(["nonsense"]).env("CONSIGN_JSON", "1").output();
    insta::assert_snapshot!("by_environment", support::written_down(&output.expect("consign runs")));
}

#[test]
fn help_and_version_are_no_failure() {
    let desk = Desk::new();
    assert!(desk.succeed(["--version"]).starts_with("consign "));
    assert!(desk.succeed(["--help", "--json"]).contains("Usage: consign"));
    assert!(desk.transcript([]).starts_with("exit 2\n"));
}
