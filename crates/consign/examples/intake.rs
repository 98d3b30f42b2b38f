//! An intake desk as a service would be one: looks at whatever lies in a folder, signs a receipt for each bundle, and unpacks what
//! is accepted.
//!
//! ```text
//! cargo run -p consign --example intake -- HOME INBOX ACCEPTED KEY
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use consign::context::Context;
use consign::operations::receive::{Receive, ReceivedBundle};
use consign::progress::{Watch, Watcher};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [home, inbox, accepted, key] = &paths[..] else {
        return Err("usage: intake HOME INBOX ACCEPTED KEY".into());
    };
    let counter = Counter::default();
    for bundle in intake(home, inbox, accepted, key, &counter)? {
        write(&format!("{}: {}", bundle.path, bundle.verdict.unwrap_or("not looked at")))?;
        for problem in &bundle.problems {
            write(&format!("  {problem}"))?;
        }
    }
    write(&format!("{} bytes were looked at", counter.0.load(Ordering::Relaxed)))
}

/// Looks at all bundles in a folder. Whose signatures count, and what is admitted, says the home.
pub fn intake(
    home: &Path,
    inbox: &Path,
    accepted: &Path,
    key: &Path,
    counter: &Counter,
) -> Result<Vec<ReceivedBundle>, Box<dyn Error>> {
    let context = Context::at(home).watched_by(Arc::new(counter.clone()));
    let mut request = Receive::new(inbox, key, "recipient".parse()?);
    request.unpack_to = Some(accepted.to_owned());
    let (outcome, _) = context.perform(&request);
    match outcome.report {
        Some(report) => Ok(report.bundles),
        None => Err(outcome.problems.first().map_or_else(String::new, ToString::to_string).into()),
    }
}

/// Counts the bytes of all work.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Watcher for Counter {
    fn begin(&self, _: &'static str, _: u64) -> Box<dyn Watch> {
        Box::new(self.clone())
    }
}

impl Watch for Counter {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Counter {
    /// How many they are.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn write(line: &str) -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
