//! SLSA provenance of a bundle: what it was built from, by which run, in the words of another's specification.
//!
//! The predicate is SLSA's own (<https://slsa.dev/spec/v1.0/provenance>), so it has no place for a key and is open:
//! unknown members are passed over. Envelope and subject are as strict as everywhere else, and of the predicate the
//! bytes that were signed are kept.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use consign_metadata::limits::JSON_DEPTH_MAX;
use consign_metadata::{Problem, Sha256Digest, Uri, printable};
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::attestations::{AttestationError, read_lines, to_file};
use crate::envelope::{EnvelopeError, Opened, SignError, enclose};
use crate::in_toto::{Exactly, STATEMENT_TYPE, check_type};
use crate::public_key::PublicKey;
use crate::signer::Signer;
use crate::statement::{Claim, StatementError};
use crate::wire;

/// `predicateType` of SLSA provenance v1.
pub const PROVENANCE_PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// Longest line of provenance, in bytes without the line feed, and largest predicate.
pub const PROVENANCE_ENVELOPE_BYTES_MAX: usize = 1 << 20;
/// Largest provenance file, in bytes. Readers of files stop there.
pub const PROVENANCE_BYTES_MAX: usize = 4 << 20;

/// What SLSA provenance v1 says, as far as the specification names it. Whatever else stands in a predicate is not
/// read, as the specification demands, but stays part of what is signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What went in.
    pub build_definition: BuildDefinition,
    /// Who ran it, and when.
    pub run_details: RunDetails,
}

/// The inputs of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// A URI that says how the parameters are to be read.
    pub build_type: String,
    /// What those who asked for the build chose.
    pub external_parameters: Map<String, Value>,
    /// What the builder set.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    pub internal_parameters: Map<String, Value>,
    /// What it was made from.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// One run of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// Who ran it.
    pub builder: Builder,
    /// Which run, and when.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BuildMetadata::is_empty")]
    pub metadata: BuildMetadata,
    /// What else came out.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<ResourceDescriptor>,
}

/// The builder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Builder {
    /// A URI for everything that has to be trusted for the build to be what it is said to be.
    pub id: String,
    /// Versions of its parts.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
    /// What the builder itself was made from.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub builder_dependencies: Vec<ResourceDescriptor>,
}

/// Which run it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildMetadata {
    /// What the builder calls the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// When it began, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_on: Option<consign_metadata::Timestamp>,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<consign_metadata::Timestamp>,
}

impl BuildMetadata {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Something that is referred to (in-toto's ResourceDescriptor v1). It has at least one of URI, digest and content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDescriptor {
    /// What it is called here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is called everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its digests by algorithm, such as `sha256` or `gitCommit`; lower-case hexadecimal digits.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Itself, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Where it can be fetched, if that is not the URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_location: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whatever else is known of it.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Value>,
}

/// "Unset, null, and empty field values MUST be interpreted equivalently", says SLSA.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Why a text is no provenance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// Larger than [`PROVENANCE_ENVELOPE_BYTES_MAX`].
    #[error("the provenance has {0} bytes (at most {PROVENANCE_ENVELOPE_BYTES_MAX})")]
    TooLarge(usize),
    /// Nested deeper than any document may be.
    #[error("the provenance is nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// A member stands twice in one object, so that two readers may see different things.
    #[error("the provenance has the member `{0}` twice in one object")]
    Repeated(String),
    /// Not JSON.
    #[error("the provenance is not JSON: {0}")]
    Json(String),
    /// A statement of another kind.
    #[error("the statement is of type `{0}`, not `{PROVENANCE_PREDICATE_TYPE}`")]
    OtherType(String),
    /// A DSSE envelope, whose signature nobody would check.
    #[error("it is a signed envelope, not a predicate or statement")]
    Envelope,
    /// JSON, but not of the shape of SLSA provenance v1.
    #[error("the provenance is not of the shape of SLSA provenance v1: {0}")]
    Shape(String),
}

