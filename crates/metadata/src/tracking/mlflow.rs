//! Runs and models of MLflow, as its file store keeps them.
//!
//! A run is a folder with `meta.yaml`, and `params/`, `metrics/` and `tags/` with one file for each; a model is a folder
//! with `MLmodel` (`mlflow/store/tracking/file_store.py`, `mlflow/models/model.py`).

use super::{Files, Parameters, TAKEN_MAX, Tracked, listed, names_a_home, parameter, personal, text};
use crate::decimal::Decimal;
use crate::descriptor::{Evaluation, Kind};
use crate::problem::Problem;
use crate::text::{Line, suggest_name};
use crate::tree::{Node, Value, yaml};
use crate::unicode::excerpt;

/// Most files that are looked at for being those of a run.
const LOOKED_AT_MAX: usize = 1000;

/// What a run or a model in a directory says.
pub(super) fn read(files: &dyn Files) -> Option<Tracked> {
    let names = files.names();
    let run = Run::at_the_top(files, &names);
    let runs = if run.is_some() { Vec::new() } else { folders_of_runs(files, &names) };
    let model = names
        .iter()
        .copied()
        .filter(|name| name.rsplit('/').next() == Some("MLmodel"))
        .filter(|name| !runs.iter().any(|run| name.starts_with(run)))
        .min_by_key(|name| (name.matches('/').count(), *name));
    if run.is_none() && model.is_none() {
        return several_runs(runs.len());
    }
    let mut tracked = Tracked { from: "MLflow".into(), ..Tracked::default() };
    if let Some(run) = &run {
        run.read_into(&names, &mut tracked);
    }
    if let Some(model) = model {
        read_model(files, model, run.is_some(), &mut tracked);
    }
    let of_a_person: Vec<String> = holders(files, &names);
    tracked
        .warnings
        .extend(personal(&of_a_person, "name the user who ran this or somebody's home directory"));
    Some(tracked)
}

/// The folders of runs below the directory, each with a `/` at its end.
fn folders_of_runs<'n>(files: &dyn Files, names: &[&'n str]) -> Vec<&'n str> {
    let candidates = names.iter().filter(|name| name.ends_with("/meta.yaml")).take(LOOKED_AT_MAX);
    candidates
        .filter(|name| meta(files, name).is_some())
        .filter_map(|name| name.strip_suffix("meta.yaml"))
        .collect()
}

/// A folder of runs is not one of them.
fn several_runs(runs: usize) -> Option<Tracked> {
    let message = format!(
        "there are MLflow runs here ({runs}), and a bundle is described as one: nothing of them is taken over"
    );
    let hint = "describe and pack each run's own folder";
    (runs > 0).then(|| Tracked {
        from: "MLflow".into(),
        warnings: vec![Problem::new("several-runs", message).hint(hint)],
        ..Tracked::default()
    })
}

/// The `meta.yaml` of a run: that of an experiment has no run in it.
fn meta(files: &dyn Files, name: &str) -> Option<Node> {
    let tree = yaml::parse_foreign(&text(files, name)?).ok()?;
    let is_run = ["run_id", "run_uuid"].iter().any(|key| tree.get(key).is_some())
        && tree.get("experiment_id").is_some();
    is_run.then_some(tree)
}

/// A run whose folder is the directory.
struct Run<'f> {
    files: &'f dyn Files,
    meta: Node,
}

impl<'f> Run<'f> {
    fn at_the_top(files: &'f dyn Files, names: &[&str]) -> Option<Self> {
        let meta = names.contains(&"meta.yaml").then(|| meta(files, "meta.yaml")).flatten()?;
        Some(Self { files, meta })
    }

