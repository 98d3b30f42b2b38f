//! From the text of `policy.toml` to a [`Policy`]: every part must fit every other.

use std::collections::{BTreeMap, BTreeSet};

use consign_metadata::pattern::{Subject, compile};
use consign_metadata::{
    Classification, Problem, RuleId, Scheme, Sha256Digest, TextProblems, did_you_mean, printable,
};
use consign_signing::PublicKey;
use globset::GlobMatcher;
use toml::Spanned;

use crate::decision::RuleName;
use crate::document::{
    AcceptDocument, Action, Demand, Document, FieldsDocument, FindingRule, LevelDocument, Listing,
};
use crate::level::{Fields, Level};
use crate::policy::{
    Accept, Category, Destination, Marking, POLICY_BYTES_MAX, Policy, Recipient, Signer, SourceRule, sound,
};

/// The four levels of the guidance with what they demand by default.
const BUILTIN: &str = include_str!("../../../examples/policies/default.toml");

/// Why a text is not a policy: all that is wrong, each with its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy has {} problems", .0.len())]
pub struct PolicyError(pub Vec<Problem>);

impl Policy {
    /// Reads `policy.toml`.
    ///
    /// ```
    /// use consign_policy::Policy;
    /// let error = Policy::parse("format = 1\nname = \"ours\"\n[[level]]\nname = \"open\"\nencription = \"required\"\n");
    /// assert_eq!(error.unwrap_err().0[0].line, Some(5));
    /// ```
    ///
    /// # Errors
    /// All that is wrong, each with its line; of errors of syntax the first.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            let message = format!("the file is larger than {POLICY_BYTES_MAX} bytes");
            return Err(PolicyError(vec![Problem::new("policy-too-large", message)]));
        }
        let mut reader = Reader { problems: TextProblems::of(text), warnings: Vec::new() };
        let document: Document = match toml::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                reader.report("policy-malformed", error.span(), &printable(error.message()));
                return Err(PolicyError(reader.problems.into_vec()));
            }
        };
        let policy = reader.policy(&document);
        match policy {
            Some(policy) if reader.problems.is_empty() => {
                Ok(Self { warnings: reader.warnings, digest: Sha256Digest::of(text.as_bytes()), ..policy })
            }
            _ => Err(PolicyError(reader.problems.into_vec())),
        }
    }

    /// The policy that applies where nobody has written one: the four levels of the guidance.
    ///
    /// # Errors
    /// None in a program whose tests pass: the text is part of it.
    pub fn builtin() -> Result<Self, PolicyError> {
        Self::parse(BUILTIN)
    }

    /// The JSON Schema of policy files, as JSON has them: TOML's tables are objects.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(Document)
    }

    /// The text of [`Policy::builtin`], to begin one's own with.
    pub fn builtin_text() -> &'static str {
        BUILTIN
    }
}

struct Reader {
    problems: TextProblems,
    warnings: Vec<String>,
}

impl Reader {
    fn report(&mut self, code: &'static str, span: Option<std::ops::Range<usize>>, message: &str) {
        self.problems.report(code, span, message);
    }

    fn policy(&mut self, document: &Document) -> Option<Policy> {
        if *document.format.get_ref() != 1 {
            let span = document.format.span();
            self.report(
                "policy-format",
                Some(span),
                "`format` is not 1; the file was made for another version",
            );
            return None;
        }
        let (scheme, levels, inherited) = if document.levels.is_empty() {
            // What only says what it accepts stands on the levels that everybody knows.
            let builtin = Policy::parse(BUILTIN).ok()?;
            (builtin.scheme, builtin.levels, builtin.findings)
        } else {
            let names = document.levels.iter().map(|level| level.get_ref().name.clone()).collect();
            let Some(scheme) = Scheme::new(names) else {
                let twice = self.first_twice(&document.levels, |level| level.name.as_str());
                self.report("policy-duplicate", twice, "a level of that name is there already");
                return None;
            };
            (scheme, Vec::new(), Vec::new())
        };
        let recipients = self.recipients(document, &scheme);
        let levels = if document.levels.is_empty() {
            levels
        } else {
            document.levels.iter().map(|level| self.level(level, &recipients)).collect()
        };
        self.check_order(&levels);
        let mut findings: Vec<FindingRule> = Vec::new();
        for rule in &document.findings {
            self.finding_rule(rule.get_ref(), &rule.span());
            findings.push(rule.get_ref().clone());
        }
        findings.extend(inherited);
        Some(Policy {
            name: document.name.clone(),
            digest: Sha256Digest::of(b""),
            own: document.own.names.clone(),
            log_days: document.log_days,
            destinations: self.destinations(document, &scheme, &recipients),
            markings: self.markings(document, &scheme),
            categories: self.categories(document, &scheme),
            sources: self.sources(document, &scheme),
            signers: self.signers(document),
            accept: document.accept.as_ref().map(|accept| self.accept(accept, &scheme)),
            scheme,
            levels,
            findings,
            recipients,
            warnings: Vec::new(),
        })
    }

