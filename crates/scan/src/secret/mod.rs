//! What opens a door: keys, tokens, passwords.
//!
//! A few literals, searched for all at once, say where to look; what follows them decides.

mod assignment;
pub(crate) mod credential_file;
pub(crate) mod der;
mod engine;
pub(crate) mod escapes;
mod given;
mod literals;
mod mask;
mod plausible;
mod tokens;

pub use given::secret_in;

pub(crate) use engine::{AHEAD, BEHIND, Context, Engine, Match, rule};
