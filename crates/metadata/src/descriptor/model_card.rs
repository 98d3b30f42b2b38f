//! What a model is for, how good it is, and where it fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;
use crate::decode::record;
use crate::text::{Line, Paragraph};

/// A model card, as far as it guides a receiver: use, limits, risks, data, measurements, deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// What it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended_use: Option<Paragraph>,
    /// What it must not be used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_scope: Option<Paragraph>,
    /// Known limitations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limitations: Option<Paragraph>,
    /// Known risks and failure modes, bias among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risks: Option<Paragraph>,
    /// The data that it was trained and tested on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sources: Option<Paragraph>,
    /// Measured quality.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evaluation: Vec<Evaluation>,
    /// Where it is deployed and how its outputs are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Paragraph>,
}

record!(ModelCard { intended_use, out_of_scope, limitations, risks, data_sources, evaluation, deployment });

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The dataset that it was measured on.
    pub dataset: Line,
    /// The part of the dataset, such as `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Line>,
    /// What was measured, such as `accuracy`.
    pub metric: Line,
    /// The measured value.
    pub value: Decimal,
}

record!(Evaluation { dataset, split, metric, value });
