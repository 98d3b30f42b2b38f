//! What a descriptor can say from the evidence of a directory, and where each statement comes from.

use std::path::Path;

use consign_metadata::{
    BundleName, BundleVersion, Card, Draft, Kind, Line, Problem, ProposedExclude, Source, printable,
    suggest_name, tracked,
};
use serde::Serialize;
use serde_json::Value;

use crate::environment::Run;
use crate::git::WorkTree;
use crate::style;
use crate::survey::{CachedSnapshot, Survey};

use super::tables::tables;

/// What is proposed where nothing names a version: a bundle that is handed over is a release.
const FIRST_VERSION: &str = "1.0.0";
/// A name of a directory as long as this, of hexadecimal digits only, is an id.
const ID_LENGTH_MIN: usize = 20;
/// A heading longer than this, as a name, is a sentence.
const HEADING_NAME_MAX: usize = 40;
/// Most files that a remark names.
const NAMED_MAX: usize = 5;
/// Longest remark, in bytes; a [`Line`] holds no more.
const REMARK_MAX: usize = 1000;

/// What there is to go by.
pub(super) struct Evidence<'a> {
    pub(super) directory: &'a Path,
    pub(super) survey: &'a Survey,
    pub(super) cached: Option<&'a CachedSnapshot>,
    pub(super) tree: Option<&'a WorkTree>,
    pub(super) run: Option<&'a Run>,
    /// Whether somebody had enough.
    pub(super) stop: &'a dyn Fn() -> bool,
}

/// A descriptor as far as the evidence goes.
pub(super) struct Proposal {
    pub(super) draft: Draft,
    pub(super) found: Vec<Found>,
    /// What to know besides, such as what of the card could not be read.
    pub(super) warnings: Vec<Problem>,
}

/// A field that could be filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Found {
    /// Dotted name of the field.
    pub(super) field: String,
    /// Its value, on one line and perhaps cut.
    pub(super) value: String,
    /// What said so: a file, `git`, `command line`, …
    pub(super) from: String,
}

/// Fills a draft from the evidence, the surest first; what was said stays.
pub(super) fn propose(said: Draft, evidence: &Evidence<'_>) -> Proposal {
    let mut proposal = Proposal { draft: Draft::default(), found: Vec::new(), warnings: Vec::new() };
    proposal.step("command line", |draft| *draft = said);
    if let Some(cached) = evidence.cached {
        proposal.step("cache folder", |draft| from_cache(draft, cached));
    }
    let card = proposal.card(evidence.survey);
    if let Some((file, card)) = &card {
        proposal.step(file, |draft| draft.name = draft.name.take().or_else(|| name_of(card)));
    }
    for tracked in tracked(evidence.survey) {
        proposal.step(&tracked.from, |draft| draft.absorb(tracked.draft));
        proposal.warnings.extend(tracked.warnings);
    }
    proposal
        .step("directory", |draft| draft.name = draft.name.take().or_else(|| name_at(evidence.directory)));
    if let Some((file, card)) = &card {
        proposal.step(file, |draft| draft.absorb_card(card));
    }
    if let Some(tree) = evidence.tree {
        proposal.step("git", |draft| from_git(draft, tree));
    }
    if let Some(run) = evidence.run {
        proposal.step("environment", |draft| draft.provenance.pipeline = run.pipeline());
    }
    proposal.step("files", |draft| from_files(draft, evidence.survey));
    // A model may come with a sample; what that holds is nothing to describe the model by.
    if matches!(proposal.draft.kind, Some(Kind::Dataset | Kind::Mixed)) {
        let tables = tables(evidence.survey, evidence.stop);
        proposal.step("files", |draft| draft.data.tables = tables.tables);
        proposal.warnings.extend(tables.warnings);
    }
    if proposal.draft.version.is_none()
        && let Some((file, version)) = version_in_package(evidence.survey)
    {
        proposal.step(file, |draft| draft.version = Some(version));
    }
    proposal.step("proposed", |draft| {
        if draft.version.is_none() {
            draft.version = FIRST_VERSION.parse().ok();
            remark(draft, "nothing names a version: the one below is a proposal");
        }
    });
    // In the order of the file, whoever said it.
    let order: Vec<_> = fields(&proposal.draft).into_iter().map(|(field, _)| field).collect();
    proposal.found.sort_by_key(|found| order.iter().position(|field| *field == found.field));
    proposal
}

impl Proposal {
    /// Does one thing to the draft, and notes which fields it filled.
    fn step(&mut self, from: &str, change: impl FnOnce(&mut Draft)) {
        let before = fields(&self.draft);
        change(&mut self.draft);
        for (field, value) in fields(&self.draft) {
            if !before.iter().any(|(known, _)| *known == field) {
                self.found.push(Found { field, value: brief(&value), from: from.to_owned() });
            }
        }
    }

