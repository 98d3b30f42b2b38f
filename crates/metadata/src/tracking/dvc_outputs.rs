//! What files of DVC say about the data that they stand for: `X.dvc`, and `dvc.lock` of a pipeline.

use crate::tree::{Node, Value, yaml};

/// Longest file of DVC that is read, in bytes.
pub const DVC_BYTES_MAX: usize = 4 << 20;

/// Data that DVC keeps elsewhere, and puts at a place of the directory when it is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DvcOutput {
    /// The place, relative to the folder of the file; or an address.
    pub path: String,
    /// How many files there are, where it is a folder of so many.
    pub files: Option<u64>,
}

/// The outputs that a `.dvc` file or a `dvc.lock` names; `None` if it cannot be read as one.
///
/// ```
/// let text = "outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  size: 14445097\n  path: data.xml\n";
/// let outputs = consign_metadata::dvc_outputs(text).expect("it is one");
/// assert_eq!(outputs[0].path, "data.xml");
/// assert!(consign_metadata::dvc_outputs("outs: {").is_none());
/// ```
pub fn dvc_outputs(text: &str) -> Option<Vec<DvcOutput>> {
    if text.len() > DVC_BYTES_MAX {
        return None;
    }
    let file = yaml::parse_foreign(text).ok()?;
    let Value::Map(entries) = &file.value else { return None };
    let mut outputs = Vec::new();
    add(&file, &mut outputs)?;
    // Since schema 2.0 the stages stand below a key, before they stood by themselves.
    let stages = file.get("stages");
    let stages = match stages.map(|stages| &stages.value) {
        Some(Value::Map(stages)) => stages,
        Some(_) if !stages.is_some_and(Node::is_null) => return None,
        _ => entries,
    };
    for stage in stages.iter().filter(|stage| matches!(stage.node.value, Value::Map(_))) {
        add(&stage.node, &mut outputs)?;
    }
    Some(outputs)
}

/// Adds what stands in the `outs` of a stage.
fn add(stage: &Node, outputs: &mut Vec<DvcOutput>) -> Option<()> {
    let Some(outs) = stage.get("outs").filter(|outs| !outs.is_null()) else { return Some(()) };
    let Value::List(outs) = &outs.value else { return None };
    let base = stage.get("wdir").and_then(Node::text).unwrap_or_default();
    for out in outs {
        let path = out.get("path").and_then(Node::text)?;
        let path =
            if base.is_empty() || path.contains("://") { path.to_owned() } else { format!("{base}/{path}") };
        let files = out.get("nfiles").and_then(Node::text).and_then(|number| number.parse().ok());
        outputs.push(DvcOutput { path, files });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Option<Vec<String>> {
        Some(dvc_outputs(text)?.into_iter().map(|output| output.path).collect())
    }

    #[test]
    fn field_c3_outputs_of_dvc_are_read() {
        assert_eq!(paths("wdir: ../x\nouts:\n- path: a\n  nfiles: 3\n").unwrap(), ["../x/a"]);
        let lock = "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    deps:\n    - path: d\n    outs:\n    - path: m\n";
        assert_eq!(paths(lock).unwrap(), ["m"]);
        assert_eq!(paths("train:\n  cmd: x\n  outs:\n  - path: m\n").unwrap(), ["m"]);
        assert_eq!(paths("outs:\n- {path: s3://b/x}\n").unwrap(), ["s3://b/x"]);
        assert_eq!(paths("deps: []\n").unwrap(), [""; 0]);
        for broken in ["", "- a", "outs: x", "outs:\n- md5: x\n", "outs: [", "stages: [1]\n"] {
            assert_eq!(paths(broken), None, "{broken}");
        }
    }
}
