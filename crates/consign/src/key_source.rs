//! Where a signing key is kept, as `--key` names it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use consign_metadata::{Problem, Role, printable};
#[cfg(unix)]
use consign_signing::{ExternalSigner, Fingerprint, SshAgent, SshAgentError};
use consign_signing::{KeyOrigin, Pkcs11Uri, PublicKey, Signature, Signer, SignerError};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::keys::{PassphraseArgs, load_private, load_public_file};
use crate::person::Person;

/// How long to wait for an agent to list its keys.
#[cfg(unix)]
const AGENT_LIST: std::time::Duration = std::time::Duration::from_secs(10);
/// How long to wait for its signature: it may ask a person, or a token that has to be touched.
#[cfg(unix)]
const AGENT_SIGN: std::time::Duration = std::time::Duration::from_secs(120);

/// Who signs.
#[derive(Clone, Debug)]
pub struct KeyArgs {
    /// The key to sign with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    pub key: Option<OsString>,
    /// What to sign as
    pub role: Role,
    /// Do not sign: nobody will be able to tell where the bundle comes from
    pub unsigned: bool,
    /// Where the passphrase of the key comes from
    pub passphrase: PassphraseArgs,
}

impl KeyArgs {
    /// The key in a file, or elsewhere as [`KeySource::parse`] reads it, in a role.
    pub fn new(key: impl Into<OsString>, role: Role) -> Self {
        Self { key: Some(key.into()), role, unsigned: false, passphrase: PassphraseArgs::default() }
    }

    /// Opens the key.
    pub fn load(&self, context: &Context) -> Result<Option<OpenKey>, Failure> {
        match &self.key {
            Some(key) if !self.unsigned => KeySource::parse(key)?.open(context, &self.passphrase).map(Some),
            _ => Ok(None),
        }
    }
}

/// Who signed, for reports.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignerOut {
    /// The fingerprint of the key.
    pub fingerprint: String,
    /// As what.
    pub role: String,
    /// Where the private key is kept.
    pub key: KeyOrigin,
}

impl SignerOut {
    /// Of a key that is open.
    pub fn of(key: &OpenKey, role: &Role) -> Self {
        Self {
            fingerprint: key.public_key().fingerprint().to_string(),
            role: role.to_string(),
            key: key.origin().clone(),
        }
    }
}

/// Where a signing key is kept.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A private key in a file.
    File(PathBuf),
    /// `ssh-agent:` and a fingerprint, or the path of a public key.
    #[cfg(unix)]
    SshAgent(AgentKey),
    /// A `pkcs11:` URI.
    Pkcs11(Box<Pkcs11Uri>),
    /// `exec:` and the name of an entry in `config.toml`, or its program's path.
    #[cfg(unix)]
    Program(String),
}

/// How a key in an agent is named.
#[cfg(unix)]
#[derive(Clone, Debug)]
pub enum AgentKey {
    Fingerprint(Fingerprint),
    PublicKeyFile(PathBuf),
}

/// A key that is ready to sign.
pub struct OpenKey {
    signer: Box<dyn Signer>,
    origin: KeyOrigin,
    /// Who is told when it signs.
    person: Arc<dyn Person>,
}

impl OpenKey {
    /// Where it is kept; for reports and the log.
    pub fn origin(&self) -> &KeyOrigin {
        &self.origin
    }

    /// The same, if it is kept anywhere but in a file.
    pub fn origin_elsewhere(&self) -> Option<&KeyOrigin> {
        Some(&self.origin).filter(|origin| !matches!(origin, KeyOrigin::File { .. }))
    }
}

impl Signer for OpenKey {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        if let Some(origin) = self.origin_elsewhere() {
            // Whoever waits should know for what; whoever reads a log, who signed.
            self.person.tell(&format!("signing with {origin}"));
        }
        self.signer.sign(message)
    }
}

