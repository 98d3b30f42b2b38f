//! Does someone trusted vouch for a bundle, and is it the one that was announced: asked in the same way by
//! verify, unpack and whatever acts on a bundle.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use consign_bundle::{Scope, VerifiedArchive};
use consign_metadata::{
    BundleId, Classification, DigestError, Manifest, Problem, Role, Sha256Digest, printable,
};
use consign_policy::Policy;
use consign_signing::{
    Claim, Content, Decision, EncryptedClaim, Moment, NotEntitled, Obstacle, Part, PublicKey, Reason,
    ReceiptLevel, RuleOrigin, SignedRevocation, SignedStatement, Timestamp, Trust, TrustPolicy, TrustedClaim,
    Verdict, evaluate,
};

use crate::bundle_set::BundleSet;
use crate::checked::{archive_claim, bundle_claim};
use crate::context::Context;
use crate::encrypted_set::{Ciphertext, EncryptedSet};
use crate::failure::Failure;
use crate::keys::load_public;
use crate::spool::Stream;
use crate::state::own_keys::with_own_keys;
use crate::state::{CLOCK_TOLERANCE, State, not_kept, revocations};

/// After how many days a key is called old, unless a policy says otherwise.
pub const KEY_AGE_DAYS: u64 = 90;
/// How many days before its end a key is called so.
pub const KEY_ENDS_DAYS: u64 = 30;

/// Whose signatures count, and what was announced.
#[derive(Clone, Debug, Default)]
pub struct VouchingArgs {
    /// A public key that must have signed; given several times, all of them
    pub keys: Vec<String>,
    pub trust: TrustArgs,
}

/// The same where `--key` names a key that signs, so that only a trust policy says whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct TrustArgs {
    /// How many distinct keys must have signed
    pub threshold: Option<NonZeroU32>,
    /// The trust policy to use instead of the configured one
    pub trust: Option<PathBuf>,
    /// What was announced: NAME@VERSION or the bundle id
    pub expect: Option<Expectation>,
    /// Ask as of this time, such as 2026-11-22T03:00:00Z: use trust as it stood then
    pub at: Option<Timestamp>,
    /// Revocations to honour: a file, or a folder with such files; may be repeated
    pub revocations: Vec<PathBuf>,
    /// Do not remember what was verified or revoked
    pub no_remember: bool,
}

impl TrustArgs {
    /// No key is named.
    pub fn vouching(&self) -> VouchingArgs {
        VouchingArgs { keys: Vec::new(), trust: self.clone() }
    }
}

/// A bundle by what it is called: what was announced, what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    Version { name: String, version: String },
    Id(BundleId),
}

impl std::str::FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("sha256:") {
            return text.parse().map(Self::Id).map_err(|error: DigestError| error.to_string());
        }
        let parts = text.split_once('@').filter(|(name, version)| !name.is_empty() && !version.is_empty());
        let (name, version) = parts.ok_or("it is neither NAME@VERSION nor a bundle id (`sha256:…`)")?;
        Ok(Self::Version { name: name.to_owned(), version: version.to_owned() })
    }
}

impl std::fmt::Display for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Version { name, version } => write!(f, "{}@{}", printable(name), printable(version)),
        }
    }
}

impl Expectation {
    /// What is wrong, if what was found is not what was announced.
    fn check(&self, claim: &Claim, shown: &Path) -> Option<Problem> {
        let bundle = &claim.bundle;
        let (announced, found) = match self {
            Self::Id(id) => (id.to_string(), bundle.id.to_string()),
            Self::Version { name, version } => {
                (format!("{name}@{version}"), format!("{}@{}", bundle.name, bundle.version))
            }
        };
        (announced != found).then(|| {
            let message = format!("is `{found}`, where `{}` was announced", printable(&announced));
            Problem::new("not-expected", message)
                .at(shown.display().to_string())
                .hint("ask the sender which of the two was meant")
        })
    }
}

