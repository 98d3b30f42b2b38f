//! What several commands are told in the same words, and what the engine makes of it.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::path::PathBuf;

use consign::ledger::{EndOf, Month, PointInTime};
use consign::vouching::Expectation;
use consign_metadata::{Line, NameProfile, Role};
use consign_policy::RuleName;
use consign_signing::Timestamp;

/// Arguments that say something to the engine.
pub(crate) trait Spelt: clap::Args {
    /// What they say.
    type Engine;

    /// What they say.
    fn engine(self) -> Self::Engine;
}

/// What arguments said to the engine, once the command line was read.
#[derive(Clone, Debug)]
pub(crate) struct Given<S: Spelt>(S::Engine);

impl<S: Spelt> clap::FromArgMatches for Given<S> {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        S::from_arg_matches(matches).map(|said| Self(said.engine()))
    }

    fn from_arg_matches_mut(matches: &mut clap::ArgMatches) -> Result<Self, clap::Error> {
        S::from_arg_matches_mut(matches).map(|said| Self(said.engine()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<S: Spelt> clap::Args for Given<S> {
    fn augment_args(command: clap::Command) -> clap::Command {
        S::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        S::augment_args_for_update(command)
    }
}

impl<S: Spelt> Deref for Given<S> {
    type Target = S::Engine;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// What is to be packed, and how it is described.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SourceArgs {
    /// The directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The descriptor, if it is not `consign.yaml` (or .json, .toml) in the directory
    #[arg(long, value_name = "FILE", env = "CONSIGN_DESCRIPTOR", help_heading = "What is packed")]
    descriptor: Option<PathBuf>,
    /// The version, instead of the one in the descriptor
    #[arg(long, value_name = "VERSION", help_heading = "What is packed")]
    version: Option<String>,
    /// Set a field of the descriptor, such as `contact.email=ada@example.org`
    #[arg(long = "set", value_name = "FIELD=VALUE", help_heading = "What is packed")]
    set: Vec<String>,
    /// Leave out what matches, in addition to the descriptor's `exclude`
    #[arg(long, value_name = "GLOB", help_heading = "What is packed")]
    exclude: Vec<String>,
    /// Pack version-control folders such as `.git` like anything else
    #[arg(long, help_heading = "What is packed")]
    include_vcs: bool,
    /// Follow symbolic links that stay inside the directory
    #[arg(long, help_heading = "What is packed")]
    dereference: bool,
    /// Follow symbolic links into this directory too
    #[arg(long, value_name = "ROOT", help_heading = "What is packed")]
    dereference_into: Vec<PathBuf>,
    /// Which file names are admitted
    #[arg(
        long,
        value_enum,
        default_value = "portable",
        value_name = "PROFILE",
        help_heading = "What is packed"
    )]
    names: Names,
}

impl Spelt for SourceArgs {
    type Engine = consign::source_args::SourceArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine {
            directory: self.directory,
            descriptor: self.descriptor,
            version: self.version,
            set: self.set,
            exclude: self.exclude,
            include_vcs: self.include_vcs,
            dereference: self.dereference,
            dereference_into: self.dereference_into,
            names: self.names.into(),
        }
    }
}

/// What laboratories accept, as they publish it.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct LaboratoryArgs {
    /// What a laboratory accepts: the policy that it publishes, asked beside that of each recipient; may be repeated
    #[arg(long = "laboratory", value_name = "FILE", help_heading = "Policy options")]
    files: Vec<PathBuf>,
}

impl Spelt for LaboratoryArgs {
    type Engine = consign::addressing::LaboratoryArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { files: self.files }
    }
}

/// What is looked for.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ScanArgs {
    /// Findings that are allowed, each with a reason, which is signed
    #[arg(long, value_name = "FILE", env = "CONSIGN_FINDINGS_ALLOW", help_heading = "What is looked for")]
    findings_allow: Option<PathBuf>,
}

impl Spelt for ScanArgs {
    type Engine = consign::scan_args::ScanArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { findings_allow: self.findings_allow }
    }
}

/// Whose signatures count, and what was announced.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct VouchingArgs {
    /// A public key that must have signed; given several times, all of them
    #[arg(long = "key", value_name = "PUB", conflicts_with = "trust", help_heading = "Trust options")]
    keys: Vec<String>,
    #[command(flatten)]
    trust: TrustArgs,
}

impl Spelt for VouchingArgs {
    type Engine = consign::vouching::VouchingArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { keys: self.keys, trust: self.trust.engine() }
    }
}

