//! Content of whatever kind: its first bytes say what it is and who looks into it.

use std::sync::Arc;

use consign_metadata::{FileFormat, Line, SNIFF_BYTES, sniff};

use crate::inspect::{Inspect, Report, Subject};
use crate::members::{Member, MemberFactory, Nesting};
use crate::model::model_inspector;
use crate::scanner::Scanner;
use crate::secret::credential_file::{bare_token, credential_rule, credentials, key_store};
use crate::secret::{Context, der, rule};
use crate::text::{Manner, TextScan};
use crate::wide::{Encoding, Wide};

/// Looks into members of archives as into files.
struct ScanMembers(Scanner);

impl MemberFactory for ScanMembers {
    fn inspector(&self, member: &Member<'_>) -> Option<Box<dyn Inspect + Send>> {
        let size = member.size.unwrap_or(u64::MAX);
        let (scanner, subject, nesting) = (self.0.clone(), member.subject.clone(), member.nesting.clone());
        Some(Box::new(ContentScan::new(scanner, subject, member.name, size, nesting)))
    }
}

/// Looks into content.
pub(crate) struct ContentScan {
    scanner: Scanner,
    subject: Subject,
    /// Its name, with the path as far as that is known.
    name: String,
    size: u64,
    nesting: Nesting,
    /// Bytes that have come.
    seen: u64,
    state: State,
}

enum State {
    /// What has come so far is too little to tell.
    Head(Vec<u8>),
    Known(Box<Known>),
}

struct Known {
    format: FileFormat,
    /// Over all bytes as they are.
    plain: TextScan,
    /// Over the UTF-8 that they stand for, if they begin as UTF-16 or UTF-32 do. That is no promise for the
    /// rest: the bytes as they are are searched all the same.
    wide: Option<Wide<TextScan>>,
    /// Into what they stand for.
    special: Option<Box<dyn Inspect + Send>>,
    /// What the bytes as they are show, where the special one shows it better.
    aside: Option<Report>,
    /// Secrets that the name promised, by line.
    promised: Vec<(u64, Option<Line>)>,
}

impl ContentScan {
    /// `size` is as it is said to be; nothing depends on it but what the format is taken for.
    pub(crate) fn new(scanner: Scanner, subject: Subject, name: &str, size: u64, nesting: Nesting) -> Self {
        Self {
            scanner,
            subject,
            name: name.to_owned(),
            size,
            nesting,
            seen: 0,
            state: State::Head(Vec::new()),
        }
    }

    /// What it was taken for, once it is finished.
    pub(crate) fn format(&self) -> FileFormat {
        match &self.state {
            State::Head(_) => FileFormat::Empty,
            State::Known(known) => known.format,
        }
    }

    /// The head is there: says who looks into it.
    fn know(&self, head: &[u8], report: &mut Report) -> Known {
        let head = &head[..head.len().min(SNIFF_BYTES)];
        let file_name = self.name.rsplit('/').next().unwrap_or_default();
        let format = sniff(head, self.size, file_name);
        let manner = Manner {
            lines: format.is_text() || starts_as_text(format, head),
            notebook: format == FileFormat::Notebook,
            context: Context { code: is_code(format, file_name), glued: false },
        };
        let rules = Arc::clone(self.scanner.rules());
        let secrets = rules.secrets.is_some();
        let scan = || TextScan::new(Arc::clone(&rules), self.subject.clone(), manner);
        let encoding = (format == FileFormat::Binary).then(|| Encoding::of(head)).flatten();
        let (plain, wide) = (scan(), encoding.map(|encoding| Wide::new(encoding, scan())));
        let special = self.special(format);
        let aside = (special.is_some() && is_archive(format)).then(Report::default);
        let mut promised = Vec::new();
        if secrets {
            if let Some(what) = der::private_key(head, self.size)
                && let Some(rule) = rule("private-key")
            {
                report.add(&rule, &self.subject, None, what.parse().ok());
            }
            if let Some((rule, what)) = key_store(&self.name, head) {
                report.add(&rule, &self.subject, None, what);
            }
            if manner.lines {
                let found = credentials(&self.name, head).into_iter().chain(bare_token(&self.name, head));
                promised.extend(found.map(|one| {
                    let line = memchr::memchr_iter(b'\n', &head[..one.at]).count() as u64 + 1;
                    (line, one.excerpt)
                }));
            }
        }
        Known { format, plain, wide, special, aside, promised }
    }