impl KeySource {
    /// Reads what `--key` says. What it says is not repeated where a PIN may stand in it.
    pub fn parse(named: &OsStr) -> Result<Self, Failure> {
        let text = named.to_string_lossy();
        let usage = |problem: Problem| Failure::usage(problem.at("--key"));
        if let Some(rest) = text.strip_prefix("ssh-agent:") {
            #[cfg(unix)]
            return agent_key(rest).map(Self::SshAgent);
            #[cfg(not(unix))]
            return Err(usage(not_here(rest)));
        }
        // The scheme of a URI is written in any case (RFC 3986 section 3.1); taken for the name of a file, it
        // would be repeated in a message.
        if text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("pkcs11:")) {
            let uri = text.parse::<Pkcs11Uri>().map_err(|error| usage(error.problem()))?;
            return Ok(Self::Pkcs11(Box::new(uri)));
        }
        if let Some(rest) = text.strip_prefix("exec:") {
            #[cfg(unix)]
            return program_name(rest).map(Self::Program);
            #[cfg(not(unix))]
            return Err(usage(not_here(rest)));
        }
        Ok(Self::File(named.into()))
    }

    /// Makes the key ready to sign: everything that can fail before there is something to sign does so here.
    pub fn open(&self, context: &Context, passphrase: &PassphraseArgs) -> Result<OpenKey, Failure> {
        match self {
            Self::File(path) => {
                let signer = Box::new(load_private(context, path, passphrase)?);
                let origin = KeyOrigin::File { path: printable(&path.display().to_string()) };
                Ok(OpenKey { signer, origin, person: Arc::clone(context.person()) })
            }
            #[cfg(unix)]
            Self::SshAgent(key) => open_agent(key, context),
            Self::Pkcs11(uri) => token::open(uri, context, passphrase),
            #[cfg(unix)]
            Self::Program(named) => open_program(named, context),
        }
    }

    /// The public key, with as little as is needed for it: no passphrase, and a PIN only if the token asks for
    /// one. Of a file, the public half is named.
    pub fn public_key(&self, context: &Context, passphrase: &PassphraseArgs) -> Result<PublicKey, Failure> {
        match self {
            Self::File(path) => load_public_file(path),
            Self::Pkcs11(uri) => token::public_key(uri, context, passphrase),
            #[cfg(unix)]
            Self::Program(named) => Ok(entry(named, context)?.public_key),
            #[cfg(unix)]
            Self::SshAgent(_) => Ok(*self.open(context, passphrase)?.public_key()),
        }
    }
}

#[cfg(not(unix))]
fn not_here(_: &str) -> Problem {
    Problem::new("key-source", "keys are not reached in this way on this system")
        .hint("name a private key in a file, or a `pkcs11:` URI")
}

#[cfg(unix)]
fn agent_key(text: &str) -> Result<AgentKey, Failure> {
    use consign_signing::FingerprintError;
    let usage = |problem: Problem| Failure::usage(problem.at("--key"));
    let hint = "`ssh-add -l` lists the fingerprints of the agent's keys";
    match text.parse::<Fingerprint>() {
        Ok(fingerprint) => Ok(AgentKey::Fingerprint(fingerprint)),
        Err(error) if text.starts_with("SHA256:") || error == FingerprintError::Md5 => {
            Err(usage(Problem::new("fingerprint", error.to_string()).hint(hint)))
        }
        Err(_) if text.is_empty() => Err(usage(
            Problem::new(
                "key-source",
                "`ssh-agent:` is followed by a fingerprint or the path of a public key",
            )
            .hint(hint),
        )),
        Err(_) => Ok(AgentKey::PublicKeyFile(text.into())),
    }
}

#[cfg(unix)]
fn open_agent(key: &AgentKey, context: &Context) -> Result<OpenKey, Failure> {
    let wanted = match key {
        AgentKey::Fingerprint(fingerprint) => *fingerprint,
        AgentKey::PublicKeyFile(path) => load_public_file(path)?.fingerprint(),
    };
    let socket = crate::variables::get("SSH_AUTH_SOCK");
    let Some(socket) = socket else {
        let problem =
            Problem::new("agent-unreachable", "`SSH_AUTH_SOCK` is not set, so there is no SSH agent");
        return Err(Failure::failed(
            problem
                .at("--key")
                .hint("start one with `eval $(ssh-agent)` and add the key with `ssh-add FILE`"),
        ));
    };
    let failed = |error: SshAgentError| Failure::failed(error.problem().at("--key"));
    let signer = SshAgent::new(socket).signer(&wanted, AGENT_LIST, AGENT_SIGN).map_err(failed)?;
    let origin = KeyOrigin::SshAgent { comment: signer.comment().to_owned() };
    Ok(OpenKey { signer: Box::new(signer), origin, person: Arc::clone(context.person()) })
}

/// What follows `exec:`: the name of an entry, or a path, which must be that of an entry.
#[cfg(unix)]
fn program_name(text: &str) -> Result<String, Failure> {
    let is_path = text.starts_with('/') && printable(text) == text;
    if is_path || text.parse::<consign_signing::SignerName>().is_ok() {
        return Ok(text.to_owned());
    }
    let message = format!("`exec:{}` names no signer", printable(text));
    let hint = "give the name of an entry in config.toml (a-z, 0-9, `-`, `_`, `.`), or the absolute path of its program";
    Err(Failure::usage(Problem::new("signer-name", message).at("--key").hint(hint)))
}

