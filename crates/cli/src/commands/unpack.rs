//! `consign unpack`: verify and extract.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use consign_bundle::{Scope, Selection};
use consign_metadata::{EntryPath, Problem};
use consign_policy::Stage;
use serde::Serialize;

use crate::act::Action;
use crate::addressing;
use crate::args::{self, Given};
use crate::bundle_out::BundleOut;
use crate::checked::archive_path;
use crate::context::{Context, threads};
use crate::encrypted_set::opened_or_plain;
use crate::examined::{AsOf, Asked, Extraction};
use crate::exit::Exit;
use crate::handling::Handling;
use crate::outcome::{Failure, Outcome, Report};
use crate::render;
use crate::render::HandlingInWords as _;
use crate::style::{self, count, size};

/// Verify a bundle and extract it into a new directory
///
/// DEST must not exist. It appears, with everything in it, once every byte was verified.
#[derive(clap::Args)]
pub(crate) struct Unpack {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The directory to make
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    #[command(flatten)]
    vouching: Given<args::VouchingArgs>,
    #[command(flatten)]
    policy: Given<args::PolicyArgs>,
    #[command(flatten)]
    identity: Given<args::IdentityArgs>,
    /// Extract even if nobody trusted vouches for the bundle; what is extracted may come from anyone
    #[arg(long, help_heading = "Trust options")]
    allow_untrusted: bool,
    /// Keep the BagIt layout, with the tag files
    #[arg(long, conflicts_with = "only")]
    bag: bool,
    /// Extract only this file, reading no more than it needs; may be repeated
    #[arg(long, value_name = "PATH")]
    only: Vec<EntryPath>,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Unpacked {
    destination: PathBuf,
    bundle: BundleOut,
    files: u64,
    bytes: u64,
    /// Whether a trusted key vouches for it.
    trusted: bool,
    /// What the handling policy says.
    handling: Handling,
    /// The earlier time as of which it was vouched for, on the caller's word; it is not `trusted` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<AsOf>,
    /// What is worth knowing, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Problem>,
}

impl Report for Unpacked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn) = (style::GOOD, style::WARN);
        let class = self.bundle.class();
        writeln!(out, "{good}unpacked{good:#} {} {}  [{class}]", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  into        {}", self.destination.display())?;
        writeln!(
            out,
            "  content     {}, {}, each verified",
            count(self.files, "file", "files"),
            size(self.bytes)
        )?;
        writeln!(out, "  bundle id   {}", self.bundle.id())?;
        render::addressees(&self.bundle.addressees, "  ", 11, out)?;
        self.handling.human(out, 11)?;
        if let Some(AsOf { time, .. }) = &self.as_of {
            writeln!(
                out,
                "  {warn}HELD AS OF {time}, on your word: it would not hold now, and nothing proves that the signature was made by then{warn:#}"
            )?;
        } else if !self.trusted {
            writeln!(
                out,
                "  {warn}NOT VERIFIED: nobody you trust vouches for it; it may come from anyone{warn:#}"
            )?;
        }
        for note in &self.notes {
            writeln!(out, "  {warn}note{warn:#}        {}", consign_metadata::printable(&note.message))?;
        }
        Ok(())
    }
}

impl Unpack {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
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
        let asserted = vouched.is_some_and(|vouched| vouched.asserted);
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
        Ok(Outcome { exit, problems: conflict.into_iter().collect(), report: Some(Box::new(report)) })
    }
}