impl Expectation {
    /// What is wrong, as far as an encrypted bundle says in public what it is.
    fn check_encrypted(&self, claim: &EncryptedClaim, shown: &Path) -> Option<Problem> {
        let announced = match self {
            Self::Id(id) => id.to_string(),
            Self::Version { name, version } => format!("{name}@{version}"),
        };
        let public = claim.public.bundle.as_ref().map(|bundle| format!("{}@{}", bundle.name, bundle.version));
        let message = match (self, &public) {
            (Self::Version { .. }, Some(found)) if *found == announced => return None,
            (Self::Version { .. }, Some(found)) => {
                format!("is `{found}`, where `{}` was announced", printable(&announced))
            }
            _ => format!("does not say in public whether it is `{}`", printable(&announced)),
        };
        Some(
            Problem::new("not-expected", message)
                .at(shown.display().to_string())
                .hint("whoever can open it can tell: `--identity FILE`"),
        )
    }
}

/// Whose signatures count, as of when, and what was revoked: loaded.
pub struct Trusted {
    who: Who,
    /// The configured policy, where the caller names keys: a key that it calls revoked does not count.
    known: Option<TrustPolicy>,
    moment: Moment,
    /// Those that the caller names.
    named: Vec<SignedRevocation>,
    /// Those that were seen before.
    seen: Vec<SignedRevocation>,
    state: State,
    /// From which age on the handling policy warns of keys, by level.
    key_ages: Vec<(Classification, u64)>,
    side: Side,
}

/// Who reads what is said about trust.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Side {
    /// Somebody to whom the bundle was sent.
    #[default]
    Recipient,
    /// One of those who made and sign it.
    Sender,
}

impl Trusted {
    /// Whether nobody's signature can count, since nobody was ever trusted.
    pub fn is_nobody(&self) -> bool {
        match &self.who {
            Who::Keys(keys) => keys.is_empty(),
            Who::Policy(policy) => policy.keys().is_empty() && policy.imports().is_empty(),
            Who::Nobody => true,
        }
    }

    /// The same at the sender's: own keys are trusted as one's own, where trust does not list them.
    pub fn at_the_senders(mut self) -> Self {
        let own = self.state.own_keys();
        self.who = match self.who {
            Who::Policy(policy) => Who::Policy(with_own_keys(policy, &own)),
            Who::Nobody if !own.keys().is_empty() => Who::Policy(with_own_keys(TrustPolicy::default(), &own)),
            other => other,
        };
        self.side = Side::Sender;
        self
    }

    /// The same with one key that counts, instead of whoever counted before. What is known to be revoked does not.
    pub fn by_key(mut self, key: PublicKey) -> Self {
        if let Who::Policy(policy) = std::mem::replace(&mut self.who, Who::Keys(vec![key])) {
            self.known = Some(policy);
        }
        self
    }

    /// From which age in days on a key is warned of that signed what is so classified.
    fn key_age(&self, classification: &Classification) -> u64 {
        let known = self.key_ages.iter().find(|(level, _)| level == classification);
        known.map_or(KEY_AGE_DAYS, |(_, days)| *days)
    }
}

enum Who {
    Keys(Vec<PublicKey>),
    Policy(TrustPolicy),
    /// No key was named, and there is no policy.
    Nobody,
}

/// What came of asking.
pub struct Vouching {
    pub decision: Decision,
    /// What is missing for somebody trusted to vouch for it: a caller may do without.
    pub missing: Vec<Problem>,
    /// What speaks against it, or that it is not what was expected: nobody does without.
    pub against: Vec<Problem>,
    /// What is worth knowing all the same.
    pub notes: Vec<Problem>,
}

impl Vouching {
    /// Why it is not vouched for, or not what was expected; none if it is.
    pub fn into_problems(self) -> Vec<Problem> {
        self.against.into_iter().chain(self.missing).collect()
    }
}

impl VouchingArgs {
    /// The same without a command line's own options: keys that must have signed, and a trust policy.
    pub fn of(keys: Vec<String>, trust: Option<PathBuf>) -> Self {
        Self { keys, trust: TrustArgs { trust, ..TrustArgs::default() } }
    }