    fn tag(&self, name: &str) -> Option<String> {
        let text = text(self.files, &format!("tags/{name}"))?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn said(&self, key: &str) -> Option<&str> {
        self.meta.get(key).and_then(Node::text).map(str::trim).filter(|text| !text.is_empty())
    }

    fn read_into(&self, names: &[&str], tracked: &mut Tracked) {
        let name = self.tag("mlflow.runName").or_else(|| self.said("run_name").map(str::to_owned));
        let draft = &mut tracked.draft;
        draft.name = name.as_deref().and_then(suggest_name).and_then(|name| name.parse().ok());
        draft.title = name.as_deref().and_then(|name| name.parse().ok());
        let note = self.tag("mlflow.note.content").filter(|note| !names_a_home(note));
        draft.description = note.and_then(|note| note.parse().ok());
        let run_id = self.said("run_id").or_else(|| self.said("run_uuid"));
        draft.training.job = run_id.and_then(|id| format!("MLflow run {id}").parse().ok());
        draft.training.started = self.said("start_time").and_then(timestamp);
        draft.training.finished = self.said("end_time").and_then(timestamp);
        self.read_code(tracked);
        let mut parameters = Parameters::default();
        for (name, text) in self.below(names, "params/") {
            // An empty parameter is one, to MLflow as here.
            parameters.add(&name, parameter(text.trim_end_matches('\n')));
        }
        tracked.draft.training.parameters = parameters.close("params", &mut tracked.warnings);
        self.read_metrics(names, name.as_deref(), tracked);
    }

    fn read_code(&self, tracked: &mut Tracked) {
        let commit = self.tag("mlflow.source.git.commit");
        let repository = self.tag("mlflow.source.git.repoURL").filter(|address| !names_a_home(address));
        let commit = commit.and_then(|commit| match commit.parse() {
            Ok(commit) => Some(commit),
            Err(_) => {
                let message = format!("is no full commit id, and is not taken over: `{}`", excerpt(&commit));
                let problem = Problem::new("not-taken-over", message).at("tags/mlflow.source.git.commit");
                tracked.warnings.push(problem);
                None
            }
        });
        let code = crate::Code {
            repository: repository.and_then(|address| address.parse().ok()),
            commit,
            dirty: None,
        };
        if code != crate::Code::default() {
            tracked.draft.training.code = Some(code);
        }
    }

    /// The files below a folder with their texts.
    fn below(&self, names: &[&str], folder: &str) -> Vec<(String, String)> {
        let inside = names.iter().filter_map(|name| Some((name, name.strip_prefix(folder)?)));
        inside.filter_map(|(name, rest)| Some((rest.to_owned(), text(self.files, name)?))).collect()
    }

    /// Of each metric the value that MLflow shows: that of the last step, and there the latest.
    fn read_metrics(&self, names: &[&str], run_name: Option<&str>, tracked: &mut Tracked) {
        let what =
            run_name.map_or_else(|| "an MLflow run".to_owned(), |name| format!("the MLflow run {name}"));
        let dataset: Option<Line> = format!("not named; logged by {what}").parse().ok();
        let Some(dataset) = dataset else { return };
        let (mut odd, mut of_machine, mut more) = (Vec::new(), 0_usize, 0_usize);
        for (name, text) in self.below(names, "metrics/") {
            if name.starts_with("system/") {
                of_machine += 1;
                continue;
            }
            let value = last_value(&text).and_then(|value| value.parse::<Decimal>().ok());
            match (name.parse::<Line>(), value) {
                (Ok(_), Some(_)) if tracked.draft.model_card.evaluation.len() >= TAKEN_MAX => more += 1,
                (Ok(metric), Some(value)) => {
                    let measured = Evaluation { dataset: dataset.clone(), split: None, metric, value };
                    tracked.draft.model_card.evaluation.push(measured);
                }
                _ => odd.push(excerpt(&name)),
            }
        }
        let mut tell = |message: String| {
            tracked.warnings.push(Problem::new("not-taken-over", message).at("metrics"));
        };
        if !odd.is_empty() {
            tell(format!("{} not taken over: the last value is not a number", listed(&odd)));
        }
        if of_machine > 0 {
            tell(format!("{of_machine} metrics of the machine (`system/…`) are not taken over"));
        }
        if more > 0 {
            tell(format!("{more} more metrics are not taken over"));
        }
        if !tracked.draft.model_card.evaluation.is_empty() {
            let note = "MLflow does not say what the metrics under model_card.evaluation were measured on: name it there";
            tracked.draft.notes.extend(note.parse().ok());
        }
    }
}

/// The value with the highest step, then time, then place in a metric's file: lines of time, value and step.
fn last_value(text: &str) -> Option<&str> {
    let mut last: Option<((i64, i64), &str)> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_ascii_whitespace();
        let time: i64 = words.next()?.parse().ok()?;
        let value = words.next()?;
        let step: i64 = words.next().map_or(Some(0), |step| step.parse().ok())?;
        if last.is_none_or(|(at, _)| at <= (step, time)) {
            last = Some(((step, time), value));
        }
    }
    last.map(|(_, value)| value)
}