    /// The card of the directory and the name of its file.
    fn card(&mut self, survey: &Survey) -> Option<(&'static str, Card)> {
        let (file, bytes) = survey.card()?;
        let (mut card, warnings) = Card::read(&bytes);
        self.warnings.extend(warnings.into_iter().map(|problem| problem.at(file)));
        if !card.left_out.is_empty() {
            let left_out: Vec<_> = card.left_out.iter().map(Line::as_str).collect();
            let message =
                format!("a descriptor has no place for these fields of the card: {}", left_out.join(", "));
            self.warnings.push(Problem::new("card-field", message).at(file));
        }
        card.title = card.title.map(without_preamble);
        Some((file, card))
    }
}

/// `Model Card for X` is a heading, `X` the title.
fn without_preamble(title: Line) -> Line {
    let text = title.as_str();
    let preambles = ["model card for ", "dataset card for ", "model card: ", "dataset card: "];
    let rest = preambles.iter().find_map(|preamble| {
        let head = text.get(..preamble.len())?;
        head.eq_ignore_ascii_case(preamble).then(|| text[preamble.len()..].trim())
    });
    rest.and_then(|rest| rest.parse().ok()).unwrap_or(title)
}

fn name_of(card: &Card) -> Option<BundleName> {
    let suggested = |line: &Line| suggest_name(line.as_str())?.parse::<BundleName>().ok();
    card.model_name.as_ref().and_then(suggested).or_else(|| {
        let name = card.title.as_ref().or(card.pretty_name.as_ref()).and_then(suggested)?;
        (name.as_str().len() <= HEADING_NAME_MAX).then_some(name)
    })
}

fn name_at(directory: &Path) -> Option<BundleName> {
    let path = std::fs::canonicalize(directory).ok()?;
    let name = path.file_name()?.to_string_lossy();
    // The id of a run or a commit is nothing that people could call a bundle by.
    let is_id = name.len() >= ID_LENGTH_MIN && name.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if is_id { None } else { suggest_name(&name)?.parse().ok() }
}

/// The version that the metadata of a package names: `pyproject.toml` in its project table, `CITATION.cff` at its
/// top. Anything but the plain spelling is passed over.
fn version_in_package(survey: &Survey) -> Option<(&'static str, BundleVersion)> {
    let version = |text: &str| text.trim().trim_matches(['"', '\'']).parse::<BundleVersion>().ok();
    let in_project = survey.text("pyproject.toml", 1 << 16).and_then(|text| {
        let table = text.lines().skip_while(|line| line.trim_end() != "[project]").skip(1);
        let mut lines = table.take_while(|line| !line.starts_with('['));
        lines.find_map(|line| version(line.strip_prefix("version")?.trim_start().strip_prefix('=')?))
    });
    if let Some(version) = in_project {
        return Some(("pyproject.toml", version));
    }
    let text = survey.text("CITATION.cff", 1 << 16)?;
    text.lines().find_map(|line| Some(("CITATION.cff", version(line.strip_prefix("version:")?)?)))
}

fn from_cache(draft: &mut Draft, cached: &CachedSnapshot) {
    let name = cached.repository.rsplit('/').next().and_then(suggest_name);
    draft.name = draft.name.take().or_else(|| name?.parse().ok());
    draft.kind = draft.kind.or(cached.kind);
    if let Ok(uri) = cached.address().parse() {
        let source = Source { uri, sha256: None, license: None, retrieved: None, description: None };
        draft.provenance.sources.push(source);
        remark(
            draft,
            "the source under provenance is told from the name of the cache folder; it may be a mirror's",
        );
    }
}

fn from_git(draft: &mut Draft, tree: &WorkTree) {
    if tree.tracked {
        draft.version = draft.version.take().or_else(|| tree.version.clone());
        // A tracker has written down which commit made the content; this is the one that it lies in now.
        draft.training.code = draft.training.code.take().or_else(|| Some(tree.code.clone()));
        return;
    }
    let text =
        |value: Option<&str>| value.map_or_else(|| "a repository without address".into(), str::to_owned);
    let repository = text(tree.code.repository.as_ref().map(consign_metadata::Repository::as_str));
    let commit = tree.code.commit.as_ref().map_or("", consign_metadata::CommitId::as_str);
    let note = format!(
        "the directory lies in a work tree of {repository} at commit {commit}, which does not hold it; if that code made the content, name both under training.code"
    );
    remark(draft, &note);
}

