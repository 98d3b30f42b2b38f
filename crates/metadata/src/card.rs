//! Model and dataset cards as Hugging Face has them: a README with YAML in front, read for what it can tell.
//!
//! A card is a hint for a person who writes a descriptor, never a source of truth: what cannot be read is left out
//! with a warning, and what is unknown is passed over.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::descriptor::Kind;
use crate::problem::Problem;
use crate::text::{Line, Paragraph};
use crate::tree::{Node, yaml};
use crate::unicode::is_deceptive;

/// Longest card that is read, in bytes; what comes after is passed over.
pub const CARD_BYTES_MAX: usize = 1 << 20;
/// Longest text taken out of one section, in bytes.
pub const CARD_SECTION_MAX: usize = 4000;

/// What a card says, as far as a descriptor has a place for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Model or dataset, if the fields of the front matter tell.
    pub kind: Option<Kind>,
    /// Name of the model, where the front matter gives one.
    pub model_name: Option<Line>,
    /// The first heading.
    pub title: Option<Line>,
    /// The first paragraph below it.
    pub description: Option<Paragraph>,
    /// Licence or licences.
    pub license: Option<Line>,
    /// Name of a licence that the Hub has no identifier for.
    pub license_name: Option<Line>,
    /// Models that this one derives from.
    pub base_models: Vec<Line>,
    /// Datasets that it was trained on.
    pub datasets: Vec<Line>,
    /// Metrics that it was measured by.
    pub metrics: Vec<Line>,
    /// Languages of the content.
    pub languages: Vec<Line>,
    /// Library that loads it.
    pub library_name: Option<Line>,
    /// Task that it solves.
    pub pipeline_tag: Option<Line>,
    /// Free tags.
    pub tags: Vec<Line>,
    /// Name of a dataset for people.
    pub pretty_name: Option<Line>,
    /// Measurements of the `model-index`.
    pub evaluation: Vec<CardMeasurement>,
    /// Texts of sections whose heading says what they are about.
    pub sections: BTreeMap<CardSection, Paragraph>,
}

/// One measurement of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardMeasurement {
    /// Name of the dataset, or its identifier.
    pub dataset: Option<Line>,
    /// Part of the dataset.
    pub split: Option<Line>,
    /// Name of the metric, or its identifier.
    pub metric: Line,
    /// The value as it stands there; not always a number.
    pub value: Line,
}

/// What a section of a card is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardSection {
    /// What it is meant for.
    IntendedUse,
    /// What it must not be used for.
    OutOfScope,
    /// Limitations.
    Limitations,
    /// Risks, bias, harms.
    Risks,
    /// The data behind it.
    Data,
    /// How it was trained or made.
    Training,
    /// Where it is used.
    Deployment,
}

impl CardSection {
    /// What a heading announces.
    fn of_heading(heading: &str) -> Option<Self> {
        let words: Vec<String> = heading
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let text = words.join(" ");
        let has = |word: &str| words.iter().any(|w| w == word);
        let is = |texts: &[&str]| texts.contains(&text.as_str());
        // The first that fits; narrower ones come first.
        if text.contains("out of scope") || has("misuse") {
            Some(Self::OutOfScope)
        } else if text.starts_with("intended use")
            || is(&["uses", "direct use", "use cases", "primary intended uses"])
        {
            Some(Self::IntendedUse)
        } else if has("limitations") || has("limitation") {
            Some(Self::Limitations)
        } else if ["risks", "risk", "bias", "biases", "harms"].iter().any(|word| has(word))
            || is(&["ethical considerations", "safety", "failure modes"])
        {
            Some(Self::Risks)
        } else if is(&[
            "training data",
            "data",
            "data sources",
            "datasets",
            "source data",
            "training dataset",
        ]) {
            Some(Self::Data)
        } else if is(&["training", "training procedure", "training details", "dataset creation"]) {
            Some(Self::Training)
        } else if is(&["deployment", "deployments"]) {
            Some(Self::Deployment)
        } else {
            None
        }
    }
}

impl Card {
    /// Reads a card; never fails. The warnings say what could not be read.
    ///
    /// ```
    /// use consign_metadata::Card;
    /// let (card, warnings) = Card::parse("---\nlicense: mit\n---\n# Digits\n\nNames digits.\n");
    /// assert_eq!(card.license.unwrap().as_str(), "mit");
    /// assert_eq!(card.title.unwrap().as_str(), "Digits");
    /// assert!(warnings.is_empty());
    /// ```
    pub fn parse(text: &str) -> (Self, Vec<Problem>) {
        let mut warnings = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = match text.char_indices().find(|&(at, _)| at >= CARD_BYTES_MAX) {
            Some((end, _)) => {
                warnings.push(warning(format!("only the first {CARD_BYTES_MAX} bytes of the card are read")));
                &text[..end]
            }
            None => text,
        };
        let (front, body) = split_front_matter(text);
        let mut card = Self::default();
        match front.map(yaml::parse) {
            // The front matter begins on the second line.
            Some(Err(problem)) => {
                let line = problem.line.map(|line| line + 1);
                let message = format!("the front matter of the card is not read: {}", problem.message);
                warnings.push(Problem { line, ..warning(message) });
            }
            Some(Ok(tree)) => card.read_front_matter(&tree, &mut warnings),
            None => {}
        }
        card.read_body(body);
        (card, warnings)
    }

