//! What each classification demands, and whether a bundle meets it: one decision with all its reasons.
//!
//! A [`Policy`] is data: levels in order and what each demands, whom bundles may go to, what a recipient accepts.
//! [`decide`] holds a [`Request`] against it and gives a [`Decision`]; only a decision without a refusal gives
//! the [`Permit`] that whoever acts on a bundle asks for.
//!
//! ```
//! use consign_metadata::{Descriptor, DescriptorSyntax};
//! use consign_policy::{Policy, Request, Scan, Stage, decide};
//!
//! let policy = Policy::builtin().unwrap();
//! let descriptor = Descriptor::parse(
//!     b"name: digits\nversion: 1.0.0\nkind: model\nclassification: restricted\n\
//!       contact: {name: Ada Lovelace, email: ada@example.org}\n",
//!     DescriptorSyntax::Yaml,
//!     &[],
//!     policy.scheme(),
//! )
//! .unwrap();
//! let content = policy.survey([("model.safetensors", 1 << 20)]);
//! let request = Request::new(Stage::Pack, &descriptor.core, Some(&descriptor.details), &content);
//! let decision = decide(&policy, &request);
//! // All reasons at once, each with what to do about it.
//! assert!(decision.refusals().iter().any(|reason| reason.rule() == "encryption"));
//! assert!(decision.permit().is_err());
//! ```
//!
//! Nothing here reads a file, a clock or the environment.

mod decide;
mod decision;
mod document;
mod fields;
mod level;
mod lineage;
mod parse;
mod parties;
mod people;
mod policy;
mod request;
mod retention;

pub use decide::decide;
pub use decision::{Decision, Permit, Reason, RuleName};
pub use document::{Action, Demand, FindingRule, Listing, PublicFact, SignatureRule};
pub use level::{Fields, Level};
pub use parse::PolicyError;
pub use policy::{
    Accept, Called, Category, Destination, LOG_DAYS, Marking, POLICY_BYTES_MAX, Policy, Recipient, Signer,
    SourceRule,
};
pub use request::{
    CountedSigner, Encryption, Parent, Request, Scan, Stage, Surveyed, Target, UncountedSigner,
};
pub use retention::days as retention_days;
