//! `consign sign`: verify, show, add a signature.

use std::ffi::OsString;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::publish::{exclusive, replace_exclusively};
use consign_bundle::{Scope, TreeLayout, compare_directory};
use consign_metadata::{Manifest, Problem, Role, printable};
#[cfg(feature = "encryption")]
use consign_policy::Policy;
use consign_policy::Stage;
use consign_signing::{Attestations, Basis, Claim, Content, KeyOrigin, SignedStatement, Signer as _};
#[cfg(feature = "encryption")]
use consign_signing::{EncryptedAttestations, SignedEncrypted};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::addressing;
use crate::args::{self, Given};
use crate::bundle_out::BundleOut;
use crate::bundle_set::{BundleSet, join, read_attestations, read_manifest, too_many};
use crate::checked::{archive_claim, bundle_claim, check, modes_not_compared, sole_claim};
use crate::context::{Context, threads, unwritable};
use crate::encrypted_set::{EncryptedSet, sealed};
#[cfg(feature = "encryption")]
use crate::encryption::Opened;
use crate::exit::Exit;
use crate::handling::{Handling, Standing, decide_bundle, forecast, permit};
use crate::key_source::{KeySource, OpenKey};
use crate::outcome::{Failure, Outcome, Report};
#[cfg(feature = "encryption")]
use crate::recipients::{Recipients, Word};
use crate::render;
use crate::render::HandlingInWords as _;
use crate::sign_statement::sign_statement;
use crate::style::{self, count, size};
#[cfg(feature = "encryption")]
use crate::vouching::VouchingArgs;

/// Verify a bundle, show what is vouched for, and add a signature
///
/// The archive does not change. Without the archive a signature needs `--unseen`, which it then states.
#[derive(clap::Args)]
pub(crate) struct Sign {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The key to sign with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    #[arg(
        long,
        value_name = "KEY",
        env = "CONSIGN_KEY",
        hide_env_values = true,
        required_unless_present = "merge",
        help_heading = "Key options"
    )]
    key: Option<OsString>,
    /// What to sign as
    #[arg(long, value_name = "ROLE", default_value = "release", help_heading = "Key options")]
    role: Role,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    parents: Given<args::ParentArgs>,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Who can open the encrypted bundle, where nobody in your trust policy says it: a name in the policy, `age1…`, or a
    /// file of such; may be repeated
    #[cfg(feature = "encryption")]
    #[arg(long, value_name = "RECIPIENT", requires = "key", help_heading = "Encryption options")]
    encrypt_to: Vec<String>,
    /// The trust policy that says whose word about the recipients of an encrypted bundle counts
    #[cfg(feature = "encryption")]
    #[arg(long, value_name = "FILE", env = "CONSIGN_TRUST", help_heading = "Encryption options")]
    trust: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Sign what the manifest says without having seen the content; the signature says so
    #[arg(long, conflicts_with = "directory")]
    unseen: bool,
    /// The directory that was sealed, to be checked before signing
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Add the signatures of another attestations file; may be repeated
    #[arg(long, value_name = "FILE")]
    merge: Vec<PathBuf>,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Added {
    /// `signed`, `merged` or `unchanged`.
    status: &'static str,
    bundle: BundleOut,
    attestations: PathBuf,
    /// How many signatures there are now.
    signatures: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<String>,
    /// Where the private key is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyOrigin>,
    /// Whom the signature on an encrypted bundle was sealed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<String>,
}

impl Report for Added {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let good = style::GOOD;
        writeln!(out, "{good}{}{good:#} {} {}", self.status, self.bundle.name, self.bundle.version)?;
        if let (Some(fingerprint), Some(role)) = (&self.fingerprint, &self.role) {
            writeln!(out, "  by            {fingerprint} as {role}")?;
        }
        if let Some(key) = self.key.as_ref().filter(|key| !matches!(key, KeyOrigin::File { .. })) {
            writeln!(out, "  with          {key}")?;
        }
        for recipient in &self.recipients {
            writeln!(out, "  sealed to     {}", printable(recipient))?;
        }
        let signatures = count(self.signatures as u64, "signature", "signatures");
        writeln!(
            out,
            "  attestations  {} ({signatures})",
            printable(&self.attestations.display().to_string())
        )
    }
}

