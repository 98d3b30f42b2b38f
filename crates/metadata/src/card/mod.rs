//! Model and dataset cards as Hugging Face has them: a README with YAML in front, read for what it can tell.
//!
//! A card is a hint for a person who writes a descriptor, never a source of truth: what cannot be read is left out
//! with a warning, and what is unknown is passed over.

mod front_matter;
mod markdown;
mod model_index;
mod reader;

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::decimal::Decimal;
use crate::descriptor::Kind;
use crate::problem::Problem;
use crate::text::{Line, Paragraph};
use crate::tree::{Node, Value, yaml};
use crate::unicode::is_deceptive;

use front_matter::FrontMatter;
use markdown::{first_paragraph, section_text, split_headings, strip_markup};
use reader::{Place, Reader};

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
    /// Fields of the front matter that a descriptor has no place for, in their order.
    pub left_out: Vec<Line>,
    /// Texts of sections whose heading says what they are about.
    pub sections: BTreeMap<CardSection, Paragraph>,
}

/// One measurement of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardMeasurement {
    /// Name of the dataset, or its identifier, with its configuration.
    pub dataset: Line,
    /// Part of the dataset.
    pub split: Option<Line>,
    /// Name of the metric, or its identifier.
    pub metric: Line,
    /// The value as it stands there.
    pub value: Decimal,
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
    /// Reads the bytes of a card; never fails. The warnings say what could not be read.
    ///
    /// The Hub takes UTF-8 only, and so does this: what is written otherwise is told, and nothing of it is taken over.
    pub fn read(bytes: &[u8]) -> (Self, Vec<Problem>) {
        let unreadable = |message: String, line: Option<usize>, from: &str| {
            let hint = format!("save it as UTF-8, for example with `iconv -f {from} -t UTF-8`");
            (Self::default(), vec![Problem { line, ..warning(message).hint(hint) }])
        };
        let wide = "is written in UTF-16 or UTF-32, not in UTF-8: nothing of it is taken over";
        let head = &bytes[..bytes.len().min(4)];
        if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") || head.contains(&0) {
            return unreadable(wide.into(), None, "UTF-16");
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            // Cut within a character, by who read no further.
            Err(error) if error.error_len().is_none() && bytes.len() > CARD_BYTES_MAX => {
                Self::parse(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
            }
            Err(error) => {
                let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
                let message = "is not UTF-8 from here on: nothing of it is taken over";
                unreadable(message.into(), Some(line), "LATIN1")
            }
        }
    }

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
        let text = match text.char_indices().find(|&(at, _)| at >= CARD_BYTES_MAX) {
            Some((end, _)) => {
                warnings.push(warning(format!("only the first {CARD_BYTES_MAX} bytes of the card are read")));
                &text[..end]
            }
            None => text,
        };
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut card = Self::default();
        let body = match FrontMatter::of(&text) {
            FrontMatter::None => text.trim_start_matches('\u{feff}'),
            FrontMatter::Found { yaml, lines_before, body, hidden_from_hub } => {
                if hidden_from_hub {
                    let message = "blanks stand behind the `---` that begins the front matter, \
                                   so that the Hub does not see it";
                    warnings.push(warning(message.into()).line(lines_before).hint("take the blanks away"));
                }
                card.read_yaml(yaml, lines_before, &mut warnings);
                body
            }
            FrontMatter::Unclosed(line) => {
                let message =
                    "the front matter that begins here does not end: nothing of the card is taken over";
                let hint = "put a line `---` behind its last field";
                warnings.push(warning(message.into()).line(line).hint(hint));
                return (card, warnings);
            }
            FrontMatter::Misplaced(line) => {
                let message = "fields of front matter stand where neither the Hub nor consign looks for them: \
                               nothing of the card is taken over";
                let hint = "put them at the very beginning of the file, between two lines `---`";
                warnings.push(warning(message.into()).line(line).hint(hint));
                return (card, warnings);
            }
        };
        card.read_body(body);
        (card, warnings)
    }

    fn read_yaml(&mut self, yaml: &str, lines_before: usize, warnings: &mut Vec<Problem>) {
        match yaml::parse_foreign(yaml) {
            Err(problem) => {
                let line = problem.line.map(|line| line + lines_before);
                let message = format!("the front matter of the card is not read: {}", problem.message);
                warnings.push(Problem { line, hint: problem.hint, ..warning(message) });
            }
            Ok(tree) => {
                let mut read = Reader::new(warnings, lines_before);
                if read.is_map(&tree, &Place::Top) {
                    let tree = read.unique(tree, &Place::Top);
                    self.read_front_matter(&tree, &mut read);
                }
                read.close();
            }
        }
    }

    fn read_front_matter(&mut self, tree: &Node, read: &mut Reader<'_>) {
        let top = Place::Top;
        self.license = match read.several::<Line>(tree, "license", &top).as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => several.iter().map(Line::as_str).collect::<Vec<_>>().join(", ").parse().ok(),
        };
        self.license_name = read.one(tree, "license_name", &top);
        self.base_models = read.several(tree, "base_model", &top);
        self.datasets = read.several(tree, "datasets", &top);
        self.metrics = read.several(tree, "metrics", &top);
        self.languages = read.several(tree, "language", &top);
        self.library_name = read.one(tree, "library_name", &top);
        self.pipeline_tag = read.one(tree, "pipeline_tag", &top);
        self.tags = read.several(tree, "tags", &top);
        self.pretty_name = read.one(tree, "pretty_name", &top);
        self.model_name = read.one(tree, "model_name", &top).or_else(|| model_index::name(tree, read));
        let (evaluation, more_left_out) = model_index::read(tree, read);
        self.evaluation = evaluation;
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
        self.left_out = left_out(tree);
        self.left_out.extend(more_left_out);
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

