//! Looks for secrets, markings and code in files while they stream by. Executes nothing, opens nothing.

mod inspect;

pub use inspect::{Inspect, Report, Subject};
