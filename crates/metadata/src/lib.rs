//! What a bundle says about itself: descriptor, manifest, names, digests.
//!
//! Types without input or output: parsing and serialising of text that the caller has read. Values of these
//! types hold what their documentation promises; text that does not fit is refused, never mended.

mod canonical;
mod classification;
mod descriptor;
mod digest;
mod entry_path;
pub mod limits;
mod manifest;

mod problem;
mod text;
mod unicode;

pub use canonical::{CanonicalError, to_canonical_vec, write_canonical};
pub use classification::Scheme;
pub use descriptor::{Contact, Core};
pub use digest::{BundleId, DigestError, Sha256Digest, to_hex};
pub use entry_path::{EntryKind, EntryPath, NameFault, NameProfile, NameRule, NameSet};
pub use manifest::{
    DescriptorSection, FORMAT, FileEntry, FileMode, Manifest, ManifestEntry, ManifestError, ManifestParts,
    manifest_schema,
};
pub use problem::{Problem, did_you_mean};
pub use text::{
    BundleName, BundleVersion, Classification, Email, LINE_MAX, Line, PARAGRAPH_MAX, Paragraph, Role,
    TextError, suggest_name,
};
pub use unicode::printable;