    fn read_front_matter(&mut self, tree: &Node, warnings: &mut Vec<Problem>) {
        let mut read = Reader { warnings };
        self.license = match read.lines(tree, "license").as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => several.iter().map(Line::as_str).collect::<Vec<_>>().join(", ").parse().ok(),
        };
        self.license_name = read.line(tree, "license_name");
        self.base_models = read.lines(tree, "base_model");
        self.datasets = read.lines(tree, "datasets");
        self.metrics = read.lines(tree, "metrics");
        self.languages = read.lines(tree, "language");
        self.library_name = read.line(tree, "library_name");
        self.pipeline_tag = read.line(tree, "pipeline_tag");
        self.tags = read.lines(tree, "tags");
        self.pretty_name = read.line(tree, "pretty_name");
        self.model_name = read.line(tree, "model_name").or_else(|| {
            let indexed = tree.get("model-index").and_then(|models| models.items().first().cloned());
            read.line(&indexed?, "name")
        });
        self.evaluation = read_model_index(tree, &mut read);
        let any = |keys: &[&str]| keys.iter().any(|key| tree.get(key).is_some());
        self.kind = if any(&["library_name", "pipeline_tag", "base_model", "model-index", "model_name"]) {
            Some(Kind::Model)
        } else if any(&[
            "dataset_info",
            "task_categories",
            "size_categories",
            "configs",
            "annotations_creators",
        ]) {
            Some(Kind::Dataset)
        } else {
            None
        };
    }

    fn read_body(&mut self, body: &str) {
        let blocks = split_headings(body);
        let titled = blocks.iter().find(|block| block.level == 1);
        self.title = titled
            .map(|block| strip_markup(&block.heading))
            // The Hub's template.
            .filter(|title| !title.contains("Model ID") && !title.contains("Dataset Name"))
            .and_then(|title| fit(&title));
        let introduction = titled.or_else(|| blocks.first().filter(|block| block.level == 0));
        self.description =
            introduction.and_then(|block| first_paragraph(&block.text)).and_then(|text| fit(&text));
        for (index, block) in blocks.iter().enumerate() {
            let Some(section) = CardSection::of_heading(&block.heading) else { continue };
            if self.sections.contains_key(&section) {
                continue;
            }
            let mut text = block.text.clone();
            for below in blocks[index + 1..].iter().take_while(|below| below.level > block.level) {
                if CardSection::of_heading(&below.heading).is_none() {
                    text.push_str(&format!("\n\n{}\n\n{}", below.heading, below.text));
                }
            }
            if let Some(text) = section_text(&text) {
                self.sections.insert(section, text);
            }
        }
    }
}

fn warning(message: String) -> Problem {
    Problem::new("card", message)
}

/// The YAML between the two `---` lines at the beginning, if there is any, and what follows.
fn split_front_matter(text: &str) -> (Option<&str>, &str) {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else { return (None, text) };
    let start = first.len();
    let mut end = start;
    for line in lines {
        if line.trim_end() == "---" {
            return (Some(&text[start..end]), &text[end + line.len()..]);
        }
        end += line.len();
    }
    (None, text)
}

/// Reads values tolerantly and collects what did not fit.
struct Reader<'w> {
    warnings: &'w mut Vec<Problem>,
}

impl Reader<'_> {
    /// The value of a key as one line, however it was written.
    fn line(&mut self, node: &Node, key: &str) -> Option<Line> {
        self.lines(node, key).into_iter().next()
    }

    /// The values of a key: a list, or one alone.
    fn lines(&mut self, node: &Node, key: &str) -> Vec<Line> {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| self.fit(item, key)).collect()
    }

    fn fit(&mut self, item: &Node, key: &str) -> Option<Line> {
        let text = item.text()?;
        let line = fit(text);
        if line.is_none() && !text.trim().is_empty() {
            let message = format!("`{key}` of the card is not read: it is no line of text");
            self.warnings.push(Problem { line: item.line.map(|line| line + 1), ..warning(message) });
        }
        line
    }
}

