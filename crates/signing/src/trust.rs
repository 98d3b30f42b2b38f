//! Which signatures count, and whether they are enough: asked here and nowhere else.
//!
//! Counting signatures is where such tools have failed most often: one key counted twice (CVE-2020-6174,
//! CVE-2020-15093, CVE-2026-6966), one key under two ids, a threshold of none (CVE-2026-23992). Hence one
//! function, [`evaluate`], which counts distinct public keys and owners, and a type, [`TrustedClaim`], that only
//! it makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use consign_metadata::{BundleName, Line, Role};

use crate::attested::Attested;
use crate::public_key::PublicKey;
use crate::revocation::{Authority, NotEntitled, RevocationVerdict, SignedRevocation};
use crate::statement::{Claim, SignerClaim};
use crate::time::Timestamp;
use crate::trust_policy::{REVOKER, TrustImport, TrustPolicy, TrustedKey};
use crate::trust_rules::{BundlePattern, Demand, Measure, Tally, Voice};
use crate::validity::{KeyRevocation, Moment, Validity};
use crate::verdict::{Obstacle, Reason, RuleOrigin, RuleVerdict, SignatureVerdict, SignerInfo, Verdict};

/// What is asked of the signatures.
#[derive(Clone, Debug)]
pub enum Trust<'a> {
    /// The caller names keys (`verify --key`). Every one of them must have signed, in whatever role; a threshold
    /// lowers that to so many of them. Without a key nothing is ever trusted.
    Keys {
        /// The keys. One that is named twice is one.
        keys: Vec<PublicKey>,
        /// How many of them must have signed; all, if absent. More than there are is never met.
        threshold: Option<NonZeroU32>,
        /// The policy that revocations are looked up in: a key that it calls revoked does not count.
        known: Option<&'a TrustPolicy>,
    },
    /// A policy lists keys with their roles. All its rules for the bundle must be met; without one, at least one
    /// key must have signed in a role that it has. A threshold raises that to so many distinct keys.
    Policy {
        /// The policy, with what was imported.
        policy: &'a TrustPolicy,
        /// How many distinct keys must have signed.
        threshold: Option<NonZeroU32>,
    },
}

/// What came of asking: each signature with its verdict, what was required, and the trusted claim if it was met.
#[derive(Clone, Debug)]
pub struct Decision<C = Claim> {
    moment: Moment,
    signatures: Vec<SignatureVerdict>,
    rules: Vec<RuleVerdict>,
    obstacles: Vec<Obstacle>,
    revocations: Vec<RevocationVerdict>,
    missing_keys: Vec<PublicKey>,
    claim: Option<TrustedClaim<C>>,
}

/// A claim for which enough trusted signatures count. Only [`evaluate`] makes a value; whoever needs proof of
/// trust asks for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedClaim<C = Claim> {
    claim: C,
    signers: Vec<SignerInfo>,
    /// Every role that a counted key may be counted in.
    voices: Vec<(PublicKey, Option<Line>, Role)>,
    asserted: bool,
}

impl<C> TrustedClaim<C> {
    /// What is trusted.
    pub fn claim(&self) -> &C {
        &self.claim
    }

    /// Whose signatures counted: distinct keys, in the order of the statements. Of a key that signed in several
    /// roles, the role in which it was needed.
    pub fn signers(&self) -> &[SignerInfo] {
        &self.signers
    }

    /// Whether this holds only if the signatures were made by the time that the caller asserts, which nothing
    /// proves. Such a claim must not be called verified without saying so.
    pub fn rests_on_asserted_time(&self) -> bool {
        self.asserted
    }

    /// How far the counted signatures meet a demand. This is how a rule from elsewhere, such as a handling
    /// policy, is asked: by the same counting.
    pub fn measure(&self, demand: &Demand) -> Vec<Measure> {
        let voice = |(key, owner, role)| Voice { key, owner: Option::as_ref(owner), role };
        let voices: Vec<_> = self.voices.iter().map(|(key, owner, role)| voice((key, owner, role))).collect();
        demand.measure(&voices).measures
    }
}

