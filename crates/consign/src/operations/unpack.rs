//! Verify and extract.

use crate::act::Action;
use crate::addressing;
use crate::bundle_out::BundleOut;
use crate::checked::archive_path;
use crate::context::{Context, threads};
use crate::encrypted_set::opened_or_plain;
use crate::encryption::IdentityArgs;
use crate::examined::{AsOf, Asked, Extraction};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handling::Handling;
use crate::handling::PolicyArgs;
use crate::operation::{Outcome, Request};
use crate::vouching::{Vouched, VouchingArgs};
use consign_bundle::{Scope, Selection};
use consign_metadata::{EntryPath, Problem};
use consign_policy::Stage;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Verify a bundle and extract it into a new directory
///
/// DEST must not exist. It appears, with everything in it, once every byte was verified.
#[derive(Clone, Debug)]
pub struct Unpack {
    /// Archive, attestations, or folder with one bundle
    pub bundle: PathBuf,
    /// The directory to make
    pub destination: PathBuf,
    pub vouching: VouchingArgs,
    pub policy: PolicyArgs,
    pub identity: IdentityArgs,
    /// Extract even if nobody trusted vouches for the bundle; what is extracted may come from anyone
    pub allow_untrusted: bool,
    /// Keep the BagIt layout, with the tag files
    pub bag: bool,
    /// Extract only this file, reading no more than it needs; may be repeated
    pub only: Vec<EntryPath>,
    /// How many threads to use [default: as many as there are processors]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unpacked {
    pub destination: PathBuf,
    pub bundle: BundleOut,
    pub files: u64,
    pub bytes: u64,
    /// Whether a trusted key vouches for it.
    pub trusted: bool,
    /// What the handling policy says.
    pub handling: Handling,
    /// The earlier time as of which it was vouched for, on the caller's word; it is not `trusted` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

impl Request for Unpack {
    const COMMAND: &str = "unpack";
    type Report = Unpacked;

    fn run(&self, context: &Context) -> Result<Outcome<Unpacked>, Failure> {
        let policy = self.policy.load(context)?;
        let trusted = self.vouching.load(context, &policy)?;
        let set = opened_or_plain(context, &self.bundle, &self.identity)?;
        let path = archive_path(&set)?;
        let asked = Asked {
            context,
            vouching: &self.vouching,
            trusted: &trusted,
            policy: &policy,
            stage: Stage::Unpack,
            on_a_word: true,
            threads: threads(self.threads),
        };
        let selection = match (self.bag, self.only.is_empty()) {
            (true, _) => Selection::Bag,
            (false, true) => Selection::Payload,
            (false, false) => Selection::Only(self.only.clone()),
        };
        let extraction =
            Extraction { destination: &self.destination, selection, allow_untrusted: self.allow_untrusted };
        let mut examined = asked.unpack(&set, path, None, &extraction);
        let (Some(verified), Some(decision)) = (&examined.verified, &examined.handled) else {
            return Err(examined.into_failure());
        };
        let mut notes = std::mem::take(&mut examined.notes);
        let vouched = examined.vouched.as_ref();
        let (manifest, core) = (verified.manifest(), verified.manifest().core());
        let asserted = vouched.is_some_and(Vouched::asserted);
        // What was extracted is what was signed; but another one was verified under the name meanwhile.
        let mut conflict = None;
        // Only what was verified in full is remembered as that.
        let in_full = *verified.scope() == Scope::Content;
        if let Some(claim) = examined.trusted().filter(|_| in_full && examined.holds()) {
            let remembered = self.vouching.remember(&trusted, claim, path);
            if self.vouching.remembers() {
                notes.extend(context.keep_unpacked(&set, &self.destination));
            }
            notes.extend(remembered.notes);
            conflict = remembered.problem;
        }
        let chosen: Vec<u64> = match self.only.is_empty() {
            true => manifest.files().iter().map(|file| file.size).collect(),
            false => self
                .only
                .iter()
                .filter_map(|path| manifest.file(path.as_str()))
                .map(|file| file.size)
                .collect(),
        };
        let told = examined.claim.as_ref().map_or_else(Vec::new, |claim| addressing::told(&claim.addressees));
        let report = Unpacked {
            destination: self.destination.clone(),
            bundle: BundleOut::described(core, Some(verified.id())).for_whom(told),
            files: chosen.len() as u64,
            bytes: chosen.iter().sum(),
            handling: Handling::of(&policy, Stage::Unpack, decision),
            trusted: examined.holds_now() && conflict.is_none(),
            as_of: examined.decision.as_ref().filter(|_| asserted).map(|decision| {
                let moment = decision.moment();
                AsOf { time: moment.at().to_string(), evidence: moment.evidence() }
            }),
            notes,
        };
        let act = examined.act(Action::Unpacked, verified);
        context.record(act.with("into", self.destination.display().to_string()).with("files", chosen.len()));
        let exit = if conflict.is_some() { Exit::NotTrusted } else { Exit::Done };
        Ok(Outcome { exit, problems: conflict.into_iter().collect(), report: Some(report) })
    }
}
