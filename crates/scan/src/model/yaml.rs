//! YAML that names code: tags that Python's loaders call (`!!python/object/apply:…`, as unsafe as a pickle), and the
//! `_target_` by which Hydra says what to call.

use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// What is looked for. A tag may be written in full, in short, or by a handle of its own for the same prefix.
const SIGNS: [(&[u8], bool); 4] =
    [(b"!!python/", true), (b"!python/", true), (b"yaml.org,2002:python/", true), (b"_target_", false)];
/// So much of what came before is kept: longer than each of them, also when each character is written as an escape.
const OVERLAP: usize = 256;

/// Looks into YAML, whatever it is called.
#[derive(Debug)]
pub(super) struct Yaml {
    notes: Notes,
    kept: Vec<u8>,
}

impl Yaml {
    pub(super) fn new(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), kept: Vec::new() }
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
        if renames_tags(bytes) || memchr::memchr_iter(b'!', bytes).any(|at| is_written_oddly(bytes, at)) {
            self.notes.add(
                report,
                rule::YAML_PYTHON,
                "has tags that are written so that their names cannot be told",
            );
        }
    }
}

/// Whether a directive gives prefixes of tags names of their own (YAML 1.2, section 6.8.2): with them, every tag may be
/// written in pieces.
fn renames_tags(bytes: &[u8]) -> bool {
    let begins_line =
        |at: usize| at == 0 || matches!(bytes[at - 1], b'\n' | b'\r' | 0xbf | 0xa8 | 0xa9 | 0x85);
    memchr::memmem::find_iter(bytes, b"%TAG").any(begins_line)
}

/// Whether at `at` a tag begins that has an escape in it (`!!%70ython/…`).
fn is_written_oddly(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map_or(b'\n', |at| bytes[at]);
    if before.is_ascii_alphanumeric() || matches!(before, b'!' | b'"' | b'\'') {
        return false;
    }
    let tag = bytes[at..].iter().take(OVERLAP).take_while(|byte| !byte.is_ascii_whitespace());
    let tag: Vec<u8> = tag.copied().collect();
    tag.windows(3).any(|three| three[0] == b'%' && three[1..].iter().all(u8::is_ascii_hexdigit))
}

/// Text in which escapes of double-quoted scalars (section 5.7) are what they stand for, as far as that is ASCII.
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = match rest.first() {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => {
                plain.push(b'\\');
                continue;
            }
        };
        let text = rest.get(1..=digits).and_then(|text| std::str::from_utf8(text).ok());
        let code = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &rest[1 + digits..];
            }
            None => plain.push(b'\\'),
        }
    }
    plain.extend_from_slice(rest);
    plain
}

impl Inspect for Yaml {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.extend_from_slice(bytes);
        self.look(&kept, report);
        if memchr::memchr(b'\\', &kept).is_some() {
            self.look(&without_escapes(&kept), report);
        }
        kept.drain(..kept.len().saturating_sub(OVERLAP));
        self.kept = kept;
    }

    fn finish(&mut self, _: &mut Report) {}
}
