//! Drafts against the parser: what is known comes back, what is missing is reported.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::classification::Scheme;
use crate::descriptor::{Descriptor, DescriptorSyntax, Parameter, Source};

fn parse(text: &str) -> Result<Descriptor, Vec<Problem>> {
    Descriptor::parse(text.as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin())
}

fn fields(problems: &[Problem], code: &str) -> Vec<String> {
    problems.iter().filter(|p| p.code == code).filter_map(|p| p.at.clone()).collect()
}

/// A draft that lacks nothing required.
fn complete() -> Draft {
    Draft {
        name: "a".parse().ok(),
        version: "1.0.0".parse().ok(),
        kind: Some(Kind::Model),
        classification: "public".parse().ok(),
        contact: DraftContact {
            name: "Ada".parse().ok(),
            email: "ada@example.org".parse().ok(),
            ..DraftContact::default()
        },
        ..Draft::default()
    }
}

/// What a draft and a descriptor have in common, for comparison.
fn draft_of(descriptor: Descriptor) -> Draft {
    let Descriptor { core, details, exclude } = descriptor;
    Draft {
        name: Some(core.name),
        version: Some(core.version),
        kind: Some(details.kind),
        title: details.title,
        description: details.description,
        classification: Some(core.classification),
        contact: DraftContact {
            name: Some(core.contact.name),
            email: Some(core.contact.email),
            organization: core.contact.organization,
            role: core.contact.role,
        },
        license: core.license,
        parents: core.parents,
        categories: details.categories,
        training: details.training.unwrap_or_default(),
        provenance: details.provenance.unwrap_or_default(),
        model_card: details.model_card.unwrap_or_default(),
        data: details.data.unwrap_or_default(),
        handling: details.handling.unwrap_or_default(),
        exclude: exclude.into_iter().map(|pattern| ProposedExclude { pattern, reason: None }).collect(),
        notes: Vec::new(),
    }
}

