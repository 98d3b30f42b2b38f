//! The JSON Schema of a descriptor file, for editors and for other programs.

use schemars::JsonSchema as _;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Core, Details, ExcludePattern};

/// The fields of a descriptor file, in the order in which people read them.
const FIELDS: [&str; 16] = [
    "name",
    "version",
    "kind",
    "title",
    "description",
    "classification",
    "contact",
    "license",
    "parents",
    "categories",
    "training",
    "provenance",
    "model_card",
    "data",
    "handling",
    "exclude",
];

/// The JSON Schema (draft 2020-12) of the file that [`Descriptor::parse`](super::Descriptor::parse) reads.
///
/// It says everything that a schema can say; what it cannot say (a date that exists, a level of the organization's
/// own scheme, a text without invisible characters) only the parser checks.
///
/// ```
/// let schema = consign_metadata::descriptor_schema();
/// assert_eq!(schema["required"], serde_json::json!(["name", "version", "kind", "classification", "contact"]));
/// ```
pub fn descriptor_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    // The file is flat, so the two structs give their properties but not themselves.
    let parts = [Core::json_schema(&mut generator), Details::json_schema(&mut generator)];
    let exclude = generator.subschema_for::<Vec<ExcludePattern>>();
    let property = |field: &str| {
        parts.iter().find_map(|part| part.get("properties")?.get(field)).cloned().unwrap_or_else(|| {
            let mut exclude = exclude.clone();
            exclude.insert("description".into(), "Files that are not packed.".into());
            exclude.to_value()
        })
    };
    let is_required = |field: &str| {
        let lists = |part: &schemars::Schema| {
            part.get("required")?.as_array()?.iter().any(|name| name == field).then_some(())
        };
        parts.iter().find_map(lists).is_some()
    };
    let properties: Map<_, _> = FIELDS.map(|field| (field.to_owned(), property(field))).into_iter().collect();
    let required: Vec<_> = FIELDS.into_iter().filter(|field| is_required(field)).collect();
    let mut definitions = generator.take_definitions(true);
    // The number stands in manifests only; a file is always read by the newest schema.
    definitions.remove("DetailsSchema");
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://github.com/consign/consign/raw/main/schemas/descriptor.schema.json",
        "title": "consign descriptor",
        "description": "What the owner says about a bundle: consign.yaml, consign.json or consign.toml.",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "$defs": definitions,
    });
    drop_null(&mut schema);
    schema
}

/// Takes `null` out of optional fields: a field is given a value or left out.
fn drop_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Object(members) => {
            members.values_mut().for_each(drop_null);
            members.remove("default");
            let null = |value: &Value| value == "null";
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| !null(name));
                if let [only] = types.as_mut_slice() {
                    let only = only.take();
                    members.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| !choice.get("type").is_some_and(null));
                if let [only] = choices.as_mut_slice() {
                    let only = only.take();
                    members.remove("anyOf");
                    if let Value::Object(only) = only {
                        members.extend(only);
                    }
                }
            }
        }
        _ => {}
    }
}
