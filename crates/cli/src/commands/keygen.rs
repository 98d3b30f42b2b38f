//! `consign keygen`: make a signing key.

use std::io::{self, Write};
use std::path::PathBuf;

use consign_metadata::{Line, Problem};
use consign_signing::{PrivateKey, Signer as _, write_private_key_file, write_public_key_file};
use serde::Serialize;

use crate::context::{Context, directory_for};
use crate::keys::{PassphraseArgs, prompt_new};
use crate::outcome::{Failure, Outcome, Report};
use crate::style;

/// Make a signing key: FILE (private) and FILE.pub (public)
///
/// The private key is Ed25519 in PKCS#8 PEM, which OpenSSL 3 reads; it is encrypted unless
/// `--no-passphrase` is given. Nothing is ever overwritten.
#[derive(clap::Args)]
pub(crate) struct Keygen {
    /// Where the private key goes; the public one goes to FILE.pub
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Do not encrypt the private key
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd"], help_heading = "Key options")]
    no_passphrase: bool,
    /// Make an age identity instead, for bundles that are encrypted to you; its recipient goes to FILE.pub
    #[cfg(feature = "encryption")]
    #[arg(long)]
    encryption: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Made {
    private_key: PathBuf,
    public_key: PathBuf,
    openssh: String,
    fingerprint: String,
    encrypted: bool,
}

impl Report for Made {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let how = if self.encrypted { "encrypted" } else { "NOT encrypted" };
        writeln!(out, "private key  {} ({how}; keep it to yourself)", self.private_key.display())?;
        writeln!(out, "public key   {}", self.public_key.display())?;
        writeln!(out, "OpenSSH      {}", self.openssh)?;
        writeln!(out, "fingerprint  {}", self.fingerprint)?;
        let word = style::shell_word(&self.public_key.display().to_string());
        writeln!(
            out,
            "\nGive the public key to those who are to verify; let them compare the fingerprint with\nyou by another way: consign id --key {word}"
        )
    }
}

impl Keygen {
    pub(crate) fn run(&self, _: &Context) -> Result<Outcome, Failure> {
        let public = public_path(&self.output);
        directory_for(&self.output)?;
        // Before anything is asked: what is there already is not overwritten.
        for path in [&self.output, &public] {
            if path.symlink_metadata().is_ok() {
                let problem =
                    Problem::new("key-file-exists", "already exists").at(path.display().to_string());
                return Err(Failure::failed(problem.hint("choose another name; keys are never overwritten")));
            }
        }
        let passphrase = if self.no_passphrase {
            None
        } else {
            match self.passphrase.given()? {
                Some(passphrase) => Some(passphrase),
                None => Some(prompt_new()?.ok_or_else(|| {
                    let problem =
                        Problem::new("passphrase-needed", "there is no terminal to ask for a passphrase on");
                    Failure::usage(
                        problem
                            .hint("give `--passphrase-file FILE`, `--passphrase-fd N` or `--no-passphrase`"),
                    )
                })?),
            }
        };
        #[cfg(feature = "encryption")]
        if self.encryption {
            return crate::encryption::keygen::make(&self.output, &public, passphrase.as_ref());
        }
        let failed = |error: consign_signing::PrivateKeyError| Failure::failed(error.problem());
        let key = PrivateKey::generate().map_err(failed)?;
        let pem = match &passphrase {
            Some(passphrase) => key.to_encrypted_pkcs8_pem(passphrase),
            None => key.to_pkcs8_pem(),
        }
        .map_err(failed)?;
        let written = |error: consign_signing::KeyFileError| Failure::failed(error.problem());
        write_private_key_file(&self.output, &pem).map_err(written)?;
        if let Err(error) = write_public_key_file(&public, &key.public_key().to_spki_pem()) {
            // Half a pair is of no use; the private key has not left this function.
            let _ = std::fs::remove_file(&self.output);
            return Err(written(error));
        }
        let comment =
            self.output.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<Line>().ok());
        Ok(Outcome::done(Made {
            private_key: self.output.clone(),
            public_key: public,
            openssh: key.public_key().to_openssh(comment.as_ref()).trim_end().to_owned(),
            fingerprint: key.public_key().fingerprint().to_string(),
            encrypted: passphrase.is_some(),
        }))
    }
}

/// The name of the public key that belongs to a private one: `.pub` appended.
pub(crate) fn public_path(private: &std::path::Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
