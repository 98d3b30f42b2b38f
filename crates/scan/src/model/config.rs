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
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let mut found = Vec::new();
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = Keys { found: &mut found, list: None }.deserialize(&mut json).and_then(|()| json.end());
        for (rule, text) in found {
            self.notes.add(report, rule, &text);
        }
        if read.is_err() && self.telling {
            if is_wide(bytes) {
                // Python reads it, and so does Keras: as a layer of code that it may hold.
                self.notes.add(
                    report,
                    rule::BAD_KERAS,
                    "is JSON in UTF-16 or UTF-32, which nobody looks into",
                );
            } else {
                self.notes.add(report, rule::BAD_CONFIG, "is not JSON");
            }
        }
    }
}

/// Whether Python takes JSON that begins so for UTF-16 or UTF-32 (`json.detect_encoding`): by its mark, or by the zeros
/// between ASCII.
fn is_wide(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || bytes.iter().take(4).any(|byte| *byte == 0)
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
                // Classes that are imported from files of the repository (`trust_remote_code`).
                "auto_map" | "custom_pipelines" => list = Some(rule::REMOTE_CODE),
                // The template itself is long; that there is one is what matters.
                "chat_template" => self.note(rule::CHAT_TEMPLATE, String::new()),
                _ => {}
            }
            map.next_value_seed(Keys { found: &mut *self.found, list })?;
        }
        Ok(())
    }
}
