//! The descriptor that a directory suggests, for a person to complete.

mod merge;
mod yaml_text;

use serde::Serialize;
use serde_json::Value;

use crate::card::{Card, CardSection};
use crate::descriptor::{Data, Evaluation, ExcludePattern, Handling, Kind, ModelCard, Provenance, Training};
use crate::digest::BundleId;
use crate::problem::Problem;
use crate::text::{BundleName, BundleVersion, Classification, Email, Line, Paragraph, suggest_name};

pub use merge::{Differing, Merged};
use yaml_text::{inline, write_member};

/// A descriptor with gaps: what could be found out, and what only a person can say.
///
/// ```
/// use consign_metadata::Draft;
/// let mut draft = Draft { name: "digits".parse().ok(), ..Draft::default() };
/// draft.contact.email = "ada@example.org".parse().ok();
/// assert!(draft.to_yaml().contains("\nname: digits\n"));
/// let required: Vec<_> = draft.missing().into_iter().filter(|p| p.code == "missing-field").collect();
/// assert_eq!(required.len(), 4, "version, kind, classification and contact.name");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// Name of the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<BundleName>,
    /// Version of the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<BundleVersion>,
    /// What the bundle holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Line>,
    /// What the bundle is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraph>,
    /// Classification level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "is_default")]
    pub contact: DraftContact,
    /// Licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<Line>,
    /// Bundles that this one derives from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BundleId>,
    /// Kinds of data that it holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Line>,
    /// The run behind the content.
    #[serde(skip_serializing_if = "is_default")]
    pub training: Training,
    /// Sources, transformations, pipeline.
    #[serde(skip_serializing_if = "is_default")]
    pub provenance: Provenance,
    /// The model card.
    #[serde(skip_serializing_if = "is_default")]
    pub model_card: ModelCard,
    /// What the data are.
    #[serde(skip_serializing_if = "is_default")]
    pub data: Data,
    /// Handling instructions.
    #[serde(skip_serializing_if = "is_default")]
    pub handling: Handling,
    /// Files that are better left out.
    #[serde(skip)]
    pub exclude: Vec<ProposedExclude>,
    /// Remarks for the person who completes the draft; they become comments.
    #[serde(skip)]
    pub notes: Vec<Line>,
}

/// Whom to ask, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DraftContact {
    /// Name of a person or group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Line>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<Line>,
    /// Role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Line>,
}

/// A pattern that is better left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedExclude {
    /// The pattern.
    pub pattern: ExcludePattern,
    /// Why, in a few words.
    pub reason: Option<Line>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How much a field is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Recommended,
    /// Recommended where a model is packed, of no use elsewhere, and not asked of a dataset.
    ForModels,
    /// Optional where it is asked at all, which it is not of a dataset.
    OptionalForModels,
    /// Recommended where data are packed, and not asked of anything but data.
    ForData,
    /// Recommended unless data are packed, which it is not asked of.
    NotForData,
    /// Recommended unless data are packed, which may have it.
    OptionalForData,
    Optional,
}

