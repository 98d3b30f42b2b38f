//! Fields set from outside the file, such as a version that only the pipeline knows.

use std::str::FromStr;

use crate::decode::Decoder;
use crate::problem::Problem;
use crate::tree::{Entry, Node, Scalar, ScalarKind, Value};
use crate::unicode::excerpt;

/// A field and the value that it gets, whatever the file says.
///
/// The value is plain text; the type of the field says what it means. A number in the field names an element of
/// a list, counted from 0; the number behind the last appends one.
///
/// ```
/// use consign_metadata::Edit;
/// let edit: Edit = "contact.email=ada@example.org".parse()?;
/// assert_eq!(edit, Edit::new("contact.email", "ada@example.org")?);
/// assert!("version".parse::<Edit>().is_err());
/// # Ok::<(), consign_metadata::Problem>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    field: Vec<String>,
    value: String,
}

impl Edit {
    /// Sets `field`, a dotted path such as `contact.email` or `parents.0`.
    ///
    /// # Errors
    /// A path with an empty part, or deeper than any field is.
    pub fn new(field: &str, value: impl Into<String>) -> Result<Self, Problem> {
        let parts: Vec<String> = field.split('.').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) || parts.len() > DEPTH_MAX {
            let message = format!("`{}` is not a field such as `contact.email`", excerpt(field));
            return Err(Problem::new("bad-edit", message));
        }
        Ok(Self { field: parts, value: value.into() })
    }

    /// The dotted path.
    pub fn field(&self) -> String {
        self.field.join(".")
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Changes `root` accordingly.
    pub(crate) fn apply(&self, root: &mut Node, decoder: &mut Decoder<'_>) {
        let mut node = root;
        for (depth, part) in self.field.iter().enumerate() {
            node = match step(node, part) {
                Ok(next) => next,
                Err(message) => {
                    let at = self.field[..depth].join(".");
                    let hint = format!("`{}` cannot be set", excerpt(&self.field()));
                    decoder.push(Problem::new("bad-edit", message).at(at).hint(hint));
                    return;
                }
            };
        }
        let scalar = Scalar { text: self.value.clone(), kind: ScalarKind::Override };
        *node = Node { line: None, value: Value::Scalar(scalar) };
    }
}

/// No field lies deeper, parameters aside.
const DEPTH_MAX: usize = 16;

/// The node below `node` that `part` names, made if need be.
fn step<'n>(node: &'n mut Node, part: &str) -> Result<&'n mut Node, String> {
    if node.is_null() {
        // `0` begins a list: it is its first element.
        node.value = if part == "0" { Value::List(Vec::new()) } else { Value::Map(Vec::new()) };
    }
    match &mut node.value {
        Value::Map(entries) => {
            let at = match entries.iter().position(|entry| entry.key == part) {
                Some(at) => at,
                None => {
                    entries.push(Entry { key: part.to_owned(), line: None, node: empty() });
                    entries.len() - 1
                }
            };
            Ok(&mut entries[at].node)
        }
        Value::List(items) => match part.parse::<usize>() {
            Ok(at) if at < items.len() => Ok(&mut items[at]),
            Ok(at) if at == items.len() => {
                items.push(empty());
                Ok(&mut items[at])
            }
            _ => Err(format!("is a list of {} elements and has no element `{}`", items.len(), excerpt(part))),
        },
        Value::Scalar(_) => Err("is a single value and has no fields".into()),
    }
}

/// A node that becomes whatever the rest of the path needs.
fn empty() -> Node {
    let scalar = Scalar { text: String::new(), kind: ScalarKind::Null };
    Node { line: None, value: Value::Scalar(scalar) }
}

impl FromStr for Edit {
    type Err = Problem;

    /// Reads `FIELD=VALUE`; the value may hold more `=`.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let (field, value) = text.split_once('=').ok_or_else(|| {
            let message = format!("`{}` is not of the form FIELD=VALUE", excerpt(text));
            Problem::new("bad-edit", message)
                .hint("for example version=1.2.0 or contact.email=ada@example.org")
        })?;
        Self::new(field, value)
    }
}
