//! The archive of a bundle: how it is laid out, packed, verified and unpacked.

mod bagit;
mod cutter;
mod encoder;
mod frame;
mod header;
mod layout;
pub mod limits;
mod sha256;
mod source;
mod tail;

pub use encoder::{Compression, EncodeError, EncoderId};
pub use frame::FrameFault;
pub use sha256::Sha256State;
pub use source::{
    Excluded, LinkPolicy, LinkTarget, ReadError, Source, SourceError, SourceFault, SourceOptions,
    SourceSummary, count_by_rule,
};
pub use tail::TailFault;
