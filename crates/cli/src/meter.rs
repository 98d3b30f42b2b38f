//! Progress on standard error: a bar on a terminal, a line a minute elsewhere, JSON lines for programs.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consign::progress::{Watch, Watcher};
use indicatif::{ProgressBar, ProgressStyle};

use crate::style::size;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, a line a minute elsewhere.
    Auto,
    /// A bar.
    Bar,
    /// A line a minute.
    Plain,
    /// A JSON object a second.
    Json,
    /// Nothing.
    None,
}

/// Shows how far work has come.
pub(crate) struct Shower {
    mode: ProgressMode,
}

impl Shower {
    pub(crate) fn new(mode: ProgressMode) -> Self {
        Self { mode }
    }
}

/// Shows how far one piece of work has come.
struct Meter {
    doing: &'static str,
    total: u64,
    done: AtomicU64,
    shown: Shown,
}

enum Shown {
    Bar(ProgressBar),
    Lines { every: Duration, json: bool, last: Mutex<Instant> },
    Nothing,
}

impl Watcher for Shower {
    fn begin(&self, doing: &'static str, total: u64) -> Box<dyn Watch> {
        let terminal = std::io::stderr().is_terminal();
        let lines = |seconds, json| Shown::Lines {
            every: Duration::from_secs(seconds),
            json,
            last: Mutex::new(Instant::now()),
        };
        let shown = match self.mode {
            ProgressMode::Bar => Shown::Bar(bar(doing, total)),
            ProgressMode::Auto if terminal => Shown::Bar(bar(doing, total)),
            ProgressMode::Auto | ProgressMode::Plain => lines(60, false),
            ProgressMode::Json => lines(1, true),
            ProgressMode::None => Shown::Nothing,
        };
        Box::new(Meter { doing, total, done: AtomicU64::new(0), shown })
    }
}

fn bar(doing: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(doing);
    bar
}

impl Watch for Meter {
    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match &self.shown {
            Shown::Bar(bar) => bar.set_position(done.min(self.total)),
            Shown::Lines { every, json, last } => {
                // Whoever finds the lock taken has nothing to add.
                let Ok(mut last) = last.try_lock() else { return };
                if last.elapsed() < *every {
                    return;
                }
                *last = Instant::now();
                let (doing, total) = (self.doing, self.total);
                let line = if *json {
                    serde_json::json!({"progress": doing, "done": done, "total": total}).to_string()
                } else {
                    let percent = (done.min(total) * 100).checked_div(total).unwrap_or(100);
                    format!("{doing}: {percent} % ({} of {})", size(done.min(total)), size(total))
                };
                let _ = writeln!(crate::stream::stderr(), "{line}");
            }
            Shown::Nothing => {}
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
