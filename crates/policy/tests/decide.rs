//! The one decision: a restricted bundle that lacks nothing is allowed; every single lack is refused by its rule.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

use consign_metadata::{
    BundleId, Descriptor, DescriptorSyntax, Finding, FindingPlace, Findings, FindingsBuilder, Line,
    Sha256Digest,
};
use consign_policy::{CountedSigner, Decision, Encryption, Parent, Policy, Request, Stage, Target, decide};
use consign_signing::{Downgrade, Override, PrivateKey, Signer as _};

const POLICY: &str = r#"
format = 1
name = "ours"

[self]
names = ["our-lab"]

[[findings]]
rule = "secret/*"
action = "deny"

[[level]]
name = "open"
unknown_parents = "deny"
overridable = ["secrets"]

[[level]]
name = "closed"
encryption = "required"
also_encrypt_to = ["archive"]
addressees = "required"
recipients = "listed"
destinations = "listed"
scan = "required"
channels = ["vpn"]
retention_days = 100
signatures = [{ role = "owner" }, { role = "release" }]
fields = { all = ["license"], model = ["model_card.risks"] }
findings = [{ rule = "code/*", action = "deny" }]
downgrade_by = "board"
overridable = ["fields", "code"]

[[level]]
name = "sealed"

[[recipient]]
name = "lab"
encrypt_to = ["age1lab"]
highest = "closed"

[[recipient]]
name = "archive"
encrypt_to = ["age1archive"]

[[recipient]]
name = "press"
encrypt_to = ["age1press"]
highest = "open"

[[destination]]
name = "drop"
path = "/mnt/drop"
channel = "vpn"
recipient = "lab"

[[destination]]
name = "post"
path = "/mnt/post"
channel = "post"

[[marking]]
word = "TOP SHELF"
level = "sealed"

[[category]]
name = "chemistry/compounds"
level = "sealed"
files = ["*.sdf"]

[[source]]
uri = "https://vault.example.org/*"
level = "sealed"
"#;

/// A request that is allowed, and whose parts can be changed.
struct Case {
    policy: Policy,
    descriptor: String,
    files: Vec<(&'static str, u64)>,
    newer: bool,
    findings: Option<Findings>,
    signers: Vec<CountedSigner>,
    addressees: Vec<Line>,
    encryption: Encryption,
    target: Option<String>,
    parents: Vec<Parent>,
    downgrades: Vec<Downgrade>,
    overrides: Vec<Override>,
}

fn signer(owner: &str, role: &str) -> CountedSigner {
    CountedSigner {
        public_key: *PrivateKey::generate().unwrap().public_key(),
        role: role.parse().unwrap(),
        owner: owner.parse().ok(),
        name: None,
    }
}

fn scanned(rules: &[&str]) -> Findings {
    let mut builder = FindingsBuilder::default();
    for rule in rules {
        let place = FindingPlace { path: "a.txt".parse().ok(), member: None, line: Some(3), excerpt: None };
        builder.add(Finding { rule: rule.parse().unwrap(), place });
    }
    builder.format("text".parse().unwrap());
    builder.finish("test 1".parse().unwrap())
}

fn parent() -> BundleId {
    BundleId(Sha256Digest::of(b"parent"))
}

impl Case {
    fn new() -> Self {
        Self {
            policy: Policy::parse(POLICY).unwrap(),
            descriptor: format!(
                "name: digits\nversion: 1.0.0\nkind: model\nclassification: closed\nlicense: MIT\n\
                 contact: {{name: Ada, email: ada@example.org}}\nparents: [\"{}\"]\n\
                 model_card: {{risks: none known}}\nhandling: {{retention: 90 days, channels: [vpn]}}\n\
                 provenance: {{sources: [{{uri: \"https://example.org/data\"}}]}}\n",
                parent()
            ),
            files: vec![("a.txt", 5), ("model.safetensors", 100)],
            newer: false,
            findings: Some(scanned(&["code/chat-template"].map(|_| "marking/other"))),
            signers: vec![signer("Ada", "owner"), signer("Bob", "release")],
            addressees: vec!["lab".parse().unwrap()],
            encryption: Encryption::To(vec!["age1lab".into(), "age1archive".into()]),
            target: Some("drop".into()),
            parents: vec![Parent { id: parent(), classification: "closed".parse().ok() }],
            downgrades: Vec::new(),
            overrides: Vec::new(),
        }
    }