    /// The same, but nothing is remembered.
    pub fn forgetful(mut self) -> Self {
        self.trust.no_remember = true;
        self
    }

    pub fn load(&self, context: &Context, handling: &Policy) -> Result<Trusted, Failure> {
        let now = context.now()?;
        let moment = match self.trust.at {
            None => Moment::now(now),
            Some(at) => Moment::asserted(at, now)
                .map_err(|error| Failure::usage(error.problem().at(format!("--at {at}"))))?,
        };
        let state = context.state().clone();
        let policy = context.trust_policy(self.trust.trust.as_deref())?;
        let policy =
            policy.map(|mut policy| state.attach_imports(&mut policy).map(|()| policy)).transpose()?;
        let (who, known) = match (self.keys.is_empty(), policy) {
            (true, None) => (Who::Nobody, None),
            (true, Some(policy)) => (Who::Policy(policy), None),
            (false, known) => (Who::Keys(self.named_keys()?), known),
        };
        // Only a policy has anything that ends.
        if matches!(who, Who::Policy(_)) {
            state.check_clock(now)?;
        }
        let mut named = Vec::new();
        for path in &self.trust.revocations {
            named.append(&mut revocations::read_named(path)?);
        }
        let seen = state.revocations()?;
        state.check_bundles()?;
        let levels = handling.levels().iter();
        let key_ages = levels.map(|level| (level.name.clone(), u64::from(level.key_age_days))).collect();
        Ok(Trusted { who, known, moment, named, seen, state, key_ages, side: Side::default() })
    }

    fn named_keys(&self) -> Result<Vec<PublicKey>, Failure> {
        let keys = self.keys.iter().map(|key| load_public(key)).collect::<Result<Vec<_>, _>>()?;
        let distinct = keys.iter().collect::<BTreeSet<_>>().len() as u64;
        if let Some(threshold) =
            self.trust.threshold.filter(|threshold| u64::from(threshold.get()) > distinct)
        {
            let keys = crate::words::count(distinct, "key", "different keys");
            let message = format!("asks for more signatures than there can be by the {keys} named");
            let problem = Problem::new("threshold", message).at(format!("--threshold {threshold}"));
            return Err(Failure::usage(
                problem.hint("name more keys with `--key`, or ask for fewer signatures"),
            ));
        }
        Ok(keys)
    }

