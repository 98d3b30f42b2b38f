//! One event of the ledger: a line of JSON with one spelling.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use consign_metadata::{Line, Problem, Sha256Digest, printable, to_hex};
use consign_signing::{BundleClaim, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Longest event, in bytes of its line without the line feed.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// The action of an event that records which bodies were dropped.
pub const EVENTS_DROPPED: &str = "events_dropped";
/// The member of its metadata that says which: `[[first, last], …]`.
const DROPPED: &str = "dropped";

/// Something that was done. What the ledger holds of it for ever is [`digest`](Self::digest).
///
/// Its one spelling is compact JSON with the members in this order, on one line.
///
/// ```
/// use consign_ledger::{Event, Level, Nonce, Service};
/// let event = Event {
///     timestamp: "2026-11-22T03:00:00Z".parse()?,
///     level: Level::Info,
///     service: Service::Consign,
///     event_type: "bundle".parse()?,
///     user_id: "ada".parse()?,
///     host: "build-7".parse()?,
///     action: "packed".parse()?,
///     bundle: None,
///     archive_sha256: None,
///     metadata: serde_json::Map::new(),
///     nonce: Nonce::generate()?,
/// };
/// let line = event.to_line()?;
/// assert_eq!(Event::parse(line.as_bytes())?, event);
/// assert!(line.starts_with(r#"{"timestamp":"2026-11-22T03:00:00Z","level":"INFO","service":"consign""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, by the clock of the machine that did it.
    pub timestamp: Timestamp,
    /// How much attention it asks for.
    pub level: Level,
    /// Always `consign`.
    pub service: Service,
    /// What kind of thing was acted upon.
    pub event_type: Word,
    /// Who did it, as the machine knows them.
    pub user_id: Line,
    /// The machine.
    pub host: Line,
    /// What was done.
    pub action: Word,
    /// Which bundle it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleClaim>,
    /// The archive, or the encrypted file, that it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_sha256: Option<Sha256Digest>,
    /// Whatever else is worth knowing.
    pub metadata: Map<String, Value>,
    /// Random, so that the event cannot be guessed from its digest once its body is dropped.
    pub nonce: Nonce,
}

/// How much attention an event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// It went as it should.
    Info,
    /// Something was refused or set aside.
    Warn,
    /// Something failed.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        })
    }
}

/// What writes the events: the word `consign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// `consign`.
    Consign,
}

/// A word of the record: 1 to 40 of `a` to `z`, `0` to `9` and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Box<str>);

impl Word {
    /// The word itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Word {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=40).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(40).collect();
        Err(EventError::Malformed(format!(
            "`{}` is not a word of lower-case letters, digits and `_`, at most 40",
            printable(&shown)
        )))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl JsonSchema for Word {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[a-z0-9_]{1,40}$"})
    }
}

/// 128 random bits, as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// A new one, from the system's source of random numbers.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn generate() -> Result<Self, std::io::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| std::io::Error::other(format!("no random numbers: {error}")))?;
        Ok(Self(bytes))
    }

    /// One from its 16 bytes, which nobody must be able to guess.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Nonce {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let malformed = || EventError::Malformed("a nonce is 32 lower-case hexadecimal digits".into());
        let mut bytes = [0; 16];
        if text.len() != 32 {
            return Err(malformed());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
            let [high, low] = pair.map(digit);
            *byte = high.ok_or_else(malformed)? << 4 | low.ok_or_else(malformed)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl JsonSchema for Nonce {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Nonce".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "128 random bits, so that the event cannot be guessed from its digest.",
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
        })
    }
}

fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Why something is not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Not JSON, or not of an event's shape.
    #[error("not an event: {0}")]
    Malformed(String),
    /// The right shape in another spelling.
    #[error("the event is not in its one spelling, from byte {at} on")]
    NotCanonical {
        /// The first byte that differs, counted from 0.
        at: usize,
    },
    /// Longer than an event may be.
    #[error("the event is {0} bytes long (at most {EVENT_BYTES_MAX})")]
    TooLong(usize),
    /// Its metadata hold what does not come back from JSON as it was, such as some fractions.
    #[error("the event does not read back as it was written; write numbers with fractions as text")]
    NotReadable,
}

