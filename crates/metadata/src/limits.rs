//! Every numeric limit of format 1, in one place. `docs/format.md` quotes these numbers.

/// Longest path of an entry below `data/`, in bytes of UTF-8.
pub const PATH_BYTES_MAX: usize = 2048;
/// Longest single component of a path, in bytes (what common file systems take).
pub const COMPONENT_BYTES_MAX: usize = 255;
/// Most components in a path.
pub const PATH_DEPTH_MAX: usize = 100;
/// Most files and empty directories in one bundle.
pub const ENTRIES_MAX: usize = 16_000_000;
/// Largest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 2 << 30;
/// Deepest nesting of JSON in any document (serde_json's own bound is 128).
pub const JSON_DEPTH_MAX: usize = 64;
/// Largest descriptor file, in bytes.
pub const DESCRIPTOR_BYTES_MAX: u64 = 4 << 20;
/// Most exclude patterns, and most parents, in one manifest.
pub const LIST_MAX: usize = 10_000;
