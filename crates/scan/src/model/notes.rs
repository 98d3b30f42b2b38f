//! How inspectors of models write down what they find: each thing once, and not without end.

use std::collections::BTreeSet;

use consign_metadata::{Line, RuleId, printable};

use crate::inspect::{Report, Subject};

/// Most findings of one inspector in one file.
const FINDINGS_MAX: usize = 2000;
/// Most characters of an excerpt.
const EXCERPT_MAX: usize = 160;

/// The rules of this part of the scanner; `docs/findings.md` says what each means.
pub(crate) mod rule {
    pub(crate) const PICKLE: &str = "code/pickle";
    pub(crate) const PICKLE_DANGEROUS: &str = "code/pickle-dangerous";
    pub(crate) const PICKLE_UNKNOWN: &str = "code/pickle-unknown-import";
    pub(crate) const KERAS_LAMBDA: &str = "code/keras-lambda";
    pub(crate) const KERAS_CUSTOM: &str = "code/keras-custom";
    pub(crate) const ONNX_CUSTOM: &str = "code/onnx-custom-op";
    pub(crate) const PYTHON: &str = "code/python";
    pub(crate) const NATIVE: &str = "code/native";
    pub(crate) const CHAT_TEMPLATE: &str = "code/chat-template";
    pub(crate) const REMOTE_CODE: &str = "code/remote-code";
    pub(crate) const BAD_PICKLE: &str = "malformed/pickle";
    pub(crate) const BAD_NPY: &str = "malformed/npy";
    pub(crate) const BAD_KERAS: &str = "malformed/keras";
    pub(crate) const BAD_CONFIG: &str = "malformed/model-config";
    pub(crate) const BAD_ONNX: &str = "malformed/onnx";
    pub(crate) const EXTERNAL_DATA: &str = "malformed/onnx-external-data";
    pub(crate) const BAD_SAFETENSORS: &str = "malformed/safetensors";
    pub(crate) const BAD_GGUF: &str = "malformed/gguf";
    pub(crate) const BAD_ZIP: &str = "malformed/zip";
    pub(crate) const ZIP_ENCRYPTED: &str = "malformed/zip-encrypted";
    pub(crate) const ZIP_BOMB: &str = "malformed/zip-bomb";
    pub(crate) const ZIP_APPENDED: &str = "malformed/zip-appended";
    pub(crate) const BAD_COMPRESSED: &str = "malformed/compressed";
    pub(crate) const TOO_MANY: &str = "malformed/too-many-findings";
}

/// Findings about one subject.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    subject: Subject,
    seen: BTreeSet<(&'static str, Option<Line>)>,
}

impl Notes {
    pub(crate) fn new(subject: &Subject) -> Self {
        Self { subject: subject.clone(), seen: BTreeSet::new() }
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether anything was found by this rule.
    pub(crate) fn has(&self, rule: &'static str) -> bool {
        self.seen.iter().any(|(seen, _)| *seen == rule)
    }

    /// Adds a finding, unless it is known already. The excerpt is escaped and cut here.
    pub(crate) fn add(&mut self, report: &mut Report, rule: &'static str, excerpt: &str) {
        let excerpt = line_of(excerpt);
        if self.seen.len() == FINDINGS_MAX {
            if self.seen.insert((rule::TOO_MANY, None)) {
                report.add(&id(rule::TOO_MANY), &self.subject, None, None);
            }
            return;
        }
        if self.seen.len() < FINDINGS_MAX && self.seen.insert((rule, excerpt.clone())) {
            report.add(&id(rule), &self.subject, None, excerpt);
        }
    }
}

fn id(rule: &'static str) -> RuleId {
    rule.parse().expect("the rules above are names of rules")
}

/// `text` as one line that shows what it holds; `None` if it is empty.
pub(crate) fn line_of(text: &str) -> Option<Line> {
    let cut = match text.char_indices().nth(EXCERPT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    // An escaped character takes up to ten bytes: 160 of them may be too many for a line.
    let shown = printable(&cut);
    let shown = &shown[..shown.floor_char_boundary(1000)];
    shown.trim().parse().ok()
}

/// Bytes that should be text, for people.
pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
