//! `trust.toml`: whose signatures count, and in which roles.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use consign_metadata::{Line, Problem, Role, TextError, TomlFormat, TomlReader, TomlTable, TomlValue};

use crate::fingerprint::{Fingerprint, FingerprintError};
use crate::public_key::{PublicKey, PublicKeyError};
use crate::time::Timestamp;
use crate::trust_policy::{Root, TrustImport, TrustPolicy, TrustedKey};
use crate::trust_rules::{BundlePattern, BundlePatternError, Demand, Requirement, Rule};
use crate::validity::{KeyRevocation, RevocationReason};
use crate::wire::INTEGER_MAX;

/// Largest trust file, in bytes.
pub const TRUST_BYTES_MAX: usize = 1 << 20;
/// Most rules in a trust file.
pub const TRUST_RULES_MAX: usize = 256;
/// Most roles that one rule asks for.
const REQUIREMENTS_MAX: usize = 16;
/// The format that this version reads and writes.
const FORMAT: TomlFormat = TomlFormat {
    version: 1,
    bytes_max: TRUST_BYTES_MAX,
    too_large: "trust-too-large",
    malformed: "trust-syntax",
    other_version: "trust-format",
};
const TOP_FIELDS: [&str; 7] = ["name", "version", "expires", "root", "key", "rule", "import"];
const KEY_FIELDS: [&str; 9] =
    ["name", "public_key", "owner", "organization", "roles", "created", "not_before", "not_after", "revoked"];
const REVOKED_FIELDS: [&str; 3] = ["at", "reason", "note"];
const RULE_FIELDS: [&str; 4] = ["bundles", "require", "keys", "owners"];
const REQUIREMENT_FIELDS: [&str; 3] = ["role", "keys", "owners"];
const ROOT_FIELDS: [&str; 2] = ["keys", "threshold"];
const IMPORT_FIELDS: [&str; 5] = ["name", "bundles", "roles", "root", "threshold"];

