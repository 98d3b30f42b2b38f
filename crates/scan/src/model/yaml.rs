//! YAML that names code: tags that Python's loaders call (`!!python/object/apply:…`, as unsafe as a pickle), and the
//! `_target_` by which Hydra says what to call.
//!
//! A loader undoes percent signs in tags and backslashes in quoted texts, and reads UTF-16: the bytes are brought to one
//! form first. Prefixes of tags that a file defines by itself can divide what is looked for: those are found as well.

use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// What is looked for, and whether it is a tag. A tag may be written in full, in short, or by a handle of its own.
const SIGNS: [(&[u8], bool); 4] =
    [(b"!!python/", true), (b"!python/", true), (b"yaml.org,2002:python/", true), (b"_target_", false)];
/// One byte less than the longest of them: so much of what came before is kept.
const OVERLAP: usize = 20;

/// The prefix of the tags that make Python objects.
const PREFIX: &[u8] = b"tag:yaml.org,2002:python/";
/// What every loader defines anyway: the short form of what begins so is among the signs.
const STANDARD: &[u8] = b"tag:yaml.org,2002:";
const DIRECTIVE: &[u8] = b"%TAG";
/// Longest line that may define a prefix.
const DIRECTIVE_MAX: usize = 1024;

/// Looks into YAML, whatever it is called.
#[derive(Debug)]
pub(super) struct Yaml {
    notes: Notes,
    plain: Plain,
    kept: Vec<u8>,
    /// How much of `%TAG` has just come, and what has come behind it on its line.
    matched: usize,
    directive: Option<Vec<u8>>,
}

impl Yaml {
    pub(super) fn new(subject: &Subject) -> Self {
        Self {
            notes: Notes::new(subject),
            plain: Plain::default(),
            kept: Vec::new(),
            matched: 0,
            directive: None,
        }
    }

    fn look(&mut self, bytes: &[u8], report: &mut Report) {
        for (sign, is_tag) in SIGNS {
            if memchr::memmem::find(bytes, sign).is_some() {
                let (rule, what) = match is_tag {
                    true => (rule::YAML_PYTHON, "has tags that make Python objects"),
                    false => (rule::REMOTE_CODE, "names what to call by `_target_`"),
                };
                self.notes.add(report, rule, what);
            }
        }
    }

    /// Looks for definitions of prefixes, wherever they stand: YAML has more ends of lines than others.
    fn directives(&mut self, bytes: &[u8], report: &mut Report) {
        for &byte in bytes.iter().filter(|byte| **byte != 0) {
            if let Some(text) = &mut self.directive {
                if !matches!(byte, b'\n' | b'\r') {
                    text.push(byte);
                    if text.len() < DIRECTIVE_MAX {
                        continue;
                    }
                }
                self.end_directive(report);
                self.matched = 0;
            } else if byte == DIRECTIVE[self.matched] {
                self.matched += 1;
                if self.matched == DIRECTIVE.len() {
                    self.directive = Some(Vec::new());
                }
            } else {
                self.matched = usize::from(byte == DIRECTIVE[0]);
            }
        }
    }

    fn end_directive(&mut self, report: &mut Report) {
        let Some(text) = self.directive.take() else { return };
        let mut rest = &text[..];
        loop {
            let end = memchr::memmem::find(rest, DIRECTIVE);
            if splits_tags(&rest[..end.unwrap_or(rest.len())]) {
                self.notes.add(
                    report,
                    rule::YAML_PYTHON,
                    "defines a prefix of tags that make Python objects",
                );
            }
            match end {
                Some(end) => rest = &rest[end + DIRECTIVE.len()..],
                None => return,
            }
        }
    }
}

/// Whether what stands behind `%TAG` defines a prefix that leaves only a part of what is looked for to the tags
/// themselves.
fn splits_tags(text: &[u8]) -> bool {
    let mut words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let Some(word) = words.nth(1) else { return text.len() >= DIRECTIVE_MAX };
    let mut prefix = Vec::new();
    Plain::default().update(word, &mut prefix);
    // What is in no such tag ends it: an end of the line that is none elsewhere.
    let end = prefix.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b":.,/".contains(byte));
    prefix.truncate(end.unwrap_or(prefix.len()));
    prefix != STANDARD && !prefix.is_empty() && (PREFIX.starts_with(&prefix) || prefix.starts_with(PREFIX))
}

/// Brings YAML to one form, as far as it matters for what is looked for in ASCII: no zero bytes (which leaves UTF-16 and
/// UTF-32 as ASCII), and nothing escaped.
#[derive(Debug, Default)]
struct Plain {
    /// What may be an escape, as far as it has come.
    escape: Vec<u8>,
}

impl Plain {
    fn update(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if byte != 0 {
                self.byte(byte, out);
            }
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        let Some(&lead) = self.escape.first() else {
            if matches!(byte, b'%' | b'\\') {
                self.escape.push(byte);
            } else {
                out.push(byte);
            }
            return;
        };
        let hex = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok()?;
            u32::from_str_radix(digits, 16).ok().and_then(|code| u8::try_from(code).ok())
        };
        // How many bytes the escape has in all, and after how many its digits begin.
        let (length, begin) = match (lead, self.escape.get(1)) {
            (b'%', _) => (3, 1),
            (_, Some(b'x')) => (4, 2),
            (_, Some(b'u')) => (6, 2),
            (_, Some(b'U')) => (10, 2),
            // The end of a line, which is dropped with the blanks around it.
            (_, Some(_)) if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => return,
            (_, Some(_)) => {
                self.escape.clear();
                return self.byte(byte, out);
            }
            (_, None) => {
                match byte {
                    b'x' | b'u' | b'U' | b'\n' | b'\r' => self.escape.push(byte),
                    _ => {
                        self.escape.clear();
                        // What is escaped begins nothing else.
                        out.extend([lead, byte]);
                    }
                }
                return;
            }
        };
        if byte.is_ascii_hexdigit() {
            self.escape.push(byte);
            if self.escape.len() == length {
                // What is no ASCII is in nothing that is looked for.
                out.push(hex(&self.escape[begin..]).unwrap_or(0xff));
                self.escape.clear();
            }
            return;
        }
        out.append(&mut self.escape);
        self.byte(byte, out);
    }
}

impl Inspect for Yaml {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        for piece in bytes.chunks(64 << 10) {
            let mut window = std::mem::take(&mut self.kept);
            self.directives(piece, report);
            self.plain.update(piece, &mut window);
            self.look(&window, report);
            self.kept = window[window.len().saturating_sub(OVERLAP)..].to_vec();
        }
    }

    fn finish(&mut self, report: &mut Report) {
        self.end_directive(report);
    }
}