impl<C> Decision<C> {
    /// Every signature that was looked at, in the order given.
    pub fn signatures(&self) -> &[SignatureVerdict] {
        &self.signatures
    }

    /// Every rule that had to be met, and how far it was; at least one.
    pub fn rules(&self) -> &[RuleVerdict] {
        &self.rules
    }

    /// What kept anything from counting.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }

    /// Every revocation of the bundle that was given, and whether it counts.
    pub fn revocations(&self) -> &[RevocationVerdict] {
        &self.revocations
    }

    /// The first revocation that counts. With one, nothing is trusted.
    pub fn revoked(&self) -> Option<&RevocationVerdict> {
        self.revocations.iter().find(|revocation| revocation.verdict.is_ok())
    }

    /// The time that was asked about.
    pub fn moment(&self) -> &Moment {
        &self.moment
    }

    /// How many distinct keys had to count, by the rule that asks for most; at least one.
    pub fn required(&self) -> u64 {
        let of_rule = |rule: &RuleVerdict| {
            let by_role = |measure: &&Measure| matches!(measure.part, crate::Part::Role { .. });
            let roles: u64 = rule.measures.iter().filter(by_role).map(|measure| measure.needed).sum();
            rule.measures.iter().map(|measure| measure.needed).max().unwrap_or(1).max(roles)
        };
        self.rules.iter().map(of_rule).max().unwrap_or(1)
    }

    /// How many distinct keys counted.
    pub fn counted(&self) -> u64 {
        let counted = self.signatures.iter().filter(|signature| signature.verdict == Verdict::Counted);
        counted.map(|_| 1).sum()
    }

    /// How many more keys were needed. None missing does not mean that every rule is met.
    pub fn missing(&self) -> u64 {
        self.required().saturating_sub(self.counted())
    }

    /// Of the keys that the caller named, those that have not signed this claim. Empty under a policy.
    pub fn missing_keys(&self) -> &[PublicKey] {
        &self.missing_keys
    }

    /// The claim, if it is trusted.
    pub fn trusted(&self) -> Option<&TrustedClaim<C>> {
        self.claim.as_ref()
    }

    /// The claim, if it is trusted.
    pub fn into_trusted(self) -> Option<TrustedClaim<C>> {
        self.claim
    }
}

impl<C> fmt::Display for Decision<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counted, required) = (self.counted(), self.required());
        let verb = if self.claim.is_some() { "trusted" } else { "not trusted" };
        write!(f, "{verb}: {counted} of {required} required keys signed")
    }
}

