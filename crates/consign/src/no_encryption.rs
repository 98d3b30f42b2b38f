//! What stands in for encryption in a build without it.

use std::path::Path;

use consign_bundle::Place;
use consign_metadata::{Core, Problem};
use consign_policy::{Called, Encryption, Policy};

use crate::bundle_set::BundleSet;
use crate::context::Context;
use crate::encrypted_set::{Ciphertext, EncryptedSet, sealed};
use crate::failure::Failure;
use crate::recipients::SaidRecipients;

/// No identity can be named.
#[derive(Clone, Debug, Default)]
pub struct IdentityArgs {}

impl IdentityArgs {
    pub fn is_given(&self) -> bool {
        false
    }

    pub fn open(&self, _: &Context, set: &EncryptedSet, _: &Ciphertext) -> Result<Opened, Failure> {
        Err(sealed(set.shown()))
    }
}

/// Nothing can be opened.
pub struct Opened {
    pub set: BundleSet,
    pub recipients: SaidRecipients,
}

/// Nobody can be encrypted to.
#[derive(Clone, Debug, Default)]
pub struct EncryptArgs {}

impl EncryptArgs {
    pub fn load(&self, _: &Policy, _: &Core) -> Result<Option<Sealing>, Failure> {
        Ok(None)
    }
}

/// What would be encrypted by a build that can: only the policy's own recipients are known here.
pub fn foreseen(values: &[String], policy: &Policy, core: &Core) -> Result<Encryption, Failure> {
    if values.is_empty() {
        return Ok(Encryption::Plain);
    }
    let level = policy.level(&core.classification);
    let also = level.into_iter().flat_map(|level| &level.also_encrypt_to).map(ToString::to_string);
    let keys = values.iter().cloned().chain(also).flat_map(|named| match policy.called(&named) {
        Called::Listed(known) => known.encrypt_to.iter().map(ToString::to_string).collect(),
        Called::Misspelt(_) | Called::Unlisted => vec![named],
    });
    Ok(Encryption::To(keys.collect()))
}

/// There is none.
pub enum Sealing {}

impl Sealing {
    pub fn encryption(&self) -> Encryption {
        match *self {}
    }

    pub fn place<'a>(&self, _: &'a Path) -> Place<'a> {
        match *self {}
    }
}

pub fn not_intact(_: &std::io::Error) -> Option<Problem> {
    None
}