impl ProvenanceError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::TooLarge(_) => ("provenance-too-large", "leave out what is not an input of the build"),
            Self::TooDeep => ("provenance-too-deep", "let the tool that made it say it with less nesting"),
            Self::Repeated(_) => ("provenance-repeated-member", "let the tool that made it say it once"),
            Self::Json(_) => ("provenance-malformed", "name a JSON document"),
            Self::OtherType(_) => (
                "provenance-type",
                "only SLSA provenance v1 can be signed here; attestations of other kinds stay in files of their own",
            ),
            Self::Envelope => (
                "provenance-envelope",
                "check its signature with the tool that made it, and name the statement inside",
            ),
            Self::Shape(_) => (
                "provenance-shape",
                "it needs `buildDefinition` with `buildType` and `externalParameters`, and `runDetails` with `builder.id`",
            ),
        };
        Problem::new(code, self.to_string()).hint(hint)
    }
}

/// A predicate of the right shape, with its bytes.
///
/// ```
/// use consign_signing::ProvenancePredicate;
/// let text = r#"{"buildDefinition": {"buildType": "https://example.org/train/v1", "externalParameters": {}},
///     "runDetails": {"builder": {"id": "https://example.org/cluster"}, "example_queue": "long"}}"#;
/// let predicate = ProvenancePredicate::parse(text.as_bytes())?;
/// assert_eq!(predicate.said().run_details.builder.id, "https://example.org/cluster");
/// // What SLSA does not know stays where it is.
/// assert!(predicate.text().contains("example_queue"));
/// # Ok::<(), consign_signing::ProvenanceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenancePredicate {
    text: Box<str>,
    said: Provenance,
    subjects: Vec<Sha256Digest>,
}

impl ProvenancePredicate {
    /// Reads what another tool made: a predicate, or a whole in-toto statement with it.
    ///
    /// # Errors
    /// Not JSON, too large or too deep, a member twice, another shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProvenanceError> {
        check_json(bytes)?;
        let head: Foreign<'_> = shaped(bytes)?;
        if head.payload.is_some() && head.payload_type.is_some() {
            return Err(ProvenanceError::Envelope);
        }
        let Some(kind) = head.kind else {
            // The bytes are JSON, hence UTF-8.
            let text = String::from_utf8_lossy(bytes);
            return Self::of_text(text.trim_ascii(), Vec::new());
        };
        let found = if kind == STATEMENT_TYPE { head.predicate_type.unwrap_or_default() } else { kind };
        if found != PROVENANCE_PREDICATE_TYPE {
            return Err(ProvenanceError::OtherType(printable(&found)));
        }
        let subjects = head.subject.unwrap_or_default().into_iter();
        let digest = |subject: ResourceDescriptor| {
            subject.digest.get("sha256").and_then(|hex| Sha256Digest::from_hex(hex).ok())
        };
        let predicate =
            head.predicate.ok_or_else(|| ProvenanceError::Shape("`predicate` is missing".into()))?;
        Self::of_text(predicate.get(), subjects.filter_map(digest).collect())
    }

    /// The predicate that says this.
    ///
    /// # Errors
    /// It would break a rule: too large, no URI where one must stand.
    pub fn of(said: &Provenance) -> Result<Self, ProvenanceError> {
        Self::parse(&wire::write(said))
    }

    fn of_text(text: &str, subjects: Vec<Sha256Digest>) -> Result<Self, ProvenanceError> {
        let said: Provenance = shaped(text.as_bytes())?;
        check_shape(&said)?;
        Ok(Self { text: text.into(), said, subjects })
    }

    /// What it says.
    pub fn said(&self) -> &Provenance {
        &self.said
    }

    /// Its bytes as they were given: they are what is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The SHA-256 digests of what the statement was about that another tool made; none, if it was only a predicate.
    pub fn subjects(&self) -> &[Sha256Digest] {
        &self.subjects
    }
}

/// What a file of another tool holds, as far as that tells what it is.
#[derive(Deserialize)]
struct Foreign<'a> {
    #[serde(default, rename = "_type")]
    kind: Option<String>,
    #[serde(default, rename = "predicateType")]
    predicate_type: Option<String>,
    #[serde(default)]
    subject: Option<Vec<ResourceDescriptor>>,
    #[serde(default, borrow)]
    predicate: Option<&'a RawValue>,
    #[serde(default)]
    payload: Option<de::IgnoredAny>,
    #[serde(default, rename = "payloadType")]
    payload_type: Option<de::IgnoredAny>,
}

fn shaped<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ProvenanceError> {
    serde_json::from_slice(bytes).map_err(|error| ProvenanceError::Shape(printable(&error.to_string())))
}

