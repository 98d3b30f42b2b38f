//! Everything that a descriptor says beyond the frozen core.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::data::Data;
use super::handling::Handling;
use super::model_card::ModelCard;
use super::provenance::Provenance;
use super::training::Training;
use crate::decode::{Decode, Decoder, Path, missing};
use crate::problem::did_you_mean;
use crate::text::{Line, Paragraph};
use crate::tree::Node;

/// What a descriptor says beyond the [`Core`](crate::Core). Later versions of consign may say more, under a
/// higher schema number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// Number of this schema of details.
    pub schema: DetailsSchema,
    /// What the bundle holds.
    pub kind: Kind,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Line>,
    /// What the bundle is, in a few sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraph>,
    /// What kinds of data it holds, by the names that the handling policy gives them, such as
    /// `chemistry/experimental-data`. The policy says how they must be classified at least.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Line>,
    /// How the content was trained, generated or computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// Where the content comes from and what was done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// What the model is for, how good it is, and what it must not be used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_card: Option<ModelCard>,
    /// How data came about, what they cover, what their tables hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// How the bundle must be stored, sent and shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handling: Option<Handling>,
}

/// The schema number of [`Details`]: always 1 here. Another number is an error, so that no reader takes a later
/// schema for this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DetailsSchema;

impl DetailsSchema {
    /// The number.
    pub const NUMBER: u32 = 1;
}

impl Serialize for DetailsSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for DetailsSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            other => Err(serde::de::Error::custom(format!(
                "descriptor schema {other} is not known to this version of consign, which knows schema {}",
                Self::NUMBER
            ))),
        }
    }
}

impl JsonSchema for DetailsSchema {
    fn schema_name() -> Cow<'static, str> {
        "DetailsSchema".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"const": Self::NUMBER, "description": "The schema number of the details."})
    }
}

/// What a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A trained model: weights, configuration, tokenizer.
    Model,
    /// Data, measured, simulated or collected.
    Dataset,
    /// Code, pipelines and configurations that do something.
    Workflow,
    /// More than one of these.
    Mixed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Model, Self::Dataset, Self::Workflow, Self::Mixed];

    /// The word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Workflow => "workflow",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

const KINDS: &str = "one of model, dataset, workflow, mixed";

impl Decode for Kind {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            decoder.wrong_type(KINDS, node, path, None);
            return None;
        };
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.as_str() == text) {
            return Some(kind);
        }
        let message = format!("`{}` is not {KINDS}", crate::unicode::excerpt(text));
        let short = text.chars().take(64).collect::<String>().to_lowercase();
        let near = did_you_mean(&short, Self::ALL.map(Self::as_str));
        let hint = near.map(|kind| format!("did you mean `{kind}`?"));
        decoder.report("bad-value", node, path, message, hint);
        None
    }

    fn absent(path: &Path<'_>, line: Option<usize>, decoder: &mut Decoder<'_>) -> Option<Self> {
        decoder.push(missing(path, line, Some(KINDS.into())));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_schema_is_not_taken_for_this_one() {
        assert!(serde_json::from_str::<Details>(r#"{"schema":1,"kind":"model"}"#).is_ok());
        for bad in
            [r#"{"schema":2,"kind":"model"}"#, r#"{"kind":"model"}"#, r#"{"schema":1,"kind":"model","x":1}"#]
        {
            assert!(serde_json::from_str::<Details>(bad).is_err(), "{bad}");
        }
    }
}
