//! The files in `schemas/` are what the types say.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::commands::{
    init, keygen, ledger, lineage, policy, quickstart, receipt, reconstruct, sign, store, trust,
};
use crate::encryption::keygen::MadeIdentity;

/// The one document that `--json` prints, by command.
fn output_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let problem = subschema::<consign_metadata::Problem>(&mut generator);
    let event = subschema::<crate::ledger::RecordedEvent>(&mut generator);
    let commands = [
        ("quickstart", vec![subschema::<quickstart::Ran>(&mut generator)]),
        ("init", vec![subschema::<init::report::Written>(&mut generator)]),
        (
            "keygen",
            vec![subschema::<keygen::Made>(&mut generator), subschema::<MadeIdentity>(&mut generator)],
        ),
        ("id", vec![subschema::<consign::operations::id::Card>(&mut generator)]),
        ("pack", vec![subschema::<consign::operations::pack::Packed>(&mut generator)]),
        ("seal", vec![subschema::<consign::operations::seal::Sealed>(&mut generator)]),
        ("sign", vec![subschema::<sign::Added>(&mut generator)]),
        ("verify", vec![subschema::<consign::operations::verify::VerifyReport>(&mut generator)]),
        (
            "inspect",
            vec![
                subschema::<consign::operations::inspect::Inspected>(&mut generator),
                subschema::<consign::operations::inspect::InspectedOutside>(&mut generator),
            ],
        ),
        ("unpack", vec![subschema::<consign::operations::unpack::Unpacked>(&mut generator)]),
        ("encrypt", vec![subschema::<consign::operations::encrypt::EncryptedBundle>(&mut generator)]),
        ("decrypt", vec![subschema::<consign::operations::decrypt::Decrypted>(&mut generator)]),
        ("policy", vec![subschema::<policy::Shown>(&mut generator)]),
        ("preflight", vec![subschema::<consign::operations::preflight::Foreseen>(&mut generator)]),
        (
            "store",
            vec![
                subschema::<store::AddedToStore>(&mut generator),
                subschema::<store::StoreListed>(&mut generator),
                subschema::<store::StoreVerified>(&mut generator),
                subschema::<store::StoreCollected>(&mut generator),
            ],
        ),
        (
            "reconstruct",
            vec![
                subschema::<reconstruct::Reconstructed>(&mut generator),
                subschema::<reconstruct::custody::Held>(&mut generator),
            ],
        ),
        ("amend", vec![subschema::<consign::operations::amend::Amended>(&mut generator)]),
        (
            "submit",
            vec![
                subschema::<consign::operations::submit::Submitted>(&mut generator),
                subschema::<consign::operations::submit::Withdrawn>(&mut generator),
            ],
        ),
        ("receive", vec![subschema::<consign::operations::receive::Received>(&mut generator)]),
        ("receipt", vec![subschema::<receipt::Receipts>(&mut generator)]),
        ("diff", vec![subschema::<consign::operations::diff::Differences>(&mut generator)]),
        ("lineage", vec![subschema::<lineage::Walked>(&mut generator)]),
        ("revoke", vec![subschema::<consign::operations::revoke::Revoked>(&mut generator)]),
        (
            "trust",
            vec![
                subschema::<trust::Added>(&mut generator),
                subschema::<trust::Removed>(&mut generator),
                subschema::<trust::Listed>(&mut generator),
                subschema::<trust::show::Shown>(&mut generator),
                subschema::<trust::change::Changed>(&mut generator),
                subschema::<trust::change::Revoked>(&mut generator),
                subschema::<trust::change::Rotated>(&mut generator),
                subschema::<trust::check::Checked>(&mut generator),
                subschema::<trust::publish::Exported>(&mut generator),
                subschema::<trust::publish::Imported>(&mut generator),
            ],
        ),
        ("history", vec![subschema::<consign::operations::history::Told>(&mut generator)]),
        (
            "ledger",
            vec![
                subschema::<ledger::list::Listed>(&mut generator),
                subschema::<ledger::show::Shown>(&mut generator),
                subschema::<ledger::verify::Verified>(&mut generator),
                subschema::<ledger::prove::Proven>(&mut generator),
                subschema::<ledger::check_proof::Checked>(&mut generator),
                subschema::<ledger::check_consistency::Consistent>(&mut generator),
                subschema::<ledger::export::Exported>(&mut generator),
                subschema::<ledger::alerts::Alerted>(&mut generator),
                subschema::<ledger::add::Joined>(&mut generator),
                subschema::<ledger::drop::Dropped>(&mut generator),
                subschema::<ledger::find::Answer>(&mut generator),
                subschema::<ledger::add_receipt::Added>(&mut generator),
            ],
        ),
        // A command line that names no command, or is wrong in itself.
        ("consign", vec![]),
    ];
    let documents = commands.map(|(command, mut results)| {
        results.push(json!({"type": "null"}));
        json!({"properties": {"command": {"const": command}, "result": {"anyOf": results}}})
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What consign prints with --json",
        "description": "One document on standard output, also on failure; `exit` is the exit code: 0 to 5, or 128 and the number of the signal that ended it.",
        "type": "object",
        "required": ["command", "exit", "problems", "result"],
        "additionalProperties": false,
        "properties": {
            "command": {"type": "string"},
            "exit": {"type": "integer", "minimum": 0, "maximum": 255},
            "problems": {"type": "array", "items": problem},
            "notes": {"type": "array", "items": problem},
            "events": {"type": "array", "items": event},
            "result": true,
        },
        "oneOf": documents,
        "$defs": generator.take_definitions(true),
    })
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

#[test]
fn the_schema_files_are_what_the_types_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas");
    for (name, schema) in [
        ("manifest", consign_metadata::manifest_schema()),
        ("statement", consign_signing::Statement::json_schema().to_value()),
        ("encrypted-statement", consign_signing::EncryptedStatement::json_schema().to_value()),
        ("policy", consign_policy::Policy::json_schema().to_value()),
        ("receipt", consign_signing::Receipt::json_schema().to_value()),
        ("revocation", consign_signing::Revocations::json_schema().to_value()),
        ("trust", consign_signing::TrustPolicy::json_schema().to_value()),
        ("trust-statement", consign_signing::trust_statement_schema().to_value()),
        ("event", consign_ledger::Event::json_schema().to_value()),
        ("output", output_schema()),
    ] {
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        let file = format!("{folder}/{name}.schema.json");
        let generated = format!("{schema:#}\n");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&file, &generated).expect("schemas/ can be written");
        }
        let stored = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            stored == generated,
            "{file} differs from what the types say; run the tests again with UPDATE_SCHEMAS=1"
        );
    }
}