    fn decide(&self, stage: Stage) -> Decision {
        let read =
            Descriptor::parse(self.descriptor.as_bytes(), DescriptorSyntax::Yaml, &[], self.policy.scheme());
        let descriptor = read.unwrap_or_else(|problems| panic!("{problems:?}"));
        let content = self.policy.survey(self.files.iter().copied());
        let target = self.target.as_deref().map(|name| match self.policy.destination(name) {
            Some(destination) => Target::Listed(destination),
            None => Target::Unlisted(name),
        });
        let request = Request {
            findings: self.findings.as_ref().into(),
            signers: Some(&self.signers),
            addressees: &self.addressees,
            encryption: self.encryption.clone(),
            target,
            parents: &self.parents,
            downgrades: &self.downgrades,
            overrides: &self.overrides,
            ..Request::new(stage, &descriptor.core, (!self.newer).then_some(&descriptor.details), &content)
        };
        let decision = decide(&self.policy, &request);
        assert_eq!(decision.permit().is_ok(), decision.refusals().is_empty());
        decision
    }

    fn refusals(&self, stage: Stage) -> Vec<&'static str> {
        self.decide(stage).refusals().iter().map(consign_policy::Reason::rule).collect()
    }

    fn swap(mut self, from: &str, to: &str) -> Self {
        assert!(self.descriptor.contains(from));
        self.descriptor = self.descriptor.replace(from, to);
        self
    }
}

#[test]
fn what_lacks_nothing_is_allowed() {
    for stage in [Stage::Pack, Stage::Sign, Stage::Encrypt, Stage::Submit] {
        let decision = Case::new().decide(stage);
        assert!(decision.permit().is_ok(), "{stage}: {:?}", decision.refusals());
        assert!(decision.pending().is_empty() && decision.warnings().is_empty(), "{stage}: {decision:?}");
    }
    let mut ours = Case::new();
    ours.addressees = vec!["lab".parse().unwrap(), "our-lab".parse().unwrap()];
    for stage in [Stage::Preflight, Stage::Verify, Stage::Receive, Stage::Unpack] {
        assert_eq!(ours.refusals(stage), [""; 0], "{stage}");
    }
}

