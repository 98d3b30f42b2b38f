//! The one decision: whether a policy allows a step, with all reasons if not.

use consign_metadata::{Classification, Findings, Line, RuleId};
use consign_signing::PublicKey;

use crate::decision::{Decision, Reason, RuleName};
use crate::document::{Action, Demand, SignatureRule};
use crate::level::Level;
use crate::policy::{Accept, Policy};
use crate::request::{CountedSigner, Encryption, Request, Scan, Stage};
use crate::{fields, lineage, parties, people, retention};

/// Asks whether a policy allows a step.
///
/// Every rule that has something to say at this step is asked; none hides another. What is unknown is never taken
/// for what the policy would like it to be: no scan is not a clean scan, an unknown level is not a low one.
///
/// An override sets a refusal aside only if this policy marks the rule as overridable at this level: a sender's
/// overrides do not bind a recipient.
pub fn decide(policy: &Policy, request: &Request<'_>) -> Decision {
    let mut judge = Judge {
        policy,
        request,
        decision: Decision {
            stage: request.stage,
            policy: policy.digest(),
            refusals: Vec::new(),
            pending: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            overridden: Vec::new(),
        },
    };
    let name = &request.core.classification;
    match policy.level(name) {
        Some(level) => judge.judge(level),
        None => judge.refuse(
            RuleName::Classification,
            format!("`{name}` is not a level of the policy `{}`", policy.name()),
            format!("the levels are {}", list(policy.scheme().levels().iter().map(Classification::as_str))),
        ),
    }
    judge.decision
}

/// What to do where nobody has looked into the content.
const RESCAN: &str = "pack it again with this version of consign, which scans it";

/// What is being decided, and what has come of it so far.
pub(crate) struct Judge<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) request: &'a Request<'a>,
    decision: Decision,
}

impl<'a> Judge<'a> {
    fn judge(&mut self, level: &Level) {
        self.check_overrides(level);
        self.descriptor(level);
        self.floors(level);
        self.findings(level);
        parties::check(self, level);
        lineage::check(self, level);
        self.signatures(level);
        if let Some(accept) = self.policy.accept() {
            self.acceptance(accept);
        }
        self.set_aside(level);
    }

    pub(crate) fn refuse(&mut self, rule: RuleName, message: impl Into<String>, fix: impl Into<String>) {
        let fix = self.said_to_the_reader(rule, fix.into());
        self.decision.refusals.push(Reason { rule, message: message.into(), fix, finding: None });
    }

    /// What to do, in the words of the side that reads them: a recipient mends nothing, but can have it mended.
    fn said_to_the_reader(&self, rule: RuleName, fix: String) -> String {
        let own = matches!(
            rule,
            RuleName::Descriptor
                | RuleName::Addressed
                | RuleName::Signatures
                | RuleName::Signer
                | RuleName::Classification
        );
        if own || !self.request.stage.is_recipients() { fix } else { format!("tell the sender: {fix}") }
    }

    pub(crate) fn pend(&mut self, rule: RuleName, message: impl Into<String>, fix: impl Into<String>) {
        self.decision.pending.push(Reason { rule, message: message.into(), fix: fix.into(), finding: None });
    }

    pub(crate) fn warn(&mut self, rule: RuleName, message: impl Into<String>, fix: impl Into<String>) {
        self.decision.warnings.push(Reason { rule, message: message.into(), fix: fix.into(), finding: None });
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.decision.notes.push(note.into());
    }

    /// Does what an action says.
    pub(crate) fn act(&mut self, action: Action, rule: RuleName, message: String, fix: &str) {
        match action {
            Action::Deny => self.refuse(rule, message, fix),
            Action::Warn => self.warn(rule, message, fix),
            Action::Note => {}
        }
    }

    /// The place of a level in the policy's order.
    pub(crate) fn rank(&self, level: &Classification) -> usize {
        // `Policy::parse` has checked every level that the policy itself names.
        self.policy.scheme().rank(level).unwrap_or(usize::MAX)
    }

