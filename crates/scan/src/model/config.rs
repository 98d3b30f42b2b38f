//! Configurations of `transformers`: what they name as code to run, and chat templates.

use std::fmt;

use consign_metadata::StaticRuleId;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// Longest configuration that is read.
pub(super) const CONFIG_MAX: usize = 16 << 20;

/// Looks into a JSON configuration.
#[derive(Debug)]
pub(super) struct Config {
    notes: Notes,
    bytes: Vec<u8>,
    /// Whether its name is one by which it is loaded.
    telling: bool,
    too_long: bool,
}

impl Config {
    pub(super) fn new(subject: &Subject, telling: bool) -> Self {
        Self { notes: Notes::new(subject), bytes: Vec::new(), telling, too_long: false }
    }
}

impl Inspect for Config {
    fn update(&mut self, bytes: &[u8], _: &mut Report) {
        if self.too_long || self.bytes.len() + bytes.len() > CONFIG_MAX {
            self.too_long = true;
            self.bytes = Vec::new();
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn finish(&mut self, report: &mut Report) {
        if self.too_long {
            if self.telling {
                self.notes.add(report, rule::BAD_CONFIG, "is too long to be looked into");
            }
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        // Whether it is JSON at all matters only where the name promises it.
        if !self.telling && !may_name_code(&bytes) {
            return;
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let mut found = Vec::new();
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = Keys { found: &mut found, list: None }.deserialize(&mut json).and_then(|()| json.end());
        for (rule, text) in found {
            self.notes.add(report, rule, &text);
        }
        if read.is_err() && self.telling {
            self.notes.add(report, rule::BAD_CONFIG, "is not JSON");
        }
    }
}

/// Keys under which classes stand that are imported from files of the repository (`trust_remote_code`).
const REMOTE_CODE: [&str; 2] = ["auto_map", "custom_pipelines"];
const CHAT_TEMPLATE: &str = "chat_template";

/// Whether one of the keys that matter may stand in the bytes: as it is, or with a letter of it as an escape. Nearly all
/// files have none, and need not be parsed.
fn may_name_code(bytes: &[u8]) -> bool {
    let plain = |key: &str| memchr::memmem::find(bytes, key.as_bytes()).is_some();
    // The keys are of small letters and `_`: U+005F to U+007A.
    let letter = |at: usize| matches!(bytes.get(at + 4), Some(b'5'..=b'7'));
    REMOTE_CODE.into_iter().any(plain)
        || plain(CHAT_TEMPLATE)
        || memchr::memmem::find_iter(bytes, b"\\u00").any(letter)
}

/// Most things that one configuration is reported to name.
const FOUND_MAX: usize = 256;

/// Walks through a value and notes what stands under the keys that matter, at any depth.
struct Keys<'a> {
    found: &'a mut Vec<(StaticRuleId, String)>,
    /// The texts in here are noted under this rule.
    list: Option<StaticRuleId>,
}

impl Keys<'_> {
    fn note(&mut self, rule: StaticRuleId, text: String) {
        if self.found.len() < FOUND_MAX {
            self.found.push((rule, text));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        if let Some(rule) = self.list {
            self.note(rule, text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { found, list } = self;
        while items.next_element_seed(Keys { found: &mut *found, list })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let mut list = self.list;
            match key.as_str() {
                key if REMOTE_CODE.contains(&key) => list = Some(rule::REMOTE_CODE),
                // The template itself is long; that there is one is what matters.
                CHAT_TEMPLATE => self.note(rule::CHAT_TEMPLATE, String::new()),
                _ => {}
            }
            map.next_value_seed(Keys { found: &mut *self.found, list })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> usize {
        let mut config = Config::new(&Subject { path: None, member: None }, false);
        let mut report = Report::default();
        config.update(json.as_bytes(), &mut report);
        config.finish(&mut report);
        report.findings.len()
    }

    #[test]
    fn a_key_is_found_however_it_is_spelled() {
        for key in REMOTE_CODE.into_iter().chain([CHAT_TEMPLATE]) {
            assert_eq!(found(&format!("{{\"x\": [{{\"{key}\": {{\"a\": \"b\"}}}}]}}")), 1, "{key}");
            for (at, letter) in key.char_indices() {
                for escape in
                    [format!("\\u{:04x}", u32::from(letter)), format!("\\u{:04X}", u32::from(letter))]
                {
                    let spelled = format!("{}{escape}{}", &key[..at], &key[at + 1..]);
                    assert_eq!(found(&format!("{{\"{spelled}\": {{\"a\": \"b\"}}}}")), 1, "{spelled}");
                }
            }
            let spelled: String = key.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
            assert_eq!(found(&format!("{{\"{spelled}\": {{\"a\": \"b\"}}}}")), 1, "{spelled}");
        }
    }

    #[test]
    fn nothing_is_parsed_that_can_name_nothing() {
        for json in ["{\"a\": 1}", "{\"a\": \"\\u00e4\\n\"}", "{\"auto-map\": \"\\u4e00\"}", "\\u00"] {
            assert!(!may_name_code(json.as_bytes()), "{json}");
        }
    }
}
