//! Take a bundle back, signed.

use crate::act::{Act, Action};
use crate::bundle_out::BundleOut;
use crate::bundle_set::{BundleSet, REVOCATIONS, too_many};
use crate::checked::sole_claim;
use crate::context::{Context, make_folder, unwritable};
use crate::failure::Failure;
use crate::key_source::KeySource;
use crate::keys::PassphraseArgs;
use crate::operation::{Outcome, Request};
use crate::state::revocations::read_revocations;
use consign_bundle::publish::{exclusive, replace_exclusively};
use consign_metadata::{Line, Problem, Role};
use consign_signing::{Revocation, Revocations, SignedRevocation, Signer as _};
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Take a bundle back: sign a statement that it must not be used any more
///
/// The statement is written beside the bundle; send it to everybody who has the bundle. It counts for those who
/// trust the key, if that key signed the bundle, has the role `revoker`, or is a root key of their trust.
#[derive(Clone, Debug)]
pub struct Revoke {
    /// Archive, attestations, or folder with one bundle
    pub bundle: PathBuf,
    /// Why, in one line
    pub reason: Line,
    /// The key to sign with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    pub key: OsString,
    /// What to sign as
    pub role: Role,
    pub passphrase: PassphraseArgs,
    /// The folder to write to [default: where the bundle is]
    pub output: Option<PathBuf>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Revoked {
    pub bundle: BundleOut,
    pub reason: String,
    pub revocations: PathBuf,
    pub fingerprint: String,
    pub role: String,
    pub time: String,
}

impl Request for Revoke {
    const COMMAND: &str = "revoke";
    type Report = Revoked;

    fn run(&self, context: &Context) -> Result<Outcome<Revoked>, Failure> {
        let set = BundleSet::find_one(&self.bundle)?;
        let Some(claim) = sole_claim(&set)? else {
            let problem = Problem::new("unsigned", "there is no statement that could be taken back");
            return Err(Failure::failed(problem.at(self.bundle.display().to_string())));
        };
        let key = KeySource::parse(&self.key)?.open(context, &self.passphrase)?;
        let (role, time) = (self.role.clone(), context.now()?);
        let revocation = Revocation::of(claim, self.reason.clone(), *key.public_key(), role, time);
        let signed = SignedRevocation::sign(&key, &revocation)
            .map_err(|error| Failure::failed(Problem::new("cannot-sign", error.to_string())))?;
        let name = format!("{}-{}{REVOCATIONS}", claim.bundle.name, claim.bundle.version);
        let folder = match (&self.output, set.folder()) {
            (Some(folder), _) => folder.clone(),
            (None, folder) => folder.unwrap_or(Path::new(".")).to_owned(),
        };
        if self.output.is_some() {
            make_folder(&folder)?;
        }
        let path = folder.join(&name);
        let act = Act::of(Action::BundleRevoked, claim).signed_by(key.public_key(), &self.role);
        write(&folder, &name, signed)?;
        context.record(act.with("reason", &self.reason));
        Ok(Outcome::done(Revoked {
            bundle: BundleOut::claimed(claim),
            reason: self.reason.to_string(),
            revocations: path,
            fingerprint: key.public_key().fingerprint().to_string(),
            role: self.role.to_string(),
            time: time.to_string(),
        }))
    }
}

/// Puts it into the file, behind what others signed, also while others do so at the same time.
fn write(folder: &Path, name: &str, signed: SignedRevocation) -> Result<(), Failure> {
    let path = folder.join(name);
    let held = exclusive(folder).map_err(|error| unwritable(folder, &error))?;
    let all = if path.exists() {
        let mut all = read_revocations(&path)?;
        all.push(signed).map_err(|error| too_many(&error, &path))?;
        all
    } else {
        Revocations::new(signed)
    };
    replace_exclusively(&held, &path, &all.to_bytes()).map_err(|error| unwritable(&path, &error))
}