    /// Refuses a bundle that is classified below what `what` demands.
    fn floor(&mut self, level: &Level, rule: RuleName, least: &Classification, what: &str) {
        if self.rank(&level.name) < self.rank(least) {
            self.refuse(
                rule,
                format!("{what} demands `{least}`, but the bundle is classified `{}`", level.name),
                format!("classify it `{least}` or higher, or leave that out"),
            );
        }
    }

    /// A sender who asks for an override that the policy does not grant is told so, whatever else holds.
    fn check_overrides(&mut self, level: &Level) {
        let request = self.request;
        for asked in request.overrides.iter().filter(|_| request.stage.is_senders()) {
            let fix = match level.overridable.as_slice() {
                [] => format!("nothing may be set aside at the level `{}`", level.name),
                rules => format!("these may be set aside: {}", list(rules.iter().map(|rule| rule.as_str()))),
            };
            match asked.rule.as_str().parse::<RuleName>() {
                Ok(rule) if level.overridable.contains(&rule) => {}
                Ok(rule) => {
                    let message = format!(
                        "the policy does not let `{rule}` be set aside at the level `{}`",
                        level.name
                    );
                    self.refuse(RuleName::Override, message, fix);
                }
                Err(message) => self.refuse(RuleName::Override, message, fix),
            }
        }
    }

    /// Takes back the refusals that are overridden by right.
    fn set_aside(&mut self, level: &Level) {
        let request = self.request;
        let refusals = std::mem::take(&mut self.decision.refusals);
        for reason in refusals {
            let by = request
                .overrides
                .iter()
                .filter(|_| level.overridable.contains(&reason.rule))
                .find(|asked| asked.rule.as_str() == reason.rule());
            match by {
                Some(by) => self.decision.overridden.push((reason, by.clone())),
                None => self.decision.refusals.push(reason),
            }
        }
    }

    fn descriptor(&mut self, level: &Level) {
        let request = self.request;
        let Some(details) = request.details else {
            self.refuse(
                RuleName::Descriptor,
                "the descriptor was made by a newer version of consign, and not all of it can be read",
                "use a newer version of consign",
            );
            return;
        };
        let missing = fields::missing(request.core, details, level.fields.of_kind(details.kind));
        if !missing.is_empty() {
            let (s, them) = if missing.len() == 1 { ("", "it") } else { ("s", "them") };
            let names = list(missing.iter().copied());
            self.refuse(
                RuleName::Fields,
                format!(
                    "a {} that is classified `{}` needs the descriptor field{s} {names}",
                    details.kind, level.name
                ),
                format!("fill {them} in consign.yaml"),
            );
        }
        let Some(longest) = level.retention_days else { return };
        let stated = details.handling.as_ref().and_then(|handling| handling.retention.as_ref());
        let (message, fix) = match stated.map(|text| (text, retention::days(text.as_str()))) {
            None => (
                format!("a bundle that is classified `{}` must say how long it may be kept", level.name),
                format!("set `handling.retention`, at most `{longest} days`"),
            ),
            Some((text, None)) => (
                format!(
                    "the retention `{text}` does not begin with a number of days, weeks, months or years"
                ),
                "write it as `90 days`; what follows is free".to_owned(),
            ),
            Some((text, Some(days))) if days > u64::from(longest) => (
                format!("the retention `{text}` is longer than the {longest} days that the policy allows"),
                format!("set `handling.retention` to `{longest} days` or less"),
            ),
            Some(_) => return,
        };
        self.refuse(RuleName::Retention, message, fix);
    }

