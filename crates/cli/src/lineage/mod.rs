//! What bundles derive from and what was made of them, as far as is known here.

pub(crate) mod diagram;
#[allow(dead_code, reason = "these are the questions of `ledger find`")]
pub(crate) mod find;
pub(crate) mod graph;
pub(crate) mod tree;
pub(crate) mod view;
