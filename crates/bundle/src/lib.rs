//! The archive of a bundle: how it is laid out, packed, verified and unpacked.

mod amend;
mod archive;
mod bagit;
mod budget;
mod check;
mod crew;
mod cutter;
mod directory;
mod encoder;
mod frame;
mod gear;
mod hash;
mod header;
mod lanes;
mod layout;
mod leftovers;
pub mod limits;
mod memory;
mod observer;
mod pack;
mod partial;
mod pipeline;
mod progress;
pub mod publish;
mod reuse;
mod sha256;
mod source;
#[doc(hidden)]
pub mod stages;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod unpack;
mod verify;
mod write_back;

pub use amend::{AmendError, Payload, amend, amended_manifest};
pub use archive::{Anchor, Archive, ArchiveError, ArchiveFacts, Expected, Fault, ReadAt};
pub use directory::{TreeComparison, TreeError, TreeFault, TreeLayout, compare_directory};
pub use encoder::{Compression, EncodeError, EncoderId};
pub use frame::FrameFault;
pub use hash::hash_source;
pub use leftovers::remove_leftovers;
pub use observer::{ContentObserver, FileObserver};
pub use pack::{Description, OpenLayer, PackError, PackOptions, PackedArchive, Place, pack};
pub use partial::Partial;
pub use pipeline::{Layer, Spared};
pub use progress::{Cancelled, Progress};
pub use reuse::Base;
pub use sha256::Sha256State;
pub use source::{
    Excluded, FindError, Finder, LinkPolicy, LinkTarget, ReadError, Source, SourceError, SourceFault,
    SourceModes, SourceOptions, SourceSummary, count_by_rule,
};
pub use store::{
    Collected, Deposited, RECIPE_BYTES_MAX, RebuildError, Recipe, SideFile, Store, StoreChecked, StoreError,
    StoreFault, StoredArchive, StoredFile, StoredPiece,
};
pub use tail::TailFault;
pub use unpack::{Readers, Selection, UnpackError, Unpacked, unpack, unpack_if};
pub use verify::{Scope, VerifiedArchive, verify};
