//! `consign reconstruct`: make the archive of a bundle again, out of whatever holds its content.

pub(crate) mod custody;
mod inventory;
mod rebuild;
mod target;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use consign_bundle::Store;
use consign_metadata::{Problem, printable};
use serde::Serialize;

use self::inventory::Inventory;
use self::target::Target;
use crate::args::{self, Given};
use crate::bundle_out::BundleOut;
use crate::context::Context;
use crate::ledger::EndOf;
use crate::outcome::{Failure, Outcome, Report};
use crate::style::{self, count, size};
use crate::vouching::Expectation;

/// Make the archive of a bundle again, and prove that it is the same
///
/// Every file is looked for by its SHA-256: in directories under any name, in older bundles, in unpacked bags, in the
/// store. From the store the very same bytes come back; from loose files too, where this version of consign compresses
/// as the one that made the archive; else the same content in another archive, and it says so.
#[derive(clap::Args)]
pub(crate) struct Reconstruct {
    /// The bundle: its manifest or attestations, its id or the SHA-256 of its archive, or NAME@VERSION
    #[arg(value_name = "MANIFEST|ID|NAME@VERSION", required_unless_present = "to")]
    bundle: Option<String>,
    /// All that the ledger says was submitted to this recipient or destination; with a bundle, only that one
    #[arg(long, value_name = "RECIPIENT")]
    to: Option<String>,
    /// ... until the end of this day, or until this time [default: now]
    #[arg(long, value_name = "TIME", requires = "to")]
    at: Option<EndOf>,
    /// Where to look: directories, archives, files; may be repeated
    #[arg(long, value_name = "PATH")]
    from: Vec<PathBuf>,
    /// Where the archive goes; made if it is not there
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// The signed statement about the archive, if it does not lie beside the manifest
    #[arg(long, value_name = "FILE")]
    attestations: Option<PathBuf>,
    #[command(flatten)]
    store: Given<args::StoreArgs>,
    /// Do not look into any store
    #[arg(long)]
    no_store: bool,
    /// Say what could be made and what is missing, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How many threads to use [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What is to be made again.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A manifest or attestations.
    File(PathBuf),
    /// A bundle by its id, by the digest of its archive, or by name and version.
    Named(Expectation),
}

/// Where content may be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) store: Option<Store>,
    pub(crate) from: Vec<PathBuf>,
}

/// How it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// The folder for what is made.
    pub(crate) output: &'a Path,
    /// The statement to prove it against.
    pub(crate) attestations: Option<&'a Path>,
    pub(crate) dry_run: bool,
    pub(crate) threads: Option<NonZeroUsize>,
}

/// What was made again, or what is missing for it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Reconstructed {
    /// `reconstructed`, `unchanged` (it was there), `dry-run`, or `incomplete`.
    status: &'static str,
    bundle: BundleOut,
    /// `same-bytes`: the archive has the signed SHA-256. `same-content`: another archive that holds the same bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<&'static str>,
    /// What was proven: `archive-digest` (which somebody signed), or `bundle-id` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<&'static str>,
    /// The archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "crate::bundle_out::bare_if_any")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder: Option<String>,
    /// What was signed of the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<SignedOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<PathBuf>,
    /// The attestations, and what else lies beside the archive. Only what is about this very archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    beside: Vec<PathBuf>,
    /// Where the content came from, in the order in which it was looked for.
    sources: Vec<SourceOut>,
    /// What was not found anywhere.
    missing: Vec<MissingOut>,
    notes: Vec<String>,
}

/// What was signed of the original archive.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SignedOut {
    #[serde(serialize_with = "crate::bundle_out::bare")]
    sha256: String,
    encoder: String,
    /// Whose signatures are valid, which says nothing about trust: key and role.
    by: Vec<String>,
}

/// A place that content came from.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SourceOut {
    /// `store`, `archive`, `directory` or `file`.
    kind: &'static str,
    path: PathBuf,
    /// The archive in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "crate::bundle_out::bare_if_any")]
    archive_sha256: Option<String>,
    /// Whether it is the archive itself, copied as it was.
    whole: bool,
    files: u64,
    bytes: u64,
    /// Which files, unless it is the whole archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
}