/// Asks whether enough of the signatures on `claim` count.
///
/// Only statements whose claim equals `claim` in every field count. A key counts once, whatever it signed how
/// often and in which roles, and is recognised by its 32 bytes, never by an id. Under a policy, a signature
/// counts for the one role that its statement states, if its key has that role, at the time that is asked about;
/// all rules for bundles of that name must be met, so that another rule never weakens. A revocation of the bundle
/// by somebody entitled to it voids everything. What the signer had seen and the time that they state are
/// reported, and have no influence.
///
/// ```
/// use consign_signing::{Moment, PrivateKey, SignedStatement, Signer, Statement, Trust, evaluate};
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// # let key = PrivateKey::generate()?;
/// # let mut statement = Statement::parse(example)?;
/// # statement.signer.public_key = *key.public_key();
/// let signed = [SignedStatement::sign(&key, &statement)?];
/// let moment = Moment::now("2026-11-22T03:00:00Z".parse()?);
/// let trust = |key| Trust::Keys { keys: vec![key], threshold: None, known: None };
///
/// let decision = evaluate(&signed, &statement.claim, &trust(*key.public_key()), &moment, &[]);
/// assert_eq!(decision.trusted().map(|trusted| trusted.claim()), Some(&statement.claim));
///
/// let stranger = *PrivateKey::generate()?.public_key();
/// assert!(evaluate(&signed, &statement.claim, &trust(stranger), &moment, &[]).trusted().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn evaluate<S: Attested>(
    statements: &[S],
    claim: &S::Claim,
    trust: &Trust<'_>,
    moment: &Moment,
    revocations: &[SignedRevocation],
) -> Decision<S::Claim> {
    let count = count(statements, claim, trust, moment.at());
    let about = revocations.iter().filter(|signed| S::is_revoked_by(claim, signed.revocation()));
    let revocations: Vec<_> = about.map(|signed| entitle(signed, statements, claim, trust)).collect();
    let revoked = revocations.iter().any(|revocation| revocation.verdict.is_ok());
    // Asked again as of now: what holds then needs no word of the caller's about the past.
    let asserted = moment.is_asserted()
        && !self::count(statements, claim, trust, moment.time_of_verification()).is_enough();
    let claim = (count.is_enough() && !revoked).then(|| TrustedClaim {
        claim: claim.clone(),
        signers: count
            .signatures
            .iter()
            .filter(|signature| signature.verdict == Verdict::Counted)
            .map(|signature| signature.signer.clone())
            .collect(),
        voices: count.voices,
        asserted,
    });
    let Count { signatures, rules, obstacles, missing_keys, .. } = count;
    Decision { moment: *moment, signatures, rules, obstacles, revocations, missing_keys, claim }
}

/// What is counted as of one time.
struct Count {
    signatures: Vec<SignatureVerdict>,
    voices: Vec<(PublicKey, Option<Line>, Role)>,
    rules: Vec<RuleVerdict>,
    obstacles: Vec<Obstacle>,
    missing_keys: Vec<PublicKey>,
}

impl Count {
    fn is_enough(&self) -> bool {
        // Whatever the rules say, nobody is not enough.
        !self.voices.is_empty() && self.obstacles.is_empty() && self.rules.iter().all(RuleVerdict::is_met)
    }
}

fn count<S: Attested>(statements: &[S], claim: &S::Claim, trust: &Trust<'_>, at: Timestamp) -> Count {
    let name = S::bundle_name(claim);
    let judged: Vec<_> = statements.iter().map(|signed| judge(signed, claim, trust, at)).collect();
    let heard = statements.iter().zip(&judged).filter(|(_, verdict)| verdict.is_ok());
    let owner_of = |key: &PublicKey| listing(trust, key, name).ok().and_then(|l| l.key.owner.as_ref());
    let voices: Vec<Voice<'_>> = heard
        .map(|(signed, _)| Voice {
            key: &signed.signer().public_key,
            owner: owner_of(&signed.signer().public_key),
            role: &signed.signer().role,
        })
        .collect();
    let keys: BTreeSet<PublicKey> = voices.iter().map(|voice| *voice.key).collect();
    let mut rules = Vec::new();
    let mut served = BTreeMap::new();
    let mut owners_matter = false;
    for (origin, demand) in demands(trust, name) {
        let Tally { measures, served: by_rule } = demand.measure(&voices);
        owners_matter |= demand.asks_for_owners();
        // The first rule that needed a key says in which role it is told to have counted.
        by_rule.into_iter().for_each(|(key, role)| {
            served.entry(key).or_insert(role);
        });
        rules.push(RuleVerdict { origin, measures });
    }
    let mut signatures = Vec::new();
    let (mut counted, mut owners) = (BTreeSet::new(), BTreeSet::new());
    for (signed, verdict) in statements.iter().zip(judged) {
        let SignerClaim { public_key, role, .. } = signed.signer();
        let wanted = served.get(public_key).is_none_or(|served| served == role);
        let verdict = match verdict {
            Err(reason) => Verdict::NotCounted(reason),
            Ok(()) if wanted && counted.insert(*public_key) => Verdict::Counted,
            Ok(()) => Verdict::NotCounted(Reason::KeyCountedAlready),
        };
        let signer = describe(signed.signer(), trust, name, at);
        let owner_counted_already = verdict == Verdict::Counted
            && owners_matter
            && signer.owner.clone().is_some_and(|owner| !owners.insert(owner));
        signatures.push(SignatureVerdict { signer, verdict, owner_counted_already });
    }
    let missing_keys = match trust {
        Trust::Keys { keys: named, .. } => {
            named.iter().copied().collect::<BTreeSet<_>>().difference(&keys).copied().collect()
        }
        Trust::Policy { .. } => Vec::new(),
    };
    let owned = |voice: Voice<'_>| (*voice.key, voice.owner.cloned(), voice.role.clone());
    let voices = voices.into_iter().map(owned).collect();
    Count { signatures, voices, rules, obstacles: obstacles(trust, name, at), missing_keys }
}

