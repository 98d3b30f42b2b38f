//! What the counting of signatures sees of a signed statement, whatever it is about.

use consign_metadata::BundleName;

use crate::encrypted::{EncryptedClaim, SignedEncrypted};
use crate::envelope::SignedStatement;
use crate::revocation::Revocation;
use crate::statement::{Claim, SignerClaim};

/// A statement whose signature holds. [`evaluate`](crate::evaluate) counts those that make one and the same claim.
///
/// Only types of this crate implement it: each of them is proof of a valid signature.
pub trait Attested: proof::OfSignature {
    /// What signers must agree on, to the last field.
    type Claim: Clone + PartialEq;

    /// What is said.
    fn claim(&self) -> &Self::Claim;

    /// Who says it, as what, and when. The signature was checked under the key that is named here.
    fn signer(&self) -> &SignerClaim;

    /// The name of the bundle, for rules that go by it. `None` if it stands inside of what is encrypted: then every
    /// rule must be met, and imported trust acts only if it may act for bundles of every name.
    fn bundle_name(claim: &Self::Claim) -> Option<&BundleName>;

    /// Whether a revocation takes back what is claimed. What is encrypted cannot be told from outside: whoever opens
    /// it asks again.
    fn is_revoked_by(claim: &Self::Claim, revocation: &Revocation) -> bool;
}

mod proof {
    /// Nobody else can name this.
    pub trait OfSignature {}
    impl OfSignature for super::SignedStatement {}
    impl OfSignature for super::SignedEncrypted {}
}

impl Attested for SignedStatement {
    type Claim = Claim;

    fn claim(&self) -> &Claim {
        &self.statement().claim
    }

    fn signer(&self) -> &SignerClaim {
        &self.statement().signer
    }

    fn bundle_name(claim: &Claim) -> Option<&BundleName> {
        Some(&claim.bundle.name)
    }

    fn is_revoked_by(claim: &Claim, revocation: &Revocation) -> bool {
        revocation.is_about(claim)
    }
}

impl Attested for SignedEncrypted {
    type Claim = EncryptedClaim;

    fn claim(&self) -> &EncryptedClaim {
        &self.statement().claim
    }

    fn signer(&self) -> &SignerClaim {
        &self.statement().signer
    }

    fn bundle_name(claim: &EncryptedClaim) -> Option<&BundleName> {
        claim.public.bundle.as_ref().map(|bundle| &bundle.name)
    }

    fn is_revoked_by(_: &EncryptedClaim, _: &Revocation) -> bool {
        false
    }
}