/// A file that was not found.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct MissingOut {
    path: String,
    bytes: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    sha256: String,
}

impl Report for Reconstructed {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let (good, warn, error) = (style::GOOD, style::WARN, style::ERROR);
        let class = self.bundle.class();
        match self.status {
            "incomplete" => write!(out, "{error}incomplete{error:#}")?,
            "dry-run" => write!(out, "{good}would reconstruct{good:#}")?,
            status => write!(out, "{good}{status}{good:#}")?,
        }
        writeln!(out, " {} {}  [{class}]", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  bundle id     {}", self.bundle.id())?;
        if let Some(path) = &self.path {
            let bytes = self.bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
            writeln!(out, "  archive       {}{bytes}", path.display())?;
        }
        if let Some(sha256) = &self.sha256 {
            writeln!(out, "                {sha256}")?;
        }
        let would = if self.status == "dry-run" { "would be " } else { "" };
        match (self.archive, &self.signed) {
            (Some("same-bytes"), Some(signed)) => {
                writeln!(out, "  {good}same bytes{good:#}    {would}the archive that was signed")?;
                for by in &signed.by {
                    writeln!(out, "  signed by     {by}; not checked against your trust")?;
                }
            }
            (Some(_), Some(signed)) => {
                writeln!(
                    out,
                    "  {warn}same content{warn:#}  {would}the same bundle in another archive than the signed one"
                )?;
                writeln!(out, "  signed        {}, by the encoder {}", signed.sha256, signed.encoder)?;
            }
            (Some(_), None) => writeln!(
                out,
                "  {warn}same content{warn:#}  {would}the same bundle; no signed statement tells how its archive was"
            )?,
            (None, _) => {}
        }
        if let Some(manifest) = &self.manifest {
            writeln!(out, "  manifest      {}", manifest.display())?;
        }
        for path in &self.beside {
            writeln!(out, "  beside        {}", path.display())?;
        }
        for source in self.sources.iter().filter(|source| source.files > 0) {
            let what =
                if source.whole { "the whole archive".into() } else { count(source.files, "file", "files") };
            let archive = source.archive_sha256.as_ref();
            let archive = archive.map_or_else(String::new, |digest| format!(" ({})", &digest[..19]));
            writeln!(
                out,
                "  from          {} {}{archive}: {what}, {}",
                source.kind,
                source.path.display(),
                size(source.bytes)
            )?;
        }
        for missing in &self.missing {
            writeln!(
                out,
                "  {error}missing{error:#}       {}  {} bytes  {}",
                printable(&missing.path),
                missing.bytes,
                missing.sha256
            )?;
        }
        for note in &self.notes {
            writeln!(out, "  note          {}", printable(note))?;
        }
        Ok(())
    }
}

impl Reconstruct {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let store = if self.no_store { None } else { self.store.find(context)? };
        let sources = Sources { store, from: self.from.clone() };
        let options = Options {
            output: &self.output,
            attestations: self.attestations.as_deref(),
            dry_run: self.dry_run,
            threads: self.threads,
        };
        if let Some(to) = &self.to {
            let at = self.at.map_or_else(|| context.now().map(EndOf::second), Ok)?;
            return custody::held(context, (to, at, self.bundle.as_deref()), &sources, &options);
        }
        let what = What::parse(self.bundle.as_deref().unwrap_or_default())?;
        reconstruct(context, &what, &sources, &options)
    }
}

impl What {
    fn parse(text: &str) -> Result<Self, Failure> {
        if Path::new(text).is_file() {
            return Ok(Self::File(text.into()));
        }
        text.parse().map(Self::Named).map_err(|error: String| {
            let message = format!("names no bundle: there is no such file, and {error}");
            Failure::usage(Problem::new("no-such-bundle", message).at(text.to_owned()))
        })
    }
}

/// Makes the archive of a bundle again out of what the sources hold, whichever way there is.
pub(crate) fn reconstruct(
    context: &Context,
    what: &What,
    sources: &Sources,
    options: &Options<'_>,
) -> Result<Outcome, Failure> {
    let inventory = Inventory::of(sources)?;
    let target = Target::find(context, what, &inventory, options.attestations)?;
    rebuild::rebuild(context, &target, &inventory, options)
}