/// What a person is asked: the field, how much it is wanted, and what to say. In the order of the file.
const QUESTIONS: [(&str, Need, &str); 38] = [
    ("name", Need::Required, "lower-case letters and digits, with `.`, `_`, `-` inside"),
    ("version", Need::Required, "Semantic Versioning, such as 1.0.0"),
    ("kind", Need::Required, "model, dataset, workflow or mixed"),
    ("title", Need::Recommended, "a name for people"),
    ("description", Need::Recommended, "what it is, in a few sentences"),
    ("classification", Need::Required, "public, internal, confidential or restricted"),
    ("contact.name", Need::Required, "who answers questions about this bundle"),
    ("contact.email", Need::Required, "where to reach them"),
    ("contact.organization", Need::Optional, "whom they work for"),
    ("contact.role", Need::Optional, "such as data owner"),
    ("license", Need::Recommended, "best as an SPDX identifier, such as Apache-2.0"),
    ("categories", Need::Optional, "kinds of data it holds, as the handling policy names them"),
    ("training.summary", Need::NotForData, "how it was trained, generated or computed"),
    ("training.framework", Need::ForModels, "such as PyTorch 2.4"),
    ("training.hardware", Need::Optional, "what it ran on"),
    (
        "training.code",
        Need::OptionalForData,
        "repository, commit, and whether files differed from it (dirty)",
    ),
    ("training.configuration", Need::Optional, "files that configured the run, each with path and sha256"),
    ("training.parameters", Need::Optional, "such as seed and learning_rate"),
    ("provenance.sources", Need::Recommended, "original sources, each with uri, license, retrieved"),
    ("provenance.transformations", Need::Optional, "what was done to them, each with tool, version, time"),
    ("provenance.pipeline", Need::Recommended, "the build or training pipeline: system, run, uri, commit"),
    ("model_card.intended_use", Need::ForModels, "what it is meant for"),
    ("model_card.out_of_scope", Need::ForModels, "what it must not be used for"),
    ("model_card.limitations", Need::ForModels, "known limitations"),
    ("model_card.risks", Need::ForModels, "known risks and failure modes"),
    ("model_card.data_sources", Need::ForModels, "the data that it was trained and tested on"),
    ("model_card.evaluation", Need::ForModels, "measurements, each with dataset, split, metric, value"),
    ("model_card.deployment", Need::OptionalForModels, "where it runs and how its outputs are used"),
    ("data.collection", Need::ForData, "how the data were measured, simulated or collected"),
    ("data.coverage", Need::ForData, "what they cover: period, place, population, samples"),
    ("data.quality", Need::ForData, "known gaps, errors and uncertainties, and what was checked"),
    ("data.tables", Need::ForData, "what the files hold, each with path, records, dimensions, variables"),
    ("handling.storage", Need::Optional, "where it may be stored"),
    ("handling.encryption", Need::Optional, "at_rest, in_transit, keys"),
    ("handling.channels", Need::Optional, "how it may be sent, such as TLS or VPN"),
    ("handling.access", Need::Optional, "who may view, modify, export"),
    ("handling.retention", Need::Optional, "how long it may be kept"),
    ("handling.markings", Need::Optional, "markings that must stay with it, word for word"),
];

/// What the sections are about.
const SECTIONS: [(&str, &str); 6] = [
    ("contact", "Whom to ask about the bundle."),
    ("training", "How the content was trained, generated or computed."),
    ("provenance", "Where the content comes from and what was done to it."),
    ("model_card", "What the model is for, how good it is, and where it fails."),
    ("data", "What the data are: how they came about, what they cover, what the files hold."),
    ("handling", "How the bundle must be stored, sent and shared."),
];

impl Draft {
    /// A draft that says what a card says.
    pub fn from_card(card: &Card) -> Self {
        let mut draft = Self::default();
        draft.absorb_card(card);
        draft
    }

    /// Fills gaps from a card; what the draft says already stays.
    pub fn absorb_card(&mut self, card: &Card) {
        self.title = self.title.take().or_else(|| card.title.clone()).or_else(|| card.pretty_name.clone());
        self.name = self
            .name
            .take()
            .or_else(|| suggest_name(self.title.as_ref()?.as_str()).and_then(|name| name.parse().ok()));
        self.description = self.description.take().or_else(|| card.description.clone());
        self.kind = self.kind.or(card.kind);
        self.license =
            self.license.take().or_else(|| card.license_name.clone()).or_else(|| card.license.clone());
        let section = |wanted: CardSection| card.sections.get(&wanted).cloned();
        let fill = |field: &mut Option<Paragraph>, wanted| {
            if field.is_none() {
                *field = section(wanted);
            }
        };
        fill(&mut self.training.summary, CardSection::Training);
        fill(&mut self.model_card.intended_use, CardSection::IntendedUse);
        fill(&mut self.model_card.out_of_scope, CardSection::OutOfScope);
        fill(&mut self.model_card.limitations, CardSection::Limitations);
        fill(&mut self.model_card.risks, CardSection::Risks);
        fill(&mut self.model_card.deployment, CardSection::Deployment);
        if self.kind != Some(Kind::Dataset) {
            fill(&mut self.model_card.data_sources, CardSection::Data);
            let data_sources = &mut self.model_card.data_sources;
            *data_sources = data_sources.take().or_else(|| named("Datasets", &card.datasets)?.parse().ok());
        }
        if self.training.framework.is_none() {
            self.training.framework = card.library_name.clone();
        }
        if self.model_card.evaluation.is_empty() {
            let measured = |m: &crate::card::CardMeasurement| Evaluation {
                dataset: m.dataset.clone(),
                split: m.split.clone(),
                metric: m.metric.clone(),
                value: m.value.clone(),
            };
            self.model_card.evaluation = card.evaluation.iter().map(measured).collect();
        }
        let derived = named("The card says that this derives from", &card.base_models)
            .map(|text| format!("{text}; name it under provenance.sources, or its bundle under parents"));
        self.notes.extend(derived.and_then(|text| text.parse().ok()));
    }