/// What the types cannot say.
fn check_shape(said: &Provenance) -> Result<(), ProvenanceError> {
    let fault = |at: &str, why: String| Err(ProvenanceError::Shape(format!("`{at}` {why}")));
    let (build, run) = (&said.build_definition, &said.run_details);
    for (at, uri) in
        [("buildDefinition.buildType", &build.build_type), ("runDetails.builder.id", &run.builder.id)]
    {
        if let Err(error) = uri.parse::<Uri>() {
            return fault(at, error.to_string());
        }
    }
    for (at, list) in [
        ("buildDefinition.resolvedDependencies", &build.resolved_dependencies),
        ("runDetails.builder.builderDependencies", &run.builder.builder_dependencies),
        ("runDetails.byproducts", &run.byproducts),
    ] {
        let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
        let nothing =
            |one: &ResourceDescriptor| empty(&one.uri) && empty(&one.content) && one.digest.is_empty();
        if let Some(index) = list.iter().position(nothing) {
            return fault(&format!("{at}[{index}]"), "has neither `uri` nor `digest` nor `content`".into());
        }
    }
    Ok(())
}

/// Refuses what readers have disagreed about, and what takes them down: members that stand twice, depth.
fn check_json(bytes: &[u8]) -> Result<(), ProvenanceError> {
    if bytes.len() > PROVENANCE_ENVELOPE_BYTES_MAX {
        return Err(ProvenanceError::TooLarge(bytes.len()));
    }
    let mut fault = None;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Walk { depth: 0, fault: &mut fault }.deserialize(&mut deserializer);
    match (read.and_then(|()| deserializer.end()), fault) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(fault)) => Err(fault),
        (Err(error), None) => Err(ProvenanceError::Json(printable(&error.to_string()))),
    }
}

/// Walks through a value without building it.
struct Walk<'a> {
    depth: usize,
    fault: &'a mut Option<ProvenanceError>,
}

impl Walk<'_> {
    fn deeper<E: de::Error>(&mut self) -> Result<Walk<'_>, E> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(self.refuse(ProvenanceError::TooDeep));
        }
        Ok(Walk { depth: self.depth + 1, fault: self.fault })
    }

    fn refuse<E: de::Error>(&mut self, fault: ProvenanceError) -> E {
        *self.fault = Some(fault);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(self.deeper()?)?;
            if let Some(twice) = seen.replace(key) {
                return Err(self.refuse(ProvenanceError::Repeated(printable(&twice))));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// A statement that says how what a claim is about came about. Anybody can say so: see [`SignedProvenance`].
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenanceStatement {
    name: String,
    digest: Sha256Digest,
    predicate: ProvenancePredicate,
}

impl ProvenanceStatement {
    /// The statement about the archive of a claim, or about the manifest of a sealed directory.
    pub fn new(claim: &Claim, predicate: ProvenancePredicate) -> Self {
        Self { name: claim.subject_name(), digest: claim.subject_digest(), predicate }
    }

    /// What stands in a line, **without** asking who signed it: for showing claims as claims.
    ///
    /// # Errors
    /// It is no envelope around such a statement.
    pub fn unverified(line: &[u8]) -> Result<Self, EnvelopeError> {
        Ok(Self::parse(&Opened::read(line, PROVENANCE_ENVELOPE_BYTES_MAX)?.payload)?)
    }

    /// Whether it is about the very thing that the claim is about.
    pub fn is_about(&self, claim: &Claim) -> bool {
        self.digest == claim.subject_digest() && self.name == claim.subject_name()
    }

    /// SHA-256 of what it is about.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// What it says.
    pub fn said(&self) -> &Provenance {
        self.predicate.said()
    }

    /// The predicate, with its bytes.
    pub fn predicate(&self) -> &ProvenancePredicate {
        &self.predicate
    }

    fn to_payload(&self) -> Vec<u8> {
        // It is JSON; if it ever were not, no bytes come out, and nobody accepts them.
        let Ok(predicate) = RawValue::from_string(self.predicate.text.to_string()) else { return Vec::new() };
        wire::write(&Document {
            kind: STATEMENT_TYPE.to_owned(),
            subject: Exactly::one(self.name.clone(), &self.digest),
            predicate_type: PROVENANCE_PREDICATE_TYPE.to_owned(),
            predicate,
        })
    }

    fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let malformed = |error: ProvenanceError| StatementError::Malformed(error.to_string());
        check_json(payload).map_err(malformed)?;
        check_type(payload, PROVENANCE_PREDICATE_TYPE)?;
        let Document { subject: Exactly([subject]), predicate, .. } = read(payload)?;
        let digest = Sha256Digest::from_hex(&subject.digest.sha256)
            .map_err(|error| StatementError::Malformed(error.to_string()))?;
        let predicate = ProvenancePredicate::of_text(predicate.get(), Vec::new()).map_err(malformed)?;
        Ok(Self { name: subject.name, digest, predicate })
    }
}

/// The document in its one spelling; only the predicate keeps its own.
fn read<T: DeserializeOwned + Serialize>(payload: &[u8]) -> Result<T, StatementError> {
    Ok(wire::read(payload)?)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "_type")]
    kind: String,
    subject: Exactly,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Box<RawValue>,
}

