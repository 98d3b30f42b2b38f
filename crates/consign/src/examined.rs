//! One bundle, looked at: what it claims to be, whether it is intact, who vouches for it, what the policy says. This
//! is the road that verify, unpack, decrypt, submit and receive go.

use std::num::NonZeroUsize;
use std::path::Path;

use consign_bundle::{Anchor, Archive, Readers, Scope, Selection, UnpackError, VerifiedArchive, unpack_if};
use consign_metadata::{Manifest, Problem};
use consign_policy::{Demand, Encryption, Permit, Policy, Stage};
use consign_signing::{Claim, Decision, TimeEvidence, TrustedClaim};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::bundle_set::BundleSet;
use crate::checked::{
    archive_failure, archive_path, check, check_copy, expected, modes_not_kept, sole_claim,
};
use crate::context::{Context, unwritable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::{Standing, counted, decide_bundle, refusals, uncounted};
use crate::recipients::SaidRecipients;
use crate::vouching::{Trusted, Vouched, Vouching, VouchingArgs};

/// What every bundle is asked.
pub struct Asked<'a> {
    pub context: &'a Context,
    pub vouching: &'a VouchingArgs,
    pub trusted: &'a Trusted,
    pub policy: &'a Policy,
    /// The step that the policy is asked about.
    pub stage: Stage,
    /// Whether what holds only on somebody's word about the time will do: for looking, not for acting upon.
    pub on_a_word: bool,
    pub threads: NonZeroUsize,
}

/// What came of looking at one bundle.
pub struct Examined {
    /// The one claim of its statements; `None` if there are none.
    pub claim: Option<Claim>,
    /// The archive, if it is intact.
    pub verified: Option<VerifiedArchive>,
    /// What trust says, if it was asked.
    pub decision: Option<Decision>,
    /// Proof that somebody trusted vouches for what was found.
    pub vouched: Option<Vouched>,
    /// What the policy says. It is asked only about what is intact, vouched for and expected; of any other bundle
    /// nothing is believed.
    pub handled: Option<consign_policy::Decision>,
    pub exit: Exit,
    /// Why it is not all that was asked; none if it is.
    pub problems: Vec<Problem>,
    /// What is worth knowing, and changes nothing.
    pub notes: Vec<Problem>,
    shortfall: Shortfall,
}

/// How far what trust says falls short of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shortfall {
    /// It does not.
    None,
    /// Nobody trusted vouches for it, and nothing else is wrong: a caller may do without.
    Untrusted,
    /// Something speaks against it.
    Against,
}

impl Examined {
    fn new(claim: Option<&Claim>) -> Self {
        Self {
            claim: claim.cloned(),
            verified: None,
            decision: None,
            vouched: None,
            handled: None,
            exit: Exit::Done,
            problems: Vec::new(),
            notes: Vec::new(),
            shortfall: Shortfall::None,
        }
    }

    /// One that could not be looked at any further.
    pub fn failed(failure: Failure) -> Self {
        Self::new(None).fail(failure)
    }

    fn fail(mut self, failure: Failure) -> Self {
        self.exit = failure.exit;
        self.problems = failure.problems;
        self.shortfall = Shortfall::Against;
        self
    }

    /// What was found wrong, as a failure.
    pub fn into_failure(self) -> Failure {
        Failure { exit: self.exit, problems: self.problems }
    }

    /// Takes in what trust says.
    fn judged(&mut self, mut vouching: Vouching, on_a_word: bool, shown: &Path) {
        if !on_a_word && vouching.decision.trusted().is_some_and(TrustedClaim::rests_on_asserted_time) {
            let message = "holds on nothing but a word about the time";
            let problem = Problem::new("asserted-time", message).at(shown.display().to_string());
            vouching.against.push(problem.hint("leave `--at` out"));
        }
        self.shortfall = match (vouching.against.is_empty(), vouching.missing.is_empty()) {
            (true, true) => Shortfall::None,
            (true, false) => Shortfall::Untrusted,
            (false, _) => Shortfall::Against,
        };
        if self.shortfall != Shortfall::None {
            self.exit = Exit::NotTrusted;
        }
        self.notes.append(&mut vouching.notes);
        self.decision = Some(vouching.decision.clone());
        self.problems.extend(vouching.into_problems());
    }

