//! Which events are meant, and how one is shown in a line.

use std::collections::BTreeSet;
use std::str::FromStr;

use consign_ledger::{Entry, Event, Ledger};
use consign_metadata::{Date, Problem};
use consign_signing::{About, BundleClaim, RECIPIENT, Timestamp, TrustedKey, TrustedReceipt};
use serde::Serialize;
use serde_json::Value;

use super::place::{OpenLedger, not_in_order};
use crate::act::Action;
use crate::context::Context;
use crate::failure::Failure;

/// The event of a hand-over.
const SUBMITTED: Action = Action::Submitted;

/// An event with its place in the ledger.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoggedEvent {
    /// Its number, counted from 0.
    pub index: u64,
    /// SHA-256 of the event: what the Merkle tree holds.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
    /// What it says; absent where the body was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// A point in time as people write it: a time, or a day, which begins at midnight UTC.
#[derive(Clone, Copy, Debug)]
pub struct PointInTime(pub Timestamp);

/// The end of a second or of a day: what happened in it counts as before.
#[derive(Clone, Copy, Debug)]
pub struct EndOf {
    /// The last second of it.
    pub last: Timestamp,
    /// The first second after it.
    pub end: PointInTime,
}

impl EndOf {
    /// The end of a second.
    pub fn second(time: Timestamp) -> Self {
        Self::lasting(time, 1)
    }

    fn lasting(begin: Timestamp, seconds: u64) -> Self {
        let after = |seconds| Timestamp::from_unix_seconds(begin.unix_seconds().saturating_add(seconds));
        Self {
            last: after(seconds.saturating_sub(1)).unwrap_or(begin),
            end: PointInTime(after(seconds).unwrap_or(begin)),
        }
    }
}

impl FromStr for EndOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const DAY: u64 = 24 * 60 * 60;
        let PointInTime(begin) = text.parse()?;
        Ok(Self::lasting(begin, if text.parse::<Date>().is_ok() { DAY } else { 1 }))
    }
}

impl FromStr for PointInTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = text.parse::<Date>() {
            let midnight = format!("{day}T00:00:00Z");
            return midnight
                .parse()
                .map(Self)
                .map_err(|error: consign_signing::TimestampError| error.to_string());
        }
        text.parse().map(Self).map_err(|_| {
            "is neither a time such as `2026-11-22T03:00:00Z` nor a day such as `2026-11-22`".to_owned()
        })
    }
}

/// Which events are meant: all that fit everything that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Events of a bundle: NAME, NAME@VERSION, its id, or the digest of its archive
    pub bundle: Option<String>,
    /// Events of one kind, by their `event_type` or `action`, such as `submitted`
    pub event: Vec<String>,
    /// Events of one user
    pub user: Option<String>,
    /// Events to or from one recipient, by any name that the policy and trust have for them
    pub to: Option<String>,
    /// Events from this time or day on, such as 2026-11-01
    pub since: Option<PointInTime>,
    /// Events up to this time or day; the whole day counts
    pub until: Option<EndOf>,
    /// Events of one month, such as 2026-11
    pub month: Option<Month>,
    /// All that is meant by `to`; nothing but itself, unless it was asked for.
    pub spellings: Vec<String>,
}

/// A month, from its first second to its last.
#[derive(Clone, Copy, Debug)]
pub struct Month {
    first: PointInTime,
    /// The first second of the next one.
    end: PointInTime,
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is not a month such as `2026-11`".to_owned();
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(wrong());
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (year_number, month_number) = (number(year)?, number(month)?);
        let day = |year: u32, month: u32| {
            format!("{year:04}-{month:02}-01").parse::<PointInTime>().map_err(|_| wrong())
        };
        let first = day(year_number, month_number)?;
        let end = match month_number {
            12 => day(year_number + 1, 1)?,
            _ => day(year_number, month_number + 1)?,
        };
        Ok(Self { first, end })
    }
}

impl Filter {
    /// Events of a bundle.
    pub fn of_bundle(bundle: &str) -> Self {
        Self { bundle: Some(bundle.to_owned()), ..Self::default() }
    }