    fn trust<'a>(&self, trusted: &'a Trusted) -> Trust<'a> {
        let (threshold, known) = (self.trust.threshold, trusted.known.as_ref());
        match &trusted.who {
            Who::Keys(keys) => Trust::Keys { keys: keys.clone(), threshold, known },
            Who::Policy(policy) => Trust::Policy { policy, threshold },
            Who::Nobody => Trust::Keys { keys: Vec::new(), threshold: None, known },
        }
    }

    /// Asks who vouches for the bytes of an encrypted bundle that is not opened; gives what stands against it, and
    /// what is worth knowing all the same. Whether the bundle was revoked, or is another one than before, shows when it
    /// is opened.
    pub fn judge_encrypted(
        &self,
        trusted: &Trusted,
        set: &EncryptedSet,
        claim: &EncryptedClaim,
        shown: &Path,
    ) -> (Decision<EncryptedClaim>, Vec<Problem>, Vec<Problem>) {
        let statements = set.attestations.as_ref().map_or(&[][..], |(_, found)| found.statements());
        let decision = evaluate(statements, claim, &self.trust(trusted), &trusted.moment, &[]);
        let mut problems = Vec::new();
        match &self.trust.expect {
            Some(expectation) => problems.extend(expectation.check_encrypted(claim, shown)),
            None => problems.extend(set.misnamed(claim)),
        }
        let at = |problem: Problem| problem.at(shown.display().to_string());
        problems.extend(decision.obstacles().iter().map(Obstacle::problem).map(at));
        if decision.trusted().is_none() {
            problems.extend(revoked_keys(&decision, shown));
            problems.push(untrusted(&decision, trusted, shown));
        }
        let notes = warnings(&decision, KEY_AGE_DAYS);
        (decision, problems, notes)
    }

    /// Asks which of the signatures on a claim count, and no more than that: nothing is remembered.
    pub fn count(&self, trusted: &Trusted, set: &BundleSet, claim: &Claim) -> Decision {
        let statements = set.attestations.as_ref().map_or(&[][..], |(_, found)| found.statements());
        evaluate(statements, claim, &self.trust(trusted), &trusted.moment, &[])
    }

    /// Asks whether enough of the signatures on a claim count, and whether it is the expected one. `shown` is
    /// the file that goes by its name.
    pub fn judge(
        &self,
        trusted: &Trusted,
        set: &BundleSet,
        claim: &Claim,
        shown: &Path,
    ) -> Result<Vouching, Failure> {
        let trust = self.trust(trusted);
        let statements = set.attestations.as_ref().map_or(&[][..], |(_, found)| found.statements());
        let mut revocations = trusted.named.clone();
        revocations.append(&mut beside(set, claim)?);
        let fresh = revocations.len();
        let seen = trusted.seen.iter().filter(|seen| !revocations.contains(seen)).cloned();
        revocations.extend(seen.collect::<Vec<_>>());
        let decision = evaluate(statements, claim, &trust, &trusted.moment, &revocations);
        let (mut against, mut missing) = (Vec::new(), Vec::new());
        let mut notes = warnings(&decision, trusted.key_age(&claim.bundle.classification));
        match &self.trust.expect {
            Some(expectation) => against.extend(expectation.check(claim, shown)),
            // Without an announcement the file's name is what a person goes by.
            None => {
                against.extend(misnamed(set, claim));
                notes.extend(nameless(set, claim));
            }
        }
        let at = |problem: Problem| problem.at(shown.display().to_string());
        against.extend(decision.revoked().map(|revoked| at(revoked.problem())));
        missing.extend(decision.obstacles().iter().map(Obstacle::problem).map(at));
        if decision.trusted().is_none() && decision.revoked().is_none() {
            against.extend(revoked_keys(&decision, shown));
            missing.push(untrusted(&decision, trusted, shown));
        }
        if !self.trust.no_remember {
            let counts = |signed: &&SignedRevocation| {
                let mut verdicts = decision.revocations().iter();
                verdicts.any(|one| one.verdict.is_ok() && one.revocation == *signed.revocation())
            };
            for signed in revocations[..fresh].iter().filter(counts) {
                let kept = trusted.state.keep_revocation(signed);
                notes.extend(kept.err().map(|error| revocations::not_kept(&error)));
            }
        }
        // What a signer who counts shows of their ledger binds once it was seen, whatever the archive turns out to be.
        let signers = decision
            .trusted()
            .filter(|_| !self.trust.no_remember)
            .map(TrustedClaim::signers)
            .unwrap_or_default();
        let counted =
            |signed: &&SignedStatement| signers.iter().any(|signer| signer.public_key == *signed.key());
        for ledger in
            statements.iter().filter(counted).filter_map(|signed| signed.statement().ledger.as_ref())
        {
            let bundle = format!("{} {}", claim.bundle.name, claim.bundle.version);
            match trusted.state.witness(ledger, &bundle) {
                Ok(forked) => against.extend(forked.map(at)),
                Err(error) => notes.push(not_kept("how far the sender's ledger had come", &error)),
            }
        }
        match decision.trusted().map(|trusted_claim| trusted.state.other_bundle(trusted_claim)) {
            Some(Ok(Some(other))) => against.push(equivocation(&other, claim, shown)),
            Some(Err(error)) => {
                let message =
                    format!("whether another bundle went by this name before cannot be told: {error}");
                notes.push(Problem::new("state-unreadable", message));
            }
            _ => {}
        }
        Ok(Vouching { decision, missing, against, notes })
    }

    /// Whether somebody who may take a bundle back did; if not, why it does not count.
    pub fn takes_back(
        &self,
        trusted: &Trusted,
        statements: &[SignedStatement],
        claim: &Claim,
        revocation: &SignedRevocation,
    ) -> Result<(), NotEntitled> {
        let revocations = std::slice::from_ref(revocation);
        let decision = evaluate(statements, claim, &self.trust(trusted), &trusted.moment, revocations);
        let verdict = decision.revocations().first().map(|one| one.verdict);
        // One that is about another bundle takes nothing back.
        verdict.unwrap_or(Err(NotEntitled::NotSigner)).map(drop)
    }

    /// Whether what is verified is remembered.
    pub fn remembers(&self) -> bool {
        !self.trust.no_remember
    }

    /// Remembers what was fully verified just now, so that another bundle of the same name and version is noticed.
    /// Nothing of it keeps a verdict from being what it is, except that somebody was faster with another bundle.
    pub fn remember(&self, trusted: &Trusted, claim: &TrustedClaim, shown: &Path) -> Remembered {
        let mut remembered = Remembered::default();
        if self.trust.no_remember || claim.rests_on_asserted_time() {
            return remembered;
        }
        let now = trusted.moment.time_of_verification();
        match trusted.state.remember_bundle(claim, now) {
            Ok(None) => {}
            Ok(Some(other)) => remembered.problem = Some(equivocation(&other, claim.claim(), shown)),
            Err(error) => remembered.notes.push(not_kept("the bundle", &error)),
        }
        if remembered.notes.is_empty() {
            let noted = trusted.state.note_time(now);
            remembered.notes.extend(noted.err().map(|error| not_kept("the time", &error)));
        }
        remembered
    }
}

