//! Identities as the command line names them, and what they open.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consign_bundle::ReadAt;
use consign_encryption::{DecryptError, DecryptedFile, Identities, decrypt};
use consign_metadata::Problem;
use consign_signing::{
    Attestations, PassphraseAnswer, SEALED_BYTES_MAX, Sealed, SignedEncrypted, read_private_key_file,
};

use crate::act::{Act, Action};
use crate::bundle_set::{BundleSet, too_many};
use crate::context::Context;
use crate::encrypted_set::{Ciphertext, EncryptedSet, sealed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::keys::{PassphraseArgs, prompt};
use crate::recipients::SaidRecipients;

/// What opens encrypted bundles.
#[derive(Clone, Debug, Default)]
pub struct IdentityArgs {
    /// The age identity file that opens an encrypted bundle; may be repeated
    pub identities: Vec<PathBuf>,
    /// Read the passphrase of the identity file from a file
    pub identity_passphrase_file: Option<PathBuf>,
}

/// An encrypted bundle that was opened. Nothing in it has been verified but the signatures, and that inside the same
/// people say the same as outside.
pub struct Opened {
    /// The bundle that is inside.
    pub set: BundleSet,
    /// Whom it is encrypted to, by the word of each who signed.
    pub recipients: SaidRecipients,
    /// The decrypted archive.
    pub content: Arc<DecryptedFile>,
}

impl IdentityArgs {
    /// Whether any was named.
    pub fn is_given(&self) -> bool {
        !self.identities.is_empty()
    }

    fn load(&self, context: &Context) -> Result<Identities, Failure> {
        let mut all: Option<Identities> = None;
        for path in &self.identities {
            let one = self.read(context, path)?;
            all = Some(match all {
                None => one,
                Some(before) => before.join(one),
            });
        }
        all.ok_or_else(|| Failure::usage(Problem::new("identity-needed", "needs `--identity FILE`")))
    }

    fn read(&self, context: &Context, path: &Path) -> Result<Identities, Failure> {
        let text = read_private_key_file(path).map_err(|error| Failure::failed(error.problem()))?;
        let mut ask = || -> PassphraseAnswer {
            if self.identity_passphrase_file.is_some() {
                let arguments = PassphraseArgs {
                    passphrase_file: self.identity_passphrase_file.clone(),
                    passphrase_fd: None,
                };
                return arguments.given().map_err(|failure| {
                    failure.problems.first().map_or_else(String::new, ToString::to_string).into()
                });
            }
            Ok(prompt(context, &format!("Passphrase for {}: ", path.display()))?)
        };
        Identities::parse(&text, &mut ask).map_err(|error| {
            let mut problem = error.problem();
            if problem.code == "passphrase-needed" {
                problem.hint =
                    Some("give it with `--identity-passphrase-file FILE`, or run on a terminal".into());
            }
            Failure::failed(problem.at(path.display().to_string()))
        })
    }

    /// Opens a bundle whose encrypted file is as it was signed. Statements that are sealed to others are left out, and
    /// that is noted: they do not count here, and whoever added one keeps nobody from opening the bundle.
    pub fn open(
        &self,
        context: &Context,
        set: &EncryptedSet,
        ciphertext: &Ciphertext,
    ) -> Result<Opened, Failure> {
        if !self.is_given() {
            return Err(sealed(set.shown()));
        }
        // Whoever reads what is encrypted is told of in the ledger, and so is whoever tried to.
        let act = |action| {
            let claim = ciphertext.claim();
            let act = Act::new(action).with("encrypted_sha256", claim.sha256.to_string());
            act.with("path", set.shown().display().to_string())
        };
        let opened = self.open_unseen(context, set, ciphertext);
        context.record(match &opened {
            Ok(opened) => {
                match opened.set.attestations.as_ref().map(|(_, found)| found.claims()).as_deref() {
                    Some([group]) => act(Action::Opened).bundle(&group.claim.bundle),
                    _ => act(Action::Opened),
                }
            }
            Err(Failure { exit, problems }) => act(Action::NotOpened).ended(*exit, problems),
        });
        opened
    }

    fn open_unseen(
        &self,
        context: &Context,
        set: &EncryptedSet,
        ciphertext: &Ciphertext,
    ) -> Result<Opened, Failure> {
        let identities = self.load(context)?;
        let Some((path, outer)) = &set.attestations else { return Err(sealed(set.shown())) };
        let mut inner: Option<Attestations> = None;
        let mut recipients = SaidRecipients::default();
        let mut for_others: Vec<(usize, &SignedEncrypted)> = Vec::new();
        for (number, signed) in (1..).zip(outer.statements()) {
            let Some(one) = unseal(signed, &identities, path, number)? else {
                for_others.push((number, signed));
                continue;
            };
            recipients.add(one.statement(), one.recipients().to_vec());
            match &mut inner {
                None => inner = Some(Attestations::new(one.statement().clone())),
                Some(inner) => {
                    inner.push(one.statement().clone()).map_err(|error| too_many(&error, path))?;
                }
            }
        }
        let Some(inner) = inner else {
            let first = for_others.first().map(|(number, _)| *number);
            return Err(failure(&DecryptError::NoIdentity, path, first));
        };
        for (number, signed) in for_others {
            let message = format!(
                "the signature by {} is sealed to others, and does not count here",
                signed.key().fingerprint()
            );
            let problem = Problem::new("sealed-to-others", message).at(path.display().to_string());
            let hint = "ask them to sign the bundle again, for those who can open it";
            context.note(Problem { line: Some(number), ..problem }.hint(hint));
        }
        let file =
            ciphertext.file.try_clone().map_err(|e| crate::context::unreadable(&ciphertext.path, &e))?;
        let content =
            DecryptedFile::open(file, identities).map_err(|error| failure(&error, &ciphertext.path, None))?;
        let content = Arc::new(content);
        let source: Arc<dyn ReadAt + Send> = Arc::new(Content(Arc::clone(&content)));
        let stem = ciphertext.claim().stem();
        let set = BundleSet::decrypted(ciphertext.path.clone(), (path.clone(), inner), source, stem);
        Ok(Opened { set, recipients, content })
    }
}

/// Opens what is sealed in a statement, and holds it against what stands outside. `None` if it is sealed to others.
fn unseal(
    signed: &SignedEncrypted,
    identities: &Identities,
    path: &Path,
    line: usize,
) -> Result<Option<Sealed>, Failure> {
    let failed = |error: DecryptError| failure(&error, path, Some(line));
    let mut plaintext = Vec::new();
    let reader = match decrypt(signed.statement().sealed.as_slice(), identities) {
        Err(DecryptError::NoIdentity) => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    // It is no longer than what it was decrypted from.
    let read = reader.take(SEALED_BYTES_MAX as u64).read_to_end(&mut plaintext);
    read.map_err(|error| failed(DecryptError::from_io(error).unwrap_or_else(DecryptError::Io)))?;
    signed.unseal(&plaintext).map(Some).map_err(|error| {
        Failure::new(Exit::NotIntact, error.problem().at(path.display().to_string()).line(line))
    })
}

/// What kept something from being decrypted. That it is for others says nothing about its state.
fn failure(error: &DecryptError, path: &Path, line: Option<usize>) -> Failure {
    let exit = match error {
        DecryptError::NoIdentity | DecryptError::Io(_) => Exit::Failed,
        _ => Exit::NotIntact,
    };
    let problem = error.problem().at(path.display().to_string());
    Failure::new(
        exit,
        match line {
            Some(line) => problem.line(line),
            None => problem,
        },
    )
}

/// What is wrong with an encrypted file, if that is what kept an archive from being read.
pub fn not_intact(error: &io::Error) -> Option<Problem> {
    error.get_ref()?.downcast_ref::<DecryptError>().map(DecryptError::problem)
}

/// The decrypted archive, as the reader of archives takes it.
struct Content(Arc<DecryptedFile>);

impl ReadAt for Content {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.size())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}
