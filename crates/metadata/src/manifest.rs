//! The manifest: what is in a bundle, and what its owner says about it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::canonical::{CanonicalError, check_canonical, to_canonical_vec};
use crate::descriptor::{Contact, Core, Details, DetailsSchema};
use crate::digest::{BundleId, Sha256Digest};
use crate::entry_path::{EntryPath, NameFault, NameProfile, NameSet};
use crate::limits::{DESCRIPTOR_BYTES_MAX, ENTRIES_MAX, JSON_DEPTH_MAX, LIST_MAX, MANIFEST_BYTES_MAX};
use crate::text::{BundleName, BundleVersion, Classification, Line};

/// The format that this crate reads and writes.
pub const FORMAT: u32 = 1;

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path below the payload.
    pub path: EntryPath,
    /// Size in bytes.
    pub size: u64,
    /// Whether it may be executed: the only part of its permissions that is kept.
    pub mode: FileMode,
    /// SHA-256 of its content.
    pub sha256: Sha256Digest,
}

/// Permissions of a file: 0644 or 0755, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum FileMode {
    /// Read and write for the owner, read for others.
    #[serde(rename = "0644")]
    Regular,
    /// The same, and executable for all.
    #[serde(rename = "0755")]
    Executable,
}

impl FileMode {
    /// The permission bits.
    pub fn bits(self) -> u32 {
        match self {
            Self::Regular => 0o644,
            Self::Executable => 0o755,
        }
    }
}

/// Everything of a descriptor that is not in the frozen core, with its schema number.
///
/// A number newer than this reader knows is not an error here: integrity can be decided without it. Whether a
/// bundle that cannot be understood may be taken is for policy to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DescriptorSection(Section);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Section {
    Known(Box<Details>),
    Newer(Value),
}

impl From<Details> for DescriptorSection {
    fn from(details: Details) -> Self {
        Self(Section::Known(Box::new(details)))
    }
}

impl DescriptorSection {
    /// A section from its JSON value: an object whose member `schema` is a number from 1 up, without numbers
    /// that are not integers, not too deep. If the schema is known, it must hold to it.
    ///
    /// # Errors
    /// Other values.
    pub fn new(value: Value) -> Result<Self, ManifestError> {
        limit("the depth of the descriptor", depth(&value) as u64, JSON_DEPTH_MAX as u64)?;
        if holds_float(&value) {
            let message = "`descriptor` holds a number that is not an integer; measured values are text";
            return Err(ManifestError::Descriptor(message.into()));
        }
        match value.get("schema").and_then(Value::as_u64) {
            Some(schema) if schema == u64::from(DetailsSchema::NUMBER) => {
                serde_json::from_value::<Details>(value)
                    .map(Self::from)
                    .map_err(|error| ManifestError::Descriptor(format!("`descriptor`: {error}")))
            }
            Some(schema) if schema > 0 => Ok(Self(Section::Newer(value))),
            _ => Err(ManifestError::Descriptor("`descriptor.schema` is not a number from 1 up".into())),
        }
    }

    /// The same from its text. Values without a type take many times the memory of their text, so its length
    /// is bounded before one is built.
    fn parse(text: &RawValue) -> Result<Self, ManifestError> {
        limit("the length of the descriptor", text.get().len() as u64, DESCRIPTOR_BYTES_MAX)?;
        let value = serde_json::from_str(text.get())
            .map_err(|error| ManifestError::Descriptor(format!("`descriptor`: {error}")))?;
        Self::new(value)
    }

    /// The schema number.
    pub fn schema(&self) -> u64 {
        match &self.0 {
            Section::Known(_) => DetailsSchema::NUMBER.into(),
            Section::Newer(value) => value.get("schema").and_then(Value::as_u64).unwrap_or_default(),
        }
    }

    /// What it says, if its schema is known to this version of consign.
    pub fn details(&self) -> Option<&Details> {
        match &self.0 {
            Section::Known(details) => Some(details),
            Section::Newer(_) => None,
        }
    }

    /// The section as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A manifest that holds every rule of format 1: names, order, limits, canonical form.
///
/// There are two ways to one: [`Manifest::new`] from parts, and [`Manifest::parse`] from bytes. Both check the
/// same rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    parts: ManifestParts,
    payload_bytes: u64,
}

