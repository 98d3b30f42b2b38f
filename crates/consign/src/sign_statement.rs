//! The signature of a key over a claim, made here and now.

use consign_metadata::{Problem, Role};
use consign_policy::Permit;
use consign_signing::{
    Basis, Claim, Environment, SignError, SignedStatement, Signer, SignerClaim, Statement,
};

use crate::context::Context;
use crate::environment::capture;
use crate::failure::Failure;

/// Signs a claim in a role, which a policy permits. Where it is `remembered`, the key is this user's own from now on.
pub fn sign_statement(
    context: &Context,
    key: &dyn Signer,
    claim: Claim,
    role: &Role,
    basis: Basis,
    permit: &Permit,
    remembered: bool,
) -> Result<SignedStatement, Failure> {
    let signer =
        SignerClaim { public_key: *key.public_key(), role: role.clone(), basis, time: context.now()? };
    let environment = Environment { policy: Some(permit.policy()), ..capture() };
    let statement = Statement { claim, signer, environment, ledger: crate::ledger::state(context) };
    let signed = SignedStatement::sign(key, &statement).map_err(|error| {
        let mut problem = Problem::new("cannot-sign", error.to_string());
        if let SignError::Signer(error) = &error {
            problem.hint = error.hint().map(str::to_owned);
        }
        Failure::failed(problem)
    })?;
    if remembered {
        // Where it cannot be, trust has to list the key.
        let _ = context.state().keep_own_key(key.public_key(), role, statement.signer.time);
    }
    Ok(signed)
}