fn from_files(draft: &mut Draft, survey: &Survey) {
    if draft.kind.is_none()
        && let Some((kind, why)) = survey.kind()
    {
        draft.kind = Some(kind);
        remark(draft, &format!("the kind is told from {why}"));
    }
    if draft.license.is_none()
        && let Some(license) =
            ["LICENSE", "LICENSE.txt", "LICENSE.md"].iter().find_map(|name| license(survey, name))
    {
        draft.license = Some(license);
    }
    let formats: Vec<_> =
        survey.formats.iter().map(|(format, tally)| format!("{} {}", tally.files, format.id())).collect();
    if !formats.is_empty() {
        remark(draft, &format!("files by content: {}", formats.join(", ")));
    }
    let looked_at = u64::try_from(survey.sniffed).unwrap_or(u64::MAX);
    if looked_at < survey.files() {
        let (looked_at, files) =
            (style::count(looked_at, "was", "were"), style::count(survey.files(), "file", "files"));
        remark(draft, &format!("of {files} {looked_at} looked at, those at the top and the largest"));
    }
    if !survey.code_on_load.is_empty() {
        let named: Vec<_> = survey
            .code_on_load
            .iter()
            .take(NAMED_MAX)
            .map(|(path, format)| format!("{} ({format})", printable(path.as_str())))
            .collect();
        let more = match survey.code_on_load.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        remark(
            draft,
            &format!("can run code when loaded, which a receiver will ask about: {}{more}", named.join(", ")),
        );
    }
    for (pattern, _, reason) in survey.excludes() {
        if let Ok(pattern) = pattern.as_str().parse() {
            draft.exclude.push(ProposedExclude { pattern, reason: reason.parse().ok() });
        }
    }
}

/// The licence that a file holds, for the two that begin in a way nothing else does.
fn license(survey: &Survey, name: &str) -> Option<Line> {
    let text = survey.text(name, 4096)?;
    let head: Vec<_> = text.split_whitespace().take(12).collect();
    let head = head.join(" ");
    if head.starts_with("MIT License") {
        "MIT".parse().ok()
    } else if head.starts_with("Apache License Version 2.0, January 2004") {
        "Apache-2.0".parse().ok()
    } else {
        None
    }
}