    /// Events of one kind.
    pub fn of_event(kind: &str) -> Self {
        Self { event: vec![kind.to_owned()], ..Self::default() }
    }

    /// Events to or from a recipient.
    pub fn to(recipient: &str) -> Self {
        Self { to: Some(recipient.to_owned()), ..Self::default() }
    }

    /// Events of everything up to the end of a second or day.
    pub fn until(end: EndOf) -> Self {
        Self { until: Some(end), ..Self::default() }
    }

    /// The same, by whatever names the policy and trust in force have for the one recipient. Where they cannot be read, the name
    /// that was given is the only one.
    pub fn by_any_name(mut self, context: &Context) -> Self {
        if let Some(to) = &self.to {
            self.spellings = spellings(context, to);
        }
        self
    }

    fn is_to(&self, event: &Event) -> bool {
        let Some(to) = &self.to else { return true };
        let is = |party: &&str| {
            party == to || self.spellings.iter().any(|spelling| spelling.eq_ignore_ascii_case(party))
        };
        parties(event).iter().any(is)
    }

    fn is_empty(&self) -> bool {
        self.bundle.is_none()
            && self.event.is_empty()
            && self.user.is_none()
            && self.to.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.month.is_none()
    }

    /// Whether an event is meant. Of one whose body was dropped nothing can be told.
    pub fn admits(&self, event: Option<&Event>) -> bool {
        let Some(event) = event else { return self.is_empty() };
        let kind = |wanted: &String| *wanted == event.event_type.as_str() || *wanted == event.action.as_str();
        (self.event.is_empty() || self.event.iter().any(kind))
            && self.user.as_ref().is_none_or(|user| *user == event.user_id.as_str())
            && self.since.is_none_or(|since| since.0 <= event.timestamp)
            && self.until.is_none_or(|until| event.timestamp < until.end.0)
            && self
                .month
                .is_none_or(|month| month.first.0 <= event.timestamp && event.timestamp < month.end.0)
            && self.is_to(event)
            && self.bundle.as_ref().is_none_or(|bundle| is_about(event, bundle))
    }
}

/// Whether an event is about a bundle, by name, name and version, id or digest.
pub fn is_about(event: &Event, bundle: &str) -> bool {
    let digest = |found: &str| found == bundle || found.strip_prefix("sha256:") == Some(bundle);
    let of_archive = event.archive_sha256.is_some_and(|archive| digest(&archive.to_string()));
    let text = |key| event.metadata.get(key).and_then(Value::as_str);
    if of_archive || text("encrypted_sha256").is_some_and(digest) {
        return true;
    }
    match &event.bundle {
        Some(claim) => {
            digest(&claim.id.to_string())
                || claim.name.as_str() == bundle
                || format!("{}@{}", claim.name, claim.version) == bundle
        }
        None => text("name") == Some(bundle),
    }
}

/// Every name that policy and trust have for whoever is called so: in the policy a recipient, with the destinations where they
/// read; in trust the keys by which they give receipts.
fn spellings(context: &Context, name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    let mut add = |more: &str| {
        if all.iter().all(|known| !known.eq_ignore_ascii_case(more)) {
            all.push(more.to_owned());
        }
    };
    if let Ok(policy) = context.policy(None)
        && let Some(party) = policy.party(name)
    {
        policy.spellings(party).iter().for_each(|spelling| add(spelling.as_str()));
    }
    if let Ok(Some(trust)) = context.trust_policy(None) {
        let gives_receipts = |key: &&TrustedKey| key.roles.iter().any(|role| role.as_str() == RECIPIENT);
        let names = |key: &TrustedKey| -> Vec<String> {
            let names = std::iter::once(&key.name).chain(&key.owner).chain(&key.organization);
            names.map(ToString::to_string).collect()
        };
        let known = all.clone();
        let is = |name: &String| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        for key in trust.keys().iter().filter(gives_receipts).filter(|key| names(key).iter().any(is)) {
            all.extend(names(key));
        }
    }
    all
}

