//! `trust.toml`: whose signatures count, and in which roles.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use consign_metadata::{Line, Problem, Role, did_you_mean, printable};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::public_key::PublicKey;

/// Largest trust file, in bytes.
pub const TRUST_BYTES_MAX: usize = 1 << 20;
/// The format that this version reads and writes.
const FORMAT: u64 = 1;
const TOP_FIELDS: [&str; 2] = ["format", "key"];
const KEY_FIELDS: [&str; 5] = ["name", "public_key", "owner", "organization", "roles"];

/// A key whose signatures count, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The name that this file gives the key; no other key in the file has it.
    pub name: Line,
    /// The key itself. Nothing else identifies it.
    pub public_key: PublicKey,
    /// The person or service that holds it.
    pub owner: Option<Line>,
    /// Their organization.
    pub organization: Option<Line>,
    /// The roles in which its signatures count; at least one.
    pub roles: Vec<Role>,
}

/// Whose signatures count, and in which roles: the content of `trust.toml`.
///
/// ```
/// use consign_signing::TrustPolicy;
/// let text = r#"
/// format = 1
///
/// [[key]]
/// name = "ada-2026"
/// owner = "Ada Lovelace"
/// public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
/// roles = ["owner", "release"]
/// "#;
/// let policy = TrustPolicy::parse(text).expect("it is well formed");
/// assert_eq!(policy.keys()[0].roles.len(), 2);
/// assert_eq!(TrustPolicy::parse(&policy.to_toml()), Ok(policy));
///
/// let problems = TrustPolicy::parse(&text.replace("roles", "rolls")).expect_err("a field is misspelled");
/// assert!(problems.iter().any(|p| p.hint.as_deref() == Some("did you mean `roles`?")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustPolicy {
    /// No name and no key twice.
    keys: Vec<TrustedKey>,
}

/// Why a key was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Another key has the name.
    #[error("the name `{0}` is taken by another key")]
    NameTaken(Line),
    /// The key is there already, under this name.
    #[error("the key is there already, under the name `{0}`")]
    KeyKnown(Line),
    /// The key would count for nothing.
    #[error("the key `{0}` has no roles, so its signatures would count for nothing")]
    NoRoles(Line),
    /// A role is listed twice.
    #[error("the role `{0}` is listed twice")]
    RoleTwice(Role),
}

