//! How the value types of this crate are read from a descriptor file.

use crate::decimal::Decimal;
use crate::decode::{Decode, DecodeText, Decoder, Path, missing};
use crate::digest::{BundleId, Sha256Digest};
use crate::problem::did_you_mean;
use crate::text::{BundleName, BundleVersion, Classification, Email, Line, Paragraph, suggest_name};
use crate::time::{Date, Timestamp};
use crate::tree::{Node, ScalarKind, Value};
use crate::uri::{CommitId, Repository, Uri};

use super::exclude::ExcludePattern;

/// Implements [`Decode`] for text types that need nothing special; the text is an example for the hints.
macro_rules! text_fields {
    ($($type:ty: $example:expr $(, suggest: $suggest:path)?;)+) => {$(
        impl DecodeText for $type {
            const EXAMPLE: Option<&'static str> = $example;

            $(fn suggest(text: &str) -> Option<String> {
                $suggest(text)
            })?
        }

        impl Decode for $type {
            fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
                decoder.text(node, path)
            }

            fn absent(path: &Path<'_>, line: Option<usize>, decoder: &mut Decoder<'_>) -> Option<Self> {
                let hint = Self::EXAMPLE.map(|example| format!("for example {example}"));
                decoder.push(missing(path, line, hint));
                None
            }
        }
    )+};
}

text_fields! {
    BundleName: Some("all-minilm-l6-v2"), suggest: suggest_name;
    BundleVersion: Some("1.0.0"), suggest: suggest_version;
    Email: Some("ada@example.org");
    Line: None;
    Paragraph: None;
    Uri: Some("https://example.org/data");
    Repository: Some("https://example.org/team/code");
    CommitId: Some("the output of `git rev-parse HEAD`");
    Timestamp: Some("2024-05-01T12:00:00Z"), suggest: suggest_timestamp;
    Date: Some("2024-05-01");
    Sha256Digest: Some("sha256: and 64 hexadecimal digits"), suggest: suggest_digest;
    BundleId: Some("sha256: and 64 hexadecimal digits"), suggest: suggest_digest;
    ExcludePattern: Some("*.log");
}

/// `1.0` becomes `1.0.0`, `v2` becomes `2.0.0`.
fn suggest_version(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_prefix('v').unwrap_or(&lower);
    ["", ".0", ".0.0"]
        .iter()
        .map(|end| format!("{bare}{end}"))
        .find(|version| version.parse::<BundleVersion>().is_ok())
}

/// `2024-05-01 12:00:00` becomes `2024-05-01T12:00:00Z`.
fn suggest_timestamp(text: &str) -> Option<String> {
    let with_t = text.replacen([' ', 't'], "T", 1).replace('z', "Z");
    [with_t.clone(), format!("{with_t}Z"), format!("{with_t}T00:00:00Z")]
        .into_iter()
        .find(|time| time.parse::<Timestamp>().is_ok())
}

/// 64 digits without their prefix, or in upper case.
fn suggest_digest(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.strip_prefix("sha256:").unwrap_or(&lower);
    Sha256Digest::from_hex(digits).ok().map(|digest| digest.to_string())
}

impl Decode for Decimal {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if !matches!(scalar.kind, ScalarKind::Null | ScalarKind::Bool) => {
                decoder.parse(&scalar.text, node, path)
            }
            _ => {
                decoder.wrong_type("a number", node, path, None);
                None
            }
        }
    }
}

impl DecodeText for Classification {
    const EXAMPLE: Option<&'static str> = Some("internal");
}

impl Decode for Classification {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        // Names that are no plain words are not levels either, so one question answers for both.
        let known = match &node.value {
            Value::Scalar(scalar) if matches!(scalar.kind, ScalarKind::Text | ScalarKind::Override) => {
                decoder.scheme.levels().iter().find(|level| level.as_str() == scalar.text).cloned()
            }
            _ => return decoder.text(node, path),
        };
        if known.is_some() {
            return known;
        }
        let text = node.text().unwrap_or_default();
        let lower = text.to_lowercase();
        let levels = decoder.scheme.levels();
        let near = if lower.len() <= 64 {
            did_you_mean(&lower, levels.iter().map(Classification::as_str))
        } else {
            None
        };
        let hint = near.map_or_else(
            || all_levels(levels),
            |level| format!("did you mean `{level}`? {}", all_levels(levels)),
        );
        let message = format!("`{}` is not a classification level", crate::unicode::excerpt(text));
        decoder.report("unknown-classification", node, path, message, Some(hint));
        None
    }

    fn absent(path: &Path<'_>, line: Option<usize>, decoder: &mut Decoder<'_>) -> Option<Self> {
        let hint = all_levels(decoder.scheme.levels());
        decoder.push(missing(path, line, Some(hint)));
        None
    }
}

fn all_levels(levels: &[Classification]) -> String {
    let names: Vec<_> = levels.iter().map(Classification::as_str).collect();
    format!("the levels are {}, lowest first", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_fit() {
        assert_eq!(suggest_version("1.0").as_deref(), Some("1.0.0"));
        assert_eq!(suggest_version("v2").as_deref(), Some("2.0.0"));
        assert_eq!(suggest_version("1.0.0-RC1").as_deref(), Some("1.0.0-rc1"));
        assert_eq!(suggest_version("latest"), None);
        assert_eq!(suggest_timestamp("2024-05-01").as_deref(), Some("2024-05-01T00:00:00Z"));
        assert_eq!(suggest_timestamp("2024-05-01 10:00:00").as_deref(), Some("2024-05-01T10:00:00Z"));
        assert_eq!(suggest_timestamp("tomorrow"), None);
        assert!(suggest_digest(&"AB".repeat(32)).is_some_and(|d| d.starts_with("sha256:abab")));
    }
}
