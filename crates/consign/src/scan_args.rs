//! What is looked for in the content while it is packed or sealed, and what was found, in words.

use std::path::PathBuf;

use consign_bundle::{ContentObserver, Description, FileObserver};
use consign_metadata::{EntryPath, Finding, FindingPlace, Line, Manifest, Problem, RuleId};
use consign_policy::Policy;
use consign_scan::{
    ALLOW_LIST_BYTES_MAX, AllowList, BundleScan, FileScan, Marking, ScanOptions, Scanned, Scanner,
};
use serde::Serialize;
use serde_json::Value;

use crate::context::unreadable;
use crate::exit::Exit;
use crate::failure::Failure;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct ScanArgs {
    /// Findings that are allowed, each with a reason, which is signed
    pub findings_allow: Option<PathBuf>,
}

impl ScanArgs {
    /// Reads the allow-list and begins to collect, also the markings that policies name.
    pub fn begin<'p>(&self, policies: impl IntoIterator<Item = &'p Policy>) -> Result<ScanObserver, Failure> {
        let named = policies.into_iter().flat_map(Policy::markings);
        let markings = named.map(|marking| Marking { word: marking.word.clone() }).collect();
        let options = ScanOptions { allow: self.allow_list()?, markings, ..ScanOptions::default() };
        Ok(ScanObserver(BundleScan::new(Scanner::new(options))))
    }

    fn allow_list(&self) -> Result<AllowList, Failure> {
        let Some(path) = &self.findings_allow else { return Ok(AllowList::default()) };
        let at = path.display().to_string();
        let wrong = |problem: Problem| Failure::usage(problem.at(at.clone()));
        let large = std::fs::metadata(path).is_ok_and(|m| m.len() > ALLOW_LIST_BYTES_MAX as u64);
        if large {
            let message = format!("the file is larger than {ALLOW_LIST_BYTES_MAX} bytes");
            return Err(wrong(Problem::new("allow-too-large", message)));
        }
        let text =
            crate::reading::read(path, crate::reading::TEXT_MAX).map_err(|error| unreadable(path, &error))?;
        let text =
            String::from_utf8(text).map_err(|_| wrong(Problem::new("allow-syntax", "is not UTF-8")))?;
        AllowList::parse(&text).map_err(|problems| Failure {
            exit: Exit::Usage,
            problems: problems.into_iter().map(|problem| problem.at(at.clone())).collect(),
        })
    }
}

/// Shows the content to the scanner.
pub struct ScanObserver(BundleScan);

impl ContentObserver for ScanObserver {
    fn file(&self, path: &EntryPath, size: u64) -> Box<dyn FileObserver + '_> {
        Box::new(Observed { scan: &self.0, file: self.0.file(path, size) })
    }
}

struct Observed<'a> {
    scan: &'a BundleScan,
    file: FileScan,
}

impl FileObserver for Observed<'_> {
    fn update(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
    }

    fn finish(self: Box<Self>) {
        self.scan.add(self.file.finish());
    }
}

impl ScanObserver {
    /// What is found in a descriptor alone, where no content goes by.
    pub fn finish_descriptor(self, description: &Description) -> Scanned {
        self.descriptor(description);
        self.0.finish_part()
    }

    /// Everything that was found, once the content has gone by: also what the descriptor says and how empty
    /// directories are called.
    ///
    /// # Errors
    /// The allow-list speaks of other files.
    pub fn finish(self, description: &Description, manifest: &Manifest) -> Result<Scanned, Failure> {
        self.descriptor(description);
        manifest.directories().iter().for_each(|path| self.0.directory(path));
        let scanned = self.0.finish(manifest.files().iter().map(|file| (&file.path, file.sha256)));
        match scanned.mistaken.is_empty() {
            true => Ok(scanned),
            false => Err(Failure { exit: Exit::Usage, problems: scanned.mistaken }),
        }
    }

    fn descriptor(&self, description: &Description) {
        let mut texts = Vec::new();
        for value in [serde_json::to_value(&description.core).ok(), Some(description.descriptor.to_value())] {
            flatten(String::new(), &value.unwrap_or_default(), &mut texts);
        }
        self.0.descriptor(texts.iter().map(|(field, text)| (field.as_str(), text.as_str())));
    }
}

/// All texts of a document, with where they stand.
fn flatten(at: String, value: &Value, texts: &mut Vec<(String, String)>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match value {
        Value::String(text) => texts.push((at, text.clone())),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| flatten(below(&(n + 1).to_string()), item, texts));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| flatten(below(name), member, texts));
        }
        _ => {}
    }
}

/// What is said where a statement that is there has other findings than this scan.
pub const OTHER_FINDINGS: &str =
    "what was signed has other findings than this scan: the allow-list or the scanner is another";

/// An entry of the allow-list that let nothing pass.
pub fn unused_in_words(problem: &Problem) -> String {
    let line = problem.line.map_or_else(String::new, |line| format!(", line {line}"));
    format!("allow-list{line}: {}", problem.message)
}

/// A finding in full, for programs.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FindingOut {
    pub rule: RuleId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<EntryPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Line>,
}

impl FindingOut {
    /// All findings of a scan.
    pub fn all(places: Vec<Finding>) -> Vec<Self> {
        let out = |Finding { rule, place }| {
            let FindingPlace { path, member, line, excerpt } = place;
            Self { rule, path, member, line, excerpt }
        };
        places.into_iter().map(out).collect()
    }
}
