//! Measurements in `model-index`: models, each with results, each with a dataset and metrics.
//!
//! A measurement is taken over if it is one number with a dataset and a metric. Everything else is told with its place:
//! what a percentage, a range or a list stands for is for a person to say.

use super::CardMeasurement;
use super::reader::{Place, Reader, what};
use crate::decimal::Decimal;
use crate::text::Line;
use crate::tree::{Node, Value};

const NEXT: &str = "say it under model_card.evaluation, as a number with what it was measured on";

/// The name of the model that the index is about, if it says.
pub(super) fn name(tree: &Node, read: &mut Reader<'_>) -> Option<Line> {
    let place = Place::Top.field("model-index");
    let Value::List(models) = &tree.get("model-index")?.value else { return None };
    read.one(models.first()?, "name", &place.item(0))
}

/// The measurements of the first model, since a card is about one, and the fields that a descriptor has no place for.
pub(super) fn read(tree: &Node, read: &mut Reader<'_>) -> (Vec<CardMeasurement>, Vec<Line>) {
    let top = Place::Top.field("model-index");
    let Some(index) = tree.get("model-index") else { return (Vec::new(), Vec::new()) };
    let mut measurements = Vec::new();
    let mut left = Left::default();
    for (at, model) in read.list(index, &top).iter().enumerate() {
        let place = top.item(at);
        if at > 0 {
            read.tell(&place, model.line, "a bundle is described as one model, and that is the first");
            continue;
        }
        if !read.is_map(model, &place) {
            continue;
        }
        let Some(results) = model.get("results") else { continue };
        let place = place.field("results");
        for (at, result) in read.list(results, &place).iter().enumerate() {
            read_result(result, &place.item(at), read, &mut left, &mut measurements);
        }
    }
    let left = left.0.iter().filter_map(|name| super::fit(&format!("model-index.{name}")));
    (measurements, left.collect())
}

/// Fields that say something, and that a descriptor has no place for; each once.
#[derive(Default)]
struct Left(Vec<String>);

impl Left {
    /// Notes the fields of a map that nothing reads.
    fn note(&mut self, node: &Node, prefix: &str, read: &[&str]) {
        let Value::Map(entries) = &node.value else { return };
        for entry in entries {
            let name = format!("{prefix}{}", crate::unicode::excerpt(&entry.key));
            let said = !entry.node.is_null() && !read.contains(&entry.key.as_str());
            // The Hub's own marks that it measured.
            let marks = matches!(entry.key.as_str(), "verified" | "verifyToken");
            if said && !marks && !self.0.contains(&name) && self.0.len() < 20 {
                self.0.push(name);
            }
        }
    }
}

fn read_result(
    result: &Node,
    place: &Place<'_>,
    read: &mut Reader<'_>,
    left: &mut Left,
    measurements: &mut Vec<CardMeasurement>,
) {
    if !read.is_map(result, place) {
        return;
    }
    left.note(result, "", &["dataset", "metrics"]);
    let dataset = Dataset::read(result, place, read, left);
    let metrics_place = place.field("metrics");
    let metrics = match result.get("metrics") {
        Some(metrics) => read.list(metrics, &metrics_place),
        None => {
            read.tell(place, result.line, "it has no metrics");
            return;
        }
    };
    for (at, metric) in metrics.iter().enumerate() {
        let place = metrics_place.item(at);
        if !read.is_map(metric, &place) {
            continue;
        }
        left.note(metric, "metrics.", &["name", "type", "value"]);
        let label: Option<Line> =
            read.one(metric, "name", &place).or_else(|| read.one(metric, "type", &place));
        let value = number(metric, &place, read);
        let Some(value) = value else { continue };
        match (label, &dataset.name) {
            (Some(metric), Some(dataset_name)) => measurements.push(CardMeasurement {
                dataset: dataset_name.clone(),
                split: dataset.split.clone(),
                metric,
                value,
            }),
            (Some(label), None) => {
                let why = format!("no dataset is named that {label} {value} was measured on; {NEXT}");
                read.tell(&place, metric.line, &why);
            }
            (None, _) => {
                read.tell(&place, metric.line, &format!("nothing names the metric that is {value}; {NEXT}"));
            }
        }
    }
}

/// What was measured on.
#[derive(Default)]
struct Dataset {
    name: Option<Line>,
    split: Option<Line>,
}

impl Dataset {
    fn read(result: &Node, place: &Place<'_>, read: &mut Reader<'_>, left: &mut Left) -> Self {
        let place = place.field("dataset");
        let Some(node) = result.get("dataset") else { return Self::default() };
        if let Value::Scalar(_) = node.value {
            return Self { name: read.text(node, &place, "the name of a dataset"), split: None };
        }
        if !read.is_map(node, &place) {
            return Self::default();
        }
        left.note(node, "dataset.", &["name", "type", "split", "config"]);
        let name: Option<Line> = read.one(node, "name", &place).or_else(|| read.one(node, "type", &place));
        // Two configurations of a dataset are two things to measure on.
        let config: Option<Line> = read.one(node, "config", &place);
        let name = match (name, config) {
            (Some(name), Some(config)) if !name.as_str().contains(config.as_str()) => {
                format!("{name} ({config})").parse().ok().or(Some(name))
            }
            (name, _) => name,
        };
        Self { name, split: read.one(node, "split", &place) }
    }
}

/// The value of a metric, if it is a number and nothing else.
fn number(metric: &Node, place: &Place<'_>, read: &mut Reader<'_>) -> Option<Decimal> {
    let place = place.field("value");
    let Some(node) = metric.get("value") else {
        read.tell(&place, metric.line, "it is missing");
        return None;
    };
    let number = node.text().and_then(|text| text.trim().parse().ok());
    if number.is_none() {
        read.tell(&place, node.line, &format!("it is {}, not a number; {NEXT}", what(node)));
    }
    number
}