/// What came of remembering.
#[derive(Default)]
pub struct Remembered {
    /// Another bundle was verified under the name meanwhile.
    pub problem: Option<Problem>,
    pub notes: Vec<Problem>,
}

/// The revocations that lie beside a bundle.
fn beside(set: &BundleSet, claim: &Claim) -> Result<Vec<SignedRevocation>, Failure> {
    let Some(siblings) = set.siblings() else { return Ok(Vec::new()) };
    let own = format!("{}-{}{}", claim.bundle.name, claim.bundle.version, crate::bundle_set::REVOCATIONS);
    let mut all = Vec::new();
    for (path, read) in siblings.revocations() {
        match read {
            Some(read) => all.extend(read.iter().filter(|one| one.revocation().is_about(claim)).cloned()),
            // What cannot be read belongs to other bundles, unless its name says that it does not.
            None if path.file_name().is_some_and(|name| name == own.as_str()) => {
                all.extend_from_slice(revocations::read_revocations(path)?.signed());
            }
            None => {}
        }
    }
    Ok(all)
}

/// Keys that count, but not for long any more, or for too long already; and revocations that do not count.
fn warnings<C>(decision: &Decision<C>, key_age_days: u64) -> Vec<Problem> {
    let mut notes = Vec::new();
    let at = decision.moment().at();
    for signature in decision.signatures().iter().filter(|one| one.verdict == Verdict::Counted) {
        let signer = &signature.signer;
        let name = signer.name.as_ref().map_or_else(|| signer.fingerprint().to_string(), ToString::to_string);
        notes.extend(ahead(&name, signer.time, decision.moment().time_of_verification()));
        notes.extend(aged(&name, signer.age_in_days, key_age_days));
        notes.extend(ending(&name, signer.not_after, at));
    }
    for one in decision.revocations() {
        if let Err(reason) = one.verdict {
            let message = format!(
                "a revocation by {} does not count: {reason}; it says: {}",
                one.who(),
                one.revocation.reason
            );
            notes.push(Problem::new("revocation-not-counted", message));
        }
    }
    notes
}

