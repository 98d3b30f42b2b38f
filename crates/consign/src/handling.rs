//! The handling policy and the terms of handing over, as the command line has them; what the policy decides, in
//! words.

use std::path::{Path, PathBuf};

use consign_metadata::{Core, Details, Line, Manifest, Problem, Role, RuleId};
use consign_policy::{
    CountedSigner, Decision, Encryption, Parent, Permit, Policy, Reason, Request, RuleName, Scan, Stage,
    Surveyed, Target, UncountedSigner, decide,
};
use consign_signing::{Claim, Downgrade, Override, PublicKey, SignerInfo, Verdict};
use serde::Serialize;

use crate::addressing::{self, Laboratory, LaboratoryArgs};
use crate::bundle_set::{BundleSet, read_manifest};
use crate::checked::archive_failure;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Which handling policy is asked.
#[derive(Clone, Debug, Default)]
pub struct PolicyArgs {
    /// The handling policy to use instead of the configured one
    pub policy: Option<PathBuf>,
}

impl PolicyArgs {
    pub fn load(&self, context: &Context) -> Result<Policy, Failure> {
        context.policy(self.policy.as_deref())
    }

    /// Where the policy lies, or would lie.
    pub fn place(&self, context: &Context) -> Option<PathBuf> {
        self.policy.clone().or_else(|| context.policy_file())
    }
}

/// Which bundles a bundle derives from, so that their classification is known.
#[derive(Clone, Debug, Default)]
pub struct ParentArgs {
    /// A bundle that this one derives from: its manifest or archive, unless it was made or verified with this home
    pub parents: Vec<PathBuf>,
}

impl ParentArgs {
    /// Those that are named, and those whose manifests this machine has kept: an id is that of one manifest.
    pub fn load(&self, context: &Context, core: &Core) -> Result<Vec<Parent>, Failure> {
        let mut parents = Vec::new();
        for path in &self.parents {
            let parent = read_parent(path)?;
            if !core.parents.contains(&parent.id) {
                let message =
                    format!("is the bundle {}, which the descriptor does not name in `parents`", parent.id);
                let problem = Problem::new("not-a-parent", message).at(path.display().to_string());
                return Err(Failure::usage(problem.hint("add the id to `parents` in the descriptor")));
            }
            parents.push(parent);
        }
        let known = context.state().known();
        for id in &core.parents {
            if parents.iter().any(|parent| parent.id == *id) {
                continue;
            }
            let manifest = known.manifest_bytes(*id).ok().flatten();
            let manifest = manifest.and_then(|bytes| Manifest::parse(&bytes).ok());
            parents.extend(manifest.map(|manifest| Parent {
                id: *id,
                classification: Some(manifest.core().classification.clone()),
            }));
        }
        Ok(parents)
    }
}

/// On which terms a bundle is handed over.
#[derive(Clone, Debug, Default)]
pub struct TermsArgs {
    pub policy: PolicyArgs,
    /// Whom the bundle is for: the name of a recipient, as the policy has it; may be repeated
    pub addressees: Vec<Line>,
    pub laboratories: LaboratoryArgs,
    pub parents: ParentArgs,
    /// Why it may be classified lower than what it derives from; it must be signed by the role that the policy names
    pub downgrade: Option<Line>,
    /// Set aside a rule of the policy that admits it; may be repeated, each with its `--reason`
    pub overrides: Vec<RuleName>,
    /// Why the rule is set aside; it stands in the signed statement
    pub reasons: Vec<Line>,
}

/// The terms, loaded.
pub struct Terms {
    pub policy: Policy,
    pub addressees: Vec<Line>,
    pub parents: Vec<Parent>,
    pub downgrades: Vec<Downgrade>,
    pub overrides: Vec<Override>,
    /// To whom it is to be encrypted.
    pub encryption: Encryption,
    /// Who signs, if that is known.
    pub signers: Vec<CountedSigner>,
    /// Who is to accept it.
    pub laboratories: Vec<Laboratory>,
}

