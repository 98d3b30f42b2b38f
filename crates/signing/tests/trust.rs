//! Whose signatures count: rules, dates, revocations and what was imported, asked as a caller asks.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

use std::num::NonZeroU32;

use consign_signing::{
    AcceptedTrust, Claim, Decision, ImportFrom, Moment, Obstacle, PrivateKey, Revocation, SignedRevocation,
    SignedStatement, Signer as _, Statement, Timestamp, Trust, TrustBundle, TrustPolicy, Verdict, evaluate,
    import_trust,
};

const NOW: &str = "2026-11-22T03:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

fn example() -> Statement {
    Statement::parse(include_bytes!("data/statement.json")).unwrap()
}

/// The example, whose bundle is called `minilm`.
fn claim() -> Claim {
    example().claim
}

fn signed(key: &PrivateKey, role: &str) -> SignedStatement {
    let mut statement = example();
    statement.signer.public_key = *key.public_key();
    statement.signer.role = role.parse().unwrap();
    SignedStatement::sign(key, &statement).unwrap()
}

fn entry(name: &str, key: &PrivateKey, owner: &str, roles: &str, more: &str) -> String {
    let owner = if owner.is_empty() { String::new() } else { format!("owner = \"{owner}\"\n") };
    let line = key.public_key().to_openssh(None);
    format!(
        "[[key]]\nname = \"{name}\"\n{owner}roles = [{roles}]\npublic_key = \"{}\"\n{more}\n",
        line.trim_end()
    )
}

fn policy(parts: &[String]) -> TrustPolicy {
    TrustPolicy::parse(&format!("format = 1\n{}", parts.concat())).unwrap()
}

fn ask_at(statements: &[SignedStatement], policy: &TrustPolicy, moment: Moment) -> Decision {
    evaluate(statements, &claim(), &Trust::Policy { policy, threshold: None }, &moment, &[])
}

fn ask(statements: &[SignedStatement], policy: &TrustPolicy) -> Decision {
    ask_at(statements, policy, Moment::now(time(NOW)))
}

fn reasons(decision: &Decision) -> Vec<&'static str> {
    let code = |verdict: &Verdict| match verdict {
        Verdict::Counted => "counted",
        Verdict::NotCounted(reason) => reason.code(),
    };
    decision.signatures().iter().map(|signature| code(&signature.verdict)).collect()
}

fn unmet(decision: &Decision) -> Vec<String> {
    let measures = decision.rules().iter().flat_map(|rule| &rule.measures);
    measures.filter(|measure| measure.missing() > 0).map(ToString::to_string).collect()
}

#[test]
fn e6_one_key_twice_is_one() {
    let ada = key();
    let twice = [signed(&ada, "owner"), signed(&ada, "release"), signed(&ada, "owner")];
    for rule in [
        "keys = 2",
        "require = [{ role = \"owner\", keys = 2 }]",
        "require = [{ role = \"owner\" }, { role = \"release\" }]",
    ] {
        let policy = policy(&[
            entry("ada", &ada, "Ada", "\"owner\", \"release\"", ""),
            format!("[[rule]]\nbundles = \"*\"\n{rule}\n"),
        ]);
        let decision = ask(&twice, &policy);
        assert!(decision.trusted().is_none(), "{rule}");
        assert_eq!(decision.counted(), 1, "{rule}");
    }
}