/// A provenance statement together with the proof that the holder of [`key`](Self::key) signed exactly this.
///
/// SLSA's predicate has no place for a key: whoever verifies names the keys that come into question, which are those
/// that signed the bundle. **That says nothing about trust**: whether such a key counts, the bundle's own signatures
/// say.
///
/// ```
/// use consign_signing::{
///     PrivateKey, ProvenancePredicate, ProvenanceStatement, SignedProvenance, Signer, Statement,
/// };
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// let (key, claim) = (PrivateKey::generate()?, Statement::parse(example)?.claim);
/// let predicate = ProvenancePredicate::parse(br#"{
///     "buildDefinition": {"buildType": "https://example.org/train/v1", "externalParameters": {}},
///     "runDetails": {"builder": {"id": "https://example.org/cluster"}}
/// }"#)?;
/// let signed = SignedProvenance::sign(&key, &ProvenanceStatement::new(&claim, predicate))?;
/// assert_eq!(SignedProvenance::verify(signed.line(), &[*key.public_key()])?, signed);
/// assert!(signed.statement().is_about(&claim));
///
/// let other = PrivateKey::generate()?;
/// assert!(SignedProvenance::verify(signed.line(), &[*other.public_key()]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SignedProvenance {
    statement: ProvenanceStatement,
    key: PublicKey,
    line: Box<[u8]>,
}

impl SignedProvenance {
    /// Reads one line, without its line feed, and checks its signature under that of the keys whose id it names.
    /// The signature is checked before anything of the payload is read.
    ///
    /// # Errors
    /// [`EnvelopeError::NoSuchKey`] if it names none of the keys; anything but one valid signature over one
    /// statement of the right shape.
    pub fn verify(line: &[u8], keys: &[PublicKey]) -> Result<Self, EnvelopeError> {
        let opened = Opened::read(line, PROVENANCE_ENVELOPE_BYTES_MAX)?;
        let key = opened.check_among(keys)?;
        let statement = ProvenanceStatement::parse(&opened.payload)?;
        Ok(Self { statement, key, line: line.into() })
    }

    /// Signs a statement, and checks the result as [`verify`](Self::verify) does.
    ///
    /// # Errors
    /// The signer fails, or the result would not be accepted.
    pub fn sign(signer: &dyn Signer, statement: &ProvenanceStatement) -> Result<Self, SignError> {
        let payload = statement.to_payload();
        // What nobody would accept is not put before the signer at all.
        ProvenanceStatement::parse(&payload).map_err(|error| SignError::NotAcceptable(error.into()))?;
        Self::verify(&enclose(signer, &payload)?, &[*signer.public_key()]).map_err(SignError::NotAcceptable)
    }

    /// What the holder of the key says.
    pub fn statement(&self) -> &ProvenanceStatement {
        &self.statement
    }

    /// The key under which the signature was checked: one of those that the caller named.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The exact bytes of the line, without a line feed.
    pub fn line(&self) -> &[u8] {
        &self.line
    }
}

/// The `.provenance.intoto.jsonl` file: one signed provenance statement a line.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenanceFile {
    signed: Vec<SignedProvenance>,
    others: Vec<String>,
}

/// A line of the file: signed by one of the keys, or by somebody else.
enum Line {
    Signed(Box<SignedProvenance>),
    Other { keyid: String, line: Box<[u8]> },
}

impl Line {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Signed(signed) => &signed.line,
            Self::Other { line, .. } => line,
        }
    }
}

impl ProvenanceFile {
    /// A file of one.
    pub fn new(signed: SignedProvenance) -> Self {
        Self { signed: vec![signed], others: Vec::new() }
    }