/// A signature from the future: one of two clocks is wrong. The time is the signer's word, and nothing rests on it.
fn ahead(name: &str, signed: Timestamp, now: Timestamp) -> Option<Problem> {
    (signed.unix_seconds() > now.unix_seconds().saturating_add(CLOCK_TOLERANCE)).then(|| {
        let message =
            format!("`{name}` states to have signed at {signed}, and this machine's clock shows {now}");
        let hint = "one of the two clocks is wrong; set this one, or tell the signer";
        Problem::new("signed-in-future", message).hint(hint)
    })
}

/// A key past the age at which it should be replaced.
pub fn aged(name: &str, age: Option<u64>, key_age_days: u64) -> Option<Problem> {
    let age = age.filter(|age| *age > key_age_days)?;
    let message = format!("the key `{name}` is {age} days old (it should be replaced after {key_age_days})");
    Some(Problem::new("key-old", message).hint("ask its owner for a new one: consign trust rotate"))
}

/// A key that ends soon.
pub fn ending(name: &str, not_after: Option<Timestamp>, at: Timestamp) -> Option<Problem> {
    let not_after = not_after?;
    let left = not_after.unix_seconds().checked_sub(at.unix_seconds())? / 86_400;
    let message = format!("the key `{name}` ends at {not_after}, in {left} days");
    (left < KEY_ENDS_DAYS)
        .then(|| Problem::new("key-ends-soon", message).hint("ask its owner for the next one in time"))
}

fn equivocation(other: &crate::state::bundles::Verified, claim: &Claim, shown: &Path) -> Problem {
    let bundle = &claim.bundle;
    let message = format!(
        "is `{}@{}` with the id {}, but at {} another bundle by this name was verified, {}",
        bundle.name, bundle.version, bundle.id, other.time, other.id
    );
    let hint = "one name and version stands for one bundle; ask the sender which is right, and for a new version of the other";
    Problem::new("equivocation", message).at(shown.display().to_string()).hint(hint)
}

/// Signatures that would count, had their keys not been revoked.
fn revoked_keys<C>(decision: &Decision<C>, shown: &Path) -> Vec<Problem> {
    let problem = |signature: &consign_signing::SignatureVerdict| {
        let Verdict::NotCounted(Reason::Revoked(revoked)) = &signature.verdict else { return None };
        let signer = &signature.signer;
        let print = signer.fingerprint();
        let name = signer.name.as_ref().map_or_else(|| print.to_string(), |name| format!("{name} ({print})"));
        let message = format!("is signed with the key {name}, which was {revoked}");
        let hint = match revoked.reason {
            consign_signing::RevocationReason::Compromised => {
                "do not use it; ask the sender for a bundle that is signed with another key"
            }
            consign_signing::RevocationReason::Superseded => {
                "ask the sender to sign it with the new key; for a bundle from your archive, `--at TIME` asks as of then"
            }
        };
        Some(Problem::new("key-revoked", message).at(shown.display().to_string()).hint(hint))
    };
    decision.signatures().iter().filter_map(problem).collect()
}

/// Proof that somebody trusted vouches for exactly what was verified: without one nothing is called verified.
/// [`Vouched::archive`] and [`Vouched::manifest`] are the only ways to a value.
pub struct Vouched {
    /// The time by which the caller asserts that the signatures were made, where it holds for no other reason.
    asserted: bool,
    /// What was found: the digest of the archive, of the encrypted file, or of the manifest of a directory.
    subject: Sha256Digest,
    /// How much of an archive was looked at; nothing that a receipt could state otherwise.
    level: Option<ReceiptLevel>,
}

impl Vouched {
    /// The archive was held against a signed statement, and what was found is, to the last field, what the
    /// trusted claim says.
    pub fn archive(verified: &VerifiedArchive, trusted: &TrustedClaim) -> Option<Self> {
        let claim = trusted.claim();
        let found = archive_claim(verified.facts()).ok().map(Content::Archive);
        let same = verified.is_anchored()
            && found.as_ref() == Some(&claim.content)
            && bundle_claim(verified.manifest(), verified.id()) == claim.bundle;
        let level = match verified.scope() {
            Scope::Content => Some(ReceiptLevel::Content),
            Scope::Bytes => Some(ReceiptLevel::Bytes),
            Scope::Only(_) => None,
        };
        let subject = verified.facts().sha256;
        same.then(|| Self { asserted: trusted.rests_on_asserted_time(), subject, level })
    }