    /// Nobody signed it.
    fn unsigned(&mut self, shown: &Path) {
        self.exit = Exit::NotTrusted;
        let problem = Problem::new("unsigned", "there is no signature").at(shown.display().to_string());
        self.problems.push(problem.hint("ask the sender for the `.intoto.jsonl` file that belongs to it"));
        self.shortfall = Shortfall::Untrusted;
    }

    /// Whether it may go on: nothing falls short, or only what the caller does without.
    fn is_admitted(&self, allow_untrusted: bool) -> bool {
        match self.shortfall {
            Shortfall::None => true,
            Shortfall::Untrusted => allow_untrusted,
            Shortfall::Against => false,
        }
    }

    /// Whether somebody trusted vouches for exactly what was found, by nobody's word about the time, and nothing falls
    /// short of what was asked.
    pub fn holds_now(&self) -> bool {
        self.holds() && self.vouched.as_ref().is_some_and(|vouched| !vouched.asserted())
    }

    /// The same, but perhaps by the caller's word about the time.
    pub fn holds(&self) -> bool {
        self.shortfall == Shortfall::None && self.problems.is_empty() && self.vouched.is_some()
    }

    /// The trusted claim, if there is one.
    pub fn trusted(&self) -> Option<&TrustedClaim> {
        self.decision.as_ref().and_then(Decision::trusted)
    }

    /// What was done with it, for the ledger: what is not trusted now is told as such.
    pub fn act(&self, action: Action, verified: &VerifiedArchive) -> Act {
        let act = match self.trusted() {
            Some(trusted) => Act::of(action, trusted.claim()),
            None => Act::new(action).archive(verified.facts().sha256),
        };
        let as_of = self.decision.as_ref().filter(|_| self.holds() && !self.holds_now());
        let act = act.with("trusted", (!self.holds_now()).then_some(false));
        act.with("as_of", as_of.map(|decision| decision.moment().at().to_string()))
    }

    /// How it is encrypted, by the word of those who count; nothing of what others say reaches a policy.
    pub fn encryption(
        &self,
        said: Option<&SaidRecipients>,
        shown: &Path,
    ) -> Result<Option<Encryption>, Failure> {
        let (Some(said), Some(decision)) = (said, &self.decision) else { return Ok(None) };
        let counted = said.counted(decision, &shown.display().to_string())?;
        Ok(Some(Encryption::To(counted.map(|counted| counted.names()).unwrap_or_default())))
    }

    /// Holds what was found against the trusted claim.
    fn vouch(&mut self, shown: &Path) {
        if let (Some(verified), Some(trusted)) = (&self.verified, self.trusted()) {
            self.vouched = Vouched::archive(verified, trusted);
        }
        if self.exit == Exit::Done && self.vouched.is_none() {
            let problem = Problem::new("statement-disagrees", "what was signed is not what was found");
            self.problems.push(problem.at(shown.display().to_string()));
            self.exit = Exit::NotIntact;
        }
    }

    /// The permit, if the policy gave one.
    pub fn permit(&self) -> Option<Permit> {
        self.handled.as_ref().and_then(|decision| decision.permit().ok())
    }
}

/// Where and what to unpack.
pub struct Extraction<'a> {
    pub destination: &'a Path,
    pub selection: Selection,
    /// Whether it is unpacked even if nobody vouches for it.
    pub allow_untrusted: bool,
}