/// What is to be signed, checked as far as `basis` says.
struct Checked {
    claim: Claim,
    manifest: Manifest,
    basis: Basis,
}

impl Sign {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        if let Some(set) = EncryptedSet::find_one(&self.bundle)? {
            return self.sign_encrypted(context, &set);
        }
        #[cfg(feature = "encryption")]
        if !self.encrypt_to.is_empty() {
            let problem =
                Problem::new("not-encrypted", "is no encrypted bundle, whose signatures are sealed");
            let problem = problem.at(self.bundle.display().to_string());
            return Err(Failure::usage(problem.hint("leave out `--encrypt-to`")));
        }
        let set = BundleSet::find_one(&self.bundle)?;
        let open = |key: &OsString| KeySource::parse(key)?.open(context, &self.passphrase);
        let key = self.key.as_ref().map(open).transpose()?;
        let (path, before) = match &set.attestations {
            Some((path, there)) => (path.clone(), Some(there.clone())),
            None => (self.new_path(&set)?, None),
        };
        let merged = self.merge(before.clone(), sole_claim(&set)?)?;
        let Some(key) = key else {
            // With nothing there to hold what is merged against, it is held against the content itself.
            if before.is_none() {
                self.check(context, &set, merged.as_ref())?;
            }
            return self.finish(context, &path, merged, None);
        };
        let checked = self.check(context, &set, merged.as_ref())?;
        let same = |s: &SignedStatement| {
            s.key() == key.public_key()
                && s.statement().signer.role == self.role
                && s.statement().claim == checked.claim
        };
        if merged.as_ref().is_some_and(|there| there.statements().iter().any(same)) {
            return self.finish(context, &path, merged, Some((&key, checked.basis)));
        }
        let signed = self.sign_checked(context, &checked, merged.as_ref(), &key)?;
        let all = match merged {
            None => Attestations::new(signed),
            // At the end, so that the file tells the order in which people signed.
            Some(mut there) => {
                there.push(signed).map_err(|error| too_many(&error, &path))?;
                there
            }
        };
        self.finish(context, &path, Some(all), Some((&key, checked.basis)))
    }

    /// Asks the policy and the person, and signs.
    fn sign_checked(
        &self,
        context: &Context,
        checked: &Checked,
        there: Option<&Attestations>,
        key: &OpenKey,
    ) -> Result<SignedStatement, Failure> {
        let policy = self.policy.load(context)?;
        let signed = there.into_iter().flat_map(Attestations::statements);
        let same = signed.filter(|s| s.statement().claim == checked.claim);
        let before = same.map(|s| (*s.key(), &s.statement().signer.role));
        let signers = forecast(context, before.chain([(*key.public_key(), &self.role)]))?;
        let parents = self.parents.load(context, checked.manifest.core())?;
        let standing = Standing { parents: &parents, ..Standing::new(Some(&checked.claim), &signers) };
        let decision = decide_bundle(&policy, Stage::Sign, &checked.manifest, &standing);
        let handling = Handling::of(&policy, Stage::Sign, &decision);
        let permit = permit(&decision, &policy, &self.bundle)?;
        if !self.confirm(checked, there, key, &handling)? {
            let declined = Problem::new("not-confirmed", "not signed: the answer was no");
            let act = Act::of(Action::Refused, &checked.claim).signed_by(key.public_key(), &self.role);
            context.record(act.with("step", "sign").ended(Exit::Failed, std::slice::from_ref(&declined)));
            return Err(Failure::failed(declined));
        }
        sign_statement(context, key, checked.claim.clone(), &self.role, checked.basis, &permit, true)
    }

    /// Opens and verifies an encrypted bundle, and adds a signature that is sealed to those who can open it.
    #[cfg(feature = "encryption")]
    fn sign_encrypted(&self, context: &Context, encrypted: &EncryptedSet) -> Result<Outcome, Failure> {
        if self.unseen || self.directory.is_some() || !self.merge.is_empty() {
            let problem = Problem::new("encrypted", "is encrypted: it is signed by those who can open it");
            let problem = problem.at(self.bundle.display().to_string());
            return Err(Failure::usage(problem.hint("leave out `--unseen`, `--directory` and `--merge`")));
        }
        let ciphertext = encrypted.check(context)?;
        let opened = self.identity.open(context, encrypted, &ciphertext)?;
        let (Some((path, before)), Some(key)) = (&encrypted.attestations, &self.key) else {
            return Err(sealed(&self.bundle));
        };
        let key = KeySource::parse(key)?.open(context, &self.passphrase)?;
        let checked = self.check(context, &opened.set, None)?;
        let inner = opened.set.attestations.as_ref().map(|(_, found)| found);
        let same =
            |s: &SignedStatement| s.key() == key.public_key() && s.statement().signer.role == self.role;
        let there = inner.is_some_and(|there| there.statements().iter().any(same));
        let mut after = before.clone();
        let mut sealed_to = Vec::new();
        if !there {
            let policy = self.policy.load(context)?;
            let recipients = self.recipients(context, &policy, &opened, &checked.claim)?;
            show_recipients(&recipients)
                .map_err(|error| Failure::failed(Problem::new("terminal", error.to_string())))?;
            let signed = self.sign_checked(context, &checked, inner, &key)?;
            let claim = ciphertext.claim().clone();
            let signed = crate::encryption::seal(context, &key, claim, signed, &recipients)?;
            after = add_encrypted(path, signed)?;
            sealed_to = recipients.names();
            let act = self.act(&checked.claim, Some((&key, checked.basis)));
            context.record(act.with("recipients", &sealed_to));
        }
        Ok(Outcome::done(Added {
            status: if there { "unchanged" } else { "signed" },
            bundle: BundleOut::claimed(&checked.claim),
            attestations: path.clone(),
            signatures: after.statements().len(),
            fingerprint: Some(key.public_key().fingerprint().to_string()),
            role: Some(self.role.to_string()),
            basis: Some(checked.basis.to_string()),
            key: Some(key.origin().clone()),
            recipients: sealed_to,
        }))
    }

    /// Whom the signature is sealed to: what counts is asked as `verify` would ask it now.
    #[cfg(feature = "encryption")]
    fn recipients(
        &self,
        context: &Context,
        policy: &Policy,
        opened: &Opened,
        claim: &Claim,
    ) -> Result<Recipients, Failure> {
        let named = crate::encryption::named_recipients("--encrypt-to", &self.encrypt_to, policy)?;
        let vouching = VouchingArgs::of(Vec::new(), self.trust.clone());
        let decision = vouching.count(&vouching.load(context, policy)?, &opened.set, claim);
        opened.recipients.to_seal_to(&decision, named, &self.bundle.display().to_string())
    }

    #[cfg(not(feature = "encryption"))]
    fn sign_encrypted(&self, _: &Context, _: &EncryptedSet) -> Result<Outcome, Failure> {
        Err(sealed(&self.bundle))
    }

    /// Where the attestations of a bundle go that has none.
    fn new_path(&self, set: &BundleSet) -> Result<PathBuf, Failure> {
        let archive = crate::checked::archive_path(set)?;
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        Ok(archive.with_file_name(format!("{}.intoto.jsonl", name.strip_suffix(".tar.zst").unwrap_or(&name))))
    }

    /// Joins what is there with what others signed; all must speak of the same.
    fn merge(
        &self,
        there: Option<Attestations>,
        claim: Option<&Claim>,
    ) -> Result<Option<Attestations>, Failure> {
        let mut all = there;
        for path in &self.merge {
            let more = read_attestations(path)?;
            let foreign = |s: &&SignedStatement| claim.is_some_and(|claim| s.statement().claim != *claim);
            if more.statements().iter().any(|s| foreign(&s)) {
                let problem = Problem::new(
                    "statements-disagree",
                    "holds a statement that does not speak of this bundle",
                );
                return Err(Failure::new(Exit::NotIntact, problem.at(path.display().to_string())));
            }
            all = Some(match all {
                None => more,
                Some(there) => join(there, more, path)?,
            });
        }
        Ok(all)
    }

    /// Everything that can be checked is, before anybody puts their name to it.
    fn check(
        &self,
        context: &Context,
        set: &BundleSet,
        merged: Option<&Attestations>,
    ) -> Result<Checked, Failure> {
        let claim =
            sole_claim(set)?.or_else(|| merged.and_then(|all| all.claims().first().map(|group| group.claim)));
        match (claim, &set.archive) {
            (claim, Some(_)) if !self.unseen => {
                let verified = check(context, set, Scope::Content, threads(self.threads))?;
                let bundle = bundle_claim(verified.manifest(), verified.id());
                let content = Content::Archive(archive_claim(verified.facts())?);
                // What cannot be read off the archive is the word of those who signed before.
                let found = match claim {
                    Some(claim) => Claim { bundle, content, ..claim.clone() },
                    None => Claim::new(bundle, content),
                };
                // Statements that were merged in were not what the archive was held against.
                if claim.is_some_and(|claim| *claim != found) {
                    let problem =
                        Problem::new("statements-disagree", "the statements do not speak of this archive");
                    return Err(Failure::new(Exit::NotIntact, problem.at(self.bundle.display().to_string())));
                }
                let claim = found;
                Ok(Checked { claim, manifest: verified.into_manifest(), basis: Basis::Verified })
            }
            (Some(claim), _) => self.check_without_archive(context, set, claim),
            (None, _) => Err(Failure::failed(
                Problem::new("nothing-to-sign", "there is neither an archive nor a statement to sign")
                    .at(self.bundle.display().to_string()),
            )),
        }
    }

    fn check_without_archive(
        &self,
        context: &Context,
        set: &BundleSet,
        claim: &Claim,
    ) -> Result<Checked, Failure> {
        let at = self.bundle.display().to_string();
        if !self.unseen && self.directory.is_none() {
            let hint = match claim.content {
                Content::Sealed => {
                    "check the sealed directory with `--directory DIR`, or sign without having seen it with `--unseen`"
                }
                Content::Archive(_) => {
                    "put the archive beside it, or sign without having seen it with `--unseen`"
                }
            };
            return Err(Failure::usage(
                Problem::new("content-missing", "the content is not here to be checked").at(at).hint(hint),
            ));
        }
        let Some(path) = &set.manifest else {
            let problem = Problem::new("manifest-missing", "the manifest is not beside it").at(at);
            return Err(Failure::failed(
                problem.hint("ask for the `.manifest.json` file that belongs to it"),
            ));
        };
        let (manifest, bytes) = read_manifest(path)?;
        let bundle = bundle_claim(&manifest, Manifest::id_of(&bytes));
        if bundle != claim.bundle {
            let problem = Problem::new("bundle-id", "is not the manifest that was signed");
            return Err(Failure::new(Exit::NotIntact, problem.at(path.display().to_string())));
        }
        let basis = match &self.directory {
            None => Basis::Unseen,
            Some(directory) => {
                let meter = context.meter("verifying", manifest.payload_bytes());
                let compared = compare_directory(
                    directory,
                    &manifest,
                    TreeLayout::Payload,
                    threads(self.threads),
                    &meter,
                );
                drop(meter);
                let compared = compared
                    .map_err(|error| Failure::failed(Problem::new("unreadable", error.to_string())))?;
                if compared.modes_untold {
                    context.note(modes_not_compared(directory));
                }
                if !compared.faults.is_empty() {
                    let at = directory.display().to_string();
                    let problem = |fault: &consign_bundle::TreeFault| {
                        Problem::new(fault.code(), fault.to_string()).at(at.clone())
                    };
                    return Err(Failure {
                        exit: Exit::NotIntact,
                        problems: compared.faults.iter().map(problem).collect(),
                    });
                }
                Basis::Verified
            }
        };
        Ok(Checked { claim: claim.clone(), manifest, basis })
    }

    /// Shows what is vouched for, and asks. Gives the answer.
    fn confirm(
        &self,
        checked: &Checked,
        there: Option<&Attestations>,
        key: &OpenKey,
        handling: &Handling,
    ) -> Result<bool, Failure> {
        let mut err = crate::stream::stderr();
        let shown = self.show(checked, there, key, &mut err).and_then(|()| handling.human(&mut err, 13));
        let failed = |error: io::Error| Failure::failed(Problem::new("terminal", error.to_string()));
        shown.map_err(failed)?;
        if self.yes {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            let problem = Problem::new("not-confirmed", "there is no terminal to ask on");
            return Err(Failure::usage(problem.hint("look at what is shown above, then add `--yes`")));
        }
        write!(err, "Sign this as {}? [y/N] ", self.role).and_then(|()| err.flush()).map_err(failed)?;
        let mut answer = String::new();
        crate::terminal::answers().read_line(&mut answer).map_err(failed)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    fn show(
        &self,
        checked: &Checked,
        there: Option<&Attestations>,
        key: &OpenKey,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        let (manifest, bundle, warn) = (&checked.manifest, &checked.claim.bundle, style::WARN);
        let core = manifest.core();
        writeln!(err, "What you vouch for:")?;
        writeln!(
            err,
            "  bundle      {} {}  [{}]",
            bundle.name,
            bundle.version,
            bundle.classification.as_str().to_uppercase()
        )?;
        writeln!(err, "  bundle id   {}", bundle.id)?;
        if let Content::Archive(archive) = &checked.claim.content {
            writeln!(err, "  archive     {}, {}", size(archive.size), archive.sha256)?;
        }
        writeln!(
            err,
            "  content     {}, {}",
            count(manifest.files().len() as u64, "file", "files"),
            size(manifest.payload_bytes())
        )?;
        render::addressees(&addressing::told(&checked.claim.addressees), "  ", 11, err)?;
        writeln!(err, "  contact     {} <{}>", core.contact.name, core.contact.email)?;
        if let Some(title) = manifest.descriptor().details().and_then(|details| details.title.as_ref()) {
            writeln!(err, "  title       {title}")?;
        }
        for signed in there.map_or(&[][..], Attestations::statements) {
            let signer = &signed.statement().signer;
            writeln!(
                err,
                "  signed by   {} as {} ({}; not checked against your trust)",
                signed.key().fingerprint(),
                signer.role,
                signer.time
            )?;
        }
        writeln!(err, "  you         {} as {}", key.public_key().fingerprint(), self.role)?;
        match checked.basis {
            Basis::Unseen => {
                writeln!(err, "  {warn}the content was NOT checked: the signature will say `unseen`{warn:#}")
            }
            _ => writeln!(err, "  every byte of the content was checked"),
        }
    }

    /// What was done, for the ledger.
    fn act(&self, claim: &Claim, signer: Option<(&OpenKey, Basis)>) -> Act {
        let act = Act::of(Action::Signed, claim);
        match signer {
            Some((key, basis)) => act.signed_by(key.public_key(), &self.role).with("basis", basis),
            None => act.with("merged", self.merge.len()),
        }
    }

    /// Writes the attestations if there is anything new in them.
    fn finish(
        &self,
        context: &Context,
        path: &Path,
        after: Option<Attestations>,
        signer: Option<(&OpenKey, Basis)>,
    ) -> Result<Outcome, Failure> {
        let Some(after) = after else {
            return Err(Failure::usage(Problem::new(
                "nothing-to-do",
                "there is nothing to sign or to merge",
            )));
        };
        let (after, is_new) = add(path, after)?;
        let unchanged = !is_new;
        let statement = after.statements().first().map(SignedStatement::statement);
        if let Some(statement) = statement.filter(|_| !unchanged) {
            context.record(self.act(&statement.claim, signer));
        }
        let Some(bundle) = statement.map(|statement| BundleOut::claimed(&statement.claim)) else {
            let problem = Problem::new("nothing-to-sign", "there is no statement in the attestations");
            return Err(Failure::failed(problem.at(path.display().to_string())));
        };
        let status = match (unchanged, signer.is_some()) {
            (true, _) => "unchanged",
            (false, true) => "signed",
            (false, false) => "merged",
        };
        Ok(Outcome::done(Added {
            status,
            bundle,
            attestations: path.into(),
            signatures: after.statements().len(),
            fingerprint: signer.map(|(key, _)| key.public_key().fingerprint().to_string()),
            role: signer.map(|_| self.role.to_string()),
            basis: signer.map(|(_, basis)| basis.to_string()),
            key: signer.map(|(key, _)| key.origin().clone()),
            recipients: Vec::new(),
        }))
    }
}

