//! Encrypting a bundle: to whom, through which writer, and what is signed about the result.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use consign_bundle::{Layer, Place, Sha256State};
use consign_encryption::{Encryptor, RECIPIENTS_MAX, Recipient, encrypt, parse_recipients};
use consign_metadata::{Core, Line, Problem, Sha256Digest};
use consign_policy::{Called, Encryption, Policy, PublicFact};
use consign_signing::{
    EncryptedClaim, EncryptedStatement, PublicFacts, Sealed, SignedEncrypted, SignedStatement, Signer,
    SignerClaim,
};
use serde::Serialize;

use crate::context::{Context, unreadable};
use crate::failure::Failure;
use crate::recipients::Recipients;

/// Recipients that go by a name.
pub trait RecipientNames {
    /// The recipients of that name; `None` if nobody is called so.
    fn find(&self, name: &str) -> Option<Vec<Recipient>>;
}

/// Nobody goes by a name.
#[cfg(test)]
impl RecipientNames for () {
    fn find(&self, _: &str) -> Option<Vec<Recipient>> {
        None
    }
}

/// Those whom the policy knows, and has keys of. It has refused what is no key.
impl RecipientNames for Policy {
    fn find(&self, name: &str) -> Option<Vec<Recipient>> {
        let Called::Listed(known) = self.called(name) else { return None };
        if known.encrypt_to.is_empty() {
            return None;
        }
        known.encrypt_to.iter().map(|key| key.as_str().parse().ok()).collect()
    }
}

/// Whom a new bundle is encrypted to.
#[derive(Clone, Debug, Default)]
pub struct EncryptArgs {
    /// Encrypt the bundle to this recipient: a name in the policy, `age1…`, or a file of such; may be repeated
    ///
    /// Name everybody who is to open it: nobody can be added later. Nothing outside of the encryption then tells what the bundle is: the files are called by their digest.
    pub encrypt_to: Vec<String>,
}

impl EncryptArgs {
    /// Finds the recipients, if any are named, and those to whom the policy encrypts all of that level too.
    pub fn load(&self, policy: &Policy, core: &Core) -> Result<Option<Sealing>, Failure> {
        if self.encrypt_to.is_empty() {
            return Ok(None);
        }
        load_with_policy("--encrypt-to", &self.encrypt_to, policy, core).map(Some)
    }
}

/// How a bundle would be encrypted to recipients that are named as for packing.
pub fn foreseen(values: &[String], policy: &Policy, core: &Core) -> Result<Encryption, Failure> {
    if values.is_empty() {
        return Ok(Encryption::Plain);
    }
    load_with_policy("--encrypt-to", values, policy, core).map(|sealing| sealing.encryption())
}

/// A recipient, and how it was named.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Named {
    /// The file or name that stands for it; absent if it was given itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `age1…`
    #[serde(serialize_with = "as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub recipient: Recipient,
}

fn as_text<S: serde::Serializer>(recipient: &Recipient, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(recipient.as_str())
}

/// The recipients that an option names, and those to whom the policy encrypts all of that level too.
pub fn load_with_policy(
    option: &str,
    values: &[String],
    policy: &Policy,
    core: &Core,
) -> Result<Sealing, Failure> {
    let level = policy.level(&core.classification);
    let also = level.into_iter().flat_map(|level| &level.also_encrypt_to).map(ToString::to_string);
    let all: Vec<String> = values.iter().cloned().chain(also).collect();
    let is_public = |fact| level.is_some_and(|level| level.public.contains(&fact));
    let public = PublicFacts {
        name_and_version: is_public(PublicFact::Name),
        classification: is_public(PublicFact::Classification),
        addressees: is_public(PublicFact::Addressees),
    };
    let recipients = load_recipients(option, &all, policy)?;
    Ok(Sealing { recipients, public, written: Written::default() })
}

