//! The provenance that lies beside a bundle: whether it is signed by who signed the bundle, and about it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use consign_metadata::Problem;
use consign_signing::{
    AttestationError, Claim, Decision, PROVENANCE_BYTES_MAX, ProvenanceFile, ProvenanceStatement, PublicKey,
    SignedProvenance, Verdict,
};

use super::facts::ProvenanceOut;
use crate::bundle_set::{BundleSet, Names};
use crate::context::unreadable;
use crate::exit::Exit;
use crate::failure::Failure;

/// What lies beside a bundle. It never makes a verdict better.
#[derive(Default)]
pub struct Beside {
    /// What keys said whose signature on the bundle counted.
    pub provenance: Vec<ProvenanceOut>,
    /// What else lies there, and why it is not shown.
    pub notes: Vec<Problem>,
}

/// Checks the provenance beside a bundle, whose signatures were judged. What one of the bundle's signers is said to have
/// signed must verify; what others signed, or what is about something else, is worth a note.
pub fn check(set: &BundleSet, claim: &Claim, decision: &Decision) -> Result<Beside, Failure> {
    let (counted, notes) = counted(set, claim, decision)?;
    let shown =
        |(path, signed): Counted| ProvenanceOut::of(&path, signed.statement().said(), Some(signed.key()));
    Ok(Beside { provenance: counted.into_iter().map(shown).collect(), notes })
}

/// Provenance that counts, and the file that it is from.
pub type Counted = (PathBuf, SignedProvenance);

/// What keys said whose signature on the bundle counts, each with its file; and what else lies there, and why it is not
/// believed.
pub fn counted(
    set: &BundleSet,
    claim: &Claim,
    decision: &Decision,
) -> Result<(Vec<Counted>, Vec<Problem>), Failure> {
    let (mut counted, mut notes) = (Vec::new(), Vec::new());
    let signers: Vec<PublicKey> = decision.signatures().iter().map(|one| one.signer.public_key).collect();
    let counts = |key: &PublicKey| {
        let mut counted = decision.signatures().iter().filter(|one| one.verdict == Verdict::Counted);
        counted.any(|one| one.signer.public_key == *key)
    };
    for path in files(set, claim) {
        let file =
            ProvenanceFile::parse(&read_bytes(&path)?, &signers).map_err(|errors| altered(&path, &errors))?;
        for signed in file.signed() {
            let note = |code, why: &str| {
                let who = signed.key().fingerprint();
                Problem::new(code, format!("provenance signed by {who} is not counted: {why}"))
                    .at(path.display().to_string())
            };
            if !signed.statement().is_about(claim) {
                notes.push(note("provenance-of-another", "it is about something else"));
            } else if !counts(signed.key()) {
                let why = "the signature of that key on the bundle does not count";
                notes.push(note("provenance-not-counted", why));
            } else {
                counted.push((path.clone(), signed.clone()));
            }
        }
        for keyid in file.others() {
            let message = format!(
                "provenance signed by the key {keyid}, which did not sign the bundle, is not counted"
            );
            let note = Problem::new("provenance-by-another", message);
            notes.push(note.at(path.display().to_string()));
        }
    }
    Ok((counted, notes))
}

/// The same as claims, for whoever verifies nothing.
pub fn claimed(set: &BundleSet, claim: &Claim) -> Result<Vec<ProvenanceOut>, Failure> {
    let statements = claimed_statements(set, claim)?;
    Ok(statements.iter().map(|(path, statement)| ProvenanceOut::of(path, statement.said(), None)).collect())
}

/// What somebody says about where the thing comes from that a claim is about, and in which file.
pub fn claimed_statements(
    set: &BundleSet,
    claim: &Claim,
) -> Result<Vec<(PathBuf, ProvenanceStatement)>, Failure> {
    let mut all = Vec::new();
    for path in files(set, claim) {
        let statements =
            ProvenanceFile::unverified(&read_bytes(&path)?).map_err(|errors| altered(&path, &errors))?;
        let about = statements.into_iter().filter(|statement| statement.is_about(claim));
        all.extend(about.map(|statement| (path.clone(), statement)));
    }
    Ok(all)
}

/// Where more such files lie in a folder, only one that is named after a bundle is taken for its own.
const FILES_MAX: usize = 64;

/// The file that lies beside a bundle and is named after it; if there is none, those that are about it. In a folder of many
/// bundles nobody reads the files of all the others for each.
fn files(set: &BundleSet, claim: &Claim) -> Vec<PathBuf> {
    let (Some(folder), Some(siblings)) = (set.folder(), set.siblings()) else { return Vec::new() };
    let own = folder.join(Names::of(&claim.bundle.name, &claim.bundle.version).provenance);
    let files = siblings.provenance();
    let is_own = |path: &&PathBuf| path.file_name() == own.file_name();
    if let Some(own) = files.iter().find(is_own) {
        return vec![own.clone()];
    }
    if files.len() > FILES_MAX {
        return Vec::new();
    }
    files.iter().filter(|path| speaks_of(path, claim)).cloned().collect()
}

/// Whether a file of another name is about the same thing. What cannot be read belongs to other bundles.
fn speaks_of(path: &Path, claim: &Claim) -> bool {
    let statements = read_bytes(path).ok().and_then(|bytes| ProvenanceFile::unverified(&bytes).ok());
    statements.is_some_and(|statements| statements.iter().any(|statement| statement.is_about(claim)))
}

/// The bytes of a provenance file, no more of them than anybody reads.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = |file: File| file.take(PROVENANCE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    crate::reading::open(path).and_then(read).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > PROVENANCE_BYTES_MAX {
        let message = format!("is larger than provenance may be ({PROVENANCE_BYTES_MAX} bytes)");
        let problem = Problem::new("provenance-too-large", message).at(path.display().to_string());
        return Err(Failure::new(Exit::NotIntact, problem.hint("ask the sender for the file again")));
    }
    Ok(bytes)
}

fn altered(path: &Path, errors: &[AttestationError]) -> Failure {
    let problem = |error: &AttestationError| {
        let why = error.problem();
        let code = if why.code == "bad-signature" { "provenance-altered" } else { "provenance-malformed" };
        Problem::new(code, format!("the provenance beside the bundle cannot be believed: {}", why.message))
            .at(path.display().to_string())
            .line(error.line)
            .hint("ask the sender for the file again; attestations by other tools belong into `NAME-VERSION.others.intoto.jsonl`")
    };
    Failure { exit: Exit::NotIntact, problems: errors.iter().map(problem).collect() }
}
