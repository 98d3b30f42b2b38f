//! What the engine does: one file for each thing that can be asked of it.

pub mod verify;