/// The measurements of `model-index`: models, each with results, each with a dataset and metrics.
fn read_model_index(tree: &Node, read: &mut Reader<'_>) -> Vec<CardMeasurement> {
    let items = |node: &Node, key: &str| node.get(key).map(|list| list.items().to_vec()).unwrap_or_default();
    let mut measurements = Vec::new();
    for result in items(tree, "model-index").iter().flat_map(|model| items(model, "results")) {
        let dataset = result.get("dataset");
        let of_dataset = |key: &str, read: &mut Reader<'_>| read.line(dataset?, key);
        let name = of_dataset("name", read).or_else(|| of_dataset("type", read));
        let split = of_dataset("split", read);
        for metric in items(&result, "metrics") {
            let label = read.line(&metric, "name").or_else(|| read.line(&metric, "type"));
            if let (Some(label), Some(value)) = (label, read.line(&metric, "value")) {
                measurements.push(CardMeasurement {
                    dataset: name.clone(),
                    split: split.clone(),
                    metric: label,
                    value,
                });
            }
        }
    }
    measurements
}

/// A heading and the text down to the next one. Level 0 is what stands before the first heading.
struct Block {
    level: usize,
    heading: String,
    text: String,
}

fn split_headings(body: &str) -> Vec<Block> {
    let mut blocks = vec![Block { level: 0, heading: String::new(), text: String::new() }];
    let mut fence: Option<&str> = None;
    for line in body.lines() {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        let level = line.bytes().take_while(|&b| b == b'#').count();
        let is_heading =
            fence.is_none() && (1..=6).contains(&level) && line[level..].starts_with([' ', '\t']);
        if is_heading {
            let heading = line[level..].trim().trim_end_matches('#').trim().to_owned();
            blocks.push(Block { level, heading, text: String::new() });
        } else if let Some(block) = blocks.last_mut() {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    blocks
}

/// The first paragraph that is prose: no badges, tables, lists, quotes, HTML or code.
fn first_paragraph(text: &str) -> Option<String> {
    let text = without_html_comments(text);
    let prose = |paragraph: &&str| {
        let begin = paragraph.trim_start();
        !begin.is_empty() && !begin.starts_with(['<', '!', '|', '>', '#', '`', '~', '*', '-', '+', '['])
            || begin.starts_with("**")
    };
    let paragraph = text.split("\n\n").find(prose)?;
    let joined = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(cut(&strip_markup(&joined), CARD_SECTION_MAX))
}

/// The text of a section, without comments and placeholders, cut to a length that a descriptor can do with.
fn section_text(text: &str) -> Option<Paragraph> {
    let mut text = without_html_comments(text).replace("[More Information Needed]", "");
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    fit(&cut(text.trim(), CARD_SECTION_MAX))
}

fn without_html_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

/// Text without the marks of emphasis and code; links keep their text.
fn strip_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let link =
            rest[open..].split_once("](").and_then(|(label, after)| Some((label, after.split_once(')')?.1)));
        let Some((label, after)) = link else { break };
        out.push_str(rest[..open].trim_end_matches('!'));
        out.push_str(&label[1..]);
        rest = after;
    }
    out.push_str(rest);
    out.replace(['*', '`'], "").trim().to_owned()
}

/// At most `max` bytes, cut where a line or at least a character ends.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|&at| at <= max - '…'.len_utf8()).last();
    let head = &text[..end.unwrap_or(0)];
    let head = head.rsplit_once(['\n', ' ']).map_or(head, |(head, _)| head);
    format!("{}…", head.trim_end())
}

