//! Descriptor files, good and bad, in all three syntaxes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Every field there is.
const COMPLETE: &str = include_str!("../../tests/data/complete.yaml");

/// Nothing but what is required.
const SMALL: &str = "name: a\nversion: 1.0.0\nkind: model\nclassification: public\n\
                     contact: {name: Ada, email: ada@example.org}\n";

fn yaml(text: &str) -> Result<Descriptor, Vec<Problem>> {
    Descriptor::parse(text.as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin())
}

/// The problems of a file as people see them, with their hints.
fn problems(result: Result<Descriptor, Vec<Problem>>) -> Vec<String> {
    let shown = |p: Problem| match &p.hint {
        Some(hint) => format!("{p} ({hint})"),
        None => p.to_string(),
    };
    result.expect_err("the file is bad").into_iter().map(shown).collect()
}

/// What a descriptor says, as one flat JSON value.
fn flat(descriptor: &Descriptor) -> Value {
    let mut all = serde_json::to_value(&descriptor.core).unwrap();
    let details = serde_json::to_value(&descriptor.details).unwrap();
    let object = all.as_object_mut().unwrap();
    object.extend(details.as_object().unwrap().clone());
    object.remove("schema");
    object.insert("exclude".into(), serde_json::to_value(&descriptor.exclude).unwrap());
    all
}

#[test]
fn every_field_is_read() {
    let value = flat(&yaml(COMPLETE).unwrap());
    assert_eq!(value["training"]["parameters"]["learning_rate"], "0.050");
    assert_eq!(value["training"]["parameters"]["seed"], "18446744073709551615");
    assert_eq!(value["training"]["parameters"]["epochs"], 40);
    assert_eq!(value["model_card"]["evaluation"][0]["value"], "0.9690");
    assert_eq!(value["description"], "Names the digit in an 8x8 image.\nTrained in seconds.\n");
    assert_eq!(value["exclude"], json!(["*.log", "checkpoints/**"]));
    // The example leaves nothing out.
    let schema = descriptor_schema();
    let resolve = |schema: &'_ Value, root: &Value| match schema["$ref"].as_str() {
        Some(name) => root.pointer(&name[1..]).cloned().unwrap(),
        None => schema.clone(),
    };
    for (name, field) in schema["properties"].as_object().unwrap() {
        assert!(value.get(name).is_some(), "{name}");
        for inner in resolve(field, &schema)["properties"].as_object().into_iter().flatten() {
            assert!(value[name].get(inner.0).is_some(), "{name}.{}", inner.0);
        }
    }
}

#[test]
fn the_three_syntaxes_say_the_same() {
    let from_yaml = yaml(COMPLETE).unwrap();
    let text = serde_json::to_string_pretty(&flat(&from_yaml)).unwrap();
    let from_json = Descriptor::parse(text.as_bytes(), DescriptorSyntax::Json, &[], &Scheme::builtin());
    assert_eq!(from_json.as_ref(), Ok(&from_yaml));
    let text = toml::to_string(&flat(&from_yaml)).unwrap();
    let from_toml = Descriptor::parse(text.as_bytes(), DescriptorSyntax::Toml, &[], &Scheme::builtin());
    assert_eq!(from_toml.as_ref(), Ok(&from_yaml));
}

#[test]
fn what_a_manifest_holds_reads_back() {
    let descriptor = yaml(COMPLETE).unwrap();
    let core = crate::to_canonical_vec(&descriptor.core);
    assert_eq!(serde_json::from_slice::<Core>(&core).unwrap(), descriptor.core);
    let details = crate::to_canonical_vec(&descriptor.details);
    assert!(details.starts_with(b"{\n  \"schema\": 1,\n  \"kind\": \"model\""));
    let again: Details = serde_json::from_slice(&details).unwrap();
    assert_eq!(again, descriptor.details);
    assert_eq!(crate::to_canonical_vec(&again), details);
}

