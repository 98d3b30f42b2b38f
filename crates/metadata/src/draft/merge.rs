//! Adding what a draft knows to a descriptor that a person has written: nothing that stands there is changed.
//!
//! The text is edited, not written anew, so that comments and order stay; then it is read again, and must say what it said
//! before and what was to be added, and nothing else.

use serde_json::{Map, Value};

use super::{Draft, QUESTIONS, SECTIONS, write_member};
use crate::descriptor::Kind;
use crate::problem::Problem;
use crate::tree::{Entry, Node, Value as Tree, yaml};

/// A descriptor with what was added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The file as it should be now.
    pub text: String,
    /// Dotted names of the fields that were added, in the order of a descriptor.
    pub added: Vec<String>,
    /// Fields that the file says otherwise than the draft; they stay as they are.
    pub differing: Vec<Differing>,
    /// Fields that could not be added, because their section is written on one line or in a way that is not understood.
    pub not_added: Vec<String>,
    /// What a person still has to say, as [`Draft::missing`] has it.
    pub missing: Vec<Problem>,
}

/// A field that the file says otherwise than the draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// Its dotted name.
    pub field: String,
    /// What the file says, and what it keeps saying.
    pub said: Value,
    /// What the draft would say.
    pub found: Value,
}

impl Draft {
    /// Adds to a descriptor in YAML what it does not say yet.
    ///
    /// # Errors
    /// The text is not YAML as a descriptor may have it.
    pub fn merge_into(&self, text: &str) -> Result<Merged, Problem> {
        let tree = yaml::parse(text)?;
        if !matches!(tree.value, Tree::Map(_)) && !tree.is_null() {
            return Err(Problem::new("wrong-type", "is no map of fields, as a descriptor is"));
        }
        let mut merged = Merged {
            text: text.to_owned(),
            added: Vec::new(),
            differing: Vec::new(),
            not_added: Vec::new(),
            missing: Vec::new(),
        };
        if !merged.text.is_empty() && !merged.text.ends_with('\n') {
            merged.text.push('\n');
        }
        for (field, value) in self.members() {
            match lookup(&tree, &field) {
                Some(node) if !node.is_null() => {
                    if plain(node) != texts(&value) {
                        merged.differing.push(Differing { field, said: plain(node), found: value });
                    }
                }
                found => {
                    // An empty place would stand twice.
                    let next = if found.is_some() { None } else { add(&merged.text, &field, &value) };
                    match next {
                        Some(next) => {
                            merged.text = next;
                            merged.added.push(field);
                        }
                        None => merged.not_added.push(field),
                    }
                }
            }
        }
        let tree = yaml::parse(&merged.text)?;
        let says = |field: &str| lookup(&tree, field).is_some_and(|node| !node.is_null());
        let word = tree.get("kind").and_then(Node::text);
        let kind = Kind::ALL.into_iter().find(|kind| word == Some(kind.as_str()));
        merged.missing = super::questions_left(kind, says);
        Ok(merged)
    }

    /// What the draft knows, one field after the other, in the order of a descriptor.
    fn members(&self) -> Vec<(String, Value)> {
        let known = self.known();
        let mut members = Vec::new();
        for (field, _, _) in QUESTIONS {
            members.extend(super::lookup(&known, field).map(|value| (field.to_owned(), value.clone())));
        }
        let patterns: Vec<_> = self.exclude.iter().map(|proposed| proposed.pattern.as_str().into()).collect();
        if !patterns.is_empty() {
            members.push(("exclude".into(), Value::Array(patterns)));
        }
        members
    }
}

/// Puts a field into a text at one kind of place, if there is such a place.
type Place = fn(text: &str, field: &str, value: &Value) -> Option<String>;

/// The text with one more field, if it then says just that in addition.
fn add(text: &str, field: &str, value: &Value) -> Option<String> {
    let before = plain(&yaml::parse(text).ok()?);
    let expected = with(before, field, texts(value))?;
    let holds = |next: &String| yaml::parse(next).is_ok_and(|tree| plain(&tree) == expected);
    let places: [Place; 4] = [answered, in_section, section_asked_for, at_the_end];
    places.iter().filter_map(|place| place(text, field, value)).find(holds)
}

/// The line that asks for the field becomes the field.
fn answered(text: &str, field: &str, value: &Value) -> Option<String> {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let (at, indent, key) = match field.split_once('.') {
        None => (lines.iter().position(|line| line.starts_with(&format!("# {field}:")))?, 0, field),
        Some((section, key)) => {
            let (head, end, indent) = section_lines(&lines, section)?;
            let asks = |line: &&str| line.trim_start().starts_with(&format!("# {key}:"));
            (head + 1 + lines[head + 1..end].iter().position(asks)?, indent, key)
        }
    };
    let mut member = String::new();
    write_member(&mut member, indent, key, value);
    // What the question said about elements below it, such as a pattern, goes with it.
    let below = lines[at + 1..].iter().take_while(|line| indent == 0 && line.starts_with("#   ")).count();
    Some([&lines[..at].concat(), &member, &lines[at + 1 + below..].concat()].map(String::as_str).concat())
}