impl TrustError {
    fn code(&self) -> &'static str {
        match self {
            Self::NameTaken(_) => "trust-name-taken",
            Self::KeyKnown(_) => "trust-key-known",
            Self::NoRoles(_) => "trust-no-roles",
            Self::RoleTwice(_) => "trust-role-twice",
        }
    }

    /// The same with a stable code.
    pub fn problem(&self) -> Problem {
        Problem::new(self.code(), self.to_string())
    }
}

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

    /// The policy as `trust.toml`, which [`parse`](Self::parse) reads to the same value.
    pub fn to_toml(&self) -> String {
        let mut text = format!("format = {FORMAT}\n");
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        for key in &self.keys {
            let mut field = |name: &str, value: &str| {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{name} = {value}");
            };
            field("\n[[key]]\nname", &quoted(key.name.as_str()));
            if let Some(owner) = &key.owner {
                field("owner", &quoted(owner.as_str()));
            }
            if let Some(organization) = &key.organization {
                field("organization", &quoted(organization.as_str()));
            }
            field("public_key", &quoted(key.public_key.to_openssh(None).trim_end()));
            let roles: Vec<String> = key.roles.iter().map(|role| quoted(role.as_str())).collect();
            field("roles", &format!("[{}]", roles.join(", ")));
        }
        text
    }

    /// All keys, in the order of the file.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// The entry of that key, found by the key itself.
    pub fn find(&self, key: &PublicKey) -> Option<&TrustedKey> {
        self.keys.iter().find(|known| known.public_key == *key)
    }

    /// The same with a key more.
    ///
    /// # Errors
    /// Its name or itself is there already, or it has no roles, or one twice.
    pub fn with_key(mut self, key: TrustedKey) -> Result<Self, TrustError> {
        self.add(key)?;
        Ok(self)
    }

    /// The same without the key of that name; `None` if there is none.
    #[must_use]
    pub fn without_key(&self, name: &str) -> Option<Self> {
        let keys: Vec<_> = self.keys.iter().filter(|key| key.name.as_str() != name).cloned().collect();
        (keys.len() < self.keys.len()).then_some(Self { keys })
    }

    /// The one place where a key comes in, from a file or from a command.
    fn add(&mut self, key: TrustedKey) -> Result<(), TrustError> {
        if let Some(known) = self.find(&key.public_key) {
            return Err(TrustError::KeyKnown(known.name.clone()));
        }
        if self.keys.iter().any(|known| known.name == key.name) {
            return Err(TrustError::NameTaken(key.name));
        }
        if key.roles.is_empty() {
            return Err(TrustError::NoRoles(key.name));
        }
        let twice = |(index, role): (usize, &Role)| key.roles[..index].contains(role).then(|| role.clone());
        if let Some(role) = key.roles.iter().enumerate().find_map(twice) {
            return Err(TrustError::RoleTwice(role));
        }
        self.keys.push(key);
        Ok(())
    }
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
        let Some(keys) = fields.get("key") else { return policy };
        let Some(keys_array) = keys.get_ref().as_array() else {
            self.report("wrong-type", keys.span(), "`key` is a list of tables: `[[key]]`");
            return policy;
        };
        for entry in keys_array {
            let Some(entry_table) = entry.get_ref().as_table() else {
                self.report("wrong-type", entry.span(), "`key` is a list of tables: `[[key]]`");
                continue;
            };
            if let Some(key) = self.key(entry_table, entry.span())
                && let Err(error) = policy.add(key)
            {
                self.report(error.code(), entry.span(), &error.to_string());
            }
        }
        policy
    }

    fn key(&mut self, table: &DeTable<'_>, span: Range<usize>) -> Option<TrustedKey> {
        let fields = self.fields(table, &KEY_FIELDS);
        // All are read before any is missed, so that all problems come out at once.
        let name = self.required(&fields, "name", &span, Self::line);
        let public_key = self.required(&fields, "public_key", &span, Self::public_key);
        let roles = self.required(&fields, "roles", &span, Self::roles);
        let owner = self.optional(&fields, "owner", Self::line);
        let organization = self.optional(&fields, "organization", Self::line);
        Some(TrustedKey {
            name: name?,
            public_key: public_key?,
            owner: owner?,
            organization: organization?,
            roles: roles?,
        })
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
        read: fn(&mut Self, &'static str, &Spanned<DeValue<'_>>) -> Option<T>,
    ) -> Option<T> {
        match fields.get(name) {
            Some(value) => read(self, name, value),
            None => {
                self.report("missing-field", table.clone(), &format!("the key has no `{name}`"));
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

    fn roles(&mut self, name: &'static str, value: &Spanned<DeValue<'_>>) -> Option<Vec<Role>> {
        let Some(list) = value.get_ref().as_array() else {
            let message = format!("`{name}` is not a list, such as `[\"owner\", \"release\"]`");
            self.report("wrong-type", value.span(), &message);
            return None;
        };
        let mut roles = Some(Vec::new());
        for item in list {
            let role = self.string("a role", item).and_then(|text| {
                let role = text.parse::<Role>();
                role.map_err(|e| self.report("invalid-text", item.span(), &e.to_string())).ok()
            });
            roles = roles.zip(role).map(|(mut roles, role)| {
                roles.push(role);
                roles
            });
        }
        roles
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

    fn entry(name: &str) -> TrustedKey {
        TrustedKey {
            name: name.parse().unwrap(),
            public_key: *key().public_key(),
            owner: Some("Ada \"the Countess\" Lovelace's \\ key".parse().unwrap()),
            organization: Some("Grüße & Söhne".parse().unwrap()),
            roles: vec!["owner".parse().unwrap(), "release".parse().unwrap()],
        }
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