    /// Reads a file, of which every line that one of the keys is said to have signed must verify. Of other lines
    /// nothing can be told.
    ///
    /// # Errors
    /// All that is wrong, at most one error a line; one bad line makes the whole file bad.
    pub fn parse(bytes: &[u8], keys: &[PublicKey]) -> Result<Self, Vec<AttestationError>> {
        let verify = |line: &[u8]| match SignedProvenance::verify(line, keys) {
            Ok(signed) => Ok(Line::Signed(Box::new(signed))),
            Err(EnvelopeError::NoSuchKey(keyid)) => Ok(Line::Other { keyid, line: line.into() }),
            Err(error) => Err(error),
        };
        let mut file = Self { signed: Vec::new(), others: Vec::new() };
        for line in read_lines(bytes, verify, Line::bytes)? {
            match line {
                Line::Signed(signed) => file.signed.push(*signed),
                Line::Other { keyid, .. } => file.others.push(keyid),
            }
        }
        Ok(file)
    }

    /// What stands in a file, **without** asking who signed it: for showing claims as claims.
    ///
    /// # Errors
    /// All lines that are no envelopes around such a statement.
    pub fn unverified(bytes: &[u8]) -> Result<Vec<ProvenanceStatement>, Vec<AttestationError>> {
        let read = |line: &[u8]| Ok((ProvenanceStatement::unverified(line)?, line.to_vec()));
        let lines = read_lines(bytes, read, |(_, line): &(ProvenanceStatement, Vec<u8>)| line)?;
        Ok(lines.into_iter().map(|(statement, _)| statement).collect())
    }

    /// Those that verify under one of the keys, in the order of the file.
    pub fn signed(&self) -> &[SignedProvenance] {
        &self.signed
    }

    /// The ids of other keys that signed lines of it, by their own word and fit for printing.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// The file: each line that verified, as it was read or made.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_file(self.signed.iter().map(SignedProvenance::line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::PrivateKey;
    use crate::testing::{enclose, key, signed, statement};

    const GOOD: &str = r#"{"buildDefinition":{"buildType":"https://example.org/b/v1","externalParameters":{"a":1},"resolvedDependencies":[{"uri":"git+https://example.org/x","digest":{"gitCommit":"00"}}]},"runDetails":{"builder":{"id":"https://example.org/c"}}}"#;

    fn claim() -> Claim {
        statement(&key()).claim
    }

    fn error(text: &str) -> ProvenanceError {
        ProvenancePredicate::parse(text.as_bytes()).unwrap_err()
    }

    fn payload(key: &PrivateKey) -> String {
        let predicate = ProvenancePredicate::parse(GOOD.as_bytes()).unwrap();
        let statement = ProvenanceStatement::new(&claim(), predicate);
        assert!(SignedProvenance::sign(key, &statement).is_ok());
        String::from_utf8(statement.to_payload()).unwrap()
    }

    #[test]
    fn a_predicate_stays_as_it_was_given() {
        let spaced = GOOD.replace("{\"a\":1}", "{ \"a\" : 1.50,\n \"b\":[null,true,-3,\"\\u0061\"] }");
        let spaced = spaced.replace("\"runDetails\":{", "\"runDetails\":{\"vendor_x\":{\"y\":[]},");
        let predicate = ProvenancePredicate::parse(format!("\n {spaced}\n").as_bytes()).unwrap();
        assert_eq!(predicate.text(), spaced);
        let key = key();
        let one = SignedProvenance::sign(&key, &ProvenanceStatement::new(&claim(), predicate)).unwrap();
        let read = SignedProvenance::verify(one.line(), &[*key.public_key()]).unwrap();
        assert_eq!(read.statement().predicate().text(), spaced);
        assert_eq!(ProvenanceStatement::unverified(one.line()), Ok(read.statement().clone()));
    }

