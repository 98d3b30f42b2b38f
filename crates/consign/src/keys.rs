//! Keys as the command line names them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use consign_metadata::Problem;
use consign_signing::{
    PASSPHRASE_EASY, Passphrase, PassphraseAnswer, PassphraseRequest, PrivateKey, PublicKey, PublicKeyError,
    read_private_key_file,
};

use crate::context::{Context, unreadable};
use crate::exit::Exit;
use crate::failure::Failure;

/// Where a passphrase comes from.
#[derive(Clone, Debug, Default)]
pub struct PassphraseArgs {
    // The variable is no `env` of clap's: what it says would then conflict with flags, which it gives way to.
    /// Read the passphrase of the private key from a file [env: CONSIGN_PASSPHRASE_FILE=]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase of the private key from an open file descriptor
    pub passphrase_fd: Option<u32>,
}

impl PassphraseArgs {
    /// The passphrase from file or descriptor, if either was named: by a flag, else by the environment.
    pub fn given(&self) -> Result<Option<Passphrase>, Failure> {
        let of_environment = || crate::variables::get("CONSIGN_PASSPHRASE_FILE");
        // Opening the descriptor by its name takes it over without touching what others may hold.
        let path = match (&self.passphrase_file, self.passphrase_fd) {
            (Some(path), _) => path.clone(),
            (None, Some(fd)) => PathBuf::from(format!("/dev/fd/{fd}")),
            (None, None) => match of_environment() {
                Some(path) => path.into(),
                None => return Ok(None),
            },
        };
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        // Not by its name: people give the passphrase itself, and it would stand in the error.
        let shown = PathBuf::from(match (&self.passphrase_file, self.passphrase_fd) {
            (_, Some(fd)) => format!("--passphrase-fd {fd}"),
            (Some(_), None) => "the passphrase file".to_owned(),
            (None, None) => "CONSIGN_PASSPHRASE_FILE".to_owned(),
        });
        let file = crate::reading::open(&path).map_err(|error| {
            let mut failure = unreadable(&shown, &error);
            if self.passphrase_fd.is_some() {
                failure.problems[0].hint = Some("open that descriptor for consign, as with `N<FILE`".into());
            }
            failure
        })?;
        file.take(4096).read_to_end(&mut bytes).map_err(|error| unreadable(&shown, &error))?;
        Passphrase::from_line(&bytes).map(Some).map_err(|error| {
            let problem = Problem::new("passphrase", error.to_string()).at(shown.display().to_string());
            Failure::usage(problem.hint("the file holds the passphrase and nothing else, on one line"))
        })
    }
}

/// Asks for a passphrase; `None` if there is nobody to ask.
pub fn prompt(context: &Context, question: &str) -> std::io::Result<Option<Passphrase>> {
    let Some(line) = context.person().secret(question)? else { return Ok(None) };
    Passphrase::from_line(&line).map(Some).map_err(std::io::Error::other)
}

/// The passphrase for a new key: from file or descriptor, else asked for; `None` if there is no terminal. One that is easy to
/// guess protects nothing, and is refused.
pub fn new_passphrase(context: &Context, args: &PassphraseArgs) -> Result<Option<Passphrase>, Failure> {
    let passphrase = match args.given()? {
        Some(given) => given,
        None => match prompt_new(context)? {
            Some(typed) => typed,
            None => return Ok(None),
        },
    };
    if passphrase.is_easy_to_guess() {
        let message = format!(
            "the passphrase is easy to guess: it needs {PASSPHRASE_EASY} characters or more, of which 5 differ"
        );
        let hint = "take several words that nobody would put together, or let a password manager make one";
        return Err(Failure::usage(Problem::new("passphrase-weak", message).hint(hint)));
    }
    Ok(Some(passphrase))
}

/// Asks for a new passphrase, twice; `None` if there is no terminal.
fn prompt_new(context: &Context) -> Result<Option<Passphrase>, Failure> {
    let failed = |error: std::io::Error| Failure::usage(Problem::new("passphrase", error.to_string()));
    let Some(first) = prompt(context, "Passphrase for the new key: ").map_err(failed)? else {
        return Ok(None);
    };
    let second = prompt(context, "The same again: ").map_err(failed)?;
    if second.is_some_and(|second| second.is_same(&first)) {
        return Ok(Some(first));
    }
    Err(Failure::usage(Problem::new("passphrase", "the two passphrases differ").hint("begin again")))
}

/// Loads the private key that `--key` names.
pub fn load_private(
    context: &Context,
    path: &Path,
    passphrase: &PassphraseArgs,
) -> Result<PrivateKey, Failure> {
    let at = |problem: Problem| Failure::new(Exit::Failed, problem.at(path.display().to_string()));
    let text = read_private_key_file(path).map_err(|error| {
        // Whoever names the wrong half of the pair is not helped by advice about permissions.
        if crate::reading::read(path, crate::reading::TEXT_MAX)
            .is_ok_and(|bytes| PublicKey::parse(&bytes).is_ok())
        {
            let problem = Problem::new("public-key-given", "is a public key; only the private one can sign");
            return at(problem.hint("`consign keygen` puts the private key beside it, without `.pub`"));
        }
        Failure::failed(error.problem())
    })?;
    let given = passphrase.given()?;
    let mut given = Some(given).flatten();
    let mut ask = |request: PassphraseRequest| -> PassphraseAnswer {
        if let Some(passphrase) = given.take() {
            return Ok(Some(passphrase));
        }
        let key =
            request.claimed.map_or_else(|| path.display().to_string(), |fingerprint| fingerprint.to_string());
        Ok(prompt(context, &format!("Passphrase for {key}: "))?)
    };
    PrivateKey::parse(&text, &mut ask).map_err(|error| {
        let mut problem = error.problem();
        if problem.code == "wrong-passphrase" {
            problem.hint =
                Some("if it is the right one, fetch the key file again from where you keep it".into());
        }
        if problem.code == "passphrase-needed" {
            problem.hint = Some(
                "give it with `--passphrase-file FILE` or `--passphrase-fd N`, or run on a terminal".into(),
            );
        }
        at(problem)
    })
}

/// The PIN or passphrase in a file that nobody but its owner can read.
#[cfg(feature = "pkcs11")]
pub fn secret_file(path: &Path) -> Result<Passphrase, Failure> {
    let text = read_private_key_file(path).map_err(|error| {
        let mut problem = error.problem();
        if problem.code == "key-file-exposed" {
            problem.hint = Some("let nobody else read it (`chmod 600`), and change what it holds".into());
        }
        Failure::failed(problem)
    })?;
    Passphrase::from_line(&text).map_err(|error| {
        let problem = Problem::new("passphrase", error.to_string()).at(path.display().to_string());
        Failure::usage(problem.hint("the file holds the PIN and nothing else, on one line"))
    })
}

/// Loads the public key in a file.
pub fn load_public_file(path: &Path) -> Result<PublicKey, Failure> {
    let text =
        crate::reading::read(path, crate::reading::TEXT_MAX).map_err(|error| unreadable(path, &error))?;
    PublicKey::parse(&text).map_err(|error| Failure::usage(error.problem().at(path.display().to_string())))
}

/// Loads the public key that `--key` names: a file, or an OpenSSH line itself.
pub fn load_public(named: &str) -> Result<PublicKey, Failure> {
    if named.starts_with("ssh-ed25519 ") {
        return named.parse().map_err(|error: PublicKeyError| Failure::usage(error.problem().at("--key")));
    }
    load_public_file(Path::new(named))
}