    /// Who looks into content of that format as more than text.
    fn special(&self, format: FileFormat) -> Option<Box<dyn Inspect + Send>> {
        let members: Arc<dyn MemberFactory> = Arc::new(ScanMembers(self.scanner.clone()));
        model_inspector(format, &self.subject, &self.name, self.size, &self.nesting, &members)
    }
}

/// Formats whose bytes, as they are, may show what their members show.
fn is_archive(format: FileFormat) -> bool {
    matches!(format, FileFormat::Zip | FileFormat::TorchZip | FileFormat::Npz | FileFormat::Gzip)
}

/// Text that the format does not admit as such, for a stray byte.
fn starts_as_text(format: FileFormat, head: &[u8]) -> bool {
    format == FileFormat::Binary && crate::blocks::is_text(&head[..head.len().min(crate::blocks::BLOCK)])
}

/// Source code, where what stands without quotes is an expression.
fn is_code(format: FileFormat, name: &str) -> bool {
    const SUFFIXES: [&str; 38] = [
        "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "java", "kt", "scala", "go", "rs", "c", "h",
        "cc", "cpp", "hpp", "cu", "cuh", "cs", "swift", "m", "mm", "rb", "php", "pl", "lua", "r", "jl", "ex",
        "exs", "hs", "clj", "dart", "vue", "svelte", "ipynb",
    ];
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix).to_ascii_lowercase();
    matches!(format, FileFormat::Python | FileFormat::Notebook) || SUFFIXES.contains(&suffix.as_str())
}

impl Known {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        self.plain.update(bytes, self.aside.as_mut().unwrap_or(report));
        if let Some(wide) = &mut self.wide {
            wide.update(bytes, report);
        }
        if let Some(special) = &mut self.special {
            special.update(bytes, report);
        }
    }

    fn finish(&mut self, subject: &Subject, report: &mut Report) {
        self.plain.finish(self.aside.as_mut().unwrap_or(report));
        if let Some(wide) = &mut self.wide {
            wide.finish(report);
        }
        if let Some(special) = &mut self.special {
            special.finish(report);
        }
        if let Some(mut aside) = self.aside.take() {
            // What a member is stored as shows twice.
            aside.findings.retain(|raw| {
                let same = |f: &consign_metadata::Finding| {
                    f.rule == raw.rule && f.place.excerpt == raw.place.excerpt
                };
                !report.findings.iter().any(same)
            });
            report.join(aside);
        }
        if let Some(rule) = credential_rule() {
            for (line, excerpt) in std::mem::take(&mut self.promised) {
                let known = |f: &consign_metadata::Finding| {
                    f.rule.kind() == "secret"
                        && f.place.line == Some(line)
                        && f.place.member == subject.member
                };
                if !report.findings.iter().any(known) {
                    report.add(&rule, subject, Some(line), excerpt);
                }
            }
        }
    }
}

impl Inspect for ContentScan {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        self.seen += bytes.len() as u64;
        let known = match &mut self.state {
            State::Known(known) => return known.update(bytes, report),
            // Nothing is kept of what comes whole, or in large pieces.
            State::Head(head)
                if head.is_empty() && (bytes.len() >= SNIFF_BYTES || self.seen == self.size) =>
            {
                let mut known = self.know(bytes, report);
                known.update(bytes, report);
                known
            }
            State::Head(head) => {
                // No more than is needed is kept, however much comes.
                let missing = bytes.len().min(SNIFF_BYTES - head.len());
                head.extend_from_slice(&bytes[..missing]);
                if head.len() < SNIFF_BYTES && self.seen != self.size {
                    return;
                }
                let head = std::mem::take(head);
                let mut known = self.know(&head, report);
                known.update(&head, report);
                known.update(&bytes[missing..], report);
                known
            }
        };
        self.state = State::Known(Box::new(known));
    }

    fn finish(&mut self, report: &mut Report) {
        if let State::Head(head) = &mut self.state
            && !head.is_empty()
        {
            let head = std::mem::take(head);
            // It is shorter than it was said to be.
            self.size = self.seen;
            let mut known = self.know(&head, report);
            known.update(&head, report);
            self.state = State::Known(Box::new(known));
        }
        if let State::Known(known) = &mut self.state {
            known.finish(&self.subject, report);
        }
    }
}
