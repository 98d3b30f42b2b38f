//! Content that is not there: pointers in place of data, shards that are missing, downloads that were cut short.
//!
//! What a file shows by its own name and bytes is found while it streams by; what only the list of all names can show
//! is found at the end ([`missing`](names::missing)). `docs/findings.md` lists the rules.

mod index;
mod names;
mod pointer;

use consign_metadata::{EntryPath, FindingPlace, NameProfile, StaticRuleId, dvc_outputs};

use crate::inspect::{Need, Report, Subject};
use crate::model::{Notes, shown};

pub(crate) use self::names::{FileNames, missing};

/// The rules of this part of the scanner.
pub(crate) mod rule {
    use consign_metadata::{StaticRuleId, literal};

    pub(crate) const LFS: StaticRuleId = literal!(StaticRuleId, "incomplete/lfs-pointer");
    pub(crate) const DVC: StaticRuleId = literal!(StaticRuleId, "incomplete/dvc-pointer");
    pub(crate) const LINK: StaticRuleId = literal!(StaticRuleId, "incomplete/link");
    pub(crate) const SHARD: StaticRuleId = literal!(StaticRuleId, "incomplete/missing-shard");
    pub(crate) const DOWNLOAD: StaticRuleId = literal!(StaticRuleId, "incomplete/download");
}

/// Longest index of shards that is read.
const INDEX_MAX: usize = 16 << 20;

/// Looks whether a file of the bundle is all that it stands for.
#[derive(Debug)]
pub(crate) struct Incomplete {
    notes: Notes,
    path: EntryPath,
    kind: Kind,
    /// What has come, as long as it may be of that kind.
    bytes: Vec<u8>,
    seen: u64,
}

/// What a file may be, by its name and first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Which shards a model has.
    Index,
    /// A file of DVC.
    Dvc,
    /// Anything short, which may be a pointer.
    Short,
}

impl Kind {
    fn of(path: &EntryPath) -> Self {
        let name = path.file_name().to_ascii_lowercase();
        // `model.safetensors.index.json`, and of a variant `model.safetensors.index.fp16.json`.
        if name.ends_with(".json") && name.contains(".index.") {
            Self::Index
        } else if name == "dvc.lock" || name.len() > 4 && name.ends_with(".dvc") {
            Self::Dvc
        } else {
            Self::Short
        }
    }

    /// So many bytes are kept.
    fn longest(self) -> usize {
        match self {
            Self::Index => INDEX_MAX,
            Self::Dvc => consign_metadata::DVC_BYTES_MAX,
            Self::Short => pointer::LONGEST,
        }
    }
}

impl Incomplete {
    pub(crate) fn new(path: &EntryPath) -> Self {
        let notes = Notes::new(&Subject { path: Some(path.clone()), member: None });
        Self { notes, path: path.clone(), kind: Kind::of(path), bytes: Vec::new(), seen: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let before = self.seen;
        self.seen += bytes.len() as u64;
        if self.seen > self.kind.longest() as u64 {
            self.bytes = Vec::new();
            return;
        }
        // Hardly any file is a pointer, and its first byte says that.
        let first = if before == 0 { bytes.first() } else { self.bytes.first() };
        if self.kind != Kind::Short || first.is_some_and(|first| pointer::may_begin(*first)) {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn finish(mut self, report: &mut Report) {
        if let Some(why) = names::unfinished(self.path.as_str(), self.seen) {
            self.notes.add(report, rule::DOWNLOAD, why);
        }
        let too_long = self.seen > self.kind.longest() as u64;
        let bytes = std::mem::take(&mut self.bytes);
        if let Some((rule, words)) = pointer::read(&bytes) {
            return self.notes.add(report, rule, &words);
        }
        match self.kind {
            Kind::Short => {}
            Kind::Index if too_long => {
                self.notes.add(report, rule::SHARD, "is too long to be looked into for what it names");
            }
            Kind::Dvc if too_long => self.notes.add(report, rule::DVC, UNREADABLE),
            Kind::Index => self.index(&bytes, report),
            Kind::Dvc => self.dvc(&bytes, report),
        }
    }

    fn index(&mut self, bytes: &[u8], report: &mut Report) {
        match index::shards(bytes) {
            Ok(shards) => shards.iter().for_each(|shard| self.need(rule::SHARD, shard, 1, report)),
            Err(index::Unreadable) => {
                self.notes.add(
                    report,
                    rule::SHARD,
                    "is not the JSON that its name says, so that nobody knows its shards",
                );
            }
        }
    }

    fn dvc(&mut self, bytes: &[u8], report: &mut Report) {
        let outputs = std::str::from_utf8(bytes).ok().and_then(dvc_outputs);
        let Some(outputs) = outputs else { return self.notes.add(report, rule::DVC, UNREADABLE) };
        for output in outputs {
            self.need(rule::DVC, &output.path, output.files.unwrap_or(1), report);
        }
    }

    /// What is named must be in the bundle: a file, or a folder of at least so many files.
    fn need(&mut self, rule: StaticRuleId, named: &str, files: u64, report: &mut Report) {
        match beside(&self.path, named) {
            // An empty folder may be missing.
            Some(_) if files == 0 => {}
            Some(path) => report.needs.push(Need { rule, path, files }),
            None => self.notes.add(report, rule, &format!("{named} is outside the bundle")),
        }
    }
}

const UNREADABLE: &str = "cannot be read, so that nobody knows what it stands for";

/// The path that a file names, relative to its own folder; `None` if it leads out of the bundle.
fn beside(file: &EntryPath, named: &str) -> Option<EntryPath> {
    if named.is_empty() || named.starts_with('/') || named.contains("://") {
        return None;
    }
    let mut parts: Vec<&str> = file.components().collect();
    parts.pop();
    for part in named.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    EntryPath::parse(&parts.join("/"), NameProfile::Posix).ok()
}

/// Where a finding about a whole file stands.
fn place(path: EntryPath, words: &str) -> FindingPlace {
    FindingPlace { path: Some(path), member: None, line: None, excerpt: crate::model::line_of(words) }
}