    /// Whether it holds for no other reason than the caller's word about the time.
    pub fn asserted(&self) -> bool {
        self.asserted
    }

    /// The digest of what was found.
    pub fn subject(&self) -> Sha256Digest {
        self.subject
    }

    /// How much of an archive was looked at, as receipts state it.
    pub fn level(&self) -> Option<ReceiptLevel> {
        self.level
    }

    /// The encrypted file was found to be the one that the trusted claim is about. Of what it holds nothing is known.
    pub fn ciphertext(found: &Ciphertext, trusted: &TrustedClaim<EncryptedClaim>) -> Option<Self> {
        let (asserted, subject) = (trusted.rests_on_asserted_time(), found.claim().sha256);
        (found.claim() == trusted.claim()).then_some(Self { asserted, subject, level: None })
    }

    /// The manifest that a directory was found to hold to is the one that the trusted claim names.
    pub fn manifest(manifest: &Manifest, id: BundleId, trusted: &TrustedClaim) -> Option<Self> {
        let same = bundle_claim(manifest, id) == trusted.claim().bundle;
        same.then(|| Self { asserted: trusted.rests_on_asserted_time(), subject: id.0, level: None })
    }
}

/// An archive goes by the name and version that were signed.
fn misnamed(set: &BundleSet, claim: &Claim) -> Option<Problem> {
    let path = set.archive.as_ref().filter(|path| Stream::of(path).is_none())?;
    let stem = format!("{}-{}.", claim.bundle.name, claim.bundle.version);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let other = set.other_stem().is_some_and(|other| name.starts_with(&format!("{other}.")));
    (!name.starts_with(&stem) && !other).then(|| {
        let signed = format!("{}@{}", claim.bundle.name, claim.bundle.version);
        let message = format!("goes by the name `{}`, but what was signed is `{signed}`", printable(&name));
        let hint = format!("if that is the bundle you were told of, say so: --expect {signed}");
        Problem::new("misnamed", message).at(path.display().to_string()).hint(hint)
    })
}

/// What comes as a stream goes by no name that could be compared with what was signed: a person must do it.
fn nameless(set: &BundleSet, claim: &Claim) -> Option<Problem> {
    set.archive.as_ref().filter(|path| Stream::of(path).is_some())?;
    let signed = format!("{}@{}", claim.bundle.name, claim.bundle.version);
    let message =
        format!("a stream goes by no name, so `{signed}` was compared with nothing that was announced");
    let hint = format!("if that is the bundle you were told of, say so: --expect {signed}");
    Some(Problem::new("nothing-announced", message).hint(hint))
}

/// The rules that are not met, and by how much; nothing if it is not rules that are missed.
fn unmet<C>(decision: &Decision<C>) -> String {
    let rule = |rule: &consign_signing::RuleVerdict| {
        let missed = rule.measures.iter().filter(|measure| measure.missing() > 0);
        let missed: Vec<_> = missed.map(ToString::to_string).collect();
        let own = matches!(rule.origin, RuleOrigin::Rule(_) | RuleOrigin::Imported { .. });
        (own && !missed.is_empty()).then(|| format!("{}: {}", rule.origin, missed.join(", ")))
    };
    decision.rules().iter().filter_map(rule).collect::<Vec<_>>().join("; ")
}

