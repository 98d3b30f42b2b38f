//! What differs between two manifests.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use crate::digest::Sha256Digest;
use crate::manifest::{FileEntry, FileMode, Manifest};

/// What differs between an old and a new manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ManifestDiff {
    /// Fields of the descriptor, in order.
    pub fields: Vec<FieldChange>,
    /// Files that only the new one has.
    pub added: Vec<FileChange>,
    /// Files that only the old one has.
    pub removed: Vec<FileChange>,
    /// Files that both have under other names: the content is the same.
    pub renamed: Vec<Renamed>,
    /// Files whose content, size or mode differs.
    pub changed: Vec<Changed>,
    /// Empty directories that only the new one has.
    pub directories_added: Vec<String>,
    /// Empty directories that only the old one has.
    pub directories_removed: Vec<String>,
}

/// A field that has another value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FieldChange {
    /// Its place, such as `contact.email`.
    pub field: String,
    /// The old value; absent if the field is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The new value; absent if the field is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// A file that one side has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A file under two names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Renamed {
    /// Its path in the old one.
    pub old: String,
    /// Its path in the new one.
    pub new: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Changed {
    /// Its path.
    pub path: String,
    /// Old size in bytes.
    pub old_size: u64,
    /// New size in bytes.
    pub new_size: u64,
    /// Whether the content differs.
    pub content: bool,
    /// The new mode, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<FileMode>,
}

/// Compares two manifests, whose lists are in order.
pub fn diff(old: &Manifest, new: &Manifest) -> ManifestDiff {
    let mut result = ManifestDiff { fields: fields(old, new), ..ManifestDiff::default() };
    let mut new_files = new.files().iter().peekable();
    let mut gone: BTreeMap<Sha256Digest, VecDeque<&FileEntry>> = BTreeMap::new();
    let mut come = Vec::new();
    for file in old.files() {
        come.extend(std::iter::from_fn(|| new_files.next_if(|other| other.path < file.path)));
        match new_files.next_if(|other| other.path == file.path) {
            None => gone.entry(file.sha256).or_default().push_back(file),
            Some(other) => result.changed.extend(changed(file, other)),
        }
    }
    for file in come.into_iter().chain(new_files) {
        let before = gone.get_mut(&file.sha256).filter(|_| file.size > 0).and_then(VecDeque::pop_front);
        let (path, size) = (file.path.to_string(), file.size);
        match before {
            Some(before) => result.renamed.push(Renamed { old: before.path.to_string(), new: path, size }),
            None => result.added.push(FileChange { path, size }),
        }
    }
    let mut removed: Vec<_> = gone.into_values().flatten().collect();
    removed.sort_by(|a, b| a.path.cmp(&b.path));
    result.removed =
        removed.into_iter().map(|file| FileChange { path: file.path.to_string(), size: file.size }).collect();
    let only = |a: &Manifest, b: &Manifest| {
        a.directories()
            .iter()
            .filter(|path| b.directories().binary_search(path).is_err())
            .map(ToString::to_string)
            .collect()
    };
    result.directories_added = only(new, old);
    result.directories_removed = only(old, new);
    result
}

fn changed(old: &FileEntry, new: &FileEntry) -> Option<Changed> {
    let content = old.sha256 != new.sha256 || old.size != new.size;
    let mode = (old.mode != new.mode).then_some(new.mode);
    (content || mode.is_some()).then(|| Changed {
        path: old.path.to_string(),
        old_size: old.size,
        new_size: new.size,
        content,
        mode,
    })
}

/// Everything of a manifest but its lists of files, with dotted names.
fn described(manifest: &Manifest) -> BTreeMap<String, Value> {
    let core = manifest.core();
    let document = serde_json::json!({
        "name": core.name, "version": core.version, "classification": core.classification,
        "contact": core.contact, "license": core.license, "parents": core.parents,
        "names": manifest.names(), "exclude": manifest.exclude(), "descriptor": manifest.descriptor(),
    });
    let mut fields = BTreeMap::new();
    flatten("", document, &mut fields);
    fields
}

fn flatten(prefix: &str, value: Value, fields: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                // The section is a matter of the document, not of what is said.
                let key = if prefix.is_empty() && key == "descriptor" { String::new() } else { key };
                let dot = if prefix.is_empty() || key.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, fields);
            }
        }
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        other => drop(fields.insert(prefix.to_owned(), other)),
    }
}

fn fields(old: &Manifest, new: &Manifest) -> Vec<FieldChange> {
    let (old, mut new) = (described(old), described(new));
    let mut changes = Vec::new();
    for (field, value) in old {
        let other = new.remove(&field);
        if other.as_ref() != Some(&value) {
            changes.push(FieldChange { field, old: Some(value), new: other });
        }
    }
    changes.extend(new.into_iter().map(|(field, value)| FieldChange { field, old: None, new: Some(value) }));
    changes.sort_by(|a, b| a.field.cmp(&b.field));
    changes
}

impl ManifestDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What differs, in one line for people.
    pub fn in_one_line(&self) -> String {
        let mut parts = Vec::new();
        let mut part = |names: Vec<String>, what: &str| {
            let shown = names.iter().take(3).map(|name| format!("`{}`", crate::printable(name)));
            let more = names.len().saturating_sub(3);
            if !names.is_empty() {
                let list = shown.collect::<Vec<_>>().join(", ");
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                parts.push(format!("{what} {list}{more}"));
            }
        };
        part(self.fields.iter().map(|change| change.field.clone()).collect(), "other values of");
        part(self.added.iter().map(|file| file.path.clone()).collect(), "added");
        part(self.removed.iter().map(|file| file.path.clone()).collect(), "removed");
        part(self.renamed.iter().map(|file| file.new.clone()).collect(), "renamed to");
        part(self.changed.iter().map(|file| file.path.clone()).collect(), "changed");
        part(self.directories_added.clone(), "added empty");
        part(self.directories_removed.clone(), "removed empty");
        if parts.is_empty() { "nothing".into() } else { parts.join("; ") }
    }
}
