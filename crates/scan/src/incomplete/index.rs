//! Which files an index of shards names: the values of `weight_map`, as `transformers` and `diffusers` write it for
//! safetensors, PyTorch, Flax and TensorFlow.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// It is no JSON, or `weight_map` is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The files that an index names; none, if it is an index of something else.
pub(super) fn shards(bytes: &[u8]) -> Result<BTreeSet<String>, Unreadable> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut shards = BTreeSet::new();
    let read = json.deserialize_any(Top(&mut shards)).and_then(|()| json.end());
    read.map_err(|_| Unreadable)?;
    Ok(shards)
}

/// The whole document. A key that stands twice counts twice: loaders differ in which they take.
struct Top<'a>(&'a mut BTreeSet<String>);

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "weight_map" {
                map.next_value_seed(Weights(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Each tensor's file; Flax has maps within maps.
struct Weights<'a>(&'a mut BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for Weights<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weights<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a file for each tensor")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        if !self.0.contains(name) {
            self.0.insert(name.to_owned());
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Weights(&mut *self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_c3_an_index_names_its_shards() {
        let names = |text: &str| shards(text.as_bytes()).map(|names| names.into_iter().collect::<Vec<_>>());
        assert_eq!(
            names(r#"{"metadata": {"total_size": 1}, "weight_map": {"a": "x", "b": "y", "c": "x"}}"#)
                .unwrap(),
            ["x", "y"]
        );
        assert_eq!(names(r#"{"weight_map": {"a": {"b": "x"}}}"#).unwrap(), ["x"]);
        assert_eq!(names(r#"{"weight_map": {"a": "x"}, "weight_map": {"a": "y"}}"#).unwrap(), ["x", "y"]);
        assert_eq!(names(r#"{"pages": ["x"]}"#).unwrap(), [""; 0]);
        assert_eq!(names(r#"[{"weight_map": 1}]"#).unwrap(), [""; 0]);
        for broken in ["", "x", "{", r#"{"weight_map": 1}"#, r#"{"weight_map": {"a": 1}}"#, "{} {}", "7"] {
            assert_eq!(names(broken), Err(Unreadable), "{broken}");
        }
    }
}