/// Adds a remark for the person who completes the draft, cut to a line.
fn remark(draft: &mut Draft, text: &str) {
    let mut end = text.len().min(REMARK_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = if end < text.len() { format!("{}…", text[..end].trim_end()) } else { text.to_owned() };
    draft.notes.extend(cut.parse::<Line>().ok());
}

/// The fields that a draft fills, those of its sections with dotted names.
fn fields(draft: &Draft) -> Vec<(String, Value)> {
    let Ok(Value::Object(members)) = serde_json::to_value(draft) else { return Vec::new() };
    let mut out = Vec::new();
    for (name, value) in members {
        match value {
            Value::Object(section) => {
                out.extend(section.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => out.push((name, value)),
        }
    }
    out
}

/// A value on one line.
pub(super) fn brief(value: &Value) -> String {
    const MAX: usize = 60;
    let text = match value {
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Value::Array(items) => match items.as_slice() {
            [Value::Object(only)] => only.values().find_map(Value::as_str).unwrap_or("1 entry").to_owned(),
            items => format!("{} entries", items.len()),
        },
        Value::Object(members) => members.values().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    if text.chars().count() <= MAX {
        return text;
    }
    let head: String = text.chars().take(MAX - 1).collect();
    format!("{}…", head.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_bundle::LinkPolicy;
    use consign_metadata::{Descriptor, DescriptorSyntax, Scheme};

    fn proposal(said: Draft, directory: &Path, tree: Option<&WorkTree>) -> Proposal {
        let survey = Survey::of(directory, LinkPolicy::Refuse, None, &|| false).unwrap();
        let run = Run::detect(&|name| (name == "SLURM_JOB_ID").then(|| "7".to_owned()));
        let stop = &|| false;
        propose(said, &Evidence { directory, survey: &survey, cached: None, tree, run: run.as_ref(), stop })
    }

    fn digits() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits-classifier")
    }

    fn complete() -> Draft {
        let mut draft = Draft { classification: "public".parse().ok(), ..Draft::default() };
        draft.contact.name = "Ada Lovelace".parse().ok();
        draft.contact.email = "ada@example.org".parse().ok();
        draft
    }

    #[test]
    fn with_what_only_a_person_knows_the_descriptor_is_complete() {
        let tree = WorkTree {
            code: consign_metadata::Code {
                repository: "https://example.org/code".parse().ok(),
                commit: "a".repeat(40).parse().ok(),
                dirty: Some(true),
            },
            tracked: true,
            version: "0.3.0".parse().ok(),
            ..WorkTree::default()
        };
        let proposal = proposal(complete(), &digits(), Some(&tree));
        let text = proposal.draft.to_yaml();
        let descriptor = Descriptor::parse(text.as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin())
            .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        assert_eq!(descriptor.core.name.as_str(), "digits-mlp");
        assert_eq!(descriptor.core.version.as_str(), "0.3.0");
        assert_eq!(descriptor.details.kind, Kind::Model);
        assert_eq!(descriptor.details.model_card.unwrap().evaluation.len(), 2);
        let training = descriptor.details.training.unwrap();
        assert_eq!(training.code.unwrap().dirty, Some(true));
        let pipeline = descriptor.details.provenance.unwrap().pipeline.unwrap();
        assert_eq!(pipeline.system.as_str(), "SLURM");
        assert!(proposal.draft.missing().iter().all(|problem| problem.code != "missing-field"));
    }

    #[test]
    fn without_it_exactly_the_required_fields_are_missing() {
        let proposal = proposal(Draft::default(), &digits(), None);
        let text = proposal.draft.to_yaml();
        let problems =
            Descriptor::parse(text.as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin()).unwrap_err();
        assert!(problems.iter().all(|problem| problem.code == "missing-field"), "{problems:?}");
        assert!(text.contains("# Note: files by content: "), "{text}");
    }

    #[test]
    fn what_was_said_stays_and_every_field_names_its_origin() {
        let mut said = complete();
        said.name = "other".parse().ok();
        said.kind = Some(Kind::Mixed);
        let proposal = proposal(said, &digits(), None);
        assert_eq!(proposal.draft.name.as_ref().map(BundleName::as_str), Some("other"));
        let from = |field: &str| {
            proposal
                .found
                .iter()
                .filter(|found| found.field == field)
                .map(|f| f.from.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(from("name"), ["command line"]);
        assert_eq!(from("license"), ["README.md"]);
        assert_eq!(from("version"), ["proposed"]);
        assert_eq!(from("provenance.pipeline"), ["environment"]);
    }

    #[test]
    fn a_directory_without_a_card_gets_its_own_name_and_a_kind() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("Run 12 (final)");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("table.csv"), "a,b\n1,2\n").unwrap();
        std::fs::write(run.join("model.bin"), b"cos\nsystem\n(S'true'\ntR.").unwrap();
        std::fs::write(run.join("LICENSE"), "MIT License\n\nCopyright").unwrap();
        let tree = WorkTree::default();
        let proposal = proposal(complete(), &run, Some(&tree));
        let draft = &proposal.draft;
        assert_eq!(draft.name.as_ref().map(BundleName::as_str), Some("run-12-final"));
        assert_eq!(draft.kind, Some(Kind::Model));
        assert_eq!(draft.license.as_ref().map(Line::as_str), Some("MIT"));
        assert_eq!(draft.training.code, None);
        let notes: Vec<_> = draft.notes.iter().map(Line::as_str).collect();
        assert!(notes.iter().any(|note| note.ends_with("about: model.bin (Python pickle)")), "{notes:?}");
        assert!(notes.iter().any(|note| note.contains("which does not hold it")), "{notes:?}");
        Descriptor::parse(draft.to_yaml().as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin())
            .unwrap();
    }

    #[test]
    fn packages_name_their_version() {
        let version = |name: &str, text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(name), text).unwrap();
            let proposal = proposal(Draft::default(), dir.path(), None);
            proposal.draft.version.unwrap().to_string()
        };
        let project = "[build-system]\nversion = \"9.9.9\"\n[project]\nname = \"x\"\nversion = \"0.4.1\"\n";
        assert_eq!(version("pyproject.toml", project), "0.4.1");
        assert_eq!(version("pyproject.toml", "[project]\n[tool.x]\nversion = \"0.4.1\"\n"), FIRST_VERSION);
        assert_eq!(version("pyproject.toml", "[project]\nversion = \"0.4\"\n"), FIRST_VERSION);
        assert_eq!(version("CITATION.cff", "cff-version: 1.2.0\nversion: '2.0.0'\n"), "2.0.0");
    }

    #[test]
    fn titles_lose_the_preamble_of_the_template() {
        let title = |text: &str| without_preamble(text.parse().unwrap()).to_string();
        assert_eq!(title("Model Card for MiniLM"), "MiniLM");
        assert_eq!(title("Dataset card for größe"), "größe");
        assert_eq!(title("Model Cards"), "Model Cards");
    }
}