/// Whom an event names besides the user: recipients and senders, and the folder of a hand-over.
fn parties(event: &Event) -> Vec<&str> {
    let mut all = Vec::new();
    let folder = (event.action.as_str() == SUBMITTED.word()).then_some("path");
    for key in ["to", "addressees", "recipient"].into_iter().chain(folder) {
        match event.metadata.get(key) {
            Some(Value::String(text)) => all.push(text.as_str()),
            Some(Value::Array(list)) => all.extend(list.iter().filter_map(Value::as_str)),
            _ => {}
        }
    }
    all
}

/// The events of a ledger that are meant, each checked against the tree, in order.
pub fn select<'a>(
    ledger: &'a Ledger,
    filter: &'a Filter,
) -> impl Iterator<Item = Result<LoggedEvent, Failure>> + 'a {
    ledger.entries(0..ledger.size()).filter_map(move |entry| match entry {
        Ok(entry) => filter.admits(entry.body.as_ref()).then(|| Ok(LoggedEvent::of(entry))),
        Err(error) => Some(Err(not_in_order(&error))),
    })
}

impl LoggedEvent {
    pub fn of(Entry { index, digest, body }: Entry) -> Self {
        Self { index, sha256: digest.to_string(), event: body }
    }
}

/// What of the metadata tells most.
pub fn detail(event: &Event) -> Option<String> {
    let metadata = &event.metadata;
    let text = |key: &str| metadata.get(key).and_then(Value::as_str);
    if let Some(problems) = metadata.get("problems").and_then(Value::as_array) {
        let codes: Vec<_> = problems.iter().filter_map(|problem| problem["code"].as_str()).collect();
        let step = text("step").map_or_else(String::new, |step| format!("{step}: "));
        return Some(format!("{step}{}", codes.join(", ")));
    }
    let names = |key: &str, before: &str| {
        let list = metadata.get(key).and_then(Value::as_array)?;
        let names: Vec<_> = list.iter().filter_map(|one| one["name"].as_str()).collect();
        (!names.is_empty()).then(|| format!("{before} {}", names.join(", ")))
    };
    let parts: Vec<String> = match event.action.as_str() {
        "received" | "receipt_added" => {
            let by = text("recipient").map(|recipient| format!("by {recipient}"));
            text("verdict").map(str::to_owned).into_iter().chain(by).collect()
        }
        "trust_changed" => {
            let edited = metadata.contains_key("edited").then(|| "edited by hand".to_owned());
            let said = [("added", "added"), ("removed", "removed"), ("changed", "changed")];
            said.into_iter().filter_map(|(key, before)| names(key, before)).chain(edited).collect()
        }
        "key_revoked" => [text("name"), text("reason")].into_iter().flatten().map(str::to_owned).collect(),
        "policy_changed" => text("digest").map(str::to_owned).into_iter().collect(),
        _ => {
            let told = [
                ("to", "to "),
                ("into", "into "),
                ("level", ""),
                ("reason", ""),
                ("role", "as "),
                ("archive", ""),
                ("name", ""),
                ("fingerprint", ""),
                ("file", ""),
            ];
            let told = told.iter().find_map(|(key, before)| text(key).map(|text| format!("{before}{text}")));
            told.into_iter().collect()
        }
    };
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The receipts that the events of that name tell of, each by the SHA-256 of its line.
pub fn receipts_told(ledger: &Ledger, event: &'static str) -> Result<BTreeSet<String>, Failure> {
    let filter = Filter::of_event(event);
    let mut told = BTreeSet::new();
    for entry in select(ledger, &filter) {
        let digest = entry?.event.and_then(|mut event| event.metadata.remove("receipt_sha256"));
        told.extend(digest.as_ref().and_then(Value::as_str).map(str::to_owned));
    }
    Ok(told)
}

/// Whether the ledger tells that something was done to a bundle, and with whom, if that is asked. Where it cannot be read,
/// it does not.
pub fn tells_of(context: &Context, action: Action, bundle: &BundleClaim, to: Option<&str>) -> bool {
    let filter = Filter { to: to.map(str::to_owned), ..Filter::of_event(action.word()) };
    let Ok(OpenLedger { ledger, .. }) = super::open(context, None) else { return false };
    let about =
        |entry: &LoggedEvent| entry.event.as_ref().and_then(|event| event.bundle.as_ref()) == Some(bundle);
    select(&ledger, &filter).any(|entry| entry.is_ok_and(|entry| about(&entry)))
}

/// What a receipt may answer.
pub enum Answered {
    /// Nothing that this ledger says was submitted.
    Nothing,
    /// This hand-over.
    One(Box<LoggedEvent>),
    /// One of several, to recipients who are called otherwise than the signer is in the caller's trust.
    Several(Vec<String>),
}

/// The hand-over that a receipt answers: of these bytes, or, if the recipient could not tell what had come, of what it
/// claimed to be. The same bytes may have gone to several: then it is the one to a recipient by a name that the signer has
/// in the caller's trust, and of several to one recipient the last before the receipt.
pub fn submission_of(ledger: &Ledger, trusted: &TrustedReceipt) -> Result<Answered, Failure> {
    let receipt = trusted.receipt();
    let filter = Filter::of_event(SUBMITTED.word());
    let (mut sent, mut claimed) = (Vec::new(), Vec::new());
    for entry in select(ledger, &filter) {
        let entry = entry?;
        let Some(event) = &entry.event else { continue };
        let encrypted = event.metadata.get("encrypted_sha256").and_then(Value::as_str);
        let is_sent = match encrypted {
            Some(encrypted) => encrypted == receipt.sha256.to_string(),
            None => event.archive_sha256 == Some(receipt.sha256),
        };
        let is_claimed = match &receipt.about {
            About::Bundle(bundle) => event.bundle.as_ref() == Some(bundle) && receipt.is_claimed_only(),
            _ => false,
        };
        if is_sent {
            sent.push(entry);
        } else if is_claimed {
            claimed.push(entry);
        }
    }
    let found = if sent.is_empty() { claimed } else { sent };
    let to = |entry: &LoggedEvent| {
        let event = entry.event.as_ref()?;
        event.metadata.get("to").and_then(Value::as_str).map(str::to_owned)
    };
    let signer = [trusted.name(), trusted.owner(), trusted.organization()];
    let is_signer = |entry: &LoggedEvent| {
        to(entry)
            .is_some_and(|to| signer.iter().flatten().any(|name| name.as_str().eq_ignore_ascii_case(&to)))
    };
    let (own, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_signer);
    let candidates = if own.is_empty() { others } else { own };
    let mut names: Vec<String> = candidates.iter().filter_map(to).collect();
    names.sort();
    names.dedup();
    if names.len() > 1 {
        return Ok(Answered::Several(names));
    }
    let before = |entry: &&LoggedEvent| {
        entry
            .event
            .as_ref()
            .is_some_and(|event| event.timestamp.unix_seconds() <= receipt.time.unix_seconds())
    };
    let last = candidates.iter().rposition(|entry| before(&entry)).unwrap_or(0);
    let last = candidates.into_iter().nth(last);
    Ok(last.map_or(Answered::Nothing, |entry| Answered::One(Box::new(entry))))
}

/// A number or a digest that names one event.
#[derive(Clone, Debug)]
pub enum EventName {
    Index(u64),
    Digest(String),
}

impl FromStr for EventName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(index) = text.parse() {
            return Ok(Self::Index(index));
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Digest(format!("sha256:{}", hex.to_ascii_lowercase())));
        }
        Err("is neither the number of an event nor its SHA-256".into())
    }
}

impl EventName {
    /// The number of the event.
    pub fn find(&self, ledger: &Ledger) -> Result<u64, Failure> {
        let unknown = |what: String| {
            let problem = Problem::new("no-such-event", what);
            Failure::failed(problem.hint("`consign ledger list` shows what there is"))
        };
        match self {
            Self::Index(index) if *index < ledger.size() => Ok(*index),
            Self::Index(index) => {
                Err(unknown(format!("there is no event {index}: the ledger has {} events", ledger.size())))
            }
            Self::Digest(digest) => {
                for entry in ledger.entries(0..ledger.size()) {
                    let entry = entry.map_err(|error| not_in_order(&error))?;
                    if entry.digest.to_string() == *digest {
                        return Ok(entry.index);
                    }
                }
                Err(unknown(format!("there is no event {digest}")))
            }
        }
    }
}