/// What a new version takes over from the old one.
#[derive(Default)]
pub struct Inherited {
    pub parents: Vec<Parent>,
    /// Whom the old version was for; so is the new one, unless others are named.
    pub addressees: Vec<Line>,
}

impl TermsArgs {
    /// Loads the policy alone, where the classification levels are needed before anything else.
    pub fn policy(&self, context: &Context) -> Result<Policy, Failure> {
        self.policy.load(context)
    }

    /// Whether anybody is named whom the bundle is for.
    pub fn names_addressees(&self) -> bool {
        !self.addressees.is_empty()
    }

    /// Loads what the terms of a bundle with that core need.
    pub fn load(&self, context: &Context, policy: Policy, core: &Core) -> Result<Terms, Failure> {
        self.load_inheriting(context, policy, core, Inherited::default())
    }

    /// The same for what is made out of an older version.
    pub fn load_inheriting(
        &self,
        context: &Context,
        policy: Policy,
        core: &Core,
        Inherited { mut parents, addressees: inherited }: Inherited,
    ) -> Result<Terms, Failure> {
        let named = addressing::addressees("--for", &self.addressees, &policy)?;
        let addressees = if named.is_empty() { inherited } else { named };
        parents.extend(self.parents.load(context, core)?);
        let downgrades = self.downgrades(&policy, core, &parents)?;
        let place = self.policy.place(context);
        let laboratories = self.laboratories.load(context, (&policy, place.as_deref()), &addressees)?;
        Ok(Terms {
            addressees,
            overrides: self.overrides()?,
            encryption: Encryption::Plain,
            policy,
            parents,
            downgrades,
            signers: Vec::new(),
            laboratories,
        })
    }

    /// What is to be signed down: every parent that is known to be classified higher.
    fn downgrades(
        &self,
        policy: &Policy,
        core: &Core,
        parents: &[Parent],
    ) -> Result<Vec<Downgrade>, Failure> {
        let Some(reason) = &self.downgrade else { return Ok(Vec::new()) };
        let here = policy.scheme().rank(&core.classification);
        let mut downgrades = Vec::new();
        for parent in parents {
            if let Some(from) =
                parent.classification.as_ref().filter(|from| policy.scheme().rank(from) > here)
            {
                downgrades.push(Downgrade { parent: parent.id, from: from.clone(), reason: reason.clone() });
            }
        }
        if downgrades.is_empty() {
            let message = "there is nothing to lower: no parent that was named is classified higher";
            let problem = Problem::new("no-downgrade", message).at("--downgrade");
            return Err(Failure::usage(problem.hint("name the parent with `--parent FILE`")));
        }
        downgrades.sort();
        downgrades.dedup_by_key(|downgrade| downgrade.parent);
        Ok(downgrades)
    }

    /// Each rule with its reason; one reason may serve all.
    fn overrides(&self) -> Result<Vec<Override>, Failure> {
        let reason = |index: usize| match self.reasons.as_slice() {
            [one] => Some(one),
            many if many.len() == self.overrides.len() => many.get(index),
            _ => None,
        };
        let mut overrides = Vec::new();
        for (index, rule) in self.overrides.iter().enumerate() {
            let Some(reason) = reason(index) else {
                let message = "there are not as many reasons as rules that are set aside";
                return Err(Failure::usage(Problem::new("override-reason", message).at("--reason")));
            };
            let rule = rule.as_str().parse::<Line>();
            let rule = rule.map_err(|error| Failure::usage(Problem::new("override", error.to_string())))?;
            overrides.push(Override { rule, reason: reason.clone() });
        }
        overrides.sort();
        if overrides.windows(2).any(|pair| pair[0].rule == pair[1].rule) {
            return Err(Failure::usage(Problem::new("override", "names a rule twice").at("--override")));
        }
        Ok(overrides)
    }
}

