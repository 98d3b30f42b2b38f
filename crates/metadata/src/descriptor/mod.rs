//! What the owner says about a bundle.

mod core;

pub use core::{Contact, Core};