/// Milliseconds since 1970 as a time.
fn timestamp(text: &str) -> Option<crate::Timestamp> {
    let time = chrono::DateTime::from_timestamp_millis(text.parse().ok()?)?;
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string().parse().ok()
}

/// What an `MLmodel` says that the run does not.
fn read_model(files: &dyn Files, name: &str, in_run: bool, tracked: &mut Tracked) {
    let unreadable = |tracked: &mut Tracked, message: String| {
        tracked.warnings.push(Problem::new("not-taken-over", message).at(name));
    };
    let tree = match text(files, name).map(|text| yaml::parse_foreign(&text)) {
        Some(Ok(tree)) if matches!(tree.value, Value::Map(_)) => tree,
        Some(Err(problem)) => {
            return unreadable(tracked, format!("is not read: {}", problem.message));
        }
        _ => return unreadable(tracked, "is not read: it is no map of fields in UTF-8".into()),
    };
    tracked.draft.kind = Some(Kind::Model);
    let said = |key: &str| tree.get(key).and_then(Node::text);
    if !in_run {
        tracked.draft.training.job = said("run_id").and_then(|id| format!("MLflow run {id}").parse().ok());
        let model_name = said("name").or_else(|| said("artifact_path")).filter(|path| !names_a_home(path));
        // `model` is what everybody calls it, and an address names its own place.
        let model_name = model_name.filter(|name| *name != "model" && !name.contains(['/', ':']));
        tracked.draft.name = model_name.and_then(suggest_name).and_then(|name| name.parse().ok());
    }
    let Some(Value::Map(flavors)) = tree.get("flavors").map(|node| &node.value) else { return };
    let framework = flavors.iter().filter(|entry| entry.key != "python_function").find_map(|entry| {
        let version = entry.node.get(&format!("{}_version", entry.key)).and_then(Node::text);
        let flavor = if entry.key == "sklearn" { "scikit-learn" } else { entry.key.as_str() };
        version.map_or_else(|| flavor.parse(), |version| format!("{flavor} {version}").parse()).ok()
    });
    tracked.draft.training.framework = framework;
}

