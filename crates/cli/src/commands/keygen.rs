//! `consign keygen`: make a signing key.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use consign_metadata::{Line, Problem};
use consign_signing::{
    PrivateKey, PublicKey, Signer as _, TrustPolicy, write_private_key_file, write_public_key_file,
};
use serde::Serialize;

use crate::act::{Act, Action};
use crate::args::{self, Given};
use crate::context::{Context, directory_for};
use crate::exit::Exit;
use crate::key_source::KeySource;
use crate::keys::{PassphraseArgs, new_passphrase};
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
    /// The key that the new one takes over from: its public key, or where it is kept (`ssh-agent:`, `pkcs11:`,
    /// `exec:`)
    ///
    /// It is left as it is. FILE.trust.toml is written as well: the entry for the trust.toml of those who verify.
    #[arg(long, value_name = "OLD")]
    rotate: Option<OsString>,
    #[command(flatten)]
    passphrase: Given<args::PassphraseArgs>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Made {
    private_key: PathBuf,
    public_key: PathBuf,
    openssh: String,
    fingerprint: String,
    encrypted: bool,
    /// What is to be done so that it can take over from another key.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
}

/// How recipients come to know that one key takes over from another.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Rotation {
    /// The key that the new one takes over from.
    old_fingerprint: String,
    /// What the own trust.toml calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_name: Option<String>,
    /// The file with the entry for the trust.toml of recipients.
    trust_entry: PathBuf,
}

impl Rotation {
    fn human(&self, public_key: &Path, out: &mut dyn Write) -> io::Result<()> {
        let word = |path: &Path| style::shell_word(&path.display().to_string());
        let name = self.old_name.as_deref().map_or_else(|| "NAME".to_owned(), style::shell_word);
        writeln!(out, "trust entry  {}", self.trust_entry.display())?;
        writeln!(out, "\nIt is to take over from {}, which is as it was:", self.old_fingerprint)?;
        writeln!(out, "  1. Those who verify get the public key, compare its fingerprint with you, and run")?;
        writeln!(out, "       consign trust rotate {name} --to {} --from TIME", word(public_key))?;
        writeln!(out, "     or put the entry into their trust.toml. Until TIME both keys count for them.")?;
        writeln!(out, "  2. Once they have, sign with the new key only.")?;
        writeln!(out, "  3. After TIME the old key is superseded: destroy its private half.")?;
        writeln!(out, "A key that somebody else may have got hold of is revoked at once, as compromised.")
    }
}

impl Report for Made {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let how = if self.encrypted { "encrypted" } else { "NOT encrypted" };
        writeln!(out, "private key  {} ({how}; keep it to yourself)", self.private_key.display())?;
        writeln!(out, "public key   {}", self.public_key.display())?;
        writeln!(out, "OpenSSH      {}", self.openssh)?;
        writeln!(out, "fingerprint  {}", self.fingerprint)?;
        if let Some(rotation) = &self.rotation {
            rotation.human(&self.public_key, out)?;
        }
        let word = style::shell_word(&self.public_key.display().to_string());
        writeln!(
            out,
            "\nGive the public key to those who are to verify; let them compare the fingerprint with\nyou by another way: consign id --key {word}"
        )
    }
}

