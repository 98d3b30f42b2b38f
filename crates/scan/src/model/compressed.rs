//! gzip and zlib around something else, as joblib compresses its pickles.

use std::sync::Arc;

use consign_metadata::FileFormat;

use super::feed::le;
use super::notes::{Notes, rule};
use crate::inflate::{Inflate, Progress};
use crate::inspect::{Inspect, Report, Subject};
use crate::members::{Contents, MemberFactory, Nesting};

/// Longest header of gzip; names of files stand in it.
const HEADER_MAX: usize = 64 * 1024;

/// Two bytes are little; what expands to so much is zlib data, even if it is broken later.
const SURE: u64 = 4096;

/// Looks into compressed data.
pub(super) struct Compressed {
    notes: Notes,
    name: String,
    nesting: Option<Nesting>,
    members: Arc<dyn MemberFactory>,
    /// Whether its name promises pickles: what cannot be expanded may then be one to a loader that reads on.
    promised: bool,
    /// gzip is told by its magic number; zlib has two bytes, so it is only believed once it can be expanded.
    gzip: bool,
    /// What all members of gzip hold, one behind the other: to a reader they are one stream (RFC 1952, section 2.2).
    contents: Option<Contents>,
    state: State,
}

enum State {
    Header(Vec<u8>),
    Data {
        inflate: Box<Inflate>,
        hasher: crc32fast::Hasher,
    },
    /// Checksum and length of gzip; then another one may follow.
    Trailer {
        bytes: Vec<u8>,
        crc: u32,
        size: u64,
    },
    Behind,
    Done,
}

impl Compressed {
    pub(super) fn new(
        subject: &Subject,
        name: &str,
        format: FileFormat,
        nesting: &Nesting,
        members: &Arc<dyn MemberFactory>,
    ) -> Self {
        Self {
            notes: Notes::new(subject),
            name: name.to_owned(),
            nesting: nesting.deeper(),
            members: Arc::clone(members),
            promised: super::loads_pickles(&name.to_ascii_lowercase()),
            gzip: format == FileFormat::Gzip,
            contents: None,
            state: State::Header(Vec::new()),
        }
    }

    fn fault(&mut self, report: &mut Report, what: &str) {
        let rule = if self.promised { rule::BAD_PICKLE } else { rule::BAD_COMPRESSED };
        self.notes.add(report, rule, what);
        self.state = State::Done;
    }

    fn begin(&mut self, report: &mut Report) {
        if self.nesting.is_none() {
            return self.fault(report, "lies too deep in other archives to be looked into");
        }
        self.state =
            State::Data { inflate: Box::new(Inflate::new(!self.gzip)), hasher: crc32fast::Hasher::new() };
    }

    fn header(&mut self, mut kept: Vec<u8>, byte: u8, report: &mut Report) {
        kept.push(byte);
        if !self.gzip {
            // RFC 1950: deflate, a window of 32 KiB, a check of the two bytes, no dictionary.
            let [0x78, flags] = *kept else {
                self.state = if kept == [0x78] { State::Header(kept) } else { State::Done };
                return;
            };
            if !(0x7800 + u32::from(flags)).is_multiple_of(31) || flags & 0x20 != 0 {
                self.state = State::Done;
                return;
            }
            self.begin(report);
            if matches!(self.state, State::Data { .. }) {
                self.data(&[0x78, flags], report);
            }
            return;
        }
        match header_length(&kept) {
            Header::Short if kept.len() >= HEADER_MAX => self.fault(report, "has a header that is too long"),
            Header::Short => self.state = State::Header(kept),
            Header::Whole => self.begin(report),
            Header::Broken => self.fault(report, "is no gzip data"),
        }
    }

