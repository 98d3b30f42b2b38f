//! Looks for secrets, markings and code in files while they stream by. Executes nothing, opens nothing.

mod inflate;
mod inspect;
mod members;
mod model;
mod zip;

pub use inspect::{Inspect, Report, Subject};
pub use members::{Member, MemberFactory, Nesting};
pub use model::{ModelMembers, model_inspector};