/// All that must be met; never empty.
fn demands(trust: &Trust<'_>, name: Option<&BundleName>) -> Vec<(RuleOrigin, Demand)> {
    let keys = |n: u32| Demand { keys: NonZeroU32::new(n.max(1)), ..Demand::default() };
    match trust {
        Trust::Keys { keys: named, threshold, .. } => {
            let distinct: BTreeSet<&PublicKey> = named.iter().collect();
            // No key named is nothing asked, and nothing asked is not trust: all of none do not suffice.
            let all = u32::try_from(distinct.len()).unwrap_or(u32::MAX);
            vec![(RuleOrigin::Named, keys(threshold.map_or(all, NonZeroU32::get)))]
        }
        Trust::Policy { policy, threshold } => {
            let own = policy.rules().iter().map(|rule| (None, rule));
            // Rules of expired trust stay in force: that it expired must not ask for less.
            let imported = imports_that_may_act(policy, name).flat_map(|import| {
                let rules = import.accepted().into_iter().flat_map(TrustPolicy::rules);
                rules.map(move |rule| (Some(import), rule))
            });
            let matching = own.chain(imported).filter(|(_, rule)| may_match(&rule.bundles, name));
            let mut all: Vec<_> = matching
                .map(|(import, rule)| {
                    let bundles = rule.bundles.clone();
                    let origin = match import {
                        None => RuleOrigin::Rule(bundles),
                        Some(import) => RuleOrigin::Imported { import: import.name.clone(), bundles },
                    };
                    (origin, rule.demand.clone())
                })
                .collect();
            all.extend(threshold.map(|n| (RuleOrigin::Threshold, keys(n.get()))));
            if all.is_empty() {
                all.push((RuleOrigin::Default, Demand::default()));
            }
            all
        }
    }
}

// The name of an encrypted bundle may not be known. What asks for more, or forbids, then applies as if the bundle had
// whatever name; what admits applies only if it admits bundles of every name.

/// Whether a pattern may mean the bundle.
fn may_match(pattern: &BundlePattern, name: Option<&BundleName>) -> bool {
    name.is_none_or(|name| pattern.matches(name))
}

/// Whether a pattern means the bundle in any case.
fn surely_matches(pattern: &BundlePattern, name: Option<&BundleName>) -> bool {
    name.map_or(pattern.as_str() == "*", |name| pattern.matches(name))
}

/// Whether the key is known to be in somebody else's hands.
fn compromised<'a>(
    policy: &'a TrustPolicy,
    key: &PublicKey,
    name: Option<&'a BundleName>,
) -> Option<&'a KeyRevocation> {
    let imported = imports_that_may_act(policy, name).filter_map(TrustImport::accepted);
    let mut listed = std::iter::once(policy).chain(imported).filter_map(|policy| policy.find(key));
    listed.find(|key| key.is_compromised())?.revoked.as_ref()
}

fn imports_that_may_act<'a>(
    policy: &'a TrustPolicy,
    name: Option<&'a BundleName>,
) -> impl Iterator<Item = &'a TrustImport> {
    policy.imports().iter().filter(move |import| may_match(&import.bundles, name))
}