/// Says who can open what is about to be sealed, and who says so.
#[cfg(feature = "encryption")]
fn show_recipients(recipients: &Recipients) -> io::Result<()> {
    let mut err = crate::stream::stderr();
    let by = match recipients.by() {
        Word::Counted => "by the word of those who signed and whom you trust",
        Word::Caller => "by your own word (`--encrypt-to`); nobody whom you trust says so",
    };
    writeln!(err, "Your signature is sealed to those who can open the bundle, {by}:")?;
    for recipient in recipients.names() {
        writeln!(err, "  {}", printable(&recipient))?;
    }
    err.flush()
}

/// Adds a statement to those about an encrypted bundle, behind what others added meanwhile.
#[cfg(feature = "encryption")]
fn add_encrypted(path: &Path, signed: SignedEncrypted) -> Result<EncryptedAttestations, Failure> {
    let folder = consign_bundle::publish::parent(path);
    let held = exclusive(folder).map_err(|error| unwritable(folder, &error))?;
    let mut all = crate::encrypted_set::read(path)?;
    all.push(signed).map_err(|error| too_many(&error, path))?;
    if all.claims().len() > 1 {
        return Err(disagree(path));
    }
    replace_exclusively(&held, path, &all.to_bytes()).map_err(|error| unwritable(path, &error))?;
    Ok(all)
}

