//! How inspectors of models write down what they find: each thing once, and not without end.

use std::collections::BTreeSet;

use consign_metadata::{Line, StaticRuleId, printable};

use crate::inspect::{Report, Subject};

/// Most findings of one inspector in one file.
const FINDINGS_MAX: usize = 2000;
/// Most characters of an excerpt.
const EXCERPT_MAX: usize = 160;

/// The rules of this part of the scanner; `docs/findings.md` says what each means.
pub(crate) mod rule {
    use consign_metadata::{StaticRuleId, literal};

    pub(crate) const PICKLE: StaticRuleId = literal!(StaticRuleId, "code/pickle");
    pub(crate) const PICKLE_DANGEROUS: StaticRuleId = literal!(StaticRuleId, "code/pickle-dangerous");
    pub(crate) const PICKLE_UNKNOWN: StaticRuleId = literal!(StaticRuleId, "code/pickle-unknown-import");
    pub(crate) const KERAS_LAMBDA: StaticRuleId = literal!(StaticRuleId, "code/keras-lambda");
    pub(crate) const KERAS_CUSTOM: StaticRuleId = literal!(StaticRuleId, "code/keras-custom");
    pub(crate) const ONNX_CUSTOM: StaticRuleId = literal!(StaticRuleId, "code/onnx-custom-op");
    pub(crate) const TENSORFLOW: StaticRuleId = literal!(StaticRuleId, "code/tensorflow-op");
    pub(crate) const PYTHON: StaticRuleId = literal!(StaticRuleId, "code/python");
    pub(crate) const NATIVE: StaticRuleId = literal!(StaticRuleId, "code/native");
    pub(crate) const GIT_CONFIG: StaticRuleId = literal!(StaticRuleId, "code/git-config");
    pub(crate) const AUTO_RUN: StaticRuleId = literal!(StaticRuleId, "code/auto-run");
    pub(crate) const ON_COMMAND: StaticRuleId = literal!(StaticRuleId, "code/on-command");
    pub(crate) const AGENT_INSTRUCTIONS: StaticRuleId = literal!(StaticRuleId, "code/agent-instructions");
    pub(crate) const YAML_PYTHON: StaticRuleId = literal!(StaticRuleId, "code/yaml-python");
    pub(crate) const OPAQUE: StaticRuleId = literal!(StaticRuleId, "code/opaque");
    pub(crate) const SCRIPT: StaticRuleId = literal!(StaticRuleId, "code/script");
    pub(crate) const CHAT_TEMPLATE: StaticRuleId = literal!(StaticRuleId, "code/chat-template");
    pub(crate) const REMOTE_CODE: StaticRuleId = literal!(StaticRuleId, "code/remote-code");
    pub(crate) const BAD_PICKLE: StaticRuleId = literal!(StaticRuleId, "malformed/pickle");
    pub(crate) const BAD_NPY: StaticRuleId = literal!(StaticRuleId, "malformed/npy");
    pub(crate) const BAD_KERAS: StaticRuleId = literal!(StaticRuleId, "malformed/keras");
    pub(crate) const BAD_TENSORFLOW: StaticRuleId = literal!(StaticRuleId, "malformed/tensorflow");
    pub(crate) const BAD_TFLITE: StaticRuleId = literal!(StaticRuleId, "malformed/tflite");
    pub(crate) const BAD_CONFIG: StaticRuleId = literal!(StaticRuleId, "malformed/model-config");
    pub(crate) const BAD_ONNX: StaticRuleId = literal!(StaticRuleId, "malformed/onnx");
    pub(crate) const EXTERNAL_DATA: StaticRuleId = literal!(StaticRuleId, "malformed/onnx-external-data");
    pub(crate) const BAD_SAFETENSORS: StaticRuleId = literal!(StaticRuleId, "malformed/safetensors");
    pub(crate) const BAD_GGUF: StaticRuleId = literal!(StaticRuleId, "malformed/gguf");
    pub(crate) const BAD_ZIP: StaticRuleId = literal!(StaticRuleId, "malformed/zip");
    pub(crate) const ZIP_ENCRYPTED: StaticRuleId = literal!(StaticRuleId, "malformed/zip-encrypted");
    pub(crate) const ZIP_BOMB: StaticRuleId = literal!(StaticRuleId, "malformed/zip-bomb");
    pub(crate) const ZIP_APPENDED: StaticRuleId = literal!(StaticRuleId, "malformed/zip-appended");
    pub(crate) const BAD_COMPRESSED: StaticRuleId = literal!(StaticRuleId, "malformed/compressed");
    pub(crate) const TOO_MANY: StaticRuleId = literal!(StaticRuleId, "malformed/too-many-findings");
}

/// Findings about one subject.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    subject: Subject,
    seen: BTreeSet<(StaticRuleId, Option<Line>)>,
}

impl Notes {
    pub(crate) fn new(subject: &Subject) -> Self {
        Self { subject: subject.clone(), seen: BTreeSet::new() }
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether anything was found by this rule.
    pub(crate) fn has(&self, rule: StaticRuleId) -> bool {
        self.seen.iter().any(|(seen, _)| *seen == rule)
    }

    /// Adds a finding, unless it is known already. The excerpt is escaped and cut here.
    pub(crate) fn add(&mut self, report: &mut Report, rule: StaticRuleId, excerpt: &str) {
        let excerpt = line_of(excerpt);
        if self.seen.len() == FINDINGS_MAX {
            if self.seen.insert((rule::TOO_MANY, None)) {
                report.add(&rule::TOO_MANY.into(), &self.subject, None, None);
            }
            return;
        }
        if self.seen.len() < FINDINGS_MAX && self.seen.insert((rule, excerpt.clone())) {
            report.add(&rule.into(), &self.subject, None, excerpt);
        }
    }
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