/// Text as a value type, without the characters that no descriptor may hold; `None` if it still does not fit.
fn fit<T: FromStr>(text: &str) -> Option<T> {
    let shown: String = text.chars().filter(|&c| c == '\n' || c == '\t' || !is_deceptive(c)).collect();
    shown.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGITS: &str = include_str!("../../../examples/digits-classifier/README.md");

    #[test]
    fn a_real_card_is_understood() {
        let (card, warnings) = Card::parse(DIGITS);
        assert_eq!(warnings, []);
        assert_eq!(card.kind, Some(Kind::Model));
        assert_eq!(card.title.as_ref().map(Line::as_str), Some("digits-mlp"));
        assert_eq!(card.model_name.as_ref().map(Line::as_str), Some("digits-mlp"));
        assert_eq!(card.license.as_ref().map(Line::as_str), Some("apache-2.0"));
        assert_eq!(card.library_name.as_ref().map(Line::as_str), Some("numpy"));
        assert!(
            card.description
                .unwrap()
                .as_str()
                .starts_with("A small neural network that names the digit, 0 to 9,")
        );
        let measured: Vec<_> =
            card.evaluation.iter().map(|m| (m.metric.as_str(), m.value.as_str())).collect();
        assert_eq!(measured, [("Accuracy", "0.9689"), ("Macro F1", "0.9689")]);
        assert_eq!(card.evaluation[0].split.as_ref().map(Line::as_str), Some("test"));
        let begins = |section| card.sections[&section].as_str().chars().take(24).collect::<String>();
        assert_eq!(begins(CardSection::IntendedUse), "Teaching, testing tools ");
        assert_eq!(begins(CardSection::OutOfScope), "Do not use it to read re");
        assert_eq!(begins(CardSection::Limitations), "- **Position.** A shift ");
        assert_eq!(begins(CardSection::Risks), "- **Confident mistakes.*");
        assert_eq!(begins(CardSection::Data), "Optical Recognition of H");
        assert_eq!(begins(CardSection::Training), "Cross-entropy, stochasti");
    }

    #[test]
    fn headings_announce_sections() {
        use CardSection::{Data, IntendedUse, Limitations, OutOfScope, Risks, Training};
        for (heading, section) in [
            ("Intended Uses & Limitations", Some(IntendedUse)),
            ("Direct Use", Some(IntendedUse)),
            ("Out-of-Scope Use", Some(OutOfScope)),
            ("⚠️ Limitations", Some(Limitations)),
            ("Bias, Risks, and Limitations", Some(Limitations)),
            ("Risks", Some(Risks)),
            ("Ethical considerations", Some(Risks)),
            ("Training Data", Some(Data)),
            ("Training procedure", Some(Training)),
            ("How to use", None),
            ("Citation", None),
        ] {
            assert_eq!(CardSection::of_heading(heading), section, "{heading}");
        }
    }

    #[test]
    fn the_template_of_the_hub_says_nothing() {
        let text = "---\n{}\n---\n\n# Model Card for Model ID\n\n<!-- Provide a quick summary. -->\n\n\
                    ## Uses\n\n<!-- Address questions. -->\n\n### Direct Use\n\n[More Information Needed]\n\n\
                    ### Out-of-Scope Use\n\nCheques.\n\n## Bias, Risks, and Limitations\n\n[More Information Needed]\n";
        let (card, warnings) = Card::parse(text);
        assert_eq!(warnings, []);
        let sections = [(CardSection::OutOfScope, "Cheques.".parse().unwrap())];
        assert_eq!(card, Card { sections: sections.into(), ..Card::default() });
    }

    #[test]
    fn odd_front_matter_is_read_as_far_as_it_goes() {
        let text = "---\nlicense: [mit, apache-2.0]\nlanguage: en\nbase_model:\n- a/b\n- c/d\nunknown: {x: 1.5}\n\
                    tags: [1, 2.5, true]\nmodel-index:\n- results:\n  - metrics:\n    - {type: wer, value: 5 %}\n    \
                    - {type: cer}\n---\nText without a heading.\n";
        let (card, warnings) = Card::parse(text);
        assert_eq!(warnings, []);
        assert_eq!(card.license.unwrap().as_str(), "mit, apache-2.0");
        assert_eq!(card.base_models.len(), 2);
        assert_eq!(card.tags.iter().map(Line::as_str).collect::<Vec<_>>(), ["1", "2.5", "true"]);
        assert_eq!(card.evaluation.len(), 1);
        assert_eq!(card.evaluation[0].value.as_str(), "5 %");
        assert_eq!(card.description.unwrap().as_str(), "Text without a heading.");
    }

    #[test]
    fn broken_front_matter_is_a_warning_with_its_line() {
        let (card, warnings) = Card::parse("---\nlicense: mit\ntags: &a [x]\n---\n# T\n");
        assert_eq!(card.title.unwrap().as_str(), "T");
        let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let expected = "line 3: the front matter of the card is not read: \
                        anchors (`&name`) are not supported";
        assert_eq!(shown, [expected]);
    }

    #[test]
    fn headings_in_code_are_no_headings_and_markup_goes() {
        let text = "# **The** [title](http://x) `v1`\n\n[![badge](b)](l)\n\nFirst\nparagraph with [a link](x).\n\n\
                    ```sh\n# Limitations\necho\n```\n";
        let (card, _) = Card::parse(text);
        assert_eq!(card.title.unwrap().as_str(), "The title v1");
        assert_eq!(card.description.unwrap().as_str(), "First paragraph with a link.");
        assert!(card.sections.is_empty());
    }

    #[test]
    fn long_sections_are_cut() {
        let text = format!("## Limitations\n\n{}", "wörd ".repeat(2000));
        let (card, _) = Card::parse(&text);
        let cut = card.sections[&CardSection::Limitations].as_str();
        assert!(cut.len() <= CARD_SECTION_MAX && cut.ends_with("wörd…"), "{}", cut.len());
    }

    proptest! {
        #[test]
        fn no_card_makes_the_reader_panic(text in r#"(---\n)?[\-#\[\]()!`*<>:a \n\t\r~"'&é]{0,120}(\n---\n)?[#a\n\[\]() <!->]{0,60}"#) {
            let (_, warnings) = Card::parse(&text);
            prop_assert!(warnings.len() < 100);
        }
    }
}
