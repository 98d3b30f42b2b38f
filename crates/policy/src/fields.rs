//! Fields of a descriptor by their paths: which there are, and whether a descriptor fills them.

use std::sync::LazyLock;

use consign_metadata::{Core, Details, descriptor_schema, did_you_mean};
use serde_json::Value;

/// Every path of a field that a descriptor can fill, such as `model_card.intended_use`.
static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let schema = descriptor_schema();
    let mut paths = Vec::new();
    collect(&schema, &schema, "", 0, &mut paths);
    paths
});

fn collect(root: &Value, node: &Value, prefix: &str, depth: usize, paths: &mut Vec<String>) {
    let node = match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap_or(node),
        None => node,
    };
    let Some(properties) = node.get("properties").and_then(Value::as_object) else { return };
    // Deeper than any record of a descriptor; a schema that refers to itself ends here.
    if depth > 4 {
        return;
    }
    for (name, property) in properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        collect(root, property, &path, depth + 1, paths);
        paths.push(path);
    }
}

/// Checks that a descriptor can fill the field at all.
pub(crate) fn check(path: &str) -> Result<(), String> {
    if PATHS.iter().any(|known| known == path) {
        return Ok(());
    }
    let near = did_you_mean(path, PATHS.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(format!("`{}` is not a field of a descriptor{near}", consign_metadata::printable(path)))
}

/// Which of the fields are empty.
pub(crate) fn missing<'p>(
    core: &Core,
    details: &Details,
    paths: impl Iterator<Item = &'p str>,
) -> Vec<&'p str> {
    // Serialising types of our own into a tree does not fail.
    let documents =
        [serde_json::to_value(core), serde_json::to_value(details)].map(Result::unwrap_or_default);
    let filled = |path: &str| {
        documents.iter().any(|document| {
            let found = path.split('.').try_fold(document, |value, name| value.get(name));
            match found {
                None | Some(Value::Null) => false,
                Some(Value::Array(items)) => !items.is_empty(),
                Some(Value::Object(members)) => !members.is_empty(),
                Some(_) => true,
            }
        })
    };
    let mut missing: Vec<&str> = Vec::new();
    for path in paths.filter(|path| !filled(path)) {
        if !missing.contains(&path) {
            missing.push(path);
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_descriptors() {
        for good in ["license", "model_card", "model_card.intended_use", "handling.encryption.at_rest"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert!(
            check("model_card.intended_uses").unwrap_err().contains("did you mean `model_card.intended_use`")
        );
        assert!(check("").is_err());
    }
}
