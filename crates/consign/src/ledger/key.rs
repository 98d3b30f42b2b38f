//! The key that signs the ledger's checkpoints: the machine's own, made when it is first needed, or one that is
//! named. It signs nothing else: what it vouches for is that this is the one history, not what stands in it.

use std::path::{Path, PathBuf};

use consign_metadata::{Problem, Sha256Digest};
use consign_signing::{PrivateKey, PublicKey, Signer as _, write_private_key_file, write_public_key_file};

use crate::context::{Context, unwritable};
use crate::failure::Failure;
use crate::key_source::{KeySource, OpenKey};
use crate::keys::{PassphraseArgs, load_public_file};
use crate::state::{lock, make_private};

/// Where keys are kept in consign's home.
const FOLDER: &str = "keys";

/// The private key, ready to sign; made if the home has none yet.
pub fn signer(context: &Context, directory: &Path) -> Result<OpenKey, Failure> {
    let named = named(context)?;
    let source = match named {
        Some(source) => source,
        None => KeySource::File(own(context, directory)?),
    };
    source.open(context, &PassphraseArgs::default())
}

/// The public key, with as little as is needed for it.
pub fn public(context: &Context, directory: &Path) -> Result<PublicKey, Failure> {
    if let Some(source) = named(context)? {
        let source = match source {
            KeySource::File(path) if with_pub(&path).is_file() => KeySource::File(with_pub(&path)),
            source => source,
        };
        return source.public_key(context, &PassphraseArgs::default());
    }
    let path = with_pub(&path(context, directory)?);
    if path.is_file() {
        return load_public_file(&path);
    }
    let message = "nothing has been recorded with this home yet, so there is no key to check the ledger with";
    let problem = Problem::new("no-ledger-key", message).at(directory.display().to_string());
    Err(Failure::failed(problem.hint("name the public key of the ledger: `--key PUB`")))
}

/// The key that the command line, the environment or `config.toml` names.
fn named(context: &Context) -> Result<Option<KeySource>, Failure> {
    match context.ledger().key() {
        Some(named) => KeySource::parse(named).map(Some),
        None => context.config()?.ledger_key.map(|named| KeySource::parse(named.as_ref())).transpose(),
    }
}

/// The key of a ledger in the home. A key is that of one ledger: two of one key would be two histories of it.
fn path(context: &Context, directory: &Path) -> Result<PathBuf, Failure> {
    let home = context.home().ok_or_else(|| {
        let problem = Problem::new("no-home", "there is no home directory to keep the ledger's key in");
        Failure::failed(problem.hint("set `CONSIGN_HOME`, or name a key with `--ledger-key KEY`"))
    })?;
    let folder = home.join(FOLDER);
    if context.state().ledger().as_deref() == Some(directory) {
        return Ok(folder.join("ledger.key"));
    }
    let absolute = std::path::absolute(directory).map_err(|error| unwritable(directory, &error))?;
    let digest = Sha256Digest::of(absolute.as_os_str().as_encoded_bytes()).hex();
    Ok(folder.join(format!("ledger-{}.key", &digest[..16])))
}

/// The key in the home. A ledger that has a checkpoint already was signed by another one, so none is made for it.
fn own(context: &Context, directory: &Path) -> Result<PathBuf, Failure> {
    let path = path(context, directory)?;
    if path.exists() {
        return Ok(path);
    }
    if directory.join("checkpoint").exists() {
        let problem =
            Problem::new("ledger-key-missing", "the key that signed the ledger so far is not there");
        let problem = problem.at(path.display().to_string());
        return Err(Failure::failed(problem.hint("put it back, or name it with `--ledger-key KEY`")));
    }
    let folder = consign_bundle::publish::parent(&path);
    let failed = |error: std::io::Error| unwritable(folder, &error);
    context.make_home()?;
    make_private(folder).map_err(failed)?;
    // Of two that begin at once, one makes it.
    let _lock = lock(folder).map_err(failed)?;
    if path.exists() {
        return Ok(path);
    }
    let key = PrivateKey::generate().map_err(|error| Failure::failed(error.problem()))?;
    let pem = key.to_pkcs8_pem().map_err(|error| Failure::failed(error.problem()))?;
    let written = |error: consign_signing::KeyFileError| Failure::failed(error.problem());
    // The public half first: where the private one is, both are.
    let public = with_pub(&path);
    if public.exists() {
        std::fs::remove_file(&public).map_err(|error| unwritable(&public, &error))?;
    }
    write_public_key_file(&public, &key.public_key().to_spki_pem()).map_err(written)?;
    write_private_key_file(&path, &pem).map_err(written)?;
    Ok(path)
}

fn with_pub(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