    #[test]
    fn unset_null_and_empty_are_the_same() {
        let bare = r#"{"buildDefinition":{"buildType":"my:y","externalParameters":{}},"runDetails":{"builder":{"id":"my:z"}}}"#;
        let nulls = r#"{"buildDefinition":{"buildType":"my:y","externalParameters":{},"internalParameters":null,
            "resolvedDependencies":null},"runDetails":{"builder":{"id":"my:z","version":null,
            "builderDependencies":[]},"metadata":{"invocationId":null},"byproducts":null}}"#;
        let [bare, nulls] = [bare, nulls].map(|text| {
            ProvenancePredicate::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
        });
        assert_eq!(bare.said(), nulls.said());
        assert_eq!(ProvenancePredicate::of(bare.said()).unwrap().said(), bare.said());
    }

    #[test]
    fn a_statement_of_another_tool_gives_its_predicate() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let whole = format!(
            r#"{{"_type":"{STATEMENT_TYPE}","subject":[{{"name":"weights","digest":{{"sha256":"{digest}"}}}},{{"digest":{{"sha512":"00"}}}}],"predicateType":"{PROVENANCE_PREDICATE_TYPE}","predicate":{GOOD}}}"#
        );
        let predicate = ProvenancePredicate::parse(whole.as_bytes()).unwrap();
        assert_eq!(predicate.text(), GOOD);
        assert_eq!(predicate.subjects(), [Sha256Digest::from_hex(digest).unwrap()]);
        let other = |from: &str, to: &str| error(&whole.replacen(from, to, 1)).problem().code;
        assert_eq!(other("Statement/v1", "Statement/v0.1"), "provenance-type");
        assert_eq!(other("provenance/v1", "provenance/v0.2"), "provenance-type");
        assert_eq!(other("\"predicate\":", "\"predicated\":"), "provenance-shape");
        assert_eq!(other("predicateType", "predicateTypes"), "provenance-type");
        let key = key();
        let line = String::from_utf8(signed(&key).line().to_vec()).unwrap();
        assert_eq!(error(&line), ProvenanceError::Envelope);
    }

    #[test]
    fn what_is_not_of_the_shape_is_refused() {
        let code = |from: &str, to: &str| {
            assert_eq!(GOOD.matches(from).count(), 1, "{from}");
            error(&GOOD.replace(from, to)).problem().code
        };
        assert_eq!(code("\"buildDefinition\"", "\"build\""), "provenance-shape");
        assert_eq!(code("\"runDetails\"", "\"rundetails\""), "provenance-shape");
        assert_eq!(code("\"buildType\"", "\"type\""), "provenance-shape");
        assert_eq!(code("https://example.org/b/v1", ""), "provenance-shape");
        assert_eq!(code("https://example.org/b/v1", "a word"), "provenance-shape");
        assert_eq!(
            code("\"externalParameters\":{\"a\":1}", "\"externalParameters\":null"),
            "provenance-shape"
        );
        assert_eq!(code("\"externalParameters\":{\"a\":1}", "\"externalParameters\":[]"), "provenance-shape");
        assert_eq!(code("\"builder\"", "\"builders\""), "provenance-shape");
        assert_eq!(code("{\"id\":\"https://example.org/c\"}", "{}"), "provenance-shape");
        assert_eq!(code("{\"id\":\"https://example.org/c\"}", "{\"id\":7}"), "provenance-shape");
        assert_eq!(
            code("\"uri\":\"git+https://example.org/x\",\"digest\":{\"gitCommit\":\"00\"}", ""),
            "provenance-shape"
        );
        assert_eq!(code("{\"gitCommit\":\"00\"}", "{\"gitCommit\":0}"), "provenance-shape");
        assert_eq!(code("\"a\":1", "\"a\":1,\"a\":2"), "provenance-repeated-member");
        assert_eq!(code("\"a\":1", "\"a\":{\"b\":0,\"\\u0062\":1}"), "provenance-repeated-member");
        assert_eq!(code("\"a\":1", "\"a\":01"), "provenance-malformed");
        let started =
            "\"builder\":{\"id\":\"https://example.org/c\"},\"metadata\":{\"startedOn\":\"yesterday\"}";
        assert_eq!(code("\"builder\":{\"id\":\"https://example.org/c\"}", started), "provenance-shape");
        for (text, code) in [
            ("", "provenance-malformed"),
            ("[]", "provenance-shape"),
            ("7", "provenance-shape"),
            ("{} {}", "provenance-malformed"),
            ("\u{feff}{}", "provenance-malformed"),
        ] {
            assert_eq!(error(text).problem().code, code, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_refused_before_it_is_built() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        // `buildDefinition`, `externalParameters` and the object itself are three levels.
        let within = GOOD.replace("\"a\":1", &format!("\"a\":{}", nested(JSON_DEPTH_MAX - 3)));
        assert!(ProvenancePredicate::parse(within.as_bytes()).is_ok());
        let deep = GOOD.replace("\"a\":1", &format!("\"a\":{}", nested(JSON_DEPTH_MAX - 2)));
        assert_eq!(error(&deep), ProvenanceError::TooDeep);
        assert_eq!(error(&"[".repeat(100_000)), ProvenanceError::TooDeep);
        let large =
            GOOD.replace("\"a\":1", &format!("\"a\":\"{}\"", "x".repeat(PROVENANCE_ENVELOPE_BYTES_MAX)));
        assert!(matches!(error(&large), ProvenanceError::TooLarge(_)));
    }

    #[test]
    fn the_statement_around_it_has_one_spelling() {
        let key = key();
        let payload = payload(&key);
        let code = |from: &str, to: &str| {
            assert_eq!(payload.matches(from).count(), 1, "{from}");
            let line = enclose(&key, payload.replace(from, to).as_bytes());
            SignedProvenance::verify(line.as_bytes(), &[*key.public_key()]).unwrap_err().problem().code
        };
        assert_eq!(code("Statement/v1", "Statement/v2"), "statement-type");
        assert_eq!(code("provenance/v1", "provenance/v2"), "predicate-type");
        assert_eq!(code("\"subject\":", "\"subject\": "), "statement-not-canonical");
        assert_eq!(code("\"subject\":[", "\"extra\":0,\"subject\":["), "statement-malformed");
        assert_eq!(code("\"sha256\":", "\"sha512\":"), "statement-malformed");
        assert_eq!(code("\"buildType\":", "\"buildKind\":"), "statement-malformed");
        assert_eq!(code("\"a\":1", "\"a\":1,\"a\":1"), "statement-malformed");
        let twice = payload.replacen(
            "\"subject\":[",
            "\"subject\":[{\"name\":\"x\",\"digest\":{\"sha256\":\"00\"}},",
            1,
        );
        let line = enclose(&key, twice.as_bytes());
        let error = SignedProvenance::verify(line.as_bytes(), &[*key.public_key()]).unwrap_err();
        assert_eq!(error.problem().code, "statement-malformed");
        // E12: a statement about a bundle is no provenance, and the other way about.
        let bundle = signed(&key);
        assert_eq!(
            SignedProvenance::verify(bundle.line(), &[*key.public_key()]).unwrap_err().problem().code,
            "predicate-type"
        );
        let line = enclose(&key, payload.as_bytes());
        let error = crate::SignedStatement::verify(line.as_bytes()).unwrap_err();
        assert_eq!(error.problem().code, "predicate-type");
    }

    #[test]
    fn every_altered_byte_is_refused_under_the_key_and_nothing_is_said_of_other_keys() {
        let (other, key) = (key(), key());
        let line = enclose(&key, payload(&key).as_bytes());
        let keys = [*other.public_key(), *key.public_key()];
        assert!(SignedProvenance::verify(line.as_bytes(), &keys).is_ok());
        for at in 0..line.len() {
            let mut altered = line.clone().into_bytes();
            altered[at] ^= 1;
            assert!(SignedProvenance::verify(&altered, &keys).is_err(), "byte {at}");
        }
        let error = SignedProvenance::verify(line.as_bytes(), &keys[..1]).unwrap_err();
        assert_eq!(error, EnvelopeError::NoSuchKey(key.public_key().keyid()));
        // In a file such a line is only counted; an altered one of a key that counts makes all of it bad.
        let theirs = enclose(&other, payload(&other).as_bytes());
        let file = ProvenanceFile::parse(format!("{line}\n{theirs}\n").as_bytes(), &keys[1..]).unwrap();
        assert_eq!((file.signed().len(), file.others()), (1, &[other.public_key().keyid()][..]));
        assert_eq!(file.to_bytes(), format!("{line}\n").into_bytes());
        assert_eq!(ProvenanceFile::unverified(format!("{line}\n{theirs}\n").as_bytes()).unwrap().len(), 2);
        let bad = line.replace(&line[20..24], "AAAA");
        assert_eq!(
            ProvenanceFile::parse(format!("{line}\n{bad}\n").as_bytes(), &keys).unwrap_err()[0].line,
            2
        );
        assert!(ProvenanceFile::parse(format!("{line}\n{line}\n").as_bytes(), &keys).is_err());
        assert!(ProvenanceFile::parse(line.as_bytes(), &keys).is_err(), "no line feed");
    }
}