/// Files of a run or a model that name a user or a home.
fn holders(files: &dyn Files, names: &[&str]) -> Vec<String> {
    let mut holders = Vec::new();
    for name in names {
        let last = name.rsplit('/').next().unwrap_or(name);
        let is_ours = matches!(last, "meta.yaml" | "MLmodel")
            || ["tags/", "params/", "inputs/", "outputs/"].iter().any(|folder| name.starts_with(folder));
        if !is_ours {
            continue;
        }
        let Some(text) = text(files, name) else { continue };
        let user = |line: &str| line.strip_prefix("user_id:").is_some_and(|user| user.trim().len() > 2);
        let names_user = *name == "tags/mlflow.user" && !text.trim().is_empty();
        if names_user || names_a_home(&text) || (last == "meta.yaml" && text.lines().any(user)) {
            holders.push((*name).to_owned());
        }
    }
    holders
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    const META: &str = "artifact_uri: file:///home/ada/mlruns/1/0f/artifacts\nend_time: 1700000100500\n\
                        experiment_id: '1'\nrun_id: 0f0f\nrun_name: bold-fox-12\nsource_name: ''\n\
                        start_time: 1700000000000\nstatus: 3\nuser_id: ada\n";

    #[test]
    fn field_c4_a_run_is_named_and_its_parameters_metrics_and_commit_are_used() {
        let commit = "c".repeat(40);
        let folder = Folder::of(&[
            ("meta.yaml", META),
            ("params/lr", "0.01"),
            ("params/seed", "7\n"),
            ("params/model/depth", "3"),
            ("params/data", "/home/ada/data.csv"),
            ("params/none", ""),
            ("metrics/loss", "1700000000001 0.9 0\n1700000000003 0.25 2\n1700000000002 0.5 1\n"),
            ("metrics/val/acc", "1700000000001 0.9310 0 ds digest\n"),
            ("metrics/bad", "1700000000001 nan 0\n"),
            ("metrics/empty", ""),
            ("metrics/system/cpu", "1 2 3\n"),
            ("tags/mlflow.user", "ada"),
            ("tags/mlflow.source.name", "/home/ada/train.py"),
            ("tags/mlflow.source.git.commit", &commit),
            ("tags/mlflow.runName", "Bold Fox"),
            (
                "artifacts/model/MLmodel",
                "artifact_path: model\nflavors:\n  python_function: {loader_module: x}\n  sklearn:\n    sklearn_version: 1.5.0\n",
            ),
        ]);
        let tracked = read(&folder).unwrap();
        let draft = &tracked.draft;
        assert_eq!(draft.name.as_ref().unwrap().as_str(), "bold-fox");
        assert_eq!(draft.title.as_ref().unwrap().as_str(), "Bold Fox");
        assert_eq!(draft.kind, Some(Kind::Model));
        let training = &draft.training;
        assert_eq!(training.job.as_ref().unwrap().as_str(), "MLflow run 0f0f");
        assert_eq!(training.started.as_ref().unwrap().as_str(), "2023-11-14T22:13:20Z");
        assert_eq!(training.finished.as_ref().unwrap().as_str(), "2023-11-14T22:15:00Z");
        assert_eq!(training.framework.as_ref().unwrap().as_str(), "scikit-learn 1.5.0");
        assert_eq!(training.code.as_ref().unwrap().commit.as_ref().unwrap().as_str(), commit);
        let parameters = serde_json::to_value(&training.parameters).unwrap();
        let expected = serde_json::json!({"lr": "0.01", "model/depth": 3, "none": "", "seed": 7});
        assert_eq!(parameters, expected);
        let measured: Vec<_> =
            draft.model_card.evaluation.iter().map(|m| (m.metric.as_str(), m.value.as_str())).collect();
        assert_eq!(measured, [("loss", "0.25"), ("val/acc", "0.9310")]);
        let shown: Vec<_> = tracked.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "params: `data` not taken over: it names somebody's home directory",
                "metrics: `bad`, `empty` not taken over: the last value is not a number",
                "metrics: 1 metrics of the machine (`system/…`) are not taken over",
                "`meta.yaml`, `params/data`, `tags/mlflow.source.name`, `tags/mlflow.user` name the user who \
                 ran this or somebody's home directory, which will be packed with them",
            ]
        );
        assert!(!draft.to_yaml().contains("ada"), "{}", draft.to_yaml());
    }

    #[test]
    fn field_c4_a_model_alone_and_a_folder_of_runs() {
        let model = "artifact_path: churn\nrun_id: '12'\nflavors:\n  pytorch: {pytorch_version: 2.4.0}\n";
        let tracked = read(&Folder::of(&[("MLmodel", model), ("data/model.pth", "x")])).unwrap();
        assert_eq!(tracked.draft.name.unwrap().as_str(), "churn");
        assert_eq!(tracked.draft.training.framework.unwrap().as_str(), "pytorch 2.4.0");
        assert_eq!(tracked.warnings, []);
        let tracked = read(&Folder::of(&[
            ("a/meta.yaml", META),
            ("b/meta.yaml", META),
            ("meta.yaml", "experiment_id: '1'\n"),
        ]))
        .unwrap();
        assert_eq!(tracked.draft, crate::Draft::default());
        assert_eq!(tracked.warnings[0].code, "several-runs");
        for odd in ["", "- a\n", "a: &x [*x]\n", "flavors: [x]\n", "artifact_path: /home/ada/x\n"] {
            let tracked = read(&Folder::of(&[("MLmodel", odd)])).unwrap();
            assert_eq!((tracked.draft.name, tracked.draft.training.framework), (None, None), "{odd}");
        }
    }

    #[test]
    fn metrics_show_their_last_step() {
        assert_eq!(last_value("1 2 0\n3 4 0\n"), Some("4"));
        assert_eq!(last_value("3 4 1\n9 2 0\n"), Some("4"));
        assert_eq!(last_value("3 4\n"), Some("4"));
        for bad in ["", "\n", "x y z\n", "1\n", "1 2 x\n"] {
            assert_eq!(last_value(bad), None, "{bad}");
        }
    }
}
