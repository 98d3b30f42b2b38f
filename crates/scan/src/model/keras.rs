//! Keras models: the configuration of the layers, as JSON in `.keras` archives or in an attribute of HDF5 files.
//!
//! The configuration is looked for, not parsed: where HDF5 keeps it depends on its size and age. JSON can write
//! the same text in many ways, so the bytes are brought to one of them first.

use consign_metadata::StaticRuleId;

use super::notes::{Notes, rule, shown};
use crate::inspect::{Inspect, Report, Subject};

/// Longest value that is read.
const VALUE_MAX: usize = 256;

/// Names whose values matter.
const KEYS: [&[u8]; 5] =
    [b"\"class_name\":", b"\"module\":", b"\"registered_name\":", b"\"function_type\":", b"\"config\":"];

/// How far one of [`KEYS`] has come, in the one form of the bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    length: usize,
    /// A bit for each key that begins with the last `length` bytes; without meaning if that is 0.
    fits: u8,
}

impl Key {
    const ALL: u8 = (1 << KEYS.len()) - 1;

    /// The next byte; the index of the key that ends with it.
    fn next(&mut self, byte: u8) -> Option<usize> {
        let before = if self.length == 0 { Self::ALL } else { self.fits };
        let (mut fits, mut ends) = (0, None);
        for (n, key) in KEYS.iter().enumerate() {
            if before >> n & 1 != 0 && key.get(self.length) == Some(&byte) {
                fits |= 1 << n;
                ends = ends.or((key.len() == self.length + 1).then_some(n));
            }
        }
        *self = match (fits, ends, byte) {
            (_, Some(_), _) => Self::default(),
            // Every key begins with a quote.
            (0, None, b'"') => Self { length: 1, fits: Self::ALL },
            (0, None, _) => Self::default(),
            _ => Self { length: self.length + 1, fits },
        };
        ends
    }
}

/// Looks for the configuration of a Keras model.
#[derive(Debug)]
pub(super) struct Keras {
    notes: Notes,
    plain: Plain,
    key: Key,
    /// The value that is being read, and the index of its key.
    value: Option<(usize, Vec<u8>)>,
    found: Vec<(StaticRuleId, String)>,
    class_names: u64,
    configs: u64,
    hdf5: bool,
    /// Whether the name `model_config` has been seen, and the last bytes, in which it may have begun.
    has_marker: bool,
    /// Whether the signature of HDF5 has been seen, where it is promised.
    has_signature: bool,
    tail: Vec<u8>,
}

/// Most things that are noted before it is certain that they count.
const FOUND_MAX: usize = 1000;
const MARKER: &[u8] = b"model_config";
/// How HDF5 begins, behind a user block perhaps (format specification, section II.A).
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Brings JSON to one form: no white space, no escapes that need not be. It works in the middle of other data.
#[derive(Debug, Default)]
struct Plain {
    escape: Vec<u8>,
}

/// Stands for a character that is in no name that matters.
const OTHER: u8 = 0xff;

impl Plain {
    /// The form of the next byte, if it has one yet.
    fn next(&mut self, byte: u8) -> Option<u8> {
        match (self.escape.len(), byte) {
            (0, b'\\') => self.escape.push(byte),
            (0, b' ' | b'\t' | b'\n' | b'\r') => {}
            (0, _) => return Some(byte),
            (1, b'u') => self.escape.push(byte),
            (1, _) => {
                self.escape.clear();
                return Some(if byte == b'/' { byte } else { OTHER });
            }
            (_, _) if byte.is_ascii_hexdigit() => {
                self.escape.push(byte);
                if self.escape.len() == 6 {
                    let digits = std::str::from_utf8(&self.escape[2..]).unwrap_or_default();
                    let code = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii_graphic);
                    self.escape.clear();
                    // A quote that is escaped is no quote.
                    return Some(code.filter(|byte| *byte != b'"').unwrap_or(OTHER));
                }
            }
            // No escape of JSON, but other data.
            (_, _) => {
                self.escape.clear();
                return Some(byte);
            }
        }
        None
    }
}

