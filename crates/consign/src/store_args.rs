//! The store as the command line names it, and what goes wrong with one, in words.

use std::path::{Path, PathBuf};

use consign_bundle::{Anchor, Archive, Deposited, SideFile, Store, StoreError, StoreFault};
use consign_metadata::{Problem, Sha256Digest, shell_word};
use consign_policy::{Action as OnRule, Policy};
use consign_signing::{ATTESTATIONS_BYTES_MAX, Claim};

use crate::act::{Act, Action};
use crate::bundle_set::{BundleSet, Names, OTHERS, PROVENANCE};
use crate::checked::{archive_failure, archive_path, check_copy, expected, interrupted, sole_claim};
use crate::context::{Context, next_step, unreadable, unwritable};
use crate::encrypted_set::EncryptedSet;
use crate::exit::Exit;
use crate::failure::Failure;

/// Which store.
#[derive(Clone, Debug, Default)]
pub struct StoreArgs {
    /// The store [default: `store` in consign's state]
    pub store: Option<PathBuf>,
}

/// Whether what is made is kept in a store.
#[derive(Clone, Debug, Default)]
pub struct KeepArgs {
    /// Keep what is made in the store too, so that it can be made again byte for byte
    ///
    /// The store is that of `CONSIGN_STORE`, or `store` in consign's state, unless a folder is named.
    pub keep: Option<Option<PathBuf>>,
}

impl KeepArgs {
    /// Opens or makes the store, if anything is to be kept. What is not signed or encrypted cannot be.
    pub fn store(
        &self,
        context: &Context,
        unsigned: bool,
        encrypted: bool,
    ) -> Result<Option<Store>, Failure> {
        let Some(named) = &self.keep else { return Ok(None) };
        let why = if unsigned {
            "only what is signed is kept: the store holds it against the signature"
        } else if encrypted {
            "what is encrypted shares nothing with other versions: a store would save nothing"
        } else {
            ""
        };
        if !why.is_empty() {
            return Err(Failure::usage(
                Problem::new("cannot-keep", why).at("--keep").hint("leave out `--keep`"),
            ));
        }
        let store = named.clone().or(StoreArgs::configured().store);
        StoreArgs { store }.create(context).map(Some)
    }
}

impl StoreArgs {
    /// The store of the environment, where the command line has no `--store`.
    fn configured() -> Self {
        let named = crate::variables::get("CONSIGN_STORE");
        Self { store: named.map(PathBuf::from) }
    }

    /// The store, made if it is not there.
    pub fn create(&self, context: &Context) -> Result<Store, Failure> {
        let path = match &self.store {
            Some(path) => path.clone(),
            None => {
                let at = context.state().store().unwrap_or_default();
                context.state().make_store().map_err(|error| unwritable(&at, &error))?
            }
        };
        Store::create(&path).map_err(|error| store_failure(error, &path))
    }

    /// The store, which must be there.
    pub fn open(&self, context: &Context) -> Result<Store, Failure> {
        let path = self.path(context)?;
        Store::open(&path).map_err(|error| store_failure(error, &path))
    }

    /// The store, if there is one; one that is named must be there.
    pub fn find(&self, context: &Context) -> Result<Option<Store>, Failure> {
        match (&self.store, context.state().store()) {
            (None, None) => Ok(None),
            (None, Some(path)) if !path.exists() => Ok(None),
            _ => self.open(context).map(Some),
        }
    }

    fn path(&self, context: &Context) -> Result<PathBuf, Failure> {
        self.store.clone().or_else(|| context.state().store()).ok_or_else(|| {
            let problem = Problem::new("no-home", "there is no home directory to keep a store in");
            Failure::failed(problem.hint("name the store with `--store DIR`, or set `CONSIGN_HOME`"))
        })
    }
}