impl Asked<'_> {
    /// Asks who vouches for it, before anything of its content is looked at.
    fn ask_trust(&self, set: &BundleSet, shown: &Path) -> Result<Examined, Box<Examined>> {
        let claim = sole_claim(set).map_err(|failure| Box::new(Examined::failed(failure)))?;
        claim.into_iter().for_each(|claim| self.context.about(claim));
        let mut examined = Examined::new(claim);
        match claim.map(|claim| self.vouching.judge(self.trusted, set, claim, shown)) {
            Some(Ok(vouching)) => examined.judged(vouching, self.on_a_word, shown),
            Some(Err(failure)) => return Err(Box::new(examined.fail(failure))),
            None => examined.unsigned(shown),
        }
        Ok(examined)
    }

    /// Asks who vouches for it, and reads the archive as far as `scope` goes; but of an archive for which nobody who counts
    /// vouches no content is decoded: a stranger could make a desk spend hours on a file of a few kilobytes.
    pub fn look(&self, set: &BundleSet, shown: &Path, scope: Scope) -> Examined {
        let mut examined = match self.ask_trust(set, shown) {
            Ok(examined) => examined,
            Err(failed) => return *failed,
        };
        let scope = if examined.exit == Exit::Done { scope } else { Scope::Bytes };
        match check(self.context, set, scope, self.threads) {
            Ok(verified) => examined.verified = Some(verified),
            Err(failure) => return examined.fail(failure),
        }
        examined.vouch(shown);
        examined
    }

    /// Asks the policy about a bundle that is all that was asked so far.
    pub fn decide(&self, examined: &mut Examined, shown: &Path, said: Option<&SaidRecipients>) {
        let (Exit::Done, Some(verified), Some(_)) = (examined.exit, &examined.verified, &examined.vouched)
        else {
            return;
        };
        let encryption = match examined.encryption(said, shown) {
            Ok(encryption) => encryption,
            Err(mut failure) => {
                examined.exit = failure.exit;
                examined.problems.append(&mut failure.problems);
                examined.shortfall = Shortfall::Against;
                return;
            }
        };
        let decision = self.ask(verified.manifest(), examined, encryption);
        examined.take(decision, self.policy, shown);
    }

    fn ask(
        &self,
        manifest: &Manifest,
        examined: &Examined,
        encryption: Option<Encryption>,
    ) -> consign_policy::Decision {
        let trusted = examined.trusted();
        let signers = trusted.map(|trusted| counted(trusted.signers())).unwrap_or_default();
        let others = examined.decision.as_ref().map(uncounted).unwrap_or_default();
        let claim = trusted.map(TrustedClaim::claim);
        let standing = Standing { encryption, uncounted: &others, ..Standing::new(claim, &signers) };
        decide_bundle(self.policy, self.stage, manifest, &standing)
    }

    /// Asks who vouches for it, then the policy, and unpacks it if both admit it; every byte is checked on the way. The
    /// archive was looked at only if it was admitted.
    pub fn unpack(
        &self,
        set: &BundleSet,
        shown: &Path,
        said: Option<&SaidRecipients>,
        extraction: &Extraction<'_>,
    ) -> Examined {
        let mut examined = match self.ask_trust(set, shown) {
            Ok(examined) => examined,
            Err(failed) => return *failed,
        };
        if !examined.is_admitted(extraction.allow_untrusted) {
            return examined;
        }
        let encryption = match examined.encryption(said, shown) {
            Ok(encryption) => encryption,
            Err(failure) => return examined.fail(failure),
        };
        match self.extract(set, &mut examined, encryption, extraction) {
            Ok(Some(verified)) => examined.verified = Some(verified),
            Ok(None) => return examined,
            Err(failure) => return examined.fail(failure),
        }
        examined.vouch(shown);
        examined
    }

    /// Asks who vouches for it, checks all of its content if they do or `allow_untrusted` says so, and asks the policy: what
    /// a step that writes the content elsewhere needs to know before. Of what was not admitted, nothing was decoded.
    #[cfg(feature = "encryption")]
    pub fn admit(&self, set: &BundleSet, shown: &Path, allow_untrusted: bool) -> Examined {
        let mut examined = match self.ask_trust(set, shown) {
            Ok(examined) => examined,
            Err(failed) => return *failed,
        };
        if !examined.is_admitted(allow_untrusted) {
            return examined;
        }
        let verified = match check(self.context, set, Scope::Content, self.threads) {
            Ok(verified) => verified,
            Err(failure) => return examined.fail(failure),
        };
        let decision = self.ask(verified.manifest(), &examined, None);
        let permitted = decision.permit().is_ok();
        examined.take(decision, self.policy, shown);
        if permitted {
            examined.verified = Some(verified);
            examined.vouch(shown);
        }
        examined
    }

    /// Gives nothing if the policy does not admit it.
    fn extract(
        &self,
        set: &BundleSet,
        examined: &mut Examined,
        encryption: Option<Encryption>,
        extraction: &Extraction<'_>,
    ) -> Result<Option<VerifiedArchive>, Failure> {
        let path = archive_path(set)?;
        let expected = examined.claim.as_ref().map(expected).transpose()?;
        let anchor = expected.as_ref().map_or(Anchor::Unsigned, Anchor::Signed);
        let archive =
            Archive::open(set.open_archive(path)?, anchor).map_err(|error| archive_failure(error, path))?;
        if let Some(copy) = &set.manifest {
            let id = match &expected {
                Some(expected) => expected.id,
                None => archive.manifest_id().map_err(|error| archive_failure(error, path))?,
            };
            check_copy(copy, id)?;
        }
        let admit = |manifest: &Manifest| {
            let decision = self.ask(manifest, examined, encryption);
            let permitted = decision.permit().is_ok();
            examined.take(decision, self.policy, path);
            permitted.then(|| readers(self.policy, manifest))
        };
        let total = archive.work(&Scope::Content).unwrap_or_default();
        let meter = self.context.meter("unpacking", total);
        let (destination, selection) = (extraction.destination, extraction.selection.clone());
        match unpack_if(&archive, destination, selection, self.threads, &meter, admit) {
            Ok(unpacked) => {
                if !unpacked.modes_kept {
                    examined.notes.push(modes_not_kept(destination));
                }
                Ok(Some(unpacked.verified))
            }
            Err(UnpackError::NotAdmitted) => Ok(None),
            Err(error) => Err(unpack_failure(error, path)),
        }
    }
}