/// Fields that a descriptor takes over in one way or another.
const TAKEN_OVER: [&str; 8] = [
    "license",
    "license_name",
    "base_model",
    "datasets",
    "library_name",
    "model_name",
    "pretty_name",
    "model-index",
];
/// Most fields that are named as left out.
const LEFT_OUT_MAX: usize = 50;

/// The fields that say something and are not taken over.
fn left_out(tree: &Node) -> Vec<Line> {
    let Value::Map(entries) = &tree.value else { return Vec::new() };
    let says = |node: &Node| match &node.value {
        Value::List(items) => !items.is_empty(),
        _ => !node.is_null(),
    };
    let left = entries.iter().filter(|entry| !TAKEN_OVER.contains(&entry.key.as_str()) && says(&entry.node));
    left.take(LEFT_OUT_MAX).filter_map(|entry| fit(&entry.key)).collect()
}

fn warning(message: String) -> Problem {
    Problem::new("card", message)
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

    const DIGITS: &str = include_str!("../../../../examples/digits-classifier/README.md");

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

    fn told(text: &str) -> (Card, Vec<String>) {
        let (card, warnings) = Card::parse(text);
        (card, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn odd_front_matter_is_read_as_far_as_it_goes() {
        let text = "---\nlicense: [mit, apache-2.0]\nlanguage: en\nbase_model:\n- a/b\n- c/d\nunknown: {x: 1.5}\n\
                    tags: [1, 2.5, true]\n---\nText without a heading.\n";
        let (card, warnings) = told(text);
        assert_eq!(warnings, [""; 0]);
        assert_eq!(card.license.unwrap().as_str(), "mit, apache-2.0");
        assert_eq!(card.base_models.len(), 2);
        assert_eq!(card.tags.iter().map(Line::as_str).collect::<Vec<_>>(), ["1", "2.5", "true"]);
        assert_eq!(
            card.left_out.iter().map(Line::as_str).collect::<Vec<_>>(),
            ["language", "unknown", "tags"]
        );
        assert_eq!(card.description.unwrap().as_str(), "Text without a heading.");
    }

    #[test]
    fn field_c1_values_of_another_shape_are_told_with_their_place() {
        let text = "\n---\nlicense: {name: mit}\nlicense_name: [a, b]\ntags: [a, [b], {c: d}]\nbase_model: ''\n\
                    library_name:\n---\n# T\n";
        let (card, warnings) = told(text);
        assert_eq!(
            warnings,
            [
                "line 3: `license` is not taken over: it is a map of fields, not text, or a list of texts",
                "line 4: `license_name` is not taken over: it is a list of 2, not one line of text",
                "line 5: `tags[1]` is not taken over: it is a list of 1, not one line of text",
                "line 5: `tags[2]` is not taken over: it is a map of fields, not one line of text",
            ]
        );
        assert_eq!(
            (card.license, card.license_name, card.base_models, card.library_name),
            Default::default()
        );
        let (_, warnings) = told("---\n- a\n---\n");
        let expected = "line 2: `the front matter` is not taken over: it is a list of 1, not a map of fields";
        assert_eq!(warnings, [expected]);
        let many = format!("---\ntags: [{}]\n---\n", "[], ".repeat(100));
        let (_, warnings) = told(&many);
        assert_eq!(warnings.len(), 21);
        assert_eq!(warnings[20], "80 more values of the card are not taken over");
    }

    #[test]
    fn field_c1_of_repeated_keys_the_last_counts_and_that_is_said() {
        let text = "---\nlicense: mit\nmodel-index:\n- name: a\n  name: b\nlicense: apache-2.0\n---\n# T\n";
        let (card, warnings) = told(text);
        assert_eq!(card.license.unwrap().as_str(), "apache-2.0");
        assert_eq!(card.model_name.unwrap().as_str(), "b");
        assert_eq!(
            warnings,
            [
                "line 4: `model-index[0].name` is not taken over: it stands again on line 5; as on the Hub, \
                 the last one counts",
                "line 2: `license` is not taken over: it stands again on line 6; as on the Hub, the last one counts",
            ]
        );
    }

    #[test]
    fn field_c1_front_matter_is_read_wherever_the_hub_reads_it() {
        for text in [
            "---\nlicense: mit\n---\n# T\n\nWords.\n",
            "\n\n---\nlicense: mit\n---\n# T\n\nWords.\n",
            "\u{feff}---\nlicense: mit\n---\n# T\n\nWords.\n",
            "---\r\nlicense: mit\r\n---\r\n# T\r\n\r\nWords.\r\n",
            "---\rlicense: mit\r---\r\n# T\r\rWords.\r",
            "---\nlicense: &l mit\nlicense_name:\nx: *l\n---\n# T\n \nWords.\n",
        ] {
            let (card, warnings) = told(text);
            assert_eq!(card.license.as_ref().map(Line::as_str), Some("mit"), "{text:?}");
            assert_eq!(card.title.as_ref().map(Line::as_str), Some("T"), "{text:?}");
            assert_eq!(card.description.as_ref().map(Paragraph::as_str), Some("Words."), "{text:?}");
            assert_eq!(warnings, [""; 0], "{text:?}");
        }
        let (card, warnings) = told("--- \nlicense: mit\n---\n# T\n");
        assert_eq!(card.license.unwrap().as_str(), "mit");
        assert!(warnings[0].starts_with("line 1: blanks stand behind the `---`"), "{warnings:?}");
    }

    #[test]
    fn field_c1_of_a_card_that_is_not_understood_nothing_is_taken_over() {
        for (text, expected) in [
            (
                "---\nlicense: mit\n\n# Comment\n\nWords.\n",
                "line 1: the front matter that begins here does not end",
            ),
            ("# T\n\nWords.\n\n---\nlicense: mit\n---\n", "line 6: fields of front matter stand where"),
        ] {
            let (card, warnings) = told(text);
            assert_eq!(card, Card::default(), "{text:?}");
            assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{warnings:?}");
        }
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(DIGITS.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let unmarked: Vec<u8> = DIGITS.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, expected) in [
            (&utf16[..], "is written in UTF-16 or UTF-32"),
            (&unmarked[..], "is written in UTF-16 or UTF-32"),
            (&b"---\nlicense: mit\n---\n# Gr\xf6\xdfe\n"[..], "line 4: is not UTF-8 from here on"),
        ] {
            let (card, warnings) = Card::read(bytes);
            assert_eq!(card, Card::default());
            let shown = warnings[0].to_string();
            assert!(warnings.len() == 1 && shown.starts_with(expected), "{warnings:?}");
            assert!(warnings[0].hint.as_ref().unwrap().contains("UTF-8"));
        }
    }

    #[test]
    fn field_c1_a_setext_heading_is_a_heading() {
        let (card, _) = told("Qwen3\n=====\n\nA model.\n\nLimitations\n---\n\nFew.\n\nOther\n---\n\nText.\n");
        assert_eq!(card.title.unwrap().as_str(), "Qwen3");
        assert_eq!(card.description.unwrap().as_str(), "A model.");
        assert_eq!(card.sections[&CardSection::Limitations].as_str(), "Few.");
        let (card, _) = told("First words\nof a title\n ===  \n\nText.\n");
        assert_eq!(card.title.unwrap().as_str(), "First words of a title");
        // Rules, tables, lists and code are none.
        for text in [
            "A model.\n\n---\n\n======\n",
            "A model.\n\n- a\n---\n",
            "A model.\n\n| a |\n|---|\n",
            "A model.\n\n```\na\n===\n```\n",
        ] {
            let (card, _) = told(text);
            assert_eq!(card.title, None, "{text}");
            assert_eq!(card.description.unwrap().as_str(), "A model.", "{text}");
        }
        let (card, _) = told("=====\n\nA model.\n");
        assert_eq!(card.description.unwrap().as_str(), "A model.");
    }

    #[test]
    fn field_c2_every_form_of_a_model_index_is_taken_over_or_told() {
        let index = "- name: m\n  results:\n  - task: {type: ner}\n    dataset: {name: CoNLL, type: conll, config: en, split: test}\n    \
                     metrics:\n    - {type: f1, value: 0.910, args: {x: 1}}\n    - {type: p, value: \"0.5\"}\n    \
                     - {type: a, value: 45.1 %}\n    - {type: b, value: {mean: 1, std: 2}}\n    - {type: c, value: [1, 2]}\n    \
                     - {type: d, value: .nan}\n    - {type: e, value: 20.0 \u{b1} 1.2}\n    - {type: f}\n    - {value: 1}\n    - 7\n    \
                     - {type: [x], value: 3}\n  - metrics: [{type: g, value: 2}]\n  - dataset: plain\n    metrics: [{name: h, value: -1e-3}]\n  \
                     - dataset: {name: z}\n    metrics: {type: i, value: 1}\n  - dataset: {name: z}\n  - 5\n- name: other\n  results: []\n";
        let indented: String = index.lines().map(|line| format!("{line}\n")).collect();
        let (card, warnings) = told(&format!("---\nmodel-index:\n{indented}---\n"));
        let measured: Vec<_> = card
            .evaluation
            .iter()
            .map(|m| (m.dataset.as_str(), m.metric.as_str(), m.value.as_str()))
            .collect();
        let expected = [("CoNLL (en)", "f1", "0.910"), ("CoNLL (en)", "p", "0.5"), ("plain", "h", "-1e-3")];
        assert_eq!(measured, expected);
        let places: Vec<_> = warnings.iter().map(|w| w.split('`').nth(1).unwrap()).collect();
        let metrics = |n: usize| format!("model-index[0].results[0].metrics[{n}]");
        let expected = [
            format!("{}.value", metrics(2)),
            format!("{}.value", metrics(3)),
            format!("{}.value", metrics(4)),
            format!("{}.value", metrics(5)),
            format!("{}.value", metrics(6)),
            format!("{}.value", metrics(7)),
            metrics(8),
            metrics(9),
            format!("{}.type", metrics(10)),
            metrics(10),
            "model-index[0].results[1].metrics[0]".into(),
            "model-index[0].results[3].metrics".into(),
            "model-index[0].results[4]".into(),
            "model-index[0].results[5]".into(),
            "model-index[1]".into(),
        ];
        assert_eq!(places, expected, "{warnings:#?}");
        assert!(warnings[0].contains("the text \"45.1 %\", not a number"), "{warnings:#?}");
        let left_out: Vec<_> = card.left_out.iter().map(Line::as_str).collect();
        assert_eq!(left_out, ["model-index.task", "model-index.metrics.args"]);
        for whole in [
            "model-index: {results: []}",
            "model-index: 7",
            "model-index: [[x]]",
            "model-index: [{results: 1}]",
        ] {
            let (card, warnings) = told(&format!("---\n{whole}\n---\n"));
            assert_eq!((card.evaluation.len(), warnings.len()), (0, 1), "{whole}: {warnings:?}");
        }
    }

    #[test]
    fn broken_front_matter_is_a_warning_with_its_line() {
        let (card, warnings) = told("---\nlicense: mit\ntags: !x [x]\n---\n# T\n");
        assert_eq!(card.title.unwrap().as_str(), "T");
        let expected = "line 3: the front matter of the card is not read: \
                        explicit tags (`!name`) but those of plain values are not supported";
        assert_eq!(warnings, [expected]);
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
            let (_, warnings) = Card::read(text.as_bytes());
            prop_assert!(warnings.len() < 100);
        }
    }
}
