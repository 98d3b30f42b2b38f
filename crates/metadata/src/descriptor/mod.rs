//! What the owner says about a bundle, and how a descriptor file is read.

mod core;
mod data;
mod details;
mod edit;
mod exclude;
mod fields;
mod handling;
mod model_card;
mod parameter;
mod provenance;
mod schema;
mod training;

pub use core::{Contact, Core};
pub use data::{COUNT_MAX, Count, Data, DataTable, Variable};
pub use details::{Details, DetailsSchema, Kind};
pub use edit::Edit;
pub use exclude::ExcludePattern;
pub use handling::{Access, Encryption, Handling};
pub use model_card::{Evaluation, ModelCard};
pub use parameter::{PARAMETER_DEPTH_MAX, Parameter, ParameterText};
pub use provenance::{Pipeline, Provenance, Source, Transformation};
pub use schema::descriptor_schema;
pub use training::{Code, ConfigurationFile, Training};

use crate::classification::Scheme;
use crate::decode::{Decode, Decoder, Fields, Path};
use crate::limits::DESCRIPTOR_BYTES_MAX;
use crate::problem::Problem;
use crate::tree::{self, Node};

/// Everything that a descriptor file says. The file is flat: the fields of [`Core`] and [`Details`] stand side by
/// side, with `exclude`.
///
/// ```
/// use consign_metadata::{Descriptor, DescriptorSyntax, Scheme};
/// let text = b"name: digits
/// version: 1.0.0
/// kind: model
/// classification: public
/// contact: {name: Ada Lovelace, email: ada@example.org}
/// ";
/// let descriptor = Descriptor::parse(text, DescriptorSyntax::Yaml, &[], &Scheme::builtin()).unwrap();
/// assert_eq!(descriptor.core.name.as_str(), "digits");
///
/// let problems = Descriptor::parse(b"nam: digits", DescriptorSyntax::Yaml, &[], &Scheme::builtin()).unwrap_err();
/// assert!(problems.iter().any(|p| p.to_string() == "line 1: nam: is not a field of a descriptor"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What every version of the format says in the same shape.
    pub core: Core,
    /// Everything else about the content.
    pub details: Details,
    /// Files that are not packed.
    pub exclude: Vec<ExcludePattern>,
}

/// How a descriptor file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DescriptorSyntax {
    /// YAML 1.2 without anchors, aliases, tags and merge keys.
    Yaml,
    /// JSON without comments and trailing commas.
    Json,
    /// TOML 1.0.
    Toml,
}

impl DescriptorSyntax {
    /// The syntax that a file name ends in: `.yaml`, `.yml`, `.json` or `.toml`.
    pub fn from_file_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    /// The tree of a whole file.
    fn parse(self, text: &str) -> Result<Node, Problem> {
        match self {
            Self::Yaml => tree::yaml::parse(text),
            Self::Json => tree::json::parse(text),
            Self::Toml => tree::toml::parse(text),
        }
    }
}

impl Descriptor {
    /// Reads a descriptor file. `edits` are applied to what the file says, in their order, before anything is
    /// checked; the classification must be a level of `scheme`.
    ///
    /// # Errors
    /// Every problem of the file at once, never none, in the order of their lines. Codes: `descriptor-too-large`,
    /// `not-utf8`, `byte-order-mark`, `syntax`, `too-deep`, `unsupported-yaml` (after these nothing else can be
    /// said), `unknown-field`, `duplicate-field`, `missing-field`, `wrong-type`, `bad-value`,
    /// `unknown-classification`, `bad-edit`, `more-problems`.
    pub fn parse(
        text: &[u8],
        syntax: DescriptorSyntax,
        edits: &[Edit],
        scheme: &Scheme,
    ) -> Result<Self, Vec<Problem>> {
        let text = decode_utf8(text).map_err(|problem| vec![problem])?;
        let mut root = syntax.parse(text).map_err(|problem| vec![problem])?;
        let mut decoder = Decoder::new(scheme);
        for edit in edits {
            edit.apply(&mut root, &mut decoder);
        }
        let descriptor = Self::decode(&root, &Path::Root, &mut decoder);
        let problems = decoder.into_problems();
        match descriptor {
            Some(descriptor) if problems.is_empty() => Ok(descriptor),
            _ => Err(problems),
        }
    }
}

impl Decode for Descriptor {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        let mut fields = Fields::open(node, path, decoder)?;
        let name = fields.take("name", decoder);
        let version = fields.take("version", decoder);
        let kind = fields.take("kind", decoder);
        let title = fields.take("title", decoder);
        let description = fields.take("description", decoder);
        let classification = fields.take("classification", decoder);
        let contact = fields.take("contact", decoder);
        let license = fields.take("license", decoder);
        let parents = fields.take("parents", decoder);
        let categories = fields.take("categories", decoder);
        let training = fields.take("training", decoder);
        let provenance = fields.take("provenance", decoder);
        let model_card = fields.take("model_card", decoder);
        let data = fields.take("data", decoder);
        let handling = fields.take("handling", decoder);
        let exclude = fields.take("exclude", decoder);
        fields.close(decoder)?;
        Some(Self {
            core: Core {
                name: name?,
                version: version?,
                classification: classification?,
                contact: contact?,
                license: license?,
                parents: parents?,
            },
            details: Details {
                schema: DetailsSchema,
                kind: kind?,
                title: title?,
                description: description?,
                categories: categories?,
                training: training?,
                provenance: provenance?,
                model_card: model_card?,
                data: data?,
                handling: handling?,
            },
            exclude: exclude?,
        })
    }
}

/// The text of a file, if it is UTF-8 without a byte order mark and not too long.
fn decode_utf8(bytes: &[u8]) -> Result<&str, Problem> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length > DESCRIPTOR_BYTES_MAX) {
        let message = format!("is {} bytes long (at most {DESCRIPTOR_BYTES_MAX})", bytes.len());
        return Err(Problem::new("descriptor-too-large", message));
    }
    let utf8 = "save the file as UTF-8 without a byte order mark";
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Problem::new("byte-order-mark", "begins with a byte order mark").line(1).hint(utf8));
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(Problem::new("not-utf8", "is UTF-16, not UTF-8").hint(utf8));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        Problem::new("not-utf8", "is not UTF-8").line(line).hint(utf8)
    })
}

#[cfg(test)]
mod tests;
