//! Revocations that arrive at a desk: whether they count, and what becomes of content that was unpacked before its bundle was
//! taken back.

use std::io;
use std::path::{Path, PathBuf};

use consign_metadata::Problem;
use consign_signing::{Claim, Content, NotEntitled, SignedRevocation, SignedStatement};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::bundle_out::BundleOut;
use crate::bundle_set::REVOCATIONS;
use crate::context::Context;
use crate::failure::Failure;
use crate::state::revocations::{files_in, read_revocations};
use crate::vouching::{Trusted, VouchingArgs};

/// How a directory is called once its bundle was taken back.
const QUARANTINED: &str = "revoked";

/// A revocation that arrived.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceivedRevocation {
    /// The file.
    pub path: String,
    /// Whether somebody who may take the bundle back did.
    pub counts: bool,
    pub bundle: BundleOut,
    pub reason: String,
    /// Who says so.
    pub fingerprint: String,
    pub role: String,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What was unpacked of the bundle, and where it is now.
    pub quarantined: Vec<Quarantined>,
}

/// Content that was unpacked before its bundle was taken back.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quarantined {
    /// Where it was unpacked to.
    pub from: PathBuf,
    /// Where it is now; absent if it could not be moved, or nothing was to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<PathBuf>,
    /// Why it is where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// The files of revocations that an argument names: itself, or those of a folder.
pub fn files(named: &Path) -> Result<Vec<PathBuf>, Failure> {
    if named.is_dir() {
        return files_in(named);
    }
    let is_one = named.to_str().is_some_and(|name| name.ends_with(REVOCATIONS));
    Ok(if is_one { vec![named.to_owned()] } else { Vec::new() })
}

/// Takes a file of revocations in: keeps those that count, and puts aside what was unpacked of their bundles. With `touch` false
/// nothing is changed.
pub fn take_in(
    context: &Context,
    vouching: &VouchingArgs,
    trusted: &Trusted,
    path: &Path,
    touch: bool,
) -> Result<Vec<ReceivedRevocation>, Failure> {
    let read = read_revocations(path)?;
    let desk = Desk { context, vouching, trusted, touch };
    Ok(read.signed().iter().map(|signed| desk.take_one(path, signed)).collect())
}

struct Desk<'a> {
    context: &'a Context,
    vouching: &'a VouchingArgs,
    trusted: &'a Trusted,
    touch: bool,
}

impl Desk<'_> {
    fn take_one(&self, path: &Path, signed: &SignedRevocation) -> ReceivedRevocation {
        let Self { context, vouching, trusted, touch } = *self;
        let revocation = signed.revocation();
        // What it says of itself is enough for those who may take back whatever they did not sign.
        let named = Claim::new(revocation.bundle.clone(), Content::Sealed);
        let mut verdict = vouching.takes_back(trusted, &[], &named, signed);
        let mut quarantined = Vec::new();
        for unpacked in context.state().unpacked() {
            let statements: &[SignedStatement] = unpacked.attestations.statements();
            let Some(claim) = statements.first().map(|one| &one.statement().claim) else { continue };
            if !revocation.is_about(claim) {
                continue;
            }
            if let Err(why) = vouching.takes_back(trusted, statements, claim, signed) {
                verdict = verdict.or(Err(why));
                continue;
            }
            verdict = Ok(());
            quarantined.push(if touch {
                quarantine(context, &unpacked.directory)
            } else {
                Quarantined { from: unpacked.directory, to: None, why_not: None }
            });
        }
        let counts = verdict.is_ok();
        // A key that is trusted may have signed a bundle that is still to come: then it is asked again.
        let kept = counts || verdict == Err(NotEntitled::NotSigner);
        if kept
            && touch
            && vouching.remembers()
            && let Err(error) = context.state().keep_revocation(signed)
        {
            context.note(crate::state::revocations::not_kept(&error));
        }
        if counts && touch {
            let moved: Vec<_> = quarantined.iter().filter_map(|one| one.to.as_ref()).collect();
            let act = Act::new(Action::BundleRevoked)
                .bundle(&revocation.bundle)
                .signed_by(&revocation.public_key, &revocation.role)
                .with("reason", &revocation.reason)
                .with("received", true)
                .with("quarantined", (!moved.is_empty()).then_some(moved));
            context.record(act);
        }
        ReceivedRevocation {
            path: path.display().to_string(),
            counts,
            bundle: BundleOut::named(&revocation.bundle),
            reason: revocation.reason.to_string(),
            fingerprint: revocation.public_key.fingerprint().to_string(),
            role: revocation.role.to_string(),
            why_not: verdict.err().map(|why| why.to_string()),
            quarantined,
        }
    }
}

/// Gives a directory a name under which nothing looks for it, beside where it was, and takes it away from everybody but its owner.
fn quarantine(context: &Context, directory: &Path) -> Quarantined {
    let from = directory.to_path_buf();
    let Some(name) = directory.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Quarantined { from, to: None, why_not: Some("it has no name".into()) };
    };
    for number in 1..1000_u32 {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        let to = directory.with_file_name(format!("{name}.{QUARANTINED}{more}"));
        if to.symlink_metadata().is_ok() {
            continue;
        }
        if let Err(error) = std::fs::rename(directory, &to) {
            let why = format!("{error}; move it out of the way yourself");
            return Quarantined { from, to: None, why_not: Some(why) };
        }
        let _ = context.state().forget_unpacked(directory);
        let why_not = closed(&to).err().map(|error| format!("others may still read it: {error}"));
        if let Some(why) = why_not {
            context.note(Problem::new("quarantine-open", why).at(to.display().to_string()));
        }
        return Quarantined { from, to: Some(to), why_not: None };
    }
    Quarantined {
        from,
        to: None,
        why_not: Some("too many directories of that name are there already".into()),
    }
}

#[cfg(unix)]
fn closed(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn closed(_: &Path) -> io::Result<()> {
    Ok(())
}