/// The field becomes the first of its section.
fn in_section(text: &str, field: &str, value: &Value) -> Option<String> {
    let (section, key) = field.split_once('.')?;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let (head, _, indent) = section_lines(&lines, section)?;
    let mut member = String::new();
    write_member(&mut member, indent, key, value);
    Some([&lines[..=head].concat(), &member, &lines[head + 1..].concat()].map(String::as_str).concat())
}

/// The comment that asks for the section becomes the section, and its questions become the section's.
fn section_asked_for(text: &str, field: &str, value: &Value) -> Option<String> {
    let (section, key) = field.split_once('.')?;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let head = lines.iter().position(|line| line.trim_end() == format!("# {section}:"))?;
    let questions = lines[head + 1..].iter().take_while(|line| line.starts_with("#   ")).count();
    let mut middle = format!("{section}:\n");
    write_member(&mut middle, 2, key, value);
    for line in &lines[head + 1..head + 1 + questions] {
        let question = &line[4..];
        if !question.starts_with(&format!("{key}:")) {
            middle.push_str("  # ");
            middle.push_str(question);
        }
    }
    let rest = lines[head + 1 + questions..].concat();
    Some([lines[..head].concat(), middle, rest].concat())
}

/// The field, with its section, comes last.
fn at_the_end(text: &str, field: &str, value: &Value) -> Option<String> {
    let mut next = text.to_owned();
    let Some((section, key)) = field.split_once('.') else {
        write_member(&mut next, 0, field, value);
        return Some(next);
    };
    let title = SECTIONS.iter().find(|(name, _)| *name == section).map(|(_, title)| title)?;
    next.push_str(&format!("\n# {title}\n{section}:\n"));
    write_member(&mut next, 2, key, value);
    Some(next)
}

/// The line that a section begins on, the line behind its last, and how far its members are indented. `None` unless it is
/// a block, which nothing stands beside.
fn section_lines(lines: &[&str], section: &str) -> Option<(usize, usize, usize)> {
    let head = lines.iter().position(|line| {
        let rest = line.strip_prefix(section).and_then(|rest| rest.strip_prefix(':')).map(str::trim);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    })?;
    let inside = |line: &&&str| line.starts_with(' ') || line.trim().is_empty();
    let end = head + 1 + lines[head + 1..].iter().take_while(inside).count();
    let member = lines[head + 1..end].iter().find(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    })?;
    Some((head, end, member.len() - member.trim_start_matches(' ').len()))
}

fn lookup<'n>(tree: &'n Node, field: &str) -> Option<&'n Node> {
    field.split('.').try_fold(tree, |node, key| node.get(key))
}

/// A tree as JSON in which every scalar is text: what it says, whatever its lines and quotes are.
fn plain(node: &Node) -> Value {
    match &node.value {
        Tree::Scalar(_) if node.is_null() => Value::Null,
        Tree::Scalar(scalar) => Value::String(scalar.text.clone()),
        Tree::List(items) => items.iter().map(plain).collect(),
        Tree::Map(entries) => {
            entries.iter().map(|Entry { key, node, .. }| (key.clone(), plain(node))).collect()
        }
    }
}

/// JSON with every scalar as text.
fn texts(value: &Value) -> Value {
    match value {
        Value::Null | Value::String(_) => value.clone(),
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), texts(value))).collect(),
    }
}