    /// What the content demands by itself: kinds of data, sources, markings.
    fn floors(&mut self, level: &Level) {
        let request = self.request;
        let policy = self.policy;
        let named = request.details.map(|details| details.categories.as_slice()).unwrap_or_default();
        for name in named {
            match policy.categories().iter().find(|category| category.name == *name) {
                Some(category) => {
                    self.floor(
                        level,
                        RuleName::Category,
                        &category.level,
                        &format!("data of the kind `{name}`"),
                    );
                }
                // Another organization's policy may have other kinds.
                None if !policy.categories().is_empty() => self.warn(
                    RuleName::Category,
                    format!("the policy does not know data of the kind `{name}`"),
                    "`consign policy show` lists the kinds that it knows",
                ),
                None => {}
            }
        }
        for (category, found) in policy.categories().iter().zip(&request.content.categories) {
            if let Some(path) = found.as_ref().filter(|_| !named.contains(&category.name)) {
                let what = format!("`{path}`, data of the kind `{}`,", category.name);
                self.floor(level, RuleName::Category, &category.level, &what);
            }
        }
        let provenance = request.details.and_then(|details| details.provenance.as_ref());
        for source in provenance.iter().flat_map(|provenance| &provenance.sources) {
            let uri = source.uri.to_string();
            for rule in policy.sources().iter().filter(|rule| rule.uri.is_match(&uri)) {
                self.floor(level, RuleName::Source, &rule.level, &format!("the source `{uri}`"));
            }
        }
        let findings = if let Scan::Done(findings) = request.findings { Some(findings) } else { None };
        for found in findings.iter().flat_map(|findings| &findings.found) {
            if let Some(marking) = policy.markings().iter().find(|marking| marking.rule == found.rule) {
                let what = format!("the marking `{}`{}", marking.word, places(found));
                self.floor(level, RuleName::Marking, &marking.level, &what);
            }
        }
    }