impl Keygen {
    pub(crate) fn run(&self, context: &Context) -> Result<Outcome, Failure> {
        let public = public_path(&self.output);
        directory_for(&self.output)?;
        let old = self.rotate.as_ref().map(|old| OldKey::find(old, context)).transpose()?;
        let entry = old.as_ref().map(|_| with_suffix(&self.output, ".trust.toml"));
        // Before anything is asked: what is there already is not overwritten.
        for path in [&self.output, &public].into_iter().chain(&entry) {
            if path.symlink_metadata().is_ok() {
                let problem =
                    Problem::new("key-file-exists", "already exists").at(path.display().to_string());
                return Err(Failure::failed(problem.hint("choose another name; keys are never overwritten")));
            }
        }
        let passphrase = if self.no_passphrase {
            None
        } else {
            Some(new_passphrase(context, &self.passphrase)?.ok_or_else(|| {
                let problem =
                    Problem::new("passphrase-needed", "there is no terminal to ask for a passphrase on");
                Failure::usage(
                    problem.hint("give `--passphrase-file FILE`, `--passphrase-fd N` or `--no-passphrase`"),
                )
            })?)
        };
        #[cfg(feature = "encryption")]
        if self.encryption {
            let made = crate::encryption::keygen::make(&self.output, &public, passphrase.as_ref())?;
            let act = Act::new(Action::KeyMade).with("recipient", &made.recipient);
            context.record(act.with("encrypted", made.encrypted));
            return Ok(Outcome::done(made));
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
        let made = Act::new(Action::KeyMade).with("fingerprint", key.public_key().fingerprint().to_string());
        let made = made.with("encrypted", passphrase.is_some());
        context.record(match &old {
            Some(old) => made.instead(Action::KeyRotated).with("replaces", old.key.fingerprint().to_string()),
            None => made,
        });
        let rotation = match old.zip(entry) {
            None => None,
            Some((old, path)) => {
                let text = old.entry(&self.output, key.public_key())?;
                write_public_key_file(&path, &text).map_err(written)?;
                Some(Rotation {
                    old_fingerprint: old.key.fingerprint().to_string(),
                    old_name: old.name,
                    trust_entry: path,
                })
            }
        };
        let comment =
            self.output.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<Line>().ok());
        Ok(Outcome::done(Made {
            private_key: self.output.clone(),
            public_key: public,
            openssh: key.public_key().to_openssh(comment.as_ref()).trim_end().to_owned(),
            fingerprint: key.public_key().fingerprint().to_string(),
            encrypted: passphrase.is_some(),
            rotation,
        }))
    }
}

/// The key that a new one takes over from, and what the own trust.toml says about it.
struct OldKey {
    key: PublicKey,
    name: Option<String>,
    owner: Option<Line>,
    organization: Option<Line>,
    roles: Vec<String>,
}

impl OldKey {
    fn find(named: &OsString, context: &Context) -> Result<Self, Failure> {
        let here = |mut failure: Failure| {
            for problem in &mut failure.problems {
                // What is said of `--key` elsewhere.
                problem.at = problem.at.take().map(|at| if at == "--key" { "--rotate".into() } else { at });
            }
            failure
        };
        let source = match KeySource::parse(named).map_err(here)? {
            // Of a pair of files the public half says enough, and asks for no passphrase.
            KeySource::File(path) => {
                let public = public_path(&path);
                KeySource::File(if public.is_file() { public } else { path })
            }
            source => source,
        };
        // Passphrases that are given are for the new key.
        let key = source.public_key(context, &PassphraseArgs::default()).map_err(here)?;
        let policy = context.trust_policy(None)?;
        let listed = policy.as_ref().and_then(|policy| policy.find(&key));
        Ok(Self {
            key,
            name: listed.map(|entry| entry.name.to_string()),
            owner: listed.and_then(|entry| entry.owner.clone()),
            organization: listed.and_then(|entry| entry.organization.clone()),
            roles: listed.map_or_else(
                || vec!["owner".to_owned()],
                |entry| entry.roles.iter().map(ToString::to_string).collect(),
            ),
        })
    }

    /// A trust.toml that lists the new key as the old one was listed.
    fn entry(&self, output: &Path, key: &PublicKey) -> Result<String, Failure> {
        let stem = output.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let stem = stem.parse::<Line>().map_or_else(|_| "new".to_owned(), |stem| stem.to_string());
        let name = if self.name.as_ref() == Some(&stem) { format!("{stem}-2") } else { stem };
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let called = self.name.as_ref().map_or_else(String::new, |name| format!(", here {}", quoted(name)));
        let mut text = format!(
            "# Takes over from {}{called}.\nformat = 1\n\n[[key]]\nname = {}\n",
            self.key.fingerprint(),
            quoted(&name)
        );
        for (field, value) in [("owner", &self.owner), ("organization", &self.organization)] {
            if let Some(value) = value {
                text.push_str(&format!("{field} = {}\n", quoted(value.as_str())));
            }
        }
        let roles: Vec<_> = self.roles.iter().map(|role| quoted(role)).collect();
        text.push_str(&format!("public_key = {}\n", quoted(key.to_openssh(None).trim_end())));
        text.push_str(&format!("roles = [{}]\n", roles.join(", ")));
        TrustPolicy::parse(&text).map_err(|problems| Failure { exit: Exit::Failed, problems })?;
        Ok(text)
    }
}

/// The name of the public key that belongs to a private one: `.pub` appended.
fn public_path(private: &Path) -> PathBuf {
    with_suffix(private, ".pub")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
