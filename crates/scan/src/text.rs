//! Text as it streams by, searched for secrets and markings.
//!
//! What is found depends on the bytes alone and not on how they come: blocks are counted from the beginning of the
//! stream, and nothing is decided before everything that may be looked at is there. Little more than that is kept,
//! however long a line is.

use std::ops::Range;
use std::sync::Arc;

use consign_metadata::{Line, RuleId};

use crate::blocks::{self, BLOCK, RUN_REACH};
use crate::inspect::{Inspect, Report, Subject};
use crate::marking::Markings;
use crate::notebook::Cells;
use crate::secret::escapes::Unescaped;
use crate::secret::{AHEAD, BEHIND, Context, Engine, Match};

/// What stands behind the place that is being decided.
const AFTER: usize = AHEAD + RUN_REACH;
/// And before it.
const BEFORE: usize = BEHIND + RUN_REACH;
/// Enough to decide everything that was put off, and to go on without it.
const JOIN: usize = AFTER + BEFORE + 2 * BLOCK;
/// Text is searched in parts of this size.
const PART: usize = 64 << 10;

/// What is searched for.
pub(crate) struct Rules {
    /// Absent if secrets are not searched for.
    pub(crate) secrets: Option<Engine>,
    pub(crate) markings: Markings,
}

/// Where findings are, besides the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Lines mean something.
    pub(crate) lines: bool,
    /// It is a notebook.
    pub(crate) notebook: bool,
    pub(crate) context: Context,
}

/// Searches a stream.
pub(crate) struct TextScan {
    rules: Arc<Rules>,
    subject: Subject,
    /// The bytes that are still needed, and where in the stream they begin.
    kept: Vec<u8>,
    kept_at: u64,
    progress: Progress,
}

/// How far everything is; places are counted from the beginning of the stream.
struct Progress {
    /// What begins before this is decided; a multiple of [`BLOCK`] until the stream ends.
    decided: u64,
    /// What begins before this was searched.
    searched: u64,
    /// Where the secret that was found last ends: what lies in it is part of it.
    reported: u64,
    /// Whether lines are counted.
    lines: bool,
    /// Line feeds, and cells, are counted up to here.
    counted: u64,
    line: u64,
    cells: Option<Cells>,
    context: Context,
}

impl TextScan {
    pub(crate) fn new(rules: Arc<Rules>, subject: Subject, manner: Manner) -> Self {
        let progress = Progress {
            decided: 0,
            searched: 0,
            reported: 0,
            lines: manner.lines,
            counted: 0,
            line: 1,
            cells: manner.notebook.then(Cells::default),
            context: manner.context,
        };
        Self { rules, subject, kept: Vec::new(), kept_at: 0, progress }
    }

    fn advance(&mut self, bytes: &[u8], at: u64, end: u64, report: &mut Report) {
        let view = View { bytes, at };
        self.progress.advance(view, end, &self.rules, &self.subject, report);
    }
}

impl Inspect for TextScan {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        let at = self.kept_at + self.kept.len() as u64;
        let end = at + bytes.len() as u64;
        // The last place that can be decided with what is there, at a block's border.
        let decidable = |end: u64| end.saturating_sub(AFTER as u64) / BLOCK as u64 * BLOCK as u64;
        if !self.kept.is_empty() {
            let joined = bytes.len().min(JOIN);
            self.kept.extend_from_slice(&bytes[..joined]);
            let kept = std::mem::take(&mut self.kept);
            self.advance(&kept, self.kept_at, decidable(self.kept_at + kept.len() as u64), report);
            self.kept = kept;
            if joined == bytes.len() {
                // Not for a few bytes.
                let needed = self.progress.decided.saturating_sub(BEFORE as u64);
                let spent = usize::try_from(needed.saturating_sub(self.kept_at)).unwrap_or(0);
                if spent > JOIN {
                    self.kept.drain(..spent);
                    self.kept_at += spent as u64;
                }
                return;
            }
        }
        self.advance(bytes, at, decidable(end), report);
        let needed = self.progress.decided.saturating_sub(BEFORE as u64).max(at);
        let spent = usize::try_from(needed - at).unwrap_or(0);
        self.kept.clear();
        self.kept.extend_from_slice(&bytes[spent..]);
        self.kept_at = needed;
    }

    fn finish(&mut self, report: &mut Report) {
        let kept = std::mem::take(&mut self.kept);
        self.advance(&kept, self.kept_at, self.kept_at + kept.len() as u64, report);
    }
}

