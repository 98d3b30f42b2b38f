//! An event of the ledger, in words.

use std::fmt::Write as _;

use consign::ledger::{LoggedEvent, detail};
use consign_ledger::Level;
use consign_metadata::printable;

use crate::style;

/// One line for people.
pub(crate) fn in_one_line(logged: &LoggedEvent) -> String {
    let Some(event) = &logged.event else { return format!("{:>6}  (body dropped)", logged.index) };
    let (warn, bad) = (style::WARN, style::ERROR);
    let action = format!("{:<16}", event.action.as_str());
    let action = match event.level {
        Level::Info => action,
        Level::Warn => format!("{warn}{action}{warn:#}"),
        Level::Error => format!("{bad}{action}{bad:#}"),
    };
    let mut line = format!("{:>6}  {}  {action}", logged.index, event.timestamp);
    let _ = match &event.bundle {
        Some(bundle) => write!(line, " {} {}", bundle.name, bundle.version),
        None => Ok(()),
    };
    if let Some(detail) = detail(event) {
        let _ = write!(line, "  {}", printable(&detail));
    }
    let _ = write!(line, "  by {}@{}", event.user_id, event.host);
    line
}