impl TrustPolicy {
    /// Reads `trust.toml`. An empty list of keys is allowed: it trusts nobody.
    ///
    /// # Errors
    /// All that is wrong, each with its line.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        FORMAT.read(text, &TOP_FIELDS, policy)
    }

    /// The policy as `trust.toml`, which [`parse`](Self::parse) reads to the same value. What was imported is
    /// not written, only where it acts.
    pub fn to_toml(&self) -> String {
        let mut text = Writer(format!("format = {}\n", FORMAT.version));
        text.optional("name", self.name.as_ref().map(quoted));
        text.optional("version", self.version);
        text.optional("expires", self.expires);
        if let Some(Root { keys, threshold }) = &self.root {
            text.field("\n[root]\nkeys", list(keys));
            text.field("threshold", threshold);
        }
        for key in &self.keys {
            text.field("\n[[key]]\nname", quoted(&key.name));
            text.optional("owner", key.owner.as_ref().map(quoted));
            text.optional("organization", key.organization.as_ref().map(quoted));
            text.field("public_key", quoted(key.public_key.to_openssh(None).trim_end()));
            text.field("roles", list(&key.roles));
            text.optional("created", key.created);
            text.optional("not_before", key.not_before);
            text.optional("not_after", key.not_after);
            text.optional("revoked", key.revoked.as_ref().map(revocation_toml));
        }
        for Rule { bundles, demand } in &self.rules {
            text.field("\n[[rule]]\nbundles", quoted(bundles));
            if !demand.require.is_empty() {
                let requirements: Vec<_> = demand.require.iter().map(requirement_toml).collect();
                text.field("require", format!("[{}]", requirements.join(", ")));
            }
            text.optional("keys", demand.keys);
            text.optional("owners", demand.owners);
        }
        for import in &self.imports {
            text.field("\n[[import]]\nname", quoted(&import.name));
            text.field("bundles", quoted(&import.bundles));
            text.field("roles", list(&import.roles));
            text.field("root", list(&import.root));
            text.field("threshold", import.threshold);
        }
        text.0
    }

    /// A revocation as it stands in the entry of a key, behind `revoked = `.
    pub fn revocation_toml(revocation: &KeyRevocation) -> String {
        revocation_toml(revocation)
    }

    /// The JSON Schema of `trust.toml`, for editors; what it cannot say is checked by [`parse`](Self::parse).
    pub fn json_schema() -> schemars::Schema {
        let time = serde_json::json!({
            "description": "A moment in UTC, to the second: a TOML date-time or the same in quotes.",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        });
        let line =
            serde_json::json!({"type": "string", "minLength": 1, "maxLength": consign_metadata::LINE_MAX});
        let role = serde_json::json!({"type": "string", "pattern": "^[a-z](?:[a-z0-9-]*[a-z0-9])?$", "maxLength": 64});
        let roles = serde_json::json!({"type": "array", "items": role, "minItems": 1, "uniqueItems": true});
        let count = serde_json::json!({"type": "integer", "minimum": 1, "maximum": u32::MAX});
        let pattern = serde_json::json!({
            "description": "A glob over bundle names, such as `acme-*`.",
            "type": "string",
            "pattern": r"^[a-z0-9._*?\[\]{},!-]+$",
            "maxLength": crate::trust_rules::BUNDLE_PATTERN_MAX,
        });
        let schema = serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Trust policy (trust.toml)",
            "description": "Whose signatures count, and in which roles.",
            "type": "object",
            "additionalProperties": false,
            "required": ["format"],
            "properties": {
                "format": {"const": FORMAT.version},
                "name": line,
                "version": {"type": "integer", "minimum": 1, "maximum": INTEGER_MAX},
                "expires": time,
                "root": {
                    "description": "Who may sign the next version.",
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["keys", "threshold"],
                    "properties": {
                        "keys": {"type": "array", "items": line, "minItems": 1, "uniqueItems": true},
                        "threshold": count,
                    },
                },
                "key": {"type": "array", "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "public_key", "roles"],
                    "properties": {
                        "name": line,
                        "public_key": {"description": "SPKI in PEM, or one line of OpenSSH.", "type": "string"},
                        "owner": line,
                        "organization": line,
                        "roles": roles,
                        "created": time,
                        "not_before": time,
                        "not_after": time,
                        "revoked": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["at", "reason"],
                            "properties": {
                                "at": time,
                                "reason": {"enum": RevocationReason::WORDS},
                                "note": line,
                            },
                        },
                    },
                }},
                "rule": {"type": "array", "maxItems": TRUST_RULES_MAX, "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["bundles"],
                    "minProperties": 2,
                    "properties": {
                        "bundles": pattern,
                        "require": {"type": "array", "minItems": 1, "maxItems": REQUIREMENTS_MAX, "items": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["role"],
                            "properties": {"role": role, "keys": count, "owners": count},
                        }},
                        "keys": count,
                        "owners": count,
                    },
                }},
                "import": {"type": "array", "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "bundles", "roles", "root", "threshold"],
                    "properties": {
                        "name": line,
                        "bundles": pattern,
                        "roles": roles,
                        "root": {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true},
                        "threshold": count,
                    },
                }},
            },
        });
        schemars::Schema::try_from(schema).unwrap_or_default()
    }
}

/// TOML as it is written.
struct Writer(String);

impl Writer {
    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name} = {value}");
    }

    fn optional(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        value.into_iter().for_each(|value| self.field(name, value));
    }
}

