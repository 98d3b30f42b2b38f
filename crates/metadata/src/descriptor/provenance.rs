//! Where the content of a bundle comes from: sources, transformations, pipeline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::record;
use crate::digest::Sha256Digest;
use crate::text::{Line, Paragraph};
use crate::time::{Date, Timestamp};
use crate::uri::{CommitId, Uri};

/// The lineage of the content: original sources, what was done to them, and by which pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Original sources of data, models or code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// What was done to them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transformations: Vec<Transformation>,
    /// The build or training pipeline that made the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Pipeline>,
}

record!(Provenance { sources, transformations, pipeline });

/// An original source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where it is.
    pub uri: Uri,
    /// SHA-256 of what was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
    /// Its licence, best as an SPDX identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<Line>,
    /// The day on which it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieved: Option<Date>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraph>,
}

record!(Source { uri, sha256, license, retrieved, description });

/// One step from sources to content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transformation {
    /// The tool or script.
    pub tool: Line,
    /// Version of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Line>,
    /// What it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraph>,
    /// What went in: paths, URIs or names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Line>,
    /// What came out: paths, URIs or names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Line>,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

record!(Transformation { tool, version, description, inputs, outputs, time });

/// A build or training pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The system, such as `GitLab CI`, `SLURM` or `Airflow`.
    pub system: Line,
    /// The pipeline in that system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Line>,
    /// The run of the pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Line>,
    /// Where the run can be looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<Uri>,
    /// The commit that the pipeline ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
}

record!(Pipeline { system, id, run, uri, commit });
