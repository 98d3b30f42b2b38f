//! Provenance as `pack` and `seal` are asked for it, and the file that comes of it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use consign_bundle::publish::prepare;
use consign_metadata::{BundleId, Manifest, Problem, Sha256Digest};
use consign_signing::{
    Claim, PROVENANCE_ENVELOPE_BYTES_MAX, ProvenanceFile, ProvenancePredicate, ProvenanceStatement,
    SignError, SignedProvenance, Signer, Timestamp,
};
use tempfile::NamedTempFile;

use super::capture::Capture;
use super::facts::ProvenanceOut;
use super::file::read_bytes;
use crate::bundle_set::Names;
use crate::context::{Context, unreadable, unwritable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::publishing::taken;
use crate::state::not_kept;

/// Whether to say where a bundle comes from, and how that is known.
#[derive(Clone, Debug)]
pub struct ProvenanceArgs {
    /// Sign where the bundle comes from: `auto` asks Git and the pipeline, FILE is SLSA provenance v1 by another tool, `none` says nothing
    ///
    /// The statement lies beside the attestations as NAME-VERSION.provenance.intoto.jsonl. Nothing of it goes into the
    /// bundle.
    pub provenance: PathBuf,
    /// A file that configured what made the content, to be named by its SHA-256; may be repeated
    pub configs: Vec<PathBuf>,
    /// The work tree of the code that made the content [default: DIR]
    pub code: Option<PathBuf>,
}

/// What was found out, or given, before anything was packed.
pub struct Captured {
    begun: Timestamp,
    what: What,
}

enum What {
    /// Here and now.
    Here(Capture),
    /// By another tool.
    Given(ProvenancePredicate, PathBuf),
}

/// A signed statement on its way to its name.
pub struct Placed {
    /// The file, and the name that it gets; `None` if it is there already.
    pub file: Option<(String, NamedTempFile)>,
    pub out: ProvenanceOut,
    pub notes: Vec<String>,
    signed: SignedProvenance,
}

impl Default for ProvenanceArgs {
    /// Nothing is said about where it comes from.
    fn default() -> Self {
        Self { provenance: "none".into(), configs: Vec::new(), code: None }
    }
}

impl ProvenanceArgs {
    /// Finds out what there is to say about the content of `directory`, before any of it is read. It must be signed,
    /// and it must not tell about a bundle what encryption is to hide.
    pub fn load(
        &self,
        context: &Context,
        directory: &Path,
        signed: bool,
        encrypted: bool,
    ) -> Result<Option<Captured>, Failure> {
        let auto = self.provenance == Path::new("auto");
        if !(auto || self.configs.is_empty() && self.code.is_none()) {
            let option = if self.configs.is_empty() { "--code" } else { "--config" };
            let problem = Problem::new(
                "provenance-not-asked-for",
                "says something about provenance, which is not captured",
            );
            return Err(Failure::usage(problem.at(option).hint("add `--provenance auto`, or leave it out")));
        }
        if self.provenance == Path::new("none") {
            return Ok(None);
        }
        let refused = |code, message: &str, hint: &str| {
            let shown = self.provenance.display().to_string();
            Err(Failure::usage(Problem::new(code, message).at(format!("--provenance {shown}")).hint(hint)))
        };
        if !signed {
            return refused(
                "provenance-unsigned",
                "where a bundle comes from is worth nothing without a signature",
                "name a key with `--key`, or say `--provenance none`",
            );
        }
        if encrypted {
            return refused(
                "provenance-encrypted",
                "would lie in the clear beside an encrypted bundle, and tell what that hides",
                "say `--provenance none`; or pack without `--encrypt-to`, keep the provenance with you, and make what you hand over with `consign encrypt`",
            );
        }
        let begun = context.now()?;
        let what = if auto {
            What::Here(Capture::take(self.code.as_deref().unwrap_or(directory), &self.configs)?)
        } else {
            What::Given(read_predicate(&self.provenance)?, self.provenance.clone())
        };
        Ok(Some(Captured { begun, what }))
    }
}

/// Reads what another tool made.
fn read_predicate(path: &Path) -> Result<ProvenancePredicate, Failure> {
    let mut bytes = Vec::new();
    let read = |file: File| file.take(PROVENANCE_ENVELOPE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    crate::reading::open(path).and_then(read).map_err(|error| {
        let mut failure = unreadable(path, &error);
        if error.kind() == std::io::ErrorKind::NotFound {
            failure.problems[0].hint = Some("say `auto`, `none`, or name a file that is there".into());
        }
        failure
    })?;
    ProvenancePredicate::parse(&bytes)
        .map_err(|error| Failure::usage(error.problem().at(path.display().to_string())))
}

impl Captured {
    /// Signs it for what a claim is about. A file of the name that is there already stays if the same key signed it for
    /// the same thing, and is in the way otherwise.
    pub fn place(
        &self,
        context: &Context,
        key: &dyn Signer,
        (claim, manifest): (&Claim, &Manifest),
        out: &Path,
        names: &Names,
    ) -> Result<Placed, Failure> {
        let mut notes = Vec::new();
        let predicate = self.predicate(context, claim, manifest, &mut notes)?;
        let path = out.join(&names.provenance);
        if let Some(signed) = there_already(&path, key, claim)? {
            if signed.statement().said().build_definition != predicate.said().build_definition {
                notes.push(
                    "its provenance was signed before, out of another commit or run, and stays as it is"
                        .into(),
                );
            }
            let report = ProvenanceOut::of(&path, signed.statement().said(), Some(signed.key()));
            return Ok(Placed { file: None, out: report, notes, signed });
        }
        let signed = SignedProvenance::sign(key, &ProvenanceStatement::new(claim, predicate))
            .map_err(|error| cannot_sign(&error))?;
        let file = prepare(out, &ProvenanceFile::new(signed.clone()).to_bytes())
            .map_err(|error| unwritable(out, &error))?;
        let report = ProvenanceOut::of(&path, signed.statement().said(), Some(signed.key()));
        Ok(Placed { file: Some((names.provenance.clone(), file)), out: report, notes, signed })
    }

    fn predicate(
        &self,
        context: &Context,
        claim: &Claim,
        manifest: &Manifest,
        notes: &mut Vec<String>,
    ) -> Result<ProvenancePredicate, Failure> {
        let capture = match &self.what {
            What::Given(predicate, path) => {
                if !predicate.subjects().is_empty() && !speaks_of(predicate.subjects(), claim, manifest) {
                    notes.push(format!(
                        "`{}` was made about other files: none of its subjects is in the bundle",
                        path.display()
                    ));
                }
                return Ok(predicate.clone());
            }
            What::Here(capture) => capture,
        };
        match capture.refusal() {
            Some(refusal) => {
                notes.push(format!("the provenance names no commit, since {}", refusal.in_words()));
            }
            None if capture.is_empty() => notes.push(
                "neither a Git work tree nor a pipeline was found: the provenance names no commit and no run"
                    .into(),
            ),
            None => {}
        }
        let known = context.state().known();
        let times = (self.begun, context.now()?);
        let said = capture.provenance(claim, manifest, &known, times, notes)?;
        ProvenancePredicate::of(&said).map_err(|error| Failure::failed(error.problem()))
    }
}

/// Whether another tool's statement was about the bundle or a file in it.
fn speaks_of(subjects: &[Sha256Digest], claim: &Claim, manifest: &Manifest) -> bool {
    let in_bundle = |digest: &Sha256Digest| manifest.files().iter().any(|file| file.sha256 == *digest);
    subjects.iter().any(|digest| *digest == claim.subject_digest() || in_bundle(digest))
}

/// What a run that was cut short, or an earlier one, left under the name.
fn there_already(path: &Path, key: &dyn Signer, claim: &Claim) -> Result<Option<SignedProvenance>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let file = ProvenanceFile::parse(&read_bytes(path)?, &[*key.public_key()]).map_err(|_| taken(path))?;
    let mine = file.signed().iter().find(|signed| signed.statement().is_about(claim)).cloned();
    mine.map(Some).ok_or_else(|| taken(path))
}

fn cannot_sign(error: &SignError) -> Failure {
    let mut problem = Problem::new("cannot-sign", error.to_string()).at("--provenance");
    if let SignError::Signer(error) = error {
        problem.hint = error.hint().map(str::to_owned);
    }
    Failure::new(Exit::Failed, problem)
}

/// Keeps what was made here among the bundles that this machine knows: for lineage, and for finding it again. Gives a
/// note if that could not be done.
pub fn keep(context: &Context, manifest: &[u8], id: BundleId, placed: Option<&Placed>) -> Option<String> {
    if !context.keeps_record() {
        return None;
    }
    let state = context.state();
    let kept = state
        .keep_manifest(manifest, id)
        .and_then(|()| placed.map_or(Ok(()), |placed| state.keep_provenance(&placed.signed, id)));
    kept.err().map(|error| not_kept("the bundle", &error).message)
}
