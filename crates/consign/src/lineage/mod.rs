//! What bundles derive from and what was made of them, as far as is known here.

pub mod diagram;
pub mod find;
pub mod graph;
pub mod view;