/// What is missing for trust, and the command that would establish it.
fn untrusted<C>(decision: &Decision<C>, trusted: &Trusted, shown: &Path) -> Problem {
    let side = trusted.side;
    let message = match &trusted.who {
        Who::Nobody => "no key was named, and there is no trust policy".to_owned(),
        _ => match unmet(decision) {
            missed if missed.is_empty() => {
                format!(
                    "{} of {} required signatures by trusted keys",
                    decision.counted(),
                    decision.required()
                )
            }
            missed => format!("not signed by enough trusted keys: {missed}"),
        },
    };
    let problem = Problem::new("not-trusted", message).at(shown.display().to_string());
    let missing = decision.missing_keys();
    if !missing.is_empty() {
        let line = |key: &PublicKey| format!("the key {} has not signed it", key.fingerprint());
        return problem.hint(missing.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    for signature in decision.signatures() {
        let (signer, Verdict::NotCounted(reason)) = (&signature.signer, &signature.verdict) else { continue };
        let (fingerprint, role) = (signer.fingerprint(), &signer.role);
        match reason {
            Reason::UnknownKey => return problem.hint(unknown_key(side, &fingerprint.to_string(), role)),
            Reason::RoleNotHeld { .. } => {
                let name = signer.name.as_ref().map_or_else(|| fingerprint.to_string(), ToString::to_string);
                let said = format!(
                    "`{}` signed as {role}, and you trust that key in other roles only",
                    printable(&name)
                );
                return problem.hint(match side {
                    Side::Recipient => format!("{said}; ask the sender who was to sign as {role}"),
                    Side::Sender => format!(
                        "{said}; if it is right: consign trust set --add-role ROLE -- {}",
                        consign_metadata::shell_word(&name)
                    ),
                });
            }
            _ => {}
        }
    }
    let lacking =
        decision.rules().iter().flat_map(|rule| &rule.measures).find(|measure| measure.missing() > 0);
    match lacking.map(|measure| &measure.part) {
        Some(Part::Role { role, .. }) if decision.counted() > 0 => problem.hint(match side {
            Side::Recipient => {
                format!("ask the sender for a signature as {role} by one more of the keys you trust")
            }
            Side::Sender => format!("have it signed: consign sign BUNDLE --role {role}"),
        }),
        Some(Part::Owners) => problem.hint(match (side, nobodys(decision).as_slice()) {
            (_, [first, ..]) => format!(
                "your trust does not say whose key `{}` is, so that it counts for nobody: consign trust set --owner PERSON -- {}",
                printable(first),
                consign_metadata::shell_word(first)
            ),
            (Side::Recipient, []) => "ask the sender for a signature by somebody else whom you trust".to_owned(),
            (Side::Sender, []) => "have somebody else sign it too: consign sign BUNDLE".to_owned(),
        }),
        _ => problem,
    }
}

/// Keys that counted, and whose owner trust does not name, by their names.
fn nobodys<C>(decision: &Decision<C>) -> Vec<String> {
    let counted = decision.signatures().iter().filter(|one| one.verdict == Verdict::Counted);
    let nobodys = counted.filter(|one| one.signer.owner.is_none());
    nobodys.filter_map(|one| one.signer.name.as_ref().map(ToString::to_string)).collect()
}

/// What stands for a fingerprint in a command that somebody may paste: what came with a bundle is for nobody to trust before
/// they have heard it from its owner.
pub const TOLD_FINGERPRINT: &str = "'SHA256:<the one you were told>'";

/// How a key comes to be trusted, for whoever sees it for the first time. Of the role that a statement states, nothing but the
/// two that vouch for content goes into a command: no stranger chooses what their key may do.
fn unknown_key(side: Side, fingerprint: &str, stated: &Role) -> String {
    let role = if ["owner", "release"].contains(&stated.as_str()) { stated.as_str() } else { "ROLE" };
    let command = |file: &str| {
        format!(
            "consign trust add NAME --key {file} --fingerprint {TOLD_FINGERPRINT} --role {role} --owner PERSON"
        )
    };
    match side {
        Side::Recipient => format!(
            "have the sender read their key's fingerprint to you, by telephone or in person; if it is {fingerprint}:\n{}",
            command("SENDER.pub")
        ),
        Side::Sender => format!(
            "your trust does not list the key of whoever signed as {stated}; have them read its fingerprint to you; if it is {fingerprint}:\n{}",
            command("THEIR.pub")
        ),
    }
}