/// The entry that `exec:` names. Nothing else is ever run.
#[cfg(unix)]
fn entry(named: &str, context: &Context) -> Result<crate::config::SignerEntry, Failure> {
    let config = context.config()?;
    let fits = |entry: &&crate::config::SignerEntry| {
        entry.name.as_str() == named || entry.program.as_os_str() == OsStr::new(named)
    };
    let mut found = config.signers.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry.clone()),
        (Some(_), Some(_)) => {
            let message = format!("several signers run `{named}`; name one of them by its name");
            Err(Failure::usage(Problem::new("signer-ambiguous", message).at("--key")))
        }
        (None, _) => {
            let names: Vec<_> = config.signers.iter().map(|entry| entry.name.as_str()).collect();
            let file = context
                .config_file()
                .map_or_else(|| "config.toml".to_owned(), |file| printable(&file.display().to_string()));
            let hint = if names.is_empty() {
                format!("a program signs only if it has an entry `[[signer]]` in {file}; there is none")
            } else {
                format!("{file} has: {}", names.join(", "))
            };
            let message = format!("the external signer `{named}` is not allowed");
            Err(Failure::failed(Problem::new("signer-unknown", message).at("--key").hint(hint)))
        }
    }
}

#[cfg(unix)]
fn open_program(named: &str, context: &Context) -> Result<OpenKey, Failure> {
    let entry = entry(named, context)?;
    let origin =
        KeyOrigin::Program { name: entry.name.to_string(), program: entry.program.display().to_string() };
    let value = |name: String| std::env::var_os(&name).map(|value| (name.into(), value));
    let signer = ExternalSigner {
        name: entry.name,
        program: entry.program,
        args: entry.args.into_iter().map(Into::into).collect(),
        public_key: entry.public_key,
        environment: entry.environment.into_iter().filter_map(value).collect(),
        timeout: entry.timeout,
        cancel: Arc::clone(&context.cancel),
    };
    signer.check().map_err(|error| Failure::failed(error.problem().at("--key")))?;
    Ok(OpenKey { signer: Box::new(signer), origin, person: Arc::clone(context.person()) })
}

#[cfg(feature = "pkcs11")]
mod token {
    use consign_signing::{PassphraseAnswer, PinRequest, Pkcs11Error, Pkcs11Signer, pkcs11_public_key};

    use super::*;
    use crate::keys::{prompt, secret_file};

    /// The library that talks to the token: of the URI, else of the configuration, and of nowhere else.
    fn module(uri: &Pkcs11Uri, context: &Context) -> Result<PathBuf, Failure> {
        if let Some(module) = &uri.module_path {
            return Ok(module.clone());
        }
        context.config()?.pkcs11_module.ok_or_else(|| {
            let problem = Problem::new("pkcs11-module", "nothing says which library talks to the token");
            Failure::usage(problem.at("--key").hint(
                "add `?module-path=/usr/lib/…/NAME.so` to the URI, or set `module` under `[pkcs11]` in consign's config.toml",
            ))
        })
    }

    fn failed(error: &Pkcs11Error) -> Failure {
        let mut problem = error.problem().at("--key");
        if problem.code == "pin-needed" {
            problem.hint = Some(
                "add `pin-source=file:/PATH` to the URI, give `--passphrase-file FILE` or `--passphrase-fd N`, or run on a terminal".into(),
            );
        }
        Failure::failed(problem)
    }

    pub fn open(uri: &Pkcs11Uri, context: &Context, passphrase: &PassphraseArgs) -> Result<OpenKey, Failure> {
        let module = module(uri, context)?;
        let mut given = match &uri.pin_source {
            Some(path) => Some(secret_file(path)?),
            None => passphrase.given()?,
        };
        let mut ask = |request: PinRequest| -> PassphraseAnswer {
            if let Some(pin) = given.take() {
                return Ok(Some(pin));
            }
            let warning = if request.last_try { " (one wrong PIN more locks it)" } else { "" };
            Ok(prompt(context, &format!("PIN for the token {}{warning}: ", request.token))?)
        };
        let signer = Pkcs11Signer::open(uri, &module, &mut ask).map_err(|error| failed(&error))?;
        let origin = signer.origin().clone();
        Ok(OpenKey { signer: Box::new(signer), origin, person: Arc::clone(context.person()) })
    }

    pub fn public_key(
        uri: &Pkcs11Uri,
        context: &Context,
        passphrase: &PassphraseArgs,
    ) -> Result<PublicKey, Failure> {
        match pkcs11_public_key(uri, &module(uri, context)?).map_err(|error| failed(&error))? {
            Some(key) => Ok(key),
            None => Ok(*open(uri, context, passphrase)?.public_key()),
        }
    }
}

#[cfg(not(feature = "pkcs11"))]
mod token {
    use super::*;

    pub fn open(_: &Pkcs11Uri, _: &Context, _: &PassphraseArgs) -> Result<OpenKey, Failure> {
        let problem = Problem::new("key-source", "this consign was built without PKCS #11");
        Err(Failure::failed(problem.at("--key").hint("build it with the feature `pkcs11`")))
    }

    pub fn public_key(
        uri: &Pkcs11Uri,
        context: &Context,
        passphrase: &PassphraseArgs,
    ) -> Result<PublicKey, Failure> {
        open(uri, context, passphrase).map(|key| *key.public_key())
    }
}