/// What a parent's own manifest says of it. It need not be trusted: whoever could give a false one could leave the
/// parent out as well, and its digest must be the one that the descriptor names.
fn read_parent(path: &Path) -> Result<Parent, Failure> {
    let is_manifest = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".json"));
    let (manifest, bytes) = if is_manifest {
        read_manifest(path)?
    } else {
        let set = BundleSet::find_one(path)?;
        let archive = crate::checked::archive_path(&set)?;
        let failed = |error| archive_failure(error, archive);
        consign_bundle::Archive::open(set.open_archive(archive)?, consign_bundle::Anchor::Unsigned)
            .and_then(|archive| archive.manifest())
            .map_err(failed)?
    };
    let classification = Some(manifest.core().classification.clone());
    Ok(Parent { id: Manifest::id_of(&bytes), classification })
}

impl Terms {
    /// Writes the terms into a claim.
    pub fn apply(&self, claim: &mut Claim) {
        claim.addressees.clone_from(&self.addressees);
        claim.overrides.clone_from(&self.overrides);
        claim.downgrades.clone_from(&self.downgrades);
    }

    /// All policies that are asked.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        std::iter::once(&self.policy).chain(self.laboratories.iter().map(|laboratory| &laboratory.policy))
    }

    /// Asks the own policy and every laboratory about what is to be packed.
    pub fn ask(
        &self,
        stage: Stage,
        described: (&Core, Option<&Details>),
        survey: impl Fn(&Policy) -> Surveyed,
        findings: Scan<'_>,
    ) -> Answers<'_> {
        Answers::of(&self.policy, stage, &self.laboratories, |policy, stage| {
            let content = survey(policy);
            let request = Request {
                findings,
                signers: Some(&self.signers),
                addressees: &self.addressees,
                encryption: self.encryption.clone(),
                parents: &self.parents,
                downgrades: &self.downgrades,
                overrides: &self.overrides,
                ..Request::new(stage, described.0, described.1, &content)
            };
            decide(policy, &request)
        })
    }

    /// Asks about a manifest that is to be signed with that claim.
    pub fn ask_manifest(&self, stage: Stage, manifest: &Manifest, claim: &Claim) -> Answers<'_> {
        let files = |policy: &Policy| {
            policy.survey(manifest.files().iter().map(|file| (file.path.as_str(), file.size)))
        };
        let described = (manifest.core(), manifest.descriptor().details());
        self.ask(stage, described, files, claim.findings.as_ref().into())
    }
}

/// What the own policy and every laboratory say to one step: the question that preflight, pack, seal, amend and submit ask.
/// All is said at once.
pub struct Answers<'a> {
    policy: &'a Policy,
    stage: Stage,
    own: Decision,
    laboratories: Vec<(&'a Laboratory, Decision)>,
}

impl<'a> Answers<'a> {
    /// Asks each: the own policy about the step itself, a laboratory whether it would accept what comes of it.
    pub fn of(
        policy: &'a Policy,
        stage: Stage,
        laboratories: &'a [Laboratory],
        ask: impl Fn(&Policy, Stage) -> Decision,
    ) -> Self {
        Self {
            policy,
            stage,
            own: ask(policy, stage),
            laboratories: laboratories
                .iter()
                .map(|laboratory| (laboratory, ask(&laboratory.policy, Stage::Preflight)))
                .collect(),
        }
    }

    /// All that stands against it, as problems. What a laboratory still misses stands against handing over.
    pub fn refusals(&self, at: &Path) -> Vec<Problem> {
        let mut problems = refusals(&self.own, self.policy, at);
        for (laboratory, decision) in &self.laboratories {
            problems.extend(refusals(decision, &laboratory.policy, at));
            if !self.stage.signatures_may_come() {
                problems.extend(said(decision.pending(), &laboratory.policy, at));
            }
        }
        problems
    }