    /// Expands; says how many bytes it took.
    fn data(&mut self, bytes: &[u8], report: &mut Report) -> usize {
        let State::Data { inflate, hasher } = &mut self.state else { return bytes.len() };
        let Some(nesting) = &self.nesting else { return bytes.len() };
        let progress = inflate.update(bytes, |block| {
            if !nesting.spend(block.len() as u64) {
                return false;
            }
            hasher.update(block);
            let contents = self.contents.get_or_insert_with(|| {
                let inner = name_within(&self.name);
                Contents::new(&self.members, self.notes.subject(), inner, None, nesting)
            });
            contents.update(block, report);
            true
        });
        match progress {
            Progress::More => return bytes.len(),
            Progress::Refused => {
                self.notes.add(report, rule::ZIP_BOMB, "");
                self.state = State::Done;
                return bytes.len();
            }
            Progress::Ended(_) | Progress::Broken => {}
        }
        let State::Data { inflate, hasher } = std::mem::replace(&mut self.state, State::Done) else {
            return bytes.len();
        };
        match progress {
            Progress::Ended(taken) if self.gzip => {
                let (crc, size) = (hasher.finalize(), inflate.produced());
                self.state = State::Trailer { bytes: Vec::new(), crc, size };
                taken
            }
            Progress::Ended(taken) => {
                self.state = State::Behind;
                taken
            }
            _ => {
                // Something that is no zlib data may begin like it.
                if self.gzip || self.promised || inflate.produced() >= SURE {
                    self.fault(report, "has compressed data that is broken");
                }
                bytes.len()
            }
        }
    }
}

/// The name of what is within: `model.pkl` for `model.pkl.gz`, and for `model.pkl`, which joblib compresses without saying
/// so. A name by which a loader goes stays a promise.
fn name_within(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or_default();
    let compressed = ["gz", "gzip", "z", "zz", "zlib"];
    match name.rsplit_once('.') {
        Some((stem, suffix)) if compressed.iter().any(|one| suffix.eq_ignore_ascii_case(one)) => stem,
        _ => name,
    }
}

enum Header {
    Short,
    Whole,
    Broken,
}

/// Whether the header of gzip is whole (RFC 1952).
fn header_length(kept: &[u8]) -> Header {
    if !b"\x1f\x8b\x08".starts_with(&kept[..kept.len().min(3)]) {
        return Header::Broken;
    }
    let Some(&flags) = kept.get(3) else { return Header::Short };
    if flags & 0xe0 != 0 {
        return Header::Broken;
    }
    let mut at = 10;
    if flags & 4 != 0 {
        if kept.len() < at + 2 {
            return Header::Short;
        }
        at += 2 + usize::try_from(le::<2>(kept, at)).unwrap_or_default();
    }
    // A name and a comment, each ended by a zero.
    for bit in [8, 16] {
        if flags & bit != 0 {
            match kept.get(at..).and_then(|rest| memchr::memchr(0, rest)) {
                Some(end) => at += end + 1,
                None => return Header::Short,
            }
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    if kept.len() >= at { Header::Whole } else { Header::Short }
}

impl Inspect for Compressed {
    fn update(&mut self, mut bytes: &[u8], report: &mut Report) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Header(kept) => {
                    let kept = std::mem::take(kept);
                    self.header(kept, bytes[0], report);
                    1
                }
                State::Data { .. } => self.data(bytes, report),
                State::Trailer { bytes: kept, crc, size } => {
                    kept.push(bytes[0]);
                    if kept.len() == 8 {
                        let right =
                            le::<4>(kept, 0) == u64::from(*crc) && le::<4>(kept, 4) == *size & 0xffff_ffff;
                        self.state = State::Header(Vec::new());
                        if !right {
                            self.fault(report, "has a wrong checksum");
                        }
                    }
                    1
                }
                State::Behind => {
                    self.fault(report, "has bytes behind its end");
                    bytes.len()
                }
                State::Done => return,
            };
            bytes = &bytes[taken.min(bytes.len())..];
        }
    }

    fn finish(&mut self, report: &mut Report) {
        if let Some(contents) = self.contents.take() {
            contents.finish(report);
        }
        match std::mem::replace(&mut self.state, State::Done) {
            State::Data { inflate, .. } => {
                if self.gzip || self.promised || inflate.produced() >= SURE {
                    self.fault(report, "ends before its end");
                }
            }
            State::Header(kept) if kept.is_empty() || !self.gzip => {}
            State::Header(_) | State::Trailer { .. } => self.fault(report, "ends before its end"),
            State::Behind | State::Done => {}
        }
    }
}
