//! What bundles derive from and what was made of them, as far as is known here.

pub(crate) mod diagram;
pub(crate) mod find;
pub(crate) mod graph;
pub(crate) mod tree;
pub(crate) mod view;