/// The recipients that the values of an option name: each is `age1…`, a name, or a file.
fn load_recipients(
    option: &str,
    values: &[String],
    names: &dyn RecipientNames,
) -> Result<Vec<Named>, Failure> {
    let mut all: Vec<Named> = Vec::new();
    for value in values {
        for named in load_one(option, value, names)? {
            if all.iter().all(|other| other.recipient != named.recipient) {
                all.push(named);
            }
        }
    }
    if all.len() > RECIPIENTS_MAX {
        let message =
            format!("there are {} recipients, where at most {RECIPIENTS_MAX} are allowed", all.len());
        let problem = Problem::new("too-many-recipients", message).at(option);
        return Err(Failure::usage(problem.hint("make an identity that they share, or several bundles")));
    }
    Ok(all)
}

fn load_one(option: &str, value: &str, names: &dyn RecipientNames) -> Result<Vec<Named>, Failure> {
    let label = |recipients: Vec<Recipient>| {
        recipients.into_iter().map(|recipient| Named { name: Some(value.to_owned()), recipient }).collect()
    };
    if let Some(found) = names.find(value) {
        return Ok(label(found));
    }
    let path = Path::new(value);
    // What looks like a key is one: no file can be taken for it, and no secret for a file name.
    let looks_like_a_key = ["age1", "age-secret-key-", "ssh-"]
        .iter()
        .any(|start| value.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)));
    if looks_like_a_key {
        let recipient =
            value.parse::<Recipient>().map_err(|error| Failure::usage(error.problem().at(option)))?;
        return Ok(vec![Named { name: None, recipient }]);
    }
    let text = crate::reading::read(path, crate::reading::TEXT_MAX).map_err(|error| {
        let mut failure = unreadable(path, &error);
        if error.kind() == io::ErrorKind::NotFound {
            failure.problems[0].hint =
                Some("a recipient is `age1…`, a file that holds such, or a name in the policy".into());
        }
        failure
    })?;
    parse_recipients(&text).map(label).map_err(|error| Failure::usage(error.problem().at(value.to_owned())))
}

/// How a bundle is to be encrypted.
pub struct Sealing {
    recipients: Vec<Named>,
    public: PublicFacts,
    written: Written,
}

/// Digest and size of the encrypted file, once it is whole.
type Written = Arc<Mutex<Option<(Sha256Digest, u64)>>>;

/// An encrypted file, in a report.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EncryptedOut {
    pub path: PathBuf,
    pub size: u64,
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
    /// Who can open it.
    pub recipients: Vec<Named>,
}

impl Sealing {
    /// What the policy is told of it.
    pub fn encryption(&self) -> Encryption {
        Encryption::To(self.recipients.iter().map(|named| named.recipient.to_string()).collect())
    }

    /// Who can open what is sealed here.
    pub fn recipients(&self) -> &[Named] {
        &self.recipients
    }

    fn keys(&self) -> Vec<Recipient> {
        self.recipients.iter().map(|named| named.recipient.clone()).collect()
    }

    /// Where an archive is packed so that nothing but its encryption reaches the disk.
    pub fn place<'a>(&self, directory: &'a Path) -> Place<'a> {
        let (keys, written) = (self.keys(), Arc::clone(&self.written));
        Place::Layered(directory, Box::new(move |file| Ok(Box::new(Encrypting::new(file, &keys, written)?))))
    }

    /// Encrypts to a file, from a reader that ends.
    pub fn write(&self, file: File, content: &mut dyn io::Read) -> io::Result<()> {
        let mut writer = Box::new(Encrypting::new(file, &self.keys(), Arc::clone(&self.written))?);
        io::copy(content, &mut writer)?;
        writer.finish()
    }

    /// What can be said in public of what was written, for the claim that is sealed.
    pub fn claim(&self, inner: &SignedStatement) -> Result<EncryptedClaim, Failure> {
        let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (sha256, size) = written.ok_or_else(|| {
            Failure::failed(Problem::new("cannot-encrypt", "the encrypted file was not finished"))
        })?;
        Ok(EncryptedClaim { sha256, size, public: self.public.of(&inner.statement().claim) })
    }

    /// Seals a statement, and signs the one around it.
    pub fn sign(
        &self,
        context: &Context,
        key: &dyn Signer,
        claim: EncryptedClaim,
        inner: SignedStatement,
    ) -> Result<SignedEncrypted, Failure> {
        let recipients = self.recipients.iter().map(|named| named.recipient.as_str().parse::<Line>());
        let recipients = recipients.collect::<Result<Vec<_>, _>>().map_err(|error| cannot(&error))?;
        seal(context, key, claim, inner, &Recipients::of_sender(recipients))
    }
}