/// What kept something from being done with a store.
pub fn store_failure(error: StoreError, store: &Path) -> Failure {
    let at = store.display().to_string();
    match error {
        StoreError::Io { path, what, error } => {
            let mut problem = Problem::new("store-io", format!("{what}: {error}")).at(path.display().to_string());
            problem.hint = next_step(&error, if what == "cannot be read" { "read" } else { "write" });
            Failure::failed(problem)
        }
        StoreError::NotAStore(_) => {
            let problem = Problem::new("not-a-store", "is not a store").at(at);
            Failure::failed(problem.hint("`consign store add BUNDLE` makes one of a folder that is empty or not there yet"))
        }
        StoreError::OtherFormat(_) => {
            let problem = Problem::new("store-format", "is a store of another format than this version reads");
            Failure::failed(problem.at(at).hint("use the version of consign that made it"))
        }
        StoreError::NoLocks(_) => Failure::failed(Problem::new("no-locks", error.to_string()).at(at).hint(
            "move the store to a file system with locks, or remove what is not needed while nobody adds anything",
        )),
        StoreError::NoSuchArchive(_) => {
            let problem = Problem::new("not-in-store", error.to_string()).at(at);
            Failure::failed(problem.hint("`consign store list` shows what there is"))
        }
        StoreError::Fault(fault) => {
            let exit = match fault {
                StoreFault::ObjectMissing(_) => Exit::Failed,
                _ => Exit::NotIntact,
            };
            Failure::new(exit, fault_problem(&fault, store))
        }
        StoreError::Archive(error) => archive_failure(error, store),
        StoreError::Cancelled(_) => Failure::failed(interrupted()),
        other @ (StoreError::NotAnchored | StoreError::SideName(_)) => {
            Failure::failed(Problem::new("not-stored", other.to_string()).at(at))
        }
    }
}

/// Something in a store that is not as it must be, with the next step.
pub fn fault_problem(fault: &StoreFault, store: &Path) -> Problem {
    let problem = Problem::new(fault.code(), fault.to_string()).at(store.display().to_string());
    let object = |digest: &consign_metadata::Sha256Digest| {
        let hex = digest.hex();
        shell_word(&store.join("objects").join(&hex[..2]).join(hex).display().to_string())
    };
    match fault {
        StoreFault::ObjectAltered(digest) => problem.hint(format!(
            "remove it, and add a bundle that holds it again: rm -f {}; consign store add BUNDLE",
            object(digest)
        )),
        StoreFault::ObjectMissing(_) => {
            problem.hint("add a bundle that holds it again: consign store add BUNDLE")
        }
        StoreFault::Recipe { archive, .. } => {
            problem.hint(format!("remove it (consign store gc --remove {archive}), and add the bundle again"))
        }
        StoreFault::Foreign(_) => {
            problem.hint("move it elsewhere; consign does not touch what is not its own")
        }
    }
}

/// Refuses encrypted bundles: each time they are made they are others, down to the last byte, so that nothing is
/// shared between versions, and a store of the plain ones holds the same.
pub fn refuse_encrypted(named: &Path) -> Result<(), Failure> {
    if EncryptedSet::find(named)?.is_empty() {
        return Ok(());
    }
    let message =
        "is encrypted: what is encrypted shares nothing with other versions, so a store would save nothing";
    let problem = Problem::new("encrypted", message).at(named.display().to_string());
    Err(Failure::usage(
        problem
            .hint("keep the `.age` file and its statements as they were sent: nothing can make them again"),
    ))
}

/// Keeps what lies beside an archive now, if the archive itself is in the store: what was handed over is made again with
/// the signatures that it had then. That it could not be kept is a note.
pub fn refresh(context: &Context, set: &BundleSet, archive: &Sha256Digest) {
    let kept = match StoreArgs::configured().find(context) {
        Ok(Some(store)) if store.recipe(archive).is_ok() => put(context, &store, set).map(drop),
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    };
    for problem in kept.err().into_iter().flat_map(|failure| failure.problems) {
        let message = format!("the signatures could not be kept in the store: {}", problem.message);
        context.note(Problem { code: "not-stored", message, ..problem });
    }
}

/// Puts a bundle into a store, if the policy admits that it lies there in the clear. It must be what a valid signature
/// says; whether anybody trusts the signer is not asked.
///
/// # Errors
/// The policy refuses it, the bundle is not what was signed, or the store cannot be written.
pub fn deposit(
    context: &Context,
    store: &Store,
    set: &BundleSet,
    policy: &Policy,
) -> Result<Deposited, Failure> {
    if let Some(claim) = sole_claim(set)? {
        in_the_clear(context, set, claim, policy)?;
    }
    put(context, store, set)
}