impl EventError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        Problem::new("event-malformed", self.to_string())
    }
}

impl Event {
    /// The JSON Schema of events.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }

    /// Reads an event from its line, without the line feed.
    ///
    /// # Errors
    /// Anything but an event in its one spelling.
    pub fn parse(line: &[u8]) -> Result<Self, EventError> {
        if line.len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLong(line.len()));
        }
        let event: Self = serde_json::from_slice(line)
            .map_err(|error| EventError::Malformed(printable(&error.to_string())))?;
        let canonical = event.write()?;
        if canonical.as_bytes() == line {
            return Ok(event);
        }
        let at = canonical.bytes().zip(line).take_while(|(a, b)| a == *b).count();
        Err(EventError::NotCanonical { at })
    }

    /// The event in its one spelling, without a line feed.
    ///
    /// # Errors
    /// It is longer than 64 KiB, or would not be read back as it is.
    pub fn to_line(&self) -> Result<String, EventError> {
        let line = self.write()?;
        // What is written once and cannot be read again would be a fault of the ledger for ever.
        match Self::parse(line.as_bytes()) {
            Ok(read) if read == *self => Ok(line),
            Err(error @ EventError::TooLong(_)) => Err(error),
            Ok(_) | Err(_) => Err(EventError::NotReadable),
        }
    }

    /// SHA-256 of the line: what the ledger records of the event.
    ///
    /// # Errors
    /// As [`to_line`](Self::to_line).
    pub fn digest(&self) -> Result<Sha256Digest, EventError> {
        Ok(Sha256Digest::of(self.to_line()?.as_bytes()))
    }

    /// Which bodies this event records as dropped: none, unless its action is [`EVENTS_DROPPED`].
    ///
    /// # Errors
    /// The action is that, but `metadata.dropped` is not a list of ascending `[first, last]`.
    pub fn dropped(&self) -> Result<Vec<RangeInclusive<u64>>, EventError> {
        if self.action.as_str() != EVENTS_DROPPED {
            return Ok(Vec::new());
        }
        let malformed = || {
            EventError::Malformed(
                "`metadata.dropped` is not a list of `[first, last]` in ascending order".into(),
            )
        };
        let list = self.metadata.get(DROPPED).ok_or_else(malformed)?;
        let pairs: Vec<[u64; 2]> = serde_json::from_value(list.clone()).map_err(|_| malformed())?;
        let ascending = pairs.iter().all(|[first, last]| first <= last)
            && pairs.windows(2).all(|pair| pair[0][1] < pair[1][0]);
        if pairs.is_empty() || !ascending {
            return Err(malformed());
        }
        Ok(pairs.into_iter().map(|[first, last]| first..=last).collect())
    }

    /// The metadata of an event that records dropped bodies: the indices, joined to ranges.
    pub fn dropped_metadata(indices: impl IntoIterator<Item = u64>) -> Map<String, Value> {
        let mut sorted: Vec<u64> = indices.into_iter().collect();
        sorted.sort_unstable();
        let mut ranges: Vec<[u64; 2]> = Vec::new();
        for index in sorted {
            match ranges.last_mut() {
                Some([_, last]) if index <= last.saturating_add(1) => *last = index,
                _ => ranges.push([index, index]),
            }
        }
        let ranges = ranges.into_iter().map(|range| Value::from(range.to_vec())).collect();
        Map::from_iter([(DROPPED.to_owned(), Value::Array(ranges))])
    }

    fn write(&self) -> Result<String, EventError> {
        let line = serde_json::to_string(self).map_err(|error| EventError::Malformed(error.to_string()))?;
        if line.len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLong(line.len()));
        }
        Ok(line)
    }
}
