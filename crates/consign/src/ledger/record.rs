//! From what a command did to events in the ledger. Nothing here changes what the command says: an event that
//! cannot be written is a note.

use std::collections::HashSet;
use std::path::PathBuf;

use consign_ledger::{
    AppendError, Appended, Event, Nonce, Repair, Service, SignedCheckpoint, append, drop_bodies,
};
use consign_metadata::{Line, Problem, literal, printable};
use consign_signing::{Signer as _, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::event_file::write_events;
use super::place::{Place, not_in_order, open, place, writable};
use super::who;
use crate::act::{Act, Action};
use crate::context::Context;
use crate::environment::{Run, variables};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::OpenKey;

/// What was written into the ledger, and what could not be.
#[derive(Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Recorded {
    /// The events of this run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<RecordedEvent>,
    /// What is worth knowing about the record, and changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

/// An event as it was written.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedEvent {
    /// Its number in the ledger; absent if it was written into a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    pub action: Action,
    /// SHA-256 of the event.
    #[serde(serialize_with = "crate::bundle_out::bare")]
    pub sha256: String,
}

/// Commands whose refusal is an event: they would have read, changed or handed over something.
const REFUSABLE: [&str; 14] = [
    "pack",
    "seal",
    "sign",
    "encrypt",
    "decrypt",
    "unpack",
    "submit",
    "receive",
    "amend",
    "reconstruct",
    "revoke",
    "store",
    "receipt",
    "inspect",
];

/// What can be done where there is nowhere to write to.
const NO_HOME: &str = "give consign a home that it can write to (`CONSIGN_HOME`), name a ledger (`--ledger DIR`), or say `--ledger none`";

/// Writes what the command did, durably, before its result is reported: how it ended, with which problems.
pub fn record(context: &Context, command: &str, exit: Exit, problems: &[Problem]) -> Recorded {
    let mut acts = context.take_acts();
    for act in acts.iter_mut().filter(|act| matches!(act.action, Action::Opened | Action::NotOpened)) {
        act.metadata.insert("step".into(), command.into());
    }
    let said = |act: &Act| {
        matches!(act.action, Action::Refused | Action::Received | Action::NotVerified | Action::ReceiptAdded)
    };
    if REFUSABLE.contains(&command) && !acts.iter().any(said) {
        acts.extend(refusal(context, command, exit, problems));
    }
    let events = match acts.is_empty() {
        true => Vec::new(),
        false => write(context, acts).unwrap_or_else(|failure| {
            for problem in failure.problems {
                let message = format!("what was done is not in the ledger: {}", problem.message);
                let hint = match problem.code {
                    "unwritable" | "no-home" => Some(NO_HOME.to_owned()),
                    _ => problem.hint,
                };
                context.note(Problem { code: "event-not-recorded", message, hint, ..problem });
            }
            Vec::new()
        }),
    };
    Recorded { events, notes: context.take_notes() }
}

/// Writes that the configuration was changed, if the ledger has not heard of it yet: before anything is decided by it.
///
/// # Errors
/// The ledger cannot be written.
pub fn record_configuration(context: &Context) -> Result<(), Failure> {
    let mut changes = Vec::new();
    context.state().configuration_changes(context, &mut changes);
    if changes.is_empty() { Ok(()) } else { write(context, Vec::new()).map(drop) }
}

/// A step that was refused: by the policy, for want of trust, or because something was not intact.
fn refusal(context: &Context, command: &str, exit: Exit, problems: &[Problem]) -> Option<Act> {
    if !matches!(exit, Exit::NotIntact | Exit::NotTrusted | Exit::Refused) {
        return None;
    }
    // Refused before it was verified: what it says of itself is no more than that.
    let claimed = context.claimed();
    let act = claimed.map_or_else(|| Act::new(Action::Refused), |claim| Act::of(Action::Refused, &claim));
    Some(act.with("step", command).ended(exit, problems))
}

fn write(context: &Context, mut acts: Vec<Act>) -> Result<Vec<RecordedEvent>, Failure> {
    let place = place(context);
    if let Place::None = place {
        return Ok(Vec::new());
    }
    let now = context.now()?;
    let in_force = context.state().configuration_changes(context, &mut acts);
    let who = Who::here();
    let events = acts.iter().map(|act| who.event(act, now)).collect::<Result<Vec<_>, _>>()?;
    let first = match place {
        Place::Events(path) => {
            write_events(path, &events)?;
            None
        }
        Place::Ledger | Place::None => Some(Pen::open(context)?.append(&events)?.first),
    };
    context.state().configuration_recorded(&in_force);
    let recorded = acts.iter().zip(&events).zip(0..).map(|((act, event), number)| {
        let sha256 = event.digest().map_err(|error| Failure::failed(error.problem()))?.to_string();
        Ok(RecordedEvent { index: first.map(|first| first + number), action: act.action, sha256 })
    });
    recorded.collect()
}

/// The ledger of this run, ready to be written.
struct Pen<'a> {
    context: &'a Context,
    directory: PathBuf,
    key: OpenKey,
}

impl<'a> Pen<'a> {
    fn open(context: &'a Context) -> Result<Self, Failure> {
        let (directory, key) = writable(context)?;
        Ok(Self { context, directory, key })
    }

    /// Appends events. What had to be put in order first is said, and is an event of its own.
    fn append(&self, events: &[Event]) -> Result<Appended, Failure> {
        let appended = self.write(|seen| append(&self.directory, &self.key, seen, events))?;
        self.tell(&appended)?;
        Ok(appended)
    }