    /// The permit of the own policy, if nobody refuses; else a failure with all that stands against it.
    pub fn permit(&self, at: &Path) -> Result<Permit, Failure> {
        let problems = self.refusals(at);
        match self.own.permit() {
            Ok(permit) if problems.is_empty() => Ok(permit),
            _ => Err(Failure { exit: Exit::Refused, problems }),
        }
    }

    /// What the own policy says, for reports.
    pub fn handling(&self) -> Handling {
        Handling::of(self.policy, self.stage, &self.own)
    }

    /// What the laboratories say, for reports.
    pub fn laboratories(&self) -> Vec<LaboratoryOut> {
        let out = |(laboratory, decision): &(&Laboratory, Decision)| LaboratoryOut {
            file: laboratory.file.clone(),
            handling: Handling::of(&laboratory.policy, Stage::Preflight, decision),
        };
        self.laboratories.iter().map(out).collect()
    }
}

/// What a laboratory says to accepting a bundle, for reports.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LaboratoryOut {
    /// Its policy.
    pub file: PathBuf,
    pub handling: Handling,
}

/// Those whose signatures count, as the policy is told of them.
pub fn counted(signers: &[SignerInfo]) -> Vec<CountedSigner> {
    let counted = |signer: &SignerInfo| CountedSigner {
        public_key: signer.public_key,
        role: signer.role.clone(),
        owner: signer.owner.clone(),
        name: signer.name.clone(),
    };
    signers.iter().map(counted).collect()
}

/// Those whose signatures are valid and do not count, each with the reason.
pub fn uncounted<C>(decision: &consign_signing::Decision<C>) -> Vec<UncountedSigner> {
    let uncounted = |one: &consign_signing::SignatureVerdict| {
        let Verdict::NotCounted(reason) = &one.verdict else { return None };
        Some(UncountedSigner {
            public_key: one.signer.public_key,
            role: one.signer.role.clone(),
            name: one.signer.name.clone(),
            reason: reason.to_string(),
        })
    };
    decision.signatures().iter().filter_map(uncounted).collect()
}

/// Who will have signed, each key with its role: a forecast of what is still missing, for the one who signs. Owners
/// are those of the trust policy, where it lists the key; any other key is taken for a person of its own. What counts is
/// asked where the bundle is handed over.
pub fn forecast<'r>(
    context: &Context,
    signed: impl IntoIterator<Item = (PublicKey, &'r Role)>,
) -> Result<Vec<CountedSigner>, Failure> {
    let trust = context.trust_policy(None)?;
    let signer = |(public_key, role): (PublicKey, &Role)| {
        let known = trust.as_ref().and_then(|trust| trust.find(&public_key));
        let owner = match known {
            Some(known) => known.owner.clone(),
            None => public_key.fingerprint().to_string().parse().ok(),
        };
        CountedSigner { public_key, role: role.clone(), owner, name: known.map(|known| known.name.clone()) }
    };
    Ok(signed.into_iter().map(signer).collect())
}

/// What is known of a bundle beyond its manifest when a policy is asked about it.
pub struct Standing<'a> {
    /// What is claimed of it; only a claim that is trusted may be given.
    pub claim: Option<&'a Claim>,
    /// Whose signatures count.
    pub signers: &'a [CountedSigner],
    /// Whose signatures do not.
    pub uncounted: &'a [UncountedSigner],
    /// How it is encrypted, where that is not what the step takes it to be.
    pub encryption: Option<Encryption>,
    /// Where it is to go.
    pub target: Option<Target<'a>>,
    /// What it derives from, as far as that is known.
    pub parents: &'a [Parent],
}

impl<'a> Standing<'a> {
    pub fn new(claim: Option<&'a Claim>, signers: &'a [CountedSigner]) -> Self {
        Self { claim, signers, uncounted: &[], encryption: None, target: None, parents: &[] }
    }
}

