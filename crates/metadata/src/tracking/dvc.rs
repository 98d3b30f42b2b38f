//! Pipelines of DVC: stages, parameters and metrics that its files name.

use super::{Files, Parameters, Tracked, listed, names_a_home, parameter_of, text};
use crate::decimal::Decimal;
use crate::descriptor::{Evaluation, Transformation};
use crate::problem::Problem;
use crate::text::Line;
use crate::tree::{Entry, Node, Value, json, yaml};
use crate::unicode::excerpt;

/// What `dvc.yaml`, `params.yaml` and `metrics.json` at the top of a directory say. The latter two are DVC's only beside
/// one of its own files.
pub(super) fn read(files: &dyn Files) -> Option<Tracked> {
    let names = files.names();
    let has = |name: &str| names.contains(&name);
    if !["dvc.yaml", "dvc.lock", ".dvc/config", ".dvcignore"].iter().any(|name| has(name)) {
        return None;
    }
    let mut tracked = Tracked { from: "DVC".into(), ..Tracked::default() };
    if has("dvc.yaml") {
        read_stages(files, &mut tracked);
    }
    if has("params.yaml") {
        let tree = tree(files, "params.yaml", yaml::parse_foreign, &mut tracked);
        let mut parameters = Parameters::default();
        for Entry { key, node, .. } in entries(tree.as_ref()) {
            parameters.add(key, parameter_of(node));
        }
        tracked.draft.training.parameters = parameters.close("params.yaml", &mut tracked.warnings);
    }
    if has("metrics.json") {
        let tree = tree(files, "metrics.json", json::parse, &mut tracked);
        read_metrics(tree.as_ref(), &mut tracked);
    }
    if has("dvc.yaml") && !has("dvc.lock") {
        let message = "names the stages, and without dvc.lock nothing says what they ran on";
        tracked
            .warnings
            .push(Problem::new("no-lock", message).at("dvc.yaml").hint("run `dvc repro` or `dvc commit`"));
    }
    Some(tracked)
}

fn tree(
    files: &dyn Files,
    name: &str,
    parse: fn(&str) -> Result<Node, Problem>,
    tracked: &mut Tracked,
) -> Option<Node> {
    let problem = match text(files, name).map(|text| parse(&text)) {
        Some(Ok(tree)) if matches!(tree.value, Value::Map(_)) || tree.is_null() => return Some(tree),
        Some(Err(problem)) => Problem { line: problem.line, ..not_taken(name, &problem.message) },
        _ => not_taken(name, "it is no map of fields in UTF-8"),
    };
    tracked.warnings.push(problem);
    None
}

fn not_taken(place: &str, why: &str) -> Problem {
    Problem::new("not-taken-over", format!("is not taken over: {why}")).at(place)
}