    /// What a scan found; without one, what the level says to that.
    fn scanned(&mut self, level: &Level) -> Option<&'a Findings> {
        match self.request.findings {
            Scan::Done(findings) => return Some(findings),
            Scan::NotYet => {}
            Scan::Missing => {
                let action = if level.scan == Demand::Required { Action::Deny } else { Action::Warn };
                let message = "nobody has looked for secrets and code in the content".to_owned();
                self.act(action, RuleName::Scan, message, RESCAN);
            }
        }
        None
    }

    fn findings(&mut self, level: &Level) {
        let Some(findings) = self.scanned(level) else { return };
        for found in findings.found.iter().filter(|found| found.rule.kind() != "marking") {
            let (action, _) = self.policy.action(level, &found.rule);
            let message = format!("found {}{}", found.rule, places(found));
            self.act(action, name_of(&found.rule), message, fix(&found.rule));
            let reasons = match action {
                Action::Deny => &mut self.decision.refusals,
                Action::Warn => &mut self.decision.warnings,
                Action::Note => continue,
            };
            if let Some(reason) = reasons.last_mut() {
                reason.finding = Some(found.rule.clone());
            }
        }
        for allowed in &findings.allowed {
            let (action, allowable) = self.policy.action(level, &allowed.rule);
            if action == Action::Deny && !allowable {
                let message = format!(
                    "{} in `{}` was let pass (\"{}\"), which the policy does not admit",
                    allowed.rule, allowed.path, allowed.reason
                );
                self.refuse(name_of(&allowed.rule), message, fix(&allowed.rule));
            }
        }
        self.allowed_secrets(level, findings);
    }

    /// Secrets that somebody let pass: told to everybody who is asked, and at some levels a matter for two.
    fn allowed_secrets(&mut self, level: &Level, findings: &Findings) {
        let secrets: Vec<_> =
            findings.allowed.iter().filter(|allowed| allowed.rule.kind() == SECRET).collect();
        for allowed in &secrets {
            let message =
                format!("{} in `{}` was let pass: \"{}\"", allowed.rule, allowed.path, allowed.reason);
            let fix = match self.request.stage.is_recipients() {
                true => "ask the sender if what was found may be a real secret",
                false => "make sure that it opens nothing; else take it out, and change it where it is used",
            };
            self.warn(name_of(&allowed.rule), message, fix);
        }
        let Some(role) = level.secrets_allowed_by.as_ref().filter(|_| !secrets.is_empty()) else { return };
        let signers = self.request.signers.unwrap_or_default();
        if signers.iter().any(|signer| signer.role == *role) {
            return;
        }
        let message = format!("needs 1 × {role}, to answer for the secrets that were let pass");
        if self.request.stage.signatures_may_come() {
            self.pend(
                RuleName::Secrets,
                message,
                format!("have it signed: consign sign BUNDLE --role {role}"),
            );
        } else {
            let message = format!("a bundle that is classified `{}` {message}", level.name);
            let fix = match self.request.stage.is_recipients() {
                true => format!("ask the sender for a signature as {role}"),
                false => format!("have it signed: consign sign BUNDLE --role {role}"),
            };
            self.refuse(RuleName::Secrets, message, fix);
        }
    }

    fn signatures(&mut self, level: &Level) {
        let request = self.request;
        let signers = request.signers.unwrap_or_default();
        for (rule, gap) in people::missing(&level.signatures, signers) {
            let others =
                if rule.another_person && level.signatures.len() > 1 { " by another person" } else { "" };
            let (cause, fix) = self.missing_signature(rule, &level.signatures, signers);
            let message = format!("needs {gap} × {}{others}{cause}", rule.role);
            if request.stage.signatures_may_come() {
                self.pend(RuleName::Signatures, message, fix);
            } else {
                let message = format!("a bundle that is classified `{}` {message}", level.name);
                self.refuse(RuleName::Signatures, message, fix);
            }
        }
        let accepted = self.policy.signers();
        if accepted.is_empty() {
            return;
        }
        let is_accepted = |signer: &CountedSigner| {
            accepted
                .iter()
                .any(|known| known.public_key == signer.public_key && known.roles.contains(&signer.role))
        };
        if !signers.iter().any(is_accepted) {
            let message =
                format!("none of those who signed is a signer whom `{}` accepts", self.policy.name());
            let names = list(accepted.iter().map(|known| known.name.as_str()));
            let fix = if request.stage.is_recipients() {
                format!("ask the sender for a signature with a key of {names}")
            } else {
                format!("sign with a key of {names}")
            };
            if request.stage.signatures_may_come() {
                self.pend(RuleName::Signer, message, fix);
            } else {
                self.refuse(RuleName::Signer, message, fix);
            }
        }
    }

    /// Why a signature is missing where somebody might think that it is there, as the end of a sentence; and what mends it.
    fn missing_signature(
        &self,
        rule: &SignatureRule,
        rules: &[SignatureRule],
        signers: &[CountedSigner],
    ) -> (String, String) {
        let request = self.request;
        let called = |name: &Option<Line>, key: &PublicKey| {
            name.as_ref().map_or_else(|| key.fingerprint().to_string(), ToString::to_string)
        };
        if let Some(one) = people::taken_for_one(rule, rules, signers) {
            let keys = list_of(one.iter().map(|signer| called(&signer.name, &signer.public_key)));
            // In the order of the command line, the first key of nobody is the first that needs an owner.
            let names: Vec<_> = one.iter().filter_map(|signer| signer.name.as_ref()).collect();
            let command = |name: &Line| {
                let name = consign_metadata::shell_word(name.as_str());
                format!("consign trust set --owner PERSON -- {name}")
            };
            return match one.first().and_then(|signer| signer.owner.as_ref()) {
                Some(owner) => {
                    let who = if request.stage.is_recipients() { "ask the sender to have" } else { "have" };
                    let set = names.first().map_or_else(String::new, |name| {
                        format!("; if one of the keys is somebody else's: {}", command(name))
                    });
                    (
                        format!("; your trust says that {keys} are all held by `{owner}`"),
                        format!("{who} somebody else sign it as {}{set}", rule.role),
                    )
                }
                None => (
                    format!(
                        "; your trust does not say whose keys {keys} are, so that they count as one person's"
                    ),
                    if names.is_empty() {
                        "say whose keys they are, each with: consign trust add NAME --key FILE.pub --owner PERSON"
                            .to_owned()
                    } else {
                        let commands: Vec<_> = names.into_iter().map(command).collect();
                        format!("say whose keys they are:\n{}", commands.join("\n"))
                    },
                ),
            };
        }
        // Somebody signed so, and it does not count.
        if let Some(signer) = request.uncounted.iter().find(|signer| signer.role == rule.role) {
            let who = called(&signer.name, &signer.public_key);
            let cause = format!("; `{who}` signed as {}, which does not count: {}", rule.role, signer.reason);
            let fix = match &signer.name {
                Some(name) => format!(
                    "if the key is right for it, give it the role: consign trust set --add-role {} -- {}",
                    rule.role,
                    consign_metadata::shell_word(name.as_str())
                ),
                None => format!(
                    "compare the fingerprint with its owner, then: consign trust add NAME --key FILE.pub --role {} --owner PERSON",
                    rule.role
                ),
            };
            return (cause, fix);
        }
        let fix = if request.stage.is_recipients() {
            format!(
                "ask the sender for a signature as {} by one more of the people whom you trust",
                rule.role
            )
        } else {
            format!("have it signed: consign sign BUNDLE --role {}", rule.role)
        };
        (String::new(), fix)
    }

    fn acceptance(&mut self, accept: &Accept) {
        let request = self.request;
        let who = self.policy.name().clone();
        let core = request.core;
        if let Some(taken) = &accept.classifications
            && !taken.contains(&core.classification)
        {
            self.refuse(
                RuleName::Classification,
                format!("`{who}` does not take what is classified `{}`", core.classification),
                format!("it takes {}", list(taken.iter().map(Classification::as_str))),
            );
        }
        if let Some(patterns) = &accept.licenses {
            let message = match &core.license {
                None => Some(format!("`{who}` takes no bundle without a licence")),
                Some(license) => (!patterns.iter().any(|pattern| pattern.is_match(license.as_str())))
                    .then(|| format!("`{who}` does not take the licence `{license}`")),
            };
            if let Some(message) = message {
                let taken = list(patterns.iter().map(|pattern| pattern.glob().glob()));
                self.refuse(
                    RuleName::License,
                    message,
                    format!("it takes {taken}; set `license` if one of them is right"),
                );
            }
        }
        self.sizes(accept, who.as_str());
        match request.findings {
            Scan::NotYet => {}
            Scan::Missing => {
                if let Some(forbidden) = accept.forbidden_formats.first() {
                    let message =
                        format!("`{who}` takes no `{forbidden}`, and nobody has looked whether there is any");
                    self.refuse(RuleName::Format, message, RESCAN);
                }
            }
            Scan::Done(findings) => self.formats(accept, findings, who.as_str()),
        }
        if let Some(details) = request.details {
            let missing = fields::missing(core, details, accept.fields.of_kind(details.kind));
            if !missing.is_empty() {
                self.refuse(
                    RuleName::Fields,
                    format!("`{who}` asks for the descriptor fields {}", list(missing.iter().copied())),
                    "fill them in consign.yaml",
                );
            }
        }
    }

    fn formats(&mut self, accept: &Accept, findings: &Findings, who: &str) {
        for count in findings.formats.iter().filter(|count| accept.forbidden_formats.contains(&count.format))
        {
            let files = match count.files {
                1 => "1 file is".to_owned(),
                n => format!("{n} files are"),
            };
            self.refuse(
                RuleName::Format,
                format!("`{who}` takes no `{}`, and {files} of that format", count.format),
                "convert or leave them out",
            );
        }
    }

    fn sizes(&mut self, accept: &Accept, who: &str) {
        let content = self.request.content;
        let largest = content.largest.as_ref().map_or(("", 0), |(path, size)| (path.as_str(), *size));
        let longest = content.longest.as_deref().unwrap_or_default();
        let limits = [
            (accept.largest_file, largest.1, format!("`{}` is {} bytes long", largest.0, largest.1)),
            (accept.largest_bundle, content.bytes, format!("the files are {} bytes long", content.bytes)),
            (accept.most_files, content.files, format!("there are {} files", content.files)),
            (
                accept.longest_path,
                longest.len() as u64,
                format!("the path `{longest}` is {} bytes long", longest.len()),
            ),
        ];
        for (limit, found, message) in limits {
            if let Some(limit) = limit.filter(|limit| found > *limit) {
                let message = format!("{message}; `{who}` takes at most {limit}");
                self.refuse(RuleName::Size, message, "split the bundle, shorten it, or ask them");
            }
        }
    }

    /// Whether it is encrypted, as far as the step asks.
    pub(crate) fn encryption(&self) -> Option<&Encryption> {
        match (&self.request.encryption, self.request.stage) {
            (Encryption::NotAsked, _) | (_, Stage::Verify | Stage::Unpack) => None,
            (encryption, _) => Some(encryption),
        }
    }
}