/// The same where `--key` names a key that signs, so that only a trust policy says whose signatures count.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct TrustArgs {
    /// How many distinct keys must have signed
    #[arg(long, value_name = "N", help_heading = "Trust options")]
    threshold: Option<NonZeroU32>,
    /// The trust policy to use instead of the configured one
    #[arg(long, value_name = "FILE", env = "CONSIGN_TRUST", help_heading = "Trust options")]
    trust: Option<PathBuf>,
    /// What was announced: NAME@VERSION or the bundle id
    #[arg(long, value_name = "NAME@VERSION|ID", help_heading = "Trust options")]
    expect: Option<Expectation>,
    /// Ask as of this time, such as 2026-11-22T03:00:00Z: use trust as it stood then
    #[arg(long, value_name = "TIME", help_heading = "Trust options")]
    at: Option<Timestamp>,
    /// Revocations to honour: a file, or a folder with such files; may be repeated
    #[arg(long, value_name = "FILE|DIR", help_heading = "Trust options")]
    revocations: Vec<PathBuf>,
    /// Do not remember what was verified or revoked
    #[arg(long, help_heading = "Trust options")]
    no_remember: bool,
}

impl Spelt for TrustArgs {
    type Engine = consign::vouching::TrustArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine {
            threshold: self.threshold,
            trust: self.trust,
            expect: self.expect,
            at: self.at,
            revocations: self.revocations,
            no_remember: self.no_remember,
        }
    }
}

/// Whose receipts count.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ReceiptTrustArgs {
    /// The public key of a recipient whose receipts count; may be repeated
    #[arg(long = "key", value_name = "PUB", help_heading = "Trust options")]
    keys: Vec<String>,
    /// The trust policy to use instead of the configured one
    #[arg(
        long,
        value_name = "FILE",
        env = "CONSIGN_TRUST",
        conflicts_with = "keys",
        help_heading = "Trust options"
    )]
    trust: Option<PathBuf>,
    /// The role in which receipts count
    #[arg(
        long,
        value_name = "ROLE",
        default_value = consign_signing::RECIPIENT,
        help_heading = "Trust options"
    )]
    role: Role,
}

impl Spelt for ReceiptTrustArgs {
    type Engine = consign::receipts::ReceiptTrustArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { keys: self.keys, trust: self.trust, role: self.role }
    }
}

/// Where a passphrase comes from.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct PassphraseArgs {
    // The variable is no `env` of clap's: what it says would then conflict with flags, which it gives way to.
    /// Read the passphrase of the private key from a file [env: CONSIGN_PASSPHRASE_FILE=]
    #[arg(long, value_name = "FILE", help_heading = "Key options")]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase of the private key from an open file descriptor
    #[arg(long, value_name = "N", conflicts_with = "passphrase_file", help_heading = "Key options")]
    passphrase_fd: Option<u32>,
}

impl Spelt for PassphraseArgs {
    type Engine = consign::keys::PassphraseArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { passphrase_file: self.passphrase_file, passphrase_fd: self.passphrase_fd }
    }
}

/// Where events go: options of every command.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct LedgerArgs {
    /// The directory of the ledger, or `none` [default: `ledger` in consign's home]
    #[arg(
        long,
        global = true,
        env = "CONSIGN_LEDGER",
        value_name = "DIR|none",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    ledger: Option<PathBuf>,
    /// Write events to this file, or each into a file of its own in this folder, instead of the ledger; `consign
    /// ledger add` takes them in later
    #[arg(
        long,
        global = true,
        env = "CONSIGN_EVENT_OUT",
        value_name = "FILE|DIR",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    event_out: Option<PathBuf>,
    /// The key that signs the ledger, as `--key` names keys [default: one that is made in consign's home]
    #[arg(
        long,
        global = true,
        env = "CONSIGN_LEDGER_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    ledger_key: Option<OsString>,
}

impl Spelt for LedgerArgs {
    type Engine = consign::ledger::LedgerArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { ledger: self.ledger, event_out: self.event_out, ledger_key: self.ledger_key }
    }
}

