//! NumPy arrays: a header that is a Python literal, then numbers, or a pickle if the elements are objects
//! (`numpy/lib/format.py`).

use super::feed::le;
use super::notes::{Notes, rule};
use super::pickle::{Layout, Pickle};
use crate::inspect::{Inspect, Report, Subject};

/// Longest header; NumPy itself refuses longer ones.
const HEADER_MAX: usize = 64 * 1024;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Looks into an array, or several behind each other.
#[derive(Debug)]
pub(super) struct Npy {
    notes: Notes,
    head: Vec<u8>,
    rest: Rest,
    /// Whether this is not the first array of the file.
    more: bool,
}

#[derive(Debug)]
enum Rest {
    /// The header is being read.
    Header,
    Pickle(Box<Pickle>),
    /// Numbers: so many bytes, if that is known, of which so many have come.
    Numbers {
        expected: Option<u64>,
        seen: u64,
    },
    Nothing,
}

impl Npy {
    pub(super) fn new(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), head: Vec::new(), rest: Rest::Header, more: false }
    }

    /// Length of everything before the data, as far as it is known.
    fn head_length(&self) -> Option<usize> {
        match self.head.get(6)? {
            1 => Some(10 + usize::try_from(le::<2>(self.head.get(8..10)?, 0)).ok()?),
            2 | 3 => usize::try_from(le::<4>(self.head.get(8..12)?, 0)).ok()?.checked_add(12),
            _ => Some(usize::MAX),
        }
    }

    fn fault(&mut self, report: &mut Report, what: &str) {
        self.notes.add(report, rule::BAD_NPY, what);
        self.rest = Rest::Nothing;
    }

    fn header(&mut self, report: &mut Report) {
        let begin = if self.head.get(6) == Some(&1) { 10 } else { 12 };
        let text = String::from_utf8_lossy(self.head.get(begin..).unwrap_or_default()).into_owned();
        if !text.trim_start().starts_with('{') || text.contains('\\') {
            return self.fault(report, "has a header that is none");
        }
        if !is_plain(&text) {
            // Its type may be one of objects after all; as a pickle, too, it is looked at.
            self.notes.add(report, rule::BAD_NPY, "has a header that NumPy does not write");
            self.rest = Rest::Pickle(Box::new(Pickle::perhaps(self.notes.subject())));
            return;
        }
        let subject = self.notes.subject();
        if holds_objects(&text) {
            self.rest = Rest::Pickle(Box::new(Pickle::firm(subject, Layout::Pickles)));
        } else {
            self.rest = Rest::Numbers { expected: data_length(&text), seen: 0 };
        }
    }
}

impl Inspect for Npy {
    fn update(&mut self, mut bytes: &[u8], report: &mut Report) {
        while !bytes.is_empty() {
            match &mut self.rest {
                Rest::Header => {
                    if !self.head.starts_with(&MAGIC[..self.head.len().min(MAGIC.len())]) {
                        let what =
                            if self.more { "is not as long as its shape says" } else { "is no NumPy array" };
                        self.fault(report, what);
                        continue;
                    }
                    let wanted = self.head_length().unwrap_or(self.head.len() + 1);
                    if wanted > HEADER_MAX {
                        self.fault(report, "has a header that is too long");
                        continue;
                    }
                    let step = wanted.saturating_sub(self.head.len()).min(bytes.len());
                    self.head.extend_from_slice(&bytes[..step]);
                    bytes = &bytes[step..];
                    if self.head_length().is_some_and(|length| length <= self.head.len()) {
                        self.header(report);
                    }
                }
                Rest::Pickle(pickle) => return pickle.update(bytes, report),
                Rest::Numbers { expected, seen } => {
                    let left = expected.map_or(u64::MAX, |expected| expected.saturating_sub(*seen));
                    let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    *seen = seen.saturating_add(step as u64);
                    bytes = &bytes[step..];
                    if !bytes.is_empty() {
                        // `numpy.save` may be called again with the same open file.
                        self.head.clear();
                        self.rest = Rest::Header;
                        self.more = true;
                    }
                }
                Rest::Nothing => return,
            }
        }
    }

    fn finish(&mut self, report: &mut Report) {
        match &mut self.rest {
            Rest::Header if MAGIC.starts_with(&self.head) || self.head.starts_with(MAGIC) => {
                let what =
                    if self.more { "is not as long as its shape says" } else { "ends within the header" };
                self.fault(report, what);
            }
            Rest::Header if self.more => self.fault(report, "is not as long as its shape says"),
            Rest::Header => self.fault(report, "is no NumPy array"),
            Rest::Pickle(pickle) => pickle.finish(report),
            Rest::Numbers { expected: Some(expected), seen } if expected != seen => {
                self.fault(report, "is not as long as its shape says");
            }
            Rest::Numbers { .. } | Rest::Nothing => {}
        }
    }
}

/// Whether the header is written as NumPy writes it, so that a Python literal has no other way to be read: each quoted
/// text stands alone (two behind each other are one to Python), has no prefix, and nothing stands between them that such a
/// header does not have.
fn is_plain(header: &str) -> bool {
    let mut rest = header.trim_end_matches(['\n', ' ', '\0']);
    // What stood before, but for white space: a text must not follow a text or a prefix.
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' | '"' => {
                if matches!(before, '\'' | '"') || before.is_alphanumeric() {
                    return false;
                }
                let Some((inner, after)) = rest.split_once(c) else { return false };
                if inner.contains(char::is_control) {
                    return false;
                }
                rest = after;
                before = c;
            }
            ' ' => {}
            '{' | '}' | '[' | ']' | '(' | ')' | ',' | ':' => before = c,
            c if c.is_ascii_alphanumeric() => before = c,
            _ => return false,
        }
    }
    true
}

/// Whether a type in the header is that of objects: `O`, with a byte order or a length perhaps, also as one of several
/// types that a comma divides, or by its name.
fn holds_objects(header: &str) -> bool {
    let texts = header.split(['\'', '"']).skip(1).step_by(2);
    texts.flat_map(|text| text.split([',', '(', ')'])).any(|word| {
        let plain = word.trim().trim_start_matches(['<', '>', '|', '=']);
        let plain = plain.trim_start_matches(|c: char| c.is_ascii_digit());
        plain.strip_prefix('O').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
            || word.contains("object")
    })
}

/// How long the data is, for plain types.
fn data_length(header: &str) -> Option<u64> {
    let after = |key: &str| {
        let at = header.find(&format!("'{key}'"))?;
        Some(header[at..].split_once(':')?.1.trim_start())
    };
    let kind = after("descr")?.strip_prefix('\'')?.split_once('\'')?.0;
    let kind = kind.trim_start_matches(['<', '>', '|', '=']);
    let mut chars = kind.chars();
    let letter = chars.next()?;
    let size: u64 = chars.as_str().split('[').next()?.parse().ok()?;
    let size = match letter {
        'U' => size.checked_mul(4)?,
        'b' | 'i' | 'u' | 'f' | 'c' | 'm' | 'M' | 'S' | 'V' => size,
        _ => return None,
    };
    let shape = after("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    sides.map(|side| side.parse::<u64>().ok()).try_fold(size, |product, side| product.checked_mul(side?))
}