    /// Fills gaps from another draft; what this one says already stays. Notes come together.
    pub fn absorb(&mut self, other: Self) {
        let Self { training, provenance, model_card, .. } = self;
        macro_rules! fill {
            ($($mine:expr => $theirs:expr),+ $(,)?) => {$(
                if is_default(&$mine) {
                    $mine = $theirs;
                }
            )+};
        }
        fill! {
            self.name => other.name,
            self.version => other.version,
            self.kind => other.kind,
            self.title => other.title,
            self.description => other.description,
            self.classification => other.classification,
            self.contact => other.contact,
            self.license => other.license,
            self.parents => other.parents,
            self.categories => other.categories,
            training.summary => other.training.summary,
            training.job => other.training.job,
            training.started => other.training.started,
            training.finished => other.training.finished,
            training.framework => other.training.framework,
            training.hardware => other.training.hardware,
            training.code => other.training.code,
            training.configuration => other.training.configuration,
            training.parameters => other.training.parameters,
            provenance.sources => other.provenance.sources,
            provenance.transformations => other.provenance.transformations,
            provenance.pipeline => other.provenance.pipeline,
            model_card.intended_use => other.model_card.intended_use,
            model_card.out_of_scope => other.model_card.out_of_scope,
            model_card.limitations => other.model_card.limitations,
            model_card.risks => other.model_card.risks,
            model_card.data_sources => other.model_card.data_sources,
            model_card.evaluation => other.model_card.evaluation,
            model_card.deployment => other.model_card.deployment,
            self.data.collection => other.data.collection,
            self.data.coverage => other.data.coverage,
            self.data.quality => other.data.quality,
            self.data.tables => other.data.tables,
            self.handling => other.handling,
        }
        self.exclude.extend(other.exclude);
        self.notes.extend(other.notes);
    }

    /// What a person still has to say: required fields with the code `missing-field`, and those that a receiver
    /// will ask for with the code `recommended-field`.
    pub fn missing(&self) -> Vec<Problem> {
        let known = self.known();
        questions_left(self.kind, |field| lookup(&known, field).is_some())
    }

    /// The draft as a YAML file: what is known as fields, what is not as comments that ask for it. The parser
    /// reports exactly the required fields of [`missing`](Self::missing).
    pub fn to_yaml(&self) -> String {
        let known = self.known();
        let mut out =
            String::from("# Descriptor of a bundle. Lines with `#` ask for what is not known yet:\n");
        out.push_str("# take the `#` away and fill them in, or delete those that are not required.\n");
        for note in &self.notes {
            out.push_str(&format!("#\n# Note: {note}\n"));
        }
        out.push('\n');
        let mut section = "";
        for (field, need, what) in QUESTIONS {
            match field.split_once('.') {
                None => {
                    match known.get(field) {
                        Some(value) => write_member(&mut out, 0, field, value),
                        None => {
                            let asked = need_for(self.kind, need).map(|wanted| ask(what, wanted));
                            out.extend(asked.map(|asked| format!("# {field}: {asked}\n")));
                        }
                    }
                    if field == "license" && !self.parents.is_empty() {
                        write_member(&mut out, 0, "parents", &known["parents"]);
                    }
                }
                Some((name, _)) if name != section => {
                    section = name;
                    self.write_section(&mut out, name, known.get(name));
                }
                Some(_) => {}
            }
        }
        self.write_exclude(&mut out);
        out
    }