/// Puts statements into the file, behind what others added meanwhile. Gives all that it holds then, and whether any of
/// them is new.
fn add(path: &Path, statements: Attestations) -> Result<(Attestations, bool), Failure> {
    let folder = consign_bundle::publish::parent(path);
    let held = exclusive(folder).map_err(|error| unwritable(folder, &error))?;
    let there = if path.exists() { Some(read_attestations(path)?) } else { None };
    let before = there.as_ref().map(Attestations::to_bytes);
    let all = match there {
        None => statements,
        // In the order in which people signed, and what came meanwhile behind it.
        Some(there) => {
            let mut all = statements;
            for signed in there.statements() {
                if !all.statements().iter().any(|known| known.line() == signed.line()) {
                    all.push(signed.clone()).map_err(|error| too_many(&error, path))?;
                }
            }
            all
        }
    };
    if all.claims().len() > 1 {
        return Err(disagree(path));
    }
    let bytes = all.to_bytes();
    if before.is_some_and(|before| before == bytes) {
        return Ok((all, false));
    }
    replace_exclusively(&held, path, &bytes).map_err(|error| unwritable(path, &error))?;
    Ok((all, true))
}

/// Somebody put statements about another bundle there meanwhile.
fn disagree(path: &Path) -> Failure {
    let problem = Problem::new("statements-disagree", "speaks of another bundle now; nothing was written");
    let problem = problem.at(path.display().to_string());
    Failure::new(Exit::NotIntact, problem.hint("give each bundle a folder of its own, then sign it again"))
}