/// What a descriptor says with one more field.
fn with(before: Value, field: &str, value: Value) -> Option<Value> {
    let mut members = match before {
        Value::Null => Map::new(),
        Value::Object(members) => members,
        _ => return None,
    };
    match field.split_once('.') {
        None => drop(members.insert(field.to_owned(), value)),
        Some((section, key)) => {
            let section = members.entry(section.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            section.as_object_mut()?.insert(key.to_owned(), value);
        }
    }
    Some(Value::Object(members))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Descriptor, DescriptorSyntax, Scheme};

    fn found() -> Draft {
        let mut draft = Draft { name: "found".parse().ok(), license: "MIT".parse().ok(), ..Draft::default() };
        draft.title = "A: title".parse().ok();
        draft.contact.organization = "Acme".parse().ok();
        draft.training.summary = "First.\n\nSecond.\n".parse().ok();
        draft.training.framework = "NumPy".parse().ok();
        draft
    }

    #[test]
    fn field_h16_what_a_person_wrote_stays_and_what_is_found_is_added() {
        let mut first =
            Draft { name: "mine".parse().ok(), version: "1.2.0".parse().ok(), ..Draft::default() };
        first.contact.name = "Ada".parse().ok();
        let text = first.to_yaml().replace("# classification: ", "classification: public # ");
        let text = text.replace("\nname: mine\n", "\nname: mine # not to be changed\n");
        let merged = found().merge_into(&text).unwrap();
        assert_eq!(
            merged.added,
            ["title", "contact.organization", "license", "training.summary", "training.framework"]
        );
        assert_eq!(merged.differing.len(), 1);
        assert_eq!(merged.differing[0].field, "name");
        assert_eq!(merged.not_added, [""; 0]);
        // Every line of the person's is there, in its order.
        let mut lines = merged.text.lines();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            assert!(lines.any(|l| l == line), "{line:?} in\n{}", merged.text);
        }
        assert!(
            !merged.text.contains("# license:") && !merged.text.contains("# summary:"),
            "{}",
            merged.text
        );
        assert!(merged.text.contains("  # hardware: what it ran on\n"), "{}", merged.text);
        let again = found().merge_into(&merged.text).unwrap();
        assert_eq!((&again.text, again.added.len()), (&merged.text, 0));
    }

    #[test]
    fn field_h16_whatever_the_file_looks_like_it_says_what_it_said() {
        for text in [
            "",
            "# nothing yet",
            "name: a",
            "name: a\ntraining:\n    code: {dirty: true}\n    hardware: x\n",
            "name: a\ntraining: {hardware: x}\ncontact: {name: x}\n",
            "{name: a, contact: {name: x}}\n",
            "name: a\ndescription: |\n  contact:\n    # organization: x\n  # license: y\ncontact:\n  name: x\n",
            "name: a\ntraining:\ncontact:\n- x\n",
            "---\nname: a\n",
            "name: a\nlicense:\n",
            "name: a\r\ntraining:\r\n  hardware: x\r\n",
            "name: a\n...\n",
        ] {
            let before = plain(&yaml::parse(text).unwrap());
            let merged = found().merge_into(text).unwrap();
            let mut expected = before;
            for field in &merged.added {
                let value = super::super::lookup(&found().known(), field).unwrap().clone();
                expected = with(expected, field, texts(&value)).unwrap();
            }
            assert_eq!(plain(&yaml::parse(&merged.text).unwrap()), expected, "{text:?}\n{}", merged.text);
            let fields = merged.added.len() + merged.not_added.len() + merged.differing.len();
            assert_eq!(fields, 6, "{text:?} {merged:?}");
        }
        assert!(found().merge_into("- a\n").is_err());
        assert!(found().merge_into("a: &x 1\n").is_err());
        let merged = found().merge_into("name: a\ntraining: {hardware: x}\n").unwrap();
        assert_eq!(merged.not_added, ["training.summary", "training.framework"]);
    }

    #[test]
    fn field_h16_a_descriptor_of_init_is_completed_to_one_that_is_whole() {
        let empty = Draft::default().to_yaml();
        let mut draft = found();
        draft.version = "1.0.0".parse().ok();
        draft.kind = Some(crate::Kind::Model);
        draft.classification = "public".parse().ok();
        draft.contact.name = "Ada".parse().ok();
        draft.contact.email = "ada@example.org".parse().ok();
        let pattern = "*.log".parse().unwrap();
        draft.exclude.push(super::super::ProposedExclude { pattern, reason: None });
        let merged = draft.merge_into(&empty).unwrap();
        assert_eq!(merged.not_added, [""; 0]);
        let descriptor =
            Descriptor::parse(merged.text.as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin())
                .unwrap_or_else(|problems| panic!("{problems:?}\n{}", merged.text));
        assert_eq!(descriptor.exclude.len(), 1);
        assert_eq!(descriptor.details.training.unwrap().framework.unwrap().as_str(), "NumPy");
        assert_eq!(draft.missing().len(), descriptor_questions(&merged.text), "{}", merged.text);
    }

    fn descriptor_questions(text: &str) -> usize {
        let wanted = |line: &&str| line.ends_with("(required)") || line.ends_with("(recommended)");
        text.lines().filter(wanted).count()
    }

    proptest! {
        #[test]
        fn field_h16_no_text_makes_it_panic_or_say_something_else(text in r#"((name|license|training|contact|  code|  a|# license|# training|#   code): ?[a\[\]{}|#'"\n -]{0,6}\n?){0,8}"#) {
            let Ok(before) = yaml::parse(&text) else { return Ok(()) };
            let Ok(merged) = found().merge_into(&text) else { return Ok(()) };
            let mut expected = plain(&before);
            for field in &merged.added {
                let value = super::super::lookup(&found().known(), field).unwrap().clone();
                expected = with(expected, field, texts(&value)).unwrap();
            }
            prop_assert_eq!(plain(&yaml::parse(&merged.text).unwrap()), expected);
        }
    }
}
