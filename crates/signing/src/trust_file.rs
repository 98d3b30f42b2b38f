//! `trust.toml`: whose signatures count, and in which roles.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::ops::Range;

use consign_metadata::{Line, Problem, Role, did_you_mean, printable};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fingerprint::Fingerprint;
use crate::public_key::PublicKey;
use crate::time::Timestamp;
use crate::trust_policy::{Root, TrustImport, TrustPolicy, TrustedKey};
use crate::trust_rules::{BundlePattern, Demand, Requirement, Rule};
use crate::validity::KeyRevocation;
use crate::wire::INTEGER_MAX;

/// Largest trust file, in bytes.
pub const TRUST_BYTES_MAX: usize = 1 << 20;
/// Most rules in a trust file.
pub const TRUST_RULES_MAX: usize = 256;
/// Most roles that one rule asks for.
const REQUIREMENTS_MAX: usize = 16;
/// The format that this version reads and writes.
const FORMAT: u64 = 1;
const TOP_FIELDS: [&str; 8] = ["format", "name", "version", "expires", "root", "key", "rule", "import"];
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
        if text.len() > TRUST_BYTES_MAX {
            let message = format!("the file is larger than {TRUST_BYTES_MAX} bytes");
            return Err(vec![Problem::new("trust-too-large", message)]);
        }
        let mut reader = Reader::new(text);
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                reader.report("trust-syntax", error.span().unwrap_or_default(), &printable(error.message()));
                return Err(reader.problems);
            }
        };
        let policy = reader.policy(&table);
        reader.problems.sort_by_key(|problem| problem.line);
        if reader.problems.is_empty() { Ok(policy) } else { Err(reader.problems) }
    }

    /// The policy as `trust.toml`, which [`parse`](Self::parse) reads to the same value. What was imported is
    /// not written, only where it acts.
    pub fn to_toml(&self) -> String {
        let mut text = Writer(format!("format = {FORMAT}\n"));
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
            text.optional("revoked", key.revoked.as_ref().map(revoked));
        }
        for Rule { bundles, demand } in &self.rules {
            text.field("\n[[rule]]\nbundles", quoted(bundles));
            if !demand.require.is_empty() {
                let requirements: Vec<_> = demand.require.iter().map(requirement).collect();
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
        revoked(revocation)
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
                "format": {"const": FORMAT},
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
                                "reason": {"enum": crate::RevocationReason::WORDS},
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

fn revoked(KeyRevocation { at, reason, note }: &KeyRevocation) -> String {
    let note = note.as_ref().map_or_else(String::new, |note| format!(", note = {}", quoted(note)));
    format!("{{ at = {at}, reason = {}{note} }}", quoted(reason))
}

fn requirement(Requirement { role, keys, owners }: &Requirement) -> String {
    let owners = owners.map_or_else(String::new, |owners| format!(", owners = {owners}"));
    format!("{{ role = {}, keys = {keys}{owners} }}", quoted(role))
}

/// A table's fields by name, each with its place.
type Fields<'a> = BTreeMap<&'a str, &'a Spanned<DeValue<'a>>>;

/// Collects what is wrong while it reads.
struct Reader {
    /// Where the line feeds are.
    line_feeds: Vec<usize>,
    problems: Vec<Problem>,
}

impl Reader {
    fn new(text: &str) -> Self {
        Self { line_feeds: text.match_indices('\n').map(|(at, _)| at).collect(), problems: Vec::new() }
    }

    fn policy(&mut self, table: &Spanned<DeTable<'_>>) -> TrustPolicy {
        let mut policy = TrustPolicy::default();
        // The format first: in another one, the other fields may mean something else.
        match table.get_ref().get("format") {
            Some(value) if integer(value.get_ref()) == Some(FORMAT) => {}
            Some(value) => {
                let message = format!("`format` is not {FORMAT}; the file was made for another version");
                self.report("trust-format", value.span(), &message);
                return policy;
            }
            None => {
                let message = format!("`format` is missing; write `format = {FORMAT}`");
                self.report("missing-field", 0..0, &message);
            }
        }
        let fields = self.fields(table.get_ref(), &TOP_FIELDS);
        policy.name = self.optional(&fields, "name", Self::line).flatten();
        policy.version = self.optional(&fields, "version", Self::version).flatten();
        policy.expires = self.optional(&fields, "expires", Self::time).flatten();
        for (table, span) in self.tables(&fields, "key") {
            if let Some(key) = self.key(table, span.clone())
                && let Err(error) = policy.add(key)
            {
                self.report(error.code(), span, &error.to_string());
            }
        }
        for (index, (table, span)) in self.tables(&fields, "rule").into_iter().enumerate() {
            if index == TRUST_RULES_MAX {
                self.report("trust-rules", span, &format!("there are more than {TRUST_RULES_MAX} rules"));
                break;
            }
            policy.rules.extend(self.rule(table, span));
        }
        for (table, span) in self.tables(&fields, "import") {
            if let Some(import) = self.import(table, span.clone())
                && let Err(error) = policy.add_import(import)
            {
                self.report(error.code(), span, &error.to_string());
            }
        }
        // Last, since it names keys; where a key is faulty, that it is not there follows from it.
        let faulty = !self.problems.is_empty();
        if let Some(value) = fields.get("root")
            && let Some(root) = self.root(value)
        {
            match policy.check_root(&root) {
                Err(error) if !faulty => self.report(error.code(), value.span(), &error.to_string()),
                _ => policy.root = Some(root),
            }
        }
        policy
    }

    /// The tables of a list such as `[[key]]`, each with its place.
    fn tables<'t>(&mut self, fields: &Fields<'t>, name: &str) -> Vec<(&'t DeTable<'t>, Range<usize>)> {
        let Some(value) = fields.get(name) else { return Vec::new() };
        let message = format!("`{name}` is a list of tables: `[[{name}]]`");
        let Some(list) = value.get_ref().as_array() else {
            self.report("wrong-type", value.span(), &message);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for entry in list {
            match entry.get_ref().as_table() {
                Some(table) => tables.push((table, entry.span())),
                None => self.report("wrong-type", entry.span(), &message),
            }
        }
        tables
    }

    fn key(&mut self, table: &DeTable<'_>, span: Range<usize>) -> Option<TrustedKey> {
        let fields = self.fields(table, &KEY_FIELDS);
        // All are read before any is missed, so that all problems come out at once.
        let name = self.required(&fields, "name", &span, "key", Self::line);
        let public_key = self.required(&fields, "public_key", &span, "key", Self::public_key);
        let roles = self.required(&fields, "roles", &span, "key", Self::roles);
        let owner = self.optional(&fields, "owner", Self::line);
        let organization = self.optional(&fields, "organization", Self::line);
        let created = self.optional(&fields, "created", Self::time);
        let not_before = self.optional(&fields, "not_before", Self::time);
        let not_after = self.optional(&fields, "not_after", Self::time);
        let revoked = self.optional(&fields, "revoked", Self::revoked);
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

    fn revoked(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<KeyRevocation> {
        let table = self.table(name, value, "{ at = …, reason = \"superseded\" }")?;
        let fields = self.fields(table, &REVOKED_FIELDS);
        let span = value.span();
        let at = self.required(&fields, "at", &span, "revocation", Self::time);
        let reason = self.required(&fields, "reason", &span, "revocation", Self::reason);
        let note = self.optional(&fields, "note", Self::line);
        Some(KeyRevocation { at: at?, reason: reason?, note: note? })
    }

    fn rule(&mut self, table: &DeTable<'_>, span: Range<usize>) -> Option<Rule> {
        let fields = self.fields(table, &RULE_FIELDS);
        let bundles = self.required(&fields, "bundles", &span, "rule", Self::pattern);
        let require = self.optional(&fields, "require", Self::requirements);
        let keys = self.optional(&fields, "keys", Self::count);
        let owners = self.optional(&fields, "owners", Self::count);
        let (bundles, require, keys, owners) = (bundles?, require?, keys?, owners?);
        if require.is_none() && keys.is_none() && owners.is_none() {
            let message = "the rule asks for nothing: give it `require`, `keys` or `owners`";
            self.report("trust-rule-empty", span, message);
            return None;
        }
        Some(Rule { bundles, demand: Demand { require: require.unwrap_or_default(), keys, owners } })
    }

    fn requirements(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Vec<Requirement>> {
        let list = self.array(name, value, "[{ role = \"owner\", keys = 1 }]")?;
        if list.is_empty() || list.len() > REQUIREMENTS_MAX {
            let message = format!("`{name}` asks for 1 to {REQUIREMENTS_MAX} roles");
            self.report("trust-rule-empty", value.span(), &message);
            return None;
        }
        let mut all = Some(Vec::new());
        for item in list {
            let one = self.requirement(item);
            all = all.zip(one).map(|(mut all, one): (Vec<Requirement>, _)| {
                all.push(one);
                all
            });
        }
        let all = all?;
        let twice = (0..all.len()).find(|&n| all[..n].iter().any(|earlier| earlier.role == all[n].role));
        if let Some(n) = twice {
            let message = format!("the role `{}` is listed twice", all[n].role);
            self.report("trust-role-twice", list[n].span(), &message);
            return None;
        }
        Some(all)
    }

    fn requirement(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Requirement> {
        let table = self.table("require", value, "{ role = \"owner\", keys = 1 }")?;
        let fields = self.fields(table, &REQUIREMENT_FIELDS);
        let role = self.required(&fields, "role", &value.span(), "requirement", Self::role);
        let keys = self.optional(&fields, "keys", Self::count);
        let owners = self.optional(&fields, "owners", Self::count);
        let (role, keys, owners) = (role?, keys?, owners?);
        let keys = keys.or(owners).unwrap_or(NonZeroU32::MIN);
        if owners.is_some_and(|owners| owners > keys) {
            let message = "`owners` is more than `keys`: so few keys cannot have so many owners";
            self.report("trust-threshold", value.span(), message);
            return None;
        }
        Some(Requirement { role, keys, owners })
    }

    fn root(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Root> {
        let table = self.table("root", value, "[root]")?;
        let fields = self.fields(table, &ROOT_FIELDS);
        let keys = self.required(&fields, "keys", &value.span(), "root", Self::lines);
        let threshold = self.required(&fields, "threshold", &value.span(), "root", Self::count);
        Some(Root { keys: keys?, threshold: threshold? })
    }

    fn import(&mut self, table: &DeTable<'_>, span: Range<usize>) -> Option<TrustImport> {
        let fields = self.fields(table, &IMPORT_FIELDS);
        let name = self.required(&fields, "name", &span, "import", Self::line);
        let bundles = self.required(&fields, "bundles", &span, "import", Self::pattern);
        let roles = self.required(&fields, "roles", &span, "import", Self::roles);
        let root = self.required(&fields, "root", &span, "import", Self::fingerprints);
        let threshold = self.required(&fields, "threshold", &span, "import", Self::count);
        Some(TrustImport::new(name?, bundles?, roles?, root?, threshold?))
    }

    /// The fields of a table; those that do not exist are reported.
    fn fields<'t>(&mut self, table: &'t DeTable<'t>, known: &[&'static str]) -> Fields<'t> {
        let mut fields = Fields::new();
        for (name, value) in table {
            let text: &str = name.get_ref();
            if known.contains(&text) {
                fields.insert(text, value);
                continue;
            }
            let message = format!("unknown field `{}`", printable(text));
            let mut problem = Problem::new("unknown-field", message).line(self.line_of(&name.span()));
            if let Some(near) = did_you_mean(text, known.iter().copied()) {
                problem = problem.hint(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        fields
    }

    fn required<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        table: &Range<usize>,
        of: &str,
        read: fn(&mut Self, &'static str, &Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Option<T> {
        match fields.get(name) {
            Some(value) => read(self, name, value),
            None => {
                self.report("missing-field", table.clone(), &format!("the {of} has no `{name}`"));
                None
            }
        }
    }

    /// `Some(None)` if the field is absent, `None` if it is there and wrong.
    fn optional<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        read: fn(&mut Self, &'static str, &Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Option<Option<T>> {
        match fields.get(name) {
            Some(value) => read(self, name, value).map(Some),
            None => Some(None),
        }
    }

    fn string<'v>(&mut self, name: &str, value: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.report("wrong-type", value.span(), &format!("`{name}` is not a text in quotes"));
        }
        text
    }

    fn line(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Line> {
        let line = self.string(name, value)?.parse();
        line.map_err(|e| self.report("invalid-text", value.span(), &format!("`{name}` {e}"))).ok()
    }

    fn public_key(&mut self, _: &'static str, value: &Spanned<DeValue<'_>>) -> Option<PublicKey> {
        let key = self.string("public_key", value)?.parse::<PublicKey>();
        key.map_err(|error| {
            let line = self.line_of(&value.span());
            self.problems.push(error.problem().at("public_key").line(line));
        })
        .ok()
    }

    fn role(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Role> {
        let role = self.string(name, value)?.parse();
        role.map_err(|e: consign_metadata::TextError| {
            self.report("invalid-text", value.span(), &e.to_string());
        })
        .ok()
    }

    fn roles(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Vec<Role>> {
        self.list(name, value, "[\"owner\", \"release\"]", |reader, item| reader.role("a role", item))
    }

    fn lines(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Vec<Line>> {
        self.list(name, value, "[\"ada-2026\"]", |reader, item| reader.line("a name", item))
    }

    fn fingerprints(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Vec<Fingerprint>> {
        let mut seen = Vec::new();
        self.list(name, value, "[\"SHA256:…\"]", |reader, item| {
            let print = reader.string("a fingerprint", item)?.parse::<Fingerprint>();
            let print = print.map_err(|e| reader.report("fingerprint", item.span(), &e.to_string())).ok()?;
            // Twice the same would let one key count for two.
            if seen.contains(&print) {
                reader.report("trust-root-twice", item.span(), "the fingerprint is listed twice");
                return None;
            }
            seen.push(print);
            Some(print)
        })
    }

    fn pattern(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<BundlePattern> {
        let pattern = self.string(name, value)?.parse::<BundlePattern>();
        pattern.map_err(|e| self.report("bundle-pattern", value.span(), &format!("`{name}`: {e}"))).ok()
    }

    fn reason(
        &mut self,
        name: &'static str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<crate::RevocationReason> {
        let reason = self.string(name, value)?.parse();
        let report = |e| self.report("revocation-reason", value.span(), &format!("`{name}` {e}"));
        reason.map_err(report).ok()
    }

    fn time(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Timestamp> {
        let text = match value.get_ref() {
            DeValue::Datetime(time) => time.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => {
                let message = format!("`{name}` is not a time, such as 2026-11-22T03:00:00Z");
                self.report("wrong-type", value.span(), &message);
                return None;
            }
        };
        let time = text.parse::<Timestamp>();
        time.map_err(|e| self.report("invalid-time", value.span(), &format!("`{name}`: {e}"))).ok()
    }

    fn version(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<u64> {
        let number = integer(value.get_ref()).filter(|number| (1..=INTEGER_MAX).contains(number));
        if number.is_none() {
            let message = format!("`{name}` is not a whole number from 1 to {INTEGER_MAX}");
            self.report("trust-version", value.span(), &message);
        }
        number
    }

    /// How many keys or owners: none is not an answer.
    fn count(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<NonZeroU32> {
        let number = integer(value.get_ref()).and_then(|number| u32::try_from(number).ok());
        let number = number.and_then(NonZeroU32::new);
        if number.is_none() {
            self.report(
                "trust-threshold",
                value.span(),
                &format!("`{name}` is not a whole number from 1 on"),
            );
        }
        number
    }

    fn list<T>(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        such_as: &str,
        mut read: impl FnMut(&mut Self, &Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = self.array(name, value, such_as)?;
        let mut all = Some(Vec::new());
        for item in list {
            let one = read(self, item);
            all = all.zip(one).map(|(mut all, one)| {
                all.push(one);
                all
            });
        }
        all
    }

    fn array<'v>(
        &mut self,
        name: &str,
        value: &'v Spanned<DeValue<'_>>,
        such_as: &str,
    ) -> Option<&'v toml::de::DeArray<'v>> {
        let list = value.get_ref().as_array();
        if list.is_none() {
            self.report("wrong-type", value.span(), &format!("`{name}` is not a list, such as `{such_as}`"));
        }
        list
    }

    fn table<'v>(
        &mut self,
        name: &str,
        value: &'v Spanned<DeValue<'_>>,
        such_as: &str,
    ) -> Option<&'v DeTable<'v>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.report("wrong-type", value.span(), &format!("`{name}` is not a table, such as `{such_as}`"));
        }
        table
    }

    fn report(&mut self, code: &'static str, at: Range<usize>, message: &str) {
        let line = self.line_of(&at);
        self.problems.push(Problem::new(code, message).line(line));
    }

    fn line_of(&self, at: &Range<usize>) -> usize {
        1 + self.line_feeds.partition_point(|&line_feed| line_feed < at.start)
    }
}

/// A plain decimal integer.
fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    (integer.radix() == 10).then(|| integer.as_str().parse().ok()).flatten()
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
