//! How the content of a bundle came about: the run that trained, generated or computed it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parameter::Parameter;
use crate::decode::record;
use crate::digest::Sha256Digest;
use crate::text::{Line, Paragraph};
use crate::time::Timestamp;
use crate::uri::{CommitId, Repository};

/// The run that trained a model, generated a dataset or computed a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// What was done, in a few sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Paragraph>,
    /// Job or run, as the scheduler or tracking system names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Line>,
    /// When the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// Framework and version, such as `PyTorch 2.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<Line>,
    /// Hardware, such as `8 × A100 80 GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Line>,
    /// The code that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Files that configured the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configuration: Vec<ConfigurationFile>,
    /// Parameters of the run, such as learning rate and seed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<Line, Parameter>,
}

record!(Training { summary, job, started, finished, framework, hardware, code, configuration, parameters });

/// The code of a run, as a version-control system knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Where the repository is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// The commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Whether files differed from that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
}

record!(Code { repository, commit, dirty });

/// A file that configured a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationFile {
    /// Its path, in the bundle or in the repository of the code.
    pub path: Line,
    /// Its SHA-256, for a file that is not in the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
}

record!(ConfigurationFile { path, sha256 });