#[test]
fn an_empty_draft_asks_for_everything() {
    insta::assert_snapshot!(Draft::default().to_yaml(), @r#"
    # Descriptor of a bundle. Lines with `#` ask for what is not known yet:
    # take the `#` away and fill them in, or delete those that are not required.

    # name: lower-case letters and digits, with `.`, `_`, `-` inside (required)
    # version: Semantic Versioning, such as 1.0.0 (required)
    # kind: model, dataset, workflow or mixed (required)
    # title: a name for people (recommended)
    # description: what it is, in a few sentences (recommended)
    # classification: public, internal, confidential or restricted (required)

    # Whom to ask about the bundle.
    # contact:
    #   name: who answers questions about this bundle (required)
    #   email: where to reach them (required)
    #   organization: whom they work for
    #   role: such as data owner

    # license: best as an SPDX identifier, such as Apache-2.0 (recommended)
    # categories: kinds of data it holds, as the handling policy names them

    # How the content was trained, generated or computed.
    # training:
    #   summary: how it was trained, generated or computed (recommended)
    #   framework: such as PyTorch 2.4 (recommended)
    #   hardware: what it ran on
    #   code: repository, commit, and whether files differed from it (dirty) (recommended)
    #   configuration: files that configured the run, each with path and sha256
    #   parameters: such as seed and learning_rate

    # Where the content comes from and what was done to it.
    # provenance:
    #   sources: original sources, each with uri, license, retrieved (recommended)
    #   transformations: what was done to them, each with tool, version, time
    #   pipeline: the build or training pipeline: system, run, uri, commit (recommended)

    # What the model is for, how good it is, and where it fails.
    # model_card:
    #   intended_use: what it is meant for (recommended)
    #   out_of_scope: what it must not be used for (recommended)
    #   limitations: known limitations (recommended)
    #   risks: known risks and failure modes (recommended)
    #   data_sources: the data that it was trained and tested on (recommended)
    #   evaluation: measurements, each with dataset, split, metric, value (recommended)
    #   deployment: where it runs and how its outputs are used

    # How the bundle must be stored, sent and shared.
    # handling:
    #   storage: where it may be stored
    #   encryption: at_rest, in_transit, keys
    #   channels: how it may be sent, such as TLS or VPN
    #   access: who may view, modify, export
    #   retention: how long it may be kept
    #   markings: markings that must stay with it, word for word

    # Files that are not packed.
    # exclude:
    #   - "*.log"
    "#);
}

#[test]
fn the_parser_misses_exactly_what_the_draft_says_is_missing() {
    let mut drafts = vec![Draft::default(), complete()];
    drafts.push(Draft { contact: DraftContact::default(), ..complete() });
    drafts.push(Draft { name: None, kind: None, ..complete() });
    let mut partial = complete();
    partial.contact.email = None;
    drafts.push(partial);
    for draft in drafts {
        let required = fields(&draft.missing(), "missing-field");
        let reported = parse(&draft.to_yaml()).err().unwrap_or_default();
        assert_eq!(fields(&reported, "missing-field"), required, "{}", draft.to_yaml());
        assert_eq!(reported.len(), required.len(), "{reported:?}");
    }
}

#[test]
fn what_is_recommended_depends_on_the_kind() {
    let recommended = |kind| fields(&Draft { kind: Some(kind), ..complete() }.missing(), "recommended-field");
    assert!(recommended(Kind::Model).contains(&"model_card.intended_use".to_owned()));
    assert_eq!(
        recommended(Kind::Dataset),
        [
            "title",
            "description",
            "license",
            "provenance.sources",
            "provenance.pipeline",
            "data.collection",
            "data.coverage",
            "data.quality",
            "data.tables"
        ]
    );
    assert!(!recommended(Kind::Model).iter().any(|field| field.starts_with("data.")));
    let text = Draft { kind: Some(Kind::Dataset), ..complete() }.to_yaml();
    assert!(!text.contains("model_card") && !text.contains("summary:"), "{text}");
    assert!(text.contains("#   code: "), "{text}");
}

#[test]
fn a_full_descriptor_survives_being_a_draft() {
    let descriptor = parse(include_str!("../../tests/data/complete.yaml")).unwrap();
    let draft = draft_of(descriptor.clone());
    assert_eq!(parse(&draft.to_yaml()).as_ref(), Ok(&descriptor), "{}", draft.to_yaml());
    assert_eq!(draft.missing(), []);
}

#[test]
fn a_card_becomes_a_draft() {
    let text = include_str!("../../../../examples/digits-classifier/README.md");
    let mut draft = Draft::from_card(&Card::parse(text).0);
    draft.version = "1.0.0".parse().ok();
    draft
        .exclude
        .push(ProposedExclude { pattern: "*.log".parse().unwrap(), reason: "logs, 3 files".parse().ok() });
    assert_eq!(draft.name.as_ref().map(BundleName::as_str), Some("digits-mlp"));
    assert_eq!(
        fields(&draft.missing(), "missing-field"),
        ["classification", "contact.name", "contact.email"]
    );
    insta::assert_snapshot!(draft.to_yaml(), @r#"
    # Descriptor of a bundle. Lines with `#` ask for what is not known yet:
    # take the `#` away and fill them in, or delete those that are not required.

    name: digits-mlp
    version: 1.0.0
    kind: model
    title: digits-mlp
    description: A small neural network that names the digit, 0 to 9, in an 8x8 greyscale image. It has 2,410 parameters (64 inputs, 32 ReLU units, 10 outputs), is written in plain numpy, and trains in seconds on a laptop CPU.
    # classification: public, internal, confidential or restricted (required)

    # Whom to ask about the bundle.
    # contact:
    #   name: who answers questions about this bundle (required)
    #   email: where to reach them (required)
    #   organization: whom they work for
    #   role: such as data owner

    license: apache-2.0
    # categories: kinds of data it holds, as the handling policy names them

    # How the content was trained, generated or computed.
    training:
      summary: |-
        Cross-entropy, stochastic gradient descent with momentum 0.9, learning rate
        0.05, weight decay 0.0001 (weights only), batches of 32, 40 epochs. The settings
        were fixed beforehand and the test rows were not used to choose them. There was
        no augmentation, no early stopping and no choosing among several runs.

        ```sh
        pip install -r requirements.txt
        python train.py           # rebuild everything
        python train.py --check   # confirm the stored model gives the stored figures
        ```

        A second run on the same machine with the same versions gives the same bytes. On
        another kind of processor the last bits of the weights may differ.
      framework: numpy
      # hardware: what it ran on
      # code: repository, commit, and whether files differed from it (dirty) (recommended)
      # configuration: files that configured the run, each with path and sha256
      # parameters: such as seed and learning_rate

    # Where the content comes from and what was done to it.
    # provenance:
    #   sources: original sources, each with uri, license, retrieved (recommended)
    #   transformations: what was done to them, each with tool, version, time
    #   pipeline: the build or training pipeline: system, run, uri, commit (recommended)

    # What the model is for, how good it is, and where it fails.
    model_card:
      intended_use: |-
        Teaching, testing tools that handle models, and trying out an evaluation
        procedure on something small enough to inspect by hand.
      out_of_scope: |-
        Do not use it to read real forms, cheques, postcodes, meter readings or exam
        papers, or wherever a misread digit costs somebody something. It does not read
        letters, several digits at once, or ordinary photographs and scans.
      limitations: |-
        - **Position.** A shift of one pixel roughly halves the accuracy. Input must be
          cropped and scaled exactly as in the source data.
        - **Writers.** Training and test rows come from the same 13 people, and the data
          does not say who wrote which. The figures do not show how the model does on a
          new person's handwriting; expect it to do worse.
        - **Sample size.** With about 45 test rows per digit, one image moves a recall
          by more than two points. The differences between most classes are not
          meaningful, and the result comes from one split and one seed.
        - **Overfitting.** Every training row is classified correctly, so the training
          accuracy says nothing about new images.
      risks: |-
        - **Confident mistakes.** 3 of the 14 errors carry a softmax score above 0.9. The
          scores are not calibrated; a threshold on them is no safeguard.
        - **No way to decline.** Any 64 numbers get a digit, including a letter, a
          smudge or an empty image.
        - **Uneven errors between people.** Nothing is known about the age, handedness or
          schooling of the 13 writers, so fairness between groups was not assessed.
        - **Data poisoning and extraction** were not studied. The data is public, so the
          weights reveal nothing that is not already open.
      data_sources: |-
        Optical Recognition of Handwritten Digits, test part: 1,797 images from 13
        writers, as shipped with scikit-learn. Each value counts the dark pixels in one
        4x4 block of a 32x32 bitmap. The files carry no names or other writer details.

        > E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits.
        > UCI Machine Learning Repository. https://doi.org/10.24432/C50P49.
        > Licensed under CC BY 4.0, https://creativecommons.org/licenses/by/4.0/.

        Changes made to the data: split into two files (1,347 rows for training, 450 for
        testing, stratified by label), with a header and a source row number added.
        Pixels and labels are unaltered. The weights and the code are under Apache-2.0;
        the files in `data/` stay under CC BY 4.0.
      evaluation:
        - dataset: UCI Optical Recognition of Handwritten Digits (held-out quarter of the UCI test part)
          split: test
          metric: Accuracy
          value: "0.9689"
        - dataset: UCI Optical Recognition of Handwritten Digits (held-out quarter of the UCI test part)
          split: test
          metric: Macro F1
          value: "0.9689"
      # deployment: where it runs and how its outputs are used

    # How the bundle must be stored, sent and shared.
    # handling:
    #   storage: where it may be stored
    #   encryption: at_rest, in_transit, keys
    #   channels: how it may be sent, such as TLS or VPN
    #   access: who may view, modify, export
    #   retention: how long it may be kept
    #   markings: markings that must stay with it, word for word

    # Files that are not packed.
    exclude:
      - "*.log" # logs, 3 files
    "#);
    draft.classification = "public".parse().ok();
    draft.contact = complete().contact;
    let read = draft_of(parse(&draft.to_yaml()).unwrap());
    draft.exclude[0].reason = None;
    assert_eq!(read, draft);
}

#[test]
fn what_is_said_already_stays() {
    let card = Card::parse("---\nlicense: mit\nbase_model: x/y\n---\n# T\n\nD.\n").0;
    let mut draft = Draft { license: "Apache-2.0".parse().ok(), ..complete() };
    draft.absorb_card(&card);
    assert_eq!(draft.license.as_ref().map(Line::as_str), Some("Apache-2.0"));
    assert_eq!(draft.title.as_ref().map(Line::as_str), Some("T"));
    assert_eq!(draft.notes.len(), 1);
    assert!(draft.to_yaml().contains("\n# Note: The card says that this derives from: x/y; name it"));
}

#[test]
fn nasty_lines_come_back() {
    for text in [
        "\"quoted\"",
        "it's",
        "a: b",
        "a #b",
        "# a",
        "-a",
        "- a",
        "yes",
        "1.0",
        "~",
        "{x}",
        "[x]",
        "*x",
        "&x",
        "!x",
        "%x",
        "@x",
        "`x`",
        "a\\b",
        "2024-05-01",
        "0x1F",
        "null",
        ":",
        "?",
        "|",
        ">-",
        "...",
        "---",
    ] {
        let mut draft = complete();
        draft.title = text.parse().ok();
        draft.license = text.parse().ok();
        draft.description = format!("{text}\n{text}\n\n  {text}").parse().ok();
        draft.contact.role = text.parse().ok();
        draft.provenance.sources.push(Source {
            uri: "doi:10.1/2".parse().unwrap(),
            sha256: None,
            license: text.parse().ok(),
            retrieved: "2024-05-01".parse().ok(),
            description: format!("{text}\n").parse().ok(),
        });
        let parameter =
            Parameter::Map([(text.parse().unwrap(), Parameter::Text(text.parse().unwrap()))].into());
        draft.training.parameters.insert(text.parse().unwrap(), parameter);
        draft.notes.push(text.parse().unwrap());
        let read = parse(&draft.to_yaml()).map(draft_of);
        draft.notes.clear();
        assert_eq!(read, Ok(draft.clone()), "{}", draft.to_yaml());
    }
}

fn parameter() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        "[ -~é\\n]{0,10}".prop_map(|s| json!(s)),
        "-?[0-9.e]{1,5}".prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[!-~]{1,6}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn any_draft_comes_back(title in "\\PC{1,20}", text in "[ -~é\\n\\t]{1,40}", value in parameter()) {
        let mut draft = complete();
        draft.title = title.parse().ok();
        draft.description = text.parse().ok();
        draft.model_card.limitations = text.parse().ok();
        if let Ok(parameter) = serde_json::from_value(value) {
            draft.training.parameters.insert("p".parse().unwrap(), parameter);
        }
        prop_assert_eq!(parse(&draft.to_yaml()).map(draft_of), Ok(draft.clone()), "{}", draft.to_yaml());
    }
}