impl Keras {
    pub(super) fn new(subject: &Subject, hdf5: bool) -> Self {
        Self {
            notes: Notes::new(subject),
            plain: Plain::default(),
            key: Key::default(),
            value: None,
            found: Vec::new(),
            class_names: 0,
            configs: 0,
            hdf5,
            has_marker: false,
            has_signature: false,
            tail: Vec::new(),
        }
    }

    /// For what is known to be HDF5, though its signature has passed, and for messages that hold the same configuration.
    pub(super) fn without_signature(subject: &Subject) -> Self {
        Self { has_signature: true, ..Self::new(subject, true) }
    }

    fn byte(&mut self, byte: u8) {
        let Some(byte) = self.plain.next(byte) else { return };
        if let Some((key, mut value)) = self.value.take() {
            if value.is_empty() && byte != b'"' {
                // `null`, a number or an object.
                self.plain_byte(byte);
                return;
            }
            if !value.is_empty() && byte == b'"' {
                self.value(key, &value[1..]);
                // The quote ends the value: it begins no key.
                self.key = Key::default();
                return;
            }
            value.push(byte);
            if value.len() > VALUE_MAX {
                self.value(key, &value[1..]);
            } else {
                self.value = Some((key, value));
            }
            return;
        }
        self.plain_byte(byte);
    }

    fn plain_byte(&mut self, byte: u8) {
        match self.key.next(byte) {
            Some(4) => self.configs += 1,
            Some(key) => self.value = Some((key, Vec::new())),
            None => {}
        }
    }

    fn value(&mut self, key: usize, value: &[u8]) {
        let text = shown(value);
        let found = match key {
            0 => {
                self.class_names += 1;
                match text.as_str() {
                    "Lambda" | "__lambda__" => Some(rule::KERAS_LAMBDA),
                    // Loads code or other models, or names a function to be looked up (CVE-2025-1550).
                    "function" | "TFSMLayer" | "TorchModuleWrapper" | "FlaxLayer" | "JaxLayer" => {
                        Some(rule::KERAS_CUSTOM)
                    }
                    _ if text.contains('>') => Some(rule::KERAS_CUSTOM),
                    _ => None,
                }
            }
            1 if !is_keras(&text) => Some(rule::KERAS_CUSTOM),
            2 if text.contains('>') => Some(rule::KERAS_CUSTOM),
            3 if text == "lambda" => Some(rule::KERAS_LAMBDA),
            _ => None,
        };
        if let Some(rule) = found
            && self.found.len() < FOUND_MAX
            && !self.found.iter().any(|(known, known_text)| *known == rule && *known_text == text)
        {
            self.found.push((rule, text));
        }
    }
}

/// How many bytes cannot be the beginning of a key, where a quote or a backslash stands: most texts begin with another letter,
/// and most escapes stand for no letter. To go through them byte by byte would lead to where it began.
fn begins_nothing(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [b'"', b' ' | b'\t' | b'\n' | b'\r' | b'\\', ..] => None,
        [b'"', first, ..] if KEYS.iter().all(|key| key[1] != first) => Some(1),
        [b'\\', escaped, ..] if escaped != b'u' => Some(2),
        _ => None,
    }
}

/// Modules that are Keras, or in which nothing but plain values is looked up.
fn is_keras(module: &str) -> bool {
    matches!(module, "" | "builtins" | "keras" | "tf_keras")
        || [
            "keras.",
            "keras_nlp.",
            "keras_hub.",
            "keras_cv.",
            "tf_keras.",
            "tensorflow.keras.",
            "tensorflow.python.keras.",
        ]
        .iter()
        .any(|prefix| module.starts_with(prefix))
}

impl Inspect for Keras {
    fn update(&mut self, bytes: &[u8], _: &mut Report) {
        if self.hdf5 && !(self.has_marker && self.has_signature) {
            let begin = &bytes[..bytes.len().min(MARKER.len() - 1)];
            self.tail.extend_from_slice(begin);
            let has = |what| {
                memchr::memmem::find(&self.tail, what).is_some()
                    || memchr::memmem::find(bytes, what).is_some()
            };
            self.has_marker = self.has_marker || has(MARKER);
            self.has_signature = self.has_signature || has(SIGNATURE);
            self.tail.extend_from_slice(
                &bytes[begin.len()..][(bytes.len() - begin.len()).saturating_sub(MARKER.len())..],
            );
            self.tail.drain(..self.tail.len().saturating_sub(MARKER.len() - 1));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.key.length == 0 && self.value.is_none() && self.plain.escape.is_empty() {
                // Nothing begins but with a quote; a backslash may hide one.
                match memchr::memchr2(b'"', b'\\', rest) {
                    Some(at) => rest = &rest[at..],
                    None => return,
                }
                if let Some(skipped) = begins_nothing(rest) {
                    rest = &rest[skipped..];
                    continue;
                }
            }
            self.byte(rest[0]);
            rest = &rest[1..];
        }
    }