fn entries(tree: Option<&Node>) -> &[Entry] {
    match tree.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

/// Every stage with one command is a transformation with its inputs and outputs.
fn read_stages(files: &dyn Files, tracked: &mut Tracked) {
    let tree = tree(files, "dvc.yaml", yaml::parse_foreign, tracked);
    let stages = tree.as_ref().and_then(|tree| tree.get("stages"));
    let (mut odd, mut of_a_home) = (Vec::new(), Vec::new());
    for Entry { key, node, .. } in entries(stages) {
        match stage(node) {
            Some(stage) if names_home(&stage) => of_a_home.push(excerpt(key)),
            Some(stage) => tracked.draft.provenance.transformations.push(stage),
            None => odd.push(excerpt(key)),
        }
    }
    let mut tell = |stages: &[String], why: &str| {
        if !stages.is_empty() {
            let message = format!("{} not taken over: {why}", listed(stages));
            tracked.warnings.push(Problem::new("not-taken-over", message).at("dvc.yaml"));
        }
    };
    tell(&of_a_home, "it names somebody's home directory");
    tell(&odd, "it is not one command with files that it reads and writes");
}

fn stage(node: &Node) -> Option<Transformation> {
    // What `foreach` and `matrix` stand for is not read, nor are several commands.
    if node.get("foreach").or_else(|| node.get("matrix")).is_some() {
        return None;
    }
    let command = node.get("cmd").and_then(Node::text)?;
    let tool: Line = command.split_whitespace().collect::<Vec<_>>().join(" ").parse().ok()?;
    let paths = |key: &str| -> Option<Vec<Line>> {
        let Some(list) = node.get(key) else { return Some(Vec::new()) };
        let Value::List(items) = &list.value else { return None };
        items.iter().map(|item| path(item)?.parse().ok()).collect()
    };
    let mut outputs = paths("outs")?;
    outputs.extend(paths("metrics")?);
    Some(Transformation {
        tool,
        version: None,
        description: None,
        inputs: paths("deps")?,
        outputs,
        time: None,
    })
}

/// A path, alone or with options below it.
fn path(item: &Node) -> Option<&str> {
    match &item.value {
        Value::Map(entries) => entries.first().filter(|_| entries.len() == 1).map(|entry| entry.key.as_str()),
        _ => item.text(),
    }
}

fn names_home(stage: &Transformation) -> bool {
    let lines = stage.inputs.iter().chain(&stage.outputs).chain([&stage.tool]);
    lines.into_iter().any(|line| names_a_home(line.as_str()))
}

/// Numbers by name, at any depth.
fn read_metrics(tree: Option<&Node>, tracked: &mut Tracked) {
    let Some(tree) = tree else { return };
    let Ok(dataset) = "not named; in metrics.json of DVC".parse::<Line>() else { return };
    let mut odd = Vec::new();
    let mut open = vec![(String::new(), tree)];
    while let Some((name, node)) = open.pop() {
        if let Value::Map(entries) = &node.value {
            for entry in entries.iter().rev() {
                let dot = if name.is_empty() { "" } else { "." };
                open.push((format!("{name}{dot}{}", entry.key), &entry.node));
            }
            continue;
        }
        let value = node.text().and_then(|text| text.parse::<Decimal>().ok());
        match (name.parse::<Line>(), value) {
            (Ok(metric), Some(value)) if tracked.draft.model_card.evaluation.len() < super::TAKEN_MAX => {
                let measured = Evaluation { dataset: dataset.clone(), split: None, metric, value };
                tracked.draft.model_card.evaluation.push(measured);
            }
            _ => odd.push(excerpt(&name)),
        }
    }
    if !odd.is_empty() {
        let message = format!("{} not taken over: it is not a number", listed(&odd));
        tracked.warnings.push(Problem::new("not-taken-over", message).at("metrics.json"));
    }
    if !tracked.draft.model_card.evaluation.is_empty() {
        let note =
            "DVC does not say what the metrics under model_card.evaluation were measured on: name it there";
        tracked.draft.notes.extend(note.parse().ok());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    const STAGES: &str = "stages:\n  prepare:\n    cmd: python prepare.py data\n    deps: [data/raw.csv, {src.py: {}}]\n    \
                          outs:\n    - data/clean.csv:\n        cache: false\n  train:\n    cmd: >-\n      python\n      train.py\n    \
                          params: [seed]\n    deps: [data/clean.csv]\n    metrics: [metrics.json]\n  each:\n    foreach: [a]\n    do: {cmd: x}\n  \
                          two:\n    cmd: [a, b]\n  mine:\n    cmd: python /home/ada/x.py\n";

    #[test]
    fn field_c4_stages_parameters_and_metrics_of_dvc_are_taken_over() {
        let folder = Folder::of(&[
            ("dvc.yaml", STAGES),
            ("dvc.lock", "schema: '2.0'\n"),
            (
                "params.yaml",
                "seed: 7\nlr: 0.10\nmodel: {depth: 3, path: x}\ndata: {path: /home/ada/x}\nnothing:\n",
            ),
            (
                "metrics.json",
                "{\"acc\": 0.9310, \"val\": {\"loss\": 1e-3}, \"curve\": [1, 2], \"who\": \"x\"}",
            ),
        ]);
        let tracked = read(&folder).unwrap();
        let stages = &tracked.draft.provenance.transformations;
        let shown: Vec<_> = stages
            .iter()
            .map(|s| {
                (s.tool.as_str(), s.inputs.len(), s.outputs.iter().map(Line::as_str).collect::<Vec<_>>())
            })
            .collect();
        let expected = [
            ("python prepare.py data", 2, vec!["data/clean.csv"]),
            ("python train.py", 1, vec!["metrics.json"]),
        ];
        assert_eq!(shown, expected);
        let parameters = serde_json::to_value(&tracked.draft.training.parameters).unwrap();
        let expected = serde_json::json!({"seed": 7, "lr": "0.10", "model": {"depth": 3, "path": "x"}});
        assert_eq!(parameters, expected);
        let measured: Vec<_> = tracked
            .draft
            .model_card
            .evaluation
            .iter()
            .map(|m| (m.metric.as_str(), m.value.as_str()))
            .collect();
        assert_eq!(measured, [("acc", "0.9310"), ("val.loss", "1e-3")]);
        let shown: Vec<_> = tracked.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "dvc.yaml: `mine` not taken over: it names somebody's home directory",
                "dvc.yaml: `each`, `two` not taken over: it is not one command with files that it reads and writes",
                "params.yaml: `data` not taken over: it names somebody's home directory",
                "params.yaml: `nothing` not taken over: a descriptor has no such value",
                "metrics.json: `curve`, `who` not taken over: it is not a number",
            ]
        );
    }

    #[test]
    fn field_c4_what_of_dvc_cannot_be_read_is_told() {
        assert!(read(&Folder::of(&[("params.yaml", "a: 1\n"), ("metrics.json", "{}")])).is_none());
        for odd in ["- a\n", "stages: [", "a: !x y\n"] {
            let tracked =
                read(&Folder::of(&[("dvc.yaml", odd), ("dvc.lock", ""), ("metrics.json", "[")])).unwrap();
            assert_eq!(tracked.draft, crate::Draft::default());
            assert_eq!(tracked.warnings.len(), 2, "{odd}: {:?}", tracked.warnings);
        }
        let tracked = read(&Folder::of(&[("dvc.yaml", "stages:\n")])).unwrap();
        assert_eq!(tracked.warnings[0].code, "no-lock");
    }
}