/// Which events are meant: all that fit everything that is given.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Events of a bundle: NAME, NAME@VERSION, its id, or the digest of its archive
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<String>,
    /// Events of one kind, by their `event_type` or `action`, such as `submitted`
    #[arg(long, value_name = "KIND")]
    event: Vec<String>,
    /// Events of one user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Events to or from one recipient, by any name that the policy and trust have for them
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Events from this time or day on, such as 2026-11-01
    #[arg(long, value_name = "TIME|DAY")]
    since: Option<PointInTime>,
    /// Events up to this time or day; the whole day counts
    #[arg(long, value_name = "TIME|DAY")]
    until: Option<EndOf>,
    /// Events of one month, such as 2026-11
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["since", "until"])]
    month: Option<Month>,
}

impl Spelt for Filter {
    type Engine = consign::ledger::Filter;

    fn engine(self) -> Self::Engine {
        Self::Engine {
            bundle: self.bundle,
            event: self.event,
            user: self.user,
            to: self.to,
            since: self.since,
            until: self.until,
            month: self.month,
            spellings: Vec::new(),
        }
    }
}

#[cfg(feature = "encryption")]
/// Whom a new bundle is encrypted to.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct EncryptArgs {
    /// Encrypt the bundle to this recipient: a name in the policy, `age1…`, or a file of such; may be repeated
    ///
    /// Name everybody who is to open it: nobody can be added later. Nothing outside of the encryption then tells what the bundle is: the files are called by their digest.
    #[arg(long, value_name = "RECIPIENT", conflicts_with_all = ["resume", "unsigned"], help_heading = "Encryption options")]
    encrypt_to: Vec<String>,
}

#[cfg(feature = "encryption")]
impl Spelt for EncryptArgs {
    type Engine = consign::encryption::EncryptArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { encrypt_to: self.encrypt_to }
    }
}

#[cfg(feature = "encryption")]
/// What opens encrypted bundles.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct IdentityArgs {
    /// The age identity file that opens an encrypted bundle; may be repeated
    #[arg(
        long = "identity",
        value_name = "FILE",
        env = "CONSIGN_IDENTITY",
        help_heading = "Encryption options"
    )]
    identities: Vec<PathBuf>,
    /// Read the passphrase of the identity file from a file
    #[arg(
        long,
        value_name = "FILE",
        env = "CONSIGN_IDENTITY_PASSPHRASE_FILE",
        help_heading = "Encryption options"
    )]
    identity_passphrase_file: Option<PathBuf>,
}

#[cfg(feature = "encryption")]
impl Spelt for IdentityArgs {
    type Engine = consign::encryption::IdentityArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { identities: self.identities, identity_passphrase_file: self.identity_passphrase_file }
    }
}

/// Which store.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct StoreArgs {
    /// The store [default: `store` in consign's state]
    #[arg(long, value_name = "DIR", env = "CONSIGN_STORE")]
    store: Option<PathBuf>,
}

impl Spelt for StoreArgs {
    type Engine = consign::store_args::StoreArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { store: self.store }
    }
}

/// Whether what is made is kept in a store.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct KeepArgs {
    /// Keep what is made in the store too, so that it can be made again byte for byte
    ///
    /// The store is that of `CONSIGN_STORE`, or `store` in consign's state, unless a folder is named.
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    keep: Option<Option<PathBuf>>,
}

impl Spelt for KeepArgs {
    type Engine = consign::store_args::KeepArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { keep: self.keep }
    }
}

/// Whether to say where a bundle comes from, and how that is known.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ProvenanceArgs {
    /// Sign where the bundle comes from: `auto` asks Git and the pipeline, FILE is SLSA provenance v1 by another tool, `none` says nothing
    ///
    /// The statement lies beside the attestations as NAME-VERSION.provenance.intoto.jsonl. Nothing of it goes into the
    /// bundle.
    #[arg(
        long,
        value_name = "auto|FILE|none",
        env = "CONSIGN_PROVENANCE",
        default_value = "none",
        hide_default_value = true,
        help_heading = "Provenance options"
    )]
    provenance: PathBuf,
    /// A file that configured what made the content, to be named by its SHA-256; may be repeated
    #[arg(long = "config", value_name = "FILE", help_heading = "Provenance options")]
    configs: Vec<PathBuf>,
    /// The work tree of the code that made the content [default: DIR]
    #[arg(long, value_name = "FOLDER", help_heading = "Provenance options")]
    code: Option<PathBuf>,
}

impl Spelt for ProvenanceArgs {
    type Engine = consign::provenance::args::ProvenanceArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { provenance: self.provenance, configs: self.configs, code: self.code }
    }
}