    /// Drops the bodies that an event names.
    fn drop_bodies(&self, event: &Event) -> Result<(), Failure> {
        let dropped = self.write(|seen| {
            drop_bodies(&self.directory, &self.key, seen, event).map(|dropped| dropped.appended)
        })?;
        self.tell(&dropped)
    }

    /// Writes to a ledger that has grown out of what was seen of it, and remembers how far it has come, outside of it.
    /// If that fails, an older copy could be put in its place unnoticed, which is worth knowing.
    fn write(
        &self,
        write: impl FnOnce(Option<&SignedCheckpoint>) -> Result<Appended, AppendError>,
    ) -> Result<Appended, Failure> {
        let (state, key) = (self.context.state(), self.key.public_key());
        let seen = state.own_checkpoint(key)?;
        let appended = write(seen.as_ref()).map_err(|error| not_appended(&error))?;
        if let Err(error) = state.keep_own_checkpoint(key, &appended.checkpoint) {
            self.context.note(crate::state::not_kept("how far the ledger has come", &error));
        }
        Ok(appended)
    }

    /// Says that the ledger was put in order, if it was.
    fn tell(&self, appended: &Appended) -> Result<(), Failure> {
        let Some(repair) = &appended.repaired else { return Ok(()) };
        let problem = repair_in_words(repair);
        let act = Act::new(Action::LedgerRepaired).with("problems", [&problem]);
        self.context.note(problem);
        let event = Who::here().event(&act, self.context.now()?)?;
        self.write(|seen| append(&self.directory, &self.key, seen, &[event])).map(drop)
    }
}

fn repair_in_words(repair: &Repair) -> Problem {
    Problem::new("ledger-repaired", repair.to_string())
        .hint("look whether the command that was cut short did its work, and run it again if not")
}

fn not_appended(error: &AppendError) -> Failure {
    match error {
        AppendError::Ledger(error) => not_in_order(error),
        error => Failure::failed(error.problem()),
    }
}

/// What came of taking in events from elsewhere.
pub struct Joining {
    pub added: u64,
    pub known: u64,
    pub size: u64,
}

/// Takes events of other runs into the ledger, each once.
///
/// # Errors
/// The ledger cannot be written, or is not in order.
pub fn join(context: &Context, events: Vec<Event>) -> Result<Joining, Failure> {
    let pen = Pen::open(context)?;
    // Puts it in order first: what an append that was cut short had signed already is there as well.
    pen.append(&[])?;
    let mut there = HashSet::new();
    if pen.directory.join("checkpoint").exists() {
        let open = open(context, Some(pen.key.public_key()))?;
        for entry in open.ledger.entries(0..open.ledger.size()) {
            there.insert(entry.map_err(|error| not_in_order(&error))?.digest);
        }
    }
    let (mut new, mut known) = (Vec::new(), 0);
    for event in events {
        if there.insert(event.digest().map_err(|error| Failure::failed(error.problem()))?) {
            new.push(event);
        } else {
            known += 1;
        }
    }
    let size = pen.append(&new)?.checkpoint.size();
    Ok(Joining { added: new.len() as u64, known, size })
}

/// Drops the bodies of events, which is an event itself.
///
/// # Errors
/// The ledger cannot be written, or is not in order.
pub fn forget(context: &Context, act: &Act, events: &[u64]) -> Result<(), Failure> {
    let pen = Pen::open(context)?;
    // An event has room for so many ranges, also where no two of the events stand side by side.
    for events in events.chunks(2000) {
        let mut event = Who::here().event(act, context.now()?)?;
        event.metadata.extend(Event::dropped_metadata(events.iter().copied()));
        pen.drop_bodies(&event)?;
    }
    Ok(())
}

/// Who acts, and where.
struct Who {
    user: Line,
    host: Line,
    run: Option<Run>,
}

impl Who {
    fn here() -> Self {
        let line = |text: String| {
            let line = printable(&text).parse::<Line>();
            line.unwrap_or_else(|_| literal!(StaticLine, "unknown").into())
        };
        Self {
            user: line(who::user(&variables)),
            host: line(who::host(&variables)),
            run: Run::detect(&variables),
        }
    }

    fn event(&self, act: &Act, timestamp: Timestamp) -> Result<Event, Failure> {
        let failed = |error: std::io::Error| Failure::failed(Problem::new("no-random", error.to_string()));
        let word = |text: &str| {
            text.parse().map_err(|error: consign_ledger::EventError| Failure::failed(error.problem()))
        };
        let mut metadata = act.metadata.clone();
        if let Some(run) = &self.run {
            metadata.insert("ci".into(), serde_json::to_value(&run.ci).unwrap_or(Value::Null));
        }
        let event = Event {
            timestamp,
            level: act.level(),
            service: Service::Consign,
            event_type: word(act.action.event_type())?,
            user_id: self.user.clone(),
            host: self.host.clone(),
            action: word(act.action.word())?,
            bundle: act.bundle.clone(),
            archive_sha256: act.archive,
            metadata,
            nonce: Nonce::generate().map_err(failed)?,
        };
        Ok(shortened(event))
    }
}

/// An event of so many words that it could not be recorded says less, and says so.
fn shortened(mut event: Event) -> Event {
    if matches!(event.to_line(), Err(consign_ledger::EventError::TooLong(_))) {
        let problems = event.metadata.get("problems").and_then(Value::as_array).map(|all| {
            Value::Array(
                all.iter().take(20).map(|problem| serde_json::json!({"code": problem["code"]})).collect(),
            )
        });
        event.metadata.retain(|_, value| value.to_string().len() <= 1024);
        if let Some(problems) = problems {
            event.metadata.insert("problems".into(), problems);
        }
        event.metadata.insert("shortened".into(), Value::Bool(true));
    }
    event
}