#[test]
fn e7_two_keys_of_one_owner_are_one_owner() {
    let (laptop, token, bob) = (key(), key(), key());
    let policy = policy(&[
        entry("ada-laptop", &laptop, "Ada", "\"owner\"", ""),
        entry("ada-token", &token, "Ada", "\"owner\"", ""),
        entry("bob", &bob, "Bob", "\"owner\"", ""),
        "[[rule]]\nbundles = \"*\"\nowners = 2\n".into(),
    ]);
    let decision = ask(&[signed(&laptop, "owner"), signed(&token, "owner")], &policy);
    assert!(decision.trusted().is_none());
    assert_eq!(unmet(&decision), ["1 of 2 different owners"]);
    assert_eq!(
        decision.signatures().iter().map(|one| one.owner_counted_already).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(ask(&[signed(&laptop, "owner"), signed(&bob, "owner")], &policy).trusted().is_some());
}

#[test]
fn a_key_without_an_owner_meets_no_rule_for_owners() {
    let (ada, nobody) = (key(), key());
    let policy = policy(&[
        entry("ada", &ada, "Ada", "\"owner\"", ""),
        entry("ci", &nobody, "", "\"owner\"", ""),
        "[[rule]]\nbundles = \"*\"\nowners = 2\n".into(),
    ]);
    let decision = ask(&[signed(&ada, "owner"), signed(&nobody, "owner")], &policy);
    assert!(decision.trusted().is_none());
    assert_eq!(decision.counted(), 2);
}

#[test]
fn every_matching_rule_must_be_met() {
    let (ada, grace) = (key(), key());
    let keys = [
        entry("ada", &ada, "Ada", "\"owner\"", ""),
        entry("grace", &grace, "Grace", "\"owner\", \"release\"", ""),
    ];
    let with = |rules: &[&str]| policy(&[keys.concat(), rules.concat()]);
    let (one, two) = (
        "[[rule]]\nbundles = \"*\"\nrequire = [{ role = \"owner\" }]\n",
        "[[rule]]\nbundles = \"mini*\"\nrequire = [{ role = \"release\" }]\n",
    );
    let other = "[[rule]]\nbundles = \"maxi*\"\nkeys = 9\n";
    let by_ada = [signed(&ada, "owner")];
    let both = [signed(&ada, "owner"), signed(&grace, "release")];
    assert!(ask(&by_ada, &with(&[])).trusted().is_some());
    assert!(ask(&by_ada, &with(&[one])).trusted().is_some());
    assert!(ask(&by_ada, &with(&[one, other])).trusted().is_some());
    let decision = ask(&by_ada, &with(&[one, two]));
    assert!(decision.trusted().is_none());
    assert_eq!(unmet(&decision), ["0 of 1 as release"]);
    assert!(ask(&both, &with(&[one, two, other])).trusted().is_some());
    // The weaker rule does not take the stronger one's place, in whatever order.
    assert!(ask(&by_ada, &with(&[two, one])).trusted().is_none());
    assert!(ask(&[], &with(&[one])).trusted().is_none());
}

#[test]
fn a_rule_from_elsewhere_is_asked_by_the_same_counting() {
    use consign_signing::{Demand, Requirement};
    let grace = key();
    let policy = policy(&[entry("grace", &grace, "Grace", "\"owner\", \"release\"", "")]);
    let trusted = ask(&[signed(&grace, "owner"), signed(&grace, "release")], &policy).into_trusted().unwrap();
    assert_eq!(trusted.signers().len(), 1);
    let need = |role: &str| Requirement { role: role.parse().unwrap(), keys: NonZeroU32::MIN, owners: None };
    let missing = |require: Vec<Requirement>| -> u64 {
        let demand = Demand { require, ..Demand::default() };
        trusted.measure(&demand).iter().map(consign_signing::Measure::missing).sum()
    };
    assert_eq!(missing(vec![need("owner")]), 0);
    assert_eq!(missing(vec![need("release")]), 0);
    assert_eq!(missing(vec![need("owner"), need("release")]), 1);
}

#[test]
fn e19_a_key_counts_in_its_time_only() {
    let ada = key();
    let by_ada = [signed(&ada, "owner")];
    let with = |more: &str| policy(&[entry("ada", &ada, "Ada", "\"owner\"", more)]);
    for (more, reason) in [
        ("not_after = 2026-11-22T02:59:59Z", "key-expired"),
        ("not_before = 2026-11-22T03:00:01Z", "key-not-yet-valid"),
        ("revoked = { at = 2026-11-22T03:00:00Z, reason = \"superseded\" }", "key-revoked"),
        ("revoked = { at = 2030-01-01T00:00:00Z, reason = \"compromised\" }", "key-revoked"),
        ("revoked = { at = 2026-11-22T03:00:01Z, reason = \"superseded\" }", "counted"),
        ("not_after = 2026-11-22T03:00:00Z\nnot_before = 2026-11-22T03:00:00Z", "counted"),
    ] {
        let decision = ask(&by_ada, &with(more));
        assert_eq!(reasons(&decision), [reason], "{more}");
        assert_eq!(decision.trusted().is_some(), reason == "counted", "{more}");
    }
}

#[test]
fn an_expired_policy_counts_nothing() {
    let ada = key();
    let policy =
        policy(&["expires = 2026-11-22T02:59:59Z\n".into(), entry("ada", &ada, "Ada", "\"owner\"", "")]);
    let decision = ask(&[signed(&ada, "owner")], &policy);
    assert!(decision.trusted().is_none());
    assert_eq!(reasons(&decision), ["trust-expired"]);
    assert!(matches!(decision.obstacles(), [Obstacle::TrustExpired { .. }]));
    // As of then it did; on the caller's word.
    let then = Moment::asserted(time("2026-11-01T00:00:00Z"), time(NOW)).unwrap();
    let decision = ask_at(&[signed(&ada, "owner")], &policy, then);
    assert!(decision.trusted().unwrap().rests_on_asserted_time());
}

#[test]
fn an_earlier_time_is_the_callers_word_unless_something_proves_it() {
    use consign_signing::TimeEvidence;
    let ada = key();
    let by_ada = [signed(&ada, "owner")];
    let with = |more: &str| policy(&[entry("ada", &ada, "Ada", "\"owner\"", more)]);
    let at = |at: &str, evidence| Moment::proven(time(at), time(NOW), evidence).unwrap();
    let retired = with(
        "not_before = 2026-01-01T00:00:00Z\nrevoked = { at = 2026-06-01T00:00:00Z, reason = \"superseded\" }",
    );
    let then = "2026-05-01T00:00:00Z";
    let asserted = ask_at(&by_ada, &retired, at(then, TimeEvidence::None));
    assert!(asserted.trusted().unwrap().rests_on_asserted_time());
    let proven = ask_at(&by_ada, &retired, at(then, TimeEvidence::Ledger));
    assert!(!proven.trusted().unwrap().rests_on_asserted_time());
    // What would hold now as well needs nobody's word.
    let current = ask_at(&by_ada, &with(""), at(then, TimeEvidence::None));
    assert!(!current.trusted().unwrap().rests_on_asserted_time());
    // Before its time and after its end it does not count, whatever the signer states.
    assert!(ask_at(&by_ada, &retired, at("2025-12-31T23:59:59Z", TimeEvidence::Ledger)).trusted().is_none());
    assert!(ask_at(&by_ada, &retired, at("2026-06-01T00:00:00Z", TimeEvidence::Ledger)).trusted().is_none());
    // Compromised is void at every time, evidence or not.
    let stolen = with("revoked = { at = 2026-06-01T00:00:00Z, reason = \"compromised\" }");
    for evidence in [TimeEvidence::None, TimeEvidence::Ledger] {
        let decision = ask_at(&by_ada, &stolen, at(then, evidence));
        assert_eq!(reasons(&decision), ["key-revoked"]);
        assert!(decision.trusted().is_none());
    }
}

#[test]
fn a_named_key_that_is_known_to_be_revoked_does_not_count() {
    let ada = key();
    let ask = |more: &str| {
        let known = policy(&[entry("ada", &ada, "Ada", "\"owner\"", more)]);
        let trust = Trust::Keys { keys: vec![*ada.public_key()], threshold: None, known: Some(&known) };
        let moment = Moment::now(time(NOW));
        evaluate(&[signed(&ada, "release")], &claim(), &trust, &moment, &[]).trusted().is_some()
    };
    assert!(ask(""));
    // Who names the key says that it counts: in any role, at any time.
    assert!(ask("not_after = 2020-01-01T00:00:00Z"));
    assert!(!ask("revoked = { at = 2020-01-01T00:00:00Z, reason = \"superseded\" }"));
    assert!(!ask("revoked = { at = 2020-01-01T00:00:00Z, reason = \"compromised\" }"));
}

/// Trust that `root` publishes and that is imported for `scope`.
fn imported(scope: &str, own: &[String], published: &[String], root: &PrivateKey) -> TrustPolicy {
    let text = format!(
        "format = 1\nname = \"acme\"\nversion = 1\nexpires = 2027-01-01T00:00:00Z\n\
         [root]\nkeys = [\"root\"]\nthreshold = 1\n{}{}",
        entry("root", root, "", "\"root\"", ""),
        published.concat()
    );
    let bundle = TrustBundle::publish(root, &text, time(NOW)).unwrap();
    let accepted: AcceptedTrust =
        import_trust(vec![bundle], &ImportFrom::Confirmed(&[root.public_key().fingerprint()]), time(NOW))
            .unwrap();
    let roles = vec!["owner".parse().unwrap()];
    let entry = accepted.entry("acme".parse().unwrap(), scope.parse().unwrap(), roles);
    let mut policy = policy(own).with_import(entry).unwrap();
    assert!(policy.attach("acme", accepted));
    policy
}

#[test]
fn imported_keys_act_in_their_scope_and_roles_only() {
    let (root, ada) = (key(), key());
    let published = [entry("ada", &ada, "Ada", "\"owner\", \"release\"", "")];
    let inside = imported("mini*", &[], &published, &root);
    let decision = ask(&[signed(&ada, "owner")], &inside);
    assert_eq!(decision.trusted().unwrap().signers()[0].import.as_ref().unwrap().as_str(), "acme");
    assert_eq!(reasons(&ask(&[signed(&ada, "release")], &inside)), ["role-not-held"]);
    let outside = imported("maxi*", &[], &published, &root);
    let decision = ask(&[signed(&ada, "owner")], &outside);
    assert_eq!(reasons(&decision), ["out-of-scope"]);
    assert!(decision.trusted().is_none());
}

#[test]
fn imported_rules_ask_for_more_in_their_scope_also_once_expired() {
    let (root, ada, own) = (key(), key(), key());
    let published =
        [entry("ada", &ada, "Ada", "\"owner\"", ""), "[[rule]]\nbundles = \"*\"\nkeys = 2\n".to_owned()];
    let mine = [entry("mine", &own, "Me", "\"owner\"", "")];
    let inside = imported("mini*", &mine, &published, &root);
    assert!(ask(&[signed(&own, "owner")], &inside).trusted().is_none());
    assert!(ask(&[signed(&own, "owner"), signed(&ada, "owner")], &inside).trusted().is_some());
    let outside = imported("maxi*", &mine, &published, &root);
    assert!(ask(&[signed(&own, "owner")], &outside).trusted().is_some());
    let later = Moment::now(time("2027-06-01T00:00:00Z"));
    let decision = ask_at(&[signed(&own, "owner"), signed(&ada, "owner")], &inside, later);
    assert_eq!(reasons(&decision), ["counted", "trust-expired"]);
    assert!(decision.trusted().is_none());
}

#[test]
fn what_was_imported_and_is_not_here_lets_nothing_pass() {
    let (root, own) = (key(), key());
    let text = imported("mini*", &[entry("mine", &own, "Me", "\"owner\"", "")], &[], &root).to_toml();
    let decision = ask(&[signed(&own, "owner")], &TrustPolicy::parse(&text).unwrap());
    assert!(decision.trusted().is_none());
    assert!(matches!(decision.obstacles(), [Obstacle::ImportMissing { .. }]));
}

#[test]
fn an_import_can_void_a_key_but_not_lend_it_roles() {
    let (root, ada) = (key(), key());
    let own = [entry("ada", &ada, "Ada", "\"release\"", "")];
    let lends = [entry("ada", &ada, "Ada", "\"owner\"", "")];
    assert_eq!(
        reasons(&ask(&[signed(&ada, "owner")], &imported("*", &own, &lends, &root))),
        ["role-not-held"]
    );
    let stolen = "revoked = { at = 2026-01-01T00:00:00Z, reason = \"compromised\" }";
    let voids = [entry("ada", &ada, "Ada", "\"owner\"", stolen)];
    let decision = ask(&[signed(&ada, "release")], &imported("mini*", &own, &voids, &root));
    assert_eq!(reasons(&decision), ["key-revoked"]);
    let elsewhere = ask(&[signed(&ada, "release")], &imported("maxi*", &own, &voids, &root));
    assert_eq!(reasons(&elsewhere), ["counted"]);
}

#[test]
fn who_may_revoke_a_bundle() {
    let (ada, bob, warden, eve, root) = (key(), key(), key(), key(), key());
    let keys = [
        entry("ada", &ada, "Ada", "\"owner\"", "not_after = 2026-12-01T00:00:00Z"),
        entry("bob", &bob, "Bob", "\"owner\"", ""),
        entry("warden", &warden, "Warden", "\"revoker\"", ""),
    ];
    let policy = imported("mini*", &keys, &[], &root);
    let revoked = |policy: &TrustPolicy, by: &PrivateKey, role: &str, claim: &Claim| {
        let reason = "wrong data".parse().unwrap();
        let said = Revocation::of(claim, reason, *by.public_key(), role.parse().unwrap(), time(NOW));
        let signed_revocation = SignedRevocation::sign(by, &said).unwrap();
        let trust = Trust::Policy { policy, threshold: None };
        let moment = Moment::now(time(NOW));
        let decision =
            evaluate(&[signed(&ada, "owner")], &self::claim(), &trust, &moment, &[signed_revocation]);
        assert_eq!(decision.revoked().is_some(), decision.trusted().is_none());
        decision.revocations().first().map(|one| one.verdict.map_err(consign_signing::NotEntitled::code))
    };
    use consign_signing::Authority::{Revoker, Root, Signer};
    assert_eq!(revoked(&policy, &ada, "owner", &claim()), Some(Ok(Signer)));
    assert_eq!(revoked(&policy, &ada, "whatever", &claim()), Some(Ok(Signer)));
    assert_eq!(revoked(&policy, &warden, "revoker", &claim()), Some(Ok(Revoker)));
    assert_eq!(revoked(&policy, &root, "owner", &claim()), Some(Ok(Root)));
    assert_eq!(revoked(&policy, &warden, "owner", &claim()), Some(Err("not-entitled")));
    assert_eq!(revoked(&policy, &bob, "owner", &claim()), Some(Err("not-entitled")));
    assert_eq!(revoked(&policy, &bob, "revoker", &claim()), Some(Err("not-entitled")));
    assert_eq!(revoked(&policy, &eve, "revoker", &claim()), Some(Err("unknown-key")));
    // Another bundle is not meant; another archive of the same bundle is.
    let mut other = claim();
    other.bundle.id.0 = consign_metadata::Sha256Digest::of(b"other");
    let consign_signing::Content::Archive(archive) = &mut other.content else { panic!("it has an archive") };
    archive.sha256 = consign_metadata::Sha256Digest::of(b"other");
    assert_eq!(revoked(&policy, &ada, "owner", &other), None);
    other.bundle.id = claim().bundle.id;
    assert_eq!(revoked(&policy, &ada, "owner", &other), Some(Ok(Signer)));
    // A key in somebody else's hands takes nothing back.
    let stolen = "revoked = { at = 2026-01-01T00:00:00Z, reason = \"compromised\" }";
    let voided = imported("mini*", &keys, &[entry("warden", &warden, "", "\"x\"", stolen)], &root);
    assert_eq!(revoked(&voided, &warden, "revoker", &claim()), Some(Err("key-revoked")));
}
