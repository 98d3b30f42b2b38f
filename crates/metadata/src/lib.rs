//! What a bundle says about itself: descriptor, manifest, names, digests.
//!
//! Types without input or output: parsing and serialising of text that the caller has read. Values of these
//! types hold what their documentation promises; text that does not fit is refused, never mended.

mod canonical;
mod card;
mod classification;
mod decimal;
mod decode;
mod descriptor;
mod diff;
mod digest;
mod draft;
mod entry_path;
mod findings;
mod format;
mod joiners;
pub mod limits;
mod literal;
mod manifest;
pub mod pattern;
mod problem;
mod shell;
mod strict_toml;
mod text;
mod text_problems;
mod time;
mod tracking;
mod tree;
mod unicode;
mod uri;

pub use canonical::{CanonicalError, to_canonical_vec, write_canonical};
pub use card::{CARD_BYTES_MAX, CARD_SECTION_MAX, Card, CardMeasurement, CardSection};
pub use classification::Scheme;
pub use decimal::{DECIMAL_MAX, Decimal};
pub use descriptor::{
    Access, COUNT_MAX, Code, ConfigurationFile, Contact, Core, Count, Data, DataTable, Descriptor,
    DescriptorSyntax, Details, DetailsSchema, Edit, Encryption, Evaluation, ExcludePattern, Handling, Kind,
    ModelCard, PARAMETER_DEPTH_MAX, Parameter, ParameterText, Pipeline, Provenance, Source, Training,
    Transformation, Variable, descriptor_schema,
};
pub use diff::{Changed, FieldChange, FileChange, ManifestDiff, Renamed, diff};
pub use digest::{BundleId, DigestError, Sha256Digest, to_hex};
pub use draft::{Differing, Draft, DraftContact, Merged, ProposedExclude};
pub use entry_path::{EntryPath, NameFault, NameProfile, NameRule, NameSet};
pub use findings::{
    AllowedFinding, EXAMPLES_MAX, Finding, FindingPlace, Findings, FindingsBuilder, FormatCount, Found,
    FoundIn, ModelFacts, RuleId,
};
pub use format::{FileFormat, SNIFF_BYTES, sniff};
pub use literal::{StaticLine, StaticRuleId};
pub use manifest::{
    DescriptorSection, FORMAT, FileEntry, FileMode, Manifest, ManifestEntry, ManifestError, ManifestParts,
    manifest_schema,
};
pub use problem::{Problem, did_you_mean};
pub use shell::shell_word;
pub use strict_toml::{TomlFormat, TomlReader, TomlTable, TomlValue};
pub use text::{
    BundleName, BundleVersion, Classification, Email, LINE_MAX, Line, PARAGRAPH_MAX, Paragraph, Role,
    TextError, suggest_name,
};
pub use text_problems::TextProblems;
pub use time::{Date, Timestamp};
pub use tracking::{DVC_BYTES_MAX, DvcOutput, Files, Tracked, dvc_outputs, tracked};
pub use unicode::{is_printable, printable};
pub use uri::{CommitId, Repository, URI_MAX, Uri};