/// Who may read the content once it is unpacked: of what leaves only encrypted, and of what the policy does not know, nobody
/// but whoever unpacks it.
fn readers(policy: &Policy, manifest: &Manifest) -> Readers {
    match policy.level(&manifest.core().classification) {
        Some(level) if level.encryption == Demand::Optional => Readers::Umask,
        _ => Readers::Owner,
    }
}

impl Examined {
    /// Takes in what the policy says.
    fn take(&mut self, decision: consign_policy::Decision, policy: &Policy, shown: &Path) {
        if decision.permit().is_err() {
            // What is refused whoever vouches for it is refused first of all.
            self.problems = refusals(&decision, policy, shown);
            self.exit = Exit::Refused;
        }
        self.handled = Some(decision);
    }
}

fn unpack_failure(error: UnpackError, path: &Path) -> Failure {
    match error {
        UnpackError::Archive(error) => archive_failure(error, path),
        UnpackError::Exists(at) => destination_exists(&at),
        UnpackError::Name(fault) => Failure::failed(Problem::new(fault.rule.code(), fault.to_string())),
        UnpackError::Write { path, error } => unwritable(&path, &error),
        UnpackError::NotAdmitted => Failure::new(Exit::Refused, Problem::new("refused", "was not admitted")),
    }
}

/// Something stands where a directory was to be made.
pub fn destination_exists(at: &Path) -> Failure {
    Failure::failed(
        Problem::new("destination-exists", "already exists; unpack makes a new directory")
            .at(at.display().to_string())
            .hint("name a directory that is not there yet"),
    )
}

/// An earlier time as of which trust was asked.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AsOf {
    pub time: String,
    /// What proves that the signatures were made by then.
    pub evidence: TimeEvidence,
}

impl AsOf {
    /// The time, of what was asked as of an earlier one.
    pub fn of<C>(decision: &Decision<C>) -> Option<Self> {
        let moment = decision.moment();
        let earlier = moment.at() < moment.time_of_verification();
        earlier.then(|| Self { time: moment.at().to_string(), evidence: moment.evidence() })
    }
}