fn quoted(text: impl std::fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn list(items: &[impl std::fmt::Display]) -> String {
    format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

fn revocation_toml(KeyRevocation { at, reason, note }: &KeyRevocation) -> String {
    let note = note.as_ref().map_or_else(String::new, |note| format!(", note = {}", quoted(note)));
    format!("{{ at = {at}, reason = {}{note} }}", quoted(reason))
}

fn requirement_toml(Requirement { role, keys, owners }: &Requirement) -> String {
    let owners = owners.map_or_else(String::new, |owners| format!(", owners = {owners}"));
    format!("{{ role = {}, keys = {keys}{owners} }}", quoted(role))
}

fn policy(reader: &mut TomlReader, file: &TomlTable<'_>) -> TrustPolicy {
    let mut policy = TrustPolicy {
        name: reader.optional(file, "name", TomlReader::line).flatten(),
        version: reader.optional(file, "version", version).flatten(),
        expires: reader.optional(file, "expires", time).flatten(),
        ..TrustPolicy::default()
    };
    for table in reader.tables(file, "key", "key", &KEY_FIELDS) {
        if let Some(key) = key(reader, &table)
            && let Err(error) = policy.add(key)
        {
            reader.report(error.code(), table.at(), error.to_string());
        }
    }
    for (index, table) in reader.tables(file, "rule", "rule", &RULE_FIELDS).iter().enumerate() {
        if index == TRUST_RULES_MAX {
            let message = format!("there are more than {TRUST_RULES_MAX} rules");
            reader.report("trust-rules", table.at(), message);
            break;
        }
        policy.rules.extend(rule(reader, table));
    }
    for table in reader.tables(file, "import", "import", &IMPORT_FIELDS) {
        if let Some(import) = import(reader, &table)
            && let Err(error) = policy.add_import(import)
        {
            reader.report(error.code(), table.at(), error.to_string());
        }
    }
    // Last, since it names keys; where a key is faulty, that it is not there follows from it.
    let faulty = reader.is_faulty();
    if let Some(value) = file.get("root")
        && let Some(root) = root(reader, value)
    {
        match policy.check_root(&root) {
            Err(error) if !faulty => reader.report(error.code(), value.at(), error.to_string()),
            _ => policy.root = Some(root),
        }
    }
    policy
}

fn key(reader: &mut TomlReader, table: &TomlTable<'_>) -> Option<TrustedKey> {
    // All are read before any is missed, so that all problems come out at once.
    let name = reader.required(table, "name", TomlReader::line);
    let public_key = reader.required(table, "public_key", public_key);
    let roles = reader.required(table, "roles", roles);
    let owner = reader.optional(table, "owner", TomlReader::line);
    let organization = reader.optional(table, "organization", TomlReader::line);
    let created = reader.optional(table, "created", time);
    let not_before = reader.optional(table, "not_before", time);
    let not_after = reader.optional(table, "not_after", time);
    let revoked = reader.optional(table, "revoked", revocation);
    Some(TrustedKey {
        name: name?,
        public_key: public_key?,
        owner: owner?,
        organization: organization?,
        roles: roles?,
        created: created?,
        not_before: not_before?,
        not_after: not_after?,
        revoked: revoked?,
    })
}

fn revocation(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<KeyRevocation> {
    let otherwise = "is not a table, such as `{ at = …, reason = \"superseded\" }`";
    let table = reader.table(value, "revocation", &REVOKED_FIELDS, otherwise)?;
    let at = reader.required(&table, "at", time);
    let reason = reader.required(&table, "reason", reason);
    let note = reader.optional(&table, "note", TomlReader::line);
    Some(KeyRevocation { at: at?, reason: reason?, note: note? })
}

fn rule(reader: &mut TomlReader, table: &TomlTable<'_>) -> Option<Rule> {
    let bundles = reader.required(table, "bundles", pattern);
    let require = reader.optional(table, "require", requirements);
    let keys = reader.optional(table, "keys", count);
    let owners = reader.optional(table, "owners", count);
    let (bundles, require, keys, owners) = (bundles?, require?, keys?, owners?);
    if require.is_none() && keys.is_none() && owners.is_none() {
        let message = "the rule asks for nothing: give it `require`, `keys` or `owners`";
        reader.report("trust-rule-empty", table.at(), message);
        return None;
    }
    Some(Rule { bundles, demand: Demand { require: require.unwrap_or_default(), keys, owners } })
}

fn requirements(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Vec<Requirement>> {
    let otherwise = "is not a list, such as `[{ role = \"owner\", keys = 1 }]`";
    let items = reader.items(value, value.name(), otherwise)?;
    if items.is_empty() || items.len() > REQUIREMENTS_MAX {
        let message = format!("`{}` asks for 1 to {REQUIREMENTS_MAX} roles", value.name());
        reader.report("trust-rule-empty", value.at(), message);
        return None;
    }
    let all = reader.each(&items, requirement)?;
    let twice = (0..all.len()).find(|&n| all[..n].iter().any(|earlier| earlier.role == all[n].role));
    if let Some(n) = twice {
        let message = format!("the role `{}` is listed twice", all[n].role);
        reader.report("trust-role-twice", items[n].at(), message);
        return None;
    }
    Some(all)
}

fn requirement(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Requirement> {
    let otherwise = "is not a table, such as `{ role = \"owner\", keys = 1 }`";
    let table = reader.table(value, "requirement", &REQUIREMENT_FIELDS, otherwise)?;
    let role = reader.required(&table, "role", role);
    let keys = reader.optional(&table, "keys", count);
    let owners = reader.optional(&table, "owners", count);
    let (role, keys, owners) = (role?, keys?, owners?);
    let keys = keys.or(owners).unwrap_or(NonZeroU32::MIN);
    if owners.is_some_and(|owners| owners > keys) {
        let message = "`owners` is more than `keys`: so few keys cannot have so many owners";
        reader.report("trust-threshold", value.at(), message);
        return None;
    }
    Some(Requirement { role, keys, owners })
}

fn root(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Root> {
    let table = reader.table(value, "root", &ROOT_FIELDS, "is not a table, such as `[root]`")?;
    let keys = reader.required(&table, "keys", lines);
    let threshold = reader.required(&table, "threshold", count);
    Some(Root { keys: keys?, threshold: threshold? })
}

fn import(reader: &mut TomlReader, table: &TomlTable<'_>) -> Option<TrustImport> {
    let name = reader.required(table, "name", TomlReader::line);
    let bundles = reader.required(table, "bundles", pattern);
    let roles = reader.required(table, "roles", roles);
    let root = reader.required(table, "root", fingerprints);
    let threshold = reader.required(table, "threshold", count);
    Some(TrustImport::new(name?, bundles?, roles?, root?, threshold?))
}

fn public_key(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<PublicKey> {
    reader.parsed(value, |error: PublicKeyError| error.problem().at(value.name()))
}

fn role(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Role> {
    reader.parsed(value, |error: TextError| Problem::new("invalid-text", error.to_string()))
}

fn roles(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Vec<Role>> {
    let items = reader.items(value, "a role", "is not a list, such as `[\"owner\", \"release\"]`")?;
    reader.each(&items, role)
}

fn lines(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Vec<Line>> {
    let items = reader.items(value, "a name", "is not a list, such as `[\"ada-2026\"]`")?;
    reader.each(&items, TomlReader::line)
}

fn fingerprints(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Vec<Fingerprint>> {
    let items = reader.items(value, "a fingerprint", "is not a list, such as `[\"SHA256:…\"]`")?;
    let mut seen = Vec::new();
    reader.each(&items, |reader, item| {
        let problem = |error: FingerprintError| Problem::new("fingerprint", error.to_string());
        let print: Fingerprint = reader.parsed(item, problem)?;
        // Twice the same would let one key count for two.
        if seen.contains(&print) {
            reader.report("trust-root-twice", item.at(), "the fingerprint is listed twice");
            return None;
        }
        seen.push(print);
        Some(print)
    })
}

fn pattern(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<BundlePattern> {
    reader.parsed(value, |error: BundlePatternError| {
        Problem::new("bundle-pattern", format!("`{}`: {error}", value.name()))
    })
}

fn reason(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<RevocationReason> {
    reader.parsed(value, |error| Problem::new("revocation-reason", format!("`{}` {error}", value.name())))
}

fn time(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<Timestamp> {
    let name = value.name();
    let Some(text) = value.as_text_or_time() else {
        let message = format!("`{name}` is not a time, such as 2026-11-22T03:00:00Z");
        reader.report("wrong-type", value.at(), message);
        return None;
    };
    let time = text.parse::<Timestamp>();
    time.map_err(|error| reader.report("invalid-time", value.at(), format!("`{name}`: {error}"))).ok()
}

fn version(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<u64> {
    let number = value.as_integer().filter(|number| (1..=INTEGER_MAX).contains(number));
    if number.is_none() {
        let message = format!("`{}` is not a whole number from 1 to {INTEGER_MAX}", value.name());
        reader.report("trust-version", value.at(), message);
    }
    number
}

/// How many keys or owners: none is not an answer.
fn count(reader: &mut TomlReader, value: TomlValue<'_>) -> Option<NonZeroU32> {
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    let number = number.and_then(NonZeroU32::new);
    if number.is_none() {
        let message = format!("`{}` is not a whole number from 1 on", value.name());
        reader.report("trust-threshold", value.at(), message);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::Signer as _;
    use crate::testing::key;
    use crate::trust_policy::TrustError;

    fn entry(name: &str) -> TrustedKey {
        let roles = vec!["owner".parse().unwrap(), "release".parse().unwrap()];
        let mut entry = TrustedKey::new(name.parse().unwrap(), *key().public_key(), roles);
        entry.owner = Some("Ada \"the Countess\" Lovelace's \\ key".parse().unwrap());
        entry.organization = Some("Grüße & Söhne".parse().unwrap());
        entry
    }

    fn codes(text: &str) -> Vec<(&'static str, usize)> {
        let problems = TrustPolicy::parse(text).unwrap_err();
        problems.iter().map(|problem| (problem.code, problem.line.unwrap())).collect()
    }

    fn line() -> String {
        key().public_key().to_openssh(None).trim_end().to_owned()
    }

    #[test]
    fn a_policy_is_what_it_was() {
        let mut bare = entry("b");
        (bare.owner, bare.organization) = (None, None);
        let policy = TrustPolicy::default().with_key(entry("a")).unwrap().with_key(bare).unwrap();
        assert_eq!(TrustPolicy::parse(&policy.to_toml()), Ok(policy.clone()), "{}", policy.to_toml());
        let empty = TrustPolicy::default();
        assert_eq!(TrustPolicy::parse(&empty.to_toml()), Ok(empty));
        let without = policy.without_key("a").unwrap();
        assert_eq!(without.keys().len(), 1);
        assert_eq!(without.without_key("a"), None);
    }

    #[test]
    fn keys_may_be_written_as_pem() {
        let key = *key().public_key();
        let text = format!(
            "format = 1\n[[key]]\nname = 'a'\nroles = ['owner']\npublic_key = \"\"\"\n{}\"\"\"\n",
            key.to_spki_pem()
        );
        assert_eq!(TrustPolicy::parse(&text).unwrap().keys()[0].public_key, key);
    }

    #[test]
    fn names_and_keys_stand_once() {
        let first = entry("a");
        let mut same_key = first.clone();
        same_key.name = "b".parse().unwrap();
        let policy = TrustPolicy::default().with_key(first.clone()).unwrap();
        assert_eq!(policy.clone().with_key(same_key.clone()), Err(TrustError::KeyKnown(first.name.clone())));
        assert_eq!(policy.clone().with_key(entry("a")), Err(TrustError::NameTaken(first.name.clone())));
        let mut idle = entry("c");
        idle.roles.clear();
        assert!(matches!(policy.clone().with_key(idle), Err(TrustError::NoRoles(_))));
        let mut twice = entry("d");
        twice.roles.push("owner".parse().unwrap());
        assert!(matches!(policy.clone().with_key(twice), Err(TrustError::RoleTwice(_))));

        // One key under two names, also when its text differs.
        let table = |name: &str, key: &str| {
            format!("[[key]]\nname = '{name}'\npublic_key = '''{key}'''\nroles = ['x']\n")
        };
        let key = first.public_key;
        let text =
            format!("format = 1\n{}{}", table("a", &key.to_openssh(None)), table("b", &key.to_spki_pem()));
        assert_eq!(codes(&text).first().unwrap().0, "trust-key-known");
        let text = format!("format = 1\n{}{}", table("a", &line()), table("a", &line()));
        assert_eq!(codes(&text), [("trust-name-taken", 6)]);
    }

    #[test]
    fn all_problems_come_at_once_with_their_lines() {
        let text = format!(
            concat!(
                "format = 1\n",                  // 1
                "default = true\n",              // 2
                "[[key]]\n",                     // 3
                "name = ' a'\n",                 // 4
                "public_key = 'ssh-rsa AAAA'\n", // 5
                "role = ['owner']\n",            // 6
                "[[key]]\n",                     // 7
                "name = 3\n",                    // 8
                "public_key = '{}'\n",           // 9
                "roles = ['Owner', 7]\n",        // 10
                "[[key]]\n",                     // 11
                "name = 'c'\n",                  // 12
                "public_key = '{}'\n",           // 13
                "roles = []\n",                  // 14
            ),
            line(),
            line()
        );
        assert_eq!(
            codes(&text),
            [
                ("unknown-field", 2),
                ("missing-field", 3),
                ("invalid-text", 4),
                ("key-type", 5),
                ("unknown-field", 6),
                ("wrong-type", 8),
                ("invalid-text", 10),
                ("wrong-type", 10),
                ("trust-no-roles", 11),
            ]
        );
        let problems = TrustPolicy::parse(&text).unwrap_err();
        assert_eq!(problems[4].hint.as_deref(), Some("did you mean `roles`?"));
    }

    #[test]
    fn the_format_is_read_first() {
        assert_eq!(codes("format = 2\nunheard = 'of'\n"), [("trust-format", 1)]);
        assert_eq!(codes("format = '1'\n"), [("trust-format", 1)]);
        assert_eq!(codes("format = 0x1\n"), [("trust-format", 1)]);
        assert_eq!(codes(""), [("missing-field", 1)]);
        assert_eq!(codes("format = 1\nformat = 1\n").first().unwrap().0, "trust-syntax");
        assert_eq!(codes("format = 1\n[key]\nname = 'a'\n"), [("wrong-type", 2)]);
        assert_eq!(codes("format = 1\nkey = [1]\n"), [("wrong-type", 2)]);
        assert_eq!(codes("format = 1\n= 2\n"), [("trust-syntax", 2)]);
    }

    #[test]
    fn private_keys_are_not_taken() {
        let pem = key().to_pkcs8_pem().unwrap();
        let text = format!("format = 1\n[[key]]\nname = 'a'\nroles = ['x']\npublic_key = '''{}'''\n", *pem);
        assert_eq!(codes(&text), [("private-key-given", 5)]);
    }
}