/// The recipients that the values of an option name, and no others.
pub fn named_recipients(option: &str, values: &[String], policy: &Policy) -> Result<Vec<Line>, Failure> {
    let line = |named: &Named| named.recipient.as_str().parse().map_err(|error| cannot(&error));
    load_recipients(option, values, policy)?.iter().map(line).collect()
}

fn cannot(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(Problem::new("cannot-encrypt", error.to_string()))
}

/// Seals a statement to recipients, and signs the one around it.
pub fn seal(
    context: &Context,
    key: &dyn Signer,
    claim: EncryptedClaim,
    inner: SignedStatement,
    recipients: &Recipients,
) -> Result<SignedEncrypted, Failure> {
    let keys = recipients.lines().iter().map(|recipient| recipient.as_str().parse::<Recipient>());
    let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| Failure::failed(error.problem()))?;
    let signer = SignerClaim { time: context.now()?, ..inner.statement().signer.clone() };
    let plaintext =
        Sealed::new(inner, recipients.lines().to_vec()).map_err(|error| cannot(&error))?.to_bytes();
    let mut writer = encrypt(Vec::new(), &keys).map_err(|error| cannot(&error))?;
    let sealed =
        writer.write_all(&plaintext).and_then(|()| writer.finish()).map_err(|error| cannot(&error))?;
    SignedEncrypted::sign(key, &EncryptedStatement { claim, signer, sealed })
        .map_err(|error| Failure::failed(Problem::new("cannot-sign", error.to_string())))
}

/// Encrypts what is written through it, and hashes what comes out.
struct Encrypting {
    stream: Encryptor<Hashed>,
    written: Written,
}

impl Encrypting {
    fn new(file: File, recipients: &[Recipient], written: Written) -> io::Result<Self> {
        let hashed = Hashed { file, state: Sha256State::initial() };
        let stream = encrypt(hashed, recipients).map_err(|error| match error {
            consign_encryption::EncryptError::Io(error) => error,
            other => io::Error::other(other),
        })?;
        Ok(Self { stream, written })
    }
}

impl Write for Encrypting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Layer for Encrypting {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let Hashed { state, .. } = self.stream.finish()?;
        let size = state.length();
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some((state.finish(), size));
        Ok(())
    }
}

/// A file whose digest is known when it is written.
struct Hashed {
    file: File,
    state: Sha256State,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.state.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use consign_encryption::Identities;

    use super::*;

    struct Table(Recipient);

    impl RecipientNames for Table {
        fn find(&self, name: &str) -> Option<Vec<Recipient>> {
            (name == "CERN").then(|| vec![self.0.clone()])
        }
    }

    #[test]
    fn recipients_are_found_by_key_name_and_file_and_each_but_once() {
        let [by_name, by_file, by_key] = [(); 3].map(|()| Identities::generate().recipients().remove(0));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.pub").display().to_string();
        std::fs::write(&file, format!("# both\n{by_file}\n{by_name}\n")).unwrap();
        let values = ["CERN".to_owned(), file.clone(), by_key.to_string(), by_key.to_string()];
        let found = load_recipients("--to", &values, &Table(by_name.clone())).unwrap();
        let found: Vec<_> = found.into_iter().map(|named| (named.name, named.recipient)).collect();
        assert_eq!(found, [(Some("CERN".into()), by_name), (Some(file), by_file), (None, by_key)]);
        let nobody = load_recipients("--to", &["CERN".into()], &()).unwrap_err();
        assert!(nobody.problems[0].hint.as_ref().unwrap().contains("a name in the policy"));
    }
}