/// A change of the case that is allowed, and the one rule that refuses what it leads to.
type Lack = (&'static str, fn(Case) -> Case);

#[test]
fn every_single_lack_is_refused_by_its_rule() {
    let lacks: [Lack; 24] = [
        ("encryption", |mut case| {
            case.encryption = Encryption::Plain;
            case
        }),
        ("encryption", |mut case| {
            case.encryption = Encryption::To(vec!["age1lab".into()]);
            case
        }),
        ("addressees", |mut case| {
            case.addressees.clear();
            case
        }),
        ("recipients", |mut case| {
            case.encryption =
                Encryption::To(vec!["age1lab".into(), "age1archive".into(), "age1other".into()]);
            case
        }),
        ("recipients", |mut case| {
            case.encryption =
                Encryption::To(vec!["age1lab".into(), "age1archive".into(), "age1press".into()]);
            case
        }),
        ("recipients", |mut case| {
            case.addressees = vec!["lab".parse().unwrap(), "nobody".parse().unwrap()];
            case
        }),
        ("destination", |mut case| {
            case.target = Some("/tmp".into());
            case
        }),
        ("channel", |mut case| {
            case.target = Some("post".into());
            case
        }),
        ("channel", |case| case.swap("channels: [vpn]", "channels: [vpn, e-mail]")),
        ("fields", |case| case.swap("license: MIT\n", "")),
        ("fields", |case| case.swap("model_card: {risks: none known}\n", "")),
        ("retention", |case| case.swap("retention: 90 days", "retention: 101 days")),
        ("retention", |case| case.swap("retention: 90 days, ", "")),
        ("retention", |case| case.swap("90 days", "as long as needed")),
        ("scan", |mut case| {
            case.findings = None;
            case
        }),
        ("secrets", |mut case| {
            case.findings = Some(scanned(&["secret/private-key"]));
            case
        }),
        ("code", |mut case| {
            case.findings = Some(scanned(&["code/pickle-unknown-import"]));
            case
        }),
        ("marking", |mut case| {
            case.findings = Some(scanned(&["marking/top-shelf"]));
            case
        }),
        ("category", |mut case| {
            case.files.push(("lib/one.SDF", 1));
            case
        }),
        ("category", |case| case.swap("license: MIT", "license: MIT\ncategories: [chemistry/compounds]")),
        ("source", |case| case.swap("https://example.org", "https://vault.example.org")),
        ("downgrade", |mut case| {
            case.parents[0].classification = "sealed".parse().ok();
            case
        }),
        ("descriptor", |mut case| {
            case.newer = true;
            case
        }),
        ("signatures", |mut case| {
            case.signers.pop();
            case
        }),
    ];
    for (index, (rule, lack)) in lacks.into_iter().enumerate() {
        assert_eq!(lack(Case::new()).refusals(Stage::Submit), [rule], "lack {index}");
    }
}

#[test]
fn all_reasons_come_at_once_and_each_says_what_to_do() {
    let mut case = Case::new().swap("license: MIT\n", "").swap("90 days", "900 days");
    case.encryption = Encryption::Plain;
    case.findings = Some(scanned(&["secret/private-key", "code/python"]));
    case.signers.clear();
    let decision = case.decide(Stage::Submit);
    let rules: Vec<_> = decision.refusals().iter().map(consign_policy::Reason::rule).collect();
    assert_eq!(rules, ["fields", "retention", "code", "secrets", "encryption", "signatures", "signatures"]);
    for reason in decision.refusals() {
        assert!(!reason.message().is_empty() && !reason.fix().is_empty());
        assert!(reason.problem().code.starts_with("policy-"));
    }
}

#[test]
fn a_signature_may_come_later_but_not_after_handing_over() {
    let mut case = Case::new();
    case.signers.pop();
    for stage in [Stage::Pack, Stage::Sign, Stage::Encrypt] {
        let decision = case.decide(stage);
        assert!(decision.permit().is_ok(), "{stage}");
        assert_eq!(decision.pending()[0].message(), "needs 1 × release by another person");
    }
    case.addressees.push("our-lab".parse().unwrap());
    for stage in [Stage::Verify, Stage::Receive, Stage::Unpack] {
        assert_eq!(case.refusals(stage), ["signatures"], "{stage}");
    }
    // One person in two roles is one person.
    case.signers = vec![signer("Ada", "owner"), signer("Ada", "release")];
    assert_eq!(case.refusals(Stage::Verify), ["signatures"]);
}

#[test]
fn an_unknown_level_is_not_a_low_one() {
    let elsewhere = POLICY.replace("\"closed\"", "\"shut\"");
    let case = Case { policy: Policy::parse(&elsewhere).unwrap(), ..Case::new() };
    let read = Descriptor::parse(
        case.descriptor.as_bytes(),
        DescriptorSyntax::Yaml,
        &[],
        Policy::parse(POLICY).unwrap().scheme(),
    );
    let descriptor = read.unwrap();
    let content = case.policy.survey([]);
    let request = Request::new(Stage::Verify, &descriptor.core, Some(&descriptor.details), &content);
    let decision = decide(&case.policy, &request);
    assert_eq!(decision.refusals()[0].rule(), "classification");
}

#[test]
fn an_override_needs_the_policy_and_is_written_down() {
    let set_aside = |rule: &str| Override { rule: rule.parse().unwrap(), reason: "agreed".parse().unwrap() };
    let mut case = Case::new().swap("license: MIT\n", "");
    case.overrides = vec![set_aside("fields")];
    let decision = case.decide(Stage::Submit);
    assert!(decision.permit().is_ok());
    assert_eq!(decision.overridden().len(), 1);
    assert_eq!(decision.overridden()[0].1.reason.as_str(), "agreed");
    // It lifts no other rule.
    case.encryption = Encryption::Plain;
    assert_eq!(case.refusals(Stage::Submit), ["encryption"]);
    for rule in ["encryption", "secrets", "signatures", "downgrade", "nonsense"] {
        case.overrides = vec![set_aside("fields"), set_aside(rule)];
        assert!(case.refusals(Stage::Submit).contains(&"override"), "{rule}");
        assert!(case.refusals(Stage::Submit).contains(&"encryption"), "{rule}");
    }
    // What a sender may set aside, a recipient need not accept: their policy decides.
    let mut case = Case::new().swap("license: MIT\n", "");
    case.addressees.push("our-lab".parse().unwrap());
    case.overrides = vec![set_aside("fields")];
    case.policy = Policy::parse(&POLICY.replace("overridable = [\"fields\", \"code\"]", "")).unwrap();
    assert_eq!(case.refusals(Stage::Verify), ["fields"]);
}

#[test]
fn whoever_is_not_addressed_is_refused() {
    let mut case = Case::new();
    for stage in [Stage::Verify, Stage::Receive, Stage::Unpack] {
        assert_eq!(case.refusals(stage), ["addressed-to-us"], "{stage}");
    }
    case.policy = Policy::parse(&POLICY.replace("names = [\"our-lab\"]", "")).unwrap();
    let decision = case.decide(Stage::Verify);
    assert!(decision.permit().is_ok());
    assert!(decision.notes()[0].starts_with("addressee not checked"));
}

#[test]
fn a_downgrade_counts_when_the_right_role_signs_it() {
    let stated = |from: &str| Downgrade {
        parent: parent(),
        from: from.parse().unwrap(),
        reason: "declassified".parse().unwrap(),
    };
    let mut case = Case::new().swap("classification: closed", "classification: open");
    assert_eq!(case.refusals(Stage::Pack), ["downgrade"]);
    case.downgrades = vec![stated("closed")];
    let decision = case.decide(Stage::Pack);
    assert!(decision.permit().is_ok());
    assert!(decision.pending()[0].message().contains("1 × board"));
    assert_eq!(case.refusals(Stage::Submit), ["downgrade"]);
    case.signers.push(signer("Eve", "board"));
    assert_eq!(case.refusals(Stage::Submit), [""; 0]);
    // The statement must say of the parent what the parent says of itself.
    case.downgrades = vec![stated("sealed")];
    assert_eq!(case.refusals(Stage::Submit), ["downgrade"]);
    // A recipient has the parent's level from the statement, and asks for the signature as well.
    case.downgrades = vec![stated("closed")];
    case.parents.clear();
    case.addressees = vec!["our-lab".parse().unwrap()];
    assert_eq!(case.refusals(Stage::Verify), [""; 0]);
    case.signers.pop();
    assert_eq!(case.refusals(Stage::Verify), ["downgrade"]);
    // Nobody may lower what comes from the highest level.
    let mut case = Case::new().swap("classification: closed", "classification: open");
    case.parents[0].classification = "sealed".parse().ok();
    case.downgrades = vec![stated("sealed")];
    case.signers.push(signer("Eve", "board"));
    assert_eq!(case.refusals(Stage::Submit), ["downgrade"]);
}

#[test]
fn a_parent_of_unknown_level_is_not_a_low_one() {
    let mut case = Case::new().swap("classification: closed", "classification: open");
    case.parents[0].classification = None;
    assert_eq!(case.refusals(Stage::Pack), ["downgrade"]);
    case.parents.clear();
    assert_eq!(case.refusals(Stage::Pack), ["downgrade"]);
}

#[test]
fn an_allow_list_does_not_reach_what_the_policy_excludes() {
    let mut builder = FindingsBuilder::default();
    builder.allow("secret/private-key".parse().unwrap(), "*".parse().unwrap(), "a test key".parse().unwrap());
    let mut case = Case::new();
    case.findings = Some(builder.finish("test 1".parse().unwrap()));
    assert_eq!(case.refusals(Stage::Submit), [""; 0]);
    let strict = POLICY.replace("action = \"deny\"\n", "action = \"deny\"\nallowable = false\n");
    case.policy = Policy::parse(&strict).unwrap();
    assert_eq!(case.refusals(Stage::Submit), ["secrets"]);
}

#[test]
fn a_laboratory_accepts_what_it_says() {
    let laboratory = r#"
format = 1
name = "lab"
[accept]
classifications = ["public", "internal"]
licenses = ["MIT", "CC-BY-*"]
largest_file = 100
largest_bundle = 150
most_files = 2
longest_path = 20
forbidden_formats = ["pickle"]
fields = { all = ["title"] }
"#;
    let mut case = Case::new()
        .swap("classification: closed", "classification: public")
        .swap("license: MIT", "license: MIT\ntitle: t");
    case.policy = Policy::parse(laboratory).unwrap();
    case.addressees.clear();
    case.parents.clear();
    assert_eq!(case.refusals(Stage::Verify), [""; 0]);
    let lacks: [Lack; 9] = [
        ("license", |case| case.swap("license: MIT", "license: GPL-3.0")),
        ("license", |case| case.swap("license: MIT\n", "")),
        ("size", |mut case| {
            case.files = vec![("a", 101)];
            case
        }),
        ("size", |mut case| {
            case.files = vec![("a", 100), ("b", 51)];
            case
        }),
        ("size", |mut case| {
            case.files = vec![("a", 1), ("b", 1), ("c", 1)];
            case
        }),
        ("size", |mut case| {
            case.files = vec![("abcdefghijklmnopqrstu", 1)];
            case
        }),
        ("format", |mut case| {
            let mut builder = FindingsBuilder::default();
            builder.format("pickle".parse().unwrap());
            case.findings = Some(builder.finish("test 1".parse().unwrap()));
            case
        }),
        ("format", |mut case| {
            case.findings = None;
            case
        }),
        ("fields", |case| case.swap("title: t\n", "")),
    ];
    for (index, (rule, lack)) in lacks.into_iter().enumerate() {
        let mut case = Case::new()
            .swap("classification: closed", "classification: public")
            .swap("license: MIT", "license: MIT\ntitle: t");
        case.policy = Policy::parse(laboratory).unwrap();
        case.addressees.clear();
        case.parents.clear();
        assert_eq!(lack(case).refusals(Stage::Verify), [rule], "lack {index}");
    }
    let mut case = Case::new()
        .swap("classification: closed", "classification: restricted")
        .swap("license: MIT", "license: MIT\ntitle: t");
    case.policy = Policy::parse(laboratory).unwrap();
    assert!(case.refusals(Stage::Verify).contains(&"classification"));
}

#[test]
fn a_laboratory_names_the_signers_whom_it_accepts() {
    let (ada, eve) = (signer("Ada", "owner"), signer("Eve", "owner"));
    let laboratory = |role: &str| {
        Policy::parse(&format!(
            "format = 1\nname = \"lab\"\n[[signer]]\nname = \"ada\"\npublic_key = \"{}\"\nroles = [\"{role}\"]\n",
            ada.public_key.to_openssh(None).trim()
        ))
        .unwrap()
    };
    let mut case = Case::new().swap("classification: closed", "classification: public");
    case.parents.clear();
    case.policy = laboratory("owner");
    case.signers = vec![ada.clone()];
    assert_eq!(case.refusals(Stage::Verify), [""; 0]);
    case.policy = laboratory("release");
    assert_eq!(case.refusals(Stage::Verify), ["signer"]);
    case.policy = laboratory("owner");
    case.signers = vec![eve];
    assert_eq!(case.refusals(Stage::Verify), ["signer"]);
    assert_eq!(case.refusals(Stage::Preflight).first(), None);
    assert_eq!(case.decide(Stage::Preflight).pending()[0].rule(), "signer");
}

#[test]
fn the_default_asks_little_of_what_is_open_and_much_of_what_is_closed() {
    let mut case = Case::new().swap("classification: closed", "classification: public");
    case.policy = Policy::builtin().unwrap();
    assert!(case.policy.warnings().is_empty(), "{:?}", case.policy.warnings());
    case.descriptor = "name: a\nversion: 1.0.0\nkind: model\nclassification: internal\n\
                       contact: {name: Ada, email: ada@example.org}\n"
        .into();
    case.encryption = Encryption::Plain;
    case.addressees.clear();
    case.target = None;
    case.signers.truncate(1);
    assert_eq!(case.refusals(Stage::Submit), [""; 0]);
    for (level, expected) in [
        ("confidential", vec!["fields", "retention", "encryption", "addressees"]),
        ("restricted", vec!["fields", "retention", "encryption", "addressees", "signatures"]),
    ] {
        let mut closed = Case::new();
        closed.policy = Policy::builtin().unwrap();
        closed.descriptor = case.descriptor.replace("internal", level);
        closed.encryption = Encryption::Plain;
        closed.addressees.clear();
        closed.target = None;
        closed.signers.truncate(1);
        assert_eq!(closed.refusals(Stage::Submit), expected, "{level}");
    }
    for level in ["public", "internal", "confidential", "restricted"] {
        let mut leaking = Case::new();
        leaking.policy = Policy::builtin().unwrap();
        leaking.descriptor = case.descriptor.replace("internal", level);
        leaking.findings = Some(scanned(&["secret/aws-access-key"]));
        assert!(leaking.refusals(Stage::Pack).contains(&"secrets"), "{level}");
    }
}