/// Asks the policy whether a bundle may lie in a store as it is.
fn in_the_clear(context: &Context, set: &BundleSet, claim: &Claim, policy: &Policy) -> Result<(), Failure> {
    let at = set.archive.as_deref().map_or_else(String::new, |path| path.display().to_string());
    let at = format!("{at} (policy `{}`)", policy.name());
    let name = &claim.bundle.classification;
    let Some(level) = policy.level(name) else {
        let message =
            format!("the policy does not know the level `{name}`, so nothing of it is kept in the clear");
        let problem = Problem::new("policy-store", message).at(at);
        return Err(Failure::new(
            Exit::Refused,
            problem.hint("use a policy that knows the level: `--policy FILE`"),
        ));
    };
    let message =
        format!("what is classified `{name}` leaves only encrypted, and a store keeps it in the clear");
    let problem = Problem::new("policy-store", message).at(at);
    match level.plain_store {
        OnRule::Note => Ok(()),
        OnRule::Warn => {
            context.note(problem.hint("have the disk of the store encrypted, and keep it from others"));
            Ok(())
        }
        OnRule::Deny => Err(Failure::new(
            Exit::Refused,
            problem.hint("keep the encrypted files as they were sent, or have `plain_store` of the level changed by those who answer for it"),
        )),
    }
}

fn put(context: &Context, store: &Store, set: &BundleSet) -> Result<Deposited, Failure> {
    let path = archive_path(set)?;
    let Some(claim) = sole_claim(set)? else {
        let problem = Problem::new("unsigned", "there is no signature").at(path.display().to_string());
        let hint = "sign it first: consign sign BUNDLE --key FILE";
        return Err(Failure::new(Exit::NotTrusted, problem.hint(hint)));
    };
    let expected = expected(claim)?;
    let archive = Archive::open(set.open_archive(path)?, Anchor::Signed(&expected))
        .map_err(|error| archive_failure(error, path))?;
    if let Some(copy) = &set.manifest {
        check_copy(copy, expected.id)?;
    }
    let names = Names::of(&claim.bundle.name, &claim.bundle.version);
    let attestations = set.attestations.as_ref().map(|(_, found)| found.to_bytes()).unwrap_or_default();
    let mut files = vec![SideFile { name: names.attestations, bytes: attestations }];
    for ending in [PROVENANCE, OTHERS] {
        let name = format!("{}-{}{ending}", claim.bundle.name, claim.bundle.version);
        let beside = set.folder().map(|folder| folder.join(&name)).filter(|path| path.is_file());
        if let Some(path) = beside {
            files.push(SideFile { name, bytes: read_side(&path)? });
        }
    }
    let meter = context.meter("storing", expected.archive.size);
    let deposited = store.add(&archive, &files, &meter);
    drop(meter);
    let deposited = deposited.map_err(|error| match error {
        StoreError::Archive(error) => archive_failure(error, path),
        other => store_failure(other, store.path()),
    })?;
    if !deposited.unchanged {
        context.record(
            Act::new(Action::Stored)
                .bundle(&claim.bundle)
                .archive(expected.archive.sha256)
                .with("new_objects", deposited.new_objects)
                .with("new_bytes", deposited.new_bytes),
        );
    }
    Ok(deposited)
}

fn read_side(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = |file: std::fs::File| file.take(ATTESTATIONS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    crate::reading::open(path).and_then(read).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > ATTESTATIONS_BYTES_MAX {
        let problem = Problem::new("too-large", "is larger than a file of attestations may be");
        return Err(Failure::failed(problem.at(path.display().to_string())));
    }
    Ok(bytes)
}

/// What was kept, for the reports of the commands that keep what they make.
#[derive(Clone, Debug, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeptOut {
    /// The store.
    pub store: PathBuf,
    /// Bytes that it did not hold yet.
    pub new_bytes: u64,
}

/// Keeps a bundle that was made just now, by its archive.
pub fn keep(context: &Context, store: &Store, archive: &Path, policy: &Policy) -> Result<KeptOut, Failure> {
    let deposited = deposit(context, store, &BundleSet::find_one(archive)?, policy)?;
    Ok(KeptOut { store: store.path().into(), new_bytes: deposited.new_bytes })
}