/// The rule of the policy that a rule of the scanner belongs to.
/// The kind of findings that nobody lets pass alone, from some level on.
const SECRET: &str = "secret";

fn name_of(rule: &RuleId) -> RuleName {
    match rule.kind() {
        SECRET => RuleName::Secrets,
        "code" => RuleName::Code,
        "marking" => RuleName::Marking,
        "incomplete" => RuleName::Incomplete,
        _ => RuleName::Malformed,
    }
}

/// What to do about a finding.
fn fix(rule: &RuleId) -> &'static str {
    match (rule.kind(), rule.as_str()) {
        ("secret", _) => {
            "take it out and revoke it; if it is no secret, say why in an allow-list: `--findings-allow FILE`"
        }
        (_, "code/auto-run" | "code/git-config") => {
            "leave it out with `exclude`; it would run something where the bundle is unpacked"
        }
        ("code", _) => {
            "convert the model to a format without code, such as safetensors, or leave the file out"
        }
        (_, "incomplete/lfs-pointer") => {
            "fetch the content first (`git lfs pull`, `git annex get`), or leave the pointer out"
        }
        (_, "incomplete/dvc-pointer") => "fetch the content first (`dvc pull`), or leave the file out",
        (_, "incomplete/missing-shard") => {
            "add the files that are missing, or leave out those that need them"
        }
        (_, "incomplete/download") => "finish the download and remove what it left, or leave the file out",
        ("incomplete", _) => "put the content in its place, or leave the file out",
        _ => "mend the file or leave it out",
    }
}

/// How often and where something was found, for messages: ` 7 times in 6 files, first in `a.pkl`: …`.
fn places(found: &consign_metadata::Found) -> String {
    let Some(first) = found.examples.first() else { return format!(" {} times", found.count) };
    let file = match &first.path {
        Some(path) => format!("`{path}`"),
        None => "the descriptor".into(),
    };
    let within = first.member.iter().map(|member| format!("`{member}`"));
    let within: Vec<_> = within.chain(first.line.map(|line| format!("line {line}"))).collect();
    let within = within.join(", ");
    let behind = |word: &str| if within.is_empty() { String::new() } else { format!(", {word}{within}") };
    let mut text = match (found.files, found.count) {
        (..=1, 1) => format!(" in {file}{}", behind("")),
        (..=1, count) => format!(" {count} times in {file}{}", behind("first in ")),
        (files, count) => format!(" {count} times in {files} files, first in {file}{}", behind("")),
    };
    if let Some(excerpt) = &first.excerpt {
        text.push_str(&format!(": {excerpt}"));
    }
    text
}

/// Words in a sentence: `a`, `b`.
fn list_of(words: impl Iterator<Item = String>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Names in a sentence: `a`, `b`.
pub(crate) fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