fn obstacles(trust: &Trust<'_>, name: Option<&BundleName>, at: Timestamp) -> Vec<Obstacle> {
    let Trust::Policy { policy, .. } = trust else { return Vec::new() };
    let expired = policy.expires().filter(|_| policy.is_expired(at));
    let missing = imports_that_may_act(policy, name).filter(|import| import.accepted().is_none());
    expired
        .map(|expires| Obstacle::TrustExpired { expires })
        .into_iter()
        .chain(missing.map(|import| Obstacle::ImportMissing { import: import.name.clone() }))
        .collect()
}

/// The entry that speaks for a key.
struct Listing<'a> {
    key: &'a TrustedKey,
    policy: &'a TrustPolicy,
    import: Option<&'a TrustImport>,
}

impl Listing<'_> {
    /// In which roles the key counts: an import's keys in no more than the import may act in.
    fn roles(&self) -> Vec<Role> {
        let allowed = |role: &&Role| self.import.is_none_or(|import| import.roles.contains(role));
        self.key.roles.iter().filter(allowed).cloned().collect()
    }
}

/// The entry of a key: the policy's own before any that was imported for bundles of that name.
fn listing<'a>(
    trust: &'a Trust<'a>,
    key: &PublicKey,
    name: Option<&BundleName>,
) -> Result<Listing<'a>, Reason> {
    let policy: &TrustPolicy = match trust {
        Trust::Policy { policy, .. } => policy,
        Trust::Keys { known, .. } => known.ok_or(Reason::UnknownKey)?,
    };
    if let Some(own) = policy.find(key) {
        return Ok(Listing { key: own, policy, import: None });
    }
    let listed = |import: &'a TrustImport| {
        let accepted = import.accepted()?;
        Some(Listing { key: accepted.find(key)?, policy: accepted, import: Some(import) })
    };
    let (inside, outside): (Vec<_>, Vec<_>) = policy
        .imports()
        .iter()
        .filter_map(|import| listed(import).map(|found| (import, found)))
        .partition(|(import, _)| surely_matches(&import.bundles, name));
    if let Some((_, found)) = inside.into_iter().next() {
        return Ok(found);
    }
    Err(outside.first().map_or(Reason::UnknownKey, |(import, _)| Reason::OutOfScope {
        import: import.name.clone(),
        bundles: import.bundles.clone(),
    }))
}

/// Whether a signature counts, as far as that does not depend on the others.
fn judge<S: Attested>(signed: &S, claim: &S::Claim, trust: &Trust<'_>, at: Timestamp) -> Result<(), Reason> {
    if signed.claim() != claim {
        return Err(Reason::OtherClaim);
    }
    let SignerClaim { public_key, role, .. } = signed.signer();
    judge_key(public_key, role, S::bundle_name(claim), trust, at)
}

/// Whether a key counts in a role, for a bundle of that name.
pub(crate) fn judge_key(
    key: &PublicKey,
    role: &Role,
    name: Option<&BundleName>,
    trust: &Trust<'_>,
    at: Timestamp,
) -> Result<(), Reason> {
    let policy = match trust {
        Trust::Keys { known, .. } => *known,
        Trust::Policy { policy, .. } => Some(*policy),
    };
    if let Some(revoked) = policy.and_then(|policy| compromised(policy, key, name)) {
        return Err(Reason::Revoked(revoked.clone()));
    }
    if let Trust::Keys { keys, .. } = trust {
        if !keys.contains(key) {
            return Err(Reason::UnknownKey);
        }
        // Whoever names a key says that it counts, except that what is known to be revoked does not.
        return match listing(trust, key, name).map(|listed| listed.key.validity(at)) {
            Ok(Validity::Revoked(revoked)) => Err(Reason::Revoked(revoked)),
            _ => Ok(()),
        };
    }
    let listed = listing(trust, key, name)?;
    match listed.key.validity(at) {
        Validity::Valid => {}
        Validity::NotYet { not_before } => return Err(Reason::NotYetValid { not_before }),
        Validity::Expired { not_after } => return Err(Reason::Expired { not_after }),
        Validity::Revoked(revoked) => return Err(Reason::Revoked(revoked)),
    }
    if let Some(expires) = listed.policy.expires().filter(|_| listed.policy.is_expired(at)) {
        return Err(Reason::TrustExpired { expires });
    }
    // The policy itself may have expired where what it imported has not.
    if let Some(policy) = policy
        && let Some(expires) = policy.expires().filter(|_| policy.is_expired(at))
    {
        return Err(Reason::TrustExpired { expires });
    }
    let held = listed.roles();
    if held.contains(role) { Ok(()) } else { Err(Reason::RoleNotHeld { held }) }
}