    /// The place of the first entry whose name another one has already.
    fn first_twice<T>(
        &self,
        entries: &[Spanned<T>],
        name: impl Fn(&T) -> &str,
    ) -> Option<std::ops::Range<usize>> {
        let mut seen = BTreeSet::new();
        entries.iter().find(|entry| !seen.insert(name(entry.get_ref()))).map(Spanned::span)
    }

    fn unique<T>(&mut self, what: &str, entries: &[Spanned<T>], name: impl Fn(&T) -> &str) {
        if let Some(span) = self.first_twice(entries, name) {
            self.report("policy-duplicate", Some(span), &format!("a {what} of that name is there already"));
        }
    }

    fn known_level(&mut self, level: &Classification, scheme: &Scheme, span: &std::ops::Range<usize>) {
        if scheme.rank(level).is_none() {
            let near = did_you_mean(level.as_str(), scheme.levels().iter().map(Classification::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let message = format!("`{level}` is not a level of this policy{near}");
            self.report("policy-unknown-level", Some(span.clone()), &message);
        }
    }

    fn level(&mut self, spanned: &Spanned<LevelDocument>, recipients: &[Recipient]) -> Level {
        let (document, span) = (spanned.get_ref().clone(), spanned.span());
        for name in &document.also_encrypt_to {
            match recipients.iter().find(|known| known.name == *name) {
                None => {
                    let message =
                        format!("`also_encrypt_to` names `{name}`, who is not a recipient of this policy");
                    self.report("policy-unknown-recipient", Some(span.clone()), &message);
                }
                Some(known) if known.encrypt_to.is_empty() => {
                    let message = format!("`also_encrypt_to` names `{name}`, who has no `encrypt_to` key");
                    self.report("policy-no-key", Some(span.clone()), &message);
                }
                Some(_) => {}
            }
        }
        let mut roles = BTreeSet::new();
        for rule in &document.signatures {
            if rule.count == 0 {
                let message = format!("a signature rule asks for no signature in the role `{}`", rule.role);
                self.report("policy-threshold", Some(span.clone()), &message);
            }
            if !roles.insert(&rule.role) {
                let message = format!("two signature rules ask for the role `{}`", rule.role);
                self.report("policy-duplicate", Some(span.clone()), &message);
            }
        }
        for rule in &document.findings {
            self.finding_rule(rule, &span);
        }
        let mut overridable = Vec::new();
        for name in &document.overridable {
            match name.as_str().parse::<RuleName>() {
                Ok(rule) if !rule.may_be_overridable() => {
                    let message = format!("`{rule}` cannot be overridable: everything else stands on it");
                    self.report("policy-not-overridable", Some(span.clone()), &message);
                }
                Ok(rule) => overridable.push(rule),
                Err(message) => self.report("policy-unknown-rule", Some(span.clone()), &message),
            }
        }
        Level {
            fields: self.fields(&document.fields),
            name: document.name,
            description: document.description,
            encryption: document.encryption,
            also_encrypt_to: document.also_encrypt_to,
            public: document.public,
            addressees: document.addressees,
            recipients: document.recipients,
            destinations: document.destinations,
            channels: document.channels,
            retention_days: document.retention_days,
            signatures: document.signatures,
            key_age_days: document.key_age_days,
            scan: document.scan,
            findings: document.findings,
            unknown_parents: document.unknown_parents,
            downgrade_by: document.downgrade_by,
            secrets_allowed_by: document.secrets_allowed_by,
            plain_store: document.plain_store.unwrap_or(match document.encryption {
                Demand::Required => Action::Deny,
                Demand::Optional => Action::Note,
            }),
            overridable,
        }
    }

    /// A level that demands less than a lower one is rarely meant.
    fn check_order(&mut self, levels: &[Level]) {
        for pair in levels.windows(2) {
            let [low, high] = pair else { continue };
            let mut less = Vec::new();
            if low.encryption == Demand::Required && high.encryption == Demand::Optional {
                less.push("encryption");
            }
            if low.addressees == Demand::Required && high.addressees == Demand::Optional {
                less.push("addressees");
            }
            if low.recipients == Listing::Listed && high.recipients == Listing::Any {
                less.push("recipients");
            }
            if low.destinations == Listing::Listed && high.destinations == Listing::Any {
                less.push("destinations");
            }
            if low.scan == Demand::Required && high.scan == Demand::Optional {
                less.push("scan");
            }
            let total =
                |level: &Level| level.signatures.iter().map(|rule| u64::from(rule.count)).sum::<u64>();
            if total(low) > total(high) {
                less.push("signatures");
            }
            for what in less {
                self.warnings.push(format!(
                    "`{}` demands less than `{}`, which is below it: {what}",
                    high.name, low.name
                ));
            }
        }
    }

    fn finding_rule(&mut self, rule: &FindingRule, span: &std::ops::Range<usize>) {
        let text = rule.rule.as_str();
        let ok = match text.strip_suffix('*') {
            None => text.parse::<RuleId>().is_ok(),
            Some("") => true,
            Some(start) => format!("{start}x").parse::<RuleId>().is_ok(),
        };
        if !ok {
            let message = format!(
                "`{}` is neither a rule of the scanner, such as `secret/private-key`, nor the beginning of some, such as `secret/*`",
                printable(text)
            );
            self.report("policy-finding-rule", Some(span.clone()), &message);
        }
    }

    fn fields(&mut self, document: &FieldsDocument) -> Fields {
        let mut take = |paths: &[Spanned<String>]| -> Vec<String> {
            for path in paths {
                if let Err(message) = crate::fields::check(path.get_ref()) {
                    self.report("policy-unknown-field", Some(path.span()), &message);
                }
            }
            paths.iter().map(|path| path.get_ref().clone()).collect()
        };
        Fields {
            all: take(&document.all),
            model: take(&document.model),
            dataset: take(&document.dataset),
            workflow: take(&document.workflow),
        }
    }

    fn recipients(&mut self, document: &Document, scheme: &Scheme) -> Vec<Recipient> {
        let (mut keys, mut names) = (BTreeSet::new(), BTreeMap::new());
        let mut recipients = Vec::new();
        for spanned in &document.recipients {
            let (recipient, span) = (spanned.get_ref().clone(), spanned.span());
            for key in &recipient.encrypt_to {
                let text = key.as_str();
                let plain = text.starts_with("age1")
                    && text.len() <= 4096
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
                if !plain {
                    let message = if text.starts_with("AGE-SECRET-KEY-") {
                        "`encrypt_to` holds a secret key; it takes the public one (`age1…`). Treat the secret as lost".to_owned()
                    } else {
                        format!("`encrypt_to` of `{}` is not a recipient of age (`age1…`)", recipient.name)
                    };
                    self.report("policy-bad-recipient", Some(span.clone()), &message);
                }
                if !keys.insert(text.to_owned()) {
                    let message =
                        format!("a key of `{}` is there already; one key is one recipient's", recipient.name);
                    self.report("policy-duplicate", Some(span.clone()), &message);
                }
            }
            if let Some(highest) = &recipient.highest {
                self.known_level(highest, scheme, &span);
            }
            for name in std::iter::once(&recipient.name).chain(&recipient.aliases) {
                if let Some(other) = names.insert(sound(name.as_str()), recipient.name.clone()) {
                    let message = format!(
                        "`{name}` is called like `{other}`; names that differ only in capitals, spaces and the like are one"
                    );
                    self.report("policy-duplicate", Some(span.clone()), &message);
                }
            }
            recipients.push(Recipient {
                name: recipient.name,
                aliases: recipient.aliases,
                laboratory: recipient.laboratory,
                organization: recipient.organization,
                encrypt_to: recipient.encrypt_to,
                highest: recipient.highest,
            });
        }
        recipients
    }

    fn destinations(
        &mut self,
        document: &Document,
        scheme: &Scheme,
        recipients: &[Recipient],
    ) -> Vec<Destination> {
        self.unique("destination", &document.destinations, |destination| destination.name.as_str());
        let mut destinations = Vec::new();
        for spanned in &document.destinations {
            let (destination, span) = (spanned.get_ref().clone(), spanned.span());
            if let Some(highest) = &destination.highest {
                self.known_level(highest, scheme, &span);
            }
            if let Some(name) = destination
                .recipient
                .as_ref()
                .filter(|name| recipients.iter().all(|known| known.name != **name))
            {
                let message = format!("`{name}` is not a recipient of this policy");
                self.report("policy-unknown-recipient", Some(span.clone()), &message);
            }
            destinations.push(Destination {
                name: destination.name,
                path: destination.path,
                channel: destination.channel,
                recipient: destination.recipient,
                highest: destination.highest,
            });
        }
        destinations
    }

    fn markings(&mut self, document: &Document, scheme: &Scheme) -> Vec<Marking> {
        let mut rules = BTreeSet::new();
        let mut markings = Vec::new();
        for spanned in &document.markings {
            let (marking, span) = (spanned.get_ref().clone(), spanned.span());
            self.known_level(&marking.level, scheme, &span);
            let rule = RuleId::of_marking(&marking.word);
            if !rules.insert(rule.clone()) {
                let message = format!("`{}` cannot be told apart from another marking", marking.word);
                self.report("policy-duplicate", Some(span), &message);
            }
            markings.push(Marking { word: marking.word, rule, level: marking.level });
        }
        markings
    }

    fn categories(&mut self, document: &Document, scheme: &Scheme) -> Vec<Category> {
        self.unique("category", &document.categories, |category| category.name.as_str());
        let mut categories = Vec::new();
        for spanned in &document.categories {
            let (category, span) = (spanned.get_ref().clone(), spanned.span());
            self.known_level(&category.level, scheme, &span);
            categories.push(Category {
                name: category.name,
                description: category.description,
                level: category.level,
                files: category
                    .files
                    .iter()
                    .filter_map(|pattern| self.pattern(pattern, Subject::AnyCasePath))
                    .collect(),
            });
        }
        categories
    }

    fn sources(&mut self, document: &Document, scheme: &Scheme) -> Vec<SourceRule> {
        let mut sources = Vec::new();
        for spanned in &document.sources {
            self.known_level(&spanned.get_ref().level, scheme, &spanned.span());
            if let Some(uri) = self.pattern(&spanned.get_ref().uri, Subject::AnyCaseText) {
                sources.push(SourceRule { uri, level: spanned.get_ref().level.clone() });
            }
        }
        sources
    }

    fn pattern(&mut self, pattern: &Spanned<String>, subject: Subject) -> Option<GlobMatcher> {
        match compile(pattern.get_ref(), subject) {
            Ok(glob) => Some(glob),
            Err(error) => {
                let shown: String = pattern.get_ref().chars().take(60).collect();
                let message = format!("`{}` {error}", printable(&shown));
                self.report("policy-pattern", Some(pattern.span()), &message);
                None
            }
        }
    }

    fn signers(&mut self, document: &Document) -> Vec<Signer> {
        self.unique("signer", &document.signers, |signer| signer.name.as_str());
        let mut signers: Vec<Signer> = Vec::new();
        for spanned in &document.signers {
            let signer = spanned.get_ref().clone();
            let at = Some(signer.public_key.span());
            let public_key = match PublicKey::parse(signer.public_key.get_ref().as_bytes()) {
                Ok(key) => key,
                Err(error) => {
                    self.report("policy-bad-key", at, &error.to_string());
                    continue;
                }
            };
            if let Some(known) = signers.iter().find(|known| known.public_key == public_key) {
                let message = format!("the key is there already, under the name `{}`", known.name);
                self.report("policy-duplicate", at, &message);
            }
            if signer.roles.is_empty() {
                let message = format!(
                    "the key `{}` has no roles, so its signatures would count for nothing",
                    signer.name
                );
                self.report("policy-no-roles", Some(spanned.span()), &message);
            }
            signers.push(Signer {
                name: signer.name,
                public_key,
                owner: signer.owner,
                organization: signer.organization,
                roles: signer.roles,
            });
        }
        signers
    }

    fn accept(&mut self, spanned: &Spanned<AcceptDocument>, scheme: &Scheme) -> Accept {
        let (document, span) = (spanned.get_ref(), spanned.span());
        for level in document.classifications.iter().flatten() {
            self.known_level(level, scheme, &span);
        }
        for format in &document.forbidden_formats {
            let known = || consign_metadata::FileFormat::ALL.iter().map(|format| format.id());
            if !known().any(|id| id == format.as_str()) {
                let near = did_you_mean(format.as_str(), known());
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                let message = format!("`{format}` is not a format that consign knows{near}");
                self.report("policy-unknown-format", Some(span.clone()), &message);
            }
        }
        Accept {
            classifications: document.classifications.clone(),
            licenses: document.licenses.as_ref().map(|patterns| {
                patterns.iter().filter_map(|pattern| self.pattern(pattern, Subject::AnyCaseText)).collect()
            }),
            largest_file: document.largest_file,
            largest_bundle: document.largest_bundle,
            most_files: document.most_files,
            longest_path: document.longest_path,
            forbidden_formats: document.forbidden_formats.clone(),
            fields: self.fields(&document.fields),
        }
    }
}