    fn finish(&mut self, report: &mut Report) {
        // In plain JSON the same names may mean something else.
        let counts = self.class_names > 0 && (self.hdf5 || self.configs > 0);
        if counts {
            for (rule, text) in std::mem::take(&mut self.found) {
                self.notes.add(report, rule, &text);
            }
        }
        if self.hdf5 && !self.has_signature {
            self.notes.add(report, rule::BAD_KERAS, "is no HDF5 file");
        }
        if self.hdf5 && self.has_marker && self.class_names == 0 {
            self.notes.add(report, rule::BAD_KERAS, "has a `model_config` that was not found");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keras() -> Keras {
        Keras::new(&Subject { path: None, member: None }, false)
    }

    /// The same byte by byte, with nothing skipped, and the last bytes compared with every key.
    fn slowly(bytes: &[u8]) -> Keras {
        let mut keras = keras();
        let mut window: Vec<u8> = Vec::new();
        for &byte in bytes {
            let Some(byte) = keras.plain.next(byte) else { continue };
            if let Some((key, mut value)) = keras.value.take() {
                if value.is_empty() && byte != b'"' {
                    // It is read as what follows a key, below.
                } else if !value.is_empty() && byte == b'"' {
                    keras.value(key, &value[1..]);
                    window.clear();
                    continue;
                } else {
                    value.push(byte);
                    if value.len() > VALUE_MAX {
                        keras.value(key, &value[1..]);
                    } else {
                        keras.value = Some((key, value));
                    }
                    continue;
                }
            }
            window.push(byte);
            if !KEYS.iter().any(|key| key.starts_with(&window)) {
                window.clear();
                window.extend((byte == b'"').then_some(byte));
            }
            match KEYS.iter().position(|key| *key == window) {
                Some(4) => keras.configs += 1,
                Some(key) => keras.value = Some((key, Vec::new())),
                None => continue,
            }
            window.clear();
        }
        keras
    }

    #[test]
    fn what_begins_no_key_is_skipped() {
        for (bytes, skipped) in [
            (&b"\"abc"[..], Some(1)),
            (b"\"\"", Some(1)),
            (b"\\n", Some(2)),
            (b"\\\"", Some(2)),
            (b"\"config", None),
            (b"\" config", None),
            (b"\"\\u0063", None),
            (b"\\u0022", None),
            (b"\"", None),
            (b"\\", None),
        ] {
            assert_eq!(begins_nothing(bytes), skipped, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn skipping_finds_what_reading_byte_by_byte_finds(
            parts in prop::collection::vec(prop::sample::select(vec![
                "\"", "\\", "\\\"", "\\u0063", "\\u0022", "\\u00", "\\/", "\\n", " ", ":", "c", "\u{ff}", "x", "{", "\n",
                "\"class_name\"", "class_name\":", "\"module\":", "\"config\":", "\"registered_name\": ",
                "\"function_type\":\"lambda\"", "\"Lambda\"", "\"la yer>\"", "\"os\"", "\"cl", "ass_name\":", "\"\\u0063onfig\" :",
                "m", "r", "f", "con", "fig",
            ]), 0..40),
            step in 1usize..9,
        ) {
            let bytes = parts.concat().into_bytes();
            let expected = slowly(&bytes);
            let mut keras = keras();
            let mut report = Report::default();
            bytes.chunks(step).for_each(|chunk| keras.update(chunk, &mut report));
            prop_assert_eq!(keras.found, expected.found);
            prop_assert_eq!((keras.class_names, keras.configs), (expected.class_names, expected.configs));
            prop_assert_eq!(keras.value, expected.value);
        }
    }
}