/// Whether whoever revoked the bundle is entitled to: a trusted key that signed it, a revoker, a root key. Dates
/// limit what a key vouches for, not what it takes back; only a compromised key is not believed.
fn entitle<S: Attested>(
    signed: &SignedRevocation,
    statements: &[S],
    claim: &S::Claim,
    trust: &Trust<'_>,
) -> RevocationVerdict {
    let (revocation, name) = (signed.revocation(), S::bundle_name(claim));
    let key = &revocation.public_key;
    let (named, policy): (&[PublicKey], _) = match trust {
        Trust::Keys { keys, known, .. } => (keys, *known),
        Trust::Policy { policy, .. } => (&[], Some(*policy)),
    };
    let listed = listing(trust, key, name).ok();
    let signed_it =
        statements.iter().any(|signed| signed.signer().public_key == *key && signed.claim() == claim);
    let is_root = policy.is_some_and(|policy| {
        let own = policy.root_keys().any(|root| root.public_key == *key);
        let mut imports = policy.imports().iter().filter(|import| surely_matches(&import.bundles, name));
        own || imports.any(|import| import.root.contains(&key.fingerprint()))
    });
    let revoker = |listed: &Listing<'_>| {
        revocation.role.as_str() == REVOKER && listed.roles().contains(&revocation.role)
    };
    let known = listed.is_some() || named.contains(key);
    let verdict = if policy.is_some_and(|policy| compromised(policy, key, name).is_some()) {
        Err(NotEntitled::Compromised)
    } else if known && signed_it {
        Ok(Authority::Signer)
    } else if listed.as_ref().is_some_and(revoker) {
        Ok(Authority::Revoker)
    } else if is_root {
        Ok(Authority::Root)
    } else if known {
        Err(NotEntitled::NotSigner)
    } else {
        Err(NotEntitled::UnknownKey)
    };
    RevocationVerdict {
        revocation: revocation.clone(),
        name: listed.as_ref().map(|listed| listed.key.name.clone()),
        owner: listed.and_then(|listed| listed.key.owner.clone()),
        verdict,
    }
}

/// What the policy says of a key that it lists. What is only looked up for revocations gives nobody a name.
pub(crate) fn entry<'a>(
    key: &PublicKey,
    trust: &'a Trust<'a>,
    name: Option<&BundleName>,
) -> Option<(&'a TrustedKey, Option<&'a TrustImport>)> {
    match trust {
        Trust::Keys { .. } => None,
        Trust::Policy { .. } => listing(trust, key, name).ok().map(|listed| (listed.key, listed.import)),
    }
}