/// Which handling policy is asked.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct PolicyArgs {
    /// The handling policy to use instead of the configured one
    #[arg(long, value_name = "FILE", env = "CONSIGN_POLICY", help_heading = "Policy options")]
    policy: Option<PathBuf>,
}

impl Spelt for PolicyArgs {
    type Engine = consign::handling::PolicyArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { policy: self.policy }
    }
}

/// Which bundles a bundle derives from, so that their classification is known.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ParentArgs {
    /// A bundle that this one derives from: its manifest or archive, unless it was made or verified with this home
    #[arg(long = "parent", value_name = "FILE", help_heading = "Policy options")]
    parents: Vec<PathBuf>,
}

impl Spelt for ParentArgs {
    type Engine = consign::handling::ParentArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine { parents: self.parents }
    }
}

/// On which terms a bundle is handed over.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct TermsArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Whom the bundle is for: the name of a recipient, as the policy has it; may be repeated
    #[arg(long = "for", value_name = "NAME", help_heading = "Policy options")]
    addressees: Vec<Line>,
    #[command(flatten)]
    laboratories: LaboratoryArgs,
    #[command(flatten)]
    parents: ParentArgs,
    /// Why it may be classified lower than what it derives from; it must be signed by the role that the policy names
    #[arg(long, value_name = "REASON", help_heading = "Policy options")]
    downgrade: Option<Line>,
    /// Set aside a rule of the policy that admits it; may be repeated, each with its `--reason`
    #[arg(long = "override", value_name = "RULE", requires = "reasons", help_heading = "Policy options")]
    overrides: Vec<RuleName>,
    /// Why the rule is set aside; it stands in the signed statement
    #[arg(long = "reason", value_name = "TEXT", requires = "overrides", help_heading = "Policy options")]
    reasons: Vec<Line>,
}

impl Spelt for TermsArgs {
    type Engine = consign::handling::TermsArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine {
            policy: self.policy.engine(),
            addressees: self.addressees,
            laboratories: self.laboratories.engine(),
            parents: self.parents.engine(),
            downgrade: self.downgrade,
            overrides: self.overrides,
            reasons: self.reasons,
        }
    }
}

/// Who signs.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct KeyArgs {
    /// The key to sign with: a private key in a file, `ssh-agent:FINGERPRINT`, a `pkcs11:` URI, or `exec:NAME`
    #[arg(
        long,
        value_name = "KEY",
        env = "CONSIGN_KEY",
        hide_env_values = true,
        required_unless_present = "unsigned",
        help_heading = "Key options"
    )]
    key: Option<OsString>,
    /// What to sign as
    #[arg(long, value_name = "ROLE", default_value = "owner", help_heading = "Key options")]
    role: Role,
    /// Do not sign: nobody will be able to tell where the bundle comes from
    #[arg(long, conflicts_with = "key", help_heading = "Key options")]
    unsigned: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl Spelt for KeyArgs {
    type Engine = consign::key_source::KeyArgs;

    fn engine(self) -> Self::Engine {
        Self::Engine {
            key: self.key,
            role: self.role,
            unsigned: self.unsigned,
            passphrase: self.passphrase.engine(),
        }
    }
}

/// Which names are admitted, as `--names` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Names {
    /// Names that every platform and every BagIt tool takes
    #[default]
    Portable,
    /// Also `:`, `%`, trailing dots and names that differ only in case
    Posix,
}

impl From<Names> for NameProfile {
    fn from(names: Names) -> Self {
        match names {
            Names::Portable => Self::Portable,
            Names::Posix => Self::Posix,
        }
    }
}

/// Nobody can be encrypted to, and nothing opened.
#[cfg(not(feature = "encryption"))]
mod without {
    use super::Spelt;

    /// No identity can be named.
    #[derive(clap::Args, Clone, Debug, Default)]
    pub(crate) struct IdentityArgs {}

    /// Nobody can be encrypted to.
    #[derive(clap::Args, Clone, Debug, Default)]
    pub(crate) struct EncryptArgs {}

    impl Spelt for IdentityArgs {
        type Engine = consign::encryption::IdentityArgs;

        fn engine(self) -> Self::Engine {
            Self::Engine {}
        }
    }

    impl Spelt for EncryptArgs {
        type Engine = consign::encryption::EncryptArgs;

        fn engine(self) -> Self::Engine {
            Self::Engine {}
        }
    }
}

#[cfg(not(feature = "encryption"))]
pub(crate) use without::{EncryptArgs, IdentityArgs};
