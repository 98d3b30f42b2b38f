//! Where a bundle comes from: what is captured when it is made, signed beside its attestations, and read again.
//! `docs/provenance.md` says what stands where.

pub mod args;
mod capture;
pub mod facts;
pub mod file;

/// `buildType` of what consign captures itself: `docs/provenance.md` documents its parameters.
pub const BUILD_TYPE: &str = "https://consign.dev/build-types/pack/v1";
/// What `builder.id` begins with: the system that consign ran in follows, or `local`.
const BUILDERS: &str = "https://consign.dev/builders/";
/// What the URI of a bundle begins with; its id follows.
const BUNDLE: &str = "consign:";
