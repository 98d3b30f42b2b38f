//! Free parameters of a training or generation run: any tree of plain values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::decode::{Decode, Decoder, Path};
use crate::text::{Line, PARAGRAPH_MAX, TextError, check_paragraph, text_type};
use crate::tree::{Node, Scalar, ScalarKind, Value, yaml};

/// Deepest nesting of lists and maps within one parameter.
pub const PARAMETER_DEPTH_MAX: usize = 16;

fn check_parameter_text(text: &str) -> Result<(), TextError> {
    if text.is_empty() { Ok(()) } else { check_paragraph(text) }
}

text_type! {
    /// Text of a parameter: as a [`Paragraph`](crate::Paragraph), or empty.
    ParameterText, TextError, check_parameter_text,
    schema: {"type": "string", "maxLength": PARAGRAPH_MAX}
}

/// The value of one parameter.
///
/// Numbers with a fraction, and whole numbers beyond 64 bits, are kept as text in their own spelling, since a
/// manifest holds integers only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Parameter {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text, among it decimal numbers.
    Text(ParameterText),
    /// Values in their order.
    List(Vec<Parameter>),
    /// Values by name.
    Map(BTreeMap<Line, Parameter>),
}

impl Decode for Parameter {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        decode(node, path, decoder, PARAMETER_DEPTH_MAX)
    }
}

fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>, depth: usize) -> Option<Parameter> {
    match &node.value {
        Value::Scalar(scalar) => decode_scalar(scalar, node, path, decoder),
        Value::List(_) | Value::Map(_) if depth == 0 => {
            let message = format!("is nested more than {PARAMETER_DEPTH_MAX} levels deep");
            decoder.report("too-deep", node, path, message, None);
            None
        }
        Value::List(items) => decoder
            .list(items, path, |item, path, decoder| decode(item, path, decoder, depth - 1))
            .map(Parameter::List),
        Value::Map(_) => decoder
            .map(node, path, |value, path, decoder| decode(value, path, decoder, depth - 1))
            .map(Parameter::Map),
    }
}

fn decode_scalar(
    scalar: &Scalar,
    node: &Node,
    path: &Path<'_>,
    decoder: &mut Decoder<'_>,
) -> Option<Parameter> {
    let kind = match scalar.kind {
        // Set from outside the file, where nothing can be quoted: what it looks like, but never nothing.
        ScalarKind::Override => match yaml::resolve(&scalar.text) {
            ScalarKind::Null => ScalarKind::Text,
            kind => kind,
        },
        kind => kind,
    };
    let text = match kind {
        ScalarKind::Null => {
            let hint = "leave the line out, or write the word in quotes: \"null\"";
            decoder.report("wrong-type", node, path, "has no value".into(), Some(hint.into()));
            return None;
        }
        ScalarKind::Bool => return Some(Parameter::Bool(scalar.text.eq_ignore_ascii_case("true"))),
        ScalarKind::Integer | ScalarKind::Float if scalar.text.parse::<crate::Decimal>().is_err() => {
            // `007`, `0x1F`, `.5` and `.inf` mean one thing to one reader and another to the next.
            let message =
                format!("`{}` is not spelled as a decimal number", crate::unicode::excerpt(&scalar.text));
            let hint = "write it as a decimal number such as 31 or 0.5, or in quotes to keep it as text";
            decoder.report("bad-value", node, path, message, Some(hint.into()));
            return None;
        }
        ScalarKind::Integer => match scalar.text.parse::<i64>() {
            // `-0` would come back as 0.
            Ok(number) if number.to_string() == scalar.text => return Some(Parameter::Integer(number)),
            _ => &scalar.text,
        },
        ScalarKind::Float | ScalarKind::Text | ScalarKind::Override => &scalar.text,
    };
    decoder.parse::<ParameterText>(text, node, path).map(Parameter::Text)
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bounded(PARAMETER_DEPTH_MAX).deserialize(deserializer)
    }
}

/// Reads a parameter that may still nest this deep.
#[derive(Clone, Copy)]
struct Bounded(usize);

impl Bounded {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let deeper = || E::custom(format!("parameters nest at most {PARAMETER_DEPTH_MAX} levels deep"));
        self.0.checked_sub(1).map(Self).ok_or_else(deeper)
    }
}

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = Parameter;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parameter, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Parameter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, a whole number, text, a list or a map")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Parameter, E> {
        Ok(Parameter::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Parameter, E> {
        Ok(Parameter::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Parameter, E> {
        let number =
            i64::try_from(value).map_err(|_| E::custom("numbers beyond 64 bits are written as text"))?;
        Ok(Parameter::Integer(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Parameter, E> {
        value.parse().map(Parameter::Text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Parameter, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Parameter::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Parameter, A::Error> {
        let inner = self.inner()?;
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<Line>()? {
            let value = entries.next_value_seed(inner)?;
            if let Some(_twice) = map.insert(key, value) {
                return Err(A::Error::custom("a parameter stands twice"));
            }
        }
        Ok(Parameter::Map(map))
    }
}

impl JsonSchema for Parameter {
    fn schema_name() -> Cow<'static, str> {
        "Parameter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let this = generator.subschema_for::<Self>();
        let number = if generator.contract().is_serialize() { "integer" } else { "number" };
        json_schema!({
            "description": "A plain value: true or false, a number, text, or a list or map of plain values.",
            "anyOf": [
                {"type": ["boolean", number]},
                {"type": "string", "maxLength": PARAGRAPH_MAX},
                {"type": "array", "items": this},
                {"type": "object", "additionalProperties": this},
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let text = r#"{"a":true,"b":-3,"c":"0.10","d":[1,"",{"e":[]}]}"#;
        let value: Parameter = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }

    #[test]
    fn what_a_manifest_cannot_hold_is_refused() {
        let deep = format!("{}{}", "[".repeat(PARAMETER_DEPTH_MAX + 1), "]".repeat(PARAMETER_DEPTH_MAX + 1));
        for text in ["1.5", "null", "18446744073709551615", r#"{"a":1,"a":2}"#, r#""\u0000""#, &deep] {
            assert!(serde_json::from_str::<Parameter>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Parameter>(&deep[1..deep.len() - 1]).is_ok());
    }
}
