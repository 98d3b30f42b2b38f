//! What a policy is asked about.

use std::fmt;

use consign_metadata::{BundleId, Classification, Core, Details, Findings, Line, Role};
use consign_signing::{Downgrade, Override, PublicKey};

use crate::policy::Destination;

/// The step that is about to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Asking, before anything is packed, what a recipient's policy would say.
    Preflight,
    /// Making and signing a bundle, or sealing a directory.
    Pack,
    /// Adding a signature.
    Sign,
    /// Encrypting a bundle.
    Encrypt,
    /// Handing a bundle over.
    Submit,
    /// Checking a bundle.
    Verify,
    /// Accepting a bundle.
    Receive,
    /// Taking the content out of a bundle.
    Unpack,
}

impl Stage {
    /// Whether the step is the sender's. A sender knows the parents and decides where a bundle goes; a recipient
    /// knows who signed.
    pub fn is_senders(self) -> bool {
        matches!(self, Self::Pack | Self::Sign | Self::Encrypt | Self::Submit)
    }

    /// Whether those who read what is said have the bundle before them, and not the directory that it is made of.
    pub fn is_recipients(self) -> bool {
        matches!(self, Self::Verify | Self::Receive | Self::Unpack)
    }

    /// Whether signatures may still come.
    pub fn signatures_may_come(self) -> bool {
        matches!(self, Self::Preflight | Self::Pack | Self::Sign | Self::Encrypt)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Pack => "pack",
            Self::Sign => "sign",
            Self::Encrypt => "encrypt",
            Self::Submit => "submit",
            Self::Verify => "verify",
            Self::Receive => "receive",
            Self::Unpack => "unpack",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a bundle is, or will be, encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// It is not.
    Plain,
    /// To these keys, as age writes them (`age1…`).
    To(Vec<String>),
    /// It is; to whom cannot be seen.
    Encrypted,
    /// It does not matter at this step: whoever verifies or unpacks has the content before them.
    NotAsked,
}

/// Where a bundle is to go.
#[derive(Clone, Debug)]
pub enum Target<'a> {
    /// A destination of the policy.
    Listed(&'a Destination),
    /// A folder that the policy does not list.
    Unlisted(&'a str),
}

/// What is known of a scan of the content.
#[derive(Clone, Copy, Debug)]
pub enum Scan<'a> {
    /// The content is still to be read; what findings would do is not asked yet.
    NotYet,
    /// Nobody has looked.
    Missing,
    /// What was found.
    Done(&'a Findings),
}

impl<'a> From<Option<&'a Findings>> for Scan<'a> {
    fn from(findings: Option<&'a Findings>) -> Self {
        findings.map_or(Self::Missing, Self::Done)
    }
}

/// A signature that counts, as trust has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedSigner {
    /// The key.
    pub public_key: PublicKey,
    /// The role that it states and has.
    pub role: Role,
    /// Who holds the key, if that is known.
    pub owner: Option<Line>,
    /// What trust calls the key, if it is listed there.
    pub name: Option<Line>,
}

/// A signature that is valid and does not count, as trust has it: what may be missing where one is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncountedSigner {
    /// The key.
    pub public_key: PublicKey,
    /// The role that it states.
    pub role: Role,
    /// What trust calls the key, if it is listed there.
    pub name: Option<Line>,
    /// Why it does not count.
    pub reason: String,
}

/// A bundle that this one derives from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub id: BundleId,
    /// How it is classified, if that is known.
    pub classification: Option<Classification>,
}

/// What is known of the content without looking into the files. [`Policy::survey`](crate::Policy::survey) makes
/// it, since what is worth knowing depends on the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surveyed {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) largest: Option<(String, u64)>,
    pub(crate) longest: Option<String>,
    /// For each category of the policy, the first file that belongs to it by its name.
    pub(crate) categories: Vec<Option<String>>,
}

/// What a policy is asked about. What is not known stays as [`Request::new`] makes it, which is never what a
/// policy likes best.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The step.
    pub stage: Stage,
    /// The frozen core of the descriptor.
    pub core: &'a Core,
    /// The rest of the descriptor; absent if it is of a newer schema.
    pub details: Option<&'a Details>,
    /// Names and sizes of the files.
    pub content: &'a Surveyed,
    /// What a scan of the content found.
    pub findings: Scan<'a>,
    /// The signatures that count; absent where nobody has asked trust.
    pub signers: Option<&'a [CountedSigner]>,
    /// The signatures that do not count.
    pub uncounted: &'a [UncountedSigner],
    /// Whom it is addressed to.
    pub addressees: &'a [Line],
    /// How it is encrypted.
    pub encryption: Encryption,
    /// Where it is to go.
    pub target: Option<Target<'a>>,
    /// What it derives from.
    pub parents: &'a [Parent],
    /// Downgrades that the statement states.
    pub downgrades: &'a [Downgrade],
    /// Rules that are set aside.
    pub overrides: &'a [Override],
}

impl<'a> Request<'a> {
    /// A request that says no more than what is packed.
    pub fn new(stage: Stage, core: &'a Core, details: Option<&'a Details>, content: &'a Surveyed) -> Self {
        Self {
            stage,
            core,
            details,
            content,
            findings: Scan::Missing,
            signers: None,
            uncounted: &[],
            addressees: &[],
            encryption: match stage {
                Stage::Verify | Stage::Unpack | Stage::Sign => Encryption::NotAsked,
                _ => Encryption::Plain,
            },
            target: None,
            parents: &[],
            downgrades: &[],
            overrides: &[],
        }
    }
}
