//! The JSON Schema of descriptors: the file in `schemas/` is what the types say, and it agrees with the parser.

use consign_metadata::{Descriptor, DescriptorSyntax, Scheme, descriptor_schema};
use serde_json::{Value, json};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/descriptor.schema.json");

#[test]
fn the_schema_file_is_what_the_types_say() {
    let generated = format!("{:#}\n", descriptor_schema());
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(FILE, &generated).expect("schemas/ can be written");
    }
    let stored = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        stored == generated,
        "schemas/descriptor.schema.json differs from what the types say; run the tests again with UPDATE_SCHEMAS=1"
    );
}

/// A small good descriptor.
fn small() -> Value {
    json!({
        "name": "a", "version": "1.0.0", "kind": "model", "classification": "public",
        "contact": {"name": "Ada", "email": "ada@example.org"},
    })
}

/// The small descriptor with the value at a JSON pointer set, or taken away.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut document = small();
    let (parents, last) = pointer.rsplit_once('/').expect("a pointer");
    let mut node = &mut document;
    for part in parents.split('/').skip(1) {
        node = node.as_object_mut().expect("a map").entry(part).or_insert_with(|| json!({}));
    }
    let node = node.as_object_mut().expect("a map");
    match value {
        Some(value) => drop(node.insert(last.into(), value)),
        None => drop(node.remove(last)),
    }
    document
}

fn parses(document: &Value) -> bool {
    let text = document.to_string();
    Descriptor::parse(text.as_bytes(), DescriptorSyntax::Json, &[], &Scheme::builtin()).is_ok()
}

#[test]
fn schema_and_parser_agree() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let source = |more: Value| {
        let mut source = json!({"uri": "doi:10.1/2"});
        source.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        Some(json!([source]))
    };
    let measured = |value: Value| Some(json!([{"dataset": "d", "metric": "m", "value": value}]));
    let cases: Vec<(bool, Value)> = vec![
        (true, small()),
        (false, json!([])),
        (false, json!({})),
        (false, with("/name", None)),
        (false, with("/version", None)),
        (false, with("/kind", None)),
        (false, with("/classification", None)),
        (false, with("/contact", None)),
        (false, with("/contact/email", None)),
        (false, with("/contact/name", None)),
        (false, with("/contact/phone", Some(json!("1")))),
        (false, with("/schema", Some(json!(1)))),
        (false, with("/extra", Some(json!(1)))),
        (false, with("/name", Some(json!("A")))),
        (false, with("/name", Some(json!("a..b")))),
        (false, with("/name", Some(json!("a".repeat(101))))),
        (false, with("/version", Some(json!("1.0")))),
        (false, with("/version", Some(json!(1)))),
        (false, with("/kind", Some(json!("Model")))),
        (true, with("/kind", Some(json!("mixed")))),
        (false, with("/classification", Some(json!("Top Secret")))),
        (false, with("/contact/email", Some(json!("ada")))),
        (false, with("/contact/email", Some(json!("a@b@c")))),
        (true, with("/title", Some(json!("A title")))),
        (false, with("/title", Some(json!("")))),
        (false, with("/title", Some(json!(" x")))),
        (false, with("/title", Some(json!("two\nlines")))),
        (false, with("/title", Some(json!(2024)))),
        (false, with("/title", Some(Value::Null))),
        (true, with("/description", Some(json!("two\nlines")))),
        (true, with("/parents", Some(json!([digest])))),
        (false, with("/parents", Some(json!(digest)))),
        (false, with("/parents", Some(json!(["sha256:00"])))),
        (true, with("/training", Some(json!({})))),
        (false, with("/training", Some(Value::Null))),
        (true, with("/training/code/dirty", Some(json!(true)))),
        (false, with("/training/code/dirty", Some(json!("yes")))),
        (true, with("/training/code/repository", Some(json!("git@h:x")))),
        (false, with("/training/code/repository", Some(json!("x/y")))),
        (true, with("/training/code/commit", Some(json!("0".repeat(40))))),
        (false, with("/training/code/commit", Some(json!("abc")))),
        (true, with("/training/started", Some(json!("2024-05-01T12:00:00Z")))),
        (false, with("/training/started", Some(json!("2024-05-01")))),
        (true, with("/training/configuration", Some(json!([{"path": "a"}])))),
        (false, with("/training/configuration", Some(json!([{"sha256": digest}])))),
        (true, with("/training/parameters", Some(json!({"a": [1, 0.5, true, "", {"b": []}]})))),
        (false, with("/training/parameters", Some(json!({"a": null})))),
        (false, with("/training/parameters", Some(json!([1])))),
        (true, with("/provenance/sources", source(json!({"retrieved": "2024-05-01", "sha256": digest})))),
        (false, with("/provenance/sources", source(json!({"retrieved": "May 2024"})))),
        (false, with("/provenance/sources", source(json!({"uri": "x"})))),
        (false, with("/provenance/sources", Some(json!([{}])))),
        (true, with("/provenance/pipeline", Some(json!({"system": "CI"})))),
        (false, with("/provenance/pipeline", Some(json!({"run": "1"})))),
        (true, with("/provenance/transformations", Some(json!([{"tool": "t", "inputs": ["a"]}])))),
        (false, with("/provenance/transformations", Some(json!([{"tool": "t", "inputs": "a"}])))),
        (true, with("/model_card/evaluation", measured(json!(0.5)))),
        (true, with("/model_card/evaluation", measured(json!("0.50")))),
        (false, with("/model_card/evaluation", measured(json!("50 %")))),
        (false, with("/model_card/evaluation", measured(json!(true)))),
        (true, with("/handling/access/view", Some(json!(["all"])))),
        (false, with("/handling/access/read", Some(json!(["all"])))),
        (true, with("/handling/encryption/at_rest", Some(json!("AES-256")))),
        (true, with("/exclude", Some(json!(["*.log"])))),
        (false, with("/exclude", Some(json!(["!x"])))),
        (false, with("/exclude", Some(json!("x")))),
    ];
    let schema = jsonschema::draft202012::new(&descriptor_schema()).expect("the schema is a schema");
    for (good, document) in &cases {
        assert_eq!(parses(document), *good, "the parser on {document}");
        assert_eq!(schema.is_valid(document), *good, "the schema on {document}");
    }
}

#[test]
fn every_object_of_the_schema_is_closed_and_described() {
    fn check(at: &str, schema: &Value) {
        match schema {
            Value::Object(members) => {
                if members.contains_key("properties") && members.get("type") == Some(&json!("object")) {
                    assert_eq!(members.get("additionalProperties"), Some(&json!(false)), "{at}");
                    for (name, field) in members["properties"].as_object().expect("a map") {
                        assert!(field.get("description").is_some(), "{at}/{name} has no description");
                    }
                }
                members.iter().for_each(|(name, inner)| check(&format!("{at}/{name}"), inner));
            }
            Value::Array(items) => items.iter().for_each(|inner| check(at, inner)),
            _ => {}
        }
    }
    check("", &descriptor_schema());
}