/// Asks the policy about a bundle that is there.
pub fn decide_bundle(
    policy: &Policy,
    stage: Stage,
    manifest: &Manifest,
    standing: &Standing<'_>,
) -> Decision {
    let content = policy.survey(manifest.files().iter().map(|file| (file.path.as_str(), file.size)));
    let mut request = Request::new(stage, manifest.core(), manifest.descriptor().details(), &content);
    request.signers = Some(standing.signers);
    request.uncounted = standing.uncounted;
    request.parents = standing.parents;
    if let Some(claim) = standing.claim {
        request.findings = claim.findings.as_ref().into();
        request.addressees = &claim.addressees;
        request.downgrades = &claim.downgrades;
        request.overrides = &claim.overrides;
    }
    if let Some(encryption) = &standing.encryption {
        request.encryption = encryption.clone();
    }
    request.target.clone_from(&standing.target);
    decide(policy, &request)
}

/// What a policy said, for reports.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Handling {
    /// What the policy is called.
    pub policy: String,
    /// SHA-256 of the policy.
    pub policy_digest: String,
    /// The step that it was asked about.
    pub stage: &'static str,
    /// Whether it allows it.
    pub permitted: bool,
    /// What stands against it.
    pub refusals: Vec<ReasonOut>,
    /// What is still missing before it may be handed over.
    pub pending: Vec<ReasonOut>,
    /// What it warns of.
    pub warnings: Vec<ReasonOut>,
    /// What was set aside.
    pub overridden: Vec<Overridden>,
    /// What was not asked, and why.
    pub notes: Vec<String>,
}

/// What a policy makes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFinding {
    Refused,
    Warned,
    Noted,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReasonOut {
    pub rule: &'static str,
    /// The rule of the scanner, if it is about a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    pub message: String,
    pub fix: String,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overridden {
    pub rule: &'static str,
    pub message: String,
    /// Why it was set aside.
    pub reason: String,
}

impl Handling {
    pub fn of(policy: &Policy, stage: Stage, decision: &Decision) -> Self {
        let out = |reason: &Reason| ReasonOut {
            rule: reason.rule(),
            finding: reason.finding().map(ToString::to_string),
            message: reason.message().to_owned(),
            fix: reason.fix().to_owned(),
        };
        let overridden = |(reason, by): &(Reason, Override)| Overridden {
            rule: reason.rule(),
            message: reason.message().to_owned(),
            reason: by.reason.to_string(),
        };
        Self {
            policy: policy.name().to_string(),
            policy_digest: policy.digest().to_string(),
            stage: stage.as_str(),
            permitted: decision.permit().is_ok(),
            refusals: decision.refusals().iter().map(out).collect(),
            pending: decision.pending().iter().map(out).collect(),
            warnings: decision.warnings().iter().map(out).collect(),
            overridden: decision.overridden().iter().map(overridden).collect(),
            notes: decision.notes().to_vec(),
        }
    }

    /// What the policy makes of findings of a rule of the scanner.
    pub fn verdict_on(&self, rule: &RuleId) -> OnFinding {
        let about = |reason: &ReasonOut| reason.finding.as_deref() == Some(rule.as_str());
        if self.refusals.iter().any(about) {
            OnFinding::Refused
        } else if self.warnings.iter().any(about) {
            OnFinding::Warned
        } else {
            OnFinding::Noted
        }
    }
}

/// The permit, or a failure with all that stands against it.
pub fn permit(decision: &Decision, policy: &Policy, at: &Path) -> Result<Permit, Failure> {
    decision.permit().map_err(|_| Failure { exit: Exit::Refused, problems: refusals(decision, policy, at) })
}

/// All that stands against it, as problems.
pub fn refusals(decision: &Decision, policy: &Policy, at: &Path) -> Vec<Problem> {
    said(decision.refusals(), policy, at)
}

fn said(reasons: &[Reason], policy: &Policy, at: &Path) -> Vec<Problem> {
    let at = format!("{} (policy `{}`)", at.display(), policy.name());
    reasons.iter().map(|reason| reason.problem().at(at.clone())).collect()
}