    /// Everything that the draft says, as the JSON of a descriptor file.
    fn known(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Writes one section: the members that are known, then questions for the others.
    fn write_section(&self, out: &mut String, name: &str, value: Option<&Value>) {
        let questions: Vec<_> = QUESTIONS
            .iter()
            .filter_map(|(field, need, what)| {
                let key = field.strip_prefix(name)?.strip_prefix('.')?;
                Some((key, ask(what, need_for(self.kind, *need)?)))
            })
            .collect();
        let title = SECTIONS.iter().find(|(section, _)| *section == name).map_or("", |(_, title)| title);
        let members = value.and_then(Value::as_object).filter(|members| !members.is_empty());
        if members.is_none() && questions.is_empty() {
            return;
        }
        let (lead, margin) = if members.is_some() { ("", "  # ") } else { ("# ", "#   ") };
        out.push_str(&format!("\n# {title}\n{lead}{name}:\n"));
        for (key, value) in members.into_iter().flatten() {
            write_member(out, 2, key, value);
        }
        for (key, asked) in questions {
            if members.is_none_or(|members| !members.contains_key(key)) {
                out.push_str(&format!("{margin}{key}: {asked}\n"));
            }
        }
        if name == "contact" {
            out.push('\n');
        }
    }

    fn write_exclude(&self, out: &mut String) {
        out.push_str("\n# Files that are not packed.\n");
        if self.exclude.is_empty() {
            out.push_str("# exclude:\n#   - \"*.log\"\n");
            return;
        }
        out.push_str("exclude:\n");
        for ProposedExclude { pattern, reason } in &self.exclude {
            out.push_str(&format!("  - {}", inline(pattern.as_str())));
            if let Some(reason) = reason {
                out.push_str(&format!(" # {reason}"));
            }
            out.push('\n');
        }
    }
}

/// The questions that still want an answer.
fn questions_left(kind: Option<Kind>, says: impl Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (field, need, what) in QUESTIONS {
        let (code, message) = match need_for(kind, need) {
            Some(Wanted::Required) => ("missing-field", "is missing"),
            Some(Wanted::Recommended) => ("recommended-field", "should be said"),
            Some(Wanted::Optional) | None => continue,
        };
        if !says(field) {
            problems.push(Problem::new(code, message).at(field).hint(what));
        }
    }
    problems
}

/// How much an answer is wanted where it is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Required,
    Recommended,
    Optional,
}

/// What a need comes down to for this kind of bundle; `None` if it is not asked of it.
fn need_for(kind: Option<Kind>, need: Need) -> Option<Wanted> {
    let is_data = kind == Some(Kind::Dataset);
    match need {
        Need::Required => Some(Wanted::Required),
        Need::Recommended => Some(Wanted::Recommended),
        Need::Optional => Some(Wanted::Optional),
        Need::ForModels | Need::OptionalForModels | Need::NotForData if is_data => None,
        Need::OptionalForModels => Some(Wanted::Optional),
        Need::OptionalForData if is_data => Some(Wanted::Optional),
        Need::ForModels if kind == Some(Kind::Workflow) => Some(Wanted::Optional),
        Need::ForModels | Need::NotForData | Need::OptionalForData => Some(Wanted::Recommended),
        Need::ForData if is_data || kind == Some(Kind::Mixed) => Some(Wanted::Recommended),
        Need::ForData => None,
    }
}

fn ask(what: &str, wanted: Wanted) -> String {
    match wanted {
        Wanted::Required => format!("{what} (required)"),
        Wanted::Recommended => format!("{what} (recommended)"),
        Wanted::Optional => what.to_owned(),
    }
}

fn lookup<'v>(known: &'v Value, field: &str) -> Option<&'v Value> {
    field.split('.').try_fold(known, |value, key| value.get(key))
}

/// `Datasets: a, b`, if there are any.
fn named(what: &str, names: &[Line]) -> Option<String> {
    let names: Vec<_> = names.iter().map(Line::as_str).collect();
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}

#[cfg(test)]
mod tests;