/// A piece of the stream, and where it begins.
#[derive(Clone, Copy)]
struct View<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl View<'_> {
    /// A place of the stream in the view.
    fn index(&self, place: u64) -> usize {
        usize::try_from(place.saturating_sub(self.at)).map_or(self.bytes.len(), |n| n.min(self.bytes.len()))
    }
}

impl Progress {
    /// Decides everything that begins before `end`.
    fn advance(&mut self, view: View<'_>, end: u64, rules: &Rules, subject: &Subject, report: &mut Report) {
        let mut text: Option<Range<usize>> = None;
        while self.decided < end {
            let next = end.min((self.decided / BLOCK as u64 + 1) * BLOCK as u64);
            let block = view.index(self.decided)..view.index(next);
            self.decided = next;
            if blocks::is_text(&view.bytes[block.clone()]) {
                match &mut text {
                    Some(text) => text.end = block.end,
                    None => text = Some(block),
                }
                // So that what was found of it never takes much memory.
                if text.as_ref().is_some_and(|text| text.len() >= PART) {
                    self.search(view, text.take().unwrap_or_default(), false, rules, subject, report);
                }
                continue;
            }
            if let Some(text) = text.take() {
                self.search(view, text, false, rules, subject, report);
            }
            // What runs on from binary content into it, and the other way, is found from this side.
            blocks::runs(view.bytes, block, &mut |run| self.search(view, run, true, rules, subject, report));
        }
        if let Some(text) = text.take() {
            self.search(view, text, false, rules, subject, report);
        }
        self.count(view, end);
    }

    fn search(
        &mut self,
        view: View<'_>,
        part: Range<usize>,
        binary: bool,
        rules: &Rules,
        subject: &Subject,
        report: &mut Report,
    ) {
        let from = part.start.max(view.index(self.searched));
        if from >= part.end {
            return;
        }
        self.searched = view.at + part.end as u64;
        let mut found: Vec<Found> = Vec::new();
        rules.markings.search(view.bytes, from, part.end, &mut |marked| {
            let excerpt = Some(marked.word.clone());
            found.push(Found { at: marked.at, rule: marked.rule.clone(), excerpt });
        });
        if let Some(secrets) = &rules.secrets {
            let context = Context { glued: binary, ..self.context };
            for (_, one) in all_secrets(secrets, view.bytes, from, part.end, context) {
                if view.at + one.at as u64 >= self.reported {
                    self.reported = view.at + one.end as u64;
                    found.push(Found { at: one.at, rule: one.rule, excerpt: one.excerpt });
                }
            }
        }
        found.sort_by_key(|one| one.at);
        for Found { at, rule, excerpt } in found {
            self.count(view, view.at + at as u64);
            let line = self.lines.then_some(self.line);
            let cell = self.cells.as_ref().and_then(Cells::place);
            report.add_in(&rule, subject, cell, line, excerpt);
        }
    }

    /// Counts lines up to a place.
    fn count(&mut self, view: View<'_>, to: u64) {
        if !self.lines || to <= self.counted {
            return;
        }
        let passed = &view.bytes[view.index(self.counted)..view.index(to)];
        self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        if let Some(cells) = &mut self.cells {
            cells.update(passed);
        }
        self.counted = to;
    }
}

/// All secrets that begin in `bytes[from..to]`, also those that are written with escapes.
fn all_secrets(
    secrets: &Engine,
    bytes: &[u8],
    from: usize,
    to: usize,
    context: Context,
) -> Vec<(usize, Match)> {
    let mut found = secrets.search(bytes, from, to, context);
    let (low, high) = (from.saturating_sub(BEHIND), bytes.len().min(to + AHEAD));
    if let Some(undone) = Unescaped::of(bytes, low, high) {
        let searched = secrets.search(&undone.text, undone.index(from), undone.index(to), context);
        for (lead, one) in searched {
            let (at, end) = (undone.origin(one.at), undone.origin(one.end));
            // What stands there without escapes was found as it is.
            if found.iter().all(|(_, known)| known.end <= at || end <= known.at) {
                found.push((undone.origin(lead), Match { at, end, ..one }));
            }
        }
        found.sort_by_key(|(lead, one)| (*lead, one.at));
    }
    found
}

struct Found {
    at: usize,
    rule: RuleId,
    excerpt: Option<Line>,
}
