//! `consign revoke`: take a bundle back, signed.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_bundle::publish::{exclusive, replace_exclusively};
use consign_metadata::{Line, Problem, Role};
use consign_signing::{Revocation, Revocations, SignedRevocation, Signer as _};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::args::{self, Given};
use crate::bundle_out::BundleOut;
use crate::bundle_set::{BundleSet, REVOCATIONS, too_many};
use crate::checked::sole_claim;
use crate::context::{Context, make_folder, unwritable};
use crate::key_source::KeySource;
use crate::outcome::{Failure, Outcome, Report};
use crate::state::revocations::read_revocations;
use crate::style;

/// Take a bundle back: sign a statement that it must not be used any more
///
/// The statement is written beside the bundle; send it to everybody who has the bundle. It counts for those who
/// trust the key, if that key signed the bundle, has the role `revoker`, or is a root key of their trust.
#[derive(clap::Args)]
pub(crate) struct Revoke {
    /// Archive, attestations, or folder with one bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Why, in one line
    #[arg(long, value_name = "TEXT")]
    reason: Line,
    /// The key to sign with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    #[arg(
        long,
        value_name = "KEY",
        env = "CONSIGN_KEY",
        hide_env_values = true,
        help_heading = "Key options"
    )]
    key: OsString,
    /// What to sign as
    #[arg(long, value_name = "ROLE", default_value = "owner", help_heading = "Key options")]
    role: Role,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
    /// The folder to write to [default: where the bundle is]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Revoked {
    bundle: BundleOut,
    reason: String,
    revocations: PathBuf,
    fingerprint: String,
    role: String,
    time: String,
}

impl Report for Revoked {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let warn = style::WARN;
        writeln!(out, "{warn}revoked{warn:#} {} {}", self.bundle.name, self.bundle.version)?;
        writeln!(out, "  bundle id     {}", self.bundle.id())?;
        writeln!(out, "  reason        {}", self.reason)?;
        writeln!(out, "  by            {} as {} ({})", self.fingerprint, self.role, self.time)?;
        writeln!(
            out,
            "  revocation    {}",
            consign_metadata::printable(&self.revocations.display().to_string())
        )?;
        writeln!(out, "\nSend that file to everybody who has the bundle; for them: verify --revocations FILE")
    }
}

impl Revoke {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
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