/// What a manifest is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestParts {
    /// The frozen core of the descriptor.
    pub core: Core,
    /// Which names are admitted.
    pub names: NameProfile,
    /// Patterns of what was left out.
    pub exclude: Vec<Line>,
    /// The rest of the descriptor.
    pub descriptor: DescriptorSection,
    /// Empty directories, in bytewise order.
    pub directories: Vec<EntryPath>,
    /// Files, in bytewise order.
    pub files: Vec<FileEntry>,
}

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Made by a newer version.
    #[error("format {0} is newer than this version of consign reads (format {FORMAT})")]
    NewerFormat(u64),
    /// The bytes do not begin as a manifest does.
    #[error("is not a manifest: it does not begin with its format number")]
    NoFormat,
    /// Not JSON of the right shape, or not in canonical form.
    #[error(transparent)]
    Json(#[from] CanonicalError),
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// The descriptor section cannot be read.
    #[error("{0}")]
    Descriptor(String),
    /// A number is beyond its limit.
    #[error("{what} is {value}, more than the limit of {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// What it came to.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// There is nothing in it.
    #[error("lists no file; a bundle holds at least one")]
    Empty,
}

/// The members in the order in which they stand in the document.
#[derive(Serialize)]
struct WireOut<'a> {
    format: u32,
    name: &'a BundleName,
    version: &'a BundleVersion,
    classification: &'a Classification,
    contact: &'a Contact,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<&'a Line>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    parents: &'a [BundleId],
    names: NameProfile,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    exclude: &'a [Line],
    descriptor: &'a DescriptorSection,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    directories: &'a [EntryPath],
    files: &'a [FileEntry],
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Manifest", description = "The manifest of a consign bundle, format 1.")]
struct WireIn<'a> {
    /// Always 1.
    format: u32,
    name: BundleName,
    version: BundleVersion,
    classification: Classification,
    contact: Contact,
    #[serde(default)]
    license: Option<Line>,
    #[serde(default, deserialize_with = "at_most::<_, _, LIST_MAX>")]
    parents: Vec<BundleId>,
    names: NameProfile,
    #[serde(default, deserialize_with = "at_most::<_, _, LIST_MAX>")]
    exclude: Vec<Line>,
    /// Everything else that the descriptor says; its member `schema` tells which version of the descriptor.
    #[schemars(with = "Details")]
    #[serde(borrow)]
    descriptor: &'a RawValue,
    #[serde(default, deserialize_with = "at_most::<_, _, ENTRIES_MAX>")]
    directories: Vec<EntryPath>,
    #[serde(deserialize_with = "at_most::<_, _, ENTRIES_MAX>")]
    files: Vec<FileEntry>,
}

impl Manifest {
    /// Checks the parts against every rule and joins them.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(parts: ManifestParts) -> Result<Self, ManifestError> {
        let entries = parts.files.len() + parts.directories.len();
        limit("the number of entries", entries as u64, ENTRIES_MAX as u64)?;
        if parts.files.is_empty() {
            return Err(ManifestError::Empty);
        }
        let mut payload_bytes = 0u64;
        let mut names = NameSet::new(parts.names);
        for entry in merged(&parts.files, &parts.directories) {
            names.insert(entry.path())?;
            let size = entry.file().map_or(0, |file| file.size);
            payload_bytes = payload_bytes.saturating_add(size);
        }
        limit("the size of the payload", payload_bytes, i64::MAX as u64 / 2)?;
        Ok(Self { parts, payload_bytes })
    }

    /// Reads a manifest: canonical JSON, format 1, every rule held.
    ///
    /// # Errors
    /// The first rule that is broken, with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        limit("the manifest's size in bytes", bytes.len() as u64, MANIFEST_BYTES_MAX)?;
        match leading_format(bytes) {
            Some(1) => {}
            Some(0) => return Err(ManifestError::NoFormat),
            Some(newer) => return Err(ManifestError::NewerFormat(newer)),
            None => return Err(ManifestError::NoFormat),
        }
        let wire: WireIn = serde_json::from_slice(bytes)
            .map_err(|e| CanonicalError::Malformed { line: e.line(), message: e.to_string() })?;
        if wire.format != FORMAT {
            return Err(ManifestError::NoFormat);
        }
        let parts = ManifestParts {
            core: Core {
                name: wire.name,
                version: wire.version,
                classification: wire.classification,
                contact: wire.contact,
                license: wire.license,
                parents: wire.parents,
            },
            names: wire.names,
            exclude: wire.exclude,
            descriptor: DescriptorSection::parse(wire.descriptor)?,
            directories: wire.directories,
            files: wire.files,
        };
        let manifest = Self::new(parts)?;
        check_canonical(&manifest.wire(), bytes)?;
        Ok(manifest)
    }

    /// The manifest's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical_vec(&self.wire())
    }

    /// The bundle id that belongs to `bytes` of a manifest.
    pub fn id_of(bytes: &[u8]) -> BundleId {
        BundleId(Sha256Digest::of(bytes))
    }

    fn wire(&self) -> WireOut<'_> {
        let ManifestParts { core, names, exclude, descriptor, directories, files } = &self.parts;
        WireOut {
            format: FORMAT,
            name: &core.name,
            version: &core.version,
            classification: &core.classification,
            contact: &core.contact,
            license: core.license.as_ref(),
            parents: &core.parents,
            names: *names,
            exclude,
            descriptor,
            directories,
            files,
        }
    }

    /// The frozen core of the descriptor.
    pub fn core(&self) -> &Core {
        &self.parts.core
    }

    /// Which names are admitted.
    pub fn names(&self) -> NameProfile {
        self.parts.names
    }

    /// Patterns of what was left out when the bundle was packed.
    pub fn exclude(&self) -> &[Line] {
        &self.parts.exclude
    }

    /// The rest of the descriptor.
    pub fn descriptor(&self) -> &DescriptorSection {
        &self.parts.descriptor
    }

    /// Files, in bytewise order of their paths.
    pub fn files(&self) -> &[FileEntry] {
        &self.parts.files
    }

    /// Empty directories, in bytewise order.
    pub fn directories(&self) -> &[EntryPath] {
        &self.parts.directories
    }

    /// Files and empty directories together, in bytewise order.
    pub fn entries(&self) -> impl Iterator<Item = ManifestEntry<'_>> {
        merged(&self.parts.files, &self.parts.directories)
    }

    /// The file of that path.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        let found = self.parts.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.parts.files.get(found)
    }

    /// Sum of the sizes of all files, in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}