fn describe(signer: &SignerClaim, trust: &Trust<'_>, name: Option<&BundleName>, at: Timestamp) -> SignerInfo {
    let listed = entry(&signer.public_key, trust, name);
    let key = listed.map(|(key, _)| key);
    SignerInfo {
        public_key: signer.public_key,
        name: key.map(|key| key.name.clone()),
        owner: key.and_then(|key| key.owner.clone()),
        organization: key.and_then(|key| key.organization.clone()),
        import: listed.and_then(|(_, import)| import).map(|import| import.name.clone()),
        role: signer.role.clone(),
        basis: signer.basis,
        time: signer.time,
        not_after: key.and_then(|key| key.not_after),
        age_in_days: key.and_then(|key| key.age_in_days(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::SignedStatement;
    use crate::private_key::PrivateKey;
    use crate::signer::Signer as _;
    use crate::statement::Basis;
    use crate::testing::{key, signed, signed_as, statement};

    fn policy(keys: &[(&PrivateKey, &[&str])]) -> TrustPolicy {
        keys.iter().enumerate().fold(TrustPolicy::default(), |policy, (index, (key, roles))| {
            let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
            let name = format!("key-{index}").parse().unwrap();
            let mut entry = TrustedKey::new(name, *key.public_key(), roles);
            entry.owner = Some("Ada".parse().unwrap());
            policy.with_key(entry).unwrap()
        })
    }

    fn keys(keys: &[&PrivateKey], threshold: u32) -> Trust<'static> {
        let keys = keys.iter().map(|key| *key.public_key()).collect();
        Trust::Keys { keys, threshold: NonZeroU32::new(threshold), known: None }
    }

    fn now() -> Moment {
        Moment::now("2026-11-22T03:00:00Z".parse().unwrap())
    }

    fn ask(statements: &[SignedStatement], trust: &Trust<'_>) -> Decision {
        let claim = statement(&key()).claim;
        let decision = evaluate(statements, &claim, trust, &now(), &[]);
        // What holds of every decision.
        assert_eq!(decision.signatures().len(), statements.len());
        assert_eq!(decision.trusted().is_some(), decision.missing() == 0);
        assert!(decision.required() >= 1);
        if let Some(trusted) = decision.trusted() {
            assert_eq!(trusted.claim(), &claim);
            assert_eq!(trusted.signers().len() as u64, decision.counted());
        }
        decision
    }

    fn reasons(decision: &Decision) -> Vec<&'static str> {
        let code = |signature: &SignatureVerdict| match &signature.verdict {
            Verdict::Counted => "counted",
            Verdict::NotCounted(reason) => reason.code(),
        };
        decision.signatures().iter().map(code).collect()
    }

    #[test]
    fn every_named_key_must_have_signed() {
        let (a, b, c) = (key(), key(), key());
        let both = [signed(&a), signed(&b)];
        assert!(ask(&both, &keys(&[&a, &b], 0)).trusted().is_some());
        assert!(ask(&both, &keys(&[&a], 0)).trusted().is_some());
        let decision = ask(&both, &keys(&[&a, &b, &c], 0));
        assert!(decision.trusted().is_none());
        assert_eq!((decision.required(), decision.counted(), decision.missing()), (3, 2, 1));
        assert_eq!(decision.missing_keys(), [*c.public_key()]);
        assert!(ask(&both, &keys(&[&a, &b, &c], 2)).trusted().is_some());
        assert!(ask(&both, &keys(&[&a, &b], 3)).trusted().is_none());
    }

    #[test]
    fn no_key_is_no_trust() {
        let decision = ask(&[signed(&key())], &keys(&[], 0));
        assert!(decision.trusted().is_none());
        assert_eq!(reasons(&decision), ["unknown-key"]);
        assert!(ask(&[], &keys(&[], 0)).trusted().is_none());
        let nobody = TrustPolicy::default();
        assert!(
            ask(&[signed(&key())], &Trust::Policy { policy: &nobody, threshold: None }).trusted().is_none()
        );
        assert!(ask(&[], &Trust::Policy { policy: &nobody, threshold: None }).trusted().is_none());
    }

    #[test]
    fn e16_one_key_counts_once() {
        let (a, b) = (key(), key());
        let mut later = statement(&a);
        later.signer.time = "2026-12-01T00:00:00Z".parse().unwrap();
        let twice =
            [signed(&a), SignedStatement::sign(&a, &later).unwrap(), signed_as(&a, "release"), signed(&a)];
        for trust in [keys(&[&a, &b], 2), keys(&[&a, &a], 2)] {
            let decision = ask(&twice, &trust);
            assert!(decision.trusted().is_none());
            assert_eq!(
                reasons(&decision),
                ["counted", "key-counted-already", "key-counted-already", "key-counted-already"]
            );
        }
        // A key that is named twice is one key.
        assert!(ask(&twice, &keys(&[&a, &a], 0)).trusted().is_some());
        let policy = policy(&[(&a, &["owner", "release"]), (&b, &["owner"])]);
        let trust = Trust::Policy { policy: &policy, threshold: NonZeroU32::new(2) };
        assert!(ask(&twice, &trust).trusted().is_none());
        assert!(ask(&[signed(&a), signed(&b)], &trust).trusted().is_some());
    }

    #[test]
    fn a_signature_counts_in_the_role_it_states() {
        let (a, b) = (key(), key());
        let policy = policy(&[(&a, &["release"]), (&b, &["owner", "release"])]);
        let trust = Trust::Policy { policy: &policy, threshold: None };
        let decision = ask(&[signed_as(&a, "owner")], &trust);
        assert!(decision.trusted().is_none());
        assert_eq!(reasons(&decision), ["role-not-held"]);
        assert!(decision.signatures()[0].signer.name.is_some());
        // The role that does not count does not use the key up.
        let decision = ask(&[signed_as(&a, "owner"), signed_as(&a, "release")], &trust);
        assert_eq!(reasons(&decision), ["role-not-held", "counted"]);
        let trusted = decision.into_trusted().unwrap();
        assert_eq!(trusted.signers()[0].name.as_ref().unwrap().as_str(), "key-0");
        assert_eq!(trusted.signers()[0].role.as_str(), "release");
        assert_eq!(reasons(&ask(&[signed(&key())], &trust)), ["unknown-key"]);
    }

    #[test]
    fn only_equal_claims_count_together() {
        use crate::statement::Content;
        type Change = fn(&mut Claim);
        let changes: [Change; 9] = [
            |claim| claim.bundle.name = "other".parse().unwrap(),
            |claim| claim.bundle.version = "1.0.1".parse().unwrap(),
            |claim| claim.bundle.classification = "public".parse().unwrap(),
            |claim| claim.bundle.id.0 = consign_metadata::Sha256Digest::of(b"other"),
            |claim| claim.excluded = None,
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.sha256 = consign_metadata::Sha256Digest::of(b"other");
            },
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.size += 1;
            },
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.tail.length += 1;
            },
            |claim| {
                let Content::Archive(archive) = &mut claim.content else { panic!() };
                archive.encoder = "other".parse().unwrap();
            },
        ];
        for change in changes {
            let (a, b) = (key(), key());
            let mut other = statement(&b);
            change(&mut other.claim);
            let other = SignedStatement::sign(&b, &other).unwrap();
            let decision = ask(&[signed(&a), other], &keys(&[&a, &b], 0));
            assert!(decision.trusted().is_none());
            assert_eq!(reasons(&decision), ["counted", "other-claim"]);
            assert_eq!(decision.missing_keys(), [*b.public_key()]);
        }
    }

    #[test]
    fn who_where_and_when_do_not_separate_claims() {
        let (a, b) = (key(), key());
        let mut other = statement(&b);
        other.signer.role = "release".parse().unwrap();
        other.signer.basis = Basis::Verified;
        other.signer.time = "2027-01-01T00:00:00Z".parse().unwrap();
        other.environment.ci = None;
        let other = SignedStatement::sign(&b, &other).unwrap();
        assert!(ask(&[signed(&a), other], &keys(&[&a, &b], 0)).trusted().is_some());
    }

    #[test]
    fn a_decision_reads_as_one_line() {
        let a = key();
        assert_eq!(ask(&[], &keys(&[&a], 0)).to_string(), "not trusted: 0 of 1 required keys signed");
        assert_eq!(ask(&[signed(&a)], &keys(&[&a], 0)).to_string(), "trusted: 1 of 1 required keys signed");
    }
}