#[test]
fn toml_has_its_own_dates_and_numbers() {
    let text = "
name = 'a'
version = '1.0.0'
kind = 'dataset'
classification = 'public'
contact = { name = 'Ada', email = 'ada@example.org' }
[training]
started = 2024-05-01T12:00:00Z
parameters.steps = 1_000
parameters.rate = 0.10
[[provenance.sources]]
uri = 'doi:10.1/2'
retrieved = 2024-05-01
";
    let read = Descriptor::parse(text.as_bytes(), DescriptorSyntax::Toml, &[], &Scheme::builtin()).unwrap();
    let value = flat(&read);
    assert_eq!(value["training"]["parameters"], json!({"rate": "0.10", "steps": 1000}));
    assert_eq!(value["provenance"]["sources"][0]["retrieved"], "2024-05-01");
}

#[test]
fn an_empty_file_lacks_what_is_required() {
    insta::assert_snapshot!(problems(yaml("# nothing yet\n")).join("\n"), @r#"
    name: is missing (for example all-minilm-l6-v2)
    version: is missing (for example 1.0.0)
    kind: is missing (one of model, dataset, workflow, mixed)
    classification: is missing (the levels are public, internal, confidential, restricted, lowest first)
    contact.name: is missing
    contact.email: is missing (for example ada@example.org)
    "#);
}

#[test]
fn every_problem_is_shown_at_once() {
    let text = "nam: digits
version: 1.0
kind: modell
clasification: secret
classification: Interal
contact:
  name: Ada
  name: Grace
  email: ada
license: 2024
parents: sha256:00
title: [x]
description:
training:
  parameters: {x: , y: 0x1F, z: [.inf], a: {1: 2, '1': 3}}
  code: {dirty: yes, commit: abc}
  started: 2024-05-01
  extra: 1
provenance: {}
handling:
model_card:
  evaluation:
    - {dataset: d, value: 93 %}
exclude: ['!x', 'ok', 3]
";
    insta::assert_snapshot!(problems(yaml(text)).join("\n"), @r#"
    name: is missing (for example all-minilm-l6-v2)
    line 1: nam: is not a field of a descriptor (did you mean `name`?)
    line 2: version: must be text, not the number 1.0 (write "1.0.0")
    line 3: kind: `modell` is not one of model, dataset, workflow, mixed (did you mean `model`?)
    line 4: clasification: is not a field of a descriptor (did you mean `classification`?)
    line 5: classification: `Interal` is not a classification level (did you mean `internal`? the levels are public, internal, confidential, restricted, lowest first)
    line 8: contact.name: stands twice, first on line 7 (keep one of the two)
    line 9: contact.email: `ada` is not an e-mail address
    line 10: license: must be text, not the number 2024 (write it in quotes: "2024")
    line 11: parents: must be a list, not the text "sha256:00" (write it as a list with one element: ["sha256:00"])
    line 12: title: must be text, not a list
    line 13: description: has no value; it must be text
    line 15: training.parameters.x: has no value (leave the line out, or write the word in quotes: "null")
    line 15: training.parameters.y: `0x1F` is not spelled as a decimal number (write it as a decimal number such as 31 or 0.5, or in quotes to keep it as text)
    line 15: training.parameters.z[0]: `.inf` is not spelled as a decimal number (write it as a decimal number such as 31 or 0.5, or in quotes to keep it as text)
    line 15: training.parameters.a.1: stands twice, first on line 15 (keep one of the two)
    line 16: training.code.commit: `abc` is not a full commit id (40 or 64 lower-case hexadecimal digits; `git rev-parse HEAD` prints it)
    line 16: training.code.dirty: must be true or false, not the text "yes"
    line 17: training.started: `2024-05-01` is not a time with its zone, such as `2024-05-01T12:00:00Z` or `2024-05-01T14:00:00+02:00` (write "2024-05-01T00:00:00Z")
    line 18: training.extra: is not a field of a descriptor (the fields here are summary, job, started, finished, framework, hardware, code, configuration, parameters)
    line 20: handling: has no value; it must be a map of fields (leave it out)
    line 23: model_card.evaluation[0].metric: is missing
    line 23: model_card.evaluation[0].value: `93 %` is not a decimal number such as 0.93, -2 or 1.5e-3 (at most 100 characters)
    line 24: exclude[0]: `!x` begins with `!`: patterns only leave files out, and none takes another back; a file that is really named so is left out with `\!x`
    line 24: exclude[2]: must be text, not the number 3 (write it in quotes: "3")
    "#);
}

#[test]
fn numbers_are_not_taken_for_text() {
    let with = |line: &str| problems(yaml(&format!("{SMALL}{line}\n"))).join("\n");
    insta::assert_snapshot!(with("title: 2024"), @r#"line 6: title: must be text, not the number 2024 (write it in quotes: "2024")"#);
    insta::assert_snapshot!(with("title: true"), @r#"line 6: title: must be text, not the truth value true (write it in quotes: "true")"#);
    insta::assert_snapshot!(with("title: ~"), @r#"line 6: title: has no value; it must be text"#);
    let version = SMALL.replace("1.0.0", "1");
    insta::assert_snapshot!(problems(yaml(&version)).join("\n"), @r#"line 2: version: must be text, not the number 1 (write "1.0.0")"#);
    let version = SMALL.replace("1.0.0", "v1.0.0");
    insta::assert_snapshot!(problems(yaml(&version)).join("\n"), @r#"line 2: version: `v1.0.0` is not a version: unexpected character 'v' while parsing major version number; write it as Semantic Versioning has it, such as `1.0.0` or `2.1.0-rc.1` (write "1.0.0")"#);
}

#[test]
fn files_that_are_no_text_say_so() {
    let read = |bytes: &[u8]| {
        problems(Descriptor::parse(bytes, DescriptorSyntax::Yaml, &[], &Scheme::builtin())).join("\n")
    };
    insta::assert_snapshot!(read(b"\xEF\xBB\xBFname: a"), @r#"line 1: begins with a byte order mark (save the file as UTF-8 without a byte order mark)"#);
    insta::assert_snapshot!(read(b"\xFF\xFEn\0"), @r#"is UTF-16, not UTF-8 (save the file as UTF-8 without a byte order mark)"#);
    insta::assert_snapshot!(read(b"name: a\ntitle: \xE9\n"), @r#"line 2: is not UTF-8 (save the file as UTF-8 without a byte order mark)"#);
    insta::assert_snapshot!(read(b"name: 'a\n"), @r#"line 1: is not valid YAML: while scanning a quoted scalar, found unexpected end of stream"#);
    insta::assert_snapshot!(read(b"name: a\n\tb: c\n"), @r#"line 1: is not valid YAML: while scanning a plain scalar, found a tab (indent with spaces, never with tabs)"#);
    insta::assert_snapshot!(read(b"name: a: b\n"), @r#"line 1: is not valid YAML: mapping values are not allowed in this context (text that holds `: ` needs quotes)"#);
    insta::assert_snapshot!(read(b"- a\n"), @r#"line 1: must be a map of fields, not a list"#);
    let large = vec![b' '; usize::try_from(DESCRIPTOR_BYTES_MAX).unwrap() + 1];
    insta::assert_snapshot!(read(&large), @r#"is 4194305 bytes long (at most 4194304)"#);
}

#[test]
fn too_many_problems_are_counted() {
    let text: String = (0..500).map(|i| format!("x{i}: 1\n")).collect();
    let all = yaml(&text).unwrap_err();
    assert_eq!(all.last().unwrap().to_string(), "306 more problems are not shown");
}

fn edited(edits: &[&str]) -> Result<Descriptor, Vec<Problem>> {
    let edits: Vec<Edit> = edits.iter().map(|edit| edit.parse().unwrap()).collect();
    Descriptor::parse(SMALL.as_bytes(), DescriptorSyntax::Yaml, &edits, &Scheme::builtin())
}

#[test]
fn edits_win_over_the_file() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let parent = format!("parents.0={digest}");
    let value = flat(
        &edited(&[
            "version=2.0.0",
            "contact.email=grace@example.org",
            "title=2024",
            "training.code.dirty=true",
            "training.parameters.seed=7",
            "training.parameters.rate=0.10",
            "training.parameters.flag=true",
            "training.parameters.nothing=",
            "training.job=4711",
            "classification=internal",
        ])
        .unwrap(),
    );
    assert_eq!(value["version"], "2.0.0");
    assert_eq!(value["contact"], json!({"name": "Ada", "email": "grace@example.org"}));
    assert_eq!(value["title"], "2024");
    assert_eq!(value["training"]["job"], "4711");
    assert_eq!(value["training"]["code"]["dirty"], true);
    let parameters = json!({"flag": true, "nothing": "", "rate": "0.10", "seed": 7});
    assert_eq!(value["training"]["parameters"], parameters);
    // A list is begun in the file, or by its first element.
    let value = flat(&edited(&[&parent]).unwrap());
    assert_eq!(value["parents"], json!([digest]));
}

#[test]
fn edits_can_go_wrong() {
    let wrong = |edit: &str| problems(edited(&[edit])).join("\n");
    insta::assert_snapshot!(wrong("verison=1.0.0"), @r#"verison: is not a field of a descriptor (did you mean `version`?)"#);
    insta::assert_snapshot!(wrong("version=1.0"), @r#"version: `1.0` is not a version: unexpected end of input while parsing minor version number; write it as Semantic Versioning has it, such as `1.0.0` or `2.1.0-rc.1` (write "1.0.0")"#);
    insta::assert_snapshot!(wrong("contact.mail=x@y"), @r#"contact.mail: is not a field of a descriptor (did you mean `email`?)"#);
    insta::assert_snapshot!(wrong("name.x=1"), @r#"name: is a single value and has no fields (`name.x` cannot be set)"#);
    insta::assert_snapshot!(wrong("parents.7=x"), @r#"parents: must be a list, not a map (leave it out, or write [])"#);
    insta::assert_snapshot!(wrong("license="), @r#"license: is empty"#);
    insta::assert_snapshot!(wrong("training.code.dirty=yes"), @r#"training.code.dirty: must be true or false, not the text "yes""#);
    for bad in ["version", "=1", "a..b=1", ".a=1"] {
        assert!(bad.parse::<Edit>().is_err(), "{bad}");
    }
}

#[test]
fn file_names_tell_the_syntax() {
    assert_eq!(DescriptorSyntax::from_file_name("consign.yaml"), Some(DescriptorSyntax::Yaml));
    assert_eq!(DescriptorSyntax::from_file_name("a.b.yml"), Some(DescriptorSyntax::Yaml));
    assert_eq!(DescriptorSyntax::from_file_name("consign.json"), Some(DescriptorSyntax::Json));
    assert_eq!(DescriptorSyntax::from_file_name("consign.toml"), Some(DescriptorSyntax::Toml));
    assert_eq!(DescriptorSyntax::from_file_name("consign"), None);
    assert_eq!(DescriptorSyntax::from_file_name("yaml"), None);
}

proptest! {
    #[test]
    fn no_input_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for syntax in [DescriptorSyntax::Yaml, DescriptorSyntax::Json, DescriptorSyntax::Toml] {
            let result = Descriptor::parse(&bytes, syntax, &[], &Scheme::builtin());
            prop_assert!(result.is_ok() || result.is_err_and(|problems| !problems.is_empty()));
        }
    }

    #[test]
    fn no_punctuation_makes_the_parser_panic(text in r#"[\[\]{}:,#&*!|>'"%@`?\-~. \n\t\rax01=\\<é]{0,80}"#) {
        for syntax in [DescriptorSyntax::Yaml, DescriptorSyntax::Json, DescriptorSyntax::Toml] {
            let result = Descriptor::parse(text.as_bytes(), syntax, &[], &Scheme::builtin());
            prop_assert!(result.is_ok() || result.is_err_and(|problems| !problems.is_empty()));
        }
    }

    #[test]
    fn no_damage_makes_the_parser_panic(at in 0..COMPLETE.len(), with in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut bytes = COMPLETE.as_bytes().to_vec();
        bytes.splice(at..(at + 2).min(bytes.len()), with);
        let result = Descriptor::parse(&bytes, DescriptorSyntax::Yaml, &[], &Scheme::builtin());
        prop_assert!(result.is_ok() || result.is_err_and(|problems| !problems.is_empty()));
    }
}