/// One line of the payload: a file or an empty directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestEntry<'a> {
    /// A file.
    File(&'a FileEntry),
    /// An empty directory.
    Directory(&'a EntryPath),
}

impl<'a> ManifestEntry<'a> {
    /// Its path.
    pub fn path(&self) -> &'a EntryPath {
        match self {
            Self::File(file) => &file.path,
            Self::Directory(path) => path,
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&'a FileEntry> {
        match self {
            Self::File(file) => Some(file),
            Self::Directory(_) => None,
        }
    }
}

/// A list of at most `MAX` elements: what is more is refused before it is held.
fn at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = elements.next_element()? {
                if list.len() == MAX {
                    return Err(serde::de::Error::custom(format!("the list has more than {MAX} elements")));
                }
                list.push(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// Merges the two lists by path. If they are not sorted, neither is what comes out.
fn merged<'a>(
    files: &'a [FileEntry],
    directories: &'a [EntryPath],
) -> impl Iterator<Item = ManifestEntry<'a>> {
    let mut files = files.iter().peekable();
    let mut directories = directories.iter().peekable();
    std::iter::from_fn(move || match (files.peek(), directories.peek()) {
        (Some(file), Some(directory)) if file.path > **directory => {
            directories.next().map(ManifestEntry::Directory)
        }
        (Some(_), _) => files.next().map(ManifestEntry::File),
        (None, _) => directories.next().map(ManifestEntry::Directory),
    })
}

fn limit(what: &'static str, value: u64, limit: u64) -> Result<(), ManifestError> {
    if value > limit { Err(ManifestError::Limit { what, value, limit }) } else { Ok(()) }
}

/// The number after `{\n  "format": `, the fixed beginning of every manifest of every format, so that a newer
/// one is told apart before anything else is read.
fn leading_format(bytes: &[u8]) -> Option<u64> {
    let rest = bytes.strip_prefix(b"{\n  \"format\": ")?;
    let digits = rest.iter().take(11).take_while(|b| b.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    matches!(rest.get(digits), Some(b',' | b'\n')).then_some(number)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn holds_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(holds_float),
        Value::Object(members) => members.values().any(holds_float),
        _ => false,
    }
}

/// The JSON Schema of a manifest with descriptor schema 1.
pub fn manifest_schema() -> Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut value = generator.into_root_schema_for::<WireIn>().to_value();
    if let Some(members) = value.as_object_mut() {
        members.insert("title".into(), "consign manifest, format 1".into());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = |path: &str, size| FileEntry {
            path: path.parse().expect("a good path"),
            size,
            mode: FileMode::Regular,
            sha256: Sha256Digest::of(path.as_bytes()),
        };
        Manifest::new(ManifestParts {
            core: Core {
                name: "tiny".parse().expect("a name"),
                version: "1.0.0".parse().expect("a version"),
                classification: "public".parse().expect("a level"),
                contact: Contact {
                    name: "Ada".parse().expect("a line"),
                    email: "ada@example.org".parse().expect("an address"),
                    organization: None,
                    role: None,
                },
                license: None,
                parents: vec![],
            },
            names: NameProfile::Portable,
            exclude: vec![],
            descriptor: DescriptorSection::new(serde_json::json!({"schema": 1, "kind": "dataset"}))
                .expect("a section"),
            directories: vec!["empty".parse().expect("a good path")],
            files: vec![file("a.csv", 3), file("z/b.csv", 4)],
        })
        .expect("a good manifest")
    }

    fn text() -> String {
        String::from_utf8(manifest().to_bytes()).expect("JSON is UTF-8")
    }

    #[test]
    fn it_reads_what_it_writes() {
        let manifest = manifest();
        assert_eq!(Manifest::parse(&manifest.to_bytes()), Ok(manifest.clone()));
        assert_eq!(manifest.payload_bytes(), 7);
        let order: Vec<_> = manifest.entries().map(|entry| entry.path().as_str().to_owned()).collect();
        assert_eq!(order, ["a.csv", "empty", "z/b.csv"]);
        assert_eq!(manifest.file("z/b.csv").map(|file| file.size), Some(4));
    }

    #[test]
    fn each_fault_is_refused() {
        let good = text();
        let bad = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            Manifest::parse(good.replacen(from, to, 1).as_bytes())
        };
        assert_eq!(bad("\"format\": 1", "\"format\": 2"), Err(ManifestError::NewerFormat(2)));
        assert_eq!(bad("{\n", "{"), Err(ManifestError::NoFormat));
        assert_eq!(bad("\"format\": 1", "\"format\": 0"), Err(ManifestError::NoFormat));
        assert!(matches!(bad("a.csv", "../x"), Err(ManifestError::Json(_))));
        assert!(matches!(bad("a.csv", "zz.csv"), Err(ManifestError::Name(_))));
        assert!(matches!(bad("a.csv", "a:csv"), Err(ManifestError::Name(_))));
        assert!(matches!(bad("\"size\":3", "\"size\":03"), Err(ManifestError::Json(_))));
        assert!(matches!(bad("\"size\":3", "\"size\":3.0"), Err(ManifestError::Json(_))));
        assert!(matches!(bad("\"size\":3", "\"size\":-3"), Err(ManifestError::Json(_))));
        assert!(matches!(bad("\"size\":3", "\"size\":18446744073709551616"), Err(ManifestError::Json(_))));
        assert!(matches!(
            bad("\"size\":3", "\"size\":18446744073709551615"),
            Err(ManifestError::Limit { .. })
        ));
        assert!(matches!(bad("\"0644\"", "\"4755\""), Err(ManifestError::Json(_))));
        assert!(matches!(bad("\"path\"", "\"Path\""), Err(ManifestError::Json(_))));
        assert!(matches!(bad("\"names\"", "\"extra\": 1,\n  \"names\""), Err(ManifestError::Json(_))));
        assert!(matches!(bad("\"schema\": 1", "\"schema\": 0"), Err(ManifestError::Descriptor(_))));
        assert!(matches!(bad("\"kind\": \"dataset\"", "\"x\": 1.5"), Err(ManifestError::Descriptor(_))));
        assert!(matches!(bad("\"kind\": \"dataset\"", "\"x\": 1"), Err(ManifestError::Descriptor(_))));
        assert!(matches!(
            bad("\"kind\": \"dataset\"", "\"kind\": \"dataset\",\n    \"kind\": \"dataset\""),
            Err(ManifestError::Json(CanonicalError::NotCanonical { .. }))
        ));
        assert!(matches!(
            Manifest::parse(format!("{good} ").as_bytes()),
            Err(ManifestError::Json(CanonicalError::NotCanonical { .. }))
        ));
    }

    #[test]
    fn what_would_take_too_much_memory_is_refused_by_its_length() {
        let long = format!("\"kind\": [{}]", vec!["[]"; 2 << 20].join(","));
        let bomb =
            text().replacen("\"kind\": \"dataset\"", &long, 1).replacen("\"schema\": 1", "\"schema\": 2", 1);
        assert!(matches!(Manifest::parse(bomb.as_bytes()), Err(ManifestError::Limit { .. })));
        let many = vec!["\"x\""; LIST_MAX + 1].join(",");
        let many = text().replacen("\"descriptor\"", &format!("\"exclude\": [{many}], \"descriptor\""), 1);
        let error = Manifest::parse(many.as_bytes()).expect_err("too many");
        assert!(error.to_string().contains("more than 10000 elements"), "{error}");
    }

    #[test]
    fn a_newer_descriptor_leaves_the_manifest_readable() {
        let newer = text().replacen("\"schema\": 1", "\"schema\": 2", 1).replacen("\"kind\"", "\"zebra\"", 1);
        let manifest =
            Manifest::parse(newer.as_bytes()).expect("integrity does not depend on the descriptor");
        assert_eq!(manifest.descriptor().schema(), 2);
    }
}
